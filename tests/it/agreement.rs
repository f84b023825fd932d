//! Thousands of generated chains, judged by `trust check`'s verifier and by `openssl verify`.
//!
//! OpenSSL is told what a load balancer is known to do: the purpose of TLS clients, at most four
//! certificates, CRLs for the whole chain. Where the two differ, a rule of AWS's, or one that
//! AWS leaves open and `docs/trust-check.md` decides, has to explain it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use mtlsgw::trust::{
    Bundle, Certificate, CheckOptions, Crl, Reason, Step, Trusted, Verdict, check_client,
};
use rcgen::KeyPair;
use tempfile::TempDir;

use crate::acts::{in_parallel, tell};
use crate::support::chains::{AT, Chain, KEYS};

/// How many chains there are unless `MTLSGW_CHAINS` says otherwise.
const CHAINS: u64 = 500;

/// How many of a hundred chains both must let in, and refuse, for the comparison to mean something.
const SHARE: usize = 20;

/// How many of a hundred chains may differ with an explanation.
const EXPLAINED: usize = 15;

/// What OpenSSL says: 0, or the number of the first error.
type Answer = u32;

fn ours(chain: &Chain) -> Verdict {
    let read = |der: &Vec<u8>| Certificate::from_der(der).expect("rcgen makes certificates");
    let bundle: Bundle = chain.bundle.iter().map(read).collect();
    let sent: Vec<Certificate> = chain.sent.iter().map(read).collect();
    let crls = chain.crls.iter().map(|der| Crl::from_der(der));
    let crls: Vec<Crl> = crls.collect::<Result<_, _>>().expect("rcgen makes CRLs");
    let trusted = Trusted {
        bundle: &bundle,
        crls: &crls,
    };
    check_client(&read(&chain.client), &sent, trusted, &CheckOptions::at(AT))
}

/// Asks OpenSSL about a chain, with files in a directory of its own.
fn openssl(chain: &Chain, directory: &Path) -> Answer {
    let write = |name: &str, label: &str, ders: &[Vec<u8>]| {
        let path = directory.join(name);
        let blocks = ders
            .iter()
            .map(|der| pem::encode(&pem::Pem::new(label, der.clone())));
        std::fs::write(&path, blocks.collect::<String>()).expect("can be written");
        path
    };
    let client = std::slice::from_ref(&chain.client);
    let client = write("client.pem", "CERTIFICATE", client);
    let mut command = Command::new("openssl");
    command
        .arg("verify")
        .args(["-purpose", "sslclient", "-verify_depth", "2"])
        .args(["-attime", &AT.unix_timestamp().to_string()])
        .args(["-no-CApath", "-no-CAstore", "-CAfile"])
        .arg(write("bundle.pem", "CERTIFICATE", &chain.bundle));
    if !chain.sent.is_empty() {
        let sent = write("sent.pem", "CERTIFICATE", &chain.sent);
        command.arg("-untrusted").arg(sent);
    }
    if !chain.crls.is_empty() {
        let crls = write("crls.pem", "X509 CRL", &chain.crls);
        command.arg("-crl_check_all").arg("-CRLfile").arg(crls);
    }
    if !chain.has_root {
        command.arg("-partial_chain");
    }
    let output = command.arg(client).output().expect("openssl runs");
    if output.status.success() {
        return 0;
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let number = text.lines().find_map(|line| {
        let rest = line.strip_prefix("error ")?;
        rest.split_whitespace().next()?.parse().ok()
    });
    number.unwrap_or_else(|| panic!("openssl says no number: {text}"))
}

/// The load balancer's reason that OpenSSL's error means (`X509_V_ERR_…`).
fn reason(answer: Answer) -> Option<Reason> {
    Some(match answer {
        2 | 18 | 19 | 20 | 21 => Reason::Untrusted,
        9 => Reason::NotYetValid,
        10 => Reason::Expired,
        22 => Reason::MaxChainDepthExceeded,
        23 => Reason::CrlHit,
        24 | 25 | 32 | 47 | 48 | 79 => Reason::Invalid,
        26 => Reason::PurposeInvalid,
        35 => Reason::CrlProcessingError,
        _ => return None,
    })
}

/// The rule that explains why the two differ.
fn explanation(chain: &Chain, verdict: &Verdict, answer: Answer) -> Option<&'static str> {
    let made = |flaw: &str| chain.flaws.contains(&flaw);
    let warned = |code: &str| verdict.warnings.iter().any(|warning| warning.code == code);
    match (verdict.is_accepted(), answer) {
        (true, 3) if made("missing CRL") => Some("CAs without a CRL are not asked about"),
        (true, 11) if warned("crl-not-yet-valid") => Some("dates of CRLs do not count"),
        (true, 12) if warned("crl-expired") => Some("dates of CRLs do not count"),
        (true, 26) if made("any purpose") => Some("any purpose includes clients"),
        (true, 7 | 19..=21) if warned("several-issuers") => {
            Some("OpenSSL tries only one issuer of a name")
        }
        (true, 18 | 19) | (false, 0) if verdict.path.iter().any(is_renewed) => {
            Some("OpenSSL takes every self-issued CA for a root")
        }
        (true, _) if warned("other-chain-fails") => Some("OpenSSL tries only one chain"),
        (false, 0) if made("no CA") && warned("bundle-refused") => {
            Some("AWS refuses roots whose basicConstraints do not say CA:TRUE")
        }
        (false, 0) if made("key agreement") && verdict.reason() == Some(Reason::PurposeInvalid) => {
            Some("no policy of AWS's uses static key agreement")
        }
        _ => None,
    }
}

/// Whether a CA goes on under its name with a key that an older one of it vouches for.
fn is_renewed(step: &Step) -> bool {
    let certificate = &step.certificate;
    certificate.is_self_issued() && !certificate.is_issued_by(certificate)
}

/// Whether two certificates have one name, so that what is wrong depends on which is looked at.
fn has_namesakes(chain: &Chain) -> bool {
    let all = chain.bundle.iter().chain(&chain.sent);
    let all = all.map(|der| Certificate::from_der(der).expect("rcgen makes certificates"));
    let mut known: Vec<Certificate> = Vec::new();
    for certificate in all {
        let is_namesake = |other: &Certificate| {
            other.subject.matches(&certificate.subject)
                && other.fingerprint != certificate.fingerprint
        };
        if known.iter().any(is_namesake) {
            return true;
        }
        known.push(certificate);
    }
    false
}

/// What became of all chains.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: BTreeMap<&'static str, usize>,
    explained: BTreeMap<&'static str, usize>,
    same_reason: usize,
    flaws: BTreeMap<&'static str, usize>,
}

/// Judges one chain by both; what they differ in has to be explained.
fn compare(chain: &Chain, directory: &Path, tally: &Mutex<Tally>) -> Result<(), String> {
    let (verdict, answer) = (ours(chain), openssl(chain, directory));
    let warnings: Vec<&str> = verdict.warnings.iter().map(|one| one.code).collect();
    let differ = format!(
        "{:?}, warnings {warnings:?}, OpenSSL {answer}, flaws {:?}",
        verdict.refusal, chain.flaws
    );
    let mut tally = tally.lock().expect("nobody panics with it");
    for flaw in &chain.flaws {
        *tally.flaws.entry(flaw).or_default() += 1;
    }
    if verdict.is_accepted() != (answer == 0) {
        let rule = explanation(chain, &verdict, answer).ok_or(differ)?;
        *tally.explained.entry(rule).or_default() += 1;
        return Ok(());
    }
    let Some(ours) = verdict.reason() else {
        tally.accepted += 1;
        return Ok(());
    };
    *tally.refused.entry(ours.code()).or_default() += 1;
    if chain.flaws.len() == 1 && !has_namesakes(chain) {
        // With one flaw there is one reason, whatever is checked first.
        // Only where the chain ends nowhere OpenSSL may find it too long first.
        let is_same = |theirs| theirs == ours || (answer == 22 && ours == Reason::Untrusted);
        if !reason(answer).is_none_or(is_same) {
            return Err(format!("another reason: {differ}"));
        }
        tally.same_reason += 1;
    }
    Ok(())
}

#[test]
fn openssl_agrees_or_a_rule_explains_why_not() {
    if Command::new("openssl").arg("version").output().is_err() {
        tell("skipped: there is no openssl");
        return;
    }
    let keys: Vec<KeyPair> = (0..KEYS)
        .map(|_| KeyPair::generate().expect("there is randomness"))
        .collect();
    let count = std::env::var("MTLSGW_CHAINS").ok();
    let count: u64 = count.map_or(CHAINS, |count| count.parse().expect("is a number"));
    let seeds: Vec<u64> = (0..count).collect();
    let tally = Mutex::new(Tally::default());
    let failures = in_parallel(&seeds, |seed| {
        let directory = TempDir::with_prefix("mtlsgw-it-").expect("there is room for it");
        let chain = Chain::of(*seed, &keys);
        compare(&chain, directory.path(), &tally).map_err(|what| format!("seed {seed}: {what}"))
    });
    assert!(
        failures.is_empty(),
        "{} of {count}: {:#?}",
        failures.len(),
        &failures[..failures.len().min(5)]
    );
    let tally = tally.into_inner().expect("nobody panics with it");
    let refused: usize = tally.refused.values().sum();
    let explained: usize = tally.explained.values().sum();
    tell(&format!(
        "{count} chains: both let {} in and refuse {refused} {:?}; {explained} explained {:?}; of \
         those with one flaw {} have the same reason; flaws {:?}",
        tally.accepted, tally.refused, tally.explained, tally.same_reason, tally.flaws
    ));
    let percent = |number: usize| number * 100 / seeds.len();
    assert!(percent(tally.accepted) >= SHARE && percent(refused) >= SHARE);
    assert!(percent(explained) <= EXPLAINED);
}
