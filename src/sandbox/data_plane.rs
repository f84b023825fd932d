//! The data plane: what clients of the account's load balancers meet.
//!
//! Every listener is a loopback socket while its process lives. A connection takes one way:
//! `listener` accepts it and asks the security groups, then for a Network Load Balancer `pass` passes
//! it on, while for an Application Load Balancer `tls` shakes hands by the listener's policy
//! with the certificate that ACM holds, `client` judges the client's certificate, `header` tells
//! the target about it, `route` finds who answers, `log` writes down what happened.
//!
//! The world is read under the account's lock, and only for as long as it takes to copy what a
//! connection needs.

mod backend;
mod client;
mod dns;
mod execute_api;
mod execution_log;
#[cfg(test)]
mod fixture;
mod front;
mod gate;
mod header;
mod host;
mod http;
mod integration;
mod listener;
mod log;
mod name;
mod network;
mod pass;
mod petstore;
mod probe;
mod reach;
mod route;
mod settings;
mod tap;
mod target;
mod template;
mod tls;
mod upstream;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use self::execution_log::ExecutionLog;
use self::front::Fronts;
use self::gate::Gates;
use self::listener::Sockets;
use self::log::Logs;
use super::account::Account;
use super::acm;
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
    gates: Gates,
    logs: Logs,
    /// Tells whoever serves of listeners that appear.
    appeared: mpsc::UnboundedSender<Appeared>,
    /// Counts what needs an id of its own.
    ids: AtomicU64,
    /// What API Gateway's execution logs say.
    execution_log: ExecutionLog,
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
            gates: Gates::default(),
            logs: Logs::default(),
            appeared,
            ids: AtomicU64::new(0),
            execution_log: ExecutionLog::default(),
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
        let answer = match (request.method.as_str(), command) {
            ("GET", "ca") => return Some(self.authority()),
            ("GET", "execution-log") => self.execution_log.entries(),
            ("GET", "listeners") => listener::listed(self),
            ("POST", "logs") => json!({ "objects": self.logs.deliver(self, true) }),
            _ => return reach::answer(self, command, request),
        };
        Some(answered("application/json", answer.to_string()))
    }

    /// The certificate that clients have to trust to accept the certificates that ACM issues here.
    fn authority(&self) -> Response {
        let mut account = self.account();
        let account = &mut *account;
        match acm::authority_certificate(&mut account.world) {
            Ok(pem) => {
                if let Err(error) = account.store.save(&account.world) {
                    tracing::error!(%error, "the certificate authority is not kept");
                }
                answered("application/x-pem-file", pem)
            }
            Err(refusal) => Response {
                status: 500,
                ..answered("text/plain", refusal.message)
            },
        }
    }

    /// Delivers the logs whose interval is over.
    pub(super) fn deliver_due(&self) {
        self.logs.deliver(self, false);
    }

    /// Looks after what goes by time; never resolves.
    pub(super) async fn keep_time(self: Arc<Self>) {
        const TICK: Duration = Duration::from_secs(1);
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            self.deliver_due();
        }
    }

    /// Closes all sockets, lets go of what is under way, and delivers what logs there are.
    pub(super) fn close(&self) {
        listener::close(self);
        self.fronts.close();
        self.logs.deliver(self, true);
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

fn answered(content_type: &str, text: String) -> Response {
    Response {
        status: 200,
        headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
        body: text.into_bytes(),
    }
}

/// By which rules and when [`judge_client`] judges.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct JudgeRules {
    /// Seconds since the Unix epoch.
    pub now: i64,
    /// How many certificates a chain may have; a load balancer's limit where it is absent.
    pub deepest: Option<usize>,
    /// Whether the client's own certificate may have expired.
    pub ignore_expiry: bool,
    /// Whether the purpose of certificates does not count.
    pub any_purpose: bool,
}

/// Judges a client as a listener in mode `verify` does: for tests that compare this judge with another.
///
/// Everything is in DER, the client's own certificate is the first of `sent`.
///
/// # Errors
///
/// The reason of the connection log, if the client is refused.
#[doc(hidden)]
pub fn judge_client(
    sent: &[Vec<u8>],
    bundle: &[Vec<u8>],
    lists: &[Vec<u8>],
    rules: JudgeRules,
) -> Result<(), &'static str> {
    let applied = client::Rules {
        deepest: rules.deepest.unwrap_or(client::DEEPEST),
        ignore_expiry: rules.ignore_expiry,
        any_purpose: rules.any_purpose,
    };
    let trust = client::Trust::new(bundle, lists.to_vec(), applied);
    let sent: Vec<CertificateDer<'_>> = sent
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let now = rules.now.saturating_mul(1000);
    client::judge(&sent, &trust, now).map_err(client::Reason::code)
}
