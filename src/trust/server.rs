//! Server certificates: which hosts they are for, and whether their chain is in order.

use super::algorithm::SignatureCheck;
use super::certificate::Certificate;

/// Says whether a name of a certificate, possibly a wildcard, covers a DNS name.
///
/// As in RFC 6125 and at ACM, `*` stands for exactly one label, the leftmost: `*.example.com`
/// covers `api.example.com`, but neither `example.com` nor `a.b.example.com`.
pub fn covers(pattern: &str, dns_name: &str) -> bool {
    let normalise = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let (pattern, dns_name) = (normalise(pattern), normalise(dns_name));
    if pattern == dns_name {
        return !dns_name.is_empty();
    }
    match (pattern.strip_prefix("*."), dns_name.split_once('.')) {
        (Some(parent), Some((label, rest))) => !label.is_empty() && parent == rest,
        _ => false,
    }
}

/// A chain that ACM would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The certificate itself stands in its chain.
    #[error("the chain repeats the certificate {subject}; it must hold its issuers only")]
    HoldsCertificate {
        /// The subject of the certificate.
        subject: String,
    },
    /// A certificate that did not issue the one before it.
    #[error(
        "certificate {position} of the chain ({found}) did not issue the one before it: \
         {before} was issued by {expected}"
    )]
    WrongOrder {
        /// The place in the chain, counted from 1.
        position: usize,
        /// The subject found there.
        found: String,
        /// The subject of the certificate before it.
        before: String,
        /// The issuer of the certificate before it.
        expected: String,
    },
    /// A certificate with the right name but another key.
    #[error(
        "certificate {position} of the chain ({found}) has the name of the issuer of {before}, \
         but its key did not sign it"
    )]
    WrongKey {
        /// The place in the chain, counted from 1.
        position: usize,
        /// The subject found there.
        found: String,
        /// The subject of the certificate before it.
        before: String,
    },
    /// A certificate that has nothing to do with the others.
    #[error(
        "{found} does not belong to the chain: {before}, at which the chain ends, was issued by {expected}"
    )]
    Unrelated {
        /// Its subject.
        found: String,
        /// The subject of the last certificate that belongs to the chain.
        before: String,
        /// The issuer of that one.
        expected: String,
    },
    /// A certificate in the chain that may not issue any.
    #[error("certificate {position} of the chain ({found}) is not a CA certificate")]
    NotACa {
        /// The place in the chain, counted from 1.
        position: usize,
        /// The subject found there.
        found: String,
    },
}

/// Checks that every certificate of the chain certifies the one before it, as ACM demands.
///
/// # Errors
///
/// Names the first certificate that is out of place.
pub fn check_chain(certificate: &Certificate, chain: &[Certificate]) -> Result<(), ChainError> {
    if chain.contains(certificate) {
        let subject = certificate.subject.to_string();
        return Err(ChainError::HoldsCertificate { subject });
    }
    let mut before = certificate;
    for (index, issuer) in chain.iter().enumerate() {
        check_link(before, issuer, index + 1)?;
        before = issuer;
    }
    Ok(())
}

/// Puts the certificates of a server in the order that ACM demands: its issuer, the issuer's issuer, and so on,
/// each once and without the certificate itself.
///
/// # Errors
///
/// A certificate that belongs to no place in the chain.
pub fn arrange_chain(
    certificate: &Certificate,
    given: &[Certificate],
) -> Result<Vec<Certificate>, ChainError> {
    let mut left: Vec<&Certificate> = Vec::new();
    for one in given {
        if one != certificate && !left.contains(&one) {
            left.push(one);
        }
    }
    let mut chain: Vec<Certificate> = Vec::new();
    let mut before = certificate;
    while !left.is_empty() && !is_own_issuer(before) {
        let issued = |issuer: &&Certificate| check_link(before, issuer, chain.len() + 1).is_ok();
        let Some(place) = left.iter().position(issued) else {
            break;
        };
        before = left.remove(place);
        chain.push(before.clone());
    }
    match left.first() {
        None => Ok(chain),
        Some(stray) => Err(misplaced(before, stray, chain.len() + 1)),
    }
}

fn is_own_issuer(certificate: &Certificate) -> bool {
    certificate.is_self_issued() && certificate.signature_by(certificate) != SignatureCheck::Invalid
}

/// Why a certificate cannot come after another one.
fn misplaced(before: &Certificate, stray: &Certificate, position: usize) -> ChainError {
    let unrelated = || ChainError::Unrelated {
        found: stray.subject.to_string(),
        before: before.subject.to_string(),
        expected: before.issuer.to_string(),
    };
    match check_link(before, stray, position) {
        Err(error @ (ChainError::WrongKey { .. } | ChainError::NotACa { .. }))
            if !is_own_issuer(before) =>
        {
            error
        }
        _ => unrelated(),
    }
}

/// Checks one step of the chain.
fn check_link(
    before: &Certificate,
    issuer: &Certificate,
    position: usize,
) -> Result<(), ChainError> {
    let found = issuer.subject.to_string();
    if !before.issuer.matches(&issuer.subject) {
        return Err(ChainError::WrongOrder {
            position,
            found,
            before: before.subject.to_string(),
            expected: before.issuer.to_string(),
        });
    }
    if before.signature_by(issuer) == SignatureCheck::Invalid {
        let before = before.subject.to_string();
        return Err(ChainError::WrongKey {
            position,
            found,
            before,
        });
    }
    if issuer.is_ca != Some(true) {
        return Err(ChainError::NotACa { position, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::trust::fixtures::Authority;

    #[test]
    fn a_wildcard_covers_one_label() {
        for (pattern, name, expected) in [
            ("*.example.com", "a.example.com", true),
            ("*.EXAMPLE.com", "A.example.COM.", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", ".example.com", false),
            ("a.example.com", "a.example.com", true),
            ("a.example.com", "b.example.com", false),
            ("a*.example.com", "ab.example.com", false),
            ("*", "com", false),
            ("", "", false),
        ] {
            assert_eq!(covers(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn each_certificate_must_certify_the_one_before() {
        let root = Authority::new("Root");
        let middle = root.intermediate("Middle");
        let server = middle.server(&["a.example.com"]);
        let (root, middle) = (root.certificate(), middle.certificate());
        assert_eq!(check_chain(&server, &[]), Ok(()));
        assert_eq!(check_chain(&server, slice::from_ref(&middle)), Ok(()));
        assert_eq!(
            check_chain(&server, &[middle.clone(), root.clone()]),
            Ok(())
        );

        let message = |chain: &[Certificate]| check_chain(&server, chain).unwrap_err().to_string();
        assert_eq!(
            message(&[root.clone(), middle.clone()]),
            "certificate 1 of the chain (CN=Root) did not issue the one before it: \
             CN=a.example.com was issued by CN=Middle"
        );
        assert!(message(&[server.clone(), middle.clone()]).contains("repeats the certificate"));
        let impostor = Authority::new("Middle").certificate();
        assert!(message(&[impostor]).contains("its key did not sign it"));
    }

    #[test]
    fn a_chain_is_put_in_order() {
        let root = Authority::new("Root");
        let middle = root.intermediate("Middle");
        let server = middle.server(&["a.example.com"]);
        let (root, middle) = (root.certificate(), middle.certificate());
        let ordered = vec![middle.clone(), root.clone()];
        for given in [
            vec![middle.clone(), root.clone()],
            vec![root.clone(), middle.clone()],
            vec![root.clone(), server.clone(), middle.clone(), root.clone()],
        ] {
            assert_eq!(arrange_chain(&server, &given), Ok(ordered.clone()));
        }
        let without_root = arrange_chain(&server, slice::from_ref(&middle));
        assert_eq!(without_root, Ok(vec![middle]));
        assert_eq!(arrange_chain(&server, &[]), Ok(vec![]));
    }

    #[test]
    fn what_does_not_belong_to_a_chain_is_named() {
        let root = Authority::new("Root");
        let middle = root.intermediate("Middle");
        let server = middle.server(&["a.example.com"]);
        let (root, middle) = (root.certificate(), middle.certificate());
        let stranger = Authority::new("Stranger").certificate();
        let message =
            |given: &[Certificate]| arrange_chain(&server, given).unwrap_err().to_string();
        assert_eq!(
            message(&[root.clone(), stranger, middle]),
            "CN=Stranger does not belong to the chain: CN=Root, at which the chain ends, was issued by CN=Root"
        );
        assert!(message(&[root]).starts_with("CN=Root does not belong"));
        let impostor = Authority::new("Middle").certificate();
        assert!(message(&[impostor]).contains("its key did not sign it"));
    }

    #[test]
    fn a_leaf_cannot_be_in_a_chain() {
        let leaf = Authority::leaf("Not a CA");
        let server = leaf.server(&["a.example.com"]);
        let error = check_chain(&server, &[leaf.certificate()]).unwrap_err();
        assert!(error.to_string().ends_with("is not a CA certificate"));
    }
}
