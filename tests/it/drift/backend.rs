//! Rows of what leads from an API to a backend in the VPC.

use serde_json::{Value, json};

use super::account::{Account, patch_at};
use super::load_balancer::{Attributes, attributes};
use super::network::rule;
use super::{Row, changed, gone};
use crate::support::Scenario;

const BALANCER: &str = "network_load_balancer";
const GROUP: &str = "network_load_balancer.target_group";
const OWN_GROUP: &str = "network_load_balancer.security_group";
const ZONE: &str = "network_load_balancer.zone";
const RECORD: &str = "network_load_balancer.record.a";

/// An API that leads through a network load balancer with a security group of its own.
const STACK: &str = "\
name: drift
region: ap-northeast-1
vpc: default
tags: { Team: pki }
api:
  openapi: openapi.yaml
  endpoint_type: regional
  vpc_link: network_load_balancer
network_load_balancer:
  allow: [10.9.0.0/16]
  targets: [172.31.0.10]
  private_zone: backend.internal
";

/// The stack, with something that takes connections at its target.
pub(super) fn scenario() -> Scenario {
    let scenario = Scenario::stack(STACK).file(
        "openapi.yaml",
        crate::system_s::OPENAPI.replace("pets.backend", "backend"),
    );
    let host = [
        "sandbox",
        "host",
        "172.31.0.10:443",
        crate::system_s::backend(),
    ];
    scenario.run(host).ok();
    scenario
}

/// Makes a VPC of somebody else's.
pub(super) fn prepare(scenario: &mut Scenario) {
    scenario.meanwhile(|aws| {
        let vpc = [("Action", "CreateVpc"), ("CidrBlock", "10.9.0.0/16")];
        aws.query("ec2", &vpc).ok();
    });
}

/// What somebody sets the attributes of the load balancer to.
const BALANCER_ATTRIBUTES: Attributes = &[
    (
        "dns_record.client_routing_policy",
        "availability_zone_affinity",
    ),
    ("load_balancing.cross_zone.enabled", "true"),
];

/// What somebody sets the attributes of the target group to.
const GROUP_ATTRIBUTES: Attributes = &[
    (
        "deregistration_delay.connection_termination.enabled",
        "true",
    ),
    ("preserve_client_ip.enabled", "true"),
    (
        "target_health_state.unhealthy.connection_termination.enabled",
        "false",
    ),
];

/// All rows.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = own_group();
    rows.extend(way());
    rows
}

/// Rows of the security group, and of who is in it.
fn own_group() -> Vec<Row> {
    vec![
        changed(BALANCER, "security_groups", Value::Null, |account| {
            let theirs = account.their_group();
            let call = [("SecurityGroups.member.1", theirs.as_str())];
            account.elb_at("SetSecurityGroups", ("LoadBalancerArn", BALANCER), &call);
        }),
        changed(OWN_GROUP, "ingress", Value::Null, |account| {
            rule(
                account,
                "AuthorizeSecurityGroupIngress",
                OWN_GROUP,
                ("22", "0.0.0.0/0"),
            );
        }),
        changed(OWN_GROUP, "ingress", json!([]), |account| {
            let allowed = ("443", "10.9.0.0/16");
            rule(account, "RevokeSecurityGroupIngress", OWN_GROUP, allowed);
        }),
        changed(OWN_GROUP, "egress", Value::Null, |account| {
            let everybody = ("8443", "0.0.0.0/0");
            rule(
                account,
                "AuthorizeSecurityGroupEgress",
                OWN_GROUP,
                everybody,
            );
        }),
    ]
}

/// Rows of everything else.
fn way() -> Vec<Row> {
    vec![
        attributes(BALANCER, "LoadBalancer", BALANCER_ATTRIBUTES),
        attributes(GROUP, "TargetGroup", GROUP_ATTRIBUTES),
        changed(BALANCER, "filters_private_link", true, |account| {
            let group = account.id(OWN_GROUP);
            let enforce = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic";
            let call = [("SecurityGroups.member.1", group.as_str()), (enforce, "on")];
            account.elb_at("SetSecurityGroups", ("LoadBalancerArn", BALANCER), &call);
        }),
        changed("vpc_link", "name", "theirs", |account| {
            let path = format!("/vpclinks/{}", account.id("vpc_link"));
            patch_at(&account.aws, &path, &[("replace", "/name", "theirs")]);
        }),
        changed("vpc_link", "tags.Team", Value::Null, |account| {
            let arn = "arn%3Aaws%3Aapigateway%3Aap-northeast-1%3A%3A%2Fvpclinks%2F";
            let keys = "tagKeys=Team&tagKeys=mtlsgw%3Atags";
            let path = format!("/tags/{arn}{}?{keys}", account.id("vpc_link"));
            account.gateway("DELETE", &path, &Value::Null);
        })
        .and("tags.mtlsgw:tags", Value::Null),
        changed(ZONE, "vpc", Value::Null, |account| {
            associate(account, "associatevpc", &their_vpc(account));
            associate(account, "disassociatevpc", &crate::acts::vpc(&account.aws));
        })
        .afterwards(|account| associate(account, "disassociatevpc", &their_vpc(account))),
        changed(ZONE, "tags.Team", Value::Null, |account| {
            let body = "<ChangeTagsForResourceRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                <RemoveTagKeys><Key>Team</Key><Key>mtlsgw:tags</Key></RemoveTagKeys></ChangeTagsForResourceRequest>";
            let path = format!("/2013-04-01/tags/hostedzone/{}", account.id(ZONE));
            account.aws.rest(("route53", "POST", &path), body).ok();
        })
        .and("tags.mtlsgw:tags", Value::Null),
        gone(ZONE, |account| {
            delete_record(account);
            let path = format!("/2013-04-01/hostedzone/{}", account.id(ZONE));
            account.aws.rest(("route53", "DELETE", &path), "").ok();
        })
        .then(RECORD, "create"),
        gone("vpc_link", |account| {
            let api = format!("/restapis/{}", account.id("api"));
            account.gateway("DELETE", &api, &Value::Null);
            let link = format!("/vpclinks/{}", account.id("vpc_link"));
            account.gateway("DELETE", &link, &Value::Null);
        })
        .then("api", "create")
        .then("api.deployment", "create")
        .then("api.stage", "create"),
    ]
}

fn their_vpc(account: &Account) -> String {
    let vpcs = account.query("ec2", "DescribeVpcs", &[]);
    let theirs = vpcs
        .split("<item>")
        .find(|item| item.contains("10.9.0.0/16") && item.contains("<vpcId>"));
    let (_, rest) = theirs
        .and_then(|item| item.split_once("<vpcId>"))
        .expect("there is one");
    rest.split('<').next().expect("ends").to_owned()
}

/// Has the zone found from a VPC, or not any more.
fn associate(account: &Account, action: &str, vpc: &str) {
    let root = if action == "associatevpc" {
        "AssociateVPCWithHostedZoneRequest"
    } else {
        "DisassociateVPCFromHostedZoneRequest"
    };
    let body = format!(
        "<{root} xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><VPC><VPCRegion>ap-northeast-1</VPCRegion>\
         <VPCId>{vpc}</VPCId></VPC></{root}>"
    );
    let path = format!("/2013-04-01/hostedzone/{}/{action}", account.id(ZONE));
    account.aws.rest(("route53", "POST", &path), body).ok();
}

/// Deletes the alias as it stands.
fn delete_record(account: &Account) {
    let zone = account.id(ZONE);
    let path = format!("/2013-04-01/hostedzone/{zone}/rrset");
    let sets = account.aws.rest(("route53", "GET", &path), "").ok().body;
    let set = sets
        .split("<ResourceRecordSet>")
        .find(|set| set.contains("<AliasTarget>"))
        .and_then(|set| set.split("</ResourceRecordSet>").next())
        .expect("there is one");
    let body = format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>\
         <Change><Action>DELETE</Action><ResourceRecordSet>{set}</ResourceRecordSet></Change>\
         </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    );
    account.aws.rest(("route53", "POST", &path), body).ok();
}
