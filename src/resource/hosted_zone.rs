//! A private hosted zone, in which the VPC finds the network load balancer by a name.
//!
//! Natural key: the caller's reference with which it was made, because AWS takes no tags with the
//! creation; of one that was adopted, its tags. Its name is fixed. It goes before the network load balancer does,
//! so zones are looked for only where one could be. VPCs that somebody else has associated stay.
//!
//! IAM: `route53:ListHostedZones`, `GetHostedZone`, `ListTagsForResource`, `ListTagsForResources`, `CreateHostedZone`,
//! `ChangeTagsForResource`, `AssociateVPCWithHostedZone`, `ListResourceRecordSets`,
//! `ChangeResourceRecordSets`, `DeleteHostedZone`; `ec2:DescribeVpcs`.
//! AWS: Route 53 API Reference, `CreateHostedZone`; Developer Guide, "Working with private hosted zones".

use std::collections::BTreeMap;

use aws_sdk_route53::types::{
    Change as RecordChange, ChangeAction, ChangeBatch, HostedZone as Described, HostedZoneConfig,
    ResourceRecordSet, ResourceTagSet, RrType, Tag, TagResourceType, Vpc, VpcRegion,
};
use futures::future::try_join_all;

use super::context::Wait;
use super::{
    Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until,
    load_balancer, record_set,
};
use crate::aws::tags::Tags;
use crate::aws::{Aws, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// A private hosted zone of ours.
#[derive(Debug, Clone)]
pub(crate) struct HostedZone {
    /// Lower case, without the trailing dot; fixed.
    pub(crate) name: String,
    /// The VPC that finds it; of a live one, ours if that does, or else the first that does.
    pub(crate) vpc: String,
    /// The load balancer that its record leads to, which it goes before; not compared.
    pub(crate) load_balancer: Vec<Late<String>>,
    /// Its tags.
    pub(crate) tags: Tags,
}

impl Resource for HostedZone {
    const TYPE: &'static str = "AWS::Route53::HostedZone";

    fn needs(&self) -> Vec<Need> {
        let needs = self.load_balancer.iter();
        needs.map(|one| Need::of(one, Until::Created)).collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            vpc,
            load_balancer: _,
            tags,
        } = self;
        diff.field("name", name, live.map(|live| &live.name))
            .replaces();
        diff.field("vpc", vpc, live.map(|live| &live.vpc));
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        put_tags(cx, &live.id, &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let is_wanted = reader.wanted::<Self>().next().is_some();
        if !is_wanted && !load_balancer::may_have_network(reader).await? {
            return Ok(Vec::new());
        }
        let listed = list(&reader.aws).await?;
        let tags = tags_of_unmarked(&reader.aws, &listed).await?;
        let found = listed
            .iter()
            .map(|one| found(reader, one, tags.get(&id(one))));
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let aws = cx.aws();
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let prefix = mark(&aws.region, cx.stack(), &cx.address);
        let reference = format!("{prefix}{now}-{}", &cx.token(&self.name)[..8]);
        let vpc = Vpc::builder()
            .vpc_id(&self.vpc)
            .vpc_region(VpcRegion::from(aws.region.as_str()))
            .build();
        let config = HostedZoneConfig::builder().private_zone(true).build();
        let send = aws
            .route53
            .create_hosted_zone()
            .name(&self.name)
            .caller_reference(&reference)
            .vpc(vpc)
            .hosted_zone_config(config)
            .send();
        let id = match aws.call("route53:CreateHostedZone", send).await {
            // The answer to an earlier attempt was lost.
            Err(error) if error.is("HostedZoneAlreadyExists") => {
                let listed = list(aws).await?;
                let made = listed.iter().find(|one| one.caller_reference == reference);
                made.map(id).ok_or(error)?
            }
            Err(error) if error.is("ConflictingDomainExists") => {
                return Err(Error::Step {
                    address: cx.address.clone(),
                    message: Error::from(error).without_address(),
                    hint: Some(format!(
                        "the VPC finds a zone `{}` already: write that one's id as `private_zone`, or take another name",
                        self.name
                    )),
                });
            }
            other => {
                let made = other?.hosted_zone;
                let made = made.as_ref().map(id);
                made.ok_or_else(|| Error::step(&cx.address, "AWS made no hosted zone"))?
            }
        };
        put_tags(cx, &id, &self.tags, &Tags::default()).await?;
        Ok(Created::id(id))
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        if touches(changes, "vpc") {
            let vpc = Vpc::builder()
                .vpc_id(&self.vpc)
                .vpc_region(VpcRegion::from(cx.aws().region.as_str()))
                .build();
            let associate = cx.aws().route53.associate_vpc_with_hosted_zone();
            let send = associate.hosted_zone_id(&live.id).vpc(vpc).send();
            cx.aws()
                .call("route53:AssociateVPCWithHostedZone", send)
                .await?;
        }
        if touches(changes, "tags") {
            put_tags(cx, &live.id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    /// Deletes what else is in it, too: nobody gets here without having agreed to that.
    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        empty(cx, &live.id, &live.spec.name).await?;
        let wait = Wait::new("an earlier change of the zone", 2, 120);
        let passes = |error: &Error| error.is_code("PriorRequestNotComplete");
        cx.retry_while(wait, passes, async || {
            let send = cx.aws().route53.delete_hosted_zone().id(&live.id).send();
            tolerate(
                cx.aws().call("route53:DeleteHostedZone", send).await,
                &["NoSuchHostedZone"],
            )
        })
        .await
    }

    async fn foreign_children(reader: &Reader, live: &Found<Self>) -> Result<Vec<String>> {
        let records = reader.found::<record_set::RecordSet>().await?;
        let is_ours = |set: &ResourceRecordSet| {
            records.iter().any(|one| {
                one.owner == Owner::Ours && one.spec.held.as_ref().is_some_and(|held| held == set)
            })
        };
        let sets = contents(&reader.aws, &live.id, &live.spec.name).await?;
        let foreign = sets.iter().filter(|set| !is_ours(set));
        Ok(foreign.map(in_words).collect())
    }
}

/// What the caller's references of all our zones begin with.
const MARK: &str = "mtlsgw/";

/// What the caller's reference of a zone of ours begins with, from the moment on that it exists.
fn mark(region: &str, stack: &str, address: &Address) -> String {
    format!("{MARK}{region}/{stack}/{address}/")
}

/// The stack and the address that a caller's reference names, where it is of this region.
fn marked<'a>(region: &str, reference: &'a str) -> Option<(&'a str, Address)> {
    let rest = reference.strip_prefix(MARK)?.strip_prefix(region)?;
    let mut parts = rest.strip_prefix('/')?.splitn(3, '/');
    let (stack, address, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some((stack, Address::parse(address)))
}

/// All private zones of the account.
async fn list(aws: &Aws) -> Result<Vec<Described>> {
    let all = pages(async |marker| {
        let send = aws.route53.list_hosted_zones().set_marker(marker).send();
        let page = aws.call("route53:ListHostedZones", send).await?;
        let next = page.next_marker.filter(|_| page.is_truncated);
        Ok((page.hosted_zones, next))
    });
    let mut all = all.await?;
    all.retain(|zone| zone.config().is_some_and(|config| config.private_zone));
    Ok(all)
}

/// What a zone is to the stacks of the run: ours by its mark or its tags, or in the way by its name and
/// VPC.
async fn found(
    reader: &Reader,
    described: &Described,
    tags: Option<&Tags>,
) -> Result<Vec<Found<HostedZone>>> {
    let (id, name) = (id(described), name(described));
    let marked = marked(&reader.aws.region, &described.caller_reference);
    let marked = marked.filter(|(stack, _)| reader.has_stack(stack));
    let wanting: Vec<_> = reader
        .wanted::<HostedZone>()
        .filter(|(_, _, want)| want.name == name)
        .collect();
    let tagged = tags.map(|tags| reader.claimed::<HostedZone>(&id, tags.clone(), |_, _| false));
    let tagged = tagged.filter(|tags| tags.stack().is_some_and(|stack| reader.has_stack(stack)));
    if marked.is_none() && tagged.is_none() && wanting.is_empty() {
        return Ok(Vec::new());
    }
    let read_tags = async || match (tagged.as_ref(), tags) {
        (Some(tags), _) | (None, Some(tags)) => Ok(tags.clone()),
        (None, None) => tags_of(&reader.aws, &id).await,
    };
    let (vpcs, tags) = futures::try_join!(vpcs(&reader.aws, &id), read_tags())?;
    // Tags do not say the region, which the VPC does.
    let tagged = tagged.filter(|_| !vpcs.is_empty());
    let place = marked.or_else(|| {
        let tags = tagged.as_ref()?;
        Some((tags.stack()?, tags.address()?))
    });
    let spec = |vpc: Option<&str>| HostedZone {
        name: name.clone(),
        vpc: vpc
            .filter(|vpc| vpcs.iter().any(|one| one == vpc))
            .or(vpcs.first().map(String::as_str))
            .unwrap_or_default()
            .to_owned(),
        load_balancer: Vec::new(),
        tags: tags.clone(),
    };
    let found = |stack: &str, address: &Address, owner: Owner, spec: HostedZone| Found {
        stack: stack.to_owned(),
        address: address.clone(),
        id: id.clone(),
        owner,
        protected: tags.protected(),
        retained: None,
        spec,
        outputs: Outputs::new(),
    };
    if let Some((stack, address)) = place {
        let want = reader.wanted_in::<HostedZone>(stack);
        let mut spec = spec(want.get(&address).map(|want| want.vpc.as_str()));
        spec.load_balancer = network_load_balancers(reader, stack).await?;
        return Ok(vec![found(stack, &address, Owner::Ours, spec)]);
    }
    let in_the_way = wanting
        .into_iter()
        .filter(|(_, _, want)| vpcs.contains(&want.vpc));
    let whose =
        format!("the private zone `{name}` ({id}) exists for the VPC and is not this stack's");
    let found = in_the_way.map(|(scope, address, want)| {
        let owner = Owner::Foreign(whose.clone());
        found(&scope.name, address, owner, spec(Some(&want.vpc)))
    });
    Ok(found.collect())
}

/// The network load balancers of a stack, which its zone's record may lead to.
async fn network_load_balancers(reader: &Reader, stack: &str) -> Result<Vec<Late<String>>> {
    let found = reader.found::<load_balancer::LoadBalancer>().await?;
    let ours = found.iter().filter(|one| {
        one.stack == stack
            && one.owner == Owner::Ours
            && one.spec.kind == load_balancer::Type::Network
    });
    Ok(ours.map(|one| Late::Known(one.id.clone())).collect())
}

/// A private zone of whomever.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The VPCs that find it, in whatever region.
    pub(crate) vpcs: Vec<String>,
    /// The stack that it belongs to.
    pub(crate) stack: Option<String>,
    /// What is in it beside the record of a name, each in words.
    pub(crate) others: Vec<String>,
}

/// A private zone as somebody has made it, and what else than the records of `name` is in it.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, id: &str, apex: &str, name: &str) -> Result<Looked> {
    let (vpcs, tags, sets) =
        futures::try_join!(all_vpcs(aws, id), tags_of(aws, id), contents(aws, id, apex))?;
    let is_its = |set: &&ResourceRecordSet| {
        let of_name = set.name().trim_end_matches('.').eq_ignore_ascii_case(name);
        of_name && *set.r#type() == RrType::A
    };
    let others = sets.iter().filter(|set| !is_its(set)).map(in_words);
    Ok(Looked {
        vpcs: vpcs.into_iter().filter_map(|vpc| vpc.vpc_id).collect(),
        stack: tags.stack().map(str::to_owned),
        others: others.collect(),
    })
}

fn in_words(set: &ResourceRecordSet) -> String {
    let name = set.name().trim_end_matches('.');
    format!("the record {name} {}", set.r#type())
}

fn id(described: &Described) -> String {
    described.id.trim_start_matches("/hostedzone/").to_owned()
}

fn name(described: &Described) -> String {
    described.name.trim_end_matches('.').to_ascii_lowercase()
}

/// The VPCs of this region that find a zone.
async fn vpcs(aws: &Aws, id: &str) -> Result<Vec<String>> {
    let all = all_vpcs(aws, id).await?.into_iter();
    let here = all.filter(|vpc| {
        vpc.vpc_region()
            .is_none_or(|region| region.as_str() == aws.region)
    });
    Ok(here.filter_map(|vpc| vpc.vpc_id).collect())
}

/// The VPCs that find a zone.
async fn all_vpcs(aws: &Aws, id: &str) -> Result<Vec<Vpc>> {
    let send = aws.route53.get_hosted_zone().id(id).send();
    let answer = aws.call("route53:GetHostedZone", send).await?;
    Ok(answer.vpcs.unwrap_or_default())
}

async fn tags_of(aws: &Aws, id: &str) -> Result<Tags> {
    let send = aws
        .route53
        .list_tags_for_resource()
        .resource_type(TagResourceType::Hostedzone)
        .resource_id(id)
        .send();
    let answer = match aws.call("route53:ListTagsForResource", send).await {
        Err(error) if error.is("NoSuchHostedZone") => return Ok(Tags::default()),
        other => other?,
    };
    Ok(answer
        .resource_tag_set
        .as_ref()
        .map(live_tags)
        .unwrap_or_default())
}

fn live_tags(set: &ResourceTagSet) -> Tags {
    let pair = |tag: &Tag| {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        (text(tag.key()), text(tag.value()))
    };
    Tags::live(set.tags().iter().map(pair))
}

/// The tags of the zones that do not say themselves whose they are, by id: one that was adopted has
/// nothing else.
async fn tags_of_unmarked(aws: &Aws, zones: &[Described]) -> Result<BTreeMap<String, Tags>> {
    let unmarked = zones
        .iter()
        .filter(|zone| !zone.caller_reference.starts_with(MARK));
    let ids: Vec<String> = unmarked.map(id).collect();
    let read = ids.chunks(TAGS_AT_ONCE).map(async |ids| {
        let send = aws
            .route53
            .list_tags_for_resources()
            .resource_type(TagResourceType::Hostedzone)
            .set_resource_ids(Some(ids.to_vec()))
            .send();
        match aws.call("route53:ListTagsForResources", send).await {
            // One that has just been deleted spoils the answer for all.
            Err(error) if error.is("NoSuchHostedZone") => {
                let each = ids
                    .iter()
                    .map(async |id| Ok((id.clone(), tags_of(aws, id).await?)));
                try_join_all(each).await
            }
            other => {
                let sets = other?.resource_tag_sets.into_iter();
                let tags = sets.map(|set| {
                    let id = set.resource_id().unwrap_or_default().to_owned();
                    (id, live_tags(&set))
                });
                Ok::<_, Error>(tags.collect())
            }
        }
    });
    Ok(try_join_all(read).await?.into_iter().flatten().collect())
}

/// How many tags one call may add or remove, and of how many zones one tells them.
const TAGS_AT_ONCE: usize = 10;

async fn put_tags(cx: &Cx, id: &str, want: &Tags, live: &Tags) -> Result<()> {
    let (set, removed) = want.changes(live);
    let change = || {
        let change = cx.aws().route53.change_tags_for_resource();
        change
            .resource_type(TagResourceType::Hostedzone)
            .resource_id(id)
    };
    // `mtlsgw:tags` goes on naming what leaves until it has left.
    for keys in removed.chunks(TAGS_AT_ONCE) {
        let send = change().set_remove_tag_keys(Some(keys.to_vec())).send();
        cx.aws().call("route53:ChangeTagsForResource", send).await?;
    }
    for pairs in set.chunks(TAGS_AT_ONCE) {
        let tag = |(key, value): &(String, String)| Tag::builder().key(key).value(value).build();
        let tags = pairs.iter().map(tag).collect();
        let send = change().set_add_tags(Some(tags)).send();
        cx.aws().call("route53:ChangeTagsForResource", send).await?;
    }
    Ok(())
}

/// What is in a zone but what every zone has.
pub(super) async fn contents(aws: &Aws, id: &str, apex: &str) -> Result<Vec<ResourceRecordSet>> {
    let send = aws.route53.list_resource_record_sets().hosted_zone_id(id);
    let answer = match aws
        .call("route53:ListResourceRecordSets", send.send())
        .await
    {
        Err(error) if error.is("NoSuchHostedZone") => return Ok(Vec::new()),
        other => other?,
    };
    let mut sets = answer.resource_record_sets;
    sets.retain(|set| {
        let at_apex = set.name().trim_end_matches('.').eq_ignore_ascii_case(apex);
        !(at_apex && matches!(set.r#type(), RrType::Ns | RrType::Soa))
    });
    Ok(sets)
}

/// AWS deletes empty zones only.
async fn empty(cx: &Cx, id: &str, apex: &str) -> Result<()> {
    let sets = contents(cx.aws(), id, apex).await?;
    if sets.is_empty() {
        return Ok(());
    }
    let incomplete =
        |error: aws_sdk_route53::error::BuildError| Error::step(&cx.address, error.to_string());
    let changes = sets.into_iter().map(|set| {
        RecordChange::builder()
            .action(ChangeAction::Delete)
            .resource_record_set(set)
            .build()
    });
    let changes = changes.collect::<Result<Vec<_>, _>>().map_err(incomplete)?;
    let batch = ChangeBatch::builder().set_changes(Some(changes)).build();
    let batch = batch.map_err(incomplete)?;
    let change = cx.aws().route53.change_resource_record_sets();
    let send = change.hosted_zone_id(id).change_batch(batch).send();
    cx.aws()
        .call("route53:ChangeResourceRecordSets", send)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_known_by_its_mark_before_it_has_tags() {
        let address = Address::parse("network_load_balancer.zone");
        let reference = format!("{}1764300000-1a2b3c4d", mark("eu-west-1", "shop", &address));
        assert!(reference.len() <= 128);
        assert_eq!(
            marked("eu-west-1", &reference),
            Some(("shop", address.clone()))
        );
        assert_eq!(marked("eu-west-2", &reference), None);
        assert_eq!(marked("eu-west", &reference), None);
        assert_eq!(marked("eu-west-1", "terraform-20260101"), None);
    }
}
