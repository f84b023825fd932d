//! A CA bundle or CRL in the stack's bucket, under a key made from its content.
//!
//! Natural key: `<stack>/<sha256>.pem`. ELB copies what it reads when the trust store is made or
//! changed, so an object never changes; another content is another object.
//!
//! IAM: `s3:ListBucket`, `PutObject`, `GetObject` (ELB reads with the caller's permissions),
//! `DeleteObject`.
//! AWS: S3 API Reference, `PutObject`; ELB User Guide, "Mutual authentication".

use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use futures::future::try_join_all;

use super::bucket;
use super::{Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource};
use crate::aws::{pages, tolerate};
use crate::diff::{Change, Diff};
use crate::error::{Error, Result};

/// An object of ours.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// The bucket: ours, which this plan may still have to make, or one the stack file names.
    pub(crate) bucket: Late<String>,
    /// `<stack>/<sha256>.pem`.
    pub(crate) key: String,
    /// What it holds; unknown of a live one, whose key says as much.
    pub(crate) content: Option<Payload>,
}

/// Bytes that are compared by digest and shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    /// SHA-256 in hexadecimal digits.
    pub(crate) digest: String,
    /// The bytes.
    pub(crate) bytes: Arc<[u8]>,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({}, {} bytes)", self.digest, self.bytes.len())
    }
}

impl Object {
    /// The address of an object in the stack.
    pub(crate) fn address(digest: &str) -> Address {
        Address::parse(&format!(
            "objects[\"sha256:{}\"]",
            digest.get(..12).unwrap_or(digest)
        ))
    }

    /// The key of an object in the bucket.
    pub(crate) fn key(stack: &str, digest: &str) -> String {
        format!("{stack}/{digest}.pem")
    }
}

impl Resource for Object {
    const TYPE: &'static str = "AWS::S3::Object";

    fn needs(&self) -> Vec<Need> {
        vec![Need::exists(&self.bucket)]
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            bucket,
            key,
            content: _,
        } = self;
        diff.late("bucket", bucket, live.map(|live| &live.bucket))
            .replaces();
        diff.field("key", key, live.map(|live| &live.key))
            .replaces();
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let listings = reader.scopes().iter().map(|scope| async {
            let keys = list(reader, &scope.bucket, &format!("{}/", scope.name)).await?;
            let found = keys
                .into_iter()
                .filter_map(|key| found(&scope.name, &scope.bucket, key));
            Ok::<_, Error>(found.collect::<Vec<_>>())
        });
        Ok(try_join_all(listings).await?.concat())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let bucket = cx.value(&self.bucket)?;
        let content = self
            .content
            .as_ref()
            .ok_or_else(|| Error::step(&cx.address, "has no content to store"))?;
        let put = || async {
            let send = cx
                .aws()
                .s3
                .put_object()
                .bucket(&bucket)
                .key(&self.key)
                .expected_bucket_owner(&cx.identity().account)
                .content_type("application/x-pem-file")
                .body(ByteStream::from(content.bytes.to_vec()))
                .send();
            cx.aws().call("s3:PutObject", send).await
        };
        match put().await {
            // Another stack's destroy took our own bucket after we looked.
            Err(error) if error.is("NoSuchBucket") => {
                bucket::make(cx.aws(), cx.identity(), &bucket).await?;
                put().await?;
            }
            other => drop(other?),
        }
        Ok(Created {
            id: self.key.clone(),
            outputs: Outputs::from([("key", vec![self.key.clone()])]),
        })
    }

    async fn update(&self, _cx: &Cx, _live: &Found<Self>, _changes: &[Change]) -> Result<Outputs> {
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let send = cx
            .aws()
            .s3
            .delete_object()
            .bucket(cx.value(&live.spec.bucket)?)
            .key(&live.spec.key)
            .expected_bucket_owner(&cx.identity().account)
            .send();
        tolerate(
            cx.aws().call("s3:DeleteObject", send).await,
            &["NoSuchBucket"],
        )
    }
}

/// All keys below a prefix; our own bucket has none where it does not exist yet.
async fn list(reader: &Reader, bucket: &str, prefix: &str) -> Result<Vec<String>> {
    let may_be_missing = bucket::is_own(bucket, &reader.identity, &reader.aws.region);
    let objects = pages(async |next| {
        let send = reader
            .aws
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .expected_bucket_owner(&reader.identity.account)
            .set_continuation_token(next)
            .send();
        match reader.aws.call("s3:ListObjectsV2", send).await {
            Err(error) if error.is("NoSuchBucket") && may_be_missing => Ok((Vec::new(), None)),
            Err(error) if error.is("NoSuchBucket") => Err(bucket::missing(bucket)),
            other => {
                let page = other.map_err(|error| bucket::explain(error, bucket))?;
                Ok((
                    page.contents.unwrap_or_default(),
                    page.next_continuation_token,
                ))
            }
        }
    });
    let keys = objects.await?.into_iter().filter_map(|object| object.key);
    Ok(keys.collect())
}

/// The lock lies below the same prefix and is no object of this kind.
fn found(stack: &str, bucket: &str, key: String) -> Option<Found<Object>> {
    let digest = key
        .strip_prefix(stack)?
        .strip_prefix('/')?
        .strip_suffix(".pem")?;
    Some(Found {
        stack: stack.to_owned(),
        address: Object::address(digest),
        id: key.clone(),
        owner: Owner::Ours,
        protected: false,
        retained: None,
        outputs: Outputs::from([("key", vec![key.clone()])]),
        spec: Object {
            bucket: Late::Known(bucket.to_owned()),
            key,
            content: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_no_object_of_the_stack() {
        assert!(found("shop", "bucket", "shop/lock.json".to_owned()).is_none());
        let object =
            found("shop", "bucket", "shop/0123456789abcdef.pem".to_owned()).expect("an object");
        assert_eq!(object.address, Object::address("0123456789abcdef"));
    }

    #[test]
    fn a_payload_does_not_show_its_bytes() {
        let payload = Payload {
            digest: "12ab".to_owned(),
            bytes: Arc::from(&b"secret"[..]),
        };
        assert_eq!(format!("{payload:?}"), "Payload(12ab, 6 bytes)");
    }
}
