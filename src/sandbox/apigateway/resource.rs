//! Calls on resources, their methods and the responses of those.

use serde_json::{Value, json};

use super::definition::{
    Definition, Method, MethodResponse, Resource, check_path_part, is_variable,
};
use super::patch::{Op, Patch};
use super::{bad_request, conflict, limit_exceeded, not_found, page, text_map, truth_map};
use crate::sandbox::world::{Call, Refusal, World};

/// Resources per API: quota code and default.
const QUOTA: (&str, u64) = ("L-01C8A9E0", 300);

/// Answers the calls about resources and methods.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "CreateResource" => create(world, call),
        "DeleteResource" => delete(world, call),
        "UpdateResource" => update(world, call),
        "GetResource" => get(world, call),
        "GetResources" => list(world, call),
        "PutMethod" => put_method(world, call),
        "GetMethod" => method(world, call).map(|method| json!(method)),
        "UpdateMethod" => update_method(world, call),
        "DeleteMethod" => delete_method(world, call),
        "PutMethodResponse" => put_method_response(world, call),
        "GetMethodResponse" => get_method_response(world, call),
        "UpdateMethodResponse" => update_method_response(world, call),
        "DeleteMethodResponse" => delete_method_response(world, call),
        _ => return None,
    })
}

/// The definition of the API that the call names.
pub(super) fn definition<'w>(
    world: &'w mut World,
    call: &Call<'_>,
) -> Result<&'w mut Definition, Refusal> {
    super::api(world, call).map(|api| &mut api.definition)
}

/// The resource that the call names.
fn resource<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut Resource, Refusal> {
    definition(world, call)?
        .resources
        .get_mut(call.required("resourceId"))
        .ok_or_else(|| not_found("Invalid Resource identifier specified"))
}

/// The method that the call names.
pub(super) fn method<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut Method, Refusal> {
    resource(world, call)?
        .resource_methods
        .get_mut(call.required("httpMethod"))
        .ok_or_else(|| not_found("Invalid Method identifier specified"))
}

/// The resource as AWS answers it: without `embed=methods` only the methods' names.
fn view(resource: &Resource, call: &Call<'_>) -> Value {
    let mut view = json!(resource);
    if !call.texts("embed").contains(&"methods")
        && let Some(methods) = view
            .get_mut("resourceMethods")
            .and_then(Value::as_object_mut)
    {
        for method in methods.values_mut() {
            *method = json!({});
        }
    }
    view
}

/// Refuses more resources than an API may have.
pub(super) fn check_quota(world: &World, resources: usize) -> Result<(), Refusal> {
    let quota = world.quota(QUOTA.0, QUOTA.1);
    if resources as u64 > quota {
        return Err(limit_exceeded(format!(
            "Maximum number of Resources for this API has been reached: {quota}"
        )));
    }
    Ok(())
}

impl Definition {
    /// Adds a resource below another; the error is API Gateway's message.
    pub(super) fn add_resource(
        &mut self,
        id: String,
        parent_id: &str,
        path_part: &str,
    ) -> Result<&Resource, String> {
        check_path_part(path_part)?;
        let Some(parent) = self.resources.get(parent_id) else {
            return Err("Invalid Resource identifier specified".to_owned());
        };
        let siblings = self
            .children(parent_id)
            .filter_map(|sibling| sibling.path_part.as_deref());
        if let Some(sibling) = siblings.into_iter().find(|part| is_variable(part))
            && is_variable(path_part)
        {
            return Err(format!(
                "A sibling ({sibling}) of this resource already has a variable path part -- only \
                 one is allowed"
            ));
        }
        if parent.path.ends_with("+}") {
            return Err(format!(
                "Cannot create a child of a resource with a greedy path variable: {}",
                parent.path
            ));
        }
        let path = format!("{}/{path_part}", parent.path.trim_end_matches('/'));
        let resource = Resource {
            id: id.clone(),
            parent_id: Some(parent_id.to_owned()),
            path_part: Some(path_part.to_owned()),
            path,
            ..Resource::default()
        };
        Ok(self.resources.entry(id).or_insert(resource))
    }

    /// Refuses a parent that is not there, and a path part that another resource has below it.
    fn check_free(&self, parent: &str, part: &str) -> Result<(), Refusal> {
        if !self.resources.contains_key(parent) {
            return Err(not_found("Invalid Resource identifier specified"));
        }
        if self
            .children(parent)
            .any(|child| child.path_part.as_deref() == Some(part))
        {
            return Err(conflict(format!(
                "Another resource with the same parent already has this name: {part}"
            )));
        }
        Ok(())
    }

    /// Whether a resource is the other one or below it.
    fn is_below(&self, id: &str, above: &str) -> bool {
        id == above
            || self
                .resources
                .get(id)
                .and_then(|resource| resource.parent_id.as_deref())
                .is_some_and(|parent| self.is_below(parent, above))
    }

    /// Gives the resources below one the paths that follow from its own.
    fn rename_below(&mut self, id: &str) {
        let Some(path) = self.resources.get(id).map(|resource| resource.path.clone()) else {
            return;
        };
        let children: Vec<String> = self.children(id).map(|child| child.id.clone()).collect();
        for child in children {
            if let Some(resource) = self.resources.get_mut(&child) {
                let part = resource.path_part.as_deref().unwrap_or_default();
                resource.path = format!("{path}/{part}");
            }
            self.rename_below(&child);
        }
    }

    /// Removes a resource and everything below it.
    fn remove_resource(&mut self, id: &str) {
        let children: Vec<String> = self.children(id).map(|child| child.id.clone()).collect();
        for child in children {
            self.remove_resource(&child);
        }
        self.resources.remove(id);
    }
}

/// `CreateResource`.
fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = world.unique_hex(6);
    let count = definition(world, call)?.resources.len();
    check_quota(world, count + 1)?;
    let definition = definition(world, call)?;
    let (parent, part) = (call.required("parentId"), call.required("pathPart"));
    definition.check_free(parent, part)?;
    let added = definition
        .add_resource(id, parent, part)
        .map_err(bad_request)?;
    Ok(json!(added))
}

/// `GetResource`.
fn get(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    resource(world, call).map(|resource| view(resource, call))
}

/// `GetResources`.
fn list(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let resources = definition(world, call)?.resources.iter();
    page(
        call,
        resources
            .map(|(id, resource)| (id.clone(), view(resource, call)))
            .collect(),
    )
}

/// `DeleteResource`: what is below goes with it.
fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let resource = resource(world, call)?;
    if resource.parent_id.is_none() {
        return Err(bad_request("Root resource cannot be deleted"));
    }
    let id = resource.id.clone();
    definition(world, call)?.remove_resource(&id);
    Ok(json!({}))
}

/// `UpdateResource`: what is below moves along.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let before = resource(world, call)?.clone();
    let (Some(mut parent), Some(mut part)) = (before.parent_id, before.path_part) else {
        return Err(bad_request("Root resource cannot be updated"));
    };
    for patch in Patch::read_all(call)? {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["parentId"]) => parent = patch.text()?,
            (Op::Replace, ["pathPart"]) => part = patch.text()?,
            _ => return Err(patch.unsupported(&["/parentId", "/pathPart"])),
        }
    }
    let mut changed = definition(world, call)?.clone();
    changed.resources.remove(&before.id);
    if changed.is_below(&parent, &before.id) {
        return Err(bad_request("Resource cannot be moved below itself"));
    }
    changed.check_free(&parent, &part)?;
    changed
        .add_resource(before.id.clone(), &parent, &part)
        .map_err(bad_request)?;
    if let Some(moved) = changed.resources.get_mut(&before.id) {
        moved.resource_methods = before.resource_methods;
    }
    changed.rename_below(&before.id);
    *definition(world, call)? = changed;
    resource(world, call).map(|resource| view(resource, call))
}

/// `PutMethod`.
fn put_method(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let authorization = call.required("authorizationType");
    if !matches!(authorization, "NONE" | "AWS_IAM") {
        let what = format!("authorizationType={authorization}");
        return Err(Refusal::not_modelled(call.operation, &what));
    }
    let text = |member: &str| call.text(member).map(str::to_owned);
    let method = Method {
        http_method: call.required("httpMethod").to_owned(),
        authorization_type: authorization.to_owned(),
        api_key_required: call.boolean("apiKeyRequired").unwrap_or(false),
        request_validator_id: text("requestValidatorId"),
        operation_name: text("operationName"),
        request_parameters: truth_map(&call.input["requestParameters"]),
        request_models: text_map(&call.input["requestModels"]),
        ..Method::default()
    };
    definition(world, call)?
        .check_method(&method)
        .map_err(bad_request)?;
    let methods = &mut resource(world, call)?.resource_methods;
    if methods.contains_key(&method.http_method) {
        return Err(conflict("Method already exists for this resource"));
    }
    let view = json!(method);
    methods.insert(method.http_method.clone(), method);
    Ok(view)
}

/// `UpdateMethod`.
fn update_method(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut changed = method(world, call)?.clone();
    for patch in Patch::read_all(call)? {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["authorizationType"]) => {
                changed.authorization_type = patch.one_of(&["NONE", "AWS_IAM"])?;
            }
            (Op::Replace, ["apiKeyRequired"]) => changed.api_key_required = patch.parsed()?,
            (_, ["operationName"]) => changed.operation_name = patch.optional_text(),
            (_, ["requestValidatorId"]) => changed.request_validator_id = patch.optional_text(),
            (Op::Remove, ["requestParameters", name]) => {
                changed.request_parameters.remove(*name);
            }
            (Op::Add | Op::Replace, ["requestParameters", name]) => {
                changed
                    .request_parameters
                    .insert((*name).to_owned(), patch.parsed()?);
            }
            (Op::Remove, ["requestModels", content_type]) => {
                changed.request_models.remove(*content_type);
            }
            (Op::Add | Op::Replace, ["requestModels", content_type]) => {
                changed
                    .request_models
                    .insert((*content_type).to_owned(), patch.text()?);
            }
            _ => {
                return Err(patch.unsupported(&[
                    "/authorizationType",
                    "/apiKeyRequired",
                    "/operationName",
                    "/requestValidatorId",
                    "/requestParameters/{name}",
                    "/requestModels/{content type}",
                ]));
            }
        }
    }
    definition(world, call)?
        .check_method(&changed)
        .map_err(bad_request)?;
    let view = json!(changed);
    *method(world, call)? = changed;
    Ok(view)
}

/// `DeleteMethod`.
fn delete_method(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    method(world, call)?;
    resource(world, call)?
        .resource_methods
        .remove(call.required("httpMethod"));
    Ok(json!({}))
}

/// `PutMethodResponse`.
fn put_method_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let response = MethodResponse {
        status_code: call.required("statusCode").to_owned(),
        response_parameters: truth_map(&call.input["responseParameters"]),
        response_models: text_map(&call.input["responseModels"]),
    };
    response.check().map_err(bad_request)?;
    let mut changed = method(world, call)?.clone();
    if changed.method_responses.contains_key(&response.status_code) {
        return Err(conflict("Response already exists for this resource"));
    }
    let view = json!(response);
    changed
        .method_responses
        .insert(response.status_code.clone(), response);
    definition(world, call)?
        .check_method(&changed)
        .map_err(bad_request)?;
    *method(world, call)? = changed;
    Ok(view)
}

/// `GetMethodResponse`.
fn get_method_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let response = method(world, call)?
        .method_responses
        .get(call.required("statusCode"));
    response
        .map(|response| json!(response))
        .ok_or_else(unknown_status)
}

/// `UpdateMethodResponse`.
fn update_method_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut changed = method(world, call)?.clone();
    let status = call.required("statusCode");
    let response = changed
        .method_responses
        .get_mut(status)
        .ok_or_else(unknown_status)?;
    for patch in Patch::read_all(call)? {
        match (patch.op, &patch.segments()[..]) {
            (Op::Remove, ["responseParameters", name]) => {
                response.response_parameters.remove(*name);
            }
            (Op::Add | Op::Replace, ["responseParameters", name]) => {
                response
                    .response_parameters
                    .insert((*name).to_owned(), patch.parsed()?);
            }
            (Op::Remove, ["responseModels", content_type]) => {
                response.response_models.remove(*content_type);
            }
            (Op::Add | Op::Replace, ["responseModels", content_type]) => {
                response
                    .response_models
                    .insert((*content_type).to_owned(), patch.text()?);
            }
            _ => {
                let paths = [
                    "/responseParameters/{name}",
                    "/responseModels/{content type}",
                ];
                return Err(patch.unsupported(&paths));
            }
        }
    }
    response.check().map_err(bad_request)?;
    let view = json!(response);
    definition(world, call)?
        .check_method(&changed)
        .map_err(bad_request)?;
    *method(world, call)? = changed;
    Ok(view)
}

/// `DeleteMethodResponse`.
fn delete_method_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let removed = method(world, call)?
        .method_responses
        .remove(call.required("statusCode"));
    removed.map(|_| json!({})).ok_or_else(unknown_status)
}

/// The refusal of a response that is not there.
pub(super) fn unknown_status() -> Refusal {
    not_found("Invalid Response status code specified")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{id, petstore, private_api, refused, tell, world};
    use super::*;

    fn root(world: &mut World, api: &str) -> String {
        let answer = tell(world, "GetRestApi", json!({ "restApiId": api }));
        answer["rootResourceId"].as_str().expect("an id").to_owned()
    }

    #[test]
    fn methods_are_only_named_unless_they_are_embedded() {
        let world = &mut world();
        let api = petstore(world);
        let root = root(world, &api);
        let mut input = json!({ "restApiId": api, "resourceId": root });
        let plain = tell(world, "GetResource", input.clone());
        assert_eq!(plain["resourceMethods"], json!({ "GET": {} }));
        input["embed"] = json!(["methods"]);
        let embedded = tell(world, "GetResource", input);
        assert_eq!(
            embedded["resourceMethods"]["GET"]["methodIntegration"]["type"],
            "MOCK"
        );
    }

    /// The input with more members.
    fn with(input: &Value, more: &Value) -> Value {
        let mut input = input.clone();
        let more = more.as_object().expect("members").clone();
        input.as_object_mut().expect("members").extend(more);
        input
    }

    /// Adds the resource `/pets` with a method; answers what names the method.
    fn method_of_pets(world: &mut World, api: &str) -> Value {
        let root = root(world, api);
        let input = json!({ "restApiId": api, "parentId": root, "pathPart": "pets" });
        let pets = id(&tell(world, "CreateResource", input.clone()));
        assert_eq!(
            refused(world, "CreateResource", input).0,
            "ConflictException"
        );
        let method = json!({ "restApiId": api, "resourceId": pets, "httpMethod": "GET" });
        tell(
            world,
            "PutMethod",
            with(&method, &json!({ "authorizationType": "NONE" })),
        );
        method
    }

    #[test]
    fn an_api_is_built_call_by_call() {
        let world = &mut world();
        let api = private_api(world);
        let method = method_of_pets(world, &api);
        let response = with(&method, &json!({ "statusCode": "200" }));
        tell(world, "PutMethodResponse", response.clone());
        let uri = "https://x.example.com";
        let integration = json!({ "type": "HTTP", "uri": uri, "integrationHttpMethod": "GET" });
        tell(world, "PutIntegration", with(&method, &integration));
        tell(world, "PutIntegrationResponse", response);
        let patch = json!({ "op": "replace", "path": "/uri", "value": "https://y.example.com" });
        tell(
            world,
            "UpdateIntegration",
            with(&method, &json!({ "patchOperations": [patch] })),
        );
        let integration = &tell(world, "GetMethod", method.clone())["methodIntegration"];
        assert_eq!(integration["uri"], "https://y.example.com");
        assert_eq!(
            integration["integrationResponses"]["200"]["statusCode"],
            "200"
        );
        let resource = json!({ "restApiId": api, "resourceId": method["resourceId"] });
        tell(world, "DeleteResource", resource);
        assert_eq!(
            refused(world, "GetMethod", method).1,
            "Invalid Resource identifier specified"
        );
    }

    #[test]
    fn an_integration_needs_a_backend_and_its_responses_a_method_response() {
        let world = &mut world();
        let api = private_api(world);
        let method = method_of_pets(world, &api);
        let ftp = with(&method, &json!({ "type": "HTTP", "uri": "ftp://x" }));
        let message = refused(world, "PutIntegration", ftp).1;
        assert_eq!(message, "Invalid HTTP endpoint specified for URI");
        tell(
            world,
            "PutIntegration",
            with(&method, &json!({ "type": "MOCK" })),
        );
        let response = with(&method, &json!({ "statusCode": "200" }));
        assert_eq!(
            refused(world, "PutIntegrationResponse", response).0,
            "NotFoundException"
        );
    }

    #[test]
    fn what_is_below_a_resource_moves_along() {
        let world = &mut world();
        let api = petstore(world);
        let items = tell(world, "GetResources", json!({ "restApiId": api }))["items"].clone();
        let at = |path: &str| {
            let mut items = items.as_array().expect("a list").iter();
            items.find(|item| item["path"] == path).expect(path)["id"].clone()
        };
        let (pets, pet) = (at("/pets"), at("/pets/{petId}"));
        let patch = json!({ "op": "replace", "path": "/pathPart", "value": "animals" });
        let input = json!({ "restApiId": api, "resourceId": pets, "patchOperations": [patch] });
        tell(world, "UpdateResource", input);
        let moved = tell(
            world,
            "GetResource",
            json!({ "restApiId": api, "resourceId": pet }),
        );
        assert_eq!(moved["path"], "/animals/{petId}");
        let patch = json!({ "op": "replace", "path": "/parentId", "value": pet });
        let input = json!({ "restApiId": api, "resourceId": pets, "patchOperations": [patch] });
        assert_eq!(
            refused(world, "UpdateResource", input).0,
            "BadRequestException"
        );
    }

    #[test]
    fn an_api_has_only_so_many_resources() {
        let world = &mut world();
        let api = private_api(world);
        let root = root(world, &api);
        world.quotas.insert(QUOTA.0.to_owned(), 1);
        let input = json!({ "restApiId": api, "parentId": root, "pathPart": "pets" });
        assert_eq!(
            refused(world, "CreateResource", input).0,
            "LimitExceededException"
        );
    }
}
