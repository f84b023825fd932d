//! Whether apply waits for anything but AWS.

use serde_json::Value;

use crate::program::{Program, report, succeeded};

/// The run that is measured.
const APPLY: [&str; 4] = ["apply", "--sandbox", "--yes", "--json"];

/// Applies the stack to an empty account whose time passes `speed` times as fast as ours.
pub(crate) fn measure(program: &Program, speed: f64) {
    program.run(&["sandbox", "reset"]);
    let mut command = program.command(&APPLY);
    command.env("MTLSGW_SANDBOX_TIMING", format!("x{speed}"));
    let events = succeeded(command).stdout;
    let events = String::from_utf8(events).expect("is text");
    let summary: Value =
        serde_json::from_str(events.lines().last().expect("a summary")).expect("is JSON");
    let took = summary["elapsed_ms"].as_f64().expect("is a number") / 1000.0 * speed;
    let chains = chains(&program.json(&["sandbox", "show"]));
    for (what, seconds) in &chains {
        report(&format!("AWS's waits: {what}"), &format!("{seconds:.0} s"));
    }
    let longest = chains
        .iter()
        .map(|(_, seconds)| *seconds)
        .fold(0.0, f64::max);
    report("apply, all in all", &format!("{took:.0} s"));
    report(
        "beyond the longest chain of waits",
        &format!("{:+.1} %", (took / longest - 1.0) * 100.0),
    );
}

/// How long the sandbox took on each way from nothing to the record, by its own account.
///
/// A target's first health check comes one interval after the load balancer works.
fn chains(dump: &Value) -> Vec<(&'static str, f64)> {
    let region = &dump["regions"]["ap-northeast-1"];
    let (elbv2, acm) = (&region["elbv2"], &region["acm"]);
    let load_balancer = only(&elbv2["load_balancers"]);
    let endpoint = only(&region["ec2"]["vpc_endpoints"]);
    let certificate = only(&acm["certificates"]);
    let group = only(&elbv2["target_groups"]);
    let interval = group["health_check"]["interval"]
        .as_f64()
        .expect("is a number");
    let last = interval + RECORD_IN_SYNC;
    vec![
        (
            "load balancer, health check, record",
            between(load_balancer, "created", "active_at") + last,
        ),
        (
            "endpoint, health check, record",
            between(endpoint, "created_at", "available_at") + last,
        ),
        (
            "certificate, health check, record",
            between(certificate, "created_at", "issued_at") + last,
        ),
    ]
}

/// The sandbox's own, for it forgets when a change was made.
const RECORD_IN_SYNC: f64 = 30.0;

fn only(things: &Value) -> &Value {
    let things = things.as_object().expect("is a map");
    assert_eq!(things.len(), 1, "the stack has one of each");
    things.values().next().expect("is there")
}

fn between(thing: &Value, from: &str, to: &str) -> f64 {
    let at = |key: &str| thing[key].as_f64().expect("is a time");
    (at(to) - at(from)) / 1000.0
}
