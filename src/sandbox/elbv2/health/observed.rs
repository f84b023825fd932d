//! What was seen of targets that registered servers stand for.

use std::collections::BTreeMap;

use super::{Health, HealthCheck, mismatched};
use crate::sandbox::elbv2::target::{self, Target};
use crate::sandbox::elbv2::target_group::TargetGroup;

/// What a check of a server has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Outcome {
    /// It has answered with this status.
    Answered(u16),
    /// It cannot be connected to, or what it answers is no HTTP.
    Failed,
    /// Nothing came back in time.
    TimedOut,
}

/// What was seen of the targets that servers stand for, by their group and their place in it.
#[derive(Debug, Clone, Default)]
pub(in crate::sandbox) struct Observed(BTreeMap<(String, String), Series>);

/// The checks of one target so far.
#[derive(Debug, Clone)]
struct Series {
    /// None until there were enough to tell.
    health: Option<Health>,
    /// How many of the latest agreed.
    alike: i64,
    /// Whether they were successes.
    succeeded: bool,
    /// When the latest was, in milliseconds.
    at: i64,
}

impl Observed {
    /// When the target was last checked, in milliseconds, and whether it was found healthy.
    pub(in crate::sandbox) fn last(&self, group: &str, target: &Target) -> Option<(i64, bool)> {
        let series = self.0.get(&place(group, target))?;
        Some((series.at, series.health == Some(Health::HEALTHY)))
    }

    /// Notes the outcome of a check, which counts once there are enough of its kind in a row; the
    /// first success of a new target is enough.
    pub(in crate::sandbox) fn note(
        &mut self,
        (group, check): (&str, &HealthCheck),
        target: &Target,
        (outcome, now): (Outcome, i64),
    ) {
        let health = match outcome {
            Outcome::Answered(status) if check.accepts(status) => Health::HEALTHY,
            Outcome::Answered(status) => mismatched(status),
            Outcome::Failed => Health::new(
                "unhealthy",
                "Target.FailedHealthChecks",
                "Health checks failed",
            ),
            Outcome::TimedOut => Health::timed_out(),
        };
        let succeeded = health == Health::HEALTHY;
        let series = self.0.entry(place(group, target)).or_insert(Series {
            health: None,
            alike: 0,
            succeeded,
            at: now,
        });
        series.alike = if series.succeeded == succeeded {
            series.alike + 1
        } else {
            1
        };
        series.succeeded = succeeded;
        series.at = now;
        let enough = match (&series.health, succeeded) {
            (None, true) => 1,
            (_, true) => check.healthy_threshold,
            (_, false) => check.unhealthy_threshold,
        };
        if series.alike >= enough {
            series.health = Some(health);
        }
    }

    /// Forgets all targets but those for which `keeps` is true.
    pub(in crate::sandbox) fn retain(&mut self, mut keeps: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|(group, target), _| keeps(group, target));
    }

    /// The health of a target by what was seen of it.
    pub(super) fn health(&self, group: &TargetGroup, target: &Target) -> Health {
        let series = self.0.get(&place(&group.arn, target));
        let known = series.and_then(|series| series.health.clone());
        known.unwrap_or_else(Health::initial)
    }
}

/// A target's place among all.
fn place(group: &str, target: &Target) -> (String, String) {
    (group.to_owned(), target::key(&target.id, target.port))
}
