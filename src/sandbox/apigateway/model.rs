//! Calls on models, request validators and gateway responses.

use serde_json::{Value, json};

use super::definition::{GatewayResponse, Model, RequestValidator};
use super::patch::{Op, Patch};
use super::resource::definition;
use super::{bad_request, conflict, not_found, page, text_map};
use crate::sandbox::world::{Call, Refusal, World};

/// Answers the calls about models, validators and gateway responses.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "CreateModel" => create_model(world, call),
        "DeleteModel" => delete_model(world, call),
        "GetModel" => model(world, call).map(|model| json!(model)),
        "GetModels" => list_models(world, call),
        "UpdateModel" => update_model(world, call),
        "CreateRequestValidator" => create_validator(world, call),
        "DeleteRequestValidator" => delete_validator(world, call),
        "GetRequestValidator" => validator(world, call).map(|validator| json!(validator)),
        "GetRequestValidators" => list_validators(world, call),
        "UpdateRequestValidator" => update_validator(world, call),
        "PutGatewayResponse" => put_response(world, call),
        "DeleteGatewayResponse" => delete_response(world, call),
        "GetGatewayResponse" => response(world, call).map(|response| json!(response)),
        "GetGatewayResponses" => list_responses(world, call),
        "UpdateGatewayResponse" => update_response(world, call),
        _ => return None,
    })
}

/// The model that the call names.
fn model<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut Model, Refusal> {
    let name = call.required("modelName");
    definition(world, call)?
        .models
        .get_mut(name)
        .ok_or_else(|| not_found(format!("Invalid model identifier specified: {name}")))
}

impl Model {
    /// Why the model cannot be as it is, in API Gateway's words.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.name.is_empty()
            || !self
                .name
                .chars()
                .all(|character| character.is_ascii_alphanumeric())
        {
            return Err(format!("Model name must be alphanumeric: {}", self.name));
        }
        if serde_json::from_str::<Value>(&self.schema).is_err() {
            return Err("Invalid model schema specified".to_owned());
        }
        Ok(())
    }
}

/// `CreateModel`.
fn create_model(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let model = Model {
        id: world.unique_hex(6),
        name: call.required("name").to_owned(),
        description: call.text("description").map(str::to_owned),
        schema: call.text("schema").unwrap_or("{}").to_owned(),
        content_type: call.required("contentType").to_owned(),
    };
    model.check().map_err(bad_request)?;
    let models = &mut definition(world, call)?.models;
    if models.contains_key(&model.name) {
        return Err(conflict("Model name already exists for this REST API"));
    }
    let view = json!(model);
    models.insert(model.name.clone(), model);
    Ok(view)
}

/// `GetModels`.
fn list_models(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let models = definition(world, call)?.models.iter();
    page(
        call,
        models
            .map(|(name, model)| (name.clone(), json!(model)))
            .collect(),
    )
}

/// `UpdateModel`.
fn update_model(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut changed = model(world, call)?.clone();
    for patch in Patch::read_all(call)? {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["schema"]) => changed.schema = patch.text()?,
            (Op::Replace, ["description"]) => changed.description = patch.optional_text(),
            _ => return Err(patch.unsupported(&["/schema", "/description"])),
        }
    }
    changed.check().map_err(bad_request)?;
    let view = json!(changed);
    *model(world, call)? = changed;
    Ok(view)
}

/// `DeleteModel`.
fn delete_model(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let name = model(world, call)?.name.clone();
    let definition = definition(world, call)?;
    let uses = |names: &std::collections::BTreeMap<String, String>| {
        names.values().any(|known| *known == name)
    };
    let is_used = definition.methods().any(|(_, method)| {
        uses(&method.request_models)
            || method
                .method_responses
                .values()
                .any(|response| uses(&response.response_models))
    });
    let reference = format!("/models/{name}\"");
    let mut others = definition
        .models
        .values()
        .filter(|model| model.name != name);
    if let Some(other) = others.find(|model| model.schema.contains(&reference)) {
        return Err(conflict(format!(
            "Cannot delete model '{name}', is referenced in the following models: {}",
            other.name
        )));
    }
    if is_used {
        return Err(conflict(format!(
            "Cannot delete model '{name}', is referenced by a method of the REST API"
        )));
    }
    definition.models.remove(&name);
    Ok(json!({}))
}

/// The validator that the call names.
fn validator<'w>(
    world: &'w mut World,
    call: &Call<'_>,
) -> Result<&'w mut RequestValidator, Refusal> {
    definition(world, call)?
        .validators
        .get_mut(call.required("requestValidatorId"))
        .ok_or_else(|| not_found("Invalid Request Validator identifier specified"))
}

/// `CreateRequestValidator`.
fn create_validator(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let validator = RequestValidator {
        id: world.unique_hex(6),
        name: call.text("name").unwrap_or_default().to_owned(),
        validate_request_body: call.boolean("validateRequestBody").unwrap_or(false),
        validate_request_parameters: call.boolean("validateRequestParameters").unwrap_or(false),
    };
    let view = json!(validator);
    definition(world, call)?
        .validators
        .insert(validator.id.clone(), validator);
    Ok(view)
}

/// `GetRequestValidators`.
fn list_validators(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let validators = definition(world, call)?.validators.iter();
    page(
        call,
        validators
            .map(|(id, validator)| (id.clone(), json!(validator)))
            .collect(),
    )
}

/// `UpdateRequestValidator`.
fn update_validator(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let patches = Patch::read_all(call)?;
    let mut changed = validator(world, call)?.clone();
    for patch in patches {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["name"]) => changed.name = patch.text()?,
            (Op::Replace, ["validateRequestBody"]) => {
                changed.validate_request_body = patch.parsed()?;
            }
            (Op::Replace, ["validateRequestParameters"]) => {
                changed.validate_request_parameters = patch.parsed()?;
            }
            _ => {
                let paths = [
                    "/name",
                    "/validateRequestBody",
                    "/validateRequestParameters",
                ];
                return Err(patch.unsupported(&paths));
            }
        }
    }
    let view = json!(changed);
    *validator(world, call)? = changed;
    Ok(view)
}

/// `DeleteRequestValidator`.
fn delete_validator(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = validator(world, call)?.id.clone();
    let definition = definition(world, call)?;
    if definition
        .methods()
        .any(|(_, method)| method.request_validator_id.as_ref() == Some(&id))
    {
        return Err(conflict(
            "Cannot delete request validator, is referenced by a method",
        ));
    }
    definition.validators.remove(&id);
    Ok(json!({}))
}

/// The gateway response in force of the type that the call names.
fn response(world: &mut World, call: &Call<'_>) -> Result<GatewayResponse, Refusal> {
    definition(world, call)?
        .gateway_response(call.required("responseType"))
        .ok_or_else(|| not_found("Invalid gateway response type specified"))
}

/// `GetGatewayResponses`: the API's own and the defaults.
fn list_responses(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let definition = definition(world, call)?;
    let items = GatewayResponse::types()
        .map(|name| (name.to_owned(), json!(definition.gateway_response(name))))
        .collect();
    page(call, items)
}

/// `PutGatewayResponse`.
fn put_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let default = response(world, call)?;
    let status = call.text("statusCode").map(str::to_owned);
    let own = GatewayResponse {
        response_parameters: text_map(&call.input["responseParameters"]),
        response_templates: text_map(&call.input["responseTemplates"]),
        ..default
    };
    store_response(world, call, own, status)
}

/// Keeps an API's own gateway response.
fn store_response(
    world: &mut World,
    call: &Call<'_>,
    mut own: GatewayResponse,
    status: Option<String>,
) -> Result<Value, Refusal> {
    own.status_code = status.or(own.status_code);
    own.default_response = false;
    for name in own.response_parameters.keys() {
        if !name.starts_with("gatewayresponse.header.") {
            return Err(bad_request(format!(
                "Invalid gateway response parameter specified: {name}"
            )));
        }
    }
    let view = json!(own);
    definition(world, call)?
        .gateway_responses
        .insert(own.response_type.clone(), own);
    Ok(view)
}

/// `UpdateGatewayResponse`.
fn update_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut changed = response(world, call)?;
    for patch in Patch::read_all(call)? {
        match (patch.op, &patch.segments()[..]) {
            (_, ["statusCode"]) => changed.status_code = patch.optional_text(),
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
                    "/statusCode",
                    "/responseParameters/{name}",
                    "/responseTemplates/{content type}",
                ]));
            }
        }
    }
    store_response(world, call, changed, None)
}

/// `DeleteGatewayResponse`: the default is in force again.
fn delete_response(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let removed = definition(world, call)?
        .gateway_responses
        .remove(call.required("responseType"));
    removed
        .map(|_| json!({}))
        .ok_or_else(|| not_found("Gateway response type not defined on api"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{petstore, private_api, refused, tell, world};
    use super::*;

    #[test]
    fn all_gateway_responses_are_listed_and_the_defaults_say_so() {
        let world = &mut world();
        let api = private_api(world);
        let input =
            json!({ "restApiId": api, "responseType": "ACCESS_DENIED", "statusCode": "404" });
        tell(world, "PutGatewayResponse", input);
        let answer = tell(
            world,
            "GetGatewayResponses",
            json!({ "restApiId": api, "limit": 500 }),
        );
        let items = answer["items"].as_array().expect("a list");
        assert_eq!(items.len(), 21);
        let own: Vec<&Value> = items
            .iter()
            .filter(|item| item["defaultResponse"] == false)
            .collect();
        assert_eq!(own.len(), 1);
        assert_eq!(
            (&own[0]["responseType"], &own[0]["statusCode"]),
            (&json!("ACCESS_DENIED"), &json!("404"))
        );
        tell(
            world,
            "DeleteGatewayResponse",
            json!({ "restApiId": api, "responseType": "ACCESS_DENIED" }),
        );
        let input = json!({ "restApiId": api, "responseType": "ACCESS_DENIED" });
        assert_eq!(
            tell(world, "GetGatewayResponse", input)["statusCode"],
            "403"
        );
    }

    #[test]
    fn a_model_in_use_stays() {
        let world = &mut world();
        let api = petstore(world);
        for used in ["Pet", "Kind"] {
            let input = json!({ "restApiId": api, "modelName": used });
            assert_eq!(refused(world, "DeleteModel", input).0, "ConflictException");
        }
    }

    #[test]
    fn lists_come_in_pages() {
        let world = &mut world();
        let api = private_api(world);
        let first = tell(world, "GetModels", json!({ "restApiId": api, "limit": 1 }));
        assert_eq!(first["items"][0]["name"], "Empty");
        let input = json!({ "restApiId": api, "limit": 1, "position": first["position"] });
        let second = tell(world, "GetModels", input);
        assert_eq!(
            (&second["items"][0]["name"], &second["position"]),
            (&json!("Error"), &Value::Null)
        );
    }
}
