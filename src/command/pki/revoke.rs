//! `pki revoke` and `pki crl`.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{certificates, show, unlock};
use crate::cli::{PkiCrlArgs, PkiRevokeArgs};
use crate::error::{Error, Result};
use crate::pki::{Authority, Entry, Revocation, SigningKey, Status, Store};
use crate::trust::{Certificate, Crl, Serial};
use crate::view::View;

/// Revokes a certificate, and writes the CRL if asked to.
pub(super) fn revoke(args: &PkiRevokeArgs, store: &Store, view: &View) -> Result<()> {
    let now = OffsetDateTime::now_utc();
    let target = Target::of(args)?;
    let authority = target.authority(args.ca.ca.as_deref(), store)?;
    // A wrong passphrase must be told before anything is changed.
    let key = args
        .crl
        .then(|| unlock(&authority, &args.ca.passphrase, view))
        .transpose()?;
    let done = match &target {
        Target::Certificate(certificate) => {
            authority.revoke_certificate(certificate, args.reason, now)
        }
        Target::Serial(serial) => authority.revoke_serial(*serial, args.reason, now),
    }?;
    let crl = key
        .map(|key| write_crl(&authority, &key, args.days, now))
        .transpose()?;
    let (entry, before) = match &done {
        Revocation::Done(entry) => (entry, false),
        Revocation::Before(entry) => (entry, true),
    };
    if view.is_json() {
        view.document(&json!({
            "format_version": "1",
            "ca": authority.name(),
            "revoked": show::entry(entry),
            "was_revoked_before": before,
            "crl": crl.as_ref().map(|crl| crl_facts(crl, &authority)),
        }));
        return Ok(());
    }
    view.result(&text(entry, before));
    match &crl {
        Some(crl) => view.result(&crl_text(crl, &authority)),
        None => view
            .note("run `mtlsgw pki crl` to have it in the CRL, and give that to the load balancer"),
    }
    Ok(())
}

/// Writes the CRL of a CA.
pub(super) fn crl(args: &PkiCrlArgs, store: &Store, view: &View) -> Result<()> {
    let authority = store.open(args.ca.ca.as_deref())?;
    let key = unlock(&authority, &args.ca.passphrase, view)?;
    let backdate = args.backdate.unwrap_or_default();
    let begin = OffsetDateTime::now_utc()
        .checked_sub(time::Duration::try_from(backdate).unwrap_or(time::Duration::MAX))
        .ok_or_else(|| Error::refused("the CRL would begin before the year 0"))?;
    let crl = write_crl(&authority, &key, args.days, begin)?;
    if view.is_json() {
        view.document(&json!({
            "format_version": "1",
            "ca": authority.name(),
            "crl": crl_facts(&crl, &authority),
        }));
    } else {
        view.result(&crl_text(&crl, &authority));
    }
    Ok(())
}

/// What is to be revoked.
enum Target {
    Certificate(Box<Certificate>),
    Serial(Serial),
}

impl Target {
    /// What the arguments name.
    fn of(args: &PkiRevokeArgs) -> Result<Self> {
        if let Some(serial) = &args.serial {
            let serial = Serial::from_hex(serial)
                .ok_or_else(|| Error::refused(format!("{serial:?} is not a serial in hex")))?;
            return Ok(Self::Serial(serial));
        }
        let file = args.certificate.as_deref();
        let mut all = certificates(file.unwrap_or("".as_ref()))?;
        // The certificate comes first, those above it after it.
        Ok(Self::Certificate(Box::new(all.remove(0))))
    }

    /// The CA that was named, or else the one that has issued it.
    fn authority(&self, name: Option<&str>, store: &Store) -> Result<Authority> {
        if name.is_none() {
            for name in store.names()? {
                let authority = store.open(Some(&name))?;
                if self.is_of(&authority)? {
                    return Ok(authority);
                }
            }
        }
        Ok(store.open(name)?)
    }

    /// Whether a CA has issued it.
    fn is_of(&self, authority: &Authority) -> Result<bool> {
        Ok(match self {
            Self::Certificate(certificate) => certificate.is_issued_by(authority.certificate()),
            Self::Serial(serial) => authority
                .entries()?
                .iter()
                .any(|entry| entry.serial == *serial),
        })
    }
}

/// Writes the next CRL.
fn write_crl(
    authority: &Authority,
    key: &SigningKey,
    days: u32,
    begin: OffsetDateTime,
) -> Result<Crl> {
    Ok(authority.crl(key, time::Duration::days(i64::from(days)), begin)?)
}

/// What became of a revocation.
fn text(entry: &Entry, before: bool) -> String {
    let (serial, subject) = (entry.serial, &entry.subject);
    match entry.status {
        Status::Revoked { at, reason } if before => {
            format!(
                "{serial} ({subject}) was revoked before, on {} ({reason}); nothing was changed\n",
                at.date()
            )
        }
        Status::Revoked { reason, .. } => format!("revoked {serial} ({subject}): {reason}\n"),
        Status::Valid => String::new(),
    }
}

/// What is in a CRL, and where.
fn crl_text(crl: &Crl, authority: &Authority) -> String {
    let number = crl
        .number
        .map(|number| number.decimal())
        .unwrap_or_default();
    format!(
        "CRL {number} of CA `{}`: {} revoked, next update {}\nwrote {} and crl.der\n",
        authority.name(),
        crl.entries,
        crl.next_update
            .map(|next| next.date().to_string())
            .unwrap_or_default(),
        authority.crl_file().display(),
    )
}

/// The same as JSON.
fn crl_facts(crl: &Crl, authority: &Authority) -> Value {
    let mut facts = show::crl(crl);
    facts["file"] = json!(authority.crl_file());
    facts
}
