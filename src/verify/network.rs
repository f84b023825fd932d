//! The way to a gateway: DNS and TCP, of the system or of the embedded AWS.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

use tokio::net::TcpStream;

#[cfg(feature = "sandbox")]
use crate::sandbox::{Reach, Running};

/// Why there is no connection: this says nothing of whether clients are accepted or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreachable(pub(crate) String);

impl fmt::Display for Unreachable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// `HOST1:PORT1:HOST2:PORT2`, as curl takes it: connections to the one go to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    /// The host that this is about; `None`: every one.
    host: Option<String>,
    /// The port that this is about; `None`: every one.
    port: Option<u16>,
    /// Where to connect to instead; `None`: the same.
    to_host: Option<String>,
    /// The port there; `None`: the same.
    to_port: Option<u16>,
}

impl FromStr for ConnectTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not HOST:PORT:ADDRESS:PORT");
        let (host, rest) = host(text).ok_or_else(wrong)?;
        let (port, rest) = rest.split_once(':').ok_or_else(wrong)?;
        let (to_host, to_port) = self::host(rest).ok_or_else(wrong)?;
        let number = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| wrong()),
        };
        Ok(Self {
            host,
            port: number(port)?,
            to_host,
            to_port: number(to_port)?,
        })
    }
}

/// Splits `HOST:` off, the host of an IPv6 address being in brackets; an empty one is `None`.
fn host(text: &str) -> Option<(Option<String>, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let host = (!host.is_empty()).then(|| host.to_ascii_lowercase());
    Some((host, rest))
}

/// Where connections go, and who is asked for names.
#[derive(Debug)]
pub(crate) struct Network<'a> {
    overrides: Vec<ConnectTo>,
    way: Way<'a>,
}

#[derive(Debug)]
enum Way<'a> {
    /// The system's DNS and TCP.
    System(std::marker::PhantomData<&'a ()>),
    /// The network that the embedded AWS simulates.
    #[cfg(feature = "sandbox")]
    Sandbox(&'a Running),
}

impl<'a> Network<'a> {
    /// The network that this machine is in.
    pub(crate) fn system(overrides: Vec<ConnectTo>) -> Self {
        Self {
            overrides,
            way: Way::System(std::marker::PhantomData),
        }
    }

    /// The network of the embedded AWS.
    #[cfg(feature = "sandbox")]
    pub(crate) fn sandbox(running: &'a Running, overrides: Vec<ConnectTo>) -> Self {
        Self {
            overrides,
            way: Way::Sandbox(running),
        }
    }

    /// The addresses of a name.
    ///
    /// # Errors
    ///
    /// There are none, or DNS does not answer.
    pub(crate) async fn resolve(&self, name: &str) -> Result<BTreeSet<IpAddr>, Unreachable> {
        let failed = |reason: String| Unreachable(format!("DNS does not know {name}: {reason}"));
        let found: BTreeSet<IpAddr> = match &self.way {
            Way::System(_) => {
                let found = tokio::net::lookup_host((name, 0)).await;
                let found = found.map_err(|error| failed(error.to_string()))?;
                found.map(|address| address.ip()).collect()
            }
            #[cfg(feature = "sandbox")]
            Way::Sandbox(running) => {
                let found = running.resolve(name).await;
                let found = found.map_err(|error| failed(error.to_string()))?;
                found.into_iter().collect()
            }
        };
        if found.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        Ok(found)
    }

    /// Connects to a port of a name or an address, or to what `--connect-to` says instead.
    ///
    /// # Errors
    ///
    /// Nothing is there, or nothing answers.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
        if let Some(instead) = self.instead_of(host, port) {
            let host = instead.to_host.as_deref().unwrap_or(host);
            return system(host, instead.to_port.unwrap_or(port)).await;
        }
        match &self.way {
            Way::System(_) => system(host, port).await,
            #[cfg(feature = "sandbox")]
            Way::Sandbox(running) => simulated(running, host, port).await,
        }
    }

    /// Whether connections to a host go elsewhere, and the user may not have meant it.
    pub(crate) fn is_redirected_with_all(&self, host: &str, port: u16) -> bool {
        self.instead_of(host, port)
            .is_some_and(|instead| instead.host.is_none())
    }

    /// The first override that is about a host and port, as with curl.
    fn instead_of(&self, host: &str, port: u16) -> Option<&ConnectTo> {
        self.overrides.iter().find(|one| {
            one.host
                .as_ref()
                .is_none_or(|about| about.eq_ignore_ascii_case(host))
                && one.port.is_none_or(|about| about == port)
        })
    }
}

async fn system(host: &str, port: u16) -> Result<TcpStream, Unreachable> {
    let connected = TcpStream::connect((host, port)).await;
    connected.map_err(|error| Unreachable(format!("{host}:{port}: {}", plain(&error))))
}

#[cfg(feature = "sandbox")]
async fn simulated(running: &Running, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
    let failed = |reason: &str| Unreachable(format!("{host}:{port}: {reason}"));
    let reach = running.connect_address(host, port).await;
    match reach.map_err(|error| failed(&error.to_string()))? {
        Reach::Socket(address) => {
            let connected = TcpStream::connect(address).await;
            connected.map_err(|error| failed(&plain(&error)))
        }
        Reach::Refused(there) if there.is_empty() => Err(failed("connection refused")),
        Reach::Refused(there) => Err(failed(&format!("connection refused ({there})"))),
        Reach::Dropped => Err(failed("no answer, the packets are dropped")),
    }
}

/// What an error of the network says, without the system's number.
pub(super) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => "connection closed".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ConnectTo {
        text.parse().unwrap()
    }

    #[test]
    fn overrides_are_written_as_for_curl() {
        let full = parsed("api.example.com:443:127.0.0.1:8443");
        assert_eq!(full.host.as_deref(), Some("api.example.com"));
        assert_eq!((full.port, full.to_port), (Some(443), Some(8443)));
        let v6 = parsed("api.example.com:443:[::1]:8443");
        assert_eq!(v6.to_host.as_deref(), Some("::1"));
        let any = parsed("::127.0.0.1:8443");
        assert_eq!((any.host, any.port), (None, None));
        assert_eq!(parsed("a:1::").to_host, None);
        for wrong in [
            "",
            "a",
            "a:1",
            "a:1:b",
            "a:x:b:2",
            "a:1:b:99999",
            "[::1:1:b:2",
        ] {
            assert!(wrong.parse::<ConnectTo>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_override_that_fits_counts() {
        let network = Network::system(vec![parsed("api:443:one:1"), parsed("::two:2")]);
        let to = |host, port| network.instead_of(host, port).unwrap().to_host.clone();
        assert_eq!(to("API", 443).as_deref(), Some("one"));
        assert_eq!(to("api", 80).as_deref(), Some("two"));
        assert!(network.is_redirected_with_all("other", 443));
        assert!(!network.is_redirected_with_all("api", 443));
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_unreachable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let network = Network::system(vec![parsed(&format!("api:443:127.0.0.1:{port}"))]);
        let error = network.connect("api", 443).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("127.0.0.1:{port}: connection refused")
        );
    }
}
