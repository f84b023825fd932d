//! What it means for clients that a resource is live otherwise than its stack file says.

use super::health::is_of_backend;
use super::{Finding, Link};
use crate::diff::Change;
use crate::plan::{Effect, Summary};
use crate::resource::Address;
use crate::session::Taken;

/// What puts right whatever differs from the stack file.
const APPLY: &str = "`mtlsgw apply` makes it as the stack file says";

/// What a difference is at: a link and a word for it.
type Place = (Link, &'static str);

/// What is wrong about one resource; nothing where its difference is none to clients.
pub(super) fn findings(summary: &Summary) -> Vec<Finding> {
    let address = summary.address.as_str();
    match summary.effect {
        Effect::Create => missing(summary)
            .map(|(link, code)| {
                Finding::new(link, code, address)
                    .what(format!("`{address}` does not exist"))
                    .fix(APPLY)
            })
            .into_iter()
            .collect(),
        Effect::Delete => surplus(summary).into_iter().collect(),
        // The doctor asks about what is the stack's.
        Effect::Adopt => Vec::new(),
        Effect::Update | Effect::Replace => {
            // What is known only after another resource has changed follows from that one.
            let own = summary.fields.iter().filter(|change| !change.after_unknown);
            own.filter_map(|change| differing(summary, change))
                .collect()
        }
    }
}

/// The last word of an address, without the key of one of several.
fn part(address: &Address) -> &str {
    let text = address.as_str();
    let text = text.split_once("[\"").map_or(text, |(before, _)| before);
    text.rsplit_once('.').map_or(text, |(_, part)| part)
}

fn missing(summary: &Summary) -> Option<Place> {
    if is_of_backend(summary.address.as_str()) {
        return missing_behind(kind(summary.type_name));
    }
    Some(match kind(summary.type_name) {
        "RecordSet" if part(&summary.address) == "validation" => {
            (Link::Tls, "validation-record-missing")
        }
        "RecordSet" => (Link::Dns, "record-missing"),
        "LoadBalancer" => (Link::LoadBalancer, "load-balancer-missing"),
        "Bucket" if part(&summary.address) == "log_bucket" => {
            (Link::LoadBalancer, "log-bucket-missing")
        }
        "Certificate" => (Link::Tls, "certificate-missing"),
        "Listener" => (Link::Listener, "listener-missing"),
        "TrustStore" => (Link::TrustStore, "trust-store-missing"),
        "TrustStoreRevocation" => (Link::TrustStore, "crl-missing"),
        "TargetGroup" => (Link::TargetGroup, "target-group-missing"),
        "TargetRegistration" => (Link::TargetGroup, "targets-missing"),
        "SecurityGroup" => (Link::SecurityGroups, "security-group-missing"),
        "VPCEndpoint" => (Link::Endpoint, "endpoint-missing"),
        "RestApi" => (Link::Policy, "api-missing"),
        "DomainName" => (Link::Domain, "domain-missing"),
        "BasePathMapping" => (Link::Mapping, "mapping-missing"),
        "Stage" => (Link::Stage, "stage-missing"),
        "Deployment" => (Link::Deployment, "not-deployed"),
        _ => return None,
    })
}

/// What is missing on the way from an API to its backend.
fn missing_behind(kind: &str) -> Option<Place> {
    Some(match kind {
        "VpcLink" => (Link::VpcLink, "vpc-link-missing"),
        "LoadBalancer" => (Link::NetworkLoadBalancer, "network-load-balancer-missing"),
        "Listener" => (Link::NetworkLoadBalancer, "backend-listener-missing"),
        "Certificate" => (Link::NetworkLoadBalancer, "backend-certificate-missing"),
        "TargetGroup" => (Link::Backend, "backend-target-group-missing"),
        "TargetRegistration" => (Link::Backend, "backend-targets-missing"),
        "HostedZone" => (Link::PrivateZone, "private-zone-missing"),
        "RecordSet" => (Link::PrivateZone, "private-record-missing"),
        _ => return None,
    })
}

/// What is more than the stack file says, and lets more through or elsewhere.
fn surplus(summary: &Summary) -> Option<Finding> {
    let address = summary.address.as_str();
    let (link, code, what) = match kind(summary.type_name) {
        "TrustStoreRevocation" => (
            Link::TrustStore,
            "crl-surplus",
            "holds a CRL that the stack file does not name",
        ),
        "BasePathMapping" => (
            Link::Mapping,
            "mapping-surplus",
            "maps a path that the stack file does not name",
        ),
        "Listener" => (
            Link::Listener,
            "listener-surplus",
            "is a listener that the stack file does not name",
        ),
        _ => return None,
    };
    let finding = Finding::new(link, code, address).what(format!("`{address}` {what}"));
    Some(finding.fix(APPLY))
}

fn kind(type_name: &'static str) -> &'static str {
    type_name
        .rsplit_once("::")
        .map_or(type_name, |(_, kind)| kind)
}

/// What it means that something of somebody else's stands at an address.
pub(super) fn taken(taken: &Taken) -> Finding {
    let kind = kind(taken.type_name);
    let (link, code) = match kind {
        "HostedZone" => (Link::PrivateZone, "private-zone-of-somebody-else"),
        "RecordSet" if is_of_backend(taken.address.as_str()) => {
            (Link::PrivateZone, "private-record-points-elsewhere")
        }
        _ if is_of_backend(taken.address.as_str()) => (
            Link::NetworkLoadBalancer,
            "network-load-balancer-of-somebody-else",
        ),
        "RecordSet" => (Link::Dns, "record-points-elsewhere"),
        "BasePathMapping" => (Link::Mapping, "mapping-points-elsewhere"),
        "DomainName" => (Link::Domain, "domain-of-somebody-else"),
        "Listener" => (Link::Listener, "listener-of-somebody-else"),
        "VPCEndpoint" => (Link::Endpoint, "endpoint-of-somebody-else"),
        "RestApi" | "Stage" => (Link::Stage, "stage-of-somebody-else"),
        "TrustStore" | "TrustStoreRevocation" => (Link::TrustStore, "trust-store-of-somebody-else"),
        "TargetGroup" | "TargetRegistration" => {
            (Link::TargetGroup, "target-group-of-somebody-else")
        }
        "SecurityGroup" => (Link::SecurityGroups, "security-group-of-somebody-else"),
        _ => (Link::LoadBalancer, "name-of-somebody-else"),
    };
    Finding::new(link, code, taken.address.as_str())
        .what(format!("`{}`: {}", taken.address, taken.whose))
        .fix(
            "nothing that is not this stack's is changed: give the place back, rename one of the two, or hand it \
             over with its tags `mtlsgw:stack` and `mtlsgw:address`",
        )
}

fn differing(summary: &Summary, change: &Change) -> Option<Finding> {
    let (link, code) = place(summary, change)?;
    let address = summary.address.as_str();
    let what = match &change.note {
        Some(note) => format!(
            "`{address}`: {} is not as the stack file says ({note})",
            change.path
        ),
        None if change.sensitive => {
            format!("`{address}`: {} is not as the stack file says", change.path)
        }
        None => format!(
            "`{address}`: {} is {}, and the stack file says {}",
            change.path,
            brief(&change.before),
            brief(&change.after)
        ),
    };
    Some(Finding::new(link, code, address).what(what).fix(APPLY))
}

/// A value in a few words; whole documents are for `plan` to show.
fn brief(value: &serde_json::Value) -> String {
    const LONGEST: usize = 120;
    let text = match value {
        serde_json::Value::Null => "not there".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() > LONGEST {
        "another one (see `mtlsgw plan`)".to_owned()
    } else {
        text
    }
}

/// Fields that no client notices.
const UNNOTICED: &[&str] = &["tags", "name", "description", "vpc"];

/// Where fields of a kind matter to clients: the first row that fits; without fields it fits all.
const PLACES: &[(&str, &[&str], Place)] = &[
    ("validation", &[], (Link::Tls, "validation-record-differs")),
    (
        "RecordSet",
        &["alias.dns_name", "alias.zone"],
        (Link::Dns, "record-points-elsewhere"),
    ),
    ("RecordSet", &[], (Link::Dns, "record-differs")),
    (
        "LoadBalancer",
        &["security_groups"],
        (Link::SecurityGroups, "load-balancer-groups-differ"),
    ),
    (
        "LoadBalancer",
        &[],
        (Link::LoadBalancer, "load-balancer-differs"),
    ),
    (
        "clients",
        &["ingress"],
        (Link::LoadBalancer, "clients-not-admitted-as-written"),
    ),
    (
        "clients",
        &[],
        (Link::SecurityGroups, "load-balancer-may-not-call"),
    ),
    (
        "SecurityGroup",
        &[],
        (Link::SecurityGroups, "endpoint-does-not-admit"),
    ),
    (
        "log_bucket",
        &[],
        (Link::LoadBalancer, "log-bucket-differs"),
    ),
    ("Certificate", &[], (Link::Tls, "certificate-differs")),
    (
        "Listener",
        &["certificate", "additional_certificates"],
        (Link::Tls, "listener-certificate-differs"),
    ),
    (
        "Listener",
        &["ssl_policy"],
        (Link::Tls, "tls-policy-differs"),
    ),
    (
        "Listener",
        &["mutual_authentication.trust_store"],
        (Link::TrustStore, "other-trust-store"),
    ),
    (
        "Listener",
        &["mutual_authentication"],
        (Link::Listener, "mutual-authentication-differs"),
    ),
    (
        "Listener",
        &["default_action", "target_group"],
        (Link::Listener, "forwards-elsewhere"),
    ),
    ("Listener", &[], (Link::Listener, "listener-differs")),
    ("TrustStore", &[], (Link::TrustStore, "ca-bundle-differs")),
    (
        "TrustStoreRevocation",
        &[],
        (Link::TrustStore, "crl-differs"),
    ),
    (
        "TargetGroup",
        &["health_check"],
        (Link::Health, "health-check-differs"),
    ),
    (
        "TargetGroup",
        &[],
        (Link::TargetGroup, "target-group-differs"),
    ),
    (
        "TargetRegistration",
        &[],
        (Link::TargetGroup, "targets-differ"),
    ),
    (
        "VPCEndpoint",
        &["security_groups"],
        (Link::SecurityGroups, "endpoint-groups-differ"),
    ),
    (
        "VPCEndpoint",
        &["policy"],
        (Link::Policy, "endpoint-policy-differs"),
    ),
    (
        "VPCEndpoint",
        &["private_dns"],
        (Link::Endpoint, "private-dns-differs"),
    ),
    ("VPCEndpoint", &[], (Link::Endpoint, "endpoint-differs")),
    (
        "RestApi",
        &["policy"],
        (Link::Policy, "resource-policy-differs"),
    ),
    (
        "RestApi",
        &["endpoint_type", "vpc_endpoints"],
        (Link::Policy, "api-reachability-differs"),
    ),
    ("RestApi", &[], (Link::Integration, "definition-differs")),
    ("DomainName", &[], (Link::Domain, "domain-differs")),
    (
        "BasePathMapping",
        &[],
        (Link::Mapping, "mapping-points-elsewhere"),
    ),
    (
        "Stage",
        &["deployment"],
        (Link::Deployment, "stage-serves-another-deployment"),
    ),
    (
        "Stage",
        &["throttling"],
        (Link::Stage, "stage-throttling-differs"),
    ),
    (
        "Stage",
        &["variables"],
        (Link::Integration, "stage-variables-differ"),
    ),
    ("Stage", &[], (Link::Stage, "stage-differs")),
    ("Deployment", &[], (Link::Deployment, "not-deployed")),
];

/// The same as [`PLACES`] on the way from an API to its backend.
const PLACES_BEHIND: &[(&str, &[&str], Place)] = &[
    (
        "VpcLink",
        &["status"],
        (Link::VpcLink, "vpc-link-not-available"),
    ),
    ("VpcLink", &[], (Link::VpcLink, "vpc-link-points-elsewhere")),
    (
        "LoadBalancer",
        &[],
        (Link::NetworkLoadBalancer, "network-load-balancer-differs"),
    ),
    (
        "Certificate",
        &[],
        (Link::NetworkLoadBalancer, "backend-certificate-differs"),
    ),
    (
        "Listener",
        &["certificate", "additional_certificates"],
        (Link::NetworkLoadBalancer, "backend-certificate-differs"),
    ),
    (
        "Listener",
        &["default_action", "target_group"],
        (Link::NetworkLoadBalancer, "backend-forwards-elsewhere"),
    ),
    (
        "Listener",
        &[],
        (Link::NetworkLoadBalancer, "backend-listener-differs"),
    ),
    (
        "TargetGroup",
        &["health_check"],
        (Link::Backend, "backend-health-check-differs"),
    ),
    (
        "TargetGroup",
        &[],
        (Link::Backend, "backend-target-group-differs"),
    ),
    (
        "TargetRegistration",
        &[],
        (Link::Backend, "backend-targets-differ"),
    ),
    (
        "HostedZone",
        &[],
        (Link::PrivateZone, "private-zone-differs"),
    ),
    (
        "RecordSet",
        &[],
        (Link::PrivateZone, "private-record-points-elsewhere"),
    ),
];

/// Where a field of a resource matters to clients; `None` where it does not.
fn place(summary: &Summary, change: &Change) -> Option<Place> {
    let path = change.path.as_str();
    let is = |name: &&str| {
        path.strip_prefix(*name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if UNNOTICED.iter().any(is) {
        return None;
    }
    let is_behind = is_of_backend(summary.address.as_str());
    let places = if is_behind { PLACES_BEHIND } else { PLACES };
    let kind = match kind(summary.type_name) {
        other if is_behind => other,
        "RecordSet" if part(&summary.address) == "validation" => "validation",
        "SecurityGroup" if summary.address.as_str().starts_with("load_balancer") => "clients",
        "Bucket" if part(&summary.address) == "log_bucket" => "log_bucket",
        other => other,
    };
    let mut rows = places.iter();
    let fits = |(of, fields, _): &&(&str, &[&str], Place)| {
        *of == kind && (fields.is_empty() || fields.iter().any(is))
    };
    rows.find(fits).map(|(_, _, place)| *place)
}
