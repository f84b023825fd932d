//! Tables of several stacks: what would be done, and what became of each.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::{Ending, Fate, Verified};
use crate::apply::Report;
use crate::error::Error;
use crate::plan::Effect;
use crate::session::{Attempt, Planned};

const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// A cell: its text and how it is shown.
type Cell = (String, Style);

/// What a plan comes to, in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) create: usize,
    pub(super) update: usize,
    pub(super) replace: usize,
    pub(super) delete: usize,
    /// How many addresses are taken over by tags.
    pub(super) adopt: usize,
    /// How many addresses widen access.
    pub(super) widening: usize,
    pub(super) warnings: usize,
}

impl Counts {
    pub(super) fn of(planned: &Planned) -> Self {
        let mut counts = Self {
            warnings: planned.warnings.len() + planned.foreign.len(),
            ..Self::default()
        };
        for summary in &planned.plan.summaries {
            counts.widening += usize::from(summary.widens);
            match summary.effect {
                Effect::Create => counts.create += 1,
                Effect::Update => counts.update += 1,
                Effect::Replace => counts.replace += 1,
                Effect::Delete => counts.delete += 1,
                Effect::Adopt => counts.adopt += 1,
            }
        }
        counts
    }

    fn add(&mut self, other: Self) {
        self.create += other.create;
        self.update += other.update;
        self.replace += other.replace;
        self.delete += other.delete;
        self.adopt += other.adopt;
        self.widening += other.widening;
        self.warnings += other.warnings;
    }

    /// The figures with their titles; those of an adoption are others.
    fn columns(self, is_adoption: bool) -> Vec<(&'static str, usize, Style)> {
        let effects = if is_adoption {
            vec![("adopt", self.adopt, GREEN), ("create", self.create, GREEN)]
        } else {
            vec![
                ("create", self.create, GREEN),
                ("update", self.update, YELLOW),
                ("replace", self.replace, RED),
                ("delete", self.delete, RED),
                ("widening", self.widening, YELLOW),
            ]
        };
        let warnings = ("warnings", self.warnings, YELLOW);
        effects.into_iter().chain([warnings]).collect()
    }

    fn cells(self, is_adoption: bool) -> Vec<Cell> {
        let columns = self.columns(is_adoption).into_iter();
        let cell = |(_, count, style): (_, usize, Style)| {
            let style = if count == 0 { Style::new() } else { style };
            (count.to_string(), style)
        };
        columns.map(cell).collect()
    }
}

/// What would be done in each of several stacks.
pub(super) fn plans(attempts: &[Attempt]) -> String {
    let planned = attempts.iter().flat_map(|attempt| &attempt.planned);
    let mut total = Counts::default();
    planned.for_each(|planned| total.add(Counts::of(planned)));
    let is_adoption = total.adopt > 0;
    let columns = total.columns(is_adoption).into_iter();
    let head = std::iter::once("stack").chain(columns.map(|(title, _, _)| title));
    let mut rows = vec![head.map(|title| (title.to_owned(), Style::new())).collect()];
    for attempt in attempts {
        let name = (attempt.name.clone(), Style::new());
        match &attempt.planned {
            Ok(planned) => {
                let cells = Counts::of(planned).cells(is_adoption);
                rows.push([vec![name], cells].concat());
            }
            Err(_) => rows.push(vec![name, ("cannot be planned".to_owned(), RED)]),
        }
    }
    let all = (format!("{} stacks", attempts.len()), Style::new());
    rows.push([vec![all], total.cells(is_adoption)].concat());
    table(&rows)
}

/// What became of each of several stacks.
pub(super) fn endings(endings: &[Ending]) -> String {
    let mut head = vec!["stack", "changes", "outcome"];
    let is_verified = endings.iter().any(|ending| ending.verified.is_some());
    if is_verified {
        head.push("verified");
    }
    let plain = |text: &str| (text.to_owned(), Style::new());
    let mut rows = vec![head.into_iter().map(plain).collect::<Vec<_>>()];
    for ending in endings {
        let changes = match &ending.fate {
            Fate::Ran(report) => report.done,
            Fate::Unchanged | Fate::Refused(_) => 0,
        };
        let mut row = vec![
            plain(&ending.stack),
            plain(&changes.to_string()),
            outcome(&ending.fate),
        ];
        if is_verified {
            row.push(match ending.verified {
                Some(Verified::Passed) => ("yes".to_owned(), GREEN),
                Some(Verified::Failed) => ("no".to_owned(), RED),
                None => plain("not tried"),
            });
        }
        rows.push(row);
    }
    table(&rows)
}

fn outcome(fate: &Fate) -> Cell {
    match fate {
        Fate::Unchanged => ("no changes".to_owned(), Style::new()),
        Fate::Refused(Error::Interrupted) => ("interrupted, nothing begun".to_owned(), YELLOW),
        Fate::Refused(_) => ("refused, nothing begun".to_owned(), RED),
        Fate::Ran(report) => ran(report),
    }
}

fn ran(report: &Report) -> Cell {
    let left = |word: &str| {
        let (failed, skipped) = (report.failed.len(), report.skipped.len());
        format!("{word}: {failed} failed, {skipped} not done")
    };
    if report.interrupted {
        (left("interrupted"), YELLOW)
    } else if report.failed.is_empty() {
        ("complete".to_owned(), GREEN)
    } else {
        (left("incomplete"), RED)
    }
}

/// Columns as wide as they have to be: numbers to the right, words to the left.
fn table(rows: &[Vec<Cell>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let full = || rows.iter().filter(|row| row.len() == columns);
    let width = |column: usize| {
        let widths = full().map(|row| row[column].0.chars().count());
        // The first column is aligned in short rows as well.
        let short = rows.iter().filter(|_| column == 0);
        let short = short.map(|row| row[0].0.chars().count());
        widths.chain(short).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_number = |column: usize| {
        let mut cells = full().skip(1).map(|row| row[column].0.as_str());
        cells.all(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, style)) in row.iter().enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let space = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            let (before, after) = if row.len() == columns && is_number(column) {
                (space.as_str(), "")
            } else {
                ("", space.as_str())
            };
            write!(line, "{gap}{before}{style}{cell}{style:#}{after}")
                .expect("writing to a String cannot fail");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_under_each_other_and_a_short_row_moves_no_column() {
        let plain = |text: &&str| ((*text).to_owned(), Style::new());
        let row = |cells: &[&str]| cells.iter().map(plain).collect::<Vec<_>>();
        let rows = [
            row(&["stack", "create", "delete"]),
            row(&["a-long-name", "12", "0"]),
            row(&["b", "cannot be planned"]),
            row(&["c", "1", "100"]),
        ];
        let expected = "\
stack        create  delete
a-long-name      12       0
b            cannot be planned
c                 1     100
";
        assert_eq!(table(&rows), expected);
    }
}
