//! Sections `api` and `apis`: REST APIs of API Gateway.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backend::{self, RawVpcLink};
use super::common::{Vpc, check_arn};
use super::context::Context;
use super::definition::{Definition, Sample, read_definition};
use super::endpoint::Endpoint;
use super::fault::Fault;
use super::material::{Kind, Material, material};
use super::path::KeyPath;
use super::policy::{PolicyForm, RawPolicy, policy_document};
use super::shape::Shape;

/// A REST API with one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// What the API consists of.
    pub definition: Definition,
    /// Its name in API Gateway; None: derived from the stack's.
    pub name: Option<String>,
    /// Name of its stage.
    pub stage: String,
    /// Who can reach it.
    pub endpoint_type: EndpointType,
    /// Whether a private API is associated with the endpoint, which gives it a public DNS name.
    pub associate_endpoint: bool,
    /// Its resource policy.
    pub policy: ApiPolicy,
    /// Its description; empty: none.
    pub description: String,
    /// Variables of the stage.
    pub stage_variables: BTreeMap<String, String>,
    /// Access logging of the stage; None: off.
    pub access_logs: Option<AccessLogs>,
    /// Throttling of every method of the stage; None: the account's limits.
    pub throttling: Option<Throttling>,
    /// Whether the definition refers to the VPC link to the stack's network load balancer.
    pub vpc_link: bool,
    /// Whether its HTTP integrations accept certificates of private CAs.
    pub insecure_skip_verification: bool,
    /// What the backend shows: its certificate and those above it.
    pub backend_certificate: Option<Material>,
}

/// How an API is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointType {
    /// Through an execute-api interface endpoint only.
    #[default]
    Private,
    /// From the internet.
    Regional,
}

/// The resource policy of an API.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiPolicy {
    /// Denies every VPC but ours, then allows.
    SourceVpc,
    /// Denies every VPC but ours and every endpoint but ours, then allows.
    SourceVpce,
    /// This policy document.
    Document(serde_json::Value),
    /// No policy; possible for regional APIs only.
    None,
}

/// Access logging of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogs {
    /// ARN of the log group or Firehose stream.
    pub destination_arn: String,
    /// One line of the log, with `$context` variables.
    pub format: String,
}

/// Throttling of every method of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttling {
    /// Requests per second.
    pub rate_limit: f64,
    /// Requests at once.
    pub burst_limit: u32,
}

/// A REST API with one stage: exactly one of `openapi` and `sample`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApi {
    /// File with the OpenAPI definition, 2.0 or 3.0, JSON or YAML.
    #[schemars(example = &"petstore.yaml")]
    openapi: Option<String>,
    /// A sample definition that mtlsgw brings along.
    sample: Option<Sample>,
    /// Its name in API Gateway (default: the stack's, with the section's where there are several).
    name: Option<String>,
    /// Name of its stage.
    #[serde(default = "stage_name")]
    stage: String,
    /// Who can reach it.
    #[serde(default)]
    endpoint_type: EndpointType,
    /// Whether a private API is associated with the endpoint, so that it has a DNS name of its own there.
    #[serde(default = "yes")]
    associate_endpoint: bool,
    /// Resource policy: `source_vpc` denies every VPC but the stack's, `source_vpce` also every endpoint but its
    /// own; or a file, or the document itself (default: `source_vpc`; none for regional APIs).
    #[schemars(with = "Option<PolicyForm>")]
    policy: Option<RawPolicy>,
    /// Description.
    #[serde(default)]
    description: String,
    /// Variables of the stage.
    #[serde(default)]
    stage_variables: BTreeMap<String, String>,
    /// Access logging of the stage (default: off).
    access_logs: Option<RawAccessLogs>,
    /// Throttling of every method of the stage (default: the account's limits).
    throttling: Option<RawThrottling>,
    /// What its integrations with `connectionId: ${vpc_link}` are reached through (default: none has one).
    vpc_link: Option<RawVpcLink>,
    /// Whether its HTTP integrations accept certificates of private CAs; dates and host name are verified
    /// all the same (`tlsConfig` of every HTTP integration).
    #[serde(default)]
    insecure_skip_verification: bool,
    /// File with what the backend shows, its own certificate first, PEM; judged as API Gateway judges it.
    #[schemars(example = &"backend.pem")]
    backend_certificate: Option<String>,
}

/// Access logging of a stage.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccessLogs {
    /// ARN of a log group or a Firehose stream.
    destination_arn: String,
    /// One line of the log, with `$context` variables; it must contain `$context.requestId`.
    #[schemars(example = &"$context.requestId $context.identity.sourceIp $context.status")]
    format: String,
}

/// Throttling of every method of a stage.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawThrottling {
    /// Requests per second.
    #[schemars(range(min = 0))]
    rate_limit: f64,
    /// Requests at once.
    burst_limit: u32,
}

/// What AWS accepts as a resource policy.
const MAXIMUM_POLICY_CHARACTERS: usize = 8192;

fn yes() -> bool {
    true
}

fn stage_name() -> String {
    "dev".to_owned()
}

impl RawApi {
    /// Fills in defaults, reads the files and checks the section.
    pub(super) fn build(
        self,
        path: &KeyPath,
        vpc: Option<&Vpc>,
        endpoint: Option<&Endpoint>,
        cx: &Context,
    ) -> Api {
        let definition = read_definition(self.openapi.as_deref(), self.sample, path, cx);
        check_name(self.name.as_deref(), &path.key("name"), cx);
        let is_stage = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        if self.stage.is_empty() || self.stage.len() > 128 || !self.stage.chars().all(is_stage) {
            let fault = Fault::new(
                &path.key("stage"),
                format!("`{}` is no stage name", self.stage),
            );
            cx.fault(fault.allowed("1 to 128 letters, digits, `_` and `-`"));
        }
        check_variables(&self.stage_variables, &path.key("stage_variables"), cx);
        let policy = read_policy(self.policy, self.endpoint_type, &path.key("policy"), cx);
        check_policy_needs(&policy, path, vpc, endpoint, cx);
        if let Some(throttling) = self.throttling
            && (!throttling.rate_limit.is_finite() || throttling.rate_limit < 0.0)
        {
            let at = path.key("throttling").key("rate_limit");
            cx.fault(Fault::new(
                &at,
                format!("`{at}` cannot be {}", throttling.rate_limit),
            ));
        }
        let at = path.key("backend_certificate");
        let backend_certificate = self
            .backend_certificate
            .and_then(|file| material(&file, Kind::Certificates, &at, cx));
        let is_read = definition.is_some();
        let mut definition = definition.unwrap_or(Definition::MISSING);
        if self.insecure_skip_verification {
            definition.skip_verification();
        }
        let api = Api {
            definition,
            name: self.name,
            stage: self.stage,
            endpoint_type: self.endpoint_type,
            associate_endpoint: self.associate_endpoint,
            policy,
            description: self.description,
            stage_variables: self.stage_variables,
            access_logs: self
                .access_logs
                .map(|logs| logs.build(&path.key("access_logs"), cx)),
            throttling: self.throttling.map(|throttling| Throttling {
                rate_limit: throttling.rate_limit,
                burst_limit: throttling.burst_limit,
            }),
            vpc_link: self.vpc_link.is_some(),
            insecure_skip_verification: self.insecure_skip_verification,
            backend_certificate,
        };
        if is_read {
            backend::check_api(&api, path, cx);
        }
        api
    }
}

fn check_name(name: Option<&str>, at: &KeyPath, cx: &Context) {
    if name.is_some_and(|name| name.trim().is_empty() || name.chars().count() > 1024) {
        let fault = Fault::new(at, "this is no name of an API");
        cx.fault(fault.allowed("1 to 1,024 characters"));
    }
}

impl RawAccessLogs {
    fn build(self, path: &KeyPath, cx: &Context) -> AccessLogs {
        let at = path.key("destination_arn");
        if self.destination_arn.contains(":firehose:") {
            check_arn(&self.destination_arn, "firehose", &at, cx);
            if !self
                .destination_arn
                .contains(":deliverystream/amazon-apigateway-")
            {
                let message =
                    "the name of the Firehose stream does not begin with `amazon-apigateway-`";
                cx.fault(Fault::new(&at, message));
            }
        } else {
            check_arn(&self.destination_arn, "logs", &at, cx);
        }
        let format = path.key("format");
        if !self.format.contains("$context.requestId")
            && !self.format.contains("$context.extendedRequestId")
        {
            let fault = Fault::new(&format, "the format does not contain `$context.requestId`");
            cx.fault(fault.hint("AWS refuses formats without it"));
        }
        if self.format.trim_end().contains('\n') {
            let fault = Fault::new(&format, "the format has more than one line");
            cx.fault(fault.hint("write `>-` instead of `|` to fold it into one"));
        }
        let format = self.format.trim_end().to_owned();
        AccessLogs {
            destination_arn: self.destination_arn,
            format,
        }
    }
}

fn check_variables(variables: &BTreeMap<String, String>, path: &KeyPath, cx: &Context) {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let in_value = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#&=,".contains(c);
    for (name, value) in variables {
        let at = path.key(name);
        if name.is_empty() || !name.chars().all(in_name) {
            let fault = Fault::new(&at, format!("`{name}` is no name of a stage variable"));
            cx.fault(fault.allowed("letters, digits and `_`"));
        }
        if !value.chars().all(in_value) {
            let fault = Fault::new(&at, format!("`{value}` is no value of a stage variable"));
            cx.fault(fault.allowed("letters, digits and `-._~:/?#&=,`"));
        }
    }
}

fn read_policy(
    policy: Option<RawPolicy>,
    endpoint_type: EndpointType,
    path: &KeyPath,
    cx: &Context,
) -> ApiPolicy {
    let policy = match policy {
        None if endpoint_type == EndpointType::Regional => return ApiPolicy::None,
        None => return ApiPolicy::SourceVpc,
        Some(policy) => policy,
    };
    match (&policy, endpoint_type) {
        (Shape::Text(word), EndpointType::Private) if word == "source_vpc" => ApiPolicy::SourceVpc,
        (Shape::Text(word), EndpointType::Private) if word == "source_vpce" => {
            ApiPolicy::SourceVpce
        }
        (Shape::Text(word), EndpointType::Regional) if word == "none" => ApiPolicy::None,
        (Shape::Text(word), _)
            if matches!(word.as_str(), "source_vpc" | "source_vpce" | "none") =>
        {
            cx.fault(match endpoint_type {
                EndpointType::Private => Fault::new(path, "AWS deploys no private API without a resource policy")
                    .hint("write `source_vpc`"),
                EndpointType::Regional => {
                    Fault::new(path, format!("`{word}` would refuse everybody: requests from the internet come from no VPC"))
                }
            });
            ApiPolicy::None
        }
        _ => {
            let document = policy_document(policy, path, cx);
            let document = document.unwrap_or_default();
            if document.to_string().chars().count() > MAXIMUM_POLICY_CHARACTERS {
                let message =
                    format!("a resource policy has at most {MAXIMUM_POLICY_CHARACTERS} characters");
                cx.fault(Fault::new(path, message));
            }
            ApiPolicy::Document(document)
        }
    }
}

fn check_policy_needs(
    policy: &ApiPolicy,
    path: &KeyPath,
    vpc: Option<&Vpc>,
    endpoint: Option<&Endpoint>,
    cx: &Context,
) {
    if *policy == ApiPolicy::SourceVpce && endpoint.is_none() {
        let fault = Fault::new(
            &path.key("policy"),
            "`source_vpce` without a section `endpoint`",
        );
        cx.fault(fault.hint("add `endpoint: {}`, or write `source_vpc`"));
    }
    if matches!(policy, ApiPolicy::SourceVpc | ApiPolicy::SourceVpce) && vpc.is_none() {
        let fault = Fault::new(
            path,
            format!("`{path}` admits the stack's VPC, but there is no `vpc`"),
        );
        cx.fault(fault.hint("write `vpc: vpc-…` at the top, or another `policy`"));
    }
}
