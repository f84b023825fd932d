//! Between the wire and the handlers: finds the operation, reads its input by the model, refuses
//! what the model or the sandbox does not have, writes the answer.

mod json;
mod model;
mod pattern;
mod query;
mod rest;
mod rest_answer;
mod scalar;
mod service;
#[cfg(test)]
mod tests;
mod validation;
mod xml;
mod xml_shape;

use std::collections::BTreeMap;

use serde_json::Value;

use self::model::{Model, Protocol};
use self::query::Dialect;
use self::xml::Element;
use super::world::{NOT_MODELLED, Refusal};

pub(super) use self::pattern::matches as fits_pattern;
pub(super) use self::scalar::http_date;
pub(super) use self::service::{Service, service};

/// A request as HTTP brings it.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// The method.
    pub(super) method: String,
    /// The path, still percent-encoded.
    pub(super) path: String,
    /// The query parameters, decoded.
    pub(super) query: Vec<(String, String)>,
    /// The headers, their names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    /// The body.
    pub(super) body: Vec<u8>,
    /// One more than that of the latest request that was answered before this one arrived: what it
    /// could have been made from.
    pub(super) round: u64,
}

/// An answer as HTTP takes it.
#[derive(Debug, Default)]
pub(super) struct Response {
    /// The HTTP status.
    pub(super) status: u16,
    /// The headers.
    pub(super) headers: Vec<(String, String)>,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The header's text, where it was sent; `name` is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The query parameter's text, where it was sent.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, text)| text.as_str())
    }
}

/// Splits a query string or form into its decoded pairs.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| {
        percent_encoding::percent_decode_str(&part.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(name), decode(value))
    };
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(pair)
        .collect()
}

/// An operation that a request names.
pub(super) struct Named {
    /// Its name.
    pub(super) operation: &'static str,
    route: Option<rest::Route>,
}

/// The operation that a request names, if the model has it.
pub(super) fn name(service: &'static Service, request: &Request) -> Result<Named, Refusal> {
    let model = service.model();
    let by_name = |name: &str| {
        model
            .operations
            .get_key_value(name)
            .map(|(name, _)| name.as_str())
    };
    let given = match model.protocol {
        Protocol::RestJson | Protocol::RestXml => {
            let route = rest::route(model, request);
            let named = route.map(|route| Named {
                operation: route.name,
                route: Some(route),
            });
            return named.ok_or_else(|| unknown(&format!("{} {}", request.method, request.path)));
        }
        Protocol::Json => {
            let target = request.header("x-amz-target").unwrap_or_default();
            target
                .strip_prefix(&*model.target)
                .and_then(|rest| rest.strip_prefix('.'))
                .unwrap_or(target)
                .to_owned()
        }
        Protocol::Query | Protocol::Ec2 => action(model, &form(request)).ok_or_else(|| {
            Refusal::new(
                "InvalidAction",
                "The action or operation requested is invalid",
            )
        })?,
    };
    by_name(&given)
        .map(|operation| Named {
            operation,
            route: None,
        })
        .ok_or_else(|| unknown(&given))
}

fn unknown(operation: &str) -> Refusal {
    Refusal::new(
        NOT_MODELLED,
        format!("the sandbox does not model the operation `{operation}`"),
    )
}

/// A query's parameters, from the URL and the body.
fn form(request: &Request) -> Vec<(String, String)> {
    let mut form = pairs(&String::from_utf8_lossy(&request.body));
    form.extend(
        request
            .query
            .iter()
            .filter(|(name, _)| !name.starts_with("X-Amz-"))
            .cloned(),
    );
    form
}

/// The action of a form; classic load balancing shares a signing name and differs by version.
fn action(model: &Model, form: &[(String, String)]) -> Option<String> {
    let find = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, text)| text.as_str())
    };
    let action = find("Action")?;
    match find("Version") {
        Some(version) if version != model.version => Some(format!("{action} of version {version}")),
        _ => Some(action.to_owned()),
    }
}

/// Reads a request's input by its operation's model.
pub(super) fn decode(
    service: &'static Service,
    named: &Named,
    request: &Request,
) -> Result<Value, Refusal> {
    let model = service.model();
    let modelled = service
        .operations
        .iter()
        .find(|(name, _)| *name == named.operation);
    let (operation, members) = *modelled.ok_or_else(|| unknown(named.operation))?;
    let Some(shape) = model.input(&model.operations[operation]) else {
        return Ok(Value::Null);
    };
    let mut violations = Vec::new();
    let read = match (model.protocol, &named.route) {
        (_, Some(route)) => rest::decode(model, (route, shape), request, &mut violations),
        (Protocol::Json, _) => document(request)
            .map(|document| json::decode(model, shape, (&document, ""), &mut violations)),
        (Protocol::Ec2, _) => Ok(query::decode(
            (model, Dialect::Ec2),
            shape,
            &form(request),
            &mut violations,
        )),
        _ => Ok(query::decode(
            (model, Dialect::Plain),
            shape,
            &form(request),
            &mut violations,
        )),
    };
    let input = read.map_err(|reason| service.malformed(&reason))?;
    let bare_body = model.bare_body(shape).filter(|_| !request.body.is_empty());
    if violations.is_empty() {
        let unmodelled = validation::unmodelled(&input, members);
        if let Some(member) =
            unmodelled.or_else(|| bare_body.filter(|name| !members.contains(name)))
        {
            return Err(Refusal::not_modelled(operation, member));
        }
        validation::check(model, shape, (&input, bare_body), &mut violations);
    }
    if violations.is_empty() {
        Ok(input)
    } else {
        Err(validation::refusal(service.manner, operation, &violations))
    }
}

fn document(request: &Request) -> Result<Value, String> {
    if request.body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(&request.body).map_err(|error| error.to_string())
}

/// Writes an operation's output as its answer; the error names what the model does not have.
pub(super) fn encode(
    service: &'static Service,
    operation: &str,
    (output, request_id): (&Value, &str),
) -> Result<Response, String> {
    let model = service.model();
    let facts = &model.operations[operation];
    let mut response = match model.protocol {
        Protocol::RestJson | Protocol::RestXml => rest_answer::encode(model, facts, output)?,
        Protocol::Json => {
            let body = match model.output(facts) {
                Some(shape) => json::encode(model, shape, output)?.to_string().into_bytes(),
                None => Vec::new(),
            };
            Response {
                status: 200,
                headers: vec![content_type("application/x-amz-json-1.1")],
                body,
            }
        }
        Protocol::Query | Protocol::Ec2 => form_answer(model, operation, (output, request_id))?,
    };
    response
        .headers
        .push(request_id_header(service, request_id));
    Ok(response)
}

fn form_answer(
    model: &Model,
    operation: &str,
    (output, request_id): (&Value, &str),
) -> Result<Response, String> {
    let facts = &model.operations[operation];
    let mut members = match model.output(facts) {
        Some(shape) => xml_shape::encode(model, shape, output)?,
        None => Vec::new(),
    };
    let children = if model.protocol == Protocol::Ec2 {
        if model.output(facts).is_none() {
            members.push(Element::with_text("return", "true"));
        }
        members.insert(0, Element::with_text("requestId", request_id));
        members
    } else {
        let id = Element::with_text("RequestId", request_id);
        let metadata = Element::with_children("ResponseMetadata", vec![id]);
        let wrapper = facts
            .wrapper
            .as_deref()
            .map(|wrapper| Element::with_children(wrapper, members));
        wrapper.into_iter().chain([metadata]).collect()
    };
    let root = Element::with_children(&format!("{operation}Response"), children);
    let body = root.with_attribute("xmlns", &model.namespace).document();
    Ok(Response {
        status: 200,
        headers: vec![content_type("text/xml")],
        body,
    })
}

/// Writes a refusal as its service does.
pub(super) fn encode_refusal(
    service: &'static Service,
    refusal: &Refusal,
    request_id: &str,
) -> Response {
    let model = service.model();
    // A handler that names a declared error need not know its status.
    let declared = model
        .errors
        .get(&refusal.code)
        .copied()
        .filter(|_| refusal.status == 400);
    let status = declared.unwrap_or(refusal.status);
    let mut headers = refusal.headers.clone();
    headers.push(request_id_header(service, request_id));
    let body = match model.protocol {
        Protocol::RestJson => {
            headers.push(("x-amzn-ErrorType".to_owned(), refusal.code.clone()));
            if matches!(status, 429 | 503) {
                headers.push(("Retry-After".to_owned(), "1".to_owned()));
            }
            headers.push(content_type("application/json"));
            serde_json::json!({ "message": refusal.message })
                .to_string()
                .into_bytes()
        }
        Protocol::Json => {
            headers.push(content_type("application/x-amz-json-1.1"));
            let body = serde_json::json!({ "__type": refusal.code, "message": refusal.message });
            body.to_string().into_bytes()
        }
        Protocol::Ec2 | Protocol::Query | Protocol::RestXml => {
            headers.push(content_type("text/xml"));
            xml_refusal(service, (refusal, status), request_id).document()
        }
    };
    Response {
        status,
        headers,
        body,
    }
}

fn xml_refusal(
    service: &'static Service,
    (refusal, status): (&Refusal, u16),
    request_id: &str,
) -> Element {
    let model = service.model();
    // Route 53 joins the messages of a change batch in brackets.
    let message = match refusal.messages.as_slice() {
        [] => refusal.message.clone(),
        messages => format!("[{}]", messages.join(", ")),
    };
    let code = Element::with_text("Code", refusal.code.as_str());
    let message = Element::with_text("Message", message);
    if model.protocol == Protocol::Ec2 {
        let error = Element::with_children("Error", vec![code, message]);
        let id = Element::with_text("RequestID", request_id);
        return Element::with_children(
            "Response",
            vec![Element::with_children("Errors", vec![error]), id],
        );
    }
    let id = Element::with_text("RequestId", request_id);
    if service.name == "s3" {
        return Element::with_children(
            "Error",
            vec![code, message, id, Element::with_text("HostId", "sandbox")],
        );
    }
    let party = Element::with_text("Type", if status < 500 { "Sender" } else { "Receiver" });
    let error = Element::with_children("Error", vec![party, code, message]);
    Element::with_children("ErrorResponse", vec![error, id])
        .with_attribute("xmlns", &model.namespace)
}

/// Refuses a request whose service the sandbox does not have, in a form that its client reads.
pub(super) fn encode_stranger(request: &Request, refusal: &Refusal, request_id: &str) -> Response {
    let model_of = if request.header("x-amz-target").is_some() {
        "acm"
    } else {
        "sts"
    };
    let service = service(model_of).expect("both are in the table");
    encode_refusal(service, refusal, request_id)
}

fn content_type(value: &str) -> (String, String) {
    ("Content-Type".to_owned(), value.to_owned())
}

fn request_id_header(service: &Service, request_id: &str) -> (String, String) {
    let name = if service.name == "s3" {
        "x-amz-request-id"
    } else {
        "x-amzn-RequestId"
    };
    (name.to_owned(), request_id.to_owned())
}
