//! Resource record sets: what one holds, and how a batch of changes is checked and applied.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::name::Name;
use super::target::{self, Targets};
use super::zone::Zone;
use crate::sandbox::world::{Call, Refusal};

/// One resource record set: the values of one name and type, or the alias in their place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct RecordSet {
    /// In Route 53's form.
    pub(in crate::sandbox) name: Name,
    /// `A`, `AAAA`, `CNAME` …
    pub(in crate::sandbox) record_type: String,
    /// Seconds; none for an alias.
    pub(in crate::sandbox) ttl: Option<i64>,
    /// None for an alias.
    pub(in crate::sandbox) values: Vec<String>,
    /// In place of values.
    pub(in crate::sandbox) alias: Option<Alias>,
}

/// Where an alias points to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Alias {
    /// The zone that the target's name lies in.
    pub(in crate::sandbox) hosted_zone_id: String,
    /// As it was written, in Route 53's form: a `dualstack.` prefix stays.
    pub(in crate::sandbox) dns_name: Name,
    /// Whether an unhealthy target is left out of answers.
    pub(in crate::sandbox) evaluate_target_health: bool,
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    Upsert,
    Delete,
}

/// One change of a batch.
struct Change {
    action: Action,
    record: RecordSet,
}

/// The types that are modelled.
const TYPES: &[&str] = &["A", "AAAA", "CAA", "CNAME", "NS", "SOA", "TXT"];

/// The quotas of one batch: records and characters of their values.
const BATCH_RECORDS: usize = 1_000;
const BATCH_CHARACTERS: usize = 32_000;

impl RecordSet {
    /// A plain record set.
    pub(super) fn plain(name: &Name, record_type: &str, ttl: i64, values: Vec<String>) -> Self {
        Self {
            name: name.clone(),
            record_type: record_type.to_owned(),
            ttl: Some(ttl),
            values,
            alias: None,
        }
    }

    /// What record sets are ordered by.
    pub(super) fn order(&self) -> (Vec<u8>, String) {
        (self.name.order(), self.record_type.clone())
    }

    /// Whether both are about the same name and type.
    fn is_about(&self, other: &Self) -> bool {
        self.name == other.name && self.record_type == other.record_type
    }

    /// Whether both say the same; the order of values does not matter.
    fn says_the_same(&self, other: &Self) -> bool {
        let sorted = |record: &Self| {
            let mut values = record.values.clone();
            values.sort();
            Self {
                values,
                ..record.clone()
            }
        };
        sorted(self) == sorted(other)
    }

    /// The record set as `ListResourceRecordSets` answers it.
    pub(super) fn view(&self) -> Value {
        let records: Vec<Value> = self
            .values
            .iter()
            .map(|value| json!({ "Value": value }))
            .collect();
        let mut view = json!({ "Name": self.name.as_str(), "Type": self.record_type });
        if let Some(alias) = &self.alias {
            view["AliasTarget"] = json!({
                "HostedZoneId": alias.hosted_zone_id,
                "DNSName": alias.dns_name.as_str(),
                "EvaluateTargetHealth": alias.evaluate_target_health,
            });
        } else {
            view["TTL"] = json!(self.ttl);
            view["ResourceRecords"] = Value::Array(records);
        }
        view
    }
}

/// Reads, checks and applies the batch to a copy of the zone's records, which it returns: either
/// all changes are made or none.
pub(super) fn changed(
    call: &Call<'_>,
    zone: &Zone,
    targets: &Targets,
) -> Result<Vec<RecordSet>, Refusal> {
    let changes = read_batch(call)?;
    check_size(&changes)?;
    let mut problems = contradictions(&changes);
    let mut records = zone.records.clone();
    for change in &changes {
        if let Err(problem) = apply(zone, targets, &mut records, change) {
            problems.push(problem);
        }
    }
    if problems.is_empty() {
        problems = broken_rules(zone, &records);
    }
    if problems.is_empty() {
        records.sort_by_key(RecordSet::order);
        return Ok(records);
    }
    Err(invalid_batch(problems))
}

/// The refusal of a whole batch.
fn invalid_batch(messages: Vec<String>) -> Refusal {
    Refusal::new("InvalidChangeBatch", format!("[{}]", messages.join(", "))).with_messages(messages)
}

/// The changes of the call.
fn read_batch(call: &Call<'_>) -> Result<Vec<Change>, Refusal> {
    let batch = &call.input["ChangeBatch"];
    call.models("ChangeBatch", batch, &["Comment", "Changes"])?;
    let changes = batch["Changes"].as_array().map_or(&[][..], Vec::as_slice);
    changes
        .iter()
        .map(|change| read_change(call, change))
        .collect()
}

/// One change; what Route 53 can refuse without looking at the zone is refused here.
fn read_change(call: &Call<'_>, change: &Value) -> Result<Change, Refusal> {
    call.models("Change", change, &["Action", "ResourceRecordSet"])?;
    let action = match change["Action"].as_str().unwrap_or_default() {
        "CREATE" => Action::Create,
        "UPSERT" => Action::Upsert,
        _ => Action::Delete,
    };
    let given = &change["ResourceRecordSet"];
    let members = ["Name", "Type", "TTL", "ResourceRecords", "AliasTarget"];
    call.models("ResourceRecordSet", given, &members)?;
    let record_type = given["Type"].as_str().unwrap_or_default();
    if !TYPES.contains(&record_type) {
        return Err(Refusal::not_modelled(
            call.operation,
            &format!("Type={record_type}"),
        ));
    }
    check_shape(change, given)?;
    let record = RecordSet {
        name: read_name(&given["Name"])?,
        record_type: record_type.to_owned(),
        ttl: given["TTL"].as_i64(),
        values: read_values(given),
        alias: read_alias(call, given)?,
    };
    Ok(Change { action, record })
}

/// Refuses a record set that is neither clearly an alias nor clearly values with a time to live.
fn check_shape(change: &Value, given: &Value) -> Result<(), Refusal> {
    let has = |member: &str| !given[member].is_null();
    let found = match (has("AliasTarget"), has("TTL"), has("ResourceRecords")) {
        (true, false, false) | (false, true, true) => return Ok(()),
        (false, _, _) => "none",
        (true, _, _) => "more than one",
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Err(Refusal::new(
        "InvalidInput",
        format!(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], \
             or TrafficPolicyInstanceId], but found {found} in Change with [Action={}, Name={}, Type={}, \
             SetIdentifier=null]",
            text(&change["Action"]),
            text(&given["Name"]),
            text(&given["Type"]),
        ),
    ))
}

/// A domain name of a change.
fn read_name(value: &Value) -> Result<Name, Refusal> {
    Name::parse(value.as_str().unwrap_or_default()).map_err(|problem| invalid_batch(vec![problem]))
}

/// The values of a plain record set.
fn read_values(given: &Value) -> Vec<String> {
    let records = given["ResourceRecords"].as_array().into_iter().flatten();
    records
        .filter_map(|record| record["Value"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The alias, if the record set is one.
fn read_alias(call: &Call<'_>, given: &Value) -> Result<Option<Alias>, Refusal> {
    let target = &given["AliasTarget"];
    if target.is_null() {
        return Ok(None);
    }
    call.models(
        "AliasTarget",
        target,
        &["HostedZoneId", "DNSName", "EvaluateTargetHealth"],
    )?;
    Ok(Some(Alias {
        hosted_zone_id: target["HostedZoneId"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        dns_name: read_name(&target["DNSName"])?,
        evaluate_target_health: target["EvaluateTargetHealth"].as_bool().unwrap_or(false),
    }))
}

/// Refuses a batch that is too large; an upsert counts twice.
fn check_size(changes: &[Change]) -> Result<(), Refusal> {
    let weight = |change: &Change| {
        if change.action == Action::Upsert {
            2
        } else {
            1
        }
    };
    let count = |change: &Change| change.record.values.len() * weight(change);
    let characters = |change: &Change| {
        change.record.values.iter().map(String::len).sum::<usize>() * weight(change)
    };
    let records: usize = changes.iter().map(count).sum();
    if records > BATCH_RECORDS {
        let message = format!(
            "Number of records limit of {BATCH_RECORDS} exceeded. Tried to change {records} records."
        );
        return Err(invalid_batch(vec![message]));
    }
    if changes.iter().map(characters).sum::<usize>() > BATCH_CHARACTERS {
        let message = format!("Number of characters limit of {BATCH_CHARACTERS} exceeded.");
        return Err(invalid_batch(vec![message]));
    }
    Ok(())
}

/// Name and type may come twice in a batch only as a deletion and, after it, a creation.
fn contradictions(changes: &[Change]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let earlier: Vec<Action> = changes[..index]
            .iter()
            .filter(|other| other.record.is_about(&change.record))
            .map(|other| other.action)
            .collect();
        let fits =
            earlier.is_empty() || (earlier == [Action::Delete] && change.action != Action::Delete);
        if !fits {
            problems.push(format!(
                "The request contains an invalid set of changes for a resource record set '{} {}'",
                change.record.record_type, change.record.name
            ));
        }
    }
    problems
}

/// Makes one change; the error is Route 53's message.
fn apply(
    zone: &Zone,
    targets: &Targets,
    records: &mut Vec<RecordSet>,
    change: &Change,
) -> Result<(), String> {
    let wanted = &change.record;
    let subject = format!("[name='{}', type='{}']", wanted.name, wanted.record_type);
    if !wanted.name.is_within(&zone.name) {
        return Err(format!(
            "RRSet with DNS name {} is not permitted in zone {}",
            wanted.name, zone.name
        ));
    }
    let existing = records.iter().position(|record| record.is_about(wanted));
    match (change.action, existing) {
        (Action::Delete, None) => Err(format!(
            "Tried to delete resource record set {subject} but it was not found"
        )),
        (Action::Delete, Some(index)) if records[index].says_the_same(wanted) => {
            records.remove(index);
            Ok(())
        }
        (Action::Delete, Some(_)) => Err(format!(
            "Tried to delete resource record set {subject} but the values provided do not match \
             the current values"
        )),
        (Action::Create, Some(_)) => Err(format!(
            "Tried to create resource record set {subject} but it already exists"
        )),
        (Action::Create | Action::Upsert, _) => {
            check_values(wanted)?;
            check_neighbours(zone, records, wanted)?;
            check_alias(zone, targets, records, wanted)?;
            records.retain(|record| !record.is_about(wanted));
            records.push(wanted.clone());
            Ok(())
        }
    }
}

/// Refuses values that their type does not allow.
fn check_values(record: &RecordSet) -> Result<(), String> {
    if record.record_type == "CNAME" && record.values.len() > 1 {
        return Err(format!(
            "InvalidRRSet: RRSet of type CNAME with DNS name {} may have only one value",
            record.name
        ));
    }
    for (index, value) in record.values.iter().enumerate() {
        if record.values[..index].contains(value) {
            return Err(format!("Duplicate Resource Record: '{value}'"));
        }
        let problem = match record.record_type.as_str() {
            "A" if value.parse::<std::net::Ipv4Addr>().is_err() => {
                "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"
            }
            "AAAA" if value.parse::<std::net::Ipv6Addr>().is_err() => {
                "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"
            }
            "CNAME" | "NS" if Name::parse(value).is_err() => {
                "InvalidDomainName (Value is not a valid domain name)"
            }
            "TXT" if !(value.len() > 1 && value.starts_with('"') && value.ends_with('"')) => {
                "InvalidCharacterString (Value should be enclosed in quotation marks)"
            }
            _ => continue,
        };
        return Err(format!(
            "Invalid Resource Record: 'FATAL problem: {problem} encountered with '{value}''"
        ));
    }
    Ok(())
}

/// Refuses a CNAME beside other types, and other types beside a CNAME.
fn check_neighbours(zone: &Zone, records: &[RecordSet], wanted: &RecordSet) -> Result<(), String> {
    let is_alias = |record: &RecordSet| record.record_type == "CNAME";
    if is_alias(wanted) && wanted.name == zone.name {
        return Err(format!(
            "RRSet of type CNAME with DNS name {} is not permitted at apex in zone {}",
            wanted.name, zone.name
        ));
    }
    let neighbours = || {
        records
            .iter()
            .filter(|record| record.name == wanted.name && !record.is_about(wanted))
    };
    if is_alias(wanted) && neighbours().next().is_some() {
        return Err(format!(
            "RRSet of type CNAME with DNS name {} is not permitted as it conflicts with other \
             records with the same DNS name in zone {}",
            wanted.name, zone.name
        ));
    }
    if neighbours().any(is_alias) {
        return Err(format!(
            "RRSet of type {} with DNS name {} is not permitted because a conflicting RRSet of \
             type CNAME with the same DNS name already exists in zone {}",
            wanted.record_type, wanted.name, zone.name
        ));
    }
    Ok(())
}

/// Refuses an alias whose target does not exist, or lies in another zone than it says.
fn check_alias(
    zone: &Zone,
    targets: &Targets,
    records: &[RecordSet],
    wanted: &RecordSet,
) -> Result<(), String> {
    let Some(alias) = &wanted.alias else {
        return Ok(());
    };
    let refused = |why: &str| {
        Err(format!(
            "Tried to create an alias that targets {}, type {} in zone {}, but {why}",
            alias.dns_name, wanted.record_type, alias.hosted_zone_id
        ))
    };
    let same_type = |record: &&RecordSet| {
        record.name == alias.dns_name && record.record_type == wanted.record_type
    };
    let target_zone = if alias.hosted_zone_id == zone.id && alias.dns_name.is_within(&zone.name) {
        records.iter().find(same_type).map(|_| zone.id.clone())
    } else {
        target::zone_of(targets, alias.dns_name.as_str()).cloned()
    };
    match target_zone {
        Some(id) if id == alias.hosted_zone_id => Ok(()),
        Some(_) => refused("the alias target name does not lie within the target zone"),
        None => refused("that target was not found"),
    }
}

/// What the zone as a whole must keep: its SOA and its own name servers.
fn broken_rules(zone: &Zone, records: &[RecordSet]) -> Vec<String> {
    let at_apex = |record_type: &str| {
        records
            .iter()
            .any(|record| record.name == zone.name && record.record_type == record_type)
    };
    let mut problems = Vec::new();
    if !at_apex("SOA") {
        problems.push("A HostedZone must contain exactly one SOA record.".to_owned());
    }
    if !at_apex("NS") {
        problems.push(
            "A HostedZone must contain at least one NS record for the zone itself.".to_owned(),
        );
    }
    problems
}
