//! What AWS imposes on an apply of many stacks, whoever applies them.

use std::collections::BTreeMap;

use crate::program::Called;

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

/// What AWS does by itself before the first custom domain can be made, and after the last one was, in
/// seconds; as long as the sandbox takes, which keeps to what AWS documents or is known for.
pub(crate) const WAITS: [(&str, f64); 4] = [
    ("ACM tells the validation record", 5.0),
    ("ACM notices it and issues", 60.0),
    ("the domain becomes AVAILABLE", 30.0),
    ("its record becomes INSYNC", 30.0),
];

/// The longest time that one of the rates imposes on these calls, and which one it is.
pub(crate) fn imposed(calls: &BTreeMap<&str, u64>) -> (String, f64) {
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
        format!("{all} calls of API Gateway, {rate} a second after {burst}"),
        (all - burst).max(0.0) / rate,
    );
    let each = SINGLE.iter().map(|(name, every)| {
        let calls = count(name);
        let least = (calls - 1.0).max(0.0) * every;
        (format!("{calls} {name}, one in {every} s"), least)
    });
    each.chain([together])
        .max_by(|one, other| one.1.total_cmp(&other.1))
        .expect("there are rates")
}

/// When the calls of an operation came, counted from the first call of all: the first one, the last
/// one, and the longest pause between two.
pub(crate) fn paces(calls: &[Called], operation: &str) -> Option<(f64, f64, f64)> {
    let began = calls.first()?.at;
    let at = calls.iter().filter(|call| call.operation == operation);
    let at: Vec<f64> = at.map(|call| call.at - began).collect();
    let pauses = at.windows(2).map(|pair| pair[1] - pair[0]);
    Some((*at.first()?, *at.last()?, pauses.fold(0.0, f64::max)))
}
