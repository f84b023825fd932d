//! `doctor`: which link of the way through the gateway is broken, and what to do about it.

use std::fmt::Write;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::verify::gateways::has_regional_api;
use super::verify::prepare;
use crate::cli::{DoctorArgs, Global};
use crate::doctor::{Diagnosis, Examined, Finding, Link, connect, look_at_backend};
use crate::error::{Error, Result, exit};
use crate::session::{Planned, Session, Subject};
use crate::verify::{Context, LIMIT};
use crate::view::View;

/// Looks at every link and names the first broken one.
///
/// # Errors
///
/// What is wrong with the stack file, or could not be read.
pub(super) async fn run(args: &DoctorArgs, global: &Global, view: &View) -> Result<u8> {
    let path = super::stack_file(args.path.as_ref(), "doctor")?;
    let subject = Subject::load(&path)?;
    let session = Session::open(global).await?;
    let diagnosed = diagnose(&session, (subject, &path), args, (global, view)).await;
    session.close().await;
    let (planned, diagnosis) = diagnosed?;
    if view.is_json() {
        view.document(&document(&planned, &diagnosis));
    } else {
        view.result(&text(&planned, &diagnosis));
    }
    Ok(match diagnosis.cause() {
        Some(_) => exit::REFUSED,
        None => exit::DONE,
    })
}

async fn diagnose(
    session: &Session,
    (subject, path): (Subject, &Path),
    args: &DoctorArgs,
    (global, view): (&Global, &View),
) -> Result<(Planned, Diagnosis)> {
    let stack = subject.stack.clone().expect("a file was loaded");
    let mut diagnosis = Diagnosis::default();
    if stack.listeners.is_empty() {
        diagnosis.unknown(Link::Listener, "the stack has no listener");
    }
    if stack.listeners.is_empty() && !has_regional_api(&stack) {
        diagnosis.unknown(Link::Client, "the stack has no listener");
    } else {
        probe(
            session,
            (&subject, path),
            args,
            (global, view),
            &mut diagnosis,
        )
        .await?;
    }
    let (planned, taken) = session.survey(subject).await?;
    diagnosis.taken(&taken);
    let targets = Examined::examine(&planned, &stack, &mut diagnosis).await?;
    let network = session.network(args.probes.connect_to.clone());
    look_at_backend(&stack, &targets, &network, &mut diagnosis).await;
    Ok((planned, diagnosis))
}

/// Connects as clients do, to each name and port.
async fn probe(
    session: &Session,
    (subject, path): (&Subject, &Path),
    args: &DoctorArgs,
    (global, view): (&Global, &View),
    diagnosis: &mut Diagnosis,
) -> Result<()> {
    let prepared = match prepare(session, (subject, path), &args.probes, view).await {
        Ok(prepared) => prepared,
        // What is not there has no name to connect to; that it is not there is told anyway.
        Err(Error::Refused { message, .. }) => {
            diagnosis.unknown(Link::Client, message);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let network = session.network(args.probes.connect_to.clone());
    for gateway in &prepared.gateways {
        let context = Context {
            gateway,
            network: &network,
            material: &prepared.material,
            request: &prepared.request,
            limit: global.timeout.unwrap_or(LIMIT),
        };
        connect(context, &prepared.live.held, diagnosis).await?;
    }
    Ok(())
}

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Broken,
    /// Not as it should be, as a consequence of something else.
    Follows,
    Sound,
    Unknown,
}

impl Standing {
    fn of(diagnosis: &Diagnosis, link: Link) -> Self {
        let findings = diagnosis.at(link);
        let cause = diagnosis.cause();
        if findings
            .iter()
            .any(|one| !one.symptom || Some(*one) == cause)
        {
            Self::Broken
        } else if !findings.is_empty() {
            Self::Follows
        } else if diagnosis.doubt(link).is_some() {
            Self::Unknown
        } else {
            Self::Sound
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Follows => "follows",
            Self::Sound => "sound",
            Self::Unknown => "unknown",
        }
    }

    fn colour(self) -> AnsiColor {
        match self {
            Self::Broken => AnsiColor::Red,
            Self::Follows => AnsiColor::Yellow,
            Self::Sound => AnsiColor::Green,
            Self::Unknown => AnsiColor::BrightBlack,
        }
    }
}

fn document(planned: &Planned, diagnosis: &Diagnosis) -> Value {
    let links: Vec<Value> = Link::ALL
        .into_iter()
        .map(|link| {
            json!({
                "link": link,
                "state": Standing::of(diagnosis, link).name(),
                "evidence": diagnosis.evidence(link),
                "unknown": diagnosis.doubt(link),
                "findings": diagnosis.at(link),
            })
        })
        .collect();
    json!({
        "format_version": "1",
        "stack": planned.name,
        "account": planned.identity.account,
        "region": planned.aws.region,
        "links": links,
        "cause": diagnosis.cause(),
    })
}

fn text(planned: &Planned, diagnosis: &Diagnosis) -> String {
    let mut text = format!(
        "{} in {}/{}\n\n",
        planned.name, planned.identity.account, planned.aws.region
    );
    for link in Link::ALL {
        let standing = Standing::of(diagnosis, link);
        let style = Style::new().fg_color(Some(standing.colour().into()));
        let findings = diagnosis.at(link);
        let first = findings.first().map(|one| one.what.as_str());
        let said = first
            .or_else(|| diagnosis.doubt(link))
            .or_else(|| diagnosis.evidence(link))
            .unwrap_or("as the stack file says");
        let (state, name) = (standing.name(), link.name());
        line(
            &mut text,
            format_args!("  {style}{state:<8}{style:#}{name:<22} {said}"),
        );
        for other in findings.iter().skip(1) {
            line(&mut text, format_args!("{:34}{}", "", other.what));
        }
    }
    match diagnosis.cause() {
        Some(cause) => tell(&mut text, cause),
        None => text.push_str("\nNo link is broken.\n"),
    }
    text
}

fn tell(text: &mut String, cause: &Finding) {
    line(
        text,
        format_args!(
            "\nBroken: {} ({}), {}",
            cause.link.name(),
            cause.code,
            cause.address
        ),
    );
    line(text, format_args!("  {}", cause.what));
    line(text, format_args!("  fix: {}", cause.fix));
    line(
        text,
        format_args!("  more: `mtlsgw explain {}`", cause.code),
    );
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a String cannot fail");
}
