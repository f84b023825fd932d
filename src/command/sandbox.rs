//! `sandbox`: run and inspect the embedded AWS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::cli::{Global, HostArgs, QuotaArgs, SandboxCommand, ServeArgs, ShowArgs};
use crate::error::{Error, Result, exit};
use crate::sandbox::{self, Options, Rates};
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
        SandboxCommand::Reset => sandbox::reset(&directory)?,
        SandboxCommand::Show(ShowArgs { calls: false }) => {
            view.document(&sandbox::dump(&directory)?);
        }
        SandboxCommand::Show(ShowArgs { calls: true }) => show_calls(&directory, view)?,
        SandboxCommand::Quota(QuotaArgs { code, value }) => {
            sandbox::set_quota(&directory, code, *value)?;
        }
        SandboxCommand::Host(HostArgs { place, server, .. }) => {
            sandbox::set_host(&directory, place, *server)?;
        }
    }
    Ok(exit::DONE)
}

async fn serve(args: &ServeArgs, directory: &Path, view: &View) -> Result<()> {
    let mut options = Options::new(directory)?;
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
    let appeared = |listener: &sandbox::Appeared| view.result(&listener.to_string());
    Ok(sandbox::serve(options, announce, appeared, super::apply::signal()).await?)
}

fn show_calls(directory: &Path, view: &View) -> Result<()> {
    let calls = sandbox::calls(directory)?;
    if view.is_json() {
        view.document(&json!({"format_version": "1", "calls": calls}));
        return Ok(());
    }
    let total: u64 = calls.values().sum();
    for (operation, count) in &calls {
        view.result(&format!("{count:>6} {operation}\n"));
    }
    view.result(&format!("{total:>6} in all\n"));
    Ok(())
}
