//! `trust`: certificates and CRLs, without AWS.

mod lint;
mod report;

use crate::cli::TrustCommand;
use crate::error::Result;
use crate::view::View;

/// Runs a verb of `trust`.
///
/// # Errors
///
/// Those of the verb.
pub(super) fn run(command: &TrustCommand, view: &View) -> Result<u8> {
    match command {
        TrustCommand::Lint(args) => lint::run(args, view),
    }
}
