//! Target groups and their health checks' settings.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::action::Action;
use super::arn::Kind;
use super::attribute::{Allowed, Attribute, Attributes, Tables, attribute};
use super::health::HealthCheck;
use super::target::Target;
use super::{PROPAGATION, State, arn, invalid, network, page, state, tag};
use crate::sandbox::world::{Call, Refusal, World};

/// A target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct TargetGroup {
    /// Its ARN.
    pub(in crate::sandbox) arn: String,
    /// The name, unique in the region.
    pub(in crate::sandbox) name: String,
    /// `HTTP` or `HTTPS`, or of a Network Load Balancer `TCP` or `TLS`: how it speaks with the
    /// targets.
    pub(in crate::sandbox) protocol: String,
    /// `HTTP1` or `HTTP2`; empty for a Network Load Balancer.
    pub(in crate::sandbox) protocol_version: String,
    /// The port of targets that are registered without one.
    pub(in crate::sandbox) port: i64,
    /// The VPC of the targets.
    pub(in crate::sandbox) vpc: String,
    /// `ip` or `instance`.
    pub(in crate::sandbox) target_type: String,
    /// `ipv4` or `ipv6`.
    pub(in crate::sandbox) ip_address_type: String,
    /// How targets are checked.
    pub(in crate::sandbox) health_check: HealthCheck,
    /// The attributes that were set.
    pub(in crate::sandbox) attributes: Attributes,
    /// The registered targets, by id and port.
    pub(in crate::sandbox) targets: BTreeMap<String, Target>,
    /// Since when a listener or a rule forwards to it; targets are checked only while one does.
    pub(super) used_since: Option<i64>,
    /// Until when it counts as used after the last listener or rule let go of it.
    busy_until: i64,
}

const ATTRIBUTES: &[Attribute] = &[
    attribute(
        "deregistration_delay.timeout_seconds",
        "300",
        Allowed::Range(0, 3600),
    ),
    attribute(
        "load_balancing.algorithm.anomaly_mitigation",
        "off",
        Allowed::OneOf(&["on", "off"]),
    ),
    attribute(
        "load_balancing.algorithm.type",
        "round_robin",
        Allowed::OneOf(&[
            "round_robin",
            "least_outstanding_requests",
            "weighted_random",
        ]),
    ),
    attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Allowed::OneOf(&["true", "false", "use_load_balancer_configuration"]),
    ),
    attribute(
        "slow_start.duration_seconds",
        "0",
        Allowed::RangeOr(30, 900, "0"),
    ),
    attribute("stickiness.app_cookie.cookie_name", "", Allowed::Text(256)),
    attribute(
        "stickiness.app_cookie.duration_seconds",
        "86400",
        Allowed::Range(1, 604_800),
    ),
    attribute("stickiness.enabled", "false", Allowed::Flag),
    attribute(
        "stickiness.lb_cookie.duration_seconds",
        "86400",
        Allowed::Range(1, 604_800),
    ),
    attribute(
        "stickiness.type",
        "lb_cookie",
        Allowed::OneOf(&["lb_cookie", "app_cookie"]),
    ),
    attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
        Allowed::RangeOr(1, 1000, "off"),
    ),
    attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
        Allowed::RangeOr(1, 100, "off"),
    ),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
        Allowed::Range(1, 1000),
    ),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Allowed::RangeOr(1, 100, "off"),
    ),
];

impl TargetGroup {
    /// The value of an attribute, set or default.
    pub(in crate::sandbox) fn attribute(&self, key: &str) -> &str {
        super::attribute::value(self.tables(), &self.attributes, key)
    }

    /// Whether it is for Network Load Balancers.
    pub(in crate::sandbox) fn is_network(&self) -> bool {
        network::is_protocol(&self.protocol)
    }

    fn tables(&self) -> &'static Tables {
        match (self.is_network(), self.target_type.as_str()) {
            (false, _) => &[ATTRIBUTES],
            (true, "ip") => &[network::GROUP_ATTRIBUTES, network::OF_ADDRESSES],
            (true, _) => &[network::GROUP_ATTRIBUTES, network::OF_INSTANCES],
        }
    }

    /// Whether it was made with the settings of `other`, so that creating it again changes nothing.
    fn is_like(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.protocol_version == other.protocol_version
            && self.port == other.port
            && self.vpc == other.vpc
            && self.target_type == other.target_type
            && self.ip_address_type == other.ip_address_type
            && self.health_check == other.health_check
    }

    fn describe(&self, state: &State) -> Value {
        let mut structure = json!({
            "TargetGroupArn": self.arn,
            "TargetGroupName": self.name,
            "Protocol": self.protocol,
            "Port": self.port,
            "VpcId": self.vpc,
            "LoadBalancerArns": state.users_of_target_group(&self.arn),
            "TargetType": self.target_type,
            "ProtocolVersion": (!self.is_network()).then_some(&self.protocol_version),
            "IpAddressType": self.ip_address_type,
        });
        self.health_check.describe_into(&mut structure);
        structure
    }
}

impl State {
    /// What is done with requests, by all listeners and rules: the load balancer and the action.
    fn actions(&self) -> impl Iterator<Item = (&str, &Action)> {
        let defaults = self.listeners.values();
        let defaults =
            defaults.map(|listener| (listener.load_balancer.as_str(), &listener.default_action));
        let rules = self.rules.values().filter_map(|rule| {
            let listener = self.listeners.get(&rule.listener)?;
            Some((listener.load_balancer.as_str(), &rule.action))
        });
        defaults.chain(rules)
    }

    /// The load balancers whose listeners or rules forward to the group.
    pub(in crate::sandbox) fn users_of_target_group(&self, target_group: &str) -> BTreeSet<String> {
        self.actions()
            .filter(|(_, action)| action.target_groups().any(|arn| arn == target_group))
            .map(|(load_balancer, _)| load_balancer.to_owned())
            .collect()
    }

    /// The target groups that the load balancer's listeners and rules forward to.
    pub(super) fn target_groups_of(&self, load_balancer: &str) -> BTreeSet<String> {
        self.actions()
            .filter(|(of, _)| *of == load_balancer)
            .flat_map(|(_, action)| action.target_groups())
            .map(str::to_owned)
            .collect()
    }

    /// The target group that the call names.
    pub(super) fn named_target_group(
        &mut self,
        call: &Call<'_>,
    ) -> Result<&mut TargetGroup, Refusal> {
        let arn = call.required("TargetGroupArn");
        self.target_groups
            .get_mut(arn)
            .ok_or_else(|| Kind::TargetGroup.missing(arn))
    }
}

/// Notes which groups are in use now; called after every change of what listeners and rules do.
pub(super) fn note_use(world: &mut World, call: &Call<'_>) {
    let (now, busy_until) = (world.now, world.due(PROPAGATION));
    let state = state(world, call);
    let used: BTreeSet<String> = state
        .actions()
        .flat_map(|(_, action)| action.target_groups())
        .map(str::to_owned)
        .collect();
    for (arn, group) in state.target_groups.iter_mut() {
        match (used.contains(arn), group.used_since) {
            (true, None) => group.used_since = Some(now),
            (false, Some(_)) => {
                group.used_since = None;
                group.busy_until = busy_until;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

/// `CreateTargetGroup`.
pub(super) fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = tag::given(call)?;
    let wanted = wanted(world, call)?;
    let most = world.quota("L-B22855CB", 3000);
    let state = state(world, call);
    let same_name = state
        .target_groups
        .values()
        .find(|known| known.name == wanted.name);
    if let Some(existing) = same_name {
        if existing.is_like(&wanted) {
            return Ok(json!({"TargetGroups": [existing.describe(state)]}));
        }
        return Err(Refusal::new(
            "DuplicateTargetGroupName",
            format!(
                "A target group with the same name '{}' exists, but with different settings",
                wanted.name
            ),
        ));
    }
    if state.target_groups.len() as u64 >= most {
        return Err(Refusal::new(
            "TooManyTargetGroups",
            "The maximum number of target groups has been reached",
        ));
    }
    let output = json!({"TargetGroups": [wanted.describe(state)]});
    state.tags.insert(wanted.arn.clone(), tags);
    state.target_groups.insert(wanted.arn.clone(), wanted);
    Ok(output)
}

/// The target group that the call describes, not yet in existence.
fn wanted(world: &mut World, call: &Call<'_>) -> Result<TargetGroup, Refusal> {
    let name = call.required("Name");
    check_name(name)?;
    let unmodelled = |what: String| Err(Refusal::not_modelled(call.operation, &what));
    let target_type = call.text("TargetType").unwrap_or("instance");
    if !["instance", "ip"].contains(&target_type) {
        return unmodelled(format!("TargetType={target_type}"));
    }
    let Some(protocol) = call.text("Protocol") else {
        return Err(invalid("A protocol must be specified"));
    };
    let is_network = network::is_protocol(protocol);
    if !is_network && !["HTTP", "HTTPS"].contains(&protocol) {
        return unmodelled(format!("Protocol={protocol}"));
    }
    let protocol_version = match call.text("ProtocolVersion") {
        Some(_) if is_network => {
            let message = "A protocol version can only be specified for HTTP and HTTPS";
            return Err(invalid(message));
        }
        Some(version) if !["HTTP1", "HTTP2"].contains(&version) => {
            return unmodelled(format!("ProtocolVersion={version}"));
        }
        Some(version) => version,
        None if is_network => "",
        None => "HTTP1",
    };
    let port = call
        .integer("Port")
        .ok_or_else(|| invalid("A port must be specified"))?;
    let vpc = call
        .text("VpcId")
        .ok_or_else(|| invalid("A VPC ID must be specified"))?;
    if world.region(call.region).ec2.vpc(vpc).is_none() {
        return Err(invalid(format!("The VPC ID '{vpc}' is not found")));
    }
    let id = world.unique_hex(16);
    Ok(TargetGroup {
        arn: arn::make(world, call, &format!("targetgroup/{name}/{id}")),
        name: name.to_owned(),
        protocol: protocol.to_owned(),
        protocol_version: protocol_version.to_owned(),
        port,
        vpc: vpc.to_owned(),
        target_type: target_type.to_owned(),
        ip_address_type: call.text("IpAddressType").unwrap_or("ipv4").to_owned(),
        health_check: HealthCheck::created(call, is_network)?,
        attributes: Attributes::new(),
        targets: BTreeMap::new(),
        used_since: None,
        busy_until: world.now,
    })
}

/// The rules for names, which the model does not state.
fn check_name(name: &str) -> Result<(), Refusal> {
    let complaint = if name.is_empty() {
        "cannot be empty"
    } else if name.len() > 32 {
        "cannot be longer than '32' characters"
    } else if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        "can only contain characters that are alphanumeric characters or hyphens(-)"
    } else if name.starts_with('-') || name.ends_with('-') {
        "cannot begin or end with '-'"
    } else {
        return Ok(());
    };
    Err(invalid(format!("Target group name '{name}' {complaint}")))
}

/// `DescribeTargetGroups`.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    page::one_selection(call, &["LoadBalancerArn", "TargetGroupArns", "Names"])?;
    let (arns, names) = (page::arns(call, "TargetGroupArns")?, call.texts("Names"));
    let load_balancer = call.text("LoadBalancerArn");
    let state = state(world, call);
    let known = &state.target_groups;
    if let Some(missing) = load_balancer.filter(|arn| !state.load_balancers.contains_key(*arn)) {
        return Err(Kind::LoadBalancer.missing(missing));
    }
    if let Some(missing) = arns.iter().find(|arn| !known.contains_key(**arn)) {
        return Err(Kind::TargetGroup.missing(missing));
    }
    let has_name = |name: &&str| known.values().any(|known| known.name == **name);
    if let Some(missing) = names.iter().find(|name| !has_name(name)) {
        return Err(Kind::TargetGroup.missing_name(missing));
    }
    let of_load_balancer = load_balancer.map(|arn| state.target_groups_of(arn));
    let wanted = |group: &TargetGroup| match &of_load_balancer {
        Some(groups) => groups.contains(&group.arn),
        None if arns.is_empty() && names.is_empty() => true,
        None => arns.contains(&group.arn.as_str()) || names.contains(&group.name.as_str()),
    };
    let found = known
        .values()
        .filter(|group| wanted(group))
        .map(|group| (group.arn.clone(), group.describe(state)))
        .collect();
    page::answer(call, "TargetGroups", found)
}

/// `ModifyTargetGroup`: the health check, all else is fixed.
pub(super) fn modify(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let group = state(world, call).named_target_group(call)?;
    group.health_check = group.health_check.changed(call, group.is_network())?;
    let group = group.clone();
    Ok(json!({"TargetGroups": [group.describe(state(world, call))]}))
}

/// `DeleteTargetGroup`: registered targets do not hinder it, listeners and rules do.
pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arn = call.required("TargetGroupArn");
    if Kind::of(arn) != Some(Kind::TargetGroup) {
        return Err(Kind::TargetGroup.missing(arn));
    }
    let now = world.now;
    let state = state(world, call);
    let Some(group) = state.target_groups.get(arn) else {
        return Ok(json!({}));
    };
    if group.used_since.is_some() || now < group.busy_until {
        return Err(Refusal::new(
            "ResourceInUse",
            format!("Target group '{arn}' is currently in use by a listener or a rule"),
        ));
    }
    state.target_groups.remove(arn);
    state.tags.remove(arn);
    Ok(json!({}))
}

/// `ModifyTargetGroupAttributes`.
pub(super) fn modify_attributes(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let group = state(world, call).named_target_group(call)?;
    let mut changed = group.clone();
    let given = super::attribute::given(call, "Target group", group.tables())?;
    changed.attributes.extend(given);
    network::check_group_attributes(call, &changed)?;
    *group = changed;
    Ok(super::attribute::describe(
        group.tables(),
        &group.attributes,
    ))
}

/// `DescribeTargetGroupAttributes`.
pub(super) fn describe_attributes(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let group = state(world, call).named_target_group(call)?;
    Ok(super::attribute::describe(
        group.tables(),
        &group.attributes,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    #[test]
    fn health_is_checked_over_http_unless_told_otherwise() {
        let mut account = Account::fresh();
        let vpc = account.vpc();
        let input = json!({"Name": "web", "Protocol": "HTTPS", "Port": 443, "VpcId": vpc});
        let output = account.call("CreateTargetGroup", input);
        let group = &output["TargetGroups"][0];
        assert_eq!(group["HealthCheckProtocol"], "HTTP");
        assert_eq!(group["HealthCheckTimeoutSeconds"], 5);
        assert_eq!(group["Matcher"]["HttpCode"], "200");
        assert_eq!(group["TargetType"], "instance");
    }

    #[test]
    fn the_settings_decide_whether_creating_it_again_returns_it() {
        let mut account = Account::fresh();
        assert_eq!(account.target_group("web"), account.target_group("web"));
        let vpc = account.vpc();
        let other = json!({"Name": "web", "Protocol": "HTTP", "Port": 80, "VpcId": vpc});
        assert_eq!(
            account.refused("CreateTargetGroup", other),
            "DuplicateTargetGroupName"
        );
    }

    #[test]
    fn impossible_health_checks_are_refused() {
        let mut account = Account::fresh();
        let group = account.target_group("web");
        for (member, value) in [
            ("HealthCheckTimeoutSeconds", json!(30)),
            ("Matcher", json!({"HttpCode": "500"})),
            ("Matcher", json!({"HttpCode": "299-200"})),
            ("HealthCheckPath", json!("health")),
            ("HealthCheckEnabled", json!(false)),
        ] {
            let change = json!({"TargetGroupArn": group, member: value});
            assert_eq!(
                account.refused("ModifyTargetGroup", change),
                "ValidationError"
            );
        }
    }

    #[test]
    fn a_listener_keeps_it_from_being_deleted_and_lingers() {
        let mut account = Account::realistic();
        let load_balancer = account.load_balancer();
        let group = account.target_group("web");
        let input = account.listener_input(&load_balancer, &group);
        let listener = account.listener(input);
        let delete = json!({"TargetGroupArn": group});
        assert_eq!(
            account.refused("DeleteTargetGroup", delete.clone()),
            "ResourceInUse"
        );
        account.call("DeleteListener", json!({"ListenerArn": listener}));
        assert_eq!(
            account.refused("DeleteTargetGroup", delete.clone()),
            "ResourceInUse"
        );
        account.wait(5);
        account.call("DeleteTargetGroup", delete.clone());
        account.call("DeleteTargetGroup", delete);
    }
}
