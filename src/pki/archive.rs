//! PKCS#12: a key with its certificates in one file, as Windows and browsers take it.

use p12_keystore::{
    Certificate as BagCertificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm,
    Pkcs12Archive, PrivateKey, PrivateKeyChain,
};
use zeroize::Zeroizing;

use super::Result;
use super::cost;
use super::error::Error;
use super::input::{self, Form};
use super::key::{KeyFile, SigningKey};
use crate::trust::Certificate;

/// How an archive is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// AES-256 with PBES2 and HMAC-SHA-256: OpenSSL 3, Windows 10 of 1709 or later, macOS 15.
    Modern,
    /// Triple DES and HMAC-SHA-1: what older systems insist on.
    Legacy,
}

impl Encryption {
    /// Rounds of key derivation; Triple DES is not worth more than its readers expect.
    fn iterations(self) -> u32 {
        match self {
            Self::Modern => 10_000,
            Self::Legacy => 2048,
        }
    }
}

/// A key with the certificate for it, and those above.
#[derive(Debug)]
pub struct Archive {
    /// The key; `None` in an archive of certificates only.
    pub key: Option<SigningKey>,
    /// The certificates, that of the key first.
    pub certificates: Vec<Certificate>,
    /// What a system shows the key under.
    pub name: Option<String>,
}

impl Archive {
    /// Puts a key and its certificates together.
    ///
    /// # Errors
    ///
    /// There is no certificate for the key.
    pub fn new(key: SigningKey, mut certificates: Vec<Certificate>, name: String) -> Result<Self> {
        let own = certificates
            .iter()
            .position(|certificate| certificate.public_key == key.public_key())
            .ok_or_else(|| {
                Error::refused_with(
                    "none of the certificates belongs to the key",
                    "give the certificate and the key that were made together",
                )
            })?;
        let own = certificates.remove(own);
        certificates.retain(|certificate| certificate.fingerprint != own.fingerprint);
        certificates.insert(0, own);
        Ok(Self {
            key: Some(key),
            certificates,
            name: Some(name),
        })
    }

    /// Whether a file is a PKCS#12 archive.
    pub fn is_one(bytes: &[u8]) -> bool {
        input::blocks(bytes)
            .is_ok_and(|blocks| blocks.iter().any(|block| block.form == Form::Archive))
    }

    /// Writes the archive under a passphrase.
    ///
    /// # Errors
    ///
    /// The passphrase or the name cannot be encoded, or there is no key.
    pub fn to_der(&self, passphrase: &str, encryption: Encryption) -> Result<Zeroizing<Vec<u8>>> {
        let key = self
            .key
            .as_ref()
            .ok_or_else(|| Error::refused("there is no key to be put into an archive"))?;
        if passphrase
            .chars()
            .any(|character| u32::from(character) > 0xffff)
        {
            return Err(Error::refused(
                "PKCS#12 has no form for characters such as emoji in the passphrase",
            ));
        }
        let failed = |_| Error::Crypto("write the PKCS#12 archive");
        let certificates: Result<Vec<BagCertificate>, _> = self
            .certificates
            .iter()
            .map(|certificate| BagCertificate::from_der(&certificate.der))
            .collect();
        let identifier = self
            .certificates
            .first()
            .map(|own| own.fingerprint.as_bytes()[..20].to_vec());
        let chain = PrivateKeyChain::new(
            identifier.unwrap_or_default(),
            PrivateKey::from_der(key.expose_pkcs8()).map_err(failed)?,
            certificates.map_err(failed)?,
        );
        let name: String = self
            .name
            .as_deref()
            .unwrap_or_default()
            .chars()
            .filter(|character| u32::from(*character) <= 0xffff)
            .collect();
        let mut store = KeyStore::new();
        store.add_entry(&name, KeyStoreEntry::PrivateKeyChain(chain));
        let (algorithm, mac) = match encryption {
            Encryption::Modern => (
                EncryptionAlgorithm::PbeWithHmacSha256AndAes256,
                MacAlgorithm::HmacSha256,
            ),
            Encryption::Legacy => (
                EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc,
                MacAlgorithm::HmacSha1,
            ),
        };
        let writer = store
            .writer(passphrase)
            .encryption_algorithm(algorithm)
            .encryption_iterations(encryption.iterations())
            .mac_algorithm(mac)
            .mac_iterations(encryption.iterations());
        writer.write().map(Zeroizing::new).map_err(failed)
    }

    /// Opens an archive.
    ///
    /// # Errors
    ///
    /// The passphrase is wrong, the archive is damaged or of an unknown kind, or opening it takes too
    /// long.
    pub fn from_der(der: &[u8], passphrase: &str) -> Result<Self> {
        cost::check_archive(der, passphrase)?;
        let opened = Pkcs12Archive::from_pkcs12(der, passphrase).map_err(|error| match error {
            p12_keystore::error::Error::MacError(_) => {
                Error::refused("the passphrase of the PKCS#12 archive is wrong")
            }
            _ => Error::refused_with(
                "the PKCS#12 archive is damaged, or encrypted in a way that is not supported",
                "`openssl pkcs12 -in FILE -legacy -nodes` may read it",
            ),
        })?;
        let mut keys = opened.keys.into_iter();
        let first = keys.next();
        if keys.next().is_some() {
            return Err(Error::refused(
                "the PKCS#12 archive holds more than one key",
            ));
        }
        let certificates: Result<Vec<Certificate>, _> = opened
            .certs
            .iter()
            .map(|bag| Certificate::from_der(bag.cert.as_der()))
            .collect();
        let certificates = certificates.map_err(Error::from)?;
        let Some(bag) = first else {
            return Ok(Self {
                key: None,
                certificates,
                name: None,
            });
        };
        let KeyFile::Plain(key) = KeyFile::from_pkcs8(bag.key.as_der())? else {
            return Err(Error::refused(
                "the key inside the PKCS#12 archive is encrypted once more",
            ));
        };
        Ok(Self {
            name: bag.friendly_name,
            key: Some(key),
            certificates,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::pki::KeyKind;
    use crate::trust::fixtures;

    /// An archive with so few rounds that many can be tried.
    static CHEAP: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let root = fixtures::Authority::new("Root");
        let chain = PrivateKeyChain::new(
            vec![1],
            PrivateKey::from_der(&root.key_der()).unwrap(),
            [BagCertificate::from_der(&root.certificate().der).unwrap()],
        );
        let mut store = KeyStore::new();
        store.add_entry("root", KeyStoreEntry::PrivateKeyChain(chain));
        let writer = store.writer("secret").encryption_iterations(1);
        writer.mac_iterations(1).write().unwrap()
    });

    #[test]
    fn what_is_written_is_read_again() {
        let root = fixtures::Authority::new("Root");
        let KeyFile::Plain(key) = KeyFile::from_bytes(root.key_pem().as_bytes()).unwrap() else {
            unreachable!("it is not encrypted");
        };
        let archive = Archive::new(key, vec![root.certificate()], "山".to_owned()).unwrap();
        for encryption in [Encryption::Modern, Encryption::Legacy] {
            let der = archive.to_der("secret", encryption).unwrap();
            let read = Archive::from_der(&der, "secret").unwrap();
            assert_eq!(read.certificates, [root.certificate()]);
            assert_eq!(read.name.as_deref(), Some("山"));
            assert!(read.key.is_some());
            let error = Archive::from_der(&der, "other").unwrap_err();
            assert!(error.to_string().contains("passphrase"), "{error}");
        }
        let stranger = SigningKey::generate("p256".parse::<KeyKind>().unwrap()).unwrap();
        assert!(Archive::new(stranger, vec![root.certificate()], String::new()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Archive::from_der(&bytes, "secret").ok();
        }

        #[test]
        fn no_damage_makes_the_reader_panic(at in any::<prop::sample::Index>(), octet: u8, cut in any::<prop::sample::Index>(), is_cut: bool) {
            let mut der = CHEAP.clone();
            let index = at.index(der.len());
            der[index] = octet;
            if is_cut {
                der.truncate(cut.index(der.len()));
            }
            Archive::from_der(&der, "secret").ok();
        }
    }
}
