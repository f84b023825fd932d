//! From wanted and live to ordered steps; pure, calls nothing.
//!
//! Two passes: `judge_all` decides for every address, dependencies first, what has to happen;
//! `Graph` makes the steps and the edges between them. The edges are derived from what the
//! resources say they need, never from a list kept by hand.

mod adoption;
mod retained;

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::Change;
use crate::error::{Error, Result, listed};
use crate::resource::{
    Address, Expiry, Guard, Live, Need, Node, Outputs, Replacement, Target, Until, Verdict,
};

pub(crate) use adoption::Left;
pub(crate) use retained::{Retained, identifier};

/// What a step does. Live instances are named by their index in the node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Makes the wanted form.
    Create,
    /// Waits until the wanted form does its work.
    Ready,
    /// Changes a live instance.
    Update { live: usize, changes: Vec<Change> },
    /// Takes away what a change has left standing of a live instance, for those that relied on it.
    Retire { live: usize },
    /// Takes a live instance over by tags.
    Adopt { live: usize },
    /// Deletes a live instance.
    Delete { live: usize },
    /// Waits until a deleted instance has vanished.
    Gone { live: usize },
}

impl Action {
    /// What it is called where steps wait for each other.
    fn name(&self) -> &'static str {
        match self {
            Self::Create => "making",
            Self::Ready => "readiness",
            Self::Update { .. } => "change",
            Self::Retire { .. } => "retirement",
            Self::Adopt { .. } => "adoption",
            Self::Delete { .. } => "deletion",
            Self::Gone { .. } => "end",
        }
    }

    /// Whether it only waits.
    pub(crate) fn is_wait(&self) -> bool {
        matches!(self, Self::Ready | Self::Gone { .. })
    }
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The index of the node it is about.
    pub(crate) node: usize,
    /// What it does.
    pub(crate) action: Action,
    /// The steps that have to be done before; each has a smaller index than this one.
    pub(crate) after: Vec<usize>,
}

/// What happens to an address, in the reader's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// `+`
    Create,
    /// `~`
    Update,
    /// `-/+`
    Replace,
    /// `-`
    Delete,
    /// `=+`
    Adopt,
}

/// One line of the plan.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// Where.
    pub address: Address,
    /// CloudFormation's name of the type.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// What happens.
    #[serde(rename = "action")]
    pub effect: Effect,
    /// Whether access is widened.
    pub widens: bool,
    /// The fields that differ.
    pub fields: Vec<Change>,
    /// Why it is replaced or deleted.
    pub reason: Option<String>,
    /// AWS's ids of what is changed, replaced or deleted.
    #[serde(skip)]
    pub ids: Vec<String>,
    /// What is down meanwhile, where the old one has to go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downtime: Option<String>,
}

/// A live instance: the index of its node, and its own among what is live there.
pub(crate) type Instance = (usize, usize);

impl Summary {
    /// Nothing is widened while nobody can get in at all.
    fn widens_nothing(&mut self) {
        self.widens = false;
        for change in &mut self.fields {
            change.widens = false;
        }
    }
}

/// Steps in topological order, and what they mean.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// The steps; `after` only points backwards, so there is no cycle.
    pub(crate) steps: Vec<Step>,
    /// What they come to, by address.
    pub(crate) summaries: Vec<Summary>,
    /// How many addresses stay as they are.
    pub(crate) unchanged: usize,
    /// Outputs of what exists already, by address.
    pub(crate) known: BTreeMap<Address, Outputs>,
    /// What ends by itself once the plan is done, the nearest first.
    pub(crate) expiries: Vec<Expiry>,
    /// What is left behind although nothing wants it any more, and why.
    pub(crate) retained: Vec<Retained>,
    /// Instances that are deleted: whose foreign children have to be asked for.
    pub(crate) doomed: Vec<Instance>,
    /// Those of them that have no step of their own, and what they go with.
    pub(crate) goes_with: BTreeMap<Instance, Instance>,
}

impl Plan {
    /// Makes the plan for the nodes of one stack.
    ///
    /// # Errors
    ///
    /// Something of somebody else stands in the place of a wanted resource, something protected
    /// would be deleted or replaced, or a replacement is impossible.
    pub(crate) fn make(nodes: &[Box<dyn Node>]) -> Result<Self> {
        let mut plan = Self::of_live_gateway(nodes)?;
        if !is_live_gateway(nodes) {
            plan.summaries.iter_mut().for_each(Summary::widens_nothing);
        }
        Ok(plan)
    }

    /// Makes the plan for a part of a stack whose clients can reach it.
    ///
    /// # Errors
    ///
    /// As [`Self::make`].
    pub(crate) fn of_live_gateway(nodes: &[Box<dyn Node>]) -> Result<Self> {
        refuse_conflicts(nodes)?;
        let judged = judge_all(nodes)?;
        refuse_impossible(nodes, &judged)?;
        let graph = Graph::new(nodes, &judged);
        let alone = (0..nodes.len())
            .map(|node| graph.goes_alone(node))
            .collect::<Vec<_>>();
        let goes_with = graph.companions();
        let (steps, doomed) = graph.steps()?;
        let summaries: Vec<Summary> = (0..nodes.len())
            .filter_map(|index| summarise(nodes[index].as_ref(), &judged[index], alone[index]))
            .collect();
        refuse_protected(nodes, &doomed)?;
        let unchanged = judged
            .iter()
            .filter(|one| matches!(one.verdict, Verdict::Keep { .. }) && one.doomed().is_empty())
            .count();
        let known = known(nodes, &judged);
        let retained = nodes
            .iter()
            .zip(&judged)
            .flat_map(|(node, one)| one.retained(node.as_ref()))
            .collect();
        let expiries = expiries(nodes, &judged);
        Ok(Self {
            steps,
            summaries,
            unchanged,
            known,
            expiries,
            retained,
            doomed,
            goes_with,
        })
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.summaries.is_empty()
    }

    /// Whether access is widened somewhere.
    pub(crate) fn widens(&self) -> bool {
        self.summaries.iter().any(|summary| summary.widens)
    }
}

/// A node's verdict with its live instances.
struct Judged {
    verdict: Verdict,
    live: Vec<Live>,
    /// Outputs that the verdict alters.
    moving: &'static [&'static str],
}

impl Judged {
    /// The instance that stays.
    fn current(&self) -> Option<&Live> {
        match self.verdict {
            Verdict::Keep { current } | Verdict::Update { current, .. } => {
                Some(&self.live[current])
            }
            _ => None,
        }
    }

    /// The instances that go.
    fn doomed(&self) -> Vec<usize> {
        let stays = match self.verdict {
            Verdict::Keep { current } | Verdict::Update { current, .. } => Some(current),
            _ => None,
        };
        let goes = |index: &usize| Some(*index) != stays && self.live[*index].retained.is_none();
        (0..self.live.len()).filter(goes).collect()
    }

    /// The ids of what is changed or deleted, sorted, because AWS lists in any order.
    fn touched_ids(&self) -> Vec<String> {
        let changed = match self.verdict {
            Verdict::Update { current, .. } => Some(current),
            _ => None,
        };
        let touched = self.doomed().into_iter().chain(changed);
        let mut ids: Vec<String> = touched.map(|live| self.live[live].id.clone()).collect();
        ids.sort();
        ids
    }

    /// The instances that nothing wants and that stay all the same.
    fn retained(&self, node: &dyn Node) -> Vec<Retained> {
        if !matches!(self.verdict, Verdict::Unwanted) {
            return Vec::new();
        }
        let retained = self.live.iter().filter_map(|live| Retained::of(node, live));
        retained.collect()
    }

    /// What an output will be known to be before anything is done.
    fn output(&self, name: &str) -> Option<Vec<String>> {
        let current = self.current()?;
        if self.moving.contains(&name) {
            None
        } else {
            current.outputs.get(name).cloned()
        }
    }
}

/// What will end by itself of what is there in the end: as AWS tells it of what stays as it is.
fn expiries(nodes: &[Box<dyn Node>], judged: &[Judged]) -> Vec<Expiry> {
    let each = nodes.iter().zip(judged);
    let each = each.flat_map(|(node, one)| match one.verdict {
        Verdict::Unwanted => Vec::new(),
        Verdict::Keep { current } => node.expiries(Some(current)),
        _ => node.expiries(None),
    });
    let mut expiries: Vec<Expiry> = each.collect();
    expiries.sort_by_key(|expiry| expiry.at);
    expiries
}

/// The outputs of what is there and stays.
fn known(nodes: &[Box<dyn Node>], judged: &[Judged]) -> BTreeMap<Address, Outputs> {
    let each = nodes.iter().zip(judged);
    let known = each
        .filter_map(|(node, one)| Some((node.address().clone(), one.current()?.outputs.clone())));
    known.collect()
}

fn refuse_conflicts(nodes: &[Box<dyn Node>]) -> Result<()> {
    let conflicts: Vec<String> = nodes
        .iter()
        .filter_map(|node| Some(format!("`{}`: {}", node.address(), node.conflict()?)))
        .collect();
    if conflicts.is_empty() {
        return Ok(());
    }
    Err(Error::refused_with(
        conflicts.join("\n"),
        "nothing that is not this stack's is changed; rename one of the two, or, where it is nobody's, take it \
         over with `mtlsgw apply --adopt` (docs/adopt.md)",
    ))
}

fn refuse_impossible(nodes: &[Box<dyn Node>], judged: &[Judged]) -> Result<()> {
    let each = nodes.iter().zip(judged);
    let reasons = each.filter_map(|(node, one)| match &one.verdict {
        Verdict::Replace {
            changes,
            how: Replacement::Impossible(why),
            ..
        } => Some(format!(
            "`{}`: {} cannot be changed in place; {why}",
            node.address(),
            listed(&fixed(changes))
        )),
        _ => None,
    });
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(Error::refused(reasons.join("\n")))
    }
}

/// The paths of the fields that force a replacement.
fn fixed(changes: &[Change]) -> Vec<&str> {
    let forcing = changes.iter().filter(|change| change.replaces);
    forcing.map(|change| change.path.as_str()).collect()
}

/// Whether clients can reach the gateway now: building one from nothing widens nothing.
fn is_live_gateway(nodes: &[Box<dyn Node>]) -> bool {
    nodes.iter().any(|node| {
        node.type_name() == "AWS::ElasticLoadBalancingV2::Listener" && !node.live().is_empty()
    })
}

fn refuse_protected(nodes: &[Box<dyn Node>], doomed: &[Instance]) -> Result<()> {
    let mut protected: BTreeMap<Guard, Vec<&Address>> = BTreeMap::new();
    for (node, live) in doomed {
        if let Some(guard) = nodes[*node].live()[*live].protected {
            protected
                .entry(guard)
                .or_default()
                .push(nodes[*node].address());
        }
    }
    if protected.is_empty() {
        return Ok(());
    }
    let (mut reasons, mut hints) = (Vec::new(), Vec::new());
    for (guard, addresses) in &protected {
        let (forbids, hint) = guard.words();
        reasons.push(format!(
            "{} would be deleted or replaced, and {forbids}",
            listed(addresses)
        ));
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    Err(Error::refused_with(
        reasons.join("\n"),
        hints.join("\n      "),
    ))
}

/// Decides for every address, dependencies first, because a replaced dependency changes its dependents.
fn judge_all(nodes: &[Box<dyn Node>]) -> Result<Vec<Judged>> {
    let order = by_need(nodes)?;
    let index: BTreeMap<&Address, usize> = nodes
        .iter()
        .enumerate()
        .map(|(i, node)| (node.address(), i))
        .collect();
    let mut judged: Vec<Option<Judged>> = nodes.iter().map(|_| None).collect();
    for i in order {
        let resolve =
            |address: &Address, output: &str| judged[*index.get(address)?].as_ref()?.output(output);
        let verdict = nodes[i].judge(&resolve);
        let moving = match &verdict {
            Verdict::Update { changes, .. } => nodes[i].moving_outputs(changes),
            _ => &[],
        };
        judged[i] = Some(Judged {
            verdict,
            live: nodes[i].live(),
            moving,
        });
    }
    Ok(judged
        .into_iter()
        .map(|one| one.expect("the order holds every node"))
        .collect())
}

/// The nodes in the order of what they want of each other.
fn by_need(nodes: &[Box<dyn Node>]) -> Result<Vec<usize>> {
    let index: BTreeMap<&Address, usize> = nodes
        .iter()
        .enumerate()
        .map(|(i, node)| (node.address(), i))
        .collect();
    let after = nodes.iter().map(|node| {
        let needs = node.needs();
        let targets = needs.iter().filter_map(|need| match &need.on {
            Target::Address(address) => index.get(address).copied(),
            Target::Id(_) => None,
        });
        targets.collect()
    });
    let after: Vec<BTreeSet<usize>> = after.collect();
    topological(&after).map_err(|cycle| {
        let names: Vec<&Address> = cycle.iter().map(|i| nodes[*i].address()).collect();
        Error::refused(format!(
            "{} need each other; this is a defect of mtlsgw",
            listed(&names)
        ))
    })
}

/// Kahn's algorithm, smallest index first so that the order is always the same.
fn topological(after: &[BTreeSet<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut missing: Vec<usize> = after.iter().map(BTreeSet::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); after.len()];
    for (i, before) in after.iter().enumerate() {
        for &b in before {
            dependents[b].push(i);
        }
    }
    let mut free: BTreeSet<usize> = (0..after.len()).filter(|i| missing[*i] == 0).collect();
    let mut order = Vec::with_capacity(after.len());
    while let Some(next) = free.pop_first() {
        order.push(next);
        for &dependent in &dependents[next] {
            missing[dependent] -= 1;
            if missing[dependent] == 0 {
                free.insert(dependent);
            }
        }
    }
    if order.len() == after.len() {
        Ok(order)
    } else {
        Err(cycle(after, &missing))
    }
}

/// What waits for itself, in the order of waiting; not what only waits for it.
fn cycle(after: &[BTreeSet<usize>], missing: &[usize]) -> Vec<usize> {
    let is_waiting = |i: &usize| missing[*i] > 0;
    let mut path: Vec<usize> = Vec::new();
    let mut next = (0..after.len()).find(is_waiting);
    while let Some(step) = next {
        if let Some(begin) = path.iter().position(|one| *one == step) {
            return path.split_off(begin);
        }
        path.push(step);
        next = after[step].iter().copied().find(is_waiting);
    }
    path
}

/// The steps of one node.
#[derive(Debug, Default, Clone)]
struct NodeSteps {
    make: Option<usize>,
    ready: Option<usize>,
    retire: Option<usize>,
    /// Delete and gone step by live index; absent for what goes with its parent.
    delete: BTreeMap<usize, (usize, usize)>,
}

/// Steps and edges under construction.
struct Graph<'a> {
    nodes: &'a [Box<dyn Node>],
    judged: &'a [Judged],
    index: BTreeMap<&'a Address, usize>,
    /// Which live instance has an id or output.
    by_output: BTreeMap<String, Instance>,
    steps: Vec<(usize, Action)>,
    after: Vec<BTreeSet<usize>>,
    /// Pairs of steps of which the first comes first unless it has to wait for the second.
    wishes: Vec<(usize, usize)>,
    of: Vec<NodeSteps>,
}

impl<'a> Graph<'a> {
    fn new(nodes: &'a [Box<dyn Node>], judged: &'a [Judged]) -> Self {
        let index = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.address(), i))
            .collect();
        let mut by_output = BTreeMap::new();
        for (i, one) in judged.iter().enumerate() {
            for (j, live) in one.live.iter().enumerate() {
                for value in live.outputs.values().flatten() {
                    by_output.entry(value.clone()).or_insert((i, j));
                }
            }
        }
        let of = vec![NodeSteps::default(); nodes.len()];
        Self {
            nodes,
            judged,
            index,
            by_output,
            steps: Vec::new(),
            after: Vec::new(),
            wishes: Vec::new(),
            of,
        }
    }

    /// All steps, in topological order, and the instances that go.
    fn steps(mut self) -> Result<(Vec<Step>, Vec<Instance>)> {
        for i in 0..self.nodes.len() {
            self.add_makes(i);
        }
        for i in 0..self.nodes.len() {
            self.add_deletes(i);
        }
        for i in 0..self.nodes.len() {
            self.order_make(i);
        }
        for i in 0..self.nodes.len() {
            self.order_deletes(i);
            self.order_retirement(i);
        }
        self.order_removals_after_additions();
        self.grant_wishes();
        let doomed = self.doomed();
        Ok((self.sorted()?, doomed))
    }

    fn push(&mut self, node: usize, action: Action) -> usize {
        self.steps.push((node, action));
        self.after.push(BTreeSet::new());
        self.steps.len() - 1
    }

    fn edge(&mut self, before: usize, after: usize) {
        if before != after {
            self.after[after].insert(before);
        }
    }

    /// Orders what is better in this order wherever nothing else orders it the other way round.
    fn grant_wishes(&mut self) {
        for (before, after) in std::mem::take(&mut self.wishes) {
            if !self.waits_for(before, after) {
                self.edge(before, after);
            }
        }
    }

    /// Whether a step waits for another one, be it for a third one's sake.
    fn waits_for(&self, step: usize, other: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![step];
        while let Some(step) = next.pop() {
            if step == other {
                return true;
            }
            if seen.insert(step) {
                next.extend(&self.after[step]);
            }
        }
        false
    }

    fn add_makes(&mut self, i: usize) {
        let action = match &self.judged[i].verdict {
            Verdict::Create { .. } | Verdict::Replace { .. } => Action::Create,
            Verdict::Update { current, changes } => Action::Update {
                live: *current,
                changes: changes.clone(),
            },
            Verdict::Keep { .. } | Verdict::Unwanted => return,
        };
        let make = self.push(i, action);
        let ready = self.push(i, Action::Ready);
        self.edge(make, ready);
        self.of[i].make = Some(make);
        self.of[i].ready = Some(ready);
        if let Verdict::Update {
            current: live,
            changes,
        } = &self.judged[i].verdict
            && self.nodes[i].retires(*live, changes)
        {
            let live = *live;
            self.of[i].retire = Some(self.push(i, Action::Retire { live }));
        }
    }

    /// What goes with its parent has no step of its own.
    fn add_deletes(&mut self, i: usize) {
        for live in self.judged[i].doomed() {
            if self.goes_with(i, live).is_some() {
                continue;
            }
            let delete = self.push(i, Action::Delete { live });
            let gone = self.push(i, Action::Gone { live });
            self.edge(delete, gone);
            self.of[i].delete.insert(live, (delete, gone));
        }
    }

    /// The instance that goes as well and takes this one with it.
    fn goes_with(&self, i: usize, live: usize) -> Option<Instance> {
        self.parent_of(i, live)
            .filter(|(parent, instance)| self.judged[*parent].doomed().contains(instance))
    }

    /// Instances that have no deletion of their own, and what they go with.
    fn companions(&self) -> BTreeMap<Instance, Instance> {
        let doomed = self.doomed().into_iter();
        doomed
            .filter_map(|one| Some((one, self.goes_with(one.0, one.1)?)))
            .collect()
    }

    /// Whether an instance that goes lets more through and what it belongs to stays.
    fn goes_alone(&self, i: usize) -> bool {
        self.judged[i]
            .doomed()
            .into_iter()
            .filter(|live| self.judged[i].live[*live].removal_widens)
            .any(|live| {
                self.parent_of(i, live).is_none_or(|(parent, instance)| {
                    !self.judged[parent].doomed().contains(&instance)
                })
            })
    }

    /// The live instance that takes this one with it.
    fn parent_of(&self, i: usize, live: usize) -> Option<Instance> {
        let needs = &self.judged[i].live[live].needs;
        needs
            .iter()
            .filter(|need| need.parent)
            .find_map(|need| self.instance(need))
    }

    /// The live instance that a live need points to.
    fn instance(&self, need: &Need) -> Option<Instance> {
        match &need.on {
            Target::Id(id) => self.by_output.get(id).copied(),
            Target::Address(address) => {
                let i = *self.index.get(address)?;
                (!self.judged[i].live.is_empty()).then_some((i, 0))
            }
        }
    }

    /// The steps after which an instance no longer stands: its own, or its parent's.
    fn deletion_of(&self, i: usize, live: usize) -> Option<(usize, usize)> {
        if let Some(steps) = self.of[i].delete.get(&live) {
            return Some(*steps);
        }
        let doomed = self.judged[i].doomed().contains(&live);
        let (parent, instance) = self.parent_of(i, live)?;
        if doomed {
            self.deletion_of(parent, instance)
        } else {
            None
        }
    }

    /// Making and changing wait for what is needed.
    fn order_make(&mut self, i: usize) {
        let Some(make) = self.of[i].make else { return };
        for need in self.nodes[i].needs() {
            self.wait_for(&need, make);
        }
        if matches!(self.steps[make].1, Action::Update { .. }) {
            for need in self.nodes[i].update_needs() {
                self.wait_for(&need, make);
            }
        }
        let ready = self.of[i].ready.expect("made together");
        for need in self.nodes[i].ready_needs() {
            self.wait_for(&need, ready);
        }
        if let Verdict::Replace {
            how: Replacement::DeleteFirst(_),
            ..
        } = &self.judged[i].verdict
        {
            for (_, gone) in self.of[i].delete.clone().into_values() {
                self.edge(gone, make);
            }
        }
    }

    fn wait_for(&mut self, need: &Need, step: usize) {
        let Target::Address(address) = &need.on else {
            return;
        };
        let Some(&other) = self.index.get(address) else {
            return;
        };
        let made = self.of[other].make;
        let was_made = made.is_some_and(|made| matches!(self.steps[made].1, Action::Create));
        match need.until {
            Until::Created if was_made => self.edge(made.expect("was made"), step),
            Until::Created => {}
            Until::Exists => {
                if let Some(made) = made {
                    self.edge(made, step);
                }
            }
            Until::Ready => {
                if let Some(ready) = self.ready_step(other) {
                    self.edge(ready, step);
                }
            }
        }
    }

    /// What exists may still be on its way to readiness, from a run that was interrupted.
    fn ready_step(&mut self, i: usize) -> Option<usize> {
        if self.of[i].ready.is_none() && matches!(self.judged[i].verdict, Verdict::Keep { .. }) {
            let ready = self.push(i, Action::Ready);
            self.of[i].ready = Some(ready);
            for need in self.nodes[i].ready_needs() {
                self.wait_for(&need, ready);
            }
        }
        self.of[i].ready
    }

    /// An instance goes when nothing refers to it any more, and a child after its parent's change.
    fn order_deletes(&mut self, i: usize) {
        let delete_first = matches!(
            &self.judged[i].verdict,
            Verdict::Replace {
                how: Replacement::DeleteFirst(_),
                ..
            }
        );
        for (live, (delete, _)) in self.of[i].delete.clone() {
            for (other, instance, need) in self.references_to(i, live) {
                let deletion = self.deletion_of(other, instance);
                // What goes with this one has no deletion of its own, but may have to be replaced.
                if let Some((deleted, gone)) = deletion.filter(|(deleted, _)| *deleted != delete) {
                    let before = if need.holds_until_gone { gone } else { deleted };
                    if delete_first {
                        // What takes the other one's place may wait for what takes this one's.
                        self.wishes.push((before, delete));
                    } else {
                        self.edge(before, delete);
                    }
                } else if !delete_first {
                    let retired = self.of[other].retire;
                    for step in self.made(other).into_iter().chain(retired) {
                        self.edge(step, delete);
                    }
                }
            }
            if !delete_first {
                for step in self.made(i) {
                    self.edge(step, delete);
                }
            }
            let parent = self.parent_of(i, live);
            if let Some(changed) = parent.and_then(|(parent, _)| self.of[parent].make) {
                self.edge(changed, delete);
            }
        }
    }

    /// What a change has left standing goes when nothing refers to it any more, and no client comes by
    /// what relied on it.
    fn order_retirement(&mut self, i: usize) {
        let Some(retire) = self.of[i].retire else {
            return;
        };
        let Action::Retire { live } = self.steps[retire].1 else {
            unreachable!("the step was pushed as one")
        };
        let mut before = self.made(i);
        for (other, instance, _) in self.references_to(i, live) {
            match self.deletion_of(other, instance) {
                Some((_, gone)) => before.push(gone),
                None => before.extend(self.made(other)),
            }
        }
        for other in (0..self.nodes.len()).filter(|other| *other != i) {
            if self.nodes[other].moves_clients() {
                before.extend(self.made(other));
                before.extend(self.of[other].delete.values().map(|(_, gone)| *gone));
            }
        }
        for step in before {
            self.edge(step, retire);
        }
    }

    /// The steps after which a node is as it should be.
    fn made(&self, i: usize) -> Vec<usize> {
        let NodeSteps { make, ready, .. } = &self.of[i];
        make.iter().chain(ready).copied().collect()
    }

    /// Live instances of other addresses that refer to an instance.
    fn references_to(&self, i: usize, live: usize) -> Vec<(usize, usize, Need)> {
        let mut references = Vec::new();
        for (other, one) in self
            .judged
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != i)
        {
            for (instance, from) in one.live.iter().enumerate() {
                let pointing = from
                    .needs
                    .iter()
                    .filter(|need| self.instance(need) == Some((i, live)));
                references.extend(pointing.map(|need| (other, instance, need.clone())));
            }
        }
        references
    }

    fn order_removals_after_additions(&mut self) {
        for i in 0..self.nodes.len() {
            for j in 0..self.nodes.len() {
                let same_kind = self.nodes[i].type_name() == self.nodes[j].type_name()
                    && self.nodes[i].adds_first();
                let Some(make) = self.of[i].make.filter(|_| same_kind && i != j) else {
                    continue;
                };
                for (delete, _) in self.of[j].delete.clone().into_values() {
                    self.edge(make, delete);
                }
            }
        }
    }

    fn doomed(&self) -> Vec<Instance> {
        let of = |(i, one): (usize, &Judged)| {
            one.doomed()
                .into_iter()
                .map(move |live| (i, live))
                .collect::<Vec<_>>()
        };
        self.judged.iter().enumerate().flat_map(of).collect()
    }

    fn sorted(self) -> Result<Vec<Step>> {
        let order = topological(&self.after).map_err(|cycle| {
            let names = cycle.iter().map(|step| {
                let (node, action) = &self.steps[*step];
                format!("{} of `{}`", action.name(), self.nodes[*node].address())
            });
            Error::refused(format!(
                "{} wait for each other; this is a defect of mtlsgw",
                names.collect::<Vec<_>>().join(", ")
            ))
        })?;
        let mut place = vec![0; order.len()];
        order
            .iter()
            .enumerate()
            .for_each(|(new, old)| place[*old] = new);
        let step = |old: &usize| {
            let (node, action) = self.steps[*old].clone();
            let after = self.after[*old]
                .iter()
                .map(|before| place[*before])
                .collect();
            Step {
                node,
                action,
                after,
            }
        };
        Ok(order.iter().map(step).collect())
    }
}

/// Why an instance beside the current one is deleted.
const LEFT_OVER: &str = "left over from an earlier replacement";

/// What the reader sees of a verdict.
fn summarise(node: &dyn Node, judged: &Judged, removal_widens: bool) -> Option<Summary> {
    let doomed = judged.doomed();
    let left_over = |stays: usize| doomed.iter().any(|live| *live != stays);
    let summary = |effect, fields: &[Change], reason: Option<String>| Summary {
        address: node.address().clone(),
        type_name: node.type_name(),
        effect,
        widens: effect != Effect::Create
            && (removal_widens || fields.iter().any(|change| change.widens)),
        fields: fields.to_vec(),
        reason,
        ids: judged.touched_ids(),
        downtime: None,
    };
    match &judged.verdict {
        Verdict::Keep { .. } | Verdict::Unwanted if doomed.is_empty() => None,
        Verdict::Keep { .. } => Some(summary(Effect::Delete, &[], Some(LEFT_OVER.to_owned()))),
        Verdict::Unwanted => {
            let successor = doomed
                .iter()
                .find_map(|live| judged.live[*live].successor.clone());
            let reason = successor.unwrap_or_else(|| "no longer in the stack".to_owned());
            Some(summary(Effect::Delete, &[], Some(reason)))
        }
        Verdict::Create { changes } => Some(summary(Effect::Create, changes, None)),
        Verdict::Update { current, changes } => {
            let reason =
                left_over(*current).then(|| format!("another one, {LEFT_OVER}, is deleted"));
            Some(summary(Effect::Update, changes, reason))
        }
        Verdict::Replace { changes, how, .. } => {
            let (why, downtime) = match how {
                Replacement::CreateFirst => ("the new one is made first".to_owned(), None),
                Replacement::DeleteFirst(down) => {
                    ("the old one goes first".to_owned(), Some(down.clone()))
                }
                Replacement::Impossible(why) => (why.clone(), None),
            };
            let reason = Some(format!(
                "{} cannot be changed in place; {why}",
                listed(&fixed(changes))
            ));
            Some(Summary {
                downtime,
                ..summary(Effect::Replace, changes, reason)
            })
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
