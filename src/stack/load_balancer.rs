//! Section `load_balancer`: the application load balancer.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::common::{
    RawTags, SecurityGroups, Subnets, SubnetsForm, Vpc, check_arn, check_range, refuse_beside,
    refuse_repetition,
};
use super::context::Context;
use super::fault::Fault;
use super::log_destination::{LogDestination, LogDestinationForm, RawLogDestination};
use super::path::KeyPath;
use super::shape::{Scalar, Shape};
use super::{attributes, cidr};

/// The application load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadBalancer {
    /// One of our own.
    Own(OwnLoadBalancer),
    /// An existing one, used and never changed.
    Existing {
        /// Its ARN.
        arn: String,
    },
}

/// A load balancer that the stack builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLoadBalancer {
    /// Where its nodes are.
    pub subnets: Subnets,
    /// Who can reach it.
    pub scheme: Scheme,
    /// CIDRs that our own security group lets in, as the file writes them; empty with existing groups.
    pub allow: Vec<String>,
    /// Its security groups; our own lets `allow` in.
    pub security_groups: SecurityGroups,
    /// The kinds of addresses it has.
    pub ip_address_type: IpAddressType,
    /// Attributes by AWS key, as the file sets them; `deletion_protection` is among them.
    pub attributes: BTreeMap<String, String>,
    /// Attributes by AWS key that are left as they are.
    pub unmanaged: BTreeSet<String>,
    /// Which logs go to the stack's own log bucket, as attributes call them: `connection_logs`.
    pub own_logs: BTreeSet<&'static str>,
    /// Days after which logs in the stack's own bucket are deleted.
    pub log_retention_days: u16,
}

/// Who can reach a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// The internet.
    InternetFacing,
    /// The VPC and what is connected to it.
    Internal,
}

impl Scheme {
    /// The value as AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InternetFacing => "internet-facing",
            Self::Internal => "internal",
        }
    }
}

/// The kinds of addresses that a load balancer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IpAddressType {
    /// IPv4 only.
    Ipv4,
    /// IPv4 and IPv6.
    Dualstack,
    /// Public IPv6 and private IPv4.
    DualstackWithoutPublicIpv4,
}

impl IpAddressType {
    /// The value as AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Dualstack => "dualstack",
            Self::DualstackWithoutPublicIpv4 => "dualstack-without-public-ipv4",
        }
    }
}

/// The application load balancer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLoadBalancer {
    /// Subnets of its nodes, in at least two availability zones (default: with `vpc: default` its default subnets, else **required**).
    #[schemars(with = "Option<SubnetsForm>")]
    subnets: Option<Shape<RawTags>>,
    /// Who can reach it (default: `internet-facing`).
    scheme: Option<Scheme>,
    /// CIDRs that may connect (default: `0.0.0.0/0`, and `::/0` where it has IPv6 addresses).
    #[schemars(extend("examples" = [["203.0.113.0/24"]]))]
    allow: Option<Vec<String>>,
    /// Existing security groups (default: its own one, which lets `allow` in).
    security_groups: Option<Vec<String>>,
    /// Kinds of addresses it has (default: `ipv4`).
    ip_address_type: Option<IpAddressType>,
    /// Attributes by AWS key; unlisted ones are held at AWS's default.
    attributes: Option<BTreeMap<String, Scalar>>,
    /// Attributes by AWS key that are left as they are.
    unmanaged: Option<Vec<String>>,
    /// Whether AWS refuses to delete it (default: `false`).
    deletion_protection: Option<bool>,
    /// Connection logs: `true` for the stack's own bucket, or an existing one (default: `false`).
    #[schemars(with = "Option<LogDestinationForm>")]
    connection_logs: Option<Shape<RawLogDestination>>,
    /// Access logs: `true` for the stack's own bucket, or an existing one (default: `false`).
    #[schemars(with = "Option<LogDestinationForm>")]
    access_logs: Option<Shape<RawLogDestination>>,
    /// Days after which logs in the stack's own bucket are deleted, 1–3653 (default: 90).
    #[schemars(range(min = 1, max = 3653))]
    log_retention_days: Option<u16>,
    /// ARN of an existing load balancer, in place of the other keys.
    arn: Option<String>,
}

/// The attribute behind the key `deletion_protection`.
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

/// How long logs in the stack's own bucket are kept, unless the file says otherwise.
const RETENTION_DAYS: u16 = 90;

impl RawLoadBalancer {
    /// Fills in defaults and checks the section.
    pub(super) fn build(self, path: &KeyPath, vpc: Option<&Vpc>, cx: &Context) -> LoadBalancer {
        if let Some(arn) = &self.arn {
            refuse_beside("arn", &self.keys_beside_arn(), path, cx);
            check_arn(arn, "elasticloadbalancing", &path.key("arn"), cx);
            return LoadBalancer::Existing { arn: arn.clone() };
        }
        let mut attributes = self.read_attributes(path, cx);
        let (own_logs, log_attributes) = self.read_logs(&attributes, path, cx);
        attributes.extend(log_attributes);
        let log_retention_days = self.read_retention(&own_logs, path, cx);
        let unmanaged = self.unmanaged.clone().unwrap_or_default();
        let mut managed: BTreeSet<String> = attributes.keys().cloned().collect();
        for logs in &own_logs {
            managed.extend(log_keys(logs));
        }
        check_unmanaged(&unmanaged, &managed, &path.key("unmanaged"), cx);
        let ip_address_type = self.ip_address_type.unwrap_or(IpAddressType::Ipv4);
        let allow = self.read_allow(ip_address_type, path, cx);
        let subnets = match self.subnets {
            Some(shape) => Subnets::from_shape(shape, &path.key("subnets"), cx),
            None => default_subnets(path, vpc, cx),
        };
        refuse_single_subnet(&subnets, &path.key("subnets"), cx);
        let groups = path.key("security_groups");
        LoadBalancer::Own(OwnLoadBalancer {
            subnets,
            scheme: self.scheme.unwrap_or(Scheme::InternetFacing),
            allow,
            security_groups: SecurityGroups::from_list(self.security_groups, &groups, cx),
            ip_address_type,
            attributes,
            unmanaged: unmanaged.into_iter().collect(),
            own_logs,
            log_retention_days,
        })
    }

    fn keys_beside_arn(&self) -> Vec<&'static str> {
        let keys = [
            self.subnets.as_ref().map(|_| "subnets"),
            self.scheme.map(|_| "scheme"),
            self.allow.as_ref().map(|_| "allow"),
            self.security_groups.as_ref().map(|_| "security_groups"),
            self.ip_address_type.map(|_| "ip_address_type"),
            self.attributes.as_ref().map(|_| "attributes"),
            self.unmanaged.as_ref().map(|_| "unmanaged"),
            self.deletion_protection.map(|_| "deletion_protection"),
            self.connection_logs.as_ref().map(|_| "connection_logs"),
            self.access_logs.as_ref().map(|_| "access_logs"),
            self.log_retention_days.map(|_| "log_retention_days"),
        ];
        keys.into_iter().flatten().collect()
    }

    fn read_attributes(&self, path: &KeyPath, cx: &Context) -> BTreeMap<String, String> {
        let at = path.key("attributes");
        let written = self.attributes.clone().unwrap_or_default();
        let mut attributes = attributes::read(written, attributes::LOAD_BALANCER, &at, cx);
        if let Some(protected) = self.deletion_protection {
            let before = attributes.insert(DELETION_PROTECTION.to_owned(), protected.to_string());
            if before.is_some() {
                let message =
                    format!("`{DELETION_PROTECTION}` is given as `deletion_protection`, too");
                cx.fault(
                    Fault::new(&at.key(DELETION_PROTECTION), message).hint("keep one of the two"),
                );
            }
        }
        attributes
    }

    /// Which logs go to the stack's own bucket, and the attributes of those that go elsewhere.
    fn read_logs(
        &self,
        attributes: &BTreeMap<String, String>,
        path: &KeyPath,
        cx: &Context,
    ) -> (BTreeSet<&'static str>, BTreeMap<String, String>) {
        let (mut own, mut set) = (BTreeSet::new(), BTreeMap::new());
        let written = [
            ("connection_logs", &self.connection_logs),
            ("access_logs", &self.access_logs),
        ];
        for (logs, written) in written {
            if written.is_none() {
                continue;
            }
            for key in log_keys(logs) {
                if attributes.contains_key(&key) {
                    let at = path.key("attributes").key(&key);
                    let message = format!("`{key}` is given as `{logs}`, too");
                    cx.fault(Fault::new(&at, message).hint("keep one of the two"));
                }
            }
            match LogDestination::read(written.clone(), &path.key(logs), cx) {
                Some(LogDestination::Own) => drop(own.insert(logs)),
                Some(existing) => set.extend(existing.attributes(logs)),
                None => {}
            }
        }
        (own, set)
    }

    fn read_retention(&self, own: &BTreeSet<&str>, path: &KeyPath, cx: &Context) -> u16 {
        let at = path.key("log_retention_days");
        if let Some(days) = self.log_retention_days {
            check_range(days, (1, 3653), &at, cx);
            if own.is_empty() {
                let fault = Fault::new(
                    &at,
                    "`log_retention_days` has no effect without a log bucket of the stack's own",
                );
                cx.fault(fault.hint("write `connection_logs: true`, or remove it"));
            }
        }
        self.log_retention_days.unwrap_or(RETENTION_DAYS)
    }

    fn read_allow(&self, addresses: IpAddressType, path: &KeyPath, cx: &Context) -> Vec<String> {
        let at = path.key("allow");
        match (&self.allow, &self.security_groups) {
            (Some(_), Some(_)) => {
                let fault = Fault::new(&at, "`allow` has no effect beside `security_groups`");
                cx.fault(
                    fault.hint("existing security groups are never changed: keep one of the two"),
                );
                Vec::new()
            }
            (None, Some(_)) => Vec::new(),
            (Some(cidrs), None) => {
                cidr::check_list(cidrs, &at, cx);
                cidrs.clone()
            }
            (None, None) if addresses == IpAddressType::Ipv4 => vec!["0.0.0.0/0".to_owned()],
            (None, None) => vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()],
        }
    }
}

fn default_subnets(path: &KeyPath, vpc: Option<&Vpc>, cx: &Context) -> Subnets {
    if vpc == Some(&Vpc::Default) {
        return Subnets::DefaultVpc;
    }
    let fault = Fault::new(path, format!("`{path}` lacks its required key `subnets`"));
    cx.fault(fault.hint("list at least two, in different availability zones"));
    Subnets::NONE
}

fn refuse_single_subnet(subnets: &Subnets, path: &KeyPath, cx: &Context) {
    if let Subnets::Ids(ids) = subnets
        && ids.len() == 1
    {
        let fault = Fault::new(path, "a load balancer needs at least two subnets");
        cx.fault(fault.hint("add a subnet in another availability zone"));
    }
}

/// The attributes behind the key of one kind of logs.
fn log_keys(logs: &str) -> [String; 3] {
    ["enabled", "bucket", "prefix"].map(|name| format!("{logs}.s3.{name}"))
}

fn check_unmanaged(keys: &[String], managed: &BTreeSet<String>, path: &KeyPath, cx: &Context) {
    refuse_repetition(keys, path, cx);
    for (index, key) in keys.iter().enumerate() {
        let at = path.index(index);
        attributes::check_key(key, attributes::LOAD_BALANCER, &at, cx);
        if managed.contains(key) {
            let message = format!("`{key}` has a value and cannot be unmanaged");
            cx.fault(Fault::new(&at, message).hint("keep one of the two"));
        }
    }
}
