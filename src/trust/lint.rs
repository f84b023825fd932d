//! The rules by which AWS accepts or refuses certificates and CRLs, applied before AWS does.
//!
//! A trust store refuses a whole bundle for one bad certificate and says only that it is invalid;
//! a CRL that does not fit is accepted and breaks handshakes later. Limits that AWS raises on
//! request are warnings, since they may have been raised; fixed ones are errors.

mod authority;
mod revocation;
mod server;

use std::ops::RangeInclusive;

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::algorithm::{KeyAlgorithm, SignatureCheck};
use super::certificate::{Certificate, day};
use super::crl::Crl;
use super::digest::Sha256Digest;

pub use authority::lint_bundle;
pub use revocation::{lint_crl, lint_crls};
pub use server::{lint_backend_certificate, lint_server_certificate};

/// How many days before its end a certificate is worth a warning.
const EXPIRY_DAYS: i64 = 30;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It works, or may work, but not for long or not for everyone.
    Warning,
    /// AWS refuses it, or handshakes fail.
    Error,
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

/// A rule: everything about a finding that does not depend on the case.
#[derive(Clone, Copy, Debug)]
struct Rule {
    code: &'static str,
    severity: Severity,
    why: &'static str,
    fix: &'static str,
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
    use super::*;

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
