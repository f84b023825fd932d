//! The stack file as it is written: its sections, and how they become a [`Stack`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::adopt::read_adopt;
use super::api::RawApi;
use super::certificate::RawCertificate;
use super::common::{RawTags, Vpc, VpcForm};
use super::context::Context;
use super::domain::RawDomain;
use super::endpoint::RawEndpoint;
use super::fault::Fault;
use super::identity::RawIdentity;
use super::listener::RawListener;
use super::load_balancer::RawLoadBalancer;
use super::network_load_balancer::RawNetworkLoadBalancer;
use super::path::KeyPath;
use super::record::RawRecord;
use super::shape::Shape;
use super::source::{MAIN, Source};
use super::target_group::RawTargetGroup;
use super::timeouts::RawTimeouts;
use super::trust_store::RawTrustStore;
use super::verify::RawVerify;
use super::{Stack, identity};

/// A mutual-TLS gateway on AWS. A section that is absent is not built; one that names an existing thing uses it
/// and never changes or deletes it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "mtlsgw stack")]
pub(super) struct RawStack {
    /// Name of the stack: lower-case letters, digits and single hyphens, at most 20; AWS names derive from it.
    #[schemars(example = &"petstore", regex(pattern = r"^(?=.{1,20}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$"))]
    name: String,
    /// AWS region.
    #[schemars(example = &"ap-northeast-1")]
    region: String,
    /// Account id in quotes; any other account is refused (default: whichever the credentials are of).
    #[schemars(example = &"123456789012", regex(pattern = r"^[0-9]{12}$"))]
    account: Option<String>,
    /// Tags for everything that can carry tags; at most 40.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// Whether destroy and replacement are refused.
    #[serde(default)]
    protect: bool,
    /// VPC of endpoint, load balancer and targets: an id, `default`, or tags that one VPC carries; it cannot change.
    #[schemars(with = "Option<VpcForm>", extend("examples" = ["vpc-0abc"]))]
    vpc: Option<Shape<RawTags>>,
    /// Existing bucket for locks, bundles and CRLs (default: `mtlsgw-<account>-<region>`, made when needed).
    bucket: Option<String>,
    /// How long each kind of wait may last.
    #[serde(default)]
    timeouts: RawTimeouts,
    /// The execute-api interface endpoint that private APIs are reached through.
    endpoint: Option<RawEndpoint>,
    /// The REST API named `main`.
    api: Option<RawApi>,
    /// Several REST APIs by name, in place of `api`.
    apis: Option<BTreeMap<String, RawApi>>,
    /// The custom domain named `main`.
    domain: Option<RawDomain>,
    /// Several custom domains by name, in place of `domain`.
    domains: Option<BTreeMap<String, RawDomain>>,
    /// The server certificate of listeners and domains.
    certificate: Option<RawCertificate>,
    /// The target group named `main`.
    target_group: Option<RawTargetGroup>,
    /// Several target groups by name, in place of `target_group`.
    target_groups: Option<BTreeMap<String, RawTargetGroup>>,
    /// The application load balancer.
    load_balancer: Option<RawLoadBalancer>,
    /// The network load balancer through which APIs reach a backend in the VPC.
    network_load_balancer: Option<RawNetworkLoadBalancer>,
    /// The CAs that client certificates are verified against, and their CRLs.
    trust_store: Option<RawTrustStore>,
    /// The HTTPS listener named `main`.
    listener: Option<RawListener>,
    /// Several HTTPS listeners by name, in place of `listener`.
    listeners: Option<BTreeMap<String, RawListener>>,
    /// The alias record named `main`.
    record: Option<RawRecord>,
    /// Several alias records by name, in place of `record`.
    records: Option<BTreeMap<String, RawRecord>>,
    /// What `mtlsgw verify` presents and wants to see.
    verify: Option<RawVerify>,
    /// What stands at addresses of the stack already: AWS's ids by address, for `mtlsgw apply --adopt`.
    #[serde(default)]
    #[schemars(extend("examples" = [{"load_balancer": "arn:aws:elasticloadbalancing:…"}]))]
    adopt: BTreeMap<String, String>,
}

impl RawStack {
    /// The region as it is written.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Fills in defaults, reads the files and checks each section; sections come before those that refer to them.
    ///
    /// What is at fault is stood in for, so that the rest is checked, too.
    pub(super) fn build(self, source: Source, cx: &Context) -> Stack {
        let identity = RawIdentity::new(self.name, self.region, self.account, self.bucket);
        let identity = identity.build(cx);
        let vpc = self.vpc.map(|vpc| Vpc::from_shape(vpc, cx));
        let top = KeyPath::top;
        let load_balancer = self
            .load_balancer
            .map(|raw| raw.build(&top("load_balancer"), vpc.as_ref(), cx));
        let network_load_balancer = self
            .network_load_balancer
            .map(|raw| raw.build(&top("network_load_balancer"), vpc.as_ref(), cx));
        let endpoint = self
            .endpoint
            .map(|raw| raw.build(&top("endpoint"), vpc.as_ref(), load_balancer.as_ref(), cx));
        let apis = build_each(named((self.api, self.apis), "api", cx), |_, path, raw| {
            raw.build(path, vpc.as_ref(), endpoint.as_ref(), cx)
        });
        let domains = named((self.domain, self.domains), "domain", cx);
        let domains = build_each(domains, |_, path, raw| raw.build(path, &apis, cx));
        let target_groups = build_each(
            named((self.target_group, self.target_groups), "target_group", cx),
            |_, path, raw| raw.build(path, endpoint.as_ref(), cx),
        );
        let listeners = build_each(
            named((self.listener, self.listeners), "listener", cx),
            |name, path, raw| raw.build((name, path), &target_groups, cx),
        );
        let records = build_each(
            named((self.record, self.records), "record", cx),
            |name, path, raw| raw.build((name, path), &domains, load_balancer.as_ref(), cx),
        );
        Stack {
            name: identity.name,
            region: identity.region,
            account: identity.account,
            tags: read_tags(self.tags, cx),
            protect: self.protect,
            vpc,
            bucket: identity.bucket,
            timeouts: self.timeouts.build(&top("timeouts"), cx),
            endpoint,
            apis,
            domains,
            certificate: self
                .certificate
                .map(|raw| raw.build(&top("certificate"), cx)),
            target_groups,
            load_balancer,
            network_load_balancer,
            trust_store: self
                .trust_store
                .map(|raw| raw.build(&top("trust_store"), cx)),
            listeners,
            records,
            verify: self.verify.map(|raw| raw.build(&top("verify"), cx)),
            adopt: read_adopt(self.adopt, cx),
            source,
            warnings: Vec::new(),
            files: Vec::new(),
        }
    }
}

/// The sections of one kind, each with its name and path.
type Named<T> = Vec<(String, KeyPath, T)>;

fn build_each<Raw, Built>(
    sections: Named<Raw>,
    build: impl Fn(&str, &KeyPath, Raw) -> Built,
) -> BTreeMap<String, Built> {
    let build = |(name, path, raw): (String, KeyPath, Raw)| {
        let built = build(&name, &path, raw);
        (name, built)
    };
    sections.into_iter().map(build).collect()
}

/// Brings the singular and the plural form of a section together.
fn named<T>(
    (one, many): (Option<T>, Option<BTreeMap<String, T>>),
    singular: &str,
    cx: &Context,
) -> Named<T> {
    let plural = format!("{singular}s");
    let path = KeyPath::top(&plural);
    if one.is_some() && many.is_some() {
        let fault = Fault::new(
            &path,
            format!("`{singular}` and `{plural}` exclude each other"),
        );
        cx.fault(fault.hint(format!(
            "move the section `{singular}` into `{plural}` as `{MAIN}`"
        )));
    }
    if many.as_ref().is_some_and(BTreeMap::is_empty) {
        let fault = Fault::new(&path, format!("`{plural}` is empty"));
        cx.fault(fault.hint("name at least one, or remove it"));
    }
    let mut sections: Named<T> = Vec::new();
    sections.extend(one.map(|raw| (MAIN.to_owned(), KeyPath::top(singular), raw)));
    for (name, raw) in many.into_iter().flatten() {
        let path = path.key(&name);
        if !identity::is_name(&name) {
            let fault = Fault::new(&path, format!("`{name}` is no name"));
            cx.fault(fault.allowed(identity::NAME_RULE));
        }
        sections.push((name, path, raw));
    }
    sections
}

/// AWS allows 50 tags; the rest is ours.
const MAXIMUM_TAGS: usize = 40;

fn read_tags(tags: BTreeMap<String, String>, cx: &Context) -> BTreeMap<String, String> {
    let path = KeyPath::top("tags");
    if tags.len() > MAXIMUM_TAGS {
        let message = format!(
            "{} tags are more than the {MAXIMUM_TAGS} that fit beside our own",
            tags.len()
        );
        cx.fault(Fault::new(&path, message));
    }
    for (key, value) in &tags {
        let at = path.key(key);
        let lower = key.to_lowercase();
        if let Some(prefix) = ["aws:", "mtlsgw:"]
            .iter()
            .find(|prefix| lower.starts_with(*prefix))
        {
            cx.fault(Fault::new(
                &at,
                format!("tags that begin with `{prefix}` are reserved"),
            ));
        }
        if key.is_empty() || key.chars().count() > 127 || !key.chars().all(is_tag_character) {
            let fault = Fault::new(&at, format!("`{key}` is no key of a tag"));
            cx.fault(fault.allowed("1 to 127 letters, digits, spaces and `_.:/=+-@`"));
        }
        if value.chars().count() > 256 || !value.chars().all(is_tag_character) {
            let fault = Fault::new(&at, format!("the tag `{key}` cannot be `{value}`"));
            cx.fault(fault.allowed("at most 256 letters, digits, spaces and `_.:/=+-@`"));
        }
    }
    tags
}

fn is_tag_character(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}
