//! System C: servers behind client certificates, with real servers on loopback.

pub(crate) mod backend;

use serde_json::Value;

use crate::support::{Authority, Outcome, Scenario, Web};

pub(crate) use backend::Backend;

/// The stack of the example, with a CRL from a URL and a chain in the wrong order.
const STACK: &str = r#"name: login
region: ap-northeast-1
vpc: default
certificate: { import: { certificate: server.pem, private_key: server_key.pem, chain: chain.pem } }
target_group: { targets: [i-0a1b2c3d4e5f60001, i-0a1b2c3d4e5f60002], protocol: http, port: 8080, health_check: { path: /health } }
load_balancer: { connection_logs: true, access_logs: true, log_retention_days: 30 }
trust_store: { ca_bundle: [clients_root.pem, clients_issuing.pem], crls: ["CRL_URL"], allow_private_addresses: true }
listener:
  redirect_http: true
  mutual_authentication: { mode: verify, advertise_ca_names: true }
  header_names: { subject: X-Client-Subject, serial_number: X-Client-Serial }
record: { zone: example.com, name: login.example.com }
verify: { client_certificate: alice.pem, client_key: alice_key.pem, echo_path: /headers }
"#;

/// Where the servers are.
pub(crate) const PLACES: [&str; 2] = ["i-0a1b2c3d4e5f60001:8080", "i-0a1b2c3d4e5f60002:8080"];

/// The stack's bucket of logs.
const LOG_BUCKET: &str = "mtlsgw-123456789012-ap-northeast-1-logs-login";

/// A stack with its CAs, its CRL's server and its own servers.
pub(crate) struct Stage {
    pub(crate) scenario: Scenario,
    backends: Vec<Backend>,
    /// The root and the issuer of the server's certificate.
    servers: (Authority, Authority),
    _crls: Web,
}

impl Stage {
    /// With two servers of the example behind it.
    pub(crate) fn new() -> Self {
        Self::of(STACK, &PLACES, &[])
    }

    /// A stack with servers at these places, which are started with these options.
    fn of(stack: &str, places: &[&str], options: &[&str]) -> Self {
        let crls = Web::new();
        let root_of_clients = root("Clients Root");
        let issuing = root_of_clients.below("Clients Issuing");
        let crl = issuing.crl_of(1, &[66]);
        crls.serve("/issuing.crl", pem_to_der(&crl));
        let root_of_servers = root("Servers Root");
        let issuer_of_servers = root_of_servers.below("Servers Issuing");
        let mut stage = Self {
            scenario: Scenario::stack(
                &stack.replace("CRL_URL", &format!("{}/issuing.crl", crls.url)),
            ),
            backends: Vec::new(),
            servers: (root_of_servers, issuer_of_servers),
            _crls: crls,
        };
        let name = |params: &mut rcgen::CertificateParams| {
            params
                .distinguished_name
                .push(rcgen::DnType::OrganizationName, "Example Corp");
            params
                .distinguished_name
                .push(rcgen::DnType::OrganizationalUnitName, "Login");
        };
        let (alice, alice_key) = issuing.client_with("alice", 65, name);
        let (revoked, revoked_key) = issuing.client_with("revoked", 66, name);
        let scenario = &mut stage.scenario;
        scenario.write("clients_root.pem", &root_of_clients.certificate);
        scenario.write("clients_issuing.pem", &issuing.certificate);
        scenario.write("alice.pem", alice);
        scenario.write("alice_key.pem", alice_key);
        scenario.write("revoked_cert.pem", revoked);
        scenario.write("revoked_key.pem", revoked_key);
        stage.renew_server();
        for place in places {
            stage.start(place, options);
        }
        stage
    }

    /// A server certificate of the same CA in place of the one that was there.
    fn renew_server(&mut self) {
        let (root, issuing) = &self.servers;
        let (certificate, key) = issuing.issue(&["login.example.com"]);
        // The root comes first, and the certificate itself is in it.
        let chain = format!("{}{certificate}{}", root.certificate, issuing.certificate);
        self.scenario.write("server.pem", certificate);
        self.scenario.write("server_key.pem", key);
        self.scenario.write("chain.pem", chain);
    }

    /// Starts a server and has it stand for what is at a place.
    fn start(&mut self, place: &str, options: &[&str]) {
        let backend = Backend::start(options);
        self.scenario
            .run(["sandbox", "host", place, &backend.address])
            .ok();
        self.backends.push(backend);
    }

    fn verified(&self) -> Outcome {
        let outcome = self.scenario.run(["verify", "--json"]);
        let result = |name: &str| result(&outcome, name);
        for probe in [
            "good_certificate",
            "no_certificate",
            "server_certificate",
            "client_headers",
            "forged_headers",
        ] {
            assert_eq!(result(probe), "passed", "{probe}: {outcome}");
        }
        outcome.ok()
    }
}

/// A root CA that may have others below it.
fn root(name: &str) -> Authority {
    Authority::with(name, |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    })
}

/// How a probe came out.
fn result(outcome: &Outcome, name: &str) -> String {
    let document = outcome.json();
    let probes = document["probes"].as_array().expect("is a list").iter();
    let mut found = probes.filter(|probe| probe["name"] == name);
    let found = found.next().unwrap_or_else(|| panic!("no {name}"));
    found["result"].as_str().expect("is text").to_owned()
}

fn pem_to_der(pem: &str) -> Vec<u8> {
    use base64::Engine;
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let base64: String = lines.collect();
    base64::engine::general_purpose::STANDARD
        .decode(base64)
        .expect("is base64")
}

#[test]
fn servers_behind_client_certificates_are_applied_verified_and_destroyed() {
    let stage = Stage::new();
    let scenario = &stage.scenario;
    scenario.run(["apply", "--yes"]).ok();
    scenario.has_converged();
    let verified = stage.verified();
    for probe in [
        "revoked",
        "ca_names",
        "http_redirect",
        "http_2",
        "unknown_ca",
    ] {
        assert_eq!(result(&verified, probe), "passed", "{verified}");
    }
    scenario.run(["doctor"]).ok().says("No link is broken.");
    let logs = scenario.run(["logs"]).ok();
    logs.says("ClientCertCrlHit: 1 connection");
    let destroyed = scenario.run(["destroy", "--yes"]).ok();
    destroyed.says("left behind: load_balancer.log_bucket (mtlsgw-123456789012-ap-northeast-1-logs-login): the bucket `mtlsgw-123456789012-ap-northeast-1-logs-login` has logs in it");
    assert!(has_log_bucket(scenario));
    scenario.run(["destroy", "--yes"]).ok();
    assert!(
        has_log_bucket(scenario),
        "a second destroy takes no logs either"
    );
    scenario.run(["destroy", "--yes", "--delete-logs"]).ok();
    assert!(!has_log_bucket(scenario));
}

fn has_log_bucket(scenario: &Scenario) -> bool {
    !scenario.dump()["s3"]["buckets"][LOG_BUCKET].is_null()
}

#[test]
fn addresses_behind_https_are_told_the_whole_chain_in_passthrough() {
    let stack = STACK
        .replace(
            "[i-0a1b2c3d4e5f60001, i-0a1b2c3d4e5f60002], protocol: http, port: 8080",
            "[10.20.0.5, 172.31.0.9], port: 8443",
        )
        .replace("{ mode: verify, advertise_ca_names: true }", "passthrough")
        .replace(
            "{ subject: X-Client-Subject, serial_number: X-Client-Serial }",
            "{ clientcert: X-Client-Chain }",
        );
    let kept = stack
        .lines()
        .filter(|line| !line.starts_with("trust_store"));
    let stack = kept.collect::<Vec<_>>().join("\n") + "\n";
    let own = Authority::server(&["whatever.internal"]);
    let mut stage = Stage::of(
        &stack.replace("echo_path", "expect: 403, echo_path"),
        &[],
        &[],
    );
    stage.scenario.write("backend.pem", &own.certificate);
    stage.scenario.write("backend_key.pem", own.private_key());
    let path = |name: &str| {
        stage
            .scenario
            .path(name)
            .to_str()
            .expect("is UTF-8")
            .to_owned()
    };
    let (certificate, key) = (path("backend.pem"), path("backend_key.pem"));
    for place in ["10.20.0.5:8443", "172.31.0.9:8443"] {
        stage.start(place, &["--certificate", &certificate, "--key", &key]);
    }
    stage.scenario.run(["apply", "--yes"]).ok();
    stage.scenario.has_converged();
    let outcome = stage.scenario.run(["verify", "--json"]).ok();
    for probe in ["client_headers", "forged_headers"] {
        assert_eq!(result(&outcome, probe), "passed", "{outcome}");
    }
    stage.scenario.run(["doctor"]).ok();
}

#[test]
fn headers_under_other_names_than_the_stack_says_are_noticed() {
    let stage = Stage::new();
    stage.scenario.run(["apply", "--yes"]).ok();
    let listener = stage.scenario.run(["output", "--name", "listener"]).ok();
    let listener = listener.stdout.trim().to_owned();
    let attribute = "routing.http.request.x_amzn_mtls_clientcert_subject.header_name";
    let call = [
        ("Action", "ModifyListenerAttributes"),
        ("ListenerArn", &listener),
        ("Attributes.member.1.Key", attribute),
        ("Attributes.member.1.Value", "X-Other"),
    ];
    stage
        .scenario
        .aws()
        .query("elasticloadbalancing", &call)
        .ok();
    let outcome = stage.scenario.run(["verify", "--json"]).exits(4);
    assert_eq!(result(&outcome, "client_headers"), "failed", "{outcome}");
    outcome.says("X-Client-Subject is not printed");
}

/// What the load balancer shows as its certificate.
fn certificate(scenario: &Scenario) -> String {
    let shown = scenario.run(["output", "--name", "certificate"]).ok();
    shown.stdout.trim().to_owned()
}

#[test]
fn a_renewed_certificate_keeps_its_arn_and_another_kind_of_key_is_explained() {
    let mut stage = Stage::new();
    stage.scenario.run(["apply", "--yes"]).ok();
    let arn = certificate(&stage.scenario);
    stage.renew_server();
    let plan = stage.scenario.run(["plan", "--json"]).ok().json();
    let changes: Vec<&Value> = plan["stacks"][0]["changes"]
        .as_array()
        .expect("is a list")
        .iter()
        .collect();
    assert_eq!(changes.len(), 1, "{plan:#}");
    stage.scenario.run(["apply", "--yes"]).ok();
    assert_eq!(certificate(&stage.scenario), arn);
    stage.verified();

    let names = ["login.example.com".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).expect("is a name");
    let kind = &rcgen::PKCS_ECDSA_P384_SHA384;
    let key = rcgen::KeyPair::generate_for(kind).expect("there is randomness");
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(90);
    let certificate_pem = params.self_signed(&key).expect("can be signed").pem();
    stage.scenario.write("server.pem", &certificate_pem);
    stage.scenario.write("server_key.pem", key.serialize_pem());
    stage.scenario.write("chain.pem", &certificate_pem);
    let plan = stage.scenario.run(["plan"]).ok();
    plan.says("ACM imports the same kind and size of key in place only");
    stage.scenario.run(["apply", "--yes"]).ok();
    assert_ne!(certificate(&stage.scenario), arn);
    stage.scenario.has_converged();
}

#[test]
fn a_chain_with_a_stranger_and_a_key_of_another_certificate_are_refused() {
    let mut stage = Stage::new();
    let chain = stage.scenario.read("chain.pem");
    let stranger = Authority::new("Stranger");
    stage
        .scenario
        .write("chain.pem", format!("{chain}{}", stranger.certificate));
    let refused = stage.scenario.run(["plan"]).exits(1);
    refused
        .says("CN=Stranger does not belong to the chain: ")
        .says(
            "hint: name the issuer of the certificate and the issuer's issuers, and nothing else",
        );
    stage.scenario.write("chain.pem", chain);
    stage
        .scenario
        .write("server_key.pem", stranger.private_key());
    let failed = stage.scenario.run(["apply", "--yes"]).exits(3);
    failed
        .says("server_key.pem (ECDSA P-256) is not that of the certificate of ")
        .says("hint: name the two files that were made together");
    assert!(
        !stage
            .scenario
            .calls()
            .contains(&"acm:ImportCertificate".to_owned())
    );
}

#[test]
fn a_new_policy_that_is_not_known_yet_is_waited_for() {
    let stage = Stage::of(STACK, &[], &[]);
    let aws = stage.scenario.serve(&["--timing", "x60"]);
    let applied = stage.scenario.run(["apply", "--yes"]).ok();
    drop(aws);
    applied.says("load_balancer: waiting for the log bucket's policy to take effect");
}

#[test]
fn a_log_bucket_with_late_deliveries_is_emptied_again() {
    let stage = Stage::new();
    stage.scenario.run(["apply", "--yes"]).ok();
    stage.verified();
    let aws = stage
        .scenario
        .serve(&["--fault", "DeleteBucket#1=fail:BucketNotEmpty:409"]);
    let destroyed = stage
        .scenario
        .run(["destroy", "--yes", "--delete-logs"])
        .ok();
    drop(aws);
    destroyed
        .says("load_balancer.log_bucket: waiting for the last logs to be delivered and deleted");
    assert!(!has_log_bucket(&stage.scenario));
}

#[test]
fn somebody_elses_bucket_of_the_name_is_left_alone() {
    let stage = Stage::new();
    stage.scenario.aws().make_bucket(LOG_BUCKET);
    let before = stage.scenario.dump()["s3"]["buckets"][LOG_BUCKET].clone();
    let refused = stage.scenario.run(["apply", "--yes"]).exits(1);
    refused.says("exists and is not this stack's");
    assert_eq!(stage.scenario.dump()["s3"]["buckets"][LOG_BUCKET], before);
}

#[test]
fn logs_that_are_switched_off_leave_the_bucket_to_what_is_in_it() {
    let mut stage = Stage::new();
    stage.scenario.run(["apply", "--yes"]).ok();
    stage.scenario.edit(", access_logs: true", "");
    stage.scenario.run(["apply", "--yes"]).ok();
    stage
        .scenario
        .edit("{ connection_logs: true, log_retention_days: 30 }", "{}");
    stage.scenario.run(["apply", "--yes"]).ok();
    stage.scenario.has_converged();
    assert!(!has_log_bucket(&stage.scenario), "nothing was logged yet");
}
