//! Section `network_load_balancer`: what API Gateway reaches a backend in the VPC through.

mod health_check;
mod security_groups;
mod targets;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::certificate::{Certificate, CertificateSource, RawCertificate};
use super::common::{RawTags, Subnets, SubnetsForm, Vpc, Zone, check_range, domain_name};
use super::context::Context;
use super::fault::Fault;
use super::load_balancer::Scheme;
use super::path::KeyPath;
use super::shape::Shape;

pub use health_check::{NetworkHealthCheck, NetworkProbe};
pub use security_groups::NetworkSecurityGroups;
pub use targets::NetworkTargets;

use health_check::RawNetworkHealthCheck;
use targets::NetworkTargetsForm;

/// A network load balancer with one listener and its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkLoadBalancer {
    /// Where its nodes are.
    pub subnets: Subnets,
    /// Who can reach it.
    pub scheme: Scheme,
    /// Its security groups.
    pub security_groups: NetworkSecurityGroups,
    /// What it listens to.
    pub listener: NetworkListener,
    /// What it passes connections on to.
    pub targets: NetworkTargets,
    /// How it talks to the targets.
    pub target_protocol: NetworkProtocol,
    /// The port of the targets.
    pub target_port: u16,
    /// How it finds out whether a target is alive.
    pub health_check: NetworkHealthCheck,
    /// Seconds that a deregistered target may go on with its connections, 0–3600.
    pub deregistration_delay_seconds: u16,
    /// Whether its nodes use targets of other availability zones.
    pub cross_zone: bool,
    /// Whether AWS refuses to delete it.
    pub deletion_protection: bool,
    /// The alias by which the VPC finds it.
    pub record: Option<PrivateRecord>,
    /// The name of the VPC link to it; None: the stack's.
    pub vpc_link_name: Option<String>,
}

/// What a network load balancer listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkListener {
    /// Its port.
    pub port: u16,
    /// Whether it ends TLS.
    pub protocol: NetworkProtocol,
    /// The certificate that it shows, where it ends TLS; None: the stack's.
    pub certificate: Option<Certificate>,
    /// The TLS security policy, where it ends TLS.
    pub ssl_policy: String,
}

/// What a network load balancer speaks on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkProtocol {
    /// Connections are passed on as they are, TLS included.
    #[default]
    Tcp,
    /// TLS is ended, and begun towards the targets, whose certificates are not verified.
    Tls,
}

impl NetworkProtocol {
    /// The value as AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// An alias to a network load balancer in a private zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateRecord {
    /// The zone.
    pub zone: PrivateZone,
    /// Full name, lower case, without the trailing dot.
    pub name: String,
    /// Whether Route 53 asks the load balancer for its health.
    pub evaluate_target_health: bool,
}

/// A private hosted zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateZone {
    /// One of our own, of this name, for the stack's VPC.
    Own(String),
    /// An existing one, by its id.
    Existing(String),
}

/// A network load balancer with one listener, through which API Gateway reaches a backend in the VPC.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNetworkLoadBalancer {
    /// Subnets of its nodes, one in an availability zone (default: with `vpc: default` its default subnets, else **required**).
    #[schemars(with = "Option<SubnetsForm>")]
    subnets: Option<Shape<RawTags>>,
    /// Who can reach it (default: `internal`; a VPC link needs no more).
    scheme: Option<Scheme>,
    /// CIDRs that may connect: gives it a security group of its own; an empty list leaves only VPC links, which are let in
    /// whatever its rules say (default: no security group, and everybody in reach may connect).
    #[schemars(extend("examples" = [["10.0.0.0/8"]]))]
    allow: Option<Vec<String>>,
    /// Existing security groups, in place of `allow` (default: none). VPC links are let in whatever their rules say.
    security_groups: Option<Vec<String>>,
    /// What it listens to.
    #[serde(default)]
    listener: RawNetworkListener,
    /// IP addresses or instance ids that it passes connections on to.
    #[schemars(with = "NetworkTargetsForm")]
    targets: Shape<()>,
    /// How it talks to the targets (default: as the listener; a listener with `tcp` passes on what comes).
    target_protocol: Option<NetworkProtocol>,
    /// Port of the targets (default: the listener's).
    #[schemars(range(min = 1))]
    target_port: Option<u16>,
    /// How it finds out whether a target is alive.
    #[serde(default)]
    health_check: RawNetworkHealthCheck,
    /// Seconds that a deregistered target may go on with its connections.
    #[serde(default = "deregistration_delay")]
    #[schemars(range(max = 3600))]
    deregistration_delay_seconds: u16,
    /// Whether its nodes use targets of other availability zones.
    #[serde(default)]
    cross_zone: bool,
    /// Whether AWS refuses to delete it.
    #[serde(default)]
    deletion_protection: bool,
    /// Private hosted zone of its alias: a name to make one for the stack's VPC, or the id of an existing one (default: no alias).
    #[schemars(example = &"backend.internal")]
    private_zone: Option<String>,
    /// Full name of the alias (default: the name of its own zone).
    #[schemars(example = &"api.backend.internal")]
    name: Option<String>,
    /// Whether Route 53 asks the load balancer for its health before it answers with the alias.
    #[serde(default)]
    evaluate_target_health: bool,
    /// Name of the VPC link to it (default: the stack's).
    vpc_link_name: Option<String>,
}

/// What a section says of the alias.
struct RawPrivateRecord {
    zone: Option<String>,
    name: Option<String>,
    evaluate_target_health: bool,
}

/// What a network load balancer listens to.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawNetworkListener {
    /// Its port.
    #[schemars(range(min = 1))]
    port: u16,
    /// `tcp` passes TLS through to the targets; `tls` ends it with a certificate of ACM.
    protocol: NetworkProtocol,
    /// With `tls`: the certificate that it shows, as `arn` or `import` (default: the section `certificate`).
    #[serde(skip_serializing)]
    certificate: Option<RawCertificate>,
    /// With `tls`: TLS security policy; API Gateway speaks TLS 1.2 at most (default: `ELBSecurityPolicy-TLS13-1-2-Res-2021-06`).
    #[serde(skip_serializing)]
    ssl_policy: Option<String>,
}

impl Default for RawNetworkListener {
    fn default() -> Self {
        Self {
            port: 443,
            protocol: NetworkProtocol::Tcp,
            certificate: None,
            ssl_policy: None,
        }
    }
}

/// The strongest policy that API Gateway can connect with.
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

fn deregistration_delay() -> u16 {
    300
}

impl RawNetworkLoadBalancer {
    /// Fills in defaults and checks the section.
    pub(super) fn build(
        self,
        path: &KeyPath,
        vpc: Option<&Vpc>,
        cx: &Context,
    ) -> NetworkLoadBalancer {
        let at = path.key("subnets");
        let subnets = match self.subnets {
            Some(shape) => Subnets::from_shape(shape, &at, cx),
            None if vpc == Some(&Vpc::Default) => Subnets::DefaultVpc,
            None => {
                let message = format!("`{path}` lacks its required key `subnets`");
                let fault = Fault::new(path, message);
                cx.fault(fault.hint("list one subnet in each availability zone of the targets"));
                Subnets::NONE
            }
        };
        let written = (self.allow, self.security_groups);
        let security_groups = NetworkSecurityGroups::read(written, path, cx);
        let listener = self.listener.build(&path.key("listener"), cx);
        let target_protocol = self.target_protocol.unwrap_or(listener.protocol);
        if listener.protocol == NetworkProtocol::Tcp && target_protocol == NetworkProtocol::Tls {
            let message = "a listener with `protocol: tcp` passes on what comes and begins no TLS";
            let fault = Fault::new(&path.key("target_protocol"), message);
            cx.fault(fault.hint("remove `target_protocol`, or write `listener: {protocol: tls}`"));
        }
        let target_port = self.target_port.unwrap_or(listener.port);
        refuse_port_zero(target_port, &path.key("target_port"), cx);
        if self.vpc_link_name.as_deref() == Some("") {
            let fault = Fault::new(&path.key("vpc_link_name"), "the name is empty");
            cx.fault(fault.hint("leave it out for the stack's own name"));
        }
        let delay = self.deregistration_delay_seconds;
        let at = path.key("deregistration_delay_seconds");
        check_range(delay, (0, 3600), &at, cx);
        NetworkLoadBalancer {
            subnets,
            scheme: self.scheme.unwrap_or(Scheme::Internal),
            security_groups,
            listener,
            targets: NetworkTargets::read(self.targets, &path.key("targets"), cx),
            target_protocol,
            target_port,
            health_check: self.health_check.build(&path.key("health_check"), cx),
            deregistration_delay_seconds: delay,
            cross_zone: self.cross_zone,
            deletion_protection: self.deletion_protection,
            record: RawPrivateRecord {
                zone: self.private_zone,
                name: self.name,
                evaluate_target_health: self.evaluate_target_health,
            }
            .build(path, cx),
            vpc_link_name: self.vpc_link_name,
        }
    }
}

impl RawNetworkListener {
    fn build(self, path: &KeyPath, cx: &Context) -> NetworkListener {
        refuse_port_zero(self.port, &path.key("port"), cx);
        if self.protocol == NetworkProtocol::Tcp {
            let given = [
                self.certificate.as_ref().map(|_| "certificate"),
                self.ssl_policy.as_ref().map(|_| "ssl_policy"),
            ];
            for key in given.into_iter().flatten() {
                let message =
                    format!("`{key}` has no effect with `protocol: tcp`: the targets end TLS");
                let fault = Fault::new(&path.key(key), message);
                cx.fault(fault.hint(format!("remove `{key}`, or write `protocol: tls`")));
            }
        }
        let ssl_policy = self.ssl_policy.unwrap_or_else(|| DEFAULT_POLICY.to_owned());
        if !ssl_policy.starts_with("ELBSecurityPolicy-") {
            let message = format!("`{ssl_policy}` is no TLS security policy");
            let fault = Fault::new(&path.key("ssl_policy"), message);
            cx.fault(fault.hint(format!("write `{DEFAULT_POLICY}`, or leave it out")));
        }
        let at = path.key("certificate");
        let certificate = self.certificate.map(|raw| {
            let certificate = raw.build(&at, cx);
            let source = &certificate.source;
            if matches!(
                source,
                CertificateSource::Request { .. } | CertificateSource::Find { .. }
            ) {
                let fault = Fault::new(&at, "a listener's own certificate is an `arn` or an `import`");
                cx.fault(fault.hint(
                    "move `request` or `find` into the section `certificate`, which is used by default",
                ));
            }
            certificate
        });
        NetworkListener {
            port: self.port,
            protocol: self.protocol,
            certificate,
            ssl_policy,
        }
    }
}

fn refuse_port_zero(port: u16, path: &KeyPath, cx: &Context) {
    if port == 0 {
        cx.fault(Fault::new(path, "there is no port 0").allowed("1 to 65535"));
    }
}

impl RawPrivateRecord {
    /// The alias, and whether it lies in its zone.
    fn build(self, path: &KeyPath, cx: &Context) -> Option<PrivateRecord> {
        let Some(zone) = self.zone else {
            self.refuse_without_zone(path, cx);
            return None;
        };
        let name = self
            .name
            .map(|name| domain_name(&name, &path.key("name"), cx));
        let (zone, name) = match Zone::from_text(&zone, &path.key("private_zone"), cx) {
            Zone::Name(zone) => {
                let name = name.unwrap_or_else(|| zone.clone());
                if name != zone && !name.ends_with(&format!(".{zone}")) {
                    let message = format!("`{name}` is not within the zone `{zone}`");
                    cx.fault(Fault::new(&path.key("name"), message));
                }
                (PrivateZone::Own(zone), name)
            }
            Zone::Id(id) => {
                if name.is_none() {
                    let fault =
                        Fault::new(path, format!("`{path}` has no name in the zone `{id}`"));
                    cx.fault(fault.hint("write `name: …`, the full name of the record"));
                }
                (PrivateZone::Existing(id), name?)
            }
        };
        Some(PrivateRecord {
            zone,
            name,
            evaluate_target_health: self.evaluate_target_health,
        })
    }

    /// What is said of a record that there is not.
    fn refuse_without_zone(&self, path: &KeyPath, cx: &Context) {
        if self.name.is_some() {
            let message = "`name` is the name of a record, and no zone is given";
            let fault = Fault::new(&path.key("name"), message);
            cx.fault(fault.hint("add `private_zone: NAME`, or remove `name`"));
        }
        if self.evaluate_target_health {
            let message = "`evaluate_target_health` is about a record, and no zone is given";
            let fault = Fault::new(&path.key("evaluate_target_health"), message);
            cx.fault(fault.hint("add `private_zone: NAME`, or remove `evaluate_target_health`"));
        }
    }
}
