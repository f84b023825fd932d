//! Runs a plan: as parallel as its edges allow, telling what happens, and stopping cleanly.

mod leftover;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use crate::aws::interval;
use crate::error::{Error, Result};
use crate::plan::{Action, Plan};
use crate::resource::context::Shared;
use crate::resource::{Address, Cx, Node};

use leftover::Lost;
pub use leftover::{Cause, Leftover};
use slots::give_up;
pub(crate) use slots::{Slots, lend_slot};

/// What a step does, for those who only want to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Doing {
    /// Making it.
    Create,
    /// Waiting until it does its work.
    Ready,
    /// Changing it.
    Update,
    /// Taking it over.
    Adopt,
    /// Taking away what changing it has left standing for others.
    Retire,
    /// Deleting it.
    Delete,
    /// Waiting until it has vanished.
    Gone,
}

impl From<&Action> for Doing {
    fn from(action: &Action) -> Self {
        match action {
            Action::Create => Self::Create,
            Action::Ready => Self::Ready,
            Action::Update { .. } => Self::Update,
            Action::Adopt { .. } => Self::Adopt,
            Action::Retire { .. } => Self::Retire,
            Action::Delete { .. } => Self::Delete,
            Action::Gone { .. } => Self::Gone,
        }
    }
}

/// What happens during apply, in order.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step began.
    Started {
        /// Whose.
        address: Address,
        /// What it does.
        doing: Doing,
    },
    /// A running step waits.
    Waiting {
        /// Whose.
        address: Address,
        /// For what.
        what: String,
    },
    /// A step is done.
    Finished {
        /// Whose.
        address: Address,
        /// What it did.
        doing: Doing,
        /// How long it took on the clock.
        elapsed: Duration,
    },
    /// A step failed.
    Failed {
        /// Whose.
        address: Address,
        /// What it tried.
        doing: Doing,
        /// Why.
        error: Error,
        /// How long it took on the clock.
        elapsed: Duration,
    },
    /// A step was not tried because one it needs failed.
    Skipped {
        /// Whose.
        address: Address,
        /// What it would have done.
        doing: Doing,
        /// The address that failed.
        because: Address,
    },
}

/// An event of one of the stacks of a run.
#[derive(Debug, Clone)]
pub struct Told {
    /// The stack's name.
    pub stack: Arc<str>,
    /// What happens.
    pub event: Event,
}

/// Where the events of a stack go.
#[derive(Debug, Clone)]
pub struct Events {
    stack: Arc<str>,
    sender: mpsc::UnboundedSender<Told>,
}

impl Events {
    /// A channel of the events of one stack, or by [`Self::of`] of several.
    pub fn channel(stack: &str) -> (Self, mpsc::UnboundedReceiver<Told>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let stack = Arc::from(stack);
        (Self { stack, sender }, receiver)
    }

    /// The same channel for another stack's events.
    #[must_use]
    pub fn of(&self, stack: &str) -> Self {
        Self {
            stack: Arc::from(stack),
            sender: self.sender.clone(),
        }
    }

    /// Tells an event; nobody listening is no error.
    pub fn send(&self, event: Event) {
        let stack = Arc::clone(&self.stack);
        self.sender.send(Told { stack, event }).ok();
    }
}

/// How an apply ended.
#[derive(Debug, Default)]
pub struct Report {
    /// How many steps that change something are done.
    pub done: usize,
    /// What failed.
    pub failed: Vec<Error>,
    /// Addresses whose steps were not tried.
    pub skipped: BTreeSet<Address>,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
    /// What was to be deleted and is left.
    pub left: Vec<Leftover>,
}

/// A step's state.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Status {
    Waiting,
    Running,
    Done,
    /// Failed or skipped, and the address at the root of it.
    Lost(Address),
}

/// How a step's future ended.
enum Ended {
    /// There was no slot for it before the run was to end.
    NotBegun,
    /// It waited, for a state or for its turn at AWS, and the run is to end.
    Abandoned,
    /// By itself.
    Done(Result<()>),
}

/// What a step's future gives: its index, how it ended, and how long it took.
type Outcome = (usize, Ended, Duration);

/// One apply in progress.
struct Run<'a> {
    plan: &'a Plan,
    nodes: &'a [Box<dyn Node>],
    shared: &'a Arc<Shared>,
    slots: &'a Slots,
    /// Of each step.
    urgencies: Vec<Duration>,
    status: Vec<Status>,
    running: FuturesUnordered<BoxFuture<'a, Outcome>>,
    waits: Vec<AbortHandle>,
    /// Why steps failed, by their index.
    errors: BTreeMap<usize, Error>,
    report: Report,
}

/// Runs `plan`; as many steps at a time call AWS to change something as there are `slots`, which
/// several plans may share.
///
/// The first time `interrupt` is ready no further step is begun, waits are abandoned and calls under
/// way are finished.
pub(crate) async fn run(
    plan: &Plan,
    nodes: &[Box<dyn Node>],
    shared: &Arc<Shared>,
    slots: &Slots,
    interrupt: impl Future<Output = ()>,
) -> Report {
    let status = vec![Status::Waiting; plan.steps.len()];
    let running = FuturesUnordered::new();
    let report = Report::default();
    let mut run = Run {
        plan,
        nodes,
        shared,
        slots,
        urgencies: urgencies(plan, nodes),
        status,
        running,
        waits: Vec::new(),
        errors: BTreeMap::new(),
        report,
    };
    let mut interrupt = pin!(interrupt);
    loop {
        if !run.report.interrupted {
            run.launch();
        }
        if run.running.is_empty() {
            run.report.left = leftover::of(plan, nodes, |step| run.how_lost(step));
            return run.report;
        }
        tokio::select! {
            outcome = run.running.next() => run.settle(outcome.expect("not empty")),
            () = &mut interrupt, if !run.report.interrupted => run.interrupt(),
        }
    }
}

impl Run<'_> {
    /// Begins every step whose predecessors are done.
    fn launch(&mut self) {
        for i in 0..self.plan.steps.len() {
            if self.status[i] != Status::Waiting {
                continue;
            }
            let step = &self.plan.steps[i];
            if let Some(root) = step.after.iter().find_map(|before| self.lost(*before)) {
                self.skip(i, root);
            } else if step
                .after
                .iter()
                .all(|before| self.status[*before] == Status::Done)
            {
                self.start(i);
            }
        }
    }

    fn lost(&self, step: usize) -> Option<Address> {
        match &self.status[step] {
            Status::Lost(root) => Some(root.clone()),
            _ => None,
        }
    }

    /// How a step ended that did not do its work; `None` once it is done.
    fn how_lost(&self, step: usize) -> Option<Lost<'_>> {
        if let Some(error) = self.errors.get(&step) {
            return Some(Lost::Failed(error));
        }
        match &self.status[step] {
            Status::Done => None,
            Status::Lost(root) if !self.report.interrupted => Some(Lost::After(root)),
            Status::Lost(_) | Status::Waiting | Status::Running => Some(Lost::Interrupted),
        }
    }

    fn skip(&mut self, i: usize, root: Address) {
        let (address, doing) = self.named(i);
        if !self.plan.steps[i].action.is_wait() {
            self.report.skipped.insert(address.clone());
            self.shared.events.send(Event::Skipped {
                address,
                doing,
                because: root.clone(),
            });
        }
        self.status[i] = Status::Lost(root);
    }

    /// Begins a step, as soon as there is a slot for it where it changes something.
    fn start(&mut self, i: usize) {
        let (address, doing) = self.named(i);
        self.status[i] = Status::Running;
        let cx = Cx::new(address.clone(), Arc::clone(self.shared));
        let (node, action) = (
            self.nodes[self.plan.steps[i].node].as_ref(),
            &self.plan.steps[i].action,
        );
        let (shared, slots, urgency) = (self.shared, self.slots, self.urgencies[i]);
        let clock = shared.aws.clock.clone();
        let step = STEP.scope(cx.clone(), async move { perform(node, action, &cx).await });
        let started = move || {
            shared.events.send(Event::Started { address, doing });
            clock.now()
        };
        let clock = shared.aws.clock.clone();
        if action.is_wait() {
            let (handle, registration) = AbortHandle::new_pair();
            self.waits.push(handle);
            let work = Abortable::new(step, registration);
            let began = started();
            self.running.push(Box::pin(async move {
                let ended = work.await.map_or(Ended::Abandoned, Ended::Done);
                (i, ended, clock.now().saturating_sub(began))
            }));
            return;
        }
        self.running.push(Box::pin(async move {
            let mut interrupt = shared.interrupt.subscribe();
            let slot = tokio::select! {
                biased;
                _ = interrupt.wait_for(|ends| *ends) => return (i, Ended::NotBegun, Duration::ZERO),
                slot = slots.begin(urgency) => slot,
            };
            let began = started();
            let ended = slot.scope(step).await.map_or(Ended::Abandoned, Ended::Done);
            (i, ended, clock.now().saturating_sub(began))
        }));
    }

    fn settle(&mut self, (i, ended, elapsed): Outcome) {
        let (address, doing) = self.named(i);
        match ended {
            Ended::Done(Ok(())) => {
                self.status[i] = Status::Done;
                self.report.done += usize::from(!self.plan.steps[i].action.is_wait());
                self.shared.events.send(Event::Finished {
                    address,
                    doing,
                    elapsed,
                });
            }
            // Abandoned, or a wait inside the step ended, because the run does.
            Ended::NotBegun | Ended::Abandoned | Ended::Done(Err(Error::Interrupted)) => {
                if !self.plan.steps[i].action.is_wait() {
                    self.report.skipped.insert(address.clone());
                }
                self.status[i] = Status::Lost(address);
            }
            Ended::Done(Err(error)) => {
                let error = error.about(&address);
                self.status[i] = Status::Lost(address.clone());
                self.report.failed.push(error.clone());
                self.errors.insert(i, error.clone());
                self.shared.events.send(Event::Failed {
                    address,
                    doing,
                    error,
                    elapsed,
                });
            }
        }
    }

    fn interrupt(&mut self) {
        self.report.interrupted = true;
        self.shared.interrupt.send_replace(true);
        for wait in &self.waits {
            wait.abort();
        }
        for i in 0..self.status.len() {
            if self.status[i] == Status::Waiting && !self.plan.steps[i].action.is_wait() {
                self.report.skipped.insert(self.named(i).0);
            }
        }
    }

    fn named(&self, i: usize) -> (Address, Doing) {
        let step = &self.plan.steps[i];
        (
            self.nodes[step.node].address().clone(),
            Doing::from(&step.action),
        )
    }
}

/// How urgent each step is: as the most seldom allowed call is that it makes or that waits for it.
///
/// What AWS allows once in half a minute sets the pace of a run of many stacks, so it must not have
/// to wait for anything else.
fn urgencies(plan: &Plan, nodes: &[Box<dyn Node>]) -> Vec<Duration> {
    let own = plan.steps.iter().map(|step| {
        let verb = match step.action {
            Action::Create => "Create",
            Action::Update { .. } => "Update",
            Action::Delete { .. } => "Delete",
            _ => return Duration::ZERO,
        };
        interval(nodes[step.node].type_name(), verb)
    });
    let mut urgencies: Vec<Duration> = own.collect();
    // Steps only wait for earlier ones.
    for (i, step) in plan.steps.iter().enumerate().rev() {
        for before in &step.after {
            urgencies[*before] = urgencies[*before].max(urgencies[i]);
        }
    }
    urgencies
}

tokio::task_local! {
    /// The step that the current future belongs to.
    static STEP: Cx;
}

/// Tells that the step under way waits; outside of a step nobody is told.
pub(crate) fn tell_waiting(what: &str) {
    STEP.try_with(|cx| cx.tell_waiting(what)).ok();
}

/// Waits for the turn of a call that has not been sent. When the run is to end, the step under way is
/// given up there, which is as if the process had been killed between two calls.
pub(crate) async fn until_interrupted<T>(turn: impl Future<Output = T>) -> T {
    let Ok(cx) = STEP.try_with(Cx::clone) else {
        return turn.await;
    };
    tokio::select! {
        biased;
        turn = lend_slot(turn) => turn,
        () = cx.interrupted() => match give_up().await {},
    }
}

/// Does one step and remembers what AWS said.
async fn perform(node: &dyn Node, action: &Action, cx: &Cx) -> Result<()> {
    match action {
        Action::Create => cx.learn(node.create(cx).await?),
        Action::Update { live, changes } => cx.learn(node.update(cx, *live, changes).await?),
        Action::Ready => {
            let id = cx
                .output(&cx.address, "id")
                .and_then(|values| values.first().cloned())
                .unwrap_or_default();
            cx.learn(node.ready(cx, &id).await?);
        }
        Action::Adopt { live } => node.adopt(cx, *live).await?,
        Action::Retire { live } => node.retire(cx, *live).await?,
        Action::Delete { live } => node.delete(cx, *live).await?,
        Action::Gone { live } => node.gone(cx, *live).await?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;
    use crate::aws::{Aws, Identity, Speed, Target};
    use crate::plan::tests::{Toy, create, to, toy, unwanted};
    use crate::resource::Until;

    /// Applies toys; nothing of it calls AWS.
    async fn applied(toys: Vec<Toy>, interrupt: impl Future<Output = ()>) -> (Report, Vec<String>) {
        let nodes: Vec<Box<dyn Node>> = toys
            .into_iter()
            .map(|toy| Box::new(toy) as Box<dyn Node>)
            .collect();
        let plan = Plan::make(&nodes).unwrap();
        let target = Target {
            sandbox: Some(Speed::Instant),
            ..Target::default()
        };
        let (events, mut receiver) = Events::channel("shop");
        let shared = Arc::new(Shared {
            aws: Arc::new(Aws::connect(&target, "eu-west-1").await.unwrap()),
            identity: Identity {
                account: String::new(),
                arn: String::new(),
                partition: String::new(),
            },
            stack: "shop".to_owned(),
            timeouts: BTreeMap::new(),
            known: Mutex::default(),
            events,
            interrupt: tokio::sync::watch::Sender::new(false),
        });
        let report = run(&plan, &nodes, &shared, &Slots::new(2), interrupt).await;
        let mut finished = Vec::new();
        while let Ok(told) = receiver.try_recv() {
            if let Event::Finished {
                address,
                doing: Doing::Create,
                ..
            } = told.event
            {
                finished.push(address.to_string());
            }
        }
        (report, finished)
    }

    #[tokio::test]
    async fn a_failure_skips_its_dependents_and_nothing_else() {
        let mut store = toy("store", create);
        store.fails = true;
        let listener = toy("listener", create).needs("store", Until::Exists);
        let record = toy("record", create).needs("listener", Until::Ready);
        let toys = vec![store, listener, record, toy("bucket", create)];
        let (report, finished) = applied(toys, std::future::pending()).await;
        assert_eq!(finished, ["bucket"]);
        assert_eq!((report.done, report.failed.len()), (1, 1));
        let skipped: Vec<&str> = report.skipped.iter().map(Address::as_str).collect();
        assert_eq!(skipped, ["listener", "record"]);
    }

    #[tokio::test]
    async fn ctrl_c_abandons_waits_and_begins_nothing_more() {
        let mut balancer = toy("balancer", create);
        balancer.hangs = true;
        let toys = vec![
            balancer,
            toy("record", create).needs("balancer", Until::Ready),
        ];
        // Ready only once the balancer has been made and is being waited for.
        let interrupt = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        let (report, finished) = applied(toys, interrupt).await;
        assert!(report.interrupted);
        assert_eq!(finished, ["balancer"]);
        assert_eq!(report.skipped.len(), 1);
    }

    /// What is left, by address, and why.
    fn causes(report: &Report) -> Vec<(&str, Cause)> {
        let left = report.left.iter();
        left.map(|one| (one.address.as_str(), one.cause)).collect()
    }

    #[tokio::test]
    async fn what_is_left_is_told_with_what_goes_with_it() {
        let mut listener = toy("listener", unwanted).live("listener-1", vec![to("store-1")]);
        listener.fails = true;
        let store = toy("store", unwanted).live("store-1", vec![]);
        let crl = toy("store.crl", unwanted).live("crl-1", vec![to("store-1").parent()]);
        let other = toy("other", unwanted).live("other-1", vec![]);
        let toys = vec![listener, store, crl, other];
        let (report, _) = applied(toys, std::future::pending()).await;
        assert_eq!(
            causes(&report),
            [
                ("listener", Cause::Failed),
                ("store", Cause::Blocked),
                ("store.crl", Cause::Blocked),
            ]
        );
        assert_eq!(report.left[0].id, "listener-1");
        assert_eq!(report.left[0].reason, "does not want to");
        let why = "it was not tried, because `listener` failed";
        assert_eq!(report.left[1].reason, why);
        let why = "it goes with `store`, which is left";
        assert_eq!(report.left[2].reason, why);
    }

    #[tokio::test]
    async fn what_an_interruption_leaves_says_how_far_it_came() {
        let needs = vec![to("balancer-1").holds_until_gone()];
        let mut link = toy("link", unwanted).live("link-1", needs);
        link.hangs = true;
        let toys = vec![link, toy("balancer", unwanted).live("balancer-1", vec![])];
        let interrupt = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        let (report, _) = applied(toys, interrupt).await;
        assert!(report.interrupted);
        assert_eq!(
            causes(&report),
            [("balancer", Cause::Interrupted), ("link", Cause::Vanishing)]
        );
        assert!(report.left[0].hint.as_deref().unwrap().contains("again"));
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_is_gone() {
        let toys = vec![toy("store", unwanted).live("store-1", vec![])];
        let (report, _) = applied(toys, std::future::pending()).await;
        assert_eq!((report.done, causes(&report)), (1, vec![]));
    }
}
