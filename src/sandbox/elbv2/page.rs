//! Paging and the checks that all of the service's `Describe` operations share.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::invalid;
use crate::sandbox::world::{Call, Refusal};

/// The page of `found` that the call asks for, under the output member `member`.
///
/// `found` is sorted by its keys. The marker is the last key that was shown, so that a page stays
/// right when something is created or deleted between two calls.
pub(super) fn answer(
    call: &Call<'_>,
    member: &str,
    found: Vec<(String, Value)>,
) -> Result<Value, Refusal> {
    let after = call.text("Marker").map(shown_last).transpose()?;
    let size = call
        .integer("PageSize")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(400);
    let mut rest = found
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let page: Vec<(String, Value)> = rest.by_ref().take(size).collect();
    let mut output = Map::new();
    if let (Some(_), Some((last, _))) = (rest.next(), page.last()) {
        output.insert("NextMarker".to_owned(), STANDARD.encode(last).into());
    }
    let values = page.into_iter().map(|(_, value)| value).collect();
    output.insert(member.to_owned(), Value::Array(values));
    Ok(Value::Object(output))
}

/// The key that a marker stands for.
fn shown_last(marker: &str) -> Result<String, Refusal> {
    STANDARD
        .decode(marker)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| invalid("Invalid marker"))
}

/// The ARNs of a `Describe` call, of which AWS takes twenty at most.
pub(super) fn arns<'a>(call: &Call<'a>, member: &str) -> Result<Vec<&'a str>, Refusal> {
    let arns = call.texts(member);
    if arns.len() > 20 {
        return Err(invalid(format!(
            "Up to 20 ARNs can be specified in '{member}', but {} were specified",
            arns.len()
        )));
    }
    Ok(arns)
}

/// Refuses a call that selects in more than one way.
pub(super) fn one_selection(call: &Call<'_>, members: &[&str]) -> Result<(), Refusal> {
    let given: Vec<&str> = members
        .iter()
        .copied()
        .filter(|member| call.input.get(*member).is_some())
        .collect();
    if given.len() > 1 {
        return Err(invalid(format!(
            "{} cannot be specified at the same time",
            given.join(" and ")
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_lead_on_by_marker_to_the_last() {
        let found = || {
            ["a", "b", "c"]
                .map(|key| (key.to_owned(), json!(key)))
                .to_vec()
        };
        let first = json!({"PageSize": 2});
        let page = answer(&Call::of("DescribeX", &first), "Xs", found()).expect("a page");
        assert_eq!(page["Xs"], json!(["a", "b"]));
        let second = json!({"PageSize": 2, "Marker": page["NextMarker"]});
        let page = answer(&Call::of("DescribeX", &second), "Xs", found()).expect("a page");
        assert_eq!(page, json!({"Xs": ["c"]}));
    }

    #[test]
    fn more_than_twenty_arns_are_refused() {
        let input = json!({"Arns": vec!["arn"; 21]});
        let refusal = arns(&Call::of("DescribeX", &input), "Arns").expect_err("too many");
        assert_eq!(refusal.code, "ValidationError");
    }
}
