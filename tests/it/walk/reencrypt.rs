//! What somebody does to a load balancer that begins TLS again towards its servers.

use super::{Step, chosen, mended};
use crate::data_plane_nlb::backend::Material;
use crate::doctor::{fault, faults};
use crate::drift::account::Account;

/// Where the servers are.
pub(super) const PLACES: [&str; 2] = ["172.31.0.21:8443", "172.31.16.21:8443"];

/// Faults that this system has in common with others.
const COMMON: [&str; 11] = [
    "the record is gone",
    "nobody is let in to the load balancer",
    "the TLS policy allows TLS 1.2",
    "mutual TLS is off",
    "the trust store is swapped",
    "the CA bundle is another",
    "the CRL is gone",
    "a target is drained",
    "the targets are gone",
    "the health check speaks HTTP",
    "the load balancer may call nobody",
];

/// All of them.
pub(super) fn steps() -> Vec<Step> {
    let mut steps = chosen(faults::all(), &COMMON);
    steps.extend(own());
    steps
}

fn own() -> Vec<Step> {
    vec![
        fault(
            "the health check expects 204",
            "health-check-differs",
            |account| {
                let matcher = [("Matcher.HttpCode", "204")];
                account.elb_at(
                    "ModifyTargetGroup",
                    ("TargetGroupArn", "target_group"),
                    &matcher,
                );
            },
        )
        .into(),
        fault(
            "a target is registered at the port of plain HTTP",
            "targets-differ",
            |account| {
                target(account, "DeregisterTargets", "8443");
                target(account, "RegisterTargets", "8080");
            },
        )
        .into(),
        fault(
            "the listener forwards over HTTP",
            "forwards-elsewhere",
            |account| {
                let theirs = faults::their_target_group(account);
                faults::modify_listener(
                    account,
                    &[
                        ("DefaultActions.member.1.Type", "forward"),
                        ("DefaultActions.member.1.TargetGroupArn", &theirs),
                    ],
                );
            },
        )
        .into(),
        mended(
            fault("the servers speak no TLS", "bad-gateway", |account| {
                stands(account, crate::system_s::backend());
            }),
            |account| {
                let server = Material::self_signed(|_| {}).serve(rustls::ALL_VERSIONS);
                stands(account, &server);
            },
        ),
    ]
}

/// Registers or deregisters the first server at a port.
fn target(account: &Account, action: &str, port: &str) {
    let (id, _) = PLACES[0].split_once(':').expect("has a port");
    let target = [("Targets.member.1.Id", id), ("Targets.member.1.Port", port)];
    account.elb_at(action, ("TargetGroupArn", "target_group"), &target);
}

/// A server stands for both.
fn stands(account: &Account, server: &str) {
    for place in PLACES {
        let host = format!("{place}={server}");
        account.aws.control("POST", "hosts", &host).ok();
    }
}
