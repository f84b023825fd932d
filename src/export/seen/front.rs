//! The application load balancer that clients connect to.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::{Front, Group, Listening, Targeted, all_known, known, listeners, target_groups};
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::facts::{self, Zone};
use crate::resource::listener::MutualAuthentication;
use crate::resource::load_balancer::LoadBalancer;
use crate::resource::record_set::{self, Alias, plain_alias};
use crate::resource::vpc_endpoint::{self, VpcEndpoint};
use crate::resource::{Found, Late, certificate, security_group, trust_store};

/// Reads what belongs to an application load balancer.
pub(super) async fn read(aws: &Aws, load_balancer: Found<LoadBalancer>) -> Result<Front> {
    let (groups, listeners) = futures::try_join!(
        groups(aws, &load_balancer.spec.security_groups),
        listeners(aws, &load_balancer.id)
    )?;
    let target_groups = target_groups(aws, &listeners).await?;
    let trust_store = match store_of(&listeners) {
        Some(arn) => Some((arn.clone(), trust_store::look(aws, &arn).await?)),
        None => None,
    };
    let endpoint = endpoint(aws, &load_balancer.spec.vpc, &target_groups).await?;
    let endpoint_groups = match &endpoint {
        Some((_, endpoint)) => self::groups(aws, &endpoint.security_groups).await?,
        None => Vec::new(),
    };
    Ok(Front {
        load_balancer,
        groups,
        listeners,
        target_groups,
        trust_store,
        endpoint,
        endpoint_groups,
        log_bucket: None,
    })
}

async fn groups(aws: &Aws, ids: &[Late<String>]) -> Result<Vec<Group>> {
    let ids = all_known(ids);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let looked = security_group::look(aws, &ids).await?;
    let group = |(id, spec, named_by)| Group { id, spec, named_by };
    Ok(looked.into_iter().map(group).collect())
}

/// The trust store of the first listener that verifies.
fn store_of(listeners: &BTreeMap<u16, Listening>) -> Option<String> {
    let mut https = listeners.values().filter_map(Listening::https);
    https.find_map(|https| match &https.mutual_authentication {
        MutualAuthentication::Verify { trust_store, .. } => known(trust_store).map(str::to_owned),
        _ => None,
    })
}

/// The endpoint all of whose addresses are the targets of a group.
async fn endpoint(
    aws: &Aws,
    vpc: &str,
    groups: &BTreeMap<String, Targeted>,
) -> Result<Option<(String, VpcEndpoint)>> {
    if groups.values().all(|group| group.spec.target_type != "ip") {
        return Ok(None);
    }
    let endpoints = vpc_endpoint::look(aws, vpc).await?;
    let is_target = |endpoint: &VpcEndpoint| {
        let addresses: BTreeSet<String> = endpoint.addresses.values().cloned().collect();
        !addresses.is_empty() && groups.values().any(|group| group.targets == addresses)
    };
    Ok(endpoints
        .into_iter()
        .find(|(_, endpoint)| is_target(endpoint)))
}

/// The names that the first HTTPS listener's certificate is good for.
pub(super) async fn certificate_names(
    aws: &Aws,
    listeners: &BTreeMap<u16, Listening>,
) -> Result<Vec<String>> {
    let mut https = listeners.values().filter_map(Listening::https);
    let Some(arn) = https.find_map(|https| known(&https.certificate)) else {
        return Ok(Vec::new());
    };
    let detail = certificate::describe(aws, arn).await?.into_iter();
    let names = detail.flat_map(|one| {
        let first = one.domain_name.into_iter();
        first.chain(one.subject_alternative_names.unwrap_or_default())
    });
    let names: BTreeSet<String> = names.map(|name| name.to_ascii_lowercase()).collect();
    Ok(names.into_iter().collect())
}

/// The alias records to the load balancer in the zones that the certificate's names are in.
pub(super) async fn records(aws: &Aws, front: &Front) -> Result<Vec<(Zone, Alias)>> {
    let names = certificate_names(aws, &front.listeners).await?;
    let target = front.load_balancer.outputs.get("dns_name");
    let target = target.map(|name| name.join("")).unwrap_or_default();
    leading_to(aws, &names, |alias| *alias == plain_alias(&target)).await
}

/// The alias records whose target fits, in the zones that these names are in.
pub(super) async fn leading_to(
    aws: &Aws,
    names: &[String],
    fits: impl Fn(&String) -> bool,
) -> Result<Vec<(Zone, Alias)>> {
    let zones = facts::all_zones(aws).await?.into_iter();
    let holds = |zone: &Zone| names.iter().any(|name| lies_in(name, zone));
    let looked = zones.filter(holds).map(async |zone| {
        let aliases = record_set::look(aws, &zone.id).await?;
        Ok::<_, Error>((zone, aliases))
    });
    let mut records = Vec::new();
    for (zone, aliases) in try_join_all(looked).await? {
        let ours = aliases.into_iter().filter(|alias| fits(&alias.target));
        records.extend(ours.map(|alias| (zone.clone(), alias)));
    }
    Ok(records)
}

/// Whether a name is in a zone.
pub(super) fn lies_in(name: &str, zone: &Zone) -> bool {
    name == zone.name || name.ends_with(&format!(".{}", zone.name))
}
