//! `completion`: a shell's completion script.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionArgs};
use crate::error::{Result, exit};
use crate::view::View;

/// Prints the script.
#[expect(clippy::unnecessary_wraps, reason = "all verbs have one signature")]
pub(super) fn run(args: &CompletionArgs, view: &View) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mtlsgw", &mut script);
    view.result(&String::from_utf8_lossy(&script));
    Ok(exit::DONE)
}
