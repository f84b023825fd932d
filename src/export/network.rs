//! VPC, endpoint, load balancer, security groups and records.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::seen::{Group, Listening, Seen, known};
use crate::resource::listener::Listens;
use crate::resource::rest_api::canonical_policy;
use crate::resource::security_group::{Peer, Rule};
use crate::resource::vpc_endpoint::VpcEndpoint;

/// The keys at the top.
pub(super) fn top(seen: &Seen, draft: &mut Draft) {
    let vpc = seen.load_balancer.spec.vpc.as_str();
    draft.put("vpc", Some(vpc.into()));
}

/// The section `endpoint`; a reference where it belongs to another stack.
pub(super) fn endpoint(seen: &Seen, draft: &mut Draft) {
    let Some((id, endpoint)) = &seen.endpoint else {
        return;
    };
    if let Some(stack) = endpoint.tags.stack() {
        let what = format!("`{id}` belongs to the stack `{stack}`, so it is only referred to");
        draft.leave_out("endpoint", what);
        draft.put("endpoint", Some(json!({ "id": id })));
        return;
    }
    draft.adopt("endpoint", id);
    let mut section = Map::new();
    section.insert("subnets".to_owned(), texts(&endpoint.subnets));
    if endpoint.private_dns {
        section.insert("private_dns".to_owned(), true.into());
    }
    if !is_full_access(endpoint) {
        let policy = format!("{:#}\n", endpoint.policy);
        let file = draft.file("endpoint-policy.json", policy);
        section.insert("policy".to_owned(), file);
    }
    if let Some(group) = own_endpoint_group(seen) {
        draft.adopt("endpoint.security_group", &group.id);
    } else {
        let groups = endpoint.security_groups.iter().filter_map(known);
        section.insert("security_groups".to_owned(), groups.collect());
    }
    draft.put("endpoint", Some(section.into()));
}

fn is_full_access(endpoint: &VpcEndpoint) -> bool {
    let everything = json!({"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]});
    canonical_policy(&endpoint.policy) == canonical_policy(&everything)
}

fn texts<'a>(items: impl IntoIterator<Item = &'a String>) -> Value {
    items.into_iter().cloned().collect::<Vec<_>>().into()
}

/// The only group of the endpoint, where it is as the stack's own one would be.
fn own_endpoint_group(seen: &Seen) -> Option<&Group> {
    let [group] = seen.endpoint_groups.as_slice() else {
        return None;
    };
    let from: Vec<Rule> = seen
        .groups
        .iter()
        .map(|one| {
            Rule::tcp(
                443,
                Peer::Group(crate::resource::Late::Known(one.id.clone())),
            )
        })
        .collect();
    let is_free = group.spec.tags.stack().is_none() && group.named_by.is_empty();
    let is_used_once = !seen.groups.iter().any(|one| one.id == group.id);
    (is_free && is_used_once && same(&group.spec.ingress, &from) && group.spec.egress.is_empty())
        .then_some(group)
}

/// Whether two lists have the same rules in whatever order.
fn same(one: &[Rule], other: &[Rule]) -> bool {
    one.len() == other.len() && one.iter().all(|rule| other.contains(rule))
}

/// The only group of the load balancer and the ranges that it lets in, where it is as the stack's own
/// one would be.
fn own_group(seen: &Seen) -> Option<(&Group, BTreeSet<String>)> {
    let [group] = seen.groups.as_slice() else {
        return None;
    };
    let endpoint = own_endpoint_group(seen).map(|group| group.id.as_str());
    let named_by_own = group
        .named_by
        .iter()
        .all(|id| Some(id.as_str()) == endpoint);
    let ranges: BTreeSet<String> = group
        .spec
        .ingress
        .iter()
        .filter_map(|rule| match &rule.peer {
            Peer::Cidr(range) => Some(range.clone()),
            Peer::Group(_) | Peer::PrefixList(_) => None,
        })
        .collect();
    let ports: BTreeSet<u16> = exported_ports(seen);
    let ingress: Vec<Rule> = ranges
        .iter()
        .flat_map(|range| {
            let ports = ports.iter();
            ports.map(|port| Rule::tcp(*port, Peer::Cidr(range.clone())))
        })
        .collect();
    let fits = !ingress.is_empty()
        && same(&group.spec.ingress, &ingress)
        && same(&group.spec.egress, &[Rule::everything("0.0.0.0/0")]);
    let is_free = group.spec.tags.stack().is_none() && group.spec.name != "default";
    (fits && is_free && named_by_own).then_some((group, ranges))
}

/// The ports of the listeners that the stack file has.
fn exported_ports(seen: &Seen) -> BTreeSet<u16> {
    let https: BTreeSet<u16> = seen
        .listeners
        .iter()
        .filter(|(_, one)| one.target_group().is_some())
        .map(|(port, _)| *port)
        .collect();
    let redirects = seen.listeners.get(&80).is_some_and(|one: &Listening| {
        matches!(&one.spec.listens, Listens::Redirect(redirect) if https.contains(&redirect.port))
    });
    https.into_iter().chain(redirects.then_some(80)).collect()
}

/// The section `load_balancer`.
pub(super) fn load_balancer(seen: &Seen, draft: &mut Draft) {
    let found = &seen.load_balancer;
    let spec = &found.spec;
    draft.adopt("load_balancer", &found.id);
    let mut section = Map::new();
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    put("subnets", texts(&spec.subnets));
    if spec.scheme != "internet-facing" {
        put("scheme", spec.scheme.as_str().into());
    }
    if spec.ip_address_type != "ipv4" {
        put("ip_address_type", spec.ip_address_type.as_str().into());
    }
    if let Some((group, ranges)) = own_group(seen) {
        draft.adopt("load_balancer.security_group", &group.id);
        put("allow", texts(&ranges));
    } else {
        let groups = spec.security_groups.iter().filter_map(known);
        put("security_groups", groups.collect());
    }
    let mut attributes = spec.unusual();
    if attributes.remove("deletion_protection.enabled").as_deref() == Some("true") {
        put("deletion_protection", true.into());
    }
    if !attributes.is_empty() {
        put("attributes", json!(attributes));
    }
    draft.put("load_balancer", Some(section.into()));
}

/// The sections `record` and `records`.
pub(super) fn records(seen: &Seen, draft: &mut Draft) {
    let is_public = seen.load_balancer.spec.scheme != "internal";
    let is_dualstack = seen.load_balancer.spec.ip_address_type != "ipv4";
    let mut sections = Vec::new();
    for (zone, alias) in seen
        .records
        .iter()
        .filter(|(_, one)| one.record_type == "A")
    {
        let shown = format!("the record {} A in `{}`", alias.name, zone.name);
        if alias.is_routed {
            draft.leave_out("record", format!("{shown} has a routing policy"));
            continue;
        }
        if zone.is_private == is_public {
            let kind = if is_public { "private" } else { "public" };
            draft.leave_out(
                "record",
                format!("{shown} is in a {kind} zone, which the scheme does not allow"),
            );
            continue;
        }
        let has_aaaa = seen.records.iter().any(|(other, one)| {
            one.record_type == "AAAA" && one.name == alias.name && other.id == zone.id
        });
        if has_aaaa != is_dualstack {
            let what = if has_aaaa {
                format!(
                    "the record {} AAAA leads to a load balancer without IPv6",
                    alias.name
                )
            } else {
                format!(
                    "there is no record {} AAAA, which the stack would make",
                    alias.name
                )
            };
            draft.differs("record", what);
        }
        let mut section = json!({ "zone": zone.id });
        let is_domain = |name: &str| seen.domains.iter().any(|(domain, _)| domain.name == name);
        if seen.domains.len() != 1 || !is_domain(&alias.name) {
            section["name"] = alias.name.as_str().into();
        }
        if alias.evaluate_target_health {
            section["evaluate_target_health"] = true.into();
        }
        sections.push((super::gateway::section_name(&alias.name), section));
    }
    draft.put_each("record", sections);
}
