//! Chains from a client's certificate to a CA of the trust store.
//!
//! All of them are found, shorter ones first, since CAs are cross-signed, renewed and renamed, and
//! the first that comes to mind may be the one that fails. What an attacker sends must not cost
//! more than what an honest client sends: signatures are checked once, and both they and the steps
//! of the search are counted.

use std::cmp::Reverse;
use std::collections::HashMap;

use time::OffsetDateTime;

use super::{CheckWarning, Reason, Refusal, named};
use crate::trust::algorithm::SignatureCheck;
use crate::trust::bundle::Bundle;
use crate::trust::certificate::Certificate;

/// The longest chain that is looked at to tell a chain that is too long from one that leads nowhere.
pub(super) const LONGEST: usize = 16;

/// How many signatures on or by what a client sends are checked; an honest chain needs a dozen.
const MAXIMUM_SIGNATURES: usize = 256;

/// How many chains that lead nowhere are looked at to say why there is none.
const MAXIMUM_DEAD_ENDS: usize = 64;

/// How many steps all searches for one client may take together.
const MAXIMUM_STEPS: usize = 50_000;

/// What ends a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchors {
    /// A self-signed CA of the trust store, or one whose issuer the trust store does not hold.
    Roots,
    /// Any CA of the trust store.
    Anything,
}

/// A certificate that chains can be made of.
#[derive(Debug)]
struct Member<'a> {
    certificate: &'a Certificate,
    trusted: bool,
    /// Members with the name of its issuer, the likeliest first; itself too, if it is self-issued.
    issuers: Vec<usize>,
}

/// All certificates that chains can be made of: the client's is number 0.
#[derive(Debug)]
pub(super) struct Pool<'a> {
    members: Vec<Member<'a>>,
    signatures: HashMap<(usize, usize), SignatureCheck>,
    /// How many of them the client could have had a hand in.
    counted: usize,
    steps: usize,
    is_exhausted: bool,
}

impl<'a> Pool<'a> {
    /// Gathers the certificates, each once, and who could have issued whom.
    pub(super) fn new(
        client: &'a Certificate,
        sent: &'a [Certificate],
        bundle: &'a Bundle,
        at: OffsetDateTime,
    ) -> Self {
        let mut members: Vec<Member<'a>> = Vec::new();
        let all = std::iter::once(client)
            .chain(bundle.certificates())
            .chain(sent);
        for certificate in all {
            let is_known = members
                .iter()
                .any(|member| member.certificate.fingerprint == certificate.fingerprint);
            if !is_known {
                members.push(Member {
                    certificate,
                    trusted: bundle.contains(certificate.fingerprint),
                    issuers: Vec::new(),
                });
            }
        }
        let issuers: Vec<Vec<usize>> = members
            .iter()
            .map(|member| issuers_of(member.certificate, &members, at))
            .collect();
        for (member, issuers) in members.iter_mut().zip(issuers) {
            member.issuers = issuers;
        }
        Self {
            members,
            signatures: HashMap::new(),
            counted: 0,
            steps: 0,
            is_exhausted: false,
        }
    }

    /// Returns a member's certificate.
    pub(super) fn certificate(&self, member: usize) -> &'a Certificate {
        self.members[member].certificate
    }

    /// Returns the certificates of a chain.
    pub(super) fn certificates(&self, path: &[usize]) -> Vec<&'a Certificate> {
        path.iter()
            .map(|&member| self.certificate(member))
            .collect()
    }

    /// Says whether the trust store holds a member.
    pub(super) fn is_trusted(&self, member: usize) -> bool {
        self.members[member].trusted
    }

    /// Returns the members that may sign CRLs: those of a chain and those of the trust store.
    pub(super) fn signers(&self, path: &[usize]) -> Vec<usize> {
        let all = 0..self.members.len();
        all.filter(|member| self.is_trusted(*member) || path.contains(member))
            .collect()
    }

    /// Says whether the search gave up.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    /// Checks a signature, each only once; beyond the limit none fits any more.
    ///
    /// Those within the trust store are never left out: they say which CAs are anchors, and an
    /// anchor is not asked whether it is revoked. A client must not be able to make one of a CA by
    /// using up the limit.
    pub(super) fn signature(&mut self, member: usize, issuer: usize) -> SignatureCheck {
        if let Some(known) = self.signatures.get(&(member, issuer)) {
            return *known;
        }
        if !(self.is_trusted(member) && self.is_trusted(issuer)) {
            if self.counted >= MAXIMUM_SIGNATURES {
                self.is_exhausted = true;
                return SignatureCheck::Invalid;
            }
            self.counted += 1;
        }
        let certificate = self.certificate(member);
        let check = certificate.signature_by(self.certificate(issuer));
        self.signatures.insert((member, issuer), check);
        check
    }

    /// Says whether a chain may end here.
    fn is_anchor(&mut self, member: usize, anchors: Anchors) -> bool {
        if !self.is_trusted(member) {
            return false;
        }
        anchors == Anchors::Anything
            || self.is_self_signed(member)
            || self.trusted_issuer(member).is_none()
    }

    /// Says whether its own key signed it, as far as can be checked.
    fn is_self_signed(&mut self, member: usize) -> bool {
        self.certificate(member).is_self_issued()
            && self.signature(member, member) != SignatureCheck::Invalid
    }

    /// Finds a CA of the trust store above a member.
    fn trusted_issuer(&mut self, member: usize) -> Option<usize> {
        let issuers = self.members[member].issuers.clone();
        issuers.into_iter().find(|&issuer| {
            issuer != member
                && self.is_trusted(issuer)
                && self.signature(member, issuer) != SignatureCheck::Invalid
        })
    }

    /// Says whether a chain could go on from its last member to an issuer.
    fn continues(&mut self, frames: &[Frame], issuer: usize) -> bool {
        let Some(last) = frames.last().map(|frame| frame.member) else {
            return false;
        };
        let candidate = self.certificate(issuer);
        // A key under one name twice is a detour: whatever it signs, it signed without it.
        let is_repeated = frames.iter().any(|frame| {
            let known = self.certificate(frame.member);
            known.fingerprint == candidate.fingerprint
                || (known.public_key == candidate.public_key
                    && known.subject.matches(&candidate.subject)
                    && frame.member != 0)
        });
        // Above what is trusted only the trust store counts.
        let stays_trusted = !self.is_trusted(last) || self.is_trusted(issuer);
        !is_repeated && stays_trusted && self.signature(last, issuer) != SignatureCheck::Invalid
    }

    /// Explains where a chain ends that leads to no CA of the trust store.
    pub(super) fn untrusted(&self, path: &[usize]) -> Refusal {
        let last = path.last().copied().unwrap_or_default();
        let top = self.certificate(last);
        let is_namesake = |&issuer: &usize| issuer != last && self.is_trusted(issuer);
        let namesake = self.members[last].issuers.iter().copied().find(is_namesake);
        let message = if let Some(namesake) = namesake {
            format!(
                "the trust store holds {}, but another key of that name signed {}",
                named(self.certificate(namesake)),
                named(top)
            )
        } else if top.is_self_issued() {
            format!(
                "{} is where the chain ends, and the trust store does not hold it",
                named(top)
            )
        } else {
            format!(
                "neither the trust store nor the client has the issuer of {}, {}",
                named(top),
                top.issuer
            )
        };
        Refusal {
            reason: Reason::Untrusted,
            message,
            position: path.len().saturating_sub(1),
            crl: None,
        }
    }

    /// Tells that a verifier which tries only one issuer of a name may have tried the wrong one.
    pub(super) fn several_issuers(&self, path: &[usize]) -> Option<CheckWarning> {
        let (member, other) = path.windows(2).find_map(|pair| {
            let (member, issuer) = (pair[0], pair[1]);
            let misleads = |&other: &usize| {
                let fits = self.signatures.get(&(member, other));
                let leads_nowhere = fits == Some(&SignatureCheck::Invalid)
                    || !self.is_trusted(issuer) && !self.is_trusted(other);
                other != issuer
                    && other != member
                    && leads_nowhere
                    && key_fit(self.certificate(member), self.certificate(other)) < KEY_DIFFERS
            };
            let mut issuers = self.members[member].issuers.iter().copied();
            issuers.find(misleads).map(|other| (member, other))
        })?;
        Some(CheckWarning {
            code: "several-issuers",
            message: format!(
                "{} has the name of the issuer of {} as well; whether a load balancer tries more \
                 than one is not documented",
                named(self.certificate(other)),
                named(self.certificate(member))
            ),
        })
    }

    /// Tells that a chain ends at a CA that is no root.
    pub(super) fn missing_root(&self, path: &[usize]) -> Option<CheckWarning> {
        let last = *path.last()?;
        let anchor = self.certificate(last);
        let is_whole = anchor.is_self_issued() || !self.is_trusted(last);
        (!is_whole).then(|| CheckWarning {
            code: "anchor-without-root",
            message: format!(
                "the trust store holds {} without its issuer, {}; AWS does not document whether \
                 such a CA can be trusted alone, and it is taken for trusted here",
                named(anchor),
                anchor.issuer
            ),
        })
    }
}

/// Finds the members with the name of the issuer; the likeliest first, which saves work.
fn issuers_of(certificate: &Certificate, members: &[Member<'_>], at: OffsetDateTime) -> Vec<usize> {
    let mut issuers: Vec<usize> = (0..members.len())
        .filter(|&index| {
            let subject = &members[index].certificate.subject;
            subject.matches(&certificate.issuer)
        })
        .collect();
    issuers.sort_by_key(|&index| {
        let issuer = members[index].certificate;
        let key_fits = key_fit(certificate, issuer);
        let is_valid = (issuer.not_before..=issuer.not_after).contains(&at);
        let is_trusted = members[index].trusted;
        (
            key_fits,
            !is_trusted,
            !is_valid,
            Reverse(issuer.not_after),
            index,
        )
    });
    issuers
}

/// The key identifiers say that another key signed.
const KEY_DIFFERS: u8 = 2;

/// Compares the key identifiers: 0 where they are the same, 1 where one is missing.
fn key_fit(certificate: &Certificate, issuer: &Certificate) -> u8 {
    let identifiers = (
        &certificate.extensions.authority_key_identifier,
        &issuer.extensions.subject_key_identifier,
    );
    match identifiers {
        (Some(wanted), Some(found)) if wanted == found => 0,
        (Some(_), Some(_)) => KEY_DIFFERS,
        _ => 1,
    }
}

/// A certificate of the chain that is being built.
#[derive(Clone, Copy, Debug)]
struct Frame {
    member: usize,
    /// How many of its issuers were tried.
    tried: usize,
}

impl Frame {
    fn new(member: usize) -> Self {
        Self { member, tried: 0 }
    }
}

/// A depth-first search for chains of one length, which goes on where it stopped.
#[derive(Debug)]
pub(super) struct Search {
    anchors: Anchors,
    length: usize,
    frames: Vec<Frame>,
    /// The longest chains that were tried, all of one length.
    deepest: Vec<Vec<usize>>,
}

impl Search {
    /// Begins a search for chains of exactly this length.
    pub(super) fn new(anchors: Anchors, length: usize) -> Self {
        Self {
            anchors,
            length,
            frames: vec![Frame::new(0)],
            deepest: vec![vec![0]],
        }
    }

    /// Finds the next complete chain.
    pub(super) fn next(&mut self, pool: &mut Pool<'_>) -> Option<Vec<usize>> {
        while let Some(&Frame { member, tried }) = self.frames.last() {
            if pool.steps >= MAXIMUM_STEPS {
                pool.is_exhausted = true;
                return None;
            }
            pool.steps += 1;
            if tried == 0 && pool.is_anchor(member, self.anchors) {
                let path = self.path();
                self.frames.pop();
                if path.len() == self.length {
                    return Some(path);
                }
                continue;
            }
            let issuer = pool.members[member].issuers.get(tried).copied();
            let is_full = self.frames.len() >= self.length;
            let Some(issuer) = issuer.filter(|_| !is_full) else {
                self.frames.pop();
                continue;
            };
            if let Some(frame) = self.frames.last_mut() {
                frame.tried += 1;
            }
            if pool.continues(&self.frames, issuer) {
                self.frames.push(Frame::new(issuer));
                self.note_depth();
            }
        }
        None
    }

    /// Returns the longest chains that were tried, complete or not, all of one length.
    pub(super) fn deepest(&self) -> &[Vec<usize>] {
        &self.deepest
    }

    /// Keeps the present chain if none is longer.
    fn note_depth(&mut self) {
        let known = self.deepest.first().map_or(0, Vec::len);
        if self.frames.len() > known {
            self.deepest.clear();
        } else if self.frames.len() < known || self.deepest.len() >= MAXIMUM_DEAD_ENDS {
            return;
        }
        self.deepest.push(self.path());
    }

    fn path(&self) -> Vec<usize> {
        self.frames.iter().map(|frame| frame.member).collect()
    }
}
