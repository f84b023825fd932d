//! How the data plane itself connects to servers: to targets as ELB does, to backends as API
//! Gateway does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Body;

/// How long a connection, and a handshake over it, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The largest head of an answer that is read, in bytes.
const HEAD: usize = 32 * 1024;

/// How a server's certificate is judged.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// Not at all, nor is a name asked for, as ELB does with its targets.
    Anything,
    /// It has to be for the name and come from one of these authorities.
    Authorities(String, Vec<CertificateDer<'static>>),
    /// It has to be for the name and in force, whoever has issued it.
    AnyIssuer(String),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing listens, or it hangs up.
    Refused(String),
    /// TLS does not come about.
    Tls(String),
    /// What comes is no HTTP, or too much of it.
    Malformed(String),
    /// Nothing comes.
    TimedOut,
}

/// Connects to a loopback server.
pub(super) async fn connect(server: SocketAddr) -> Result<TcpStream, Trouble> {
    let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(server)).await;
    let stream = connected
        .map_err(|_| Trouble::TimedOut)?
        .map_err(|error| Trouble::Refused(error.to_string()))?;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    Ok(stream)
}

/// Shakes hands over a connection.
pub(super) async fn secure(
    stream: TcpStream,
    trust: &Trust,
) -> Result<TlsStream<TcpStream>, Trouble> {
    let wrong = |error: &dyn std::fmt::Display| Trouble::Tls(error.to_string());
    let (config, name) = configuration(trust).map_err(|error| wrong(&error))?;
    let connector = TlsConnector::from(Arc::new(config));
    let shaken = tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await;
    shaken
        .map_err(|_| Trouble::TimedOut)?
        .map_err(|error| wrong(&error))
}

/// Sends a request over a connection, and gives the answer's head and the body still to come.
pub(super) async fn send<S>(
    stream: S,
    request: hyper::Request<Body>,
    patience: Duration,
) -> Result<hyper::Response<Incoming>, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let malformed = |error: hyper::Error| {
        if error.is_parse() || error.is_parse_too_large() {
            Trouble::Malformed(error.to_string())
        } else {
            Trouble::Refused(error.to_string())
        }
    };
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(HEAD).preserve_header_case(true);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(malformed)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a server ended early");
        }
    });
    let answered = tokio::time::timeout(patience, sender.send_request(request)).await;
    answered.map_err(|_| Trouble::TimedOut)?.map_err(malformed)
}

fn configuration(trust: &Trust) -> Result<(ClientConfig, ServerName<'static>), rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let name = |name: &str| {
        ServerName::try_from(name.to_owned())
            .map_err(|_| rustls::Error::General(format!("`{name}` is no name of a server")))
    };
    Ok(match trust {
        Trust::Anything => {
            let judge = Arc::new(Judge {
                provider,
                wants: Wants::Nothing,
            });
            let builder = builder.dangerous().with_custom_certificate_verifier(judge);
            let mut config = builder.with_no_client_auth();
            config.enable_sni = false;
            let nobody = std::net::IpAddr::from([127, 0, 0, 1]);
            (config, ServerName::IpAddress(nobody.into()))
        }
        Trust::AnyIssuer(host) => {
            let judge = Arc::new(Judge {
                provider,
                wants: Wants::NameAndTime,
            });
            let builder = builder.dangerous().with_custom_certificate_verifier(judge);
            (builder.with_no_client_auth(), name(host)?)
        }
        Trust::Authorities(host, authorities) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities.iter().cloned());
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            let builder = builder.with_webpki_verifier(verifier);
            (builder.with_no_client_auth(), name(host)?)
        }
    })
}

/// What is wanted of a certificate beside that its holder has its key.
#[derive(Debug)]
enum Wants {
    Nothing,
    NameAndTime,
}

/// A judge that does not ask who has issued a certificate.
#[derive(Debug)]
struct Judge {
    provider: Arc<CryptoProvider>,
    wants: Wants,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if matches!(self.wants, Wants::Nothing) {
            return Ok(ServerCertVerified::assertion());
        }
        let bad = |_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
        let parsed = webpki::EndEntityCert::try_from(end_entity).map_err(bad)?;
        parsed
            .verify_is_valid_for_subject_name(server_name)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::NotValidForName))?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let bad = rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
        let (_, certificate) = x509_parser::parse_x509_certificate(end_entity).map_err(|_| bad)?;
        let validity = certificate.validity();
        if seconds < validity.not_before.timestamp() {
            return Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidYet,
            ));
        }
        if seconds > validity.not_after.timestamp() {
            return Err(rustls::Error::InvalidCertificate(CertificateError::Expired));
        }
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
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
