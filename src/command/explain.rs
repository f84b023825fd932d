//! `explain`: what a code means and what to do about it.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use crate::cli::ExplainArgs;
use crate::error::{Error, Result, exit};
use crate::explain::{self, Entry, Found, Kind};
use crate::foreign;
use crate::view::View;

const BOLD: Style = Style::new().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Explains a code, or lists all of them.
///
/// # Errors
///
/// A code that nothing is known of.
pub(super) fn run(args: &ExplainArgs, view: &View) -> Result<u8> {
    if args.markdown {
        view.result(&explain::reference());
        return Ok(exit::DONE);
    }
    let is_list = args.code.is_empty();
    let entries = if is_list {
        explain::entries()
    } else {
        found(&args.code.join(" "))?
    };
    if view.is_json() {
        view.document(&json!({"format_version": "1", "entries": entries}));
    } else if is_list {
        view.result(&list(&entries));
    } else {
        let texts: Vec<String> = entries.iter().map(text).collect();
        view.result(&texts.join("\n"));
    }
    Ok(exit::DONE)
}

fn found(text: &str) -> Result<Vec<Entry>> {
    let (message, hint) = match explain::look_up(text) {
        Found::Entries(entries) => return Ok(entries),
        Found::Near(code) => (
            format!("nothing is known of `{}`", foreign::shown(text)),
            format!("did you mean `{code}`?"),
        ),
        Found::Nothing => (
            format!("nothing is known of `{}`", foreign::shown(text)),
            "`mtlsgw explain` lists all codes; a whole message will do as well".to_owned(),
        ),
    };
    Err(Error::refused_with(message, hint))
}

/// One entry.
fn text(entry: &Entry) -> String {
    let Entry {
        code,
        kind,
        cause,
        fix,
        source,
        stack_key,
        messages: _,
    } = entry;
    let title = kind.title();
    let mut text = format!(
        "{BOLD}{code}{BOLD:#} ({title})\n  {CYAN}cause:{CYAN:#}  {cause}\n  {CYAN}fix:{CYAN:#}    {fix}\n"
    );
    if let Some(key) = stack_key {
        writeln!(text, "  {CYAN}stack:{CYAN:#}  `{key}`").expect("writing to a String cannot fail");
    }
    writeln!(text, "  {CYAN}source:{CYAN:#} {source}").expect("writing to a String cannot fail");
    text
}

/// The codes of all entries, by kind.
fn list(entries: &[Entry]) -> String {
    let mut text = String::new();
    for kind in Kind::ALL {
        let codes = entries.iter().filter(|entry| entry.kind == kind);
        let codes: Vec<&str> = codes.map(|entry| entry.code).collect();
        let title = kind.title();
        writeln!(text, "{BOLD}{title}{BOLD:#}").expect("writing to a String cannot fail");
        for code in codes {
            writeln!(text, "  {code}").expect("writing to a String cannot fail");
        }
    }
    text
}
