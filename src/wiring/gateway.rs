//! APIs, custom domains, target groups, listeners and the record that leads to them.

use std::collections::BTreeMap;

use super::network::load_balancer_address;
use super::{Wiring, backend, key_of, names, section};
use crate::aws::tags::Tags;
use crate::resource::base_path_mapping::BasePathMapping;
use crate::resource::deployment::{Content, Deployment};
use crate::resource::domain_name::DomainName;
use crate::resource::listener::{Https, Listener, Listens, MutualAuthentication, Redirect};
use crate::resource::record_set::{Overwrite, RecordSet};
use crate::resource::rest_api::{Definition, Policy, RestApi};
use crate::resource::stage::{AccessLogs, Stage, Throttling};
use crate::resource::target_group::{HealthCheck, TargetGroup};
use crate::resource::target_registration::TargetRegistration;
use crate::resource::{Address, Late};
use crate::stack::{
    self, Api, ApiPolicy, BasePath, EndpointType, HealthCheckPort, IpAddressType, RecordTarget,
    Targets,
};

impl Wiring<'_> {
    /// Each API with the deployment that freezes it and the stage that serves it.
    pub(super) fn apis(&mut self) {
        let apis: Vec<(String, Api)> = self
            .stack
            .apis
            .iter()
            .map(|(name, api)| (name.clone(), api.clone()))
            .collect();
        for (name, api) in apis {
            let address = api_address(&name);
            let policy = self.policy(&api);
            let private = api.endpoint_type == EndpointType::Private;
            let endpoint_type = if private { "PRIVATE" } else { "REGIONAL" };
            let vpc_endpoints: Vec<Late<String>> = self
                .endpoint_reference()
                .filter(|_| private && api.associate_endpoint)
                .into_iter()
                .collect();
            let resources = &mut self.wired.resources;
            let deployment = address.part("deployment");
            resources.deployments.insert(
                deployment.clone(),
                Deployment {
                    api: Late::id(&address),
                    content: Content::Snapshot {
                        definition: api.definition.digest.clone(),
                        policy: policy.clone(),
                        vpc_endpoints: vpc_endpoints.clone(),
                        endpoint_type,
                        vpc_link: api.vpc_link.then(backend::vpc_link_reference),
                    },
                    behind: backend::behind(&api),
                },
            );
            let stage = address.part("stage");
            let tags = self.tags(&stage);
            self.wired
                .resources
                .stages
                .insert(stage, stage_of(&api, &address, &deployment, tags));
            let resource = RestApi {
                name: match api.name {
                    Some(name) => name,
                    None if name == "main" => self.stack.name.clone(),
                    None => format!("{}-{name}", self.stack.name),
                },
                description: api.description,
                endpoint_type,
                vpc_endpoints,
                policy,
                definition: Definition::Document {
                    document: api.definition.document,
                    digest: api.definition.digest,
                    vpc_link: api.vpc_link.then(backend::vpc_link_reference),
                },
                vpc_links: Vec::new(),
                tags: self.tags(&address),
            };
            self.wired.resources.rest_apis.insert(address, resource);
        }
    }

    fn policy(&mut self, api: &Api) -> Option<Policy> {
        match &api.policy {
            ApiPolicy::None => None,
            ApiPolicy::Document(document) => Some(Policy::Document(document.clone())),
            ApiPolicy::SourceVpc => Some(Policy::SourceVpc {
                vpc: self.vpc()?.id,
            }),
            ApiPolicy::SourceVpce => {
                let endpoint = self.endpoint_reference()?;
                Some(Policy::SourceVpce {
                    vpc: self.vpc()?.id,
                    endpoint,
                })
            }
        }
    }

    /// Each domain with its mappings.
    pub(super) fn domains(&mut self) {
        let Some(certificate) = self.certificate_reference() else {
            return;
        };
        let domains: Vec<_> = self
            .stack
            .domains
            .iter()
            .map(|(name, domain)| (name.clone(), domain.clone()))
            .collect();
        for (name, domain) in domains {
            let address = domain_address(&name);
            for mapping in &domain.mappings {
                let (base_path, place) = match &mapping.base_path {
                    BasePath::Root => (None, address.part("mapping")),
                    BasePath::Segment(segment) => {
                        (Some(segment.clone()), address.keyed("mapping", segment))
                    }
                };
                let api = api_address(&mapping.api);
                let mapping = BasePathMapping {
                    domain: Late::id(&address),
                    base_path,
                    api: Late::id(&api),
                    stage: Late::From(api.part("stage"), "name"),
                };
                self.wired
                    .resources
                    .base_path_mappings
                    .insert(place, mapping);
            }
            let tags = self.remembering(&address);
            let resource = DomainName {
                name: domain.name,
                certificate: certificate.clone(),
                security_policy: domain.security_policy.as_str().to_owned(),
                tags,
                lingering: Tags::default(),
            };
            self.wired.resources.domain_names.insert(address, resource);
        }
    }

    /// Each target group with what is registered in it.
    pub(super) fn target_groups(&mut self) {
        let groups: Vec<_> = self
            .stack
            .target_groups
            .iter()
            .map(|(name, one)| (name.clone(), one.clone()))
            .collect();
        if groups.is_empty() {
            return;
        }
        let Some(vpc) = self.vpc() else { return };
        for (name, group) in groups {
            let address = target_group_address(&name);
            let targets = match &group.targets {
                Targets::Endpoint => self.endpoint_addresses().unwrap_or(Late::Known(Vec::new())),
                Targets::Addresses(list) => {
                    let mut list: Vec<String> = list.iter().map(ToString::to_string).collect();
                    list.sort();
                    Late::Known(list)
                }
                Targets::Instances(list) => {
                    let mut list = list.clone();
                    list.sort();
                    Late::Known(list)
                }
            };
            let registration = TargetRegistration {
                target_group: Late::id(&address),
                targets,
                port: group.port,
                vpc_cidrs: vpc.cidrs.clone(),
                listeners: self.listeners_of(&name),
            };
            self.wired
                .resources
                .target_registrations
                .insert(address.part("targets"), registration);
            let resource = self.target_group(&address, &group, &vpc);
            self.wired.resources.target_groups.insert(address, resource);
        }
    }

    fn target_group(
        &self,
        address: &Address,
        group: &stack::TargetGroup,
        vpc: &crate::facts::Vpc,
    ) -> TargetGroup {
        let balancer = match &self.stack.load_balancer {
            Some(stack::LoadBalancer::Own(balancer)) => self.load_balancer_name(balancer, vpc),
            Some(stack::LoadBalancer::Existing { arn }) => arn.clone(),
            None => String::new(),
        };
        let ipv6 = matches!(&group.targets, Targets::Addresses(list) if list.iter().all(std::net::IpAddr::is_ipv6));
        let (protocol, port) = (group.protocol.as_str(), group.port.to_string());
        let ip_address_type = if ipv6 { "ipv6" } else { "ipv4" };
        let target_type = if matches!(group.targets, Targets::Instances(_)) {
            "instance"
        } else {
            "ip"
        };
        let fixed = [
            vpc.id.as_str(),
            protocol,
            &port,
            target_type,
            ip_address_type,
            &balancer,
        ];
        let check = &group.health_check;
        TargetGroup {
            name: names::derived(&self.stack.name, address, &fixed),
            vpc: vpc.id.clone(),
            protocol: protocol.to_owned(),
            port: group.port,
            target_type: target_type.to_owned(),
            ip_address_type: ip_address_type.to_owned(),
            load_balancer: self.load_balancer_reference(),
            health_check: HealthCheck {
                protocol: check.protocol.as_str().to_owned(),
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
                group.deregistration_delay_seconds.to_string(),
            )]),
            tags: self.tags(address),
        }
    }

    fn listeners_of(&self, group: &str) -> Vec<Address> {
        let uses = self
            .stack
            .listeners
            .iter()
            .filter(|(_, listener)| listener.target_group == group);
        uses.map(|(name, _)| listener_address(name)).collect()
    }

    /// Each HTTPS listener, and the one that redirects HTTP to it.
    pub(super) fn listeners(&mut self) {
        let (Some(load_balancer), Some(certificate)) =
            (self.load_balancer_reference(), self.certificate_reference())
        else {
            return;
        };
        let listeners: Vec<_> = self
            .stack
            .listeners
            .iter()
            .map(|(name, one)| (name.clone(), one.clone()))
            .collect();
        for (name, listener) in listeners {
            let address = listener_address(&name);
            if listener.redirect_http {
                let place = address.part("redirect");
                let redirect = Listener {
                    load_balancer: load_balancer.clone(),
                    port: 80,
                    listens: Listens::Redirect(Redirect {
                        port: listener.port,
                    }),
                    tags: self.tags(&place),
                };
                self.wired.resources.listeners.insert(place, redirect);
            }
            let https = Https {
                certificate: certificate.clone(),
                ssl_policy: listener.ssl_policy,
                mutual_authentication: self.mutual_authentication(listener.mutual_authentication),
                additional_certificates: listener.additional_certificates.into_iter().collect(),
                target_group: Late::id(&target_group_address(&listener.target_group)),
                attributes: listener.attributes,
                revocations: self.revocations(),
                registration: Some(target_group_address(&listener.target_group).part("targets")),
            };
            let resource = Listener {
                load_balancer: load_balancer.clone(),
                port: listener.port,
                listens: Listens::Https(Box::new(https)),
                tags: if self.is_remembered_elsewhere() {
                    self.tags(&address)
                } else {
                    self.remembering(&address)
                },
            };
            self.wired.resources.listeners.insert(address, resource);
        }
    }

    /// Whether something else than the listeners remembers where the records are.
    fn is_remembered_elsewhere(&self) -> bool {
        let resources = &self.wired.resources;
        // The network load balancer is nothing that records of clients lead to.
        let balancer = super::network::load_balancer_address();
        resources.load_balancers.contains_key(&balancer) || !resources.domain_names.is_empty()
    }

    fn mutual_authentication(&self, wanted: stack::MutualAuthentication) -> MutualAuthentication {
        match (wanted, self.trust_store_reference()) {
            (stack::MutualAuthentication::Passthrough, _) => MutualAuthentication::Passthrough,
            (
                stack::MutualAuthentication::Verify {
                    advertise_ca_names,
                    ignore_client_certificate_expiry,
                },
                Some(trust_store),
            ) => MutualAuthentication::Verify {
                trust_store,
                advertise_ca_names,
                ignore_client_certificate_expiry,
            },
            // The stack file refuses `verify` without a trust store.
            (stack::MutualAuthentication::Off | stack::MutualAuthentication::Verify { .. }, _) => {
                MutualAuthentication::Off
            }
        }
    }

    /// The records, last of all: they send clients to everything else.
    pub(super) fn records(&mut self) {
        let visibility = self.visibility();
        let records: Vec<_> = self
            .stack
            .records
            .iter()
            .map(|(name, one)| (name.clone(), one.clone()))
            .collect();
        for (name, record) in records {
            let key = format!("{}.zone", key_of("record", "records", &name));
            let Some(zone) = self.zone(&key, &record.zone, visibility) else {
                continue;
            };
            let (dns_name, alias_zone) = self.alias(&record.target);
            let address = section("record", "records", &name);
            let room = record.overwrite.then(|| address.part("a"));
            for record_type in self.record_types(&record.target) {
                let set = RecordSet {
                    zone: Late::Known(zone.id.clone()),
                    name: record.name.clone(),
                    record_type: record_type.to_owned(),
                    alias_dns_name: dns_name.clone(),
                    alias_zone: alias_zone.clone(),
                    evaluate_target_health: record.evaluate_target_health,
                    overwrite: if record.overwrite {
                        Overwrite::Allow
                    } else {
                        Overwrite::Refuse
                    },
                    destinations: self.destinations(),
                    leads_to: Vec::new(),
                    makes_room: room.clone().filter(|_| record_type == "AAAA"),
                    held: None,
                    forgets: Vec::new(),
                };
                self.wired
                    .resources
                    .record_sets
                    .insert(address.part(&record_type.to_ascii_lowercase()), set);
            }
        }
    }

    /// DNS name and zone of what a record points to.
    fn alias(&self, target: &RecordTarget) -> (Late<String>, Late<String>) {
        match (target, &self.stack.load_balancer) {
            (RecordTarget::Domain(name), _) => {
                let address = domain_address(name);
                let zone = Late::From(address.clone(), "regional_hosted_zone_id");
                (Late::From(address, "regional_domain_name"), zone)
            }
            (RecordTarget::LoadBalancer, Some(stack::LoadBalancer::Existing { arn })) => {
                let existing = self.facts.load_balancers.get(arn);
                let of = |field: fn(&crate::facts::ExistingLoadBalancer) -> &String| {
                    Late::Known(existing.map(field).cloned().unwrap_or_default())
                };
                (of(|one| &one.dns_name), of(|one| &one.hosted_zone))
            }
            (RecordTarget::LoadBalancer, _) => {
                let address = load_balancer_address();
                let zone = Late::From(address.clone(), "canonical_hosted_zone_id");
                (Late::From(address, "dns_name"), zone)
            }
        }
    }

    fn record_types(&self, target: &RecordTarget) -> Vec<&'static str> {
        let dualstack = matches!(
            (target, &self.stack.load_balancer),
            (RecordTarget::LoadBalancer, Some(stack::LoadBalancer::Own(balancer)))
                if balancer.ip_address_type != IpAddressType::Ipv4
        );
        if dualstack {
            vec!["A", "AAAA"]
        } else {
            vec!["A"]
        }
    }

    /// Everything that has to work before clients are sent here.
    fn destinations(&self) -> Vec<Address> {
        let resources = &self.wired.resources;
        let listeners = resources.listeners.keys();
        let targets = resources.target_registrations.keys();
        let mappings = resources.base_path_mappings.keys();
        let domains = resources.domain_names.keys();
        let stages = resources.stages.keys();
        listeners
            .chain(targets)
            .chain(mappings)
            .chain(domains)
            .chain(stages)
            .cloned()
            .collect()
    }
}

fn stage_of(
    api: &Api,
    address: &Address,
    deployment: &Address,
    tags: crate::aws::tags::Tags,
) -> Stage {
    Stage {
        api: Late::id(address),
        name: api.stage.clone(),
        deployment: Late::id(deployment),
        description: String::new(),
        variables: api.stage_variables.clone(),
        access_logs: api.access_logs.as_ref().map(|logs| AccessLogs {
            destination_arn: logs.destination_arn.clone(),
            format: logs.format.clone(),
        }),
        throttling: api.throttling.map(|limits| Throttling {
            rate_limit: limits.rate_limit,
            burst_limit: limits.burst_limit,
        }),
        tags,
    }
}

/// Where an API stands in its stack.
pub(crate) fn api_address(name: &str) -> Address {
    section("api", "apis", name)
}

fn domain_address(name: &str) -> Address {
    section("domain", "domains", name)
}

fn target_group_address(name: &str) -> Address {
    section("target_group", "target_groups", name)
}

fn listener_address(name: &str) -> Address {
    section("listener", "listeners", name)
}
