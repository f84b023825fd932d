//! What a sandbox holds, in a form in which two of them can be compared.

use serde_json::{Map, Value};

/// When a thing has ended: AWS shows it until then, and the sandbox clears it away later.
const ENDS: [&str; 4] = ["forgotten_at", "gone_at", "due", "until"];

/// A dump without clock and counters, without what has ended, and without AWS's own buckets.
pub(crate) fn canonical(dump: &Value) -> Value {
    let now = dump["now"].as_i64().expect("a dump has a clock");
    let mut dump = current(dump, now).expect("an account does not end");
    let world = dump.as_object_mut().expect("a dump is an object");
    for name in ["now", "sequence", "instant"] {
        world.remove(name);
    }
    dump
}

/// The same without whatever has ended; `None` for what has ended itself.
fn current(value: &Value, now: i64) -> Option<Value> {
    match value {
        Value::Object(fields) if has_ended(fields, now) || is_aws_bucket(fields) => None,
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), current(value, now)?)));
            Some(Value::Object(fields.collect()))
        }
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| current(item, now));
            Some(Value::Array(items.collect()))
        }
        other => Some(other.clone()),
    }
}

fn has_ended(fields: &Map<String, Value>, now: i64) -> bool {
    let ended = |fields: &Map<String, Value>| {
        let ends = ENDS.iter().filter_map(|name| fields.get(*name)?.as_i64());
        ends.min().is_some_and(|end| end <= now)
    };
    ended(fields)
        || fields
            .get("deletion")
            .and_then(Value::as_object)
            .is_some_and(ended)
}

/// Where load balancers keep what trust stores hold: AWS's, not the account's.
fn is_aws_bucket(fields: &Map<String, Value>) -> bool {
    fields
        .get("owner")
        .is_some_and(|owner| owner == "elasticloadbalancing")
}

/// Where two documents differ, one path a line.
pub(crate) fn differences(one: &Value, other: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", (one, other), &mut found);
    found
}

fn compare(path: &str, (one, other): (&Value, &Value), found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => compare_maps(path, (one, other), found),
        (Value::Array(one), Value::Array(other)) => {
            for gone in one.iter().filter(|item| !other.contains(item)) {
                found.push(format!("{path}: only in the first: {gone}"));
            }
            for new in other.iter().filter(|item| !one.contains(item)) {
                found.push(format!("{path}: only in the second: {new}"));
            }
        }
        _ if one == other => {}
        _ => found.push(format!("{path}: {one} != {other}")),
    }
}

fn compare_maps(
    path: &str,
    (one, other): (&Map<String, Value>, &Map<String, Value>),
    found: &mut Vec<String>,
) {
    for (name, value) in one {
        let path = format!("{path}/{name}");
        match other.get(name) {
            Some(other) => compare(&path, (value, other), found),
            None => found.push(format!("{path}: only in the first: {value}")),
        }
    }
    for (name, value) in other.iter().filter(|(name, _)| !one.contains_key(*name)) {
        found.push(format!("{path}/{name}: only in the second: {value}"));
    }
}
