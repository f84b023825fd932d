//! A client that speaks TLS with a certificate, and a server that says what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use serde_json::Value;

use crate::support::{Aws, authority};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn read(stream: impl Read) -> Self {
        let mut stream = BufReader::new(stream);
        let (line, headers) = head(&mut stream);
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut body = Vec::new();
        // A peer may end without saying so in TLS.
        stream.read_to_end(&mut body).ok();
        Self {
            status: status.unwrap_or_else(|| panic!("no status in `{line}`")),
            headers,
            body: String::from_utf8(body).expect("text"),
        }
    }
}

/// The first line and the headers of a message.
fn head(stream: &mut impl BufRead) -> (String, BTreeMap<String, String>) {
    let mut line = String::new();
    stream.read_line(&mut line).expect("can be read");
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).expect("can be read");
        let Some((name, value)) = header.trim_end().split_once(':') else {
            return (line.trim_end().to_owned(), headers);
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}

/// Somebody with a certificate of the CA that the stack trusts.
#[derive(Clone)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    own: (CertificateDer<'static>, Vec<u8>),
}

impl Client {
    /// Trusts the authority that the sandbox's ACM issues by.
    pub(crate) fn new(aws: &Aws) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = pem::parse(aws.control("GET", "ca", "").ok().body).expect("a certificate");
        roots
            .add(authority.into_contents().into())
            .expect("an authority");
        let own = own();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .expect("known versions");
        let builder = builder.with_root_certificates(roots);
        let key = PrivateKeyDer::try_from(own.1.clone()).expect("a key");
        let config = builder.with_client_auth_cert(vec![own.0.clone()], key);
        Self {
            config: Arc::new(config.expect("a pair")),
            own,
        }
    }

    /// The same, whoever the server is.
    pub(crate) fn trusting_all(&self) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .expect("known versions");
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let config = builder.with_no_client_auth();
        Self {
            config: Arc::new(config),
            own: self.own.clone(),
        }
    }

    /// Gets a path of a host at a socket.
    pub(crate) fn get(&self, socket: &str, host: &str, path: &str) -> Answer {
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        let mut stream = StreamOwned::new(connection.expect("a configuration"), connected(socket));
        stream
            .write_all(request(host, path).as_bytes())
            .expect("can be sent");
        Answer::read(stream)
    }
}

/// Gets a path without TLS.
pub(crate) fn plain(socket: &str, host: &str, path: &str) -> Answer {
    let mut stream = connected(socket);
    stream
        .write_all(request(host, path).as_bytes())
        .expect("can be sent");
    Answer::read(stream)
}

fn connected(socket: &str) -> TcpStream {
    let stream = TcpStream::connect(socket).expect("something listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("is not zero");
    stream
}

fn request(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

/// A certificate of the CA that the stack trusts, and its key.
fn own() -> (CertificateDer<'static>, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.serial_number = Some(100_u64.into());
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::hours(1);
    params.not_after = now + time::Duration::days(30);
    let key = KeyPair::generate().expect("there is randomness");
    let certificate = authority().sign(&params, &key);
    (certificate.into(), key.serialize_der())
}

/// Trusts everybody.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
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
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// A loopback server that answers with what it was asked; it ends with the process.
pub(crate) struct Server {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("is bound").to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || echo(&stream));
            }
        });
        Self { address }
    }
}

fn echo(stream: &TcpStream) {
    let (line, headers) = head(&mut BufReader::new(stream));
    let body = serde_json::json!({ "line": line, "headers": headers }).to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = stream;
    // A client that has gone is none of our business.
    stream.write_all(answer.as_bytes()).ok();
}
