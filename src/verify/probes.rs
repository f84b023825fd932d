//! The probes, in the order in which they are shown.

mod clients;
mod direct;
mod echo;
mod headers;
mod names;
mod plain;
mod server;
mod versions;

use super::http::Ask;
use super::network::Unreachable;
use super::observe::{Attempt, Observation, Seen};
use super::tls::{Offer, Version};
use super::{Context, Finding, Verdict};
use crate::error::Result;
use crate::pki::Credential;

/// A probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The name leads to the load balancer.
    Dns,
    /// TLS 1.3.
    Tls13,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.1.
    Tls11,
    /// Post-quantum key exchange.
    PostQuantum,
    /// The server's certificate.
    ServerCertificate,
    /// A client without a certificate.
    NoCertificate,
    /// A client of an unknown CA.
    UnknownCa,
    /// A client of a CA that pretends to be ours.
    Lookalike,
    /// A client whose certificate has ended.
    Expired,
    /// A client with a server's certificate.
    WrongPurpose,
    /// A client whose certificate is revoked.
    Revoked,
    /// A client that is let in.
    GoodCertificate,
    /// The names of CAs that clients are told.
    CaNames,
    /// HTTP/2.
    Http2,
    /// Resuming sessions.
    Resumption,
    /// Plain HTTP.
    HttpRedirect,
    /// The custom domain's regional name.
    DirectRegional,
    /// The endpoint's addresses.
    DirectEndpoint,
    /// What the load balancer tells the backend of the client.
    ClientHeaders,
    /// Headers that only the load balancer may set.
    ForgedHeaders,
}

impl Probe {
    /// All of them.
    pub(crate) const ALL: [Self; 21] = [
        Self::Dns,
        Self::Tls13,
        Self::Tls12,
        Self::Tls11,
        Self::PostQuantum,
        Self::ServerCertificate,
        Self::NoCertificate,
        Self::UnknownCa,
        Self::Lookalike,
        Self::Expired,
        Self::WrongPurpose,
        Self::Revoked,
        Self::GoodCertificate,
        Self::CaNames,
        Self::Http2,
        Self::Resumption,
        Self::HttpRedirect,
        Self::DirectRegional,
        Self::DirectEndpoint,
        Self::ClientHeaders,
        Self::ForgedHeaders,
    ];

    /// Its name for programs, which never changes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tls13 => "tls_1_3",
            Self::Tls12 => "tls_1_2",
            Self::Tls11 => "tls_1_1",
            Self::PostQuantum => "post_quantum",
            Self::ServerCertificate => "server_certificate",
            Self::NoCertificate => "no_certificate",
            Self::UnknownCa => "unknown_ca",
            Self::Lookalike => "lookalike",
            Self::Expired => "expired",
            Self::WrongPurpose => "wrong_purpose",
            Self::Revoked => "revoked",
            Self::GoodCertificate => "good_certificate",
            Self::CaNames => "ca_names",
            Self::Http2 => "http_2",
            Self::Resumption => "resumption",
            Self::HttpRedirect => "http_redirect",
            Self::DirectRegional => "direct_regional",
            Self::DirectEndpoint => "direct_endpoint",
            Self::ClientHeaders => "client_headers",
            Self::ForgedHeaders => "forged_headers",
        }
    }

    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Tls13 => "TLS 1.3",
            Self::Tls12 => "TLS 1.2",
            Self::Tls11 => "TLS 1.1",
            Self::PostQuantum => "post-quantum key exchange",
            Self::ServerCertificate => "server certificate",
            Self::NoCertificate => "no client certificate",
            Self::UnknownCa => "certificate of an unknown CA",
            Self::Lookalike => "lookalike of our CA",
            Self::Expired => "expired certificate",
            Self::WrongPurpose => "certificate for servers",
            Self::Revoked => "revoked certificate",
            Self::GoodCertificate => "good certificate",
            Self::CaNames => "CA names told to clients",
            Self::Http2 => "HTTP/2",
            Self::Resumption => "session resumption",
            Self::HttpRedirect => "plain HTTP",
            Self::DirectRegional => "past the ALB: regional name",
            Self::DirectEndpoint => "past the ALB: endpoint",
            Self::ClientHeaders => "headers about the client",
            Self::ForgedHeaders => "forged X-Amzn-Mtls headers",
        }
    }

    /// Tries it.
    ///
    /// # Errors
    ///
    /// The probe itself cannot be set up.
    pub(crate) async fn run(self, cx: Context<'_>) -> Result<Finding> {
        let outcome = match self {
            Self::Dns => names::dns(cx).await,
            Self::Tls13 => Box::pin(versions::tls13(cx)).await?,
            Self::Tls12 => Box::pin(versions::tls12(cx)).await?,
            Self::Tls11 => versions::tls11(cx).await,
            Self::PostQuantum => Box::pin(versions::post_quantum(cx)).await?,
            Self::ServerCertificate => Box::pin(server::certificate(cx)).await?,
            Self::NoCertificate => Box::pin(clients::without(cx)).await?,
            Self::UnknownCa
            | Self::Lookalike
            | Self::Expired
            | Self::WrongPurpose
            | Self::Revoked => Box::pin(clients::bad(cx, self)).await?,
            Self::GoodCertificate => Box::pin(clients::good(cx)).await?,
            Self::CaNames => Box::pin(names::authorities(cx)).await?,
            Self::Http2 => Box::pin(server::http2(cx)).await?,
            Self::Resumption => Box::pin(server::resumption(cx)).await?,
            Self::HttpRedirect => plain::redirect(cx).await,
            Self::DirectRegional => Box::pin(direct::regional(cx)).await?,
            Self::DirectEndpoint => Box::pin(direct::endpoint(cx)).await?,
            Self::ClientHeaders => Box::pin(echo::headers(cx)).await?,
            Self::ForgedHeaders => Box::pin(headers::forged(cx)).await?,
        };
        Ok(Finding {
            gateway: cx.gateway.address(),
            probe: self,
            expected: outcome.expected,
            observed: printable(&outcome.observed),
            verdict: outcome.verdict,
            reason: outcome.reason.map(|reason| printable(&reason)),
        })
    }
}

/// What servers say may hold what a terminal obeys.
fn printable(text: &str) -> String {
    let shown = text.chars();
    shown
        .map(|one| if one.is_control() { '?' } else { one })
        .collect()
}

/// How a probe came out, without whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    expected: String,
    observed: String,
    verdict: Verdict,
    reason: Option<String>,
}

impl Outcome {
    /// It is not tried.
    fn skipped(expected: impl Into<String>, needs: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            observed: String::new(),
            verdict: Verdict::Skipped,
            reason: Some(format!("needs {}", needs.into())),
        }
    }

    /// There was no connection, or no answer.
    fn unreachable(expected: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            observed: why.into(),
            verdict: Verdict::Unreachable,
            reason: None,
        }
    }

    /// It was seen, and is as expected or is not.
    fn judged(expected: impl Into<String>, observed: impl Into<String>, is_good: bool) -> Self {
        Self {
            expected: expected.into(),
            observed: observed.into(),
            verdict: if is_good {
                Verdict::Passed
            } else {
                Verdict::Failed
            },
            reason: None,
        }
    }

    /// The same with what is wrong, where something is.
    fn because(mut self, reason: impl Into<String>) -> Self {
        if self.verdict == Verdict::Failed {
            self.reason = Some(reason.into());
        }
        self
    }
}

impl From<Unreachable> for String {
    fn from(unreachable: Unreachable) -> Self {
        unreachable.0
    }
}

impl<'a> Context<'a> {
    /// A connection as the gateway's clients make it, without anything to present or to ask.
    fn attempt(&self) -> Attempt<'a> {
        Attempt {
            to: None,
            offer: Offer {
                versions: self.versions(),
                ..Offer::default()
            },
            credential: None,
            ask: None,
            limit: self.limit,
        }
    }

    /// The same that asks for a path.
    pub(crate) fn asking(&self, credential: Option<&'a Credential>, path: &str) -> Attempt<'a> {
        Attempt {
            credential,
            ask: Some(Ask::path(path)),
            ..self.attempt()
        }
    }

    /// The versions that the policy allows: what a refused version says is no verdict on a client.
    fn versions(&self) -> Vec<Version> {
        match self.gateway.protocols {
            Some(known) if !known.tls12 => vec![Version::Tls13],
            Some(known) if !known.tls13 => vec![Version::Tls12],
            _ => Vec::new(),
        }
    }
}

/// What is wrong with what is neither.
const GARBLED: &str = "what came back is neither a refusal nor an HTTP answer";

/// Judges an observation that has to be a refusal of the client.
fn refused(expected: &str, observation: &Observation) -> Outcome {
    let text = observation.text();
    match &observation.seen {
        Seen::Unreachable(_) => Outcome::unreachable(expected, text),
        Seen::Refused(_) => Outcome::judged(expected, text, true),
        Seen::NoTls(_) => Outcome::judged(expected, text, false)
            .because("TLS ended before the client's certificate was looked at"),
        Seen::Garbled(_) => Outcome::judged(expected, text, false).because(GARBLED),
        Seen::Handshaken | Seen::Answered(_) => {
            Outcome::judged(expected, text, false).because("the client was let in, and must not be")
        }
    }
}

/// Judges an observation that has to be an answer, whatever the answer is.
fn accepted(expected: &str, observation: &Observation) -> Outcome {
    let text = observation.text();
    match &observation.seen {
        Seen::Unreachable(_) => Outcome::unreachable(expected, text),
        Seen::Answered(_) => Outcome::judged(expected, text, true),
        Seen::Garbled(_) => Outcome::judged(expected, text, false).because(GARBLED),
        Seen::Refused(_) | Seen::NoTls(_) | Seen::Handshaken => {
            Outcome::judged(expected, text, false)
                .because("the client was refused, and must not be")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tls::Handshake;

    #[test]
    fn every_probe_is_documented_by_a_name_of_its_own() {
        let page = include_str!("../../docs/verify.md");
        for probe in Probe::ALL {
            let row = format!("\n| `{}` | ", probe.name());
            assert_eq!(page.matches(&row).count(), 1, "{}", probe.name());
        }
    }

    fn verdicts(seen: Seen) -> (Verdict, Verdict) {
        let observation = Observation {
            seen,
            handshake: Handshake::default(),
        };
        let of = |judge: fn(&str, &Observation) -> Outcome| judge("", &observation).verdict;
        (of(refused), of(accepted))
    }

    #[test]
    fn what_servers_say_moves_no_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{9b}c"), "a?[2Jb??c");
    }

    #[test]
    fn only_an_end_of_the_servers_is_a_refusal() {
        let text = || "why".to_owned();
        let (passed, failed) = (Verdict::Passed, Verdict::Failed);
        assert_eq!(verdicts(Seen::Refused(text())), (passed, failed));
        assert_eq!(verdicts(Seen::NoTls(text())), (failed, failed));
        assert_eq!(verdicts(Seen::Garbled(text())), (failed, failed));
        assert_eq!(verdicts(Seen::Handshaken), (failed, failed));
        let unreachable = (Verdict::Unreachable, Verdict::Unreachable);
        assert_eq!(verdicts(Seen::Unreachable(text())), unreachable);
    }
}
