//! REST APIs themselves: their properties, and the import of a definition.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::definition::Definition;
use super::deployment::Deployment;
use super::import::{self, Imported, Mode};
use super::patch::{Op, Patch};
use super::policy::{self, Owner};
use super::stage::Stage;
use super::{bad_request, filled, limit_exceeded, neighbour, page, state, tag, text_map};
use crate::sandbox::world::{Call, Refusal, World};

/// One REST API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct RestApi {
    /// Ten characters.
    pub(in crate::sandbox) id: String,
    /// Epoch seconds.
    created: i64,
    /// The id of the resource `/`.
    pub(super) root_resource_id: String,
    /// What the API's own calls set.
    pub(in crate::sandbox) properties: Properties,
    /// When a change of the TLS settings is in force.
    updated_by: i64,
    /// User and owner tags.
    pub(super) tags: BTreeMap<String, String>,
    /// What the next deployment will freeze.
    pub(in crate::sandbox) definition: Definition,
    /// By id.
    pub(in crate::sandbox) deployments: BTreeMap<String, Deployment>,
    /// By name.
    pub(in crate::sandbox) stages: BTreeMap<String, Stage>,
}

/// The properties of an API; a deployment freezes them with the definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Properties {
    /// Not unique.
    name: String,
    description: Option<String>,
    version: Option<String>,
    binary_media_types: Vec<String>,
    minimum_compression_size: Option<i64>,
    api_key_source: String,
    /// `EDGE`, `REGIONAL` or `PRIVATE`.
    pub(in crate::sandbox) endpoint_type: String,
    ip_address_type: String,
    /// The endpoints that have a public name for this API.
    pub(in crate::sandbox) vpc_endpoint_ids: Vec<String>,
    /// In the form it is kept in.
    pub(in crate::sandbox) policy: Option<Value>,
    /// Whether only custom domains reach the API.
    pub(in crate::sandbox) disable_execute_api_endpoint: bool,
    security_policy: String,
    /// `BASIC` or `STRICT`, where the security policy has modes.
    pub(in crate::sandbox) endpoint_access_mode: Option<String>,
}

/// The quotas of APIs by endpoint type: code and default.
const QUOTAS: &[(&str, &str, u64)] = &[
    ("EDGE", "L-B97207D0", 120),
    ("PRIVATE", "L-A966AB5C", 600),
    ("REGIONAL", "L-AA0FF27B", 600),
];

/// How long a change of the TLS settings takes.
const SECURITY_POLICY_UPDATE: Duration = Duration::from_mins(15);

/// The paths of `UpdateRestApi`.
const PATCHES: &[&str] = &[
    "/name",
    "/description",
    "/policy",
    "/apiKeySource",
    "/disableExecuteApiEndpoint",
    "/minimumCompressionSize",
    "/securityPolicy",
    "/endpointAccessMode",
    "/binaryMediaTypes/{media type}",
    "/endpointConfiguration/types/{old type}",
    "/endpointConfiguration/ipAddressType",
    "/endpointConfiguration/vpcEndpointIds",
];

/// Answers the calls about REST APIs themselves.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "CreateRestApi" => create(world, call),
        "DeleteRestApi" => delete(world, call),
        "GetRestApi" => get(world, call),
        "GetRestApis" => list(world, call),
        "ImportRestApi" => import_new(world, call),
        "PutRestApi" => put(world, call),
        "UpdateRestApi" => update(world, call),
        _ => return None,
    })
}

impl RestApi {
    /// What an exported document says of the API itself.
    pub(super) fn exported_info(&self) -> Value {
        let mut info = json!({ "title": self.properties.name });
        if let Some(description) = &self.properties.description {
            info["description"] = description.as_str().into();
        }
        info["version"] = self.properties.version.as_deref().unwrap_or("1.0").into();
        info
    }

    /// An API without resources but its root.
    fn new(world: &mut World, properties: Properties) -> Self {
        let id = world.unique_hex(10);
        let root_resource_id = world.unique_hex(10);
        let definition = Definition::new(&root_resource_id, || world.unique_hex(6));
        Self {
            id,
            created: world.now / 1_000,
            root_resource_id,
            properties,
            updated_by: world.now,
            tags: BTreeMap::new(),
            definition,
            deployments: BTreeMap::new(),
            stages: BTreeMap::new(),
        }
    }

    /// The API as AWS answers it.
    fn view(&self, now: i64) -> Value {
        let properties = &self.properties;
        json!({
            "id": self.id,
            "name": properties.name,
            "description": properties.description,
            "createdDate": self.created,
            "version": properties.version,
            "binaryMediaTypes": filled(&properties.binary_media_types),
            "minimumCompressionSize": properties.minimum_compression_size,
            "apiKeySource": properties.api_key_source,
            "endpointConfiguration": {
                "types": [properties.endpoint_type],
                "ipAddressType": properties.ip_address_type,
                "vpcEndpointIds": filled(&properties.vpc_endpoint_ids),
            },
            "policy": properties.policy.as_ref().map(policy::escaped),
            "tags": filled(&self.tags),
            "disableExecuteApiEndpoint": properties.disable_execute_api_endpoint,
            "rootResourceId": self.root_resource_id,
            "securityPolicy": properties.security_policy,
            "endpointAccessMode": properties.endpoint_access_mode,
            "apiStatus": if self.updated_by <= now { "AVAILABLE" } else { "UPDATING" },
        })
    }
}

impl Properties {
    /// The properties of an API that only its name and endpoint type are known of.
    fn new(name: &str, endpoint_type: &str) -> Self {
        let is_private = endpoint_type == "PRIVATE";
        Self {
            name: name.to_owned(),
            description: None,
            version: None,
            binary_media_types: Vec::new(),
            minimum_compression_size: None,
            api_key_source: "HEADER".to_owned(),
            endpoint_type: endpoint_type.to_owned(),
            ip_address_type: if is_private { "dualstack" } else { "ipv4" }.to_owned(),
            vpc_endpoint_ids: Vec::new(),
            policy: None,
            disable_execute_api_endpoint: false,
            security_policy: if is_private { "TLS_1_2" } else { "TLS_1_0" }.to_owned(),
            endpoint_access_mode: None,
        }
    }

    /// The properties that a creation asks for, but for the policy, which names the API's id.
    fn read(call: &Call<'_>) -> Result<Self, Refusal> {
        let endpoints = &call.input["endpointConfiguration"];
        let members = ["types", "vpcEndpointIds", "ipAddressType"];
        call.models("endpointConfiguration", endpoints, &members)?;
        let texts = |value: &Value| -> Vec<String> {
            let values = value.as_array().into_iter().flatten();
            values
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let types = texts(&endpoints["types"]);
        if types.len() > 1 {
            return Err(bad_request(
                "Only one endpoint type can be specified for an API",
            ));
        }
        let endpoint_type = types.first().map_or("EDGE", String::as_str);
        let mut properties = Self::new(call.required("name"), endpoint_type);
        let set = |property: &mut String, value: Option<&str>| {
            if let Some(value) = value {
                value.clone_into(property);
            }
        };
        set(
            &mut properties.ip_address_type,
            endpoints["ipAddressType"].as_str(),
        );
        set(&mut properties.api_key_source, call.text("apiKeySource"));
        set(&mut properties.security_policy, call.text("securityPolicy"));
        properties.description = call.text("description").map(str::to_owned);
        properties.version = call.text("version").map(str::to_owned);
        properties.binary_media_types = texts(&call.input["binaryMediaTypes"]);
        properties.minimum_compression_size = call.integer("minimumCompressionSize");
        properties.vpc_endpoint_ids = texts(&endpoints["vpcEndpointIds"]);
        properties.endpoint_access_mode = call.text("endpointAccessMode").map(str::to_owned);
        properties.disable_execute_api_endpoint =
            call.boolean("disableExecuteApiEndpoint").unwrap_or(false);
        Ok(properties)
    }

    /// Refuses properties that do not go together.
    fn check(&self) -> Result<(), Refusal> {
        let is_private = self.endpoint_type == "PRIVATE";
        if self.name.is_empty() {
            return Err(bad_request("API name must not be empty"));
        }
        if is_private && self.ip_address_type != "dualstack" {
            return Err(bad_request(
                "Private APIs only support the dualstack IP address type",
            ));
        }
        if !is_private && !self.vpc_endpoint_ids.is_empty() {
            return Err(bad_request(
                "VPCEndpoints can only be specified with PRIVATE apis.",
            ));
        }
        if is_private && self.security_policy == "TLS_1_0" {
            return Err(bad_request(
                "Private APIs do not support the security policy TLS_1_0",
            ));
        }
        check_access_mode(&self.security_policy, self.endpoint_access_mode.as_deref())?;
        if self
            .minimum_compression_size
            .is_some_and(|size| !(0..=10_485_760).contains(&size))
        {
            let message = "Invalid minimum compression size, must be between 0 and 10485760";
            return Err(bad_request(message));
        }
        Ok(())
    }

    /// Refuses endpoints that do not exist, unless they were named before.
    fn check_endpoints(
        &self,
        world: &mut World,
        region: &str,
        before: &[String],
    ) -> Result<(), Refusal> {
        for id in self
            .vpc_endpoint_ids
            .iter()
            .filter(|id| !before.contains(id))
        {
            if !neighbour::has_vpc_endpoint(world, region, id) {
                return Err(bad_request(format!("VPC endpoint {id} does not exist")));
            }
        }
        Ok(())
    }

    /// Makes one patch.
    fn apply(&mut self, patch: &Patch, owner: &Owner<'_>) -> Result<(), Refusal> {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["name"]) => self.name = patch.text()?,
            (_, ["description"]) => self.description = patch.optional_text(),
            (Op::Replace, ["policy"]) => self.policy = policy::accept(&patch.text()?, owner)?,
            (Op::Replace, ["apiKeySource"]) => {
                self.api_key_source = patch.one_of(&["HEADER", "AUTHORIZER"])?;
            }
            (Op::Replace, ["disableExecuteApiEndpoint"]) => {
                self.disable_execute_api_endpoint = patch.parsed()?;
            }
            (Op::Replace, ["minimumCompressionSize"]) => {
                self.minimum_compression_size =
                    patch.optional_text().map(|_| patch.parsed()).transpose()?;
            }
            (Op::Replace, ["securityPolicy"]) => self.security_policy = patch.text()?,
            (Op::Replace, ["endpointAccessMode"]) => {
                self.endpoint_access_mode = patch.optional_text();
            }
            (op, ["binaryMediaTypes", media_type]) => {
                self.binary_media_types.retain(|known| known != media_type);
                match op {
                    Op::Remove => {}
                    Op::Add => self.binary_media_types.push((*media_type).to_owned()),
                    Op::Replace => self.binary_media_types.push(patch.text()?),
                }
            }
            (_, ["endpointConfiguration", rest @ ..]) => self.apply_to_endpoints(patch, rest)?,
            _ => return Err(patch.unsupported(PATCHES)),
        }
        Ok(())
    }

    /// Makes one patch of the endpoint configuration; `rest` is what follows it in the path.
    fn apply_to_endpoints(&mut self, patch: &Patch, rest: &[&str]) -> Result<(), Refusal> {
        match (patch.op, rest) {
            (Op::Replace, ["types", old]) => {
                if *old != self.endpoint_type {
                    return Err(bad_request(format!("The API's endpoint type is not {old}")));
                }
                let wanted = patch.one_of(&["EDGE", "REGIONAL", "PRIVATE"])?;
                if self.endpoint_type == "PRIVATE" && wanted == "EDGE" {
                    let message = "Cannot change the endpoint type from PRIVATE to EDGE";
                    return Err(bad_request(message));
                }
                let defaults = Self::new(&self.name, &wanted);
                self.endpoint_type = defaults.endpoint_type;
                self.ip_address_type = defaults.ip_address_type;
                if self.security_policy == "TLS_1_0" {
                    self.security_policy = defaults.security_policy;
                }
            }
            (Op::Replace, ["ipAddressType"]) => {
                self.ip_address_type = patch.one_of(&["ipv4", "dualstack"])?;
            }
            (Op::Add, ["vpcEndpointIds"]) => {
                let id = patch.text()?;
                if !self.vpc_endpoint_ids.contains(&id) {
                    self.vpc_endpoint_ids.push(id);
                }
            }
            (Op::Remove, ["vpcEndpointIds"]) => {
                let id = patch.text()?;
                self.vpc_endpoint_ids.retain(|known| *known != id);
            }
            _ => return Err(patch.unsupported(PATCHES)),
        }
        Ok(())
    }

    /// Takes over what an imported document says of the API itself.
    ///
    /// Overwriting resets the literal properties that the document does not have; merging keeps
    /// them. Endpoint type, tags and TLS settings stay in both.
    fn adopt(&mut self, imported: &Imported, mode: Mode, owner: &Owner<'_>) -> Result<(), Refusal> {
        fn set<T: Clone>(property: &mut Option<T>, value: Option<&T>, mode: Mode) {
            if value.is_some() || mode == Mode::Overwrite {
                *property = value.cloned();
            }
        }
        if let Some(title) = &imported.title {
            self.name.clone_from(title);
        }
        set(&mut self.description, imported.description.as_ref(), mode);
        set(&mut self.version, imported.version.as_ref(), mode);
        set(
            &mut self.minimum_compression_size,
            imported.minimum_compression_size.as_ref(),
            mode,
        );
        let policy = match &imported.policy {
            Some(document) => policy::accept(&document.to_string(), owner)?,
            None => None,
        };
        set(&mut self.policy, policy.as_ref(), mode);
        let mut media_types = Some(std::mem::take(&mut self.binary_media_types));
        set(&mut media_types, imported.binary_media_types.as_ref(), mode);
        self.binary_media_types = media_types.unwrap_or_default();
        let mut endpoints = Some(std::mem::take(&mut self.vpc_endpoint_ids));
        set(&mut endpoints, imported.vpc_endpoint_ids.as_ref(), mode);
        self.vpc_endpoint_ids = endpoints.unwrap_or_default();
        let mut source = Some(std::mem::take(&mut self.api_key_source));
        set(&mut source, imported.api_key_source.as_ref(), mode);
        self.api_key_source = source.unwrap_or_else(|| "HEADER".to_owned());
        if let Some(disabled) = imported.disable_execute_api_endpoint {
            self.disable_execute_api_endpoint = disabled;
        }
        if let Some(security_policy) = &imported.security_policy {
            self.security_policy.clone_from(security_policy);
            self.endpoint_access_mode
                .clone_from(&imported.endpoint_access_mode);
        }
        Ok(())
    }
}

/// Refuses an access mode without one of the policies that have it, and such a policy without it.
pub(super) fn check_access_mode(security_policy: &str, mode: Option<&str>) -> Result<(), Refusal> {
    match (security_policy.starts_with("SecurityPolicy_"), mode) {
        (true, None) => Err(bad_request(format!(
            "An endpoint access mode must be specified for the security policy {security_policy}"
        ))),
        (false, Some(_)) => Err(bad_request(format!(
            "An endpoint access mode cannot be specified for the security policy {security_policy}"
        ))),
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

/// Refuses one API more of the endpoint type than the account may have.
fn check_quota(world: &mut World, call: &Call<'_>, endpoint_type: &str) -> Result<(), Refusal> {
    let Some((_, code, default)) = QUOTAS.iter().find(|(name, _, _)| *name == endpoint_type) else {
        return Ok(());
    };
    let quota = world.quota(code, *default);
    let apis = state(world, call).apis.values();
    let count = apis
        .filter(|api| api.properties.endpoint_type == endpoint_type)
        .count() as u64;
    if count >= quota {
        return Err(limit_exceeded(format!(
            "Maximum number of {endpoint_type} APIs for this account has been reached: {quota}"
        )));
    }
    Ok(())
}

/// `CreateRestApi`.
fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let properties = Properties::read(call)?;
    let tags = text_map(&call.input["tags"]);
    tag::check(&tags)?;
    check_quota(world, call, &properties.endpoint_type)?;
    properties.check()?;
    properties.check_endpoints(world, call.region, &[])?;
    let account = world.account.clone();
    let mut api = RestApi::new(world, properties);
    let owner = Owner {
        account: &account,
        region: call.region,
        api: &api.id,
    };
    api.properties.policy = policy::accept(call.text("policy").unwrap_or_default(), &owner)?;
    api.tags = tags;
    let view = api.view(world.now);
    state(world, call).apis.insert(api.id.clone(), api.into());
    Ok(view)
}

/// `GetRestApi`.
fn get(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    super::api(world, call).map(|api| api.view(now))
}

/// `GetRestApis`.
fn list(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let apis = state(world, call).apis.values();
    page(
        call,
        apis.map(|api| (api.id.clone(), api.view(now))).collect(),
    )
}

/// `UpdateRestApi`.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let patches = Patch::read_all(call)?;
    let account = world.account.clone();
    let before = super::api(world, call)?.properties.clone();
    let mut properties = before.clone();
    let owner = Owner {
        account: &account,
        region: call.region,
        api: call.required("restApiId"),
    };
    for patch in &patches {
        properties.apply(patch, &owner)?;
    }
    properties.check()?;
    properties.check_endpoints(world, call.region, &before.vpc_endpoint_ids)?;
    let retimed = before.security_policy != properties.security_policy
        || before.endpoint_access_mode != properties.endpoint_access_mode;
    let updated_by = retimed.then(|| world.due(SECURITY_POLICY_UPDATE));
    let now = world.now;
    let api = super::api(world, call)?;
    api.properties = properties;
    api.updated_by = updated_by.unwrap_or(api.updated_by);
    Ok(api.view(now))
}

/// `DeleteRestApi`: stages and deployments go with it, mappings do not.
fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = super::api(world, call)?.id.clone();
    let state = state(world, call);
    if state
        .mappings()
        .any(|(_, mapping)| mapping.rest_api_id == id)
    {
        return Err(bad_request(
            "Deleting RestApi failed. Please remove all base path mappings related to the RestApi \
             in your domains.",
        ));
    }
    state.apis.remove(&id);
    Ok(json!({}))
}

/// `PutRestApi`.
fn put(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mode = if call.text("mode") == Some("overwrite") {
        Mode::Overwrite
    } else {
        Mode::Merge
    };
    let api = super::api(world, call)?.clone();
    take_in(world, call, api, mode)
}

/// `ImportRestApi`.
fn import_new(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let wanted = call.input["parameters"]["endpointConfigurationTypes"]
        .as_str()
        .unwrap_or("EDGE");
    if !QUOTAS.iter().any(|(name, _, _)| *name == wanted) {
        return Err(bad_request(format!(
            "Invalid endpoint configuration type specified: {wanted}"
        )));
    }
    check_quota(world, call, wanted)?;
    let api = RestApi::new(world, Properties::new("", wanted));
    take_in(world, call, api, Mode::Overwrite)
}

/// Imports the call's document into the API, which is stored only if all of it could be taken in.
fn take_in(
    world: &mut World,
    call: &Call<'_>,
    mut api: RestApi,
    mode: Mode,
) -> Result<Value, Refusal> {
    let account = world.account.clone();
    let target = import::Target {
        api: &api.id,
        definition: &api.definition,
        mode,
    };
    let imported = import::read(world, call, &target)?;
    let owner = Owner {
        account: &account,
        region: call.region,
        api: &api.id,
    };
    let before = api.properties.vpc_endpoint_ids.clone();
    api.properties.adopt(&imported, mode, &owner)?;
    api.properties.check()?;
    api.properties
        .check_endpoints(world, call.region, &before)?;
    api.definition = imported.definition;
    let mut view = api.view(world.now);
    view["warnings"] = filled(&imported.warnings);
    state(world, call).apis.insert(api.id.clone(), api.into());
    Ok(view)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{
        ask, document, endpoint, id, import, petstore, policy, private_api, refused, tell, world,
    };
    use super::*;

    #[test]
    fn names_are_not_unique() {
        let world = &mut world();
        assert_ne!(private_api(world), private_api(world));
        assert_eq!(
            tell(world, "GetRestApis", json!({}))["items"]
                .as_array()
                .map(Vec::len),
            Some(2)
        );
    }

    #[test]
    fn an_api_is_for_the_edge_unless_said_otherwise() {
        let api = tell(&mut world(), "CreateRestApi", json!({ "name": "n" }));
        assert_eq!(api["endpointConfiguration"]["types"], json!(["EDGE"]));
        assert_eq!(api["securityPolicy"], "TLS_1_0");
        assert_eq!(api["id"].as_str().map(str::len), Some(10));
        assert_eq!(api["policy"], Value::Null);
    }

    #[test]
    fn the_policy_comes_back_escaped_and_expanded() {
        let world = &mut world();
        let input = json!({ "name": "n", "policy": policy(), "endpointConfiguration": { "types": ["PRIVATE"] } });
        let api = tell(world, "CreateRestApi", input);
        let text = api["policy"].as_str().expect("a policy");
        assert!(text.starts_with(r#"{\"Version\":"#), "{text}");
        let unescaped = text.replace("\\\"", "\"");
        let document: Value = serde_json::from_str(&unescaped).expect("JSON");
        let arn = format!(
            "arn:aws:execute-api:ap-northeast-1:123456789012:{}/*",
            id(&api)
        );
        assert_eq!(document["Statement"][0]["Resource"], arn);
    }

    #[test]
    fn endpoints_belong_to_private_apis_and_must_exist() {
        let world = &mut world();
        let private = private_api(world);
        let add = |id: &str, endpoint: &str| {
            let patch = json!({ "op": "add", "path": "/endpointConfiguration/vpcEndpointIds", "value": endpoint });
            json!({ "restApiId": id, "patchOperations": [patch] })
        };
        assert_eq!(
            refused(world, "UpdateRestApi", add(&private, "nonsense")).0,
            "BadRequestException"
        );
        let endpoint = endpoint(world);
        let answer = tell(world, "UpdateRestApi", add(&private, &endpoint));
        assert_eq!(
            answer["endpointConfiguration"]["vpcEndpointIds"],
            json!([endpoint])
        );
        let regional = petstore(world);
        let message = refused(world, "UpdateRestApi", add(&regional, "vpce-1")).1;
        assert_eq!(
            message,
            "VPCEndpoints can only be specified with PRIVATE apis."
        );
    }

    #[test]
    fn an_update_is_all_or_nothing() {
        let world = &mut world();
        let api = private_api(world);
        let input = json!({ "restApiId": api, "patchOperations": [
            { "op": "replace", "path": "/name", "value": "other" },
            { "op": "replace", "path": "/nonsense", "value": "x" },
        ] });
        let (code, message) = refused(world, "UpdateRestApi", input);
        assert_eq!(code, "BadRequestException");
        assert!(message.starts_with("Invalid patch path '/nonsense' specified for op 'replace'."));
        assert_eq!(
            tell(world, "GetRestApi", json!({ "restApiId": api }))["name"],
            "petstore"
        );
    }

    #[test]
    fn the_endpoint_type_changes_from_private_to_regional_but_not_to_edge() {
        let world = &mut world();
        let api = private_api(world);
        let change = |value: &str| {
            let path = "/endpointConfiguration/types/PRIVATE";
            json!({ "restApiId": api, "patchOperations": [{ "op": "replace", "path": path, "value": value }] })
        };
        assert_eq!(
            refused(world, "UpdateRestApi", change("EDGE")).0,
            "BadRequestException"
        );
        let answer = tell(world, "UpdateRestApi", change("REGIONAL"));
        assert_eq!(
            answer["endpointConfiguration"]["types"],
            json!(["REGIONAL"])
        );
    }

    #[test]
    fn overwriting_resets_literal_properties_but_not_endpoint_type_and_tags() {
        let world = &mut world();
        let input = json!({
            "name": "n", "description": "d", "policy": policy(), "binaryMediaTypes": ["image/png"],
            "minimumCompressionSize": 5, "tags": { "k": "v" }, "endpointConfiguration": { "types": ["PRIVATE"] },
        });
        let api = id(&tell(world, "CreateRestApi", input));
        let mut bare = document();
        bare["info"] = json!({ "title": "Bare", "version": "2" });
        let merged = import(
            world,
            "PutRestApi",
            json!({ "restApiId": api, "mode": "merge" }),
            &bare,
        )
        .expect("ok");
        assert_eq!(
            (&merged["name"], &merged["description"]),
            (&json!("Bare"), &json!("d"))
        );
        assert!(merged["policy"].is_string());
        let after = import(
            world,
            "PutRestApi",
            json!({ "restApiId": api, "mode": "overwrite" }),
            &bare,
        )
        .expect("ok");
        for reset in [
            "description",
            "policy",
            "binaryMediaTypes",
            "minimumCompressionSize",
        ] {
            assert_eq!(after[reset], Value::Null, "{reset}");
        }
        assert_eq!(after["tags"], json!({ "k": "v" }));
        assert_eq!(after["endpointConfiguration"]["types"], json!(["PRIVATE"]));
    }

    #[test]
    fn an_unknown_api_is_not_found() {
        let refusal =
            ask(&mut world(), "GetRestApi", json!({ "restApiId": "nope" })).expect_err("refused");
        assert_eq!(
            (refusal.code.as_str(), refusal.status),
            ("NotFoundException", 404)
        );
    }

    #[test]
    fn quotas_are_limits_and_not_throttles() {
        let world = &mut world();
        world.quotas.insert("L-A966AB5C".to_owned(), 1);
        private_api(world);
        let input = json!({ "name": "n", "endpointConfiguration": { "types": ["PRIVATE"] } });
        let refusal = ask(world, "CreateRestApi", input).expect_err("refused");
        assert_eq!(
            (refusal.code.as_str(), refusal.status),
            ("LimitExceededException", 429)
        );
    }
}
