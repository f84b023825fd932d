//! The systems whose commands are struck, and how each is edited.

use crate::support::{Authority, Scenario, authority};
use crate::system_s::{self, self_signed};

/// A change of a stack's files, and what it is called.
type Edit = (&'static str, fn(&mut Scenario));

/// A system that is built, changed and taken away.
pub(super) struct System {
    /// What it is called.
    pub(super) name: &'static str,
    /// Of so many cases one is tried, unless all are. It shares no divisor with the number of ways to
    /// strike, so that they take turns.
    pub(super) every: usize,
    /// Its files in a fresh account.
    pub(super) fresh: fn() -> Scenario,
    /// What is changed of its files once it stands, each with a name of its own.
    pub(super) edits: &'static [Edit],
}

/// System P: mutual TLS in front of a private API.
pub(super) const PETSTORE: System = System {
    name: "system P",
    every: 13,
    fresh: Scenario::petstore,
    edits: &[("update", edit_petstore)],
};

/// System C: servers behind client certificates.
pub(super) const CLIENTS: System = System {
    name: "system C",
    every: 47,
    fresh: clients,
    edits: &[("update", edit_clients), ("logs elsewhere", move_logs)],
};

/// System S: a backend in the VPC behind an API.
pub(super) const BACKEND: System = System {
    name: "system S",
    every: 43,
    fresh: backend_in_vpc,
    edits: &[
        ("update", edit_backend),
        ("another load balancer", replace_balancer),
    ],
};

/// System P as another file: what can be changed in place is, and certificate and domain are replaced.
const CHANGED_PETSTORE: &str = r#"name: petstore
region: ap-northeast-1
vpc: default
tags: { Team: pki }
endpoint:
  policy:
    Version: "2012-10-17"
    Statement: [{ Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "*" }]
api:
  openapi: petstore.yaml
  stage: dev
  description: Pets
  stage_variables: { colour: blue }
  throttling: { rate_limit: 50, burst_limit: 20 }
domain: { name: www.example.com }
certificate: { request: www.example.com }
target_group:
  deregistration_delay_seconds: 20
  health_check: { interval_seconds: 10, timeout_seconds: 3 }
load_balancer:
  allow: [203.0.113.0/24, 198.51.100.0/24]
  attributes: { idle_timeout.timeout_seconds: "120" }
trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }
listener:
  mutual_authentication: { mode: verify, advertise_ca_names: false }
  ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06
record: { zone: example.com, evaluate_target_health: true }
"#;

/// System P edited wherever one edit can be.
fn edit_petstore(scenario: &mut Scenario) {
    let second = Authority::new("Second Root CA");
    let bundle = format!("{}{}", authority().certificate, second.certificate);
    scenario.write("root_cert.pem", bundle);
    let crl = authority().crl_of(2, &[2, 3, 4]);
    scenario.write("root.crl", format!("{crl}{}", second.crl));
    let definition = scenario.read("petstore.yaml");
    let definition = definition.replace("/pets/{petId}", "/animals/{petId}");
    scenario.write("petstore.yaml", definition);
    scenario.write("stack.yaml", CHANGED_PETSTORE);
}

const CLIENTS_STACK: &str = r"name: login
region: ap-northeast-1
vpc: default
certificate: { import: { certificate: server.pem, private_key: server_key.pem, chain: chain.pem } }
target_group: { targets: [i-0a1b2c3d4e5f60001, i-0a1b2c3d4e5f60002], protocol: http, port: 8080, health_check: { path: /health } }
load_balancer: { connection_logs: true, access_logs: true, log_retention_days: 30 }
trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }
listener:
  redirect_http: true
  mutual_authentication: { mode: verify, advertise_ca_names: true }
  header_names: { subject: X-Client-Subject, serial_number: X-Client-Serial }
record: { zone: example.com, name: login.example.com }
";

/// System C in an account with somebody else's bucket for logs.
fn clients() -> Scenario {
    let mut scenario = Scenario::stack(CLIENTS_STACK);
    renew(&mut scenario);
    scenario.meanwhile(|aws| aws.make_log_bucket("their-logs"));
    scenario
}

/// A server certificate of a CA that did not sign the one before.
fn renew(scenario: &mut Scenario) {
    let issuer = Authority::new("Issuing CA");
    let (certificate, key) = issuer.issue(&["login.example.com", "clients.example.com"]);
    scenario.write("server.pem", certificate);
    scenario.write("server_key.pem", key);
    scenario.write("chain.pem", &issuer.certificate);
}

/// System C edited wherever one edit can be: chain, instances, port, logs, headers, name, tags.
fn edit_clients(scenario: &mut Scenario) {
    renew(scenario);
    let edits = [
        ("vpc: default", "vpc: default\ntags: { Team: pki }"),
        ("[i-0a1b2c3d4e5f60001, ", "[i-0a1b2c3d4e5f60003, "),
        ("port: 8080", "port: 8081"),
        (
            "access_logs: true, log_retention_days: 30",
            "log_retention_days: 60",
        ),
        ("  redirect_http: true\n", ""),
        ("advertise_ca_names: true", "advertise_ca_names: false"),
        ("X-Client-Subject", "X-Subject"),
        ("login.example.com", "clients.example.com"),
    ];
    for (from, to) in edits {
        scenario.edit(from, to);
    }
}

/// Other targets of the same group, and all logs in somebody else's bucket.
fn move_logs(scenario: &mut Scenario) {
    scenario.edit("[i-0a1b2c3d4e5f60001, ", "[i-0a1b2c3d4e5f60003, ");
    scenario.edit(
        "connection_logs: true, access_logs: true, log_retention_days: 30",
        "connection_logs: { bucket: their-logs, prefix: c }, access_logs: { bucket: their-logs }",
    );
}

const BACKEND_STACK: &str = "\
name: pets
region: ap-northeast-1
vpc: default
api:
  openapi: openapi.yaml
  endpoint_type: regional
  vpc_link: network_load_balancer
  insecure_skip_verification: true
network_load_balancer:
  listener: { port: 443, protocol: tls, certificate: { import: { certificate: backend.pem, private_key: backend_key.pem } } }
  targets: [i-0a1b2c3d4e5f60001]
  private_zone: backend.internal
  name: pets.backend.internal
";

/// The names that the backend has.
const NAMES: [&str; 2] = ["pets.backend.internal", "pets.servers.internal"];

/// System S. Its targets are instances: how often the health of servers is asked for depends on how
/// soon they answer, and each run is to have the same calls.
fn backend_in_vpc() -> Scenario {
    let mut scenario = Scenario::stack(BACKEND_STACK).file("openapi.yaml", system_s::OPENAPI);
    show_another(&mut scenario);
    scenario
}

/// A certificate that the listener shows.
fn show_another(scenario: &mut Scenario) {
    let shown = self_signed(&NAMES);
    scenario.write("backend.pem", &shown.certificate);
    scenario.write("backend_key.pem", shown.private_key());
}

/// System S edited wherever one edit can be: port, policy, certificate, targets, check, zone, tags.
fn edit_backend(scenario: &mut Scenario) {
    show_another(scenario);
    let definition = system_s::OPENAPI.replace("backend.internal/", "backend.internal:8443/");
    scenario.write("openapi.yaml", definition);
    let edits = [
        ("vpc: default", "vpc: default\ntags: { Team: pki }"),
        (
            "port: 443, protocol: tls",
            "port: 8443, protocol: tls, ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06",
        ),
        (
            "  targets: [i-0a1b2c3d4e5f60001]",
            "  targets: [i-0a1b2c3d4e5f60001, i-0a1b2c3d4e5f60002]\n  cross_zone: true\n  \
             deregistration_delay_seconds: 20\n  \
             health_check: { interval_seconds: 10, timeout_seconds: 3 }",
        ),
        (
            "private_zone: backend.internal\n  name: pets.backend.internal",
            "private_zone: servers.internal\n  name: pets.servers.internal",
        ),
    ];
    for (from, to) in edits {
        scenario.edit(from, to);
    }
}

/// What cannot be changed in place: load balancer, link, and all that belongs to them.
fn replace_balancer(scenario: &mut Scenario) {
    scenario.edit(
        "  targets: [i-0a1b2c3d4e5f60001]",
        "  targets: [i-0a1b2c3d4e5f60001]\n  scheme: internet-facing",
    );
}
