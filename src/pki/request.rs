//! PKCS#10 requests: made for others to sign, and read to be signed here.

use der::asn1::{Any, SetOfVec};
use der::{Decode, Encode, Sequence};
use pem::Pem;
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::request::ExtensionReq;

use super::Result;
use super::alternative_name::AlternativeName;
use super::document::{encode_pem, extension, sign};
use super::error::Error;
use super::input::{self, Form};
use super::key::{self, Digest, SigningKey};
use super::subject::Subject;
use crate::trust::{KeyAlgorithm, SignatureCheck, check_signature};

/// What is signed of a request (RFC 2986, section 4.1), with name and key as they came.
#[derive(Sequence)]
struct Content {
    version: u8,
    subject: Any,
    public_key: Any,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    attributes: Attributes,
}

/// The outer form.
#[derive(Sequence)]
struct Outer {
    content: Content,
    algorithm: Any,
    signature: Any,
}

/// A request whose signature proves that whoever made it has the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whom it is about.
    pub subject: Subject,
    /// The names that it asks for.
    pub names: Vec<AlternativeName>,
    /// Whether it asks for names of kinds that are not issued here, such as a user principal name.
    pub has_other_names: bool,
    /// The kind of its key.
    pub key_algorithm: KeyAlgorithm,
    /// The DER of its public key.
    pub(super) public_key: Vec<u8>,
    /// The request itself.
    der: Vec<u8>,
}

impl Request {
    /// Makes a request for a key.
    ///
    /// # Errors
    ///
    /// The hash does not go with the key, or the cryptographic library fails.
    pub fn new(
        subject: &Subject,
        names: &[AlternativeName],
        key: &SigningKey,
        digest: Option<Digest>,
    ) -> Result<Self> {
        let mut attributes = Attributes::new();
        if !names.is_empty() {
            let names: Result<Vec<_>> = names.iter().map(AlternativeName::encode).collect();
            let wanted = ExtensionReq(vec![extension(false, &SubjectAltName(names?))?]);
            attributes.insert(Attribute::try_from(wanted)?)?;
        }
        let content = Content {
            version: 0,
            subject: Any::from_der(subject.as_der())?,
            public_key: Any::from_der(key.public_key())?,
            attributes,
        };
        Self::from_der(&sign(&content.to_der()?, key, digest)?)
    }

    /// Reads the one request of a PEM or DER file and verifies its signature.
    ///
    /// # Errors
    ///
    /// There is none, its signature is wrong, or its key is one that no load balancer accepts.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let blocks = input::blocks(bytes)?;
        let mut requests = blocks.iter().filter(|block| block.form == Form::Request);
        match (requests.next(), requests.next()) {
            (Some(request), None) => Self::from_der(&request.der),
            (None, _) => Err(Error::refused("it holds no certificate request")),
            (Some(_), Some(_)) => Err(Error::refused("it holds more than one request")),
        }
    }

    /// Reads a request in DER form and verifies its signature.
    pub(super) fn from_der(der: &[u8]) -> Result<Self> {
        let damaged = || Error::refused("the request is damaged: it is not the DER of PKCS#10");
        let outer = Outer::from_der(der).map_err(|_| damaged())?;
        let public_key = outer.content.public_key.to_der()?;
        let key_algorithm = KeyAlgorithm::of_der(&public_key).ok_or_else(damaged)?;
        key::refuse_key(&key_algorithm)?;
        match check_signature(der, &public_key) {
            SignatureCheck::Valid => {}
            SignatureCheck::Invalid => {
                return Err(Error::refused_with(
                    "the signature of the request is wrong: it was changed, or made with another key",
                    "have it made again",
                ));
            }
            SignatureCheck::Unsupported => {
                return Err(Error::refused_with(
                    "the request is signed in a way that cannot be verified",
                    "have it made again with SHA-256, SHA-384 or SHA-512",
                ));
            }
        }
        let subject = outer.content.subject.to_der()?;
        let wanted = wanted_names(&outer.content.attributes).ok_or_else(damaged)?;
        let names: Vec<AlternativeName> = wanted
            .0
            .iter()
            .filter_map(AlternativeName::decode)
            .collect();
        Ok(Self {
            subject: Subject::from_der(&subject).ok_or_else(damaged)?,
            has_other_names: names.len() != wanted.0.len(),
            names,
            key_algorithm,
            public_key,
            der: der.to_vec(),
        })
    }

    /// The request as PEM.
    pub fn to_pem(&self) -> String {
        encode_pem(&Pem::new("CERTIFICATE REQUEST", self.der.as_slice()))
    }
}

/// The alternative names among the extensions that a request asks for; `None` if they are damaged.
fn wanted_names(attributes: &SetOfVec<Attribute>) -> Option<SubjectAltName> {
    use der::oid::AssociatedOid;
    let mut names = SubjectAltName(Vec::new());
    let wanted = attributes
        .iter()
        .filter(|attribute| attribute.oid == ExtensionReq::OID);
    for value in wanted.flat_map(|attribute| attribute.values.iter()) {
        let extensions: Vec<Extension> = value.decode_as().ok()?;
        for extension in extensions {
            if extension.extn_id == SubjectAltName::OID {
                let more = SubjectAltName::from_der(extension.extn_value.as_bytes()).ok()?;
                names.0.extend(more.0);
            }
        }
    }
    Some(names)
}
