//! `trust check`: would the load balancer let this client in?

use rcgen::{BasicConstraints, IsCa};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::support::{Authority, Aws, Outcome, PETSTORE, Scenario, authority};

/// A trust store and a listener that verifies by it.
const STACK: &str = "name: petstore
region: ap-northeast-1
trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }
";

/// A load balancer with a listener, too.
const LISTENER: &str = r#"name: petstore
region: ap-northeast-1
vpc: default
certificate: { request: "*.example.com" }
target_group: { targets: [10.0.0.1], port: 443 }
load_balancer: {}
trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }
listener: { mutual_authentication: verify }
"#;

impl Scenario {
    /// A stack, a client and a revoked client; the harness's CRL has the serials 2 and 3.
    fn with_clients(text: &str) -> Self {
        Self::stack(text)
            .file("client.pem", authority().client("Client 7", 7))
            .file("revoked.pem", authority().client("Client 3", 3))
    }

    fn checks<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        self.run(["trust", "check"].into_iter().chain(arguments))
    }
}

/// The answer as JSON; it says the same as the exit code.
fn answer(outcome: &Outcome) -> Value {
    let value = outcome.json();
    assert_eq!(value["format_version"], "1");
    assert_eq!(value["accepted"], json!(outcome.code == 0), "{outcome}");
    assert_eq!(value["reason"].is_null(), outcome.code == 0);
    assert!([0, 4].contains(&outcome.code), "{outcome}");
    value
}

#[test]
fn a_client_is_judged_by_the_files_of_a_stack() {
    let scenario = Scenario::with_clients(STACK);
    let accepted = scenario.checks(["client.pem", "stack.yaml"]).ok();
    assert!(accepted.stdout.starts_with("accepted: CN=Client 7 ("));
    assert!(accepted.stdout.contains("CN=Harness Root CA"), "{accepted}");
    let refused = scenario.checks(["revoked.pem"]).exits(4);
    refused
        .says("refused: ClientCertCrlHit: CN=Client 3")
        .says("lists its serial 03")
        .says("x CN=Client 3");
    // Nothing but the files was asked.
    assert_eq!(scenario.calls(), [""; 0]);

    let value = answer(&scenario.checks(["revoked.pem", "--json"]));
    assert_eq!(value["reason"], "ClientCertCrlHit");
    assert_eq!(value["basis"], "files");
    assert_eq!(value["purpose"], "client");
    assert_eq!(value["crl"]["issuer"], "CN=Harness Root CA");
    assert_eq!(value["crl"]["number"], "01");
    assert_eq!(value["certificate"]["serial"], "03");
    let path = value["path"].as_array().expect("is a list");
    assert_eq!(path.len(), 2);
    assert_eq!(path[0]["source"], "client");
    assert_eq!(path[0]["breaks"], true);
    assert_eq!(path[1]["source"], "trust_store");
    assert_eq!(path[1]["breaks"], false);
}

#[test]
fn files_may_be_named_in_place_of_a_stack() {
    let root = Authority::with("Root", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let below = root.below("Below");
    let client = below.client("Client 7", 7);
    let der = pem::parse(&client).expect("is PEM").into_contents();
    let scenario = Scenario::empty()
        .file("root.pem", &root.certificate)
        .file("below.pem", &below.certificate)
        .file("client.der", der)
        .file("both.pem", format!("{client}{}", below.certificate))
        .file("none.crl", below.crl_of(1, &[]))
        .file("hit.crl", below.crl_of(2, &[7]));
    let bundle = ["--ca-bundle", "root.pem"];
    let check = |arguments: &[&str]| {
        let all = arguments.iter().chain(&bundle).copied();
        answer(&scenario.checks(all.chain(["--json"])))["reason"].clone()
    };
    assert_eq!(check(&["both.pem"]), Value::Null);
    assert_eq!(check(&["client.der", "--chain", "below.pem"]), Value::Null);
    assert_eq!(check(&["client.der"]), "ClientCertUntrusted");
    let crls = ["both.pem", "--crl", "none.crl", "hit.crl"];
    assert_eq!(check(&crls), "ClientCertCrlHit");
    assert_eq!(check(&["both.pem", "--crl", "none.crl"]), Value::Null);
    assert_eq!(
        check(&["both.pem", "--at", "2001-01-31"]),
        "ClientCertNotYetValid"
    );
    let last = ["both.pem", "--at", "2999-12-31T23:59:59+01:00"];
    assert_eq!(check(&last), "ClientCertExpired");
}

#[test]
fn a_server_certificate_is_good_for_any_purpose_but_a_clients() {
    let (server, _) = authority().issue(&["www.example.com"]);
    let scenario = Scenario::stack(STACK).file("server.pem", server);
    let refused = scenario.checks(["server.pem"]).exits(4);
    refused.says("ClientCertPurposeInvalid").says("serverAuth");
    scenario.checks(["server.pem", "--purpose", "any"]).ok();
}

#[test]
fn a_listener_may_ignore_that_a_client_has_expired() {
    let end = OffsetDateTime::now_utc() - Duration::DAY;
    let mut scenario = Scenario::with_clients(LISTENER)
        .file("old.pem", authority().client_until("Client 9", 9, end));
    let value = answer(&scenario.checks(["old.pem", "--json"]));
    assert_eq!(value["reason"], "ClientCertExpired");
    assert_eq!(value["listeners"][0]["listener"], "listener");
    let lenient = "{ mode: verify, ignore_client_certificate_expiry: true }";
    scenario.edit(
        "{ mutual_authentication: verify }",
        &format!("{{ mutual_authentication: {lenient} }}"),
    );
    let accepted = scenario.checks(["old.pem"]).ok();
    accepted.says("expired 1 days ago, which the listener is told to ignore");
}

#[test]
fn where_nobody_is_verified_everybody_is_let_in() {
    let mut scenario = Scenario::with_clients(LISTENER);
    scenario.edit(
        "mutual_authentication: verify",
        "mutual_authentication: passthrough",
    );
    let outcome = scenario.checks(["revoked.pem"]).ok();
    outcome
        .says("accepted: CN=Client 3")
        .says("in mode `verify` it would be refused: ClientCertCrlHit")
        .says("`listener` is in mode `passthrough`: it verifies nobody");
    let value = answer(&scenario.checks(["revoked.pem", "--json"]));
    assert_eq!(value["if_verified"]["reason"], "ClientCertCrlHit");
    assert_eq!(value["warnings"][0]["code"], "not-verified");
}

#[test]
fn the_trust_store_in_aws_decides_and_the_files_are_told_beside_it() {
    let mut scenario = Scenario::with_clients(PETSTORE);
    let missing = scenario.checks(["client.pem", "--live"]).exits(1);
    missing
        .says("the stack `petstore` has no trust store in AWS")
        .says("mtlsgw apply");
    scenario.applies(&[]);
    let value = answer(&scenario.checks(["client.pem", "--live", "--json"]));
    assert_eq!(
        value["files"],
        json!({"accepted": true, "reason": null, "message": null})
    );
    let arn = value["basis"].as_str().expect("is an ARN").to_owned();
    assert!(arn.contains(":truststore/petstore-"), "{arn}");
    assert_eq!(value["listeners"][0]["listener"], "listener");
    assert_eq!(value["warnings"], json!([]));

    // The file revokes the client, and nobody has applied it yet.
    scenario.write("root.crl", authority().crl_of(2, &[2, 7]));
    let (outcome, calls) = scenario.calls_of(["trust", "check", "client.pem", "--live", "--json"]);
    let value = answer(&outcome);
    assert_eq!(value["files"]["reason"], "ClientCertCrlHit");
    assert!(
        calls.iter().all(|call| crate::support::is_reading(call)),
        "{calls:?}"
    );
    let words = scenario.checks(["client.pem", "--live"]).ok();
    words.says("by the files: ClientCertCrlHit");
    let value = answer(&scenario.checks(["revoked.pem", "--live", "--json"]));
    assert_eq!(value["reason"], "ClientCertCrlHit");
    assert_eq!(value["files"]["accepted"], true);

    // By its ARN the same trust store is somebody else's, and only AWS knows what is in it.
    scenario.write(
        "other.yaml",
        format!("name: other\nregion: ap-northeast-1\ntrust_store: {{ arn: \"{arn}\" }}\n"),
    );
    let offline = scenario.checks(["client.pem", "other.yaml"]).exits(1);
    offline.says("whose content no file has").says("--live");
    let value = answer(&scenario.checks(["revoked.pem", "other.yaml", "--live", "--json"]));
    assert_eq!(value["reason"], "ClientCertCrlHit");
    assert_eq!(value.get("files"), None);
    assert_eq!(value["warnings"][0]["code"], "not-attached");
}

#[test]
fn what_cannot_be_judged_is_an_error_with_its_file() {
    let scenario = Scenario::with_clients("name: petstore\nregion: ap-northeast-1\nvpc: default\n")
        .file("text.pem", "hello");
    scenario
        .checks(["absent.pem"])
        .exits(1)
        .says("absent.pem: cannot be read");
    scenario
        .checks(["text.pem"])
        .exits(1)
        .says("text.pem: is neither PEM nor DER");
    scenario
        .checks(["client.pem"])
        .exits(1)
        .says("has no `trust_store`");
    let crl = ["client.pem", "--ca-bundle", "root.crl"];
    scenario
        .checks(crl)
        .exits(1)
        .says("root.crl: line 1: holds X509 CRL");
    let crl = [
        "client.pem",
        "--ca-bundle",
        "root_cert.pem",
        "--crl",
        "root_cert.pem",
    ];
    scenario
        .checks(crl)
        .exits(1)
        .says("where a CRL was expected");
    scenario
        .checks(["client.pem", "--at", "soon"])
        .exits(64)
        .says("2027-01-31");
    scenario
        .checks(["client.pem", "stack.yaml", "--ca-bundle", "root_cert.pem"])
        .exits(64);
    scenario
        .checks(["client.pem", "--crl", "root.crl"])
        .exits(64);
}

/// A call that names the stack's listener by its ARN, behind the tool's back.
fn at_listener(aws: &Aws, action: &str, arn: &str, more: &[(&str, &str)]) {
    let call = [&[("Action", action), ("ListenerArn", arn)], more].concat();
    aws.query("elasticloadbalancing", &call).ok();
}

#[test]
fn what_the_listeners_really_ask_decides_and_not_what_the_file_wants() {
    let scenario = Scenario::with_clients(PETSTORE).applied();
    let arn = scenario.id("listener");
    let lax = [("MutualAuthentication.Mode", "passthrough")];
    scenario.meanwhile(|aws| at_listener(aws, "ModifyListener", &arn, &lax));
    let value = answer(&scenario.checks(["revoked.pem", "--live", "--json"]));
    assert_eq!(value["listeners"][0]["mode"], "passthrough");
    assert_eq!(value["if_verified"]["reason"], "ClientCertCrlHit");
    assert_eq!(value["warnings"][0]["code"], "not-verified");
    assert_eq!(value["files"]["reason"], "ClientCertCrlHit");
}

#[test]
fn a_deleted_listener_whose_association_lingers_is_no_obstacle() {
    let scenario = Scenario::with_clients(PETSTORE).applied();
    let (listener, store) = (scenario.id("listener"), scenario.id("trust_store"));
    let aws = scenario.serve(&["--timing", "realistic"]);
    at_listener(&aws, "DeleteListener", &listener, &[]);
    let associations = [
        ("Action", "DescribeTrustStoreAssociations"),
        ("TrustStoreArn", store.as_str()),
    ];
    let associations = aws.query("elasticloadbalancing", &associations).ok().body;
    assert!(associations.contains(&listener), "{associations}");
    let value = answer(&scenario.checks(["client.pem", "--live", "--json"]));
    assert_eq!(value["warnings"][0]["code"], "not-attached");
}

#[test]
fn where_a_crl_was_not_fetched_only_a_refusal_is_certain() {
    let url = "https://crl.example.com/root.crl";
    let text = STACK.replace("crls: [root.crl]", &format!("crls: [\"{url}\"]"));
    let stranger = Authority::new("Other").client("Client 8", 8);
    let scenario = Scenario::with_clients(&text).file("stranger.pem", stranger);
    let unsure = scenario.checks(["client.pem"]).exits(1);
    unsure.says("could not be judged").says(url).says("--live");
    let refused = scenario.checks(["stranger.pem"]).exits(4);
    refused.says("ClientCertUntrusted");
}
