//! Certificates, CRLs, requests and keys as text and JSON.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Result;
use crate::pki::{AlternativeName, Authority, Entry, Item, Request, Status};
use crate::trust::{Certificate, Crl};

/// How many revoked serials are written out for people.
const MAXIMUM_SERIALS: usize = 20;

/// The facts of a certificate.
pub(super) fn certificate(certificate: &Certificate) -> Value {
    json!({
        "kind": "certificate",
        "subject": certificate.subject.as_str(),
        "issuer": certificate.issuer.as_str(),
        "serial": certificate.serial.to_string(),
        "version": certificate.version,
        "not_before": stamp(certificate.not_before),
        "not_after": stamp(certificate.not_after),
        "is_ca": certificate.is_ca == Some(true),
        "path_length": certificate.path_len,
        "key_algorithm": certificate.key_algorithm.to_string(),
        "signature_algorithm": certificate.signature_algorithm.to_string(),
        "key_usage": certificate.key_usage,
        "extended_key_usage": certificate.extended_key_usage,
        "fingerprint_sha256": certificate.fingerprint.to_string(),
    })
}

/// The facts of a CRL.
pub(super) fn crl(crl: &Crl) -> Value {
    json!({
        "kind": "crl",
        "issuer": crl.issuer.as_str(),
        "number": crl.number.map(|number| number.decimal()),
        "this_update": stamp(crl.this_update),
        "next_update": crl.next_update.map(stamp),
        "signature_algorithm": crl.signature_algorithm.to_string(),
        "entries": crl.entries,
        "serials": crl.serials.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "digest_sha256": crl.digest.to_string(),
    })
}

/// The facts of a request.
pub(super) fn request(request: &Request) -> Value {
    json!({
        "kind": "request",
        "subject": request.subject.as_str(),
        "names": texts(&request.names),
        "key_algorithm": request.key_algorithm.to_string(),
    })
}

/// The facts of anything that `inspect` finds.
pub(super) fn item(item: &Item) -> Value {
    match item {
        Item::Certificate(one, names) => {
            let mut facts = certificate(one);
            facts["names"] = json!(texts(names));
            facts
        }
        Item::Crl(one) => crl(one),
        Item::Request(one) => request(one),
        Item::Key(algorithm) => {
            json!({"kind": "private_key", "key_algorithm": algorithm.to_string(), "encrypted": false})
        }
        Item::LockedKey => json!({"kind": "private_key", "encrypted": true}),
        Item::Archive(items) => {
            json!({"kind": "pkcs12", "items": items.iter().map(self::item).collect::<Vec<_>>()})
        }
        Item::LockedArchive => json!({"kind": "pkcs12", "encrypted": true}),
    }
}

/// The same for people: what it is, then a line for each fact.
pub(super) fn item_text(item: &Item) -> String {
    match item {
        Item::Certificate(certificate, names) => certificate_text(certificate, names),
        Item::Crl(crl) => crl_text(crl),
        Item::Request(request) => lines(
            "certificate request",
            &[
                ("subject", request.subject.to_string()),
                ("names", texts(&request.names).join(", ")),
                ("key", request.key_algorithm.to_string()),
            ],
        ),
        Item::Key(algorithm) => format!("private key, {algorithm}, not encrypted\n"),
        Item::LockedKey => "private key, encrypted\n".to_owned(),
        Item::LockedArchive => {
            "PKCS#12, encrypted; --ask-passphrase, --passphrase-file or --passphrase-env opens it\n"
                .to_owned()
        }
        Item::Archive(items) => {
            let items: String = items.iter().map(item_text).collect();
            format!("PKCS#12 with\n{items}")
        }
    }
}

/// The facts of a certificate for people.
fn certificate_text(certificate: &Certificate, names: &[AlternativeName]) -> String {
    let kind = match (certificate.is_ca, certificate.path_len) {
        (Some(true), Some(length)) => format!("CA certificate, path length {length}"),
        (Some(true), None) => "CA certificate".to_owned(),
        _ => "certificate".to_owned(),
    };
    let usages = certificate
        .key_usage
        .iter()
        .flatten()
        .map(|usage| (*usage).to_owned());
    let purposes = certificate.extended_key_usage.iter().flatten().cloned();
    let usages: Vec<String> = usages.chain(purposes).collect();
    lines(
        &kind,
        &[
            ("subject", certificate.subject.to_string()),
            ("issuer", certificate.issuer.to_string()),
            ("serial", certificate.serial.to_string()),
            ("valid", validity(certificate)),
            ("key", certificate.key_algorithm.to_string()),
            ("signature", certificate.signature_algorithm.to_string()),
            ("usage", usages.join(", ")),
            ("names", texts(names).join(", ")),
            ("sha256", certificate.fingerprint.to_string()),
        ],
    )
}

/// From when to when, and how long that is.
fn validity(certificate: &Certificate) -> String {
    let (begin, end) = (certificate.not_before.date(), certificate.not_after.date());
    let left = (certificate.not_after - OffsetDateTime::now_utc()).whole_days();
    let left = if certificate.not_after < OffsetDateTime::now_utc() {
        "expired".to_owned()
    } else {
        format!("{left} days left")
    };
    format!("{begin} to {end}, {left}")
}

/// The facts of a CRL for people.
fn crl_text(crl: &Crl) -> String {
    let mut serials: Vec<String> = crl
        .serials
        .iter()
        .take(MAXIMUM_SERIALS)
        .map(ToString::to_string)
        .collect();
    if crl.serials.len() > MAXIMUM_SERIALS {
        serials.push(format!("and {} more", crl.serials.len() - MAXIMUM_SERIALS));
    }
    lines(
        "CRL",
        &[
            ("issuer", crl.issuer.to_string()),
            (
                "number",
                crl.number
                    .map(|number| number.decimal())
                    .unwrap_or_default(),
            ),
            ("this update", stamp(crl.this_update)),
            (
                "next update",
                crl.next_update.map(stamp).unwrap_or_default(),
            ),
            ("signature", crl.signature_algorithm.to_string()),
            ("revoked", crl.entries.to_string()),
            ("serials", serials.join(", ")),
        ],
    )
}

/// A heading and the facts that are there.
fn lines(heading: &str, facts: &[(&str, String)]) -> String {
    let facts = facts.iter().filter(|(_, value)| !value.is_empty());
    let facts: Vec<String> = facts
        .map(|(name, value)| format!("  {name:<12} {value}\n"))
        .collect();
    format!("{heading}\n{}", facts.concat())
}

/// The facts of an entry of a CA's database.
pub(super) fn entry(entry: &Entry) -> Value {
    let (revoked_at, reason) = match entry.status {
        Status::Revoked { at, reason } => (Some(stamp(at)), Some(reason.to_string())),
        Status::Valid => (None, None),
    };
    json!({
        "serial": entry.serial.to_string(),
        "subject": entry.subject,
        "not_after": stamp(entry.expires),
        "revoked_at": revoked_at,
        "reason": reason,
    })
}

/// What a CA has issued.
pub(super) struct Listing {
    authority: Authority,
    entries: Vec<Entry>,
    crl: Option<Crl>,
    /// How many are revoked and not in the CRL.
    unlisted: usize,
    now: OffsetDateTime,
}

impl Listing {
    /// Reads it, as of now.
    pub(super) fn read(
        authority: Authority,
        expiring: Option<u32>,
        now: OffsetDateTime,
    ) -> Result<Self> {
        let mut entries = authority.entries()?;
        let crl = std::fs::read(authority.crl_file()).ok();
        let crl = crl.and_then(|bytes| Crl::all_from_bytes(&bytes).ok()?.into_iter().next());
        let is_listed = |entry: &Entry| {
            crl.as_ref()
                .is_some_and(|crl| crl.serials.binary_search(&entry.serial).is_ok())
        };
        let revoked = entries.iter().filter(|entry| entry.status != Status::Valid);
        let unlisted = revoked.filter(|entry| !is_listed(entry)).count();
        if let Some(days) = expiring {
            let end = now.checked_add(time::Duration::days(i64::from(days)));
            let ends_soon = |entry: &Entry| end.is_none_or(|end| entry.expires <= end);
            entries.retain(|entry| {
                entry.status == Status::Valid && entry.expires > now && ends_soon(entry)
            });
        }
        Ok(Self {
            authority,
            entries,
            crl,
            unlisted,
            now,
        })
    }

    /// `valid`, `revoked` or `expired`.
    fn state(&self, entry: &Entry) -> &'static str {
        match entry.status {
            Status::Revoked { .. } => "revoked",
            Status::Valid if entry.expires < self.now => "expired",
            Status::Valid => "valid",
        }
    }

    /// The subject as in the certificate, or as in the database if its file is gone.
    fn subject(&self, entry: &Entry) -> String {
        self.authority.issued(entry.serial).map_or_else(
            || entry.subject.clone(),
            |certificate| certificate.subject.to_string(),
        )
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        let entries = self.entries.iter().map(|one| {
            let mut facts = entry(one);
            facts["subject"] = json!(self.subject(one));
            facts["state"] = json!(self.state(one));
            facts
        });
        json!({
            "name": self.authority.name(),
            "certificate": certificate(self.authority.certificate()),
            "crl": self.crl.as_ref().map(crl),
            "revoked_but_not_in_crl": self.unlisted,
            "issued": entries.collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let certificate = self.authority.certificate();
        let name = self.authority.name();
        let end = certificate.not_after.date();
        let mut lines = vec![
            format!("{name}: {}, until {end}", certificate.subject),
            format!("  {}", self.crl_text()),
        ];
        if self.unlisted > 0 {
            let count = self.unlisted;
            lines.push(format!(
                "  {count} revoked and not in the CRL: run `mtlsgw pki crl --ca {name}`"
            ));
        }
        lines.extend(self.entries.iter().map(|entry| self.entry_text(entry)));
        lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// What the latest CRL says.
    fn crl_text(&self) -> String {
        let Some(crl) = &self.crl else {
            return "no CRL yet".to_owned();
        };
        let next = crl.next_update;
        let is_late = next.is_some_and(|next| next < self.now);
        format!(
            "CRL of {}, {} revoked, next update {}{}",
            crl.this_update.date(),
            crl.entries,
            next.map(|next| next.date().to_string()).unwrap_or_default(),
            if is_late { " (overdue)" } else { "" },
        )
    }

    /// One certificate in one line.
    fn entry_text(&self, entry: &Entry) -> String {
        let state = self.state(entry);
        let when = match entry.status {
            Status::Revoked { at, reason } => format!("{} {reason}", at.date()),
            Status::Valid => format!("until {}", entry.expires.date()),
        };
        let (serial, subject) = (entry.serial.to_string(), self.subject(entry));
        format!("  {serial:<32} {state:<7} {when:<32} {subject}")
    }
}

/// Names as they are written on the command line.
fn texts(names: &[AlternativeName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A time as in RFC 3339.
fn stamp(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}
