//! `verify`: proof that a gateway does what its stack says, by connections that are really made.
//!
//! A probe says what it expects, makes a connection or two, and compares. What it needs and was not
//! given makes it skipped; a gateway that cannot be reached has neither passed nor refused anything.
//! Nothing is sent anywhere but to the gateway under test and past it to what stands behind it, and
//! keys that are made for probes never leave memory.
//!
//! [`Probe::run`] tries a single probe, and [`observe::probe`] a single connection, for whoever wants to
//! know how that goes.

pub(crate) mod backend;
mod hello;
pub(crate) mod http;
pub(crate) mod material;
pub(crate) mod network;
pub(crate) mod observe;
mod probes;
mod report;
pub(crate) mod server_trust;
pub(crate) mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::aws::Clock;
use crate::error::Result;
use crate::resource::listener::Protocols;
use crate::stack::MutualAuthentication;
use crate::trust::Certificate;

pub(crate) use material::{Material, Presented};
pub(crate) use network::Network;
pub(crate) use probes::Probe;
pub(crate) use report::Report;
pub(crate) use server_trust::ServerTrust;

/// How long one probe may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// The first and the longest pause between rounds.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// One name and port that clients use, and how it is meant to treat them.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    /// The name that clients ask for.
    pub(crate) name: String,
    /// Whether it is a name of the user's, that a certificate can be for.
    pub(crate) is_named: bool,
    /// The port of the listener.
    pub(crate) port: u16,
    /// What the listener asks of clients.
    pub(crate) mode: MutualAuthentication,
    /// The TLS policy.
    pub(crate) policy: String,
    /// What can be negotiated under it; `None` for a policy that is newer than this program.
    pub(crate) protocols: Option<Protocols>,
    /// The CAs that clients are verified by.
    pub(crate) authorities: Vec<Certificate>,
    /// Whether HTTP/2 is on; `None`: nobody promises either.
    pub(crate) http2: Option<bool>,
    /// Whether a listener on port 80 redirects.
    pub(crate) redirects: bool,
    /// The load balancer's DNS name.
    pub(crate) load_balancer: Option<String>,
    /// The regional name of the custom domain.
    pub(crate) regional_name: Option<String>,
    /// The addresses of the endpoint.
    pub(crate) endpoint: Vec<IpAddr>,
    /// The headers that tell the backend of the client.
    pub(crate) headers: Vec<String>,
    /// By what the server's certificate is judged.
    pub(crate) server_trust: Arc<ServerTrust>,
}

/// What the API is asked, and what it has to answer.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    /// The status that proves success; `None` where the user has not said.
    pub(crate) expect: Option<u16>,
    /// A text that has to be in the body.
    pub(crate) expect_body: Option<String>,
    /// The path of a backend that prints the headers of requests.
    pub(crate) echo_path: Option<String>,
}

/// All that a probe needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The gateway.
    pub(crate) gateway: &'a Gateway,
    /// The way to it.
    pub(crate) network: &'a Network<'a>,
    /// What clients present.
    pub(crate) material: &'a Material,
    /// What is asked.
    pub(crate) request: &'a Request,
    /// How long a probe may take.
    pub(crate) limit: Duration,
}

/// How a probe came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// There was no connection, or no answer in time.
    Unreachable,
    /// It was not tried.
    Skipped,
}

/// What a probe found.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// Of which gateway, `NAME:PORT`.
    pub(crate) gateway: String,
    /// The probe.
    pub(crate) probe: Probe,
    /// What the stack makes expect.
    pub(crate) expected: String,
    /// What was seen; of a skipped one, nothing.
    pub(crate) observed: String,
    /// How it came out.
    pub(crate) verdict: Verdict,
    /// Of a skipped one, what it needs; of one that failed, what is wrong.
    pub(crate) reason: Option<String>,
}

impl Gateway {
    /// The host as HTTP writes it: without the port where that is the usual one.
    pub(crate) fn host(&self) -> String {
        match self.port {
            443 => self.name.clone(),
            port => format!("{}:{port}", self.name),
        }
    }

    /// Name and port.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.name, self.port)
    }

    /// Whether clients are verified.
    pub(crate) fn verifies(&self) -> bool {
        matches!(self.mode, MutualAuthentication::Verify { .. })
    }
}

impl Finding {
    /// Whether it stands in the way of success.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Failed | Verdict::Unreachable)
    }
}

/// Probes gateways, all probes of a round at once; what did not come out well is tried again until
/// `patience` is over.
///
/// # Errors
///
/// A probe that cannot be set up.
pub(crate) async fn run(
    contexts: &[Context<'_>],
    patience: Duration,
    clock: &Clock,
    mut again: impl FnMut(usize, Duration),
) -> Result<Vec<Finding>> {
    let mut findings = round(contexts, &every_probe(contexts)).await?;
    let deadline = clock.now() + patience;
    let (mut pause, longest) = PAUSES;
    loop {
        let bad: Vec<usize> = (0..findings.len())
            .filter(|index| findings[*index].is_bad())
            .collect();
        if bad.is_empty() || clock.now() + pause > deadline {
            return Ok(findings);
        }
        again(bad.len(), pause);
        clock.sleep(pause).await;
        let probes = every_probe(contexts);
        let repeated: Vec<(usize, Probe)> = bad.iter().map(|index| probes[*index]).collect();
        for (index, finding) in bad.into_iter().zip(round(contexts, &repeated).await?) {
            findings[index] = finding;
        }
        pause = (pause * 2).min(longest);
    }
}

/// The probes of all gateways, each with the place of its gateway.
fn every_probe(contexts: &[Context<'_>]) -> Vec<(usize, Probe)> {
    let of_one = |index: usize| Probe::ALL.iter().map(move |probe| (index, *probe));
    (0..contexts.len()).flat_map(of_one).collect()
}

async fn round(contexts: &[Context<'_>], probes: &[(usize, Probe)]) -> Result<Vec<Finding>> {
    let findings = probes
        .iter()
        .map(|(index, probe)| probe.run(contexts[*index]));
    join_all(findings).await.into_iter().collect()
}
