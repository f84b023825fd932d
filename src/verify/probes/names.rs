//! Names: what DNS says, and which CAs clients are told.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Context, Outcome, Seen};
use crate::error::Result;
use crate::stack::MutualAuthentication;
use crate::trust::DistinguishedName;
use crate::verify::network::Unreachable;
use crate::verify::observe::probe;

/// How often the load balancer is asked for its addresses: of many it tells a few at a time.
const ASKED: usize = 3;

/// The name leads to the load balancer.
pub(super) async fn dns(cx: Context<'_>) -> Outcome {
    let Some(load_balancer) = &cx.gateway.load_balancer else {
        return Outcome::skipped("the load balancer's addresses", "a load balancer in AWS");
    };
    if *load_balancer == cx.gateway.name {
        return Outcome::skipped("the load balancer's addresses", "a name of your own");
    }
    let expected = "the load balancer's addresses";
    let compared = compare(cx, load_balancer);
    match tokio::time::timeout(cx.limit, compared).await {
        Ok(Ok((named, is_same))) => Outcome::judged(expected, listed(&named), is_same)
            .because("the name leads elsewhere than to the stack's load balancer"),
        Ok(Err(unreachable)) => Outcome::unreachable(expected, unreachable),
        Err(_) => {
            let why = format!("DNS does not answer within {} s", cx.limit.as_secs_f32());
            Outcome::unreachable(expected, why)
        }
    }
}

async fn compare(
    cx: Context<'_>,
    load_balancer: &str,
) -> Result<(BTreeSet<IpAddr>, bool), Unreachable> {
    let named = cx.network.resolve(&cx.gateway.name).await?;
    for _ in 0..ASKED {
        let its = cx.network.resolve(load_balancer).await?;
        if !named.is_disjoint(&its) {
            return Ok((named, true));
        }
    }
    Ok((named, false))
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

/// Clients are told the names of the trust store's CAs, or none.
pub(super) async fn authorities(cx: Context<'_>) -> Result<Outcome> {
    let MutualAuthentication::Verify {
        advertise_ca_names, ..
    } = cx.gateway.mode
    else {
        let needs = format!("mode verify, and this is mode {}", cx.gateway.mode.mode());
        return Ok(Outcome::skipped("the trust store's names", needs));
    };
    let wanted = cx.gateway.authorities.iter().map(|one| &one.subject);
    let wanted: BTreeSet<Vec<u8>> = wanted
        .filter(|_| advertise_ca_names)
        .map(|name| name.as_der().to_vec())
        .collect();
    let expected = counted(&wanted);
    let observation = probe(cx.gateway, cx.network, &cx.attempt()).await?;
    if let Seen::Unreachable(why) = &observation.seen {
        return Ok(Outcome::unreachable(expected, why));
    }
    let Some(asked) = &observation.handshake.asked else {
        return Ok(Outcome::judged(expected, observation.text(), false)
            .because("the server asked for no client certificate"));
    };
    let told: BTreeSet<Vec<u8>> = asked.names.iter().cloned().collect();
    let is_same = told == wanted;
    let differing = [
        ("missing", wanted.difference(&told)),
        ("unexpected", told.difference(&wanted)),
    ];
    let differing =
        differing.map(
            |(what, names)| match names.map(|der| name(der)).collect::<Vec<_>>() {
                names if names.is_empty() => String::new(),
                names => format!("{what}: {}", names.join("; ")),
            },
        );
    let differing: Vec<String> = differing
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    Ok(Outcome::judged(expected, counted(&told), is_same).because(differing.join("; ")))
}

fn counted(names: &BTreeSet<Vec<u8>>) -> String {
    match names.len() {
        0 => "no names".to_owned(),
        1 => name(names.first().expect("there is one")),
        more => format!("{more} names"),
    }
}

fn name(der: &[u8]) -> String {
    let name = DistinguishedName::from_der(der);
    name.map_or_else(|| "an unreadable name".to_owned(), |name| name.to_string())
}
