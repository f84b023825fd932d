//! The simulated network: what is at an address and a port, as one that connects there sees it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sha2::{Digest, Sha256};

use super::{dns, petstore};
use crate::sandbox::ec2::Direction;
use crate::sandbox::elbv2::load_balancer::LoadBalancer;
use crate::sandbox::world::{Region, World};

/// What is at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Place {
    /// The listener of that ARN.
    Listener(String),
    /// An interface of a VPC endpoint: its region and the endpoint's id.
    Endpoint(String, String),
    /// API Gateway's public addresses in a region.
    Front(String),
    /// A server that was registered.
    Host(SocketAddr),
    /// AWS's demonstration backend.
    PetStore,
}

/// What comes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Found {
    /// It is taken there.
    At(Place),
    /// It is refused; the text says what is missing.
    Refused(String),
    /// Its packets are dropped, so that it times out.
    Dropped,
}

/// Whose a public address is.
#[derive(Clone, Copy)]
enum Owner<'w> {
    /// A node of a load balancer, in a region.
    Node(&'w Region, &'w LoadBalancer),
    /// API Gateway in a region.
    Front(&'w str),
}

/// How many public addresses API Gateway has in a region.
const FRONTS: u8 = 2;

/// The address that load balancers see what comes by VPC links at. On AWS it is one of a network of
/// API Gateway's own; none that a security group would name (of RFC 6598).
pub(super) const LINKS_AT: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 10);

/// The network that public addresses of load balancers are of (TEST-NET-3), and the one that API
/// Gateway's are of (TEST-NET-1): nobody on the real internet has an address of either.
const NODES_AT: [u8; 3] = [203, 0, 113];
const FRONTS_AT: [u8; 3] = [192, 0, 2];

/// All public addresses with their owners.
///
/// An address follows from its owner's id, so that it stays the same for as long as that is there.
fn public(world: &World) -> BTreeMap<Ipv4Addr, Owner<'_>> {
    let mut addresses = BTreeMap::new();
    for (name, region) in &world.regions {
        for number in 0..FRONTS {
            let id = format!("{name} {number}");
            take(&mut addresses, FRONTS_AT, &id, Owner::Front(name));
        }
        for balancer in region.elbv2.load_balancers.values() {
            if balancer.scheme != "internet-facing" {
                continue;
            }
            let description = balancer.interface_description();
            for node in region.ec2.network_interfaces(&description) {
                take(
                    &mut addresses,
                    NODES_AT,
                    &node.id,
                    Owner::Node(region, balancer),
                );
            }
        }
    }
    addresses
}

/// Gives an owner the address that follows from an id, or the next that is free; a benchmarking
/// network has room for those that the first is too small for.
fn take<'w>(
    addresses: &mut BTreeMap<Ipv4Addr, Owner<'w>>,
    [first, second, third]: [u8; 3],
    id: &str,
    owner: Owner<'w>,
) {
    let digest = Sha256::digest(id);
    let start = digest[0];
    let near = (0..254).map(|step| {
        let last = (u16::from(start) + step) % 254 + 1;
        Ipv4Addr::new(first, second, third, u8::try_from(last).unwrap_or(1))
    });
    let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    let far = (0..1 << 17).map(|step| Ipv4Addr::from(base + step));
    let free = near
        .chain(far)
        .find(|address| !addresses.contains_key(address));
    if let Some(address) = free {
        addresses.insert(address, owner);
    }
}

/// The public addresses of a load balancer's nodes.
pub(super) fn node_addresses(world: &World, balancer: &LoadBalancer) -> Vec<Ipv4Addr> {
    let public = public(world);
    let nodes = public
        .iter()
        .filter(|(_, owner)| matches!(owner, Owner::Node(_, known) if known.arn == balancer.arn));
    nodes.map(|(address, _)| *address).collect()
}

/// The public addresses of API Gateway in a region.
pub(super) fn front_addresses(world: &World, region: &str) -> Vec<Ipv4Addr> {
    let public = public(world);
    let fronts = public
        .iter()
        .filter(|(_, owner)| matches!(owner, Owner::Front(known) if *known == region));
    fronts.map(|(address, _)| *address).collect()
}

/// Whether an address is one that the internet has no route to.
fn is_private(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    address.is_private() || shared || address.is_loopback() || address.is_link_local()
}

/// What a client outside of all VPCs finds.
pub(in crate::sandbox) fn from_outside(
    world: &World,
    client: IpAddr,
    (address, port): (Ipv4Addr, u16),
) -> Found {
    if is_private(address) {
        return Found::Dropped;
    }
    if let Some(server) = world.hosts.get(&format!("{address}:{port}")) {
        return Found::At(Place::Host(*server));
    }
    match public(world).get(&address).copied() {
        Some(Owner::Front(region)) if port == 443 => Found::At(Place::Front(region.to_owned())),
        Some(Owner::Front(_)) => Found::Dropped,
        Some(Owner::Node(region, balancer)) => at_node(world, client, (region, balancer), port),
        None => Found::Refused(format!("nothing is at {address}")),
    }
}

/// What a client outside finds at a node of a load balancer.
fn at_node(
    world: &World,
    client: IpAddr,
    (region, balancer): (&Region, &LoadBalancer),
    port: u16,
) -> Found {
    let admitted = match client {
        IpAddr::V4(client) => {
            let peer = (client, &[][..]);
            balancer.admits(&region.ec2, Direction::Ingress, peer, port)
        }
        IpAddr::V6(_) => false,
    };
    if !admitted {
        return Found::Dropped;
    }
    listener_at(world, (region, balancer), port)
}

/// The listener of a load balancer on a port.
fn listener_at(world: &World, (region, balancer): (&Region, &LoadBalancer), port: u16) -> Found {
    let mut listeners = region.elbv2.listeners.values();
    let listener = listeners.find(|listener| {
        listener.load_balancer == balancer.arn && listener.port == i64::from(port)
    });
    match listener {
        Some(listener) if balancer.is_active(world.now) => {
            Found::At(Place::Listener(listener.arn.clone()))
        }
        Some(_) => Found::Refused(format!(
            "the load balancer {} is not active yet",
            balancer.name
        )),
        None => Found::Refused(format!(
            "the load balancer {} has no listener on port {port}",
            balancer.name
        )),
    }
}

/// What a node of a load balancer, by its private address, finds at a target: an address or an
/// instance.
pub(in crate::sandbox) fn from_node(
    world: &World,
    region: &str,
    (balancer, node): (&LoadBalancer, Ipv4Addr),
    (target, port): (&str, u16),
) -> Found {
    let registered = world.hosts.get(&format!("{target}:{port}"));
    let Ok(address) = target.parse::<Ipv4Addr>() else {
        return match registered {
            Some(server) => Found::At(Place::Host(*server)),
            None => Found::Refused(format!(
                "no server stands for {target}; `mtlsgw sandbox host {target}:{port} \
                 127.0.0.1:PORT` registers one"
            )),
        };
    };
    let Some(content) = world.regions.get(region) else {
        return Found::Dropped;
    };
    let ec2 = &content.ec2;
    let interface = ec2.interface_at(&balancer.vpc, address);
    let groups_there = interface.map_or(&[][..], |interface| interface.groups.as_slice());
    let groups = balancer.security_groups.as_slice();
    if !balancer.admits(ec2, Direction::Egress, (address, groups_there), port) {
        return Found::Dropped;
    }
    if let Some(server) = registered {
        return Found::At(Place::Host(*server));
    }
    let endpoint = ec2.endpoint_at(&balancer.vpc, address);
    match (interface, endpoint) {
        (Some(interface), Some(endpoint)) => {
            let enters = ec2.admits(groups_there, Direction::Ingress, (node, groups), port);
            // An endpoint listens on 443 alone, and drops everything else.
            if enters && port == 443 && endpoint.answers(interface, world.now) {
                Found::At(Place::Endpoint(region.to_owned(), endpoint.id.clone()))
            } else {
                Found::Dropped
            }
        }
        // Nobody has the address, or somebody who does not answer strangers.
        _ => Found::Dropped,
    }
}

/// Where the listener of a VPC link's load balancer is, by the port of the integration's address;
/// names do not matter on this way.
pub(super) fn by_link(world: &World, region: &str, link: &str, port: u16) -> Result<Found, String> {
    let content = world.regions.get(region);
    let known = content.and_then(|content| content.apigateway.vpc_links.get(link));
    let (Some(content), Some(known)) = (content, known) else {
        return Err(format!("the VPC link {link} is not there"));
    };
    let status = known.status(world.now);
    if status != "AVAILABLE" {
        return Err(format!("the VPC link {link} is {status}"));
    }
    let Some(balancer) = content.elbv2.load_balancers.get(&known.target) else {
        return Err(format!("the load balancer of the VPC link {link} is gone"));
    };
    let peer = (LINKS_AT, &[][..]);
    let is_asked = balancer.enforces_on_private_link;
    if is_asked && !balancer.admits(&content.ec2, Direction::Ingress, peer, port) {
        return Ok(Found::Dropped);
    }
    Ok(listener_at(world, (content, balancer), port))
}

/// What API Gateway's integrations find at a host of the internet; `None` where the name does not
/// resolve.
pub(super) fn from_gateway(world: &World, region: &str, host: &str, port: u16) -> Option<Found> {
    if let Some(server) = world.hosts.get(&format!("{host}:{port}")) {
        return Some(Found::At(Place::Host(*server)));
    }
    if petstore::is_at(host) {
        return Some(if matches!(port, 80 | 443) {
            Found::At(Place::PetStore)
        } else {
            Found::Dropped
        });
    }
    let address = dns::addresses(world, host).into_iter().next()?;
    let source = front_addresses(world, region).into_iter().next()?;
    Some(from_outside(world, source.into(), (address, port)))
}
