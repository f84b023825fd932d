//! What connections show of the way: where the name leads, TLS, and the answer to a client.

use time::OffsetDateTime;

use super::answer::of_answer;
use super::{Diagnosis, Finding, Link};
use crate::error::Result;
use crate::resource::trust_store::Held;
use crate::trust::{CheckOptions, Purpose, Trusted, check_client};
use crate::verify::observe::{Seen, probe};
use crate::verify::{Context, Presented, Probe, Verdict};

/// How deep a load balancer follows a chain.
const MAXIMUM_DEPTH: usize = 4;

/// Makes the connections.
///
/// # Errors
///
/// A probe that cannot be set up.
pub(crate) async fn connect(cx: Context<'_>, held: &Held, diagnosis: &mut Diagnosis) -> Result<()> {
    name(cx, diagnosis).await?;
    server(cx, diagnosis).await?;
    client(cx, held, diagnosis).await
}

/// Where the name leads.
async fn name(cx: Context<'_>, diagnosis: &mut Diagnosis) -> Result<()> {
    let found = Probe::Dns.run(cx).await?;
    match found.verdict {
        Verdict::Passed => {
            let name = &cx.gateway.name;
            diagnosis.sound(Link::Dns, format!("{name} leads to the load balancer"));
        }
        Verdict::Skipped => {}
        Verdict::Failed | Verdict::Unreachable => diagnosis.find(
            Finding::new(Link::Dns, "name-leads-elsewhere", &cx.gateway.name)
                .what(format!("DNS: {}, expected {}", found.observed, found.expected))
                .fix("compare the zone that the world asks with the one in `record.zone`: is it delegated, and is there another one of that name?")
                .symptom(),
        ),
    }
    Ok(())
}

/// The server's certificate.
async fn server(cx: Context<'_>, diagnosis: &mut Diagnosis) -> Result<()> {
    let found = Probe::ServerCertificate.run(cx).await?;
    let reason = found.reason.unwrap_or_else(|| found.observed.clone());
    match found.verdict {
        Verdict::Passed => diagnosis.sound(Link::Tls, found.observed),
        Verdict::Skipped => diagnosis.unknown(Link::Tls, reason),
        // Who cannot be reached is told by the client's own connection.
        Verdict::Unreachable => {}
        Verdict::Failed => diagnosis.find(
            Finding::new(Link::Tls, "server-certificate-refused", &cx.gateway.name)
                .what(format!("clients refuse the server's certificate: {reason}"))
                .fix("give the listener a certificate for that name whose chain ends at a root that clients know")
                .symptom(),
        ),
    }
    Ok(())
}

/// What a client that should be let in meets.
async fn client(cx: Context<'_>, held: &Held, diagnosis: &mut Diagnosis) -> Result<()> {
    let credential = match &cx.material.good {
        Presented::Has(credential) => Some(credential),
        Presented::Needs(needs) if cx.gateway.verifies() => {
            diagnosis.unknown(Link::Client, format!("needs {needs}"));
            diagnosis.unknown(Link::Integration, format!("needs {needs}"));
            return Ok(());
        }
        Presented::Needs(_) => None,
    };
    let attempt = cx.asking(credential, &cx.request.path);
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    let at = cx.gateway.address();
    match observation.seen {
        Seen::Answered(answer) => answered(cx, &answer, diagnosis),
        Seen::Unreachable(why) => diagnosis.find(
            Finding::new(Link::LoadBalancer, "unreachable", at)
                .what(format!("nothing answers: {why}"))
                .fix("look at the security groups of the load balancer, at network ACLs and routes, and at where you ask from")
                .symptom(),
        ),
        Seen::NoTls(why) | Seen::Garbled(why) => diagnosis.find(
            Finding::new(Link::Tls, "tls-fails", at)
                .what(format!("TLS with the listener fails: {why}"))
                .fix("compare protocol, port and TLS policy of the listener with `mtlsgw plan`")
                .symptom(),
        ),
        Seen::Refused(why) => diagnosis.find(refused(cx, held, &why)),
        Seen::Handshaken => {}
    }
    Ok(())
}

fn answered(cx: Context<'_>, answer: &crate::verify::http::Answer, diagnosis: &mut Diagnosis) {
    let path = &cx.request.path;
    diagnosis.sound(Link::Client, "is let in");
    let Some(expected) = cx.request.expect else {
        let needs = "needs what to ask for and to expect: `verify:` in the stack, or --path";
        diagnosis.unknown(Link::Integration, needs);
        return;
    };
    if answer.status == expected {
        let what = format!("https://{}{path} answers {expected}", cx.gateway.host());
        diagnosis.sound(Link::Integration, what);
    } else {
        diagnosis.find(of_answer(answer, &cx.gateway.name, path));
    }
}

/// Why the listener refuses a client: the load balancer's own reason, as far as what it holds tells.
fn refused(cx: Context<'_>, held: &Held, why: &str) -> Finding {
    let at = cx.gateway.address();
    let judged = held.content.as_ref().zip(match &cx.material.good {
        Presented::Has(credential) => Some(credential),
        Presented::Needs(_) => None,
    });
    let refusal = judged.and_then(|(content, credential)| {
        let (client, sent) = credential.certificates().split_first()?;
        let trusted = Trusted {
            bundle: &content.bundle,
            crls: &content.crls,
        };
        let options = CheckOptions {
            at: OffsetDateTime::now_utc(),
            purpose: Purpose::Client,
            maximum_depth: MAXIMUM_DEPTH,
            ignore_client_certificate_expiry: false,
        };
        check_client(client, sent, trusted, &options).refusal
    });
    let finding = match refusal {
        Some(refusal) => Finding::new(Link::Client, refusal.reason.code(), at).what(format!(
            "the listener refuses the client's certificate: {}",
            refusal.message
        )),
        None => Finding::new(Link::Client, "client-refused", at).what(format!(
            "the listener refuses the client, whom the trust store would let in: {why}"
        )),
    };
    finding
        .fix("`mtlsgw trust check --live` says which certificate and CRL decide; `mtlsgw logs` how often it happens")
        .symptom()
}
