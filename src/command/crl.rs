//! `crl refresh`: the CRLs of URLs, fetched and put in place of older ones without a gap; for cron.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::apply::{refuse_moved, refuse_quota, release, run_plan, unless_interrupted};
use crate::apply::Report;
use crate::cli::{Global, RefreshArgs};
use crate::crl_source::{self, Fate, decimal_number, good_until, name, number};
use crate::error::{Error, Result, exit};
use crate::lock::Lock;
use crate::session::{self, Refresh, Session, Subject, Widening};
use crate::stack::Stack;
use crate::trust::{Crl, crl_changes};
use crate::view::View;

/// Refreshes the CRLs of stacks, one stack after another.
///
/// # Errors
///
/// There is no stack file; what goes wrong with one stack is told and does not stop the others.
pub(super) async fn refresh(args: &RefreshArgs, global: &Global, view: &View) -> Result<u8> {
    let files = session::stack_files(&args.paths.paths)?;
    let session = Session::open(global).await?;
    // stdout is for the result, which comes at the end.
    let progress = view.for_messages();
    let mut ends = Vec::new();
    for file in &files {
        let end = refresh_stack(&session, file, args, (global, &progress)).await;
        let interrupted = end.interrupted;
        if !view.is_json() {
            view.result(&end.text());
        }
        for error in &end.errors {
            progress.error(error);
        }
        ends.push(end);
        if interrupted {
            break;
        }
    }
    session.close().await;
    if view.is_json() {
        let stacks: Vec<Value> = ends.iter().map(End::json).collect();
        view.document(&json!({"format_version": "1", "stacks": stacks}));
    }
    Ok(exit_code(&ends))
}

/// 0 all is up to date, 3 some of it, 1 nothing was done and something should have been, 130 interrupted.
fn exit_code(ends: &[End]) -> u8 {
    let failed = ends.iter().any(End::has_failed);
    let done = ends.iter().any(|end| end.done > 0);
    match (ends.iter().any(|end| end.interrupted), failed, done) {
        (true, _, _) => exit::INTERRUPTED,
        (false, false, _) => exit::DONE,
        (false, true, true) => exit::PARTIAL,
        (false, true, false) => exit::FAILED,
    }
}

/// How the refresh of one stack ended.
#[derive(Debug, Default)]
struct End {
    stack: String,
    crls: Vec<Line>,
    errors: Vec<Error>,
    /// How many steps that change something are done.
    done: usize,
    interrupted: bool,
}

/// What became of one CRL.
#[derive(Debug, Serialize)]
struct Line {
    url: String,
    issuer: Option<String>,
    status: Status,
    number: Option<String>,
    previous_number: Option<String>,
    serials_added: usize,
    serials_removed: usize,
    next_update: Option<String>,
    /// Why it is not as it should be.
    problem: Option<String>,
    #[serde(skip)]
    text: String,
}

/// What became of a CRL, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    UpToDate,
    Refreshed,
    Added,
    Kept,
    Failed,
}

async fn refresh_stack(
    session: &Session,
    file: &Path,
    args: &RefreshArgs,
    told: (&Global, &View),
) -> End {
    let subject = match Subject::load(file) {
        Ok(subject) => subject,
        Err(errors) => return End::failed(&file.display().to_string(), errors.into()),
    };
    let Some(stack) = &subject.stack else {
        return End::default();
    };
    let attempt = attempt(session, (&subject, stack), args, told).await;
    attempt.unwrap_or_else(|error| End::failed(&subject.name, error))
}

async fn attempt(
    session: &Session,
    (subject, stack): (&Subject, &Stack),
    args: &RefreshArgs,
    (global, progress): (&Global, &View),
) -> Result<End> {
    if crl_source::urls(stack).is_empty() {
        progress.note(&format!("{}: no CRL comes from a URL", stack.name));
        return Ok(End {
            stack: stack.name.clone(),
            ..End::default()
        });
    }
    let widening = if args.allow_widening {
        Widening::Allowed
    } else {
        Widening::Refused
    };
    let plan = || unless_interrupted(session.plan_refresh(subject, stack, widening));
    let shown = plan().await?;
    if shown.planned.plan.is_empty() {
        return Ok(End::of(&shown, &Report::default()));
    }
    refuse_quota(&shown.planned, args.quotas)?;
    let planned = &shown.planned;
    let lock = Lock::take(
        &planned.aws,
        &planned.identity,
        &planned.bucket,
        &planned.name,
        "crl refresh",
    )
    .await?;
    let work = async {
        let refresh = plan().await?;
        refuse_moved(planned, &refresh.planned)?;
        let report = run_plan(&refresh.planned, &lock, (global, progress)).await;
        Ok(End::of(&refresh, &report))
    };
    let end = work.await;
    release(lock, progress).await;
    end
}

impl End {
    fn failed(stack: &str, error: Error) -> Self {
        Self {
            stack: stack.to_owned(),
            interrupted: matches!(error, Error::Interrupted),
            errors: vec![error],
            ..Self::default()
        }
    }

    fn of(refresh: &Refresh, report: &Report) -> Self {
        let run = if report.failed.is_empty() && !report.interrupted {
            Run::Done
        } else {
            Run::Failed
        };
        let now = OffsetDateTime::now_utc();
        let lines = refresh.outcomes.iter().flat_map(|outcome| {
            let about = About {
                url: outcome.url.to_string(),
                refresh,
                run,
                now,
            };
            about.lines(&outcome.fate)
        });
        Self {
            stack: refresh.planned.name.clone(),
            crls: lines.collect(),
            errors: report.failed.clone(),
            done: report.done,
            interrupted: report.interrupted,
        }
    }

    fn has_failed(&self) -> bool {
        !self.errors.is_empty() || self.crls.iter().any(|line| line.problem.is_some())
    }

    /// One line a CRL.
    fn text(&self) -> String {
        let lines = self.crls.iter();
        let lines = lines.flat_map(|line| [&self.stack, ": ", &line.text, "\n"]);
        lines.collect()
    }

    fn json(&self) -> Value {
        let error = |error: &Error| json!({"message": error.to_string(), "hint": error.hint()});
        json!({
            "name": self.stack,
            "crls": self.crls,
            "errors": self.errors.iter().map(error).collect::<Vec<_>>(),
        })
    }
}

/// How the steps ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Done,
    Failed,
}

/// What lines about the CRLs of a URL are made of.
struct About<'a> {
    url: String,
    refresh: &'a Refresh,
    run: Run,
    now: OffsetDateTime,
}

impl About<'_> {
    fn lines(&self, fate: &Fate) -> Vec<Line> {
        match fate {
            Fate::Current(crl) => vec![self.current(crl)],
            Fate::Due { live, served } => vec![self.due(live, served)],
            Fate::New { served, failure } => {
                let problem = failure.as_ref().map(|failure| {
                    format!(
                        "{}: {}; it is what was served before",
                        self.url,
                        failure.words()
                    )
                });
                vec![self.added(served, problem)]
            }
            Fate::Kept { failure, live } => {
                let problem = format!("{}: {}", self.url, failure.words());
                live.iter().map(|crl| self.kept(crl, &problem)).collect()
            }
            Fate::Absent(failure) => {
                let problem = format!("{}, and no CRL of it is live", failure.words());
                vec![Line {
                    issuer: None,
                    number: None,
                    next_update: None,
                    text: format!("{}: failed: {problem}", self.url),
                    problem: Some(problem),
                    ..self.line(Status::Failed)
                }]
            }
        }
    }

    fn line(&self, status: Status) -> Line {
        Line {
            url: self.url.clone(),
            issuer: None,
            status,
            number: None,
            previous_number: None,
            serials_added: 0,
            serials_removed: 0,
            next_update: None,
            problem: None,
            text: String::new(),
        }
    }

    /// A line about a CRL that has been dealt with.
    fn about(&self, status: Status, crl: &Crl, text: &str) -> Line {
        let beside = self.beside(crl);
        let stays = beside.as_ref().map(|beside| format!("; {beside}"));
        let next = crl.next_update.and_then(|next| next.format(&Rfc3339).ok());
        Line {
            issuer: Some(crl.issuer.to_string()),
            number: decimal_number(crl),
            next_update: next,
            text: format!(
                "{}: {text}, {}{}",
                crl.issuer,
                good_until(crl, self.now),
                stays.unwrap_or_default()
            ),
            problem: beside,
            ..self.line(status)
        }
    }

    fn current(&self, crl: &Crl) -> Line {
        let text = format!("up to date, {}", name(crl));
        let gone = self.refresh.live.iter().filter(|live| {
            let mut wanted = self.refresh.wanted.iter();
            live.issuer.matches(&crl.issuer) && !wanted.any(|one| one.digest == live.digest)
        });
        let gone: Vec<String> = gone.map(|crl| number(crl)).collect();
        match (gone.is_empty(), self.run) {
            (true, _) => self.about(Status::UpToDate, crl, &text),
            (false, Run::Done) => {
                let text = format!("{text}, removed {} that was left over", gone.join(" and "));
                self.about(Status::Refreshed, crl, &text)
            }
            (false, Run::Failed) => self.failed(crl),
        }
    }

    fn due(&self, live: &Crl, served: &Crl) -> Line {
        if self.run == Run::Failed {
            return self.failed(served);
        }
        let changes = crl_changes(&live.serials, &served.serials);
        let holds = |crls: &[Arc<Crl>]| crls.iter().any(|crl| crl.digest == live.digest);
        let stays = holds(&self.refresh.wanted);
        let removed = if stays { 0 } else { changes.removed };
        let mut text = format!(
            "refreshed {} -> {}, {} serials added, {removed} removed",
            number(live),
            number(served),
            changes.added,
        );
        if stays && !holds(&self.refresh.held) {
            let beside = format!("; {} stays for the CA's other key", name(live));
            text.push_str(&beside);
        }
        let line = self.about(Status::Refreshed, served, &text);
        let is_expired = served.next_update.is_some_and(|next| next < self.now);
        let problem = is_expired.then(|| format!("{} is out of date itself", name(served)));
        Line {
            previous_number: decimal_number(live),
            serials_added: changes.added,
            serials_removed: removed,
            problem: line.problem.or(problem),
            ..line
        }
    }

    fn added(&self, served: &Crl, problem: Option<String>) -> Line {
        if self.run == Run::Failed {
            return self.failed(served);
        }
        let serials = served.serials.len();
        let text = format!("added, {}, {serials} serials", name(served));
        let mut line = self.about(Status::Added, served, &text);
        line.serials_added = serials;
        if let Some(problem) = problem {
            line.text = format!("{}; {problem}", line.text);
            line.problem = Some(problem);
        }
        line
    }

    fn kept(&self, crl: &Crl, problem: &str) -> Line {
        let text = format!("kept: {problem}; {}", name(crl));
        Line {
            problem: Some(problem.to_owned()),
            ..self.about(Status::Kept, crl, &text)
        }
    }

    /// A line about a CRL whose swap did not come to its end; the errors say why.
    fn failed(&self, crl: &Crl) -> Line {
        let problem = format!("not refreshed: {} is not in place", name(crl));
        Line {
            issuer: Some(crl.issuer.to_string()),
            number: decimal_number(crl),
            text: format!("{}: {problem}; run the same command again", crl.issuer),
            problem: Some(problem),
            ..self.line(Status::Failed)
        }
    }

    /// What is said of old CRLs that stay because removing them was not allowed.
    fn beside(&self, crl: &Crl) -> Option<String> {
        let held = self.refresh.held.iter();
        let held =
            held.filter(|held| held.issuer.matches(&crl.issuer) && held.digest != crl.digest);
        let held: Vec<String> = held
            .map(|held| {
                let more = crl_changes(&crl.serials, &held.serials).added;
                format!(
                    "{} stays beside it for {more} serials that would be accepted again",
                    name(held)
                )
            })
            .collect();
        (!held.is_empty()).then(|| format!("{}: --allow-widening removes it", held.join(", ")))
    }
}
