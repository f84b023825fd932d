//! Revocations have no gap: whoever is revoked before and after a change is refused at every moment
//! in between, also when the change is killed there. Judged by what the trust store holds then.

use serde_json::Value;

use crate::acts::tell;
use crate::support::{Authority, Scenario, authority, is_reading};

/// What lets every change of trust through.
const APPLY: [&str; 4] = ["apply", "--yes", "--allow-widening", "--parallelism=1"];

/// System P with an older and a newer CA and a revoked client of each, which trusts only the older.
struct Rotation {
    scenario: Scenario,
    next: Authority,
}

impl Rotation {
    fn new() -> Self {
        let next = Authority::new("Next Root CA");
        let scenario = Scenario::petstore()
            .file("old_revoked.pem", authority().client("old", 2))
            .file("next_revoked.pem", next.client("next", 2))
            .file("good.pem", authority().client("good", 50))
            .applied();
        Self { scenario, next }
    }

    /// Writes bundle and CRLs of the stack.
    fn trusts(&mut self, bundle: &[&str], crls: &[&str]) {
        self.scenario.write("root_cert.pem", bundle.concat());
        self.scenario.write("root.crl", crls.concat());
    }

    /// Kills an apply after each of its writing calls; none of the clients ever gets in.
    fn never_lets_in(&mut self, what: &str, clients: &[&str]) {
        let undisturbed = self.scenario.fork();
        let (outcome, calls) = undisturbed.calls_of(APPLY);
        outcome.ok();
        let writes: Vec<&String> = calls.iter().filter(|call| !is_reading(call)).collect();
        for (index, call) in writes.iter().enumerate() {
            let nth = writes[..=index].iter().filter(|one| one == &call).count();
            let mut struck = self.scenario.fork();
            let fault = format!("{call}#{nth}=exit-after");
            struck.set("MTLSGW_SANDBOX_FAULTS", &fault);
            struck.run(APPLY);
            struck.set("MTLSGW_SANDBOX_FAULTS", "");
            refuses_all(&struck, clients, &format!("{what}: {fault}"));
        }
        refuses_all(&undisturbed, clients, what);
        tell(&format!(
            "{what}: killed after each of {} writes",
            writes.len()
        ));
        assert!(writes.len() > 3, "{what}: {writes:?}");
        self.scenario.run(APPLY).ok();
    }
}

/// Checks clients against what the trust store holds now.
#[track_caller]
fn refuses_all(scenario: &Scenario, clients: &[&str], moment: &str) {
    for client in clients {
        let verdict = verdict(scenario, client);
        assert_eq!(
            verdict["accepted"], false,
            "{moment}: {client}: {verdict:#}"
        );
    }
}

/// What `trust check` says of a client by what is live.
fn verdict(scenario: &Scenario, client: &str) -> Value {
    let check = ["trust", "check", client, "stack.yaml", "--live", "--json"];
    let outcome = scenario.run(check);
    assert!([0, 4].contains(&outcome.code), "{outcome}");
    outcome.json()
}

#[test]
fn a_revoked_client_never_gets_in_while_trust_changes() {
    let mut rotation = Rotation::new();
    assert_eq!(verdict(&rotation.scenario, "good.pem")["accepted"], true);
    let hit = verdict(&rotation.scenario, "old_revoked.pem");
    assert_eq!(hit["reason"], "ClientCertCrlHit");
    let old = authority();
    let (old_next_crl, next_next_crl) = (old.crl_of(2, &[2, 4]), rotation.next.crl_of(2, &[2, 9]));
    let (next_certificate, next_crl) =
        (rotation.next.certificate.clone(), rotation.next.crl.clone());

    rotation.trusts(&[&old.certificate], &[&old_next_crl]);
    rotation.never_lets_in("a CRL is replaced", &["old_revoked.pem"]);

    rotation.trusts(
        &[&old.certificate, &next_certificate],
        &[&old_next_crl, &next_crl],
    );
    let both = ["old_revoked.pem", "next_revoked.pem"];
    rotation.never_lets_in("a CA comes", &both);

    let newest = old.crl_of(3, &[2, 5]);
    rotation.trusts(
        &[&next_certificate, &old.certificate],
        &[&newest, &next_next_crl],
    );
    rotation.never_lets_in("both CRLs are replaced", &both);

    rotation.trusts(&[&next_certificate], &[&next_next_crl]);
    rotation.never_lets_in("a CA goes", &both);

    rotation.trusts(&[&old.certificate], &[&newest]);
    rotation.never_lets_in("one CA takes the other's place", &both);
    assert_eq!(verdict(&rotation.scenario, "good.pem")["accepted"], true);
}
