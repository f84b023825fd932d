//! What the program prints of itself, and a served sandbox for it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

pub(crate) use crate::measure::{Program, report, succeeded};

impl Program {
    /// How many bytes the program has.
    pub(crate) fn size(&self) -> u64 {
        fs::metadata(self.path()).expect("is there").len()
    }

    /// What a run prints, read as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.run(arguments).stdout).expect("is JSON")
    }

    /// How often each operation of the sandbox was called.
    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        let calls = self.json(&["sandbox", "show", "--calls", "--json"]);
        serde_json::from_value(calls["calls"].clone()).expect("is a count by operation")
    }
}

/// What was called more than once between two counts.
pub(crate) fn difference(after: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>) -> String {
    let more = after
        .iter()
        .map(|(operation, count)| (operation, count - before.get(operation).unwrap_or(&0)));
    let several = more.filter(|(_, count)| *count > 1);
    let several: Vec<String> = several
        .map(|(operation, count)| format!("{operation} {count}"))
        .collect();
    several.join(", ")
}

/// A sandbox that other processes use; it ends when this is dropped.
pub(crate) struct Served {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Served {
    /// Serves the sandbox of a directory; every call takes `latency` longer.
    pub(crate) fn start(directory: &Path, latency: Duration) -> Self {
        let latency = latency.as_millis().to_string();
        let mut command = Program::in_directory(directory).command(&[
            "sandbox",
            "serve",
            "--port",
            "0",
            "--latency",
            &latency,
        ]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("is piped");
        BufReader::new(stdout).read_line(&mut line).expect("prints");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let url = url.expect("says where it serves").to_owned();
        Self { child, url }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Every answered call is on the disk already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
