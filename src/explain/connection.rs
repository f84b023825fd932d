//! The field `tls_verify_status` of connection logs.

use super::entry::{Entry, Kind};

/// Where AWS lists the reasons.
const GUIDE: &str = "Application Load Balancers User Guide, \"Connection logs\"";
/// Where AWS says what a client certificate has to be like.
const MUTUAL: &str = "Application Load Balancers User Guide, \"Mutual authentication with TLS\"";

const fn entry(
    code: &'static str,
    cause: &'static str,
    fix: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(Kind::ConnectionLog, code, cause, fix, source)
}

/// The reasons, and the three outcomes that are none.
pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "Success",
        "The client's certificate was verified and the connection was made.",
        "Nothing. Whether the request behind it succeeded is in the access log.",
        GUIDE,
    )
    .at("listener.mutual_authentication"),
    entry(
        "NotVerified",
        "TLS was set up and the listener did not verify a client certificate: mutual authentication is off or in passthrough mode (the log has `-`).",
        "If clients are to be verified, set `mutual_authentication: verify` and apply.",
        GUIDE,
    )
    .at("listener.mutual_authentication"),
    entry(
        "PlainHttp",
        "The connection came without TLS to an HTTP listener (the log has `-` for protocol and status).",
        "Nothing, where that listener only redirects to HTTPS; else have clients use https.",
        GUIDE,
    )
    .at("listener.redirect_http"),
    entry(
        "ClientCertMaxChainDepthExceeded",
        "The chain from the client's certificate to its root has more than four certificates.",
        "Issue client certificates from a CA nearer to the root, or put a shorter chain's root into `trust_store.ca_bundle`; `mtlsgw trust check CERT` shows the chain.",
        GUIDE,
    )
    .at("trust_store.ca_bundle"),
    entry(
        "ClientCertMaxSizeExceeded",
        "The client's certificate, or all that the client sends, is larger than a load balancer takes.",
        "Have the client send only its certificate and the intermediates, no root, and issue certificates with fewer names and extensions.",
        GUIDE,
    )
    .at("listener.mutual_authentication"),
    entry(
        "ClientCertCrlHit",
        "The client's certificate is revoked: a CRL of the trust store lists its serial.",
        "If the revocation is meant, the client needs a new certificate; if not, publish a CRL without the serial and apply (`--allow-widening`).",
        GUIDE,
    )
    .at("trust_store.crls")
    .says(&["alert certificate revoked"]),
    entry(
        "ClientCertCrlProcessingError",
        "A CRL of a CA in the client's chain could not be used, so nobody of that CA gets in.",
        "`mtlsgw trust lint` on the CRL says what is wrong with it, `mtlsgw trust check CERT --live` which one it is; replace it and apply.",
        GUIDE,
    )
    .at("trust_store.crls"),
    entry(
        "ClientCertUntrusted",
        "No chain leads from the client's certificate to a CA of the trust store.",
        "Add the client's CA to `trust_store.ca_bundle` if it is to be trusted, or have the client send its intermediates; `mtlsgw trust check CERT` says what is missing.",
        GUIDE,
    )
    .at("trust_store.ca_bundle")
    .says(&["alert unknown ca"]),
    entry(
        "ClientCertNotYetValid",
        "The client's certificate, or one above it, is not valid yet.",
        "Wait until its `notBefore`, or issue one that is valid now; look at the clock of the CA.",
        GUIDE,
    )
    .at("trust_store.ca_bundle"),
    entry(
        "ClientCertExpired",
        "The client's certificate, or one above it, has expired.",
        "Issue a new certificate. `ignore_client_certificate_expiry: true` lets expired clients in (not expired CAs), and widens access.",
        GUIDE,
    )
    .at("listener.mutual_authentication.ignore_client_certificate_expiry")
    .says(&["alert certificate expired"]),
    entry(
        "ClientCertTypeUnsupported",
        "The key or the signature of a certificate in the chain is of a kind that load balancers do not take, such as RSA below 2048 bits, Ed25519 or SHA-1.",
        "Issue certificates with RSA of 2048 bits or more, or P-256, P-384 or P-521, signed with SHA-256 or better.",
        MUTUAL,
    )
    .at("listener.mutual_authentication")
    .says(&["alert unsupported certificate"]),
    entry(
        "ClientCertInvalid",
        "The client's certificate, or one above it, breaks a rule of X.509.",
        "`mtlsgw trust check CERT` says which; issue it anew.",
        GUIDE,
    )
    .at("listener.mutual_authentication")
    .says(&["alert bad certificate", "alert certificate unknown"]),
    entry(
        "ClientCertPurposeInvalid",
        "The client's certificate is meant for something else than TLS clients: it has extended key usages without `clientAuth`.",
        "Issue it with the extended key usage `clientAuth`, or with none.",
        GUIDE,
    )
    .at("listener.mutual_authentication"),
    entry(
        "ClientCertRejected",
        "The load balancer rejected the client's certificate in a check of its own that AWS does not describe.",
        "`mtlsgw trust check CERT` says whether anything else is wrong with it; else ask AWS support with the `TID_…` of the line.",
        GUIDE,
    )
    .at("listener.mutual_authentication"),
    entry(
        "ClientCertIncompatible",
        "The client's certificate does not fit the listener's security policy: no signature algorithm that both allow goes with its key.",
        "Issue it with another kind of key, or choose a policy that allows it in `listener.ssl_policy`.",
        GUIDE,
    )
    .at("listener.ssl_policy"),
    entry(
        "UnmappedConnectionError",
        "The handshake failed for a reason without a code of its own. Most often the client sent no certificate, spoke no TLS version or cipher of the security policy, or went away.",
        "Have the client send its certificate (`curl --cert --key`) and speak the versions of `listener.ssl_policy`; the default policy takes TLS 1.3 only.",
        "Application Load Balancers User Guide, \"Connection logs\"; that a missing certificate is logged so is seen in practice, not documented",
    )
    .at("listener.ssl_policy"),
];
