//! How much work a file may make: those with passphrases say themselves how often a hash is computed.
//!
//! Of PKCS#12 this is everything that is derived for the whole archive, also inside of what is
//! encrypted, since the library that opens archives bounds each derivation alone.
//!
//! PBES2 and scrypt: <https://www.rfc-editor.org/rfc/rfc8018>, <https://www.rfc-editor.org/rfc/rfc7914>;
//! PKCS#12: <https://www.rfc-editor.org/rfc/rfc7292>.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::Result;
use super::error::Error;

/// More rounds than anybody asks for in earnest; seconds of work, whatever the hash.
pub(super) const MAXIMUM_ROUNDS: u64 = 5_000_000;

/// The rounds of one derivation of an archive; the library that opens it bears no more.
const MAXIMUM_ARCHIVE_ROUNDS: u64 = 1_000_000;

/// As much memory as scrypt may be told to take, in bytes; a round is worth 128 of them.
const MAXIMUM_SCRYPT_MEMORY: u64 = 1 << 28;

/// Deeper than a secret lies in an encrypted part of an archive; nothing is derived below.
const MAXIMUM_DEPTH: u8 = 24;

/// `pbeWithSHAAnd3-KeyTripleDES-CBC`.
const TRIPLE_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");

/// `pbeWithSHAAnd40BitRC2-CBC`.
const RC2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");

/// The rounds that a key derivation takes; `None` if it must not be begun.
pub(super) fn rounds(kdf: &Kdf) -> Option<u64> {
    let rounds = match kdf {
        Kdf::Pbkdf2(pbkdf2) => u64::from(pbkdf2.iteration_count),
        // What is no power of two is none of RFC 7914, and of zero the library makes a panic.
        Kdf::Scrypt(scrypt) if scrypt.cost_parameter.is_power_of_two() => scrypt
            .cost_parameter
            .checked_mul(u64::from(scrypt.block_size))?
            .checked_mul(u64::from(scrypt.parallelization))
            .filter(|rounds| *rounds <= MAXIMUM_SCRYPT_MEMORY / 128)?,
        _ => return None,
    };
    (rounds <= MAXIMUM_ROUNDS).then_some(rounds)
}

/// Refuses a PKCS#12 archive that takes too long to open; what is damaged is left to who opens it.
///
/// # Errors
///
/// One of its derivations takes more than [`MAXIMUM_ARCHIVE_ROUNDS`], or all together more than
/// [`MAXIMUM_ROUNDS`].
pub(super) fn check_archive(der: &[u8], passphrase: &str) -> Result<()> {
    let mut visit = Visit {
        left: MAXIMUM_ROUNDS,
        passphrase,
    };
    let archive = elements(der);
    let parts = archive.first().map(children).unwrap_or_default();
    if let Some(mac) = parts.get(2).map(children)
        && let Some(rounds) = mac.get(2).and_then(|count| count.decode_as::<i32>().ok())
    {
        visit.spend(bearable(rounds))?;
    }
    archive
        .iter()
        .try_for_each(|element| visit.element(element, 0))
}

/// A walk through an archive.
struct Visit<'a> {
    /// The rounds that may still be taken.
    left: u64,
    passphrase: &'a str,
}

impl Visit<'_> {
    /// Looks at an element and all below it.
    fn element(&mut self, element: &AnyRef<'_>, depth: u8) -> Result<()> {
        if depth > MAXIMUM_DEPTH {
            return Ok(());
        }
        if let Some(encryption) = Encryption::of(element) {
            return self.spend(encryption.rounds());
        }
        let parts = children(element);
        if let [kind, algorithm, content] = parts.as_slice()
            && kind.tag() == Tag::ObjectIdentifier
            && content.tag() == CONTENT
            && let Some(encryption) = Encryption::of(algorithm)
        {
            // Once here and once by who opens the archive.
            self.spend(encryption.rounds())?;
            if let Some(plain) = encryption.decrypt(content.value(), self.passphrase) {
                self.all(&elements(&plain), depth)?;
            }
        }
        self.all(&parts, depth)
    }

    /// Looks at elements that are one level deeper.
    fn all(&mut self, elements: &[AnyRef<'_>], depth: u8) -> Result<()> {
        elements
            .iter()
            .try_for_each(|element| self.element(element, depth + 1))
    }

    /// Takes rounds off what is left.
    fn spend(&mut self, rounds: Option<u64>) -> Result<()> {
        let left = rounds.and_then(|rounds| self.left.checked_sub(rounds));
        self.left = left.ok_or_else(|| {
            Error::refused_with(
                "the PKCS#12 archive asks for so many rounds of key derivation that opening it would take too long",
                "`openssl pkcs12 -export -iter 10000` makes one with a usual number",
            )
        })?;
        Ok(())
    }
}

/// The tag of encrypted content: `[0] IMPLICIT OCTET STRING`.
const CONTENT: Tag = Tag::ContextSpecific {
    constructed: false,
    number: TagNumber(0),
};

/// How something is encrypted, of what archives are opened by.
enum Encryption<'a> {
    /// PBES2.
    Modern(Box<EncryptionScheme>),
    /// The schemes of PKCS#12 itself: cipher, salt, rounds.
    Legacy(ObjectIdentifier, &'a [u8], i32),
}

impl<'a> Encryption<'a> {
    /// Reads an `AlgorithmIdentifier`.
    fn of(element: &AnyRef<'a>) -> Option<Self> {
        if element.tag() != Tag::Sequence {
            return None;
        }
        if let Ok(scheme) = element.decode_as::<EncryptionScheme>() {
            return Some(Self::Modern(Box::new(scheme)));
        }
        let [oid, parameters] = children(element)[..] else {
            return None;
        };
        let oid = oid.decode_as::<ObjectIdentifier>().ok()?;
        let [salt, rounds] = children(&parameters)[..] else {
            return None;
        };
        let salt: &OctetStringRef = salt.decode_as().ok()?;
        (oid == TRIPLE_DES || oid == RC2)
            .then(|| Some(Self::Legacy(oid, salt.as_bytes(), rounds.decode_as().ok()?)))?
    }

    /// The rounds that it takes; `None` if it must not be begun.
    fn rounds(&self) -> Option<u64> {
        match self {
            Self::Modern(scheme) => scheme.pbes2().map_or(Some(0), |pbes2| {
                rounds(&pbes2.kdf).filter(|rounds| *rounds <= MAXIMUM_ARCHIVE_ROUNDS)
            }),
            // Two blocks of the key and one of the vector, each half as dear as one of PBKDF2.
            Self::Legacy(_, _, rounds) => bearable(*rounds).map(|rounds| rounds * 2),
        }
    }

    /// Decrypts; `None` if the passphrase is wrong.
    fn decrypt(&self, bytes: &[u8], passphrase: &str) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Modern(scheme) => scheme.decrypt(passphrase, bytes).ok().map(Zeroizing::new),
            Self::Legacy(oid, salt, rounds) => {
                let derive = |kind, length| {
                    derive_key_utf8::<Sha1>(passphrase, salt, kind, *rounds, length)
                        .ok()
                        .map(Zeroizing::new)
                };
                let vector = derive(Pkcs12KeyType::Iv, 8)?;
                if *oid == TRIPLE_DES {
                    let key = derive(Pkcs12KeyType::EncryptionKey, 24)?;
                    decrypt_cbc::<des::TdesEde3>(&key, &vector, bytes)
                } else {
                    let key = derive(Pkcs12KeyType::EncryptionKey, 5)?;
                    decrypt_cbc::<rc2::Rc2>(&key, &vector, bytes)
                }
            }
        }
    }
}

/// The rounds of a derivation of PKCS#12 itself, where less than one counts as one.
fn bearable(rounds: i32) -> Option<u64> {
    let rounds = u64::try_from(rounds).unwrap_or(0);
    (rounds <= MAXIMUM_ARCHIVE_ROUNDS).then_some(rounds)
}

/// Decrypts with a block cipher.
fn decrypt_cbc<C>(key: &[u8], vector: &[u8], bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: KeyInit + BlockCipherDecrypt,
{
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, vector).ok()?;
    let plain = cipher.decrypt_padded_vec::<Pkcs7>(bytes).ok()?;
    Some(Zeroizing::new(plain))
}

/// The elements that follow each other, as far as they are well-formed.
fn elements(bytes: &[u8]) -> Vec<AnyRef<'_>> {
    let mut found = Vec::new();
    if let Ok(mut reader) = SliceReader::new(bytes) {
        while !reader.is_finished()
            && let Ok(element) = AnyRef::decode(&mut reader)
        {
            found.push(element);
        }
    }
    found
}

/// The elements inside of one; octet strings hold encoded structures all over PKCS#12.
fn children<'a>(element: &AnyRef<'a>) -> Vec<AnyRef<'a>> {
    if element.tag().is_constructed() || element.tag() == Tag::OctetString {
        elements(element.value())
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use cbc::cipher::{BlockCipherEncrypt, BlockModeEncrypt};
    use der::Encode;
    use pkcs8::pkcs5::pbes2::{Parameters, ScryptParams};

    use super::*;

    /// Encodes an element.
    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        let header = match value.len() {
            0..128 => vec![tag, length[1]],
            128..256 => vec![tag, 0x81, length[1]],
            _ => vec![tag, 0x82, length[0], length[1]],
        };
        [header, value].concat()
    }

    /// Encodes an object identifier.
    fn oid(text: &str) -> Vec<u8> {
        ObjectIdentifier::new_unwrap(text).to_der().unwrap()
    }

    /// The PBES2 of `kdf`.
    fn pbes2(kdf: Kdf) -> Vec<u8> {
        let any = Parameters::generate_pbkdf2_sha256_aes256cbc(1, &[1; 16], [2; 16]).unwrap();
        let encryption = any.encryption;
        EncryptionScheme::Pbes2(Parameters { kdf, encryption })
            .to_der()
            .unwrap()
    }

    /// PBKDF2 of so many rounds.
    fn pbkdf2(rounds: u32) -> Kdf {
        Parameters::generate_pbkdf2_sha256_aes256cbc(rounds, &[1; 16], [2; 16])
            .unwrap()
            .kdf
    }

    /// scrypt at a cost.
    fn scrypt(cost_parameter: u64) -> Kdf {
        Kdf::Scrypt(ScryptParams {
            salt: [1_u8; 8].as_slice().try_into().unwrap(),
            cost_parameter,
            block_size: 8,
            parallelization: 1,
            key_length: None,
        })
    }

    /// So many bags of secrets, the failures of which do not keep the library from the next one.
    fn bags(count: usize, algorithm: &[u8]) -> Vec<u8> {
        let locked = tlv(0x30, &[algorithm, &tlv(0x04, &[&[0; 16]])]);
        let secret = tlv(
            0x30,
            &[
                &oid("1.2.840.113549.1.12.10.1.2"),
                &tlv(0xa0, &[&tlv(0x04, &[&locked])]),
            ],
        );
        let kind = oid("1.2.840.113549.1.12.10.1.5");
        let bag = tlv(0x30, &[&kind, &tlv(0xa0, &[&secret])]);
        tlv(0x30, &[&bag.repeat(count)])
    }

    /// An archive without a MAC of one part.
    fn archive(part: &[u8]) -> Vec<u8> {
        let content = tlv(0xa0, &[&tlv(0x04, &[&tlv(0x30, &[part])])]);
        let data = tlv(0x30, &[&oid("1.2.840.113549.1.7.1"), &content]);
        tlv(0x30, &[&[2, 1, 3], &data])
    }

    /// The part of an archive that holds bags in the clear.
    fn plain_part(bags: &[u8]) -> Vec<u8> {
        let content = tlv(0xa0, &[&tlv(0x04, &[bags])]);
        tlv(0x30, &[&oid("1.2.840.113549.1.7.1"), &content])
    }

    /// The part of an archive that holds bags encrypted.
    fn encrypted_part(algorithm: &[u8], bytes: &[u8]) -> Vec<u8> {
        let kind = oid("1.2.840.113549.1.7.1");
        let content = tlv(0x30, &[&kind, algorithm, &tlv(0x80, &[bytes])]);
        let data = tlv(0x30, &[&[2, 1, 0], &content]);
        tlv(0x30, &[&oid("1.2.840.113549.1.7.6"), &tlv(0xa0, &[&data])])
    }

    /// Encrypts by a scheme of PKCS#12 itself, in one round.
    fn encrypt_legacy(cipher: ObjectIdentifier, bytes: &[u8]) -> Vec<u8> {
        fn encrypt<C: KeyInit + BlockCipherEncrypt>(length: usize, bytes: &[u8]) -> Vec<u8> {
            let derive = |kind, length| derive_key_utf8::<Sha1>("secret", &[1; 8], kind, 1, length);
            let key = derive(Pkcs12KeyType::EncryptionKey, length).unwrap();
            let vector = derive(Pkcs12KeyType::Iv, 8).unwrap();
            cbc::Encryptor::<C>::new_from_slices(&key, &vector)
                .unwrap()
                .encrypt_padded_vec::<Pkcs7>(bytes)
        }
        if cipher == RC2 {
            encrypt::<rc2::Rc2>(5, bytes)
        } else {
            encrypt::<des::TdesEde3>(24, bytes)
        }
    }

    /// Bytes encrypted by every scheme in one round, each with the scheme.
    fn encrypted_by_all(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let modern = pbes2(pbkdf2(1));
        let scheme = EncryptionScheme::from_der(&modern).unwrap();
        let mut all = vec![(modern, scheme.encrypt("secret", bytes).unwrap())];
        for cipher in [TRIPLE_DES, RC2] {
            let parameters = tlv(0x30, &[&tlv(0x04, &[&[1; 8]]), &[2, 1, 1]]);
            let scheme = tlv(0x30, &[&cipher.to_der().unwrap(), &parameters]);
            all.push((scheme, encrypt_legacy(cipher, bytes)));
        }
        all
    }

    /// Whether the library that opens archives reads it.
    fn is_opened(der: &[u8]) -> bool {
        p12_keystore::Pkcs12Archive::from_pkcs12(der, "secret").is_ok()
    }

    #[test]
    fn the_archives_of_these_tests_are_some() {
        let bags = bags(2, &pbes2(pbkdf2(1)));
        assert!(is_opened(&archive(&plain_part(&bags))));
        for (scheme, encrypted) in encrypted_by_all(&bags) {
            let archive = archive(&encrypted_part(&scheme, &encrypted));
            assert!(is_opened(&archive) && check_archive(&archive, "secret").is_ok());
        }
    }

    #[test]
    fn many_derivations_are_as_bad_as_a_long_one() {
        let part = |count| archive(&plain_part(&bags(count, &pbes2(pbkdf2(1_000_000)))));
        assert!(check_archive(&part(5), "secret").is_ok());
        let error = check_archive(&part(6), "secret").unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }

    #[test]
    fn one_derivation_is_bounded_too() {
        for rounds in [1_000_001, u32::MAX >> 8] {
            let archive = archive(&plain_part(&bags(1, &pbes2(pbkdf2(rounds)))));
            assert!(check_archive(&archive, "secret").is_err(), "{rounds}");
        }
    }

    #[test]
    fn what_is_inside_of_encrypted_parts_counts() {
        let bags = bags(6, &pbes2(pbkdf2(1_000_000)));
        for (scheme, encrypted) in encrypted_by_all(&bags) {
            let archive = archive(&encrypted_part(&scheme, &encrypted));
            assert!(check_archive(&archive, "secret").is_err());
            assert!(check_archive(&archive, "other").is_ok());
        }
    }

    #[test]
    fn forged_scrypt_is_never_begun() {
        assert_eq!(rounds(&scrypt(1 << 14)), Some(1 << 17));
        for cost in [0, 3, 1 << 19, u64::MAX] {
            assert_eq!(rounds(&scrypt(cost)), None, "{cost}");
            let archive = archive(&plain_part(&bags(1, &pbes2(scrypt(cost)))));
            assert!(check_archive(&archive, "secret").is_err(), "{cost}");
        }
    }
}
