//! Private keys, of which nothing but the kind ever reaches a message.

use std::fmt;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::algorithm::KeyAlgorithm;
use super::certificate::Certificate;
use super::error::{Error, Wanted};
use super::pem::{self, Block};

/// One unencrypted private key; it neither prints nor serialises its content.
pub struct PrivateKey {
    algorithm: KeyAlgorithm,
    public_key: Vec<u8>,
    pem: String,
}

impl PrivateKey {
    /// Reads the one key of a PEM or DER file: PKCS#8, PKCS#1 or SEC1.
    ///
    /// Certificates and EC parameters beside it, as some tools write them, are skipped.
    ///
    /// # Errors
    ///
    /// Says why the key cannot be used, without quoting anything of it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let blocks = pem::blocks(bytes, Wanted::PrivateKey)?;
        let mut keys = blocks
            .into_iter()
            .filter(|block| pem::is_private_key(&block.label));
        let first = keys.next().ok_or(Error::Empty {
            wanted: Wanted::PrivateKey,
        })?;
        match keys.next() {
            Some(second) => Err(Error::SecondKey {
                origin: second.origin,
            }),
            None => Self::from_block(&first),
        }
    }

    /// Loads the key far enough to derive its public half.
    fn from_block(block: &Block) -> Result<Self, Error> {
        let unusable = |reason| Error::UnusableKey {
            origin: block.origin,
            label: block.label.clone(),
            reason,
        };
        let der = match block.label.as_str() {
            "PRIVATE KEY" => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&block.der[..])),
            "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(&block.der[..])),
            "EC PRIVATE KEY" => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(&block.der[..])),
            "ENCRYPTED PRIVATE KEY" => {
                return Err(Error::EncryptedKey {
                    origin: block.origin,
                    label: block.label.clone(),
                });
            }
            _ => return Err(unusable("its kind is not supported")),
        };
        let key = any_supported_type(&der).map_err(|_| {
            unusable("it is damaged, or neither RSA of 2048 bits or more nor ECDSA P-256, P-384 or P-521")
        })?;
        let public_key = key.public_key().map(|key| key.as_ref().to_vec());
        let public_key = public_key.ok_or_else(|| unusable("it has no public half"))?;
        Ok(Self {
            algorithm: KeyAlgorithm::of_der(&public_key)
                .ok_or_else(|| unusable("its public half cannot be read"))?,
            public_key,
            pem: pem::encode(&block.label, &block.der),
        })
    }

    /// Returns the kind and size of the key.
    pub fn algorithm(&self) -> &KeyAlgorithm {
        &self.algorithm
    }

    /// Says whether the certificate is for this key.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        self.public_key == certificate.public_key
    }

    /// Returns the key itself as canonical PEM, to be sent to ACM and nowhere else.
    pub fn expose_pem(&self) -> &str {
        &self.pem
    }
}

/// Writes the kind of the key, never the key.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateKey({})", self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::Authority;

    #[test]
    fn a_key_belongs_to_its_certificate_only() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ECDSA_P521_SHA512,
            &rcgen::PKCS_RSA_SHA256,
        ] {
            let authority = Authority::with_algorithm("Root", algorithm);
            let key = PrivateKey::from_bytes(authority.key_pem().as_bytes()).unwrap();
            assert!(key.matches(&authority.certificate()));
            assert!(!key.matches(&Authority::new("Root").certificate()));
            assert_eq!(*key.algorithm(), authority.certificate().key_algorithm);
            assert_eq!(key.expose_pem(), authority.key_pem());
        }
    }

    #[test]
    fn binary_keys_and_keys_beside_certificates_are_read() {
        let root = Authority::new("Root");
        assert!(PrivateKey::from_bytes(&root.key_der()).is_ok());
        let both = root.certificate().pem() + &root.key_pem();
        assert!(PrivateKey::from_bytes(both.as_bytes()).is_ok());
    }

    #[test]
    fn the_content_is_never_printed() {
        let root = Authority::new("Root");
        let key = PrivateKey::from_bytes(root.key_pem().as_bytes()).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(ECDSA P-256)");
    }

    #[test]
    fn unusable_keys_are_told_apart() {
        let error = |text: String| PrivateKey::from_bytes(text.as_bytes()).unwrap_err();
        let pem = Authority::new("Root").key_pem();
        let second = error(pem.clone() + &pem);
        assert_eq!(second.to_string(), "line 6: a second private key");
        assert!(matches!(
            error(pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")),
            Error::EncryptedKey { .. }
        ));
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                   DEK-Info: AES-256-CBC,00\n\nMAA=\n-----END RSA PRIVATE KEY-----\n";
        let old = error(old.to_owned());
        assert!(matches!(old, Error::EncryptedKey { .. }));
        assert!(old.fix().unwrap().contains("openssl pkcs8"));
        assert!(matches!(
            error(pem.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY")),
            Error::UnusableKey { .. }
        ));
        assert!(matches!(
            error(pem.replace("PRIVATE KEY", "RSA PRIVATE KEY")),
            Error::UnusableKey { .. }
        ));
        let certificate = Authority::new("Root").certificate().pem();
        assert!(matches!(error(certificate), Error::Empty { .. }));
    }
}
