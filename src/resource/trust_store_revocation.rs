//! One CRL of a trust store.
//!
//! It has neither a name nor tags: it belongs to its trust store, goes with it, and is known again
//! by the digest of its content. A CRL is never changed: the new one is added, then the old one is
//! removed, so that a serial revoked by both is never accepted in between.
//!
//! IAM: `elasticloadbalancing:DescribeTrustStoreRevocations`, `GetTrustStoreRevocationContent`,
//! `AddTrustStoreRevocations`, `RemoveTrustStoreRevocations`; `s3:GetObject` on the CRL, which AWS
//! reads in the caller's name.
//! AWS: ELB API Reference 2015-12-01, `AddTrustStoreRevocations`.

use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{
    DescribeTrustStoreRevocation as Described, RevocationContent, RevocationType,
    TrustStoreRevocation as Added,
};
use futures::future::try_join_all;
use time::OffsetDateTime;

use super::context::Wait;
use super::trust_store::TrustStore;
use super::{
    Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Resources, Until,
    elbv2, trust_store,
};
use crate::aws::{Aws, AwsError, Once, pages, tolerate};
use crate::diff::{Change, Diff};
use crate::error::{Error, Result};
use crate::trust::{
    Bundle, Certificate, Crl, DistinguishedName, RevocationChanges, revocation_changes, succession,
};

/// One CRL of a trust store; its id is `<trust store ARN>#<revocation id>`.
///
/// Its address is made by [`address`] from the trust store's address and the CRL.
#[derive(Debug, Clone)]
pub(crate) struct TrustStoreRevocation {
    /// The trust store.
    pub(crate) trust_store: Late<String>,
    /// The CRL; absent where AWS holds something that cannot be read as one CRL.
    pub(crate) crl: Option<Arc<Crl>>,
    /// How many entries it has; as AWS counts them of a live one, read or not.
    pub(crate) entries: usize,
    /// The bucket of the CRL's object.
    pub(crate) bucket: String,
    /// The key of the CRL's object, output `key` of the object.
    pub(crate) object: Late<String>,
    /// Of a live one, the CA that issued the CRL and those above it; none where that is not known.
    pub(crate) vouchers: Vec<DistinguishedName>,
}

/// Where the revocation by a CRL stands: `trust_store.crl["sha256:12ab…"]`.
pub(crate) fn address(trust_store: &Address, crl: &Crl) -> Address {
    trust_store.keyed("crl", &crl.digest.short())
}

/// The serials, CA by CA, that `live` revokes and `want` does not: dropping them widens access.
fn readmitted<'a>(
    live: impl IntoIterator<Item = &'a TrustStoreRevocation>,
    want: impl IntoIterator<Item = &'a TrustStoreRevocation>,
) -> Vec<RevocationChanges> {
    let live: Vec<&Crl> = live
        .into_iter()
        .filter_map(TrustStoreRevocation::crl)
        .collect();
    let want: Vec<&Crl> = want
        .into_iter()
        .filter_map(TrustStoreRevocation::crl)
        .collect();
    let changes = revocation_changes(&live, &want).into_iter();
    changes
        .filter(|changes| changes.serials.removed > 0)
        .collect()
}

impl Resource for TrustStoreRevocation {
    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::TrustStoreRevocation";

    const ADDS_FIRST: bool = true;

    /// The trust store has only to be there: a change of its bundle waits for this.
    fn needs(&self) -> Vec<Need> {
        let trust_store = Need::of(&self.trust_store, Until::Created).parent();
        let object = self
            .object
            .address()
            .map(|object| Need::address(object, Until::Exists));
        std::iter::once(trust_store).chain(object).collect()
    }

    /// What nobody vouches for any more is not let in, revoked or not.
    ///
    /// What cannot be read may revoke anybody, as long as a trust store lets anybody in.
    fn removal_widens(&self, wanted: &Resources) -> bool {
        let Some(crl) = self.crl() else {
            return !wanted.trust_stores.is_empty();
        };
        let mut remaining = wanted
            .trust_store_revocations
            .values()
            .filter_map(Self::crl);
        if remaining.any(|one| one.digest == crl.digest) {
            return false;
        }
        let bundles = wanted.trust_stores.values().map(|store| &store.bundle);
        let trusted = |ca: &Certificate| self.vouchers.iter().any(|name| name.matches(&ca.subject));
        let vouched =
            self.vouchers.is_empty() || bundles.flat_map(Bundle::certificates).any(trusted);
        vouched && !readmitted([self], wanted.trust_store_revocations.values()).is_empty()
    }

    /// The content is part of the address, so what stands there has it.
    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            trust_store,
            crl,
            entries: _,
            bucket: _,
            object: _,
            vouchers: _,
        } = self;
        if live.is_none() {
            diff.field("crl", &crl.as_ref().map(|crl| crl.summary()), None);
        } else {
            diff.late(
                "trust_store",
                trust_store,
                live.map(|live| &live.trust_store),
            )
            .replaces();
        }
    }

    fn successor(&self, wanted: &Resources) -> Option<String> {
        let live = self.crl.as_deref()?;
        let wanted = wanted.trust_store_revocations.values();
        let crls = wanted.filter_map(|one| one.crl.as_deref());
        let next = crls
            .filter(|crl| crl.issuer.matches(&live.issuer))
            .max_by_key(|crl| crl.this_update)?;
        Some(format!("superseded: {}", succession(live, next)))
    }

    fn expiries(&self, _outputs: &Outputs) -> Vec<(String, OffsetDateTime)> {
        let crl = self.crl.iter();
        let expiry =
            crl.filter_map(|crl| Some((format!("CRL of {}", crl.issuer), crl.next_update?)));
        expiry.collect()
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let candidates = trust_store::listing(reader).await?;
        let found = candidates.iter().filter_map(|listed| {
            let (stack, address) = listed.wanted_at(reader)?;
            Some(find_in(&reader.aws, listed, stack, address))
        });
        let (found, stores) =
            futures::try_join!(try_join_all(found), reader.found::<TrustStore>())?;
        let mut found: Vec<Found<Self>> = found.into_iter().flatten().collect();
        for one in &mut found {
            let store = stores.iter().find(|store| store.id == parts(&one.id).0);
            if let (Some(store), Some(crl)) = (store, &one.spec.crl) {
                one.spec.vouchers = vouchers(&store.spec.bundle, &crl.issuer);
            }
        }
        Ok(found)
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let (store, key) = (cx.value(&self.trust_store)?, cx.value(&self.object)?);
        trust_store::wait_active(cx, &store).await?;
        let revocation = match self.add(cx, &store, &key).await {
            // The reply was lost, and a second sending would add a second revocation.
            Err(error) if error.aws().is_some_and(|error| error.uncertain) => {
                match self.look_for(cx, &store).await? {
                    Some(revocation) => revocation,
                    None => self.add(cx, &store, &key).await?,
                }
            }
            other => other?,
        };
        self.wait_visible(cx, &store, revocation).await?;
        Ok(Created::id(id(&store, revocation)))
    }

    async fn update(&self, cx: &Cx, _live: &Found<Self>, _changes: &[Change]) -> Result<Outputs> {
        Err(Error::step(&cx.address, "a revocation cannot be changed"))
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let (store, revocation) = parts(&live.id);
        let remove = cx
            .aws()
            .elbv2
            .remove_trust_store_revocations()
            .trust_store_arn(store);
        let send = remove.revocation_ids(revocation).send();
        tolerate(
            cx.aws()
                .call("elbv2:RemoveTrustStoreRevocations", send)
                .await,
            &["RevocationIdNotFound", "TrustStoreNotFound"],
        )
    }
}

impl TrustStoreRevocation {
    fn crl(&self) -> Option<&Crl> {
        self.crl.as_deref()
    }

    /// Adds it; one content a call, because what happens when one of several fails is not said.
    async fn add(&self, cx: &Cx, store: &str, key: &str) -> Result<i64> {
        let content = RevocationContent::builder()
            .s3_bucket(&self.bucket)
            .s3_key(key);
        let content = content.revocation_type(RevocationType::Crl).build();
        let unreadable = |error: &Error| error.is_code("RevocationContentNotFound");
        let added = cx.retry_while(trust_store::readable(), unreadable, async || {
            let add = cx
                .aws()
                .elbv2
                .add_trust_store_revocations()
                .trust_store_arn(store);
            let send = add
                .revocation_contents(content.clone())
                .customize()
                .config_override(
                    aws_sdk_elasticloadbalancingv2::config::Builder::new().retry_classifier(Once),
                )
                .send();
            Ok(cx
                .aws()
                .call("elbv2:AddTrustStoreRevocations", send)
                .await?)
        });
        match added.await {
            Ok(answer) => {
                let mut added = answer
                    .trust_store_revocations()
                    .iter()
                    .filter_map(Added::revocation_id);
                added
                    .next()
                    .ok_or_else(|| Error::step(&cx.address, "AWS added no revocation"))
            }
            Err(error) => Err(Box::pin(self.explain(cx, store, error)).await),
        }
    }

    /// Adds the figures to a quota that is used up, and what AWS's other refusals mean.
    async fn explain(&self, cx: &Cx, store: &str, error: Error) -> Error {
        if error.is_code("RevocationContentNotFound") {
            let hint = "AWS reads the CRL in your name: allow `s3:GetObject` on the stack's prefix";
            return elbv2::with_hint(cx, &error, hint);
        }
        if !error
            .aws()
            .is_some_and(|error| error.code.starts_with("TooMany"))
        {
            return error;
        }
        let figures = futures::try_join!(
            trust_store::describe(cx.aws(), store),
            describe_all(cx.aws(), store)
        );
        let Ok((described, revocations)) = figures else {
            return error;
        };
        let held = described
            .and_then(|one| one.total_revoked_entries())
            .unwrap_or_default();
        let hint = format!(
            "the trust store holds {held} revoked serials in {} CRLs, and this one brings {}; old \
             and new stand side by side until the old one is removed, and 500,000 serials (quota \
             L-37E1617B) in 30 CRLs (L-332EE142) fit in: raise the quota, or remove a CRL \
             in an apply of its own first, which readmits what it revokes",
            revocations.len(),
            self.crl.as_ref().map_or(0, |crl| crl.entries),
        );
        elbv2::with_hint(cx, &error, hint)
    }

    /// Looks for what a call may have added whose reply was lost; it may take a while to be seen.
    async fn look_for(&self, cx: &Cx, store: &str) -> Result<Option<i64>> {
        let wait = Wait::new("the revocation that may have been added", 5, 30);
        let seen = cx.wait_until(wait, async || {
            let described = describe_all(cx.aws(), store).await?;
            let same = described
                .into_iter()
                .filter(|one| self.fits(one.number_of_revoked_entries()));
            let read = same
                .filter_map(|one| one.revocation_id())
                .map(async |id| -> Result<_> { Ok((id, read_crl(cx.aws(), store, id).await?)) });
            let wanted = |crl: &Crl| {
                self.crl
                    .as_ref()
                    .is_some_and(|want| want.digest == crl.digest)
            };
            let read = try_join_all(read).await?.into_iter();
            Ok(read
                .filter(|(_, crl)| crl.as_ref().is_some_and(wanted))
                .map(|(id, _)| id)
                .next())
        });
        match seen.await {
            Ok(id) => Ok(Some(id)),
            Err(Error::Step { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until AWS shows it, with as many serials as the CRL has: nobody relies on less.
    async fn wait_visible(&self, cx: &Cx, store: &str, revocation: i64) -> Result<()> {
        let wait =
            Wait::new("the revocation to be visible", 2, 120).at_most(cx.timeout("trust_store"));
        let entries = cx
            .wait_until(wait, async || {
                let describe = cx
                    .aws()
                    .elbv2
                    .describe_trust_store_revocations()
                    .trust_store_arn(store);
                let send = describe.revocation_ids(revocation).send();
                let answer = cx
                    .aws()
                    .call("elbv2:DescribeTrustStoreRevocations", send)
                    .await
                    .map_err(Error::from);
                let answer =
                    answer.map(|answer| answer.trust_store_revocations.unwrap_or_default().pop());
                let shown = elbv2::absent_is(answer, "RevocationIdNotFound", None)?;
                Ok(shown.as_ref().map(Described::number_of_revoked_entries))
            })
            .await?;
        if self.fits(entries) {
            return Ok(());
        }
        let wanted = self.crl.as_ref().map_or(0, |crl| crl.entries);
        let entries = entries.unwrap_or_default();
        let message = format!("AWS counts {entries} revoked serials in a CRL that has {wanted}");
        Err(Error::step(&cx.address, message))
    }

    /// Whether AWS's count fits the CRL; it is not said whether unusable serials are counted.
    fn fits(&self, entries: Option<i64>) -> bool {
        let entries = entries
            .and_then(|entries| usize::try_from(entries).ok())
            .unwrap_or_default();
        self.crl
            .as_ref()
            .is_none_or(|crl| (crl.serials.len()..=crl.entries).contains(&entries))
    }
}

/// A CA of the bundle and those above it, by name: whoever trusts one of them trusts what it issued.
///
/// None for a CA that is not in the bundle: clients bring it along, and who is above it is not known.
fn vouchers(bundle: &Bundle, issuer: &DistinguishedName) -> Vec<DistinguishedName> {
    let named = |name: &DistinguishedName| {
        let all = bundle.certificates().iter();
        all.filter(|ca| ca.subject.matches(name))
            .map(|ca| ca.issuer.clone())
            .collect::<Vec<_>>()
    };
    let mut above = named(issuer);
    let mut vouchers = Vec::new();
    if !above.is_empty() {
        vouchers.push(issuer.clone());
    }
    while let Some(name) = above.pop() {
        if !vouchers
            .iter()
            .any(|known: &DistinguishedName| known.matches(&name))
        {
            above.extend(named(&name));
            vouchers.push(name);
        }
    }
    vouchers
}

/// The revocations of one of our trust stores.
async fn find_in(
    aws: &Aws,
    listed: &trust_store::Listed,
    stack: String,
    parent: Address,
) -> Result<Vec<Found<TrustStoreRevocation>>> {
    let (store, revocations) = (
        &listed.id,
        listed.revocations.as_ref().map_err(Error::clone)?,
    );
    let ids = revocations
        .iter()
        .filter_map(|one| Some((one.revocation_id()?, one.number_of_revoked_entries())));
    let read = ids.map(async |(revocation, entries)| -> Result<_> {
        let crl = read_crl(aws, store, revocation).await?;
        let mut found = found(store, revocation, crl, (&stack, &parent));
        found.spec.entries = entries
            .and_then(|entries| usize::try_from(entries).ok())
            .unwrap_or_default();
        Ok(found)
    });
    try_join_all(read).await
}

fn found(
    store: &str,
    revocation: i64,
    crl: Option<Crl>,
    parent: (&str, &Address),
) -> Found<TrustStoreRevocation> {
    let (stack, trust_store) = parent;
    let unread = || trust_store.keyed("crl", &format!("revocation {revocation}"));
    Found {
        stack: stack.to_owned(),
        address: crl
            .as_ref()
            .map_or_else(unread, |crl| address(trust_store, crl)),
        id: id(store, revocation),
        owner: Owner::Ours,
        protected: None,
        retained: None,
        spec: TrustStoreRevocation {
            trust_store: Late::Known(store.to_owned()),
            entries: crl.as_ref().map_or(0, |crl| crl.entries),
            crl: crl.map(Arc::new),
            bucket: String::new(),
            object: Late::Known(String::new()),
            vouchers: Vec::new(),
        },
        outputs: Outputs::new(),
    }
}

/// All revocations of a trust store; none when it is gone.
pub(super) async fn describe_all(aws: &Aws, store: &str) -> Result<Vec<Described>> {
    let revocations = pages(async |marker| {
        let send = aws
            .elbv2
            .describe_trust_store_revocations()
            .trust_store_arn(store)
            .set_marker(marker)
            .send();
        let page = aws
            .call("elbv2:DescribeTrustStoreRevocations", send)
            .await?;
        Ok((
            page.trust_store_revocations.unwrap_or_default(),
            page.next_marker,
        ))
    });
    elbv2::absent_is(revocations.await, "TrustStoreNotFound", Vec::new())
}

/// The CRL that AWS holds; `None` when it has gone meanwhile or is not exactly one CRL.
pub(super) async fn read_crl(aws: &Aws, store: &str, revocation: i64) -> Result<Option<Crl>> {
    const OPERATION: &str = "elbv2:GetTrustStoreRevocationContent";
    let send = aws
        .elbv2
        .get_trust_store_revocation_content()
        .trust_store_arn(store)
        .revocation_id(revocation)
        .send();
    let url = match aws.call(OPERATION, send).await {
        Err(error) if error.is("RevocationIdNotFound") => return Ok(None),
        other => other
            .map_err(|error: AwsError| Error::from(error))?
            .location
            .unwrap_or_default(),
    };
    let bytes = aws.fetch_presigned(OPERATION, &url).await?;
    let mut crls = Crl::all_from_bytes(&bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, revocation, "the CRL of the trust store cannot be read");
        Vec::new()
    });
    Ok(if crls.len() == 1 { crls.pop() } else { None })
}

fn id(store: &str, revocation: i64) -> String {
    format!("{store}#{revocation}")
}

/// The trust store's ARN and the revocation's own id; AWS counts from 1.
fn parts(id: &str) -> (&str, i64) {
    let (store, revocation) = id.rsplit_once('#').unwrap_or((id, "0"));
    (store, revocation.parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::tags::Tags;
    use crate::resource::Target;
    use crate::trust::fixtures::Authority;

    fn revocation(crl: Crl) -> TrustStoreRevocation {
        let trust_store = Address::parse("trust_store");
        TrustStoreRevocation {
            trust_store: Late::id(&trust_store),
            entries: crl.entries,
            crl: Some(Arc::new(crl)),
            bucket: "bucket".to_owned(),
            object: Late::From(trust_store.part("object"), "key"),
            vouchers: Vec::new(),
        }
    }

    #[test]
    fn serials_that_no_crl_revokes_any_more_are_readmitted() {
        let root = Authority::new("Root");
        let (old, new) = (revocation(root.crl(&[1, 2])), revocation(root.crl(&[2, 3])));
        let changes = readmitted([&old], [&new]);
        assert_eq!(
            (changes[0].serials.removed, changes[0].serials.added),
            (1, 1)
        );
        assert_eq!(readmitted([&old], [&old, &new]), vec![]);
    }

    #[test]
    fn nobody_is_readmitted_whose_ca_goes_with_its_crl() {
        let (root, other) = (Authority::new("Root"), Authority::new("Other"));
        let issuing = root.intermediate("Issuing");
        let [root, issuing_ca, other] = [&root, &issuing, &other].map(Authority::certificate);
        let live = bundle_of([&root, &issuing_ca, &other]);
        let mut crl = revocation(issuing.crl(&[1]));
        crl.vouchers = vouchers(&live, &issuing_ca.subject);
        assert!(crl.removal_widens(&wanted([&root])));
        assert!(crl.removal_widens(&wanted([&issuing_ca])));
        assert!(!crl.removal_widens(&wanted([&other])));
        crl.vouchers = vouchers(&bundle_of([&other]), &issuing_ca.subject);
        assert!(crl.removal_widens(&wanted([&other])));
    }

    #[test]
    fn taking_away_what_cannot_be_read_widens_access() {
        let root = Authority::new("Root");
        let mut unread = revocation(root.crl(&[1]));
        unread.crl = None;
        let mut wanted = wanted([&root.certificate()]);
        assert!(unread.removal_widens(&wanted));
        let next = revocation(root.crl(&[1, 2]));
        let address = Address::parse("trust_store.crl");
        wanted.trust_store_revocations.insert(address, next);
        assert!(unread.removal_widens(&wanted));
        assert!(!unread.removal_widens(&Resources::default()));
    }

    fn bundle_of<const N: usize>(certificates: [&Certificate; N]) -> Bundle {
        certificates.into_iter().cloned().collect()
    }

    fn wanted<const N: usize>(certificates: [&Certificate; N]) -> Resources {
        let store = TrustStore {
            name: "shop-1".to_owned(),
            bundle: bundle_of(certificates),
            bucket: String::new(),
            object: Late::Known(String::new()),
            revocations: Vec::new(),
            tags: Tags::default(),
        };
        let mut wanted = Resources::default();
        wanted
            .trust_stores
            .insert(Address::parse("trust_store"), store);
        wanted
    }

    #[test]
    fn it_needs_the_trust_store_to_be_made_but_not_to_be_changed() {
        let needs = revocation(Authority::new("Root").crl(&[1])).needs();
        assert_eq!(needs[0].on, Target::Address(Address::parse("trust_store")));
        assert!(needs[0].until == Until::Created && needs[0].parent);
    }

    #[test]
    fn its_address_and_id_are_those_of_its_content() {
        let crl = Authority::new("Root").crl(&[1]);
        let trust_store = Address::parse("trust_store");
        let found = found("arn:store", 7, Some(crl.clone()), ("shop", &trust_store));
        assert_eq!(
            found.address.as_str(),
            format!("trust_store.crl[\"{}\"]", crl.digest.short())
        );
        assert_eq!(parts(&found.id), ("arn:store", 7));
    }

    #[test]
    fn aws_has_to_count_the_serials_that_the_crl_has() {
        let revocation = revocation(Authority::new("Root").crl(&[1, 2]));
        assert!(revocation.fits(Some(2)));
        assert!(!revocation.fits(Some(1)) && !revocation.fits(None));
    }
}
