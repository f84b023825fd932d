//! What answers a method: a mock from its own definition, or a backend that is asked over HTTP.

mod request;
mod response;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

pub(super) use self::request::HOP_BY_HOP;
use self::request::{Call, of_method};
use self::response::mapped;
use super::backend::Demands;
use super::execute_api::answer::{Answer, Kind};
use super::execute_api::{Matched, PAYLOAD};
use super::network::{Found, LINKS_AT, Place, by_link, from_gateway};
use super::upstream::{self, Trouble, Trust};
use super::{DataPlane, front, listener, petstore, whole};
use crate::sandbox::acm;
use crate::sandbox::apigateway::definition::Integration;

/// What a backend, or a mock, has answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Backend {
    /// The status.
    pub(super) status: u16,
    /// Names and values.
    pub(super) headers: Vec<(String, String)>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// Why a method has no answer of its own.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The definition does not work, or the sandbox does not understand it.
    #[error("{0}")]
    Configuration(String),
    /// The body is of a type that no template is for.
    #[error("no request template is for the body's type")]
    MediaType,
    /// The backend is not to be trusted; the text is AWS's.
    #[error("{0}")]
    Untrusted(String),
    /// The backend cannot be reached, or what comes from it is no answer.
    #[error("the backend does not answer: {0}")]
    Network(String),
    /// The backend takes longer than it may.
    #[error("the backend takes longer than it may")]
    TimedOut,
}

impl Failure {
    /// What the execution log says of it.
    fn log_lines(&self) -> Vec<String> {
        let (line, status) = match self {
            Self::Configuration(reason) | Self::Untrusted(reason) => (
                format!("Execution failed due to configuration error: {reason}"),
                500,
            ),
            Self::MediaType => (
                "Execution failed due to configuration error: Unsupported Media Type".to_owned(),
                415,
            ),
            Self::Network(reason) => (
                format!(
                    "Execution failed due to a network error communicating with endpoint: {reason}"
                ),
                504,
            ),
            Self::TimedOut => ("Execution failed due to a timeout error".to_owned(), 504),
        };
        vec![line, format!("Method completed with status: {status}")]
    }
}

/// Answers a request by its method's integration.
pub(super) async fn answer(
    plane: &Arc<DataPlane>,
    region: &str,
    matched: &Matched,
    body: &[u8],
) -> Answer {
    let exchange = &matched.exchange;
    let failure = match attempt(plane, region, matched, body).await {
        Ok(answer) => return answer,
        Err(failure) => failure,
    };
    for line in failure.log_lines() {
        plane.execution_log.note(exchange, &line);
    }
    let (method, resource) = (&exchange.method, &exchange.resource);
    tracing::warn!(api = exchange.api, method, resource, %failure, "an integration failed");
    match failure {
        Failure::Configuration(_) | Failure::Untrusted(_) => Answer::of(
            Kind::API_CONFIGURATION_ERROR,
            "Internal server error",
            exchange,
        ),
        Failure::MediaType => Answer::of(
            Kind::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported Media Type",
            exchange,
        ),
        Failure::Network(_) => Answer::of(
            Kind::INTEGRATION_FAILURE,
            "Network error communicating with endpoint",
            exchange,
        ),
        Failure::TimedOut => Answer::of(
            Kind::INTEGRATION_TIMEOUT,
            "Endpoint request timed out",
            exchange,
        ),
    }
}

async fn attempt(
    plane: &Arc<DataPlane>,
    region: &str,
    matched: &Matched,
    body: &[u8],
) -> Result<Answer, Failure> {
    let Some(integration) = &matched.method.method_integration else {
        return Err(Failure::Configuration("the method has none".to_owned()));
    };
    match integration.kind.as_str() {
        "MOCK" => {
            let backend = mock(integration, matched, body)?;
            mapped(integration, &matched.exchange, &backend)
        }
        "HTTP" | "HTTP_PROXY" => {
            let call = of_method(integration, matched, body)?;
            let backend = fetch(plane, region, (integration, matched), call).await?;
            mapped(integration, &matched.exchange, &backend)
        }
        kind => Err(Failure::Configuration(format!(
            "the sandbox does not run integrations of the type {kind}"
        ))),
    }
}

/// What a mock answers: its request template says the status.
fn mock(integration: &Integration, matched: &Matched, body: &[u8]) -> Result<Backend, Failure> {
    let body = request::body(integration, &matched.exchange, body)?;
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let status = document["statusCode"].as_u64();
    let status = status.and_then(|status| u16::try_from(status).ok());
    match status {
        Some(status) => Ok(Backend {
            status,
            ..Backend::default()
        }),
        None => Err(Failure::Configuration(
            "the request template of the mock gives no statusCode".to_owned(),
        )),
    }
}

/// Asks a backend.
async fn fetch(
    plane: &Arc<DataPlane>,
    region: &str,
    (integration, matched): (&Integration, &Matched),
    call: Call,
) -> Result<Backend, Failure> {
    let variables = &matched.exchange.variables;
    let is_by_link = integration.is_by_link();
    let place = {
        let account = plane.account();
        let world = &account.world;
        if is_by_link {
            let link = integration.link(variables);
            let link = link.unwrap_or_default();
            let found = by_link(world, region, &link, call.port);
            Some(found.map_err(Failure::Configuration)?)
        } else {
            from_gateway(world, region, &call.host, call.port)
        }
    };
    let socket = match place {
        None => {
            return Err(Failure::Configuration(format!(
                "the host {} does not resolve; `mtlsgw sandbox host {}:{} 127.0.0.1:PORT` \
                 registers a server for it",
                call.host, call.host, call.port
            )));
        }
        Some(Found::Refused(reason)) => return Err(Failure::Network(reason)),
        Some(Found::Dropped) => {
            super::target::time_out().await;
            return Err(Failure::TimedOut);
        }
        Some(Found::At(Place::PetStore)) => {
            let query = call.query.as_deref().unwrap_or_default();
            return Ok(petstore::answer(
                &call.method,
                &call.path,
                query,
                &call.body,
            ));
        }
        Some(Found::At(Place::Host(server))) => server,
        Some(Found::At(Place::Listener(arn))) => {
            plane.reconcile();
            listener::address(plane, &arn)
                .ok_or_else(|| Failure::Network("the listener has no socket".to_owned()))?
        }
        Some(Found::At(Place::Front(region))) => front::socket(plane, &region, None)
            .map_err(|error| Failure::Network(error.to_string()))?,
        Some(Found::At(Place::Endpoint(..))) => {
            return Err(Failure::Network("the address is private".to_owned()));
        }
    };
    let patience = u64::try_from(integration.timeout_in_millis).unwrap_or_default();
    let patience = Duration::from_millis(patience);
    let trust = trust(plane, integration, &call);
    let source = is_by_link.then_some(LINKS_AT);
    let asked = ask(plane, (socket, source), call, (trust, patience));
    match tokio::time::timeout(patience, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(Failure::TimedOut),
    }
}

/// How the backend's certificate is judged: the sandbox's own authority stands for the public ones.
fn trust(plane: &DataPlane, integration: &Integration, call: &Call) -> Option<Trust> {
    if !call.is_secure {
        return None;
    }
    let tls = integration.tls_config.as_ref();
    let skips = tls.is_some_and(|tls| tls.insecure_skip_verification);
    let (authority, now) = {
        let account = plane.account();
        (acm::known_certificate(&account.world), account.world.now)
    };
    let authority = authority.and_then(|text| pem::parse(text).ok());
    let authority = authority.map(|block| CertificateDer::from(block.into_contents()));
    Some(Trust::Backend(Demands {
        host: call.host.clone(),
        authorities: (!skips).then(|| authority.into_iter().collect()),
        now,
    }))
}

/// Asks a server of ours, as from an address if one is given.
async fn ask(
    plane: &DataPlane,
    (socket, from): (SocketAddr, Option<Ipv4Addr>),
    call: Call,
    (trust, patience): (Option<Trust>, Duration),
) -> Result<Backend, Failure> {
    let failed = |trouble: Trouble| match trouble {
        Trouble::TimedOut => Failure::TimedOut,
        Trouble::Untrusted(reason) => Failure::Untrusted(reason),
        Trouble::Alert(alert) => Failure::Untrusted(format!("Received fatal alert: {alert}")),
        Trouble::Refused(reason) | Trouble::Tls(reason) | Trouble::Malformed(reason) => {
            Failure::Network(reason)
        }
    };
    let request = call.request().map_err(Failure::Configuration)?;
    // The source is held until the end: the load balancer asks for it when it accepts.
    let (stream, _source) = match from {
        Some(from) => {
            let connected = plane.fronts.connect(socket, from).await;
            let connected = connected.map_err(|error| Failure::Network(error.to_string()))?;
            (connected.0, Some(connected.1))
        }
        None => (upstream::connect(socket).await.map_err(failed)?, None),
    };
    let response = match trust {
        None => upstream::send(stream, request, patience).await,
        Some(trust) => {
            let stream = upstream::secure(stream, &trust).await.map_err(failed)?;
            upstream::send(stream, request, patience).await
        }
    };
    let (head, body) = response.map_err(failed)?.into_parts();
    let body = Limited::new(body, PAYLOAD).collect().await;
    let body = body.map_err(|error| Failure::Network(error.to_string()))?;
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    Ok(Backend {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: body.to_bytes().to_vec(),
    })
}

impl Call {
    /// The call as HTTP sends it.
    fn request(self) -> Result<hyper::Request<super::Body>, String> {
        let target = match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        };
        let default = if self.is_secure { 443 } else { 80 };
        let host = if self.port == default {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        };
        let mut request = hyper::Request::builder()
            .method(self.method.as_str())
            .uri(target)
            .header("Host", host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
            .body(whole(self.body))
            .map_err(|error| error.to_string())
    }
}
