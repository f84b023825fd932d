//! What a file holds, for people who got it from somebody else; of keys nothing but their kind.

use pem::Pem;

use super::archive::Archive;
use super::document::encode_pem;
use super::error::Error;
use super::input::{self, Block, Form};
use super::key::KeyFile;
use super::request::Request;
use super::{AlternativeName, Result};
use crate::trust::{Certificate, Crl, KeyAlgorithm};

/// One thing of a file.
#[derive(Debug)]
pub enum Item {
    /// A certificate.
    Certificate(Box<Certificate>, Vec<AlternativeName>),
    /// A revocation list.
    Crl(Box<Crl>),
    /// A request whose signature is right.
    Request(Box<Request>),
    /// A private key.
    Key(KeyAlgorithm),
    /// A private key under a passphrase.
    LockedKey,
    /// A PKCS#12 archive, whose content needs the passphrase.
    Archive(Vec<Self>),
    /// A PKCS#12 archive without the passphrase for it.
    LockedArchive,
}

/// Takes a file apart; `passphrase` is for PKCS#12.
///
/// # Errors
///
/// There is nothing in it that anybody here can read, or something of it is damaged.
pub fn inspect(bytes: &[u8], passphrase: Option<&str>) -> Result<Vec<Item>> {
    input::blocks(bytes)?
        .iter()
        .map(|block| item(block, passphrase))
        .collect()
}

/// What one structure is.
fn item(block: &Block, passphrase: Option<&str>) -> Result<Item> {
    Ok(match block.form {
        Form::Certificate => certificate(Certificate::from_der(&block.der)?),
        Form::Crl => Item::Crl(Box::new(Crl::from_der(&block.der)?)),
        Form::Request => Item::Request(Box::new(Request::from_der(&block.der)?)),
        Form::Archive => match passphrase {
            Some(passphrase) => archive(Archive::from_der(&block.der, passphrase)?),
            None => Item::LockedArchive,
        },
        Form::Pkcs8 | Form::Pkcs1 | Form::Sec1 | Form::EncryptedPkcs8 => {
            match KeyFile::from_block(block)? {
                KeyFile::Plain(key) => Item::Key(key.algorithm()),
                KeyFile::Locked(_) => Item::LockedKey,
            }
        }
    })
}

/// What is in a PKCS#12 archive.
fn archive(archive: Archive) -> Item {
    let key = archive.key.map(|key| Item::Key(key.algorithm()));
    let certificates = archive.certificates.into_iter().map(certificate);
    Item::Archive(key.into_iter().chain(certificates).collect())
}

/// A certificate with all its names.
fn certificate(certificate: Certificate) -> Item {
    let names = alternative_names(&certificate);
    Item::Certificate(Box::new(certificate), names)
}

/// All alternative names, also those that mean nothing to a load balancer.
fn alternative_names(certificate: &Certificate) -> Vec<AlternativeName> {
    use der::Decode;
    use x509_parser::prelude::{FromDer, X509Certificate};
    const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";
    let Ok((_, parsed)) = X509Certificate::from_der(&certificate.der) else {
        return Vec::new();
    };
    let mut extensions = parsed.iter_extensions();
    let found =
        extensions.find(|extension| extension.oid.to_id_string() == SUBJECT_ALTERNATIVE_NAME);
    let names = found
        .and_then(|extension| x509_cert::ext::pkix::SubjectAltName::from_der(extension.value).ok());
    let names = names.map(|names| names.0).unwrap_or_default();
    names.iter().filter_map(AlternativeName::decode).collect()
}

/// Writes certificates and revocation lists, PEM or DER, as the PEM that load balancers take.
///
/// # Errors
///
/// There is something else in the file, such as a key, or something is damaged.
pub fn to_pem(bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    for block in input::blocks(bytes)? {
        let (label, der) = match block.form {
            Form::Certificate => ("CERTIFICATE", Certificate::from_der(&block.der)?.der),
            Form::Crl => ("X509 CRL", Crl::from_der(&block.der)?.der),
            _ => {
                return Err(Error::refused_with(
                    "only certificates and CRLs are converted",
                    "`mtlsgw pki inspect FILE` tells what is in it",
                ));
            }
        };
        text.push_str(&encode_pem(&Pem::new(label, der)));
    }
    Ok(text)
}
