//! Private keys: made, read, encrypted and used for signing, and never shown.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaEncoding,
    RsaKeyPair,
};
use der::asn1::{Any, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode};
use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::{EncryptedPrivateKeyInfoOwned, PrivateKeyInfoRef};
use x509_cert::spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::Result;
use super::cost;
use super::error::Error;
use super::input::{self, Block, Form};
use crate::trust::KeyAlgorithm;

/// Rounds of PBKDF2 for keys that are written; OpenSSL's own default is 2048.
const ITERATIONS: u32 = 100_000;

/// What ALB accepts, as a sentence for those whose key it is not.
const ACCEPTED: &str =
    "load balancers accept RSA of 2048 to 8192 bits and ECDSA on P-256, P-384 and P-521";

/// The kinds of keys that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on a NIST curve.
    Ecdsa(Curve),
    /// RSA of so many bits: 2048, 3072, 4096 or 8192.
    Rsa(u16),
}

impl KeyKind {
    /// Whether making one takes so long that people wonder.
    pub fn is_slow(self) -> bool {
        self == Self::Rsa(8192)
    }
}

/// The NIST curves that load balancers accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256, alias prime256v1.
    P256,
    /// P-384, alias secp384r1.
    P384,
    /// P-521, alias secp521r1.
    P521,
}

impl Curve {
    /// All of them.
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// How its keys sign.
    fn algorithm(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    /// The hash that goes with the curve (RFC 5656, section 6.2.1, and everybody since).
    fn digest(self) -> Digest {
        match self {
            Self::P256 => Digest::Sha256,
            Self::P384 => Digest::Sha384,
            Self::P521 => Digest::Sha512,
        }
    }
}

/// P-256, which every client knows and which is the fastest.
impl Default for KeyKind {
    fn default() -> Self {
        Self::Ecdsa(Curve::P256)
    }
}

impl FromStr for KeyKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = text.to_ascii_lowercase().replace(['-', ':', '_'], "");
        Ok(match plain.as_str() {
            "p256" | "prime256v1" | "secp256r1" => Self::Ecdsa(Curve::P256),
            "p384" | "secp384r1" => Self::Ecdsa(Curve::P384),
            "p521" | "secp521r1" => Self::Ecdsa(Curve::P521),
            "rsa2048" => Self::Rsa(2048),
            "rsa3072" => Self::Rsa(3072),
            "rsa4096" => Self::Rsa(4096),
            "rsa8192" => Self::Rsa(8192),
            _ => {
                return Err(Error::refused(
                    "write p256, p384, p521, rsa2048, rsa3072, rsa4096 or rsa8192",
                ));
            }
        })
    }
}

/// The hash to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().replace('-', "").as_str() {
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            _ => Err(Error::refused("write sha256, sha384 or sha512")),
        }
    }
}

impl Digest {
    /// How RSA keys sign with it, and the identifier of that.
    fn rsa(self) -> (&'static dyn RsaEncoding, &'static str) {
        match self {
            Self::Sha256 => (&signature::RSA_PKCS1_SHA256, "1.2.840.113549.1.1.11"),
            Self::Sha384 => (&signature::RSA_PKCS1_SHA384, "1.2.840.113549.1.1.12"),
            Self::Sha512 => (&signature::RSA_PKCS1_SHA512, "1.2.840.113549.1.1.13"),
        }
    }

    /// The identifier of ECDSA signatures with it.
    fn ecdsa(self) -> &'static str {
        match self {
            Self::Sha256 => "1.2.840.10045.4.3.2",
            Self::Sha384 => "1.2.840.10045.4.3.3",
            Self::Sha512 => "1.2.840.10045.4.3.4",
        }
    }
}

/// A private key that signs.
pub struct SigningKey {
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
    public_key: Vec<u8>,
}

/// Both halves, as the cryptographic library holds them.
enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Curve, EcdsaKeyPair),
}

impl SigningKey {
    /// Makes a key. RSA of 8192 bits takes many seconds.
    ///
    /// # Errors
    ///
    /// The machine has no randomness to give.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        let failed = |_| Error::Crypto("make a key");
        match kind {
            KeyKind::Ecdsa(curve) => {
                let pair = EcdsaKeyPair::generate(curve.algorithm()).map_err(failed)?;
                Self::from_ecdsa(curve, pair)
            }
            KeyKind::Rsa(bits) => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    8192 => KeySize::Rsa8192,
                    _ => return Err(Error::refused(ACCEPTED)),
                };
                Self::from_rsa(RsaKeyPair::generate(size).map_err(failed)?)
            }
        }
    }

    /// The kind and size of the key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        KeyAlgorithm::of_der(&self.public_key)
            .unwrap_or_else(|| KeyAlgorithm::Other("unknown".to_owned()))
    }

    /// The DER of the public half, a `SubjectPublicKeyInfo`.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Whether it is an RSA key, whose certificates may also be used for key encipherment.
    pub(super) fn is_rsa(&self) -> bool {
        matches!(self.pair, Pair::Rsa(_))
    }

    /// The unencrypted PKCS#8 DER, for files and archives only.
    pub(super) fn expose_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The key as PEM for a file: PKCS#8, encrypted where there is a passphrase (PBES2: PBKDF2 with
    /// HMAC-SHA-256, AES-256-CBC).
    ///
    /// # Errors
    ///
    /// The machine has no randomness to give.
    pub fn to_pem(&self, passphrase: Option<&str>) -> Result<Zeroizing<String>> {
        let block = match passphrase {
            None => pem::Pem::new("PRIVATE KEY", self.pkcs8.as_slice()),
            Some(passphrase) => {
                let encrypted = encrypt(&self.pkcs8, passphrase)?;
                pem::Pem::new("ENCRYPTED PRIVATE KEY", encrypted)
            }
        };
        Ok(Zeroizing::new(super::document::encode_pem(&block)))
    }

    /// How this key signs: the hash of an ECDSA key is that of its curve, others have a choice.
    ///
    /// # Errors
    ///
    /// Another hash is asked for than that of the curve.
    pub(super) fn signature_algorithm(
        &self,
        digest: Option<Digest>,
    ) -> Result<AlgorithmIdentifierOwned> {
        let (oid, parameters) = match &self.pair {
            Pair::Rsa(_) => {
                let (_, oid) = digest.unwrap_or(Digest::Sha256).rsa();
                (oid, Some(Any::null()))
            }
            Pair::Ecdsa(curve, _) => (ecdsa_digest(*curve, digest)?.ecdsa(), None),
        };
        Ok(AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new_unwrap(oid),
            parameters,
        })
    }

    /// Signs.
    ///
    /// # Errors
    ///
    /// The cryptographic library fails.
    pub(super) fn sign(&self, digest: Option<Digest>, message: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| Error::Crypto("sign");
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let (encoding, _) = digest.unwrap_or(Digest::Sha256).rsa();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::Ecdsa(_, pair) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    /// Takes an RSA key.
    fn from_rsa(pair: RsaKeyPair) -> Result<Self> {
        let failed = |_| Error::Crypto("encode a key");
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?;
        let public_key =
            AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(failed)?;
        Self::checked(Self {
            pkcs8: Zeroizing::new(pkcs8.as_ref().to_vec()),
            public_key: public_key.as_ref().to_vec(),
            pair: Pair::Rsa(Box::new(pair)),
        })
    }

    /// Takes a key on a curve.
    fn from_ecdsa(curve: Curve, pair: EcdsaKeyPair) -> Result<Self> {
        let failed = |_| Error::Crypto("encode a key");
        let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
        let public_key =
            AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(failed)?;
        Self::checked(Self {
            pkcs8: Zeroizing::new(pkcs8.as_ref().to_vec()),
            public_key: public_key.as_ref().to_vec(),
            pair: Pair::Ecdsa(curve, pair),
        })
    }

    /// Refuses keys that no load balancer would accept.
    fn checked(self) -> Result<Self> {
        refuse_key(&self.algorithm())?;
        Ok(self)
    }

    /// Reads PKCS#8.
    fn from_pkcs8(der: &[u8]) -> Result<Self> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Self::from_rsa(pair);
        }
        for curve in Curve::ALL {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve.algorithm(), der) {
                return Self::from_ecdsa(curve, pair);
            }
        }
        Err(unusable())
    }

    /// Reads PKCS#1.
    fn from_pkcs1(der: &[u8]) -> Result<Self> {
        Self::from_rsa(RsaKeyPair::from_der(der).map_err(|_| unusable())?)
    }

    /// Reads SEC1, which need not name its curve.
    fn from_sec1(der: &[u8]) -> Result<Self> {
        for curve in Curve::ALL {
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve.algorithm(), der) {
                return Self::from_ecdsa(curve, pair);
            }
        }
        Err(unusable())
    }
}

/// Writes the kind of the key, never the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.algorithm())
    }
}

/// The key of a file, which may need its passphrase first.
#[derive(Debug)]
pub enum KeyFile {
    /// The key as it is.
    Plain(SigningKey),
    /// The key under a passphrase.
    Locked(LockedKey),
}

impl KeyFile {
    /// Reads the one key of a PEM or DER file: PKCS#8, encrypted or not, PKCS#1 or SEC1.
    ///
    /// # Errors
    ///
    /// There is no key, more than one, or one that cannot be used; nothing of it is quoted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let blocks = input::blocks(bytes)?;
        let mut keys = blocks.iter().filter(|block| block.form.is_key());
        match (keys.next(), keys.next()) {
            (Some(key), None) => Self::from_block(key),
            (None, _) => Err(Error::refused("it holds no private key")),
            (Some(_), Some(_)) => Err(Error::refused("it holds more than one private key")),
        }
    }

    /// Takes the key of a PKCS#12 archive.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self> {
        SigningKey::from_pkcs8(der).map(Self::Plain)
    }

    /// Reads one structure that is a key.
    pub(super) fn from_block(block: &Block) -> Result<Self> {
        match block.form {
            Form::Pkcs8 => SigningKey::from_pkcs8(&block.der).map(Self::Plain),
            Form::Pkcs1 => SigningKey::from_pkcs1(&block.der).map(Self::Plain),
            Form::Sec1 => SigningKey::from_sec1(&block.der).map(Self::Plain),
            Form::EncryptedPkcs8 => LockedKey::from_der(&block.der).map(Self::Locked),
            Form::Certificate | Form::Crl | Form::Request | Form::Archive => Err(unusable()),
        }
    }

    /// The key, with a passphrase from `ask` if it needs one.
    ///
    /// # Errors
    ///
    /// What `ask` says, or that its passphrase is wrong.
    pub fn unlock<E: From<Error>>(
        self,
        ask: impl FnOnce() -> Result<Zeroizing<String>, E>,
    ) -> Result<SigningKey, E> {
        match self {
            Self::Plain(key) => Ok(key),
            Self::Locked(locked) => Ok(locked.unlock(&ask()?)?),
        }
    }
}

/// A key under a passphrase: PKCS#8 with PBES2.
pub struct LockedKey {
    info: EncryptedPrivateKeyInfoOwned,
}

impl LockedKey {
    /// Reads PKCS#8 that is encrypted by PBES2.
    fn from_der(der: &[u8]) -> Result<Self> {
        let unsupported = || {
            Error::refused_with(
                "the key is encrypted in a way that is not supported (PBES2 is)",
                "`openssl pkcs8 -in KEY -out PLAIN` and `openssl pkcs8 -topk8 -in PLAIN -out NEW` write it anew",
            )
        };
        let info = EncryptedPrivateKeyInfoOwned::from_der(der).map_err(|_| unsupported())?;
        let parameters = info.encryption_algorithm.pbes2().ok_or_else(unsupported)?;
        // A forged file must not keep the machine busy.
        cost::rounds(&parameters.kdf).ok_or_else(unsupported)?;
        Ok(Self { info })
    }

    /// Decrypts the key.
    ///
    /// # Errors
    ///
    /// The passphrase is wrong, or what it opens is no key.
    pub fn unlock(&self, passphrase: &str) -> Result<SigningKey> {
        let wrong = |_| Error::refused("the passphrase of the key is wrong");
        let plain = self.info.decrypt(passphrase).map_err(wrong)?;
        PrivateKeyInfoRef::try_from(plain.as_bytes())
            .map_err(|_| Error::refused("the passphrase of the key is wrong"))?;
        SigningKey::from_pkcs8(plain.as_bytes())
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LockedKey")
    }
}

/// Refuses public keys that no load balancer would accept.
pub(super) fn refuse_key(algorithm: &KeyAlgorithm) -> Result<()> {
    match algorithm {
        KeyAlgorithm::Rsa(2048..=8192)
        | KeyAlgorithm::P256
        | KeyAlgorithm::P384
        | KeyAlgorithm::P521 => Ok(()),
        other => Err(Error::refused_with(
            format!("a key of the kind {other} cannot be used"),
            ACCEPTED,
        )),
    }
}

/// The error of a key that is none, or none of ours.
fn unusable() -> Error {
    Error::refused_with(
        "the private key cannot be used: it is damaged or of another kind",
        ACCEPTED,
    )
}

/// Refuses another hash than that of the curve.
fn ecdsa_digest(curve: Curve, digest: Option<Digest>) -> Result<Digest> {
    match digest {
        Some(digest) if digest != curve.digest() => Err(Error::refused_with(
            "an ECDSA key signs with the hash of its curve: P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512",
            "leave the hash out, or take an RSA key",
        )),
        _ => Ok(curve.digest()),
    }
}

/// Encrypts PKCS#8 by PBES2.
fn encrypt(pkcs8: &[u8], passphrase: &str) -> Result<Vec<u8>> {
    let failed = |_| Error::Crypto("encrypt a key");
    let (mut salt, mut vector) = ([0; 16], [0; 16]);
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::Crypto("make a salt"))?;
    aws_lc_rs::rand::fill(&mut vector).map_err(|_| Error::Crypto("make a salt"))?;
    let parameters =
        Parameters::generate_pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, vector).map_err(failed)?;
    let encrypted = parameters.encrypt(passphrase, pkcs8).map_err(failed)?;
    let info = pkcs8::EncryptedPrivateKeyInfoRef {
        encryption_algorithm: parameters.into(),
        encrypted_data: OctetStringRef::new(&encrypted)?,
    };
    Ok(info.to_der()?)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// A key in plain and encrypted PKCS#8; the latter with so few rounds that many can be tried.
    static KEYS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        let key = SigningKey::generate(KeyKind::Ecdsa(Curve::P256)).unwrap();
        let parameters =
            Parameters::generate_pbkdf2_sha256_aes256cbc(1, &[1; 16], [2; 16]).unwrap();
        let encrypted = parameters.encrypt("secret", &key.pkcs8).unwrap();
        let info = pkcs8::EncryptedPrivateKeyInfoRef {
            encryption_algorithm: parameters.into(),
            encrypted_data: OctetStringRef::new(&encrypted).unwrap(),
        };
        [key.pkcs8.to_vec(), info.to_der().unwrap()]
    });

    fn open(bytes: &[u8]) -> Result<SigningKey> {
        KeyFile::from_bytes(bytes)?.unlock(|| Ok(Zeroizing::new("secret".to_owned())))
    }

    #[test]
    fn a_key_under_a_passphrase_opens_with_nothing_else() {
        let key = SigningKey::generate(KeyKind::Ecdsa(Curve::P384)).unwrap();
        let pem = key.to_pem(Some("secret")).unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        assert_eq!(open(pem.as_bytes()).unwrap().public_key, key.public_key);
        let wrong = || Ok::<_, Error>(Zeroizing::new("other".to_owned()));
        let error = KeyFile::from_bytes(pem.as_bytes())
            .unwrap()
            .unlock(wrong)
            .unwrap_err();
        assert!(error.to_string().contains("passphrase"), "{error}");
        for key in KEYS.iter() {
            assert!(open(key).is_ok());
        }
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let key = SigningKey::generate(KeyKind::Ecdsa(Curve::P256)).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(ECDSA P-256)");
        let locked = KeyFile::from_bytes(key.to_pem(Some("a")).unwrap().as_bytes()).unwrap();
        assert_eq!(format!("{locked:?}"), "Locked(LockedKey)");
    }

    #[test]
    fn forged_costs_do_not_keep_the_machine_busy() {
        let parameters =
            Parameters::generate_pbkdf2_sha256_aes256cbc(5_000_001, &[1; 16], [2; 16]).unwrap();
        let info = pkcs8::EncryptedPrivateKeyInfoRef {
            encryption_algorithm: parameters.into(),
            encrypted_data: OctetStringRef::new(&[0; 32]).unwrap(),
        };
        let error = KeyFile::from_bytes(&info.to_der().unwrap()).unwrap_err();
        assert!(error.to_string().contains("not supported"), "{error}");
    }

    #[test]
    fn kinds_are_known_by_all_their_names() {
        for (text, kind) in [
            ("p256", KeyKind::Ecdsa(Curve::P256)),
            ("P-384", KeyKind::Ecdsa(Curve::P384)),
            ("secp521r1", KeyKind::Ecdsa(Curve::P521)),
            ("rsa:4096", KeyKind::Rsa(4096)),
            ("RSA8192", KeyKind::Rsa(8192)),
        ] {
            assert_eq!(text.parse(), Ok(kind));
        }
        for text in ["rsa", "rsa1024", "ed25519", ""] {
            assert!(text.parse::<KeyKind>().is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            open(&bytes).ok();
            let text = [b"-----BEGIN PRIVATE KEY-----\n", bytes.as_slice(), b"\n-----END PRIVATE KEY-----\n"].concat();
            open(&text).ok();
        }

        #[test]
        fn no_damage_makes_the_reader_panic(which in 0..2_usize, at in any::<prop::sample::Index>(), octet: u8, is_pem: bool) {
            let mut key = KEYS[which].clone();
            if is_pem {
                let label = ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY"][which];
                key = super::super::document::encode_pem(&pem::Pem::new(label, key)).into_bytes();
            }
            let index = at.index(key.len());
            key[index] = octet;
            open(&key).ok();
        }
    }
}
