//! `apply`: plan, show, confirm, lock, plan again, run.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::saved::{self, Saved};
use super::several::{self, Job};
use crate::apply::{self as engine, Events, Report, Slots};
use crate::cli::{Allowances, ApplyArgs, CrlQuotas, Global, ProbeArgs};
use crate::error::{Error, Result, exit, listed};
use crate::lock::Lock;
use crate::resource::Address;
use crate::session::{self, Planned, Session, Subject};
use crate::trust::{CrlSwap, DEFAULT_CRLS, DEFAULT_ENTRIES};
use crate::view::{Figures, Naming, View};

/// What the user allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    /// `--yes` and `--with-foreign`.
    pub(super) common: Allowances,
    /// `--allow-widening`.
    pub(super) widening: bool,
    /// `--allow-downtime`.
    pub(super) downtime: bool,
    /// `--allow-lockout`.
    pub(super) lockout: bool,
    /// `--quota-raised`.
    pub(super) quotas: CrlQuotas,
}

/// Applies stack files or saved plans.
///
/// # Errors
///
/// What was refused before anything was changed.
pub(super) async fn run(args: &ApplyArgs, global: &Global, view: &View) -> Result<u8> {
    let jobs = jobs(&args.paths)?;
    refuse_unused(args)?;
    super::verify::refuse_bad_paths(&args.afterwards.probes)?;
    if args.adopt && jobs.iter().any(|job| job.saved.is_some()) {
        return Err(Error::refused_with(
            "a saved plan says itself what is done",
            "name the stack file with --adopt",
        ));
    }
    let allowed = Allowed {
        common: args.allow,
        widening: args.allow_widening,
        downtime: args.allow_downtime,
        lockout: args.allow_lockout,
        quotas: args.quotas,
    };
    let mut session = Session::open(global).await?;
    session.adopt(args.adopt);
    session.know_clients(&args.clients)?;
    let result = match jobs.as_slice() {
        [job] => apply_one(&session, job, (args, allowed), (global, view)).await,
        jobs => several::apply((&session, jobs), (args, allowed), (global, view)).await,
    };
    session.close().await;
    result
}

async fn apply_one(
    session: &Session,
    Job { file, saved }: &Job,
    (args, allowed): (&ApplyArgs, Allowed),
    (global, view): (&Global, &View),
) -> Result<u8> {
    let result = apply(session, file, saved.as_ref(), allowed, (global, view)).await;
    if !args.afterwards.verify || !matches!(result, Ok(exit::DONE)) {
        return result;
    }
    let probes = &args.afterwards.probes;
    let report = super::verify::probe_applied(session, file, probes, (global, view)).await?;
    Ok(super::verify::show_applied(&report, view))
}

/// The stacks to apply: of one saved plan or of stack files; never more than `stack.yaml` unless
/// they are named.
fn jobs(paths: &[PathBuf]) -> Result<Vec<Job>> {
    let saved: Vec<Saved> = paths.iter().flat_map(|path| saved::read(path)).collect();
    if !saved.is_empty() && paths.len() > 1 {
        return Err(Error::refused_with(
            "a saved plan is applied alone",
            "apply one after the other, or plan all stacks together: mtlsgw plan PATH… --out FILE",
        ));
    }
    if !saved.is_empty() {
        let job = |saved: Saved| Job {
            file: saved.stack_file.clone(),
            saved: Some(saved),
        };
        return Ok(saved.into_iter().map(job).collect());
    }
    let files = if paths.is_empty() {
        let single = PathBuf::from("stack.yaml");
        if !single.exists() && Path::new("stacks").is_dir() {
            return Err(Error::refused_with(
                "there is no stack.yaml here, and apply takes no other stack unasked",
                "name the stacks: mtlsgw apply stacks/",
            ));
        }
        vec![single]
    } else {
        session::stack_files(paths)?
    };
    let job = |file| Job { file, saved: None };
    Ok(files.into_iter().map(job).collect())
}

/// Refuses options that would have no effect.
fn refuse_unused(args: &ApplyArgs) -> Result<()> {
    if args.afterwards.verify || args.afterwards.probes == ProbeArgs::default() {
        return Ok(());
    }
    Err(Error::refused_with(
        "options of probes are given, and nothing is to be probed",
        "add --verify, or leave them out",
    ))
}

async fn apply(
    session: &Session,
    path: &Path,
    saved: Option<&Saved>,
    allowed: Allowed,
    (global, view): (&Global, &View),
) -> Result<u8> {
    let file = saved.map_or(path, |saved| saved.stack_file.as_path());
    let planned = plan(session, file, saved).await?;
    view.plan_to_apply(&planned);
    if planned.plan.is_empty() {
        view.summary(&Report::default(), &figures("apply", &planned));
        return Ok(exit::DONE);
    }
    refuse(&planned, allowed)?;
    refuse_lockout(&planned, saved, allowed)?;
    refuse_quota(&planned, allowed.quotas)?;
    confirm(&planned, allowed, saved.is_some(), view)?;
    let lock = Lock::take(
        &planned.aws,
        &planned.identity,
        &planned.bucket,
        &planned.name,
        "apply",
    )
    .await?;
    let result = under_lock(session, file, &planned, &lock, (global, view)).await;
    release(lock, view).await;
    result
}

async fn plan(session: &Session, file: &Path, saved: Option<&Saved>) -> Result<Planned> {
    let subject = Subject::load(file)?;
    if let (Some(saved), Some(stack)) = (saved, &subject.stack) {
        saved.refuse_moved_files(stack)?;
    }
    let planned = session.plan(vec![subject]).await?.pop();
    let planned = planned.ok_or_else(|| Error::refused("there is nothing to plan"))?;
    if let Some(saved) = saved {
        saved.refuse_moved(&planned)?;
    }
    Ok(planned)
}

/// Plans again now that nobody else can write, and runs only what was shown.
async fn under_lock(
    session: &Session,
    file: &Path,
    shown: &Planned,
    lock: &Lock<'_>,
    (global, view): (&Global, &View),
) -> Result<u8> {
    let planned = unless_interrupted(plan(session, file, None)).await?;
    refuse_moved(shown, &planned)?;
    let report = run_plan(&planned, lock, (global, view)).await;
    view.summary(&report, &figures("apply", &planned));
    Ok(exit_code(&report))
}

/// Refuses when AWS changed between showing and locking.
///
/// # Errors
///
/// The two plans differ.
pub(super) fn refuse_moved(shown: &Planned, now: &Planned) -> Result<()> {
    if saved::Outline::of(&shown.plan).is_same(&saved::Outline::of(&now.plan)) {
        return Ok(());
    }
    Err(Error::refused_with(
        "AWS changed while the plan was being confirmed",
        "run the same command again",
    ))
}

/// Runs the plan of one stack, told of as it happens, until Ctrl-C.
pub(super) async fn run_plan(
    planned: &Planned,
    lock: &Lock<'_>,
    (global, view): (&Global, &View),
) -> Report {
    let (events, receiver) = Events::channel(&planned.name);
    let slots = Slots::new(usize::from(global.parallelism));
    let work = run_steps(planned, lock, (events, &slots), interrupted(view));
    let follow = view.follow(receiver, Naming::Addresses);
    let (report, ()) = futures::join!(work, follow);
    report
}

/// Runs the steps, renewing the lock; a lost lock ends the run as `stop` does.
pub(super) async fn run_steps(
    planned: &Planned,
    lock: &Lock<'_>,
    (events, slots): (Events, &Slots),
    stop: impl Future<Output = ()>,
) -> Report {
    let lost = Mutex::new(None);
    let interrupt = async {
        tokio::select! {
            () = stop => {}
            error = Box::pin(lock.keep()) => *lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
        }
    };
    let shared = planned.shared(events);
    let mut report = engine::run(&planned.plan, &planned.nodes, &shared, slots, interrupt).await;
    if let Some(error) = lost.into_inner().unwrap_or_else(PoisonError::into_inner) {
        report.interrupted = false;
        report.failed.push(error);
    }
    report
}

/// Gives the lock back; that it could not be is worth a warning and hides no outcome.
pub(super) async fn release(lock: Lock<'_>, view: &View) {
    if let Err(error) = lock.release().await {
        view.note(&format!(
            "warning: the lock could not be given back and is stale in five minutes: {error}"
        ));
    }
}

/// Does something that Ctrl-C may end at once because it only reads.
///
/// # Errors
///
/// [`Error::Interrupted`], or what the work says.
pub(super) async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = signal() => Err(Error::Interrupted),
    }
}

/// Ready at the first Ctrl-C (or SIGTERM); the second ends the process at once.
pub(super) async fn interrupted(view: &View) {
    signal().await;
    view.note("interrupted: finishing the calls under way; once more to stop at once");
    tokio::spawn(async {
        signal().await;
        #[expect(clippy::exit, clippy::disallowed_methods, reason = "the user insists")]
        std::process::exit(exit::INTERRUPTED.into());
    });
}

/// Ready at Ctrl-C or SIGTERM.
pub(super) async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    tokio::signal::ctrl_c().await.ok();
}

/// What the plan does that has to be allowed in so many words.
///
/// # Errors
///
/// Something that was not allowed.
pub(super) fn refuse(planned: &Planned, allowed: Allowed) -> Result<()> {
    if !planned.foreign.is_empty() && !allowed.common.with_foreign {
        let foreign: Vec<String> = planned
            .foreign
            .iter()
            .map(|(address, what)| format!("`{address}` has {}", what.join(", ")))
            .collect();
        return Err(Error::refused_with(
            format!(
                "what is not this stack's would vanish or break: {}",
                foreign.join("; ")
            ),
            "remove it first, or allow it with --with-foreign",
        ));
    }
    let downtime: Vec<&Address> = planned
        .plan
        .summaries
        .iter()
        .filter(|summary| summary.downtime.is_some())
        .map(|summary| &summary.address)
        .collect();
    if !downtime.is_empty() && !allowed.downtime {
        return Err(Error::refused_with(
            format!(
                "{} cannot exist twice, so the old one has to go first and clients are cut off",
                listed(&downtime)
            ),
            "choose a quiet hour and allow it with --allow-downtime",
        ));
    }
    if planned.plan.widens() && !allowed.widening && allowed.common.yes {
        return Err(Error::refused_with(
            "the plan widens access, and --yes alone does not allow that",
            "look at the plan and add --allow-widening",
        ));
    }
    Ok(())
}

/// Refuses a swap of CRLs that AWS would refuse half-way: old and new stand side by side until the
/// old ones go.
///
/// A trust store that holds more than the default already shows that the quota has been raised, and
/// how far only AWS knows.
///
/// # Errors
///
/// The default quotas are too low, and nothing says that they have been raised.
pub(super) fn refuse_quota(planned: &Planned, quotas: CrlQuotas) -> Result<()> {
    let swap = planned.swap;
    if quotas.quota_raised || !swap.needs_raised_quota() {
        return Ok(());
    }
    let (CrlSwap { live, new }, together) = (swap, swap.together());
    let message = format!(
        "`{}`: old and new CRLs side by side would be {} revoked serials in {} CRLs ({} in {} are live, \
         {} in {} are new), and by default {DEFAULT_ENTRIES} in {DEFAULT_CRLS} fit into a trust store",
        planned.name,
        together.entries,
        together.crls,
        live.entries,
        live.crls,
        new.entries,
        new.crls,
    );
    let hint = "have the quota raised (L-37E1617B for serials, L-332EE142 for CRLs) and say so with \
                --quota-raised; or have the CA drop expired certificates from its CRL; or take the old \
                CRL out of the stack file for one apply, which lets in whom it revokes until the next";
    Err(Error::refused_with(message, hint))
}

/// Refuses to lock out clients that get in now, by what is known here or was when the plan was saved.
///
/// # Errors
///
/// The clients, unless that was allowed.
pub(super) fn refuse_lockout(
    planned: &Planned,
    saved: Option<&Saved>,
    allowed: Allowed,
) -> Result<()> {
    let now = planned
        .lockout
        .iter()
        .flat_map(|lockout| &lockout.locked_out);
    let now = now.map(|client| client.subject.clone());
    let then = saved.map(Saved::locked_out).unwrap_or_default();
    let mut clients: Vec<String> = now.chain(then.iter().cloned()).collect();
    clients.sort();
    clients.dedup();
    if clients.is_empty() || allowed.lockout {
        return Ok(());
    }
    Err(Error::refused_with(
        format!("the plan locks out {}", listed(&clients)),
        "keep their CA in the bundle until they have new certificates, or allow it with --allow-lockout",
    ))
}

fn confirm(planned: &Planned, allowed: Allowed, is_saved: bool, view: &View) -> Result<()> {
    if !allowed.common.yes && !is_saved {
        view.confirm("Apply this? Only `yes` is taken for yes:", "yes", "--yes")?;
    }
    if planned.plan.widens() && !allowed.widening {
        view.confirm(
            "Access widens. Type `widen` to allow it:",
            "widen",
            "--allow-widening",
        )?;
    }
    Ok(())
}

/// Figures for the summary.
pub(super) fn figures(command: &'static str, planned: &Planned) -> Figures {
    Figures {
        command,
        stack: planned.name.clone(),
        retained: planned.plan.retained.clone(),
        left: None,
        calls: planned.aws.calls(),
    }
}

/// 0 all done, 3 in part, 1 nothing, 130 interrupted.
pub(super) fn exit_code(report: &Report) -> u8 {
    let pending = report
        .failed
        .iter()
        .all(|error| matches!(error, Error::Pending { .. }));
    match (report.interrupted, report.failed.is_empty()) {
        (true, _) => exit::INTERRUPTED,
        (false, true) => exit::DONE,
        (false, false) if report.done > 0 || pending => exit::PARTIAL,
        (false, false) => exit::FAILED,
    }
}
