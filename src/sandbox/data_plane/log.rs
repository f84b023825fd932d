//! Connection logs and access logs: what their lines say.
//!
//! Both are gathered for each node of a load balancer and delivered by `delivery`.

mod delivery;

use std::fmt::Write;
use std::time::Duration;

use hyper::http::request;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

pub(super) use self::delivery::Logs;
use super::client::Reason;
use super::header::Leaf;
use super::route::RequestRecord;
use super::{Connection, DataPlane};

/// The logs that a load balancer can write of what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// One line for each connection.
    Connections,
    /// One line for each request.
    Requests,
}

impl Kind {
    /// The prefix of its attributes.
    fn attribute(self) -> &'static str {
        match self {
            Self::Connections => "connection_logs",
            Self::Requests => "access_logs",
        }
    }

    /// What the names of its objects begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Connections => "conn_log_",
            Self::Requests => "",
        }
    }
}

/// How a connection's handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handshake {
    /// There is none on HTTP.
    Absent,
    /// It succeeded after this time, and the client was verified or not.
    Done(Duration, bool),
    /// The client's certificate was refused.
    Refused(Reason),
    /// It failed otherwise.
    Failed,
}

impl Handshake {
    fn status(self) -> String {
        match self {
            Self::Absent | Self::Done(_, false) => "-".to_owned(),
            Self::Done(_, true) => "Success".to_owned(),
            Self::Refused(reason) => format!("Failed:{}", reason.code()),
            Self::Failed => "Failed:UnmappedConnectionError".to_owned(),
        }
    }

    fn latency(self) -> String {
        match self {
            Self::Done(latency, _) => format!("{:.3}", latency.as_secs_f64()),
            Self::Absent | Self::Refused(_) | Self::Failed => "-".to_owned(),
        }
    }
}

const SECONDS: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A time as log lines have it.
fn timestamp(milliseconds: i64) -> String {
    let nanoseconds = i128::from(milliseconds) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds);
    let text = time.ok().and_then(|time| time.format(SECONDS).ok());
    text.unwrap_or_else(|| "-".to_owned())
}

/// The part of an ARN that names the load balancer: `app/NAME/ID`.
fn resource(load_balancer: &str) -> &str {
    let resource = load_balancer.split_once(":loadbalancer/");
    resource.map_or(load_balancer, |(_, resource)| resource)
}

fn or_dash(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("-")
}

/// A quoted field: nothing in it ends it, or the line.
fn quoted(text: Option<&str>) -> String {
    let mut quoted = String::from("\"");
    for character in or_dash(text).chars() {
        match character {
            '"' => quoted.push_str("\\x22"),
            control if control.is_control() => {
                _ = write!(quoted, "\\x{:02x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Notes a connection when its handshake is over, if its load balancer writes such logs.
pub(super) fn connection(
    plane: &DataPlane,
    connection: &Connection,
    listener_port: i64,
    handshake: Handshake,
) {
    plane
        .logs
        .note(plane, connection, Kind::Connections, |now| {
            connection_line(connection, now, listener_port, handshake)
        });
}

fn connection_line(
    connection: &Connection,
    now: i64,
    listener_port: i64,
    handshake: Handshake,
) -> String {
    let tls = connection.tls.as_ref();
    let leaf = connection.certificates.first();
    let leaf = leaf.and_then(|der| Leaf::of(der));
    let leaf = leaf.as_ref();
    [
        timestamp(now),
        connection.client.ip().to_string(),
        connection.client.port().to_string(),
        listener_port.to_string(),
        or_dash(tls.map(|tls| tls.protocol.as_str())).to_owned(),
        or_dash(tls.map(|tls| tls.cipher.as_str())).to_owned(),
        handshake.latency(),
        quoted(leaf.map(|leaf| leaf.subject.as_str())),
        or_dash(leaf.map(|leaf| leaf.validity.as_str())).to_owned(),
        or_dash(leaf.map(|leaf| leaf.serial.as_str())).to_owned(),
        handshake.status(),
        connection.trace.clone(),
        or_dash(tls.and_then(|tls| tls.key_exchange.as_deref())).to_owned(),
        resource(&connection.load_balancer).to_owned(),
        connection.node.to_string(),
    ]
    .join(" ")
}

/// What the access log says of a request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// `https`, `http`, `h2`.
    kind: &'static str,
    /// When it came, in milliseconds.
    created: i64,
    /// `GET https://api.example.com:443/pets HTTP/1.1`.
    line: String,
    user_agent: String,
    trace: String,
    host: String,
    /// The bytes of its head.
    head: u64,
}

impl Request {
    /// Reads a request as it goes to the target.
    pub(super) fn of(head: &request::Parts, now: i64, (port, is_https): (i64, bool)) -> Self {
        let header = |name: &str| {
            let value = head.headers.get(name);
            value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let authority = head.uri.authority().map(ToString::to_string);
        let authority = authority.or_else(|| header("host")).unwrap_or_default();
        let host = authority.split(':').next().unwrap_or_default().to_owned();
        let scheme = if is_https { "https" } else { "http" };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let version = match head.version {
            hyper::Version::HTTP_2 => "HTTP/2.0",
            hyper::Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        };
        let fields = head.headers.iter();
        let fields: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        let line = format!("{} {scheme}://{host}:{port}{path} {version}", head.method);
        Self {
            kind: match head.version {
                hyper::Version::HTTP_2 => "h2",
                _ => scheme,
            },
            created: now,
            user_agent: header("user-agent").unwrap_or_default(),
            trace: header("x-amzn-trace-id").unwrap_or_default(),
            head: u64::try_from(line.len() + fields + 4).unwrap_or(u64::MAX),
            line,
            host,
        }
    }
}

/// A request that was answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// What was asked.
    pub(super) request: Request,
    /// What was done about it.
    pub(super) record: RequestRecord,
    /// What the client was told.
    pub(super) status: u16,
    /// The bytes of the request's body and of the answer.
    pub(super) bytes: (u64, u64),
}

/// Notes a request when its answer is sent, if its load balancer writes such logs.
pub(super) fn request(plane: &DataPlane, connection: &Connection, answer: &Answer) {
    plane.logs.note(plane, connection, Kind::Requests, |now| {
        request_line(connection, now, answer)
    });
}

fn request_line(connection: &Connection, now: i64, answer: &Answer) -> String {
    let Answer {
        request,
        record,
        status,
        bytes,
    } = answer;
    let tls = connection.tls.as_ref();
    let target = or_dash(record.target.as_deref());
    let target_status = record.target_status.map(|status| status.to_string());
    let target_status = or_dash(target_status.as_deref());
    let time = |index: usize| match record.times {
        Some(times) => format!("{:.3}", times[index]),
        None => "-1".to_owned(),
    };
    let chosen = tls.and_then(|tls| tls.certificate.as_deref());
    let priority = record.rule_priority.map(|priority| priority.to_string());
    let actions = (!record.actions.is_empty()).then(|| record.actions.join(","));
    [
        request.kind.to_owned(),
        timestamp(now),
        resource(&connection.load_balancer).to_owned(),
        connection.client.to_string(),
        target.to_owned(),
        time(0),
        time(1),
        time(2),
        status.to_string(),
        target_status.to_owned(),
        (request.head + bytes.0).to_string(),
        bytes.1.to_string(),
        quoted(Some(&request.line)),
        quoted(Some(&request.user_agent)),
        or_dash(tls.map(|tls| tls.cipher.as_str())).to_owned(),
        or_dash(tls.map(|tls| tls.protocol.as_str())).to_owned(),
        or_dash(record.target_group.as_deref()).to_owned(),
        quoted(Some(&request.trace)),
        quoted(Some(&request.host)),
        quoted(chosen),
        or_dash(priority.as_deref()).to_owned(),
        timestamp(request.created),
        quoted(actions.as_deref()),
        quoted(record.redirect_url.as_deref()),
        quoted(record.error_reason.as_deref()),
        quoted(Some(target)),
        quoted(Some(target_status)),
        quoted(None),
        quoted(None),
        connection.trace.clone(),
    ]
    .join(" ")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::super::TlsDetails;
    use super::*;

    fn on_https() -> Connection {
        Connection {
            region: "eu-west-1".to_owned(),
            listener: "arn:l".to_owned(),
            load_balancer: "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/edge/50dc"
                .to_owned(),
            node: Ipv4Addr::new(10, 0, 0, 5),
            client: SocketAddr::from(([198, 51, 100, 10], 40_000)),
            tls: Some(TlsDetails {
                protocol: "TLSv1.3".to_owned(),
                cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
                key_exchange: Some("x25519".to_owned()),
                server_name: Some("api.example.com".to_owned()),
                certificate: Some("arn:c".to_owned()),
            }),
            certificates: Vec::new(),
            trace: "TID_1".to_owned(),
        }
    }

    #[test]
    fn a_connection_has_fifteen_columns() {
        let line = |handshake| connection_line(&on_https(), 1_768_435_200_123, 443, handshake);
        let begin = "2026-01-15T00:00:00.123000Z 198.51.100.10 40000 443 TLSv1.3 \
                     TLS_AES_128_GCM_SHA256";
        let end = "TID_1 x25519 app/edge/50dc 10.0.0.5";
        assert_eq!(
            line(Handshake::Done(Duration::from_millis(4), true)),
            format!("{begin} 0.004 \"-\" - - Success {end}")
        );
        assert_eq!(
            line(Handshake::Refused(Reason::CrlHit)),
            format!("{begin} - \"-\" - - Failed:ClientCertCrlHit {end}")
        );
        assert_eq!(
            line(Handshake::Failed),
            format!("{begin} - \"-\" - - Failed:UnmappedConnectionError {end}")
        );
    }

    #[test]
    fn nothing_that_a_client_sends_ends_a_field() {
        assert_eq!(quoted(Some("a \"b\"\n")), "\"a \\x22b\\x22\\x0a\"");
        assert_eq!(quoted(Some("")), "\"-\"");
    }

    #[test]
    fn a_request_has_thirty_columns() {
        let (head, ()) = hyper::Request::builder()
            .uri("/pets?all=1")
            .header("host", "api.example.com:443")
            .header("user-agent", "curl/8")
            .header("x-amzn-trace-id", "Root=1-2-3")
            .body(())
            .expect("a request")
            .into_parts();
        let answer = Answer {
            request: Request::of(&head, 1_768_435_200_000, (443, true)),
            record: RequestRecord {
                rule_priority: Some(0),
                actions: vec!["fixed-response".to_owned()],
                ..RequestRecord::default()
            },
            status: 503,
            bytes: (0, 200),
        };
        let line = request_line(&on_https(), 1_768_435_200_123, &answer);
        assert_eq!(
            line,
            "https 2026-01-15T00:00:00.123000Z app/edge/50dc 198.51.100.10:40000 - -1 -1 -1 503 - \
             131 200 \"GET https://api.example.com:443/pets?all=1 HTTP/1.1\" \"curl/8\" \
             TLS_AES_128_GCM_SHA256 TLSv1.3 - \"Root=1-2-3\" \"api.example.com\" \"arn:c\" 0 \
             2026-01-15T00:00:00.000000Z \"fixed-response\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" \
             TID_1"
        );
    }
}
