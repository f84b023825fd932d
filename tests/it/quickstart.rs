//! The first command of the README.

use std::fs;

use crate::support::Scenario;

const KEYS: [&str; 3] = ["pki/root/key.pem", "client_key.pem", "revoked_key.pem"];

const FILES: [&str; 6] = [
    "petstore.yaml",
    "root_cert.pem",
    "root.crl",
    "client_cert.pem",
    "revoked_cert.pem",
    "stack.yaml",
];

#[test]
fn a_newcomer_gets_a_stack_that_is_applied_planned_again_and_verified() {
    let scenario = Scenario::empty();
    let outcome = scenario.run_bare(["quickstart"]).ok();
    for file in KEYS.iter().chain(&FILES) {
        let path = scenario.path("quickstart").join(file);
        assert!(path.exists(), "no {file}: {outcome}");
    }
    let outcome = outcome
        .says("apply of quickstart complete")
        .says("No changes.")
        .says("16 passed, 0 failed, 0 unreachable, 5 skipped");
    let outcome = outcome
        .says("mtlsgw destroy --sandbox")
        .says("real account");
    assert!(outcome.stdout.contains("Plan: 20 to create"), "{outcome}");
}

#[test]
fn what_the_quickstart_says_to_do_next_works() {
    let scenario = Scenario::empty();
    scenario.run_bare(["quickstart", "first"]).ok();
    let directory = scenario.path("first");
    scenario
        .run_in(&directory, ["plan", "--sandbox", "--detailed-exitcode"])
        .ok();
    let stack = directory.join("stack.yaml");
    let text = fs::read_to_string(&stack).expect("is there");
    let text = text.replace(
        "target_group: {}",
        "target_group: { deregistration_delay_seconds: 60 }",
    );
    fs::write(&stack, text).expect("can be written");
    scenario
        .run_in(&directory, ["plan", "--sandbox", "--detailed-exitcode"])
        .exits(2);
    scenario
        .run_in(&directory, ["destroy", "--sandbox", "--yes"])
        .ok();
    let list = ["list", "--sandbox", "--region", "ap-northeast-1"];
    scenario.run_in(&directory, list).ok().says("no stacks");
}

#[test]
fn the_clients_of_the_quickstart_are_those_that_verify_needs() {
    let scenario = Scenario::empty();
    scenario.run_bare(["quickstart", "first"]).ok();
    let directory = scenario.path("first");
    let verify = ["verify", "--sandbox", "--json"];
    let document = scenario.run_in(&directory, verify).ok().json();
    let probes = document["probes"].as_array().expect("is a list");
    for name in ["good_certificate", "revoked", "expired", "wrong_purpose"] {
        let probe = probes.iter().find(|probe| probe["name"] == name);
        assert_eq!(probe.expect("is there")["result"], "passed", "{name}");
    }
}

#[test]
fn the_ca_of_the_quickstart_is_one_to_go_on_with() {
    let scenario = Scenario::empty();
    scenario.run_bare(["quickstart", "first"]).ok();
    let directory = scenario.path("first");
    let run = |arguments: &[&str]| {
        let arguments = std::iter::once("pki").chain(arguments.iter().copied());
        scenario.run_in(&directory, arguments).ok()
    };
    let list = run(&["list"]).says("CN=Quickstart Root CA");
    let list = list.says("CN=Quickstart Client");
    list.says("keyCompromise")
        .says("CN=Quickstart Revoked Client");
    run(&["revoke", "client_cert.pem", "--crl"]).says("2 revoked");
    assert_eq!(
        scenario.read("first/pki/root/cert.pem"),
        scenario.read("first/root_cert.pem")
    );
}

#[test]
fn a_second_quickstart_refuses_and_changes_nothing() {
    let scenario = Scenario::empty();
    scenario.run_bare(["quickstart", "first"]).ok();
    let read = || {
        let files = KEYS
            .iter()
            .chain(&FILES)
            .chain(&[".mtlsgw/sandbox/calls.log"]);
        let read = |file| fs::read(scenario.path("first").join(file)).expect("is there");
        files.map(read).collect::<Vec<_>>()
    };
    let before = read();
    let outcome = scenario.run_bare(["quickstart", "first"]).exits(1);
    outcome
        .says("first/stack.yaml is there already")
        .says("hint:");
    assert_eq!(read(), before);
}

#[cfg(unix)]
#[test]
fn only_their_owner_can_read_the_keys() {
    use std::os::unix::fs::PermissionsExt;
    let scenario = Scenario::empty();
    scenario.run_bare(["quickstart"]).ok();
    let mode = |file: &str| {
        let metadata = scenario
            .path("quickstart")
            .join(file)
            .metadata()
            .expect("is there");
        metadata.permissions().mode() & 0o777
    };
    for key in KEYS {
        assert_eq!(mode(key), 0o600, "{key}");
    }
    assert_eq!(mode(".mtlsgw/sandbox/keys"), 0o700);
}

#[test]
fn keys_and_sandbox_are_kept_out_of_repositories() {
    let scenario = Scenario::empty();
    scenario.run_bare(["quickstart"]).ok();
    assert_eq!(
        scenario.read("quickstart/.gitignore"),
        "*_key.pem\n.mtlsgw/\n"
    );
}

#[test]
fn every_quickstart_has_a_ca_of_its_own() {
    let scenario = Scenario::empty();
    scenario.run_bare(["quickstart", "first"]).ok();
    scenario.run_bare(["quickstart", "second"]).ok();
    assert_ne!(
        scenario.read("first/root_cert.pem"),
        scenario.read("second/root_cert.pem")
    );
}
