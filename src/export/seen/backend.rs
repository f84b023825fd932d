//! The network load balancer through which APIs reach a backend in the VPC.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::{Api, Backend, known, listeners, load_balancer, target_groups};
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::export::definition::connections;
use crate::facts::{self, Zone};
use crate::resource::load_balancer::LoadBalancer;
use crate::resource::record_set::{self, Alias, plain_alias};
use crate::resource::{Found, hosted_zone, rest_api, stage, vpc_link};

/// The network load balancer that APIs lead to through VPC links: of several, that of the first link.
pub(super) async fn behind(
    aws: &Aws,
    apis: &BTreeMap<String, Api>,
    beyond: &mut Vec<(String, String)>,
) -> Result<Option<Found<LoadBalancer>>> {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for api in apis.values() {
        named.extend(connections(&api.exported));
        named.extend(api.stage.variables.values().cloned());
    }
    if named.is_empty() {
        return Ok(None);
    }
    let links = vpc_link::look(aws).await?.into_iter();
    let mut used = links.filter(|(id, _)| named.contains(id));
    let Some((_, first)) = used.next() else {
        return Ok(None);
    };
    let target = known(&first.target).unwrap_or_default().to_owned();
    for (id, other) in used {
        beyond.push((
            "api".to_owned(),
            format!(
                "the VPC link `{}` ({id}) to {}: a stack has one network load balancer",
                other.name,
                known(&other.target).unwrap_or_default()
            ),
        ));
    }
    load_balancer(aws, &target).await.map(Some)
}

/// The APIs whose methods lead through a VPC link to a load balancer, as their stages say where it is a
/// variable.
pub(super) async fn apis_through(aws: &Aws, balancer: &str) -> Result<BTreeSet<String>> {
    let links = vpc_link::look(aws).await?.into_iter();
    let links: BTreeSet<String> = links
        .filter(|(_, link)| known(&link.target) == Some(balancer))
        .map(|(id, _)| id)
        .collect();
    if links.is_empty() {
        return Ok(BTreeSet::new());
    }
    let all = rest_api::connections(aws).await?.into_iter();
    let through = all.map(async |(api, connections)| {
        if !connections.is_disjoint(&links) {
            return Ok(Some(api));
        }
        if !connections
            .iter()
            .any(|one| one.starts_with("${stageVariables."))
        {
            return Ok(None);
        }
        let stages = stage::look(aws, &api).await?;
        let mut values = stages
            .iter()
            .flat_map(|(stage, _)| stage.variables.values());
        Ok::<_, Error>(values.any(|value| links.contains(value)).then_some(api))
    });
    Ok(try_join_all(through).await?.into_iter().flatten().collect())
}

/// Reads what belongs to a network load balancer.
pub(super) async fn read(aws: &Aws, load_balancer: Found<LoadBalancer>) -> Result<Backend> {
    let (listeners, links, aliases) = futures::try_join!(
        listeners(aws, &load_balancer.id),
        vpc_link::look(aws),
        aliases(aws, &load_balancer)
    )?;
    let target_groups = target_groups(aws, &listeners).await?;
    // A load balancer takes one link at a time.
    let link = links
        .into_iter()
        .find(|(_, link)| known(&link.target) == Some(load_balancer.id.as_str()));
    Ok(Backend {
        load_balancer,
        listeners,
        target_groups,
        link,
        aliases,
    })
}

/// The aliases that lead to it in private zones that its VPC finds.
async fn aliases(
    aws: &Aws,
    balancer: &Found<LoadBalancer>,
) -> Result<Vec<(Zone, Alias, hosted_zone::Looked)>> {
    let target = balancer.outputs.get("dns_name");
    let target = plain_alias(&target.map(|name| name.join("")).unwrap_or_default());
    let zones = facts::all_zones(aws).await?.into_iter();
    let looked = zones.filter(|zone| zone.is_private).map(async |zone| {
        let aliases = record_set::look(aws, &zone.id).await?.into_iter();
        let mut here = Vec::new();
        for alias in aliases.filter(|alias| alias.target == target) {
            let looked = hosted_zone::look(aws, &zone.id, &zone.name, &alias.name).await?;
            here.push((zone.clone(), alias, looked));
        }
        Ok::<_, Error>(here)
    });
    let mut found: Vec<_> = try_join_all(looked).await?.into_iter().flatten().collect();
    found.retain(|(_, _, looked)| looked.vpcs.contains(&balancer.spec.vpc));
    Ok(found)
}
