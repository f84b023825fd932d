//! The answers of the two REST protocols: members stand in status, headers and body.

use serde_json::Value;

use super::model::{Kind, Location, Member, Model, Operation, Protocol, Shape};
use super::validation::has_body_members;
use super::xml::Element;
use super::{Response, json, scalar, xml_shape};

/// Writes an operation's output as an answer.
pub(super) fn encode(
    model: &Model,
    operation: &Operation,
    output: &Value,
) -> Result<Response, String> {
    let mut response = Response {
        status: operation.code,
        ..Response::default()
    };
    let Some((name, shape)) = operation.output.as_deref().zip(model.output(operation)) else {
        return Ok(response);
    };
    let given = output
        .as_object()
        .ok_or_else(|| format!("the output is {output}"))?;
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        let member = shape
            .members
            .get(name)
            .ok_or_else(|| format!("no member is named {name}"))?;
        headers(
            model,
            member,
            (member.wire_name(name), value),
            &mut response,
        )?;
    }
    match &shape.payload {
        Some(payload) => {
            let value = given.get(payload).unwrap_or(&Value::Null);
            bare(
                model,
                (payload, &shape.members[payload]),
                value,
                &mut response,
            )?;
        }
        None if has_body_members(shape) => {
            let root = operation.root.as_deref().unwrap_or(name);
            whole(model, (root, shape), output, &mut response)?;
        }
        None => {}
    }
    Ok(response)
}

fn headers(
    model: &Model,
    member: &Member,
    (wire, value): (&str, &Value),
    response: &mut Response,
) -> Result<(), String> {
    let shape = model.shape_of(member);
    let text = |value| {
        let format = shape.format.as_deref().unwrap_or("rfc822");
        scalar::write(shape.kind, value, format).ok_or_else(|| format!("{wire} is {value}"))
    };
    match member.location {
        Location::Header => response.headers.push((wire.to_owned(), text(value)?)),
        Location::Headers => {
            for (key, value) in value.as_object().into_iter().flatten() {
                let text = value.as_str().unwrap_or_default();
                response
                    .headers
                    .push((format!("{wire}{key}"), text.to_owned()));
            }
        }
        Location::StatusCode => {
            let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
            response.status = code.ok_or_else(|| format!("the status is {value}"))?;
        }
        Location::Body | Location::Uri | Location::Query => {}
    }
    Ok(())
}

/// Writes the one member that is the body.
fn bare(
    model: &Model,
    (name, member): (&str, &Member),
    value: &Value,
    response: &mut Response,
) -> Result<(), String> {
    use base64::Engine;
    let shape = model.shape_of(member);
    match (shape.kind, value) {
        (_, Value::Null) => Ok(()),
        (Kind::Structure, _) if model.protocol == Protocol::RestJson => {
            whole(model, (name, shape), value, response)
        }
        (Kind::Structure, _) => {
            let element = xml_shape::element(model, member, (member.wire_name(name), value))?;
            document_of(model, element, response);
            Ok(())
        }
        (Kind::Blob, Value::String(text)) => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(text);
            response.body = decoded.map_err(|error| error.to_string())?;
            Ok(())
        }
        (_, Value::String(text)) => {
            response.body = text.clone().into_bytes();
            Ok(())
        }
        _ => Err(format!("{name} is {value}")),
    }
}

/// Writes a structure's body members.
fn whole(
    model: &Model,
    (root, shape): (&str, &Shape),
    value: &Value,
    response: &mut Response,
) -> Result<(), String> {
    if model.protocol == Protocol::RestJson {
        response
            .headers
            .push(("Content-Type".to_owned(), "application/json".to_owned()));
        response.body = json::encode(model, shape, value)?.to_string().into_bytes();
        return Ok(());
    }
    let children = xml_shape::encode(model, shape, value)?;
    // The one answer of S3 whose root is the text itself.
    let element = if root == "LocationConstraint" {
        Element::with_text(
            root,
            value.get(root).and_then(Value::as_str).unwrap_or_default(),
        )
    } else {
        Element::with_children(root, children)
    };
    document_of(model, element, response);
    Ok(())
}

fn document_of(model: &Model, element: Element, response: &mut Response) {
    response
        .headers
        .push(("Content-Type".to_owned(), "application/xml".to_owned()));
    response.body = element.with_attribute("xmlns", &model.namespace).document();
}
