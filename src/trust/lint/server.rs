//! Rules for server certificates that are imported into ACM.

use time::OffsetDateTime;

use super::{Dates, Finding, Rule, Severity, key, signature, version};
use crate::trust::certificate::Certificate;
use crate::trust::server::check_chain;

/// The largest certificate that ACM imports, as PEM.
const MAXIMUM_PEM: usize = 32 * 1024;

/// The largest chain that ACM imports, as PEM.
const MAXIMUM_CHAIN_PEM: usize = 2 * 1024 * 1024;

const VERSION: Rule = Rule {
    code: "server-version",
    severity: Severity::Error,
    why: "ACM imports X.509 version 3 certificates only",
    fix: "issue the certificate again with subject alternative names, which makes it version 3",
};

const KEY: Rule = Rule {
    code: "server-key-unsupported",
    severity: Severity::Error,
    why: "ALB listeners take RSA keys of 2048 to 4096 bits and ECDSA keys on P-256, P-384 and \
          P-521, though ACM imports a few more",
    fix: "issue the certificate again for a key of such a kind",
};

const SIGNATURE: Rule = Rule {
    code: "server-signature-weak",
    severity: Severity::Error,
    why: "ALB answers UnsupportedCertificate, and no client trusts such a signature any more",
    fix: "issue the certificate again with SHA-256 or better",
};

const DATES: Dates = Dates {
    expired: Rule {
        code: "server-expired",
        severity: Severity::Error,
        why: "ACM imports only certificates that are valid now",
        fix: "give the current certificate",
    },
    not_yet_valid: Rule {
        code: "server-not-yet-valid",
        severity: Severity::Error,
        why: "ACM imports only certificates that are valid now",
        fix: "wait, or check the clock of the machine that issued it",
    },
    expiring: Rule {
        code: "server-expiring",
        severity: Severity::Warning,
        why: "ACM does not renew imported certificates: from then on every client refuses the server",
        fix: "replace the files by the next certificate and apply again before that day",
    },
};

const NO_NAMES: Rule = Rule {
    code: "server-no-names",
    severity: Severity::Error,
    why: "clients ignore the common name, and ALB answers UnsupportedCertificate for certificates \
          without a fully qualified domain name",
    fix: "issue the certificate again with subjectAltName = DNS:…",
};

const NOT_COVERED: Rule = Rule {
    code: "server-name-not-covered",
    severity: Severity::Error,
    why: "clients that connect under this name refuse the certificate, and API Gateway does not \
          make a custom domain with it",
    fix: "issue the certificate for the name or for a wildcard of its parent; a wildcard stands \
          for exactly one label",
};

const PURPOSE: Rule = Rule {
    code: "server-purpose",
    severity: Severity::Warning,
    why: "its extendedKeyUsage leaves out serverAuth: clients refuse it as a server's",
    fix: "issue the certificate again with extendedKeyUsage = serverAuth",
};

const CHAIN: Rule = Rule {
    code: "server-chain-order",
    severity: Severity::Error,
    why: "ACM refuses a chain in which each certificate does not certify the one before it",
    fix: "list the issuer of the certificate first, then the issuer's issuer, and so on; leave \
          out the certificate itself",
};

const SIZE: Rule = Rule {
    code: "server-too-large",
    severity: Severity::Error,
    why: "ACM imports certificates of at most 32 KB and chains of at most 2 MB",
    fix: "leave out what does not belong to the chain",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    VERSION,
    KEY,
    SIGNATURE,
    DATES.expired,
    DATES.not_yet_valid,
    DATES.expiring,
    NO_NAMES,
    NOT_COVERED,
    PURPOSE,
    CHAIN,
    SIZE,
];

/// Checks a certificate and its chain before they are imported into ACM for an ALB.
pub fn lint_server_certificate(
    certificate: &Certificate,
    chain: &[Certificate],
    hosts: &[&str],
    now: OffsetDateTime,
) -> Vec<Finding> {
    [
        version(&VERSION, certificate),
        key(&KEY, certificate, 2048..=4096),
        signature(&SIGNATURE, certificate),
        DATES.check(certificate, now),
        no_names(certificate),
        purpose(certificate),
        size(certificate, chain),
        chain_order(certificate, chain),
    ]
    .into_iter()
    .flatten()
    .chain(not_covered(&NOT_COVERED, certificate, hosts))
    .collect()
}

/// Finds certificates for nobody.
fn no_names(certificate: &Certificate) -> Option<Finding> {
    let message = "it has no DNS name among its subject alternative names";
    certificate
        .dns_names
        .is_empty()
        .then(|| NO_NAMES.certificate(certificate, message))
}

/// Finds hosts that the certificate is not for.
pub(super) fn not_covered(rule: &Rule, certificate: &Certificate, hosts: &[&str]) -> Vec<Finding> {
    let addresses = certificate.ip_addresses.iter().map(ToString::to_string);
    let names: Vec<String> = certificate
        .dns_names
        .iter()
        .cloned()
        .chain(addresses)
        .collect();
    let names = if names.is_empty() {
        "no name".to_owned()
    } else {
        names.join(", ")
    };
    let missing = hosts.iter().filter(|host| !certificate.covers(host));
    missing
        .map(|host| {
            let message = format!("it is for {names}, which does not cover {host}");
            rule.certificate(certificate, message)
        })
        .collect()
}

/// Finds certificates for other purposes.
fn purpose(certificate: &Certificate) -> Option<Finding> {
    let purposes = certificate
        .extended_key_usage
        .as_deref()
        .unwrap_or_default()
        .join(", ");
    let message = format!("it is for {purposes} only");
    let unfit = !certificate.allows_purpose("serverAuth");
    unfit.then(|| PURPOSE.certificate(certificate, message))
}

/// Finds certificates and chains that are too large.
fn size(certificate: &Certificate, chain: &[Certificate]) -> Option<Finding> {
    let own = certificate.pem().len();
    let chain: usize = chain.iter().map(|issuer| issuer.pem().len()).sum();
    let message = format!("it has {own} bytes as PEM, its chain {chain}");
    (own > MAXIMUM_PEM || chain > MAXIMUM_CHAIN_PEM).then(|| SIZE.certificate(certificate, message))
}

/// Finds chains that are not in order.
fn chain_order(certificate: &Certificate, chain: &[Certificate]) -> Option<Finding> {
    let error = check_chain(certificate, chain).err()?;
    Some(CHAIN.certificate(certificate, error.to_string()))
}

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose;
    use time::Duration;

    use super::*;
    use crate::trust::fixtures::{Authority, NOW};
    use crate::trust::lint::testing::codes;

    #[test]
    fn a_fitting_certificate_is_clean() {
        let root = Authority::new("Root");
        let server = root.server(&["*.example.com"]);
        let chain = [root.certificate()];
        let findings = lint_server_certificate(&server, &chain, &["aaa.example.com"], NOW);
        assert_eq!(findings, []);
    }

    #[test]
    fn names_chain_and_purpose_are_looked_at() {
        let root = Authority::new("Root");
        let server = root.server_with(&["*.example.com"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        let chain = [Authority::new("Other").certificate()];
        let findings = lint_server_certificate(&server, &chain, &["example.com"], NOW);
        assert_eq!(
            codes(&findings),
            [
                "server-purpose",
                "server-chain-order",
                "server-name-not-covered"
            ]
        );
        assert_eq!(
            findings[2].message,
            "it is for *.example.com, which does not cover example.com"
        );
        let nobody = root.server_with(&["192.0.2.1"], |_| {});
        assert_eq!(
            codes(&lint_server_certificate(&nobody, &[], &[], NOW)),
            ["server-no-names"]
        );
    }

    #[test]
    fn dates_are_looked_at() {
        let root = Authority::new("Root");
        let server = root.server_with(&["a.example.com"], |params| {
            params.not_after = NOW + Duration::days(40);
        });
        let at = |now| codes(&lint_server_certificate(&server, &[], &[], now));
        assert_eq!(at(NOW), [""; 0]);
        assert_eq!(at(NOW + Duration::days(20)), ["server-expiring"]);
        assert_eq!(at(NOW + Duration::days(41)), ["server-expired"]);
        assert_eq!(at(NOW - Duration::days(2)), ["server-not-yet-valid"]);
    }
}
