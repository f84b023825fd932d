//! The one bucket per account and region: locks, CA bundles and CRLs of all stacks.
//!
//! Natural key: `mtlsgw-<account>-<region>`. It belongs to all stacks together (tag
//! `mtlsgw:shared`), so destroying one deletes it only when it is empty. A bucket that the stack
//! file names is used and never changed, and is no resource at all.
//!
//! IAM: `s3:ListBucket`, `CreateBucket`, `PutBucketPublicAccessBlock`, `PutBucketTagging`,
//! `GetBucketPublicAccessBlock`, `DeleteBucket`.
//! AWS: S3 API Reference, `CreateBucket`, `PutPublicAccessBlock`.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration, Tag,
    Tagging,
};

use super::{Address, Created, Cx, Found, Need, Outputs, Owner, Reader, Resource};
use crate::aws::tags::SHARED;
use crate::aws::{Aws, AwsError, Identity};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// Our bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Its name.
    pub(crate) name: String,
    /// Whether all four blocks of public access are on; always wanted.
    pub(crate) public_access_blocked: bool,
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
        } = self;
        diff.field("name", name, live.map(|live| &live.name))
            .replaces();
        let live = live.map(|live| &live.public_access_blocked);
        diff.field("public_access_blocked", public_access_blocked, live);
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
            protected: false,
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
        Ok(Outputs::new())
    }

    /// Empty only when no other stack has anything in it; until then it stays.
    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        remove_empty(cx.aws(), cx.identity(), &live.id).await
    }
}

/// Deletes the bucket if nothing of any stack is in it.
pub(crate) async fn remove_empty(aws: &Aws, identity: &Identity, name: &str) -> Result<()> {
    let send = aws
        .s3
        .delete_bucket()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    match aws.call("s3:DeleteBucket", send).await {
        Err(error) if error.is("BucketNotEmpty") || error.is("NoSuchBucket") => Ok(()),
        other => other.map(drop).map_err(Error::from),
    }
}

/// Makes the bucket, private and tagged; that it is there already is success.
pub(crate) async fn make(aws: &Aws, identity: &Identity, name: &str) -> Result<()> {
    // us-east-1 is the one region whose constraint must not be given.
    let location = (aws.region != "us-east-1").then(|| {
        let constraint = BucketLocationConstraint::from(aws.region.as_str());
        CreateBucketConfiguration::builder()
            .location_constraint(constraint)
            .build()
    });
    let send = aws
        .s3
        .create_bucket()
        .bucket(name)
        .set_create_bucket_configuration(location)
        .send();
    match aws.call("s3:CreateBucket", send).await {
        Err(error) if error.is("BucketAlreadyOwnedByYou") => {}
        other => drop(other?),
    }
    block_public_access(aws, identity, name).await?;
    let tag = Tag::builder()
        .key(SHARED)
        .value("true")
        .build()
        .map_err(|error| Error::refused(error.to_string()))?;
    let tagging = Tagging::builder()
        .tag_set(tag)
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

async fn block_public_access(aws: &Aws, identity: &Identity, name: &str) -> Result<()> {
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
    let head = aws
        .s3
        .head_bucket()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    let block = aws
        .s3
        .get_public_access_block()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    let (head, block) = futures::join!(
        aws.call("s3:HeadBucket", head),
        aws.call("s3:GetPublicAccessBlock", block)
    );
    match head {
        Err(error) if error.is("NotFound") || error.is("HTTP 404") || error.is("NoSuchBucket") => {
            return Ok(None);
        }
        other => drop(other.map_err(|error| explain(error, name))?),
    }
    let public_access_blocked = match block {
        Err(error) if error.is("NoSuchPublicAccessBlockConfiguration") => false,
        other => other?
            .public_access_block_configuration
            .is_some_and(|block| {
                [
                    block.block_public_acls,
                    block.ignore_public_acls,
                    block.block_public_policy,
                    block.restrict_public_buckets,
                ]
                .iter()
                .all(|on| *on == Some(true))
            }),
    };
    Ok(Some(Bucket {
        name: name.to_owned(),
        public_access_blocked,
    }))
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
