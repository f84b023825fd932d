//! AWS fails, is slow to tell, or the process is killed: the next run goes on from what is there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::acts::{self, writes};
use crate::support::{Outcome, Scenario, differences};

/// The call of each operation that is struck in [`survives`]; `MTLSGW_TEST_EVERY=1` takes them all.
const EVERY: usize = 5;

/// What the sandbox is told to do to a call.
const EFFECTS: [&str; 4] = ["500", "lose-reply", "exit-before", "exit-after"];

/// Runs a command with a fault.
fn struck(scenario: &mut Scenario, command: &str, faults: &str) -> Outcome {
    scenario.set("MTLSGW_SANDBOX_FAULTS", faults);
    let outcome = scenario.run([command, "--yes"]);
    scenario.set("MTLSGW_SANDBOX_FAULTS", "");
    outcome
}

/// Runs the same command again, as often as a patient user would, until it is done.
#[track_caller]
fn goes_on(scenario: &Scenario, command: &str, what: &str) {
    for _ in 0..3 {
        let outcome = scenario.run([command, "--yes"]);
        if outcome.code == 0 {
            return;
        }
        // Nobody gives back the lock of a run that was killed.
        assert!(
            outcome.stderr.contains("the stack is locked by"),
            "{what}: {outcome}"
        );
        scenario.meanwhile(|aws| drop(aws.control("POST", "clock", "301").ok()));
    }
    panic!("{what}: never done");
}

/// What an account holds, whatever its ids, times, addresses and orders.
fn shape(dump: &Value) -> Value {
    acts::shape(dump)
}

#[test]
fn explore_shape() {
    let one = Scenario::petstore().applied();
    let two = Scenario::petstore().applied();
    println!("{:#}", shape(&one.dump()));
    assert_eq!(shape(&one.dump()), shape(&two.dump()));
    let _ = (differences, EVERY, EFFECTS, writes);
    let _ = BTreeSet::<String>::new();
}

#[test]
fn explore_faults() {
    let clean = Scenario::petstore();
    let (_, calls) = clean.calls_of(["apply", "--yes"]);
    let operations: BTreeSet<String> = calls.iter().cloned().collect();
    let shape_of = shape(&clean.dump());
    for effect in ["throttle", "500", "fail-after", "lose-reply"] {
        for kind in ["write", "read"] {
            let faults: Vec<String> = operations
                .iter()
                .filter(|o| crate::support::is_reading(o) == (kind == "read"))
                .map(|operation| format!("{operation}={effect}"))
                .collect();
            let mut scenario = Scenario::petstore();
            let outcome = struck(&mut scenario, "apply", &faults.join(" "));
            println!(
                "#### {effect} {kind} {}: {}",
                outcome.code,
                outcome
                    .stderr
                    .lines()
                    .filter(|l| l.contains("error") || l.contains("hint") || l.contains("complete"))
                    .collect::<Vec<_>>()
                    .join("\n")
            );
            goes_on(&scenario, "apply", effect);
            scenario.has_converged();
            println!("same: {}", shape(&scenario.dump()) == shape_of);
            for d in differences(&shape_of, &shape(&scenario.dump())) {
                println!("   {}", d.chars().take(3000).collect::<String>());
            }
        }
    }
}
