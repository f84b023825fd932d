//! What API Gateway exports of a stage: the definition that its deployment froze.
//!
//! IAM: apigateway:GET on /restapis/*/stages/*/exports/*.
//! AWS: API Gateway REST API Reference, `GetExport`.

use std::collections::BTreeSet;

use aws_sdk_apigateway::types::Resource;
use serde_json::{Map, Value};

use super::report;
use crate::aws::Aws;
use crate::error::{Error, Result};

/// What of a document the stack file decides about, or AWS makes up.
const NOT_COMPARED: [&str; 7] = [
    "info",
    "servers",
    "host",
    "basePath",
    "schemes",
    "x-amazon-apigateway-policy",
    "x-amazon-apigateway-endpoint-configuration",
];

/// What a stage serves, as an `OpenAPI` 3.0 document that can be imported again; `None` where there is
/// no such stage.
///
/// # Errors
///
/// What could not be read, or is no JSON.
pub(crate) async fn export(aws: &Aws, api: &str, stage: &str) -> Result<Option<Value>> {
    let send = aws
        .apigateway
        .get_export()
        .rest_api_id(api)
        .stage_name(stage)
        .export_type("oas30")
        .parameters("extensions", "apigateway")
        .accepts("application/json")
        .send();
    let answer = match aws.call("apigateway:GetExport", send).await {
        Err(error) if error.is("NotFound") => return Ok(None),
        other => other?,
    };
    let body = answer
        .body
        .map(aws_sdk_apigateway::primitives::Blob::into_inner)
        .unwrap_or_default();
    let document = serde_json::from_slice(&body).map_err(|error| {
        Error::refused(format!(
            "what API Gateway exports of the stage `{stage}` of the API `{api}` is no JSON: {error}"
        ))
    })?;
    Ok(Some(document))
}

/// An exported document as a stack file refers to it: without what the stack file says itself.
pub(crate) fn definition_of(exported: &Value) -> Value {
    let mut document = exported.clone();
    if let Some(members) = document.as_object_mut() {
        for member in NOT_COMPARED.iter().filter(|member| **member != "info") {
            members.shift_remove(*member);
        }
    }
    document
}

/// Whether two documents define the same API.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    compared(one) == compared(other)
}

fn compared(document: &Value) -> Map<String, Value> {
    let members = document.as_object().cloned().unwrap_or_default();
    let is_compared = |(name, _): &(String, Value)| !NOT_COMPARED.contains(&name.as_str());
    members.into_iter().filter(is_compared).collect()
}

/// Whether an API is now what was deployed, as far as paths, methods and integrations tell.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn is_deployed(aws: &Aws, api: &str, exported: &Value) -> Result<bool> {
    let resources = report::resources(aws, api).await?;
    Ok(outline_of_live(&resources) == outline(exported))
}

/// Path, method, kind and target of every integration.
type Outline = BTreeSet<(String, String, String, String)>;

fn outline_of_live(resources: &[Resource]) -> Outline {
    let methods = resources.iter().flat_map(|resource| {
        let path = resource.path().unwrap_or_default();
        let methods = resource.resource_methods().into_iter().flatten();
        methods.map(move |(verb, method)| {
            let integration = method.method_integration();
            let kind = integration.and_then(|one| one.r#type()).map(AsRef::as_ref);
            let uri = integration.and_then(|one| one.uri());
            entry(path, verb, kind, uri)
        })
    });
    methods.collect()
}

fn outline(document: &Value) -> Outline {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods
            .filter(|(verb, _)| !["parameters", "summary", "description"].contains(&verb.as_str()))
            .map(move |(verb, method)| {
                let verb = verb
                    .strip_prefix("x-amazon-apigateway-any-method")
                    .map_or(verb.as_str(), |_| "any");
                let integration = &method["x-amazon-apigateway-integration"];
                let kind = integration["type"].as_str();
                entry(path, verb, kind, integration["uri"].as_str())
            })
    });
    methods.collect()
}

/// Documents write kinds in either case: `http_proxy`, `HTTP_PROXY`.
fn entry(
    path: &str,
    verb: &str,
    kind: Option<&str>,
    uri: Option<&str>,
) -> (String, String, String, String) {
    (
        path.to_owned(),
        verb.to_ascii_uppercase(),
        kind.unwrap_or_default().to_ascii_uppercase(),
        uri.unwrap_or_default().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_apigateway::types::{Integration, IntegrationType, Method};
    use serde_json::json;

    fn exported() -> Value {
        let integration = json!({"type": "http", "uri": "http://pets"});
        json!({
            "openapi": "3.0.1",
            "info": {"title": "PetStore", "version": "2026-01-01T00:00:00Z"},
            "servers": [{"url": "https://x"}],
            "x-amazon-apigateway-policy": {},
            "paths": {"/pets": {"get": {"x-amazon-apigateway-integration": integration}}},
        })
    }

    #[test]
    fn the_stack_file_decides_about_servers_and_policy() {
        let definition = definition_of(&exported());
        let members = definition.as_object().unwrap().keys();
        assert_eq!(members.collect::<Vec<_>>(), ["openapi", "info", "paths"]);
        assert!(is_same(&definition, &exported()));
        let mut other = exported();
        other["paths"]["/pets"]["post"] = json!({});
        assert!(!is_same(&definition, &other));
    }

    #[test]
    fn a_method_that_was_not_deployed_is_seen() {
        let live = |verb: &str| {
            let integration = Integration::builder()
                .r#type(IntegrationType::Http)
                .uri("http://pets");
            let method = Method::builder().method_integration(integration.build());
            let resource = Resource::builder().path("/pets");
            resource.resource_methods(verb, method.build()).build()
        };
        assert_eq!(outline_of_live(&[live("GET")]), outline(&exported()));
        assert_ne!(outline_of_live(&[live("POST")]), outline(&exported()));
    }
}
