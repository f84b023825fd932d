//! CRLs from URLs: planned, refreshed, and never worse than what is live.

use std::fs;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::acts::{assert_order, in_parallel, tell, writes};
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
        let url = format!(
            "crls: [{}/root.crl], allow_private_addresses: true",
            site.web.url
        );
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
        self.web
            .serve("/root.crl", authority().crl_of(number, serials));
    }

    /// Refreshes; gives the writes as well, without those of the lock.
    fn refresh(&self, arguments: &[&str]) -> (Outcome, Vec<String>) {
        let (outcome, calls) = self
            .scenario
            .calls_of(["crl", "refresh"].iter().chain(arguments).copied());
        let mut writes = writes(&calls);
        if writes.first().is_some_and(|first| first == "PutObject") {
            // The lock is taken first and given back last.
            writes.remove(0);
            assert_eq!(writes.pop().as_deref(), Some("DeleteObject"));
        }
        (outcome, writes)
    }

    /// Refreshes what must not be refreshed: nothing is written, and the live CRL stays.
    #[track_caller]
    fn keeps(&self, why: &str) {
        let before = self.live();
        let (refresh, writes) = self.refresh(&[]);
        let refresh = refresh
            .exits(1)
            .says("petstore: CN=Harness Root CA: kept: ");
        let refresh = refresh.says(why).says("; number 1, good until 20");
        assert_eq!(writes, [""; 0], "{refresh}");
        let plan = self.scenario.run(["plan", "--detailed-exitcode"]).ok();
        plan.says("No changes.")
            .says(why)
            .says("what is live stays: CRL of CN=Harness Root CA, number 1, good until 20");
        assert_eq!(self.live(), before);
    }

    /// Forgets what URLs have served.
    fn forget(&self) {
        fs::remove_dir_all(self.scenario.path(".cache")).expect("something is remembered");
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
    let revocations = stores
        .values()
        .filter_map(|store| store["revocations"].as_object());
    revocations.flat_map(|all| all.values().cloned()).collect()
}

fn entries(scenario: &Scenario) -> Vec<u64> {
    let revocations = revocations(scenario).into_iter();
    revocations
        .map(|one| one["entries"].as_u64().expect("is a number"))
        .collect()
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
    assert_eq!(
        (&warning["code"], &warning["address"]),
        (&json!("crl_refresh_due"), &json!("trust_store"))
    );
    let (apply, calls) = scenario.calls_of(["apply", "--yes"]);
    apply.ok().says("No changes.");
    assert_eq!(writes(&calls), [""; 0]);
    assert_eq!(site.live(), [2]);
    let (refresh, writes) = site.refresh(&[]);
    refresh.ok().says("petstore: CN=Harness Root CA: refreshed 1 -> 42, 1 serials added, 0 removed, good until 20");
    assert_order(
        &writes,
        &[
            "PutObject",
            "AddTrustStoreRevocations",
            "RemoveTrustStoreRevocations",
        ],
    );
    assert_eq!(writes.len(), 4, "the old object goes as well: {writes:?}");
    assert_eq!(site.live(), [3]);
    scenario.has_converged();
    let (again, writes) = site.refresh(&[]);
    again
        .ok()
        .says("petstore: CN=Harness Root CA: up to date, number 42, good until 20");
    assert_eq!(writes, [""; 0]);
}

/// Commands with faults, as a cron job that is killed and begins again.
fn killed(site: &Site, fault: &str) -> Result<(), String> {
    let mut scenario = site.scenario.fork();
    scenario.set("MTLSGW_SANDBOX_FAULTS", fault);
    let outcome = scenario.run(["crl", "refresh"]);
    scenario.set("MTLSGW_SANDBOX_FAULTS", "");
    // Old and new both revoke the serials 2 and 3: either of them is enough, neither is a gap.
    let between = entries(&scenario);
    if between.is_empty() || !between.iter().all(|count| [2, 3].contains(count)) {
        return Err(format!("{fault}: {between:?} {outcome}"));
    }
    let mut again = scenario.run(["crl", "refresh"]);
    if again.stderr.contains("the stack is locked by") {
        scenario.meanwhile(|aws| drop(aws.control("POST", "clock", "301").ok()));
        again = scenario.run(["crl", "refresh"]);
    }
    if again.code != 0 || entries(&scenario) != [3] {
        return Err(format!("{fault}: {outcome}\n{again}"));
    }
    // A run that was killed before its first write has left nothing that the next could miss.
    if fault.starts_with("s3:") || fault.contains("TrustStoreRevocations#") {
        let (last, calls) = scenario.calls_of(["crl", "refresh"]);
        let plan = scenario.run(["plan", "--detailed-exitcode"]);
        if last.code != 0 || plan.code != 0 || !writes(&calls).is_empty() {
            return Err(format!("{fault}: {outcome}\n{again}\n{last}\n{plan}"));
        }
    }
    Ok(())
}

#[test]
fn a_refresh_that_was_killed_at_any_call_leaves_no_gap_and_is_done_by_the_next() {
    let site = Site::new().applied();
    site.publish(2, &[2, 3, 4]);
    let undisturbed = site.scenario.fork();
    let (outcome, calls) = undisturbed.calls_of(["crl", "refresh"]);
    outcome.ok();
    let mut faults = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let nth = calls[..=index].iter().filter(|one| *one == call).count();
        // Between two writes all states are the same, so that some of the reads will do.
        let effects: &[&str] = if !is_reading(call) {
            &["exit-before", "exit-after", "lose-reply"]
        } else if index % 3 == 0 {
            &["exit-after"]
        } else {
            &[]
        };
        faults.extend(
            effects
                .iter()
                .map(|effect| format!("{call}#{nth}={effect}")),
        );
    }
    let failures = in_parallel(&faults, |fault| killed(&site, fault));
    tell(&format!(
        "{} calls, struck {} times",
        calls.len(),
        faults.len()
    ));
    assert!(faults.len() >= 25, "{faults:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn an_apply_clears_up_after_a_refresh_that_was_killed() {
    let mut site = Site::new().applied();
    site.publish(2, &[2, 3, 4]);
    site.scenario.set(
        "MTLSGW_SANDBOX_FAULTS",
        "RemoveTrustStoreRevocations=exit-before",
    );
    assert_ne!(site.scenario.run(["crl", "refresh"]).code, 0);
    site.scenario.set("MTLSGW_SANDBOX_FAULTS", "");
    assert_eq!(site.live(), [2, 3]);
    site.scenario
        .meanwhile(|aws| drop(aws.control("POST", "clock", "301").ok()));
    assert_order(
        &site.scenario.applies(&[]),
        &["RemoveTrustStoreRevocations"],
    );
    assert_eq!(site.live(), [3]);
}

#[test]
fn an_unchanged_crl_is_not_fetched_again_and_a_damaged_memory_is_none() {
    let site = Site::new().applied();
    site.web.requests();
    let asked = |command: &[&str]| {
        site.scenario.run(command.iter().copied()).ok();
        site.web.requests()
    };
    let path = || "/root.crl".to_owned();
    assert_eq!(asked(&["plan"]), [(path(), 304)]);
    // What is shown and what is done come from one answer.
    assert_eq!(asked(&["crl", "refresh"]), [(path(), 304)]);
    let directory = site.scenario.path(".cache/mtlsgw/crls");
    let files: Vec<_> = fs::read_dir(directory)
        .expect("is there")
        .flatten()
        .collect();
    assert_eq!(files.len(), 1);
    let mut content = fs::read(files[0].path()).expect("is readable");
    let last = content.len() - 40;
    content[last] ^= 1;
    fs::write(files[0].path(), content).expect("is writable");
    assert_eq!(asked(&["plan"]), [(path(), 200)]);
    assert_eq!(asked(&["plan"]), [(path(), 304)]);
}

/// The first PEM block, decoded.
fn der(pem: &str) -> Vec<u8> {
    pem::parse(pem).expect("is PEM").into_contents()
}

#[test]
fn der_and_pem_and_several_in_one_are_taken() {
    let mut site = Site::with(&["root.crl", "both.pem"]);
    let (second, third) = (
        Authority::new("Second Root CA"),
        Authority::new("Third Root CA"),
    );
    let bundle = [
        &authority().certificate,
        &second.certificate,
        &third.certificate,
    ];
    site.scenario
        .write("root_cert.pem", bundle.map(String::as_str).concat());
    site.web.serve("/root.crl", der(&authority().crl));
    site.web.serve(
        "/both.pem",
        format!("{}{}", second.crl, third.crl_of(1, &[7])),
    );
    let site = site.applied();
    let sorted = || {
        let mut live = site.live();
        live.sort_unstable();
        live
    };
    assert_eq!(sorted(), [1, 2, 2]);
    site.web.serve(
        "/both.pem",
        [der(&second.crl), der(&third.crl_of(2, &[7, 8, 9]))].concat(),
    );
    let (refresh, _) = site.refresh(&[]);
    let refresh = refresh
        .ok()
        .says("CN=Harness Root CA: up to date, number 1");
    let refresh = refresh.says("CN=Second Root CA: up to date, number 1");
    refresh.says("CN=Third Root CA: refreshed 1 -> 2, 2 serials added, 0 removed");
    assert_eq!(sorted(), [2, 2, 3]);
    site.scenario.has_converged();
}

#[test]
fn one_crl_of_two_sources_is_one_revocation() {
    let mut site = Site::with(&["root.crl", "mirror.crl"]);
    site.web.serve("/mirror.crl", der(&authority().crl));
    site.scenario.edit("crls: [", "crls: [root.crl, ");
    let site = site.applied();
    assert_eq!(site.live(), [2]);
    site.refresh(&[]).0.ok().says("up to date");
    let crl = authority().crl_of(2, &[2, 3, 4]);
    site.web.serve("/mirror.crl", &crl);
    site.web.serve("/root.crl", &crl);
    let (refresh, _) = site.refresh(&[]);
    refresh.ok();
    // That of the file is nobody's to remove but the file's.
    assert_eq!(site.live(), [2, 3]);
    site.scenario.has_converged();
}

#[test]
fn a_url_that_does_not_answer_keeps_what_is_live() {
    let site = Site::new().applied();
    site.web.set("/root.crl", Reply::Status(503));
    site.keeps("/root.crl: it answers 503 Service Unavailable");
    // The same where nothing is remembered: in a job that begins with an empty disk.
    site.forget();
    site.keeps("/root.crl: it answers 503 Service Unavailable");
    let plan = site.scenario.run(["plan", "--json"]).ok().json();
    assert_eq!(
        plan["stacks"][0]["warnings"][0]["code"],
        "crl_source_unreachable"
    );
    let refresh = site.refresh(&["--json"]).0.exits(1).json();
    let crl = &refresh["stacks"][0]["crls"][0];
    assert_eq!(
        (&crl["status"], &crl["number"]),
        (&json!("kept"), &json!("1"))
    );
    assert!(
        crl["problem"]
            .as_str()
            .is_some_and(|text| text.ends_with("503 Service Unavailable")),
        "{crl}"
    );
}

#[test]
fn nothing_is_built_without_its_crl() {
    let site = Site::new();
    site.web.set("/root.crl", Reply::Status(404));
    let refused = site.scenario.refuses(["apply", "--yes"]);
    refused.says("/root.crl`: it answers 404 Not Found; no CRL of it is live, and a gateway is not built without its CRL");
    // What was served before is good enough until it is out of date.
    site.publish(1, &[2, 3]);
    site.scenario.run(["plan"]).ok();
    site.web.set("/root.crl", Reply::Status(404));
    let apply = site.scenario.run(["apply", "--yes"]).ok();
    apply.says(
        "the CRL that it served before is used: CRL of CN=Harness Root CA, number 1, good until 20",
    );
    assert_eq!(site.live(), [2]);
}

#[test]
fn a_second_url_that_does_not_answer_is_not_taken_for_the_first() {
    let mut site = Site::with(&["root.crl"]).applied();
    let second = Authority::new("Second Root CA");
    site.scenario.write(
        "root_cert.pem",
        format!("{}{}", authority().certificate, second.certificate),
    );
    let more = format!("/root.crl, {}/second.crl]", site.web.url);
    site.scenario.edit("/root.crl]", &more);
    let refused = site
        .scenario
        .refuses(["apply", "--yes", "--allow-widening"]);
    refused.says("/second.crl`: it answers 404 Not Found; no CRL of it is live");
}

#[test]
fn a_crl_that_must_not_be_used_keeps_what_is_live() {
    let site = Site::new().applied();
    let now = OffsetDateTime::now_utc();
    let crl = |number, from, to| {
        authority().crl_between(
            number,
            &[2, 3, 4],
            (now + Duration::days(from), now + Duration::days(to)),
        )
    };
    let stranger = Authority::new("Stranger CA");
    let forger = Authority::new("Harness Root CA");
    for (served, why) in [
        (
            crl(2, -9, -1),
            "CRL of CN=Harness Root CA: its next update was due on 20",
        ),
        (
            crl(0, -9, 9),
            "CRL of CN=Harness Root CA: it was issued at 20",
        ),
        (crl(2, -9, 9), "(crl-older-than-live)"),
        (
            stranger.crl_of(2, &[2]),
            "CRL of CN=Stranger CA: no certificate of the bundle has the name of its issuer",
        ),
        (
            forger.crl_of(2, &[2]),
            "its signature does not verify with the key of its issuer in the bundle",
        ),
        (
            "<html>Sign in to the hotel's network</html>".to_owned(),
            "/root.crl: ",
        ),
        (authority().certificate.clone(), "/root.crl: "),
    ] {
        site.web.serve("/root.crl", served);
        site.keeps(why);
    }
    // The good one of before is still known.
    site.publish(2, &[2, 3, 4]);
    site.refresh(&[]).0.ok().says("refreshed 1 -> 2");
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let site = Site::new();
    site.web.serve("/new/root.crl", &authority().crl);
    site.web
        .set("/root.crl", Reply::Redirect("/new/root.crl".to_owned()));
    let site = site.applied();
    site.web
        .set("/root.crl", Reply::Redirect("/root.crl".to_owned()));
    site.web.requests();
    site.keeps("it leads on more than 5 times");
    assert_eq!(
        site.web.requests().len(),
        12,
        "six for the refresh, six for the plan"
    );
    site.web.set(
        "/root.crl",
        Reply::Redirect("file:///etc/passwd".to_owned()),
    );
    site.keeps("it leads on to file, which is not followed");
}

#[test]
fn a_body_without_end_is_given_up() {
    let site = Site::new().applied();
    site.web.set("/root.crl", Reply::Flood(100 * 1024 * 1024));
    site.keeps("it serves more than 50 MiB");
    site.web.set("/root.crl", Reply::Silence);
    let (refresh, writes) = site.refresh(&["--timeout", "1s"]);
    refresh.exits(1).says("no answer within 1 s");
    assert_eq!(writes, [""; 0]);
}

#[test]
fn private_addresses_are_reached_only_where_that_is_allowed() {
    let mut site = Site::new();
    site.scenario.edit(", allow_private_addresses: true", "");
    let refused = site.scenario.refuses(["apply", "--yes"]);
    refused.says("`127.0.0.1` leads to 127.0.0.1, which is no public address");
    let port = site
        .web
        .url
        .rsplit(':')
        .next()
        .expect("has a port")
        .to_owned();
    for host in [
        "localhost",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "169.254.169.254",
    ] {
        let text = site.scenario.read("stack.yaml");
        let (before, _) = text.split_once("crls: [").expect("is there");
        let text = format!("{before}crls: [\"http://{host}:{port}/root.crl\"] }}\n");
        site.scenario.write("stack.yaml", text);
        site.scenario
            .refuses(["apply", "--yes"])
            .says("which is no public address");
    }
    assert_eq!(site.web.requests(), []);
}

#[test]
fn what_may_be_secret_in_a_url_is_shown_nowhere() {
    let mut site = Site::new();
    let (plain, secret) = ("http://127.0.0.1", "http://carol:Sesam-1@127.0.0.1");
    site.scenario.edit(plain, secret);
    site.scenario.edit("/root.crl]", "/root.crl?sig=Sesam-2]");
    let quiet = |outcome: Outcome| {
        for word in ["Sesam", "carol"] {
            assert!(
                !outcome.stdout.contains(word) && !outcome.stderr.contains(word),
                "{outcome}"
            );
        }
        outcome
    };
    site.scenario.set("RUST_LOG", "debug");
    for command in [
        &["validate"][..],
        &["render"],
        &["plan", "--out", "a.plan"],
        &["apply", "--yes"],
        &["crl", "refresh"],
    ] {
        quiet(site.scenario.run(command.iter().copied()).ok());
    }
    assert!(!site.scenario.read("a.plan").contains("Sesam"));
    for reply in [
        Reply::Status(500),
        Reply::Redirect("http://127.0.0.1:1/?Sesam-3".to_owned()),
    ] {
        site.web.set("/root.crl", reply);
        quiet(site.scenario.run(["crl", "refresh", "--json"]).exits(1));
        quiet(site.scenario.run(["plan"]).ok());
    }
}

#[test]
fn an_old_crl_stays_beside_the_new_one_until_its_removal_is_allowed() {
    let site = Site::new().applied();
    site.publish(2, &[2, 4, 5]);
    let (refresh, writes) = site.refresh(&[]);
    let held = "number 1 stays beside it for 1 serials that would be accepted again: --allow-widening removes it";
    let refresh = refresh
        .exits(3)
        .says("refreshed 1 -> 2, 2 serials added, 0 removed");
    refresh.says(held);
    assert_eq!(writes, ["PutObject", "AddTrustStoreRevocations"]);
    assert_eq!(site.live(), [2, 3]);
    let (again, writes) = site.refresh(&[]);
    again.exits(1).says("up to date, number 2").says(held);
    assert_eq!(writes, [""; 0]);
    // It is for the refresh to decide, never for an apply that is about something else.
    site.scenario.has_converged();
    let (allowed, writes) = site.refresh(&["--allow-widening"]);
    allowed
        .ok()
        .says("up to date, number 2, removed 1 that was left over");
    assert_order(&writes, &["RemoveTrustStoreRevocations"]);
    assert_eq!(site.live(), [3]);
    site.publish(3, &[2]);
    let (allowed, _) = site.refresh(&["--allow-widening"]);
    allowed
        .ok()
        .says("refreshed 2 -> 3, 0 serials added, 2 removed");
    assert_eq!(site.live(), [1]);
}

#[test]
fn a_url_that_leaves_the_file_takes_its_crl_along() {
    let mut site = Site::petstore().applied();
    let url = format!(
        "crls: [{}/root.crl], allow_private_addresses: true",
        site.web.url
    );
    // A file of the same CA in its place, and back.
    site.scenario
        .write("new.crl", authority().crl_of(2, &[2, 3, 4]));
    site.scenario.edit(&url, "crls: [new.crl]");
    let order = ["AddTrustStoreRevocations", "RemoveTrustStoreRevocations"];
    assert_order(&site.scenario.applies(&[]), &order);
    site.scenario.edit("crls: [new.crl]", &url);
    site.publish(3, &[2, 3, 4, 5]);
    site.scenario.has_converged();
    site.refresh(&[]).0.ok().says("refreshed 2 -> 3");
    site.scenario.edit(&url, "crls: []");
    let plan = site.scenario.run(["plan", "--detailed-exitcode"]).exits(2);
    plan.says("access widens: trust_store.crl[");
    site.scenario.applies(&["--allow-widening"]);
    assert_eq!(site.live(), [0; 0]);
}

#[test]
fn the_crl_of_a_new_key_under_the_old_name_stands_beside_that_of_the_old_key() {
    let mut site = Site::new().applied();
    let renewed = Authority::new("Harness Root CA");
    let both = format!("{}{}", authority().certificate, renewed.certificate);
    site.scenario.write("root_cert.pem", both);
    site.scenario.applies(&["--allow-widening"]);
    // The new key begins to count anew.
    site.web.serve("/root.crl", renewed.crl_of(0, &[2, 3, 4]));
    site.scenario.has_converged();
    site.refresh(&[]).0.ok().says(
        "refreshed 1 -> 0, 1 serials added, 0 removed; number 1 stays for the CA's other key",
    );
    assert_eq!(site.live(), [2, 3]);
    site.scenario.has_converged();
    site.scenario.write("root_cert.pem", &renewed.certificate);
    site.scenario.applies(&[]);
    assert_eq!(site.live(), [3]);
    // Back to the old key, which is the only one by then: its CRL comes before the bundle changes.
    site.scenario
        .write("root_cert.pem", &authority().certificate);
    site.publish(5, &[2, 3]);
    let writes = site.scenario.applies(&["--allow-widening"]);
    assert_order(
        &writes,
        &[
            "AddTrustStoreRevocations",
            "ModifyTrustStore",
            "RemoveTrustStoreRevocations",
        ],
    );
    assert_eq!(site.live(), [2]);
}

#[test]
fn one_stack_that_fails_does_not_stop_the_others() {
    let mut site = Site::new().applied();
    let text = site.scenario.read("stack.yaml");
    let other = text.replace("name: petstore", "name: other");
    site.scenario
        .write("other.yaml", other.replace("root.crl", "other.crl"));
    site.scenario.write("wrong.yaml", "name: [\n");
    site.publish(2, &[2, 3, 4]);
    let all = ["wrong.yaml", "other.yaml", "stack.yaml"];
    let (refresh, _) = site.refresh(&all);
    let refresh = refresh
        .exits(3)
        .says("petstore: CN=Harness Root CA: refreshed 1 -> 2");
    refresh
        .says("wrong.yaml:")
        .says("`other` has no trust store yet");
    assert_eq!(site.live(), [3]);
    let failed = site
        .refresh(&["--json", "wrong.yaml", "stack.yaml"])
        .0
        .exits(1)
        .json();
    assert_eq!(
        failed["stacks"][1]["crls"][0]["status"], "up_to_date",
        "{failed:#}"
    );
    assert_ne!(failed["stacks"][0]["errors"], json!([]));
}

#[test]
fn a_refresh_changes_nothing_but_crls() {
    let mut site = Site::petstore().applied();
    let second = Authority::new("Second Root CA");
    site.scenario.write(
        "root_cert.pem",
        format!("{}{}", authority().certificate, second.certificate),
    );
    site.scenario
        .edit("vpc: default", "vpc: default\ntags: { Team: pki }");
    let planned = |site: &Site| {
        let plan = site.scenario.run(["plan", "--json"]).ok().json();
        plan["stacks"][0]["changes"].clone()
    };
    let before = planned(&site);
    assert!(
        before.as_array().is_some_and(|all| all.len() > 5),
        "{before:#}"
    );
    site.publish(2, &[2, 3, 4]);
    let (refresh, writes) = site.refresh(&[]);
    refresh.ok().says("refreshed 1 -> 2");
    assert_eq!(writes.len(), 4, "{writes:?}");
    assert_eq!(planned(&site), before);
}

#[test]
fn a_swap_that_exceeds_a_quota_is_refused_before_it_begins() {
    let mut site = Site::new();
    let all: Vec<Authority> = (0..16)
        .map(|n| Authority::new(&format!("CA {n}")))
        .collect();
    let bundle: String = all.iter().map(|one| one.certificate.as_str()).collect();
    site.scenario.write("root_cert.pem", bundle);
    let serials = [7, 8];
    let publish = |site: &Site, number: u64| {
        let crls: String = all
            .iter()
            .map(|one| {
                one.crl_of(
                    number,
                    &serials[..usize::try_from(number).expect("is small")],
                )
            })
            .collect();
        site.web.serve("/root.crl", crls);
    };
    publish(&site, 1);
    let site = site.applied();
    publish(&site, 2);
    let refused = site.scenario.refuses(["crl", "refresh"]);
    refused.says(
        "`petstore`: old and new CRLs side by side would be 48 revoked serials in 32 CRLs (16 in 16 are live, \
         32 in 16 are new), and by default 500000 in 30 fit into a trust store",
    ).says("L-332EE142");
    site.scenario
        .run(["sandbox", "quota", "L-332EE142", "40"])
        .ok();
    site.refresh(&["--quota-raised"])
        .0
        .ok()
        .says("CN=CA 15: refreshed 1 -> 2, 1 serials added, 0 removed");
    assert_eq!(site.live(), [2; 16]);
}

#[test]
fn files_are_validated_and_rendered_without_fetching() {
    let site = Site::petstore();
    let validate = site.scenario.run_bare(["validate"]).ok();
    validate
        .says("the CRL of http://127.0.0.1")
        .says("/root.crl is fetched by plan and apply, not here");
    let rendered = site.scenario.run_bare(["render"]).ok().json();
    let resources = rendered["stacks"][0]["resources"]
        .as_array()
        .expect("is a list");
    let address = format!("trust_store.crl[\"{}/root.crl\"]", site.web.url);
    assert!(
        resources
            .iter()
            .any(|one| one["address"] == address.as_str()),
        "{rendered:#}"
    );
    assert_eq!(site.web.requests(), []);
}

#[test]
fn a_saved_plan_is_stale_when_the_crl_that_it_creates_has_changed() {
    let site = Site::new();
    let scenario = &site.scenario;
    scenario.run(["plan", "--out", "a.plan"]).ok();
    site.publish(2, &[2, 3, 4]);
    scenario
        .refuses(["apply", "a.plan"])
        .says("the saved plan is stale");
    scenario.run(["plan", "--out", "a.plan"]).ok();
    scenario.run(["apply", "a.plan"]).ok();
    assert_eq!(site.live(), [3]);
    // What is live stays, whatever is served by now.
    let scenario = &mut { site.scenario };
    scenario.edit(
        "region: ap-northeast-1",
        "region: ap-northeast-1\ntags: { Team: pki }",
    );
    scenario.run(["plan", "--out", "b.plan"]).ok();
    site.web
        .serve("/root.crl", authority().crl_of(3, &[2, 3, 4, 5]));
    scenario.run(["apply", "b.plan"]).ok();
    assert_eq!(entries(scenario), [3]);
}

#[test]
fn a_stack_without_urls_has_nothing_to_refresh() {
    let scenario = Scenario::petstore();
    let refresh = scenario.run(["crl", "refresh"]).ok();
    refresh.says("petstore: no CRL comes from a URL");
}
