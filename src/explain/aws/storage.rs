//! Errors of ACM, Route 53 and S3.

use crate::explain::entry::{Entry, Kind};

const fn acm(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(Kind::Acm, code, cause, fix, "ACM API Reference")
}

const fn route53(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(Kind::Route53, code, cause, fix, "Route 53 API Reference")
}

const fn s3(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(
        Kind::S3,
        code,
        cause,
        fix,
        "S3 API Reference, \"Error responses\"",
    )
}

const AGAIN: &str = "Run `mtlsgw apply` again; it plans anew from what is there.";

/// Errors of ACM.
pub(in crate::explain) const ACM: &[Entry] = &[
    acm(
        "ResourceNotFoundException",
        "There is no such certificate in this region, or it is so new that it is not known yet.",
        AGAIN,
    )
    .at("certificate"),
    acm(
        "InvalidParameterException",
        "A value is not possible; for imports: certificate, key and chain do not go together.",
        "`mtlsgw validate` says what is wrong with the files.",
    )
    .at("certificate.import"),
    acm(
        "InvalidArnException",
        "The ARN is none of a certificate.",
        "Look at `certificate.arn`.",
    )
    .at("certificate.arn"),
    acm(
        "InvalidTagException",
        "A tag is not allowed.",
        "Look at `tags`.",
    )
    .at("tags"),
    acm(
        "TagPolicyException",
        "A tag policy of the organisation refuses the tags.",
        "Look at `tags`.",
    )
    .at("tags"),
    acm(
        "TooManyTagsException",
        "The certificate has more tags than it may.",
        "Remove some of `tags`.",
    )
    .at("tags"),
    acm(
        "InvalidDomainValidationOptionsException",
        "The name cannot be validated so.",
        "Look at `certificate.request`.",
    )
    .at("certificate.request"),
];

/// Errors of Route 53.
pub(in crate::explain) const ROUTE53: &[Entry] = &[
    route53("NoSuchHostedZone", "There is no such hosted zone.", "Look at `record.zone`, and whether it is in this account.").at("record.zone"),
    route53("NoSuchHealthCheck", "There is no such health check.", "This tool makes none: look at the record."),
    route53("InvalidChangeBatch", "The change does not fit what is in the zone: a record exists, is another than expected, or a CNAME stands beside others.", "Run `mtlsgw plan`: it shows the record; `record.overwrite: true` replaces one that is not this stack's.").at("record"),
    route53("InvalidInput", "A value is not possible.", "Look at `record.name`.").at("record.name"),
    route53("PriorRequestNotComplete", "An earlier change of the same zone is still under way.", "Nothing: it is tried again. If it lasts, run the same command again."),
    route53("NoSuchChange", "The change is not known any more.", AGAIN),
    route53("HostedZoneAlreadyExists", "The zone was made before by the same request.", AGAIN).at("record.zone"),
    route53("HostedZoneNotEmpty", "The zone still holds records.", "Remove them first."),
    route53("ConflictingDomainExists", "The VPC is associated with another zone of this name.", "Use that zone."),
    route53("InvalidDomainName", "The name is no domain name.", "Look at `record.name`.").at("record.name"),
    route53("InvalidVPCId", "There is no such VPC.", "Look at `vpc`.").at("vpc"),
    route53("TooManyHostedZones", "The account has as many hosted zones as it may.", "Remove one, or ask for more in Service Quotas."),
];

/// Errors of S3.
pub(in crate::explain) const S3: &[Entry] = &[
    s3("NoSuchBucket", "There is no such bucket.", "Look at `bucket`, or at the load balancer's attribute `connection_logs.s3.bucket`; the stack's own bucket is made by apply.").at("bucket"),
    s3("NoSuchKey", "There is no such object any more.", AGAIN),
    s3("InvalidObjectState", "The object has gone to an archive and cannot be read.", "Restore it, or have log files go to an archive later."),
    s3("BucketAlreadyExists", "Somebody else has a bucket of this name.", "Name another one with `bucket`.").at("bucket"),
    s3("BucketAlreadyOwnedByYou", "The account has the bucket already.", AGAIN).at("bucket"),
    s3("BucketNotEmpty", "The bucket still holds something.", "Empty it, versions included; logs may arrive late."),
    s3("OperationAborted", "Another operation on the bucket is under way, such as its deletion.", "Run the same command again in some minutes."),
    s3("ConditionalRequestConflict", "Somebody else wrote the object at the same moment.", "Run the same command again: another apply of the stack is under way."),
    s3("PreconditionFailed", "Somebody else has written the object: the lock of the stack.", "Wait for the other apply to end."),
    s3("NoSuchPublicAccessBlockConfiguration", "The bucket does not block public access.", "`mtlsgw apply` blocks it for the stack's own bucket.").at("bucket"),
    s3("NoSuchBucketPolicy", "The bucket has no policy.", "For logs it needs one: docs/logs.md.").at("load_balancer.attributes"),
    s3("NoSuchTagSet", "The bucket has no tags.", AGAIN),
    s3("NoSuchLifecycleConfiguration", "The bucket has no lifecycle rule, so that nothing in it ever goes by itself.", "For the stack's own log bucket `mtlsgw apply` sets one.").at("load_balancer.log_retention_days"),
    s3("ServerSideEncryptionConfigurationNotFoundError", "The bucket has no encryption configured.", "Use SSE-S3 for logs."),
    s3("MalformedPolicy", "The bucket's policy is not accepted.", "Look at its principals."),
    s3("IllegalLocationConstraintException", "The bucket is asked for in another region than it is to be made in.", "Look at `region`.").at("region"),
    s3("InvalidLocationConstraint", "The region is none that a bucket can be in.", "Look at `region`.").at("region"),
    s3("SlowDown", "More requests came than S3 takes for the moment.", "Nothing: they are tried again."),
    s3("BadDigest", "The content did not arrive as it was sent.", "Run the same command again."),
];
