//! What plan, apply and destroy share: from stack files to a plan, by one path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::try_join_all;
use time::OffsetDateTime;

use crate::apply::Events;
use crate::aws::{Aws, Identity, Speed, Target};
use crate::cli::Global;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::plan::Plan;
use crate::resource::bucket::Bucket;
use crate::resource::context::Shared;
use crate::resource::reader::Scope;
use crate::resource::{self, Address, Node, Reader};
use crate::stack::{self, Stack, StackErrors, Timeouts};
use crate::wiring::{self, Expiry, Warning, Wired};

/// Where AWS is for this command; keeps the embedded one alive.
pub(crate) struct Session {
    target: Target,
    timeout: Option<Duration>,
    /// The clients of each region.
    clients: tokio::sync::Mutex<BTreeMap<String, Arc<Aws>>>,
    #[cfg(feature = "sandbox")]
    sandbox: Option<crate::sandbox::Running>,
}

/// A stack to be planned: with its file, or only by name to be destroyed.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The stack's name.
    pub(crate) name: String,
    /// Its region.
    pub(crate) region: String,
    /// The only account that it may be in.
    pub(crate) account: Option<String>,
    /// Its bucket, unless it is the account's own.
    pub(crate) bucket: Option<String>,
    /// What it wants; `None` when it is to be destroyed.
    pub(crate) stack: Option<Stack>,
}

/// A stack with what it wants and what was found.
type ReadStack = (Subject, Wired, Vec<Box<dyn Node>>);

/// What was read of one region.
struct Read {
    reader: Reader,
    stacks: Vec<ReadStack>,
}

/// A stack's plan with all that is needed to show and to run it.
pub(crate) struct Planned {
    /// The stack's name.
    pub(crate) name: String,
    /// Its bucket.
    pub(crate) bucket: String,
    /// The clients of its region.
    pub(crate) aws: Arc<Aws>,
    /// Who we are there.
    pub(crate) identity: Identity,
    /// The steps.
    pub(crate) plan: Plan,
    /// What the steps are about.
    pub(crate) nodes: Vec<Box<dyn Node>>,
    /// What works but is probably not meant.
    pub(crate) warnings: Vec<Warning>,
    /// What stops working on its own.
    pub(crate) expiries: Vec<Expiry>,
    /// What would vanish and is not ours, by what it would vanish with.
    pub(crate) foreign: Vec<(Address, Vec<String>)>,
    timeouts: BTreeMap<String, Duration>,
}

/// The bucket's name, unless it is the account's own.
fn named_bucket(bucket: &stack::Bucket) -> Option<String> {
    match bucket {
        stack::Bucket::Own => None,
        stack::Bucket::Existing(name) => Some(name.clone()),
    }
}

impl Subject {
    /// A stack of which nothing is wanted, by what its file says of its identity.
    ///
    /// # Errors
    ///
    /// What is wrong with name, region, account or bucket.
    pub(crate) fn of_identity(path: &Path) -> Result<Self, StackErrors> {
        let stack::Identity {
            name,
            region,
            account,
            bucket,
        } = Stack::identity(path)?;
        Ok(Self {
            name,
            region,
            account,
            bucket: named_bucket(&bucket),
            stack: None,
        })
    }

    /// A stack as its file says.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub(crate) fn load(path: &Path) -> Result<Self, StackErrors> {
        let stack = Stack::load(path)?;
        Ok(Self {
            name: stack.name.clone(),
            region: stack.region.clone(),
            account: stack.account.clone(),
            bucket: named_bucket(&stack.bucket),
            stack: Some(stack),
        })
    }
}

impl Session {
    /// Opens the way to AWS, or to the embedded one.
    ///
    /// # Errors
    ///
    /// The sandbox cannot be opened.
    #[cfg_attr(
        not(feature = "sandbox"),
        expect(clippy::unused_async, reason = "opening a sandbox waits")
    )]
    pub(crate) async fn open(global: &Global) -> Result<Self> {
        let mut target = Target {
            endpoint_url: global.endpoint_url.clone(),
            profile: global.profile.clone(),
            sandbox: None,
        };
        let timeout = global.timeout;
        #[cfg(feature = "sandbox")]
        {
            let sandbox = match &global.sandbox {
                Some(directory) => Some(open_sandbox(directory).await?),
                None => None,
            };
            if let Some(running) = &sandbox {
                target.endpoint_url = Some(running.endpoint_url().to_owned());
                target.sandbox = Some(speed(running.timing()));
            }
            Ok(Self {
                target,
                timeout,
                clients: tokio::sync::Mutex::default(),
                sandbox,
            })
        }
        #[cfg(not(feature = "sandbox"))]
        {
            if global.sandbox.is_some() {
                return Err(Error::refused(
                    "this binary was built without the feature `sandbox`",
                ));
            }
            target.sandbox = None::<Speed>;
            Ok(Self {
                target,
                timeout,
                clients: tokio::sync::Mutex::default(),
            })
        }
    }

    /// The clients of a region.
    ///
    /// # Errors
    ///
    /// The clients cannot be set up.
    pub(crate) async fn connect(&self, region: &str) -> Result<Arc<Aws>> {
        // One set of clients a region, so that pacing and counting go on from plan to apply.
        let mut clients = self.clients.lock().await;
        if let Some(aws) = clients.get(region) {
            return Ok(Arc::clone(aws));
        }
        let aws = Arc::new(Aws::connect(&self.target, region).await?);
        clients.insert(region.to_owned(), Arc::clone(&aws));
        Ok(aws)
    }

    /// The clients of a stack's region, once it is certain that they are of its account.
    ///
    /// # Errors
    ///
    /// Another account than the one that the file names, or AWS cannot be reached.
    pub(crate) async fn connect_for(&self, subject: &Subject) -> Result<Arc<Aws>> {
        let aws = self.connect(&subject.region).await?;
        let identity = aws.identity().await?;
        guard(subject, &identity)?;
        Ok(aws)
    }

    /// Ends the embedded AWS, if this command brought it.
    #[cfg_attr(
        not(feature = "sandbox"),
        expect(clippy::unused_async, reason = "ending a sandbox waits")
    )]
    pub(crate) async fn close(self) {
        #[cfg(feature = "sandbox")]
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
    }

    /// Plans stacks; those of one region are read together.
    ///
    /// # Errors
    ///
    /// What is wrong with a file or could not be read, or what [`Plan::make`] refuses.
    pub(crate) async fn plan(&self, subjects: Vec<Subject>) -> Result<Vec<Planned>> {
        let mut regions: BTreeMap<String, Vec<Subject>> = BTreeMap::new();
        for subject in subjects {
            regions
                .entry(subject.region.clone())
                .or_default()
                .push(subject);
        }
        let planned = regions
            .into_iter()
            .map(|(region, subjects)| self.plan_region(region, subjects));
        Ok(try_join_all(planned).await?.into_iter().flatten().collect())
    }

    /// Reads what a stack has in AWS, with its outputs.
    ///
    /// # Errors
    ///
    /// What could not be read.
    pub(crate) async fn read(&self, subject: Subject) -> Result<Vec<Box<dyn Node>>> {
        let region = subject.region.clone();
        let mut read = self.read_region(&region, vec![subject]).await?;
        Ok(read
            .stacks
            .pop()
            .map(|(_, _, nodes)| nodes)
            .unwrap_or_default())
    }

    async fn plan_region(&self, region: String, subjects: Vec<Subject>) -> Result<Vec<Planned>> {
        let Read { reader, stacks } = self.read_region(&region, subjects).await?;
        let mut planned = Vec::new();
        for (subject, wired, nodes) in stacks {
            planned.push(self.plan_one(&reader, subject, wired, nodes).await?);
        }
        Ok(planned)
    }

    async fn read_region(&self, region: &str, subjects: Vec<Subject>) -> Result<Read> {
        let aws = self.connect(region).await?;
        let stacks: Vec<&Stack> = subjects
            .iter()
            .filter_map(|subject| subject.stack.as_ref())
            .collect();
        // Without an identity nothing else is worth waiting for.
        let facts = async { Ok(Box::pin(Facts::read(&aws, &stacks)).await) };
        let (identity, facts) = futures::try_join!(aws.identity(), facts)?;
        for subject in &subjects {
            guard(subject, &identity)?;
        }
        let facts = Facts {
            identity: identity.clone(),
            ..facts?
        };
        let wired = wire_all(&subjects, &facts)?;
        let scopes = subjects
            .iter()
            .zip(&wired)
            .map(|(subject, wired)| Scope {
                name: subject.name.clone(),
                bucket: bucket_of(subject, &identity),
                resources: wired.resources.clone(),
            })
            .collect();
        let reader = Reader::new(Arc::clone(&aws), identity, scopes);
        let mut nodes = resource::read_all(&reader).await?;
        let stacks = subjects
            .into_iter()
            .zip(wired)
            .map(|(subject, wired)| {
                let nodes = nodes.remove(&subject.name).unwrap_or_default();
                (subject, wired, nodes)
            })
            .collect();
        Ok(Read { reader, stacks })
    }

    async fn plan_one(
        &self,
        reader: &Reader,
        subject: Subject,
        wired: Wired,
        nodes: Vec<Box<dyn Node>>,
    ) -> Result<Planned> {
        let plan = Plan::make(&nodes)?;
        let foreign = foreign_children(reader, &plan, &nodes).await?;
        let timeouts = subject
            .stack
            .as_ref()
            .map(|stack| timeouts(&stack.timeouts))
            .unwrap_or_default();
        let timeouts = match self.timeout {
            Some(limit) => KINDS_OF_WAITS
                .iter()
                .map(|kind| ((*kind).to_owned(), limit))
                .collect(),
            None => timeouts,
        };
        Ok(Planned {
            bucket: bucket_of(&subject, &reader.identity),
            name: subject.name,
            aws: Arc::clone(&reader.aws),
            identity: reader.identity.clone(),
            plan,
            nodes,
            warnings: wired.warnings,
            expiries: wired.expiries,
            foreign,
            timeouts,
        })
    }
}

impl Planned {
    /// What all steps of an apply of this plan share.
    pub(crate) fn shared(&self, events: Events) -> Arc<Shared> {
        Arc::new(Shared {
            aws: Arc::clone(&self.aws),
            identity: self.identity.clone(),
            stack: self.name.clone(),
            timeouts: self.timeouts.clone(),
            known: Mutex::new(self.plan.known.clone()),
            events,
            interrupt: tokio::sync::watch::Sender::new(false),
        })
    }
}

#[cfg(feature = "sandbox")]
async fn open_sandbox(directory: &Path) -> Result<crate::sandbox::Running> {
    let options = crate::sandbox::Options::new(directory)?;
    Ok(crate::sandbox::open(options).await?)
}

#[cfg(feature = "sandbox")]
fn speed(timing: crate::sandbox::Timing) -> Speed {
    match timing {
        crate::sandbox::Timing::Instant => Speed::Instant,
        crate::sandbox::Timing::Scaled(factor) => Speed::Scaled(factor),
        crate::sandbox::Timing::Realistic => Speed::Realistic,
    }
}

/// The stack files that a command's paths stand for.
///
/// # Errors
///
/// A path that does not exist, or a directory without stack files.
pub(crate) fn stack_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() {
        let single = PathBuf::from("stack.yaml");
        return if single.exists() {
            Ok(vec![single])
        } else {
            yaml_files(Path::new("stacks"))
        };
    }
    let each = paths.iter().map(|path| {
        if path.is_dir() {
            yaml_files(path)
        } else {
            Ok(vec![path.clone()])
        }
    });
    Ok(each.collect::<Result<Vec<_>>>()?.concat())
}

fn yaml_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let none = || {
        Error::refused_with(
            format!("there is no stack file in {}", directory.display()),
            "name a stack file, or make one with `mtlsgw quickstart`",
        )
    };
    let entries = std::fs::read_dir(directory).map_err(|_| none())?;
    let is_yaml = |path: &PathBuf| {
        path.extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml")
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_yaml)
        .collect();
    files.sort();
    if files.is_empty() {
        Err(none())
    } else {
        Ok(files)
    }
}

/// Loads stack files; all that is wrong with any of them is reported at once.
///
/// # Errors
///
/// What is wrong with the files, or two files of one name and region.
pub(crate) fn load(files: &[PathBuf]) -> Result<Vec<Subject>> {
    let mut subjects: Vec<Subject> = Vec::new();
    let mut wrong = Vec::new();
    for file in files {
        match Subject::load(file) {
            Ok(subject) => subjects.push(subject),
            Err(errors) => wrong.extend(errors.iter().cloned()),
        }
    }
    if !wrong.is_empty() {
        return Err(StackErrors::from(wrong).into());
    }
    for (index, subject) in subjects.iter().enumerate() {
        let same = |other: &Subject| other.name == subject.name && other.region == subject.region;
        if subjects[..index].iter().any(same) {
            return Err(Error::refused(format!(
                "two files are the stack `{}` in {}",
                subject.name, subject.region
            )));
        }
    }
    Ok(subjects)
}

/// Never touches another account than the one that the file names.
fn guard(subject: &Subject, identity: &Identity) -> Result<()> {
    match &subject.account {
        Some(account) if *account != identity.account => Err(Error::refused_with(
            format!(
                "the stack `{}` belongs to account {account}, but {} is in account {}",
                subject.name, identity.arn, identity.account
            ),
            "use the credentials of that account: set AWS_PROFILE or --profile",
        )),
        _ => Ok(()),
    }
}

/// Wires every stack; one that is to be destroyed wants nothing.
fn wire_all(subjects: &[Subject], facts: &Facts) -> Result<Vec<Wired>> {
    let now = OffsetDateTime::now_utc();
    let mut wrong = Vec::new();
    let mut wired = Vec::new();
    for subject in subjects {
        match subject
            .stack
            .as_ref()
            .map(|stack| wiring::wire(stack, facts, now))
        {
            None => wired.push(Wired::default()),
            Some(Ok(one)) => wired.push(one),
            Some(Err(errors)) => wrong.extend(errors.iter().cloned()),
        }
    }
    if wrong.is_empty() {
        Ok(wired)
    } else {
        Err(StackErrors::from(wrong).into())
    }
}

fn bucket_of(subject: &Subject, identity: &Identity) -> String {
    subject
        .bucket
        .clone()
        .unwrap_or_else(|| Bucket::own_name(&identity.account, &subject.region))
}

/// Asks what would vanish together with what is to be deleted and is not ours.
async fn foreign_children(
    reader: &Reader,
    plan: &Plan,
    nodes: &[Box<dyn Node>],
) -> Result<Vec<(Address, Vec<String>)>> {
    let asked = plan.doomed.iter().map(|(node, live)| async {
        let node = &nodes[*node];
        let children = node.foreign_children(reader, *live).await?;
        Ok::<_, Error>((node.address().clone(), children))
    });
    Ok(try_join_all(asked)
        .await?
        .into_iter()
        .filter(|(_, children)| !children.is_empty())
        .collect())
}

/// The keys of `timeouts:`.
const KINDS_OF_WAITS: &[&str] = &[
    "load_balancer",
    "network_interfaces",
    "endpoint",
    "security_group",
    "targets",
    "target_group",
    "trust_store",
    "listener",
    "certificate",
    "certificate_validation",
    "certificate_release",
    "domain",
    "mapping",
    "record",
    "bucket",
];

fn timeouts(of: &Timeouts) -> BTreeMap<String, Duration> {
    let limits = [
        of.load_balancer,
        of.network_interfaces,
        of.endpoint,
        of.security_group,
        of.targets,
        of.target_group,
        of.trust_store,
        of.listener,
        of.certificate,
        of.certificate_validation,
        of.certificate_release,
        of.domain,
        of.mapping,
        of.record,
        of.bucket,
    ];
    KINDS_OF_WAITS
        .iter()
        .zip(limits)
        .map(|(kind, limit)| ((*kind).to_owned(), limit))
        .collect()
}

/// Wires a stack with stand-ins for what only AWS knows.
///
/// # Errors
///
/// What is wrong with the stack.
pub(crate) fn wire_offline(stack: &Stack) -> Result<Wired, StackErrors> {
    wiring::wire(stack, &Facts::stand_ins(stack), OffsetDateTime::now_utc())
}
