//! What does not fit, in words.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::fault::Fault;
use super::path::{KeyPath, Segment};
use crate::hint;

/// Keys that the design has and this version has not, as section and key; the top has no section.
const NOT_YET: &[(&str, &str)] = &[("load_balancer", "web_acl")];

/// The error of this deserializer: what serde found, and where.
#[derive(Debug)]
pub(super) struct Mismatch {
    /// Where it is, as soon as that is known.
    pub(super) path: Option<KeyPath>,
    /// What serde found.
    pub(super) what: Box<What>,
}

/// What serde found.
#[derive(Debug)]
pub(super) enum What {
    /// A section lacks a key.
    Missing(&'static str),
    /// A section has a key that nobody knows.
    Unknown {
        key: String,
        known: &'static [&'static str],
    },
    /// A value does not fit; the message goes on after its path.
    Unfit {
        message: String,
        allowed: Option<String>,
        hint: Option<String>,
    },
}

impl Mismatch {
    /// Makes the mismatch of a value; the message goes on after its path.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::unfit(message.into(), None, None)
    }

    /// Makes the mismatch of a value with what to write instead.
    pub(super) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::unfit(message.into(), None, Some(hint.into()))
    }

    /// Makes the mismatch of a value.
    pub(super) fn unfit(message: String, allowed: Option<String>, hint: Option<String>) -> Self {
        What::Unfit {
            message,
            allowed,
            hint,
        }
        .into()
    }

    /// The innermost place wins; an unknown key is a place of its own.
    pub(super) fn or_at(mut self, path: &KeyPath) -> Self {
        if self.path.is_none() {
            self.path = Some(match &*self.what {
                What::Unknown { key, .. } => path.key(key),
                What::Missing(_) | What::Unfit { .. } => path.clone(),
            });
        }
        self
    }

    /// Puts it into words.
    pub(super) fn into_fault(self) -> Fault {
        let path = self.path.unwrap_or_default();
        let (message, allowed, hint) = match *self.what {
            What::Unknown { key, known } => return unknown_key(&path, &key, known),
            What::Missing(key) if path.is_root() => {
                (format!("required key `{key}` is missing"), None, None)
            }
            What::Missing(key) => (
                format!("`{path}` lacks its required key `{key}`"),
                None,
                None,
            ),
            What::Unfit {
                message,
                allowed,
                hint,
            } if path.is_root() => (format!("the stack file {message}"), allowed, hint),
            What::Unfit {
                message,
                allowed,
                hint,
            } => (format!("`{path}` {message}"), allowed, hint),
        };
        Fault {
            path,
            message,
            allowed,
            hint,
        }
    }
}

impl From<What> for Mismatch {
    fn from(what: What) -> Self {
        Self {
            path: None,
            what: Box::new(what),
        }
    }
}

fn unknown_key(path: &KeyPath, key: &str, known: &'static [&'static str]) -> Fault {
    let section = match path.segments() {
        [Segment::Key(section), _, ..] => section.as_str(),
        _ => "",
    };
    if NOT_YET.contains(&(section, key)) {
        return Fault::new(path, format!("`{path}` is not supported yet"));
    }
    let place = path.parent().filter(|parent| !parent.is_root());
    let place = place.map_or_else(String::new, |parent| format!(" in `{parent}`"));
    let mut fault = Fault::new(path, format!("unknown key `{key}`{place}")).allowed(listed(known));
    fault.hint = hint::did_you_mean(key, known.iter().copied());
    fault
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.what {
            What::Missing(key) => write!(f, "lacks `{key}`"),
            What::Unknown { key, .. } => write!(f, "has the unknown key `{key}`"),
            What::Unfit { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = in_words(&expected.to_string());
        match unexpected {
            Unexpected::Unit | Unexpected::Option => {
                Self::hinted("is empty", format!("write {wanted}, or remove the key"))
            }
            Unexpected::Str(text) if wanted.starts_with("a sequence") => {
                Self::hinted("is text, not a list", format!("write `[{text}]`"))
            }
            Unexpected::Str(text) if text.parse::<i64>().is_ok() => {
                Self::hinted(format!("is text, not {wanted}"), "remove the quotes")
            }
            Unexpected::Str("yes" | "on" | "Yes" | "On") if wanted == "`true` or `false`" => {
                Self::hinted("is text, not `true` or `false`", "write `true`")
            }
            Unexpected::Str("no" | "off" | "No" | "Off") if wanted == "`true` or `false`" => {
                Self::hinted("is text, not `true` or `false`", "write `false`")
            }
            Unexpected::Unsigned(_)
            | Unexpected::Signed(_)
            | Unexpected::Float(_)
            | Unexpected::Bool(_)
                if wanted == "text" =>
            {
                Self::hinted(
                    format!("is {}, not text", found_in_words(&unexpected)),
                    "put the value in quotes",
                )
            }
            _ => Self::new(format!("is {}, not {wanted}", found_in_words(&unexpected))),
        }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = in_words(&expected.to_string());
        Self::new(format!("is {}, not {wanted}", found_in_words(&unexpected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = hint::did_you_mean(variant, expected.iter().copied());
        Self::unfit(
            format!("has the unknown value `{variant}`"),
            Some(listed(expected)),
            hint,
        )
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        What::Unknown {
            key: field.to_owned(),
            known: expected,
        }
        .into()
    }

    fn missing_field(field: &'static str) -> Self {
        What::Missing(field).into()
    }
}

/// Puts serde's names of types into words.
fn in_words(expected: &str) -> String {
    let words = match expected {
        "a string" => "text",
        "a boolean" => "`true` or `false`",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number, at least 0",
        "f32" | "f64" => "a number",
        "a map" => "a mapping",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    };
    words.to_owned()
}

fn found_in_words(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Unit => "empty".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

/// Lists words as `` `a`, `b` ``.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
