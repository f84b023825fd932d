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
            Some((_, reason)) if *reason == unknown_issuer() => self.without_root(
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

    fn without_root<'a>(&self, sent: usize, called: impl Iterator<Item = &'a str>) -> String {
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
    use crate::trust::fixtures::Authority;

    fn der(certificate: &Certificate) -> CertificateDer<'static> {
        CertificateDer::from(certificate.der.clone())
    }

    #[test]
    fn without_roots_nothing_is_trusted() {
        let root = Authority::new("Root");
        let chain = [der(&root.certificate())];
        let error = ServerTrust::default()
            .judge(&chain, "a.example.com")
            .unwrap_err();
        assert!(error.contains("--ca"), "{error}");
        let error = ServerTrust::default()
            .judge(&[], "a.example.com")
            .unwrap_err();
        assert!(error.contains("no certificate"), "{error}");
    }

    #[test]
    fn another_root_is_named() {
        let mut trust = ServerTrust::default();
        let other = Authority::new("Other").certificate();
        trust.add("other.pem", std::iter::once(&other));
        let chain = [der(&Authority::new("Root").client(7))];
        let error = trust.judge(&chain, "a.example.com").unwrap_err();
        assert_eq!(
            error,
            "the chain does not end at a root of other.pem (no intermediate is sent)"
        );
    }
}
