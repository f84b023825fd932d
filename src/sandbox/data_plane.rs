//! The data plane: what clients of the account's load balancers meet.
//!
//! Every listener is a loopback socket while its process lives. A connection takes one way:
//! `listener` accepts it and asks the security groups, `tls` shakes hands by the listener's policy
//! with the certificate that ACM holds, `client` judges the client's certificate, `header` tells
//! the target about it, `route` finds who answers, `log` writes down what happened.
//!
//! The world is read under the account's lock, and only for as long as it takes to copy what a
//! connection needs.

mod client;
mod dns;
mod execute_api;
#[cfg(test)]
mod fixture;
mod front;
mod host;
mod http;
mod integration;
mod listener;
mod network;
mod petstore;
mod probe;
mod route;
mod target;
mod template;
mod tls;
mod upstream;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use self::front::Fronts;
use self::listener::Sockets;
use self::network::{Found, Place};
use super::account::Account;
use super::server::Server;
use super::wire::{Request, Response};
use super::world::hex;

pub(super) use self::execute_api::status_of_check;
pub(super) use self::host::{
    listed as listed_hosts, register as register_host, remove as remove_host,
};
pub use self::listener::Appeared;

/// What goes wrong while a body is under way.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or of an answer.
pub(super) type Body = BoxBody<Bytes, BoxError>;

/// A body that is there as a whole.
pub(super) fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed()
}

/// What the handshake agreed on.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsDetails {
    /// `TLSv1.3`, `TLSv1.2`.
    pub(super) protocol: String,
    /// By OpenSSL's name, as ELB's logs have it: `TLS_AES_128_GCM_SHA256`.
    pub(super) cipher: String,
    /// The group of the key exchange, `X25519MLKEM768`.
    pub(super) key_exchange: Option<String>,
    /// The name that the client asked for.
    pub(super) server_name: Option<String>,
    /// The ARN of the certificate that it was shown.
    pub(super) certificate: Option<String>,
}

/// One connection of a client to a listener.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// The load balancer's region.
    pub(super) region: String,
    /// The listener's ARN.
    pub(super) listener: String,
    /// The load balancer's ARN.
    pub(super) load_balancer: String,
    /// The private address of the load balancer's node that took the connection.
    pub(super) node: Ipv4Addr,
    /// Where the client is taken to be, and its port.
    pub(super) client: SocketAddr,
    /// What TLS agreed on, on HTTPS.
    pub(super) tls: Option<TlsDetails>,
    /// The certificates that the client sent, its own first.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// Joins connection log and access log, `TID_…`.
    pub(super) trace: String,
}

/// The sockets of one account's listeners and what they share.
pub(super) struct DataPlane {
    /// Holds the account.
    server: Arc<Server>,
    /// Where clients are taken to be.
    client_address: IpAddr,
    sockets: Mutex<Sockets>,
    /// Tells whoever serves of listeners that appear.
    appeared: mpsc::UnboundedSender<Appeared>,
    /// Counts what needs an id of its own.
    ids: AtomicU64,
    /// API Gateway's sockets.
    fronts: Fronts,
    /// Counts forwarded requests, of which each goes to the next target.
    turns: AtomicU64,
}

impl fmt::Debug for DataPlane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DataPlane")
    }
}

impl DataPlane {
    /// The data plane of a server's account; `appeared` is told of every listener that can be
    /// connected to.
    pub(super) fn new(
        server: Arc<Server>,
        client_address: IpAddr,
        appeared: mpsc::UnboundedSender<Appeared>,
    ) -> Arc<Self> {
        Arc::new(Self {
            server,
            client_address,
            sockets: Mutex::default(),
            appeared,
            ids: AtomicU64::new(0),
            fronts: Fronts::default(),
            turns: AtomicU64::new(0),
        })
    }

    /// The account at the present time. Not to be held over an await, nor for long.
    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        let mut account = self.server.account();
        account.tick();
        account
    }

    /// Where clients are taken to be.
    pub(super) fn client_address(&self) -> IpAddr {
        self.client_address
    }

    /// Opens the sockets of listeners that are new, and closes those of listeners that are gone.
    pub(super) fn reconcile(self: &Arc<Self>) {
        listener::reconcile(self);
    }

    /// Answers a control request that is about the data plane; `None` where it is not.
    pub(super) fn control(self: &Arc<Self>, command: &str, request: &Request) -> Option<Response> {
        let (status, answer) = match (request.method.as_str(), command) {
            ("GET", "listeners") => (200, listener::listed(self)),
            ("GET", "resolve") => {
                let name = parameter(request, "name");
                let addresses = dns::addresses(&self.account().world, name);
                (200, json!({ "addresses": addresses }))
            }
            ("GET", "connect") => self.reached(request),
            _ => return None,
        };
        Some(Response {
            status,
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: answer.to_string().into_bytes(),
        })
    }

    /// The answer of `GET connect`: where a client outside gets to.
    fn reached(self: &Arc<Self>, request: &Request) -> (u16, Value) {
        let host = parameter(request, "host");
        let Ok(port) = parameter(request, "port").parse::<u16>() else {
            return (400, json!({ "message": "`port` is no port" }));
        };
        let refused = |reason: String| (404, json!({ "message": reason }));
        let found = {
            let account = self.account();
            let addresses = dns::addresses(&account.world, host);
            let Some(address) = addresses.first() else {
                return refused(format!("the name {host} has no address"));
            };
            network::from_outside(&account.world, self.client_address, (*address, port))
        };
        let socket = match found {
            Found::Dropped => return (200, json!({ "address": null, "timeout": true })),
            Found::Refused(reason) => return refused(reason),
            Found::At(Place::Host(server)) => Ok(server),
            Found::At(Place::Front(region)) => {
                front::socket(self, &region, None).map_err(|error| error.to_string())
            }
            Found::At(Place::Listener(arn)) => {
                self.reconcile();
                listener::address(self, &arn).ok_or_else(|| "it has no socket".to_owned())
            }
            Found::At(Place::Endpoint(..) | Place::PetStore) => {
                Err("the sandbox has no socket for it".to_owned())
            }
        };
        match socket {
            Ok(socket) => (200, json!({ "address": socket.to_string() })),
            Err(reason) => refused(reason),
        }
    }

    /// Closes all sockets and lets go of what is under way.
    pub(super) fn close(&self) {
        listener::close(self);
        self.fronts.close();
    }

    /// Checks the targets that registered servers stand for, for as long as the data plane lives.
    pub(super) fn start_probes(self: &Arc<Self>) {
        tokio::spawn(probe::run(Arc::downgrade(self)));
    }

    /// `length` hexadecimal digits that nothing else of this run has.
    fn unique_hex(&self, length: usize) -> String {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::digest(format!("data-plane-{}-{id}", std::process::id()));
        let mut digits = hex(&digest);
        digits.truncate(length);
        digits
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A parameter of a control request's query.
fn parameter<'r>(request: &'r Request, name: &str) -> &'r str {
    let found = request.query.iter().find(|(known, _)| known == name);
    found.map_or("", |(_, value)| value)
}

/// Judges a client as a listener in mode `verify` does: for tests that compare this judge with another.
///
/// Everything is in DER, the client's own certificate is the first of `sent`, the time is in seconds
/// since the Unix epoch. The error is the connection log's reason.
#[doc(hidden)]
pub fn judge_client(
    sent: &[Vec<u8>],
    (bundle, lists): (&[Vec<u8>], &[Vec<u8>]),
    (now, deepest, ignore_expiry): (i64, Option<usize>, bool),
) -> Result<(), &'static str> {
    let mut trust = client::Trust::new(bundle, lists.to_vec(), ignore_expiry);
    if let Some(deepest) = deepest {
        trust = trust.with_depth(deepest);
    }
    let sent: Vec<CertificateDer<'_>> = sent
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    client::judge(&sent, &trust, now.saturating_mul(1000)).map_err(client::Reason::code)
}
