//! What was found, for people and for programs.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::{Finding, Gateway, Verdict};

const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();

/// Everything that was found of a stack.
#[derive(Debug)]
pub(crate) struct Report {
    /// The stack's name.
    pub(crate) stack: String,
    /// The account.
    pub(crate) account: String,
    /// The region.
    pub(crate) region: String,
    /// What was probed.
    pub(crate) gateways: Vec<Gateway>,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// Whether no probe came out badly.
    pub(crate) fn is_good(&self) -> bool {
        !self.findings.iter().any(Finding::is_bad)
    }

    fn count(&self, verdict: Verdict) -> usize {
        let found = self.findings.iter();
        found.filter(|finding| finding.verdict == verdict).count()
    }

    /// Writes it for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "format_version": "1",
            "stack": self.stack,
            "account": self.account,
            "region": self.region,
            "passed": self.is_good(),
            "counts": {
                "passed": self.count(Verdict::Passed),
                "failed": self.count(Verdict::Failed),
                "unreachable": self.count(Verdict::Unreachable),
                "skipped": self.count(Verdict::Skipped),
            },
            "gateways": self.gateways.iter().map(gateway_json).collect::<Vec<_>>(),
            "probes": self.findings.iter().map(finding_json).collect::<Vec<_>>(),
        })
    }

    /// Writes it for people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let place = format!("{}/{}", self.account, self.region);
        line(
            &mut text,
            &format!("{BOLD}{}{BOLD:#} in {place}", self.stack),
        );
        for gateway in &self.gateways {
            let address = gateway.address();
            let (mode, policy) = (gateway.mode.mode(), &gateway.policy);
            line(
                &mut text,
                &format!("{BOLD}https://{address}{BOLD:#}, mode {mode}, {policy}"),
            );
            let found = self.findings.iter();
            let findings: Vec<&Finding> = found.filter(|one| one.gateway == address).collect();
            table(&mut text, &findings);
        }
        line(&mut text, &self.closing());
        text
    }

    fn closing(&self) -> String {
        let style = if self.is_good() { GREEN } else { RED };
        format!(
            "{style}{} passed, {} failed, {} unreachable{style:#}, {} skipped",
            self.count(Verdict::Passed),
            self.count(Verdict::Failed),
            self.count(Verdict::Unreachable),
            self.count(Verdict::Skipped),
        )
    }
}

/// One line a probe, in columns, and below it what is wrong.
fn table(text: &mut String, findings: &[&Finding]) {
    let width = |of: fn(&Finding) -> &str| {
        let widths = findings.iter().map(|one| of(one).chars().count());
        widths.max().unwrap_or_default()
    };
    let title = width(|one| one.probe.title());
    let expected = width(|one| &one.expected);
    for finding in findings {
        let (word, style) = shown(finding.verdict);
        let observed = match (&finding.verdict, &finding.reason) {
            (Verdict::Skipped, Some(reason)) => format!("{DIM}{reason}{DIM:#}"),
            _ => finding.observed.clone(),
        };
        line(
            text,
            &format!(
                "  {style}{word:<11}{style:#} {:<title$}  {:<expected$}  {observed}",
                finding.probe.title(),
                finding.expected,
            ),
        );
        let reason = finding.reason.as_ref();
        if let Some(reason) = reason.filter(|_| finding.verdict == Verdict::Failed) {
            line(text, &format!("              {style}{reason}{style:#}"));
        }
    }
}

fn shown(verdict: Verdict) -> (&'static str, Style) {
    match verdict {
        Verdict::Passed => ("passed", GREEN),
        Verdict::Failed => ("FAILED", RED),
        Verdict::Unreachable => ("UNREACHABLE", RED),
        Verdict::Skipped => ("skipped", YELLOW),
    }
}

fn gateway_json(gateway: &Gateway) -> Value {
    json!({
        "gateway": gateway.address(),
        "mode": gateway.mode.mode(),
        "ssl_policy": gateway.policy,
    })
}

fn finding_json(finding: &Finding) -> Value {
    let mut value = json!({
        "gateway": finding.gateway,
        "name": finding.probe.name(),
        "title": finding.probe.title(),
        "expected": finding.expected,
        "observed": finding.observed,
        "result": finding.verdict,
    });
    if finding.verdict == Verdict::Skipped {
        value["observed"] = Value::Null;
    }
    if let Some(reason) = &finding.reason {
        value["reason"] = json!(reason);
    }
    value
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", line.trim_end()).expect("writing to a String cannot fail");
}
