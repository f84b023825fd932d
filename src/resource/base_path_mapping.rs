//! A base path mapping: which stage answers below which path of a custom domain.
//!
//! Natural key: the domain and the base path. It has no tags: it is ours when its domain is and it
//! leads to an API of ours. One that leads elsewhere belongs to somebody who uses our domain, and
//! is never changed.
//!
//! IAM: apigateway:GET/POST/PATCH/DELETE on /domainnames/*/basepathmappings and
//! /domainnames/*/basepathmappings/*.
//! AWS: API Gateway REST API Reference, `CreateBasePathMapping`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::Wait;
use super::domain_name::DomainName;
use super::rest_api::{self, PAGE, replace};
use super::{Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, stage};
use crate::aws::{Aws, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// How AWS writes that there is no base path.
const NONE: &str = "(none)";

/// A mapping of a custom domain of ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BasePathMapping {
    /// The domain; fixed.
    pub(crate) domain: Late<String>,
    /// The first segment of the path, which is stripped; `None`: all paths; fixed.
    pub(crate) base_path: Option<String>,
    /// The API's id.
    pub(crate) api: Late<String>,
    /// The name of the API's stage, its output `name`.
    pub(crate) stage: Late<String>,
}

impl Resource for BasePathMapping {
    const TYPE: &'static str = "AWS::ApiGateway::BasePathMapping";

    /// Until clients know the new paths they use the old ones.
    const ADDS_FIRST: bool = true;

    fn needs(&self) -> Vec<Need> {
        // Many APIs have a stage of the same name, so that alone does not say which one is meant.
        let stage = match (&self.api, &self.stage) {
            (Late::Known(api), Late::Known(name)) => Late::Known(stage::id(api, name)),
            (_, stage) => stage.clone(),
        };
        vec![
            Need::exists(&self.domain).parent(),
            Need::exists(&self.api),
            Need::exists(&stage),
        ]
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            domain,
            base_path: _,
            api,
            stage,
        } = self;
        diff.late("domain", domain, live.map(|live| &live.domain))
            .replaces();
        let live_path = live.map(Self::path);
        diff.field("base_path", &self.path(), live_path.as_ref())
            .replaces();
        diff.late("api", api, live.map(|live| &live.api));
        diff.late("stage", stage, live.map(|live| &live.stage));
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let domains = reader.found::<DomainName>();
        let (domains, mappings, apis) =
            futures::try_join!(domains, by_domain(reader), rest_api::tagged(reader))?;
        let mut all = Vec::new();
        for domain in domains.iter().filter(|domain| domain.owner == Owner::Ours) {
            let ours: BTreeSet<&str> = apis
                .iter()
                .filter(|api| api.stack == domain.stack)
                .map(|api| api.id.as_str())
                .collect();
            let mappings = mappings.get(&domain.id).into_iter().flatten();
            all.extend(mappings.filter_map(|mapping| found(reader, domain, &ours, mapping)));
        }
        Ok(all)
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let domain = cx.value(&self.domain)?;
        // For some seconds API Gateway may not know the domain or the stage that it has just made.
        let wait = Wait::new("API Gateway to know the domain and the stage", 2, 30)
            .at_most(cx.timeout("mapping"));
        let passes = |error: &Error| {
            rest_api::is_busy(error) || error.is_code("BadRequest") || error.is_code("NotFound")
        };
        let (api, stage) = (cx.value(&self.api)?, cx.value(&self.stage)?);
        cx.retry_while(wait, passes, || async {
            let create = cx
                .aws()
                .apigateway
                .create_base_path_mapping()
                .domain_name(&domain);
            let send = create
                .set_base_path(self.base_path.clone())
                .rest_api_id(&api)
                .stage(&stage)
                .send();
            let done = cx
                .aws()
                .call("apigateway:CreateBasePathMapping", send)
                .await;
            match done.map(drop).map_err(Error::from) {
                Err(error) if rest_api::is_busy(&error) => Err(error),
                // The same one, when the answer to a first sending was lost.
                Err(error) if error.is_code("Conflict") && self.is_made(cx, &domain).await? => {
                    Ok(())
                }
                other => other,
            }
        })
        .await?;
        Ok(Created::id(id(&domain, self.path())))
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        let domain = cx.value(&live.spec.domain)?;
        let mut patches = Vec::new();
        if touches(changes, "api") {
            patches.push(replace("/restapiId", cx.value(&self.api)?));
        }
        if touches(changes, "stage") {
            patches.push(replace("/stage", cx.value(&self.stage)?));
        }
        let wait = Wait::new("API Gateway to know the stage", 2, 30).at_most(cx.timeout("mapping"));
        let passes = |error: &Error| rest_api::is_busy(error) || error.is_code("BadRequest");
        cx.retry_while(wait, passes, || async {
            let update = cx
                .aws()
                .apigateway
                .update_base_path_mapping()
                .domain_name(&domain)
                .base_path(self.path());
            let send = update.set_patch_operations(Some(patches.clone())).send();
            cx.aws()
                .call("apigateway:UpdateBasePathMapping", send)
                .await
                .map(drop)
                .map_err(Error::from)
        })
        .await?;
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let domain = cx.value(&live.spec.domain)?;
        rest_api::when_free(cx, || async {
            let delete = cx
                .aws()
                .apigateway
                .delete_base_path_mapping()
                .domain_name(&domain);
            let send = delete.base_path(live.spec.path()).send();
            tolerate(
                cx.aws()
                    .call("apigateway:DeleteBasePathMapping", send)
                    .await,
                &["NotFound"],
            )
        })
        .await
    }
}

impl BasePathMapping {
    /// The base path as AWS writes it.
    fn path(&self) -> &str {
        self.base_path.as_deref().unwrap_or(NONE)
    }

    /// Whether the mapping that stands here already is this one.
    async fn is_made(&self, cx: &Cx, domain: &str) -> Result<bool> {
        let send = cx
            .aws()
            .apigateway
            .get_base_path_mapping()
            .domain_name(domain)
            .base_path(self.path())
            .send();
        let live = cx.aws().call("apigateway:GetBasePathMapping", send).await?;
        let (api, stage) = (cx.value(&self.api)?, cx.value(&self.stage)?);
        Ok(live.rest_api_id() == Some(&api) && live.stage() == Some(&stage))
    }
}

/// The mappings of a domain that do not lead to an API of its stack, each with where it leads.
pub(super) async fn foreign(reader: &Reader, domain: &Found<DomainName>) -> Result<Vec<String>> {
    let (mappings, apis) = futures::try_join!(by_domain(reader), rest_api::tagged(reader))?;
    let ours = |id: Option<&str>| {
        apis.iter()
            .any(|api| api.stack == domain.stack && Some(api.id.as_str()) == id)
    };
    let mappings = mappings.get(&domain.id).into_iter().flatten();
    Ok(mappings
        .filter(|mapping| !ours(mapping.rest_api_id()))
        .map(|mapping| {
            let (path, api) = (
                mapping.base_path().unwrap_or(NONE),
                mapping.rest_api_id().unwrap_or_default(),
            );
            format!("mapping `{path}` to the API `{api}`")
        })
        .collect())
}

/// The mappings of our domains, by domain; read once.
async fn by_domain(
    reader: &Reader,
) -> Result<Arc<BTreeMap<String, Vec<aws_sdk_apigateway::types::BasePathMapping>>>> {
    struct Listing;
    let read = || async {
        let domains = reader.found::<DomainName>().await?;
        let ours = domains.iter().filter(|domain| domain.owner == Owner::Ours);
        let mappings = ours.map(|domain| async {
            Ok::<_, Error>((domain.id.clone(), list(&reader.aws, &domain.id).await?))
        });
        Ok(Arc::new(
            futures::future::try_join_all(mappings)
                .await?
                .into_iter()
                .collect(),
        ))
    };
    reader.once::<Listing, _>(|| Box::pin(read())).await
}

async fn list(aws: &Aws, domain: &str) -> Result<Vec<aws_sdk_apigateway::types::BasePathMapping>> {
    pages(async |position| {
        let send = aws
            .apigateway
            .get_base_path_mappings()
            .domain_name(domain)
            .limit(PAGE)
            .set_position(position);
        let page = aws
            .call("apigateway:GetBasePathMappings", send.send())
            .await?;
        Ok((page.items.unwrap_or_default(), page.position))
    })
    .await
}

/// A mapping of our domain: ours if it leads to an API of ours, in our place if we want its base path.
fn found(
    reader: &Reader,
    domain: &Found<DomainName>,
    ours: &BTreeSet<&str>,
    mapping: &aws_sdk_apigateway::types::BasePathMapping,
) -> Option<Found<BasePathMapping>> {
    let spec = live_spec(&domain.id, mapping);
    let wanted = reader
        .wanted::<BasePathMapping>()
        .find(|(scope, _, want)| {
            let here = scope.name == domain.stack && want.domain.address() == Some(&domain.address);
            here && want.base_path == spec.base_path
        })
        .map(|(_, address, _)| address.clone());
    let api = mapping.rest_api_id().unwrap_or_default();
    let (address, owner) = match (wanted, ours.contains(api)) {
        (wanted, true) => (
            wanted.unwrap_or_else(|| address_of(domain, &spec)),
            Owner::Ours,
        ),
        (Some(address), false) => {
            let (path, name) = (spec.path(), &domain.id);
            let whose = format!(
                "the base path `{path}` of `{name}` leads to the API `{api}`, which is not this stack's"
            );
            (address, Owner::Foreign(whose))
        }
        (None, false) => return None,
    };
    Some(Found {
        stack: domain.stack.clone(),
        address,
        id: id(&domain.id, spec.path()),
        owner,
        protected: domain.protected,
        retained: None,
        spec,
        outputs: Outputs::new(),
    })
}

/// Where a mapping stands that no file wants any more.
fn address_of(domain: &Found<DomainName>, mapping: &BasePathMapping) -> Address {
    match &mapping.base_path {
        Some(path) => domain.address.keyed("mapping", path),
        None => domain.address.part("mapping"),
    }
}

fn live_spec(
    domain: &str,
    mapping: &aws_sdk_apigateway::types::BasePathMapping,
) -> BasePathMapping {
    let base_path = mapping
        .base_path()
        .filter(|path| !path.is_empty() && *path != NONE);
    BasePathMapping {
        domain: Late::Known(domain.to_owned()),
        base_path: base_path.map(str::to_owned),
        api: Late::Known(mapping.rest_api_id().unwrap_or_default().to_owned()),
        stage: Late::Known(mapping.stage().unwrap_or_default().to_owned()),
    }
}

fn id(domain: &str, path: &str) -> String {
    format!("{domain}/{path}")
}

/// The mappings of a custom domain, of whomever they are.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, domain: &str) -> Result<Vec<BasePathMapping>> {
    let all = list(aws, domain).await?;
    Ok(all.iter().map(|one| live_spec(domain, one)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Target, Until};

    fn live(base_path: &str) -> BasePathMapping {
        let mapping = aws_sdk_apigateway::types::BasePathMapping::builder()
            .base_path(base_path)
            .rest_api_id("a1b2c3d4e5")
            .stage("dev");
        live_spec("api.example.com", &mapping.build())
    }

    fn changes(want: &BasePathMapping, live: &BasePathMapping) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
    }

    #[test]
    fn none_is_no_base_path() {
        assert_eq!(live("(none)").base_path, None);
        assert_eq!(live("(none)").path(), "(none)");
        assert_eq!(changes(&live("(none)"), &live("(none)")), vec![]);
    }

    #[test]
    fn another_api_is_mapped_in_place_and_another_path_is_another_mapping() {
        let want = BasePathMapping {
            api: Late::Known("f6g7h8i9j0".to_owned()),
            ..live("orders")
        };
        assert!(!changes(&want, &live("orders"))[0].replaces);
        assert!(changes(&live("orders"), &live("users"))[0].replaces);
    }

    #[test]
    fn a_live_mapping_holds_the_stage_of_its_own_api() {
        let stage = Need::of(&Late::Known("a1b2c3d4e5/dev".to_owned()), Until::Exists);
        assert!(live("orders").needs().contains(&stage));
        assert!(
            live("orders")
                .needs()
                .iter()
                .any(|need| need.parent && need.on == Target::Id("api.example.com".to_owned()))
        );
    }
}
