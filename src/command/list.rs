//! `list`: every stack of the account and region, by the tags of what belongs to it.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::Region;
use aws_config::meta::region::RegionProviderChain;
use serde_json::json;

use crate::aws::Aws;
use crate::aws::tags::{self, STACK};
use crate::cli::{Global, ListArgs};
use crate::error::{Error, Result, exit};
use crate::resource::{elbv2, trust_store};
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

/// The region of the AWS environment.
///
/// # Errors
///
/// There is none.
pub(super) async fn environment_region(global: &Global) -> Result<String> {
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
    let tagged = tags::sweep(aws, &[], None).await?;
    let named = tagged.into_iter().filter_map(|one| {
        let tag = one.tags().iter().find(|tag| tag.key() == STACK)?;
        Some((tag.value().to_owned(), one.resource_arn?))
    });
    Ok(named.collect())
}

async fn trust_stores(aws: &Aws) -> Result<Vec<(String, String)>> {
    let listed = trust_store::describe_all(aws).await?;
    let arns: Vec<String> = listed
        .into_iter()
        .filter_map(|one| one.trust_store_arn)
        .collect();
    let tags = elbv2::tags_of(aws, &arns).await?;
    let named = tags
        .into_iter()
        .filter_map(|(arn, tags)| Some((tags.stack()?.to_owned(), arn)));
    Ok(named.collect())
}
