//! Listeners are never without somebody to forward to, and keep their place whatever they are called;
//! whom they trust no more needs no revocation.

use crate::acts::{assert_order, writes};
use crate::support::{Authority, Aws, PETSTORE, Scenario, authority};

/// A subnet of the default VPC, in which the endpoint's address is pinned.
const SUBNET: &str = "subnet-7c301d43bf26cc3c5";

const TARGETS: &str = "targets: [172.31.0.77], port: 443";

/// System P with the endpoint's address named as the target, so that other ports can lead to it.
fn pinned(listener: &str) -> Scenario {
    let endpoint = format!("{{ subnets: [{SUBNET}], addresses: {{ {SUBNET}: 172.31.0.77 }} }}");
    let group =
        format!("{{ {TARGETS}, health_check: {{ protocol: https, port: 443, matcher: 403 }} }}");
    let text = PETSTORE
        .replace("endpoint: {}", &format!("endpoint: {endpoint}"))
        .replace("target_group: {}", &format!("target_group: {group}"))
        .replace("listener: { mutual_authentication: verify }", listener);
    Scenario::stack(&text).applied()
}

/// What ELB says of the listener at an address.
fn described(scenario: &Scenario, address: &str) -> String {
    let arn = scenario.id(address);
    let call = [
        ("Action", "DescribeListeners"),
        ("ListenerArns.member.1", arn.as_str()),
    ];
    scenario.meanwhile(|aws| aws.query("elasticloadbalancing", &call).ok().body)
}

fn weights(scenario: &Scenario) -> usize {
    described(scenario, "listener").matches("<Weight>").count()
}

#[test]
fn a_listener_turns_to_another_group_only_when_its_targets_are_healthy() {
    let mut scenario = pinned("listener: {}");
    scenario.edit(TARGETS, "targets: [172.31.0.77], port: 8443");
    let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
    outcome.ok();
    let order = ["RegisterTargets", "ModifyListener", "DescribeTargetHealth"];
    let order = order.iter().chain(&["ModifyListener", "DeleteTargetGroup"]);
    let mut rest = calls.iter();
    for operation in order {
        let call = format!("elbv2:{operation}");
        assert!(rest.any(|other| *other == call), "{operation}: {calls:#?}");
    }
    scenario.has_converged();
    assert_eq!(weights(&scenario), 1);
}

#[test]
fn a_turn_that_was_interrupted_is_completed_or_taken_back() {
    for port in ["8443", "443", "9443"] {
        let mut scenario = pinned("listener: {}");
        scenario.edit(TARGETS, "targets: [172.31.0.77], port: 8443");
        let aws = scenario.serve(&["--fault", "ModifyListener#2x*=deny"]);
        scenario.run(["apply", "--yes"]).exits(3);
        drop(aws);
        assert_eq!(weights(&scenario), 2);
        scenario.edit("77], port: 8443", &format!("77], port: {port}"));
        scenario.run(["plan"]).ok().says("with weight 0");
        scenario.applies(&[]);
        assert_eq!(weights(&scenario), 1);
    }
}

#[test]
fn targets_that_never_become_healthy_replace_nobody() {
    let mut scenario = pinned("listener: {}");
    scenario.edit(TARGETS, "targets: [172.31.0.78], port: 443");
    for _ in 0..2 {
        let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
        outcome.exits(1).says("172.31.0.78: Target.Timeout");
        assert!(!writes(&calls).contains(&"DeregisterTargets".to_owned()));
    }
}

#[test]
fn targets_are_waited_for_only_as_long_as_a_listener_forwards_to_them() {
    let mut scenario = pinned("listener: {}");
    scenario.edit(TARGETS, "targets: [172.31.0.78], port: 443");
    scenario.edit("listener: {}\n", "");
    scenario.edit("record: { zone: example.com }\n", "");
    scenario.run(["apply", "--yes"]).ok();
    scenario.has_converged();
}

#[test]
fn a_listener_keeps_its_place_under_another_name() {
    let mut scenario = pinned("listener: { redirect_http: true }");
    let before = scenario.id("listener");
    scenario.edit("listener: {", "listeners: { public: {");
    scenario.edit("redirect_http: true }", "redirect_http: true } }");
    assert_eq!(scenario.applies(&[]), ["AddTags", "AddTags"]);
    assert_eq!(scenario.id("listeners.public"), before);
    scenario.edit("public:", "front:");
    assert_eq!(scenario.applies(&[]), ["AddTags", "AddTags"]);
}

#[test]
fn listeners_change_places_in_place() {
    let mut scenario = pinned("listeners: { a: { port: 443 }, b: { port: 8443 } }");
    let before = ["listeners.a", "listeners.b"].map(|address| scenario.id(address));
    scenario.edit(
        "a: { port: 443 }, b: { port: 8443 }",
        "b: { port: 443 }, a: { port: 8443 }",
    );
    assert_eq!(scenario.applies(&[]), ["AddTags", "AddTags"]);
    let after = ["listeners.b", "listeners.a"].map(|address| scenario.id(address));
    assert_eq!(after, before);
}

#[test]
fn a_domain_keeps_its_mappings_under_another_name() {
    let mut scenario = Scenario::petstore().applied();
    scenario.edit(
        "domain: { name: api.example.com }",
        "domains: { shop: { name: api.example.com } }",
    );
    scenario.edit("record: {", "record: { name: api.example.com,");
    assert_eq!(scenario.applies(&[]), ["TagResource"]);
}

/// Makes a load balancer as somebody else; gives its ARN.
fn load_balancer(aws: &Aws) -> String {
    let subnets = aws.query("ec2", &[("Action", "DescribeSubnets")]).ok().body;
    let mut subnets = subnets
        .split("<subnetId>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next());
    let call = [
        ("Action", "CreateLoadBalancer"),
        ("Name", "somebody-elses"),
        ("Subnets.member.1", subnets.next().expect("has three")),
        ("Subnets.member.2", subnets.next().expect("has three")),
        ("Subnets.member.3", subnets.next().expect("has three")),
    ];
    let made = aws.query("elasticloadbalancing", &call).ok();
    made.element("LoadBalancerArn")
}

#[test]
fn a_listener_on_an_existing_load_balancer_goes_with_its_stack() {
    for destroyed in [true, false] {
        let mut scenario = Scenario::petstore();
        let arn = scenario.meanwhile(load_balancer);
        let own = "load_balancer: {}";
        scenario.edit(own, &format!("load_balancer: {{ arn: '{arn}' }}"));
        let mut scenario = scenario.applied();
        if destroyed {
            scenario.run(["destroy", "--yes"]).ok();
        } else {
            scenario.edit("listener: { mutual_authentication: verify }\n", "");
            scenario.edit("record: { zone: example.com }\n", "");
            scenario.applies(&[]);
        }
        let call = [
            ("Action", "DescribeListeners"),
            ("LoadBalancerArn", arn.as_str()),
        ];
        let left = scenario.meanwhile(|aws| aws.query("elasticloadbalancing", &call).ok());
        assert!(!left.body.contains("<ListenerArn>"), "{left:#?}");
    }
}

#[test]
fn a_ca_goes_together_with_its_crl_without_being_asked_for_twice() {
    let mut scenario = Scenario::petstore();
    let (first, second) = (authority(), Authority::new("Second Root CA"));
    let both = format!("{}{}", first.certificate, second.certificate);
    scenario.write("root_cert.pem", both);
    scenario.write("second.crl", &second.crl);
    scenario.edit("crls: [root.crl]", "crls: [root.crl, second.crl]");
    let mut scenario = scenario.applied();
    scenario.edit("crls: [root.crl, second.crl]", "crls: [root.crl]");
    scenario.refuses(["apply", "--yes"]).says("widen");
    scenario.write("root_cert.pem", &first.certificate);
    let writes = scenario.applies(&[]);
    assert_order(
        &writes,
        &["ModifyTrustStore", "RemoveTrustStoreRevocations"],
    );
}
