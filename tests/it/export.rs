//! What somebody made in the console is exported, adopted, and from then on a stack like any other.

mod backend;
mod console;
mod servers;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use self::console::Console;
use crate::acts::{assert_order, elb, writes};
use crate::support::{Authority, Outcome, Scenario, canonical, differences};

/// A directory whose sandbox has what `make` makes.
fn made(make: impl FnOnce(&Console<'_>)) -> Scenario {
    let scenario = Scenario::empty();
    scenario.meanwhile(|aws| make(&Console::new(aws)));
    scenario
}

const EXPORT: [&str; 5] = export_of("My-ALB");

/// The command that exports a load balancer.
const fn export_of(load_balancer: &'static str) -> [&'static str; 5] {
    [
        "export",
        "--load-balancer",
        load_balancer,
        "--region",
        "ap-northeast-1",
    ]
}

/// The same with its load balancer exported.
fn exported(scenario: Scenario) -> Scenario {
    exported_by(EXPORT, scenario)
}

/// The same after an export, which only reads.
fn exported_by(command: [&str; 5], scenario: Scenario) -> Scenario {
    let (outcome, calls) = scenario.calls_of(command);
    outcome.ok();
    assert_eq!(writes(&calls), [""; 0], "exporting only reads");
    scenario
}

/// The actions of a plan by address.
fn actions(outcome: &Outcome) -> Vec<(String, String)> {
    let plan = outcome.json();
    let changes = plan["stacks"][0]["changes"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("is text").to_owned();
    let action = |change: &Value| (text(&change["address"]), text(&change["action"]));
    changes.iter().map(action).collect()
}

/// What is adopted, and that nothing else is done but to the stack's bucket.
#[track_caller]
fn plans_as_tags_alone(scenario: &Scenario) -> Vec<String> {
    let plan = scenario.run(["plan", "--adopt", "--json"]).ok();
    let text = scenario.read("stack.yaml");
    assert_eq!(plan.json()["stacks"][0]["warnings"], json!([]), "{text}");
    let (adopted, others): (Vec<_>, Vec<_>) = actions(&plan)
        .into_iter()
        .filter(|(address, _)| !address.starts_with("bucket") && !address.starts_with("objects"))
        .partition(|(_, action)| action == "adopt");
    assert_eq!(others, [], "{text}");
    let mut adopted: Vec<String> = adopted.into_iter().map(|(address, _)| address).collect();
    adopted.sort();
    adopted
}

/// Adopts; gives the operations that changed something, without those of the stack's bucket.
#[track_caller]
fn adopts(scenario: &Scenario) -> Vec<String> {
    let before = canonical(&scenario.dump());
    let (outcome, calls) = scenario.calls_of(["apply", "--adopt", "--yes"]);
    outcome.ok();
    let changed = differences(&before, &canonical(&scenario.dump()));
    let is_tag = |one: &&String| {
        one.contains("mtlsgw") || one.contains("tags") || one.contains("description")
    };
    let others: Vec<&String> = changed.iter().filter(|one| !is_tag(one)).collect();
    assert_eq!(others, Vec::<&String>::new(), "adopting writes tags only");
    let mut writes = writes(&calls);
    let of_bucket = ["Bucket", "Object", "PublicAccess"];
    writes.retain(|one| !of_bucket.iter().any(|part| one.contains(part)));
    writes
}

#[test]
fn private_apis_made_in_the_console_become_a_stack_by_tags_alone() {
    let scenario = exported(made(|console| {
        console.private_apis(true);
    }));
    let unadopted = scenario.refuses(["plan"]);
    unadopted.says("take it over with `mtlsgw apply --adopt`");
    let plan = scenario.run(["plan", "--adopt", "--json"]).ok();
    let warnings = &plan.json()["stacks"][0]["warnings"];
    assert_eq!(warnings, &json!([]), "{}", scenario.read("stack.yaml"));
    let adopted: Vec<String> = actions(&plan)
        .into_iter()
        .filter(|(_, action)| action == "adopt")
        .map(|(address, _)| address)
        .collect();
    let expected = [
        "load_balancer.security_group",
        "endpoint.security_group",
        "endpoint",
        "api",
        "api.deployment",
        "api.stage",
        "domain",
        "load_balancer",
        "target_group",
        "trust_store",
        "listener",
    ];
    let mut sorted = (adopted, expected.map(str::to_owned).to_vec());
    sorted.0.sort();
    sorted.1.sort();
    assert_eq!(sorted.0, sorted.1);
    let others: Vec<_> = actions(&plan)
        .into_iter()
        .filter(|(address, action)| {
            action != "adopt" && !address.starts_with("bucket") && !address.contains("object")
        })
        .collect();
    assert_eq!(others, [], "nothing else is done");
    let writes = adopts(&scenario);
    let kinds = ["AddTags", "CreateTags", "TagResource", "UpdateDeployment"];
    let other = writes.iter().find(|one| !kinds.contains(&one.as_str()));
    assert_eq!(other, None);
    scenario.has_converged();
}

#[test]
fn what_has_been_adopted_is_known_by_its_tags_and_destroyed_without_a_trace() {
    let mut scenario = exported(made(|console| {
        console.private_apis(true);
    }));
    adopts(&scenario);
    let text = scenario.read("stack.yaml");
    let (without, _) = text.split_once("\nadopt:").expect("has the section");
    scenario.write("stack.yaml", without);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
    let dump = scenario.dump();
    let region = &dump["regions"]["ap-northeast-1"];
    for kind in [
        "load_balancers",
        "listeners",
        "target_groups",
        "trust_stores",
    ] {
        assert_eq!(region["elbv2"][kind], json!({}), "{kind}");
    }
    assert_eq!(region["apigateway"]["apis"], json!({}));
    assert_eq!(region["apigateway"]["domains"], json!({}));
    let zones = dump["route53"]["zones"].to_string();
    assert!(!zones.contains("api.example.com"), "{zones}");
    // The certificate was only referred to.
    let certificates = region["acm"]["certificates"].as_object().expect("a map");
    assert_eq!(certificates.len(), 1);
}

#[test]
fn an_adopted_gateway_keeps_what_its_stack_promises() {
    let scenario = Scenario::empty();
    for arguments in [
        &["pki", "ca", "root"][..],
        &["pki", "issue", "client"],
        &["pki", "issue", "revoked"],
        &["pki", "revoke", "revoked_cert.pem", "--crl"],
    ] {
        scenario.run_bare(arguments.iter().copied()).ok();
    }
    let trusted = ["cert.pem", "crl.pem"].map(|name| scenario.read(&format!("pki/root/{name}")));
    scenario.meanwhile(|aws| {
        let mut console = Console::new(aws);
        console.trusted = trusted;
        console.private_apis(true);
    });
    let mut scenario = exported(scenario);
    adopts(&scenario);
    let presents = "verify: { client_certificate: client_cert.pem, client_key: client_key.pem }\n";
    let text = scenario.read("stack.yaml");
    scenario.write("stack.yaml", format!("{text}{presents}"));
    scenario.run(["verify"]).ok();
}

#[test]
fn an_adoption_that_was_cut_off_is_finished_by_the_next() {
    let untouched = made(|console| {
        console.private_apis(true);
    });
    for fault in [
        "AddTags#2x*=deny",
        "CreateTags#2x*=deny",
        "TagResource#2x*=deny",
        "UpdateDeployment=deny",
    ] {
        let scenario = exported(untouched.fork());
        {
            let _aws = scenario.serve(&["--fault", fault]);
            let cut_off = scenario.run(["apply", "--adopt", "--yes"]);
            assert_eq!(cut_off.code, 3, "{fault}: {cut_off}");
        }
        scenario.run(["apply", "--adopt", "--yes"]).ok();
        scenario.has_converged();
    }
}

#[test]
fn an_adopted_gateway_changes_like_any_other() {
    let mut scenario = exported(made(|console| {
        console.private_apis(true);
    }));
    adopts(&scenario);
    let api = scenario.read("api.json");
    scenario.write("api.json", api.replace("petstore/pets", "petstore/dogs"));
    let writes = scenario.applies(&[]);
    let order = [
        "PutRestApi",
        "CreateDeployment",
        "UpdateStage",
        "DeleteDeployment",
    ];
    assert_order(&writes, &order);
    scenario.edit(
        "evaluate_target_health: true",
        "evaluate_target_health: false",
    );
    assert_eq!(scenario.applies(&[]), ["ChangeResourceRecordSets"]);
}

#[test]
fn groups_with_other_rules_and_apis_without_the_endpoint_are_said_to_be_so() {
    let scenario = exported(made(|console| {
        console.private_apis(false);
    }));
    let text = scenario.read("stack.yaml");
    assert_eq!(text.matches("security_groups: [sg-").count(), 2, "{text}");
    assert!(text.contains("associate_endpoint: false"), "{text}");
    adopts(&scenario);
    scenario.has_converged();
}

#[test]
fn a_domain_leads_to_its_load_balancer() {
    let scenario = made(|console| {
        console.private_apis(true);
    });
    let region = ["--region", "ap-northeast-1", "--name", "shop"];
    let domain = ["export", "--domain", "api.example.com"];
    scenario.run([&domain[..], &region[..]].concat()).ok();
    let text = scenario.read("stack.yaml");
    assert!(text.contains("name: shop\n"), "{text}");
    assert!(text.contains("loadbalancer/app/My-ALB/"), "{text}");
    let nobody = ["export", "--domain", "other.example.org", "--force"];
    let refused = scenario.run([&nobody[..], &region[..]].concat()).exits(1);
    refused.says("nothing leads from `other.example.org` to a load balancer");
}

#[test]
fn files_that_are_there_are_kept_unless_they_may_be_replaced() {
    let mut scenario = made(|console| {
        console.private_apis(true);
    });
    scenario.write("ca_bundle.pem", "mine");
    let refused = scenario.run(EXPORT).exits(1);
    refused.says("ca_bundle.pem");
    assert_eq!(scenario.read("ca_bundle.pem"), "mine");
    assert!(!scenario.path("stack.yaml").exists(), "all files or none");
    scenario.run(EXPORT.iter().copied().chain(["--force"])).ok();
    assert!(
        scenario
            .read("ca_bundle.pem")
            .starts_with("-----BEGIN CERTIFICATE")
    );
}

#[test]
fn exported_files_are_for_everybody_and_hold_no_key() {
    let scenario = exported(made(servers));
    for entry in fs::read_dir(scenario.path("")).expect("is a directory") {
        let path = entry.expect("is readable").path();
        if !path.is_file() {
            continue;
        }
        let mode = path.metadata().expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{}", path.display());
        let text = fs::read_to_string(&path).expect("is text");
        assert!(!text.contains("PRIVATE KEY"), "{}", path.display());
    }
}

/// System C: two servers behind client certificates, with an imported certificate and a redirect.
fn servers(console: &Console<'_>) {
    let front = console.group("web", "0.0.0.0/0");
    let targets = ["172.31.0.100", "172.31.16.100"].map(str::to_owned);
    let group = console.target_group(("HTTP", "80"), "200", &targets);
    let certificate = console.imported_certificate(&["www.example.com"]);
    let store = console.trust_store();
    let balancer = console.load_balancer(&front);
    console.listener((&balancer[0], &certificate, &group), Some(&store));
    console.redirect(&balancer[0]);
    console.alias("www.example.com", &balancer);
}

#[test]
fn servers_behind_client_certificates_become_a_stack_by_tags_alone() {
    let scenario = exported(made(servers));
    let text = scenario.read("stack.yaml");
    for part in [
        "targets: [\"172.31.0.100\", \"172.31.16.100\"]",
        "protocol: http",
        "redirect_http: true",
        "certificate:\n  arn: \"arn:aws:acm:",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let plan = scenario.run(["plan", "--adopt", "--json"]).ok();
    assert_eq!(plan.json()["stacks"][0]["warnings"], json!([]), "{text}");
    adopts(&scenario);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
}

#[test]
fn a_load_balancer_that_asks_nobody_is_exported_as_it_is() {
    let scenario = exported(made(|console| {
        let front = console.group("web", "10.0.0.0/8");
        let group = console.target_group(("HTTPS", "8443"), "200", &["172.31.0.100".to_owned()]);
        let certificate = console.imported_certificate(&["www.example.com"]);
        let balancer = console.load_balancer(&front);
        console.listener((&balancer[0], &certificate, &group), None);
    }));
    let text = scenario.read("stack.yaml");
    assert!(text.contains("mutual_authentication: \"off\""), "{text}");
    assert!(text.contains("allow: [\"10.0.0.0/8\"]"), "{text}");
    assert!(!text.contains("trust_store"), "{text}");
    adopts(&scenario);
    scenario.has_converged();
}

#[test]
fn instances_become_targets_by_their_ids() {
    let scenario = exported(made(|console| {
        let front = console.group("web", "0.0.0.0/0");
        let targets = ["i-0a1b2c3d4e5f60001", "i-0a1b2c3d4e5f60002"].map(str::to_owned);
        let group = console.target_group(("HTTP", "8080"), "200", &targets);
        let certificate = console.imported_certificate(&["www.example.com"]);
        let balancer = console.load_balancer(&front);
        console.listener((&balancer[0], &certificate, &group), None);
    }));
    let text = scenario.read("stack.yaml");
    let targets = "targets: [i-0a1b2c3d4e5f60001, i-0a1b2c3d4e5f60002]";
    assert!(text.contains(targets), "{text}");
    adopts(&scenario);
    scenario.has_converged();
}

/// A stack that would adopt a trust store that is not there.
const ASTRAY: &str = r#"name: astray
region: ap-northeast-1
trust_store: { ca_bundle: [ca_bundle.pem] }
adopt: { trust_store: "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:truststore/None/0123456789abcdef" }
"#;

#[test]
fn an_id_that_leads_nowhere_stops_the_adoption_of_its_own_stack_only() {
    let mut scenario = exported(made(servers));
    scenario.write("astray.yaml", ASTRAY);
    let adopt = ["--adopt", "stack.yaml", "astray.yaml"];
    let plan = scenario.run(["plan"].into_iter().chain(adopt)).exits(1);
    plan.says("`adopt.trust_store`: ");
    let applied = scenario
        .run(["apply", "--yes"].into_iter().chain(adopt))
        .exits(3);
    applied.says("`adopt.trust_store`: ");
    scenario.has_converged();
}

#[test]
fn what_two_stacks_name_is_adopted_by_neither() {
    let mut scenario = exported(made(servers));
    let text = scenario.read("stack.yaml");
    scenario.write("thief.yaml", text.replace("name: my-alb", "name: thief"));
    let before = canonical(&scenario.dump());
    let refused = scenario
        .run(["apply", "--adopt", "--yes", "stack.yaml", "thief.yaml"])
        .exits(1);
    let refused = refused.says("the stack `my-alb` names `arn:");
    refused.says("the stack `thief` names `arn:");
    assert_eq!(differences(&before, &canonical(&scenario.dump())), [""; 0]);
}

#[test]
fn a_directory_of_stacks_is_adopted_in_one_run() {
    let scenario = made(|console| {
        console.private_apis(true);
        console.backend(backend_speaks());
    });
    for (balancer, directory) in [("My-ALB", "stacks/front"), ("My-NLB", "stacks/back")] {
        let export = ["export", "--load-balancer", balancer, "--region"];
        let there = ["ap-northeast-1", "--directory", directory];
        scenario.run(export.into_iter().chain(there)).ok();
    }
    let files = ["stacks/front/stack.yaml", "stacks/back/stack.yaml"];
    let plan = scenario.run(["plan", "--adopt", "--json"].into_iter().chain(files));
    let plan = plan.ok().json();
    let stacks = plan["stacks"].as_array().expect("is a list");
    assert_eq!(stacks.len(), 2);
    assert!(stacks.iter().all(|one| one["warnings"] == json!([])));
    let before = canonical(&scenario.dump());
    let adopt = ["apply", "--adopt", "--yes"].into_iter().chain(files);
    scenario.run(adopt).ok();
    let changed = differences(&before, &canonical(&scenario.dump()));
    let is_tag = |one: &&String| {
        one.contains("mtlsgw") || one.contains("tags") || one.contains("description")
    };
    let others: Vec<&String> = changed.iter().filter(|one| !is_tag(one)).collect();
    assert_eq!(others, Vec::<&String>::new());
    let plan = scenario.run(["plan", "--detailed-exitcode"].into_iter().chain(files));
    plan.ok();
}

/// TLS that goes through to the backend.
fn backend_speaks() -> console::backend::Speaks {
    console::backend::Speaks::Tcp
}

#[test]
fn a_domain_that_two_stacks_want_is_adopted_by_neither() {
    let mut scenario = exported(made(|console| {
        console.private_apis(true);
    }));
    let rival = "name: rival\nregion: ap-northeast-1\ncertificate: { arn: CERTIFICATE }\n\
                 api: { sample: petstore, endpoint_type: regional }\ndomain: { name: api.example.com }\n";
    let text = scenario.read("stack.yaml");
    let (_, rest) = text.split_once("certificate:\n  arn: ").expect("is there");
    let arn = rest.lines().next().expect("ends");
    scenario.write("rival.yaml", rival.replace("CERTIFICATE", arn));
    let before = canonical(&scenario.dump());
    let adopt = ["apply", "--adopt", "--yes", "stack.yaml", "rival.yaml"];
    let refused = scenario.run(adopt).exits(1);
    let refused = refused.says("`rival`");
    refused.says("`my-alb`");
    assert_eq!(differences(&before, &canonical(&scenario.dump())), [""; 0]);
}

#[test]
fn a_saved_plan_is_not_adopted() {
    let scenario = exported(made(servers));
    scenario.run(["apply", "--adopt", "--yes"]).ok();
    scenario.run(["plan", "--out", "saved.plan"]).ok();
    let refused = scenario.refuses(["apply", "--adopt", "saved.plan"]);
    refused.says("a saved plan says itself what is done");
}

#[test]
fn what_another_stack_has_is_never_adopted() {
    let mut scenario = exported(made(servers));
    adopts(&scenario);
    let text = scenario
        .read("stack.yaml")
        .replace("name: my-alb", "name: thief");
    scenario.write("stack.yaml", text);
    let before = canonical(&scenario.dump());
    for verb in [
        &["plan", "--adopt"][..],
        &["apply", "--adopt", "--yes"],
        &["plan"],
    ] {
        let refused = scenario.run(verb.iter().copied()).exits(1);
        refused.says("belongs to the stack `my-alb`, and is not adopted");
    }
    assert_eq!(differences(&before, &canonical(&scenario.dump())), [""; 0]);
}

#[test]
fn what_differs_is_told_and_left_as_it_is() {
    let mut scenario = exported(made(servers));
    scenario.edit(
        "protocol: http",
        "protocol: http\n  deregistration_delay_seconds: 30",
    );
    let plan = scenario.run(["plan", "--adopt"]).ok();
    plan.says("warning: target_group: would be changed: attributes.deregistration_delay");
    adopts(&scenario);
    let plan = scenario.run(["plan", "--detailed-exitcode"]).exits(2);
    plan.says("attributes.deregistration_delay.timeout_seconds: 300 -> 30");
    scenario.applies(&[]);
}

#[test]
fn what_would_have_to_be_replaced_is_not_adopted() {
    let mut scenario = exported(made(servers));
    scenario.edit("protocol: http", "protocol: https\n  port: 80");
    let refused = scenario.refuses(["apply", "--adopt", "--yes"]);
    refused.says("`target_group`: protocol (HTTP -> HTTPS)");
}

#[test]
fn an_id_that_leads_nowhere_is_named() {
    let mut scenario = exported(made(servers));
    let text = scenario.read("stack.yaml");
    let (head, tail) = text.split_once("\nadopt:").expect("has the section");
    let tail = tail.replacen("/My-Trust-Store/", "/My-Trust-Stone/", 1);
    scenario.write("stack.yaml", format!("{head}\nadopt:{tail}"));
    let refused = scenario.refuses(["plan", "--adopt"]);
    refused.says("`adopt.trust_store`: ");
    refused_address(&mut scenario);
}

fn refused_address(scenario: &mut Scenario) {
    let text = scenario.read("stack.yaml");
    scenario.write(
        "stack.yaml",
        format!(
            "{}  endpoint: vpce-1\n",
            text.split("\n#   ").next().expect("text")
        ),
    );
    scenario
        .refuses(["plan"])
        .says("the stack has nothing of its own at `endpoint` that could be adopted");
}

#[test]
fn rules_and_other_listeners_are_named_as_not_exported() {
    let scenario = made(servers);
    scenario.meanwhile(|aws| {
        let arn = |action: &str, element: &str| {
            let listed = aws.query("elasticloadbalancing", &[("Action", action)]);
            listed.ok().element(element)
        };
        let balancer = arn("DescribeLoadBalancers", "LoadBalancerArn");
        let listener = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("DefaultActions.member.1.Type", "fixed-response"),
            (
                "DefaultActions.member.1.FixedResponseConfig.StatusCode",
                "200",
            ),
        ];
        elb(aws, "CreateListener", &listener);
    });
    let outcome = scenario.run(EXPORT).ok();
    outcome.says("warning: listener: the listener on port 8080");
    let text = scenario.read("stack.yaml");
    assert!(
        text.contains(
            "# Not exported, and never touched:\n#   listener: the listener on port 8080"
        ),
        "{text}"
    );
    adopts(&scenario);
    scenario.has_converged();
}

#[test]
fn a_trust_store_that_is_shared_is_only_referred_to() {
    let scenario = exported(made(|console| {
        servers(console);
        console.second_listener();
    }));
    let text = scenario.read("stack.yaml");
    assert!(
        text.contains("trust_store:\n  arn: \"arn:aws:elasticloadbalancing"),
        "{text}"
    );
    assert!(text.contains("is shared with arn:"), "{text}");
    adopts(&scenario);
    scenario.has_converged();
}

#[test]
fn a_certificate_authority_that_is_added_to_an_adopted_store_widens_it() {
    let mut scenario = exported(made(servers));
    adopts(&scenario);
    scenario.write("second.pem", &Authority::new("Second CA").certificate);
    scenario.edit(
        "ca_bundle: [ca_bundle.pem]",
        "ca_bundle: [ca_bundle.pem, second.pem]",
    );
    scenario
        .refuses(["apply", "--yes"])
        .says("--allow-widening");
    scenario.applies(&["--allow-widening"]);
}
