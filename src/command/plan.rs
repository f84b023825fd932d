//! `plan`: what apply would change.

use crate::cli::{Global, PlanArgs};
use crate::command::{backend, expiry, saved};
use crate::error::{Error, Result, exit};
use crate::session::{self, Session};
use crate::view::View;

/// Plans the stacks and shows it.
///
/// # Errors
///
/// What is wrong with a file, could not be read, or cannot be planned.
pub(super) async fn run(args: &PlanArgs, global: &Global, view: &View) -> Result<u8> {
    let files = session::stack_files(&args.paths.paths)?;
    if args.out.is_some() && files.len() != 1 {
        return Err(Error::refused_with(
            "--out saves the plan of one stack",
            "name one stack file",
        ));
    }
    let subjects = session::load(&files)?;
    let digests = subjects
        .first()
        .and_then(|subject| subject.stack.as_ref())
        .map(saved::digests);
    let mut session = Session::open(global).await?;
    session.know_clients(&args.clients)?;
    let planned = async {
        let shown = backend::judge(&args.backend, &subjects, &session.network(Vec::new())).await?;
        let mut planned = session.plan(subjects).await?;
        if let Some(one) = planned.first_mut() {
            one.warnings.extend(shown);
        }
        Ok::<_, Error>(planned)
    };
    let planned = planned.await;
    session.close().await;
    let planned = planned?;
    view.plans(&planned);
    if let (Some(out), Some(one)) = (&args.out, planned.first()) {
        saved::save(out, &files[0], digests.unwrap_or_default(), one)?;
        view.note(&format!(
            "saved; `mtlsgw apply {}` does exactly this, or refuses",
            out.display()
        ));
    }
    expiry::refuse_if_near(&planned, args.expiry.fail_if_expires_within)?;
    let changes = planned.iter().any(|one| !one.plan.is_empty());
    Ok(if changes && args.detailed_exitcode {
        exit::CHANGES
    } else {
        exit::DONE
    })
}
