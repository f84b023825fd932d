//! What AWS says of a stack's gateway that probing it has to know.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Session, Subject, bucket_of, guard};
use crate::aws::{Clock, Identity};
use crate::error::Result;
use crate::facts::Facts;
use crate::resource::domain_name::DomainName;
use crate::resource::load_balancer::{LoadBalancer, Type};
use crate::resource::reader::Scope;
use crate::resource::rest_api::RestApi;
use crate::resource::trust_store::Held;
use crate::resource::vpc_endpoint::VpcEndpoint;
use crate::resource::{Address, Found, Outputs, Owner, Reader, Resources};
use crate::stack::{self, Stack};
use crate::verify::Network;
use crate::verify::network::ConnectTo;

/// A stack's gateway as it is in AWS now.
#[derive(Debug)]
pub(crate) struct Live {
    /// Who we are there.
    pub(crate) identity: Identity,
    /// The clock of waits.
    pub(crate) clock: Clock,
    /// The load balancer's DNS name.
    pub(crate) load_balancer: Option<String>,
    /// The regional name of each custom domain, by its name.
    pub(crate) regional_names: BTreeMap<String, String>,
    /// The addresses of the endpoint.
    pub(crate) endpoint: Vec<IpAddr>,
    /// The ids of the REST APIs, by their addresses; read where there is no listener in front of them.
    pub(crate) apis: BTreeMap<Address, String>,
    /// The listeners and the trust store that decides who gets in.
    pub(crate) held: Held,
}

impl Session {
    /// Reads the gateway of a stack.
    ///
    /// # Errors
    ///
    /// Another account than the one that the file names, or what could not be read.
    pub(crate) async fn live(&self, subject: &Subject, stack: &Stack) -> Result<Live> {
        let aws = self.connect(&subject.region).await?;
        let identity = aws.identity().await?;
        guard(subject, &identity)?;
        let scope = Scope {
            name: subject.name.clone(),
            bucket: bucket_of(subject, &identity),
            resources: Resources::default(),
            adopt: BTreeMap::new(),
            delete_logs: false,
        };
        let reader = Reader::new(aws, identity.clone(), vec![scope]);
        let name = &subject.name;
        let arn = match &stack.trust_store {
            Some(stack::TrustStore::Existing { arn }) => Some(arn.as_str()),
            _ => None,
        };
        let apis = async {
            if stack.listeners.is_empty() {
                reader.found::<RestApi>().await
            } else {
                Ok(Arc::default())
            }
        };
        let (held, load_balancers, domains, endpoints, apis) = futures::try_join!(
            Held::read(&reader, name, arn),
            reader.found::<LoadBalancer>(),
            reader.found::<DomainName>(),
            reader.found::<VpcEndpoint>(),
            apis,
        )?;
        let mut live = Live {
            identity,
            clock: reader.aws.clock.clone(),
            load_balancer: first(
                ours(&load_balancers, name)
                    .filter(|one| one.spec.kind == Type::Application)
                    .map(|one| &one.outputs),
                "dns_name",
            ),
            regional_names: regional_names(ours(&domains, name)),
            endpoint: addresses(ours(&endpoints, name).flat_map(|one| values(&one.outputs))),
            apis: ours(&apis, name)
                .map(|one| (one.address.clone(), one.id.clone()))
                .collect(),
            held,
        };
        live.add_existing(&reader, stack).await?;
        Ok(live)
    }

    /// The way to the gateway: by the system's DNS and TCP, or in the embedded AWS.
    pub(crate) fn network(&self, overrides: Vec<ConnectTo>) -> Network<'_> {
        #[cfg(feature = "sandbox")]
        if let Some(sandbox) = &self.sandbox {
            return Network::sandbox(sandbox, overrides);
        }
        Network::system(overrides)
    }

    /// The certificate of the root that the embedded AWS's server certificates chain to, PEM.
    ///
    /// # Errors
    ///
    /// The sandbox does not answer.
    #[cfg(feature = "sandbox")]
    pub(crate) async fn sandbox_root(&self) -> Result<Option<String>> {
        match &self.sandbox {
            Some(sandbox) => Ok(sandbox.server_root().await?),
            None => Ok(None),
        }
    }
}

impl Live {
    /// What the stack uses and does not own.
    async fn add_existing(&mut self, reader: &Reader, stack: &Stack) -> Result<()> {
        let uses_load_balancer = matches!(
            stack.load_balancer,
            Some(stack::LoadBalancer::Existing { .. })
        );
        let uses_endpoint = matches!(stack.endpoint, Some(stack::Endpoint::Existing { .. }));
        if !uses_load_balancer && !uses_endpoint {
            return Ok(());
        }
        let facts = Box::pin(Facts::read(&reader.aws, &[stack])).await?;
        if let Some(existing) = facts.load_balancers.values().next() {
            self.load_balancer = Some(existing.dns_name.to_ascii_lowercase());
        }
        if let Some(existing) = facts.endpoints.values().next() {
            self.endpoint = addresses(existing.addresses.iter());
        }
        Ok(())
    }
}

/// What of a kind is the stack's own.
fn ours<'a, R>(found: &'a [Found<R>], stack: &'a str) -> impl Iterator<Item = &'a Found<R>> {
    let is_ours = move |one: &&Found<R>| one.owner == Owner::Ours && one.stack == stack;
    found.iter().filter(is_ours)
}

fn first<'a>(mut outputs: impl Iterator<Item = &'a Outputs>, name: &str) -> Option<String> {
    outputs.find_map(|outputs| outputs.get(name)?.first().cloned())
}

fn values(outputs: &Outputs) -> impl Iterator<Item = &String> {
    outputs.get("addresses").into_iter().flatten()
}

fn regional_names<'a>(
    domains: impl Iterator<Item = &'a Found<DomainName>>,
) -> BTreeMap<String, String> {
    let named = domains.filter_map(|domain| {
        let regional = domain.outputs.get("regional_domain_name")?.first()?;
        Some((domain.spec.name.clone(), regional.clone()))
    });
    named.collect()
}

fn addresses<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<IpAddr> {
    texts.filter_map(|text| text.parse().ok()).collect()
}
