//! The targets that are registered with a target group.
//!
//! They have no tags: they belong to their group and go with it. New targets are registered, and
//! are healthy where the group is in use, before old ones are deregistered.
//!
//! IAM: `elasticloadbalancing:DescribeTargetHealth`, `RegisterTargets`, `DeregisterTargets`.
//! AWS: ELB API Reference 2015-12-01, `RegisterTargets`, `TargetHealth`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetHealthDescription, TargetHealthReasonEnum, TargetHealthStateEnum,
};
use futures::future::try_join_all;

use super::context::Wait;
use super::target_group;
use super::{
    Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until, elbv2,
};
use crate::aws::Aws;
use crate::diff::{Change, Diff};
use crate::error::Result;

/// All targets of one target group; its id is `<target group ARN>/targets`.
#[derive(Debug, Clone)]
pub(crate) struct TargetRegistration {
    /// The group.
    pub(crate) target_group: Late<String>,
    /// IP addresses or instance ids; of live ones on other ports than the group's, with the port.
    pub(crate) targets: Late<Vec<String>>,
    /// The port on which every target is registered.
    pub(crate) port: u16,
    /// The VPC's ranges: an address outside them is registered for `all` availability zones.
    pub(crate) vpc_cidrs: Vec<String>,
    /// The listeners that forward to the group: targets are checked only once one does.
    pub(crate) listeners: Vec<Address>,
}

/// Between the id and the port of a live target that has another port than its group.
const ON_PORT: &str = " on port ";

impl Resource for TargetRegistration {
    const MOVES_CLIENTS: bool = true;

    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::TargetRegistration";

    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::exists(&self.target_group).parent()];
        match &self.targets {
            // Addresses are known only when the endpoint is there.
            Late::From(address, _) => needs.push(Need::address(address, Until::Ready)),
            // Whoever has the live addresses stays until they are deregistered.
            Late::Known(targets) => needs.extend(targets.iter().map(|target| {
                let id = target
                    .split_once(ON_PORT)
                    .map_or(target.as_str(), |(id, _)| id);
                Need::exists(&Late::Known(id.to_owned()))
            })),
        }
        needs
    }

    fn ready_needs(&self) -> Vec<Need> {
        self.listeners
            .iter()
            .map(|listener| Need::address(listener, Until::Exists))
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            target_group,
            targets,
            port,
            vpc_cidrs: _,
            listeners: _,
        } = self;
        diff.late(
            "target_group",
            target_group,
            live.map(|live| &live.target_group),
        )
        .replaces();
        diff.field("port", port, live.map(|live| &live.port));
        let want = sorted(targets, diff);
        diff.late("targets", &want, live.map(|live| &live.targets));
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let groups = target_group::listing(reader).await?;
        let ours = groups
            .iter()
            .filter_map(|group| Some((group, elbv2::place(reader, &group.tags)?)));
        let found = ours.map(async |(group, place)| -> Result<_> {
            let health = describe(&reader.aws, group.arn()).await;
            let health = elbv2::absent_is(health, "TargetGroupNotFound", Vec::new())?;
            Ok(found(group, place, &health))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let group = cx.value(&self.target_group)?;
        let targets = cx.value(&self.targets)?.into_iter().collect();
        self.register(cx, &group, &targets).await?;
        Ok(Created::id(id(&group)))
    }

    async fn ready(&self, cx: &Cx, id: &str) -> Result<Outputs> {
        if !self.listeners.is_empty() {
            let targets = cx.value(&self.targets)?.into_iter().collect();
            self.wait_healthy(cx, group_of(id), &targets, Patience::Healthy)
                .await?;
        }
        Ok(Outputs::new())
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, _changes: &[Change]) -> Result<Outputs> {
        let group = group_of(&live.id);
        let want: BTreeSet<String> = cx.value(&self.targets)?.into_iter().collect();
        let had: BTreeSet<String> = cx.value(&live.spec.targets)?.into_iter().collect();
        self.register(cx, group, &(&want - &had)).await?;
        // Also those that an interrupted run has registered take over only when they can answer.
        self.wait_healthy(cx, group, &want, Patience::WhileInUse)
            .await?;
        deregister(cx, group, |target| !want.contains(&name(target, self.port))).await?;
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let deregistered = deregister(cx, group_of(&live.id), |_| true).await;
        elbv2::absent_is(deregistered, "TargetGroupNotFound", ())
    }
}

impl TargetRegistration {
    async fn register(&self, cx: &Cx, group: &str, targets: &BTreeSet<String>) -> Result<()> {
        if targets.is_empty() {
            return Ok(());
        }
        self.wait_drained(cx, group, targets).await?;
        let target = |id: &String| {
            let target = TargetDescription::builder().id(id).port(self.port.into());
            target
                .set_availability_zone(availability_zone(id, &self.vpc_cidrs))
                .build()
        };
        let targets = targets.iter().map(target).collect();
        let send = cx
            .aws()
            .elbv2
            .register_targets()
            .target_group_arn(group)
            .set_targets(Some(targets))
            .send();
        Ok(cx
            .aws()
            .call("elbv2:RegisterTargets", send)
            .await
            .map(drop)?)
    }

    /// An address that is still being deregistered must not be registered again.
    async fn wait_drained(&self, cx: &Cx, group: &str, targets: &BTreeSet<String>) -> Result<()> {
        let wait = Wait::new(
            "the targets to be deregistered, in order to register them again",
            10,
            3900,
        );
        cx.wait_until(wait, async || {
            let health = describe(cx.aws(), group).await?;
            let draining = health
                .iter()
                .filter(|one| is_draining(one))
                .filter_map(|one| one.target());
            let busy = draining
                .map(|target| name(target, self.port))
                .any(|name| targets.contains(&name));
            Ok((!busy).then_some(()))
        })
        .await
    }

    async fn wait_healthy(
        &self,
        cx: &Cx,
        group: &str,
        targets: &BTreeSet<String>,
        patience: Patience,
    ) -> Result<()> {
        let complaints = |health: &[TargetHealthDescription]| unhealthy(health, targets, self.port);
        wait_while(cx, group, patience, complaints).await
    }
}

/// How long targets are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Until they are healthy.
    Healthy,
    /// Or until no listener forwards to their group any more: its last one may go in the same run.
    WhileInUse,
}

/// Waits until all that is registered with a group is healthy.
pub(super) async fn wait_all_healthy(cx: &Cx, group: &str) -> Result<()> {
    wait_while(cx, group, Patience::Healthy, |health| {
        let registered = health.iter().filter(|one| is_registered(one));
        registered.filter_map(complaint).collect()
    })
    .await
}

/// Waits while something is wrong with targets, and says what it was if that takes too long.
async fn wait_while(
    cx: &Cx,
    group: &str,
    patience: Patience,
    complaints: impl Fn(&[TargetHealthDescription]) -> Vec<String>,
) -> Result<()> {
    let wait = Wait::new("the targets to become healthy", 15, 600).at_most(cx.timeout("targets"));
    let look = async || -> Result<Vec<String>> {
        let health = describe(cx.aws(), group).await?;
        let is_over = patience == Patience::WhileInUse
            && health.iter().any(is_unused)
            && !target_group::is_in_use(cx.aws(), group).await?;
        Ok(if is_over {
            Vec::new()
        } else {
            complaints(&health)
        })
    };
    let healthy = cx
        .wait_until(wait, async || Ok(look().await?.is_empty().then_some(())))
        .await;
    elbv2::with_reason(healthy, async || Ok(look().await?.join("; "))).await
}

/// The targets in the order of live ones, because order means nothing.
fn sorted(targets: &Late<Vec<String>>, diff: &Diff<'_>) -> Late<Vec<String>> {
    let Some(known) = diff.resolve(targets) else {
        return targets.clone();
    };
    let set: BTreeSet<String> = known.into_iter().collect();
    Late::Known(set.into_iter().collect())
}

/// What is wrong with targets that are not healthy or not there.
fn unhealthy(
    health: &[TargetHealthDescription],
    targets: &BTreeSet<String>,
    port: u16,
) -> Vec<String> {
    let judge = |target: &String| {
        let is_it = |one: &&TargetHealthDescription| {
            one.target()
                .is_some_and(|described| name(described, port) == *target)
        };
        match health.iter().find(is_it) {
            Some(described) => complaint(described),
            None => Some(format!("{target}: not registered")),
        }
    };
    targets.iter().filter_map(judge).collect()
}

/// What is wrong with a target: `10.0.1.7: Target.Timeout: Request timed out`.
fn complaint(described: &TargetHealthDescription) -> Option<String> {
    let health = described.target_health();
    let state = health
        .and_then(|health| health.state())
        .map_or("unknown", TargetHealthStateEnum::as_str);
    let reason = health
        .and_then(|health| health.reason())
        .map_or(state, TargetHealthReasonEnum::as_str);
    let said = health
        .and_then(|health| health.description())
        .map(|said| format!(": {said}"))
        .unwrap_or_default();
    let target = described.target().and_then(|target| target.id());
    (state != "healthy").then(|| format!("{}: {reason}{said}", target.unwrap_or_default()))
}

/// Deregisters the targets that go, as AWS itself names them, and lets them finish their requests.
async fn deregister(cx: &Cx, group: &str, goes: impl Fn(&TargetDescription) -> bool) -> Result<()> {
    let health = describe(cx.aws(), group).await?;
    let registered = health
        .iter()
        .filter(|one| is_registered(one))
        .filter_map(|one| one.target());
    let old: Vec<TargetDescription> = registered.filter(|target| goes(target)).cloned().collect();
    if old.is_empty() {
        return Ok(());
    }
    let send = cx
        .aws()
        .elbv2
        .deregister_targets()
        .target_group_arn(group)
        .set_targets(Some(old.clone()))
        .send();
    cx.aws().call("elbv2:DeregisterTargets", send).await?;
    let wait = Wait::new(
        "the deregistered targets to finish their requests",
        15,
        3900,
    );
    cx.wait_until(wait, async || {
        let health = describe(cx.aws(), group).await?;
        let mut draining = health
            .iter()
            .filter(|one| is_draining(one))
            .filter_map(|one| one.target());
        let busy = draining.any(|target| {
            old.iter()
                .any(|old| old.id == target.id && old.port == target.port)
        });
        Ok((!busy).then_some(()))
    })
    .await
}

async fn describe(aws: &Aws, group: &str) -> Result<Vec<TargetHealthDescription>> {
    let send = aws
        .elbv2
        .describe_target_health()
        .target_group_arn(group)
        .send();
    let answer = aws.call("elbv2:DescribeTargetHealth", send).await?;
    Ok(answer.target_health_descriptions.unwrap_or_default())
}

/// What is registered with one of our groups; nothing registered is nothing found.
fn found(
    group: &target_group::Listed,
    (stack, address): (String, Address),
    health: &[TargetHealthDescription],
) -> Option<Found<TargetRegistration>> {
    let registered = health
        .iter()
        .filter(|one| is_registered(one))
        .filter_map(|one| one.target());
    let targets: BTreeSet<String> = registered
        .map(|target| name(target, group.port()))
        .collect();
    if targets.is_empty() {
        return None;
    }
    let spec = TargetRegistration {
        target_group: Late::Known(group.arn().to_owned()),
        targets: Late::Known(targets.into_iter().collect()),
        port: group.port(),
        vpc_cidrs: Vec::new(),
        listeners: Vec::new(),
    };
    Some(Found {
        stack,
        address: address.part("targets"),
        id: id(group.arn()),
        owner: Owner::Ours,
        protected: None,
        retained: None,
        spec,
        outputs: Outputs::new(),
    })
}

/// Whether a target is there to stay.
fn is_registered(health: &TargetHealthDescription) -> bool {
    let reason = health.target_health().and_then(|health| health.reason());
    !is_draining(health) && reason != Some(&TargetHealthReasonEnum::NotRegistered)
}

fn is_draining(health: &TargetHealthDescription) -> bool {
    let state = health.target_health().and_then(|health| health.state());
    state == Some(&TargetHealthStateEnum::Draining)
}

/// No health is checked, such as where no listener forwards to the group.
fn is_unused(health: &TargetHealthDescription) -> bool {
    let state = health.target_health().and_then(|health| health.state());
    state == Some(&TargetHealthStateEnum::Unused)
}

/// A target as it is compared: the same id on another port is another target.
fn name(target: &TargetDescription, port: u16) -> String {
    let id = target.id().unwrap_or_default();
    match target.port() {
        Some(other) if other != i32::from(port) => format!("{id}{ON_PORT}{other}"),
        _ => id.to_owned(),
    }
}

/// The id of what is registered with a group.
fn id(group: &str) -> String {
    format!("{group}/targets")
}

fn group_of(id: &str) -> &str {
    id.strip_suffix("/targets").unwrap_or(id)
}

/// `all` for addresses outside the VPC; AWS finds the zone of all others itself.
fn availability_zone(target: &str, vpc_cidrs: &[String]) -> Option<String> {
    let address: IpAddr = target.parse().ok()?;
    let inside = vpc_cidrs.iter().any(|cidr| lies_in(address, cidr));
    (!inside && !vpc_cidrs.is_empty()).then(|| "all".to_owned())
}

/// Whether an address lies in a range; ranges of the other family contain nothing.
fn lies_in(address: IpAddr, cidr: &str) -> bool {
    let Some((network, length)) = cidr.split_once('/') else {
        return false;
    };
    let (Ok(network), Ok(length)) = (network.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    let (bits, difference) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (32, u128::from(one.to_bits() ^ other.to_bits())),
        (IpAddr::V6(one), IpAddr::V6(other)) => (128, one.to_bits() ^ other.to_bits()),
        _ => return false,
    };
    length <= bits && difference.checked_shr(bits - length).unwrap_or(0) == 0
}

/// What is registered with a target group of whomever; on other ports than the group's, with the port.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, group: &str, port: u16) -> Result<BTreeSet<String>> {
    let health = describe(aws, group).await?;
    let registered = health.iter().filter(|one| is_registered(one));
    let targets = registered.filter_map(|one| one.target());
    Ok(targets.map(|target| name(target, port)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Target;
    use aws_sdk_elasticloadbalancingv2::types::TargetHealth;

    fn target(id: &str, port: i32, state: TargetHealthStateEnum) -> TargetHealthDescription {
        let health = TargetHealth::builder()
            .state(state)
            .reason(TargetHealthReasonEnum::Timeout);
        TargetHealthDescription::builder()
            .target(TargetDescription::builder().id(id).port(port).build())
            .target_health(health.description("Request timed out").build())
            .build()
    }

    fn registration(targets: Late<Vec<String>>) -> TargetRegistration {
        let target_group = Late::Known("arn:group".to_owned());
        TargetRegistration {
            target_group,
            targets,
            port: 443,
            vpc_cidrs: vec![],
            listeners: vec![],
        }
    }

    #[test]
    fn the_order_of_targets_means_nothing() {
        let known =
            |targets: [&str; 2]| registration(Late::Known(targets.map(str::to_owned).into()));
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        known(["10.0.2.7", "10.0.1.7"]).diff(Some(&known(["10.0.1.7", "10.0.2.7"])), &mut diff);
        assert_eq!(diff.into_changes(), vec![]);
    }

    #[test]
    fn reasons_are_quoted_of_those_that_are_not_healthy() {
        let health = [
            target("10.0.1.7", 443, TargetHealthStateEnum::Healthy),
            target("10.0.2.7", 443, TargetHealthStateEnum::Unhealthy),
        ];
        let targets = ["10.0.1.7", "10.0.2.7", "10.0.3.7"]
            .map(str::to_owned)
            .into();
        let expected = [
            "10.0.2.7: Target.Timeout: Request timed out",
            "10.0.3.7: not registered",
        ];
        assert_eq!(unhealthy(&health, &targets, 443), expected);
    }

    #[test]
    fn draining_targets_are_not_registered_and_ports_tell_targets_apart() {
        assert!(!is_registered(&target(
            "10.0.1.7",
            443,
            TargetHealthStateEnum::Draining
        )));
        assert!(is_registered(&target(
            "10.0.1.7",
            443,
            TargetHealthStateEnum::Unused
        )));
        let other = target("10.0.1.7", 8443, TargetHealthStateEnum::Healthy);
        assert_eq!(
            name(other.target().expect("it has one"), 443),
            "10.0.1.7 on port 8443"
        );
    }

    #[test]
    fn addresses_outside_the_vpc_are_for_all_zones() {
        let vpc = ["10.0.0.0/16".to_owned(), "fd00::/8".to_owned()];
        assert_eq!(availability_zone("10.0.1.7", &vpc), None);
        assert_eq!(availability_zone("10.1.0.1", &vpc), Some("all".to_owned()));
        assert_eq!(availability_zone("fd00::1", &vpc), None);
        assert_eq!(availability_zone("i-0123", &vpc), None);
        assert!(lies_in(
            "192.0.2.1".parse().expect("an address"),
            "0.0.0.0/0"
        ));
    }

    #[test]
    fn live_addresses_are_needed_and_unknown_ones_are_awaited() {
        let live = registration(Late::Known(vec!["10.0.1.7 on port 8443".to_owned()]));
        assert_eq!(live.needs()[1].on, Target::Id("10.0.1.7".to_owned()));
        let endpoint = Address::parse("endpoint");
        let want = registration(Late::From(endpoint.clone(), "addresses"));
        assert_eq!(want.needs()[1], Need::address(&endpoint, Until::Ready));
    }
}
