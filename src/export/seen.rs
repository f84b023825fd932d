//! What is there: everything that clients come by on their way to what answers, and what that answers by.

mod apis;
mod backend;
mod entry;
mod front;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use serde_json::Value;

use crate::aws::{Aws, Identity};
use crate::error::{Error, Result};
use crate::facts::Zone;
use crate::resource::base_path_mapping::BasePathMapping;
use crate::resource::domain_name::DomainName;
use crate::resource::hosted_zone;
use crate::resource::listener::{self, Https, Listener, Listens, Network};
use crate::resource::load_balancer::{self, LoadBalancer};
use crate::resource::log_bucket::{self, LogBucket};
use crate::resource::record_set::Alias;
use crate::resource::rest_api::RestApi;
use crate::resource::security_group::SecurityGroup;
use crate::resource::stage::Stage;
use crate::resource::target_group::{self, TargetGroup};
use crate::resource::trust_store::Looked;
use crate::resource::vpc_endpoint::VpcEndpoint;
use crate::resource::vpc_link::VpcLink;
use crate::resource::{Found, Late, target_registration};

pub(crate) use entry::Entry;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What it was exported from.
    pub(super) origin: String,
    /// What clients connect to, where that is a load balancer.
    pub(super) front: Option<Front>,
    /// The custom domains of the APIs.
    pub(super) domains: Vec<Domain>,
    /// The APIs, by id.
    pub(super) apis: BTreeMap<String, Api>,
    /// The alias records that lead to the load balancer, or without one to the domains.
    pub(super) records: Vec<(Zone, Alias)>,
    /// What the APIs lead to.
    pub(super) backend: Option<Backend>,
    /// What belongs here and cannot be exported: the address that it is nearest to, and what it is.
    pub(super) beyond: Vec<(String, String)>,
}

/// The application load balancer and what is beside it.
#[derive(Debug)]
pub(super) struct Front {
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
    /// The bucket that would be the stack's own for logs, where logs go there.
    pub(super) log_bucket: Option<LogBucket>,
}

/// The network load balancer through which APIs reach what answers.
#[derive(Debug)]
pub(super) struct Backend {
    /// The load balancer.
    pub(super) load_balancer: Found<LoadBalancer>,
    /// Its listeners, by port.
    pub(super) listeners: BTreeMap<u16, Listening>,
    /// The groups that listeners forward to plainly, by ARN.
    pub(super) target_groups: BTreeMap<String, Targeted>,
    /// The VPC link to it, with its id.
    pub(super) link: Option<(String, VpcLink)>,
    /// The aliases in private zones that lead to it.
    pub(super) aliases: Vec<(Zone, Alias, hosted_zone::Looked)>,
}

/// A custom domain.
#[derive(Debug)]
pub(super) struct Domain {
    /// What it is.
    pub(super) spec: DomainName,
    /// The DNS name of its regional front.
    pub(super) regional_name: String,
    /// What it leads to.
    pub(super) mappings: Vec<BasePathMapping>,
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
    /// What of it is not compared, in words.
    pub(super) unsaid: Vec<String>,
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
    /// The stage that mappings lead to, or else the first.
    pub(super) stage: Stage,
    /// What of the stage and the API is not compared, in words.
    pub(super) unsaid: Vec<String>,
    /// Its other stages.
    pub(super) other_stages: Vec<String>,
    /// What the stage serves.
    pub(super) exported: Value,
    /// Whether that is what the API is now.
    pub(super) is_deployed: bool,
}

impl Listening {
    /// What it does with TLS, where it speaks HTTP behind it.
    pub(super) fn https(&self) -> Option<&Https> {
        match &self.spec.listens {
            Listens::Https(https) => Some(https),
            Listens::Network(_) | Listens::Redirect(_) | Listens::Other(_) => None,
        }
    }

    /// What it does where it passes on connections.
    pub(super) fn network(&self) -> Option<&Network> {
        match &self.spec.listens {
            Listens::Network(network) => Some(network),
            Listens::Https(_) | Listens::Redirect(_) | Listens::Other(_) => None,
        }
    }

    /// The only group that it forwards to.
    pub(super) fn target_group(&self) -> Option<&str> {
        let https = self.https().map(|one| &one.target_group);
        let arn = known(https.or_else(|| self.network().map(|one| &one.target_group))?)?;
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
    /// Reads everything that belongs to where the export begins, for a stack of this name.
    ///
    /// # Errors
    ///
    /// There is nothing, or what could not be read.
    pub(super) async fn read(
        aws: &Aws,
        identity: &Identity,
        entry: &Entry,
        stack: &str,
    ) -> Result<Self> {
        let mut way = entry::Way::from(aws, entry).await?;
        let log_bucket = match &way.front {
            Some(front) => own_log_bucket(aws, identity, &front.load_balancer, stack).await?,
            None => None,
        };
        if let Some(front) = &mut way.front {
            front.log_bucket = log_bucket;
        }
        let (apis, mut beyond) = apis::read(aws, identity, &way).await?;
        // A domain that leads to no such API is reached some other way.
        way.domains.retain(|domain| {
            let mut ids = domain.mappings.iter().filter_map(|one| known(&one.api));
            ids.any(|id| apis.contains_key(id))
        });
        let backend = match way.backend.take() {
            Some(balancer) => Some(balancer),
            None => backend::behind(aws, &apis, &mut beyond).await?,
        };
        let backend = match backend {
            Some(balancer) => Some(backend::read(aws, balancer).await?),
            None => None,
        };
        let records = match &way.front {
            Some(front) => front::records(aws, front).await?,
            None => apis::records(aws, &way.domains).await?,
        };
        Ok(Self {
            origin: way.origin,
            front: way.front,
            domains: way.domains,
            apis,
            records,
            backend,
            beyond,
        })
    }

    /// The VPC that everything is in.
    pub(super) fn vpc(&self) -> Option<&str> {
        let front = self.front.as_ref().map(|front| &front.load_balancer);
        let balancer = front.or(self.backend.as_ref().map(|one| &one.load_balancer))?;
        Some(balancer.spec.vpc.as_str())
    }

    /// The ARN of the certificate that clients see: the default one of the first HTTPS listener, else the
    /// first domain's.
    pub(super) fn certificate(&self) -> Option<&str> {
        let listeners = self.front.iter().flat_map(|front| front.listeners.values());
        let mut https = listeners.filter_map(Listening::https);
        let of_listener = https.find_map(|https| known(&https.certificate));
        let mut domains = self.domains.iter();
        of_listener.or_else(|| domains.find_map(|domain| known(&domain.spec.certificate)))
    }

    /// The endpoint that clients come by.
    pub(super) fn endpoint(&self) -> Option<&(String, VpcEndpoint)> {
        self.front.as_ref()?.endpoint.as_ref()
    }

    /// The VPC link to the network load balancer.
    pub(super) fn link(&self) -> Option<&str> {
        let (id, _) = self.backend.as_ref()?.link.as_ref()?;
        Some(id)
    }
}

impl Front {
    /// Whether the group's targets are the endpoint's addresses.
    pub(super) fn is_endpoint(&self, group: &Targeted) -> bool {
        let addresses = self.endpoint.as_ref().map(|(_, endpoint)| {
            let addresses = endpoint.addresses.values().cloned();
            addresses.collect::<BTreeSet<String>>()
        });
        addresses.as_ref() == Some(&group.targets)
    }
}

/// A load balancer by its ARN or name.
async fn load_balancer(aws: &Aws, arn_or_name: &str) -> Result<Found<LoadBalancer>> {
    let found = load_balancer::look(aws, arn_or_name).await?;
    found.ok_or_else(|| {
        Error::refused_with(
            format!(
                "there is no load balancer `{arn_or_name}` in {}",
                aws.region
            ),
            "name it as the console does, or by its ARN; --region says where it is",
        )
    })
}

async fn listeners(aws: &Aws, load_balancer: &str) -> Result<BTreeMap<u16, Listening>> {
    let looked = listener::look(aws, load_balancer).await?;
    let with_rules = looked.into_iter().map(async |(id, spec, unsaid)| {
        let is_network = matches!(spec.listens, Listens::Network(_));
        let rules = if is_network {
            Vec::new()
        } else {
            listener::rules(aws, &id).await?
        };
        let listening = Listening {
            id,
            spec,
            unsaid,
            rules,
        };
        Ok::<_, Error>((listening.spec.port, listening))
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

/// The bucket of the name that the stack's own log bucket has, where the load balancer logs to it and no
/// other stack has it.
async fn own_log_bucket(
    aws: &Aws,
    identity: &Identity,
    balancer: &Found<LoadBalancer>,
    stack: &str,
) -> Result<Option<LogBucket>> {
    let name = LogBucket::name_of(&identity.account, &aws.region, stack);
    let mut buckets = balancer.spec.log_buckets.iter().filter_map(known);
    if !buckets.any(|bucket| bucket == name) {
        return Ok(None);
    }
    let bucket = log_bucket::look(aws, identity, &name).await?;
    Ok(bucket.filter(|bucket| bucket.tags.stack().is_none_or(|owner| owner == stack)))
}
