//! Whether clients can trust the server: its name, its chain, its dates.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};

use crate::trust::Certificate;

/// The roots that a server's chain may end at.
#[derive(Debug, Default)]
pub(crate) struct ServerTrust {
    /// Each set of roots with what it is called.
    sets: Vec<(String, Arc<RootCertStore>)>,
    /// A certificate that is trusted itself, being its own issuer.
    pinned: Option<Certificate>,
}

impl ServerTrust {
    /// Adds roots.
    pub(crate) fn add<'a>(&mut self, called: &str, roots: impl Iterator<Item = &'a Certificate>) {
        let ders = roots.map(|root| CertificateDer::from(root.der.clone()));
        self.add_store(called, ders);
    }

    /// Adds the roots that the system trusts.
    pub(crate) fn add_system(&mut self) {
        let found = rustls_native_certs::load_native_certs();
        self.add_store("the system", found.certs.into_iter());
    }

    fn add_store(&mut self, called: &str, roots: impl Iterator<Item = CertificateDer<'static>>) {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        if !store.is_empty() {
            self.sets.push((called.to_owned(), Arc::new(store)));
        }
    }

    /// Trusts one certificate that is its own issuer, as some are imported.
    pub(crate) fn pin(&mut self, certificate: Certificate) {
        self.pinned = Some(certificate);
    }

    /// Judges a chain, the server's own certificate first; gives what it ends at.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn judge(&self, chain: &[CertificateDer<'_>], name: &str) -> Result<String, String> {
        let Some((own, sent)) = chain.split_first() else {
            return Err("the server showed no certificate".to_owned());
        };
        if self.is_pinned(own) {
            return pinned(own, name).map(|()| "itself, as imported".to_owned());
        }
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("`{name}` is no name of a server"))?;
        let mut reasons = Vec::new();
        for (called, roots) in &self.sets {
            match judge(roots, (own, sent), &server) {
                Ok(()) => return Ok(called.clone()),
                Err(reason) => reasons.push((called, reason)),
            }
        }
        // A reason that is not about the root is the same for all, and says more.
        let telling = reasons
            .iter()
            .find(|(_, reason)| *reason != unknown_issuer());
        Err(match telling.or(reasons.first()) {
            Some((_, reason)) if *reason == unknown_issuer() => Self::without_root(
                sent.len(),
                reasons.iter().map(|(called, _)| called.as_str()),
            ),
            Some((_, reason)) => told(reason, own, name),
            None => "there are no roots to judge it by: name them with --ca".to_owned(),
        })
    }

    fn is_pinned(&self, own: &CertificateDer<'_>) -> bool {
        let pinned = self.pinned.as_ref();
        pinned.is_some_and(|pinned| pinned.der == own.as_ref())
    }

    fn without_root<'a>(sent: usize, called: impl Iterator<Item = &'a str>) -> String {
        let called: Vec<&str> = called.collect();
        let sent = match sent {
            0 => "no intermediate is sent".to_owned(),
            1 => "1 intermediate is sent".to_owned(),
            more => format!("{more} intermediates are sent"),
        };
        format!(
            "the chain does not end at a root of {} ({sent})",
            called.join(" or of ")
        )
    }
}

fn judge(
    roots: &Arc<RootCertStore>,
    (own, sent): (&CertificateDer<'_>, &[CertificateDer<'_>]),
    name: &ServerName<'_>,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider);
    let verifier = verifier
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    verifier
        .verify_server_cert(own, sent, name, &[], UnixTime::now())
        .map(drop)
}

fn unknown_issuer() -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
}

fn pinned(own: &CertificateDer<'_>, name: &str) -> Result<(), String> {
    let certificate = Certificate::from_der(own).map_err(|error| error.to_string())?;
    let now = time::OffsetDateTime::now_utc();
    if now > certificate.not_after {
        return Err(format!("it ended on {}", certificate.not_after.date()));
    }
    if !certificate.covers(name) {
        return Err(other_names(&certificate, name));
    }
    Ok(())
}

/// What is wrong, in words.
fn told(reason: &rustls::Error, own: &CertificateDer<'_>, name: &str) -> String {
    let certificate = Certificate::from_der(own).ok();
    let rustls::Error::InvalidCertificate(error) = reason else {
        return reason.to_string();
    };
    match (error, certificate) {
        (
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            Some(certificate),
        ) => other_names(&certificate, name),
        (
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
            Some(certificate),
        ) => format!("it ended on {}", certificate.not_after.date()),
        (error, _) => error.to_string(),
    }
}

fn other_names(certificate: &Certificate, name: &str) -> String {
    let names = match certificate.dns_names.as_slice() {
        [] => "no DNS name".to_owned(),
        names => names.join(", "),
    };
    format!("it is for {names}, not for {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, KeyKind, Kind, NewAuthority, Order, SigningKey, Store, Subject};
    use time::{Duration, OffsetDateTime};

    const NAME: &str = "api.example.com";

    /// A root with an intermediate below it.
    struct Chain {
        root: Certificate,
        below: Authority,
        key: SigningKey,
        _directory: tempfile::TempDir,
    }

    fn new(name: &str) -> NewAuthority {
        NewAuthority {
            name: name.to_owned(),
            subject: Subject::common_name(name).unwrap(),
            key: SigningKey::generate(KeyKind::default()).unwrap(),
            digest: None,
            path_len: None,
            days: None,
        }
    }

    impl Chain {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::new(directory.path());
            let now = OffsetDateTime::now_utc();
            let (top, sub) = (new("root"), new("below"));
            let root = store.create_root(&top, None, now).unwrap();
            let above = (&root, &top.key);
            let below = store.create_below(&sub, above, None, now).unwrap();
            Self {
                root: root.certificate().clone(),
                below,
                key: sub.key,
                _directory: directory,
            }
        }

        /// A server's certificate for [`NAME`] of so many days, issued so many days ago.
        fn server(&self, days: u32, ago: i64) -> CertificateDer<'static> {
            let order = Order {
                subject: Subject::common_name("server").unwrap(),
                names: vec![format!("dns:{NAME}").parse().unwrap()],
                kind: Kind::Server,
                days: Some(days),
            };
            let key = SigningKey::generate(KeyKind::default()).unwrap();
            let issued = OffsetDateTime::now_utc() - Duration::days(ago);
            let made = self
                .below
                .issue(&order, key.public_key(), &self.key, issued);
            der(&made.unwrap())
        }

        fn intermediate(&self) -> CertificateDer<'static> {
            der(self.below.certificate())
        }

        fn trusted(&self) -> ServerTrust {
            let mut trust = ServerTrust::default();
            trust.add("root.pem", std::iter::once(&self.root));
            trust
        }
    }

    fn der(certificate: &Certificate) -> CertificateDer<'static> {
        CertificateDer::from(certificate.der.clone())
    }

    #[test]
    fn a_complete_chain_for_the_name_is_trusted() {
        let chain = Chain::new();
        let sent = [chain.server(10, 0), chain.intermediate()];
        assert_eq!(
            chain.trusted().judge(&sent, NAME),
            Ok("root.pem".to_owned())
        );
        // Any of several sets of roots will do.
        let mut trust = ServerTrust::default();
        trust.add("other.pem", std::iter::once(&Chain::new().root));
        trust.add("root.pem", std::iter::once(&chain.root));
        assert_eq!(trust.judge(&sent, NAME), Ok("root.pem".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let chain = Chain::new();
        let trust = chain.trusted();
        let error = |sent: &[CertificateDer<'_>], name| trust.judge(sent, name).unwrap_err();
        let (server, intermediate) = (chain.server(10, 0), chain.intermediate());
        assert_eq!(
            error(std::slice::from_ref(&server), NAME),
            "the chain does not end at a root of root.pem (no intermediate is sent)"
        );
        assert_eq!(
            error(&[server, intermediate.clone()], "shop.example.com"),
            "it is for api.example.com, not for shop.example.com"
        );
        let ended = error(&[chain.server(1, 3), intermediate], NAME);
        assert!(ended.starts_with("it ended on 20"), "{ended}");
        assert_eq!(error(&[], NAME), "the server showed no certificate");
    }

    #[test]
    fn without_roots_nothing_is_trusted() {
        let error = ServerTrust::default().judge(&[Chain::new().server(10, 0)], NAME);
        assert!(error.unwrap_err().contains("--ca"));
    }

    #[test]
    fn an_imported_certificate_is_trusted_itself_but_for_its_own_name_only() {
        let server = Chain::new().server(10, 0);
        let mut trust = ServerTrust::default();
        trust.pin(Certificate::from_der(&server).unwrap());
        let sent = [server];
        assert_eq!(
            trust.judge(&sent, NAME),
            Ok("itself, as imported".to_owned())
        );
        let error = trust.judge(&sent, "shop.example.com").unwrap_err();
        assert!(error.contains("not for shop.example.com"), "{error}");
    }
}
