//! How the data plane itself connects to servers: to targets as ELB does, to backends as API
//! Gateway does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS12;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Body;
use super::backend::{Demands, Judge};

/// How long a connection, and a handshake over it, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The largest head of an answer that is read, in bytes.
const HEAD: usize = 32 * 1024;

/// How a server's certificate is judged.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// Not at all, nor is a name asked for, as ELB does with its targets.
    Anything,
    /// As API Gateway does with backends.
    Backend(Demands),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing listens, or it hangs up.
    Refused(String),
    /// TLS does not come about.
    Tls(String),
    /// The server breaks the handshake off with an alert of this name.
    Alert(String),
    /// The server's certificate is refused, for the reason that API Gateway's logs give.
    Untrusted(String),
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
    let (config, name, judge) =
        configuration(trust).map_err(|error| Trouble::Tls(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(config));
    let shaken = tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await;
    let shaken = shaken.map_err(|_| Trouble::TimedOut)?;
    shaken.map_err(|error| {
        if let Some(refusal) = judge.and_then(|judge| judge.refusal()) {
            return Trouble::Untrusted(refusal);
        }
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::AlertReceived(alert)) => Trouble::Alert(alert_name(*alert)),
            _ => Trouble::Tls(error.to_string()),
        }
    })
}

/// The name of an alert as Java has it: `protocol_version`.
fn alert_name(alert: rustls::AlertDescription) -> String {
    let mut name = String::new();
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
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

/// What a handshake needs: the configuration, the name that is asked for, and who judges a backend.
type Prepared = (ClientConfig, ServerName<'static>, Option<Arc<Judge>>);

fn configuration(trust: &Trust) -> Result<Prepared, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    Ok(match trust {
        Trust::Anything => {
            let judge = Arc::new(Anyone(provider));
            let builder = builder.with_safe_default_protocol_versions()?;
            let builder = builder.dangerous().with_custom_certificate_verifier(judge);
            let mut config = builder.with_no_client_auth();
            config.enable_sni = false;
            let nobody = std::net::IpAddr::from([127, 0, 0, 1]);
            (config, ServerName::IpAddress(nobody.into()), None)
        }
        Trust::Backend(demands) => {
            let host = demands.host.as_str();
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| rustls::Error::General(format!("`{host}` is no name of a server")))?;
            let judge = Arc::new(Judge::new(provider, demands.clone()));
            // API Gateway does not speak TLS 1.3 with backends.
            let builder = builder.with_protocol_versions(&[&TLS12])?;
            let verifier = Arc::clone(&judge);
            let builder = builder
                .dangerous()
                .with_custom_certificate_verifier(verifier);
            (builder.with_no_client_auth(), name, Some(judge))
        }
    })
}

/// A judge that takes every certificate whose holder has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.0.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
