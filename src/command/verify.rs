//! `verify`: does the gateway do what its stack says? Connections tell.

pub(super) mod gateways;
pub(super) mod material;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use crate::cli::{Global, ProbeArgs, VerifyArgs};
use crate::error::{Error, Result, exit};
use crate::session::{Live, Session, Subject};
use crate::stack::Stack;
use crate::verify::{self, Context, Gateway, LIMIT, Material, Report, Request};
use crate::view::View;

/// How long what follows an apply is tried again: DNS and targets take their time.
const AFTER_APPLY: Duration = Duration::from_mins(5);

/// Probes the gateway of a stack.
///
/// # Errors
///
/// What is wrong with the file, could not be read, or keeps probes from being made.
pub(super) async fn run(args: &VerifyArgs, global: &Global, view: &View) -> Result<u8> {
    let path = super::stack_file(args.file.as_ref(), "verify")?;
    refuse_bad_paths(&args.probes)?;
    let session = Session::open(global).await?;
    let patience = args.probes.retry_for.unwrap_or_default();
    let probed = probe(&session, &path, (&args.probes, patience), (global, view));
    let report = super::apply::unless_interrupted(probed).await;
    session.close().await;
    let report = report?;
    if view.is_json() {
        view.document(&report.json());
    } else {
        view.result(&report.text());
    }
    Ok(exit_code(&report))
}

/// Probes what has just been applied.
///
/// # Errors
///
/// As for [`run`].
pub(super) async fn probe_applied(
    session: &Session,
    file: &Path,
    args: &ProbeArgs,
    (global, view): (&Global, &View),
) -> Result<Report> {
    let patience = args.retry_for.unwrap_or(AFTER_APPLY);
    let probed = probe(session, file, (args, patience), (global, view));
    super::apply::unless_interrupted(probed).await
}

/// Shows what probes found after an apply, as JSON in one more line; gives the exit code.
pub(super) fn show_applied(report: &Report, view: &View) -> u8 {
    if view.is_json() {
        let mut line = json!({"type": "verify"});
        if let (Some(line), Some(report)) = (line.as_object_mut(), report.json().as_object()) {
            line.extend(report.clone());
        }
        view.result(&format!("{line}\n"));
    } else {
        view.result(&report.text());
    }
    exit_code(report)
}

/// Refuses what probes could not ask for, before anything is changed or connected to.
///
/// # Errors
///
/// A path that is none.
pub(super) fn refuse_bad_paths(args: &ProbeArgs) -> Result<()> {
    for path in args.request_path.iter().chain(&args.echo_path) {
        refuse_bad_path(path)?;
    }
    Ok(())
}

fn refuse_bad_path(path: &str) -> Result<()> {
    if path.starts_with('/') && path.parse::<hyper::Uri>().is_ok() {
        return Ok(());
    }
    Err(Error::refused_with(
        format!("`{path}` is no path of a URL"),
        "begin it with `/`, and write special characters as %20 and the like",
    ))
}

fn exit_code(report: &Report) -> u8 {
    if report.is_good() {
        exit::DONE
    } else {
        exit::REFUSED
    }
}

/// All that probes of a stack need, but the way there.
pub(super) struct Prepared {
    /// The stack as it is in AWS.
    pub(super) live: Live,
    /// What is probed.
    pub(super) gateways: Vec<Gateway>,
    /// What clients present.
    pub(super) material: Material,
    /// What is asked.
    pub(super) request: Request,
}

/// Reads the files and AWS.
///
/// # Errors
///
/// What is wrong with the files, or could not be read.
pub(super) async fn prepare(
    session: &Session,
    (subject, path): (&Subject, &Path),
    args: &ProbeArgs,
    view: &View,
) -> Result<Prepared> {
    let stack = subject.stack.as_ref().ok_or_else(gateways::none)?;
    let request = request(args, stack)?;
    let own = material::read(args, stack, view)?;
    let live = Box::pin(session.live(subject, stack)).await?;
    let trust = gateways::server_trust(session, stack, args).await?;
    let gateways = gateways::of(stack, &live, args, trust)?;
    let material = material(args, stack, (path, own), &live)?;
    Ok(Prepared {
        live,
        gateways,
        material,
        request,
    })
}

async fn probe(
    session: &Session,
    path: &Path,
    (args, patience): (&ProbeArgs, Duration),
    (global, view): (&Global, &View),
) -> Result<Report> {
    let subject = Subject::load(path)?;
    let Prepared {
        live,
        gateways,
        material,
        request,
    } = prepare(session, (&subject, path), args, view).await?;
    let network = session.network(args.connect_to.clone());
    let contexts = gateways.iter().map(|gateway| Context {
        gateway,
        network: &network,
        material: &material,
        request: &request,
        limit: global.timeout.unwrap_or(LIMIT),
    });
    let contexts: Vec<Context<'_>> = contexts.collect();
    let again = |bad: usize, pause: Duration| {
        let probes = if bad == 1 { "probe" } else { "probes" };
        view.note(&format!(
            "{bad} {probes} not as expected: once more in {} s",
            pause.as_secs()
        ));
    };
    let findings = verify::run(&contexts, patience, &live.clock, again).await?;
    Ok(Report {
        stack: subject.name.clone(),
        account: live.identity.account.clone(),
        region: subject.region.clone(),
        gateways,
        findings,
    })
}

fn material(
    args: &ProbeArgs,
    stack: &Stack,
    (path, own): (&Path, material::Own),
    live: &Live,
) -> Result<Material> {
    let authorities = gateways::authorities(stack, live)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let issuer = material::issuer(args, directory, &authorities)?;
    let revoked = match own.revoked {
        Some(revoked) => verify::Presented::Has(revoked),
        None => material::revoked_beside(directory, &gateways::crls(stack, live)?),
    };
    Material::make(
        (own.good, revoked),
        &issuer,
        &authorities,
        OffsetDateTime::now_utc(),
    )
}

/// What is asked; a status is expected only where the user means a certain answer.
fn request(args: &ProbeArgs, stack: &Stack) -> Result<Request> {
    let section = stack.verify.as_ref();
    let path = args.request_path.clone();
    let path = path.or_else(|| section.map(|section| section.path.clone()));
    let path = path.unwrap_or_else(|| "/".to_owned());
    refuse_bad_path(&path)?;
    let echo_path = args.echo_path.clone();
    let echo_path = echo_path.or_else(|| section.and_then(|section| section.echo_path.clone()));
    if let Some(path) = &echo_path {
        refuse_bad_path(path)?;
    }
    let asked_for =
        args.cert.is_some() || args.request_path.is_some() || args.expect_body.is_some();
    let expect = args
        .expect
        .or_else(|| section.map(|section| section.expect));
    Ok(Request {
        path,
        expect: expect.or_else(|| asked_for.then_some(200)),
        expect_body: args.expect_body.clone(),
        echo_path,
    })
}
