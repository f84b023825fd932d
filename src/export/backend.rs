//! The network load balancer with what is behind it, the VPC link to it and its name in the VPC.

use serde_json::{Map, Value, json};

use super::definition::linked_port;
use super::draft::Draft;
use super::seen::{Backend, Listening, Seen, Targeted, known};
use super::target_groups::{CheckDefaults, attributes, health_check, targets};
use crate::resource::listener::Network;

/// The address of the section.
const HERE: &str = "network_load_balancer";

/// The address of its target group.
const GROUP: &str = "network_load_balancer.target_group";

/// The TLS policy that the stack file takes by default.
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

/// The port of the listener that a stack file can have: the one that APIs lead to, else 443, else the
/// lowest.
pub(super) fn port(seen: &Seen, backend: &Backend) -> Option<u16> {
    let fitting = |port: &u16| {
        let listening = backend.listeners.get(port);
        listening.is_some_and(|one| group_of(backend, one).is_some())
    };
    let link = seen.link();
    let mut apis = seen.apis.values();
    let asked = apis.find_map(|api| linked_port(&api.exported, link?));
    let ports = asked.into_iter().chain([443]);
    ports.chain(backend.listeners.keys().copied()).find(fitting)
}

/// The only group that a listener of a network load balancer forwards to.
fn group_of<'a>(backend: &'a Backend, listening: &'a Listening) -> Option<(&'a str, &'a Targeted)> {
    listening.network()?;
    let arn = listening.target_group()?;
    Some((arn, backend.target_groups.get(arn)?))
}

/// The section `network_load_balancer`.
pub(super) fn network_load_balancer((seen, backend): (&Seen, &Backend), draft: &mut Draft) {
    let found = &backend.load_balancer;
    let chosen = port(seen, backend).and_then(|port| backend.listeners.get(&port));
    let parts = chosen.and_then(|one| Some((one, one.network()?, group_of(backend, one)?)));
    let Some((listening, network, (arn, group))) = parts else {
        draft.leave_out(
            HERE,
            format!(
                "{}: no listener forwards to one target group alone",
                found.id
            ),
        );
        return;
    };
    let mut section = balancer(backend, draft);
    let protocol = network_protocol(network);
    section.insert("listener".to_owned(), listener(seen, listening, network));
    for what in &listening.unsaid {
        draft.leave_out("network_load_balancer.listener", what.as_str());
    }
    draft.tell_owner(
        "network_load_balancer.listener",
        &listening.id,
        &listening.spec.tags,
    );
    section.extend(target_group(group, (protocol, listening.spec.port), draft));
    draft.adopt(GROUP, arn, &group.spec.tags);
    section.extend(private_name(backend, draft));
    if let Some(name) = link(backend, draft) {
        section.insert("vpc_link_name".to_owned(), name.into());
    }
    for (port, other) in &backend.listeners {
        if other.id != listening.id {
            let what = other.spec.listens.in_words();
            draft.leave_out(HERE, format!("the listener on port {port} ({what})"));
        }
    }
    draft.put(HERE, Some(section.into()));
}

/// The load balancer itself.
fn balancer(backend: &Backend, draft: &mut Draft) -> Map<String, Value> {
    let found = &backend.load_balancer;
    let spec = &found.spec;
    draft.adopt(HERE, &found.id, &spec.tags);
    let mut section = Map::new();
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    put("subnets", json!(spec.subnets));
    if spec.scheme != "internal" {
        put("scheme", spec.scheme.as_str().into());
    }
    let groups: Vec<&str> = spec.security_groups.iter().filter_map(known).collect();
    if !groups.is_empty() {
        put("security_groups", json!(groups));
        if spec.filters_private_link {
            draft.differs(
                HERE,
                "its groups filter what comes through the VPC link, which the stack would switch off",
            );
        }
    }
    if spec.ip_address_type != "ipv4" {
        draft.differs(
            HERE,
            format!("its kind of addresses is `{}`", spec.ip_address_type),
        );
    }
    let mut attributes = spec.unusual();
    for (attribute, key) in [
        ("load_balancing.cross_zone.enabled", "cross_zone"),
        ("deletion_protection.enabled", "deletion_protection"),
    ] {
        if attributes.remove(attribute).as_deref() == Some("true") {
            put(key, true.into());
        }
    }
    for (key, value) in attributes {
        draft.differs(
            HERE,
            format!("the attribute {key} = {value}, for which AWS's default would be set"),
        );
    }
    section
}

/// The stack file's word for what a listener speaks.
fn network_protocol(network: &Network) -> &'static str {
    if network.ends_tls.is_some() {
        "tls"
    } else {
        "tcp"
    }
}

fn listener(seen: &Seen, listening: &Listening, network: &Network) -> Value {
    let mut section = json!({
        "port": listening.spec.port,
        "protocol": network_protocol(network),
    });
    if let Some(tls) = &network.ends_tls {
        let certificate = known(&tls.certificate);
        if certificate != seen.certificate() {
            section["certificate"] = json!({ "arn": certificate });
        }
        if tls.ssl_policy != DEFAULT_POLICY {
            section["ssl_policy"] = tls.ssl_policy.as_str().into();
        }
    }
    section
}

fn target_group(
    group: &Targeted,
    (protocol, port): (&str, u16),
    draft: &mut Draft,
) -> Map<String, Value> {
    let spec = &group.spec;
    let mut section = Map::new();
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    put("targets", targets(group, GROUP, draft));
    if !spec.protocol.eq_ignore_ascii_case(protocol) {
        put("target_protocol", spec.protocol.to_ascii_lowercase().into());
    }
    if spec.port != port {
        put("target_port", spec.port.into());
    }
    let defaults = CheckDefaults {
        protocol: "TCP",
        matcher: "200-399",
        timeout_seconds: 10,
    };
    let check = health_check(group, &defaults);
    if !check.is_empty() {
        put("health_check", check.into());
    }
    if let Some(delay) = attributes(group, GROUP, draft) {
        put("deregistration_delay_seconds", delay.into());
    }
    if spec.ip_address_type != "ipv4" {
        draft.differs(
            GROUP,
            format!(
                "its targets' kind of addresses is `{}`",
                spec.ip_address_type
            ),
        );
    }
    section
}

/// The name by which the VPC finds it: in a zone that has nothing else in it, or in one that is shared.
fn private_name(backend: &Backend, draft: &mut Draft) -> Map<String, Value> {
    let mut section = Map::new();
    for (zone, alias, looked) in &backend.aliases {
        let shown = format!(
            "the record {} {} in `{}`",
            alias.name, alias.record_type, zone.name
        );
        if alias.record_type != "A" || alias.is_routed || !section.is_empty() {
            draft.leave_out(HERE, shown);
            continue;
        }
        let vpc = &backend.load_balancer.spec.vpc;
        let is_alone = looked.others.is_empty() && looked.vpcs.as_slice() == [vpc.clone()];
        let written = if is_alone && looked.stack.is_none() {
            let tags = crate::aws::tags::Tags::default();
            draft.adopt("network_load_balancer.zone", &zone.id, &tags);
            zone.name.as_str()
        } else {
            zone.id.as_str()
        };
        section.insert("private_zone".to_owned(), written.into());
        section.insert("name".to_owned(), alias.name.as_str().into());
        if alias.evaluate_target_health {
            section.insert("evaluate_target_health".to_owned(), true.into());
        }
    }
    section
}

/// The VPC link, where an exported definition leads through it; its name, where that is not the stack's.
fn link<'a>(backend: &'a Backend, draft: &mut Draft) -> Option<&'a str> {
    let (id, link) = backend.link.as_ref()?;
    if !draft.is_linked() {
        draft.leave_out(
            "vpc_link",
            format!("`{}` ({id}): no definition names it by its id", link.name),
        );
        return None;
    }
    draft.adopt("vpc_link", id, &link.tags);
    (link.name != draft.name()).then_some(link.name.as_str())
}
