//! API Gateway: REST APIs, their deployments and stages, custom domains and base path mappings, VPC
//! links.

mod account;
pub(super) mod definition;
pub(super) mod deployment;
pub(super) mod domain;
mod export;
#[cfg(test)]
pub(super) mod fixture;
mod import;
mod integration;
pub(super) mod mapping;
mod model;
mod neighbour;
pub(super) mod outage;
mod patch;
pub(super) mod policy;
mod resource;
pub(super) mod rest_api;
pub(super) mod stage;
mod tag;
pub(super) mod vpc_link;

use std::collections::BTreeMap;
use std::ops::DerefMut;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use self::domain::regional_names;
use self::domain::{DomainName, Release};
use self::rest_api::RestApi;
pub(super) use self::tag::tagged;
use self::vpc_link::VpcLink;
pub(super) use self::vpc_link::holds_load_balancer;
use super::tracked::Tracked;
use super::world::{Call, Refusal, World};

/// What one region holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// By id.
    pub(super) apis: BTreeMap<String, Tracked<RestApi>>,
    /// By name.
    pub(super) domains: Tracked<BTreeMap<String, DomainName>>,
    /// By id.
    #[serde(default)]
    pub(super) vpc_links: Tracked<BTreeMap<String, VpcLink>>,
    /// Certificates that domains gave back but whose hidden load balancers still hold them.
    releases: Vec<Release>,
    /// The role that API Gateway writes logs with, of the whole account.
    cloudwatch_role: Option<String>,
}

/// The members that name a method.
const METHOD: &[&str] = &["restApiId", "resourceId", "httpMethod"];

/// The members of an update of one of a method's responses.
const RESPONSE_PATCHES: &[&str] = &[
    "restApiId",
    "resourceId",
    "httpMethod",
    "statusCode",
    "patchOperations",
];

/// Operation and the top-level input members it models; any other member is refused by the wire layer.
pub(super) const OPERATIONS: &[(&str, &[&str])] = &[
    (
        "CreateBasePathMapping",
        &["domainName", "basePath", "restApiId", "stage"],
    ),
    (
        "CreateDeployment",
        &[
            "restApiId",
            "stageName",
            "stageDescription",
            "description",
            "variables",
            "tracingEnabled",
        ],
    ),
    (
        "CreateDomainName",
        &[
            "domainName",
            "regionalCertificateArn",
            "endpointConfiguration",
            "securityPolicy",
            "endpointAccessMode",
            "routingMode",
            "tags",
        ],
    ),
    (
        "CreateModel",
        &["restApiId", "name", "description", "schema", "contentType"],
    ),
    (
        "CreateRequestValidator",
        &[
            "restApiId",
            "name",
            "validateRequestBody",
            "validateRequestParameters",
        ],
    ),
    ("CreateResource", &["restApiId", "parentId", "pathPart"]),
    (
        "CreateRestApi",
        &[
            "name",
            "description",
            "version",
            "binaryMediaTypes",
            "minimumCompressionSize",
            "apiKeySource",
            "endpointConfiguration",
            "policy",
            "tags",
            "disableExecuteApiEndpoint",
            "securityPolicy",
            "endpointAccessMode",
        ],
    ),
    (
        "CreateStage",
        &[
            "restApiId",
            "stageName",
            "deploymentId",
            "description",
            "variables",
            "tracingEnabled",
            "tags",
        ],
    ),
    (
        "CreateVpcLink",
        &["name", "description", "targetArns", "tags"],
    ),
    ("DeleteBasePathMapping", &["domainName", "basePath"]),
    ("DeleteDeployment", &["restApiId", "deploymentId"]),
    ("DeleteDomainName", &["domainName"]),
    ("DeleteGatewayResponse", &["restApiId", "responseType"]),
    ("DeleteIntegration", METHOD),
    (
        "DeleteIntegrationResponse",
        &["restApiId", "resourceId", "httpMethod", "statusCode"],
    ),
    ("DeleteMethod", METHOD),
    (
        "DeleteMethodResponse",
        &["restApiId", "resourceId", "httpMethod", "statusCode"],
    ),
    ("DeleteModel", &["restApiId", "modelName"]),
    (
        "DeleteRequestValidator",
        &["restApiId", "requestValidatorId"],
    ),
    ("DeleteResource", &["restApiId", "resourceId"]),
    ("DeleteRestApi", &["restApiId"]),
    ("DeleteStage", &["restApiId", "stageName"]),
    ("DeleteVpcLink", &["vpcLinkId"]),
    ("GetAccount", &[]),
    ("GetBasePathMapping", &["domainName", "basePath"]),
    ("GetBasePathMappings", &["domainName", "position", "limit"]),
    ("GetDeployment", &["restApiId", "deploymentId", "embed"]),
    ("GetDeployments", &["restApiId", "position", "limit"]),
    ("GetDomainName", &["domainName"]),
    ("GetDomainNames", &["position", "limit", "resourceOwner"]),
    (
        "GetExport",
        &[
            "restApiId",
            "stageName",
            "exportType",
            "parameters",
            "accepts",
        ],
    ),
    ("GetGatewayResponse", &["restApiId", "responseType"]),
    ("GetGatewayResponses", &["restApiId", "position", "limit"]),
    ("GetIntegration", METHOD),
    (
        "GetIntegrationResponse",
        &["restApiId", "resourceId", "httpMethod", "statusCode"],
    ),
    ("GetMethod", METHOD),
    (
        "GetMethodResponse",
        &["restApiId", "resourceId", "httpMethod", "statusCode"],
    ),
    ("GetModel", &["restApiId", "modelName"]),
    ("GetModels", &["restApiId", "position", "limit"]),
    ("GetRequestValidator", &["restApiId", "requestValidatorId"]),
    ("GetRequestValidators", &["restApiId", "position", "limit"]),
    ("GetResource", &["restApiId", "resourceId", "embed"]),
    ("GetResources", &["restApiId", "position", "limit", "embed"]),
    ("GetRestApi", &["restApiId"]),
    ("GetRestApis", &["position", "limit"]),
    ("GetStage", &["restApiId", "stageName"]),
    ("GetStages", &["restApiId", "deploymentId"]),
    ("GetTags", &["resourceArn", "position", "limit"]),
    ("GetVpcLink", &["vpcLinkId"]),
    ("GetVpcLinks", &["position", "limit"]),
    ("ImportRestApi", &["failOnWarnings", "parameters", "body"]),
    (
        "PutGatewayResponse",
        &[
            "restApiId",
            "responseType",
            "statusCode",
            "responseParameters",
            "responseTemplates",
        ],
    ),
    (
        "PutIntegration",
        &[
            "restApiId",
            "resourceId",
            "httpMethod",
            "type",
            "integrationHttpMethod",
            "uri",
            "connectionType",
            "connectionId",
            "credentials",
            "requestParameters",
            "requestTemplates",
            "passthroughBehavior",
            "cacheNamespace",
            "cacheKeyParameters",
            "contentHandling",
            "timeoutInMillis",
            "tlsConfig",
        ],
    ),
    (
        "PutIntegrationResponse",
        &[
            "restApiId",
            "resourceId",
            "httpMethod",
            "statusCode",
            "selectionPattern",
            "responseParameters",
            "responseTemplates",
            "contentHandling",
        ],
    ),
    (
        "PutMethod",
        &[
            "restApiId",
            "resourceId",
            "httpMethod",
            "authorizationType",
            "apiKeyRequired",
            "operationName",
            "requestParameters",
            "requestModels",
            "requestValidatorId",
        ],
    ),
    (
        "PutMethodResponse",
        &[
            "restApiId",
            "resourceId",
            "httpMethod",
            "statusCode",
            "responseParameters",
            "responseModels",
        ],
    ),
    (
        "PutRestApi",
        &["restApiId", "mode", "failOnWarnings", "parameters", "body"],
    ),
    ("TagResource", &["resourceArn", "tags"]),
    ("UntagResource", &["resourceArn", "tagKeys"]),
    ("UpdateAccount", &["patchOperations"]),
    (
        "UpdateBasePathMapping",
        &["domainName", "basePath", "patchOperations"],
    ),
    (
        "UpdateDeployment",
        &["restApiId", "deploymentId", "patchOperations"],
    ),
    ("UpdateDomainName", &["domainName", "patchOperations"]),
    (
        "UpdateGatewayResponse",
        &["restApiId", "responseType", "patchOperations"],
    ),
    (
        "UpdateIntegration",
        &["restApiId", "resourceId", "httpMethod", "patchOperations"],
    ),
    ("UpdateIntegrationResponse", RESPONSE_PATCHES),
    (
        "UpdateMethod",
        &["restApiId", "resourceId", "httpMethod", "patchOperations"],
    ),
    ("UpdateMethodResponse", RESPONSE_PATCHES),
    (
        "UpdateModel",
        &["restApiId", "modelName", "patchOperations"],
    ),
    (
        "UpdateRequestValidator",
        &["restApiId", "requestValidatorId", "patchOperations"],
    ),
    (
        "UpdateResource",
        &["restApiId", "resourceId", "patchOperations"],
    ),
    ("UpdateRestApi", &["restApiId", "patchOperations"]),
    (
        "UpdateStage",
        &["restApiId", "stageName", "patchOperations"],
    ),
    ("UpdateVpcLink", &["vpcLinkId", "patchOperations"]),
];

/// Answers one call.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let handlers = [
        rest_api::handle,
        resource::handle,
        integration::handle,
        model::handle,
        deployment::handle,
        stage::handle,
        export::handle,
        domain::handle,
        mapping::handle,
        vpc_link::handle,
        tag::handle,
        account::handle,
    ];
    for handler in handlers {
        if let Some(answer) = handler(world, call) {
            return answer;
        }
    }
    Err(Refusal::not_modelled(call.operation, call.operation))
}

/// The refusal of a request that is wrong in itself, or that the state of things does not allow.
fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new("BadRequestException", message)
}

/// The refusal of an unknown name or id.
fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::new("NotFoundException", message).with_status(404)
}

/// The refusal of a name that is taken.
fn conflict(message: impl Into<String>) -> Refusal {
    Refusal::new("ConflictException", message).with_status(409)
}

/// The refusal of more than the quota allows.
fn limit_exceeded(message: impl Into<String>) -> Refusal {
    Refusal::new("LimitExceededException", message).with_status(429)
}

/// API Gateway's state in the call's region.
fn state<'w>(world: &'w mut World, call: &Call<'_>) -> &'w mut State {
    &mut world.region(call.region).apigateway
}

/// The REST API of a call that names one.
fn api<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut RestApi, Refusal> {
    let id = call.required("restApiId");
    let unknown = not_found(format!(
        "Invalid API identifier specified {}:{id}",
        world.account
    ));
    let api = state(world, call).apis.get_mut(id);
    api.map(DerefMut::deref_mut).ok_or(unknown)
}

/// The page of `items` that the call asks for; `items` are in the order of their keys.
///
/// The position is the last key of the page before, so that a list may change between pages.
fn page(call: &Call<'_>, items: Vec<(String, Value)>) -> Result<Value, Refusal> {
    let limit = match call.integer("limit") {
        None => 25,
        Some(limit) => usize::try_from(limit.min(500)).unwrap_or(0),
    };
    if limit == 0 {
        return Err(bad_request(
            "Invalid value for limit: must be between 1 and 500",
        ));
    }
    let position = call
        .text("position")
        .filter(|position| !position.is_empty());
    let mut rest: Vec<(String, Value)> = items
        .into_iter()
        .filter(|(key, _)| position.is_none_or(|position| key.as_str() > position))
        .collect();
    let more = rest.len() > limit;
    rest.truncate(limit);
    let next = rest.last().map(|(key, _)| key.clone()).filter(|_| more);
    let items: Vec<Value> = rest.into_iter().map(|(_, item)| item).collect();
    Ok(json!({ "items": items, "position": next }))
}

/// The value, or null for an empty list or map: API Gateway leaves those out.
fn filled(value: impl Serialize) -> Value {
    let value = serde_json::to_value(value).unwrap_or_default();
    let is_empty = value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty);
    if is_empty { Value::Null } else { value }
}

/// A map of texts among the input's members.
fn text_map(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A map of truth values among the input's members.
fn truth_map(value: &Value) -> BTreeMap<String, bool> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_bool()?)))
        .collect()
}

/// The partition that the region belongs to.
pub(super) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}
