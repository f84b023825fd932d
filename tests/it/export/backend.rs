//! System S: what leads to a backend in the VPC is exported from either end, adopted and destroyed.

use serde_json::{Value, json};

use super::console::backend::{Speaks, definition};
use super::{actions, adopts, export_of, exported_by, made, plans_as_tags_alone};
use crate::support::{Scenario, canonical, differences};

const EXPORT: [&str; 5] = export_of("My-NLB");

fn exported(scenario: Scenario) -> Scenario {
    exported_by(EXPORT, scenario)
}

/// What is left of the kinds that a stack of system S has.
fn left(scenario: &Scenario) -> Vec<String> {
    let dump = scenario.dump();
    let region = &dump["regions"]["ap-northeast-1"];
    let kinds = [
        ("elbv2", "load_balancers"),
        ("elbv2", "listeners"),
        ("elbv2", "target_groups"),
        ("apigateway", "apis"),
        ("apigateway", "domains"),
        ("apigateway", "vpc_links"),
    ];
    let things = kinds.iter().flat_map(|(service, kind)| {
        let things = region[service][kind].as_object();
        things.into_iter().flat_map(|things| things.keys().cloned())
    });
    let zones = dump["route53"]["zones"].as_object().expect("is a map");
    let private = zones.keys().filter(|id| {
        let zone = zones[*id].to_string();
        zone.contains("internal.example")
    });
    things.chain(private.cloned()).collect()
}

#[test]
fn a_regional_api_and_its_backend_become_a_stack_by_tags_alone() {
    let mut scenario = exported(made(|console| {
        console.backend(Speaks::Tcp);
    }));
    let adopted = plans_as_tags_alone(&scenario);
    let expected = [
        "api",
        "api.deployment",
        "api.stage",
        "network_load_balancer",
        "network_load_balancer.listener",
        "network_load_balancer.target_group",
        "network_load_balancer.zone",
        "vpc_link",
    ];
    assert_eq!(adopted, expected);
    let text = scenario.read("stack.yaml");
    for part in [
        "endpoint_type: regional",
        "vpc_link: network_load_balancer",
        "insecure_skip_verification: true",
        "private_zone: internal.example",
        "evaluate_target_health: true",
        "vpc_link_name: my-vpc-link",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let api = scenario.read("api.json");
    assert!(api.contains("\"connectionId\": \"${vpc_link}\""), "{api}");
    let kinds = [
        "AddTags",
        "TagResource",
        "ChangeTagsForResource",
        "UpdateDeployment",
    ];
    let other = adopts(&scenario)
        .into_iter()
        .find(|one| !kinds.contains(&one.as_str()));
    assert_eq!(other, None);
    scenario.has_converged();
    let (without, _) = text.split_once("\nadopt:").expect("has the section");
    scenario.write("stack.yaml", without);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
    assert_eq!(left(&scenario), [""; 0]);
}

#[test]
fn a_listener_that_ends_tls_keeps_the_certificate_that_somebody_imported() {
    let scenario = exported(made(|console| {
        console.backend(Speaks::Tls);
    }));
    let text = scenario.read("stack.yaml");
    for part in [
        "protocol: tls",
        "ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06",
        "certificate:\n      arn: \"arn:aws:acm:",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    plans_as_tags_alone(&scenario);
    adopts(&scenario);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
    assert_eq!(left(&scenario), [""; 0]);
    let dump = scenario.dump();
    let certificates = &dump["regions"]["ap-northeast-1"]["acm"]["certificates"];
    assert_eq!(certificates.as_object().map(serde_json::Map::len), Some(1));
}

#[test]
fn a_custom_domain_leads_to_the_api_behind_it_and_on_to_its_backend() {
    let scenario = made(|console| {
        let made = console.backend(Speaks::Tcp);
        console.regional_domain(&made.api);
    });
    let export = ["export", "--domain", "backend.example.com", "--region"];
    scenario
        .run(export.into_iter().chain(["ap-northeast-1"]))
        .ok();
    let text = scenario.read("stack.yaml");
    assert!(text.contains("name: backend-example-com\n"), "{text}");
    let adopted = plans_as_tags_alone(&scenario);
    assert!(adopted.contains(&"domain".to_owned()), "{adopted:?}");
    assert!(adopted.contains(&"vpc_link".to_owned()), "{adopted:?}");
    adopts(&scenario);
    scenario.has_converged();
    let elsewhere = EXPORT.into_iter().chain(["--directory", "again"]);
    scenario.run(elsewhere).ok();
    let again = scenario.read("again/stack.yaml");
    assert!(again.contains("name: backend.example.com"), "{again}");
    scenario.run(["destroy", "--yes"]).ok();
    assert_eq!(left(&scenario), [""; 0]);
    let zones = scenario.dump()["route53"]["zones"].to_string();
    assert!(!zones.contains("backend.example.com"), "{zones}");
}

/// The private API of system P, whose methods lead on to a backend in the VPC.
fn private_chain() -> Scenario {
    made(|console| {
        let balancer = console.network_load_balancer();
        let group = console.network_target_group(Speaks::Tcp);
        console.network_listener(&balancer[0], &group, Speaks::Tcp);
        let link = console.vpc_link(&balancer[0]);
        console.private_apis_of(&definition(&link), true);
    })
}

#[test]
fn a_private_api_is_found_from_its_own_load_balancer_and_from_that_of_its_backend() {
    let front = private_chain();
    let back = front.fork();
    front.run(super::EXPORT).ok();
    back.run(EXPORT).ok();
    for scenario in [&front, &back] {
        let text = scenario.read("stack.yaml");
        for part in [
            "\nload_balancer:",
            "\nnetwork_load_balancer:",
            "\ntrust_store:",
        ] {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
        let adopted = plans_as_tags_alone(scenario);
        assert_eq!(adopted.len(), 15, "{adopted:?}");
        adopts(scenario);
        scenario.has_converged();
    }
    front.run(["destroy", "--yes"]).ok();
    assert_eq!(left(&front), [""; 0]);
}

#[test]
fn a_zone_with_something_else_in_it_is_used_and_never_changed() {
    let scenario = exported(made(|console| {
        let made = console.backend(Speaks::Tcp);
        console.alias_in(&made.zone, "other.internal.example", &made.balancer);
    }));
    let text = scenario.read("stack.yaml");
    assert!(text.contains("private_zone: Z"), "{text}");
    assert!(!text.contains("network_load_balancer.zone"), "{text}");
    assert!(
        text.contains("#   network_load_balancer: the record other.internal.example A"),
        "{text}"
    );
    plans_as_tags_alone(&scenario);
    adopts(&scenario);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
    let zones = scenario.dump()["route53"]["zones"].to_string();
    assert!(!zones.contains("backend.internal.example"), "{zones}");
    assert!(zones.contains("other.internal.example"), "{zones}");
}

#[test]
fn a_link_that_a_stage_variable_names_stays_somebody_elses() {
    let scenario = exported(made(|console| {
        let group = console.network_target_group(Speaks::Tcp);
        let balancer = console.network_load_balancer();
        console.network_listener(&balancer[0], &group, Speaks::Tcp);
        let link = console.vpc_link(&balancer[0]);
        let definition = definition("${stageVariables.link}");
        console.linked_api(&definition, &json!({ "link": link }));
    }));
    let text = scenario.read("stack.yaml");
    assert!(text.contains("#   vpc_link: `my-vpc-link` ("), "{text}");
    let adopted = {
        let plan = scenario.run(["plan", "--adopt", "--json"]).ok();
        actions(&plan)
    };
    assert!(!adopted.iter().any(|(address, _)| address == "vpc_link"));
    adopts(&scenario);
    scenario.has_converged();
}

#[test]
fn what_a_network_load_balancer_has_beyond_a_stack_file_is_told() {
    let scenario = made(|console| {
        let made = console.backend(Speaks::Tcp);
        console.second_network_listener(&made);
        console.set_group_attribute(&made.group, "preserve_client_ip.enabled", "true");
    });
    let outcome = scenario.run(EXPORT).ok();
    let outcome =
        outcome.says("warning: network_load_balancer: the listener on port 8443 (forward)");
    outcome.says(
        "warning: network_load_balancer.target_group: the attribute preserve_client_ip.enabled = true",
    );
}

#[test]
fn an_adoption_of_system_s_that_was_killed_is_finished_by_the_next() {
    let untouched = made(|console| {
        console.backend(Speaks::Tcp);
    });
    for fault in [
        "ChangeTagsForResource=deny",
        "TagResource#1=deny",
        "TagResource#2=deny",
        "AddTags#3=deny",
        "UpdateDeployment=deny",
    ] {
        let scenario = exported(untouched.fork());
        let before = canonical(&scenario.dump());
        {
            let _aws = scenario.serve(&["--fault", fault]);
            let cut_off = scenario.run(["apply", "--adopt", "--yes"]);
            assert_eq!(cut_off.code, 3, "{fault}: {cut_off}");
        }
        assert_ne!(differences(&before, &canonical(&scenario.dump())), [""; 0]);
        scenario.run(["apply", "--adopt", "--yes"]).ok();
        scenario.has_converged();
    }
}

#[test]
fn zones_and_links_of_another_stack_are_never_adopted() {
    let mut scenario = exported(made(|console| {
        console.backend(Speaks::Tcp);
    }));
    adopts(&scenario);
    let text = scenario
        .read("stack.yaml")
        .replace("name: my-nlb\n", "name: thief\n");
    scenario.write("stack.yaml", text);
    let before = canonical(&scenario.dump());
    let refused = scenario.run(["apply", "--adopt", "--yes"]).exits(1);
    for address in ["vpc_link", "network_load_balancer.zone", "api"] {
        assert!(
            refused.stderr.contains(&format!("`adopt.{address}`: ")),
            "{refused}"
        );
    }
    refused.says("belongs to the stack `my-nlb`, and is not adopted");
    assert_eq!(differences(&before, &canonical(&scenario.dump())), [""; 0]);
}

/// The ids that a stack file says are to be adopted, by address.
fn named(scenario: &Scenario, address: &str) -> Value {
    let text = scenario.read("stack.yaml");
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(&format!("{address}: ")));
    let (_, id) = line
        .and_then(|line| line.split_once(": "))
        .expect("is named");
    id.trim_matches('"').into()
}

#[test]
fn a_second_gateway_beside_the_first_is_refused_without_adoption() {
    let scenario = exported(made(|console| {
        console.backend(Speaks::Tcp);
    }));
    let refused = scenario.refuses(["plan"]);
    let refused = refused.says("take it over with `mtlsgw apply --adopt`");
    refused.says(named(&scenario, "vpc_link").as_str().expect("is text"));
}
