//! What an API consists of: resources, methods, integrations, models, validators, gateway responses.
//!
//! The types are written as API Gateway answers them, member for member.

#![expect(
    clippy::struct_field_names,
    reason = "members have API Gateway's own names"
)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that an import replaces and a deployment freezes, besides the API's own properties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Definition {
    /// By id.
    pub(in crate::sandbox) resources: BTreeMap<String, Resource>,
    /// By name.
    pub(in crate::sandbox) models: BTreeMap<String, Model>,
    /// By id.
    pub(in crate::sandbox) validators: BTreeMap<String, RequestValidator>,
    /// By type; those that are not here are the defaults.
    pub(in crate::sandbox) gateway_responses: BTreeMap<String, GatewayResponse>,
}

/// One path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct Resource {
    /// Ten characters for the root, six for the others.
    pub(in crate::sandbox) id: String,
    /// None for the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) parent_id: Option<String>,
    /// The last part of the path; none for the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) path_part: Option<String>,
    /// The whole path.
    pub(in crate::sandbox) path: String,
    /// By HTTP method.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) resource_methods: BTreeMap<String, Method>,
}

/// One method of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct Method {
    /// `GET`, …, or `ANY`.
    pub(in crate::sandbox) http_method: String,
    /// `NONE` or `AWS_IAM`.
    pub(in crate::sandbox) authorization_type: String,
    /// Whether callers must send an API key.
    pub(in crate::sandbox) api_key_required: bool,
    /// The validator in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) request_validator_id: Option<String>,
    /// A name for generated clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) operation_name: Option<String>,
    /// `method.request.<where>.<name>`, and whether it is required.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) request_parameters: BTreeMap<String, bool>,
    /// Model names by content type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) request_models: BTreeMap<String, String>,
    /// By status code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) method_responses: BTreeMap<String, MethodResponse>,
    /// What answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) method_integration: Option<Integration>,
}

/// One answer that a method may give.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct MethodResponse {
    /// Three digits.
    pub(in crate::sandbox) status_code: String,
    /// `method.response.header.<name>`, and whether it is required.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) response_parameters: BTreeMap<String, bool>,
    /// Model names by content type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) response_models: BTreeMap<String, String>,
}

/// What answers a method's requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct Integration {
    /// `HTTP`, `HTTP_PROXY`, `AWS`, `AWS_PROXY` or `MOCK`.
    #[serde(rename = "type")]
    pub(in crate::sandbox) kind: String,
    /// The method that the backend is asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) http_method: Option<String>,
    /// Where the backend is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) uri: Option<String>,
    /// `INTERNET` or `VPC_LINK`, where it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) connection_type: Option<String>,
    /// The VPC link, or a stage variable that names it, where the type is `VPC_LINK`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) connection_id: Option<String>,
    /// The role that AWS services are called with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) credentials: Option<String>,
    /// `integration.request.<where>.<name>`, and where its value comes from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) request_parameters: BTreeMap<String, String>,
    /// Mapping templates by content type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) request_templates: BTreeMap<String, String>,
    /// What happens to bodies that no template is for.
    pub(in crate::sandbox) passthrough_behavior: String,
    /// How bodies are converted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) content_handling: Option<String>,
    /// How long the backend may take.
    pub(in crate::sandbox) timeout_in_millis: i64,
    /// The resource's id, unless another was given.
    pub(in crate::sandbox) cache_namespace: String,
    /// Parameters that cached answers differ by.
    pub(in crate::sandbox) cache_key_parameters: Vec<String>,
    /// By status code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) integration_responses: BTreeMap<String, IntegrationResponse>,
    /// How the backend's certificate is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) tls_config: Option<TlsConfig>,
}

/// How a backend's certificate is checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct TlsConfig {
    /// Whether its issuer need not be a public authority.
    pub(in crate::sandbox) insecure_skip_verification: bool,
}

/// How a backend's answer becomes the method's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct IntegrationResponse {
    /// The method response it becomes.
    pub(in crate::sandbox) status_code: String,
    /// The backend's answers that it is for; none for all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) selection_pattern: Option<String>,
    /// `method.response.header.<name>`, and where its value comes from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) response_parameters: BTreeMap<String, String>,
    /// Mapping templates by content type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::sandbox) response_templates: BTreeMap<String, String>,
    /// How bodies are converted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) content_handling: Option<String>,
}

/// The shape of a body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct Model {
    /// Six characters.
    pub(in crate::sandbox) id: String,
    /// Letters and digits.
    pub(in crate::sandbox) name: String,
    /// For readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) description: Option<String>,
    /// JSON Schema, as text.
    pub(in crate::sandbox) schema: String,
    /// Usually `application/json`.
    pub(in crate::sandbox) content_type: String,
}

/// What of a request is validated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct RequestValidator {
    /// Six characters.
    pub(in crate::sandbox) id: String,
    /// For readers.
    pub(in crate::sandbox) name: String,
    /// Whether the body has to fit its model.
    pub(in crate::sandbox) validate_request_body: bool,
    /// Whether required parameters have to be there.
    pub(in crate::sandbox) validate_request_parameters: bool,
}

/// What API Gateway itself answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sandbox) struct GatewayResponse {
    /// `ACCESS_DENIED`, …
    pub(in crate::sandbox) response_type: String,
    /// None for the two that stand for a whole class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) status_code: Option<String>,
    /// `gatewayresponse.header.<name>`, and where its value comes from.
    pub(in crate::sandbox) response_parameters: BTreeMap<String, String>,
    /// Templates by content type.
    pub(in crate::sandbox) response_templates: BTreeMap<String, String>,
    /// Whether it is API Gateway's own.
    pub(in crate::sandbox) default_response: bool,
}

/// The methods that a resource may have.
pub(super) const HTTP_METHODS: &[&str] = &[
    "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "ANY",
];

/// The longest time that an integration may take, which is also the default.
pub(super) const LONGEST_TIMEOUT: i64 = 29_000;

/// The type, status code and default of the gateway responses.
const GATEWAY_RESPONSES: &[(&str, Option<&str>)] = &[
    ("ACCESS_DENIED", Some("403")),
    ("API_CONFIGURATION_ERROR", Some("500")),
    ("AUTHORIZER_CONFIGURATION_ERROR", Some("500")),
    ("AUTHORIZER_FAILURE", Some("500")),
    ("BAD_REQUEST_BODY", Some("400")),
    ("BAD_REQUEST_PARAMETERS", Some("400")),
    ("DEFAULT_4XX", None),
    ("DEFAULT_5XX", None),
    ("EXPIRED_TOKEN", Some("403")),
    ("INTEGRATION_FAILURE", Some("504")),
    ("INTEGRATION_TIMEOUT", Some("504")),
    ("INVALID_API_KEY", Some("403")),
    ("INVALID_SIGNATURE", Some("403")),
    ("MISSING_AUTHENTICATION_TOKEN", Some("403")),
    ("QUOTA_EXCEEDED", Some("429")),
    ("REQUEST_TOO_LARGE", Some("413")),
    ("RESOURCE_NOT_FOUND", Some("404")),
    ("THROTTLED", Some("429")),
    ("UNAUTHORIZED", Some("401")),
    ("UNSUPPORTED_MEDIA_TYPE", Some("415")),
    ("WAF_FILTERED", Some("403")),
];

impl Definition {
    /// An API that nothing has been added to: its root and the two models it is made with.
    pub(super) fn new(root_id: &str, mut model_id: impl FnMut() -> String) -> Self {
        let root = Resource {
            id: root_id.to_owned(),
            path: "/".to_owned(),
            ..Resource::default()
        };
        let mut model = |name: &str, title: &str, rest: &str| Model {
            id: model_id(),
            name: name.to_owned(),
            description: Some(format!(
                "This is a default {} schema model",
                name.to_lowercase()
            )),
            schema: format!(
                "{{\n  \"$schema\" : \"http://json-schema.org/draft-04/schema#\",\n  \"title\" : \
                 \"{title}\",\n  \"type\" : \"object\"{rest}\n}}"
            ),
            content_type: "application/json".to_owned(),
        };
        let message = ",\n  \"properties\" : {\n    \"message\" : { \"type\" : \"string\" }\n  }";
        let models = [
            model("Empty", "Empty Schema", ""),
            model("Error", "Error Schema", message),
        ];
        Self {
            resources: BTreeMap::from([(root.id.clone(), root)]),
            models: models.map(|model| (model.name.clone(), model)).into(),
            ..Self::default()
        }
    }

    /// The resource of a path.
    pub(in crate::sandbox) fn resource_at(&self, path: &str) -> Option<&Resource> {
        self.resources
            .values()
            .find(|resource| resource.path == path)
    }

    /// The resources directly below one.
    pub(super) fn children(&self, id: &str) -> impl Iterator<Item = &Resource> {
        self.resources
            .values()
            .filter(move |resource| resource.parent_id.as_deref() == Some(id))
    }

    /// All methods with the paths of their resources.
    pub(super) fn methods(&self) -> impl Iterator<Item = (&str, &Method)> {
        self.resources.values().flat_map(|resource| {
            resource
                .resource_methods
                .values()
                .map(|method| (resource.path.as_str(), method))
        })
    }

    /// The gateway responses in force: the API's own, and the defaults for the rest.
    pub(in crate::sandbox) fn gateway_response(
        &self,
        response_type: &str,
    ) -> Option<GatewayResponse> {
        let own = self.gateway_responses.get(response_type).cloned();
        own.or_else(|| GatewayResponse::default_of(response_type))
    }

    /// Why a method cannot be put as it is, in API Gateway's words.
    pub(super) fn check_method(&self, method: &Method) -> Result<(), String> {
        if !HTTP_METHODS.contains(&method.http_method.as_str()) {
            return Err("Invalid HTTP method specified".to_owned());
        }
        for name in method.request_parameters.keys() {
            if !is_parameter(name, "method.request", &["path", "querystring", "header"]) {
                return Err(invalid_mapping(name));
            }
        }
        if let Some(id) = &method.request_validator_id
            && !self.validators.contains_key(id)
        {
            return Err("Invalid Request Validator identifier specified".to_owned());
        }
        let responses = method.method_responses.values();
        let models = responses.flat_map(|response| response.response_models.values());
        for name in method.request_models.values().chain(models) {
            if !self.models.contains_key(name) {
                return Err(format!("Invalid model identifier specified: {name}"));
            }
        }
        Ok(())
    }
}

impl GatewayResponse {
    /// API Gateway's own answer of a type.
    fn default_of(response_type: &str) -> Option<Self> {
        let (name, status) = GATEWAY_RESPONSES
            .iter()
            .find(|(name, _)| *name == response_type)?;
        let template = "{\"message\":$context.error.messageString}";
        Some(Self {
            response_type: (*name).to_owned(),
            status_code: status.map(str::to_owned),
            response_parameters: BTreeMap::new(),
            response_templates: BTreeMap::from([(
                "application/json".to_owned(),
                template.to_owned(),
            )]),
            default_response: true,
        })
    }

    /// The types there are, in their order.
    pub(super) fn types() -> impl Iterator<Item = &'static str> {
        GATEWAY_RESPONSES.iter().map(|(name, _)| *name)
    }
}

impl MethodResponse {
    /// Why the response cannot be put as it is.
    pub(super) fn check(&self) -> Result<(), String> {
        check_status(&self.status_code)?;
        for name in self.response_parameters.keys() {
            if !is_parameter(name, "method.response", &["header"]) {
                return Err(invalid_mapping(name));
            }
        }
        Ok(())
    }
}

impl Integration {
    /// An integration with API Gateway's defaults.
    pub(super) fn new(kind: &str, resource_id: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            passthrough_behavior: "WHEN_NO_MATCH".to_owned(),
            timeout_in_millis: LONGEST_TIMEOUT,
            cache_namespace: resource_id.to_owned(),
            ..Self::default()
        }
    }

    /// Whether the backend is asked over HTTP.
    fn is_http(&self) -> bool {
        self.kind.starts_with("HTTP")
    }

    /// Why the integration cannot be put on the method, in API Gateway's words.
    pub(super) fn check(&self, method: &Method) -> Result<(), String> {
        self.check_target()?;
        if !(50..=LONGEST_TIMEOUT).contains(&self.timeout_in_millis) {
            return Err(format!(
                "Timeout should be between 50 ms and {LONGEST_TIMEOUT} ms"
            ));
        }
        if !matches!(
            self.passthrough_behavior.as_str(),
            "WHEN_NO_MATCH" | "WHEN_NO_TEMPLATES" | "NEVER"
        ) {
            return Err("Invalid passthrough behavior specified".to_owned());
        }
        self.check_connection()?;
        if self.tls_config.is_some() && !self.is_http() {
            return Err(
                "TlsConfig is only supported for HTTP and HTTP_PROXY integrations".to_owned(),
            );
        }
        for (name, source) in &self.request_parameters {
            if !is_parameter(
                name,
                "integration.request",
                &["path", "querystring", "header"],
            ) {
                return Err(invalid_mapping(name));
            }
            let undeclared =
                is_parameter(source, "method.request", &["path", "querystring", "header"])
                    && !method.request_parameters.contains_key(source);
            if undeclared || !is_request_source(source) {
                return Err(invalid_mapping(source));
            }
        }
        Ok(())
    }

    /// Whether the backend is behind a VPC link.
    pub(in crate::sandbox) fn is_by_link(&self) -> bool {
        self.connection_type.as_deref() == Some("VPC_LINK")
    }

    /// The VPC link by its id, with the variables of a stage; none where it is not known without.
    pub(in crate::sandbox) fn link(&self, variables: &BTreeMap<String, String>) -> Option<String> {
        let id = self
            .connection_id
            .as_deref()
            .filter(|_| self.is_by_link())?;
        match stage_variable(id) {
            Some(name) => variables.get(name).cloned(),
            None => Some(id.to_owned()),
        }
    }

    /// Why the backend cannot be connected to in the way that is asked for.
    fn check_connection(&self) -> Result<(), String> {
        match self.connection_type.as_deref() {
            None | Some("INTERNET") => match self.connection_id {
                Some(_) => {
                    Err("ConnectionId is only supported for VPC_LINK connections".to_owned())
                }
                None => Ok(()),
            },
            Some("VPC_LINK") if !self.is_http() => Err(
                "VPC_LINK connections are only supported for HTTP and HTTP_PROXY integrations"
                    .to_owned(),
            ),
            Some("VPC_LINK") => match self.connection_id.as_deref() {
                None | Some("") => {
                    Err("ConnectionId is required for VPC_LINK connections".to_owned())
                }
                Some(_) => Ok(()),
            },
            Some(_) => Err("Invalid connection type specified".to_owned()),
        }
    }

    /// Why the integration has no usable backend.
    fn check_target(&self) -> Result<(), String> {
        let uri = self.uri.as_deref().unwrap_or_default();
        match self.kind.as_str() {
            "MOCK" => return Ok(()),
            "HTTP" | "HTTP_PROXY" => {
                let is_url = uri.starts_with("http://") || uri.starts_with("https://");
                if !is_url && !uri.starts_with("${stageVariables.") {
                    return Err("Invalid HTTP endpoint specified for URI".to_owned());
                }
            }
            "AWS" | "AWS_PROXY" => {
                if !uri.starts_with("arn:") || uri.splitn(6, ':').count() < 6 {
                    return Err("Invalid ARN specified in the request".to_owned());
                }
                if !uri.contains(":path/") && !uri.contains(":action/") {
                    return Err("AWS ARN for integration must contain path or action".to_owned());
                }
            }
            _ => return Err("Invalid integration type specified".to_owned()),
        }
        match self.http_method.as_deref() {
            Some(method) if HTTP_METHODS.contains(&method) => Ok(()),
            _ => Err("Enumeration value for HttpMethod must be non-empty".to_owned()),
        }
    }
}

impl IntegrationResponse {
    /// Why the response cannot be put on the method's integration.
    pub(super) fn check(&self, method: &Method) -> Result<(), String> {
        check_status(&self.status_code)?;
        let Some(response) = method.method_responses.get(&self.status_code) else {
            return Err("Invalid Response status code specified".to_owned());
        };
        for (name, source) in &self.response_parameters {
            if !response.response_parameters.contains_key(name) {
                return Err(invalid_mapping(name));
            }
            let known = ["integration.response.", "context.", "stageVariables.", "'"];
            if !known.iter().any(|prefix| source.starts_with(prefix)) {
                return Err(invalid_mapping(source));
            }
        }
        Ok(())
    }
}

/// The name of the stage variable that a text consists of: `${stageVariables.name}`.
pub(super) fn stage_variable(text: &str) -> Option<&str> {
    text.strip_prefix("${stageVariables.")?.strip_suffix('}')
}

/// Whether a text can be a resource's part of the path.
pub(super) fn check_path_part(part: &str) -> Result<(), String> {
    let inner = variable_of(part).unwrap_or(part);
    let inner = inner
        .strip_suffix('+')
        .filter(|_| is_variable(part))
        .unwrap_or(inner);
    let fits = |character: char| character.is_ascii_alphanumeric() || "._-:".contains(character);
    if inner.is_empty() || !inner.chars().all(fits) {
        return Err(
            "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and \
             curly braces at the beginning and the end."
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether a path part stands for any text.
pub(super) fn is_variable(part: &str) -> bool {
    variable_of(part).is_some()
}

/// The name in the braces of a variable path part, with the `+` of a greedy one.
fn variable_of(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// The text of a model's schema, laid out.
pub(super) fn schema_text(schema: &Value) -> String {
    format!("{schema:#}")
}

/// Refuses what is no status code.
fn check_status(code: &str) -> Result<(), String> {
    let is_code = code.len() == 3
        && matches!(code.as_bytes()[0], b'1'..=b'5')
        && code.bytes().all(|byte| byte.is_ascii_digit());
    if is_code {
        Ok(())
    } else {
        Err("Invalid Response status code specified".to_owned())
    }
}

/// Whether `text` is `<prefix>.<place>.<name>` with one of the places.
fn is_parameter(text: &str, prefix: &str, places: &[&str]) -> bool {
    let inner = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('.'));
    inner
        .and_then(|inner| inner.split_once('.'))
        .is_some_and(|(place, name)| {
            let place = match place {
                "multivaluequerystring" => "querystring",
                "multivalueheader" => "header",
                place => place,
            };
            places.contains(&place) && !name.is_empty()
        })
}

/// Whether a request parameter of an integration may come from there.
fn is_request_source(source: &str) -> bool {
    let quoted = source.len() > 1 && source.starts_with('\'') && source.ends_with('\'');
    quoted
        || ["method.request.", "context.", "stageVariables."]
            .iter()
            .any(|prefix| source.starts_with(prefix))
}

/// API Gateway's words for a parameter that it cannot map.
fn invalid_mapping(parameter: &str) -> String {
    format!(
        "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid \
         mapping expression parameter specified: {parameter}]"
    )
}
