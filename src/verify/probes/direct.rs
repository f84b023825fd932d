//! Past the load balancer, where nobody verifies clients, the API must not answer.

use super::{Context, Outcome, Seen};
use crate::error::Result;
use crate::verify::observe::{Attempt, Observation, probe};
use crate::verify::tls::Offer;

const EXPECTED: &str = "not the API (HTTP 403, or refused)";

/// API Gateway's own port.
const PORT: u16 = 443;

/// By the name that API Gateway gave to the custom domain, which the internet can reach.
pub(super) async fn regional(cx: Context<'_>) -> Result<Outcome> {
    let Some(name) = &cx.gateway.regional_name else {
        return Ok(Outcome::skipped(EXPECTED, "a custom domain"));
    };
    if let Some(skipped) = redirected(cx, name) {
        return Ok(skipped);
    }
    let observation = call(cx, name).await?;
    Ok(match &observation.seen {
        Seen::Unreachable(why) => Outcome::unreachable(EXPECTED, why),
        _ => judged(&observation),
    })
}

/// By the endpoint's addresses, which only the VPC can reach, and of that only the load balancer should.
pub(super) async fn endpoint(cx: Context<'_>) -> Result<Outcome> {
    let Some(address) = cx.gateway.endpoint.first() else {
        return Ok(Outcome::skipped(EXPECTED, "an endpoint in AWS"));
    };
    let address = address.to_string();
    if let Some(skipped) = redirected(cx, &address) {
        return Ok(skipped);
    }
    let observation = call(cx, &address).await?;
    Ok(match &observation.seen {
        Seen::Unreachable(_) => Outcome::skipped(EXPECTED, "a place inside the VPC"),
        _ => judged(&observation),
    })
}

fn redirected(cx: Context<'_>, host: &str) -> Option<Outcome> {
    let is_redirected = cx.network.is_redirected_with_all(host, PORT);
    is_redirected.then(|| Outcome::skipped(EXPECTED, "a --connect-to that names its host"))
}

/// Any version of TLS will do; the name that is asked for is the gateway's.
async fn call(cx: Context<'_>, host: &str) -> Result<Observation> {
    let attempt = Attempt {
        to: Some((host.to_owned(), PORT)),
        offer: Offer::default(),
        ..cx.asking(None, &cx.request.path)
    };
    probe(cx.gateway, cx.network, &attempt).await
}

fn judged(observation: &Observation) -> Outcome {
    let is_good = match observation.answer() {
        Some(answer) => answer.status == 403,
        None => !matches!(observation.seen, Seen::Garbled(_)),
    };
    Outcome::judged(EXPECTED, observation.text(), is_good)
        .because("clients reach the API without the load balancer, which alone verifies them")
}
