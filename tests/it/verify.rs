//! `verify`: connections tell whether a gateway does what its stack says.

mod outside;
mod sandbox;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::stand_in::{Behaviour, black_hole, nobody, redirecting_to};
use crate::support::{Authority, Outcome, Scenario, filters, is_reading};

/// System P with everything that `verify` looks at; its CA is one of `mtlsgw pki`.
const STACK: &str = r#"name: petstore
region: ap-northeast-1
vpc: default
endpoint: {}
api: { openapi: petstore.yaml, stage: dev }
domain: { name: api.example.com }
certificate: { request: "*.example.com" }
target_group: {}
load_balancer: {}
trust_store: { ca_bundle: [pki/root/cert.pem], crls: [pki/root/crl.pem] }
listener: { mutual_authentication: verify, redirect_http: true }
record: { zone: example.com }
verify: { client_certificate: client_cert.pem, client_key: client_key.pem, path: /pets }
"#;

/// A gateway in the sandbox, a server to stand in for it, and the files of clients.
struct Stage {
    scenario: Scenario,
    server_root: Authority,
}

impl Stage {
    /// The stack, applied.
    fn new() -> Self {
        Self::of(STACK)
    }

    fn of(stack: &str) -> Self {
        let stage = Self::not_applied(stack);
        stage.scenario.run(["apply", "--yes"]).ok();
        stage
    }

    fn not_applied(stack: &str) -> Self {
        let server_root = Authority::new("Server Root CA");
        let scenario = Scenario::stack(stack).file("server_root.pem", &server_root.certificate);
        for arguments in [
            &["pki", "ca", "root"][..],
            &["pki", "issue", "client"],
            &["pki", "issue", "revoked"],
            &["pki", "revoke", "revoked_cert.pem", "--crl"],
        ] {
            scenario.run_bare(arguments.iter().copied()).ok();
        }
        Self {
            scenario,
            server_root,
        }
    }

    /// A server that does all that the stack promises.
    fn good(&self) -> Behaviour {
        let root = self.scenario.read("pki/root/cert.pem");
        Behaviour::verifying(&root, &self.scenario.read("pki/root/crl.pem"))
    }

    /// Verifies with the gateway's sockets being those.
    fn verify(&self, https: SocketAddr, options: &[&str]) -> Outcome {
        let redirect = redirecting_to("https://api.example.com:443");
        self.verify_both((https, redirect), options)
    }

    fn verify_both(&self, (https, http): (SocketAddr, SocketAddr), options: &[&str]) -> Outcome {
        let https = format!("api.example.com:443:{}:{}", https.ip(), https.port());
        let http = format!("api.example.com:80:{}:{}", http.ip(), http.port());
        let arguments = ["verify", "--ca", "server_root.pem", "--connect-to", &https];
        let more = ["--connect-to", &http];
        let arguments = arguments.iter().chain(&more).chain(options);
        self.scenario.run(arguments.copied())
    }

    /// The probes that did not pass against a server of this behaviour, with how they came out.
    #[track_caller]
    fn not_passed(&self, behaviour: Behaviour, options: &[&str]) -> BTreeMap<String, String> {
        let address = behaviour.serve(&self.server_root);
        let options = [&["--json"], options].concat();
        let outcome = self.verify(address, &options);
        let results = results(&outcome);
        let bad = |result: &str| ["failed", "unreachable"].contains(&result);
        let is_bad = results.values().any(|result| bad(result));
        assert_eq!(outcome.code, if is_bad { 4 } else { 0 }, "{outcome}");
        let others = results.into_iter().filter(|(_, result)| result != "passed");
        others.collect()
    }
}

/// How each probe came out.
fn results(outcome: &Outcome) -> BTreeMap<String, String> {
    let document = outcome.json();
    assert_eq!(document["format_version"], "1");
    let probes = document["probes"].as_array().expect("is a list");
    let text = |value: &serde_json::Value| value.as_str().expect("is a text").to_owned();
    let results = probes
        .iter()
        .map(|probe| (text(&probe["name"]), text(&probe["result"])));
    results.collect()
}

fn named(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, result)| ((*name).to_owned(), (*result).to_owned()))
        .collect()
}

/// What cannot be tried from outside of the VPC, without an echoing backend, and under the default policy.
const ALWAYS_SKIPPED: [(&str, &str); 4] = [
    ("direct_endpoint", "skipped"),
    ("client_headers", "skipped"),
    ("forged_headers", "skipped"),
    ("post_quantum", "skipped"),
];

/// The same and these.
fn besides(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all = named(&ALWAYS_SKIPPED);
    all.extend(named(more));
    all
}

#[test]
fn a_good_gateway_passes_every_probe_that_can_be_tried() {
    let stage = Stage::new();
    assert_eq!(stage.not_passed(stage.good(), &[]), besides(&[]));
    let echo = ["--echo-path", "/echo", "--expect-body", "this is the API"];
    let mut expected = besides(&[]);
    expected.remove("forged_headers");
    expected.remove("client_headers");
    assert_eq!(stage.not_passed(stage.good(), &echo), expected);
}

#[test]
fn the_report_says_what_was_expected_and_what_was_seen() {
    let stage = Stage::new();
    let mut wrong = stage.good();
    wrong.status = 503;
    let address = wrong.serve(&stage.server_root);
    let outcome = stage.verify(address, &["--json"]).exits(4);
    let mut filters = filters();
    filters.push((r"203\.0\.113\.\d+", "[address]"));
    filters.push((r"\d+ days left", "[n] days left"));
    insta::with_settings!({filters => filters.clone()}, {
        insta::assert_snapshot!("json", outcome.stdout);
    });
    let outcome = stage.verify(address, &[]).exits(4);
    insta::with_settings!({filters => filters}, {
        insta::assert_snapshot!("text", outcome.stdout);
    });
}

#[test]
fn each_way_to_be_too_lenient_is_found() {
    let stage = Stage::new();
    let found = |change: fn(&mut Behaviour)| {
        let mut behaviour = stage.good();
        change(&mut behaviour);
        stage.not_passed(behaviour, &["--echo-path", "/"])
    };
    let but = |failed: &[(&str, &str)]| {
        let mut all = besides(failed);
        all.remove("forged_headers");
        all.remove("client_headers");
        all.extend(named(failed));
        all
    };
    assert_eq!(found(|one| one.tls12 = true), but(&[("tls_1_2", "failed")]));
    assert_eq!(found(|one| one.crls = None), but(&[("revoked", "failed")]));
    assert_eq!(
        found(|one| one.lets_anonymous_in = true),
        but(&[("no_certificate", "failed")])
    );
    assert_eq!(
        found(|one| one.resumes = true),
        but(&[("resumption", "failed")])
    );
    assert_eq!(
        found(|one| one.passes_forged_headers = true),
        but(&[("forged_headers", "failed")])
    );
    let nobody_is_verified = [
        ("no_certificate", "failed"),
        ("unknown_ca", "failed"),
        ("lookalike", "failed"),
        ("expired", "failed"),
        ("wrong_purpose", "failed"),
        ("revoked", "failed"),
        ("ca_names", "failed"),
        ("client_headers", "failed"),
    ];
    assert_eq!(
        found(|one| one.client_roots = None),
        but(&nobody_is_verified)
    );
}

#[test]
fn each_way_to_be_of_no_use_is_found() {
    let stage = Stage::new();
    let found = |change: fn(&mut Behaviour)| {
        let mut behaviour = stage.good();
        change(&mut behaviour);
        stage.not_passed(behaviour, &[])
    };
    let wrong_status = besides(&[("good_certificate", "failed")]);
    assert_eq!(found(|one| one.status = 503), wrong_status);
    let wrong_name = besides(&[("server_certificate", "failed")]);
    assert_eq!(
        found(|one| one.names = vec!["other.example.com"]),
        wrong_name
    );
    assert_eq!(
        found(|one| one.http2 = false),
        besides(&[("http_2", "failed")])
    );
    let no_names = besides(&[("ca_names", "failed")]);
    assert_eq!(found(|one| one.tells_names = false), no_names);
    let good = stage.good().serve(&stage.server_root);
    let elsewhere = redirecting_to("http://api.example.com");
    let outcome = stage.verify_both((good, elsewhere), &["--json"]).exits(4);
    assert_eq!(results(&outcome)["http_redirect"], "failed", "{outcome}");
    let outcome = stage.verify(good, &["--expect-body", "a poem"]).exits(4);
    outcome.says("HTTP 200 without it");
}

#[test]
fn clients_are_refused_by_another_ca_than_the_stacks() {
    let stage = Stage::new();
    let other = Authority::new("Other CA");
    let behaviour = Behaviour::verifying(&other.certificate, &other.crl);
    let failed = besides(&[
        ("good_certificate", "failed"),
        ("ca_names", "failed"),
        ("http_2", "failed"),
        ("resumption", "failed"),
    ]);
    assert_eq!(stage.not_passed(behaviour, &[]), failed);
}

#[test]
fn what_cannot_be_reached_has_refused_nobody() {
    let stage = Stage::new();
    for (address, why) in [
        (nobody(), "connection refused"),
        (black_hole(), "no TLS within 1 s"),
    ] {
        let outcome = stage.verify_both((address, address), &["--timeout", "1s", "--json"]);
        let outcome = outcome.exits(4).says(why);
        let results = results(&outcome);
        for probe in [
            "no_certificate",
            "unknown_ca",
            "tls_1_1",
            "tls_1_2",
            "http_redirect",
        ] {
            assert_eq!(results[probe], "unreachable", "{probe}: {outcome}");
        }
        let beside = ["dns", "direct_regional"];
        let passed = results.iter().filter(|(_, result)| *result == "passed");
        let passed: Vec<_> = passed.map(|(name, _)| name.as_str()).collect();
        assert!(
            passed.iter().all(|name| beside.contains(name)),
            "{passed:?}"
        );
    }
}

#[test]
fn what_the_user_has_not_given_is_skipped() {
    let stack = STACK.replace("verify: {", "# verify: {");
    let mut stage = Stage::of(&stack);
    stage.scenario.remove("revoked_key.pem");
    let address = stage.good().serve(&stage.server_root);
    let without_store = ["--pki", "nowhere", "--json"];
    let outcome = stage.verify(address, &without_store).ok();
    let results = results(&outcome);
    for probe in [
        "good_certificate",
        "expired",
        "wrong_purpose",
        "revoked",
        "http_2",
        "resumption",
    ] {
        assert_eq!(results[probe], "skipped", "{probe}: {outcome}");
    }
    outcome.says("needs a revoked client: --revoked CERT KEY");
    // Given, they are tried.
    stage.scenario.run_bare(["pki", "issue", "second"]).ok();
    let good = ["--cert", "second_cert.pem", "--key", "second_key.pem"];
    let outcome = stage
        .verify(address, &[&good[..], &["--json"]].concat())
        .ok();
    assert_eq!(self::results(&outcome)["good_certificate"], "passed");
    // One that is not revoked is let in, which is not what a revoked one should be.
    let revoked = ["--revoked", "second_cert.pem", "second_key.pem", "--json"];
    let outcome = stage.verify(address, &revoked).exits(4);
    assert_eq!(self::results(&outcome)["revoked"], "failed");
    stage.scenario.write("pki/root/key.pem", "");
    stage
        .verify(address, &["--pki", "pki"])
        .exits(1)
        .says("key.pem");
}

#[test]
fn a_locked_ca_needs_its_passphrase() {
    let mut stage = Stage::new();
    stage.scenario.set("CA_PASSPHRASE", "a long one");
    let locked = ["pki", "ca", "locked", "--passphrase-env", "CA_PASSPHRASE"];
    stage.scenario.run_bare(locked).ok();
    let bundle = "pki/locked/cert.pem";
    stage.scenario.edit(
        "ca_bundle: [pki/root/cert.pem]",
        &format!("ca_bundle: [{bundle}]"),
    );
    stage.scenario.edit("crls: [pki/root/crl.pem]", "crls: []");
    let root = stage.scenario.read(bundle);
    let mut behaviour = stage.good();
    behaviour.client_roots = Some(root);
    behaviour.crls = None;
    let address = behaviour.serve(&stage.server_root);
    let outcome = stage.verify(address, &["--json"]);
    assert_eq!(results(&outcome)["expired"], "skipped", "{outcome}");
    let outcome = outcome.says("needs the passphrase of the CA");
    drop(outcome);
    let given = ["--ca-passphrase-env", "CA_PASSPHRASE", "--json"];
    let outcome = stage.verify(address, &given);
    assert_eq!(results(&outcome)["expired"], "passed", "{outcome}");
}

#[test]
fn expired_clients_are_let_in_where_the_stack_says_so() {
    let verify = "mutual_authentication: verify";
    let ignoring =
        "mutual_authentication: { mode: verify, ignore_client_certificate_expiry: true }";
    let stage = Stage::of(&STACK.replace(verify, ignoring));
    // This server does not let them in.
    let found = stage.not_passed(stage.good(), &[]);
    assert_eq!(found, besides(&[("expired", "failed")]));
}

#[test]
fn without_verification_everybody_is_let_in() {
    let verify = "mutual_authentication: verify";
    let stage = Stage::of(&STACK.replace(verify, "mutual_authentication: off"));
    let mut open = stage.good();
    open.client_roots = None;
    let skipped = [
        "unknown_ca",
        "lookalike",
        "expired",
        "wrong_purpose",
        "revoked",
    ];
    let skipped = skipped.map(|probe| (probe, "skipped"));
    let more = [("ca_names", "skipped"), ("resumption", "skipped")];
    let skipped = [&skipped[..], &more].concat();
    assert_eq!(stage.not_passed(open, &[]), besides(&skipped));
    // A gateway that still verifies is not what this stack says.
    let found = stage.not_passed(stage.good(), &[]);
    assert_eq!(found["no_certificate"], "failed");
}

#[test]
fn a_server_that_is_late_is_waited_for() {
    let stage = Stage::new();
    let outcome = stage.verify_both((nobody(), nobody()), &["--retry-for", "5m"]);
    // The sandbox's clock passes five minutes at once.
    outcome
        .exits(4)
        .says("probes not as expected: once more in 30 s");
}

#[test]
fn apply_verifies_what_it_has_made() {
    let mut stage = Stage::new();
    let address = stage.good().serve(&stage.server_root);
    let https = format!("api.example.com:443:127.0.0.1:{}", address.port());
    let http = redirecting_to("https://api.example.com:443").port();
    let http = format!("api.example.com:80:127.0.0.1:{http}");
    let apply = |more: &[&'static str]| {
        let arguments = ["apply", "--yes", "--verify", "--ca", "server_root.pem"];
        let to = ["--connect-to", &https, "--connect-to", &http];
        let arguments: Vec<&str> = arguments
            .into_iter()
            .chain(to)
            .chain(more.iter().copied())
            .collect();
        stage.scenario.run(arguments)
    };
    apply(&[]).ok().says("0 failed");
    let outcome = apply(&["--expect", "204", "--json"]).exits(4);
    let last = outcome.json_lines().pop().expect("there are lines");
    assert_eq!(
        (&last["type"], &last["passed"]),
        (&"verify".into(), &false.into())
    );
    stage.scenario.edit("petstore", "petshop");
    let unused = ["apply", "--yes", "--expect", "204"];
    stage.scenario.run(unused).exits(1).says("add --verify");
}

#[test]
fn probes_leave_nothing_behind_and_change_nothing() {
    let stage = Stage::new();
    let files = || {
        let mut files = files_below(&stage.scenario.path(""));
        files.retain(|(path, _)| !path.contains(".mtlsgw"));
        files
    };
    let address = stage.good().serve(&stage.server_root);
    let before = files();
    let calls = stage.scenario.calls().len();
    stage.verify(address, &[]).ok();
    assert!(before == files(), "a file has come, gone or changed");
    let made = stage.scenario.calls().split_off(calls);
    assert!(
        !made.is_empty() && made.iter().all(|call| is_reading(call)),
        "{made:?}"
    );
}

/// Every file below a directory, with its content.
fn files_below(directory: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("is readable") {
        let path = entry.expect("is readable").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            let content = std::fs::read(&path).expect("is readable");
            found.push((path.display().to_string(), content));
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_no_http_has_refused_nobody() {
    let stage = Stage::new();
    let address = redirecting_to("http://api.example.com");
    // It answers TLS with an HTTP error, or not at all.
    let outcome = stage
        .verify(address, &["--json", "--timeout", "2s"])
        .exits(4);
    let results = results(&outcome);
    for probe in [
        "no_certificate",
        "unknown_ca",
        "lookalike",
        "revoked",
        "good_certificate",
    ] {
        assert_ne!(results[probe], "passed", "{probe}: {outcome}");
    }
}

#[test]
fn what_cannot_be_probed_is_an_error() {
    let scenario = Scenario::stack("name: petstore\nregion: ap-northeast-1\n");
    let nothing = "neither a listener nor a regional API";
    scenario.run(["verify"]).exits(1).says(nothing);
    let path = ["verify", "--path", "pets"];
    scenario.run(path).exits(1).says("begin it with `/`");
    scenario
        .run(["verify", "--connect-to", "nonsense"])
        .exits(64);
    scenario
        .run(["verify", "--cert", "client_cert.pem"])
        .exits(64);
    let stack = "name: petstore
region: ap-northeast-1
vpc: default
certificate: { request: api.example.com }
target_group: { targets: [10.0.0.1] }
load_balancer: {}
trust_store: { ca_bundle: [root_cert.pem] }
listener: { mutual_authentication: verify }
";
    let scenario = Scenario::stack(stack);
    scenario
        .run(["verify"])
        .exits(1)
        .says("no load balancer in AWS");
    let missing = ["verify", "--cert", "no_cert.pem", "--key", "no_key.pem"];
    scenario.run(missing).exits(1).says("no_cert.pem");
}
