//! Sections `target_group` and `target_groups`: where a listener forwards to.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{check_range, refuse_repetition};
use super::context::Context;
use super::endpoint::Endpoint;
use super::fault::Fault;
use super::health_check::{HealthCheck, RawHealthCheck};
use super::path::KeyPath;
use super::shape::Shape;

/// A target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its targets.
    pub targets: Targets,
    /// How the load balancer talks to the targets.
    pub protocol: Protocol,
    /// The port of the targets.
    pub port: u16,
    /// How the load balancer finds out whether a target is alive.
    pub health_check: HealthCheck,
    /// Seconds that a deregistered target may finish its requests, 0–3600.
    pub deregistration_delay_seconds: u16,
}

/// The targets of a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// The addresses of the stack's endpoint.
    Endpoint,
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// These EC2 instances, by their ids.
    Instances(Vec<String>),
}

/// How the load balancer talks to targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// In the clear.
    Http,
    /// Over TLS; the target's certificate is not verified.
    Https,
}

impl Protocol {
    /// The value as AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }
}

/// Where a listener forwards to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTargetGroup {
    /// `endpoint` for the addresses of the stack's endpoint, or a list of IP addresses or of instance ids (default: `endpoint`).
    #[schemars(with = "Option<TargetsForm>")]
    targets: Option<Shape<()>>,
    /// How the load balancer talks to the targets; over HTTPS their certificate is not verified.
    #[serde(default = "https")]
    protocol: Protocol,
    /// Port of the targets (default: 443, with `protocol: http` 80).
    #[schemars(range(min = 1))]
    port: Option<u16>,
    /// How the load balancer finds out whether a target is alive.
    #[serde(default)]
    health_check: RawHealthCheck,
    /// Seconds that a deregistered target may finish its requests.
    #[serde(default = "deregistration_delay")]
    #[schemars(range(max = 3600))]
    deregistration_delay_seconds: u16,
}

/// How `targets` may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the form in the schema")]
enum TargetsForm {
    /// The word `endpoint`.
    Endpoint(String),
    /// IP addresses within the VPC or of a private network connected to it, or ids of EC2 instances.
    Listed(Vec<String>),
}

fn https() -> Protocol {
    Protocol::Https
}

fn deregistration_delay() -> u16 {
    300
}

impl RawTargetGroup {
    /// Fills in defaults and checks the section.
    pub(super) fn build(
        self,
        path: &KeyPath,
        endpoint: Option<&Endpoint>,
        cx: &Context,
    ) -> TargetGroup {
        let targets = read_targets(self.targets, path, endpoint, cx);
        let default_port = if self.protocol == Protocol::Https {
            443
        } else {
            80
        };
        let port = self.port.unwrap_or(default_port);
        if port == 0 {
            cx.fault(Fault::new(&path.key("port"), "there is no port 0").allowed("1 to 65535"));
        }
        if targets == Targets::Endpoint {
            check_endpoint_target(self.protocol, port, path, cx);
        }
        let delay = self.deregistration_delay_seconds;
        check_range(
            delay,
            (0, 3600),
            &path.key("deregistration_delay_seconds"),
            cx,
        );
        let health_check =
            self.health_check
                .build(&path.key("health_check"), &targets, self.protocol, cx);
        TargetGroup {
            targets,
            protocol: self.protocol,
            port,
            health_check,
            deregistration_delay_seconds: delay,
        }
    }
}

fn read_targets(
    targets: Option<Shape<()>>,
    path: &KeyPath,
    endpoint: Option<&Endpoint>,
    cx: &Context,
) -> Targets {
    let at = path.key("targets");
    match targets {
        None if endpoint.is_some() => Targets::Endpoint,
        None => {
            let fault = Fault::new(path, format!("`{path}` has no targets"));
            cx.fault(fault.hint(
                "add a section `endpoint`, or list addresses or instances: `targets: [10.0.1.5]`",
            ));
            Targets::Addresses(Vec::new())
        }
        Some(Shape::Text(word)) if word == "endpoint" => {
            if endpoint.is_none() {
                let fault = Fault::new(&at, "`targets: endpoint` without a section `endpoint`");
                cx.fault(fault.hint("add `endpoint: {}`"));
            }
            Targets::Endpoint
        }
        Some(Shape::List(items)) if items.is_empty() => {
            cx.fault(Fault::new(&at, format!("`{at}` lists no target")));
            Targets::Addresses(Vec::new())
        }
        Some(Shape::List(items)) if items.iter().any(|item| item.starts_with("i-")) => {
            Targets::Instances(read_instances(items, &at, cx))
        }
        Some(Shape::List(items)) => Targets::Addresses(read_addresses(&items, &at, cx)),
        Some(other) => {
            let mut fault = Fault::new(&at, format!("`{at}` names no targets"));
            if let Shape::Text(word) = other {
                fault = fault.hint(format!("write `[{word}]`"));
            }
            cx.fault(fault.allowed("`endpoint`, a list of IP addresses, a list of instance ids"));
            Targets::Addresses(Vec::new())
        }
    }
}

/// Reads ids of instances: `i-` and 8 or 17 hexadecimal digits.
fn read_instances(items: Vec<String>, path: &KeyPath, cx: &Context) -> Vec<String> {
    for (index, text) in items.iter().enumerate() {
        let at = path.index(index);
        if text.parse::<IpAddr>().is_ok() {
            let message = "a target group has instances or IP addresses, not both";
            cx.fault(Fault::new(&at, message).hint("make two target groups"));
        } else if !is_instance(text) {
            let fault = Fault::new(&at, format!("`{text}` is no instance id"));
            cx.fault(fault.allowed("`i-` and 8 or 17 hexadecimal digits: `i-0123456789abcdef0`"));
        }
    }
    refuse_repetition(&items, path, cx);
    items
}

fn is_instance(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("i-")
        .is_some_and(|digits| [8, 17].contains(&digits.len()) && digits.bytes().all(is_digit))
}

fn read_addresses(items: &[String], path: &KeyPath, cx: &Context) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for (index, text) in items.iter().enumerate() {
        let at = path.index(index);
        match text.parse::<IpAddr>() {
            Ok(address) if is_unusable(address) => {
                cx.fault(Fault::new(&at, format!("`{text}` cannot be a target")));
            }
            Ok(address) => addresses.push(address),
            Err(_) => {
                let fault = Fault::new(&at, format!("`{text}` is no IP address"));
                cx.fault(
                    fault.allowed("an IP address; an instance id such as `i-0123456789abcdef0`"),
                );
            }
        }
    }
    refuse_repetition(&addresses, path, cx);
    if addresses.iter().any(IpAddr::is_ipv4) && addresses.iter().any(IpAddr::is_ipv6) {
        let fault = Fault::new(path, "a target group has IPv4 or IPv6 addresses, not both");
        cx.fault(fault.hint("make two target groups"));
    }
    addresses
}

/// Addresses that no load balancer reaches; others are judged by AWS, which knows the VPC.
fn is_unusable(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_link_local
}

/// The endpoint speaks HTTPS on 443 and nothing else.
fn check_endpoint_target(protocol: Protocol, port: u16, path: &KeyPath, cx: &Context) {
    if protocol != Protocol::Https {
        let fault = Fault::new(
            &path.key("protocol"),
            "the endpoint does not speak HTTP in the clear",
        );
        cx.fault(fault.hint("remove `protocol`"));
    } else if port != 443 {
        let fault = Fault::new(
            &path.key("port"),
            format!("the endpoint does not listen on port {port}"),
        );
        cx.fault(fault.allowed("443"));
    }
}
