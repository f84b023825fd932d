//! The listeners of the embedded AWS, which are real sockets: what they do is what the stack says, until
//! somebody changes it behind the stack's back.

use std::collections::BTreeMap;

use super::{STACK, Stage, besides, named, results};
use crate::support::Aws;
use crate::support::stand_in::Behaviour;

impl Stage {
    /// The probes that did not pass against the sandbox's own sockets.
    #[track_caller]
    fn not_passed_here(&self, options: &[&str]) -> BTreeMap<String, String> {
        let options = [&["verify", "--json", "--path", "/"], options].concat();
        let outcome = self.scenario.run(options);
        let results = results(&outcome);
        let is_bad = results
            .values()
            .any(|one| one == "failed" || one == "unreachable");
        assert_eq!(outcome.code, if is_bad { 4 } else { 0 }, "{outcome}");
        let others = results.into_iter().filter(|(_, result)| result != "passed");
        others.collect()
    }

    /// Applies with a server behind it that prints the headers of its requests.
    fn apply_with_backend(&self) {
        let mut backend = Behaviour::verifying("", "");
        backend.client_roots = None;
        backend.passes_forged_headers = true;
        backend.http2 = false;
        let backend = backend.serve(&self.server_root).to_string();
        let host = ["sandbox", "host", "172.31.0.10:443", &backend];
        self.scenario.run(host).ok();
        self.scenario.run(["apply", "--yes"]).ok();
    }

    fn output(&self, name: &str) -> String {
        let outcome = self.scenario.run(["output", "--name", name]).ok();
        outcome.stdout.trim().to_owned()
    }

    fn elb(&self, aws: &Aws, operation: &str, (key, address): (&str, &str), more: &[(&str, &str)]) {
        let arn = self.output(address);
        let own = [("Action", operation), (key, arn.as_str())];
        aws.query("elasticloadbalancing", &[&own, more].concat())
            .ok();
    }
}

const VERIFY: &str = "mutual_authentication: verify";

#[test]
fn a_gateway_of_the_sandbox_keeps_what_its_stack_promises() {
    let stage = Stage::new();
    assert_eq!(stage.not_passed_here(&[]), besides(&[]));
    let policy =
        "mutual_authentication: verify, ssl_policy: ELBSecurityPolicy-TLS13-1-3-PQ-2025-09";
    let stage = Stage::of(&STACK.replace(VERIFY, policy));
    let mut with_post_quantum = besides(&[]);
    with_post_quantum.remove("post_quantum");
    assert_eq!(stage.not_passed_here(&[]), with_post_quantum);
    let ignoring = "mutual_authentication: { mode: verify, advertise_ca_names: false, \
                    ignore_client_certificate_expiry: true }, \
                    ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06";
    let stage = Stage::of(&STACK.replace(VERIFY, ignoring));
    assert_eq!(stage.not_passed_here(&[]), besides(&[]));
}

#[test]
fn modes_that_verify_nobody_let_everybody_in() {
    let skipped = [
        "unknown_ca",
        "lookalike",
        "expired",
        "wrong_purpose",
        "revoked",
        "ca_names",
    ];
    let skipped = skipped.map(|probe| (probe, "skipped"));
    let passthrough = STACK.replace(VERIFY, "mutual_authentication: passthrough");
    let stage = Stage::of(&passthrough);
    assert_eq!(stage.not_passed_here(&[]), besides(&skipped));
    let stage = Stage::of(&STACK.replace(VERIFY, "mutual_authentication: off"));
    let off = [&skipped[..], &[("resumption", "skipped")]].concat();
    assert_eq!(stage.not_passed_here(&[]), besides(&off));
}

#[test]
fn what_somebody_changes_behind_the_stacks_back_is_found() {
    let stage = Stage::new();
    let aws = stage.scenario.serve(&[]);
    let listener = ("ListenerArn", "listener");
    let change = |more: &[(&str, &str)]| stage.elb(&aws, "ModifyListener", listener, more);
    let failed = |probes: &[&str]| {
        let failed: Vec<_> = probes.iter().map(|probe| (*probe, "failed")).collect();
        besides(&failed)
    };

    change(&[("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06")]);
    assert_eq!(stage.not_passed_here(&[]), failed(&["tls_1_2"]));
    change(&[("SslPolicy", "ELBSecurityPolicy-TLS13-1-3-2021-06")]);

    change(&[("MutualAuthentication.Mode", "off")]);
    let nobody_is_asked = [
        "no_certificate",
        "unknown_ca",
        "lookalike",
        "expired",
        "wrong_purpose",
        "revoked",
        "ca_names",
        "resumption",
    ];
    let mut found = stage.not_passed_here(&[]);
    // Without mutual TLS sessions may be resumed.
    found
        .entry("resumption".to_owned())
        .or_insert_with(|| "failed".to_owned());
    assert_eq!(found, failed(&nobody_is_asked));
    let store = stage.output("trust_store");
    let verify = |ignores: &str| {
        change(&[
            ("MutualAuthentication.Mode", "verify"),
            ("MutualAuthentication.TrustStoreArn", store.as_str()),
            (
                "MutualAuthentication.IgnoreClientCertificateExpiry",
                ignores,
            ),
            ("MutualAuthentication.AdvertiseTrustStoreCaNames", "on"),
        ]);
    };
    verify("true");
    assert_eq!(stage.not_passed_here(&[]), failed(&["expired"]));
    verify("false");
    assert_eq!(stage.not_passed_here(&[]), besides(&[]));

    let trust_store = ("TrustStoreArn", "trust_store");
    let revocations = [("RevocationIds.member.1", "1")];
    stage.elb(
        &aws,
        "RemoveTrustStoreRevocations",
        trust_store,
        &revocations,
    );
    assert_eq!(stage.not_passed_here(&[]), failed(&["revoked"]));
}

#[test]
fn a_gateway_that_is_cut_off_is_unreachable() {
    let stage = Stage::new();
    let aws = stage.scenario.serve(&[]);
    let redirect = ("ListenerArn", "listener.redirect");
    stage.elb(&aws, "DeleteListener", redirect, &[]);
    let found = stage.not_passed_here(&[]);
    assert_eq!(found, besides(&[("http_redirect", "unreachable")]));
    stage.elb(&aws, "DeleteListener", ("ListenerArn", "listener"), &[]);
    let found = stage.not_passed_here(&["--timeout", "2s"]);
    let good = ["dns", "direct_regional"];
    for (probe, result) in &found {
        let is_known = besides(&[]).contains_key(probe);
        assert_eq!(
            result,
            if is_known { "skipped" } else { "unreachable" },
            "{probe}"
        );
    }
    assert!(
        good.iter().all(|probe| !found.contains_key(*probe)),
        "{found:?}"
    );
}

/// Targets of the user's own, which see the headers that the load balancer sets.
const TARGETS: &str = r#"name: petstore
region: ap-northeast-1
vpc: default
certificate: { request: "*.example.com" }
target_group: { targets: [172.31.0.10] }
load_balancer: {}
trust_store: { ca_bundle: [pki/root/cert.pem], crls: [pki/root/crl.pem] }
listener: { mutual_authentication: verify }
record: { zone: example.com, name: api.example.com }
verify: { client_certificate: client_cert.pem, client_key: client_key.pem }
"#;

#[test]
fn forged_headers_do_not_get_past_the_load_balancer() {
    let stage = Stage::not_applied(TARGETS);
    stage.apply_with_backend();
    let skipped = [
        "direct_endpoint",
        "direct_regional",
        "http_redirect",
        "post_quantum",
    ];
    let skipped = named(&skipped.map(|probe| (probe, "skipped")));
    assert_eq!(stage.not_passed_here(&["--echo-path", "/headers"]), skipped);
}

#[test]
fn every_listener_is_probed_by_every_name() {
    let listeners = "listeners:
  main: { mutual_authentication: verify }
  canary: { port: 8443, mutual_authentication: passthrough }
";
    let single = "listener: { mutual_authentication: verify }\n";
    let records = "records:
  main: { zone: example.com, name: api.example.com }
  other: { zone: example.com, name: shop.example.com }
";
    let record = "record: { zone: example.com, name: api.example.com }\n";
    let stack = TARGETS.replace(single, listeners).replace(record, records);
    let stage = Stage::not_applied(&stack);
    stage.apply_with_backend();
    let document = stage.scenario.run(["verify", "--json"]).ok().json();
    let results = |gateway: &str, name: &str| {
        let probes = document["probes"].as_array().expect("is a list");
        let mut found = probes
            .iter()
            .filter(|probe| probe["gateway"] == gateway && probe["name"] == name);
        let probe = found
            .next()
            .unwrap_or_else(|| panic!("no {name} of {gateway}"));
        assert!(found.next().is_none());
        (probe["result"].clone(), probe["expected"].clone())
    };
    for name in ["api", "shop"] {
        let gateway = |port: u16| format!("{name}.example.com:{port}");
        let refused = ("passed".into(), "refused".into());
        assert_eq!(results(&gateway(443), "no_certificate"), refused);
        let accepted = ("passed".into(), "accepted (mode passthrough)".into());
        assert_eq!(results(&gateway(8443), "no_certificate"), accepted);
        assert_eq!(results(&gateway(443), "good_certificate").0, "passed");
    }
    assert_eq!(document["gateways"].as_array().map(Vec::len), Some(4));
    let one = ["verify", "--json", "--name", "shop.example.com"];
    let document = stage.scenario.run(one).ok().json();
    assert_eq!(document["gateways"].as_array().map(Vec::len), Some(2));
}

#[test]
fn without_a_name_of_its_own_the_load_balancers_is_used() {
    let record = "record: { zone: example.com, name: api.example.com }\n";
    let stage = Stage::not_applied(&TARGETS.replace(record, ""));
    stage.apply_with_backend();
    let names = [
        "dns",
        "server_certificate",
        "direct_endpoint",
        "direct_regional",
    ];
    let more = [
        "client_headers",
        "forged_headers",
        "http_redirect",
        "post_quantum",
    ];
    let skipped = names.iter().chain(&more).map(|probe| (*probe, "skipped"));
    let skipped: Vec<_> = skipped.collect();
    assert_eq!(stage.not_passed_here(&[]), named(&skipped));
}
