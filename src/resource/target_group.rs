//! A target group: where a listener forwards to, and how the health of what is there is checked.
//!
//! Natural key: its name, unique in the account and region. All but the health check and the
//! attributes is fixed, and a group serves one load balancer only: another one means another group.
//!
//! IAM: `elasticloadbalancing:DescribeTargetGroups`, `DescribeTargetGroupAttributes`,
//! `DescribeTags`, `CreateTargetGroup`, `ModifyTargetGroup`, `ModifyTargetGroupAttributes`,
//! `AddTags`, `RemoveTags`, `DeleteTargetGroup`.
//! AWS: ELB API Reference 2015-12-01, `CreateTargetGroup`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{
    Matcher, ProtocolEnum, TargetGroup as Described, TargetGroupAttribute,
    TargetGroupIpAddressTypeEnum, TargetTypeEnum,
};
use futures::future::try_join_all;

use super::context::Wait;
use super::elbv2::{self, Attributes};
use super::{Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until};
use crate::aws::tags::Tags;
use crate::aws::{Aws, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// A target group of ours.
#[derive(Debug, Clone)]
pub(crate) struct TargetGroup {
    /// Its name, at most 32 characters; names the fixed fields and the load balancer's by a hash.
    pub(crate) name: String,
    /// The VPC's id; fixed.
    pub(crate) vpc: String,
    /// `HTTPS` or `HTTP`; of a network load balancer `TCP` or `TLS`; fixed.
    pub(crate) protocol: String,
    /// The port of targets that are registered without one; fixed.
    pub(crate) port: u16,
    /// `ip` or `instance`; fixed.
    pub(crate) target_type: String,
    /// `ipv4` or `ipv6`; fixed.
    pub(crate) ip_address_type: String,
    /// The one load balancer that uses it; absent from a live one that no listener uses.
    pub(crate) load_balancer: Option<Late<String>>,
    /// How targets are judged.
    pub(crate) health_check: HealthCheck,
    /// Attributes that differ from AWS's default; of a live one, all.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// How targets are judged; AWS's own defaults contradict each other, so every field is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthCheck {
    /// `HTTPS`, `HTTP` or `TCP`, which only connects.
    pub(crate) protocol: String,
    /// A number, or `traffic-port`.
    pub(crate) port: String,
    /// The path that is asked for; nothing of `TCP`.
    pub(crate) path: String,
    /// The HTTP statuses that are healthy: `403`, `200,403`, `200-299`; nothing of `TCP`.
    pub(crate) matcher: String,
    /// Between two checks.
    pub(crate) interval_seconds: u16,
    /// How long one check may last.
    pub(crate) timeout_seconds: u16,
    /// So many good checks make an unhealthy target healthy.
    pub(crate) healthy_threshold: u16,
    /// So many bad checks make a healthy target unhealthy.
    pub(crate) unhealthy_threshold: u16,
}

/// AWS's defaults; the details of stickiness mean nothing while it is off.
const DEFAULTS: [(&str, &str); 10] = [
    ("deregistration_delay.timeout_seconds", "300"),
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
    ("load_balancing.algorithm.type", "round_robin"),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
    ),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.enabled", "false"),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
    ),
];

/// AWS's defaults of groups of network load balancers, but those that depend on the type of the targets.
const NETWORK_DEFAULTS: [(&str, &str); 10] = [
    (
        "deregistration_delay.connection_termination.enabled",
        "false",
    ),
    ("deregistration_delay.timeout_seconds", "300"),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
    ),
    ("proxy_protocol_v2.enabled", "false"),
    ("stickiness.enabled", "false"),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_health_state.unhealthy.connection_termination.enabled",
        "true",
    ),
];

impl Resource for TargetGroup {
    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::TargetGroup";

    /// Only the wanted form needs its load balancer, to see whether that one is replaced; deleting
    /// goes the other way round.
    fn needs(&self) -> Vec<Need> {
        let load_balancer = self.load_balancer.as_ref().and_then(Late::address);
        load_balancer
            .map(|address| Need::address(address, Until::Exists))
            .into_iter()
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            vpc,
            protocol,
            port,
            target_type,
            ip_address_type,
            load_balancer,
            health_check,
            attributes,
            tags,
        } = self;
        if live.is_none() {
            diff.field("name", name, None);
        }
        diff.field("vpc", vpc, live.map(|live| &live.vpc))
            .replaces();
        diff.field("protocol", protocol, live.map(|live| &live.protocol))
            .replaces();
        diff.field("port", port, live.map(|live| &live.port))
            .replaces();
        diff.field(
            "target_type",
            target_type,
            live.map(|live| &live.target_type),
        )
        .replaces();
        let live_kind = live.map(|live| &live.ip_address_type);
        diff.field("ip_address_type", ip_address_type, live_kind)
            .replaces();
        let used_by = live.and_then(|live| live.load_balancer.as_ref());
        if let (Some(want), Some(used_by)) = (load_balancer, used_by) {
            diff.late("load_balancer", want, Some(used_by)).replaces();
        }
        health_check.diff(live.map(|live| &live.health_check), diff);
        let held = || elbv2::held(attributes, self.defaults(), &BTreeSet::new());
        let held = live.map_or_else(|| attributes.clone(), |_| held());
        elbv2::diff_attributes(&held, attributes, live.map(|live| &live.attributes), diff);
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        elbv2::put_tags(cx, &live.id, &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let listed = listing(reader).await?;
        let found = listed.iter().map(|listed| found(reader, listed));
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let (aws, check) = (cx.aws(), &self.health_check);
        let send = aws
            .elbv2
            .create_target_group()
            .name(&self.name)
            .vpc_id(&self.vpc)
            .protocol(ProtocolEnum::from(self.protocol.as_str()))
            .port(self.port.into())
            .target_type(TargetTypeEnum::from(self.target_type.as_str()))
            .ip_address_type(TargetGroupIpAddressTypeEnum::from(
                self.ip_address_type.as_str(),
            ))
            .health_check_enabled(true)
            .health_check_protocol(ProtocolEnum::from(check.protocol.as_str()))
            .health_check_port(&check.port)
            .set_health_check_path(check.asks().then(|| check.path.clone()))
            .set_matcher(check.asks().then(|| check.matcher()))
            .health_check_interval_seconds(check.interval_seconds.into())
            .health_check_timeout_seconds(check.timeout_seconds.into())
            .healthy_threshold_count(check.healthy_threshold.into())
            .unhealthy_threshold_count(check.unhealthy_threshold.into())
            .set_tags(Some(elbv2::sdk_tags(&self.tags)))
            .send();
        let id = match aws.call("elbv2:CreateTargetGroup", send).await {
            Err(error) if error.is("DuplicateTargetGroupName") => {
                let named = |one: &Described| one.target_group_name() == Some(&self.name);
                let existing = describe_all(aws).await?.into_iter().find(named);
                elbv2::adopt(cx, error, existing.as_ref().map(arn)).await?
            }
            other => {
                let made = other?.target_groups.unwrap_or_default().pop();
                let made =
                    made.ok_or_else(|| Error::step(&cx.address, "AWS made no target group"))?;
                arn(&made)
            }
        };
        put_attributes(cx, &id, &elbv2::beyond(&self.defaults(), &self.attributes)).await?;
        Ok(Created::id(id))
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        if touches(changes, "health_check") {
            self.health_check.put(cx, &live.id, changes).await?;
        }
        put_attributes(cx, &live.id, &elbv2::changed_attributes(changes)).await?;
        if touches(changes, "tags") {
            elbv2::put_tags(cx, &live.id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let wait = Wait::new("the listener to let go of the target group", 5, 120)
            .at_most(cx.timeout("target_group"));
        let in_use = |error: &Error| error.is_code("ResourceInUse");
        cx.retry_while(wait, in_use, async || {
            let send = cx
                .aws()
                .elbv2
                .delete_target_group()
                .target_group_arn(&live.id)
                .send();
            tolerate(
                cx.aws().call("elbv2:DeleteTargetGroup", send).await,
                &["TargetGroupNotFound"],
            )
        })
        .await
    }
}

impl TargetGroup {
    /// AWS's defaults of such a group.
    fn defaults(&self) -> Vec<(&'static str, &'static str)> {
        if !["TCP", "TLS"].contains(&self.protocol.as_str()) {
            return DEFAULTS.to_vec();
        }
        let keeps_address = if self.target_type == "instance" {
            "true"
        } else {
            "false"
        };
        let own = ("preserve_client_ip.enabled", keeps_address);
        NETWORK_DEFAULTS.into_iter().chain([own]).collect()
    }
}

impl HealthCheck {
    /// Whether it asks for something, and does not only connect.
    fn asks(&self) -> bool {
        self.protocol != "TCP"
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            protocol,
            port,
            path,
            matcher,
            interval_seconds,
            timeout_seconds,
            healthy_threshold,
            unhealthy_threshold,
        } = self;
        diff.field(
            "health_check.protocol",
            protocol,
            live.map(|live| &live.protocol),
        );
        diff.field("health_check.port", port, live.map(|live| &live.port));
        if self.asks() {
            diff.field("health_check.path", path, live.map(|live| &live.path));
            diff.field(
                "health_check.matcher",
                matcher,
                live.map(|live| &live.matcher),
            );
        }
        let interval = live.map(|live| &live.interval_seconds);
        diff.field("health_check.interval_seconds", interval_seconds, interval);
        diff.field(
            "health_check.timeout_seconds",
            timeout_seconds,
            live.map(|live| &live.timeout_seconds),
        );
        let healthy = live.map(|live| &live.healthy_threshold);
        diff.field("health_check.healthy_threshold", healthy_threshold, healthy);
        let unhealthy = live.map(|live| &live.unhealthy_threshold);
        diff.field(
            "health_check.unhealthy_threshold",
            unhealthy_threshold,
            unhealthy,
        );
    }

    /// Changes what the changes touch; interval and timeout go together, because AWS compares them.
    async fn put(&self, cx: &Cx, id: &str, changes: &[Change]) -> Result<()> {
        let touched = |field: &str| touches(changes, &format!("health_check.{field}"));
        let times = touched("interval_seconds") || touched("timeout_seconds");
        let modify = cx.aws().elbv2.modify_target_group().target_group_arn(id);
        let send = modify
            .set_health_check_protocol(
                touched("protocol").then(|| ProtocolEnum::from(self.protocol.as_str())),
            )
            .set_health_check_port(touched("port").then(|| self.port.clone()))
            .set_health_check_path(touched("path").then(|| self.path.clone()))
            .set_matcher(touched("matcher").then(|| self.matcher()))
            .set_health_check_interval_seconds(times.then(|| self.interval_seconds.into()))
            .set_health_check_timeout_seconds(times.then(|| self.timeout_seconds.into()))
            .set_healthy_threshold_count(
                touched("healthy_threshold").then(|| self.healthy_threshold.into()),
            )
            .set_unhealthy_threshold_count(
                touched("unhealthy_threshold").then(|| self.unhealthy_threshold.into()),
            )
            .send();
        Ok(cx
            .aws()
            .call("elbv2:ModifyTargetGroup", send)
            .await
            .map(drop)?)
    }

    fn matcher(&self) -> Matcher {
        Matcher::builder().http_code(&self.matcher).build()
    }

    fn live(described: &Described) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let matcher = text(described.matcher().and_then(Matcher::http_code));
        Self {
            protocol: text(described.health_check_protocol().map(ProtocolEnum::as_str)),
            port: text(described.health_check_port()),
            path: text(described.health_check_path()),
            matcher: matcher.replace(' ', ""),
            interval_seconds: number(described.health_check_interval_seconds()),
            timeout_seconds: number(described.health_check_timeout_seconds()),
            healthy_threshold: number(described.healthy_threshold_count()),
            unhealthy_threshold: number(described.unhealthy_threshold_count()),
        }
    }
}

/// AWS's numbers are signed and optional; nothing that is compared is negative or zero.
fn number(number: Option<i32>) -> u16 {
    number
        .and_then(|number| u16::try_from(number).ok())
        .unwrap_or_default()
}

async fn put_attributes(cx: &Cx, id: &str, attributes: &[(String, String)]) -> Result<()> {
    for chunk in attributes.chunks(elbv2::ATTRIBUTES_AT_ONCE) {
        let attribute = |(key, value): &(String, String)| {
            TargetGroupAttribute::builder()
                .key(key)
                .value(value)
                .build()
        };
        let modify = cx
            .aws()
            .elbv2
            .modify_target_group_attributes()
            .target_group_arn(id);
        let send = modify
            .set_attributes(Some(chunk.iter().map(attribute).collect()))
            .send();
        cx.aws()
            .call("elbv2:ModifyTargetGroupAttributes", send)
            .await?;
    }
    Ok(())
}

/// A target group whose name could be ours or stands in the place of ours, with its tags.
#[derive(Debug)]
pub(super) struct Listed {
    described: Described,
    /// Its tags.
    pub(super) tags: Tags,
}

impl Listed {
    /// Its ARN.
    pub(super) fn arn(&self) -> &str {
        self.described.target_group_arn().unwrap_or_default()
    }

    /// The port of targets that are registered without one.
    pub(super) fn port(&self) -> u16 {
        number(self.described.port())
    }

    /// The load balancers that forward to it, if it belongs to a stack of the run.
    pub(super) fn users(&self, reader: &Reader) -> Vec<String> {
        elbv2::place(reader, &self.tags)
            .map(|_| self.described.load_balancer_arns().to_vec())
            .unwrap_or_default()
    }
}

/// All candidates for target groups of ours.
pub(super) async fn listing(reader: &Reader) -> Result<Arc<Vec<Listed>>> {
    struct Listing;
    let read = || async {
        let (described, known) = futures::try_join!(
            describe_all(&reader.aws),
            elbv2::known::<TargetGroup>(reader)
        )?;
        let candidate = |one: &Described| {
            reader.may_be_ours(one.target_group_name().unwrap_or_default())
                || known.contains(&arn(one))
        };
        let described: Vec<Described> = described.into_iter().filter(candidate).collect();
        let arns: Vec<String> = described.iter().map(arn).collect();
        let mut tags = elbv2::tags_of(&reader.aws, &arns).await?;
        let listed = described.into_iter().map(|described| {
            let tags = tags.remove(&arn(&described)).unwrap_or_default();
            let named = |want: &TargetGroup| described.target_group_name() == Some(&want.name);
            let tags = reader.claimed::<TargetGroup>(&arn(&described), tags, |_, want| named(want));
            Listed { described, tags }
        });
        Ok(Arc::new(listed.collect()))
    };
    reader
        .once::<Listing, Vec<Listed>>(|| Box::pin(read()))
        .await
}

async fn describe_all(aws: &Aws) -> Result<Vec<Described>> {
    pages(async |marker| {
        let list = aws.elbv2.describe_target_groups().page_size(elbv2::PAGE);
        let send = list.set_marker(marker).send();
        let page = aws.call("elbv2:DescribeTargetGroups", send).await?;
        Ok((page.target_groups.unwrap_or_default(), page.next_marker))
    })
    .await
}

/// Whether a listener or a rule uses the group.
pub(super) async fn is_in_use(aws: &Aws, id: &str) -> Result<bool> {
    let send = aws
        .elbv2
        .describe_target_groups()
        .target_group_arns(id)
        .send();
    let answer = aws.call("elbv2:DescribeTargetGroups", send).await?;
    Ok(answer
        .target_groups()
        .iter()
        .any(|group| !group.load_balancer_arns().is_empty()))
}

/// What a described target group is to the stacks of the run.
async fn found(reader: &Reader, listed: &Listed) -> Result<Vec<Found<TargetGroup>>> {
    let (id, tags) = (listed.arn(), &listed.tags);
    let name = listed.described.target_group_name().unwrap_or_default();
    let what = format!("the target group `{name}` ({id})");
    let claims = elbv2::claims::<TargetGroup>(reader, tags, &what, |_, want| want.name == name);
    let attributes = if claims.iter().any(|claim| claim.owner == Owner::Ours) {
        attributes(&reader.aws, id).await?
    } else {
        Attributes::new()
    };
    let spec = live_spec(&listed.described, attributes, tags.clone());
    Ok(elbv2::found(claims, id, tags, &spec, &Outputs::new()))
}

async fn attributes(aws: &Aws, id: &str) -> Result<Attributes> {
    let send = aws
        .elbv2
        .describe_target_group_attributes()
        .target_group_arn(id)
        .send();
    let answer = aws
        .call("elbv2:DescribeTargetGroupAttributes", send)
        .await?;
    Ok(elbv2::live(
        answer
            .attributes()
            .iter()
            .map(|one| (one.key(), one.value())),
    ))
}

fn live_spec(described: &Described, attributes: Attributes, tags: Tags) -> TargetGroup {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    TargetGroup {
        name: text(described.target_group_name()),
        vpc: text(described.vpc_id()),
        protocol: text(described.protocol().map(ProtocolEnum::as_str)),
        port: number(described.port()),
        target_type: text(described.target_type().map(TargetTypeEnum::as_str)),
        // AWS leaves it out of groups that are older than the field.
        ip_address_type: described
            .ip_address_type()
            .map_or("ipv4", |kind| kind.as_str())
            .to_owned(),
        load_balancer: described
            .load_balancer_arns()
            .first()
            .map(|arn| Late::Known(arn.clone())),
        health_check: HealthCheck::live(described),
        attributes,
        tags,
    }
}

fn arn(described: &Described) -> String {
    described.target_group_arn().unwrap_or_default().to_owned()
}

/// Target groups by their ARNs, of whomever they are.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, id: &str) -> Result<Option<TargetGroup>> {
    let send = aws
        .elbv2
        .describe_target_groups()
        .target_group_arns(id)
        .send();
    let answer = aws
        .call("elbv2:DescribeTargetGroups", send)
        .await
        .map_err(Error::from);
    let answer = answer.map(|answer| answer.target_groups.unwrap_or_default().pop());
    let Some(described) = elbv2::absent_is(answer, "TargetGroupNotFound", None)? else {
        return Ok(None);
    };
    let arns = [id.to_owned()];
    let (attributes, mut tags) =
        futures::try_join!(attributes(aws, id), elbv2::tags_of(aws, &arns))?;
    let tags = tags.remove(id).unwrap_or_default();
    Ok(Some(live_spec(&described, attributes, tags)))
}

impl TargetGroup {
    /// The attributes of a live one that are not as they are held without being named.
    pub(crate) fn unusual(&self) -> Attributes {
        let held = elbv2::held(&Attributes::new(), self.defaults(), &BTreeSet::new());
        elbv2::unusual(&held, &self.attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;

    fn group(load_balancer: Option<Late<String>>, matcher: &str) -> TargetGroup {
        let described = Described::builder()
            .target_group_name("shop-1")
            .protocol(ProtocolEnum::Https)
            .port(443)
            .target_type(TargetTypeEnum::Ip)
            .health_check_protocol(ProtocolEnum::Https)
            .health_check_port("traffic-port")
            .health_check_path("/")
            .matcher(Matcher::builder().http_code(matcher).build())
            .health_check_interval_seconds(30)
            .build();
        TargetGroup {
            load_balancer,
            ..live_spec(&described, Attributes::new(), Tags::default())
        }
    }

    fn changes(want: &TargetGroup, live: &TargetGroup, load_balancer: Option<&str>) -> Vec<Change> {
        let resolve = |_: &Address, _: &str| load_balancer.map(|arn| vec![arn.to_owned()]);
        let mut diff = Diff::new(&resolve);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
    }

    #[test]
    fn it_is_replaced_with_the_load_balancer_that_uses_it() {
        let want = group(Some(Late::id(&Address::parse("load_balancer"))), "403");
        let live = group(Some(Late::Known("arn:1".to_owned())), "403");
        assert_eq!(changes(&want, &live, Some("arn:1")), vec![]);
        assert!(changes(&want, &live, None)[0].replaces);
        assert!(changes(&want, &live, Some("arn:2"))[0].replaces);
        assert_eq!(changes(&want, &group(None, "403"), None), vec![]);
    }

    #[test]
    fn only_the_wanted_form_needs_the_load_balancer() {
        assert_eq!(
            group(Some(Late::id(&Address::parse("load_balancer"))), "403")
                .needs()
                .len(),
            1
        );
        assert_eq!(
            group(Some(Late::Known("arn:1".to_owned())), "403").needs(),
            vec![]
        );
    }

    #[test]
    fn spaces_in_a_matcher_mean_nothing() {
        assert_eq!(
            changes(&group(None, "200,403"), &group(None, "200, 403"), None),
            vec![]
        );
        let change = &changes(&group(None, "403"), &group(None, "200"), None)[0];
        assert_eq!(
            (change.path.as_str(), change.replaces),
            ("health_check.matcher", false)
        );
    }
}
