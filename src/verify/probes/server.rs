//! The server: its certificate, HTTP/2, and that sessions are not resumed.

use rustls::client::Resumption;
use time::OffsetDateTime;

use super::{Context, Outcome, Seen, accepted};
use crate::error::Result;
use crate::pki::Credential;
use crate::stack::MutualAuthentication;
use crate::trust::Certificate;
use crate::verify::Presented;
use crate::verify::observe::{probe, probe_twice};

/// The server's certificate is for the name, and its chain ends at a root that clients have.
pub(super) async fn certificate(cx: Context<'_>) -> Result<Outcome> {
    let name = &cx.gateway.name;
    let expected = format!("for {name}, with its chain");
    if !cx.gateway.is_named {
        return Ok(Outcome::skipped(expected, "a domain, a record or --name"));
    }
    let observation = probe(cx.gateway, cx.network, &cx.attempt()).await?;
    if !observation.spoke_tls() {
        return Ok(match &observation.seen {
            Seen::Unreachable(why) => Outcome::unreachable(expected, why),
            _ => Outcome::judged(expected, observation.text(), false)
                .because("TLS ended before the server showed its certificate"),
        });
    }
    let chain = &observation.handshake.chain;
    let shown = Certificate::from_der(&chain[0]);
    let observed = match &shown {
        Ok(certificate) => {
            let days = (certificate.not_after - OffsetDateTime::now_utc()).whole_days();
            format!("for {}, {days} days left", certificate.dns_names.join(", "))
        }
        Err(_) => "a certificate that cannot be read".to_owned(),
    };
    Ok(match cx.gateway.server_trust.judge(chain, name) {
        Ok(root) => Outcome::judged(expected, format!("{observed}, trusted by {root}"), true),
        Err(reason) => Outcome::judged(expected, observed, false).because(reason),
    })
}

/// The client that is let in; `None` inside where none is needed.
fn client(cx: Context<'_>) -> std::result::Result<Option<&Credential>, &str> {
    match (&cx.material.good, cx.gateway.mode) {
        (Presented::Has(credential), _) => Ok(Some(credential)),
        (Presented::Needs(needs), MutualAuthentication::Verify { .. }) => Err(needs),
        _ => Ok(None),
    }
}

/// HTTP/2 is agreed upon and works, or is not where it is off.
pub(super) async fn http2(cx: Context<'_>) -> Result<Outcome> {
    let Some(is_on) = cx.gateway.http2 else {
        return Ok(Outcome::skipped("HTTP/2", "a load balancer"));
    };
    let expected = if is_on {
        "HTTP/2"
    } else {
        "HTTP/1.1 (HTTP/2 is off)"
    };
    let credential = match client(cx) {
        Ok(credential) => credential,
        Err(needs) => return Ok(Outcome::skipped(expected, needs)),
    };
    let mut attempt = cx.asking(credential, &cx.request.path);
    attempt.offer.http2 = true;
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    let Some(answer) = observation.answer() else {
        return Ok(accepted(expected, &observation));
    };
    let is_http2 = observation.handshake.protocol.as_deref() == Some("h2");
    let spoken = if is_http2 { "HTTP/2" } else { "HTTP/1.1" };
    let observed = format!("{spoken}, {}", answer.text());
    Ok(Outcome::judged(expected, observed, is_http2 == is_on)
        .because("another version of HTTP is agreed upon than the load balancer's attributes say"))
}

/// A second connection begins anew, so that a revoked client does not live on by its session.
pub(super) async fn resumption(cx: Context<'_>) -> Result<Outcome> {
    let expected = "a full handshake each time";
    if cx.gateway.mode == MutualAuthentication::Off {
        return Ok(Outcome::skipped(
            expected,
            "mutual TLS, and this is mode off",
        ));
    }
    let credential = match &cx.material.good {
        Presented::Has(credential) => credential,
        Presented::Needs(needs) => return Ok(Outcome::skipped(expected, needs)),
    };
    let mut attempt = cx.asking(Some(credential), &cx.request.path);
    attempt.offer.sessions = Some(Resumption::in_memory_sessions(8));
    let (first, second) = probe_twice(cx.gateway, cx.network, &attempt).await?;
    for observation in [&first, &second] {
        if observation.answer().is_none() {
            return Ok(accepted(expected, observation));
        }
    }
    let is_resumed = second.handshake.resumed;
    let observed = if is_resumed {
        "the first session was resumed"
    } else {
        "a full handshake each time"
    };
    Ok(Outcome::judged(expected, observed, !is_resumed)
        .because("whoever was let in once gets in again without being verified"))
}
