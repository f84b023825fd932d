//! How planning and applying many stacks scales: calls, round trips, and time over what the rates impose.
//!
//! Prints figures and judges nothing: machines are noisy, and what a slow one takes counts as often as time is
//! scaled. Run with `cargo bench --profile dev --bench several`, with `-- 100` for the large account
//! only; `MTLSGW_BINARY` names another binary to measure.

#[path = "../support/measure.rs"]
mod measure;
mod program;
mod rates;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use measure::{Program, report, succeeded};
use program::Served;

/// How many stacks there are, and how much faster than AWS's the sandbox's time passes.
const SIZES: [(usize, f64); 2] = [(15, 5.0), (100, 4.0)];
/// What every call takes.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// The same where round trips are counted: far more than the work between them.
const LONG_ROUND_TRIP: Duration = Duration::from_secs(2);
/// Quotas that 100 stacks exceed: load balancers, trust stores, endpoints of a VPC.
const QUOTAS: [&str; 3] = ["L-53DA6B97", "L-A8F7060B", "L-29B6F2EB"];

fn main() {
    let only = std::env::args().find_map(|argument| argument.parse::<usize>().ok());
    for (count, speed) in SIZES {
        if only.is_none_or(|only| only == count) {
            measure(count, speed);
        }
    }
}

fn measure(count: usize, speed: f64) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let stack = directory.path().join("quickstart");
    Program::in_directory(directory.path()).run(&["quickstart", "quickstart"]);
    let program = Program::in_directory(&stack);
    program.run(&["sandbox", "reset"]);
    if count > 20 {
        for code in QUOTAS {
            program.run(&["sandbox", "quota", code, "500"]);
        }
    }
    let names = write_stacks(&stack, count);
    report("the program", program.path());

    println(&format!(
        "\napply of {count} stacks of system P, time {speed} times as fast"
    ));
    apply(&program, &stack, speed);
    println(&format!("\nplan of {count} unchanged stacks"));
    plan(&program, &stack, &names);
    if count <= 20 {
        println("\napply of 10 more than the quota of 20 trust stores allows");
        exhaust(&program, &stack);
    }
}

/// One file for each stack, each with a name and a certificate of its own.
fn write_stacks(stack: &Path, count: usize) -> Vec<String> {
    let template = fs::read_to_string(stack.join("stack.yaml")).expect("quickstart has written it");
    let folder = stack.join("stacks");
    fs::create_dir_all(&folder).expect("can be made");
    let name = |number| format!("team{number:03}");
    let write = |number| {
        let name: String = name(number);
        let text = template
            .replace("name: quickstart", &format!("name: {name}"))
            .replace("api.example.com", &format!("{name}.example.com"))
            .replace("*.example.com", &format!("{name}.example.com"))
            .replace("petstore.yaml", "../petstore.yaml")
            .replace("root_cert.pem", "../root_cert.pem")
            .replace("root.crl", "../root.crl");
        let text: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("verify:"))
            .collect();
        let file = format!("stacks/{name}.yaml");
        fs::write(stack.join(&file), text.join("\n")).expect("can be written");
        file
    };
    (1..=count).map(write).collect()
}

fn apply(program: &Program, stack: &Path, speed: f64) {
    let served = Served::start(
        stack,
        &["--rates", "--timing", &format!("x{speed}")],
        ROUND_TRIP.div_f64(speed),
    );
    let command = program.command(&["apply", "--sandbox", "--yes", "--json", "stacks"]);
    let output = String::from_utf8(succeeded(command).stdout).expect("is text");
    let results: Value =
        serde_json::from_str(output.lines().last().expect("a result")).expect("is JSON");
    let took = results["elapsed_ms"].as_f64().expect("is a number") / 1000.0 * speed;
    let (rule, imposed) = rates::imposed(&program::counted(stack));
    let waits = rates::chain_around_domains(stack);
    report("calls", &results["calls"].to_string());
    report("the rates impose", &format!("{imposed:.0} s ({rule})"));
    report(
        "AWS's waits before and after that",
        &format!("{waits:.0} s"),
    );
    report("apply, all in all", &format!("{took:.0} s"));
    let over = |least: f64| format!("{:+.1} %", (took / least - 1.0) * 100.0);
    report("beyond what the rates impose", &over(imposed));
    report("beyond that and the waits", &over(imposed + waits));
    report("refused for their rate, and sent again", &served.refused());
}

/// Plans one stack, some, and all: calls, and round trips where each takes long.
fn plan(program: &Program, stack: &Path, files: &[String]) {
    let parts = [1, files.len() / 3, files.len()];
    for count in parts {
        let _served = Served::start(stack, &[], Duration::ZERO);
        let command: Vec<&str> = ["plan", "--sandbox", "--json"]
            .into_iter()
            .chain(files[..count].iter().map(String::as_str))
            .collect();
        let plan: Value = serde_json::from_slice(&program.run(&command).stdout).expect("is JSON");
        let calls = plan["calls"].as_f64().expect("is a number");
        #[expect(clippy::cast_precision_loss, reason = "there are few")]
        let per_stack = calls / count as f64;
        report(
            &format!("calls for {count} of {} stacks", files.len()),
            &format!("{calls}, {per_stack:.1} a stack"),
        );
    }
    let arguments = ["plan", "--sandbox", "--detailed-exitcode", "stacks"];
    {
        let _served = Served::start(stack, &[], ROUND_TRIP);
        report("peak memory", &program.peak_memory(&arguments));
        report(
            "time with 50 ms a call",
            &program.times(&arguments).to_string(),
        );
    }
    let _served = Served::start(stack, &[], LONG_ROUND_TRIP);
    let before = program::rounds(stack).len();
    program.run(&arguments);
    let rounds = program::rounds(stack).split_off(before);
    let rounds = rounds.into_iter().max().unwrap_or_default();
    report("dependent round trips, pages counted", &rounds.to_string());
}

/// Ten stacks more than there may be trust stores: which go on, and what the others are told.
fn exhaust(program: &Program, stack: &Path) {
    write_stacks(stack, 25);
    let mut command = program.command(&["apply", "--sandbox", "--yes", "--json", "stacks"]);
    let output = command.output().expect("starts");
    let lines = String::from_utf8(output.stdout).expect("is text");
    let results: Value =
        serde_json::from_str(lines.lines().last().expect("a result")).expect("is JSON");
    let mut outcomes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in results["stacks"].as_array().expect("is a list") {
        let outcome = outcomes.entry(one["outcome"].as_str().unwrap_or_default());
        outcome
            .or_default()
            .push(one["stack"].as_str().unwrap_or_default());
    }
    report("exit code", &results["exit_code"].to_string());
    for (outcome, stacks) in outcomes {
        report(outcome, &format!("{}: {}", stacks.len(), stacks.join(" ")));
    }
    let told = lines.lines().filter(|line| {
        line.contains("\"failed\"") && line.contains("\"error\"") && line.contains("L-A8F7060B")
    });
    report("told of L-A8F7060B", &told.count().to_string());
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn println(line: &str) {
    println!("{line}");
}
