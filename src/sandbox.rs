//! The embedded AWS that the quickstart, the tests and the demos run on.
//!
//! It speaks the real wire protocols on a loopback port, so that the AWS CLI, boto3 and Terraform
//! can be pointed at it as well, keeps its state in a directory, and behaves as AWS documents:
//! state machines over a clock, validation with AWS's own codes, in-use errors, default quotas.
//! What it does not model it refuses; it never ignores.
//!
//! A request takes one way: `server` reads it, `account` finds its service and lets faults happen
//! to it, `wire` turns it into a `Call` by the API facts in `api/`, the service's `handle`
//! changes the `World` and answers, `store` makes the change durable, `wire` writes the
//! answer.
//!
//! This module shares no type or helper with the rest of the crate: were a rule wrong on both
//! sides, every test would pass.

mod account;
mod acm;
mod apigateway;
mod chunk;
mod clock;
mod control;
mod data_plane;
mod ec2;
mod elbv2;
mod error;
mod fault;
mod rate;
mod route53;
mod s3;
mod server;
mod signature;
mod store;
mod sts;
mod tagging;
#[cfg(test)]
mod tests;
mod tracked;
mod wire;
mod witness;
mod world;

use std::collections::BTreeMap;
use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::account::Account;
use self::data_plane::DataPlane;
use self::server::Server;
use self::store::{Address, Claim};

pub use self::clock::Timing;
pub use self::data_plane::{Appeared, JudgeRules, judge_client};
pub use self::error::SandboxError;
pub use self::fault::Fault;
pub use self::rate::Rates;

/// The account that every credential belongs to.
pub const ACCOUNT: &str = "123456789012";

/// How a sandbox is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its state is kept.
    pub directory: PathBuf,
    /// The loopback port; 0 takes any.
    pub port: u16,
    /// How long every call waits before it is looked at.
    pub latency: Duration,
    /// Answers are given together, when nothing has been asked for so long; zero: each by itself. For
    /// counting how many round trips depend on each other.
    pub quiet: Duration,
    /// How fast time passes.
    pub timing: Timing,
    /// The faults it has; where another process serves it, in addition to those it has there.
    pub faults: Vec<Fault>,
    /// Whether calls are held to AWS's documented rates.
    pub rates: Rates,
    /// The address that the data plane takes its clients to come from.
    pub client_address: IpAddr,
}

impl Options {
    /// The defaults, with what the environment says: `MTLSGW_SANDBOX_FAULTS`,
    /// `MTLSGW_SANDBOX_LATENCY_MS`, `MTLSGW_SANDBOX_QUIET_MS` and `MTLSGW_SANDBOX_TIMING`.
    ///
    /// # Errors
    ///
    /// If one of the variables cannot be read.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, SandboxError> {
        let milliseconds = |text: &str| {
            let number = text.parse().map(Duration::from_millis);
            number.map_err(|_| format!("`{text}` is no number of milliseconds"))
        };
        let latency = setting("MTLSGW_SANDBOX_LATENCY_MS", milliseconds)?;
        let quiet = setting("MTLSGW_SANDBOX_QUIET_MS", milliseconds)?;
        Ok(Self {
            directory: directory.into(),
            port: 0,
            latency: latency.unwrap_or_default(),
            quiet: quiet.unwrap_or_default(),
            timing: setting("MTLSGW_SANDBOX_TIMING", str::parse)?.unwrap_or(Timing::Instant),
            faults: setting("MTLSGW_SANDBOX_FAULTS", fault::parse_list)?.unwrap_or_default(),
            rates: Rates::Off,
            client_address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10)),
        })
    }
}

/// Reads a variable of the environment, if it is set.
fn setting<T>(
    variable: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, SandboxError> {
    let text = env::var(variable).ok().filter(|text| !text.is_empty());
    let value = text.map(|text| parse(&text)).transpose();
    value.map_err(|reason| SandboxError::Setting { variable, reason })
}

/// A sandbox that can be called.
#[derive(Debug)]
pub struct Running {
    url: String,
    timing: Timing,
    host: Host,
    /// Listeners as they appear, where this process serves.
    appeared: Option<mpsc::UnboundedReceiver<Appeared>>,
}

/// Where a connection into the simulated network leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// To this loopback socket.
    Socket(SocketAddr),
    /// Nowhere: nothing listens there; the text says what is there instead.
    Refused(String),
    /// Nowhere: the packets are dropped, so that the client waits until it gives up.
    Dropped,
}

/// A text as it stands in a URL's query.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Which process serves a sandbox.
#[derive(Debug)]
enum Host {
    /// This one: the task, and what ends it.
    Here(JoinHandle<()>, oneshot::Sender<()>),
    /// Another one, which goes on for as long as this connection lasts.
    Elsewhere(TcpStream),
}

impl Running {
    /// What AWS SDKs take as their endpoint, `http://127.0.0.1:PORT`.
    pub fn endpoint_url(&self) -> &str {
        &self.url
    }

    /// How fast its time passes; whoever waits for it waits by the same clock.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// What public DNS answers for a name: the addresses that clients outside are led to.
    ///
    /// # Errors
    ///
    /// If the process that serves the sandbox does not answer.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, SandboxError> {
        let query = format!("resolve?name={}", encoded(name));
        let (_, answer) = self.ask(query).await?;
        let addresses = answer["addresses"].as_array().into_iter().flatten();
        let addresses = addresses.filter_map(|address| address.as_str()?.parse().ok());
        Ok(addresses.collect())
    }

    /// Where a client outside of the simulated network gets to that connects to a port of a name
    /// or an address.
    ///
    /// # Errors
    ///
    /// If the process that serves the sandbox does not answer.
    pub async fn connect_address(&self, host: &str, port: u16) -> Result<Reach, SandboxError> {
        let query = format!("connect?host={}&port={port}", encoded(host));
        let (status, answer) = self.ask(query).await?;
        let address = answer["address"]
            .as_str()
            .and_then(|text| text.parse().ok());
        Ok(match address {
            Some(address) => Reach::Socket(address),
            None if status == 200 => Reach::Dropped,
            None => Reach::Refused(answer["message"].as_str().unwrap_or_default().to_owned()),
        })
    }

    /// The certificate of the root that server certificates chain to, PEM; `None` where nothing has one.
    ///
    /// # Errors
    ///
    /// If the process that serves the sandbox does not answer.
    pub async fn server_root(&self) -> Result<Option<String>, SandboxError> {
        let (status, body) = self.ask_text("ca".to_owned()).await?;
        Ok((status == 200).then_some(body))
    }

    /// Asks the process that serves the sandbox; a refusal is an answer too.
    async fn ask(&self, query: String) -> Result<(u16, serde_json::Value), SandboxError> {
        let (status, body) = self.ask_text(query).await?;
        Ok((status, serde_json::from_str(&body).unwrap_or_default()))
    }

    /// The same, whose answer is a text.
    async fn ask_text(&self, query: String) -> Result<(u16, String), SandboxError> {
        let url = self.url.clone();
        let asked = move || control::ask(&url, ("GET", &query), "");
        tokio::task::spawn_blocking(asked)
            .await
            .expect("asking does not panic")
    }

    /// Stops it, if this process serves it, once no other process uses it.
    pub async fn shutdown(self) {
        match self.host {
            Host::Here(task, stop) => {
                // Fails only if the task has ended by itself.
                _ = stop.send(());
                if let Err(error) = task.await {
                    tracing::error!(%error, "the sandbox ended early");
                }
            }
            Host::Elsewhere(connection) => drop(connection),
        }
    }
}

/// Opens the sandbox in a directory: the one that another process serves, else one of its own.
///
/// # Errors
///
/// If the directory cannot be used, or its state not be read.
#[expect(
    clippy::disallowed_methods,
    reason = "this waits for another process, which no clock of ours speeds up"
)]
pub async fn open(options: Options) -> Result<Running, SandboxError> {
    const PATIENCE: u32 = 200;
    for _ in 0..PATIENCE {
        match store::claim(&options.directory)? {
            Claim::Held(lock) => return start(options, lock).await,
            Claim::Taken => {
                if let Some(running) = connect(&options).await? {
                    return Ok(running);
                }
            }
        }
        // The other process is about to serve, or about to end.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(SandboxError::Silent(options.directory))
}

/// Serves the sandbox in a directory until `shutdown` resolves.
///
/// `started` is told where, once it can be called, and `appeared` of every listener of a load
/// balancer that clients can connect to from now on.
///
/// # Errors
///
/// If the directory cannot be used, its state not be read, or another process serves it.
pub async fn serve(
    options: Options,
    started: impl FnOnce(&Running),
    mut appeared: impl FnMut(&Appeared),
    shutdown: impl Future<Output = ()>,
) -> Result<(), SandboxError> {
    let mut running = match store::claim(&options.directory)? {
        Claim::Held(lock) => start(options, lock).await?,
        Claim::Taken => {
            let url = store::address(&options.directory)
                .map(|address| address.url)
                .unwrap_or_default();
            return Err(SandboxError::Served {
                path: options.directory,
                url,
            });
        }
    };
    started(&running);
    let mut news = running.appeared.take();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async {
            match &mut news {
                Some(news) => news.recv().await,
                None => None,
            }
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(listener) = next => appeared(&listener),
            else => {
                shutdown.await;
                break;
            }
        }
    }
    running.shutdown().await;
    Ok(())
}

/// Serves a directory that this process holds, on a task of its own.
async fn start(options: Options, lock: std::fs::File) -> Result<Running, SandboxError> {
    let opened = store::Store::open(&options.directory, lock, ACCOUNT)?;
    let socket = server::listen(options.port).await;
    let (listener, address) = socket.map_err(SandboxError::io("serve", &options.directory))?;
    let url = format!("http://{address}");
    opened.0.publish(&Address {
        url: url.clone(),
        timing: options.timing.to_string(),
    })?;
    let mut account = Account::new(opened, options.timing, url.clone());
    account.faults.add(options.faults);
    account.rates = options.rates;
    let server = Server::new(account, options.latency).in_rounds(options.quiet);
    let server = Arc::new(server);
    let (news, appeared) = mpsc::unbounded_channel();
    let data_plane = DataPlane::new(Arc::clone(&server), options.client_address, news);
    server.attach(&data_plane);
    data_plane.reconcile();
    data_plane.start_probes();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let ending = Arc::clone(&server);
        let shutdown = async move {
            // A dropped sender asks for the same as a used one.
            _ = stopped.await;
            ending.without_guests().await;
        };
        let keeping_time = tokio::spawn(Arc::clone(&data_plane).keep_time());
        Arc::clone(&server).run(listener, shutdown).await;
        keeping_time.abort();
        data_plane.close();
        if let Err(error) = server.account().store.withdraw() {
            tracing::warn!(%error, "the sandbox's address stays behind");
        }
    });
    Ok(Running {
        url,
        timing: options.timing,
        host: Host::Here(task, stop),
        appeared: Some(appeared),
    })
}

/// Connects to the process that serves a directory, if it answers.
async fn connect(options: &Options) -> Result<Option<Running>, SandboxError> {
    let Some(Address { url, timing }) = store::address(&options.directory) else {
        return Ok(None);
    };
    let Ok(timing) = timing.parse() else {
        return Ok(None);
    };
    let Ok(connection) = hold(&url).await else {
        return Ok(None);
    };
    if !options.faults.is_empty() {
        let faults: Vec<String> = options.faults.iter().map(ToString::to_string).collect();
        let (to, faults) = (url.clone(), faults.join(" "));
        let sent =
            tokio::task::spawn_blocking(move || control::send(&to, ("POST", "faults"), &faults));
        sent.await.expect("sending does not panic")?;
    }
    Ok(Some(Running {
        url,
        timing,
        host: Host::Elsewhere(connection),
        appeared: None,
    }))
}

/// Asks the process that serves a sandbox to go on for as long as the connection lasts.
async fn hold(url: &str) -> std::io::Result<TcpStream> {
    let host = url.trim_start_matches("http://");
    let mut connection = TcpStream::connect(host).await?;
    let request = format!("GET /_sandbox/hold HTTP/1.1\r\nHost: {host}\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await?;
    if answer == *b"HTTP/1.1 200" {
        Ok(connection)
    } else {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}

/// The process that serves a directory now, if one does.
fn served(directory: &Path) -> Result<Option<Address>, SandboxError> {
    if !directory.exists() {
        return Ok(None);
    }
    match store::claim(directory)? {
        Claim::Held(_) => Ok(None),
        Claim::Taken => {
            let silent = || SandboxError::Silent(directory.to_owned());
            store::address(directory).map(Some).ok_or_else(silent)
        }
    }
}

/// Begins anew: an account that nothing has been done in.
///
/// # Errors
///
/// If the directory cannot be used, or holds something else than a sandbox.
pub fn reset(directory: &Path) -> Result<(), SandboxError> {
    match served(directory)? {
        Some(address) => control::send(&address.url, ("POST", "reset"), "").map(drop),
        None if directory.exists() => store::clear(directory),
        None => Ok(()),
    }
}

/// Everything the account holds, without private keys and object contents.
///
/// # Errors
///
/// If the state cannot be read.
pub fn dump(directory: &Path) -> Result<serde_json::Value, SandboxError> {
    let world = store::read(directory)?.unwrap_or_else(|| world::World::fresh(ACCOUNT));
    Ok(control::dumped(&world))
}

/// How often each operation was called, as `service:Operation`.
///
/// # Errors
///
/// If the log of calls cannot be read.
pub fn calls(directory: &Path) -> Result<BTreeMap<String, u64>, SandboxError> {
    store::calls(directory).map(control::counted)
}

/// Forgets all calls that were counted.
///
/// # Errors
///
/// If the log of calls cannot be written.
pub fn forget_calls(directory: &Path) -> Result<(), SandboxError> {
    store::forget_calls(directory)
}

/// Lets a loopback server stand for what is at a place of the simulated network or the internet, or
/// nothing any more: `10.0.1.5:443`, `i-0123456789abcdef0:80`, `backend.example.com:443`.
///
/// # Errors
///
/// If the place or the server is none, or the state cannot be read or written.
pub fn set_host(
    directory: &Path,
    place: &str,
    server: Option<SocketAddr>,
) -> Result<(), SandboxError> {
    let (method, text) = match server {
        Some(server) => ("POST", format!("{place}={server}")),
        None => ("DELETE", place.to_owned()),
    };
    if let Some(address) = served(directory)? {
        return control::send(&address.url, (method, "hosts"), &text).map(drop);
    }
    let Claim::Held(lock) = store::claim(directory)? else {
        return Err(SandboxError::Silent(directory.to_owned()));
    };
    let (mut store, mut world) = store::Store::open(directory, lock, ACCOUNT)?;
    let done = match server {
        Some(_) => data_plane::register_host(&mut world, &text),
        None => data_plane::remove_host(&mut world, &text),
    };
    done.map_err(SandboxError::Host)?;
    store.save(&world)
}

/// Sets the quota with this code, as a support case would.
///
/// # Errors
///
/// If the state cannot be read or written.
pub fn set_quota(directory: &Path, code: &str, value: u64) -> Result<(), SandboxError> {
    if let Some(address) = served(directory)? {
        return control::send(&address.url, ("POST", "quotas"), &format!("{code}={value}"))
            .map(drop);
    }
    let Claim::Held(lock) = store::claim(directory)? else {
        return Err(SandboxError::Silent(directory.to_owned()));
    };
    let (mut store, mut world) = store::Store::open(directory, lock, ACCOUNT)?;
    world.quotas.insert(code.to_owned(), value);
    store.save(&world)
}
