//! `export`: from what exists to a stack file that describes it, with the section `adopt` by which it
//! can be taken over.
//!
//! `seen` reads what belongs to a load balancer, `draft` is the file in the making, and each section's
//! file brings what was seen into the words of the stack file. What the stack file has no words for is
//! told, never left out in silence. No private key is read: AWS gives none back.

mod draft;
mod gateway;
mod network;
mod seen;
mod trust;
mod yaml;

use std::collections::BTreeMap;

use crate::aws::{Aws, Identity};
use crate::error::Result;
use crate::wiring::Warning;

use seen::Seen;
pub(crate) use seen::load_balancer_of_domain;

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

/// Describes what belongs to a load balancer as the stack `name`.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn export(
    aws: &Aws,
    identity: &Identity,
    load_balancer: &str,
    name: &str,
) -> Result<Exported> {
    let seen = Box::pin(Seen::read(aws, identity, load_balancer)).await?;
    let mut draft = draft::Draft::new(name, &aws.region, &identity.account);
    let store = trust::trust_store(&seen, &mut draft);
    let sections = gateway::Names::of(&seen);
    network::top(&seen, &mut draft);
    network::endpoint(&seen, &mut draft);
    gateway::apis(&seen, &sections, name, &mut draft);
    gateway::domains(&seen, &sections, &mut draft);
    trust::certificate(&seen, &mut draft);
    gateway::target_groups(&seen, &sections, &mut draft);
    network::load_balancer(&seen, &mut draft);
    draft.put("trust_store", store);
    gateway::listeners(&seen, &sections, &mut draft);
    network::records(&seen, &mut draft);
    Ok(draft.finish(&seen))
}

/// The name of a stack after the load balancer of an ARN or name.
pub(crate) fn stack_name(load_balancer: &str) -> String {
    let name = match load_balancer.split_once(":loadbalancer/app/") {
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
        None => load_balancer,
    };
    gateway::section_name(name)
}
