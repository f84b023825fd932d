//! The whole table as a page.

use std::fmt::Write;

use super::entry::{Entry, Kind};

/// What stands above the tables.
const HEAD: &str = "\
# What codes mean

`mtlsgw explain --markdown > docs/explain.md` writes this page. `mtlsgw explain CODE` prints one entry, `--json` prints it for
programs, and without CODE it lists all. A code is found in any case, with or without `Failed:` and `Exception`; a whole
message will do: `mtlsgw explain 'User: anonymous is not authorized to perform: execute-api:Invoke …'`.

What AWS does not document is said to be seen in practice.
";

/// Writes every entry as Markdown.
pub fn reference() -> String {
    let entries = super::entries();
    let mut text = HEAD.to_owned();
    for kind in Kind::ALL {
        let of_kind = entries.iter().filter(|entry| entry.kind == kind);
        let title = kind.title();
        write!(
            text,
            "\n## {title}\n\n| code | cause | fix | stack file | source |\n|---|---|---|---|---|\n"
        )
        .expect("writing to a String cannot fail");
        for entry in of_kind {
            row(&mut text, entry);
        }
    }
    text
}

fn row(text: &mut String, entry: &Entry) {
    let Entry {
        code,
        kind: _,
        cause,
        fix,
        source,
        stack_key,
        messages: _,
    } = entry;
    let cell = |text: &str| text.replace('|', "\\|");
    let key = stack_key.map(|key| format!("`{key}`")).unwrap_or_default();
    let (cause, fix, source) = (cell(cause), cell(fix), cell(source));
    writeln!(text, "| `{code}` | {cause} | {fix} | {key} | {source} |")
        .expect("writing to a String cannot fail");
}
