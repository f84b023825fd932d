//! `destroy`: a stack's resources, by its name; no file but the stack's own is read, and of that little.

use super::apply::{
    Allowed, exit_code, figures, refuse, refuse_moved, release, run_plan, unless_interrupted,
};
use crate::apply::{Cause, Leftover, Report};
use crate::aws::tags::SHARED;
use crate::cli::{CrlQuotas, DestroyArgs, Global};
use crate::error::{Error, Result, exit, listed};
use crate::lock::Lock;
use crate::resource::Resource;
use crate::resource::bucket::{self, Stays};
use crate::session::{Planned, Session, Subject};
use crate::view::{Figures, View};

/// Destroys a stack.
///
/// # Errors
///
/// What was refused before anything was deleted.
pub(super) async fn run(args: &DestroyArgs, global: &Global, view: &View) -> Result<u8> {
    let session = Session::open(global).await?;
    let result = destroy(args, &session, (global, view)).await;
    session.close().await;
    result
}

async fn destroy(
    args: &DestroyArgs,
    session: &Session,
    (global, view): (&Global, &View),
) -> Result<u8> {
    let planned = plan(args, session).await?;
    view.plan_to_apply(&planned);
    if planned.plan.is_empty() {
        clear_lock(&planned, view).await?;
        let report = Report::default();
        let left = leftovers(&planned, &report, view).await;
        view.summary(&report, &ending(&planned, left));
        return Ok(exit::DONE);
    }
    refuse(
        &planned,
        Allowed {
            common: args.allow,
            widening: true,
            downtime: true,
            lockout: true,
            quotas: CrlQuotas::default(),
        },
    )?;
    if !args.allow.yes {
        let question = format!(
            "There is no way back. Type the stack's name, `{}`, to destroy it:",
            planned.name
        );
        view.confirm(&question, &planned.name, "--yes")?;
    }
    let lock = take_lock(&planned).await?;
    let result = under_lock(args, session, (&planned, &lock), (global, view)).await;
    release(lock, view).await;
    let report = result?;
    let left = leftovers(&planned, &report, view).await;
    view.summary(&report, &ending(&planned, left));
    Ok(exit_code(&report))
}

/// The figures of a destroy, with the list that it ends with.
fn ending(planned: &Planned, left: Vec<Leftover>) -> Figures {
    Figures {
        left: Some(left),
        ..figures("destroy", planned)
    }
}

/// All that is left of a stack, and why; deletes the account's bucket where the stack was the last one.
async fn leftovers(planned: &Planned, report: &Report, view: &View) -> Vec<Leftover> {
    let retained = planned.plan.retained.iter().map(Leftover::from);
    let mut left: Vec<Leftover> = retained.chain(report.left.iter().cloned()).collect();
    let done = report.failed.is_empty() && !report.interrupted;
    left.extend(bucket_left(planned, done, view).await);
    left
}

async fn under_lock(
    args: &DestroyArgs,
    session: &Session,
    (shown, lock): (&Planned, &Lock<'_>),
    options: (&Global, &View),
) -> Result<Report> {
    let planned = unless_interrupted(plan(args, session)).await?;
    refuse_moved(shown, &planned)?;
    Ok(run_plan(&planned, lock, options).await)
}

async fn take_lock(planned: &Planned) -> Result<Lock<'_>> {
    Lock::take(
        &planned.aws,
        &planned.identity,
        &planned.bucket,
        &planned.name,
        "destroy",
    )
    .await
}

/// A run that was killed after its last change has left nothing but its lock.
async fn clear_lock(planned: &Planned, view: &View) -> Result<()> {
    let Planned {
        aws,
        identity,
        bucket,
        name,
        ..
    } = planned;
    if Lock::is_taken(aws, identity, bucket, name).await? {
        release(take_lock(planned).await?, view).await;
    }
    Ok(())
}

/// The account's own bucket goes with the last stack that has anything in it; a bucket that stays
/// harms nobody and hides no outcome.
async fn bucket_left(planned: &Planned, done: bool, view: &View) -> Option<Leftover> {
    let own = bucket::Bucket::own_name(&planned.identity.account, &planned.aws.region);
    if planned.bucket != own {
        return None;
    }
    let left = |cause, reason: String, hint: Option<&str>| Leftover {
        address: bucket::Bucket::address(),
        type_name: bucket::Bucket::TYPE,
        id: own.clone(),
        cause,
        reason,
        hint: hint.map(str::to_owned),
    };
    if !done {
        let reason = "it goes last, once nothing of the stack is left";
        return Some(left(Cause::Blocked, reason.to_owned(), None));
    }
    match bucket::remove_empty(&planned.aws, &planned.identity, &own).await {
        Ok(None) => None,
        Ok(Some(Stays::Used(users))) => {
            let reason = format!("{} still in it: all stacks share it", has(&users));
            Some(left(Cause::Shared, reason, None))
        }
        Ok(Some(Stays::Unmarked)) => {
            let reason =
                format!("it does not carry the tag `{SHARED}`, so it may be somebody else's");
            let hint = "delete it by hand if it is not";
            Some(left(Cause::Foreign, reason, Some(hint)))
        }
        Err(error) => {
            view.note(&format!(
                "warning: the bucket `{own}` could not be deleted: {error}"
            ));
            let reason = error.without_address();
            Some(left(Cause::Failed, reason, error.hint().as_deref()))
        }
    }
}

/// How many users of the bucket are named.
const NAMED: usize = 5;

/// Whose objects are in the bucket.
fn has(users: &[String]) -> String {
    let (named, more) = users.split_at(users.len().min(NAMED));
    let verb = if users.len() == 1 { "is" } else { "are" };
    if more.is_empty() {
        return format!("{} {verb}", listed(named));
    }
    let named: Vec<String> = named.iter().map(|one| format!("`{one}`")).collect();
    format!("{} and {} more {verb}", named.join(", "), more.len())
}

async fn plan(args: &DestroyArgs, session: &Session) -> Result<Planned> {
    let planned = session.plan(vec![subject(args)?]).await?.pop();
    planned.ok_or_else(|| Error::refused("there is nothing to plan"))
}

fn subject(args: &DestroyArgs) -> Result<Subject> {
    if let (Some(name), Some(region)) = (&args.stack, &args.region) {
        let (name, region) = (name.clone(), region.clone());
        return Ok(Subject {
            name,
            region,
            account: None,
            bucket: args.bucket.clone(),
            stack: None,
            delete_logs: args.delete_logs,
        });
    }
    let path = super::stack_file(args.path.as_ref(), "destroy")?;
    Ok(Subject {
        delete_logs: args.delete_logs,
        ..Subject::of_identity(&path)?
    })
}
