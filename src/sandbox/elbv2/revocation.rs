//! Revocation lists of trust stores.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::crl::Crl;
use super::trust_store::{Kept, customer_object};
use super::{invalid, page, state};
use crate::sandbox::world::{Call, Refusal, World};

/// A revocation list that was added to a trust store; it is never changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Revocation {
    /// How many entries it has.
    pub(in crate::sandbox) entries: u64,
    /// ELB's copy of the list.
    pub(in crate::sandbox) content: Kept,
}

impl Revocation {
    fn describe(&self, trust_store: &str, id: i64) -> Value {
        json!({
            "TrustStoreArn": trust_store,
            "RevocationId": id,
            "RevocationType": "CRL",
            "NumberOfRevokedEntries": self.entries,
        })
    }
}

/// A list that was read and checked, not yet added.
struct Read {
    entries: u64,
    content: Vec<u8>,
}

/// `AddTrustStoreRevocations`: all of the lists or none.
pub(super) fn add(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let trust_store = state(world, call).named_trust_store(call)?.clone();
    let given = call.list("RevocationContents");
    if given.is_empty() {
        return Err(invalid("At least one revocation content must be specified"));
    }
    let read: Vec<Read> = given
        .iter()
        .enumerate()
        .map(|(index, content)| read(world, call, index, content))
        .collect::<Result<_, _>>()?;
    let entries: u64 = read.iter().map(|list| list.entries).sum();
    let too_many = |what: &str| {
        Refusal::new(
            "TooManyTrustStoreRevocationEntries",
            format!("The trust store has too many revocation {what}"),
        )
    };
    if trust_store.revoked_entries() + entries > world.quota("L-37E1617B", 500_000) {
        return Err(too_many("entries"));
    }
    if (trust_store.revocations.len() + read.len()) as u64 > world.quota("L-332EE142", 30) {
        return Err(too_many("lists"));
    }
    let mut added = Vec::new();
    for list in read {
        let revocation = Revocation {
            entries: list.entries,
            content: Kept::store(world, call, &list.content),
        };
        let trust_store = state(world, call).named_trust_store(call)?;
        trust_store.last_revocation += 1;
        let id = trust_store.last_revocation;
        added.push(revocation.describe(&trust_store.arn, id));
        trust_store.revocations.insert(id, revocation);
    }
    Ok(json!({"TrustStoreRevocations": added}))
}

/// Reads a revocation list with the caller's permissions and checks it.
fn read(world: &World, call: &Call<'_>, index: usize, content: &Value) -> Result<Read, Refusal> {
    call.models(
        &format!("RevocationContents[{index}]"),
        content,
        &["S3Bucket", "S3Key", "S3ObjectVersion", "RevocationType"],
    )?;
    let text = |member: &str| content[member].as_str();
    let (Some(bucket), Some(key)) = (text("S3Bucket"), text("S3Key")) else {
        return Err(invalid("A revocation content must have a bucket and a key"));
    };
    let Some(content) = customer_object(world, bucket, key, text("S3ObjectVersion")) else {
        return Err(Refusal::new(
            "RevocationContentNotFound",
            format!("The revocation content '{key}' was not found in the bucket '{bucket}'"),
        ));
    };
    let refused = |complaint| Refusal::new("InvalidRevocationContent", complaint);
    let crl = Crl::from_pem(content).map_err(refused)?;
    Ok(Read {
        entries: crl.entries,
        content: content.to_vec(),
    })
}

/// The ids of the call, each of which the trust store has.
fn existing(world: &mut World, call: &Call<'_>) -> Result<Vec<i64>, Refusal> {
    let trust_store = state(world, call).named_trust_store(call)?;
    let ids: Vec<i64> = call
        .list("RevocationIds")
        .iter()
        .filter_map(Value::as_i64)
        .collect();
    match ids
        .iter()
        .find(|id| !trust_store.revocations.contains_key(id))
    {
        Some(missing) => Err(not_found(*missing)),
        None => Ok(ids),
    }
}

fn not_found(id: i64) -> Refusal {
    Refusal::new(
        "RevocationIdNotFound",
        format!("The revocation ID '{id}' was not found"),
    )
}

/// `RemoveTrustStoreRevocations`: all of them or none.
pub(super) fn remove(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let ids = existing(world, call)?;
    if ids.is_empty() {
        return Err(invalid("At least one revocation ID must be specified"));
    }
    for id in ids {
        state(world, call)
            .named_trust_store(call)?
            .revocations
            .remove(&id);
    }
    Ok(json!({}))
}

/// `DescribeTrustStoreRevocations`.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let ids = existing(world, call)?;
    let trust_store = state(world, call).named_trust_store(call)?;
    let wanted = trust_store.revocations.iter();
    let found = wanted
        .filter(|(id, _)| ids.is_empty() || ids.contains(id))
        .map(|(id, revocation)| {
            (
                format!("{id:020}"),
                revocation.describe(&trust_store.arn, *id),
            )
        })
        .collect();
    page::answer(call, "TrustStoreRevocations", found)
}

/// `GetTrustStoreRevocationContent`.
pub(super) fn location(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let trust_store = state(world, call).named_trust_store(call)?;
    let id = call.integer("RevocationId").unwrap_or_default();
    let Some(revocation) = trust_store.revocations.get(&id) else {
        return Err(not_found(id));
    };
    let content = revocation.content.clone();
    Ok(content.location(world, call))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    fn list(key: &str) -> Value {
        json!({"S3Bucket": "trust", "S3Key": key})
    }

    #[test]
    fn ids_are_given_once() {
        let mut account = Account::fresh();
        let arn = account.trust_store("partners");
        account.revocation_list("revoked.pem", 3);
        let add = json!({"TrustStoreArn": arn, "RevocationContents": [list("revoked.pem")]});
        let id = |output: Value| output["TrustStoreRevocations"][0]["RevocationId"].clone();
        assert_eq!(id(account.call("AddTrustStoreRevocations", add.clone())), 1);
        assert_eq!(id(account.call("AddTrustStoreRevocations", add.clone())), 2);
        let remove = json!({"TrustStoreArn": arn, "RevocationIds": [2]});
        account.call("RemoveTrustStoreRevocations", remove.clone());
        assert_eq!(
            account.refused("RemoveTrustStoreRevocations", remove),
            "RevocationIdNotFound"
        );
        assert_eq!(id(account.call("AddTrustStoreRevocations", add)), 3);
        let output = account.call("DescribeTrustStores", json!({}));
        assert_eq!(output["TrustStores"][0]["TotalRevokedEntries"], 6);
    }

    #[test]
    fn one_wrong_list_keeps_out_all() {
        let mut account = Account::fresh();
        let arn = account.trust_store("partners");
        account.revocation_list("revoked.pem", 1);
        account.object(
            "wrong.pem",
            "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        );
        let contents = json!([list("revoked.pem"), list("wrong.pem")]);
        let add = json!({"TrustStoreArn": arn, "RevocationContents": contents});
        assert_eq!(
            account.refused("AddTrustStoreRevocations", add),
            "InvalidRevocationContent"
        );
        let missing = json!({"TrustStoreArn": arn, "RevocationContents": [list("none.pem")]});
        assert_eq!(
            account.refused("AddTrustStoreRevocations", missing),
            "RevocationContentNotFound"
        );
        let output = account.call(
            "DescribeTrustStoreRevocations",
            json!({"TrustStoreArn": arn}),
        );
        assert_eq!(output["TrustStoreRevocations"], json!([]));
    }

    #[test]
    fn the_entries_of_all_lists_count_together() {
        let mut account = Account::fresh();
        account.world.quotas.insert("L-37E1617B".to_owned(), 5);
        let arn = account.trust_store("partners");
        account.revocation_list("revoked.pem", 3);
        let add = json!({"TrustStoreArn": arn, "RevocationContents": [list("revoked.pem")]});
        account.call("AddTrustStoreRevocations", add.clone());
        let code = account.refused("AddTrustStoreRevocations", add);
        assert_eq!(code, "TooManyTrustStoreRevocationEntries");
    }
}
