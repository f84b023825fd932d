//! What carries the tags of the run's stacks, whatever it is called: names tell only what we made.
//!
//! IAM: `tag:GetResources`.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::try_join_all;

use super::Reader;
use crate::aws::tags;
use crate::error::Result;

/// The types that are looked for; trust stores are not among those that the tagging API knows.
const TYPES: [&str; 4] = [
    "acm:certificate",
    "elasticloadbalancing:loadbalancer",
    "elasticloadbalancing:targetgroup",
    "s3",
];

/// How many values a filter of the tagging API takes.
const FILTER_VALUES: usize = 20;

/// The ARNs of buckets, certificates, load balancers and target groups with the tags of the run's stacks.
///
/// What was just tagged may be missing for a while; read once.
pub(super) async fn arns(reader: &Reader) -> Result<Arc<BTreeSet<String>>> {
    struct Listing;
    let read = || async {
        let stacks = reader.stack_names();
        let sweeps = stacks
            .chunks(FILTER_VALUES)
            .map(|stacks| tags::sweep(&reader.aws, &TYPES, Some(stacks.to_vec())));
        let swept = try_join_all(sweeps).await?.into_iter().flatten();
        Ok(Arc::new(swept.filter_map(|one| one.resource_arn).collect()))
    };
    reader
        .once::<Listing, BTreeSet<String>>(|| Box::pin(read()))
        .await
}

/// The names of the account's buckets in the region with the tags of the run's stacks.
pub(super) async fn buckets(reader: &Reader) -> Result<BTreeSet<String>> {
    let arns = arns(reader).await?;
    Ok(arns.iter().filter_map(|arn| bucket_of(arn)).collect())
}

/// The bucket that an ARN names; one of S3's other things has a region or a path in it.
fn bucket_of(arn: &str) -> Option<String> {
    let (_, name) = arn.split_once(":s3:::")?;
    (!name.contains(['/', ':'])).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buckets_are_taken_for_buckets() {
        let bucket = bucket_of("arn:aws-cn:s3:::mtlsgw-1-cn-north-1-logs-web");
        assert_eq!(bucket.as_deref(), Some("mtlsgw-1-cn-north-1-logs-web"));
        for other in [
            "arn:aws:s3:eu-west-1:1:storage-lens/default",
            "arn:aws:s3:::bucket/key",
            "arn:aws:acm:eu-west-1:1:certificate/2",
        ] {
            assert_eq!(bucket_of(other), None, "{other}");
        }
    }
}
