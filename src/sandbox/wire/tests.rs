//! Every modelled operation of every service is sent as its clients would send it.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::model::{Kind, Location, Member, Model, Operation, Protocol, Shape};
use super::query::{Dialect, join};
use super::service::{SERVICES, Service};
use super::xml::Element;
use super::{Request, decode, encode_refusal, name};
use crate::sandbox::world::{NOT_MODELLED, Refusal};

const BOGUS: &str = "Bogus";

/// A value that a type allows.
fn sample(model: &Model, member: &Member) -> Value {
    let shape = model.shape_of(member);
    match shape.kind {
        Kind::Structure if shape.required.is_empty() => any_member(model, shape),
        Kind::Structure => required(model, shape),
        Kind::List => json!([sample(model, &shape.member)]),
        Kind::Map => json!({ "a": sample(model, &shape.value) }),
        Kind::Boolean => json!(true),
        Kind::Timestamp => json!(1_767_323_045),
        Kind::Integer | Kind::Long | Kind::Float | Kind::Double => {
            json!(shape.min.map_or(1, whole))
        }
        Kind::Blob => json!("YQ=="),
        Kind::String | Kind::Character => json!(text(&member.shape, shape)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "bounds of numbers are small"
)]
fn whole(bound: f64) -> i64 {
    bound as i64
}

fn text(name: &str, shape: &Shape) -> String {
    if let Some(value) = shape.values.first() {
        return value.clone();
    }
    match (name, shape.pattern.as_deref()) {
        (_, None) => "a".repeat(usize::try_from(shape.min.map_or(1, whole).max(1)).unwrap_or(1)),
        ("Arn", _) => "arn:aws:acm:eu-west-1:123456789012:certificate/a".to_owned(),
        ("DomainNameString", _) => "www.example.com".to_owned(),
        ("IPAddress", _) => "192.0.2.1".to_owned(),
        ("StatusCode" | "FixedResponseActionStatusCode", _) => "200".to_owned(),
        _ => "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            [..usize::try_from(shape.min.map_or(1, whole).max(1)).unwrap_or(1)]
            .to_owned(),
    }
}

/// An input that has what is required, and nothing else.
fn required(model: &Model, shape: &Shape) -> Value {
    let members = shape
        .required
        .iter()
        .map(|name| (name.clone(), sample(model, &shape.members[name])));
    Value::Object(members.collect())
}

/// A structure with one member: a form has no way to write one with none.
fn any_member(model: &Model, shape: &Shape) -> Value {
    let is_text = |(_, member): &(&String, &Member)| model.shape_of(member).kind == Kind::String;
    let member = shape.members.iter().find(is_text);
    Value::Object(
        member
            .map(|(name, member)| (name.clone(), sample(model, member)))
            .into_iter()
            .collect(),
    )
}

/// A request as a client writes it.
fn request(service: &Service, operation: &str, input: &Value) -> Request {
    let model = service.model();
    let facts = &model.operations[operation];
    let empty = Shape::default();
    let shape = model.input(facts).unwrap_or(&empty);
    match model.protocol {
        Protocol::Query => form(model, (operation, Dialect::Plain), shape, input),
        Protocol::Ec2 => form(model, (operation, Dialect::Ec2), shape, input),
        Protocol::Json => {
            let target = format!("{}.{operation}", model.target);
            let headers = BTreeMap::from([("x-amz-target".to_owned(), target)]);
            let body = input.to_string().into_bytes();
            Request {
                method: "POST".to_owned(),
                path: "/".to_owned(),
                headers,
                body,
                ..Request::default()
            }
        }
        Protocol::RestJson | Protocol::RestXml => rest(model, facts, shape, input),
    }
}

fn form(
    model: &Model,
    (operation, dialect): (&str, Dialect),
    shape: &Shape,
    input: &Value,
) -> Request {
    let mut pairs = vec![
        ("Action".to_owned(), operation.to_owned()),
        ("Version".to_owned(), model.version.clone()),
    ];
    flatten(model, dialect, (shape, input, ""), &mut pairs);
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let parts: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    let body = parts.join("&").into_bytes();
    Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        body,
        ..Request::default()
    }
}

fn flatten(
    model: &Model,
    dialect: Dialect,
    (shape, input, path): (&Shape, &Value, &str),
    pairs: &mut Vec<(String, String)>,
) {
    for (name, value) in input.as_object().into_iter().flatten() {
        let Some(member) = shape.members.get(name) else {
            pairs.push((join(path, name), "x".to_owned()));
            continue;
        };
        let capital = |wire: &str| format!("{}{}", wire[..1].to_uppercase(), &wire[1..]);
        let wire = match dialect {
            Dialect::Plain => member.wire_name(name).to_owned(),
            Dialect::Ec2 => member
                .query
                .clone()
                .unwrap_or_else(|| capital(member.wire_name(name))),
        };
        flatten_value(model, dialect, (member, value, &join(path, &wire)), pairs);
    }
}

fn flatten_value(
    model: &Model,
    dialect: Dialect,
    (member, value, path): (&Member, &Value, &str),
    pairs: &mut Vec<(String, String)>,
) {
    let shape = model.shape_of(member);
    match value {
        Value::Object(_) => flatten(model, dialect, (shape, value, path), pairs),
        Value::Array(elements) => {
            let between = if dialect == Dialect::Plain {
                ".member"
            } else {
                ""
            };
            for (number, element) in (1..).zip(elements) {
                flatten_value(
                    model,
                    dialect,
                    (&shape.member, element, &format!("{path}{between}.{number}")),
                    pairs,
                );
            }
        }
        Value::String(text) => pairs.push((path.to_owned(), text.clone())),
        other => pairs.push((path.to_owned(), other.to_string())),
    }
}

fn rest(model: &Model, facts: &Operation, shape: &Shape, input: &Value) -> Request {
    let (path, literals) = facts.uri.split_once('?').unwrap_or((&facts.uri, ""));
    let mut request = Request {
        method: facts.method.clone(),
        path: path.to_owned(),
        query: super::pairs(literals),
        ..Request::default()
    };
    let mut body = Map::new();
    for (name, value) in input.as_object().into_iter().flatten() {
        let Some(member) = shape.members.get(name) else {
            request.query.push((name.clone(), "x".to_owned()));
            continue;
        };
        let wire = member.wire_name(name);
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        match member.location {
            Location::Uri => {
                let value = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
                request.path = request
                    .path
                    .replace(&format!("{{{wire}}}"), &value)
                    .replace(&format!("{{{wire}+}}"), &value);
            }
            Location::Query => {
                let values = value.as_array().map_or_else(
                    || vec![text.clone()],
                    |list| {
                        list.iter()
                            .map(|value| value.as_str().unwrap_or_default().to_owned())
                            .collect()
                    },
                );
                request
                    .query
                    .extend(values.into_iter().map(|value| (wire.to_owned(), value)));
            }
            Location::Header => _ = request.headers.insert(wire.to_ascii_lowercase(), text),
            Location::Headers | Location::StatusCode => {}
            Location::Body => _ = body.insert(name.clone(), value.clone()),
        }
    }
    // A label that nothing was given for leaves a gap.
    request.path = request
        .path
        .split('/')
        .map(|part| if part.starts_with('{') { "" } else { part })
        .collect::<Vec<_>>()
        .join("/");
    request.body = rest_body(model, shape, &body);
    request
}

fn rest_body(model: &Model, shape: &Shape, members: &Map<String, Value>) -> Vec<u8> {
    let document = |shape: &Shape, value: &Value| {
        const FITS: &str = "the sample fits the model";
        if model.protocol == Protocol::RestJson {
            return super::json::encode(model, shape, value)
                .expect(FITS)
                .to_string()
                .into_bytes();
        }
        let children = super::xml_shape::encode(model, shape, value).expect(FITS);
        Element::with_children("Input", children).document()
    };
    match &shape.payload {
        _ if members.is_empty() => Vec::new(),
        None => document(shape, &Value::Object(members.clone())),
        Some(payload) => match &members[payload] {
            Value::String(text) => text.clone().into_bytes(),
            value => document(model.shape_of(&shape.members[payload]), value),
        },
    }
}

/// What the wire layer says to a request.
fn judged(service: &'static Service, request: &Request) -> Result<Value, Refusal> {
    let named = name(service, request)?;
    decode(service, &named, request)
}

#[test]
fn what_the_handlers_claim_to_model_is_in_the_model() {
    for service in &SERVICES {
        let model = service.model();
        for (operation, members) in service.operations {
            let facts = model
                .operations
                .get(*operation)
                .unwrap_or_else(|| panic!("{}:{operation}", service.name));
            let known = |member: &&str| {
                model
                    .input(facts)
                    .is_some_and(|shape| shape.members.contains_key(*member))
            };
            let unknown: Vec<_> = members.iter().filter(|member| !known(member)).collect();
            assert!(
                unknown.is_empty(),
                "{}:{operation} has no {unknown:?}",
                service.name
            );
        }
    }
}

#[test]
fn every_operation_refuses_a_bogus_member_and_each_required_one_left_out() {
    let (mut operations, mut bogus, mut missing) = (0, 0, 0);
    for service in &SERVICES {
        let model = service.model();
        for (operation, members) in service.operations {
            let at = format!("{}:{operation}", service.name);
            let empty = Shape::default();
            let shape = model.input(&model.operations[*operation]).unwrap_or(&empty);
            let mut input = required(model, shape);
            input
                .as_object_mut()
                .expect("is a structure")
                .retain(|name, _| members.contains(&name.as_str()));
            // The positive control: the same request without a fault is let through.
            if let Err(refusal) = judged(service, &request(service, operation, &input)) {
                panic!("{at}: {refusal:?} for {input}");
            }
            operations += 1;
            let takes_any = shape.members.values().any(|member| {
                member.location == Location::Query && model.shape_of(member).kind == Kind::Map
            });
            // An operation without input has no shape that could be held against it.
            if !takes_any && model.input(&model.operations[*operation]).is_some() {
                let mut with_bogus = input.clone();
                with_bogus[BOGUS] = "x".into();
                let mut sent = request(service, operation, &with_bogus);
                if model.protocol == Protocol::Json {
                    sent.body = with_bogus.to_string().into_bytes();
                }
                let refusal = judged(service, &sent).expect_err(&at);
                assert!(
                    refusal.code == NOT_MODELLED || refusal.code == "UnknownParameter",
                    "{at}: {refusal:?}"
                );
                bogus += 1;
            }
            // Without a label a URI is another operation's, or none's.
            let can_lack = |name: &&String| {
                members.contains(&name.as_str()) && shape.members[*name].location != Location::Uri
            };
            for name in shape.required.iter().filter(can_lack) {
                let mut without = input.clone();
                without
                    .as_object_mut()
                    .expect("is a structure")
                    .remove(name);
                judged(service, &request(service, operation, &without))
                    .expect_err(&format!("{at} without {name}"));
                missing += 1;
            }
        }
    }
    let counted = format!(
        "{operations} operations, {bogus} bogus members and {missing} missing ones refused"
    );
    std::io::Write::write_all(&mut std::io::stderr(), format!("{counted}\n").as_bytes())
        .expect("can be written");
    assert!(operations >= 3 && bogus >= 3 && missing >= 3, "{counted}");
}

#[test]
fn refusals_have_each_services_own_form() {
    let refusal = Refusal::new("TrustStoreInUse", "a < b");
    let written = |name: &str| {
        let service = SERVICES
            .iter()
            .find(|service| service.name == name)
            .expect("is there");
        let response = encode_refusal(service, &refusal, "ID");
        let headers: BTreeMap<_, _> = response.headers.into_iter().collect();
        (String::from_utf8(response.body).expect("is text"), headers)
    };
    let (elbv2, headers) = written("elbv2");
    assert!(elbv2.contains("<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error><Type>Sender</Type><Code>TrustStoreInUse</Code><Message>a &lt; b</Message></Error><RequestId>ID</RequestId></ErrorResponse>"), "{elbv2}");
    assert_eq!(headers["x-amzn-RequestId"], "ID");
    let (ec2, _) = written("ec2");
    assert!(ec2.contains("<Response><Errors><Error><Code>TrustStoreInUse</Code><Message>a &lt; b</Message></Error></Errors><RequestID>ID</RequestID></Response>"), "{ec2}");
    let (gateway, headers) = written("apigateway");
    assert_eq!(
        (gateway.as_str(), headers["x-amzn-ErrorType"].as_str()),
        ("{\"message\":\"a < b\"}", "TrustStoreInUse")
    );
    assert_eq!(
        written("acm").0,
        "{\"__type\":\"TrustStoreInUse\",\"message\":\"a < b\"}"
    );
    assert!(
        written("s3")
            .0
            .contains("<Error><Code>TrustStoreInUse</Code>")
    );
}

#[test]
fn a_declared_error_gets_its_status_and_a_limit_says_when_to_try_again() {
    let service = SERVICES
        .iter()
        .find(|service| service.name == "apigateway")
        .expect("is there");
    let response = encode_refusal(service, &Refusal::new("NotFoundException", ""), "ID");
    assert_eq!(response.status, 404);
    let response = encode_refusal(service, &service.throttled.refusal("Rate exceeded"), "ID");
    assert_eq!(response.status, 429);
    assert!(
        response
            .headers
            .iter()
            .any(|(name, _)| name == "Retry-After")
    );
}

#[test]
fn constraints_are_named_in_the_services_words() {
    let service = |name: &str| {
        SERVICES
            .iter()
            .find(|service| service.name == name)
            .expect("is there")
    };
    let refusal = |name: &str, operation: &str, input: Value| {
        let refusal = judged(service(name), &request(service(name), operation, &input))
            .expect_err("is refused");
        (refusal.code, refusal.message)
    };
    let (code, message) = refusal(
        "tagging",
        "GetResources",
        json!({ "ResourceARNList": [], "TagFilters": [{ "Key": "" }] }),
    );
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(
        message,
        "2 validation errors detected: Value '[]' at 'resourceARNList' failed to satisfy constraint: Member must have \
         length greater than or equal to 1; Value '' at 'tagFilters.1.member.key' failed to satisfy constraint: Member \
         must have length greater than or equal to 1"
    );
    let (code, _) = refusal(
        "s3",
        "CreateBucket",
        json!({ "Bucket": "b", "CreateBucketConfiguration": { "LocationConstraint": "mars" } }),
    );
    assert_eq!(code, "InvalidLocationConstraint");
    let (code, message) = refusal("s3", "ListObjectsV2", json!({ "Bucket": "b", "Nested": 1 }));
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            NOT_MODELLED,
            "the sandbox's model of `ListObjectsV2` has no member `Nested`"
        )
    );
}

#[test]
fn nested_members_are_held_to_the_model_too() {
    let post = |path: &str, body: &str| Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        body: body.as_bytes().to_vec(),
        ..Request::default()
    };
    let targeted = |target: &str, body: &str| {
        let headers = BTreeMap::from([("x-amz-target".to_owned(), target.to_owned())]);
        Request {
            headers,
            ..post("/", body)
        }
    };
    let change = "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>CREATE</Action>\
                  <Bogus>x</Bogus></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>";
    let tags =
        "Version=2015-12-01&ResourceArns.member.1=a&Tags.member.1.Key=a&Tags.member.1.Bogus=x";
    for (name, request) in [
        ("elbv2", post("/", &format!("Action=AddTags&{tags}"))),
        (
            "ec2",
            post(
                "/",
                "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Bogus=x",
            ),
        ),
        (
            "apigateway",
            post(
                "/restapis",
                "{\"name\":\"a\",\"endpointConfiguration\":{\"Bogus\":1}}",
            ),
        ),
        (
            "acm",
            targeted(
                "CertificateManager.RequestCertificate",
                "{\"DomainName\":\"a.example.com\",\"Options\":{\"Bogus\":1}}",
            ),
        ),
        ("route53", post("/2013-04-01/hostedzone/Z1/rrset", change)),
    ] {
        let service = SERVICES
            .iter()
            .find(|service| service.name == name)
            .expect("is there");
        let refusal = judged(service, &request).expect_err(name);
        assert!(refusal.message.contains(BOGUS), "{name}: {refusal:?}");
    }
}
