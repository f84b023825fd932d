//! A security group with exactly the rules its load balancer or endpoint needs.
//!
//! Natural key: its name, `mtlsgw-<stack>-<what>`, unique in the VPC. Another VPC means another
//! group. Rules are part of the group: a rule that is not listed is removed.
//!
//! IAM: `ec2:DescribeSecurityGroups`, `CreateSecurityGroup`, `AuthorizeSecurityGroupIngress`,
//! `AuthorizeSecurityGroupEgress`, `RevokeSecurityGroupIngress`, `RevokeSecurityGroupEgress`,
//! `CreateTags`, `DeleteTags`, `DeleteSecurityGroup`.
//! AWS: EC2 API Reference, `CreateSecurityGroup`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, PrefixListId, ResourceType, UserIdGroupPair,
};
use serde::{Serialize, Serializer};

use super::context::Wait;
use super::ec2::{filter, put_tags, specification};
use super::{Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource};
use crate::aws::tags::Tags;
use crate::aws::{Aws, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// A security group of ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SecurityGroup {
    /// Its name, at most 255 characters, not beginning with `sg-`.
    pub(crate) name: String,
    /// Its description, which AWS never lets change and which therefore is not compared.
    pub(crate) description: String,
    /// The VPC's id; fixed.
    pub(crate) vpc: String,
    /// What may come in.
    pub(crate) ingress: Vec<Rule>,
    /// What may go out.
    pub(crate) egress: Vec<Rule>,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// One rule: a protocol, a range of ports, and the other end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    /// `tcp`, or `-1` for all protocols and ports.
    pub(crate) protocol: String,
    /// First and last port; absent with all protocols.
    pub(crate) ports: Option<(i32, i32)>,
    /// Who is at the other end.
    pub(crate) peer: Peer,
}

/// The other end of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Peer {
    /// An IPv4 or IPv6 range.
    Cidr(String),
    /// Members of a group.
    Group(Late<String>),
    /// The ranges of a prefix list; never wanted, so that one added by hand is seen and removed.
    PrefixList(String),
}

/// A rule whose peer is known, ready to be compared and shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KnownRule {
    protocol: String,
    ports: Option<(i32, i32)>,
    peer: String,
}

impl Rule {
    /// TCP to one port.
    pub(crate) fn tcp(port: u16, peer: Peer) -> Self {
        Self {
            protocol: "tcp".to_owned(),
            ports: Some((port.into(), port.into())),
            peer,
        }
    }

    /// Everything, which is what AWS gives a new group as its only egress rule.
    pub(crate) fn everything(cidr: &str) -> Self {
        Self {
            protocol: "-1".to_owned(),
            ports: None,
            peer: Peer::Cidr(cidr.to_owned()),
        }
    }

    /// Whether members of a group are at the other end.
    fn names_group(&self) -> bool {
        matches!(self.peer, Peer::Group(_))
    }

    fn known(&self, resolve: impl Fn(&Late<String>) -> Option<String>) -> Option<KnownRule> {
        let peer = match &self.peer {
            Peer::Cidr(known) | Peer::PrefixList(known) => known.clone(),
            Peer::Group(group) => resolve(group)?,
        };
        Some(KnownRule {
            protocol: self.protocol.clone(),
            ports: self.ports,
            peer,
        })
    }
}

impl KnownRule {
    /// Whether members of a group are at the other end.
    fn names_group(&self) -> bool {
        self.peer.starts_with("sg-")
    }

    /// Whether it lets in everything that the other one does.
    ///
    /// Two rules that cover another only together are not seen to; asking once too often is the
    /// safe side.
    fn covers(&self, other: &Self) -> bool {
        let protocol = self.protocol == "-1" || self.protocol == other.protocol;
        let ports = match (self.ports, other.ports) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((first, last)), Some(other)) => first <= other.0 && other.1 <= last,
        };
        protocol && ports && (self.peer == other.peer || is_within(&other.peer, &self.peer))
    }
}

/// Whether one range of addresses lies within another of the same family.
fn is_within(inner: &str, outer: &str) -> bool {
    let Some(((inner, inner_length), (outer, outer_length))) = range(inner).zip(range(outer))
    else {
        return false;
    };
    let top_bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let differing = (top_bits(inner) ^ top_bits(outer)).leading_zeros();
    inner.is_ipv4() == outer.is_ipv4() && outer_length <= inner_length && outer_length <= differing
}

/// The address and prefix length of `10.0.0.0/8`.
fn range(cidr: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = cidr.split_once('/')?;
    Some((address.parse().ok()?, length.parse().ok()?))
}

impl fmt::Display for KnownRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.protocol.as_str(), self.ports) {
            ("-1", _) => f.write_str("all")?,
            (protocol, Some((first, last))) if first == last => write!(f, "{protocol} {first}")?,
            (protocol, Some((first, last))) => write!(f, "{protocol} {first}-{last}")?,
            (protocol, None) => f.write_str(protocol)?,
        }
        write!(f, " {}", self.peer)
    }
}

impl Serialize for KnownRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Resource for SecurityGroup {
    const TYPE: &'static str = "AWS::EC2::SecurityGroup";

    fn needs(&self) -> Vec<Need> {
        self.ingress
            .iter()
            .chain(&self.egress)
            .filter_map(|rule| match &rule.peer {
                Peer::Group(group) => Some(Need::exists(group)),
                Peer::Cidr(_) | Peer::PrefixList(_) => None,
            })
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            description: _,
            vpc,
            ingress,
            egress,
            tags,
        } = self;
        if live.is_none() {
            diff.field("name", name, None);
        }
        diff.field("vpc", vpc, live.map(|live| &live.vpc))
            .replaces();
        diff_rules(
            "ingress",
            ingress,
            live.map(|live| live.ingress.as_slice()),
            diff,
        );
        diff_rules(
            "egress",
            egress,
            live.map(|live| live.egress.as_slice()),
            diff,
        );
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        put_tags(cx.aws(), &live.id, &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let stacks = reader.stack_names();
        let names: Vec<String> = reader
            .wanted::<Self>()
            .map(|(_, _, want)| want.name.clone())
            .collect();
        let by_tag = describe(&reader.aws, vec![filter("tag:mtlsgw:stack", stacks)]);
        // The name finds a group that stands in our place without being ours.
        let by_name = async {
            if names.is_empty() {
                Ok(Vec::new())
            } else {
                describe(&reader.aws, vec![filter("group-name", names)]).await
            }
        };
        let named = reader.named::<Self>();
        let by_id = async {
            if named.is_empty() {
                Ok(Vec::new())
            } else {
                describe(&reader.aws, vec![filter("group-id", named.clone())]).await
            }
        };
        let (by_tag, by_name, by_id) = futures::try_join!(by_tag, by_name, by_id)?;
        let ours: BTreeSet<&str> = by_tag.iter().filter_map(|group| group.group_id()).collect();
        let named = by_id.iter().filter_map(|group| group.group_id());
        let named: BTreeSet<&str> = named.collect();
        let is_named = |group: &&aws_sdk_ec2::types::SecurityGroup| {
            group.group_id().is_some_and(|id| named.contains(id))
        };
        let foreign = by_name.iter().filter(|group| {
            !is_named(group) && !group.group_id().is_some_and(|id| ours.contains(id))
        });
        let by_tag = by_tag.iter().filter(|group| !is_named(group));
        let claimed = by_tag.chain(&by_id);
        let mut found: Vec<Found<Self>> = claimed
            .filter_map(|group| found_by_tags(reader, group))
            .collect();
        found.extend(foreign.flat_map(|group| found_by_name(reader, group)));
        Ok(found)
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let aws = cx.aws();
        let send = aws
            .ec2
            .create_security_group()
            .group_name(&self.name)
            .description(&self.description)
            .vpc_id(&self.vpc)
            .tag_specifications(specification(ResourceType::SecurityGroup, &self.tags))
            .send();
        let created = match aws.call("ec2:CreateSecurityGroup", send).await {
            // An earlier try may have taken effect although its answer was lost.
            Err(error) if error.is("InvalidGroup.Duplicate") => {
                let ours = self.made_before(cx).await?;
                ours.ok_or(error)?
            }
            other => other?.group_id.unwrap_or_default(),
        };
        let id = filter("group-id", vec![created.clone()]);
        let wait = Wait::new("the security group to be known", 2, 60);
        // What a new group lets out depends on the VPC: without IPv6 there is no rule for it.
        let live = cx.wait_until(wait, || async {
            Ok(describe(aws, vec![id.clone()]).await?.pop())
        });
        let live = live_spec(&live.await?);
        self.put_rules(cx, &created, &live).await?;
        Ok(Created::id(created))
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        if touches(changes, "ingress") || touches(changes, "egress") {
            self.put_rules(cx, &live.id, &live.spec).await?;
        }
        if touches(changes, "tags") {
            put_tags(cx.aws(), &live.id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    /// Who came in by another group may still do so on behalf of clients.
    fn retires(&self, live: &Self, changes: &[Change]) -> bool {
        let leaves = |rule: &&Rule| rule.names_group() && !self.ingress.contains(rule);
        touches(changes, "ingress") && live.ingress.iter().any(|rule| leaves(&rule))
    }

    async fn retire(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        let (want, held) = (
            known_rules(cx, &self.ingress)?,
            known_rules(cx, &live.spec.ingress)?,
        );
        let surplus = held.difference(&want).filter(|rule| rule.names_group());
        revoke(cx, &live.id, Direction::Ingress, surplus).await
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        // Network interfaces of a deleted load balancer or endpoint linger for minutes.
        let wait = Wait::new(
            "the network interfaces that use the group to vanish",
            5,
            900,
        )
        .at_most(cx.timeout("security_group"));
        let in_use = |error: &Error| {
            error.is_code("DependencyViolation") || error.is_code("InvalidGroup.InUse")
        };
        cx.retry_while(wait, in_use, || async {
            let send = cx
                .aws()
                .ec2
                .delete_security_group()
                .group_id(&live.id)
                .send();
            match cx.aws().call("ec2:DeleteSecurityGroup", send).await {
                // Rules do not vanish by waiting.
                Err(error) if error.is("DependencyViolation") => {
                    let rules = named_by(cx.aws(), live).await?;
                    Err(if rules.is_empty() {
                        error.into()
                    } else {
                        still_named(cx, &rules)
                    })
                }
                other => tolerate(other, &["InvalidGroup.NotFound"]),
            }
        })
        .await
    }

    async fn foreign_children(reader: &Reader, live: &Found<Self>) -> Result<Vec<String>> {
        named_by(&reader.aws, live).await
    }
}

impl SecurityGroup {
    /// The group of this name, if it is the one that these tags say.
    async fn made_before(&self, cx: &Cx) -> Result<Option<String>> {
        let by_name = vec![
            filter("group-name", vec![self.name.clone()]),
            filter("vpc-id", vec![self.vpc.clone()]),
        ];
        let same =
            |tags: Tags| tags.stack() == self.tags.stack() && tags.address() == self.tags.address();
        let found = describe(cx.aws(), by_name).await?;
        let ours = found.into_iter().find(|group| same(live_spec(group).tags));
        Ok(ours.and_then(|group| group.group_id))
    }

    /// Authorizes what is missing before revoking what is too much, so that no open connection is cut off.
    ///
    /// Who comes in by another group is left to [`Resource::retire`].
    async fn put_rules(&self, cx: &Cx, id: &str, live: &Self) -> Result<()> {
        let known = |rules: &[Rule]| known_rules(cx, rules);
        let (ingress, live_ingress) = (known(&self.ingress)?, known(&live.ingress)?);
        let (egress, live_egress) = (known(&self.egress)?, known(&live.egress)?);
        authorize(
            cx,
            id,
            Direction::Ingress,
            ingress.difference(&live_ingress),
        )
        .await?;
        authorize(cx, id, Direction::Egress, egress.difference(&live_egress)).await?;
        revoke(
            cx,
            id,
            Direction::Ingress,
            live_ingress
                .difference(&ingress)
                .filter(|rule| !rule.names_group()),
        )
        .await?;
        revoke(cx, id, Direction::Egress, live_egress.difference(&egress)).await
    }
}

/// The rules with the groups that they name, all of which exist by now.
fn known_rules(cx: &Cx, rules: &[Rule]) -> Result<BTreeSet<KnownRule>> {
    let unknown = || {
        let message = "a group that a rule refers to is not known yet";
        Error::step(&cx.address, message)
    };
    let known = rules.iter().map(|rule| {
        let known = rule.known(|group| cx.value(group).ok());
        known.ok_or_else(unknown)
    });
    known.collect()
}

/// The rules of others' groups that name a group, which keep it from being deleted.
async fn named_by(aws: &Aws, live: &Found<SecurityGroup>) -> Result<Vec<String>> {
    let naming = |rules: &str| {
        let filter = filter(&format!("{rules}.group-id"), vec![live.id.clone()]);
        describe(aws, vec![filter])
    };
    let (ingress, egress) =
        futures::try_join!(naming("ip-permission"), naming("egress.ip-permission"))?;
    let all = ingress.iter().chain(&egress);
    let foreign = all.filter(|group| live_spec(group).tags.stack() != Some(&live.stack));
    let ids: BTreeSet<&str> = foreign.filter_map(|group| group.group_id()).collect();
    Ok(ids
        .into_iter()
        .map(|id| format!("the rules of the security group {id} that name it"))
        .collect())
}

fn still_named(cx: &Cx, rules: &[String]) -> Error {
    Error::Step {
        address: cx.address.clone(),
        message: format!("AWS does not delete it because of {}", rules.join(", ")),
        hint: Some("remove those rules, then run the same command again".to_owned()),
    }
}

/// Compares rules as sets; a rule whose group this plan makes is known only during apply.
fn diff_rules(path: &str, want: &[Rule], live: Option<&[Rule]>, diff: &mut Diff<'_>) {
    diff.compares(path);
    let known = |rules: &[Rule], diff: &Diff<'_>| -> Option<BTreeSet<KnownRule>> {
        rules
            .iter()
            .map(|rule| rule.known(|group| diff.resolve(group)))
            .collect()
    };
    let live = live.map(|rules| known(rules, diff).unwrap_or_default());
    let Some(want) = known(want, diff) else {
        let moving = want.iter().find_map(|rule| match &rule.peer {
            Peer::Group(group) if diff.resolve(group).is_none() => Some(group.clone()),
            _ => None,
        });
        let before = serde_json::to_value(&live).unwrap_or_default();
        if let Some(moving) = moving {
            diff.unknown(path, before, &moving);
        }
        return;
    };
    let wider = |live: &BTreeSet<KnownRule>| {
        let uncovered = |rule: &&KnownRule| !live.iter().any(|live| live.covers(rule));
        let mut new = want.iter().filter(uncovered);
        new.any(|rule| rule.peer.contains('/'))
    };
    let widens = path == "ingress" && live.as_ref().is_some_and(wider);
    diff.field(path, &want, live.as_ref()).widens_if(|| widens);
}

/// Which way a rule points.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

async fn authorize<'a>(
    cx: &Cx,
    id: &str,
    direction: Direction,
    rules: impl Iterator<Item = &'a KnownRule>,
) -> Result<()> {
    let permissions: Vec<IpPermission> = rules.map(permission).collect();
    if permissions.is_empty() {
        return Ok(());
    }
    // A group that has just been made may not be known everywhere yet.
    let wait = Wait::new("the security group to be known", 2, 60);
    let unknown = |error: &Error| error.is_code("InvalidGroup.NotFound");
    cx.retry_while(wait, unknown, || async {
        let (ec2, permissions) = (&cx.aws().ec2, Some(permissions.clone()));
        let done = if direction == Direction::Ingress {
            let send = ec2
                .authorize_security_group_ingress()
                .group_id(id)
                .set_ip_permissions(permissions)
                .send();
            cx.aws()
                .call("ec2:AuthorizeSecurityGroupIngress", send)
                .await
                .map(drop)
        } else {
            let send = ec2
                .authorize_security_group_egress()
                .group_id(id)
                .set_ip_permissions(permissions)
                .send();
            cx.aws()
                .call("ec2:AuthorizeSecurityGroupEgress", send)
                .await
                .map(drop)
        };
        tolerate(done, &["InvalidPermission.Duplicate"])
    })
    .await
}

async fn revoke<'a>(
    cx: &Cx,
    id: &str,
    direction: Direction,
    rules: impl Iterator<Item = &'a KnownRule>,
) -> Result<()> {
    let permissions: Vec<IpPermission> = rules.map(permission).collect();
    if permissions.is_empty() {
        return Ok(());
    }
    let (ec2, permissions) = (&cx.aws().ec2, Some(permissions));
    let done = if direction == Direction::Ingress {
        let send = ec2
            .revoke_security_group_ingress()
            .group_id(id)
            .set_ip_permissions(permissions)
            .send();
        cx.aws()
            .call("ec2:RevokeSecurityGroupIngress", send)
            .await
            .map(drop)
    } else {
        let send = ec2
            .revoke_security_group_egress()
            .group_id(id)
            .set_ip_permissions(permissions)
            .send();
        cx.aws()
            .call("ec2:RevokeSecurityGroupEgress", send)
            .await
            .map(drop)
    };
    tolerate(done, &["InvalidPermission.NotFound"])
}

async fn describe(
    aws: &Aws,
    filters: Vec<Filter>,
) -> Result<Vec<aws_sdk_ec2::types::SecurityGroup>> {
    pages(async |next| {
        let send = aws
            .ec2
            .describe_security_groups()
            .set_filters(Some(filters.clone()))
            .set_next_token(next)
            .send();
        let page = aws.call("ec2:DescribeSecurityGroups", send).await?;
        Ok((page.security_groups.unwrap_or_default(), page.next_token))
    })
    .await
}

fn found_by_tags(
    reader: &Reader,
    group: &aws_sdk_ec2::types::SecurityGroup,
) -> Option<Found<SecurityGroup>> {
    let mut spec = live_spec(group);
    let tags = std::mem::take(&mut spec.tags);
    spec.tags = reader.claimed::<SecurityGroup>(group.group_id()?, tags, |_, _| false);
    if !reader.has_stack(spec.tags.stack()?) {
        return None;
    }
    Some(Found {
        stack: spec.tags.stack()?.to_owned(),
        address: spec.tags.address()?,
        id: group.group_id()?.to_owned(),
        owner: Owner::Ours,
        protected: spec.tags.protected(),
        retained: None,
        spec,
        outputs: Outputs::new(),
    })
}

/// A group of the wanted name in the wanted VPC without our tags.
fn found_by_name(
    reader: &Reader,
    group: &aws_sdk_ec2::types::SecurityGroup,
) -> Vec<Found<SecurityGroup>> {
    let mut spec = live_spec(group);
    let id = group.group_id().unwrap_or_default();
    let (name, vpc) = (&spec.name, &spec.vpc);
    let stands_for = |want: &SecurityGroup| want.name == *name && want.vpc == *vpc;
    spec.tags = reader.claimed::<SecurityGroup>(id, spec.tags.clone(), |_, want| stands_for(want));
    let owner = |name: &str| {
        if spec.tags.is_pretended() {
            return Owner::Ours;
        }
        Owner::Foreign(format!(
            "the security group `{name}` ({id}) exists and is not this stack's"
        ))
    };
    reader
        .wanted::<SecurityGroup>()
        .filter(|(_, _, want)| want.name == spec.name && want.vpc == spec.vpc)
        .map(|(scope, address, want)| Found {
            stack: scope.name.clone(),
            address: address.clone(),
            id: id.to_owned(),
            owner: owner(&want.name),
            protected: None,
            retained: None,
            spec: spec.clone(),
            outputs: Outputs::new(),
        })
        .collect()
}

fn live_spec(group: &aws_sdk_ec2::types::SecurityGroup) -> SecurityGroup {
    let tags = group.tags().iter().map(|tag| {
        (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        )
    });
    SecurityGroup {
        name: group.group_name().unwrap_or_default().to_owned(),
        description: group.description().unwrap_or_default().to_owned(),
        vpc: group.vpc_id().unwrap_or_default().to_owned(),
        ingress: group.ip_permissions().iter().flat_map(rules).collect(),
        egress: group
            .ip_permissions_egress()
            .iter()
            .flat_map(rules)
            .collect(),
        tags: Tags::live(tags),
    }
}

/// AWS groups rules by protocol and ports; we compare them one by one.
fn rules(permission: &IpPermission) -> Vec<Rule> {
    let protocol = permission.ip_protocol().unwrap_or("-1").to_owned();
    let ports = permission
        .from_port()
        .zip(permission.to_port())
        .filter(|_| protocol != "-1");
    let ipv4 = permission
        .ip_ranges()
        .iter()
        .filter_map(|range| range.cidr_ip());
    let ipv6 = permission
        .ipv6_ranges()
        .iter()
        .filter_map(|range| range.cidr_ipv6());
    let groups = permission
        .user_id_group_pairs()
        .iter()
        .filter_map(|pair| pair.group_id());
    let lists = permission
        .prefix_list_ids()
        .iter()
        .filter_map(|list| list.prefix_list_id());
    ipv4.chain(ipv6)
        .map(|cidr| Peer::Cidr(cidr.to_owned()))
        .chain(groups.map(|group| Peer::Group(Late::Known(group.to_owned()))))
        .chain(lists.map(|list| Peer::PrefixList(list.to_owned())))
        .map(|peer| Rule {
            protocol: protocol.clone(),
            ports,
            peer,
        })
        .collect()
}

fn permission(rule: &KnownRule) -> IpPermission {
    let permission = IpPermission::builder()
        .ip_protocol(&rule.protocol)
        .set_from_port(rule.ports.map(|(first, _)| first))
        .set_to_port(rule.ports.map(|(_, last)| last));
    match rule.peer.as_str() {
        group if group.starts_with("sg-") => permission
            .user_id_group_pairs(UserIdGroupPair::builder().group_id(group).build())
            .build(),
        list if list.starts_with("pl-") => permission
            .prefix_list_ids(PrefixListId::builder().prefix_list_id(list).build())
            .build(),
        cidr if cidr.contains(':') => permission
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).build())
            .build(),
        cidr => permission
            .ip_ranges(IpRange::builder().cidr_ip(cidr).build())
            .build(),
    }
}

/// Security groups by their ids, of whomever they are, each with the ids of the groups whose rules name it.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(
    aws: &Aws,
    ids: &[String],
) -> Result<Vec<(String, SecurityGroup, BTreeSet<String>)>> {
    let described = describe(aws, vec![filter("group-id", ids.to_vec())]).await?;
    let look = described.iter().map(async |group| {
        let id = group.group_id().unwrap_or_default().to_owned();
        let naming = |rules: &str| {
            let filter = filter(&format!("{rules}.group-id"), vec![id.clone()]);
            describe(aws, vec![filter])
        };
        let (ingress, egress) =
            futures::try_join!(naming("ip-permission"), naming("egress.ip-permission"))?;
        let naming = ingress.into_iter().chain(egress);
        let naming = naming.filter_map(|group| group.group_id);
        let naming = naming.filter(|other| *other != id).collect();
        Ok::<_, Error>((id.clone(), live_spec(group), naming))
    });
    futures::future::try_join_all(look).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Address, Until};

    fn group(ingress: Vec<Rule>) -> SecurityGroup {
        SecurityGroup {
            name: "mtlsgw-shop-load-balancer".to_owned(),
            description: "shop".to_owned(),
            vpc: "vpc-1".to_owned(),
            ingress,
            egress: vec![],
            tags: Tags::default(),
        }
    }

    fn changes(want: &SecurityGroup, live: &SecurityGroup) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
    }

    #[test]
    fn a_rule_more_widens_access_and_a_rule_less_does_not() {
        let closed = group(vec![]);
        let open = group(vec![Rule::tcp(443, Peer::Cidr("0.0.0.0/0".to_owned()))]);
        assert!(changes(&open, &closed)[0].widens);
        assert!(!changes(&closed, &open)[0].widens);
    }

    #[test]
    fn a_narrower_range_does_not_widen_access_and_another_one_does() {
        let from = |cidr: &str| group(vec![Rule::tcp(443, Peer::Cidr(cidr.to_owned()))]);
        let widens = |want: &str, live: &str| changes(&from(want), &from(live))[0].widens;
        assert!(!widens("10.0.0.0/8", "0.0.0.0/0"));
        assert!(!widens("10.1.2.0/24", "10.0.0.0/8"));
        assert!(!widens("2001:db8::/32", "::/0"));
        assert!(widens("0.0.0.0/0", "10.0.0.0/8"));
        assert!(widens("11.0.0.0/8", "10.0.0.0/8"));
        assert!(widens("::/0", "0.0.0.0/0"));
    }

    #[test]
    fn the_order_of_rules_means_nothing() {
        let (a, b) = (
            Peer::Cidr("10.0.0.0/8".to_owned()),
            Peer::Cidr("192.0.2.0/24".to_owned()),
        );
        let one = group(vec![Rule::tcp(443, a.clone()), Rule::tcp(443, b.clone())]);
        let other = group(vec![Rule::tcp(443, b), Rule::tcp(443, a)]);
        assert_eq!(changes(&one, &other), vec![]);
    }

    #[test]
    fn rules_of_prefix_lists_are_seen_and_revoked_as_such() {
        let list = PrefixListId::builder().prefix_list_id("pl-1").build();
        let live = IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(443)
            .to_port(443)
            .prefix_list_ids(list)
            .build();
        let rules = rules(&live);
        assert_eq!(rules, [Rule::tcp(443, Peer::PrefixList("pl-1".to_owned()))]);
        let known = rules[0].known(|_| None).unwrap();
        assert_eq!(permission(&known), live);
        assert_eq!(changes(&group(vec![]), &group(rules))[0].path, "ingress");
    }

    #[test]
    fn a_group_of_the_same_plan_is_known_after_it_is_made() {
        let load_balancer = Address::parse("load_balancer.security_group");
        let want = group(vec![Rule::tcp(443, Peer::Group(Late::id(&load_balancer)))]);
        let change = &changes(&want, &group(vec![]))[0];
        assert!(change.after_unknown);
        assert_eq!(
            want.needs(),
            vec![Need::address(&load_balancer, Until::Exists)]
        );
    }
}
