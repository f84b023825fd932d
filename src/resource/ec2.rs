//! What the kinds of EC2 share: tags and filters.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use crate::aws::Aws;
use crate::aws::tags::Tags;
use crate::error::Result;

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
