//! Attributes: the keys and values that load balancers, listeners and target groups have beside
//! their fields.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::invalid;
use crate::sandbox::world::{Call, Refusal};

/// The values that were set, by key; all others have their default.
pub(in crate::sandbox) type Attributes = BTreeMap<String, String>;

/// One key that a kind of resource knows.
pub(super) struct Attribute {
    /// The key, `idle_timeout.timeout_seconds`.
    pub(super) key: &'static str,
    /// What holds while nothing was set.
    pub(super) default: &'static str,
    /// What can be set.
    pub(super) allowed: Allowed,
}

/// The values that an attribute can have; on the wire all are strings.
pub(super) enum Allowed {
    /// `true` or `false`.
    Flag,
    /// A number from the first to the second.
    Range(u64, u64),
    /// A number in the range, or this word.
    RangeOr(u64, u64, &'static str),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A text of at most this many characters.
    Text(usize),
    /// The name of an HTTP header.
    HeaderName,
}

/// A key with its default and its values: the tables read better without field names.
pub(super) const fn attribute(
    key: &'static str,
    default: &'static str,
    allowed: Allowed,
) -> Attribute {
    Attribute {
        key,
        default,
        allowed,
    }
}

/// What a kind of resource knows: one list or several, since some come and go together.
pub(super) type Tables = [&'static [Attribute]];

/// The `Attributes` of the call, each of which `tables` know and allow.
///
/// `noun` is what AWS calls the resource in its refusals.
pub(super) fn given(call: &Call<'_>, noun: &str, tables: &Tables) -> Result<Attributes, Refusal> {
    let mut attributes = Attributes::new();
    for (index, given) in call.list("Attributes").iter().enumerate() {
        call.models(&format!("Attributes[{index}]"), given, &["Key", "Value"])?;
        let (Some(key), Some(value)) = (given["Key"].as_str(), given["Value"].as_str()) else {
            return Err(invalid("An attribute must have a key and a value"));
        };
        let known = tables
            .iter()
            .copied()
            .flatten()
            .find(|attribute| attribute.key == key);
        known
            .ok_or_else(|| invalid(format!("{noun} attribute key '{key}' is not recognized")))?
            .check(value)?;
        if attributes
            .insert(key.to_owned(), value.to_owned())
            .is_some()
        {
            return Err(invalid(format!("Attribute key '{key}' is specified twice")));
        }
    }
    Ok(attributes)
}

/// The list of all attributes, the defaults filled in.
pub(super) fn describe(tables: &Tables, set: &Attributes) -> Value {
    let known = tables.iter().copied().flatten();
    let attributes: Vec<Value> = known
        .map(|attribute| json!({"Key": attribute.key, "Value": value(tables, set, attribute.key)}))
        .collect();
    json!({"Attributes": attributes})
}

/// The value in force: what was set, else the default.
pub(super) fn value<'a>(tables: &Tables, set: &'a Attributes, key: &str) -> &'a str {
    let mut known = tables.iter().copied().flatten();
    let default = known.find(|attribute| attribute.key == key);
    set.get(key)
        .map_or_else(|| default.map_or("", |known| known.default), String::as_str)
}

impl Attribute {
    fn check(&self, value: &str) -> Result<(), Refusal> {
        let within = |low: u64, high: u64| {
            value
                .parse::<u64>()
                .is_ok_and(|number| (low..=high).contains(&number))
        };
        let expected = match &self.allowed {
            Allowed::Flag if ["true", "false"].contains(&value) => return Ok(()),
            Allowed::Flag => "must be 'true' or 'false'".to_owned(),
            Allowed::Range(low, high) if within(*low, *high) => return Ok(()),
            Allowed::Range(low, high) => format!("must be between '{low}-{high}' inclusive"),
            Allowed::RangeOr(low, high, word) if value == *word || within(*low, *high) => {
                return Ok(());
            }
            Allowed::RangeOr(low, high, word) => {
                format!("must be '{word}' or between '{low}-{high}' inclusive")
            }
            Allowed::OneOf(words) if words.contains(&value) => return Ok(()),
            Allowed::OneOf(words) => format!("must be one of {words:?}"),
            Allowed::Text(most) if value.len() <= *most => return Ok(()),
            Allowed::Text(most) => format!("cannot be longer than '{most}' characters"),
            Allowed::HeaderName if is_header_name(value) => return Ok(()),
            Allowed::HeaderName => "is not a valid header name".to_owned(),
        };
        Err(invalid(format!(
            "'{}' value '{value}' {expected}",
            self.key
        )))
    }
}

fn is_header_name(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=128).contains(&value.len()) && value.bytes().all(allowed)
}
