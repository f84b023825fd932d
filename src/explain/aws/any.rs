//! Errors that any service may answer.

use crate::explain::entry::{Entry, Kind};

const COMMON: &str = "AWS API references, \"Common errors\"";

const fn entry(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(Kind::Aws, code, cause, fix, COMMON)
}

const DENIED: &str = "Allow the action that the hint names to the caller, or use another `--profile`; service control policies and permission boundaries count as well.";
const LOG_IN: &str = "Log in again, for example with `aws sso login`.";
const CHECK_KEYS: &str =
    "Check AWS_PROFILE, AWS_ACCESS_KEY_ID and the region; look at the clock of this machine.";
const AGAIN: &str = "Nothing: calls are paced and tried again. If it lasts, others use the same quota; run the same command again later.";

/// Errors that any service may answer.
pub(in crate::explain) const ANY: &[Entry] = &[
    entry("AccessDenied", "The caller may not do this.", DENIED)
        .says(&["is not authorized to perform"]),
    entry(
        "UnauthorizedOperation",
        "The caller may not do this (EC2).",
        DENIED,
    ),
    entry(
        "UnauthorizedException",
        "The caller may not do this (API Gateway).",
        DENIED,
    ),
    entry(
        "HTTP 403",
        "The caller may not do this, and the answer has no body that says more (S3's HEAD requests).",
        DENIED,
    ),
    entry(
        "HTTP 404",
        "There is no such thing, and the answer has no body that says more (S3's HEAD requests).",
        "Look at the name of the bucket or object.",
    ),
    entry("ExpiredToken", "The credentials have expired.", LOG_IN),
    entry(
        "RequestExpired",
        "The credentials or the signature have expired.",
        "Log in again, and look at the clock of this machine.",
    ),
    entry(
        "InvalidClientTokenId",
        "The access key is not known to AWS.",
        CHECK_KEYS,
    ),
    entry(
        "UnrecognizedClientException",
        "The access key is not known to AWS.",
        CHECK_KEYS,
    ),
    entry(
        "AuthFailure",
        "The credentials are not valid, or not in this region (EC2).",
        CHECK_KEYS,
    ),
    entry(
        "SignatureDoesNotMatch",
        "The secret key does not fit the access key.",
        CHECK_KEYS,
    ),
    entry(
        "OptInRequired",
        "The account has not subscribed to the service, or the region is not enabled.",
        "Enable the region in the account settings.",
    ),
    entry(
        "Throttling",
        "More calls came than the service allows (Route 53 says it with status 400).",
        AGAIN,
    ),
    entry(
        "RequestLimitExceeded",
        "More calls came than EC2 allows.",
        AGAIN,
    ),
    entry(
        "ServiceUnavailable",
        "The service is not available for the moment.",
        AGAIN,
    ),
    entry("InternalFailure", "AWS failed.", AGAIN),
    entry("InternalError", "AWS failed.", AGAIN),
    entry(
        "RequestTimeout",
        "The request took too long to arrive.",
        AGAIN,
    ),
    entry(
        "ValidationError",
        "A value of the request is not allowed; the message names it.",
        "Change the key of the stack file that the message is about; `mtlsgw validate` finds what can be found without AWS.",
    ),
    entry(
        "ValidationException",
        "A value of the request is not allowed; the message names it.",
        "Change the key of the stack file that the message is about.",
    ),
    entry(
        "ResourceInUse",
        "Something still uses what is to be deleted: a listener the target group, an endpoint service the load balancer.",
        "Nothing for the first minutes, as apply waits; then find the user: the message or `mtlsgw plan` names it.",
    ),
    entry(
        "ResourceInUseException",
        "Something still uses the certificate; after a listener or custom domain is gone this lags for minutes.",
        "Run the same command again in some minutes; `aws acm describe-certificate` shows `InUseBy`.",
    ),
];
