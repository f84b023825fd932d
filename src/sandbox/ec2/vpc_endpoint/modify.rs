//! `ModifyVpcEndpoint`.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::interface::detach;
use super::VpcEndpoint;
use super::create::{check_request, place, placements, read_policy};
use crate::sandbox::world::{Call, Refusal, World};

/// How long an endpoint whose subnets change is `pending`.
const CHANGING: Duration = Duration::from_secs(30);

/// Answers `ModifyVpcEndpoint`.
pub(in super::super) fn modify_vpc_endpoint(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let (now, available_at) = (world.now, world.due(CHANGING));
    let state = &mut world.region(call.region).ec2;
    let before = state
        .existing_endpoint(call.required("VpcEndpointId"), now)?
        .clone();
    if before.state(now) == "deleting" {
        let message = format!("The Vpc Endpoint '{}' is being deleted", before.id);
        return Err(Refusal::new("IncorrectState", message));
    }
    let mut after = modified(call, &before)?;
    let new: Vec<String> = after
        .subnet_ids
        .iter()
        .filter(|id| !before.subnet_ids.contains(id))
        .cloned()
        .collect();
    let mut placements = placements(call, &new, &after.subnet_ids)?;
    let held = state.endpoint_interfaces(&before.id);
    placements.retain(|placement| {
        held.iter()
            .all(|interface| Some(interface.address) != placement.address)
    });
    check_request(state, &after)?;
    if after.private_dns && !before.private_dns {
        state.check_private_dns(&after.vpc_id, now)?;
    }
    placements
        .iter()
        .try_for_each(|placement| state.check_placement(placement, now))?;
    let left: Vec<&String> = before
        .subnet_ids
        .iter()
        .filter(|id| !after.subnet_ids.contains(id))
        .collect();
    if !(left.is_empty() && placements.is_empty()) {
        after.available_at = after.available_at.max(available_at);
    }
    state.set_groups(&after.owner(), &after.groups);
    state.vpc_endpoints.insert(after.id.clone(), after.clone());
    // An interface that is to have another address is replaced by a new one.
    for subnet_id in left
        .into_iter()
        .chain(placements.iter().map(|placement| &placement.subnet_id))
    {
        detach(
            world,
            call.region,
            &after.owner(),
            Some(subnet_id),
            Duration::ZERO,
        );
    }
    for placement in &placements {
        place(world, call.region, &after, placement)?;
    }
    Ok(json!({"Return": true}))
}

/// The endpoint as the call wants it.
fn modified(call: &Call<'_>, before: &VpcEndpoint) -> Result<VpcEndpoint, Refusal> {
    let mut after = before.clone();
    change_list(
        call,
        &mut after.subnet_ids,
        ("AddSubnetIds", "RemoveSubnetIds"),
    )?;
    change_list(
        call,
        &mut after.groups,
        ("AddSecurityGroupIds", "RemoveSecurityGroupIds"),
    )?;
    if after.groups.is_empty() {
        let message = "An interface endpoint must have at least one security group";
        return Err(Refusal::new("InvalidParameter", message));
    }
    if call.boolean("ResetPolicy") == Some(true) {
        let message = "ResetPolicy is supported for gateway endpoints only";
        return Err(Refusal::new("InvalidParameter", message));
    }
    if let Some(policy) = read_policy(call)? {
        after.policy = policy;
    }
    if let Some(private_dns) = call.boolean("PrivateDnsEnabled") {
        after.private_dns = private_dns;
    }
    Ok(after)
}

fn change_list(
    call: &Call<'_>,
    list: &mut Vec<String>,
    (add, remove): (&str, &str),
) -> Result<(), Refusal> {
    for id in call.texts(remove) {
        let Some(place) = list.iter().position(|other| other == id) else {
            let message = format!("'{id}' of {remove} is not associated with the endpoint");
            return Err(Refusal::new("InvalidParameter", message));
        };
        list.remove(place);
    }
    for id in call.texts(add) {
        if !list.iter().any(|other| other == id) {
            list.push(id.to_owned());
        }
    }
    Ok(())
}
