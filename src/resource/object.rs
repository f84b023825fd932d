//! A CA bundle or CRL in the stack's bucket, under a key made from its content.
//!
//! Natural key: `<stack>/<sha256>.pem`. ELB copies what it reads when the trust store is made or
//! changed, so an object never changes; another content is another object. What somebody else put
//! under the key is known by the checksum that S3 keeps: ELB must never read it in place of ours.
//! The trust store remembers in a tag which bucket its objects are in, `mtlsgw:bucket/<8 hex>`, so
//! that nothing is left behind when the stack file names another.
//!
//! IAM: `s3:ListBucket`, `PutObject`, `GetObject` (for the checksum, and because ELB reads with the
//! caller's permissions), `DeleteObject`; `elasticloadbalancing:RemoveTags`.
//! AWS: S3 API Reference, `PutObject`, `HeadObject`; ELB User Guide, "Mutual authentication".

use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_types::base64;
use futures::future::try_join_all;

use super::context::hex;
use super::{Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource};
use super::{bucket, trust_store};
use crate::aws::tags::{BUCKET, Tags};
use crate::aws::{Aws, AwsError, Identity, pages, tolerate};
use crate::diff::{Change, Diff};
use crate::error::{Error, Result};
use crate::trust::Sha256Digest;

/// An object of ours.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// The bucket: ours, which this plan may still have to make, or one the stack file names.
    pub(crate) bucket: Late<String>,
    /// `<stack>/<sha256>.pem`.
    pub(crate) key: String,
    /// What it holds; unknown of a live one that was stored without the checksum.
    pub(crate) content: Option<Payload>,
    /// Of a live one that another bucket is to hold: the trust store that remembers this bucket.
    pub(crate) remembered_by: Option<String>,
}

/// Bytes that are compared by digest and shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    /// SHA-256 in hexadecimal digits.
    pub(crate) digest: String,
    /// The bytes; nobody reads those of a live one.
    pub(crate) bytes: Option<Arc<[u8]>>,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.bytes.as_ref().map_or(0, |bytes| bytes.len());
        write!(f, "Payload({}, {size} bytes)", self.digest)
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

    fn digest(&self) -> Option<&str> {
        self.content.as_ref().map(|content| content.digest.as_str())
    }

    /// Stores the content with its checksum, which S3 verifies and keeps.
    async fn put(&self, cx: &Cx, bucket: &str) -> Result<(), AwsError> {
        let content = self.content.as_ref().expect("a wanted one has content");
        let bytes = content.bytes.as_ref().expect("a wanted one has its bytes");
        let send = cx
            .aws()
            .s3
            .put_object()
            .bucket(bucket)
            .key(&self.key)
            .expected_bucket_owner(&cx.identity().account)
            .content_type("application/x-pem-file")
            .checksum_sha256(base64::encode(Sha256Digest::of(bytes).as_bytes()))
            .body(ByteStream::from(bytes.to_vec()))
            .send();
        cx.aws().call("s3:PutObject", send).await.map(drop)
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
            content,
            remembered_by: _,
        } = self;
        diff.late("bucket", bucket, live.map(|live| &live.bucket))
            .replaces();
        diff.field("key", key, live.map(|live| &live.key))
            .replaces();
        let digest = content.as_ref().map(|content| content.digest.as_str());
        diff.field("content", &digest, live.map(Self::digest).as_ref());
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let present = reader.scopes().iter().map(async |scope| {
            let found = in_bucket(reader, &scope.name, &scope.bucket, None).await?;
            // What leaves with its stack may hold anything; which CRLs stay is known only later.
            let stays = !scope.resources.trust_stores.is_empty();
            let read = found.into_iter().map(async |mut found| {
                if stays {
                    found.spec.content = content(reader, &scope.bucket, &found.id).await?;
                }
                Ok::<_, Error>(found)
            });
            try_join_all(read).await
        });
        let (present, former) =
            futures::try_join!(try_join_all(present), in_former_buckets(reader))?;
        Ok([present.concat(), former].concat())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let bucket = cx.value(&self.bucket)?;
        match self.put(cx, &bucket).await {
            // Another stack's destroy took our own bucket after we looked.
            Err(error) if error.is("NoSuchBucket") => {
                bucket::make(cx.aws(), cx.identity(), &bucket).await?;
                self.put(cx, &bucket).await?;
            }
            other => other?,
        }
        Ok(Created {
            id: self.key.clone(),
            outputs: Outputs::from([("key", vec![self.key.clone()])]),
        })
    }

    async fn update(&self, cx: &Cx, _live: &Found<Self>, _changes: &[Change]) -> Result<Outputs> {
        self.put(cx, &cx.value(&self.bucket)?).await?;
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let bucket = cx.value(&live.spec.bucket)?;
        let send = cx
            .aws()
            .s3
            .delete_object()
            .bucket(&bucket)
            .key(&live.spec.key)
            .expected_bucket_owner(&cx.identity().account)
            .send();
        tolerate(
            cx.aws().call("s3:DeleteObject", send).await,
            &["NoSuchBucket"],
        )?;
        match &live.spec.remembered_by {
            Some(trust_store) => forget(cx, trust_store, &live.stack, &bucket).await,
            None => Ok(()),
        }
    }
}

/// The tag by which a trust store remembers the bucket of its bundle and CRLs.
pub(crate) fn memory(bucket: &str) -> (String, String) {
    let digest = Sha256Digest::of(bucket).to_string();
    (format!("{BUCKET}/{}", &digest[..8]), bucket.to_owned())
}

/// The buckets that a trust store remembers.
fn remembered(tags: &Tags) -> impl Iterator<Item = &str> {
    let tags = tags.0.iter();
    tags.filter(|(key, value)| memory(value).0 == **key)
        .map(|(_, value)| value.as_str())
}

/// Forgets a bucket once nothing of the stack is in it, never before; the lock comes and goes.
async fn forget(cx: &Cx, trust_store: &str, stack: &str, bucket: &str) -> Result<()> {
    let left = list(cx.aws(), cx.identity(), (stack, bucket), true).await?;
    if left.iter().any(|key| digest(stack, key).is_some()) {
        return Ok(());
    }
    let send = cx
        .aws()
        .elbv2
        .remove_tags()
        .resource_arns(trust_store)
        .tag_keys(memory(bucket).0)
        .send();
    tolerate(
        cx.aws().call("elbv2:RemoveTags", send).await,
        &["TrustStoreNotFound"],
    )
}

/// What lies where a stack file named another bucket before.
async fn in_former_buckets(reader: &Reader) -> Result<Vec<Found<Object>>> {
    let trust_stores = trust_store::listing(reader).await?;
    let owned = trust_stores.iter().filter_map(|listed| {
        let stack = listed.tags.stack()?;
        let scope = reader.scopes().iter().find(|scope| scope.name == stack)?;
        Some((listed, scope))
    });
    let former = owned.flat_map(|(listed, scope)| {
        let former = remembered(&listed.tags).filter(|bucket| *bucket != scope.bucket);
        former.map(|bucket| in_bucket(reader, &scope.name, bucket, Some(&listed.id)))
    });
    Ok(try_join_all(former).await?.concat())
}

/// The objects of a stack in one bucket.
async fn in_bucket(
    reader: &Reader,
    stack: &str,
    bucket: &str,
    remembered_by: Option<&str>,
) -> Result<Vec<Found<Object>>> {
    let (aws, identity) = (&reader.aws, &reader.identity);
    // Whoever deleted a former bucket deleted what was in it; our own one is made when needed.
    let may_be_missing = remembered_by.is_some() || bucket::is_own(bucket, identity, &aws.region);
    let keys = list(aws, identity, (stack, bucket), may_be_missing).await?;
    let found = keys.into_iter().filter_map(|key| {
        let mut found = found(stack, bucket, key)?;
        found.spec.remembered_by = remembered_by.map(str::to_owned);
        Some(found)
    });
    Ok(found.collect())
}

/// All keys of a stack in a bucket; none in one that is missing and may be.
async fn list(
    aws: &Aws,
    identity: &Identity,
    (stack, bucket): (&str, &str),
    may_be_missing: bool,
) -> Result<Vec<String>> {
    let objects = pages(async |next| {
        let send = aws
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(format!("{stack}/"))
            .expected_bucket_owner(&identity.account)
            .set_continuation_token(next)
            .send();
        match aws.call("s3:ListObjectsV2", send).await {
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

/// What an object holds, as far as S3 keeps the checksum that ours are stored with.
async fn content(reader: &Reader, bucket: &str, key: &str) -> Result<Option<Payload>> {
    let send = reader
        .aws
        .s3
        .head_object()
        .bucket(bucket)
        .key(key)
        .checksum_mode(ChecksumMode::Enabled)
        .expected_bucket_owner(&reader.identity.account)
        .send();
    let checksum = match reader.aws.call("s3:HeadObject", send).await {
        // Deleted since it was listed.
        Err(error) if error.is("NotFound") => None,
        other => {
            let object = other.map_err(|error| bucket::explain(error, bucket))?;
            object.checksum_sha256
        }
    };
    let digest = checksum.and_then(|checksum| base64::decode(checksum).ok());
    Ok(digest.map(|digest| Payload {
        digest: hex(&digest),
        bytes: None,
    }))
}

/// The digest in the key of an object; the lock lies below the same prefix and is none.
fn digest<'a>(stack: &str, key: &'a str) -> Option<&'a str> {
    let name = key.strip_prefix(stack)?.strip_prefix('/')?;
    name.strip_suffix(".pem")
}

/// The object that a key stands for.
fn found(stack: &str, bucket: &str, key: String) -> Option<Found<Object>> {
    let address = Object::address(digest(stack, &key)?);
    Some(Found {
        stack: stack.to_owned(),
        address,
        id: key.clone(),
        owner: Owner::Ours,
        protected: None,
        retained: None,
        outputs: Outputs::from([("key", vec![key.clone()])]),
        spec: Object {
            bucket: Late::Known(bucket.to_owned()),
            key,
            content: None,
            remembered_by: None,
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
            bytes: Some(Arc::from(&b"secret"[..])),
        };
        assert_eq!(format!("{payload:?}"), "Payload(12ab, 6 bytes)");
    }
}
