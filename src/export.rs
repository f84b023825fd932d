//! `export`: from what exists to a stack file that describes it, with the section `adopt` by which it
//! can be taken over.
//!
//! `seen` reads what belongs to a load balancer or a domain, `draft` is the file in the making, and each section's
//! file brings what was seen into the words of the stack file. What the stack file has no words for is
//! told, never left out in silence. No private key is read: AWS gives none back.

mod apis;
mod backend;
mod definition;
mod domains;
mod draft;
mod listeners;
mod names;
mod network;
mod seen;
mod target_groups;
mod trust;
mod yaml;

use std::collections::BTreeMap;

use crate::aws::{Aws, Identity};
use crate::error::Result;
use crate::wiring::Warning;

pub(crate) use names::section_name;
pub(crate) use seen::Entry;
use seen::Seen;

/// A stack file with the files it refers to.
#[derive(Debug)]
pub(crate) struct Exported {
    /// Contents by name, the stack file first under [`STACK_FILE`].
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// What the stack file has no words for.
    pub(crate) warnings: Vec<Warning>,
}

/// The name of the stack file.
pub(crate) const STACK_FILE: &str = "stack.yaml";

/// Describes what belongs to where the export begins as the stack `name`.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn export(
    aws: &Aws,
    identity: &Identity,
    entry: &Entry,
    name: &str,
) -> Result<Exported> {
    let seen = Box::pin(Seen::read(aws, identity, entry, name)).await?;
    let mut draft = draft::Draft::new(name, &aws.region, &identity.account);
    let store = seen
        .front
        .as_ref()
        .and_then(|front| trust::trust_store(front, &mut draft));
    let sections = names::Names::of(&seen);
    network::top(&seen, &mut draft);
    network::endpoint(&seen, &mut draft);
    apis::apis(&seen, &sections, name, &mut draft);
    domains::domains(&seen, &sections, &mut draft);
    trust::certificate(&seen, &mut draft);
    if let Some(front) = &seen.front {
        target_groups::target_groups(front, &sections, &mut draft);
        network::load_balancer(front, (identity, name), &mut draft);
        draft.put("trust_store", store);
        listeners::listeners((&seen, front), &sections, &mut draft);
    }
    if let Some(backend) = &seen.backend {
        backend::network_load_balancer((&seen, backend), &mut draft);
    }
    network::records(&seen, &mut draft);
    for (address, what) in &seen.beyond {
        draft.leave_out(address, what.as_str());
    }
    Ok(draft.finish(&seen))
}
