//! A served sandbox with options, and what its log of calls says.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::measure::Program;

/// A sandbox that other processes use; it ends when this is dropped.
pub(crate) struct Served {
    child: Child,
    /// `127.0.0.1:PORT`.
    address: String,
}

impl Served {
    /// Serves the sandbox of a directory; every call takes `latency` longer.
    pub(crate) fn start(directory: &Path, options: &[&str], latency: Duration) -> Self {
        let latency = latency.as_millis().to_string();
        let serve = ["sandbox", "serve", "--port", "0", "--latency", &latency];
        let mut command = Program::in_directory(directory).command(&[&serve, options].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("is piped");
        BufReader::new(stdout).read_line(&mut line).expect("prints");
        let mut words = line.split_whitespace();
        let address = words.find_map(|word| word.strip_prefix("http://"));
        let address = address.expect("says where it serves").to_owned();
        Self { child, address }
    }

    /// How often each operation was refused for its rate.
    pub(crate) fn refused(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("listens");
        let request =
            "GET /_sandbox/refused HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("takes it");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answers");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        body.trim().to_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Every answered call is on the disk already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn log(stack: &Path) -> String {
    fs::read_to_string(stack.join(".mtlsgw/sandbox/calls.log")).unwrap_or_default()
}

/// One call that the sandbox got.
pub(crate) struct Called {
    /// `service:Operation`.
    pub(crate) operation: String,
    /// One more than that of the latest call that had been answered before.
    pub(crate) round: u64,
    /// When, in seconds of the sandbox's time.
    pub(crate) at: f64,
}

/// All calls that the sandbox of a directory has got, in their order.
pub(crate) fn calls(stack: &Path) -> Vec<Called> {
    let log = log(stack);
    let calls = log.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(Called {
            operation: words.next()?.to_owned(),
            round: words.next()?.parse().ok()?,
            at: words.next()?.parse::<f64>().ok()? / 1000.0,
        })
    });
    calls.collect()
}

/// How often each operation was called.
pub(crate) fn counted(calls: &[Called]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.operation.as_str()).or_default() += 1;
    }
    counts
}

/// The calls of which there were most.
pub(crate) fn most(calls: &[Called], count: usize) -> String {
    let mut counts: Vec<(&str, u64)> = counted(calls).into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let first = counts.iter().take(count);
    let text: Vec<String> = first
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    text.join(", ")
}
