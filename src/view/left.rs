//! What stays, and what a destroy leaves, for people.

use std::fmt::Write;

use super::human::{CYAN, GREEN};
use crate::apply::{Cause, Leftover};
use crate::plan::Retained;

/// What a plan keeps although nothing wants it.
pub(super) fn stays(kept: &Retained) -> String {
    let Retained {
        address, reason, ..
    } = kept;
    format!("  {CYAN}={CYAN:#} {address} stays: {reason}")
}

/// What nothing wants any more and is kept.
pub(super) fn retained(kept: &Retained) -> String {
    let Retained {
        address,
        id,
        reason,
        ..
    } = kept;
    format!("left behind: {address} ({id}): {reason}")
}

/// All that is left after a destroy, a line each, and why.
pub(super) fn leftovers(left: &[Leftover]) -> String {
    if left.is_empty() {
        return format!("\n{GREEN}Nothing is left.{GREEN:#}");
    }
    let mut text = String::new();
    for one in left {
        let Leftover {
            address,
            id,
            reason,
            hint,
            cause,
            ..
        } = one;
        write!(text, "\nleft behind: {address} ({id}): {reason}")
            .expect("writing to a String cannot fail");
        // What failed has been told with its hint as an error.
        if let Some(hint) = hint.as_ref().filter(|_| *cause != Cause::Failed) {
            write!(text, "; {hint}").expect("writing to a String cannot fail");
        }
    }
    text
}
