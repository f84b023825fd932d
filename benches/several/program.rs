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

/// How often each operation was called.
pub(crate) fn counted(stack: &Path) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in log(stack).lines() {
        let operation = line.split(' ').next().unwrap_or_default();
        *counts.entry(operation.to_owned()).or_default() += 1;
    }
    counts
}

/// The round of each call.
pub(crate) fn rounds(stack: &Path) -> Vec<u64> {
    let log = log(stack);
    let rounds = log.lines().map(|line| line.split(' ').nth(1)?.parse().ok());
    rounds.map(Option::unwrap_or_default).collect()
}
