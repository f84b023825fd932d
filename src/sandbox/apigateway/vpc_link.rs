//! VPC links (of REST APIs): the way from API Gateway to a Network Load Balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::definition::{Definition, Integration, stage_variable};
use super::patch::{Op, Patch};
use super::{State, bad_request, filled, limit_exceeded, not_found, page, state, tag, text_map};
use crate::sandbox::world::{Call, Refusal, World};

/// A VPC link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct VpcLink {
    /// Six characters.
    id: String,
    name: String,
    description: Option<String>,
    /// The one load balancer that it leads to.
    pub(in crate::sandbox) target: String,
    /// Why it cannot come about; seen when `ready_at` is over.
    failure: Option<String>,
    /// Until when it is made, in milliseconds.
    ready_at: i64,
    /// When it is gone, once its deletion was asked for.
    gone_at: Option<i64>,
    /// User and owner tags.
    pub(super) tags: BTreeMap<String, String>,
}

/// VPC links in a region: quota code and default.
const QUOTA: (&str, u64) = ("L-A4C7274F", 20);

/// How long one takes from `PENDING` to `AVAILABLE` or `FAILED`.
const CREATION: Duration = Duration::from_mins(3);

/// How long one is seen as `DELETING`.
const DELETION: Duration = Duration::from_mins(2);

/// Answers the calls about VPC links.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    if call.operation.contains("VpcLink") {
        settle(world, call);
    }
    Some(match call.operation {
        "CreateVpcLink" => create(world, call),
        "GetVpcLink" => get(world, call),
        "GetVpcLinks" => list(world, call),
        "UpdateVpcLink" => update(world, call),
        "DeleteVpcLink" => delete(world, call),
        _ => return None,
    })
}

impl VpcLink {
    /// `PENDING`, `AVAILABLE`, `FAILED` or `DELETING`.
    pub(in crate::sandbox) fn status(&self, now: i64) -> &'static str {
        if self.gone_at.is_some() {
            "DELETING"
        } else if now < self.ready_at {
            "PENDING"
        } else if self.failure.is_some() {
            "FAILED"
        } else {
            "AVAILABLE"
        }
    }

    /// The link as AWS answers it.
    fn view(&self, now: i64) -> Value {
        let status = self.status(now);
        let message = match status {
            "PENDING" => Some("Your vpc link is being created"),
            "DELETING" => Some("Your vpc link is being deleted"),
            "FAILED" => self.failure.as_deref(),
            _ => Some("Your vpc link is ready for use"),
        };
        json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "targetArns": [self.target],
            "status": status,
            "statusMessage": message,
            "tags": filled(&self.tags),
        })
    }
}

/// Whether a load balancer is behind a VPC link, and therefore cannot be deleted.
pub(in crate::sandbox) fn holds_load_balancer(world: &World, region: &str, arn: &str) -> bool {
    let links = world.regions.get(region).into_iter();
    let mut links = links.flat_map(|region| region.apigateway.vpc_links.values());
    links.any(|link| {
        let is_gone = link.gone_at.is_some_and(|gone_at| gone_at <= world.now);
        link.target == arn && link.failure.is_none() && !is_gone
    })
}

/// Forgets the links whose deletion is over.
pub(super) fn settle(world: &mut World, call: &Call<'_>) {
    let now = world.now;
    let is_there = |link: &VpcLink| link.gone_at.is_none_or(|gone_at| now < gone_at);
    state(world, call)
        .vpc_links
        .retain(|_, link| is_there(link));
}

/// The link that the call names.
fn find<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut VpcLink, Refusal> {
    let id = call.required("vpcLinkId");
    state(world, call)
        .vpc_links
        .get_mut(id)
        .ok_or_else(|| not_found("Invalid Vpc Link identifier specified"))
}

/// `CreateVpcLink`: what is wrong with the load balancer is told by the link's status.
fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.required("name");
    if name.is_empty() {
        return Err(bad_request("VPC link name must not be empty"));
    }
    let [target] = call.texts("targetArns")[..] else {
        return Err(bad_request(
            "A VPC link must have exactly one target: the ARN of a network load balancer",
        ));
    };
    if !target.starts_with("arn:") || !target.contains(":loadbalancer/") {
        return Err(bad_request(format!("Invalid ARN specified: {target}")));
    }
    let tags = text_map(&call.input["tags"]);
    tag::check(&tags)?;
    let quota = world.quota(QUOTA.0, QUOTA.1);
    if state(world, call).vpc_links.len() as u64 >= quota {
        return Err(limit_exceeded(format!(
            "Maximum number of Vpc links for this account has been reached. Please contact AWS if \
             you need additional Vpc links: {quota}"
        )));
    }
    let link = VpcLink {
        id: world.unique_hex(6),
        name: name.to_owned(),
        description: call.text("description").map(str::to_owned),
        target: target.to_owned(),
        failure: failure(world, call.region, target),
        ready_at: world.due(CREATION),
        gone_at: None,
        tags,
    };
    let view = link.view(world.now);
    state(world, call).vpc_links.insert(link.id.clone(), link);
    Ok(view)
}

/// Why no link to a load balancer can come about; AWS's own words are not documented.
fn failure(world: &World, region: &str, target: &str) -> Option<String> {
    let balancers = &world.regions.get(region)?.elbv2.load_balancers;
    let problem = match balancers.get(target) {
        None => "was not found",
        Some(balancer) if !balancer.is_network() => "is not a network load balancer",
        Some(balancer) if !balancer.is_active(world.now) => "is not in the active state",
        Some(_) if holds_load_balancer(world, region, target) => {
            "is already associated with another VPC Endpoint Service"
        }
        Some(_) => return None,
    };
    Some(format!("NLB {target} {problem}"))
}

/// `GetVpcLink`.
fn get(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    find(world, call).map(|link| link.view(now))
}

/// `GetVpcLinks`.
fn list(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let links = state(world, call).vpc_links.iter();
    page(
        call,
        links
            .map(|(id, link)| (id.clone(), link.view(now)))
            .collect(),
    )
}

/// `UpdateVpcLink`: name and description.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let patches = Patch::read_all(call)?;
    let mut changed = find(world, call)?.clone();
    for patch in patches {
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["name"]) => changed.name = patch.text()?,
            (Op::Replace, ["description"]) => changed.description = patch.optional_text(),
            _ => return Err(patch.unsupported(&["/name", "/description"])),
        }
    }
    if changed.name.is_empty() {
        return Err(bad_request("VPC link name must not be empty"));
    }
    let view = changed.view(now);
    *find(world, call)? = changed;
    Ok(view)
}

/// `DeleteVpcLink`: refused while what is deployed on a stage uses it.
fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let gone_at = world.due(DELETION);
    let id = find(world, call)?.id.clone();
    let references = references(state(world, call), &id);
    if !references.is_empty() {
        return Err(bad_request(format!(
            "Cannot delete vpc link. Vpc link '{id}', is referenced in [{}] in format of \
             [Method:Resource:Stage].",
            references.join(", ")
        )));
    }
    find(world, call)?.gone_at.get_or_insert(gone_at);
    settle(world, call);
    Ok(json!({}))
}

/// Where what is deployed uses a link, in AWS's form.
fn references(state: &State, id: &str) -> Vec<String> {
    let mut references = Vec::new();
    for api in state.apis.values() {
        for (name, stage) in &api.stages {
            let Some(deployment) = api.deployments.get(&stage.deployment_id) else {
                continue;
            };
            for (_, method) in deployment.definition.methods() {
                let integration = method.method_integration.as_ref();
                let link = integration.and_then(|one| one.link(&stage.variables));
                if link.as_deref() == Some(id) {
                    references.push(format!("{}:{}:{name}", method.http_method, api.id));
                }
            }
        }
    }
    references
}

/// The links that a definition names by their ids.
pub(super) fn used_by(definition: &Definition) -> BTreeSet<String> {
    let methods = definition.methods();
    let integrations = methods.filter_map(|(_, method)| method.method_integration.as_ref());
    integrations
        .filter_map(|integration| named(integration).map(str::to_owned))
        .collect()
}

/// The link that an integration names by its id.
fn named(integration: &Integration) -> Option<&str> {
    let id = integration.connection_id.as_deref();
    id.filter(|id| integration.is_by_link() && stage_variable(id).is_none() && !id.is_empty())
}

/// Why an integration cannot be put: its link is not there.
pub(super) fn check_integration(state: &State, integration: &Integration) -> Result<(), String> {
    match named(integration) {
        Some(id) if !state.vpc_links.contains_key(id) => {
            Err(format!("Invalid Vpc Link identifier specified: {id}"))
        }
        _ => Ok(()),
    }
}

/// Refuses to deploy what uses a link that is gone, has failed, or is about to go. AWS waits for
/// one that is not ready yet; here it is taken to become so.
pub(super) fn check_deployment(state: &State, used: &BTreeSet<String>) -> Result<(), Refusal> {
    for id in used {
        let problem = match state.vpc_links.get(id) {
            None => "does not exist",
            Some(link) if link.gone_at.is_some() => "is being deleted",
            Some(link) if link.failure.is_some() => "has failed",
            Some(_) => continue,
        };
        return Err(bad_request(format!("Vpc link '{id}' {problem}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
