//! The verbs that only show something.

use serde_json::{Value, json};

use crate::support::{self, PETSTORE, Scenario, root};

const VERBS: [&str; 17] = [
    "plan",
    "apply",
    "destroy",
    "status",
    "list",
    "output",
    "logs",
    "explain",
    "validate",
    "render",
    "schema",
    "completion",
    "quickstart",
    "sandbox",
    "crl",
    "pki",
    "trust",
];

#[test]
fn every_verb_explains_itself() {
    let scenario = Scenario::empty();
    let help = scenario.run_bare(["--help"]).ok().stdout;
    for verb in VERBS {
        assert!(
            help.contains(&format!("\n  {verb} ")),
            "{verb} is not in:\n{help}"
        );
        let help = scenario.run_bare([verb, "--help"]).ok();
        let usage = format!("Usage: mtlsgw {verb} [OPTIONS]");
        assert!(help.stdout.contains(&usage), "{help}");
        assert_eq!(help.stderr, "");
    }
    for verb in ["serve", "reset", "show", "quota"] {
        let help = scenario.run_bare(["sandbox", verb, "--help"]).ok();
        help.says(&format!("Usage: mtlsgw sandbox {verb} [OPTIONS]"));
    }
    let help = scenario.run_bare(["crl", "refresh", "--help"]).ok();
    help.says("Usage: mtlsgw crl refresh [OPTIONS]");
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("mtlsgw {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        Scenario::empty().run_bare(["--version"]).ok().stdout,
        version
    );
}

#[test]
fn completions_know_every_verb() {
    let scenario = Scenario::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = scenario.run_bare(["completion", shell]).ok().stdout;
        for verb in VERBS {
            assert!(script.contains(verb), "{shell} does not know {verb}");
        }
        assert!(
            script.contains("detailed-exitcode"),
            "{shell} knows no options"
        );
    }
}

#[test]
fn the_schema_knows_every_section_of_system_p() {
    let schema = Scenario::empty().run_bare(["schema"]).ok().json();
    let properties = &schema["properties"];
    for line in PETSTORE.lines() {
        let (key, _) = line.split_once(':').expect("is a key");
        assert!(
            properties[key]["description"].is_string(),
            "{key} in {properties:#}"
        );
    }
    assert_eq!(schema["required"], json!(["name", "region"]));
    assert_eq!(schema["additionalProperties"], false);
    refuse_dangling(&schema, &schema);
}

/// Every reference within the schema leads somewhere.
fn refuse_dangling(value: &Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let pointer = reference.trim_start_matches('#');
                assert!(
                    schema.pointer(pointer).is_some(),
                    "{reference} leads nowhere"
                );
            }
            fields
                .values()
                .for_each(|value| refuse_dangling(value, schema));
        }
        Value::Array(items) => items.iter().for_each(|item| refuse_dangling(item, schema)),
        _ => {}
    }
}

#[test]
fn the_reference_in_docs_is_what_the_binary_prints() {
    let printed = Scenario::empty()
        .run_bare(["schema", "--markdown"])
        .ok()
        .stdout;
    let kept = std::fs::read_to_string(root().join("docs/stack.md")).expect("is there");
    assert!(
        printed == kept,
        "run `cargo run -- schema --markdown > docs/stack.md`"
    );
}

#[test]
fn every_stack_file_of_the_repository_is_valid() {
    let scenario = Scenario::empty();
    scenario
        .run_in(root(), ["validate"])
        .ok()
        .says("stacks/private-api.yaml");
    for example in support::directories("examples") {
        scenario
            .run_in(&example, ["validate"])
            .ok()
            .says("stack.yaml valid");
    }
    assert_eq!(scenario.calls(), [""; 0]);
}

#[test]
fn what_is_valid_but_probably_not_meant_is_a_warning() {
    let mut scenario = Scenario::petstore();
    scenario.edit(
        "mutual_authentication: verify",
        "mutual_authentication: off",
    );
    let outcome = scenario.run_bare(["validate"]).ok();
    assert_eq!(outcome.stdout, "stack.yaml valid\n");
    outcome.says("warning: trust_store: ");
    let document = scenario.run_bare(["validate", "--json"]).ok().json();
    assert_eq!(document["valid"], true);
    assert_eq!(document["warnings"][0]["address"], "trust_store");
}

#[test]
fn rendering_needs_no_aws_and_names_what_only_aws_knows() {
    let scenario = Scenario::petstore();
    let rendered = scenario.run_bare(["render"]).ok().json();
    let resources = rendered["stacks"][0]["resources"]
        .as_array()
        .expect("is a list");
    let find = |address: &str| {
        let found = resources.iter().find(|one| one["address"] == address);
        found.unwrap_or_else(|| panic!("no {address} in {rendered:#}"))
    };
    assert_eq!(
        find("bucket")["properties"]["name"],
        "mtlsgw-${account}-ap-northeast-1"
    );
    assert_eq!(find("endpoint")["properties"]["vpc"], "${vpc}");
    let listener = find("listener");
    assert_eq!(listener["type"], "AWS::ElasticLoadBalancingV2::Listener");
    assert_eq!(
        listener["properties"]["mutual_authentication.mode"],
        "verify"
    );
    assert_eq!(
        listener["properties"]["ssl_policy"],
        "ELBSecurityPolicy-TLS13-1-3-2021-06"
    );
    assert_eq!(scenario.calls(), [""; 0]);

    // The same resources, in the same order, as a first plan creates.
    let plan = scenario.run(["plan", "--json"]).ok().json();
    let addresses = |list: &Value| -> Vec<Value> {
        let list = list.as_array().expect("is a list").iter();
        list.map(|one| one["address"].clone()).collect()
    };
    let rendered = addresses(&rendered["stacks"][0]["resources"]);
    assert_eq!(rendered, addresses(&plan["stacks"][0]["changes"]));
}

#[test]
fn outputs_are_those_of_aws() {
    let scenario = Scenario::petstore();
    scenario.run(["apply", "--yes"]).ok();
    let outputs = scenario.run(["output", "--json"]).ok().json()["outputs"].clone();
    let dump = scenario.dump();
    let region = &dump["regions"]["ap-northeast-1"];
    let only = |things: &Value| -> Value {
        let things = things.as_object().expect("is an object");
        assert_eq!(things.len(), 1, "{things:#?}");
        things.values().next().cloned().expect("is one")
    };
    let load_balancer = only(&region["elbv2"]["load_balancers"]);
    assert_eq!(outputs["load_balancer"], load_balancer["arn"]);
    let trust_store = only(&region["elbv2"]["trust_stores"]);
    assert_eq!(outputs["trust_store"], trust_store["arn"]);
    assert_eq!(outputs["api"], only(&region["apigateway"]["apis"])["id"]);
    assert_eq!(
        outputs["endpoint"],
        only(&region["ec2"]["vpc_endpoints"])["id"]
    );
    assert_eq!(
        outputs["certificate"],
        only(&region["acm"]["certificates"])["arn"]
    );
    assert_eq!(
        outputs["endpoint.addresses"].as_array().map(Vec::len),
        Some(3)
    );

    let text = scenario.run(["output"]).ok().stdout;
    for (name, value) in outputs.as_object().expect("is an object") {
        let value = match value {
            Value::String(value) => value.clone(),
            Value::Array(values) => {
                let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
                values.join(" ")
            }
            other => panic!("{name} is {other}"),
        };
        assert!(
            text.contains(&format!("{name} = {value}\n")),
            "no {name} in:\n{text}"
        );
    }
    let one = scenario
        .run(["output", "--name", "load_balancer.dns_name"])
        .ok();
    assert_eq!(one.stdout.trim(), outputs["load_balancer.dns_name"]);
    let unknown = scenario
        .run(["output", "--name", "load_balancer.dns"])
        .exits(1);
    unknown
        .says("no output `load_balancer.dns`")
        .says("load_balancer.dns_name");
}

#[test]
fn a_stack_that_is_not_there_has_no_outputs() {
    let outcome = Scenario::petstore().run(["output", "--json"]).ok();
    assert_eq!(outcome.json()["outputs"], json!({}));
}

#[test]
fn stacks_are_listed_by_their_tags() {
    let other = PETSTORE
        .replace("name: petstore\n", "name: other\n")
        .replace("api.example.com", "other.example.com");
    let scenario = Scenario::petstore().file("other.yaml", other);
    let list = ["list", "--region", "ap-northeast-1"];
    scenario.run(list).ok().says("no stacks in ap-northeast-1");
    scenario.run(["apply", "--yes"]).ok();
    scenario.run(["apply", "other.yaml", "--yes"]).ok();
    let text = scenario.run(list).ok().stdout;
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, ["other", "petstore"]);

    // The region comes from the environment as for every AWS tool.
    let scenario = scenario.env("AWS_REGION", "ap-northeast-1");
    let document = scenario.run(["list", "--json"]).ok().json();
    assert_eq!(document["region"], "ap-northeast-1");
    let resources = document["stacks"][1]["resources"]
        .as_array()
        .expect("is a list");
    // The tagging API does not know trust stores; they are listed all the same.
    for part in [
        ":loadbalancer/app/petstore-",
        ":truststore/petstore-",
        ":vpc-endpoint/",
    ] {
        let found = resources
            .iter()
            .filter_map(Value::as_str)
            .any(|arn| arn.contains(part));
        assert!(found, "no {part} in {resources:#?}");
    }
    let scenario = scenario.env("AWS_REGION", "eu-central-1");
    assert_eq!(
        scenario.run(["list", "--json"]).ok().json()["stacks"],
        json!([])
    );
}

#[test]
fn colours_are_for_those_who_want_them() {
    let plan = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut scenario = Scenario::petstore().env("NO_COLOR", "");
        for (name, value) in variables {
            scenario = scenario.env(name, value);
        }
        let arguments = ["plan"].iter().chain(arguments).copied();
        scenario.run(arguments).ok().stdout.contains("\u{1b}[")
    };
    let forced = ("CLICOLOR_FORCE", "1");
    assert!(plan(&[forced], &[]));
    assert!(!plan(&[], &[]), "stdout is no terminal");
    assert!(!plan(&[forced], &["--no-color"]));
    assert!(!plan(&[forced, ("NO_COLOR", "1")], &[]));
    assert!(!plan(&[forced], &["--json"]));
}

#[test]
fn the_sandbox_forgets_when_told_to() {
    let scenario = Scenario::petstore();
    let fresh = scenario.dump();
    scenario.run(["apply", "--yes"]).ok();
    let counts = scenario.run(["sandbox", "show", "--calls"]).ok().stdout;
    assert!(counts.contains(" 1 elbv2:CreateListener\n"), "{counts}");
    let total = format!("{:>6} in all\n", scenario.calls().len());
    assert!(counts.ends_with(&total), "{counts}");
    scenario.run(["sandbox", "reset"]).ok();
    assert_eq!(scenario.dump(), fresh);
    assert_eq!(scenario.calls(), [""; 0]);
}

#[test]
fn a_quota_stays_raised() {
    let scenario = Scenario::petstore();
    scenario.run(["sandbox", "quota", "L-53DA6B97", "7"]).ok();
    assert_eq!(scenario.dump()["quotas"], json!({"L-53DA6B97": 7}));
}

#[test]
fn a_served_sandbox_is_the_one_that_commands_use() {
    let scenario = Scenario::petstore();
    let aws = scenario.aws();
    scenario.run(["apply", "--yes"]).ok();
    let described = aws
        .query(
            "elasticloadbalancing",
            &[("Action", "DescribeLoadBalancers")],
        )
        .ok();
    let arn = scenario
        .run(["output", "--name", "load_balancer"])
        .ok()
        .stdout;
    assert_eq!(described.element("LoadBalancerArn"), arn.trim());
    drop(aws);
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn status_tells_how_a_stack_stands() {
    let mut scenario = Scenario::petstore();
    scenario
        .run(["status"])
        .ok()
        .says("petstore in 123456789012/ap-northeast-1: not there");
    scenario.run(["apply", "--yes"]).ok();
    let stands = scenario.run(["status"]).ok();
    stands
        .says("as the file says, 20 resources")
        .says("expires in");
    scenario.edit("stage: dev", "stage: prod");
    let stands = scenario.run(["status"]).ok();
    stands.says("differences from the file").says("api.stage");
    let status = scenario.run(["status", "--json"]).ok().json();
    assert_eq!(status["stacks"][0]["state"], "differs");
    let addresses: Vec<&str> = (status["stacks"][0]["expiries"]
        .as_array()
        .expect("is a list"))
    .iter()
    .filter_map(|expiry| expiry["address"].as_str())
    .collect();
    assert!(
        addresses.contains(&"certificate") && addresses.contains(&"trust_store"),
        "{status:#}"
    );
    assert!(
        addresses
            .iter()
            .any(|address| address.starts_with("trust_store.crl[")),
        "{status:#}"
    );
}

#[test]
fn what_ends_too_soon_fails_a_job() {
    let scenario = Scenario::petstore();
    scenario.run(["apply", "--yes"]).ok();
    for verb in ["plan", "status"] {
        scenario.run([verb, "--fail-if-expires-within", "14d"]).ok();
        let refused = scenario
            .run([verb, "--fail-if-expires-within", "36500d"])
            .exits(1);
        refused
            .says("this ends too soon:")
            .says("`certificate`: certificate ");
    }
}
