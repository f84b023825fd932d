//! System S: an API that reaches a backend in the VPC through a VPC link and a network load balancer.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::thread;

use rcgen::{KeyUsagePurpose, SanType};
use serde_json::Value;

use crate::acts::assert_order;
use crate::support::{Authority, Outcome, Scenario};

/// A regional API in front of a backend whose TLS goes through.
const STACK: &str = "\
name: pets
region: ap-northeast-1
vpc: default
api:
  openapi: openapi.yaml
  endpoint_type: regional
  vpc_link: network_load_balancer
  insecure_skip_verification: true
network_load_balancer:
  listener: { port: 443 }
  targets: [172.31.0.10]
  private_zone: backend.internal
  name: pets.backend.internal
";

/// One method that leads to the backend.
pub(crate) const OPENAPI: &str = "\
openapi: 3.0.1
info: { title: pets, version: '1' }
paths:
  /pets:
    get:
      responses: { '200': { description: ok } }
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: GET
        connectionType: VPC_LINK
        connectionId: ${vpc_link}
        uri: https://pets.backend.internal/pets
";

/// The stack, and something that takes connections wherever it has targets.
pub(crate) fn scenario() -> Scenario {
    let scenario = Scenario::stack(STACK).file("openapi.yaml", OPENAPI);
    for place in ["172.31.0.10:443", "172.31.0.10:8443", "172.31.0.11:443"] {
        let host = ["sandbox", "host", place, backend()];
        scenario.run(host).ok();
    }
    scenario
}

/// A port of this machine that takes connections as long as the tests run.
pub(crate) fn backend() -> &'static str {
    static BACKEND: OnceLock<(TcpListener, String)> = OnceLock::new();
    let (_, address) = BACKEND.get_or_init(|| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let address = listener.local_addr().expect("is bound").to_string();
        let taking = listener.try_clone().expect("can be shared");
        thread::spawn(move || taking.incoming().for_each(drop));
        (listener, address)
    });
    address
}

/// The same with a listener that ends TLS with a certificate of its own.
pub(crate) fn ending_tls(scenario: Scenario) -> Scenario {
    let mut scenario = with_certificate(scenario, "backend");
    scenario.edit(
        "listener: { port: 443 }",
        "listener: { port: 443, protocol: tls, certificate: { import: { certificate: backend.pem, private_key: backend.key } } }",
    );
    scenario
}

/// A self-signed certificate for the backend, and its key.
fn with_certificate(scenario: Scenario, name: &str) -> Scenario {
    let backend = self_signed(&["pets.backend.internal"]);
    scenario
        .file(&format!("{name}.pem"), &backend.certificate)
        .file(&format!("{name}.key"), backend.private_key())
}

/// A CA that is its own and only server, as API Gateway wants self-signed backends.
pub(crate) fn self_signed(hosts: &[&str]) -> Authority {
    let name = |host: &&str| SanType::DnsName((*host).try_into().expect("is ASCII"));
    Authority::with("Backend", |params| {
        params.subject_alt_names = hosts.iter().map(name).collect();
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    })
}

#[track_caller]
fn plan(scenario: &Scenario) -> Outcome {
    scenario.run(["plan", "--detailed-exitcode"]).exits(2)
}

/// What is in the sandbox of a kind.
fn all(scenario: &Scenario, kind: &str) -> Vec<Value> {
    let dump = scenario.dump();
    let all = dump.pointer(kind).and_then(Value::as_object);
    all.map(|all| all.values().cloned().collect())
        .unwrap_or_default()
}

#[test]
fn an_api_is_built_up_to_its_backend_and_taken_away_again() {
    let scenario = scenario();
    let writes = scenario.applies(&[]);
    assert_order(
        &writes,
        &[
            "CreateLoadBalancer",
            "CreateVpcLink",
            "PutRestApi",
            "CreateDeployment",
            "CreateStage",
        ],
    );
    scenario.has_converged();
    let writes = {
        let (outcome, calls) = scenario.calls_of(["destroy", "--yes"]);
        outcome.ok();
        crate::acts::writes(&calls)
    };
    assert_order(
        &writes,
        &["DeleteRestApi", "DeleteVpcLink", "DeleteLoadBalancer"],
    );
    let left = scenario.dump().to_string();
    assert!(!left.contains("mtlsgw:stack"), "{left}");
    for gone in ["backend.internal", "vpclink"] {
        assert!(!left.contains(gone), "{gone}: {left}");
    }
}

#[test]
fn the_links_id_stands_where_the_definition_asks_for_it() {
    let scenario = scenario().applied();
    let link = scenario.id("vpc_link");
    let dump = scenario.dump().to_string();
    assert!(dump.contains(&link), "{dump}");
    assert!(!dump.contains("${vpc_link}"), "{dump}");
}

#[test]
fn a_listener_that_ends_tls_shows_the_imported_certificate() {
    let scenario = ending_tls(scenario());
    scenario.applies(&[]);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
    assert!(all(&scenario, "/regions/ap-northeast-1/acm/certificates").is_empty());
}

#[test]
fn another_port_is_opened_before_the_api_moves_and_the_old_one_is_closed_last() {
    let mut scenario = scenario().applied();
    scenario.edit("port: 443", "port: 8443");
    scenario.write(
        "openapi.yaml",
        OPENAPI.replace("backend.internal/", "backend.internal:8443/"),
    );
    plan(&scenario).says("network_load_balancer.listener");
    let writes = scenario.applies(&[]);
    assert_order(
        &writes,
        &[
            "CreateListener",
            "CreateDeployment",
            "UpdateStage",
            "DeleteListener",
        ],
    );
    scenario.has_converged();
}

#[test]
fn another_protocol_on_the_same_port_is_downtime_that_has_to_be_allowed() {
    let scenario = ending_tls(scenario().applied());
    scenario
        .run(["apply", "--yes"])
        .exits(1)
        .says("--allow-downtime");
    scenario.applies(&["--allow-downtime"]);
    scenario.has_converged();
}

#[test]
fn targets_change_in_place_and_new_ones_come_first() {
    let mut scenario = scenario().applied();
    scenario.edit("[172.31.0.10]", "[172.31.0.11]");
    let writes = scenario.applies(&[]);
    assert_eq!(writes, ["RegisterTargets", "DeregisterTargets"]);
    scenario.has_converged();
}

#[test]
fn another_certificate_is_imported_to_the_same_arn() {
    let scenario = ending_tls(scenario()).applied();
    let before = scenario.id("network_load_balancer.certificate");
    let scenario = with_certificate(scenario, "backend");
    let writes = scenario.applies(&[]);
    assert_eq!(writes, ["ImportCertificate"]);
    assert_eq!(scenario.id("network_load_balancer.certificate"), before);
    scenario.has_converged();
}

#[test]
fn another_zone_comes_with_its_record_before_the_old_one_goes() {
    let mut scenario = scenario().applied();
    scenario.edit(
        "private_zone: backend.internal",
        "private_zone: servers.internal",
    );
    scenario.edit("name: pets.backend.internal", "name: pets.servers.internal");
    let writes = scenario.applies(&[]);
    assert_order(
        &writes,
        &[
            "CreateHostedZone",
            "ChangeResourceRecordSets",
            "DeleteHostedZone",
        ],
    );
    scenario.has_converged();
}

#[test]
fn another_name_in_the_zone_is_made_before_the_old_one_goes() {
    let mut scenario = scenario().applied();
    scenario.edit("name: pets.backend.internal", "name: cats.backend.internal");
    scenario.applies(&[]);
    scenario.has_converged();
    let dump = scenario.dump().to_string();
    assert!(!dump.contains("pets.backend.internal.\""), "{dump}");
}

#[test]
fn what_leaves_the_file_goes_in_order() {
    let mut scenario = scenario().applied();
    let (api, _) = STACK.split_once("  vpc_link").expect("is there");
    scenario.write("stack.yaml", api);
    scenario.write(
        "openapi.yaml",
        OPENAPI
            .replace("        connectionType: VPC_LINK\n", "")
            .replace("        connectionId: ${vpc_link}\n", ""),
    );
    let writes = scenario.applies(&[]);
    assert_order(
        &writes,
        &[
            "UpdateStage",
            "DeleteDeployment",
            "DeleteVpcLink",
            "DeleteLoadBalancer",
        ],
    );
    scenario.has_converged();
}

#[test]
fn somebody_elses_link_on_our_load_balancer_forbids_to_delete_it() {
    let mut scenario = scenario().applied();
    // Without ours there is room for theirs.
    let (before, after) = STACK
        .split_once("  vpc_link: network_load_balancer\n")
        .expect("is there");
    scenario.write("stack.yaml", format!("{before}{after}"));
    scenario.write(
        "openapi.yaml",
        OPENAPI
            .replace("        connectionType: VPC_LINK\n", "")
            .replace("        connectionId: ${vpc_link}\n", ""),
    );
    scenario.applies(&[]);
    let target = scenario.id("network_load_balancer");
    let body = serde_json::json!({"name": "theirs", "targetArns": [target]});
    scenario.meanwhile(|aws| {
        aws.rest(("apigateway", "POST", "/vpclinks"), body.to_string())
            .ok();
    });
    scenario
        .run(["destroy", "--yes"])
        .exits(1)
        .says("the VPC link `theirs`");
}

#[test]
fn a_private_zone_of_that_name_that_is_not_ours_is_in_the_way() {
    let scenario = scenario();
    scenario.applies(&[]);
    let mut other = scenario;
    other.write("other.yaml", STACK.replace("name: pets\n", "name: cats\n"));
    other
        .run(["plan", "other.yaml"])
        .exits(1)
        .says("the private zone `backend.internal`");
}

#[test]
fn impossible_combinations_are_refused_with_their_places() {
    let refused = |from: &str, to: &str, message: &str| {
        let mut scenario = scenario();
        scenario.edit(from, to);
        scenario.run(["validate"]).exits(1).says(message);
    };
    let port = "{ port: 443 }";
    refused(
        port,
        "{ port: 8443 }",
        "stack.yaml:5:3: the URI of `GET /pets`, `https://pets.backend.internal/pets`, leads to a port",
    );
    refused(
        port,
        "{ certificate: { arn: x } }",
        "`certificate` has no effect with `protocol: tcp`",
    );
    refused(port, "{ protocol: tls }", "needs a certificate");
    refused(port, "{}\n  target_protocol: tls", "begins no TLS");
    refused(
        "  vpc_link: network_load_balancer\n",
        "",
        "the definition uses `${vpc_link}`, and `api` has no `vpc_link`",
    );
    refused(
        "[172.31.0.10]",
        "[i-0abc, 172.31.0.10]",
        "instances or IP addresses, not both",
    );
    refused("[172.31.0.10]", "[]", "lists no target");
    refused(
        "name: pets.backend.internal",
        "name: pets.other.internal",
        "is not within the zone",
    );
    refused("  private_zone: backend.internal\n", "", "no zone is given");
    refused(
        "port: 443 }",
        "port: 443 }\n  health_check: { path: / }",
        "`path` has no effect",
    );
}

#[test]
fn a_backend_is_probed_before_anything_is_built() {
    let scenario = scenario();
    let place = backend();
    let probe = ["plan", "--probe-backend", "172.31.0.10:443"];
    // What takes connections speaks no TLS.
    scenario.run(probe).exits(1).says("shows no certificate");
    let wrong = [
        "validate",
        "--probe-backend",
        place.trim_end_matches(|c| c != ':'),
    ];
    scenario.run_bare(wrong).exits(64).says("is not HOST:PORT");
}

#[test]
fn the_backends_certificate_is_judged_before_anything_is_built() {
    let judged = |name: &str, skip: bool| {
        let mut scenario = scenario().file("backend.pem", &self_signed(&[name]).certificate);
        let line = "  insecure_skip_verification: true\n";
        let file = "  backend_certificate: backend.pem\n";
        let kept = if skip { line } else { "" };
        scenario.edit(line, &format!("{kept}{file}"));
        scenario.run(["validate"])
    };
    judged("pets.backend.internal", true).ok();
    judged("pets.backend.internal", false)
        .exits(1)
        .says("backend-private-ca")
        .says("insecure_skip_verification: true");
    judged("other.internal", true)
        .exits(1)
        .says("backend-name-not-covered");
}
