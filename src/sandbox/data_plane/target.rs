//! Targets: which one a request goes to, and what comes of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpStream;

use super::front::Source;
use super::network::{Found, Place, from_node};
use super::route::{RequestRecord, page, strip};
use super::upstream::{self, Trouble, Trust};
use super::{Body, Connection, DataPlane, front};
use crate::sandbox::elbv2::health::health;
use crate::sandbox::elbv2::load_balancer::LoadBalancer;
use crate::sandbox::elbv2::target::Target;
use crate::sandbox::elbv2::target_group::TargetGroup;
use crate::sandbox::world::World;

/// How long a time-out takes here that the model of the network knows of: on AWS it is ten seconds.
const TIME_OUT: Duration = Duration::from_millis(100);

/// Where a request goes.
pub(super) struct Choice {
    /// The target group's ARN.
    group: String,
    /// The target; none where the group has none that could be asked.
    target: Option<Chosen>,
    /// How long a target may be silent.
    patience: Duration,
}

/// A target that was chosen.
pub(super) struct Chosen {
    /// `10.0.1.5:443`.
    pub(super) name: String,
    /// Whether it is spoken to over TLS.
    pub(super) is_secure: bool,
    found: Found,
}

impl Choice {
    /// The target; none where there is none that could be connected to.
    pub(super) fn target(&self) -> Option<&Chosen> {
        self.target.as_ref()
    }
}

/// Waits as long as a time-out takes that the model of the network knows of.
#[expect(
    clippy::disallowed_methods,
    reason = "this stands for the network's time, which no clock of ours speeds up"
)]
pub(super) async fn time_out() {
    tokio::time::sleep(TIME_OUT).await;
}

/// Chooses a target group by the weights and a target of it; none where no group has a weight.
pub(super) fn choose(
    plane: &DataPlane,
    world: &World,
    connection: &Connection,
    (balancer, groups): (&LoadBalancer, &[(String, i64)]),
) -> Option<Choice> {
    let turn = plane.turns.fetch_add(1, Ordering::Relaxed);
    let arn = weighted(groups, turn)?;
    let elb = &world.regions.get(&connection.region)?.elbv2;
    let group = elb.target_groups.get(arn)?;
    let idle = balancer.attribute("idle_timeout.timeout_seconds");
    let target = next(world, &connection.region, group, turn).map(|target| {
        let port = u16::try_from(target.port).unwrap_or_default();
        Chosen {
            name: format!("{}:{port}", target.id),
            is_secure: matches!(group.protocol.as_str(), "HTTPS" | "TLS"),
            found: from_node(
                world,
                &connection.region,
                (balancer, connection.node),
                (&target.id, port),
            ),
        }
    });
    Some(Choice {
        group: arn.to_owned(),
        target,
        patience: Duration::from_secs(idle.parse().unwrap_or(60)),
    })
}

/// The group whose turn it is.
fn weighted(groups: &[(String, i64)], turn: u64) -> Option<&str> {
    let weight = |weight: i64| u64::try_from(weight).unwrap_or_default();
    let all: u64 = groups.iter().map(|(_, each)| weight(*each)).sum();
    let mut place = turn.checked_rem(all)?;
    for (arn, each) in groups {
        if place < weight(*each) {
            return Some(arn);
        }
        place -= weight(*each);
    }
    None
}

/// The target whose turn it is: of the healthy ones, or of all where none is healthy.
fn next<'g>(world: &World, region: &str, group: &'g TargetGroup, turn: u64) -> Option<&'g Target> {
    let present = group
        .targets
        .values()
        .filter(|target| target.is_present(world.now));
    let with_state: Vec<(&'g Target, &str)> = present
        .map(|target| (target, health(world, region, group, target).state))
        .collect();
    let those = |wanted: &[&str]| -> Vec<&'g Target> {
        let fitting = with_state
            .iter()
            .filter(|(_, state)| wanted.contains(state));
        fitting.map(|(target, _)| *target).collect()
    };
    let healthy = those(&["healthy"]);
    let candidates = if healthy.is_empty() {
        those(&["initial", "unhealthy"])
    } else {
        healthy
    };
    let place = usize::try_from(turn).ok()?.checked_rem(candidates.len())?;
    Some(candidates[place])
}

/// Sends a request to the target that was chosen, and its answer back.
pub(super) async fn forward(
    plane: &Arc<DataPlane>,
    connection: &Connection,
    (choice, request): (Option<&Choice>, Request<Body>),
    record: &mut RequestRecord,
) -> Response<Body> {
    let began = Instant::now();
    record.target_group = choice.map(|choice| choice.group.clone());
    let target = choice.and_then(|choice| choice.target.as_ref());
    let (Some(choice), Some(target)) = (choice, target) else {
        return page(StatusCode::SERVICE_UNAVAILABLE);
    };
    record.target = Some(target.name.clone());
    let sent = began.elapsed().as_secs_f64();
    let answered = ask(plane, connection, target, (request, choice.patience)).await;
    let (status, reason) = match answered {
        Ok(response) => {
            let all = began.elapsed().as_secs_f64();
            record.times = Some([sent, all - sent, 0.0]);
            record.target_status = Some(response.status().as_u16());
            return passed_on(response);
        }
        Err(Trouble::TimedOut) => (StatusCode::GATEWAY_TIMEOUT, "timed out".to_owned()),
        Err(
            Trouble::Refused(reason)
            | Trouble::Tls(reason)
            | Trouble::Alert(reason)
            | Trouble::Untrusted(reason)
            | Trouble::Malformed(reason),
        ) => (StatusCode::BAD_GATEWAY, reason),
    };
    let (target, status_code) = (&target.name, status.as_u16());
    tracing::info!(target, status_code, reason, "a target did not answer");
    record.times = Some([sent, -1.0, -1.0]);
    page(status)
}

/// Asks a target.
async fn ask(
    plane: &Arc<DataPlane>,
    connection: &Connection,
    target: &Chosen,
    (request, patience): (Request<Body>, Duration),
) -> Result<Response<Incoming>, Trouble> {
    // The source is held until the answer's head is there: by then an endpoint has asked for it.
    let (stream, _source) = connect(plane, connection, target).await?;
    if target.is_secure {
        let stream = upstream::secure(stream, &Trust::Anything).await?;
        upstream::send(stream, request, patience).await
    } else {
        upstream::send(stream, request, patience).await
    }
}

/// Connects to a target; the source says for as long as it lives who is calling.
pub(super) async fn connect<'p>(
    plane: &'p Arc<DataPlane>,
    connection: &Connection,
    target: &Chosen,
) -> Result<(TcpStream, Option<Source<'p>>), Trouble> {
    let (socket, is_endpoint) = match &target.found {
        Found::Dropped => {
            time_out().await;
            return Err(Trouble::TimedOut);
        }
        Found::Refused(reason) => return Err(Trouble::Refused(reason.clone())),
        Found::At(Place::Host(server)) => (*server, false),
        Found::At(Place::Endpoint(region, id)) => {
            let socket = front::socket(plane, region, Some(id));
            (
                socket.map_err(|error| Trouble::Refused(error.to_string()))?,
                true,
            )
        }
        Found::At(_) => return Err(Trouble::Refused("nothing listens there".to_owned())),
    };
    let stream = upstream::connect(socket).await?;
    let source = is_endpoint
        .then(|| plane.fronts.source(&stream, connection.node))
        .flatten();
    Ok((stream, source))
}

/// A target's answer as the client gets it.
fn passed_on(response: Response<Incoming>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    strip(&mut head.headers);
    head.version = hyper::Version::HTTP_11;
    Response::from_parts(head, body.map_err(Into::into).boxed())
}
