//! A trust store: the CAs whose client certificates are accepted.
//!
//! Natural key: its name, unique in the account and region. AWS copies the bundle when it is told
//! to and never says where it had it from, so the bundle is compared by what AWS holds now.
//! A bundle is replaced whole, in place; ids of revocations survive that.
//!
//! IAM: `elasticloadbalancing:DescribeTrustStores`, `DescribeTrustStoreAssociations`,
//! `DescribeTags`, `GetTrustStoreCaCertificatesBundle`, `CreateTrustStore`, `ModifyTrustStore`,
//! `AddTags`, `RemoveTags`, `DeleteTrustStore`; `s3:GetObject` on the bundle, which AWS reads in
//! the caller's name.
//! AWS: ELB API Reference 2015-12-01, `CreateTrustStore`.

mod held;

use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{
    DescribeTrustStoreRevocation, TrustStore as Described, TrustStoreStatus,
};
use futures::future::{join_all, try_join_all};
use serde_json::Value;
use time::OffsetDateTime;

use super::context::Wait;
use super::listener::{self, Listener};
use super::object::{self, Object};
use super::{
    Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until, elbv2,
    trust_store_revocation,
};
use crate::aws::tags::Tags;
use crate::aws::{Aws, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result, listed};
use crate::trust::{Bundle, Certificate, bundle_changes};

pub(crate) use held::{Content, Held, asked, ignores_expiry};

/// A trust store of ours.
#[derive(Debug, Clone)]
pub(crate) struct TrustStore {
    /// Its name, at most 32 characters, without double hyphens.
    pub(crate) name: String,
    /// The CAs, compared as a set by what AWS holds now.
    pub(crate) bundle: Bundle,
    /// The bucket of the bundle's object.
    pub(crate) bucket: String,
    /// The key of the bundle's object, output `key` of the object.
    pub(crate) object: Late<String>,
    /// The revocations, which a changed bundle waits for; not compared.
    pub(crate) revocations: Vec<Address>,
    /// Its tags.
    pub(crate) tags: Tags,
}

impl Resource for TrustStore {
    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::TrustStore";

    fn needs(&self) -> Vec<Need> {
        self.object
            .address()
            .map(|object| Need::address(object, Until::Exists))
            .into_iter()
            .collect()
    }

    /// The CRL of a CA comes before the CA, so that nobody revoked is let in for a moment.
    fn update_needs(&self) -> Vec<Need> {
        self.revocations
            .iter()
            .map(|revocation| Need::address(revocation, Until::Created))
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            bundle,
            bucket: _,
            object: _,
            revocations: _,
            tags,
        } = self;
        if live.is_none() {
            diff.field("name", name, None);
        }
        let live_bundle = live.map(|live| (&live.bundle, shown(&live.bundle)));
        let adds = |live: &Self| !bundle_changes(&live.bundle, bundle).added.is_empty();
        diff.content("ca_bundle", (bundle, shown(bundle)), live_bundle)
            .widens_if(|| live.is_some_and(adds));
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn expiries(&self, _outputs: &Outputs) -> Vec<(String, OffsetDateTime)> {
        let certificates = self.bundle.certificates().iter();
        let expiry = |ca: &Certificate| (format!("CA {}", ca.subject), ca.not_after);
        certificates.map(expiry).collect()
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        elbv2::put_tags(cx, &live.id, &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let candidates = listing(reader).await?;
        let found = candidates.iter().map(|listed| found(reader, listed));
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let (aws, key) = (cx.aws(), cx.value(&self.object)?);
        let id = cx
            .retry_while(readable(), unreadable, async || {
                let send = aws
                    .elbv2
                    .create_trust_store()
                    .name(&self.name)
                    .ca_certificates_bundle_s3_bucket(&self.bucket)
                    .ca_certificates_bundle_s3_key(&key)
                    .set_tags(Some(elbv2::sdk_tags(&self.tags)))
                    .send();
                match aws.call("elbv2:CreateTrustStore", send).await {
                    // There is no token: a call of ours that lost its reply may have the name.
                    Err(error) if error.is("DuplicateTrustStoreName") => {
                        let named = |one: &Described| one.name() == Some(&self.name);
                        let existing = describe_all(aws).await?.into_iter().find(named);
                        elbv2::adopt(cx, error, existing.and_then(|one| one.trust_store_arn)).await
                    }
                    other => {
                        let made = other?.trust_stores.unwrap_or_default().pop();
                        let made = made.and_then(|one| one.trust_store_arn);
                        made.ok_or_else(|| Error::step(&cx.address, "AWS made no trust store"))
                    }
                }
            })
            .await;
        Ok(Created::id(id.map_err(|error| explain(cx, error))?))
    }

    async fn ready(&self, cx: &Cx, id: &str) -> Result<Outputs> {
        wait_active(cx, id).await?;
        Ok(Outputs::new())
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        if touches(changes, "ca_bundle") {
            let key = cx.value(&self.object)?;
            let modified = cx.retry_while(readable(), unreadable, async || {
                let modify = cx
                    .aws()
                    .elbv2
                    .modify_trust_store()
                    .trust_store_arn(&live.id);
                let bucket = modify.ca_certificates_bundle_s3_bucket(&self.bucket);
                let send = bucket.ca_certificates_bundle_s3_key(&key).send();
                Ok(cx
                    .aws()
                    .call("elbv2:ModifyTrustStore", send)
                    .await
                    .map(drop)?)
            });
            modified.await.map_err(|error| explain(cx, error))?;
        }
        if touches(changes, "tags") {
            elbv2::put_tags(cx, &live.id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        wait_unused(cx, &live.id).await?;
        // That the associations are gone is not known everywhere at once.
        let wait = Wait::new("the listeners to let go of the trust store", 5, 120)
            .at_most(cx.timeout("trust_store"));
        cx.retry_while(
            wait,
            |error| error.is_code("TrustStoreInUse"),
            async || {
                let send = cx
                    .aws()
                    .elbv2
                    .delete_trust_store()
                    .trust_store_arn(&live.id)
                    .send();
                tolerate(
                    cx.aws().call("elbv2:DeleteTrustStore", send).await,
                    &["TrustStoreNotFound"],
                )
            },
        )
        .await
    }

    async fn foreign_children(reader: &Reader, live: &Found<Self>) -> Result<Vec<String>> {
        let (users, listeners) = futures::try_join!(
            associations(&reader.aws, &live.id),
            reader.found::<Listener>()
        )?;
        let ours = |arn: &String| {
            let mut listeners = listeners
                .iter()
                .filter(|one| one.owner == Owner::Ours && one.stack == live.stack);
            listeners.any(|one| one.id == *arn)
        };
        let foreign = users.into_iter().filter(|arn| !ours(arn));
        let children = foreign.map(async |arn| -> Result<_> {
            // The association of a deleted listener lingers.
            Ok(listener::exists(&reader.aws, &arn)
                .await?
                .then(|| format!("the association with the listener {arn}")))
        });
        Ok(try_join_all(children)
            .await?
            .into_iter()
            .flatten()
            .collect())
    }
}

/// The certificates as people read them.
fn shown(bundle: &Bundle) -> Value {
    bundle
        .certificates()
        .iter()
        .map(Certificate::summary)
        .collect()
}

/// A trust store whose name could be ours or stands in the place of ours, with its tags.
#[derive(Debug)]
pub(super) struct Listed {
    /// Its ARN.
    pub(super) id: String,
    name: String,
    /// Its tags.
    pub(super) tags: Tags,
    /// Its revocations; that they cannot be read matters only if it is ours.
    pub(super) revocations: Result<Vec<DescribeTrustStoreRevocation>>,
    /// The listeners that use it, which may be deleted already; read like the revocations.
    associations: Result<Vec<String>>,
}

impl Listed {
    /// Where a stack of the run wants this trust store; nobody asks what is in others.
    pub(super) fn wanted_at(&self, reader: &Reader) -> Option<(String, Address)> {
        let (stack, address) = elbv2::place(reader, &self.tags)?;
        let mut wanted = reader.wanted::<TrustStore>();
        wanted
            .any(|(scope, wanted, _)| scope.name == stack && *wanted == address)
            .then_some((stack, address))
    }

    /// The ARNs of the listeners that use it, if it belongs to a stack of the run.
    pub(super) fn users(&self, reader: &Reader) -> Result<Vec<String>> {
        match elbv2::place(reader, &self.tags) {
            Some(_) => self.associations.clone(),
            None => Ok(Vec::new()),
        }
    }
}

/// All candidates for trust stores of ours, and those that are called otherwise and carry the tags of a
/// stack of the run: they have been adopted.
pub(super) async fn listing(reader: &Reader) -> Result<Arc<Vec<Listed>>> {
    struct Listing;
    let read = || async {
        let described = describe_all(&reader.aws).await?.into_iter();
        let all: Vec<(String, String)> = described
            .filter_map(|one| one.trust_store_arn.zip(one.name))
            .collect();
        let arns: Vec<String> = all.iter().map(|(arn, _)| arn.clone()).collect();
        let named = reader.named::<TrustStore>();
        let (candidates, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(arn, name)| reader.may_be_ours(name) || named.contains(arn));
        // Tags and the rest together, which saves a round trip.
        let (tags, details) = futures::join!(
            elbv2::tags_of(&reader.aws, &arns),
            details(reader, candidates)
        );
        let mut tags = tags?;
        let has_stack = |(arn, _): &(String, String)| {
            let tags = tags.get(arn);
            tags.is_some_and(|tags| elbv2::place(reader, tags).is_some())
        };
        let adopted = others.into_iter().filter(has_stack).collect();
        let adopted = self::details(reader, adopted).await;
        let listed = details.into_iter().chain(adopted).map(|listed| {
            let tags = tags.remove(&listed.id).unwrap_or_default();
            let named = |want: &TrustStore| want.name == listed.name;
            let tags = reader.claimed::<TrustStore>(&listed.id, tags, |_, want| named(want));
            Listed { tags, ..listed }
        });
        Ok(Arc::new(listed.collect()))
    };
    reader
        .once::<Listing, Vec<Listed>>(|| Box::pin(read()))
        .await
}

/// What there is of trust stores by ARN and name, without their tags.
async fn details(reader: &Reader, stores: Vec<(String, String)>) -> Vec<Listed> {
    let details = stores.into_iter().map(async |(id, name)| {
        let (revocations, associations) = futures::join!(
            trust_store_revocation::describe_all(&reader.aws, &id),
            associations(&reader.aws, &id)
        );
        Listed {
            id,
            name,
            tags: Tags::default(),
            revocations,
            associations,
        }
    });
    join_all(details).await
}

/// Every trust store of the region.
pub(crate) async fn describe_all(aws: &Aws) -> Result<Vec<Described>> {
    pages(async |marker| {
        let list = aws.elbv2.describe_trust_stores().page_size(elbv2::PAGE);
        let send = list.set_marker(marker).send();
        let page = aws.call("elbv2:DescribeTrustStores", send).await?;
        Ok((page.trust_stores.unwrap_or_default(), page.next_marker))
    })
    .await
}

/// Describes one trust store; `None` when there is none, or AWS answers with another one.
pub(super) async fn describe(aws: &Aws, id: &str) -> Result<Option<Described>> {
    let send = aws
        .elbv2
        .describe_trust_stores()
        .trust_store_arns(id)
        .send();
    let answer = aws
        .call("elbv2:DescribeTrustStores", send)
        .await
        .map_err(Error::from);
    let stores = elbv2::absent_is(
        answer.map(|answer| answer.trust_stores.unwrap_or_default()),
        NOT_FOUND,
        vec![],
    )?;
    Ok(stores
        .into_iter()
        .find(|one| one.trust_store_arn() == Some(id)))
}

const NOT_FOUND: &str = "TrustStoreNotFound";

/// Waits until listeners can use the trust store; one that was just made is not known everywhere.
pub(super) async fn wait_active(cx: &Cx, id: &str) -> Result<()> {
    let wait =
        Wait::new("the trust store to become active", 5, 120).at_most(cx.timeout("trust_store"));
    cx.wait_until(wait, async || {
        let active = |one: &Described| one.status() == Some(&TrustStoreStatus::Active);
        Ok(describe(cx.aws(), id).await?.filter(active).map(drop))
    })
    .await
}

/// Waits until no listener uses the trust store, which AWS notices late.
async fn wait_unused(cx: &Cx, id: &str) -> Result<()> {
    let wait = Wait::new("the listeners to let go of the trust store", 5, 120)
        .at_most(cx.timeout("trust_store"));
    let unused = cx.wait_until(wait, async || {
        Ok(associations(cx.aws(), id).await?.is_empty().then_some(()))
    });
    elbv2::with_reason(unused.await, async || {
        let users = associations(cx.aws(), id).await?;
        Ok(format!("it is used by {}", listed(&users)))
    })
    .await
}

/// The ARNs of the listeners that use a trust store.
async fn associations(aws: &Aws, id: &str) -> Result<Vec<String>> {
    let associations = pages(async |marker| {
        let send = aws
            .elbv2
            .describe_trust_store_associations()
            .trust_store_arn(id)
            .set_marker(marker)
            .send();
        let page = aws
            .call("elbv2:DescribeTrustStoreAssociations", send)
            .await?;
        Ok((
            page.trust_store_associations.unwrap_or_default(),
            page.next_marker,
        ))
    });
    let associations = elbv2::absent_is(associations.await, NOT_FOUND, vec![])?;
    Ok(associations
        .into_iter()
        .filter_map(|one| one.resource_arn)
        .collect())
}

/// What a listed trust store is to the stacks of the run.
async fn found(reader: &Reader, listed: &Listed) -> Result<Vec<Found<TrustStore>>> {
    let Listed {
        id,
        name,
        tags,
        revocations: _,
        associations: _,
    } = listed;
    let what = format!("the trust store `{name}` ({id})");
    let claims = elbv2::claims::<TrustStore>(reader, tags, &what, |_, want| want.name == *name);
    let bundle = match listed.wanted_at(reader) {
        Some(_) => read_bundle(&reader.aws, id).await?,
        None => no_certificates(),
    };
    let tags = without_lingering(reader, id, tags).await?;
    let spec = TrustStore {
        name: name.clone(),
        bundle,
        bucket: String::new(),
        object: Late::Known(String::new()),
        revocations: Vec::new(),
        tags: tags.clone(),
    };
    Ok(elbv2::found(claims, id, &tags, &spec, &Outputs::new()))
}

/// The tags without those that remember a bucket in which there is still something of the stack.
///
/// Nothing wants them any more; they are removed after the objects, never before.
async fn without_lingering(reader: &Reader, id: &str, tags: &Tags) -> Result<Tags> {
    let objects = reader.found::<Object>().await?;
    let mut tags = tags.clone();
    for object in objects.iter() {
        if let (Some(trust_store), Late::Known(bucket)) =
            (&object.spec.remembered_by, &object.spec.bucket)
            && trust_store == id
        {
            tags.0.remove(&object::memory(bucket).0);
        }
    }
    Ok(tags)
}

/// The bundle that AWS holds; one that cannot be read differs from every bundle that can.
async fn read_bundle(aws: &Aws, id: &str) -> Result<Bundle> {
    let bytes = download_bundle(aws, id).await?;
    Ok(Bundle::from_bytes(&[(id, bytes)]).unwrap_or_else(|error| {
        tracing::warn!(%error, "the bundle of the trust store cannot be read");
        no_certificates()
    }))
}

async fn download_bundle(aws: &Aws, id: &str) -> Result<Vec<u8>> {
    let send = aws
        .elbv2
        .get_trust_store_ca_certificates_bundle()
        .trust_store_arn(id)
        .send();
    let answer = aws
        .call("elbv2:GetTrustStoreCaCertificatesBundle", send)
        .await?;
    let url = answer.location().unwrap_or_default();
    aws.fetch_presigned("elbv2:GetTrustStoreCaCertificatesBundle", url)
        .await
}

fn no_certificates() -> Bundle {
    std::iter::empty::<Certificate>().collect()
}

/// How long an object that was just written may seem to be missing.
pub(super) fn readable() -> Wait {
    Wait::new(
        "the uploaded file to be readable for the load balancer",
        3,
        30,
    )
}

fn unreadable(error: &Error) -> bool {
    error.is_code("CaCertificatesBundleNotFound")
}

/// Adds what AWS's vague refusals mean.
fn explain(cx: &Cx, error: Error) -> Error {
    let hint = if unreadable(&error) {
        "AWS reads the bundle in your name: allow `s3:GetObject` on the stack's prefix"
    } else if error.is_code("InvalidCaCertificatesBundle") {
        "AWS does not say which certificate it refuses; `mtlsgw validate` lists what can be wrong, \
         and at most 25 CAs with 10,000 bytes of subjects fit in (quotas L-43FE5A42, L-F31E307C)"
    } else if error.is_code("TooManyTrustStores") {
        "20 trust stores a region is AWS's default: delete one, or raise the quota L-A8F7060B"
    } else {
        return error;
    };
    elbv2::with_hint(cx, &error, hint)
}

/// A trust store, of whomever it is, as far as it decides whether it can be taken over.
#[derive(Debug)]
pub(crate) struct Looked {
    /// Its name.
    pub(crate) name: String,
    /// The listeners that use it.
    pub(crate) users: Vec<String>,
    /// The stack that it belongs to.
    pub(crate) stack: Option<String>,
    /// What it holds; why that cannot be read.
    pub(crate) content: Result<Content>,
}

/// Reads a trust store, of whomever it is.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, id: &str) -> Result<Looked> {
    let arns = [id.to_owned()];
    let (described, users, mut tags) = futures::try_join!(
        describe(aws, id),
        associations(aws, id),
        elbv2::tags_of(aws, &arns)
    )?;
    Ok(Looked {
        name: described.and_then(|one| one.name).unwrap_or_default(),
        users,
        stack: tags
            .remove(id)
            .and_then(|tags| tags.stack().map(str::to_owned)),
        content: Content::download(aws, id).await,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::Authority;

    fn store(certificates: &[&Certificate]) -> TrustStore {
        TrustStore {
            name: "shop-1".to_owned(),
            bundle: certificates.iter().copied().cloned().collect(),
            bucket: "bucket".to_owned(),
            object: Late::From(Address::parse("trust_store.bundle"), "key"),
            revocations: vec![Address::parse("trust_store.crl[\"1\"]")],
            tags: Tags::default(),
        }
    }

    fn changes(want: &TrustStore, live: &TrustStore) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
    }

    #[test]
    fn a_ca_more_widens_access_and_a_ca_less_does_not() {
        let [one, two] = ["One", "Two"].map(|name| Authority::new(name).certificate());
        let change = &changes(&store(&[&one, &two]), &store(&[&one]))[0];
        assert!(change.widens);
        assert!(
            change.after[1]
                .as_str()
                .is_some_and(|line| line.starts_with("CN=Two (sha256:"))
        );
        assert!(!changes(&store(&[&one]), &store(&[&one, &two]))[0].widens);
    }

    #[test]
    fn the_order_of_cas_and_the_place_of_the_object_mean_nothing() {
        let [one, two] = ["One", "Two"].map(|name| Authority::new(name).certificate());
        let mut live = store(&[&two, &one]);
        live.object = Late::Known(String::new());
        assert_eq!(changes(&store(&[&one, &two]), &live), vec![]);
    }

    #[test]
    fn a_changed_bundle_waits_for_the_revocations() {
        let revocation = Need::address(&Address::parse("trust_store.crl[\"1\"]"), Until::Created);
        assert_eq!(store(&[]).update_needs(), vec![revocation]);
    }
}
