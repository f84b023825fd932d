//! A server that treats clients as a test says: as a load balancer does, or wrongly in one way.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::Authority;

/// How the server behaves.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a way to be wrong of its own"
)]
pub(crate) struct Behaviour {
    /// The names of its certificate.
    pub(crate) names: Vec<&'static str>,
    /// Whether it also takes TLS 1.2.
    pub(crate) tls12: bool,
    /// The CAs and CRLs that clients are verified by, PEM; without a CA nobody is asked for anything.
    pub(crate) client_roots: Option<String>,
    /// See `client_roots`.
    pub(crate) crls: Option<String>,
    /// Whether clients without a certificate are let in.
    pub(crate) lets_anonymous_in: bool,
    /// Whether it takes up former sessions.
    pub(crate) resumes: bool,
    /// Whether it speaks HTTP/2.
    pub(crate) http2: bool,
    /// Whether it tells the names of the CAs.
    pub(crate) tells_names: bool,
    /// What it answers.
    pub(crate) status: u16,
    /// What becomes of a client's own headers about itself.
    pub(crate) passes_forged_headers: bool,
}

impl Behaviour {
    /// One that verifies clients by this CA and CRL, as TLS 1.3 only policies want it.
    pub(crate) fn verifying(client_roots: &str, crls: &str) -> Self {
        Self {
            names: vec!["api.example.com"],
            tls12: false,
            client_roots: Some(client_roots.to_owned()),
            crls: Some(crls.to_owned()),
            lets_anonymous_in: false,
            resumes: false,
            http2: true,
            tells_names: true,
            status: 200,
            passes_forged_headers: false,
        }
    }

    /// Serves on loopback until the process ends.
    pub(crate) fn serve(self, authority: &Authority) -> SocketAddr {
        let configuration = Arc::new(self.configuration(authority));
        let (socket, address) = bound();
        in_background(async move {
            let socket = tokio::net::TcpListener::from_std(socket).expect("is a socket");
            let behaviour = Arc::new(self);
            loop {
                let Ok((stream, _)) = socket.accept().await else {
                    continue;
                };
                let acceptor = TlsAcceptor::from(Arc::clone(&configuration));
                let behaviour = Arc::clone(&behaviour);
                tokio::spawn(async move {
                    // Clients that are refused are the point of most tests.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let client = client(&stream);
                    let service = service_fn(move |request| {
                        let (behaviour, client) = (Arc::clone(&behaviour), client.clone());
                        async move {
                            Ok::<_, std::convert::Infallible>(behaviour.answer(&request, client))
                        }
                    });
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let stream = TokioIo::new(stream);
                    // Clients that go away are no error.
                    if is_http2 {
                        let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        http.serve_connection(stream, service).await.ok();
                    } else {
                        let http = hyper::server::conn::http1::Builder::new();
                        http.serve_connection(stream, service).await.ok();
                    }
                });
            }
        });
        address
    }

    fn answer(
        &self,
        request: &Request<Incoming>,
        client: Vec<String>,
    ) -> Response<http_body_util::Full<Bytes>> {
        let mut lines = vec!["this is the API".to_owned()];
        for (name, value) in request.headers() {
            let is_forged = name.as_str().starts_with("x-amzn-mtls");
            if !is_forged || self.passes_forged_headers {
                lines.push(format!("{name}: {}", value.to_str().unwrap_or_default()));
            }
        }
        if self.status == 200 {
            lines.extend(client);
        }
        let body = http_body_util::Full::new(Bytes::from(lines.join("\n")));
        Response::builder()
            .status(self.status)
            .body(body)
            .expect("is a response")
    }

    fn configuration(&self, authority: &Authority) -> ServerConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[_] = if self.tls12 {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        } else {
            &[&rustls::version::TLS13]
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("fits");
        let builder = match self.verifier(provider) {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let (certificate, key) = authority.issue(&self.names);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("is PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("is PEM");
        let mut configuration = builder.with_single_cert(chain, key).expect("fits");
        if self.http2 {
            configuration.alpn_protocols = vec![b"h2".to_vec()];
        }
        configuration.alpn_protocols.push(b"http/1.1".to_vec());
        if !self.resumes {
            configuration.send_tls13_tickets = 0;
            configuration.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        }
        configuration
    }

    fn verifier(
        &self,
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Option<Arc<dyn ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(self.client_roots.as_ref()?.as_bytes()) {
            roots.add(root.expect("is PEM")).expect("is a CA");
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let Some(crls) = &self.crls {
            let crls = CertificateRevocationListDer::pem_slice_iter(crls.as_bytes());
            builder = builder.with_crls(crls.map(|crl| crl.expect("is PEM")));
        }
        if self.lets_anonymous_in {
            builder = builder.allow_unauthenticated();
        }
        if !self.tells_names {
            builder = builder.clear_root_hint_subjects();
        }
        Some(builder.build().expect("fits"))
    }
}

/// A server of plain HTTP that redirects every request to this URL's beginning.
pub(crate) fn redirecting_to(base: &'static str) -> SocketAddr {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("is bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let reader = BufReader::new(stream.try_clone().expect("is a socket"));
            let mut lines = reader.lines();
            if let Some(Ok(first)) = lines.next() {
                line = first;
            }
            for rest in lines {
                if rest.is_ok_and(|rest| rest.is_empty()) {
                    break;
                }
            }
            let path = line.split(' ').nth(1).unwrap_or("/");
            let answer = format!(
                "HTTP/1.1 301 Moved\r\nLocation: {base}{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    address
}

/// A socket that takes connections and never says anything.
pub(crate) fn black_hole() -> SocketAddr {
    let (socket, address) = bound();
    thread::spawn(move || {
        socket.set_nonblocking(false).expect("is a socket");
        let held: Vec<_> = socket.incoming().collect();
        drop(held);
    });
    address
}

/// A port that nobody listens on.
pub(crate) fn nobody() -> SocketAddr {
    let (socket, address) = bound();
    drop(socket);
    address
}

fn bound() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = socket.local_addr().expect("is bound");
    socket.set_nonblocking(true).expect("is a socket");
    (socket, address)
}

fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there is a runtime");
        runtime.block_on(work);
    });
}

/// What a load balancer tells the backend of the client, if it has shown a certificate.
fn client(stream: &tokio_rustls::server::TlsStream<tokio::net::TcpStream>) -> Vec<String> {
    let sent = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let Some(own) = sent.first() else {
        return Vec::new();
    };
    let own = mtlsgw::trust::Certificate::all_from_bytes(own).expect("is a certificate");
    let headers = mtlsgw::trust::verify_headers(&own[0]);
    let lines = headers.iter();
    lines
        .map(|header| format!("{}: {}", header.name, header.value))
        .collect()
}
