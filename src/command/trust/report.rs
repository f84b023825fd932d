//! What `trust lint` has found, for people and for programs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::trust::{
    Certificate, Finding, HEADER_BUDGET, Origin, Rule, Severity, Sha256Digest, SourceFile,
    passthrough_header, verify_headers, wire_length,
};

const BOLD: Style = Style::new().bold();

/// Everything that was found, and in what.
pub(super) struct Report {
    at: OffsetDateTime,
    findings: Vec<Finding>,
    places: HashMap<Sha256Digest, Vec<Place>>,
    /// The clients, in the order given.
    pub(super) clients: Vec<Client>,
    /// How many CA certificates were judged.
    pub(super) certificates: usize,
    /// How many CRLs were judged.
    pub(super) crls: usize,
    /// How many entries these have.
    pub(super) revoked: usize,
}

/// Where a certificate or CRL stands.
struct Place {
    file: String,
    origin: Origin,
    /// Its number among those of the file, counted from 1.
    block: usize,
}

/// What a client costs its backend.
pub(super) struct Client {
    subject: String,
    fingerprint: Sha256Digest,
    verify: usize,
    passthrough: usize,
}

impl Client {
    /// Measures what a client presents; `None` when that is nothing.
    pub(super) fn of(presented: &[Certificate]) -> Option<Self> {
        let leaf = presented.first()?;
        Some(Self {
            subject: leaf.subject.to_string(),
            fingerprint: leaf.fingerprint,
            verify: wire_length(&verify_headers(leaf)),
            passthrough: passthrough_header(presented).wire_length(),
        })
    }
}

impl Report {
    /// Begins a report about these files.
    pub(super) fn new<const N: usize>(at: OffsetDateTime, files: [&Vec<SourceFile>; N]) -> Self {
        let mut places: HashMap<Sha256Digest, Vec<Place>> = HashMap::new();
        for file in files.into_iter().flatten() {
            for (index, entry) in file.entries.iter().enumerate() {
                let known = places.entry(entry.content.digest()).or_default();
                known.push(Place {
                    file: file.name.clone(),
                    origin: entry.origin,
                    block: index + 1,
                });
            }
        }
        Self {
            at,
            findings: Vec::new(),
            places,
            clients: Vec::new(),
            certificates: 0,
            crls: 0,
            revoked: 0,
        }
    }

    /// Adds findings.
    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
    }

    /// Puts the worst first, and what is about one thing together, in the order of its first finding.
    pub(super) fn sort(&mut self) {
        let mut order: HashMap<(String, Option<Sha256Digest>), usize> = HashMap::new();
        for (index, finding) in self.findings.iter().enumerate() {
            let about = (finding.subject.clone(), finding.fingerprint);
            order.entry(about).or_insert(index);
        }
        self.findings.sort_by_key(|finding| {
            let about = (finding.subject.clone(), finding.fingerprint);
            (Reverse(finding.severity), order.get(&about).copied())
        });
    }

    /// Returns how bad the worst finding is; notes do not count.
    pub(super) fn worst(&self) -> Option<Severity> {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().filter(|worst| *worst > Severity::Note)
    }

    /// Writes the report for programs.
    pub(super) fn json(&self) -> Value {
        let finding = |finding: &Finding| {
            json!({
                "code": finding.code,
                "severity": finding.severity,
                "subject": finding.subject,
                "fingerprint": finding.fingerprint,
                "places": self.places_of(finding).iter().map(Place::json).collect::<Vec<_>>(),
                "message": finding.message,
                "why": finding.why,
                "fix": finding.fix,
            })
        };
        json!({
            "format_version": "1",
            "at": self.at.format(&Rfc3339).ok(),
            "certificates": self.certificates,
            "crls": self.crls,
            "revoked": self.revoked,
            "clients": self.clients.iter().map(Client::json).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "worst": self.worst(),
        })
    }

    /// Writes the report for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut about = None;
        for finding in &self.findings {
            let subject = (finding.severity, &finding.subject, finding.fingerprint);
            if about != Some(subject) {
                self.head(&mut text, finding);
                about = Some(subject);
            }
            line(
                &mut text,
                &format!("  {BOLD}{}{BOLD:#}: {}", finding.code, finding.message),
            );
            line(&mut text, &format!("    why: {}", finding.why));
            line(&mut text, &format!("    fix: {}", finding.fix));
        }
        for client in &self.clients {
            line(&mut text, &client.text());
        }
        line(&mut text, &self.closing());
        text
    }

    /// Writes what the findings that follow are about.
    fn head(&self, text: &mut String, finding: &Finding) {
        let (severity, style) = (finding.severity, style(finding.severity));
        line(
            text,
            &format!(
                "{style}{severity}:{style:#} {BOLD}{}{BOLD:#}",
                finding.subject
            ),
        );
        for place in self.places_of(finding) {
            line(text, &format!("  {place}"));
        }
        if let Some(fingerprint) = finding.fingerprint {
            line(text, &format!("  sha256:{fingerprint}"));
        }
    }

    /// Returns where the subject of a finding stands.
    fn places_of(&self, finding: &Finding) -> &[Place] {
        let places = finding
            .fingerprint
            .and_then(|digest| self.places.get(&digest));
        places.map(Vec::as_slice).unwrap_or_default()
    }

    /// Writes the last line: what was judged, and with what result.
    fn closing(&self) -> String {
        let count = |severity| {
            let found = self.findings.iter();
            found.filter(|finding| finding.severity == severity).count()
        };
        let mut judged = vec![
            counted(self.certificates, "certificate", "certificates"),
            counted(self.crls, "CRL", "CRLs"),
        ];
        if self.crls > 0 {
            judged.push(counted(self.revoked, "revoked serial", "revoked serials"));
        }
        if !self.clients.is_empty() {
            judged.push(counted(self.clients.len(), "client", "clients"));
        }
        format!(
            "{}: {}, {}, {}",
            judged.join(", "),
            counted(count(Severity::Error), "error", "errors"),
            counted(count(Severity::Warning), "warning", "warnings"),
            counted(count(Severity::Note), "note", "notes"),
        )
    }
}

impl Place {
    /// Writes the place for programs.
    fn json(&self) -> Value {
        let mut place = json!({"file": self.file, "block": self.block});
        match self.origin {
            Origin::Line(line) => place["line"] = json!(line),
            Origin::Byte(offset) => place["byte"] = json!(offset),
        }
        place
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{}, {} (block {})",
            self.file, self.origin, self.block
        )
    }
}

impl Client {
    /// Writes the client for programs.
    fn json(&self) -> Value {
        json!({
            "subject": self.subject,
            "fingerprint": self.fingerprint,
            "verify_header_bytes": self.verify,
            "passthrough_header_bytes": self.passthrough,
            "header_budget_bytes": HEADER_BUDGET,
        })
    }

    /// Writes the client for people.
    fn text(&self) -> String {
        format!(
            "client {} ({}): of the {HEADER_BUDGET} bytes of headers that a private API takes, mode \
             verify adds {}, mode passthrough {}",
            self.subject,
            self.fingerprint.short(),
            self.verify,
            self.passthrough
        )
    }
}

/// Writes the reference of the rules as Markdown.
pub(super) fn reference(rules: &[Rule]) -> String {
    let mut text = String::from(REFERENCE_HEAD);
    for rule in rules {
        let Rule {
            code,
            severity,
            why,
            fix,
        } = rule;
        let cell = |text: &str| text.replace('|', "\\|");
        line(
            &mut text,
            &format!("| `{code}` | {severity} | {} | {} |", cell(why), cell(fix)),
        );
    }
    text
}

/// What stands above the table of all rules.
const REFERENCE_HEAD: &str = "\
# What `mtlsgw trust lint` looks at

`mtlsgw trust lint --rules > docs/trust-lint.md` writes this page. The rules are applied by `trust lint`, and, as far as
they concern what a stack file names, by `validate`, `plan` and `apply`, where errors stop and notes are left out.

- **error**: AWS refuses it, or handshakes fail. `trust lint` exits with 4.
- **warning**: it works, or may work, but not for long or not for everyone; so are quotas that AWS raises on request.
  `trust lint` exits with 0, and with 4 under `--deny-warnings`.
- **note**: it works, and there is something to know about it.

A code never changes its meaning. What cannot be read at all (damaged PEM or DER, a private key, something else than a
certificate or CRL) is no finding: `trust lint` names the file and the place, and exits with 1.

| code | severity | why | fix |
|---|---|---|---|
";

/// Writes a number of things.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Returns the colour of a severity.
fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => AnsiColor::Red.on_default(),
        Severity::Warning => AnsiColor::Yellow.on_default(),
        Severity::Note => AnsiColor::Cyan.on_default(),
    }
}

/// Writes one line.
fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}
