//! Several stacks in one run: what goes wrong with one stops no other, and each is told of.

use std::io::Read;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::acts::{BUCKET, tell};
use crate::support::{PETSTORE, Scenario, filters, is_reading};

/// System P once for each name, in `stacks/`.
fn teams(names: &[&str]) -> Scenario {
    let mut scenario = Scenario::petstore();
    scenario.remove("stack.yaml");
    for name in names {
        scenario.write(&file(name), text(name));
    }
    scenario
}

fn file(name: &str) -> String {
    format!("stacks/{name}.yaml")
}

fn text(name: &str) -> String {
    PETSTORE
        .replace("name: petstore\n", &format!("name: {name}\n"))
        .replace("api.example.com", &format!("{name}.example.com"))
        .replace("*.example.com", &format!("{name}.example.com"))
        .replace("petstore.yaml", "../petstore.yaml")
        .replace("root_cert.pem", "../root_cert.pem")
        .replace("root.crl", "../root.crl")
}

/// Changes the file of one stack.
fn edit(scenario: &mut Scenario, name: &str, from: &str, to: &str) {
    let text = scenario.read(&file(name));
    assert!(text.contains(from), "`{from}` is not in:\n{text}");
    scenario.write(&file(name), text.replace(from, to));
}

/// What became of each stack, by the last line of `--json`.
fn outcomes(lines: &[Value]) -> Vec<(String, String)> {
    let last = lines.last().expect("there are lines");
    assert_eq!(last["type"], "results", "{last}");
    let stacks = last["stacks"].as_array().expect("is a list");
    let text = |value: &Value| value.as_str().expect("is text").to_owned();
    stacks
        .iter()
        .map(|stack| (text(&stack["stack"]), text(&stack["outcome"])))
        .collect()
}

fn pairs(outcomes: &[(String, String)]) -> Vec<(&str, &str)> {
    outcomes
        .iter()
        .map(|(stack, outcome)| (stack.as_str(), outcome.as_str()))
        .collect()
}

#[test]
fn a_directory_of_stacks_is_applied_in_one_run() {
    let scenario = teams(&["billing", "orders", "stock"]);
    let (applied, calls) = scenario.calls_of(["apply", "--yes", "stacks"]);
    let applied = applied.ok();
    insta::with_settings!({ filters => filters(), omit_expression => true }, {
        let (_, table) = applied.stdout.rsplit_once("unchanged.\n\n").expect("is there");
        assert_snapshot!("several_plans", table);
        let (_, table) = applied.stderr.split_once("\n\n").expect("is there");
        assert_snapshot!("several_outcomes", table);
    });
    let made = calls.iter().filter(|call| *call == "s3:CreateBucket");
    assert_eq!(made.count(), 1, "the stacks share one bucket");
    let plan = scenario.run(["plan", "--detailed-exitcode"]).ok();
    plan.says("3 stacks       0       0");
    let again = scenario.calls_of(["apply", "--yes", "stacks"]).1;
    assert!(again.iter().all(|call| is_reading(call)), "{again:?}");
}

#[test]
fn every_stack_is_verified_after_the_apply_of_several() {
    let scenario = teams(&["billing", "orders"]);
    let outcome = scenario
        .run(["apply", "--yes", "--json", "--verify", "stacks"])
        .ok();
    let lines = outcome.json_lines();
    let verified = lines.iter().filter(|line| line["type"] == "verify");
    let stacks: Vec<&Value> = verified.map(|line| &line["stack"]).collect();
    assert_eq!(stacks, ["billing", "orders"]);
    let summaries = lines.iter().filter(|line| line["type"] == "summary");
    assert!(
        summaries.clone().all(|line| line["verified"] == true),
        "{outcome}"
    );
}

#[test]
fn without_a_path_apply_takes_no_directory() {
    let scenario = teams(&["billing"]);
    let outcome = scenario.run(["apply", "--yes"]).exits(1);
    outcome.says("hint: name the stacks: mtlsgw apply stacks/");
    assert_eq!(scenario.calls(), [""; 0]);
}

#[test]
fn the_failure_of_one_stack_does_not_stop_the_others() {
    let mut scenario = teams(&["billing", "orders", "stock"]);
    // There is no such certificate, which only AWS knows.
    edit(&mut scenario, "orders", "request:", "find:");
    let outcome = scenario
        .run(["apply", "--yes", "--json", "stacks"])
        .exits(3);
    let expected = [
        ("billing", "complete"),
        ("orders", "refused"),
        ("stock", "complete"),
    ];
    assert_eq!(pairs(&outcomes(&outcome.json_lines())), expected);
    outcome.says("orders.example.com");
    let plan = scenario.run(["plan", "--json", "stacks"]).exits(1).json();
    assert_eq!(plan["stacks"].as_array().map(Vec::len), Some(2));
    assert_eq!(plan["errors"][0]["stack"], "orders");
    // All that could be done is done: now nothing is, and something should be.
    let again = scenario.run(["apply", "--yes", "stacks"]).exits(1);
    again.says("orders         0  refused, nothing begun");
}

#[test]
fn an_exhausted_quota_is_named_and_the_other_stacks_are_finished() {
    let scenario = teams(&["billing", "orders", "stock"]);
    scenario
        .run_bare(["sandbox", "quota", "L-A8F7060B", "2"])
        .ok();
    let outcome = scenario
        .run(["apply", "--yes", "--json", "stacks"])
        .exits(3);
    let outcomes = outcomes(&outcome.json_lines());
    let count = |what: &str| {
        outcomes
            .iter()
            .filter(|(_, outcome)| outcome == what)
            .count()
    };
    assert_eq!(
        (count("complete"), count("incomplete")),
        (2, 1),
        "{outcome}"
    );
    outcome
        .says("TooManyTrustStores")
        .says("20 trust stores a region is AWS's default")
        .says("raise the quota L-A8F7060B");
    scenario
        .run_bare(["sandbox", "quota", "L-A8F7060B", "3"])
        .ok();
    scenario.run(["apply", "--yes", "stacks"]).ok();
}

#[test]
fn what_is_known_to_be_exhausted_is_not_asked_for_by_every_other_stack() {
    let names: Vec<String> = (1..=6).map(|number| format!("team{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let scenario = teams(&names);
    scenario
        .run_bare(["sandbox", "quota", "L-A8F7060B", "2"])
        .ok();
    let run = ["apply", "--yes", "--json", "--parallelism", "1", "stacks"];
    let (outcome, calls) = scenario.calls_of(run);
    let lines = outcome.exits(3).json_lines();
    let told = lines.iter().filter(|line| {
        let error = line["error"].to_string();
        line["type"] == "failed" && error.contains("L-A8F7060B")
    });
    assert_eq!(told.count(), 4, "each of the others is told");
    let asked = calls
        .iter()
        .filter(|call| *call == "elbv2:CreateTrustStore");
    assert_eq!(
        asked.count(),
        3,
        "two that there was room for, and one more"
    );
}

/// What a run on a terminal shows when somebody types `answers`, and its exit code.
#[cfg(target_os = "linux")]
fn on_a_terminal(scenario: &Scenario, arguments: &str, answers: &str) -> (String, Option<i32>) {
    use std::io::Write;
    let program = env!("CARGO_BIN_EXE_mtlsgw");
    let command = format!("'{program}' {arguments} --sandbox");
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("CI", "true")
        .current_dir(scenario.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("script is there");
    // Kept open to the end: a terminal does not hang up after the answer.
    let mut keyboard = terminal.stdin.take().expect("is piped");
    keyboard.write_all(answers.as_bytes()).expect("is typed");
    let mut text = String::new();
    let mut screen = terminal.stdout.take().expect("is piped");
    screen.read_to_string(&mut text).expect("is text");
    let code = terminal.wait().expect("ends").code();
    (text, code)
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_one_yes_applies_all_stacks() {
    let scenario = teams(&["billing", "orders"]);
    let (shown, code) = on_a_terminal(&scenario, "apply stacks", "yes\n");
    assert_eq!(code, Some(0), "{shown}");
    let question = "Apply this to 2 of 2 stacks? Only `yes` is taken for yes:";
    assert_eq!(shown.matches(question).count(), 1, "{shown}");
    scenario.run(["plan", "--detailed-exitcode", "stacks"]).ok();
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_any_other_answer_changes_nothing() {
    let scenario = teams(&["billing", "orders"]);
    for answer in ["y\n", "no\n", "\n"] {
        let before = scenario.calls().len();
        let (shown, code) = on_a_terminal(&scenario, "apply stacks", answer);
        assert_eq!(code, Some(1), "{shown}");
        assert!(
            shown.contains("not confirmed; nothing was changed"),
            "{shown}"
        );
        let calls = scenario.calls().split_off(before);
        assert!(calls.iter().all(|call| is_reading(call)), "{calls:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_access_that_widens_in_one_stack_is_asked_for_by_its_name() {
    let mut scenario = teams(&["billing", "orders"]);
    scenario.run(["apply", "--yes", "stacks"]).ok();
    let (from, to) = (
        "mutual_authentication: verify",
        "mutual_authentication: passthrough",
    );
    edit(&mut scenario, "orders", from, to);
    let question = "Access widens in `orders`. Type `widen` to allow it:";
    let (shown, code) = on_a_terminal(&scenario, "apply stacks", "yes\nyes\n");
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains(question), "{shown}");
    scenario
        .run(["plan", "--detailed-exitcode", "stacks"])
        .exits(2);
    let (shown, code) = on_a_terminal(&scenario, "apply stacks", "yes\nwiden\n");
    assert_eq!(code, Some(0), "{shown}");
    scenario.run(["plan", "--detailed-exitcode", "stacks"]).ok();
}

#[test]
fn without_a_terminal_several_stacks_are_not_applied_unasked() {
    let scenario = teams(&["billing", "orders"]);
    let (outcome, calls) = scenario.calls_of(["apply", "stacks"]);
    outcome
        .exits(1)
        .says("nobody is there to confirm")
        .says("confirm with --yes");
    assert!(calls.iter().all(|call| is_reading(call)), "{calls:?}");
}

#[test]
fn widening_needs_its_own_permission_and_holds_up_only_the_stack_that_widens() {
    let mut scenario = teams(&["billing", "orders"]);
    scenario.run(["apply", "--yes", "stacks"]).ok();
    let (from, to) = (
        "mutual_authentication: verify",
        "mutual_authentication: passthrough",
    );
    edit(&mut scenario, "orders", from, to);
    edit(
        &mut scenario,
        "billing",
        "target_group: {}",
        "target_group: { deregistration_delay_seconds: 30 }",
    );
    let outcome = scenario.run(["apply", "--yes", "stacks"]).exits(3);
    outcome
        .says("error: orders: the plan widens access, and --yes alone does not allow that")
        .says("billing        1  complete")
        .says("orders         0  refused, nothing begun");
    let allowed = scenario
        .run(["apply", "--yes", "--allow-widening", "stacks"])
        .ok();
    allowed.says("orders         1  complete");
}

#[test]
fn a_lock_of_somebody_elses_holds_up_one_stack_only() {
    let scenario = teams(&["billing", "orders", "stock"]);
    scenario.run(["apply", "--yes", &file("billing")]).ok();
    let lock = json!({
        "caller": "arn:aws:iam::123456789012:user/alice",
        "process": "laptop, process 7",
        "command": "apply",
        "since": "2026-11-21T10:00:00Z",
        "nonce": "7",
    });
    let path = format!("/{BUCKET}/orders/lock.json");
    scenario.meanwhile(|aws| drop(aws.rest(("s3", "PUT", &path), lock.to_string()).ok()));
    let outcome = scenario
        .run(["apply", "--yes", "--json", "stacks"])
        .exits(3);
    let expected = [
        ("billing", "unchanged"),
        ("orders", "refused"),
        ("stock", "complete"),
    ];
    assert_eq!(pairs(&outcomes(&outcome.json_lines())), expected);
    outcome.says("the stack is locked by `mtlsgw apply` of arn:aws:iam::123456789012:user/alice");
}

#[test]
fn every_line_of_json_names_its_stack() {
    let scenario = teams(&["billing", "orders"]);
    let outcome = scenario.run(["apply", "--yes", "--json", "stacks"]).ok();
    let lines = outcome.json_lines();
    let mut stacks = std::collections::BTreeSet::new();
    for line in &lines[1..lines.len() - 1] {
        stacks.insert(line["stack"].as_str().unwrap_or_else(|| panic!("{line}")));
    }
    assert_eq!(
        stacks.into_iter().collect::<Vec<_>>(),
        ["billing", "orders"]
    );
    assert_eq!(lines[0]["type"], "version");
    let summaries = lines.iter().filter(|line| line["type"] == "summary");
    assert_eq!(summaries.count(), 2);
    // The same holds where there is only one.
    let single = scenario
        .run(["apply", "--yes", "--json", &file("billing")])
        .ok();
    let summary = single.json_lines().pop().expect("is there");
    assert_eq!(
        (&summary["type"], &summary["stack"]),
        (&json!("summary"), &json!("billing"))
    );
}

#[test]
fn plans_of_several_stacks_are_saved_and_applied_together_unless_one_is_stale() {
    let mut scenario = teams(&["billing", "orders"]);
    scenario.run(["plan", "stacks", "--out", "all.plan"]).ok();
    edit(&mut scenario, "orders", "stage: dev", "stage: prod");
    let outcome = scenario.run(["apply", "--json", "all.plan"]).exits(3);
    let expected = [("billing", "complete"), ("orders", "refused")];
    assert_eq!(pairs(&outcomes(&outcome.json_lines())), expected);
    outcome.says("the saved plan is stale: changed since it was saved");
    let both = scenario
        .run(["apply", "all.plan", &file("orders")])
        .exits(1);
    both.says("a saved plan is applied alone");
}

#[test]
fn parallelism_bounds_the_changes_of_all_stacks_together() {
    let scenario = teams(&["billing", "orders", "stock"]);
    let run = ["apply", "--yes", "--json", "--parallelism", "1", "stacks"];
    let outcome = scenario.run(run).ok();
    let (mut under_way, mut most) = (0_i32, 0);
    for line in outcome.json_lines() {
        let is_wait = matches!(line["action"].as_str(), Some("ready" | "gone") | None);
        match line["type"].as_str() {
            Some("started") if !is_wait => under_way += 1,
            Some("finished") if !is_wait => under_way -= 1,
            _ => {}
        }
        most = most.max(under_way);
    }
    tell(&format!("at most {most} begun and not ended"));
    // One works; others that wait for a rate have lent their slot.
    assert!((1..=6).contains(&most), "{most}");
}

#[test]
fn ctrl_c_ends_all_stacks_in_order_and_the_next_run_goes_on() {
    let scenario = teams(&["billing", "orders", "stock"]);
    // Its load balancers take minutes, in which there is time for an interrupt.
    let aws = scenario.serve(&["--timing", "x1"]);
    let mut apply = Command::new(env!("CARGO_BIN_EXE_mtlsgw"))
        .args(["apply", "--yes", "--json", "stacks", "--sandbox"])
        .current_dir(scenario.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut stdout = apply.stdout.take().expect("is piped");
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let is_waiting = |text: &str| {
        let waits = |name: &str| {
            let line = |line: &str| {
                line.contains("\"waiting\"")
                    && line.contains("\"load_balancer\"")
                    && line.contains(&format!("\"stack\":\"{name}\""))
            };
            text.lines().any(line)
        };
        ["billing", "orders", "stock"].into_iter().all(waits)
    };
    while !is_waiting(&text) {
        let read = stdout.read(&mut buffer).expect("is readable");
        assert!(read > 0, "ended too early: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    let pid = apply.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.expect("kill is there").success());
    stdout.read_to_string(&mut text).expect("is text");
    let code = apply.wait().expect("ends").code();
    assert_eq!(code, Some(130), "{text}");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("is JSON"))
        .collect();
    let outcomes = outcomes(&lines);
    assert!(
        outcomes.iter().all(|(_, outcome)| outcome == "interrupted"),
        "{outcomes:?}"
    );
    // What has been begun is done by then.
    aws.control("POST", "clock", "3600").ok();
    drop(aws);
    let dump = scenario.dump().to_string();
    assert!(!dump.contains("lock.json"), "the locks are given back");
    scenario.run(["apply", "--yes", "stacks"]).ok();
    scenario.run(["plan", "--detailed-exitcode", "stacks"]).ok();
}

/// How long nothing is asked before anything is answered below: longer than a busy machine takes from one
/// call to the next that does not depend on it.
const QUIET: &str = "700";

#[test]
fn calls_per_stack_fall_with_the_number_of_stacks_and_round_trips_stay_five() {
    let names = ["a-team", "b-team", "c-team", "d-team", "e-team"];
    let scenario = teams(&names);
    scenario.run(["apply", "--yes", "stacks"]).ok();
    let scenario = scenario.env("MTLSGW_SANDBOX_QUIET_MS", QUIET);
    let calls = |count: usize| {
        let files: Vec<String> = names[..count].iter().map(|name| file(name)).collect();
        let plan = ["plan", "--json"].into_iter();
        let (outcome, rounds) = scenario.rounds_of(plan.chain(files.iter().map(String::as_str)));
        assert!(rounds <= 5, "{rounds} dependent round trips: {outcome}");
        let calls = outcome.ok().json()["calls"].as_u64().expect("is a number");
        calls / count as u64
    };
    let per_stack = [1, 3, 5].map(calls);
    tell(&format!(
        "{per_stack:?} calls for each of 1, 3 and 5 stacks"
    ));
    assert!(
        per_stack.is_sorted_by(|fewer, more| fewer > more),
        "{per_stack:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_low_limit_of_open_files_keeps_nobody_from_planning_many_stacks() {
    let scenario = teams(&["a-team", "b-team", "c-team", "d-team", "e-team"]);
    scenario.run(["apply", "--yes", "stacks"]).ok();
    let program = env!("CARGO_BIN_EXE_mtlsgw");
    let limited = format!("ulimit -Sn 60 && '{program}' plan --sandbox --detailed-exitcode stacks");
    let planned = Command::new("sh")
        .args(["-c", &limited])
        .env("MTLSGW_SANDBOX_LATENCY_MS", "300")
        .current_dir(scenario.path(""))
        .output()
        .expect("starts");
    assert!(
        planned.status.success(),
        "{}",
        String::from_utf8_lossy(&planned.stderr)
    );
}

#[test]
fn stacks_of_one_run_wait_for_the_rates_together_and_are_not_throttled() {
    let scenario = teams(&["billing", "orders", "stock"]);
    let aws = scenario.serve(&["--rates", "--timing", "x60"]);
    let outcome = scenario.run(["apply", "--yes", "--verbose", "stacks"]).ok();
    outcome.says("API Gateway allows one CreateDomainName every 30 s");
    let refused = aws.control("GET", "refused", "").ok().value();
    assert_eq!(
        refused.get("apigateway:CreateDomainName"),
        None,
        "{refused}"
    );
}
