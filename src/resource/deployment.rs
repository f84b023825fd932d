//! A deployment: the snapshot of a REST API that a stage serves.
//!
//! Natural key: its description, `mtlsgw <digest>`, over everything that takes effect with a
//! deployment only. It is never changed: another digest is another deployment, the stage moves to
//! it, and the old one goes.
//!
//! IAM: apigateway:GET/POST/PATCH/DELETE on /restapis/*/deployments and /restapis/*/deployments/*.
//! AWS: API Gateway REST API Reference, `CreateDeployment`; Developer Guide, "Updates to a REST API
//! that require redeployment".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::context::{Wait, hex};
use super::rest_api::{self, Policy, RestApi, Tagged};
use super::{
    Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until, listener, stage,
    vpc_link,
};
use crate::aws::{Aws, Once, pages, tolerate};
use crate::diff::{Change, Diff};
use crate::error::{Error, Result};

/// What the descriptions of our deployments begin with.
const MARK: &str = "mtlsgw ";

/// A deployment of ours; its address is `<the API's address>.deployment`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deployment {
    /// The API's id.
    pub(crate) api: Late<String>,
    /// What it is a snapshot of.
    pub(crate) content: Content,
    /// What its methods lead through: what has to work first, or of a live one may not go before it.
    pub(crate) behind: Vec<Need>,
}

/// What a deployment freezes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// As it should be: everything of the API that takes effect with a deployment only.
    Snapshot {
        /// The digest of the API's definition.
        definition: String,
        /// The API's resource policy.
        policy: Option<Policy>,
        /// The API's interface endpoints.
        vpc_endpoints: Vec<Late<String>>,
        /// `PRIVATE` or `REGIONAL`.
        endpoint_type: &'static str,
        /// The VPC link that the definition is imported with.
        vpc_link: Option<Late<String>>,
    },
    /// As it is: the digest that the description carries.
    Digest(String),
    /// As it is where it is to be adopted: what is wanted, under another description.
    Undescribed(String),
}

impl Content {
    /// The digest over all of it, if everything in it is known.
    fn digest(&self, resolve: impl Fn(&Late<String>) -> Option<String>) -> Option<String> {
        match self {
            Self::Snapshot {
                definition,
                policy,
                vpc_endpoints,
                endpoint_type,
                vpc_link,
            } => {
                let policy = match policy {
                    Some(policy) => Some(policy.canonical(&resolve)?),
                    None => None,
                };
                let endpoints: BTreeSet<String> =
                    vpc_endpoints.iter().map(&resolve).collect::<Option<_>>()?;
                let mut all = vec![
                    json!(definition),
                    json!(policy),
                    json!(endpoints),
                    json!(endpoint_type),
                ];
                if let Some(link) = vpc_link {
                    all.push(json!(resolve(link)?));
                }
                let all = serde_json::Value::from(all);
                Some(hex(&Sha256::digest(all.to_string())))
            }
            Self::Digest(digest) => Some(digest.clone()),
            Self::Undescribed(_) => None,
        }
    }

    /// The ids in it that other resources give.
    fn ids(&self) -> impl Iterator<Item = &Late<String>> {
        let (policy, endpoints, link) = match self {
            Self::Snapshot {
                policy,
                vpc_endpoints,
                vpc_link,
                ..
            } => (policy.as_ref(), vpc_endpoints.as_slice(), vpc_link.as_ref()),
            Self::Digest(_) | Self::Undescribed(_) => (None, [].as_slice(), None),
        };
        let policy = policy.and_then(Policy::endpoint);
        endpoints.iter().chain(policy).chain(link)
    }
}

impl Resource for Deployment {
    const TYPE: &'static str = "AWS::ApiGateway::Deployment";

    fn needs(&self) -> Vec<Need> {
        let ids = self.content.ids().map(|id| Need::of(id, Until::Created));
        std::iter::once(Need::exists(&self.api).parent())
            .chain(ids)
            .chain(self.behind.iter().cloned())
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            api,
            content,
            behind: _,
        } = self;
        diff.late("api", api, live.map(|live| &live.api)).replaces();
        if let Some(Content::Undescribed(before)) = live.map(|live| &live.content) {
            let after = content.digest(|id| diff.resolve(id));
            let after = after.map(|digest| format!("{MARK}{digest}"));
            diff.differs("description", before.as_str().into(), after.into());
            return;
        }
        let before = live.and_then(|live| live.content.digest(|id| diff.resolve(id)));
        if let Some(after) = content.digest(|id| diff.resolve(id)) {
            diff.field("content", &after, before.as_ref()).replaces();
        } else {
            let moving = content.ids().find(|id| diff.resolve(id).is_none());
            let moving = moving.expect("nothing else can be unknown");
            diff.unknown("content", before.into(), moving).replaces();
        }
    }

    fn is_pretended(&self) -> bool {
        matches!(self.content, Content::Undescribed(_))
    }

    fn is_adoption(path: &str) -> bool {
        path == "description"
    }

    /// The description stands for the tags that a deployment cannot have.
    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        let api = cx.value(&live.spec.api)?;
        let digest = self.content.digest(|id| cx.value(id).ok());
        let digest =
            digest.ok_or_else(|| Error::step(&cx.address, "what is deployed is not known"))?;
        let description = rest_api::replace("/description", format!("{MARK}{digest}"));
        rest_api::when_free(cx, || async {
            let update = cx.aws().apigateway.update_deployment().rest_api_id(&api);
            let send = update
                .deployment_id(&live.id)
                .patch_operations(description.clone())
                .send();
            let done = cx.aws().call("apigateway:UpdateDeployment", send).await;
            done.map(drop).map_err(Error::from)
        })
        .await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let apis = rest_api::tagged(reader).await?;
        let deployments =
            futures::future::try_join_all(apis.iter().map(|api| list(&reader.aws, &api.id)));
        let (deployments, stages, behind) =
            futures::try_join!(deployments, stage::by_api(reader), behind(reader, &apis))?;
        let adoptable = adoptable(reader).await?;
        let of_api = |(api, deployments): (&Tagged, Vec<aws_sdk_apigateway::types::Deployment>)| {
            let stages = stages.get(&api.id).map(Vec::as_slice).unwrap_or_default();
            let lent = lent_deployments(stages, &api.stack);
            let ours = deployments
                .iter()
                .filter(|one| one.id().is_some_and(|id| !lent.contains(id)));
            let behind = behind.get(&api.stack).map_or(&[][..], Vec::as_slice);
            let ours = ours.filter_map(|one| found(api, one, behind));
            let adopted = deployments
                .iter()
                .filter_map(|one| undescribed(api, one, (behind, &adoptable)));
            ours.chain(adopted).collect::<Vec<_>>()
        };
        Ok(apis.iter().zip(deployments).flat_map(of_api).collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let api = cx.value(&self.api)?;
        let digest = self.content.digest(|id| cx.value(id).ok());
        let digest = digest
            .ok_or_else(|| Error::step(&cx.address, "what is to be deployed is not known yet"))?;
        let description = format!("{MARK}{digest}");
        match deploy(cx, &api, &description).await {
            // AWS has no client token here: sent blindly a second time, there may be two.
            Err(error) if error.aws().is_some_and(|error| error.uncertain) => {
                cx.aws().clock.sleep(Duration::from_secs(3)).await;
                let made = list(cx.aws(), &api).await?;
                match made
                    .into_iter()
                    .find(|one| one.description() == Some(&description))
                    .and_then(|one| one.id)
                {
                    Some(id) => Ok(Created::id(id)),
                    None => deploy(cx, &api, &description).await,
                }
            }
            other => other,
        }
    }

    async fn update(&self, cx: &Cx, _live: &Found<Self>, _changes: &[Change]) -> Result<Outputs> {
        Err(Error::step(&cx.address, "a deployment cannot be changed"))
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let api = cx.value(&live.spec.api)?;
        let wait = Wait::new("the stage to leave the deployment", 5, 60);
        let in_use = |error: &Error| rest_api::says(error, "BadRequest", "active stages");
        let passes = |error: &Error| rest_api::is_busy(error) || in_use(error);
        cx.retry_while(wait, passes, || async {
            let delete = cx.aws().apigateway.delete_deployment().rest_api_id(&api);
            let send = delete.deployment_id(&live.id).send();
            let done = cx.aws().call("apigateway:DeleteDeployment", send).await;
            match tolerate(done, &["NotFound"]) {
                Err(error) if in_use(&error) && is_lent(cx, &api, &live.id).await? => Ok(()),
                other => other,
            }
        })
        .await
    }
}

/// The deployments that stages to be adopted serve, of APIs that are what is wanted, as `API/deployment`.
async fn adoptable(reader: &Reader) -> Result<BTreeSet<String>> {
    if !reader.is_adopting() {
        return Ok(BTreeSet::new());
    }
    let (apis, stages) =
        futures::try_join!(reader.found::<RestApi>(), reader.found::<stage::Stage>())?;
    let mut wanted = Vec::new();
    for api in apis.iter() {
        let live = &api.spec.definition;
        let digest = rest_api::wanted_digest(reader, &api.stack, &api.address).await?;
        if live.is_intact() && live.digest(rest_api::known) == digest {
            wanted.push(api);
        }
    }
    let served = wanted.into_iter().flat_map(|api| {
        let of_api = |stage: &&Found<stage::Stage>| {
            stage.owner == Owner::Ours && stage.spec.api == Late::Known(api.id.clone())
        };
        stages.iter().filter(of_api).filter_map(|stage| {
            let Late::Known(deployment) = &stage.spec.deployment else {
                return None;
            };
            Some(stage::id(&api.id, deployment))
        })
    });
    Ok(served.collect())
}

/// A deployment that is wanted as it is, under a description that is not ours.
fn undescribed(
    api: &Tagged,
    deployment: &aws_sdk_apigateway::types::Deployment,
    (behind, adoptable): (&[Need], &BTreeSet<String>),
) -> Option<Found<Deployment>> {
    let (id, description) = (deployment.id()?, deployment.description());
    let description = description.unwrap_or_default();
    if description.starts_with(MARK) || !adoptable.contains(&stage::id(&api.id, id)) {
        return None;
    }
    Some(Found {
        stack: api.stack.clone(),
        address: api.address.part("deployment"),
        id: id.to_owned(),
        owner: Owner::Ours,
        protected: None,
        retained: None,
        spec: Deployment {
            api: Late::Known(api.id.clone()),
            content: Content::Undescribed(description.to_owned()),
            behind: behind.to_vec(),
        },
        outputs: Outputs::new(),
    })
}

/// Whether only stages of others serve a deployment: then it is left to them.
async fn is_lent(cx: &Cx, api: &str, id: &str) -> Result<bool> {
    let get = cx.aws().apigateway.get_stages().rest_api_id(api);
    let send = get.deployment_id(id).send();
    let answer = cx.aws().call("apigateway:GetStages", send).await?;
    Ok(lent_deployments(answer.item(), cx.stack()).contains(id))
}

/// Deployments that only stages of others serve: they are left to them, because AWS keeps what is served.
fn lent_deployments<'a>(
    stages: &'a [aws_sdk_apigateway::types::Stage],
    stack: &str,
) -> BTreeSet<&'a str> {
    let (ours, foreign): (Vec<_>, Vec<_>) = stages
        .iter()
        .partition(|one| stage::stack_of(one) == Some(stack));
    let served = |stages: Vec<&'a aws_sdk_apigateway::types::Stage>| -> BTreeSet<&'a str> {
        stages
            .into_iter()
            .filter_map(|one| one.deployment_id())
            .collect()
    };
    &served(foreign) - &served(ours)
}

async fn deploy(cx: &Cx, api: &str, description: &str) -> Result<Created> {
    rest_api::when_free(cx, || async {
        let send = cx
            .aws()
            .apigateway
            .create_deployment()
            .rest_api_id(api)
            .description(description)
            .customize()
            .config_override(aws_sdk_apigateway::config::Builder::new().retry_classifier(Once))
            .send();
        let created = cx.aws().call("apigateway:CreateDeployment", send).await?;
        Ok(Created::id(created.id.unwrap_or_default()))
    })
    .await
}

async fn list(aws: &Aws, api: &str) -> Result<Vec<aws_sdk_apigateway::types::Deployment>> {
    pages(async |position| {
        let send = aws
            .apigateway
            .get_deployments()
            .rest_api_id(api)
            .limit(rest_api::PAGE)
            .set_position(position);
        let page = aws.call("apigateway:GetDeployments", send.send()).await?;
        Ok((page.items.unwrap_or_default(), page.position))
    })
    .await
}

/// The VPC links and the listeners behind them of each stack: what a live deployment may lead through.
async fn behind(reader: &Reader, apis: &[Tagged]) -> Result<BTreeMap<String, Vec<Need>>> {
    let mut behind: BTreeMap<String, Vec<Need>> = BTreeMap::new();
    for api in apis {
        let links = vpc_link::ids_of(reader, &api.stack).await?;
        if links.is_empty() || behind.contains_key(&api.stack) {
            continue;
        }
        let listeners = listener::network_ids_of(reader, &api.stack).await?;
        let ids = links.into_iter().chain(listeners).map(Late::Known);
        let needs = ids.map(|id| Need::exists(&id)).collect();
        behind.insert(api.stack.clone(), needs);
    }
    Ok(behind)
}

fn found(
    api: &Tagged,
    deployment: &aws_sdk_apigateway::types::Deployment,
    behind: &[Need],
) -> Option<Found<Deployment>> {
    let digest = deployment.description()?.strip_prefix(MARK)?;
    Some(Found {
        stack: api.stack.clone(),
        address: api.address.part("deployment"),
        id: deployment.id()?.to_owned(),
        owner: Owner::Ours,
        // It only ever makes room for its successor; the API and the stage carry the protection.
        protected: None,
        retained: None,
        spec: Deployment {
            api: Late::Known(api.id.clone()),
            content: Content::Digest(digest.to_owned()),
            behind: behind.to_vec(),
        },
        outputs: Outputs::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;
    use aws_sdk_apigateway::types::Stage;

    fn snapshot(vpc: &str, endpoints: &[&str]) -> Content {
        Content::Snapshot {
            definition: "d1".to_owned(),
            policy: Some(Policy::SourceVpc {
                vpc: vpc.to_owned(),
            }),
            vpc_endpoints: endpoints
                .iter()
                .map(|id| Late::Known((*id).to_owned()))
                .collect(),
            endpoint_type: "PRIVATE",
            vpc_link: None,
        }
    }

    fn known(late: &Late<String>) -> Option<String> {
        match late {
            Late::Known(id) => Some(id.clone()),
            Late::From(..) => None,
        }
    }

    fn changes(want: Content, live: Content) -> Vec<Change> {
        let api = Late::Known("a1b2c3d4e5".to_owned());
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        let live = Deployment {
            api: api.clone(),
            content: live,
            behind: Vec::new(),
        };
        let want = Deployment {
            api,
            content: want,
            behind: Vec::new(),
        };
        want.diff(Some(&live), &mut diff);
        diff.into_changes()
    }

    #[test]
    fn the_order_of_endpoints_means_nothing_and_the_policy_does() {
        let digest = |vpc, endpoints| snapshot(vpc, endpoints).digest(known);
        assert_eq!(
            digest("vpc-1", &["vpce-1", "vpce-2"]),
            digest("vpc-1", &["vpce-2", "vpce-1"])
        );
        assert_ne!(digest("vpc-1", &["vpce-1"]), digest("vpc-2", &["vpce-1"]));
    }

    #[test]
    fn another_digest_is_another_deployment() {
        let want = snapshot("vpc-1", &[]);
        let same = Content::Digest(want.digest(known).expect("everything is known"));
        assert_eq!(changes(want.clone(), same), vec![]);
        assert!(changes(want, Content::Digest("old".to_owned()))[0].replaces);
    }

    #[test]
    fn a_new_endpoint_makes_a_new_deployment() {
        let mut want = snapshot("vpc-1", &[]);
        if let Content::Snapshot { vpc_endpoints, .. } = &mut want {
            vpc_endpoints.push(Late::id(&Address::parse("endpoint")));
        }
        let change = &changes(want, Content::Digest("old".to_owned()))[0];
        assert!(change.after_unknown && change.replaces);
    }

    #[test]
    fn what_only_a_foreign_stage_serves_is_lent() {
        let foreign = |deployment| {
            Stage::builder()
                .stage_name("test")
                .deployment_id(deployment)
                .build()
        };
        let ours = Stage::builder()
            .stage_name("dev")
            .deployment_id("b")
            .tags("mtlsgw:stack", "shop")
            .build();
        let stages = [foreign("a"), foreign("b"), ours];
        assert_eq!(lent_deployments(&stages, "shop"), BTreeSet::from(["a"]));
    }
}
