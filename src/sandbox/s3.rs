//! S3: buckets, objects and their versions.

mod bucket;
mod configuration;
mod digest;
mod lifecycle;
mod listing;
mod object;
mod policy;
mod presign;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::tracked::Tracked;
use super::world::{Call, Caller, Refusal, World, hex};

pub(super) use self::digest::verify;
pub(super) use self::presign::{check as check_presigned, presigned_url};

/// Every bucket of the account, and those that AWS services keep for themselves.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// By name.
    buckets: Tracked<BTreeMap<String, Bucket>>,
    /// Object contents by digest; the store keeps them as files.
    #[serde(skip)]
    bodies: BTreeMap<String, Arc<[u8]>>,
}

/// A bucket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bucket {
    /// Where it lies.
    pub(super) region: String,
    /// The account it belongs to, or the service that hides it.
    pub(super) owner: String,
    /// The bucket policy as it was sent.
    pub(super) policy: Option<String>,
    /// The tags.
    pub(super) tags: BTreeMap<String, String>,
    /// When it was made, in milliseconds.
    created: i64,
    /// `Enabled` or `Suspended`, once versioning was ever on.
    versioning: Option<String>,
    /// `ServerSideEncryptionConfiguration`; SSE-S3 unless put otherwise.
    encryption: Value,
    /// `PublicAccessBlockConfiguration`, unless it was deleted.
    public_access_block: Option<Value>,
    /// `ObjectOwnership`, unless it was deleted.
    ownership: Option<String>,
    /// The lifecycle configuration, once it was put.
    #[serde(default)]
    lifecycle: Option<Value>,
    /// From when on the policy is known to everybody who asks for it, in milliseconds.
    #[serde(default)]
    policy_known: i64,
    /// Object versions by key, the current one last.
    objects: BTreeMap<String, Vec<Version>>,
}

/// One version of an object, or a delete marker.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Version {
    /// `null` for what was written while versioning was off.
    id: String,
    /// When it was written, in milliseconds.
    modified: i64,
    /// What it holds; nothing makes it a delete marker.
    content: Option<Content>,
}

/// What a version holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Content {
    /// The SHA-256, under which the body is kept.
    digest: String,
    /// The MD5 in quotes.
    etag: String,
    /// The length in bytes.
    size: usize,
    /// Members of the output that are given back as they were put: `ContentType`, `Metadata`.
    headers: BTreeMap<String, Value>,
    /// The checksum that came with it, by member: `ChecksumCRC32`.
    checksums: BTreeMap<String, Value>,
    /// The tags.
    tags: BTreeMap<String, String>,
}

/// Where an AWS service writes an object.
pub(super) struct Place<'a> {
    /// The service, `elasticloadbalancing`; decides who owns a bucket that does not exist yet.
    pub(super) owner: &'a str,
    /// The region of such a bucket.
    pub(super) region: &'a str,
    /// The bucket's name.
    pub(super) bucket: &'a str,
    /// The object's key.
    pub(super) key: &'a str,
}

/// What every operation on a bucket takes.
const BUCKET: &[&str] = &["Bucket", "ExpectedBucketOwner"];

/// What the operations take that read an object.
const READ: &[&str] = &[
    "Bucket",
    "ChecksumMode",
    "ExpectedBucketOwner",
    "IfMatch",
    "IfNoneMatch",
    "Key",
    "VersionId",
];

/// Operation and the top-level input members it models; any other member is refused by the wire layer.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[(&str, &[&str])] = &[
    ("CreateBucket", &[
        "ACL", "Bucket", "CreateBucketConfiguration", "ObjectLockEnabledForBucket",
        "ObjectOwnership",
    ]),
    ("DeleteBucket", BUCKET),
    ("DeleteBucketEncryption", BUCKET),
    ("DeleteBucketLifecycle", BUCKET),
    ("DeleteBucketOwnershipControls", BUCKET),
    ("DeleteBucketPolicy", BUCKET),
    ("DeleteBucketTagging", BUCKET),
    ("DeleteObject", &["Bucket", "ExpectedBucketOwner", "IfMatch", "Key", "VersionId"]),
    ("DeleteObjectTagging", &["Bucket", "ExpectedBucketOwner", "Key", "VersionId"]),
    ("DeleteObjects", &["Bucket", "ChecksumAlgorithm", "Delete", "ExpectedBucketOwner"]),
    ("DeletePublicAccessBlock", BUCKET),
    ("GetBucketAbac", BUCKET),
    ("GetBucketAccelerateConfiguration", BUCKET),
    ("GetBucketAcl", BUCKET),
    ("GetBucketCors", BUCKET),
    ("GetBucketEncryption", BUCKET),
    ("GetBucketLifecycleConfiguration", BUCKET),
    ("GetBucketLocation", BUCKET),
    ("GetBucketLogging", BUCKET),
    ("GetBucketNotificationConfiguration", BUCKET),
    ("GetBucketOwnershipControls", BUCKET),
    ("GetBucketPolicy", BUCKET),
    ("GetBucketPolicyStatus", BUCKET),
    ("GetBucketReplication", BUCKET),
    ("GetBucketRequestPayment", BUCKET),
    ("GetBucketTagging", BUCKET),
    ("GetBucketVersioning", BUCKET),
    ("GetBucketWebsite", BUCKET),
    ("GetObject", READ),
    ("GetObjectLockConfiguration", BUCKET),
    ("GetObjectTagging", &["Bucket", "ExpectedBucketOwner", "Key", "VersionId"]),
    ("GetPublicAccessBlock", BUCKET),
    ("HeadBucket", BUCKET),
    ("HeadObject", READ),
    ("ListBuckets", &["BucketRegion", "ContinuationToken", "MaxBuckets", "Prefix"]),
    ("ListObjectVersions", &[
        "Bucket", "Delimiter", "EncodingType", "ExpectedBucketOwner", "KeyMarker", "MaxKeys",
        "Prefix", "VersionIdMarker",
    ]),
    ("ListObjects", &[
        "Bucket", "Delimiter", "EncodingType", "ExpectedBucketOwner", "Marker", "MaxKeys",
        "Prefix",
    ]),
    ("ListObjectsV2", &[
        "Bucket", "ContinuationToken", "Delimiter", "EncodingType", "ExpectedBucketOwner",
        "FetchOwner", "MaxKeys", "Prefix", "StartAfter",
    ]),
    ("PutBucketEncryption", &[
        "Bucket", "ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner",
        "ServerSideEncryptionConfiguration",
    ]),
    ("PutBucketLifecycleConfiguration", &[
        "Bucket", "ChecksumAlgorithm", "ExpectedBucketOwner", "LifecycleConfiguration",
        "TransitionDefaultMinimumObjectSize",
    ]),
    ("PutBucketOwnershipControls", &[
        "Bucket", "ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner", "OwnershipControls",
    ]),
    ("PutBucketPolicy", &[
        "Bucket", "ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner", "Policy",
    ]),
    ("PutBucketTagging", &[
        "Bucket", "ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner", "Tagging",
    ]),
    ("PutBucketVersioning", &[
        "Bucket", "ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner",
        "VersioningConfiguration",
    ]),
    ("PutObject", &[
        "ACL", "Body", "Bucket", "CacheControl", "ChecksumAlgorithm", "ChecksumCRC32",
        "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA256", "ContentDisposition",
        "ContentEncoding", "ContentLanguage", "ContentLength", "ContentMD5", "ContentType",
        "ExpectedBucketOwner", "IfMatch", "IfNoneMatch", "Key", "Metadata", "ServerSideEncryption",
        "StorageClass", "Tagging",
    ]),
    ("PutObjectTagging", &[
        "Bucket", "ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner", "Key", "Tagging",
        "VersionId",
    ]),
    ("PutPublicAccessBlock", &[
        "Bucket", "ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner",
        "PublicAccessBlockConfiguration",
    ]),
];

/// Answers one call.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation {
        "CreateBucket" => bucket::create(world, call),
        "DeleteBucket" => bucket::delete(world, call),
        "GetBucketLocation" => bucket::location(world, call),
        "HeadBucket" => bucket::head(world, call),
        "ListBuckets" => Ok(bucket::list(world, call)),
        "DeleteObject" => object::delete(world, call),
        "DeleteObjects" => object::delete_many(world, call),
        "DeleteObjectTagging" | "GetObjectTagging" | "PutObjectTagging" => {
            object::tagging(world, call)
        }
        "GetObject" => object::get(world, call),
        "HeadObject" => object::head(world, call),
        "PutObject" => object::put(world, call),
        "ListObjects" => listing::objects(world, call),
        "ListObjectsV2" => listing::objects_v2(world, call),
        "ListObjectVersions" => listing::versions(world, call),
        "DeleteBucketPolicy" | "GetBucketPolicy" | "GetBucketPolicyStatus" | "PutBucketPolicy" => {
            policy::handle(world, call)
        }
        "DeleteBucketLifecycle"
        | "GetBucketLifecycleConfiguration"
        | "PutBucketLifecycleConfiguration" => lifecycle::handle(world, call),
        _ => configuration::handle(world, call),
    }
}

/// A refusal; most of S3's have a status of their own.
fn refusal(status: u16, code: &str, message: &str) -> Refusal {
    Refusal::new(code, message).with_status(status)
}

fn no_such_bucket() -> Refusal {
    refusal(404, "NoSuchBucket", "The specified bucket does not exist")
}

fn access_denied() -> Refusal {
    refusal(403, "AccessDenied", "Access Denied")
}

/// The bucket of a call, if the caller may use it and is where it lies.
fn bucket_of<'w>(world: &'w mut World, call: &Call<'_>) -> Result<&'w mut Bucket, Refusal> {
    let (account, caller) = (&world.account, world.caller);
    let bucket = world
        .s3
        .buckets
        .get_mut(call.required("Bucket"))
        .ok_or_else(no_such_bucket)?;
    if bucket.owner != *account && caller == Caller::Account {
        return Err(access_denied());
    }
    if call
        .text("ExpectedBucketOwner")
        .is_some_and(|owner| owner != bucket.owner)
    {
        return Err(access_denied());
    }
    if bucket.region != call.region {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                       Please send all future requests to this endpoint.";
        let region = ("x-amz-bucket-region".to_owned(), bucket.region.clone());
        return Err(refusal(301, "PermanentRedirect", message).with_header(region));
    }
    Ok(bucket)
}

impl Bucket {
    /// A bucket as AWS makes it: nobody else may see it, and what is put into it is encrypted.
    fn new(region: &str, owner: &str, created: i64) -> Self {
        Self {
            region: region.to_owned(),
            owner: owner.to_owned(),
            policy: None,
            tags: BTreeMap::new(),
            created,
            versioning: None,
            encryption: configuration::default_encryption(),
            public_access_block: Some(configuration::blocked()),
            ownership: Some("BucketOwnerEnforced".to_owned()),
            lifecycle: None,
            policy_known: 0,
            objects: BTreeMap::new(),
        }
    }
}

impl Bucket {
    /// The policy as other services know it: a new one takes a while to get around.
    pub(super) fn known_policy(&self, now: i64) -> Option<&str> {
        self.policy.as_deref().filter(|_| now >= self.policy_known)
    }

    /// Whether new objects are encrypted with S3's own keys, which log delivery needs.
    pub(super) fn encrypts_with_own_keys(&self) -> bool {
        let rule = &self.encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"];
        rule["SSEAlgorithm"] == "AES256"
    }
}

impl State {
    /// The named bucket, whoever owns it.
    pub(super) fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.get(name)
    }

    /// The names of all buckets, with their content.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (&str, &Bucket)> {
        self.buckets
            .iter()
            .map(|(name, bucket)| (name.as_str(), bucket))
    }

    /// An object's content: the named version's, else the current one's.
    pub(super) fn body(&self, bucket: &str, key: &str, version: Option<&str>) -> Option<&[u8]> {
        let versions = self.buckets.get(bucket)?.objects.get(key)?;
        let found = match version {
            Some(id) => versions.iter().find(|version| version.id == id),
            None => versions.last(),
        }?;
        self.bodies
            .get(&found.content.as_ref()?.digest)
            .map(AsRef::as_ref)
    }

    /// The current content of an object, to be kept beyond the account's lock.
    pub(super) fn shared_body(&self, bucket: &str, key: &str) -> Option<Arc<[u8]>> {
        let current = self.buckets.get(bucket)?.objects.get(key)?.last()?;
        let digest = &current.content.as_ref()?.digest;
        self.bodies.get(digest).map(Arc::clone)
    }

    /// Writes an object as an AWS service does: a log into a customer's bucket, or a copy into a
    /// bucket that belongs to the `owner` service itself and is made on first use.
    pub(super) fn put_internal(&mut self, place: &Place<'_>, now: i64, body: &[u8]) {
        let content = self.keep(body);
        let new = || Bucket::new(place.region, place.owner, now);
        let bucket = self
            .buckets
            .entry(place.bucket.to_owned())
            .or_insert_with(new);
        let version = Version {
            id: "null".to_owned(),
            modified: now,
            content: Some(content),
        };
        bucket.objects.insert(place.key.to_owned(), vec![version]);
    }

    /// Keeps a body, and returns what a version that holds it is made of.
    fn keep(&mut self, body: &[u8]) -> Content {
        let digest = hex(&Sha256::digest(body));
        let etag = format!("\"{}\"", hex(&digest::md5(body)));
        self.bodies.insert(digest.clone(), body.into());
        Content {
            digest,
            etag,
            size: body.len(),
            ..Content::default()
        }
    }
}

/// For the store, which keeps contents apart from the state.
impl State {
    /// All contents, by digest.
    pub(super) fn bodies(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.bodies
            .iter()
            .map(|(digest, body)| (digest.as_str(), body.as_ref()))
    }

    /// The digests of all contents that versions refer to.
    pub(super) fn digests(&self) -> Vec<String> {
        let versions = self
            .buckets
            .values()
            .flat_map(|bucket| bucket.objects.values())
            .flatten();
        versions
            .filter_map(|version| {
                version
                    .content
                    .as_ref()
                    .map(|content| content.digest.clone())
            })
            .collect()
    }

    /// Takes back a content that was stored.
    pub(super) fn restore_body(&mut self, digest: &str, body: Vec<u8>) {
        self.bodies.insert(digest.to_owned(), body.into());
    }

    /// Takes over the contents of another state of the same account.
    pub(super) fn share_bodies(&mut self, other: &Self) {
        self.bodies.clone_from(&other.bodies);
    }
}

/// `[{Key, Value}]` as a map, and the refusal of a key that comes twice.
fn tags_of(set: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for tag in set.as_array().into_iter().flatten() {
        let text = |name: &str| tag[name].as_str().unwrap_or_default().to_owned();
        if tags.insert(text("Key"), text("Value")).is_some() {
            return Err(refusal(
                400,
                "InvalidTag",
                "Cannot provide multiple Tags with the same key",
            ));
        }
    }
    if tags.keys().any(|key| key.starts_with("aws:")) {
        return Err(refusal(
            400,
            "InvalidTag",
            "System tags cannot be added/updated by requester",
        ));
    }
    Ok(tags)
}

/// A map as `[{Key, Value}]`.
fn tag_set(tags: &BTreeMap<String, String>) -> Value {
    tags.iter()
        .map(|(key, value)| serde_json::json!({ "Key": key, "Value": value }))
        .collect()
}

/// The buckets with their tags, for the resource groups tagging API.
pub(super) fn tagged(world: &World, region: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let own = world
        .s3
        .buckets()
        .filter(|(_, bucket)| bucket.owner == world.account && bucket.region == region);
    own.map(|(name, bucket)| (format!("arn:aws:s3:::{name}"), bucket.tags.clone()))
        .collect()
}

/// What the tests of this service share.
#[cfg(test)]
mod test {
    use super::{Call, World, handle};
    use serde_json::{Value, json};

    /// The region of [`Call::of`].
    pub(super) const HERE: &str = "ap-northeast-1";

    pub(super) fn world() -> World {
        World {
            now: 1_767_323_045_000,
            ..World::fresh("123456789012")
        }
    }

    pub(super) fn answer(world: &mut World, operation: &str, input: &Value) -> Value {
        handle(world, &Call::of(operation, input))
            .unwrap_or_else(|refusal| panic!("{operation}: {refusal:?}"))
    }

    pub(super) fn refused(world: &mut World, operation: &str, input: &Value) -> String {
        handle(world, &Call::of(operation, input))
            .expect_err("is refused")
            .code
    }

    pub(super) fn bucket(world: &mut World, name: &str) {
        answer(
            world,
            "CreateBucket",
            &json!({ "Bucket": name, "CreateBucketConfiguration": { "LocationConstraint": HERE } }),
        );
    }
}
