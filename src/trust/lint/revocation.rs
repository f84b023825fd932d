//! Rules for the CRLs of a trust store.

use std::borrow::Borrow;

use time::OffsetDateTime;

use super::authority::is_ca;
use super::{Finding, Rule, Severity, days, days_left};
use crate::trust::algorithm::SignatureCheck;
use crate::trust::bundle::Bundle;
use crate::trust::certificate::{Certificate, day};
use crate::trust::crl::Crl;
use crate::trust::quota::{DEFAULT_CRLS, DEFAULT_ENTRIES};

/// The largest CRL, as PEM; the quota is fixed.
const MAXIMUM_PEM: usize = 50 * 1024 * 1024;

/// How many days before the next one is due a CRL is worth a warning.
const EXPIRY_DAYS: i64 = 7;

const ISSUER: Rule = Rule {
    code: "crl-issuer-unknown",
    severity: Severity::Error,
    why: "the CRL can revoke nothing that the trust store trusts; AWS may accept it all the same \
          and refuse clients later with ClientCertCrlProcessingError",
    fix: "add the CA that issued the CRL to `ca_bundle`, or remove the CRL",
};

const SIGNATURE: Rule = Rule {
    code: "crl-signature-invalid",
    severity: Severity::Error,
    why: "a CRL whose signature does not verify is not genuine, or was issued under another key \
          of the CA; handshakes fail with ClientCertCrlProcessingError",
    fix: "fetch the CRL again, and the CA certificate that belongs to the key it is signed with",
};

const ALGORITHM: Rule = Rule {
    code: "crl-signature-weak",
    severity: Severity::Error,
    why: "AWS answers InvalidRevocationContent for \"an incorrect algorithm\": signatures must \
          use SHA-256, SHA-384 or SHA-512 with RSA, RSASSA-PSS or ECDSA",
    fix: "issue the CRL again with SHA-256 or better (openssl ca -gencrl -md sha256)",
};

const CANNOT_SIGN: Rule = Rule {
    code: "crl-issuer-cannot-sign",
    severity: Severity::Warning,
    why: "verifiers that follow RFC 5280 ignore or refuse CRLs of a CA whose keyUsage leaves out \
          cRLSign",
    fix: "issue the CA certificate again with `keyUsage = critical, keyCertSign, cRLSign`",
};

const EXPIRED: Rule = Rule {
    code: "crl-expired",
    severity: Severity::Error,
    why: "after its nextUpdate a CRL says nothing reliable; handshakes can fail with \
          ClientCertCrlProcessingError for every client of the CA",
    fix: "fetch or issue the current CRL (openssl ca -gencrl)",
};

const EXPIRING: Rule = Rule {
    code: "crl-expiring",
    severity: Severity::Warning,
    why: "a load balancer fetches no CRLs by itself: without a new one, what happens to the \
          clients of the CA after that day is undefined",
    fix: "fetch or issue the next CRL and apply again before that day",
};

const NO_NEXT_UPDATE: Rule = Rule {
    code: "crl-no-next-update",
    severity: Severity::Warning,
    why: "nobody can tell when it is out of date, and some verifiers refuse such a CRL",
    fix: "issue it with a date for the next one (openssl ca -gencrl -crldays 30)",
};

const NOT_YET_VALID: Rule = Rule {
    code: "crl-not-yet-valid",
    severity: Severity::Warning,
    why: "a CRL from the future can be refused until its thisUpdate has come",
    fix: "check the clock of the machine that issues the CRL",
};

const DELTA: Rule = Rule {
    code: "crl-delta",
    severity: Severity::Error,
    why: "a delta CRL lists only the changes since another one, and is not supported",
    fix: "give the complete CRL of the CA",
};

const INDIRECT: Rule = Rule {
    code: "crl-indirect",
    severity: Severity::Error,
    why: "an indirect CRL revokes certificates of several CAs, and is not supported: its serials \
          would be taken for those of its issuer",
    fix: "give the CRL that each CA issues for itself",
};

const PARTIAL: Rule = Rule {
    code: "crl-partial",
    severity: Severity::Warning,
    why: "its issuingDistributionPoint limits it to some certificates or reasons: what it does \
          not cover is not revoked",
    fix: "give the other CRLs of the CA too, or its complete one",
};

const DISTRIBUTION_POINT: Rule = Rule {
    code: "crl-distribution-point",
    severity: Severity::Note,
    why: "its issuingDistributionPoint names where it is from: when the CA splits its list over \
          several such places, what the others list is not revoked",
    fix: "give the CRLs of all distribution points, if the CA has more than one",
};

const UNKNOWN_EXTENSION: Rule = Rule {
    code: "crl-unknown-extension",
    severity: Severity::Error,
    why: "a CRL with a critical extension that is not understood must not be used (RFC 5280, \
          section 5.2); handshakes can fail with ClientCertCrlProcessingError",
    fix: "issue the CRL without the extension",
};

const NEGATIVE: Rule = Rule {
    code: "crl-negative-serials",
    severity: Severity::Warning,
    why: "ALB cannot revoke certificates with a negative serial number: they stay accepted; it takes \
          the CRL, and the other entries count",
    fix: "have those certificates replaced, and their CA corrected: serials are positive",
};

const SIZE: Rule = Rule {
    code: "crl-too-large",
    severity: Severity::Error,
    why: "AWS refuses it: a CRL file may have 50 MB, and the quota is fixed",
    fix: "drop expired certificates from the CRL, or split the CA",
};

const COUNT: Rule = Rule {
    code: "crl-too-many",
    severity: Severity::Warning,
    why: "with the default quota AWS refuses the rest; replacing a CRL needs one more, since the \
          new one is added before the old one is removed",
    fix: "give one CRL a CA, or have the quota L-332EE142 raised",
};

const ENTRIES: Rule = Rule {
    code: "crl-too-many-entries",
    severity: Severity::Warning,
    why: "with the default quota AWS answers TooManyTrustStoreRevocationEntries",
    fix: "drop expired certificates from the CRLs, or have the quota L-37E1617B raised",
};

const SWAP: Rule = Rule {
    code: "crl-swap-room",
    severity: Severity::Warning,
    why: "a CRL cannot be replaced in place: the new one is added before the old one is removed, \
          and with the default quotas there is no room for both",
    fix: "have the quotas L-37E1617B (entries) and L-332EE142 (CRLs) raised before the next CRL \
          is due, or drop expired certificates from the CRLs",
};

const SEVERAL: Rule = Rule {
    code: "crl-superseded",
    severity: Severity::Warning,
    why: "a serial counts as revoked when any CRL of its CA lists it: what the newer one no longer \
          lists stays revoked, and both count towards the quotas",
    fix: "give only the newest CRL of each CA",
};

const WITHOUT: Rule = Rule {
    code: "ca-without-crl",
    severity: Severity::Warning,
    why: "ALB asks nobody else about revocation (no OCSP, no distribution points): a revoked \
          certificate of this CA is accepted until it expires",
    fix: "add the CRL of the CA, an empty one if it has revoked nothing yet",
};

const WITHOUT_ABOVE: Rule = Rule {
    code: "ca-without-crl-above",
    severity: Severity::Note,
    why: "it has issued other CAs of the bundle; without its CRL none of those can be revoked, \
          other than by taking it out of the bundle",
    fix: "add the CRL of the CA if it issues one",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[
    ISSUER,
    SIGNATURE,
    ALGORITHM,
    CANNOT_SIGN,
    EXPIRED,
    EXPIRING,
    NO_NEXT_UPDATE,
    NOT_YET_VALID,
    DELTA,
    INDIRECT,
    PARTIAL,
    DISTRIBUTION_POINT,
    UNKNOWN_EXTENSION,
    NEGATIVE,
    SIZE,
    COUNT,
    ENTRIES,
    SWAP,
    SEVERAL,
    WITHOUT,
    WITHOUT_ABOVE,
];

/// Checks one CRL against the bundle that it is to be used with.
///
/// An empty bundle stands for one that is not known: then nothing is said about the issuer.
pub fn lint_crl(crl: &Crl, bundle: &Bundle, now: OffsetDateTime) -> Vec<Finding> {
    [
        issuer(crl, bundle),
        algorithm(crl),
        validity(crl, now),
        not_yet_valid(crl, now),
        size(crl),
        negative(crl),
    ]
    .into_iter()
    .flatten()
    .chain(scope(crl))
    .collect()
}

/// Checks all CRLs of a trust store, one by one and together.
pub fn lint_crls(crls: &[impl Borrow<Crl>], bundle: &Bundle, now: OffsetDateTime) -> Vec<Finding> {
    let crls: Vec<&Crl> = crls.iter().map(Borrow::borrow).collect();
    let each = crls.iter().flat_map(|crl| {
        let superseded = superseded(crl, &crls);
        lint_crl(crl, bundle, now).into_iter().chain(superseded)
    });
    let missing = bundle.certificates().iter();
    let missing = missing.filter_map(|certificate| without(certificate, bundle, &crls));
    let whole = [count(&crls), entries(&crls), swap(&crls)];
    each.chain(missing)
        .chain(whole.into_iter().flatten())
        .collect()
}

/// Looks for the CA that issued the CRL.
fn issuer(crl: &Crl, bundle: &Bundle) -> Option<Finding> {
    let certificates = bundle.certificates().iter();
    if certificates.len() == 0 {
        return None;
    }
    let named: Vec<&Certificate> = certificates
        .filter(|certificate| certificate.subject.matches(&crl.issuer))
        .collect();
    if named.is_empty() {
        return Some(ISSUER.crl(
            crl,
            "no certificate of the bundle has the name of its issuer",
        ));
    }
    let signers: Vec<&Certificate> = named
        .into_iter()
        .filter(|certificate| crl.signature_by(certificate) != SignatureCheck::Invalid)
        .collect();
    if signers.is_empty() {
        let message = "its signature does not verify with the key of its issuer in the bundle";
        return Some(SIGNATURE.crl(crl, message));
    }
    let may_sign = |certificate: &&Certificate| certificate.allows_key_usage("cRLSign");
    let message = "the keyUsage of its issuer leaves out cRLSign";
    (!signers.iter().any(may_sign)).then(|| CANNOT_SIGN.crl(crl, message))
}

/// Finds signatures with SHA-1 and older.
fn algorithm(crl: &Crl) -> Option<Finding> {
    let algorithm = &crl.signature_algorithm;
    let message = format!("it is signed with {algorithm}");
    (!algorithm.is_accepted()).then(|| ALGORITHM.crl(crl, message))
}

/// Finds CRLs that are out of date, or soon will be.
fn validity(crl: &Crl, now: OffsetDateTime) -> Option<Finding> {
    let Some(next) = crl.next_update else {
        return Some(NO_NEXT_UPDATE.crl(crl, "it has no nextUpdate"));
    };
    if next < now {
        let message = format!("its next update was due on {}", day(next));
        return Some(EXPIRED.crl(crl, message));
    }
    let left = days(days_left(next, now, EXPIRY_DAYS)?);
    let message = format!("its next update is due on {}, in {left}", day(next));
    Some(EXPIRING.crl(crl, message))
}

/// Finds CRLs from the future.
fn not_yet_valid(crl: &Crl, now: OffsetDateTime) -> Option<Finding> {
    let message = format!("it was issued on {}, in the future", day(crl.this_update));
    (crl.this_update > now).then(|| NOT_YET_VALID.crl(crl, message))
}

/// Finds CRLs that are more, or less, than a CA's list of revoked certificates.
fn scope(crl: &Crl) -> Vec<Finding> {
    let scope = &crl.scope;
    let mut findings = Vec::new();
    if scope.is_delta {
        findings.push(DELTA.crl(crl, "it is a delta CRL"));
    }
    if scope.is_indirect {
        findings.push(INDIRECT.crl(crl, "it is an indirect CRL"));
    }
    if scope.is_partial {
        findings.push(PARTIAL.crl(
            crl,
            "it covers only some of the CA's certificates or reasons",
        ));
    }
    if scope.has_distribution_point {
        let message = "it is for one distribution point of the CA";
        findings.push(DISTRIBUTION_POINT.crl(crl, message));
    }
    for extension in &scope.unknown_critical {
        let message = format!("it, or an entry of it, has the critical extension {extension}");
        findings.push(UNKNOWN_EXTENSION.crl(crl, message));
    }
    findings
}

/// Finds serials that cannot be revoked.
fn negative(crl: &Crl) -> Option<Finding> {
    let count = crl.negative_serials;
    let message = format!(
        "{count} of its {} entries have a negative serial",
        crl.entries
    );
    (count > 0).then(|| NEGATIVE.crl(crl, message))
}

/// Finds CRLs that are too large.
fn size(crl: &Crl) -> Option<Finding> {
    let size = crl.pem_length();
    let message = format!("it has {size} bytes as PEM, of at most {MAXIMUM_PEM}");
    (size > MAXIMUM_PEM).then(|| SIZE.crl(crl, message))
}

/// Counts the CRLs.
fn count(crls: &[&Crl]) -> Option<Finding> {
    let count = crls.len();
    let message = format!("there are {count}; the default quota is {DEFAULT_CRLS}");
    (count > DEFAULT_CRLS).then(|| COUNT.whole("the CRLs", message))
}

/// Counts the entries.
fn entries(crls: &[&Crl]) -> Option<Finding> {
    let entries = total_entries(crls);
    let message =
        format!("they have {entries} entries together; the default quota is {DEFAULT_ENTRIES}");
    (entries > DEFAULT_ENTRIES).then(|| ENTRIES.whole("the CRLs", message))
}

/// Adds up the entries.
fn total_entries(crls: &[&Crl]) -> usize {
    crls.iter().map(|crl| crl.entries).sum()
}

/// Finds trust stores so full that the largest CRL could not be replaced by the next of its kind.
fn swap(crls: &[&Crl]) -> Option<Finding> {
    let (count, entries) = (crls.len(), total_entries(crls));
    if count > DEFAULT_CRLS || entries > DEFAULT_ENTRIES {
        return None;
    }
    let largest = crls.iter().max_by_key(|crl| crl.entries)?;
    let (count, entries) = (count + 1, entries + largest.entries);
    let message = format!(
        "while the CRL of {} is replaced by one of its size there are {count} CRLs with {entries} \
         entries; the default quotas are {DEFAULT_CRLS} and {DEFAULT_ENTRIES}",
        largest.issuer
    );
    let too_many = count > DEFAULT_CRLS || entries > DEFAULT_ENTRIES;
    too_many.then(|| SWAP.whole("the CRLs", message))
}

/// Finds CRLs beside which a newer one of the same CA and the same reach is given.
fn superseded(crl: &Crl, crls: &[&Crl]) -> Option<Finding> {
    let newer = crls.iter().find(|other| {
        other.issuer.matches(&crl.issuer)
            && other.this_update > crl.this_update
            && other.scope.is_complete()
            && crl.scope.is_complete()
    })?;
    let message = format!(
        "one of {} is given too ({})",
        day(newer.this_update),
        newer.digest.short()
    );
    Some(SEVERAL.crl(crl, message))
}

/// Finds CAs without a CRL where others have one.
fn without(certificate: &Certificate, bundle: &Bundle, crls: &[&Crl]) -> Option<Finding> {
    let has_crl = |crl: &&Crl| crl.issuer.matches(&certificate.subject);
    if crls.is_empty() || !is_ca(certificate) || crls.iter().any(has_crl) {
        return None;
    }
    let mut others = bundle.certificates().iter();
    let has_issued = others.any(|other| {
        other.issuer.matches(&certificate.subject) && !other.subject.matches(&certificate.subject)
    });
    let rule = if has_issued { &WITHOUT_ABOVE } else { &WITHOUT };
    Some(rule.certificate(certificate, "no CRL of it is given, while others have one"))
}

#[cfg(test)]
mod tests {
    use rcgen::KeyUsagePurpose;
    use time::Duration;

    use super::*;
    use crate::trust::fixtures::{Authority, CrlParts, NOW, extension, tlv};
    use crate::trust::lint::testing::codes;

    fn lint(crl: &Crl, authority: &Authority) -> Vec<&'static str> {
        codes(&lint_crl(crl, &bundle(authority), NOW))
    }

    fn bundle(authority: &Authority) -> Bundle {
        [authority.certificate()].into_iter().collect()
    }

    fn lint_parts(parts: &CrlParts) -> Vec<&'static str> {
        let root = Authority::new("Root");
        lint(&root.crl_of(parts), &root)
    }

    #[test]
    fn a_fitting_crl_is_clean() {
        let root = Authority::new("Root");
        assert_eq!(lint(&root.crl(&[1, 2]), &root), [""; 0]);
    }

    #[test]
    fn the_issuer_must_be_in_the_bundle_and_have_signed() {
        let root = Authority::new("Root");
        assert_eq!(
            lint(&root.crl(&[1]), &Authority::new("Other")),
            ["crl-issuer-unknown"]
        );
        assert_eq!(
            lint(&root.crl(&[1]), &Authority::new("Root")),
            ["crl-signature-invalid"]
        );

        // During a change of the CA's key two certificates have the name, and one of them fits.
        let both = [Authority::new("Root").certificate(), root.certificate()];
        let both: Bundle = both.into_iter().collect();
        assert_eq!(lint_crl(&root.crl(&[1]), &both, NOW), []);

        let silent = Authority::with("Root", |params| {
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        });
        assert_eq!(lint(&silent.crl(&[1]), &silent), ["crl-issuer-cannot-sign"]);
    }

    #[test]
    fn dates_are_looked_at() {
        let at = |next_update: Option<OffsetDateTime>| {
            lint_parts(&CrlParts {
                next_update,
                ..CrlParts::default()
            })
        };
        assert_eq!(at(Some(NOW - Duration::seconds(1))), ["crl-expired"]);
        assert_eq!(at(Some(NOW + Duration::days(6))), ["crl-expiring"]);
        assert_eq!(at(Some(NOW + Duration::days(7))), [""; 0]);
        assert_eq!(at(None), ["crl-no-next-update"]);

        let root = Authority::new("Root");
        let findings = lint_crl(&root.crl(&[1]), &bundle(&root), NOW - Duration::hours(1));
        assert_eq!(codes(&findings), ["crl-not-yet-valid"]);
    }

    #[test]
    fn unusable_kinds_and_entries_are_errors() {
        let with = |oid: &[u8], value: &[u8]| {
            lint_parts(&CrlParts {
                extensions: vec![extension(oid, true, value)],
                ..CrlParts::default()
            })
        };
        assert_eq!(with(&[0x55, 0x1d, 27], &tlv(0x02, &[1])), ["crl-delta"]);
        let point = |flag: u8| with(&[0x55, 0x1d, 28], &tlv(0x30, &tlv(flag, &[0xff])));
        assert_eq!(point(0x84), ["crl-indirect"]);
        assert_eq!(point(0x82), ["crl-partial"]);
        let name = tlv(0x30, &tlv(0xa0, &tlv(0xa0, &[])));
        assert_eq!(with(&[0x55, 0x1d, 28], &name), ["crl-distribution-point"]);
        assert_eq!(with(&[0x2a, 3], &tlv(0x05, &[])), ["crl-unknown-extension"]);

        let negative = CrlParts {
            serials: vec![vec![0x80], vec![1]],
            ..CrlParts::default()
        };
        let root = Authority::new("Root");
        let findings = lint_crl(&root.crl_of(&negative), &bundle(&root), NOW);
        assert_eq!(codes(&findings), ["crl-negative-serials"]);
        assert_eq!(
            findings[0].message,
            "1 of its 2 entries have a negative serial"
        );
    }

    #[test]
    fn counts_and_sizes_are_given_with_their_quota() {
        let root = Authority::new("Root");
        let bundle = bundle(&root);
        let many = vec![root.crl(&[1]); 31];
        let findings = lint_crls(&many, &bundle, NOW);
        assert_eq!(codes(&findings), ["crl-too-many"]);
        assert_eq!(findings[0].message, "there are 31; the default quota is 30");

        // The figures alone decide; making half a million entries would slow every test run.
        let mut large = root.crl(&[1]);
        large.entries = 500_001;
        assert_eq!(
            codes(&lint_crls(&[large.clone()], &bundle, NOW)),
            ["crl-too-many-entries"]
        );
        large.der.resize(40_000_000, 0);
        assert!(codes(&lint_crl(&large, &bundle, NOW)).contains(&"crl-too-large"));
    }

    #[test]
    fn a_store_should_have_room_for_the_next_crl() {
        let root = Authority::new("Root");
        let bundle = bundle(&root);
        let codes_of = |crls: &[Crl]| codes(&lint_crls(crls, &bundle, NOW));
        assert_eq!(codes_of(&vec![root.crl(&[1]); 30]), ["crl-swap-room"]);
        let mut large = root.crl(&[1]);
        large.entries = 250_000;
        assert_eq!(codes_of(&[large.clone()]), [""; 0]);
        large.entries = 250_001;
        assert_eq!(codes_of(&[large]), ["crl-swap-room"]);
    }

    #[test]
    fn each_ca_has_one_current_crl() {
        let root = Authority::new("Root");
        let (one, two) = (root.intermediate("One"), root.intermediate("Two"));
        let bundle: Bundle = [&root, &one, &two]
            .map(Authority::certificate)
            .into_iter()
            .collect();
        let later = two.crl_of(&CrlParts {
            this_update: NOW + Duration::days(1),
            ..CrlParts::default()
        });
        let now = NOW + Duration::days(1);
        let findings = lint_crls(&[two.crl(&[1]), later.clone()], &bundle, now);
        assert_eq!(
            codes(&findings),
            ["crl-superseded", "ca-without-crl-above", "ca-without-crl"]
        );
        assert!(
            findings[0]
                .message
                .starts_with("one of 2026-01-02 is given too")
        );
        assert_eq!(findings[1].subject, "CN=Root");
        assert_eq!(findings[2].subject, "CN=One");
        assert_eq!(lint_crls(&[] as &[Crl], &bundle, now), []);
        let all = [root.crl(&[]), one.crl(&[]), later];
        assert_eq!(lint_crls(&all, &bundle, now), []);
    }

    #[test]
    fn without_a_bundle_nothing_is_said_about_the_issuer() {
        let root = Authority::new("Root");
        assert_eq!(
            lint_crl(&root.crl(&[1]), &[].into_iter().collect(), NOW),
            []
        );
    }
}
