//! Health checks of targets that registered servers stand for: these are asked for real.

use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use futures::future::join_all;
use hyper::Request;

use super::network::{Found, Place, from_node};
use super::upstream::{self, Trouble, Trust};
use super::{DataPlane, whole};
use crate::sandbox::elbv2::health::{HealthCheck, Outcome};
use crate::sandbox::elbv2::target::Target;
use crate::sandbox::elbv2::target_group::TargetGroup;
use crate::sandbox::world::{Region, World};

/// How long it takes from one look for checks that are due to the next.
const ROUND: Duration = Duration::from_millis(50);

/// How long a healthy target is left alone where states pass at once, in milliseconds.
const RESPITE: i64 = 500;

/// One check that is due.
struct Check {
    group: String,
    target: Target,
    settings: HealthCheck,
    /// Where the server is; none where packets to it are dropped.
    server: Option<SocketAddr>,
}

/// Makes the checks that are due, again and again, until the data plane is gone.
#[expect(
    clippy::disallowed_methods,
    reason = "the servers that are checked live in real time"
)]
pub(super) async fn run(plane: Weak<DataPlane>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let Some(plane) = plane.upgrade() else {
            return;
        };
        round(&plane).await;
    }
}

/// Makes the checks that are due now.
pub(super) async fn round(plane: &DataPlane) {
    let due = due(&plane.account().world);
    if due.is_empty() {
        return;
    }
    let outcomes = join_all(due.iter().map(outcome)).await;
    let mut account = plane.account();
    let world = &mut account.world;
    let now = world.now;
    for (check, outcome) in due.iter().zip(outcomes) {
        let group = (check.group.as_str(), &check.settings);
        world.observed.note(group, &check.target, (outcome, now));
    }
    forget_gone(world);
}

/// Forgets what was seen of targets that are not there any more.
fn forget_gone(world: &mut World) {
    let mut observed = std::mem::take(&mut world.observed);
    observed.retain(|group, target| {
        let mut regions = world.regions.values();
        regions.any(|region| {
            let group = region.elbv2.target_groups.get(group);
            group.is_some_and(|group| group.targets.contains_key(target))
        })
    });
    world.observed = observed;
}

/// The checks that are due of the whole account.
fn due(world: &World) -> Vec<Check> {
    if world.hosts.is_empty() {
        return Vec::new();
    }
    let regions = world.regions.iter();
    let all = regions.flat_map(|(name, region)| {
        let groups = region.elbv2.target_groups.values();
        groups.flat_map(move |group| due_of_group(world, (name, region), group))
    });
    all.collect()
}

fn due_of_group(world: &World, (name, region): (&str, &Region), group: &TargetGroup) -> Vec<Check> {
    let users = region.elbv2.users_of_target_group(&group.arn);
    let balancer = users
        .first()
        .and_then(|arn| region.elbv2.load_balancers.get(arn));
    let Some(balancer) = balancer.filter(|balancer| balancer.is_active(world.now)) else {
        return Vec::new();
    };
    let description = balancer.interface_description();
    let Some(node) = region.ec2.network_interfaces(&description).next() else {
        return Vec::new();
    };
    let check = &group.health_check;
    let interval = check.interval.saturating_mul(1000);
    let present = group.targets.values().filter(|target| {
        let seen = world.observed.last(&group.arn, target);
        let is_due = seen.is_none_or(|(at, is_healthy)| match (world.instant, is_healthy) {
            (true, true) => world.now >= at.saturating_add(RESPITE),
            (true, false) => true,
            (false, _) => world.now >= at.saturating_add(interval),
        });
        target.is_present(world.now) && !target.is_draining() && is_due
    });
    let checks = present.filter_map(|target| {
        let port = u16::try_from(check.port_of(target)).ok()?;
        let at = (target.id.as_str(), port);
        let server = match from_node(world, name, (balancer, node.address), at) {
            Found::At(Place::Host(server)) => Some(server),
            // Dropped on the way to a server that is there.
            Found::Dropped if world.hosts.contains_key(&format!("{}:{port}", target.id)) => None,
            _ => return None,
        };
        Some(Check {
            group: group.arn.clone(),
            target: target.clone(),
            settings: check.clone(),
            server,
        })
    });
    checks.collect()
}

/// Makes a check.
async fn outcome(check: &Check) -> Outcome {
    let Some(server) = check.server else {
        return Outcome::TimedOut;
    };
    let seconds = u64::try_from(check.settings.timeout).unwrap_or(1);
    let patience = Duration::from_secs(seconds);
    let asked = tokio::time::timeout(patience, ask(check, server, patience)).await;
    match asked {
        Ok(Ok(status)) => Outcome::Answered(status),
        Ok(Err(Trouble::TimedOut)) | Err(_) => Outcome::TimedOut,
        Ok(Err(_)) => Outcome::Failed,
    }
}

/// Asks a server as ELB does: its address is the host.
async fn ask(check: &Check, server: SocketAddr, patience: Duration) -> Result<u16, Trouble> {
    if check.settings.is_tcp() {
        // A connection is all that is wanted; any status will do.
        return upstream::connect(server).await.map(|_| 200);
    }
    let port = check.settings.port_of(&check.target);
    let is_secure = check.settings.protocol == "HTTPS";
    let host = match (is_secure, port) {
        (true, 443) | (false, 80) => check.target.id.clone(),
        _ => format!("{}:{port}", check.target.id),
    };
    let request = Request::builder()
        .uri(check.settings.path.as_str())
        .header("Host", host)
        .header("Connection", "close")
        .header("User-Agent", "ELB-HealthChecker/2.0")
        .body(whole(""))
        .map_err(|error| Trouble::Malformed(error.to_string()))?;
    let stream = upstream::connect(server).await?;
    let response = if is_secure {
        let stream = upstream::secure(stream, &Trust::Anything).await?;
        upstream::send(stream, request, patience).await?
    } else {
        upstream::send(stream, request, patience).await?
    };
    Ok(response.status().as_u16())
}
