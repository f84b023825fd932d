//! `trust lint`: what ALB would refuse or trip over.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::report::{Client, Report};
use crate::cli::TrustLintArgs;
use crate::error::{Error, Result, exit};
use crate::trust::{self, Bundle, Certificate, Crl, Severity, SourceFile, Wanted};
use crate::view::View;

/// Judges files of certificates and CRLs.
///
/// # Errors
///
/// What cannot be read, or is something else than it was given for.
pub(super) fn run(args: &TrustLintArgs, view: &View) -> Result<u8> {
    if args.rules {
        print_rules(view);
        return Ok(exit::DONE);
    }
    let report = judge(args)?;
    if view.is_json() {
        view.document(&report.json());
    } else {
        view.result(&report.text());
    }
    let denied = if args.deny_warnings {
        Severity::Warning
    } else {
        Severity::Error
    };
    let is_refused = report.worst().is_some_and(|worst| worst >= denied);
    Ok(if is_refused {
        exit::REFUSED
    } else {
        exit::DONE
    })
}

/// Reads the files and applies the rules.
fn judge(args: &TrustLintArgs) -> Result<Report> {
    let now = args.at.unwrap_or_else(OffsetDateTime::now_utc);
    let files = read_all(&args.files, None)?;
    let clients = read_all(&args.client, Some(Wanted::Certificate))?;
    let previous = read_all(&args.previous, Some(Wanted::Crl))?;
    let bundle: Bundle = certificates(&files).cloned().collect();
    let (crls, live) = (crls(&files), crls(&previous));
    let mut report = Report::new(now, [&files, &clients]);
    report.extend(trust::lint_sources(&files));
    report.extend(trust::lint_bundle(&bundle, now));
    report.extend(trust::lint_crls(&crls, &bundle, now));
    if !live.is_empty() {
        report.extend(trust::lint_succession(&live, &crls));
    }
    for chain in clients.iter().flat_map(presented) {
        report.extend(trust::lint_client(&chain, &bundle, &crls, now));
        report.clients.extend(Client::of(&chain));
    }
    report.certificates = bundle.certificates().len();
    report.crls = crls.len();
    report.revoked = crls.iter().map(|crl| crl.entries).sum();
    report.sort();
    Ok(report)
}

/// Reads files that hold certificates and CRLs, or one kind of them.
fn read_all(paths: &[PathBuf], wanted: Option<Wanted>) -> Result<Vec<SourceFile>> {
    paths.iter().map(|path| read(path, wanted)).collect()
}

/// Reads one file.
fn read(path: &Path, wanted: Option<Wanted>) -> Result<SourceFile> {
    SourceFile::read(path, wanted).map_err(|error| {
        let is_misplaced = matches!(
            &error,
            trust::Error::In { error, .. } if matches!(**error, trust::Error::Unexpected { .. })
        );
        let fix = if wanted.is_some() && is_misplaced {
            Some("`--client` takes certificates, `--previous` takes CRLs")
        } else {
            error.fix()
        };
        Error::Refused {
            message: error.to_string(),
            hint: fix.map(str::to_owned),
        }
    })
}

/// Returns the certificates of files, repeated ones included.
fn certificates(files: &[SourceFile]) -> impl Iterator<Item = &Certificate> {
    files.iter().flat_map(SourceFile::certificates)
}

/// Returns the CRLs of files, each once.
fn crls(files: &[SourceFile]) -> Vec<&Crl> {
    let mut crls: Vec<&Crl> = Vec::new();
    for crl in files.iter().flat_map(SourceFile::crls) {
        if !crls.iter().any(|known| known.digest == crl.digest) {
            crls.push(crl);
        }
    }
    crls
}

/// Takes a file of clients apart: each begins with a certificate that is not a CA's, and the CAs
/// after it are what it sends along.
fn presented(file: &SourceFile) -> Vec<Vec<Certificate>> {
    let mut clients: Vec<Vec<Certificate>> = Vec::new();
    for certificate in file.certificates() {
        match clients.last_mut() {
            Some(client) if certificate.is_ca == Some(true) => client.push(certificate.clone()),
            _ => clients.push(vec![certificate.clone()]),
        }
    }
    clients
}

/// Prints the reference of all rules.
fn print_rules(view: &View) {
    let rules = trust::rules();
    if view.is_json() {
        view.document(&serde_json::json!({"format_version": "1", "rules": rules}));
    } else {
        view.result(&super::report::reference(&rules));
    }
}
