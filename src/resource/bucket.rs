//! The one bucket per account and region: locks, CA bundles and CRLs of all stacks.
//!
//! Natural key: `mtlsgw-<account>-<region>`. It belongs to all stacks together (tag
//! `mtlsgw:shared`), so destroying one deletes it only when it is empty. A bucket that the stack
//! file names is used and never changed, and is no resource at all.
//!
//! IAM: `s3:ListBucket`, `CreateBucket`, `PutBucketPublicAccessBlock`, `PutBucketTagging`,
//! `GetBucketPublicAccessBlock`, `GetBucketTagging`, `DeleteBucket`.
//! AWS: S3 API Reference, `CreateBucket`, `PutPublicAccessBlock`.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration, Tag,
    Tagging,
};

use super::{Address, Created, Cx, Found, Need, Outputs, Owner, Reader, Resource};
use crate::aws::tags::{SHARED, Tags};
use crate::aws::{Aws, AwsError, Identity, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// Between two tries to make a bucket of whose deletion S3 has not heard everywhere.
const RETRIED_EVERY: Duration = Duration::from_secs(10);
/// How often it is tried.
const TRIES: u32 = 18;

/// Our bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Its name.
    pub(crate) name: String,
    /// Whether all four blocks of public access are on; always wanted.
    pub(crate) public_access_blocked: bool,
    /// Whether its tag says that all stacks share it; always wanted, and never deleted without.
    pub(crate) shared: bool,
}

/// Whether a bucket is the account's own in the region, which is made when it is missing.
pub(crate) fn is_own(name: &str, identity: &Identity, region: &str) -> bool {
    name == Bucket::own_name(&identity.account, region)
}

impl Bucket {
    /// The name of an account's own bucket in a region.
    pub(crate) fn own_name(account: &str, region: &str) -> String {
        format!("mtlsgw-{account}-{region}")
    }

    /// Its address in every stack.
    pub(crate) fn address() -> Address {
        Address::parse("bucket")
    }
}

impl Resource for Bucket {
    const TYPE: &'static str = "AWS::S3::Bucket";

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            public_access_blocked,
            shared,
        } = self;
        diff.field("name", name, live.map(|live| &live.name))
            .replaces();
        let blocked = live.map(|live| &live.public_access_blocked);
        diff.field("public_access_blocked", public_access_blocked, blocked);
        if let Some(live) = live {
            diff.field("shared", shared, Some(&live.shared));
        }
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let own = Self::own_name(&reader.identity.account, &reader.aws.region);
        // Destroy deletes the bucket after the lock in it, outside the plan.
        let users: BTreeSet<&str> = reader
            .wanted::<Self>()
            .map(|(scope, _, _)| scope.name.as_str())
            .collect();
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let Some(spec) = read(&reader.aws, &reader.identity, &own).await? else {
            return Ok(Vec::new());
        };
        let found = |stack: &str| Found {
            stack: stack.to_owned(),
            address: Self::address(),
            id: own.clone(),
            owner: Owner::Ours,
            protected: None,
            retained: None,
            spec: spec.clone(),
            outputs: Outputs::new(),
        };
        Ok(users.into_iter().map(found).collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        make(cx.aws(), cx.identity(), &self.name).await?;
        Ok(Created::id(&self.name))
    }

    async fn update(&self, cx: &Cx, _live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        if touches(changes, "public_access_blocked") {
            block_public_access(cx.aws(), cx.identity(), &self.name).await?;
        }
        if touches(changes, "shared") {
            mark_shared(cx.aws(), cx.identity(), &self.name).await?;
        }
        Ok(Outputs::new())
    }

    /// Empty only when no other stack has anything in it; until then it stays.
    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        remove_empty(cx.aws(), cx.identity(), &live.id)
            .await
            .map(drop)
    }
}

/// Why the account's own bucket stays after a destroy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stays {
    /// There are objects in it: what their keys begin with, of other stacks mostly.
    Used(Vec<String>),
    /// It does not carry our tag.
    Unmarked,
}

/// Deletes the bucket if it is marked as ours and nothing of any stack is in it; says why it stays,
/// where it does.
///
/// Looks first, so that a destroy with nothing to do writes nothing.
pub(crate) async fn remove_empty(
    aws: &Aws,
    identity: &Identity,
    name: &str,
) -> Result<Option<Stays>> {
    let Some(users) = listed_users(aws, identity, name).await? else {
        return Ok(None);
    };
    if !users.is_empty() {
        return Ok(Some(Stays::Used(users)));
    }
    if !is_marked(&tags(aws, identity, name).await?) {
        return Ok(Some(Stays::Unmarked));
    }
    let send = aws
        .s3
        .delete_bucket()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    match aws.call("s3:DeleteBucket", send).await {
        // Another stack has begun to use it.
        Err(error) if error.is("BucketNotEmpty") => {
            let users = listed_users(aws, identity, name).await?.unwrap_or_default();
            Ok(Some(Stays::Used(users)))
        }
        other => tolerate(other, &["NoSuchBucket"]).map(|()| None),
    }
}

/// What the keys in a bucket begin with up to the first slash, a page of them at most; `None` where
/// there is no bucket.
async fn listed_users(aws: &Aws, identity: &Identity, name: &str) -> Result<Option<Vec<String>>> {
    let send = aws
        .s3
        .list_objects_v2()
        .bucket(name)
        .delimiter("/")
        .expected_bucket_owner(&identity.account)
        .send();
    let listed = match aws.call("s3:ListObjectsV2", send).await {
        Err(error) if error.is("NoSuchBucket") => return Ok(None),
        other => other?,
    };
    let prefixes = listed.common_prefixes().iter();
    let prefixes = prefixes.filter_map(|one| Some(one.prefix()?.trim_end_matches('/')));
    let keys = listed.contents().iter().filter_map(|one| one.key());
    Ok(Some(prefixes.chain(keys).map(str::to_owned).collect()))
}

/// Makes the account's own bucket, private and tagged; that it is there already is success.
///
/// # Errors
///
/// S3 refuses, or the bucket is one that the stack file names, which is never made.
pub(crate) async fn make(aws: &Aws, identity: &Identity, name: &str) -> Result<()> {
    if !is_own(name, identity, &aws.region) {
        return Err(missing(name));
    }
    create(aws, name, &Tags::default()).await?;
    block_public_access(aws, identity, name).await?;
    mark_shared(aws, identity, name).await
}

/// Makes a bucket with its tags; that it is there already is success.
pub(super) async fn create(aws: &Aws, name: &str, tags: &Tags) -> Result<()> {
    // us-east-1 is the one region whose constraint must not be given.
    let constraint =
        (aws.region != "us-east-1").then(|| BucketLocationConstraint::from(aws.region.as_str()));
    let tags = (!tags.0.is_empty()).then(|| sdk_tags(tags)).transpose()?;
    let configuration = (constraint.is_some() || tags.is_some()).then(|| {
        CreateBucketConfiguration::builder()
            .set_location_constraint(constraint)
            .set_tags(tags)
            .build()
    });
    for tried in 1.. {
        let send = aws
            .s3
            .create_bucket()
            .bucket(name)
            .set_create_bucket_configuration(configuration.clone())
            .send();
        match aws.call("s3:CreateBucket", send).await {
            // A bucket of the name has just been deleted.
            Err(error) if error.is("OperationAborted") && tried < TRIES => {
                tracing::info!(bucket = name, "waiting for the old bucket to vanish");
                aws.clock.sleep(RETRIED_EVERY).await;
            }
            answer => return tolerate(answer, &["BucketAlreadyOwnedByYou"]),
        }
    }
    Ok(())
}

/// Sets our tag; S3 replaces all tags at once, so the others are sent again.
async fn mark_shared(aws: &Aws, identity: &Identity, name: &str) -> Result<()> {
    let marked = tags(aws, identity, name).await?.with(SHARED, "true");
    put_tags(aws, identity, name, &marked).await
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let tags = tags.0.iter().map(tag).collect::<Result<Vec<_>, _>>();
    tags.map_err(|error| Error::refused(error.to_string()))
}

/// Sets these tags in place of all that the bucket has.
pub(super) async fn put_tags(
    aws: &Aws,
    identity: &Identity,
    name: &str,
    tags: &Tags,
) -> Result<()> {
    let tagging = Tagging::builder()
        .set_tag_set(Some(sdk_tags(tags)?))
        .build()
        .map_err(|error| Error::refused(error.to_string()))?;
    let send = aws
        .s3
        .put_bucket_tagging()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .tagging(tagging)
        .send();
    aws.call("s3:PutBucketTagging", send).await?;
    Ok(())
}

/// The bucket's tags; none of a bucket that does not exist.
pub(super) async fn tags(aws: &Aws, identity: &Identity, name: &str) -> Result<Tags> {
    let send = aws
        .s3
        .get_bucket_tagging()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    match aws.call("s3:GetBucketTagging", send).await {
        Err(error) if error.is("NoSuchTagSet") || error.is("NoSuchBucket") => Ok(Tags::default()),
        other => {
            let tags = other?.tag_set.into_iter();
            Ok(Tags::live(tags.map(|tag| (tag.key, tag.value))))
        }
    }
}

fn is_marked(tags: &Tags) -> bool {
    tags.get(SHARED) == Some("true")
}

/// Switches all four blocks of public access on.
pub(super) async fn block_public_access(aws: &Aws, identity: &Identity, name: &str) -> Result<()> {
    let all = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let send = aws
        .s3
        .put_public_access_block()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .public_access_block_configuration(all)
        .send();
    aws.call("s3:PutPublicAccessBlock", send).await?;
    Ok(())
}

/// The bucket as it is; `None` when there is none.
async fn read(aws: &Aws, identity: &Identity, name: &str) -> Result<Option<Bucket>> {
    let (exists, blocked, tags) = futures::join!(
        exists(aws, identity, name),
        is_public_access_blocked(aws, identity, name),
        tags(aws, identity, name),
    );
    if !exists? {
        return Ok(None);
    }
    Ok(Some(Bucket {
        name: name.to_owned(),
        public_access_blocked: blocked?,
        shared: is_marked(&tags?),
    }))
}

/// Whether there is a bucket of this name.
///
/// # Errors
///
/// S3 refuses: it is another account's, or the caller may not look.
pub(super) async fn exists(aws: &Aws, identity: &Identity, name: &str) -> Result<bool> {
    let head = aws
        .s3
        .head_bucket()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    match aws.call("s3:HeadBucket", head).await {
        Err(error) if error.is("NotFound") || error.is("HTTP 404") || error.is("NoSuchBucket") => {
            Ok(false)
        }
        other => other.map(|_| true).map_err(|error| explain(error, name)),
    }
}

/// Whether all four blocks of public access are on.
pub(super) async fn is_public_access_blocked(
    aws: &Aws,
    identity: &Identity,
    name: &str,
) -> Result<bool> {
    let block = aws
        .s3
        .get_public_access_block()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    match aws.call("s3:GetPublicAccessBlock", block).await {
        Err(error) if error.is("NoSuchPublicAccessBlockConfiguration") => Ok(false),
        other => {
            let configuration = other?.public_access_block_configuration;
            Ok(configuration.is_some_and(|block| {
                [
                    block.block_public_acls,
                    block.ignore_public_acls,
                    block.block_public_policy,
                    block.restrict_public_buckets,
                ]
                .iter()
                .all(|on| *on == Some(true))
            }))
        }
    }
}

/// A 403 on a bucket of our name: denied, or another account was first to take the name.
pub(crate) fn explain(error: AwsError, bucket: &str) -> Error {
    if !error.is_denied() {
        return error.into();
    }
    Error::refused_with(
        format!("the bucket `{bucket}` is not readable: {error}"),
        "allow s3:ListBucket on it to the caller; if the bucket belongs to another account, name one of your own \
         with `bucket:` in the stack file",
    )
}

/// What is said of a bucket that the stack file names and that does not exist.
pub(crate) fn missing(bucket: &str) -> Error {
    Error::refused_with(
        format!("the bucket `{bucket}` does not exist"),
        "correct `bucket:` in the stack file, make the bucket, or leave the key out for the account's own bucket",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: &str = "mtlsgw-123456789012-eu-west-1";

    fn bucket(shared: bool) -> Bucket {
        Bucket {
            name: BUCKET.to_owned(),
            public_access_blocked: true,
            shared,
        }
    }

    #[test]
    fn a_bucket_that_is_not_marked_is_marked_in_place() {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        bucket(true).diff(Some(&bucket(false)), &mut diff);
        let changes = diff.into_changes();
        assert!(touches(&changes, "shared") && !changes[0].replaces);
    }

    #[test]
    fn only_the_bucket_of_this_account_and_region_is_our_own() {
        let identity = Identity {
            account: "123456789012".to_owned(),
            arn: String::new(),
            partition: "aws".to_owned(),
        };
        assert!(is_own(BUCKET, &identity, "eu-west-1"));
        assert!(!is_own(BUCKET, &identity, "us-east-1"));
        assert!(!is_own("mine", &identity, "eu-west-1"));
    }
}
