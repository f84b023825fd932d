//! How planning and applying many stacks scales: calls, round trips, and time over what the rates impose.
//!
//! Prints figures and judges nothing: machines are noisy, and what a slow one takes counts as often as time is
//! scaled. Run with `cargo bench --profile dev --bench several`, with `-- 100` for that many stacks only, and
//! with `-- 100 8` for time that passes 8 times as fast; `MTLSGW_BINARY` names another binary to measure.
//!
//! The least that an apply can take is what the slowest of API Gateway's documented rates imposes on the
//! calls that were made, and before and after it what AWS does by itself on the longest chain: no domain can
//! be made before the first certificate is issued, and the last one made has to work before clients are led to it.

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
const SIZES: [(usize, f64); 2] = [(15, 6.0), (100, 5.0)];
/// What every call takes.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// Where round trips are counted, nothing is answered before nothing has been asked for so long.
const QUIET: &str = "1500";
/// What follows the certificate's names in the file of `quickstart`, and what does here.
const OF_QUICKSTART: &str = " }  # validated by DNS";
const ON_A_CURVE: &str = ", key_algorithm: EC_prime256v1 }";
/// More stacks than this exceed default quotas.
const FEW: usize = 20;
/// Quotas that 100 stacks exceed: load balancers, trust stores, endpoints of a VPC.
const QUOTAS: [&str; 3] = ["L-53DA6B97", TRUST_STORES, "L-29B6F2EB"];
const TRUST_STORES: &str = "L-A8F7060B";

fn main() {
    let arguments = std::env::args().skip(1);
    let mut numbers = arguments.filter_map(|argument| argument.parse::<u32>().ok());
    let (count, speed) = (numbers.next(), numbers.next().map(f64::from));
    match count.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => {
            let usual = SIZES.iter().find(|(size, _)| *size >= count);
            measure(count, speed.unwrap_or(usual.unwrap_or(&SIZES[1]).1));
        }
        None => SIZES
            .iter()
            .for_each(|(count, speed)| measure(*count, *speed)),
    }
}

fn measure(count: usize, speed: f64) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let stack = directory.path().join("quickstart");
    Program::in_directory(directory.path()).run(&["quickstart", "quickstart"]);
    let program = Program::in_directory(&stack);
    program.run(&["sandbox", "reset"]);
    if count > FEW {
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
    if count <= FEW {
        println("\napply of 25 stacks where there may be 15 trust stores");
        exhaust(&program, &stack);
    }
}

/// One file for each stack, each with a name and a certificate of its own.
///
/// Their keys are on a curve: RSA keys would be made by this machine, a second each, and not by AWS.
fn write_stacks(stack: &Path, count: usize) -> Vec<String> {
    let template = fs::read_to_string(stack.join("stack.yaml")).expect("quickstart has written it");
    let folder = stack.join("stacks");
    fs::create_dir_all(&folder).expect("can be made");
    assert!(template.contains(OF_QUICKSTART), "{template}");
    let name = |number| format!("team{number:03}");
    let write = |number| {
        let name: String = name(number);
        let text = template
            .replace("name: quickstart", &format!("name: {name}"))
            .replace("api.example.com", &format!("{name}.example.com"))
            .replace("*.example.com", &format!("{name}.example.com"))
            .replace(OF_QUICKSTART, ON_A_CURVE)
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
    let calls = program::calls(stack);
    let (rule, imposed) = rates::imposed(&program::counted(&calls));
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let per_stack = calls.len() as f64 / results["stacks"].as_array().map_or(1, Vec::len) as f64;
    report("calls", &format!("{}, {per_stack:.1} a stack", calls.len()));
    report("of these most often", &program::most(&calls, 5));
    report("the rates impose", &format!("{imposed:.0} s: {rule}"));
    for (what, seconds) in rates::WAITS {
        report(
            "and AWS before and after that",
            &format!("{seconds:.0} s: {what}"),
        );
    }
    let waits: f64 = rates::WAITS.iter().map(|(_, seconds)| seconds).sum();
    let least = imposed + waits;
    report("the least, all in all", &format!("{least:.0} s"));
    let over = |least: f64| format!("{:+.1} %", (took / least - 1.0) * 100.0);
    let beyond = format!(
        "{took:.0} s: {} of the least, {} of the rates alone",
        over(least),
        over(imposed)
    );
    report("apply", &beyond);
    if let Some((first, last, pause)) = rates::paces(&calls, "apigateway:CreateDomainName") {
        report(
            "CreateDomainName",
            &format!(
                "first after {first:.0} s, last after {last:.0} s, longest pause {pause:.1} s"
            ),
        );
    }
    report("refused for their rate, and sent again", &served.refused());
    let told = output.matches("Rate exceeded").count();
    report("of that told to the user", &told.to_string());
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
    let before = program::calls(stack).len();
    let mut command = program.command(&arguments);
    command.env("MTLSGW_SANDBOX_QUIET_MS", QUIET);
    succeeded(command);
    let calls = program::calls(stack).split_off(before);
    let rounds = calls
        .iter()
        .map(|call| call.round)
        .max()
        .unwrap_or_default();
    report("dependent round trips, pages counted", &rounds.to_string());
    for round in 1..=rounds {
        let calls = calls.iter().filter(|call| call.round == round);
        let mut operations: Vec<&str> = calls.map(|call| call.operation.as_str()).collect();
        let count = operations.len();
        operations.sort_unstable();
        operations.dedup();
        report(&format!("  {round}: {count} calls"), &operations.join(" "));
    }
}

/// Ten stacks more than there may be trust stores: which are finished, and what the others are told.
fn exhaust(program: &Program, stack: &Path) {
    write_stacks(stack, 25);
    program.run(&["sandbox", "reset"]);
    program.run(&["sandbox", "quota", TRUST_STORES, "15"]);
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
        line.contains("\"failed\"") && line.contains("\"error\"") && line.contains(TRUST_STORES)
    });
    report("told of L-A8F7060B", &told.count().to_string());
    let calls = program::calls(stack);
    let asked = calls
        .iter()
        .filter(|call| call.operation == "elbv2:CreateTrustStore");
    report("CreateTrustStore was called", &asked.count().to_string());
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn println(line: &str) {
    println!("{line}");
}
