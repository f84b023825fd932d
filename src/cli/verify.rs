//! Arguments of `verify`, which `apply --verify` has, too.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::CaPassphrase;
pub use crate::verify::network::ConnectTo;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The stack file; ./stack.yaml
    #[arg(value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// What to present, to ask and to expect.
    #[command(flatten)]
    pub probes: ProbeArgs,
}

/// What `apply` does after it has made the gateway.
#[derive(Debug, Clone, Default, Args)]
pub struct Afterwards {
    /// Then prove by connections that the gateway does what its stack says; for 5m if need be
    #[arg(long)]
    pub verify: bool,
    /// What that presents, asks and expects.
    #[command(flatten)]
    pub probes: ProbeArgs,
}

/// What probes present, ask and expect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Probes")]
pub struct ProbeArgs {
    /// A client's certificate that is let in, with its chain; else that of `verify:` in the stack
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Read the key's passphrase from the first line of FILE
    #[arg(long, value_name = "FILE", conflicts_with = "key_passphrase_env")]
    pub key_passphrase_file: Option<PathBuf>,
    /// Read the key's passphrase from this environment variable
    #[arg(long, value_name = "VARIABLE")]
    pub key_passphrase_env: Option<String>,
    /// A revoked client's certificate and private key
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"])]
    pub revoked: Vec<PathBuf>,
    /// The directory of `pki` with a CA of the trust store, which issues an expired certificate and one
    /// for servers in memory; `pki` beside the stack file
    #[arg(long, value_name = "DIR")]
    pub pki: Option<PathBuf>,
    /// The passphrase of that CA's key.
    #[command(flatten)]
    pub ca_passphrase: CaPassphrase,
    /// Judge the server's certificate by these roots in place of the system's; may be repeated
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// The name that clients use; else those of records and domains
    #[arg(long, value_name = "HOST")]
    pub name: Option<String>,
    /// Ask for this path; else that of `verify:` in the stack, or /
    #[arg(long = "path", value_name = "URL_PATH")]
    pub request_path: Option<String>,
    /// The status that proves success; else that of `verify:` in the stack, or 200 with --cert
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..=599))]
    pub expect: Option<u16>,
    /// A text that the answer has to contain
    #[arg(long, value_name = "TEXT")]
    pub expect_body: Option<String>,
    /// A path whose backend prints the headers of requests, to see that forged ones do not get there
    #[arg(long, value_name = "URL_PATH")]
    pub echo_path: Option<String>,
    /// Connect to ADDRESS:PORT in place of HOST:PORT, as curl does; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDRESS:PORT")]
    pub connect_to: Vec<ConnectTo>,
    /// Repeat what does not come out well for as long as this, such as 5m
    #[arg(long, value_name = "DURATION", value_parser = super::duration)]
    pub retry_for: Option<Duration>,
}
