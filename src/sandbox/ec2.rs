//! EC2: VPCs, subnets, security groups, interface endpoints and the network interfaces of them all.

mod cidr;
mod interface;
mod network;
mod query;
mod route;
mod security_group;
mod tag;
mod vpc_endpoint;
mod zone;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::tracked::Tracked;
use super::world::{Call, Refusal, World, hex};
pub(super) use interface::{Attachment, NetworkInterface, attach, detach};
pub(super) use network::{Subnet, Vpc};
pub(super) use security_group::{Direction, SecurityGroup};
pub(super) use tag::tagged;
pub(super) use vpc_endpoint::VpcEndpoint;

/// What EC2 holds in one region.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    account: String,
    region: String,
    vpcs: BTreeMap<String, Vpc>,
    subnets: BTreeMap<String, Subnet>,
    internet_gateways: BTreeMap<String, route::InternetGateway>,
    route_tables: BTreeMap<String, route::RouteTable>,
    security_groups: Tracked<BTreeMap<String, SecurityGroup>>,
    network_interfaces: Tracked<BTreeMap<String, NetworkInterface>>,
    vpc_endpoints: Tracked<BTreeMap<String, VpcEndpoint>>,
}

/// Tags of a resource.
type Tags = BTreeMap<String, String>;

impl State {
    /// What a fresh account has in a region: the default VPC, its ids the same at every start.
    pub(super) fn fresh(region: &str, account: &str, _sequence: &mut u64) -> Self {
        let mut state = Self {
            account: account.to_owned(),
            region: region.to_owned(),
            ..Self::default()
        };
        state.furnish_network();
        state
    }

    /// The id of something that the account has without creating it.
    fn derived_id(&self, prefix: &str, what: &str) -> String {
        let digest = Sha256::digest(format!("{}/{}/{prefix}/{what}", self.account, self.region));
        format!("{prefix}-{}", &hex(&digest)[..17])
    }

    fn arn(&self, resource_type: &str, id: &str) -> String {
        let partition = match self.region.split_once('-') {
            Some(("cn", _)) => "aws-cn",
            Some(("us", rest)) if rest.starts_with("gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!(
            "arn:{partition}:ec2:{}:{}:{resource_type}/{id}",
            self.region, self.account
        )
    }
}

/// Operation and the top-level input members it models; any other member is refused by the wire
/// layer.
pub(super) const OPERATIONS: &[(&str, &[&str])] = &[
    ("AssociateRouteTable", &["RouteTableId", "SubnetId"]),
    ("AttachInternetGateway", &["InternetGatewayId", "VpcId"]),
    (
        "AuthorizeSecurityGroupEgress",
        &["GroupId", "IpPermissions", "TagSpecifications"],
    ),
    (
        "AuthorizeSecurityGroupIngress",
        &[
            "CidrIp",
            "FromPort",
            "GroupId",
            "GroupName",
            "IpPermissions",
            "IpProtocol",
            "TagSpecifications",
            "ToPort",
        ],
    ),
    ("CreateInternetGateway", &["TagSpecifications"]),
    (
        "CreateRoute",
        &["DestinationCidrBlock", "GatewayId", "RouteTableId"],
    ),
    (
        "CreateRouteTable",
        &["ClientToken", "TagSpecifications", "VpcId"],
    ),
    (
        "CreateSecurityGroup",
        &["Description", "GroupName", "TagSpecifications", "VpcId"],
    ),
    (
        "CreateSubnet",
        &[
            "AvailabilityZone",
            "CidrBlock",
            "TagSpecifications",
            "VpcId",
        ],
    ),
    ("CreateTags", &["Resources", "Tags"]),
    (
        "CreateVpc",
        &[
            "AmazonProvidedIpv6CidrBlock",
            "CidrBlock",
            "InstanceTenancy",
            "TagSpecifications",
        ],
    ),
    (
        "CreateVpcEndpoint",
        &[
            "ClientToken",
            "DnsOptions",
            "IpAddressType",
            "PolicyDocument",
            "PrivateDnsEnabled",
            "SecurityGroupIds",
            "ServiceName",
            "ServiceRegion",
            "SubnetConfigurations",
            "SubnetIds",
            "TagSpecifications",
            "VpcEndpointType",
            "VpcId",
        ],
    ),
    ("DeleteInternetGateway", &["InternetGatewayId"]),
    ("DeleteRoute", &["DestinationCidrBlock", "RouteTableId"]),
    ("DeleteRouteTable", &["RouteTableId"]),
    ("DeleteSecurityGroup", &["GroupId", "GroupName"]),
    ("DeleteSubnet", &["SubnetId"]),
    ("DeleteTags", &["Resources", "Tags"]),
    ("DeleteVpc", &["VpcId"]),
    ("DeleteVpcEndpoints", &["VpcEndpointIds"]),
    ("DescribeAvailabilityZones", &["Filters", "ZoneNames"]),
    (
        "DescribeInternetGateways",
        &["Filters", "InternetGatewayIds", "MaxResults", "NextToken"],
    ),
    (
        "DescribeNetworkInterfaces",
        &["Filters", "MaxResults", "NetworkInterfaceIds", "NextToken"],
    ),
    (
        "DescribePrefixLists",
        &["Filters", "MaxResults", "NextToken", "PrefixListIds"],
    ),
    (
        "DescribeRouteTables",
        &["Filters", "MaxResults", "NextToken", "RouteTableIds"],
    ),
    (
        "DescribeSecurityGroupRules",
        &["Filters", "MaxResults", "NextToken", "SecurityGroupRuleIds"],
    ),
    (
        "DescribeSecurityGroups",
        &[
            "Filters",
            "GroupIds",
            "GroupNames",
            "MaxResults",
            "NextToken",
        ],
    ),
    (
        "DescribeSubnets",
        &["Filters", "MaxResults", "NextToken", "SubnetIds"],
    ),
    ("DescribeTags", &["Filters", "MaxResults", "NextToken"]),
    ("DescribeVpcAttribute", &["Attribute", "VpcId"]),
    (
        "DescribeVpcEndpointServices",
        &["Filters", "MaxResults", "NextToken", "ServiceNames"],
    ),
    (
        "DescribeVpcEndpoints",
        &["Filters", "MaxResults", "NextToken", "VpcEndpointIds"],
    ),
    (
        "DescribeVpcs",
        &["Filters", "MaxResults", "NextToken", "VpcIds"],
    ),
    ("DetachInternetGateway", &["InternetGatewayId", "VpcId"]),
    ("DisassociateRouteTable", &["AssociationId"]),
    (
        "ModifySecurityGroupRules",
        &["GroupId", "SecurityGroupRules"],
    ),
    (
        "ModifyVpcAttribute",
        &[
            "EnableDnsHostnames",
            "EnableDnsSupport",
            "EnableNetworkAddressUsageMetrics",
            "VpcId",
        ],
    ),
    (
        "ModifyVpcEndpoint",
        &[
            "AddSecurityGroupIds",
            "AddSubnetIds",
            "DnsOptions",
            "IpAddressType",
            "PolicyDocument",
            "PrivateDnsEnabled",
            "RemoveSecurityGroupIds",
            "RemoveSubnetIds",
            "ResetPolicy",
            "SubnetConfigurations",
            "VpcEndpointId",
        ],
    ),
    (
        "RevokeSecurityGroupEgress",
        &["GroupId", "IpPermissions", "SecurityGroupRuleIds"],
    ),
    (
        "RevokeSecurityGroupIngress",
        &[
            "CidrIp",
            "FromPort",
            "GroupId",
            "GroupName",
            "IpPermissions",
            "IpProtocol",
            "SecurityGroupRuleIds",
            "ToPort",
        ],
    ),
    (
        "UpdateSecurityGroupRuleDescriptionsEgress",
        &["GroupId", "IpPermissions"],
    ),
    (
        "UpdateSecurityGroupRuleDescriptionsIngress",
        &["GroupId", "IpPermissions"],
    ),
];

/// Answers one call.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation {
        "AssociateRouteTable" => route::associate_route_table(world, call),
        "AttachInternetGateway" => route::attach_internet_gateway(world, call),
        "AuthorizeSecurityGroupEgress" => security_group::authorize(world, call, Direction::Egress),
        "AuthorizeSecurityGroupIngress" => {
            security_group::authorize(world, call, Direction::Ingress)
        }
        "CreateInternetGateway" => route::create_internet_gateway(world, call),
        "CreateRoute" => route::create_route(world, call),
        "CreateRouteTable" => route::create_route_table(world, call),
        "CreateSecurityGroup" => security_group::create_security_group(world, call),
        "CreateSubnet" => network::create_subnet(world, call),
        "CreateTags" => tag::create_tags(world, call),
        "CreateVpc" => network::create_vpc(world, call),
        "CreateVpcEndpoint" => vpc_endpoint::create_vpc_endpoint(world, call),
        "DeleteInternetGateway" => route::delete_internet_gateway(world, call),
        "DeleteRoute" => route::delete_route(world, call),
        "DeleteRouteTable" => route::delete_route_table(world, call),
        "DeleteSecurityGroup" => security_group::delete_security_group(world, call),
        "DeleteSubnet" => network::delete_subnet(world, call),
        "DeleteTags" => tag::delete_tags(world, call),
        "DeleteVpc" => network::delete_vpc(world, call),
        "DeleteVpcEndpoints" => Ok(vpc_endpoint::delete_vpc_endpoints(world, call)),
        "DescribeAvailabilityZones" => zone::describe_availability_zones(call),
        "DescribeInternetGateways" => route::describe_internet_gateways(world, call),
        "DescribeNetworkInterfaces" => interface::describe_network_interfaces(world, call),
        "DescribePrefixLists" => route::describe_prefix_lists(call),
        "DescribeRouteTables" => route::describe_route_tables(world, call),
        "DescribeSecurityGroupRules" => security_group::describe_security_group_rules(world, call),
        "DescribeSecurityGroups" => security_group::describe_security_groups(world, call),
        "DescribeSubnets" => network::describe_subnets(world, call),
        "DescribeTags" => tag::describe_tags(world, call),
        "DescribeVpcAttribute" => network::describe_vpc_attribute(world, call),
        "DescribeVpcEndpointServices" => vpc_endpoint::describe_vpc_endpoint_services(world, call),
        "DescribeVpcEndpoints" => vpc_endpoint::describe_vpc_endpoints(world, call),
        "DescribeVpcs" => network::describe_vpcs(world, call),
        "DetachInternetGateway" => route::detach_internet_gateway(world, call),
        "DisassociateRouteTable" => route::disassociate_route_table(world, call),
        "ModifySecurityGroupRules" => security_group::modify_security_group_rules(world, call),
        "ModifyVpcAttribute" => network::modify_vpc_attribute(world, call),
        "ModifyVpcEndpoint" => vpc_endpoint::modify_vpc_endpoint(world, call),
        "RevokeSecurityGroupEgress" => security_group::revoke(world, call, Direction::Egress),
        "RevokeSecurityGroupIngress" => security_group::revoke(world, call, Direction::Ingress),
        "UpdateSecurityGroupRuleDescriptionsEgress" => {
            security_group::update_descriptions(world, call, Direction::Egress)
        }
        "UpdateSecurityGroupRuleDescriptionsIngress" => {
            security_group::update_descriptions(world, call, Direction::Ingress)
        }
        operation => Err(Refusal::not_modelled(operation, "the operation")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What EC2 answers in us-east-1.
    #[expect(clippy::needless_pass_by_value, reason = "the tests pass literals")]
    pub(super) fn ask(world: &mut World, operation: &str, input: Value) -> Result<Value, Refusal> {
        let call = Call {
            operation,
            region: "us-east-1",
            input: &input,
            body: &[],
            endpoint: "http://127.0.0.1:1",
        };
        handle(world, &call)
    }

    /// What EC2 answers, where it must not refuse.
    pub(super) fn answer(world: &mut World, operation: &str, input: Value) -> Value {
        ask(world, operation, input).unwrap()
    }

    /// The code that EC2 refuses with.
    pub(super) fn refusal(world: &mut World, operation: &str, input: Value) -> String {
        ask(world, operation, input).unwrap_err().code
    }

    /// The texts at a JSON pointer of each element of a list.
    pub(super) fn each<'a>(list: &'a Value, pointer: &str) -> Vec<&'a str> {
        let elements = list.as_array().unwrap().iter();
        elements
            .map(|element| {
                element
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or("-")
            })
            .collect()
    }

    pub(super) fn fresh() -> World {
        World::fresh("123456789012")
    }

    /// An account in which things take their time.
    pub(super) fn patient() -> World {
        World {
            instant: false,
            now: 1_700_000_000_000,
            ..fresh()
        }
    }

    #[test]
    fn every_operation_of_the_table_is_answered() {
        for (operation, _) in OPERATIONS {
            let refused = ask(&mut fresh(), operation, json!({})).err();
            assert!(
                refused.is_none_or(|refusal| !refusal.message.contains("`the operation`")),
                "{operation}"
            );
        }
    }

    #[test]
    fn state_survives_being_stored() {
        let mut world = fresh();
        let before = answer(&mut world, "DescribeSecurityGroups", json!({}));
        let stored = serde_json::to_string(&world.regions).unwrap();
        world.regions = serde_json::from_str(&stored).unwrap();
        assert_eq!(
            answer(&mut world, "DescribeSecurityGroups", json!({})),
            before
        );
    }
}
