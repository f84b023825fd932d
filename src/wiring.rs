//! Stack + Facts -> resources; pure, and reads like the picture of the architecture.
//!
//! client -> record -> load balancer -> listener (trust store, certificate) -> target group ->
//! endpoint -> domain mapping -> stage -> deployment -> API. Each section of the stack file becomes
//! one or a few resources, wired to the others by [`Late`] references.

mod backend;
mod gateway;
mod names;
mod network;
mod trust;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::aws::tags::{Protection, Tags};
use crate::crl_source::Outcome;
use crate::facts::Facts;
use crate::resource::{Address, Expiry, Late, Resources, bucket::Bucket};
use crate::stack::{self, Stack, StackError, StackErrors};
use crate::trust::Finding;

pub(crate) use backend::findings as backend_findings;
pub(crate) use gateway::api_address;

/// What a stack comes to.
#[derive(Debug, Default)]
pub(crate) struct Wired {
    /// The resources as they should be.
    pub(crate) resources: Resources,
    /// What works but is probably not meant.
    pub(crate) warnings: Vec<Warning>,
    /// What ends by itself of what the stack uses and does not own.
    pub(crate) expiries: Vec<Expiry>,
    /// What becomes of the CRLs of URLs.
    pub(crate) crls: Vec<Outcome>,
}

/// Something that works but is probably not meant.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Warning {
    /// Stable, for filters.
    pub code: String,
    /// What it is about.
    pub address: String,
    /// In words.
    pub message: String,
}

impl Warning {
    /// What a rule found, with what to do about it.
    pub(crate) fn of(address: &Address, finding: &Finding) -> Self {
        Self {
            code: finding.code.to_owned(),
            address: address.to_string(),
            message: format!("{}: {}", finding.in_words(), finding.fix),
        }
    }
}

/// Wires a stack.
///
/// # Errors
///
/// Every reference of the file that leads nowhere, with its place in the file.
pub(crate) fn wire(
    stack: &Stack,
    facts: &Facts,
    now: OffsetDateTime,
) -> Result<Wired, StackErrors> {
    let mut wiring = Wiring {
        stack,
        facts,
        now,
        wired: Wired::default(),
        errors: Vec::new(),
    };
    wiring.bucket();
    wiring.trust_store();
    wiring.certificate();
    wiring.endpoint();
    wiring.apis();
    wiring.domains();
    wiring.load_balancer();
    wiring.network_load_balancer();
    wiring.target_groups();
    wiring.listeners();
    wiring.records();
    wiring.judge_backends();
    wiring.adopt();
    wiring.finish()
}

/// Wiring in progress.
struct Wiring<'a> {
    stack: &'a Stack,
    facts: &'a Facts,
    now: OffsetDateTime,
    wired: Wired,
    errors: Vec<StackError>,
}

impl Wiring<'_> {
    fn finish(mut self) -> Result<Wired, StackErrors> {
        for warning in self.stack.warnings() {
            self.wired.warnings.push(Warning {
                code: warning.code.to_owned(),
                address: warning.key.clone(),
                message: format!("{}: {}", warning.location, warning.message),
            });
        }
        if self.errors.is_empty() {
            Ok(self.wired)
        } else {
            Err(StackErrors::from(self.errors))
        }
    }

    /// Records that the value at `key` of the stack file is wrong.
    ///
    /// Several sections may ask for the same thing; it is reported once.
    fn error(
        &mut self,
        key: &str,
        message: impl Into<String>,
        allowed: Option<String>,
        hint: Option<&str>,
    ) {
        let message = message.into();
        if self
            .errors
            .iter()
            .any(|error| error.key == key && error.message == message)
        {
            return;
        }
        let location = self.stack.locate(key);
        self.errors.push(StackError::at(
            location,
            key,
            message,
            allowed,
            hint.map(str::to_owned),
        ));
    }

    fn warn(&mut self, code: &str, address: &Address, message: impl Into<String>) {
        let (code, address) = (code.to_owned(), address.to_string());
        self.wired.warnings.push(Warning {
            code,
            address,
            message: message.into(),
        });
    }

    /// The tags of the resource at `address`.
    fn tags(&self, address: &Address) -> Tags {
        let protection = if self.stack.protect {
            Protection::On
        } else {
            Protection::Off
        };
        Tags::owned(&self.stack.name, address, &self.stack.tags, protection)
    }

    /// Refuses to adopt at addresses where nothing is wanted that could be.
    fn adopt(&mut self) {
        let addresses = self.wired.resources.adoptable();
        if !self.errors.is_empty() {
            return;
        }
        for address in self.stack.adopt.keys() {
            if addresses.contains(&Address::parse(address)) {
                continue;
            }
            let allowed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let message =
                format!("the stack has nothing of its own at `{address}` that could be adopted");
            self.error("adopt", message, Some(allowed.join(", ")), None);
        }
    }

    /// The bucket's name, and the reference by which objects wait for it.
    fn bucket_name(&self) -> (String, Late<String>) {
        match &self.stack.bucket {
            stack::Bucket::Own => {
                let name = Bucket::own_name(&self.facts.identity.account, &self.facts.region);
                (name, Late::id(&Bucket::address()))
            }
            stack::Bucket::Existing(name) => (name.clone(), Late::Known(name.clone())),
        }
    }

    fn bucket(&mut self) {
        if let (name, Late::From(address, _)) = self.bucket_name() {
            self.wired.resources.buckets.insert(
                address,
                Bucket {
                    name,
                    public_access_blocked: true,
                    shared: true,
                },
            );
        }
    }
}

/// The address of one of several: the singular section is the one named `main`.
fn section(singular: &str, plural: &str, name: &str) -> Address {
    if name == "main" {
        Address::parse(singular)
    } else {
        Address::parse(plural).part(name)
    }
}

/// The key of a section's entry in the stack file, for locating errors.
fn key_of(singular: &str, plural: &str, name: &str) -> String {
    section(singular, plural, name).to_string()
}

/// User-readable pairs.
fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}
