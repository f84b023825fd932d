//! Certificate revocation lists, read without holding their entries: a list can have 500,000.

use std::ops::Range;

use base64::{Engine, engine::general_purpose::STANDARD};
use x509_parser::prelude::FromDer;
use x509_parser::x509::AlgorithmIdentifier;

use super::bundle;

const BEGIN: &str = "-----BEGIN X509 CRL-----";
const END: &str = "-----END X509 CRL-----";

/// The largest file; AWS does not raise it.
const LARGEST: usize = 50 * 1024 * 1024;

/// A revocation list in DER with the places of its parts.
#[derive(Debug)]
pub(in crate::sandbox) struct Crl {
    der: Vec<u8>,
    /// What is signed.
    signed: Range<usize>,
    /// The issuer's name.
    issuer: Range<usize>,
    /// `thisUpdate`, and `nextUpdate` where there is one.
    validity: Range<usize>,
    /// The contents of `revokedCertificates`, empty where nothing is revoked.
    entries: Range<usize>,
    /// What follows the entries inside what is signed: the list's extensions, if any.
    extensions: Range<usize>,
    /// The signature's algorithm and the signature.
    signature: Range<usize>,
}

impl Crl {
    /// Reads a revocation file: one list, in PEM.
    pub(in crate::sandbox) fn from_pem(content: &[u8]) -> Result<Self, String> {
        const MALFORMED: &str = "The revocation file is not a PEM encoded CRL";
        if content.len() > LARGEST {
            return Err(format!(
                "The revocation file is larger than {LARGEST} bytes"
            ));
        }
        let text = std::str::from_utf8(content).map_err(|_| MALFORMED)?;
        let mut blocks = text.split(BEGIN).skip(1);
        let (base64, _) = blocks
            .next()
            .and_then(|block| block.split_once(END))
            .ok_or(MALFORMED)?;
        if blocks.next().is_some() {
            return Err("More than one CRL objects in the revocation file".to_owned());
        }
        let mut der = Vec::with_capacity(base64.len() / 4 * 3);
        for line in base64.lines() {
            STANDARD
                .decode_vec(line.trim(), &mut der)
                .map_err(|_| MALFORMED)?;
        }
        Self::from_der(der)
            .ok_or_else(|| MALFORMED.to_owned())?
            .checked()
    }

    /// Finds the parts of a list; none where it is not one.
    fn from_der(der: Vec<u8>) -> Option<Self> {
        let within = |part: &[u8]| offset_in(&der, part);
        let (rest, list) = element(&der, SEQUENCE)?;
        let (signature, tbs) = element(list, SEQUENCE)?;
        let signed_length = list.len() - signature.len();
        if !rest.is_empty() {
            return None;
        }
        let after_version = element(tbs, INTEGER).map_or(tbs, |(rest, _)| rest);
        let (issuer, _) = element(after_version, SEQUENCE)?;
        let (dates, _) = element(issuer, SEQUENCE)?;
        let after_this_update = time(dates)?;
        let after_dates = time(after_this_update).unwrap_or(after_this_update);
        let (after_entries, entries) =
            element(after_dates, SEQUENCE).unwrap_or((after_dates, &after_dates[..0]));
        let signed = within(list)..within(list) + signed_length;
        let crl = Self {
            signed: signed.clone(),
            issuer: within(issuer)..within(dates),
            validity: within(dates)..within(after_dates),
            entries: within(entries)..within(entries) + entries.len(),
            extensions: within(after_entries)..within(after_entries) + after_entries.len(),
            signature: signed.end..within(list) + list.len(),
            der: Vec::new(),
        };
        Some(Self { der, ..crl })
    }

    /// Refuses a list with entries that cannot be read or a signature that ELB does not take.
    fn checked(self) -> Result<Self, String> {
        let (_, algorithm) = AlgorithmIdentifier::from_der(&self.der[self.signature.clone()])
            .map_err(|_| "The signature of the CRL cannot be read")?;
        bundle::check_signature(&algorithm).map_err(|complaint| format!("The CRL: {complaint}"))?;
        let mut rest = &self.der[self.entries.clone()];
        while !rest.is_empty() {
            let entry = entry(rest).ok_or("An entry of the CRL cannot be read")?;
            rest = entry.1;
        }
        Ok(self)
    }

    /// The serial numbers of all entries as DER has them: big-endian, signed.
    pub(in crate::sandbox) fn raw_serials(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.der[self.entries.clone()];
        std::iter::from_fn(move || {
            let (serial, after) = entry(rest)?;
            rest = after;
            Some(serial)
        })
    }

    /// The serial numbers that revoke a certificate: without leading zeros, and without negative
    /// numbers, which ELB counts but cannot match.
    pub(in crate::sandbox) fn serials(&self) -> impl Iterator<Item = &[u8]> {
        self.raw_serials()
            .filter(|serial| !is_negative(serial))
            .map(without_zeros)
    }

    /// The issuer's name in DER.
    pub(in crate::sandbox) fn issuer(&self) -> &[u8] {
        &self.der[self.issuer.clone()]
    }

    /// `thisUpdate`, and `nextUpdate` where there is one, in DER.
    pub(in crate::sandbox) fn validity(&self) -> &[u8] {
        &self.der[self.validity.clone()]
    }

    /// The list's extensions in DER, with the tag that they have there; empty where it has none.
    pub(in crate::sandbox) fn extensions(&self) -> &[u8] {
        &self.der[self.extensions.clone()]
    }

    /// What the issuer signed.
    pub(in crate::sandbox) fn signed(&self) -> &[u8] {
        &self.der[self.signed.clone()]
    }

    /// The signature's algorithm and the signature, in DER one after the other.
    pub(in crate::sandbox) fn signature(&self) -> &[u8] {
        &self.der[self.signature.clone()]
    }
}

/// Drops the zeros that DER puts before a number so that it is not taken for a negative one.
pub(in crate::sandbox) fn without_zeros(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}

fn is_negative(serial: &[u8]) -> bool {
    serial.first().is_some_and(|first| first & 0x80 != 0)
}

/// Where `part`, a slice of `whole`, begins in it.
fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;

/// What follows the first element, and its contents, provided that it has this tag.
///
/// Of all of DER, 1,500,000 elements of a full list need no more than this.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    (*first == tag).then_some((rest, contents))
}

/// What follows a point in time.
fn time(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, _) = element(bytes, UTC_TIME).or_else(|| element(bytes, GENERALIZED_TIME))?;
    Some(rest)
}

/// The serial number of the first entry, and what follows the entry.
fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, entry) = element(bytes, SEQUENCE)?;
    let (date, serial) = element(entry, INTEGER)?;
    time(date)?;
    Some((serial, rest))
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
    };

    use super::*;

    /// A list in PEM that revokes these serial numbers.
    pub(crate) fn list(serials: &[&[u8]]) -> String {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = Issuer::new(ca, KeyPair::generate().expect("a key"));
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2027, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&issuer).expect("a list").pem().expect("PEM")
    }

    #[test]
    fn the_entries_are_found_one_by_one() {
        let pem = list(&[&[0x01], &[0x80, 0x02]]);
        let crl = Crl::from_pem(pem.as_bytes()).expect("a list");
        assert_eq!(crl.raw_serials().count(), 2);
        let serials: Vec<&[u8]> = crl.serials().collect();
        assert_eq!(serials, [&[0x01][..], &[0x80, 0x02]]);
    }

    #[test]
    fn the_parts_are_those_that_a_full_parser_finds() {
        use x509_parser::prelude::{CertificateRevocationList, FromDer};
        let pem = list(&[&[0x07]]);
        let der = pem::parse(&pem).expect("PEM").into_contents();
        let (_, full) = CertificateRevocationList::from_der(&der).expect("a list");
        let crl = Crl::from_pem(pem.as_bytes()).expect("a list");
        assert_eq!(crl.issuer(), full.issuer().as_raw());
        assert_eq!(crl.signed(), full.tbs_cert_list.as_ref());
        assert!(!crl.extensions().is_empty());
        assert!(!crl.validity().is_empty());
        let (_, algorithm) = AlgorithmIdentifier::from_der(crl.signature()).expect("an algorithm");
        assert_eq!(algorithm, full.signature_algorithm);
    }

    #[test]
    fn a_list_that_revokes_nothing_is_one() {
        let crl = Crl::from_pem(list(&[]).as_bytes()).expect("a list");
        assert_eq!(crl.raw_serials().count(), 0);
    }

    #[test]
    fn two_lists_in_one_file_are_refused() {
        let pem = list(&[]).repeat(2);
        let complaint = Crl::from_pem(pem.as_bytes()).expect_err("two");
        assert_eq!(
            complaint,
            "More than one CRL objects in the revocation file"
        );
    }

    #[test]
    fn der_is_refused() {
        let der = pem::parse(list(&[])).expect("PEM").into_contents();
        assert!(Crl::from_pem(&der).is_err());
    }

    #[test]
    fn a_negative_serial_number_counts_but_revokes_nothing() {
        assert!(is_negative(&[0x80, 0x01]));
        assert!(!is_negative(&[0x00, 0x80]));
        assert_eq!(without_zeros(&[0x00, 0x80]), [0x80]);
    }
}
