//! Trust stores: CA bundles that listeners verify client certificates against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arn::Kind;
use super::revocation::Revocation;
use super::{State, arn, bundle, invalid, page, state, tag};
use crate::sandbox::s3;
use crate::sandbox::world::{Call, Refusal, World};

/// A trust store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct TrustStore {
    /// Its ARN.
    pub(in crate::sandbox) arn: String,
    /// The name, unique in the region.
    pub(in crate::sandbox) name: String,
    /// When it can be used.
    active_at: i64,
    /// How many certificates the bundle has.
    certificates: usize,
    /// ELB's copy of the bundle; what becomes of the customer's object makes no difference.
    pub(in crate::sandbox) bundle: Kept,
    /// The revocation lists by their ids.
    pub(in crate::sandbox) revocations: BTreeMap<i64, Revocation>,
    /// The last id that was given to a revocation list; none is given twice.
    pub(super) last_revocation: i64,
    /// Listeners that have let go of the store, with the time until which they are listed.
    released: BTreeMap<String, i64>,
}

/// An object that ELB keeps in S3 for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Kept {
    /// ELB's bucket in the region.
    pub(in crate::sandbox) bucket: String,
    /// The object's key.
    pub(in crate::sandbox) key: String,
}

/// How long a trust store takes from `CREATING` to `ACTIVE`.
const CREATING: Duration = Duration::from_secs(5);

/// How long the URLs of what ELB keeps can be used.
const URL_VALID: Duration = Duration::from_mins(10);

impl Kept {
    /// Keeps a copy of `content` in ELB's own bucket.
    pub(super) fn store(world: &mut World, call: &Call<'_>, content: &[u8]) -> Self {
        let kept = Self {
            bucket: format!("elasticloadbalancing-trust-stores-{}", call.region),
            key: world.unique_hex(32),
        };
        let place = s3::Place {
            owner: "elasticloadbalancing",
            region: call.region,
            bucket: &kept.bucket,
            key: &kept.key,
        };
        let now = world.now;
        world.s3.put_internal(&place, now, content);
        kept
    }

    /// The answer that leads to the content by a URL that is good for ten minutes.
    pub(super) fn location(&self, world: &World, call: &Call<'_>) -> Value {
        let url = s3::presigned_url(world, call, (&self.bucket, &self.key), URL_VALID);
        json!({"Location": url})
    }
}

impl TrustStore {
    /// Whether listeners can use it yet.
    pub(super) fn is_active(&self, now: i64) -> bool {
        now >= self.active_at
    }

    /// How many entries its revocation lists have together.
    pub(super) fn revoked_entries(&self) -> u64 {
        self.revocations
            .values()
            .map(|revocation| revocation.entries)
            .sum()
    }

    /// Notes that a listener has let go of the store, which goes on listing it for a while.
    pub(super) fn release(&mut self, listener: &str, until: i64) {
        self.released.insert(listener.to_owned(), until);
    }

    /// The listeners that are listed as using the store, whether they still do or not.
    fn associations(&self, state: &State, now: i64) -> BTreeSet<String> {
        let uses = state.listeners.values().filter(|listener| {
            listener.mutual_authentication.trust_store() == Some(self.arn.as_str())
        });
        let released = self.released.iter().filter(|(_, until)| now < **until);
        uses.map(|listener| listener.arn.clone())
            .chain(released.map(|(listener, _)| listener.clone()))
            .collect()
    }

    fn describe(&self, now: i64) -> Value {
        json!({
            "Name": self.name,
            "TrustStoreArn": self.arn,
            "Status": if self.is_active(now) { "ACTIVE" } else { "CREATING" },
            "NumberOfCaCertificates": self.certificates,
            "TotalRevokedEntries": self.revoked_entries(),
        })
    }
}

impl State {
    /// The trust store that the call names.
    pub(super) fn named_trust_store(
        &mut self,
        call: &Call<'_>,
    ) -> Result<&mut TrustStore, Refusal> {
        let arn = call.required("TrustStoreArn");
        self.trust_stores
            .get_mut(arn)
            .ok_or_else(|| Kind::TrustStore.missing(arn))
    }
}

/// `CreateTrustStore`: not idempotent, a name is taken once.
pub(super) fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = tag::given(call)?;
    let name = call.required("Name");
    let most = world.quota("L-A8F7060B", 20);
    let known = &state(world, call).trust_stores;
    if known.values().any(|known| known.name == name) {
        return Err(Refusal::new(
            "DuplicateTrustStoreName",
            format!("A trust store with the name '{name}' already exists"),
        ));
    }
    if known.len() as u64 >= most {
        return Err(Refusal::new(
            "TooManyTrustStores",
            "The maximum number of trust stores has been reached",
        ));
    }
    let (certificates, bundle) = take_bundle(world, call)?;
    let id = world.unique_hex(16);
    let trust_store = TrustStore {
        arn: arn::make(world, call, &format!("truststore/{name}/{id}")),
        name: name.to_owned(),
        active_at: world.due(CREATING),
        certificates,
        bundle,
        revocations: BTreeMap::new(),
        last_revocation: 0,
        released: BTreeMap::new(),
    };
    let output = json!({"TrustStores": [trust_store.describe(world.now)]});
    let state = state(world, call);
    state.tags.insert(trust_store.arn.clone(), tags);
    state
        .trust_stores
        .insert(trust_store.arn.clone(), trust_store);
    Ok(output)
}

/// An object of the account's own buckets: ELB reads with the caller's permissions.
pub(super) fn customer_object<'w>(
    world: &'w World,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Option<&'w [u8]> {
    let owner = &world.s3.bucket(bucket)?.owner;
    (*owner == world.account).then(|| world.s3.body(bucket, key, version))?
}

/// Reads the customer's bundle, with the caller's permissions, checks it and keeps a copy.
fn take_bundle(world: &mut World, call: &Call<'_>) -> Result<(usize, Kept), Refusal> {
    let bucket = call.required("CaCertificatesBundleS3Bucket");
    let key = call.required("CaCertificatesBundleS3Key");
    let version = call.text("CaCertificatesBundleS3ObjectVersion");
    let Some(content) = customer_object(world, bucket, key, version) else {
        return Err(Refusal::new(
            "CaCertificatesBundleNotFound",
            format!("The CA certificates bundle '{key}' was not found in the bucket '{bucket}'"),
        ));
    };
    let content = content.to_vec();
    let certificates = bundle::check(world, &content)?;
    Ok((certificates, Kept::store(world, call, &content)))
}

/// `ModifyTrustStore`: another bundle instead of the whole one; the revocation lists stay.
pub(super) fn modify(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    state(world, call).named_trust_store(call)?;
    let (certificates, bundle) = take_bundle(world, call)?;
    let now = world.now;
    let trust_store = state(world, call).named_trust_store(call)?;
    trust_store.certificates = certificates;
    trust_store.bundle = bundle;
    Ok(json!({"TrustStores": [trust_store.describe(now)]}))
}

/// `DescribeTrustStores`.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    page::one_selection(call, &["TrustStoreArns", "Names"])?;
    let (arns, names) = (page::arns(call, "TrustStoreArns")?, call.texts("Names"));
    let now = world.now;
    let known = &state(world, call).trust_stores;
    if let Some(missing) = arns.iter().find(|arn| !known.contains_key(**arn)) {
        return Err(Kind::TrustStore.missing(missing));
    }
    let has_name = |name: &&str| known.values().any(|known| known.name == **name);
    if let Some(missing) = names.iter().find(|name| !has_name(name)) {
        return Err(Kind::TrustStore.missing_name(missing));
    }
    let all = arns.is_empty() && names.is_empty();
    let wanted = |known: &TrustStore| {
        all || arns.contains(&known.arn.as_str()) || names.contains(&known.name.as_str())
    };
    let found = known
        .values()
        .filter(|known| wanted(known))
        .map(|known| (known.arn.clone(), known.describe(now)))
        .collect();
    page::answer(call, "TrustStores", found)
}

/// `DeleteTrustStore`.
pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let state = state(world, call);
    let trust_store = state.named_trust_store(call)?.clone();
    if !trust_store.associations(state, now).is_empty() {
        return Err(Refusal::new(
            "TrustStoreInUse",
            format!(
                "Trust store '{}' is currently in use by a listener",
                trust_store.arn
            ),
        ));
    }
    state.trust_stores.remove(&trust_store.arn);
    state.tags.remove(&trust_store.arn);
    Ok(json!({}))
}

/// `DescribeTrustStoreAssociations`.
pub(super) fn describe_associations(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let state = state(world, call);
    let trust_store = state.named_trust_store(call)?.clone();
    let found = trust_store
        .associations(state, now)
        .into_iter()
        .map(|listener| (listener.clone(), json!({"ResourceArn": listener})))
        .collect();
    page::answer(call, "TrustStoreAssociations", found)
}

/// `GetTrustStoreCaCertificatesBundle`.
pub(super) fn bundle_location(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let bundle = state(world, call).named_trust_store(call)?.bundle.clone();
    Ok(bundle.location(world, call))
}

/// `DeleteSharedTrustStoreAssociation`: there is one account, so that no store is shared.
pub(super) fn delete_association(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let state = state(world, call);
    let trust_store = state.named_trust_store(call)?.clone();
    let resource = call.required("ResourceArn");
    if trust_store.associations(state, now).contains(resource) {
        return Err(Refusal::new(
            "DeleteAssociationSameAccount",
            "The association is with a resource of the account that owns the trust store",
        ));
    }
    Err(Refusal::new(
        "AssociationNotFound",
        format!("The trust store has no association with '{resource}'"),
    ))
}

/// `GetResourcePolicy`: only a trust store that is shared has one, and none is.
pub(super) fn resource_policy(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arn = call.required("ResourceArn");
    if Kind::of(arn) != Some(Kind::TrustStore) {
        return Err(invalid(format!("'{arn}' is not a valid trust store ARN")));
    }
    let known = state(world, call).trust_stores.contains_key(arn);
    let what = if known {
        "has no policy"
    } else {
        "was not found"
    };
    Err(Refusal::new(
        "ResourceNotFound",
        format!("The resource '{arn}' {what}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    fn with_verifying_listener(account: &mut Account) -> (String, String) {
        let load_balancer = account.load_balancer();
        let target_group = account.target_group("endpoint");
        let trust_store = account.trust_store("partners");
        account.wait(5);
        let mut input = account.listener_input(&load_balancer, &target_group);
        input["MutualAuthentication"] = json!({"Mode": "verify", "TrustStoreArn": trust_store});
        (account.listener(input), trust_store)
    }

    #[test]
    fn it_is_creating_before_it_is_active() {
        let mut account = Account::realistic();
        account.trust_store("partners");
        let status = |account: &mut Account| {
            let output = account.call("DescribeTrustStores", json!({"Names": ["partners"]}));
            output["TrustStores"][0]["Status"].clone()
        };
        assert_eq!(status(&mut account), "CREATING");
        account.wait(5);
        assert_eq!(status(&mut account), "ACTIVE");
    }

    #[test]
    fn its_name_is_taken_once() {
        let mut account = Account::fresh();
        account.trust_store("partners");
        let again = json!({
            "Name": "partners",
            "CaCertificatesBundleS3Bucket": "trust",
            "CaCertificatesBundleS3Key": "ca.pem",
        });
        assert_eq!(
            account.refused("CreateTrustStore", again),
            "DuplicateTrustStoreName"
        );
        let named = json!({"Names": ["partners", "others"]});
        assert_eq!(
            account.refused("DescribeTrustStores", named),
            "TrustStoreNotFound"
        );
    }

    #[test]
    fn a_bundle_must_be_there() {
        let mut account = Account::fresh();
        let input = json!({
            "Name": "partners",
            "CaCertificatesBundleS3Bucket": "trust",
            "CaCertificatesBundleS3Key": "none.pem",
        });
        assert_eq!(
            account.refused("CreateTrustStore", input),
            "CaCertificatesBundleNotFound"
        );
    }

    #[test]
    fn it_keeps_a_copy_that_a_new_object_does_not_change() {
        let mut account = Account::fresh();
        let arn = account.trust_store("partners");
        let bundle = |account: &mut Account| {
            let elb = &account.world.region("ap-northeast-1").elbv2;
            let kept = elb.trust_stores[&arn].bundle.clone();
            let content = account.world.s3.body(&kept.bucket, &kept.key, None);
            content.map(<[u8]>::to_vec)
        };
        let before = bundle(&mut account);
        account.object("ca.pem", &bundle::tests::certificate(|_| {}));
        assert_eq!(bundle(&mut account), before);
        let input = json!({
            "TrustStoreArn": arn,
            "CaCertificatesBundleS3Bucket": "trust",
            "CaCertificatesBundleS3Key": "ca.pem",
        });
        account.call("ModifyTrustStore", input);
        assert_ne!(bundle(&mut account), before);
    }

    #[test]
    fn a_listener_keeps_it_from_being_deleted_and_lingers() {
        let mut account = Account::realistic();
        let (listener, trust_store) = with_verifying_listener(&mut account);
        let delete = json!({"TrustStoreArn": trust_store});
        let refusal = account
            .attempt("DeleteTrustStore", delete.clone())
            .expect_err("in use");
        assert_eq!(refusal.code, "TrustStoreInUse");
        assert!(
            refusal
                .message
                .contains("is currently in use by a listener")
        );
        account.call("DeleteListener", json!({"ListenerArn": listener}));
        let output = account.call("DescribeTrustStoreAssociations", delete.clone());
        assert_eq!(
            output["TrustStoreAssociations"],
            json!([{"ResourceArn": listener}])
        );
        assert_eq!(
            account.refused("DeleteTrustStore", delete.clone()),
            "TrustStoreInUse"
        );
        account.wait(5);
        account.call("DeleteTrustStore", delete.clone());
        assert_eq!(
            account.refused("DeleteTrustStore", delete),
            "TrustStoreNotFound"
        );
    }

    #[test]
    fn the_copy_is_found_by_a_url_on_the_sandbox() {
        let mut account = Account::fresh();
        let arn = account.trust_store("partners");
        let output = account.call(
            "GetTrustStoreCaCertificatesBundle",
            json!({"TrustStoreArn": arn}),
        );
        let location = output["Location"].as_str().expect("a URL");
        assert!(location.starts_with("http://127.0.0.1:4566/"));
        assert!(location.contains("X-Amz-Expires=600"));
    }
}
