//! Rules for what backends of API Gateway show, by which it refuses them.

use time::OffsetDateTime;

use super::server::not_covered;
use super::{Dates, Finding, Rule, Severity, key, signature};
use crate::trust::algorithm::SignatureCheck;
use crate::trust::certificate::Certificate;
use crate::trust::server::check_chain;

/// Whose certificates API Gateway accepts from a backend.
#[derive(Clone, Copy, Debug)]
pub enum BackendTrust<'a> {
    /// Those of public CAs, of which these are the roots that are known here.
    PublicCas(&'a [Certificate]),
    /// Those of any CA, by `insecureSkipVerification`.
    AnyCa,
}

const DATES: Dates = Dates {
    expired: Rule {
        code: "backend-expired",
        severity: Severity::Error,
        why: "API Gateway checks the dates even with insecureSkipVerification, and answers 500 in the backend's place",
        fix: "give the backend a certificate that is valid now",
    },
    not_yet_valid: Rule {
        code: "backend-not-yet-valid",
        severity: Severity::Error,
        why: "API Gateway checks the dates even with insecureSkipVerification, and answers 500 in the backend's place",
        fix: "wait, or check the clock of the machine that issued it",
    },
    expiring: Rule {
        code: "backend-expiring",
        severity: Severity::Warning,
        why: "API Gateway checks the dates even with insecureSkipVerification: from then on it answers 500",
        fix: "give the backend its next certificate before that day",
    },
};

const NAME: Rule = Rule {
    code: "backend-name-not-covered",
    severity: Severity::Error,
    why: "API Gateway checks the host of the integration's URI even with insecureSkipVerification",
    fix: "issue the certificate with the host as a subject alternative name, or write a host in \
          the URI that it covers",
};

const ROOT: Rule = Rule {
    code: "backend-root-not-a-ca",
    severity: Severity::Error,
    why: "insecureSkipVerification accepts a private root, but that root must be a CA certificate: \
          basicConstraints CA:TRUE and keyUsage keyCertSign, even when it is self-signed",
    fix: "make the certificate with `basicConstraints = critical, CA:TRUE` and `keyUsage = \
          critical, keyCertSign, digitalSignature`, or issue it from a private CA",
};

const NO_ROOT: Rule = Rule {
    code: "backend-root-not-shown",
    severity: Severity::Warning,
    why: "insecureSkipVerification skips only that the CA is a public one: API Gateway still wants a \
          root, and knows a private one only from the backend",
    fix: "have the backend send its whole chain, the root included",
};

const PRIVATE_CA: Rule = Rule {
    code: "backend-private-ca",
    severity: Severity::Error,
    why: "API Gateway accepts certificates of public CAs only, and answers 500 in the backend's place",
    fix: "write `insecure_skip_verification: true`, or give the backend a certificate of a public CA",
};

const UNKNOWN_CA: Rule = Rule {
    code: "backend-unknown-ca",
    severity: Severity::Warning,
    why: "API Gateway accepts certificates of public CAs only, and the issuer is none that is known here",
    fix: "see that the issuer is on API Gateway's list of CAs and that the backend sends its \
          intermediates, or write `insecure_skip_verification: true`",
};

const CHAIN: Rule = Rule {
    code: "backend-chain-order",
    severity: Severity::Error,
    why: "API Gateway follows the chain from the backend's own certificate to the root",
    fix: "have the backend send its own certificate first, then its issuer, and so on",
};

const KEY: Rule = Rule {
    code: "backend-key-unsupported",
    severity: Severity::Error,
    why: "API Gateway takes RSA keys of 2048 to 4096 bits and ECDSA keys on P-256, P-384 and P-521",
    fix: "issue the certificate again for a key of such a kind",
};

const SIGNATURE: Rule = Rule {
    code: "backend-signature-weak",
    severity: Severity::Error,
    why: "no client trusts such a signature any more, API Gateway included",
    fix: "issue the certificate again with SHA-256 or better",
};

const PURPOSE: Rule = Rule {
    code: "backend-purpose",
    severity: Severity::Error,
    why: "its extendedKeyUsage leaves out serverAuth: it is no server's certificate",
    fix: "issue the certificate again with extendedKeyUsage = serverAuth",
};

const NO_TLS12: Rule = Rule {
    code: "backend-no-tls12",
    severity: Severity::Error,
    why: "API Gateway speaks TLS 1.2 at most to backends",
    fix: "let the backend speak TLS 1.2 beside 1.3",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    DATES.expired,
    DATES.not_yet_valid,
    DATES.expiring,
    NAME,
    ROOT,
    NO_ROOT,
    PRIVATE_CA,
    UNKNOWN_CA,
    CHAIN,
    KEY,
    SIGNATURE,
    PURPOSE,
    NO_TLS12,
];

/// Judges what a backend shows, its own certificate first, as API Gateway does.
///
/// `host` is the host of the integration's URI, where that is known.
pub fn judge_backend(
    presented: &[Certificate],
    host: Option<&str>,
    trust: BackendTrust<'_>,
    now: OffsetDateTime,
) -> Vec<Finding> {
    let Some((own, above)) = presented.split_first() else {
        return Vec::new();
    };
    let hosts: Vec<&str> = host.into_iter().collect();
    let dates = presented.iter().filter_map(|one| DATES.check(one, now));
    let keys = presented
        .iter()
        .filter_map(|one| key(&KEY, one, 2048..=4096));
    // Nobody verifies a root by its own signature.
    let signed = presented.iter().filter(|one| !one.is_self_issued());
    let signatures = signed.filter_map(|one| signature(&SIGNATURE, one));
    dates
        .chain(not_covered(&NAME, own, &hosts))
        .chain(keys)
        .chain(signatures)
        .chain(purpose(own))
        .chain(order(own, above))
        .chain(issuer(presented, trust))
        .collect()
}

/// Reports a backend that does not speak the only version that API Gateway can.
pub fn backend_without_tls12(backend: &str) -> Finding {
    NO_TLS12.whole(backend, "it refuses TLS 1.2")
}

fn purpose(own: &Certificate) -> Option<Finding> {
    let purposes = own.extended_key_usage.as_deref().unwrap_or_default();
    let message = format!("it is for {} only", purposes.join(", "));
    let unfit = !own.allows_purpose("serverAuth");
    unfit.then(|| PURPOSE.certificate(own, message))
}

/// Finds chains that do not lead from certificate to issuer; whether an issuer is a CA is said of the root.
fn order(own: &Certificate, above: &[Certificate]) -> Option<Finding> {
    let error = check_chain(own, above).err()?;
    Some(CHAIN.certificate(own, error.to_string()))
}

/// Finds out whether the CA is good enough.
fn issuer(presented: &[Certificate], trust: BackendTrust<'_>) -> Option<Finding> {
    let last = presented.last()?;
    match trust {
        BackendTrust::AnyCa if last.is_self_issued() => not_a_ca(last),
        BackendTrust::AnyCa => {
            let message = format!(
                "its issuer {} is not among what the backend shows",
                last.issuer
            );
            Some(NO_ROOT.certificate(last, message))
        }
        BackendTrust::PublicCas(roots) => {
            let is_root = |root: &Certificate| {
                root.fingerprint == last.fingerprint
                    || (last.issuer.matches(&root.subject)
                        && last.signature_by(root) != SignatureCheck::Invalid)
            };
            if roots.iter().any(is_root) {
                None
            } else if last.is_self_issued() {
                let what = if presented.len() == 1 {
                    "it is self-signed".to_owned()
                } else {
                    format!("its chain ends at {}, which is no public CA", last.subject)
                };
                Some(PRIVATE_CA.certificate(&presented[0], what))
            } else {
                let message = format!("it was issued by {}", last.issuer);
                Some(UNKNOWN_CA.certificate(last, message))
            }
        }
    }
}

/// Finds roots that are no CA's.
fn not_a_ca(root: &Certificate) -> Option<Finding> {
    let message = match root.is_ca {
        Some(true) if root.allows_key_usage("keyCertSign") => return None,
        Some(true) => "its keyUsage leaves out keyCertSign",
        Some(false) => "its basicConstraints say CA:FALSE",
        None => "it has no basicConstraints extension",
    };
    Some(ROOT.certificate(root, message))
}

#[cfg(test)]
mod tests {
    use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
    use time::Duration;

    use super::*;
    use crate::trust::fixtures::{Authority, NOW};
    use crate::trust::lint::testing::codes;

    const HOST: &str = "b.internal";

    fn judge(presented: &[Certificate], trust: BackendTrust<'_>) -> Vec<String> {
        let findings = judge_backend(presented, Some(HOST), trust, NOW);
        codes(&findings).into_iter().map(str::to_owned).collect()
    }

    fn self_signed() -> Authority {
        Authority::with("Backend", |params| {
            params.subject_alt_names = vec![SanType::DnsName(HOST.try_into().unwrap())];
        })
    }

    #[test]
    fn a_self_signed_ca_of_the_right_name_is_refused_without_the_flag_and_taken_with_it() {
        let shown = [self_signed().certificate()];
        assert_eq!(judge(&shown, BackendTrust::AnyCa), [""; 0]);
        assert_eq!(
            judge(&shown, BackendTrust::PublicCas(&[])),
            ["backend-private-ca"]
        );
    }

    #[test]
    fn a_wrong_name_and_wrong_dates_are_refused_even_with_the_flag() {
        let backend = self_signed();
        let at = |host, now| {
            let shown = [backend.certificate()];
            let findings = judge_backend(&shown, host, BackendTrust::AnyCa, now);
            codes(&findings).join(" ")
        };
        assert_eq!(at(Some("c.internal"), NOW), "backend-name-not-covered");
        assert_eq!(at(None, NOW), "");
        assert_eq!(at(None, NOW + Duration::days(99_999)), "backend-expired");
        assert_eq!(
            at(None, NOW - Duration::days(99_999)),
            "backend-not-yet-valid"
        );
    }

    #[test]
    fn a_root_has_to_be_a_ca_that_signs_certificates() {
        let leaf = Authority::leaf("Backend");
        let codes = judge(&[leaf.certificate()], BackendTrust::AnyCa);
        assert_eq!(codes, ["backend-name-not-covered", "backend-root-not-a-ca"]);
        let no_signer = Authority::with("Backend", |params| {
            params.subject_alt_names = vec![SanType::DnsName(HOST.try_into().unwrap())];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        });
        let shown = [no_signer.certificate()];
        let findings = judge_backend(&shown, Some(HOST), BackendTrust::AnyCa, NOW);
        assert!(findings[0].message.contains("keyCertSign"), "{findings:?}");
    }

    #[test]
    fn a_private_root_has_to_be_shown() {
        let root = Authority::new("Root");
        let shown = [root.server(&[HOST]), root.certificate()];
        assert_eq!(judge(&shown, BackendTrust::AnyCa), [""; 0]);
        assert_eq!(
            judge(&shown[..1], BackendTrust::AnyCa),
            ["backend-root-not-shown"]
        );
    }

    #[test]
    fn a_public_ca_is_known_whether_its_root_is_shown_or_not() {
        let root = Authority::new("Root");
        let shown = [root.server(&[HOST]), root.certificate()];
        let public = [root.certificate()];
        let public = BackendTrust::PublicCas(&public);
        assert_eq!(judge(&shown, public), [""; 0]);
        assert_eq!(judge(&shown[..1], public), [""; 0]);
        // A namesake has another key.
        let namesake = [Authority::new("Root").server(&[HOST])];
        assert_eq!(judge(&namesake, public), ["backend-unknown-ca"]);
    }

    #[test]
    fn order_and_purpose_are_looked_at() {
        let root = Authority::new("Root");
        let middle = root.intermediate("Middle");
        let server = middle.server_with(&[HOST], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        let shown = [server, root.certificate(), middle.certificate()];
        assert_eq!(
            judge(&shown, BackendTrust::AnyCa),
            [
                "backend-purpose",
                "backend-chain-order",
                "backend-root-not-shown"
            ]
        );
    }

    #[test]
    fn a_backend_of_tls13_alone_is_out_of_reach() {
        let finding = backend_without_tls12("b.internal:443");
        assert_eq!(finding.code, "backend-no-tls12");
        assert!(finding.in_words().starts_with("b.internal:443"));
    }
}
