//! Network Load Balancers: what differs from Application Load Balancers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::{Action, Effect};
use super::attribute::{Allowed, Attribute, attribute};
use super::listener::Listener;
use super::load_balancer::LoadBalancer;
use super::target_group::TargetGroup;
use super::{State, invalid};
use crate::sandbox::world::{Call, Refusal};

/// The type of a load balancer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::sandbox) enum Type {
    /// Takes requests.
    #[default]
    Application,
    /// Takes connections.
    Network,
}

impl Type {
    /// The type that a creation asks for.
    pub(super) fn given(call: &Call<'_>) -> Result<Self, Refusal> {
        match call.text("Type") {
            None | Some("application") => Ok(Self::Application),
            Some("network") => Ok(Self::Network),
            Some(other) => Err(Refusal::not_modelled(
                call.operation,
                &format!("Type={other}"),
            )),
        }
    }

    /// The type by AWS's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
        }
    }

    /// The part of ARNs that tells the types apart.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Application => "app",
            Self::Network => "net",
        }
    }

    /// What EC2 calls the interfaces of its nodes.
    pub(super) fn interface(self) -> &'static str {
        match self {
            Self::Application => "interface",
            Self::Network => "network_load_balancer",
        }
    }

    /// The quota of load balancers of the type: code and default.
    pub(super) fn quota(self) -> (&'static str, u64) {
        match self {
            Self::Application => ("L-53DA6B97", 50),
            Self::Network => ("L-69A177A2", 50),
        }
    }

    /// The quota of listeners of one load balancer: code and default.
    pub(super) fn listener_quota(self) -> (&'static str, u64) {
        match self {
            Self::Application => ("L-B6DF7632", 50),
            Self::Network => ("L-57A373D6", 50),
        }
    }
}

/// What a Network Load Balancer has beside its fields.
pub(super) const ATTRIBUTES: &[Attribute] = &[
    attribute("access_logs.s3.bucket", "", Allowed::Text(63)),
    attribute("access_logs.s3.enabled", "false", Allowed::Flag),
    attribute("access_logs.s3.prefix", "", Allowed::Text(900)),
    attribute("deletion_protection.enabled", "false", Allowed::Flag),
    attribute(
        "dns_record.client_routing_policy",
        "any_availability_zone",
        Allowed::OneOf(&[
            "any_availability_zone",
            "availability_zone_affinity",
            "partial_availability_zone_affinity",
        ]),
    ),
    attribute("ipv6.deny_all_igw_traffic", "false", Allowed::Flag),
    attribute("load_balancing.cross_zone.enabled", "false", Allowed::Flag),
    attribute(
        "secondary_ips.auto_assigned.per_subnet",
        "0",
        Allowed::Range(0, 7),
    ),
    attribute("zonal_shift.config.enabled", "false", Allowed::Flag),
];

/// What a TCP listener has; a TLS listener's idle timeout is fixed.
pub(super) const LISTENER_ATTRIBUTES: &[Attribute] = &[attribute(
    "tcp.idle_timeout.seconds",
    "350",
    Allowed::Range(60, 6000),
)];

/// What a target group of TCP or TLS has, but for what depends on its targets' type.
pub(super) const GROUP_ATTRIBUTES: &[Attribute] = &[
    attribute(
        "deregistration_delay.connection_termination.enabled",
        "false",
        Allowed::Flag,
    ),
    attribute(
        "deregistration_delay.timeout_seconds",
        "300",
        Allowed::Range(0, 3600),
    ),
    attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Allowed::OneOf(&["true", "false", "use_load_balancer_configuration"]),
    ),
    attribute("proxy_protocol_v2.enabled", "false", Allowed::Flag),
    attribute("stickiness.enabled", "false", Allowed::Flag),
    attribute(
        "stickiness.type",
        "source_ip",
        Allowed::OneOf(&["source_ip"]),
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
    attribute(
        "target_health_state.unhealthy.connection_termination.enabled",
        "true",
        Allowed::Flag,
    ),
    attribute(
        "target_health_state.unhealthy.draining_interval_seconds",
        "0",
        Allowed::Range(0, 360_000),
    ),
];

/// Addresses as targets see the load balancer's address, unless told otherwise.
pub(super) const OF_ADDRESSES: &[Attribute] = &[attribute(
    "preserve_client_ip.enabled",
    "false",
    Allowed::Flag,
)];

/// Instances see the client's address, unless told otherwise.
pub(super) const OF_INSTANCES: &[Attribute] = &[attribute(
    "preserve_client_ip.enabled",
    "true",
    Allowed::Flag,
)];

/// Refuses to switch on what a Network Load Balancer has and the sandbox does not do.
pub(super) fn check_attributes(call: &Call<'_>, after: &LoadBalancer) -> Result<(), Refusal> {
    let not_done = [
        ("access_logs.s3.enabled", "true"),
        ("zonal_shift.config.enabled", "true"),
    ];
    let found = not_done
        .iter()
        .find(|(key, value)| after.attribute(key) == *value);
    found.map_or(Ok(()), |(key, value)| {
        let what = format!("{key}={value} of a network load balancer");
        Err(Refusal::not_modelled(call.operation, &what))
    })
}

/// Refuses to switch on what a target group of TCP or TLS has and the sandbox does not do.
pub(super) fn check_group_attributes(call: &Call<'_>, group: &TargetGroup) -> Result<(), Refusal> {
    if !group.is_network() {
        return Ok(());
    }
    let not_done = ["proxy_protocol_v2.enabled", "stickiness.enabled"];
    let found = not_done.iter().find(|key| group.attribute(key) == "true");
    found.map_or(Ok(()), |key| {
        let what = format!("{key}=true of a network load balancer's target group");
        Err(Refusal::not_modelled(call.operation, &what))
    })
}

/// Whether the sandbox has groups and listeners of the protocol that Network Load Balancers use.
pub(super) fn is_protocol(protocol: &str) -> bool {
    matches!(protocol, "TCP" | "TLS")
}

/// Refuses a listener that a Network Load Balancer cannot have, but for its certificates.
pub(super) fn check_listener(call: &Call<'_>, listener: &Listener) -> Result<(), Refusal> {
    match listener.protocol.as_str() {
        "TCP" | "TLS" => {}
        "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC" => {
            let what = format!("Protocol={}", listener.protocol);
            return Err(Refusal::not_modelled(call.operation, &what));
        }
        other => {
            return Err(Refusal::new(
                "UnsupportedProtocol",
                format!("Protocol '{other}' is not supported by Network Load Balancers"),
            ));
        }
    }
    if !call.input["MutualAuthentication"].is_null() {
        return Err(invalid(
            "Mutual authentication is not supported for listeners of Network Load Balancers",
        ));
    }
    let Effect::Forward { stickiness, .. } = &listener.default_action.effect else {
        return Err(Refusal::new(
            "InvalidLoadBalancerAction",
            "Listeners of Network Load Balancers only support actions of the type 'forward'",
        ));
    };
    if stickiness.is_some() {
        return Err(invalid(
            "Target group stickiness is not supported for listeners of Network Load Balancers",
        ));
    }
    match listener.alpn_policy.as_deref() {
        Some(_) if listener.protocol == "TCP" => Err(invalid(
            "An ALPN policy can only be specified for TLS listeners",
        )),
        None | Some("None") => Ok(()),
        Some("HTTP1Only" | "HTTP2Only" | "HTTP2Optional" | "HTTP2Preferred") => {
            Err(Refusal::not_modelled(call.operation, "AlpnPolicy"))
        }
        Some(other) => Err(Refusal::new(
            "ALPNPolicyNotFound",
            format!("ALPN policy '{other}' not found"),
        )),
    }
}

/// The `AlpnPolicy` of the call: a list of one.
pub(super) fn alpn_policy(call: &Call<'_>) -> Result<Option<String>, Refusal> {
    match call.texts("AlpnPolicy").as_slice() {
        [] => Ok(None),
        [only] => Ok(Some((*only).to_owned())),
        _ => Err(invalid("Only one ALPN policy can be specified")),
    }
}

/// Refuses an action whose target groups speak what the listener cannot hand on.
pub(super) fn check_protocols(
    state: &State,
    listener: &str,
    action: &Action,
) -> Result<(), Refusal> {
    for arn in action.target_groups() {
        let Some(group) = state.target_groups.get(arn) else {
            continue;
        };
        let fits = match listener {
            "TCP" => group.protocol == "TCP",
            "TLS" => group.is_network(),
            _ => !group.is_network(),
        };
        if !fits {
            return Err(Refusal::new(
                "IncompatibleProtocols",
                format!(
                    "The listener protocol '{listener}' is not supported with a target group with \
                     the target-group-protocol '{}'",
                    group.protocol
                ),
            ));
        }
    }
    Ok(())
}

/// `EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic` of the call, if it is given.
pub(super) fn enforcement(call: &Call<'_>) -> Option<bool> {
    let member = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic";
    call.text(member).map(|text| text == "on")
}

/// The word for whether inbound rules hold for what comes by `PrivateLink`.
pub(super) fn enforcement_word(enforces: bool) -> Value {
    Value::from(if enforces { "on" } else { "off" })
}

/// The Route 53 hosted zones of Network Load Balancers, by region, for alias records.
pub(super) const HOSTED_ZONES: &[(&str, &str)] = &[
    ("af-south-1", "Z203XCE67M25HM"),
    ("ap-east-1", "Z12Y7K3UBGUAD1"),
    ("ap-northeast-1", "Z31USIVHYNEOWT"),
    ("ap-northeast-2", "ZIBE1TIR4HY56"),
    ("ap-northeast-3", "Z1GWIQ4HH19I5X"),
    ("ap-south-1", "ZVDDRBQ08TROA"),
    ("ap-south-2", "Z0711778386UTO08407HT"),
    ("ap-southeast-1", "ZKVM4W9LS7TM"),
    ("ap-southeast-2", "ZCT6FZBF4DROD"),
    ("ap-southeast-3", "Z01971771FYVNCOVWJU1G"),
    ("ca-central-1", "Z2EPGBW3API2WT"),
    ("cn-north-1", "Z3QFB96KMJ7ED6"),
    ("cn-northwest-1", "ZQEIKTCZ8352D"),
    ("eu-central-1", "Z3F0SRJ5LGBH90"),
    ("eu-central-2", "Z02239872DOALSIDCX66S"),
    ("eu-north-1", "Z1UDT6IFJ4EJM"),
    ("eu-south-1", "Z23146JA1KNAFP"),
    ("eu-south-2", "Z1011216NVTVYADP1SSV"),
    ("eu-west-1", "Z2IFOLAFXWLO4F"),
    ("eu-west-2", "ZD4D7Y8KGAS4G"),
    ("eu-west-3", "Z1CMS0P5QUZ6D5"),
    ("me-central-1", "Z00282643NTTLPANJJG2P"),
    ("me-south-1", "Z3QSRYVP46NYYV"),
    ("sa-east-1", "ZTK26PT1VY4CU"),
    ("us-east-1", "Z26RNL4JYFTOTI"),
    ("us-east-2", "ZLMOA37VPKANP"),
    ("us-gov-east-1", "Z1ZSMQQ6Q24QQ8"),
    ("us-gov-west-1", "ZMG1MZ2THAWF1"),
    ("us-west-1", "Z24FKFUX50B4VW"),
    ("us-west-2", "Z18D5FSROUN65G"),
];

#[cfg(test)]
mod tests;
