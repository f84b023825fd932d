//! Resource policies: how they are checked, kept and answered.

pub(in crate::sandbox) mod evaluation;

use serde_json::{Map, Value};

use self::evaluation::Operator;
use super::{bad_request, partition};
use crate::sandbox::world::Refusal;

/// The longest policy, in characters.
const LENGTH: usize = 8_192;

/// The members that a statement may have.
const STATEMENT: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// The API whose policy it is.
pub(super) struct Owner<'a> {
    /// The account's twelve digits.
    pub(super) account: &'a str,
    /// Where the API is.
    pub(super) region: &'a str,
    /// The API's id.
    pub(super) api: &'a str,
}

impl Owner<'_> {
    /// What `execute-api:/` stands for.
    fn arn(&self) -> String {
        format!(
            "arn:{}:execute-api:{}:{}:{}/",
            partition(self.region),
            self.region,
            self.account,
            self.api
        )
    }
}

/// Checks a policy and brings it into the form it is kept in: `execute-api:/` expanded to the full
/// ARN, lists of one entry as that entry.
///
/// An empty text stands for no policy.
pub(super) fn accept(text: &str, owner: &Owner<'_>) -> Result<Option<Value>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.chars().count() > LENGTH {
        let message =
            format!("Resource policy exceeds the maximum allowed size of {LENGTH} characters");
        return Err(bad_request(message));
    }
    let document: Option<Value> = serde_json::from_str(text).ok();
    if let Some(operator) = document.as_ref().and_then(unmodelled_operator) {
        return Err(Refusal::not_modelled("Condition", operator));
    }
    document
        .and_then(|document| normalised(document, owner))
        .map(Some)
        .ok_or_else(|| {
            bad_request(
                "Invalid policy document. Please check the policy syntax and ensure that \
                 Principals are valid.",
            )
        })
}

/// The policy as `GetRestApi` answers it: a JSON text whose quotes are escaped once more.
pub(super) fn escaped(document: &Value) -> String {
    document
        .to_string()
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
}

/// A condition operator that IAM has and the sandbox does not evaluate.
fn unmodelled_operator(document: &Value) -> Option<&str> {
    const FAMILIES: &[&str] = &["Binary", "Date", "ForAllValues:", "ForAnyValue:", "Numeric"];
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        statement => std::slice::from_ref(statement),
    };
    statements
        .iter()
        .filter_map(|statement| statement["Condition"].as_object())
        .flat_map(|operators| operators.keys())
        .find(|operator| FAMILIES.iter().any(|family| operator.starts_with(family)))
        .map(String::as_str)
}

/// The document in the form it is kept in; none if it is no valid policy.
fn normalised(document: Value, owner: &Owner<'_>) -> Option<Value> {
    let Value::Object(mut document) = document else {
        return None;
    };
    let known = |key: &String| matches!(key.as_str(), "Version" | "Id" | "Statement");
    let version = document
        .get("Version")
        .and_then(Value::as_str)
        .unwrap_or("2008-10-17");
    if !document.keys().all(known) || !matches!(version, "2012-10-17" | "2008-10-17") {
        return None;
    }
    let statements = match document.get_mut("Statement")?.take() {
        Value::Array(statements) if !statements.is_empty() => statements,
        Value::Object(statement) => vec![Value::Object(statement)],
        _ => return None,
    };
    let statements: Option<Vec<Value>> = statements
        .into_iter()
        .map(|statement| normalised_statement(statement, owner))
        .collect();
    document.insert("Statement".to_owned(), Value::Array(statements?));
    Some(Value::Object(document))
}

/// One statement in the form it is kept in.
fn normalised_statement(statement: Value, owner: &Owner<'_>) -> Option<Value> {
    let Value::Object(mut statement) = statement else {
        return None;
    };
    let has_one =
        |this: &str, other: &str| statement.contains_key(this) != statement.contains_key(other);
    let valid = statement
        .keys()
        .all(|key| STATEMENT.contains(&key.as_str()))
        && matches!(
            statement.get("Effect").and_then(Value::as_str),
            Some("Allow" | "Deny")
        )
        && has_one("Principal", "NotPrincipal")
        && has_one("Action", "NotAction")
        && has_one("Resource", "NotResource");
    if !valid {
        return None;
    }
    for (key, value) in &mut statement {
        *value = match key.as_str() {
            "Principal" | "NotPrincipal" => normalised_principal(value.take())?,
            "Action" | "NotAction" => normalised_texts(value.take(), action)?,
            "Resource" | "NotResource" => {
                normalised_texts(value.take(), |text| resource(text, owner))?
            }
            "Condition" => normalised_condition(value.take())?,
            _ => value.take(),
        };
    }
    Some(Value::Object(statement))
}

/// A text or a list of texts, each mapped by `each`; a list of one becomes that one.
fn normalised_texts(value: Value, each: impl Fn(&str) -> Option<String>) -> Option<Value> {
    let texts = match value {
        Value::String(text) => vec![each(&text)?],
        Value::Array(texts) if !texts.is_empty() => texts
            .iter()
            .map(|text| each(text.as_str()?))
            .collect::<Option<Vec<_>>>()?,
        _ => return None,
    };
    Some(match <[String; 1]>::try_from(texts) {
        Ok([text]) => Value::String(text),
        Err(texts) => texts.into(),
    })
}

/// An action of API Gateway's invocations.
fn action(text: &str) -> Option<String> {
    let known = text == "*" || text.to_ascii_lowercase().starts_with("execute-api:");
    known.then(|| text.to_owned())
}

/// A resource, with the short form expanded.
fn resource(text: &str, owner: &Owner<'_>) -> Option<String> {
    if let Some(rest) = text.strip_prefix("execute-api:/") {
        return Some(owner.arn() + rest);
    }
    let known =
        text == "*" || text.starts_with(&format!("arn:{}:execute-api:", partition(owner.region)));
    known.then(|| text.to_owned())
}

/// A principal: everybody, or lists of accounts, identities or services.
fn normalised_principal(value: Value) -> Option<Value> {
    let kinds = match value {
        Value::String(text) => return (text == "*").then_some(Value::String(text)),
        Value::Object(kinds) if !kinds.is_empty() => kinds,
        _ => return None,
    };
    let mut normalised = Map::new();
    for (kind, names) in kinds {
        let check: fn(&str) -> bool = match kind.as_str() {
            "AWS" => is_identity,
            "Service" => |name| name.ends_with(".amazonaws.com"),
            "Federated" => |name| !name.is_empty(),
            _ => return None,
        };
        let names = normalised_texts(names, |name| check(name).then(|| name.to_owned()))?;
        normalised.insert(kind, names);
    }
    Some(Value::Object(normalised))
}

/// Whether a name is an account, or the ARN of an identity, or everybody.
fn is_identity(name: &str) -> bool {
    let is_account = name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit());
    let is_arn = name.starts_with("arn:") && (name.contains(":iam::") || name.contains(":sts::"));
    name == "*" || is_account || is_arn
}

/// A condition block: operators over keys over values.
fn normalised_condition(value: Value) -> Option<Value> {
    let Value::Object(mut operators) = value else {
        return None;
    };
    for (operator, keys) in &mut operators {
        Operator::parse(operator)?;
        for (key, values) in keys.as_object_mut()? {
            if !key.contains(':') {
                return None;
            }
            *values = normalised_texts(values.take(), |text| Some(text.to_owned()))?;
        }
    }
    Some(Value::Object(operators))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    const OWNER: Owner<'_> = Owner {
        account: "123456789012",
        region: "ap-northeast-1",
        api: "abc1234567",
    };

    /// The form that AWS recommends: allow everybody, then deny every other VPC.
    pub(super) fn source_vpc() -> Value {
        let text = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": "*", "Action": ["execute-api:Invoke"], "Resource": "execute-api:/*" },
            { "Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": ["execute-api:/*"],
              "Condition": { "StringNotEquals": { "aws:SourceVpc": "vpc-1" } } },
        ] });
        accept(&text.to_string(), &OWNER)
            .expect("valid")
            .expect("not empty")
    }

    #[test]
    fn the_short_resource_is_expanded_and_lists_of_one_collapse() {
        let kept = source_vpc();
        let arn = "arn:aws:execute-api:ap-northeast-1:123456789012:abc1234567/*";
        assert_eq!(kept["Statement"][0]["Resource"], arn);
        assert_eq!(kept["Statement"][1]["Resource"], arn);
        assert_eq!(kept["Statement"][0]["Action"], "execute-api:Invoke");
    }

    #[test]
    fn a_policy_is_answered_with_escaped_quotes() {
        assert_eq!(
            escaped(&json!({ "Version": "2012-10-17" })),
            r#"{\"Version\":\"2012-10-17\"}"#
        );
    }

    #[test]
    fn a_policy_that_is_none_is_refused() {
        let statement = json!({ "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*" });
        let with = |key: &str, value: Value| {
            let mut statement = statement.clone();
            statement[key] = value;
            json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
        };
        assert!(accept(&with("Sid", json!("ok")), &OWNER).is_ok());
        for text in [
            "{".to_owned(),
            json!({ "Version": "2012-10-17", "Statement": [] }).to_string(),
            json!({ "Version": "2020-01-01", "Statement": statement }).to_string(),
            with("Effect", json!("Perhaps")),
            with("Principal", json!({ "AWS": "somebody" })),
            with("Action", json!("s3:GetObject")),
            with("Resource", json!("arn:aws:s3:::bucket")),
            with("NotResource", json!("*")),
            with(
                "Condition",
                json!({ "StringResembles": { "aws:SourceVpc": "vpc-1" } }),
            ),
        ] {
            let refusal = accept(&text, &OWNER).expect_err(&text);
            assert!(
                refusal.message.starts_with("Invalid policy document."),
                "{text}"
            );
        }
    }
}
