//! The VPC link by which API Gateway reaches a network load balancer.
//!
//! Natural key: its tags; AWS lets any number of links have the same name. The load balancer is fixed,
//! and takes one link only. A link goes before its load balancer does, so links are looked for only
//! where a network load balancer could be.
//!
//! IAM: apigateway:GET/POST/PATCH/DELETE on /vpclinks, /vpclinks/* and /tags/*;
//! `ec2:CreateVpcEndpointServiceConfiguration`, `DeleteVpcEndpointServiceConfigurations`,
//! `DescribeVpcEndpointServiceConfigurations`, `ModifyVpcEndpointServicePermissions`, in the caller's name.
//! AWS: API Gateway REST API Reference, `CreateVpcLink`.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_apigateway::types::{VpcLink as Described, VpcLinkStatus};

use super::context::Wait;
use super::{
    Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Replacement, Resource,
    load_balancer, rest_api,
};
use crate::aws::tags::Tags;
use crate::aws::{Aws, AwsError, Once, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// A VPC link of ours.
#[derive(Debug, Clone)]
pub(crate) struct VpcLink {
    /// Its name, which need not be unique.
    pub(crate) name: String,
    /// The network load balancer; fixed.
    pub(crate) target: Late<String>,
    /// API Gateway's status; wanted: `AVAILABLE`. Those in [`LOST`] never get there.
    pub(crate) status: String,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// The statuses of a link that never becomes available.
const LOST: [&str; 2] = ["FAILED", "DELETING"];

impl Resource for VpcLink {
    const TYPE: &'static str = "AWS::ApiGateway::VpcLink";

    fn needs(&self) -> Vec<Need> {
        // The endpoint service behind it holds the load balancer until the link has vanished.
        vec![Need::ready(&self.target).holds_until_gone()]
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            target,
            status,
            tags,
        } = self;
        diff.field("name", name, live.map(|live| &live.name));
        diff.late("target", target, live.map(|live| &live.target))
            .replaces();
        diff.compares("status");
        if let Some(live) = live.filter(|live| LOST.contains(&live.status.as_str())) {
            diff.field("status", status, Some(&live.status)).replaces();
        }
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        put_tags(cx, &live.id, &self.tags, &live.spec.tags).await
    }

    /// A load balancer takes one link at a time; a link that moves to another one leaves this one alone.
    fn replacement(&self, live: &Self) -> Replacement {
        if LOST.contains(&live.status.as_str()) {
            let down = "the backend cannot be reached until the new link is available";
            return Replacement::DeleteFirst(down.to_owned());
        }
        Replacement::CreateFirst
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let is_wanted = reader.wanted::<Self>().next().is_some();
        if !is_wanted && !load_balancer::may_have_network(reader).await? {
            return Ok(Vec::new());
        }
        let listed = listing(reader).await?;
        Ok(listed.iter().filter_map(|one| found(reader, one)).collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let target = cx.value(&self.target)?;
        let id = match self.make(cx, &target).await {
            // AWS has no client token here: sent blindly a second time, there may be two.
            Err(error) if error.uncertain => match self.made(cx, &target).await? {
                Some(id) => id,
                None => self.make(cx, &target).await?,
            },
            other => other?,
        };
        Ok(Created::id(id))
    }

    async fn ready(&self, cx: &Cx, id: &str) -> Result<Outputs> {
        let wait =
            Wait::new("the VPC link to become available", 15, 1200).at_most(cx.timeout("vpc_link"));
        cx.wait_until(wait, async || {
            let Some(link) = describe(cx.aws(), id).await? else {
                return Err(Error::step(&cx.address, "the VPC link has vanished"));
            };
            match link.status() {
                Some(VpcLinkStatus::Available) => Ok(Some(Outputs::new())),
                Some(VpcLinkStatus::Failed) => Err(failed(cx, &link)),
                _ => Ok(None),
            }
        })
        .await
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        if touches(changes, "name") {
            let update = cx.aws().apigateway.update_vpc_link().vpc_link_id(&live.id);
            let send = update
                .patch_operations(rest_api::replace("/name", &self.name))
                .send();
            cx.aws().call("apigateway:UpdateVpcLink", send).await?;
        }
        if touches(changes, "tags") {
            put_tags(cx, &live.id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        // The deployment that referred to it has only just been deleted.
        let wait = Wait::new("the stages to let go of the VPC link", 5, 60);
        let referenced = |error: &Error| rest_api::says(error, "BadRequest", "is referenced");
        let deleted = cx.retry_while(wait, referenced, async || {
            let delete = cx.aws().apigateway.delete_vpc_link();
            let send = delete.vpc_link_id(&live.id).send();
            tolerate(
                cx.aws().call("apigateway:DeleteVpcLink", send).await,
                &["NotFound"],
            )
        });
        deleted.await.map_err(|error| {
            if !referenced(&error) {
                return error;
            }
            Error::Step {
                address: cx.address.clone(),
                message: error.without_address(),
                hint: Some(
                    "methods of somebody else's stages lead through it: have them lead elsewhere \
                     and deployed, or delete the stages"
                        .to_owned(),
                ),
            }
        })
    }

    async fn gone(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let wait = Wait::new("the VPC link to vanish", 15, 1200).at_most(cx.timeout("vpc_link"));
        cx.wait_until(wait, async || {
            let left = describe(cx.aws(), &live.id).await?;
            Ok(left.is_none().then_some(()))
        })
        .await
    }
}

impl VpcLink {
    async fn make(&self, cx: &Cx, target: &str) -> Result<String, AwsError> {
        let send = cx
            .aws()
            .apigateway
            .create_vpc_link()
            .name(&self.name)
            .target_arns(target)
            .set_tags(Some(self.tags.0.clone().into_iter().collect()))
            .customize()
            .config_override(aws_sdk_apigateway::config::Builder::new().retry_classifier(Once))
            .send();
        let created = cx.aws().call("apigateway:CreateVpcLink", send).await?;
        Ok(created.id.unwrap_or_default())
    }

    /// What [`Self::make`] may have made although its answer was lost.
    async fn made(&self, cx: &Cx, target: &str) -> Result<Option<String>> {
        cx.aws().clock.sleep(Duration::from_secs(3)).await;
        let all = list(cx.aws()).await?;
        let made = all.into_iter().find(|one| {
            let tags = tags_of(one);
            let ours =
                tags.stack() == Some(cx.stack()) && tags.address().as_ref() == Some(&cx.address);
            ours && target_of(one) == target && one.status() != Some(&VpcLinkStatus::Deleting)
        });
        Ok(made.and_then(|one| one.id))
    }
}

async fn put_tags(cx: &Cx, id: &str, want: &Tags, live: &Tags) -> Result<()> {
    rest_api::put_tags(cx, &format!("/vpclinks/{id}"), want, live).await
}

fn failed(cx: &Cx, link: &Described) -> Error {
    let reason = link.status_message().unwrap_or("AWS gives no reason");
    Error::Step {
        address: cx.address.clone(),
        message: format!("the VPC link has failed: {reason}"),
        hint: Some(
            "a load balancer takes one VPC link or endpoint service: remove the other one, and apply again"
                .to_owned(),
        ),
    }
}

/// All VPC links of the account and region.
async fn listing(reader: &Reader) -> Result<Arc<Vec<Described>>> {
    struct Listing;
    let read = || async { Ok(Arc::new(list(&reader.aws).await?)) };
    reader
        .once::<Listing, Vec<Described>>(|| Box::pin(read()))
        .await
}

async fn list(aws: &Aws) -> Result<Vec<Described>> {
    pages(async |position| {
        let list = aws.apigateway.get_vpc_links().limit(rest_api::PAGE);
        let send = list.set_position(position).send();
        let page = aws.call("apigateway:GetVpcLinks", send).await?;
        Ok((page.items.unwrap_or_default(), page.position))
    })
    .await
}

/// One link; `None` when there is none.
async fn describe(aws: &Aws, id: &str) -> Result<Option<Described>> {
    Ok(list(aws)
        .await?
        .into_iter()
        .find(|one| one.id() == Some(id)))
}

/// The VPC links to a load balancer that are not the stack's, each in words.
pub(super) async fn foreign_on(reader: &Reader, target: &str, stack: &str) -> Result<Vec<String>> {
    let listed = listing(reader).await?;
    let foreign = listed
        .iter()
        .filter(|one| target_of(one) == target && tags_of(one).stack() != Some(stack));
    let named = foreign.map(|one| {
        let name = one.name().unwrap_or_default();
        let id = one.id().unwrap_or_default();
        format!("the VPC link `{name}` ({id}), which has to be deleted first")
    });
    Ok(named.collect())
}

/// The ids of the links of a stack: whatever the stack deploys may lead through them.
pub(super) async fn ids_of(reader: &Reader, stack: &str) -> Result<Vec<String>> {
    let links = reader.found::<VpcLink>().await?;
    let of_stack = links.iter().filter(|one| one.stack == stack);
    Ok(of_stack.map(|one| one.id.clone()).collect())
}

/// The id of the link that stands at an address of a stack, or is about to be adopted there.
pub(super) async fn id_at(
    reader: &Reader,
    stack: &str,
    address: &Address,
) -> Result<Option<String>> {
    let links = reader.found::<VpcLink>().await?;
    let here = |one: &&Found<VpcLink>| {
        one.owner == Owner::Ours && one.stack == stack && one.address == *address
    };
    Ok(links.iter().find(here).map(|one| one.id.clone()))
}

/// The VPC links of the account and region, of whomever they are, with their ids.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws) -> Result<Vec<(String, VpcLink)>> {
    let all = list(aws).await?;
    let look = |one: &Described| Some((one.id()?.to_owned(), live_spec(one, tags_of(one))));
    Ok(all.iter().filter_map(look).collect())
}

fn found(reader: &Reader, described: &Described) -> Option<Found<VpcLink>> {
    let tags = reader.claimed::<VpcLink>(described.id()?, tags_of(described), |_, _| false);
    let stack = tags.stack().filter(|stack| reader.has_stack(stack))?;
    Some(Found {
        stack: stack.to_owned(),
        address: tags.address()?,
        id: described.id()?.to_owned(),
        owner: Owner::Ours,
        protected: tags.protected(),
        retained: None,
        spec: live_spec(described, tags),
        outputs: Outputs::new(),
    })
}

fn live_spec(described: &Described, tags: Tags) -> VpcLink {
    let status = described.status().map_or("", VpcLinkStatus::as_str);
    VpcLink {
        name: described.name().unwrap_or_default().to_owned(),
        target: Late::Known(target_of(described).to_owned()),
        status: status.to_owned(),
        tags,
    }
}

fn target_of(described: &Described) -> &str {
    described.target_arns().first().map_or("", String::as_str)
}

fn tags_of(described: &Described) -> Tags {
    let tags = described.tags().into_iter().flatten();
    Tags::live(tags.map(|(key, value)| (key.as_str(), value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(target: &str, status: &str) -> VpcLink {
        VpcLink {
            name: "shop".to_owned(),
            target: Late::Known(target.to_owned()),
            status: status.to_owned(),
            tags: Tags::default(),
        }
    }

    fn changes(live: &VpcLink) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        link("arn:1", "AVAILABLE").diff(Some(live), &mut diff);
        diff.into_changes()
    }

    #[test]
    fn a_link_on_its_way_is_left_alone() {
        assert_eq!(changes(&link("arn:1", "PENDING")), vec![]);
    }

    #[test]
    fn a_link_that_failed_makes_room_for_another_one() {
        let live = link("arn:1", "FAILED");
        assert!(changes(&live)[0].replaces);
        let how = link("arn:1", "AVAILABLE").replacement(&live);
        assert!(matches!(how, Replacement::DeleteFirst(_)));
    }

    #[test]
    fn another_load_balancer_means_another_link_beside_the_old_one() {
        let live = link("arn:2", "AVAILABLE");
        assert!(changes(&live)[0].replaces);
        let how = link("arn:1", "AVAILABLE").replacement(&live);
        assert_eq!(how, Replacement::CreateFirst);
    }
}
