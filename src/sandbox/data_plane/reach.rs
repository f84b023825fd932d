//! What probes ask about the network: which addresses a name has, and where a connection leads.

use std::sync::Arc;

use serde_json::{Value, json};

use super::network::{Found, Place, from_outside};
use super::{DataPlane, answered, dns, front, listener};
use crate::sandbox::wire::{Request, Response};

/// Answers `GET resolve` and `GET connect`; `None` for any other control request.
pub(super) fn answer(plane: &Arc<DataPlane>, command: &str, request: &Request) -> Option<Response> {
    let (status, answer) = match (request.method.as_str(), command) {
        ("GET", "resolve") => {
            let name = parameter(request, "name");
            let account = plane.account();
            let vpc = parameter(request, "vpc");
            let mut regions = account.world.regions.iter();
            let region = regions.find(|(_, content)| content.ec2.vpc(vpc).is_some());
            let vpc = region.map(|(region, _)| (region.as_str(), vpc));
            let addresses = dns::addresses_within(&account.world, vpc, name);
            (200, json!({ "addresses": addresses }))
        }
        ("GET", "connect") => connected(plane, request),
        _ => return None,
    };
    Some(Response {
        status,
        ..answered("application/json", answer.to_string())
    })
}

/// The answer of `GET connect`: where a client outside gets to.
fn connected(plane: &Arc<DataPlane>, request: &Request) -> (u16, Value) {
    let host = parameter(request, "host");
    let Ok(port) = parameter(request, "port").parse::<u16>() else {
        return (400, json!({ "message": "`port` is no port" }));
    };
    let refused = |reason: String| (404, json!({ "message": reason }));
    let found = {
        let account = plane.account();
        let addresses = dns::addresses(&account.world, host);
        let Some(address) = addresses.first() else {
            return refused(format!("the name {host} has no address"));
        };
        from_outside(&account.world, plane.client_address(), (*address, port))
    };
    let socket = match found {
        Found::Dropped => return (200, json!({ "address": null, "timeout": true })),
        Found::Refused(reason) => return refused(reason),
        Found::At(Place::Host(server)) => Ok(server),
        Found::At(Place::Front(region)) => {
            front::socket(plane, &region, None).map_err(|error| error.to_string())
        }
        Found::At(Place::Listener(arn)) => {
            plane.reconcile();
            listener::address(plane, &arn).ok_or_else(|| "it has no socket".to_owned())
        }
        Found::At(Place::Endpoint(..) | Place::PetStore) => {
            Err("the sandbox has no socket for it".to_owned())
        }
    };
    match socket {
        Ok(socket) => (200, json!({ "address": socket.to_string() })),
        Err(reason) => refused(reason),
    }
}

/// A parameter of a control request's query.
fn parameter<'r>(request: &'r Request, name: &str) -> &'r str {
    let found = request.query.iter().find(|(known, _)| known == name);
    found.map_or("", |(_, value)| value)
}
