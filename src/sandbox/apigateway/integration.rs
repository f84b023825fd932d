//! Calls on what answers a method: its integration, and the responses of that.

use serde_json::{Value, json};

use super::definition::{HTTP_METHODS, Integration, IntegrationResponse, TlsConfig};
use super::patch::{Op, Patch};
use super::resource::{method, unknown_status};
use super::{bad_request, not_found, state, text_map, vpc_link};
use crate::sandbox::world::{Call, Refusal, World};

/// Answers the calls about integrations.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "PutIntegration" => put(world, call),
        "GetIntegration" => integration(world, call).map(|integration| json!(integration)),
        "UpdateIntegration" => update(world, call),
        "DeleteIntegration" => delete(world, call),
        "PutIntegrationResponse" => put_response(world, call),
        "GetIntegrationResponse" => get_response(world, call),
        "UpdateIntegrationResponse" => update_response(world, call),
        "DeleteIntegrationResponse" => delete_response(world, call),
        _ => return None,
    })
}

/// The integration that the call names.
fn integration<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut Integration, Refusal> {
    method(world, call)?
        .method_integration
        .as_mut()
        .ok_or_else(|| not_found("Invalid Integration identifier specified"))
}

/// `PutIntegration`: what was there is replaced, its responses with it.
fn put(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tls = &call.input["tlsConfig"];
    call.models("tlsConfig", tls, &["insecureSkipVerification"])?;
    let text = |member: &str| call.text(member).map(str::to_owned);
    let mut integration = Integration {
        http_method: text("integrationHttpMethod"),
        uri: text("uri"),
        connection_type: text("connectionType"),
        connection_id: text("connectionId"),
        credentials: text("credentials"),
        request_parameters: text_map(&call.input["requestParameters"]),
        request_templates: text_map(&call.input["requestTemplates"]),
        content_handling: text("contentHandling"),
        cache_key_parameters: call
            .texts("cacheKeyParameters")
            .into_iter()
            .map(str::to_owned)
            .collect(),
        tls_config: tls["insecureSkipVerification"]
            .as_bool()
            .map(|insecure_skip_verification| TlsConfig {
                insecure_skip_verification,
            }),
        ..Integration::new(call.required("type"), call.required("resourceId"))
    };
    if let Some(behavior) = text("passthroughBehavior") {
        integration.passthrough_behavior = behavior;
    }
    if let Some(timeout) = call.integer("timeoutInMillis") {
        integration.timeout_in_millis = timeout;
    }
    if let Some(namespace) = text("cacheNamespace") {
        integration.cache_namespace = namespace;
    }
    vpc_link::check_integration(state(world, call), &integration).map_err(bad_request)?;
    let method = method(world, call)?;
    integration.check(method).map_err(bad_request)?;
    let view = json!(integration);
    method.method_integration = Some(integration);
    Ok(view)
}

/// `UpdateIntegration`.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut changed = integration(world, call)?.clone();
    for patch in Patch::read_all(call)? {
        apply(&mut changed, &patch)?;
    }
    vpc_link::check_integration(state(world, call), &changed).map_err(bad_request)?;
    changed.check(method(world, call)?).map_err(bad_request)?;
    let view = json!(changed);
    *integration(world, call)? = changed;
    Ok(view)
}

/// Makes one patch of an integration.
fn apply(integration: &mut Integration, patch: &Patch) -> Result<(), Refusal> {
    match (patch.op, &patch.segments()[..]) {
        (Op::Replace, ["uri"]) => integration.uri = Some(patch.text()?),
        (Op::Replace, ["httpMethod"]) => {
            integration.http_method = Some(patch.one_of(HTTP_METHODS)?);
        }
        (Op::Replace, ["passthroughBehavior"]) => {
            integration.passthrough_behavior = patch.text()?;
        }
        (Op::Replace, ["timeoutInMillis"]) => integration.timeout_in_millis = patch.parsed()?,
        (Op::Replace, ["connectionType"]) => {
            integration.connection_type = Some(patch.one_of(&["INTERNET", "VPC_LINK"])?);
        }
        (Op::Remove | Op::Replace, ["connectionId"]) => {
            integration.connection_id = patch.optional_text();
        }
        (Op::Replace, ["contentHandling"]) => integration.content_handling = patch.optional_text(),
        (Op::Replace, ["credentials"]) => integration.credentials = patch.optional_text(),
        (Op::Replace, ["cacheNamespace"]) => integration.cache_namespace = patch.text()?,
        (Op::Add | Op::Replace, ["tlsConfig", "insecureSkipVerification"]) => {
            let insecure_skip_verification = patch.parsed()?;
            integration.tls_config = Some(TlsConfig {
                insecure_skip_verification,
            });
        }
        (Op::Remove, ["requestParameters", name]) => {
            integration.request_parameters.remove(*name);
        }
        (Op::Add | Op::Replace, ["requestParameters", name]) => {
            integration
                .request_parameters
                .insert((*name).to_owned(), patch.text()?);
        }
        (Op::Remove, ["requestTemplates", content_type]) => {
            integration.request_templates.remove(*content_type);
        }
        (Op::Add | Op::Replace, ["requestTemplates", content_type]) => {
            integration
                .request_templates
                .insert((*content_type).to_owned(), patch.text()?);
        }
        _ => {
            return Err(patch.unsupported(&[
                "/uri",
                "/httpMethod",
                "/passthroughBehavior",
                "/timeoutInMillis",
                "/connectionType",
                "/connectionId",
                "/contentHandling",
                "/credentials",
                "/cacheNamespace",
                "/tlsConfig/insecureSkipVerification",
                "/requestParameters/{name}",
                "/requestTemplates/{content type}",
            ]));
        }
    }
    Ok(())
}

/// `DeleteIntegration`.
fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    integration(world, call)?;
    method(world, call)?.method_integration = None;
    Ok(json!({}))
}

/// `PutIntegrationResponse`.
fn put_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let response = IntegrationResponse {
        status_code: call.required("statusCode").to_owned(),
        selection_pattern: call.text("selectionPattern").map(str::to_owned),
        response_parameters: text_map(&call.input["responseParameters"]),
        response_templates: text_map(&call.input["responseTemplates"]),
        content_handling: call.text("contentHandling").map(str::to_owned),
    };
    let method = method(world, call)?;
    if !method.method_responses.contains_key(&response.status_code) {
        return Err(unknown_status());
    }
    response.check(method).map_err(bad_request)?;
    let view = json!(response);
    let responses = &mut integration(world, call)?.integration_responses;
    responses.insert(response.status_code.clone(), response);
    Ok(view)
}

/// `GetIntegrationResponse`.
fn get_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let response = integration(world, call)?
        .integration_responses
        .get(call.required("statusCode"));
    response
        .map(|response| json!(response))
        .ok_or_else(unknown_status)
}

/// `UpdateIntegrationResponse`.
fn update_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let responses = &integration(world, call)?.integration_responses;
    let mut changed = responses
        .get(call.required("statusCode"))
        .cloned()
        .ok_or_else(unknown_status)?;
    for patch in Patch::read_all(call)? {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["selectionPattern"]) => {
                changed.selection_pattern = patch.optional_text();
            }
            (Op::Replace, ["contentHandling"]) => changed.content_handling = patch.optional_text(),
            (Op::Remove, ["responseParameters", name]) => {
                changed.response_parameters.remove(*name);
            }
            (Op::Add | Op::Replace, ["responseParameters", name]) => {
                changed
                    .response_parameters
                    .insert((*name).to_owned(), patch.text()?);
            }
            (Op::Remove, ["responseTemplates", content_type]) => {
                changed.response_templates.remove(*content_type);
            }
            (Op::Add | Op::Replace, ["responseTemplates", content_type]) => {
                changed
                    .response_templates
                    .insert((*content_type).to_owned(), patch.text()?);
            }
            _ => {
                return Err(patch.unsupported(&[
                    "/selectionPattern",
                    "/contentHandling",
                    "/responseParameters/{name}",
                    "/responseTemplates/{content type}",
                ]));
            }
        }
    }
    changed.check(method(world, call)?).map_err(bad_request)?;
    let view = json!(changed);
    let responses = &mut integration(world, call)?.integration_responses;
    responses.insert(changed.status_code.clone(), changed);
    Ok(view)
}

/// `DeleteIntegrationResponse`.
fn delete_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let removed = integration(world, call)?
        .integration_responses
        .remove(call.required("statusCode"));
    removed.map(|_| json!({})).ok_or_else(unknown_status)
}
