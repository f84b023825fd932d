//! The `openssl` command, run in a scenario's directory.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::Scenario;

/// The command, where the machine has it.
pub(super) struct Openssl {
    directory: PathBuf,
}

/// What it printed.
pub(super) struct Output {
    /// The result.
    pub(super) stdout: String,
    all: String,
}

impl Output {
    /// The same, having printed this somewhere.
    #[track_caller]
    pub(super) fn says(self, text: &str) -> Self {
        assert!(
            self.all.contains(text),
            "openssl does not say `{text}`:\n{}",
            self.all
        );
        self
    }
}

impl Openssl {
    /// Looks whether the command is there.
    #[expect(clippy::print_stdout, reason = "tells what was not tested")]
    pub(super) fn new(scenario: &Scenario) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            println!("skipped: there is no `openssl`");
            return None;
        }
        let directory = scenario.path("");
        Some(Self { directory })
    }

    /// The same in a directory below.
    pub(super) fn within(&self, directory: &str) -> Self {
        Self {
            directory: self.directory.join(directory),
        }
    }

    /// Runs it; whether it succeeds shows in what it says.
    pub(super) fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        output(self.command(arguments), "")
    }

    /// What it makes of a text.
    pub(super) fn pipe<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        text: &str,
    ) -> String {
        output(self.command(arguments), text).stdout
    }

    /// Serves TLS on a free port, to clients of a CA only.
    pub(super) fn serve(&self, certificate: &str, key: &str, clients: &str) -> Server<'_> {
        let mut command = self.command([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-www",
            "-cert",
            certificate,
            "-key",
            key,
            "-CAfile",
            clients,
            "-Verify",
            "3",
            "-verify_return_error",
        ]);
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::piped())
            .spawn()
            .expect("openssl runs");
        let stdout = process.stdout.take().expect("is piped");
        let accepting = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with("ACCEPT"));
        let accepting = accepting.expect("the server says where it listens");
        let address = accepting.trim_start_matches("ACCEPT").trim().to_owned();
        Server {
            openssl: self,
            process,
            address,
        }
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(&self.directory);
        command
    }
}

/// A server that ends with the test.
pub(super) struct Server<'a> {
    openssl: &'a Openssl,
    process: Child,
    address: String,
}

impl Server<'_> {
    /// What it answers to a client.
    pub(super) fn ask(&self, certificate: &str, key: &str, authority: &str) -> String {
        let client = self.openssl.command([
            "s_client",
            "-connect",
            &self.address,
            "-cert",
            certificate,
            "-cert_chain",
            certificate,
            "-key",
            key,
            "-CAfile",
            authority,
            "-verify_ip",
            "127.0.0.1",
            "-verify_return_error",
            "-ign_eof",
        ]);
        output(client, "GET / HTTP/1.0\r\n\r\n").all
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn output(mut command: Command, input: &str) -> Output {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    // It may have ended before it has read everything.
    process
        .stdin
        .take()
        .expect("is piped")
        .write_all(input.as_bytes())
        .ok();
    let output = process.wait_with_output().expect("openssl ends");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    Output { stdout, all }
}
