//! A command that is struck at each of its calls, in every way.

use std::collections::BTreeMap;

use serde_json::Value;

use super::systems::System;
use super::{goes_on, struck};
use crate::acts::{in_parallel, shape, tell, writes};
use crate::support::{Scenario, differences, is_reading};

/// What is done to a call that is struck.
const EFFECTS: [&str; 5] = ["exit-before", "exit-after", "lose-reply", "throttle", "500"];

/// A command that is struck, with the state that it starts from.
pub(super) struct Command {
    /// Of what it is and what it does.
    pub(super) name: String,
    arguments: &'static [&'static str],
    /// Of so many cases one is tried.
    every: usize,
    before: Scenario,
}

/// What an undisturbed run of a command does and leads to.
struct Undisturbed {
    calls: Vec<String>,
    expected: Value,
}

impl Command {
    /// Builds a system.
    pub(super) fn apply(system: &System) -> Self {
        Self {
            every: every(system),
            name: format!("{}: apply", system.name),
            arguments: &["apply", "--yes"],
            before: (system.fresh)(),
        }
    }

    /// Applies one of the edits of a system to what was built before.
    pub(super) fn update(system: &System, edit: usize) -> Self {
        let (name, edit) = system.edits[edit];
        let mut before = (system.fresh)().applied();
        edit(&mut before);
        Self {
            every: every(system),
            name: format!("{}: {name}", system.name),
            arguments: &["apply", "--yes", "--allow-widening", "--allow-downtime"],
            before,
        }
    }

    /// Takes a system away.
    pub(super) fn destroy(system: &System) -> Self {
        Self {
            every: every(system),
            name: format!("{}: destroy", system.name),
            arguments: &["destroy", "--yes"],
            before: (system.fresh)().applied(),
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
    pub(super) fn is_struck_everywhere(&self) -> usize {
        let Undisturbed { calls, expected } = self.undisturbed();
        let places = places(&calls);
        let all = places
            .iter()
            .flat_map(|place| EFFECTS.map(|effect| (*place, effect)));
        let cases: Vec<_> = all.step_by(self.every).collect();
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
    pub(super) fn is_never_misled(&self) -> usize {
        let Undisturbed { calls, expected } = self.undisturbed();
        let is_lagging = |(call, _): &(&str, usize)| !is_reading(call) && !call.ends_with("Object");
        let writes: Vec<_> = places(&calls).into_iter().filter(is_lagging).collect();
        let all = writes
            .iter()
            .flat_map(|place| [1, 3].map(|reads| (*place, reads)));
        let cases: Vec<_> = all.step_by(self.every.div_ceil(2)).collect();
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

/// Of so many cases one is tried; `MTLSGW_TEST_EVERY=1` tries them all.
fn every(system: &System) -> usize {
    let given = std::env::var("MTLSGW_TEST_EVERY");
    given.map_or(system.every, |text| text.parse().expect("is a number"))
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
