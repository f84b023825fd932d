//! Two judges: the embedded AWS, whose load balancers ask webpki, and the verifier behind `trust
//! check`, which is our own. They share no code, so that where they differ one of them is wrong, or
//! a rule that one of them has stands below.

use std::collections::BTreeMap;
use std::sync::Mutex;

use mtlsgw::sandbox::{JudgeRules, judge_client};
use mtlsgw::trust::{Bundle, Certificate, CheckOptions, Crl, Purpose, Trusted, check_client};
use rcgen::KeyPair;

use crate::acts::{in_parallel, tell};
use crate::limbo::{self, Judged};
use crate::support::chains::{AT, Chain, KEYS};

/// How many clients there are unless `MTLSGW_CLIENTS` says otherwise.
const CLIENTS: u64 = 1_000;

/// How many of a hundred clients must be let in, and refused, for the comparison to mean something.
const SHARE: usize = 20;

/// What a judge says: nothing, or the connection log's reason.
type Verdict = Result<(), &'static str>;

fn trust_check(chain: &Chain, ignore_expiry: bool) -> Verdict {
    let read = |der: &Vec<u8>| Certificate::from_der(der).expect("rcgen makes certificates");
    let bundle: Bundle = chain.bundle.iter().map(read).collect();
    let sent: Vec<Certificate> = chain.sent.iter().map(read).collect();
    let crls = chain.crls.iter().map(|der| Crl::from_der(der));
    let crls: Vec<Crl> = crls.collect::<Result<_, _>>().expect("rcgen makes CRLs");
    let trusted = Trusted {
        bundle: &bundle,
        crls: &crls,
    };
    let options = CheckOptions {
        ignore_client_certificate_expiry: ignore_expiry,
        ..CheckOptions::at(AT)
    };
    let verdict = check_client(&read(&chain.client), &sent, trusted, &options);
    verdict.reason().map_or(Ok(()), |reason| Err(reason.code()))
}

fn data_plane(chain: &Chain, ignore_expiry: bool) -> Verdict {
    let sent = [vec![chain.client.clone()], chain.sent.clone()].concat();
    let rules = JudgeRules {
        now: AT.unix_timestamp(),
        deepest: None,
        ignore_expiry,
        any_purpose: false,
    };
    judge_client(&sent, &chain.bundle, &chain.crls, rules)
}

/// Whether webpki cannot follow: it counts self-issued CAs against path lengths, from which RFC 5280,
/// section 6.1.4, exempts them, and knows no expiry that is ignored. The data plane goes without it
/// then, unless names are constrained, which only webpki looks at there.
fn is_beyond_webpki(
    chain: &Chain,
    ignore_expiry: bool,
    (ours, theirs): (Verdict, Verdict),
) -> bool {
    let read = |der: &Vec<u8>| Certificate::from_der(der).expect("rcgen makes certificates");
    let all: Vec<Certificate> = chain.bundle.iter().chain(&chain.sent).map(read).collect();
    let constrains = |one: &Certificate| one.extensions.name_constraints.is_some();
    let is_renewed = |one: &Certificate| one.is_self_issued() && !one.is_issued_by(one);
    let is_excused = ignore_expiry && read(&chain.client).not_after < AT;
    ours.is_ok()
        && theirs == Err("ClientCertInvalid")
        && all.iter().any(constrains)
        && (is_excused || all.iter().any(is_renewed))
}

/// How many sets of keys there are.
const POOLS: usize = KEYS + 2;

/// The keys that chains are made of: the first set is all of one kind, the second of several, and in
/// each of the others one key is of a kind that load balancers do not take.
fn keys(pool: usize) -> Vec<KeyPair> {
    let kinds: [&'static rcgen::SignatureAlgorithm; 3] = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
    ];
    let key = |index: usize| {
        let kind = match pool {
            0 => kinds[0],
            // One is enough: these keys take long to make.
            1 if index == 2 => &rcgen::PKCS_RSA_SHA256,
            _ if pool == index + 2 => &rcgen::PKCS_ED25519,
            _ => kinds[(index + pool) % kinds.len()],
        };
        KeyPair::generate_for(kind).expect("there is randomness")
    };
    (0..KEYS).map(key).collect()
}

#[test]
fn both_judges_say_the_same_of_a_thousand_clients() {
    let pools: Vec<Vec<KeyPair>> = (0..POOLS).map(keys).collect();
    let count = std::env::var("MTLSGW_CLIENTS").ok();
    let count: u64 = count.map_or(CLIENTS, |count| count.parse().expect("is a number"));
    let tally: Mutex<BTreeMap<Verdict, usize>> = Mutex::default();
    let seeds: Vec<u64> = (0..count).collect();
    let differences = Mutex::new(Vec::new());
    in_parallel(&seeds, |seed| {
        let pool = usize::try_from(*seed).expect("is small") % POOLS;
        let chain = Chain::of(*seed, &pools[pool]);
        for ignore_expiry in [false, true] {
            let ours = trust_check(&chain, ignore_expiry);
            let theirs = data_plane(&chain, ignore_expiry);
            let mut tally = tally.lock().expect("nobody panics with it");
            *tally.entry(theirs).or_default() += 1;
            if ours != theirs && !is_beyond_webpki(&chain, ignore_expiry, (ours, theirs)) {
                let flaws = &chain.flaws;
                differences.lock().expect("nobody panics with it").push(format!(
                    "seed {seed}, expiry ignored {ignore_expiry}: trust check {ours:?}, data plane {theirs:?}, flaws {flaws:?}"
                ));
            }
        }
        Ok(())
    });
    let differences = differences.into_inner().expect("nobody panicked");
    assert!(
        differences.is_empty(),
        "{} differ: {differences:#?}",
        differences.len()
    );
    let tally = tally.into_inner().expect("nobody panicked");
    tell(&format!(
        "{count} clients, each judged twice by both: {tally:?}"
    ));
    let all: usize = tally.values().sum();
    let accepted = tally.get(&Ok(())).copied().unwrap_or_default();
    assert!(accepted * 100 >= SHARE * all && (all - accepted) * 100 >= SHARE * all);
}

/// The cases of x509-limbo that are judged differently, and why.
const EXPLAINED: &[(&str, &str)] = &[
    ("rfc5280::nc::nc-permits-email-domain", MAIL),
    ("rfc5280::nc::nc-permits-email-exact", MAIL),
    (
        "rfc5280::nc::nc-permits-email-literal-asterisk-exact-match",
        MAIL,
    ),
    (
        "rfc5280::nc::nc-permits-email-literal-double-asterisk",
        MAIL,
    ),
    ("rfc5280::nc::nc-permits-email-literal-mid-asterisk", MAIL),
    ("rfc5280::nc::permitted-dn-match", DIRECTORY),
    (
        "rfc5280::nc::permitted-self-issued",
        "webpki holds self-issued CAs to the constraints above them, from which RFC 5280, section \
         6.1.4, exempts them",
    ),
];

const MAIL: &str = "webpki knows no constraints on mail addresses (RFC 5280, section 4.2.1.10): where \
                    there are any, it lets nobody in";
const DIRECTORY: &str = "webpki knows no constraints on directory names (RFC 5280, section 4.2.1.10): \
                         where there are any, it lets nobody in";

#[test]
fn both_judges_say_the_same_of_the_cases_of_x509_limbo() {
    let Some(cases) = limbo::cases() else { return };
    let mut differences = Vec::new();
    let mut tally: BTreeMap<Verdict, usize> = BTreeMap::new();
    for case in &cases {
        let Some(sent) = case.sent() else { continue };
        let (Some(bundle), Some(lists)) = (case.bundle(), case.lists()) else {
            continue;
        };
        let rules = JudgeRules {
            now: case.at().unix_timestamp(),
            deepest: Some(case.depth()),
            ignore_expiry: false,
            any_purpose: case.purpose() == Purpose::Any,
        };
        let theirs = judge_client(&sent, &bundle, &lists, rules);
        let ours = match case.judge() {
            Judged::Accepted => Ok(()),
            Judged::Refused(reason) => Err(reason.code()),
            Judged::Unreadable => Err("unreadable"),
        };
        *tally.entry(theirs).or_default() += 1;
        let is_explained = EXPLAINED.iter().any(|(id, _)| *id == case.id);
        if (ours == theirs) == is_explained {
            differences.push(format!(
                "{}: trust check {ours:?}, data plane {theirs:?}",
                case.id
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differ: {differences:#?}",
        differences.len()
    );
    tell(&format!(
        "{} cases, {} explained: {tally:?}",
        cases.len(),
        EXPLAINED.len()
    ));
}
