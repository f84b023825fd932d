//! VPCs and subnets.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cidr::Network;
use super::query::{Listing, only, tag_list, tags_on_create};
use super::security_group::SecurityGroup;
use super::zone::{zone_id, zone_of, zones};
use super::{State, Tags};
use crate::sandbox::world::{Call, Refusal, World};

/// A VPC.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Vpc {
    /// `vpc-` and 17 digits.
    pub(in crate::sandbox) id: String,
    /// The network that all subnets are part of.
    pub(in crate::sandbox) cidr: Network,
    /// Whether AWS made it with the account.
    pub(in crate::sandbox) is_default: bool,
    /// The attributes that are true, `EnableDnsSupport`.
    attributes: BTreeSet<String>,
    pub(super) tags: Tags,
}

/// A subnet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Subnet {
    /// `subnet-` and 17 digits.
    pub(in crate::sandbox) id: String,
    /// The VPC that it is part of.
    pub(in crate::sandbox) vpc_id: String,
    /// `us-east-1a`.
    pub(in crate::sandbox) availability_zone: String,
    /// The network that its addresses are taken from.
    pub(in crate::sandbox) cidr: Network,
    /// Whether it is its zone's default subnet.
    pub(in crate::sandbox) default_for_zone: bool,
    pub(super) tags: Tags,
}

const VPCS: Listing = Listing {
    output: "Vpcs",
    ids: "VpcIds",
    id: "VpcId",
    prefix: "vpc-",
    noun: "vpc ID",
    not_found: "InvalidVpcID.NotFound",
    malformed: "InvalidVpcId.Malformed",
    filters: &[
        ("cidr", "CidrBlock"),
        (
            "cidr-block-association.association-id",
            "CidrBlockAssociationSet.AssociationId",
        ),
        (
            "cidr-block-association.cidr-block",
            "CidrBlockAssociationSet.CidrBlock",
        ),
        (
            "cidr-block-association.state",
            "CidrBlockAssociationSet.CidrBlockState.State",
        ),
        ("dhcp-options-id", "DhcpOptionsId"),
        ("is-default", "IsDefault"),
        ("isDefault", "IsDefault"),
        ("owner-id", "OwnerId"),
        ("state", "State"),
        ("vpc-id", "VpcId"),
    ],
};

/// How subnets are found.
pub(super) const SUBNETS: Listing = Listing {
    output: "Subnets",
    ids: "SubnetIds",
    id: "SubnetId",
    prefix: "subnet-",
    noun: "subnet ID",
    not_found: "InvalidSubnetID.NotFound",
    malformed: "InvalidSubnetId.Malformed",
    filters: &[
        ("availability-zone", "AvailabilityZone"),
        ("availabilityZone", "AvailabilityZone"),
        ("availability-zone-id", "AvailabilityZoneId"),
        ("available-ip-address-count", "AvailableIpAddressCount"),
        ("cidr", "CidrBlock"),
        ("cidr-block", "CidrBlock"),
        ("cidrBlock", "CidrBlock"),
        ("default-for-az", "DefaultForAz"),
        ("defaultForAz", "DefaultForAz"),
        ("map-public-ip-on-launch", "MapPublicIpOnLaunch"),
        ("owner-id", "OwnerId"),
        ("state", "State"),
        ("subnet-arn", "SubnetArn"),
        ("subnet-id", "SubnetId"),
        ("vpc-id", "VpcId"),
    ],
};

impl Vpc {
    /// A VPC as it is when its creator says no more than its network: it resolves names, but gives
    /// none to hosts.
    fn new(id: &str, cidr: Network) -> Self {
        Self {
            id: id.to_owned(),
            cidr,
            is_default: false,
            attributes: BTreeSet::from(["EnableDnsSupport".to_owned()]),
            tags: Tags::new(),
        }
    }

    /// Says whether the attribute is true.
    pub(super) fn has(&self, attribute: &str) -> bool {
        self.attributes.contains(attribute)
    }

    fn describe(&self, state: &State) -> Value {
        let digits = self.id.trim_start_matches("vpc-");
        json!({
            "VpcId": self.id,
            "CidrBlock": self.cidr,
            "CidrBlockAssociationSet": [{
                "AssociationId": format!("vpc-cidr-assoc-{digits}"),
                "CidrBlock": self.cidr,
                "CidrBlockState": {"State": "associated"},
            }],
            "DhcpOptionsId": state.derived_id("dopt", "dhcp-options"),
            "InstanceTenancy": "default",
            "IsDefault": self.is_default,
            "OwnerId": state.account,
            "State": "available",
            "Tags": tag_list(&self.tags),
        })
    }
}

impl Subnet {
    fn describe(&self, state: &State, now: i64) -> Value {
        json!({
            "SubnetId": self.id,
            "SubnetArn": state.arn("subnet", &self.id),
            "VpcId": self.vpc_id,
            "AvailabilityZone": self.availability_zone,
            "AvailabilityZoneId": zone_id(&state.region, &self.availability_zone),
            "AvailableIpAddressCount": state.free_addresses(self, now),
            "CidrBlock": self.cidr,
            "DefaultForAz": self.default_for_zone,
            "MapPublicIpOnLaunch": self.default_for_zone,
            "AssignIpv6AddressOnCreation": false,
            "EnableDns64": false,
            "Ipv6Native": false,
            "OwnerId": state.account,
            "State": "available",
            "Tags": tag_list(&self.tags),
        })
    }
}

impl State {
    /// The VPC of that id.
    pub(in crate::sandbox) fn vpc(&self, id: &str) -> Option<&Vpc> {
        self.vpcs.get(id)
    }

    /// The subnet of that id.
    pub(in crate::sandbox) fn subnet(&self, id: &str) -> Option<&Subnet> {
        self.subnets.get(id)
    }

    /// The subnet of the VPC that the address is one of.
    pub(in crate::sandbox) fn subnet_around(
        &self,
        vpc_id: &str,
        address: std::net::Ipv4Addr,
    ) -> Option<&Subnet> {
        self.subnets
            .values()
            .find(|subnet| subnet.vpc_id == vpc_id && subnet.cidr.contains(address))
    }

    /// Furnishes the region with what AWS gives every account: a VPC with a public subnet in three
    /// zones.
    pub(super) fn furnish_network(&mut self) {
        let vpc = self.derived_id("vpc", "default");
        let mut default = Vpc::new(&vpc, known("172.31.0.0/16"));
        default.is_default = true;
        default.attributes.insert("EnableDnsHostnames".to_owned());
        self.vpcs.insert(vpc.clone(), default);
        for (zone, third) in zones(&self.region).into_iter().zip([0, 16, 32]) {
            let id = self.derived_id("subnet", &zone);
            let cidr = known(&format!("172.31.{third}.0/20"));
            let (vpc_id, availability_zone) = (vpc.clone(), zone);
            let subnet = Subnet {
                id: id.clone(),
                vpc_id,
                availability_zone,
                cidr,
                default_for_zone: true,
                tags: Tags::new(),
            };
            self.subnets.insert(id, subnet);
        }
        self.furnish_routes(&vpc);
        let rule_ids = [
            self.derived_id("sgr", "ingress"),
            self.derived_id("sgr", "egress"),
        ];
        let group = SecurityGroup::default_of(self.derived_id("sg", "default"), &vpc, rule_ids);
        self.add_security_group(group);
    }

    /// The VPC of that id, or AWS's words for its absence.
    pub(super) fn existing_vpc(&self, id: &str) -> Result<&Vpc, Refusal> {
        self.vpc(id).ok_or_else(|| VPCS.missing(id))
    }

    /// The subnet of that id, or AWS's words for its absence.
    pub(super) fn existing_subnet(&self, id: &str) -> Result<&Subnet, Refusal> {
        self.subnet(id).ok_or_else(|| SUBNETS.missing(id))
    }
}

/// A network that stands in the code.
pub(super) fn known(network: &str) -> Network {
    network.parse().expect("written correctly in the code")
}

/// Answers `DescribeVpcs`.
pub(super) fn describe_vpcs(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let state = &world.region(call.region).ec2;
    VPCS.answer(
        call,
        state.vpcs.values().map(|vpc| vpc.describe(state)).collect(),
    )
}

/// Answers `DescribeSubnets`.
pub(super) fn describe_subnets(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let state = &world.region(call.region).ec2;
    SUBNETS.answer(
        call,
        state
            .subnets
            .values()
            .map(|subnet| subnet.describe(state, now))
            .collect(),
    )
}

/// Answers `DescribeVpcAttribute`.
pub(super) fn describe_vpc_attribute(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let state = &world.region(call.region).ec2;
    let vpc = state.existing_vpc(call.required("VpcId"))?;
    let attribute = call.required("Attribute").replacen('e', "E", 1);
    let value = vpc.has(&attribute);
    Ok(json!({"VpcId": vpc.id, attribute: {"Value": value}}))
}

/// Answers `ModifyVpcAttribute`, which takes one attribute a call.
pub(super) fn modify_vpc_attribute(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = call.required("VpcId");
    let vpcs = &mut world.region(call.region).ec2.vpcs;
    let vpc = vpcs.get_mut(id).ok_or_else(|| VPCS.missing(id))?;
    let known = [
        "EnableDnsSupport",
        "EnableDnsHostnames",
        "EnableNetworkAddressUsageMetrics",
    ];
    let value = |attribute: &str| call.input.get(attribute)?.get("Value")?.as_bool();
    let mut given = known
        .into_iter()
        .filter_map(|attribute| Some((attribute, value(attribute)?)));
    match (given.next(), given.next()) {
        (Some((attribute, true)), None) => vpc.attributes.insert(attribute.to_owned()),
        (Some((attribute, false)), None) => vpc.attributes.remove(attribute),
        _ => {
            let message = "You must specify exactly one attribute to modify";
            return Err(Refusal::new("InvalidParameterCombination", message));
        }
    };
    Ok(json!({}))
}

/// Answers `CreateVpc`.
pub(super) fn create_vpc(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    only(call, "AmazonProvidedIpv6CidrBlock", "false")?;
    only(call, "InstanceTenancy", "default")?;
    let cidr = network_of(call)?;
    if !(16..=28).contains(&cidr.prefix()) {
        return Err(Refusal::new(
            "InvalidVpc.Range",
            format!("The CIDR '{cidr}' is invalid."),
        ));
    }
    let tags = tags_on_create(call, "vpc")?;
    let quota = world.quota("L-F678F1CE", 5);
    let ids = ["vpc", "rtb", "sg", "sgr", "sgr"]
        .map(|prefix| format!("{prefix}-{}", world.unique_hex(17)));
    let state = &mut world.region(call.region).ec2;
    if state.vpcs.len() as u64 >= quota {
        return Err(Refusal::new(
            "VpcLimitExceeded",
            "The maximum number of VPCs has been reached.",
        ));
    }
    let [id, route_table, group, ingress, egress] = ids;
    let vpc = Vpc {
        tags,
        ..Vpc::new(&id, cidr)
    };
    state.vpcs.insert(id.clone(), vpc);
    state.add_main_route_table(route_table, &id);
    state.add_security_group(SecurityGroup::default_of(group, &id, [ingress, egress]));
    Ok(json!({"Vpc": state.existing_vpc(&id)?.describe(state)}))
}

/// Answers `DeleteVpc`.
pub(super) fn delete_vpc(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let (now, id) = (world.now, call.required("VpcId"));
    let state = &mut world.region(call.region).ec2;
    state.existing_vpc(id)?;
    let is_used = state.subnets.values().any(|subnet| subnet.vpc_id == id)
        || state.has_internet_gateway(id)
        || state
            .security_groups_of(id)
            .any(|group| !group.is_default())
        || state.has_route_tables_besides_main(id)
        || state
            .vpc_endpoints
            .values()
            .any(|endpoint| endpoint.vpc_id == id && endpoint.exists(now));
    if is_used {
        let message = format!("The vpc '{id}' has dependencies and cannot be deleted.");
        return Err(Refusal::new("DependencyViolation", message));
    }
    state.remove_route_tables_of(id);
    state.remove_security_groups_of(id);
    state.vpcs.remove(id);
    Ok(json!({}))
}

/// Answers `CreateSubnet`.
pub(super) fn create_subnet(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let cidr = network_of(call)?;
    let (now, tags) = (world.now, tags_on_create(call, "subnet")?);
    let id = format!("subnet-{}", world.unique_hex(17));
    let state = &mut world.region(call.region).ec2;
    let vpc = state.existing_vpc(call.required("VpcId"))?;
    if !(16..=28).contains(&cidr.prefix()) || !vpc.cidr.covers(cidr) {
        return Err(Refusal::new(
            "InvalidSubnet.Range",
            format!("The CIDR '{cidr}' is invalid."),
        ));
    }
    if state
        .subnets
        .values()
        .any(|subnet| subnet.vpc_id == vpc.id && subnet.cidr.overlaps(cidr))
    {
        return Err(Refusal::new(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{cidr}' conflicts with another subnet"),
        ));
    }
    let subnet = Subnet {
        id: id.clone(),
        vpc_id: vpc.id.clone(),
        availability_zone: zone_of(call)?,
        cidr,
        default_for_zone: false,
        tags,
    };
    let described = subnet.describe(state, now);
    state.subnets.insert(id, subnet);
    Ok(json!({"Subnet": described}))
}

/// Answers `DeleteSubnet`.
pub(super) fn delete_subnet(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let (now, id) = (world.now, call.required("SubnetId"));
    let state = &mut world.region(call.region).ec2;
    let subnet = state.existing_subnet(id)?;
    if state.interfaces_in(subnet, now).next().is_some() {
        let message = format!("The subnet '{id}' has dependencies and cannot be deleted.");
        return Err(Refusal::new("DependencyViolation", message));
    }
    state.subnets.remove(id);
    state.forget_subnet(id);
    Ok(json!({}))
}

fn network_of(call: &Call<'_>) -> Result<Network, Refusal> {
    let Some(text) = call.text("CidrBlock") else {
        let message = "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.";
        return Err(Refusal::new("MissingParameter", message));
    };
    text.parse().map_err(|_| invalid_network("cidrBlock", text))
}

/// AWS's words for what is no network.
pub(super) fn invalid_network(parameter: &str, text: &str) -> Refusal {
    let message = format!(
        "Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block."
    );
    Refusal::new("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{answer, each, fresh, refusal};
    use super::*;

    fn subnet_in(world: &mut World, vpc: &Value, cidr: &str) -> Value {
        answer(
            world,
            "CreateSubnet",
            json!({"VpcId": vpc["VpcId"], "CidrBlock": cidr}),
        )["Subnet"]
            .clone()
    }

    #[test]
    fn a_fresh_region_has_a_default_vpc_with_three_public_subnets() {
        let mut world = fresh();
        let filters = json!([{"Name": "is-default", "Values": ["true"]}]);
        let vpcs = answer(&mut world, "DescribeVpcs", json!({"Filters": filters}))["Vpcs"].clone();
        assert_eq!(each(&vpcs, "/CidrBlock"), ["172.31.0.0/16"]);
        let filters = json!([{"Name": "default-for-az", "Values": ["true"]}]);
        let subnets =
            answer(&mut world, "DescribeSubnets", json!({"Filters": filters}))["Subnets"].clone();
        let mut zones = each(&subnets, "/AvailabilityZone");
        zones.sort_unstable();
        assert_eq!(zones, ["us-east-1a", "us-east-1b", "us-east-1c"]);
        assert_eq!(subnets[0]["AvailableIpAddressCount"], 4091);
        let state = &world.region("us-east-1").ec2;
        assert!(state.subnets.values().all(|subnet| state.is_public(subnet)));
    }

    #[test]
    fn ids_of_a_fresh_region_depend_on_account_and_region_only() {
        let ids = |account: &str, region: &str| -> Vec<String> {
            World::fresh(account)
                .region(region)
                .ec2
                .subnets
                .keys()
                .cloned()
                .collect()
        };
        assert_eq!(
            ids("123456789012", "us-east-1"),
            ids("123456789012", "us-east-1")
        );
        assert_ne!(
            ids("123456789012", "us-east-1"),
            ids("123456789012", "us-east-2")
        );
        assert_ne!(
            ids("123456789012", "us-east-1"),
            ids("210987654321", "us-east-1")
        );
    }

    #[test]
    fn subnets_lie_within_their_vpc_and_do_not_overlap() {
        let mut world = fresh();
        let vpc =
            answer(&mut world, "CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}))["Vpc"].clone();
        subnet_in(&mut world, &vpc, "10.0.1.0/24");
        let mut refused = |cidr: &str| {
            refusal(
                &mut world,
                "CreateSubnet",
                json!({"VpcId": vpc["VpcId"], "CidrBlock": cidr}),
            )
        };
        assert_eq!(refused("10.0.1.128/25"), "InvalidSubnet.Conflict");
        assert_eq!(refused("10.1.0.0/24"), "InvalidSubnet.Range");
        assert_eq!(refused("10.0.0"), "InvalidParameterValue");
    }

    #[test]
    fn a_vpc_goes_only_when_it_is_empty() {
        let mut world = fresh();
        let vpc =
            answer(&mut world, "CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}))["Vpc"].clone();
        let subnet = subnet_in(&mut world, &vpc, "10.0.1.0/24");
        let id = json!({"VpcId": vpc["VpcId"]});
        assert_eq!(
            refusal(&mut world, "DeleteVpc", id.clone()),
            "DependencyViolation"
        );
        answer(
            &mut world,
            "DeleteSubnet",
            json!({"SubnetId": subnet["SubnetId"]}),
        );
        answer(&mut world, "DeleteVpc", id);
        assert_eq!(
            refusal(
                &mut world,
                "DescribeVpcs",
                json!({"VpcIds": [vpc["VpcId"]]})
            ),
            "InvalidVpcID.NotFound"
        );
    }

    #[test]
    fn one_vpc_attribute_is_changed_at_a_time() {
        let mut world = fresh();
        let vpc =
            answer(&mut world, "CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}))["Vpc"]["VpcId"]
                .clone();
        let is_enabled = |world: &mut World| {
            let attribute = json!({"VpcId": vpc, "Attribute": "enableDnsHostnames"});
            answer(world, "DescribeVpcAttribute", attribute)["EnableDnsHostnames"]["Value"].clone()
        };
        assert_eq!(is_enabled(&mut world), false);
        let enable = json!({"VpcId": vpc, "EnableDnsHostnames": {"Value": true}});
        answer(&mut world, "ModifyVpcAttribute", enable);
        assert_eq!(is_enabled(&mut world), true);
        let both = json!({
            "VpcId": vpc,
            "EnableDnsHostnames": {"Value": true},
            "EnableDnsSupport": {"Value": true},
        });
        assert_eq!(
            refusal(&mut world, "ModifyVpcAttribute", both),
            "InvalidParameterCombination"
        );
    }
}
