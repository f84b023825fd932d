//! The body of the two JSON protocols.

use serde_json::{Map, Value};

use super::model::{Kind, Location, Member, Model, Shape};
use super::query::join;
use super::scalar;
use super::validation::{Fault, Violation};

/// Reads a document as the members of a structure that stand in the body.
pub(super) fn decode(
    model: &Model,
    shape: &Shape,
    (document, path): (&Value, &str),
    violations: &mut Vec<Violation>,
) -> Value {
    let Some(given) = document.as_object() else {
        violations.push(Violation::ill_typed(
            path,
            &document.to_string(),
            Kind::Structure,
        ));
        return Value::Null;
    };
    let mut result = Map::new();
    for (wire, value) in given {
        let in_body = |(name, member): &(&String, &Member)| {
            member.location == Location::Body && member.wire_name(name) == wire
        };
        match shape.members.iter().find(in_body) {
            None => violations.push(Violation::new(&join(path, wire), Fault::Unknown)),
            Some(_) if value.is_null() => {}
            Some((name, member)) => {
                let value = self::value(model, member, (value, &join(path, name)), violations);
                result.insert(name.clone(), value);
            }
        }
    }
    Value::Object(result)
}

fn value(
    model: &Model,
    member: &Member,
    place: (&Value, &str),
    violations: &mut Vec<Violation>,
) -> Value {
    let shape = model.shape_of(member);
    let (given, path) = place;
    match (shape.kind, given) {
        (Kind::Structure, _) => decode(model, shape, place, violations),
        (Kind::List, Value::Array(elements)) => elements
            .iter()
            .enumerate()
            .map(|(index, element)| {
                value(
                    model,
                    &shape.member,
                    (element, &join(path, &(index + 1).to_string())),
                    violations,
                )
            })
            .collect(),
        (Kind::Map, Value::Object(entries)) => entries
            .iter()
            .map(|(key, entry)| {
                (
                    key.clone(),
                    value(model, &shape.value, (entry, &join(path, key)), violations),
                )
            })
            .collect(),
        (Kind::String | Kind::Character | Kind::Blob, Value::String(_))
        | (Kind::Float | Kind::Double | Kind::Timestamp, Value::Number(_))
        | (Kind::Boolean, Value::Bool(_)) => given.clone(),
        (Kind::Integer | Kind::Long, Value::Number(number)) if number.is_i64() => given.clone(),
        (kind, _) => {
            violations.push(Violation::ill_typed(path, &given.to_string(), kind));
            Value::Null
        }
    }
}

/// Writes the members of a structure that stand in the body.
pub(super) fn encode(model: &Model, shape: &Shape, output: &Value) -> Result<Value, String> {
    let given = output
        .as_object()
        .ok_or_else(|| format!("a structure is {output}"))?;
    let mut result = Map::new();
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        let member = shape
            .members
            .get(name)
            .ok_or_else(|| format!("no member is named {name}"))?;
        if member.location == Location::Body {
            result.insert(
                member.wire_name(name).to_owned(),
                encoded(model, member, value)?,
            );
        }
    }
    Ok(Value::Object(result))
}

fn encoded(model: &Model, member: &Member, value: &Value) -> Result<Value, String> {
    let shape = model.shape_of(member);
    match (shape.kind, value) {
        (Kind::Structure, _) => encode(model, shape, value),
        (Kind::List, Value::Array(elements)) => elements
            .iter()
            .map(|element| encoded(model, &shape.member, element))
            .collect(),
        (Kind::Map, Value::Object(entries)) => entries
            .iter()
            .map(|(key, entry)| Ok((key.clone(), encoded(model, &shape.value, entry)?)))
            .collect(),
        (Kind::Timestamp, Value::Number(_)) if shape.format.is_none() => Ok(value.clone()),
        (kind, _) => {
            match scalar::write(kind, value, shape.format.as_deref().unwrap_or_default()) {
                Some(text) if kind == Kind::Timestamp => Ok(Value::from(text)),
                Some(_) => Ok(value.clone()),
                None => Err(format!("{value} is no {kind:?}")),
            }
        }
    }
}
