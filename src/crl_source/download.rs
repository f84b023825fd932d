//! One HTTP GET: bounded in time, size and redirects, and kept away from private addresses.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION};
use reqwest::{Response, StatusCode, Url};

use super::address::{PublicOnly, check_literal};
use super::cache::{Entry, Validators};

/// The largest PEM that a load balancer takes.
const LARGEST_PEM: usize = 50 * 1024 * 1024;
/// The largest DER whose PEM is not larger than that.
const LARGEST_DER: usize = 36 * 1024 * 1024;
/// How often an answer may lead elsewhere.
const REDIRECTS: usize = 5;
/// How long a connection may take to be made, at most.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a server may be silent, at most.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);
/// How a DER SEQUENCE, and so a CRL in DER form, begins.
const SEQUENCE: u8 = 0x30;

/// What a server answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// The same as before.
    Unchanged,
    /// This.
    Content(Entry),
}

/// A way to servers.
pub(super) struct Client {
    http: reqwest::Client,
    allow_private: bool,
    limit: Duration,
}

impl Client {
    /// A client whose requests take `limit` at most, redirects included.
    ///
    /// One that may go to private addresses uses the proxies of the environment; any other goes
    /// straight to the server, since what a proxy connects to cannot be looked at.
    pub(super) fn new(allow_private: bool, limit: Duration) -> Result<Self, String> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mtlsgw/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(SILENCE_LIMIT);
        let builder = if allow_private {
            builder
        } else {
            builder.no_proxy().dns_resolver(PublicOnly)
        };
        let http = builder.build().map_err(words)?;
        Ok(Self {
            http,
            allow_private,
            limit,
        })
    }

    /// Fetches a URL, unless it serves what `validators` stand for.
    pub(super) async fn get(
        &self,
        url: &Url,
        validators: Option<&Validators>,
    ) -> Result<Answer, String> {
        let whole = tokio::time::timeout(self.limit, self.follow(url.clone(), validators));
        let late = |_| format!("no answer within {} s", self.limit.as_secs());
        whole.await.map_err(late)?
    }

    async fn follow(
        &self,
        mut url: Url,
        validators: Option<&Validators>,
    ) -> Result<Answer, String> {
        for _ in 0..=REDIRECTS {
            if !self.allow_private {
                check_literal(&url).map_err(|error| error.to_string())?;
            }
            let request = self.http.get(url.clone()).headers(conditions(validators));
            let response = request.send().await.map_err(words)?;
            match response.status() {
                StatusCode::NOT_MODIFIED => return Ok(Answer::Unchanged),
                StatusCode::OK => return content(response).await.map(Answer::Content),
                status if status.is_redirection() => url = next(&url, &response)?,
                status => return Err(format!("it answers {status}")),
            }
        }
        Err(format!("it leads on more than {REDIRECTS} times"))
    }
}

/// What makes a server answer that nothing has changed.
fn conditions(validators: Option<&Validators>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(Validators {
        etag,
        last_modified,
    }) = validators
    else {
        return headers;
    };
    for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
        if let Some(value) = value.as_ref().and_then(|value| value.parse().ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Where a redirect leads; never from an encrypted connection to a plain one.
fn next(from: &Url, response: &Response) -> Result<Url, String> {
    let status = response.status();
    let location = header(response, LOCATION.as_str());
    let to = location.and_then(|location| from.join(&location).ok());
    let to = to.ok_or_else(|| format!("it answers {status} and does not say where it leads"))?;
    match (from.scheme(), to.scheme()) {
        ("http", "http" | "https") | ("https", "https") => Ok(to),
        (_, scheme) => Err(format!("it leads on to {scheme}, which is not followed")),
    }
}

/// Reads a body; one that is too large is given up as soon as that shows.
async fn content(mut response: Response) -> Result<Entry, String> {
    let validators = Validators {
        etag: header(&response, ETAG.as_str()),
        last_modified: header(&response, LAST_MODIFIED.as_str()),
    };
    let mut content = Vec::new();
    if let Some(announced) = response.content_length() {
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        refuse_size(announced, LARGEST_PEM)?;
        content.reserve_exact(announced);
    }
    while let Some(chunk) = response.chunk().await.map_err(words)? {
        content.extend_from_slice(&chunk);
        let largest = match content.first() {
            Some(&SEQUENCE) => LARGEST_DER,
            _ => LARGEST_PEM,
        };
        refuse_size(content.len(), largest)?;
    }
    Ok(Entry {
        validators,
        content,
    })
}

fn refuse_size(size: usize, largest: usize) -> Result<(), String> {
    if size <= largest {
        return Ok(());
    }
    let largest = largest / 1024 / 1024;
    Err(format!(
        "it serves more than {largest} MiB, and a load balancer takes 50 MB of PEM at most"
    ))
}

fn header(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

/// An error of the HTTP client without the URL, and with what is at the root of it.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut root = error.source();
    while let Some(deeper) = root.and_then(std::error::Error::source) {
        root = Some(deeper);
    }
    match root {
        Some(root) => format!("{error}: {root}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with this head; gives the port.
    async fn answering(head: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(head.as_bytes()).await.unwrap();
        });
        port
    }

    /// A client that reaches this machine by name, so that the first request gets through.
    fn client() -> Client {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        Client {
            http: http.build().unwrap(),
            allow_private: false,
            limit: Duration::from_secs(10),
        }
    }

    #[tokio::test]
    async fn every_redirect_is_looked_at() {
        for (location, why) in [
            ("http://127.0.0.1:1/", "no public address"),
            (
                "http://169.254.169.254/latest/meta-data/",
                "no public address",
            ),
            ("//[fd00:ec2::254]/", "no public address"),
            ("ftp://crl.example.com/", "it leads on to ftp"),
        ] {
            let head = format!(
                "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let url = format!("http://localhost:{}/", answering(head).await);
            let refused = client()
                .get(&Url::parse(&url).unwrap(), None)
                .await
                .unwrap_err();
            assert!(refused.contains(why), "{location}: {refused}");
        }
    }

    #[tokio::test]
    async fn what_says_that_it_is_too_large_is_not_read() {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            LARGEST_PEM + 1
        );
        let url = format!("http://localhost:{}/", answering(head).await);
        let refused = client()
            .get(&Url::parse(&url).unwrap(), None)
            .await
            .unwrap_err();
        assert!(refused.contains("more than 50 MiB"), "{refused}");
    }

    #[test]
    fn der_has_a_lower_limit_than_pem() {
        assert_eq!(refuse_size(LARGEST_DER, LARGEST_DER), Ok(()));
        assert!(refuse_size(LARGEST_DER + 1, LARGEST_DER).is_err());
        assert!(LARGEST_DER.div_ceil(48) * 65 < LARGEST_PEM);
    }
}
