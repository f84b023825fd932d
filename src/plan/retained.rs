//! What stays although nothing wants it any more.

use serde::Serialize;

use crate::resource::{Address, Live, Node};

/// Something live that nothing wants, and that is kept all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// Where.
    pub address: Address,
    /// CloudFormation's name of the type.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// AWS's name of it.
    pub id: String,
    /// Why, and what to do about it.
    pub reason: String,
}

impl Retained {
    /// What is kept of a node; `None` where the instance is not.
    pub(crate) fn of(node: &dyn Node, live: &Live) -> Option<Self> {
        Some(Self {
            address: node.address().clone(),
            type_name: node.type_name(),
            id: identifier(live),
            reason: live.retained.clone()?,
        })
    }
}

/// What AWS calls a live instance; records that are no thing of their own by their names.
pub(crate) fn identifier(live: &Live) -> String {
    let Some(records) = live.outputs.get("records") else {
        return live.id.clone();
    };
    let names = records.iter().filter_map(|record| record.split(' ').next());
    names.collect::<Vec<_>>().join(", ")
}
