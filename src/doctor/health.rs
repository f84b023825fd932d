//! Targets, of either load balancer: whether they answer.
//!
//! IAM: `elasticloadbalancing:DescribeTargetHealth`.

use aws_sdk_elasticloadbalancingv2::types::{
    TargetHealthDescription, TargetHealthReasonEnum, TargetHealthStateEnum,
};
use futures::future::try_join_all;

use super::state::Examined;
use super::{Finding, Link};
use crate::error::{Error, Result};

/// A target of a network load balancer: its address or id, and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) id: String,
    pub(super) port: u16,
}

/// Whether an address is on the way from an API to a backend: network load balancer, VPC link, private zone.
pub(super) fn is_of_backend(address: &str) -> bool {
    ["network_load_balancer", "vpc_link"]
        .iter()
        .any(|section| address.starts_with(section))
}

impl Examined<'_> {
    /// Whether targets answer; gives those of the load balancer and those of the network load balancer.
    pub(super) async fn health(&mut self) -> Result<(Vec<(String, i32)>, Vec<Target>)> {
        let groups = self.live("TargetGroup");
        let aws = self.aws();
        let healths = groups.iter().map(async |(_, live)| {
            let send = aws
                .elbv2
                .describe_target_health()
                .target_group_arn(&live.id)
                .send();
            let answer = aws.call("elbv2:DescribeTargetHealth", send).await?;
            Ok::<_, Error>(answer.target_health_descriptions.unwrap_or_default())
        });
        let (mut servers, mut backends) = (Vec::new(), Vec::new());
        for ((address, _), health) in groups.iter().zip(try_join_all(healths).await?) {
            let described = health.iter().filter_map(|one| one.target());
            let described = described.filter_map(|one| Some((one.id()?.to_owned(), one.port()?)));
            if is_of_backend(address) {
                backends.extend(described.filter_map(|(id, port)| {
                    let port = u16::try_from(port).ok()?;
                    Some(Target { id, port })
                }));
            } else {
                servers.extend(described);
            }
            if health.is_empty() {
                self.diagnosis().find(no_targets(address));
            }
            let healthy = health
                .iter()
                .filter(|one| is_in(one, &TargetHealthStateEnum::Healthy))
                .count();
            if healthy == health.len() && healthy > 0 {
                let link = if is_of_backend(address) {
                    Link::Backend
                } else {
                    Link::Health
                };
                self.diagnosis()
                    .sound(link, format!("{healthy} of {healthy} targets are healthy"));
            }
            for one in health
                .iter()
                .filter(|one| !is_in(one, &TargetHealthStateEnum::Healthy))
            {
                self.diagnosis().find(sick(address, one));
            }
        }
        Ok((servers, backends))
    }
}

/// A group without targets.
fn no_targets(address: &str) -> Finding {
    let (link, code, so) = if is_of_backend(address) {
        (
            Link::Backend,
            "backend-targets-missing",
            "the API answers 504",
        )
    } else {
        (
            Link::TargetGroup,
            "targets-missing",
            "the load balancer answers 503",
        )
    };
    Finding::new(link, code, address)
        .what(format!("`{address}` has no targets, and {so}"))
        .fix("`mtlsgw apply` registers them")
}

fn is_in(one: &TargetHealthDescription, state: &TargetHealthStateEnum) -> bool {
    one.target_health().and_then(|health| health.state()) == Some(state)
}

/// What is the matter with a target; mostly a consequence.
fn sick(address: &str, one: &TargetHealthDescription) -> Finding {
    let target = one.target().and_then(|target| target.id()).unwrap_or("?");
    let health = one.target_health();
    let state = health.and_then(|health| health.state());
    let description = health
        .and_then(|health| health.description())
        .unwrap_or("no reason given");
    let state_name = state.map_or("unknown", TargetHealthStateEnum::as_str);
    let what = format!("the target {target} of `{address}` is {state_name}: {description}");
    let (link, code, fix) = match (state, health.and_then(|health| health.reason())) {
        (Some(TargetHealthStateEnum::Draining), _) => (
            Link::TargetGroup,
            "target-draining",
            "`mtlsgw apply` registers it again, once it has drained",
        ),
        (_, Some(TargetHealthReasonEnum::Timeout)) => (
            Link::Health,
            "target-does-not-answer",
            "let the load balancer through: security groups, and something that listens on that port",
        ),
        (_, Some(TargetHealthReasonEnum::ResponseCodeMismatch)) => (
            Link::Health,
            "target-answers-otherwise",
            "let `target_group.health_check.matcher` hold what it answers to `health_check.path`; a private API's endpoint answers 403",
        ),
        (_, Some(TargetHealthReasonEnum::NotInUse)) => (
            Link::Health,
            "target-not-in-use",
            "have a listener forward to the group, and enable the target's availability zone on the load balancer",
        ),
        (Some(TargetHealthStateEnum::Initial), _) => (
            Link::Health,
            "target-initial",
            "wait until the first health checks are done",
        ),
        _ => (
            Link::Health,
            "target-unhealthy",
            "see `mtlsgw explain Target.FailedHealthChecks`",
        ),
    };
    let link = if is_of_backend(address) {
        Link::Backend
    } else {
        link
    };
    Finding::new(link, code, address)
        .what(what)
        .fix(fix)
        .symptom()
}
