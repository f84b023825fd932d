//! Deployments: what an API was when it was deployed, which is what stages answer with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::definition::Definition;
use super::patch::{Op, Patch};
use super::rest_api::{Properties, RestApi};
use super::stage::Stage;
use super::{bad_request, not_found, page, stage, state, text_map, vpc_link};
use crate::sandbox::world::{Call, Refusal, World};

/// One deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct Deployment {
    /// Six characters.
    id: String,
    description: Option<String>,
    /// Epoch seconds.
    created: i64,
    /// The API's properties, its policy and endpoints among them, as they were.
    pub(in crate::sandbox) properties: Properties,
    /// The API's resources as they were.
    pub(in crate::sandbox) definition: Definition,
}

/// Answers the calls about deployments.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "CreateDeployment" => create(world, call),
        "DeleteDeployment" => delete(world, call),
        "GetDeployment" => get(world, call),
        "GetDeployments" => list(world, call),
        "UpdateDeployment" => update(world, call),
        _ => return None,
    })
}

impl Deployment {
    /// The deployment as AWS answers it.
    fn view(&self) -> Value {
        json!({ "id": self.id, "description": self.description, "createdDate": self.created })
    }

    /// How each method of each path is protected.
    fn summary(&self) -> Value {
        let mut summary: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
        for (path, method) in self.definition.methods() {
            let snapshot = json!({
                "authorizationType": method.authorization_type,
                "apiKeyRequired": method.api_key_required,
            });
            summary
                .entry(path)
                .or_default()
                .insert(&method.http_method, snapshot);
        }
        json!(summary)
    }
}

/// The deployment that the call names.
fn find<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut Deployment, Refusal> {
    super::api(world, call)?
        .deployments
        .get_mut(call.required("deploymentId"))
        .ok_or_else(|| not_found("Invalid Deployment identifier specified"))
}

/// Refuses an API that cannot be deployed.
fn check(api: &RestApi) -> Result<(), Refusal> {
    let mut methods = api.definition.methods().peekable();
    if methods.peek().is_none() {
        return Err(bad_request("The REST API doesn't contain any methods"));
    }
    if methods.any(|(_, method)| method.method_integration.is_none()) {
        return Err(bad_request("No integration defined for method"));
    }
    if api.properties.endpoint_type == "PRIVATE" && api.properties.policy.is_none() {
        let message = "Private REST API doesn't have a resource policy attached to it";
        return Err(bad_request(message));
    }
    Ok(())
}

/// `CreateDeployment`: with a stage's name it also creates the stage, or moves it.
fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = world.unique_hex(6);
    let now = world.now / 1_000;
    vpc_link::settle(world, call);
    let api = super::api(world, call)?;
    check(api)?;
    let used = vpc_link::used_by(&api.definition);
    vpc_link::check_deployment(state(world, call), &used)?;
    let api = super::api(world, call)?;
    let deployment = Deployment {
        id: id.clone(),
        description: call.text("description").map(str::to_owned),
        created: now,
        properties: api.properties.clone(),
        definition: api.definition.clone(),
    };
    let view = deployment.view();
    let wanted = call.text("stageName").filter(|name| !name.is_empty());
    let staged = match wanted {
        Some(name) => Some(staged(world, call, name, &id)?),
        None => None,
    };
    let api = super::api(world, call)?;
    api.deployments.insert(id, deployment);
    if let (Some(name), Some(stage)) = (wanted, staged) {
        api.stages.insert(name.to_owned(), stage);
    }
    Ok(view)
}

/// The stage of a name with the deployment on it.
fn staged(
    world: &mut World,
    call: &Call<'_>,
    name: &str,
    deployment: &str,
) -> Result<Stage, Refusal> {
    let now = world.now / 1_000;
    let known = super::api(world, call)?.stages.get(name).cloned();
    let mut stage = if let Some(stage) = known {
        stage
    } else {
        stage::check_new(world, call, name)?;
        Stage::new(name, deployment, now)
    };
    stage.move_to(deployment, now);
    if let Some(description) = call.text("stageDescription") {
        stage.description = Some(description.to_owned());
    }
    if let Some(tracing) = call.boolean("tracingEnabled") {
        stage.tracing_enabled = tracing;
    }
    if !call.input["variables"].is_null() {
        stage.variables = stage::checked_variables(text_map(&call.input["variables"]))?;
    }
    Ok(stage)
}

/// `GetDeployment`.
fn get(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let deployment = find(world, call)?;
    let mut view = deployment.view();
    if call
        .texts("embed")
        .iter()
        .any(|embed| embed.eq_ignore_ascii_case("apisummary"))
    {
        view["apiSummary"] = deployment.summary();
    }
    Ok(view)
}

/// `GetDeployments`.
fn list(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let deployments = super::api(world, call)?.deployments.iter();
    page(
        call,
        deployments
            .map(|(id, deployment)| (id.clone(), deployment.view()))
            .collect(),
    )
}

/// `UpdateDeployment`: only the description can change.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let patches = Patch::read_all(call)?;
    let deployment = find(world, call)?;
    let mut description = deployment.description.clone();
    for patch in patches {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["description"]) => description = patch.optional_text(),
            _ => return Err(patch.unsupported(&["/description"])),
        }
    }
    deployment.description = description;
    Ok(deployment.view())
}

/// `DeleteDeployment`.
fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = find(world, call)?.id.clone();
    let api = super::api(world, call)?;
    if api.stages.values().any(|stage| stage.deployment_id == id) {
        let message = "Active stages pointing to this deployment must be moved or deleted";
        return Err(bad_request(message));
    }
    api.deployments.remove(&id);
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{
        document, id, import, petstore, policy, private_api, refused, tell, world,
    };
    use super::*;

    fn deployed<'w>(world: &'w World, api: &str, stage: &str) -> &'w Deployment {
        let api = &world.regions["ap-northeast-1"].apigateway.apis[api];
        &api.deployments[&api.stages[stage].deployment_id]
    }

    #[test]
    fn an_empty_api_cannot_be_deployed() {
        let world = &mut world();
        let api = private_api(world);
        let message = refused(world, "CreateDeployment", json!({ "restApiId": api })).1;
        assert_eq!(message, "The REST API doesn't contain any methods");
    }

    #[test]
    fn a_method_without_integration_cannot_be_deployed() {
        let world = &mut world();
        let api = petstore(world);
        let root = tell(world, "GetRestApi", json!({ "restApiId": api }))["rootResourceId"].clone();
        let method = json!({ "restApiId": api, "resourceId": root, "httpMethod": "GET" });
        tell(world, "DeleteIntegration", method);
        let message = refused(world, "CreateDeployment", json!({ "restApiId": api })).1;
        assert_eq!(message, "No integration defined for method");
    }

    #[test]
    fn a_private_api_without_a_policy_cannot_be_deployed() {
        let world = &mut world();
        let api = private_api(world);
        import(
            world,
            "PutRestApi",
            json!({ "restApiId": api }),
            &document(),
        )
        .expect("ok");
        let input = json!({ "restApiId": api, "stageName": "dev" });
        let message = refused(world, "CreateDeployment", input).1;
        assert_eq!(
            message,
            "Private REST API doesn't have a resource policy attached to it"
        );
        let stages = tell(world, "GetStages", json!({ "restApiId": api }));
        assert_eq!(stages["item"], json!([]));
    }

    #[test]
    fn a_stage_keeps_answering_with_what_was_deployed() {
        let world = &mut world();
        let api = petstore(world);
        tell(
            world,
            "CreateDeployment",
            json!({ "restApiId": api, "stageName": "dev" }),
        );
        let patch = json!({ "op": "replace", "path": "/policy", "value": policy() });
        tell(
            world,
            "UpdateRestApi",
            json!({ "restApiId": api, "patchOperations": [patch] }),
        );
        assert_eq!(deployed(world, &api, "dev").properties.policy, None);
        tell(
            world,
            "CreateDeployment",
            json!({ "restApiId": api, "stageName": "dev" }),
        );
        assert!(deployed(world, &api, "dev").properties.policy.is_some());
    }

    #[test]
    fn a_deployment_in_use_stays_until_the_stage_moves() {
        let world = &mut world();
        let api = petstore(world);
        let first = id(&tell(
            world,
            "CreateDeployment",
            json!({ "restApiId": api, "stageName": "dev" }),
        ));
        let input = json!({ "restApiId": api, "deploymentId": first });
        let message = refused(world, "DeleteDeployment", input.clone()).1;
        assert_eq!(
            message,
            "Active stages pointing to this deployment must be moved or deleted"
        );
        tell(
            world,
            "CreateDeployment",
            json!({ "restApiId": api, "stageName": "dev" }),
        );
        tell(world, "DeleteDeployment", input);
    }

    #[test]
    fn the_summary_comes_only_when_asked_for() {
        let world = &mut world();
        let api = petstore(world);
        let deployment = id(&tell(
            world,
            "CreateDeployment",
            json!({ "restApiId": api }),
        ));
        let mut input = json!({ "restApiId": api, "deploymentId": deployment });
        assert_eq!(
            tell(world, "GetDeployment", input.clone()).get("apiSummary"),
            None
        );
        input["embed"] = json!(["apisummary"]);
        let summary = &tell(world, "GetDeployment", input)["apiSummary"];
        assert_eq!(summary["/pets/{petId}"]["GET"]["authorizationType"], "NONE");
    }
}
