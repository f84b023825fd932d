//! Rules for the CA certificates of a trust store.

use time::OffsetDateTime;

use super::chain::{Family, lint_chains};
use super::{
    Dates, Finding, Rule, Severity, extension, key, purposes, serial, signature, usages, version,
};
use crate::trust::bundle::Bundle;
use crate::trust::certificate::Certificate;

/// The largest CA certificate, as PEM; the quota is fixed.
const MAXIMUM_PEM: usize = 16 * 1024;

/// The default quota of CA certificates in a trust store.
const DEFAULT_CERTIFICATES: usize = 25;

/// The default quota of all subjects of a trust store together, in bytes.
const DEFAULT_SUBJECT_BYTES: usize = 10_000;

const NOT_A_CA: Rule = Rule {
    code: "ca-not-a-ca",
    severity: Severity::Error,
    why: "ALB refuses the whole bundle: \"The basic constraints extension must specify that the \
          certificate is for a CA\"",
    fix: "make the certificate with `basicConstraints = critical, CA:TRUE` (openssl req -x509 \
          -addext does it), or, if it is a client's own certificate, give its issuer instead",
};

const VERSION: Rule = Rule {
    code: "ca-version",
    severity: Severity::Error,
    why: "ALB refuses the whole bundle: only X.509 version 3 is supported",
    fix: "issue the CA certificate again with extensions, which makes it version 3",
};

const KEY: Rule = Rule {
    code: "ca-key-unsupported",
    severity: Severity::Error,
    why: "ALB refuses the whole bundle: it supports RSA keys of 2048 to 8192 bits and ECDSA keys \
          on P-256, P-384 and P-521",
    fix: "issue the CA certificate again with a key of such a kind",
};

const SIGNATURE: Rule = Rule {
    code: "ca-signature-weak",
    severity: Severity::Error,
    why: "ALB refuses the whole bundle: signatures must use SHA-256, SHA-384 or SHA-512 with RSA, \
          RSASSA-PSS or ECDSA, those of roots included",
    fix: "issue the CA certificate again with SHA-256 or better",
};

const SIZE: Rule = Rule {
    code: "ca-too-large",
    severity: Severity::Error,
    why: "ALB refuses the whole bundle: one CA certificate may have 16 KB, and the quota is fixed",
    fix: "issue the CA certificate again with fewer extensions",
};

const NO_CERT_SIGN: Rule = Rule {
    code: "ca-no-cert-sign",
    severity: Severity::Error,
    why: "a CA certificate whose keyUsage leaves out keyCertSign may not issue certificates, so \
          the chains of its clients do not verify",
    fix: "issue the CA certificate again with `keyUsage = critical, keyCertSign, cRLSign`",
};

const PURPOSE: Rule = Rule {
    code: "ca-purpose",
    severity: Severity::Warning,
    why: "an extendedKeyUsage in a CA certificate limits what its certificates may be used for; \
          client certificates below it can be refused with ClientCertPurposeInvalid",
    fix: "use a CA without extendedKeyUsage, or with clientAuth in it",
};

const DATES: Dates = Dates {
    expired: Rule {
        code: "ca-expired",
        severity: Severity::Warning,
        why: "chains through an expired CA certificate do not verify: its clients are refused",
        fix: "replace it by the CA's current certificate, or remove it",
    },
    not_yet_valid: Rule {
        code: "ca-not-yet-valid",
        severity: Severity::Warning,
        why: "until then the CA's clients are refused with ClientCertNotYetValid",
        fix: "keep the CA's present certificate in the bundle until then",
    },
    expiring: Rule {
        code: "ca-expiring",
        severity: Severity::Warning,
        why: "from then on the CA's clients are refused, whatever the dates of their own certificates",
        fix: "add the CA's next certificate to the bundle now; both may be in it",
    },
};

const SERIAL: Rule = Rule {
    code: "ca-serial",
    severity: Severity::Warning,
    why: "serials are positive and have at most 20 octets (RFC 5280, section 4.1.2.2); ALB cannot \
          revoke a negative one",
    fix: "issue the CA certificate again with a random positive serial of at most 20 octets",
};

const COUNT: Rule = Rule {
    code: "bundle-too-many-certificates",
    severity: Severity::Warning,
    why: "with the default quota ALB answers InvalidCaCertificatesBundle: \"The CA certificates \
          bundle has too many certificates\"",
    fix: "remove CAs that issue no client certificates, or have the quota L-43FE5A42 raised",
};

const SUBJECT_BYTES: Rule = Rule {
    code: "bundle-subjects-too-large",
    severity: Severity::Warning,
    why: "with the default quota ALB answers InvalidCaCertificatesBundle",
    fix: "remove CAs that issue no client certificates, or have the quota L-F31E307C raised",
};

const NOTHING_VALID: Rule = Rule {
    code: "bundle-nothing-valid",
    severity: Severity::Warning,
    why: "while no CA certificate is valid no chain verifies: every client is refused",
    fix: "add a CA certificate that is valid now",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    NOT_A_CA,
    VERSION,
    KEY,
    SIGNATURE,
    SIZE,
    NO_CERT_SIGN,
    PURPOSE,
    SERIAL,
    DATES.expired,
    DATES.not_yet_valid,
    DATES.expiring,
    COUNT,
    SUBJECT_BYTES,
    NOTHING_VALID,
];

/// Checks everything that goes into a trust store, certificate by certificate and as a whole.
pub fn lint_bundle(bundle: &Bundle, now: OffsetDateTime) -> Vec<Finding> {
    let family = Family::of(bundle);
    let each = bundle.certificates().iter().enumerate();
    let each = each.flat_map(|(index, certificate)| {
        let alone = [
            not_a_ca(certificate),
            version(&VERSION, certificate),
            key(&KEY, certificate, 2048..=8192),
            signature(&SIGNATURE, certificate),
            size(certificate),
            no_cert_sign(certificate),
            purpose(certificate),
            serial(&SERIAL, certificate),
            DATES.check(certificate, now),
        ];
        alone
            .into_iter()
            .flatten()
            .chain(extension::lint_ca(certificate))
            .chain(lint_chains(&family, index))
    });
    let whole = [
        count(bundle),
        subject_bytes(bundle),
        nothing_valid(bundle, now),
    ];
    each.chain(whole.into_iter().flatten()).collect()
}

/// Finds certificates that are not for a CA, by far the commonest mistake.
fn not_a_ca(certificate: &Certificate) -> Option<Finding> {
    let message = match certificate.is_ca {
        Some(true) => return None,
        Some(false) => "its basicConstraints say CA:FALSE",
        None => "it has no basicConstraints extension, which is what makes a certificate a CA's",
    };
    Some(NOT_A_CA.certificate(certificate, message))
}

/// Finds certificates that are too large.
fn size(certificate: &Certificate) -> Option<Finding> {
    let size = certificate.pem().len();
    let message = format!("it has {size} bytes as PEM, of at most {MAXIMUM_PEM}");
    (size > MAXIMUM_PEM).then(|| SIZE.certificate(certificate, message))
}

/// Finds CAs that may not sign certificates.
fn no_cert_sign(certificate: &Certificate) -> Option<Finding> {
    let usages = usages(certificate);
    let message = format!("its keyUsage ({usages}) leaves out keyCertSign");
    let refused = is_ca(certificate) && !certificate.allows_key_usage("keyCertSign");
    refused.then(|| NO_CERT_SIGN.certificate(certificate, message))
}

/// Finds CAs that are limited to other purposes.
fn purpose(certificate: &Certificate) -> Option<Finding> {
    let purposes = purposes(certificate);
    let message = format!("its extendedKeyUsage ({purposes}) leaves out clientAuth");
    let limited = is_ca(certificate) && !certificate.allows_purpose("clientAuth");
    limited.then(|| PURPOSE.certificate(certificate, message))
}

/// Counts the certificates.
fn count(bundle: &Bundle) -> Option<Finding> {
    let count = bundle.certificates().len();
    let message =
        format!("it has {count} certificates; the default quota is {DEFAULT_CERTIFICATES}");
    (count > DEFAULT_CERTIFICATES).then(|| COUNT.whole("the bundle", message))
}

/// Adds up the subjects, in DER, the longest form that the quota can mean.
fn subject_bytes(bundle: &Bundle) -> Option<Finding> {
    let certificates = bundle.certificates().iter();
    let bytes: usize = certificates
        .map(|certificate| certificate.subject.as_der().len())
        .sum();
    let message = format!(
        "its subjects have {bytes} bytes together; the default quota is {DEFAULT_SUBJECT_BYTES}"
    );
    (bytes > DEFAULT_SUBJECT_BYTES).then(|| SUBJECT_BYTES.whole("the bundle", message))
}

/// Finds bundles of which nothing is valid; of a single certificate its own finding says it.
fn nothing_valid(bundle: &Bundle, now: OffsetDateTime) -> Option<Finding> {
    let certificates = bundle.certificates();
    let mut windows = certificates.iter().map(|ca| ca.not_before..=ca.not_after);
    let found = certificates.len() > 1 && !windows.any(|window| window.contains(&now));
    let message = format!(
        "none of its {} certificates is valid now",
        certificates.len()
    );
    found.then(|| NOTHING_VALID.whole("the bundle", message))
}

/// Says whether it is a CA certificate at all; what is none gets only that finding.
pub(super) fn is_ca(certificate: &Certificate) -> bool {
    certificate.is_ca == Some(true)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
    use time::Duration;

    use super::*;
    use crate::trust::crl::Crl;
    use crate::trust::fixtures::{Authority, EXPIRY, NOW};
    use crate::trust::lint::lint_crls;
    use crate::trust::lint::testing::codes;

    fn lint(certificates: &[&Certificate]) -> Vec<Finding> {
        let bundle: Bundle = certificates.iter().copied().cloned().collect();
        lint_bundle(&bundle, NOW)
    }

    fn lint_root(change: impl FnOnce(&mut CertificateParams)) -> Vec<&'static str> {
        codes(&lint(&[&Authority::with("Root", change).certificate()]))
    }

    /// Replaces bytes of the DER by as many others; the signature does not fit any more.
    fn patched(certificate: &Certificate, from: &[u8], to: &[u8]) -> Certificate {
        assert_eq!(from.len(), to.len());
        let mut der = certificate.der.clone();
        let mut found = 0;
        for start in 0..der.len() - from.len() {
            if der[start..].starts_with(from) {
                der[start..start + from.len()].copy_from_slice(to);
                found += 1;
            }
        }
        assert!(found > 0);
        Certificate::from_der(&der).unwrap()
    }

    #[test]
    fn a_complete_chain_is_clean() {
        let root = Authority::new("Root");
        let below = root.intermediate("Intermediate");
        assert_eq!(lint(&[&below.certificate(), &root.certificate()]), []);
    }

    #[test]
    fn what_is_no_ca_is_explained() {
        let findings = lint(&[&Authority::leaf("Root").certificate()]);
        assert_eq!(codes(&findings), ["ca-not-a-ca"]);
        assert_eq!(findings[0].severity, Severity::Error);
        assert!(findings[0].message.contains("no basicConstraints"));
        assert!(
            findings[0]
                .why
                .contains("must specify that the certificate is for a CA")
        );

        let explicit = Authority::with("Root", |params| params.is_ca = IsCa::ExplicitNoCa);
        let findings = lint(&[&explicit.certificate()]);
        assert_eq!(findings[0].message, "its basicConstraints say CA:FALSE");
    }

    #[test]
    fn old_versions_signatures_and_keys_are_errors() {
        let root = Authority::new("Root").certificate();
        let first = patched(&root, &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 0]);
        assert!(codes(&lint(&[&first])).contains(&"ca-version"));

        let rsa = Authority::with_algorithm("Root", &rcgen::PKCS_RSA_SHA256).certificate();
        assert_eq!(lint(&[&rsa]), []);
        let pkcs1 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
        let sha1 = patched(
            &rsa,
            &[&pkcs1[..], &[11]].concat(),
            &[&pkcs1[..], &[5]].concat(),
        );
        let findings = lint(&[&sha1]);
        assert_eq!(codes(&findings), ["ca-signature-weak"]);
        assert_eq!(findings[0].message, "it is signed with RSA with SHA-1");

        let ed25519 = Authority::with_algorithm("Root", &rcgen::PKCS_ED25519).certificate();
        assert_eq!(
            codes(&lint(&[&ed25519])),
            ["ca-key-unsupported", "ca-signature-weak"]
        );
    }

    #[test]
    fn usages_are_looked_at() {
        let without = |params: &mut CertificateParams| {
            params.key_usages = vec![KeyUsagePurpose::CrlSign];
        };
        assert_eq!(lint_root(without), ["ca-no-cert-sign"]);
        let server_only = |params: &mut CertificateParams| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        };
        assert_eq!(lint_root(server_only), ["ca-purpose"]);
        assert_eq!(lint_root(|params| params.key_usages.clear()), [""; 0]);
    }

    #[test]
    fn dates_are_warnings() {
        let expired = lint_root(|params| params.not_after = NOW - Duration::seconds(1));
        assert_eq!(expired, ["ca-expired"]);
        let future = lint_root(|params| params.not_before = NOW + Duration::hours(1));
        assert_eq!(future, ["ca-not-yet-valid"]);
        let soon = Authority::with("Root", |params| params.not_after = NOW + Duration::days(29));
        let findings = lint(&[&soon.certificate()]);
        assert_eq!(codes(&findings), ["ca-expiring"]);
        assert_eq!(findings[0].message, "it expires on 2026-01-30, in 29 days");
        assert_eq!(
            lint_root(|params| params.not_after = NOW + Duration::days(30)),
            [""; 0]
        );
    }

    #[test]
    fn the_same_name_with_another_key_is_a_warning() {
        let (one, two) = (Authority::new("Root"), Authority::new("Root"));
        let findings = lint(&[&one.certificate(), &two.certificate()]);
        assert_eq!(codes(&findings), ["ca-duplicate-subject"]);
        assert_eq!(findings[0].fingerprint, Some(two.certificate().fingerprint));
    }

    #[test]
    fn a_chain_should_reach_its_root_and_not_be_long() {
        let one = Authority::new("1");
        let two = one.intermediate("2");
        let three = two.intermediate("3");
        let four = three.intermediate("4");
        assert_eq!(codes(&lint(&[&two.certificate()])), ["ca-root-missing"]);
        let all = [&one, &two, &three, &four].map(Authority::certificate);
        let findings = lint(&all.each_ref());
        assert_eq!(codes(&findings), ["ca-chain-deep"]);
        assert_eq!(findings[0].subject, "CN=4");
    }

    #[test]
    fn a_ca_below_pathlen_0_is_a_warning() {
        let root = Authority::with("Root", |params| {
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        });
        assert_eq!(lint(&[&root.certificate()]), []);
        let below = root.intermediate("Intermediate");
        let findings = lint(&[&root.certificate(), &below.certificate()]);
        assert_eq!(codes(&findings), ["ca-path-length"]);
        assert_eq!(findings[0].subject, "CN=Intermediate");
    }

    #[test]
    fn the_example_of_the_documentation_is_clean() {
        let root = include_bytes!("../../../examples/petstore/root_cert.pem");
        let crl = include_bytes!("../../../examples/petstore/root.crl");
        let bundle = Bundle::from_bytes(&[("root_cert.pem", root)]).unwrap();
        let crls = Crl::all_from_bytes(crl).unwrap();
        let now = crls[0].this_update;
        assert_eq!(lint_bundle(&bundle, now), []);
        assert_eq!(lint_crls(&crls, &bundle, now), []);
        assert_eq!(
            bundle.certificates()[0].subject.as_str(),
            "CN=Petstore Root CA"
        );
        assert_eq!((crls[0].entries, crls[0].serials.len()), (1, 1));
        assert_eq!(bundle.pem().as_bytes(), root);
        assert_eq!(crls[0].pem().as_bytes(), crl);
    }

    #[test]
    fn sizes_and_counts_are_given_with_their_quota() {
        let key = KeyPair::generate().unwrap();
        let root = Authority::new("Root");
        let many: Vec<Certificate> = (0..26)
            .map(|index| Authority::new(&format!("Root {index}")).certificate())
            .collect();
        let findings = lint(&many.iter().collect::<Vec<_>>());
        assert_eq!(codes(&findings), ["bundle-too-many-certificates"]);
        assert_eq!(
            findings[0].message,
            "it has 26 certificates; the default quota is 25"
        );

        let wide = ["x", "y"].map(|letter| Authority::new(&letter.repeat(5_000)).certificate());
        assert_eq!(
            codes(&lint(&wide.each_ref())),
            ["bundle-subjects-too-large"]
        );

        let names: Vec<String> = (0..900)
            .map(|index| format!("{index}.example.com"))
            .collect();
        let mut large = CertificateParams::new(names).unwrap();
        large.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        large.not_after = EXPIRY;
        let large = root.issue(&large, &key);
        assert_eq!(
            codes(&lint(&[&large, &root.certificate()])),
            ["ca-too-large"]
        );
    }
}
