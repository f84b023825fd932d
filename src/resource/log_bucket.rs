//! The bucket of a stack's own to which its load balancer writes its logs.
//!
//! Natural key: `mtlsgw-<account>-<region>-logs-<stack>`. Each stack has its own, so that it goes with
//! the stack and nobody else's logs are in it. Once there are logs in it, it outlives the stack unless
//! `destroy --delete-logs` says otherwise: who came is nothing that can be made again.
//!
//! IAM: `tag:GetResources`; `s3:ListBucket`, `ListBucketVersions`, `CreateBucket`, `TagResource`,
//! `Get`- and `PutBucketTagging`, `Get`- and `PutBucketPublicAccessBlock`, `Get`- and
//! `PutEncryptionConfiguration`, `Get`- and `PutBucketPolicy`, `Get`- and
//! `PutLifecycleConfiguration`, `DeleteObject`, `DeleteObjectVersion`, `DeleteBucket`.
//! AWS: Application Load Balancer User Guide, "Enable connection logs"; S3 User Guide, "Deleting a
//! bucket".

mod content;
mod lifecycle;

use std::collections::BTreeSet;

use aws_sdk_s3::types::{
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule,
};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::context::Wait;
use super::{Address, Created, Cx, Found, Need, Outputs, Owner, Reader, Resource, bucket, swept};
use crate::aws::tags::Tags;
use crate::aws::{Aws, Identity, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// The service that delivers logs.
const DELIVERY: &str = "logdelivery.elasticloadbalancing.amazonaws.com";

/// The one encryption that log delivery writes under.
const SSE_S3: &str = "AES256";

/// A stack's own log bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogBucket {
    /// Its name.
    pub(crate) name: String,
    /// Whether all four blocks of public access are on; always wanted.
    pub(crate) public_access_blocked: bool,
    /// How objects are encrypted; wanted: S3's own keys.
    pub(crate) encryption: String,
    /// Who may write: log delivery, for the load balancers of the account in the region.
    pub(crate) policy: Value,
    /// What becomes of old logs.
    pub(crate) lifecycle: Value,
    /// Its tags.
    pub(crate) tags: Tags,
    /// Whether deleting a live one takes the logs along.
    pub(crate) delete_logs: bool,
}

impl LogBucket {
    /// The log bucket of a stack.
    pub(crate) fn of(
        identity: &Identity,
        region: &str,
        stack: &str,
        (days, tags): (u16, Tags),
    ) -> Self {
        let name = Self::name_of(&identity.account, region, stack);
        Self {
            public_access_blocked: true,
            encryption: SSE_S3.to_owned(),
            policy: policy(identity, region, &name),
            lifecycle: lifecycle::wanted(days),
            tags,
            delete_logs: false,
            name,
        }
    }

    /// The name of a stack's log bucket; at most 63 characters, since a stack's name has at most 20.
    pub(crate) fn name_of(account: &str, region: &str, stack: &str) -> String {
        format!("mtlsgw-{account}-{region}-logs-{stack}")
    }

    /// Its address in every stack.
    pub(crate) fn address() -> Address {
        Address::parse("load_balancer").part("log_bucket")
    }
}

/// What lets log delivery write, and nobody else, wherever in the bucket a prefix has it write.
fn policy(identity: &Identity, region: &str, bucket: &str) -> Value {
    let Identity {
        account, partition, ..
    } = identity;
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "LogDelivery",
            "Effect": "Allow",
            "Principal": {"Service": DELIVERY},
            "Action": "s3:PutObject",
            "Resource": format!("arn:{partition}:s3:::{bucket}/AWSLogs/{account}/*"),
            "Condition": {"ArnLike": {
                "aws:SourceArn": format!(
                    "arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/*"
                ),
            }},
        }],
    })
}

impl Resource for LogBucket {
    const TYPE: &'static str = "AWS::S3::Bucket";

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            public_access_blocked,
            encryption,
            policy,
            lifecycle,
            tags,
            delete_logs: _,
        } = self;
        diff.field("name", name, live.map(|live| &live.name))
            .replaces();
        let blocked = live.map(|live| &live.public_access_blocked);
        diff.field("public_access_blocked", public_access_blocked, blocked);
        let before = live.map(|live| &live.encryption);
        diff.field("encryption", encryption, before);
        diff.field("policy", policy, live.map(|live| &live.policy));
        diff.field("lifecycle", lifecycle, live.map(|live| &live.lifecycle));
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        self.put_tags(cx.aws(), cx.identity(), &live.spec.tags)
            .await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let (account, region) = (&reader.identity.account, &reader.aws.region);
        let wanted: BTreeSet<String> = reader
            .wanted::<Self>()
            .map(|(_, _, want)| want.name.clone())
            .collect();
        let swept = swept::buckets(reader).await?;
        let found = reader.scopes().iter().map(async |scope| -> Result<_> {
            let name = Self::name_of(account, region, &scope.name);
            let place = Place {
                is_wanted: wanted.contains(&name),
                is_swept: swept.contains(&name),
            };
            // What was just tagged may not be swept yet: what is wanted is asked for by its name, and
            // a destroy must not overlook anything.
            if !place.is_wanted && !place.is_swept && !scope.resources.is_empty() {
                return Ok(None);
            }
            let Some(mut spec) = read(&reader.aws, &reader.identity, &name, place).await? else {
                return Ok(None);
            };
            spec.delete_logs = scope.delete_logs;
            spec.tags = reader.claimed::<Self>(&name, spec.tags, |_, want| want.name == name);
            found(reader, &scope.name, spec, place.is_wanted).await
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let (aws, identity) = (cx.aws(), cx.identity());
        bucket::create(aws, &self.name, &self.tags).await?;
        bucket::block_public_access(aws, identity, &self.name).await?;
        self.encrypt(aws, identity).await?;
        lifecycle::put(aws, identity, &self.name, &self.lifecycle).await?;
        self.put_policy(aws, identity).await?;
        Ok(Created::id(&self.name))
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        let (aws, identity) = (cx.aws(), cx.identity());
        if touches(changes, "public_access_blocked") {
            bucket::block_public_access(aws, identity, &self.name).await?;
        }
        if touches(changes, "encryption") {
            self.encrypt(aws, identity).await?;
        }
        if touches(changes, "lifecycle") {
            lifecycle::put(aws, identity, &self.name, &self.lifecycle).await?;
        }
        if touches(changes, "policy") {
            self.put_policy(aws, identity).await?;
        }
        if touches(changes, "tags") {
            self.put_tags(aws, identity, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    /// Nothing writes to it any more, but what was on its way may still arrive.
    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let (aws, identity, name) = (cx.aws(), cx.identity(), live.id.as_str());
        let wait = Wait::new("the last logs to be delivered and deleted", 10, 900)
            .at_most(cx.timeout("log_bucket"));
        let late = |error: &Error| error.is_code("BucketNotEmpty");
        cx.retry_while(wait, late, async || {
            if !live.spec.delete_logs && content::has_logs(aws, identity, name).await? {
                return Err(Error::Step {
                    address: cx.address.clone(),
                    message: format!("logs have arrived in the bucket `{name}`, so it is kept"),
                    hint: Some("`mtlsgw destroy --delete-logs` deletes it with them".to_owned()),
                });
            }
            content::clear(aws, identity, name).await?;
            let delete = aws.s3.delete_bucket().bucket(name);
            let send = delete.expected_bucket_owner(&identity.account).send();
            tolerate(aws.call("s3:DeleteBucket", send).await, &["NoSuchBucket"])
        })
        .await
    }
}

impl LogBucket {
    async fn encrypt(&self, aws: &Aws, identity: &Identity) -> Result<()> {
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::Aes256)
            .build()
            .map_err(|error| Error::refused(error.to_string()))?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            .build();
        let all = ServerSideEncryptionConfiguration::builder()
            .rules(rule)
            .build()
            .map_err(|error| Error::refused(error.to_string()))?;
        let send = aws
            .s3
            .put_bucket_encryption()
            .bucket(&self.name)
            .expected_bucket_owner(&identity.account)
            .server_side_encryption_configuration(all)
            .send();
        aws.call("s3:PutBucketEncryption", send).await?;
        Ok(())
    }

    async fn put_policy(&self, aws: &Aws, identity: &Identity) -> Result<()> {
        let send = aws
            .s3
            .put_bucket_policy()
            .bucket(&self.name)
            .expected_bucket_owner(&identity.account)
            .policy(self.policy.to_string())
            .send();
        aws.call("s3:PutBucketPolicy", send).await?;
        Ok(())
    }

    async fn put_tags(&self, aws: &Aws, identity: &Identity, live: &Tags) -> Result<()> {
        bucket::put_tags(aws, identity, &self.name, &self.merged(live)).await
    }

    /// All tags that the bucket is to have: S3 replaces them at once, so those of others are sent again.
    fn merged(&self, live: &Tags) -> Tags {
        let (set, removed) = self.tags.changes(live);
        let mut all = live.real().into_owned();
        // Those of CloudFormation stay without being sent, and must not be.
        all.0
            .retain(|key, _| !removed.contains(key) && !key.starts_with("aws:"));
        all.0.extend(set);
        all
    }
}

/// What is known of the place of a stack's log bucket before anybody looks.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The stack wants one there.
    is_wanted: bool,
    /// The account has one there that carries a stack's tags.
    is_swept: bool,
}

/// What a bucket of a stack's name is to the stack; one without our tags is somebody's.
async fn found(
    reader: &Reader,
    stack: &str,
    spec: LogBucket,
    is_wanted: bool,
) -> Result<Option<Found<LogBucket>>> {
    let is_ours = spec.tags.stack() == Some(stack);
    if !is_ours && !is_wanted {
        return Ok(None);
    }
    let name = spec.name.clone();
    let has_logs = is_ours
        && !spec.delete_logs
        && content::has_logs(&reader.aws, &reader.identity, &name).await?;
    let owner = if is_ours {
        Owner::Ours
    } else {
        Owner::Foreign(format!(
            "the bucket `{name}` exists and is not this stack's"
        ))
    };
    Ok(Some(Found {
        stack: stack.to_owned(),
        address: LogBucket::address(),
        id: name.clone(),
        owner,
        protected: spec.tags.protected(),
        retained: has_logs.then(|| {
            format!("the bucket `{name}` has logs in it; `mtlsgw destroy --delete-logs` deletes it")
        }),
        spec,
        outputs: Outputs::new(),
    }))
}

/// The bucket as it is; `None` where there is none of this account.
async fn read(
    aws: &Aws,
    identity: &Identity,
    name: &str,
    place: Place,
) -> Result<Option<LogBucket>> {
    match bucket::exists(aws, identity, name).await {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        // The tagging API knows the account's own buckets: this one is another account's, who was first
        // to take the name, and nothing to a stack that does not want it.
        Err(_) if !place.is_wanted && !place.is_swept => return Ok(None),
        Err(error) => return Err(error),
    }
    let read = futures::try_join!(
        bucket::is_public_access_blocked(aws, identity, name),
        bucket::tags(aws, identity, name),
        encryption(aws, identity, name),
        live_policy(aws, identity, name),
        lifecycle::read(aws, identity, name),
    );
    // Somebody has deleted it meanwhile.
    if read
        .as_ref()
        .is_err_and(|error| error.is_code("NoSuchBucket"))
    {
        return Ok(None);
    }
    let (blocked, tags, encryption, policy, lifecycle) = read?;
    Ok(Some(LogBucket {
        name: name.to_owned(),
        public_access_blocked: blocked,
        encryption,
        policy,
        lifecycle,
        tags,
        delete_logs: false,
    }))
}

/// A bucket as somebody has made it; `None` where there is none.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, identity: &Identity, name: &str) -> Result<Option<LogBucket>> {
    let place = Place {
        is_wanted: true,
        is_swept: false,
    };
    read(aws, identity, name, place).await
}

impl LogBucket {
    /// The days after which its logs are deleted, where it is in everything as a stack would make it.
    pub(crate) fn retention(&self, identity: &Identity, region: &str, stack: &str) -> Option<u16> {
        let days = u16::try_from(self.lifecycle[0]["days"].as_u64()?).ok()?;
        let made = Self::of(identity, region, stack, (days, self.tags.clone()));
        (*self == made).then_some(days)
    }
}

/// The algorithm that new objects are encrypted with.
async fn encryption(aws: &Aws, identity: &Identity, name: &str) -> Result<String> {
    let send = aws
        .s3
        .get_bucket_encryption()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    match aws.call("s3:GetBucketEncryption", send).await {
        Err(error) if error.is("ServerSideEncryptionConfigurationNotFoundError") => {
            Ok("none".to_owned())
        }
        other => {
            let configuration = other?.server_side_encryption_configuration;
            let rules = configuration.map(|all| all.rules).unwrap_or_default();
            let default = rules
                .first()
                .and_then(ServerSideEncryptionRule::apply_server_side_encryption_by_default);
            let algorithm = default.map(|default| default.sse_algorithm().as_str());
            Ok(algorithm.unwrap_or("none").to_owned())
        }
    }
}

/// The bucket's policy; null where there is none.
async fn live_policy(aws: &Aws, identity: &Identity, name: &str) -> Result<Value> {
    let send = aws
        .s3
        .get_bucket_policy()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    match aws.call("s3:GetBucketPolicy", send).await {
        Err(error) if error.is("NoSuchBucketPolicy") => Ok(Value::Null),
        other => {
            let text = other?.policy.unwrap_or_default();
            // What is no JSON is no policy of ours, either.
            Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            account: "123456789012".to_owned(),
            arn: String::new(),
            partition: "aws-cn".to_owned(),
        }
    }

    #[test]
    fn the_longest_name_still_fits() {
        let name = LogBucket::name_of("123456789012", "ap-southeast-3", &"a".repeat(20));
        assert!(name.len() <= 63, "{name} has {}", name.len());
    }

    #[test]
    fn only_the_accounts_load_balancers_in_the_region_may_write() {
        let bucket = LogBucket::of(&identity(), "cn-north-1", "web", (90, Tags::default()));
        let statement = &bucket.policy["Statement"][0];
        assert_eq!(
            statement["Resource"],
            "arn:aws-cn:s3:::mtlsgw-123456789012-cn-north-1-logs-web/AWSLogs/123456789012/*"
        );
        assert_eq!(
            statement["Condition"]["ArnLike"]["aws:SourceArn"],
            "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:loadbalancer/*"
        );
    }

    #[test]
    fn tags_of_others_are_sent_again() {
        let want = Tags::default().with("mtlsgw:stack", "web");
        let bucket = LogBucket::of(&identity(), "cn-north-1", "web", (90, want));
        let live = Tags::default().with("CostCenter", "42");
        let merged = bucket.merged(&live);
        assert_eq!(merged.get("CostCenter"), Some("42"));
        assert_eq!(merged.stack(), Some("web"));
    }
}
