//! Certificate revocation lists, read without holding their entries: a list can have 500,000.

use base64::{Engine, engine::general_purpose::STANDARD};
use x509_parser::prelude::FromDer;
use x509_parser::x509::AlgorithmIdentifier;

use super::bundle;

const BEGIN: &str = "-----BEGIN X509 CRL-----";
const END: &str = "-----END X509 CRL-----";

/// The largest file; AWS does not raise it.
const LARGEST: usize = 50 * 1024 * 1024;

/// A revocation list that ELB takes.
#[derive(Debug)]
pub(super) struct Crl {
    /// How many entries it has; ELB counts those with negative serial numbers, too.
    pub(super) entries: u64,
}

/// The parts of a list in DER that ELB looks at.
struct Parts<'d> {
    /// The contents of `revokedCertificates`, empty where nothing is revoked.
    entries: &'d [u8],
    /// The signature's algorithm and the signature.
    signature: &'d [u8],
}

impl Crl {
    /// Reads a revocation file: one list, in PEM.
    pub(super) fn from_pem(content: &[u8]) -> Result<Self, String> {
        if content.len() > LARGEST {
            return Err(format!(
                "The revocation file is larger than {LARGEST} bytes"
            ));
        }
        let der = decoded(content)?;
        Parts::of(&der).ok_or(MALFORMED)?.checked()
    }
}

const MALFORMED: &str = "The revocation file is not a PEM encoded CRL";

/// The one list of a revocation file in DER.
pub(in crate::sandbox) fn decoded(content: &[u8]) -> Result<Vec<u8>, String> {
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
    Ok(der)
}

impl<'d> Parts<'d> {
    /// Finds the parts of a list; none where it is not one.
    fn of(der: &'d [u8]) -> Option<Self> {
        let (rest, list) = element(der, SEQUENCE)?;
        let (signature, tbs) = element(list, SEQUENCE)?;
        if !rest.is_empty() {
            return None;
        }
        let after_version = element(tbs, INTEGER).map_or(tbs, |(rest, _)| rest);
        let (issuer, _) = element(after_version, SEQUENCE)?;
        let (dates, _) = element(issuer, SEQUENCE)?;
        let after_this_update = time(dates)?;
        let after_dates = time(after_this_update).unwrap_or(after_this_update);
        let entries = element(after_dates, SEQUENCE).map_or(&[][..], |(_, entries)| entries);
        Some(Self { entries, signature })
    }

    /// Refuses a list with entries that cannot be read or a signature that ELB does not take.
    fn checked(&self) -> Result<Crl, String> {
        let (_, algorithm) = AlgorithmIdentifier::from_der(self.signature)
            .map_err(|_| "The signature of the CRL cannot be read")?;
        bundle::check_signature(&algorithm).map_err(|complaint| format!("The CRL: {complaint}"))?;
        let (mut rest, mut entries) = (self.entries, 0);
        while !rest.is_empty() {
            rest = after_entry(rest).ok_or("An entry of the CRL cannot be read")?;
            entries += 1;
        }
        Ok(Crl { entries })
    }
}

/// The tag of DER.
pub(in crate::sandbox) const INTEGER: u8 = 0x02;
/// The tag of DER.
pub(in crate::sandbox) const UTC_TIME: u8 = 0x17;
/// The tag of DER.
pub(in crate::sandbox) const GENERALIZED_TIME: u8 = 0x18;
/// The tag of DER.
pub(in crate::sandbox) const SEQUENCE: u8 = 0x30;

/// What follows the first element, and its contents, provided that it has this tag.
///
/// Of all of DER, 1,500,000 elements of a full list need no more than this.
pub(in crate::sandbox) fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
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
pub(in crate::sandbox) fn time(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, _) = element(bytes, UTC_TIME).or_else(|| element(bytes, GENERALIZED_TIME))?;
    Some(rest)
}

/// What follows the first entry.
fn after_entry(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, entry) = element(bytes, SEQUENCE)?;
    let (date, _serial) = element(entry, INTEGER)?;
    time(date)?;
    Some(rest)
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

    fn entries(serials: &[&[u8]]) -> u64 {
        let crl = Crl::from_pem(list(serials).as_bytes()).expect("a list");
        crl.entries
    }

    #[test]
    fn the_entries_are_counted() {
        assert_eq!(entries(&[&[0x01], &[0x80, 0x02]]), 2);
    }

    #[test]
    fn the_parts_are_those_that_a_full_parser_finds() {
        use x509_parser::prelude::{CertificateRevocationList, RevokedCertificate};
        let pem = list(&[&[0x07]]);
        let der = pem::parse(&pem).expect("PEM").into_contents();
        let (_, full) = CertificateRevocationList::from_der(&der).expect("a list");
        let parts = Parts::of(&der).expect("a list");
        let (_, algorithm) = AlgorithmIdentifier::from_der(parts.signature).expect("an algorithm");
        assert_eq!(algorithm, full.signature_algorithm);
        let (_, entry) = element(parts.entries, SEQUENCE).expect("an entry");
        let (_, serial) = element(entry, INTEGER).expect("its serial number");
        let revoked: Vec<&[u8]> = full
            .iter_revoked_certificates()
            .map(RevokedCertificate::raw_serial)
            .collect();
        assert_eq!(revoked, [serial]);
    }

    #[test]
    fn a_list_that_revokes_nothing_is_one() {
        assert_eq!(entries(&[]), 0);
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
}
