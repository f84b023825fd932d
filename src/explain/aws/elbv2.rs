//! Errors of Elastic Load Balancing.

use crate::explain::entry::{Entry, Kind};

const API: &str = "ELB API Reference 2015-12-01";
const LIMITS: &str =
    "Application Load Balancers User Guide, \"Quotas for your Application Load Balancers\"";
const SEEN: &str = "seen in practice, not documented";

const fn entry(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(Kind::Elb, code, cause, fix, API)
}

const fn quota(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(Kind::Elb, code, cause, fix, LIMITS)
}

const AGAIN: &str = "Run `mtlsgw apply` again; it plans anew from what is there.";
const LOOK: &str = "Run `mtlsgw plan`: it shows what is there now.";

/// Errors of Elastic Load Balancing.
pub(in crate::explain) const ELBV2: &[Entry] = &[
    entry("DuplicateTrustStoreName", "A trust store of this name exists and is not this stack's.", "Hand it over by its tags, delete it, or give the stack another name.").at("trust_store"),
    quota("TooManyTrustStores", "The account has as many trust stores in the region as it may.", "Remove one that no listener uses, or ask for more in Service Quotas.").at("trust_store"),
    entry("CaCertificatesBundleNotFound", "ELB cannot read the CA bundle in S3. It reads with the caller's permissions.", "Allow `s3:GetObject` on the stack's bucket to the caller (and `kms:Decrypt`, if it is encrypted so); bucket policies that demand an address or a VPC endpoint stand in the way.").at("bucket"),
    entry("InvalidCaCertificatesBundle", "ELB does not take the CA bundle: one bad certificate in it refuses all, and AWS does not say which.", "`mtlsgw trust lint` on the bundle says which certificate and why.").at("trust_store.ca_bundle"),
    entry("RevocationContentNotFound", "ELB cannot read the CRL in S3. It reads with the caller's permissions.", "Allow `s3:GetObject` on the stack's bucket to the caller.").at("bucket"),
    entry("InvalidRevocationContent", "ELB does not take the CRL.", "`mtlsgw trust lint` on the CRL says why: DER, a delta CRL, or an algorithm that is not supported.").at("trust_store.crls"),
    quota("TooManyTrustStoreRevocationEntries", "The CRLs of the trust store would hold more than 500,000 entries.", "Have the CA drop expired certificates from its CRL, or ask for more in Service Quotas; while CRLs are swapped, both count.").at("trust_store.crls"),
    entry("RevocationIdNotFound", "The trust store has no revocation of this id any more.", LOOK).at("trust_store.crls"),
    entry("TrustStoreNotFound", "There is no such trust store, or it is only just being made.", AGAIN).at("trust_store"),
    entry("TrustStoreNotReady", "The trust store is still being created.", "Run `mtlsgw apply` again in a minute.").at("trust_store"),
    entry("TrustStoreInUse", "A listener still verifies by the trust store; after the listener is gone this lags.", "Run the same command again in two minutes; a listener of somebody else has to let go of it first.").at("trust_store"),
    entry("TrustStoreAssociationNotFound", "The trust store is not associated with this listener.", LOOK).at("trust_store"),
    entry("DeleteAssociationSameAccount", "Only associations with other accounts can be deleted so.", "Change the listener instead.").at("trust_store"),
    entry("DuplicateLoadBalancerName", "A load balancer of this name exists with other settings.", "Hand it over by its tags, delete it, or give the stack another name.").at("load_balancer"),
    quota("TooManyLoadBalancers", "The account has as many load balancers in the region as it may.", "Remove one, or ask for more in Service Quotas.").at("load_balancer"),
    entry("InvalidConfigurationRequest", "What was asked for does not fit together; the message says what. `Access Denied for bucket` means that the log bucket does not let ELB write.", "For logs see docs/logs.md: the bucket is in the same region, encrypted with SSE-S3, and its policy lets `logdelivery.elasticloadbalancing.amazonaws.com` put objects; a new policy needs some minutes.").at("load_balancer.attributes"),
    Entry::new(Kind::Elb, "Access Denied for bucket", "ELB could not write its test file to the bucket of the logs.", "The bucket's policy has to let `logdelivery.elasticloadbalancing.amazonaws.com` do `s3:PutObject` on `[prefix/]AWSLogs/ACCOUNT/*`; it must be in the load balancer's region and encrypted with SSE-S3, not KMS.", SEEN).at("load_balancer.attributes").says(&["access denied for bucket", "please check s3bucket permission"]),
    entry("SubnetNotFound", "A subnet does not exist.", "Look at the ids in `load_balancer.subnets`, and at the region.").at("load_balancer.subnets"),
    entry("InvalidSubnet", "A subnet does not do: too few free addresses (8 are needed), or no way to the internet for an internet-facing load balancer.", "Choose subnets of /27 or larger whose route table has an internet gateway.").at("load_balancer.subnets"),
    entry("InvalidSecurityGroup", "A security group does not exist, or is of another VPC.", "Look at the ids, and apply again.").at("load_balancer.security_groups"),
    entry("InvalidScheme", "The scheme is not possible here.", "Write `internet-facing` or `internal`.").at("load_balancer.scheme"),
    quota("TooManyTags", "More tags than AWS allows, 50 with those of this tool.", "Remove some of `tags`.").at("tags"),
    entry("DuplicateTagKeys", "A tag is given twice.", "Remove one; keys that differ in case are two.").at("tags"),
    entry("AllocationIdNotFound", "An elastic IP address does not exist.", LOOK),
    entry("AvailabilityZoneNotSupported", "The load balancer cannot be in this availability zone.", "Choose a subnet in another zone.").at("load_balancer.subnets"),
    entry("OperationNotPermitted", "AWS forbids it: mostly deletion protection is on.", "Set `deletion_protection: false` in the stack file and apply that first.").at("load_balancer.deletion_protection"),
    entry("DuplicateListener", "The load balancer has another listener on this port.", "Delete it, or take another port.").at("listener.port"),
    quota("TooManyListeners", "The load balancer has as many listeners as it may, or as many that verify: two, which cannot be raised.", "Take a second load balancer for the third listener that verifies.").at("listeners"),
    quota("TooManyCertificates", "The load balancer has as many certificates as it may (25 besides the default ones).", "Use a certificate with several names.").at("listener.additional_certificates"),
    entry("LoadBalancerNotFound", "There is no such load balancer any more, or not yet.", AGAIN).at("load_balancer"),
    entry("ListenerNotFound", "There is no such listener any more, or not yet.", AGAIN).at("listener"),
    entry("RuleNotFound", "There is no such rule any more.", LOOK).at("listener"),
    entry("TargetGroupNotFound", "There is no such target group any more, or not yet.", AGAIN).at("target_group"),
    quota("TargetGroupAssociationLimit", "The target group is used by another load balancer: it can belong to one only.", "Take a target group of its own; `mtlsgw apply` makes one.").at("target_group"),
    entry("IncompatibleProtocols", "The protocols of listener and target group do not go together.", "Look at `target_group.protocol`.").at("target_group.protocol"),
    entry("SSLPolicyNotFound", "There is no security policy of this name.", "Compare it with AWS's list; the default is `ELBSecurityPolicy-TLS13-1-3-2021-06`.").at("listener.ssl_policy"),
    entry("CertificateNotFound", "There is no such certificate in this region, or it is so new that ELB does not know it.", "Look at the ARN's region; else run `mtlsgw apply` again in some minutes.").at("certificate"),
    Entry::new(Kind::Elb, "UnsupportedCertificate", "ELB cannot use the certificate. Its message speaks of name, signature and key size; mostly the certificate is just not issued yet.", "`mtlsgw plan` shows its state; once it is issued, apply again. Else: RSA of 2048 to 4096 bits or P-256, P-384, P-521, and a name in it.", SEEN).at("certificate"),
    entry("UnsupportedProtocol", "The protocol is not one of application load balancers.", "Write http or https.").at("target_group.protocol"),
    quota("TooManyRegistrationsForTargetId", "The target is registered with as many groups as it may.", "Deregister it elsewhere.").at("target_group.targets"),
    quota("TooManyTargets", "The load balancer has as many targets as it may.", "Register fewer.").at("target_group.targets"),
    quota("TooManyActions", "A rule has too many actions.", LOOK).at("listener"),
    quota("TooManyRules", "The load balancer has as many rules as it may.", "Remove some.").at("listener"),
    entry("InvalidLoadBalancerAction", "The action does not go with the listener.", LOOK).at("listener"),
    quota("TooManyUniqueTargetGroupsPerLoadBalancer", "The load balancer leads to as many target groups as it may.", "Use fewer.").at("target_groups"),
    entry("ALPNPolicyNotFound", "There is no ALPN policy of this name.", LOOK).at("listener"),
    entry("DuplicateTargetGroupName", "A target group of this name exists with other settings.", "Hand it over by its tags, delete it, or give the stack another name.").at("target_group"),
    quota("TooManyTargetGroups", "The account has as many target groups in the region as it may.", "Remove some, or ask for more in Service Quotas.").at("target_group"),
    entry("InvalidTarget", "A target does not exist, is not running, or is not in the VPC.", "Look at `target_group.targets`; public addresses cannot be targets.").at("target_group.targets"),
    entry("HealthUnavailable", "The health of the targets cannot be told for a fault on AWS's side.", AGAIN).at("target_group"),
    entry("PriorityInUse", "Another rule has this priority.", LOOK).at("listener"),
];
