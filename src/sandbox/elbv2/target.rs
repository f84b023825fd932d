//! Targets: registered, draining, gone.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::target_group::TargetGroup;
use super::{invalid, state};
use crate::sandbox::world::{Call, Refusal, World};

/// A target of a target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Target {
    /// An address or an instance.
    pub(in crate::sandbox) id: String,
    /// The port that it is reached on.
    pub(in crate::sandbox) port: i64,
    /// The availability zone of an address, `all` outside of the VPC.
    pub(in crate::sandbox) zone: Option<String>,
    /// When it was registered, in milliseconds.
    pub(super) registered: i64,
    /// When it is gone, once it was deregistered.
    pub(super) drained: Option<i64>,
}

impl Target {
    /// Whether it is still in the group, be it only to finish what it has begun.
    pub(in crate::sandbox) fn is_present(&self, now: i64) -> bool {
        self.drained.is_none_or(|drained| now < drained)
    }

    /// Whether it was deregistered, so that it gets no new requests.
    pub(in crate::sandbox) fn is_draining(&self) -> bool {
        self.drained.is_some()
    }

    /// The `TargetDescription` structure.
    pub(super) fn describe(&self) -> Value {
        json!({"Id": self.id, "Port": self.port, "AvailabilityZone": self.zone})
    }
}

/// What identifies a target in its group: one id on two ports is two targets.
pub(super) fn key(id: &str, port: i64) -> String {
    format!("{id} {port:05}")
}

/// A target as a call names it.
pub(super) struct Named<'a> {
    /// An address or an instance.
    pub(super) id: &'a str,
    /// The given port, else the group's.
    pub(super) port: i64,
    zone: Option<&'a str>,
}

/// The `Targets` of the call.
pub(super) fn named<'a>(call: &Call<'a>, group: &TargetGroup) -> Result<Vec<Named<'a>>, Refusal> {
    let mut named = Vec::new();
    for (index, structure) in call.list("Targets").iter().enumerate() {
        let path = format!("Targets[{index}]");
        call.models(&path, structure, &["Id", "Port", "AvailabilityZone"])?;
        named.push(Named {
            id: structure["Id"].as_str().unwrap_or_default(),
            port: structure["Port"].as_i64().unwrap_or(group.port),
            zone: structure["AvailabilityZone"].as_str(),
        });
    }
    Ok(named)
}

/// `RegisterTargets`: all or none.
pub(super) fn register(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let mut group = state(world, call).named_target_group(call)?.clone();
    let given = named(call, &group)?;
    if given.is_empty() {
        return Err(invalid("At least one target must be specified"));
    }
    group.targets.retain(|_, target| target.is_present(now));
    for target in given {
        let zone = zone(world, call, &group, &target)?;
        let key = key(target.id, target.port);
        match group.targets.get(&key) {
            Some(known) if known.is_draining() => return Err(draining(target.id)),
            Some(_) => {}
            None => {
                let target = Target {
                    id: target.id.to_owned(),
                    port: target.port,
                    zone,
                    registered: now,
                    drained: None,
                };
                group.targets.insert(key, target);
            }
        }
    }
    within_quotas(world, call, &group)?;
    state(world, call)
        .target_groups
        .insert(group.arn.clone(), group);
    Ok(json!({}))
}

fn draining(id: &str) -> Refusal {
    Refusal::new(
        "InvalidTarget",
        format!(
            "The following targets are being deregistered and cannot be registered again before \
             that is complete: '{id}'"
        ),
    )
}

fn within_quotas(world: &mut World, call: &Call<'_>, group: &TargetGroup) -> Result<(), Refusal> {
    let per_group = world.quota("L-A0D0B863", 1000);
    let per_load_balancer = world.quota("L-7E6692B2", 1000);
    let state = state(world, call);
    let on_load_balancers = state
        .users_of_target_group(&group.arn)
        .into_iter()
        .map(|arn| {
            let others = state.target_groups_of(&arn);
            let others = others.iter().filter(|other| **other != group.arn);
            let targets: usize = others
                .map(|arn| state.target_groups[arn].targets.len())
                .sum();
            targets + group.targets.len()
        });
    let most_on_one = on_load_balancers.max().unwrap_or_default();
    if group.targets.len() as u64 > per_group || most_on_one as u64 > per_load_balancer {
        return Err(Refusal::new(
            "TooManyTargets",
            "The maximum number of targets has been reached",
        ));
    }
    Ok(())
}

/// The zone of a target that the group can have; instances have none.
fn zone(
    world: &mut World,
    call: &Call<'_>,
    group: &TargetGroup,
    target: &Named<'_>,
) -> Result<Option<String>, Refusal> {
    if group.target_type == "instance" {
        return check_instance(target.id).map(|()| None);
    }
    if group.ip_address_type == "ipv6" {
        return Err(Refusal::not_modelled(
            call.operation,
            "Targets of an ipv6 group",
        ));
    }
    let Ok(address) = target.id.parse::<Ipv4Addr>() else {
        return Err(invalid(format!(
            "The IP address '{}' is not a valid IPv4 address",
            target.id
        )));
    };
    let ec2 = &world.region(call.region).ec2;
    let found = ec2
        .subnet_around(&group.vpc, address)
        .map(|subnet| subnet.availability_zone.clone());
    match (found, target.zone) {
        (Some(zone), None) => Ok(Some(zone)),
        (Some(zone), Some(given)) if zone == given => Ok(Some(zone)),
        (Some(zone), Some(given)) => Err(invalid(format!(
            "The IP address '{address}' is in availability zone '{zone}', not in '{given}'"
        ))),
        (None, _) if !is_private(address) => Err(invalid(format!(
            "The IP address '{address}' is neither in a subnet of VPC '{}' nor in a private range",
            group.vpc
        ))),
        (None, Some("all")) => Ok(Some("all".to_owned())),
        (None, _) => Err(invalid(format!(
            "You must specify the availability zone 'all' for the IP address '{address}', which is \
             outside of VPC '{}'",
            group.vpc
        ))),
    }
}

/// Whether the address is of a range that a target outside of the VPC can have.
fn is_private(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private() || (first == 100 && (64..128).contains(&second))
}

/// Refuses what is not the id of an instance. EC2 has no instances here: any id stands for one
/// that runs in the group's VPC.
fn check_instance(id: &str) -> Result<(), Refusal> {
    let digits = id.strip_prefix("i-").unwrap_or_default();
    if [8, 17].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(Refusal::new(
        "InvalidTarget",
        format!(
            "The following targets are not in a running state and cannot be registered: '{id}'"
        ),
    ))
}

/// `DeregisterTargets`: what is not registered is no error.
pub(super) fn deregister(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let group = state(world, call).named_target_group(call)?.clone();
    let given = named(call, &group)?;
    let delay = group.attribute("deregistration_delay.timeout_seconds");
    let delay = Duration::from_secs(delay.parse().unwrap_or_default());
    // Nothing was sent to targets of a group that is not in use: there is nothing to wait for.
    let drained = if group.used_since.is_some() {
        world.due(delay)
    } else {
        now
    };
    let targets = &mut state(world, call).named_target_group(call)?.targets;
    for target in given {
        if let Some(target) = targets.get_mut(&key(target.id, target.port)) {
            target.drained.get_or_insert(drained);
        }
    }
    targets.retain(|_, target| target.is_present(now));
    Ok(json!({}))
}
