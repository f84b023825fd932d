//! The rules by which AWS accepts or refuses certificates and CRLs, applied before AWS does.
//!
//! A trust store refuses a whole bundle for one bad certificate and says only that it is invalid;
//! a CRL that does not fit is accepted and breaks handshakes later. Limits that AWS raises on
//! request are warnings, since they may have been raised; fixed ones are errors. Every rule is a
//! [`Rule`] in the table of its file; `docs/trust-lint.md` lists them all.

mod authority;
mod backend;
mod chain;
mod client;
mod extension;
mod revocation;
mod server;
mod source;
mod succession;

use std::fmt;
use std::ops::RangeInclusive;

use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::algorithm::{KeyAlgorithm, SignatureCheck};
use super::certificate::{Certificate, day};
use super::crl::Crl;
use super::digest::Sha256Digest;

pub use authority::lint_bundle;
pub use backend::{BackendTrust, backend_without_tls12, judge_backend};
pub use client::lint_client;
pub use revocation::{lint_crl, lint_crls};
pub use server::lint_server_certificate;
pub use source::lint_sources;
pub use succession::{crl_predecessor, lint_succession, lint_successor};

/// How many days before its end a certificate is worth a warning.
const EXPIRY_DAYS: i64 = 30;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It works, and there is something to know about it.
    Note,
    /// It works, or may work, but not for long or not for everyone.
    Warning,
    /// AWS refuses it, or handshakes fail.
    Error,
}

/// Writes the word that stands in front of a message.
impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Something that is wrong with a certificate, a CRL or a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable name of the rule, such as `ca-not-a-ca`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a subject, the issuer of a CRL, or `the bundle`.
    pub subject: String,
    /// The certificate's fingerprint or the CRL's digest.
    pub fingerprint: Option<Sha256Digest>,
    /// What is wrong, with the figures.
    pub message: String,
    /// What AWS does or says about it.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

impl Finding {
    /// Writes it as one line, without what to do about it.
    pub fn in_words(&self) -> String {
        let Self {
            code,
            subject,
            message,
            why,
            ..
        } = self;
        format!("{subject}: {message} ({code}); {why}")
    }
}

/// A rule: everything about a finding that does not depend on the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The stable name, such as `ca-not-a-ca`.
    pub code: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// What AWS does or says about it.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

/// Returns every rule there is, grouped by what it is about.
pub fn rules() -> Vec<Rule> {
    let tables = [
        authority::RULES,
        chain::RULES,
        extension::RULES,
        revocation::RULES,
        succession::RULES,
        client::RULES,
        source::RULES,
        server::RULES,
        backend::RULES,
    ];
    tables.into_iter().flatten().copied().collect()
}

impl Rule {
    /// Reports a certificate.
    fn certificate(&self, certificate: &Certificate, message: impl Into<String>) -> Finding {
        let subject = certificate.subject.to_string();
        self.finding(subject, Some(certificate.fingerprint), message)
    }

    /// Reports a CRL.
    fn crl(&self, crl: &Crl, message: impl Into<String>) -> Finding {
        self.finding(format!("CRL of {}", crl.issuer), Some(crl.digest), message)
    }

    /// Reports several things as a whole.
    fn whole(&self, subject: &str, message: impl Into<String>) -> Finding {
        self.finding(subject.to_owned(), None, message)
    }

    /// Puts the finding together.
    fn finding(
        &self,
        subject: String,
        fingerprint: Option<Sha256Digest>,
        message: impl Into<String>,
    ) -> Finding {
        Finding {
            code: self.code,
            severity: self.severity,
            subject,
            fingerprint,
            message: message.into(),
            why: self.why,
            fix: self.fix,
        }
    }
}

/// Says whether one certificate seems to have issued the other, as far as can be checked: a
/// signature of an unsupported kind is reported by a rule of its own.
fn seems_issued_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    certificate.issuer.matches(&issuer.subject)
        && certificate.signature_by(issuer) != SignatureCheck::Invalid
}

/// Says whether a key lies in what a service takes: RSA of these sizes, or one of the three curves.
pub(super) fn key_is_accepted(key: &KeyAlgorithm, rsa_bits: RangeInclusive<usize>) -> bool {
    match key {
        KeyAlgorithm::Rsa(bits) => rsa_bits.contains(bits),
        KeyAlgorithm::P256 | KeyAlgorithm::P384 | KeyAlgorithm::P521 => true,
        KeyAlgorithm::Other(_) => false,
    }
}

/// Finds certificates of version 1 or 2.
fn version(rule: &Rule, certificate: &Certificate) -> Option<Finding> {
    let version = certificate.version;
    let message = format!("it is an X.509 version {version} certificate");
    (version != 3).then(|| rule.certificate(certificate, message))
}

/// Finds keys of the wrong kind or size.
fn key(rule: &Rule, certificate: &Certificate, rsa_bits: RangeInclusive<usize>) -> Option<Finding> {
    let key = &certificate.key_algorithm;
    let message = format!("its key is {key}");
    let refused = !key_is_accepted(key, rsa_bits);
    refused.then(|| rule.certificate(certificate, message))
}

/// Finds signatures with SHA-1 and older.
fn signature(rule: &Rule, certificate: &Certificate) -> Option<Finding> {
    let algorithm = &certificate.signature_algorithm;
    let message = format!("it is signed with {algorithm}");
    let refused = !algorithm.is_accepted();
    refused.then(|| rule.certificate(certificate, message))
}

/// The longest serial that RFC 5280, section 4.1.2.2, allows, in octets.
const MAXIMUM_SERIAL: usize = 20;

/// Finds serials that no CA should give.
fn serial(rule: &Rule, certificate: &Certificate) -> Option<Finding> {
    let serial = &certificate.serial;
    let octets = serial.as_bytes();
    let message = if serial.is_negative() {
        "its serial number is negative".to_owned()
    } else if octets == [0] {
        "its serial number is 0".to_owned()
    } else if octets.len() > MAXIMUM_SERIAL {
        format!(
            "its serial number has {} octets, of at most {MAXIMUM_SERIAL}",
            octets.len()
        )
    } else {
        return None;
    };
    Some(rule.certificate(certificate, message))
}

/// Returns the extended key usages as a list for messages.
fn purposes(certificate: &Certificate) -> String {
    let purposes = certificate.extended_key_usage.as_deref();
    purposes.unwrap_or_default().join(", ")
}

/// Returns the key usages as a list for messages.
fn usages(certificate: &Certificate) -> String {
    let usages = certificate.key_usage.as_deref();
    usages.unwrap_or_default().join(", ")
}

/// The rules about the dates of a certificate.
struct Dates {
    expired: Rule,
    not_yet_valid: Rule,
    expiring: Rule,
}

impl Dates {
    /// Finds certificates that are not valid now, or not for long.
    fn check(&self, certificate: &Certificate, now: OffsetDateTime) -> Option<Finding> {
        let (start, end) = (certificate.not_before, certificate.not_after);
        if end < now {
            let message = format!("it expired on {}", day(end));
            return Some(self.expired.certificate(certificate, message));
        }
        if start > now {
            let message = format!("it is valid from {} only", day(start));
            return Some(self.not_yet_valid.certificate(certificate, message));
        }
        let left = days(days_left(end, now, EXPIRY_DAYS)?);
        let message = format!("it expires on {}, in {left}", day(end));
        Some(self.expiring.certificate(certificate, message))
    }
}

/// Returns the whole days until the time; `None` when that is `limit` days or more away, or past.
fn days_left(until: OffsetDateTime, now: OffsetDateTime, limit: i64) -> Option<i64> {
    let left = until - now;
    (left >= Duration::ZERO && left < Duration::days(limit)).then(|| left.whole_days())
}

/// Writes a point in time to the second, where a day is too coarse.
fn moment(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

/// Writes a number of days.
fn days(count: i64) -> String {
    match count {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        _ => format!("{count} days"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_in_the_table_once_and_in_its_group() {
        let rules = rules();
        let codes: BTreeSet<&str> = rules.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), rules.len());
        let sources = [
            include_str!("lint/authority.rs"),
            include_str!("lint/backend.rs"),
            include_str!("lint/chain.rs"),
            include_str!("lint/client.rs"),
            include_str!("lint/extension.rs"),
            include_str!("lint/revocation.rs"),
            include_str!("lint/server.rs"),
            include_str!("lint/source.rs"),
            include_str!("lint/succession.rs"),
        ];
        let written = |source: &'static str| {
            let lines = source.lines().map(str::trim);
            lines.filter_map(|line| line.strip_prefix("code: \"")?.strip_suffix("\","))
        };
        let written: BTreeSet<&str> = sources.into_iter().flat_map(written).collect();
        assert_eq!(codes, written);
    }

    #[test]
    fn severities_are_ordered() {
        assert!(Severity::Note < Severity::Warning && Severity::Warning < Severity::Error);
    }

    #[test]
    fn short_keys_are_refused() {
        assert!(!key_is_accepted(&KeyAlgorithm::Rsa(1024), 2048..=8192));
    }
}

/// Helpers of the rules' tests.
#[cfg(test)]
mod testing {
    use super::Finding;

    /// Returns the codes.
    pub(super) fn codes(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code).collect()
    }
}
