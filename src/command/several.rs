//! `apply` of several stacks: read together, shown together, confirmed once, each under its own lock.
//!
//! What goes wrong with one stack stops none of the others. Changes share the slots of
//! `--parallelism`, and calls the pacing of their account and region.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use tokio::sync::watch;

use super::apply::{
    Allowed, interrupted, refuse, refuse_lockout, refuse_moved, refuse_quota, release, run_steps,
};
use super::saved::Saved;
use super::verify;
use crate::apply::{Events, Report, Slots};
use crate::cli::{ApplyArgs, Global};
use crate::error::{Error, Result, exit, listed};
use crate::lock::Lock;
use crate::session::{self, Attempt, Planned, Session, Subject};
use crate::view::{Ending, Fate, Naming, Verified, View};

/// How many stacks are probed at a time.
const VERIFIED_AT_ONCE: usize = 4;

/// A stack that is to be applied.
#[derive(Debug)]
pub(super) struct Job {
    /// Its file.
    pub(super) file: PathBuf,
    /// Its saved plan, where that is to be applied.
    pub(super) saved: Option<Saved>,
}

/// What the whole run goes by.
struct Run<'a> {
    session: &'a Session,
    jobs: &'a [Job],
    subjects: Vec<Subject>,
    args: &'a ApplyArgs,
    allowed: Allowed,
    global: &'a Global,
    view: &'a View,
}

/// A stack that has something to be done: its place among the jobs, and the plan that was shown.
type Shown<'a> = (usize, &'a Planned);

/// Applies several stacks.
///
/// # Errors
///
/// What is wrong with a file, what keeps every stack from being planned, or no confirmation; nothing
/// was changed then. Everything else is told of its stack.
pub(super) async fn apply(
    (session, jobs): (&Session, &[Job]),
    (args, allowed): (&ApplyArgs, Allowed),
    (global, view): (&Global, &View),
) -> Result<u8> {
    let files: Vec<PathBuf> = jobs.iter().map(|job| job.file.clone()).collect();
    let run = Run {
        session,
        jobs,
        subjects: session::load(&files)?,
        args,
        allowed,
        global,
        view,
    };
    let attempts = refuse_if_all_alike(session.plan_each(run.subjects.clone()).await)?;
    view.plans_to_apply(&attempts);
    let mut fates = run.judge(&attempts);
    let shown: Vec<Shown<'_>> = attempts
        .iter()
        .enumerate()
        .filter(|(place, _)| fates[*place].is_none())
        .filter_map(|(place, attempt)| Some((place, attempt.planned.as_ref().ok()?)))
        .collect();
    if !shown.is_empty() {
        run.confirm(&shown)?;
        for (place, fate) in run.run(&shown).await {
            fates[place] = Some(fate);
        }
    }
    let mut endings: Vec<Ending> = attempts.iter().zip(fates).map(ending).collect();
    run.verify(&mut endings).await;
    let code = exit_code(&endings);
    view.endings(&endings, (code, calls(&attempts)));
    Ok(code)
}

/// Refuses at once what fails for one and the same reason everywhere: no credentials, no network.
///
/// # Errors
///
/// That reason.
pub(super) fn refuse_if_all_alike(attempts: Vec<Attempt>) -> Result<Vec<Attempt>> {
    let mut errors = attempts
        .iter()
        .map(|attempt| attempt.planned.as_ref().err());
    let Some(Some(first)) = errors.next() else {
        return Ok(attempts);
    };
    let text = first.to_string();
    if errors.all(|error| error.is_some_and(|error| error.to_string() == text)) {
        return Err(first.clone());
    }
    Ok(attempts)
}

/// The stacks that could not be planned, and why.
pub(super) fn refused(attempts: &[Attempt]) -> Vec<(&str, &Error)> {
    attempts
        .iter()
        .filter_map(|attempt| Some((attempt.name.as_str(), attempt.planned.as_ref().err()?)))
        .collect()
}

impl Run<'_> {
    /// What becomes of stacks without anything being done; none of those that are to be applied.
    fn judge(&self, attempts: &[Attempt]) -> Vec<Option<Fate>> {
        let judged = attempts.iter().zip(self.jobs).zip(&self.subjects);
        let fates: Vec<Option<Fate>> = judged
            .map(|((attempt, job), subject)| match &attempt.planned {
                Err(error) => Some(Fate::Refused(error.clone())),
                Ok(planned) => match self.permit(planned, job, subject) {
                    Err(error) => Some(Fate::Refused(error)),
                    Ok(()) if planned.plan.is_empty() => Some(Fate::Unchanged),
                    Ok(()) => None,
                },
            })
            .collect();
        self.tell_refused(attempts.iter().map(|one| one.name.as_str()).zip(&fates));
        fates
    }

    fn tell_refused<'a>(&self, fates: impl Iterator<Item = (&'a str, &'a Option<Fate>)>) {
        let refused: Vec<(&str, &Error)> = fates
            .filter_map(|(name, fate)| match fate {
                Some(Fate::Refused(error)) => Some((name, error)),
                _ => None,
            })
            .collect();
        self.view.refused(&refused);
    }

    /// Refuses what the user has to allow in so many words, and saved plans that are stale.
    fn permit(&self, planned: &Planned, job: &Job, subject: &Subject) -> Result<()> {
        if let (Some(saved), Some(stack)) = (&job.saved, &subject.stack) {
            saved.refuse_moved_files(stack)?;
            saved.refuse_moved(planned)?;
        }
        if planned.plan.is_empty() {
            return Ok(());
        }
        refuse(planned, self.allowed)?;
        refuse_lockout(planned, job.saved.as_ref(), self.allowed)?;
        refuse_quota(planned, self.allowed.quotas)
    }

    /// One confirmation for all, and one of its own for access that widens.
    fn confirm(&self, shown: &[Shown<'_>]) -> Result<()> {
        let is_saved = self.jobs.iter().all(|job| job.saved.is_some());
        if !self.allowed.common.yes && !is_saved {
            let question = format!(
                "Apply this to {} of {} stacks? Only `yes` is taken for yes:",
                shown.len(),
                self.jobs.len()
            );
            self.view.confirm(&question, "yes", "--yes")?;
        }
        let widening = shown.iter().filter(|(_, planned)| planned.plan.widens());
        let widening: Vec<&str> = widening.map(|(_, planned)| planned.name.as_str()).collect();
        if !widening.is_empty() && !self.allowed.widening {
            let question = format!(
                "Access widens in {}. Type `widen` to allow it:",
                listed(&widening)
            );
            self.view.confirm(&question, "widen", "--allow-widening")?;
        }
        Ok(())
    }

    /// Takes the locks, plans again under them, and runs what is as it was shown.
    async fn run(&self, shown: &[Shown<'_>]) -> Vec<(usize, Fate)> {
        let (stop, stopped) = watch::channel(false);
        let listen = async {
            interrupted(self.view).await;
            stop.send_replace(true);
            futures::future::pending().await
        };
        let work = Box::pin(self.run_until(shown, stopped));
        tokio::select! {
            fates = work => fates,
            fates = listen => fates,
        }
    }

    async fn run_until(
        &self,
        shown: &[Shown<'_>],
        mut stopped: watch::Receiver<bool>,
    ) -> Vec<(usize, Fate)> {
        let mut fates = Vec::new();
        let mut held = Vec::new();
        for (one, lock) in shown.iter().zip(take_locks(shown).await) {
            match lock {
                Ok(lock) => held.push((*one, lock)),
                Err(error) => fates.push((one.0, Fate::Refused(error))),
            }
        }
        let subjects = held
            .iter()
            .map(|((place, _), _)| self.subjects[*place].clone());
        let again = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => None,
            again = self.session.plan_each(subjects.collect()) => Some(again),
            // It is known to each lock that it was lost.
            _ = join_all(held.iter().map(|(_, lock)| lock.keep())) => None,
        };
        let mut again = again.map(Vec::into_iter);
        let mut ready = Vec::new();
        for ((place, shown), lock) in held {
            let planned = match again.as_mut().and_then(Iterator::next) {
                None => Err(Error::Interrupted),
                Some(attempt) => attempt.planned,
            };
            let planned = planned.and_then(|now| {
                lock.refuse_lost()?;
                refuse_moved(shown, &now).map(|()| now)
            });
            match planned {
                Ok(planned) => ready.push((place, planned, lock)),
                Err(error) => {
                    release(lock, self.view).await;
                    fates.push((place, Fate::Refused(error)));
                }
            }
        }
        let late: Vec<(&str, &Error)> = fates
            .iter()
            .filter_map(|(place, fate)| match fate {
                Fate::Refused(error) if !matches!(error, Error::Interrupted) => {
                    Some((self.subjects[*place].name.as_str(), error))
                }
                _ => None,
            })
            .collect();
        self.view.refused(&late);
        fates.extend(self.run_all(ready, &stopped).await);
        fates
    }

    /// Runs all plans at once; each stack's lock goes back as soon as its plan has ended.
    async fn run_all(
        &self,
        ready: Vec<(usize, Planned, Lock<'_>)>,
        stopped: &watch::Receiver<bool>,
    ) -> Vec<(usize, Fate)> {
        let (events, receiver) = Events::channel("");
        let slots = Slots::new(usize::from(self.global.parallelism));
        let runs: Vec<_> = ready
            .into_iter()
            .map(|(place, planned, lock)| {
                let (events, slots) = (events.of(&planned.name), slots.clone());
                let mut stopped = stopped.clone();
                async move {
                    let stop = async {
                        // An error is the end of the sender, which outlives the run.
                        stopped.wait_for(|stopped| *stopped).await.ok();
                    };
                    let report = run_steps(&planned, &lock, (events, &slots), stop).await;
                    release(lock, self.view).await;
                    (place, Fate::Ran(report))
                }
            })
            .collect();
        drop(events);
        let follow = self.view.follow(receiver, Naming::Stacks);
        let (fates, ()) = futures::join!(join_all(runs), follow);
        fates
    }

    /// Probes every stack that is as it should be, where that was asked for.
    async fn verify(&self, endings: &mut [Ending]) {
        if !self.args.afterwards.verify || endings.iter().any(Ending::is_interrupted) {
            return;
        }
        let good = endings
            .iter_mut()
            .zip(self.jobs)
            .filter(|(one, _)| one.is_good());
        let mut probed = stream::iter(good.map(|(ending, job)| async move {
            let probes = &self.args.afterwards.probes;
            let views = (self.global, self.view);
            (
                ending,
                verify::probe_applied(self.session, &job.file, probes, views).await,
            )
        }))
        .buffered(VERIFIED_AT_ONCE);
        while let Some((ending, report)) = probed.next().await {
            ending.verified = Some(match report {
                Ok(report) if verify::show_applied(&report, self.view) == exit::DONE => {
                    Verified::Passed
                }
                Ok(_) => Verified::Failed,
                Err(error) => {
                    self.view.refused(&[(ending.stack.as_str(), &error)]);
                    Verified::Failed
                }
            });
        }
    }
}

/// Takes the lock of each stack, whatever becomes of the others'.
///
/// The first one of each bucket makes the bucket where it is missing, and the others wait for that:
/// S3 refuses changes of a bucket that meet.
async fn take_locks<'a>(shown: &[Shown<'a>]) -> Vec<Result<Lock<'a>>> {
    let take = |planned: &'a Planned| {
        let Planned {
            aws,
            identity,
            bucket,
            name,
            ..
        } = planned;
        Lock::take(aws, identity, bucket, name, "apply")
    };
    let mut buckets = BTreeSet::new();
    let (first, rest): (Vec<_>, Vec<_>) = (0..shown.len())
        .partition(|at| buckets.insert((&shown[*at].1.aws.region, &shown[*at].1.bucket)));
    let mut locks = Vec::new();
    for places in [first, rest] {
        let taken = join_all(places.iter().map(|at| take(shown[*at].1))).await;
        locks.extend(places.into_iter().zip(taken));
    }
    locks.sort_by_key(|(at, _)| *at);
    locks.into_iter().map(|(_, lock)| lock).collect()
}

fn ending((attempt, fate): (&Attempt, Option<Fate>)) -> Ending {
    let retained = attempt
        .planned
        .iter()
        .flat_map(|planned| &planned.plan.retained);
    Ending {
        stack: attempt.name.clone(),
        fate: fate.unwrap_or(Fate::Refused(Error::Interrupted)),
        retained: retained.cloned().collect(),
        verified: None,
    }
}

/// How many requests went out, in all regions of the run.
fn calls(attempts: &[Attempt]) -> u64 {
    let mut regions = BTreeSet::new();
    attempts
        .iter()
        .filter_map(|attempt| attempt.planned.as_ref().ok())
        .filter(|planned| regions.insert(&planned.aws.region))
        .map(|planned| planned.aws.calls())
        .sum()
}

impl Ending {
    /// Whether the stack is as its file says.
    fn is_good(&self) -> bool {
        match &self.fate {
            Fate::Unchanged => true,
            Fate::Refused(_) => false,
            Fate::Ran(report) => report.failed.is_empty() && !report.interrupted,
        }
    }

    fn is_interrupted(&self) -> bool {
        match &self.fate {
            Fate::Unchanged => false,
            Fate::Refused(error) => matches!(error, Error::Interrupted),
            Fate::Ran(report) => report.interrupted,
        }
    }

    /// Whether something was changed, or all that is missing waits for somebody outside.
    fn has_done(&self) -> bool {
        let is_pending = |report: &Report| {
            let mut failed = report.failed.iter();
            !report.failed.is_empty() && failed.all(|error| matches!(error, Error::Pending { .. }))
        };
        matches!(&self.fate, Fate::Ran(report) if report.done > 0 || is_pending(report))
    }
}

/// The worst of all stacks: 130 interrupted, 3 in part, 1 nothing was done and something should have
/// been, 4 all is done and a probe says that it does not work, 0.
fn exit_code(endings: &[Ending]) -> u8 {
    let any = |what: fn(&Ending) -> bool| endings.iter().any(what);
    if any(Ending::is_interrupted) {
        exit::INTERRUPTED
    } else if any(|ending| !ending.is_good()) {
        if any(Ending::has_done) {
            exit::PARTIAL
        } else {
            exit::FAILED
        }
    } else if any(|ending| ending.verified == Some(Verified::Failed)) {
        exit::REFUSED
    } else {
        exit::DONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(done: usize, failed: Vec<Error>) -> Ending {
        of(Fate::Ran(Report {
            done,
            failed,
            ..Report::default()
        }))
    }

    fn of(fate: Fate) -> Ending {
        Ending {
            stack: "shop".to_owned(),
            fate,
            retained: Vec::new(),
            verified: None,
        }
    }

    #[test]
    fn the_exit_code_is_the_worst() {
        let refused = || of(Fate::Refused(Error::refused("no")));
        let failed = || vec![Error::refused("no")];
        let code = |endings: Vec<Ending>| exit_code(&endings);
        assert_eq!(code(vec![ran(3, vec![]), of(Fate::Unchanged)]), 0);
        assert_eq!(code(vec![ran(3, vec![]), refused()]), 3);
        assert_eq!(code(vec![of(Fate::Unchanged), refused()]), 1);
        assert_eq!(code(vec![ran(0, failed()), of(Fate::Unchanged)]), 1);
        assert_eq!(code(vec![ran(1, failed())]), 3);
        let interrupted = of(Fate::Refused(Error::Interrupted));
        assert_eq!(code(vec![ran(3, vec![]), refused(), interrupted]), 130);
        let mut unverified = of(Fate::Unchanged);
        unverified.verified = Some(Verified::Failed);
        assert_eq!(code(vec![ran(3, vec![]), unverified]), 4);
    }
}
