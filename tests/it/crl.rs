//! CRLs from URLs: planned, refreshed, and never worse than what is live.

use rcgen::CertificateParams;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::acts::{BUCKET, assert_order, tell, writes};
use crate::support::{Authority, Outcome, PETSTORE, Reply, Scenario, Web, authority, is_reading};

/// Only a trust store, which is all that these tests are about.
const TRUST: &str = "name: petstore\nregion: ap-northeast-1\n";

/// A stack whose trust store takes its CRL from a web server, and the server.
struct Site {
    web: Web,
    scenario: Scenario,
}

impl Site {
    /// Only a trust store; the server serves the CA's CRL of number 1.
    fn new() -> Self {
        Self::with(&["root.crl"])
    }

    /// The same with these paths.
    fn with(paths: &[&str]) -> Self {
        let web = Web::new();
        web.serve("/root.crl", &authority().crl);
        let urls = paths.iter().map(|path| format!("{}/{path}", web.url));
        let urls = urls.collect::<Vec<_>>().join(", ");
        let text = format!(
            "{TRUST}trust_store: {{ ca_bundle: [root_cert.pem], crls: [{urls}], allow_private_addresses: true }}\n"
        );
        let scenario = Scenario::stack(&text);
        Self { web, scenario }
    }

    /// System P with the same trust store.
    fn petstore() -> Self {
        let mut site = Self::new();
        let url = format!("crls: [{}/root.crl], allow_private_addresses: true", site.web.url);
        let text = PETSTORE.replace("crls: [root.crl]", &url);
        site.scenario.write("stack.yaml", text);
        site
    }

    /// The same, applied.
    fn applied(self) -> Self {
        self.scenario.applies(&[]);
        self
    }

    /// Has the server serve a CRL of the CA with this number and these serials.
    fn publish(&self, number: u64, serials: &[u64]) {
        self.web.serve("/root.crl", authority().crl_of(number, serials));
    }

    /// Refreshes; gives the writes as well, without those of the lock.
    fn refresh(&self, arguments: &[&str]) -> (Outcome, Vec<String>) {
        let (outcome, calls) = self.scenario.calls_of(["crl", "refresh"].iter().chain(arguments).copied());
        let mut writes = writes(&calls);
        if writes.first().is_some_and(|first| first == "PutObject") {
            // The lock is taken first and given back last.
            writes.remove(0);
            assert_eq!(writes.pop().as_deref(), Some("DeleteObject"));
        }
        (outcome, writes)
    }

    /// How many serials each live CRL revokes, in the order in which they were added.
    fn live(&self) -> Vec<u64> {
        entries(&self.scenario)
    }
}

fn revocations(scenario: &Scenario) -> Vec<Value> {
    let dump = scenario.dump();
    let stores = &dump["regions"]["ap-northeast-1"]["elbv2"]["trust_stores"];
    let stores = stores.as_object().expect("is an object");
    let revocations = stores.values().filter_map(|store| store["revocations"].as_object());
    revocations.flat_map(|all| all.values().cloned()).collect()
}

fn entries(scenario: &Scenario) -> Vec<u64> {
    let revocations = revocations(scenario).into_iter();
    revocations.map(|one| one["entries"].as_u64().expect("is a number")).collect()
}

#[test]
fn a_newer_crl_of_a_url_is_no_change_but_a_refresh_that_is_due() {
    let site = Site::petstore().applied();
    let scenario = &site.scenario;
    assert_eq!(site.live(), [2]);
    site.publish(42, &[2, 3, 4]);
    let plan = scenario.run(["plan", "--detailed-exitcode"]).ok();
    let plan = plan.says("No changes.").says(
        "warning: trust_store: refresh due: CRL of CN=Harness Root CA 1 -> 42, next update 20",
    );
    plan.says(": run `mtlsgw crl refresh`");
    let plan = scenario.run(["plan", "--json"]).ok().json();
    let warning = &plan["stacks"][0]["warnings"][0];
    assert_eq!((&warning["code"], &warning["address"]), (&json!("crl_refresh_due"), &json!("trust_store")));
    let (apply, calls) = scenario.calls_of(["apply", "--yes"]);
    apply.ok().says("No changes.");
    assert_eq!(writes(&calls), [""; 0]);
    assert_eq!(site.live(), [2]);
    let (refresh, writes) = site.refresh(&[]);
    refresh.ok().says("petstore: CN=Harness Root CA: refreshed 1 -> 42, 1 serials added, 0 removed, good until 20");
    let order = ["PutObject", "AddTrustStoreRevocations", "RemoveTrustStoreRevocations", "DeleteObject"];
    assert_eq!(writes, order);
    assert_eq!(site.live(), [3]);
    scenario.has_converged();
    let (again, writes) = site.refresh(&[]);
    again.ok().says("petstore: CN=Harness Root CA: up to date, number 42, good until 20");
    assert_eq!(writes, [""; 0]);
}
