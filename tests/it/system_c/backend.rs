//! The server of the example `client-certificates`, as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::root;

/// A running server; it ends with this.
pub(crate) struct Backend {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Backend {
    /// Starts one with further options.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .arg(root().join("examples/client-certificates/backend.py"))
            .args(["--port", "0"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let output = child.stdout.take().expect("is piped");
        let mut address = String::new();
        BufReader::new(output)
            .read_line(&mut address)
            .expect("says where it is");
        let address = address.trim().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{address:?}");
        Self { child, address }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
