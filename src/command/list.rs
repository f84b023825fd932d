//! `list`: every stack of the account and region, by the tags of what belongs to it.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::Region;
use aws_config::meta::region::RegionProviderChain;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use futures::future::try_join_all;
use serde_json::json;

use crate::aws::Aws;
use crate::aws::tags::STACK;
use crate::cli::{Global, ListArgs};
use crate::error::{Error, Result, exit};
use crate::session::Session;
use crate::view::View;

/// Lists the stacks.
///
/// # Errors
///
/// No region, or what could not be read.
pub(super) async fn run(args: &ListArgs, global: &Global, view: &View) -> Result<u8> {
    let region = match &args.region {
        Some(region) => region.clone(),
        None => environment_region(global).await?,
    };
    let session = Session::open(global).await?;
    let stacks = read(&session, &region).await;
    session.close().await;
    let stacks = stacks?;
    if view.is_json() {
        let stack =
            |(name, arns): (&String, &BTreeSet<String>)| json!({"name": name, "resources": arns});
        let stacks: Vec<_> = stacks.iter().map(stack).collect();
        view.document(&json!({"format_version": "1", "region": region, "stacks": stacks}));
    } else if stacks.is_empty() {
        view.note(&format!("no stacks in {region}"));
    } else {
        let line = |(name, arns): (&String, &BTreeSet<String>)| {
            format!("{name}  {} tagged resources\n", arns.len())
        };
        view.result(&stacks.iter().map(line).collect::<String>());
    }
    Ok(exit::DONE)
}

async fn environment_region(global: &Global) -> Result<String> {
    let mut profile = aws_config::profile::ProfileFileRegionProvider::builder();
    if let Some(name) = &global.profile {
        profile = profile.profile_name(name);
    }
    let chain = RegionProviderChain::first_try(
        aws_config::environment::region::EnvironmentVariableRegionProvider::new(),
    )
    .or_else(profile.build());
    let region: Option<Region> = chain.region().await;
    region.map(|region| region.to_string()).ok_or_else(|| {
        Error::refused_with(
            "no region is given",
            "add --region, or set AWS_REGION or the profile's region",
        )
    })
}

/// ARNs by stack: one sweep by tag, and trust stores, which the tagging API does not know.
async fn read(session: &Session, region: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let aws = session.connect(region).await?;
    let (tagged, trust_stores) = futures::try_join!(tagged(&aws), trust_stores(&aws))?;
    let mut stacks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (stack, arn) in tagged.into_iter().chain(trust_stores) {
        stacks.entry(stack).or_default().insert(arn);
    }
    Ok(stacks)
}

async fn tagged(aws: &Aws) -> Result<Vec<(String, String)>> {
    let filter = TagFilter::builder().key(STACK).build();
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let send = aws
            .tagging
            .get_resources()
            .tag_filters(filter.clone())
            .set_pagination_token(next)
            .send();
        let page = aws.call("tag:GetResources", send).await?;
        for one in page.resource_tag_mapping_list.unwrap_or_default() {
            let stack = one
                .tags()
                .iter()
                .find(|tag| tag.key() == STACK)
                .map(|tag| tag.value().to_owned());
            found.extend(stack.zip(one.resource_arn));
        }
        next = page.pagination_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(found);
        }
    }
}

async fn trust_stores(aws: &Aws) -> Result<Vec<(String, String)>> {
    let mut arns = Vec::new();
    let mut next = None;
    loop {
        let send = aws.elbv2.describe_trust_stores().set_marker(next).send();
        let page = aws.call("elbv2:DescribeTrustStores", send).await?;
        arns.extend(
            page.trust_stores
                .unwrap_or_default()
                .into_iter()
                .filter_map(|one| one.trust_store_arn),
        );
        next = page.next_marker.filter(|marker| !marker.is_empty());
        if next.is_none() {
            break;
        }
    }
    let chunks = arns.chunks(20).map(|chunk| async move {
        let send = aws
            .elbv2
            .describe_tags()
            .set_resource_arns(Some(chunk.to_vec()))
            .send();
        aws.call("elbv2:DescribeTags", send).await
    });
    let mut found = Vec::new();
    for page in try_join_all(chunks).await? {
        for one in page.tag_descriptions.unwrap_or_default() {
            let stack = one
                .tags()
                .iter()
                .find(|tag| tag.key() == Some(STACK))
                .and_then(|tag| tag.value.clone());
            found.extend(stack.zip(one.resource_arn));
        }
    }
    Ok(found)
}
