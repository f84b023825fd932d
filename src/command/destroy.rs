//! `destroy`: a stack's resources, by its name; no file but the stack's own is read, and of that little.

use super::apply::{
    Allowed, exit_code, figures, refuse, refuse_moved, release, run_plan, unless_interrupted,
};
use crate::apply::Report;
use crate::cli::{CrlQuotas, DestroyArgs, Global};
use crate::error::{Error, Result, exit};
use crate::lock::Lock;
use crate::resource::bucket;
use crate::session::{Planned, Session, Subject};
use crate::view::View;

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
        remove_bucket(&planned, view).await;
        view.summary(&Report::default(), &figures("destroy", &planned));
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
    if report.failed.is_empty() && !report.interrupted {
        remove_bucket(&planned, view).await;
    }
    view.summary(&report, &figures("destroy", &planned));
    Ok(exit_code(&report))
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
async fn remove_bucket(planned: &Planned, view: &View) {
    let own = bucket::Bucket::own_name(&planned.identity.account, &planned.aws.region);
    if planned.bucket != own {
        return;
    }
    if let Err(error) = bucket::remove_empty(&planned.aws, &planned.identity, &own).await {
        view.note(&format!(
            "warning: the bucket `{own}` could not be deleted: {error}"
        ));
    }
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
