//! `trust check`: whether the load balancer would let a client in, with its own reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::unusable;
use crate::cli::{Global, Purpose, TrustCheckArgs};
use crate::crl_source;
use crate::error::{Error, Result, exit};
use crate::resource::Address;
use crate::resource::listener::MutualAuthentication as Asked;
use crate::session::{Session, Subject};
use crate::stack::{self, CrlSource, Material, MutualAuthentication, Stack};
use crate::trust::{
    self, Bundle, Certificate, CheckOptions, CheckWarning, Crl, Refusal, Source, Step, Trusted,
    Verdict, check_client,
};
use crate::view::View;

/// What a client is judged by.
struct Basis {
    /// `files`, or the ARN of the trust store.
    name: String,
    bundle: Bundle,
    crls: Vec<Crl>,
    listeners: Vec<Listener>,
    warnings: Vec<CheckWarning>,
    /// CRLs that could not be had, and what to do about it: whom nothing else refuses, they may.
    missing: Option<Missing>,
}

/// What a basis lacks.
struct Missing {
    what: String,
    remedy: &'static str,
}

/// A listener that the client may come to.
#[derive(Clone)]
struct Listener {
    address: String,
    /// What it asks of clients, as AWS spells it.
    mode: &'static str,
    ignores_expiry: bool,
}

/// What the client comes with.
struct Client {
    certificate: Certificate,
    sent: Vec<Certificate>,
    at: OffsetDateTime,
    purpose: trust::Purpose,
}

/// The answer of one trust store.
struct Answer {
    /// Of the listener that decides.
    verdict: Verdict,
    /// Whether any listener verifies at all.
    is_verified: bool,
    /// What each listener does.
    listeners: Vec<(Listener, Option<Verdict>)>,
}

/// What the files say beside the trust store.
struct FilesAnswer {
    answer: Answer,
    missing: Option<Missing>,
}

/// Judges a client.
///
/// # Errors
///
/// A file that cannot be read, a trust store that could not be, or CRLs that are missing where
/// nothing else refuses the client.
pub(super) async fn run(args: &TrustCheckArgs, global: &Global, view: &View) -> Result<u8> {
    let client = Client::read(args)?;
    if !args.ca_bundle.is_empty() {
        let basis = Basis::of_files(&args.ca_bundle, &args.crl)?;
        return show(&client, &basis, None, view);
    }
    let path = crate::command::stack_file(args.stack.as_ref(), "trust check")?;
    let subject = Subject::load(&path)?;
    let stack = subject.stack.as_ref().ok_or_else(no_trust_store)?;
    if !args.live {
        let basis = Basis::of_stack(stack)?;
        return show(&client, &basis, None, view);
    }
    // What is wrong with the files is told before AWS is asked.
    let files = match &stack.trust_store {
        Some(stack::TrustStore::Existing { .. }) => None,
        _ => Some(Basis::of_stack(stack)?),
    };
    let session = Session::open(global).await?;
    let live = Basis::of_aws(&session, &subject, stack).await;
    session.close().await;
    let files = files.map(|files| FilesAnswer {
        answer: files.judge(&client),
        missing: files.missing,
    });
    show(&client, &live?, files.as_ref(), view)
}

impl Client {
    fn read(args: &TrustCheckArgs) -> Result<Self> {
        let mut certificates = certificates(&args.certificate)?;
        for file in &args.chain {
            certificates.extend(self::certificates(file)?);
        }
        let mut certificates = certificates.into_iter();
        let certificate = certificates.next().ok_or_else(|| {
            Error::refused(format!(
                "{} holds no certificate",
                args.certificate.display()
            ))
        })?;
        Ok(Self {
            certificate,
            sent: certificates.collect(),
            at: args.at.unwrap_or_else(OffsetDateTime::now_utc),
            purpose: match args.purpose {
                Purpose::Client => trust::Purpose::Client,
                Purpose::Any => trust::Purpose::Any,
            },
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let read = Certificate::all_from_bytes(&bytes(path)?);
    read.map_err(|error| unusable(&error.named(path.display().to_string())))
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let reason = error.to_string();
        let error = trust::Error::Unreadable { reason };
        unusable(&error.named(path.display().to_string()))
    })
}

fn no_trust_store() -> Error {
    Error::refused_with(
        "the stack has no `trust_store`, so nobody is verified by it",
        "name the CAs with --ca-bundle, or a stack file with a trust store",
    )
}

impl Basis {
    /// What the options name.
    fn of_files(ca_bundle: &[PathBuf], crls: &[PathBuf]) -> Result<Self> {
        let parts = crls.iter().map(|path| {
            let name = path.display().to_string();
            bytes(path).map(|bytes| (name, bytes))
        });
        let parts: Vec<(String, Vec<u8>)> = parts.collect::<Result<_>>()?;
        Ok(Self {
            name: "files".to_owned(),
            bundle: Bundle::from_files(ca_bundle).map_err(|error| unusable(&error))?,
            crls: read_crls(parts.iter().map(|(name, bytes)| (name.clone(), &bytes[..])))?,
            listeners: Vec::new(),
            warnings: Vec::new(),
            missing: None,
        })
    }

    /// What the stack file names.
    fn of_stack(stack: &Stack) -> Result<Self> {
        let (ca_bundle, crls) = match &stack.trust_store {
            None => return Err(no_trust_store()),
            Some(stack::TrustStore::Existing { arn }) => {
                return Err(Error::refused_with(
                    format!("the stack uses the trust store {arn}, whose content no file has"),
                    "judge by what AWS holds: add --live",
                ));
            }
            Some(stack::TrustStore::Own {
                ca_bundle, crls, ..
            }) => (ca_bundle, crls),
        };
        let parts: Vec<(String, &Vec<u8>)> = ca_bundle.iter().map(named).collect();
        Ok(Self {
            name: "files".to_owned(),
            bundle: Bundle::from_bytes(&parts).map_err(|error| unusable(&error))?,
            crls: stack_crls(crls)?,
            listeners: stack_listeners(stack),
            warnings: Vec::new(),
            missing: not_fetched(stack),
        })
    }

    /// By what the gateway of the stack lets clients in now.
    async fn of_aws(session: &Session, subject: &Subject, stack: &Stack) -> Result<Self> {
        let arn = match &stack.trust_store {
            None => return Err(no_trust_store()),
            Some(stack::TrustStore::Existing { arn }) => Some(arn.as_str()),
            Some(stack::TrustStore::Own { .. }) => None,
        };
        let held = session.held(subject, arn).await?;
        let content = held.content.ok_or_else(|| {
            Error::refused_with(
                format!("the stack `{}` has no trust store in AWS", stack.name),
                "make it with `mtlsgw apply`, or leave out --live to judge by the files",
            )
        })?;
        let mut listeners: Vec<Listener> = held.listeners.iter().map(live_listener).collect();
        let mut warnings = Vec::new();
        if listeners.is_empty() {
            listeners = stack_listeners(stack);
            warnings.push(CheckWarning {
                code: "not-attached",
                message: "the stack has no listener yet that clients could come to; the rules of \
                          the stack file hold here"
                    .to_owned(),
            });
        }
        Ok(Self {
            missing: unread(&content.unread),
            name: content.arn,
            bundle: content.bundle,
            crls: content.crls,
            listeners,
            warnings,
        })
    }

    /// Judges the client at every listener; the strictest one decides.
    fn judge(&self, client: &Client) -> Answer {
        let verifying = self.listeners.iter().filter(|one| one.is_verifying());
        let rules: BTreeSet<bool> = verifying.map(|one| one.ignores_expiry).collect();
        let verdict = |ignores| (ignores, self.verdict(client, ignores));
        let verdicts: BTreeMap<bool, Verdict> = rules.into_iter().map(verdict).collect();
        let deciding = verdicts.values().find(|verdict| !verdict.is_accepted());
        let deciding = deciding.or_else(|| verdicts.values().next()).cloned();
        let is_verified = deciding.is_some() || self.listeners.is_empty();
        let at_listener = |listener: &Listener| {
            let verdict = verdicts.get(&listener.ignores_expiry).cloned();
            (
                listener.clone(),
                verdict.filter(|_| listener.is_verifying()),
            )
        };
        Answer {
            verdict: deciding.unwrap_or_else(|| self.verdict(client, false)),
            is_verified,
            listeners: self.listeners.iter().map(at_listener).collect(),
        }
    }

    fn verdict(&self, client: &Client, ignore_client_certificate_expiry: bool) -> Verdict {
        let trusted = Trusted {
            bundle: &self.bundle,
            crls: &self.crls,
        };
        let options = CheckOptions {
            purpose: client.purpose,
            ignore_client_certificate_expiry,
            ..CheckOptions::at(client.at)
        };
        check_client(&client.certificate, &client.sent, trusted, &options)
    }
}

impl Listener {
    fn is_verifying(&self) -> bool {
        self.mode == "verify"
    }
}

fn named(file: &Material) -> (String, &Vec<u8>) {
    (file.path.display().to_string(), &file.bytes)
}

/// The CRLs of a stack's files; those of URLs are [`not_fetched`].
fn stack_crls(sources: &[CrlSource]) -> Result<Vec<Crl>> {
    let files = sources.iter().filter_map(|source| match source {
        CrlSource::File(file) => Some(named(file)),
        CrlSource::Url(_) => None,
    });
    read_crls(files.map(|(name, bytes)| (name, &bytes[..])))
}

/// The CRLs of a stack's URLs, for the files are judged without network.
fn not_fetched(stack: &Stack) -> Option<Missing> {
    let urls = crl_source::urls(stack).into_iter();
    let urls: Vec<String> = urls.map(ToString::to_string).collect();
    (!urls.is_empty()).then(|| Missing {
        what: format!(
            "nothing is fetched, not even the CRL of {}",
            urls.join(", of ")
        ),
        remedy: "judge by what AWS holds: add --live; or name the files with --ca-bundle and --crl",
    })
}

/// The live revocations that could not be read.
fn unread(ids: &[String]) -> Option<Missing> {
    (!ids.is_empty()).then(|| Missing {
        what: format!(
            "the trust store's revocation {} cannot be read as one CRL",
            ids.join(", ")
        ),
        remedy: "have it replaced, as `mtlsgw apply` does with the CRLs of the stack file, or try \
                 again if it is being replaced right now",
    })
}

fn read_crls<'a>(parts: impl Iterator<Item = (String, &'a [u8])>) -> Result<Vec<Crl>> {
    let mut crls = Vec::new();
    for (name, bytes) in parts {
        let found = Crl::all_from_bytes(bytes);
        crls.extend(found.map_err(|error| unusable(&error.named(name)))?);
    }
    Ok(crls)
}

/// What a live listener asks of clients.
fn live_listener((address, asked): &(Address, Asked)) -> Listener {
    let (mode, ignores_expiry) = match asked {
        Asked::Off => ("off", false),
        Asked::Passthrough => ("passthrough", false),
        Asked::Verify {
            ignore_client_certificate_expiry,
            ..
        } => ("verify", *ignore_client_certificate_expiry),
    };
    Listener {
        address: address.to_string(),
        mode,
        ignores_expiry,
    }
}

/// What the listeners of a stack file ask of clients.
fn stack_listeners(stack: &Stack) -> Vec<Listener> {
    let listener = |(name, listener): (&String, &stack::Listener)| {
        let asked = listener.mutual_authentication;
        Listener {
            address: if name == "main" {
                "listener".to_owned()
            } else {
                format!("listeners.{name}")
            },
            mode: asked.mode(),
            ignores_expiry: matches!(
                asked,
                MutualAuthentication::Verify {
                    ignore_client_certificate_expiry: true,
                    ..
                }
            ),
        }
    };
    stack.listeners.iter().map(listener).collect()
}

/// Shows the answer; gives the exit code.
///
/// # Errors
///
/// Nothing refuses the client, and a CRL that is missing might.
fn show(client: &Client, basis: &Basis, files: Option<&FilesAnswer>, view: &View) -> Result<u8> {
    let answer = basis.judge(client);
    if let Some(missing) = answer.undecided(basis.missing.as_ref()) {
        let (name, what) = (client.certificate.summary(), &missing.what);
        return Err(Error::refused_with(
            format!("{name} could not be judged: nothing else refuses it, but {what}"),
            missing.remedy,
        ));
    }
    let warnings = [answer.warnings(), basis.warnings.clone()].concat();
    if view.is_json() {
        view.document(&document(client, basis, &answer, files, &warnings));
    } else {
        view.result(&text(client, &answer, files));
        for warning in &warnings {
            view.note(&format!("warning: {} ({})", warning.message, warning.code));
        }
    }
    Ok(if answer.refusal().is_none() {
        exit::DONE
    } else {
        exit::REFUSED
    })
}

impl FilesAnswer {
    fn in_words(&self) -> String {
        if let Some(missing) = self.answer.undecided(self.missing.as_ref()) {
            return format!("could not be judged: {}", missing.what);
        }
        let reason = self.answer.refusal().map(|one| one.reason.code());
        reason.unwrap_or("accepted").to_owned()
    }

    fn json(&self) -> Value {
        match self.answer.undecided(self.missing.as_ref()) {
            Some(missing) => json!({"accepted": null, "reason": null, "message": missing.what}),
            None => outcome_json(self.answer.refusal()),
        }
    }
}

impl Answer {
    /// Why the client is refused; where nobody is verified, nobody is.
    fn refusal(&self) -> Option<&Refusal> {
        let refusal = self.verdict.refusal.as_ref();
        refusal.filter(|_| self.is_verified)
    }

    /// What the answer would have to know: a refusal stands, whatever a missing CRL says.
    fn undecided<'a>(&self, missing: Option<&'a Missing>) -> Option<&'a Missing> {
        missing.filter(|_| self.is_verified && self.refusal().is_none())
    }

    fn warnings(&self) -> Vec<CheckWarning> {
        let lax = self
            .listeners
            .iter()
            .filter(|(_, verdict)| verdict.is_none());
        let lax = lax.map(|(listener, _)| CheckWarning {
            code: "not-verified",
            message: format!(
                "`{}` is in mode `{}`: it verifies nobody, and lets every client in",
                listener.address, listener.mode
            ),
        });
        lax.chain(self.verdict.warnings.iter().cloned()).collect()
    }
}

/// The answer in words.
fn text(client: &Client, answer: &Answer, files: Option<&FilesAnswer>) -> String {
    let mut lines = vec![match answer.refusal() {
        None => format!("accepted: {}", client.certificate.summary()),
        Some(refusal) => format!(
            "refused: {}: {}",
            refusal.reason,
            client.certificate.summary()
        ),
    }];
    if let Some(refusal) = &answer.verdict.refusal {
        let (message, reason) = (&refusal.message, refusal.reason);
        lines.push(if answer.is_verified {
            format!("  {message}")
        } else {
            format!("  in mode `verify` it would be refused: {reason}: {message}")
        });
    }
    lines.push("chain, the client first:".to_owned());
    let broken = answer.verdict.refusal.as_ref().map(|one| one.position);
    for (position, step) in answer.verdict.path.iter().enumerate() {
        let mark = if broken == Some(position) { "x" } else { "-" };
        lines.push(format!("  {mark} {}", step_text(step)));
    }
    for (listener, verdict) in &answer.listeners {
        let (address, mode) = (&listener.address, listener.mode);
        let outcome = verdict.as_ref().and_then(Verdict::reason);
        let outcome = outcome.map_or("accepted", trust::Reason::code);
        lines.push(format!("`{address}` ({mode}): {outcome}"));
    }
    if let Some(files) = files {
        lines.push(format!("by the files: {}", files.in_words()));
    }
    lines.join("\n") + "\n"
}

fn step_text(step: &Step) -> String {
    let certificate = &step.certificate;
    let source = match step.source {
        Source::Client => "sent by the client",
        Source::TrustStore => "in the trust store",
    };
    let crls = match step.crls {
        0 => "no CRL of its issuer".to_owned(),
        1 => "1 CRL of its issuer".to_owned(),
        count => format!("{count} CRLs of its issuer"),
    };
    format!(
        "{}, serial {}, from {}; {source}; {crls}",
        certificate.summary(),
        certificate.serial,
        certificate.not_before.date()
    )
}

/// The answer as JSON.
fn document(
    client: &Client,
    basis: &Basis,
    answer: &Answer,
    files: Option<&FilesAnswer>,
    warnings: &[CheckWarning],
) -> Value {
    let refusal = answer.refusal();
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("format_version", json!("1"));
    put("accepted", json!(refusal.is_none()));
    put("reason", json!(refusal.map(|one| one.reason)));
    put("message", json!(refusal.map(|one| &one.message)));
    put("at", json!(moment(client.at.truncate_to_second())));
    put("purpose", json!(client.purpose));
    put("basis", json!(basis.name));
    put("certificate", certificate_json(&client.certificate));
    let path = answer.verdict.path.iter().enumerate();
    put(
        "path",
        path.map(|(at, step)| step_json(at, step, &answer.verdict))
            .collect(),
    );
    let crl = refusal.and_then(|one| one.crl.as_ref()).map(|crl| {
        json!({
            "issuer": crl.issuer,
            "digest": crl.digest.to_string(),
            "number": crl.number.map(|number| number.to_string()),
            "this_update": moment(crl.this_update),
        })
    });
    put("crl", json!(crl));
    put(
        "listeners",
        answer.listeners.iter().map(listener_json).collect(),
    );
    if !answer.is_verified {
        put("if_verified", outcome_json(answer.verdict.refusal.as_ref()));
    }
    if let Some(files) = files {
        put("files", files.json());
    }
    put("warnings", json!(warnings));
    Value::Object(document)
}

fn outcome_json(refusal: Option<&Refusal>) -> Value {
    json!({
        "accepted": refusal.is_none(),
        "reason": refusal.map(|one| one.reason),
        "message": refusal.map(|one| &one.message),
    })
}

fn listener_json((listener, verdict): &(Listener, Option<Verdict>)) -> Value {
    let reason = verdict.as_ref().and_then(Verdict::reason);
    json!({
        "listener": listener.address,
        "mode": listener.mode,
        "ignore_client_certificate_expiry": listener.ignores_expiry,
        "accepted": reason.is_none(),
        "reason": reason,
    })
}

fn step_json(position: usize, step: &Step, verdict: &Verdict) -> Value {
    let mut value = certificate_json(&step.certificate);
    let breaks = verdict
        .refusal
        .as_ref()
        .is_some_and(|one| one.position == position);
    value["source"] = json!(step.source);
    value["crls"] = json!(step.crls);
    value["breaks"] = json!(breaks);
    value
}

fn certificate_json(certificate: &Certificate) -> Value {
    json!({
        "subject": certificate.subject.to_string(),
        "issuer": certificate.issuer.to_string(),
        "serial": certificate.serial.to_string(),
        "not_before": moment(certificate.not_before),
        "not_after": moment(certificate.not_after),
        "fingerprint": certificate.fingerprint.to_string(),
    })
}

/// Writes a moment by RFC 3339; years beyond 9999 have no such form.
fn moment(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::{Authority, NOW};

    #[test]
    fn only_a_refusal_needs_no_crl_that_could_not_be_read() {
        let root = Authority::new("Root");
        let basis = |missing| Basis {
            name: "files".to_owned(),
            bundle: std::iter::once(root.certificate()).collect(),
            crls: vec![root.crl(&[3])],
            listeners: Vec::new(),
            warnings: Vec::new(),
            missing,
        };
        let client = |serial| Client {
            certificate: root.client(serial),
            sent: Vec::new(),
            at: NOW,
            purpose: trust::Purpose::Client,
        };
        let view = View::plain();
        let shown = |serial, missing| show(&client(serial), &basis(missing), None, &view);
        let gap = || unread(&["7".to_owned()]);
        assert_eq!(shown(7, None).unwrap(), exit::DONE);
        let error = shown(7, gap()).unwrap_err().to_string();
        assert!(error.contains("could not be judged") && error.contains("revocation 7"));
        assert_eq!(shown(3, gap()).unwrap(), exit::REFUSED);
        // Where nobody is verified no CRL matters.
        let mut open = basis(gap());
        open.listeners = vec![live_listener(&(Address::parse("listener"), Asked::Off))];
        assert_eq!(show(&client(3), &open, None, &view).unwrap(), exit::DONE);
    }
}
