//! AWS fails, is slow to tell, or the process is killed: the next run goes on from what is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::acts::{in_parallel, shape, tell, writes};
use crate::support::{Authority, Outcome, Scenario, authority, differences, is_reading};

/// Every call can be struck in every way; one of so many cases is tried, and `MTLSGW_TEST_EVERY=1` tries
/// them all. It shares no divisor with the number of ways, so that they take turns.
const EVERY: usize = 13;

/// What is done to a call that is struck.
const EFFECTS: [&str; 5] = ["exit-before", "exit-after", "lose-reply", "throttle", "500"];

/// Runs a command on a sandbox that has faults.
fn struck(scenario: &mut Scenario, command: &[&str], faults: &str) -> Outcome {
    scenario.set("MTLSGW_SANDBOX_FAULTS", faults);
    let outcome = scenario.run(command.iter().copied());
    scenario.set("MTLSGW_SANDBOX_FAULTS", "");
    outcome
}

/// Runs a command again until it is done, as whoever ran it would, and waits for a dead run's lock.
fn goes_on(scenario: &Scenario, command: &[&str]) -> Result<Outcome, String> {
    let mut outcome = scenario.run(command.iter().copied());
    if outcome.stderr.contains("the stack is locked by") {
        scenario.meanwhile(|aws| drop(aws.control("POST", "clock", "301").ok()));
        outcome = scenario.run(command.iter().copied());
    }
    match outcome.code {
        0 => Ok(outcome),
        _ => Err(format!("again: {outcome}")),
    }
}

/// The same fault at each operation, once.
fn everywhere<'a>(operations: impl IntoIterator<Item = &'a String>, effect: &str) -> String {
    let faults = operations
        .into_iter()
        .map(|operation| format!("{operation}={effect}"));
    faults.collect::<Vec<_>>().join(" ")
}

/// System P, applied without any fault, and the operations that it took: reading and writing ones.
fn undisturbed() -> (Scenario, BTreeSet<String>, BTreeSet<String>) {
    let scenario = Scenario::petstore();
    let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
    outcome.ok();
    let (reading, writing) = calls.into_iter().partition(|call| is_reading(call));
    (scenario, reading, writing)
}

#[test]
fn an_apply_survives_a_fault_of_every_operation() {
    let (scenario, reading, writing) = undisturbed();
    let expected = shape(&scenario.dump());
    assert!(writing.len() > 20, "{writing:?}");
    for effect in ["throttle", "500", "fail-after", "lose-reply"] {
        for operations in [&writing, &reading] {
            let mut scenario = Scenario::petstore();
            let faults = everywhere(operations, effect);
            struck(&mut scenario, &["apply", "--yes"], &faults).ok();
            // No second run is needed, not even to clear up.
            scenario.has_converged();
            assert!(
                shape(&scenario.dump()) == expected,
                "{effect}: {operations:?}"
            );
        }
    }
}

#[test]
fn a_destroy_survives_a_fault_of_every_operation() {
    let applied = Scenario::petstore().applied();
    let scenario = applied.fork();
    let (outcome, calls) = scenario.calls_of(["destroy", "--yes"]);
    outcome.ok();
    let expected = shape(&scenario.dump());
    let operations: BTreeSet<String> = calls.into_iter().collect();
    for effect in ["throttle", "500", "fail-after", "lose-reply"] {
        let mut scenario = applied.fork();
        let faults = everywhere(&operations, effect);
        struck(&mut scenario, &["destroy", "--yes"], &faults).ok();
        assert!(shape(&scenario.dump()) == expected, "{effect}");
    }
}

/// A command that is struck, with the state that it starts from.
struct Command {
    name: &'static str,
    arguments: &'static [&'static str],
    before: Scenario,
}

/// What an undisturbed run of a command does and leads to.
struct Undisturbed {
    calls: Vec<String>,
    expected: Value,
}

impl Command {
    fn apply() -> Self {
        Self {
            name: "apply",
            arguments: &["apply", "--yes"],
            before: Scenario::petstore(),
        }
    }

    fn update() -> Self {
        Self {
            name: "update",
            arguments: &["apply", "--yes", "--allow-widening", "--allow-downtime"],
            before: edited(),
        }
    }

    fn destroy() -> Self {
        Self {
            name: "destroy",
            arguments: &["destroy", "--yes"],
            before: Scenario::petstore().applied(),
        }
    }

    /// One step at a time, so that the nth call of an operation is the same one in every run.
    fn line(&self) -> Vec<&str> {
        [self.arguments, &["--parallelism=1"]].concat()
    }

    /// Runs it without a fault, after which there is nothing more to do.
    #[track_caller]
    fn undisturbed(&self) -> Undisturbed {
        let scenario = self.before.fork();
        let (outcome, calls) = scenario.calls_of(self.line());
        outcome.ok();
        let expected = shape(&scenario.dump());
        let (again, further) = scenario.calls_of(self.line());
        again.ok();
        assert_eq!(writes(&further), [""; 0]);
        Undisturbed { calls, expected }
    }

    /// Runs it with a fault and, unless it came to its end, once more; says what is wrong then.
    ///
    /// What is the same as after an undisturbed run has converged as that has.
    fn survives(
        &self,
        fault: &str,
        (operation, nth): (&str, usize),
        expected: &Value,
    ) -> Result<(), String> {
        let mut scenario = self.before.fork();
        let before = scenario.calls().len();
        let outcome = struck(&mut scenario, &self.line(), fault);
        let calls = scenario.calls().split_off(before);
        if calls.iter().filter(|call| *call == operation).count() < nth {
            return Err(format!("{fault} did not strike: {outcome}"));
        }
        let mut again = None;
        if outcome.code != 0 {
            again = Some(goes_on(&scenario, &self.line())?);
        }
        let found = shape(&scenario.dump());
        if found == *expected {
            return Ok(());
        }
        let differences = differences(expected, &found).join("\n");
        let again = again.map(|again| again.to_string()).unwrap_or_default();
        Err(format!("{fault}: {outcome}\n{again}\n{differences}"))
    }

    /// Strikes it at its calls in every way, and runs it again; gives how many calls it has.
    #[track_caller]
    fn is_struck_everywhere(&self) -> usize {
        let Undisturbed { calls, expected } = self.undisturbed();
        let places = places(&calls);
        let all = places
            .iter()
            .flat_map(|place| EFFECTS.map(|effect| (*place, effect)));
        let cases: Vec<_> = all.step_by(every()).collect();
        let failures = in_parallel(&cases, |((operation, nth), effect)| {
            let fault = format!("{operation}#{nth}={effect}");
            self.survives(&fault, (operation, *nth), &expected)
        });
        let counts = EFFECTS.map(|effect| {
            let count = cases.iter().filter(|(_, one)| *one == effect).count();
            format!("{effect} {count}")
        });
        tell(&format!(
            "{}: {} calls, struck {} times ({}), {} failed",
            self.name,
            calls.len(),
            cases.len(),
            counts.join(", "),
            failures.len()
        ));
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
        calls.len()
    }

    /// Has each of its writes unseen by the reads that follow it; gives how many there are.
    ///
    /// S3 shows objects at once, so that those are left out.
    #[track_caller]
    fn is_never_misled(&self) -> usize {
        let Undisturbed { calls, expected } = self.undisturbed();
        let is_lagging = |(call, _): &(&str, usize)| !is_reading(call) && !call.ends_with("Object");
        let writes: Vec<_> = places(&calls).into_iter().filter(is_lagging).collect();
        let all = writes
            .iter()
            .flat_map(|place| [1, 3].map(|reads| (*place, reads)));
        let cases: Vec<_> = all.step_by(every().div_ceil(2)).collect();
        let failures = in_parallel(&cases, |((operation, nth), reads)| {
            let fault = format!("{operation}#{nth}=stale-reads:{reads}");
            self.survives(&fault, (operation, *nth), &expected)
        });
        tell(&format!(
            "{}: {} writes, reads behind {} times (the next one or three of each operation), {} failed",
            self.name,
            writes.len(),
            cases.len(),
            failures.len()
        ));
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
        writes.len()
    }
}

/// Of so many cases one is tried.
fn every() -> usize {
    std::env::var("MTLSGW_TEST_EVERY").map_or(EVERY, |text| text.parse().expect("is a number"))
}

/// Each call by its operation and how many of that there were until then, whatever their order.
fn places(calls: &[String]) -> Vec<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let place = |call| {
        let nth = counts.entry(call).or_default();
        *nth += 1;
        (call, *nth)
    };
    calls.iter().map(String::as_str).map(place).collect()
}

/// System P as another file: what can be changed in place is, and certificate and domain are replaced.
const CHANGED: &str = r#"name: petstore
region: ap-northeast-1
vpc: default
tags: { Team: pki }
endpoint:
  policy:
    Version: "2012-10-17"
    Statement: [{ Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "*" }]
api:
  openapi: petstore.yaml
  stage: dev
  description: Pets
  stage_variables: { colour: blue }
  throttling: { rate_limit: 50, burst_limit: 20 }
domain: { name: www.example.com }
certificate: { request: www.example.com }
target_group:
  deregistration_delay_seconds: 20
  health_check: { interval_seconds: 10, timeout_seconds: 3 }
load_balancer:
  allow: [203.0.113.0/24, 198.51.100.0/24]
  attributes: { idle_timeout.timeout_seconds: "120" }
trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }
listener:
  mutual_authentication: { mode: verify, advertise_ca_names: false }
  ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06
record: { zone: example.com, evaluate_target_health: true }
"#;

/// System P applied, and then edited wherever one edit can be.
fn edited() -> Scenario {
    let mut scenario = Scenario::petstore().applied();
    let second = Authority::new("Second Root CA");
    let bundle = format!("{}{}", authority().certificate, second.certificate);
    scenario.write("root_cert.pem", bundle);
    let crl = authority().crl_of(2, &[2, 3, 4]);
    scenario.write("root.crl", format!("{crl}{}", second.crl));
    let definition = scenario.read("petstore.yaml");
    let definition = definition.replace("/pets/{petId}", "/animals/{petId}");
    scenario.write("petstore.yaml", definition);
    scenario.write("stack.yaml", CHANGED);
    scenario
}

#[test]
fn an_apply_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::apply().is_struck_everywhere() >= 80);
}

#[test]
fn an_update_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::update().is_struck_everywhere() >= 120);
}

#[test]
fn a_destroy_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::destroy().is_struck_everywhere() >= 80);
}

#[test]
fn an_apply_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::apply().is_never_misled() >= 20);
}

#[test]
fn an_update_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::update().is_never_misled() >= 30);
}

#[test]
fn a_destroy_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::destroy().is_never_misled() >= 10);
}

/// Kills an apply after each of its writes, and runs it again.
fn survives_being_killed(before: &Scenario, allowances: &[&str]) {
    let command = [&["apply", "--yes"], allowances].concat();
    let scenario = before.fork();
    let (outcome, calls) = scenario.calls_of(command.iter().copied());
    outcome.ok();
    let expected = shape(&scenario.dump());
    let mut seen: Vec<&String> = Vec::new();
    for call in calls.iter().filter(|call| !is_reading(call)) {
        seen.push(call);
        let nth = seen.iter().filter(|one| **one == call).count();
        let mut scenario = before.fork();
        let fault = format!("{call}#{nth}=exit-after");
        let outcome = struck(&mut scenario, &command, &fault);
        if outcome.code != 0 {
            goes_on(&scenario, &command).unwrap_or_else(|failure| panic!("{fault}: {failure}"));
        }
        assert!(shape(&scenario.dump()) == expected, "{fault}: {outcome}");
    }
    tell(&format!("killed after each of {} writes", seen.len()));
}

#[test]
fn a_renaming_that_was_killed_leaves_no_record_behind() {
    let mut scenario = Scenario::petstore().applied();
    scenario.edit("api.example.com", "www.example.com");
    survives_being_killed(&scenario, &[]);
}

#[test]
fn a_change_of_trust_that_was_killed_leaves_no_crl_behind() {
    let mut scenario = Scenario::petstore().applied();
    let second = Authority::new("Second Root CA");
    scenario.write(
        "root_cert.pem",
        format!("{}{}", authority().certificate, second.certificate),
    );
    let crl = authority().crl_of(2, &[2, 3, 4]);
    scenario.write("root.crl", format!("{crl}{}", second.crl));
    // AWS numbers revocations as they come, which two at a time do in any order.
    survives_being_killed(&scenario, &["--allow-widening", "--parallelism=1"]);
}

#[test]
fn a_new_definition_that_was_killed_is_deployed_by_the_next_apply() {
    let mut scenario = Scenario::petstore().applied();
    let text = scenario.read("petstore.yaml");
    scenario.write(
        "petstore.yaml",
        text.replace("/pets/{petId}", "/animals/{petId}"),
    );
    survives_being_killed(&scenario, &[]);
}

#[test]
fn a_replacement_that_was_killed_leaves_nothing_twice() {
    let mut scenario = Scenario::petstore().applied();
    scenario.edit("request: \"*.example.com\"", "request: api.example.com");
    scenario.edit("stage: dev", "stage: dev, endpoint_type: regional");
    survives_being_killed(&scenario, &["--allow-widening"]);
}

#[test]
fn a_change_of_tags_that_was_killed_forgets_none() {
    let mut scenario = Scenario::petstore();
    scenario.edit(
        "vpc: default",
        "vpc: default\ntags: { Team: pki, CostCentre: \"7\" }",
    );
    let mut scenario = scenario.applied();
    scenario.edit("CostCentre", "Owner");
    survives_being_killed(&scenario, &[]);
}

#[test]
fn reads_that_are_behind_do_not_lead_to_a_second_of_anything() {
    let (clean, reading, _) = undisturbed();
    let expected = shape(&clean.dump());
    // The first two of each are those of planning, before and under the lock.
    for nth in [3, 4] {
        let mut scenario = Scenario::petstore();
        let faults = reading
            .iter()
            .map(|operation| format!("{operation}#{nth}=stale:2"));
        let faults = faults.collect::<Vec<_>>().join(" ");
        let outcome = struck(&mut scenario, &["apply", "--yes"], &faults);
        if outcome.code != 0 {
            goes_on(&scenario, &["apply", "--yes"]).expect("goes on");
        }
        scenario.has_converged();
        assert!(shape(&scenario.dump()) == expected, "{nth}: {outcome}");
    }
}
