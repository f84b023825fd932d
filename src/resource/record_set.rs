//! The alias record by which clients find the gateway.
//!
//! Natural key: zone, name and type. Records have no tags; where ours are is remembered by tags
//! `mtlsgw:record` of the load balancer and of the custom domains, written before the record and
//! removed after it, and whose a record there is tells its target: one that only this stack can
//! have made, or that is remembered too. The record is written last and waits for everything
//! behind it.
//!
//! IAM: `route53:ListResourceRecordSets`, `ChangeResourceRecordSets`, `GetChange`;
//! `elasticloadbalancing:RemoveTags`; apigateway:DELETE on /tags/*.
//! AWS: Route 53 API Reference, `AliasTarget`, `ChangeResourceRecordSets`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_route53::types::{
    AliasTarget, Change as RecordChange, ChangeAction, ChangeBatch, ChangeStatus,
    ResourceRecordSet, RrType,
};
use futures::future::try_join_all;

use sha2::{Digest, Sha256};

use super::context::{Wait, hex};
use super::domain_name::DomainName;
use super::hosted_zone::{self, HostedZone};
use super::listener::Listener;
use super::load_balancer::LoadBalancer;
use super::{Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until};
use super::{elbv2, rest_api};
use crate::aws::tags::Tags;
use crate::aws::{Aws, pages};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// What begins the key of a tag that remembers a place; a digest of the place follows.
const RECORD: &str = "mtlsgw:record";

/// For how long clients keep an answer: the time to live of an alias to AWS's own names.
const TIME_TO_LIVE: Duration = Duration::from_mins(1);

/// An alias record.
#[derive(Debug, Clone)]
pub(crate) struct RecordSet {
    /// The hosted zone's id.
    pub(crate) zone: Late<String>,
    /// Full name, lower case, no trailing dot.
    pub(crate) name: String,
    /// `A` or `AAAA`.
    pub(crate) record_type: String,
    /// The DNS name it points to, lower case, without `dualstack.` and trailing dot.
    pub(crate) alias_dns_name: Late<String>,
    /// The zone of that name.
    pub(crate) alias_zone: Late<String>,
    /// Whether Route 53 asks the target for its health.
    pub(crate) evaluate_target_health: bool,
    /// Whether a record of somebody else's may be taken over.
    pub(crate) overwrite: Overwrite,
    /// What has to work before clients are sent there.
    pub(crate) destinations: Vec<Address>,
    /// The record of the same name that makes room first, where one of somebody else's is taken over.
    pub(crate) makes_room: Option<Address>,
    /// Of a live one, the ids of the listeners that clients may reach by it.
    pub(crate) leads_to: Vec<String>,
    /// The record as Route 53 holds it; deleting has to repeat it.
    pub(crate) held: Option<ResourceRecordSet>,
    /// Tags of a live one that remember it and that nothing wants any more; they go with it.
    pub(crate) forgets: Vec<(Holder, Tags)>,
}

/// Something tagged that remembers records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A load balancer or listener, by its ARN.
    Elb(String),
    /// A custom domain, by its name.
    Domain(String),
}

/// Whether a record of somebody else's may be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overwrite {
    /// It is a conflict.
    Refuse,
    /// It is changed to ours.
    Allow,
}

impl Resource for RecordSet {
    const TYPE: &'static str = "AWS::Route53::RecordSet";

    const MOVES_CLIENTS: bool = true;

    fn needs(&self) -> Vec<Need> {
        // Clients may hold the old answer for a minute, so what it points to goes only after that.
        let alias = Need::ready(&self.alias_dns_name).holds_until_gone();
        // The custom domain that answers to the name is known by it.
        let domain = Need::ready(&Late::Known(self.name.clone())).holds_until_gone();
        let listeners = self.leads_to.iter().cloned().map(Late::Known);
        let listeners = listeners.map(|id| Need::ready(&id).holds_until_gone());
        let destinations = self
            .destinations
            .iter()
            .map(|address| Need::address(address, Until::Ready));
        let room = self
            .makes_room
            .iter()
            .map(|address| Need::address(address, Until::Exists));
        let zone = Need::of(&self.zone, Until::Created);
        [alias, domain, zone]
            .into_iter()
            .chain(listeners)
            .chain(destinations)
            .chain(room)
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            zone,
            name,
            record_type,
            alias_dns_name,
            alias_zone,
            evaluate_target_health,
            overwrite: _,
            destinations: _,
            leads_to: _,
            makes_room: _,
            held: _,
            forgets: _,
        } = self;
        diff.late("zone", zone, live.map(|live| &live.zone))
            .replaces();
        diff.field("name", name, live.map(|live| &live.name))
            .replaces();
        // Only a CNAME that is taken over differs here, and one batch puts ours in its place.
        diff.field("type", record_type, live.map(|live| &live.record_type));
        diff.late(
            "alias.dns_name",
            alias_dns_name,
            live.map(|live| &live.alias_dns_name),
        );
        diff.late("alias.zone", alias_zone, live.map(|live| &live.alias_zone));
        let live = live.map(|live| &live.evaluate_target_health);
        diff.field("alias.evaluate_target_health", evaluate_target_health, live);
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let mut targets = targets(reader).await?;
        // Listeners are read late, and mostly remember no other place.
        let early = names(&places(reader, &targets));
        let (mut sets, remembered) =
            futures::try_join!(at_names(reader, early), remembered_by_listeners(reader))?;
        targets.extend(remembered);
        let places = places(reader, &targets);
        let mut late = names(&places);
        late.retain(|name| !sets.contains_key(name));
        sets.extend(at_names(reader, late).await?);
        let mut found = Vec::new();
        for place in &places {
            let sets = sets.get(&place.key()).into_iter().flatten();
            found.extend(sets.filter_map(|set| judge(reader, place, set, &targets)));
        }
        found.extend(in_own_zones(reader, &targets).await?);
        let listeners = reader.found::<Listener>().await?;
        let balancers = reader.found::<LoadBalancer>().await?;
        for record in &mut found {
            let of_stack = listeners
                .iter()
                .filter(|one| one.owner == Owner::Ours && one.stack == record.stack)
                .filter(|one| may_lead_to(&record.spec, &one.spec, &balancers));
            record.spec.leads_to = of_stack.map(|one| one.id.clone()).collect();
        }
        Ok(found)
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let zone = cx.value(&self.zone)?;
        let id = format!("{zone}/{}/{}", self.name, self.record_type);
        let changes = vec![(ChangeAction::Create, self.record(cx)?)];
        let outputs = self.put(cx, changes).await?;
        Ok(Created { id, outputs })
    }

    async fn ready(&self, cx: &Cx, _id: &str) -> Result<Outputs> {
        if let Some(change) = cx.output(&cx.address, "change") {
            in_sync(cx, &change.join("")).await?;
        }
        // What it pointed to before goes after this step.
        if cx.output(&cx.address, "repointed").is_some() {
            until_forgotten(cx).await;
        }
        Ok(Outputs::new())
    }

    /// Deletes and makes it in one batch, which Route 53 refuses if the record is no longer the
    /// one that was planned for.
    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        let held = live.spec.held.iter().cloned();
        let batch = held.map(|held| (ChangeAction::Delete, held));
        let batch = batch.chain([(ChangeAction::Create, self.record(cx)?)]);
        let mut outputs = self.put(cx, batch.collect()).await?;
        if touches(changes, "alias.dns_name") {
            outputs.insert("repointed", vec![cx.value(&self.alias_dns_name)?]);
        }
        forget(cx, live).await?;
        Ok(outputs)
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let held = live.spec.held.iter().cloned();
        let batch = held.map(|held| (ChangeAction::Delete, held)).collect();
        match change(cx, &cx.value(&live.spec.zone)?, batch).await {
            Ok(change) => cx.learn(Outputs::from([("deletion", vec![change])])),
            // Somebody was faster: the record is gone, or is no longer the one that was ours.
            Err(error)
                if error.is_code("InvalidChangeBatch") || error.is_code("NoSuchHostedZone") => {}
            Err(error) => return Err(error),
        }
        forget(cx, live).await
    }

    /// All name servers know it, and the alias's time to live of 60 s has passed at the clients.
    async fn gone(cx: &Cx, _live: &Found<Self>) -> Result<()> {
        if let Some(change) = cx.output(&cx.address, "deletion") {
            in_sync(cx, &change.join("")).await?;
            until_forgotten(cx).await;
        }
        Ok(())
    }
}

impl RecordSet {
    /// The record as Route 53 is to hold it.
    fn record(&self, cx: &Cx) -> Result<ResourceRecordSet> {
        let alias = AliasTarget::builder()
            .hosted_zone_id(cx.value(&self.alias_zone)?)
            .dns_name(cx.value(&self.alias_dns_name)?)
            .evaluate_target_health(self.evaluate_target_health)
            .build()
            .map_err(|error| incomplete(cx, &error))?;
        ResourceRecordSet::builder()
            .name(&self.name)
            .r#type(RrType::from(self.record_type.as_str()))
            .alias_target(alias)
            .build()
            .map_err(|error| incomplete(cx, &error))
    }

    /// Makes the changes after which the record is as it should be.
    async fn put(
        &self,
        cx: &Cx,
        changes: Vec<(ChangeAction, ResourceRecordSet)>,
    ) -> Result<Outputs> {
        match change(cx, &cx.value(&self.zone)?, changes).await {
            Ok(change) => Ok(Outputs::from([("change", vec![change])])),
            // The answer to an earlier attempt was lost, or somebody else wrote there since.
            Err(error) if error.is_code("InvalidChangeBatch") => {
                if self.stands(cx).await? {
                    return Ok(Outputs::new());
                }
                Err(Error::Step {
                    address: cx.address.clone(),
                    message: error.without_address(),
                    hint: Some(format!(
                        "the records at `{}` are not as they were planned for: look what stands there, and plan again",
                        self.name
                    )),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the record is there as it should be.
    async fn stands(&self, cx: &Cx) -> Result<bool> {
        let want = self.record(cx)?;
        let zone = cx.value(&self.zone)?;
        let sets = at_name(cx.aws(), &zone, &self.name).await?;
        let target = |set: &ResourceRecordSet| {
            let alias = set.alias_target()?;
            let zone = alias.hosted_zone_id().to_owned();
            let health = alias.evaluate_target_health();
            Some((plain_alias(alias.dns_name()), zone, health))
        };
        Ok(sets.iter().any(|set| {
            set.r#type() == want.r#type()
                && set.set_identifier().is_none()
                && target(set) == target(&want)
        }))
    }
}

fn incomplete(cx: &Cx, error: &aws_sdk_route53::error::BuildError) -> Error {
    Error::step(&cx.address, error.to_string())
}

/// Changes records in one batch, whole or not at all; gives the change's id.
async fn change(
    cx: &Cx,
    zone: &str,
    changes: Vec<(ChangeAction, ResourceRecordSet)>,
) -> Result<String> {
    let changes = changes.into_iter().map(|(action, record)| {
        RecordChange::builder()
            .action(action)
            .resource_record_set(record)
            .build()
    });
    let batch = changes
        .collect::<Result<Vec<_>, _>>()
        .and_then(|changes| ChangeBatch::builder().set_changes(Some(changes)).build())
        .map_err(|error| incomplete(cx, &error))?;
    let wait = Wait::new("an earlier change of the zone", 2, 120);
    let passes = |error: &Error| error.is_code("PriorRequestNotComplete");
    cx.retry_while(wait, passes, || async {
        let aws = cx.aws();
        let send = aws
            .route53
            .change_resource_record_sets()
            .hosted_zone_id(zone)
            .change_batch(batch.clone())
            .send();
        let answer = aws.call("route53:ChangeResourceRecordSets", send).await?;
        let id = answer.change_info.map(|info| info.id).unwrap_or_default();
        Ok(id.trim_start_matches("/change/").to_owned())
    })
    .await
}

async fn in_sync(cx: &Cx, change: &str) -> Result<()> {
    let wait =
        Wait::new("all name servers to know the record", 10, 1800).at_most(cx.timeout("record"));
    cx.wait_until(wait, || async {
        let send = cx.aws().route53.get_change().id(change).send();
        let answer = cx.aws().call("route53:GetChange", send).await?;
        Ok(answer
            .change_info
            .filter(|info| info.status == ChangeStatus::Insync)
            .map(|_| ()))
    })
    .await
}

/// Waits for as long as clients may go on with the old answer.
async fn until_forgotten(cx: &Cx) {
    cx.tell_waiting("clients to forget the old answer");
    cx.aws().clock.sleep(TIME_TO_LIVE).await;
}

/// Removes the tags that remember a record that has just been deleted or repointed.
///
/// They stay while the name still leads there with the record of another type.
async fn forget(cx: &Cx, live: &Found<RecordSet>) -> Result<()> {
    let RecordSet {
        zone: Late::Known(zone),
        name,
        alias_dns_name: Late::Known(old),
        forgets,
        ..
    } = &live.spec
    else {
        return Ok(());
    };
    if forgets.is_empty() || leads_to(cx.aws(), zone, name, Some(old)).await? {
        return Ok(());
    }
    for (holder, tags) in forgets {
        let removed = match holder {
            Holder::Elb(arn) => elbv2::put_tags(cx, arn, &Tags::default(), tags).await,
            Holder::Domain(name) => {
                let path = format!("/domainnames/{name}");
                rest_api::put_tags(cx, &path, &Tags::default(), tags).await
            }
        };
        match removed {
            Err(error)
                if ["LoadBalancerNotFound", "ListenerNotFound", "NotFound"]
                    .iter()
                    .any(|code| error.is_code(code)) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Whether an alias stands at a name; with `target`, one that leads there.
async fn leads_to(aws: &Aws, zone: &str, name: &str, target: Option<&str>) -> Result<bool> {
    let sets = at_name(aws, zone, name).await?;
    let mut aliases = sets.iter().filter_map(ResourceRecordSet::alias_target);
    Ok(aliases.any(|alias| {
        target.is_none_or(|target| plain_alias(alias.dns_name()) == plain_alias(target))
    }))
}

/// A place of a record as a tag remembers it.
///
/// The key `mtlsgw:record/<digest>` is one for each place, so that remembering another place never
/// overwrites one where the record still is. The value is `<zone id>/<name>`, then `/<address>`
/// unless that is `record`, then `/<target>` where the target does not tell whose the record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The hosted zone's id.
    pub(crate) zone: String,
    /// The record's name, as in [`RecordSet::name`].
    pub(crate) name: String,
    /// `record` or `records.<name>`; the type is added.
    pub(crate) address: Address,
    /// The DNS name of a target that the stack has not made.
    pub(crate) target: Option<String>,
}

impl Memory {
    /// The tag, key and value.
    pub(crate) fn tag(&self) -> (String, String) {
        let Self {
            zone,
            name,
            address,
            target,
        } = self;
        let name = escaped(name);
        let target = target.as_deref().unwrap_or_default();
        let digest = hex(&Sha256::digest(format!("{zone}/{name}/{target}")));
        let value = match (address.as_str(), target) {
            ("record", "") => format!("{zone}/{name}"),
            (address, "") => format!("{zone}/{name}/{address}"),
            (address, target) => format!("{zone}/{name}/{address}/{target}"),
        };
        (format!("{RECORD}/{}", &digest[..8]), value)
    }

    /// What a tag remembers, if it is such a tag.
    fn read(key: &str, value: &str) -> Option<Self> {
        key.strip_prefix(RECORD)?.strip_prefix('/')?;
        let mut parts = value.splitn(4, '/').map(str::to_owned);
        Some(Self {
            zone: parts.next()?,
            name: parts.next()?.replace('@', "*"),
            address: Address::parse(parts.next().as_deref().unwrap_or("record")),
            target: parts.next(),
        })
    }

    /// All that `tags` remember.
    fn all(tags: &Tags) -> impl Iterator<Item = Self> {
        tags.0
            .iter()
            .filter_map(|(key, value)| Self::read(key, value))
    }
}

/// Tag values allow no `*`, and names contain no `@`.
fn escaped(name: &str) -> String {
    name.replace('*', "@")
}

/// Takes out of the live tags of something wanted those that remember a record that still stands.
///
/// Nothing wants them any more; they are removed after the record, never before.
pub(super) async fn take_lingering(
    aws: &Aws,
    want: Option<&Tags>,
    mut tags: Tags,
) -> Result<(Tags, Tags)> {
    let mut lingering = Tags::default();
    let Some(want) = want else {
        return Ok((tags, lingering));
    };
    for (key, value) in tags.clone().0 {
        let Some(memory) = Memory::read(&key, &value).filter(|_| !want.0.contains_key(&key)) else {
            continue;
        };
        let target = memory.target.as_deref();
        if leads_to(aws, &memory.zone, &memory.name, target).await? {
            tags.0.remove(&key);
            lingering.0.insert(key, value);
        }
    }
    Ok((tags, lingering))
}

/// The records at exactly this name; Route 53 lists from a name on and has no filter.
pub(super) async fn at_name(aws: &Aws, zone: &str, name: &str) -> Result<Vec<ResourceRecordSet>> {
    let send = aws
        .route53
        .list_resource_record_sets()
        .hosted_zone_id(zone)
        .start_record_name(name)
        .max_items(20);
    let answer = match aws
        .call("route53:ListResourceRecordSets", send.send())
        .await
    {
        Err(error) if error.is("NoSuchHostedZone") => return Ok(Vec::new()),
        other => other?,
    };
    let same = |set: &ResourceRecordSet| plain_name(set.name()) == plain_name(name);
    Ok(answer
        .resource_record_sets
        .into_iter()
        .filter(same)
        .collect())
}

/// A name as people write it: lower case, no trailing dot, octal escapes undone (`\052` is `*`).
fn plain_name(name: &str) -> String {
    let mut plain = String::new();
    let mut rest = name.trim_end_matches('.');
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let octal = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(octal.map_or('\\', char::from));
        rest = rest
            .get(at + if octal.is_some() { 4 } else { 1 }..)
            .unwrap_or_default();
    }
    plain.push_str(rest);
    plain.to_ascii_lowercase()
}

/// An alias target as it is compared: the console writes `dualstack.` before it, the API does not.
pub(crate) fn plain_alias(dns_name: &str) -> String {
    let plain = plain_name(dns_name);
    plain
        .strip_prefix("dualstack.")
        .map(str::to_owned)
        .unwrap_or(plain)
}

/// Something of ours that records may point to, or that remembers them.
struct Pointed {
    stack: String,
    holder: Holder,
    /// Empty for what nothing can point to.
    dns_name: String,
    /// All that it has.
    tags: Tags,
    /// Those it should have; nothing when it goes.
    want: Option<Tags>,
}

impl Pointed {
    /// The tags that remember a place and that go with the record there.
    fn forgets(&self, place: &Place) -> Option<(Holder, Tags)> {
        let want = self.want.as_ref().filter(|_| self.stack == place.stack)?;
        let goes = |key: &str, value: &str| {
            let memory = Memory::read(key, value);
            memory.is_some_and(|memory| (memory.zone, memory.name) == place.key())
                && !want.0.contains_key(key)
        };
        let mut tags = self.tags.clone();
        tags.0.retain(|key, value| goes(key, value));
        (!tags.0.is_empty()).then(|| (self.holder.clone(), tags))
    }
}

/// Load balancers and domains, to which records lead and which remember where these are.
async fn targets(reader: &Reader) -> Result<Vec<Pointed>> {
    let (balancers, domains) =
        futures::try_join!(reader.found::<LoadBalancer>(), reader.found::<DomainName>())?;
    let balancers = balancers
        .iter()
        .filter(|one| one.owner == Owner::Ours)
        .map(|one| Pointed {
            stack: one.stack.clone(),
            holder: Holder::Elb(one.id.clone()),
            dns_name: output(&one.outputs, "dns_name"),
            tags: both(&one.spec.tags, &one.spec.lingering),
            want: wanted_tags(reader, one, |want: &LoadBalancer| &want.tags),
        });
    let domains = domains
        .iter()
        .filter(|one| one.owner == Owner::Ours)
        .map(|one| Pointed {
            stack: one.stack.clone(),
            holder: Holder::Domain(one.id.clone()),
            dns_name: output(&one.outputs, "regional_domain_name"),
            tags: both(&one.spec.tags, &one.spec.lingering),
            want: wanted_tags(reader, one, |want: &DomainName| &want.tags),
        });
    Ok(balancers.chain(domains).collect())
}

/// Listeners, which remember records behind somebody else's load balancer and without a domain.
async fn remembered_by_listeners(reader: &Reader) -> Result<Vec<Pointed>> {
    let listeners = reader.found::<Listener>().await?;
    let listeners = listeners
        .iter()
        .filter(|one| one.owner == Owner::Ours)
        .map(|one| Pointed {
            stack: one.stack.clone(),
            holder: Holder::Elb(one.id.clone()),
            dns_name: String::new(),
            tags: one.spec.tags.clone(),
            want: wanted_tags(reader, one, |want: &Listener| &want.tags),
        });
    Ok(listeners.collect())
}

fn both(tags: &Tags, lingering: &Tags) -> Tags {
    let all = tags.0.iter().chain(&lingering.0);
    Tags::live(all.map(|(key, value)| (key.as_str(), value.as_str())))
}

fn output(outputs: &Outputs, name: &str) -> String {
    let values = outputs.get(name).map(|values| values.join(""));
    values.as_deref().map(plain_alias).unwrap_or_default()
}

/// The tags that something live should have.
fn wanted_tags<R: super::Wanted>(
    reader: &Reader,
    found: &Found<R>,
    tags: impl Fn(&R) -> &Tags,
) -> Option<Tags> {
    let want = reader.wanted_in::<R>(&found.stack);
    want.get(&found.address).map(|want| tags(want).clone())
}

/// Where a record of ours is, or should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    stack: String,
    /// `record` or `records.<name>`; the type is added.
    address: Address,
    zone: String,
    name: String,
}

/// A zone's id, and a name in it.
type ZoneAndName = (String, String);

impl Place {
    fn key(&self) -> ZoneAndName {
        (self.zone.clone(), self.name.clone())
    }
}

fn places(reader: &Reader, targets: &[Pointed]) -> BTreeSet<Place> {
    let wanted = reader
        .wanted::<RecordSet>()
        .filter_map(|(scope, address, want)| {
            let address = Address::parse(address.as_str().rsplit_once('.')?.0);
            let Late::Known(zone) = &want.zone else {
                return None;
            };
            Some(Place {
                stack: scope.name.clone(),
                address,
                zone: zone.clone(),
                name: want.name.clone(),
            })
        });
    let remembered = targets.iter().flat_map(|target| {
        Memory::all(&target.tags).map(|memory| Place {
            stack: target.stack.clone(),
            address: memory.address,
            zone: memory.zone,
            name: memory.name,
        })
    });
    merged(wanted.collect(), remembered)
}

/// The zones and names of places.
fn names(places: &BTreeSet<Place>) -> BTreeSet<ZoneAndName> {
    places.iter().map(Place::key).collect()
}

/// The records of each zone and name.
async fn at_names(
    reader: &Reader,
    names: BTreeSet<ZoneAndName>,
) -> Result<BTreeMap<ZoneAndName, Vec<ResourceRecordSet>>> {
    let read = names.into_iter().map(async |(zone, name)| -> Result<_> {
        let sets = at_name(&reader.aws, &zone, &name).await?;
        Ok(((zone, name), sets))
    });
    Ok(try_join_all(read).await?.into_iter().collect())
}

/// What is wanted somewhere is not remembered there under another address: its section was renamed.
fn merged(wanted: BTreeSet<Place>, remembered: impl IntoIterator<Item = Place>) -> BTreeSet<Place> {
    let key = |place: &Place| (place.stack.clone(), place.key());
    let taken: BTreeSet<_> = wanted.iter().map(key).collect();
    let remembered: BTreeMap<_, Place> = remembered
        .into_iter()
        .map(|place| (key(&place), place))
        .filter(|(key, _)| !taken.contains(key))
        .collect();
    wanted.into_iter().chain(remembered.into_values()).collect()
}

/// The records in zones of our own: those that lead to us, whatever their names, and what stands where
/// one is wanted.
///
/// The zone is their tagged parent, so that nothing has to remember where they are.
async fn in_own_zones(reader: &Reader, targets: &[Pointed]) -> Result<Vec<Found<RecordSet>>> {
    let zones = reader.found::<HostedZone>().await?;
    let zones = zones.iter().filter(|zone| zone.owner == Owner::Ours);
    let read = zones.map(async |zone| -> Result<_> {
        let sets = hosted_zone::contents(&reader.aws, &zone.id, &zone.spec.name).await?;
        let holder = zone.address.as_str().rsplit_once('.');
        let address = Address::parse(holder.map_or("", |(holder, _)| holder)).part("record");
        let wanted = reader.wanted_in::<RecordSet>(&zone.stack);
        let judged = sets.iter().filter_map(|set| {
            let place = Place {
                stack: zone.stack.clone(),
                address: address.clone(),
                zone: zone.id.clone(),
                name: plain_name(set.name()),
            };
            let found = judge(reader, &place, set, targets)?;
            let is_wanted = wanted
                .get(&found.address)
                .is_some_and(|want| want.name == place.name);
            (found.owner == Owner::Ours || is_wanted).then_some(found)
        });
        Ok(judged.collect::<Vec<_>>())
    });
    Ok(try_join_all(read).await?.into_iter().flatten().collect())
}

/// What a record at a place of ours is to the stack.
fn judge(
    reader: &Reader,
    place: &Place,
    set: &ResourceRecordSet,
    targets: &[Pointed],
) -> Option<Found<RecordSet>> {
    let record_type = set.r#type().as_str().to_owned();
    let address = match record_type.as_str() {
        // A CNAME tolerates no other record beside it; the rest does not concern us.
        "A" | "CNAME" => place.address.part("a"),
        "AAAA" => place.address.part("aaaa"),
        _ => return None,
    };
    let alias = set.alias_target();
    let dns_name = alias
        .map(|alias| plain_alias(alias.dns_name()))
        .unwrap_or_default();
    let wanted = reader.wanted_in::<RecordSet>(&place.stack);
    let may_take = wanted
        .get(&address)
        .is_some_and(|want| want.overwrite == Overwrite::Allow);
    let owner = if set.set_identifier().is_some() {
        let shown = format!("{} {record_type} has a routing policy", place.name);
        Owner::Foreign(format!("the record {shown}, so it is not this stack's"))
    } else if may_take || leads_to_us(&reader.aws.region, place, &dns_name, targets) {
        Owner::Ours
    } else {
        let shown = format!("{} {record_type}", place.name);
        Owner::Foreign(format!("the record {shown} exists and is not this stack's"))
    };
    let alias_zone = alias.map(|alias| alias.hosted_zone_id().to_owned());
    Some(Found {
        stack: place.stack.clone(),
        id: format!("{}/{}/{record_type}", place.zone, place.name),
        address,
        owner,
        protected: None,
        retained: None,
        spec: RecordSet {
            zone: Late::Known(place.zone.clone()),
            name: place.name.clone(),
            record_type,
            alias_dns_name: Late::Known(dns_name),
            alias_zone: Late::Known(alias_zone.unwrap_or_default()),
            evaluate_target_health: alias.is_some_and(AliasTarget::evaluate_target_health),
            overwrite: Overwrite::Refuse,
            destinations: Vec::new(),
            leads_to: Vec::new(),
            makes_room: None,
            held: Some(set.clone()),
            forgets: targets
                .iter()
                .filter_map(|target| target.forgets(place))
                .collect(),
        },
        outputs: Outputs::new(),
    })
}

/// Whether clients may come to a listener by a record: not to that of another load balancer of ours.
fn may_lead_to(record: &RecordSet, listener: &Listener, balancers: &[Found<LoadBalancer>]) -> bool {
    let mut balancers = balancers.iter();
    let balancer =
        balancers.find(|one| matches!(&listener.load_balancer, Late::Known(arn) if *arn == one.id));
    balancer.is_none_or(|balancer| {
        let dns_name = output(&balancer.outputs, "dns_name");
        record.alias_dns_name == Late::Known(dns_name)
    })
}

/// Whether an alias to `dns_name` at a place of ours is ours.
fn leads_to_us(region: &str, place: &Place, dns_name: &str, targets: &[Pointed]) -> bool {
    let of_stack = || targets.iter().filter(|target| target.stack == place.stack);
    let remembered = |target: &Pointed| {
        Memory::all(&target.tags).any(|memory| {
            memory.target.as_deref() == Some(dns_name) && (memory.zone, memory.name) == place.key()
        })
    };
    // A record that is no alias leads nowhere, and what nothing can point to has no name.
    !dns_name.is_empty()
        && (of_stack().any(|target| target.dns_name == dns_name || remembered(target))
            || made_by(&place.stack, region, dns_name))
}

/// Whether only a load balancer of this stack can have had that DNS name:
/// `[internal-]<stack>-<8 hex>-….<region>.elb.…`, and `….elb.<region>.…` of network load balancers.
fn made_by(stack: &str, region: &str, dns_name: &str) -> bool {
    let plain = dns_name.strip_prefix("internal-").unwrap_or(dns_name);
    let hash = plain
        .strip_prefix(stack)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.split_once('-'));
    hash.is_some_and(|(hash, rest)| {
        hash.len() == 8
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && [format!(".{region}.elb."), format!(".elb.{region}.")]
                .iter()
                .any(|part| rest.contains(part))
    })
}

/// An alias record, of whomever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alias {
    /// Full name, lower case, no trailing dot.
    pub(crate) name: String,
    /// `A` or `AAAA`.
    pub(crate) record_type: String,
    /// What it points to, as it is compared.
    pub(crate) target: String,
    /// Whether Route 53 asks the target for its health.
    pub(crate) evaluate_target_health: bool,
    /// Whether it has a routing policy.
    pub(crate) is_routed: bool,
}

/// All alias records of a zone.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, zone: &str) -> Result<Vec<Alias>> {
    let sets = pages(async |next: Option<String>| {
        // Name, type and routing policy of the next record, which the listing wants back as three.
        let mut parts = next.as_deref().unwrap_or_default().split('\n');
        let mut part = || {
            parts
                .next()
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
        };
        let (name, kind, identifier) = (part(), part(), part());
        let list = aws.route53.list_resource_record_sets().hosted_zone_id(zone);
        let send = list
            .set_start_record_name(name)
            .set_start_record_type(kind.as_deref().map(RrType::from))
            .set_start_record_identifier(identifier)
            .send();
        let page = aws.call("route53:ListResourceRecordSets", send).await?;
        let next = page.is_truncated.then(|| {
            let kind = page.next_record_type.as_ref().map_or("", RrType::as_str);
            let name = page.next_record_name.as_deref().unwrap_or_default();
            let identifier = page.next_record_identifier.as_deref().unwrap_or_default();
            format!("{name}\n{kind}\n{identifier}")
        });
        Ok((page.resource_record_sets, next))
    });
    let aliases = sets.await?.into_iter().filter_map(|set| {
        let alias = set.alias_target()?;
        Some(Alias {
            name: plain_name(set.name()),
            record_type: set.r#type().as_str().to_owned(),
            target: plain_alias(alias.dns_name()),
            evaluate_target_health: alias.evaluate_target_health(),
            is_routed: set.set_identifier().is_some(),
        })
    });
    Ok(aliases.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "eu-west-1";
    const GONE: &str = "internal-shop-1a2b3c4d-123.eu-west-1.elb.amazonaws.com";

    fn memory(address: &str, target: Option<&str>) -> Memory {
        Memory {
            zone: "Z1".to_owned(),
            name: "*.example.com".to_owned(),
            address: Address::parse(address),
            target: target.map(str::to_owned),
        }
    }

    fn place(address: &str) -> Place {
        Place {
            stack: "shop".to_owned(),
            address: Address::parse(address),
            zone: "Z1".to_owned(),
            name: "*.example.com".to_owned(),
        }
    }

    fn domain(tags: impl IntoIterator<Item = (String, String)>) -> Pointed {
        Pointed {
            stack: "shop".to_owned(),
            holder: Holder::Domain("api.example.com".to_owned()),
            dns_name: String::new(),
            tags: Tags::live(tags),
            want: Some(Tags::default()),
        }
    }

    #[test]
    fn clients_are_sent_only_to_what_works_and_it_stays_while_they_remember() {
        let load_balancer = Address::parse("load_balancer");
        let record = RecordSet {
            zone: Late::Known("Z1".to_owned()),
            name: "api.example.com".to_owned(),
            record_type: "A".to_owned(),
            alias_dns_name: Late::From(load_balancer.clone(), "dns_name"),
            alias_zone: Late::From(load_balancer.clone(), "canonical_hosted_zone_id"),
            evaluate_target_health: false,
            overwrite: Overwrite::Refuse,
            destinations: vec![Address::parse("listener")],
            leads_to: Vec::new(),
            makes_room: None,
            held: None,
            forgets: Vec::new(),
        };
        let ready = |address: &Address| Need::address(address, Until::Ready);
        let needs = record.needs();
        assert!(needs.contains(&ready(&load_balancer).holds_until_gone()));
        assert!(needs.contains(&ready(&Address::parse("listener"))));
    }

    #[test]
    fn alias_targets_are_compared_without_prefix_case_and_dot() {
        let plain = "shop-1.eu-west-1.elb.amazonaws.com";
        assert_eq!(
            plain_alias("dualstack.Shop-1.eu-west-1.elb.amazonaws.com."),
            plain
        );
    }

    #[test]
    fn octal_escapes_are_undone() {
        assert_eq!(plain_name("\\052.Example.com."), "*.example.com");
    }

    #[test]
    fn a_load_balancer_that_is_gone_is_still_known_by_its_name() {
        assert!(made_by("shop", REGION, GONE));
        assert!(made_by("shop", REGION, &GONE["internal-".len()..]));
        let network = "shop-1a2b3c4d-0123456789abcdef.elb.eu-west-1.amazonaws.com";
        assert!(made_by("shop", REGION, network));
        let window = "shop-window-123.eu-west-1.elb.amazonaws.com";
        assert!(!made_by("shop", REGION, window));
    }

    #[test]
    fn a_stack_of_the_same_name_in_another_region_is_somebody_else() {
        assert!(!made_by("shop", "eu-west-2", GONE));
    }

    #[test]
    fn a_place_is_read_as_it_was_written_whatever_the_name() {
        let existing = Some("front-1.eu-west-1.elb.amazonaws.com");
        for memory in [
            memory("record", None),
            memory("records.users", None),
            memory("record", existing),
        ] {
            let (key, value) = memory.tag();
            let allowed = |c: char| c.is_alphanumeric() || "_.:/=+-@ ".contains(c);
            assert!(key.chars().chain(value.chars()).all(allowed), "{value}");
            assert_eq!(Memory::read(&key, &value), Some(memory));
        }
        assert_eq!(memory("record", None).tag().1, "Z1/@.example.com");
    }

    #[test]
    fn each_place_has_a_tag_of_its_own_whatever_its_section() {
        let mut other = memory("record", None);
        let renamed = memory("records.users", None);
        assert_eq!(other.tag().0, renamed.tag().0);
        other.name = "api.example.com".to_owned();
        assert_ne!(other.tag().0, renamed.tag().0);
    }

    #[test]
    fn a_renamed_section_is_not_a_second_place() {
        let wanted = BTreeSet::from([place("records.users")]);
        assert_eq!(merged(wanted.clone(), [place("record")]), wanted);
        let alone = merged(BTreeSet::new(), [place("record"), place("record")]);
        assert_eq!(alone, BTreeSet::from([place("record")]));
    }

    #[test]
    fn an_alias_to_somebody_elses_load_balancer_is_ours_where_that_is_remembered() {
        let front = "front-1.eu-west-1.elb.amazonaws.com";
        let here = place("record");
        let knows = [domain([memory("record", Some(front)).tag()])];
        assert!(leads_to_us(REGION, &here, front, &knows));
        assert!(!leads_to_us(REGION, &here, "back-1.example.org", &knows));
        assert!(!leads_to_us(REGION, &here, front, &[domain([])]));
    }

    #[test]
    fn a_record_that_is_no_alias_leads_nowhere() {
        assert!(!leads_to_us(REGION, &place("record"), "", &[domain([])]));
    }

    #[test]
    fn only_what_is_not_wanted_is_forgotten() {
        let (key, value) = memory("record", None).tag();
        let mut domain = domain([(key.clone(), value.clone())]);
        let forgotten = domain.forgets(&place("record")).expect("is unwanted");
        assert_eq!(forgotten.1, Tags::live([(key.clone(), value.clone())]));
        domain.want = Some(Tags::live([(key, value)]));
        assert_eq!(domain.forgets(&place("record")), None);
    }
}
