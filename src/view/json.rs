//! Plans and events for programs; the forms are relied upon and versioned.

use std::time::Duration;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{Ending, Fate, Figures, Verified};
use crate::apply::{Event, Report, Told};
use crate::error::Error;
use crate::plan::Summary;
use crate::resource::Expiry;
use crate::session::{Attempt, Planned};

/// The version of the forms below; a new field is no new version.
const FORMAT_VERSION: &str = "1";

/// The document of `plan --json`; what could not be planned is in `errors`, which is only there then.
pub(super) fn plans(attempts: &[Attempt]) -> Value {
    let planned: Vec<&Planned> = attempts
        .iter()
        .filter_map(|attempt| attempt.planned.as_ref().ok())
        .collect();
    // Stacks of one region share their clients.
    let clients: BTreeMap<&str, u64> = planned
        .iter()
        .map(|one| (one.aws.region.as_str(), one.aws.calls()))
        .collect();
    let calls: u64 = clients.values().sum();
    let mut document = json!({
        "format_version": FORMAT_VERSION,
        "stacks": planned.into_iter().map(stack).collect::<Vec<_>>(),
        "calls": calls,
    });
    let error = |attempt: &Attempt| {
        let error = about(attempt.planned.as_ref().err()?);
        Some(json!({"stack": attempt.name, "region": attempt.region, "error": error}))
    };
    let errors: Vec<Value> = attempts.iter().filter_map(error).collect();
    if !errors.is_empty() {
        document["errors"] = errors.into();
    }
    document
}

/// The document of `status --json`.
pub(super) fn statuses(planned: &[Planned]) -> Value {
    let status = |one: &Planned| {
        let state = match (one.plan.known.is_empty(), one.plan.is_empty()) {
            (true, _) => "absent",
            (false, true) => "in_sync",
            (false, false) => "differs",
        };
        let difference =
            |summary: &Summary| json!({"address": summary.address, "action": summary.effect});
        json!({
            "name": one.name,
            "account": one.identity.account,
            "region": one.aws.region,
            "state": state,
            "resources": one.plan.known.len(),
            "differences": one.plan.summaries.iter().map(difference).collect::<Vec<_>>(),
            "warnings": one.warnings,
            "expiries": one.expiries.iter().map(expiry).collect::<Vec<_>>(),
        })
    };
    json!({"format_version": FORMAT_VERSION, "stacks": planned.iter().map(status).collect::<Vec<_>>()})
}

fn expiry(expiry: &Expiry) -> Value {
    json!({
        "address": expiry.address,
        "what": expiry.what,
        "at": expiry.at.format(&Rfc3339).unwrap_or_default(),
    })
}

fn stack(planned: &Planned) -> Value {
    let foreign = |(address, children): &(crate::resource::Address, Vec<String>)| json!({"address": address, "children": children});
    json!({
        "name": planned.name,
        "account": planned.identity.account,
        "region": planned.aws.region,
        "caller": planned.identity.arn,
        "changes": planned.plan.summaries,
        "unchanged": planned.plan.unchanged,
        "retained": planned.plan.retained,
        "foreign": planned.foreign.iter().map(foreign).collect::<Vec<_>>(),
        "warnings": planned.warnings,
        "expiries": planned.expiries.iter().map(expiry).collect::<Vec<_>>(),
        "clients": planned.lockout,
    })
}

/// The first line of `apply --json`.
pub(super) fn version() -> Value {
    json!({"type": "version", "format_version": FORMAT_VERSION, "mtlsgw": env!("CARGO_PKG_VERSION")})
}

/// The lines after it: what is going to be done.
pub(super) fn planned(planned: &Planned) -> Vec<Value> {
    let line = |summary: &Summary| {
        let mut line = json!({"type": "planned", "stack": planned.name, "elapsed_ms": 0});
        if let (Value::Object(line), Ok(Value::Object(fields))) =
            (&mut line, serde_json::to_value(summary))
        {
            line.extend(fields.into_iter().map(|(key, value)| {
                if key == "type" {
                    ("kind".to_owned(), value)
                } else {
                    (key, value)
                }
            }));
        }
        line
    };
    planned.plan.summaries.iter().map(line).collect()
}

/// A line for something that happened.
///
/// `elapsed_ms` is the step's own time where it has ended, and the run's so far elsewhere.
pub(super) fn event(told: &Told, since_start: Duration) -> Value {
    let mut line = happened(&told.event, since_start);
    line["stack"] = Value::from(&*told.stack);
    line
}

fn happened(event: &Event, since_start: Duration) -> Value {
    let so_far = milliseconds(since_start);
    match event {
        Event::Started { address, doing } => json!({
            "type": "started", "address": address, "action": doing, "elapsed_ms": so_far,
        }),
        Event::Waiting { address, what } => json!({
            "type": "waiting", "address": address, "for": what, "elapsed_ms": so_far,
        }),
        Event::Finished {
            address,
            doing,
            elapsed,
        } => json!({
            "type": "finished", "address": address, "action": doing, "elapsed_ms": milliseconds(*elapsed),
        }),
        Event::Failed {
            address,
            doing,
            error,
            elapsed,
        } => json!({
            "type": "failed", "address": address, "action": doing, "elapsed_ms": milliseconds(*elapsed),
            "error": about(error),
        }),
        Event::Skipped {
            address,
            doing,
            because,
        } => {
            json!({
                "type": "skipped", "address": address, "action": doing, "because": because, "elapsed_ms": so_far,
            })
        }
    }
}

fn milliseconds(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// The last line.
pub(super) fn summary(report: &Report, figures: &Figures, since_start: Duration) -> Value {
    let mut line = json!({
        "type": "summary",
        "command": figures.command,
        "stack": figures.stack,
        "done": report.done,
        "failed": report.failed.iter().map(about).collect::<Vec<_>>(),
        "skipped": report.skipped,
        "interrupted": report.interrupted,
        "retained": figures.retained,
        "calls": figures.calls,
        "elapsed_ms": milliseconds(since_start),
    });
    if let Some(left) = &figures.left {
        line["left"] = json!(left);
    }
    line
}

/// The summary of one of several stacks.
pub(super) fn ending(ending: &Ending, since_start: Duration) -> Value {
    let nothing = Report::default();
    let (outcome, report, refused) = match &ending.fate {
        Fate::Unchanged => ("unchanged", &nothing, None),
        Fate::Refused(error) => ("refused", &nothing, Some(error)),
        Fate::Ran(report) if report.interrupted => ("interrupted", report, None),
        Fate::Ran(report) if report.failed.is_empty() => ("complete", report, None),
        Fate::Ran(report) => ("incomplete", report, None),
    };
    json!({
        "type": "summary",
        "command": "apply",
        "stack": ending.stack,
        "outcome": outcome,
        "done": report.done,
        "failed": report.failed.iter().chain(refused).map(about).collect::<Vec<_>>(),
        "skipped": report.skipped,
        "interrupted": report.interrupted || matches!(refused, Some(Error::Interrupted)),
        "retained": ending.retained,
        "verified": ending.verified.map(|verified| verified == Verified::Passed),
        "elapsed_ms": milliseconds(since_start),
    })
}

/// The last line of an apply of several stacks.
pub(super) fn results(
    endings: &[Ending],
    (code, calls): (u8, u64),
    since_start: Duration,
) -> Value {
    let stacks: Vec<Value> = endings
        .iter()
        .map(|one| {
            let line = ending(one, since_start);
            json!({"stack": line["stack"], "outcome": line["outcome"], "done": line["done"]})
        })
        .collect();
    json!({
        "type": "results",
        "command": "apply",
        "stacks": stacks,
        "calls": calls,
        "exit_code": code,
        "elapsed_ms": milliseconds(since_start),
    })
}

/// An error that kept one of several stacks from being planned or applied.
pub(super) fn error_of(stack: &str, error: &Error) -> Value {
    json!({"type": "error", "stack": stack, "error": about(error)})
}

/// An error that ended the command before or instead of a summary.
pub(super) fn error(error: &Error) -> Value {
    json!({"type": "error", "error": about(error)})
}

fn about(error: &Error) -> Value {
    let aws = error.aws();
    json!({
        "message": error.to_string(),
        "hint": error.hint(),
        "operation": aws.map(|aws| aws.operation),
        "code": aws.map(|aws| aws.code.clone()),
        "request_id": aws.and_then(|aws| aws.request_id.clone()),
    })
}
