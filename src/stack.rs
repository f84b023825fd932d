//! The stack file: YAML -> [`Stack`], fully defaulted and typed.
//!
//! Every located input error is born here, and nothing else of the crate knows YAML.
//!
//! The way of a file: text -> `node` (a tree without types) -> `environment` (`${env:NAME}` filled
//! in) -> `read` (raw sections, one struct each) -> each section's own file (defaults, and rules
//! within the section) -> `relations` (rules between sections) -> [`Stack`].

use std::collections::BTreeMap;
use std::path::Path;

mod adopt;
mod api;
mod attributes;
mod backend;
mod certificate;
mod cidr;
mod common;
mod context;
mod definition;
mod domain;
mod endpoint;
mod environment;
mod error;
mod fault;
mod file;
mod health_check;
mod identity;
mod listener;
mod load_balancer;
mod locate;
mod log_destination;
mod material;
mod mismatch;
mod mutual_authentication;
mod network_load_balancer;
mod node;
mod path;
mod policy;
mod read;
mod reader;
mod record;
mod relations;
mod schema;
mod shape;
mod source;
mod target_group;
mod timeouts;
mod trust_store;
mod verify;

#[cfg(test)]
mod tests;

pub use api::{AccessLogs, Api, ApiPolicy, EndpointType, Throttling};
pub use backend::Backend;
pub(crate) use backend::PLACEHOLDER;
pub use certificate::{Certificate, CertificateSource, KeyAlgorithm};
pub(crate) use common::covers;
pub use common::{Bucket, SecurityGroups, Subnets, Vpc, Zone};
pub use definition::{Definition, DefinitionSource, Sample};
pub use domain::{BasePath, Domain, DomainSecurityPolicy, Mapping};
pub use endpoint::{Endpoint, EndpointPolicy, OwnEndpoint};
pub use error::{Location, StackError, StackErrors, Warning};
pub use health_check::{HealthCheck, HealthCheckPort};
pub use listener::Listener;
pub(crate) use listener::header_of;
pub use load_balancer::{IpAddressType, LoadBalancer, OwnLoadBalancer, Scheme};
pub use material::{InputFile, Material};
pub use mutual_authentication::MutualAuthentication;
pub use network_load_balancer::{
    NetworkHealthCheck, NetworkListener, NetworkLoadBalancer, NetworkProbe, NetworkProtocol,
    NetworkSecurityGroups, NetworkTargets, PrivateRecord, PrivateZone,
};
pub use record::{Record, RecordTarget};
pub use schema::{reference, schema};
pub use target_group::{Protocol, TargetGroup, Targets};
pub use timeouts::Timeouts;
pub use trust_store::{CrlSource, CrlUrl, TrustStore};
pub use verify::Verify;

use context::{Context, Findings};
use file::RawStack;
use identity::RawIdentity;
use node::Node;
use path::KeyPath;
use source::Source;

/// One gateway as the stack file describes it, with every default filled in.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Name of the stack: with account and region its identity, and the stem of AWS names.
    pub name: String,
    /// AWS region, such as `ap-northeast-1`.
    pub region: String,
    /// The account the stack belongs to; any other is refused. None: whichever the credentials are of.
    pub account: Option<String>,
    /// The user's tags, put on everything that can be tagged.
    pub tags: BTreeMap<String, String>,
    /// Whether destroy and replacement are refused.
    pub protect: bool,
    /// The VPC; present whenever a section needs one (own endpoint, own load balancer, target groups).
    pub vpc: Option<Vpc>,
    /// The bucket of locks, bundles and CRLs.
    pub bucket: Bucket,
    /// How long each kind of wait may last.
    pub timeouts: Timeouts,
    /// The execute-api interface endpoint.
    pub endpoint: Option<Endpoint>,
    /// REST APIs by name; the singular section `api` is `main`.
    pub apis: BTreeMap<String, Api>,
    /// Custom domains by name; the singular section `domain` is `main`.
    pub domains: BTreeMap<String, Domain>,
    /// The server certificate of listeners and domains.
    pub certificate: Option<Certificate>,
    /// Target groups by name; the singular section `target_group` is `main`.
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// The application load balancer.
    pub load_balancer: Option<LoadBalancer>,
    /// The network load balancer in front of a backend of API Gateway.
    pub network_load_balancer: Option<NetworkLoadBalancer>,
    /// The CAs and CRLs that client certificates are verified against.
    pub trust_store: Option<TrustStore>,
    /// HTTPS listeners by name; the singular section `listener` is `main`.
    pub listeners: BTreeMap<String, Listener>,
    /// Alias records by name; the singular section `record` is `main`.
    pub records: BTreeMap<String, Record>,
    /// What `mtlsgw verify` presents and wants to see.
    pub verify: Option<Verify>,
    /// What stands at addresses of the stack already, by AWS's id.
    pub adopt: BTreeMap<String, String>,
    source: Source,
    warnings: Vec<Warning>,
    files: Vec<InputFile>,
}

/// What `destroy` needs of a stack file, and all that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the stack.
    pub name: String,
    /// AWS region.
    pub region: String,
    /// The account, where the file names one.
    pub account: Option<String>,
    /// The bucket, in which lock, bundles and CRLs are.
    pub bucket: Bucket,
}

impl Stack {
    /// Reads a stack file and everything it refers to, but private keys.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, in its order.
    pub fn load(file: &Path) -> Result<Self, StackErrors> {
        let text = source::read_text(file)?;
        Self::parse(file, &text)
    }

    /// Reads the text of a stack file; `file` says where relative paths start and what errors name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, in its order.
    pub fn parse(file: &Path, text: &str) -> Result<Self, StackErrors> {
        parse_with(file, text, &variable)
    }

    /// Reads name, region and account of a stack file, and nothing else of it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not YAML, or one of the three is missing or wrong.
    pub fn identity(file: &Path) -> Result<Identity, StackErrors> {
        let text = source::read_text(file)?;
        identity_with(file, &text, &variable)
    }

    /// Finds the place of a key such as `load_balancer.subnets[1]`, or of the nearest one above it.
    ///
    /// `listeners.main` finds the section `listener`, too.
    pub fn locate(&self, path: &str) -> Location {
        self.source.locate(&KeyPath::from(path))
    }

    /// What works but is probably not meant, in the order of the file.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Every file that was read, the stack file first.
    pub fn files(&self) -> &[InputFile] {
        &self.files
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn parse_with(
    file: &Path,
    text: &str,
    lookup: environment::Lookup<'_>,
) -> Result<Stack, StackErrors> {
    let source = Source::parse(file, text)?;
    let mut root = source.root().clone();
    let faults = environment::substitute(&mut root, &KeyPath::default(), lookup);
    if !faults.is_empty() {
        return Err(source.errors(faults));
    }
    let raw: RawStack = read::read(&root).map_err(|faults| source.errors(faults))?;
    let cx = Context::new(file.parent().unwrap_or(Path::new("")), raw.region());
    cx.file(InputFile::new(file, text.as_bytes()));
    let mut stack = raw.build(source, &cx);
    relations::check(
        &stack,
        &|plural, name| stack.source.section(plural, name),
        &cx,
    );
    let Findings {
        faults,
        oddities,
        files,
    } = cx.into_findings();
    if !faults.is_empty() {
        return Err(stack.source.errors(faults));
    }
    stack.warnings = stack.source.warnings(oddities);
    stack.files = files;
    Ok(stack)
}

fn identity_with(
    file: &Path,
    text: &str,
    lookup: environment::Lookup<'_>,
) -> Result<Identity, StackErrors> {
    let source = Source::parse(file, text)?;
    let mut root = source.root().clone();
    if let Node::Mapping(entries) = &mut root {
        entries.retain(|(key, _)| RawIdentity::KEYS.contains(&key.as_str()));
    }
    let mut faults = environment::substitute(&mut root, &KeyPath::default(), lookup);
    if !faults.is_empty() {
        return Err(source.errors(faults));
    }
    let raw: RawIdentity = read::read(&root).map_err(|faults| source.errors(faults))?;
    let cx = Context::new(Path::new(""), raw.region());
    let identity = raw.build(&cx);
    faults = cx.into_findings().faults;
    if faults.is_empty() {
        Ok(identity)
    } else {
        Err(source.errors(faults))
    }
}
