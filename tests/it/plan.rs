//! What `plan` prints, saves and asks of AWS.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::acts::tell;
use crate::support::{Authority, OPENAPI, Outcome, PETSTORE, Scenario, filters, is_reading};

/// System P, applied.
fn applied() -> Scenario {
    let scenario = Scenario::petstore();
    scenario.run(["apply", "--yes"]).ok();
    scenario
}

/// Compares what was printed, but for what differs from run to run.
macro_rules! assert_printed {
    ($name:literal, $text:expr) => {
        insta::with_settings!({ filters => filters(), omit_expression => true }, {
            assert_snapshot!($name, $text)
        })
    };
}

#[test]
fn a_first_plan_shows_everything_that_will_be_made() {
    let plan = Scenario::petstore().run(["plan"]).ok();
    assert_printed!("first", plan.stdout);
    assert_eq!(plan.stderr, "");
}

#[test]
fn a_plan_of_changes_shows_before_and_after_and_why() {
    // Digests decide in which order objects are shown, so these are the same in every run.
    let authority = include_str!("../../examples/petstore/root_cert.pem");
    let crl = include_str!("../../examples/petstore/root.crl");
    let mut scenario = Scenario::petstore()
        .file("root_cert.pem", authority)
        .file("root.crl", crl)
        .file(
            "second_root.pem",
            include_str!("../../stacks/material/clients_root.pem"),
        );
    scenario.run(["apply", "--yes"]).ok();
    scenario.edit("[root_cert.pem]", "[root_cert.pem, second_root.pem]");
    scenario.edit("stage: dev }", "stage: dev, policy: source_vpce }");
    scenario.edit("api.example.com", "pets.example.com");
    scenario.edit(
        "mutual_authentication: verify",
        "mutual_authentication: passthrough",
    );
    scenario.edit(
        "target_group: {}",
        "target_group: { health_check: { interval_seconds: 10 } }",
    );
    assert_printed!("changes", scenario.run(["plan"]).ok().stdout);
}

#[test]
fn a_plan_without_changes_says_so_and_what_expires() {
    assert_printed!("no_changes", applied().run(["plan"]).ok().stdout);
}

#[test]
fn a_plan_of_destruction_says_what_stays() {
    let destroy = applied().run(["destroy"]).exits(1);
    assert_printed!("destruction", destroy.stdout);
}

#[test]
fn the_exit_code_says_whether_there_are_changes_only_when_asked() {
    let scenario = Scenario::petstore();
    scenario.run(["plan"]).ok();
    scenario.run(["plan", "--detailed-exitcode"]).exits(2);
    scenario.run(["apply", "--yes"]).ok();
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

/// A field's name, and what its value is.
type Field = (&'static str, fn(&Value) -> bool);

/// Asserts that an object has these fields; others may join them without a new version.
#[track_caller]
fn has_fields(value: &Value, fields: &[Field]) {
    for (name, is_right) in fields {
        let field = value
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {value:#}"));
        assert!(is_right(field), "{name}: {field}");
    }
}

#[test]
fn the_json_of_a_plan_keeps_its_form() {
    let plan = applied().run(["plan", "--json"]).ok().json();
    has_fields(
        &plan,
        &[
            ("format_version", Value::is_string),
            ("stacks", Value::is_array),
            ("calls", Value::is_u64),
        ],
    );
    assert_eq!(plan["format_version"], "1");
    has_fields(
        &plan["stacks"][0],
        &[
            ("name", Value::is_string),
            ("account", Value::is_string),
            ("region", Value::is_string),
            ("changes", Value::is_array),
            ("unchanged", Value::is_u64),
            ("warnings", Value::is_array),
            ("expiries", Value::is_array),
        ],
    );
}

#[test]
fn every_change_in_the_json_has_the_same_fields() {
    let first = Scenario::petstore();
    let mut update = applied();
    update.edit(
        "{ mutual_authentication: verify }",
        "{ mutual_authentication: passthrough }",
    );
    update.edit("stage: dev }", "stage: prod }");
    for (scenario, actions) in [
        (&first, &["create"][..]),
        (&update, &["create", "update", "replace", "delete"]),
    ] {
        let plan = scenario.run(["plan", "--output", "json"]).ok().json();
        let stack = &plan["stacks"][0];
        let found = check_changes(&stack["changes"]);
        let unknown = found
            .iter()
            .find(|action| !actions.contains(&action.as_str()));
        assert_eq!(unknown, None, "{stack:#}");
    }
}

/// Checks the form of every change; gives their actions.
fn check_changes(changes: &Value) -> Vec<String> {
    let changes = changes.as_array().expect("is a list");
    assert!(!changes.is_empty());
    let check = |change: &Value| {
        has_fields(
            change,
            &[
                ("address", Value::is_string),
                ("type", |name| {
                    name.as_str().is_some_and(|name| name.starts_with("AWS::"))
                }),
                ("action", Value::is_string),
                ("widens", Value::is_boolean),
                ("fields", Value::is_array),
                ("reason", |reason| reason.is_null() || reason.is_string()),
            ],
        );
        for field in change["fields"].as_array().expect("is a list") {
            has_fields(
                field,
                &[
                    ("path", Value::is_string),
                    ("before", |_| true),
                    ("after", |_| true),
                    ("after_unknown", Value::is_boolean),
                    ("sensitive", Value::is_boolean),
                ],
            );
        }
        change["action"].as_str().expect("is text").to_owned()
    };
    changes.iter().map(check).collect()
}

#[test]
fn a_mode_weaker_than_before_is_marked_as_widening() {
    let mut scenario = applied();
    scenario.edit(
        "mutual_authentication: verify",
        "mutual_authentication: passthrough",
    );
    let plan = scenario.run(["plan", "--json"]).ok().json();
    let changes = &plan["stacks"][0]["changes"];
    assert_eq!(changes.as_array().map(Vec::len), Some(1), "{changes:#}");
    let field = json!({
        "path": "mutual_authentication.mode",
        "before": "verify",
        "after": "passthrough",
        "after_unknown": false,
        "sensitive": false,
    });
    assert_eq!(changes[0]["widens"], true);
    assert!(
        changes[0]["fields"]
            .as_array()
            .is_some_and(|all| all.contains(&field)),
        "{changes:#}"
    );
}

#[test]
fn warnings_and_expiries_are_in_the_json() {
    let mut scenario = Scenario::petstore();
    scenario.edit(
        "mutual_authentication: verify",
        "mutual_authentication: off",
    );
    let plan = scenario.run(["plan", "--json"]).ok().json();
    let stack = &plan["stacks"][0];
    let text = |names: &[&'static str]| -> Vec<Field> {
        names
            .iter()
            .map(|name| (*name, Value::is_string as _))
            .collect()
    };
    has_fields(
        &stack["warnings"][0],
        &text(&["code", "address", "message"]),
    );
    has_fields(&stack["expiries"][0], &text(&["address", "what", "at"]));
}

#[test]
fn stacks_of_several_regions_are_planned_in_one_run() {
    let mut scenario = Scenario::petstore();
    let other = PETSTORE.replace("ap-northeast-1", "eu-central-1");
    scenario.write(
        "other/stack.yaml",
        other
            .replace("[root", "[../root")
            .replace("petstore.yaml", "../petstore.yaml"),
    );
    let plan = scenario
        .run(["plan", "--json", "stack.yaml", "other"])
        .ok()
        .json();
    let stacks = plan["stacks"].as_array().expect("is a list").iter();
    let regions: Vec<_> = stacks.map(|stack| stack["region"].clone()).collect();
    assert_eq!(regions, ["ap-northeast-1", "eu-central-1"]);
}

#[test]
fn two_files_of_one_stack_are_refused() {
    let scenario = Scenario::petstore().file("again.yaml", PETSTORE);
    let plan = scenario.run(["plan", "stack.yaml", "again.yaml"]).exits(1);
    plan.says("two files are the stack `petstore` in ap-northeast-1");
}

#[test]
fn a_saved_plan_is_applied_without_a_question() {
    let scenario = Scenario::petstore();
    scenario
        .run(["plan", "--out", "first.plan"])
        .ok()
        .says("mtlsgw apply first.plan");
    scenario.run(["apply", "first.plan"]).ok();
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn a_saved_plan_is_refused_when_a_file_has_changed() {
    let second = Authority::new("Second Root CA");
    for (name, content) in [
        ("root_cert.pem", second.certificate.clone()),
        ("stack.yaml", PETSTORE.replace("stage: dev", "stage: prod")),
        (
            "petstore.yaml",
            OPENAPI.replace("  title: PetStore\n", "  title: Another\n"),
        ),
    ] {
        let mut scenario = Scenario::petstore();
        scenario.run(["plan", "--out", "first.plan"]).ok();
        scenario.write(name, content);
        let (outcome, calls) = scenario.calls_of(["apply", "first.plan"]);
        refused_as_stale(outcome, &calls).says(name);
    }
}

#[test]
fn a_saved_plan_is_refused_when_aws_has_changed() {
    let mut scenario = applied();
    scenario.edit(
        "target_group: {}",
        "target_group: { deregistration_delay_seconds: 60 }",
    );
    scenario.run(["plan", "--out", "later.plan"]).ok();
    let arn = scenario.run(["output", "--name", "target_group"]).ok();
    let parameters = [
        ("Action", "ModifyTargetGroupAttributes"),
        ("TargetGroupArn", arn.stdout.trim()),
        (
            "Attributes.member.1.Key",
            "deregistration_delay.timeout_seconds",
        ),
        ("Attributes.member.1.Value", "120"),
    ];
    scenario
        .aws()
        .query("elasticloadbalancing", &parameters)
        .ok();
    let (outcome, calls) = scenario.calls_of(["apply", "later.plan"]);
    refused_as_stale(outcome, &calls);
}

#[test]
fn a_saved_plan_is_refused_once_it_has_been_applied() {
    let scenario = Scenario::petstore();
    scenario.run(["plan", "--out", "first.plan"]).ok();
    scenario.run(["apply", "first.plan"]).ok();
    let (outcome, calls) = scenario.calls_of(["apply", "first.plan"]);
    refused_as_stale(outcome, &calls);
}

#[track_caller]
fn refused_as_stale(outcome: Outcome, calls: &[String]) -> Outcome {
    let writes: Vec<_> = calls.iter().filter(|call| !is_reading(call)).collect();
    assert!(writes.is_empty(), "{writes:?}");
    outcome
        .exits(1)
        .says("the saved plan is stale")
        .says("plan again")
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_saved_plan() {
    use std::os::unix::fs::PermissionsExt;
    let scenario = Scenario::petstore();
    scenario.run(["plan", "--out", "first.plan"]).ok();
    let metadata = scenario.path("first.plan").metadata().expect("is there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_saved_plan_holds_digests_and_no_content() {
    let scenario = Scenario::petstore();
    scenario.run(["plan", "--out", "first.plan"]).ok();
    let plan = scenario.read("first.plan");
    let plan: Value = serde_json::from_str(&plan).expect("is JSON");
    assert_eq!(plan["mtlsgw_plan"], "1");
    for (file, digest) in plan["files"].as_object().expect("is an object") {
        assert_eq!(digest.as_str().map(str::len), Some(64), "{file}");
    }
    assert_eq!(plan["files"].as_object().map(serde_json::Map::len), Some(4));
    assert!(!plan.to_string().contains("-----BEGIN"), "{plan:#}");
}

/// How long nothing is asked before anything is answered below: longer than a busy machine takes from one
/// call to the next that does not depend on it.
const QUIET: &str = "700";

#[test]
fn an_unchanged_stack_is_planned_in_few_calls_and_five_dependent_round_trips() {
    let scenario = applied().env("MTLSGW_SANDBOX_QUIET_MS", QUIET);
    let (outcome, rounds) = scenario.rounds_of(["plan", "--json"]);
    let calls = outcome.ok().json()["calls"].as_u64().expect("is a number");
    tell(&format!("{calls} calls in {rounds} dependent round trips"));
    assert!((20..=60).contains(&calls), "{calls} calls");
    assert!((2..=5).contains(&rounds), "{calls} calls in {rounds}");
}

#[test]
fn the_number_of_round_trips_does_not_grow_with_the_number_of_stacks() {
    let mut scenario = Scenario::petstore();
    let mut files = vec!["stack.yaml".to_owned()];
    for number in 1..4 {
        let text = PETSTORE.replace("name: petstore\n", &format!("name: stack-{number}\n"));
        let text = text.replace("api.example.com", &format!("api{number}.example.com"));
        files.push(format!("{number}.yaml"));
        scenario.write(&files[number], text);
    }
    for file in &files {
        scenario.run(["apply", "--yes", file]).ok();
    }
    let calls = |files: &[String]| {
        let all = ["plan", "--json"]
            .into_iter()
            .chain(files.iter().map(String::as_str));
        let plan = scenario.run(all).ok().json();
        assert_eq!(plan["stacks"].as_array().map(Vec::len), Some(files.len()));
        plan["calls"].as_u64().expect("is a number")
    };
    let (one, four) = (calls(&files[..1]), calls(&files));
    // What is read by name or filter is read once for all of them.
    assert!(four < 3 * one, "{one} calls for one stack, {four} for four");
}
