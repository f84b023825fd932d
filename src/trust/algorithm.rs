//! Keys and signatures: what they are, whether AWS takes them, whether they verify.

use std::fmt;

use rustls::crypto::aws_lc_rs::default_provider;
use x509_parser::asn1_rs::{Any, FromDer, Oid};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::der::{Element, Malformed, Reader, tag};

/// The kind and size of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA with the length of the modulus in bits.
    Rsa(usize),
    /// NIST P-256, alias secp256r1 and prime256v1.
    P256,
    /// NIST P-384, alias secp384r1.
    P384,
    /// NIST P-521, alias secp521r1.
    P521,
    /// Anything else, by its name or object identifier.
    Other(String),
}

impl KeyAlgorithm {
    /// Determines the algorithm of a public key.
    pub(super) fn of(key: &SubjectPublicKeyInfo<'_>) -> Self {
        match key.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => match key.parsed() {
                Ok(PublicKey::RSA(rsa)) => Self::Rsa(bit_length(rsa.modulus)),
                _ => Self::Other("damaged RSA key".to_owned()),
            },
            "1.2.840.10045.2.1" => Self::of_curve(key.algorithm.parameters.as_ref()),
            "1.2.840.113549.1.1.10" => Self::Other("RSASSA-PSS".to_owned()),
            "1.3.101.112" => Self::Other("Ed25519".to_owned()),
            "1.3.101.113" => Self::Other("Ed448".to_owned()),
            "1.2.840.10040.4.1" => Self::Other("DSA".to_owned()),
            other => Self::Other(other.to_owned()),
        }
    }

    /// Determines the algorithm of the DER of a public key.
    pub(crate) fn of_der(spki: &[u8]) -> Option<Self> {
        let (_, key) = SubjectPublicKeyInfo::from_der(spki).ok()?;
        Some(Self::of(&key))
    }

    /// Determines the elliptic curve.
    fn of_curve(parameters: Option<&Any<'_>>) -> Self {
        let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
        match curve.map(|curve| curve.to_id_string()).as_deref() {
            Some("1.2.840.10045.3.1.7") => Self::P256,
            Some("1.3.132.0.34") => Self::P384,
            Some("1.3.132.0.35") => Self::P521,
            Some(other) => Self::Other(format!("EC curve {}", curve_name(other))),
            None => Self::Other("EC with explicit parameters".to_owned()),
        }
    }
}

/// Names the curves that are met in practice although AWS does not take them.
fn curve_name(oid: &str) -> &str {
    match oid {
        "1.3.132.0.10" => "secp256k1",
        "1.3.132.0.33" => "secp224r1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
        other => other,
    }
}

/// Counts the significant bits of a big-endian number.
fn bit_length(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    match &number[zeros..] {
        [] => 0,
        significant @ [first, ..] => significant.len() * 8 - first.leading_zeros() as usize,
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(formatter, "RSA {bits}"),
            Self::P256 => formatter.write_str("ECDSA P-256"),
            Self::P384 => formatter.write_str("ECDSA P-384"),
            Self::P521 => formatter.write_str("ECDSA P-521"),
            Self::Other(name) => formatter.write_str(name),
        }
    }
}

/// The hash a signature is made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// MD2 or MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// A hash that is part of the signature scheme, or an unknown one.
    Other,
}

/// The signature algorithms by object identifier; RSASSA-PSS has its hash in the parameters.
const SIGNATURES: [(&str, &str, Hash); 17] = [
    ("1.2.840.113549.1.1.2", "RSA with MD2", Hash::Md5),
    ("1.2.840.113549.1.1.4", "RSA with MD5", Hash::Md5),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1", Hash::Sha1),
    ("1.3.14.3.2.29", "RSA with SHA-1", Hash::Sha1),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224", Hash::Sha224),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256", Hash::Sha256),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384", Hash::Sha384),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512", Hash::Sha512),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1", Hash::Sha1),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224", Hash::Sha224),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256", Hash::Sha256),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384", Hash::Sha384),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512", Hash::Sha512),
    ("1.2.840.10040.4.3", "DSA with SHA-1", Hash::Sha1),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256", Hash::Other),
    ("1.3.101.112", "Ed25519", Hash::Other),
    ("1.3.101.113", "Ed448", Hash::Other),
];

/// The algorithm a certificate or CRL is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureAlgorithm {
    /// The name, such as `RSA with SHA-256`, or the object identifier.
    pub name: String,
    /// The hash, by which AWS accepts or refuses.
    pub hash: Hash,
}

impl SignatureAlgorithm {
    /// Determines the algorithm from its identifier.
    pub(super) fn of(identifier: &AlgorithmIdentifier<'_>) -> Self {
        let oid = identifier.algorithm.to_id_string();
        if oid == "1.2.840.113549.1.1.10" {
            return Self::of_pss(identifier);
        }
        let known = SIGNATURES.iter().find(|(known, ..)| *known == oid);
        known.map_or_else(
            || Self {
                name: oid.clone(),
                hash: Hash::Other,
            },
            |(_, name, hash)| Self {
                name: (*name).to_owned(),
                hash: *hash,
            },
        )
    }

    /// Determines the hash of RSASSA-PSS, which is SHA-1 unless the parameters say otherwise; AWS
    /// takes only the mask of the same hash.
    fn of_pss(identifier: &AlgorithmIdentifier<'_>) -> Self {
        let parameters = identifier.parameters.as_ref();
        let parameters = parameters.and_then(|any| RsaSsaPssParams::try_from(any).ok());
        let hash = parameters.as_ref().map_or(Hash::Sha1, |parameters| {
            hash_of(parameters.hash_algorithm_oid())
        });
        let mask = parameters.map_or(Hash::Sha1, |parameters| {
            let mask = parameters.mask_gen_algorithm();
            mask.map_or(Hash::Other, |mask| hash_of(&mask.hash))
        });
        if mask != hash {
            return Self {
                name: format!("RSASSA-PSS with {hash} and a mask by {mask}"),
                hash: Hash::Other,
            };
        }
        Self {
            name: format!("RSASSA-PSS with {hash}"),
            hash,
        }
    }

    /// Says whether ALB and ACM take it: SHA-256, SHA-384 or SHA-512 with RSA, RSASSA-PSS, ECDSA.
    pub fn is_accepted(&self) -> bool {
        matches!(self.hash, Hash::Sha256 | Hash::Sha384 | Hash::Sha512)
    }
}

/// Determines a hash by its own object identifier.
fn hash_of(oid: &Oid<'_>) -> Hash {
    match oid.to_id_string().as_str() {
        "1.2.840.113549.2.5" => Hash::Md5,
        "1.3.14.3.2.26" => Hash::Sha1,
        "2.16.840.1.101.3.4.2.4" => Hash::Sha224,
        "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
        "2.16.840.1.101.3.4.2.2" => Hash::Sha384,
        "2.16.840.1.101.3.4.2.3" => Hash::Sha512,
        _ => Hash::Other,
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Other => "another hash",
        })
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// The result of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureCheck {
    /// The key made the signature.
    Valid,
    /// The key did not make it, or the signed content was changed.
    Invalid,
    /// The algorithm is one that no AWS service takes either.
    Unsupported,
}

/// Checks a certificate, CRL or request, which have the same outer form, against the issuer's public key.
///
/// This uses rustls' algorithms rather than x509-parser's, which know neither P-521 nor ECDSA with
/// SHA-512, both of which ALB takes.
pub(crate) fn check_signature(signed: &[u8], issuer_key: &[u8]) -> SignatureCheck {
    match Signed::from_der(signed).and_then(|signed| Ok((signed, Key::from_der(issuer_key)?))) {
        Ok((signed, key)) => signed.check(&key),
        Err(_) => SignatureCheck::Invalid,
    }
}

/// The outer form of certificates and CRLs.
struct Signed<'a> {
    message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Splits the DER into what is signed and the signature.
    fn from_der(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(der).expect(tag::SEQUENCE)?.reader();
        Ok(Self {
            message: reader.expect(tag::SEQUENCE)?.raw,
            algorithm: reader.expect(tag::SEQUENCE)?.content,
            signature: bits(reader.expect(tag::BIT_STRING)?)?,
        })
    }

    /// Checks the signature with the algorithms that fit both identifiers.
    fn check(&self, key: &Key<'_>) -> SignatureCheck {
        let (mut key_is_known, mut signature_is_known) = (false, false);
        for algorithm in default_provider().signature_verification_algorithms.all {
            let key_fits = algorithm.public_key_alg_id().as_ref() == key.algorithm;
            let signature_fits = algorithm.signature_alg_id().as_ref() == self.algorithm;
            key_is_known |= key_fits;
            signature_is_known |= signature_fits;
            if key_fits && signature_fits {
                let checked = algorithm.verify_signature(key.bits, self.message, self.signature);
                if checked.is_ok() {
                    return SignatureCheck::Valid;
                }
            }
        }
        // A key of one known kind cannot have made a signature of another.
        if key_is_known && signature_is_known {
            SignatureCheck::Invalid
        } else {
            SignatureCheck::Unsupported
        }
    }
}

/// A public key as algorithm and bits.
struct Key<'a> {
    algorithm: &'a [u8],
    bits: &'a [u8],
}

impl<'a> Key<'a> {
    /// Splits the DER of a `SubjectPublicKeyInfo`.
    fn from_der(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(der).expect(tag::SEQUENCE)?.reader();
        Ok(Self {
            algorithm: reader.expect(tag::SEQUENCE)?.content,
            bits: bits(reader.expect(tag::BIT_STRING)?)?,
        })
    }
}

/// Drops the octet that counts the unused bits, which are none in keys and signatures.
fn bits(element: Element<'_>) -> Result<&[u8], Malformed> {
    let bits = element.content.strip_prefix(&[0]);
    bits.ok_or(Malformed::Content("bit string"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::{Authority, tlv};

    #[test]
    fn the_size_of_an_rsa_key_is_that_of_its_modulus() {
        let mut modulus = vec![0];
        modulus.extend([0xff; 128]);
        let key = [tlv(0x02, &modulus), tlv(0x02, &[1, 0, 1])].concat();
        let bits = [vec![0], tlv(0x30, &key)].concat();
        let algorithm = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        let spki = tlv(0x30, &[tlv(0x30, &algorithm), tlv(0x03, &bits)].concat());
        assert_eq!(KeyAlgorithm::of_der(&spki), Some(KeyAlgorithm::Rsa(1024)));
        assert_eq!(bit_length(&[0x7f, 0xff]), 15);
        assert_eq!(bit_length(&[0]), 0);
    }

    #[test]
    fn curves_that_aws_does_not_take_are_named() {
        let algorithm = [
            0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 5, 0x2b, 0x81, 4, 0, 10,
        ];
        let spki = tlv(0x30, &[tlv(0x30, &algorithm), tlv(0x03, &[0, 4])].concat());
        let key = KeyAlgorithm::of_der(&spki).unwrap();
        assert_eq!(key.to_string(), "EC curve secp256k1");
    }

    #[test]
    fn every_signature_that_alb_takes_verifies() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ECDSA_P521_SHA512,
            &rcgen::PKCS_ECDSA_P521_SHA256,
            &rcgen::PKCS_RSA_SHA256,
            &rcgen::PKCS_RSA_SHA512,
        ] {
            let root = Authority::with_algorithm("Root", algorithm);
            let certificate = root.certificate();
            assert_eq!(
                certificate.signature_by(&certificate),
                SignatureCheck::Valid
            );
            assert!(certificate.signature_algorithm.is_accepted());
        }
    }

    #[test]
    fn another_key_is_not_the_signer() {
        let (one, other) = (Authority::new("Root"), Authority::new("Root"));
        assert_eq!(
            one.certificate().signature_by(&other.certificate()),
            SignatureCheck::Invalid
        );
        let rsa = Authority::with_algorithm("Root", &rcgen::PKCS_RSA_SHA256);
        assert_eq!(
            one.certificate().signature_by(&rsa.certificate()),
            SignatureCheck::Invalid
        );
    }
}
