//! Whether the CRLs of a trust store list a certificate of a chain.
//!
//! As far as AWS documents it: only the CRLs of the trust store count, CAs without one are not
//! asked about, and entries with negative serials revoke nothing. All CRLs of a CA count together,
//! since during the change from one to the next the trust store holds both.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::chain::refuse;
use super::path::Pool;
use super::{CheckWarning, CrlEvidence, Reason, Refusal, moment, named};
use crate::trust::algorithm::SignatureCheck;
use crate::trust::certificate::Certificate;
use crate::trust::crl::Crl;

/// The CRLs, and what is known of their signatures.
#[derive(Debug)]
pub(super) struct Revocations<'a> {
    crls: &'a [Crl],
    signatures: HashMap<(usize, usize), SignatureCheck>,
}

impl<'a> Revocations<'a> {
    pub(super) fn new(crls: &'a [Crl]) -> Self {
        Self {
            crls,
            signatures: HashMap::new(),
        }
    }

    /// Finds the CRLs of the CA that issued a certificate.
    pub(super) fn of_issuer(&self, certificate: &Certificate) -> Vec<usize> {
        let all = 0..self.crls.len();
        all.filter(|&index| self.crls[index].issuer.matches(&certificate.issuer))
            .collect()
    }

    /// Refuses a chain with a revoked certificate, else one with a CRL that cannot be used.
    ///
    /// An entry of a CRL that can be used counts, whatever is wrong with the others.
    pub(super) fn check(&mut self, pool: &mut Pool<'_>, path: &[usize]) -> Result<(), Refusal> {
        let signers = pool.signers(path);
        let mut unusable = None;
        for (position, &member) in path.iter().enumerate() {
            let certificate = pool.certificate(member);
            // Nobody can say what the issuer of an anchor without its root has signed.
            if position + 1 == path.len() && !certificate.is_self_issued() {
                break;
            }
            for index in self.of_issuer(certificate) {
                let crl = &self.crls[index];
                let complaint = self.complaint(index, pool, &signers);
                let (reason, message) = match complaint {
                    None if !crl.revokes(certificate) => continue,
                    None => (Reason::CrlHit, revoked(certificate, crl)),
                    Some(what) => (
                        Reason::CrlProcessingError,
                        format!("the CRL of {} ({}) {what}", crl.issuer, crl.digest.short()),
                    ),
                };
                let refusal = Refusal {
                    crl: Some(Box::new(CrlEvidence::of(crl))),
                    ..refuse(reason, position, message)
                };
                if reason == Reason::CrlHit {
                    return Err(refusal);
                }
                unusable.get_or_insert(refusal);
            }
        }
        unusable.map_or(Ok(()), Err)
    }

    /// Says why a CRL cannot be used.
    fn complaint(&mut self, index: usize, pool: &Pool<'_>, signers: &[usize]) -> Option<String> {
        let crl = &self.crls[index];
        if let Some(first) = crl.scope.unknown_critical.first() {
            let what = "has the critical extension";
            return Some(format!("{what} {first}, which is not understood"));
        }
        if crl.scope.is_delta {
            return Some("is a delta CRL, which lists only the changes since another one".into());
        }
        if crl.scope.is_indirect {
            return Some("is an indirect CRL, which revokes certificates of several CAs".into());
        }
        let mut complaint = "is not signed with a key of its issuer";
        for &signer in signers {
            let authority = pool.certificate(signer);
            if !crl.issuer.matches(&authority.subject) {
                continue;
            }
            let check = *self
                .signatures
                .entry((index, signer))
                .or_insert_with(|| crl.signature_by(authority));
            match check {
                SignatureCheck::Valid if authority.allows_key_usage("cRLSign") => return None,
                SignatureCheck::Valid => {
                    complaint = "is signed by a CA whose keyUsage leaves out cRLSign";
                }
                SignatureCheck::Unsupported => {
                    complaint = "has a signature of a kind that is not supported";
                }
                SignatureCheck::Invalid => {}
            }
        }
        Some(complaint.to_owned())
    }

    /// Tells what is doubtful about the CRLs of a chain.
    pub(super) fn warnings(&self, chain: &[&Certificate], at: OffsetDateTime) -> Vec<CheckWarning> {
        let unchecked = chain.last().filter(|anchor| !anchor.is_self_issued());
        let unchecked = unchecked.map_or_else(Vec::new, |anchor| self.of_issuer(anchor));
        let mut indices: Vec<usize> = chain.iter().flat_map(|one| self.of_issuer(one)).collect();
        indices.sort_unstable();
        indices.dedup();
        let mut warnings = Vec::new();
        for index in indices {
            let crl = &self.crls[index];
            let name = format!("the CRL of {} ({})", crl.issuer, crl.digest.short());
            let mut warn = |code, message| warnings.push(CheckWarning { code, message });
            if unchecked.contains(&index) {
                let message = format!(
                    "{name} is of a CA that the trust store does not hold: nobody can check it, \
                     and its entries do not count"
                );
                warn("crl-unchecked", message);
                continue;
            }
            if let Some(next) = crl.next_update.filter(|next| *next < at) {
                let message = format!(
                    "{name} was to be replaced by {}; what a load balancer does then is not \
                     documented, and its entries count here",
                    moment(next)
                );
                warn("crl-expired", message);
            }
            if crl.this_update > at {
                let message = format!(
                    "{name} is of {}, which is yet to come; its entries count here",
                    moment(crl.this_update)
                );
                warn("crl-not-yet-valid", message);
            }
            if crl.scope.is_partial {
                let message = format!(
                    "{name} covers only some certificates or reasons; its entries count here, \
                     whatever it covers"
                );
                warn("crl-partial", message);
            }
        }
        warnings
    }
}

/// Says which entry of which CRL refuses a certificate.
fn revoked(certificate: &Certificate, crl: &Crl) -> String {
    format!(
        "{} is revoked: the CRL of {} ({}), of {}, lists its serial {}",
        named(certificate),
        crl.issuer,
        crl.digest.short(),
        moment(crl.this_update),
        certificate.serial
    )
}
