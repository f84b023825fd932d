//! The two REST protocols: the operation is found by method and path, members stand in path,
//! query, headers and body.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::model::{Kind, Location, Member, Model, Operation, Protocol, Shape};
use super::validation::{Fault, Violation, has_body_members};
use super::xml::Element;
use super::{Request, json, scalar, xml_shape};

/// An operation whose URI fits a request, with what its labels stand for.
pub(super) struct Route {
    /// The operation's name.
    pub(super) name: &'static str,
    operation: &'static Operation,
    labels: BTreeMap<&'static str, String>,
}

/// The operation that a request's method, path and query name.
pub(super) fn route(model: &'static Model, request: &Request) -> Option<Route> {
    let fits = |(name, operation): (&'static String, &'static Operation)| {
        let (path, literals) = operation
            .uri
            .split_once('?')
            .unwrap_or((&operation.uri, ""));
        let named = literals.split('&').filter(|literal| !literal.is_empty());
        let is_named = named.clone().all(|literal| has_literal(request, literal));
        let labels = labels(path, &request.path)
            .filter(|_| is_named && operation.method == request.method)?;
        Some((
            named.count(),
            Route {
                name,
                operation,
                labels,
            },
        ))
    };
    let fitting = model.operations.iter().filter_map(fits);
    fitting
        .max_by_key(|(literals, _)| *literals)
        .map(|(_, route)| route)
}

fn has_literal(request: &Request, literal: &str) -> bool {
    let (name, value) = literal.split_once('=').unwrap_or((literal, ""));
    request
        .query
        .iter()
        .any(|(key, given)| key == name && (value.is_empty() || given == value))
}

/// What the labels of a URI stand for in a path, if it fits.
fn labels(uri: &'static str, path: &str) -> Option<BTreeMap<&'static str, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = path.trim_start_matches('/');
    for part in uri.split('/').filter(|part| !part.is_empty()) {
        let (segment, behind) = rest.split_once('/').unwrap_or((rest, ""));
        let label = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        match label {
            _ if rest.is_empty() => return None,
            Some(name) if name.ends_with('+') => {
                labels.insert(name.trim_end_matches('+'), decoded(rest));
                rest = "";
                continue;
            }
            Some(_) if segment.is_empty() => return None,
            Some(name) => _ = labels.insert(name, decoded(segment)),
            None if part == segment => {}
            None => return None,
        }
        rest = behind;
    }
    rest.is_empty().then_some(labels)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Reads a request as its operation's input structure.
pub(super) fn decode(
    model: &Model,
    (route, input): (&Route, &Shape),
    request: &Request,
    violations: &mut Vec<Violation>,
) -> Result<Value, String> {
    let mut result = match body(model, input, request, violations)? {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, member) in &input.members {
        let kind = model.shape_of(member).kind;
        let wire = member.wire_name(name);
        let value = match (member.location, kind) {
            (Location::Uri, _) => route
                .labels
                .get(wire)
                .map(|text| Value::from(text.as_str())),
            (Location::Query, Kind::List) => listed(request, wire),
            (Location::Query, Kind::Map) => Some(remaining(input, route.operation, request)),
            (Location::Query, _) => {
                parameter(request, wire).and_then(|text| read(kind, (name, text), violations))
            }
            (Location::Header, _) => {
                let text = request.headers.get(&wire.to_ascii_lowercase());
                text.and_then(|text| read(kind, (name, text), violations))
            }
            (Location::Headers, _) => prefixed(request, wire),
            (Location::Body | Location::StatusCode, _) => None,
        };
        if let Some(value) = value {
            result.insert(name.clone(), value);
        }
    }
    check_parameters(model, (route, input), request, violations);
    Ok(Value::Object(result))
}

fn read(kind: Kind, (name, text): (&str, &str), violations: &mut Vec<Violation>) -> Option<Value> {
    let value = scalar::read(kind, text);
    if value.is_none() {
        violations.push(Violation::ill_typed(name, text, kind));
    }
    value
}

fn parameter<'a>(request: &'a Request, wire: &str) -> Option<&'a str> {
    request
        .query
        .iter()
        .find(|(name, _)| name == wire)
        .map(|(_, text)| text.as_str())
}

fn listed(request: &Request, wire: &str) -> Option<Value> {
    let given = request.query.iter().filter(|(name, _)| name == wire);
    let values: Vec<Value> = given.map(|(_, text)| Value::from(text.as_str())).collect();
    (!values.is_empty()).then_some(Value::Array(values))
}

/// All query parameters that neither the URI nor another member takes.
fn remaining(input: &Shape, operation: &Operation, request: &Request) -> Value {
    let unclaimed = request
        .query
        .iter()
        .filter(|(name, _)| !is_claimed(input, operation, name));
    unclaimed
        .map(|(name, text)| (name.clone(), Value::from(text.as_str())))
        .collect()
}

fn is_claimed(input: &Shape, operation: &Operation, parameter: &str) -> bool {
    let literals = operation
        .uri
        .split_once('?')
        .map_or("", |(_, literals)| literals);
    let is_literal = literals
        .split('&')
        .any(|literal| literal.split('=').next() == Some(parameter));
    let is_member = |(name, member): (&String, &Member)| {
        member.location == Location::Query && member.wire_name(name) == parameter
    };
    is_literal || input.members.iter().any(is_member)
}

fn prefixed(request: &Request, prefix: &str) -> Option<Value> {
    let prefix = prefix.to_ascii_lowercase();
    let entries: Map<String, Value> = request
        .headers
        .iter()
        .filter_map(|(name, text)| {
            Some((
                name.strip_prefix(&prefix)?.to_owned(),
                Value::from(text.as_str()),
            ))
        })
        .collect();
    (!entries.is_empty()).then_some(Value::Object(entries))
}

/// Reports query parameters and `x-amz-` headers that the operation does not have.
fn check_parameters(
    model: &Model,
    (route, input): (&Route, &Shape),
    request: &Request,
    violations: &mut Vec<Violation>,
) {
    // What signing, the SDKs and chunked uploads add to every request.
    const COMMON: [&str; 9] = [
        "x-amz-api-version",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-security-token",
        "x-amz-te",
        "x-amz-trailer",
        "x-amz-user-agent",
    ];
    let takes_all = |member: &Member| {
        member.location == Location::Query && model.shape_of(member).kind == Kind::Map
    };
    if !input.members.values().any(takes_all) {
        for (name, _) in &request.query {
            let is_common = name == "x-id" || name.to_ascii_lowercase().starts_with("x-amz-");
            if !is_common && !is_claimed(input, route.operation, name) {
                violations.push(Violation::new(name, Fault::Unknown));
            }
        }
    }
    let takes = |header: &str| {
        input
            .members
            .iter()
            .any(|(name, member)| match member.location {
                Location::Header => member.wire_name(name).eq_ignore_ascii_case(header),
                Location::Headers => {
                    header.starts_with(&member.wire_name(name).to_ascii_lowercase())
                }
                _ => false,
            })
    };
    let extra = request
        .headers
        .keys()
        .filter(|name| name.starts_with("x-amz-"));
    // Checksums are verified on every operation, before it is looked at.
    let is_common = |name: &str| COMMON.contains(&name) || name.starts_with("x-amz-checksum-");
    for name in extra.filter(|name| !is_common(name) && !takes(name)) {
        violations.push(Violation::new(name, Fault::Unknown));
    }
}

/// The members that the body holds; the error says why it cannot be read.
fn body(
    model: &Model,
    input: &Shape,
    request: &Request,
    violations: &mut Vec<Violation>,
) -> Result<Value, String> {
    if model.bare_body(input).is_some() || request.body.is_empty() {
        return Ok(Value::Null);
    }
    let Some(payload) = &input.payload else {
        if !has_body_members(input) {
            return Ok(Value::Null);
        }
        return document(model, (input, ""), &request.body, violations);
    };
    let member = &input.members[payload];
    let shape = model.shape_of(member);
    let value = if shape.kind == Kind::Structure {
        document(model, (shape, payload), &request.body, violations)?
    } else {
        Value::from(std::str::from_utf8(&request.body).map_err(|error| error.to_string())?)
    };
    Ok(Value::Object(Map::from_iter([(payload.clone(), value)])))
}

fn document(
    model: &Model,
    (shape, path): (&Shape, &str),
    body: &[u8],
    violations: &mut Vec<Violation>,
) -> Result<Value, String> {
    if model.protocol == Protocol::RestJson {
        let document: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        return Ok(json::decode(model, shape, (&document, path), violations));
    }
    let root = Element::parse(body)?;
    Ok(xml_shape::decode(model, shape, (&root, path), violations))
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn paths_fit_their_uri_and_no_other() {
        let found = labels(
            "/restapis/{restapi_id}/stages/{stage_name}",
            "/restapis/abc/stages/dev",
        )
        .expect("fits");
        assert_eq!(found["restapi_id"], "abc");
        assert!(labels("/restapis/{restapi_id}", "/restapis").is_none());
        assert!(labels("/restapis/{restapi_id}", "/restapis/abc/stages").is_none());
        assert!(
            labels(
                "/2013-04-01/hostedzone/{Id}/rrset/",
                "/2013-04-01/hostedzone/Z1/rrset"
            )
            .is_some()
        );
    }

    #[test]
    fn a_greedy_label_takes_the_rest_and_an_escaped_arn_is_one_segment() {
        assert_eq!(
            labels("/{Bucket}/{Key+}", "/b/a/b%20c/").expect("fits")["Key"],
            "a/b c/"
        );
        assert!(labels("/{Bucket}/{Key+}", "/b/").is_none());
        let found = labels(
            "/tags/{resource_arn}",
            "/tags/arn%3Aaws%3A%3A%2Frestapis%2Fa",
        )
        .expect("fits");
        assert_eq!(found["resource_arn"], "arn:aws::/restapis/a");
    }
}
