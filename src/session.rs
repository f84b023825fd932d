//! What plan, apply and destroy share: from stack files to a plan, by one path.

mod gateway;
mod logs;
mod refresh;
mod several;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use time::OffsetDateTime;

use crate::apply::Events;
use crate::aws::{Aws, Identity, Speed, Target};
use crate::cli::{ClientsArgs, Global};
use crate::crl_source::{self, Fetcher};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::plan::{Left, Plan};
use crate::resource::bucket::Bucket;
use crate::resource::context::Shared;
use crate::resource::reader::Scope;
use crate::resource::trust_store::Held;
use crate::resource::trust_store_revocation::TrustStoreRevocation;
use crate::resource::{self, Address, Expiry, Node, Reader, Resources};
use crate::stack::{self, Stack, StackErrors, Timeouts};
use crate::trust::{Crl, CrlSwap, KnownClient, Lockout};
use crate::wiring::{self, Warning, Wired};

pub(crate) use gateway::Live;
pub(crate) use logs::Logs;
pub(crate) use refresh::{Refresh, Widening};
pub(crate) use several::Attempt;

/// Where AWS is for this command; keeps the embedded one alive.
pub(crate) struct Session {
    target: Target,
    timeout: Option<Duration>,
    /// Fetches CRLs from URLs.
    crls: Fetcher,
    /// The clients of each region.
    clients: tokio::sync::Mutex<BTreeMap<String, Arc<Aws>>>,
    /// The clients of the gateways that the user knows.
    known_clients: Vec<KnownClient>,
    /// Whether plans take over what stands in a stack's place and is nobody's, and do nothing else.
    adopting: bool,
    /// Which connection logs tell of more clients.
    clients_from_logs: Option<logs::ClientsFromLogs>,
    #[cfg(feature = "sandbox")]
    sandbox: Option<crate::sandbox::Running>,
}

/// A stack to be planned: with its file, or only by name to be destroyed.
#[derive(Debug, Clone)]
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
    /// Whether deleting its log bucket takes the logs along.
    pub(crate) delete_logs: bool,
}

/// An address of a stack at which something of somebody else's stands.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Where.
    pub(crate) address: Address,
    /// CloudFormation's name of its type.
    pub(crate) type_name: &'static str,
    /// What stands there, and whose it is.
    pub(crate) whose: String,
}

/// What was read of one region.
struct Read {
    reader: Reader,
    facts: Facts,
    subjects: Vec<Subject>,
    wired: Vec<Wired>,
    nodes: Nodes,
    /// Stacks that were left out, by their place among those asked for.
    refused: BTreeMap<usize, (Subject, Error)>,
}

impl Read {
    /// The same, with no stack left out.
    ///
    /// # Errors
    ///
    /// Why some were; of several files all that is wrong with any.
    fn complete(mut self) -> Result<Self> {
        let refused = std::mem::take(&mut self.refused);
        match refuse_together(refused.into_values().map(|(_, error)| error)) {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }
}

/// One error of several; what is wrong with files is told together.
fn refuse_together(errors: impl IntoIterator<Item = Error>) -> Option<Error> {
    let mut wrong = Vec::new();
    for error in errors {
        match error {
            Error::Stack(errors) => wrong.extend(errors.iter().cloned()),
            other => return Some(other),
        }
    }
    (!wrong.is_empty()).then(|| StackErrors::from(wrong).into())
}

/// What was found of each stack, paired with what it wants.
type Nodes = BTreeMap<String, Vec<Box<dyn Node>>>;

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
    /// What becomes of the clients that the user knows, where the command was given any.
    pub(crate) lockout: Option<Lockout>,
    /// How full the trust store gets while CRLs are swapped.
    pub(crate) swap: CrlSwap,
    timeouts: BTreeMap<String, Duration>,
}

/// Something that differs, which adopting leaves as it is.
fn adoption_leaves(left: &Left) -> Warning {
    Warning {
        code: "adoption_leaves".to_owned(),
        address: left.address.to_string(),
        message: format!(
            "{}; adopting leaves it, and the next `mtlsgw apply` would do it",
            left.what
        ),
    }
}

/// Refuses ids in a stack's `adopt:` that lead to nothing, or to what another stack has.
fn refuse_wrongly_named(reader: &Reader, stack: &str, nodes: &[Box<dyn Node>]) -> Result<()> {
    let there = |address: &Address| {
        let mut nodes = nodes.iter();
        nodes.any(|node| node.address() == address && !node.live().is_empty())
    };
    let wrong = reader.wrongly_named(stack, there);
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong: Vec<String> = wrong
        .iter()
        .map(|(address, why)| format!("`adopt.{address}`: {why}"))
        .collect();
    Err(Error::refused_with(
        wrong.join("\n"),
        "correct the id in the section `adopt`, or remove it there: without it the stack makes one of its own",
    ))
}

/// Refuses what several stacks of the run would adopt.
fn refuse_contested(reader: &Reader, stack: &str) -> Result<()> {
    let contested = reader.contested(stack);
    if contested.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = contested
        .iter()
        .map(|(address, why)| format!("`{address}`: {why}"))
        .collect();
    Err(Error::refused_with(
        told.join("\n"),
        "rename it in one of the two stack files, or adopt with one of them only",
    ))
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
            delete_logs: false,
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
            delete_logs: false,
        })
    }
}

impl Subject {
    /// What its file says stands at its addresses already.
    fn adopt(&self) -> BTreeMap<Address, String> {
        let adopt = self.stack.iter().flat_map(|stack| &stack.adopt);
        adopt
            .map(|(address, id)| (Address::parse(address), id.clone()))
            .collect()
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
                crls: Fetcher::new(timeout),
                clients: tokio::sync::Mutex::default(),
                known_clients: Vec::new(),
                adopting: false,
                clients_from_logs: None,
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
                crls: Fetcher::new(timeout),
                clients: tokio::sync::Mutex::default(),
                known_clients: Vec::new(),
                adopting: false,
                clients_from_logs: None,
            })
        }
    }

    /// Has every plan take over what stands in a stack's place and is nobody's, and do nothing else.
    pub(crate) fn adopt(&mut self, adopting: bool) {
        self.adopting = adopting;
    }

    /// Has every plan say what becomes of the clients that the user knows, or the logs tell of.
    ///
    /// # Errors
    ///
    /// A path that cannot be read or holds no client certificate.
    pub(crate) fn know_clients(&mut self, args: &ClientsArgs) -> Result<()> {
        self.clients_from_logs = logs::ClientsFromLogs::of(args);
        for path in &args.clients {
            let known = KnownClient::all_at(path).map_err(|error| {
                let fix = error
                    .fix()
                    .unwrap_or("name client certificates, or a directory of them");
                Error::refused_with(error.to_string(), fix)
            })?;
            self.known_clients.extend(known);
        }
        Ok(())
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

    /// Reads by what the gateway of a stack lets clients in now; `arn` names its trust store where
    /// that is not its own.
    ///
    /// # Errors
    ///
    /// Another account than the one that the file names, or what could not be read.
    pub(crate) async fn held(&self, subject: &Subject, arn: Option<&str>) -> Result<Held> {
        let reader = self.reader(subject).await?;
        Held::read(&reader, &subject.name, arn).await
    }

    /// A reader of what a stack has, of which nothing is wanted.
    async fn reader(&self, subject: &Subject) -> Result<Reader> {
        let aws = self.connect(&subject.region).await?;
        let identity = aws.identity().await?;
        guard(subject, &identity)?;
        let scope = Scope {
            name: subject.name.clone(),
            bucket: bucket_of(subject, &identity),
            resources: Resources::default(),
            adopt: BTreeMap::new(),
            delete_logs: false,
        };
        Ok(Reader::new(aws, identity, vec![scope]))
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

    /// Plans stacks, all or none; those of one region are read together.
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
            .iter()
            .map(|(region, subjects)| self.plan_region(region, subjects.clone()));
        let attempts = try_join_all(planned).await?.into_iter().flatten();
        let (mut planned, mut refused) = (Vec::new(), Vec::new());
        for attempt in attempts {
            match attempt.planned {
                Ok(one) => planned.push(one),
                Err(error) => refused.push(error),
            }
        }
        match refuse_together(refused) {
            Some(error) => Err(error),
            None => Ok(planned),
        }
    }

    /// Reads what a stack has in AWS, with its outputs.
    ///
    /// # Errors
    ///
    /// What could not be read.
    pub(crate) async fn read(&self, subject: Subject) -> Result<Vec<Box<dyn Node>>> {
        let (name, region) = (subject.name.clone(), subject.region.clone());
        let mut read = self.read_region(&region, vec![subject]).await?.complete()?;
        Ok(read.nodes.remove(&name).unwrap_or_default())
    }

    /// Plans a stack as if nothing of anybody else's stood in its way, and says what does.
    ///
    /// # Errors
    ///
    /// As [`Self::plan`].
    pub(crate) async fn survey(&self, subject: Subject) -> Result<(Planned, Vec<Taken>)> {
        let region = subject.region.clone();
        let mut read = self
            .read_and_fetch(&region, vec![subject])
            .await?
            .complete()?;
        let (subject, wired) = read
            .subjects
            .pop()
            .zip(read.wired.pop())
            .expect("one stack was read");
        let nodes = read.nodes.remove(&subject.name).unwrap_or_default();
        let (taken, free): (Vec<_>, Vec<_>) = nodes
            .into_iter()
            .partition(|node| node.conflict().is_some());
        let taken = taken.iter().map(|node| Taken {
            address: node.address().clone(),
            type_name: node.type_name(),
            whose: node.conflict().unwrap_or_default().to_owned(),
        });
        let taken = taken.collect();
        Ok((
            self.plan_one(&read.reader, subject, wired, free).await?,
            taken,
        ))
    }

    /// Reads a region, and fetches what CRLs its stacks take from URLs.
    async fn read_and_fetch(&self, region: &str, subjects: Vec<Subject>) -> Result<Read> {
        let stacks = subjects.iter().filter_map(|one| one.stack.as_ref());
        let sources: Vec<_> = stacks.flat_map(crl_source::sources).collect();
        let served = async { Ok(self.crls.served(sources).await) };
        let (served, mut read) = futures::try_join!(served, self.read_region(region, subjects))?;
        if !served.is_empty() {
            self.choose_crls(&mut read, served).await?;
        }
        Ok(read)
    }

    /// Plans the stacks of a region from one read; in their order.
    async fn plan_region(&self, region: &str, subjects: Vec<Subject>) -> Result<Vec<Attempt>> {
        let Read {
            reader,
            subjects,
            wired,
            mut nodes,
            mut refused,
            ..
        } = self.read_and_fetch(region, subjects).await?;
        let planned = subjects.into_iter().zip(wired).map(|(subject, wired)| {
            let nodes = nodes.remove(&subject.name).unwrap_or_default();
            let (name, region) = (subject.name.clone(), subject.region.clone());
            let well_named = refuse_wrongly_named(&reader, &name, &nodes)
                .and_then(|()| refuse_contested(&reader, &name));
            let planned = self.plan_one(&reader, subject, wired, nodes);
            async {
                let planned = match well_named {
                    Ok(()) => planned.await,
                    Err(error) => Err(error),
                };
                Attempt {
                    name,
                    region,
                    planned,
                }
            }
        });
        let mut planned = join_all(planned).await.into_iter();
        let mut attempts = Vec::new();
        loop {
            let next = match refused.remove(&attempts.len()) {
                Some((subject, error)) => Some(Attempt::failed(subject, error)),
                None => planned.next(),
            };
            match next {
                Some(attempt) => attempts.push(attempt),
                None => return Ok(attempts),
            }
        }
    }

    /// Wires once more, knowing what URLs serve and which CRLs are live, and pairs again with what
    /// has been read.
    async fn choose_crls(&self, read: &mut Read, served: crl_source::BySource) -> Result<()> {
        let found = read.reader.found::<TrustStoreRevocation>().await?;
        let mut live: BTreeMap<String, Vec<Arc<Crl>>> = BTreeMap::new();
        for revocation in found.iter() {
            let crls = live.entry(revocation.stack.clone()).or_default();
            crls.extend(revocation.spec.crl.clone());
        }
        read.facts.crls = crl_source::Known {
            served,
            live: Some(live),
        };
        read.wired = wire_all(&read.subjects, &read.facts)?;
        for (subject, wired) in read.subjects.iter().zip(&read.wired) {
            read.reader.want(&subject.name, wired.resources.clone());
            if let Some(stack) = &subject.stack {
                let served = crl_source::served_to(stack, &read.facts.crls.served);
                self.crls.remember(&served, &wired.crls);
            }
        }
        read.nodes = resource::read_all(&read.reader).await?;
        Ok(())
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
        let facts = Facts {
            identity: identity.clone(),
            ..facts?
        };
        let (mut taken, mut wired, mut refused) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (place, subject) in subjects.into_iter().enumerate() {
            let one = guard(&subject, &identity).and_then(|()| wire_one(&subject, &facts));
            match one {
                Ok(one) => {
                    taken.push(subject);
                    wired.push(one);
                }
                Err(error) => {
                    refused.insert(place, (subject, error));
                }
            }
        }
        let subjects = taken;
        let scopes = subjects
            .iter()
            .zip(&wired)
            .map(|(subject, wired)| Scope {
                name: subject.name.clone(),
                bucket: bucket_of(subject, &identity),
                resources: wired.resources.clone(),
                adopt: subject.adopt(),
                delete_logs: subject.delete_logs,
            })
            .collect();
        let reader = Reader::new(Arc::clone(&aws), identity, scopes).adopting(self.adopting);
        let nodes = if subjects.is_empty() {
            Nodes::new()
        } else {
            resource::read_all(&reader).await?
        };
        Ok(Read {
            reader,
            facts,
            subjects,
            wired,
            nodes,
            refused,
        })
    }

    async fn plan_one(
        &self,
        reader: &Reader,
        subject: Subject,
        wired: Wired,
        nodes: Vec<Box<dyn Node>>,
    ) -> Result<Planned> {
        let (plan, left) = if self.adopting {
            Plan::adoption(&nodes)?
        } else {
            (Plan::make(&nodes)?, Vec::new())
        };
        let left = left.iter().map(adoption_leaves).collect();
        let foreign = foreign_children(reader, &plan, &nodes).await?;
        let lockout = self.lockout(reader, &subject, &wired).await?;
        let succession = trust::succession(reader, &subject.name, &wired.resources).await?;
        let swap = trust::swap(reader, &subject.name, &wired.resources).await?;
        let mut expiries = [plan.expiries.clone(), wired.expiries].concat();
        expiries.sort_by_key(|expiry| expiry.at);
        Ok(Planned {
            timeouts: self.timeouts(&subject),
            bucket: bucket_of(&subject, &reader.identity),
            name: subject.name,
            aws: Arc::clone(&reader.aws),
            identity: reader.identity.clone(),
            plan,
            nodes,
            warnings: [wired.warnings, succession, left].concat(),
            expiries,
            foreign,
            lockout,
            swap,
        })
    }

    /// What becomes of the known clients; `None` when the user asked for none.
    async fn lockout(
        &self,
        reader: &Reader,
        subject: &Subject,
        wired: &Wired,
    ) -> Result<Option<Lockout>> {
        let (clients, issuer_unknown) = match &self.clients_from_logs {
            None if self.known_clients.is_empty() => return Ok(None),
            None => (self.known_clients.clone(), Vec::new()),
            Some(logs) => logs.join(reader, subject, &self.known_clients).await?,
        };
        let (before, after) = trust::gates(reader, &subject.name, &wired.resources).await?;
        let now = OffsetDateTime::now_utc();
        Ok(Some(Lockout {
            issuer_unknown,
            ..Lockout::of(&clients, &before, &after, now)
        }))
    }

    /// How long each kind of wait may last: as the command line says, or the stack file.
    fn timeouts(&self, subject: &Subject) -> BTreeMap<String, Duration> {
        match self.timeout {
            Some(limit) => KINDS_OF_WAITS
                .iter()
                .map(|kind| ((*kind).to_owned(), limit))
                .collect(),
            None => subject
                .stack
                .as_ref()
                .map(|stack| timeouts(&stack.timeouts))
                .unwrap_or_default(),
        }
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

/// Wires every stack; all that is wrong with any of them is reported at once.
fn wire_all(subjects: &[Subject], facts: &Facts) -> Result<Vec<Wired>> {
    let (mut wired, mut wrong) = (Vec::new(), Vec::new());
    for subject in subjects {
        match wire_one(subject, facts) {
            Ok(one) => wired.push(one),
            Err(error) => wrong.push(error),
        }
    }
    match refuse_together(wrong) {
        Some(error) => Err(error),
        None => Ok(wired),
    }
}

/// Wires a stack; one that is to be destroyed wants nothing.
fn wire_one(subject: &Subject, facts: &Facts) -> Result<Wired> {
    match &subject.stack {
        None => Ok(Wired::default()),
        Some(stack) => Ok(wiring::wire(stack, facts, OffsetDateTime::now_utc())?),
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
    "vpc_link",
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
        of.vpc_link,
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
