//! A stage: the name under which a deployment of a REST API is invoked.
//!
//! Natural key: the API and the stage's name. Access logs and throttling cannot be given at
//! creation and are patched in right after it.
//!
//! IAM: apigateway:GET/POST/PATCH/DELETE on /restapis/*/stages, /restapis/*/stages/* and /tags/*.
//! AWS: API Gateway REST API Reference, `CreateStage`, `UpdateStage`.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_apigateway::types::PatchOperation;
use serde::Serialize;

use super::context::Wait;
use super::rest_api::{self, Tagged, put_tags, remove, replace};
use super::{Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource};
use crate::aws::tags::Tags;
use crate::aws::{Aws, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// A stage of ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    /// The API's id; fixed.
    pub(crate) api: Late<String>,
    /// Its name; fixed.
    pub(crate) name: String,
    /// The id of the deployment that it serves.
    pub(crate) deployment: Late<String>,
    /// Its description; empty: none.
    pub(crate) description: String,
    /// Its variables.
    pub(crate) variables: BTreeMap<String, String>,
    /// Where requests are logged.
    pub(crate) access_logs: Option<AccessLogs>,
    /// The limits of every method; `None`: the account's.
    pub(crate) throttling: Option<Throttling>,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// Access logging of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AccessLogs {
    /// The ARN of a log group or a Firehose stream.
    pub(crate) destination_arn: String,
    /// One line of the log, with `$context` variables.
    pub(crate) format: String,
}

impl AccessLogs {
    /// A log group's ARN as API Gateway keeps it, without the `:*` that `CloudWatch` writes after it.
    fn trimmed(&self) -> Self {
        let destination_arn = self.destination_arn.trim_end_matches(":*").to_owned();
        Self {
            destination_arn,
            format: self.format.clone(),
        }
    }
}

/// Throttling of every method of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Throttling {
    /// Requests per second.
    pub(crate) rate_limit: f64,
    /// Requests at once.
    pub(crate) burst_limit: u32,
}

/// The settings of all methods, as a key of the settings by method.
const ALL_METHODS: &str = "*/*";

/// What AWS reports for limits that nobody has set when some other setting of the methods is.
const NOT_SET: Throttling = Throttling {
    rate_limit: 10_000.0,
    burst_limit: 5_000,
};

impl Resource for Stage {
    const TYPE: &'static str = "AWS::ApiGateway::Stage";

    fn needs(&self) -> Vec<Need> {
        vec![
            Need::exists(&self.api).parent(),
            Need::exists(&self.deployment),
        ]
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            api,
            name,
            deployment,
            description,
            variables,
            access_logs,
            throttling,
            tags,
        } = self;
        diff.late("api", api, live.map(|live| &live.api)).replaces();
        diff.field("name", name, live.map(|live| &live.name))
            .replaces();
        diff.late("deployment", deployment, live.map(|live| &live.deployment));
        if live.is_some() || !description.is_empty() {
            diff.field(
                "description",
                description,
                live.map(|live| &live.description),
            );
        }
        if live.is_some() || !variables.is_empty() {
            diff.field("variables", variables, live.map(|live| &live.variables));
        }
        let access_logs = access_logs.as_ref().map(AccessLogs::trimmed);
        if live.is_some() || access_logs.is_some() {
            diff.field(
                "access_logs",
                &access_logs,
                live.map(|live| &live.access_logs),
            );
        }
        diff.compares("throttling");
        let live_limits = live.and_then(|live| live.throttling);
        if *throttling != live_limits && (throttling.is_some() || live_limits != Some(NOT_SET)) {
            diff.field("throttling", throttling, live.map(|live| &live.throttling));
        }
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        let api = cx.value(&live.spec.api)?;
        put_tags(cx, &path(&api, &self.name), &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let (apis, stages) = futures::try_join!(rest_api::tagged(reader), by_api(reader))?;
        let of_api = |api: &Tagged| -> Vec<Found<Self>> {
            stages
                .get(&api.id)
                .into_iter()
                .flatten()
                .flat_map(|stage| found(reader, api, stage))
                .collect()
        };
        Ok(apis.iter().flat_map(of_api).collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let api = cx.value(&self.api)?;
        let deployment = cx.value(&self.deployment)?;
        rest_api::when_free(cx, || async {
            let create = cx
                .aws()
                .apigateway
                .create_stage()
                .rest_api_id(&api)
                .stage_name(&self.name);
            let send = create
                .deployment_id(&deployment)
                .set_description((!self.description.is_empty()).then(|| self.description.clone()))
                .set_variables(Some(self.variables.clone().into_iter().collect()))
                .set_tags(Some(self.tags.0.clone().into_iter().collect()))
                .send();
            let done = cx.aws().call("apigateway:CreateStage", send).await;
            match done.map(drop).map_err(Error::from) {
                Err(error) if rest_api::is_busy(&error) => Err(error),
                // Our own, when the answer to a first sending was lost.
                Err(error) if error.is_code("Conflict") && self.is_made(cx, &api).await? => Ok(()),
                other => other,
            }
        })
        .await?;
        self.patch(cx, &api, self.settings()).await?;
        let outputs = Outputs::from([("name", vec![self.name.clone()])]);
        Ok(Created {
            id: id(&api, &self.name),
            outputs,
        })
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        let api = cx.value(&self.api)?;
        let mut patches = Vec::new();
        if touches(changes, "deployment") {
            patches.push(replace("/deploymentId", cx.value(&self.deployment)?));
        }
        if touches(changes, "description") {
            patches.push(replace("/description", &self.description));
        }
        if touches(changes, "variables") {
            patches.extend(self.variable_patches(&live.spec));
        }
        let settings = Self {
            access_logs: self
                .access_logs
                .clone()
                .filter(|_| touches(changes, "access_logs")),
            throttling: self.throttling.filter(|_| touches(changes, "throttling")),
            ..self.clone()
        };
        patches.extend(settings.settings());
        if touches(changes, "access_logs") && self.access_logs.is_none() {
            patches.push(remove("/accessLogSettings"));
        }
        if touches(changes, "throttling") && self.throttling.is_none() {
            patches.push(remove(format!("/{ALL_METHODS}")));
        }
        self.patch(cx, &api, patches).await?;
        if touches(changes, "tags") {
            put_tags(cx, &path(&api, &self.name), &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let api = cx.value(&live.spec.api)?;
        let wait = Wait::new("the mappings of the stage to vanish", 5, 120);
        let passes = |error: &Error| {
            rest_api::is_busy(error) || rest_api::says(error, "BadRequest", "base path mappings")
        };
        cx.retry_while(wait, passes, || async {
            let send = cx
                .aws()
                .apigateway
                .delete_stage()
                .rest_api_id(&api)
                .stage_name(&live.spec.name)
                .send();
            tolerate(
                cx.aws().call("apigateway:DeleteStage", send).await,
                &["NotFound"],
            )
        })
        .await
    }
}

impl Stage {
    /// Whether the stage of this name is this one.
    async fn is_made(&self, cx: &Cx, api: &str) -> Result<bool> {
        let send = cx
            .aws()
            .apigateway
            .get_stage()
            .rest_api_id(api)
            .stage_name(&self.name)
            .send();
        let stage = cx.aws().call("apigateway:GetStage", send).await?;
        let tags = Tags::live(stage.tags.unwrap_or_default());
        Ok(tags.stack() == Some(cx.stack()) && tags.address().as_ref() == Some(&cx.address))
    }

    /// What `CreateStage` does not take.
    fn settings(&self) -> Vec<PatchOperation> {
        let mut patches = Vec::new();
        if let Some(logs) = self.access_logs.as_ref().map(AccessLogs::trimmed) {
            patches.push(replace(
                "/accessLogSettings/destinationArn",
                logs.destination_arn,
            ));
            patches.push(replace("/accessLogSettings/format", logs.format));
        }
        if let Some(limits) = &self.throttling {
            let at = |setting: &str| format!("/{ALL_METHODS}/throttling/{setting}");
            patches.push(replace(at("rateLimit"), limits.rate_limit.to_string()));
            patches.push(replace(at("burstLimit"), limits.burst_limit.to_string()));
        }
        patches
    }

    fn variable_patches(&self, live: &Self) -> Vec<PatchOperation> {
        let at = |name: &String| format!("/variables/{name}");
        let set = self
            .variables
            .iter()
            .filter(|(name, value)| live.variables.get(*name) != Some(value));
        let gone = live
            .variables
            .keys()
            .filter(|name| !self.variables.contains_key(*name));
        set.map(|(name, value)| replace(at(name), value))
            .chain(gone.map(|name| remove(at(name))))
            .collect()
    }

    async fn patch(&self, cx: &Cx, api: &str, patches: Vec<PatchOperation>) -> Result<()> {
        if patches.is_empty() {
            return Ok(());
        }
        let done = rest_api::when_free(cx, || async {
            let update = cx.aws().apigateway.update_stage().rest_api_id(api);
            let update = update.stage_name(&self.name);
            let send = update.set_patch_operations(Some(patches.clone())).send();
            let done = cx.aws().call("apigateway:UpdateStage", send).await;
            done.map(drop).map_err(Error::from)
        });
        match done.await {
            Err(error) if rest_api::says(&error, "BadRequest", "role arn must be set") => {
                Err(Error::Step {
                    address: cx.address.clone(),
                    message: error.without_address(),
                    hint: Some(
                        "access logs need a role that is set once per account and region: \
                         `aws apigateway update-account --patch-operations \
                         op=replace,path=/cloudwatchRoleArn,value=<role>`"
                            .to_owned(),
                    ),
                })
            }
            other => other,
        }
    }
}

/// All stages of the APIs of the run's stacks, by API; read once.
pub(super) async fn by_api(
    reader: &Reader,
) -> Result<Arc<BTreeMap<String, Vec<aws_sdk_apigateway::types::Stage>>>> {
    struct Listing;
    let read = || async {
        let apis = rest_api::tagged(reader).await?;
        let stages = apis.iter().map(|api| async {
            let send = reader
                .aws
                .apigateway
                .get_stages()
                .rest_api_id(&api.id)
                .send();
            let answer = reader.aws.call("apigateway:GetStages", send).await?;
            Ok::<_, Error>((api.id.clone(), answer.item.unwrap_or_default()))
        });
        let stages = futures::future::try_join_all(stages).await?;
        Ok(Arc::new(stages.into_iter().collect()))
    };
    reader.once::<Listing, _>(|| Box::pin(read())).await
}

/// The stack that a live stage belongs to.
pub(super) fn stack_of(stage: &aws_sdk_apigateway::types::Stage) -> Option<&str> {
    stage
        .tags()?
        .get(crate::aws::tags::STACK)
        .map(String::as_str)
}

/// A stage's id: AWS has none, so it is the API's with the name.
pub(super) fn id(api: &str, name: &str) -> String {
    format!("{api}/{name}")
}

/// A stage's path, of which its ARN is made.
fn path(api: &str, name: &str) -> String {
    format!("/restapis/{api}/stages/{name}")
}

/// Our stage, or one that stands under the name of a wanted one of ours.
fn found(
    reader: &Reader,
    api: &Tagged,
    stage: &aws_sdk_apigateway::types::Stage,
) -> Vec<Found<Stage>> {
    let mut spec = live_spec(&api.id, stage);
    let name = &spec.name;
    let stands_for = |stack: &str, want: &Stage| {
        stack == api.stack && want.name == *name && want.api.address() == Some(&api.address)
    };
    spec.tags = reader.claimed::<Stage>(&id(&api.id, name), spec.tags.clone(), |scope, want| {
        stands_for(&scope.name, want)
    });
    let found = |address, owner| Found {
        stack: api.stack.clone(),
        address,
        id: id(&api.id, &spec.name),
        owner,
        protected: spec.tags.protected(),
        retained: None,
        outputs: Outputs::from([("name", vec![spec.name.clone()])]),
        spec: spec.clone(),
    };
    if let (Some(_), Some(address)) = (
        spec.tags.stack().filter(|stack| *stack == api.stack),
        spec.tags.address(),
    ) {
        return vec![found(address, Owner::Ours)];
    }
    let whose = format!(
        "the stage `{}` of the API `{}` exists and is not this stack's",
        spec.name, api.id
    );
    reader
        .wanted::<Stage>()
        .filter(|(scope, _, want)| {
            scope.name == api.stack
                && want.name == spec.name
                && want.api.address() == Some(&api.address)
        })
        .map(|(_, address, _)| found(address.clone(), Owner::Foreign(whose.clone())))
        .collect()
}

fn live_spec(api: &str, stage: &aws_sdk_apigateway::types::Stage) -> Stage {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let tags = stage.tags().into_iter().flatten();
    let logs = stage
        .access_log_settings()
        .filter(|logs| logs.destination_arn().is_some());
    let limits = stage
        .method_settings()
        .and_then(|settings| settings.get(ALL_METHODS));
    Stage {
        api: Late::Known(api.to_owned()),
        name: text(stage.stage_name()),
        deployment: Late::Known(text(stage.deployment_id())),
        description: text(stage.description()),
        variables: stage
            .variables()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        access_logs: logs.map(|logs| AccessLogs {
            destination_arn: text(logs.destination_arn()),
            format: text(logs.format()),
        }),
        // A negative limit is AWS's way to say that there is none.
        throttling: limits.and_then(|limits| {
            let burst_limit = u32::try_from(limits.throttling_burst_limit()).ok()?;
            Some(Throttling {
                rate_limit: limits.throttling_rate_limit(),
                burst_limit,
            })
        }),
        tags: Tags::live(tags.map(|(key, value)| (key.as_str(), value.as_str()))),
    }
}

/// The stages of an API, of whomever they are, each with what of it is not compared, in words.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, api: &str) -> Result<Vec<(Stage, Vec<String>)>> {
    let send = aws.apigateway.get_stages().rest_api_id(api).send();
    let answer = aws.call("apigateway:GetStages", send).await?;
    Ok(answer
        .item()
        .iter()
        .map(|one| (live_spec(api, one), unsaid(one)))
        .collect())
}

/// What a stage has that the stack file has no words for.
fn unsaid(stage: &aws_sdk_apigateway::types::Stage) -> Vec<String> {
    let name = stage.stage_name().unwrap_or_default();
    let mut unsaid = Vec::new();
    let mut say = |what: &str| unsaid.push(format!("{what} of the stage `{name}`"));
    if let Some(acl) = stage.web_acl_arn() {
        say(&format!("the web ACL {acl}"));
    }
    if stage.tracing_enabled() {
        say("X-Ray tracing");
    }
    if stage.cache_cluster_enabled() {
        say("the cache");
    }
    if let Some(id) = stage.client_certificate_id() {
        say(&format!("the client certificate `{id}` for backends"));
    }
    if stage.canary_settings().is_some() {
        say("the canary");
    }
    for (methods, settings) in stage.method_settings().into_iter().flatten() {
        let logs = settings.logging_level().is_some_and(|level| level != "OFF");
        let more = settings.metrics_enabled() || settings.data_trace_enabled();
        if methods != ALL_METHODS || logs || more || settings.caching_enabled() {
            say(&format!("the settings of the methods `{methods}`"));
        }
    }
    unsaid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;
    use aws_sdk_apigateway::types::{AccessLogSettings, MethodSetting};

    fn live() -> aws_sdk_apigateway::types::builders::StageBuilder {
        aws_sdk_apigateway::types::Stage::builder()
            .stage_name("dev")
            .deployment_id("d1")
    }

    fn stage() -> Stage {
        live_spec("a1b2c3d4e5", &live().build())
    }

    fn paths(want: &Stage, live: &Stage) -> Vec<String> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
            .into_iter()
            .map(|change| change.path)
            .collect()
    }

    fn limits(rate: f64, burst: i32) -> Stage {
        let setting = MethodSetting::builder()
            .throttling_rate_limit(rate)
            .throttling_burst_limit(burst)
            .build();
        live_spec(
            "a1b2c3d4e5",
            &live().method_settings(ALL_METHODS, setting).build(),
        )
    }

    #[test]
    fn limits_that_nobody_set_are_no_limits() {
        assert_eq!(
            paths(&stage(), &limits(10_000.0, 5_000)),
            Vec::<String>::new()
        );
        assert_eq!(paths(&stage(), &limits(-1.0, -1)), Vec::<String>::new());
        assert_eq!(paths(&stage(), &limits(5.0, 10)), vec!["throttling"]);
    }

    #[test]
    fn a_stage_moves_to_another_deployment_in_place() {
        let want = Stage {
            deployment: Late::id(&Address::parse("api.deployment")),
            ..stage()
        };
        assert_eq!(paths(&want, &stage()), vec!["deployment"]);
    }

    #[test]
    fn access_logs_are_read_as_they_were_written() {
        let logs = AccessLogSettings::builder()
            .destination_arn("arn:aws:logs:x")
            .format("$context.requestId")
            .build();
        let with_logs = live_spec("a1b2c3d4e5", &live().access_log_settings(logs).build());
        assert_eq!(paths(&stage(), &with_logs), vec!["access_logs"]);
        assert_eq!(with_logs.settings().len(), 2);
    }

    #[test]
    fn a_variable_that_left_the_file_is_removed() {
        let old = Stage {
            variables: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
            ..stage()
        };
        let new = Stage {
            variables: BTreeMap::from([("b".to_owned(), "2".to_owned())]),
            ..stage()
        };
        assert_eq!(
            new.variable_patches(&old),
            vec![replace("/variables/b", "2"), remove("/variables/a")]
        );
    }
}
