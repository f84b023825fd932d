//! API Gateway's side of the network: one TLS socket for each VPC endpoint, and one for the public
//! addresses of a region.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::execute_api::answer::Answer;
use super::execute_api::{self, Arrival, Front, PAYLOAD};
use super::listener::pause;
use super::upstream::PATIENCE;
use super::{Body, DataPlane, integration, whole};
use crate::sandbox::acm;

/// How many connections a socket has at most; more wait to be accepted.
const CONNECTIONS: usize = 512;

/// How much of a body that is too long is read, in bytes.
const LONGEST: usize = 100 * PAYLOAD;

/// Region, and the endpoint's id; without one the region's public addresses.
type Key = (String, Option<String>);

/// The sockets, and who is behind their connections.
#[derive(Default)]
pub(super) struct Fronts {
    open: Mutex<BTreeMap<Key, Socket>>,
    /// The simulated addresses of clients, by the port that they connect from.
    sources: Mutex<HashMap<u16, Ipv4Addr>>,
    /// API Gateway's own certificates, by region.
    own: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

struct Socket {
    address: SocketAddr,
    /// Ends accepting and all connections when it is dropped.
    _open: watch::Sender<()>,
}

/// Says for as long as it lives where a connection comes from.
pub(super) struct Source<'f> {
    fronts: &'f Fronts,
    port: u16,
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        locked(&self.fronts.sources).remove(&self.port);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fronts {
    /// Says where a connection of ours comes from; to be said before its first byte.
    pub(super) fn source(&self, stream: &TcpStream, address: Ipv4Addr) -> Option<Source<'_>> {
        let port = stream.local_addr().ok()?.port();
        locked(&self.sources).insert(port, address);
        Some(Source { fronts: self, port })
    }

    /// Connects to a server of ours as from an address, which is known before it is accepted.
    pub(super) async fn connect(
        &self,
        server: SocketAddr,
        from: Ipv4Addr,
    ) -> std::io::Result<(TcpStream, Source<'_>)> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let port = socket.local_addr()?.port();
        locked(&self.sources).insert(port, from);
        let source = Source { fronts: self, port };
        Ok((socket.connect(server).await?, source))
    }

    /// Where a connection comes from that one of ours has made from a port.
    pub(super) fn source_of(&self, port: u16) -> Option<Ipv4Addr> {
        locked(&self.sources).get(&port).copied()
    }

    /// Closes all sockets.
    pub(super) fn close(&self) {
        locked(&self.open).clear();
    }
}

/// The socket of an endpoint, or of a region's public addresses; opened when it is first needed.
pub(super) fn socket(
    plane: &Arc<DataPlane>,
    region: &str,
    endpoint: Option<&str>,
) -> std::io::Result<SocketAddr> {
    let key = (region.to_owned(), endpoint.map(str::to_owned));
    let mut open = locked(&plane.fronts.open);
    if let Some(socket) = open.get(&key) {
        return Ok(socket.address);
    }
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    let address = socket.local_addr()?;
    let config = configuration(plane, region).map_err(std::io::Error::other)?;
    let (sender, closing) = watch::channel(());
    let at = At {
        plane: Arc::downgrade(plane),
        acceptor: TlsAcceptor::from(Arc::new(config)),
        key: key.clone(),
    };
    tokio::spawn(accept(at, socket, closing));
    let socket = Socket {
        address,
        _open: sender,
    };
    open.insert(key, socket);
    Ok(address)
}

/// TLS 1.2 and 1.3 with the certificate of the custom domain that is asked for, else API Gateway's
/// own.
fn configuration(plane: &Arc<DataPlane>, region: &str) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let resolver = Resolver {
        plane: Arc::downgrade(plane),
        region: region.to_owned(),
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Chooses certificates.
struct Resolver {
    plane: Weak<DataPlane>,
    region: String,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let plane = self.plane.upgrade()?;
        let of_domain = hello
            .server_name()
            .and_then(|name| of_domain(&plane, &self.region, name));
        of_domain.or_else(|| own(&plane, &self.region))
    }
}

/// The certificate of a custom domain, as ACM has it.
fn of_domain(plane: &DataPlane, region: &str, name: &str) -> Option<Arc<CertifiedKey>> {
    let (chain, key) = {
        let account = plane.account();
        let content = account.world.regions.get(region)?;
        let wildcard = name.split_once('.').map(|(_, above)| format!("*.{above}"));
        let domains = &content.apigateway.domains;
        let domain = domains.get(name).or_else(|| domains.get(&wildcard?))?;
        let certificate = content.acm.certificate(&domain.certificate)?;
        let chain = format!("{}\n{}", certificate.pem()?, certificate.chain()?);
        (
            chain,
            account.world.keys.0.get(&domain.certificate)?.clone(),
        )
    };
    certified(&chain, &key)
}

/// API Gateway's own certificate of a region, made when it is first needed.
fn own(plane: &DataPlane, region: &str) -> Option<Arc<CertifiedKey>> {
    let mut known = locked(&plane.fronts.own);
    if let Some(known) = known.get(region) {
        return Some(Arc::clone(known));
    }
    let name = format!("*.execute-api.{region}.amazonaws.com");
    let (chain, key) = {
        let mut account = plane.account();
        let account = &mut *account;
        let made = acm::of_service(&mut account.world, &name).ok()?;
        if let Err(error) = account.store.save(&account.world) {
            tracing::error!(%error, "the certificate authority is not kept");
        }
        made
    };
    let certified = certified(&chain, &key)?;
    known.insert(region.to_owned(), Arc::clone(&certified));
    Some(certified)
}

/// A chain and a key in PEM form as TLS needs them.
fn certified(chain: &str, key: &str) -> Option<Arc<CertifiedKey>> {
    let chain = pem::parse_many(chain).ok()?;
    let chain = chain
        .into_iter()
        .map(|block| CertificateDer::from(block.into_contents()))
        .collect();
    let key = pem::parse(key).ok()?;
    let key = PrivateKeyDer::try_from(key.into_contents()).ok()?;
    let key = aws_lc_rs::sign::any_supported_type(&key).ok()?;
    Some(Arc::new(CertifiedKey::new(chain, key)))
}

/// Where a socket's connections come in.
#[derive(Clone)]
struct At {
    plane: Weak<DataPlane>,
    acceptor: TlsAcceptor,
    key: Key,
}

/// Accepts connections until the socket is closed.
async fn accept(at: At, socket: TcpListener, mut closing: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let next = async {
            let permit = Arc::clone(&places).acquire_owned().await;
            (permit, socket.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            _ = closing.changed() => return,
            next = next => next,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors: others have to end first.
            pause(Duration::from_millis(50)).await;
            continue;
        };
        let (at, mut closing) = (at.clone(), closing.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = converse(&at, stream, peer) => {}
                _ = closing.changed() => {}
            }
            drop(permit);
        });
    }
}

/// Shakes hands and answers requests.
async fn converse(at: &At, stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    let shaken = tokio::time::timeout(PATIENCE, at.acceptor.accept(stream)).await;
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake with API Gateway failed");
            return;
        }
        Err(_) => return,
    };
    let server_name = stream.get_ref().1.server_name().map(str::to_owned);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (at, server_name) = (at.clone(), server_name.clone());
        async move { Ok::<_, Infallible>(respond(&at, peer, server_name.as_deref(), request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to API Gateway ended early");
    }
}

/// Answers one request.
async fn respond(
    at: &At,
    peer: SocketAddr,
    server_name: Option<&str>,
    request: hyper::Request<Incoming>,
) -> hyper::Response<Body> {
    let Some(plane) = at.plane.upgrade() else {
        return hyper::Response::new(whole(""));
    };
    let (head, body) = request.into_parts();
    let Ok((body, length)) = read(body).await else {
        // Its sender has gone, and reads no answer.
        let mut response = hyper::Response::new(whole(""));
        *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
        return response;
    };
    let headers = headers(&head);
    let digits = plane.unique_hex(32);
    let id = format!(
        "{}-{}-4{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    );
    let (region, endpoint) = &at.key;
    let source = plane.fronts.source_of(peer.port());
    let arrival = Arrival {
        region,
        front: endpoint.as_deref().map_or(Front::Public, Front::Endpoint),
        source: source.map_or_else(|| plane.client_address(), IpAddr::V4),
        server_name,
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query(),
        headers: &headers,
        length,
        id: &id,
    };
    let routed = execute_api::route(&plane.account().world, &arrival);
    let answer = match routed {
        Ok(matched) => match matched.refusal_of(&body) {
            Some(refusal) => refusal,
            None => integration::answer(&plane, region, &matched, &body).await,
        },
        Err(answer) => answer,
    };
    if let (status, Some(cause)) = (answer.status, answer.cause) {
        let path = head.uri.path();
        tracing::info!(
            region,
            ?endpoint,
            path,
            status,
            cause,
            "API Gateway answers itself"
        );
    }
    written(answer)
}

/// Reads a body, and how long it is; of one that is too long only the beginning.
///
/// Such a one is read to its end nevertheless, so that its sender comes to read the answer.
async fn read(mut body: Incoming) -> Result<(Vec<u8>, usize), hyper::Error> {
    let mut read = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= PAYLOAD {
            read.extend_from_slice(data);
        } else if length > LONGEST {
            break;
        }
    }
    Ok((read, length))
}

/// The headers with their names in lower case; the authority of an absolute address is the host.
fn headers(head: &hyper::http::request::Parts) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    if let Some(authority) = head.uri.authority() {
        headers.retain(|(name, _)| name != "host");
        headers.push(("host".to_owned(), authority.to_string()));
    }
    headers
}

fn written(answer: Answer) -> hyper::Response<Body> {
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(whole(answer.body)).unwrap_or_else(|error| {
        tracing::warn!(%error, "an answer of API Gateway is no HTTP");
        let mut response = hyper::Response::new(whole(r#"{"message": "Internal server error"}"#));
        *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
