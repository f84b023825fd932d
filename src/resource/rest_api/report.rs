//! What AWS reports of an API's definition, as one digest.
//!
//! An import is not a function that could be repeated here, so drift is seen by comparing what AWS
//! reported right after it with what AWS reports now. Ids that AWS makes up are left out.

use std::collections::BTreeMap;

use aws_sdk_apigateway::types::{GatewayResponse, Integration, Method, Model, Resource, TlsConfig};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::aws::{Aws, pages};
use crate::error::Result;
use crate::resource::context::hex;

/// The most that API Gateway gives at once.
pub(in crate::resource) const PAGE: i32 = 500;

/// The digest of everything that AWS reports of the resources, gateway responses and models of an API.
pub(super) async fn digest(aws: &Aws, api: &str) -> Result<String> {
    let (resources, responses, models) = futures::try_join!(
        Box::pin(resources(aws, api)),
        Box::pin(gateway_responses(aws, api)),
        Box::pin(models(aws, api))
    )?;
    Ok(digest_of(&resources, &responses, &models))
}

fn digest_of(resources: &[Resource], responses: &[GatewayResponse], models: &[Model]) -> String {
    let report = json!({
        "resources": by_name(resources.iter().map(|one| (one.path(), methods(one)))),
        "gateway_responses": by_name(responses.iter().filter(|one| !one.default_response).map(gateway_response)),
        "models": by_name(models.iter().map(model)),
    });
    hex(&Sha256::digest(sorted(report).to_string()))
}

/// The resources of an API, with their methods and integrations.
///
/// # Errors
///
/// What AWS says.
pub(crate) async fn resources(aws: &Aws, api: &str) -> Result<Vec<Resource>> {
    pages(async |position| {
        let send = aws
            .apigateway
            .get_resources()
            .rest_api_id(api)
            .embed("methods")
            .limit(PAGE)
            .set_position(position);
        let page = aws.call("apigateway:GetResources", send.send()).await?;
        Ok((page.items.unwrap_or_default(), page.position))
    })
    .await
}

async fn gateway_responses(aws: &Aws, api: &str) -> Result<Vec<GatewayResponse>> {
    pages(async |position| {
        let send = aws
            .apigateway
            .get_gateway_responses()
            .rest_api_id(api)
            .limit(PAGE)
            .set_position(position);
        let page = aws
            .call("apigateway:GetGatewayResponses", send.send())
            .await?;
        Ok((page.items.unwrap_or_default(), page.position))
    })
    .await
}

async fn models(aws: &Aws, api: &str) -> Result<Vec<Model>> {
    pages(async |position| {
        let send = aws
            .apigateway
            .get_models()
            .rest_api_id(api)
            .limit(PAGE)
            .set_position(position);
        let page = aws.call("apigateway:GetModels", send.send()).await?;
        Ok((page.items.unwrap_or_default(), page.position))
    })
    .await
}

fn methods(resource: &Resource) -> Value {
    let methods = resource.resource_methods().into_iter().flatten();
    by_name(methods.map(|(verb, one)| (Some(verb.as_str()), method(resource, one))))
}

/// A method; which authorizer or validator it has is an id that AWS makes up, that it has one is not.
fn method(resource: &Resource, method: &Method) -> Value {
    let responses = method.method_responses().into_iter().flatten().map(|(status, response)| {
        let response = json!({ "parameters": response.response_parameters(), "models": response.response_models() });
        (Some(status.as_str()), response)
    });
    json!({
        "authorization": method.authorization_type(),
        "authorizer": method.authorizer_id().is_some(),
        "scopes": method.authorization_scopes(),
        "api_key": method.api_key_required(),
        "validator": method.request_validator_id().is_some(),
        "operation": method.operation_name(),
        "parameters": method.request_parameters(),
        "models": method.request_models(),
        "responses": by_name(responses),
        "integration": method.method_integration().map(|one| integration(resource, one)),
    })
}

fn integration(resource: &Resource, integration: &Integration) -> Value {
    let responses = integration
        .integration_responses()
        .into_iter()
        .flatten()
        .map(|(status, response)| {
            let response = json!({
                "pattern": response.selection_pattern(),
                "parameters": response.response_parameters(),
                "templates": response.response_templates(),
                "content_handling": text(response.content_handling()),
            });
            (Some(status.as_str()), response)
        });
    json!({
        "type": text(integration.r#type()),
        "method": integration.http_method(),
        "uri": integration.uri(),
        "connection_type": text(integration.connection_type()),
        "connection": integration.connection_id(),
        "credentials": integration.credentials(),
        "parameters": integration.request_parameters(),
        "templates": integration.request_templates(),
        "passthrough": integration.passthrough_behavior(),
        "content_handling": text(integration.content_handling()),
        "timeout": integration.timeout_in_millis(),
        // By default the cache is named after the resource's id.
        "cache": integration.cache_namespace().filter(|name| resource.id() != Some(*name)),
        "cache_keys": integration.cache_key_parameters(),
        "insecure_skip_verification": integration.tls_config().map(TlsConfig::insecure_skip_verification),
        "response_transfer": text(integration.response_transfer_mode()),
        "target": integration.integration_target(),
        "responses": by_name(responses),
    })
}

fn gateway_response(response: &GatewayResponse) -> (Option<&str>, Value) {
    let value = json!({
        "status": response.status_code(),
        "parameters": response.response_parameters(),
        "templates": response.response_templates(),
    });
    (text(response.response_type()), value)
}

fn model(model: &Model) -> (Option<&str>, Value) {
    // A schema is JSON as text; only what it says counts.
    let schema = model
        .schema()
        .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)));
    (
        model.name(),
        json!({ "content_type": model.content_type(), "schema": schema }),
    )
}

/// A value of one of AWS's enumerations as AWS writes it.
fn text<T: AsRef<str>>(value: Option<&T>) -> Option<&str> {
    value.map(AsRef::as_ref)
}

fn by_name<'a>(members: impl Iterator<Item = (Option<&'a str>, Value)>) -> Value {
    Value::Object(
        members
            .map(|(name, value)| (name.unwrap_or_default().to_owned(), value))
            .collect(),
    )
}

/// The same value with the keys of every object sorted: AWS's maps have no order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            Value::Object(Map::from_iter(members))
        }
        Value::Array(values) => values.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(id: &str, uri: &str) -> Resource {
        let integration = Integration::builder().uri(uri).cache_namespace(id).build();
        let method = Method::builder()
            .http_method("GET")
            .method_integration(integration)
            .build();
        Resource::builder()
            .id(id)
            .path("/pets")
            .resource_methods("GET", method)
            .build()
    }

    fn response(default: bool) -> GatewayResponse {
        GatewayResponse::builder()
            .status_code("403")
            .default_response(default)
            .build()
    }

    #[test]
    fn ids_that_aws_makes_up_do_not_count() {
        let digest = |id| digest_of(&[resource(id, "http://pets")], &[], &[]);
        assert_eq!(digest("abc123"), digest("xyz789"));
    }

    #[test]
    fn where_a_method_leads_counts() {
        let digest = |uri| digest_of(&[resource("abc123", uri)], &[], &[]);
        assert_ne!(digest("http://pets"), digest("http://evil"));
    }

    #[test]
    fn only_gateway_responses_of_the_api_itself_count() {
        let digest = |responses: &[GatewayResponse]| digest_of(&[], responses, &[]);
        assert_eq!(digest(&[response(true)]), digest(&[]));
        assert_ne!(digest(&[response(false)]), digest(&[]));
    }

    #[test]
    fn the_order_of_keys_and_resources_does_not_count() {
        let (a, b) = (
            resource("a", "http://a"),
            Resource::builder().id("b").path("/").build(),
        );
        assert_eq!(
            digest_of(&[a.clone(), b.clone()], &[], &[]),
            digest_of(&[b, a], &[], &[])
        );
    }
}
