//! What clients of the probes present, from the user's files and CAs.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::cli::ProbeArgs;
use crate::command::pki::passphrase::Source;
use crate::command::pki::{self as files, certificates};
use crate::error::{Error, Result};
use crate::pki::{self, Authority, Credential, KeyFile, Store};
use crate::stack::Stack;
use crate::trust::{Certificate, Crl};
use crate::verify::Presented;
use crate::verify::material::Issuer;
use crate::view::View;

/// What the user has.
pub(super) struct Own {
    /// A client that is let in.
    pub(super) good: Presented,
    /// A client that is revoked, if one was named.
    pub(super) revoked: Option<Credential>,
}

/// Reads what the options and the stack's section `verify` name.
///
/// # Errors
///
/// Files that cannot be read, or that do not belong together.
pub(super) fn read(args: &ProbeArgs, stack: &Stack, view: &View) -> Result<Own> {
    let section = stack.verify.as_ref();
    let files = args.cert.as_deref().zip(args.key.as_deref()).or_else(|| {
        let client = section.and_then(|section| section.client.as_ref());
        client.map(|(certificate, key)| (&**certificate, &**key))
    });
    let good = match files {
        Some(files) => Presented::Has(credential(files, args, view)?),
        None => Presented::Needs(
            "a good client: --cert and --key, or `verify:` in the stack".to_owned(),
        ),
    };
    let revoked = match args.revoked.as_slice() {
        [certificate, key] => Some(credential((certificate, key), args, view)?),
        _ => None,
    };
    Ok(Own { good, revoked })
}

fn credential(
    (certificate, key): (&Path, &Path),
    args: &ProbeArgs,
    view: &View,
) -> Result<Credential> {
    let certificates = certificates(certificate)?;
    let source = Source {
        file: args.key_passphrase_file.as_deref(),
        variable: args.key_passphrase_env.as_deref(),
    };
    let unlocked = key_file(key)?.unlock(|| {
        let question = format!("the passphrase of {}", key.display());
        let otherwise = "give it with --key-passphrase-file or --key-passphrase-env";
        source.or_ask(&question, otherwise, view)
    });
    let unlocked = unlocked.map_err(|error: Error| about(&error, key))?;
    Credential::new(certificates, unlocked).map_err(|error| about(&error.into(), key))
}

fn key_file(path: &Path) -> Result<KeyFile> {
    let bytes = Zeroizing::new(files::read(path)?);
    KeyFile::from_bytes(&bytes).map_err(|error| about(&error.into(), path))
}

fn about(error: &Error, path: &Path) -> Error {
    Error::Refused {
        message: format!("{}: {error}", path.display()),
        hint: error.hint(),
    }
}

/// A CA of the store that the gateway trusts, or whose root it does, with its key.
///
/// # Errors
///
/// A store that was named and cannot be used, or a wrong passphrase.
pub(super) fn issuer(
    args: &ProbeArgs,
    directory: &Path,
    authorities: &[Certificate],
) -> Result<Issuer> {
    let none = |what: String| Ok(Err(what));
    let place = args.pki.clone().unwrap_or_else(|| directory.join("pki"));
    let store = Store::new(&place);
    let known = match known(&store, authorities) {
        Ok(known) => known,
        Err(error) if args.pki.is_some() => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    if known.is_empty() {
        return none("a CA of the trust store, made by `mtlsgw pki`: --pki DIR".to_owned());
    }
    for authority in known {
        let mut is_locked = false;
        let key = authority.key(|| {
            passphrase(args)?.ok_or_else(|| {
                is_locked = true;
                Error::refused("the key has a passphrase")
            })
        });
        match key {
            Ok(key) => return Ok(Ok((authority, key))),
            Err(_) if is_locked => {}
            Err(error) => return Err(error),
        }
    }
    none("the passphrase of the CA: --ca-passphrase-file or --ca-passphrase-env".to_owned())
}

fn known(store: &Store, authorities: &[Certificate]) -> pki::Result<Vec<Authority>> {
    let mut known = Vec::new();
    for name in store.names()? {
        let authority = store.open(Some(&name))?;
        let mut chain = std::iter::once(authority.certificate()).chain(authority.chain());
        let is_trusted = chain.any(|one| {
            let mut trusted = authorities.iter();
            trusted.any(|other| other.fingerprint == one.fingerprint)
        });
        if is_trusted {
            known.push(authority);
        }
    }
    Ok(known)
}

fn passphrase(args: &ProbeArgs) -> Result<Option<Zeroizing<String>>> {
    let source = Source {
        file: args.ca_passphrase.ca_passphrase_file.as_deref(),
        variable: args.ca_passphrase.ca_passphrase_env.as_deref(),
    };
    source.read()
}

/// A revoked client whose files stand beside the stack file, named as `pki issue` names them.
pub(super) fn revoked_beside(directory: &Path, crls: &[Crl]) -> Presented {
    let found = pairs(directory)
        .into_iter()
        .find_map(|(certificate, key)| revoked(&certificate, &key, crls));
    found.map_or_else(
        || Presented::Needs("a revoked client: --revoked CERT KEY".to_owned()),
        Presented::Has,
    )
}

/// `NAME_cert.pem` with `NAME_key.pem`.
fn pairs(directory: &Path) -> Vec<(PathBuf, PathBuf)> {
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let pair = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix("_cert.pem")?;
        let key = path.with_file_name(format!("{name}_key.pem"));
        key.is_file().then_some((path, key))
    };
    let mut pairs: Vec<_> = entries.filter_map(|entry| pair(entry.path())).collect();
    pairs.sort();
    pairs
}

/// The pair, if a CRL lists it and nothing else speaks against it; a key that needs a passphrase is left.
fn revoked(certificate: &Path, key: &Path, crls: &[Crl]) -> Option<Credential> {
    let certificates = certificates(certificate).ok()?;
    let own = certificates.first()?;
    let is_valid = own.not_after > OffsetDateTime::now_utc();
    if !is_valid || !crls.iter().any(|crl| crl.revokes(own)) {
        return None;
    }
    match key_file(key).ok()? {
        KeyFile::Plain(key) => Credential::new(certificates, key).ok(),
        KeyFile::Locked(_) => None,
    }
}
