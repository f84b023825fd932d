//! Which API and stage a request is for.

use std::collections::BTreeMap;

use super::answer::Answer;
use super::{Arrival, Front, header};
use crate::sandbox::apigateway::deployment::Deployment;
use crate::sandbox::apigateway::domain::DomainName;
use crate::sandbox::apigateway::mapping::NONE;
use crate::sandbox::apigateway::rest_api::RestApi;
use crate::sandbox::apigateway::stage::Stage;
use crate::sandbox::tracked::Tracked;
use crate::sandbox::world::World;

/// How a request names its API.
#[derive(Clone, Copy)]
pub(super) enum By<'w> {
    /// By a custom domain.
    Domain(&'w DomainName),
    /// By the API's own name.
    OwnName,
    /// By the API's own name for one endpoint, of this id.
    EndpointName,
    /// By `x-apigw-api-id`.
    Header,
}

/// The stage that a request is for.
pub(super) struct Picked<'w> {
    /// How the request names it.
    pub(super) by: By<'w>,
    /// The API.
    pub(super) api: &'w RestApi,
    /// The stage's name.
    pub(super) name: String,
    /// The stage.
    pub(super) stage: &'w Stage,
    /// What is deployed on it.
    pub(super) deployment: &'w Deployment,
    /// The path below the stage.
    pub(super) path: String,
}

/// Finds the stage that a request is for: by its host, or by the header that stands in for it.
pub(super) fn pick<'w>(world: &'w World, arrival: &Arrival<'_>) -> Result<Picked<'w>, Answer> {
    let unknown = |why: &'static str| Answer::forbidden(why, arrival.id);
    let Some(region) = world.regions.get(arrival.region) else {
        return Err(unknown("the host names no API"));
    };
    let state = &region.apigateway;
    let host = arrival.host();
    if let Some(domain) = domain_of(state.domains.values(), &host) {
        return pick_by_domain(&state.apis, arrival, domain);
    }
    let own = format!(".execute-api.{}.amazonaws.com", arrival.region);
    let (by, id) = match host.strip_suffix(&own) {
        Some(label) => match label.split_once("-vpce-") {
            Some((id, endpoint)) => {
                let endpoint = format!("vpce-{endpoint}");
                if arrival.front != Front::Endpoint(&endpoint) {
                    return Err(unknown("the host is another endpoint's name of the API"));
                }
                (By::EndpointName, id.to_owned())
            }
            None => (By::OwnName, label.to_owned()),
        },
        None => match header(arrival.headers, "x-apigw-api-id") {
            Some(id) => (By::Header, id.to_owned()),
            None => return Err(unknown("the host names no API")),
        },
    };
    let Some(api) = state.apis.get(&id) else {
        return Err(unknown("there is no API of that id"));
    };
    let (stage, path) = first_part(arrival.path);
    staged(by, api, &stage, path).ok_or_else(|| unknown("the API has no stage of that name"))
}

/// The custom domain of a host: the very name, else the wildcard above it.
fn domain_of<'w>(
    domains: impl Iterator<Item = &'w DomainName>,
    host: &str,
) -> Option<&'w DomainName> {
    let wildcard = host.split_once('.').map(|(_, above)| format!("*.{above}"));
    let fitting =
        domains.filter(|domain| domain.name == host || Some(&domain.name) == wildcard.as_ref());
    // A wildcard's `*` sorts before every name.
    fitting.max_by_key(|domain| domain.name.clone())
}

/// Finds the stage that a custom domain's mappings lead to.
fn pick_by_domain<'w>(
    apis: &'w BTreeMap<String, Tracked<RestApi>>,
    arrival: &Arrival<'_>,
    domain: &'w DomainName,
) -> Result<Picked<'w>, Answer> {
    let unknown = |why: &'static str| Answer::forbidden(why, arrival.id);
    let (part, below) = first_part(arrival.path);
    let (mapping, path) = match domain.mappings.get(&part).filter(|_| part != NONE) {
        Some(mapping) => (mapping, below),
        None => match domain.mappings.get(NONE) {
            Some(mapping) => (mapping, arrival.path.to_owned()),
            None => return Err(unknown("no mapping of the domain is for the path")),
        },
    };
    let (stage, path) = match &mapping.stage {
        Some(stage) => (stage.clone(), path),
        None => first_part(&path),
    };
    apis.get(&mapping.rest_api_id)
        .and_then(|api| staged(By::Domain(domain), api, &stage, path))
        .ok_or_else(|| unknown("the mapping's stage is not there"))
}

/// The stage of an API with what is deployed on it.
fn staged<'w>(by: By<'w>, api: &'w RestApi, name: &str, path: String) -> Option<Picked<'w>> {
    let stage = api.stages.get(name)?;
    let deployment = api.deployments.get(&stage.deployment_id)?;
    Some(Picked {
        by,
        api,
        name: name.to_owned(),
        stage,
        deployment,
        path,
    })
}

/// The first part of a path, and the path below it.
fn first_part(path: &str) -> (String, String) {
    let inner = path.strip_prefix('/').unwrap_or(path);
    match inner.split_once('/') {
        Some((first, rest)) => (first.to_owned(), format!("/{rest}")),
        None => (inner.to_owned(), "/".to_owned()),
    }
}
