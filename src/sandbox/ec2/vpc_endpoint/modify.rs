//! `ModifyVpcEndpoint`.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::State;
use super::super::interface::detach;
use super::VpcEndpoint;
use super::create::{Placement, check_addressing, check_request, place, placements, read_policy};
use crate::sandbox::world::{Call, Refusal, World};

/// How long an endpoint whose subnets change is `pending`.
const CHANGING: Duration = Duration::from_secs(30);

/// What a call makes of an endpoint.
struct Change {
    after: VpcEndpoint,
    /// The subnets whose interfaces go, be it for good or because another address takes over.
    vacated: Vec<String>,
    /// Where new interfaces come.
    placements: Vec<Placement>,
}

/// Answers `ModifyVpcEndpoint`.
pub(in super::super) fn modify_vpc_endpoint(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let (now, available_at) = (world.now, world.due(CHANGING));
    let state = &mut world.region(call.region).ec2;
    let Change {
        mut after,
        vacated,
        placements,
    } = change(state, call, now)?;
    if !(vacated.is_empty() && placements.is_empty()) {
        after.available_at = after.available_at.max(available_at);
    }
    state.set_groups(&after.owner(), &after.groups);
    state.vpc_endpoints.insert(after.id.clone(), after.clone());
    for subnet_id in &vacated {
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

fn change(state: &State, call: &Call<'_>, now: i64) -> Result<Change, Refusal> {
    let before = state.existing_endpoint(call.required("VpcEndpointId"), now)?;
    if before.deletion.is_some() {
        let message = format!("The Vpc Endpoint '{}' is being deleted", before.id);
        return Err(Refusal::new("IncorrectState", message));
    }
    check_addressing(call)?;
    let after = modified(call, before)?;
    check_request(state, &after)?;
    if after.private_dns && !before.private_dns {
        state.check_private_dns(&after.vpc_id, now)?;
    }
    let new = missing_in(&before.subnet_ids, &after.subnet_ids);
    let mut placements = placements(call, &new, &after.subnet_ids)?;
    let held = state.endpoint_interfaces(&before.id);
    let is_held = |address| {
        held.iter()
            .any(|interface| Some(interface.address) == address)
    };
    placements.retain(|placement| !is_held(placement.address));
    for placement in &placements {
        state.check_placement(placement, now)?;
    }
    let mut vacated = missing_in(&after.subnet_ids, &before.subnet_ids);
    vacated.extend(
        placements
            .iter()
            .map(|placement| placement.subnet_id.clone()),
    );
    Ok(Change {
        after,
        vacated,
        placements,
    })
}

/// Those of the others that the list lacks.
fn missing_in(list: &[String], others: &[String]) -> Vec<String> {
    others
        .iter()
        .filter(|id| !list.contains(id))
        .cloned()
        .collect()
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
