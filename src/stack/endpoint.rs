//! Section `endpoint`: the execute-api interface endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::common::{RawTags, SecurityGroups, Subnets, SubnetsForm, Vpc, is_id, refuse_beside};
use super::context::Context;
use super::fault::Fault;
use super::load_balancer::LoadBalancer;
use super::path::KeyPath;
use super::policy::{PolicyForm, RawPolicy, policy_document};
use super::shape::Shape;

/// The execute-api interface endpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    /// One of our own.
    Own(OwnEndpoint),
    /// An existing one, used and never changed.
    Existing {
        /// Its id, `vpce-…`.
        id: String,
    },
}

/// An endpoint that the stack builds.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnEndpoint {
    /// Where its network interfaces are; the load balancer's subnets unless written otherwise.
    pub subnets: Subnets,
    /// Fixed addresses by subnet id; empty: AWS chooses.
    pub addresses: BTreeMap<String, Ipv4Addr>,
    /// Whether `*.execute-api.<region>.amazonaws.com` resolves to it in the whole VPC.
    pub private_dns: bool,
    /// Who may call what through it.
    pub policy: EndpointPolicy,
    /// Its security groups; our own lets 443 in from the load balancer.
    pub security_groups: SecurityGroups,
}

/// The policy of the endpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum EndpointPolicy {
    /// AWS's default: everybody may call everything.
    FullAccess,
    /// This policy document.
    Document(serde_json::Value),
}

/// The execute-api interface endpoint that private APIs are reached through.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    /// Subnets of its network interfaces, one per availability zone (default: the load balancer's).
    #[schemars(with = "Option<SubnetsForm>")]
    subnets: Option<Shape<RawTags>>,
    /// Fixed IPv4 addresses by subnet id, so that the first plan knows them (default: AWS chooses).
    addresses: Option<BTreeMap<String, String>>,
    /// Whether `*.execute-api.<region>.amazonaws.com` resolves to the endpoint in the whole VPC (default: `false`).
    private_dns: Option<bool>,
    /// Policy of the endpoint: a file, or the document itself (default: full access).
    #[schemars(with = "Option<PolicyForm>")]
    policy: Option<RawPolicy>,
    /// Existing security groups (default: its own one, which lets 443 in from the load balancer).
    security_groups: Option<Vec<String>>,
    /// Id of an existing endpoint, in place of the other keys.
    #[schemars(example = &"vpce-0abc")]
    id: Option<String>,
}

impl RawEndpoint {
    /// Fills in defaults and checks the section.
    pub(super) fn build(
        self,
        path: &KeyPath,
        vpc: Option<&Vpc>,
        load_balancer: Option<&LoadBalancer>,
        cx: &Context,
    ) -> Endpoint {
        if let Some(id) = &self.id {
            refuse_beside("id", &self.keys_beside_id(), path, cx);
            if !is_id(id, "vpce-") {
                cx.fault(Fault::new(
                    &path.key("id"),
                    format!("`{id}` is no id `vpce-…`"),
                ));
            }
            return Endpoint::Existing { id: id.clone() };
        }
        let subnets = match self.subnets {
            Some(shape) => Subnets::from_shape(shape, &path.key("subnets"), cx),
            None => inherited_subnets(path, vpc, load_balancer, cx),
        };
        let addresses = self.addresses.unwrap_or_default();
        let addresses = read_addresses(&addresses, &subnets, &path.key("addresses"), cx);
        let policy = self
            .policy
            .and_then(|policy| policy_document(policy, &path.key("policy"), cx));
        Endpoint::Own(OwnEndpoint {
            subnets,
            addresses,
            private_dns: self.private_dns.unwrap_or(false),
            policy: policy.map_or(EndpointPolicy::FullAccess, EndpointPolicy::Document),
            security_groups: SecurityGroups::from_list(
                self.security_groups,
                &path.key("security_groups"),
                cx,
            ),
        })
    }

    fn keys_beside_id(&self) -> Vec<&'static str> {
        let keys = [
            self.subnets.as_ref().map(|_| "subnets"),
            self.addresses.as_ref().map(|_| "addresses"),
            self.private_dns.map(|_| "private_dns"),
            self.policy.as_ref().map(|_| "policy"),
            self.security_groups.as_ref().map(|_| "security_groups"),
        ];
        keys.into_iter().flatten().collect()
    }
}

fn inherited_subnets(
    path: &KeyPath,
    vpc: Option<&Vpc>,
    load_balancer: Option<&LoadBalancer>,
    cx: &Context,
) -> Subnets {
    if let Some(LoadBalancer::Own(load_balancer)) = load_balancer {
        return load_balancer.subnets.clone();
    }
    if vpc == Some(&Vpc::Default) {
        return Subnets::DefaultVpc;
    }
    let fault = Fault::new(path, format!("`{path}` lacks its required key `subnets`"));
    cx.fault(fault.hint("without a load balancer of the stack's own there are none to take over"));
    Subnets::NONE
}

/// Reads pinned addresses: all subnets or none, because AWS takes them together.
fn read_addresses(
    addresses: &BTreeMap<String, String>,
    subnets: &Subnets,
    path: &KeyPath,
    cx: &Context,
) -> BTreeMap<String, Ipv4Addr> {
    if addresses.is_empty() || *subnets == Subnets::NONE {
        return BTreeMap::new();
    }
    let Subnets::Ids(ids) = subnets else {
        cx.fault(Fault::new(
            path,
            "addresses can be fixed only where the subnets are listed by id",
        ));
        return BTreeMap::new();
    };
    for subnet in addresses.keys().filter(|subnet| !ids.contains(subnet)) {
        let message = format!("`{subnet}` is none of the endpoint's subnets");
        cx.fault(Fault::new(&path.key(subnet), message).allowed(ids.join(", ")));
    }
    for subnet in ids.iter().filter(|subnet| !addresses.contains_key(*subnet)) {
        let fault = Fault::new(path, format!("`{path}` has no address for `{subnet}`"));
        cx.fault(fault.hint("fix the address in every subnet, or in none"));
    }
    let mut seen = BTreeSet::new();
    let read = |(subnet, text): (&String, &String)| match text.parse::<Ipv4Addr>() {
        Ok(address) if seen.insert(address) => Some((subnet.clone(), address)),
        Ok(address) => {
            cx.fault(Fault::new(
                &path.key(subnet),
                format!("`{address}` is given twice"),
            ));
            None
        }
        Err(_) => {
            cx.fault(Fault::new(
                &path.key(subnet),
                format!("`{text}` is no IPv4 address"),
            ));
            None
        }
    };
    addresses.iter().filter_map(read).collect()
}
