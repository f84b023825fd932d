//! What a resource policy says to a request.

use serde_json::Value;

/// What a request to an API shows a policy.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Request<'a> {
    /// `arn:aws:execute-api:<region>:<account>:<api>/<stage>/<verb>/<path>`.
    pub(in crate::sandbox) resource: &'a str,
    /// The condition keys that the request has, lower-cased, with their values.
    pub(in crate::sandbox) context: &'a [(&'a str, &'a str)],
}

/// What a policy says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// A statement denies it.
    ExplicitlyDenied,
    /// No statement speaks of it.
    ImplicitlyDenied,
}

/// Evaluates a policy for a request that nobody has signed.
pub(in crate::sandbox) fn evaluate(document: &Value, request: &Request<'_>) -> Decision {
    let statements = document["Statement"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let mut decision = Decision::ImplicitlyDenied;
    for statement in statements
        .iter()
        .filter(|statement| applies(statement, request))
    {
        if statement["Effect"] == "Deny" {
            return Decision::ExplicitlyDenied;
        }
        decision = Decision::Allowed;
    }
    decision
}

/// Whether a statement speaks of the request.
fn applies(statement: &Value, request: &Request<'_>) -> bool {
    let element = |name: &str, negated: &str, matches: &dyn Fn(&str) -> bool| {
        if statement[name].is_null() {
            !texts(&statement[negated]).any(matches)
        } else {
            texts(&statement[name]).any(matches)
        }
    };
    let anonymous =
        |principal: &Value| principal == "*" || texts(&principal["AWS"]).any(|name| name == "*");
    let principal = if statement["Principal"].is_null() {
        !anonymous(&statement["NotPrincipal"])
    } else {
        anonymous(&statement["Principal"])
    };
    let invoke = |pattern: &str| like(&pattern.to_ascii_lowercase(), "execute-api:invoke");
    principal
        && element("Action", "NotAction", &invoke)
        && element("Resource", "NotResource", &|pattern| {
            like(pattern, request.resource)
        })
        && conditions(&statement["Condition"], request)
}

/// Whether all conditions hold.
fn conditions(block: &Value, request: &Request<'_>) -> bool {
    block
        .as_object()
        .into_iter()
        .flatten()
        .all(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            Operator::parse(operator).is_some_and(|operator| {
                let mut keys = keys;
                keys.all(|(key, values)| operator.holds(request.value(key), values))
            })
        })
}

impl Request<'_> {
    /// The request's value of a condition key; keys are not case-sensitive.
    fn value(&self, key: &str) -> Option<&str> {
        let known = self
            .context
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(key));
        known.map(|(_, value)| *value)
    }
}

/// How a condition compares.
#[derive(Clone, Copy)]
enum Comparison {
    Equals,
    EqualsIgnoreCase,
    Like,
    Address,
    Null,
}

/// A condition operator.
#[derive(Clone, Copy)]
pub(super) struct Operator {
    comparison: Comparison,
    /// `Not…`: holds where no value matches, and where the request lacks the key.
    negated: bool,
    /// `…IfExists`: holds where the request lacks the key.
    if_exists: bool,
}

impl Operator {
    /// Reads an operator's name; none for those that are not modelled.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (comparison, negated) = match name {
            "StringEquals" | "ArnEquals" | "Bool" => (Comparison::Equals, false),
            "StringNotEquals" | "ArnNotEquals" => (Comparison::Equals, true),
            "StringEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, true),
            "StringLike" | "ArnLike" => (Comparison::Like, false),
            "StringNotLike" | "ArnNotLike" => (Comparison::Like, true),
            "IpAddress" => (Comparison::Address, false),
            "NotIpAddress" => (Comparison::Address, true),
            "Null" => (Comparison::Null, false),
            _ => return None,
        };
        Some(Self {
            comparison,
            negated,
            if_exists,
        })
    }

    /// Whether the condition holds for the value that the request has.
    fn holds(self, value: Option<&str>, wanted: &Value) -> bool {
        if matches!(self.comparison, Comparison::Null) {
            return texts(wanted).any(|wanted| (wanted == "true") == value.is_none());
        }
        let Some(value) = value else {
            return self.negated || self.if_exists;
        };
        let matched = texts(wanted).any(|wanted| match self.comparison {
            Comparison::Equals => wanted == value,
            Comparison::EqualsIgnoreCase => wanted.eq_ignore_ascii_case(value),
            Comparison::Like => like(wanted, value),
            Comparison::Address => contains_address(wanted, value),
            Comparison::Null => false,
        });
        matched != self.negated
    }
}

/// The texts of a text or a list of texts.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

/// Whether the text matches a pattern with `*` and `?`.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut position) = (0, 0);
    // Where to go on when what follows the last `*` does not match: it takes one character more.
    let mut retry = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, position));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((after, from)) = retry else {
                    return false;
                };
                retry = Some((after, from + 1));
                (at, position) = (after, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Whether an IPv4 range, or a single address, contains the address.
fn contains_address(range: &str, address: &str) -> bool {
    let (network, length) = range.split_once('/').unwrap_or((range, "32"));
    let bits = |text: &str| text.parse::<std::net::Ipv4Addr>().map(u32::from).ok();
    match (
        bits(network),
        length.parse::<u32>().ok().filter(|length| *length <= 32),
        bits(address),
    ) {
        (Some(network), Some(length), Some(address)) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            network & mask == address & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::source_vpc;
    use super::*;

    fn decide(document: &Value, context: &[(&str, &str)]) -> Decision {
        let resource = "arn:aws:execute-api:ap-northeast-1:123456789012:abc1234567/dev/GET/pets";
        evaluate(document, &Request { resource, context })
    }

    #[test]
    fn only_the_named_network_is_let_in() {
        let policy = source_vpc();
        assert_eq!(
            decide(&policy, &[("aws:sourcevpc", "vpc-1")]),
            Decision::Allowed
        );
        assert_eq!(
            decide(&policy, &[("aws:sourcevpc", "vpc-2")]),
            Decision::ExplicitlyDenied
        );
        assert_eq!(decide(&policy, &[]), Decision::ExplicitlyDenied);
    }

    #[test]
    fn a_policy_that_only_denies_denies_everybody() {
        let mut policy = source_vpc();
        policy["Statement"].as_array_mut().expect("list").remove(0);
        assert_eq!(
            decide(&policy, &[("aws:sourcevpc", "vpc-1")]),
            Decision::ImplicitlyDenied
        );
    }

    #[test]
    fn named_identities_do_not_let_anonymous_callers_in() {
        let mut policy = source_vpc();
        policy["Statement"][0]["Principal"] = json!({ "AWS": "123456789012" });
        assert_eq!(
            decide(&policy, &[("aws:sourcevpc", "vpc-1")]),
            Decision::ImplicitlyDenied
        );
    }

    #[test]
    fn patterns_and_address_ranges_match_as_iam_does() {
        assert!(
            like("a*c?", "abbcd") && like("*", "") && !like("a?c", "ac") && !like("a*b", "abc")
        );
        assert!(
            contains_address("10.0.0.0/8", "10.1.2.3") && contains_address("10.1.2.3", "10.1.2.3")
        );
        assert!(
            contains_address("0.0.0.0/0", "8.8.8.8") && !contains_address("10.0.0.0/8", "11.0.0.1")
        );
    }
}
