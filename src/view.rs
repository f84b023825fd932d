//! The only module that prints.
//!
//! stdout carries the result (a plan, JSON, YAML), stderr the progress and the messages. The view
//! is chosen before any work, so that errors come in the chosen form as well.

mod human;
mod json;
mod left;
mod progress;
mod table;

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Instant;

use anstream::{AutoStream, ColorChoice};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use zeroize::Zeroizing;

use crate::apply::{Leftover, Report, Told};
use crate::cli::{Global, Output};
use crate::error::{Error, Result};
use crate::plan::Retained;
use crate::session::{Attempt, Planned};

/// Where and how results and messages are shown.
#[derive(Debug, Clone)]
pub(crate) struct View {
    output: Output,
    colour: ColorChoice,
    /// Whether progress may be drawn over: stderr is a terminal and nobody records it.
    draws: bool,
    /// When the command began.
    began: Instant,
}

/// Whether progress names the stack of each address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// There is only one.
    Addresses,
    /// There are several.
    Stacks,
}

/// How an apply or destroy ended, in figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// `apply` or `destroy`.
    pub(crate) command: &'static str,
    /// The stack.
    pub(crate) stack: String,
    /// What is left behind, and why.
    pub(crate) retained: Vec<Retained>,
    /// After a destroy: all that is left, and why.
    pub(crate) left: Option<Vec<Leftover>>,
    /// Requests that went out.
    pub(crate) calls: u64,
}

/// What became of one of several stacks.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The stack's name.
    pub(crate) stack: String,
    /// What became of it.
    pub(crate) fate: Fate,
    /// What is left behind, and why.
    pub(crate) retained: Vec<Retained>,
    /// Whether probes came out as they should, where they were asked for.
    pub(crate) verified: Option<Verified>,
}

/// What became of a stack.
#[derive(Debug)]
pub(crate) enum Fate {
    /// There was nothing to change.
    Unchanged,
    /// It was refused, or could not be planned, before anything of it was changed.
    Refused(Error),
    /// Its plan was run.
    Ran(Report),
}

/// What probes said of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verified {
    /// All came out as they should.
    Passed,
    /// Some did not, or could not be made.
    Failed,
}

impl View {
    /// Chooses the view from the options and the environment.
    pub(crate) fn choose(global: &Global) -> Self {
        let output = if global.json {
            Output::Json
        } else {
            global.output
        };
        // anstream itself honours NO_COLOR, CLICOLOR_FORCE, TERM=dumb and whether it is a terminal.
        let colour = if global.no_color {
            ColorChoice::Never
        } else {
            ColorChoice::Auto
        };
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let draws = output == Output::Human && io::stderr().is_terminal() && !ci && !dumb;
        Self {
            output,
            colour,
            draws,
            began: Instant::now(),
        }
    }

    /// The view for when the options could not be read.
    pub(crate) fn plain() -> Self {
        Self {
            output: Output::Human,
            colour: ColorChoice::Auto,
            draws: false,
            began: Instant::now(),
        }
    }

    /// The view for progress and messages where stdout carries one document.
    pub(crate) fn for_messages(&self) -> Self {
        Self {
            output: Output::Human,
            ..self.clone()
        }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Prints a result as it is.
    pub(crate) fn result(&self, text: &str) {
        let mut out = AutoStream::new(io::stdout(), self.colour);
        // A reader that has had enough (`| head`) is no error of ours.
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .ok();
    }

    /// Prints a line of a message.
    pub(crate) fn note(&self, text: &str) {
        let mut out = AutoStream::new(io::stderr(), self.colour);
        writeln!(out, "{text}").ok();
    }

    /// Prints a JSON document.
    pub(crate) fn document(&self, value: &Value) {
        self.result(&format!("{value:#}\n"));
    }

    /// Shows plans: the result of `plan`.
    pub(crate) fn plans(&self, attempts: &[Attempt]) {
        match self.output {
            Output::Human => self.result(&human::plans(attempts)),
            Output::Json => self.document(&json::plans(attempts)),
        }
    }

    /// Shows the plans of several stacks that apply is about to run.
    pub(crate) fn plans_to_apply(&self, attempts: &[Attempt]) {
        if !self.is_json() {
            self.result(&human::plans(attempts));
            return;
        }
        self.line(&json::version());
        let planned = attempts
            .iter()
            .filter_map(|attempt| attempt.planned.as_ref().ok());
        for line in planned.flat_map(json::planned) {
            self.line(&line);
        }
    }

    /// Shows what keeps a stack of several from being planned or applied; stacks of one and the same
    /// error together.
    pub(crate) fn refused(&self, refused: &[(&str, &Error)]) {
        let mut told: Vec<(String, &Error, Vec<&str>)> = Vec::new();
        for (stack, error) in refused {
            let text = error.to_string();
            match told.iter_mut().find(|(other, ..)| *other == text) {
                Some((.., stacks)) => stacks.push(stack),
                None => told.push((text, error, vec![stack])),
            }
        }
        for (_, error, stacks) in told {
            for stack in stacks.iter().filter(|_| self.is_json()) {
                self.line(&json::error_of(stack, error));
            }
            self.note(&human::error_of(&stacks, error));
        }
    }

    /// Shows what became of several stacks: of those whose plan was run in full, of all in a table.
    pub(crate) fn endings(&self, endings: &[Ending], (code, calls): (u8, u64)) {
        if self.is_json() {
            for ending in endings {
                self.line(&json::ending(ending, self.began.elapsed()));
            }
            let results = json::results(endings, (code, calls), self.began.elapsed());
            self.line(&results);
            return;
        }
        for ending in endings {
            let text = human::ending(ending);
            if !text.is_empty() {
                self.note(text.trim_end());
            }
        }
        self.note(&format!("\n{}", table::endings(endings)));
        self.note(&human::results(endings, calls));
    }

    /// Shows how stacks stand.
    pub(crate) fn statuses(&self, planned: &[Planned]) {
        match self.output {
            Output::Human => self.result(&planned.iter().map(human::status).collect::<String>()),
            Output::Json => self.document(&json::statuses(planned)),
        }
    }

    /// Shows the plan that apply is about to run; as JSON it is the first lines of a stream.
    pub(crate) fn plan_to_apply(&self, planned: &Planned) {
        match self.output {
            Output::Human => self.result(&human::plan(planned)),
            Output::Json => {
                self.line(&json::version());
                for line in json::planned(planned) {
                    self.line(&line);
                }
            }
        }
    }

    /// Shows what happens until the sender is gone.
    pub(crate) async fn follow(&self, mut told: UnboundedReceiver<Told>, naming: Naming) {
        let mut progress = progress::Progress::new(self, naming);
        while let Some(told) = progress.next(&mut told).await {
            match self.output {
                Output::Human => progress.show(&told),
                Output::Json => self.line(&json::event(&told, self.began.elapsed())),
            }
        }
        progress.clear();
    }

    /// Shows how it ended.
    pub(crate) fn summary(&self, report: &Report, figures: &Figures) {
        match self.output {
            Output::Human => self.note(&human::summary(report, figures)),
            Output::Json => self.line(&json::summary(report, figures, self.began.elapsed())),
        }
    }

    /// Shows an error with its hint.
    pub(crate) fn error(&self, error: &Error) {
        if self.is_json() {
            self.line(&json::error(error));
        }
        self.note(&human::error(error));
    }

    /// Asks a question that only `expected` answers with yes.
    ///
    /// # Errors
    ///
    /// Nobody is there to answer, or somebody answered something else.
    pub(crate) fn confirm(&self, question: &str, expected: &str, flag: &str) -> Result<()> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() || self.is_json() {
            return Err(Error::refused_with(
                "nobody is there to confirm",
                format!("confirm with {flag}"),
            ));
        }
        let mut out = AutoStream::new(io::stderr(), self.colour);
        write!(out, "{question} ").and_then(|()| out.flush()).ok();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).ok();
        if answer.trim() == expected {
            Ok(())
        } else {
            Err(Error::refused("not confirmed; nothing was changed"))
        }
    }

    /// Asks for a passphrase without showing it.
    ///
    /// # Errors
    ///
    /// Nobody is there to answer; `otherwise` says where else a passphrase can come from.
    pub(crate) fn ask_secret(&self, question: &str, otherwise: &str) -> Result<Zeroizing<String>> {
        let unanswered = || {
            Error::refused_with(
                format!("{question} is needed, and nobody is there to be asked"),
                otherwise,
            )
        };
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() || self.is_json() {
            return Err(unanswered());
        }
        let answer =
            rpassword::prompt_password(format!("{question}: ")).map_err(|_| unanswered())?;
        Ok(Zeroizing::new(answer))
    }

    fn line(&self, value: &Value) {
        self.result(&format!("{value}\n"));
    }
}
