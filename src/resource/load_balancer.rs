//! A load balancer: the application load balancer that clients connect to, or the network load
//! balancer through which API Gateway reaches a backend.
//!
//! Natural key: its name, unique in the account and region. Type, scheme and VPC are fixed: another one
//! means another load balancer, with listeners and target groups of its own. A network load balancer
//! never leaves a subnet either, and has security groups from the beginning or never. Attributes that the
//! stack does not mention are held at AWS's defaults.
//!
//! IAM: `elasticloadbalancing:DescribeLoadBalancers`, `DescribeLoadBalancerAttributes`,
//! `DescribeTags`, `CreateLoadBalancer`, `ModifyLoadBalancerAttributes`, `SetSubnets`,
//! `SetSecurityGroups`, `SetIpAddressType`, `AddTags`, `RemoveTags`, `DeleteLoadBalancer`;
//! `ec2:DescribeNetworkInterfaces`; apigateway:GET on /vpclinks.
//! AWS: ELB API Reference 2015-12-01, `CreateLoadBalancer`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{
    EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnum as EnforceRules, IpAddressType,
    LoadBalancer as Described, LoadBalancerAttribute, LoadBalancerSchemeEnum,
    LoadBalancerStateEnum, LoadBalancerTypeEnum,
};
use futures::future::try_join_all;

use super::context::Wait;
use super::ec2::GroupSwap;
use super::elbv2::{self, Attributes};
use super::{
    Address, Created, Cx, Found, Guard, Late, Need, Outputs, Owner, Reader, Replacement, Resource,
    Until,
};
use super::{ec2, listener, record_set, vpc_link};
use crate::aws::tags::Tags;
use crate::aws::{Aws, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// A load balancer of ours.
#[derive(Debug, Clone)]
pub(crate) struct LoadBalancer {
    /// Its name, at most 32 characters.
    pub(crate) name: String,
    /// Which of AWS's load balancers it is; fixed.
    pub(crate) kind: Type,
    /// `internet-facing` or `internal`; fixed.
    pub(crate) scheme: String,
    /// The VPC of its subnets; fixed.
    pub(crate) vpc: String,
    /// The subnets of its nodes.
    pub(crate) subnets: BTreeSet<String>,
    /// Its security groups.
    pub(crate) security_groups: Vec<Late<String>>,
    /// Whether the rules of its groups count for VPC links, too; without groups nothing counts.
    pub(crate) filters_private_link: bool,
    /// `ipv4`, `dualstack` or `dualstack-without-public-ipv4`.
    pub(crate) ip_address_type: String,
    /// Attributes that differ from AWS's default; of a live one, all.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Attributes that are left as they are.
    pub(crate) unmanaged: BTreeSet<String>,
    /// The buckets that it writes logs to: there before, and gone only once it writes no more.
    pub(crate) log_buckets: Vec<Late<String>>,
    /// The endpoint and its group that let it in, which have to do so before its own groups change.
    pub(crate) admitted_by: Vec<Address>,
    /// How clients find it, which decides whether it can be replaced.
    pub(crate) reached_by: ReachedBy,
    /// Its tags.
    pub(crate) tags: Tags,
    /// Tags of a live one that remember records nothing wants any more, which still stand.
    pub(crate) lingering: Tags,
}

/// Which of AWS's load balancers one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// It speaks HTTP.
    Application,
    /// It passes on connections.
    Network,
}

impl Type {
    /// The value as AWS spells it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
        }
    }

    fn live(wire: Option<&LoadBalancerTypeEnum>) -> Option<Self> {
        match wire? {
            LoadBalancerTypeEnum::Application => Some(Self::Application),
            LoadBalancerTypeEnum::Network => Some(Self::Network),
            _ => None,
        }
    }

    /// AWS's defaults.
    fn defaults(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Application => &DEFAULTS,
            Self::Network => &NETWORK_DEFAULTS,
        }
    }
}

/// How clients find a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReachedBy {
    /// Through a record of the stack, which can be repointed.
    Record,
    /// By its own DNS name, which a replacement changes.
    DnsName,
}

/// The attribute that has AWS refuse to delete it.
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

/// AWS's defaults; buckets and prefixes of logs mean nothing while the logs are off.
const DEFAULTS: [(&str, &str); 15] = [
    ("access_logs.s3.enabled", "false"),
    ("client_keep_alive.seconds", "3600"),
    ("connection_logs.s3.enabled", "false"),
    (DELETION_PROTECTION, "false"),
    ("health_check_logs.s3.enabled", "false"),
    ("idle_timeout.timeout_seconds", "60"),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    (
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "false",
    ),
    ("routing.http.xff_client_port.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("waf.fail_open.enabled", "false"),
    ("zonal_shift.config.enabled", "false"),
];

/// AWS's defaults of network load balancers.
const NETWORK_DEFAULTS: [(&str, &str); 5] = [
    ("access_logs.s3.enabled", "false"),
    (DELETION_PROTECTION, "false"),
    ("dns_record.client_routing_policy", "any_availability_zone"),
    ("load_balancing.cross_zone.enabled", "false"),
    ("zonal_shift.config.enabled", "false"),
];

/// The kinds of logs, each with a switch, a bucket and a prefix.
const LOGS: [&str; 3] = [
    "access_logs.s3",
    "connection_logs.s3",
    "health_check_logs.s3",
];

impl Resource for LoadBalancer {
    const MOVES_CLIENTS: bool = true;

    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::LoadBalancer";

    fn needs(&self) -> Vec<Need> {
        // Its network interfaces outlive it and hold the groups.
        let groups = self.security_groups.iter();
        let groups = groups.map(|group| Need::exists(group).holds_until_gone());
        groups
            .chain(self.log_buckets.iter().map(Need::exists))
            .collect()
    }

    fn update_needs(&self) -> Vec<Need> {
        let admitted_by = self.admitted_by.iter();
        let needs = admitted_by.map(|group| Need::address(group, Until::Exists));
        needs.collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            kind,
            scheme,
            vpc,
            subnets,
            security_groups,
            filters_private_link,
            ip_address_type,
            attributes,
            unmanaged: _,
            log_buckets: _,
            admitted_by: _,
            reached_by: _,
            tags,
            lingering: _,
        } = self;
        if live.is_none() {
            diff.field("name", name, None);
        }
        diff.field(
            "type",
            &kind.as_str(),
            live.map(|live| live.kind.as_str()).as_ref(),
        )
        .replaces();
        diff.field("scheme", scheme, live.map(|live| &live.scheme))
            .replaces()
            .widens_if(|| scheme == "internet-facing");
        diff.field("vpc", vpc, live.map(|live| &live.vpc))
            .replaces();
        let subnets_left = live.is_some_and(|live| self.cannot_leave(live));
        let mark = diff.field("subnets", subnets, live.map(|live| &live.subnets));
        if subnets_left {
            mark.replaces();
        }
        let live_groups = live.map(|live| live.security_groups.as_slice());
        let wider = live.is_some_and(|live| self.groups_let_more_in(live, diff));
        let fixed = live.is_some_and(|live| self.cannot_have_groups_of(live));
        let mark = diff
            .late_set("security_groups", security_groups, live_groups)
            .widens_if(|| wider);
        if fixed {
            mark.replaces();
        }
        if *kind == Type::Network && !security_groups.is_empty() {
            diff.field(
                "filters_private_link",
                filters_private_link,
                live.map(|live| &live.filters_private_link),
            );
        }
        diff.field(
            "ip_address_type",
            ip_address_type,
            live.map(|live| &live.ip_address_type),
        );
        let held = live.map_or_else(|| attributes.clone(), |_| self.held());
        elbv2::diff_attributes(&held, attributes, live.map(|live| &live.attributes), diff);
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn replacement(&self, _live: &Self) -> Replacement {
        match self.reached_by {
            ReachedBy::Record => Replacement::CreateFirst,
            ReachedBy::DnsName => Replacement::Impossible(
                "its clients know it by its DNS name, which would be another one; give the stack \
                 a `record` first, or destroy and apply it"
                    .to_owned(),
            ),
        }
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        elbv2::put_tags(cx, &live.id, &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let listed = listing(reader).await?;
        let arns: Vec<String> = listed.iter().map(arn).collect();
        let tags = elbv2::tags_of(&reader.aws, &arns).await?;
        let found = listed.iter().map(async |described| {
            let tags = tags.get(&arn(described)).cloned().unwrap_or_default();
            let named = |want: &Self| described.load_balancer_name() == Some(&want.name);
            let tags = reader.claimed::<Self>(&arn(described), tags, |_, want| named(want));
            found(reader, described, tags).await
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let groups: Result<Vec<String>> = self
            .security_groups
            .iter()
            .map(|group| cx.value(group))
            .collect();
        let groups = groups?;
        let aws = cx.aws();
        let send = aws
            .elbv2
            .create_load_balancer()
            .name(&self.name)
            .r#type(LoadBalancerTypeEnum::from(self.kind.as_str()))
            .scheme(LoadBalancerSchemeEnum::from(self.scheme.as_str()))
            .ip_address_type(IpAddressType::from(self.ip_address_type.as_str()))
            .set_subnets(Some(self.subnets.iter().cloned().collect()))
            .set_security_groups(Some(groups.clone()).filter(|groups| !groups.is_empty()))
            .set_tags(Some(elbv2::sdk_tags(&self.tags)))
            .send();
        let described = match aws.call("elbv2:CreateLoadBalancer", send).await {
            Err(error) if error.is("DuplicateLoadBalancerName") => {
                let named = |one: &Described| one.load_balancer_name() == Some(&self.name);
                let existing = describe_all(aws).await?.into_iter().find(named);
                elbv2::adopt(cx, error, existing.as_ref().map(arn)).await?;
                existing
            }
            other => other?.load_balancers.unwrap_or_default().pop(),
        };
        let described =
            described.ok_or_else(|| Error::step(&cx.address, "AWS made no load balancer"))?;
        let created = Created {
            id: arn(&described),
            outputs: outputs(&described),
        };
        if self.kind == Type::Network && !groups.is_empty() {
            self.set_security_groups(cx, &created.id, groups).await?;
        }
        let beyond = elbv2::beyond(self.kind.defaults(), &self.attributes);
        put_attributes(cx, &created.id, &beyond).await?;
        Ok(created)
    }

    async fn ready(&self, cx: &Cx, id: &str) -> Result<Outputs> {
        let wait = Wait::new("the load balancer to become active", 15, 600)
            .at_most(cx.timeout("load_balancer"));
        let active = cx.wait_until(wait, async || {
            // `failed` is no end: load balancers have been seen to recover from it.
            let routes = |one: &Described| {
                let code = one.state().and_then(|state| state.code());
                matches!(
                    code,
                    Some(LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired)
                )
            };
            Ok(describe(cx.aws(), id)
                .await?
                .filter(routes)
                .map(|one| outputs(&one)))
        });
        elbv2::with_reason(active.await, async || {
            Ok(state(describe(cx.aws(), id).await?))
        })
        .await
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        let (aws, id) = (cx.aws(), &live.id);
        let groups = self.group_swap(cx, live)?;
        if !groups.joined().is_empty() || touches(changes, "filters_private_link") {
            self.set_security_groups(cx, id, groups.between()).await?;
        }
        if touches(changes, "subnets") {
            let subnets = self.subnets.iter().cloned().collect();
            let send = aws
                .elbv2
                .set_subnets()
                .load_balancer_arn(id)
                .set_subnets(Some(subnets))
                .send();
            aws.call("elbv2:SetSubnets", send).await?;
        }
        if touches(changes, "ip_address_type") {
            let kind = IpAddressType::from(self.ip_address_type.as_str());
            let send = aws
                .elbv2
                .set_ip_address_type()
                .load_balancer_arn(id)
                .ip_address_type(kind)
                .send();
            aws.call("elbv2:SetIpAddressType", send).await?;
        }
        put_attributes(cx, id, &elbv2::changed_attributes(changes)).await?;
        if touches(changes, "tags") {
            elbv2::put_tags(cx, id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    /// The groups by which it reached its former targets, and clients reached it.
    fn retires(&self, _live: &Self, changes: &[Change]) -> bool {
        changes.iter().any(ec2::leaves_groups)
    }

    async fn retire(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        let groups = self.group_swap(cx, live)?;
        if groups.left_last().is_empty() {
            return Ok(());
        }
        self.set_security_groups(cx, &live.id, groups.want()).await
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        // The endpoint service behind a VPC link outlives the link for a moment.
        let wait = Wait::new("the VPC link to let go of the load balancer", 10, 300);
        let in_use = |error: &Error| error.is_code("ResourceInUse");
        let deleted = cx.retry_while(wait, in_use, async || {
            let send = cx
                .aws()
                .elbv2
                .delete_load_balancer()
                .load_balancer_arn(&live.id)
                .send();
            tolerate(
                cx.aws().call("elbv2:DeleteLoadBalancer", send).await,
                &["LoadBalancerNotFound"],
            )
        });
        deleted.await.map_err(|error| {
            let hint = if error.is_code("OperationNotPermitted") {
                "with deletion protection on, set `deletion_protection: false` in the stack file \
                 and apply that first"
            } else if in_use(&error) {
                "a VPC link or an endpoint service that is not this stack's uses it: delete that first"
            } else {
                return error;
            };
            elbv2::with_hint(cx, &error, hint)
        })
    }

    async fn gone(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let wait =
            Wait::new("the load balancer to vanish", 15, 600).at_most(cx.timeout("load_balancer"));
        cx.wait_until(wait, async || {
            let left = describe(cx.aws(), &live.id).await?;
            Ok(left.is_none().then_some(()))
        })
        .await?;
        let wait = Wait::new(
            "the network interfaces of the load balancer to vanish",
            10,
            2100,
        )
        .at_most(cx.timeout("network_interfaces"));
        cx.wait_until(wait, async || {
            let left = has_network_interfaces(cx.aws(), &live.id).await?;
            Ok((!left).then_some(()))
        })
        .await
    }

    async fn foreign_children(reader: &Reader, live: &Found<Self>) -> Result<Vec<String>> {
        let listeners = listener::listing(reader).await?;
        let foreign = listeners.iter().filter(|one| {
            one.load_balancer() == live.id && one.tags.stack() != Some(live.stack.as_str())
        });
        let mut named: Vec<String> = foreign
            .map(|one| format!("the listener on port {} ({})", one.port(), one.arn()))
            .collect();
        if live.spec.kind == Type::Network {
            named.extend(vpc_link::foreign_on(reader, &live.id, &live.stack).await?);
        }
        Ok(named)
    }
}

impl LoadBalancer {
    /// All attributes that are managed, as they should be.
    fn held(&self) -> Attributes {
        let defaults = self.kind.defaults().iter().copied();
        let mut defaults: BTreeMap<&str, &str> = defaults.collect();
        // AWS's default for internal ones depends on how they came to be.
        if self.scheme != "internal" && self.kind == Type::Application {
            defaults.insert("ipv6.deny_all_igw_traffic", "false");
        }
        let mut held = elbv2::held(&self.attributes, defaults, &self.unmanaged);
        for logs in LOGS {
            let prefix = format!("{logs}.prefix");
            if held
                .get(&format!("{logs}.enabled"))
                .is_some_and(|on| on == "true")
                && !self.unmanaged.contains(&prefix)
            {
                held.entry(prefix).or_default();
            }
        }
        held
    }
}

/// Whether a group is wanted that is not there; one that is not known yet is not.
fn adds_group(want: &[Late<String>], live: &[Late<String>], diff: &Diff<'_>) -> bool {
    let live: BTreeSet<String> = live
        .iter()
        .filter_map(|group| diff.resolve(group))
        .collect();
    want.iter().any(|group| {
        diff.resolve(group)
            .is_none_or(|group| !live.contains(&group))
    })
}

/// Sets attributes; a bucket that was just allowed to take logs is refused for a while.
async fn put_attributes(cx: &Cx, id: &str, attributes: &[(String, String)]) -> Result<()> {
    let wait = Wait::new("the log bucket's policy to take effect", 10, 300);
    let bucket_denied = |error: &Error| {
        let denied = error
            .aws()
            .is_some_and(|error| error.message.contains("Access Denied for bucket"));
        denied && error.is_code("InvalidConfigurationRequest")
    };
    for chunk in attributes.chunks(elbv2::ATTRIBUTES_AT_ONCE) {
        let attribute = |(key, value): &(String, String)| {
            LoadBalancerAttribute::builder()
                .key(key)
                .value(value)
                .build()
        };
        let chunk: Vec<_> = chunk.iter().map(attribute).collect();
        cx.retry_while(wait.clone(), bucket_denied, async || {
            let modify = cx.aws().elbv2.modify_load_balancer_attributes();
            let send = modify
                .load_balancer_arn(id)
                .set_attributes(Some(chunk.clone()))
                .send();
            Ok(cx
                .aws()
                .call("elbv2:ModifyLoadBalancerAttributes", send)
                .await
                .map(drop)?)
        })
        .await?;
    }
    Ok(())
}

/// The load balancers whose names could be ours or stand in the place of ours.
pub(super) async fn listing(reader: &Reader) -> Result<Arc<Vec<Described>>> {
    struct Listing;
    let read = || async {
        let (described, known) = futures::try_join!(
            describe_all(&reader.aws),
            elbv2::known::<LoadBalancer>(reader)
        )?;
        let candidate = |one: &Described| {
            Type::live(one.r#type()).is_some()
                && (reader.may_be_ours(one.load_balancer_name().unwrap_or_default())
                    || known.contains(&arn(one)))
        };
        Ok(Arc::new(described.into_iter().filter(candidate).collect()))
    };
    reader
        .once::<Listing, Vec<Described>>(|| Box::pin(read()))
        .await
}

/// What AWS says of a load balancer that is not active.
fn state(described: Option<Described>) -> String {
    let state = described.and_then(|one| one.state);
    let code = state
        .as_ref()
        .and_then(|state| state.code())
        .map_or("not found", LoadBalancerStateEnum::as_str);
    let reason = state.as_ref().and_then(|state| state.reason());
    reason.map_or_else(
        || format!("it is {code}"),
        |reason| format!("it is {code}, because {reason}"),
    )
}

impl LoadBalancer {
    fn group_swap(&self, cx: &Cx, live: &Found<Self>) -> Result<GroupSwap> {
        GroupSwap::new(cx, &self.security_groups, &live.spec.security_groups)
    }

    /// Puts the load balancer into these security groups, and out of all others.
    async fn set_security_groups(&self, cx: &Cx, id: &str, groups: Vec<String>) -> Result<()> {
        let enforce = (self.kind == Type::Network).then(|| {
            let word = if self.filters_private_link {
                "on"
            } else {
                "off"
            };
            EnforceRules::from(word)
        });
        let send = cx
            .aws()
            .elbv2
            .set_security_groups()
            .load_balancer_arn(id)
            .set_security_groups(Some(groups))
            .set_enforce_security_group_inbound_rules_on_private_link_traffic(enforce)
            .send();
        cx.aws().call("elbv2:SetSecurityGroups", send).await?;
        Ok(())
    }

    /// Whether it would have to leave a subnet, which a network load balancer cannot.
    fn cannot_leave(&self, live: &Self) -> bool {
        self.kind == Type::Network && !live.subnets.is_subset(&self.subnets)
    }

    /// Whether its groups let more in than those of the live one. The rules of all of them count
    /// together, so one more can only let more in; but without any everybody comes in.
    fn groups_let_more_in(&self, live: &Self, diff: &Diff<'_>) -> bool {
        if self.kind == Type::Network && self.cannot_have_groups_of(live) {
            return self.security_groups.is_empty();
        }
        adds_group(&self.security_groups, &live.security_groups, diff)
    }

    /// Whether it has groups and the live one has none, or the other way round: AWS decides that once.
    fn cannot_have_groups_of(&self, live: &Self) -> bool {
        self.kind == Type::Network
            && self.security_groups.is_empty() != live.security_groups.is_empty()
    }
}

/// Whether a stack of the run may have a network load balancer, by the names that there are.
pub(super) async fn may_have_network(reader: &Reader) -> Result<bool> {
    let listed = listing(reader).await?;
    let mut kinds = listed.iter().map(|one| Type::live(one.r#type()));
    Ok(kinds.any(|kind| kind == Some(Type::Network)))
}

async fn describe_all(aws: &Aws) -> Result<Vec<Described>> {
    pages(async |marker| {
        let send = aws
            .elbv2
            .describe_load_balancers()
            .page_size(elbv2::PAGE)
            .set_marker(marker)
            .send();
        let page = aws.call("elbv2:DescribeLoadBalancers", send).await?;
        Ok((page.load_balancers.unwrap_or_default(), page.next_marker))
    })
    .await
}

/// Describes one load balancer; `None` when there is none.
async fn describe(aws: &Aws, id: &str) -> Result<Option<Described>> {
    let send = aws
        .elbv2
        .describe_load_balancers()
        .load_balancer_arns(id)
        .send();
    let answer = aws
        .call("elbv2:DescribeLoadBalancers", send)
        .await
        .map_err(Error::from);
    let answer = answer.map(|answer| answer.load_balancers.unwrap_or_default().pop());
    elbv2::absent_is(answer, "LoadBalancerNotFound", None)
}

/// Whether its nodes still have network interfaces, which name it in their description.
async fn has_network_interfaces(aws: &Aws, id: &str) -> Result<bool> {
    let name = id.rsplit_once("loadbalancer/").map_or(id, |(_, name)| name);
    let description = ec2::filter("description", vec![format!("ELB {name}")]);
    let send = aws
        .ec2
        .describe_network_interfaces()
        .filters(description)
        .send();
    let answer = aws.call("ec2:DescribeNetworkInterfaces", send).await?;
    Ok(!answer.network_interfaces().is_empty())
}

/// What a described load balancer is to the stacks of the run.
async fn found(
    reader: &Reader,
    described: &Described,
    tags: Tags,
) -> Result<Vec<Found<LoadBalancer>>> {
    let (id, name) = (
        arn(described),
        described.load_balancer_name().unwrap_or_default(),
    );
    let what = format!("the load balancer `{name}` ({id})");
    let claims = elbv2::claims::<LoadBalancer>(reader, &tags, &what, |_, want| want.name == name);
    let attributes = if claims.iter().any(|claim| claim.owner == Owner::Ours) {
        attributes(&reader.aws, &id).await?
    } else {
        Attributes::new()
    };
    let wants = reader.wanted::<LoadBalancer>();
    let want = claims.iter().find(|claim| claim.owner == Owner::Ours);
    let want = want.and_then(|claim| {
        let mut wants = wants
            .filter(|(scope, address, _)| scope.name == claim.stack && **address == claim.address);
        wants.next().map(|(_, _, want)| &want.tags)
    });
    let (tags, lingering) = record_set::take_lingering(&reader.aws, want, tags).await?;
    let spec = LoadBalancer {
        lingering,
        ..live_spec(described, attributes, tags)
    };
    let outputs = outputs(described);
    let mut found = elbv2::found(claims, &id, &spec.tags, &spec, &outputs);
    let is_on = spec.attributes.get(DELETION_PROTECTION).map(String::as_str) == Some("true");
    for one in found.iter_mut().filter(|_| is_on) {
        one.protected = Some(Guard::with_deletion_protection(one.protected));
    }
    Ok(found)
}

/// Reads the attributes of a load balancer, of whomever it is.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn attributes(aws: &Aws, id: &str) -> Result<Attributes> {
    let send = aws
        .elbv2
        .describe_load_balancer_attributes()
        .load_balancer_arn(id)
        .send();
    let answer = aws
        .call("elbv2:DescribeLoadBalancerAttributes", send)
        .await?;
    Ok(elbv2::live(
        answer
            .attributes()
            .iter()
            .map(|one| (one.key(), one.value())),
    ))
}

fn live_spec(described: &Described, attributes: Attributes, tags: Tags) -> LoadBalancer {
    let groups = described.security_groups().iter();
    let subnets = described
        .availability_zones()
        .iter()
        .filter_map(|zone| zone.subnet_id());
    LoadBalancer {
        name: described
            .load_balancer_name()
            .unwrap_or_default()
            .to_owned(),
        kind: Type::live(described.r#type()).unwrap_or(Type::Application),
        filters_private_link: described
            .enforce_security_group_inbound_rules_on_private_link_traffic()
            .is_none_or(|word| word != "off"),
        scheme: described
            .scheme()
            .map_or_else(String::new, |scheme| scheme.as_str().to_owned()),
        vpc: described.vpc_id().unwrap_or_default().to_owned(),
        subnets: subnets.map(str::to_owned).collect(),
        security_groups: groups.map(|group| Late::Known(group.clone())).collect(),
        ip_address_type: described
            .ip_address_type()
            .map_or_else(String::new, |kind| kind.as_str().to_owned()),
        log_buckets: log_buckets(&attributes),
        attributes,
        unmanaged: BTreeSet::new(),
        admitted_by: Vec::new(),
        reached_by: ReachedBy::DnsName,
        tags,
        lingering: Tags::default(),
    }
}

/// The buckets that a live one writes to.
fn log_buckets(attributes: &Attributes) -> Vec<Late<String>> {
    let is_on = |logs: &&&str| {
        attributes
            .get(&format!("{logs}.enabled"))
            .is_some_and(|on| on == "true")
    };
    let names = LOGS.iter().filter(is_on).filter_map(|logs| {
        let name = attributes.get(&format!("{logs}.bucket"))?;
        Some(name.clone())
    });
    let names: BTreeSet<String> = names.collect();
    names.into_iter().map(Late::Known).collect()
}

/// DNS names are case-insensitive, and AWS keeps the case of the load balancer's name.
fn outputs(described: &Described) -> Outputs {
    let dns_name = described
        .dns_name()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let zone = described
        .canonical_hosted_zone_id()
        .unwrap_or_default()
        .to_owned();
    Outputs::from([
        ("dns_name", vec![dns_name]),
        ("canonical_hosted_zone_id", vec![zone]),
    ])
}

/// The ARN of a described load balancer.
pub(super) fn arn(described: &Described) -> String {
    described.load_balancer_arn().unwrap_or_default().to_owned()
}

/// A load balancer, of whomever it is, by its ARN or name; `None` where there is none.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, arn_or_name: &str) -> Result<Option<Found<LoadBalancer>>> {
    let describe = aws.elbv2.describe_load_balancers();
    let describe = if arn_or_name.starts_with("arn:") {
        describe.load_balancer_arns(arn_or_name)
    } else {
        describe.names(arn_or_name)
    };
    let answer = aws
        .call("elbv2:DescribeLoadBalancers", describe.send())
        .await
        .map_err(Error::from);
    let answer = answer.map(|answer| answer.load_balancers.unwrap_or_default().pop());
    let Some(described) = elbv2::absent_is(answer, "LoadBalancerNotFound", None)? else {
        return Ok(None);
    };
    looked_at(aws, &described).await.map(Some)
}

/// The load balancers of the region that have a DNS name, each with it in lower case.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn dns_names(aws: &Aws) -> Result<Vec<(String, String)>> {
    let all = describe_all(aws).await?.into_iter();
    let named = all.filter_map(|one| Some((arn(&one), one.dns_name()?.to_ascii_lowercase())));
    Ok(named.collect())
}

async fn looked_at(aws: &Aws, described: &Described) -> Result<Found<LoadBalancer>> {
    let id = arn(described);
    let arns = [id.clone()];
    let (attributes, mut tags) =
        futures::try_join!(attributes(aws, &id), elbv2::tags_of(aws, &arns))?;
    let tags = tags.remove(&id).unwrap_or_default();
    Ok(Found {
        stack: tags.stack().unwrap_or_default().to_owned(),
        address: Address::parse("load_balancer"),
        owner: Owner::Ours,
        protected: None,
        retained: None,
        outputs: outputs(described),
        spec: live_spec(described, attributes, tags),
        id,
    })
}

impl LoadBalancer {
    /// The attributes of a live one that a stack file has to name so that they stay.
    pub(crate) fn unusual(&self) -> Attributes {
        let plain = Self {
            attributes: Attributes::new(),
            ..self.clone()
        };
        let mut unusual = elbv2::unusual(&plain.held(), &self.attributes);
        for logs in LOGS {
            let is_on = unusual
                .get(&format!("{logs}.enabled"))
                .is_some_and(|on| on == "true");
            for part in ["bucket", "prefix"] {
                let key = format!("{logs}.{part}");
                unusual.remove(&key);
                let value = self.attributes.get(&key).filter(|value| !value.is_empty());
                unusual.extend(value.filter(|_| is_on).map(|value| (key, value.clone())));
            }
        }
        unusual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_balancer(attributes: &[(&str, &str)]) -> LoadBalancer {
        let attributes = attributes
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        LoadBalancer {
            name: "shop-1".to_owned(),
            kind: Type::Application,
            filters_private_link: false,
            scheme: "internal".to_owned(),
            vpc: "vpc-1".to_owned(),
            subnets: BTreeSet::from(["subnet-1".to_owned(), "subnet-2".to_owned()]),
            security_groups: vec![Late::Known("sg-1".to_owned())],
            ip_address_type: "ipv4".to_owned(),
            attributes: attributes.collect(),
            unmanaged: BTreeSet::new(),
            log_buckets: Vec::new(),
            admitted_by: Vec::new(),
            reached_by: ReachedBy::Record,
            tags: Tags::default(),
            lingering: Tags::default(),
        }
    }

    fn changes(want: &LoadBalancer, live: &LoadBalancer) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
    }

    #[test]
    fn a_prefix_of_logs_counts_only_while_they_are_on() {
        let live = [
            ("access_logs.s3.enabled", "false"),
            ("access_logs.s3.prefix", "old"),
        ];
        assert_eq!(changes(&load_balancer(&[]), &load_balancer(&live)), vec![]);
        let live = [
            ("access_logs.s3.enabled", "true"),
            ("access_logs.s3.prefix", "old"),
        ];
        let want = load_balancer(&[("access_logs.s3.enabled", "true")]);
        assert_eq!(
            changes(&want, &load_balancer(&live))[0].path,
            "attributes.access_logs.s3.prefix"
        );
    }

    #[test]
    fn denying_internet_gateways_is_left_to_internal_ones_unless_the_file_says() {
        let live = load_balancer(&[("ipv6.deny_all_igw_traffic", "true")]);
        assert_eq!(changes(&load_balancer(&[]), &live), vec![]);
        let open = load_balancer(&[("ipv6.deny_all_igw_traffic", "false")]);
        assert_eq!(changes(&load_balancer(&[]), &open), vec![]);
        assert_eq!(changes(&live, &open).len(), 1);
        let mut public = load_balancer(&[]);
        public.scheme = "internet-facing".to_owned();
        let changes = changes(&public, &live);
        assert!(changes[0].replaces && changes[0].widens);
        assert_eq!(changes[1].path, "attributes.ipv6.deny_all_igw_traffic");
    }

    #[test]
    fn another_vpc_means_another_load_balancer() {
        let (want, mut live) = (load_balancer(&[]), load_balancer(&[]));
        live.vpc = "vpc-2".to_owned();
        let changes = changes(&want, &live);
        assert!(changes[0].path == "vpc" && changes[0].replaces);
    }

    #[test]
    fn another_group_widens_and_one_less_does_not() {
        let (one, mut two) = (load_balancer(&[]), load_balancer(&[]));
        two.security_groups.push(Late::Known("sg-2".to_owned()));
        assert!(changes(&two, &one)[0].widens);
        assert!(!changes(&one, &two)[0].widens);
    }

    #[test]
    fn its_dns_name_is_in_lower_case() {
        let described = Described::builder()
            .dns_name("Shop-1.eu-west-1.elb.amazonaws.com")
            .build();
        assert_eq!(
            outputs(&described)["dns_name"],
            ["shop-1.eu-west-1.elb.amazonaws.com"]
        );
    }

    #[test]
    fn a_network_load_balancer_never_leaves_a_subnet_and_joins_others() {
        let (mut want, mut live) = (load_balancer(&[]), load_balancer(&[]));
        for one in [&mut want, &mut live] {
            one.kind = Type::Network;
        }
        want.subnets.insert("subnet-3".to_owned());
        assert!(!changes(&want, &live)[0].replaces);
        assert!(changes(&live, &want)[0].replaces);
    }

    #[test]
    fn a_network_load_balancer_has_groups_from_the_beginning_or_never() {
        let (mut want, mut live) = (load_balancer(&[]), load_balancer(&[]));
        for one in [&mut want, &mut live] {
            one.kind = Type::Network;
        }
        live.security_groups.clear();
        let first = &changes(&want, &live)[0];
        assert!(first.replaces && !first.widens, "nobody had to pass one");
        let without = &changes(&live, &want)[0];
        assert!(without.replaces && without.widens, "everybody comes in");
        live.security_groups = vec![Late::Known("sg-2".to_owned())];
        assert!(!changes(&want, &live)[0].replaces);
    }
}
