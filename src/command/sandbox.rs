//! `sandbox`: run and inspect the embedded AWS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::cli::{Global, QuotaArgs, SandboxCommand, ServeArgs, ShowArgs};
use crate::error::{Error, Result, exit};
use crate::sandbox::{self, Options, Rates, SandboxError};
use crate::view::View;

/// Runs one of the sandbox's verbs on the directory of `--sandbox`.
///
/// # Errors
///
/// What the sandbox says.
pub(super) async fn run(command: &SandboxCommand, global: &Global, view: &View) -> Result<u8> {
    let directory = global
        .sandbox
        .clone()
        .unwrap_or_else(|| PathBuf::from(".mtlsgw/sandbox"));
    match command {
        SandboxCommand::Serve(args) => serve(args, &directory, view).await?,
        SandboxCommand::Reset => sandbox::reset(&directory).map_err(failed)?,
        SandboxCommand::Show(ShowArgs { calls: false }) => {
            view.document(&sandbox::dump(&directory).map_err(failed)?)
        }
        SandboxCommand::Show(ShowArgs { calls: true }) => show_calls(&directory, view)?,
        SandboxCommand::Quota(QuotaArgs { code, value }) => {
            sandbox::set_quota(&directory, code, *value).map_err(failed)?;
        }
    }
    Ok(exit::DONE)
}

fn failed(error: SandboxError) -> Error {
    Error::refused(format!("the sandbox: {error}"))
}

async fn serve(args: &ServeArgs, directory: &Path, view: &View) -> Result<()> {
    let mut options = Options::new(directory).map_err(failed)?;
    options.port = args.port;
    options.latency = Duration::from_millis(args.latency);
    options.timing = args
        .timing
        .parse()
        .map_err(|error: String| Error::refused(error))?;
    options.client_address = args.client_address;
    if args.rates {
        options.rates = Rates::Documented;
    }
    for rule in &args.fault {
        options.faults.push(
            rule.parse()
                .map_err(|error: String| Error::refused(error))?,
        );
    }
    let announce = |running: &sandbox::Running| {
        view.result(&format!(
            "serving the embedded AWS at {}\n",
            running.endpoint_url()
        ));
    };
    sandbox::serve(options, announce, async {
        tokio::signal::ctrl_c().await.ok();
    })
    .await
    .map_err(failed)
}

fn show_calls(directory: &Path, view: &View) -> Result<()> {
    let calls = sandbox::calls(directory).map_err(failed)?;
    if view.is_json() {
        view.document(&json!({"format_version": "1", "calls": calls}));
        return Ok(());
    }
    let total: u64 = calls.values().sum();
    let lines: String = calls
        .iter()
        .map(|(operation, count)| format!("{count:>6} {operation}\n"))
        .collect();
    view.result(&format!("{lines}{total:>6} in all\n"));
    Ok(())
}
