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
const TYPES: [&str; 3] = [
    "acm:certificate",
    "elasticloadbalancing:loadbalancer",
    "elasticloadbalancing:targetgroup",
];

/// How many values a filter of the tagging API takes.
const FILTER_VALUES: usize = 20;

/// The ARNs of certificates, load balancers and target groups with the tags of the run's stacks.
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
