//! One HTTP request over a connection, HTTP/1.1 or HTTP/2, and its answer.

use std::error::Error;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::tls::{alert, ended, is_refusal};

/// How much of a body is read.
const BODY: usize = 64 * 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Path and query.
    pub(crate) path: String,
    /// Further headers.
    pub(crate) headers: Vec<(String, String)>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// In words.
    pub(crate) reason: String,
    /// Whether the server ended it, in place of an answer.
    pub(crate) is_refusal: bool,
}

impl End {
    fn of(error: &(dyn Error + 'static)) -> Self {
        Self {
            reason: ended(error),
            is_refusal: is_refusal(error),
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, as far as it was read.
    pub(crate) body: String,
}

impl Ask {
    /// A request for a path.
    pub(crate) fn path(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            headers: Vec::new(),
        }
    }
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer in a few words.
    pub(crate) fn text(&self) -> String {
        format!("HTTP {}", self.status)
    }
}

/// Asks, and reads the answer.
///
/// # Errors
///
/// Why there is none.
pub(super) async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ask: &Ask,
    (host, is_http2): (&str, bool),
) -> Result<Answer, End> {
    let request = request(ask, (host, is_http2)).map_err(|reason| End {
        reason,
        is_refusal: false,
    })?;
    let io = TokioIo::new(stream);
    if is_http2 {
        let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .map_err(|error| End::of(&error))?;
        let answer = async move { answer(sender.send_request(request).await).await };
        joined(answer, connection).await
    } else {
        let (mut sender, connection) = conn::http1::handshake(io)
            .await
            .map_err(|error| End::of(&error))?;
        let answer = async move { answer(sender.send_request(request).await).await };
        joined(answer, connection).await
    }
}

/// Runs the connection for as long as the answer takes; of two errors the one that knows more counts.
async fn joined(
    answer: impl Future<Output = Result<Answer, hyper::Error>>,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) -> Result<Answer, End> {
    let (answer, connection) = futures::join!(answer, connection);
    answer.map_err(|error| match connection {
        Err(reason) if alert(&error).is_none() && reason.source().is_some() => End::of(&reason),
        _ => End::of(&error),
    })
}

fn request(ask: &Ask, (host, is_http2): (&str, bool)) -> Result<Request<Empty<Bytes>>, String> {
    let uri = if is_http2 {
        format!("https://{host}{}", ask.path)
    } else {
        ask.path.clone()
    };
    let request = Request::get(uri).body(Empty::new());
    let mut request = request.map_err(|error| format!("`{}`: {error}", ask.path))?;
    let headers = request.headers_mut();
    if !is_http2 {
        let host = HeaderValue::from_str(host).map_err(|_| format!("`{host}` is no host"))?;
        headers.insert(HOST, host);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let agent = concat!("mtlsgw/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in &ask.headers {
        let wrong = || format!("`{name}: {value}` is no header");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        headers.insert(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
    }
    Ok(request)
}

async fn answer(
    response: Result<Response<Incoming>, hyper::Error>,
) -> Result<Answer, hyper::Error> {
    let (head, body) = response?.into_parts();
    // The status is the answer; a body that is cut short, or longer than what is read, takes nothing from it.
    let mut body = Limited::new(body, BODY);
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(data);
        }
    }
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&read).into_owned(),
    })
}
