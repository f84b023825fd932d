//! AWS fails, is slow to tell, or the process is killed: the next run goes on from what is there.

mod matrix;
mod systems;

use std::collections::BTreeSet;

use crate::acts::{shape, tell};
use crate::support::{Authority, Outcome, Scenario, authority, is_reading};
use matrix::Command;
use systems::{BACKEND, CLIENTS, PETSTORE};

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

/// A system, applied without any fault, and the operations that it took: reading and writing ones.
fn undisturbed(before: &Scenario) -> (Scenario, BTreeSet<String>, BTreeSet<String>) {
    let scenario = before.fork();
    let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
    outcome.ok();
    let (reading, writing) = calls.into_iter().partition(|call| is_reading(call));
    (scenario, reading, writing)
}

/// What a call may come to for which nobody is killed.
const FAULTS: [&str; 4] = ["throttle", "500", "fail-after", "lose-reply"];

#[test]
fn an_apply_survives_a_fault_of_every_operation() {
    for (system, least) in [(&PETSTORE, 20), (&CLIENTS, 15), (&BACKEND, 12)] {
        let before = (system.fresh)();
        let (scenario, reading, writing) = undisturbed(&before);
        let expected = shape(&scenario.dump());
        assert!(writing.len() > least, "{}: {writing:?}", system.name);
        for effect in FAULTS {
            for operations in [&writing, &reading] {
                let mut scenario = before.fork();
                let faults = everywhere(operations, effect);
                struck(&mut scenario, &["apply", "--yes"], &faults).ok();
                // No second run is needed, not even to clear up.
                scenario.has_converged();
                assert!(
                    shape(&scenario.dump()) == expected,
                    "{}: {effect}: {operations:?}",
                    system.name
                );
            }
        }
    }
}

#[test]
fn a_destroy_survives_a_fault_of_every_operation() {
    for system in [&PETSTORE, &CLIENTS, &BACKEND] {
        let applied = (system.fresh)().applied();
        let scenario = applied.fork();
        let (outcome, calls) = scenario.calls_of(["destroy", "--yes"]);
        outcome.ok();
        let expected = shape(&scenario.dump());
        let operations: BTreeSet<String> = calls.into_iter().collect();
        for effect in FAULTS {
            let mut scenario = applied.fork();
            let faults = everywhere(&operations, effect);
            struck(&mut scenario, &["destroy", "--yes"], &faults).ok();
            assert!(
                shape(&scenario.dump()) == expected,
                "{}: {effect}",
                system.name
            );
        }
    }
}

#[test]
fn an_apply_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::apply(&PETSTORE).is_struck_everywhere() >= 80);
}

#[test]
fn an_update_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::update(&PETSTORE, 0).is_struck_everywhere() >= 120);
}

#[test]
fn a_destroy_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::destroy(&PETSTORE).is_struck_everywhere() >= 80);
}

#[test]
fn an_apply_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::apply(&PETSTORE).is_never_misled() >= 20);
}

#[test]
fn an_update_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::update(&PETSTORE, 0).is_never_misled() >= 30);
}

#[test]
fn a_destroy_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::destroy(&PETSTORE).is_never_misled() >= 10);
}

#[test]
fn an_apply_of_system_c_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::apply(&CLIENTS).is_struck_everywhere() >= 70);
}

#[test]
fn an_update_of_system_c_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::update(&CLIENTS, 0).is_struck_everywhere() >= 100);
    assert!(Command::update(&CLIENTS, 1).is_struck_everywhere() >= 90);
}

#[test]
fn a_destroy_of_system_c_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::destroy(&CLIENTS).is_struck_everywhere() >= 80);
}

#[test]
fn an_apply_of_system_c_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::apply(&CLIENTS).is_never_misled() >= 18);
}

#[test]
fn an_update_of_system_c_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::update(&CLIENTS, 0).is_never_misled() >= 15);
    assert!(Command::update(&CLIENTS, 1).is_never_misled() >= 4);
}

#[test]
fn a_destroy_of_system_c_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::destroy(&CLIENTS).is_never_misled() >= 8);
}

#[test]
fn an_apply_of_system_s_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::apply(&BACKEND).is_struck_everywhere() >= 60);
}

#[test]
fn an_update_of_system_s_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::update(&BACKEND, 0).is_struck_everywhere() >= 90);
    assert!(Command::update(&BACKEND, 1).is_struck_everywhere() >= 90);
}

#[test]
fn a_destroy_of_system_s_that_was_struck_anywhere_is_done_by_the_next() {
    assert!(Command::destroy(&BACKEND).is_struck_everywhere() >= 60);
}

#[test]
fn an_apply_of_system_s_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::apply(&BACKEND).is_never_misled() >= 15);
}

#[test]
fn an_update_of_system_s_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::update(&BACKEND, 0).is_never_misled() >= 15);
    assert!(Command::update(&BACKEND, 1).is_never_misled() >= 12);
}

#[test]
fn a_destroy_of_system_s_is_not_misled_by_reads_behind_its_writes() {
    assert!(Command::destroy(&BACKEND).is_never_misled() >= 8);
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
    let (clean, reading, _) = undisturbed(&Scenario::petstore());
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
