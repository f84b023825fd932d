//! Rules for the CRLs that take the place of others: those that are live, or were before.
//!
//! A CRL goes back when it was issued before the live one of the same scope, or at the same second
//! with a lower number: that is an error, and nothing refreshes to it by itself. A number that falls
//! while thisUpdate moves on is a CA that was set back: such a CRL is newer all the same, and to keep
//! it out would leave the live one to expire. That is a warning; what it no longer revokes shows as a
//! widening of access wherever CRLs are swapped. CRLs of other scopes (parts of a CA's list) and
//! those that are live themselves take nobody's place.

use std::borrow::Borrow;

use super::{Finding, Rule, Severity, moment};
use crate::trust::crl::Crl;
use crate::trust::quota::{CrlLoad, CrlSwap, DEFAULT_CRLS, DEFAULT_ENTRIES};

const OLDER: Rule = Rule {
    code: "crl-older-than-live",
    severity: Severity::Error,
    why: "a CRL that was issued before the live one of the same scope (by its number, where both are \
          of one second) takes revocations back: what was revoked in between is accepted again",
    fix: "fetch or issue the current CRL; caches and mirrors can be behind",
};

const NUMBER_BACK: Rule = Rule {
    code: "crl-number-back",
    severity: Severity::Warning,
    why: "CRL numbers only ever grow (RFC 5280, section 5.2.3): a CA whose number falls was set \
          back, and may have forgotten revocations along with the number",
    fix: "see that the CA still lists everything it had revoked (openssl: `index.txt`), and set \
          its number above the live one (openssl: the file `crlnumber`)",
};

const NUMBER_REUSED: Rule = Rule {
    code: "crl-number-reused",
    severity: Severity::Warning,
    why: "two different CRLs of one number cannot be told apart by it (RFC 5280, section 5.2.3): \
          nobody can say which is the newer one",
    fix: "issue the CRL again with the next number",
};

const NUMBER_MISSING: Rule = Rule {
    code: "crl-number-missing",
    severity: Severity::Warning,
    why: "the live CRL has a number; without one in the next, a replayed old CRL cannot be told \
          from a new one (RFC 5280, section 5.2.3, demands it)",
    fix: "issue the CRL with a number (openssl: `crlnumber` in the CA's section of the \
          configuration)",
};

const SWAP: Rule = Rule {
    code: "crl-swap-exceeds-quota",
    severity: Severity::Warning,
    why: "new CRLs are added before old ones are removed; with the default quotas AWS answers \
          TooManyTrustStoreRevocationEntries, or refuses the CRL, before anything is removed",
    fix: "have the quotas L-37E1617B (entries) and L-332EE142 (CRLs) raised first",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[OLDER, NUMBER_BACK, NUMBER_REUSED, NUMBER_MISSING, SWAP];

/// Checks the CRLs that are wanted against those that are live.
pub fn lint_succession(live: &[impl Borrow<Crl>], want: &[impl Borrow<Crl>]) -> Vec<Finding> {
    let live: Vec<&Crl> = live.iter().map(Borrow::borrow).collect();
    let is_live = |crl: &&Crl| live.iter().any(|one| one.digest == crl.digest);
    let want = want.iter().map(Borrow::borrow);
    let added: Vec<&Crl> = want.filter(|crl| !is_live(crl)).collect();
    let each = added
        .iter()
        .filter_map(|crl| lint_successor(crl, crl_predecessor(crl, &live)?));
    each.chain(swap(&live, &added)).collect()
}

/// Returns the CRL whose place one takes among those that are live: the newest of the same issuer
/// and scope. None has a place to take that is live itself.
///
/// Where the keys of CRLs are known, `live` holds those of the same key only: each key counts on its
/// own.
pub fn crl_predecessor<'a>(crl: &Crl, live: &[&'a Crl]) -> Option<&'a Crl> {
    if live.iter().any(|one| one.digest == crl.digest) {
        return None;
    }
    let candidates = live.iter().copied();
    let candidates =
        candidates.filter(|one| one.issuer.matches(&crl.issuer) && one.scope.is_same(&crl.scope));
    candidates.max_by_key(|one| (one.this_update, one.number))
}

/// Checks one CRL against the one that it takes the place of; an error says that it goes back.
pub fn lint_successor(crl: &Crl, live: &Crl) -> Option<Finding> {
    if crl.this_update < live.this_update {
        let message = format!(
            "it was issued at {}, the live one at {}",
            moment(crl.this_update),
            moment(live.this_update)
        );
        return Some(OLDER.crl(crl, message));
    }
    let is_simultaneous = crl.this_update == live.this_update;
    let rule = match (crl.number, live.number) {
        (None, Some(_)) => NUMBER_MISSING,
        (Some(number), Some(live)) if number < live && is_simultaneous => OLDER,
        (Some(number), Some(live)) if number < live => NUMBER_BACK,
        (Some(number), Some(live)) if number == live => NUMBER_REUSED,
        _ => return None,
    };
    let number = |crl: &Crl| {
        crl.number
            .map_or_else(|| "missing".to_owned(), |number| number.decimal())
    };
    let message = format!(
        "its number is {}, that of the live one, issued at {}, is {}",
        number(crl),
        moment(live.this_update),
        number(live)
    );
    Some(rule.crl(crl, message))
}

/// Finds swaps for which there is no room; what does not fit without a swap is told elsewhere.
fn swap(live: &[&Crl], added: &[&Crl]) -> Option<Finding> {
    let load = |crls: &[&Crl]| CrlLoad::of(crls.iter().map(|crl| crl.entries));
    let swap = CrlSwap {
        live: load(live),
        new: load(added),
    };
    let CrlLoad { crls, entries } = swap.together();
    let message = format!(
        "old and new together are {crls} CRLs with {entries} entries; the default quotas are \
         {DEFAULT_CRLS} and {DEFAULT_ENTRIES}"
    );
    let found = swap.exceeds_default();
    found.then(|| SWAP.whole("the CRLs", message))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::trust::digest::Sha256Digest;
    use crate::trust::fixtures::{Authority, CrlParts, NOW, extension, tlv};
    use crate::trust::lint::testing::codes;

    fn crl(authority: &Authority, days: i64, number: Option<u8>) -> Crl {
        let number = number.map(|number| extension(&[0x55, 0x1d, 20], false, &tlv(2, &[number])));
        authority.crl_of(&CrlParts {
            this_update: NOW + Duration::days(days),
            extensions: number.into_iter().collect(),
            ..CrlParts::default()
        })
    }

    fn succeed(from: (i64, Option<u8>), to: (i64, Option<u8>)) -> Vec<&'static str> {
        let root = Authority::new("Root");
        let (live, want) = (crl(&root, from.0, from.1), crl(&root, to.0, to.1));
        codes(&lint_succession(&[live], &[want]))
    }

    #[test]
    fn the_next_crl_is_later_and_has_a_higher_number() {
        assert_eq!(succeed((0, Some(1)), (1, Some(2))), [""; 0]);
        assert_eq!(succeed((0, None), (1, None)), [""; 0]);
        assert_eq!(succeed((0, None), (1, Some(1))), [""; 0]);
        assert_eq!(succeed((1, Some(2)), (0, Some(3))), ["crl-older-than-live"]);
        assert_eq!(succeed((0, Some(2)), (0, Some(1))), ["crl-older-than-live"]);
        assert_eq!(succeed((0, Some(1)), (0, Some(2))), [""; 0]);
        assert_eq!(succeed((0, Some(2)), (1, Some(1))), ["crl-number-back"]);
        assert_eq!(succeed((0, Some(2)), (1, Some(2))), ["crl-number-reused"]);
        assert_eq!(succeed((0, Some(2)), (1, None)), ["crl-number-missing"]);
    }

    #[test]
    fn numbers_are_compared_by_ca_and_with_the_newest() {
        let (one, other) = (Authority::new("One"), Authority::new("Other"));
        let live = [crl(&one, 0, Some(1)), crl(&one, 1, Some(9))];
        assert_eq!(lint_succession(&live, &[crl(&other, 0, Some(1))]), []);
        let findings = lint_succession(&live, &[crl(&one, 2, Some(5))]);
        assert_eq!(codes(&findings), ["crl-number-back"]);
        assert_eq!(
            findings[0].message,
            "its number is 5, that of the live one, issued at 2026-01-02T00:00:00Z, is 9"
        );
        assert_eq!(lint_succession(&live, &live), []);
    }

    #[test]
    fn only_crls_of_one_scope_take_each_others_place() {
        let root = Authority::new("Root");
        let shard = |point: &[u8], days, number| {
            let mut crl = crl(&root, days, Some(number));
            crl.scope.issuing_distribution_point = Some(Sha256Digest::of(point));
            crl
        };
        let live = [
            shard(b"a", 1, 9),
            shard(b"b", 2, 10),
            crl(&root, 3, Some(11)),
        ];
        let findings = |crl: Crl| codes(&lint_succession(&live, &[crl]));
        assert_eq!(findings(shard(b"a", 4, 12)), [""; 0]);
        assert_eq!(findings(shard(b"a", 0, 8)), ["crl-older-than-live"]);
        assert_eq!(findings(shard(b"c", 0, 1)), [""; 0]);
        assert_eq!(findings(crl(&root, 2, Some(8))), ["crl-older-than-live"]);
    }

    #[test]
    fn old_and_new_must_fit_in_together() {
        let root = Authority::new("Root");
        let mut live = crl(&root, 0, Some(1));
        live.entries = 300_000;
        let mut want = crl(&root, 1, Some(2));
        want.entries = 200_000;
        assert_eq!(lint_succession(&[&live], &[&want]), []);
        want.entries = 200_001;
        let findings = lint_succession(&[&live], &[&want]);
        assert_eq!(codes(&findings), ["crl-swap-exceeds-quota"]);
        assert!(findings[0].message.contains("2 CRLs with 500001 entries"));
        assert_eq!(lint_succession(&[&live], &[&live]), []);
        assert_eq!(lint_succession(&[] as &[Crl], &[want]), []);
    }
}
