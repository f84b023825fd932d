//! Connections to Network Load Balancers: passed on as they are, or after TLS was taken off.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::gate::Gates;
use super::listener::{Place, pause};
use super::tap::{Passed, Tap};
use super::target::{self, Choice};
use super::upstream::{self, PATIENCE, Trouble, Trust};
use super::{Connection, DataPlane};
use crate::sandbox::elbv2::action::Effect;

/// After how long without a byte a connection over TLS ends; AWS does not change it.
const TLS_IDLE: Duration = Duration::from_secs(350);

/// How a listener's connections are passed on.
struct Way {
    choice: Option<Choice>,
    is_secure: bool,
    idle: Duration,
}

/// Passes one connection on until it ends.
pub(super) async fn serve(
    plane: &Arc<DataPlane>,
    place: &Place,
    connection: Connection,
    stream: TcpStream,
) {
    let Some(way) = way(plane, &connection) else {
        return;
    };
    let (tap, passed) = Tap::new(stream);
    if !way.is_secure {
        return carry(plane, &connection, &way, (tap, &passed)).await;
    }
    let Some((gate, now)) = Gates::of(plane, place).await else {
        return;
    };
    let Ok((config, _)) = gate.open(now) else {
        return;
    };
    let shaken = TlsAcceptor::from(config).accept(tap);
    match tokio::time::timeout(PATIENCE, shaken).await {
        Ok(Ok(stream)) => carry(plane, &connection, &way, (stream, &passed)).await,
        Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
        Err(_) => {}
    }
}

/// Chooses a target by the listener as it is now.
fn way(plane: &DataPlane, connection: &Connection) -> Option<Way> {
    let account = plane.account();
    let world = &account.world;
    let elb = &world.regions.get(&connection.region)?.elbv2;
    let listener = elb.listeners.get(&connection.listener)?;
    let balancer = elb.load_balancers.get(&connection.load_balancer)?;
    let Effect::Forward { target_groups, .. } = &listener.default_action.effect else {
        return None;
    };
    let idle = listener.attribute("tcp.idle_timeout.seconds").parse();
    Some(Way {
        choice: target::choose(plane, world, connection, (balancer, target_groups)),
        is_secure: listener.is_secure(),
        idle: idle.map_or(TLS_IDLE, Duration::from_secs),
    })
}

/// Connects to the target and carries bytes both ways. Where that fails, the client is hung up on.
async fn carry<S>(
    plane: &Arc<DataPlane>,
    connection: &Connection,
    way: &Way,
    (client, passed): (S, &Passed),
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let target = way.choice.as_ref().and_then(Choice::target);
    let Some(target) = target else {
        tracing::info!(listener = connection.listener, "there is no target");
        return;
    };
    let carried = async {
        let (server, _source) = target::connect(plane, connection, target).await?;
        if target.is_secure {
            let server = upstream::secure(server, &Trust::Anything).await?;
            exchange(client, server, (way.idle, passed)).await;
        } else {
            exchange(client, server, (way.idle, passed)).await;
        }
        Ok::<(), Trouble>(())
    };
    if let Err(trouble) = carried.await {
        let target = &target.name;
        tracing::info!(target, ?trouble, "a target does not take a connection");
    }
}

/// Carries bytes until both sides have ended, or nothing has passed for too long.
async fn exchange<C, S>(mut client: C, mut server: S, (idle, passed): (Duration, &Passed))
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let copied = copy_bidirectional(&mut client, &mut server);
    let mut copied = std::pin::pin!(copied);
    loop {
        let rest = idle.saturating_sub(passed.idle());
        tokio::select! {
            ended = &mut copied => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = pause(rest.max(Duration::from_millis(10))) => {
                if passed.idle() >= idle {
                    return;
                }
            }
        }
    }
}
