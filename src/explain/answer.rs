//! What clients see: the 403s of API Gateway, told apart by their text, and the statuses that the
//! load balancer makes itself.

use super::entry::{Entry, Kind};

const RESPONSES: &str = "API Gateway Developer Guide, \"Gateway response types\"";
const POLICIES: &str =
    "API Gateway Developer Guide, \"Control access to a REST API with resource policies\"";
const TROUBLE: &str =
    "Application Load Balancers User Guide, \"Troubleshoot your Application Load Balancers\"";

const fn answer(
    code: &'static str,
    cause: &'static str,
    fix: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(Kind::Answer, code, cause, fix, source)
}

const fn status(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(Kind::Status, code, cause, fix, TROUBLE)
}

/// Answers first, then statuses.
pub(super) const ENTRIES: &[Entry] = &[
    answer(
        "403",
        "API Gateway refuses the request, and its message tells why: `Forbidden`, `Missing Authentication Token` or `User: anonymous is not authorized …`. A page of HTML with `Server: awselb/2.0` comes from the load balancer itself: a web ACL or a rule of the listener.",
        "Run `mtlsgw explain` with the message.",
        "API Gateway Developer Guide, \"Gateway response types\"",
    ),
    answer(
        "alert certificate required",
        "The client sent no certificate, and the listener verifies clients. With TLS 1.3 a client sees that only when it reads. Load balancers may close the connection without any alert.",
        "Have the client send its certificate and key: `curl --cert cert.pem --key key.pem`.",
        "RFC 8446, section 6; which alerts load balancers send is not documented",
    )
    .at("listener.mutual_authentication")
    .says(&["alert certificate required", "certificate required"]),
    answer(
        "connection reset by peer",
        "The load balancer ended the connection: mostly it refuses the client's certificate, and with TLS 1.3 that shows only after the handshake seems done.",
        "`mtlsgw logs` has the reason, five minutes later at most; `mtlsgw trust check CERT` has it at once.",
        "seen in practice, not documented",
    )
    .at("listener.mutual_authentication")
    .says(&["connection reset by peer", "unexpected eof while reading", "recv failure"]),
    answer(
        "alert protocol version",
        "The client speaks no TLS version that the listener's security policy takes: the default takes TLS 1.3 only.",
        "Have the client speak TLS 1.3, or choose a policy in `listener.ssl_policy` that takes TLS 1.2 (that widens access).",
        "RFC 8446, section 6; Application Load Balancers User Guide, \"Security policies\"",
    )
    .at("listener.ssl_policy")
    .says(&["alert protocol version", "unsupported protocol", "err_ssl_version_or_cipher_mismatch"]),
    answer(
        "Forbidden",
        "API Gateway knows no API for the request, or a web ACL refuses it: the Host is no custom domain of this account and region, the domain has no mapping for the path, the mapped stage is gone, or WAF filtered it. Health checks get it as well, as their Host is an address, and are healthy with it.",
        "Call the name of `domain.name` itself; `mtlsgw plan` shows a missing domain, mapping or stage; look for a web ACL on the stage.",
        "API Gateway Developer Guide, \"Gateway response types\" (WAF_FILTERED); the other cases are seen in practice, not documented",
    )
    .at("domain.name")
    .says(&["\"forbidden\"", "message: forbidden"]),
    answer(
        "Missing Authentication Token",
        "The API was found, and it has no such path and method: despite its words this has nothing to do with authentication.",
        "Compare path and method with the OpenAPI file: behind a custom domain the stage is not part of the path, and the base path of the mapping is cut off; what was added to the API needs a deployment (`mtlsgw apply`).",
        RESPONSES,
    )
    .at("api.openapi")
    .says(&["missing authentication token"]),
    answer(
        "User: anonymous is not authorized",
        "The resource policy that was deployed, or the policy of the VPC endpoint, does not allow the request.",
        "A changed policy works only after a new deployment: `mtlsgw apply` makes one; look whether the request comes through the VPC or endpoint that `api.policy` allows, and at `endpoint.policy`.",
        POLICIES,
    )
    .at("api.policy")
    .says(&["is not authorized to perform … execute-api:invoke"]),
    answer(
        "with an explicit deny",
        "A `Deny` statement of the deployed resource policy or of the VPC endpoint's policy fits the request: it came past the VPC or endpoint that the policy demands.",
        "Have the request come through the load balancer; where it does, `mtlsgw plan` shows whether policy and endpoint still fit each other, and `mtlsgw apply` deploys the policy anew.",
        POLICIES,
    )
    .at("api.policy")
    .says(&["is not authorized to perform … execute-api:invoke … with an explicit deny"]),
    answer(
        "INVALID_API_KEY",
        "The method demands an API key, and the request has none that is valid.",
        "Send `x-api-key`, or take `apiKeyRequired` off the method; clients here are told apart by certificate.",
        RESPONSES,
    )
    .at("api.openapi"),
    answer(
        "UNAUTHORIZED",
        "An authorizer of the API refused the request (401 `{\"message\":\"Unauthorized\"}`).",
        "Send what the authorizer demands, or remove it from the OpenAPI file.",
        RESPONSES,
    )
    .at("api.openapi")
    .says(&["\"unauthorized\""]),
    answer(
        "REQUEST_TOO_LARGE",
        "The request's body is over 10 MB, or its headers are over 8,000 bytes in all, which is what private APIs take (413, or 400 for headers).",
        "Certificate headers take room: passthrough sends whole chains; have clients send fewer cookies and shorter chains.",
        "API Gateway Developer Guide, \"Quotas\" and \"Gateway response types\"",
    )
    .at("listener.mutual_authentication")
    .says(&["request too long", "request entity too large"]),
    answer(
        "INTEGRATION_FAILURE",
        "API Gateway could not reach the backend of the method, or its TLS certificate was not accepted (502 or 504).",
        "Look at the integration's `uri` and at the backend's certificate: its chain, name and dates count even with `insecure_skip_verification`.",
        RESPONSES,
    )
    .at("api.openapi")
    .says(&["internal server error"]),
    answer(
        "INTEGRATION_TIMEOUT",
        "The backend did not answer within the integration's time-out, 29 seconds unless raised (504 `Endpoint request timed out`).",
        "Look why the backend is slow or silent, security groups and VPC link included.",
        RESPONSES,
    )
    .at("api.openapi")
    .says(&["endpoint request timed out"]),
    answer(
        "API_CONFIGURATION_ERROR",
        "The API is set up so that the request cannot be served: a mapping template, an authorizer or an integration is wrong (500).",
        "Look at the method in the OpenAPI file; the stage's access logs name the error with `$context.error.message`.",
        RESPONSES,
    )
    .at("api.openapi"),
    answer(
        "RESOURCE_NOT_FOUND",
        "The API has no such resource (404).",
        "Compare the path with the OpenAPI file.",
        RESPONSES,
    )
    .at("api.openapi"),
    answer(
        "UNSUPPORTED_MEDIA_TYPE",
        "The method takes no body of this content type (415).",
        "Send a `Content-Type` that the integration has a template for.",
        RESPONSES,
    )
    .at("api.openapi"),
    answer(
        "THROTTLED",
        "More requests came than the stage or the account allows (429).",
        "Raise `api.throttling`, or the account's quota in Service Quotas.",
        RESPONSES,
    )
    .at("api.throttling")
    .says(&["\"too many requests\""]),
    answer(
        "QUOTA_EXCEEDED",
        "A usage plan's quota is used up (429 `Limit Exceeded`).",
        "Raise the usage plan's quota.",
        RESPONSES,
    )
    .at("api.throttling"),
    status(
        "460",
        "The client closed the connection before the load balancer could answer.",
        "Compare the client's time-out with the time that the backend takes.",
    ),
    status(
        "463",
        "The request has an `X-Forwarded-For` header with more than 30 addresses.",
        "Look for a loop of proxies in front of the load balancer.",
    ),
    status(
        "464",
        "The request's protocol version does not fit the target group's, such as gRPC or HTTP/2 only.",
        "Leave the target group at HTTP/1.1, which is what private APIs speak.",
    ),
    status(
        "502",
        "The target's answer could not be used: the TLS handshake with it failed, it reset the connection, its answer was no HTTP, or its headers were over 32 KB.",
        "Look whether the targets speak HTTPS on the port of the target group, and whether they are still the endpoint's addresses (`mtlsgw plan`).",
    )
    .at("target_group"),
    status(
        "503",
        "The target group has no registered target, or none is in use. Targets that fail their health checks do not cause it: the load balancer then sends to all of them.",
        "`mtlsgw apply` registers the endpoint's addresses again.",
    )
    .at("target_group"),
    status(
        "504",
        "No connection to a target within 10 seconds, or no answer within the idle time-out: mostly a security group that drops port 443.",
        "The endpoint's security group has to let the load balancer's in on 443, and the load balancer's has to let it out; `mtlsgw plan` shows rules that are missing.",
    )
    .at("endpoint.security_groups"),
    status(
        "505",
        "The request's HTTP version is not supported.",
        "Have the client speak HTTP/1.1 or HTTP/2.",
    ),
    status(
        "561",
        "The identity provider of an `authenticate-oidc` rule answered with an error.",
        "This tool makes no such rules: look who added one to the listener.",
    ),
    status(
        "562",
        "The key set of a JWT rule could not be fetched or used.",
        "This tool makes no such rules: look who added one to the listener.",
    ),
];
