//! Distinguished names as text, and the comparison that links a certificate to its issuer.

use std::fmt;

use x509_parser::asn1_rs::{Any, FromDer, Tag};
use x509_parser::x509::X509Name;

/// The abbreviations of RFC 4514, and two that every tool writes although it does not list them.
const ABBREVIATIONS: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// A subject or issuer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistinguishedName {
    text: String,
    /// The parts, least specific first, as they are the same in all names of one entity; made once,
    /// for they are compared often.
    canonical: Vec<String>,
    der: Vec<u8>,
}

impl DistinguishedName {
    /// Reads the DER of a `Name`.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        let (rest, name) = X509Name::from_der(der).ok()?;
        rest.is_empty().then(|| Self::from_name(&name))
    }

    /// Takes a name that is parsed already.
    pub(super) fn from_name(name: &X509Name<'_>) -> Self {
        let (mut parts, mut canonical) = (Vec::new(), Vec::new());
        for set in name.iter_rdn() {
            let attributes = set.iter().map(|attribute| {
                let oid = attribute.attr_type().to_id_string();
                let value = attribute.attr_value();
                (
                    attribute_text(&oid, value, str::to_owned),
                    attribute_text(&oid, value, prepared),
                )
            });
            let (texts, mut prepared): (Vec<String>, Vec<String>) = attributes.unzip();
            prepared.sort_unstable();
            parts.push(texts.join("+"));
            canonical.push(prepared.join("+"));
        }
        // RFC 4514 writes the most specific part first, DER the least specific one.
        parts.reverse();
        Self {
            text: parts.join(","),
            canonical,
            der: name.as_raw().to_vec(),
        }
    }

    /// Returns the RFC 4514 text, `CN=…,O=…,C=…`; empty for an empty name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the DER encoding.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Says whether both denote the same entity.
    ///
    /// As in RFC 5280, section 7.1, letter case, spaces but for single ones between words, and the
    /// string type do not count: CAs are known to re-encode their own name between certificate and
    /// CRL.
    pub fn matches(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }

    /// Says whether it is the other name or one below it: it begins with all of its parts.
    pub fn is_within(&self, other: &Self) -> bool {
        self.canonical.starts_with(&other.canonical)
    }

    /// Returns the mail addresses in it, which old certificates have in place of an extension.
    pub fn email_addresses(&self) -> Vec<String> {
        let Ok((_, name)) = X509Name::from_der(&self.der) else {
            return Vec::new();
        };
        let values = name
            .iter_email()
            .filter_map(|one| string_value(one.attr_value()));
        values.collect()
    }
}

/// Returns the form in which values are compared.
fn prepared(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Writes one attribute as `TYPE=value`, with strings in the form wanted.
fn attribute_text(oid: &str, value: &Any<'_>, form: impl FnOnce(&str) -> String) -> String {
    let known = ABBREVIATIONS.iter().find(|(known, _)| *known == oid);
    let text = string_value(value).map(|text| escaped(&form(&text)));
    match (known, text) {
        (Some((_, abbreviation)), Some(text)) => format!("{abbreviation}={text}"),
        (None, Some(text)) => format!("{oid}={text}"),
        (_, None) => {
            let digits: String = value.data.iter().copied().flat_map(hex).collect();
            format!("{oid}=#{digits}")
        }
    }
}

/// Decodes the string types that certificates use; `None` for anything else.
fn string_value(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => str::from_utf8(value.data).ok().map(str::to_owned),
        // Everyone who writes TeletexString means Latin-1.
        Tag::T61String => Some(value.data.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, rest) = value.data.as_chunks::<2>();
            let units: Vec<u16> = units.iter().copied().map(u16::from_be_bytes).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        Tag::UniversalString => {
            let (units, rest) = value.data.as_chunks::<4>();
            let units = units.iter().copied().map(u32::from_be_bytes);
            units
                .map(char::from_u32)
                .collect::<Option<String>>()
                .filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// Escapes what RFC 4514 demands, and what must not reach a terminal.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (index, character) in value.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => text.extend(['\\', character]),
            '#' if index == 0 => text.push_str("\\#"),
            ' ' if index == 0 || index == last => text.push_str("\\ "),
            unsafe_one if is_unsafe(unsafe_one) => {
                let mut buffer = [0; 4];
                for byte in unsafe_one.encode_utf8(&mut buffer).bytes() {
                    text.push('\\');
                    text.extend(hex(byte));
                }
            }
            other => text.push(other),
        }
    }
    text
}

/// Says whether a character could drive a terminal or reorder the text around it.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes an octet as two hex digits.
fn hex(octet: u8) -> [char; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [octet >> 4, octet & 15].map(|nibble| char::from(DIGITS[usize::from(nibble)]))
}

/// Writes the RFC 4514 text, or says that the name is empty.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            formatter.write_str("(empty name)")
        } else {
            formatter.write_str(&self.text)
        }
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::tlv;

    /// An attribute: its object identifier, the tag of its string type and the string.
    type Attribute<'a> = (&'a [u8], u8, &'a [u8]);

    /// A name of one relative distinguished name a slice.
    fn name(sets: &[&[Attribute<'_>]]) -> DistinguishedName {
        let attribute = |(oid, tag, value): &Attribute<'_>| {
            tlv(0x30, &[tlv(0x06, oid), tlv(*tag, value)].concat())
        };
        let set = |set: &&[Attribute<'_>]| {
            tlv(0x31, &set.iter().flat_map(attribute).collect::<Vec<u8>>())
        };
        let der = tlv(0x30, &sets.iter().flat_map(set).collect::<Vec<u8>>());
        DistinguishedName::from_der(&der).unwrap()
    }

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];

    #[test]
    fn the_most_specific_part_comes_first() {
        let name = name(&[
            &[(O, 0x0c, b"Acme, Inc.")],
            &[(CN, 0x13, b"Root"), (O, 0x13, b"x")],
        ]);
        assert_eq!(name.as_str(), "CN=Root+O=x,O=Acme\\, Inc.");
    }

    #[test]
    fn string_types_are_decoded() {
        assert_eq!(
            name(&[&[(CN, 0x1e, &[0, 0x41, 0x30, 0x42])]]).as_str(),
            "CN=Aあ"
        );
        assert_eq!(name(&[&[(CN, 0x14, &[0xe9])]]).as_str(), "CN=é");
        assert_eq!(name(&[&[(CN, 0x03, &[0, 1])]]).as_str(), "2.5.4.3=#0001");
        assert_eq!(name(&[&[(&[0x2a, 3], 0x0c, b"x")]]).as_str(), "1.2.3=x");
    }

    #[test]
    fn what_could_confuse_a_reader_is_escaped() {
        assert_eq!(
            name(&[&[(CN, 0x0c, b" #a\x1b[2J ")]]).as_str(),
            "CN=\\ #a\\1B[2J\\ "
        );
        assert_eq!(name(&[&[(CN, 0x0c, b"#a")]]).as_str(), "CN=\\#a");
        let reordered = "a\u{202e}b".as_bytes();
        assert_eq!(
            name(&[&[(CN, 0x0c, reordered)]]).as_str(),
            "CN=a\\E2\\80\\AEb"
        );
        assert_eq!(name(&[]).to_string(), "(empty name)");
    }

    #[test]
    fn string_type_case_and_spacing_do_not_tell_names_apart() {
        let one = name(&[&[(CN, 0x13, b"Petstore Root")]]);
        assert!(one.matches(&name(&[&[(CN, 0x0c, b"petstore  ROOT")]])));
        assert!(one.matches(&name(&[&[(CN, 0x0c, b" Petstore Root ")]])));
        assert!(!one.matches(&name(&[&[(CN, 0x0c, b"PetstoreRoot")]])));
        let two = name(&[&[(CN, 0x0c, b"a,O=b")]]);
        assert!(!two.matches(&name(&[&[(O, 0x0c, b"b")], &[(CN, 0x0c, b"a")]])));
        assert!(!one.matches(&name(&[&[(O, 0x13, b"Petstore Root")]])));
    }
}
