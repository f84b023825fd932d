//! What API Gateway answers by itself.

use super::Exchange;
use crate::sandbox::apigateway::definition::{Definition, GatewayResponse};
use crate::sandbox::apigateway::policy::evaluation::Decision;
use crate::sandbox::data_plane::template::{self, Scope};

/// The status of a request with more headers than a private API takes; AWS documents none.
const HEADERS_TOO_LARGE: u16 = 431;

/// An answer of API Gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Answer {
    /// The HTTP status.
    pub(in crate::sandbox) status: u16,
    /// Names and values.
    pub(in crate::sandbox) headers: Vec<(String, String)>,
    /// The body.
    pub(in crate::sandbox) body: Vec<u8>,
    /// Why it is not an integration's, for the log; clients do not see it.
    pub(in crate::sandbox) cause: Option<&'static str>,
}

/// The kinds of answers that an API can replace by its own.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Kind {
    /// The type of the gateway response.
    pub(in crate::sandbox) response: &'static str,
    /// The status where the API has no other.
    status: u16,
    /// What `x-amzn-ErrorType` says.
    error: &'static str,
}

/// Makes a kind.
const fn kind(response: &'static str, status: u16, error: &'static str) -> Kind {
    Kind {
        response,
        status,
        error,
    }
}

impl Kind {
    /// A policy, or an authorizer, refuses the caller.
    pub(in crate::sandbox) const ACCESS_DENIED: Self =
        kind("ACCESS_DENIED", 403, "AccessDeniedException");
    /// The API cannot work as it is defined.
    pub(in crate::sandbox) const API_CONFIGURATION_ERROR: Self = kind(
        "API_CONFIGURATION_ERROR",
        500,
        "InternalServerErrorException",
    );
    /// The body does not fit its model.
    pub(in crate::sandbox) const BAD_REQUEST_BODY: Self =
        kind("BAD_REQUEST_BODY", 400, "BadRequestException");
    /// Required parameters are missing.
    pub(in crate::sandbox) const BAD_REQUEST_PARAMETERS: Self =
        kind("BAD_REQUEST_PARAMETERS", 400, "BadRequestException");
    /// The backend cannot be reached.
    pub(in crate::sandbox) const INTEGRATION_FAILURE: Self =
        kind("INTEGRATION_FAILURE", 504, "InternalServerErrorException");
    /// The backend takes too long.
    pub(in crate::sandbox) const INTEGRATION_TIMEOUT: Self =
        kind("INTEGRATION_TIMEOUT", 504, "InternalServerErrorException");
    /// The method wants an API key and has been given none that is valid.
    pub(in crate::sandbox) const INVALID_API_KEY: Self =
        kind("INVALID_API_KEY", 403, "ForbiddenException");
    /// The signature is wrong.
    pub(in crate::sandbox) const INVALID_SIGNATURE: Self =
        kind("INVALID_SIGNATURE", 403, "InvalidSignatureException");
    /// There is no such method, which API Gateway takes for an unsigned request to AWS.
    pub(in crate::sandbox) const MISSING_AUTHENTICATION_TOKEN: Self = kind(
        "MISSING_AUTHENTICATION_TOKEN",
        403,
        "MissingAuthenticationTokenException",
    );
    /// The body is too large.
    pub(in crate::sandbox) const REQUEST_TOO_LARGE: Self =
        kind("REQUEST_TOO_LARGE", 413, "RequestTooLargeException");
    /// No template is for the body's type.
    pub(in crate::sandbox) const UNSUPPORTED_MEDIA_TYPE: Self = kind(
        "UNSUPPORTED_MEDIA_TYPE",
        415,
        "UnsupportedMediaTypeException",
    );
}

impl Answer {
    /// An answer with the headers that all of API Gateway's have.
    pub(in crate::sandbox) fn new(
        status: u16,
        content_type: &str,
        body: Vec<u8>,
        id: &str,
    ) -> Self {
        let headers = [
            ("Content-Type", content_type.to_owned()),
            ("x-amzn-RequestId", id.to_owned()),
            ("x-amz-apigw-id", extended_id(id)),
        ];
        Self {
            status,
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body,
            cause: None,
        }
    }

    /// The answer to API Gateway's own health checks; AWS does not document its body.
    pub(super) fn healthy() -> Self {
        Self {
            status: 200,
            headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
            body: b"healthy".to_vec(),
            cause: Some("API Gateway's health checks have the path for themselves"),
        }
    }

    /// The answer where no API takes the request.
    pub(super) fn forbidden(cause: &'static str, id: &str) -> Self {
        let body = br#"{"message":"Forbidden"}"#.to_vec();
        Self::new(403, "application/json", body, id)
            .with("x-amzn-ErrorType", "ForbiddenException")
            .because(cause)
    }

    /// The answer where the API has no such method.
    pub(super) fn unknown_method(exchange: &Exchange) -> Self {
        let message = "Missing Authentication Token";
        Self::of(Kind::MISSING_AUTHENTICATION_TOKEN, message, exchange)
            .because("the API has no such method, or wants it signed")
    }

    /// The answer where the headers are more than a private API takes.
    pub(super) fn headers_too_large(exchange: &Exchange) -> Self {
        let body = br#"{"message":"Request Header Fields Too Large"}"#.to_vec();
        Self::new(HEADERS_TOO_LARGE, "application/json", body, &exchange.id)
            .because("the headers come to more than 8,000 bytes")
    }

    /// The answer where a policy refuses; its default body spells `Message` unlike all others.
    pub(super) fn denied(
        whose: &'static str,
        decision: Decision,
        resource: &str,
        exchange: &Exchange,
    ) -> Self {
        let explicitly = if decision == Decision::ExplicitlyDenied {
            " with an explicit deny"
        } else {
            ""
        };
        let message = format!(
            "User: anonymous is not authorized to perform: execute-api:Invoke on resource: \
             {resource}{explicitly}"
        );
        let mut answer = Self::of(Kind::ACCESS_DENIED, &message, exchange);
        if own(Kind::ACCESS_DENIED.response, exchange).is_none() {
            answer.body = format!("{{\"Message\":{}}}", serde_json::json!(message)).into_bytes();
        }
        answer.because(whose)
    }

    /// The answer of a kind, as the API has it or as API Gateway has it.
    pub(in crate::sandbox) fn of(kind: Kind, message: &str, exchange: &Exchange) -> Self {
        let default = Definition::default().gateway_response(kind.response);
        let own = own(kind.response, exchange);
        let response = own.or(default.as_ref()).cloned().unwrap_or_default();
        let scope = Scope {
            exchange,
            body: &[],
            error: Some((message, kind.response)),
        };
        let (content_type, template) = chosen(&response);
        let body = template::render(template, &scope).unwrap_or_else(|problem| {
            tracing::warn!(
                response = kind.response,
                problem,
                "a template is not understood"
            );
            format!("{{\"message\":{}}}", serde_json::json!(message))
        });
        let status = response.status_code.as_deref();
        let status = status
            .and_then(|status| status.parse().ok())
            .unwrap_or(kind.status);
        let mut answer = Self::new(status, content_type, body.into_bytes(), &exchange.id)
            .with("x-amzn-ErrorType", kind.error);
        for (name, source) in &response.response_parameters {
            let name = name.trim_start_matches("gatewayresponse.header.");
            if let Some(value) = template::source(source, &scope) {
                answer = answer.with(name, &value);
            }
        }
        answer
    }

    /// The same answer with a header, in place of the one of that name.
    pub(in crate::sandbox) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same answer with its cause.
    fn because(self, cause: &'static str) -> Self {
        Self {
            cause: Some(cause),
            ..self
        }
    }

    /// The value of a header.
    #[cfg(test)]
    pub(in crate::sandbox) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The API's own gateway response of a type, or of the class that the type belongs to.
fn own<'e>(response_type: &str, exchange: &'e Exchange) -> Option<&'e GatewayResponse> {
    let default = Definition::default().gateway_response(response_type);
    let is_server = default
        .and_then(|default| default.status_code)
        .is_some_and(|status| status.starts_with('5'));
    let class = if is_server {
        "DEFAULT_5XX"
    } else {
        "DEFAULT_4XX"
    };
    let own = &exchange.gateway_responses;
    own.get(response_type).or_else(|| own.get(class))
}

/// The type and template of a gateway response: JSON's, where it has that.
fn chosen(response: &GatewayResponse) -> (&str, &str) {
    const JSON: &str = "application/json";
    const DEFAULT: &str = "{\"message\":$context.error.messageString}";
    let templates = &response.response_templates;
    let json = templates.get_key_value(JSON);
    let chosen = json.or_else(|| templates.first_key_value());
    chosen.map_or((JSON, DEFAULT), |(name, template)| (name, template))
}

/// The id that `x-amz-apigw-id` carries: sixteen characters that end as a base64 text does.
fn extended_id(id: &str) -> String {
    let characters = id.bytes().filter(u8::is_ascii_alphanumeric);
    let mut text: String = characters.rev().take(15).map(char::from).collect();
    text.push('=');
    text
}
