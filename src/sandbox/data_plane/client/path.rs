//! All chains from a client's certificate to the trust store, the shorter ones first.
//!
//! What a client sends must not cost more than an honest one's: signatures and steps are counted.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::certificate::{Member, Signature};

/// The longest chain that is followed to tell a long one from one that leads nowhere.
pub(super) const LONGEST: usize = 16;

/// How many signatures by or on what a client sends are checked.
const SIGNATURES: usize = 256;

/// How many chains that lead nowhere are looked at for the reason.
const DEAD_ENDS: usize = 64;

/// How many steps the search takes for one client.
const STEPS: usize = 50_000;

/// The certificates that chains can be made of; the client's is number 0.
#[derive(Debug)]
pub(super) struct Pool {
    members: Vec<Arc<Member>>,
    /// Which of them the trust store holds.
    trusted: Vec<bool>,
    signatures: HashMap<(usize, usize), Signature>,
    checked: usize,
    steps: usize,
}

impl Pool {
    /// Gathers the certificates, each of them once.
    pub(super) fn new(client: Member, others: Vec<Member>, bundle: &[Arc<Member>]) -> Self {
        let is_in = |member: &Member, members: &[Arc<Member>]| {
            members.iter().any(|known| known.der == member.der)
        };
        let mut pool = Self {
            trusted: vec![is_in(&client, bundle)],
            members: vec![Arc::new(client)],
            signatures: HashMap::new(),
            checked: 0,
            steps: 0,
        };
        let others = others.into_iter().map(Arc::new);
        for member in bundle.iter().cloned().chain(others) {
            if !is_in(&member, &pool.members) {
                pool.trusted.push(is_in(&member, bundle));
                pool.members.push(member);
            }
        }
        pool
    }

    /// The certificates of a chain.
    pub(super) fn chain(&self, numbers: &[usize]) -> Chain {
        let members = numbers
            .iter()
            .map(|&number| Arc::clone(&self.members[number]));
        let is_checked = numbers.windows(2).all(|link| {
            let signature = self.signatures.get(&(link[0], link[1]));
            signature == Some(&Signature::Right)
        });
        Chain {
            members: members.collect(),
            is_checked,
        }
    }

    /// Checks a signature once. Those within the trust store do not count: they decide where chains
    /// end, whatever a client sends.
    fn signature(&mut self, member: usize, issuer: usize) -> Signature {
        if let Some(known) = self.signatures.get(&(member, issuer)) {
            return *known;
        }
        if !(self.trusted[member] && self.trusted[issuer]) {
            if self.checked >= SIGNATURES {
                return Signature::Wrong;
            }
            self.checked += 1;
        }
        let signature = self.members[member].signature_by(&self.members[issuer]);
        self.signatures.insert((member, issuer), signature);
        signature
    }

    fn issued(&mut self, issuer: usize, member: usize) -> bool {
        self.members[issuer].subject == self.members[member].issuer
            && self.signature(member, issuer) != Signature::Wrong
    }

    /// Whether a chain ends here: in the trust store, and at a root or at a CA whose issuer the trust
    /// store does not hold.
    fn is_end(&mut self, member: usize) -> bool {
        self.trusted[member]
            && (self.issued(member, member)
                || !(0..self.members.len()).any(|issuer| {
                    issuer != member && self.trusted[issuer] && self.issued(issuer, member)
                }))
    }

    /// Whether a chain can go on from its last member to this issuer.
    fn goes_on(&mut self, chain: &[usize], issuer: usize) -> bool {
        let Some(&last) = chain.last() else {
            return false;
        };
        let candidate = &self.members[issuer];
        let is_repeated = chain.iter().any(|&known| {
            let member = &self.members[known];
            known == issuer
                || (known != 0
                    && member.key == candidate.key
                    && member.subject == candidate.subject)
        });
        let leaves_trust = self.trusted[last] && !self.trusted[issuer];
        !is_repeated && !leaves_trust && self.issued(issuer, last)
    }
}

/// A chain, the client's certificate first.
#[derive(Debug)]
pub(super) struct Chain {
    /// Its certificates.
    pub(super) members: Vec<Arc<Member>>,
    /// Whether all signatures in it could be checked.
    pub(super) is_checked: bool,
}

/// What a search came to.
pub(super) enum Searched {
    /// A chain.
    Found(Chain),
    /// There are no more.
    Exhausted,
}

/// A search for chains of one length, which goes on where it stopped.
pub(super) struct Search {
    length: usize,
    /// The chain so far, each with how many issuers were tried.
    frames: Vec<(usize, usize)>,
    /// The longest chains that were tried, whether they led anywhere or not.
    longest: Vec<Vec<usize>>,
}

impl Search {
    /// A search for chains of exactly this length.
    pub(super) fn new(length: usize) -> Self {
        Self {
            length,
            frames: vec![(0, 0)],
            longest: vec![vec![0]],
        }
    }

    fn note(&mut self, chain: Vec<usize>) {
        match chain.len().cmp(&self.depth()) {
            Ordering::Greater => self.longest = vec![chain],
            Ordering::Equal if self.longest.len() < DEAD_ENDS => self.longest.push(chain),
            _ => {}
        }
    }

    /// How many certificates the longest chains have that were tried.
    pub(super) fn depth(&self) -> usize {
        self.longest.first().map_or(0, Vec::len)
    }

    /// The longest chains that were tried.
    pub(super) fn longest(&self, pool: &Pool) -> Vec<Chain> {
        self.longest.iter().map(|chain| pool.chain(chain)).collect()
    }

    /// The next chain.
    pub(super) fn next(&mut self, pool: &mut Pool) -> Searched {
        while let Some(&(member, tried)) = self.frames.last() {
            pool.steps += 1;
            if pool.steps > STEPS {
                return Searched::Exhausted;
            }
            let chain: Vec<usize> = self.frames.iter().map(|(member, _)| *member).collect();
            if tried == 0 && pool.is_end(member) {
                self.frames.pop();
                if chain.len() == self.length {
                    return Searched::Found(pool.chain(&chain));
                }
                continue;
            }
            if tried >= pool.members.len() || chain.len() >= self.length {
                self.frames.pop();
                continue;
            }
            if let Some(frame) = self.frames.last_mut() {
                frame.1 += 1;
            }
            if pool.goes_on(&chain, tried) {
                self.frames.push((tried, 0));
                self.note([chain, vec![tried]].concat());
            }
        }
        Searched::Exhausted
    }
}
