//! `logs` and `plan --clients-from-logs`, by log files with exactly the names and lines that AWS
//! documents.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::support::{Authority, Gateway, Identity, PETSTORE, Scenario, authority, root};

const BUCKET: &str = "gateway-logs";
const LOGGING: &str = "load_balancer:
  attributes:
    connection_logs.s3.enabled: true
    connection_logs.s3.bucket: gateway-logs
    connection_logs.s3.prefix: tls
";

/// System P with connection logs, applied; and its load balancer's name and id, `NAME.ID`.
fn logged() -> (Scenario, String) {
    let text = PETSTORE.replace("load_balancer: {}\n", LOGGING);
    assert_ne!(text, PETSTORE);
    let scenario = Scenario::stack(&text);
    scenario.meanwhile(|aws| {
        aws.make_bucket(BUCKET);
        let policy = documented_policy();
        let path = format!("/{BUCKET}?policy");
        aws.rest(("s3", "PUT", &path), policy).ok();
    });
    let scenario = scenario.applied();
    let arn = scenario.id("load_balancer");
    let (_, name) = arn.split_once("loadbalancer/app/").expect("is an ARN");
    let name = name.replace('/', ".");
    (scenario, name)
}

/// The policy of the bucket as the documentation has it.
fn documented_policy() -> String {
    let page = std::fs::read_to_string(root().join("docs/logs.md")).expect("is there");
    let policy = page
        .split_once("```json\n")
        .and_then(|(_, rest)| rest.split_once("```"));
    let (policy, _) = policy.expect("the page has a policy");
    policy
        .replace("BUCKET/PREFIX", &format!("{BUCKET}/tls"))
        .replace("ACCOUNT", "123456789012")
}

fn ago(minutes: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() - Duration::minutes(minutes)
}

/// A line of fifteen fields.
fn line(minutes: i64, address: &str, subject: &str, serial: &str, status: &str) -> String {
    let time = ago(minutes).format(&Rfc3339).expect("is a time");
    format!(
        "{time} {address} 36280 443 TLSv1.3 TLS_AES_128_GCM_SHA256 - \"{subject}\" \
         NotBefore=2026-01-01T00:00:00Z;NotAfter=2026-11-01T00:00:00Z {serial} {status} \
         TID_3180a73013c8ca4bac2f731159d4b0fe X25519MLKEM768 app/gateway/0123456789abcdef 10.0.1.5\n"
    )
}

/// The key of a file that ends so many minutes ago; `start` is `conn_log_` or nothing.
fn key(start: &str, name: &str, minutes: i64, random: &str) -> String {
    let end = ago(minutes);
    let (year, month, day) = (end.year(), u8::from(end.month()), end.day());
    let (hour, minute) = (end.hour(), end.minute());
    format!(
        "tls/AWSLogs/123456789012/elasticloadbalancing/ap-northeast-1/{year}/{month:02}/{day:02}/\
         {start}123456789012_elasticloadbalancing_ap-northeast-1_app.{name}_\
         {year}{month:02}{day:02}T{hour:02}{minute:02}Z_10.0.1.5_{random}.log.gz"
    )
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(text.as_bytes())
        .expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

fn put(scenario: &Scenario, files: &[(String, Vec<u8>)]) {
    scenario.meanwhile(|aws| {
        for (key, content) in files {
            let path = format!("/{BUCKET}/{key}");
            aws.rest(("s3", "PUT", &path), content).ok();
        }
    });
}

fn outcome<'a>(document: &'a Value, code: &str) -> &'a Value {
    let outcomes = document["outcomes"].as_array().expect("is a list");
    let found = outcomes.iter().find(|one| one["code"] == code);
    found.unwrap_or_else(|| panic!("no {code} in {document:#}"))
}

/// What came first in the morning at the gateway.
fn first() -> String {
    let mallory = ["203.0.113.8", "CN=mallory", "02"];
    let hit = |minutes, status| line(minutes, mallory[0], mallory[1], mallory[2], status);
    [
        line(25, "203.0.113.7", "CN=alice,O=Example", "0A", "Success"),
        line(24, "203.0.113.7", "CN=alice,O=Example", "0A", "Success"),
        hit(23, "Failed:ClientCertCrlHit"),
        hit(22, "\"Failed:ClientCertCrlHit\""),
        "half a li\n".to_owned(),
    ]
    .concat()
}

/// What came then; and one line that is too early, in a file that reaches into the period.
fn second() -> String {
    let untrusted = "Failed:ClientCertUntrusted";
    let plain = ago(16).format(&Rfc3339).expect("is a time");
    [
        line(19, "203.0.113.9", "CN=\u{1b}[2Jeve", "0B", untrusted),
        line(
            18,
            "203.0.113.8",
            "CN=mallory",
            "02",
            "Failed:ClientCertCrlHit",
        ),
        line(
            17,
            "2001:db8::1",
            "CN=old",
            "0C",
            "Failed:ClientCertExpired",
        ),
        format!("{plain} 192.0.2.1 5 80 - - - \"-\" - - - TID_1 - - -\n"),
        line(300, "203.0.113.9", "CN=early", "0D", untrusted),
    ]
    .concat()
}

/// A morning at the gateway, with logs beside that are none of its business.
fn busy() -> Scenario {
    let (scenario, name) = logged();
    let other = name.replace("petstore", "petshop");
    assert_ne!(other, name);
    let subject = "CN=elsewhere";
    let elsewhere = line(
        20,
        "203.0.113.9",
        subject,
        "0E",
        "Failed:ClientCertUntrusted",
    );
    put(
        &scenario,
        &[
            (key("conn_log_", &name, 20, "aaaa"), packed(&first())),
            (key("conn_log_", &name, 15, "bbbb"), packed(&second())),
            (key("conn_log_", &name, 280, "cccc"), packed(&elsewhere)),
            (key("conn_log_", &other, 20, "dddd"), packed(&elsewhere)),
            (key("", &name, 20, "eeee"), packed(&elsewhere)),
        ],
    );
    scenario
}

#[test]
fn connections_are_grouped_by_reason_and_client_and_lead_to_the_stack_file() {
    let scenario = busy();
    let shown = scenario.run(["logs", "--since", "2h"]).ok();
    assert!(!shown.stdout.contains('\u{1b}'), "{shown}");
    let shown = shown
        .says("8 connections: 2 ok, 5 refused, 1 plain HTTP (2 files)")
        .says("1 line could not be read")
        .says("ClientCertCrlHit: 3 connections")
        .says("a CRL of the trust store lists its serial. (`trust_store.crls`, stack.yaml:14)")
        .says("       3  CN=mallory, serial 02, from 203.0.113.8")
        .says("; listed by the CRL of CN=Harness Root CA, root.crl (stack.yaml:14)")
        .says("CN=\\u{1b}[2Jeve, serial 0B, from 203.0.113.9")
        .says("(`trust_store.ca_bundle`, stack.yaml:14)")
        .says("from 2001:db8::1")
        .says("expired 2026-11-01T00:00:00Z")
        .says("(`listener.mutual_authentication.ignore_client_certificate_expiry`, stack.yaml:15)")
        .says("7  TLSv1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768");
    assert!(!shown.stdout.contains("CN=e"), "{shown}");
    // What is wrong comes first.
    let at = |text: &str| shown.stdout.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(at("ClientCertCrlHit") < at("ClientCertExpired"));
    assert!(at("ClientCertExpired") < at("Success"));
}

#[test]
fn the_document_has_all_of_it() {
    let scenario = busy();
    let document = scenario
        .run(["logs", "--since", "2h", "--json"])
        .ok()
        .json();
    assert_eq!(document["format_version"], "1");
    assert_eq!(document["stack"], "petstore");
    let figures = [
        "files",
        "damaged_files",
        "broken_lines",
        "connections",
        "ok",
        "refused",
        "not_verified",
        "plain_http",
    ];
    let figures: Vec<u64> = figures
        .iter()
        .filter_map(|name| document[name].as_u64())
        .collect();
    assert_eq!(figures, [2, 0, 1, 8, 2, 5, 0, 1]);
    let revoked = outcome(&document, "ClientCertCrlHit");
    assert_eq!(revoked["verdict"], "refused");
    assert_eq!(revoked["stack_key"], "trust_store.crls");
    assert_eq!(revoked["stack_line"], 14);
    let [client] = &revoked["clients"].as_array().expect("is a list")[..] else {
        panic!("{revoked:#}")
    };
    assert_eq!(client["subject"], "CN=mallory");
    assert_eq!(client["connections"], 3);
    assert_eq!(client["ports"], json!([443]));
    assert_eq!(client["crl"]["place"], "root.crl (stack.yaml:14)");
    let untrusted = &outcome(&document, "ClientCertUntrusted")["clients"][0];
    assert_eq!(untrusted["subject"], "CN=\u{1b}[2Jeve");
    assert_eq!(untrusted["crl"], Value::Null);
    assert_eq!(
        outcome(&document, "PlainHttp")["clients"][0]["subject"],
        Value::Null
    );
    assert_eq!(document["tls"][0]["connections"], 7);
}

#[test]
fn a_serial_that_no_live_crl_lists_is_told_as_such() {
    let (scenario, name) = logged();
    let below = line(
        20,
        "203.0.113.7",
        "CN=below",
        "0F",
        "Failed:ClientCertCrlHit",
    );
    put(
        &scenario,
        &[(key("conn_log_", &name, 15, "aaaa"), packed(&below))],
    );
    let shown = scenario.run(["logs", "--since", "2h"]).ok();
    shown
        .says("serial 0F, from 203.0.113.7")
        .says("; no live CRL lists this serial now");
}

#[test]
fn only_failures_are_listed_on_request() {
    let scenario = busy();
    let failed = scenario.run(["logs", "--since", "2h", "--failed", "--json"]);
    let document = failed.ok().json();
    assert_eq!(document["connections"], 8);
    let outcomes = document["outcomes"].as_array().expect("is a list");
    let codes: Vec<&str> = outcomes
        .iter()
        .filter_map(|one| one["code"].as_str())
        .collect();
    assert_eq!(
        codes,
        [
            "ClientCertCrlHit",
            "ClientCertExpired",
            "ClientCertUntrusted"
        ]
    );
}

#[test]
fn a_period_is_counted_back_or_given() {
    let scenario = busy();
    let connections = |arguments: &[&str]| {
        let all = ["logs", "--json"].iter().chain(arguments).copied();
        scenario.run(all).ok().json()["connections"].clone()
    };
    let (since, until) = (ago(21), ago(17) - Duration::seconds(30));
    let [since, until] = [since, until].map(|at| at.format(&Rfc3339).expect("is a time"));
    assert_eq!(connections(&["--since", &since, "--until", &until]), 2);
    // The file that nobody asked for before, and the line that is earlier than its file tells.
    assert_eq!(connections(&["--since", "10h"]), 9 + 1);
    scenario.run(["logs", "--since", "yesterday"]).exits(64);
    let later = (OffsetDateTime::now_utc() + Duration::days(2)).format(&Rfc3339);
    let refused = scenario.run(["logs", "--since", &later.expect("is a time")]);
    refused.exits(1).says("--since has to be before --until");
    scenario
        .run(["logs", "--since", "400d"])
        .exits(1)
        .says("366 days");
}

#[test]
fn a_damaged_file_is_told_and_the_rest_is_read() {
    let (scenario, name) = logged();
    let good = line(20, "203.0.113.7", "CN=alice", "0A", "Success");
    let whole = packed(&good.repeat(400));
    put(
        &scenario,
        &[
            (key("conn_log_", &name, 15, "good"), packed(&good)),
            (
                key("conn_log_", &name, 15, "none"),
                b"no gzip, whatever its name says".to_vec(),
            ),
            (
                key("conn_log_", &name, 15, "part"),
                whole[..whole.len() - 4].to_vec(),
            ),
        ],
    );
    let document = scenario
        .run(["logs", "--since", "2h", "--json"])
        .ok()
        .json();
    assert_eq!(document["damaged_files"], 2);
    assert_eq!(document["connections"], 401);
    let shown = scenario.run(["logs", "--since", "2h"]).ok();
    shown
        .says("_none.log.gz: it is damaged")
        .says("_part.log.gz: it is damaged");
}

#[test]
fn logs_that_are_off_or_empty_are_told() {
    let (mut scenario, _) = logged();
    let shown = scenario
        .run(["logs"])
        .ok()
        .says("There is no log file of this time in s3://gateway-logs/tls/");
    shown.says("0 connections");
    scenario.edit(LOGGING, "load_balancer: {}\n");
    let first = Scenario::petstore();
    first
        .refuses(["logs"])
        .says("the stack `petstore` has no load balancer");
    scenario.applies(&[]);
    let off = scenario.refuses(["logs"]).says("writes no connection logs");
    off.says("load_balancer: { connection_logs: true }");
    let off = scenario.refuses(["plan", "--clients-from-logs", "30d"]);
    off.says("writes no connection logs");
}

#[test]
fn a_bucket_that_is_gone_is_named() {
    let (scenario, _) = logged();
    scenario.meanwhile(|aws| {
        let key = "tls/AWSLogs/123456789012/ELBConnectionLogTestFile";
        aws.rest(("s3", "DELETE", &format!("/{BUCKET}/{key}")), "")
            .ok();
        aws.rest(("s3", "DELETE", &format!("/{BUCKET}")), "").ok();
    });
    scenario
        .refuses(["logs"])
        .says("the bucket `gateway-logs` of the connection logs does not exist");
}

/// The stack with a second CA, a client of each in the logs, and one that nobody knows.
fn two_cas() -> (Scenario, Authority) {
    let (mut scenario, name) = logged();
    let next = Authority::new("Next Root CA");
    let both = format!("{}{}", authority().certificate, next.certificate);
    scenario.write("root_cert.pem", both);
    scenario.write("next_cert.pem", &next.certificate);
    scenario.write("next.crl", &next.crl);
    scenario.edit("crls: [root.crl]", "crls: [root.crl, next.crl]");
    scenario.applies(&["--allow-widening"]);
    std::fs::create_dir(scenario.path("clients")).expect("can be made");
    scenario.write("clients/old.pem", authority().client("old client", 20));
    scenario.write("clients/new.pem", next.client("new client", 20));
    scenario.write("clients/absent.pem", next.client("absent client", 21));
    let lines = [
        line(22, "203.0.113.7", "CN=old client", "14", "Success"),
        line(21, "203.0.113.9", "CN=old client", "14", "Success"),
        line(20, "203.0.113.7", "CN=new client", "14", "Success"),
        line(20, "203.0.113.7", "CN=stranger", "14", "Success"),
        line(
            20,
            "203.0.113.7",
            "CN=refused",
            "77",
            "Failed:ClientCertUntrusted",
        ),
    ];
    put(
        &scenario,
        &[(key("conn_log_", &name, 15, "aaaa"), packed(&lines.concat()))],
    );
    (scenario, next)
}

#[test]
fn who_came_and_would_be_locked_out_is_told_and_has_to_be_allowed() {
    let (mut scenario, _) = two_cas();
    scenario.edit("[root_cert.pem]", "[next_cert.pem]");
    scenario.edit("crls: [root.crl, next.crl]", "crls: [next.crl]");
    let from_logs = ["--clients-from-logs", "30d", "--clients", "clients"];
    let shown = scenario.run([&["plan"], &from_logs[..]].concat()).ok();
    let shown = shown
        .says("locked out: CN=old client, serial 14 (clients/old.pem): ClientCertUntrusted; 2 connections, last 20")
        .says("issuer unknown: CN=stranger, serial 14; 1 connection, last 20")
        .says("1 client of unknown issuers")
        .says("3 clients known: 2 get in after this.");
    assert!(!shown.stdout.contains("CN=refused"), "{shown}");
    let document = scenario
        .run([&["plan", "--json"], &from_logs[..]].concat())
        .ok()
        .json();
    let clients = &document["stacks"][0]["clients"];
    assert_eq!(clients["locked_out"][0]["seen"]["connections"], 2);
    assert_eq!(clients["issuer_unknown"][0]["subject"], "CN=stranger");
    assert_eq!(clients["issuer_unknown"][0]["seen"]["connections"], 1);
    let apply = [&["apply", "--yes"], &from_logs[..]].concat();
    let refused = scenario.refuses(apply.clone());
    refused
        .says("the plan locks out `CN=old client`")
        .says("--allow-lockout");
    let allowed = apply.into_iter().chain(["--allow-lockout"]);
    scenario.run(allowed).ok();
}

#[test]
fn clients_of_the_pki_store_are_known_where_they_came() {
    let (mut scenario, name) = logged();
    scenario.run_bare(["pki", "ca", "root"]).ok();
    for client in ["alice", "bob"] {
        scenario.run_bare(["pki", "issue", client]).ok();
    }
    let bundle = scenario.read("pki/root/cert.pem") + &authority().certificate;
    scenario.write("root_cert.pem", bundle);
    scenario.applies(&["--allow-widening"]);
    let issued = scenario.run_bare(["pki", "list", "--json"]).ok().json();
    let text = issued.to_string();
    let serial = std::fs::read_dir(scenario.path("pki/root/issued"))
        .expect("is there")
        .map(|entry| entry.expect("is readable").path())
        .find(|path| {
            let copy = std::fs::read(path).expect("is readable");
            copy == scenario.read("alice_cert.pem").into_bytes()
        })
        .and_then(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let serial = serial.unwrap_or_else(|| panic!("{text}"));
    let came = line(20, "203.0.113.7", "CN = alice", &serial, "Success");
    put(
        &scenario,
        &[(key("conn_log_", &name, 15, "aaaa"), packed(&came))],
    );
    scenario.write("root_cert.pem", &authority().certificate);
    let shown = scenario.run(["plan", "--clients-from-logs", "1d"]).ok();
    let shown = shown.says("locked out: CN=alice, serial");
    let shown = shown.says("1 client known: 0 get in after this.");
    assert!(!shown.stdout.contains("CN=bob"), "{shown}");
    let elsewhere = scenario.run([
        "plan",
        "--clients-from-logs",
        "1d",
        "--clients-pki",
        "clients",
    ]);
    elsewhere.ok().says("issuer unknown: CN = alice");
    scenario.run(["plan", "--clients-pki", "pki"]).exits(64);
}

#[test]
fn what_clients_of_the_data_plane_met_is_what_logs_tells() {
    let gateway = Gateway::of(PETSTORE);
    gateway.write_logs();
    let identity = |name, serial| Identity::from(authority().client_with(name, serial, |_| {}));
    let (good, revoked) = (Gateway::good(), identity("Revoked", 2));
    let stranger = Authority::new("Stranger Root CA").client_with("Stranger", 7, |_| {});
    let stranger = Identity::from(stranger);
    gateway.get(Some(&good)).expect("is let in");
    for refused in [Some(&revoked), Some(&stranger), None] {
        assert!(gateway.get(refused).is_err());
    }
    // Asking for the lines has them delivered.
    assert_eq!(gateway.so_many_log_lines("conn_log_", 4).len(), 4);
    let document = gateway.scenario.run(["logs", "--json"]).ok().json();
    assert_eq!(
        (&document["connections"], &document["refused"]),
        (&json!(4), &json!(3))
    );
    let subject = |code: &str| outcome(&document, code)["clients"][0]["subject"].clone();
    assert_eq!(subject("Success"), "CN=Good");
    assert_eq!(subject("ClientCertCrlHit"), "CN=Revoked");
    assert_eq!(subject("ClientCertUntrusted"), "CN=Stranger");
    assert_eq!(subject("UnmappedConnectionError"), Value::Null);
    let revoked = &outcome(&document, "ClientCertCrlHit")["clients"][0];
    assert_eq!(revoked["crl"]["place"], "root.crl (stack.yaml:10)");
    // Of the clients that came, the ones of a CA that is to go are locked out.
    let known = gateway
        .scenario
        .run(["plan", "--clients-from-logs", "1h", "--json"]);
    let unknown = known.ok().json()["stacks"][0]["clients"]["issuer_unknown"].clone();
    assert_eq!(unknown[0]["subject"], "CN=Good");
}
