//! What the kinds of EC2 share: tags, filters, and how security groups are swapped.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use serde_json::Value;

use super::{Cx, Late};
use crate::aws::Aws;
use crate::aws::tags::Tags;
use crate::diff::Change;
use crate::error::Result;

/// How many security groups a network interface takes by default.
///
/// AWS: Amazon VPC User Guide, quotas, "Security groups per network interface".
const MOST_GROUPS: usize = 5;

/// The tags as a creation sends them.
pub(super) fn specification(kind: ResourceType, tags: &Tags) -> TagSpecification {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(tags.0.iter().map(tag).collect()))
        .build()
}

/// Sets and removes tags so that they become `want`.
pub(super) async fn put_tags(aws: &Aws, id: &str, want: &Tags, live: &Tags) -> Result<()> {
    let (set, removed) = want.changes(live);
    let tag = |key: &str| Tag::builder().key(key);
    // `mtlsgw:tags` goes on naming what leaves until it has left.
    if !removed.is_empty() {
        let tags = removed.iter().map(|key| tag(key).build()).collect();
        let send = aws
            .ec2
            .delete_tags()
            .resources(id)
            .set_tags(Some(tags))
            .send();
        aws.call("ec2:DeleteTags", send).await?;
    }
    if !set.is_empty() {
        let tags = set
            .iter()
            .map(|(key, value)| tag(key).value(value).build())
            .collect();
        let send = aws
            .ec2
            .create_tags()
            .resources(id)
            .set_tags(Some(tags))
            .send();
        aws.call("ec2:CreateTags", send).await?;
    }
    Ok(())
}

/// A filter of a listing: one of `values`.
pub(crate) fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

/// The ids of security groups.
pub(super) fn groups(cx: &Cx, groups: &[Late<String>]) -> Result<BTreeSet<String>> {
    groups.iter().map(|group| cx.value(group)).collect()
}

/// How network interfaces come from the security groups that they have to those that they shall
/// have: into the new ones first, and out of the old ones when no client relies on them any more.
pub(super) struct GroupSwap {
    want: BTreeSet<String>,
    held: BTreeSet<String>,
}

impl GroupSwap {
    pub(super) fn new(cx: &Cx, want: &[Late<String>], held: &[Late<String>]) -> Result<Self> {
        Ok(Self {
            want: groups(cx, want)?,
            held: groups(cx, held)?,
        })
    }

    /// Those that are joined.
    pub(super) fn joined(&self) -> Vec<String> {
        self.want.difference(&self.held).cloned().collect()
    }

    fn left(&self) -> Vec<String> {
        self.held.difference(&self.want).cloned().collect()
    }

    /// Whether a network interface takes the old and the new ones together.
    fn fit(&self) -> bool {
        self.want.union(&self.held).count() <= MOST_GROUPS
    }

    /// Those that are left with the change, because there is no room for all.
    pub(super) fn left_at_once(&self) -> Vec<String> {
        if self.fit() { Vec::new() } else { self.left() }
    }

    /// Those that are left last.
    pub(super) fn left_last(&self) -> Vec<String> {
        if self.fit() { self.left() } else { Vec::new() }
    }

    /// Those that there are in between.
    pub(super) fn between(&self) -> Vec<String> {
        let all = self.want.union(&self.held);
        let left = self.left_at_once();
        all.filter(|one| !left.contains(one)).cloned().collect()
    }

    /// Those that there are in the end.
    pub(super) fn want(&self) -> Vec<String> {
        self.want.iter().cloned().collect()
    }
}

/// Whether the change takes a security group away.
pub(super) fn leaves_groups(change: &Change) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let after = list(&change.after);
    let mut before = list(&change.before).into_iter();
    change.path == "security_groups" && before.any(|one| !after.contains(&one))
}
