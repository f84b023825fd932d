//! Taking over what stands in a stack's place and is nobody's: tags only.
//!
//! What a stack has to have of its own for that, the bucket and the copies of the trust material in it,
//! is made; everything else that differs stays as it is, and is told.

use std::collections::BTreeMap;

use super::{
    Action, Effect, Judged, Plan, Step, Summary, expiries, fixed, judge_all, refuse_conflicts,
};
use crate::diff::Change;
use crate::error::{Error, Result, listed};
use crate::resource::log_bucket::LogBucket;
use crate::resource::{Address, Node, Verdict};

/// Something that differs from the stack file and is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// Where.
    pub(crate) address: Address,
    /// What `mtlsgw apply` would do there.
    pub(crate) what: String,
}

/// Whether it is the stack's bucket or lies in it, which a stack has whoever made the gateway. Nothing is
/// logged to a log bucket before the load balancer is changed, so that is none of it.
fn is_bookkeeping(node: &dyn Node) -> bool {
    node.type_name().starts_with("AWS::S3::") && *node.address() != LogBucket::address()
}

/// What ends an API's address to that of its deployment.
const DEPLOYMENT: &str = ".deployment";

/// What becomes of one address.
enum Part {
    /// It is as it should be.
    Stays,
    /// A live one gets tags.
    Adopt { live: usize, changes: Vec<Change> },
    /// It is made.
    Create { changes: Vec<Change> },
}

impl Plan {
    /// Makes the plan by which the nodes of one stack are adopted, and says what that leaves.
    ///
    /// # Errors
    ///
    /// Something of somebody else stands in the place of a wanted resource, or what is to be adopted
    /// would have to be replaced.
    pub(crate) fn adoption(nodes: &[Box<dyn Node>]) -> Result<(Self, Vec<Left>)> {
        refuse_conflicts(nodes)?;
        let judged = judge_all(nodes)?;
        refuse_replacement(nodes, &judged)?;
        let leaves: BTreeMap<&Address, String> = nodes
            .iter()
            .zip(&judged)
            .filter_map(|(node, one)| Some((node.address(), left(node.as_ref(), one)?)))
            .collect();
        let mut plan = Self {
            known: super::known(nodes, &judged),
            expiries: expiries(nodes, &judged),
            ..Self::default()
        };
        let mut left: Vec<Left> = leaves
            .iter()
            .map(|(address, what)| Left {
                address: (*address).clone(),
                what: what.clone(),
            })
            .collect();
        for (index, (node, one)) in nodes.iter().zip(&judged).enumerate() {
            // A deployment is what is wanted only if all that it froze is.
            let of = node.address().as_str().strip_suffix(DEPLOYMENT);
            let moves = of.is_some_and(|api| leaves.contains_key(&Address::parse(api)));
            match part(node.as_ref(), one) {
                Part::Adopt { .. } if moves => left.push(Left {
                    address: node.address().clone(),
                    what: "would be replaced, because the API differs".to_owned(),
                }),
                Part::Stays => plan.unchanged += usize::from(one.current().is_some()),
                Part::Adopt { live, changes } => {
                    plan.summaries.push(summary(
                        node.as_ref(),
                        Effect::Adopt,
                        changes,
                        Some(&one.live[live].id),
                    ));
                    plan.push(index, Action::Adopt { live }, &[]);
                }
                Part::Create { changes } => {
                    plan.summaries
                        .push(summary(node.as_ref(), Effect::Create, changes, None));
                }
            }
        }
        plan.make_bookkeeping(nodes, &judged);
        Ok((plan, left))
    }

    fn push(&mut self, node: usize, action: Action, after: &[usize]) -> usize {
        let after = after.to_vec();
        self.steps.push(Step {
            node,
            action,
            after,
        });
        self.steps.len() - 1
    }

    /// The bucket, and what lies in it once it is there.
    fn make_bookkeeping(&mut self, nodes: &[Box<dyn Node>], judged: &[Judged]) {
        let made = nodes.iter().zip(judged).enumerate();
        let made =
            made.filter(|(_, (node, one))| matches!(part(node.as_ref(), one), Part::Create { .. }));
        let (buckets, objects): (Vec<_>, Vec<_>) =
            made.partition(|(_, (node, _))| node.type_name() == "AWS::S3::Bucket");
        let mut ready = Vec::new();
        for (index, _) in buckets {
            let made = self.push(index, Action::Create, &[]);
            ready.push(self.push(index, Action::Ready, &[made]));
        }
        for (index, _) in objects {
            self.push(index, Action::Create, &ready);
        }
    }
}

/// What adopting does with an address.
fn part(node: &dyn Node, judged: &Judged) -> Part {
    match &judged.verdict {
        Verdict::Update { current, changes } if node.is_pretended(*current) => {
            let changes = changes
                .iter()
                .filter(|change| node.is_adoption(&change.path));
            Part::Adopt {
                live: *current,
                changes: changes.cloned().collect(),
            }
        }
        Verdict::Create { changes } if is_bookkeeping(node) => Part::Create {
            changes: changes.clone(),
        },
        _ => Part::Stays,
    }
}

/// What `mtlsgw apply` would do at an address beyond adopting.
fn left(node: &dyn Node, judged: &Judged) -> Option<String> {
    match &judged.verdict {
        Verdict::Update { current, changes } => {
            let pretended = node.is_pretended(*current);
            let others = changes
                .iter()
                .filter(|change| !pretended || !node.is_adoption(&change.path));
            let others: Vec<String> = others.map(in_words).collect();
            (!others.is_empty()).then(|| format!("would be changed: {}", others.join(", ")))
        }
        Verdict::Create { .. } if is_bookkeeping(node) => None,
        Verdict::Create { .. } => Some("would be made".to_owned()),
        Verdict::Replace { changes, .. } => {
            Some(format!("would be replaced: {}", listed(&fixed(changes))))
        }
        Verdict::Unwanted if judged.doomed().is_empty() => None,
        Verdict::Unwanted => Some("would be deleted".to_owned()),
        Verdict::Keep { .. } => None,
    }
}

/// A field with its values where they are short and may be shown.
fn in_words(change: &Change) -> String {
    let short = |value: &serde_json::Value| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (text.len() <= 60 && !text.contains('\n')).then_some(text)
    };
    match (short(&change.before), short(&change.after)) {
        (Some(before), Some(after)) if !change.sensitive && !change.after_unknown => {
            format!("{} ({before} -> {after})", change.path)
        }
        _ => change.path.clone(),
    }
}

/// What is taken over is not replaced behind it.
fn refuse_replacement(nodes: &[Box<dyn Node>], judged: &[Judged]) -> Result<()> {
    let replaced = nodes.iter().zip(judged).filter_map(|(node, one)| {
        let Verdict::Replace { changes, .. } = &one.verdict else {
            return None;
        };
        let pretended = (0..one.live.len()).any(|live| node.is_pretended(live));
        let forcing = changes.iter().filter(|change| change.replaces);
        let forcing: Vec<String> = forcing.map(in_words).collect();
        pretended.then(|| format!("`{}`: {}", node.address(), forcing.join(", ")))
    });
    let replaced: Vec<String> = replaced.collect();
    if replaced.is_empty() {
        return Ok(());
    }
    Err(Error::refused_with(
        format!(
            "what is to be adopted differs from the stack file in what cannot be changed:\n{}",
            replaced.join("\n")
        ),
        "write what is there into the stack file, or do not adopt it",
    ))
}

fn summary(node: &dyn Node, effect: Effect, fields: Vec<Change>, id: Option<&String>) -> Summary {
    Summary {
        address: node.address().clone(),
        type_name: node.type_name(),
        effect,
        widens: false,
        fields,
        reason: id.map(|id| format!("{id} becomes the stack's; nothing else of it changes")),
        ids: id.cloned().into_iter().collect(),
        downtime: None,
    }
}
