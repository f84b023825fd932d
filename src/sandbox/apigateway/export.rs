//! Exports of stages: from what a deployment froze to an `OpenAPI` 3.0 document.
//!
//! Only JSON with API Gateway's own extensions is made; importing it again gives the same definition.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::definition::{Definition, Integration, Method, MethodResponse};
use super::rest_api::RestApi;
use super::{api, bad_request, not_found, text_map};
use crate::sandbox::world::{Call, Refusal, World};

/// Answers the call that exports.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    (call.operation == "GetExport").then(|| get(world, call))
}

/// `GetExport`: `oas30` as JSON with the extensions of API Gateway.
fn get(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let kind = call.required("exportType");
    if !["oas30", "swagger", "sdk"].contains(&kind) {
        return Err(bad_request(format!("Invalid export type {kind}")));
    }
    if kind != "oas30" {
        return Err(Refusal::not_modelled("GetExport", kind));
    }
    for (name, value) in text_map(&call.input["parameters"]) {
        let modelled = name == "extensions" && ["apigateway", "integrations"].contains(&&*value);
        if !modelled {
            let what = format!("parameters.{name}={value}");
            return Err(Refusal::not_modelled("GetExport", &what));
        }
    }
    if call
        .text("accepts")
        .is_some_and(|accepts| accepts != "application/json")
    {
        return Err(Refusal::not_modelled(
            "GetExport",
            "accepts other than JSON",
        ));
    }
    let region = call.region.to_owned();
    let stage = call.required("stageName").to_owned();
    let api = api(world, call)?;
    let document = document(api, &region, &stage)?;
    let body = STANDARD.encode(format!("{document:#}"));
    Ok(json!({
        "contentType": "application/json",
        "contentDisposition": format!("attachment; filename=\"oas30_{}.json\"", stage),
        "body": body,
    }))
}

fn document(api: &RestApi, region: &str, stage: &str) -> Result<Value, Refusal> {
    let served = api
        .stages
        .get(stage)
        .and_then(|stage| api.deployments.get(&stage.deployment_id))
        .ok_or_else(|| not_found("Invalid stage identifier specified"))?;
    let definition = &served.definition;
    let mut document = json!({
        "openapi": "3.0.1",
        "info": api.exported_info(),
        "servers": [{
            "url": format!("https://{}.execute-api.{region}.amazonaws.com/{{basePath}}", api.id),
            "variables": { "basePath": { "default": stage } },
        }],
        "paths": paths(definition),
        "components": components(definition),
    });
    if let Some(policy) = &served.properties.policy {
        document["x-amazon-apigateway-policy"] = policy.clone();
    }
    if !served.properties.vpc_endpoint_ids.is_empty() {
        document["servers"][0]["x-amazon-apigateway-endpoint-configuration"] =
            json!({ "vpcEndpointIds": served.properties.vpc_endpoint_ids });
    }
    let responses: Map<String, Value> = definition
        .gateway_responses
        .iter()
        .map(|(name, response)| {
            let mut exported = json!({
                "responseParameters": response.response_parameters,
                "responseTemplates": response.response_templates,
            });
            if let Some(status) = &response.status_code {
                exported["statusCode"] = status.as_str().into();
            }
            (name.clone(), exported)
        })
        .collect();
    if !responses.is_empty() {
        document["x-amazon-apigateway-gateway-responses"] = responses.into();
    }
    let validators: Map<String, Value> = definition
        .validators
        .values()
        .map(|one| {
            let exported = json!({
                "validateRequestBody": one.validate_request_body,
                "validateRequestParameters": one.validate_request_parameters,
            });
            (one.name.clone(), exported)
        })
        .collect();
    if !validators.is_empty() {
        document["x-amazon-apigateway-request-validators"] = validators.into();
    }
    Ok(document)
}

fn paths(definition: &Definition) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    for (path, method) in definition.methods() {
        let verb = match method.http_method.as_str() {
            "ANY" => "x-amazon-apigateway-any-method".to_owned(),
            verb => verb.to_ascii_lowercase(),
        };
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[verb] = operation(definition, method);
    }
    paths
}

fn operation(definition: &Definition, method: &Method) -> Value {
    let mut operation = json!({});
    if let Some(name) = &method.operation_name {
        operation["operationId"] = name.as_str().into();
    }
    let parameters = method.request_parameters.iter().filter_map(parameter);
    let parameters: Vec<Value> = parameters.collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if !method.request_models.is_empty() {
        operation["requestBody"] = json!({
            "content": content(&method.request_models),
            "required": true,
        });
    }
    let responses = method.method_responses.values();
    let responses: Map<String, Value> = responses
        .map(|one| (one.status_code.clone(), response(one)))
        .collect();
    if !responses.is_empty() {
        operation["responses"] = responses.into();
    }
    let mut security = Vec::new();
    if method.authorization_type == "AWS_IAM" {
        security.push(json!({ "sigv4": [] }));
    }
    if method.api_key_required {
        security.push(json!({ "api_key": [] }));
    }
    if !security.is_empty() {
        operation["security"] = security.into();
    }
    let validator = method.request_validator_id.as_ref();
    if let Some(validator) = validator.and_then(|id| definition.validators.get(id)) {
        operation["x-amazon-apigateway-request-validator"] = validator.name.as_str().into();
    }
    if let Some(one) = &method.method_integration {
        operation["x-amazon-apigateway-integration"] = integration(one);
    }
    operation
}

fn parameter((name, required): (&String, &bool)) -> Option<Value> {
    let (place, name) = name.strip_prefix("method.request.")?.split_once('.')?;
    let place = if place == "querystring" {
        "query"
    } else {
        place
    };
    let mut parameter = json!({ "name": name, "in": place, "schema": { "type": "string" } });
    if *required {
        parameter["required"] = true.into();
    }
    Some(parameter)
}

fn content(models: &std::collections::BTreeMap<String, String>) -> Map<String, Value> {
    let media = |(kind, model): (&String, &String)| {
        let schema = json!({ "schema": { "$ref": format!("#/components/schemas/{model}") } });
        (kind.clone(), schema)
    };
    models.iter().map(media).collect()
}

fn response(response: &MethodResponse) -> Value {
    let mut exported = json!({
        "description": format!("{} response", response.status_code),
        "content": content(&response.response_models),
    });
    let headers = response.response_parameters.keys();
    let headers = headers.filter_map(|name| name.strip_prefix("method.response.header."));
    let headers: Map<String, Value> = headers
        .map(|name| (name.to_owned(), json!({ "schema": { "type": "string" } })))
        .collect();
    if !headers.is_empty() {
        exported["headers"] = headers.into();
    }
    exported
}

fn integration(one: &Integration) -> Value {
    let mut exported = json!({
        "type": one.kind.to_ascii_lowercase(),
        "passthroughBehavior": one.passthrough_behavior.to_ascii_lowercase(),
    });
    let texts = [
        ("httpMethod", &one.http_method),
        ("uri", &one.uri),
        ("connectionType", &one.connection_type),
        ("connectionId", &one.connection_id),
        ("credentials", &one.credentials),
        ("contentHandling", &one.content_handling),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            exported[name] = value.as_str().into();
        }
    }
    if !one.request_parameters.is_empty() {
        exported["requestParameters"] = json!(one.request_parameters);
    }
    if !one.request_templates.is_empty() {
        exported["requestTemplates"] = json!(one.request_templates);
    }
    if !one.cache_key_parameters.is_empty() {
        exported["cacheKeyParameters"] = json!(one.cache_key_parameters);
    }
    if one.timeout_in_millis != super::definition::LONGEST_TIMEOUT {
        exported["timeoutInMillis"] = one.timeout_in_millis.into();
    }
    if let Some(tls) = &one.tls_config {
        exported["tlsConfig"] = json!(tls);
    }
    let responses: Map<String, Value> = one
        .integration_responses
        .values()
        .map(|response| {
            let pattern = response.selection_pattern.as_deref().unwrap_or("default");
            let mut exported = json!({ "statusCode": response.status_code });
            if !response.response_parameters.is_empty() {
                exported["responseParameters"] = json!(response.response_parameters);
            }
            if !response.response_templates.is_empty() {
                exported["responseTemplates"] = json!(response.response_templates);
            }
            if let Some(handling) = &response.content_handling {
                exported["contentHandling"] = handling.as_str().into();
            }
            (pattern.to_owned(), exported)
        })
        .collect();
    if !responses.is_empty() {
        exported["responses"] = responses.into();
    }
    exported
}

/// Schemas, whose references lead to each other again, and the schemes that methods name.
fn components(definition: &Definition) -> Value {
    let schemas: Map<String, Value> = definition
        .models
        .values()
        .map(|model| {
            let schema = serde_json::from_str(&model.schema).unwrap_or_else(|_| json!({}));
            (model.name.clone(), local(schema))
        })
        .collect();
    let mut components = json!({ "schemas": schemas });
    let mut schemes = Map::new();
    if definition
        .methods()
        .any(|(_, method)| method.authorization_type == "AWS_IAM")
    {
        let scheme = json!({
            "type": "apiKey", "name": "Authorization", "in": "header",
            "x-amazon-apigateway-authtype": "awsSigv4",
        });
        schemes.insert("sigv4".to_owned(), scheme);
    }
    if definition
        .methods()
        .any(|(_, method)| method.api_key_required)
    {
        let scheme = json!({ "type": "apiKey", "name": "x-api-key", "in": "header" });
        schemes.insert("api_key".to_owned(), scheme);
    }
    if !schemes.is_empty() {
        components["securitySchemes"] = schemes.into();
    }
    components
}

fn local(schema: Value) -> Value {
    match schema {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let model = member
                    .as_str()
                    .filter(|_| name == "$ref")
                    .and_then(|text| text.rsplit_once("/models/"))
                    .map(|(_, model)| format!("#/components/schemas/{model}"));
                let member = model.map_or_else(|| local(member), Value::from);
                (name, member)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(elements) => elements.into_iter().map(local).collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{ask, import, petstore, tell, world};
    use super::*;

    fn exported(world: &mut World, api: &str) -> Value {
        let input = json!({ "restApiId": api, "stageName": "dev", "exportType": "oas30", "parameters": { "extensions": "apigateway" } });
        let answer = tell(world, "GetExport", input);
        let body = STANDARD.decode(answer["body"].as_str().expect("a body"));
        serde_json::from_slice(&body.expect("Base64")).expect("JSON")
    }

    #[test]
    fn what_is_exported_imports_as_the_same_api() {
        let world = &mut world();
        let api = petstore(world);
        let update = json!({ "restApiId": api, "patchOperations": [{ "op": "replace", "path": "/policy", "value": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"execute-api:Invoke\",\"Resource\":\"*\"}]}" }] });
        tell(world, "UpdateRestApi", update);
        tell(
            world,
            "CreateDeployment",
            json!({ "restApiId": api, "stageName": "dev" }),
        );
        let resources = |world: &mut World| {
            tell(
                world,
                "GetResources",
                json!({ "restApiId": api, "embed": ["methods"] }),
            )
        };
        let before = resources(world);
        let document = exported(world, &api);
        assert!(document["x-amazon-apigateway-policy"].is_object());
        let input = json!({ "restApiId": api, "mode": "overwrite" });
        import(world, "PutRestApi", input, &document).expect("ok");
        assert_eq!(resources(world), before);
    }

    #[test]
    fn a_stage_that_is_not_there_has_no_export() {
        let world = &mut world();
        let api = petstore(world);
        let input = json!({ "restApiId": api, "stageName": "none", "exportType": "oas30" });
        let refusal = ask(world, "GetExport", input).expect_err("refused");
        assert_eq!(refusal.code, "NotFoundException");
    }
}
