//! The TLS client of the probes: it offers exactly what a probe is about, takes whatever certificate the
//! server shows, and remembers what it saw.
//!
//! The server's certificate is judged by a probe of its own. Nothing that a client keeps secret is sent
//! before that is known, or at all.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs::{self, kx_group, sign};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, SignatureScheme,
    SupportedProtocolVersion,
};

use crate::error::{Error, Result};
use crate::pki::Credential;

/// What a probe offers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offer {
    /// The versions; empty for all that are spoken here.
    pub(crate) versions: Vec<Version>,
    /// Whether to offer key exchange that a quantum computer does not break, and nothing else.
    pub(crate) post_quantum: bool,
    /// Whether to offer HTTP/2, beside HTTP/1.1.
    pub(crate) http2: bool,
    /// Where sessions are kept, so that a second connection may resume the first.
    pub(crate) sessions: Option<Resumption>,
}

/// The versions that are spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What a handshake showed, as far as it got.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handshake {
    /// What the server showed, its own certificate first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// What it asked for, if it asked for a certificate.
    pub(crate) asked: Option<Asked>,
    /// The version.
    pub(crate) version: Option<&'static str>,
    /// The key exchange.
    pub(crate) group: Option<String>,
    /// The protocol that was agreed upon by ALPN.
    pub(crate) protocol: Option<String>,
    /// Whether an earlier session was resumed.
    pub(crate) resumed: bool,
    /// How far the connection got.
    pub(crate) phase: Phase,
}

/// What a server asked of a client.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The DER of the names of CAs that it would like.
    pub(crate) names: Vec<Vec<u8>>,
    /// Whether a certificate was sent.
    pub(crate) sent: bool,
}

/// How far a connection got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Nothing is there yet.
    #[default]
    Connecting,
    /// TCP is there.
    Connected,
    /// The client has done its part of TLS.
    Handshaken,
}

/// What a handshake showed, shared with those who look on.
pub(super) type Shared = Arc<Mutex<Handshake>>;

/// What has been seen up to now.
pub(super) fn seen(shared: &Shared) -> MutexGuard<'_, Handshake> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The configuration of one connection, which notes in `shared` what it sees.
///
/// # Errors
///
/// The key is of a kind that TLS does not know.
pub(super) fn configuration(
    offer: &Offer,
    credential: Option<&Credential>,
    shared: &Shared,
) -> Result<ClientConfig> {
    let provider = Arc::new(provider(offer.post_quantum));
    let versions: Vec<&'static SupportedProtocolVersion> = match offer.versions.as_slice() {
        [] => vec![&rustls::version::TLS13, &rustls::version::TLS12],
        named => named.iter().map(|version| version.supported()).collect(),
    };
    let presenter = Presenter {
        key: credential.map(certified).transpose()?,
        shared: Arc::clone(shared),
    };
    let watcher = Watcher {
        provider: Arc::clone(&provider),
        shared: Arc::clone(shared),
    };
    let mut configuration = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| Error::refused(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(watcher))
        .with_client_cert_resolver(Arc::new(presenter));
    configuration.resumption = offer.sessions.clone().unwrap_or_else(Resumption::disabled);
    configuration.alpn_protocols = if offer.http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok(configuration)
}

fn provider(post_quantum: bool) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if post_quantum {
        provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::SECP256R1MLKEM768];
    }
    provider
}

impl Version {
    fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

fn certified(credential: &Credential) -> Result<Arc<CertifiedKey>> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.expose_key()));
    let key = sign::any_supported_type(&der).map_err(|_| {
        Error::refused_with(
            format!(
                "the key of {} is of a kind that TLS cannot use",
                credential.certificate().subject
            ),
            "use RSA of 2048 bits or more, or ECDSA P-256, P-384 or P-521",
        )
    })?;
    let chain = credential.certificates().iter();
    let chain = chain.map(|one| CertificateDer::from(one.der.clone()));
    Ok(Arc::new(CertifiedKey::new(chain.collect(), key)))
}

/// Presents one certificate, whatever the server would like, and notes what that was.
#[derive(Debug)]
struct Presenter {
    key: Option<Arc<CertifiedKey>>,
    shared: Shared,
}

impl ResolvesClientCert for Presenter {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(sigschemes).is_some();
        let key = self.key.as_ref().filter(fits);
        seen(&self.shared).asked = Some(Asked {
            names: root_hint_subjects
                .iter()
                .map(|name| name.to_vec())
                .collect(),
            sent: key.is_some(),
        });
        key.cloned()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

/// Notes the server's certificates; whether they are good is another probe's question.
#[derive(Debug)]
struct Watcher {
    provider: Arc<CryptoProvider>,
    shared: Shared,
}

impl ServerCertVerifier for Watcher {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|certificate| certificate.clone().into_owned());
        seen(&self.shared).chain = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The alert of the server that an error comes from, as RFC 8446 names it.
pub(super) fn alert(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    find(error).and_then(|error| match error {
        rustls::Error::AlertReceived(alert) => Some(alert_name(*alert)),
        _ => None,
    })
}

/// Whether an error is the server's way of refusing: an alert, or the end of the connection.
///
/// What this side finds wrong with the server's TLS or HTTP is none.
pub(super) fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = find(error) {
        return matches!(error, rustls::Error::AlertReceived(_));
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return is_end(error.kind());
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The ways in which a connection ends.
fn is_end(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
    )
}

/// What is said of a connection that ended with an error.
pub(super) fn ended(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(alert) = alert(error) {
        return format!("alert {alert}");
    }
    if let Some(error) = find(error) {
        return error.to_string();
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return super::network::plain(error);
        }
        cause = error.source();
    }
    "connection closed".to_owned()
}

/// The error of TLS inside others.
fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(error);
        }
        // The error in an `io::Error` is none of its sources; those of that one are.
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// `bad_certificate` for `BadCertificate`.
pub(super) fn alert_name(alert: AlertDescription) -> String {
    if let AlertDescription::UnknownCA = alert {
        return "unknown_ca".to_owned();
    }
    let mut name = String::new();
    for character in format!("{alert:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_of_the_standard() {
        assert_eq!(
            alert_name(AlertDescription::CertificateRequired),
            "certificate_required"
        );
        assert_eq!(alert_name(AlertDescription::UnknownCA), "unknown_ca");
        assert_eq!(
            alert_name(AlertDescription::ProtocolVersion),
            "protocol_version"
        );
    }

    #[test]
    fn alerts_are_found_inside_other_errors() {
        let alert = rustls::Error::AlertReceived(AlertDescription::BadCertificate);
        let error = io::Error::new(io::ErrorKind::InvalidData, alert);
        assert_eq!(ended(&error), "alert bad_certificate");
        assert!(is_refusal(&error));
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(ended(&reset), "connection reset");
        assert!(is_refusal(&reset));
    }

    #[test]
    fn what_this_side_finds_wrong_is_no_refusal() {
        let wrong = rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature);
        let error = io::Error::new(io::ErrorKind::InvalidData, wrong);
        assert!(!is_refusal(&error));
        assert!(ended(&error).contains("BadSignature"), "{}", ended(&error));
        assert!(!is_refusal(&io::Error::other("something")));
    }
}
