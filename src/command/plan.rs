//! `plan`: what apply would change.

use crate::cli::{Global, PlanArgs};
use crate::command::saved::{self, ToSave};
use crate::command::{backend, expiry, several};
use crate::error::{Result, exit};
use crate::session::{self, Session};
use crate::view::View;

/// Plans the stacks and shows it.
///
/// # Errors
///
/// What is wrong with a file, could not be read, or cannot be planned.
pub(super) async fn run(args: &PlanArgs, global: &Global, view: &View) -> Result<u8> {
    let files = session::stack_files(&args.paths.paths)?;
    let subjects = session::load(&files)?;
    let digests: Vec<_> = subjects
        .iter()
        .filter_map(|subject| subject.stack.as_ref())
        .map(saved::digests)
        .collect();
    let mut session = Session::open(global).await?;
    session.adopt(args.adopt);
    session.know_clients(&args.clients)?;
    let network = session.network(Vec::new());
    let shown = backend::judge(&args.backend, &subjects, &network).await;
    let attempts = match &shown {
        Ok(_) => session.plan_each(subjects).await,
        Err(_) => Vec::new(),
    };
    session.close().await;
    let shown = shown?;
    let mut attempts = several::refuse_if_all_alike(attempts)?;
    let mut planned = attempts.iter_mut();
    if let Some(one) = planned.find_map(|attempt| attempt.planned.as_mut().ok()) {
        one.warnings.extend(shown);
    }
    view.plans(&attempts);
    let refused = several::refused(&attempts);
    if !refused.is_empty() {
        view.for_messages().refused(&refused);
        return Ok(exit::FAILED);
    }
    let planned: Vec<_> = attempts
        .iter()
        .filter_map(|attempt| attempt.planned.as_ref().ok())
        .collect();
    if let Some(out) = &args.out {
        let plans = files.iter().zip(digests).zip(&planned);
        let plans = plans.map(|((file, digests), planned)| ToSave {
            file,
            digests,
            planned,
        });
        saved::save(out, plans.collect())?;
        view.note(&format!(
            "saved; `mtlsgw apply {}` does exactly this, or refuses",
            out.display()
        ));
    }
    expiry::refuse_if_near(planned.iter().copied(), args.expiry.fail_if_expires_within)?;
    let changes = planned.iter().any(|one| !one.plan.is_empty());
    Ok(if changes && args.detailed_exitcode {
        exit::CHANGES
    } else {
        exit::DONE
    })
}
