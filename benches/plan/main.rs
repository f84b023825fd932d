//! How long planning, applying and refreshing take: calls, round trips, waits, memory.
//!
//! Prints figures and judges nothing: machines are noisy. Run with `cargo bench --profile dev --bench plan`,
//! which uses the build that the tests use; `MTLSGW_BINARY` names another binary to measure, and
//! `-- crl` measures only the refresh of a large CRL.

mod crl;
mod crowd;
#[path = "../support/measure.rs"]
mod measure;
mod program;
mod waits;

use std::path::Path;
use std::time::Duration;

use program::{Program, Served, report};

/// What every call takes where time is measured.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// What every call takes where round trips are counted: far more than the work between them.
const LONG_ROUND_TRIP: Duration = Duration::from_millis(500);
/// How much faster than AWS's the sandbox's time passes while waits are measured.
const SPEED: f64 = 10.0;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    if std::env::args().any(|argument| argument == "crl") {
        refresh(directory.path());
        return;
    }
    let stack = directory.path().join("stack");
    let program = Program::in_directory(&stack);
    Program::in_directory(directory.path()).run(&["quickstart", "stack"]);

    let mebibytes = program.size() / 1024 / 1024;
    report(
        "the program",
        &format!("{} ({mebibytes} MiB)", program.path()),
    );
    report("--version", &program.times(&["--version"]).to_string());

    println("\nplan of an unchanged stack, in an account with nothing else");
    plan(&program, &stack);
    println(&format!("\nthe same, among {}", crowd::SIZE));
    crowd::fill(&program, &stack);
    plan(&program, &stack);

    refresh(directory.path());

    println(&format!("\napply, with AWS's waits {SPEED} times as fast"));
    waits::measure(&program, SPEED);
}

fn refresh(directory: &Path) {
    println(&format!(
        "\ncrl refresh, of a CRL with {} serials",
        crl::SERIALS
    ));
    crl::measure(directory);
}

/// Plans on a served sandbox, as on AWS: in another process.
fn plan(program: &Program, stack: &Path) {
    let arguments = ["plan", "--sandbox", "--detailed-exitcode"];
    let at_once = {
        let _served = Served::start(stack, Duration::ZERO);
        let before = program.calls();
        let plan = program.json(&["plan", "--sandbox", "--json"]);
        report("calls", &plan["calls"].to_string());
        let several = program::difference(&program.calls(), &before);
        report("more than one each of", &several);
        report("peak memory", &program.peak_memory(&arguments));
        program.times(&arguments)
    };
    let with_latency = {
        let _served = Served::start(stack, ROUND_TRIP);
        program.times(&arguments)
    };
    let long = {
        let _served = Served::start(stack, LONG_ROUND_TRIP);
        program.times(&arguments)
    };
    // The quickest runs are those that the machine disturbed least.
    let waited = long.quickest().saturating_sub(at_once.quickest());
    let round_trips = waited.as_secs_f64() / LONG_ROUND_TRIP.as_secs_f64();
    report("time without latency", &at_once.to_string());
    report("time with 50 ms a call", &with_latency.to_string());
    report("dependent round trips", &format!("{round_trips:.1}"));
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn println(line: &str) {
    println!("{line}");
}
