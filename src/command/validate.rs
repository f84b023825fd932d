//! `validate`: everything that can be told without AWS, and what a backend shows where one is named.

use serde_json::json;

use crate::cli::{Global, ValidateArgs};
use crate::command::backend;
use crate::error::{Result, exit};
use crate::session::{self, Session};
use crate::stack::StackErrors;
use crate::view::View;

/// Checks stack files and everything they refer to.
///
/// # Errors
///
/// All that is wrong with any of them.
pub(super) async fn run(args: &ValidateArgs, global: &Global, view: &View) -> Result<u8> {
    let files = session::stack_files(&args.paths.paths)?;
    let mut wrong = Vec::new();
    let mut warnings = Vec::new();
    let subjects = session::load(&files)?;
    for subject in &subjects {
        let Some(stack) = &subject.stack else {
            continue;
        };
        match session::wire_offline(stack) {
            Ok(wired) => warnings.extend(wired.warnings),
            Err(errors) => wrong.extend(errors.iter().cloned()),
        }
    }
    if !wrong.is_empty() {
        return Err(StackErrors::from(wrong).into());
    }
    if args.backend.probe_backend.is_some() {
        let session = Session::open(global).await?;
        let network = session.network(Vec::new());
        let shown = backend::judge(&args.backend, &subjects, &network).await;
        session.close().await;
        warnings.extend(shown?);
    }
    if view.is_json() {
        view.document(&json!({"format_version": "1", "valid": true, "warnings": warnings}));
        return Ok(exit::DONE);
    }
    for warning in &warnings {
        view.note(&format!(
            "warning: {}: {}",
            warning.address, warning.message
        ));
    }
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    view.result(&format!("{} valid\n", names.join(", ")));
    Ok(exit::DONE)
}
