//! API Gateway as requests meet it: which API and stage one is for, who may call it, which method
//! answers.
//!
//! Everything here is a function of the account; what answers in the end is `integration`'s.

mod admission;
pub(super) mod answer;
mod pick;
mod resource;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use self::admission::admit;
use self::answer::{Answer, Kind};
use self::pick::{Picked, pick};
use self::resource::find;
use self::schema::Schemas;
use crate::sandbox::apigateway::definition::{Definition, GatewayResponse, Method};
use crate::sandbox::ec2::VpcEndpoint;
use crate::sandbox::world::World;

/// The most that the headers of a request to a private API may come to, in bytes.
const HEADERS: usize = 8_000;

/// The largest body of a request, in bytes.
pub(super) const PAYLOAD: usize = 10 * 1024 * 1024;

/// By which way a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Front<'a> {
    /// By the interface endpoint of this id.
    Endpoint(&'a str),
    /// By the region's public addresses.
    Public,
}

/// A request as it comes in.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Arrival<'a> {
    /// The region that it comes in at.
    pub(in crate::sandbox) region: &'a str,
    /// By which way.
    pub(in crate::sandbox) front: Front<'a>,
    /// The address that it comes from.
    pub(in crate::sandbox) source: IpAddr,
    /// The name that the client asked for in TLS, if it did.
    pub(in crate::sandbox) server_name: Option<&'a str>,
    /// `GET`, ….
    pub(in crate::sandbox) method: &'a str,
    /// The path, still percent-encoded.
    pub(in crate::sandbox) path: &'a str,
    /// What follows the question mark, if there is one.
    pub(in crate::sandbox) query: Option<&'a str>,
    /// Names in lower case, with their values.
    pub(in crate::sandbox) headers: &'a [(String, String)],
    /// The size of the body in bytes.
    pub(in crate::sandbox) length: usize,
    /// The request's id, a UUID.
    pub(in crate::sandbox) id: &'a str,
}

/// A request that an API takes, with all that answering it needs.
#[derive(Debug, Clone)]
pub(super) struct Matched {
    /// The method as it was deployed.
    pub(super) method: Method,
    /// What is known of the request.
    pub(super) exchange: Exchange,
    /// What bodies are held to, where they are.
    schemas: Option<Schemas>,
}

impl Matched {
    /// API Gateway's own answer to a body that does not fit its model.
    pub(super) fn refusal_of(&self, body: &[u8]) -> Option<Answer> {
        let schemas = self.schemas.as_ref()?;
        let content_type = self.exchange.content_type();
        let fits = schemas.fits(content_type, body);
        (!fits).then(|| {
            Answer::of(
                Kind::BAD_REQUEST_BODY,
                "Invalid request body",
                &self.exchange,
            )
        })
    }
}

/// What is known of a request once its API is.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchange {
    /// The API's id.
    pub(super) api: String,
    /// The account's twelve digits.
    pub(super) account: String,
    /// The stage's name.
    pub(super) stage: String,
    /// What `stageVariables` holds.
    pub(super) variables: BTreeMap<String, String>,
    /// `GET`, ….
    pub(super) method: String,
    /// The path with its stage or base path, as the client sent it.
    pub(super) whole_path: String,
    /// The path of the resource, with its variables in braces.
    pub(super) resource: String,
    /// The resource's id.
    pub(super) resource_id: String,
    /// The values of the path's variables.
    pub(super) path_parameters: BTreeMap<String, String>,
    /// Names and values in their order, decoded.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case, with their values.
    pub(super) headers: Vec<(String, String)>,
    /// The address that the request comes from.
    pub(super) source: String,
    /// The endpoint that it came in by.
    pub(super) endpoint: Option<(String, String)>,
    /// The request's id.
    pub(super) id: String,
    /// Milliseconds since the epoch.
    pub(super) time: i64,
    /// The API's own gateway responses, by type.
    pub(super) gateway_responses: BTreeMap<String, GatewayResponse>,
}

impl Exchange {
    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The type of the body, as models and templates are chosen by.
    pub(super) fn content_type(&self) -> &str {
        let given = self.header("content-type").unwrap_or("application/json");
        given.split(';').next().unwrap_or(given).trim()
    }

    /// The value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Arrival<'_> {
    /// The host that is asked for, in lower case.
    fn host(&self) -> String {
        header(self.headers, "host")
            .unwrap_or_default()
            .to_ascii_lowercase()
    }

    /// What the headers come to in bytes.
    fn header_size(&self) -> usize {
        let sizes = self.headers.iter();
        sizes.map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// The value of a header, by its name in lower case.
fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// Finds the method that answers a request, or API Gateway's own answer.
pub(super) fn route(world: &World, arrival: &Arrival<'_>) -> Result<Box<Matched>, Answer> {
    if matches!(arrival.path, "/ping" | "/sping") {
        return Err(Answer::healthy());
    }
    let picked = pick(world, arrival)?;
    let mut exchange = picked.exchange(world, arrival);
    admit(world, arrival, &picked, &exchange)?;
    if arrival.length > PAYLOAD {
        return Err(Answer::of(
            Kind::REQUEST_TOO_LARGE,
            "Request Too Long",
            &exchange,
        ));
    }
    let definition = &picked.deployment.definition;
    let Some(found) = find(definition, &picked.path) else {
        return Err(Answer::unknown_method(&exchange));
    };
    exchange.resource.clone_from(&found.resource.path);
    exchange.resource_id.clone_from(&found.resource.id);
    exchange.path_parameters = found.parameters;
    let methods = &found.resource.resource_methods;
    let Some(method) = methods.get(arrival.method).or_else(|| methods.get("ANY")) else {
        return Err(Answer::unknown_method(&exchange));
    };
    authorize(method, &exchange)?;
    validate(definition, method, &exchange)?;
    Ok(Box::new(Matched {
        method: method.clone(),
        exchange,
        schemas: Schemas::of(definition, method),
    }))
}

/// The status that a health check of an endpoint by its address gets, whose host that address is.
pub(in crate::sandbox) fn status_of_check(
    world: &World,
    region: &str,
    (endpoint, address): (&str, Ipv4Addr),
    path: &str,
) -> u16 {
    let headers = [
        ("host".to_owned(), address.to_string()),
        ("user-agent".to_owned(), "ELB-HealthChecker/2.0".to_owned()),
    ];
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let arrival = Arrival {
        region,
        front: Front::Endpoint(endpoint),
        source: IpAddr::V4(address),
        server_name: None,
        method: "GET",
        path,
        query,
        headers: &headers,
        length: 0,
        id: "",
    };
    // An address names no API, so that none ever takes a check.
    route(world, &arrival).map_or_else(|answer| answer.status, |_| 200)
}

impl Picked<'_> {
    /// What is known of the request by now.
    fn exchange(&self, world: &World, arrival: &Arrival<'_>) -> Exchange {
        Exchange {
            api: self.api.id.clone(),
            account: world.account.clone(),
            stage: self.name.clone(),
            variables: self.stage.variables.clone(),
            method: arrival.method.to_owned(),
            whole_path: arrival.path.to_owned(),
            query: pairs(arrival.query.unwrap_or_default()),
            headers: arrival.headers.to_vec(),
            source: arrival.source.to_string(),
            endpoint: endpoint(world, arrival)
                .map(|endpoint| (endpoint.id.clone(), endpoint.vpc_id.clone())),
            id: arrival.id.to_owned(),
            time: world.now,
            gateway_responses: self.deployment.definition.gateway_responses.clone(),
            ..Exchange::default()
        }
    }
}

/// The endpoint that a request comes in by.
fn endpoint<'w>(world: &'w World, arrival: &Arrival<'_>) -> Option<&'w VpcEndpoint> {
    let Front::Endpoint(id) = arrival.front else {
        return None;
    };
    let ec2 = &world.regions.get(arrival.region)?.ec2;
    ec2.vpc_endpoint(id, world.now)
}

/// Refuses callers that the method wants to know and does not.
///
/// The sandbox has neither usage plans, so that no key is valid, nor secrets that a signature
/// could be verified by.
fn authorize(method: &Method, exchange: &Exchange) -> Result<(), Answer> {
    if method.authorization_type == "AWS_IAM" {
        if exchange.header("authorization").is_none() {
            return Err(Answer::unknown_method(exchange));
        }
        let message = "The sandbox cannot verify signatures of requests to an API";
        tracing::warn!("{message}");
        return Err(Answer::of(Kind::INVALID_SIGNATURE, message, exchange));
    }
    if method.api_key_required {
        return Err(Answer::of(Kind::INVALID_API_KEY, "Forbidden", exchange));
    }
    Ok(())
}

/// Refuses requests that lack what the method's validator requires.
fn validate(definition: &Definition, method: &Method, exchange: &Exchange) -> Result<(), Answer> {
    let id = method.request_validator_id.as_ref();
    let Some(validator) = id.and_then(|id| definition.validators.get(id)) else {
        return Ok(());
    };
    if !validator.validate_request_parameters {
        return Ok(());
    }
    let required = method
        .request_parameters
        .iter()
        .filter(|(_, required)| **required);
    let missing: Vec<&str> = required
        .filter_map(|(parameter, _)| {
            let (place, name) = parameter.strip_prefix("method.request.")?.split_once('.')?;
            let value = match place {
                "path" => exchange.path_parameters.get(name).map(String::as_str),
                "header" => exchange.header(&name.to_ascii_lowercase()),
                _ => exchange.parameter(name),
            };
            value.is_none_or(str::is_empty).then_some(name)
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Missing required request parameters: [{}]",
        missing.join(", ")
    );
    Err(Answer::of(Kind::BAD_REQUEST_PARAMETERS, &message, exchange))
}

/// The pairs of a query, decoded.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}
