//! Files as they come: PEM with anything around its blocks, or DER, of every kind that openssl makes.

use der::{Decode, Reader, SliceReader};

use super::Result;
use super::error::Error;

/// What a structure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An X.509 certificate.
    Certificate,
    /// A certificate revocation list.
    Crl,
    /// A PKCS#10 request.
    Request,
    /// A PKCS#12 archive.
    Archive,
    /// A PKCS#8 key.
    Pkcs8,
    /// A PKCS#8 key under a passphrase.
    EncryptedPkcs8,
    /// A PKCS#1 RSA key.
    Pkcs1,
    /// A SEC1 elliptic curve key.
    Sec1,
}

impl Form {
    /// Tells by the PEM label.
    fn of_label(label: &str) -> Option<Self> {
        Some(match label {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => Self::Certificate,
            "X509 CRL" => Self::Crl,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::Request,
            "PRIVATE KEY" => Self::Pkcs8,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedPkcs8,
            "RSA PRIVATE KEY" => Self::Pkcs1,
            "EC PRIVATE KEY" => Self::Sec1,
            _ => return None,
        })
    }

    /// Whether it is a private key.
    pub(super) fn is_key(self) -> bool {
        matches!(
            self,
            Self::Pkcs8 | Self::EncryptedPkcs8 | Self::Pkcs1 | Self::Sec1
        )
    }
}

/// One structure of a file; as it may be a key, it does not show itself.
pub(super) struct Block {
    /// What it is.
    pub(super) form: Form,
    /// The DER.
    pub(super) der: zeroize::Zeroizing<Vec<u8>>,
}

/// Takes a file apart; `EC PARAMETERS`, attributes and other texts between blocks are skipped.
///
/// # Errors
///
/// There is nothing in it that anybody here can read.
pub(super) fn blocks(bytes: &[u8]) -> Result<Vec<Block>> {
    let dashes = b"-----BEGIN ";
    if bytes.windows(dashes.len()).any(|window| window == dashes) {
        return pem_blocks(bytes);
    }
    let form = der_form(bytes).ok_or_else(|| {
        Error::refused_with(
            "it is neither PEM nor the DER of a certificate, CRL, request, key or PKCS#12",
            "look at it with `openssl asn1parse -in FILE` (`-inform DER` for a binary file)",
        )
    })?;
    let der = zeroize::Zeroizing::new(bytes.to_vec());
    Ok(vec![Block { form, der }])
}

/// Finds the PEM blocks of a text and decodes those that are known.
fn pem_blocks(bytes: &[u8]) -> Result<Vec<Block>> {
    let text = zeroize::Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    if text.contains("Proc-Type: 4,ENCRYPTED") || text.contains("DEK-Info:") {
        return Err(Error::refused_with(
            "the key is encrypted in the old form of OpenSSL (DEK-Info), which protects it hardly",
            "`openssl pkcs8 -topk8 -in KEY -out NEW` writes it as PKCS#8, under a passphrase",
        ));
    }
    // The decoder would take a blank line for the end of a header.
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let text = zeroize::Zeroizing::new(lines.join("\n"));
    let parsed = pem::parse_many(text.as_bytes()).map_err(|_| damaged())?;
    let known: Vec<Block> = parsed
        .into_iter()
        .filter_map(|block| {
            let form = Form::of_label(block.tag())?;
            let der = zeroize::Zeroizing::new(block.into_contents());
            Some(Block { form, der })
        })
        .collect();
    if known.is_empty() {
        return Err(damaged());
    }
    Ok(known)
}

/// The error of a file with PEM in it that cannot be used.
fn damaged() -> Error {
    Error::refused_with(
        "its PEM is damaged, or holds neither certificate, CRL, request nor key",
        "every block needs its BEGIN and END line and Base64 in between",
    )
}

/// Tells by the outer elements what a DER structure is.
fn der_form(bytes: &[u8]) -> Option<Form> {
    let outer = elements(bytes)?;
    let [(0x30, inner)] = outer.as_slice() else {
        return None;
    };
    let inner = elements(inner)?;
    let tags: Vec<u8> = inner.iter().map(|(tag, _)| *tag).collect();
    match (tags.as_slice(), inner.first()?.1) {
        ([0x02, 0x30, ..], [3]) => Some(Form::Archive),
        ([0x02, 0x30, 0x04, ..], _) => Some(Form::Pkcs8),
        ([0x02, 0x04, ..], _) => Some(Form::Sec1),
        ([0x02, 0x02, 0x02, ..], _) => Some(Form::Pkcs1),
        ([0x30, 0x04], _) => Some(Form::EncryptedPkcs8),
        ([0x30, 0x30, 0x03], signed) => signed_form(signed),
        _ => None,
    }
}

/// Certificates, CRLs and requests have the same outer form.
fn signed_form(fields: &[u8]) -> Option<Form> {
    let tags: Vec<u8> = elements(fields)?.iter().map(|(tag, _)| *tag).collect();
    Some(match tags.as_slice() {
        [0x02, 0x30, 0x30, 0xa0] | [0x02, 0x30, 0x30] => Form::Request,
        [0xa0, ..] | [0x02, 0x30, 0x30, 0x30, ..] => Form::Certificate,
        _ => Form::Crl,
    })
}

/// Tag and content of the elements that follow each other.
fn elements(bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        let tag = *bytes.get(usize::try_from(reader.position()).ok()?)?;
        found.push((tag, der::asn1::AnyRef::decode(&mut reader).ok()?.value()));
    }
    Some(found)
}
