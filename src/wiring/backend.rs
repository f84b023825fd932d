//! What leads from an API to a backend in the VPC: VPC link -> network load balancer -> listener ->
//! target group -> targets; and the private name by which the VPC finds it.

use std::collections::{BTreeMap, BTreeSet};

use super::network::Visibility;
use super::trust::ImportPlace;
use super::{Wiring, names, section};
use crate::aws::tags::Tags;
use crate::facts::Vpc;
use crate::resource::certificate::Source;
use crate::resource::hosted_zone::HostedZone;
use crate::resource::listener::{EndsTls, Listener, Listens, Network};
use crate::resource::load_balancer::{LoadBalancer, ReachedBy, Type};
use crate::resource::record_set::{Memory, Overwrite, RecordSet};
use crate::resource::security_group::{Peer, Rule};
use crate::resource::target_group::{HealthCheck, TargetGroup};
use crate::resource::target_registration::TargetRegistration;
use crate::resource::vpc_link::VpcLink;
use crate::resource::{Address, Late, Need, Until};
use crate::stack::{
    self, Api, Backend, CertificateSource, HealthCheckPort, Material, NetworkLoadBalancer,
    NetworkProtocol, NetworkSecurityGroups, PrivateZone,
};
use crate::trust::{self, BackendTrust, Certificate};

impl Wiring<'_> {
    /// The network load balancer with all that belongs to it.
    pub(super) fn network_load_balancer(&mut self) {
        let Some(balancer) = self.stack.network_load_balancer.clone() else {
            return;
        };
        let Some(vpc) = self.vpc() else { return };
        let subnets = self.subnets("network_load_balancer.subnets", &balancer.subnets, &vpc);
        let subnets: BTreeSet<String> = subnets.into_iter().map(|subnet| subnet.id).collect();
        let name = self.network_name(&balancer, &vpc, &subnets);
        let is_linked = self.stack.apis.values().any(|api| api.vpc_link);
        let mut attributes = BTreeMap::new();
        for (key, on) in [
            ("deletion_protection.enabled", balancer.deletion_protection),
            ("load_balancing.cross_zone.enabled", balancer.cross_zone),
        ] {
            if on {
                attributes.insert(key.to_owned(), "true".to_owned());
            }
        }
        let security_groups = self.network_groups(&balancer, &vpc);
        let resource = LoadBalancer {
            name: name.clone(),
            kind: Type::Network,
            filters_private_link: false,
            scheme: balancer.scheme.as_str().to_owned(),
            vpc: vpc.id.clone(),
            subnets,
            security_groups,
            ip_address_type: "ipv4".to_owned(),
            attributes,
            unmanaged: BTreeSet::new(),
            admitted_by: Vec::new(),
            log_buckets: Vec::new(),
            reached_by: if is_linked || balancer.record.is_some() {
                ReachedBy::Record
            } else {
                ReachedBy::DnsName
            },
            tags: self.remembering_private(&balancer),
            lingering: Tags::default(),
        };
        let resources = &mut self.wired.resources;
        resources
            .load_balancers
            .insert(balancer_address(), resource);
        if is_linked {
            let link = VpcLink {
                name: balancer
                    .vpc_link_name
                    .clone()
                    .unwrap_or_else(|| self.stack.name.clone()),
                target: Late::id(&balancer_address()),
                status: "AVAILABLE".to_owned(),
                tags: self.tags(&vpc_link_address()),
            };
            let resources = &mut self.wired.resources;
            resources.vpc_links.insert(vpc_link_address(), link);
        }
        self.network_targets(&balancer, &vpc, &name);
        self.network_listener(&balancer);
        self.private_record(&balancer, &vpc);
    }

    /// Its groups: one of its own lets the allowed ranges in to the listener; VPC links need no rule.
    fn network_groups(&mut self, balancer: &NetworkLoadBalancer, vpc: &Vpc) -> Vec<Late<String>> {
        let allow = match &balancer.security_groups {
            NetworkSecurityGroups::None => return Vec::new(),
            NetworkSecurityGroups::Existing(ids) => {
                return ids.iter().cloned().map(Late::Known).collect();
            }
            NetworkSecurityGroups::Own(allow) => allow,
        };
        let rule = |cidr: &String| Rule::tcp(balancer.listener.port, Peer::Cidr(cidr.clone()));
        let ingress = allow.iter().map(rule).collect();
        // It has to reach its targets, for the traffic and the health checks.
        let egress = vec![Rule::everything("0.0.0.0/0")];
        let address = balancer_address().part("security_group");
        let description = format!("{}: clients of the network load balancer", self.stack.name);
        vec![self.security_group(&address, vpc, description, (ingress, egress))]
    }

    /// Named after what cannot be changed; subnets are among it, since none can be left.
    fn network_name(
        &self,
        balancer: &NetworkLoadBalancer,
        vpc: &Vpc,
        subnets: &BTreeSet<String>,
    ) -> String {
        let groups = match balancer.security_groups {
            NetworkSecurityGroups::None => "without groups",
            NetworkSecurityGroups::Own(_) | NetworkSecurityGroups::Existing(_) => "with groups",
        };
        let fixed = ["network", balancer.scheme.as_str(), &vpc.id, groups];
        let fixed: Vec<&str> = fixed
            .into_iter()
            .chain(subnets.iter().map(String::as_str))
            .collect();
        names::derived(&self.stack.name, &balancer_address(), &fixed)
    }

    /// Tags that remember the alias in somebody else's zone; what is in a zone of ours needs none.
    fn remembering_private(&mut self, balancer: &NetworkLoadBalancer) -> Tags {
        let tags = self.tags(&balancer_address());
        let Some(record) = &balancer.record else {
            return tags;
        };
        let PrivateZone::Existing(id) = &record.zone else {
            return tags;
        };
        let Some(zone) = self.existing_zone(id) else {
            return tags;
        };
        let memory = Memory {
            zone,
            name: record.name.clone(),
            address: record_address(),
            target: None,
        };
        let (key, value) = memory.tag();
        tags.with(&key, value)
    }

    /// The id of an existing private zone.
    fn existing_zone(&mut self, id: &str) -> Option<String> {
        let key = "network_load_balancer.private_zone";
        let wanted = stack::Zone::Id(id.to_owned());
        Some(self.zone(key, &wanted, Visibility::Private)?.id)
    }

    fn network_targets(&mut self, balancer: &NetworkLoadBalancer, vpc: &Vpc, name: &str) {
        let address = group_address();
        let (protocol, port) = (
            balancer.target_protocol.as_str(),
            balancer.target_port.to_string(),
        );
        let target_type = balancer.targets.target_type();
        let fixed = [vpc.id.as_str(), protocol, &port, target_type, name];
        let check = &balancer.health_check;
        let delay = balancer.deregistration_delay_seconds.to_string();
        let group = TargetGroup {
            name: names::derived(&self.stack.name, &address, &fixed),
            vpc: vpc.id.clone(),
            protocol: protocol.to_owned(),
            port: balancer.target_port,
            target_type: target_type.to_owned(),
            ip_address_type: "ipv4".to_owned(),
            load_balancer: Some(Late::id(&balancer_address())),
            health_check: HealthCheck {
                protocol: check.probe.as_str().to_owned(),
                port: match check.port {
                    HealthCheckPort::TrafficPort => "traffic-port".to_owned(),
                    HealthCheckPort::Number(port) => port.to_string(),
                },
                path: check.path.clone(),
                matcher: check.matcher.clone(),
                interval_seconds: check.interval_seconds,
                timeout_seconds: check.timeout_seconds,
                healthy_threshold: check.healthy_threshold.into(),
                unhealthy_threshold: check.unhealthy_threshold.into(),
            },
            attributes: BTreeMap::from([(
                "deregistration_delay.timeout_seconds".to_owned(),
                delay,
            )]),
            tags: self.tags(&address),
        };
        let registration = TargetRegistration {
            target_group: Late::id(&address),
            targets: Late::Known(balancer.targets.names()),
            port: balancer.target_port,
            vpc_cidrs: vpc.cidrs.clone(),
            listeners: vec![listener_address()],
        };
        let resources = &mut self.wired.resources;
        resources
            .target_registrations
            .insert(address.part("targets"), registration);
        resources.target_groups.insert(address, group);
    }

    fn network_listener(&mut self, balancer: &NetworkLoadBalancer) {
        let wanted = &balancer.listener;
        let ends_tls = match wanted.protocol {
            NetworkProtocol::Tcp => None,
            NetworkProtocol::Tls => {
                let Some(certificate) = self.network_certificate(balancer) else {
                    return;
                };
                Some(EndsTls {
                    certificate,
                    ssl_policy: wanted.ssl_policy.clone(),
                })
            }
        };
        let address = listener_address();
        let listener = Listener {
            load_balancer: Late::id(&balancer_address()),
            port: wanted.port,
            listens: Listens::Network(Box::new(Network {
                ends_tls,
                target_group: Late::id(&group_address()),
                registration: Some(group_address().part("targets")),
            })),
            tags: self.tags(&address),
        };
        self.wired.resources.listeners.insert(address, listener);
    }

    /// The certificate of a listener that ends TLS: its own, or the stack's.
    fn network_certificate(&mut self, balancer: &NetworkLoadBalancer) -> Option<Late<String>> {
        let Some(certificate) = &balancer.listener.certificate else {
            return self.certificate_reference();
        };
        let address = certificate_address();
        match &certificate.source {
            CertificateSource::Import {
                certificate: leaf,
                private_key,
                chain,
            } => {
                let place = ImportPlace {
                    address: address.clone(),
                    key: "network_load_balancer.listener.certificate.import",
                    hosts: balancer.record.iter().map(|one| one.name.clone()).collect(),
                };
                let import = self.import(leaf, chain.as_ref(), private_key, &place)?;
                let source = Source::Imported(import);
                let none = BTreeMap::new();
                self.add_certificate_at(address.clone(), source, &none, certificate.retain);
                Some(Late::id(&address))
            }
            CertificateSource::Existing { arn } => Some(Late::Known(arn.clone())),
            // The stack file refuses these here.
            CertificateSource::Request { .. } | CertificateSource::Find { .. } => None,
        }
    }

    /// The name by which the VPC finds it, in a zone of its own or in an existing one.
    fn private_record(&mut self, balancer: &NetworkLoadBalancer, vpc: &Vpc) {
        let Some(record) = &balancer.record else {
            return;
        };
        let zone = match &record.zone {
            PrivateZone::Own(name) => {
                let address = zone_address();
                let zone = HostedZone {
                    name: name.clone(),
                    vpc: vpc.id.clone(),
                    load_balancer: vec![Late::id(&balancer_address())],
                    tags: self.tags(&address),
                };
                let zones = &mut self.wired.resources.hosted_zones;
                zones.insert(address.clone(), zone);
                Late::id(&address)
            }
            PrivateZone::Existing(id) => {
                let Some(zone) = self.existing_zone(id) else {
                    return;
                };
                Late::Known(zone)
            }
        };
        let alias_zone = Late::From(balancer_address(), "canonical_hosted_zone_id");
        let set = RecordSet {
            zone,
            name: record.name.clone(),
            record_type: "A".to_owned(),
            alias_dns_name: Late::From(balancer_address(), "dns_name"),
            alias_zone,
            evaluate_target_health: record.evaluate_target_health,
            overwrite: Overwrite::Refuse,
            destinations: vec![listener_address(), group_address().part("targets")],
            leads_to: Vec::new(),
            makes_room: None,
            held: None,
            forgets: Vec::new(),
        };
        let sets = &mut self.wired.resources.record_sets;
        sets.insert(record_address().part("a"), set);
    }

    /// Judges what backends show as API Gateway does, where the file or its import says what that is.
    pub(super) fn judge_backends(&mut self) {
        let listener_shows = self.listener_shows();
        let apis: Vec<(String, Api)> = self
            .stack
            .apis
            .iter()
            .map(|(name, api)| (name.clone(), api.clone()))
            .collect();
        for (name, api) in apis {
            let address = section("api", "apis", &name);
            let key = format!("{address}.backend_certificate");
            let shown = api.backend_certificate.as_ref();
            let shown = shown.and_then(|file| self.parse(&key, file));
            for (backend, presented) in judged(&api, shown.as_deref(), listener_shows.as_ref()) {
                let key = match presented {
                    By::Backend(_) => key.as_str(),
                    By::Listener(shown) => shown.key,
                };
                let findings = findings(&backend, presented.chain(), self.facts, self.now);
                self.report(key, &address, findings);
            }
        }
    }

    /// What API Gateway gets to see where the network load balancer ends TLS, as far as files say it.
    fn listener_shows(&mut self) -> Option<Shows> {
        let balancer = self.stack.network_load_balancer.as_ref()?;
        if balancer.listener.protocol == NetworkProtocol::Tcp {
            return None;
        }
        let own = balancer.listener.certificate.as_ref();
        let (certificate, key) = match own {
            Some(certificate) => (
                certificate,
                "network_load_balancer.listener.certificate.import.certificate",
            ),
            None => (
                self.stack.certificate.as_ref()?,
                "certificate.import.certificate",
            ),
        };
        let (leaf, chain) = match &certificate.source {
            CertificateSource::Import {
                certificate, chain, ..
            } => (certificate.clone(), chain.clone()),
            _ => return Some(Shows { key, chain: None }),
        };
        let mut shown = self.parse(key, &leaf)?;
        shown.truncate(1);
        let more = chain.and_then(|chain: Material| self.parse(key, &chain));
        shown.extend(more.into_iter().flatten());
        Some(Shows {
            key,
            chain: Some(shown),
        })
    }
}

/// What the network load balancer's listener shows.
struct Shows {
    /// The key of the stack file that says so.
    key: &'static str,
    /// Its certificate and the chain, where files say them.
    chain: Option<Vec<Certificate>>,
}

/// By whom a certificate is shown to API Gateway.
#[derive(Clone, Copy)]
enum By<'a> {
    Backend(&'a [Certificate]),
    Listener(&'a Shows),
}

impl<'a> By<'a> {
    fn chain(self) -> &'a [Certificate] {
        match self {
            Self::Backend(chain) => chain,
            Self::Listener(shown) => shown.chain.as_deref().unwrap_or_default(),
        }
    }
}

/// The HTTPS integrations of an API, one for each host, with what API Gateway gets to see there.
fn judged<'a>(
    api: &Api,
    shown: Option<&'a [Certificate]>,
    listener: Option<&'a Shows>,
) -> Vec<(Backend, By<'a>)> {
    let mut seen = BTreeSet::new();
    let backends = api.definition.backends().into_iter();
    let once = backends.filter(|one| {
        one.is_https && seen.insert((one.host.clone(), one.is_linked, one.skips_verification))
    });
    once.filter_map(|one| {
        let by = match (listener.filter(|_| one.is_linked), shown) {
            (Some(listener), _) => By::Listener(listener),
            (None, Some(shown)) => By::Backend(shown),
            (None, None) => return None,
        };
        (!by.chain().is_empty()).then_some((one, by))
    })
    .collect()
}

/// What API Gateway finds wrong with what a backend shows.
pub(crate) fn findings(
    backend: &Backend,
    presented: &[Certificate],
    facts: &crate::facts::Facts,
    now: time::OffsetDateTime,
) -> Vec<trust::Finding> {
    let trusted = if backend.skips_verification {
        BackendTrust::AnyCa
    } else {
        BackendTrust::PublicCas(&facts.public_cas)
    };
    let host = backend.host.as_deref();
    trust::judge_backend(presented, host, trusted, now)
}

/// What has to work before an API is deployed that leads through the VPC link.
pub(super) fn behind(api: &Api) -> Vec<Need> {
    if !api.vpc_link {
        return Vec::new();
    }
    vec![
        Need::address(&vpc_link_address(), Until::Ready),
        Need::address(&listener_address(), Until::Exists),
        Need::address(&group_address().part("targets"), Until::Ready),
    ]
}

/// How a definition refers to the VPC link.
pub(super) fn vpc_link_reference() -> Late<String> {
    Late::id(&vpc_link_address())
}

fn vpc_link_address() -> Address {
    Address::parse("vpc_link")
}

fn balancer_address() -> Address {
    Address::parse("network_load_balancer")
}

fn listener_address() -> Address {
    balancer_address().part("listener")
}

fn certificate_address() -> Address {
    balancer_address().part("certificate")
}

fn group_address() -> Address {
    balancer_address().part("target_group")
}

fn zone_address() -> Address {
    balancer_address().part("zone")
}

fn record_address() -> Address {
    balancer_address().part("record")
}
