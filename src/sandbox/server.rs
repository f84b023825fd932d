//! The HTTP side: a loopback socket in front of one account.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::account::{Account, Reply};
use super::control;
use super::data_plane::DataPlane;
use super::wire::{self, Request, Response};

/// Where control requests go, which are no AWS service's.
const CONTROL: &str = "/_sandbox/";

/// The status of a process that was killed.
const KILLED: i32 = 137;

/// What all connections share.
pub(super) struct Server {
    account: Mutex<Account>,
    latency: Duration,
    /// What is asked together is answered together; `None`: each by itself.
    together: Option<Together>,
    /// The latest round of which a request was answered.
    answered: AtomicU64,
    /// How many other processes use this one's sandbox.
    guests: Arc<AtomicUsize>,
    /// The sockets of the account's listeners.
    data_plane: OnceLock<Weak<DataPlane>>,
}

/// Answers that are held back until nothing has been asked for a while.
struct Together {
    quiet: Duration,
    asked: Mutex<Asked>,
}

/// What has been asked and not answered.
struct Asked {
    last: Instant,
    /// How often everything was answered.
    answered: u64,
}

impl Together {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing has been asked for so long that whatever does not depend on the answers has
    /// been asked as well.
    #[expect(
        clippy::disallowed_methods,
        reason = "this waits for a client, whose work takes real time"
    )]
    async fn until_all_have_asked(&self) {
        let round = {
            let mut asked = self.asked();
            asked.last = Instant::now();
            asked.answered
        };
        loop {
            let left = {
                let mut asked = self.asked();
                // Another one of the round has found that it is over; who answers that is of the next.
                if asked.answered != round {
                    return;
                }
                let left = (asked.last + self.quiet).saturating_duration_since(Instant::now());
                if left.is_zero() {
                    asked.answered += 1;
                    return;
                }
                left
            };
            tokio::time::sleep(left).await;
        }
    }
}

/// Opens the loopback socket; port 0 takes any.
pub(super) async fn listen(port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Server {
    /// A server of one account that makes every call wait for `latency`.
    pub(super) fn new(account: Account, latency: Duration) -> Self {
        Self {
            account: Mutex::new(account),
            latency,
            together: None,
            answered: AtomicU64::new(0),
            guests: Arc::default(),
            data_plane: OnceLock::new(),
        }
    }

    /// The same, which answers everything at once that was asked, when nothing more has been asked for
    /// `quiet`: however long a busy client takes to ask, what it asks together is one round.
    pub(super) fn in_rounds(self, quiet: Duration) -> Self {
        let asked = Asked {
            last: Instant::now(),
            answered: 0,
        };
        let together = Together {
            quiet,
            asked: Mutex::new(asked),
        };
        Self {
            together: Some(together).filter(|one| !one.quiet.is_zero()),
            ..self
        }
    }

    /// Makes the data plane known, which follows the account from now on.
    pub(super) fn attach(&self, data_plane: &Arc<DataPlane>) {
        // Attached once, where the server is started.
        _ = self.data_plane.set(Arc::downgrade(data_plane));
    }

    fn data_plane(&self) -> Option<Arc<DataPlane>> {
        self.data_plane.get()?.upgrade()
    }

    /// The account; what a handler that panicked had begun is undone.
    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(|poisoned| {
            let mut account = poisoned.into_inner();
            account.recover();
            self.account.clear_poison();
            account
        })
    }

    /// Answers connections until `shutdown` resolves, then lets those end that are under way.
    pub(super) async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) {
        let (close, closing) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    connections.spawn(Arc::clone(&self).converse(stream, closing.clone()));
                }
                Some(_) = connections.join_next() => {}
                () = &mut shutdown => break,
            }
        }
        drop((listener, close));
        // Idle connections end at once; a client that stalls is not waited for.
        let ended = async { while connections.join_next().await.is_some() {} };
        _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
    }

    /// Answers one connection's requests until it ends, or `closing` says to.
    async fn converse(self: Arc<Self>, stream: TcpStream, mut closing: watch::Receiver<()>) {
        // Small answers would wait for each other's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
        let service = service_fn(move |request| Arc::clone(&self).respond(request));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = &mut connection => result,
            _ = closing.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    /// Resolves when no other process uses this one's sandbox any more.
    #[expect(
        clippy::disallowed_methods,
        reason = "this waits for other processes, which no clock of ours speeds up"
    )]
    pub(super) async fn without_guests(&self) {
        if self.guests.load(Ordering::Acquire) > 0 {
            tracing::info!("waiting for other commands that use this sandbox");
        }
        while self.guests.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn control(&self, command: &str, request: &Request) -> Response {
        let data_plane = self.data_plane();
        let answer = data_plane
            .as_ref()
            .and_then(|data_plane| data_plane.control(command, request));
        let answer =
            answer.unwrap_or_else(|| control::answer(&mut self.account(), command, request));
        if let Some(data_plane) = data_plane {
            data_plane.reconcile();
            // The clock may have been advanced.
            data_plane.deliver_due();
        }
        answer
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the latency stands for a network's, which passes in real time"
    )]
    async fn respond(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<Content>, Lost> {
        let mut request = read(request).await?;
        if let Some(command) = request.path.strip_prefix(CONTROL) {
            if command == "hold" {
                return Ok(hyper::Response::new(Content::Held(Guest::new(
                    &self.guests,
                ))));
            }
            return Ok(written(self.control(command, &request)));
        }
        let round = self.answered.load(Ordering::Acquire) + 1;
        request.round = round;
        tokio::time::sleep(self.latency).await;
        if let Some(together) = &self.together {
            together.until_all_have_asked().await;
        }
        let reply = self.account().answer(request);
        self.answered.fetch_max(round, Ordering::AcqRel);
        if let Some(data_plane) = self.data_plane() {
            data_plane.reconcile();
        }
        match reply {
            Ok(Reply::Answer(response)) => Ok(written(response)),
            Ok(Reply::Silence) => Err(Lost),
            Ok(Reply::Exit) => exit(),
            Err(error) => {
                tracing::error!(%error, "the sandbox cannot keep its state");
                let body = error.to_string().into_bytes();
                Ok(written(Response {
                    status: 500,
                    headers: Vec::new(),
                    body,
                }))
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "the fault is that the process ends between two instructions"
)]
fn exit() -> ! {
    std::process::exit(KILLED)
}

/// No answer: the connection closes.
#[derive(Debug, thiserror::Error)]
#[error("the reply is lost")]
struct Lost;

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes().to_vec();
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    };
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(wire::pairs).unwrap_or_default(),
        headers: head.headers.iter().map(header).collect(),
        body,
        round: 0,
    })
}

fn written(response: Response) -> hyper::Response<Content> {
    let mut builder = hyper::Response::builder().status(response.status);
    for (name, value) in response.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Content::Whole(Some(response.body.into())))
        .unwrap_or_else(|error| {
            tracing::error!(%error, "an answer is not HTTP");
            let mut response = hyper::Response::new(Content::Whole(None));
            *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
}

/// A process that uses this one's sandbox, for as long as its connection lasts.
struct Guest(Arc<AtomicUsize>);

impl Guest {
    fn new(guests: &Arc<AtomicUsize>) -> Self {
        guests.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(guests))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of an answer.
enum Content {
    /// All of it.
    Whole(Option<Bytes>),
    /// One that goes on until the client leaves.
    Held(#[expect(dead_code, reason = "counts by being there")] Guest),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                let body = body.take().filter(|body| !body.is_empty());
                Poll::Ready(body.map(|body| Ok(Frame::data(body))))
            }
            Self::Held(_) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(body) if body.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(body) => {
                let length = body.as_ref().map_or(0, Bytes::len);
                hyper::body::SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Self::Held(_) => hyper::body::SizeHint::default(),
        }
    }
}
