//! Who of the clients that one knows gets in before and after a change of trust.

use std::path::Path;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::bundle::Bundle;
use super::certificate::Certificate;
use super::check::{CheckOptions, Reason, Trusted, check_client};
use super::crl::Crl;
use super::digest::Sha256Digest;
use super::error::{Error, Wanted};

/// The endings of files in a directory that are taken for certificates.
const ENDINGS: [&str; 4] = ["pem", "crt", "cer", "der"];

/// What else such files hold, by PEM label, besides private keys.
const OTHERS: [&str; 6] = [
    "CERTIFICATE REQUEST",
    "NEW CERTIFICATE REQUEST",
    "X509 CRL",
    "PUBLIC KEY",
    "EC PARAMETERS",
    "DH PARAMETERS",
];

/// A client that one knows, by its certificate.
#[derive(Clone, Debug)]
pub struct KnownClient {
    /// The file that holds the certificate.
    pub file: String,
    /// The certificate.
    pub certificate: Certificate,
    /// The CA certificates of the same file, which the client is taken to send along.
    pub sent: Vec<Certificate>,
    /// How it was seen in the connection logs; `None` where they were not asked or do not tell.
    pub seen: Option<Seen>,
}

/// That a client was let in, by the connection logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// How often.
    pub connections: u64,
    /// When last.
    #[serde(serialize_with = "moment")]
    pub last_seen: OffsetDateTime,
}

/// Writes a moment as RFC 3339 does.
fn moment<S: Serializer>(moment: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&moment.format(&Rfc3339).unwrap_or_default())
}

/// A client that was let in and whose certificate is not at hand: the log does not tell its issuer,
/// so nobody can say what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssuerUnknown {
    /// Its subject as the log writes it.
    pub subject: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// How it was seen.
    pub seen: Seen,
}

impl KnownClient {
    /// Reads the clients of a file, or of the certificate files in a directory, sorted by name.
    ///
    /// In a directory, files of other things are passed over: private keys, requests and CRLs.
    ///
    /// # Errors
    ///
    /// A file or directory that cannot be read, or that holds no client certificate at all: a
    /// client that is left out is one that nobody is told of.
    pub fn all_at(path: &Path) -> Result<Vec<Self>, Error> {
        let clients = if path.is_dir() {
            let files = certificate_files(path).map_err(|error| unreadable(path, &error))?;
            let read = files.iter().map(|file| Self::all_if_any(file));
            let read: Vec<Vec<Self>> = read.collect::<Result<_, _>>()?;
            read.into_iter().flatten().collect()
        } else {
            Self::all_in(path)?
        };
        if clients.is_empty() {
            let wanted = Wanted::Certificate;
            return Err(Error::Empty { wanted }.named(path.display().to_string()));
        }
        Ok(clients)
    }

    /// Reads the clients of one file; none if it is of something else.
    fn all_if_any(path: &Path) -> Result<Vec<Self>, Error> {
        let bytes = read(path)?;
        match Self::of(path, &bytes) {
            Err(Error::In { error, .. }) if is_of_something_else(&error, &bytes) => Ok(Vec::new()),
            other => other,
        }
    }

    /// Reads the clients of one file.
    fn all_in(path: &Path) -> Result<Vec<Self>, Error> {
        Self::of(path, &read(path)?)
    }

    fn of(path: &Path, bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let name = path.display().to_string();
        let all = Certificate::all_from_bytes(bytes).map_err(|error| error.named(&name))?;
        let is_ca = |one: &Certificate| one.is_ca == Some(true);
        let (sent, clients): (Vec<_>, Vec<_>) = all.into_iter().partition(is_ca);
        let known = |certificate| Self {
            file: name.clone(),
            certificate,
            sent: sent.clone(),
            seen: None,
        };
        Ok(clients.into_iter().map(known).collect())
    }
}

/// Lists the files of a directory that may hold certificates.
fn certificate_files(directory: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let fits = |ending: std::ffi::OsString| ENDINGS.iter().any(|one| ending == *one);
        if ending.is_some_and(fits) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Says whether a file is of other things than certificates, by what reading it as one gave.
///
/// One that holds a certificate beside its key is not: that client counts, and has to be read.
fn is_of_something_else(error: &Error, bytes: &[u8]) -> bool {
    const LABEL: &[u8] = b"CERTIFICATE-----";
    let other = match error {
        Error::PrivateKey { .. } | Error::EncryptedKey { .. } => true,
        Error::Unexpected { label, .. } => OTHERS.contains(&label.as_str()),
        _ => false,
    };
    other && !bytes.windows(LABEL.len()).any(|window| window == LABEL)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let reason = error.to_string();
    Error::Unreadable { reason }.named(path.display().to_string())
}

/// By what a gateway lets clients in.
#[derive(Clone, Debug)]
pub enum Gate {
    /// There is none, so that nobody gets in.
    Absent,
    /// It verifies nobody, so that everybody gets in.
    Open,
    /// It verifies.
    Verifies {
        /// The CAs that it trusts.
        bundle: Bundle,
        /// Their CRLs.
        crls: Vec<Crl>,
        /// Whether it lets clients in that have expired.
        ignore_client_certificate_expiry: bool,
    },
}

impl Gate {
    /// Says whether it lets a client in, and else why not.
    fn judges(&self, client: &KnownClient, now: OffsetDateTime) -> Judgement {
        match self {
            Self::Absent => Judgement::Refused(None),
            Self::Open => Judgement::Accepted,
            Self::Verifies {
                bundle,
                crls,
                ignore_client_certificate_expiry,
            } => {
                let options = CheckOptions {
                    ignore_client_certificate_expiry: *ignore_client_certificate_expiry,
                    ..CheckOptions::at(now)
                };
                let trusted = Trusted { bundle, crls };
                let verdict = check_client(&client.certificate, &client.sent, trusted, &options);
                match verdict.reason() {
                    None => Judgement::Accepted,
                    reason => Judgement::Refused(reason),
                }
            }
        }
    }
}

/// Whether a client gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Accepted,
    Refused(Option<Reason>),
}

/// A client for whom a change makes a difference.
#[derive(Clone, Debug, Serialize)]
pub struct Affected {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// The SHA-256 of its certificate.
    pub fingerprint: Sha256Digest,
    /// The file it was read from.
    pub file: String,
    /// Why it is refused after the change; `None` when it is let in, or nobody is any more.
    pub reason: Option<Reason>,
    /// How it was seen in the connection logs, where these were asked.
    pub seen: Option<Seen>,
}

impl Affected {
    fn new(client: &KnownClient, reason: Option<Reason>) -> Self {
        let certificate = &client.certificate;
        Self {
            subject: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            serial: certificate.serial.to_string(),
            fingerprint: certificate.fingerprint,
            file: client.file.clone(),
            reason,
            seen: client.seen,
        }
    }
}

/// What a change of trust means for the clients that one knows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lockout {
    /// How many clients are known.
    pub known: usize,
    /// How many of them get in after the change.
    pub accepted: usize,
    /// Those that got in before, and do not after it, although nobody revoked them.
    pub locked_out: Vec<Affected>,
    /// Those that got in before and are revoked by the change.
    pub revoked: Vec<Affected>,
    /// Those that did not get in before, and do after it.
    pub let_in: Vec<Affected>,
    /// Those that were seen in the connection logs and are not known.
    pub issuer_unknown: Vec<IssuerUnknown>,
}

impl Lockout {
    /// Judges every client before and after a change, as of now.
    pub fn of(clients: &[KnownClient], before: &Gate, after: &Gate, now: OffsetDateTime) -> Self {
        let mut lockout = Self {
            known: clients.len(),
            ..Self::default()
        };
        for client in clients {
            match (before.judges(client, now), after.judges(client, now)) {
                (Judgement::Accepted, Judgement::Refused(reason)) => {
                    let affected = Affected::new(client, reason);
                    if reason == Some(Reason::CrlHit) {
                        lockout.revoked.push(affected);
                    } else {
                        lockout.locked_out.push(affected);
                    }
                }
                (before, Judgement::Accepted) => {
                    lockout.accepted += 1;
                    if before != Judgement::Accepted && !matches!(before, Judgement::Refused(None))
                    {
                        lockout.let_in.push(Affected::new(client, None));
                    }
                }
                (Judgement::Refused(_), Judgement::Refused(_)) => {}
            }
        }
        lockout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::{Authority, NOW};

    fn client(authority: &Authority, serial: u8) -> KnownClient {
        KnownClient {
            file: format!("{serial}.pem"),
            certificate: authority.client(serial),
            sent: Vec::new(),
            seen: None,
        }
    }

    fn gate(authorities: &[&Authority], crls: Vec<Crl>) -> Gate {
        Gate::Verifies {
            bundle: authorities.iter().map(|one| one.certificate()).collect(),
            crls,
            ignore_client_certificate_expiry: false,
        }
    }

    #[test]
    fn clients_of_a_removed_ca_are_locked_out_and_revoked_ones_are_not_counted_as_such() {
        let (old, new) = (Authority::new("Old"), Authority::new("New"));
        let clients = [client(&old, 1), client(&new, 2), client(&new, 3)];
        let before = gate(&[&old, &new], vec![]);
        let after = gate(&[&new], vec![new.crl(&[3])]);
        let lockout = Lockout::of(&clients, &before, &after, NOW);
        let files =
            |of: &[Affected]| -> Vec<String> { of.iter().map(|one| one.file.clone()).collect() };
        assert_eq!(files(&lockout.locked_out), ["1.pem"]);
        assert_eq!(lockout.locked_out[0].reason, Some(Reason::Untrusted));
        assert_eq!(files(&lockout.revoked), ["3.pem"]);
        assert_eq!((lockout.known, lockout.accepted), (3, 1));
        let back = Lockout::of(&clients, &after, &before, NOW);
        assert_eq!(files(&back.let_in), ["1.pem", "3.pem"]);
    }

    #[test]
    fn switching_verification_on_locks_out_whom_it_does_not_know() {
        let (known, other) = (Authority::new("Known"), Authority::new("Other"));
        let clients = [client(&known, 1), client(&other, 2)];
        let on = gate(&[&known], vec![]);
        assert_eq!(
            Lockout::of(&clients, &Gate::Open, &on, NOW)
                .locked_out
                .len(),
            1
        );
        let first = Lockout::of(&clients, &Gate::Absent, &on, NOW);
        assert!(first.locked_out.is_empty() && first.let_in.is_empty());
        assert_eq!(first.accepted, 1);
    }

    #[test]
    fn a_directory_gives_its_certificates_and_passes_over_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let root = Authority::new("Root");
        let write = |name: &str, content: String| {
            std::fs::write(directory.path().join(name), content).unwrap();
        };
        write("b.pem", root.client(1).pem() + &root.certificate().pem());
        write("a.crt", root.client(2).pem());
        write("key.pem", root.key_pem());
        let request =
            "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n";
        write("request.pem", request.to_owned());
        std::fs::write(directory.path().join("root.der"), root.crl(&[1]).der).unwrap();
        write("notes.txt", root.client(3).pem());
        let clients = KnownClient::all_at(directory.path()).unwrap();
        let serials: Vec<_> = clients
            .iter()
            .map(|one| one.certificate.serial.to_string())
            .collect();
        assert_eq!(serials, ["02", "01"]);
        assert_eq!(clients[1].sent, [root.certificate()]);
        // Clients that cannot be read are told, not left out.
        let both = root.client(4).pem() + &root.key_pem();
        let damaged = root.client(5).pem().replace("MII", "M!I");
        for (content, complaint) in [(both, "private key"), (damaged, "damaged")] {
            write("c.pem", content);
            let error = KnownClient::all_at(directory.path())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("c.pem") && error.contains(complaint),
                "{error}"
            );
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(KnownClient::all_at(empty.path()).is_err());
        assert!(KnownClient::all_at(&directory.path().join("key.pem")).is_err());
    }
}
