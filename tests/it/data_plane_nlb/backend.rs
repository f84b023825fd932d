//! Backends that speak TLS with certificates of any kind.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use time::{Duration, OffsetDateTime};

/// The name that integrations ask for.
pub(crate) const HOST: &str = "backend.internal";

/// A chain, a server's own certificate first, and its key; PEM.
#[derive(Clone)]
pub(crate) struct Material {
    pub(crate) chain: String,
    pub(crate) key: String,
}

fn named(name: &str) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now - Duration::days(30);
    params.not_after = now + Duration::days(30);
    params
}

fn be_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
}

/// The names that a certificate is for.
pub(crate) fn for_names(params: &mut CertificateParams, names: &[&str]) {
    let name = |name: &&str| SanType::DnsName((*name).try_into().expect("is ASCII"));
    params.subject_alt_names = names.iter().map(name).collect();
}

/// One day ago it was over.
pub(crate) fn expire(params: &mut CertificateParams) {
    params.not_after = OffsetDateTime::now_utc() - Duration::DAY;
}

impl Material {
    /// A certificate that signs itself and may sign others, changed.
    pub(crate) fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = named(HOST);
        for_names(&mut params, &[HOST]);
        be_authority(&mut params);
        change(&mut params);
        let key = KeyPair::generate().expect("there is randomness");
        Self {
            chain: params.self_signed(&key).expect("signs").pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate from a private CA, which is sent along; both changed.
    pub(crate) fn issued(
        root: impl FnOnce(&mut CertificateParams),
        leaf: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut top = named("Private CA");
        be_authority(&mut top);
        root(&mut top);
        let top_key = KeyPair::generate().expect("there is randomness");
        let top_pem = top.self_signed(&top_key).expect("signs").pem();
        let mut own = named(HOST);
        for_names(&mut own, &[HOST]);
        leaf(&mut own);
        let key = KeyPair::generate().expect("there is randomness");
        let issuer = Issuer::from_params(&top, &top_key);
        let own = own.signed_by(&key, &issuer).expect("signs").pem();
        Self {
            chain: own + &top_pem,
            key: key.serialize_pem(),
        }
    }

    /// The same without the CA.
    pub(crate) fn alone(mut self) -> Self {
        let end = "-----END CERTIFICATE-----\n";
        let length = self.chain.find(end).expect("is PEM") + end.len();
        self.chain.truncate(length);
        self
    }

    /// Serves on loopback until the process ends: says what it was asked, and how.
    pub(crate) fn serve(&self, versions: &[&'static SupportedProtocolVersion]) -> String {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("is PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("is PEM");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("known versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a pair");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("is bound").to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                thread::spawn(move || answer(config, stream));
            }
        });
        address
    }
}

/// Answers one request; clients that hang up are no concern of ours.
fn answer(config: Arc<ServerConfig>, stream: TcpStream) -> Option<()> {
    let connection = ServerConnection::new(config).ok()?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let host = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("host").then(|| value.to_owned())
    });
    let mut stream = stream.into_inner();
    let body = serde_json::json!({
        "line": lines.first(),
        "host": host,
        "server_name": stream.conn.server_name(),
        "version": format!("{:?}", stream.conn.protocol_version()),
    });
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}
