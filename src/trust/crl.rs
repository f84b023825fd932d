//! Certificate revocation lists, read entry by entry: half a million entries are no exception.

use time::OffsetDateTime;
use x509_parser::asn1_rs::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::AlgorithmIdentifier;

use super::algorithm::{self, SignatureAlgorithm, SignatureCheck};
use super::certificate::{Certificate, day};
use super::der::{Element, Malformed, Reader, tag};
use super::digest::Sha256Digest;
use super::error::{Error, Origin, Wanted};
use super::name::DistinguishedName;
use super::pem::{self, Block};
use super::serial::Serial;

/// A parsed certificate revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    /// The CA whose certificates it revokes.
    pub issuer: DistinguishedName,
    /// When it was issued.
    pub this_update: OffsetDateTime,
    /// When the next one is due; some CAs leave it out.
    pub next_update: Option<OffsetDateTime>,
    /// Its number, which grows from one CRL of a CA to the next.
    pub number: Option<Serial>,
    /// What it is signed with.
    pub signature_algorithm: SignatureAlgorithm,
    /// How many entries it has, those that cannot be used included.
    pub entries: usize,
    /// The revoked serials, sorted, each once, without the negative ones.
    pub serials: Vec<Serial>,
    /// How many entries have a negative serial.
    pub negative_serials: usize,
    /// What its extensions restrict.
    pub scope: CrlScope,
    /// The SHA-256 of the DER.
    pub digest: Sha256Digest,
    /// The CRL itself.
    pub der: Vec<u8>,
}

/// What the extensions of a CRL say about its reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an extension, or a field of one"
)]
pub struct CrlScope {
    /// Lists only the changes since an earlier CRL.
    pub is_delta: bool,
    /// Revokes certificates of other CAs too.
    pub is_indirect: bool,
    /// Covers only some certificates or some reasons of revocation.
    pub is_partial: bool,
    /// Names the distribution point that it is for: others may hold the rest of the CA's list.
    pub has_distribution_point: bool,
    /// The SHA-256 of the issuingDistributionPoint's value: CRLs of one scope have the same.
    pub issuing_distribution_point: Option<Sha256Digest>,
    /// The critical extensions, of the list or of its entries, that nobody knows.
    pub unknown_critical: Vec<String>,
}

impl CrlScope {
    /// Says whether it is all that the CA has revoked, as far as its extensions tell.
    pub fn is_complete(&self) -> bool {
        !self.is_delta && !self.is_partial && !self.has_distribution_point
    }

    /// Says whether the other covers the same certificates and reasons: only of two such CRLs of one
    /// key does the later one take the place of the earlier one (RFC 5280, section 5.2.3).
    pub fn is_same(&self, other: &Self) -> bool {
        self.is_delta == other.is_delta
            && self.issuing_distribution_point == other.issuing_distribution_point
    }
}

impl Crl {
    /// The PEM label of a CRL.
    pub(super) const LABEL: &'static str = "X509 CRL";

    /// Reads every CRL of a PEM or DER file, in its order; never returns an empty list.
    ///
    /// # Errors
    ///
    /// Says what the content holds instead, or what is damaged in it.
    pub fn all_from_bytes(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let blocks = pem::blocks(bytes, Wanted::Crl)?;
        blocks.into_iter().map(Self::from_block).collect()
    }

    /// Reads exactly one CRL in DER form.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::parse(der.to_vec(), Origin::Byte(0))
    }

    /// Reads one structure of a file.
    pub(super) fn from_block(block: Block) -> Result<Self, Error> {
        pem::refuse_key(&block.label, block.origin, Wanted::Crl)?;
        if block.label != Self::LABEL {
            return Err(Error::Unexpected {
                origin: block.origin,
                label: block.label,
                wanted: Wanted::Crl,
            });
        }
        Self::parse(block.der, block.origin)
    }

    /// Parses the DER and takes the facts out of it.
    fn parse(der: Vec<u8>, origin: Origin) -> Result<Self, Error> {
        let failed = |reason: Malformed| Error::Der {
            origin,
            wanted: Wanted::Crl,
            reason: reason.to_string(),
        };
        let list = RawList::from_der(&der).map_err(failed)?;
        let revoked = Revoked::read(list.revoked).map_err(failed)?;
        let (mut scope, number) = read_extensions(list.extensions).map_err(failed)?;
        scope.is_indirect |= revoked.is_indirect;
        scope.unknown_critical.extend(revoked.unknown_critical);
        Ok(Self {
            issuer: list.issuer,
            this_update: list.this_update,
            next_update: list.next_update,
            number,
            signature_algorithm: list.signature_algorithm,
            entries: revoked.entries,
            serials: revoked.serials,
            negative_serials: revoked.negative,
            scope,
            digest: Sha256Digest::of(&der),
            der,
        })
    }

    /// Returns the canonical PEM of this one CRL: a load balancer takes no two in a file.
    pub fn pem(&self) -> String {
        pem::encode(Self::LABEL, &self.der)
    }

    /// Returns the length of the canonical PEM without building it.
    pub fn pem_length(&self) -> usize {
        let base64 = self.der.len().div_ceil(3) * 4;
        let boundaries = "-----BEGIN -----\n-----END -----\n".len() + 2 * Self::LABEL.len();
        base64 + base64.div_ceil(64) + boundaries
    }

    /// Checks its signature with the public key of a CA.
    pub fn signature_by(&self, issuer: &Certificate) -> SignatureCheck {
        algorithm::check_signature(&self.der, &issuer.public_key)
    }

    /// Says whether the CA issued it: name and signature fit.
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        self.issuer.matches(&issuer.subject) && self.signature_by(issuer) == SignatureCheck::Valid
    }

    /// Says whether it lists the certificate; nothing is said about who issued either.
    pub fn revokes(&self, certificate: &Certificate) -> bool {
        self.issuer.matches(&certificate.issuer)
            && self.serials.binary_search(&certificate.serial).is_ok()
    }

    /// Returns one line for plans: issuer, its number, how many entries, and the dates.
    pub fn summary(&self) -> String {
        let next = self.next_update.map_or_else(
            || "without nextUpdate".to_owned(),
            |next| format!("next update {}", day(next)),
        );
        let noun = if self.entries == 1 {
            "serial"
        } else {
            "serials"
        };
        let number = self
            .number
            .map(|number| format!("number {}, ", number.decimal()));
        format!(
            "{}: {}{} {noun} revoked, of {}, {next}",
            self.issuer,
            number.unwrap_or_default(),
            self.entries,
            day(self.this_update)
        )
    }
}

/// The fields of a CRL before its entries are read.
struct RawList<'a> {
    issuer: DistinguishedName,
    this_update: OffsetDateTime,
    next_update: Option<OffsetDateTime>,
    signature_algorithm: SignatureAlgorithm,
    revoked: Option<Element<'a>>,
    extensions: Option<Element<'a>>,
}

impl<'a> RawList<'a> {
    /// Takes the `CertificateList` of RFC 5280, section 5.1, apart.
    fn from_der(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut file = Reader::new(der);
        let mut outer = file.expect(tag::SEQUENCE)?.reader();
        file.end()?;
        let mut list = outer.expect(tag::SEQUENCE)?.reader();
        let algorithm = outer.expect(tag::SEQUENCE)?;
        outer.expect(tag::BIT_STRING)?;
        outer.end()?;

        list.optional(tag::INTEGER)?;
        list.expect(tag::SEQUENCE)?;
        let issuer = list.expect(tag::SEQUENCE)?;
        let this_update = read_time(list.next()?)?;
        let next_update = match list.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(read_time(list.next()?)?),
            _ => None,
        };
        let revoked = list.optional(tag::SEQUENCE)?;
        let extensions = list.optional(tag::CONTEXT_0)?;
        list.end()?;
        Ok(Self {
            issuer: DistinguishedName::from_der(issuer.raw).ok_or(Malformed::Content("issuer"))?,
            this_update,
            next_update,
            signature_algorithm: read_algorithm(algorithm)?,
            revoked,
            extensions,
        })
    }
}

/// Reads a point in time of either of the two ASN.1 types.
fn read_time(element: Element<'_>) -> Result<OffsetDateTime, Malformed> {
    let (_, time) = ASN1Time::from_der(element.raw).map_err(|_| Malformed::Content("date"))?;
    Ok(time.to_datetime())
}

/// Reads the algorithm of the signature.
fn read_algorithm(element: Element<'_>) -> Result<SignatureAlgorithm, Malformed> {
    let (_, identifier) = AlgorithmIdentifier::from_der(element.raw)
        .map_err(|_| Malformed::Content("signature algorithm"))?;
    Ok(SignatureAlgorithm::of(&identifier))
}

/// The entries, reduced to what a load balancer looks at.
#[derive(Default)]
struct Revoked {
    entries: usize,
    serials: Vec<Serial>,
    negative: usize,
    is_indirect: bool,
    unknown_critical: Vec<String>,
}

impl Revoked {
    /// Goes through the entries twice, to allocate once: doubling would cost half as much again.
    fn read(list: Option<Element<'_>>) -> Result<Self, Malformed> {
        let Some(list) = list else {
            return Ok(Self::default());
        };
        let mut counter = list.reader();
        let mut entries = 0;
        while !counter.is_empty() {
            counter.expect(tag::SEQUENCE)?;
            entries += 1;
        }
        let mut revoked = Self {
            entries,
            serials: Vec::with_capacity(entries),
            ..Self::default()
        };
        let mut reader = list.reader();
        while !reader.is_empty() {
            let mut fields = reader.next()?.reader();
            revoked.add(fields.expect(tag::INTEGER)?.content)?;
            // The date of the revocation changes nothing: what is listed is revoked.
            fields.next()?;
            if let Some(extensions) = fields.optional(tag::SEQUENCE)? {
                revoked.read_extensions(extensions.reader())?;
            }
        }
        revoked.serials.sort_unstable();
        revoked.serials.dedup();
        Ok(revoked)
    }

    /// Looks for extensions of an entry that change whom it is about (RFC 5280, section 5.3).
    fn read_extensions(&mut self, mut extensions: Reader<'_>) -> Result<(), Malformed> {
        while !extensions.is_empty() {
            let mut extension = extensions.expect(tag::SEQUENCE)?.reader();
            let oid = extension.expect(tag::OBJECT_IDENTIFIER)?;
            let critical = extension.optional(tag::BOOLEAN)?;
            match <[u8; 3]>::try_from(oid.content) {
                Ok(extension::CERTIFICATE_ISSUER) => self.is_indirect = true,
                Ok(extension::REASON_CODE | extension::INVALIDITY_DATE) => {}
                _ if critical.is_some_and(is_true) => {
                    let name = oid_text(oid);
                    if !self.unknown_critical.contains(&name) {
                        self.unknown_critical.push(name);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds the serial of one entry.
    fn add(&mut self, content: &[u8]) -> Result<(), Malformed> {
        let serial = Serial::from_der_content(content).ok_or(Malformed::Content("serial"))?;
        if serial.is_negative() {
            self.negative += 1;
        } else {
            self.serials.push(serial);
        }
        Ok(())
    }
}

/// The object identifiers of the extensions a CRL may have, as DER content octets (2.5.29.x).
mod extension {
    /// Which of the issuer's keys signed.
    pub(super) const AUTHORITY_KEY_IDENTIFIER: [u8; 3] = [0x55, 0x1d, 35];
    /// Further names of the issuer.
    pub(super) const ISSUER_ALTERNATIVE_NAME: [u8; 3] = [0x55, 0x1d, 18];
    /// The number of the CRL.
    pub(super) const CRL_NUMBER: [u8; 3] = [0x55, 0x1d, 20];
    /// The number of the CRL that a delta builds on.
    pub(super) const DELTA_CRL_INDICATOR: [u8; 3] = [0x55, 0x1d, 27];
    /// Why a certificate is revoked; of an entry.
    pub(super) const REASON_CODE: [u8; 3] = [0x55, 0x1d, 21];
    /// Since when its key may have been known to others; of an entry.
    pub(super) const INVALIDITY_DATE: [u8; 3] = [0x55, 0x1d, 24];
    /// The CA whose certificate the entry, and those after it, are about; of an entry.
    pub(super) const CERTIFICATE_ISSUER: [u8; 3] = [0x55, 0x1d, 29];
    /// What the CRL is limited to.
    pub(super) const ISSUING_DISTRIBUTION_POINT: [u8; 3] = [0x55, 0x1d, 28];
}

/// Reads the extensions of the list.
fn read_extensions(explicit: Option<Element<'_>>) -> Result<(CrlScope, Option<Serial>), Malformed> {
    let (mut scope, mut number) = (CrlScope::default(), None);
    let Some(explicit) = explicit else {
        return Ok((scope, number));
    };
    let mut extensions = explicit.reader().expect(tag::SEQUENCE)?.reader();
    while !extensions.is_empty() {
        let mut extension = extensions.expect(tag::SEQUENCE)?.reader();
        let oid = extension.expect(tag::OBJECT_IDENTIFIER)?;
        let critical = extension.optional(tag::BOOLEAN)?;
        let mut value = extension.expect(tag::OCTET_STRING)?.reader();
        match <[u8; 3]>::try_from(oid.content) {
            Ok(extension::CRL_NUMBER) => {
                number = Serial::from_der_content(value.expect(tag::INTEGER)?.content);
            }
            Ok(extension::DELTA_CRL_INDICATOR) => scope.is_delta = true,
            Ok(extension::ISSUING_DISTRIBUTION_POINT) => {
                let point = value.expect(tag::SEQUENCE)?;
                scope.issuing_distribution_point = Some(Sha256Digest::of(point.content));
                read_distribution_point(point.reader(), &mut scope)?;
            }
            Ok(extension::AUTHORITY_KEY_IDENTIFIER | extension::ISSUER_ALTERNATIVE_NAME) => {}
            _ if critical.is_some_and(is_true) => scope.unknown_critical.push(oid_text(oid)),
            _ => {}
        }
    }
    Ok((scope, number))
}

/// Reads the flags of an issuingDistributionPoint (RFC 5280, section 5.2.5).
fn read_distribution_point(mut fields: Reader<'_>, scope: &mut CrlScope) -> Result<(), Malformed> {
    const DISTRIBUTION_POINT: u8 = 0xa0;
    const ONLY_USER_CERTIFICATES: u8 = 0x81;
    const ONLY_CA_CERTIFICATES: u8 = 0x82;
    const ONLY_SOME_REASONS: u8 = 0x83;
    const INDIRECT: u8 = 0x84;
    const ONLY_ATTRIBUTE_CERTIFICATES: u8 = 0x85;
    while !fields.is_empty() {
        let field = fields.next()?;
        match field.tag {
            DISTRIBUTION_POINT => scope.has_distribution_point = true,
            INDIRECT => scope.is_indirect |= is_true(field),
            ONLY_SOME_REASONS => scope.is_partial = true,
            ONLY_USER_CERTIFICATES | ONLY_CA_CERTIFICATES | ONLY_ATTRIBUTE_CERTIFICATES => {
                scope.is_partial |= is_true(field);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads a boolean, implicitly tagged or not.
fn is_true(element: Element<'_>) -> bool {
    element.content.iter().any(|octet| *octet != 0)
}

/// Writes an object identifier with dots.
fn oid_text(element: Element<'_>) -> String {
    x509_parser::asn1_rs::Oid::new(element.content.into()).to_id_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::{Authority, CrlParts, NOW, extension, tlv};

    fn serial(content: &[u8]) -> Serial {
        Serial::from_der_content(content).unwrap()
    }

    #[test]
    fn the_facts_are_read() {
        let root = Authority::new("Petstore Root CA");
        let crl = root.crl(&[7, 5, 7]);
        assert_eq!(crl.issuer.as_str(), "CN=Petstore Root CA");
        assert_eq!(crl.this_update, NOW);
        assert_eq!(crl.entries, 3);
        assert_eq!(crl.serials, [serial(&[5]), serial(&[7])]);
        assert_eq!(crl.number, Some(serial(&[1])));
        assert_eq!(crl.scope, CrlScope::default());
        assert_eq!(
            crl.summary(),
            "CN=Petstore Root CA: number 1, 3 serials revoked, of 2026-01-01, next update 2026-03-02"
        );
        assert!(crl.is_issued_by(&root.certificate()));
        assert!(!crl.is_issued_by(&Authority::new("Petstore Root CA").certificate()));
    }

    #[test]
    fn revocation_is_looked_up_by_issuer_and_serial() {
        let root = Authority::new("Root");
        let client = root.client(7);
        assert!(root.crl(&[5, 7]).revokes(&client));
        assert!(!root.crl(&[5]).revokes(&client));
        assert!(!Authority::new("Other").crl(&[7]).revokes(&client));
    }

    #[test]
    fn every_form_is_read_and_several_lists_are_split() {
        let root = Authority::new("Root");
        let (one, two) = (root.crl(&[1]), root.crl(&[2]));
        let both = [one.clone(), two.clone()];
        let text = format!(
            "Certificate Revocation List (CRL):\n{}\n{}",
            one.pem(),
            two.pem()
        );
        assert_eq!(Crl::all_from_bytes(text.as_bytes()).unwrap(), both);
        let der = [one.der.clone(), two.der.clone()].concat();
        assert_eq!(Crl::all_from_bytes(&der).unwrap(), both);
        assert_eq!(Crl::from_der(&one.der).unwrap(), one);
        assert_eq!(one.pem().matches("BEGIN").count(), 1);
        assert_eq!(one.pem_length(), one.pem().len());
    }

    #[test]
    fn a_minimal_list_has_neither_extensions_nor_entries_nor_next_update() {
        let root = Authority::new("Root");
        let crl = root.crl_of(&CrlParts {
            next_update: None,
            ..CrlParts::default()
        });
        assert_eq!(crl.next_update, None);
        assert_eq!(crl.entries, 0);
        assert_eq!(crl.number, None);
        assert!(crl.is_issued_by(&root.certificate()));
        assert!(
            crl.summary()
                .ends_with("0 serials revoked, of 2026-01-01, without nextUpdate")
        );
    }

    #[test]
    fn negative_serials_are_counted_and_left_out() {
        let root = Authority::new("Root");
        let crl = root.crl_of(&CrlParts {
            serials: vec![vec![0x80], vec![0, 0x80], vec![0xff, 1]],
            ..CrlParts::default()
        });
        assert_eq!((crl.entries, crl.negative_serials), (3, 2));
        assert_eq!(crl.serials, [serial(&[0, 0x80])]);
    }

    #[test]
    fn restrictions_are_found_in_the_extensions() {
        let scope = |extensions: Vec<Vec<u8>>| {
            let parts = CrlParts {
                extensions,
                ..CrlParts::default()
            };
            Authority::new("Root").crl_of(&parts).scope
        };
        let delta = scope(vec![extension(&[0x55, 0x1d, 27], true, &tlv(0x02, &[1]))]);
        assert!(delta.is_delta && delta.unknown_critical.is_empty());
        let point = |flag: u8| {
            let value = tlv(0x30, &tlv(flag, &[0xff]));
            scope(vec![extension(&[0x55, 0x1d, 28], true, &value)])
        };
        assert!(point(0x84).is_indirect);
        assert!(point(0x81).is_partial);
        let unknown = scope(vec![extension(&[0x2a, 3, 4], true, &tlv(0x05, &[]))]);
        assert_eq!(unknown.unknown_critical, ["1.2.3.4"]);
        assert_eq!(
            scope(vec![extension(&[0x2a, 3, 4], false, &tlv(0x05, &[]))]),
            CrlScope::default()
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let root = Authority::new("Root");
        let error = Crl::all_from_bytes(root.certificate().pem().as_bytes()).unwrap_err();
        assert!(error.fix().unwrap().contains("`ca_bundle`"));
        let error = Crl::all_from_bytes(&root.certificate().der).unwrap_err();
        assert!(error.fix().unwrap().contains("`ca_bundle`"));
        assert!(Crl::from_der(&root.certificate().der).is_err());
        let der = root.crl(&[1]).der;
        for end in 0..der.len() {
            assert!(Crl::from_der(&der[..end]).is_err());
        }
        for index in 0..der.len() {
            let mut damaged = der.clone();
            damaged[index] ^= 0x81;
            // What still parses is another list, and no longer validly signed.
            if let Ok(other) = Crl::from_der(&damaged) {
                assert!(!other.is_issued_by(&root.certificate()));
            }
        }
    }

    #[test]
    fn half_a_million_entries_are_read_into_one_allocation() {
        let root = Authority::new("Root");
        let numbers = (0..500_000_u32).rev();
        let crl = root.crl_of(&CrlParts {
            serials: numbers
                .map(|number| [vec![1; 12], number.to_be_bytes().to_vec()].concat())
                .collect(),
            ..CrlParts::default()
        });
        assert_eq!(crl.entries, 500_000);
        assert_eq!(crl.serials.capacity(), 500_000);
        assert!(crl.serials.is_sorted());
        assert!(crl.is_issued_by(&root.certificate()));
    }
}
