//! Key `targets` of the network load balancer: addresses or instances.

use std::net::IpAddr;

use schemars::JsonSchema;

use crate::stack::common::{is_id, refuse_repetition};
use crate::stack::context::Context;
use crate::stack::fault::Fault;
use crate::stack::path::KeyPath;
use crate::stack::shape::Shape;

/// The targets of a network load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkTargets {
    /// These addresses, all of one family.
    Addresses(Vec<IpAddr>),
    /// The instances with these ids.
    Instances(Vec<String>),
}

/// How `targets` may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the form in the schema")]
pub(super) enum NetworkTargetsForm {
    /// IP addresses of the VPC or of a private network connected to it, or ids `i-…` of instances.
    Targets(Vec<String>),
}

impl NetworkTargets {
    /// Stands in for targets that are at fault, so that the rest can be checked.
    const NONE: Self = Self::Addresses(Vec::new());

    /// Reads the key `targets`.
    pub(super) fn read(targets: Shape<()>, path: &KeyPath, cx: &Context) -> Self {
        let items = match targets {
            Shape::List(items) if items.is_empty() => {
                cx.fault(Fault::new(path, format!("`{path}` lists no target")));
                return Self::NONE;
            }
            Shape::List(items) => items,
            other => {
                let mut fault = Fault::new(path, format!("`{path}` names no targets"));
                if let Shape::Text(word) = other {
                    fault = fault.hint(format!("write `[{word}]`"));
                }
                cx.fault(fault.allowed("a list of IP addresses, or of instance ids"));
                return Self::NONE;
            }
        };
        refuse_repetition(&items, path, cx);
        if items.iter().all(|item| is_id(item, "i-")) {
            return Self::Instances(items);
        }
        let mut addresses = Vec::new();
        for (index, text) in items.iter().enumerate() {
            let at = path.index(index);
            match text.parse::<IpAddr>() {
                Ok(address) if is_unusable(address) => {
                    cx.fault(Fault::new(&at, format!("`{text}` cannot be a target")));
                }
                Ok(address) => addresses.push(address),
                Err(_) if is_id(text, "i-") => {
                    let message = "a target group has instances or IP addresses, not both";
                    cx.fault(Fault::new(&at, message).hint("name all targets by their addresses"));
                }
                Err(_) => {
                    let fault = Fault::new(&at, format!("`{text}` is no IP address"));
                    cx.fault(fault.allowed("an IP address, or the id `i-…` of an instance"));
                }
            }
        }
        if addresses.iter().any(IpAddr::is_ipv6) {
            let fault = Fault::new(path, "the load balancer has IPv4 addresses only");
            cx.fault(fault.hint("name the targets by their IPv4 addresses"));
        }
        Self::Addresses(addresses)
    }

    /// As AWS names them, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names = match self {
            Self::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
            Self::Instances(ids) => ids.clone(),
        };
        names.sort();
        names
    }

    /// The type of the target group, as AWS spells it.
    pub fn target_type(&self) -> &'static str {
        match self {
            Self::Addresses(_) => "ip",
            Self::Instances(_) => "instance",
        }
    }
}

/// Addresses that no load balancer reaches; others are judged by AWS, which knows the VPC.
fn is_unusable(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_link_local
}
