//! `validate`: everything that can be told without AWS.

use serde_json::json;

use crate::cli::Paths;
use crate::error::{Result, exit};
use crate::session;
use crate::stack::StackErrors;
use crate::view::View;

/// Checks stack files and everything they refer to.
///
/// # Errors
///
/// All that is wrong with any of them.
pub(super) fn run(args: &Paths, view: &View) -> Result<u8> {
    let files = session::stack_files(&args.paths)?;
    let mut wrong = Vec::new();
    let mut warnings = Vec::new();
    for subject in session::load(&files)? {
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
