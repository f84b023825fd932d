//! Every way to break a gateway is noticed, and the doctor names the fault and not another.

pub(crate) mod faults;
pub(crate) mod system_c;

use serde_json::Value;

use crate::acts::{in_parallel, tell};
use crate::drift::account::{self, Account};
use crate::support::{Authority, Outcome, Scenario, authority};

/// System P, and how it is proved.
const STACK: &str = r#"name: petstore
region: ap-northeast-1
vpc: default
endpoint: { subnets: [subnet-7c301d43bf26cc3c5, subnet-15b83436007d0d6f7] }
api: { openapi: petstore.yaml, stage: dev, stage_variables: { colour: blue } }
domain: { name: api.example.com }
certificate: { request: "*.example.com" }
target_group: {}
load_balancer: {}
trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }
listener: { mutual_authentication: verify, redirect_http: true }
record: { zone: example.com }
verify: { client_certificate: client.pem, client_key: client_key.pem, path: /pets }
"#;

/// A fault: what it is called, how somebody brings it about, and what the doctor calls it.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) bring: fn(&Account),
    pub(crate) code: &'static str,
}

pub(crate) fn fault(name: &'static str, code: &'static str, bring: fn(&Account)) -> Fault {
    Fault { name, bring, code }
}

/// The stack, applied in an account in which somebody else has things as well.
fn healthy() -> Scenario {
    let mut scenario = Scenario::stack(STACK);
    let (certificate, key) = authority().client_with("Patient", 41, |_| {});
    scenario.write("client.pem", certificate);
    scenario.write("client_key.pem", key);
    make_theirs(&scenario);
    scenario.applied()
}

/// What somebody else has in the account.
pub(crate) fn make_theirs(scenario: &Scenario) {
    let theirs = Authority::new("Their Root CA");
    scenario.meanwhile(|aws| {
        aws.make_bucket(account::THEIR_BUCKET);
        account::put(aws, "bundle.pem", &theirs.certificate);
        account::put(aws, "their.crl", &authority().crl_of(7, &[9]));
        account::make_trust_store(aws);
        account::make_api(aws);
        account::import(aws, None);
    });
}

/// An account that the stack is broken in.
fn broken(healthy: &Scenario, fault: &Fault) -> Scenario {
    // Only beside a private API has somebody else things as well.
    let theirs = healthy.read("stack.yaml").contains("endpoint:");
    let addresses = theirs.then(|| "load_balancer".to_owned());
    let account = Account::new(healthy.fork(), addresses.into_iter().collect());
    (fault.bring)(&account);
    account.into_scenario()
}

pub(crate) fn cause(outcome: &Outcome) -> String {
    if outcome.code == 1 {
        return outcome.to_string();
    }
    let cause = &outcome.json()["cause"];
    let text = |name: &str| cause[name].as_str().unwrap_or("nothing").to_owned();
    format!("{} ({})", text("code"), text("what"))
}

#[test]
fn every_fault_is_noticed_and_the_doctor_names_it() {
    is_named(&healthy(), faults::all());
}

#[test]
fn every_fault_of_servers_behind_client_certificates_is_noticed_and_named() {
    let stage = crate::system_c::Stage::new();
    stage.scenario.run(["apply", "--yes"]).ok();
    stage.scenario.has_converged();
    is_named(&stage.scenario, system_c::all());
}

/// Each fault in an account of its own.
fn is_named(healthy: &Scenario, mut faults: Vec<Fault>) {
    healthy.run(["doctor"]).ok().says("No link is broken.");
    let only = std::env::var("MTLSGW_FAULT").unwrap_or_default();
    faults.retain(|fault| fault.name.contains(&only));
    let failures = in_parallel(&faults, |fault| {
        let scenario = broken(healthy, fault);
        let noticed = scenario.run(["plan", "--detailed-exitcode"]).code != 0
            || scenario.run(["verify"]).code != 0;
        let doctor = scenario.run(["doctor", "--json"]);
        let found = doctor.json()["cause"]["code"] == fault.code && doctor.code == 4;
        match (noticed, found) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("{}: neither plan nor verify notices", fault.name)),
            (_, false) => Err(format!(
                "{}: not {}, but {}",
                fault.name,
                fault.code,
                cause(&doctor)
            )),
        }
    });
    tell(&format!(
        "{} faults, {} not named",
        faults.len(),
        failures.len()
    ));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_doctor_says_what_to_do_about_it() {
    let scenario = Scenario::stack(STACK).applied();
    let fault = faults::all()
        .into_iter()
        .find(|one| one.code == "endpoint-does-not-admit")
        .expect("is in the list");
    let account = Account::new(scenario, Vec::new());
    (fault.bring)(&account);
    let doctor = account.into_scenario().run(["doctor"]).exits(4);
    doctor
        .says("Broken: security groups (endpoint-does-not-admit), endpoint.security_group")
        .says("fix: `mtlsgw apply` makes it as the stack file says");
}

#[test]
fn every_link_is_told_in_json() {
    let scenario = Scenario::stack(STACK).applied();
    let document = scenario.run(["doctor", "--json"]).json();
    assert_eq!(document["format_version"], "1");
    let links = document["links"].as_array().expect("is a list");
    let names: Vec<&str> = links
        .iter()
        .filter_map(|one| one["link"].as_str())
        .collect();
    assert_eq!(names.len(), 20, "{names:?}");
    assert_eq!(names.first(), Some(&"client"));
    assert_eq!(names.last(), Some(&"private_zone"));
    assert_eq!(document["cause"], Value::Null);
}
