//! VPC, subnets, zones, the endpoint, the load balancer and their security groups.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Wiring, key_of, names, pairs, section};
use crate::aws::tags::Tags;
use crate::facts::{Origin, Subnet, Vpc, Zone};
use crate::resource::load_balancer::{LoadBalancer, ReachedBy, Type};
use crate::resource::log_bucket::LogBucket;
use crate::resource::record_set::{Memory, plain_alias};
use crate::resource::security_group::{Peer, Rule, SecurityGroup};
use crate::resource::vpc_endpoint::VpcEndpoint;
use crate::resource::{Address, Late};
use crate::stack::{
    self, EndpointPolicy, OwnEndpoint, OwnLoadBalancer, SecurityGroups, StackError, Subnets,
};

/// Whether a zone answers everybody or a VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    Public,
    Private,
}

impl Wiring<'_> {
    /// Whether there are no facts because the file is only rendered.
    pub(super) fn is_rendered_only(&self) -> bool {
        self.facts.origin == Origin::StandIns
    }

    /// The VPC.
    pub(super) fn vpc(&mut self) -> Option<Vpc> {
        let wanted = self.stack.vpc.as_ref()?;
        if self.is_rendered_only() {
            let id = if let stack::Vpc::Id(id) = wanted {
                id.clone()
            } else {
                "${vpc}".to_owned()
            };
            return Some(Vpc {
                id,
                is_default: false,
                cidrs: Vec::new(),
                tags: BTreeMap::new(),
            });
        }
        let fits: Vec<&Vpc> = self
            .facts
            .vpcs
            .iter()
            .filter(|vpc| fits_vpc(vpc, wanted))
            .collect();
        if let [one] = fits.as_slice() {
            return Some((*one).clone());
        }
        let what = match wanted {
            stack::Vpc::Id(id) => format!("the VPC `{id}`"),
            stack::Vpc::Default => "a default VPC".to_owned(),
            stack::Vpc::Tags(tags) => format!("a VPC tagged {}", pairs(tags)),
        };
        let message = match fits.len() {
            0 => format!("{what} does not exist in {}", self.facts.region),
            count => format!("{what} is not one but {count} in {}", self.facts.region),
        };
        let there: Vec<&str> = self.facts.vpcs.iter().map(|vpc| vpc.id.as_str()).collect();
        let allowed = Some(there.join(", "));
        self.error("vpc", message, allowed, None);
        None
    }

    /// The subnets that a section names, at most one in an availability zone.
    pub(super) fn subnets(&mut self, key: &str, wanted: &Subnets, vpc: &Vpc) -> Vec<Subnet> {
        if self.is_rendered_only() {
            let ids = if let Subnets::Ids(ids) = wanted {
                ids.clone()
            } else {
                vec!["${subnets}".to_owned()]
            };
            return ids.into_iter().map(stand_in).collect();
        }
        let subnets: Vec<Subnet> = match wanted {
            Subnets::Ids(ids) => ids
                .iter()
                .enumerate()
                .filter_map(|(index, id)| self.subnet(&format!("{key}[{index}]"), id, vpc))
                .collect(),
            Subnets::Tags(tags) => {
                let fits = |subnet: &&Subnet| subnet.vpc == vpc.id && has_tags(&subnet.tags, tags);
                self.facts.subnets.iter().filter(fits).cloned().collect()
            }
            Subnets::DefaultVpc => {
                let fits = |subnet: &&Subnet| subnet.vpc == vpc.id && subnet.is_default;
                self.facts.subnets.iter().filter(fits).cloned().collect()
            }
        };
        if subnets.is_empty() && !matches!(wanted, Subnets::Ids(_)) {
            self.error(
                key,
                format!("no subnet of `{}` fits", vpc.id),
                None,
                Some("name the subnets by their ids"),
            );
        }
        self.refuse_shared_zones(key, &subnets);
        subnets
    }

    fn subnet(&mut self, key: &str, id: &str, vpc: &Vpc) -> Option<Subnet> {
        let found = self
            .facts
            .subnets
            .iter()
            .find(|subnet| subnet.id == id)
            .cloned();
        let of_vpc: Vec<String> = self
            .facts
            .subnets
            .iter()
            .filter(|one| one.vpc == vpc.id)
            .map(|one| one.id.clone())
            .collect();
        let allowed = Some(of_vpc.join(", "));
        match found {
            Some(subnet) if subnet.vpc == vpc.id => Some(subnet),
            Some(subnet) => {
                let message = format!(
                    "the subnet `{id}` is in `{}`, not in the stack's VPC `{}`",
                    subnet.vpc, vpc.id
                );
                self.error(key, message, allowed, None);
                None
            }
            None => {
                self.error(
                    key,
                    format!("the subnet `{id}` does not exist in {}", self.facts.region),
                    allowed,
                    None,
                );
                None
            }
        }
    }

    fn refuse_shared_zones(&mut self, key: &str, subnets: &[Subnet]) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        let mut shared = None;
        for subnet in subnets {
            if let Some(first) = seen.insert(&subnet.availability_zone, &subnet.id) {
                shared = Some((subnet, first.to_owned()));
            }
        }
        if let Some((subnet, first)) = shared {
            let message = format!(
                "the subnets `{first}` and `{}` are both in {}; AWS takes one in an availability zone",
                subnet.id, subnet.availability_zone
            );
            self.error(
                key,
                message,
                None,
                Some("name one subnet in each of two or more availability zones"),
            );
        }
    }

    /// The hosted zone that a section names.
    pub(super) fn zone(
        &mut self,
        key: &str,
        wanted: &stack::Zone,
        visibility: Visibility,
    ) -> Option<Zone> {
        if self.is_rendered_only() {
            let (stack::Zone::Id(text) | stack::Zone::Name(text)) = wanted;
            let (id, is_private) = ("${zone}".to_owned(), visibility == Visibility::Private);
            return Some(Zone {
                id,
                name: text.clone(),
                is_private,
                vpcs: Vec::new(),
            });
        }
        let vpc = self.vpc().map(|vpc| vpc.id);
        let fits: Vec<Zone> = self
            .facts
            .zones
            .iter()
            .filter(|zone| fits_zone(zone, wanted))
            .cloned()
            .collect();
        let seen = |zone: &&Zone| zone.is_private == (visibility == Visibility::Private);
        let visible: Vec<&Zone> = fits.iter().filter(seen).collect();
        let ours = |zone: &&&Zone| vpc.as_ref().is_some_and(|vpc| zone.vpcs.contains(vpc));
        let one = match visible.as_slice() {
            [one] => Some(*one),
            several => several.iter().find(ours).copied(),
        };
        if one.is_none() {
            self.no_zone(key, wanted, visibility, &fits);
        }
        one.cloned()
    }

    fn no_zone(&mut self, key: &str, wanted: &stack::Zone, visibility: Visibility, fits: &[Zone]) {
        let (stack::Zone::Id(text) | stack::Zone::Name(text)) = wanted;
        let kind = if visibility == Visibility::Public {
            "public"
        } else {
            "private"
        };
        let message = match fits {
            [] => format!("there is no hosted zone `{text}` in the account"),
            [_] => format!(
                "the hosted zone `{text}` is not {kind}, as the scheme of the load balancer demands"
            ),
            _ => format!("no single {kind} hosted zone `{text}` belongs to the stack's VPC"),
        };
        let names: BTreeSet<&str> = self
            .facts
            .zones
            .iter()
            .map(|zone| zone.name.as_str())
            .collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let allowed = Some(names).filter(|names| !names.is_empty());
        self.error(key, message, allowed, None);
    }

    /// The endpoint, with a group that lets 443 in from the load balancer.
    pub(super) fn endpoint(&mut self) {
        let endpoint = match &self.stack.endpoint {
            Some(stack::Endpoint::Own(endpoint)) => endpoint.clone(),
            Some(stack::Endpoint::Existing { id }) => {
                let vpc = self.facts.endpoints.get(id).map(|one| one.vpc.clone());
                self.refuse_elsewhere("endpoint.id", &format!("the endpoint `{id}`"), vpc);
                return;
            }
            None => return,
        };
        let Some(vpc) = self.vpc() else { return };
        let address = endpoint_address();
        let subnets = self.subnets("endpoint.subnets", &endpoint.subnets, &vpc);
        let security_groups = self.endpoint_groups(&endpoint, &address, &vpc);
        let all = self.facts.subnets.iter();
        let zones = all.map(|one| (one.id.clone(), one.availability_zone.clone()));
        let resource = VpcEndpoint {
            service: service_name(&self.facts.region),
            subnets: subnets.into_iter().map(|subnet| subnet.id).collect(),
            addresses: endpoint
                .addresses
                .iter()
                .map(|(subnet, ip)| (subnet.clone(), ip.to_string()))
                .collect(),
            private_dns: endpoint.private_dns,
            policy: match endpoint.policy {
                EndpointPolicy::FullAccess => full_access(),
                EndpointPolicy::Document(document) => document,
            },
            security_groups,
            zones: zones.collect(),
            state: "available".to_owned(),
            tags: self.tags(&address),
            vpc: vpc.id,
        };
        self.wired.resources.vpc_endpoints.insert(address, resource);
    }

    /// Refuses something existing that is not there, or is in another VPC than the stack.
    fn refuse_elsewhere(&mut self, key: &str, what: &str, found: Option<String>) {
        if self.is_rendered_only() {
            return;
        }
        let Some(found) = found else {
            let message = format!("{what} does not exist in {}", self.facts.region);
            self.error(key, message, None, None);
            return;
        };
        if let Some(vpc) = self.vpc().filter(|vpc| vpc.id != found) {
            let message = format!(
                "{what} is in `{found}`, not in the stack's VPC `{}`",
                vpc.id
            );
            self.error(key, message, None, None);
        }
    }

    /// How others refer to the endpoint's id.
    pub(super) fn endpoint_reference(&self) -> Option<Late<String>> {
        Some(match self.stack.endpoint.as_ref()? {
            stack::Endpoint::Own(_) => Late::id(&endpoint_address()),
            stack::Endpoint::Existing { id } => Late::Known(id.clone()),
        })
    }

    /// The endpoint's addresses.
    pub(super) fn endpoint_addresses(&self) -> Option<Late<Vec<String>>> {
        Some(match self.stack.endpoint.as_ref()? {
            stack::Endpoint::Own(_) => Late::From(endpoint_address(), "addresses"),
            stack::Endpoint::Existing { id } => Late::Known(
                self.facts
                    .endpoints
                    .get(id)
                    .map(|one| one.addresses.clone())
                    .unwrap_or_default(),
            ),
        })
    }

    fn endpoint_groups(
        &mut self,
        endpoint: &OwnEndpoint,
        address: &Address,
        vpc: &Vpc,
    ) -> Vec<Late<String>> {
        if let SecurityGroups::Existing(ids) = &endpoint.security_groups {
            return ids.iter().cloned().map(Late::Known).collect();
        }
        let from = self.load_balancer_groups();
        let ingress = from
            .into_iter()
            .map(|group| Rule::tcp(443, Peer::Group(group)))
            .collect();
        let description = format!(
            "{}: HTTPS from the load balancer to the endpoint",
            self.stack.name
        );
        // An endpoint answers and never calls, so nothing has to go out.
        vec![self.security_group(
            &address.part("security_group"),
            vpc,
            description,
            (ingress, vec![]),
        )]
    }

    /// A group of our own; gives its id.
    pub(super) fn security_group(
        &mut self,
        address: &Address,
        vpc: &Vpc,
        description: String,
        (ingress, egress): (Vec<Rule>, Vec<Rule>),
    ) -> Late<String> {
        let part = address
            .as_str()
            .split('.')
            .next()
            .unwrap_or_default()
            .replace('_', "-");
        let group = SecurityGroup {
            name: format!("mtlsgw-{}-{part}", self.stack.name),
            description,
            vpc: vpc.id.clone(),
            ingress,
            egress,
            tags: self.tags(address),
        };
        self.wired
            .resources
            .security_groups
            .insert(address.clone(), group);
        Late::id(address)
    }

    /// The groups that the load balancer's traffic comes from.
    fn load_balancer_groups(&self) -> Vec<Late<String>> {
        match &self.stack.load_balancer {
            Some(stack::LoadBalancer::Own(balancer)) => match &balancer.security_groups {
                SecurityGroups::Own => {
                    vec![Late::id(&load_balancer_address().part("security_group"))]
                }
                SecurityGroups::Existing(ids) => ids.iter().cloned().map(Late::Known).collect(),
            },
            Some(stack::LoadBalancer::Existing { arn }) => {
                let existing = self.facts.load_balancers.get(arn);
                existing
                    .map(|one| {
                        one.security_groups
                            .iter()
                            .cloned()
                            .map(Late::Known)
                            .collect()
                    })
                    .unwrap_or_default()
            }
            None => Vec::new(),
        }
    }

    /// The load balancer, with a group that lets the allowed ranges in.
    pub(super) fn load_balancer(&mut self) {
        let balancer = match &self.stack.load_balancer {
            Some(stack::LoadBalancer::Own(balancer)) => balancer.clone(),
            Some(stack::LoadBalancer::Existing { arn }) => {
                let vpc = self
                    .facts
                    .load_balancers
                    .get(arn)
                    .map(|one| one.vpc.clone());
                self.refuse_elsewhere(
                    "load_balancer.arn",
                    &format!("the load balancer `{arn}`"),
                    vpc,
                );
                return;
            }
            None => return,
        };
        let Some(vpc) = self.vpc() else { return };
        let address = load_balancer_address();
        let subnets = self.load_balancer_subnets(&balancer, &vpc);
        self.refuse_unreached_addresses(&subnets);
        let security_groups = match &balancer.security_groups {
            SecurityGroups::Existing(ids) => ids.iter().cloned().map(Late::Known).collect(),
            SecurityGroups::Own => vec![self.load_balancer_group(&balancer, &address, &vpc)],
        };
        let (attributes, log_buckets) = self.own_logs(&balancer);
        let tags = self.remembering(&address);
        let resource = LoadBalancer {
            name: self.load_balancer_name(&balancer, &vpc),
            kind: Type::Application,
            filters_private_link: true,
            scheme: balancer.scheme.as_str().to_owned(),
            vpc: vpc.id.clone(),
            subnets: subnets.into_iter().map(|subnet| subnet.id).collect(),
            security_groups,
            ip_address_type: balancer.ip_address_type.as_str().to_owned(),
            attributes,
            unmanaged: balancer.unmanaged,
            log_buckets,
            admitted_by: self.endpoint_that_admits(),
            reached_by: if self.stack.records.is_empty() {
                ReachedBy::DnsName
            } else {
                ReachedBy::Record
            },
            tags,
            lingering: Tags::default(),
        };
        self.wired
            .resources
            .load_balancers
            .insert(address, resource);
    }

    /// The stack's own endpoint and its group, which let the load balancer in.
    fn endpoint_that_admits(&self) -> Vec<Address> {
        let own = &self.wired.resources;
        let endpoint = endpoint_address();
        let group = endpoint.part("security_group");
        let has_endpoint = own.vpc_endpoints.contains_key(&endpoint);
        let has_group = own.security_groups.contains_key(&group);
        let endpoint = has_endpoint.then_some(endpoint);
        endpoint
            .into_iter()
            .chain(has_group.then_some(group))
            .collect()
    }

    /// The attributes, with those that have logs go to the stack's own log bucket, and that bucket.
    fn own_logs(
        &mut self,
        balancer: &OwnLoadBalancer,
    ) -> (BTreeMap<String, String>, Vec<Late<String>>) {
        if balancer.own_logs.is_empty() {
            return (balancer.attributes.clone(), Vec::new());
        }
        let address = LogBucket::address();
        let bucket = LogBucket::of(
            &self.facts.identity,
            &self.facts.region,
            &self.stack.name,
            (balancer.log_retention_days, self.tags(&address)),
        );
        let attributes = balancer.own_logs.iter().flat_map(|logs| {
            [
                (format!("{logs}.s3.enabled"), "true".to_owned()),
                (format!("{logs}.s3.bucket"), bucket.name.clone()),
            ]
        });
        let attributes = attributes.chain(balancer.attributes.clone()).collect();
        let reference = Late::id(&address);
        self.wired.resources.log_buckets.insert(address, bucket);
        (attributes, vec![reference])
    }

    /// Named after what cannot be changed; its target groups are named after it in turn.
    pub(super) fn load_balancer_name(&self, balancer: &OwnLoadBalancer, vpc: &Vpc) -> String {
        names::derived(
            &self.stack.name,
            &load_balancer_address(),
            &[balancer.scheme.as_str(), &vpc.id],
        )
    }

    fn load_balancer_subnets(&mut self, balancer: &OwnLoadBalancer, vpc: &Vpc) -> Vec<Subnet> {
        let key = "load_balancer.subnets";
        let subnets = self.subnets(key, &balancer.subnets, vpc);
        let zones: BTreeSet<&str> = subnets
            .iter()
            .map(|subnet| subnet.availability_zone.as_str())
            .collect();
        let known =
            !self.is_rendered_only() && !self.errors.iter().any(|error| error.key.starts_with(key));
        if known && zones.len() < 2 {
            let message = "a load balancer needs subnets in two or more availability zones";
            let named: Vec<&str> = subnets.iter().map(|subnet| subnet.id.as_str()).collect();
            let other: Vec<String> = self
                .facts
                .subnets
                .iter()
                .filter(|one| one.vpc == vpc.id && !named.contains(&one.id.as_str()))
                .map(|one| format!("{} ({})", one.id, one.availability_zone))
                .collect();
            self.error(key, message, Some(other.join(", ")), None);
        }
        if let Some(full) = subnets
            .iter()
            .find(|subnet| known && subnet.free_addresses < 8)
        {
            let message = format!(
                "the subnet `{}` has {} free addresses; AWS wants 8",
                full.id, full.free_addresses
            );
            self.error(key, message, None, None);
        }
        subnets
    }

    /// Refuses targets that AWS never uses: those in a zone that the load balancer is not in.
    fn refuse_unreached_addresses(&mut self, reached: &[Subnet]) {
        let targets = |group: &stack::TargetGroup| group.targets == stack::Targets::Endpoint;
        let wrong = |error: &StackError| error.key.starts_with("load_balancer.subnets");
        if !self.stack.target_groups.values().any(targets) || self.errors.iter().any(wrong) {
            return;
        }
        let resources = &self.wired.resources;
        let Some(endpoint) = resources.vpc_endpoints.get(&endpoint_address()) else {
            return;
        };
        let zones: BTreeSet<&str> = reached
            .iter()
            .map(|subnet| subnet.availability_zone.as_str())
            .collect();
        let unreached = self.facts.subnets.iter().find(|subnet| {
            endpoint.subnets.contains(&subnet.id) && !zones.contains(&*subnet.availability_zone)
        });
        if let Some(unreached) = unreached {
            let message = format!(
                "the subnet `{}` is in {}, where the load balancer is not: its address would never be used",
                unreached.id, unreached.availability_zone
            );
            let hint = "name subnets in the zones of the load balancer, or none to take its own";
            self.error("endpoint.subnets", message, None, Some(hint));
        }
    }

    fn load_balancer_group(
        &mut self,
        balancer: &OwnLoadBalancer,
        address: &Address,
        vpc: &Vpc,
    ) -> Late<String> {
        let redirect = self
            .stack
            .listeners
            .values()
            .any(|listener| listener.redirect_http);
        let ports: BTreeSet<u16> = self
            .stack
            .listeners
            .values()
            .map(|listener| listener.port)
            .chain(redirect.then_some(80))
            .collect();
        let ingress = balancer
            .allow
            .iter()
            .flat_map(|cidr| {
                ports
                    .iter()
                    .map(|port| Rule::tcp(*port, Peer::Cidr(cidr.clone())))
            })
            .collect();
        let description = format!("{}: clients of the load balancer", self.stack.name);
        let egress = vec![Rule::everything("0.0.0.0/0")];
        self.security_group(
            &address.part("security_group"),
            vpc,
            description,
            (ingress, egress),
        )
    }

    /// How others refer to the load balancer.
    pub(super) fn load_balancer_reference(&self) -> Option<Late<String>> {
        Some(match self.stack.load_balancer.as_ref()? {
            stack::LoadBalancer::Own(_) => Late::id(&load_balancer_address()),
            stack::LoadBalancer::Existing { arn } => Late::Known(arn.clone()),
        })
    }

    /// The tags of the resource at `address`, by which it remembers the records before they are made.
    pub(super) fn remembering(&mut self, address: &Address) -> Tags {
        let visibility = self.visibility();
        let target = self.existing_target();
        let mut tags = self.tags(address);
        for (name, record) in self.stack.records.clone() {
            let key = format!("{}.zone", key_of("record", "records", &name));
            let Some(zone) = self.zone(&key, &record.zone, visibility) else {
                continue;
            };
            let memory = Memory {
                zone: zone.id,
                name: record.name,
                address: section("record", "records", &name),
                target: target.clone(),
            };
            let (key, value) = memory.tag();
            tags = tags.with(&key, value);
        }
        tags
    }

    /// The DNS name of somebody else's load balancer that the records lead to.
    fn existing_target(&self) -> Option<String> {
        let Some(stack::LoadBalancer::Existing { arn }) = &self.stack.load_balancer else {
            return None;
        };
        let existing = self.facts.load_balancers.get(arn)?;
        Some(plain_alias(&existing.dns_name))
    }

    /// Whether clients come from the internet.
    pub(super) fn visibility(&self) -> Visibility {
        let scheme = match &self.stack.load_balancer {
            Some(stack::LoadBalancer::Own(balancer)) => balancer.scheme.as_str().to_owned(),
            Some(stack::LoadBalancer::Existing { arn }) => self
                .facts
                .load_balancers
                .get(arn)
                .map(|one| one.scheme.clone())
                .unwrap_or_default(),
            None => String::new(),
        };
        if scheme == "internal" {
            Visibility::Private
        } else {
            Visibility::Public
        }
    }
}

pub(super) fn load_balancer_address() -> Address {
    Address::parse("load_balancer")
}

pub(super) fn endpoint_address() -> Address {
    Address::parse("endpoint")
}

/// The execute-api service; China's regions have names of their own.
fn service_name(region: &str) -> String {
    let prefix = if region.starts_with("cn-") {
        "cn.com"
    } else {
        "com"
    };
    format!("{prefix}.amazonaws.{region}.execute-api")
}

/// What AWS gives an endpoint without a policy.
fn full_access() -> serde_json::Value {
    json!({"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]})
}

fn fits_vpc(vpc: &Vpc, wanted: &stack::Vpc) -> bool {
    match wanted {
        stack::Vpc::Id(id) => vpc.id == *id,
        stack::Vpc::Default => vpc.is_default,
        stack::Vpc::Tags(tags) => has_tags(&vpc.tags, tags),
    }
}

fn fits_zone(zone: &Zone, wanted: &stack::Zone) -> bool {
    match wanted {
        stack::Zone::Id(id) => zone.id == *id,
        stack::Zone::Name(name) => zone.name == *name,
    }
}

fn has_tags(tags: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| tags.get(key) == Some(value))
}

/// A subnet of which only the name is known.
fn stand_in(id: String) -> Subnet {
    Subnet {
        availability_zone: format!("zone of {id}"),
        id,
        vpc: "${vpc}".to_owned(),
        is_default: false,
        free_addresses: i32::MAX,
        tags: BTreeMap::new(),
    }
}
