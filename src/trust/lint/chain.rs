//! Rules about how the CA certificates of a trust store belong together.

use super::authority::is_ca;
use super::extension::key_identifier;
use super::{Finding, Rule, Severity, seems_issued_by};
use crate::trust::bundle::Bundle;
use crate::trust::certificate::{Certificate, day};

/// The longest chain that is verified, the client's certificate included; the quota is fixed.
pub(super) const MAXIMUM_DEPTH: usize = 4;

const SAME_SUBJECT: Rule = Rule {
    code: "ca-duplicate-subject",
    severity: Severity::Warning,
    why: "issuers are looked up by name; two keys under one name are right during a change of the \
          CA's key, and otherwise a sign of a CA that was made twice",
    fix: "keep both only while clients of both exist",
};

const SAME_KEY: Rule = Rule {
    code: "ca-duplicate-key",
    severity: Severity::Warning,
    why: "two CAs that share a key are one CA with two names: whoever holds the key issues for \
          both, and a CRL of the one does not revoke what the other has issued",
    fix: "give every CA a key of its own",
};

const SUPERSEDED: Rule = Rule {
    code: "ca-superseded",
    severity: Severity::Note,
    why: "a later certificate of the same CA and key verifies the same clients; the quota of \
          certificates counts both",
    fix: "remove the one that ends earlier",
};

const NO_ROOT: Rule = Rule {
    code: "ca-root-missing",
    severity: Severity::Warning,
    why: "AWS does not document whether an intermediate CA can be trusted without its root; a \
          complete chain works in any case",
    fix: "add the certificates above it, up to the self-signed root",
};

const SIGNATURE: Rule = Rule {
    code: "ca-signature-invalid",
    severity: Severity::Warning,
    why: "no certificate of the bundle that has the name of the issuer made the signature: the \
          file is damaged, or the issuer has another key by now; no chain leads from it to the root",
    fix: "fetch the certificate again, and the CA certificate of the key it is signed with",
};

const DEPTH: Rule = Rule {
    code: "ca-chain-deep",
    severity: Severity::Warning,
    why: "ALB verifies chains of at most 4 certificates and refuses longer ones with \
          ClientCertMaxChainDepthExceeded; the quota is fixed",
    fix: "issue client certificates from a CA that is closer to the root",
};

const PATH_LENGTH: Rule = Rule {
    code: "ca-path-length",
    severity: Severity::Warning,
    why: "the pathlen of a CA says how many CAs may stand below it (RFC 5280, section 4.2.1.9); \
          chains through more of them do not verify",
    fix: "have the CA above issued again with a larger pathlen or none, or issue the clients from \
          a CA that is closer to it",
};

const OUTLIVES: Rule = Rule {
    code: "ca-outlives-issuer",
    severity: Severity::Warning,
    why: "a chain is valid only while all of its certificates are: the clients of the CA are \
          refused when its issuer ends, whatever its own date",
    fix: "add the issuer's next certificate to the bundle before that day",
};

const NEVER_VALID: Rule = Rule {
    code: "ca-never-valid",
    severity: Severity::Error,
    why: "a chain is valid only while all of its certificates are, which here is never: no client \
          of the CA is accepted",
    fix: "give the certificates of the CA and of its issuer that belong together",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    SAME_SUBJECT,
    SAME_KEY,
    SUPERSEDED,
    NO_ROOT,
    SIGNATURE,
    DEPTH,
    PATH_LENGTH,
    OUTLIVES,
    NEVER_VALID,
];

/// Certificates, and who of them issued whom; signatures are checked once.
pub(super) struct Family<'a> {
    certificates: Vec<&'a Certificate>,
    /// For each certificate the places of those that seem to have issued it, itself included.
    issuers: Vec<Vec<usize>>,
}

/// A certificate above another one.
pub(super) struct Ancestor<'a> {
    /// Its place in the family.
    index: usize,
    /// The certificate.
    pub(super) certificate: &'a Certificate,
    /// How many steps it stands above, 1 for the issuer.
    pub(super) distance: usize,
    /// How many certificates stand between that count towards a pathlen.
    between: usize,
}

impl<'a> Family<'a> {
    /// Relates the certificates of a bundle.
    pub(super) fn of(bundle: &'a Bundle) -> Self {
        Self::of_all(bundle.certificates().iter())
    }

    /// Relates any certificates.
    pub(super) fn of_all(certificates: impl Iterator<Item = &'a Certificate>) -> Self {
        let certificates: Vec<&Certificate> = certificates.collect();
        let issuers = certificates.iter().map(|certificate| {
            let candidates = certificates.iter().enumerate();
            let issuers = candidates.filter(|(_, issuer)| seems_issued_by(certificate, issuer));
            issuers.map(|(index, _)| index).collect()
        });
        Self {
            issuers: issuers.collect(),
            certificates,
        }
    }

    /// Returns those that issued the certificate, itself included.
    fn signers(&self, index: usize) -> Vec<&'a Certificate> {
        let signers = self.issuers[index].iter();
        signers.map(|signer| self.certificates[*signer]).collect()
    }

    /// Returns those that issued the certificate, without itself.
    fn issuers(&self, index: usize) -> Vec<&'a Certificate> {
        let others = self.issuers[index].iter().filter(|other| **other != index);
        others.map(|other| self.certificates[*other]).collect()
    }

    /// Returns everyone above the certificate once, the nearest first.
    pub(super) fn ancestors(&self, start: usize) -> Vec<Ancestor<'a>> {
        // Cross-certificates can form a circle, hence `seen`.
        let mut seen = vec![false; self.certificates.len()];
        seen[start] = true;
        let mut ancestors: Vec<Ancestor<'a>> = Vec::new();
        let mut current = Some((start, 0, 0));
        let mut walked = 0;
        while let Some((index, distance, between)) = current {
            for &issuer in &self.issuers[index] {
                if !std::mem::replace(&mut seen[issuer], true) {
                    ancestors.push(Ancestor {
                        index: issuer,
                        certificate: self.certificates[issuer],
                        distance: distance + 1,
                        between,
                    });
                }
            }
            current = ancestors.get(walked).map(|above| {
                let counts = usize::from(!above.certificate.is_self_issued());
                (above.index, above.distance, above.between + counts)
            });
            walked += 1;
        }
        ancestors
    }

    /// Returns how many certificates stand above one on the shortest way to a root, or as far as
    /// the way goes.
    ///
    /// A root has signed itself: a CA that certifies its own next key counts like any other.
    pub(super) fn depth(&self, index: usize) -> usize {
        let is_root = |index: usize| self.issuers[index].contains(&index);
        if is_root(index) {
            return 0;
        }
        let ancestors = self.ancestors(index);
        let root = ancestors.iter().find(|one| is_root(one.index));
        root.or(ancestors.last()).map_or(0, |one| one.distance)
    }
}

impl Ancestor<'_> {
    /// Says whether its pathlen forbids so many CAs below those that stand between.
    pub(super) fn forbids(&self, below: usize) -> bool {
        let limit = self
            .certificate
            .path_len
            .and_then(|limit| limit.try_into().ok());
        limit.is_some_and(|limit: usize| limit < self.between + below)
    }
}

/// Checks one certificate of a bundle against the others.
pub(super) fn lint_chains(family: &Family<'_>, index: usize) -> Vec<Finding> {
    let certificate = family.certificates[index];
    let earlier = &family.certificates[..index];
    [
        same_subject(certificate, earlier),
        same_key(certificate, earlier),
        superseded(family, index),
        issuer(family, index),
        depth(family, index),
        path_length(family, index),
        dates(family, index),
        key_identifier(certificate, &family.signers(index)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Finds names that stand for several keys; reports the later certificate.
fn same_subject(certificate: &Certificate, earlier: &[&Certificate]) -> Option<Finding> {
    let other = earlier.iter().find(|other| {
        other.subject.matches(&certificate.subject) && other.public_key != certificate.public_key
    })?;
    let message = format!(
        "{} has the same subject and another key",
        other.fingerprint.short()
    );
    Some(SAME_SUBJECT.certificate(certificate, message))
}

/// Finds keys that stand under several names; reports the later certificate.
fn same_key(certificate: &Certificate, earlier: &[&Certificate]) -> Option<Finding> {
    let other = earlier.iter().find(|other| {
        other.public_key == certificate.public_key && !other.subject.matches(&certificate.subject)
    })?;
    let message = format!("it has the key of {}", other.subject);
    Some(SAME_KEY.certificate(certificate, message))
}

/// Finds certificates of which the bundle holds a later issue.
fn superseded(family: &Family<'_>, index: usize) -> Option<Finding> {
    let certificate = family.certificates[index];
    let later = family.certificates.iter().find(|other| {
        other.subject.matches(&certificate.subject)
            && other.issuer.matches(&certificate.issuer)
            && other.public_key == certificate.public_key
            && other.not_before <= certificate.not_after
            && other.not_after > certificate.not_after
    })?;
    let message = format!(
        "{}, valid until {}, is the same CA with the same key",
        later.fingerprint.short(),
        day(later.not_after)
    );
    Some(SUPERSEDED.certificate(certificate, message))
}

/// Finds intermediates whose issuer is not in the bundle, or is not the signer.
fn issuer(family: &Family<'_>, index: usize) -> Option<Finding> {
    let certificate = family.certificates[index];
    if !is_ca(certificate) || !family.issuers[index].is_empty() {
        return None;
    }
    let mut named = family.certificates.iter();
    if named.any(|other| certificate.issuer.matches(&other.subject)) {
        let message = format!(
            "its signature does not verify with the key of its issuer, {}, in the bundle",
            certificate.issuer
        );
        return Some(SIGNATURE.certificate(certificate, message));
    }
    let message = format!("its issuer, {}, is not in the bundle", certificate.issuer);
    Some(NO_ROOT.certificate(certificate, message))
}

/// Finds CAs so far from their root that chains get too long.
fn depth(family: &Family<'_>, index: usize) -> Option<Finding> {
    let above = family.depth(index);
    let length = above + 2;
    let message =
        format!("{above} CAs stand above it: with the client's certificate the chain has {length}");
    (length > MAXIMUM_DEPTH).then(|| DEPTH.certificate(family.certificates[index], message))
}

/// Finds CAs below one that may have none, or not so many.
fn path_length(family: &Family<'_>, index: usize) -> Option<Finding> {
    let certificate = family.certificates[index];
    if !is_ca(certificate) {
        return None;
    }
    let own = usize::from(!certificate.is_self_issued());
    let ancestors = family.ancestors(index);
    let above = ancestors.iter().find(|above| above.forbids(own))?;
    let message = format!(
        "{}, {} above it, has pathlen:{}",
        above.certificate.subject,
        steps(above.distance),
        above.certificate.path_len.unwrap_or_default()
    );
    Some(PATH_LENGTH.certificate(certificate, message))
}

/// Writes a number of steps in a chain.
fn steps(count: usize) -> String {
    match count {
        1 => "1 step".to_owned(),
        _ => format!("{count} steps"),
    }
}

/// Finds validities that do not fit those of the issuer.
fn dates(family: &Family<'_>, index: usize) -> Option<Finding> {
    let certificate = family.certificates[index];
    if certificate.not_after < certificate.not_before {
        let message = "its validity ends before it begins";
        return Some(NEVER_VALID.certificate(certificate, message));
    }
    let issuers = family.issuers(index);
    let last = issuers.iter().max_by_key(|issuer| issuer.not_after)?;
    let overlaps = |issuer: &&Certificate| {
        issuer.not_before <= certificate.not_after && certificate.not_before <= issuer.not_after
    };
    if !issuers.iter().any(overlaps) {
        let message = format!(
            "it is valid from {} to {}, and its issuer, {}, from {} to {}",
            day(certificate.not_before),
            day(certificate.not_after),
            last.subject,
            day(last.not_before),
            day(last.not_after)
        );
        return Some(NEVER_VALID.certificate(certificate, message));
    }
    let message = format!(
        "it is valid until {}, its issuer, {}, only until {}",
        day(certificate.not_after),
        last.subject,
        day(last.not_after)
    );
    (last.not_after < certificate.not_after).then(|| OUTLIVES.certificate(certificate, message))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use time::Duration;

    use super::*;
    use crate::trust::fixtures::{Authority, EXPIRY, NOW};
    use crate::trust::lint::lint_bundle;
    use crate::trust::lint::testing::codes;

    fn lint(certificates: &[Certificate]) -> Vec<Finding> {
        lint_bundle(&certificates.iter().cloned().collect(), NOW)
    }

    /// A CA certificate with this name, key and end.
    fn ca(issuer: &Authority, name: &str, key: &KeyPair, days: i64) -> Certificate {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = NOW - Duration::days(1);
        params.not_after = NOW + Duration::days(days);
        issuer.issue(&params, key)
    }

    #[test]
    fn a_key_has_one_name_and_its_last_certificate_is_enough() {
        let root = Authority::new("Root");
        let key = KeyPair::generate().unwrap();
        let [one, later] = [100, 200].map(|days| ca(&root, "One", &key, days));
        let two = ca(&root, "Two", &key, 100);
        let findings = lint(&[root.certificate(), later.clone(), two]);
        assert_eq!(codes(&findings), ["ca-duplicate-key"]);
        assert_eq!(findings[0].message, "it has the key of CN=One");
        let findings = lint(&[root.certificate(), one.clone(), later]);
        assert_eq!(codes(&findings), ["ca-superseded"]);
        assert_eq!(findings[0].severity, Severity::Note);
        assert_eq!(findings[0].fingerprint, Some(one.fingerprint));
    }

    #[test]
    fn a_signature_of_another_key_is_not_a_missing_issuer() {
        let below = Authority::new("Root").intermediate("Below");
        let namesake = Authority::new("Root").certificate();
        let findings = lint(&[below.certificate(), namesake]);
        assert_eq!(codes(&findings), ["ca-signature-invalid"]);
        let other = Authority::new("Other").certificate();
        assert_eq!(
            codes(&lint(&[below.certificate(), other])),
            ["ca-root-missing"]
        );
    }

    #[test]
    fn validities_have_to_fit_together() {
        let key = KeyPair::generate().unwrap();
        let root = Authority::with("Root", |params| params.not_after = NOW + Duration::days(99));
        let longer = lint(&[root.certificate(), ca(&root, "Below", &key, 100)]);
        assert_eq!(codes(&longer), ["ca-outlives-issuer"]);
        let shorter = lint(&[root.certificate(), ca(&root, "Below", &key, 98)]);
        assert_eq!(codes(&shorter), [""; 0]);

        let old = Authority::with("Root", |params| {
            params.not_before = NOW - Duration::days(9);
            params.not_after = NOW - Duration::days(8);
        });
        let disjoint = lint(&[old.certificate(), ca(&old, "Below", &key, 100)]);
        assert_eq!(codes(&disjoint), ["ca-expired", "ca-never-valid"]);
        assert_eq!(
            disjoint[1].message,
            "it is valid from 2025-12-31 to 2026-04-11, and its issuer, CN=Root, \
             from 2025-12-23 to 2025-12-24"
        );
        let backwards = Authority::with("Root", |params| params.not_before = EXPIRY);
        let mut backwards = backwards.certificate();
        backwards.not_after = NOW;
        assert!(codes(&lint(&[backwards])).contains(&"ca-never-valid"));
        let expired = lint(&[old.certificate(), Authority::new("Root").certificate()]);
        assert_eq!(codes(&expired), ["ca-expired", "ca-duplicate-subject"]);
        let other = Authority::with("Other", |params| params.not_after = NOW - Duration::days(1));
        let none = lint(&[old.certificate(), other.certificate()]);
        assert_eq!(
            codes(&none),
            ["ca-expired", "ca-expired", "bundle-nothing-valid"]
        );
    }

    #[test]
    fn a_pathlen_counts_all_cas_below() {
        let one = Authority::with("1", |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        });
        let two = one.intermediate("2");
        let three = two.intermediate("3");
        let findings = lint(&[&three, &two, &one].map(Authority::certificate));
        assert_eq!(codes(&findings), ["ca-path-length"]);
        assert_eq!(findings[0].subject, "CN=3");
        assert_eq!(findings[0].message, "CN=1, 2 steps above it, has pathlen:1");
    }

    #[test]
    fn cross_certificates_in_a_circle_are_walked_once() {
        let (one, two) = (Authority::new("1"), Authority::new("2"));
        let cross = |issuer: &Authority, of: &Authority, name| {
            let key = KeyPair::from_pem(&of.key_pem()).unwrap();
            ca(issuer, name, &key, 100)
        };
        let circle: Bundle = [cross(&one, &two, "2"), cross(&two, &one, "1")]
            .into_iter()
            .collect();
        let family = Family::of(&circle);
        let distances: Vec<usize> = family.ancestors(0).iter().map(|one| one.distance).collect();
        assert_eq!(distances, [1]);
        assert_eq!(family.depth(0), 1);
        assert_eq!(lint_bundle(&circle, NOW), []);
    }
}
