//! A REST API: its definition, its resource policy and the endpoints that may reach it.
//!
//! Natural key: its tags; AWS lets any number of APIs have the same name. The definition is an
//! OpenAPI document that is imported whole. AWS does not give it back, so the tag
//! `mtlsgw:definition` keeps two digests: of the document, and of what AWS reported right after the
//! import.
//!
//! IAM: apigateway:GET/POST/PUT/PATCH/DELETE on /restapis, /restapis/* and /tags/*,
//! `apigateway:UpdateRestApiPolicy`.
//! AWS: API Gateway REST API Reference, `PutRestApi`; Developer Guide, "Updates to a REST API that
//! require redeployment".

mod export;
mod policy;
mod report;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_apigateway::operation::put_rest_api::PutRestApiOutput;
use aws_sdk_apigateway::primitives::Blob;
use aws_sdk_apigateway::types::{EndpointConfiguration, EndpointType, Op, PatchOperation, PutMode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::context::{Wait, hex};
use super::{
    Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until, stage,
    vpc_link,
};
use crate::aws::tags::Tags;
use crate::aws::{Aws, AwsError, Identity, Once, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};
use crate::stack::PLACEHOLDER;

pub(crate) use export::{definition_of, export, is_deployed};
pub(crate) use policy::{Policy, canonical_policy, policy_widens};
pub(super) use report::PAGE;
pub(crate) use report::resources as live_resources;

/// The tag `<digest of the document>:<digest of what AWS reported right after its import>`, then
/// `:<id of the VPC link>` where the document was imported with one.
const DEFINITION: &str = "mtlsgw:definition";

/// A REST API of ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RestApi {
    /// Its name, which need not be unique.
    pub(crate) name: String,
    /// Its description; empty: none.
    pub(crate) description: String,
    /// `PRIVATE` or `REGIONAL`; fixed.
    pub(crate) endpoint_type: &'static str,
    /// The interface endpoints that get an alias of a private API; in any order.
    pub(crate) vpc_endpoints: Vec<Late<String>>,
    /// Who may invoke it; a private API cannot be deployed without.
    pub(crate) policy: Option<Policy>,
    /// Its resources, methods, integrations, models and gateway responses.
    pub(crate) definition: Definition,
    /// Of a live one, the VPC links that its methods may lead through; not compared.
    pub(crate) vpc_links: Vec<Late<String>>,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// What an API consists of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Definition {
    /// As it should be: an OpenAPI document.
    Document {
        /// The document that is imported.
        document: Value,
        /// Its SHA-256 in hex.
        digest: String,
        /// The VPC link whose id it is imported with, in place of [`PLACEHOLDER`].
        vpc_link: Option<Late<String>>,
    },
    /// As it is: made from a document that only its digest is known of.
    Imported {
        /// The digest of the document; `None` when the import was not completed.
        digest: Option<String>,
        /// Whether the API is still what the import made of the document.
        intact: bool,
    },
}

impl Definition {
    /// The digest of what is or was imported, the id of the VPC link included; `None` where that is
    /// not known, or nothing was.
    pub(super) fn digest(
        &self,
        resolve: impl Fn(&Late<String>) -> Option<String>,
    ) -> Option<String> {
        match self {
            Self::Document {
                digest,
                vpc_link: Some(link),
                ..
            } => Some(linked(digest, &resolve(link)?)),
            Self::Document { digest, .. } => Some(digest.clone()),
            Self::Imported { digest, .. } => digest.clone(),
        }
    }

    /// The VPC link that the document is imported with.
    fn vpc_link(&self) -> Option<&Late<String>> {
        match self {
            Self::Document { vpc_link, .. } => vpc_link.as_ref(),
            Self::Imported { .. } => None,
        }
    }

    /// Whether the API is what the document made of it.
    pub(super) fn is_intact(&self) -> bool {
        match self {
            Self::Document { .. } => true,
            Self::Imported { intact, .. } => *intact,
        }
    }
}

impl Resource for RestApi {
    const TYPE: &'static str = "AWS::ApiGateway::RestApi";

    fn needs(&self) -> Vec<Need> {
        let endpoint = self.policy.as_ref().and_then(Policy::endpoint);
        self.vpc_endpoints
            .iter()
            .chain(endpoint)
            .chain(self.definition.vpc_link())
            .chain(&self.vpc_links)
            .map(|id| Need::of(id, Until::Created))
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            description,
            endpoint_type,
            vpc_endpoints,
            policy,
            definition,
            vpc_links: _,
            tags,
        } = self;
        diff.field("name", name, live.map(|live| &live.name));
        if live.is_some() || !description.is_empty() {
            diff.field(
                "description",
                description,
                live.map(|live| &live.description),
            );
        }
        diff.field(
            "endpoint_type",
            endpoint_type,
            live.map(|live| &live.endpoint_type),
        )
        .replaces();
        if live.is_some() || !vpc_endpoints.is_empty() {
            diff.late_set(
                "vpc_endpoints",
                vpc_endpoints,
                live.map(|live| live.vpc_endpoints.as_slice()),
            );
        }
        diff_policy(
            policy.as_ref(),
            live.and_then(|live| live.policy.as_ref()),
            diff,
        );
        diff_definition(definition, live.map(|live| &live.definition), diff);
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    /// Also notes what the live API is, where that is what the document says.
    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        let (wanted, had) = (&self.definition, &live.spec.definition);
        let digest = wanted.digest(|link| cx.value(link).ok());
        let is_wanted = digest.is_some() && had.is_intact() && had.digest(known) == digest;
        let mut tags = self.tags.clone();
        if let (
            true,
            Definition::Document {
                digest, vpc_link, ..
            },
        ) = (is_wanted, wanted)
        {
            let reported = report::digest(cx.aws(), &live.id).await?;
            let link = vpc_link.as_ref().map(|link| cx.value(link)).transpose()?;
            tags = tags.with(DEFINITION, noted(digest, &reported, link.as_deref()));
        }
        put_tags(cx, &path(&live.id), &tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let tagged = tagged(reader).await?;
        futures::future::try_join_all(tagged.iter().map(|api| found(reader, api))).await
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let id = match self.create_empty(cx).await {
            // AWS has no client token here: sent blindly a second time, there may be two.
            Err(error) if error.uncertain => match self.find_empty(cx).await? {
                Some(id) => id,
                None => self.create_empty(cx).await?,
            },
            other => other?,
        };
        self.import(cx, &id).await?;
        Ok(Created::id(id))
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        if touches(changes, "definition") {
            self.import(cx, &live.id).await?;
        } else {
            self.put_properties(cx, &live.id, &live.spec).await?;
        }
        if touches(changes, "tags") {
            put_tags(cx, &path(&live.id), &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let wait = Wait::new("the mappings of the API to vanish", 5, 120);
        let passes =
            |error: &Error| is_busy(error) || says(error, "BadRequest", "base path mappings");
        cx.retry_while(wait, passes, || async {
            let send = cx
                .aws()
                .apigateway
                .delete_rest_api()
                .rest_api_id(&live.id)
                .send();
            tolerate(
                cx.aws().call("apigateway:DeleteRestApi", send).await,
                &["NotFound"],
            )
        })
        .await
    }

    async fn foreign_children(reader: &Reader, live: &Found<Self>) -> Result<Vec<String>> {
        let stages = stage::by_api(reader).await?;
        let stages = stages.get(&live.id).map(Vec::as_slice).unwrap_or_default();
        let foreign = stages
            .iter()
            .filter(|one| stage::stack_of(one) != Some(&live.stack));
        Ok(foreign
            .map(|one| format!("stage `{}`", one.stage_name().unwrap_or_default()))
            .collect())
    }
}

impl RestApi {
    /// Makes an API without anything in it, with our tags from the first moment on.
    async fn create_empty(&self, cx: &Cx) -> Result<String, AwsError> {
        let endpoint = EndpointConfiguration::builder()
            .types(EndpointType::from(self.endpoint_type))
            .build();
        let send = cx
            .aws()
            .apigateway
            .create_rest_api()
            .name(&self.name)
            .set_description((!self.description.is_empty()).then(|| self.description.clone()))
            .endpoint_configuration(endpoint)
            .set_tags(Some(self.tags.0.clone().into_iter().collect()))
            .customize()
            .config_override(aws_sdk_apigateway::config::Builder::new().retry_classifier(Once))
            .send();
        let created = cx.aws().call("apigateway:CreateRestApi", send).await?;
        Ok(created.id.unwrap_or_default())
    }

    /// What [`Self::create_empty`] may have made although its answer was lost.
    async fn find_empty(&self, cx: &Cx) -> Result<Option<String>> {
        cx.aws().clock.sleep(Duration::from_secs(3)).await;
        let all = list(cx.aws()).await?;
        let empty = all.into_iter().find(|api| {
            let tags = tags_of(api);
            let ours =
                tags.stack() == Some(cx.stack()) && tags.address().as_ref() == Some(&cx.address);
            ours && tags.get(DEFINITION).is_none()
                && endpoint_type(api.endpoint_configuration()) == self.endpoint_type
        });
        Ok(empty.and_then(|api| api.id))
    }

    /// Imports the document, restores what an import resets, and notes what AWS made of it.
    ///
    /// The tag is written last: an import that was interrupted is done again.
    async fn import(&self, cx: &Cx, id: &str) -> Result<()> {
        let Definition::Document {
            document,
            digest,
            vpc_link,
        } = &self.definition
        else {
            return Err(Error::step(&cx.address, "only a document can be imported"));
        };
        let link = vpc_link.as_ref().map(|link| cx.value(link)).transpose()?;
        let body = importable(document, link.as_deref()).to_string();
        let answer = when_free(cx, || async {
            let put = cx
                .aws()
                .apigateway
                .put_rest_api()
                .rest_api_id(id)
                .mode(PutMode::Overwrite);
            let send = put.body(Blob::new(body.as_bytes())).send();
            Ok(cx.aws().call("apigateway:PutRestApi", send).await?)
        })
        .await?;
        for warning in answer.warnings() {
            tracing::warn!(address = %cx.address, "API Gateway on the OpenAPI document: {warning}");
        }
        self.put_properties(cx, id, &self.after_import(cx, id, &answer))
            .await?;
        let reported = report::digest(cx.aws(), id).await?;
        let tags = Tags::default().with(DEFINITION, noted(digest, &reported, link.as_deref()));
        put_tags(cx, &path(id), &tags, &Tags::default()).await
    }

    /// This API as the import left it: without policy, under the name that the document has.
    fn after_import(&self, cx: &Cx, id: &str, answer: &PutRestApiOutput) -> Self {
        let own = execution_arn(cx.aws(), cx.identity(), id);
        Self {
            name: answer.name().unwrap_or_default().to_owned(),
            description: answer.description().unwrap_or_default().to_owned(),
            vpc_endpoints: vpc_endpoints(answer.endpoint_configuration()),
            policy: live_policy(answer.policy(), &own),
            ..self.clone()
        }
    }

    /// Writes those of the name, the description, the policy and the endpoints that differ.
    async fn put_properties(&self, cx: &Cx, id: &str, live: &Self) -> Result<()> {
        let patches = self.property_patches(cx, live)?;
        if patches.is_empty() {
            return Ok(());
        }
        let wait = Wait::new("API Gateway to know the endpoint", 3, 60);
        let passes = |error: &Error| is_busy(error) || says(error, "BadRequest", "vpce");
        cx.retry_while(wait, passes, || async {
            let update = cx.aws().apigateway.update_rest_api().rest_api_id(id);
            let send = update.set_patch_operations(Some(patches.clone())).send();
            cx.aws()
                .call("apigateway:UpdateRestApi", send)
                .await
                .map(drop)
                .map_err(Error::from)
        })
        .await
    }

    fn property_patches(&self, cx: &Cx, live: &Self) -> Result<Vec<PatchOperation>> {
        let mut patches = Vec::new();
        if self.name != live.name {
            patches.push(replace("/name", &self.name));
        }
        if self.description != live.description {
            patches.push(replace("/description", &self.description));
        }
        patches.extend(self.policy_patch(cx, live)?);
        let ids = |lates: &[Late<String>]| {
            lates
                .iter()
                .map(|id| cx.value(id))
                .collect::<Result<BTreeSet<String>>>()
        };
        let (wanted, present) = (ids(&self.vpc_endpoints)?, ids(&live.vpc_endpoints)?);
        let at = "/endpointConfiguration/vpcEndpointIds";
        patches.extend(wanted.difference(&present).map(|id| patch(Op::Add, at, id)));
        patches.extend(
            present
                .difference(&wanted)
                .map(|id| patch(Op::Remove, at, id)),
        );
        Ok(patches)
    }

    /// The change of the policy, unless the live one means the same.
    fn policy_patch(&self, cx: &Cx, live: &Self) -> Result<Option<PatchOperation>> {
        let value = |id: &Late<String>| cx.value(id).ok();
        let Some(policy) = &self.policy else {
            return Ok(live.policy.as_ref().map(|_| replace("/policy", "")));
        };
        let (Some(document), Some(meaning)) = (policy.document(value), policy.canonical(value))
        else {
            return Err(Error::step(
                &cx.address,
                "the endpoint that the policy names is not known yet",
            ));
        };
        let same = live.policy.as_ref().and_then(|live| live.document(value)) == Some(meaning);
        Ok((!same).then(|| replace("/policy", document.to_string())))
    }
}

/// Compares what the policies mean; the live one is in canonical form already.
fn diff_policy(want: Option<&Policy>, live: Option<&Policy>, diff: &mut Diff<'_>) {
    diff.compares("policy");
    let before = live.and_then(|policy| policy.document(|id| diff.resolve(id)));
    let Some(policy) = want else {
        // Without a policy everybody may invoke a regional API.
        if let Some(before) = before {
            diff.differs("policy", before, Value::Null)
                .widens_if(|| true);
        }
        return;
    };
    let widens = before.as_ref().is_some_and(|live| policy.widens(live));
    if let Some(after) = policy.canonical(|id| diff.resolve(id)) {
        diff.field("policy", &after, before.as_ref())
            .widens_if(|| widens);
    } else {
        let endpoint = policy.endpoint().expect("nothing else can be unknown");
        diff.unknown("policy", before.unwrap_or_default(), endpoint)
            .widens_if(|| widens);
    }
}

/// Compares the documents by digest, and the API with what was made of the document.
fn diff_definition(want: &Definition, live: Option<&Definition>, diff: &mut Diff<'_>) {
    let imported = live.and_then(|live| live.digest(|_| None));
    let digest = want.digest(|id| diff.resolve(id));
    if let (None, Some(link)) = (&digest, want.vpc_link()) {
        diff.unknown("definition", imported.into(), link);
        return;
    }
    let Some(live) = live else {
        diff.field("definition", &digest, None);
        return;
    };
    diff.compares("definition");
    let same = imported == digest;
    if same && live.is_intact() {
        return;
    }
    let note = match (&imported, live.is_intact()) {
        (None, _) => "its import was not completed",
        (Some(_), true) => "the document has changed",
        (Some(_), false) if same => "the live API is no longer what was made of the document",
        (Some(_), false) => {
            "the document has changed, and the live API is no longer what was made of the earlier one"
        }
    };
    let before = imported.map(|digest| {
        if live.is_intact() {
            digest
        } else {
            format!("{digest}, changed on AWS")
        }
    });
    diff.differs("definition", before.into(), digest.into())
        .note(|| note.to_owned());
}

/// The document without its policy, which the stack file decides about, and with the VPC link's id.
fn importable(document: &Value, vpc_link: Option<&str>) -> Value {
    let mut document = document.clone();
    if let Some(link) = vpc_link {
        fill_in(&mut document, link);
    }
    if let Some(members) = document.as_object_mut() {
        members.shift_remove("x-amazon-apigateway-policy");
    }
    document
}

/// The tag that notes which document was imported, what AWS reports of it, and with which VPC link.
fn noted(digest: &str, reported: &str, vpc_link: Option<&str>) -> String {
    let link = vpc_link.map(|link| format!(":{link}")).unwrap_or_default();
    format!("{digest}:{reported}{link}")
}

/// An id that need not be waited for.
pub(super) fn known(id: &Late<String>) -> Option<String> {
    match id {
        Late::Known(id) => Some(id.clone()),
        Late::From(..) => None,
    }
}

/// The digest of a document that is imported with the id of a VPC link.
fn linked(digest: &str, link: &str) -> String {
    hex(&Sha256::digest(format!("{digest}\n{link}")))
}

/// Puts the VPC link's id where the document asks for it.
fn fill_in(value: &mut Value, link: &str) {
    match value {
        Value::String(text) if text.contains(PLACEHOLDER) => {
            *text = text.replace(PLACEHOLDER, link);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_in(item, link)),
        Value::Object(members) => members.values_mut().for_each(|one| fill_in(one, link)),
        _ => {}
    }
}

/// An API that carries the tags of a stack of the run.
#[derive(Debug)]
pub(super) struct Tagged {
    /// The stack's name.
    pub(super) stack: String,
    /// The API's address there.
    pub(super) address: Address,
    /// The API's id.
    pub(super) id: String,
    tags: Tags,
    api: aws_sdk_apigateway::types::RestApi,
}

/// The APIs of the run's stacks; read once, and by the kinds below an API without waiting for its definition.
pub(super) async fn tagged(reader: &Reader) -> Result<Arc<Vec<Tagged>>> {
    struct Listing;
    let read = || async {
        let all = list(&reader.aws).await?;
        let tagged = all.into_iter().filter_map(|api| {
            let tags = reader.claimed::<RestApi>(api.id()?, tags_of(&api), |_, _| false);
            let stack = tags
                .stack()
                .filter(|stack| reader.has_stack(stack))?
                .to_owned();
            Some(Tagged {
                stack,
                address: tags.address()?,
                id: api.id()?.to_owned(),
                tags,
                api,
            })
        });
        Ok(Arc::new(tagged.collect()))
    };
    reader
        .once::<Listing, Vec<Tagged>>(|| Box::pin(read()))
        .await
}

async fn list(aws: &Aws) -> Result<Vec<aws_sdk_apigateway::types::RestApi>> {
    pages(async |position| {
        let send = aws
            .apigateway
            .get_rest_apis()
            .limit(PAGE)
            .set_position(position)
            .send();
        let page = aws.call("apigateway:GetRestApis", send).await?;
        Ok((page.items.unwrap_or_default(), page.position))
    })
    .await
}

async fn found(reader: &Reader, tagged: &Tagged) -> Result<Found<RestApi>> {
    let Tagged {
        stack,
        address,
        id,
        tags,
        api,
    } = tagged;
    let mut tags = tags.clone();
    let noted = tags.0.remove(DEFINITION);
    let definition = match noted.as_deref().and_then(|noted| noted.split_once(':')) {
        None if tags.is_pretended() && reader.is_adopting() => {
            let digest = adoptable(reader, tagged).await?;
            let intact = digest.is_some();
            Definition::Imported { digest, intact }
        }
        None => Definition::Imported {
            digest: None,
            intact: false,
        },
        Some((digest, rest)) => {
            let (reported, digest) = match rest.split_once(':') {
                Some((reported, link)) => (reported, linked(digest, link)),
                None => (rest, digest.to_owned()),
            };
            let mut wanted = reader.wanted::<RestApi>();
            // What is to be deleted need not be compared.
            let wanted = wanted.any(|(scope, at, _)| scope.name == *stack && at == address);
            let intact = !wanted || report::digest(&reader.aws, id).await? == reported;
            Definition::Imported {
                digest: Some(digest),
                intact,
            }
        }
    };
    let own = execution_arn(&reader.aws, &reader.identity, id);
    let vpc_links = vpc_link::ids_of(reader, stack).await?;
    let spec = RestApi {
        vpc_links: vpc_links.into_iter().map(Late::Known).collect(),
        ..live_spec(api, &own, definition, tags)
    };
    Ok(Found {
        stack: stack.clone(),
        address: address.clone(),
        id: id.clone(),
        owner: Owner::Ours,
        protected: spec.tags.protected(),
        retained: None,
        spec,
        outputs: Outputs::new(),
    })
}

/// The id of a VPC link that a stack of the run refers to, where there is one already.
async fn linked_by(reader: &Reader, stack: &str, link: &Late<String>) -> Result<Option<String>> {
    match link {
        Late::Known(id) => Ok(Some(id.clone())),
        Late::From(address, _) => vpc_link::id_at(reader, stack, address).await,
    }
}

/// The digest of what a stack of the run wants its API to be, as far as that is known.
pub(super) async fn wanted_digest(
    reader: &Reader,
    stack: &str,
    address: &Address,
) -> Result<Option<String>> {
    let Some(want) = reader.wanted_in::<RestApi>(stack).remove(address) else {
        return Ok(None);
    };
    let link = match want.definition.vpc_link() {
        Some(link) => linked_by(reader, stack, link).await?,
        None => None,
    };
    Ok(want.definition.digest(|_| link.clone()))
}

/// The digest of the wanted document, if that is what the live API serves and consists of.
async fn adoptable(reader: &Reader, tagged: &Tagged) -> Result<Option<String>> {
    let here = |stack: &str, at: &Address| *stack == tagged.stack && *at == tagged.address;
    let want = reader
        .wanted::<RestApi>()
        .find(|(scope, at, _)| here(&scope.name, at));
    let stage = reader
        .wanted::<stage::Stage>()
        .find(|(scope, _, stage)| stage.api.address().is_some_and(|at| here(&scope.name, at)));
    let (Some((_, _, want)), Some((_, _, stage))) = (want, stage) else {
        return Ok(None);
    };
    let Definition::Document {
        document, vpc_link, ..
    } = &want.definition
    else {
        return Ok(None);
    };
    let link = match vpc_link {
        Some(link) => linked_by(reader, &tagged.stack, link).await?,
        None => None,
    };
    // A VPC link that has yet to be made is one that nothing leads through.
    let Some(digest) = want.definition.digest(|_| link.clone()) else {
        return Ok(None);
    };
    let document = &importable(document, link.as_deref());
    let exported = export(&reader.aws, &tagged.id, &stage.name).await?;
    let Some(exported) = exported.filter(|exported| export::is_same(exported, document)) else {
        return Ok(None);
    };
    let is_deployed = is_deployed(&reader.aws, &tagged.id, &exported).await?;
    Ok(is_deployed.then_some(digest))
}

fn tags_of(api: &aws_sdk_apigateway::types::RestApi) -> Tags {
    Tags::live(
        api.tags()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    )
}

fn live_spec(
    api: &aws_sdk_apigateway::types::RestApi,
    own: &str,
    definition: Definition,
    tags: Tags,
) -> RestApi {
    RestApi {
        name: api.name().unwrap_or_default().to_owned(),
        description: api.description().unwrap_or_default().to_owned(),
        endpoint_type: endpoint_type(api.endpoint_configuration()),
        vpc_endpoints: vpc_endpoints(api.endpoint_configuration()),
        policy: live_policy(api.policy(), own),
        definition,
        vpc_links: Vec::new(),
        tags,
    }
}

fn endpoint_type(configuration: Option<&EndpointConfiguration>) -> &'static str {
    match configuration.and_then(|one| one.types().first()) {
        Some(EndpointType::Private) => "PRIVATE",
        Some(EndpointType::Regional) => "REGIONAL",
        _ => "EDGE",
    }
}

fn vpc_endpoints(configuration: Option<&EndpointConfiguration>) -> Vec<Late<String>> {
    let ids = configuration
        .map(EndpointConfiguration::vpc_endpoint_ids)
        .unwrap_or_default();
    ids.iter().cloned().map(Late::Known).collect()
}

/// An API without a policy has an empty one or none at all.
fn live_policy(escaped: Option<&str>, own: &str) -> Option<Policy> {
    escaped
        .filter(|text| !text.is_empty())
        .map(|text| Policy::of_live(text, own))
}

fn execution_arn(aws: &Aws, identity: &Identity, id: &str) -> String {
    format!(
        "arn:{}:execute-api:{}:{}:{id}",
        identity.partition, aws.region, identity.account
    )
}

/// An API's path, of which its ARN is made.
fn path(id: &str) -> String {
    format!("/restapis/{id}")
}

/// Sets and removes the tags of what stands at `path` in API Gateway so that they become `want`.
pub(super) async fn put_tags(cx: &Cx, path: &str, want: &Tags, live: &Tags) -> Result<()> {
    let arn = format!(
        "arn:{}:apigateway:{}::{path}",
        cx.identity().partition,
        cx.aws().region
    );
    let (set, removed) = want.changes(live);
    // `mtlsgw:tags` goes on naming what leaves until it has left.
    if !removed.is_empty() {
        let send = cx
            .aws()
            .apigateway
            .untag_resource()
            .resource_arn(&arn)
            .set_tag_keys(Some(removed));
        cx.aws()
            .call("apigateway:UntagResource", send.send())
            .await?;
    }
    if !set.is_empty() {
        let send = cx
            .aws()
            .apigateway
            .tag_resource()
            .resource_arn(&arn)
            .set_tags(Some(set.into_iter().collect()));
        cx.aws().call("apigateway:TagResource", send.send()).await?;
    }
    Ok(())
}

/// A patch that sets `path` to `value`.
pub(super) fn replace(path: impl Into<String>, value: impl Into<String>) -> PatchOperation {
    patch(Op::Replace, path, value)
}

/// A patch of `path` that has a value.
pub(super) fn patch(op: Op, path: impl Into<String>, value: impl Into<String>) -> PatchOperation {
    PatchOperation::builder()
        .op(op)
        .path(path)
        .value(value)
        .build()
}

/// A patch that removes `path`.
pub(super) fn remove(path: impl Into<String>) -> PatchOperation {
    PatchOperation::builder().op(Op::Remove).path(path).build()
}

/// Repeats a change while API Gateway is busy with another one of the same API or domain.
pub(super) async fn when_free<T, F>(cx: &Cx, call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    cx.retry_while(Wait::new("another change to end", 2, 60), is_busy, call)
        .await
}

/// Whether API Gateway refuses a change only because another one is under way.
pub(super) fn is_busy(error: &Error) -> bool {
    says(error, "Conflict", "concurrent modification")
}

/// Whether AWS answered with this code and these words: `BadRequest` alone means many things.
pub(super) fn says(error: &Error, code: &str, words: &str) -> bool {
    error
        .aws()
        .is_some_and(|error| error.is(code) && error.message.to_lowercase().contains(words))
}

/// The ids of VPC links that the methods of each API of the region name, or the stage variables in their
/// place, by the API's id.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn connections(aws: &Aws) -> Result<Vec<(String, BTreeSet<String>)>> {
    let ids = list(aws).await?.into_iter().filter_map(|api| api.id);
    let read = ids.map(async |id| {
        let resources = report::resources(aws, &id).await?;
        let methods = resources
            .iter()
            .flat_map(|resource| resource.resource_methods().into_iter().flatten());
        let named = methods.filter_map(|(_, method)| {
            let integration = method.method_integration()?;
            integration.connection_id().map(str::to_owned)
        });
        Ok::<_, Error>((id, named.collect()))
    });
    futures::future::try_join_all(read).await
}

/// The APIs with these ids, of whomever they are, each with what of it is not compared, in words.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(
    (aws, identity): (&Aws, &Identity),
    ids: &BTreeSet<String>,
) -> Result<Vec<(String, RestApi, Vec<String>)>> {
    let all = list(aws).await?.into_iter();
    let wanted = all.filter(|api| api.id().is_some_and(|id| ids.contains(id)));
    let look = wanted.map(|api| {
        let id = api.id().unwrap_or_default().to_owned();
        let own = execution_arn(aws, identity, &id);
        let definition = Definition::Imported {
            digest: None,
            intact: false,
        };
        let spec = live_spec(&api, &own, definition, tags_of(&api));
        let is_off = api.disable_execute_api_endpoint();
        let unsaid = is_off.then(|| "that its own `execute-api` name is switched off".to_owned());
        (id, spec, unsaid.into_iter().collect())
    });
    Ok(look.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn api(definition: Definition) -> RestApi {
        RestApi {
            name: "petstore".to_owned(),
            description: String::new(),
            endpoint_type: "PRIVATE",
            vpc_endpoints: vec![Late::Known("vpce-1".to_owned())],
            policy: Some(Policy::SourceVpc {
                vpc: "vpc-1".to_owned(),
            }),
            definition,
            vpc_links: Vec::new(),
            tags: Tags::default(),
        }
    }

    fn document(digest: &str) -> Definition {
        Definition::Document {
            document: json!({ "openapi": "3.0.1" }),
            digest: digest.to_owned(),
            vpc_link: None,
        }
    }

    fn live(digest: &str, intact: bool) -> RestApi {
        let policy = api(document(""))
            .policy
            .and_then(|one| one.canonical(|_| None));
        RestApi {
            policy: policy.map(Policy::Document),
            ..api(Definition::Imported {
                digest: Some(digest.to_owned()),
                intact,
            })
        }
    }

    fn changes(want: &RestApi, live: &RestApi) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
    }

    fn note(want: &str, live: &RestApi) -> Option<String> {
        changes(&api(document(want)), live)
            .into_iter()
            .next()
            .and_then(|change| change.note)
    }

    #[test]
    fn an_api_that_is_as_its_document_made_it_has_no_changes() {
        assert_eq!(changes(&api(document("d1")), &live("d1", true)), vec![]);
    }

    #[test]
    fn the_note_says_whether_the_file_or_the_live_api_moved() {
        let said = |want, live| note(want, &live).unwrap_or_default();
        assert_eq!(said("d2", live("d1", true)), "the document has changed");
        assert!(said("d1", live("d1", false)).starts_with("the live API is no longer"));
        assert!(said("d2", live("d1", false)).starts_with("the document has changed, and"));
    }

    #[test]
    fn a_policy_without_its_deny_widens_access() {
        let open = json!({ "Statement": { "Effect": "Allow", "Principal": "*", "Action": "*" } });
        let want = RestApi {
            policy: Some(Policy::Document(open)),
            ..api(document("d1"))
        };
        let change = &changes(&want, &live("d1", true))[0];
        assert_eq!((change.path.as_str(), change.widens), ("policy", true));
    }

    #[test]
    fn a_policy_that_names_a_new_endpoint_is_known_later_and_does_not_widen() {
        let endpoint = Late::id(&Address::parse("endpoint"));
        let vpc = "vpc-1".to_owned();
        let want = RestApi {
            policy: Some(Policy::SourceVpce { vpc, endpoint }),
            ..api(document("d1"))
        };
        let change = &changes(&want, &live("d1", true))[0];
        assert!(change.after_unknown && !change.widens);
    }

    #[test]
    fn a_regional_api_without_a_policy_is_no_change() {
        let none = |api: RestApi| RestApi {
            policy: None,
            ..api
        };
        assert_eq!(
            changes(&none(api(document("d1"))), &none(live("d1", true))),
            vec![]
        );
    }

    #[test]
    fn the_stack_file_decides_about_the_policy() {
        let document = json!({ "openapi": "3.0.1", "x-amazon-apigateway-policy": {}, "paths": {} });
        assert_eq!(
            importable(&document, None),
            json!({ "openapi": "3.0.1", "paths": {} })
        );
    }
}
