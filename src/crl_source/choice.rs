//! Which CRLs a trust store is to hold, by what URLs serve and what is live; pure.
//!
//! What is live belongs to the URL that serves a CRL of the same issuer. Planning keeps it whatever
//! the URL serves by now, so that a CA's new CRL is no change of the stack; refreshing takes what is
//! served. A URL that fails keeps what is live of the issuers that it served before, or, where that
//! is not known, everything: nothing is removed on a guess, and nothing is built without its CRL.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{Failure, Served};
use crate::stack::CrlUrl;
use crate::trust::{
    Bundle, Crl, DistinguishedName, Severity, Sha256Digest, SignatureCheck, crl_changes,
    crl_predecessor, lint_crl, lint_successor,
};

/// What to do where a URL serves another CRL than the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Keep the live one.
    Keep,
    /// Take what is served.
    Refresh,
}

/// What there is to choose from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// What the stack's URLs serve.
    pub(crate) served: &'a [Arc<Served>],
    /// The CRLs of the stack's files.
    pub(crate) files: &'a [Arc<Crl>],
    /// The CRLs that the trust store holds.
    pub(crate) live: &'a [Arc<Crl>],
    /// Live ones that must stay, because removing them has not been allowed.
    pub(crate) held: &'a [Sha256Digest],
    /// The CAs.
    pub(crate) bundle: &'a Bundle,
    /// Now.
    pub(crate) now: OffsetDateTime,
}

/// What was chosen.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// The CRLs that the trust store is to hold, besides those of files.
    pub(crate) wanted: Vec<Arc<Crl>>,
    /// What becomes of each URL's CRLs.
    pub(crate) outcomes: Vec<Outcome>,
}

/// What becomes of a CRL of a URL.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The URL.
    pub(crate) url: CrlUrl,
    /// What becomes of it.
    pub(crate) fate: Fate,
}

/// What becomes of a CRL.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It is live.
    Current(Arc<Crl>),
    /// Another one of its issuer is live.
    Due { live: Arc<Crl>, served: Arc<Crl> },
    /// None of its issuer is live; with a failure it is the one that was served before.
    New {
        served: Arc<Crl>,
        failure: Option<Failure>,
    },
    /// The URL fails, and these stay.
    Kept {
        failure: Failure,
        live: Vec<Arc<Crl>>,
    },
    /// The URL fails, and nothing is live for it.
    Absent(Failure),
}

/// A CRL, and the CA of the bundle whose key signed it; without one it revokes nothing that is trusted.
struct Signed {
    crl: Arc<Crl>,
    signer: Option<Sha256Digest>,
}

impl Signed {
    fn new(crl: &Arc<Crl>, bundle: &Bundle) -> Self {
        let mut named = bundle.certificates().iter();
        let signer = named.find(|ca| {
            ca.subject.matches(&crl.issuer) && crl.signature_by(ca) != SignatureCheck::Invalid
        });
        Self {
            crl: Arc::clone(crl),
            signer: signer.map(|ca| ca.fingerprint),
        }
    }

    fn is_of(&self, issuer: &DistinguishedName) -> bool {
        self.crl.issuer.matches(issuer)
    }
}

/// A URL that fails, and the issuers whose CRLs it is known to have served; none: not known.
struct Failing<'a> {
    served: &'a Served,
    failure: Failure,
    issuers: Vec<DistinguishedName>,
}

impl Failing<'_> {
    /// Whether a CRL of this issuer may be this URL's.
    fn may_be_of(&self, issuer: &DistinguishedName) -> bool {
        self.issuers.is_empty() || self.issuers.iter().any(|one| one.matches(issuer))
    }
}

/// A question with all signatures checked and the URLs sorted into good and failing ones.
struct Case<'a> {
    question: Question<'a>,
    /// What is live and in no file.
    live: Vec<Signed>,
    /// The URLs that serve what can be used, with it.
    good: Vec<(&'a Served, Vec<Signed>)>,
    failing: Vec<Failing<'a>>,
}

impl Question<'_> {
    /// Chooses.
    pub(crate) fn choose(self, mode: Mode) -> Choice {
        let case = Case::new(self);
        let wanted = match mode {
            Mode::Keep => case.kept(),
            Mode::Refresh => case.refreshed(),
        };
        let outcomes = case.outcomes();
        // What a failing URL served before stands in where nothing is live for it.
        let stand_ins = outcomes.iter().filter_map(|outcome| match &outcome.fate {
            Fate::New { served, .. } => Some(Arc::clone(served)),
            _ => None,
        });
        Choice {
            wanted: distinct(wanted.into_iter().chain(stand_ins)),
            outcomes,
        }
    }
}

impl<'a> Case<'a> {
    fn new(question: Question<'a>) -> Self {
        let live = question
            .live
            .iter()
            .filter(|crl| !has(question.files, crl))
            .map(|crl| Signed::new(crl, question.bundle))
            .collect();
        let mut case = Self {
            question,
            live,
            good: Vec::new(),
            failing: Vec::new(),
        };
        for served in question.served {
            match case.examine(served) {
                Ok(crls) => case.good.push((served, crls)),
                Err(failure) => {
                    let issuers = case.issuers_of(served);
                    case.failing.push(Failing {
                        served,
                        failure,
                        issuers,
                    });
                }
            }
        }
        case
    }

    /// What a URL serves, if all of it can be used.
    fn examine(&self, served: &Served) -> Result<Vec<Signed>, Failure> {
        let crls = served.crls.as_ref().map_err(Failure::clone)?;
        let examined = crls.iter().map(|crl| {
            let about =
                |problem: String| Failure::Unusable(format!("CRL of {}: {problem}", crl.issuer));
            let Question { bundle, now, .. } = self.question;
            let signed = Signed::new(crl, bundle);
            let problem = first_error(crl, self.predecessor(&signed), bundle, now);
            problem.map_or(Ok(signed), |problem| Err(about(problem)))
        });
        examined.collect()
    }

    /// The live CRL whose place one of the same key takes; none if it is live itself.
    fn predecessor(&self, one: &Signed) -> Option<&Crl> {
        if has(self.question.live, &one.crl) {
            return None;
        }
        let of_key = self.live.iter();
        let of_key = of_key.filter(|live| live.signer.is_some() && live.signer == one.signer);
        let of_key: Vec<&Crl> = of_key.map(|live| live.crl.as_ref()).collect();
        crl_predecessor(&one.crl, &of_key)
    }

    /// Whose CRLs a failing URL is known to have served.
    fn issuers_of(&self, served: &Served) -> Vec<DistinguishedName> {
        let is_live = |crl: &&Arc<Crl>| self.live.iter().any(|live| live.is_of(&crl.issuer));
        let now = served.crls.iter().flatten().filter(is_live);
        let before = served.remembered().iter();
        now.chain(before).map(|crl| crl.issuer.clone()).collect()
    }

    /// What is live of an issuer, in no file, and of use with the CAs.
    fn live_of(&self, issuer: &DistinguishedName) -> Vec<&Signed> {
        let live = self.live.iter();
        live.filter(|live| live.is_of(issuer) && live.signer.is_some())
            .collect()
    }

    /// What good URLs serve of an issuer.
    fn served_of(&self, issuer: &DistinguishedName) -> Vec<&Signed> {
        let served = self.good.iter().flat_map(|(_, crls)| crls);
        served.filter(|one| one.is_of(issuer)).collect()
    }

    /// Whether a failing URL may have served what is live of an issuer.
    fn is_contested(&self, issuer: &DistinguishedName) -> bool {
        let mut failing = self.failing.iter();
        failing.any(|failing| failing.may_be_of(issuer))
    }

    /// Everything that is live and may be a URL's, and what is served where nothing is.
    fn kept(&self) -> Vec<Arc<Crl>> {
        let mut wanted = Vec::new();
        for one in self.good.iter().flat_map(|(_, crls)| crls) {
            let issuer = &one.crl.issuer;
            let served = distinct(
                self.served_of(issuer)
                    .iter()
                    .map(|one| Arc::clone(&one.crl)),
            );
            let live = self.live_of(issuer);
            // Several at once cannot be told apart by their issuer.
            if served.len() == 1 && !live.is_empty() && !self.is_contested(issuer) {
                let kept = live.iter().filter(|one_live| {
                    let of_key = |other: &&&Signed| other.signer == one_live.signer;
                    let of_key: Vec<&Signed> = live.iter().filter(of_key).copied().collect();
                    let newest = newest(&of_key, &one.crl);
                    Arc::ptr_eq(&one_live.crl, newest) || revokes_more(&one_live.crl, newest)
                });
                wanted.extend(kept.map(|live| Arc::clone(&live.crl)));
                continue;
            }
            if live.len() < served.len() {
                let missing = served.iter().filter(|crl| !has(self.question.files, crl));
                wanted.extend(missing.cloned());
            }
            wanted.extend(live.iter().map(|live| Arc::clone(&live.crl)));
        }
        for live in self.live.iter().filter(|live| live.signer.is_some()) {
            if self.is_contested(&live.crl.issuer) {
                wanted.push(Arc::clone(&live.crl));
            }
        }
        wanted
    }

    /// Everything that is live but what a served CRL supersedes, and what is served.
    fn refreshed(&self) -> Vec<Arc<Crl>> {
        let stays = self
            .question
            .live
            .iter()
            .filter(|crl| !self.is_superseded(crl));
        let served = self.good.iter().flat_map(|(_, crls)| crls);
        stays
            .chain(served.map(|one| &one.crl))
            .map(Arc::clone)
            .collect()
    }

    /// Whether a live CRL has been served once and is not any more.
    ///
    /// Only a CRL of the same key can supersede it while that key is trusted: which of two keys of
    /// one name a load balancer asks is not known, and a certificate may be checked with the key
    /// that issued it. Where a URL that fails may have served it, that takes one of the same scope.
    fn is_superseded(&self, crl: &Arc<Crl>) -> bool {
        // One of a file is not among them.
        let Some(live) = self.live.iter().find(|live| Arc::ptr_eq(&live.crl, crl)) else {
            return false;
        };
        let served = self.served_of(&crl.issuer);
        let is_served = served.iter().any(|one| one.crl.digest == crl.digest);
        if is_served || self.question.held.contains(&crl.digest) {
            return false;
        }
        let may_be_gone = !self.is_contested(&crl.issuer);
        let supersedes = |one: &&Signed| match live.signer {
            None => may_be_gone,
            signer => one.signer == signer && (may_be_gone || one.crl.scope.is_same(&crl.scope)),
        };
        served.iter().any(supersedes)
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let good = self.good.iter().flat_map(|(served, crls)| {
            let outcome = |one| Outcome {
                url: served.url.clone(),
                fate: self.fate(one),
            };
            crls.iter().map(outcome)
        });
        let failing = self.failing.iter().flat_map(|failing| {
            let outcome = |fate| Outcome {
                url: failing.served.url.clone(),
                fate,
            };
            self.fates_of(failing).into_iter().map(outcome)
        });
        good.chain(failing).collect()
    }

    /// What becomes of a CRL that can be used.
    fn fate(&self, one: &Signed) -> Fate {
        let served = Arc::clone(&one.crl);
        if has(self.question.live, &served) || has(self.question.files, &served) {
            return Fate::Current(served);
        }
        let live = self.live_of(&served.issuer);
        if live.is_empty() {
            return Fate::New {
                served,
                failure: None,
            };
        }
        let of_key = |live: &&&Signed| live.signer == one.signer;
        let of_key: Vec<&Signed> = live.iter().filter(of_key).copied().collect();
        let of_scope = |live: &&&Signed| live.crl.scope.is_same(&served.scope);
        let of_scope: Vec<&Signed> = of_key.iter().filter(of_scope).copied().collect();
        let rivals = [of_scope, of_key, live];
        let rivals = rivals.iter().find(|some| !some.is_empty());
        let rivals = rivals.map_or(&[][..], Vec::as_slice);
        let live = Arc::clone(newest(rivals, &served));
        Fate::Due { live, served }
    }

    /// What becomes of what a failing URL has served.
    fn fates_of(&self, failing: &Failing<'_>) -> Vec<Fate> {
        let failure = failing.failure.clone();
        let live = if failing.issuers.is_empty() {
            self.unaccounted()
        } else {
            let mut of_issuers = failing.issuers.iter().flat_map(|one| self.live_of(one));
            let live = of_issuers.by_ref().map(|live| Arc::clone(&live.crl));
            let files = self.question.files.iter().cloned();
            let is_of = |crl: &Arc<Crl>| failing.may_be_of(&crl.issuer);
            distinct(live.chain(files.filter(is_of)))
        };
        let unknown = self.failing.iter().filter(|one| one.issuers.is_empty());
        let least = if failing.issuers.is_empty() {
            unknown.count()
        } else {
            1
        };
        if live.len() >= least {
            // What another URL supersedes is told with that, unless there is nothing else to tell.
            let stays = live.iter().filter(|crl| !self.is_superseded(crl));
            let stays: Vec<Arc<Crl>> = stays.cloned().collect();
            let live = if stays.is_empty() { live } else { stays };
            return vec![Fate::Kept { failure, live }];
        }
        let Question { bundle, now, .. } = self.question;
        let remembered = failing.served.remembered();
        let usable = |crl: &Arc<Crl>| first_error(crl, None, bundle, now).is_none();
        if remembered.is_empty() || !remembered.iter().all(usable) {
            return vec![Fate::Absent(failure)];
        }
        let stand_in = |crl: &Arc<Crl>| Fate::New {
            served: Arc::clone(crl),
            failure: Some(failure.clone()),
        };
        remembered.iter().map(stand_in).collect()
    }

    /// What is live and of no issuer whose CRLs are known to come from elsewhere.
    fn unaccounted(&self) -> Vec<Arc<Crl>> {
        let files = self.question.files;
        let is_known = |issuer: &DistinguishedName| {
            let mut known = self.failing.iter().filter(|one| !one.issuers.is_empty());
            !self.served_of(issuer).is_empty()
                || known.any(|one| one.may_be_of(issuer))
                || files.iter().any(|crl| crl.issuer.matches(issuer))
        };
        let live = self.live.iter().filter(|live| live.signer.is_some());
        live.filter(|live| !is_known(&live.crl.issuer))
            .map(|live| Arc::clone(&live.crl))
            .collect()
    }
}

/// The newest of what is live; what is served, if that is live.
fn newest<'a>(live: &[&'a Signed], served: &Crl) -> &'a Arc<Crl> {
    let newest = live.iter().max_by_key(|live| {
        let crl = &live.crl;
        (crl.digest == served.digest, crl.this_update, crl.number)
    });
    &newest.expect("something is live").crl
}

/// Whether one CRL revokes what the other does not.
fn revokes_more(crl: &Crl, other: &Crl) -> bool {
    crl_changes(&crl.serials, &other.serials).removed > 0
}

/// Why a load balancer would not take a CRL, or refuse clients for it, or why it is no successor of
/// the live one: old ones are served by mistake, or to undo revocations.
fn first_error(
    crl: &Crl,
    live: Option<&Crl>,
    bundle: &Bundle,
    now: OffsetDateTime,
) -> Option<String> {
    let findings = lint_crl(crl, bundle, now).into_iter();
    let findings = findings.chain(live.and_then(|live| lint_successor(crl, live)));
    // Out of date either way, and the later one revokes what has been revoked since.
    let is_live_worse = live.is_some_and(|live| {
        live.next_update.is_some_and(|next| next < now) && live.this_update < crl.this_update
    });
    let mut errors = findings.filter(|finding| {
        finding.severity == Severity::Error && !(is_live_worse && finding.code == "crl-expired")
    });
    let error = errors.next()?;
    Some(format!("{} ({})", error.message, error.code))
}

/// What a CRL is called: `number 41`, or the day it was issued on where it has none.
pub(crate) fn name(crl: &Crl) -> String {
    let what = if crl.number.is_some() {
        "number"
    } else {
        "issued"
    };
    format!("{what} {}", number(crl))
}

/// The number of a CRL in words; the day it was issued on where it has none.
pub(crate) fn number(crl: &Crl) -> String {
    decimal_number(crl).unwrap_or_else(|| crl.this_update.date().to_string())
}

/// The number of a CRL, in decimal, if it has one.
pub(crate) fn decimal_number(crl: &Crl) -> Option<String> {
    crl.number.map(|number| number.decimal())
}

fn has(crls: &[Arc<Crl>], crl: &Crl) -> bool {
    crls.iter().any(|one| one.digest == crl.digest)
}

/// Each once.
fn distinct(crls: impl IntoIterator<Item = Arc<Crl>>) -> Vec<Arc<Crl>> {
    let mut distinct: Vec<Arc<Crl>> = Vec::new();
    for crl in crls {
        if !has(&distinct, &crl) {
            distinct.push(crl);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::Remembered;
    use super::*;
    use crate::stack::{CrlSource, Stack, TrustStore};
    use crate::trust::fixtures::{Authority, CrlParts, NOW, extension, tlv};

    /// A CRL with this number and these serials, issued later the higher the number.
    fn crl(of: &Authority, number: u8, serials: &[u8]) -> Arc<Crl> {
        Arc::new(of.crl_of(&CrlParts {
            this_update: NOW - Duration::days(100) + Duration::days(number.into()),
            next_update: Some(NOW + Duration::days(30)),
            serials: serials.iter().map(|serial| vec![*serial]).collect(),
            extensions: vec![extension(&[0x55, 0x1d, 20], false, &tlv(0x02, &[number]))],
        }))
    }

    /// Some URL; two of different numbers are different.
    fn url(number: usize) -> CrlUrl {
        let text = format!(
            "name: shop\nregion: eu-west-1\ntrust_store: {{ ca_bundle: [x], crls: [http://c/{number}] }}"
        );
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("x"), "x").unwrap();
        let stack = Stack::parse(&directory.path().join("stack.yaml"), &text).unwrap();
        match stack.trust_store {
            Some(TrustStore::Own { mut crls, .. }) => match crls.remove(0) {
                CrlSource::Url(url) => url,
                CrlSource::File(_) => unreachable!("it is a URL"),
            },
            _ => unreachable!("it is its own"),
        }
    }

    fn serves(number: usize, crls: &[&Arc<Crl>]) -> Arc<Served> {
        Arc::new(Served {
            url: url(number),
            crls: Ok(crls.iter().copied().cloned().collect()),
            remembered: Remembered::default(),
            entry: None,
        })
    }

    fn fails(number: usize, remembered: &[&Arc<Crl>]) -> Arc<Served> {
        let remembered: Vec<_> = remembered.iter().copied().cloned().collect();
        Arc::new(Served {
            url: url(number),
            crls: Err(Failure::Unreachable("silent".to_owned())),
            remembered: Remembered {
                content: Vec::new(),
                crls: remembered.into(),
            },
            entry: None,
        })
    }

    /// What is wanted where these CAs are trusted, as positions in `known`; and the fates.
    #[track_caller]
    fn chosen(
        (mode, cas): (Mode, &[&Authority]),
        served: &[Arc<Served>],
        files: &[&Arc<Crl>],
        live: &[&Arc<Crl>],
        known: &[&Arc<Crl>],
    ) -> (Vec<usize>, Vec<&'static str>) {
        let owned = |crls: &[&Arc<Crl>]| crls.iter().copied().cloned().collect::<Vec<_>>();
        let bundle: Bundle = cas.iter().map(|ca| ca.certificate()).collect();
        let question = Question {
            served,
            files: &owned(files),
            live: &owned(live),
            held: &[],
            bundle: &bundle,
            now: NOW,
        };
        let choice = question.choose(mode);
        let place = |crl: &Arc<Crl>| known.iter().position(|one| one.digest == crl.digest);
        let mut wanted: Vec<usize> = choice
            .wanted
            .iter()
            .map(|crl| place(crl).unwrap())
            .collect();
        wanted.sort_unstable();
        let fates = choice.outcomes.iter().map(|outcome| match outcome.fate {
            Fate::Current(_) => "current",
            Fate::Due { .. } => "due",
            Fate::New { .. } => "new",
            Fate::Kept { .. } => "kept",
            Fate::Absent(_) => "absent",
        });
        (wanted, fates.collect())
    }

    #[test]
    fn planning_keeps_what_is_live_and_refreshing_takes_what_is_served() {
        let root = Authority::new("Root");
        let (old, new) = (&crl(&root, 1, &[1]), &crl(&root, 2, &[1, 2]));
        let known = [old, new];
        let choose = |mode, live: &[&Arc<Crl>]| {
            chosen((mode, &[&root]), &[serves(0, &[new])], &[], live, &known)
        };
        assert_eq!(choose(Mode::Keep, &[]), (vec![1], vec!["new"]));
        assert_eq!(choose(Mode::Keep, &[old]), (vec![0], vec!["due"]));
        assert_eq!(choose(Mode::Keep, &[old, new]), (vec![1], vec!["current"]));
        assert_eq!(choose(Mode::Refresh, &[old]), (vec![1], vec!["due"]));
        assert_eq!(
            choose(Mode::Refresh, &[old, new]),
            (vec![1], vec!["current"])
        );
        // What revokes more than the newest is not for planning to remove.
        let wider = &crl(&root, 0, &[9]);
        let live = [wider, new];
        let kept = chosen(
            (Mode::Keep, &[&root]),
            &[serves(0, &[new])],
            &[],
            &live,
            &live,
        );
        assert_eq!(kept, (vec![0, 1], vec!["current"]));
    }

    #[test]
    fn a_url_that_fails_keeps_its_own_and_everything_where_that_is_not_known() {
        let (one, two) = (Authority::new("One"), Authority::new("Two"));
        let (of_one, of_two) = (&crl(&one, 1, &[1]), &crl(&two, 1, &[1]));
        let next = &crl(&one, 2, &[1]);
        let known = [of_one, of_two, next];
        for mode in [Mode::Keep, Mode::Refresh] {
            let choose = |served: &[Arc<Served>], live: &[&Arc<Crl>]| {
                chosen((mode, &[&one, &two]), served, &[], live, &known)
            };
            let good = serves(0, &[next]);
            let both = [of_one, of_two];
            let kept = choose(&[good.clone(), fails(1, &[of_two])], &both);
            let due = if mode == Mode::Keep { 0 } else { 2 };
            let sorted = |mut wanted: Vec<usize>| {
                wanted.sort_unstable();
                wanted
            };
            assert_eq!(kept, (sorted(vec![due, 1]), vec!["due", "kept"]));
            // Nothing is remembered: the one that nobody else serves is taken for it.
            assert_eq!(choose(&[good.clone(), fails(1, &[])], &both), kept);
            // Only that of the other URL is live.
            let (_, fates) = choose(&[good.clone(), fails(1, &[])], &[of_one]);
            assert_eq!(fates, ["due", "absent"]);
            let (wanted, fates) = choose(&[fails(1, &[of_two])], &[]);
            assert_eq!((wanted, fates), (vec![1], vec!["new"]));
            // Two unknown URLs need two CRLs.
            let (_, fates) = choose(&[fails(0, &[]), fails(1, &[])], &[of_one]);
            assert_eq!(fates, ["absent", "absent"]);
        }
    }

    #[test]
    fn two_keys_of_one_name_are_told_apart_where_that_matters() {
        let (old, new) = (Authority::new("Root"), Authority::new("Root"));
        let (of_old, of_new) = (&crl(&old, 5, &[1]), &crl(&new, 1, &[1]));
        let next = &crl(&new, 2, &[1]);
        let known = [of_old, of_new, next];
        let both = [&old, &new];
        let served = [serves(0, &[next]), fails(1, &[of_old])];
        // The URL of the old key fails: only what is signed with the new one is superseded.
        let live = [of_old, of_new];
        let refreshed = chosen((Mode::Refresh, &both), &served, &[], &live, &known);
        assert_eq!(refreshed, (vec![0, 2], vec!["due", "kept"]));
        // The only URL serves that of the new key by now, which begins to count anew and revokes the
        // same: what the old key signed stays as long as that is trusted.
        let served = &served[..1];
        let refreshed = chosen((Mode::Refresh, &both), served, &[], &[of_old], &known);
        assert_eq!(refreshed, (vec![0, 2], vec!["due"]));
        let planned = chosen((Mode::Keep, &both), served, &[], &live, &known);
        assert_eq!(planned, (vec![0, 1], vec!["due"]));
        let refreshed = chosen((Mode::Refresh, &[&new]), served, &[], &live, &known);
        assert_eq!(refreshed, (vec![2], vec!["due"]));
        // The old key is not trusted any more, and its CRL of no use.
        let planned = chosen((Mode::Keep, &[&new]), served, &[], &[of_old], &known);
        assert_eq!(planned, (vec![2], vec!["new"]));
    }

    #[test]
    fn crls_of_files_are_the_files_business() {
        let root = Authority::new("Root");
        let (of_file, of_url, next) = (
            &crl(&root, 1, &[1]),
            &crl(&root, 2, &[1]),
            &crl(&root, 3, &[1]),
        );
        let known = [of_file, of_url, next];
        let live = [of_file, of_url];
        let served = [serves(0, &[next])];
        let planned = chosen((Mode::Keep, &[&root]), &served, &[of_file], &live, &known);
        assert_eq!(planned, (vec![1], vec!["due"]));
        let refreshed = chosen(
            (Mode::Refresh, &[&root]),
            &served,
            &[of_file],
            &live,
            &known,
        );
        assert_eq!(refreshed, (vec![0, 2], vec!["due"]));
        let same = [serves(0, &[of_file])];
        let planned = chosen(
            (Mode::Keep, &[&root]),
            &same,
            &[of_file],
            &[of_file],
            &known,
        );
        assert_eq!(planned.1, ["current"]);
    }

    /// A CRL with this number, issued this many days ago, for one distribution point of the CA.
    fn shard(of: &Authority, point: u8, (number, days): (u8, i64), serials: &[u8]) -> Arc<Crl> {
        let name = tlv(0xa0, &tlv(0xa0, &tlv(0x86, &[b'u', b':', point])));
        Arc::new(of.crl_of(&CrlParts {
            this_update: NOW - Duration::days(days),
            next_update: Some(NOW + Duration::days(30)),
            serials: serials.iter().map(|serial| vec![*serial]).collect(),
            extensions: vec![
                extension(&[0x55, 0x1d, 20], false, &tlv(0x02, &[number])),
                extension(&[0x55, 0x1d, 28], true, &tlv(0x30, &name)),
            ],
        }))
    }

    #[test]
    fn the_parts_of_a_list_are_refreshed_each_on_its_own() {
        let root = Authority::new("Root");
        let (a, b) = (
            &shard(&root, 1, (9, 5), &[1]),
            &shard(&root, 2, (10, 4), &[2]),
        );
        let next = &shard(&root, 1, (11, 1), &[1, 3]);
        let known = [a, b, next];
        let refresh = |served: &[Arc<Served>]| {
            chosen((Mode::Refresh, &[&root]), served, &[], &[a, b], &known)
        };
        let current = refresh(&[serves(0, &[a]), serves(1, &[b])]);
        assert_eq!(current, (vec![0, 1], vec!["current", "current"]));
        let due = refresh(&[serves(0, &[next]), serves(1, &[b])]);
        assert_eq!(due, (vec![1, 2], vec!["due", "current"]));
        // The other part's URL fails: the new part does not stand for it.
        let kept = refresh(&[serves(0, &[next]), fails(1, &[b])]);
        assert_eq!(kept, (vec![1, 2], vec!["due", "kept"]));
    }

    #[test]
    fn what_goes_back_is_no_successor() {
        let root = Authority::new("Root");
        let at = |number: u8, days: i64| {
            let mut crl = Crl::clone(&crl(&root, number, &[number]));
            crl.this_update = NOW - Duration::days(days);
            Arc::new(crl)
        };
        let live = &at(5, 5);
        let fate = |served: &Arc<Crl>| {
            let served_now = [serves(0, &[served])];
            let known = [live, served];
            chosen((Mode::Refresh, &[&root]), &served_now, &[], &[live], &known)
        };
        assert_eq!(fate(&at(6, 4)), (vec![1], vec!["due"]));
        // A CA that was set back is newer by its date.
        assert_eq!(fate(&at(4, 4)), (vec![1], vec!["due"]));
        assert_eq!(fate(&at(6, 6)), (vec![0], vec!["kept"]));
        assert_eq!(fate(&at(4, 5)), (vec![0], vec!["kept"]));
        let bundle: Bundle = std::iter::once(root.certificate()).collect();
        let why = first_error(&at(4, 6), Some(live), &bundle, NOW);
        assert!(why.is_some_and(|why| why.contains("it was issued at 2025-12-26")));
    }

    #[test]
    fn a_crl_that_is_out_of_date_takes_the_place_of_an_older_one_that_is_too() {
        let root = Authority::new("Root");
        let due = |number: u8, days: i64| {
            let mut crl = Crl::clone(&crl(&root, number, &[number]));
            crl.next_update = Some(NOW + Duration::days(days));
            Arc::new(crl)
        };
        let served = &due(2, -1);
        let fate = |live: &Arc<Crl>| {
            let served_now = [serves(0, &[served])];
            let known = [live, served];
            chosen((Mode::Refresh, &[&root]), &served_now, &[], &[live], &known)
        };
        assert_eq!(fate(&due(1, -2)), (vec![1], vec!["due"]));
        assert_eq!(fate(&due(1, 2)), (vec![0], vec!["kept"]));
        assert_eq!(fate(&due(3, -2)), (vec![0], vec!["kept"]));
        assert_eq!(fate(served), (vec![0], vec!["kept"]));
    }

    #[test]
    fn entries_that_no_load_balancer_revokes_stop_no_refresh() {
        let root = Authority::new("Root");
        let live = &crl(&root, 1, &[1]);
        let next = &crl(&root, 2, &[1, 0x80]);
        assert_eq!(next.negative_serials, 1);
        let served = [serves(0, &[next])];
        let refreshed = chosen(
            (Mode::Refresh, &[&root]),
            &served,
            &[],
            &[live],
            &[live, next],
        );
        assert_eq!(refreshed, (vec![1], vec!["due"]));
    }

    #[test]
    fn a_crl_without_a_number_is_called_by_its_date() {
        let mut crl = Crl::clone(&crl(&Authority::new("Root"), 99, &[]));
        assert_eq!(name(&crl), "number 99");
        assert_eq!(decimal_number(&crl).as_deref(), Some("99"));
        crl.number = None;
        assert_eq!(decimal_number(&crl), None);
        assert_eq!(
            (number(&crl), name(&crl)),
            ("2025-12-31".to_owned(), "issued 2025-12-31".to_owned())
        );
    }
}
