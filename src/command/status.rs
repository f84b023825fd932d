//! `status`: how stacks stand, and what ends by itself.

use crate::cli::{Global, StatusArgs};
use crate::error::Result;
use crate::session::{self, Session};
use crate::view::View;

use super::expiry;

/// Reads the stacks and says how they stand.
///
/// # Errors
///
/// What is wrong with a file, could not be read, or ends too soon.
pub(super) async fn run(args: &StatusArgs, global: &Global, view: &View) -> Result<u8> {
    let files = session::stack_files(&args.paths.paths)?;
    let subjects = session::load(&files)?;
    let session = Session::open(global).await?;
    let planned = session.plan(subjects).await;
    session.close().await;
    let planned = planned?;
    view.statuses(&planned);
    expiry::refuse_if_near(&planned, args.expiry.fail_if_expires_within)?;
    Ok(crate::error::exit::DONE)
}
