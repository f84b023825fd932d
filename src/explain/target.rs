//! Why a target is as healthy as it is.

use super::entry::{Entry, Kind};

const fn entry(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(
        Kind::TargetHealth,
        code,
        cause,
        fix,
        "ELB API Reference 2015-12-01, `TargetHealth`",
    )
    .at("target_group.health_check")
}

/// The reasons of `DescribeTargetHealth`.
pub(super) const ENTRIES: &[Entry] = &[
    entry("Elb.RegistrationInProgress", "The target is being registered.", "Wait a moment."),
    entry(
        "Elb.InitialHealthChecking",
        "The first health checks are under way.",
        "Wait for the interval of the health check; the first success counts.",
    ),
    entry(
        "Target.ResponseCodeMismatch",
        "The target answers, with a status that the matcher does not list. API Gateway answers health checks with 403, as their Host is an address.",
        "Have `target_group.health_check.matcher` contain 403 for endpoint targets (the default).",
    )
    .says(&["health checks failed with these codes"]),
    entry(
        "Target.Timeout",
        "The target did not answer within the health check's time-out: mostly a security group that drops the port.",
        "The endpoint's security group has to let the load balancer's in on 443; `mtlsgw plan` shows rules that are missing.",
    )
    .at("endpoint.security_groups"),
    entry(
        "Target.FailedHealthChecks",
        "No connection to the target could be made, or the TLS handshake with it failed.",
        "Look whether the target listens on the port, and whether the health check speaks its protocol (HTTPS for the endpoint).",
    ),
    entry(
        "Target.NotRegistered",
        "The target is not registered with the group.",
        "`mtlsgw apply` registers it.",
    )
    .at("target_group.targets"),
    entry(
        "Target.NotInUse",
        "No listener or rule leads to the target group, or the target's availability zone is not one of the load balancer's.",
        "`mtlsgw plan` shows what is missing: the listener, or a subnet of the load balancer.",
    )
    .at("listener.target_group"),
    entry(
        "Target.InvalidState",
        "The instance is stopped or terminated.",
        "Start it, or name another in `target_group.targets`.",
    )
    .at("target_group.targets"),
    entry(
        "Target.IpUnusable",
        "The address is in use by a load balancer.",
        "Name another address.",
    )
    .at("target_group.targets"),
    entry(
        "Target.DeregistrationInProgress",
        "The target was deregistered and finishes what it has begun.",
        "Wait for `deregistration_delay_seconds`.",
    )
    .at("target_group.deregistration_delay_seconds"),
    entry(
        "Target.HealthCheckDisabled",
        "The target group has no health checks.",
        "`mtlsgw apply` switches them on.",
    ),
    entry(
        "Elb.InternalError",
        "The load balancer could not check the target for a fault on AWS's side.",
        "Wait, and look at AWS's health dashboard if it lasts.",
    ),
];
