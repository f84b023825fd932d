//! A certificate authority of the store: it issues, revokes, and lists what it has revoked.
//!
//! Whatever it issues is in its database before anybody holds it, so that a certificate that was cut
//! short by a crash can be revoked like any other.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use super::Result;
use super::alternative_name::AlternativeName;
use super::document::{Content, List, Revoked, Signer};
use super::error::Error;
use super::files::{self, Existing};
use super::index::{Entry, Index, Reason, Status};
use super::key::{Digest, KeyFile, SigningKey};
use super::request::Request;
use super::subject::Subject;
use crate::trust::{Bundle, Certificate, Crl, Hash, Serial, Severity, lint_bundle};

/// The files of a CA, relative to its directory.
pub(super) mod file {
    /// Its certificate.
    pub(crate) const CERTIFICATE: &str = "cert.pem";
    /// Its private key.
    pub(crate) const KEY: &str = "key.pem";
    /// The CAs above it, nearest first, root last.
    pub(crate) const CHAIN: &str = "chain.pem";
    /// What it has issued.
    pub(crate) const INDEX: &str = "index.txt";
    /// The number of its next revocation list, in hex.
    pub(crate) const CRL_NUMBER: &str = "crlnumber";
    /// Its latest revocation list.
    pub(crate) const CRL: &str = "crl.pem";
    /// The same in DER.
    pub(crate) const CRL_DER: &str = "crl.der";
    /// Held while one of these is written.
    pub(crate) const LOCK: &str = "lock";
    /// The certificates, each under its serial.
    pub(crate) const ISSUED: &str = "issued";
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A CA, with at most so many CAs below it.
    Authority {
        /// How many CAs may follow below; `None` does not limit them.
        path_len: Option<u8>,
    },
    /// A client of a gateway.
    Client,
    /// A server: a backend, or a listener for tests.
    Server,
}

impl Kind {
    /// How long certificates of the kind are valid unless something else is asked for, in days.
    fn default_days(self) -> u32 {
        match self {
            Self::Authority { .. } => 1825,
            Self::Client | Self::Server => 365,
        }
    }
}

/// A certificate that is to be issued.
#[derive(Debug, Clone)]
pub struct Order {
    /// For whom.
    pub subject: Subject,
    /// For which names besides.
    pub names: Vec<AlternativeName>,
    /// For what.
    pub kind: Kind,
    /// The days of its validity; `None` takes 365 (1825 for a CA), or what is left of the CA's.
    pub days: Option<u32>,
}

/// A CA that is to be made.
#[derive(Debug)]
pub struct NewAuthority {
    /// Its name in the store.
    pub name: String,
    /// Its subject.
    pub subject: Subject,
    /// Its key.
    pub key: SigningKey,
    /// The hash of its signature; `None` takes the key's own.
    pub digest: Option<Digest>,
    /// How many CAs may follow below; `None` does not limit them.
    pub path_len: Option<u8>,
    /// The days of its validity; `None` takes 3650 for a root, 1825 below one.
    pub days: Option<u32>,
}

/// What became of a revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked now.
    Done(Entry),
    /// It was before, and nothing was changed.
    Before(Entry),
}

/// A CA of the store.
#[derive(Debug)]
pub struct Authority {
    name: String,
    directory: PathBuf,
    certificate: Certificate,
    chain: Vec<Certificate>,
}

impl Authority {
    /// Opens the CA in a directory: a certificate and a key are all that has to be there.
    pub(super) fn open(name: &str, directory: PathBuf) -> Result<Self> {
        let path = directory.join(file::CERTIFICATE);
        let mut certificates = Certificate::all_from_bytes(&files::read(&path)?)
            .map_err(|error| Error::from(error).of(&path))?;
        let certificate = certificates.remove(0);
        if certificate.is_ca != Some(true) {
            return Err(Error::refused_with(
                format!("{} is no CA certificate", path.display()),
                "a CA has basicConstraints with CA:TRUE",
            ));
        }
        let path = directory.join(file::CHAIN);
        let chain = match files::read_optional(&path)? {
            Some(bytes) => {
                Certificate::all_from_bytes(&bytes).map_err(|error| Error::from(error).of(&path))?
            }
            None => certificates,
        };
        Ok(Self {
            name: name.to_owned(),
            directory,
            certificate,
            chain,
        })
    }

    /// Its name in the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The CAs above it, nearest first, root last.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// When it ends, or the first of those above it.
    pub fn ends(&self) -> OffsetDateTime {
        let above = self.chain.iter().map(|certificate| certificate.not_after);
        above.fold(self.certificate.not_after, OffsetDateTime::min)
    }

    /// The file of its latest revocation list.
    pub fn crl_file(&self) -> PathBuf {
        self.directory.join(file::CRL)
    }

    /// What a client has to send after its own certificate: this CA and those above it, no root.
    pub fn intermediates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.certificate)
            .chain(&self.chain)
            .filter(|certificate| !certificate.is_self_issued())
    }

    /// How many certificates the chain of a client of this CA has, the client's and the root included.
    pub fn client_chain_length(&self) -> usize {
        let highest = self.chain.last().unwrap_or(&self.certificate);
        let unknown_root = usize::from(!highest.is_self_issued());
        2 + self.chain.len() + unknown_root
    }

    /// Reads its private key.
    ///
    /// # Errors
    ///
    /// The key cannot be read, or is of another certificate.
    pub fn key<E: From<Error>>(
        &self,
        ask: impl FnOnce() -> Result<zeroize::Zeroizing<String>, E>,
    ) -> Result<SigningKey, E> {
        let path = self.directory.join(file::KEY);
        let bytes = zeroize::Zeroizing::new(files::read(&path)?);
        let key = KeyFile::from_bytes(&bytes).map_err(|error| error.of(&path))?;
        let key = key.unlock(ask)?;
        if key.public_key() != self.certificate.public_key {
            let message = format!(
                "the key of CA `{}` does not belong to its certificate",
                self.name
            );
            return Err(Error::refused(message).into());
        }
        Ok(key)
    }

    /// What it has issued, in that order.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        self.read_index().map(Index::into_entries)
    }

    /// The certificate of a serial, if its file is there.
    pub fn issued(&self, serial: Serial) -> Option<Certificate> {
        let path = self.issued_file(serial);
        Certificate::all_from_bytes(&fs::read(path).ok()?)
            .ok()?
            .into_iter()
            .next()
    }

    /// Issues a certificate for a key: records it, signs it, and keeps a copy.
    ///
    /// # Errors
    ///
    /// It would outlive the CA, is not for this CA to issue, or cannot be recorded.
    pub fn issue(
        &self,
        order: &Order,
        public_key: &[u8],
        key: &SigningKey,
        now: OffsetDateTime,
    ) -> Result<Certificate> {
        refuse_nameless(order)?;
        self.refuse_too_deep(order.kind)?;
        let not_after = self.not_after(order, now)?;
        let _lock = self.lock()?;
        let mut index = self.read_index()?;
        let serial = free_serial(&index)?;
        let content = Content {
            serial,
            subject: order.subject.as_der(),
            names: &order.names,
            public_key,
            kind: order.kind,
            not_before: now,
            not_after,
        };
        let der = self.signer(key)?.certificate(&content)?;
        let certificate = Certificate::from_der(&der)?;
        if let Kind::Authority { .. } = order.kind {
            refuse_bad_authority(&certificate, now)?;
        }
        index.add(Entry::of(&certificate));
        self.write_index(&index)?;
        files::make_directory(&self.directory.join(file::ISSUED))?;
        let copy = self.issued_file(serial);
        files::write_public(&copy, certificate.pem().as_bytes(), Existing::Replace)?;
        Ok(certificate)
    }

    /// Signs somebody's request.
    ///
    /// # Errors
    ///
    /// As for [`Self::issue`].
    pub fn sign(
        &self,
        request: &Request,
        order: &Order,
        key: &SigningKey,
        now: OffsetDateTime,
    ) -> Result<Certificate> {
        self.issue(order, &request.public_key, key, now)
    }

    /// Revokes a certificate of this CA, also one that it issued before its database was kept here.
    ///
    /// # Errors
    ///
    /// It was not issued by this CA, its serial is negative, or the revocation cannot be recorded.
    pub fn revoke_certificate(
        &self,
        certificate: &Certificate,
        reason: Reason,
        now: OffsetDateTime,
    ) -> Result<Revocation> {
        if !certificate.is_issued_by(&self.certificate) {
            return Err(Error::refused_with(
                format!(
                    "the certificate of {} was not issued by CA `{}`, but by {}",
                    certificate.subject, self.name, certificate.issuer
                ),
                "name the CA that issued it with --ca",
            ));
        }
        if certificate.serial.is_negative() {
            // The database has no signs: the certificate with the positive serial would be revoked.
            return Err(Error::refused_with(
                format!(
                    "the certificate of {} has a negative serial, which no load balancer can revoke",
                    certificate.subject
                ),
                "only a trust store without the CA keeps it out; issue the others anew below another CA",
            ));
        }
        self.revoke_entry(certificate.serial, Some(certificate), reason, now)
    }

    /// Revokes by serial what is in the database.
    ///
    /// # Errors
    ///
    /// The serial is not in the database, or the revocation cannot be recorded.
    pub fn revoke_serial(
        &self,
        serial: Serial,
        reason: Reason,
        now: OffsetDateTime,
    ) -> Result<Revocation> {
        self.revoke_entry(serial, None, reason, now)
    }

    /// Signs the next revocation list and puts it into the directory, as PEM and DER.
    ///
    /// # Errors
    ///
    /// It cannot be signed or written.
    pub fn crl(
        &self,
        key: &SigningKey,
        validity: Duration,
        this_update: OffsetDateTime,
    ) -> Result<Crl> {
        let next_update = this_update
            .checked_add(validity)
            .ok_or_else(|| Error::refused("the CRL would be valid for too long"))?;
        let _lock = self.lock()?;
        let number = self.next_crl_number()?;
        let revoked = self.read_index()?.into_entries().into_iter();
        let revoked = revoked.filter_map(|entry| match entry.status {
            Status::Revoked { at, reason } => Some(Revoked {
                serial: entry.serial,
                at,
                reason: reason.code(),
            }),
            Status::Valid => None,
        });
        let list = List {
            number,
            this_update,
            next_update,
            revoked: revoked.collect(),
        };
        let crl = Crl::from_der(&self.signer(key)?.list(list)?)?;
        // First the number: none is ever used twice, whatever happens in between.
        let next = format!("{}\n", successor(Some(number))?);
        let path = self.directory.join(file::CRL_NUMBER);
        files::write_public(&path, next.as_bytes(), Existing::Replace)?;
        files::write_public(
            &self.directory.join(file::CRL_DER),
            &crl.der,
            Existing::Replace,
        )?;
        files::write_public(&self.crl_file(), crl.pem().as_bytes(), Existing::Replace)?;
        Ok(crl)
    }

    /// Revokes an entry, which is made first for a certificate that has none.
    fn revoke_entry(
        &self,
        serial: Serial,
        certificate: Option<&Certificate>,
        reason: Reason,
        now: OffsetDateTime,
    ) -> Result<Revocation> {
        let _lock = self.lock()?;
        let mut index = self.read_index()?;
        if let Some(certificate) = certificate.filter(|_| !index.has(serial)) {
            index.add(Entry::of(certificate));
        }
        let Some(entry) = index.find(serial) else {
            return Err(Error::refused_with(
                format!(
                    "CA `{}` has issued nothing with the serial {serial}",
                    self.name
                ),
                "`mtlsgw pki list` shows what it has issued; something older is revoked by its certificate's file",
            ));
        };
        match entry.status {
            // Who is on hold may be revoked for good, or for another reason.
            Status::Revoked { reason: before, .. }
                if before != Reason::CertificateHold || reason == before =>
            {
                return Ok(Revocation::Before(entry.clone()));
            }
            Status::Revoked { .. } | Status::Valid => entry.revoke(now, reason),
        }
        let entry = entry.clone();
        self.write_index(&index)?;
        Ok(Revocation::Done(entry))
    }

    /// Everything that signing needs to know of this CA.
    pub(super) fn signer<'a>(&'a self, key: &'a SigningKey) -> Result<Signer<'a>> {
        // An RSA CA goes on with the hash it began with; the others have no choice.
        let digest = match self.certificate.signature_algorithm.hash {
            Hash::Sha384 if key.is_rsa() => Some(Digest::Sha384),
            Hash::Sha512 if key.is_rsa() => Some(Digest::Sha512),
            _ => None,
        };
        Ok(Signer {
            name: self.certificate.subject.as_der(),
            key,
            digest,
            key_identifier: subject_key_identifier(&self.certificate)?,
        })
    }

    /// The end of a new certificate: never after that of any CA it depends on.
    fn not_after(&self, order: &Order, now: OffsetDateTime) -> Result<OffsetDateTime> {
        let last = self.ends();
        if last <= now {
            return Err(Error::refused_with(
                format!("CA `{}` has expired on {}", self.name, last.date()),
                "make a new one with `mtlsgw pki ca`",
            ));
        }
        let days = order.days.unwrap_or_else(|| order.kind.default_days());
        let wanted = after(now, days)?;
        if order.days.is_some() && wanted > last {
            return Err(Error::refused_with(
                format!(
                    "a certificate of {days} days would outlive CA `{}`, which ends on {}",
                    self.name,
                    last.date()
                ),
                format!("at most {} days are left", (last - now).whole_days()),
            ));
        }
        Ok(wanted.min(last))
    }

    /// A CA below must be allowed by this one's path length, and by that of every CA above.
    fn refuse_too_deep(&self, kind: Kind) -> Result<()> {
        let Kind::Authority { .. } = kind else {
            return Ok(());
        };
        let above = std::iter::once(&self.certificate).chain(&self.chain);
        for (below, certificate) in (0_u32..).zip(above) {
            if certificate.path_len.is_some_and(|allowed| allowed <= below) {
                return Err(Error::refused_with(
                    format!(
                        "{} allows {below} CAs below it, and no more",
                        certificate.subject
                    ),
                    "make the root with a larger --path-length",
                ));
            }
        }
        Ok(())
    }

    /// Waits until nobody else writes.
    fn lock(&self) -> Result<File> {
        let path = self.directory.join(file::LOCK);
        let failed = |error: std::io::Error| Error::file("lock", &path, &error);
        let lock = File::create(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(lock)
    }

    /// Reads the database; without a file it is empty.
    fn read_index(&self) -> Result<Index> {
        let path = self.directory.join(file::INDEX);
        let bytes = files::read_optional(&path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        Index::parse(&text).map_err(|error| error.of(&path))
    }

    /// Writes the database.
    fn write_index(&self, index: &Index) -> Result<()> {
        let path = self.directory.join(file::INDEX);
        files::write_public(&path, index.to_text().as_bytes(), Existing::Replace)
    }

    /// The number that the next revocation list gets: one more than any before.
    fn next_crl_number(&self) -> Result<Serial> {
        let path = self.directory.join(file::CRL_NUMBER);
        let kept = match files::read_optional(&path)? {
            Some(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                Serial::from_hex(text.trim()).ok_or_else(|| {
                    Error::refused_with(
                        format!("{} does not hold a number in hex", path.display()),
                        "write a number into it that is larger than that of the latest CRL",
                    )
                })?
            }
            None => successor(None)?,
        };
        let latest = files::read_optional(&self.crl_file())?
            .and_then(|bytes| Crl::all_from_bytes(&bytes).ok())
            .and_then(|crls| crls.into_iter().filter_map(|crl| crl.number).max());
        match latest {
            Some(latest) => Ok(kept.max(successor(Some(latest))?)),
            None => Ok(kept),
        }
    }

    /// The copy of a certificate.
    /// Where the copy of an issued certificate is.
    pub fn issued_file(&self, serial: Serial) -> PathBuf {
        self.directory
            .join(file::ISSUED)
            .join(format!("{serial}.pem"))
    }
}

/// Signs a root with its own key.
pub(super) fn self_signed(new: &NewAuthority, now: OffsetDateTime) -> Result<Certificate> {
    let signer = Signer {
        name: new.subject.as_der(),
        key: &new.key,
        digest: new.digest,
        key_identifier: None,
    };
    let der = signer.certificate(&Content {
        serial: random_serial()?,
        subject: new.subject.as_der(),
        names: &[],
        public_key: new.key.public_key(),
        kind: Kind::Authority {
            path_len: new.path_len,
        },
        not_before: now,
        not_after: after(now, new.days.unwrap_or(3650))?,
    })?;
    let certificate = Certificate::from_der(&der)?;
    refuse_bad_authority(&certificate, now)?;
    Ok(certificate)
}

/// Refuses a CA certificate that no trust store would take.
pub(super) fn refuse_bad_authority(certificate: &Certificate, now: OffsetDateTime) -> Result<()> {
    let bundle: Bundle = std::iter::once(certificate.clone()).collect();
    let findings = lint_bundle(&bundle, now);
    match findings
        .into_iter()
        .find(|finding| finding.severity == Severity::Error)
    {
        Some(finding) => Err(Error::refused_with(
            format!(
                "no load balancer would trust {}: {}",
                certificate.subject, finding.message
            ),
            finding.fix,
        )),
        None => Ok(()),
    }
}

/// Clients are logged by their subject, and servers are known by their names.
fn refuse_nameless(order: &Order) -> Result<()> {
    match order.kind {
        Kind::Server if order.names.is_empty() => Err(Error::refused_with(
            "a server certificate needs the names of the server: clients look at nothing else",
            "add --san dns:api.example.com, for each name",
        )),
        Kind::Client | Kind::Authority { .. } if order.subject.is_empty() => {
            Err(Error::refused_with(
                "the subject is empty",
                "give one with --subject \"CN=alice,O=Example\"",
            ))
        }
        _ => Ok(()),
    }
}

/// The subject key identifier, by which certificates below refer to this one.
fn subject_key_identifier(certificate: &Certificate) -> Result<Option<Vec<u8>>> {
    use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(&certificate.der)
        .map_err(|_| Error::refused("the CA's certificate is damaged"))?;
    let identifier =
        parsed
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
                _ => None,
            });
    Ok(identifier)
}

/// The end of so many days.
fn after(now: OffsetDateTime, days: u32) -> Result<OffsetDateTime> {
    if days == 0 {
        return Err(Error::refused("a validity of 0 days is none"));
    }
    now.checked_add(Duration::days(i64::from(days)))
        .ok_or_else(|| Error::refused(format!("{days} days lead beyond the year 9999")))
}

/// A serial that this CA has not used.
fn free_serial(index: &Index) -> Result<Serial> {
    loop {
        let serial = random_serial()?;
        if !index.has(serial) {
            return Ok(serial);
        }
    }
}

/// 126 random bits below a set one: always positive, always of 16 octets.
pub(super) fn random_serial() -> Result<Serial> {
    let mut octets = [0; 17];
    aws_lc_rs::rand::fill(&mut octets[1..]).map_err(|_| Error::Crypto("make a serial"))?;
    octets[1] = octets[1] & 0x7f | 0x40;
    Serial::from_der_content(&octets).ok_or(Error::Crypto("make a serial"))
}

/// Adds one to a number; RFC 5280, section 5.2.3, allows it 20 octets.
fn successor(number: Option<Serial>) -> Result<Serial> {
    let number = number.as_ref().map_or(&[][..], Serial::as_bytes);
    let mut octets: Vec<u8> = [&[0, 0], number].concat();
    for octet in octets.iter_mut().rev() {
        *octet = octet.wrapping_add(1);
        if *octet != 0 {
            break;
        }
    }
    Serial::from_der_content(&octets)
        .filter(|next| next.as_bytes().len() < 20)
        .ok_or_else(|| Error::refused("the number of the CRL is too large to be increased"))
}

#[cfg(test)]
mod tests {
    use der::Decode;
    use time::macros::datetime;
    use x509_cert::crl::CertificateList;

    use super::*;
    use crate::pki::{KeyKind, Store};

    const NOW: OffsetDateTime = datetime!(2026-11-28 12:00 UTC);

    /// A root in a directory of its own, with its key.
    fn root(days: u32) -> (tempfile::TempDir, Authority, SigningKey) {
        let directory = tempfile::tempdir().unwrap();
        let new = NewAuthority {
            name: "root".to_owned(),
            subject: "CN=Root,OU=B,OU=A,DC=example,DC=com".parse().unwrap(),
            key: SigningKey::generate(KeyKind::default()).unwrap(),
            digest: None,
            path_len: None,
            days: Some(days),
        };
        let store = Store::new(directory.path());
        let root = store.create_root(&new, None, NOW).unwrap();
        (directory, root, new.key)
    }

    fn client(root: &Authority, key: &SigningKey, days: Option<u32>) -> Result<Certificate> {
        let order = Order {
            subject: Subject::common_name("alice").unwrap(),
            names: Vec::new(),
            kind: Kind::Client,
            days,
        };
        root.issue(&order, key.public_key(), key, NOW)
    }

    #[test]
    fn lists_are_in_the_order_of_serials() {
        let (_directory, root, key) = root(3650);
        for _ in 0..8 {
            let certificate = client(&root, &key, None).unwrap();
            root.revoke_certificate(&certificate, Reason::Superseded, NOW)
                .unwrap();
        }
        let crl = root.crl(&key, Duration::days(30), NOW).unwrap();
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&crl.der).unwrap();
        let revoked = list.tbs_cert_list.revoked_certificates.unwrap();
        let serials: Vec<&[u8]> = revoked
            .iter()
            .map(|entry| entry.serial_number.as_bytes())
            .collect();
        assert_eq!(serials.len(), 8);
        assert!(serials.is_sorted());
        assert!(crl.is_issued_by(root.certificate()));
    }

    #[test]
    fn serials_longer_than_rfc_5280_allows_are_listed_like_others() {
        let (directory, root, key) = root(3650);
        let long = ["80".repeat(20), "ff".repeat(20), "12".repeat(31)];
        let line = |serial| format!("R\t361118000000Z\t261118120000Z\t{serial}\tunknown\t/CN=a\n");
        let text: String = long.iter().map(line).collect();
        fs::write(directory.path().join("root").join(file::INDEX), text).unwrap();
        let crl = root.crl(&key, Duration::days(30), NOW).unwrap();
        let serials: Vec<Option<Serial>> = crl.serials.iter().copied().map(Some).collect();
        let expected = long.map(|serial| Serial::from_hex(&serial));
        assert_eq!(serials, expected);
    }

    #[test]
    fn a_negative_serial_is_not_revoked_as_the_positive_one() {
        let directory = tempfile::tempdir().unwrap();
        let ca = crate::trust::fixtures::Authority::new("Root");
        let path = directory.path().join(file::CERTIFICATE);
        fs::write(path, ca.certificate().pem()).unwrap();
        let root = Authority::open("root", directory.path().to_owned()).unwrap();
        let negative = ca.reissue(&ca.client(0x12), &[2, 1, 0x12], &[2, 1, 0x92]);
        assert!(negative.serial.is_negative());
        let error = root.revoke_certificate(&negative, Reason::Superseded, NOW);
        assert!(error.unwrap_err().to_string().contains("negative serial"));
        assert!(root.entries().unwrap().is_empty());
    }

    #[test]
    fn the_name_of_the_issuer_is_copied_as_it_is_encoded() {
        let (_directory, root, key) = root(3650);
        let certificate = client(&root, &key, None).unwrap();
        let (own, copied) = (&root.certificate().subject, &certificate.issuer);
        assert_eq!(own.as_der(), copied.as_der());
        assert_eq!(own.as_str(), "CN=Root,OU=B,OU=A,DC=example,DC=com");
    }

    #[test]
    fn dates_from_2050_on_have_four_digits_for_the_year() {
        let (_directory, root, key) = root(20_000);
        let certificate = client(&root, &key, Some(19_000)).unwrap();
        assert_eq!(certificate.not_before, NOW);
        assert_eq!(certificate.not_after, NOW + Duration::days(19_000));
        let entry = root.entries().unwrap().remove(0);
        assert_eq!(entry.expires, certificate.not_after);
    }

    #[test]
    fn an_expired_ca_issues_nothing() {
        let (_directory, root, key) = root(10);
        let order = Order {
            subject: Subject::common_name("alice").unwrap(),
            names: Vec::new(),
            kind: Kind::Client,
            days: None,
        };
        let later = NOW + Duration::days(11);
        let error = root.issue(&order, key.public_key(), &key, later);
        assert!(error.unwrap_err().to_string().contains("has expired"));
        assert!(root.entries().unwrap().is_empty());
    }

    #[test]
    fn numbers_grow_beyond_an_octet_and_end_at_twenty() {
        let next = |text: &str| successor(Serial::from_hex(text));
        assert_eq!(next("ff").unwrap().to_string(), "0100");
        assert_eq!(next("7fff").unwrap().to_string(), "8000");
        assert!(next(&"f".repeat(38)).is_err());
    }
}
