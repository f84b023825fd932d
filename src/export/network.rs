//! VPC, endpoint, load balancer, security groups and records.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::seen::{Front, Group, Listening, Seen, known};
use crate::aws::Identity;
use crate::resource::listener::Listens;
use crate::resource::log_bucket::LogBucket;
use crate::resource::rest_api::canonical_policy;
use crate::resource::security_group::{Peer, Rule};
use crate::resource::vpc_endpoint::VpcEndpoint;

/// The keys at the top.
pub(super) fn top(seen: &Seen, draft: &mut Draft) {
    draft.put("vpc", seen.vpc().map(Value::from));
}

/// The section `endpoint`; a reference where it belongs to another stack.
pub(super) fn endpoint(seen: &Seen, draft: &mut Draft) {
    let Some(front) = seen.front.as_ref() else {
        return referred_endpoint(seen, draft);
    };
    let Some((id, endpoint)) = &front.endpoint else {
        return;
    };
    if let Some(stack) = endpoint.tags.stack() {
        let what = format!("`{id}` belongs to the stack `{stack}`, so it is only referred to");
        draft.leave_out("endpoint", what);
        draft.put("endpoint", Some(json!({ "id": id })));
        return;
    }
    draft.adopt("endpoint", id, &endpoint.tags);
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
    if let Some(group) = own_endpoint_group(front) {
        draft.adopt("endpoint.security_group", &group.id, &group.spec.tags);
    } else {
        let groups = endpoint.security_groups.iter().filter_map(known);
        section.insert("security_groups".to_owned(), groups.collect());
    }
    draft.put("endpoint", Some(section.into()));
}

/// The endpoint that private APIs are reached by: the load balancer's, or without one the only one that
/// they are associated with.
pub(super) fn endpoint_of(seen: &Seen) -> Option<&str> {
    if let Some((id, _)) = seen.endpoint() {
        return Some(id);
    }
    let apis = seen.apis.values();
    let mut ids: Vec<&str> = apis
        .flat_map(|api| api.spec.vpc_endpoints.iter().filter_map(known))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// An endpoint that no load balancer of the stack leads to, which others use in ways of their own.
fn referred_endpoint(seen: &Seen, draft: &mut Draft) {
    if let Some(id) = endpoint_of(seen) {
        draft.leave_out(
            "endpoint",
            format!("no load balancer leads to `{id}`, so it is only referred to"),
        );
        draft.put("endpoint", Some(json!({ "id": id })));
    }
}

fn is_full_access(endpoint: &VpcEndpoint) -> bool {
    let everything = json!({"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]});
    canonical_policy(&endpoint.policy) == canonical_policy(&everything)
}

fn texts<'a>(items: impl IntoIterator<Item = &'a String>) -> Value {
    items.into_iter().cloned().collect::<Vec<_>>().into()
}

/// The only group of the endpoint, where it is as the stack's own one would be.
fn own_endpoint_group(front: &Front) -> Option<&Group> {
    let [group] = front.endpoint_groups.as_slice() else {
        return None;
    };
    let from: Vec<Rule> = front
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
    let is_used_once = !front.groups.iter().any(|one| one.id == group.id);
    (is_free && is_used_once && same(&group.spec.ingress, &from) && group.spec.egress.is_empty())
        .then_some(group)
}

/// Whether two lists have the same rules in whatever order.
fn same(one: &[Rule], other: &[Rule]) -> bool {
    one.len() == other.len() && one.iter().all(|rule| other.contains(rule))
}

/// The only group of the load balancer and the ranges that it lets in, where it is as the stack's own
/// one would be.
fn own_group(front: &Front) -> Option<(&Group, BTreeSet<String>)> {
    let [group] = front.groups.as_slice() else {
        return None;
    };
    let endpoint = own_endpoint_group(front).map(|group| group.id.as_str());
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
    let ports: BTreeSet<u16> = exported_ports(front);
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
fn exported_ports(front: &Front) -> BTreeSet<u16> {
    let https: BTreeSet<u16> = front
        .listeners
        .iter()
        .filter(|(_, one)| one.target_group().is_some())
        .map(|(port, _)| *port)
        .collect();
    let redirects = front.listeners.get(&80).is_some_and(|one: &Listening| {
        matches!(&one.spec.listens, Listens::Redirect(redirect) if https.contains(&redirect.port))
    });
    https.into_iter().chain(redirects.then_some(80)).collect()
}

/// The section `load_balancer`.
pub(super) fn load_balancer(
    front: &Front,
    (identity, stack): (&Identity, &str),
    draft: &mut Draft,
) {
    let found = &front.load_balancer;
    let spec = &found.spec;
    draft.adopt("load_balancer", &found.id, &spec.tags);
    let mut section = Map::new();
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    put("subnets", texts(&spec.subnets));
    if spec.scheme != "internet-facing" {
        put("scheme", spec.scheme.as_str().into());
    }
    if spec.ip_address_type != "ipv4" {
        put("ip_address_type", spec.ip_address_type.as_str().into());
    }
    if let Some((group, ranges)) = own_group(front) {
        draft.adopt("load_balancer.security_group", &group.id, &group.spec.tags);
        put("allow", texts(&ranges));
    } else {
        let groups = spec.security_groups.iter().filter_map(known);
        put("security_groups", groups.collect());
    }
    let mut attributes = spec.unusual();
    if attributes.remove("deletion_protection.enabled").as_deref() == Some("true") {
        put("deletion_protection", true.into());
    }
    logs(
        front,
        (identity, stack),
        &mut attributes,
        draft,
        &mut section,
    );
    if !attributes.is_empty() {
        section.insert("attributes".to_owned(), json!(attributes));
    }
    draft.put("load_balancer", Some(section.into()));
}

/// Where logs go, in words of their own: to the bucket that the stack would have, or to another one.
fn logs(
    front: &Front,
    (identity, stack): (&Identity, &str),
    attributes: &mut BTreeMap<String, String>,
    draft: &mut Draft,
    section: &mut Map<String, Value>,
) {
    let own = front.log_bucket.as_ref();
    let mut is_own_used = false;
    for kind in ["connection_logs", "access_logs"] {
        let mut take = |part: &str| attributes.remove(&format!("{kind}.s3.{part}"));
        if take("enabled").as_deref() != Some("true") {
            continue;
        }
        let (bucket, prefix) = (take("bucket").unwrap_or_default(), take("prefix"));
        let is_own = prefix.is_none() && own.is_some_and(|own| own.name == bucket);
        is_own_used |= is_own;
        let destination = match prefix {
            _ if is_own => true.into(),
            Some(prefix) => json!({ "bucket": bucket, "prefix": prefix }),
            None => json!({ "bucket": bucket }),
        };
        section.insert(kind.to_owned(), destination);
    }
    let Some(own) = own.filter(|_| is_own_used) else {
        return;
    };
    let address = LogBucket::address();
    draft.adopt(address.as_str(), &own.name, &own.tags);
    match own.retention(identity, draft.region(), stack) {
        Some(90) => {}
        Some(days) => drop(section.insert("log_retention_days".to_owned(), days.into())),
        None => draft.differs(
            address.as_str(),
            format!(
                "the policy, lifecycle, encryption or public access of the bucket `{}`",
                own.name
            ),
        ),
    }
}

/// The sections `record` and `records`.
pub(super) fn records(seen: &Seen, draft: &mut Draft) {
    let front = seen.front.as_ref().map(|front| &front.load_balancer.spec);
    let is_public = front.is_none_or(|front| front.scheme != "internal");
    let is_dualstack = front.is_some_and(|front| front.ip_address_type != "ipv4");
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
        // A regional name of API Gateway's answers with both, and is asked for either.
        if front.is_some() && has_aaaa != is_dualstack {
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
        let is_domain = |name: &str| seen.domains.iter().any(|domain| domain.spec.name == name);
        if seen.domains.len() != 1 || !is_domain(&alias.name) {
            section["name"] = alias.name.as_str().into();
        }
        if alias.evaluate_target_health {
            section["evaluate_target_health"] = true.into();
        }
        sections.push((super::names::section_name(&alias.name), section));
    }
    draft.put_each("record", sections);
}
