//! What a chain's judgement needs to know of one certificate.

use rustls::pki_types::SubjectPublicKeyInfoDer;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use crate::sandbox::elbv2::bundle;
use crate::sandbox::elbv2::crl::{SEQUENCE, element};

/// A certificate, read once.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer that the certificate gives by itself"
)]
pub(super) struct Member {
    /// The whole of it.
    pub(super) der: Vec<u8>,
    /// Its subject in DER.
    pub(super) subject: Vec<u8>,
    /// Its issuer in DER.
    pub(super) issuer: Vec<u8>,
    /// Its public key in DER, `SubjectPublicKeyInfo`.
    pub(super) key: Vec<u8>,
    /// The content octets of its serial number.
    pub(super) serial: Vec<u8>,
    /// Seconds since the Unix epoch.
    pub(super) not_before: i64,
    /// Seconds since the Unix epoch.
    pub(super) not_after: i64,
    /// Whether key and signature are of a kind that ELB takes.
    pub(super) is_of_supported_kind: bool,
    /// Whether its extended key usage, if it has one, includes TLS clients.
    pub(super) serves_clients: bool,
    /// Whether its key usage, if it has one, includes signatures of data.
    pub(super) may_sign: bool,
    /// Whether its key usage, if it has one, includes signatures of revocation lists.
    pub(super) may_sign_lists: bool,
    /// Whether it is a CA that may sign certificates.
    pub(super) is_authority: bool,
    /// How many CAs may stand between it and a client.
    pub(super) path_length: Option<u32>,
    /// Whether it says which names those below it may have.
    pub(super) constrains_names: bool,
    /// Whether it breaks a rule that holds for every certificate.
    pub(super) is_malformed: bool,
}

/// Extensions that may be critical, since they are looked at here or by webpki, or, as policies are,
/// by nobody who verifies clients.
const UNDERSTOOD: [&str; 10] = [
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
];

impl Member {
    /// Reads a certificate; none where it is not one.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let kinds = bundle::check_key(&certificate)
            .and_then(|()| bundle::check_signature(&certificate.signature_algorithm));
        let mut member = Self {
            der: der.to_vec(),
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            key: certificate.public_key().raw.to_vec(),
            serial: certificate.raw_serial().to_vec(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            is_of_supported_kind: kinds.is_ok(),
            serves_clients: true,
            may_sign: true,
            may_sign_lists: true,
            is_authority: false,
            path_length: None,
            constrains_names: false,
            is_malformed: certificate.version() != X509Version::V3
                || certificate.tbs_certificate.signature != certificate.signature_algorithm,
        };
        member.read_extensions(certificate.extensions());
        Some(member)
    }

    fn read_extensions(&mut self, extensions: &[X509Extension<'_>]) {
        let (mut says_authority, mut may_sign_certificates) = (false, true);
        for (index, extension) in extensions.iter().enumerate() {
            let id = extension.oid.to_id_string();
            let is_repeated = extensions[..index]
                .iter()
                .any(|earlier| earlier.oid == extension.oid);
            let is_foreign = extension.critical && !UNDERSTOOD.contains(&id.as_str());
            self.is_malformed |= is_repeated || is_foreign;
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    says_authority = constraints.ca;
                    self.path_length = constraints.path_len_constraint;
                }
                ParsedExtension::KeyUsage(usage) => {
                    self.may_sign = usage.digital_signature();
                    self.may_sign_lists = usage.crl_sign();
                    may_sign_certificates = usage.key_cert_sign();
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    self.serves_clients = usage.client_auth || usage.any;
                }
                ParsedExtension::NameConstraints(_) => self.constrains_names = true,
                ParsedExtension::ParseError { .. } => self.is_malformed = true,
                _ => {}
            }
        }
        self.is_authority = says_authority && may_sign_certificates;
    }

    /// Whether subject and issuer are the same.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Checks its signature with another one's key, or its own.
    pub(super) fn signature_by(&self, issuer: &Self) -> Signature {
        match Signed::parts(&self.der) {
            Some(signed) => signed.by(&issuer.key),
            None => Signature::Wrong,
        }
    }
}

/// What became of the check of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    /// The key made it.
    Right,
    /// The key did not make it.
    Wrong,
    /// It is of a kind that cannot be checked.
    Unsupported,
}

/// A certificate or a revocation list as what is signed and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'d> {
    /// What the signature is over.
    pub(super) content: &'d [u8],
    /// The contents of its algorithm's identifier.
    algorithm: &'d [u8],
    signature: &'d [u8],
}

impl<'d> Signed<'d> {
    /// Takes DER apart; none where it is not signed.
    pub(super) fn parts(der: &'d [u8]) -> Option<Self> {
        const BIT_STRING: u8 = 0x03;
        let (_, outer) = element(der, SEQUENCE)?;
        let (after_content, _) = element(outer, SEQUENCE)?;
        let (after_algorithm, algorithm) = element(after_content, SEQUENCE)?;
        let (_, bits) = element(after_algorithm, BIT_STRING)?;
        let (unused, signature) = bits.split_first()?;
        (*unused == 0).then_some(Self {
            content: &outer[..outer.len() - after_content.len()],
            algorithm,
            signature,
        })
    }

    /// Checks the signature with a public key.
    pub(super) fn by(&self, key: &[u8]) -> Signature {
        let key_algorithm = element(key, SEQUENCE).and_then(|(_, info)| element(info, SEQUENCE));
        let Some((_, key_algorithm)) = key_algorithm else {
            return Signature::Unsupported;
        };
        let key = SubjectPublicKeyInfoDer::from(key);
        let Ok(entity) = webpki::RawPublicKeyEntity::try_from(&key) else {
            return Signature::Unsupported;
        };
        let (mut key_is_known, mut signature_is_known) = (false, false);
        for algorithm in webpki::ALL_VERIFICATION_ALGS {
            let fits_key = algorithm.public_key_alg_id().as_ref() == key_algorithm;
            let fits = algorithm.signature_alg_id().as_ref() == self.algorithm;
            key_is_known |= fits_key;
            signature_is_known |= fits;
            if fits_key && fits {
                let checked = entity.verify_signature(*algorithm, self.content, self.signature);
                if checked.is_ok() {
                    return Signature::Right;
                }
            }
        }
        if key_is_known && signature_is_known {
            Signature::Wrong
        } else {
            Signature::Unsupported
        }
    }
}
