//! Credentials that live in memory only: a certificate chain and its key, for one process's probes.
//!
//! What is made here is recorded nowhere, because it is of no use to anybody: its CA is unknown, or it
//! is expired, or for another purpose than a client's.

use std::fmt;

use time::{Duration, OffsetDateTime};

use super::Result;
use super::authority::{Authority, Kind, random_serial};
use super::document::{Content, Signer};
use super::error::Error;
use super::key::{KeyKind, SigningKey};
use super::subject::Subject;
use crate::trust::Certificate;

/// The subject of every certificate that is made here.
const SUBJECT: &str = "mtlsgw verify";

/// A certificate with those that are sent along, and its key.
pub struct Credential {
    certificates: Vec<Certificate>,
    key: SigningKey,
}

impl Credential {
    /// Takes a chain, the client's own certificate first, and its key.
    ///
    /// # Errors
    ///
    /// There is no certificate, or the key is of another one.
    pub fn new(certificates: Vec<Certificate>, key: SigningKey) -> Result<Self> {
        let Some(first) = certificates.first() else {
            return Err(Error::refused("there is no certificate"));
        };
        if first.public_key != key.public_key() {
            return Err(Error::refused_with(
                format!(
                    "the key is not that of the certificate of {}",
                    first.subject
                ),
                "name the two files that were made together; the client's own certificate comes first",
            ));
        }
        Ok(Self { certificates, key })
    }

    /// A good client certificate of a CA that is made for it, is sent along, and nobody knows: with
    /// a name of its own, or with the name of a CA that it pretends to be.
    ///
    /// # Errors
    ///
    /// The machine has no randomness to give.
    pub fn of_unknown(pretends: Option<&Certificate>, now: OffsetDateTime) -> Result<Self> {
        let name = match pretends {
            Some(certificate) => certificate.subject.as_der().to_vec(),
            None => Subject::common_name("mtlsgw verify unknown CA")?
                .as_der()
                .to_vec(),
        };
        let authority_key = SigningKey::generate(KeyKind::default())?;
        let signer = Signer {
            name: &name,
            key: &authority_key,
            digest: None,
            key_identifier: None,
        };
        let validity = (now - Duration::hours(1), now + Duration::hours(1));
        let kind = Kind::Authority { path_len: Some(0) };
        let authority = certificate(&signer, (&name, authority_key.public_key()), kind, validity)?;
        Self::signed(&signer, vec![authority], Kind::Client, validity)
    }

    /// A certificate of a CA of the store, with those between it and its root.
    ///
    /// # Errors
    ///
    /// The machine has no randomness to give, or a date is out of range.
    pub fn below(
        authority: &Authority,
        key: &SigningKey,
        kind: Kind,
        validity: (OffsetDateTime, OffsetDateTime),
    ) -> Result<Self> {
        let above = authority.intermediates().cloned().collect();
        Self::signed(&authority.signer(key)?, above, kind, validity)
    }

    fn signed(
        signer: &Signer<'_>,
        above: Vec<Certificate>,
        kind: Kind,
        validity: (OffsetDateTime, OffsetDateTime),
    ) -> Result<Self> {
        let key = SigningKey::generate(KeyKind::default())?;
        let subject = Subject::common_name(SUBJECT)?;
        let of = (subject.as_der(), key.public_key());
        let own = certificate(signer, of, kind, validity)?;
        let certificates = std::iter::once(own).chain(above).collect();
        Ok(Self { certificates, key })
    }

    /// The chain, the client's own certificate first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The client's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificates[0]
    }

    /// The key as unencrypted PKCS#8, for a TLS library and nothing else.
    pub fn expose_key(&self) -> &[u8] {
        self.key.expose_pkcs8()
    }
}

/// Writes whose it is, never the key.
impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credential({})", self.certificate().subject)
    }
}

fn certificate(
    signer: &Signer<'_>,
    (subject, public_key): (&[u8], &[u8]),
    kind: Kind,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<Certificate> {
    let der = signer.certificate(&Content {
        serial: random_serial()?,
        subject,
        names: &[],
        public_key,
        kind,
        not_before,
        not_after,
    })?;
    Ok(Certificate::from_der(&der)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{NewAuthority, Store};
    use crate::trust::{Bundle, CheckOptions, Reason, Trusted, check_client};

    fn root(directory: &std::path::Path) -> (Authority, SigningKey) {
        let new = NewAuthority {
            name: "root".to_owned(),
            subject: Subject::common_name("Root").unwrap(),
            key: SigningKey::generate(KeyKind::default()).unwrap(),
            digest: None,
            path_len: Some(0),
            days: None,
        };
        let store = Store::new(directory);
        let root = store
            .create_root(&new, None, OffsetDateTime::now_utc())
            .unwrap();
        (root, new.key)
    }

    /// Why a trust store with this CA refuses the credential.
    fn reason(credential: &Credential, root: &Authority) -> Option<Reason> {
        let bundle: Bundle = std::iter::once(root.certificate().clone()).collect();
        let trusted = Trusted {
            bundle: &bundle,
            crls: &[],
        };
        let options = CheckOptions::at(OffsetDateTime::now_utc());
        let (own, sent) = credential.certificates().split_first().unwrap();
        check_client(own, sent, trusted, &options).reason()
    }

    #[test]
    fn each_is_refused_for_the_reason_it_was_made_for() {
        let directory = tempfile::tempdir().unwrap();
        let (root, key) = root(directory.path());
        let now = OffsetDateTime::now_utc();
        let (hour, day) = (Duration::hours(1), Duration::days(1));
        let unknown = Credential::of_unknown(None, now).unwrap();
        assert_eq!(reason(&unknown, &root), Some(Reason::Untrusted));
        let lookalike = Credential::of_unknown(Some(root.certificate()), now).unwrap();
        assert_eq!(lookalike.certificate().issuer, root.certificate().subject);
        assert_eq!(reason(&lookalike, &root), Some(Reason::Untrusted));
        let made = |kind, validity| Credential::below(&root, &key, kind, validity).unwrap();
        let expired = made(Kind::Client, (now - day * 2, now - day));
        assert_eq!(reason(&expired, &root), Some(Reason::Expired));
        let server = made(Kind::Server, (now - hour, now + hour));
        assert_eq!(reason(&server, &root), Some(Reason::PurposeInvalid));
    }

    #[test]
    fn nothing_is_recorded_and_nothing_printed() {
        let directory = tempfile::tempdir().unwrap();
        let (root, key) = root(directory.path());
        let now = OffsetDateTime::now_utc();
        let validity = (now - Duration::days(2), now - Duration::days(1));
        let made = Credential::below(&root, &key, Kind::Client, validity).unwrap();
        assert_eq!(root.entries().unwrap().len(), 0);
        assert_eq!(format!("{made:?}"), "Credential(CN=mtlsgw verify)");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let one = Credential::of_unknown(None, OffsetDateTime::now_utc()).unwrap();
        let key = SigningKey::generate(KeyKind::default()).unwrap();
        let error = Credential::new(one.certificates.clone(), key).unwrap_err();
        assert!(error.to_string().contains("is not that of the certificate"));
    }
}
