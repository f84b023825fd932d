//! The program that is measured: how long its runs take, and how much memory.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How often a time is taken.
const RUNS: usize = 7;

/// The program, to be run in one directory.
pub(crate) struct Program {
    /// The one that cargo has built, or that the environment names.
    path: String,
    directory: PathBuf,
}

impl Program {
    /// The program, run in `directory`.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        let path = std::env::var("MTLSGW_BINARY");
        Self {
            path: path.unwrap_or_else(|_| env!("CARGO_BIN_EXE_mtlsgw").to_owned()),
            directory: directory.to_owned(),
        }
    }

    /// Where the program is.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// A run that has not begun.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(&self.directory);
        command
    }

    /// A run that succeeds.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        succeeded(self.command(arguments))
    }

    /// How long runs take.
    pub(crate) fn times(&self, arguments: &[&str]) -> Times {
        let mut runs: Vec<Duration> = (0..RUNS)
            .map(|_| {
                let began = Instant::now();
                self.run(arguments);
                began.elapsed()
            })
            .collect();
        runs.sort();
        Times(runs)
    }

    /// The most memory that a run has had: all of it, and what is not pages of the program's file.
    ///
    /// Linux tells only of a process that still runs, so it is asked until the process has ended.
    pub(crate) fn peak_memory(&self, arguments: &[&str]) -> String {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("starts");
        let status = format!("/proc/{}/status", child.id());
        let (mut all, mut data) = (0, 0);
        while child.try_wait().expect("is a child").is_none() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            all = all.max(kibibytes(&text, "VmHWM:"));
            data = data.max(kibibytes(&text, "RssAnon:"));
            std::thread::yield_now();
        }
        format!("{} MiB, {} MiB of it data", all / 1024, data / 1024)
    }
}

/// How long several runs took, the quickest first.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// The shortest time.
    pub(crate) fn quickest(&self) -> Duration {
        self.0[0]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, quickest) = (self.0[self.0.len() / 2], self.quickest());
        write!(formatter, "{median:.1?} (quickest {quickest:.1?})")
    }
}

/// Runs a command that has to succeed.
pub(crate) fn succeeded(mut command: Command) -> Output {
    let output = command.output().expect("starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A line of a process's status, such as `VmHWM:   51200 kB`; 0 where there is none.
fn kibibytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// Prints one figure.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) fn report(what: &str, figure: &str) {
    println!("  {what:<50} {figure}");
}
