//! What the load balancer says of the client cannot be said by the client.

use super::{Context, Outcome, accepted};
use crate::error::Result;
use crate::stack::MutualAuthentication;
use crate::verify::Presented;
use crate::verify::observe::probe;

/// A header that any backend gets to see, which shows that this one prints what it gets.
const WITNESS: &str = "X-Mtlsgw-Probe";

/// Sends headers that only the load balancer may set, and looks for them in what the backend prints.
pub(super) async fn forged(cx: Context<'_>) -> Result<Outcome> {
    let expected = "the backend does not get them";
    let Some(path) = &cx.request.echo_path else {
        let needs = "a backend that prints its request headers: --echo-path";
        return Ok(Outcome::skipped(expected, needs));
    };
    let credential = match (&cx.material.good, cx.gateway.mode) {
        (Presented::Has(credential), _) => Some(credential),
        (Presented::Needs(needs), MutualAuthentication::Verify { .. }) => {
            return Ok(Outcome::skipped(expected, needs));
        }
        _ => None,
    };
    let mark = mark()?;
    let (witness, forgery) = (format!("witness-{mark}"), format!("forged-{mark}"));
    let mut attempt = cx.asking(credential, path);
    if let Some(ask) = &mut attempt.ask {
        ask.headers.push((WITNESS.to_owned(), witness.clone()));
        let forged = cx.gateway.headers.iter();
        ask.headers
            .extend(forged.map(|name| (name.clone(), forgery.clone())));
    }
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    let Some(answer) = observation.answer() else {
        return Ok(accepted(expected, &observation));
    };
    if answer.body.contains(&forgery) {
        return Ok(Outcome::judged(expected, "the backend got them", false)
            .because("clients can pretend to be anybody to whoever trusts these headers"));
    }
    if !answer.body.contains(&witness) {
        let needs = format!(
            "a backend that prints its request headers, and {path} ({}) does not",
            answer.text()
        );
        return Ok(Outcome::skipped(expected, needs));
    }
    Ok(Outcome::judged(
        expected,
        "the backend got none of them",
        true,
    ))
}

/// Something that nobody else sends.
fn mark() -> Result<String> {
    let mut octets = [0; 16];
    aws_lc_rs::rand::fill(&mut octets)
        .map_err(|_| crate::error::Error::refused("the machine has no randomness to give"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(octets)))
}
