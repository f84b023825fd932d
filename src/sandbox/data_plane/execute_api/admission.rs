//! Whether a stage takes a request by the way that it comes, and what the policies say.

use serde_json::{Value, json};

use super::answer::Answer;
use super::pick::{By, Picked};
use super::{Arrival, Exchange, Front, HEADERS, endpoint};
use crate::sandbox::apigateway::domain::DomainName;
use crate::sandbox::apigateway::partition;
use crate::sandbox::apigateway::policy::evaluation::{self, Decision};
use crate::sandbox::world::World;

/// Refuses a request that the stage does not take by this way, or whose caller a policy refuses.
pub(super) fn admit(
    world: &World,
    arrival: &Arrival<'_>,
    picked: &Picked<'_>,
    exchange: &Exchange,
) -> Result<(), Answer> {
    let refuse = |why: &'static str| Err(Answer::forbidden(why, arrival.id));
    let properties = &picked.deployment.properties;
    let is_private = properties.endpoint_type == "PRIVATE";
    if is_private != matches!(arrival.front, Front::Endpoint(_)) {
        return refuse(if is_private {
            "a private API is not reached by the public endpoint"
        } else {
            "a public API is not reached by a VPC endpoint"
        });
    }
    if properties.disable_execute_api_endpoint && !matches!(picked.by, By::Domain(_)) {
        return refuse("the API's own endpoint is disabled");
    }
    if let (By::EndpointName, Front::Endpoint(id)) = (picked.by, arrival.front)
        && !properties.vpc_endpoint_ids.iter().any(|known| known == id)
    {
        return refuse("the API was not deployed with the endpoint among its own");
    }
    if is_too_loose(arrival, picked, is_private) {
        return refuse("STRICT takes neither another kind of endpoint nor another name in TLS");
    }
    if is_private && arrival.header_size() > HEADERS {
        return Err(Answer::headers_too_large(exchange));
    }
    consult(world, arrival, picked, exchange)
}

/// Whether the domain or the API is STRICT, and the request comes by another kind of endpoint or
/// with another name in TLS than in its host.
fn is_too_loose(arrival: &Arrival<'_>, picked: &Picked<'_>, is_private: bool) -> bool {
    let named = arrival
        .server_name
        .is_some_and(|name| name.eq_ignore_ascii_case(&arrival.host()));
    let of_domain = |domain: &DomainName| {
        domain.is_strict() && (!named || matches!(arrival.front, Front::Endpoint(_)))
    };
    let mode = picked.api.properties.endpoint_access_mode.as_deref();
    // The domains that are modelled are public.
    let crosses = is_private && matches!(picked.by, By::Domain(_));
    let by_domain = matches!(picked.by, By::Domain(domain) if of_domain(domain));
    by_domain || mode == Some("STRICT") && (!named || crosses)
}

/// Asks the endpoint's policy, then the API's as it was deployed.
fn consult(
    world: &World,
    arrival: &Arrival<'_>,
    picked: &Picked<'_>,
    exchange: &Exchange,
) -> Result<(), Answer> {
    let arn = |account: &str| {
        format!(
            "arn:{}:execute-api:{}:{account}:{}/{}/{}/{}",
            partition(arrival.region),
            arrival.region,
            picked.api.id,
            picked.name,
            arrival.method,
            picked.path.trim_start_matches('/'),
        )
    };
    let source = arrival.source.to_string();
    let endpoint = endpoint(world, arrival);
    let context: Vec<(&str, &str)> = match endpoint {
        Some(endpoint) => vec![
            ("aws:sourcevpc", &endpoint.vpc_id),
            ("aws:sourcevpce", &endpoint.id),
            ("aws:vpcsourceip", &source),
        ],
        None => vec![("aws:sourceip", &source)],
    };
    let resource = arn(&world.account);
    let request = evaluation::Request {
        resource: &resource,
        context: &context,
    };
    let of_endpoint = endpoint.map(|endpoint| document(&endpoint.policy));
    let policies = [
        ("the endpoint's policy", of_endpoint.as_ref()),
        (
            "the API's policy",
            picked.deployment.properties.policy.as_ref(),
        ),
    ];
    for (whose, policy) in policies {
        let decision = policy.map_or(Decision::Allowed, |policy| {
            evaluation::evaluate(policy, &request)
        });
        if decision != Decision::Allowed {
            let hidden: String = world.account.chars().skip(8).collect();
            let resource = arn(&format!("********{hidden}"));
            return Err(Answer::denied(whose, decision, &resource, exchange));
        }
    }
    Ok(())
}

/// An endpoint's policy with its statements in a list; an empty one allows everything.
fn document(text: &str) -> Value {
    let mut document: Value = serde_json::from_str(text).unwrap_or_default();
    if document["Statement"].is_object() {
        document["Statement"] = json!([document["Statement"]]);
    }
    if document.is_null() {
        let everything =
            json!({ "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*" });
        document = json!({ "Statement": [everything] });
    }
    document
}
