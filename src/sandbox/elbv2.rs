//! Elastic Load Balancing v2: Application Load Balancers that verify client certificates, and
//! Network Load Balancers.

pub(super) mod action;
mod arn;
mod attribute;
pub(super) mod bundle;
pub(super) mod crl;
#[cfg(test)]
mod fixture;
pub(super) mod health;
pub(super) mod listener;
mod listener_certificate;
pub(super) mod load_balancer;
pub(super) mod log_bucket;
pub(super) mod mutual_authentication;
pub(super) mod network;
pub(super) mod outage;
mod page;
mod placement;
pub(super) mod revocation;
pub(super) mod rule;
mod tag;
pub(super) mod target;
pub(super) mod target_group;
pub(super) mod tls_policy;
pub(super) mod trust_store;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::arn::Kind;
use self::listener::Listener;
use self::load_balancer::LoadBalancer;
use self::rule::Rule;
use self::tag::Tags;
use self::target_group::TargetGroup;
use self::trust_store::TrustStore;
use super::tracked::Tracked;
use super::world::{Call, Refusal, World};

/// How long ELB's parts take to hear of each other: a trust store of a listener that is gone, a
/// target group of a rule that is gone.
const PROPAGATION: Duration = Duration::from_secs(5);

/// What ELB holds in one region, by ARN.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Load balancers of both types.
    pub(super) load_balancers: Tracked<BTreeMap<String, LoadBalancer>>,
    /// Listeners of all load balancers.
    pub(super) listeners: Tracked<BTreeMap<String, Listener>>,
    /// Rules of all listeners, without the default ones, which are part of their listener.
    pub(super) rules: Tracked<BTreeMap<String, Rule>>,
    /// Target groups with their targets.
    pub(super) target_groups: Tracked<BTreeMap<String, TargetGroup>>,
    /// Trust stores with their revocations.
    pub(super) trust_stores: Tracked<BTreeMap<String, TrustStore>>,
    /// Tags of everything above.
    tags: Tracked<BTreeMap<String, Tags>>,
    /// Certificates that ACM still counts as used by a load balancer that has let go of them.
    released_certificates: Vec<ReleasedCertificate>,
}

/// A load balancer's use of a certificate that is over, but not yet known to ACM.
#[derive(Debug, Serialize, Deserialize)]
struct ReleasedCertificate {
    certificate: String,
    load_balancer: String,
    until: i64,
}

impl State {
    /// The load balancers that use the ACM certificate, in ACM's eyes: those that have let go of
    /// it stay listed for a while.
    pub(super) fn users_of_certificate(&self, certificate: &str, now: i64) -> Vec<String> {
        let released = self
            .released_certificates
            .iter()
            .filter(|released| released.certificate == certificate && now < released.until)
            .map(|released| released.load_balancer.clone());
        let mut users: Vec<String> = self
            .listeners
            .values()
            .filter(|listener| listener.uses_certificate(certificate))
            .map(|listener| listener.load_balancer.clone())
            .chain(released)
            .collect();
        users.sort();
        users.dedup();
        users
    }

    fn has(&self, kind: Kind, arn: &str) -> bool {
        match kind {
            Kind::LoadBalancer => self.load_balancers.contains_key(arn),
            Kind::Listener => self.listeners.contains_key(arn),
            Kind::Rule => {
                let is_default = |listener: &Listener| listener.default_rule == arn;
                self.rules.contains_key(arn) || self.listeners.values().any(is_default)
            }
            Kind::TargetGroup => self.target_groups.contains_key(arn),
            Kind::TrustStore => self.trust_stores.contains_key(arn),
        }
    }
}

/// What is tagged in the region, as far as the Resource Groups Tagging API knows: it does not know
/// trust stores.
pub(super) fn tagged(world: &World, region: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let Some(region) = world.regions.get(region) else {
        return Vec::new();
    };
    let tags = region.elbv2.tags.iter();
    tags.filter(|(arn, tags)| !tags.is_empty() && Kind::of(arn) != Some(Kind::TrustStore))
        .map(|(arn, tags)| (arn.clone(), tags.clone()))
        .collect()
}

/// The state of the call's region.
fn state<'w>(world: &'w mut World, call: &Call<'_>) -> &'w mut State {
    &mut world.region(call.region).elbv2
}

/// The refusal of a request that can be seen to be wrong without looking at the account.
fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}

/// Operation and the top-level input members it models; any other member is refused by the wire layer.
pub(super) const OPERATIONS: &[(&str, &[&str])] = &[
    (
        "CreateLoadBalancer",
        &[
            "Name",
            "Subnets",
            "SubnetMappings",
            "SecurityGroups",
            "Scheme",
            "Tags",
            "Type",
            "IpAddressType",
        ],
    ),
    (
        "DescribeLoadBalancers",
        &["LoadBalancerArns", "Names", "Marker", "PageSize"],
    ),
    ("DeleteLoadBalancer", &["LoadBalancerArn"]),
    (
        "ModifyLoadBalancerAttributes",
        &["LoadBalancerArn", "Attributes"],
    ),
    ("DescribeLoadBalancerAttributes", &["LoadBalancerArn"]),
    (
        "SetSubnets",
        &[
            "LoadBalancerArn",
            "Subnets",
            "SubnetMappings",
            "IpAddressType",
        ],
    ),
    (
        "SetSecurityGroups",
        &[
            "LoadBalancerArn",
            "SecurityGroups",
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
        ],
    ),
    ("SetIpAddressType", &["LoadBalancerArn", "IpAddressType"]),
    ("DescribeCapacityReservation", &["LoadBalancerArn"]),
    (
        "CreateListener",
        &[
            "LoadBalancerArn",
            "Protocol",
            "Port",
            "SslPolicy",
            "Certificates",
            "DefaultActions",
            "Tags",
            "MutualAuthentication",
            "AlpnPolicy",
        ],
    ),
    (
        "DescribeListeners",
        &["LoadBalancerArn", "ListenerArns", "Marker", "PageSize"],
    ),
    (
        "ModifyListener",
        &[
            "ListenerArn",
            "Port",
            "Protocol",
            "SslPolicy",
            "Certificates",
            "DefaultActions",
            "MutualAuthentication",
            "AlpnPolicy",
        ],
    ),
    ("DeleteListener", &["ListenerArn"]),
    ("ModifyListenerAttributes", &["ListenerArn", "Attributes"]),
    ("DescribeListenerAttributes", &["ListenerArn"]),
    ("AddListenerCertificates", &["ListenerArn", "Certificates"]),
    (
        "RemoveListenerCertificates",
        &["ListenerArn", "Certificates"],
    ),
    (
        "DescribeListenerCertificates",
        &["ListenerArn", "Marker", "PageSize"],
    ),
    (
        "CreateRule",
        &["ListenerArn", "Conditions", "Priority", "Actions", "Tags"],
    ),
    (
        "DescribeRules",
        &["ListenerArn", "RuleArns", "Marker", "PageSize"],
    ),
    ("DeleteRule", &["RuleArn"]),
    (
        "CreateTargetGroup",
        &[
            "Name",
            "Protocol",
            "ProtocolVersion",
            "Port",
            "VpcId",
            "HealthCheckProtocol",
            "HealthCheckPort",
            "HealthCheckEnabled",
            "HealthCheckPath",
            "HealthCheckIntervalSeconds",
            "HealthCheckTimeoutSeconds",
            "HealthyThresholdCount",
            "UnhealthyThresholdCount",
            "Matcher",
            "TargetType",
            "Tags",
            "IpAddressType",
        ],
    ),
    (
        "DescribeTargetGroups",
        &[
            "LoadBalancerArn",
            "TargetGroupArns",
            "Names",
            "Marker",
            "PageSize",
        ],
    ),
    (
        "ModifyTargetGroup",
        &[
            "TargetGroupArn",
            "HealthCheckProtocol",
            "HealthCheckPort",
            "HealthCheckPath",
            "HealthCheckEnabled",
            "HealthCheckIntervalSeconds",
            "HealthCheckTimeoutSeconds",
            "HealthyThresholdCount",
            "UnhealthyThresholdCount",
            "Matcher",
        ],
    ),
    ("DeleteTargetGroup", &["TargetGroupArn"]),
    (
        "ModifyTargetGroupAttributes",
        &["TargetGroupArn", "Attributes"],
    ),
    ("DescribeTargetGroupAttributes", &["TargetGroupArn"]),
    ("RegisterTargets", &["TargetGroupArn", "Targets"]),
    ("DeregisterTargets", &["TargetGroupArn", "Targets"]),
    (
        "DescribeTargetHealth",
        &["TargetGroupArn", "Targets", "Include"],
    ),
    (
        "CreateTrustStore",
        &[
            "Name",
            "CaCertificatesBundleS3Bucket",
            "CaCertificatesBundleS3Key",
            "CaCertificatesBundleS3ObjectVersion",
            "Tags",
        ],
    ),
    (
        "ModifyTrustStore",
        &[
            "TrustStoreArn",
            "CaCertificatesBundleS3Bucket",
            "CaCertificatesBundleS3Key",
            "CaCertificatesBundleS3ObjectVersion",
        ],
    ),
    (
        "DescribeTrustStores",
        &["TrustStoreArns", "Names", "Marker", "PageSize"],
    ),
    ("DeleteTrustStore", &["TrustStoreArn"]),
    (
        "AddTrustStoreRevocations",
        &["TrustStoreArn", "RevocationContents"],
    ),
    (
        "RemoveTrustStoreRevocations",
        &["TrustStoreArn", "RevocationIds"],
    ),
    (
        "DescribeTrustStoreRevocations",
        &["TrustStoreArn", "RevocationIds", "Marker", "PageSize"],
    ),
    (
        "DescribeTrustStoreAssociations",
        &["TrustStoreArn", "Marker", "PageSize"],
    ),
    ("GetTrustStoreCaCertificatesBundle", &["TrustStoreArn"]),
    (
        "GetTrustStoreRevocationContent",
        &["TrustStoreArn", "RevocationId"],
    ),
    (
        "DeleteSharedTrustStoreAssociation",
        &["TrustStoreArn", "ResourceArn"],
    ),
    ("GetResourcePolicy", &["ResourceArn"]),
    ("AddTags", &["ResourceArns", "Tags"]),
    ("RemoveTags", &["ResourceArns", "TagKeys"]),
    ("DescribeTags", &["ResourceArns"]),
    (
        "DescribeSSLPolicies",
        &["Names", "Marker", "PageSize", "LoadBalancerType"],
    ),
];

/// Answers one call.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation {
        "CreateLoadBalancer" => load_balancer::create(world, call),
        "DescribeLoadBalancers" => load_balancer::describe(world, call),
        "DeleteLoadBalancer" => load_balancer::delete(world, call),
        "ModifyLoadBalancerAttributes" => load_balancer::modify_attributes(world, call),
        "DescribeLoadBalancerAttributes" => load_balancer::describe_attributes(world, call),
        "SetSubnets" => load_balancer::set_subnets(world, call),
        "SetSecurityGroups" => load_balancer::set_security_groups(world, call),
        "SetIpAddressType" => load_balancer::set_ip_address_type(world, call),
        "DescribeCapacityReservation" => load_balancer::describe_capacity(world, call),
        "CreateListener" => listener::create(world, call),
        "DescribeListeners" => listener::describe(world, call),
        "ModifyListener" => listener::modify(world, call),
        "DeleteListener" => listener::delete(world, call),
        "ModifyListenerAttributes" => listener::modify_attributes(world, call),
        "DescribeListenerAttributes" => listener::describe_attributes(world, call),
        "AddListenerCertificates" => listener_certificate::add(world, call),
        "RemoveListenerCertificates" => listener_certificate::remove(world, call),
        "DescribeListenerCertificates" => listener_certificate::describe(world, call),
        "CreateRule" => rule::create(world, call),
        "DescribeRules" => rule::describe(world, call),
        "DeleteRule" => rule::delete(world, call),
        "CreateTargetGroup" => target_group::create(world, call),
        "DescribeTargetGroups" => target_group::describe(world, call),
        "ModifyTargetGroup" => target_group::modify(world, call),
        "DeleteTargetGroup" => target_group::delete(world, call),
        "ModifyTargetGroupAttributes" => target_group::modify_attributes(world, call),
        "DescribeTargetGroupAttributes" => target_group::describe_attributes(world, call),
        "RegisterTargets" => target::register(world, call),
        "DeregisterTargets" => target::deregister(world, call),
        "DescribeTargetHealth" => health::describe(world, call),
        "CreateTrustStore" => trust_store::create(world, call),
        "ModifyTrustStore" => trust_store::modify(world, call),
        "DescribeTrustStores" => trust_store::describe(world, call),
        "DeleteTrustStore" => trust_store::delete(world, call),
        "AddTrustStoreRevocations" => revocation::add(world, call),
        "RemoveTrustStoreRevocations" => revocation::remove(world, call),
        "DescribeTrustStoreRevocations" => revocation::describe(world, call),
        "DescribeTrustStoreAssociations" => trust_store::describe_associations(world, call),
        "GetTrustStoreCaCertificatesBundle" => trust_store::bundle_location(world, call),
        "GetTrustStoreRevocationContent" => revocation::location(world, call),
        "DeleteSharedTrustStoreAssociation" => trust_store::delete_association(world, call),
        "GetResourcePolicy" => trust_store::resource_policy(world, call),
        "AddTags" => tag::add(world, call),
        "RemoveTags" => tag::remove(world, call),
        "DescribeTags" => tag::describe(world, call),
        "DescribeSSLPolicies" => tls_policy::describe(call),
        other => Err(Refusal::not_modelled(other, "the operation")),
    }
}
