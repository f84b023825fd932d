//! The certificate-path cases of C2SP/x509-limbo, judged by the verifier behind `trust check`.
//!
//! Most of them are about servers, and many demand more of a CA than a load balancer asks of a
//! client. Each case agrees or stands below, with the rule that explains why it does not.

use std::collections::BTreeMap;

use mtlsgw::trust::{
    Bundle, Certificate, CheckOptions, Crl, Error, Purpose, Reason, Trusted, check_client,
};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::acts::tell;
use crate::support::{Scenario, root};

/// Where the cases are; they are no part of the repository.
const CASES: &str = "../shared/data/x509-limbo.json";

/// The fewest cases that must have been judged, and agreed.
const FLOOR: (usize, usize) = (123, 99);

/// The most certificates that a chain may have where a case does not say.
const UNLIMITED: usize = 16;

/// The cases that are judged otherwise than the suite wants, and why.
///
/// RFC 5280 tells CAs what to issue and verifiers what to accept; the suite refuses what CAs should
/// not have issued. No rule of AWS's asks for these, and OpenSSL takes all of them by default.
const EXPLAINED: &[(&str, &str)] = &[
    ("crl::crlnumber-critical", CRL_PROFILE),
    ("crl::crlnumber-missing", CRL_PROFILE),
    (
        "pathlen::max-chain-depth-1-self-issued",
        "AWS's limit is on the certificates of a chain, and does not spare self-issued ones",
    ),
    (
        "rfc5280::aki::cross-signed-root-missing-aki",
        KEY_IDENTIFIERS,
    ),
    ("rfc5280::aki::intermediate-missing-aki", KEY_IDENTIFIERS),
    ("rfc5280::aki::leaf-missing-aki", KEY_IDENTIFIERS),
    ("rfc5280::ca-as-leaf-wrong-san", SERVER_NAME),
    ("rfc5280::ca-empty-subject", PROFILE),
    (
        "rfc5280::eku::ee-wrong-eku",
        "the certificate is for clients and the case asks for a server: a load balancer wants it so",
    ),
    ("rfc5280::leaf-ku-keycertsign", PROFILE),
    (
        "rfc5280::nc::invalid-dnsname-leading-period",
        "a leading period is common, and means what it means for mail addresses: only what is below",
    ),
    ("rfc5280::nc::not-allowed-in-ee-critical", PROFILE),
    ("rfc5280::nc::not-allowed-in-ee-noncritical", PROFILE),
    ("rfc5280::nc::permitted-dns-match-noncritical", CRITICALITY),
    ("rfc5280::pc::ica-noncritical-pc", CRITICALITY),
    ("rfc5280::root-non-critical-basic-constraints", CRITICALITY),
    ("rfc5280::san::ip-in-dns", SERVER_NAME),
    ("rfc5280::san::noncritical-with-empty-subject", CRITICALITY),
    ("rfc5280::san::underscore-dns", SERVER_NAME),
    ("rfc5280::serial::negative", SERIAL),
    ("rfc5280::serial::too-long", SERIAL),
    ("rfc5280::serial::zero", SERIAL),
    ("rfc5280::ski::intermediate-missing-ski", KEY_IDENTIFIERS),
    ("rfc5280::ski::root-missing-ski", KEY_IDENTIFIERS),
];

const CRL_PROFILE: &str = "AWS takes CRLs without or with any number, as `openssl ca` makes them";
const KEY_IDENTIFIERS: &str = "key identifiers help to find an issuer, which is found without";
const SERVER_NAME: &str = "a client has no host name that it would have to prove";
const PROFILE: &str = "binds the CA that issues it; the verifier's rules do not look at it";
const CRITICALITY: &str = "the extension is heeded, whether it is marked critical or not";
const SERIAL: &str = "AWS asks for no form of serial; the answer carries a warning";

/// What refuses a client in cases with a single flaw.
const REASONS: &[(&str, Reason)] = &[
    ("crl::revoked-certificate-with-crl", Reason::CrlHit),
    ("crl::issuer-missing-crlsign", Reason::CrlProcessingError),
    ("pathlen::intermediate-violates-pathlen-0", Reason::Invalid),
    (
        "pathlen::max-chain-depth-1-exhausted",
        Reason::MaxChainDepthExceeded,
    ),
    ("rfc5280::chain-untrusted-root", Reason::Untrusted),
    ("rfc5280::intermediate-ca-without-ca-bit", Reason::Invalid),
    ("rfc5280::nc::excluded-dn-match", Reason::Invalid),
    (
        "rfc5280::unknown-critical-extension-intermediate",
        Reason::Invalid,
    ),
    ("rfc5280::validity::expired-root", Reason::Expired),
    ("rfc5280::validity::expired-1-second", Reason::Expired),
    (
        "rfc5280::validity::not-yet-valid-1-second",
        Reason::NotYetValid,
    ),
];

#[derive(Deserialize)]
struct Suite {
    testcases: Vec<Case>,
}

/// What is used of a case.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    extended_key_usage: Vec<String>,
    expected_result: String,
    max_chain_depth: Option<usize>,
    crls: Vec<String>,
}

/// How a case was judged.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Judged {
    Accepted,
    Refused(Reason),
    /// A certificate or CRL cannot be read at all.
    Unreadable,
}

/// The cases; none where the file is absent.
pub(crate) fn cases() -> Option<Vec<Case>> {
    let Ok(text) = std::fs::read_to_string(root().join(CASES)) else {
        tell(&format!("skipped: {CASES} is absent"));
        return None;
    };
    let suite: Suite = serde_json::from_str(&text).expect("is the suite's JSON");
    Some(suite.testcases)
}

impl Case {
    /// When it is judged.
    pub(crate) fn at(&self) -> OffsetDateTime {
        let given = self.validation_time.as_deref();
        given.map_or_else(OffsetDateTime::now_utc, |time| {
            OffsetDateTime::parse(time, &Rfc3339).expect("is a time")
        })
    }

    /// The purpose, which for servers is none of ours.
    pub(crate) fn purpose(&self) -> Purpose {
        if self
            .extended_key_usage
            .iter()
            .any(|one| one == "clientAuth")
        {
            Purpose::Client
        } else {
            Purpose::Any
        }
    }

    /// What `trust check` says.
    pub(crate) fn judge(&self) -> Judged {
        self.verdict().unwrap_or(Judged::Unreadable)
    }

    fn verdict(&self) -> Result<Judged, Error> {
        let client = Certificate::from_pem(&self.peer_certificate)?;
        let read = |pem: &String| Certificate::from_pem(pem);
        // A trust store with something unreadable would not exist; the rest of the client's is read.
        let bundle: Result<Bundle, Error> = self.trusted_certs.iter().map(read).collect();
        let sent: Vec<Certificate> = self
            .untrusted_intermediates
            .iter()
            .map(read)
            .collect::<Result<_, _>>()?;
        let crls: Vec<Crl> = self
            .crls
            .iter()
            .map(|pem| Crl::all_from_bytes(pem.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        let trusted = Trusted {
            bundle: &bundle?,
            crls: &crls,
        };
        let options = CheckOptions {
            purpose: self.purpose(),
            maximum_depth: self.depth(),
            ..CheckOptions::at(self.at())
        };
        let verdict = check_client(&client, &sent, trusted, &options);
        Ok(verdict.reason().map_or(Judged::Accepted, Judged::Refused))
    }

    /// How many certificates its chain may have; the suite counts intermediates.
    pub(crate) fn depth(&self) -> usize {
        self.max_chain_depth.map_or(UNLIMITED, |depth| depth + 2)
    }

    /// What the client sends, its own certificate first, in DER.
    pub(crate) fn sent(&self) -> Option<Vec<Vec<u8>>> {
        let client = std::iter::once(&self.peer_certificate);
        der(client.chain(&self.untrusted_intermediates))
    }

    /// The CAs that are trusted, in DER.
    pub(crate) fn bundle(&self) -> Option<Vec<Vec<u8>>> {
        der(&self.trusted_certs)
    }

    /// The CRLs, in DER.
    pub(crate) fn lists(&self) -> Option<Vec<Vec<u8>>> {
        der(&self.crls)
    }

    fn agrees(&self, judged: &Judged) -> bool {
        (self.expected_result == "SUCCESS") == (*judged == Judged::Accepted)
    }
}

fn der<'p>(pems: impl IntoIterator<Item = &'p String>) -> Option<Vec<Vec<u8>>> {
    let blocks = pems
        .into_iter()
        .map(|pem| Some(pem::parse(pem).ok()?.into_contents()));
    blocks.collect()
}

#[test]
fn every_case_agrees_or_is_explained() {
    let Some(cases) = cases() else { return };
    let judged: Vec<(&Case, Judged)> = cases.iter().map(|case| (case, case.judge())).collect();
    let mut unexplained = Vec::new();
    let mut agreed = Vec::new();
    for (case, judged) in &judged {
        let explained = EXPLAINED.iter().any(|(id, _)| *id == case.id);
        match (case.agrees(judged), explained) {
            (true, false) => agreed.push(case.id.as_str()),
            (false, true) => {}
            _ => unexplained.push(format!("{}: {judged:?}, {}", case.id, case.expected_result)),
        }
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (_, judged) in &judged {
        *reasons.entry(format!("{judged:?}")).or_default() += 1;
    }
    tell(&format!(
        "{} cases, {} agree, {} explained: {reasons:?}",
        judged.len(),
        agreed.len(),
        EXPLAINED.len()
    ));
    for (id, reason) in REASONS {
        let found = judged.iter().find(|(case, _)| case.id == *id);
        let (_, judged) = found.expect("the case is in the suite");
        assert_eq!(*judged, Judged::Refused(*reason), "{id}");
    }
    assert!(judged.len() >= FLOOR.0 && agreed.len() >= FLOOR.1);
}

#[test]
fn the_binary_gives_the_same_answers() {
    let Some(cases) = cases() else { return };
    // It knows no limit but a load balancer's, and no year but those that a date can say.
    for (id, reason) in REASONS.iter().filter(|(id, _)| id.starts_with("rfc5280::")) {
        let found = cases.iter().find(|case| case.id == *id);
        let case = found.expect("the case is in the suite");
        let scenario = Scenario::empty()
            .file("client.pem", &case.peer_certificate)
            .file("chain.pem", case.untrusted_intermediates.concat())
            .file("bundle.pem", case.trusted_certs.concat());
        let at = case.at().format(&Rfc3339).expect("is a time");
        let mut arguments = vec!["trust", "check", "client.pem", "--ca-bundle", "bundle.pem"];
        arguments.extend(["--purpose", "any", "--at", &at, "--json"]);
        if !case.untrusted_intermediates.is_empty() {
            arguments.extend(["--chain", "chain.pem"]);
        }
        let outcome = scenario.run_bare(arguments).exits(4);
        assert_eq!(outcome.json()["reason"], reason.code(), "{id}");
    }
}
