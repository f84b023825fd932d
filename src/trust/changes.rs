//! Differences between what AWS holds and what is wanted, in terms of certificates and serials.

use std::borrow::{Borrow, Cow};

use super::bundle::Bundle;
use super::certificate::{Certificate, day};
use super::crl::Crl;
use super::name::DistinguishedName;
use super::serial::Serial;

/// How many serials of each side are listed by name.
const LISTED: usize = 20;

/// The CAs that a new bundle brings and takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleChanges {
    /// Those trusted from then on, in the order of the wanted bundle.
    pub added: Vec<Certificate>,
    /// Those not trusted any more, in the order of the live bundle.
    pub removed: Vec<Certificate>,
}

impl BundleChanges {
    /// Says whether both bundles trust the same certificates.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Compares two bundles as sets.
pub fn bundle_changes(live: &Bundle, want: &Bundle) -> BundleChanges {
    let missing_in = |other: &Bundle, of: &Bundle| -> Vec<Certificate> {
        let certificates = of.certificates().iter();
        certificates
            .filter(|certificate| !other.contains(certificate.fingerprint))
            .cloned()
            .collect()
    };
    BundleChanges {
        added: missing_in(live, want),
        removed: missing_in(want, live),
    }
}

/// The serials that become revoked, and those that are accepted again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SerialChanges {
    /// How many become revoked.
    pub added: usize,
    /// How many are not revoked any more, which widens access.
    pub removed: usize,
    /// The lowest of the added ones, at most twenty.
    pub added_listed: Vec<Serial>,
    /// The lowest of the removed ones, at most twenty.
    pub removed_listed: Vec<Serial>,
}

impl SerialChanges {
    /// Says whether the same serials are revoked.
    pub fn is_empty(&self) -> bool {
        self.added == 0 && self.removed == 0
    }
}

/// Compares two sorted lists of serials, as a [`Crl`] has them.
pub fn crl_changes(live: &[Serial], want: &[Serial]) -> SerialChanges {
    let (added, added_listed) = missing(want, live);
    let (removed, removed_listed) = missing(live, want);
    SerialChanges {
        added,
        removed,
        added_listed,
        removed_listed,
    }
}

/// Counts and lists what the first sorted list has and the second has not.
fn missing(of: &[Serial], other: &[Serial]) -> (usize, Vec<Serial>) {
    let mut rest = other.iter().peekable();
    let (mut count, mut listed) = (0, Vec::new());
    for serial in of {
        while rest.next_if(|candidate| *candidate < serial).is_some() {}
        if rest.peek() != Some(&serial) {
            count += 1;
            if listed.len() < LISTED {
                listed.push(*serial);
            }
        }
    }
    (count, listed)
}

/// The changes to the revocations of one CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationChanges {
    /// The CA.
    pub issuer: DistinguishedName,
    /// What changes for its certificates.
    pub serials: SerialChanges,
}

/// Compares two sets of CRLs by what they revoke, CA by CA; CAs without a change are left out.
///
/// A serial counts as revoked when any of the CRLs of its CA lists it, as it does for ALB.
pub fn revocation_changes<C: Borrow<Crl>>(live: &[C], want: &[C]) -> Vec<RevocationChanges> {
    let mut issuers: Vec<&DistinguishedName> = Vec::new();
    for crl in live.iter().chain(want).map(Borrow::borrow) {
        if !issuers.iter().any(|issuer| issuer.matches(&crl.issuer)) {
            issuers.push(&crl.issuer);
        }
    }
    issuers
        .into_iter()
        .map(|issuer| RevocationChanges {
            issuer: issuer.clone(),
            serials: crl_changes(&revoked_by(issuer, live), &revoked_by(issuer, want)),
        })
        .filter(|changes| !changes.serials.is_empty())
        .collect()
}

/// Returns what all CRLs of the CA revoke together, sorted; usually that is one, which is not copied.
fn revoked_by<'a, C: Borrow<Crl>>(issuer: &DistinguishedName, crls: &'a [C]) -> Cow<'a, [Serial]> {
    let mut revoked = Cow::Borrowed(&[][..]);
    let crls = crls.iter().map(Borrow::borrow);
    for crl in crls.filter(|crl| crl.issuer.matches(issuer)) {
        if revoked.is_empty() {
            revoked = Cow::Borrowed(&crl.serials);
        } else {
            let revoked = revoked.to_mut();
            revoked.extend(&crl.serials);
            revoked.sort_unstable();
            revoked.dedup();
        }
    }
    revoked
}

/// Writes what one CRL of a CA changes after another: number, serials, when the next one is due.
///
/// `number 41 -> 42, 2 serials added (0A, 0B), 1 dropped (03), next update 2026-03-02 -> 2026-04-01`
pub fn succession(from: &Crl, to: &Crl) -> String {
    let number = |crl: &Crl| {
        crl.number
            .map_or_else(|| "none".to_owned(), |number| number.decimal())
    };
    let due = |crl: &Crl| {
        crl.next_update
            .map_or_else(|| "none".to_owned(), |due| day(due).to_string())
    };
    let serials = crl_changes(&from.serials, &to.serials);
    let serials = [
        counted(serials.added, "added", &serials.added_listed),
        counted(serials.removed, "dropped", &serials.removed_listed),
    ];
    let numbers = format!("number {}", moved(&number(from), &number(to)));
    let due = format!("next update {}", moved(&due(from), &due(to)));
    let parts = std::iter::once(numbers).chain(serials.into_iter().flatten());
    parts.chain([due]).collect::<Vec<_>>().join(", ")
}

/// Writes a value that may have changed.
fn moved(from: &str, to: &str) -> String {
    if from == to {
        format!("{to} as before")
    } else {
        format!("{from} -> {to}")
    }
}

/// Writes a number of serials with the first of them; nothing where there are none.
fn counted(count: usize, what: &str, listed: &[Serial]) -> Option<String> {
    let noun = if count == 1 { "serial" } else { "serials" };
    let names: Vec<String> = listed.iter().map(Serial::to_string).collect();
    let rest = if count > listed.len() { ", …" } else { "" };
    (count > 0).then(|| format!("{count} {noun} {what} ({}{rest})", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::Authority;

    #[test]
    fn bundles_differ_by_certificates() {
        let [one, two, three] = ["1", "2", "3"].map(|name| Authority::new(name).certificate());
        let live: Bundle = [one.clone(), two.clone()].into_iter().collect();
        let want: Bundle = [three.clone(), two].into_iter().collect();
        let changes = bundle_changes(&live, &want);
        assert_eq!((changes.added, changes.removed), (vec![three], vec![one]));
        assert!(bundle_changes(&live, &live).is_empty());
    }

    #[test]
    fn serials_are_counted_and_some_are_listed() {
        let root = Authority::new("Root");
        let (live, want) = (root.crl(&[1, 2, 200]), root.crl(&[2, 3]));
        let changes = crl_changes(&live.serials, &want.serials);
        assert_eq!((changes.added, changes.removed), (1, 2));
        assert_eq!(changes.added_listed, want.serials[1..]);
        assert_eq!(changes.removed_listed, [live.serials[0], live.serials[2]]);

        let many: Vec<u8> = (1..=100).collect();
        let changes = crl_changes(&[], &root.crl(&many).serials);
        assert_eq!((changes.added, changes.added_listed.len()), (100, LISTED));
    }

    #[test]
    fn revocations_are_compared_ca_by_ca() {
        let (one, other) = (Authority::new("One"), Authority::new("Other"));
        let live = [one.crl(&[1]), one.crl(&[2]), other.crl(&[1])];
        assert_eq!(
            revocation_changes(&live, &[one.crl(&[2, 1]), other.crl(&[1])]),
            []
        );
        let changes = revocation_changes(&live, &[one.crl(&[1, 2])]);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].issuer.as_str(), "CN=Other");
        assert_eq!(
            (changes[0].serials.added, changes[0].serials.removed),
            (0, 1)
        );
    }
}
