//! Where things take their time, clients are led to nothing before it serves them.

use crate::acts::{APPLY, elb, vpc};
use crate::support::{Aws, PETSTORE, Scenario};
use crate::system_s;

/// One subnet in each of two availability zones.
const SUBNETS: [&str; 2] = ["subnet-7c301d43bf26cc3c5", "subnet-15b83436007d0d6f7"];

/// A stack with this endpoint and target group, applied where a minute takes half a second.
fn patient(endpoint: &str, target_group: &str) -> Scenario {
    let text = PETSTORE
        .replace("endpoint: {}", &format!("endpoint: {{ {endpoint} }}"))
        .replace(
            "target_group: {}",
            &format!("target_group: {{ {target_group} }}"),
        );
    let scenario = Scenario::stack(&text).env("MTLSGW_SANDBOX_TIMING", "x120");
    scenario.run(["apply", "--yes"]).ok();
    scenario
}

#[track_caller]
fn changes_unnoticed(scenario: &Scenario) {
    scenario.run(APPLY).ok();
    scenario.has_converged();
    assert_eq!(scenario.noticed(), [""; 0]);
}

#[test]
fn clients_do_not_notice_that_the_endpoint_moves_to_another_subnet() {
    let mut scenario = patient(&format!("subnets: [{}]", SUBNETS[0]), "");
    scenario.edit(SUBNETS[0], SUBNETS[1]);
    changes_unnoticed(&scenario);
}

#[test]
fn clients_do_not_notice_that_a_target_group_is_replaced() {
    let [subnet, _] = SUBNETS;
    let endpoint =
        format!("subnets: [{subnet}], addresses: {{ {subnet}: 172.31.0.77 }}, private_dns: false");
    let check = "health_check: { protocol: https, port: \"443\", matcher: \"403\" }";
    let mut scenario = patient(
        &endpoint,
        &format!("targets: [172.31.0.77], protocol: http, {check}"),
    );
    scenario.edit("protocol: http,", "protocol: https,");
    changes_unnoticed(&scenario);
}

/// A security group of somebody else's that lets everybody in at 443.
fn their_group(aws: &Aws) -> String {
    let vpc = vpc(aws);
    let create = [
        ("Action", "CreateSecurityGroup"),
        ("GroupName", "theirs"),
        ("GroupDescription", "everybody"),
        ("VpcId", &vpc),
    ];
    let group = aws.query("ec2", &create).ok().element("groupId");
    let authorize = [
        ("Action", "AuthorizeSecurityGroupIngress"),
        ("GroupId", &group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "443"),
        ("IpPermissions.1.ToPort", "443"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    aws.query("ec2", &authorize).ok();
    group
}

/// A load balancer of somebody else's in this group.
fn their_load_balancer(aws: &Aws, group: &str) -> String {
    let create = [
        ("Action", "CreateLoadBalancer"),
        ("Name", "theirs"),
        ("Subnets.member.1", SUBNETS[0]),
        ("Subnets.member.2", SUBNETS[1]),
        ("SecurityGroups.member.1", group),
    ];
    let created = aws.query("elasticloadbalancing", &create).ok();
    created.element("LoadBalancerArn")
}

#[test]
fn clients_do_not_notice_that_the_load_balancer_changes_its_groups() {
    let mut scenario = patient("", "");
    let group = scenario.meanwhile(their_group);
    let theirs = format!("load_balancer: {{ security_groups: [{group}] }}");
    scenario.edit("load_balancer: {}", &theirs);
    changes_unnoticed(&scenario);
    scenario.edit(&theirs, "load_balancer: {}");
    changes_unnoticed(&scenario);
}

#[test]
fn clients_do_not_notice_that_endpoint_and_load_balancer_change_their_groups_together() {
    let mut scenario = patient("private_dns: false", "");
    let group = scenario.meanwhile(their_group);
    let theirs = format!("security_groups: [{group}]");
    let balancer = format!("load_balancer: {{ {theirs} }}");
    scenario.edit(
        "endpoint: { private_dns: false }",
        &format!("endpoint: {{ {theirs} }}"),
    );
    scenario.edit("load_balancer: {}", &balancer);
    changes_unnoticed(&scenario);
    scenario.edit(&format!("endpoint: {{ {theirs} }}"), "endpoint: {}");
    scenario.edit(&balancer, "load_balancer: {}");
    changes_unnoticed(&scenario);
}

#[test]
fn clients_do_not_notice_that_another_load_balancer_takes_their_requests() {
    // In the zones that the other load balancer is in.
    let [one, other] = SUBNETS;
    let mut scenario = patient(&format!("subnets: [{one}, {other}]"), "");
    let balancer = scenario.meanwhile(|aws| their_load_balancer(aws, &their_group(aws)));
    let theirs = format!("load_balancer: {{ arn: \"{balancer}\" }}");
    scenario.edit("load_balancer: {}", &theirs);
    changes_unnoticed(&scenario);
    scenario.edit(&theirs, "load_balancer: {}");
    changes_unnoticed(&scenario);
}

#[test]
fn clients_have_forgotten_a_name_before_nobody_listens_there() {
    let mut scenario = patient("", "");
    scenario.edit("listener: { mutual_authentication: verify }\n", "");
    scenario.edit("record: { zone: example.com }\n", "");
    changes_unnoticed(&scenario);
}

#[test]
fn what_clients_would_notice_is_noted() {
    let scenario = patient("", "");
    let (listener, group) = (scenario.id("listener"), scenario.id("target_group"));
    scenario.meanwhile(|aws| {
        elb(
            aws,
            "ModifyListener",
            &[
                ("ListenerArn", &listener),
                ("DefaultActions.member.1.Type", "forward"),
                ("DefaultActions.member.1.TargetGroupArn", &group),
            ],
        );
    });
    assert_eq!(scenario.noticed(), [""; 0]);
    scenario.meanwhile(|aws| elb(aws, "DeleteListener", &[("ListenerArn", &listener)]));
    let noticed = scenario.noticed();
    let [one] = noticed.as_slice() else {
        panic!("{noticed:?}");
    };
    assert!(one.starts_with("DeleteListener: api.example.com leads to petstore-"));
    assert!(one.ends_with(", which does not listen"));
}

/// An API in front of a backend, applied where a minute takes half a second.
fn patient_backend() -> Scenario {
    let stack = "\
name: pets
region: ap-northeast-1
vpc: default
api: { openapi: openapi.yaml, endpoint_type: regional, vpc_link: network_load_balancer, insecure_skip_verification: true }
network_load_balancer:
  listener: { port: 443 }
  targets: [i-0a1b2c3d4e5f60001]
  private_zone: backend.internal
  name: pets.backend.internal
";
    let scenario = Scenario::stack(stack)
        .file("openapi.yaml", system_s::OPENAPI)
        .env("MTLSGW_SANDBOX_TIMING", "x120");
    scenario.run(["apply", "--yes"]).ok();
    // Nobody is led to what is not there yet, either.
    assert_eq!(scenario.noticed(), [""; 0]);
    scenario
}

#[test]
fn clients_of_an_api_do_not_notice_that_its_backend_moves_to_another_port_and_name() {
    let mut scenario = patient_backend();
    scenario.edit("port: 443", "port: 8443");
    scenario.edit("name: pets.backend", "name: all.pets.backend");
    let definition = system_s::OPENAPI.replace("backend.internal/", "backend.internal:8443/");
    scenario.write("openapi.yaml", definition);
    changes_unnoticed(&scenario);
}

#[test]
fn clients_of_an_api_do_not_notice_that_its_way_to_the_backend_is_replaced() {
    let mut scenario = patient_backend();
    scenario.edit("  targets:", "  scheme: internet-facing\n  targets:");
    changes_unnoticed(&scenario);
}
