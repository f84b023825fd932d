//! Rules for client certificates: would a load balancer with this trust store let them in?

use std::borrow::Borrow;

use time::OffsetDateTime;

use super::chain::{Ancestor, Family, MAXIMUM_DEPTH};
use super::{
    Dates, Finding, Rule, Severity, extension, key, purposes, serial, signature, usages, version,
};
use crate::trust::bundle::Bundle;
use crate::trust::certificate::Certificate;
use crate::trust::check::{
    CheckOptions, MAXIMUM_MESSAGE, Reason, Trusted, check_client, message_bytes,
};
use crate::trust::crl::Crl;
use crate::trust::headers::{HEADER_BUDGET, passthrough_header, verify_headers, wire_length};

/// What should be left for the headers of the request itself, in bytes.
const HEADROOM: usize = 2_000;

const VERSION: Rule = Rule {
    code: "client-version",
    severity: Severity::Error,
    why: "ALB supports X.509 version 3 only and refuses the client; `openssl x509 -req` without \
          extensions makes version 1",
    fix: "issue the certificate again with extensions, such as extendedKeyUsage = clientAuth",
};

const KEY: Rule = Rule {
    code: "client-key-unsupported",
    severity: Severity::Error,
    why: "ALB refuses the client with ClientCertTypeUnsupported: it supports RSA keys of 2048 to \
          8192 bits and ECDSA keys on P-256, P-384 and P-521",
    fix: "issue the certificate again for a key of such a kind",
};

const SIGNATURE: Rule = Rule {
    code: "client-signature-weak",
    severity: Severity::Error,
    why: "ALB refuses the client with ClientCertTypeUnsupported: signatures must use SHA-256, \
          SHA-384 or SHA-512 with RSA, RSASSA-PSS or ECDSA",
    fix: "issue the certificate again with SHA-256 or better",
};

const PURPOSE: Rule = Rule {
    code: "client-purpose",
    severity: Severity::Error,
    why: "ALB refuses the client with ClientCertPurposeInvalid when its extendedKeyUsage leaves \
          out clientAuth",
    fix: "issue the certificate again with extendedKeyUsage = clientAuth",
};

const KEY_USAGE: Rule = Rule {
    code: "client-key-usage",
    severity: Severity::Error,
    why: "a TLS client proves its key by a signature, for which a keyUsage has to name \
          digitalSignature (RFC 8446, section 4.4.2.2): ALB refuses the client",
    fix: "issue the certificate again with keyUsage = critical, digitalSignature",
};

const IS_CA: Rule = Rule {
    code: "client-is-a-ca",
    severity: Severity::Warning,
    why: "a CA certificate that is used as a client's lets whoever holds its key issue further \
          clients",
    fix: "issue a certificate of its own for the client, without CA:TRUE",
};

const SERIAL: Rule = Rule {
    code: "client-serial",
    severity: Severity::Warning,
    why: "ALB cannot revoke certificates with a negative serial; RFC 5280, section 4.1.2.2, demands \
          positive ones of at most 20 octets",
    fix: "issue the certificate again with a random positive serial of at most 20 octets",
};

const DATES: Dates = Dates {
    expired: Rule {
        code: "client-expired",
        severity: Severity::Error,
        why: "ALB refuses the client with ClientCertExpired, unless the listener ignores expiry",
        fix: "issue a new certificate for the client",
    },
    not_yet_valid: Rule {
        code: "client-not-yet-valid",
        severity: Severity::Error,
        why: "ALB refuses the client with ClientCertNotYetValid",
        fix: "wait, or check the clock of the machine that issued it",
    },
    expiring: Rule {
        code: "client-expiring",
        severity: Severity::Warning,
        why: "from then on ALB refuses the client with ClientCertExpired",
        fix: "issue the client's next certificate; both are accepted meanwhile",
    },
};

const UNTRUSTED: Rule = Rule {
    code: "client-untrusted",
    severity: Severity::Error,
    why: "ALB refuses the client with ClientCertUntrusted: no chain leads from it to a certificate \
          of the trust store",
    fix: "add the CA that issued it to the bundle, or have the client send the intermediate \
          certificates together with its own",
};

const DEPTH: Rule = Rule {
    code: "client-chain-deep",
    severity: Severity::Error,
    why: "ALB refuses chains of more than 4 certificates with ClientCertMaxChainDepthExceeded; the \
          quota is fixed",
    fix: "issue the client from a CA that is closer to the root",
};

const PATH_LENGTH: Rule = Rule {
    code: "client-path-length",
    severity: Severity::Error,
    why: "more CAs stand below one than its pathlen allows (RFC 5280, section 4.2.1.9): the chain \
          does not verify, and ALB refuses the client",
    fix: "issue the client from a CA that is closer to it, or that one again with a larger pathlen",
};

const REVOKED: Rule = Rule {
    code: "client-revoked",
    severity: Severity::Error,
    why: "ALB refuses the client with ClientCertCrlHit",
    fix: "issue a new certificate for the client, if it is to have access",
};

const REFUSED: Rule = Rule {
    code: "client-refused",
    severity: Severity::Error,
    why: "the chain as a whole breaks a rule of RFC 5280 or of ALB, such as the nameConstraints or \
          the dates of a CA above: ALB refuses the client with the reason given",
    fix: "see the chain with `mtlsgw trust check CERT --ca-bundle FILE`",
};

const MESSAGE: Rule = Rule {
    code: "client-chain-too-large",
    severity: Severity::Error,
    why: "ALB takes TLS messages of at most 64 KB and refuses the client with \
          ClientCertMaxSizeExceeded; the quota is fixed",
    fix: "have the client send only its own certificate and the intermediates above it",
};

const OVER_BUDGET: Rule = Rule {
    code: "client-headers-too-large",
    severity: Severity::Error,
    why: "the headers that ALB adds in mode verify do not fit into the 8,000 bytes that a private \
          API of API Gateway takes: every request of this client is refused",
    fix: "issue the client's certificate with an ECDSA key, a shorter subject and fewer extensions",
};

const NEAR_BUDGET: Rule = Rule {
    code: "client-headers-large",
    severity: Severity::Warning,
    why: "a private API of API Gateway takes 8,000 bytes of headers: little is left for those of \
          the request itself, such as a token or cookies",
    fix: "issue the client's certificate with an ECDSA key, a shorter subject and fewer extensions",
};

const PASSTHROUGH: Rule = Rule {
    code: "client-passthrough-too-large",
    severity: Severity::Warning,
    why: "in mode passthrough ALB adds the whole chain that the client sends, and a private API of \
          API Gateway takes 8,000 bytes of headers: every request of this client is refused",
    fix: "use mode verify, have the client send a shorter chain, or use ECDSA keys",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    VERSION,
    KEY,
    SIGNATURE,
    PURPOSE,
    KEY_USAGE,
    IS_CA,
    SERIAL,
    DATES.expired,
    DATES.not_yet_valid,
    DATES.expiring,
    UNTRUSTED,
    DEPTH,
    PATH_LENGTH,
    REVOKED,
    REFUSED,
    MESSAGE,
    OVER_BUDGET,
    NEAR_BUDGET,
    PASSTHROUGH,
];

/// Checks what a client presents, its own certificate first, against a trust store.
///
/// An empty bundle stands for one that is not known: then nothing is said about trust.
pub fn lint_client(
    presented: &[Certificate],
    bundle: &Bundle,
    crls: &[impl Borrow<Crl>],
    now: OffsetDateTime,
) -> Vec<Finding> {
    let Some(leaf) = presented.first() else {
        return Vec::new();
    };
    let alone = [
        version(&VERSION, leaf),
        key(&KEY, leaf, 2048..=8192),
        signature(&SIGNATURE, leaf),
        purpose(leaf),
        key_usage(leaf),
        is_a_ca(leaf),
        serial(&SERIAL, leaf),
        DATES.check(leaf, now),
        message_size(presented),
        budget(leaf),
        passthrough(presented),
    ];
    let family = Family::of_all(presented.iter().chain(bundle.certificates()));
    let ancestors = family.ancestors(0);
    let trust = [
        untrusted(leaf, bundle, &ancestors),
        depth(leaf, family.depth(0)),
        path_length(leaf, &ancestors),
    ];
    let revoked = std::iter::once(leaf).chain(ancestors.iter().map(|above| above.certificate));
    let revoked = revoked.filter_map(|certificate| revoked_by(leaf, certificate, crls));
    let alone = alone.into_iter().flatten();
    let mut findings: Vec<Finding> = alone
        .chain(extension::lint_leaf(leaf))
        .chain(trust.into_iter().flatten())
        .chain(revoked)
        .collect();
    if findings.iter().all(|one| one.severity < Severity::Error) {
        findings.extend(refused(presented, bundle, now));
    }
    findings
}

/// Finds certificates for other purposes.
fn purpose(leaf: &Certificate) -> Option<Finding> {
    let message = format!(
        "its extendedKeyUsage ({}) leaves out clientAuth",
        purposes(leaf)
    );
    (!leaf.allows_purpose("clientAuth")).then(|| PURPOSE.certificate(leaf, message))
}

/// Finds keys that may not sign a handshake.
fn key_usage(leaf: &Certificate) -> Option<Finding> {
    let message = format!(
        "its keyUsage ({}) leaves out digitalSignature",
        usages(leaf)
    );
    let refused = !leaf.allows_key_usage("digitalSignature");
    refused.then(|| KEY_USAGE.certificate(leaf, message))
}

/// Finds CAs that are used as clients.
fn is_a_ca(leaf: &Certificate) -> Option<Finding> {
    let message = "its basicConstraints say CA:TRUE";
    (leaf.is_ca == Some(true)).then(|| IS_CA.certificate(leaf, message))
}

/// Finds chains too large for a handshake.
fn message_size(presented: &[Certificate]) -> Option<Finding> {
    let (leaf, sent) = presented.split_first()?;
    let size = message_bytes(leaf, sent);
    let message = format!("it is sent with a chain of {size} bytes, of at most {MAXIMUM_MESSAGE}");
    (size > MAXIMUM_MESSAGE).then(|| MESSAGE.certificate(leaf, message))
}

/// Finds certificates whose headers leave too little room, or none.
fn budget(leaf: &Certificate) -> Option<Finding> {
    let size = wire_length(&verify_headers(leaf));
    let message = format!("mode verify adds {size} bytes of headers, of {HEADER_BUDGET}");
    if size > HEADER_BUDGET {
        return Some(OVER_BUDGET.certificate(leaf, message));
    }
    (size + HEADROOM > HEADER_BUDGET).then(|| NEAR_BUDGET.certificate(leaf, message))
}

/// Finds chains too large for mode passthrough.
fn passthrough(presented: &[Certificate]) -> Option<Finding> {
    let size = passthrough_header(presented).wire_length();
    let message = format!("mode passthrough adds a header of {size} bytes, of {HEADER_BUDGET}");
    (size > HEADER_BUDGET).then(|| PASSTHROUGH.certificate(&presented[0], message))
}

/// Finds clients that no certificate of the bundle vouches for.
fn untrusted(leaf: &Certificate, bundle: &Bundle, above: &[Ancestor<'_>]) -> Option<Finding> {
    let certificates = bundle.certificates();
    let is_trusted = |certificate: &Certificate| bundle.contains(certificate.fingerprint);
    if certificates.is_empty()
        || is_trusted(leaf)
        || above.iter().any(|above| is_trusted(above.certificate))
    {
        return None;
    }
    let highest = above.last().map_or(leaf, |above| above.certificate);
    let named = certificates
        .iter()
        .any(|ca| ca.subject.matches(&highest.issuer));
    let message = if named {
        format!(
            "{} is in the bundle, but its key did not sign {}",
            highest.issuer, highest.subject
        )
    } else {
        format!("the issuer {} is not in the bundle", highest.issuer)
    };
    Some(UNTRUSTED.certificate(leaf, message))
}

/// Finds clients too far from their root.
fn depth(leaf: &Certificate, above: usize) -> Option<Finding> {
    let length = above + 1;
    let message = format!("its chain has {length} certificates, of at most {MAXIMUM_DEPTH}");
    (length > MAXIMUM_DEPTH).then(|| DEPTH.certificate(leaf, message))
}

/// Finds chains that a CA above forbids.
fn path_length(leaf: &Certificate, above: &[Ancestor<'_>]) -> Option<Finding> {
    let above = above.iter().find(|above| above.forbids(0))?;
    let message = format!(
        "{}, {} certificates above it, has pathlen:{}",
        above.certificate.subject,
        above.distance,
        above.certificate.path_len.unwrap_or_default()
    );
    Some(PATH_LENGTH.certificate(leaf, message))
}

/// Finds what no rule of its own tells, by judging the chain as `trust check` does.
///
/// CRLs have a rule of their own. So has a chain without a root, which AWS may accept or not.
fn refused(presented: &[Certificate], bundle: &Bundle, now: OffsetDateTime) -> Option<Finding> {
    let (leaf, sent) = presented.split_first()?;
    if bundle.certificates().is_empty() {
        return None;
    }
    let trusted = Trusted { bundle, crls: &[] };
    let refusal = check_client(leaf, sent, trusted, &CheckOptions::at(now)).refusal?;
    let message = format!("{}: {}", refusal.reason, refusal.message);
    (refusal.reason != Reason::Untrusted).then(|| REFUSED.certificate(leaf, message))
}

/// Finds certificates of the chain that a CRL lists.
fn revoked_by(
    leaf: &Certificate,
    certificate: &Certificate,
    crls: &[impl Borrow<Crl>],
) -> Option<Finding> {
    let mut crls = crls.iter().map(Borrow::borrow);
    let crl = crls.find(|crl: &&Crl| crl.revokes(certificate))?;
    let serial = certificate.serial;
    let message = if certificate == leaf {
        format!("its serial {serial} is on the CRL of {}", crl.issuer)
    } else {
        let subject = &certificate.subject;
        format!(
            "{subject}, above it, is on the CRL of {} ({serial})",
            crl.issuer
        )
    };
    Some(REVOKED.certificate(leaf, message))
}

#[cfg(test)]
mod tests {
    use rcgen::{DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, SerialNumber};
    use time::Duration;

    use super::*;
    use crate::trust::fixtures::{Authority, NOW};
    use crate::trust::lint::testing::codes;

    fn lint(presented: &[Certificate], cas: &[&Authority], crls: &[Crl]) -> Vec<Finding> {
        let bundle: Bundle = cas.iter().map(|ca| ca.certificate()).collect();
        lint_client(presented, &bundle, crls, NOW)
    }

    #[test]
    fn an_ordinary_client_is_clean() {
        let root = Authority::new("Root");
        assert_eq!(lint(&[root.client(7)], &[&root], &[root.crl(&[8])]), []);
        assert_eq!(lint(&[root.client(7)], &[], &[]), []);
    }

    #[test]
    fn purposes_and_usages_are_looked_at() {
        let root = Authority::new("Root");
        let client = root.client_with(7, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.serial_number = Some(SerialNumber::from_slice(&[0x7f; 21]));
        });
        let findings = lint(&[client], &[&root], &[]);
        assert_eq!(
            codes(&findings),
            [
                "client-purpose",
                "client-key-usage",
                "client-is-a-ca",
                "client-serial"
            ]
        );
        assert_eq!(
            findings[3].message,
            "its serial number has 21 octets, of at most 20"
        );
    }

    #[test]
    fn dates_and_keys_are_looked_at() {
        let root = Authority::new("Root");
        let at = |days| {
            let client =
                root.client_with(7, |params| params.not_after = NOW + Duration::days(days));
            codes(&lint(&[client], &[&root], &[]))
        };
        assert_eq!(at(-1), ["client-expired"]);
        assert_eq!(at(29), ["client-expiring"]);
        assert_eq!(at(30), [""; 0]);
        let old = Authority::with_algorithm("Old", &rcgen::PKCS_ED25519);
        assert_eq!(
            codes(&lint(&[old.client(7)], &[&old], &[])),
            ["client-signature-weak"]
        );
    }

    #[test]
    fn trust_needs_a_chain_to_the_bundle() {
        let root = Authority::new("Root");
        let below = root.intermediate("Below");
        let client = below.client(7);
        let untrusted = lint(std::slice::from_ref(&client), &[&root], &[]);
        assert_eq!(codes(&untrusted), ["client-untrusted"]);
        assert_eq!(
            untrusted[0].message,
            "the issuer CN=Below is not in the bundle"
        );
        let sent = [client.clone(), below.certificate()];
        assert_eq!(lint(&sent, &[&root], &[]), []);
        assert_eq!(lint(&[client], &[&root, &below], &[]), []);
        let namesake = Authority::new("Root");
        let findings = lint(&sent, &[&namesake], &[]);
        assert_eq!(
            findings[0].message,
            "CN=Root is in the bundle, but its key did not sign CN=Below"
        );
    }

    #[test]
    fn chains_are_short_and_keep_to_their_pathlen() {
        let one = Authority::with("1", |params| {
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(1));
        });
        let two = one.intermediate("2");
        let three = two.intermediate("3");
        let four = three.intermediate("4");
        let all = [&one, &two, &three, &four];
        assert_eq!(lint(&[two.client(7)], &all, &[]), []);
        assert_eq!(
            codes(&lint(&[three.client(7)], &all, &[])),
            ["client-path-length"]
        );
        assert_eq!(
            codes(&lint(&[four.client(7)], &all, &[])),
            ["client-chain-deep", "client-path-length"]
        );
    }

    #[test]
    fn a_revoked_client_or_intermediate_is_found() {
        let root = Authority::new("Root");
        let below = root.intermediate("Below");
        let client = below.client(7);
        let cas = [&root, &below];
        let findings = lint(std::slice::from_ref(&client), &cas, &[below.crl(&[7])]);
        assert_eq!(codes(&findings), ["client-revoked"]);
        assert_eq!(
            findings[0].message,
            "its serial 07 is on the CRL of CN=Below"
        );

        let mut crl = root.crl(&[1]);
        crl.serials = vec![below.certificate().serial];
        let findings = lint(&[client], &cas, &[crl]);
        assert_eq!(codes(&findings), ["client-revoked"]);
        assert!(
            findings[0]
                .message
                .starts_with("CN=Below, above it, is on the CRL of CN=Root")
        );
    }

    #[test]
    fn what_the_chain_forbids_is_found() {
        let root = Authority::with("Root", |params| {
            params.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".to_owned())],
                excluded_subtrees: Vec::new(),
            });
        });
        let named = |name: &str| {
            root.client_with(7, |params| {
                params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
            })
        };
        assert_eq!(lint(&[named("a.example.com")], &[&root], &[]), []);
        let findings = lint(&[named("a.example.org")], &[&root], &[]);
        assert_eq!(codes(&findings), ["client-refused"]);
        assert!(findings[0].message.starts_with("ClientCertInvalid: "));

        let old = Authority::with("Old", |params| params.not_after = NOW - Duration::hours(1));
        let findings = lint(&[old.client(7)], &[&old], &[]);
        assert_eq!(codes(&findings), ["client-refused"]);
        assert!(findings[0].message.starts_with("ClientCertExpired: "));
    }

    #[test]
    fn the_headers_have_a_budget() {
        let root = Authority::new("Root");
        let named = |length: usize| {
            root.client_with(7, |params| {
                params
                    .distinguished_name
                    .push(DnType::CommonName, "x".repeat(length));
            })
        };
        // The subject counts once as it is and once in base64.
        assert_eq!(codes(&lint(&[named(1_900)], &[&root], &[])), [""; 0]);
        assert_eq!(
            codes(&lint(&[named(2_500)], &[&root], &[])),
            ["client-headers-large"]
        );
        let findings = lint(&[named(3_400)], &[&root], &[]);
        assert_eq!(codes(&findings), ["client-headers-too-large"]);
        assert_eq!(findings[0].severity, Severity::Error);

        let chain = [named(2_000), named(2_000), named(2_000)];
        let findings = lint(&chain, &[&root], &[]);
        assert_eq!(codes(&findings), ["client-passthrough-too-large"]);
    }
}
