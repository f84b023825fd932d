//! Revocation lists: whether a serial number stands in them, and whether they count.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;

use super::Reason;
use super::certificate::{Member, Signature, Signed};
use crate::sandbox::elbv2::crl::{INTEGER, SEQUENCE, element, time};

/// How many results of signature checks with keys outside of the trust store are remembered.
const REMEMBERED: usize = 256;

/// A revocation list, read once; the serial numbers stay where they are, in the DER.
#[derive(Debug)]
pub(super) struct List {
    der: Vec<u8>,
    /// The name of its issuer in DER.
    issuer: Vec<u8>,
    /// Where the serial numbers are, in the order of their bytes.
    serials: Vec<Range<u32>>,
    /// Whether it has something that keeps it from being used: it is a delta or an indirect list, or
    /// has critical extensions that are not understood.
    is_unusable: bool,
    /// Whether a CA of the trust store vouches for it.
    is_vouched_for: bool,
    /// Whether these other keys signed it.
    others: Mutex<HashMap<Vec<u8>, bool>>,
}

impl List {
    /// Reads a list; none where it is not one.
    pub(super) fn read(der: Vec<u8>, bundle: &[Arc<Member>]) -> Option<Self> {
        let signed = Signed::parts(&der)?;
        let (_, content) = element(signed.content, SEQUENCE)?;
        let after_version = element(content, INTEGER).map_or(content, |(rest, _)| rest);
        let (after_algorithm, _) = element(after_version, SEQUENCE)?;
        let (after_issuer, _) = element(after_algorithm, SEQUENCE)?;
        let issuer = &after_algorithm[..after_algorithm.len() - after_issuer.len()];
        let after_this_update = time(after_issuer)?;
        let after_dates = time(after_this_update).unwrap_or(after_this_update);
        let (extensions, entries) = element(after_dates, SEQUENCE).unwrap_or((after_dates, &[]));
        let mut list = Self {
            issuer: issuer.to_vec(),
            serials: Vec::new(),
            is_unusable: read_extensions(extensions)?,
            is_vouched_for: false,
            others: Mutex::default(),
            der: Vec::new(),
        };
        list.read_entries(&der, entries)?;
        list.is_vouched_for = bundle.iter().any(|authority| {
            authority.subject == list.issuer
                && authority.may_sign_lists
                && signed.by(&authority.key) == Signature::Right
        });
        list.der = der;
        Some(list)
    }

    fn read_entries(&mut self, der: &[u8], mut entries: &[u8]) -> Option<()> {
        let start = der.as_ptr().addr();
        while !entries.is_empty() {
            let (rest, entry) = element(entries, SEQUENCE)?;
            let (after_serial, serial) = element(entry, INTEGER)?;
            let after_date = time(after_serial)?;
            let offset = u32::try_from(serial.as_ptr().addr() - start).ok()?;
            let length = u32::try_from(serial.len()).ok()?;
            self.serials.push(offset..offset + length);
            if !after_date.is_empty() {
                let (_, extensions) = element(after_date, SEQUENCE)?;
                self.is_unusable |= entry_is_foreign(extensions);
            }
            entries = rest;
        }
        self.serials
            .sort_unstable_by(|one, other| bytes(der, one).cmp(bytes(der, other)));
        Some(())
    }

    /// Whether it lists the certificate. A negative number revokes nothing.
    fn lists(&self, member: &Member) -> bool {
        let serial = member.serial.as_slice();
        let is_negative = serial.first().is_some_and(|first| *first >= 0x80);
        let found = self
            .serials
            .binary_search_by(|range| bytes(&self.der, range).cmp(serial));
        !is_negative && found.is_ok()
    }

    /// Whether it counts: it is of a kind that is understood, and its issuer signed it.
    fn is_usable(&self, chain: &[Arc<Member>]) -> bool {
        let vouches =
            |authority: &&Arc<Member>| authority.subject == self.issuer && authority.may_sign_lists;
        !self.is_unusable
            && (self.is_vouched_for
                || chain
                    .iter()
                    .filter(vouches)
                    .any(|authority| self.is_signed_by(authority)))
    }

    fn is_signed_by(&self, authority: &Member) -> bool {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = others.get(&authority.key) {
            return *known;
        }
        let signed = Signed::parts(&self.der);
        let is_signed = signed.is_some_and(|signed| signed.by(&authority.key) == Signature::Right);
        if others.len() >= REMEMBERED {
            others.clear();
        }
        others.insert(authority.key.clone(), is_signed);
        is_signed
    }
}

fn bytes<'d>(der: &'d [u8], range: &Range<u32>) -> &'d [u8] {
    &der[range.start as usize..range.end as usize]
}

/// Reads the extensions of a list: whether one of them keeps it from being used.
fn read_extensions(outer: &[u8]) -> Option<bool> {
    const EXTENSIONS: u8 = 0xa0;
    if outer.is_empty() {
        return Some(false);
    }
    let (_, tagged) = element(outer, EXTENSIONS)?;
    let (_, mut extensions) = element(tagged, SEQUENCE)?;
    let mut is_unusable = false;
    while !extensions.is_empty() {
        let (rest, extension) = X509Extension::from_der(extensions).ok()?;
        is_unusable |= match (
            extension.oid.to_id_string().as_str(),
            extension.parsed_extension(),
        ) {
            // A delta list tells only what is new since another one.
            ("2.5.29.27", _) => true,
            (_, ParsedExtension::IssuingDistributionPoint(point)) => point.indirect_crl,
            ("2.5.29.20" | "2.5.29.35", _) => false,
            // Also a point of distribution that cannot be read.
            _ => extension.critical,
        };
        extensions = rest;
    }
    Some(is_unusable)
}

/// Whether an entry says something critical beside why and when.
fn entry_is_foreign(mut extensions: &[u8]) -> bool {
    while !extensions.is_empty() {
        let Ok((rest, extension)) = X509Extension::from_der(extensions) else {
            return true;
        };
        let id = extension.oid.to_id_string();
        // Reason, hold instruction and date of invalidity.
        let is_known = ["2.5.29.21", "2.5.29.23", "2.5.29.24"].contains(&id.as_str());
        if extension.critical && !is_known {
            return true;
        }
        extensions = rest;
    }
    false
}

/// Looks every certificate of a chain up in the lists of its issuer. CAs without a list are not asked
/// about, and the dates of lists do not count.
pub(super) fn check(lists: &[List], chain: &[Arc<Member>]) -> Result<(), Reason> {
    let mut result = Ok(());
    for (position, member) in chain.iter().enumerate() {
        // Nobody can say what the issuer of an end without a root has signed.
        if position + 1 == chain.len() && !member.is_self_issued() {
            break;
        }
        for list in lists.iter().filter(|list| list.issuer == member.issuer) {
            if !list.is_usable(chain) {
                result = Err(Reason::CrlProcessingError);
            } else if list.lists(member) {
                return Err(Reason::CrlHit);
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DER of this tag.
    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len())
            .expect("is small")
            .to_be_bytes();
        [&[tag, 0x84][..], &length, content].concat()
    }

    /// A list of these serial numbers, which nobody signed.
    fn list(serials: impl Iterator<Item = Vec<u8>>) -> List {
        let date = tlv(0x17, b"260101000000Z");
        let entry =
            |serial: Vec<u8>| tlv(SEQUENCE, &[tlv(INTEGER, &serial), date.clone()].concat());
        let entries: Vec<u8> = serials.flat_map(entry).collect();
        let algorithm = tlv(SEQUENCE, &[]);
        let parts = [
            algorithm.clone(),
            tlv(SEQUENCE, b""),
            date.clone(),
            date.clone(),
            tlv(SEQUENCE, &entries),
        ];
        let content = tlv(SEQUENCE, &parts.concat());
        let signed = [content, algorithm, tlv(0x03, &[0, 1])].concat();
        List::read(tlv(SEQUENCE, &signed), &[]).expect("is a list")
    }

    fn lists(list: &List, serial: &[u8]) -> bool {
        let issued = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("can be signed");
        let mut member = Member::read(issued.cert.der()).expect("is a certificate");
        member.serial = serial.to_vec();
        list.lists(&member)
    }

    #[test]
    fn half_a_million_serial_numbers_can_be_looked_up() {
        let serial = |number: u32| [&[0x11; 16][..], &number.to_be_bytes()].concat();
        let list = list((0..500_000_u32).map(|number| serial(number.wrapping_mul(48_271))));
        for number in [0_u32, 1, 499_999] {
            assert!(lists(&list, &serial(number.wrapping_mul(48_271))));
        }
        assert!(!lists(&list, &serial(3)));
        assert!(!lists(&list, &[0x11; 16]));
    }

    #[test]
    fn a_negative_number_revokes_nothing() {
        let list = list([vec![0x80, 1], vec![0, 0x80, 1]].into_iter());
        assert!(lists(&list, &[0, 0x80, 1]));
        assert!(!lists(&list, &[0x80, 1]));
    }
}
