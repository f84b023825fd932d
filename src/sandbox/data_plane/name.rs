//! Distinguished names as text, the most specific part first (RFC 2253).

use std::fmt::Write;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::X509Name;

/// The abbreviations of RFC 2253 and those that OpenSSL has beside them.
const ABBREVIATIONS: [(&str, &str); 13] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// Writes a name.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| {
            let attributes = part.iter().map(|attribute| {
                let id = attribute.attr_type().to_id_string();
                one(&id, attribute.attr_value())
            });
            attributes.collect::<Vec<_>>().join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

fn one(id: &str, value: &Any<'_>) -> String {
    let known = ABBREVIATIONS.iter().find(|(known, _)| *known == id);
    let name = known.map_or(id, |(_, abbreviation)| abbreviation);
    if let Some(text) = string(value) {
        format!("{name}={}", escaped(&text))
    } else {
        let digits = value.data.iter().map(|byte| format!("{byte:02X}"));
        format!("{name}=#{}", digits.collect::<String>())
    }
}

/// The characters of a string type; none of another type, or of octets that it cannot have.
fn string(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            String::from_utf8(value.data.to_vec()).ok()
        }
        Tag::T61String | Tag::VisibleString => {
            Some(value.data.iter().copied().map(char::from).collect())
        }
        Tag::BmpString => {
            let pairs = value.data.chunks(2).map(|pair| match pair {
                [high, low] => Some(u16::from_be_bytes([*high, *low])),
                _ => None,
            });
            String::from_utf16(&pairs.collect::<Option<Vec<_>>>()?).ok()
        }
        _ => None,
    }
}

/// Escapes what RFC 2253 does, and, by their octets, what cannot stand in a header or a log line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (index, character) in text.chars().enumerate() {
        let is_edge =
            (index == 0 && character == '#') || ((index == 0 || index == last) && character == ' ');
        if is_edge || ",+\"\\<>;".contains(character) {
            escaped.push('\\');
            escaped.push(character);
        } else if character.is_ascii_graphic() || character == ' ' {
            escaped.push(character);
        } else {
            let mut octets = [0; 4];
            for octet in character.encode_utf8(&mut octets).bytes() {
                _ = write!(escaped, "\\{octet:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_has_a_meaning_is_escaped() {
        for (given, expected) in [
            ("Acme, Inc.", "Acme\\, Inc."),
            ("#1 ", "\\#1\\ "),
            ("a\"b\\c+d", "a\\\"b\\\\c\\+d"),
            ("M\u{fc}ller", "M\\C3\\BCller"),
            ("two\r\nlines", "two\\0D\\0Alines"),
        ] {
            assert_eq!(escaped(given), expected);
        }
    }
}
