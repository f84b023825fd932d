//! What clients of a load balancer meet: handshakes by policy and trust store, and the logs of them.

use std::io::Write;
use std::process::{Command, Stdio};

use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, SanType};
use rustls::version::{TLS12, TLS13};
use time::{Duration, OffsetDateTime};

use crate::acts::tell;
use crate::support::{Attempt, Authority, Gateway, Identity, PETSTORE, Scenario, authority};

/// Everything that a client can be, and the connection log's word for it.
#[expect(clippy::too_many_lines, reason = "a table, one client after the other")]
fn clients() -> Vec<(&'static str, Option<Identity>, &'static str)> {
    let ours = authority();
    let now = OffsetDateTime::now_utc();
    let lookalike = Authority::new("Harness Root CA");
    let deep = |kind| {
        let (one, two) = (
            ours.below_with("One", kind),
            ours.below_with("Two", &rcgen::PKCS_ECDSA_P256_SHA256),
        );
        let three = one.below_with("Three", &rcgen::PKCS_ECDSA_P256_SHA256);
        let four = three.below_with("Four", &rcgen::PKCS_ECDSA_P256_SHA256);
        (one, two, three, four)
    };
    let (one, two, three, four) = deep(&rcgen::PKCS_ECDSA_P256_SHA256);
    let edwards = ours.below_with("Edwards", &rcgen::PKCS_ED25519);
    let client = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        Some(Identity::from(ours.client_with("Client", 200, change)))
    };
    let below = |authority: &Authority| {
        Identity::from(authority.client_with("Below", 300, |_| {})).with(&authority.certificate)
    };
    vec![
        ("good", Some(Gateway::good()), "Success"),
        ("none", None, "Failed:UnmappedConnectionError"),
        (
            "unknown CA",
            Some(
                Authority::new("Other")
                    .client_with("Client", 1, |_| {})
                    .into(),
            ),
            "Failed:ClientCertUntrusted",
        ),
        (
            "lookalike CA",
            Some(lookalike.client_with("Client", 1, |_| {}).into()),
            "Failed:ClientCertUntrusted",
        ),
        (
            "revoked",
            Some(ours.client_with("Revoked", 2, |_| {}).into()),
            "Failed:ClientCertCrlHit",
        ),
        (
            "expired",
            client(&|params| params.not_after = now - Duration::DAY),
            "Failed:ClientCertExpired",
        ),
        (
            "not yet valid",
            client(&|params| params.not_before = now + Duration::DAY),
            "Failed:ClientCertNotYetValid",
        ),
        (
            "wrong purpose",
            client(&|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
            "Failed:ClientCertPurposeInvalid",
        ),
        (
            "too large",
            client(&|params| {
                let name = |index: u32| format!("{index:060}.example.com");
                let names = (0..300).map(name);
                params.subject_alt_names = names
                    .map(|name| SanType::DnsName(name.try_into().expect("is ASCII")))
                    .collect();
            }),
            "Failed:ClientCertMaxSizeExceeded",
        ),
        (
            "foreign critical extension",
            client(&|params| {
                let mut extension = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions = vec![extension];
            }),
            "Failed:ClientCertInvalid",
        ),
        (
            "below a CA that may have none below it",
            Some(below(&two)),
            "Failed:ClientCertInvalid",
        ),
        (
            "too deep",
            Some(below(&four).with(&three.certificate).with(&one.certificate)),
            "Failed:ClientCertMaxChainDepthExceeded",
        ),
        (
            "below an Edwards key",
            Some(below(&edwards)),
            "Failed:ClientCertTypeUnsupported",
        ),
    ]
}

#[test]
fn each_client_gets_its_verdict_and_the_log_says_why() {
    let gateway = Gateway::of(PETSTORE);
    gateway.write_logs();
    let clients = clients();
    for (name, identity, status) in &clients {
        let answer = gateway.get(identity.as_ref());
        assert_eq!(answer.is_ok(), *status == "Success", "{name}: {answer:?}");
    }
    let lines = gateway.so_many_log_lines("conn_log_", clients.len());
    let statuses: Vec<&str> = lines.iter().map(|line| columns(line)[10]).collect();
    let mut expected: Vec<&str> = clients.iter().map(|(.., status)| *status).collect();
    let mut sorted = statuses.clone();
    // Each node has a log of its own.
    expected.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    let key = gateway.log_keys("conn_log_").remove(0);
    assert!(
        key.starts_with("edge/AWSLogs/123456789012/elasticloadbalancing/ap-northeast-1/20"),
        "{key}"
    );
    let good = lines.iter().find(|line| line.contains("CN=Good"));
    let good = columns(good.expect("is logged"));
    assert_eq!(good.len(), 15, "{good:?}");
    assert_eq!(good[1], "198.51.100.10");
    assert_eq!(good[3..6], ["443", "TLSv1.3", "TLS_AES_128_GCM_SHA256"]);
    assert_eq!((good[7], good[9]), ("CN=Good", "64"));
    assert!(good[8].starts_with("NotBefore=20") && good[8].contains("Z;NotAfter=20"));
    let trace = good[11];
    assert!(trace.starts_with("TID_") && good[12] == "x25519" && good[13].starts_with("app/"));
    // Only who is let in gets as far as a request.
    let requests = gateway.so_many_log_lines("/123456789012_elasticloadbalancing_", 1);
    let [request] = requests.as_slice() else {
        panic!("{requests:#?}")
    };
    let request = columns(request);
    assert_eq!(
        (request.len(), request[0], request[29]),
        (30, "https", trace)
    );
    assert_eq!(request[12], "GET https://api.example.com:443/pets HTTP/1.1");
}

/// The columns of a log line; quotes hold one together.
fn columns(line: &str) -> Vec<&str> {
    let mut columns = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (column, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (column, after) = quoted.split_once('"').expect("ends");
                (column, after.strip_prefix(' ').unwrap_or(after))
            }
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        columns.push(column);
        rest = after;
    }
    columns
}

fn versions<'a>(
    identity: &'a Identity,
    versions: &'a [&'static rustls::SupportedProtocolVersion],
) -> Attempt<'a> {
    Attempt {
        identity: Some(identity),
        versions,
        headers: "",
    }
}

#[test]
fn a_policy_of_tls_1_3_refuses_tls_1_2() {
    let gateway = Gateway::of(PETSTORE);
    gateway.write_logs();
    let good = Gateway::good();
    let old = gateway.attempt(versions(&good, &[&TLS12])).answer;
    assert!(old.is_err_and(|error| error.contains("ProtocolVersion")));
    assert!(gateway.attempt(versions(&good, &[&TLS13])).answer.is_ok());
    let lines = gateway.so_many_log_lines("conn_log_", 1);
    let failed = lines.iter().find(|line| line.contains("Failed"));
    let failed = columns(failed.expect("is logged"));
    assert_eq!(failed[4..6], ["-", "-"]);
    assert_eq!(failed[10], "Failed:UnmappedConnectionError");
}

#[test]
fn a_policy_that_allows_tls_1_2_speaks_it() {
    let listener = "listener: { mutual_authentication: verify, \
                    ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06 }";
    let stack = PETSTORE.replace("listener: { mutual_authentication: verify }", listener);
    let gateway = Gateway::of(&stack);
    gateway.write_logs();
    let revoked = Identity::from(authority().client_with("Revoked", 2, |_| {}));
    for (identity, is_let_in) in [(&Gateway::good(), true), (&revoked, false)] {
        for spoken in [&TLS12, &TLS13] {
            let answer = gateway.attempt(versions(identity, &[spoken])).answer;
            assert_eq!(answer.is_ok(), is_let_in, "{answer:?}");
        }
    }
    let lines = gateway.so_many_log_lines("conn_log_", 2);
    let old: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("TLSv1.2"))
        .collect();
    assert_eq!(old.len(), 2);
    let cipher = |line: &&String| columns(line)[5] == "ECDHE-RSA-AES128-GCM-SHA256";
    assert!(old.iter().all(cipher), "{old:#?}");
}

#[test]
fn a_post_quantum_policy_has_post_quantum_key_exchange() {
    let listener = "listener: { mutual_authentication: verify, \
                    ssl_policy: ELBSecurityPolicy-TLS13-1-3-PQ-2025-09 }";
    let stack = PETSTORE.replace("listener: { mutual_authentication: verify }", listener);
    let gateway = Gateway::of(&stack);
    gateway.write_logs();
    assert!(gateway.get(Some(&Gateway::good())).is_ok());
    let lines = gateway.so_many_log_lines("conn_log_", 1);
    assert_eq!(columns(&lines[0])[12], "X25519MLKEM768");
}

#[test]
fn http_2_is_spoken_unless_it_is_switched_off() {
    let gateway = Gateway::of(PETSTORE);
    let good = Gateway::good();
    let attempt = versions(&good, rustls::ALL_VERSIONS);
    assert_eq!(gateway.chosen(attempt, &["http/1.1", "h2"]), "h2");
    assert_eq!(gateway.chosen(attempt, &["http/1.1"]), "http/1.1");
    gateway.set_attribute("routing.http2.enabled", "false");
    assert_eq!(gateway.chosen(attempt, &["h2", "http/1.1"]), "http/1.1");
}

#[test]
fn sessions_are_gone_on_with_only_without_mutual_tls() {
    let verify = "trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }\n\
                  listener: { mutual_authentication: verify }";
    let good = Gateway::good();
    for (listener, is_resumed) in [
        (verify, false),
        ("listener: { mutual_authentication: passthrough }", false),
        ("listener: { mutual_authentication: off }", true),
    ] {
        let gateway = Gateway::of(&PETSTORE.replace(verify, listener));
        let again = gateway.again(versions(&good, rustls::ALL_VERSIONS));
        assert_eq!(again.is_resumed, is_resumed, "{listener}");
    }
}

#[test]
fn whoever_serves_is_told_how_to_reach_a_listener() {
    let scenario = Scenario::stack(PETSTORE).applied();
    let mut aws = scenario.aws();
    let (first, second) = (aws.next_line(), aws.next_line());
    let address = first
        .strip_prefix("listener https://api.example.com:443 at 127.0.0.1:")
        .unwrap_or_else(|| panic!("{first}"));
    let expected = format!(
        "  curl --connect-to api.example.com:443:127.0.0.1:{} https://api.example.com/\n",
        address.trim()
    );
    assert_eq!(second, expected);
}

#[test]
fn what_rustls_does_not_speak_is_said_once() {
    let listener = "listener: { mutual_authentication: verify, \
                    ssl_policy: ELBSecurityPolicy-TLS13-1-0-2021-06 }";
    let stack = PETSTORE.replace("listener: { mutual_authentication: verify }", listener);
    let scenario = Scenario::stack(&stack).applied();
    let mut aws = scenario.aws();
    let lines = [(); 4].map(|()| aws.next_line());
    assert_eq!(lines[2], "  not spoken here: TLS 1.0 and TLS 1.1\n");
    assert!(lines[3].starts_with("  not spoken here: the ciphers ECDHE-"));
}

#[test]
fn the_names_of_cas_are_told_only_where_asked_for() {
    let verify = "listener: { mutual_authentication: verify }";
    for (advertises, told) in [("true", 1), ("false", 0)] {
        let listener = format!(
            "listener: {{ mutual_authentication: {{ mode: verify, advertise_ca_names: {advertises} }} }}"
        );
        let gateway = Gateway::of(&PETSTORE.replace(verify, &listener));
        let seen = gateway.attempt(versions(&Gateway::good(), rustls::ALL_VERSIONS));
        assert_eq!(seen.names.len(), told);
        assert!(seen.answer.is_ok());
    }
}

#[test]
fn passthrough_lets_everybody_in_and_asks_for_proof_of_the_key() {
    let verify = "trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }\n\
                  listener: { mutual_authentication: verify }";
    let passthrough = "listener: { mutual_authentication: passthrough }";
    let gateway = Gateway::of(&PETSTORE.replace(verify, passthrough));
    gateway.write_logs();
    let other = Identity::from(Authority::new("Other").client_with("Other", 7, |_| {}));
    assert!(gateway.get(None).is_ok());
    assert!(gateway.get(Some(&other)).is_ok());
    let stolen = Identity {
        key: Gateway::good().key,
        ..other
    };
    assert!(gateway.get(Some(&stolen)).is_err());
    let lines = gateway.so_many_log_lines("conn_log_", 3);
    let mut statuses: Vec<&str> = lines.iter().map(|line| columns(line)[10]).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["-", "-", "Failed:UnmappedConnectionError"]);
}

#[test]
fn a_change_of_the_trust_store_is_in_force_for_the_next_connection() {
    let mut gateway = Gateway::of(PETSTORE);
    let good = Gateway::good();
    assert!(gateway.get(Some(&good)).is_ok());
    gateway
        .scenario
        .write("root.crl", authority().crl_of(2, &[2, 3, 100]));
    gateway.scenario.run(["apply", "--yes"]).ok();
    let answer = gateway.get(Some(&good));
    assert!(answer.is_err_and(|error| error.contains("CertificateRevoked")));
}

#[test]
fn time_goes_by_the_sandboxs_clock() {
    let gateway = Gateway::of(PETSTORE);
    let good = Gateway::good();
    assert!(gateway.get(Some(&good)).is_ok());
    gateway.aws.control("POST", "clock", "2678400").ok();
    let answer = gateway.get(Some(&good));
    assert!(answer.is_err_and(|error| error.contains("CertificateExpired")));
}

#[test]
fn logs_come_every_five_minutes_and_are_lost_with_their_bucket() {
    let gateway = Gateway::of(PETSTORE);
    gateway.write_logs();
    assert!(gateway.get(Some(&Gateway::good())).is_ok());
    gateway.aws.control("POST", "clock", "301").ok();
    assert_eq!(gateway.log_keys("conn_log_").len(), 1);
    assert!(gateway.get(Some(&Gateway::good())).is_ok());
    for key in [gateway.log_keys(""), test_objects()].concat() {
        let path = format!("/logs/{key}");
        gateway.aws.rest(("s3", "DELETE", &path), "").ok();
    }
    gateway.aws.rest(("s3", "DELETE", "/logs"), "").ok();
    let delivered = gateway.aws.control("POST", "logs", "").ok().value();
    assert_eq!(delivered["objects"], 0);
}

fn test_objects() -> Vec<String> {
    ["Connection", "Access"]
        .map(|log| format!("edge/AWSLogs/123456789012/ELB{log}LogTestFile"))
        .to_vec()
}

#[test]
fn security_groups_drop_whom_they_do_not_admit() {
    let balancer = "load_balancer: { allow: [192.0.2.0/24] }";
    let scenario = Scenario::stack(&PETSTORE.replace("load_balancer: {}", balancer)).applied();
    let admitted = ["--client-address", "192.0.2.7"];
    let gateway = Gateway::serving(scenario, &admitted);
    assert!(gateway.get(Some(&Gateway::good())).is_ok());
    let Gateway { scenario, aws, .. } = gateway;
    drop(aws);
    let gateway = Gateway::serving(scenario, &[]);
    let mut client = std::net::TcpStream::connect(gateway.address).expect("is accepted");
    client.write_all(b"hello").expect("is not read");
    let patience = Some(std::time::Duration::from_millis(300));
    client.set_read_timeout(patience).expect("is not zero");
    let answer = std::io::Read::read(&mut client, &mut [0; 1]);
    let error = answer.expect_err("neither a byte nor an end");
    assert!(matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    ));
}

#[test]
fn a_listener_that_is_gone_has_no_socket() {
    let gateway = Gateway::of(PETSTORE);
    gateway.scenario.run(["destroy", "--yes"]).ok();
    let left = gateway.aws.control("GET", "listeners", "").ok().value();
    assert_eq!(left.as_array().map(Vec::len), Some(0));
    assert!(std::net::TcpStream::connect(gateway.address).is_err());
}

/// Runs a program of Debian's as a client; whether it was let in, and what it said.
fn run(program: &str, arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().expect("is piped");
    // A client that was refused reads nothing any more.
    stdin.write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().expect("ends");
    drop(stdin);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some((said.contains("HTTP/"), said))
}

#[test]
fn curl_and_openssl_get_the_same_verdicts() {
    let mut gateway = Gateway::of(PETSTORE);
    let authority = gateway.authority.clone();
    gateway.scenario.write("ca.pem", authority);
    let address = gateway.address.to_string();
    let connect_to = format!("api.example.com:443:{address}");
    let ca = gateway.scenario.path("ca.pem").display().to_string();
    let mut asked = 0;
    for (name, identity, status) in clients() {
        let is_let_in = status == "Success";
        let (mut curl, mut openssl) = (Vec::new(), Vec::new());
        if let Some(identity) = identity {
            gateway.scenario.write("client.pem", identity.chain);
            gateway.scenario.write("client_key.pem", identity.key);
            let (chain, key) = ("client.pem", "client_key.pem");
            let path = |name: &str| gateway.scenario.path(name).display().to_string();
            curl = vec![
                "--cert".to_owned(),
                path(chain),
                "--key".to_owned(),
                path(key),
            ];
            openssl = vec![
                "-cert".to_owned(),
                path(chain),
                "-key".to_owned(),
                path(key),
            ];
            openssl.extend(["-cert_chain".to_owned(), path(chain)]);
        }
        let curl: Vec<&str> = [
            "-siS",
            "-m",
            "20",
            "--cacert",
            &ca,
            "--connect-to",
            &connect_to,
        ]
        .into_iter()
        .chain(curl.iter().map(String::as_str))
        .chain(["https://api.example.com/pets"])
        .collect();
        let openssl: Vec<&str> = ["s_client", "-quiet", "-connect", &address, "-CAfile", &ca]
            .into_iter()
            .chain(["-servername", "api.example.com"])
            .chain(openssl.iter().map(String::as_str))
            .collect();
        let request = "GET /pets HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n";
        for (program, arguments) in [("curl", curl), ("openssl", openssl)] {
            let Some((was_let_in, said)) = run(program, &arguments, request) else {
                continue;
            };
            asked += 1;
            assert_eq!(was_let_in, is_let_in, "{program}, {name}: {said}");
            if program == "curl" && is_let_in {
                assert!(said.starts_with("HTTP/2 "), "{said}");
            }
        }
    }
    tell(&format!("{asked} verdicts of curl and openssl"));
}
