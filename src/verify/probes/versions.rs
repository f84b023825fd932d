//! Versions of TLS, and the key exchange.

use super::{Context, Outcome};
use crate::error::Result;
use crate::verify::hello::{self, Reply, greet, is_tls11};
use crate::verify::observe::{Observation, Seen, probe};
use crate::verify::tls::{Offer, Version};

const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";

/// TLS 1.3 and nothing else is offered.
pub(super) async fn tls13(cx: Context<'_>) -> Result<Outcome> {
    let allowed = cx.gateway.protocols.map(|known| known.tls13);
    version(cx, Version::Tls13, allowed).await
}

/// TLS 1.2 and nothing else is offered.
pub(super) async fn tls12(cx: Context<'_>) -> Result<Outcome> {
    let allowed = cx.gateway.protocols.map(|known| known.tls12);
    version(cx, Version::Tls12, allowed).await
}

async fn version(cx: Context<'_>, version: Version, allowed: Option<bool>) -> Result<Outcome> {
    let Some(allowed) = allowed else {
        return Ok(unknown_policy(cx));
    };
    let mut attempt = cx.attempt();
    attempt.offer.versions = vec![version];
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    Ok(judged(&observation, allowed))
}

/// Whether a version is taken shows when the server answers with its certificate, whatever it thinks
/// of the client after that.
fn judged(observation: &Observation, allowed: bool) -> Outcome {
    let expected = if allowed { ACCEPTED } else { REFUSED };
    if observation.spoke_tls() {
        return Outcome::judged(expected, ACCEPTED, allowed)
            .because("the listener's policy does not allow this version");
    }
    match &observation.seen {
        Seen::Unreachable(why) => Outcome::unreachable(expected, why),
        Seen::NoTls(why) | Seen::Refused(why) => {
            Outcome::judged(expected, format!("{REFUSED}: {why}"), !allowed)
                .because("the listener's policy allows this version")
        }
        Seen::Garbled(why) => {
            Outcome::judged(expected, why, false).because("what came back breaks the rules of TLS")
        }
        Seen::Handshaken | Seen::Answered(_) => Outcome::judged(expected, ACCEPTED, allowed),
    }
}

/// TLS 1.1, by a hello that is written by hand.
pub(super) async fn tls11(cx: Context<'_>) -> Outcome {
    let Some(protocols) = cx.gateway.protocols else {
        return unknown_policy(cx);
    };
    let allowed = protocols.tls11;
    let expected = if allowed { ACCEPTED } else { REFUSED };
    let greeted = async {
        let stream = cx
            .network
            .connect(&cx.gateway.name, cx.gateway.port)
            .await?;
        greet(stream, &cx.gateway.name)
            .await
            .map_err(|error| crate::verify::network::Unreachable(error.to_string()))
    };
    let reply = match tokio::time::timeout(cx.limit, greeted).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(unreachable)) => return Outcome::unreachable(expected, unreachable),
        Err(_) => {
            let why = format!("no answer within {} s", cx.limit.as_secs_f32());
            return Outcome::unreachable(expected, why);
        }
    };
    greeted_with(&reply, allowed, expected)
}

fn greeted_with(reply: &hello::Reply, allowed: bool, expected: &str) -> Outcome {
    let (observed, is_accepted) = match reply {
        Reply::Hello(version) if is_tls11(*version) => (ACCEPTED.to_owned(), true),
        Reply::Hello(_) => ("accepted with another version".to_owned(), true),
        Reply::Alert(alert) => (format!("{REFUSED}: alert {alert}"), false),
        Reply::Closed => (format!("{REFUSED}: connection closed"), false),
        Reply::Other => {
            return Outcome::judged(expected, "an answer that is not TLS", false)
                .because("what listens there does not speak TLS");
        }
    };
    Outcome::judged(expected, observed, is_accepted == allowed).because(if allowed {
        "the listener's policy allows this version"
    } else {
        "the listener's policy does not allow this version"
    })
}

/// Groups that a quantum computer does not break, and no others, are offered.
pub(super) async fn post_quantum(cx: Context<'_>) -> Result<Outcome> {
    let expected = "X25519MLKEM768 or secp256r1MLKEM768";
    let Some(protocols) = cx.gateway.protocols else {
        return Ok(unknown_policy(cx));
    };
    if !protocols.post_quantum {
        let needs = format!("a post-quantum policy, and {} is none", cx.gateway.policy);
        return Ok(Outcome::skipped(expected, needs));
    }
    let mut attempt = cx.attempt();
    attempt.offer = Offer {
        versions: vec![Version::Tls13],
        post_quantum: true,
        ..Offer::default()
    };
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    Ok(match (&observation.seen, &observation.handshake.group) {
        (Seen::Unreachable(why), _) => Outcome::unreachable(expected, why),
        (_, Some(group)) => Outcome::judged(expected, group, true),
        // The key exchange comes first, so that whoever is refused later has been through it.
        _ if observation.spoke_tls() => Outcome::judged(expected, ACCEPTED, true),
        _ => Outcome::judged(expected, observation.text(), false)
            .because("the policy promises post-quantum key exchange, and the listener has none"),
    })
}

fn unknown_policy(cx: Context<'_>) -> Outcome {
    let needs = format!(
        "a policy that this version of mtlsgw knows, and {} is none",
        cx.gateway.policy
    );
    Outcome::skipped("as the policy says", needs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Verdict;

    #[test]
    fn an_old_version_is_judged_by_what_the_server_says_to_it() {
        let verdict = |reply: &Reply, allowed| greeted_with(reply, allowed, "").verdict;
        let alert = Reply::Alert("protocol_version".to_owned());
        assert_eq!(verdict(&alert, false), Verdict::Passed);
        assert_eq!(verdict(&alert, true), Verdict::Failed);
        assert_eq!(verdict(&Reply::Hello([3, 2]), true), Verdict::Passed);
        assert_eq!(verdict(&Reply::Hello([3, 2]), false), Verdict::Failed);
        assert_eq!(verdict(&Reply::Other, false), Verdict::Failed);
    }
}
