//! A connection from its first byte to its last: TLS, then HTTP/1.1 or HTTP/2.

mod body;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::body::{Count, Counted};
use super::gate::Gates;
use super::listener::{Place, pause};
use super::log::{self, Handshake};
use super::settings::{Certificates, Settings};
use super::tap::{Passed, Tap};
use super::tls::{self, Watch};
use super::{Body, Connection, DataPlane, TlsDetails, header, route, whole};

/// How long a handshake can take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a refused client can go on sending, so that it reads the alert before a reset.
const LINGERING: Duration = Duration::from_millis(500);

/// The largest request line and the largest header; AWS does not raise them.
const LARGEST_LINE: usize = 16 * 1024;

/// All headers together; AWS does not raise it.
const LARGEST_HEAD: u32 = 64 * 1024;

/// How many requests a client can have under way on an HTTP/2 connection.
const STREAMS: u32 = 128;

/// Serves one connection until it ends.
pub(super) async fn serve(
    plane: &Arc<DataPlane>,
    place: &Place,
    mut connection: Connection,
    stream: TcpStream,
) {
    let Some(settings) = Settings::of(plane, place) else {
        return;
    };
    let (tap, passed) = Tap::new(stream);
    if !settings.is_https {
        log::connection(plane, &connection, settings.port, Handshake::Absent);
        let service = Service::new(plane, place, connection);
        return converse(service, tap, &settings, &passed).await;
    }
    let Some((gate, now)) = Gates::of(plane, place).await else {
        return;
    };
    let Ok((config, watch)) = gate.open(now) else {
        return;
    };
    let shaken = tokio::time::timeout(HANDSHAKE, shake(config, tap)).await;
    // A client that stalls has no stream left to linger on.
    let shaken = shaken.unwrap_or(Err(None));
    describe(&mut connection, &watch, &passed);
    tracing::debug!(
        listener = connection.listener,
        server_name = ?connection.tls.as_ref().map(|tls| &tls.server_name),
        refused = ?watch.asker.seen().refused,
        "a handshake is over"
    );
    match shaken {
        Ok(stream) => {
            if let (Some(tls), Some(group)) = (
                &mut connection.tls,
                stream.get_ref().1.negotiated_key_exchange_group(),
            ) {
                tls.key_exchange = Some(tls::group_name(group.name().into()));
            }
            let is_verified = settings.certificates == Certificates::Verify;
            let done = Handshake::Done(passed.age(), is_verified);
            log::connection(plane, &connection, settings.port, done);
            let service = Service::new(plane, place, connection);
            converse(service, stream, &settings, &passed).await;
        }
        Err(stream) => {
            let refused = watch.asker.seen().refused;
            let failed = refused.map_or(Handshake::Failed, Handshake::Refused);
            log::connection(plane, &connection, settings.port, failed);
            if let Some(stream) = stream {
                linger(stream).await;
            }
        }
    }
}

/// Shakes hands; on failure the alert has been sent.
async fn shake(
    config: Arc<rustls::ServerConfig>,
    stream: Tap<TcpStream>,
) -> Result<TlsStream<Tap<TcpStream>>, Option<Tap<TcpStream>>> {
    let accepted = TlsAcceptor::from(config).accept(stream).into_fallible();
    accepted.await.map_err(|(error, stream)| {
        tracing::debug!(%error, "a handshake failed");
        Some(stream)
    })
}

/// Puts down what the handshake showed, whether it came to its end or not.
fn describe(connection: &mut Connection, watch: &Watch, passed: &Passed) {
    connection.certificates = watch.asker.seen().certificates;
    connection.tls = passed.hello().map(|hello| {
        let (protocol, cipher, key_exchange) = tls::names_of(hello);
        let (certificate, server_name) = watch.chosen();
        TlsDetails {
            protocol,
            cipher,
            key_exchange,
            server_name,
            certificate,
        }
    });
}

/// Reads what a refused client still sends: closed at once, the connection would be reset, and the
/// alert be lost with it.
async fn linger(mut stream: Tap<TcpStream>) {
    let drain = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut rest = [0; 4096];
        for _ in 0..64 {
            if !matches!(stream.read(&mut rest).await, Ok(1..)) {
                return;
            }
        }
    };
    _ = tokio::time::timeout(LINGERING, drain).await;
}

/// What answers the requests of one connection.
#[derive(Clone)]
struct Service {
    plane: Arc<DataPlane>,
    place: Arc<Place>,
    connection: Arc<Connection>,
}

impl Service {
    fn new(plane: &Arc<DataPlane>, place: &Place, connection: Connection) -> Self {
        Self {
            plane: Arc::clone(plane),
            place: Arc::new(place.clone()),
            connection: Arc::new(connection),
        }
    }

    /// Answers a request, which the access log tells of when the answer is sent.
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let Self {
            plane,
            place,
            connection,
        } = self;
        let Some(settings) = Settings::of(&plane, &place) else {
            return refused(StatusCode::SERVICE_UNAVAILABLE);
        };
        let (mut head, body) = request.into_parts();
        header::apply(&mut head.headers, &connection, &settings, &plane);
        let listener = (settings.port, settings.is_https);
        let told = log::Request::of(&head, settings.now, listener);
        let received = Count::default();
        let body = Counted::new(body.map_err(Into::into).boxed(), received.clone());
        let answered = if let Some(status) = check(&head) {
            route::Answered {
                response: refused(status),
                record: route::RequestRecord::default(),
            }
        } else {
            let request = Request::from_parts(head, body.boxed());
            route::respond(&plane, &connection, request).await
        };
        let (mut head, body) = answered.response.into_parts();
        header::apply_to_response(&mut head.headers, &settings);
        let status = head.status.as_u16();
        let sent = Count::default();
        sent.add(head_size(&head));
        let end = Box::new(move |sent: u64| {
            let answer = log::Answer {
                request: told,
                record: answered.record,
                status,
                bytes: (received.total(), sent),
            };
            log::request(&plane, &connection, &answer);
        });
        let body = Counted::new(body, sent).with_end(end);
        Response::from_parts(head, body.boxed())
    }
}

/// The bytes of an answer's head on the wire of HTTP/1.1.
fn head_size(head: &hyper::http::response::Parts) -> u64 {
    let fields = head.headers.iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let line = "HTTP/1.1 200 OK\r\n\r\n".len();
    u64::try_from(fields + line).unwrap_or(u64::MAX)
}

/// What of a request is too large for a load balancer.
fn check(head: &hyper::http::request::Parts) -> Option<StatusCode> {
    if head.uri.to_string().len() > LARGEST_LINE {
        return Some(StatusCode::URI_TOO_LONG);
    }
    let mut sizes = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    if sizes.any(|size| size > LARGEST_LINE) {
        return Some(StatusCode::BAD_REQUEST);
    }
    let has_host = head.headers.contains_key(hyper::header::HOST);
    (head.version == Version::HTTP_11 && !has_host).then_some(StatusCode::BAD_REQUEST)
}

/// A load balancer's own answer.
fn refused(status: StatusCode) -> Response<Body> {
    let title = format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    );
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = Response::new(whole(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("awselb/2.0"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// A stream that speaks one of the protocols.
trait Speaks {
    /// Whether HTTP/2 was agreed on.
    fn is_http2(&self) -> bool;
}

impl Speaks for Tap<TcpStream> {
    fn is_http2(&self) -> bool {
        false
    }
}

impl Speaks for TlsStream<Tap<TcpStream>> {
    fn is_http2(&self) -> bool {
        self.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

/// Speaks HTTP until the connection ends, or nothing has passed for too long.
async fn converse<S>(service: Service, stream: S, settings: &Settings, passed: &Passed)
where
    S: Speaks + AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let is_http2 = stream.is_http2();
    let stream = TokioIo::new(stream);
    let answer = service_fn(move |request| {
        let answer = service.clone().answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    if is_http2 {
        let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(LARGEST_HEAD)
            .serve_connection(stream, answer);
        let served = std::pin::pin!(served);
        watched(served, settings, passed, |served| {
            served.graceful_shutdown();
        })
        .await;
    } else {
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.idle_timeout)
            .max_buf_size(LARGEST_HEAD as usize + LARGEST_LINE)
            .serve_connection(stream, answer);
        let served = std::pin::pin!(served);
        watched(served, settings, passed, |served| {
            served.graceful_shutdown();
        })
        .await;
    }
}

/// Waits for a connection's end, and brings it about when it is idle or has been open for long.
async fn watched<F>(
    mut served: std::pin::Pin<&mut F>,
    settings: &Settings,
    passed: &Passed,
    shut: impl Fn(std::pin::Pin<&mut F>),
) where
    F: Future<Output = Result<(), hyper::Error>>,
{
    let mut is_ending = false;
    loop {
        let idle = settings.idle_timeout.saturating_sub(passed.idle());
        let rest = settings.keep_alive.saturating_sub(passed.age());
        let wait = if is_ending { idle } else { idle.min(rest) };
        tokio::select! {
            result = &mut served => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a client's connection ended early");
                }
                return;
            }
            () = pause(wait.max(Duration::from_millis(10))) => {
                if passed.idle() >= settings.idle_timeout {
                    return;
                }
                if passed.age() >= settings.keep_alive && !is_ending {
                    is_ending = true;
                    shut(served.as_mut());
                }
            }
        }
    }
}
