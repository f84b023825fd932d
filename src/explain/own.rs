//! Warnings of our own: those of plans, and those of `trust check`.

use super::entry::{Entry, Kind};

const PLAN: &str = "`mtlsgw plan` and `validate`";
const ADOPT: &str = "docs/adopt.md";
const CHECK: &str = "`mtlsgw trust check`, docs/trust-check.md";

const fn entry(
    code: &'static str,
    cause: &'static str,
    fix: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(Kind::Own, code, cause, fix, source)
}

/// By name, the plan's first.
pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "unused_trust_store",
        "The stack has a trust store, and no listener verifies by it.",
        "Set `mutual_authentication: verify` when the switch is to be made; until then it is only prepared.",
        PLAN,
    )
    .at("listener.mutual_authentication"),
    entry(
        "unknown_attribute",
        "The stack file sets an attribute that this version does not know; AWS is asked to take it as it stands.",
        "Compare its spelling with the ELB API Reference.",
        PLAN,
    )
    .at("load_balancer.attributes"),
    entry(
        "overruled_extension",
        "The OpenAPI file says something that the stack file decides, and the stack file's word counts.",
        "Remove the extension from the OpenAPI file, or say the same in both.",
        PLAN,
    )
    .at("api.openapi"),
    entry(
        "unused_network_load_balancer",
        "The stack has a network load balancer to which no API has a VPC link, and no private name.",
        "Set `api.vpc_link` and use `${vpc_link}` in the OpenAPI file, or name a `private_zone`.",
        PLAN,
    )
    .at("network_load_balancer"),
    entry(
        "hidden_zone",
        "A private zone hides the public zone of the same name within its VPC, where names that it lacks are not found.",
        "Take a name for the private zone that no public name ends with, such as `backend.internal`.",
        PLAN,
    )
    .at("network_load_balancer.private_zone"),
    entry(
        "crl_not_fetched",
        "A URL of CRLs could not be fetched; the live CRLs stay as they are.",
        "Look whether the URL answers from here, and run `mtlsgw crl refresh` again.",
        "docs/crl-refresh.md",
    )
    .at("trust_store.crls"),
    entry(
        "crl_refresh_due",
        "A live CRL is near its end, and its URL serves a newer one.",
        "Run `mtlsgw crl refresh`, best by a timer.",
        "docs/crl-refresh.md",
    )
    .at("trust_store.crls"),
    entry(
        "validation_by_hand",
        "No public zone of the account holds the certificate's name, so its CNAME record has to be made elsewhere.",
        "Put the record that apply prints into the zone, and run apply again.",
        PLAN,
    )
    .at("certificate.zone"),
    entry(
        "adoption_leaves",
        "What is to be adopted differs from the stack file here; adopting writes tags and leaves it as it is.",
        "Write what is there into the stack file, or let the next `mtlsgw apply` change it.",
        ADOPT,
    ),
    entry(
        "not_exported",
        "The load balancer has something that the stack file has no words for; it stays as it is, and is nobody's.",
        "Keep it beside the stack, or move what it does into the stack file by hand.",
        ADOPT,
    ),
    entry(
        "exported_otherwise",
        "The stack file cannot say it as it is, so `mtlsgw apply` would change it once it is adopted.",
        "Look whether anybody relies on it before you apply.",
        ADOPT,
    ),
    entry(
        "not-attached",
        "No live listener verifies by the trust store yet.",
        "Apply the stack; the answer holds for the listeners as the file wants them.",
        CHECK,
    ),
    entry(
        "not-verified",
        "A listener verifies nobody and lets every client in.",
        "Set `mutual_authentication: verify`, unless it is meant so.",
        CHECK,
    )
    .at("listener.mutual_authentication"),
    entry(
        "several-issuers",
        "Two CA certificates have the name of the issuer, and AWS does not document whether a load balancer tries both.",
        "Keep only one of them in the bundle once nobody needs the other.",
        CHECK,
    )
    .at("trust_store.ca_bundle"),
    entry(
        "anchor-without-root",
        "The trust store holds an intermediate CA without its root; AWS does not document whether it is trusted alone.",
        "Add the root to the bundle.",
        CHECK,
    )
    .at("trust_store.ca_bundle"),
    entry(
        "search-cut-off",
        "There are more ways through the certificates than any honest chain has.",
        "Remove certificates that the client need not send.",
        CHECK,
    ),
    entry(
        "other-chain-fails",
        "One chain is good and another one fails; AWS does not document whether a load balancer tries more than one.",
        "Remove what leads to the bad chain: an expired cross-certificate, or a second issuer.",
        CHECK,
    )
    .at("trust_store.ca_bundle"),
    entry(
        "partial-chain",
        "The chain is good up to an intermediate that the trust store holds, and not up to the root.",
        "Mend what is above it, or do not rely on the intermediate alone.",
        CHECK,
    )
    .at("trust_store.ca_bundle"),
    entry(
        "bundle-refused",
        "AWS would not take this CA bundle, or its clients fail.",
        "`mtlsgw trust lint` on the bundle says why.",
        CHECK,
    )
    .at("trust_store.ca_bundle"),
    entry(
        "negative-serial",
        "A certificate has a negative serial, which no CRL can revoke.",
        "Issue it anew.",
        CHECK,
    ),
    entry(
        "unusual-serial",
        "A certificate has a serial that RFC 5280 does not allow: zero, or longer than 20 octets.",
        "Issue it anew.",
        CHECK,
    ),
    entry(
        "policies-not-evaluated",
        "A certificate demands certificate policies, which are not evaluated here.",
        "Know that the verdict does not depend on them.",
        CHECK,
    ),
    entry(
        "expiry-ignored",
        "The client's certificate has expired, and the listener is told to ignore it.",
        "Issue a new certificate, or set `ignore_client_certificate_expiry: false`.",
        CHECK,
    )
    .at("listener.mutual_authentication.ignore_client_certificate_expiry"),
    entry(
        "crl-unchecked",
        "A CRL is of a CA that the trust store does not hold, so its entries do not count.",
        "Add the CA, or remove the CRL.",
        CHECK,
    )
    .at("trust_store.crls"),
    entry(
        "crl-partial",
        "A CRL covers only some certificates or reasons; its entries count here.",
        "Ask the CA for a complete CRL.",
        CHECK,
    )
    .at("trust_store.crls"),
];
