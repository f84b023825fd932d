//! What the connection logs tell, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::connection_log::{Group, Tls};
use crate::explain;
use crate::foreign::shown;
use crate::session::{Logs, Subject};
use crate::stack::{Location, Stack};
use crate::trust::Serial;

const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();
const BOLD: Style = Style::new().bold();

/// How many clients of an outcome are shown to people.
const SHOWN_CLIENTS: usize = 20;

/// Which CRL lists a serial.
pub(super) struct Listing {
    /// The CRL's issuer.
    pub(super) issuer: String,
    /// Its digest.
    pub(super) digest: String,
    /// The file and the line of the stack file that names it.
    pub(super) place: Option<String>,
}

/// What the connection logs tell.
pub(super) struct Report<'a> {
    subject: &'a Subject,
    logs: &'a Logs,
    listings: Option<BTreeMap<Serial, Listing>>,
    outcomes: Vec<Outcome<'a>>,
}

/// The connections with one outcome.
struct Outcome<'a> {
    code: &'a str,
    verdict: &'static str,
    connections: u64,
    first_seen: OffsetDateTime,
    last_seen: OffsetDateTime,
    clients: Vec<&'a Group>,
    /// Connections of clients that are not told apart.
    beyond: u64,
    explained: Explained,
}

/// Why it comes to an outcome, and what decides about it.
struct Explained {
    cause: &'static str,
    fix: Option<&'static str>,
    key: Option<String>,
    location: Option<Location>,
}

impl<'a> Report<'a> {
    /// Puts it together.
    pub(super) fn new(
        subject: &'a Subject,
        logs: &'a Logs,
        listings: Option<BTreeMap<Serial, Listing>>,
    ) -> Self {
        let tally = &logs.reading.tally;
        let mut outcomes: Vec<Outcome<'a>> = Vec::new();
        for group in tally.groups() {
            match outcomes.last_mut() {
                Some(last) if last.code == group.code => last.add(group),
                _ => outcomes.push(Outcome::of(group, subject.stack.as_ref())),
            }
        }
        for outcome in &mut outcomes {
            outcome.beyond = tally.beyond.get(outcome.code).copied().unwrap_or_default();
            outcome.connections += outcome.beyond;
        }
        // What is wrong comes first.
        outcomes.sort_by_key(|outcome| {
            (
                rank(outcome.verdict),
                std::cmp::Reverse(outcome.connections),
            )
        });
        Self {
            subject,
            logs,
            listings,
            outcomes,
        }
    }

    /// The live CRL that lists the serial of a revoked client.
    fn listing(&self, group: &Group) -> Option<&Listing> {
        let listings = self.listings.as_ref();
        let listings = listings.filter(|_| group.code == super::REVOKED)?;
        listings.get(&Serial::from_hex(group.serial.as_deref()?)?)
    }

    /// The same in words; nothing where it is not known.
    fn listing_text(&self, group: &Group) -> String {
        match self.listing(group) {
            Some(Listing { issuer, place, .. }) => {
                let place = place.as_ref().map(|place| format!(", {place}"));
                let place = place.unwrap_or_default();
                format!("; listed by the CRL of {issuer}{place}")
            }
            // It may be a CA above it that is revoked.
            None if self.listings.is_some() && group.code == super::REVOKED => {
                "; no live CRL lists this serial now".to_owned()
            }
            None => String::new(),
        }
    }

    /// The document for programs.
    pub(super) fn json(&self) -> Value {
        let (logs, tally) = (self.logs, &self.logs.reading.tally);
        let origin = |origin: &crate::connection_log::Origin| json!({"arn": origin.load_balancer, "bucket": origin.bucket, "logs": origin.url()});
        let damage = |(key, problem): &(String, String)| json!({"key": key, "problem": problem});
        let kind = |(kind, connections): (&Tls, &u64)| {
            json!({
                "protocol": kind.protocol,
                "cipher": kind.cipher,
                "key_exchange": kind.key_exchange,
                "connections": connections,
            })
        };
        json!({
            "format_version": "1",
            "stack": self.subject.name,
            "account": logs.account,
            "region": self.subject.region,
            "since": stamp(logs.period.since),
            "until": stamp(logs.period.until),
            "load_balancers": logs.origins.iter().map(origin).collect::<Vec<_>>(),
            "files": logs.reading.files,
            "damaged_files": logs.reading.damaged,
            "damage": logs.reading.damage.iter().map(damage).collect::<Vec<_>>(),
            "broken_lines": tally.broken,
            "connections": tally.connections,
            "ok": tally.ok,
            "refused": tally.refused,
            "not_verified": tally.not_verified,
            "plain_http": tally.plain_http,
            "tls": tally.tls.iter().map(kind).collect::<Vec<_>>(),
            "outcomes": self.outcomes.iter().map(|one| self.outcome_json(one)).collect::<Vec<_>>(),
        })
    }

    fn outcome_json(&self, outcome: &Outcome<'_>) -> Value {
        let Explained {
            cause,
            fix,
            key,
            location,
        } = &outcome.explained;
        json!({
            "code": outcome.code,
            "verdict": outcome.verdict,
            "connections": outcome.connections,
            "first_seen": stamp(outcome.first_seen),
            "last_seen": stamp(outcome.last_seen),
            "cause": cause,
            "fix": fix,
            "stack_key": key,
            "stack_file": location.as_ref().map(|at| at.file.display().to_string()),
            "stack_line": location.as_ref().map(|at| at.line),
            "clients": outcome.clients.iter().map(|one| self.client_json(one)).collect::<Vec<_>>(),
            "connections_of_further_clients": outcome.beyond,
        })
    }

    fn client_json(&self, group: &Group) -> Value {
        let crl = self.listing(group).map(|listing| {
            json!({"issuer": listing.issuer, "digest": listing.digest, "place": listing.place})
        });
        json!({
            "subject": group.subject,
            "serial": group.serial,
            "address": group.address,
            "not_after": group.not_after,
            "ports": group.ports,
            "connections": group.connections,
            "first_seen": stamp(group.first_seen),
            "last_seen": stamp(group.last_seen),
            "crl": crl,
        })
    }

    /// The same for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        for outcome in &self.outcomes {
            self.outcome(&mut text, outcome);
        }
        let tally = &self.logs.reading.tally;
        if !tally.tls.is_empty() {
            line(&mut text, &format!("\n{BOLD}TLS{BOLD:#}"));
        }
        let mut kinds: Vec<(&Tls, &u64)> = tally.tls.iter().collect();
        kinds.sort_by_key(|(_, connections)| std::cmp::Reverse(**connections));
        for (kind, connections) in kinds.into_iter().take(SHOWN_CLIENTS) {
            let parts = [
                Some(&kind.protocol),
                kind.cipher.as_ref(),
                kind.key_exchange.as_ref(),
            ];
            let parts: Vec<String> = parts
                .into_iter()
                .flatten()
                .map(|part| shown(part))
                .collect();
            line(&mut text, &format!("{connections:>8}  {}", parts.join(" ")));
        }
        text
    }

    fn head(&self, text: &mut String) {
        let (logs, tally) = (self.logs, &self.logs.reading.tally);
        let (name, account, region) = (&self.subject.name, &logs.account, &self.subject.region);
        let (since, until) = (short(logs.period.since), short(logs.period.until));
        line(
            text,
            &format!("{BOLD}{name}{BOLD:#} in {account}/{region}: {since} to {until}"),
        );
        let mut parts = vec![
            format!("{GREEN}{} ok{GREEN:#}", tally.ok),
            format!("{RED}{} refused{RED:#}", tally.refused),
        ];
        let further = [
            (tally.not_verified, "not verified"),
            (tally.plain_http, "plain HTTP"),
        ];
        for (count, what) in further.into_iter().filter(|(count, _)| *count > 0) {
            parts.push(format!("{YELLOW}{count} {what}{YELLOW:#}"));
        }
        let connections = counted(tally.connections, "connection");
        let files = counted(logs.reading.files as u64, "file");
        line(
            text,
            &format!("{connections}: {} ({files})", parts.join(", ")),
        );
        if tally.broken > 0 {
            let broken = counted(tally.broken, "line");
            line(
                text,
                &format!("{YELLOW}warning:{YELLOW:#} {broken} could not be read"),
            );
        }
        for (key, problem) in &logs.reading.damage {
            let (key, problem) = (shown(key), shown(problem));
            line(
                text,
                &format!("{YELLOW}warning:{YELLOW:#} {key}: {problem}"),
            );
        }
        if logs.reading.files == 0 {
            let places: Vec<String> = logs.origins.iter().map(|one| shown(&one.url())).collect();
            let places = places.join(", ");
            line(
                text,
                &format!(
                    "There is no log file of this time in {places}. Load balancers write one every five minutes in \
                     which somebody connected; into a bucket that is encrypted with KMS they write nothing."
                ),
            );
        }
    }

    fn outcome(&self, text: &mut String, outcome: &Outcome<'_>) {
        let Outcome {
            code,
            verdict,
            connections,
            first_seen,
            last_seen,
            clients,
            beyond,
            explained,
        } = outcome;
        let style = match rank(verdict) {
            0 => RED,
            2 => GREEN,
            _ => YELLOW,
        };
        let count = counted(*connections, "connection");
        let (first, last) = (short(*first_seen), short(*last_seen));
        let code = shown(code);
        line(
            text,
            &format!("\n{style}{code}{style:#}: {count}, first {first}, last {last}"),
        );
        let place = explained.place();
        line(text, &format!("  {}{place}", explained.cause));
        if let Some(fix) = explained.fix.filter(|_| *verdict == "refused") {
            line(text, &format!("  {fix}"));
        }
        for group in clients.iter().take(SHOWN_CLIENTS) {
            line(text, &self.client(group));
        }
        let more = clients.len().saturating_sub(SHOWN_CLIENTS);
        if more > 0 || *beyond > 0 {
            let further = if *beyond > 0 { " and further ones" } else { "" };
            line(
                text,
                &format!(
                    "          and {more} more{further}; --json has those that are told apart"
                ),
            );
        }
    }

    fn client(&self, group: &Group) -> String {
        let subject = group
            .subject
            .as_deref()
            .map_or("no certificate".to_owned(), shown);
        let mut text = format!("{:>8}  {subject}", group.connections);
        if let Some(serial) = &group.serial {
            write!(text, ", serial {}", shown(serial)).expect("writing to a String cannot fail");
        }
        if let Some(address) = &group.address {
            write!(text, ", from {address}").expect("writing to a String cannot fail");
        }
        write!(text, ", last {}", short(group.last_seen)).expect("writing to a String cannot fail");
        if let Some(not_after) = group
            .not_after
            .as_ref()
            .filter(|_| group.code == "ClientCertExpired")
        {
            write!(text, ", expired {}", shown(not_after))
                .expect("writing to a String cannot fail");
        }
        text + &self.listing_text(group)
    }
}

impl<'a> Outcome<'a> {
    fn of(group: &'a Group, stack: Option<&Stack>) -> Self {
        let verdict = match group.code.as_str() {
            "Success" => "ok",
            "NotVerified" => "not_verified",
            "PlainHttp" => "plain_http",
            _ => "refused",
        };
        Self {
            code: &group.code,
            verdict,
            connections: group.connections,
            first_seen: group.first_seen,
            last_seen: group.last_seen,
            clients: vec![group],
            beyond: 0,
            explained: Explained::of(&group.code, stack, group.ports.first().copied()),
        }
    }

    fn add(&mut self, group: &'a Group) {
        self.connections += group.connections;
        self.first_seen = self.first_seen.min(group.first_seen);
        self.last_seen = self.last_seen.max(group.last_seen);
        self.clients.push(group);
    }
}

impl Explained {
    fn of(code: &str, stack: Option<&Stack>, port: Option<u16>) -> Self {
        let entry = explain::find(code);
        let key = entry.and_then(|entry| entry.stack_key);
        let key = key.map(|key| match stack {
            Some(stack) => at_port(stack, key, port),
            None => key.to_owned(),
        });
        let location = stack
            .zip(key.as_ref())
            .map(|(stack, key)| stack.locate(key));
        Self {
            cause: entry.map_or("This reason is new to mtlsgw.", |entry| entry.cause),
            fix: entry.map(|entry| entry.fix),
            key,
            location,
        }
    }

    /// The key and its line, in brackets.
    fn place(&self) -> String {
        match (&self.key, &self.location) {
            (Some(key), Some(at)) => format!(" (`{key}`, {}:{})", at.file.display(), at.line),
            (Some(key), None) => format!(" (`{key}`)"),
            _ => String::new(),
        }
    }
}

/// A key of the section `listener` as a key of the listener on a port, where it has another name.
fn at_port(stack: &Stack, key: &str, port: Option<u16>) -> String {
    let Some(rest) = key.strip_prefix("listener.") else {
        return key.to_owned();
    };
    let mut listeners = stack.listeners.iter();
    let on_port = listeners.find(|(_, listener)| Some(listener.port) == port);
    match on_port.or_else(|| stack.listeners.iter().next()) {
        Some((name, _)) if name != "main" => format!("listeners.{name}.{rest}"),
        _ => key.to_owned(),
    }
}

/// The order in which outcomes are told.
fn rank(verdict: &str) -> u8 {
    match verdict {
        "refused" => 0,
        "ok" => 2,
        _ => 1,
    }
}

fn stamp(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}

/// A moment for people, to the second.
fn short(moment: OffsetDateTime) -> String {
    stamp(moment.truncate_to_second())
}

fn counted(number: u64, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}
