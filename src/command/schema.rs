//! `schema`: the stack file's JSON Schema, or its reference.

use crate::cli::SchemaArgs;
use crate::error::{Result, exit};
use crate::stack;
use crate::view::View;

/// Prints the schema.
#[expect(clippy::unnecessary_wraps, reason = "all verbs have one signature")]
pub(super) fn run(args: &SchemaArgs, view: &View) -> Result<u8> {
    if args.markdown {
        view.result(&stack::reference());
    } else {
        view.document(&stack::schema());
    }
    Ok(exit::DONE)
}
