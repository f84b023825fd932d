//! Sections `record` and `records`: alias records in Route 53.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::common::{Zone, domain_name};
use super::context::Context;
use super::domain::Domain;
use super::fault::Fault;
use super::load_balancer::LoadBalancer;
use super::path::KeyPath;

/// An alias record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The hosted zone; public for an internet-facing load balancer, private for an internal one.
    pub zone: Zone,
    /// Full name, lower case, without the trailing dot.
    pub name: String,
    /// What it points to.
    pub target: RecordTarget,
    /// Whether Route 53 asks the load balancer for its health.
    pub evaluate_target_health: bool,
    /// Whether a record of that name that is not ours may be taken over.
    pub overwrite: bool,
}

/// What an alias record points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordTarget {
    /// The stack's load balancer.
    LoadBalancer,
    /// The regional name of this domain, a key of `Stack::domains`.
    Domain(String),
}

/// An alias record to the load balancer, or without one to the domain's regional name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRecord {
    /// Hosted zone, by name or id; public for an internet-facing load balancer, private for an internal one.
    #[schemars(example = &"example.com")]
    zone: String,
    /// Full name of the record (default: the domain's).
    #[schemars(example = &"aaa.example.com")]
    name: Option<String>,
    /// Whether Route 53 asks the load balancer for its health.
    #[serde(default)]
    evaluate_target_health: bool,
    /// Whether a record of that name that is not ours may be taken over.
    #[serde(default)]
    overwrite: bool,
}

impl RawRecord {
    /// Fills in defaults and checks the section `name` at `path`.
    pub(super) fn build(
        self,
        (name, path): (&str, &KeyPath),
        domains: &BTreeMap<String, Domain>,
        load_balancer: Option<&LoadBalancer>,
        cx: &Context,
    ) -> Record {
        let zone = Zone::from_text(&self.zone, &path.key("zone"), cx);
        let domain = namesake_or_only(domains, name);
        let target = match (load_balancer, domain) {
            (Some(_), _) => RecordTarget::LoadBalancer,
            (None, Some((key, _))) => RecordTarget::Domain(key.clone()),
            (None, None) => {
                let fault = Fault::new(path, format!("`{path}` has nothing to point to"));
                cx.fault(fault.hint("add a section `load_balancer` or `domain`"));
                RecordTarget::LoadBalancer
            }
        };
        let name = match (&self.name, domain) {
            (Some(name), _) => domain_name(name, &path.key("name"), cx),
            (None, Some((_, domain))) => domain.name.clone(),
            (None, None) => {
                let fault = Fault::new(path, format!("`{path}` has no name"));
                cx.fault(fault.hint("write `name: …`, or add a section `domain`"));
                String::new()
            }
        };
        if !name.is_empty() {
            check_zone(&zone, &name, path, cx);
        }
        Record {
            zone,
            name,
            target,
            evaluate_target_health: self.evaluate_target_health,
            overwrite: self.overwrite,
        }
    }
}

fn check_zone(zone: &Zone, name: &str, path: &KeyPath, cx: &Context) {
    let Zone::Name(zone) = zone else { return };
    let is_within = name == zone || name.ends_with(&format!(".{zone}"));
    if !is_within {
        let message = format!("`{name}` is not within the zone `{zone}`");
        cx.fault(Fault::new(&path.key("zone"), message));
    }
}

/// Finds the entry of this name, else the only one there is.
pub(super) fn namesake_or_only<'a, T>(
    entries: &'a BTreeMap<String, T>,
    name: &str,
) -> Option<(&'a String, &'a T)> {
    let only = || entries.first_key_value().filter(|_| entries.len() == 1);
    entries.get_key_value(name).or_else(only)
}
