//! A directory with a stack in it, and the binary run there.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Aws, authority};

const BINARY: &str = env!("CARGO_BIN_EXE_mtlsgw");

/// No command takes nearly as long: one that does hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// Never to be seen in anything that the binary prints or keeps.
const SECRETS: [&str; 6] = [
    // As PEM has it; messages may name the kind of block that they refuse.
    "PRIVATE KEY-----",
    // The same as a blob in JSON: "-----BEGIN PRIVATE" in Base64.
    "LS0tLS1CRUdJTiBQUklWQVRF",
    "X-Amz-Signature",
    "AWS4-HMAC-SHA256",
    Scenario::ACCESS_KEY,
    Scenario::SECRET_KEY,
];

/// The console's PetStore sample.
pub(crate) const OPENAPI: &str = include_str!("../../../examples/petstore/petstore.yaml");

/// System P: every section in its shortest form.
pub(crate) const PETSTORE: &str = r#"name: petstore
region: ap-northeast-1
vpc: default
endpoint: {}
api: { openapi: petstore.yaml, stage: dev }
domain: { name: api.example.com }
certificate: { request: "*.example.com" }
target_group: {}
load_balancer: {}
trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }
listener: { mutual_authentication: verify }
record: { zone: example.com }
"#;

/// A directory of its own with a sandbox of its own.
pub(crate) struct Scenario {
    directory: TempDir,
    environment: Vec<(String, String)>,
    inputs: Vec<PathBuf>,
}

impl Scenario {
    /// For tests that need credentials in the environment; looked for in everything printed.
    pub(crate) const ACCESS_KEY: &str = "AKIAHARNESSHARNESS00";
    /// See [`Self::ACCESS_KEY`].
    pub(crate) const SECRET_KEY: &str = "harness/secret/harness/secret/harness/00";

    /// A directory with nothing in it.
    pub(crate) fn empty() -> Self {
        let directory = TempDir::with_prefix("mtlsgw-it-").expect("there is room for it");
        Self {
            directory,
            environment: Vec::new(),
            inputs: Vec::new(),
        }
    }

    /// A directory with this text as `stack.yaml`, the PetStore API, a fresh CA and its CRL.
    pub(crate) fn stack(text: &str) -> Self {
        let authority = authority();
        Self::empty()
            .file("stack.yaml", text)
            .file("petstore.yaml", OPENAPI)
            .file("root_cert.pem", &authority.certificate)
            .file("root.crl", &authority.crl)
    }

    /// System P.
    pub(crate) fn petstore() -> Self {
        Self::stack(PETSTORE)
    }

    /// The same with one more file, or another content of it.
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(name, content);
        self
    }

    /// The same with one more variable in the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable for the commands that follow.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file.
    pub(crate) fn write(&mut self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        let parent = path.parent().expect("is in the directory");
        fs::create_dir_all(parent).expect("can be made");
        fs::write(&path, content).expect("can be written");
        self.inputs.push(path);
    }

    /// Replaces text in `stack.yaml`, which must be there.
    pub(crate) fn edit(&mut self, from: &str, to: &str) {
        let text = self.read("stack.yaml");
        assert!(text.contains(from), "`{from}` is not in:\n{text}");
        self.write("stack.yaml", text.replace(from, to));
    }

    /// A file's text.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command with `--sandbox`, in the directory and without a terminal.
    pub(crate) fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        self.run_bare(arguments.into_iter().chain(["--sandbox"]))
    }

    /// Runs a command as it stands.
    pub(crate) fn run_bare<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        self.run_in(self.directory.path(), arguments)
    }

    /// Runs a command as it stands, in another directory.
    pub(crate) fn run_in<'a>(
        &self,
        directory: &Path,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Outcome {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let mut command = assert_cmd::Command::from_std(self.command(directory, &arguments));
        let output = command.timeout(PATIENCE).output().expect("the binary runs");
        let outcome = Outcome {
            command: arguments.join(" "),
            // Killed by the time limit: none.
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("prints UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("prints UTF-8"),
        };
        refuse_secrets(&outcome.command, &outcome.stdout);
        refuse_secrets(&outcome.command, &outcome.stderr);
        self.refuse_kept_secrets(self.directory.path());
        outcome
    }

    /// The binary with nothing in its environment but what every user has.
    fn command(&self, directory: &Path, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(BINARY);
        command
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Serves the sandbox, to act on it behind the tool's back; until the result is dropped.
    pub(crate) fn aws(&self) -> Aws {
        self.serve(&[])
    }

    /// Serves the sandbox with more options of `sandbox serve`, such as `--fault RULE`.
    pub(crate) fn serve(&self, options: &[&str]) -> Aws {
        let arguments = [&["sandbox", "serve", "--port", "0", "--sandbox"], options].concat();
        let mut command = self.command(self.directory.path(), &arguments);
        let child = command.stdout(Stdio::piped()).spawn();
        Aws::announced_by(child.expect("the binary runs"))
    }

    /// What the sandbox holds.
    pub(crate) fn dump(&self) -> Value {
        self.run(["sandbox", "show"]).ok().json()
    }

    /// The calls that the sandbox has answered, `service:Operation`, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        let log = self.call_log();
        let calls = log.lines().filter_map(|line| line.split(' ').next());
        calls.map(str::to_owned).collect()
    }

    /// What clients of a gateway would have noticed of the calls so far, a line each.
    pub(crate) fn noticed(&self) -> Vec<String> {
        let log = self.path(".mtlsgw/sandbox/noticed.log");
        let log = fs::read_to_string(log).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    fn call_log(&self) -> String {
        fs::read_to_string(self.path(".mtlsgw/sandbox/calls.log")).unwrap_or_default()
    }

    /// Runs a command; gives the calls that it made as well.
    pub(crate) fn calls_of<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> (Outcome, Vec<String>) {
        let before = self.calls().len();
        let outcome = self.run(arguments);
        (outcome, self.calls().split_off(before))
    }

    /// Runs a command; gives how many of its calls had to wait for each other's answers, at most.
    ///
    /// Exact where answers are held back until all is asked that does not depend on them: with
    /// `MTLSGW_SANDBOX_QUIET_MS`.
    pub(crate) fn rounds_of<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> (Outcome, u64) {
        let before = self.calls().len();
        let outcome = self.run(arguments);
        let log = self.call_log();
        let rounds = log.lines().skip(before).map(|line| {
            let round = line.split(' ').nth(1).and_then(|text| text.parse().ok());
            round.expect("has a round")
        });
        (outcome, rounds.max().unwrap_or_default())
    }

    /// Nothing that the binary wrote holds a secret: saved plans, the sandbox's state and objects.
    fn refuse_kept_secrets(&self, directory: &Path) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_key = matches!(&*name, "keys" | "key.pem") || name.ends_with("_key.pem");
            if is_key || self.inputs.contains(&path) {
                continue;
            }
            if path.is_dir() {
                self.refuse_kept_secrets(&path);
                continue;
            }
            let mut content = Vec::new();
            // Another process may have renamed a temporary file meanwhile.
            if let Ok(mut file) = fs::File::open(&path) {
                file.read_to_end(&mut content).expect("is readable");
            }
            refuse_secrets(
                &path.display().to_string(),
                &String::from_utf8_lossy(&content),
            );
        }
    }
}

fn refuse_secrets(whose: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "`{secret}` in {whose}:\n{text}");
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    command: String,
    /// The exit code; -1 when it was killed.
    pub(crate) code: i32,
    /// The result.
    pub(crate) stdout: String,
    /// Progress and messages.
    pub(crate) stderr: String,
}

impl Outcome {
    /// The same, having ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// The same, having succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// The same, having printed this somewhere.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(said, "does not say `{text}`: {self}");
        self
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// stdout as one JSON document a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let line =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self}"));
        self.stdout.lines().map(line).collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            formatter,
            "mtlsgw {command}\nexit {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// What differs from run to run, for insta.
pub(crate) fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"/\S*mtlsgw-it-\w+", "[directory]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        (r"\b(vpce|vpc|subnet|sg|sgr|eni)-[0-9a-f]{17}\b", "$1-[id]"),
        (r"\b[0-9a-f]{16}\b", "[id]"),
        (r"deployment: [0-9a-f]{6}\b", "deployment: [id]"),
        (r"sha256:[0-9a-f]{12,64}", "sha256:[digest]"),
        (r"\b[0-9a-f]{64}\b", "[digest]"),
        (
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
            "[uuid]",
        ),
        (r"in \d+ days", "in [n] days"),
        (r"\b20\d\d-\d\d-\d\d(T[0-9:.]+Z)?", "[date]"),
        (r"\b\d\d:\d\d:\d\d\b", "[time]"),
        (r"after \d+s", "after [n]s"),
        (r"\d+ calls", "[n] calls"),
    ]
}
