//! Subjects as they are written on a command line: the text form of RFC 4514.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use der::asn1::{Any, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

use super::Result;
use super::error::Error;
use crate::trust::DistinguishedName;

/// Type, object identifier, string type, and the most characters that RFC 5280 (appendix A) allows.
const ATTRIBUTES: [(&str, &str, Tag, usize); 14] = [
    ("CN", "2.5.4.3", Tag::Utf8String, 64),
    ("SN", "2.5.4.4", Tag::Utf8String, 64),
    ("serialNumber", "2.5.4.5", Tag::PrintableString, 64),
    ("C", "2.5.4.6", Tag::PrintableString, 2),
    ("L", "2.5.4.7", Tag::Utf8String, 128),
    ("ST", "2.5.4.8", Tag::Utf8String, 128),
    ("STREET", "2.5.4.9", Tag::Utf8String, 128),
    ("O", "2.5.4.10", Tag::Utf8String, 64),
    ("OU", "2.5.4.11", Tag::Utf8String, 64),
    ("title", "2.5.4.12", Tag::Utf8String, 64),
    ("GN", "2.5.4.42", Tag::Utf8String, 64),
    ("UID", "0.9.2342.19200300.100.1.1", Tag::Utf8String, 256),
    ("DC", "0.9.2342.19200300.100.1.25", Tag::Ia5String, 63),
    ("emailAddress", "1.2.840.113549.1.9.1", Tag::Ia5String, 255),
];

/// How many characters the value of any other attribute may have.
const MAXIMUM_OTHER: usize = 256;

/// How to write one; the hint of most errors.
const FORM: &str = "write it as in RFC 4514, most specific part first: \
                    \"CN=alice,OU=Sales,O=Example,C=JP\"; a comma inside a value is written `\\,`";

/// A distinguished name to be certified.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    name: DistinguishedName,
}

impl Subject {
    /// A subject that is just a common name.
    ///
    /// # Errors
    ///
    /// The name is empty, too long, or holds control characters.
    pub fn common_name(name: &str) -> Result<Self> {
        let part = attribute("CN", &Value::Text(name.to_owned()))?;
        Self::from_parts(vec![vec![part]])
    }

    /// Takes over a name as it is encoded; the order and the string types of others are kept.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        DistinguishedName::from_der(der).map(|name| Self { name })
    }

    /// The DER of the `Name`.
    pub(super) fn as_der(&self) -> &[u8] {
        self.name.as_der()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.name.as_str().is_empty()
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        self.name.as_str()
    }

    /// Encodes parts that are in the order of the text, which is the reverse of that in DER.
    fn from_parts(parts: Vec<Vec<AttributeTypeAndValue>>) -> Result<Self> {
        let parts: Result<Vec<RelativeDistinguishedName>> = parts
            .into_iter()
            .rev()
            .map(|values| {
                // X.501: no type twice in one part.
                let types: BTreeSet<ObjectIdentifier> =
                    values.iter().map(|value| value.oid).collect();
                if types.len() != values.len() {
                    return Err(refused("it names the same attribute twice in one part"));
                }
                let set = SetOfVec::try_from(values)?;
                Ok(RelativeDistinguishedName::from(set))
            })
            .collect();
        let der = RdnSequence::from(parts?).to_der()?;
        Self::from_der(&der).ok_or_else(|| refused("it cannot be encoded"))
    }
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(refused("it is empty"));
        }
        if text.starts_with('/') {
            return Err(refused("it is in the form of `openssl -subj`"));
        }
        let mut parts = Vec::new();
        for part in split(text, ',')? {
            let values = split(part, '+')?;
            let values: Result<Vec<_>> = values.into_iter().map(read_attribute).collect();
            parts.push(values?);
        }
        Self::from_parts(parts)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(formatter)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(formatter)
    }
}

/// A value before it has a string type.
enum Value {
    /// The text of a string.
    Text(String),
    /// The DER of anything, written as `#` and hex digits.
    Der(Vec<u8>),
}

/// The error of a text that is no subject.
fn refused(reason: impl fmt::Display) -> Error {
    Error::refused_with(format!("the subject cannot be used: {reason}"), FORM)
}

/// Splits at separators that no backslash escapes.
fn split(text: &str, separator: char) -> Result<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == separator {
            parts.push(&text[start..index]);
            start = index + separator.len_utf8();
        }
    }
    if escaped {
        return Err(refused("it ends with a backslash"));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// Reads `TYPE=value`.
fn read_attribute(text: &str) -> Result<AttributeTypeAndValue> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| refused(format!("`{}` has no `=`", text.trim())))?;
    attribute(name.trim(), &unescape(value)?)
}

/// Undoes the escapes; spaces around a value do not belong to it unless they are escaped.
fn unescape(text: &str) -> Result<Value> {
    let text = text.trim_start();
    if let Some(digits) = text.strip_prefix('#') {
        return from_hex(digits.trim_end()).map(Value::Der);
    }
    let mut bytes = Vec::new();
    let mut kept = 0;
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => {
                bytes.push(unescape_one(&mut rest)?);
                kept = bytes.len();
            }
            b'"' | b'<' | b'>' | b';' => {
                let special = char::from(byte);
                return Err(refused(format!(
                    "`{special}` has to be written `\\{special}`"
                )));
            }
            other => {
                bytes.push(other);
                if other != b' ' {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    String::from_utf8(bytes)
        .map(Value::Text)
        .map_err(|_| refused("its escapes do not make UTF-8"))
}

/// Reads what follows a backslash: a special character, or two hex digits.
fn unescape_one(rest: &mut std::str::Bytes<'_>) -> Result<u8> {
    let first = rest
        .next()
        .ok_or_else(|| refused("it ends with a backslash"))?;
    if b" \"#+,;<=>\\".contains(&first) {
        return Ok(first);
    }
    let second = rest.next().unwrap_or_default();
    let digits = [first, second];
    str::from_utf8(&digits)
        .ok()
        .and_then(|digits| from_hex(digits).ok())
        .and_then(|octets| octets.first().copied())
        .ok_or_else(|| {
            refused("a backslash is followed by neither a special character nor two hex digits")
        })
}

/// Reads pairs of hex digits.
fn from_hex(digits: &str) -> Result<Vec<u8>> {
    let octet = |pair: &[u8]| {
        let pair = str::from_utf8(pair).ok()?;
        let is_hex = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u8::from_str_radix(pair, 16).ok())?
    };
    let octets: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(octet).collect();
    octets
        .filter(|octets| !octets.is_empty())
        .ok_or_else(|| refused("a value does not consist of pairs of hex digits"))
}

/// Gives a value the string type that RFC 5280 demands of its attribute.
fn attribute(name: &str, value: &Value) -> Result<AttributeTypeAndValue> {
    let known = ATTRIBUTES
        .iter()
        .find(|(known, oid, ..)| known.eq_ignore_ascii_case(name) || *oid == name);
    let unknown = || {
        let known: Vec<&str> = ATTRIBUTES.iter().map(|(known, ..)| *known).collect();
        let known = known.join(", ");
        refused(format!(
            "`{name}` is neither an object identifier nor one of {known}"
        ))
    };
    let oid = known.map_or(name, |(_, oid, ..)| oid);
    let oid = ObjectIdentifier::new(oid).map_err(|_| unknown())?;
    let value = match value {
        Value::Der(der) => {
            Any::from_der(der).map_err(|_| refused("a value after `#` is not DER"))?
        }
        Value::Text(text) => {
            let (tag, maximum) = known
                .map_or((Tag::Utf8String, MAXIMUM_OTHER), |(.., tag, most)| {
                    (*tag, *most)
                });
            check_text(name, text, tag, maximum)?;
            Any::new(tag, text.as_bytes())?
        }
    };
    Ok(AttributeTypeAndValue { oid, value })
}

/// Refuses what an attribute may not hold.
fn check_text(name: &str, text: &str, tag: Tag, maximum: usize) -> Result<()> {
    let length = text.chars().count();
    let printable =
        |character: char| character.is_ascii_alphanumeric() || " '()+,-./:=?".contains(character);
    let reason = if text.is_empty() {
        "is empty".to_owned()
    } else if text.chars().any(char::is_control) {
        "holds control characters".to_owned()
    } else if length > maximum {
        format!("has {length} characters, and may have {maximum}")
    } else if maximum == 2 && length != 2 {
        "is not a country code of two letters".to_owned()
    } else if tag == Tag::PrintableString && !text.chars().all(printable) {
        "may only have letters, digits and a few marks".to_owned()
    } else if tag == Tag::Ia5String && !text.is_ascii() {
        "may only have ASCII characters".to_owned()
    } else {
        return Ok(());
    };
    Err(refused(format!("`{name}` {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> String {
        text.parse::<Subject>().unwrap().to_string()
    }

    #[test]
    fn what_rfc_4514_writes_comes_back_as_it_was() {
        for text in [
            "CN=alice,OU=Sales,OU=Tokyo,O=Example,C=JP",
            "UID=jsmith,DC=example,DC=net",
            r#"CN=James \"Jim\" Smith\, III,DC=example,DC=net"#,
            "CN=山田 太郎,O=例",
            r"CN=\ space\ ,O=\#1",
            "emailAddress=alice@example.com,CN=alice",
            "1.2.3.4=value",
        ] {
            assert_eq!(subject(text), text);
        }
    }

    #[test]
    fn spaces_around_separators_do_not_count_and_letter_case_of_types_neither() {
        assert_eq!(subject(" cn = alice , o=Example "), "CN=alice,O=Example");
    }

    #[test]
    fn several_values_stay_in_one_part() {
        let text = subject("CN=Smith+OU=Sales,O=Example");
        assert!(text.contains('+'), "{text}");
        assert_eq!(text.matches(',').count(), 1);
    }

    #[test]
    fn attributes_have_the_string_types_of_rfc_5280() {
        let subject: Subject = "CN=a,C=JP,DC=b,emailAddress=c".parse().unwrap();
        let der = subject.as_der();
        for (tag, value) in [(0x0c, b'a'), (0x13, b'J'), (0x16, b'b'), (0x16, b'c')] {
            let length = if value == b'J' { 2 } else { 1 };
            let element = [tag, length, value];
            assert!(
                der.windows(3).any(|window| window == element),
                "{element:?}"
            );
        }
    }

    #[test]
    fn escapes_may_be_hex_and_values_may_be_der() {
        assert_eq!(subject(r"CN=\e5\b1\b1"), "CN=山");
        assert_eq!(subject("CN=#0c0161"), "CN=a");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "it is empty"),
            ("alice", "has no `=`"),
            ("/C=JP/CN=alice", "openssl -subj"),
            ("XY=alice", "neither an object identifier"),
            ("C=Japan", "has 5 characters"),
            ("C=J", "two letters"),
            ("C=日本", "letters, digits"),
            ("CN=", "is empty"),
            ("CN=a\\", "backslash"),
            ("CN=a\\zz", "hex digits"),
            ("CN=a;b", "has to be written"),
            ("DC=例", "ASCII"),
            ("CN=#zz", "hex digits"),
            ("CN=#0c05", "not DER"),
            ("CN=a\u{7}", "control"),
            ("CN=a+CN=a", "twice"),
        ] {
            let error = text.parse::<Subject>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(error.hint().is_some());
        }
        let long = format!("CN={}", "a".repeat(65));
        assert!(long.parse::<Subject>().is_err());
    }
}
