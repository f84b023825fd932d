//! Plans, summaries and errors for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Ending, Fate, Figures, left, table};
use crate::apply::Report;
use crate::diff::Change;
use crate::error::Error;
use crate::foreign;
use crate::plan::{Effect, Summary};
use crate::resource::Expiry;
use crate::session::{Attempt, Planned};
use crate::trust::{Affected, IssuerUnknown, Lockout, Seen};
use crate::wiring::Warning;

pub(super) const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();
pub(super) const CYAN: Style = AnsiColor::Cyan.on_default();
const BOLD: Style = Style::new().bold();

/// Plans one after the other, and of several what they come to.
pub(super) fn plans(attempts: &[Attempt]) -> String {
    let planned = attempts
        .iter()
        .filter_map(|attempt| attempt.planned.as_ref().ok());
    let mut text: String = planned.map(plan).collect();
    if attempts.len() > 1 {
        text.push_str(&table::plans(attempts));
        text.push('\n');
    }
    text
}

/// A plan: header, one block per address, warnings, the closing line.
pub(super) fn plan(planned: &Planned) -> String {
    let mut text = String::new();
    let Planned {
        name,
        aws,
        identity,
        plan,
        warnings,
        expiries,
        foreign,
        lockout,
        ..
    } = planned;
    line(
        &mut text,
        &format!(
            "{BOLD}{name}{BOLD:#} in {}/{} as {}",
            identity.account, aws.region, identity.arn
        ),
    );
    for summary in &plan.summaries {
        block(&mut text, summary);
    }
    for kept in &plan.retained {
        line(&mut text, &left::stays(kept));
    }
    line(&mut text, "");
    for Warning {
        address, message, ..
    } in warnings
    {
        let warning = format!("{YELLOW}warning:{YELLOW:#} {address}: {message}");
        line(&mut text, &warning);
    }
    for (address, children) in foreign {
        let children = children.join(", ");
        line(
            &mut text,
            &format!(
                "{YELLOW}warning:{YELLOW:#} not ours, and would go with `{address}`: {children}"
            ),
        );
    }
    for summary in plan.summaries.iter().filter(|summary| summary.widens) {
        line(
            &mut text,
            &format!("{YELLOW}access widens:{YELLOW:#} {}", summary.address),
        );
    }
    if let Some(lockout) = lockout {
        clients(&mut text, lockout);
    }
    expiries
        .iter()
        .take(NEAREST)
        .for_each(|expiry| line(&mut text, &self::expiry(expiry)));
    line(&mut text, &closing(planned));
    text
}

/// What becomes of the clients that the user knows.
fn clients(text: &mut String, lockout: &Lockout) {
    let groups = [
        (RED, "locked out", &lockout.locked_out),
        (YELLOW, "revoked", &lockout.revoked),
        (YELLOW, "let in", &lockout.let_in),
    ];
    for (style, what, group) in groups {
        for client in group {
            let Affected {
                subject,
                serial,
                file,
                reason,
                seen,
                ..
            } = client;
            let reason = reason
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            line(
                text,
                &format!(
                    "{style}{what}:{style:#} {subject}, serial {serial} ({file}){reason}{}",
                    seen.map(last_seen).unwrap_or_default()
                ),
            );
        }
    }
    issuers_unknown(text, &lockout.issuer_unknown);
    let Lockout {
        known, accepted, ..
    } = lockout;
    line(
        text,
        &format!(
            "{} known: {accepted} get in after this.",
            counted(*known, "client")
        ),
    );
}

/// How many clients of unknown issuers are told; the document for programs has all.
const SHOWN_UNKNOWN: usize = 20;

/// Clients that came, by the connection logs, and whose certificates are not at hand.
fn issuers_unknown(text: &mut String, clients: &[IssuerUnknown]) {
    for client in clients.iter().take(SHOWN_UNKNOWN) {
        let IssuerUnknown {
            subject,
            serial,
            seen,
        } = client;
        let (subject, seen) = (foreign::shown(subject), last_seen(*seen));
        line(
            text,
            &format!("{YELLOW}issuer unknown:{YELLOW:#} {subject}, serial {serial}{seen}"),
        );
    }
    if !clients.is_empty() {
        let count = counted(clients.len(), "client");
        line(
            text,
            &format!(
                "{count} of unknown issuers: the logs do not tell who issued a certificate; give \
                 them with --clients to know what becomes of them."
            ),
        );
    }
}

/// How a client was seen in the connection logs.
fn last_seen(seen: Seen) -> String {
    let Seen {
        connections,
        last_seen,
    } = seen;
    let count = counted(
        usize::try_from(connections).unwrap_or(usize::MAX),
        "connection",
    );
    let last = last_seen.truncate_to_second().format(&Rfc3339);
    format!("; {count}, last {}", last.unwrap_or_default())
}

/// How many of the things that end by themselves a plan tells.
const NEAREST: usize = 3;

/// How a stack stands: what differs from its file, and everything that ends by itself.
pub(super) fn status(planned: &Planned) -> String {
    let mut text = String::new();
    let Planned {
        name,
        aws,
        identity,
        plan,
        warnings,
        expiries,
        ..
    } = planned;
    let resources = counted(plan.known.len(), "resource");
    let state = match (plan.known.is_empty(), plan.summaries.as_slice()) {
        (true, _) => format!("{YELLOW}not there{YELLOW:#}"),
        (false, []) => format!("{GREEN}as the file says{GREEN:#}, {resources}"),
        (false, differing) => {
            let differing = counted(differing.len(), "difference");
            format!("{YELLOW}{differing} from the file{YELLOW:#}, {resources}")
        }
    };
    let place = format!("{}/{}", identity.account, aws.region);
    line(
        &mut text,
        &format!("{BOLD}{name}{BOLD:#} in {place}: {state}"),
    );
    for summary in plan.summaries.iter().filter(|_| !plan.known.is_empty()) {
        let (symbol, style) = symbol(summary.effect);
        line(
            &mut text,
            &format!("  {style}{symbol:>3}{style:#} {}", summary.address),
        );
    }
    for warning in warnings {
        let Warning {
            address, message, ..
        } = warning;
        line(
            &mut text,
            &format!("  {YELLOW}warning:{YELLOW:#} {address}: {message}"),
        );
    }
    for expiry in expiries {
        line(&mut text, &format!("  {}", self::expiry(expiry)));
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}

fn block(text: &mut String, summary: &Summary) {
    let (symbol, style) = symbol(summary.effect);
    let Summary {
        address,
        type_name,
        reason,
        ..
    } = summary;
    line(
        text,
        &format!("  {style}{symbol:>3}{style:#} {address:<42} {type_name}"),
    );
    if let Some(reason) = reason {
        line(text, &format!("        {reason}"));
    }
    if let Some(downtime) = &summary.downtime {
        line(
            text,
            &format!("        {YELLOW}downtime:{YELLOW:#} {downtime}"),
        );
    }
    for change in &summary.fields {
        line(text, &field(summary.effect, change));
    }
}

fn symbol(effect: Effect) -> (&'static str, Style) {
    match effect {
        Effect::Create => ("+", GREEN),
        Effect::Adopt => ("=+", CYAN),
        Effect::Update => ("~", YELLOW),
        Effect::Replace => ("-/+", RED),
        Effect::Delete => ("-", RED),
    }
}

fn field(effect: Effect, change: &Change) -> String {
    let mark = if change.replaces && effect == Effect::Replace {
        "  (forces replacement)"
    } else {
        ""
    };
    let widens = if change.widens && effect != Effect::Create {
        "  (widens access)"
    } else {
        ""
    };
    let after = match (&change.after, &change.note) {
        _ if change.sensitive => "(not shown)".to_owned(),
        _ if change.after_unknown => format!(
            "({})",
            change.note.as_deref().unwrap_or("known after apply")
        ),
        (value, Some(note)) => format!("{} ({note})", shown(value)),
        (value, None) => shown(value),
    };
    let path = &change.path;
    if effect == Effect::Create || change.before.is_null() && effect != Effect::Replace {
        return format!("        {path}: {after}{mark}{widens}");
    }
    if let (Value::Array(before), Value::Array(after)) = (&change.before, &change.after) {
        return format!(
            "        {path}:{mark}{widens}{}",
            list_change(before, after)
        );
    }
    if is_long(&change.before) || is_long(&change.after) {
        return format!(
            "        {path}:{mark}{widens}{}",
            text_change(&change.before, &change.after)
        );
    }
    let before = if change.sensitive {
        "(not shown)".to_owned()
    } else {
        shown(&change.before)
    };
    format!("        {path}: {before} -> {after}{mark}{widens}")
}

/// A value as it would stand in the stack file.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(shown).collect::<Vec<_>>().join(", ")
        ),
        other => other.to_string(),
    }
}

fn is_long(value: &Value) -> bool {
    matches!(value, Value::Object(_)) || matches!(value, Value::String(text) if text.contains('\n'))
}

/// What leaves and what joins a list.
fn list_change(before: &[Value], after: &[Value]) -> String {
    let mut text = String::new();
    for gone in before.iter().filter(|item| !after.contains(item)) {
        write!(text, "\n          {RED}-{RED:#} {}", shown(gone))
            .expect("writing to a String cannot fail");
    }
    for new in after.iter().filter(|item| !before.contains(item)) {
        write!(text, "\n          {GREEN}+{GREEN:#} {}", shown(new))
            .expect("writing to a String cannot fail");
    }
    text
}

/// A structural diff of documents, line by line, with a little context.
fn text_change(before: &Value, after: &Value) -> String {
    let pretty = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => format!("{other:#}"),
    };
    let (before, after) = (pretty(before), pretty(after));
    let diff = similar::TextDiff::from_lines(&before, &after);
    let mut text = String::new();
    for group in diff.grouped_ops(1) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, style) = match change.tag() {
                similar::ChangeTag::Delete => ("-", RED),
                similar::ChangeTag::Insert => ("+", GREEN),
                similar::ChangeTag::Equal => (" ", Style::new()),
            };
            let value = change.value().trim_end();
            write!(text, "\n          {style}{sign}{style:#} {value}")
                .expect("writing to a String cannot fail");
        }
    }
    text
}

/// When something ends by itself, or has ended.
fn expiry(expiry: &Expiry) -> String {
    let Expiry { address, what, at } = expiry;
    let days = (*at - OffsetDateTime::now_utc()).whole_days();
    let when = match days {
        _ if *at < OffsetDateTime::now_utc() => format!("{RED}expired{RED:#}"),
        0 => format!("{RED}expires within a day{RED:#}"),
        _ => format!(
            "expires in {}",
            counted(usize::try_from(days).unwrap_or_default(), "day")
        ),
    };
    format!("{when}: {what} ({address}, {})", at.date())
}

fn closing(planned: &Planned) -> String {
    let count = |effect| {
        planned
            .plan
            .summaries
            .iter()
            .filter(|summary| summary.effect == effect)
            .count()
    };
    let unchanged = planned.plan.unchanged;
    if planned.plan.is_empty() {
        return format!(
            "{GREEN}No changes.{GREEN:#} {unchanged} resources are as they should be.\n"
        );
    }
    let adopted = count(Effect::Adopt);
    if adopted > 0 {
        return format!(
            "Plan: {adopted} to adopt by tags, {} to create in the stack's bucket; {unchanged} unchanged.\n",
            count(Effect::Create)
        );
    }
    format!(
        "Plan: {} to create, {} to update, {} to replace, {} to delete; {unchanged} unchanged.\n",
        count(Effect::Create),
        count(Effect::Update),
        count(Effect::Replace),
        count(Effect::Delete),
    )
}

/// How an apply or destroy ended.
pub(super) fn summary(report: &Report, figures: &Figures) -> String {
    let mut text = String::new();
    if figures.left.is_none() {
        for kept in &figures.retained {
            line(&mut text, &left::retained(kept));
        }
    }
    for error in &report.failed {
        text.push_str(&self::error(error));
        text.push('\n');
    }
    if !report.skipped.is_empty() && figures.left.is_none() {
        let skipped: Vec<&str> = report
            .skipped
            .iter()
            .map(crate::resource::Address::as_str)
            .collect();
        line(&mut text, &format!("not done: {}", skipped.join(", ")));
    }
    let (style, word) = match (report.failed.is_empty(), report.interrupted) {
        (_, true) => (YELLOW, "interrupted"),
        (true, false) => (GREEN, "complete"),
        (false, false) => (RED, "incomplete"),
    };
    let again = if word == "complete" {
        ""
    } else {
        "; run the same command again to go on"
    };
    let Figures {
        command,
        stack,
        calls,
        ..
    } = figures;
    let done = counted(report.done, "change");
    write!(
        text,
        "{style}{command} of {stack} {word}{style:#}: {done}, {calls} calls{again}."
    )
    .expect("writing to a String cannot fail");
    if let Some(left) = &figures.left {
        text.push_str(&left::leftovers(left));
    }
    text
}

/// What is to be said of one of several stacks beside its row in the table.
pub(super) fn ending(ending: &Ending) -> String {
    let mut text = String::new();
    let stack = &ending.stack;
    for kept in &ending.retained {
        line(&mut text, &format!("{stack}: {}", left::retained(kept)));
    }
    let Fate::Ran(report) = &ending.fate else {
        return text;
    };
    for error in &report.failed {
        line(&mut text, &error_of(&[stack], error));
    }
    if !report.skipped.is_empty() {
        let skipped = report.skipped.iter().map(crate::resource::Address::as_str);
        let skipped: Vec<&str> = skipped.collect();
        line(
            &mut text,
            &format!("{stack}: not done: {}", skipped.join(", ")),
        );
    }
    text
}

/// How an apply of several stacks ended, in one line.
pub(super) fn results(endings: &[Ending], calls: u64) -> String {
    let changes: usize = endings
        .iter()
        .map(|ending| match &ending.fate {
            Fate::Ran(report) => report.done,
            Fate::Unchanged | Fate::Refused(_) => 0,
        })
        .sum();
    let is_good = |ending: &&Ending| match &ending.fate {
        Fate::Unchanged => true,
        Fate::Refused(_) => false,
        Fate::Ran(report) => report.failed.is_empty() && !report.interrupted,
    };
    let (all, good) = (endings.len(), endings.iter().filter(is_good).count());
    let changes = counted(changes, "change");
    if all == good {
        return format!(
            "{GREEN}apply of {all} stacks complete{GREEN:#}: {changes}, {calls} calls."
        );
    }
    format!(
        "{RED}apply of {all} stacks: {good} as they should be, {} not{RED:#}: {changes}, {calls} calls; \
         run the same command again to go on.",
        all - good
    )
}

/// An error of one or more of several stacks, with its hint.
pub(super) fn error_of(stacks: &[&str], error: &Error) -> String {
    let mut text = format!("{RED}error:{RED:#} {}: {error}", stacks.join(", "));
    if let Some(hint) = error.hint() {
        write!(text, "\n{CYAN}hint:{CYAN:#} {hint}").expect("writing to a String cannot fail");
    }
    text
}

/// `1 change`, `2 changes`.
fn counted(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

/// An error with its hint.
pub(super) fn error(error: &Error) -> String {
    let mut text = format!("{RED}error:{RED:#} {error}");
    if let Some(hint) = error.hint() {
        write!(text, "\n{CYAN}hint:{CYAN:#} {hint}").expect("writing to a String cannot fail");
    }
    text
}
