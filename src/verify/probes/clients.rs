//! Clients with and without certificates, good and bad.

use super::{Context, Outcome, Probe, accepted, refused};
use crate::error::Result;
use crate::stack::MutualAuthentication;
use crate::verify::Presented;
use crate::verify::observe::{Observation, Seen, probe};

/// A client without a certificate.
pub(super) async fn without(cx: Context<'_>) -> Result<Outcome> {
    let attempt = cx.asking(None, &cx.request.path);
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    Ok(if cx.gateway.verifies() {
        refused("refused", &observation)
    } else {
        let expected = format!("accepted (mode {})", cx.gateway.mode.mode());
        accepted(&expected, &observation)
    })
}

/// A client with a certificate that nobody should take.
pub(super) async fn bad(cx: Context<'_>, which: Probe) -> Result<Outcome> {
    let MutualAuthentication::Verify {
        ignore_client_certificate_expiry,
        ..
    } = cx.gateway.mode
    else {
        let needs = format!("mode verify, and this is mode {}", cx.gateway.mode.mode());
        return Ok(Outcome::skipped("refused", needs));
    };
    let is_taken = which == Probe::Expired && ignore_client_certificate_expiry;
    let expected = if is_taken {
        "accepted (expiry is ignored)"
    } else {
        "refused"
    };
    let presented = match which {
        Probe::UnknownCa => &cx.material.unknown,
        Probe::Lookalike => &cx.material.lookalike,
        Probe::Expired => &cx.material.expired,
        Probe::WrongPurpose => &cx.material.wrong_purpose,
        _ => &cx.material.revoked,
    };
    let credential = match presented {
        Presented::Has(credential) => credential,
        Presented::Needs(needs) => return Ok(Outcome::skipped(expected, needs)),
    };
    let attempt = cx.asking(Some(credential), &cx.request.path);
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    if let Some(not_sent) = not_sent(expected, &observation) {
        return Ok(not_sent);
    }
    Ok(if is_taken {
        accepted(expected, &observation)
    } else {
        refused(expected, &observation)
    })
}

/// A server that does not want a certificate of this kind, or none at all, has not judged it.
fn not_sent(expected: &str, observation: &Observation) -> Option<Outcome> {
    let asked = observation.handshake.asked.as_ref();
    let reason = match (asked, &observation.seen) {
        (_, Seen::Unreachable(_) | Seen::NoTls(_) | Seen::Garbled(_)) => return None,
        (Some(asked), _) if asked.sent => return None,
        (Some(_), _) => "the server does not take signatures of the certificate's kind of key",
        (None, _) => "the server asked for no client certificate",
    };
    Some(Outcome::judged(expected, observation.text(), false).because(reason))
}

/// A client that is let in gets what it asks for.
pub(super) async fn good(cx: Context<'_>) -> Result<Outcome> {
    let Some(status) = cx.request.expect else {
        let needs = "the status to expect: --expect, or `verify:` in the stack";
        return Ok(Outcome::skipped("an answer of the API", needs));
    };
    let body = cx.request.expect_body.as_deref();
    let expected = match body {
        Some(body) => format!("HTTP {status} with `{body}`"),
        None => format!("HTTP {status}"),
    };
    let credential = match (&cx.material.good, cx.gateway.mode) {
        (Presented::Has(credential), _) => Some(credential),
        (_, MutualAuthentication::Off) => None,
        (Presented::Needs(needs), _) => return Ok(Outcome::skipped(expected, needs)),
    };
    let attempt = cx.asking(credential, &cx.request.path);
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    let Some(answer) = observation.answer() else {
        return Ok(accepted(&expected, &observation));
    };
    let has_body = body.is_none_or(|body| answer.body.contains(body));
    let observed = match (answer.status == status, has_body) {
        (true, false) => format!("{} without it", answer.text()),
        _ => answer.text(),
    };
    let is_good = answer.status == status && has_body;
    Ok(Outcome::judged(expected, observed, is_good).because(told(answer)))
}

/// What the answer says of why it is another one.
fn told(answer: &crate::verify::http::Answer) -> String {
    let by = match answer.header("server") {
        Some(server) if server.starts_with("awselb") => "the load balancer",
        _ if answer.header("x-amzn-requestid").is_some() => "API Gateway",
        _ => "the backend",
    };
    let body: String = answer
        .body
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(160)
        .collect();
    if body.is_empty() {
        format!("answered by {by}")
    } else {
        format!("answered by {by}: {body}")
    }
}
