//! `pki issue`, `pki csr`, `pki sign`: certificates and the requests for them.

use std::path::{Path, PathBuf};

use serde_json::json;
use time::OffsetDateTime;

use super::{beside, existing, named, new_key, note_depth, passphrase, read, show, unlock};
use crate::cli::{PkiCsrArgs, PkiIssueArgs, PkiSignArgs, Wanted};
use crate::error::{Error, Result};
use crate::pki::{self, Authority, Kind, Order, Request, Store, Subject};
use crate::trust::Certificate;
use crate::view::View;

/// Issues a certificate with a new key.
pub(super) fn issue(args: &PkiIssueArgs, store: &Store, view: &View) -> Result<()> {
    refuse_path(&args.name)?;
    let existing = existing(args.force);
    let certificate_file = in_directory(&args.out, &args.name, "_cert.pem");
    let key_file = in_directory(&args.out, &args.name, "_key.pem");
    pki::refuse_existing(&certificate_file, existing)?;
    pki::refuse_existing(&key_file, existing)?;
    let authority = store.open(args.ca.ca.as_deref())?;
    let ca_key = unlock(&authority, &args.ca.passphrase, view)?;
    let passphrase = passphrase::new(&args.key.passphrase, "the passphrase of the new key", view)?;
    let order = Order {
        subject: subject(&args.wanted, &args.name)?,
        names: args.wanted.san.clone(),
        kind: kind(args.server),
        days: args.days,
    };
    let key = new_key(args.key.key, view)?;
    let key_pem = key.to_pem(passphrase.as_ref().map(|passphrase| passphrase.as_str()))?;
    pki::make_directory(&args.out)?;
    let certificate =
        authority.issue(&order, key.public_key(), &ca_key, OffsetDateTime::now_utc())?;
    pki::write_secret(&key_file, key_pem.as_bytes(), existing)
        .and_then(|()| {
            let pem = with_intermediates(&certificate, &authority);
            pki::write_public(&certificate_file, pem.as_bytes(), existing)
        })
        .map_err(|error| unwritten(&error, &certificate))?;
    if order.kind == Kind::Client {
        note_depth(&authority, view);
    }
    if view.is_json() {
        view.document(&json!({
            "format_version": "1",
            "ca": authority.name(),
            "certificate": show::certificate(&certificate),
            "files": {"certificate": certificate_file, "key": key_file},
        }));
        return Ok(());
    }
    view.result(&format!(
        "{}wrote {}\nwrote {} ({}, for your eyes only)\n",
        issued(&certificate, &order, &authority),
        certificate_file.display(),
        key_file.display(),
        key.algorithm(),
    ));
    Ok(())
}

/// Makes a key and a request.
pub(super) fn csr(args: &PkiCsrArgs, view: &View) -> Result<()> {
    refuse_path(&args.name)?;
    let existing = existing(args.force);
    let request_file = in_directory(&args.out, &args.name, "_csr.pem");
    let key_file = in_directory(&args.out, &args.name, "_key.pem");
    pki::refuse_existing(&request_file, existing)?;
    pki::refuse_existing(&key_file, existing)?;
    let passphrase = passphrase::new(&args.key.passphrase, "the passphrase of the new key", view)?;
    let key = new_key(args.key.key, view)?;
    let subject = subject(&args.wanted, &args.name)?;
    let request = Request::new(&subject, &args.wanted.san, &key, None)?;
    let key_pem = key.to_pem(passphrase.as_ref().map(|passphrase| passphrase.as_str()))?;
    pki::make_directory(&args.out)?;
    pki::write_secret(&key_file, key_pem.as_bytes(), existing)?;
    pki::write_public(&request_file, request.to_pem().as_bytes(), existing)?;
    if view.is_json() {
        view.document(&json!({
            "format_version": "1",
            "request": show::request(&request),
            "files": {"request": request_file, "key": key_file},
        }));
        return Ok(());
    }
    view.result(&format!(
        "wrote {}: {}\nwrote {} ({}, for your eyes only)\n",
        request_file.display(),
        request.subject,
        key_file.display(),
        key.algorithm(),
    ));
    Ok(())
}

/// Signs a request; its subject and names are taken over unless others are given.
pub(super) fn sign(args: &PkiSignArgs, store: &Store, view: &View) -> Result<()> {
    let existing = existing(args.force);
    let out = match &args.out {
        Some(out) => out.clone(),
        None => beside(&args.request, "_csr", "_cert.pem"),
    };
    pki::refuse_existing(&out, existing)?;
    let request =
        Request::from_bytes(&read(&args.request)?).map_err(|error| named(&error, &args.request))?;
    if request.has_other_names && args.wanted.san.is_empty() {
        return Err(Error::refused_with(
            format!(
                "{}: it asks for a name of a kind that is not issued here",
                args.request.display()
            ),
            "say with --san which names the certificate is to have",
        ));
    }
    let authority = store.open(args.ca.ca.as_deref())?;
    let ca_key = unlock(&authority, &args.ca.passphrase, view)?;
    let names = if args.wanted.san.is_empty() {
        &request.names
    } else {
        &args.wanted.san
    };
    let order = Order {
        subject: args
            .wanted
            .subject
            .clone()
            .unwrap_or_else(|| request.subject.clone()),
        names: names.clone(),
        kind: kind(args.server),
        days: args.days,
    };
    let certificate = authority.sign(&request, &order, &ca_key, OffsetDateTime::now_utc())?;
    let pem = with_intermediates(&certificate, &authority);
    pki::write_public(&out, pem.as_bytes(), existing)
        .map_err(|error| unwritten(&error, &certificate))?;
    if order.kind == Kind::Client {
        note_depth(&authority, view);
    }
    if view.is_json() {
        view.document(&json!({
            "format_version": "1",
            "ca": authority.name(),
            "certificate": show::certificate(&certificate),
            "files": {"certificate": out},
        }));
        return Ok(());
    }
    view.result(&format!(
        "{}wrote {}\n",
        issued(&certificate, &order, &authority),
        out.display()
    ));
    Ok(())
}

/// What `--server` stands for.
fn kind(server: bool) -> Kind {
    if server { Kind::Server } else { Kind::Client }
}

/// The subject that was given, or the name as a common name.
fn subject(wanted: &Wanted, name: &str) -> Result<Subject> {
    match &wanted.subject {
        Some(subject) => Ok(subject.clone()),
        None => Ok(Subject::common_name(name)?),
    }
}

/// What a client has to send: its certificate and the CAs below the root.
fn with_intermediates(certificate: &Certificate, authority: &Authority) -> String {
    let all = std::iter::once(certificate).chain(authority.intermediates());
    all.map(Certificate::pem).collect()
}

/// What was issued, and why it ends when it does if nobody said so.
fn issued(certificate: &Certificate, order: &Order, authority: &Authority) -> String {
    let mut text = format!(
        "issued {} by CA `{}`: serial {}, until {}\n",
        certificate.subject,
        authority.name(),
        certificate.serial,
        certificate.not_after.date(),
    );
    if !order.names.is_empty() {
        let names: Vec<String> = order.names.iter().map(ToString::to_string).collect();
        text = format!("{text}names: {}\n", names.join(", "));
    }
    if order.days.is_none() && certificate.not_after >= authority.ends() {
        text.push_str("it ends with its CA\n");
    }
    text
}

/// The certificate is in the database by now; whoever gets hold of it can be stopped.
fn unwritten(error: &pki::Error, certificate: &Certificate) -> Error {
    let serial = certificate.serial;
    Error::refused_with(
        error.to_string(),
        format!("it was issued all the same; `mtlsgw pki revoke --serial {serial}` takes it back"),
    )
}

/// The file of a name, without a `./` that nobody has written.
fn in_directory(directory: &Path, name: &str, ending: &str) -> PathBuf {
    let file = PathBuf::from(format!("{name}{ending}"));
    if directory == Path::new(".") {
        file
    } else {
        directory.join(file)
    }
}

/// The name becomes part of file names, and must not lead elsewhere.
fn refuse_path(name: &str) -> Result<()> {
    if Path::new(name).file_name().is_some_and(|file| file == name) {
        return Ok(());
    }
    Err(Error::refused_with(
        format!("{name:?} cannot be part of a file's name"),
        "take a plain name such as `alice`; --out says the directory",
    ))
}
