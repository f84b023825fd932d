//! Resource policies: making them, comparing what they mean, and telling whether one lets more in.
//!
//! AWS: API Gateway Developer Guide, "API Gateway resource policy examples"; IAM User Guide,
//! "IAM JSON policy elements reference".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::resource::Late;

/// A resource policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Policy {
    /// Allows the requests that come from one VPC.
    SourceVpc {
        /// Its id.
        vpc: String,
    },
    /// Allows the requests that come from one VPC through one interface endpoint.
    SourceVpce {
        /// The VPC's id.
        vpc: String,
        /// The endpoint's id.
        endpoint: Late<String>,
    },
    /// This document.
    Document(Value),
}

/// Stands for whatever endpoint is ours: which one it is neither opens nor closes anything.
const OUR_ENDPOINT: &str = "our endpoint";

impl Policy {
    /// The document, if everything in it is known.
    pub(crate) fn document(
        &self,
        resolve: impl Fn(&Late<String>) -> Option<String>,
    ) -> Option<Value> {
        Some(match self {
            Self::SourceVpc { vpc } => only_from(&[("aws:SourceVpc", vpc)]),
            Self::SourceVpce { vpc, endpoint } => only_from(&[
                ("aws:SourceVpc", vpc),
                ("aws:SourceVpce", &resolve(endpoint)?),
            ]),
            Self::Document(document) => document.clone(),
        })
    }

    /// What the document means, if everything in it is known: two policies that mean the same are equal.
    pub(crate) fn canonical(
        &self,
        resolve: impl Fn(&Late<String>) -> Option<String>,
    ) -> Option<Value> {
        Some(canonical_policy(&with_resources(
            self.document(resolve)?,
            shorthand,
        )))
    }

    /// What a live policy of the API with the execution ARN `own` means.
    pub(super) fn of_live(escaped: &str, own: &str) -> Self {
        // Only the API's own ARN: a statement that was moved to another API's must not look like ours.
        let shorten = |resource: &str| match resource.strip_prefix(own) {
            Some(rest) => format!("execute-api:{rest}"),
            None => resource.to_owned(),
        };
        Self::Document(canonical_policy(&with_resources(
            parse_escaped(escaped),
            shorten,
        )))
    }

    /// The endpoint that the document names, unless AWS or the file wrote the document.
    pub(in crate::resource) fn endpoint(&self) -> Option<&Late<String>> {
        match self {
            Self::SourceVpce { endpoint, .. } => Some(endpoint),
            Self::SourceVpc { .. } | Self::Document(_) => None,
        }
    }

    /// Whether this policy in the place of `live` (in canonical form) may let a request in that `live` refuses.
    pub(super) fn widens(&self, live: &Value) -> bool {
        let ours = self
            .canonical(|_| Some(OUR_ENDPOINT.to_owned()))
            .unwrap_or_default();
        match self {
            Self::SourceVpce { .. } => policy_widens(&ours, &from_our_endpoint(live)),
            Self::SourceVpc { .. } | Self::Document(_) => policy_widens(&ours, live),
        }
    }
}

/// The form that AWS recommends: allow everybody, then deny who comes from elsewhere.
fn only_from(sources: &[(&str, &str)]) -> Value {
    let everybody = |effect: &str| {
        json!({
            "Effect": effect,
            "Principal": "*",
            "Action": "execute-api:Invoke",
            "Resource": "execute-api:/*",
        })
    };
    let mut statements = vec![everybody("Allow")];
    for (key, value) in sources {
        let mut deny = everybody("Deny");
        deny["Condition"] = json!({ "StringNotEquals": { *key: value } });
        statements.push(deny);
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Reads what `GetRestApi` gives for a policy: JSON whose quotes are escaped once more.
fn parse_escaped(text: &str) -> Value {
    let unescaped = || serde_json::from_str::<String>(&format!("\"{text}\"")).ok();
    serde_json::from_str(text)
        .ok()
        .or_else(|| serde_json::from_str(&unescaped()?).ok())
        // What cannot be read differs from everything, so that it is written anew.
        .unwrap_or_else(|| Value::from(text))
}

/// One form for all spellings of a policy: sorted keys, statements and lists, lists even of one.
///
/// IAM spells an account number out as the ARN of its root user, and the version only matters to
/// policies that use variables.
pub(crate) fn canonical_policy(document: &Value) -> Value {
    let Value::Object(document) = document else {
        return document.clone();
    };
    let variables = Value::from(document.clone()).to_string().contains("${");
    let members = document
        .iter()
        .filter(|(key, _)| variables || *key != "Version");
    sorted(members.map(|(key, value)| {
        let value = if key == "Statement" {
            set(as_list(value).iter().map(statement))
        } else {
            value.clone()
        };
        (key.clone(), value)
    }))
}

fn statement(statement: &Value) -> Value {
    let Value::Object(statement) = statement else {
        return statement.clone();
    };
    sorted(statement.iter().map(|(key, value)| {
        let value = match key.as_str() {
            "Action" | "NotAction" | "Resource" | "NotResource" => {
                set(as_list(value).iter().cloned())
            }
            "Principal" | "NotPrincipal" => principal(value),
            "Condition" => condition(value),
            _ => value.clone(),
        };
        (key.clone(), value)
    }))
}

fn principal(value: &Value) -> Value {
    let Value::Object(kinds) = value else {
        return value.clone();
    };
    let kinds = kinds.iter().map(|(kind, who)| {
        (
            kind.clone(),
            set(as_list(who).iter().map(|one| in_words(one, account))),
        )
    });
    let kinds = sorted(kinds);
    if kinds == json!({ "AWS": ["*"] }) {
        Value::from("*")
    } else {
        kinds
    }
}

fn condition(value: &Value) -> Value {
    let Value::Object(operators) = value else {
        return value.clone();
    };
    sorted(operators.iter().map(|(operator, keys)| {
        let Value::Object(keys) = keys else {
            return (operator.clone(), keys.clone());
        };
        // `true` and `"true"` are the same to IAM, and so are numbers.
        let plain = |one: &Value| {
            one.as_str()
                .map_or_else(|| Value::from(one.to_string()), Value::from)
        };
        let keys = keys
            .iter()
            .map(|(key, values)| (key.clone(), set(as_list(values).iter().map(plain))));
        (operator.clone(), sorted(keys))
    }))
}

fn as_list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.clone(),
        one => vec![one.clone()],
    }
}

/// A list in an order of its own, without repetitions.
fn set(values: impl Iterator<Item = Value>) -> Value {
    let by_text: BTreeMap<String, Value> = values.map(|value| (value.to_string(), value)).collect();
    by_text.into_values().collect()
}

/// An object with sorted keys.
fn sorted(members: impl Iterator<Item = (String, Value)>) -> Value {
    let members: BTreeMap<String, Value> = members.collect();
    Value::Object(Map::from_iter(members))
}

fn in_words(value: &Value, rewrite: impl Fn(&str) -> String) -> Value {
    value
        .as_str()
        .map_or_else(|| value.clone(), |text| Value::from(rewrite(text)))
}

/// `arn:aws:iam::111122223333:root` as the account's number.
fn account(principal: &str) -> String {
    match principal.split(':').collect::<Vec<_>>()[..] {
        ["arn", _, "iam", "", account, "root"] => account.to_owned(),
        _ => principal.to_owned(),
    }
}

/// `arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/dev/GET/` as `execute-api:/dev/GET/`, which AWS spells out.
fn shorthand(resource: &str) -> String {
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "execute-api", region, account, path]
            if !region.contains('*') && !account.contains('*') =>
        {
            match path.split_once('/') {
                Some((api, rest)) if !api.contains('*') => format!("execute-api:/{rest}"),
                _ => resource.to_owned(),
            }
        }
        _ => resource.to_owned(),
    }
}

/// The same document with its resources rewritten.
fn with_resources(mut document: Value, rewrite: impl Fn(&str) -> String) -> Value {
    let statements = match document.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.as_mut_slice(),
        Some(one) => std::slice::from_mut(one),
        None => &mut [],
    };
    for statement in statements.iter_mut().filter_map(Value::as_object_mut) {
        for key in ["Resource", "NotResource"] {
            let Some(resources) = statement.get_mut(key) else {
                continue;
            };
            *resources = as_list(resources)
                .iter()
                .map(|one| in_words(one, &rewrite))
                .collect();
        }
    }
    document
}

/// The same canonical policy with the endpoints of its conditions made alike.
fn from_our_endpoint(policy: &Value) -> Value {
    match policy {
        Value::Object(members) => sorted(members.iter().map(|(key, value)| {
            let value = if key == "aws:SourceVpce" {
                json!([OUR_ENDPOINT])
            } else {
                from_our_endpoint(value)
            };
            (key.clone(), value)
        })),
        Value::Array(values) => values.iter().map(from_our_endpoint).collect(),
        other => other.clone(),
    }
}

/// Whether one canonical policy in the place of another may let a request in that the other refuses.
///
/// It does not when everything that was denied is denied still and nothing is allowed that was not:
/// a rule that errs only by calling a harmless change a widening one.
pub(crate) fn policy_widens(want: &Value, live: &Value) -> bool {
    let (allows, denies) = (statements(want, "Allow"), statements(want, "Deny"));
    let (live_allows, live_denies) = (statements(live, "Allow"), statements(live, "Deny"));
    let everything_was_allowed = live_allows
        .iter()
        .any(|statement| allows_everything(statement));
    !denies.is_superset(&live_denies) || !(everything_was_allowed || allows.is_subset(&live_allows))
}

/// The statements of one effect, as canonical text without their names.
fn statements(policy: &Value, effect: &str) -> BTreeSet<String> {
    let all = policy["Statement"].as_array().into_iter().flatten();
    all.filter(|statement| statement["Effect"] == effect)
        .filter_map(Value::as_object)
        .map(|statement| {
            let members = statement.iter().filter(|(key, _)| *key != "Sid");
            sorted(members.map(|(key, value)| (key.clone(), value.clone()))).to_string()
        })
        .collect()
}

fn allows_everything(statement: &str) -> bool {
    let Ok(Value::Object(statement)) = serde_json::from_str(statement) else {
        return false;
    };
    let has = |key: &str, any: &[&str]| {
        statement.get(key).is_some_and(|list| {
            as_list(list)
                .iter()
                .any(|one| any.iter().any(|text| one == text))
        })
    };
    !statement.contains_key("Condition")
        && has("Principal", &["*"])
        && has("Action", &["*", "execute-api:*", "execute-api:Invoke"])
        && has("Resource", &["*", "execute-api:/*"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_vpc() -> Policy {
        Policy::SourceVpc {
            vpc: "vpc-1".to_owned(),
        }
    }

    fn source_vpce(endpoint: &str) -> Policy {
        Policy::SourceVpce {
            vpc: "vpc-1".to_owned(),
            endpoint: Late::Known(endpoint.to_owned()),
        }
    }

    fn canonical(policy: &Policy) -> Value {
        let known = |late: &Late<String>| match late {
            Late::Known(id) => Some(id.clone()),
            Late::From(..) => None,
        };
        policy.canonical(known).expect("everything is known")
    }

    #[test]
    fn what_aws_gives_back_is_what_was_sent() {
        let live = r#"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":{\"AWS\":\"*\"},\"Action\":[\"execute-api:Invoke\"],\"Resource\":\"arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5\/*\",\"Condition\":{\"StringNotEquals\":{\"aws:SourceVpc\":[\"vpc-1\"]}}},{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"execute-api:Invoke\",\"Resource\":\"arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5\/*\"}]}"#;
        let own = "arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5";
        assert_eq!(
            canonical(&Policy::of_live(live, own)),
            canonical(&source_vpc())
        );
        let other = "arn:aws:execute-api:eu-west-1:111122223333:f6g7h8i9j0";
        assert_ne!(
            Policy::of_live(live, other),
            Policy::Document(canonical(&source_vpc()))
        );
    }

    #[test]
    fn an_account_is_its_root_user() {
        let policy =
            |who: &str| canonical_policy(&json!({ "Statement": { "Principal": { "AWS": who } } }));
        assert_eq!(
            policy("111122223333"),
            policy("arn:aws:iam::111122223333:root")
        );
        assert_ne!(
            policy("111122223333"),
            policy("arn:aws:iam::111122223333:user/a")
        );
    }

    #[test]
    fn a_version_matters_only_to_variables() {
        let policy =
            |version: &str, who: &str| canonical_policy(&json!({ "Version": version, "Id": who }));
        assert_eq!(policy("2008-10-17", "a"), policy("2012-10-17", "a"));
        assert_ne!(
            policy("2008-10-17", "${aws:username}"),
            policy("2012-10-17", "${aws:username}")
        );
    }

    #[test]
    fn a_deny_less_widens_and_a_deny_more_does_not() {
        assert!(source_vpc().widens(&canonical(&source_vpce("vpce-1"))));
        assert!(!source_vpce("vpce-1").widens(&canonical(&source_vpc())));
    }

    #[test]
    fn another_endpoint_of_ours_does_not_widen_and_another_vpc_does() {
        assert!(!source_vpce("vpce-2").widens(&canonical(&source_vpce("vpce-1"))));
        let other = Policy::SourceVpc {
            vpc: "vpc-2".to_owned(),
        };
        assert!(other.widens(&canonical(&source_vpc())));
    }

    #[test]
    fn nothing_is_wider_than_everything() {
        let open = canonical_policy(&json!({
            "Statement": [{ "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*" }],
        }));
        let one = json!({ "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "execute-api:Invoke" });
        let narrow = canonical_policy(&json!({ "Statement": one }));
        assert!(!policy_widens(&narrow, &open));
        assert!(policy_widens(&open, &narrow));
    }

    #[test]
    fn the_endpoint_is_unknown_until_it_is_made() {
        assert_eq!(source_vpce("vpce-1").document(|_| None), None);
    }
}
