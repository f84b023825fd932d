//! Route 53: hosted zones, their record sets, and changes on their way to the name servers.
//!
//! A fresh account has one public zone, `example.com`. Every public zone counts as delegated.

mod name;
mod record;
mod target;
mod zone;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::name::Name;
pub(super) use self::record::RecordSet;
use self::zone::Zone;
use super::tracked::Tracked;
use super::world::{Call, Refusal, World};

/// Hosted zones and changes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// By id, without `/hostedzone/`.
    zones: Tracked<BTreeMap<String, Zone>>,
    /// By id, without `/change/`.
    changes: BTreeMap<String, Change>,
}

/// A change on its way to the name servers.
#[derive(Debug, Serialize, Deserialize)]
struct Change {
    submitted: i64,
    /// When all name servers have it.
    due: i64,
    comment: Option<String>,
}

/// Operation and the top-level input members it models; any other member is refused by the wire layer.
pub(super) const OPERATIONS: &[(&str, &[&str])] = &[
    (
        "AssociateVPCWithHostedZone",
        &["HostedZoneId", "VPC", "Comment"],
    ),
    ("ChangeResourceRecordSets", &["HostedZoneId", "ChangeBatch"]),
    (
        "ChangeTagsForResource",
        &["ResourceType", "ResourceId", "AddTags", "RemoveTagKeys"],
    ),
    (
        "CreateHostedZone",
        &["Name", "VPC", "CallerReference", "HostedZoneConfig"],
    ),
    ("DeleteHostedZone", &["Id"]),
    (
        "DisassociateVPCFromHostedZone",
        &["HostedZoneId", "VPC", "Comment"],
    ),
    ("GetChange", &["Id"]),
    ("GetDNSSEC", &["HostedZoneId"]),
    ("GetHostedZone", &["Id"]),
    ("GetHostedZoneCount", &[]),
    ("ListHostedZones", &["Marker", "MaxItems", "HostedZoneType"]),
    (
        "ListHostedZonesByName",
        &["DNSName", "HostedZoneId", "MaxItems"],
    ),
    (
        "ListResourceRecordSets",
        &[
            "HostedZoneId",
            "StartRecordName",
            "StartRecordType",
            "MaxItems",
        ],
    ),
    ("ListTagsForResource", &["ResourceType", "ResourceId"]),
    ("ListTagsForResources", &["ResourceType", "ResourceIds"]),
    ("UpdateHostedZoneComment", &["Id", "Comment"]),
];

/// How long a change takes to reach all name servers.
const PROPAGATION: Duration = Duration::from_secs(30);

/// Tags per zone.
const TAGS: usize = 50;

impl State {
    /// The record set that the internet sees: the one in the most specific public zone.
    pub(super) fn record(&self, name: &str, record_type: &str) -> Option<&RecordSet> {
        let name = Name::parse(name).ok()?;
        let public = self.zones.values().filter(|zone| zone.networks.is_empty());
        let covering: Vec<&Zone> = public.filter(|zone| name.is_within(&zone.name)).collect();
        let longest = covering.iter().map(|zone| zone.name.as_str().len()).max()?;
        covering
            .iter()
            .filter(|zone| zone.name.as_str().len() == longest)
            .find_map(|zone| zone.record(&name, record_type))
    }

    /// The record set that a VPC sees, or without one the internet. Of a VPC's private zones the
    /// most specific one that covers the name is asked, and nothing else: what it lacks is not there.
    pub(super) fn record_within(
        &self,
        vpc: Option<(&str, &str)>,
        name: &str,
        record_type: &str,
    ) -> Option<&RecordSet> {
        let parsed = Name::parse(name).ok()?;
        let zones = self.zones.values();
        let covering = zones.filter(|zone| {
            let is_seen = vpc.is_some_and(|(region, vpc)| zone.is_in(region, vpc));
            is_seen && parsed.is_within(&zone.name)
        });
        match covering.max_by_key(|zone| zone.name.as_str().len()) {
            Some(zone) => zone.record(&parsed, record_type),
            None => self.record(name, record_type),
        }
    }

    /// The names of all alias records and the names that they lead to, without the last dot.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        let records = self.zones.values().flat_map(|zone| &zone.records);
        records.filter_map(|record| {
            let target = record.alias.as_ref()?.dns_name.as_str();
            let target = target.strip_prefix("dualstack.").unwrap_or(target);
            Some((
                record.name.as_str().trim_end_matches('.'),
                target.trim_end_matches('.'),
            ))
        })
    }

    /// The zone of an id in either form.
    fn zone(&self, id: &str) -> Result<&Zone, Refusal> {
        let id = bare(id);
        self.zones.get(id).ok_or_else(|| no_such_zone(id))
    }

    /// The zone of an id in either form, to be changed.
    fn zone_mut(&mut self, id: &str) -> Result<&mut Zone, Refusal> {
        let id = bare(id);
        self.zones.get_mut(id).ok_or_else(|| no_such_zone(id))
    }

    /// The zones in the order of their reversed names.
    fn by_name(&self) -> Vec<&Zone> {
        let mut zones: Vec<&Zone> = self.zones.values().collect();
        zones.sort_by_key(|zone| zone.order());
        zones
    }
}

/// Answers one call.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation {
        "AssociateVPCWithHostedZone" => zone::associate(world, call),
        "ChangeResourceRecordSets" => change_records(world, call),
        "ChangeTagsForResource" => change_tags(world, call),
        "CreateHostedZone" => zone::create(world, call),
        "DeleteHostedZone" => zone::delete(world, call),
        "DisassociateVPCFromHostedZone" => zone::disassociate(world, call),
        "GetChange" => get_change(world, call),
        "GetDNSSEC" => zone::signing(world, call),
        "GetHostedZoneCount" => Ok(zone::count(world)),
        "GetHostedZone" => zone::get(world, call),
        "ListHostedZones" => zone::list(world, call),
        "ListHostedZonesByName" => zone::list_by_name(world, call),
        "ListResourceRecordSets" => list_records(world, call),
        "ListTagsForResource" => list_tags(world, call),
        "ListTagsForResources" => list_tags_of_several(world, call),
        "UpdateHostedZoneComment" => zone::update_comment(world, call),
        operation => Err(Refusal::not_modelled(operation, operation)),
    }
}

/// The id without `/hostedzone/` or `/change/`.
fn bare(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// The refusal of an unknown zone.
fn no_such_zone(id: &str) -> Refusal {
    Refusal::new(
        "NoSuchHostedZone",
        format!("No hosted zone found with ID: {id}"),
    )
    .with_status(404)
}

/// Records a change and answers its `ChangeInfo`.
fn submit(world: &mut World, comment: Option<&str>) -> Value {
    let id = format!("C{}", world.unique_hex(20).to_uppercase());
    let change = Change {
        submitted: world.now / 1_000,
        due: world.due(PROPAGATION),
        comment: comment.map(str::to_owned),
    };
    let info = change_info(world.now, &id, &change);
    world.route53.changes.insert(id, change);
    info
}

/// A change as AWS answers it.
fn change_info(now: i64, id: &str, change: &Change) -> Value {
    json!({
        "Id": format!("/change/{id}"),
        "Status": if change.due <= now { "INSYNC" } else { "PENDING" },
        "SubmittedAt": change.submitted,
        "Comment": change.comment,
    })
}

/// `GetChange`.
fn get_change(world: &World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = bare(call.required("Id"));
    let change = world.route53.changes.get(id).ok_or_else(|| {
        Refusal::new(
            "NoSuchChange",
            format!("Could not find resource with ID: {id}"),
        )
        .with_status(404)
    })?;
    Ok(json!({ "ChangeInfo": change_info(world.now, id, change) }))
}

/// The page size that was asked for, at most `most`.
fn page_size(call: &Call<'_>, most: usize) -> Result<usize, Refusal> {
    let Some(text) = call.text("MaxItems") else {
        return Ok(most);
    };
    match text.parse::<usize>() {
        Ok(size) if size > 0 => Ok(size.min(most)),
        _ => Err(Refusal::new(
            "InvalidInput",
            format!("Invalid value for maxitems: {text}"),
        )),
    }
}

/// `ListResourceRecordSets`: name and type are where the list starts, not a filter.
fn list_records(world: &World, call: &Call<'_>) -> Result<Value, Refusal> {
    let zone = world.route53.zone(call.required("HostedZoneId"))?;
    let size = page_size(call, 300)?;
    let start_type = call.text("StartRecordType").unwrap_or_default();
    let start = match call.text("StartRecordName") {
        Some(text) => Name::parse(text)
            .map_err(|problem| Refusal::new("InvalidInput", problem))?
            .order(),
        None if start_type.is_empty() => Vec::new(),
        None => {
            let message = "The input is not valid: a type was specified without a name.";
            return Err(Refusal::new("InvalidInput", message));
        }
    };
    let mut records = zone
        .records
        .iter()
        .skip_while(|record| record.order() < (start.clone(), start_type.to_owned()));
    let page: Vec<Value> = records.by_ref().take(size).map(RecordSet::view).collect();
    let next = records.next();
    Ok(json!({
        "ResourceRecordSets": page,
        "IsTruncated": next.is_some(),
        "NextRecordName": next.map(|record| record.name.as_str()),
        "NextRecordType": next.map(|record| &record.record_type),
        "MaxItems": size.to_string(),
    }))
}

/// `ChangeResourceRecordSets`.
fn change_records(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = world
        .route53
        .zone(call.required("HostedZoneId"))?
        .id
        .clone();
    let targets = target::all(world)?;
    let records = record::changed(call, world.route53.zone(&id)?, &targets)?;
    world.route53.zone_mut(&id)?.records = records;
    let comment = call.input["ChangeBatch"]["Comment"].as_str();
    Ok(json!({ "ChangeInfo": submit(world, comment) }))
}

/// Refuses resource types other than zones.
fn check_resource_type(call: &Call<'_>) -> Result<(), Refusal> {
    match call.required("ResourceType") {
        "hostedzone" => Ok(()),
        other => Err(Refusal::not_modelled(
            call.operation,
            &format!("ResourceType={other}"),
        )),
    }
}

/// A zone's tags as AWS answers them.
fn tag_set(zone: &Zone) -> Value {
    let tags: Vec<Value> = zone
        .tags
        .iter()
        .map(|(key, value)| json!({ "Key": key, "Value": value }))
        .collect();
    json!({ "ResourceType": "hostedzone", "ResourceId": zone.id, "Tags": tags })
}

/// `ListTagsForResource`.
fn list_tags(world: &World, call: &Call<'_>) -> Result<Value, Refusal> {
    check_resource_type(call)?;
    let zone = world.route53.zone(call.required("ResourceId"))?;
    Ok(json!({ "ResourceTagSet": tag_set(zone) }))
}

/// `ListTagsForResources`.
fn list_tags_of_several(world: &World, call: &Call<'_>) -> Result<Value, Refusal> {
    check_resource_type(call)?;
    let sets = call
        .texts("ResourceIds")
        .into_iter()
        .map(|id| world.route53.zone(id).map(tag_set))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "ResourceTagSets": sets }))
}

/// `ChangeTagsForResource`.
fn change_tags(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    check_resource_type(call)?;
    let zone = world.route53.zone_mut(call.required("ResourceId"))?;
    let mut tags = zone.tags.clone();
    for key in call.texts("RemoveTagKeys") {
        tags.remove(key);
    }
    for tag in call.list("AddTags") {
        call.models("AddTags", tag, &["Key", "Value"])?;
        let key = tag["Key"].as_str().unwrap_or_default();
        if key.is_empty() || key.starts_with("aws:") {
            return Err(Refusal::new(
                "InvalidInput",
                format!("The tag key '{key}' is invalid"),
            ));
        }
        tags.insert(
            key.to_owned(),
            tag["Value"].as_str().unwrap_or_default().to_owned(),
        );
    }
    if tags.len() > TAGS {
        let message = format!("The resource may have at most {TAGS} tags.");
        return Err(Refusal::new("InvalidInput", message));
    }
    zone.tags = tags;
    Ok(json!({}))
}

#[cfg(test)]
#[expect(
    clippy::needless_pass_by_value,
    reason = "inputs are written where they are passed"
)]
mod tests {
    use super::*;

    fn world() -> World {
        World::fresh("123456789012")
    }

    fn ask(world: &mut World, operation: &str, input: Value) -> Result<Value, Refusal> {
        handle(world, &Call::of(operation, &input))
    }

    fn tell(world: &mut World, operation: &str, input: Value) -> Value {
        ask(world, operation, input).unwrap_or_else(|refusal| panic!("{operation}: {refusal:?}"))
    }

    fn zone(world: &World) -> String {
        world
            .route53
            .zones
            .keys()
            .next()
            .expect("the first zone")
            .clone()
    }

    fn plain(name: &str, record_type: &str, values: &[&str]) -> Value {
        let values: Vec<Value> = values
            .iter()
            .map(|value| json!({ "Value": value }))
            .collect();
        json!({ "Name": name, "Type": record_type, "TTL": 60, "ResourceRecords": values })
    }

    fn change(world: &mut World, changes: &[(&str, Value)]) -> Result<Value, Refusal> {
        let changes: Vec<Value> = changes
            .iter()
            .map(|(action, record)| json!({ "Action": action, "ResourceRecordSet": record }))
            .collect();
        let id = zone(world);
        let batch = json!({ "Changes": changes });
        ask(
            world,
            "ChangeResourceRecordSets",
            json!({ "HostedZoneId": id, "ChangeBatch": batch }),
        )
    }

    fn refused(world: &mut World, changes: &[(&str, Value)]) -> String {
        let refusal = change(world, changes).expect_err("a refusal");
        assert_eq!(refusal.code, "InvalidChangeBatch");
        refusal.messages.join("; ")
    }

    fn names(world: &mut World, input: Value) -> Vec<String> {
        let mut input = input;
        input["HostedZoneId"] = json!(zone(world));
        let answer = tell(world, "ListResourceRecordSets", input);
        let records = answer["ResourceRecordSets"]
            .as_array()
            .expect("a list")
            .iter();
        records
            .map(|record| format!("{} {}", record["Name"], record["Type"]).replace('"', ""))
            .collect()
    }

    #[test]
    fn a_fresh_account_has_the_public_zone_of_example_com() {
        let answer = tell(&mut world(), "ListHostedZonesByName", json!({}));
        let zones = answer["HostedZones"].as_array().expect("a list");
        assert_eq!(zones.len(), 1);
        assert_eq!(zones[0]["Name"], "example.com.");
        assert_eq!(zones[0]["Config"]["PrivateZone"], false);
        assert!(
            zones[0]["Id"]
                .as_str()
                .is_some_and(|id| id.starts_with("/hostedzone/Z"))
        );
        assert_eq!(zones[0]["ResourceRecordSetCount"], 2);
    }

    #[test]
    fn a_name_is_where_the_list_of_zones_starts_and_no_filter() {
        let world = &mut world();
        for (name, reference) in [("a.example.com", "1"), ("example.org", "2")] {
            tell(
                world,
                "CreateHostedZone",
                json!({ "Name": name, "CallerReference": reference }),
            );
        }
        let listed = |world: &mut World, start: &str| -> Vec<Value> {
            let answer = tell(world, "ListHostedZonesByName", json!({ "DNSName": start }));
            answer["HostedZones"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|zone| zone["Name"].clone())
                .collect()
        };
        assert_eq!(listed(world, "aa.example.com"), ["example.org."]);
        assert_eq!(
            listed(world, "a.example.com"),
            ["a.example.com.", "example.org."]
        );
        assert_eq!(
            listed(world, "com"),
            ["example.com.", "a.example.com.", "example.org."]
        );
    }

    #[test]
    fn records_are_listed_by_reversed_labels_and_types_from_the_start_on() {
        let world = &mut world();
        change(
            world,
            &[
                ("CREATE", plain("B.example.com", "TXT", &["\"t\""])),
                ("CREATE", plain("b.example.com", "A", &["192.0.2.1"])),
                ("CREATE", plain("*.a.example.com", "A", &["192.0.2.1"])),
            ],
        )
        .expect("changed");
        assert_eq!(
            names(world, json!({})),
            [
                "example.com. NS",
                "example.com. SOA",
                "\\\\052.a.example.com. A",
                "b.example.com. A",
                "b.example.com. TXT",
            ]
        );
        let input =
            json!({ "StartRecordName": "b.example.com", "StartRecordType": "B", "MaxItems": "1" });
        assert_eq!(names(world, input), ["b.example.com. TXT"]);
    }

    #[test]
    fn pages_of_records_name_the_next() {
        let world = &mut world();
        let input = json!({ "HostedZoneId": zone(world), "MaxItems": "1" });
        let answer = tell(world, "ListResourceRecordSets", input);
        assert_eq!(answer["IsTruncated"], true);
        assert_eq!(
            (&answer["NextRecordName"], &answer["NextRecordType"]),
            (&json!("example.com."), &json!("SOA"))
        );
    }

    #[test]
    fn creating_what_is_there_and_deleting_what_is_not_are_refused() {
        let world = &mut world();
        let record = plain("a.example.com", "A", &["192.0.2.1", "192.0.2.2"]);
        change(world, &[("CREATE", record.clone())]).expect("created");
        let message = refused(world, &[("CREATE", record)]);
        assert_eq!(
            message,
            "Tried to create resource record set [name='a.example.com.', type='A'] but it already exists"
        );
        let message = refused(
            world,
            &[("DELETE", plain("a.example.com", "A", &["192.0.2.1"]))],
        );
        assert!(message.ends_with("but the values provided do not match the current values"));
        let message = refused(
            world,
            &[("DELETE", plain("b.example.com", "A", &["192.0.2.1"]))],
        );
        assert!(message.ends_with("but it was not found"));
        change(
            world,
            &[(
                "DELETE",
                plain("a.example.com", "A", &["192.0.2.2", "192.0.2.1"]),
            )],
        )
        .expect("deleted");
    }

    #[test]
    fn a_batch_is_made_whole_or_not_at_all() {
        let world = &mut world();
        refused(
            world,
            &[
                ("CREATE", plain("a.example.com", "A", &["192.0.2.1"])),
                ("CREATE", plain("b.example.com", "A", &["nonsense"])),
            ],
        );
        assert_eq!(names(world, json!({})).len(), 2);
    }

    #[test]
    fn a_record_comes_twice_in_a_batch_only_to_be_replaced() {
        let world = &mut world();
        let (old, new) = (
            plain("a.example.com", "A", &["192.0.2.1"]),
            plain("a.example.com", "A", &["192.0.2.2"]),
        );
        let message = refused(world, &[("CREATE", old.clone()), ("UPSERT", new.clone())]);
        assert!(message.contains("The request contains an invalid set of changes"));
        change(world, &[("CREATE", old.clone())]).expect("created");
        change(world, &[("DELETE", old), ("CREATE", new)]).expect("replaced");
    }

    #[test]
    fn a_cname_stands_alone_and_not_at_the_apex() {
        let world = &mut world();
        let cname = |name: &str| plain(name, "CNAME", &["x.example.org"]);
        assert!(
            refused(world, &[("CREATE", cname("example.com"))])
                .contains("is not permitted at apex")
        );
        change(world, &[("CREATE", cname("a.example.com"))]).expect("created");
        let message = refused(
            world,
            &[("UPSERT", plain("a.example.com", "A", &["192.0.2.1"]))],
        );
        assert!(message.contains("a conflicting RRSet of type CNAME"));
    }

    #[test]
    fn names_outside_the_zone_are_refused() {
        let message = refused(
            &mut world(),
            &[("CREATE", plain("a.example.org", "A", &["192.0.2.1"]))],
        );
        assert_eq!(
            message,
            "RRSet with DNS name a.example.org. is not permitted in zone example.com."
        );
    }

    #[test]
    fn an_alias_needs_a_target_that_exists() {
        let world = &mut world();
        let target = json!({
            "HostedZoneId": "Z14GRHDCWA56QT", "DNSName": "x-1.ap-northeast-1.elb.amazonaws.com", "EvaluateTargetHealth": false,
        });
        let record = json!({ "Name": "a.example.com", "Type": "A", "AliasTarget": target });
        assert!(refused(world, &[("CREATE", record)]).ends_with("but that target was not found"));
    }

    #[test]
    fn an_alias_carries_the_zone_of_its_target() {
        let world = &mut world();
        let dns_name = load_balancer(world);
        let alias = |zone: &str, prefix: &str| {
            let target = json!({
                "HostedZoneId": zone, "DNSName": format!("{prefix}{dns_name}"), "EvaluateTargetHealth": false,
            });
            json!({ "Name": "a.example.com", "Type": "A", "AliasTarget": target })
        };
        let message = refused(world, &[("CREATE", alias("Z35SXDOTRQ7X7K", ""))]);
        assert!(message.ends_with("the alias target name does not lie within the target zone"));
        change(world, &[("CREATE", alias("Z14GRHDCWA56QT", "dualstack."))]).expect("created");
        change(world, &[("UPSERT", alias("Z14GRHDCWA56QT", ""))]).expect("changed");
    }

    /// Makes a load balancer in the default VPC; answers its DNS name.
    fn load_balancer(world: &mut World) -> String {
        use crate::sandbox::{ec2, elbv2};
        let subnets =
            ec2::handle(world, &Call::of("DescribeSubnets", &json!({}))).expect("subnets");
        let subnets: Vec<&Value> = (0..2)
            .map(|index| &subnets["Subnets"][index]["SubnetId"])
            .collect();
        let input = json!({ "Name": "front", "Subnets": subnets });
        let answer = elbv2::handle(world, &Call::of("CreateLoadBalancer", &input)).expect("made");
        answer["LoadBalancers"][0]["DNSName"]
            .as_str()
            .expect("a name")
            .to_owned()
    }

    #[test]
    fn an_alias_in_the_zone_needs_a_record_of_its_type() {
        let world = &mut world();
        let alias = |record_type: &str| {
            let target = json!({
                "HostedZoneId": "Z0EXAMPLE0COM0PUBLIC", "DNSName": "B.example.com", "EvaluateTargetHealth": false,
            });
            json!({ "Name": "a.example.com", "Type": record_type, "AliasTarget": target })
        };
        change(
            world,
            &[("CREATE", plain("b.example.com", "A", &["192.0.2.1"]))],
        )
        .expect("created");
        assert!(
            refused(world, &[("CREATE", alias("AAAA"))]).ends_with("but that target was not found")
        );
        change(world, &[("CREATE", alias("A"))]).expect("created");
        let record = world
            .route53
            .record("a.example.com", "A")
            .expect("the record");
        assert_eq!(
            record.alias.as_ref().map(|alias| alias.dns_name.as_str()),
            Some("b.example.com.")
        );
    }

    #[test]
    fn an_alias_has_no_time_to_live() {
        let world = &mut world();
        let mut record = plain("a.example.com", "A", &["192.0.2.1"]);
        record["AliasTarget"] =
            json!({ "HostedZoneId": "Z", "DNSName": "x", "EvaluateTargetHealth": false });
        let refusal = change(world, &[("CREATE", record)]).expect_err("refused");
        assert_eq!(refusal.code, "InvalidInput");
        assert!(
            refusal
                .message
                .contains("but found more than one in Change with [Action=CREATE")
        );
    }

    #[test]
    fn a_change_reaches_all_servers_after_half_a_minute() {
        let world = &mut world();
        world.instant = false;
        let answer = change(
            world,
            &[("UPSERT", plain("a.example.com", "A", &["192.0.2.1"]))],
        )
        .expect("changed");
        assert_eq!(answer["ChangeInfo"]["Status"], "PENDING");
        world.now += 30_000;
        let id = answer["ChangeInfo"]["Id"].clone();
        assert_eq!(
            tell(world, "GetChange", json!({ "Id": id }))["ChangeInfo"]["Status"],
            "INSYNC"
        );
        let refusal = ask(world, "GetChange", json!({ "Id": "/change/C0" })).expect_err("refused");
        assert_eq!(
            (refusal.code.as_str(), refusal.status),
            ("NoSuchChange", 404)
        );
    }

    #[test]
    fn what_the_internet_sees_is_in_the_most_specific_public_zone() {
        let world = &mut world();
        change(
            world,
            &[(
                "CREATE",
                plain("_x.a.example.com", "CNAME", &["y.acm-validations.aws"]),
            )],
        )
        .expect("changed");
        assert!(world.route53.record("_X.a.example.com", "CNAME").is_some());
        tell(
            world,
            "CreateHostedZone",
            json!({ "Name": "a.example.com", "CallerReference": "1" }),
        );
        assert!(world.route53.record("_x.a.example.com", "CNAME").is_none());
    }

    #[test]
    fn a_zone_with_records_of_its_own_stays() {
        let world = &mut world();
        let record = plain("a.example.com", "A", &["192.0.2.1"]);
        change(world, &[("CREATE", record.clone())]).expect("created");
        let input = json!({ "Id": zone(world) });
        assert_eq!(
            ask(world, "DeleteHostedZone", input.clone())
                .expect_err("refused")
                .code,
            "HostedZoneNotEmpty"
        );
        change(world, &[("DELETE", record)]).expect("deleted");
        tell(world, "DeleteHostedZone", input);
    }

    #[test]
    fn a_caller_reference_is_used_once() {
        let world = &mut world();
        let input = json!({ "Name": "example.org", "CallerReference": "1" });
        tell(world, "CreateHostedZone", input.clone());
        let refusal = ask(world, "CreateHostedZone", input).expect_err("refused");
        assert_eq!(
            (refusal.code.as_str(), refusal.status),
            ("HostedZoneAlreadyExists", 409)
        );
    }
}
