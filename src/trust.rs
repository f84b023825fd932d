//! Certificates, revocation lists and bundles: parse, lint, normalise, compare.
//!
//! Nothing here talks to AWS, to the network or to the terminal. The rules it checks are those by
//! which Application Load Balancers, ACM and API Gateway accept or refuse what they are given,
//! so that a mistake is explained before the first call instead of by a vague error after it.

mod algorithm;
mod bundle;
mod certificate;
mod changes;
mod check;
mod crl;
#[cfg(test)]
mod damaged;
mod der;
mod digest;
mod error;
mod extension;
#[cfg(test)]
pub(crate) mod fixtures;
mod general_name;
mod headers;
mod lint;
mod lockout;
mod name;
mod pem;
#[cfg(test)]
mod pkits;
mod private_key;
mod quota;
mod serial;
mod server;
mod source;

pub(crate) use algorithm::check_signature;
pub use algorithm::{Hash, KeyAlgorithm, SignatureAlgorithm, SignatureCheck};
pub use bundle::Bundle;
pub use certificate::Certificate;
pub use changes::{
    BundleChanges, RevocationChanges, SerialChanges, bundle_changes, crl_changes,
    revocation_changes, succession,
};
pub use check::{
    CheckOptions, CheckWarning, CrlEvidence, MAXIMUM_DEPTH, Purpose, Reason, Refusal, Source, Step,
    Trusted, Verdict, check_client,
};
pub use crl::{Crl, CrlScope};
pub use digest::{NotADigest, Sha256Digest};
pub use error::{Error, Origin, Wanted};
pub use extension::Extensions;
pub use general_name::{GeneralName, NameConstraints, NameKind, Subtree};
pub use headers::{HEADER_BUDGET, Header, passthrough_header, verify_headers, wire_length};
pub use lint::{
    BackendTrust, Finding, Rule, Severity, backend_without_tls12, crl_predecessor, judge_backend,
    lint_bundle, lint_client, lint_crl, lint_crls, lint_server_certificate, lint_sources,
    lint_succession, lint_successor, rules,
};
pub use lockout::{Affected, Gate, IssuerUnknown, KnownClient, Lockout, Seen};
pub use name::DistinguishedName;
pub use private_key::PrivateKey;
pub use quota::{CrlLoad, CrlSwap, DEFAULT_CRLS, DEFAULT_ENTRIES};
pub use serial::Serial;
pub use server::{ChainError, arrange_chain, check_chain, covers};
pub use source::{SourceContent, SourceEntry, SourceFile};
