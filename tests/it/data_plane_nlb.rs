//! From API Gateway through a VPC link and a network load balancer to backends whose certificates
//! are judged as API Gateway judges them.

pub(crate) mod backend;
mod scene;

use rcgen::{IsCa, KeyUsagePurpose};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use self::backend::{HOST, Material, expire, for_names};
use self::scene::{Scene, integration};
use crate::data_plane_http::client::Server;
use crate::support::Scenario;

const UNKNOWN: &str = "PKIX path building failed: \
    sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification \
    path to requested target";
const EXPIRED: &str = "validity check failed";
const OTHER_NAME: &str =
    "Host name 'backend.internal' does not match the certificate subject provided by the peer";
const NO_AUTHORITY: &str = "this is not a CA certificate";
const MAY_NOT_SIGN: &str = "keyCertSign bit is not set";

/// A backend behind a link, whether its issuer is asked for, and why it is refused, if it is.
struct Row {
    path: &'static str,
    material: Material,
    skips: bool,
    refusal: Option<&'static str>,
}

fn rows() -> Vec<Row> {
    let row = |path, material, skips, refusal: &'static str| Row {
        path,
        material,
        skips,
        refusal: (!refusal.is_empty()).then_some(refusal),
    };
    let self_signed = || Material::self_signed(|_| {});
    let issued = || Material::issued(|_| {}, |_| {});
    let other = |params: &mut rcgen::CertificateParams| for_names(params, &["other.internal"]);
    vec![
        row("self-signed", self_signed(), false, UNKNOWN),
        row("self-signed-skipped", self_signed(), true, ""),
        row("private-ca", issued(), false, UNKNOWN),
        row("private-ca-skipped", issued(), true, ""),
        row("without-its-root", issued().alone(), true, UNKNOWN),
        row("expired", Material::self_signed(expire), true, EXPIRED),
        row(
            "expired-root",
            Material::issued(expire, |_| {}),
            true,
            EXPIRED,
        ),
        row("other-name", Material::self_signed(other), true, OTHER_NAME),
        row(
            "other-name-below-a-ca",
            Material::issued(|_| {}, other),
            true,
            OTHER_NAME,
        ),
        row(
            "no-ca",
            Material::self_signed(|params| params.is_ca = IsCa::ExplicitNoCa),
            true,
            NO_AUTHORITY,
        ),
        row(
            "plain-leaf",
            Material::self_signed(|params| {
                params.is_ca = IsCa::NoCa;
                params.key_usages.clear();
            }),
            true,
            NO_AUTHORITY,
        ),
        row(
            "may-not-sign",
            Material::self_signed(|params| {
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            }),
            true,
            MAY_NOT_SIGN,
        ),
    ]
}

#[test]
fn a_backend_is_judged_by_issuer_name_date_and_root() {
    let scene = Scene::new();
    let rows = rows();
    let mut paths = serde_json::Map::new();
    for (row, port) in rows.iter().zip(8_000..) {
        scene.backend(port, "TCP", &row.material.serve(&[&TLS12, &TLS13]));
        let uri = format!("https://{HOST}:{port}/where");
        let method = integration(&uri, &scene.link, row.skips);
        paths.insert(format!("/{}", row.path), method);
    }
    let api = scene.api(&Value::Object(paths));
    for (row, port) in rows.iter().zip(8_000..) {
        let answer = scene.get(&api, row.path);
        let Some(refusal) = row.refusal else {
            assert_eq!(answer.status, 200, "{}: {answer:?}", row.path);
            let told = answer.json();
            assert_eq!(told["host"], format!("{HOST}:{port}"), "{}", row.path);
            assert_eq!(told["server_name"], HOST, "{}", row.path);
            assert_eq!(told["version"], "Some(TLSv1_2)", "{}", row.path);
            continue;
        };
        assert_eq!(answer.status, 500, "{}: {answer:?}", row.path);
        assert_eq!(answer.json()["message"], "Internal server error");
        let log = scene.execution_log(&api);
        let reason = &log[log.len() - 2];
        assert!(
            reason.contains("Execution failed due to configuration error: ")
                && reason.contains(refusal),
            "{}: {reason}",
            row.path
        );
        assert!(log[log.len() - 1].ends_with("Method completed with status: 500"));
    }
}

#[test]
fn a_backend_of_tls_1_3_alone_is_out_of_reach() {
    let scene = Scene::new();
    let only: &[&SupportedProtocolVersion] = &[&TLS13];
    scene.backend(443, "TCP", &Material::self_signed(|_| {}).serve(only));
    let method = integration(&format!("https://{HOST}/"), &scene.link, true);
    let api = scene.api(&json!({ "/new": method }));
    assert_eq!(scene.get(&api, "new").status, 500);
    let log = scene.execution_log(&api);
    assert!(
        log[0].contains("Received fatal alert: protocol_version"),
        "{log:?}"
    );
}

#[test]
fn a_tls_listener_shows_acms_certificate_and_does_not_look_at_its_targets() {
    let scene = Scene::new();
    let certificate = scene.certificate("backend.example.com");
    let secure = Material::self_signed(expire).serve(&[&TLS12, &TLS13]);
    scene.secure_backend((443, "TLS"), &certificate, &secure);
    scene.secure_backend((8_443, "TCP"), &certificate, &Server::new().address);
    let to = |uri: &str, skips| integration(uri, &scene.link, skips);
    let api = scene.api(&json!({
        "/secure": to("https://backend.example.com/", false),
        "/plain": to("https://backend.example.com:8443/", false),
        "/wrong": to("https://other.example.com/", false),
        "/skipped": to("https://other.example.com/", true),
    }));
    let secure = scene.get(&api, "secure");
    assert_eq!(
        (secure.status, &secure.json()["host"]),
        (200, &json!("backend.example.com"))
    );
    // The name that the gateway asks for ends at the load balancer.
    assert_eq!(secure.json()["server_name"], Value::Null);
    let plain = scene.get(&api, "plain");
    assert_eq!(plain.json()["headers"]["host"], "backend.example.com:8443");
    for path in ["wrong", "skipped"] {
        assert_eq!(scene.get(&api, path).status, 500, "{path}");
    }
}

#[test]
fn a_link_may_be_named_by_a_stage_variable_and_leads_past_dns() {
    let scene = Scene::new();
    scene.backend(443, "TCP", &Material::self_signed(|_| {}).serve(&[&TLS12]));
    let method = integration(&format!("https://{HOST}/"), "${stageVariables.link}", true);
    let api = scene.api_with(
        &json!({ "/by-variable": method }),
        &json!({ "link": scene.link }),
    );
    assert_eq!(scene.get(&api, "by-variable").status, 200);
    // The name is known to nobody but the certificate.
    assert_eq!(scene.resolved(HOST, None), 0);
    let refused = scene.gateway_answer("DELETE", &format!("/vpclinks/{}", scene.link));
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("is referenced in"), "{refused:?}");
}

#[test]
fn a_private_zone_is_seen_from_its_vpc_alone() {
    let scene = Scene::new();
    scene.private_zone(HOST);
    assert_eq!(scene.resolved(HOST, Some(&scene.vpc)), 3);
    assert_eq!(scene.resolved(HOST, None), 0);
}

#[test]
fn security_groups_hold_for_links_unless_they_are_told_not_to() {
    let scene = Scene::guarded();
    scene.backend(443, "TCP", &Material::self_signed(|_| {}).serve(&[&TLS12]));
    let method = integration(&format!("https://{HOST}/"), &scene.link, true);
    let api = scene.api(&json!({ "/guarded": method }));
    assert_eq!(scene.get(&api, "guarded").status, 504);
    scene.lift_enforcement();
    assert_eq!(scene.get(&api, "guarded").status, 200);
}

#[test]
fn a_listener_that_is_not_there_and_a_target_that_is_not_make_a_504() {
    let scene = Scene::new();
    scene.backend(443, "TCP", "127.0.0.1:9");
    let to = |uri: &str| integration(uri, &scene.link, true);
    let api = scene.api(&json!({
        "/no-target": to(&format!("https://{HOST}/")),
        "/no-listener": to(&format!("https://{HOST}:444/")),
    }));
    for path in ["no-target", "no-listener"] {
        assert_eq!(scene.get(&api, path).status, 504, "{path}");
    }
    scene.becomes(443, "unhealthy");
}

#[test]
fn targets_are_checked_by_connecting_or_by_asking() {
    let scene = Scene::new();
    let server = Material::self_signed(|_| {}).serve(&[&TLS12]);
    scene.backend(443, "TCP", &server);
    scene.becomes(443, "healthy");
    let group = scene.group(443);
    let check = |parameters: &[(&str, &str)]| {
        let all = [
            &[("Action", "ModifyTargetGroup"), ("TargetGroupArn", &group)],
            parameters,
        ];
        scene.elb(&all.concat());
    };
    check(&[
        ("HealthCheckProtocol", "HTTP"),
        ("UnhealthyThresholdCount", "2"),
    ]);
    scene.becomes(443, "unhealthy");
    check(&[
        ("HealthCheckProtocol", "HTTPS"),
        ("HealthyThresholdCount", "2"),
    ]);
    scene.becomes(443, "healthy");
}

#[test]
fn one_that_faces_the_internet_passes_bytes_through() {
    let scene = Scene::new();
    let server = Material::self_signed(|_| {}).serve(&[&TLS13]);
    let name = scene.public(9_443, &server);
    let answer = scene.get_from_anybody((&name, 9_443), HOST);
    // TLS is the backend's: it has seen the client's name for it and its version.
    assert_eq!(answer.json()["server_name"], HOST);
    assert_eq!(answer.json()["version"], "Some(TLSv1_3)");
}

#[test]
fn links_pass_the_own_group_of_a_stack_that_admits_nobody() {
    let stack = "name: inner
region: ap-northeast-1
vpc: default
api:
  openapi: openapi.yaml
  endpoint_type: regional
  vpc_link: network_load_balancer
  insecure_skip_verification: true
network_load_balancer:
  allow: []
  targets: [172.31.0.10]
  private_zone: backend.internal
";
    let openapi = crate::system_s::OPENAPI.replace("pets.backend", "backend");
    let scenario = Scenario::stack(stack).file("openapi.yaml", openapi);
    let server = Material::self_signed(|_| {}).serve(&[&TLS12]);
    scenario
        .run(["sandbox", "host", "172.31.0.10:443", &server])
        .ok();
    scenario.run(["apply", "--yes"]).ok();
    let scene = Scene::of(scenario, None);
    let api = scene.only_api();
    assert_eq!(scene.get(&api, "pets").status, 200);
}

#[test]
fn a_private_api_reaches_it_too() {
    let scenario = Scenario::petstore();
    scenario.run(["apply", "--yes"]).ok();
    let scene = Scene::of(scenario, None);
    scene.backend(
        443,
        "TCP",
        &Material::issued(|_| {}, |_| {}).serve(&[&TLS12]),
    );
    let uri = format!("https://{HOST}/");
    let paths = json!({
        "/checked": integration(&uri, &scene.link, false),
        "/skipped": integration(&uri, &scene.link, true),
    });
    let api = scene.only_api();
    scene.import(&api, "merge", &paths);
    scene.deploy(&api, &Value::Null);
    let get = |path: &str| scene.client_get("api.example.com", path);
    assert_eq!(get("/pets").status, 200);
    assert_eq!(get("/checked").status, 500);
    let answer = get("/skipped");
    assert_eq!((answer.status, &answer.json()["host"]), (200, &json!(HOST)));
}

#[test]
fn plain_https_integrations_are_judged_alike() {
    let scene = Scene::new();
    let material = Material::issued(|_| {}, |_| {});
    let server = material.serve(&[&TLS12]);
    scene.host(&format!("{HOST}:443"), &server);
    let uri = format!("https://{HOST}/");
    let direct = |skips: bool| {
        let mut method = integration(&uri, "", skips);
        let integration = &mut method["get"]["x-amazon-apigateway-integration"];
        let members = integration.as_object_mut().expect("an object");
        members.remove("connectionType");
        members.remove("connectionId");
        method
    };
    let api = scene.api(&json!({ "/checked": direct(false), "/skipped": direct(true) }));
    assert_eq!(scene.get(&api, "checked").status, 500);
    assert!(scene.execution_log(&api)[0].contains(UNKNOWN));
    assert_eq!(scene.get(&api, "skipped").status, 200);
}

#[expect(clippy::print_stderr, reason = "says that there was nothing to test")]
#[test]
fn nginx_with_a_certificate_of_a_private_ca_is_a_backend() {
    let Some(nginx) = scene::Nginx::start(&Material::issued(|_| {}, |_| {})) else {
        eprintln!("skipped: nginx is not installed");
        return;
    };
    let scene = Scene::new();
    scene.backend(443, "TCP", &nginx.address);
    let uri = format!("https://{HOST}/");
    let api = scene.api(&json!({
        "/checked": integration(&uri, &scene.link, false),
        "/skipped": integration(&uri, &scene.link, true),
    }));
    assert_eq!(scene.get(&api, "checked").status, 500);
    let answer = scene.get(&api, "skipped");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "nginx at backend.internal")
    );
}
