//! One file per verb, all with one signature: arguments, options, view -> exit code.

mod apply;
mod backend;
mod completion;
mod crl;
mod destroy;
mod doctor;
mod expiry;
mod explain;
mod export;
mod list;
mod logs;
mod output;
mod pki;
mod plan;
#[cfg(feature = "sandbox")]
mod quickstart;
mod render;
#[cfg(feature = "sandbox")]
mod sandbox;
mod saved;
mod schema;
mod several;
mod status;
mod trust;
mod validate;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Cli, Command, CrlCommand, Global};
use crate::error::{Error, Result, exit};
use crate::view::View;

/// Runs a command line; gives the process's exit code.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse_usage(&error, &arguments),
    };
    start_logging(&cli.global);
    let view = View::choose(&cli.global);
    dispatch(cli, &view).await.unwrap_or_else(|error| {
        view.error(&error);
        error.exit_code()
    })
}

async fn dispatch(cli: Cli, view: &View) -> Result<u8> {
    let global = &cli.global;
    match cli.command {
        Command::Plan(args) => plan::run(&args, global, view).await,
        Command::Apply(args) => apply::run(&args, global, view).await,
        Command::Destroy(args) => destroy::run(&args, global, view).await,
        Command::Doctor(args) => doctor::run(&args, global, view).await,
        Command::Verify(args) => verify::run(&args, global, view).await,
        Command::Status(args) => status::run(&args, global, view).await,
        Command::Crl(CrlCommand::Refresh(args)) => crl::refresh(&args, global, view).await,
        Command::List(args) => list::run(&args, global, view).await,
        Command::Export(args) => export::run(&args, global, view).await,
        Command::Output(args) => output::run(&args, global, view).await,
        Command::Logs(args) => logs::run(&args, global, view).await,
        Command::Explain(args) => explain::run(&args, view),
        Command::Validate(args) => validate::run(&args, global, view).await,
        Command::Render(args) => render::run(&args, view),
        Command::Schema(args) => schema::run(&args, view),
        Command::Trust(command) => trust::run(&command, global, view).await,
        Command::Pki(args) => pki::run(&args, view),
        Command::Completion(args) => completion::run(&args, view),
        #[cfg(feature = "sandbox")]
        Command::Quickstart(args) => quickstart::run(&args, global, view).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => sandbox::run(&args, global, view).await,
    }
}

/// The stack file of a command that takes one stack: `path`, or `stack.yaml`.
fn stack_file(path: Option<&PathBuf>, command: &str) -> Result<PathBuf> {
    let path = path.cloned().unwrap_or_else(|| PathBuf::from("stack.yaml"));
    if path.is_dir() {
        return Err(Error::refused_with(
            format!("{command} takes exactly one stack"),
            "name the stack file",
        ));
    }
    Ok(path)
}

/// clap's own exit code for bad usage is 2, which here means "there are changes".
fn refuse_usage(error: &clap::Error, arguments: &[OsString]) -> u8 {
    error.print().ok();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return exit::DONE;
    }
    // Terraform's fingers write long flags with one dash.
    let single = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .find(|argument| {
            let word = argument.trim_start_matches('-');
            argument.starts_with('-') && !argument.starts_with("--") && word.len() > 2
        });
    if let Some(single) = single {
        View::plain().note(&format!("hint: did you mean `-{single}`?"));
    }
    exit::USAGE
}

/// Logs go to stderr; `RUST_LOG` says more precisely what `-v` says in general.
fn start_logging(global: &Global) {
    let level = match global.verbose {
        0 => "warn",
        1 => "mtlsgw=info,warn",
        2 => "mtlsgw=debug,info",
        _ => "mtlsgw=trace,debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // At their finest, the SDK and the HTTP client log whole messages, with keys and signed URLs.
    let discreet =
        filter_fn(|event| *event.level() < Level::TRACE || event.target().starts_with("mtlsgw"));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(!global.no_color && std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_filter(filter.and(discreet));
    tracing_subscriber::registry().with(layer).try_init().ok();
}
