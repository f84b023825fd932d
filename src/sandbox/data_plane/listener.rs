//! The sockets: one for each listener of each load balancer, whom they let in, and what is told of
//! them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::network::LINKS_AT;
use super::{Connection, DataPlane, http, pass};
use crate::sandbox::ec2::Direction;
use crate::sandbox::elbv2::listener::Listener;
use crate::sandbox::elbv2::load_balancer::LoadBalancer;
use crate::sandbox::elbv2::network::Type;
use crate::sandbox::elbv2::tls_policy::TlsPolicy;
use crate::sandbox::world::World;

/// How many connections a listener has at most; more wait to be accepted.
const CONNECTIONS: usize = 2_048;

/// How many connections that security groups drop are held open at most, so that their clients run
/// into a time-out as they would on AWS.
const DROPPED: usize = 128;

/// How long a client's connection attempt takes to time out where packets are dropped.
const TIME_OUT: Duration = Duration::from_mins(2);

/// The sockets of all listeners by ARN, and the state of the account that they stand for.
#[derive(Default)]
pub(super) struct Sockets {
    open: BTreeMap<String, Socket>,
    seen: Option<Arc<[u8]>>,
    is_closed: bool,
}

/// The socket of one listener.
struct Socket {
    region: String,
    address: SocketAddr,
    /// What was told of it.
    told: Option<(String, String, i64)>,
    /// Ends accepting and all connections when it is dropped.
    _open: watch::Sender<()>,
}

/// A listener that clients can connect to.
#[derive(Debug, Clone)]
pub struct Appeared {
    /// The name that leads to it.
    pub name: String,
    /// `HTTP`, `HTTPS`, `TCP` or `TLS`.
    pub protocol: String,
    /// The listener's port.
    pub port: i64,
    /// The loopback socket that stands for it.
    pub address: SocketAddr,
    /// What its security policy allows and the sandbox cannot speak.
    pub gaps: Vec<String>,
}

impl fmt::Display for Appeared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            protocol,
            port,
            address,
            gaps,
        } = self;
        let scheme = protocol.to_ascii_lowercase();
        writeln!(formatter, "listener {scheme}://{name}:{port} at {address}")?;
        if matches!(scheme.as_str(), "tcp" | "tls") {
            return gaps
                .iter()
                .try_for_each(|gap| writeln!(formatter, "  not spoken here: {gap}"));
        }
        let standard = matches!((scheme.as_str(), port), ("http", 80) | ("https", 443));
        let url = if standard {
            format!("{scheme}://{name}/")
        } else {
            format!("{scheme}://{name}:{port}/")
        };
        writeln!(
            formatter,
            "  curl --connect-to {name}:{port}:{}:{} {url}",
            address.ip(),
            address.port()
        )?;
        for gap in gaps {
            writeln!(formatter, "  not spoken here: {gap}")?;
        }
        Ok(())
    }
}

/// A listener that is to have a socket.
struct Wanted {
    region: String,
    arn: String,
    load_balancer: String,
    name: String,
    protocol: String,
    port: i64,
    policy: Option<String>,
}

/// All listeners of the account.
fn wanted(world: &World) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (region, content) in &world.regions {
        for listener in content.elbv2.listeners.values() {
            let Some(load_balancer) = content.elbv2.load_balancers.get(&listener.load_balancer)
            else {
                continue;
            };
            wanted.push(Wanted {
                region: region.clone(),
                arn: listener.arn.clone(),
                load_balancer: listener.load_balancer.clone(),
                name: name_of(world, region, load_balancer, listener),
                protocol: listener.protocol.clone(),
                port: listener.port,
                policy: listener.ssl_policy.clone(),
            });
        }
    }
    wanted
}

/// The name that clients know a listener by: that of an alias record, else of its certificate, else
/// of its load balancer.
fn name_of(world: &World, region: &str, balancer: &LoadBalancer, listener: &Listener) -> String {
    let dns_name = balancer.dns_name.as_str();
    let mut aliases = world.route53.aliases();
    let alias = aliases.find(|(_, target)| target.eq_ignore_ascii_case(dns_name));
    let certificate = listener.certificate.as_deref().and_then(|arn| {
        let certificate = world.regions.get(region)?.acm.certificate(arn)?;
        let name = certificate.domain_name();
        (!name.starts_with('*') && name.contains('.')).then_some(name)
    });
    let name = alias.map(|(name, _)| name).or(certificate);
    name.unwrap_or(dns_name).to_owned()
}

/// See [`DataPlane::reconcile`].
pub(super) fn reconcile(plane: &Arc<DataPlane>) {
    let mut sockets = plane.sockets();
    if sockets.is_closed {
        return;
    }
    let wanted = {
        let account = plane.account();
        let now = account.store.snapshot();
        if sockets
            .seen
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, &now))
        {
            return;
        }
        sockets.seen = Some(now);
        wanted(&account.world)
    };
    plane
        .gates
        .retain(|arn| wanted.iter().any(|listener| listener.arn == arn));
    sockets
        .open
        .retain(|arn, _| wanted.iter().any(|listener| listener.arn == *arn));
    for listener in wanted {
        let known = sockets.open.remove(&listener.arn);
        let socket = match known {
            Some(socket) => Ok(socket),
            None => open(plane, &listener),
        };
        match socket {
            Ok(mut socket) => {
                tell(plane, &mut socket, &listener);
                sockets.open.insert(listener.arn, socket);
            }
            Err(error) => {
                tracing::error!(%error, listener = listener.arn, "a listener has no socket");
            }
        }
    }
}

/// Opens a listener's socket, and accepts what comes.
fn open(plane: &Arc<DataPlane>, listener: &Wanted) -> std::io::Result<Socket> {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    let address = socket.local_addr()?;
    let (open, closing) = watch::channel(());
    let place = Place {
        region: listener.region.clone(),
        listener: listener.arn.clone(),
        load_balancer: listener.load_balancer.clone(),
    };
    tokio::spawn(accept(Arc::clone(plane), place, socket, closing));
    Ok(Socket {
        region: listener.region.clone(),
        address,
        told: None,
        _open: open,
    })
}

/// Tells of a listener that is new, or has a new name.
fn tell(plane: &DataPlane, socket: &mut Socket, listener: &Wanted) {
    let now = (
        listener.name.clone(),
        listener.protocol.clone(),
        listener.port,
    );
    if socket.told.as_ref() == Some(&now) {
        return;
    }
    socket.told = Some(now);
    let policy = listener.policy.as_deref().and_then(TlsPolicy::named);
    let appeared = Appeared {
        name: listener.name.clone(),
        protocol: listener.protocol.clone(),
        port: listener.port,
        address: socket.address,
        gaps: policy.map(super::tls::gaps).unwrap_or_default(),
    };
    // Nobody listens unless this process serves.
    _ = plane.appeared.send(appeared);
}

/// The answer of `GET listeners`.
pub(super) fn listed(plane: &Arc<DataPlane>) -> Value {
    reconcile(plane);
    let sockets = plane.sockets();
    let wanted = wanted(&plane.account().world);
    let each = wanted.iter().filter_map(|listener| {
        let socket = sockets.open.get(&listener.arn)?;
        Some(json!({
            "region": socket.region,
            "load_balancer": listener.load_balancer,
            "listener": listener.arn,
            "name": listener.name,
            "protocol": listener.protocol,
            "port": listener.port,
            "address": socket.address.to_string(),
        }))
    });
    each.collect()
}

/// The socket of a listener, if it has one.
pub(super) fn address(plane: &DataPlane, listener: &str) -> Option<SocketAddr> {
    Some(plane.sockets().open.get(listener)?.address)
}

/// See [`DataPlane::close`].
pub(super) fn close(plane: &DataPlane) {
    let mut sockets = plane.sockets();
    sockets.is_closed = true;
    sockets.open.clear();
}

/// Which listener a socket stands for.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) region: String,
    pub(super) listener: String,
    pub(super) load_balancer: String,
}

/// Accepts connections until the listener is gone.
async fn accept(
    plane: Arc<DataPlane>,
    place: Place,
    socket: TcpListener,
    mut closing: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let dropped = Arc::new(AtomicUsize::new(0));
    loop {
        let next = async {
            let permit = Arc::clone(&places).acquire_owned().await;
            (permit, socket.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            _ = closing.changed() => return,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors: what is under way has to end first.
                tracing::warn!(%error, "a connection is not accepted");
                pause(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (plane, place, dropped) = (Arc::clone(&plane), place.clone(), Arc::clone(&dropped));
        let mut closing = closing.clone();
        tokio::spawn(async move {
            let served = admit(&plane, &place, stream, peer, &dropped);
            tokio::select! {
                () = served => {}
                _ = closing.changed() => {}
            }
            drop(permit);
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this waits for other connections or for the network, which no clock of ours speeds up"
)]
pub(super) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// What becomes of a connection before its first byte.
enum Admission {
    /// The load balancer is not there, or not there yet.
    Refused,
    /// Security groups drop the client's packets.
    Dropped,
    /// This node of the load balancer takes it.
    Taken(Ipv4Addr, Type),
}

async fn admit(
    plane: &Arc<DataPlane>,
    place: &Place,
    stream: TcpStream,
    peer: SocketAddr,
    dropped: &AtomicUsize,
) {
    let admission = admission(plane, place, peer.port());
    match admission {
        Admission::Refused => {}
        Admission::Dropped => {
            if dropped.fetch_add(1, Ordering::AcqRel) < DROPPED {
                pause(TIME_OUT).await;
            }
            dropped.fetch_sub(1, Ordering::AcqRel);
        }
        Admission::Taken(node, kind) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps Nagle's algorithm");
            }
            let connection = Connection {
                region: place.region.clone(),
                listener: place.listener.clone(),
                load_balancer: place.load_balancer.clone(),
                node,
                client: SocketAddr::new(plane.client_address(), peer.port()),
                tls: None,
                certificates: Vec::new(),
                trace: format!("TID_{}", plane.unique_hex(32)),
            };
            match kind {
                Type::Application => http::serve(plane, place, connection, stream).await,
                Type::Network => pass::serve(plane, place, connection, stream).await,
            }
        }
    }
}

/// Asks the load balancer and its security groups; clients are spread over the nodes by their port.
fn admission(plane: &DataPlane, place: &Place, client_port: u16) -> Admission {
    let account = plane.account();
    let world = &account.world;
    let Some(region) = world.regions.get(&place.region) else {
        return Admission::Refused;
    };
    let balancer = region.elbv2.load_balancers.get(&place.load_balancer);
    let listener = region.elbv2.listeners.get(&place.listener);
    let (Some(balancer), Some(listener)) = (balancer, listener) else {
        return Admission::Refused;
    };
    if !balancer.is_active(world.now) {
        return Admission::Refused;
    }
    let ours = plane.fronts.source_of(client_port);
    let client = match (ours, plane.client_address()) {
        (Some(ours), _) => ours,
        (None, IpAddr::V4(client)) => client,
        (None, IpAddr::V6(_)) => return Admission::Dropped,
    };
    let port = u16::try_from(listener.port).unwrap_or_default();
    let is_asked = ours != Some(LINKS_AT) || balancer.enforces_on_private_link;
    if is_asked && !balancer.admits(&region.ec2, Direction::Ingress, (client, &[]), port) {
        return Admission::Dropped;
    }
    let description = balancer.interface_description();
    let nodes: Vec<Ipv4Addr> = region
        .ec2
        .network_interfaces(&description)
        .map(|interface| interface.address)
        .collect();
    let index = usize::from(client_port).checked_rem(nodes.len());
    let taken = |index: usize| Admission::Taken(nodes[index], balancer.kind);
    index.map_or(Admission::Refused, taken)
}
