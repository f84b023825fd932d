//! A network load balancer's own security group: it has one from the beginning or never.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::acts::assert_order;
use crate::support::Scenario;
use crate::system_s;

/// The group's address.
const GROUP: &str = "network_load_balancer.security_group";

/// The stack of system S, with these lines in its network load balancer.
fn with(lines: &str) -> Scenario {
    let mut scenario = system_s::scenario();
    scenario.edit(
        "  listener: { port: 443 }\n",
        &format!("  listener: {{ port: 443 }}\n{lines}"),
    );
    scenario
}

/// The one load balancer that there is.
fn balancer(scenario: &Scenario) -> Value {
    let dump = scenario.dump();
    let all = dump
        .pointer("/regions/ap-northeast-1/elbv2/load_balancers")
        .and_then(Value::as_object)
        .expect("is a map");
    let mut all = all.values();
    let only = all.next().expect("there is one").clone();
    assert!(all.next().is_none(), "there are more");
    only
}

#[test]
fn its_own_group_lets_in_to_the_listener_whom_the_file_allows_and_goes_with_it() {
    let scenario = with("  allow: [10.0.0.0/8]\n");
    let plan = scenario.run(["plan"]).ok();
    plan.says("ingress: [tcp 443 10.0.0.0/8]")
        .says("egress: [all 0.0.0.0/0]")
        .says("security_groups: (known after `network_load_balancer.security_group`)");
    let scenario = scenario.applied();
    let group = scenario.id(GROUP);
    let made = balancer(&scenario);
    assert_eq!(made["security_groups"], json!([group]));
    // What comes by VPC links has addresses of API Gateway's.
    assert_eq!(made["enforces_on_private_link"], false);
    let (destroyed, calls) = scenario.calls_of(["destroy", "--yes"]);
    destroyed.ok().says("Nothing is left.");
    let writes = crate::acts::writes(&calls);
    assert_order(&writes, &["DeleteLoadBalancer", "DeleteSecurityGroup"]);
}

#[test]
fn other_ranges_are_let_in_in_place_and_more_of_them_widen() {
    let mut scenario = with("  allow: [10.0.0.0/8]\n").applied();
    let before = scenario.id("network_load_balancer");
    scenario.edit("[10.0.0.0/8]", "[10.0.0.0/8, 192.168.0.0/16]");
    scenario
        .refuses(["apply", "--yes"])
        .says("access widens: network_load_balancer.security_group");
    scenario.applies(&["--allow-widening"]);
    scenario.edit("[10.0.0.0/8, 192.168.0.0/16]", "[]");
    scenario.applies(&[]);
    assert_eq!(scenario.id("network_load_balancer"), before);
}

#[test]
fn a_group_comes_and_goes_only_with_another_load_balancer() {
    let mut scenario = with("").applied();
    let without = scenario.id("network_load_balancer");
    // Whom a new group keeps out is no more access.
    scenario.edit("port: 443 }\n", "port: 443 }\n  allow: [10.0.0.0/8]\n");
    scenario
        .run(["plan"])
        .ok()
        .says("-/+ network_load_balancer ")
        .says("cannot be changed in place; the new one is made first");
    scenario.applies(&[]);
    let guarded = scenario.id("network_load_balancer");
    assert_ne!(guarded, without);
    scenario.edit("  allow: [10.0.0.0/8]\n", "");
    scenario
        .refuses(["apply", "--yes"])
        .says("access widens: network_load_balancer");
    scenario.applies(&["--allow-widening"]);
    assert_ne!(scenario.id("network_load_balancer"), guarded);
    assert_eq!(balancer(&scenario)["security_groups"], json!([]));
    let groups = scenario.dump().to_string();
    assert!(!groups.contains("mtlsgw-pets-network-load-balancer"));
}

#[test]
fn groups_are_refused_twice_and_empty_and_ranges_with_host_bits() {
    let refused = |lines: &str, message: &str| {
        with(lines).run(["validate"]).exits(1).says(message);
    };
    refused(
        "  allow: [10.0.0.0/8]\n  security_groups: [sg-0123456789abcdef0]\n",
        "`allow` has no effect beside `security_groups`",
    );
    refused("  security_groups: []\n", "lists no security group");
    refused("  allow: [10.1.2.3/8]\n", "write `10.0.0.0/8`");
    refused(
        "  allow: [10.0.0.0/8, 10.0.0.0/8]\n",
        "`10.0.0.0/8` is listed twice",
    );
}

#[test]
fn whom_the_group_does_not_let_in_hears_nothing() {
    let mut scenario = with("  scheme: internet-facing\n  allow: [10.9.0.0/16]\n");
    scenario.edit("  private_zone: backend.internal\n", "");
    scenario.edit("  name: pets.backend.internal\n", "");
    let mut scenario = scenario.applied();
    assert!(!is_answered(&scenario), "the client is on the internet");
    scenario.edit("[10.9.0.0/16]", "[0.0.0.0/0]");
    scenario.applies(&["--allow-widening"]);
    assert!(is_answered(&scenario), "everybody may come");
}

/// Whether the load balancer takes a client's connection: its backend closes each at once.
fn is_answered(scenario: &Scenario) -> bool {
    let balancer = balancer(scenario);
    let name = balancer["dns_name"].as_str().expect("has a name");
    let aws = scenario.aws();
    let path = format!("connect?host={name}&port=443");
    let place = aws.control("GET", &path, "").ok().value();
    let Some(place) = place["address"].as_str() else {
        return false;
    };
    let mut client = TcpStream::connect(place).expect("is listening");
    let patience = Some(Duration::from_millis(500));
    client.set_read_timeout(patience).expect("is not zero");
    client.read(&mut [0]).is_ok()
}
