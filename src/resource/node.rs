//! One address with its wanted and live forms, of whatever kind: what plan and apply work on.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;

use super::{Address, Cx, Expiry, Found, Guard, Need, Outputs, Owner, Reader, Replacement, Wanted};
use crate::diff::{Change, Diff, Resolver};
use crate::error::Result;

/// A live instance, as far as planning needs to know it.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// AWS's id.
    pub(crate) id: String,
    /// Its outputs, `id` among them.
    pub(crate) outputs: Outputs,
    /// What forbids to delete or replace it, if anything does.
    pub(crate) protected: Option<Guard>,
    /// Why it is left behind, where it is.
    pub(crate) retained: Option<String>,
    /// Whether deleting it lets more through than before, unless what it belongs to goes as well.
    pub(crate) removal_widens: bool,
    /// What comes in its place, where it goes.
    pub(crate) successor: Option<String>,
    /// What it refers to.
    pub(crate) needs: Vec<Need>,
}

/// What has to happen to a wanted address. Indices are into [`Node::live`].
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Nothing is wanted here.
    Unwanted,
    /// The instance is as it should be.
    Keep { current: usize },
    /// There is none.
    Create { changes: Vec<Change> },
    /// The instance differs in what can be changed.
    Update {
        current: usize,
        changes: Vec<Change>,
    },
    /// The instance differs in what cannot be changed.
    Replace {
        changes: Vec<Change>,
        how: Replacement,
    },
}

/// One address.
pub(crate) trait Node: Send + Sync {
    /// Where it stands in the stack.
    fn address(&self) -> &Address;
    /// CloudFormation's name of its type.
    fn type_name(&self) -> &'static str;
    /// Whether additions of this kind come before removals.
    fn adds_first(&self) -> bool;
    /// Whether clients come by it.
    fn moves_clients(&self) -> bool;
    /// Whose it is, if it is not ours but stands in our place.
    fn conflict(&self) -> Option<&str>;
    /// The live instances; more than one only while something is being replaced.
    fn live(&self) -> Vec<Live>;
    /// What the wanted form needs.
    fn needs(&self) -> Vec<Need>;
    /// What its readiness needs.
    fn ready_needs(&self) -> Vec<Need>;
    /// What a change of it needs.
    fn update_needs(&self) -> Vec<Need>;
    /// Compares wanted and live.
    fn judge(&self, resolve: Resolver<'_>) -> Verdict;
    /// What ends by itself of a live instance, or else of the wanted form.
    fn expiries(&self, live: Option<usize>) -> Vec<Expiry>;
    /// Outputs that these changes alter.
    fn moving_outputs(&self, changes: &[Change]) -> &'static [&'static str];
    /// Makes the wanted form; gives its outputs, `id` among them.
    fn create<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Outputs>>;
    /// Waits until the instance with this id does its work.
    fn ready<'a>(&'a self, cx: &'a Cx, id: &'a str) -> BoxFuture<'a, Result<Outputs>>;
    /// Changes a live instance into the wanted form.
    fn update<'a>(
        &'a self,
        cx: &'a Cx,
        live: usize,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Outputs>>;
    /// Whether a live instance is the stack's only once it has been adopted.
    fn is_pretended(&self, live: usize) -> bool;
    /// Whether a change at this path is part of adopting it.
    fn is_adoption(&self, path: &str) -> bool;
    /// Takes a live instance over by writing its tags.
    fn adopt<'a>(&'a self, cx: &'a Cx, live: usize) -> BoxFuture<'a, Result<()>>;
    /// Whether a change leaves something of a live instance standing.
    fn retires(&self, live: usize, changes: &[Change]) -> bool;
    /// Takes away what a change has left standing.
    fn retire<'a>(&'a self, cx: &'a Cx, live: usize) -> BoxFuture<'a, Result<()>>;
    /// Deletes a live instance.
    fn delete<'a>(&'a self, cx: &'a Cx, live: usize) -> BoxFuture<'a, Result<()>>;
    /// Waits until nothing of a deleted instance is left.
    fn gone<'a>(&'a self, cx: &'a Cx, live: usize) -> BoxFuture<'a, Result<()>>;
    /// What would vanish with a live instance and is not ours.
    fn foreign_children<'a>(
        &'a self,
        reader: &'a Reader,
        live: usize,
    ) -> BoxFuture<'a, Result<Vec<String>>>;
}

/// One address of one kind.
#[derive(Debug)]
struct Typed<R> {
    address: Address,
    want: Option<R>,
    live: Vec<Found<R>>,
    /// For each live one, what deleting it means.
    removals: Vec<Removal>,
    conflict: Option<String>,
}

/// What deleting a live instance means.
#[derive(Debug)]
struct Removal {
    widens: bool,
    successor: Option<String>,
}

/// Pairs what is wanted with what was found, stack by stack.
pub(crate) fn pair<R: Wanted>(
    reader: &Reader,
    found: &[Found<R>],
    nodes: &mut BTreeMap<String, Vec<Box<dyn Node>>>,
) {
    for scope in reader.scopes() {
        let want = R::of(&scope.resources);
        let ours = || found.iter().filter(|found| found.stack == scope.name);
        let addresses: BTreeSet<&Address> = want
            .keys()
            .chain(ours().map(|found| &found.address))
            .collect();
        for address in addresses {
            let here: Vec<&Found<R>> = ours().filter(|found| found.address == *address).collect();
            let live: Vec<Found<R>> = here
                .iter()
                .filter(|one| one.owner == Owner::Ours)
                .copied()
                .cloned()
                .collect();
            let conflict = here.iter().find_map(|one| match &one.owner {
                Owner::Foreign(whose) if want.contains_key(address) && live.is_empty() => {
                    Some(whose.clone())
                }
                Owner::Ours if one.spec.is_pretended() && !reader.is_adopting() => {
                    Some(format!("{} is to be adopted and is nobody's yet", one.id))
                }
                _ => None,
            });
            let removals = live
                .iter()
                .map(|one| Removal {
                    widens: one.spec.removal_widens(&scope.resources),
                    successor: one.spec.successor(&scope.resources),
                })
                .collect();
            let want = want.get(address).cloned();
            let node = Typed {
                address: address.clone(),
                want,
                live,
                removals,
                conflict,
            };
            if node.want.is_some() || !node.live.is_empty() {
                nodes
                    .entry(scope.name.clone())
                    .or_default()
                    .push(Box::new(node));
            }
        }
    }
}

/// A wanted resource as if nothing were live.
pub(super) fn unread<R: Wanted>(address: &Address, want: &R) -> Box<dyn Node> {
    Box::new(Typed {
        address: address.clone(),
        want: Some(want.clone()),
        live: Vec::new(),
        removals: Vec::new(),
        conflict: None,
    })
}

impl<R: Wanted> Typed<R> {
    fn want(&self) -> &R {
        self.want
            .as_ref()
            .expect("only wanted addresses are made, changed and awaited")
    }

    fn changes(&self, want: &R, live: Option<&R>, resolve: Resolver<'_>) -> Vec<Change> {
        let mut diff = Diff::new(resolve);
        want.diff(live, &mut diff);
        if live.is_some() {
            let fields = diff.compared().collect::<Vec<_>>().join(" ");
            tracing::trace!(address = %self.address, kind = R::TYPE, fields, "compared");
        }
        diff.into_changes()
    }
}

impl<R: Wanted> Node for Typed<R> {
    fn address(&self) -> &Address {
        &self.address
    }

    fn type_name(&self) -> &'static str {
        R::TYPE
    }

    fn adds_first(&self) -> bool {
        R::ADDS_FIRST
    }

    fn moves_clients(&self) -> bool {
        R::MOVES_CLIENTS
    }

    fn conflict(&self) -> Option<&str> {
        self.conflict.as_deref()
    }

    fn live(&self) -> Vec<Live> {
        let live = |(found, removal): (&Found<R>, &Removal)| Live {
            id: found.id.clone(),
            outputs: with_id(found.outputs.clone(), &found.id),
            protected: found.protected,
            retained: found.retained.clone(),
            removal_widens: removal.widens,
            successor: removal.successor.clone(),
            needs: found.spec.needs(),
        };
        self.live.iter().zip(&self.removals).map(live).collect()
    }

    fn needs(&self) -> Vec<Need> {
        self.want.as_ref().map(R::needs).unwrap_or_default()
    }

    fn ready_needs(&self) -> Vec<Need> {
        self.want.as_ref().map(R::ready_needs).unwrap_or_default()
    }

    fn update_needs(&self) -> Vec<Need> {
        self.want.as_ref().map(R::update_needs).unwrap_or_default()
    }

    /// Of several instances the one nearest to what is wanted is the current one: a run that was
    /// killed in the middle of a replacement left the new one beside the old one.
    fn judge(&self, resolve: Resolver<'_>) -> Verdict {
        let Some(want) = &self.want else {
            return Verdict::Unwanted;
        };
        let judged = self.live.iter().enumerate().map(|(index, live)| {
            let changes = self.changes(want, Some(&live.spec), resolve);
            (
                changes.iter().any(|change| change.replaces),
                changes.len(),
                index,
                changes,
            )
        });
        let Some((replaces, count, current, changes)) =
            judged.min_by_key(|(a, b, c, _)| (*a, *b, *c))
        else {
            return Verdict::Create {
                changes: self.changes(want, None, resolve),
            };
        };
        match (count, replaces) {
            (0, _) => Verdict::Keep { current },
            (_, false) => Verdict::Update { current, changes },
            (_, true) => Verdict::Replace {
                changes,
                how: want.replacement(&self.live[current].spec),
            },
        }
    }

    fn expiries(&self, live: Option<usize>) -> Vec<Expiry> {
        let ends = match live {
            Some(live) => self.live[live].spec.expiries(&self.live[live].outputs),
            None => self.want().expiries(&Outputs::new()),
        };
        let expiry = |(what, at)| Expiry {
            address: self.address.clone(),
            what,
            at,
        };
        ends.into_iter().map(expiry).collect()
    }

    fn moving_outputs(&self, changes: &[Change]) -> &'static [&'static str] {
        R::moving_outputs(changes)
    }

    fn create<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Outputs>> {
        Box::pin(async {
            let created = self.want().create(cx).await?;
            Ok(with_id(created.outputs, &created.id))
        })
    }

    fn ready<'a>(&'a self, cx: &'a Cx, id: &'a str) -> BoxFuture<'a, Result<Outputs>> {
        Box::pin(self.want().ready(cx, id))
    }

    fn update<'a>(
        &'a self,
        cx: &'a Cx,
        live: usize,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Outputs>> {
        Box::pin(self.want().update(cx, &self.live[live], changes))
    }

    fn is_pretended(&self, live: usize) -> bool {
        self.live[live].spec.is_pretended()
    }

    fn is_adoption(&self, path: &str) -> bool {
        R::is_adoption(path)
    }

    fn adopt<'a>(&'a self, cx: &'a Cx, live: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.want().adopt(cx, &self.live[live]))
    }

    fn retires(&self, live: usize, changes: &[Change]) -> bool {
        self.want().retires(&self.live[live].spec, changes)
    }

    fn retire<'a>(&'a self, cx: &'a Cx, live: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.want().retire(cx, &self.live[live]))
    }

    fn delete<'a>(&'a self, cx: &'a Cx, live: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(R::delete(cx, &self.live[live]))
    }

    fn gone<'a>(&'a self, cx: &'a Cx, live: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(R::gone(cx, &self.live[live]))
    }

    fn foreign_children<'a>(
        &'a self,
        reader: &'a Reader,
        live: usize,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(R::foreign_children(reader, &self.live[live]))
    }
}

fn with_id(mut outputs: Outputs, id: &str) -> Outputs {
    outputs.insert("id", vec![id.to_owned()]);
    outputs
}
