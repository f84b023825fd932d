//! The database of `openssl ca`: one line for each certificate that a CA has issued.
//!
//! A line has six fields between tabs: `V`, `R` or `E`; the last second of validity; the revocation
//! with its reason after a comma; the serial in hex; a file name; the subject as `openssl x509
//! -oneline` writes it (<https://docs.openssl.org/3.0/man1/openssl-ca/>).

use std::fmt;
use std::str::FromStr;

use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};
use x509_cert::ext::pkix::CrlReason;
use x509_parser::asn1_rs::FromDer;
use x509_parser::x509::X509Name;

use super::Result;
use super::error::Error;
use crate::trust::{Certificate, Serial};

/// How many fields a line has.
const FIELDS: usize = 6;

/// Why a certificate was revoked: the reasons of RFC 5280, section 5.3.1, that the database of
/// `openssl ca` can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is said.
    Unspecified,
    /// The private key is or may be in other hands.
    KeyCompromise,
    /// The private key of a CA is or may be in other hands.
    CaCompromise,
    /// Name or other data of the subject have changed.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// It is no longer needed.
    CessationOfOperation,
    /// It is out of use for a while.
    CertificateHold,
}

/// The reasons by the names of RFC 5280.
const REASONS: [(&str, Reason); 7] = [
    ("unspecified", Reason::Unspecified),
    ("keyCompromise", Reason::KeyCompromise),
    ("CACompromise", Reason::CaCompromise),
    ("affiliationChanged", Reason::AffiliationChanged),
    ("superseded", Reason::Superseded),
    ("cessationOfOperation", Reason::CessationOfOperation),
    ("certificateHold", Reason::CertificateHold),
];

impl Reason {
    /// The form in revocation lists.
    pub(super) fn code(self) -> CrlReason {
        match self {
            Self::Unspecified => CrlReason::Unspecified,
            Self::KeyCompromise => CrlReason::KeyCompromise,
            Self::CaCompromise => CrlReason::CaCompromise,
            Self::AffiliationChanged => CrlReason::AffiliationChanged,
            Self::Superseded => CrlReason::Superseded,
            Self::CessationOfOperation => CrlReason::CessationOfOperation,
            Self::CertificateHold => CrlReason::CertificateHold,
        }
    }

    /// Reads the field of a line, in which more may follow.
    fn of_field(text: &str) -> Option<Self> {
        let (name, _) = text.split_once(',').unwrap_or((text, ""));
        match name {
            "holdInstruction" => Some(Self::CertificateHold),
            "keyTime" => Some(Self::KeyCompromise),
            "CAkeyTime" => Some(Self::CaCompromise),
            name => REASONS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, reason)| *reason),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = REASONS.iter().find(|(_, reason)| reason == self);
        formatter.write_str(name.map_or("unspecified", |(name, _)| name))
    }
}

impl FromStr for Reason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("removeFromCRL") {
            return Err(Error::refused(
                "removeFromCRL is for delta CRLs, which load balancers do not take; issue a new certificate instead",
            ));
        }
        let name = if text.eq_ignore_ascii_case("hold") {
            "certificateHold"
        } else {
            text
        };
        let known = REASONS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, reason)| *reason).ok_or_else(|| {
            let names: Vec<&str> = REASONS.iter().map(|(name, _)| *name).collect();
            Error::refused(format!("write one of {}", names.join(", ")))
        })
    }
}

/// Whether a certificate is good, apart from its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was issued and not revoked.
    Valid,
    /// It was revoked.
    Revoked {
        /// When.
        at: OffsetDateTime,
        /// Why.
        reason: Reason,
    },
}

/// One certificate that a CA has issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whether it was revoked.
    pub status: Status,
    /// The last second of its validity.
    pub expires: OffsetDateTime,
    /// Its serial.
    pub serial: Serial,
    /// Its subject in OpenSSL's one-line form.
    pub subject: String,
    /// The line as it was read, kept where it need not change.
    line: String,
}

impl Entry {
    /// The entry of a certificate that is about to be issued, or was issued elsewhere.
    pub(super) fn of(certificate: &Certificate) -> Self {
        let mut entry = Self {
            status: Status::Valid,
            expires: certificate.not_after,
            serial: certificate.serial,
            subject: one_line(certificate.subject.as_der()),
            line: String::new(),
        };
        entry.write("unknown");
        entry
    }

    /// Marks it as revoked.
    pub(super) fn revoke(&mut self, at: OffsetDateTime, reason: Reason) {
        self.status = Status::Revoked { at, reason };
        let file = self.line.split('\t').nth(4).unwrap_or("unknown").to_owned();
        self.write(&file);
    }

    /// Writes the line anew.
    fn write(&mut self, file: &str) {
        let expires = stamp(self.expires);
        let (mark, revocation) = match self.status {
            Status::Valid => ("V", String::new()),
            Status::Revoked {
                at,
                reason: Reason::Unspecified,
            } => ("R", stamp(at)),
            Status::Revoked { at, reason } => ("R", format!("{},{reason}", stamp(at))),
        };
        let (serial, subject) = (self.serial, &self.subject);
        self.line = format!("{mark}\t{expires}\t{revocation}\t{serial}\t{file}\t{subject}");
    }

    /// Reads a line.
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [mark, expires, revocation, serial, _, subject] =
            <[&str; FIELDS]>::try_from(fields).ok()?;
        let status = match mark {
            "V" | "E" => Status::Valid,
            "R" => {
                let (at, reason) = revocation
                    .split_once(',')
                    .unwrap_or((revocation, "unspecified"));
                Status::Revoked {
                    at: read_stamp(at)?,
                    reason: Reason::of_field(reason)?,
                }
            }
            _ => return None,
        };
        Some(Self {
            status,
            expires: read_stamp(expires)?,
            serial: Serial::from_hex(serial)?,
            subject: subject.to_owned(),
            line: line.to_owned(),
        })
    }
}

/// The whole database, in the order of issuing.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Reads the text of the file.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().enumerate();
        let used = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let entries = used.map(|(number, line)| {
            Entry::read(line).ok_or_else(|| {
                Error::refused_with(
                    format!("line {} is not one of the database of `openssl ca`", number + 1),
                    "restore it from a copy: without it nothing of this CA can be revoked by serial",
                )
            })
        });
        Ok(Self {
            entries: entries.collect::<Result<_>>()?,
        })
    }

    /// The text of the file.
    pub(super) fn to_text(&self) -> String {
        let lines = self.entries.iter().map(|entry| entry.line.as_str());
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// All entries.
    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Whether the serial is taken.
    pub(super) fn has(&self, serial: Serial) -> bool {
        self.entries.iter().any(|entry| entry.serial == serial)
    }

    /// The entry of a serial.
    pub(super) fn find(&mut self, serial: Serial) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.serial == serial)
    }
}

/// Writes a time as in certificates: two digits for the year until 2049, four from then on.
fn stamp(time: OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let year = match time.year() {
        year @ 1950..=2049 => format!("{:02}", year % 100),
        year => format!("{year:04}"),
    };
    let (month, day) = (u8::from(time.month()), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{year}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
}

/// Reads a time of either form.
fn read_stamp(text: &str) -> Option<OffsetDateTime> {
    let digits = text.strip_suffix('Z')?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = digits.split_at_checked(digits.len().checked_sub(10)?)?;
    let year = match (year.len(), year.parse::<i32>().ok()?) {
        (2, year @ 50..) => 1900 + year,
        (2, year) => 2000 + year,
        (4, year) => year,
        _ => return None,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let month = time::Month::try_from(number(0)?).ok()?;
    let date = Date::from_calendar_date(year, month, number(2)?).ok()?;
    let clock = Time::from_hms(number(4)?, number(6)?, number(8)?).ok()?;
    Some(PrimitiveDateTime::new(date, clock).assume_utc())
}

/// Writes a name as `X509_NAME_oneline` does: slashes, short names, the order of the DER.
fn one_line(name: &[u8]) -> String {
    let Ok((_, name)) = X509Name::from_der(name) else {
        return "/".to_owned();
    };
    let mut text = String::new();
    for attribute in name.iter_attributes() {
        let oid = attribute.attr_type();
        let short = x509_parser::objects::oid2abbrev(oid, x509_parser::objects::oid_registry());
        let short = short.map_or_else(|_| oid.to_id_string(), str::to_owned);
        text.push('/');
        text.push_str(&short);
        text.push('=');
        for octet in attribute.attr_value().data {
            match octet {
                b' '..=b'~' => text.push(char::from(*octet)),
                other => text.extend(["\\x", &format!("{other:02X}")]),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const TEXT: &str = "V\t361118000000Z\t\t0A\tunknown\t/C=JP/CN=alice\n\
        R\t20550101000000Z\t261118120000Z,keyCompromise\t0B\tissued/0B.pem\t/CN=bob\n\
        R\t300101000000Z\t260101000000Z\t0C\tunknown\t/CN=carol\n\
        R\t300101000000Z\t260101000000Z,holdInstruction,1.2.840.10040.2.2\t0D\tunknown\t/CN=dave\n\
        E\t250101000000Z\t\t0E\tunknown\t/CN=eve\n";

    #[test]
    fn what_openssl_wrote_is_read_and_kept_as_it_is() {
        let index = Index::parse(TEXT).unwrap();
        assert_eq!(index.to_text(), TEXT);
        let reasons: Vec<Status> = index.entries.iter().map(|entry| entry.status).collect();
        let revoked = |at, reason| Status::Revoked { at, reason };
        let expected = [
            Status::Valid,
            revoked(datetime!(2026-11-18 12:00 UTC), Reason::KeyCompromise),
            revoked(datetime!(2026-01-01 0:00 UTC), Reason::Unspecified),
            revoked(datetime!(2026-01-01 0:00 UTC), Reason::CertificateHold),
            Status::Valid,
        ];
        assert_eq!(reasons, expected);
        assert_eq!(index.entries[1].expires, datetime!(2055-01-01 0:00 UTC));
    }

    #[test]
    fn revoking_changes_one_line_and_keeps_its_file() {
        let mut index = Index::parse("V\t361118000000Z\t\t0A\tissued/0A.pem\t/CN=alice\n").unwrap();
        let at = datetime!(2026-11-28 1:02:03 UTC);
        let entry = index.find(Serial::from_hex("0a").unwrap()).unwrap();
        entry.revoke(at, Reason::Superseded);
        let line = "R\t361118000000Z\t261128010203Z,superseded\t0A\tissued/0A.pem\t/CN=alice\n";
        assert_eq!(index.to_text(), line);
    }

    #[test]
    fn damage_is_told_with_its_line() {
        for text in [
            "V\t1\t\t0A\tunknown\t/\n",
            "nonsense\n",
            "X\t361118000000Z\t\t0A\tu\t/\n",
        ] {
            let error = Index::parse(&format!("{TEXT}{text}")).unwrap_err();
            assert!(error.to_string().contains("line 6"), "{error}");
        }
    }

    #[test]
    fn reasons_are_those_of_rfc_5280_without_the_one_for_delta_lists() {
        assert_eq!("keycompromise".parse(), Ok(Reason::KeyCompromise));
        assert_eq!("hold".parse(), Ok(Reason::CertificateHold));
        let error = "removeFromCRL".parse::<Reason>().unwrap_err();
        assert!(error.to_string().contains("delta"));
        assert!("whim".parse::<Reason>().is_err());
    }
}
