//! Domain names as Route 53 writes, compares and orders them.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// A domain name in Route 53's form: lower case, dot at the end, unusual characters as `\052`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::sandbox) struct Name(String);

impl Name {
    /// Reads a name in any of the forms that Route 53 takes; the error is its explanation.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let plain = unescape(text.strip_suffix('.').unwrap_or(text));
        if plain.len() > 255 {
            return Err(fatal("DomainNameTooLong", "Domain name is too long", text));
        }
        for label in plain.split(|byte| *byte == b'.') {
            if label.is_empty() {
                return Err(fatal("DomainLabelEmpty", "Domain label is empty", text));
            }
            if label.len() > 63 {
                return Err(fatal(
                    "DomainLabelTooLong",
                    "Domain label is too long",
                    text,
                ));
            }
        }
        Ok(Self(escape(&plain)))
    }

    /// The name as Route 53 answers it.
    pub(in crate::sandbox) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is `zone` or lies below it.
    pub(super) fn is_within(&self, zone: &Self) -> bool {
        self.0
            .strip_suffix(zone.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// What names are ordered by: the labels from the last to the first, each with its dot.
    pub(super) fn order(&self) -> Vec<u8> {
        let plain = unescape(self.0.trim_end_matches('.'));
        let mut key = Vec::with_capacity(plain.len() + 1);
        for label in plain.rsplit(|byte| *byte == b'.') {
            key.extend_from_slice(label);
            key.push(b'.');
        }
        key
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Route 53's words for a name it cannot read.
fn fatal(code: &str, explanation: &str, text: &str) -> String {
    format!("FATAL problem: {code} ({explanation}) encountered with '{text}'")
}

/// Replaces three-digit octal escapes by the bytes they stand for, and lower-cases.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..3).and_then(octal).filter(|_| *first == b'\\');
        plain.push(escaped.unwrap_or(*first).to_ascii_lowercase());
        rest = if escaped.is_some() {
            &after[3..]
        } else {
            after
        };
    }
    plain
}

/// The byte that three octal digits stand for.
fn octal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(text, 8).ok()
}

/// Writes everything but letters, digits, `-`, `_` and `.` as an octal escape, and ends with a dot.
fn escape(plain: &[u8]) -> String {
    let mut text = String::with_capacity(plain.len() + 1);
    for byte in plain {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(char::from(*byte)),
            _ => write!(text, "\\{byte:03o}").expect("writing to a String cannot fail"),
        }
    }
    text.push('.');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn names_are_lower_case_with_a_dot_and_octal_escapes() {
        assert_eq!(name("*.Example.COM").as_str(), "\\052.example.com.");
        assert_eq!(name("\\052.example.com."), name("*.example.com"));
        assert_eq!(
            name("_acme.a-b.example.com").as_str(),
            "_acme.a-b.example.com."
        );
    }

    #[test]
    fn names_are_ordered_by_their_labels_from_the_last() {
        let mut names = ["b.example.com", "example.com", "a.org", "www.b.example.com"].map(name);
        names.sort_by_key(Name::order);
        let ordered: Vec<_> = names.iter().map(Name::as_str).collect();
        assert_eq!(
            ordered,
            [
                "example.com.",
                "b.example.com.",
                "www.b.example.com.",
                "a.org."
            ]
        );
    }

    #[test]
    fn a_name_lies_within_a_zone_only_at_a_label_boundary() {
        assert!(name("a.example.com").is_within(&name("example.com")));
        assert!(name("example.com").is_within(&name("example.com")));
        assert!(!name("anexample.com").is_within(&name("example.com")));
    }

    #[test]
    fn empty_and_long_labels_are_refused() {
        assert!(Name::parse("a..example.com").is_err());
        assert!(Name::parse(&format!("{}.com", "a".repeat(64))).is_err());
    }
}
