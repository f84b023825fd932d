//! What becomes of certificates and custom domains.

use super::entry::{Entry, Kind};

const ACM: &str = "ACM API Reference, `CertificateDetail`";
const DOMAIN: &str = "API Gateway API Reference, `DomainName`";

const fn entry(
    code: &'static str,
    cause: &'static str,
    fix: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(Kind::Certificate, code, cause, fix, source)
}

/// Statuses and reasons of failure.
pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "PENDING_VALIDATION",
        "ACM waits for the CNAME record that proves that the name is yours.",
        "`mtlsgw apply` writes it where the zone is in the account, and prints it otherwise; the zone has to be public and delegated to.",
        ACM,
    )
    .at("certificate.request"),
    entry(
        "VALIDATION_TIMED_OUT",
        "The CNAME record was not seen for 72 hours, and ACM gave the request up.",
        "Put the record into the public zone, and apply: a new certificate is requested.",
        ACM,
    )
    .at("certificate.request"),
    entry(
        "CAA_ERROR",
        "A CAA record of the domain does not let Amazon issue certificates.",
        "Add `0 issue \"amazon.com\"` to the CAA records, and apply.",
        "ACM User Guide, \"CAA records\"",
    )
    .at("certificate.request"),
    entry(
        "NO_AVAILABLE_CONTACTS",
        "There was nobody to write to for validation by e-mail.",
        "Request the certificate with validation by DNS, as this tool does.",
        ACM,
    ),
    entry(
        "ADDITIONAL_VERIFICATION_REQUIRED",
        "AWS wants to know more before it issues a certificate for this name.",
        "Ask AWS support; well-known names are affected.",
        ACM,
    ),
    entry(
        "DOMAIN_NOT_ALLOWED",
        "The name was found on a list of unsafe domains.",
        "Have it taken off the list, or use another name.",
        ACM,
    ),
    entry(
        "INVALID_PUBLIC_DOMAIN",
        "The name does not end in a public top-level domain.",
        "Use a public name, or import a certificate of your own CA.",
        ACM,
    )
    .at("certificate"),
    entry(
        "DOMAIN_VALIDATION_DENIED",
        "Somebody refused the validation.",
        "Ask who answers for the domain, and request it anew.",
        ACM,
    ),
    entry(
        "SLR_NOT_FOUND",
        "ACM's service-linked role is missing, which private CAs need.",
        "Make the role; this tool requests public certificates only.",
        ACM,
    ),
    entry(
        "EXPIRED",
        "The certificate has expired: an imported one is never renewed, another only while its CNAME record stands.",
        "Import a new one with `certificate.import`, or put the CNAME record back.",
        ACM,
    )
    .at("certificate"),
    entry(
        "PENDING_OWNERSHIP_VERIFICATION",
        "API Gateway wants a public certificate that proves that the domain is yours.",
        "Have ACM issue the certificate (`certificate.request`) instead of importing it.",
        DOMAIN,
    )
    .at("domain"),
    entry(
        "PENDING_CERTIFICATE_REIMPORT",
        "The imported certificate of the custom domain has to be imported again.",
        "Import a current one with `certificate.import`, and apply.",
        DOMAIN,
    )
    .at("certificate.import"),
];
