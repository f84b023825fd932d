//! Where a load balancer's nodes are: subnets, zones and security groups, and the rules for them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::invalid;
use super::load_balancer::LoadBalancer;
use super::network::Type;
use crate::sandbox::world::{Call, Refusal, World};

/// One subnet that a load balancer has nodes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Placement {
    /// The availability zone, `us-east-1a`.
    pub(in crate::sandbox) zone: String,
    /// The subnet.
    pub(in crate::sandbox) subnet: String,
    /// The private address that was asked for, of an internal Network Load Balancer.
    #[serde(default)]
    pub(in crate::sandbox) address: Option<Ipv4Addr>,
}

/// The smallest subnets that an Application Load Balancer can be in.
const SMALLEST_PREFIX: u8 = 27;

/// How many addresses must be free in each subnet.
const FREE_ADDRESSES: u64 = 8;

/// The subnet ids.
pub(super) fn subnets(placements: &[Placement]) -> Vec<String> {
    placements
        .iter()
        .map(|placement| placement.subnet.clone())
        .collect()
}

/// The `AvailabilityZones` list.
pub(super) fn describe(placements: &[Placement]) -> Value {
    placements
        .iter()
        .map(|placement| {
            let addresses = placement.address.iter();
            let addresses: Vec<Value> = addresses
                .map(|address| json!({"PrivateIPv4Address": address.to_string()}))
                .collect();
            json!({
                "ZoneName": placement.zone,
                "SubnetId": placement.subnet,
                "LoadBalancerAddresses": addresses,
            })
        })
        .collect()
}

/// The placements that `CreateLoadBalancer` asks for.
pub(super) fn wanted(
    world: &mut World,
    call: &Call<'_>,
    of: (Type, &str),
) -> Result<Vec<Placement>, Refusal> {
    placements(world, call, of, &[])
}

/// The placements that `SetSubnets` asks for: in the VPC that the load balancer is in.
pub(super) fn changed(
    world: &mut World,
    call: &Call<'_>,
    load_balancer: &LoadBalancer,
) -> Result<Vec<Placement>, Refusal> {
    let of = (load_balancer.kind, load_balancer.scheme.as_str());
    let mut changed = placements(world, call, of, &load_balancer.placements)?;
    for placement in &mut changed {
        let held = load_balancer.placements.iter();
        let held = held
            .into_iter()
            .find(|held| held.subnet == placement.subnet);
        // A node that stays keeps its address.
        if let Some(held) = held {
            placement.address = held.address;
        }
    }
    if vpc(world, call, &changed)? != load_balancer.vpc {
        return Err(Refusal::new(
            "InvalidSubnet",
            format!("All subnets must be in VPC '{}'", load_balancer.vpc),
        ));
    }
    Ok(changed)
}

fn placements(
    world: &mut World,
    call: &Call<'_>,
    of: (Type, &str),
    held: &[Placement],
) -> Result<Vec<Placement>, Refusal> {
    let given = given(call, of)?;
    let mut placements = Vec::new();
    for (id, address) in given {
        let is_held = held.iter().any(|held| held.subnet == id);
        let zone = usable_zone(world, call, id, of, is_held)?;
        placements.push(Placement {
            zone,
            subnet: id.to_owned(),
            address,
        });
    }
    let zones: BTreeSet<&str> = placements
        .iter()
        .map(|placement| placement.zone.as_str())
        .collect();
    if placements.len() >= 2 && zones.len() < placements.len() {
        return Err(Refusal::new(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        ));
    }
    if placements.is_empty() {
        return Err(invalid("At least one subnet must be specified"));
    }
    if of.0 == Type::Application && zones.len() < 2 {
        return Err(invalid(
            "At least two subnets in two different Availability Zones must be specified",
        ));
    }
    placements.sort_by(|one, other| one.zone.cmp(&other.zone));
    Ok(placements)
}

/// The subnets by id, told in one of the two ways, with the addresses that are asked for.
fn given<'a>(
    call: &Call<'a>,
    (kind, scheme): (Type, &str),
) -> Result<Vec<(&'a str, Option<Ipv4Addr>)>, Refusal> {
    let mappings = call.list("SubnetMappings");
    let subnets = call.texts("Subnets");
    if !mappings.is_empty() && !subnets.is_empty() {
        return Err(invalid(
            "You must specify either subnets or subnet mappings, not both",
        ));
    }
    let known: &[&str] = match kind {
        Type::Application => &["SubnetId"],
        Type::Network => &["SubnetId", "PrivateIPv4Address"],
    };
    let mut given: Vec<(&str, Option<Ipv4Addr>)> =
        subnets.into_iter().map(|id| (id, None)).collect();
    for (index, mapping) in mappings.iter().enumerate() {
        call.models(&format!("SubnetMappings[{index}]"), mapping, known)?;
        let address = mapping["PrivateIPv4Address"].as_str();
        if address.is_some() && scheme != "internal" {
            return Err(invalid(
                "A private IPv4 address can only be specified for an internal load balancer",
            ));
        }
        let address = address.map(str::parse).transpose().map_err(|_| {
            let text = address.unwrap_or_default();
            invalid(format!("'{text}' is not a valid IPv4 address"))
        })?;
        given.push((mapping["SubnetId"].as_str().unwrap_or_default(), address));
    }
    given.sort_unstable();
    given.dedup_by_key(|(id, _)| *id);
    Ok(given)
}

/// The zone of a subnet that can take a node.
fn usable_zone(
    world: &mut World,
    call: &Call<'_>,
    id: &str,
    (kind, scheme): (Type, &str),
    is_held: bool,
) -> Result<String, Refusal> {
    let now = world.now;
    let ec2 = &world.region(call.region).ec2;
    let Some(subnet) = ec2.subnet(id) else {
        return Err(Refusal::new(
            "SubnetNotFound",
            format!("The subnet ID '{id}' does not exist"),
        ));
    };
    if scheme == "internet-facing" && !ec2.has_internet_gateway(&subnet.vpc_id) {
        return Err(Refusal::new(
            "InvalidSubnet",
            format!("VPC {} has no internet gateway", subnet.vpc_id),
        ));
    }
    if scheme == "internet-facing" && !ec2.is_public(subnet) {
        return Err(Refusal::new(
            "InvalidSubnet",
            format!("Subnet {id} has no route to an internet gateway"),
        ));
    }
    let too_small = kind == Type::Application && subnet.cidr.prefix() > SMALLEST_PREFIX;
    if !is_held && (too_small || ec2.free_addresses(subnet, now) < FREE_ADDRESSES) {
        return Err(Refusal::new(
            "InvalidSubnet",
            format!(
                "Not enough IP space available in {id}. ELB requires at least {FREE_ADDRESSES} \
                 free IP addresses in each subnet."
            ),
        ));
    }
    Ok(subnet.availability_zone.clone())
}

/// The one VPC that all placements are in.
pub(super) fn vpc(
    world: &mut World,
    call: &Call<'_>,
    placements: &[Placement],
) -> Result<String, Refusal> {
    let ec2 = &world.region(call.region).ec2;
    let vpcs: BTreeSet<&str> = placements
        .iter()
        .filter_map(|placement| ec2.subnet(&placement.subnet))
        .map(|subnet| subnet.vpc_id.as_str())
        .collect();
    match vpcs.into_iter().collect::<Vec<_>>().as_slice() {
        [only] => Ok((*only).to_owned()),
        _ => Err(Refusal::new(
            "InvalidConfigurationRequest",
            "All subnets must belong to the same VPC",
        )),
    }
}

/// The security groups of the call, the VPC's default one where none is given.
pub(super) fn security_groups(
    world: &mut World,
    call: &Call<'_>,
    vpc: &str,
) -> Result<Vec<String>, Refusal> {
    let ec2 = &world.region(call.region).ec2;
    let given = call.texts("SecurityGroups");
    if given.is_empty() {
        let default = ec2.default_security_group(vpc);
        return Ok(default.map(|group| group.id.clone()).into_iter().collect());
    }
    for id in &given {
        match ec2.security_group(id) {
            Some(group) if group.vpc_id == vpc => {}
            Some(_) => {
                return Err(Refusal::new(
                    "InvalidConfigurationRequest",
                    format!("The security group '{id}' does not belong to VPC '{vpc}'"),
                ));
            }
            None => {
                return Err(Refusal::new(
                    "InvalidSecurityGroup",
                    format!("The security group '{id}' does not exist"),
                ));
            }
        }
    }
    Ok(given.into_iter().map(str::to_owned).collect())
}
