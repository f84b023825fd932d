//! `trust lint`: what it finds, where, and how it exits.

use std::fs;

use rcgen::{ExtendedKeyUsagePurpose, IsCa};
use serde_json::{Value, json};

use crate::support::{Authority, Outcome, Scenario, root};

/// A CA that is none, and a good one.
fn leaf_and_root() -> (Authority, Authority) {
    let leaf = Authority::with("Leaf", |params| params.is_ca = IsCa::NoCa);
    (leaf, Authority::new("Root"))
}

/// The codes of the findings, in their order.
fn codes(outcome: &Outcome) -> Vec<String> {
    let findings = outcome.json()["findings"].clone();
    let findings = findings.as_array().expect("is a list").clone();
    let code = |finding: &Value| finding["code"].as_str().expect("is text").to_owned();
    findings.iter().map(code).collect()
}

#[test]
fn a_good_trust_store_has_no_findings() {
    let ca = Authority::new("Root");
    let scenario = Scenario::empty()
        .file("root.pem", &ca.certificate)
        .file("root.crl", &ca.crl);
    let files = ["trust", "lint", "root.pem", "root.crl"];
    scenario
        .run_bare(files)
        .ok()
        .says("1 certificate, 1 CRL, 2 revoked serials: 0 errors, 0 warnings");
    let report = scenario.run_bare(files.into_iter().chain(["--json"])).ok();
    let report = report.json();
    assert_eq!(report["format_version"], "1");
    assert_eq!(report["worst"], Value::Null);
    assert_eq!(report["findings"], json!([]));
    assert_eq!(report["revoked"], 2);
}

#[test]
fn an_error_is_told_with_its_place_and_exits_with_4() {
    let (leaf, good) = leaf_and_root();
    let bundle = format!("# all\n{}{}", good.certificate, leaf.certificate);
    let scenario = Scenario::empty().file("bundle.pem", &bundle);
    let line = bundle.lines().collect::<Vec<_>>();
    let line = line.iter().rposition(|line| line.contains("BEGIN"));
    let line = line.expect("is there") + 1;
    scenario
        .run_bare(["trust", "lint", "bundle.pem"])
        .exits(4)
        .says("error: CN=Leaf")
        .says(&format!("bundle.pem, line {line} (block 2)"))
        .says("ca-not-a-ca: it has no basicConstraints")
        .says("why: ALB refuses the whole bundle")
        .says("fix: make the certificate with `basicConstraints");
    let report = scenario.run_bare(["trust", "lint", "bundle.pem", "--json"]);
    let report = report.exits(4).json();
    assert_eq!(report["worst"], "error");
    let finding = &report["findings"][0];
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["subject"], "CN=Leaf");
    assert_eq!(finding["fingerprint"].as_str().map(str::len), Some(64));
    let places = json!([{"file": "bundle.pem", "block": 2, "line": line}]);
    assert_eq!(finding["places"], places);
}

#[test]
fn warnings_exit_with_4_only_where_they_are_denied() {
    let (one, two) = (Authority::new("Root"), Authority::new("Root"));
    let scenario = Scenario::empty()
        .file("one.pem", one.certificate)
        .file("two.pem", two.certificate);
    let lint = ["trust", "lint", "one.pem", "two.pem", "--json"];
    let outcome = scenario.run_bare(lint).ok();
    assert_eq!(codes(&outcome), ["ca-duplicate-subject"]);
    assert_eq!(outcome.json()["worst"], "warning");
    let denied = lint.into_iter().chain(["--deny-warnings"]);
    scenario.run_bare(denied).exits(4);
}

#[test]
fn notes_alone_are_no_reason_to_fail() {
    let ca = Authority::new("Root").certificate;
    let scenario = Scenario::empty().file("root.pem", format!("{ca}\n{ca}"));
    let lint = ["trust", "lint", "root.pem", "--deny-warnings", "--json"];
    let outcome = scenario.run_bare(lint).ok();
    assert_eq!(codes(&outcome), ["file-not-canonical", "ca-duplicate"]);
    assert_eq!(outcome.json()["worst"], Value::Null);
    let line = ca.lines().count() + 1;
    scenario
        .run_bare(["trust", "lint", "root.pem"])
        .ok()
        .says(&format!("file-not-canonical: line {line} is blank"));
}

#[test]
fn what_cannot_be_read_is_named_with_its_place_and_exits_with_1() {
    let ca = Authority::new("Root");
    let damaged = ca.certificate.replacen('M', "!", 1);
    let scenario = Scenario::empty()
        .file("good.pem", &ca.certificate)
        .file("damaged.pem", format!("\n{damaged}"))
        .file("key.pem", format!("{}{}", ca.certificate, ca.private_key()))
        .file("root.crl", &ca.crl);
    let lint = |arguments: &[&str]| {
        let all = ["trust", "lint", "good.pem"];
        scenario.run_bare(all.into_iter().chain(arguments.iter().copied()))
    };
    lint(&["damaged.pem"])
        .exits(1)
        .says("damaged.pem: line 2: the PEM block CERTIFICATE is damaged: it is not base64");
    lint(&["missing.pem"])
        .exits(1)
        .says("missing.pem: cannot be read");
    let refused = lint(&["key.pem"]).exits(1);
    let key = ca.private_key();
    let secret = key.lines().nth(1).expect("has a body");
    assert!(!format!("{refused}").contains(secret));
    refused
        .says("holds a private key")
        .says("hint: keep the private key out");
    lint(&["--client", "root.crl"])
        .exits(1)
        .says("root.crl: line 1: holds X509 CRL, where a certificate was expected")
        .says("hint: `--client` takes certificates");
    lint(&["--previous", "good.pem"])
        .exits(1)
        .says("holds CERTIFICATE, where a CRL was expected");
    scenario.run_bare(["trust", "lint"]).exits(64);
}

#[test]
fn clients_are_judged_and_their_headers_measured() {
    let ca = Authority::with("Root", |params| params.is_ca = unlimited());
    let (server, _) = ca.issue(&["one.example.com"]);
    let client = ca.client("one", 7);
    let scenario = Scenario::empty()
        .file("root.pem", &ca.certificate)
        .file("client.pem", &client)
        .file("server.pem", server);
    let lint = ["trust", "lint", "root.pem", "--json", "--client"];
    let good = scenario
        .run_bare(lint.into_iter().chain(["client.pem"]))
        .ok();
    let good = good.json();
    assert_eq!(good["findings"], json!([]));
    let measured = &good["clients"][0];
    assert_eq!(measured["subject"], "CN=one");
    // Every line break and both spaces of the boundaries take two bytes more than in the file.
    let value = client.len() + 2 * (client.lines().count() + 2);
    let header = "X-Amzn-Mtls-Clientcert: \r\n".len() + value;
    assert_eq!(measured["passthrough_header_bytes"], header);
    let verify = measured["verify_header_bytes"].as_u64().expect("a number");
    assert!(verify > header as u64 + 200, "{verify}");

    let bad = scenario.run_bare(lint.into_iter().chain(["server.pem"]));
    assert_eq!(codes(&bad.exits(4)), ["client-purpose"]);
    let stranger = Authority::new("Stranger").client("one", 7);
    let stranger = scenario.file("stranger.pem", stranger);
    let refused = stranger.run_bare(["trust", "lint", "root.pem", "--client", "stranger.pem"]);
    refused
        .exits(4)
        .says("client-untrusted: the issuer CN=Stranger is not in the bundle")
        .says("mode verify adds");
}

/// basicConstraints without a pathlen.
fn unlimited() -> IsCa {
    IsCa::Ca(rcgen::BasicConstraints::Unconstrained)
}

#[test]
fn a_crl_that_is_older_than_the_live_one_is_an_error() {
    let ca = Authority::new("Root");
    let now = time::OffsetDateTime::now_utc();
    let at = |number, hours| {
        let issued = now - time::Duration::hours(hours);
        ca.crl_between(number, &[2], (issued, now + time::Duration::days(30)))
    };
    let scenario = Scenario::empty()
        .file("root.pem", &ca.certificate)
        .file("live.crl", at(7, 2))
        .file("older.crl", at(6, 3))
        .file("reset.crl", at(1, 1))
        .file("next.crl", at(8, 1));
    let lint = |crl: &str| {
        let previous = ["--previous", "live.crl", "--json"];
        let files = ["trust", "lint", "root.pem", crl];
        scenario.run_bare(files.into_iter().chain(previous))
    };
    assert_eq!(codes(&lint("next.crl").ok()), [""; 0]);
    assert_eq!(codes(&lint("live.crl").ok()), [""; 0]);
    assert_eq!(codes(&lint("reset.crl").ok()), ["crl-number-back"]);
    assert_eq!(codes(&lint("older.crl").exits(4)), ["crl-older-than-live"]);
}

#[test]
fn dates_are_judged_as_of_the_time_asked_for() {
    let scenario = Scenario::empty();
    let example = root().join("examples/petstore");
    let lint = |at: &str| {
        let files = ["trust", "lint", "root_cert.pem", "--json", "--at", at];
        scenario.run_in(&example, files)
    };
    assert_eq!(codes(&lint("2001-01-01").ok()), ["ca-not-yet-valid"]);
    let late = lint("2999-01-01T00:00:00Z").ok();
    assert_eq!(codes(&late), ["ca-expired"]);
    assert_eq!(late.json()["at"], "2999-01-01T00:00:00Z");
    lint("tomorrow").exits(64).says("write a day");
}

#[test]
fn validate_has_the_same_rules_but_for_notes() {
    let server = Authority::with("Server CA", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let bundle = format!("{}\n{}", server.certificate, server.certificate);
    let scenario = Scenario::petstore()
        .file("root_cert.pem", bundle)
        .file("root.crl", &server.crl);
    let outcome = scenario.run_bare(["validate", "--json"]).ok();
    let warnings = outcome.json()["warnings"].clone();
    let warnings = warnings.as_array().expect("is a list");
    let codes: Vec<&str> = warnings
        .iter()
        .filter_map(|warning| warning["code"].as_str())
        .collect();
    assert_eq!(codes, ["ca-purpose"]);
}

#[test]
fn the_rules_in_docs_are_what_the_binary_prints() {
    let scenario = Scenario::empty();
    let printed = scenario.run_bare(["trust", "lint", "--rules"]).ok().stdout;
    let kept = fs::read_to_string(root().join("docs/trust-lint.md")).expect("is there");
    assert!(
        printed == kept,
        "run `cargo run -- trust lint --rules > docs/trust-lint.md`"
    );
    let rules = scenario.run_bare(["trust", "lint", "--rules", "--json"]);
    let rules = rules.ok().json()["rules"].clone();
    let rules = rules.as_array().expect("is a list");
    assert_eq!(
        rules.len(),
        kept.lines().filter(|line| line.starts_with("| `")).count()
    );
}
