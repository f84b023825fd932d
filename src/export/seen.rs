//! What belongs to a load balancer: everything that clients come by on their way to what answers.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use serde_json::Value;

use crate::aws::{Aws, Identity};
use crate::error::{Error, Result};
use crate::facts::{self, Zone};
use crate::resource::base_path_mapping::{self, BasePathMapping};
use crate::resource::domain_name::{self, DomainName};
use crate::resource::listener::{self, Https, Listener, Listens, MutualAuthentication};
use crate::resource::load_balancer::{self, LoadBalancer};
use crate::resource::record_set::{self, Alias, plain_alias};
use crate::resource::rest_api::{self, RestApi};
use crate::resource::security_group::{self, SecurityGroup};
use crate::resource::stage::{self, Stage};
use crate::resource::target_group::{self, TargetGroup};
use crate::resource::trust_store::{self, Looked};
use crate::resource::vpc_endpoint::{self, VpcEndpoint};
use crate::resource::{Found, Late, certificate, target_registration};
use crate::stack::covers;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The load balancer.
    pub(super) load_balancer: Found<LoadBalancer>,
    /// Its security groups.
    pub(super) groups: Vec<Group>,
    /// Its listeners, by port.
    pub(super) listeners: BTreeMap<u16, Listening>,
    /// The groups that listeners forward to plainly, by ARN.
    pub(super) target_groups: BTreeMap<String, Targeted>,
    /// The trust store that a listener verifies by, with its ARN.
    pub(super) trust_store: Option<(String, Looked)>,
    /// The endpoint whose addresses are targets, with its id.
    pub(super) endpoint: Option<(String, VpcEndpoint)>,
    /// Its security groups.
    pub(super) endpoint_groups: Vec<Group>,
    /// The custom domains that lead to private APIs behind it.
    pub(super) domains: Vec<(DomainName, Vec<BasePathMapping>)>,
    /// The APIs that the domains lead to, by id.
    pub(super) apis: BTreeMap<String, Api>,
    /// The alias records that lead to it.
    pub(super) records: Vec<(Zone, Alias)>,
}

/// A security group.
#[derive(Debug)]
pub(super) struct Group {
    /// Its id.
    pub(super) id: String,
    /// What it is.
    pub(super) spec: SecurityGroup,
    /// The groups whose rules name it.
    pub(super) named_by: BTreeSet<String>,
}

/// A listener.
#[derive(Debug)]
pub(super) struct Listening {
    /// Its ARN.
    pub(super) id: String,
    /// What it is.
    pub(super) spec: Listener,
    /// Its rules besides the default action.
    pub(super) rules: Vec<String>,
}

/// A target group.
#[derive(Debug)]
pub(super) struct Targeted {
    /// What it is.
    pub(super) spec: TargetGroup,
    /// What is registered with it.
    pub(super) targets: BTreeSet<String>,
}

/// A REST API.
#[derive(Debug)]
pub(super) struct Api {
    /// What it is.
    pub(super) spec: RestApi,
    /// The stage that mappings lead to.
    pub(super) stage: Stage,
    /// Its other stages.
    pub(super) other_stages: Vec<String>,
    /// What the stage serves.
    pub(super) exported: Value,
    /// Whether that is what the API is now.
    pub(super) is_deployed: bool,
}

impl Listening {
    /// What it does with TLS.
    pub(super) fn https(&self) -> Option<&Https> {
        match &self.spec.listens {
            Listens::Https(https) => Some(https),
            Listens::Network(_) | Listens::Redirect(_) | Listens::Other(_) => None,
        }
    }

    /// The only group that it forwards to.
    pub(super) fn target_group(&self) -> Option<&str> {
        let arn = known(&self.https()?.target_group)?;
        (arn.starts_with("arn:") && !arn.contains(' ')).then_some(arn)
    }
}

/// What AWS was asked for is never unknown.
pub(super) fn known(late: &Late<String>) -> Option<&str> {
    match late {
        Late::Known(value) => Some(value),
        Late::From(..) => None,
    }
}

fn all_known(lates: &[Late<String>]) -> Vec<String> {
    lates.iter().filter_map(known).map(str::to_owned).collect()
}

impl Seen {
    /// Reads everything that belongs to the load balancer of an ARN or name.
    ///
    /// # Errors
    ///
    /// There is none, or what could not be read.
    pub(super) async fn read(aws: &Aws, identity: &Identity, arn_or_name: &str) -> Result<Self> {
        let load_balancer = load_balancer::look(aws, arn_or_name).await?;
        let load_balancer = load_balancer.ok_or_else(|| {
            Error::refused_with(
                format!(
                    "there is no load balancer `{arn_or_name}` in {}",
                    aws.region
                ),
                "name it as the console does, or by its ARN; --region says where it is",
            )
        })?;
        if load_balancer.spec.kind != load_balancer::Type::Application {
            return Err(Error::refused_with(
                format!(
                    "`{arn_or_name}` is no application load balancer, and clients with certificates come by one"
                ),
                "name the application load balancer that they connect to",
            ));
        }
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
        let certificate_names = certificate_names(aws, &listeners).await?;
        let records = records(aws, &load_balancer, &certificate_names).await?;
        let mut domains = Vec::new();
        let mut apis = BTreeMap::new();
        if endpoint.is_some() {
            let candidates = domains_behind(aws, &certificate_names, &records).await?;
            apis = self::apis(aws, identity, &candidates).await?;
            domains = candidates;
            // A domain that leads to no private API is reached some other way.
            domains.retain(|(_, mappings)| {
                let mut ids = mappings.iter().filter_map(|one| known(&one.api));
                ids.any(|id| apis.contains_key(id))
            });
        }
        Ok(Self {
            load_balancer,
            groups,
            listeners,
            target_groups,
            trust_store,
            endpoint,
            endpoint_groups,
            domains,
            apis,
            records,
        })
    }

    /// The ARN of the default certificate of its first HTTPS listener.
    pub(super) fn certificate(&self) -> Option<&str> {
        let mut https = self.listeners.values().filter_map(Listening::https);
        https.find_map(|https| known(&https.certificate))
    }

    /// Whether the group's targets are the endpoint's addresses.
    pub(super) fn is_endpoint(&self, group: &Targeted) -> bool {
        let addresses = self.endpoint.as_ref().map(|(_, endpoint)| {
            let addresses = endpoint.addresses.values().cloned();
            addresses.collect::<BTreeSet<String>>()
        });
        addresses.as_ref() == Some(&group.targets)
    }
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

async fn listeners(aws: &Aws, load_balancer: &str) -> Result<BTreeMap<u16, Listening>> {
    let looked = listener::look(aws, load_balancer).await?;
    let with_rules = looked.into_iter().map(async |(id, spec)| {
        let rules = listener::rules(aws, &id).await?;
        Ok::<_, Error>((spec.port, Listening { id, spec, rules }))
    });
    Ok(try_join_all(with_rules).await?.into_iter().collect())
}

async fn target_groups(
    aws: &Aws,
    listeners: &BTreeMap<u16, Listening>,
) -> Result<BTreeMap<String, Targeted>> {
    let arns: BTreeSet<&str> = listeners
        .values()
        .filter_map(Listening::target_group)
        .collect();
    let looked = arns.into_iter().map(async |arn| {
        let Some(spec) = target_group::look(aws, arn).await? else {
            return Ok(None);
        };
        let targets = target_registration::look(aws, arn, spec.port).await?;
        Ok::<_, Error>(Some((arn.to_owned(), Targeted { spec, targets })))
    });
    Ok(try_join_all(looked).await?.into_iter().flatten().collect())
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

async fn certificate_names(aws: &Aws, listeners: &BTreeMap<u16, Listening>) -> Result<Vec<String>> {
    let mut https = listeners.values().filter_map(Listening::https);
    let Some(arn) = https.find_map(|https| known(&https.certificate)) else {
        return Ok(Vec::new());
    };
    names_of(aws, arn).await
}

async fn names_of(aws: &Aws, arn: &str) -> Result<Vec<String>> {
    let detail = certificate::describe(aws, arn).await?;
    let detail = detail.into_iter();
    let names = detail.flat_map(|one| {
        let first = one.domain_name.into_iter();
        first.chain(one.subject_alternative_names.unwrap_or_default())
    });
    let names: BTreeSet<String> = names.map(|name| name.to_ascii_lowercase()).collect();
    Ok(names.into_iter().collect())
}

/// The alias records to the load balancer in the zones that the certificate's names are in.
async fn records(
    aws: &Aws,
    load_balancer: &Found<LoadBalancer>,
    names: &[String],
) -> Result<Vec<(Zone, Alias)>> {
    let target = load_balancer.outputs.get("dns_name");
    let target = target.map(|name| name.join("")).unwrap_or_default();
    let zones = facts::all_zones(aws).await?.into_iter();
    let holds = |zone: &Zone| {
        names
            .iter()
            .any(|name| *name == zone.name || name.ends_with(&format!(".{}", zone.name)))
    };
    let looked = zones.filter(holds).map(async |zone| {
        let aliases = record_set::look(aws, &zone.id).await?;
        Ok::<_, Error>((zone, aliases))
    });
    let mut records = Vec::new();
    for (zone, aliases) in try_join_all(looked).await? {
        let ours = aliases
            .into_iter()
            .filter(|alias| alias.target == plain_alias(&target));
        records.extend(ours.map(|alias| (zone.clone(), alias)));
    }
    Ok(records)
}

/// The domains that records lead here with, or that only the certificate is good for.
async fn domains_behind(
    aws: &Aws,
    certificate_names: &[String],
    records: &[(Zone, Alias)],
) -> Result<Vec<(DomainName, Vec<BasePathMapping>)>> {
    let named: BTreeSet<&str> = records.iter().map(|(_, one)| one.name.as_str()).collect();
    let mut domains = domain_name::look(aws).await?;
    let leads_here = |domain: &DomainName| named.iter().any(|name| covers(name, &domain.name));
    let some = domains.iter().any(leads_here);
    domains.retain(|domain| {
        let is_covered = certificate_names
            .iter()
            .any(|name| covers(name, &domain.name));
        if some { leads_here(domain) } else { is_covered }
    });
    let looked = domains.into_iter().map(async |domain| {
        let mappings = base_path_mapping::look(aws, &domain.name).await?;
        Ok::<_, Error>((domain, mappings))
    });
    try_join_all(looked).await
}

async fn apis(
    aws: &Aws,
    identity: &Identity,
    domains: &[(DomainName, Vec<BasePathMapping>)],
) -> Result<BTreeMap<String, Api>> {
    let mut stages: BTreeMap<String, String> = BTreeMap::new();
    for mapping in domains.iter().flat_map(|(_, mappings)| mappings) {
        if let (Some(api), Some(stage)) = (known(&mapping.api), known(&mapping.stage)) {
            stages
                .entry(api.to_owned())
                .or_insert_with(|| stage.to_owned());
        }
    }
    let ids: BTreeSet<String> = stages.keys().cloned().collect();
    let specs = rest_api::look((aws, identity), &ids).await?.into_iter();
    let private = specs.filter(|(_, spec)| spec.endpoint_type == "PRIVATE");
    let read = private.map(|(id, spec)| {
        let name = stages.get(&id).cloned().unwrap_or_default();
        async move {
            let (mut all, exported) =
                futures::try_join!(stage::look(aws, &id), rest_api::export(aws, &id, &name))?;
            let at = all.iter().position(|stage| stage.name == name);
            let (Some(at), Some(exported)) = (at, exported) else {
                return Ok(None);
            };
            let is_deployed = rest_api::is_deployed(aws, &id, &exported).await?;
            let stage = all.swap_remove(at);
            let api = Api {
                spec,
                stage,
                other_stages: all.into_iter().map(|stage| stage.name).collect(),
                exported,
                is_deployed,
            };
            Ok::<_, Error>(Some((id, api)))
        }
    });
    Ok(try_join_all(read).await?.into_iter().flatten().collect())
}

/// The load balancer that a domain leads to: by its record, else by the certificate that is good for it.
///
/// # Errors
///
/// There is none, or several, or what could not be read.
pub(crate) async fn load_balancer_of_domain(aws: &Aws, domain: &str) -> Result<String> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let (names, zones) = futures::try_join!(load_balancer::dns_names(aws), facts::all_zones(aws))?;
    let holds = |zone: &&Zone| domain == zone.name || domain.ends_with(&format!(".{}", zone.name));
    for zone in zones.iter().filter(holds) {
        let aliases = record_set::look(aws, &zone.id).await?;
        let here = aliases.iter().filter(|alias| covers(&alias.name, &domain));
        for alias in here {
            let is_it = |(_, name): &&(String, String)| plain_alias(name) == alias.target;
            if let Some((arn, _)) = names.iter().find(is_it) {
                return Ok(arn.clone());
            }
        }
    }
    let mut fitting = Vec::new();
    for (arn, _) in &names {
        let listeners = listeners(aws, arn).await?;
        let names = certificate_names(aws, &listeners).await?;
        if names.iter().any(|name| covers(name, &domain)) {
            fitting.push(arn.clone());
        }
    }
    match fitting.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::refused_with(
            format!(
                "nothing leads from `{domain}` to a load balancer in {}: no alias record, and no certificate \
                 of a listener is good for it",
                aws.region
            ),
            "name the load balancer with --load-balancer",
        )),
        several => Err(Error::refused_with(
            format!(
                "the certificates of several load balancers are good for `{domain}`: {}",
                several.join(", ")
            ),
            "name one of them with --load-balancer",
        )),
    }
}
