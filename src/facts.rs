//! What a stack refers to and does not own: the VPC, its subnets, hosted zones, existing resources.
//!
//! Read in the first round trip, for all stacks of a run together, and handed to `wiring`, which
//! calls nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_acm::primitives::DateTime;
use aws_sdk_acm::types::{CertificateStatus, CertificateSummary};
use aws_sdk_route53::types::HostedZone;
use futures::future::try_join_all;
use time::OffsetDateTime;

use crate::aws::{Aws, Identity, pages};
use crate::crl_source;
use crate::error::{Error, Result};
use crate::resource::ec2::filter;
use crate::resource::{certificate, vpc_endpoint};
use crate::stack::{CertificateSource, Endpoint, LoadBalancer, PrivateZone, Stack};
use crate::trust::Certificate;

/// What one region of one account holds that stacks refer to.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Whether AWS was asked.
    pub(crate) origin: Origin,
    /// Who we are.
    pub(crate) identity: Identity,
    /// The region.
    pub(crate) region: String,
    /// All VPCs.
    pub(crate) vpcs: Vec<Vpc>,
    /// All subnets.
    pub(crate) subnets: Vec<Subnet>,
    /// All hosted zones of the account.
    pub(crate) zones: Vec<Zone>,
    /// The issued certificates of each wanted `find:` name: in use first, then the latest to expire.
    pub(crate) certificates: BTreeMap<String, Vec<IssuedCertificate>>,
    /// When existing certificates that stacks name end, by ARN.
    pub(crate) certificate_ends: BTreeMap<String, OffsetDateTime>,
    /// Existing endpoints that stacks name, by id.
    pub(crate) endpoints: BTreeMap<String, ExistingEndpoint>,
    /// Existing load balancers that stacks name, by ARN.
    pub(crate) load_balancers: BTreeMap<String, ExistingLoadBalancer>,
    /// The roots of public CAs, as far as the system knows them; where a backend is to be judged.
    pub(crate) public_cas: Vec<Certificate>,
    /// What is known of CRLs from URLs; filled in by the caller.
    pub(crate) crls: crl_source::Known,
}

/// Where facts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Read from AWS.
    Aws,
    /// Made up, so that a file can be rendered without AWS.
    StandIns,
}

/// A VPC.
#[derive(Debug, Clone)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) is_default: bool,
    /// Its IPv4 ranges.
    pub(crate) cidrs: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A subnet.
#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) availability_zone: String,
    /// Whether it is the default subnet of its zone.
    pub(crate) is_default: bool,
    /// Addresses that are still free.
    pub(crate) free_addresses: i32,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A hosted zone.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    /// Without `/hostedzone/`.
    pub(crate) id: String,
    /// Lower case, without the trailing dot.
    pub(crate) name: String,
    pub(crate) is_private: bool,
    /// The VPCs a private zone is associated with; read only where names are ambiguous.
    pub(crate) vpcs: Vec<String>,
}

/// A certificate that `find:` may lead to.
#[derive(Debug, Clone)]
pub(crate) struct IssuedCertificate {
    pub(crate) arn: String,
    /// The stack that made it, if one did.
    pub(crate) stack: Option<String>,
    /// When it ends.
    pub(crate) not_after: Option<OffsetDateTime>,
}

/// An endpoint that a stack uses and does not own.
#[derive(Debug, Clone)]
pub(crate) struct ExistingEndpoint {
    pub(crate) vpc: String,
    /// The addresses of its network interfaces, sorted.
    pub(crate) addresses: Vec<String>,
}

/// A load balancer that a stack uses and does not own.
#[derive(Debug, Clone)]
pub(crate) struct ExistingLoadBalancer {
    pub(crate) vpc: String,
    pub(crate) scheme: String,
    pub(crate) dns_name: String,
    pub(crate) hosted_zone: String,
    pub(crate) security_groups: Vec<String>,
}

impl Facts {
    /// Reads what the stacks refer to; the identity is read beside it and filled in by the caller.
    ///
    /// # Errors
    ///
    /// A read that failed or was denied.
    pub(crate) async fn read(aws: &Aws, stacks: &[&Stack]) -> Result<Self> {
        if stacks.is_empty() {
            return Ok(Self::empty(&aws.region));
        }
        let wanted = Wanted::of(stacks);
        let (vpcs, subnets, zones, certificates, endpoints, load_balancers) = futures::try_join!(
            vpcs(aws),
            subnets(aws),
            zones(aws, stacks),
            existing_certificates(aws, &wanted),
            existing_endpoints(aws, &wanted.endpoints),
            existing_load_balancers(aws, &wanted.load_balancers),
        )?;
        let (certificates, certificate_ends) = certificates;
        let read = Self {
            vpcs,
            subnets,
            zones,
            certificates,
            certificate_ends,
            endpoints,
            load_balancers,
            public_cas: public_cas(stacks),
            ..Self::empty(&aws.region)
        };
        Ok(read)
    }

    /// Stand-ins for AWS, so that a file can be rendered without any: `${account}`, `${vpc}`.
    pub(crate) fn stand_ins(stack: &Stack) -> Self {
        let account = stack
            .account
            .clone()
            .unwrap_or_else(|| "${account}".to_owned());
        let identity = Identity {
            account,
            arn: String::new(),
            partition: "aws".to_owned(),
        };
        Self {
            origin: Origin::StandIns,
            identity,
            public_cas: public_cas(&[stack]),
            ..Self::empty(&stack.region)
        }
    }

    /// Nothing but the region.
    fn empty(region: &str) -> Self {
        Self {
            origin: Origin::Aws,
            identity: Identity {
                account: String::new(),
                arn: String::new(),
                partition: String::new(),
            },
            region: region.to_owned(),
            vpcs: Vec::new(),
            subnets: Vec::new(),
            zones: Vec::new(),
            certificates: BTreeMap::new(),
            certificate_ends: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            load_balancers: BTreeMap::new(),
            public_cas: Vec::new(),
            crls: crl_source::Known::default(),
        }
    }
}

/// The public CAs that the system knows, where a certificate is to be judged by them.
fn public_cas(stacks: &[&Stack]) -> Vec<Certificate> {
    let speaks_tls = |stack: &&Stack| {
        let mut apis = stack.apis.values();
        apis.any(|api| {
            let backends = api.definition.backends();
            backends
                .iter()
                .any(|one| one.is_https && !one.skips_verification)
        })
    };
    if !stacks.iter().any(speaks_tls) {
        return Vec::new();
    }
    let found = rustls_native_certs::load_native_certs().certs;
    let parsed = found.iter().map(|der| Certificate::from_der(der));
    parsed.filter_map(Result::ok).collect()
}

/// What the stacks name and do not own.
#[derive(Default)]
struct Wanted {
    /// By name, of `find:`.
    certificates: BTreeSet<String>,
    certificate_arns: BTreeSet<String>,
    endpoints: BTreeSet<String>,
    load_balancers: BTreeSet<String>,
}

impl Wanted {
    fn of(stacks: &[&Stack]) -> Self {
        let mut wanted = Self::default();
        for stack in stacks {
            match stack.certificate.as_ref().map(|one| &one.source) {
                Some(CertificateSource::Find { name }) => {
                    wanted.certificates.insert(name.clone());
                }
                Some(CertificateSource::Existing { arn }) => {
                    wanted.certificate_arns.insert(arn.clone());
                }
                _ => {}
            }
            if let Some(Endpoint::Existing { id }) = &stack.endpoint {
                wanted.endpoints.insert(id.clone());
            }
            if let Some(LoadBalancer::Existing { arn }) = &stack.load_balancer {
                wanted.load_balancers.insert(arn.clone());
            }
        }
        wanted
    }
}

async fn vpcs(aws: &Aws) -> Result<Vec<Vpc>> {
    let all = pages(async |next| {
        let send = aws.ec2.describe_vpcs().set_next_token(next).send();
        let page = aws.call("ec2:DescribeVpcs", send).await?;
        Ok((page.vpcs.unwrap_or_default(), page.next_token))
    });
    let vpcs = all.await?.into_iter().map(|vpc| Vpc {
        is_default: vpc.is_default.unwrap_or(false),
        cidrs: vpc
            .cidr_block_association_set()
            .iter()
            .filter_map(|one| one.cidr_block.clone())
            .collect(),
        tags: tags(vpc.tags()),
        id: vpc.vpc_id.unwrap_or_default(),
    });
    Ok(vpcs.collect())
}

async fn subnets(aws: &Aws) -> Result<Vec<Subnet>> {
    let all = pages(async |next| {
        let send = aws.ec2.describe_subnets().set_next_token(next).send();
        let page = aws.call("ec2:DescribeSubnets", send).await?;
        Ok((page.subnets.unwrap_or_default(), page.next_token))
    });
    let subnets = all.await?.into_iter().map(|subnet| Subnet {
        tags: tags(subnet.tags()),
        id: subnet.subnet_id.unwrap_or_default(),
        vpc: subnet.vpc_id.unwrap_or_default(),
        availability_zone: subnet.availability_zone.unwrap_or_default(),
        is_default: subnet.default_for_az.unwrap_or(false),
        free_addresses: subnet.available_ip_address_count.unwrap_or(i32::MAX),
    });
    Ok(subnets.collect())
}

fn tags(tags: &[aws_sdk_ec2::types::Tag]) -> BTreeMap<String, String> {
    let pair = |tag: &aws_sdk_ec2::types::Tag| {
        Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))
    };
    tags.iter().filter_map(pair).collect()
}

/// All zones, unless no stack has a name in one.
async fn zones(aws: &Aws, stacks: &[&Stack]) -> Result<Vec<Zone>> {
    let requests = |stack: &&Stack| {
        let source = stack.certificate.as_ref().map(|one| &one.source);
        let private = stack.network_load_balancer.as_ref();
        let private = private.and_then(|one| one.record.as_ref());
        !stack.records.is_empty()
            || matches!(source, Some(CertificateSource::Request { .. }))
            || matches!(
                private.map(|record| &record.zone),
                Some(PrivateZone::Existing(_))
            )
    };
    if !stacks.iter().any(requests) {
        return Ok(Vec::new());
    }
    all_zones(aws).await
}

/// All hosted zones of the account.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn all_zones(aws: &Aws) -> Result<Vec<Zone>> {
    let all = pages(async |marker| {
        let send = aws.route53.list_hosted_zones().set_marker(marker).send();
        let page = aws.call("route53:ListHostedZones", send).await?;
        let next = page.next_marker.filter(|_| page.is_truncated);
        Ok((page.hosted_zones, next))
    });
    with_vpcs(aws, all.await?.iter().map(zone).collect()).await
}

fn zone(zone: &HostedZone) -> Zone {
    Zone {
        id: zone.id.trim_start_matches("/hostedzone/").to_owned(),
        name: zone.name.trim_end_matches('.').to_ascii_lowercase(),
        is_private: zone
            .config
            .as_ref()
            .is_some_and(|config| config.private_zone),
        vpcs: Vec::new(),
    }
}

/// Private zones of one name differ by their VPCs, which only a call for each tells.
async fn with_vpcs(aws: &Aws, zones: Vec<Zone>) -> Result<Vec<Zone>> {
    let ambiguous = |zone: &Zone| {
        zone.is_private
            && zones
                .iter()
                .filter(|other| other.is_private && other.name == zone.name)
                .count()
                > 1
    };
    let read = zones.iter().map(|zone| async {
        if !ambiguous(zone) {
            return Ok::<_, Error>(zone.clone());
        }
        let send = aws.route53.get_hosted_zone().id(&zone.id).send();
        let answer = aws.call("route53:GetHostedZone", send).await?;
        let vpcs = answer
            .vpcs
            .unwrap_or_default()
            .into_iter()
            .filter_map(|vpc| vpc.vpc_id)
            .collect();
        Ok(Zone {
            vpcs,
            ..zone.clone()
        })
    });
    try_join_all(read).await
}

/// The issued certificates of each name, and when those end that are named by ARN.
async fn existing_certificates(aws: &Aws, wanted: &Wanted) -> Result<ExistingCertificates> {
    if wanted.certificates.is_empty() && wanted.certificate_arns.is_empty() {
        return Ok(ExistingCertificates::default());
    }
    let listed = certificate::list(aws).await?;
    let ends = listed.iter().filter_map(|one| {
        let arn = wanted.certificate_arns.get(one.certificate_arn()?)?;
        Some((arn.clone(), not_after(one)?))
    });
    let ends = ends.collect();
    Ok((
        issued_certificates(aws, &wanted.certificates, listed).await?,
        ends,
    ))
}

/// What [`Facts::certificates`] and [`Facts::certificate_ends`] hold.
type ExistingCertificates = (
    BTreeMap<String, Vec<IssuedCertificate>>,
    BTreeMap<String, OffsetDateTime>,
);

/// When a certificate ends, where ACM knows.
fn not_after(listed: &CertificateSummary) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(listed.not_after()?.secs()).ok()
}

/// The issued certificates of each name: in use first, then the latest to expire.
async fn issued_certificates(
    aws: &Aws,
    names: &BTreeSet<String>,
    mut listed: Vec<CertificateSummary>,
) -> Result<BTreeMap<String, Vec<IssuedCertificate>>> {
    listed.retain(|one| {
        let status = one.status().map(CertificateStatus::as_str);
        status == Some("ISSUED") && one.domain_name().is_some_and(|name| names.contains(name))
    });
    listed.sort_by_key(|one| {
        let expiry = one.not_after().map(DateTime::secs);
        Reverse((one.in_use().unwrap_or(false), expiry))
    });
    let named = listed.into_iter().filter_map(|one| {
        let not_after = not_after(&one);
        Some((one.domain_name?, one.certificate_arn?, not_after))
    });
    let read = named.map(async |(name, arn, not_after)| {
        let tags = certificate::tags(aws, &arn).await?;
        let stack = tags.stack().map(str::to_owned);
        let found = IssuedCertificate {
            arn,
            stack,
            not_after,
        };
        Ok::<_, Error>((name, found))
    });
    let mut certificates: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, certificate) in try_join_all(read).await? {
        certificates.entry(name).or_default().push(certificate);
    }
    Ok(certificates)
}

async fn existing_endpoints(
    aws: &Aws,
    ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, ExistingEndpoint>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let by_id = filter("vpc-endpoint-id", ids.iter().cloned().collect());
    let endpoints = vpc_endpoint::describe(aws, by_id).await?;
    let interfaces = vpc_endpoint::interfaces_of(aws, &endpoints).await?;
    let addresses: BTreeMap<String, String> = interfaces
        .into_iter()
        .filter_map(|one| Some((one.network_interface_id?, one.private_ip_address?)))
        .collect();
    let existing = endpoints.into_iter().filter_map(|one| {
        let mut own: Vec<String> = one
            .network_interface_ids()
            .iter()
            .filter_map(|id| addresses.get(id).cloned())
            .collect();
        own.sort();
        Some((
            one.vpc_endpoint_id?,
            ExistingEndpoint {
                vpc: one.vpc_id.unwrap_or_default(),
                addresses: own,
            },
        ))
    });
    Ok(existing.collect())
}

async fn existing_load_balancers(
    aws: &Aws,
    arns: &BTreeSet<String>,
) -> Result<BTreeMap<String, ExistingLoadBalancer>> {
    let read = arns.iter().map(|arn| async move {
        let send = aws
            .elbv2
            .describe_load_balancers()
            .load_balancer_arns(arn)
            .send();
        match aws.call("elbv2:DescribeLoadBalancers", send).await {
            Err(error) if error.is("LoadBalancerNotFound") => Ok::<_, Error>(None),
            other => Ok(other?
                .load_balancers
                .unwrap_or_default()
                .into_iter()
                .next()
                .map(|one| {
                    let existing = ExistingLoadBalancer {
                        vpc: one.vpc_id.unwrap_or_default(),
                        scheme: one
                            .scheme
                            .map(|scheme| scheme.as_str().to_owned())
                            .unwrap_or_default(),
                        dns_name: one.dns_name.unwrap_or_default().to_ascii_lowercase(),
                        hosted_zone: one.canonical_hosted_zone_id.unwrap_or_default(),
                        security_groups: one.security_groups.unwrap_or_default(),
                    };
                    (arn.clone(), existing)
                })),
        }
    });
    Ok(try_join_all(read).await?.into_iter().flatten().collect())
}
