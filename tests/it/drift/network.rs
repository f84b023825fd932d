//! Rows of EC2: security groups and the endpoint.

use serde_json::{Value, json};

use super::account::{Account, SUBNETS, THIRD_SUBNET};
use super::{Row, changed, gone};

/// The security group of the load balancer, and that of the endpoint.
const GROUPS: [&str; 2] = ["load_balancer.security_group", "endpoint.security_group"];

/// All rows of EC2.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = security_groups();
    rows.extend(endpoint());
    rows.extend(endpoint_groups());
    rows.extend(tags());
    rows.extend(deletions());
    rows
}

/// Adds or removes a rule that opens a port to a range.
pub(super) fn rule(account: &Account, action: &str, at: &str, (port, cidr): (&str, &str)) {
    let parameters = [
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", port),
        ("IpPermissions.1.ToPort", port),
        ("IpPermissions.1.IpRanges.1.CidrIp", cidr),
    ];
    account.ec2_at(action, ("GroupId", at), &parameters);
}

fn security_groups() -> Vec<Row> {
    const ADD: &str = "AuthorizeSecurityGroupIngress";
    const REMOVE: &str = "RevokeSecurityGroupIngress";
    const ALLOWED: (&str, &str) = ("443", "203.0.113.0/24");
    let [balancer, endpoint] = GROUPS;
    let mut rows = vec![
        changed(balancer, "ingress", Value::Null, move |account| {
            rule(account, ADD, balancer, ("22", "0.0.0.0/0"));
        }),
        changed(
            balancer,
            "ingress",
            json!(["tcp 80 203.0.113.0/24"]),
            move |account| {
                rule(account, REMOVE, balancer, ALLOWED);
            },
        ),
        changed(balancer, "ingress", Value::Null, move |account| {
            rule(account, REMOVE, balancer, ALLOWED);
            rule(account, ADD, balancer, ("443", "0.0.0.0/0"));
        }),
        changed(endpoint, "ingress", json!([]), move |account| {
            let balancers = account.id(balancer);
            let parameters = [
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "443"),
                ("IpPermissions.1.ToPort", "443"),
                ("IpPermissions.1.Groups.1.GroupId", balancers.as_str()),
            ];
            account.ec2_at(REMOVE, ("GroupId", endpoint), &parameters);
        }),
    ];
    rows.extend(GROUPS.map(|at| {
        changed(at, "egress", Value::Null, move |account| {
            let everybody = ("8443", "0.0.0.0/0");
            rule(account, "AuthorizeSecurityGroupEgress", at, everybody);
        })
    }));
    rows
}

fn modify_endpoint(account: &Account, parameters: &[(&str, &str)]) {
    account.ec2_at(
        "ModifyVpcEndpoint",
        ("VpcEndpointId", "endpoint"),
        parameters,
    );
}

fn endpoint() -> Vec<Row> {
    let at = "endpoint";
    let nobody = json!({"Version": "2012-10-17", "Statement": []}).to_string();
    vec![
        changed(
            at,
            "subnets",
            json!([SUBNETS[1], SUBNETS[0], THIRD_SUBNET]),
            |account| {
                modify_endpoint(account, &[("AddSubnetId.1", THIRD_SUBNET)]);
            },
        )
        .then("target_group.targets", "update"),
        changed(
            at,
            "addresses",
            json!({SUBNETS[0]: "172.31.0.99", SUBNETS[1]: "172.31.16.77"}),
            |account| {
                let parameters = [
                    ("SubnetConfiguration.1.SubnetId", SUBNETS[0]),
                    ("SubnetConfiguration.1.Ipv4", "172.31.0.99"),
                ];
                modify_endpoint(account, &parameters);
            },
        )
        .then("target_group.targets", "update"),
        changed(at, "private_dns", true, |account| {
            modify_endpoint(account, &[("PrivateDnsEnabled", "true")]);
        }),
        changed(at, "policy", Value::Null, move |account| {
            modify_endpoint(account, &[("PolicyDocument", &nobody)]);
        }),
    ]
}

/// Puts somebody else's group in place of the endpoint's own.
fn replace_group(account: &Account) {
    let (ours, theirs) = (account.id(GROUPS[1]), account.their_group());
    let groups = [
        ("AddSecurityGroupId.1", theirs.as_str()),
        ("RemoveSecurityGroupId.1", &ours),
    ];
    modify_endpoint(account, &groups);
}

fn endpoint_groups() -> Vec<Row> {
    let at = "endpoint";
    vec![
        changed(at, "security_groups", Value::Null, |account| {
            let theirs = account.their_group();
            modify_endpoint(account, &[("AddSecurityGroupId.1", &theirs)]);
        }),
        changed(at, "security_groups", Value::Null, replace_group),
    ]
}

/// Somebody gives a tag of ours another value, and takes one away.
fn tags() -> Vec<Row> {
    let rows = GROUPS.into_iter().chain(["endpoint"]).flat_map(|at| {
        let id = ("ResourceId.1", at);
        [
            changed(at, "tags.Team", "theirs", move |account| {
                let tag = [("Tag.1.Key", "Team"), ("Tag.1.Value", "theirs")];
                account.ec2_at("CreateTags", id, &tag);
            }),
            changed(at, "tags.Team", Value::Null, move |account| {
                let keys = [("Tag.1.Key", "Team"), ("Tag.2.Key", "mtlsgw:tags")];
                account.ec2_at("DeleteTags", id, &keys);
            })
            .and("tags.mtlsgw:tags", Value::Null),
        ]
    });
    rows.collect()
}

fn deletions() -> Vec<Row> {
    let [_, group] = GROUPS;
    vec![
        gone(group, move |account| {
            replace_group(account);
            account.ec2_at("DeleteSecurityGroup", ("GroupId", group), &[]);
        })
        .then("endpoint", "update"),
        gone("endpoint", |account| {
            account.ec2_at("DeleteVpcEndpoints", ("VpcEndpointId.1", "endpoint"), &[]);
        })
        .then("target_group.targets", "update")
        .then("api", "update")
        .then("api.deployment", "replace")
        .then("api.stage", "update"),
    ]
}
