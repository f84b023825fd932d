//! One connection to a gateway: what is offered, what is asked, and what comes back.
//!
//! Under TLS 1.3 a client has finished its part of the handshake before the server has judged its
//! certificate, so that a refusal shows only on reading. Every probe therefore reads, and what counts
//! is whether there is an HTTP answer; the alert is only told.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Gateway;
use super::http::{self, Answer, Ask};
use super::network::Network;
use super::tls::{self, Handshake, Offer, Phase, Shared, ended, is_refusal, seen};
use crate::error::{Error, Result};
use crate::pki::Credential;

/// What one connection is to try.
#[derive(Debug, Clone)]
pub(crate) struct Attempt<'a> {
    /// Where to connect to in place of the gateway; the name that is asked for stays.
    pub(crate) to: Option<(String, u16)>,
    /// What TLS offers.
    pub(crate) offer: Offer,
    /// What the client presents.
    pub(crate) credential: Option<&'a Credential>,
    /// What is asked over HTTP; `None` ends after the handshake.
    pub(crate) ask: Option<Ask>,
    /// How long everything together may take.
    pub(crate) limit: Duration,
}

/// How a connection ended.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// There was no connection, or no answer in time: this says nothing about refusing.
    Unreachable(String),
    /// The server ended it before it showed a certificate: TLS itself was refused.
    NoTls(String),
    /// The server ended it after that, without an HTTP answer.
    Refused(String),
    /// What came back is not TLS or not HTTP, or breaks their rules: nobody was refused by that.
    Garbled(String),
    /// The client's part of the handshake was done, and nothing was asked.
    Handshaken,
    /// There was an HTTP answer.
    Answered(Answer),
}

/// What a connection showed.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    /// How it ended.
    pub(crate) seen: Seen,
    /// What the handshake showed.
    pub(crate) handshake: Handshake,
}

/// Tries one connection.
///
/// # Errors
///
/// The probe itself cannot be set up; what the gateway does is no error.
pub(crate) async fn probe(
    gateway: &Gateway,
    network: &Network<'_>,
    attempt: &Attempt<'_>,
) -> Result<Observation> {
    let shared = Shared::default();
    let configuration = tls::configuration(&attempt.offer, attempt.credential, &shared)?;
    connect(gateway, network, attempt, (Arc::new(configuration), shared)).await
}

/// Tries two connections, of which the second may resume the session of the first.
///
/// # Errors
///
/// As for [`probe`].
pub(super) async fn probe_twice(
    gateway: &Gateway,
    network: &Network<'_>,
    attempt: &Attempt<'_>,
) -> Result<(Observation, Observation)> {
    let shared = Shared::default();
    // Sessions belong to a configuration: both connections need the same.
    let configuration = tls::configuration(&attempt.offer, attempt.credential, &shared)?;
    let configuration = Arc::new(configuration);
    let using = || (Arc::clone(&configuration), Arc::clone(&shared));
    let first = connect(gateway, network, attempt, using()).await?;
    *seen(&shared) = Handshake::default();
    let second = connect(gateway, network, attempt, using()).await?;
    Ok((first, second))
}

async fn connect(
    gateway: &Gateway,
    network: &Network<'_>,
    attempt: &Attempt<'_>,
    (configuration, shared): (Arc<ClientConfig>, Shared),
) -> Result<Observation> {
    let name = ServerName::try_from(gateway.name.clone())
        .map_err(|_| Error::refused(format!("`{}` is no name of a server", gateway.name)))?;
    let conversation = async {
        let (host, port) = match &attempt.to {
            Some((host, port)) => (host.as_str(), *port),
            None => (gateway.name.as_str(), gateway.port),
        };
        let stream = match network.connect(host, port).await {
            Ok(stream) => stream,
            Err(unreachable) => return Seen::Unreachable(unreachable.0),
        };
        seen(&shared).phase = Phase::Connected;
        converse(gateway, attempt, (stream, name, configuration), &shared).await
    };
    let outcome = tokio::time::timeout(attempt.limit, Box::pin(conversation)).await;
    let handshake = seen(&shared).clone();
    let outcome = outcome.unwrap_or_else(|_| timed_out(handshake.phase, attempt.limit));
    Ok(Observation {
        seen: outcome,
        handshake,
    })
}

fn timed_out(phase: Phase, limit: Duration) -> Seen {
    let seconds = limit.as_secs_f32();
    Seen::Unreachable(match phase {
        Phase::Connecting => format!("no connection within {seconds} s"),
        Phase::Connected => format!("connected, and no TLS within {seconds} s"),
        Phase::Handshaken => format!("no answer within {seconds} s after the TLS handshake"),
    })
}

async fn converse(
    gateway: &Gateway,
    attempt: &Attempt<'_>,
    (stream, name, configuration): (TcpStream, ServerName<'static>, Arc<ClientConfig>),
    shared: &Shared,
) -> Seen {
    let connected = TlsConnector::from(configuration)
        .connect(name, stream)
        .await;
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) => return not_shaken(&error, shared),
    };
    note(&stream, shared);
    let Some(ask) = &attempt.ask else {
        return Seen::Handshaken;
    };
    let is_http2 = seen(shared).protocol.as_deref() == Some("h2");
    match http::ask(stream, ask, (&gateway.host(), is_http2)).await {
        Ok(answer) => Seen::Answered(answer),
        Err(end) if end.is_refusal => Seen::Refused(end.reason),
        Err(end) => Seen::Garbled(end.reason),
    }
}

/// A handshake that failed: before or after the server showed its certificate.
fn not_shaken(error: &io::Error, shared: &Shared) -> Seen {
    let reason = ended(error);
    if !is_refusal(error) {
        Seen::Garbled(reason)
    } else if seen(shared).chain.is_empty() {
        Seen::NoTls(reason)
    } else {
        Seen::Refused(reason)
    }
}

fn note(stream: &TlsStream<TcpStream>, shared: &Shared) {
    let (_, connection) = stream.get_ref();
    let mut handshake = seen(shared);
    handshake.phase = Phase::Handshaken;
    handshake.version = connection.protocol_version().map(|version| match version {
        rustls::ProtocolVersion::TLSv1_3 => "TLS 1.3",
        rustls::ProtocolVersion::TLSv1_2 => "TLS 1.2",
        _ => "an older TLS",
    });
    handshake.group = connection
        .negotiated_key_exchange_group()
        .map(|group| format!("{:?}", group.name()));
    handshake.protocol = connection
        .alpn_protocol()
        .map(|protocol| String::from_utf8_lossy(protocol).into_owned());
    handshake.resumed = connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
}

impl Observation {
    /// What happened, in a few words.
    pub(crate) fn text(&self) -> String {
        match &self.seen {
            Seen::Unreachable(reason) => reason.clone(),
            Seen::NoTls(reason) => format!("TLS refused: {reason}"),
            Seen::Refused(reason) => format!("refused: {reason}"),
            Seen::Garbled(reason) => format!("nonsense: {reason}"),
            Seen::Handshaken => self.handshake.version.unwrap_or("TLS").to_owned(),
            Seen::Answered(answer) => answer.text(),
        }
    }

    /// The HTTP answer.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        match &self.seen {
            Seen::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// Whether the server took the version and showed its certificate.
    pub(crate) fn spoke_tls(&self) -> bool {
        !self.handshake.chain.is_empty()
    }
}
