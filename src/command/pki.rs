//! `pki`: a CA, client certificates, revocation and PKCS#12 in plain files.

mod issue;
pub(super) mod passphrase;
mod revoke;
mod show;

use std::path::{Path, PathBuf};

use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::cli::{
    PkiArgs, PkiCaArgs, PkiCommand, PkiConvertArgs, PkiInspectArgs, PkiListArgs, PkiP12Args,
};
use crate::error::{Error, Result, exit};
use crate::pki::{
    self, Archive, Authority, Encryption, Existing, KeyFile, KeyKind, NewAuthority, SigningKey,
    Store, Subject,
};
use crate::trust::{Certificate, MAXIMUM_DEPTH};
use crate::view::View;

/// Runs a verb of `pki`.
///
/// # Errors
///
/// What was refused, or could not be read or written.
pub(super) fn run(args: &PkiArgs, view: &View) -> Result<u8> {
    let store = Store::new(&args.dir);
    match &args.command {
        PkiCommand::Ca(args) => ca(args, &store, view),
        PkiCommand::Issue(args) => issue::issue(args, &store, view),
        PkiCommand::Csr(args) => issue::csr(args, view),
        PkiCommand::Sign(args) => issue::sign(args, &store, view),
        PkiCommand::Revoke(args) => revoke::revoke(args, &store, view),
        PkiCommand::Crl(args) => revoke::crl(args, &store, view),
        PkiCommand::P12(args) => p12(args, view),
        PkiCommand::Convert(args) => convert(args, view),
        PkiCommand::Inspect(args) => inspect(args, view),
        PkiCommand::List(args) => list(args, &store, view),
    }?;
    Ok(exit::DONE)
}

/// Makes or takes in a CA.
fn ca(args: &PkiCaArgs, store: &Store, view: &View) -> Result<()> {
    // Before anything slow: RSA keys of 8192 bits take many seconds.
    store.refuse_name(&args.name)?;
    let authority = match (args.import.as_deref(), &args.under) {
        (Some([certificate, key, ..]), _) => import(args, certificate, key, store)?,
        (_, Some(above)) => {
            let above = store.open(Some(above))?;
            let key = unlock(&above, &args.ca_passphrase, view)?;
            let passphrase =
                passphrase::new(&args.key.passphrase, "the passphrase of the new CA", view)?;
            let new = new_authority(args, Some(0), view)?;
            let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_str());
            store.create_below(&new, (&above, &key), passphrase, OffsetDateTime::now_utc())?
        }
        (_, None) => {
            let passphrase =
                passphrase::new(&args.key.passphrase, "the passphrase of the new CA", view)?;
            let new = new_authority(args, None, view)?;
            let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_str());
            store.create_root(&new, passphrase, OffsetDateTime::now_utc())?
        }
    };
    note_depth(&authority, view);
    let certificate = authority.certificate();
    if view.is_json() {
        view.document(&json!({
            "format_version": "1",
            "ca": authority.name(),
            "directory": authority.directory(),
            "certificate": show::certificate(certificate),
        }));
        return Ok(());
    }
    view.result(&format!(
        "CA `{}`: {} ({}, until {})\nwrote {}\n",
        authority.name(),
        certificate.subject,
        certificate.key_algorithm,
        certificate.not_after.date(),
        authority.directory().display(),
    ));
    Ok(())
}

/// Takes in a CA that was made elsewhere.
fn import(args: &PkiCaArgs, certificate: &Path, key: &Path, store: &Store) -> Result<Authority> {
    let certificates = certificates(certificate)?;
    let key = Zeroizing::new(read(key)?);
    Ok(store.import(&args.name, &certificates, &key, OffsetDateTime::now_utc())?)
}

/// What a new CA is to say, with a new key.
fn new_authority(args: &PkiCaArgs, path_len: Option<u8>, view: &View) -> Result<NewAuthority> {
    let subject = match &args.subject {
        Some(subject) => subject.clone(),
        None => Subject::common_name(&args.name)?,
    };
    Ok(NewAuthority {
        name: args.name.clone(),
        subject,
        key: new_key(args.key.key, view)?,
        digest: args.hash,
        path_len: args.path_length.or(path_len),
        days: args.days,
    })
}

/// Makes a key, and tells of the wait where there is one.
fn new_key(kind: KeyKind, view: &View) -> Result<SigningKey> {
    if kind.is_slow() {
        view.note("making an RSA key of 8192 bits, which can take a minute");
    }
    Ok(SigningKey::generate(kind)?)
}

/// The private key of a CA, with its passphrase if it needs one.
fn unlock(
    authority: &Authority,
    passphrase: &crate::cli::CaPassphrase,
    view: &View,
) -> Result<SigningKey> {
    authority.key(|| {
        let source = passphrase::Source {
            file: passphrase.ca_passphrase_file.as_deref(),
            variable: passphrase.ca_passphrase_env.as_deref(),
        };
        let question = format!("the passphrase of CA `{}`", authority.name());
        source.or_ask(
            &question,
            "give it with --ca-passphrase-file or --ca-passphrase-env",
            view,
        )
    })
}

/// Tells of clients whose chain no load balancer follows to the root.
fn note_depth(authority: &Authority, view: &View) {
    let length = authority.client_chain_length();
    if length > MAXIMUM_DEPTH {
        view.note(&format!(
            "warning: with the root the chain of a client of CA `{}` has {length} certificates, and load \
             balancers accept at most {MAXIMUM_DEPTH}: have clients' certificates issued by a CA nearer to the root",
            authority.name()
        ));
    }
}

/// Puts a key and its certificates into a PKCS#12 file.
fn p12(args: &PkiP12Args, view: &View) -> Result<()> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => beside(&args.certificate, "_cert", ".p12"),
    };
    let existing = existing(args.force);
    pki::refuse_existing(&out, existing)?;
    let mut all = certificates(&args.certificate)?;
    for file in &args.chain {
        all.extend(certificates(file)?);
    }
    let key = KeyFile::from_bytes(&Zeroizing::new(read(&args.key)?))
        .map_err(|error| named(&error, &args.key))?;
    let key = key.unlock(|| {
        let source = passphrase::Source {
            file: args.key_passphrase_file.as_deref(),
            variable: args.key_passphrase_env.as_deref(),
        };
        source.or_ask(
            "the passphrase of the key",
            "give it with --key-passphrase-file or --key-passphrase-env",
            view,
        )
    })?;
    let name = args.name.clone().unwrap_or_else(|| friendly_name(&all));
    let archive = Archive::new(key, all, name)?;
    let passphrase =
        passphrase::required(&args.passphrase, "the passphrase of the PKCS#12 file", view)?;
    let encryption = if args.legacy {
        Encryption::Legacy
    } else {
        Encryption::Modern
    };
    let der = archive.to_der(&passphrase, encryption)?;
    pki::write_secret(&out, &der, existing)?;
    if view.is_json() {
        view.document(&json!({
            "format_version": "1",
            "file": out,
            "certificates": archive.certificates.iter().map(show::certificate).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    let subjects: Vec<String> = archive
        .certificates
        .iter()
        .map(|one| format!("  {}\n", one.subject))
        .collect();
    view.result(&format!(
        "wrote {}: a key and the certificates of\n{}",
        out.display(),
        subjects.concat()
    ));
    Ok(())
}

/// The common name of the first certificate, or whatever its subject begins with.
fn friendly_name(certificates: &[Certificate]) -> String {
    let subject = certificates
        .first()
        .map(|certificate| certificate.subject.to_string());
    let subject = subject.unwrap_or_default();
    let common = subject.split(',').find_map(|part| part.strip_prefix("CN="));
    common.unwrap_or(&subject).to_owned()
}

/// Writes certificates and CRLs as PEM.
fn convert(args: &PkiConvertArgs, view: &View) -> Result<()> {
    let pem = pki::to_pem(&read(&args.file)?).map_err(|error| named(&error, &args.file))?;
    let Some(out) = &args.out else {
        if view.is_json() {
            view.document(&json!({"format_version": "1", "pem": pem}));
        } else {
            view.result(&pem);
        }
        return Ok(());
    };
    pki::write_public(out, pem.as_bytes(), existing(args.force))?;
    if view.is_json() {
        view.document(&json!({"format_version": "1", "file": out}));
    } else {
        view.result(&format!("wrote {}\n", out.display()));
    }
    Ok(())
}

/// Tells what is in files.
fn inspect(args: &PkiInspectArgs, view: &View) -> Result<()> {
    let source = passphrase::Source {
        file: args.passphrase_file.as_deref(),
        variable: args.passphrase_env.as_deref(),
    };
    let mut passphrase = source.read()?;
    let mut files = Vec::new();
    for path in &args.files {
        let bytes = Zeroizing::new(read(path)?);
        if args.ask_passphrase && passphrase.is_none() && Archive::is_one(&bytes) {
            passphrase =
                Some(view.ask_secret("the passphrase of the PKCS#12 file", passphrase::ELSEWHERE)?);
        }
        let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_str());
        let items = pki::inspect(&bytes, passphrase).map_err(|error| named(&error, path))?;
        files.push((path, items));
    }
    if view.is_json() {
        let facts = |items: &[pki::Item]| items.iter().map(show::item).collect::<Vec<_>>();
        let files = files
            .iter()
            .map(|(path, items)| json!({"file": path, "items": facts(items)}));
        let files: Vec<_> = files.collect();
        view.document(&json!({"format_version": "1", "files": files}));
        return Ok(());
    }
    for (path, items) in &files {
        for item in items {
            view.result(&format!("{}: {}", path.display(), show::item_text(item)));
        }
    }
    Ok(())
}

/// Lists what the CAs have issued.
fn list(args: &PkiListArgs, store: &Store, view: &View) -> Result<()> {
    let names = match &args.ca {
        Some(name) => vec![store.open(Some(name))?.name().to_owned()],
        None => store.names()?,
    };
    let now = OffsetDateTime::now_utc();
    let lists: Result<Vec<show::Listing>> = names
        .iter()
        .map(|name| show::Listing::read(store.open(Some(name))?, args.expiring, now))
        .collect();
    let lists = lists?;
    if view.is_json() {
        let authorities: Vec<_> = lists.iter().map(show::Listing::json).collect();
        view.document(&json!({"format_version": "1", "cas": authorities}));
    } else if lists.is_empty() {
        view.note(&format!("no CAs in {}", store.directory().display()));
    } else {
        view.result(&lists.iter().map(show::Listing::text).collect::<String>());
    }
    Ok(())
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::refused(format!("cannot read {}: {error}", path.display())))
}

/// Reads the certificates of a file.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let bytes = Zeroizing::new(read(path)?);
    Certificate::all_from_bytes(&bytes).map_err(|error| named(&error.into(), path))
}

/// An error that tells of which file.
fn named(error: &pki::Error, path: &Path) -> Error {
    let hint = error.hint().map(str::to_owned);
    Error::Refused {
        message: format!("{}: {error}", path.display()),
        hint,
    }
}

/// What `--force` stands for.
fn existing(force: bool) -> Existing {
    if force {
        Existing::Replace
    } else {
        Existing::Keep
    }
}

/// Another file beside one: `alice_cert.pem` becomes `alice.p12`.
fn beside(path: &Path, suffix: &str, ending: &str) -> PathBuf {
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let stem = stem.strip_suffix(suffix).unwrap_or(&stem);
    path.with_file_name(format!("{stem}{ending}"))
}
