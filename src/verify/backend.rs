//! What a backend of API Gateway shows when somebody connects to it.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::Network;
use super::tls::{self, Offer, Shared, Version, seen};
use crate::trust::Certificate;

/// How long everything together may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What a backend showed.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Its certificate, and those that it sent along.
    pub(crate) chain: Vec<Certificate>,
    /// Whether it speaks TLS 1.2, which is the most that API Gateway does.
    pub(crate) speaks_tls12: bool,
}

/// Connects to a backend as API Gateway does, asking for `name`.
///
/// # Errors
///
/// Why nothing was shown, in words.
pub(crate) async fn look(
    network: &Network<'_>,
    place: (&str, u16),
    name: &str,
) -> Result<Shown, String> {
    match shown(network, place, name, vec![Version::Tls12]).await {
        Ok(chain) => Ok(Shown {
            chain,
            speaks_tls12: true,
        }),
        Err(refused) => {
            let newer = shown(network, place, name, vec![Version::Tls13]).await;
            let chain = newer.map_err(|_| refused)?;
            Ok(Shown {
                chain,
                speaks_tls12: false,
            })
        }
    }
}

async fn shown(
    network: &Network<'_>,
    (host, port): (&str, u16),
    name: &str,
    versions: Vec<Version>,
) -> Result<Vec<Certificate>, String> {
    let shared = Shared::default();
    let offer = Offer {
        versions,
        ..Offer::default()
    };
    let configuration =
        tls::configuration(&offer, None, &shared).map_err(|error| error.to_string())?;
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| format!("`{name}` is no name of a server"))?;
    let connect = async {
        let stream = network.connect(host, port).await.map_err(|error| error.0)?;
        let connector = TlsConnector::from(Arc::new(configuration));
        let handshake = connector.connect(server, stream).await;
        handshake.map(drop).map_err(|error| error.to_string())
    };
    let ended = tokio::time::timeout(LIMIT, connect).await;
    let chain = seen(&shared).chain.clone();
    if chain.is_empty() {
        return Err(match ended {
            Ok(Err(reason)) => reason,
            Ok(Ok(())) => "it showed no certificate".to_owned(),
            Err(_) => format!("nothing came within {} s", LIMIT.as_secs()),
        });
    }
    let parsed = chain.iter().map(|der| Certificate::from_der(der));
    let parsed: Result<Vec<Certificate>, _> = parsed.collect();
    parsed.map_err(|error| format!("what it shows is no certificate: {error}"))
}
