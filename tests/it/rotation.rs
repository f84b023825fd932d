//! From one CA to the next: who of the clients that one knows gets in.

use crate::support::{Authority, Scenario, authority};

/// System P applied, with two CAs in its bundle and a client of each known.
fn two_cas() -> Scenario {
    let next = Authority::new("Next Root CA");
    let mut scenario = Scenario::petstore();
    let both = |one: &str, other: &str| format!("{one}{other}");
    scenario.write(
        "root_cert.pem",
        both(&authority().certificate, &next.certificate),
    );
    scenario.write("next_cert.pem", &next.certificate);
    scenario.write("next.crl", &next.crl);
    scenario.edit("crls: [root.crl]", "crls: [root.crl, next.crl]");
    std::fs::create_dir(scenario.path("clients")).expect("can be made");
    scenario.write("clients/old.pem", authority().client("old client", 20));
    scenario.write("clients/new.crt", next.client("new client", 20));
    scenario.write("clients/README.txt", "not a certificate");
    scenario.applied()
}

#[test]
fn a_plan_says_who_is_locked_out_by_a_ca_that_goes() {
    let mut scenario = two_cas();
    let plan = ["plan", "--clients", "clients"];
    scenario
        .run(plan)
        .ok()
        .says("2 clients known: 2 get in after this.");
    scenario.edit("[root_cert.pem]", "[next_cert.pem]");
    scenario.edit("crls: [root.crl, next.crl]", "crls: [next.crl]");
    let shown = scenario.run(plan).ok();
    let shown =
        shown.says("locked out: CN=old client, serial 14 (clients/old.pem): ClientCertUntrusted");
    shown.says("2 clients known: 1 get in after this.");
    let document = scenario
        .run(["plan", "--json", "--clients", "clients/old.pem"])
        .ok()
        .json();
    let clients = &document["stacks"][0]["clients"];
    assert_eq!(clients["known"], 1);
    assert_eq!(clients["locked_out"][0]["subject"], "CN=old client");
    assert_eq!(clients["locked_out"][0]["reason"], "ClientCertUntrusted");
}

#[test]
fn locking_out_clients_that_one_knows_has_to_be_allowed() {
    let mut scenario = two_cas();
    scenario.edit("[root_cert.pem]", "[next_cert.pem]");
    scenario.edit("crls: [root.crl, next.crl]", "crls: [next.crl]");
    let apply = ["apply", "--yes", "--clients", "clients"];
    let refusal = "the plan locks out `CN=old client`";
    scenario
        .refuses(apply)
        .says(refusal)
        .says("--allow-lockout");
    // What was known when a plan was saved counts when it is applied.
    scenario
        .run(["plan", "--clients", "clients", "--out", "change.plan"])
        .ok();
    scenario.refuses(["apply", "change.plan"]).says(refusal);
    scenario
        .run(["apply", "change.plan", "--allow-lockout"])
        .ok();
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn revoking_a_client_is_no_lockout() {
    let mut scenario = two_cas();
    scenario.write("root.crl", authority().crl_of(2, &[2, 3, 20]));
    let shown = scenario.run(["plan", "--clients", "clients"]).ok();
    shown.says("revoked: CN=old client, serial 14 (clients/old.pem): ClientCertCrlHit");
    scenario
        .run(["apply", "--yes", "--clients", "clients"])
        .ok();
    // Readmitting it widens access, and says who comes back.
    scenario.write("root.crl", authority().crl_of(3, &[2, 3]));
    let shown = scenario.run(["plan", "--clients", "clients"]).ok();
    shown.says("let in: CN=old client").says("access widens");
}

#[test]
fn clients_that_cannot_be_read_are_refused() {
    let scenario = two_cas();
    let refused = scenario
        .run(["plan", "--clients", "clients/README.txt"])
        .exits(1);
    refused.says("clients/README.txt");
    scenario
        .run(["plan", "--clients", "nowhere"])
        .exits(1)
        .says("nowhere");
}
