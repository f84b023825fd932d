//! Rules for the extensions of certificates, and for what the signed part says of the signature.

use std::net::IpAddr;

use super::{Finding, Rule, Severity};
use crate::trust::certificate::Certificate;
use crate::trust::general_name::{NameConstraints, NameKind, Subtree};

const CONSTRAINTS: Rule = Rule {
    code: "ca-name-constraints",
    severity: Severity::Note,
    why: "the CA may certify only names that its nameConstraints leave (RFC 5280, section \
          4.2.1.10): clients with other names are refused",
    fix: "nothing, if these are the clients' names",
};

const CONSTRAINTS_UNUSUAL: Rule = Rule {
    code: "ca-name-constraints-unusual",
    severity: Severity::Warning,
    why: "verifiers differ here: nameConstraints have to be critical (RFC 5280, section 4.2.1.10), \
          and few understand other kinds than DNS, mail, address, URI and directory names",
    fix: "issue the CA certificate again with critical nameConstraints of the usual kinds",
};

const CONTRADICTION: Rule = Rule {
    code: "ca-name-constraints-contradict",
    severity: Severity::Warning,
    why: "what is permitted is excluded as well, and exclusion counts: no client with a name of \
          the kind is accepted",
    fix: "issue the CA certificate again with nameConstraints that leave something",
};

const UNKNOWN: Rule = Rule {
    code: "ca-unknown-extension",
    severity: Severity::Warning,
    why: "a certificate with a critical extension that is not understood must be refused (RFC 5280, \
          section 4.2); AWS does not say which it understands",
    fix: "issue the CA certificate again without the extension, or with it not critical",
};

const MALFORMED: Rule = Rule {
    code: "ca-extension-malformed",
    severity: Severity::Warning,
    why: "verifiers refuse certificates whose extensions do not follow RFC 5280, or read them in \
          different ways",
    fix: "have the CA certificate issued again by software that keeps to RFC 5280",
};

const DISAGREE: Rule = Rule {
    code: "ca-signature-algorithms-differ",
    severity: Severity::Warning,
    why: "both fields must name one algorithm (RFC 5280, section 4.1.1.2); verifiers refuse the \
          certificate as damaged",
    fix: "fetch or issue the CA certificate again",
};

const KEY_IDENTIFIER: Rule = Rule {
    code: "ca-key-identifier-mismatch",
    severity: Severity::Warning,
    why: "verifiers that look the issuer up by key identifier, as OpenSSL does, do not find it, \
          although its key made the signature",
    fix: "issue the certificate again, with the issuer's present subjectKeyIdentifier in it",
};

const CLIENT_UNKNOWN: Rule = Rule {
    code: "client-unknown-extension",
    severity: Severity::Error,
    why: "a certificate with a critical extension that is not understood must be refused (RFC 5280, \
          section 4.2): the client gets ClientCertInvalid",
    fix: "issue the certificate again without the extension, or with it not critical",
};

const CLIENT_MALFORMED: Rule = Rule {
    code: "client-extension-malformed",
    severity: Severity::Warning,
    why: "verifiers refuse certificates whose extensions do not follow RFC 5280, or read them in \
          different ways",
    fix: "have the certificate issued again by software that keeps to RFC 5280",
};

const CLIENT_DISAGREE: Rule = Rule {
    code: "client-signature-algorithms-differ",
    severity: Severity::Error,
    why: "both fields must name one algorithm (RFC 5280, section 4.1.1.2): the client is refused \
          with ClientCertInvalid",
    fix: "issue the certificate again",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    CONSTRAINTS,
    CONSTRAINTS_UNUSUAL,
    CONTRADICTION,
    UNKNOWN,
    MALFORMED,
    DISAGREE,
    KEY_IDENTIFIER,
    CLIENT_UNKNOWN,
    CLIENT_MALFORMED,
    CLIENT_DISAGREE,
];

/// Checks the extensions of a CA certificate.
pub(super) fn lint_ca(certificate: &Certificate) -> Vec<Finding> {
    let general = [
        unknown(&UNKNOWN, certificate),
        malformed(&MALFORMED, certificate),
        disagree(&DISAGREE, certificate),
    ];
    let constraints = certificate.extensions.name_constraints.as_ref();
    let constraints = constraints.into_iter().flat_map(|constraints| {
        [
            Some(limits(certificate, constraints)),
            unusual(certificate, constraints),
            contradiction(certificate, constraints),
        ]
    });
    general.into_iter().chain(constraints).flatten().collect()
}

/// Checks the extensions of a client's certificate.
pub(super) fn lint_leaf(certificate: &Certificate) -> Vec<Finding> {
    let found = [
        unknown(&CLIENT_UNKNOWN, certificate),
        malformed(&CLIENT_MALFORMED, certificate),
        disagree(&CLIENT_DISAGREE, certificate),
    ];
    found.into_iter().flatten().collect()
}

/// Finds certificates that name another key than that of any of the issuers which signed them.
pub(super) fn key_identifier(
    certificate: &Certificate,
    issuers: &[&Certificate],
) -> Option<Finding> {
    let named = certificate.extensions.authority_key_identifier.as_ref()?;
    let mut identifiers = issuers
        .iter()
        .map(|issuer| issuer.extensions.subject_key_identifier.as_ref());
    let misleads = !issuers.is_empty()
        && identifiers.all(|identifier| identifier.is_some_and(|identifier| identifier != named));
    let message = format!(
        "its authorityKeyIdentifier is not the subjectKeyIdentifier of its issuer, {}",
        certificate.issuer
    );
    misleads.then(|| KEY_IDENTIFIER.certificate(certificate, message))
}

/// Finds critical extensions that are not understood.
fn unknown(rule: &Rule, certificate: &Certificate) -> Option<Finding> {
    let unknown = certificate.extensions.unknown_critical.join(", ");
    let message = format!("it has critical extensions that are not understood: {unknown}");
    (!unknown.is_empty()).then(|| rule.certificate(certificate, message))
}

/// Finds extensions that are wrongly encoded, or there twice.
fn malformed(rule: &Rule, certificate: &Certificate) -> Option<Finding> {
    let extensions = &certificate.extensions;
    let malformed = extensions.malformed.iter();
    let malformed = malformed.map(|name| format!("{name} is not encoded as it should be"));
    let twice = extensions.duplicates.iter();
    let twice = twice.map(|name| format!("{name} occurs more than once"));
    let message = malformed.chain(twice).collect::<Vec<_>>().join(", ");
    (!message.is_empty()).then(|| rule.certificate(certificate, message))
}

/// Finds certificates that name two signature algorithms.
fn disagree(rule: &Rule, certificate: &Certificate) -> Option<Finding> {
    let message = format!(
        "it is signed with {}, but what is signed names another algorithm",
        certificate.signature_algorithm
    );
    let differ = !certificate.signature_algorithms_agree;
    differ.then(|| rule.certificate(certificate, message))
}

/// Tells what the names of clients are limited to.
fn limits(certificate: &Certificate, constraints: &NameConstraints) -> Finding {
    let part = |word: &str, subtrees: &[Subtree]| {
        let names = subtrees.iter().map(|one| format!("{} {one}", one.kind()));
        let names = names.collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| format!("{word} {names}"))
    };
    let parts = [
        part("permits only", &constraints.permitted),
        part("excludes", &constraints.excluded),
    ];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    CONSTRAINTS.certificate(certificate, format!("it {parts}"))
}

/// Finds constraints that not every verifier heeds.
fn unusual(certificate: &Certificate, constraints: &NameConstraints) -> Option<Finding> {
    let all = constraints.permitted.iter().chain(&constraints.excluded);
    let unsupported = all.filter(|subtree| matches!(subtree, Subtree::Unsupported(_)));
    let mut parts: Vec<String> = unsupported
        .map(|subtree| format!("they are about {}", subtree.kind()))
        .collect();
    parts.dedup();
    if !constraints.critical {
        parts.push("they are not critical".to_owned());
    }
    let message = format!("its nameConstraints are unusual: {}", parts.join(", "));
    (!parts.is_empty()).then(|| CONSTRAINTS_UNUSUAL.certificate(certificate, message))
}

/// Finds kinds of names of which nothing is left.
fn contradiction(certificate: &Certificate, constraints: &NameConstraints) -> Option<Finding> {
    let kinds = [
        NameKind::Dns,
        NameKind::Email,
        NameKind::Uri,
        NameKind::Ip,
        NameKind::Directory,
    ];
    let nothing_left = |kind: &NameKind| {
        let permitted = constraints.permitted.iter();
        let mut permitted = permitted.filter(|one| one.kind() == *kind).peekable();
        let is_excluded = |one: &Subtree| constraints.excluded.iter().any(|all| within(one, all));
        permitted.peek().is_some() && permitted.all(is_excluded)
    };
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|kind| nothing_left(kind))
        .map(ToString::to_string)
        .collect();
    let message = format!(
        "every {} that it permits is also excluded",
        kinds.join(" and ")
    );
    (!kinds.is_empty()).then(|| CONTRADICTION.certificate(certificate, message))
}

/// Says whether one name space lies within another, where that is certain.
fn within(inner: &Subtree, outer: &Subtree) -> bool {
    match (inner, outer) {
        (Subtree::Dns(inner), Subtree::Dns(outer)) => {
            let (inner, outer) = (inner.to_ascii_lowercase(), outer.to_ascii_lowercase());
            let below = format!(".{}", outer.trim_start_matches('.'));
            outer.is_empty() || inner == outer || inner.ends_with(&below)
        }
        (Subtree::Email(inner), Subtree::Email(outer))
        | (Subtree::Uri(inner), Subtree::Uri(outer)) => {
            let (inner, outer) = (inner.to_ascii_lowercase(), outer.to_ascii_lowercase());
            // Only with a leading period are the hosts below meant.
            inner == outer || (outer.starts_with('.') && inner.ends_with(&outer))
        }
        (
            Subtree::Ip { address, prefix },
            Subtree::Ip {
                address: outer,
                prefix: wider,
            },
        ) => wider <= prefix && bits(*address, *wider) == bits(*outer, *wider),
        (Subtree::Directory(inner), Subtree::Directory(outer)) => inner.matches(outer),
        _ => false,
    }
}

/// Returns the length of an address and as many of its leading bits.
fn bits(address: IpAddr, count: u8) -> (u32, u128) {
    let (width, value) = match address {
        IpAddr::V4(address) => (32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    };
    let dropped = width - u32::from(count).min(width);
    (width, value.checked_shr(dropped).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CidrSubnet, CustomExtension, GeneralSubtree, KeyPair};

    use super::*;
    use crate::trust::fixtures::{Authority, NOW};
    use crate::trust::lint::testing::codes;
    use crate::trust::lint::{lint_bundle, lint_client};

    fn lint(change: impl FnOnce(&mut CertificateParams)) -> Vec<Finding> {
        let root = Authority::with("Root", change).certificate();
        lint_bundle(&[root].into_iter().collect(), NOW)
    }

    fn dns(name: &str) -> GeneralSubtree {
        GeneralSubtree::DnsName(name.to_owned())
    }

    fn constrained(permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>) -> Vec<Finding> {
        lint(|params| {
            params.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: permitted,
                excluded_subtrees: excluded,
            });
        })
    }

    #[test]
    fn name_constraints_are_told() {
        let findings = constrained(vec![dns("example.com")], vec![dns("old.example.com")]);
        assert_eq!(codes(&findings), ["ca-name-constraints"]);
        assert_eq!(findings[0].severity, Severity::Note);
        assert_eq!(
            findings[0].message,
            "it permits only dNSName example.com; excludes dNSName old.example.com"
        );
    }

    #[test]
    fn constraints_that_leave_nothing_are_a_warning() {
        let both = ["ca-name-constraints", "ca-name-constraints-contradict"];
        let findings = constrained(vec![dns("a.Example.com")], vec![dns("example.COM")]);
        assert_eq!(codes(&findings), both);
        let net = |last, prefix| {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                [192, 0, 2, last].into(),
                prefix,
            ))
        };
        assert_eq!(
            codes(&constrained(vec![net(128, 25)], vec![net(0, 24)])),
            both
        );
        assert_eq!(
            codes(&constrained(vec![net(0, 24)], vec![net(0, 25)])).len(),
            1
        );
        let mail = |name: &str| GeneralSubtree::Rfc822Name(name.to_owned());
        let left = constrained(vec![mail("a.example.com")], vec![mail("example.com")]);
        assert_eq!(left.len(), 1);
        let two = constrained(
            vec![dns("a.example"), dns("b.example")],
            vec![dns("a.example")],
        );
        assert_eq!(two.len(), 1);
    }

    #[test]
    fn critical_and_damaged_extensions_are_told_of_cas_and_clients() {
        let change = |params: &mut CertificateParams| {
            let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
            unknown.set_criticality(true);
            let malformed = CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![1]);
            params.custom_extensions = vec![unknown, malformed];
        };
        let findings = lint(change);
        assert_eq!(
            codes(&findings),
            ["ca-unknown-extension", "ca-extension-malformed"]
        );
        assert!(findings[0].message.ends_with("1.2.3"));

        let root = Authority::new("Root");
        let client = root.client_with(7, change);
        let bundle = [root.certificate()].into_iter().collect();
        let findings = lint_client(&[client], &bundle, &[] as &[crate::trust::Crl], NOW);
        assert_eq!(
            codes(&findings),
            ["client-unknown-extension", "client-extension-malformed"]
        );
    }

    #[test]
    fn two_signature_algorithms_are_not_one() {
        let mut root = Authority::new("Root").certificate();
        root.signature_algorithms_agree = false;
        let findings = lint_bundle(&[root].into_iter().collect(), NOW);
        assert_eq!(codes(&findings), ["ca-signature-algorithms-differ"]);
    }

    #[test]
    fn an_issuer_is_named_by_its_present_key_identifier() {
        let with_identifier = |params: &mut CertificateParams| {
            params.use_authority_key_identifier_extension = true;
        };
        let root = Authority::new("Root");
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Below");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = crate::trust::fixtures::EXPIRY;
        with_identifier(&mut params);
        let mut below = root.issue(&params, &key);
        let lint = |below: &Certificate| {
            let both = [root.certificate(), below.clone()];
            codes(&lint_bundle(&both.into_iter().collect(), NOW))
        };
        assert_eq!(lint(&below), [""; 0]);
        below.extensions.authority_key_identifier = Some(vec![1]);
        assert_eq!(lint(&below), ["ca-key-identifier-mismatch"]);
    }
}
