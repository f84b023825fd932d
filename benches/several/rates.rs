//! What AWS imposes on an apply of many stacks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Operations of API Gateway of which single calls are allowed, and how many seconds apart: Amazon API
/// Gateway Developer Guide, "Quotas for creating, deploying and managing an API".
const SINGLE: [(&str, f64); 4] = [
    ("apigateway:CreateRestApi", 3.0),
    ("apigateway:PutRestApi", 1.0),
    ("apigateway:CreateDeployment", 5.0),
    ("apigateway:CreateDomainName", 30.0),
];
/// All its operations together: a second, and at once.
const TOGETHER: (f64, f64) = (10.0, 40.0);
/// From a custom domain to one that works, and from a record to one that is in sync: the sandbox's own.
const DOMAIN_AND_RECORD: f64 = 30.0 + 30.0;

/// The longest time that one of the rates imposes on these calls, and which one it is.
pub(crate) fn imposed(calls: &BTreeMap<String, u64>) -> (String, f64) {
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let count = |name: &str| calls.get(name).copied().unwrap_or_default() as f64;
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let all: f64 = calls
        .iter()
        .filter(|(name, _)| name.starts_with("apigateway:"))
        .map(|(_, count)| *count as f64)
        .sum();
    let (rate, burst) = TOGETHER;
    let together = (
        "all of API Gateway".to_owned(),
        (all - burst).max(0.0) / rate,
    );
    let each = SINGLE.iter().map(|(name, every)| {
        let least = (count(name) - 1.0).max(0.0) * every;
        (format!("{name}, {} calls", count(name)), least)
    });
    each.chain([together])
        .max_by(|one, other| one.1.total_cmp(&other.1))
        .expect("there are rates")
}

/// How long AWS takes before the first custom domain can be made and after the last one was: the
/// certificate has to be issued, the domain has to work, the record has to be in sync.
pub(crate) fn chain_around_domains(stack: &Path) -> f64 {
    let state = fs::read(stack.join(".mtlsgw/sandbox/state.json")).expect("is there");
    let state: Value = serde_json::from_slice(&state).expect("is JSON");
    let certificates = &state["world"]["regions"]["ap-northeast-1"]["acm"]["certificates"];
    let issued = certificates.as_object().expect("is a map").values();
    let seconds = issued.filter_map(|certificate| {
        let at = |key: &str| certificate[key].as_f64();
        Some((at("issued_at")? - at("created_at")?) / 1000.0)
    });
    seconds.fold(f64::INFINITY, f64::min) + DOMAIN_AND_RECORD
}
