//! Errors of EC2.

use crate::explain::entry::{Entry, Kind};

const fn entry(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(
        Kind::Ec2,
        code,
        cause,
        fix,
        "EC2 API Reference, \"Error codes\"",
    )
}

const AGAIN: &str = "Run `mtlsgw apply` again; it plans anew from what is there.";

/// Errors of EC2.
pub(in crate::explain) const EC2: &[Entry] = &[
    entry("DependencyViolation", "Something still uses what is to be deleted: a network interface or a rule of another group the security group.", "Interfaces of load balancers and endpoints linger for minutes, and apply waits; then look who refers to the group."),
    entry("InvalidGroup.NotFound", "There is no such security group, or it is so new that it is not known everywhere.", AGAIN).at("load_balancer.security_groups"),
    entry("InvalidGroup.InUse", "Something still uses the security group.", "Wait for the network interfaces to go, and apply again."),
    entry("InvalidGroup.Duplicate", "A security group of this name exists in the VPC.", "Hand it over by its tags, delete it, or give the stack another name."),
    entry("InvalidGroup.Reserved", "The name `default` is AWS's own.", "Give the stack another name."),
    entry("InvalidPermission.Duplicate", "The security group has this rule already.", AGAIN),
    entry("InvalidPermission.NotFound", "The security group has no such rule any more.", AGAIN),
    entry("InvalidPermission.Malformed", "A rule of the security group is not possible.", "Look at the CIDRs in `load_balancer.allow`.").at("load_balancer.allow"),
    entry("InvalidSecurityGroupRuleId.NotFound", "There is no such rule any more.", AGAIN),
    entry("RulesPerSecurityGroupLimitExceeded", "The security group has as many rules as it may.", "Let fewer CIDRs in, or ask for more in Service Quotas.").at("load_balancer.allow"),
    entry("InvalidVpcID.NotFound", "There is no such VPC in this region.", "Look at `vpc` and `region`.").at("vpc"),
    entry("InvalidSubnetID.NotFound", "There is no such subnet in this region.", "Look at the ids of the subnets, and at the region.").at("endpoint.subnets"),
    entry("InvalidServiceName", "The endpoint service does not exist in this region.", "Look at the region.").at("region"),
    entry("VpcEndpointLimitExceeded", "The VPC has as many endpoints as it may.", "Use an existing one with `endpoint: { id: … }`, or ask for more in Service Quotas.").at("endpoint"),
    entry("InsufficientFreeAddressesInSubnet", "The subnet has no free address left for the endpoint.", "Choose another subnet.").at("endpoint.subnets"),
    entry("DuplicateSubnetsInSameZone", "Two subnets of the endpoint are in one availability zone.", "Name one a zone.").at("endpoint.subnets"),
    entry("InvalidVpcEndpointType", "The endpoint is of another type.", "Name an interface endpoint for execute-api.").at("endpoint.id"),
    entry("InvalidVpcEndpointId.NotFound", "There is no such endpoint any more.", AGAIN).at("endpoint"),
    entry("InvalidVpcEndpoint.NotFound", "There is no such endpoint any more.", AGAIN).at("endpoint"),
    entry("InvalidVpcEndpointId.Malformed", "The id of the endpoint is none.", "Ids begin with `vpce-`.").at("endpoint.id"),
    entry("InvalidParameter", "A value is not possible. For endpoints: private DNS needs a VPC with `enableDnsSupport` and `enableDnsHostnames`, and only one endpoint in it may have it.", "Leave `private_dns: false`, which this architecture does not need.").at("endpoint.private_dns"),
    entry("InvalidParameterValue", "A value is not possible; the message names it.", "Change the key of the stack file that the message is about."),
    entry("IdempotentParameterMismatch", "The same request was sent before with other values.", AGAIN),
    entry("RouteAlreadyExists", "The route table has such a route.", "This tool makes no gateway endpoints: look who did."),
];
