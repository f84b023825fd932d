//! What a resource kind is, and the one list of kinds.
//!
//! A kind is one file in `resource/`, named as AWS CloudFormation names the type. Its struct is
//! both the wanted form (made by `wiring`) and the live form (made by `find` from AWS's answers),
//! so that comparing them is comparing fields. Adding a kind takes that file and its line in
//! [`kinds!`].

pub(crate) mod base_path_mapping;
pub(crate) mod bucket;
pub(crate) mod certificate;
pub(crate) mod certificate_validation;
pub(crate) mod context;
pub(crate) mod deployment;
pub(crate) mod domain_name;
pub(crate) mod ec2;
pub(crate) mod elbv2;
pub(crate) mod hosted_zone;
pub(crate) mod listener;
pub(crate) mod load_balancer;
pub(crate) mod log_bucket;
pub(crate) mod node;
pub(crate) mod object;
pub(crate) mod reader;
pub(crate) mod record_set;
pub(crate) mod rest_api;
pub(crate) mod security_group;
pub(crate) mod stage;
mod swept;
pub(crate) mod target_group;
pub(crate) mod target_registration;
pub(crate) mod trust_store;
pub(crate) mod trust_store_revocation;
pub(crate) mod vpc_endpoint;
pub(crate) mod vpc_link;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::aws::tags::Tags;
use crate::diff::{Change, Diff};
use crate::error::{Error, Result};

pub(crate) use context::Cx;
pub(crate) use node::{Live, Node, Verdict};
pub(crate) use reader::Reader;

/// Where a resource stands in its stack: `listener`, `apis.orders`, `trust_store.crl["sha256:12ab…"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The address as it is written.
    pub fn parse(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The address of a part: `api` and `stage` give `api.stage`.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    /// The address of one of several parts: `domain.mapping["orders"]`.
    #[must_use]
    pub fn keyed(&self, name: &str, key: &str) -> Self {
        Self(format!("{}.{name}[\"{key}\"]", self.0))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What only AWS knows of a resource, by name: `id`, `dns_name`, `addresses`.
pub(crate) type Outputs = BTreeMap<&'static str, Vec<String>>;

/// A value that is known, or that another resource of the stack gives once it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Late<T> {
    /// Known: from the file, or read from AWS.
    Known(T),
    /// The named output of the resource at an address.
    From(Address, &'static str),
}

impl<T> Late<T> {
    /// The id (ARN, group id, …) of the resource at `address`.
    pub(crate) fn id(address: &Address) -> Self {
        Self::From(address.clone(), "id")
    }

    /// The address that gives the value.
    pub(crate) fn address(&self) -> Option<&Address> {
        match self {
            Self::Known(_) => None,
            Self::From(address, _) => Some(address),
        }
    }
}

/// A type that outputs can be read as.
pub(crate) trait FromOutput: Sized + PartialEq {
    /// Reads it from the values of an output; `None` when they do not fit.
    fn from_output(values: &[String]) -> Option<Self>;
}

impl FromOutput for String {
    fn from_output(values: &[String]) -> Option<Self> {
        match values {
            [one] => Some(one.clone()),
            _ => None,
        }
    }
}

impl FromOutput for Vec<String> {
    fn from_output(values: &[String]) -> Option<Self> {
        Some(values.to_vec())
    }
}

/// How far something else has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// It is there and has an id; later changes to it need not be awaited.
    Created,
    /// It is there and as it should be.
    Exists,
    /// It does its work: active, issued, healthy.
    Ready,
}

/// Something that ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// What it belongs to.
    pub(crate) address: Address,
    /// What ends: `CA CN=Root`, `CRL of CN=Root`.
    pub(crate) what: String,
    /// When.
    pub(crate) at: OffsetDateTime,
}

/// What a resource needs of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// The address (wanted side) or the AWS id or another output (live side) of the other.
    pub(crate) on: Target,
    /// How far the other has to be before this one is made or changed.
    pub(crate) until: Until,
    /// Whether the other can only be deleted when this one has vanished, not merely been deleted.
    pub(crate) holds_until_gone: bool,
    /// Whether deleting the other deletes this one.
    pub(crate) parent: bool,
}

/// The other end of a need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A resource of the stack.
    Address(Address),
    /// Whatever has this id or output.
    Id(String),
}

impl Need {
    /// A need of whatever gives `late`; a known value is an id.
    pub(crate) fn of(late: &Late<String>, until: Until) -> Self {
        let on = match late {
            Late::Known(id) => Target::Id(id.clone()),
            Late::From(address, _) => Target::Address(address.clone()),
        };
        Self {
            on,
            until,
            holds_until_gone: false,
            parent: false,
        }
    }

    /// Needs the other to be as it should be.
    pub(crate) fn exists(late: &Late<String>) -> Self {
        Self::of(late, Until::Exists)
    }

    /// Needs the other to do its work.
    pub(crate) fn ready(late: &Late<String>) -> Self {
        Self::of(late, Until::Ready)
    }

    /// A need of the resource at `address`.
    pub(crate) fn address(address: &Address, until: Until) -> Self {
        Self {
            on: Target::Address(address.clone()),
            until,
            holds_until_gone: false,
            parent: false,
        }
    }

    /// The other cannot be deleted before this one has vanished.
    #[must_use]
    pub(crate) fn holds_until_gone(self) -> Self {
        Self {
            holds_until_gone: true,
            ..self
        }
    }

    /// The other takes this one with it when it is deleted.
    #[must_use]
    pub(crate) fn parent(self) -> Self {
        Self {
            parent: true,
            ..self
        }
    }
}

/// Whose a live resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It carries our tags, or belongs to something that does.
    Ours,
    /// It stands where ours should, but is somebody else's; says whose.
    Foreign(String),
}

/// What forbids to delete or replace something live, whatever the stack file says by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Guard {
    /// The tag `mtlsgw:protect`.
    Tag,
    /// AWS's own deletion protection.
    DeletionProtection,
    /// Both of them.
    Both,
}

/// What lifts AWS's deletion protection.
const LIFT_DELETION_PROTECTION: &str = "set `deletion_protection: false` in the stack file and apply that first, \
     without the change that deletes it; where the file is gone, switch the attribute \
     `deletion_protection.enabled` off in AWS";

impl Guard {
    /// The same with AWS's deletion protection.
    pub(crate) fn with_deletion_protection(other: Option<Self>) -> Self {
        match other {
            None | Some(Self::DeletionProtection) => Self::DeletionProtection,
            Some(Self::Tag | Self::Both) => Self::Both,
        }
    }

    /// What it is and that it forbids, and what lifts it.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Tag => (
                "the live tag `mtlsgw:protect` forbids it",
                "set `protect: false` in the stack file and apply that first; where the file is gone, remove \
                 the tag in AWS",
            ),
            Self::DeletionProtection => (
                "AWS's deletion protection forbids it",
                LIFT_DELETION_PROTECTION,
            ),
            Self::Both => (
                "the live tag `mtlsgw:protect` and AWS's deletion protection forbid it",
                LIFT_DELETION_PROTECTION,
            ),
        }
    }
}

/// A live resource.
#[derive(Debug, Clone)]
pub(crate) struct Found<R> {
    /// The stack it belongs to, or that wants its place.
    pub(crate) stack: String,
    /// Its address there.
    pub(crate) address: Address,
    /// AWS's id: an ARN, a group id, or a natural key where AWS has no id.
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) owner: Owner,
    /// What forbids to delete or replace it, if anything does.
    pub(crate) protected: Option<Guard>,
    /// Why destroy leaves it behind, where it does.
    pub(crate) retained: Option<String>,
    /// What it is now.
    pub(crate) spec: R,
    /// What else AWS says of it; `id` is added by the engine.
    pub(crate) outputs: Outputs,
}

/// How something that cannot be changed in place is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replacement {
    /// The new one is made, everything is repointed, the old one goes.
    CreateFirst,
    /// Both cannot exist at once: the old one goes first; says what is down meanwhile.
    DeleteFirst(String),
    /// It cannot be replaced without breaking clients; says why and what to do.
    Impossible(String),
}

/// One AWS resource type.
///
/// `self` is always the wanted form. No method prints, prompts or decides about order.
pub(crate) trait Resource: Clone + fmt::Debug + Send + Sync + Sized + 'static {
    /// CloudFormation's name of the type.
    const TYPE: &'static str;

    /// Whether all additions of this kind come before any removal, so that there is no gap.
    const ADDS_FIRST: bool = false;

    /// Whether clients come by it: what they relied on until now goes only after all of this kind
    /// is as it should be.
    const MOVES_CLIENTS: bool = false;

    /// What it needs to be made, changed and deleted; asked of the wanted and of the live form.
    fn needs(&self) -> Vec<Need>;

    /// What only its readiness needs: targets become healthy when a listener uses them.
    fn ready_needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// What only a change of an existing one needs.
    fn update_needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// Compares every field; against nothing (`live` is `None`) it lists what will be created.
    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>);

    /// Its tags, where it has any of its own.
    fn tags(&self) -> Option<&Tags> {
        None
    }

    /// Whether this live one is the stack's only once it has been adopted.
    fn is_pretended(&self) -> bool {
        self.tags().is_some_and(Tags::is_pretended)
    }

    /// Whether a change at this path is part of taking something over, and changes nothing else.
    fn is_adoption(path: &str) -> bool {
        path.starts_with("tags.")
    }

    /// Takes a live one over by writing its tags, and nothing else.
    fn adopt(&self, cx: &Cx, _live: &Found<Self>) -> impl Future<Output = Result<()>> + Send {
        async { Err(Error::step(&cx.address, "what has no tags is not adopted")) }
    }

    /// How it is replaced when the diff says that it has to be.
    fn replacement(&self, _live: &Self) -> Replacement {
        Replacement::CreateFirst
    }

    /// The outputs that these changes will alter; ids never change.
    fn moving_outputs(_changes: &[Change]) -> &'static [&'static str] {
        &[]
    }

    /// Whether deleting this live one, with `wanted` remaining, lets more through than before.
    fn removal_widens(&self, _wanted: &Resources) -> bool {
        false
    }

    /// What comes in place of this live one, with `wanted` remaining; told where it is deleted.
    fn successor(&self, _wanted: &Resources) -> Option<String> {
        None
    }

    /// What of it ends by itself, and when: certificates and CRLs.
    fn expiries(&self, _outputs: &Outputs) -> Vec<(String, OffsetDateTime)> {
        Vec::new()
    }

    /// Everything live of this kind that belongs to a stack of the run or stands in its place.
    fn find(reader: &Reader) -> impl Future<Output = Result<Vec<Found<Self>>>> + Send;

    /// Makes it and returns as soon as its id is known.
    fn create(&self, cx: &Cx) -> impl Future<Output = Result<Created>> + Send;

    /// Waits until it does its work; returns the outputs that are known only then.
    fn ready(&self, _cx: &Cx, _id: &str) -> impl Future<Output = Result<Outputs>> + Send {
        async { Ok(Outputs::new()) }
    }

    /// Makes the changes that [`Self::diff`] found.
    fn update(
        &self,
        cx: &Cx,
        live: &Found<Self>,
        changes: &[Change],
    ) -> impl Future<Output = Result<Outputs>> + Send;

    /// Whether these changes leave something of the live one standing, because others rely on it.
    fn retires(&self, _live: &Self, _changes: &[Change]) -> bool {
        false
    }

    /// Takes away what [`Self::update`] has left standing, once nothing relies on it any more.
    fn retire(&self, _cx: &Cx, _live: &Found<Self>) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Deletes it; that it is gone already is success.
    fn delete(cx: &Cx, live: &Found<Self>) -> impl Future<Output = Result<()>> + Send;

    /// Waits until nothing of it is left that could hold something else.
    fn gone(_cx: &Cx, _live: &Found<Self>) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// What would vanish with it and is not ours; each with its name.
    fn foreign_children(
        _reader: &Reader,
        _live: &Found<Self>,
    ) -> impl Future<Output = Result<Vec<String>>> + Send {
        async { Ok(Vec::new()) }
    }
}

/// What a creation gives.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    /// AWS's id.
    pub(crate) id: String,
    /// What else is known at once.
    pub(crate) outputs: Outputs,
}

impl Created {
    /// Only an id.
    pub(crate) fn id(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            outputs: Outputs::new(),
        }
    }
}

/// Declares the kinds: a field of [`Resources`] each, and the reading of all of them.
macro_rules! kinds {
    ($($field:ident: $kind:ty),* $(,)?) => {
        /// All resources of one stack as they should be.
        #[derive(Debug, Default, Clone)]
        pub(crate) struct Resources {
            $(pub(crate) $field: BTreeMap<Address, $kind>,)*
        }

        impl Resources {
            /// Whether nothing is wanted: the stack is to be destroyed.
            pub(crate) fn is_empty(&self) -> bool {
                $(self.$field.is_empty())&&*
            }

            /// The addresses of what carries tags of its own.
            pub(crate) fn adoptable(&self) -> BTreeSet<Address> {
                let mut addresses = BTreeSet::new();
                $({
                    let tagged = self.$field.iter().filter(|(_, want)| want.tags().is_some());
                    addresses.extend(tagged.map(|(address, _)| address.clone()));
                })*
                addresses
            }
        }

        $(impl Wanted for $kind {
            fn of(resources: &Resources) -> &BTreeMap<Address, Self> {
                &resources.$field
            }
        })*

        /// Reads everything live, all kinds at once, and pairs it with what each stack wants.
        ///
        /// # Errors
        ///
        /// The first read that failed: a read that is denied is no proof of absence.
        pub(crate) async fn read_all(reader: &Reader) -> Result<BTreeMap<String, Vec<Box<dyn Node>>>> {
            let ($($field,)*) = futures::join!($(reader.found::<$kind>(),)*);
            let mut nodes: BTreeMap<String, Vec<Box<dyn Node>>> = BTreeMap::new();
            for scope in reader.scopes() {
                nodes.entry(scope.name.clone()).or_default();
            }
            $(node::pair::<$kind>(reader, &*$field?, &mut nodes);)*
            Ok(nodes)
        }

        /// The wanted resources as if nothing were live.
        pub(crate) fn unread(resources: &Resources) -> Vec<Box<dyn Node>> {
            let mut nodes: Vec<Box<dyn Node>> = Vec::new();
            $(nodes.extend(resources.$field.iter().map(|(address, want)| node::unread(address, want)));)*
            nodes
        }
    };
}

/// Where a kind's wanted resources are kept.
pub(crate) trait Wanted: Resource {
    /// The wanted ones of this kind.
    fn of(resources: &Resources) -> &BTreeMap<Address, Self>;
}

kinds! {
    buckets: bucket::Bucket,
    log_buckets: log_bucket::LogBucket,
    objects: object::Object,
    security_groups: security_group::SecurityGroup,
    vpc_endpoints: vpc_endpoint::VpcEndpoint,
    rest_apis: rest_api::RestApi,
    deployments: deployment::Deployment,
    stages: stage::Stage,
    certificates: certificate::Certificate,
    certificate_validations: certificate_validation::CertificateValidation,
    domain_names: domain_name::DomainName,
    base_path_mappings: base_path_mapping::BasePathMapping,
    load_balancers: load_balancer::LoadBalancer,
    target_groups: target_group::TargetGroup,
    target_registrations: target_registration::TargetRegistration,
    trust_stores: trust_store::TrustStore,
    trust_store_revocations: trust_store_revocation::TrustStoreRevocation,
    listeners: listener::Listener,
    hosted_zones: hosted_zone::HostedZone,
    vpc_links: vpc_link::VpcLink,
    record_sets: record_set::RecordSet,
}
