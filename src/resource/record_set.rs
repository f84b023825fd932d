//! The alias record by which clients find the gateway.
//!
//! Natural key: zone, name and type. Records have no tags; ours are known by the tag
//! `mtlsgw:record` of the load balancer (or custom domain) they point to, written before the
//! record, and by a target that only this stack can have made. The record is written last and
//! waits for everything behind it.
//!
//! IAM: `route53:ListResourceRecordSets`, `ChangeResourceRecordSets`, `GetChange`.
//! AWS: Route 53 API Reference, `AliasTarget`, `ChangeResourceRecordSets`.

use std::collections::BTreeSet;

use aws_sdk_route53::types::{
    AliasTarget, Change as RecordChange, ChangeAction, ChangeBatch, ChangeStatus,
    ResourceRecordSet, RrType,
};
use futures::future::try_join_all;

use super::context::Wait;
use super::domain_name::DomainName;
use super::load_balancer::LoadBalancer;
use super::{Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until};
use crate::aws::Aws;
use crate::aws::tags::Tags;
use crate::diff::{Change, Diff};
use crate::error::{Error, Result};

/// The tag on what a record points to: `<zone id>/<name>`. Other records than `main` add their name to the key.
pub(crate) const RECORD: &str = "mtlsgw:record";

/// An alias record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordSet {
    /// The hosted zone's id.
    pub(crate) zone: String,
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
    /// The DNS name as the record spells it; deleting has to repeat it.
    pub(crate) spelled: Option<String>,
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

    fn needs(&self) -> Vec<Need> {
        // Clients may hold the old answer for a minute, so what it points to goes only after that.
        let alias = Need::ready(&self.alias_dns_name).holds_until_gone();
        let destinations = self
            .destinations
            .iter()
            .map(|address| Need::address(address, Until::Ready));
        std::iter::once(alias).chain(destinations).collect()
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
            spelled: _,
        } = self;
        diff.field("zone", zone, live.map(|live| &live.zone))
            .replaces();
        diff.field("name", name, live.map(|live| &live.name))
            .replaces();
        diff.field("type", record_type, live.map(|live| &live.record_type))
            .replaces();
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
        let (targets, balancers) = futures::join!(targets(reader), reader.found::<LoadBalancer>());
        let (targets, _) = (targets?, balancers?);
        let places = places(reader, &targets);
        let names: BTreeSet<(String, String)> = places
            .iter()
            .map(|place| (place.zone.clone(), place.name.clone()))
            .collect();
        let read = try_join_all(names.iter().map(|(zone, name)| async move {
            at_name(&reader.aws, zone, name)
                .await
                .map(|sets| ((zone.clone(), name.clone()), sets))
        }));
        let mut found = Vec::new();
        for ((zone, name), sets) in read.await? {
            for place in places
                .iter()
                .filter(|place| place.zone == zone && place.name == name)
            {
                found.extend(
                    sets.iter()
                        .filter_map(|set| judge(reader, place, set, &targets)),
                );
            }
        }
        Ok(found)
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let change = put(cx, ChangeAction::Upsert, &self.zone, self.record(cx)?).await?;
        let id = format!("{}/{}/{}", self.zone, self.name, self.record_type);
        Ok(Created {
            id,
            outputs: Outputs::from([("change", vec![change])]),
        })
    }

    async fn ready(&self, cx: &Cx, _id: &str) -> Result<Outputs> {
        match cx.output(&cx.address, "change") {
            Some(change) => in_sync(cx, &change.join("")).await.map(|()| Outputs::new()),
            None => Ok(Outputs::new()),
        }
    }

    async fn update(&self, cx: &Cx, _live: &Found<Self>, _changes: &[Change]) -> Result<Outputs> {
        self.create(cx).await.map(|created| created.outputs)
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let record = live.spec.record(cx)?;
        match put(cx, ChangeAction::Delete, &live.spec.zone, record).await {
            Ok(change) => {
                cx.learn(Outputs::from([("deletion", vec![change])]));
                Ok(())
            }
            // Somebody was faster: the record is gone, or is no longer the one that was ours.
            Err(error)
                if error.is_code("InvalidChangeBatch") || error.is_code("NoSuchHostedZone") =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// All name servers know it, and the alias's time to live of 60 s has passed at the clients.
    async fn gone(cx: &Cx, _live: &Found<Self>) -> Result<()> {
        if let Some(change) = cx.output(&cx.address, "deletion") {
            in_sync(cx, &change.join("")).await?;
            cx.tell_waiting("clients to forget the record");
            cx.aws()
                .clock
                .sleep(std::time::Duration::from_mins(1))
                .await;
        }
        Ok(())
    }
}

impl RecordSet {
    fn record(&self, cx: &Cx) -> Result<ResourceRecordSet> {
        let dns_name = match &self.spelled {
            Some(spelled) => spelled.clone(),
            None => cx.value(&self.alias_dns_name)?,
        };
        let failed =
            |error: aws_sdk_route53::error::BuildError| Error::step(&cx.address, error.to_string());
        let alias = AliasTarget::builder()
            .hosted_zone_id(cx.value(&self.alias_zone)?)
            .dns_name(dns_name)
            .evaluate_target_health(self.evaluate_target_health)
            .build()
            .map_err(failed)?;
        ResourceRecordSet::builder()
            .name(&self.name)
            .r#type(RrType::from(self.record_type.as_str()))
            .alias_target(alias)
            .build()
            .map_err(failed)
    }
}

/// Changes one record; gives the change's id.
async fn put(
    cx: &Cx,
    action: ChangeAction,
    zone: &str,
    record: ResourceRecordSet,
) -> Result<String> {
    let failed =
        |error: aws_sdk_route53::error::BuildError| Error::step(&cx.address, error.to_string());
    let change = RecordChange::builder()
        .action(action)
        .resource_record_set(record)
        .build()
        .map_err(failed)?;
    let batch = ChangeBatch::builder()
        .changes(change)
        .build()
        .map_err(failed)?;
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

/// Something of ours that records may point to.
struct Pointed {
    stack: String,
    dns_name: String,
    tags: Tags,
}

impl Pointed {
    /// What `found` is under the name that its output `name` says; nothing when it is not ours.
    fn new<R>(found: &Found<R>, name: &str, tags: &Tags) -> Option<Self> {
        let values = found.outputs.get(name).map(|values| values.join(""));
        (found.owner == Owner::Ours).then(|| Self {
            stack: found.stack.clone(),
            dns_name: values.as_deref().map(plain_alias).unwrap_or_default(),
            tags: tags.clone(),
        })
    }
}

async fn targets(reader: &Reader) -> Result<Vec<Pointed>> {
    let (balancers, domains) =
        futures::join!(reader.found::<LoadBalancer>(), reader.found::<DomainName>());
    let (balancers, domains) = (balancers?, domains?);
    let balancers = balancers
        .iter()
        .filter_map(|found| Pointed::new(found, "dns_name", &found.spec.tags));
    let domains = domains
        .iter()
        .filter_map(|found| Pointed::new(found, "regional_domain_name", &found.spec.tags));
    Ok(balancers.chain(domains).collect())
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

fn places(reader: &Reader, targets: &[Pointed]) -> BTreeSet<Place> {
    let wanted = reader
        .wanted::<RecordSet>()
        .filter_map(|(scope, address, want)| {
            let address = Address::parse(address.as_str().rsplit_once('.')?.0);
            Some(Place {
                stack: scope.name.clone(),
                address,
                zone: want.zone.clone(),
                name: want.name.clone(),
            })
        });
    let remembered = targets.iter().flat_map(|target| {
        target.tags.0.iter().filter_map(|(key, value)| {
            let address = match key.strip_prefix(RECORD)? {
                "" => Address::parse("record"),
                rest => Address::parse(&format!("records{rest}")),
            };
            let (zone, name) = value.split_once('/')?;
            Some(Place {
                stack: target.stack.clone(),
                address,
                zone: zone.to_owned(),
                name: name.to_owned(),
            })
        })
    });
    wanted.chain(remembered).collect()
}

/// Whose a record at a place of ours is.
fn judge(
    reader: &Reader,
    place: &Place,
    set: &ResourceRecordSet,
    targets: &[Pointed],
) -> Option<Found<RecordSet>> {
    let record_type = set.r#type().as_str().to_owned();
    let shown = format!(
        "the record {} {} exists and is not this stack's",
        place.name, record_type
    );
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
    let ours = targets
        .iter()
        .any(|target| target.stack == place.stack && target.dns_name == dns_name)
        || made_by(&place.stack, &dns_name);
    let wanted = reader.wanted_in::<RecordSet>(&place.stack);
    let may_take = wanted
        .get(&address)
        .is_some_and(|want| want.overwrite == Overwrite::Allow);
    let owner = if ours || (may_take && alias.is_some()) {
        Owner::Ours
    } else {
        Owner::Foreign(shown)
    };
    Some(Found {
        stack: place.stack.clone(),
        id: format!("{}/{}/{record_type}", place.zone, place.name),
        address,
        owner,
        protected: false,
        retained: None,
        spec: RecordSet {
            zone: place.zone.clone(),
            name: place.name.clone(),
            record_type,
            alias_dns_name: Late::Known(dns_name),
            alias_zone: Late::Known(
                alias
                    .map(|alias| alias.hosted_zone_id().to_owned())
                    .unwrap_or_default(),
            ),
            evaluate_target_health: alias.is_some_and(AliasTarget::evaluate_target_health),
            overwrite: Overwrite::Refuse,
            destinations: Vec::new(),
            spelled: alias.map(|alias| alias.dns_name().to_owned()),
        },
        outputs: Outputs::new(),
    })
}

/// Whether only a load balancer of this stack can have had that DNS name: `[internal-]<stack>-<8 hex>-…elb….`
fn made_by(stack: &str, dns_name: &str) -> bool {
    let plain = dns_name.strip_prefix("internal-").unwrap_or(dns_name);
    let hash = plain
        .strip_prefix(stack)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.split_once('-'));
    hash.is_some_and(|(hash, rest)| {
        hash.len() == 8
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && rest.contains(".elb.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(made_by(
            "shop",
            "shop-1a2b3c4d-123.eu-west-1.elb.amazonaws.com"
        ));
        assert!(made_by(
            "shop",
            "internal-shop-1a2b3c4d-123.eu-west-1.elb.amazonaws.com"
        ));
        assert!(!made_by(
            "shop",
            "shop-window-123.eu-west-1.elb.amazonaws.com"
        ));
    }
}
