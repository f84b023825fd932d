//! `export`: a stack file for what exists, with the files that it refers to.

use std::fs;

use serde_json::json;

use crate::cli::{ExportArgs, Global};
use crate::error::{Error, Result, exit};
use crate::export::{self, Entry, Exported, STACK_FILE};
use crate::pki::{Existing, refuse_existing, write_public};
use crate::session::Session;
use crate::view::View;

/// Writes the files.
///
/// # Errors
///
/// No region, nothing that could be exported, files that are there already, or what could not be read.
pub(super) async fn run(args: &ExportArgs, global: &Global, view: &View) -> Result<u8> {
    let region = match (&args.region, region_of(args)) {
        (Some(region), _) => region.clone(),
        (None, Some(region)) => region,
        (None, None) => super::list::environment_region(global).await?,
    };
    let session = Session::open(global).await?;
    let exported = read(&session, args, &region).await;
    session.close().await;
    let exported = exported?;
    let written = write(args, &exported)?;
    if view.is_json() {
        view.document(&json!({
            "format_version": "1",
            "files": written,
            "warnings": exported.warnings,
        }));
        return Ok(exit::DONE);
    }
    for warning in &exported.warnings {
        view.note(&format!(
            "warning: {}: {}",
            warning.address, warning.message
        ));
    }
    view.result(&format!("{}\n", written.join("\n")));
    let file = args.directory.join(STACK_FILE);
    view.note(&format!(
        "Next: `mtlsgw plan --adopt {}` shows what taking it over would do.",
        file.display()
    ));
    Ok(exit::DONE)
}

/// An ARN says where it is.
fn region_of(args: &ExportArgs) -> Option<String> {
    let arn = args.source.load_balancer.as_ref()?.strip_prefix("arn:")?;
    arn.split(':').nth(2).map(str::to_owned)
}

async fn read(session: &Session, args: &ExportArgs, region: &str) -> Result<Exported> {
    let aws = session.connect(region).await?;
    let identity = aws.identity().await?;
    let entry = match (&args.source.load_balancer, &args.source.domain) {
        (Some(load_balancer), _) => Entry::LoadBalancer(load_balancer.clone()),
        (None, Some(domain)) => Entry::of_domain(&aws, &identity, domain).await?,
        (None, None) => unreachable!("clap wants one of the two"),
    };
    let name = match &args.name {
        Some(name) => name.clone(),
        None => entry.stack_name(),
    };
    export::export(&aws, &identity, &entry, &name).await
}

/// Writes all files, or none where one is there already.
fn write(args: &ExportArgs, exported: &Exported) -> Result<Vec<String>> {
    let existing = if args.force {
        Existing::Replace
    } else {
        Existing::Keep
    };
    let directory = &args.directory;
    fs::create_dir_all(directory)
        .map_err(|error| Error::refused(format!("cannot make {}: {error}", directory.display())))?;
    for name in exported.files.keys() {
        refuse_existing(&directory.join(name), existing)?;
    }
    let mut written = Vec::new();
    for (name, content) in &exported.files {
        let path = directory.join(name);
        write_public(&path, content, existing)?;
        written.push(path.display().to_string());
    }
    Ok(written)
}
