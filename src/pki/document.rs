//! The signed structures of RFC 5280: certificates and revocation lists.
//!
//! Names and keys of others are kept as the DER they came in, so that what a CA signs names it
//! exactly as its own certificate does.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::{Any, BitString, OctetString, Uint};
use der::oid::AssociatedOid;
use der::{Decode, Encode, Sequence};
use pem::{EncodeConfig, LineEnding, Pem};
use time::OffsetDateTime;
use x509_cert::Version;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlNumber, CrlReason, ExtendedKeyUsage, KeyUsage,
    KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::alternative_name::AlternativeName;
use super::error::Error;
use super::key::{Digest, SigningKey};
use super::{Kind, Result};
use crate::trust::Serial;

/// What is signed of a certificate (RFC 5280, section 4.1).
#[derive(Sequence)]
struct TbsCertificate {
    #[asn1(context_specific = "0", default = "Default::default")]
    version: Version,
    serial: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Any,
    validity: Validity,
    subject: Any,
    public_key: Any,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

/// What is signed of a revocation list (RFC 5280, section 5.1).
#[derive(Sequence)]
struct TbsList {
    version: Version,
    signature: AlgorithmIdentifierOwned,
    issuer: Any,
    this_update: Time,
    next_update: Time,
    #[asn1(optional = "true")]
    revoked: Option<Vec<ListEntry>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

/// An entry of a revocation list. Its serial is whatever the certificate has: CAs made elsewhere
/// exceed the 20 octets of RFC 5280, section 4.1.2.2, and their certificates must be revocable.
#[derive(Sequence)]
struct ListEntry {
    serial: Uint,
    at: Time,
    #[asn1(optional = "true")]
    extensions: Option<Extensions>,
}

/// What is signed, how, and the signature: the outer form of certificates, lists and requests.
#[derive(Sequence)]
struct Signed {
    content: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// Who signs, with what.
pub(super) struct Signer<'a> {
    /// The DER of the issuer's name.
    pub(super) name: &'a [u8],
    /// The issuer's key.
    pub(super) key: &'a SigningKey,
    /// The hash; `None` takes the key's own.
    pub(super) digest: Option<Digest>,
    /// The identifier of the issuer's key; `None` computes it.
    pub(super) key_identifier: Option<Vec<u8>>,
}

/// What a certificate says.
pub(super) struct Content<'a> {
    pub(super) serial: Serial,
    pub(super) subject: &'a [u8],
    pub(super) names: &'a [AlternativeName],
    pub(super) public_key: &'a [u8],
    pub(super) kind: Kind,
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
}

/// What a revocation list says.
pub(super) struct List {
    pub(super) number: Serial,
    pub(super) this_update: OffsetDateTime,
    pub(super) next_update: OffsetDateTime,
    pub(super) revoked: Vec<Revoked>,
}

/// An entry of a revocation list.
pub(super) struct Revoked {
    pub(super) serial: Serial,
    pub(super) at: OffsetDateTime,
    pub(super) reason: CrlReason,
}

impl Signer<'_> {
    /// Signs a certificate.
    pub(super) fn certificate(&self, content: &Content<'_>) -> Result<Vec<u8>> {
        let certificate = TbsCertificate {
            version: Version::V3,
            serial: serial_number(content.serial)?,
            signature: self.key.signature_algorithm(self.digest)?,
            issuer: Any::from_der(self.name)?,
            validity: Validity::new(time(content.not_before)?, time(content.not_after)?),
            subject: Any::from_der(content.subject)?,
            public_key: Any::from_der(content.public_key)?,
            extensions: Some(self.extensions(content)?),
        };
        sign(&certificate.to_der()?, self.key, self.digest)
    }

    /// Signs a revocation list; the entries come in the order of their serials.
    pub(super) fn list(&self, mut list: List) -> Result<Vec<u8>> {
        list.revoked.sort_by_key(|revoked| revoked.serial);
        let revoked: Result<Vec<ListEntry>> = list.revoked.iter().map(entry).collect();
        let number = CrlNumber(Uint::new(list.number.as_bytes())?);
        let list = TbsList {
            version: Version::V2,
            signature: self.key.signature_algorithm(self.digest)?,
            issuer: Any::from_der(self.name)?,
            this_update: time(list.this_update)?,
            next_update: time(list.next_update)?,
            // An empty list must be absent.
            revoked: Some(revoked?).filter(|revoked| !revoked.is_empty()),
            extensions: Some(vec![
                self.authority_key_identifier()?,
                extension(false, &number)?,
            ]),
        };
        sign(&list.to_der()?, self.key, self.digest)
    }

    /// The extensions of a certificate.
    fn extensions(&self, content: &Content<'_>) -> Result<Extensions> {
        let key_identifier = key_identifier(content.public_key)?;
        let mut extensions = vec![
            extension(true, &basic_constraints(content.kind))?,
            extension(true, &key_usage(content)?)?,
        ];
        let purpose = match content.kind {
            Kind::Authority { .. } => None,
            Kind::Client => Some("1.3.6.1.5.5.7.3.2"),
            Kind::Server => Some("1.3.6.1.5.5.7.3.1"),
        };
        if let Some(purpose) = purpose {
            let purpose = der::asn1::ObjectIdentifier::new_unwrap(purpose);
            extensions.push(extension(false, &ExtendedKeyUsage(vec![purpose]))?);
        }
        let identifier = SubjectKeyIdentifier(OctetString::new(key_identifier)?);
        extensions.push(extension(false, &identifier)?);
        extensions.push(self.authority_key_identifier()?);
        if !content.names.is_empty() {
            let names: Result<Vec<_>> = content.names.iter().map(AlternativeName::encode).collect();
            // RFC 5280, section 4.2.1.6: critical if there is no other name.
            let subject_is_empty = content.subject == [0x30, 0];
            extensions.push(extension(subject_is_empty, &SubjectAltName(names?))?);
        }
        Ok(extensions)
    }

    /// Which of the issuer's keys signed.
    fn authority_key_identifier(&self) -> Result<Extension> {
        let identifier = match &self.key_identifier {
            Some(identifier) => identifier.clone(),
            None => key_identifier(self.key.public_key())?,
        };
        let identifier = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(identifier)?),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        extension(false, &identifier)
    }
}

/// Signs the DER of a certificate's, list's or request's content.
pub(super) fn sign(content: &[u8], key: &SigningKey, digest: Option<Digest>) -> Result<Vec<u8>> {
    let signed = Signed {
        content: Any::from_der(content)?,
        algorithm: key.signature_algorithm(digest)?,
        signature: BitString::from_bytes(&key.sign(digest, content)?)?,
    };
    Ok(signed.to_der()?)
}

/// Writes an extension.
pub(super) fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension> {
    Ok(Extension {
        extn_id: T::OID,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

/// Writes a PEM block: 64 columns, LF, nothing before or after.
pub(super) fn encode_pem(block: &Pem) -> String {
    pem::encode_config(block, EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// The SHA-1 of the key's bits, by which keys are told apart (RFC 5280, section 4.2.1.2, method 1).
fn key_identifier(public_key: &[u8]) -> Result<Vec<u8>> {
    let key = SubjectPublicKeyInfoOwned::from_der(public_key)?;
    let bits = key.subject_public_key.raw_bytes();
    Ok(digest(&SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref().to_vec())
}

/// Whether it is a CA, and how many may follow.
fn basic_constraints(kind: Kind) -> BasicConstraints {
    match kind {
        Kind::Authority { path_len } => BasicConstraints {
            ca: true,
            path_len_constraint: path_len,
        },
        Kind::Client | Kind::Server => BasicConstraints {
            ca: false,
            path_len_constraint: None,
        },
    }
}

/// Key encipherment is for RSA only, and for the old cipher suites without forward secrecy.
fn key_usage(content: &Content<'_>) -> Result<KeyUsage> {
    let key = SubjectPublicKeyInfoOwned::from_der(content.public_key)?;
    let is_rsa =
        key.algorithm.oid == der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    Ok(KeyUsage(match content.kind {
        Kind::Authority { .. } => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
        Kind::Client | Kind::Server if is_rsa => {
            KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment
        }
        Kind::Client | Kind::Server => KeyUsages::DigitalSignature.into(),
    }))
}

/// Writes an entry of a revocation list.
fn entry(revoked: &Revoked) -> Result<ListEntry> {
    // RFC 5280, section 5.3.1: an unspecified reason is left out.
    let reason = (revoked.reason != CrlReason::Unspecified)
        .then(|| extension(false, &revoked.reason))
        .transpose()?;
    Ok(ListEntry {
        serial: Uint::new(revoked.serial.as_bytes())?,
        at: time(revoked.at)?,
        extensions: reason.map(|reason| vec![reason]),
    })
}

/// Writes the serial of a certificate that is issued here.
fn serial_number(serial: Serial) -> Result<SerialNumber> {
    SerialNumber::new(serial.as_bytes())
        .map_err(|_| Error::refused(format!("the serial {serial} is longer than 20 octets")))
}

/// Until 2049 a `UTCTime`, from then on a `GeneralizedTime`.
fn time(time: OffsetDateTime) -> Result<Time> {
    let time = SystemTime::from(time.replace_nanosecond(0).unwrap_or(time));
    Time::try_from(time)
        .map_err(|_| Error::refused("a date is out of range: it must be between 1970 and 9999"))
}
