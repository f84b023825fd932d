//! Custom domains and APIs.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::entry::Way;
use super::front::{certificate_names, leading_to, records as records_of};
use super::{Api, Domain, Front, known};
use crate::aws::{Aws, Identity};
use crate::error::{Error, Result};
use crate::facts::Zone;
use crate::resource::domain_name::DomainName;
use crate::resource::record_set::{Alias, plain_alias};
use crate::resource::rest_api::RestApi;
use crate::resource::{base_path_mapping, domain_name, rest_api, stage};
use crate::stack::covers;

/// The regional custom domains that fit, with their mappings.
pub(super) async fn domains(aws: &Aws, fits: impl Fn(&DomainName) -> bool) -> Result<Vec<Domain>> {
    let all = domain_name::look(aws).await?.into_iter();
    let looked = all
        .filter(|(spec, _)| fits(spec))
        .map(async |(spec, regional_name)| {
            let mappings = base_path_mapping::look(aws, &spec.name).await?;
            Ok::<_, Error>(Domain {
                spec,
                regional_name,
                mappings,
            })
        });
    try_join_all(looked).await
}

/// The domains that records lead with to an application load balancer, or else those that its
/// certificate is good for.
pub(super) async fn domains_behind(aws: &Aws, front: &Front) -> Result<Vec<Domain>> {
    let (names, records) = futures::try_join!(
        certificate_names(aws, &front.listeners),
        records_of(aws, front)
    )?;
    let named: BTreeSet<&str> = records.iter().map(|(_, one)| one.name.as_str()).collect();
    let leads_here = |name: &str| named.iter().any(|record| covers(record, name));
    let is_covered = |name: &str| names.iter().any(|pattern| covers(pattern, name));
    let mut domains = domains(aws, |one| leads_here(&one.name) || is_covered(&one.name)).await?;
    if domains.iter().any(|one| leads_here(&one.spec.name)) {
        domains.retain(|one| leads_here(&one.spec.name));
    }
    Ok(domains)
}

/// The alias records that lead to the regional names of domains.
pub(super) async fn records(aws: &Aws, domains: &[Domain]) -> Result<Vec<(Zone, Alias)>> {
    if domains.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = domains.iter().map(|one| one.spec.name.clone()).collect();
    let fronts: Vec<String> = domains
        .iter()
        .map(|one| plain_alias(&one.regional_name))
        .collect();
    leading_to(aws, &names, |alias| fronts.contains(alias)).await
}

/// Reads the APIs that the way leads to, and what of them cannot be exported.
pub(super) async fn read(
    aws: &Aws,
    identity: &Identity,
    way: &Way,
) -> Result<(BTreeMap<String, Api>, Vec<(String, String)>)> {
    let mut stages: BTreeMap<String, Option<String>> =
        way.apis.iter().map(|id| (id.clone(), None)).collect();
    for mapping in way.domains.iter().flat_map(|domain| &domain.mappings) {
        if let (Some(api), Some(stage)) = (known(&mapping.api), known(&mapping.stage)) {
            let chosen = stages.entry(api.to_owned()).or_default();
            chosen.get_or_insert_with(|| stage.to_owned());
        }
    }
    let ids: BTreeSet<String> = stages.keys().cloned().collect();
    let specs = rest_api::look((aws, identity), &ids).await?;
    let mut beyond = Vec::new();
    let mut looked = Vec::new();
    for (id, spec, unsaid) in specs {
        let is_meant = way.apis.contains(&id);
        match spec.endpoint_type {
            "PRIVATE" => looked.push((id, spec, unsaid)),
            "REGIONAL" if is_meant => looked.push((id, spec, unsaid)),
            other if is_meant => beyond.push((
                "api".to_owned(),
                format!("the API `{}` ({id}), which is {other}", spec.name),
            )),
            _ => {}
        }
    }
    let read = looked.into_iter().map(async |(id, spec, unsaid)| {
        let chosen = stages.get(&id).cloned().flatten();
        let api = one(aws, (&id, spec), chosen.as_deref(), unsaid).await?;
        Ok::<_, Error>((id, api))
    });
    let mut apis = BTreeMap::new();
    for (id, api) in try_join_all(read).await? {
        match api {
            Some(api) => drop(apis.insert(id, api)),
            None => beyond.push((
                "api".to_owned(),
                format!("the API `{id}`, which has no stage"),
            )),
        }
    }
    Ok((apis, beyond))
}

/// An API with the stage that mappings lead to, or else its first; `None` where there is none.
async fn one(
    aws: &Aws,
    (id, spec): (&str, RestApi),
    chosen: Option<&str>,
    mut unsaid: Vec<String>,
) -> Result<Option<Api>> {
    let mut all = stage::look(aws, id).await?;
    all.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let at = match chosen {
        Some(name) => all.iter().position(|(stage, _)| stage.name == name),
        None => (!all.is_empty()).then_some(0),
    };
    let Some(at) = at else {
        return Ok(None);
    };
    let (stage, of_stage) = all.remove(at);
    unsaid.extend(of_stage);
    let Some(exported) = rest_api::export(aws, id, &stage.name).await? else {
        return Ok(None);
    };
    let is_deployed = rest_api::is_deployed(aws, id, &exported).await?;
    Ok(Some(Api {
        spec,
        stage,
        unsaid,
        other_stages: all.into_iter().map(|(stage, _)| stage.name).collect(),
        exported,
        is_deployed,
    }))
}
