//! Base path mappings: which stage of which API answers below a path of a custom domain.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::domain::DomainName;
use super::patch::{Op, Patch};
use super::{State, bad_request, conflict, not_found, page, state};
use crate::sandbox::world::{Call, Refusal, World};

/// One mapping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct Mapping {
    /// The first part of the path, or `(none)`.
    pub(in crate::sandbox) base_path: String,
    /// The API's id.
    pub(in crate::sandbox) rest_api_id: String,
    /// The stage's name; without one it is the first part of the path that follows.
    pub(in crate::sandbox) stage: Option<String>,
}

/// How the empty base path is written.
pub(in crate::sandbox) const NONE: &str = "(none)";

/// The paths of `UpdateBasePathMapping`.
const PATCHES: &[&str] = &["/basePath", "/restapiId", "/stage"];

/// Answers the calls about mappings.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "CreateBasePathMapping" => create(world, call),
        "DeleteBasePathMapping" => delete(world, call),
        "GetBasePathMapping" => find(world, call).map(|mapping| json!(mapping)),
        "GetBasePathMappings" => list(world, call),
        "UpdateBasePathMapping" => update(world, call),
        _ => return None,
    })
}

impl State {
    /// All mappings with the names of their domains.
    pub(super) fn mappings(&self) -> impl Iterator<Item = (&str, &Mapping)> {
        self.domains.iter().flat_map(|(name, domain)| {
            domain
                .mappings
                .values()
                .map(move |mapping| (name.as_str(), mapping))
        })
    }

    /// Refuses a mapping whose API or stage does not exist, or whose path cannot be one.
    fn check(&self, mapping: &Mapping) -> Result<(), Refusal> {
        check_base_path(&mapping.base_path)?;
        let Some(api) = self.apis.get(&mapping.rest_api_id) else {
            return Err(bad_request("Invalid REST API identifier specified"));
        };
        match &mapping.stage {
            Some(stage) if !api.stages.contains_key(stage) => {
                Err(bad_request("Invalid stage identifier specified"))
            }
            _ => Ok(()),
        }
    }
}

/// The base path as it is kept: none at all is `(none)`.
fn kept(base_path: &str) -> String {
    if base_path.is_empty() {
        NONE
    } else {
        base_path
    }
    .to_owned()
}

/// Refuses base paths that the first version of the API does not have.
fn check_base_path(base_path: &str) -> Result<(), Refusal> {
    if base_path == NONE {
        return Ok(());
    }
    if base_path.contains('/') {
        return Err(bad_request(
            "API Gateway V1 doesn't support the slash character (/) in base path mappings. To \
             create a multi-level base path mapping, use API Gateway V2.",
        ));
    }
    let fits =
        |character: char| character.is_ascii_alphanumeric() || "$-_.+!*'()".contains(character);
    if base_path.len() > 300 || !base_path.chars().all(fits) {
        let message = "Base path only allows the characters a-zA-Z0-9 and $-_.+!*'(), at most 300";
        return Err(bad_request(message));
    }
    Ok(())
}

/// The domain that the call names.
fn domain<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut DomainName, Refusal> {
    super::domain::find(state(world, call), call.required("domainName"))
}

/// The mapping that the call names.
fn find<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut Mapping, Refusal> {
    let base_path = kept(call.required("basePath"));
    domain(world, call)?
        .mappings
        .get_mut(&base_path)
        .ok_or_else(|| not_found("Invalid base path mapping identifier specified"))
}

/// `CreateBasePathMapping`.
fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mapping = Mapping {
        base_path: kept(call.text("basePath").unwrap_or_default()),
        rest_api_id: call.required("restApiId").to_owned(),
        stage: call
            .text("stage")
            .filter(|stage| !stage.is_empty())
            .map(str::to_owned),
    };
    domain(world, call)?;
    state(world, call).check(&mapping)?;
    let mappings = &mut domain(world, call)?.mappings;
    if mappings.contains_key(&mapping.base_path) {
        return Err(conflict("Base path already exists for this domain name"));
    }
    let view = json!(mapping);
    mappings.insert(mapping.base_path.clone(), mapping);
    Ok(view)
}

/// `GetBasePathMappings`.
fn list(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mappings = &domain(world, call)?.mappings;
    page(
        call,
        mappings
            .iter()
            .map(|(path, mapping)| (path.clone(), json!(mapping)))
            .collect(),
    )
}

/// `UpdateBasePathMapping`; the reference writes `/basepath`, clients `/basePath`.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let before = find(world, call)?.clone();
    let mut mapping = before.clone();
    for patch in Patch::read_all(call)? {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["basePath" | "basepath"]) => mapping.base_path = kept(&patch.text()?),
            (Op::Replace, ["restapiId" | "restApiId"]) => mapping.rest_api_id = patch.text()?,
            (Op::Replace, ["stage"]) => mapping.stage = patch.optional_text(),
            _ => return Err(patch.unsupported(PATCHES)),
        }
    }
    state(world, call).check(&mapping)?;
    let mappings = &mut domain(world, call)?.mappings;
    if mapping.base_path != before.base_path && mappings.contains_key(&mapping.base_path) {
        return Err(conflict("Base path already exists for this domain name"));
    }
    mappings.remove(&before.base_path);
    let view = json!(mapping);
    mappings.insert(mapping.base_path.clone(), mapping);
    Ok(view)
}

/// `DeleteBasePathMapping`.
fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let base_path = find(world, call)?.base_path.clone();
    domain(world, call)?.mappings.remove(&base_path);
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{petstore, refused, tell, world};
    use super::*;

    /// An account with a deployed API and a domain; answers the API's id.
    fn mapped() -> (World, String) {
        let mut world = world();
        let api = petstore(&mut world);
        tell(
            &mut world,
            "CreateDeployment",
            json!({ "restApiId": api, "stageName": "dev" }),
        );
        super::super::domain::tests::create(&mut world, "aaa.example.com");
        tell(&mut world, "CreateBasePathMapping", input(&api, ""));
        (world, api)
    }

    fn input(api: &str, base_path: &str) -> Value {
        json!({ "domainName": "aaa.example.com", "basePath": base_path, "restApiId": api, "stage": "dev" })
    }

    #[test]
    fn no_base_path_is_written_as_none() {
        let (mut world, api) = mapped();
        let input = json!({ "domainName": "aaa.example.com", "basePath": "(none)" });
        let mapping = tell(&mut world, "GetBasePathMapping", input);
        assert_eq!(
            mapping,
            json!({ "basePath": "(none)", "restApiId": api, "stage": "dev" })
        );
    }

    #[test]
    fn a_base_path_is_taken_once_and_has_one_part() {
        let (mut world, api) = mapped();
        let refusal = refused(&mut world, "CreateBasePathMapping", input(&api, "(none)"));
        assert_eq!(refusal.0, "ConflictException");
        let refusal = refused(&mut world, "CreateBasePathMapping", input(&api, "a/b"));
        assert!(
            refusal
                .1
                .starts_with("API Gateway V1 doesn't support the slash character")
        );
    }

    #[test]
    fn api_and_stage_have_to_exist() {
        let (mut world, api) = mapped();
        let refusal = refused(&mut world, "CreateBasePathMapping", input("nope", "x"));
        assert_eq!(refusal.1, "Invalid REST API identifier specified");
        let mut unknown = input(&api, "x");
        unknown["stage"] = json!("prod");
        let refusal = refused(&mut world, "CreateBasePathMapping", unknown);
        assert_eq!(refusal.1, "Invalid stage identifier specified");
    }

    #[test]
    fn what_is_mapped_cannot_be_deleted() {
        let (mut world, api) = mapped();
        let refusal = refused(&mut world, "DeleteRestApi", json!({ "restApiId": api }));
        assert!(
            refusal
                .1
                .starts_with("Deleting RestApi failed. Please remove all base path mappings")
        );
        let stage = json!({ "restApiId": api, "stageName": "dev" });
        let refusal = refused(&mut world, "DeleteStage", stage.clone());
        assert!(
            refusal.1.ends_with("in your domains: aaa.example.com"),
            "{}",
            refusal.1
        );
        tell(
            &mut world,
            "DeleteDomainName",
            json!({ "domainName": "aaa.example.com" }),
        );
        tell(&mut world, "DeleteStage", stage);
        tell(&mut world, "DeleteRestApi", json!({ "restApiId": api }));
    }

    #[test]
    fn both_spellings_of_the_base_path_are_patched() {
        let (mut world, _) = mapped();
        for (from, path, to) in [("(none)", "/basePath", "v1"), ("v1", "/basepath", "")] {
            let patch = json!({ "op": "replace", "path": path, "value": to });
            let input = json!({ "domainName": "aaa.example.com", "basePath": from, "patchOperations": [patch] });
            let mapping = tell(&mut world, "UpdateBasePathMapping", input);
            assert_eq!(mapping["basePath"], kept(to));
        }
    }
}
