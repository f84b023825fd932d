//! Hosted zones: made, shown, associated with networks, deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::name::Name;
use super::record::RecordSet;
use super::{State, bare, page_size, submit};
use crate::sandbox::world::{Call, Refusal, World};

/// One hosted zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Zone {
    /// Without `/hostedzone/`.
    pub(super) id: String,
    /// Not unique.
    pub(super) name: Name,
    caller_reference: String,
    comment: Option<String>,
    /// The networks that a private zone answers in; none for a public zone.
    pub(super) networks: Vec<Network>,
    /// Ordered by reversed labels, then type.
    pub(super) records: Vec<RecordSet>,
    /// User and owner tags.
    pub(super) tags: BTreeMap<String, String>,
}

/// A VPC and its region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Network {
    region: String,
    id: String,
}

/// Hosted zones per account: quota code and default.
const ZONES: (&str, u64) = ("L-4EA4796A", 500);

/// The name servers of every public zone; Route 53's own end with number 2047.
const PUBLIC_SERVERS: [&str; 4] = [
    "ns-2048.awsdns-64.com",
    "ns-2049.awsdns-65.net",
    "ns-2050.awsdns-66.org",
    "ns-2051.awsdns-67.co.uk",
];

/// The name servers that every private zone shows.
const PRIVATE_SERVERS: [&str; 4] = [
    "ns-1536.awsdns-00.co.uk",
    "ns-0.awsdns-00.com",
    "ns-1024.awsdns-00.org",
    "ns-512.awsdns-00.net",
];

impl Default for State {
    /// A fresh account's one zone.
    fn default() -> Self {
        let zone = Zone {
            id: "Z0EXAMPLE0COM0PUBLIC".to_owned(),
            caller_reference: "sandbox".to_owned(),
            ..Zone::new(Name::parse("example.com").expect("a domain name"), None)
        };
        Self {
            zones: BTreeMap::from([(zone.id.clone(), zone)]).into(),
            changes: BTreeMap::new(),
        }
    }
}

impl Zone {
    /// A zone with the two record sets that every zone is made with; private, with a network.
    fn new(name: Name, network: Option<Network>) -> Self {
        let servers = if network.is_some() {
            PRIVATE_SERVERS
        } else {
            PUBLIC_SERVERS
        };
        let servers: Vec<String> = servers.iter().map(|server| format!("{server}.")).collect();
        let start = format!(
            "{} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400",
            servers[0]
        );
        let records = vec![
            RecordSet::plain(&name, "NS", 172_800, servers),
            RecordSet::plain(&name, "SOA", 900, vec![start]),
        ];
        Self {
            id: String::new(),
            name,
            caller_reference: String::new(),
            comment: None,
            networks: network.into_iter().collect(),
            records,
            tags: BTreeMap::new(),
        }
    }

    /// Whether it is a private zone that a VPC asks.
    pub(super) fn is_in(&self, region: &str, vpc: &str) -> bool {
        let mut networks = self.networks.iter();
        networks.any(|network| network.region == region && network.id == vpc)
    }

    /// What zones are ordered by.
    pub(super) fn order(&self) -> (Vec<u8>, String) {
        (self.name.order(), self.id.clone())
    }

    /// The zone's record set of a name and type.
    pub(super) fn record(&self, name: &Name, record_type: &str) -> Option<&RecordSet> {
        self.records
            .iter()
            .find(|record| record.name == *name && record.record_type == record_type)
    }

    /// The zone as AWS answers it.
    fn view(&self) -> Value {
        json!({
            "Id": format!("/hostedzone/{}", self.id),
            "Name": self.name.as_str(),
            "CallerReference": self.caller_reference,
            "Config": { "Comment": self.comment, "PrivateZone": !self.networks.is_empty() },
            "ResourceRecordSetCount": self.records.len(),
        })
    }
}

impl Network {
    /// The VPC of the call.
    fn read(call: &Call<'_>) -> Result<Option<Self>, Refusal> {
        let given = &call.input["VPC"];
        if given.is_null() {
            return Ok(None);
        }
        call.models("VPC", given, &["VPCRegion", "VPCId"])?;
        let text = |member: &str| given[member].as_str().map(str::to_owned);
        match (text("VPCRegion"), text("VPCId")) {
            (Some(region), Some(id)) => Ok(Some(Self { region, id })),
            _ => Err(Refusal::new(
                "InvalidInput",
                "VPCRegion and VPCId must both be specified.",
            )),
        }
    }

    /// The VPC as AWS answers it.
    fn view(&self) -> Value {
        json!({ "VPCRegion": self.region, "VPCId": self.id })
    }
}

/// `CreateHostedZone`.
pub(super) fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let config = &call.input["HostedZoneConfig"];
    call.models("HostedZoneConfig", config, &["Comment", "PrivateZone"])?;
    let name = zone_name(call.required("Name"))?;
    let network = Network::read(call)?;
    let reference = call.required("CallerReference");
    if world
        .route53
        .zones
        .values()
        .any(|zone| zone.caller_reference == reference)
    {
        let message = "A hosted zone has already been created with the specified caller reference.";
        return Err(Refusal::new("HostedZoneAlreadyExists", message).with_status(409));
    }
    if network.is_none() && config["PrivateZone"].as_bool() == Some(true) {
        let message = "When you're creating a private hosted zone (when you specify true for \
                       PrivateZone), you must also specify values for VPCId and VPCRegion.";
        return Err(Refusal::new("InvalidInput", message));
    }
    if let Some(network) = &network {
        check_network(world, network, &name)?;
    }
    check_zone_quota(world)?;
    let zone = Zone {
        id: format!("Z{}", world.unique_hex(20).to_uppercase()),
        caller_reference: reference.to_owned(),
        comment: config["Comment"].as_str().map(str::to_owned),
        ..Zone::new(name, network)
    };
    let servers = if zone.networks.is_empty() {
        PUBLIC_SERVERS
    } else {
        PRIVATE_SERVERS
    };
    let answer = json!({
        "HostedZone": zone.view(),
        "ChangeInfo": submit(world, None),
        "DelegationSet": { "NameServers": servers },
        "VPC": zone.networks.first().map(Network::view),
        "Location": format!("https://route53.amazonaws.com/2013-04-01/hostedzone/{}", zone.id),
    });
    world.route53.zones.insert(zone.id.clone(), zone);
    Ok(answer)
}

/// The name of a new zone.
fn zone_name(text: &str) -> Result<Name, Refusal> {
    let invalid = || {
        Refusal::new(
            "InvalidDomainName",
            format!("{text} is not a valid domain name"),
        )
    };
    let name = Name::parse(text).map_err(|_| invalid())?;
    let is_top_level = name.as_str().matches('.').count() < 2;
    if is_top_level {
        Err(invalid())
    } else {
        Ok(name)
    }
}

/// Refuses one zone more than the account may have.
fn check_zone_quota(world: &World) -> Result<(), Refusal> {
    let quota = world.quota(ZONES.0, ZONES.1);
    if world.route53.zones.len() as u64 >= quota {
        let message = format!(
            "You can't create a hosted zone: the limit of {quota} hosted zones has been reached."
        );
        return Err(Refusal::new("TooManyHostedZones", message));
    }
    Ok(())
}

/// Refuses a VPC that does not exist or already has a zone of the name.
fn check_network(world: &mut World, network: &Network, name: &Name) -> Result<(), Refusal> {
    if world.region(&network.region).ec2.vpc(&network.id).is_none() {
        let message = format!(
            "The VPC ID {} does not exist in {}.",
            network.id, network.region
        );
        return Err(Refusal::new("InvalidVPCId", message));
    }
    let conflict = world
        .route53
        .zones
        .values()
        .find(|zone| zone.name == *name && zone.networks.contains(network));
    match conflict {
        Some(zone) => Err(Refusal::new(
            "ConflictingDomainExists",
            format!(
                "The VPC {} in region {} has already been associated with the hosted zone {} with \
                 the same domain name.",
                network.id, network.region, zone.id
            ),
        )),
        None => Ok(()),
    }
}

/// `DeleteHostedZone`.
pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let zone = world.route53.zone(call.required("Id"))?;
    let own = |record: &&RecordSet| {
        record.name == zone.name && matches!(record.record_type.as_str(), "SOA" | "NS")
    };
    if zone.records.iter().filter(own).count() < zone.records.len() {
        let message = "The specified hosted zone contains non-required resource record sets and so \
                       cannot be deleted.";
        return Err(Refusal::new("HostedZoneNotEmpty", message));
    }
    let id = zone.id.clone();
    world.route53.zones.remove(&id);
    Ok(json!({ "ChangeInfo": submit(world, None) }))
}

/// `GetHostedZone`.
pub(super) fn get(world: &World, call: &Call<'_>) -> Result<Value, Refusal> {
    let zone = world.route53.zone(call.required("Id"))?;
    let networks: Vec<Value> = zone.networks.iter().map(Network::view).collect();
    Ok(if networks.is_empty() {
        json!({ "HostedZone": zone.view(), "DelegationSet": { "NameServers": PUBLIC_SERVERS } })
    } else {
        json!({ "HostedZone": zone.view(), "VPCs": networks })
    })
}

/// `UpdateHostedZoneComment`.
pub(super) fn update_comment(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let zone = world.route53.zone_mut(call.required("Id"))?;
    zone.comment = call.text("Comment").map(str::to_owned);
    Ok(json!({ "HostedZone": zone.view() }))
}

/// `AssociateVPCWithHostedZone`.
pub(super) fn associate(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let zone = world.route53.zone(call.required("HostedZoneId"))?;
    let (id, name) = (zone.id.clone(), zone.name.clone());
    if zone.networks.is_empty() {
        let message = format!(
            "{id} is a public hosted zone; a VPC can only be associated with a private one."
        );
        return Err(Refusal::new("PublicZoneVPCAssociation", message));
    }
    let network = Network::read(call)?
        .ok_or_else(|| Refusal::new("InvalidInput", "VPC must be specified."))?;
    check_network(world, &network, &name)?;
    world.route53.zone_mut(&id)?.networks.push(network);
    Ok(json!({ "ChangeInfo": submit(world, call.text("Comment")) }))
}

/// `DisassociateVPCFromHostedZone`.
pub(super) fn disassociate(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let network = Network::read(call)?;
    let zone = world.route53.zone_mut(call.required("HostedZoneId"))?;
    let Some(index) = zone
        .networks
        .iter()
        .position(|known| Some(known) == network.as_ref())
    else {
        let message = "The specified VPC and hosted zone are not currently associated.";
        return Err(Refusal::new("VPCAssociationNotFound", message).with_status(404));
    };
    if zone.networks.len() == 1 {
        let message = "The VPC is the last one associated with the private hosted zone.";
        return Err(Refusal::new("LastVPCAssociation", message));
    }
    zone.networks.remove(index);
    Ok(json!({ "ChangeInfo": submit(world, call.text("Comment")) }))
}

/// `ListHostedZones`, in the order of ids.
pub(super) fn list(world: &World, call: &Call<'_>) -> Result<Value, Refusal> {
    let size = page_size(call, 100)?;
    let private_only = call.text("HostedZoneType").is_some();
    let marker = call.text("Marker").map(bare);
    let mut zones = world.route53.zones.values().filter(|zone| {
        marker.is_none_or(|marker| zone.id.as_str() >= marker)
            && !(private_only && zone.networks.is_empty())
    });
    let page: Vec<Value> = zones.by_ref().take(size).map(Zone::view).collect();
    let next = zones.next().map(|zone| zone.id.clone());
    Ok(json!({
        "HostedZones": page,
        "Marker": call.text("Marker").unwrap_or_default(),
        "IsTruncated": next.is_some(),
        "NextMarker": next,
        "MaxItems": size.to_string(),
    }))
}

/// `ListHostedZonesByName`: the name is where the list starts, not a filter.
pub(super) fn list_by_name(world: &World, call: &Call<'_>) -> Result<Value, Refusal> {
    let size = page_size(call, 100)?;
    let start = match call.text("DNSName").filter(|name| !name.is_empty()) {
        Some(text) => Name::parse(text)
            .map_err(|problem| Refusal::new("InvalidDomainName", problem))?
            .order(),
        None => Vec::new(),
    };
    let start_id = call.text("HostedZoneId").map(bare).unwrap_or_default();
    if start.is_empty() && !start_id.is_empty() {
        let message = "If you specify a value for hostedzoneid, you must also specify dnsname.";
        return Err(Refusal::new("InvalidInput", message));
    }
    let mut zones = world
        .route53
        .by_name()
        .into_iter()
        .skip_while(|zone| zone.order() < (start.clone(), start_id.to_owned()));
    let page: Vec<Value> = zones.by_ref().take(size).map(Zone::view).collect();
    let next = zones.next();
    Ok(json!({
        "HostedZones": page,
        "DNSName": call.text("DNSName"),
        "HostedZoneId": call.text("HostedZoneId"),
        "IsTruncated": next.is_some(),
        "NextDNSName": next.map(|zone| zone.name.as_str()),
        "NextHostedZoneId": next.map(|zone| zone.id.as_str()),
        "MaxItems": size.to_string(),
    }))
}

/// `GetHostedZoneCount`.
pub(super) fn count(world: &World) -> Value {
    json!({ "HostedZoneCount": world.route53.zones.len() })
}

/// `GetDNSSEC`: no zone is signed.
pub(super) fn signing(world: &World, call: &Call<'_>) -> Result<Value, Refusal> {
    world.route53.zone(call.required("HostedZoneId"))?;
    Ok(json!({ "Status": { "ServeSignature": "NOT_SIGNING" }, "KeySigningKeys": [] }))
}
