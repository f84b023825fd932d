//! Files in PEM or DER form, taken apart into the structures they hold.
//!
//! Everything outside the BEGIN and END lines is skipped: `openssl x509 -text` output, comments,
//! blank lines. A load balancer is less patient, hence the canonical form that is written again.

use std::borrow::Cow;

use pem::{EncodeConfig, LineEnding, Pem};

use super::der::{Reader, tag};
use super::error::{Error, Origin, Wanted};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// One structure of a file.
pub(super) struct Block {
    /// The PEM label; for a DER file that of what it seems to be.
    pub(super) label: String,
    /// Where it begins.
    pub(super) origin: Origin,
    /// The DER bytes.
    pub(super) der: Vec<u8>,
}

/// Takes a file apart, whichever of the two forms it has; never returns an empty list.
pub(super) fn blocks(bytes: &[u8], wanted: Wanted) -> Result<Vec<Block>, Error> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::Empty { wanted });
    }
    let blocks = pem_blocks(bytes, wanted)?;
    if !blocks.is_empty() {
        return Ok(blocks);
    }
    // Only then DER: its first octet is also the digit 0, with which a comment may begin.
    if bytes.first() == Some(&tag::SEQUENCE) && Reader::new(bytes).next().is_ok() {
        return der_blocks(bytes, wanted);
    }
    let looks_like = guess(bytes);
    Err(Error::Unrecognised { looks_like })
}

/// Writes the canonical PEM block: 64 columns, LF, nothing before or after.
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, der), config)
}

/// Says whether a PEM label stands for a private key of any kind.
pub(super) fn is_private_key(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

/// Splits a DER file, in which one structure may follow the other.
fn der_blocks(bytes: &[u8], wanted: Wanted) -> Result<Vec<Block>, Error> {
    let mut blocks = Vec::new();
    let mut reader = Reader::new(bytes);
    let mut offset = 0;
    while !reader.is_empty() {
        let origin = Origin::Byte(offset);
        let element = reader
            .expect(tag::SEQUENCE)
            .map_err(|malformed| Error::Der {
                origin,
                wanted,
                reason: malformed.to_string(),
            })?;
        offset += element.raw.len();
        blocks.push(Block {
            label: der_label(element.reader(), wanted).to_owned(),
            origin,
            der: element.raw.to_vec(),
        });
    }
    Ok(blocks)
}

/// Tells by its first elements what a DER structure is, and believes the caller in doubt.
fn der_label(mut inner: Reader<'_>, wanted: Wanted) -> &'static str {
    let (Ok(first), second) = (inner.next(), inner.next()) else {
        return pem_label(wanted);
    };
    match (first.tag, second.map(|element| element.tag)) {
        (tag::INTEGER, _) if first.content == [3] => "PKCS#12",
        (tag::INTEGER, Ok(tag::OCTET_STRING)) => "EC PRIVATE KEY",
        (tag::INTEGER, Ok(tag::SEQUENCE)) => "PRIVATE KEY",
        (tag::INTEGER, _) => "RSA PRIVATE KEY",
        (tag::SEQUENCE, Ok(tag::OCTET_STRING)) => "ENCRYPTED PRIVATE KEY",
        (tag::OBJECT_IDENTIFIER, _) => "PKCS7",
        (tag::SEQUENCE, Ok(tag::SEQUENCE)) => signed_label(first.reader(), wanted),
        _ => pem_label(wanted),
    }
}

/// Tells CRLs and certificates apart, which have the same outer form: among the first fields of a
/// CRL is a date, while a certificate begins with its version unless that is 1.
fn signed_label(mut fields: Reader<'_>, wanted: Wanted) -> &'static str {
    if fields.peek() == Some(tag::CONTEXT_0) {
        return pem_label(Wanted::Certificate);
    }
    let mut tags = std::iter::from_fn(|| fields.next().ok().map(|field| field.tag)).take(4);
    if tags.any(|found| matches!(found, tag::UTC_TIME | tag::GENERALIZED_TIME)) {
        return pem_label(Wanted::Crl);
    }
    pem_label(wanted)
}

/// Returns the label that a structure of the kind has.
fn pem_label(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Certificate => "CERTIFICATE",
        Wanted::Crl => "X509 CRL",
        Wanted::PrivateKey => "PRIVATE KEY",
    }
}

/// Finds the PEM blocks of a text and decodes them.
fn pem_blocks(bytes: &[u8], wanted: Wanted) -> Result<Vec<Block>, Error> {
    let mut blocks = Vec::new();
    let mut lines = Lines::new(bytes);
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line.text, BEGIN) else {
            continue;
        };
        let label = String::from_utf8_lossy(label).into_owned();
        let origin = Origin::Line(line.number);
        let Some(end) = lines.find(|line| boundary(line.text, END).is_some()) else {
            return Err(damaged(&label, origin, "its END line is missing"));
        };
        // Neither a key nor an unwanted block is decoded: nothing of it can end up in a message.
        refuse_key(&label, origin, wanted)?;
        let text = &bytes[line.start..end.start + end.text.len()];
        blocks.push(decode(text, label, origin)?);
    }
    Ok(blocks)
}

/// Refuses private keys where something public was expected.
pub(super) fn refuse_key(label: &str, origin: Origin, wanted: Wanted) -> Result<(), Error> {
    if wanted != Wanted::PrivateKey && is_private_key(label) {
        let label = label.to_owned();
        return Err(Error::PrivateKey {
            origin,
            label,
            wanted,
        });
    }
    Ok(())
}

/// Decodes the text from BEGIN to END line.
fn decode(text: &[u8], label: String, origin: Origin) -> Result<Block, Error> {
    let text = str::from_utf8(text).map_err(|_| damaged(&label, origin, "it is not text"))?;
    if label == "ENCRYPTED PRIVATE KEY" || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::EncryptedKey { origin, label });
    }
    let parsed = pem::parse(without_blank_lines(text).as_bytes()).map_err(|error| {
        let reason = match error {
            pem::PemError::MismatchedTags(..) => "its END line names something else",
            pem::PemError::InvalidData(..) => "it is not base64",
            _ => "it does not have the form of a PEM block",
        };
        damaged(&label, origin, reason)
    })?;
    Ok(Block {
        der: parsed.into_contents(),
        label,
        origin,
    })
}

/// Drops blank lines, which the decoder would take for the end of a header.
fn without_blank_lines(text: &str) -> Cow<'_, str> {
    let is_blank = |line: &str| line.trim().is_empty();
    if !text.lines().any(is_blank) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<&str> = text.lines().filter(|line| !is_blank(line)).collect();
    Cow::Owned(lines.join("\n"))
}

/// Builds the error of a damaged block.
fn damaged(label: &str, origin: Origin, reason: &str) -> Error {
    Error::Pem {
        origin,
        label: label.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Returns the label of a BEGIN or END line.
fn boundary<'a>(line: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let label = line
        .trim_ascii()
        .strip_prefix(prefix.as_bytes())?
        .strip_suffix(DASHES.as_bytes())?;
    let printable = |byte: &u8| matches!(byte, b' '..=b'~');
    label.iter().all(printable).then_some(label)
}

/// Tells apart what people give by mistake.
fn guess(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Some("UTF-16 text, as PowerShell's `>` writes it; save it as ASCII or UTF-8")
        }
        [b'<', ..] => Some("an HTML or XML page, as a server returns it instead of the file"),
        [b'M', b'I', ..] => Some("bare base64 without its BEGIN and END lines"),
        [tag::SEQUENCE, ..] => Some("DER that ends too early"),
        _ => None,
    }
}

/// A line of a file with its place.
struct Line<'a> {
    number: usize,
    start: usize,
    text: &'a [u8],
}

/// Goes through a file line by line without copying it.
struct Lines<'a> {
    bytes: &'a [u8],
    start: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    /// Starts at the first line.
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            start: 0,
            number: 0,
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = self
            .bytes
            .get(self.start..)
            .filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n');
        let text = &rest[..length.unwrap_or(rest.len())];
        let start = self.start;
        self.start += text.len() + 1;
        self.number += 1;
        Some(Line {
            number: self.number,
            start,
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<(String, Origin)> {
        let blocks = blocks(text.as_bytes(), Wanted::Certificate).unwrap();
        blocks
            .into_iter()
            .map(|block| (block.label, block.origin))
            .collect()
    }

    fn error(bytes: &[u8]) -> String {
        let Err(error) = blocks(bytes, Wanted::Certificate) else {
            panic!("accepted");
        };
        error.to_string()
    }

    #[test]
    fn text_around_and_blank_lines_inside_are_skipped() {
        let text = "\u{feff}-----BEGIN A-----\r\n\r\nMAA=\r\n-----END A-----\r\n\r\n\
                    # comment - with hyphen\nCertificate:\n    Data:\n  -----BEGIN B-----\n  MA\n  A=\n  -----END B-----";
        assert_eq!(
            labels(text),
            [
                ("A".to_owned(), Origin::Line(1)),
                ("B".to_owned(), Origin::Line(9))
            ]
        );
    }

    #[test]
    fn a_comment_that_begins_like_der_is_none() {
        let text = format!(
            "00 {}\n-----BEGIN A-----\nMAA=\n-----END A-----",
            "x".repeat(99)
        );
        assert_eq!(labels(&text), [("A".to_owned(), Origin::Line(2))]);
    }

    #[test]
    fn damaged_blocks_are_named_with_their_line() {
        assert_eq!(
            error(b"\n-----BEGIN CERTIFICATE-----\nMAA=\n"),
            "line 2: the PEM block CERTIFICATE is damaged: its END line is missing"
        );
        assert_eq!(
            error(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"),
            "line 1: the PEM block CERTIFICATE is damaged: it is not base64"
        );
        assert_eq!(
            error(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END X-----"),
            "line 1: the PEM block CERTIFICATE is damaged: its END line names something else"
        );
    }

    #[test]
    fn common_mistakes_are_recognised() {
        assert_eq!(error(b" \n"), "holds no certificate");
        assert_eq!(error(b"hello"), "is neither PEM nor DER");
        assert!(error(b"\xff\xfe-\0-\0").contains("UTF-16"));
        assert!(error(b"<!DOCTYPE html>").contains("HTML"));
        assert!(error(b"MIIBIjANBg").contains("bare base64"));
        assert!(error(&[0x30, 0x82, 0x01, 0x00, 0x30]).contains("ends too early"));
    }

    #[test]
    fn private_keys_are_refused_unread_in_either_form() {
        assert_eq!(
            error(b"-----BEGIN EC PRIVATE KEY-----\nsecret\n-----END EC PRIVATE KEY-----"),
            "line 1: holds a private key (EC PRIVATE KEY), where a certificate was expected"
        );
    }

    #[test]
    fn binary_structures_are_told_apart() {
        let label = |inner: &[u8]| der_label(Reader::new(inner), Wanted::Crl);
        assert_eq!(label(&[2, 1, 0, 0x30, 0, 4, 0]), "PRIVATE KEY");
        assert_eq!(label(&[2, 1, 1, 4, 0]), "EC PRIVATE KEY");
        assert_eq!(label(&[2, 1, 0, 2, 1, 5]), "RSA PRIVATE KEY");
        assert_eq!(label(&[2, 1, 3, 0x30, 0]), "PKCS#12");
        assert_eq!(label(&[0x30, 0, 4, 0]), "ENCRYPTED PRIVATE KEY");
        assert_eq!(label(&[6, 1, 0x2a]), "PKCS7");
        assert_eq!(label(&[0x30, 0, 0x30, 0]), "X509 CRL");
        assert_eq!(label(&[0x30, 2, 0xa0, 0, 0x30, 0]), "CERTIFICATE");
        let list = [0x30, 6, 0x30, 0, 0x30, 0, 0x17, 0, 0x30, 0];
        assert_eq!(
            der_label(Reader::new(&list), Wanted::Certificate),
            "X509 CRL"
        );
    }

    #[test]
    fn the_canonical_form_is_plain() {
        let pem = encode("X", &[0; 60]);
        assert_eq!(
            pem,
            format!(
                "-----BEGIN X-----\n{}\n{}\n-----END X-----\n",
                "A".repeat(64),
                "A".repeat(16)
            )
        );
    }
}
