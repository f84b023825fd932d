//! What must always hold, for every example and every file in `stacks/`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::stand_in::Behaviour;
use crate::support::{self, Authority, Scenario, canonical, differences, is_reading, root};

/// Every stack file of the repository; at least one of each directory.
fn stack_files() -> Vec<String> {
    let examples = support::directories("examples");
    let examples = examples.iter().map(|example| with_keys(example));
    let files = examples.chain(support::files("stacks", "yaml"));
    files.map(|file| text(&file)).collect()
}

/// The stack file of an example, in a copy with the keys that the repository does not hold.
fn with_keys(example: &Path) -> PathBuf {
    static COPIES: OnceLock<TempDir> = OnceLock::new();
    let file = example.join("stack.yaml");
    if !std::fs::read_to_string(&file)
        .expect("is readable")
        .contains("server_key.pem")
    {
        return file;
    }
    let copies = COPIES.get_or_init(|| {
        let copies = TempDir::new().expect("can be made");
        let into = |name: &str| copies.path().join(name);
        for entry in std::fs::read_dir(example).expect("is readable") {
            let path = entry.expect("is readable").path();
            let name = path.file_name().and_then(|name| name.to_str());
            std::fs::copy(&path, into(name.expect("is UTF-8"))).expect("can be copied");
        }
        let authority = Authority::new("Servers");
        let (certificate, key) = authority.issue(&["login.example.com"]);
        std::fs::write(into("server_cert.pem"), certificate).expect("can be written");
        std::fs::write(into("server_key.pem"), key).expect("can be written");
        std::fs::write(into("server_chain.pem"), &authority.certificate).expect("can be written");
        copies
    });
    copies.path().join("stack.yaml")
}

/// An account in which something answers where the examples have their servers.
fn with_servers() -> Scenario {
    static SERVER: OnceLock<String> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let authority = Authority::new("Servers");
        let behaviour = Behaviour {
            tls12: true,
            client_roots: None,
            crls: None,
            lets_anonymous_in: true,
            ..Behaviour::verifying("", "")
        };
        behaviour.serve(&authority).to_string()
    });
    let scenario = Scenario::empty();
    for place in ["172.31.0.21:8443", "172.31.16.21:8443", "172.31.0.10:443"] {
        scenario.run(["sandbox", "host", place, server]).ok();
    }
    scenario
}

fn text(path: &Path) -> String {
    path.to_str().expect("is UTF-8").to_owned()
}

#[test]
fn the_first_plan_writes_nothing() {
    for file in stack_files() {
        let scenario = Scenario::empty();
        scenario
            .run(["plan", &file, "--detailed-exitcode"])
            .exits(2);
        refuse_writes(&file, &serde_json::json!({}), &calls(&scenario));
    }
}

#[test]
fn after_apply_plan_finds_no_changes_and_neither_plan_nor_apply_writes() {
    for file in stack_files() {
        let scenario = with_servers();
        scenario.run(["apply", &file, "--yes"]).ok();
        let before = calls(&scenario);
        let plan = scenario.run(["plan", &file, "--detailed-exitcode"]);
        plan.ok().says("No changes.");
        refuse_writes(&file, &before, &calls(&scenario));
        scenario
            .run(["apply", &file, "--yes"])
            .ok()
            .says("No changes.");
        refuse_writes(&file, &before, &calls(&scenario));
    }
}

/// How often each operation was called, as the sandbox tells it.
fn calls(scenario: &Scenario) -> Value {
    let shown = scenario.run(["sandbox", "show", "--calls", "--json"]).ok();
    shown.json()["calls"].clone()
}

fn refuse_writes(file: &str, before: &Value, after: &Value) {
    let after = after.as_object().expect("is an object");
    assert_ne!(
        before,
        &Value::Object(after.clone()),
        "{file}: AWS was not asked"
    );
    for (operation, count) in after {
        let same = before[operation] == *count;
        assert!(same || is_reading(operation), "{file}: called {operation}");
    }
}

#[test]
fn destroy_leaves_nothing_but_what_it_lists() {
    for file in stack_files() {
        let scenario = with_servers();
        settle_in(&scenario);
        let before = canonical(&scenario.dump());
        scenario.run(["apply", &file, "--yes"]).ok();
        assert_ne!(canonical(&scenario.dump()), before, "{file} builds nothing");
        let destroy = scenario.run(["destroy", &file, "--yes"]).ok();
        let left = differences(&before, &canonical(&scenario.dump()));
        let unlisted = left.iter().filter(|left| !is_listed(left, &destroy.stderr));
        assert_eq!(
            unlisted.collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "{file}: {destroy}"
        );
        let list = scenario
            .run(["list", "--region", "ap-northeast-1", "--json"])
            .ok();
        assert_eq!(list.json()["stacks"], serde_json::json!([]), "{file}");
    }
}

/// Somebody else's things, which stay as they are.
fn settle_in(scenario: &Scenario) {
    let aws = scenario.aws();
    let group = [
        ("Action", "CreateSecurityGroup"),
        ("GroupName", "somebody-elses"),
        ("GroupDescription", "not ours"),
    ];
    aws.query("ec2", &group).ok();
    let record = r#"<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
        <ChangeBatch><Changes><Change><Action>CREATE</Action><ResourceRecordSet>
        <Name>www.example.com</Name><Type>A</Type><TTL>60</TTL>
        <ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords>
        </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"#;
    let zone = "/2013-04-01/hostedzone/Z0EXAMPLE0COM0PUBLIC/rrset/";
    aws.rest(("route53", "POST", zone), record).ok();
    aws.rest(("s3", "PUT", "/somebody-elses-bucket"), LOCATION)
        .ok();
}

const LOCATION: &str = "<CreateBucketConfiguration>\
    <LocationConstraint>ap-northeast-1</LocationConstraint></CreateBucketConfiguration>";

/// Whether something that is left is a validation record which the report names.
fn is_listed(left: &str, report: &str) -> bool {
    let Some((_, record)) = left.split_once("only in the second: ") else {
        return false;
    };
    let record: Value = serde_json::from_str(record).expect("is JSON");
    let name = record["name"].as_str().unwrap_or_default();
    let is_validation = record["record_type"] == "CNAME"
        && record["values"][0]
            .as_str()
            .is_some_and(|value| value.contains("acm-validations.aws"));
    let kept = |line: &str| line.starts_with("left behind: ") && line.contains(name);
    is_validation && report.lines().any(kept)
}

#[test]
fn plan_from_the_root_plans_all_of_stacks() {
    let scenario = Scenario::empty();
    let sandbox = format!("--sandbox={}", text(&scenario.path(".mtlsgw/sandbox")));
    let plan = scenario
        .run_in(root(), ["plan", "--json", &sandbox])
        .ok()
        .json();
    let names = |plan: &Value| -> Vec<String> {
        let stacks = plan["stacks"].as_array().expect("is a list").iter();
        let mut names: Vec<_> = stacks.map(|stack| stack["name"].to_string()).collect();
        names.sort();
        names
    };
    let mut each = Vec::new();
    for file in support::files("stacks", "yaml") {
        each.extend(names(
            &scenario.run(["plan", "--json", &text(&file)]).ok().json(),
        ));
    }
    each.sort();
    assert_eq!(names(&plan), each);
    let stacks = plan["stacks"].as_array().expect("is a list");
    let builds = |stack: &Value| {
        stack["changes"]
            .as_array()
            .is_some_and(|all| all.len() > 10)
    };
    assert!(stacks.iter().all(builds), "{plan:#}");
}

#[test]
fn all_of_stacks_live_together_in_one_account() {
    let scenario = Scenario::empty();
    let files: Vec<String> = support::files("stacks", "yaml")
        .iter()
        .map(|file| text(file))
        .collect();
    for file in &files {
        scenario.run(["apply", file, "--yes"]).ok();
    }
    let all = ["plan", "--detailed-exitcode"]
        .into_iter()
        .chain(files.iter().map(String::as_str));
    scenario.run(all).ok();
    for file in &files {
        scenario.run(["destroy", file, "--yes"]).ok();
    }
    let list = scenario
        .run(["list", "--region", "ap-northeast-1", "--json"])
        .ok();
    assert_eq!(list.json()["stacks"], serde_json::json!([]));
}

#[test]
fn logs_tell_of_every_call_and_hold_no_secret_however_much_is_logged() {
    let key = KeyPair::generate().expect("there is randomness");
    let params = CertificateParams::new(["api.example.com".to_owned()]).expect("is a name");
    let certificate = params.self_signed(&key).expect("can be signed");
    let mut scenario = Scenario::petstore()
        .file("server.pem", certificate.pem())
        .file("server_key.pem", key.serialize_pem());
    scenario.edit(
        "{ request: \"*.example.com\" }",
        "{ import: { certificate: server.pem, private_key: server_key.pem } }",
    );
    // What is printed is searched for secrets by the harness, whatever the command.
    let quiet = scenario.run(["plan"]).ok();
    assert_eq!(quiet.stderr, "");
    let applied = scenario.run(["apply", "--yes", "-v"]).ok();
    let applied = applied.says("called operation=\"acm:ImportCertificate\"");
    assert!(
        !applied.stderr.contains("DescribeLoadBalancers"),
        "{applied}"
    );
    let planned = scenario.run(["plan", "-vv"]).ok();
    planned.says("called operation=\"elbv2:DescribeLoadBalancers\"");
    scenario.run(["destroy", "--yes", "-vvv"]).ok();
    let scenario = scenario.env("RUST_LOG", "trace");
    for arguments in [
        &["apply", "--yes"][..],
        &["plan"],
        &["output"],
        &["destroy", "--yes"],
    ] {
        scenario.run(arguments.iter().copied()).ok();
    }
}

#[test]
#[should_panic(expected = "`PRIVATE KEY-----` in plan")]
fn the_harness_notices_a_secret() {
    Scenario::stack("PRIVATE KEY-----: 1\n").run(["plan"]);
}
