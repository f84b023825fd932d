//! Where an export begins, and what it meets on its way.

use std::collections::BTreeSet;

use super::front::{self, certificate_names, lies_in};
use super::{Domain, Front, apis, backend, known, listeners, load_balancer};
use crate::aws::{Aws, Identity};
use crate::error::{Error, Result};
use crate::export::section_name;
use crate::facts;
use crate::resource::load_balancer::{LoadBalancer, Type};
use crate::resource::record_set::{self, plain_alias};
use crate::resource::{Found, rest_api};
use crate::stack::covers;

/// Where an export begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// At a load balancer, by its ARN or name.
    LoadBalancer(String),
    /// At a custom domain that clients reach without one.
    Domain(String),
}

/// What begins the ARNs of load balancers' names.
const KINDS: [&str; 2] = [":loadbalancer/app/", ":loadbalancer/net/"];

impl Entry {
    /// The name of a stack after where the export begins.
    pub(crate) fn stack_name(&self) -> String {
        let (Self::LoadBalancer(arn_or_name) | Self::Domain(arn_or_name)) = self;
        let mut rests = KINDS.iter().filter_map(|kind| arn_or_name.split_once(kind));
        section_name(match rests.next() {
            Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
            None => arn_or_name,
        })
    }

    /// Where a domain leads to: by its record, as a custom domain of a regional API, or else by the only
    /// certificate of a load balancer that is good for it.
    ///
    /// # Errors
    ///
    /// There is none, or several, or what could not be read.
    pub(crate) async fn of_domain(aws: &Aws, identity: &Identity, domain: &str) -> Result<Self> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        if let Some(arn) = by_record(aws, &domain).await? {
            return Ok(Self::LoadBalancer(arn));
        }
        if is_regional(aws, identity, &domain).await? {
            return Ok(Self::Domain(domain));
        }
        let fitting = by_certificate(aws, &domain).await?;
        match fitting.as_slice() {
            [one] => Ok(Self::LoadBalancer(one.clone())),
            [] => Err(Error::refused_with(
                format!(
                    "nothing leads from `{domain}` to a load balancer in {}: no alias record, and no certificate \
                     of a listener is good for it; nor is it the custom domain of a regional API",
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
}

/// What was met first.
#[derive(Debug)]
pub(super) struct Way {
    /// Where it began.
    pub(super) origin: String,
    /// The application load balancer.
    pub(super) front: Option<Front>,
    /// The network load balancer.
    pub(super) backend: Option<Found<LoadBalancer>>,
    /// The custom domains, some of which may be of APIs that are reached otherwise.
    pub(super) domains: Vec<Domain>,
    /// The APIs that are meant, whatever domains lead to.
    pub(super) apis: BTreeSet<String>,
}

impl Way {
    /// Goes from where the export begins to its domains and APIs.
    pub(super) async fn from(aws: &Aws, entry: &Entry) -> Result<Self> {
        match entry {
            Entry::LoadBalancer(name) => {
                let balancer = load_balancer(aws, name).await?;
                match balancer.spec.kind {
                    _ if balancer.id.contains(":loadbalancer/gwy/") => Err(Error::refused_with(
                        format!("`{name}` is a gateway load balancer, which no client connects to"),
                        "name an application or a network load balancer",
                    )),
                    Type::Application => Self::from_front(aws, balancer).await,
                    Type::Network => Self::from_backend(aws, balancer).await,
                }
            }
            Entry::Domain(name) => Self::from_domain(aws, name).await,
        }
    }

    async fn from_front(aws: &Aws, balancer: Found<LoadBalancer>) -> Result<Self> {
        let origin = balancer.id.clone();
        let front = front::read(aws, balancer).await?;
        let domains = match &front.endpoint {
            Some(_) => apis::domains_behind(aws, &front).await?,
            None => Vec::new(),
        };
        Ok(Self {
            origin,
            front: Some(front),
            backend: None,
            domains,
            apis: BTreeSet::new(),
        })
    }

    /// Also finds the application load balancer by which private APIs are reached.
    async fn from_backend(aws: &Aws, balancer: Found<LoadBalancer>) -> Result<Self> {
        let apis = backend::apis_through(aws, &balancer.id).await?;
        let leads_there = |domain: &Domain| {
            let mut ids = domain.mappings.iter().filter_map(|one| known(&one.api));
            ids.any(|id| apis.contains(id))
        };
        let mut domains = apis::domains(aws, |_| !apis.is_empty()).await?;
        domains.retain(leads_there);
        let front = front_of(aws, &domains).await?;
        Ok(Self {
            origin: balancer.id.clone(),
            front,
            backend: Some(balancer),
            domains,
            apis,
        })
    }

    async fn from_domain(aws: &Aws, name: &str) -> Result<Self> {
        let domains = apis::domains(aws, |one| one.name == name).await?;
        let mappings = domains.iter().flat_map(|domain| &domain.mappings);
        let apis = mappings.filter_map(|one| known(&one.api).map(str::to_owned));
        Ok(Self {
            origin: name.to_owned(),
            front: None,
            backend: None,
            apis: apis.collect(),
            domains,
        })
    }
}

/// The application load balancer that a record of one of the domains leads to, or the only one whose
/// certificate is good for it, where its targets are an endpoint.
async fn front_of(aws: &Aws, domains: &[Domain]) -> Result<Option<Front>> {
    for domain in domains {
        let mut arn = by_record(aws, &domain.spec.name).await?;
        if arn.is_none() {
            let fitting = by_certificate(aws, &domain.spec.name).await?;
            arn = <[String; 1]>::try_from(fitting).ok().map(|[one]| one);
        }
        let Some(arn) = arn else { continue };
        let balancer = load_balancer(aws, &arn).await?;
        if balancer.spec.kind == Type::Application {
            let front = front::read(aws, balancer).await?;
            if front.endpoint.is_some() {
                return Ok(Some(front));
            }
        }
    }
    Ok(None)
}

/// The ARN of the load balancer that an alias record of a name leads to.
async fn by_record(aws: &Aws, domain: &str) -> Result<Option<String>> {
    let (names, zones) = futures::try_join!(
        crate::resource::load_balancer::dns_names(aws),
        facts::all_zones(aws)
    )?;
    for zone in zones.iter().filter(|zone| lies_in(domain, zone)) {
        let aliases = record_set::look(aws, &zone.id).await?;
        let here = aliases.iter().filter(|alias| covers(&alias.name, domain));
        for alias in here {
            let is_it = |(_, name): &&(String, String)| plain_alias(name) == alias.target;
            if let Some((arn, _)) = names.iter().find(is_it) {
                return Ok(Some(arn.clone()));
            }
        }
    }
    Ok(None)
}

/// The ARNs of the load balancers with a certificate that is good for a name.
async fn by_certificate(aws: &Aws, domain: &str) -> Result<Vec<String>> {
    let mut fitting = Vec::new();
    for (arn, _) in crate::resource::load_balancer::dns_names(aws).await? {
        let listeners = listeners(aws, &arn).await?;
        let names = certificate_names(aws, &listeners).await?;
        if names.iter().any(|name| covers(name, domain)) {
            fitting.push(arn);
        }
    }
    Ok(fitting)
}

/// Whether a name is the custom domain of an API that is reached by it directly.
async fn is_regional(aws: &Aws, identity: &Identity, domain: &str) -> Result<bool> {
    let domains = apis::domains(aws, |one| one.name == domain).await?;
    let mappings = domains.iter().flat_map(|domain| &domain.mappings);
    let ids: BTreeSet<String> = mappings
        .filter_map(|one| known(&one.api).map(str::to_owned))
        .collect();
    if ids.is_empty() {
        return Ok(false);
    }
    let apis = rest_api::look((aws, identity), &ids).await?;
    Ok(apis
        .iter()
        .any(|(_, api, _)| api.endpoint_type == "REGIONAL"))
}
