//! Fields that have no row, each with the reason.

/// Kinds whose resources carry the tags that say whose they are.
const TAGGED: [&str; 13] = [
    "AWS::ApiGateway::VpcLink",
    "AWS::Route53::HostedZone",
    "AWS::S3::Bucket",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::VPCEndpoint",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::ApiGateway::DomainName",
    "AWS::CertificateManager::Certificate",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::ElasticLoadBalancingV2::TrustStore",
    "AWS::ElasticLoadBalancingV2::Listener",
];

/// AWS has no call that changes it; what is left is to delete the thing, which every kind has a row for.
const IMMUTABLE: &str = "AWS never changes it";
/// What has another one is another thing, and ours is missing.
const IDENTITY: &str = "it is what the thing is known by";
/// The thing becomes so, and nobody has a call for it.
const BY_AWS_ALONE: &str = "AWS alone changes it";

const REASONS: &[(&str, &str, &str)] = &[
    ("AWS::S3::Bucket", "name", IDENTITY),
    ("AWS::S3::Object", "bucket", IDENTITY),
    ("AWS::S3::Object", "key", IDENTITY),
    ("AWS::EC2::SecurityGroup", "name", IMMUTABLE),
    ("AWS::EC2::SecurityGroup", "vpc", IMMUTABLE),
    ("AWS::EC2::VPCEndpoint", "vpc", IMMUTABLE),
    ("AWS::EC2::VPCEndpoint", "service", IMMUTABLE),
    ("AWS::EC2::VPCEndpoint", "state", BY_AWS_ALONE),
    ("AWS::ApiGateway::Deployment", "api", IDENTITY),
    (
        "AWS::ApiGateway::Deployment",
        "description",
        "differs only where a deployment is to be adopted: `export`",
    ),
    ("AWS::ApiGateway::Stage", "api", IDENTITY),
    ("AWS::ApiGateway::Stage", "name", IDENTITY),
    ("AWS::ApiGateway::DomainName", "name", IDENTITY),
    ("AWS::ApiGateway::BasePathMapping", "domain", IDENTITY),
    ("AWS::ApiGateway::BasePathMapping", "base_path", IDENTITY),
    ("AWS::CertificateManager::Certificate", "source", IMMUTABLE),
    ("AWS::CertificateManager::Certificate", "request", IMMUTABLE),
    (
        "AWS::CertificateManager::Certificate",
        "subject_alternative_names",
        IMMUTABLE,
    ),
    (
        "AWS::CertificateManager::Certificate",
        "key_algorithm",
        IMMUTABLE,
    ),
    // Part of the certificate, which has a row.
    ("AWS::CertificateManager::Certificate", "usages", IMMUTABLE),
    (
        "AWS::CertificateManager::Certificate",
        "status",
        BY_AWS_ALONE,
    ),
    // Which zones the validation records are in: says whose they are.
    (
        "AWS::CertificateManager::Certificate",
        "tags.mtlsgw:validation",
        IDENTITY,
    ),
    // Which records are ours, whatever they point to.
    (
        "AWS::ApiGateway::DomainName",
        "tags.mtlsgw:record",
        IDENTITY,
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "tags.mtlsgw:record",
        IDENTITY,
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "name",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "scheme",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "vpc",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "name",
        IMMUTABLE,
    ),
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "vpc", IMMUTABLE),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "protocol",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "port",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "target_type",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "ip_address_type",
        IMMUTABLE,
    ),
    // A group serves the load balancer that it was first used by, until nothing uses it.
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "load_balancer",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetRegistration",
        "target_group",
        IDENTITY,
    ),
    // The group's own; a target on another port is another target.
    (
        "AWS::ElasticLoadBalancingV2::TargetRegistration",
        "port",
        IMMUTABLE,
    ),
    ("AWS::ElasticLoadBalancingV2::TrustStore", "name", IMMUTABLE),
    (
        "AWS::ElasticLoadBalancingV2::TrustStoreRevocation",
        "trust_store",
        IDENTITY,
    ),
    (
        "AWS::ElasticLoadBalancingV2::TrustStoreRevocation",
        "crl",
        IDENTITY,
    ),
    (
        "AWS::ElasticLoadBalancingV2::Listener",
        "load_balancer",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "type",
        IMMUTABLE,
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "attributes.proxy_protocol_v2.enabled",
        "the sandbox has no servers that would understand it",
    ),
    ("AWS::ApiGateway::VpcLink", "target", IMMUTABLE),
    ("AWS::ApiGateway::VpcLink", "status", BY_AWS_ALONE),
    ("AWS::Route53::HostedZone", "name", IMMUTABLE),
    ("AWS::Route53::RecordSet", "zone", IDENTITY),
    ("AWS::Route53::RecordSet", "name", IDENTITY),
    ("AWS::Route53::RecordSet", "type", IDENTITY),
];

/// All fields that have a reason, as kind and field, with the reason.
pub(super) fn fields() -> impl Iterator<Item = ((String, String), &'static str)> {
    let owners = TAGGED.iter().flat_map(|kind| {
        ["tags.mtlsgw:stack", "tags.mtlsgw:address"].map(|tag| (*kind, tag, IDENTITY))
    });
    let all = REASONS.iter().copied().chain(owners);
    all.map(|(kind, field, reason)| ((kind.to_owned(), field.to_owned()), reason))
}

/// The fields of the kinds' structs that are compared with nothing, by file, each with the reason.
const IGNORED: &[(&str, &str, &str)] = &[
    (
        "base_path_mapping",
        "base_path",
        "compared as the path that it stands for",
    ),
    (
        "certificate",
        "files",
        "where the content comes from, which is compared",
    ),
    (
        "certificate",
        "validation",
        "part of the tags, which are compared",
    ),
    (
        "certificate_validation",
        "certificate",
        "its records are compared",
    ),
    (
        "certificate_validation",
        "zones",
        "where the records go that are compared",
    ),
    ("deployment", "behind", RUN),
    ("domain_name", "lingering", RUN),
    ("hosted_zone", "load_balancer", RUN),
    (
        "log_bucket",
        "delete_logs",
        "a permission of the command line",
    ),
    ("listener", "registration", RUN),
    ("listener", "revocations", RUN),
    (
        "load_balancer",
        "log_buckets",
        "part of the attributes, which are compared",
    ),
    ("load_balancer", "lingering", RUN),
    ("load_balancer", "admitted_by", RUN),
    ("load_balancer", "reached_by", RUN),
    (
        "load_balancer",
        "unmanaged",
        "the stack file leaves these attributes to somebody else",
    ),
    (
        "object",
        "remembered_by",
        "which trust store to tell when the object is gone",
    ),
    ("record_set", "destinations", RUN),
    ("record_set", "leads_to", RUN),
    ("record_set", "forgets", RUN),
    (
        "record_set",
        "held",
        "the record as it is, whose parts are compared",
    ),
    ("record_set", "makes_room", RUN),
    ("record_set", "overwrite", "a permission of the stack file"),
    ("rest_api", "vpc_links", RUN),
    ("security_group", "description", IMMUTABLE),
    ("target_registration", "listeners", RUN),
    ("target_registration", "vpc_cidrs", RUN),
    ("trust_store", "bucket", COPIED),
    ("trust_store", "object", COPIED),
    ("trust_store", "revocations", RUN),
    ("trust_store_revocation", "bucket", COPIED),
    ("trust_store_revocation", "object", COPIED),
    (
        "trust_store_revocation",
        "entries",
        "it follows from the content, which is compared",
    ),
    ("trust_store_revocation", "vouchers", RUN),
    ("vpc_endpoint", "zones", RUN),
];

/// Only what a run needs: what to wait for, or what else to look at.
const RUN: &str = "AWS keeps nothing like it";
/// AWS never says where it had a content from; the content is compared.
const COPIED: &str = "AWS has copied what was there";

/// The same without the reasons.
pub(super) fn ignored() -> impl Iterator<Item = (String, String)> {
    let all = IGNORED.iter();
    all.map(|(file, field, _)| ((*file).to_owned(), (*field).to_owned()))
}
