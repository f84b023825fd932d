//! What the clients of a load balancer would notice: that it does not serve them, and why.

use super::action::Effect;
use super::health::health;
use super::listener::Listener;
use super::load_balancer::LoadBalancer;
use crate::sandbox::world::{Region, World};

/// Why the load balancer of a DNS name does not serve its clients; nothing if it does, and nothing
/// of a name that no load balancer of the region can have.
pub(in crate::sandbox) fn outages(world: &World, region: &str, dns_name: &str) -> Vec<String> {
    let suffixes = [
        format!(".{region}.elb.amazonaws.com"),
        format!(".elb.{region}.amazonaws.com"),
    ];
    if !suffixes.iter().any(|suffix| dns_name.ends_with(suffix)) {
        return Vec::new();
    }
    let Some(in_region) = world.regions.get(region) else {
        return Vec::new();
    };
    let mut all = in_region.elbv2.load_balancers.values();
    let Some(load_balancer) = all.find(|one| one.dns_name == dns_name) else {
        return vec!["is gone".to_owned()];
    };
    if !load_balancer.is_active(world.now) {
        return vec!["is not active yet".to_owned()];
    }
    let listeners = listeners(in_region, load_balancer);
    if listeners.is_empty() {
        return vec!["does not listen".to_owned()];
    }
    let of_listener = |listener| of_listener(world, (region, in_region), listener);
    listeners.into_iter().flat_map(of_listener).collect()
}

/// Why a load balancer does not serve those who connect to one of its ports; nothing if it does.
pub(in crate::sandbox) fn at_port(
    world: &World,
    region: &str,
    arn: &str,
    port: u16,
) -> Vec<String> {
    let Some(in_region) = world.regions.get(region) else {
        return Vec::new();
    };
    let Some(load_balancer) = in_region.elbv2.load_balancers.get(arn) else {
        return vec!["is gone".to_owned()];
    };
    if !load_balancer.is_active(world.now) {
        return vec!["is not active yet".to_owned()];
    }
    let mut listeners = listeners(in_region, load_balancer).into_iter();
    match listeners.find(|listener| listener.port == i64::from(port)) {
        Some(listener) => of_listener(world, (region, in_region), listener),
        None => vec![format!("does not listen on port {port}")],
    }
}

/// The listeners that clients are served by; those that only redirect are none.
fn listeners<'r>(in_region: &'r Region, load_balancer: &LoadBalancer) -> Vec<&'r Listener> {
    let all = in_region.elbv2.listeners.values();
    let serving = all.filter(|listener| {
        listener.load_balancer == load_balancer.arn && listener.protocol != "HTTP"
    });
    serving.collect()
}

fn of_listener(
    world: &World,
    (region, in_region): (&str, &Region),
    listener: &Listener,
) -> Vec<String> {
    let elb = &in_region.elbv2;
    let mut outages = Vec::new();
    if let Some(arn) = listener.mutual_authentication.trust_store() {
        let trust_store = elb.trust_stores.get(arn);
        if !trust_store.is_some_and(|one| one.is_active(world.now)) {
            outages.push(format!("verifies by {arn}, which is not active"));
        }
    }
    if let Effect::Forward { target_groups, .. } = &listener.default_action.effect {
        let used = target_groups.iter().filter(|(_, weight)| *weight > 0);
        for group in used.filter_map(|(arn, _)| elb.target_groups.get(arn)) {
            let is_healthy = |target| health(world, region, group, target).state == "healthy";
            if !group.targets.values().any(is_healthy) {
                let (port, name) = (listener.port, &group.name);
                outages.push(format!(
                    "forwards port {port} to {name}, which has no healthy target"
                ));
            }
        }
    }
    outages
}
