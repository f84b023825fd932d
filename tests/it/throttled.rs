//! AWS's documented rates are kept to, waited for no longer than they impose, and told of.
//!
//! The sandbox enforces the rates on its own clock, which runs faster than the wall's. Nothing here
//! depends on how fast the machine is: what is compared with the rates are the waits that the client
//! plans, which only get shorter where the machine is slow.

use std::collections::BTreeMap;
use std::thread;

use serde_json::json;

use crate::acts::tell;
use crate::support::{Aws, Outcome, Scenario};

/// Operations of which single calls are allowed, and how many seconds apart: Amazon API Gateway Developer
/// Guide, "Quotas for creating, deploying and managing an API"; AWS Certificate Manager, "Quotas".
const SINGLE: [(&str, f64); 8] = [
    ("apigateway:CreateRestApi", 3.0),
    ("apigateway:PutRestApi", 1.0),
    ("apigateway:DeleteRestApi", 30.0),
    ("apigateway:CreateDeployment", 5.0),
    ("apigateway:CreateDomainName", 30.0),
    ("apigateway:UpdateDomainName", 30.0),
    ("apigateway:DeleteDomainName", 30.0),
    ("acm:ImportCertificate", 1.0),
];

/// What is never to be seen: how the services refuse what comes too fast.
const REFUSALS: [&str; 5] = [
    "Throttling",
    "TooManyRequests",
    "RequestLimitExceeded",
    "Rate exceeded",
    "SlowDown",
];

/// Several APIs that everybody can reach, and nothing else.
fn several_apis(name: &str) -> String {
    let api = "{ sample: petstore, endpoint_type: regional }";
    format!(
        "name: {name}\nregion: ap-northeast-1\napis:\n  one: {api}\n  two: {api}\n  three: {api}\n  four: {api}\n"
    )
}

/// Runs a command on a sandbox that enforces the rates; it succeeds, and shows no throttling.
#[track_caller]
fn unthrottled(scenario: &Scenario, command: &[&str]) -> Outcome {
    let outcome = scenario.run([command, &["--verbose"]].concat()).ok();
    for refusal in REFUSALS {
        assert!(!outcome.stderr.contains(refusal), "`{refusal}`: {outcome}");
        assert!(!outcome.stdout.contains(refusal), "`{refusal}`: {outcome}");
    }
    outcome
}

/// The same for a command that is the only one, and so waits no longer than the rates impose.
#[track_caller]
fn paced(scenario: &Scenario, command: &[&str]) -> Outcome {
    let before = scenario.calls().len();
    let outcome = unthrottled(scenario, command);
    let calls = scenario.calls().split_off(before);
    let (planned, imposed) = waits(&outcome, &calls);
    tell(&format!(
        "{}: {} calls, waits of {planned:.1} s planned where the rates impose {imposed:.1} s",
        command.join(" "),
        calls.len()
    ));
    outcome
}

/// The longest wait of each operation, added up, and what the rates impose; never more than a tenth longer.
///
/// The calls of one operation wait at the same time, those of several may wait one after the other.
#[track_caller]
fn waits(outcome: &Outcome, calls: &[String]) -> (f64, f64) {
    let (mut planned, mut imposed) = (0.0, 0.0);
    for (operation, longest) in longest_waits(outcome) {
        let single = SINGLE
            .iter()
            .find(|(name, _)| name.ends_with(&format!(":{operation}")));
        let (name, every) = single.unwrap_or_else(|| panic!("{operation} waits: {outcome}"));
        let count = calls.iter().filter(|call| call == name).count();
        let further = u32::try_from(count.saturating_sub(1)).expect("are few");
        let least = every * f64::from(further);
        assert!(
            longest <= least * 1.1,
            "{operation} waits {longest} s: {outcome}"
        );
        planned += longest;
        imposed += least;
    }
    (planned, imposed)
}

/// The longest of the waits of each operation that `--verbose` tells of, in seconds.
fn longest_waits(outcome: &Outcome) -> BTreeMap<String, f64> {
    let mut longest = BTreeMap::new();
    let lines = outcome.stderr.lines();
    for line in lines.filter(|line| line.contains("waiting for its turn rule=")) {
        let field = |name: &str| {
            let (_, rest) = line.split_once(name)?;
            rest.split_whitespace().next()
        };
        let operation = field(" operation=").expect("is told").trim_matches('"');
        let seconds: f64 = field(" seconds=")
            .and_then(|text| text.parse().ok())
            .expect("is told");
        let known = longest.entry(operation.to_owned()).or_insert(seconds);
        *known = seconds.max(*known);
    }
    longest
}

/// How often the sandbox has refused what came too fast.
fn refused(aws: &Aws) -> serde_json::Value {
    aws.control("GET", "refused", "").ok().value()
}

#[test]
fn system_p_is_applied_and_destroyed_without_being_throttled() {
    let scenario = Scenario::petstore();
    let aws = scenario.serve(&["--rates", "--timing", "x60"]);
    paced(&scenario, &["apply", "--yes"]);
    paced(&scenario, &["plan", "--detailed-exitcode"]);
    paced(&scenario, &["destroy", "--yes"]);
    assert_eq!(refused(&aws), json!({}));
}

#[test]
fn several_apis_wait_for_each_other_as_long_as_the_rates_say_and_tell_why() {
    let scenario = Scenario::stack(&several_apis("pets"));
    let aws = scenario.serve(&["--rates", "--timing", "x10"]);
    let applied = paced(&scenario, &["apply", "--yes"]);
    applied.says("API Gateway allows one CreateDeployment every 5 s");
    paced(&scenario, &["plan", "--detailed-exitcode"]);
    let destroyed = paced(&scenario, &["destroy", "--yes"]);
    let deleted = &longest_waits(&destroyed)["DeleteRestApi"];
    assert!(*deleted > 30.0, "{destroyed}");
    destroyed
        .says(": waiting for its turn in ")
        .says("s: API Gateway allows one DeleteRestApi every 30 s");
    assert_eq!(refused(&aws), json!({}));
}

#[test]
fn stacks_that_are_destroyed_at_the_same_time_show_no_throttling_either() {
    let mut scenario = Scenario::stack(&several_apis("pets"));
    scenario.write("other.yaml", several_apis("orders"));
    let aws = scenario.serve(&["--timing", "x60"]);
    for file in ["stack.yaml", "other.yaml"] {
        scenario.run(["apply", "--yes", file]).ok();
    }
    aws.control("PUT", "rates", "documented").ok();
    let destroy = |file| unthrottled(&scenario, &["destroy", "--yes", file]);
    thread::scope(|scope| {
        let other = scope.spawn(|| destroy("other.yaml"));
        destroy("stack.yaml");
        other.join().expect("is destroyed, too");
    });
    let refused = refused(&aws);
    // Neither knows of the other, so that they do get into each other's way.
    assert_ne!(refused, json!({}));
    let dump = scenario.dump();
    assert_eq!(
        dump["regions"]["ap-northeast-1"]["apigateway"]["apis"],
        json!({})
    );
    tell(&format!("two stacks at once: {refused} refused"));
}
