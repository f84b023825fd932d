//! From the client's request to the one that the backend gets.

use hyper::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Failure;
use crate::sandbox::apigateway::definition::Integration;
use crate::sandbox::data_plane::execute_api::{Exchange, Matched};
use crate::sandbox::data_plane::template::{self, Scope};

/// What is percent-encoded in a query or a part of a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What is percent-encoded in the value of a path variable, which may hold several parts.
const ENCODED_PATH: &AsciiSet = &ENCODED
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'+')
    .remove(b',');

/// Headers that are a connection's own and go no further.
pub(in crate::sandbox::data_plane) const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request to a backend.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// `GET`, ….
    pub(super) method: String,
    /// Whether it goes over TLS.
    pub(super) is_secure: bool,
    /// The backend's name or address.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// The path.
    pub(super) path: String,
    /// The query without its question mark.
    pub(super) query: Option<String>,
    /// Names and values, without `Host`.
    pub(super) headers: Vec<(String, String)>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// The request that a method's backend gets.
pub(super) fn of_method(
    integration: &Integration,
    matched: &Matched,
    body: &[u8],
) -> Result<Call, Failure> {
    let exchange = &matched.exchange;
    let is_proxy = integration.kind == "HTTP_PROXY";
    let scope = Scope {
        exchange,
        body,
        error: None,
    };
    let mut address = with_variables(integration.uri.as_deref().unwrap_or_default(), exchange);
    let mut query: Vec<(String, String)> = Vec::new();
    let mut headers: Vec<(String, String)> = Vec::new();
    if is_proxy {
        query.clone_from(&exchange.query);
        headers.extend(forwarded(exchange));
    } else {
        put(&mut headers, "content-type", exchange.content_type());
        put(&mut headers, "accept", "application/json");
        let agent = format!("AmazonAPIGateway_{}", exchange.api);
        put(&mut headers, "user-agent", &agent);
    }
    put(&mut headers, "x-amzn-apigateway-api-id", &exchange.api);
    for (parameter, source) in &integration.request_parameters {
        let Some((place, name)) = parameter
            .strip_prefix("integration.request.")
            .and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let Some(value) = template::source(source, &scope) else {
            continue;
        };
        match place {
            "path" => {
                let value = utf8_percent_encode(&value, ENCODED_PATH).to_string();
                address = address.replace(&format!("{{{name}}}"), &value);
            }
            "querystring" | "multivaluequerystring" => {
                query.retain(|(known, _)| known != name);
                query.push((name.to_owned(), value));
            }
            _ => put(&mut headers, &name.to_ascii_lowercase(), &value),
        }
    }
    let body = if is_proxy {
        body.to_vec()
    } else {
        self::body(integration, exchange, body)?
    };
    let method = match integration.http_method.as_deref() {
        None | Some("ANY") => exchange.method.clone(),
        Some(method) => method.to_owned(),
    };
    let call = Call {
        method,
        headers,
        body,
        ..parsed(&address)?
    };
    Ok(with_query(call, &query))
}

/// The backend's address with the stage's variables in their places.
fn with_variables(address: &str, exchange: &Exchange) -> String {
    let mut filled = address.to_owned();
    for (name, value) in &exchange.variables {
        filled = filled.replace(&format!("${{stageVariables.{name}}}"), value);
    }
    filled
}

/// The client's headers that a proxy hands on.
fn forwarded(exchange: &Exchange) -> impl Iterator<Item = (String, String)> {
    let own = exchange.headers.iter().filter(|(name, _)| {
        name != "host" && name != "content-length" && !HOP_BY_HOP.contains(&name.as_str())
    });
    own.cloned()
}

fn put(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    headers.retain(|(known, _)| known != name);
    headers.push((name.to_owned(), value.to_owned()));
}

/// The parts of a backend's address.
fn parsed(address: &str) -> Result<Call, Failure> {
    let wrong = || Failure::Configuration(format!("`{address}` is no address of a backend"));
    let uri: Uri = address.parse().map_err(|_| wrong())?;
    let is_secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(wrong()),
    };
    let host = uri.host().ok_or_else(wrong)?.to_ascii_lowercase();
    Ok(Call {
        method: String::new(),
        is_secure,
        host,
        port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        headers: Vec::new(),
        body: Vec::new(),
    })
}

/// The call with parameters after those of its address.
fn with_query(mut call: Call, query: &[(String, String)]) -> Call {
    let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let pairs = query
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    let all: Vec<String> = call.query.into_iter().chain(pairs).collect();
    call.query = (!all.is_empty()).then(|| all.join("&"));
    call
}

/// The body that an integration gets: what its template for the body's type makes of it, or the
/// body itself where the passthrough behaviour lets it.
pub(super) fn body(
    integration: &Integration,
    exchange: &Exchange,
    body: &[u8],
) -> Result<Vec<u8>, Failure> {
    let templates = &integration.request_templates;
    let Some(template) = templates.get(exchange.content_type()) else {
        return match integration.passthrough_behavior.as_str() {
            "NEVER" => Err(Failure::MediaType),
            "WHEN_NO_TEMPLATES" if !templates.is_empty() => Err(Failure::MediaType),
            _ => Ok(body.to_vec()),
        };
    };
    let scope = Scope {
        exchange,
        body,
        error: None,
    };
    let rendered = template::render(template, &scope);
    let rendered = rendered
        .map_err(|problem| Failure::Configuration(format!("the request template: {problem}")))?;
    Ok(rendered.into_bytes())
}
