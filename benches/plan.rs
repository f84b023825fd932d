//! How long planning an unchanged stack takes, in round trips to AWS.
//!
//! Prints figures and judges nothing: machines are noisy. Run with `cargo bench --profile dev`,
//! which uses the build that the tests use.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// What every call takes in the second half of the measurement.
const ROUND_TRIP: Duration = Duration::from_millis(50);
const RUNS: usize = 5;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    run(directory.path(), &["quickstart", "stack"], Duration::ZERO);
    let stack = directory.path().join("stack");
    let at_once = median(|| plan(&stack, Duration::ZERO));
    let with_latency = median(|| plan(&stack, ROUND_TRIP));
    let round_trips = with_latency.saturating_sub(at_once).as_secs_f64() / ROUND_TRIP.as_secs_f64();
    let version = median(|| timed(|| run(&stack, &["--version"], Duration::ZERO)));
    report("mtlsgw --version", &format!("{version:.1?}"));
    report("plan of an unchanged gateway, calls", &calls(&stack));
    report("plan, no latency", &format!("{at_once:.1?}"));
    report("plan, 50 ms a call", &format!("{with_latency:.1?}"));
    report(
        "dependent round trips, (with - without) / 50 ms",
        &format!("{round_trips:.1}"),
    );
}

fn plan(stack: &Path, latency: Duration) -> Duration {
    timed(|| {
        run(
            stack,
            &["plan", "--sandbox", "--detailed-exitcode"],
            latency,
        )
    })
}

/// The number of calls of one plan, from its JSON.
fn calls(stack: &Path) -> String {
    let output = run(stack, &["plan", "--sandbox", "--json"], Duration::ZERO);
    let plan: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("plan --json is JSON");
    plan["calls"].to_string()
}

fn run(directory: &Path, arguments: &[&str], latency: Duration) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_mtlsgw"))
        .args(arguments)
        .current_dir(directory)
        .env("MTLSGW_SANDBOX_LATENCY_MS", latency.as_millis().to_string())
        .output()
        .expect("mtlsgw starts");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut runs: Vec<Duration> = (0..RUNS).map(|_| measure()).collect();
    runs.sort();
    runs[RUNS / 2]
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn report(what: &str, figure: &str) {
    println!("{what:<50} {figure}");
}
