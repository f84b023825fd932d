//! Would a load balancer let this client in? The answer in its own words, with the evidence.
//!
//! A verifier of its own, built from RFC 5280 and what AWS documents: the embedded AWS judges
//! clients with webpki, and two independent judges that agree are worth more than one. What AWS
//! leaves open is decided here once, and the verdict carries a warning where it mattered.
//!
//! AWS: Application Load Balancers User Guide, "Mutual authentication with TLS" and "Connection
//! logs".

mod chain;
mod names;
mod path;
mod revocation;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::bundle::Bundle;
use super::certificate::{Certificate, day};
use super::crl::Crl;
use super::digest::Sha256Digest;
use super::lint::{Severity, lint_bundle};
use super::serial::Serial;

pub(super) use chain::{MAXIMUM_MESSAGE, message_bytes};
use path::{Anchors, Pool, Search};
use revocation::Revocations;

/// The longest chain that a load balancer verifies, the client's certificate and the root included.
pub const MAXIMUM_DEPTH: usize = 4;

/// What a trust store holds.
#[derive(Clone, Copy, Debug)]
pub struct Trusted<'a> {
    /// The CAs.
    pub bundle: &'a Bundle,
    /// Their CRLs.
    pub crls: &'a [Crl],
}

/// What the client's certificate has to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// TLS clients: `clientAuth`, where extended key usages are given.
    Client,
    /// Whatever its usages say.
    Any,
}

/// By which rules a client is judged.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// The moment of the handshake.
    pub at: OffsetDateTime,
    /// What the certificate has to be good for.
    pub purpose: Purpose,
    /// How many certificates the chain may have, client and root included; 1 to 16.
    pub maximum_depth: usize,
    /// Whether the client's own certificate may have expired; its CAs may not.
    pub ignore_client_certificate_expiry: bool,
}

impl CheckOptions {
    /// The rules of a listener with the defaults of mode `verify`.
    pub fn at(at: OffsetDateTime) -> Self {
        Self {
            at,
            purpose: Purpose::Client,
            maximum_depth: MAXIMUM_DEPTH,
            ignore_client_certificate_expiry: false,
        }
    }
}

/// Why a client is refused, by the names of the connection log's field `tls_verify_status`.
///
/// They are ordered as they are checked here, which AWS does not document. Three codes are never
/// given: `ClientCertIncompatible` depends on the handshake, `ClientCertRejected` and
/// `UnmappedConnectionError` on what is not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The chain has more than four certificates.
    MaxChainDepthExceeded,
    /// A certificate, or all that the client sends, is too large.
    MaxSizeExceeded,
    /// A key or a signature is of a kind that is not supported.
    TypeUnsupported,
    /// No chain leads to a CA of the trust store.
    Untrusted,
    /// A certificate is not valid yet.
    NotYetValid,
    /// A certificate has expired.
    Expired,
    /// A certificate is meant for something else than TLS clients.
    PurposeInvalid,
    /// A CRL lists a certificate.
    CrlHit,
    /// A CRL of a CA in the chain cannot be used.
    CrlProcessingError,
    /// A certificate breaks another rule of X.509.
    Invalid,
}

impl Reason {
    /// Returns the code as the connection log writes it after `Failed:`.
    pub fn code(self) -> &'static str {
        match self {
            Self::MaxChainDepthExceeded => "ClientCertMaxChainDepthExceeded",
            Self::MaxSizeExceeded => "ClientCertMaxSizeExceeded",
            Self::TypeUnsupported => "ClientCertTypeUnsupported",
            Self::Untrusted => "ClientCertUntrusted",
            Self::NotYetValid => "ClientCertNotYetValid",
            Self::Expired => "ClientCertExpired",
            Self::PurposeInvalid => "ClientCertPurposeInvalid",
            Self::CrlHit => "ClientCertCrlHit",
            Self::CrlProcessingError => "ClientCertCrlProcessingError",
            Self::Invalid => "ClientCertInvalid",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Why and where a chain fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The load balancer's reason.
    pub reason: Reason,
    /// What is wrong, in words.
    pub message: String,
    /// Which certificate of [`Verdict::path`] breaks it.
    pub position: usize,
    /// The CRL that lists it, or that cannot be used.
    pub crl: Option<Box<CrlEvidence>>,
}

/// Which CRL refuses a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlEvidence {
    /// Its issuer.
    pub issuer: String,
    /// Its digest.
    pub digest: Sha256Digest,
    /// Its number, if it has one.
    pub number: Option<Serial>,
    /// When it was issued.
    pub this_update: OffsetDateTime,
}

impl CrlEvidence {
    fn of(crl: &Crl) -> Self {
        Self {
            issuer: crl.issuer.to_string(),
            digest: crl.digest,
            number: crl.number,
            this_update: crl.this_update,
        }
    }
}

/// Where a certificate of a chain comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The client sends it.
    Client,
    /// The trust store holds it.
    TrustStore,
}

/// One certificate of the chain that was judged.
#[derive(Clone, Debug)]
pub struct Step {
    /// The certificate.
    pub certificate: Certificate,
    /// Where it comes from.
    pub source: Source,
    /// How many CRLs of its issuer the trust store holds.
    pub crls: usize,
}

/// Something that the answer depends on and AWS does not document, or that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckWarning {
    /// Its stable name.
    pub code: &'static str,
    /// What it is about.
    pub message: String,
}

/// Whether a client is let in, and why.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Why not; `None` when it is let in.
    pub refusal: Option<Refusal>,
    /// The chain that decided, the client's certificate first; of an unfinished one what there is.
    pub path: Vec<Step>,
    /// What the answer depends on.
    pub warnings: Vec<CheckWarning>,
}

impl Verdict {
    /// Says whether the client is let in.
    pub fn is_accepted(&self) -> bool {
        self.refusal.is_none()
    }

    /// Returns the reason of the refusal.
    pub fn reason(&self) -> Option<Reason> {
        self.refusal.as_ref().map(|refusal| refusal.reason)
    }
}

/// Judges a client by its certificate and the certificates that it sends along, in any order.
///
/// Of several chains the first that is good decides, shorter ones first; when none is, the one
/// that gets furthest through the checks. The same input always gives the same answer.
pub fn check_client(
    client: &Certificate,
    sent: &[Certificate],
    trusted: Trusted<'_>,
    options: &CheckOptions,
) -> Verdict {
    // Certificates know no fractions of a second; notAfter is the last whole one.
    let at = options.at.truncate_to_second();
    let options = CheckOptions { at, ..*options };
    let mut check = Check {
        pool: Pool::new(client, sent, trusted.bundle, at),
        revocations: Revocations::new(trusted.crls),
        message_bytes: message_bytes(client, sent),
        comparisons: 0,
        options,
    };
    let Decision {
        path,
        refusal,
        other,
    } = check.decide(Anchors::Roots);
    let mut warnings = check.warnings(&path, refusal.as_ref());
    warnings.extend(other.map(|other| other_chain(&other)));
    if refusal.is_some() {
        let second = check.decide(Anchors::Anything);
        if second.refusal.is_none() {
            warnings.push(partial_chain(&check.pool, &second.path));
        }
    }
    warnings.extend(refused_bundle(trusted.bundle, at));
    Verdict {
        path: check.steps(&path),
        refusal,
        warnings,
    }
}

/// Everything that one judgement needs.
struct Check<'a> {
    pool: Pool<'a>,
    revocations: Revocations<'a>,
    options: CheckOptions,
    message_bytes: usize,
    comparisons: usize,
}

/// The chain that decides.
struct Decision {
    path: Vec<usize>,
    refusal: Option<Refusal>,
    /// Why another chain fails that was tried before one that does not.
    other: Option<Refusal>,
}

impl Check<'_> {
    /// Finds the chain that decides, and why it fails if it does.
    fn decide(&mut self, anchors: Anchors) -> Decision {
        let mut best: Option<(Vec<usize>, Refusal)> = None;
        for length in 1..=self.options.maximum_depth {
            let mut search = Search::new(anchors, length);
            while let Some(path) = search.next(&mut self.pool) {
                let Err(refusal) = self.judge(&path) else {
                    return Decision {
                        path,
                        refusal: None,
                        other: best.map(|(_, refusal)| refusal),
                    };
                };
                let gets_further = |(_, other): &(_, Refusal)| refusal.reason > other.reason;
                if best.as_ref().is_none_or(gets_further) {
                    best = Some((path, refusal));
                }
            }
        }
        let (path, refusal) = best.unwrap_or_else(|| self.unfinished(anchors));
        Decision {
            path,
            refusal: Some(refusal),
            other: None,
        }
    }

    /// Says why there is no chain that is short enough.
    fn unfinished(&mut self, anchors: Anchors) -> (Vec<usize>, Refusal) {
        let maximum = self.options.maximum_depth;
        let mut deepest: Vec<Vec<usize>> = Vec::new();
        for length in 1..=path::LONGEST {
            let mut search = Search::new(anchors, length);
            let complete = search.next(&mut self.pool);
            if let Some(path) = complete.filter(|path| path.len() > maximum) {
                let refusal = self.too_deep(&path);
                return (path, refusal);
            }
            let depth = |paths: &[Vec<usize>]| paths.first().map_or(0, Vec::len);
            if depth(search.deepest()) > depth(&deepest) {
                deepest = search.deepest().to_vec();
            }
        }
        let mut furthest: Option<(Vec<usize>, Refusal)> = None;
        for path in deepest {
            let refusal = self.dead_end(&path);
            let gets_further = |(_, other): &(_, Refusal)| refusal.reason > other.reason;
            if furthest.as_ref().is_none_or(gets_further) {
                furthest = Some((path, refusal));
            }
        }
        furthest.unwrap_or_else(|| (vec![0], self.pool.untrusted(&[0])))
    }

    /// Says why a chain that leads nowhere is refused.
    fn dead_end(&mut self, path: &[usize]) -> Refusal {
        if path.len() > self.options.maximum_depth {
            self.too_deep(path)
        } else if let Err(refusal) = self.judge_unanchored(path) {
            refusal
        } else {
            self.pool.untrusted(path)
        }
    }

    fn too_deep(&self, path: &[usize]) -> Refusal {
        Refusal {
            reason: Reason::MaxChainDepthExceeded,
            message: format!(
                "the chain has {} certificates, client and root included, of at most {}",
                path.len(),
                self.options.maximum_depth
            ),
            position: self.options.maximum_depth,
            crl: None,
        }
    }

    /// Gathers what the answer depends on.
    fn warnings(&self, path: &[usize], refusal: Option<&Refusal>) -> Vec<CheckWarning> {
        let certificates = self.pool.certificates(path);
        let mut warnings = chain::warnings(&certificates, &self.options);
        if refusal.is_none_or(|refusal| refusal.reason != Reason::Untrusted) {
            warnings.extend(self.pool.missing_root(path));
        }
        warnings.extend(self.pool.several_issuers(path));
        if self.pool.is_exhausted() {
            warnings.push(CheckWarning {
                code: "search-cut-off",
                message: "there are more ways through these certificates than any honest chain \
                          has; not all of them were tried"
                    .to_owned(),
            });
        }
        warnings.extend(self.revocations.warnings(&certificates, self.options.at));
        warnings
    }

    /// Puts the chain together as evidence.
    fn steps(&self, path: &[usize]) -> Vec<Step> {
        let step = |&member: &usize| {
            let certificate = self.pool.certificate(member);
            Step {
                certificate: certificate.clone(),
                source: if self.pool.is_trusted(member) {
                    Source::TrustStore
                } else {
                    Source::Client
                },
                crls: self.revocations.of_issuer(certificate).len(),
            }
        };
        path.iter().map(step).collect()
    }
}

/// Tells that a verifier which tries only one chain may have taken one that fails.
fn other_chain(other: &Refusal) -> CheckWarning {
    let Refusal {
        reason, message, ..
    } = other;
    CheckWarning {
        code: "other-chain-fails",
        message: format!(
            "another chain of these certificates fails ({reason}: {message}); whether a load \
             balancer tries more than one is not documented"
        ),
    }
}

/// Tells that the answer would be another one if the load balancer stopped at the first CA it knows.
fn partial_chain(pool: &Pool<'_>, path: &[usize]) -> CheckWarning {
    let anchor = path.last().map(|&member| pool.certificate(member));
    let name = anchor.map(|anchor| anchor.subject.to_string());
    CheckWarning {
        code: "partial-chain",
        message: format!(
            "the chain is good up to {}, which the trust store holds as well; AWS does not document \
             whether a load balancer stops there or goes on to the root, as is assumed here",
            name.unwrap_or_default()
        ),
    }
}

/// Tells that AWS would never have taken the bundle.
fn refused_bundle(bundle: &Bundle, at: OffsetDateTime) -> Option<CheckWarning> {
    let findings = lint_bundle(bundle, at);
    let mut errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    let first = errors.next()?;
    let more = match errors.count() {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    let (subject, message, code) = (&first.subject, &first.message, first.code);
    Some(CheckWarning {
        code: "bundle-refused",
        message: format!(
            "AWS does not take this bundle, or its clients fail: {subject}: {message} ({code}){more}"
        ),
    })
}

/// Writes a certificate for messages: subject and last day.
fn named(certificate: &Certificate) -> String {
    format!(
        "{} ({})",
        certificate.subject,
        certificate.fingerprint.short()
    )
}

/// Writes a moment for messages.
fn moment(time: OffsetDateTime) -> String {
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02}Z", day(time))
}
