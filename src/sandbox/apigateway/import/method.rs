//! Imports of methods: parameters, responses, protection and integrations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Importer, check_extensions, number_or_text};
use crate::sandbox::apigateway::definition::{
    HTTP_METHODS, Integration, IntegrationResponse, Method, MethodResponse, TlsConfig,
};
use crate::sandbox::apigateway::{text_map, vpc_link};
use crate::sandbox::world::Refusal;

/// The extensions that a method may have.
const EXTENSIONS: &[&str] = &[
    "x-amazon-apigateway-auth",
    "x-amazon-apigateway-integration",
    "x-amazon-apigateway-request-validator",
];

/// The members that an integration may have.
const INTEGRATION: &[&str] = &[
    "cacheKeyParameters",
    "cacheNamespace",
    "connectionId",
    "connectionType",
    "contentHandling",
    "credentials",
    "httpMethod",
    "passthroughBehavior",
    "requestParameters",
    "requestTemplates",
    "responses",
    "timeoutInMillis",
    "tlsConfig",
    "type",
    "uri",
];

/// The members that an integration's response may have.
const RESPONSE: &[&str] = &[
    "contentHandling",
    "responseParameters",
    "responseTemplates",
    "statusCode",
];

/// A method's place in the document.
struct Place<'d> {
    path: String,
    http_method: String,
    /// The path's members, of which the parameters hold for all methods.
    item: &'d Value,
    operation: &'d Value,
}

impl Place<'_> {
    /// A problem with the method, in API Gateway's words.
    fn problem(&self, what: &str) -> String {
        format!(
            "Unable to put method '{}' on resource at path '{}': {what}",
            self.http_method, self.path
        )
    }

    /// A problem with the method's integration.
    fn integration_problem(&self, what: &str) -> String {
        format!(
            "Unable to put integration on '{}' for resource at path '{}': {what}",
            self.http_method, self.path
        )
    }
}

impl<'a> Importer<'a> {
    /// Reads the methods of a path into its resource.
    pub(super) fn read_methods(
        &mut self,
        resource_id: &str,
        item: &'a Value,
    ) -> Result<(), Refusal> {
        for (name, operation) in Self::members(item) {
            let http_method = match name.as_str() {
                "x-amazon-apigateway-any-method" => "ANY".to_owned(),
                "trace" => {
                    self.warnings
                        .push("TRACE methods are not supported".to_owned());
                    continue;
                }
                "$ref" => return Err(self.not_modelled("paths.$ref")),
                name if name.starts_with("x-amazon-apigateway-") => {
                    return Err(self.not_modelled(name));
                }
                name => name.to_ascii_uppercase(),
            };
            if !HTTP_METHODS.contains(&http_method.as_str()) || name == "any" {
                continue;
            }
            let path = self.definition.resources[resource_id].path.clone();
            let place = Place {
                path,
                http_method,
                item,
                operation,
            };
            check_extensions(self.operation, operation, EXTENSIONS)?;
            let method = self.read_method(resource_id, &place)?;
            if let Some(resource) = self.definition.resources.get_mut(resource_id) {
                resource
                    .resource_methods
                    .insert(place.http_method.clone(), method);
            }
        }
        Ok(())
    }

    /// The refusal of something in the document that is not modelled.
    fn not_modelled(&self, what: &str) -> Refusal {
        Refusal::not_modelled(self.operation, what)
    }

    /// Refuses members other than the known ones.
    fn check_members(&self, place: &str, value: &Value, known: &[&str]) -> Result<(), Refusal> {
        let names = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        let unknown = names
            .filter(|name| !name.starts_with("x-"))
            .find(|name| !known.contains(name));
        unknown.map_or(Ok(()), |name| {
            Err(self.not_modelled(&format!("{place}.{name}")))
        })
    }

    /// Reads one method with all that belongs to it.
    fn read_method(&mut self, resource_id: &str, place: &Place<'a>) -> Result<Method, Refusal> {
        let mut method = Method {
            http_method: place.http_method.clone(),
            authorization_type: "NONE".to_owned(),
            operation_name: place.operation["operationId"].as_str().map(str::to_owned),
            ..Method::default()
        };
        self.read_protection(&mut method, place)?;
        self.read_validator(&mut method, place);
        self.read_parameters(&mut method, place);
        self.read_responses(&mut method, place);
        if let Err(problem) = self.definition.check_method(&method) {
            self.errors.push(place.problem(&problem));
            return Ok(method);
        }
        let given = &place.operation["x-amazon-apigateway-integration"];
        if !given.is_null() {
            method.method_integration =
                self.read_integration(resource_id, &method, place, given)?;
        }
        Ok(method)
    }

    /// Reads how callers have to identify themselves.
    fn read_protection(&mut self, method: &mut Method, place: &Place<'a>) -> Result<(), Refusal> {
        if let Some(kind) = place.operation["x-amazon-apigateway-auth"]["type"].as_str() {
            match kind.to_ascii_uppercase().as_str() {
                kind @ ("NONE" | "AWS_IAM") => kind.clone_into(&mut method.authorization_type),
                kind => {
                    return Err(self.not_modelled(&format!("x-amazon-apigateway-auth.type={kind}")));
                }
            }
        }
        let schemes = if self.is_version_2() {
            &self.document["securityDefinitions"]
        } else {
            &self.document["components"]["securitySchemes"]
        };
        let own = &place.operation["security"];
        let requirements = if own.is_null() {
            &self.document["security"]
        } else {
            own
        };
        let names = requirements
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(Self::members);
        for (name, _) in names {
            let scheme = &schemes[name.as_str()];
            if !scheme["x-amazon-apigateway-authorizer"].is_null() {
                return Err(self.not_modelled("x-amazon-apigateway-authorizer"));
            }
            if scheme["x-amazon-apigateway-authtype"] == "awsSigv4" {
                "AWS_IAM".clone_into(&mut method.authorization_type);
            } else if scheme["type"] == "apiKey" && scheme["name"] == "x-api-key" {
                method.api_key_required = true;
            } else {
                self.warnings
                    .push(place.problem(&format!("Security scheme '{name}' is not supported")));
            }
        }
        Ok(())
    }

    /// Reads which validator the method has: its own, or the document's.
    fn read_validator(&mut self, method: &mut Method, place: &Place<'a>) {
        let extension = "x-amazon-apigateway-request-validator";
        let own = place.operation[extension].as_str();
        if let Some(name) = own.or(self.document[extension].as_str()) {
            method.request_validator_id = self.validator_id(name);
            if method.request_validator_id.is_none() {
                let problem = format!("Invalid request validator specified: {name}");
                self.errors.push(place.problem(&problem));
            }
        }
    }

    /// Reads the parameters of the path and of the method, and the body's model.
    fn read_parameters(&mut self, method: &mut Method, place: &Place<'a>) {
        let lists = [&place.item["parameters"], &place.operation["parameters"]];
        for parameter in lists.into_iter().filter_map(Value::as_array).flatten() {
            let parameter = self.resolved(parameter);
            let name = parameter["name"].as_str().unwrap_or_default();
            let required = parameter["required"].as_bool().unwrap_or(false);
            let within = match parameter["in"].as_str().unwrap_or_default() {
                "path" => "path",
                "query" => "querystring",
                "header" => "header",
                "body" => {
                    for content_type in self.media_types("consumes", place) {
                        let model = self.model_name(&parameter["schema"]);
                        method.request_models.insert(content_type, model);
                    }
                    continue;
                }
                other => {
                    let problem = format!("Parameters in '{other}' are not supported: {name}");
                    self.warnings.push(place.problem(&problem));
                    continue;
                }
            };
            method
                .request_parameters
                .insert(format!("method.request.{within}.{name}"), required);
        }
        let body = self.resolved(&place.operation["requestBody"]);
        for (content_type, media) in Self::members(&body["content"]) {
            if !media["schema"].is_null() {
                let model = self.model_name(&media["schema"]);
                method.request_models.insert(content_type.clone(), model);
            }
        }
    }

    /// The content types that Swagger 2.0 gives for the method, or else for the document.
    fn media_types(&self, list: &str, place: &Place<'_>) -> Vec<String> {
        let own = place.operation[list].as_array();
        let types = own.or(self.document[list].as_array()).into_iter().flatten();
        let types: Vec<String> = types.filter_map(Value::as_str).map(str::to_owned).collect();
        if types.is_empty() {
            vec!["application/json".to_owned()]
        } else {
            types
        }
    }

    /// Reads the answers that the method may give.
    fn read_responses(&mut self, method: &mut Method, place: &Place<'a>) {
        for (status_code, response) in Self::members(&place.operation["responses"]) {
            if status_code.starts_with("x-") {
                continue;
            }
            if status_code == "default" {
                let problem = "The default response is not supported and was ignored";
                self.warnings.push(place.problem(problem));
                continue;
            }
            let response = self.resolved(response);
            let headers = Self::members(&response["headers"]);
            let mut answer = MethodResponse {
                status_code: status_code.clone(),
                response_parameters: headers
                    .map(|(name, _)| (format!("method.response.header.{name}"), false))
                    .collect(),
                response_models: BTreeMap::new(),
            };
            if !response["schema"].is_null() {
                for content_type in self.media_types("produces", place) {
                    let model = self.model_name(&response["schema"]);
                    answer.response_models.insert(content_type, model);
                }
            }
            for (content_type, media) in Self::members(&response["content"]) {
                if !media["schema"].is_null() {
                    let model = self.model_name(&media["schema"]);
                    answer.response_models.insert(content_type.clone(), model);
                }
            }
            match answer.check() {
                Ok(()) => {
                    method.method_responses.insert(status_code.clone(), answer);
                }
                Err(problem) => self.errors.push(place.problem(&problem)),
            }
        }
    }

    /// Reads `x-amazon-apigateway-integration`; none if it is wrong, which is noted.
    fn read_integration(
        &mut self,
        resource_id: &str,
        method: &Method,
        place: &Place<'a>,
        given: &'a Value,
    ) -> Result<Option<Integration>, Refusal> {
        let extension = "x-amazon-apigateway-integration";
        self.check_members(extension, given, INTEGRATION)?;
        self.check_members(
            "tlsConfig",
            &given["tlsConfig"],
            &["insecureSkipVerification"],
        )?;
        let text = |name: &str| given[name].as_str().map(str::to_owned);
        let upper = |name: &str| given[name].as_str().map(str::to_ascii_uppercase);
        let kind = upper("type").unwrap_or_default();
        let defaults = Integration::new(&kind, resource_id);
        let keys = given["cacheKeyParameters"].as_array().into_iter().flatten();
        let mut integration = Integration {
            http_method: upper("httpMethod"),
            uri: text("uri"),
            connection_type: upper("connectionType"),
            connection_id: text("connectionId"),
            credentials: text("credentials"),
            request_parameters: text_map(&given["requestParameters"]),
            request_templates: text_map(&given["requestTemplates"]),
            passthrough_behavior: upper("passthroughBehavior")
                .unwrap_or(defaults.passthrough_behavior),
            content_handling: upper("contentHandling"),
            timeout_in_millis: given["timeoutInMillis"]
                .as_i64()
                .unwrap_or(defaults.timeout_in_millis),
            cache_namespace: text("cacheNamespace").unwrap_or(defaults.cache_namespace),
            cache_key_parameters: keys.filter_map(Value::as_str).map(str::to_owned).collect(),
            tls_config: given["tlsConfig"]["insecureSkipVerification"]
                .as_bool()
                .map(|insecure_skip_verification| TlsConfig {
                    insecure_skip_verification,
                }),
            kind,
            integration_responses: BTreeMap::new(),
        };
        let links = &self.world.region(self.region).apigateway;
        let link = vpc_link::check_integration(links, &integration);
        if let Err(problem) = integration.check(method).and(link) {
            self.errors.push(place.integration_problem(&problem));
            return Ok(None);
        }
        self.read_integration_responses(&mut integration, method, place, given)?;
        Ok(Some(integration))
    }

    /// Reads how the backend's answers become the method's.
    fn read_integration_responses(
        &mut self,
        integration: &mut Integration,
        method: &Method,
        place: &Place<'a>,
        given: &'a Value,
    ) -> Result<(), Refusal> {
        for (pattern, response) in Self::members(&given["responses"]) {
            self.check_members("responses", response, RESPONSE)?;
            let answer = IntegrationResponse {
                status_code: number_or_text(&response["statusCode"]).unwrap_or_default(),
                selection_pattern: Some(pattern.clone()).filter(|pattern| pattern != "default"),
                response_parameters: text_map(&response["responseParameters"]),
                response_templates: text_map(&response["responseTemplates"]),
                content_handling: response["contentHandling"].as_str().map(str::to_owned),
            };
            match answer.check(method) {
                Ok(()) => {
                    integration
                        .integration_responses
                        .insert(answer.status_code.clone(), answer);
                }
                Err(problem) => self.errors.push(format!(
                    "Unable to put integration response on '{pattern}' for method '{}' on resource \
                     at path '{}': {problem}",
                    place.http_method, place.path
                )),
            }
        }
        Ok(())
    }
}
