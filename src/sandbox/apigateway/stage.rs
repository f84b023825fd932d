//! Stages: names that deployments are reached under, with the settings of logs and limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::patch::{Op, Patch};
use super::{bad_request, conflict, filled, limit_exceeded, not_found, state, tag, text_map};
use crate::sandbox::world::{Call, Refusal, World};

/// One stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct Stage {
    name: String,
    /// The deployment it answers with.
    pub(in crate::sandbox) deployment_id: String,
    pub(super) description: Option<String>,
    /// What `${stageVariables.…}` stands for.
    pub(in crate::sandbox) variables: BTreeMap<String, String>,
    pub(super) tracing_enabled: bool,
    access_logs: AccessLogs,
    /// By `*/*` or `<path>/<method>`.
    method_settings: BTreeMap<String, MethodSettings>,
    /// User and owner tags.
    pub(super) tags: BTreeMap<String, String>,
    created: i64,
    updated: i64,
}

/// Where and how requests are logged; both are empty at first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessLogs {
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
}

/// What holds for one method, or all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "members have API Gateway's own names and types"
)]
struct MethodSettings {
    metrics_enabled: bool,
    logging_level: String,
    data_trace_enabled: bool,
    throttling_burst_limit: i64,
    throttling_rate_limit: f64,
    caching_enabled: bool,
    cache_ttl_in_seconds: i64,
    cache_data_encrypted: bool,
    require_authorization_for_cache_control: bool,
    unauthorized_cache_control_header_strategy: String,
}

/// Stages per API: quota code and default.
const QUOTA: (&str, u64) = ("L-379E48B0", 10);

/// Variables per stage, and the lengths of their names and values.
const VARIABLES: (usize, usize, usize) = (100, 64, 512);

/// The paths of `UpdateStage`.
const PATCHES: &[&str] = &[
    "/deploymentId",
    "/description",
    "/tracingEnabled",
    "/variables/{name}",
    "/accessLogSettings",
    "/accessLogSettings/destinationArn",
    "/accessLogSettings/format",
    "/{resource path}/{method}/logging/loglevel",
    "/{resource path}/{method}/logging/dataTrace",
    "/{resource path}/{method}/metrics/enabled",
    "/{resource path}/{method}/throttling/burstLimit",
    "/{resource path}/{method}/throttling/rateLimit",
    "/{resource path}/{method}/caching/enabled",
    "/{resource path}/{method}/caching/ttlInSeconds",
    "/{resource path}/{method}/caching/dataEncrypted",
];

/// Answers the calls about stages.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "CreateStage" => create(world, call),
        "DeleteStage" => delete(world, call),
        "GetStage" => find(world, call).map(|stage| stage.view()),
        "GetStages" => list(world, call),
        "UpdateStage" => update(world, call),
        _ => return None,
    })
}

impl Stage {
    /// A stage with API Gateway's defaults.
    pub(super) fn new(name: &str, deployment: &str, now: i64) -> Self {
        Self {
            name: name.to_owned(),
            deployment_id: deployment.to_owned(),
            description: None,
            variables: BTreeMap::new(),
            tracing_enabled: false,
            access_logs: AccessLogs::default(),
            method_settings: BTreeMap::new(),
            tags: BTreeMap::new(),
            created: now,
            updated: now,
        }
    }

    /// Answers with another deployment from now on.
    pub(super) fn move_to(&mut self, deployment: &str, now: i64) {
        deployment.clone_into(&mut self.deployment_id);
        self.updated = now;
    }

    /// The stage as AWS answers it.
    fn view(&self) -> Value {
        json!({
            "stageName": self.name,
            "deploymentId": self.deployment_id,
            "description": self.description,
            "cacheClusterEnabled": false,
            "cacheClusterStatus": "NOT_AVAILABLE",
            "methodSettings": self.method_settings,
            "variables": filled(&self.variables),
            "accessLogSettings": filled(&self.access_logs),
            "tracingEnabled": self.tracing_enabled,
            "tags": filled(&self.tags),
            "createdDate": self.created,
            "lastUpdatedDate": self.updated,
        })
    }

    /// Makes one patch.
    fn apply(&mut self, patch: &Patch) -> Result<(), Refusal> {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["deploymentId"]) => self.deployment_id = patch.text()?,
            (Op::Replace, ["description"]) => self.description = patch.optional_text(),
            (Op::Replace, ["tracingEnabled"]) => self.tracing_enabled = patch.parsed()?,
            (Op::Remove, ["variables", name]) => {
                self.variables.remove(*name);
            }
            (Op::Add | Op::Replace, ["variables", name]) => {
                self.variables.insert((*name).to_owned(), patch.text()?);
            }
            (Op::Remove, ["accessLogSettings"]) => self.access_logs = AccessLogs::default(),
            (Op::Add | Op::Replace, ["accessLogSettings", "destinationArn"]) => {
                // A log group's ARN is kept without the `:*` that it is shown with elsewhere.
                let arn = patch.text()?;
                self.access_logs.destination_arn = Some(arn.trim_end_matches(":*").to_owned());
            }
            (Op::Add | Op::Replace, ["accessLogSettings", "format"]) => {
                self.access_logs.format = Some(patch.text()?);
            }
            (Op::Replace, [path @ .., method, group, setting]) if !path.is_empty() => {
                let settings = self
                    .method_settings
                    .entry(settings_key(path, method))
                    .or_default();
                settings.apply(patch, group, setting)?;
            }
            (Op::Remove, [path @ .., method]) if !path.is_empty() => {
                self.method_settings.remove(&settings_key(path, method));
            }
            _ => return Err(patch.unsupported(PATCHES)),
        }
        Ok(())
    }

    /// Refuses a destination or format alone, and destinations that are none.
    fn check_access_logs(&self) -> Result<(), Refusal> {
        match (&self.access_logs.destination_arn, &self.access_logs.format) {
            (None, None) => Ok(()),
            (Some(arn), Some(format)) => {
                let known = arn.contains(":logs:")
                    || (arn.contains(":firehose:") && arn.contains("/amazon-apigateway-"));
                if !known {
                    return Err(bad_request(
                        "Invalid ARN specified in the request. ARNs must start with \
                         arn:aws:logs or arn:aws:firehose with an amazon-apigateway- stream",
                    ));
                }
                if !format.contains("$context.requestId")
                    && !format.contains("$context.extendedRequestId")
                {
                    return Err(bad_request(
                        "Access Log format must be single line, new line character is allowed only \
                         at end of the format and must contain at least $context.requestId or \
                         $context.extendedRequestId",
                    ));
                }
                Ok(())
            }
            _ => Err(bad_request(
                "Both destinationArn and format of access logs must be specified",
            )),
        }
    }

    /// Whether anything is to be written to `CloudWatch` Logs.
    fn logs(&self) -> bool {
        self.access_logs
            .destination_arn
            .as_ref()
            .is_some_and(|arn| arn.contains(":logs:"))
            || self
                .method_settings
                .values()
                .any(|settings| settings.logging_level != "OFF")
    }
}

impl Default for MethodSettings {
    fn default() -> Self {
        Self {
            metrics_enabled: false,
            logging_level: "OFF".to_owned(),
            data_trace_enabled: false,
            throttling_burst_limit: 5_000,
            throttling_rate_limit: 10_000.0,
            caching_enabled: false,
            cache_ttl_in_seconds: 300,
            cache_data_encrypted: false,
            require_authorization_for_cache_control: true,
            unauthorized_cache_control_header_strategy: "SUCCEED_WITH_RESPONSE_HEADER".to_owned(),
        }
    }
}

impl MethodSettings {
    /// Makes one patch; `group` and `setting` are the last two parts of its path.
    fn apply(&mut self, patch: &Patch, group: &str, setting: &str) -> Result<(), Refusal> {
        match (group, setting) {
            ("logging", "loglevel") => {
                self.logging_level = patch.one_of(&["OFF", "ERROR", "INFO"])?;
            }
            ("logging", "dataTrace") => self.data_trace_enabled = patch.parsed()?,
            ("metrics", "enabled") => self.metrics_enabled = patch.parsed()?,
            ("throttling", "burstLimit") => self.throttling_burst_limit = patch.parsed()?,
            ("throttling", "rateLimit") => self.throttling_rate_limit = patch.parsed()?,
            ("caching", "enabled") => self.caching_enabled = patch.parsed()?,
            ("caching", "ttlInSeconds") => self.cache_ttl_in_seconds = patch.parsed()?,
            ("caching", "dataEncrypted") => self.cache_data_encrypted = patch.parsed()?,
            ("caching", "requireAuthorizationForCacheControl") => {
                self.require_authorization_for_cache_control = patch.parsed()?;
            }
            ("caching", "unauthorizedCacheControlHeaderStrategy") => {
                self.unauthorized_cache_control_header_strategy = patch.text()?;
            }
            _ => return Err(patch.unsupported(PATCHES)),
        }
        Ok(())
    }
}

/// The key of the settings for a resource path, escaped into one part or not, and a method.
fn settings_key(path: &[&str], method: &str) -> String {
    match path.join("/").trim_start_matches('/') {
        "" => format!("~1/{method}"),
        path => format!("{path}/{method}"),
    }
}

/// The stage that the call names.
fn find<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut Stage, Refusal> {
    super::api(world, call)?
        .stages
        .get_mut(call.required("stageName"))
        .ok_or_else(|| not_found("Invalid stage identifier specified"))
}

/// Refuses a stage that exists or cannot be named so, and one more than an API may have.
pub(super) fn check_new(world: &mut World, call: &Call<'_>, name: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 128 || !name.bytes().all(fits) {
        return Err(bad_request("Stage name only allows a-zA-Z0-9_-"));
    }
    let quota = world.quota(QUOTA.0, QUOTA.1);
    let stages = &super::api(world, call)?.stages;
    if stages.contains_key(name) {
        return Err(conflict("Stage already exists"));
    }
    if stages.len() as u64 >= quota {
        return Err(limit_exceeded(format!(
            "Maximum number of stages for this API has been reached: {quota}"
        )));
    }
    Ok(())
}

/// The variables, if API Gateway takes them.
pub(super) fn checked_variables(
    variables: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let (count, name_length, value_length) = VARIABLES;
    if variables.len() > count {
        return Err(limit_exceeded(format!(
            "A stage can have at most {count} variables"
        )));
    }
    for (name, value) in &variables {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > name_length || !name.bytes().all(fits) {
            return Err(bad_request(format!(
                "Stage variable name {name} is not alphanumeric"
            )));
        }
        let known = |character: char| {
            character.is_ascii_alphanumeric() || "-._~:/?#&=,".contains(character)
        };
        if value.len() > value_length || !value.chars().all(known) {
            return Err(bad_request(format!(
                "Stage variable values can only contain alphanumeric characters and -._~:/?#&=,: \
                 {name}"
            )));
        }
    }
    Ok(variables)
}

/// Refuses a deployment that the API does not have, and logs that nobody may write.
fn check(world: &mut World, call: &Call<'_>, stage: &Stage) -> Result<(), Refusal> {
    if !super::api(world, call)?
        .deployments
        .contains_key(&stage.deployment_id)
    {
        return Err(bad_request("Deployment id does not exist"));
    }
    stage.check_access_logs()?;
    if stage.logs() && state(world, call).cloudwatch_role.is_none() {
        return Err(bad_request(
            "CloudWatch Logs role ARN must be set in account settings to enable logging",
        ));
    }
    Ok(())
}

/// `CreateStage`.
fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.required("stageName");
    check_new(world, call, name)?;
    let mut stage = Stage::new(name, call.required("deploymentId"), world.now / 1_000);
    stage.description = call.text("description").map(str::to_owned);
    stage.variables = checked_variables(text_map(&call.input["variables"]))?;
    stage.tracing_enabled = call.boolean("tracingEnabled").unwrap_or(false);
    stage.tags = text_map(&call.input["tags"]);
    tag::check(&stage.tags)?;
    check(world, call, &stage)?;
    let view = stage.view();
    super::api(world, call)?
        .stages
        .insert(name.to_owned(), stage);
    Ok(view)
}

/// `GetStages`, which has no pages.
fn list(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let wanted = call.text("deploymentId");
    let stages: Vec<Value> = super::api(world, call)?
        .stages
        .values()
        .filter(|stage| wanted.is_none_or(|wanted| stage.deployment_id == wanted))
        .map(Stage::view)
        .collect();
    Ok(json!({ "item": stages }))
}

/// `UpdateStage`.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut stage = find(world, call)?.clone();
    for patch in Patch::read_all(call)? {
        stage.apply(&patch)?;
    }
    stage.variables = checked_variables(stage.variables)?;
    check(world, call, &stage)?;
    stage.updated = world.now / 1_000;
    let view = stage.view();
    *find(world, call)? = stage;
    Ok(view)
}

/// `DeleteStage`.
fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let name = find(world, call)?.name.clone();
    let id = call.required("restApiId");
    let domains: Vec<&str> = state(world, call)
        .mappings()
        .filter(|(_, mapping)| mapping.rest_api_id == id && mapping.stage.as_ref() == Some(&name))
        .map(|(domain, _)| domain)
        .collect();
    if !domains.is_empty() {
        return Err(bad_request(format!(
            "Deleting stage {name} failed. Please remove all base path mappings related to the \
             stage in your domains: {}",
            domains.join(", ")
        )));
    }
    super::api(world, call)?.stages.remove(&name);
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{id, petstore, refused, tell, world};
    use super::*;

    /// An account with a deployed API; answers its id.
    fn staged() -> (World, String) {
        let mut world = world();
        let api = petstore(&mut world);
        let deployment = id(&tell(
            &mut world,
            "CreateDeployment",
            json!({ "restApiId": api }),
        ));
        let input = json!({
            "restApiId": api, "stageName": "dev", "deploymentId": deployment,
            "variables": { "backend": "a.example.com" }, "tags": { "k": "v" },
        });
        tell(&mut world, "CreateStage", input);
        (world, api)
    }

    fn patch(api: &str, operations: &Value) -> Value {
        json!({ "restApiId": api, "stageName": "dev", "patchOperations": operations })
    }

    #[test]
    fn a_stage_has_tags_and_variables_from_the_start() {
        let (mut world, api) = staged();
        let stage = tell(
            &mut world,
            "GetStage",
            json!({ "restApiId": api, "stageName": "dev" }),
        );
        assert_eq!(stage["tags"], json!({ "k": "v" }));
        assert_eq!(stage["variables"], json!({ "backend": "a.example.com" }));
        assert_eq!(stage["methodSettings"], json!({}));
    }

    #[test]
    fn stages_have_unique_names_and_real_deployments() {
        let (mut world, api) = staged();
        let input = json!({ "restApiId": api, "stageName": "dev", "deploymentId": "abc123" });
        assert_eq!(
            refused(&mut world, "CreateStage", input).0,
            "ConflictException"
        );
        let input = json!({ "restApiId": api, "stageName": "other", "deploymentId": "abc123" });
        assert_eq!(
            refused(&mut world, "CreateStage", input).0,
            "BadRequestException"
        );
    }

    #[test]
    fn method_settings_are_set_one_by_one_under_their_method() {
        let (mut world, api) = staged();
        let operations = json!([
            { "op": "replace", "path": "/*/*/throttling/rateLimit", "value": "100.5" },
            { "op": "replace", "path": "/~1pets~1{petId}/GET/metrics/enabled", "value": "true" },
        ]);
        let settings = &tell(&mut world, "UpdateStage", patch(&api, &operations))["methodSettings"];
        assert_eq!(settings["*/*"]["throttlingRateLimit"], 100.5);
        assert_eq!(settings["*/*"]["throttlingBurstLimit"], 5_000);
        assert_eq!(settings["pets/{petId}/GET"]["metricsEnabled"], true);
        let operations = json!([{ "op": "remove", "path": "/*/*" }]);
        let settings = &tell(&mut world, "UpdateStage", patch(&api, &operations))["methodSettings"];
        assert_eq!(settings.get("*/*"), None);
    }

    #[test]
    fn logging_needs_the_role_of_the_account() {
        let (mut world, api) = staged();
        let operations =
            json!([{ "op": "replace", "path": "/*/*/logging/loglevel", "value": "INFO" }]);
        let message = refused(&mut world, "UpdateStage", patch(&api, &operations)).1;
        assert!(message.starts_with("CloudWatch Logs role ARN must be set in account settings"));
        let role = "arn:aws:iam::123456789012:role/logs";
        let operation = json!({ "op": "replace", "path": "/cloudwatchRoleArn", "value": role });
        tell(
            &mut world,
            "UpdateAccount",
            json!({ "patchOperations": [operation] }),
        );
        tell(&mut world, "UpdateStage", patch(&api, &operations));
    }
}
