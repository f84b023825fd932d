//! The sections of APIs.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::names::{Names, address};
use super::seen::{Api, Seen, known};
use super::{backend, definition, network};
use crate::resource::Late;
use crate::resource::rest_api::{Policy, definition_of};

/// The sections `api` and `apis`.
pub(super) fn apis(seen: &Seen, names: &Names, stack: &str, draft: &mut Draft) {
    let mut sections = Vec::new();
    for (id, api) in &seen.apis {
        let name = names.apis.get(id).cloned().unwrap_or_default();
        let at = address("api", &name);
        draft.adopt(&at, id, &api.spec.tags);
        sections.push((
            name.clone(),
            self::api(seen, api, (stack, &name, &at), draft),
        ));
    }
    draft.put_each("api", sections);
}

fn api(seen: &Seen, api: &Api, (stack, name, at): (&str, &str, &str), draft: &mut Draft) -> Value {
    let Api { spec, stage, .. } = api;
    let file = if name == "main" { "api" } else { name };
    let mut section = defined(seen, api, (file, at), draft);
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    let derived = if name == "main" {
        stack.to_owned()
    } else {
        format!("{stack}-{name}")
    };
    if spec.name != derived {
        put("name", spec.name.as_str().into());
    }
    put("stage", stage.name.as_str().into());
    let is_private = spec.endpoint_type == "PRIVATE";
    if !is_private {
        put("endpoint_type", "regional".into());
    }
    if let Some(policy) = policy(seen, api, file, draft) {
        put("policy", policy);
    } else if is_private {
        draft.differs(
            at,
            "it has no resource policy, and the stack would give it `source_vpc`",
        );
    }
    if !spec.description.is_empty() {
        put("description", spec.description.as_str().into());
    }
    if !stage.variables.is_empty() {
        put("stage_variables", json!(stage.variables));
    }
    if let Some(logs) = &stage.access_logs {
        put("access_logs", json!(logs));
    }
    if let Some(limits) = &stage.throttling {
        put("throttling", json!(limits));
    }
    tell_oddities(api, at, draft);
    if is_private && !is_associated(seen, api, at, draft) {
        put("associate_endpoint", false.into());
    }
    section.into()
}

/// What it consists of, and how that leads to a backend in the VPC.
fn defined(
    seen: &Seen,
    api: &Api,
    (file, at): (&str, &str),
    draft: &mut Draft,
) -> Map<String, Value> {
    let definition = definition_of(&api.exported);
    let port = seen
        .backend
        .as_ref()
        .and_then(|one| backend::port(seen, one));
    let worded = definition::worded(&definition, seen.link(), port);
    let document = format!("{:#}\n", worded.document);
    let document = draft.file(&format!("{file}.json"), document);
    let mut section = Map::from_iter([("openapi".to_owned(), document)]);
    if worded.is_linked {
        section.insert("vpc_link".to_owned(), "network_load_balancer".into());
    }
    for uri in &worded.elsewhere {
        draft.leave_out(
            at,
            format!(
                "the way to {uri}, which leads through the VPC link to another port: its id stays in the definition"
            ),
        );
    }
    if definition::skips_verification(&definition) {
        section.insert("insecure_skip_verification".to_owned(), true.into());
    }
    section
}

/// Whether a private API is associated with any endpoint; says so where that is not the stack's alone.
fn is_associated(seen: &Seen, api: &Api, at: &str, draft: &mut Draft) -> bool {
    let endpoint = network::endpoint_of(seen).map(|id| Late::Known(id.to_owned()));
    if endpoint.as_slice() != api.spec.vpc_endpoints.as_slice()
        && !api.spec.vpc_endpoints.is_empty()
    {
        draft.differs(
            at,
            "it is not associated with the endpoint alone, which the stack would change and deploy",
        );
    }
    !api.spec.vpc_endpoints.is_empty()
}

/// Says what of an API the stack file has no words for.
fn tell_oddities(api: &Api, at: &str, draft: &mut Draft) {
    if !api.is_deployed {
        draft.differs(
            at,
            "it has changes that are not deployed; the file says what the stage serves, and the stack would undo them",
        );
    }
    if !api.stage.description.is_empty() {
        draft.differs(
            at,
            "the description of the stage, which the stack would remove",
        );
    }
    for what in &api.unsaid {
        draft.leave_out(at, what.as_str());
    }
    for other in &api.other_stages {
        draft.leave_out(at, format!("the stage `{other}`"));
    }
}

/// The policy in the stack file's words, or as a file.
fn policy(seen: &Seen, api: &Api, file: &str, draft: &mut Draft) -> Option<Value> {
    let nothing = |_: &Late<String>| None;
    let live = api.spec.policy.as_ref()?.document(nothing)?;
    let vpc = seen.vpc().unwrap_or_default().to_owned();
    let by_vpc = Policy::SourceVpc { vpc: vpc.clone() };
    if by_vpc.canonical(nothing).as_ref() == Some(&live) {
        return Some("source_vpc".into());
    }
    if let Some(id) = network::endpoint_of(seen) {
        let endpoint = Late::Known(id.to_owned());
        let known = |late: &Late<String>| known(late).map(str::to_owned);
        let by_endpoint = Policy::SourceVpce { vpc, endpoint };
        if by_endpoint.canonical(known).as_ref() == Some(&live) {
            return Some("source_vpce".into());
        }
    }
    Some(draft.file(&format!("{file}-policy.json"), format!("{live:#}\n")))
}
