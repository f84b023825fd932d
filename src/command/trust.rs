//! `trust`: certificates and CRLs as the load balancer sees them.

mod check;
mod lint;
mod report;

use crate::cli::{Global, TrustCommand};
use crate::error::{Error, Result};
use crate::trust;
use crate::view::View;

/// Runs a verb of `trust`.
///
/// # Errors
///
/// Those of the verb.
pub(super) async fn run(command: &TrustCommand, global: &Global, view: &View) -> Result<u8> {
    match command {
        TrustCommand::Check(args) => check::run(args, global, view).await,
        TrustCommand::Lint(args) => lint::run(args, view),
    }
}

/// Tells what is wrong with a file, and what to do about it.
pub(super) fn unusable(error: &trust::Error) -> Error {
    match error.fix() {
        Some(fix) => Error::refused_with(error.to_string(), fix),
        None => Error::refused(error.to_string()),
    }
}
