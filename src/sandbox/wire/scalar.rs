//! Values without parts: how they are read from text and written as text.

use serde_json::{Number, Value};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;

use super::model::Kind;

const ISO_8601: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const HTTP_DATE: &[FormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Reads a value from the text of a form, header, path or element; `None` where it is none.
pub(super) fn read(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::String | Kind::Character | Kind::Blob => Some(Value::from(text)),
        Kind::Integer => text.parse::<i32>().ok().map(Value::from),
        Kind::Long => text.parse::<i64>().ok().map(Value::from),
        Kind::Float | Kind::Double => text.parse::<f64>().ok().map(Value::from),
        Kind::Boolean => text
            .to_ascii_lowercase()
            .parse::<bool>()
            .ok()
            .map(Value::from),
        Kind::Timestamp => timestamp(text),
        Kind::Structure | Kind::List | Kind::Map => None,
    }
}

/// Reads any of AWS's timestamp forms as seconds since the epoch.
fn timestamp(text: &str) -> Option<Value> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Number::from_f64(seconds).map(Value::from);
    }
    let instant =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, &Rfc2822));
    instant
        .ok()
        .map(|instant| Value::from(instant.unix_timestamp()))
}

/// Writes a value as text; `None` where the value is not of the kind.
///
/// `format` is the one the model sets for a timestamp, or the place's default.
pub(super) fn write(kind: Kind, value: &Value, format: &str) -> Option<String> {
    match kind {
        Kind::String | Kind::Character | Kind::Blob => value.as_str().map(str::to_owned),
        Kind::Integer | Kind::Long => value.as_i64().map(|number| number.to_string()),
        Kind::Float | Kind::Double => value.as_f64().map(|number| number.to_string()),
        Kind::Boolean => value.as_bool().map(|truth| truth.to_string()),
        Kind::Timestamp => value.as_f64().and_then(|seconds| instant(seconds, format)),
        Kind::Structure | Kind::List | Kind::Map => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time that overflows milliseconds is no time"
)]
fn instant(seconds: f64, format: &str) -> Option<String> {
    let milliseconds = (seconds * 1000.0).round() as i64;
    let instant =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()?;
    let format = if format == "rfc822" {
        HTTP_DATE
    } else {
        ISO_8601
    };
    instant.format(format).ok()
}

/// The time as an HTTP date.
pub(in crate::sandbox) fn http_date(milliseconds: i64) -> String {
    let seconds = Value::from(milliseconds.div_euclid(1000));
    write(Kind::Timestamp, &seconds, "rfc822").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::sandbox::wire::model::Kind;
    use serde_json::json;

    #[test]
    fn timestamps_take_all_forms_and_are_written_as_the_place_wants() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.000Z",
            "Fri, 02 Jan 2026 03:04:05 GMT",
        ] {
            assert_eq!(
                read(Kind::Timestamp, text),
                Some(json!(1_767_323_045)),
                "{text}"
            );
        }
        let written = |format| write(Kind::Timestamp, &json!(1_767_323_045.25), format);
        assert_eq!(
            written("iso8601").as_deref(),
            Some("2026-01-02T03:04:05.250Z")
        );
        assert_eq!(
            written("rfc822").as_deref(),
            Some("Fri, 02 Jan 2026 03:04:05 GMT")
        );
    }

    #[test]
    fn a_text_that_is_no_number_is_refused() {
        assert_eq!(read(Kind::Integer, "4x"), None);
        assert_eq!(read(Kind::Integer, "3000000000"), None);
        assert_eq!(read(Kind::Boolean, "True"), Some(json!(true)));
    }
}
