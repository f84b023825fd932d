//! The sections of target groups, and what they have in common with that of a network load balancer.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::names::{Names, address};
use super::seen::{Front, Targeted};

/// The sections `target_group` and `target_groups`.
pub(super) fn target_groups(front: &Front, names: &Names, draft: &mut Draft) {
    let mut sections = Vec::new();
    for (arn, group) in &front.target_groups {
        let name = names.target_groups.get(arn).cloned().unwrap_or_default();
        let at = address("target_group", &name);
        draft.adopt(&at, arn, &group.spec.tags);
        sections.push((name, target_group(front, group, &at, draft)));
    }
    draft.put_each("target_group", sections);
}

fn target_group(front: &Front, group: &Targeted, at: &str, draft: &mut Draft) -> Value {
    let spec = &group.spec;
    let is_endpoint = front.is_endpoint(group);
    let mut section = Map::new();
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    if is_endpoint {
        put("targets", "endpoint".into());
    } else {
        put("targets", targets(group, at, draft));
    }
    let default_port = if spec.protocol == "HTTPS" { 443 } else { 80 };
    if spec.protocol != "HTTPS" {
        put("protocol", spec.protocol.to_ascii_lowercase().into());
    }
    if spec.port != default_port {
        put("port", spec.port.into());
    }
    let defaults = CheckDefaults {
        protocol: &spec.protocol,
        matcher: if is_endpoint { "403" } else { "200" },
        timeout_seconds: 5,
    };
    let check = health_check(group, &defaults);
    if !check.is_empty() {
        put("health_check", check.into());
    }
    if let Some(delay) = attributes(group, at, draft) {
        put("deregistration_delay_seconds", delay.into());
    }
    section.into()
}

/// The targets on the group's port; the others are told.
pub(super) fn targets(group: &Targeted, at: &str, draft: &mut Draft) -> Value {
    let (here, elsewhere): (Vec<&String>, Vec<_>) = group
        .targets
        .iter()
        .partition(|target| !target.contains(' '));
    for target in elsewhere {
        draft.differs(at, format!("the target {target}, which is not the group's"));
    }
    if group.targets.is_empty() {
        draft.differs(at, "nothing is registered with it; list its targets");
    }
    json!(here)
}

/// The deregistration delay, where it is not AWS's default; the other attributes that are not are told.
pub(super) fn attributes(group: &Targeted, at: &str, draft: &mut Draft) -> Option<u16> {
    let mut attributes = group.spec.unusual();
    let delay = attributes.remove("deregistration_delay.timeout_seconds");
    for (key, value) in attributes {
        draft.differs(
            at,
            format!("the attribute {key} = {value}, for which AWS's default would be set"),
        );
    }
    delay.and_then(|delay| delay.parse::<u16>().ok())
}

/// What the stack file takes for a health check that it says nothing of.
#[derive(Debug)]
pub(super) struct CheckDefaults<'a> {
    /// AWS's word for the protocol.
    pub(super) protocol: &'a str,
    /// The status codes.
    pub(super) matcher: &'a str,
    /// The seconds until a check has failed.
    pub(super) timeout_seconds: u16,
}

/// The keys of the health check that differ from the stack file's defaults.
pub(super) fn health_check(group: &Targeted, defaults: &CheckDefaults<'_>) -> Map<String, Value> {
    let check = &group.spec.health_check;
    let numbers = [
        ("interval_seconds", check.interval_seconds, 30),
        (
            "timeout_seconds",
            check.timeout_seconds,
            defaults.timeout_seconds,
        ),
        ("healthy_threshold", check.healthy_threshold, 5),
        ("unhealthy_threshold", check.unhealthy_threshold, 2),
    ];
    let protocol = defaults.protocol.to_ascii_lowercase();
    let asked = [
        ("path", check.path.clone(), "/"),
        ("matcher", check.matcher.clone(), defaults.matcher),
    ];
    let texts = [
        (
            "protocol",
            check.protocol.to_ascii_lowercase(),
            protocol.as_str(),
        ),
        ("port", check.port.clone(), "traffic-port"),
    ];
    let mut section = Map::new();
    // A check that only connects asks for nothing.
    let asked = asked.into_iter().filter(|_| check.protocol != "TCP");
    for (key, value, default) in asked.chain(texts) {
        if value != default {
            section.insert(key.to_owned(), value.into());
        }
    }
    // A default that depends on another key is written where that key is.
    let is_plain = numbers.iter().all(|(_, value, default)| value == default);
    for (key, value, default) in numbers {
        if value != default || (key == "timeout_seconds" && !is_plain) {
            section.insert(key.to_owned(), value.into());
        }
    }
    section
}
