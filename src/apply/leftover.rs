//! What is left of what a plan was to delete, and why.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Error;
use crate::plan::{Action, Instance, Plan, Retained, identifier};
use crate::resource::{Address, Node};

/// Something that is still there after a destroy, or was when it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Where it stands in the stack.
    pub address: Address,
    /// CloudFormation's name of the type.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// AWS's name of it.
    pub id: String,
    /// The kind of reason, for programs.
    pub cause: Cause,
    /// Why it is left.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why something is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It is kept on purpose: logs, what the stack file retains, what others rely on.
    Retained,
    /// Deletion protection was switched on after the plan was made.
    Protected,
    /// AWS did not delete it.
    Failed,
    /// AWS has taken the deletion and has not finished it.
    Vanishing,
    /// It was not tried, because something that has to go before is still there.
    Blocked,
    /// The run was ended before its turn.
    Interrupted,
    /// Other stacks use it.
    Shared,
    /// It is not known to be ours.
    Foreign,
}

impl From<&Retained> for Leftover {
    fn from(kept: &Retained) -> Self {
        Self {
            address: kept.address.clone(),
            type_name: kept.type_name,
            id: kept.id.clone(),
            cause: Cause::Retained,
            reason: kept.reason.clone(),
            hint: None,
        }
    }
}

/// How a step ended that did not do its work.
#[derive(Debug)]
pub(super) enum Lost<'a> {
    /// It failed.
    Failed(&'a Error),
    /// The step of this address came before it, and was not done.
    After(&'a Address),
    /// The run was ended.
    Interrupted,
}

/// Why one instance is left.
struct Why {
    cause: Cause,
    reason: String,
    hint: Option<String>,
}

/// What is left of the instances that a plan deletes; `lost` says how a step ended that did not do its
/// work.
pub(super) fn of<'a>(
    plan: &Plan,
    nodes: &[Box<dyn Node>],
    lost: impl Fn(usize) -> Option<Lost<'a>>,
) -> Vec<Leftover> {
    let mut own: BTreeMap<Instance, Why> = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let Some(lost) = lost(index) else { continue };
        match &step.action {
            Action::Delete { live } => {
                own.insert((step.node, *live), not_deleted(&lost));
            }
            Action::Gone { live } => {
                own.entry((step.node, *live))
                    .or_insert_with(|| not_gone(&lost));
            }
            _ => {}
        }
    }
    let mut left: Vec<Leftover> = plan
        .doomed
        .iter()
        .filter_map(|instance| {
            let root = root(plan, *instance);
            let why = own.get(&root)?;
            Some(leftover(nodes, *instance, (root, why)))
        })
        .collect();
    left.sort_by(|one, other| one.address.cmp(&other.address));
    left
}

/// The instance whose deletion takes this one with it; itself where it has a step of its own.
fn root(plan: &Plan, mut instance: Instance) -> Instance {
    while let Some(parent) = plan.goes_with.get(&instance) {
        instance = *parent;
    }
    instance
}

fn leftover(
    nodes: &[Box<dyn Node>],
    (node, live): Instance,
    (root, why): (Instance, &Why),
) -> Leftover {
    let node_of = nodes[node].as_ref();
    let (cause, reason, hint) = if root == (node, live) {
        (why.cause, why.reason.clone(), why.hint.clone())
    } else {
        let reason = format!("it goes with `{}`, which is left", nodes[root.0].address());
        (Cause::Blocked, reason, None)
    };
    Leftover {
        address: node_of.address().clone(),
        type_name: node_of.type_name(),
        id: node_of.live().get(live).map(identifier).unwrap_or_default(),
        cause,
        reason,
        hint,
    }
}

fn not_deleted(lost: &Lost<'_>) -> Why {
    match lost {
        Lost::Failed(error) => Why {
            cause: if is_protected(error) {
                Cause::Protected
            } else {
                Cause::Failed
            },
            reason: error.without_address(),
            hint: error.hint(),
        },
        Lost::After(root) => Why {
            cause: Cause::Blocked,
            reason: format!("it was not tried, because `{root}` failed"),
            hint: None,
        },
        Lost::Interrupted => Why {
            cause: Cause::Interrupted,
            reason: "the run was ended before its turn".to_owned(),
            hint: Some(AGAIN.to_owned()),
        },
    }
}

fn not_gone(lost: &Lost<'_>) -> Why {
    let reason = match lost {
        Lost::Failed(error) => format!(
            "AWS has taken its deletion and has not finished it: {}",
            error.without_address()
        ),
        Lost::After(_) | Lost::Interrupted => {
            "AWS has taken its deletion; nobody has seen it vanish".to_owned()
        }
    };
    Why {
        cause: Cause::Vanishing,
        reason,
        hint: Some(AGAIN.to_owned()),
    }
}

/// What goes on where a destroy has stopped.
const AGAIN: &str = "run the same command again";

/// Whether AWS says that deletion protection forbids it.
fn is_protected(error: &Error) -> bool {
    let text = error.without_address();
    text.contains("OperationNotPermitted") && text.contains("deletion protection")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protection_is_no_other_refusal() {
        let told = |message: &str| Error::refused(message);
        assert!(is_protected(&told(
            "elbv2:DeleteLoadBalancer: OperationNotPermitted: Load balancer 'x' cannot be deleted \
             because deletion protection is enabled"
        )));
        assert!(!is_protected(&told(
            "elbv2:DeleteLoadBalancer: OperationNotPermitted: it is managed by another service"
        )));
    }
}
