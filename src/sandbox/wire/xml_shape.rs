//! Structures, lists and maps as XML elements: the same in all XML protocols.

use serde_json::{Map, Value};

use super::model::{Kind, Location, Member, Model, Shape};
use super::query::join;
use super::scalar;
use super::validation::{Fault, Violation};
use super::xml::Element;

/// Reads an element as the members of a structure that stand in the body.
pub(super) fn decode(
    model: &Model,
    shape: &Shape,
    (element, path): (&Element, &str),
    violations: &mut Vec<Violation>,
) -> Value {
    let mut result = Map::new();
    let mut known = Vec::new();
    for (name, member) in shape
        .members
        .iter()
        .filter(|(_, member)| member.location == Location::Body)
    {
        let wire = member.wire_name(name);
        known.push(wire);
        let given: Vec<&Element> = element
            .children
            .iter()
            .filter(|child| child.name == wire)
            .collect();
        if let Some(value) = member_value(model, member, (&given, &join(path, name)), violations) {
            result.insert(name.clone(), value);
        } else if let Some((_, text)) = element
            .attributes
            .iter()
            .find(|(key, _)| member.attribute && key == wire)
        {
            result.insert(name.clone(), Value::from(text.as_str()));
        }
    }
    for child in element
        .children
        .iter()
        .filter(|child| !known.contains(&child.name.as_str()))
    {
        violations.push(Violation::new(&join(path, &child.name), Fault::Unknown));
    }
    Value::Object(result)
}

fn member_value(
    model: &Model,
    member: &Member,
    (given, path): (&[&Element], &str),
    violations: &mut Vec<Violation>,
) -> Option<Value> {
    let first = given.first()?;
    let shape = model.shape_of(member);
    if shape.kind != Kind::List {
        return value(model, member, (first, path), violations);
    }
    let elements: Vec<&Element> = if model.is_flattened(member) {
        given.to_vec()
    } else {
        let name = shape.member.wire_name("member");
        for other in first.children.iter().filter(|child| child.name != name) {
            violations.push(Violation::new(&join(path, &other.name), Fault::Unknown));
        }
        first
            .children
            .iter()
            .filter(|child| child.name == name)
            .collect()
    };
    let values = elements
        .into_iter()
        .enumerate()
        .filter_map(|(index, element)| {
            value(
                model,
                &shape.member,
                (element, &join(path, &(index + 1).to_string())),
                violations,
            )
        });
    Some(values.collect())
}

fn value(
    model: &Model,
    member: &Member,
    (element, path): (&Element, &str),
    violations: &mut Vec<Violation>,
) -> Option<Value> {
    let shape = model.shape_of(member);
    if shape.kind == Kind::Structure {
        return Some(decode(model, shape, (element, path), violations));
    }
    let value = scalar::read(shape.kind, &element.text);
    if value.is_none() {
        violations.push(Violation::ill_typed(path, &element.text, shape.kind));
    }
    value
}

/// Writes the members of a structure that stand in the body.
pub(super) fn encode(model: &Model, shape: &Shape, output: &Value) -> Result<Vec<Element>, String> {
    let given = output
        .as_object()
        .ok_or_else(|| format!("a structure is {output}"))?;
    let mut elements = Vec::new();
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        let member = shape
            .members
            .get(name)
            .ok_or_else(|| format!("no member is named {name}"))?;
        if member.location == Location::Body && !member.attribute {
            elements.extend(members(model, member, (member.wire_name(name), value))?);
        }
    }
    Ok(elements)
}

/// One member's element, or a flattened list's elements.
fn members(
    model: &Model,
    member: &Member,
    (name, value): (&str, &Value),
) -> Result<Vec<Element>, String> {
    let shape = model.shape_of(member);
    if shape.kind != Kind::List {
        return Ok(vec![element(model, member, (name, value))?]);
    }
    let values = value
        .as_array()
        .ok_or_else(|| format!("{name} is {value}, no list"))?;
    let flattened = model.is_flattened(member);
    let inner = if flattened {
        name
    } else {
        shape.member.wire_name("member")
    };
    let elements: Result<Vec<_>, _> = values
        .iter()
        .map(|value| element(model, &shape.member, (inner, value)))
        .collect();
    if flattened {
        elements
    } else {
        Ok(vec![Element::with_children(name, elements?)])
    }
}

/// The element of one value that is no list.
pub(super) fn element(
    model: &Model,
    member: &Member,
    (name, value): (&str, &Value),
) -> Result<Element, String> {
    const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
    let shape = model.shape_of(member);
    match shape.kind {
        Kind::Structure => {
            let mut element = Element::with_children(name, encode(model, shape, value)?);
            for (name, member) in shape.members.iter().filter(|(_, member)| member.attribute) {
                let text = value.get(name).and_then(Value::as_str).unwrap_or_default();
                element = element
                    .with_attribute("xmlns:xsi", INSTANCE)
                    .with_attribute(member.wire_name(name), text);
            }
            Ok(element)
        }
        Kind::Map => {
            let entries = value
                .as_object()
                .ok_or_else(|| format!("{name} is {value}, no map"))?;
            let entries = entries.iter().map(|(key, value)| {
                let key = Element::with_text(shape.key.wire_name("key"), key);
                let value = element(model, &shape.value, (shape.value.wire_name("value"), value))?;
                Ok(Element::with_children("entry", vec![key, value]))
            });
            Ok(Element::with_children(
                name,
                entries.collect::<Result<_, String>>()?,
            ))
        }
        kind => {
            let format = shape.format.as_deref().unwrap_or("iso8601");
            let text = scalar::write(kind, value, format)
                .ok_or_else(|| format!("{name}: {value} is no {kind:?}"))?;
            Ok(Element::with_text(name, text))
        }
    }
}
