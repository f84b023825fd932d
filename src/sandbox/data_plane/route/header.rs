//! What a load balancer makes of a request's headers before a target gets it.

use std::net::IpAddr;

use hyper::Uri;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};

use super::super::integration::HOP_BY_HOP;
use super::super::{Body, Connection, DataPlane};
use crate::sandbox::elbv2::listener::Listener;
use crate::sandbox::elbv2::load_balancer::LoadBalancer;

/// What of a load balancer and a listener decides about headers.
pub(super) struct Settings {
    /// The listener's port.
    pub(super) port: i64,
    preserves_host: bool,
    forwarded_for: ForwardedFor,
    with_client_port: bool,
    drops_invalid: bool,
}

/// What becomes of `X-Forwarded-For`.
enum ForwardedFor {
    Append,
    Preserve,
    Remove,
}

impl Settings {
    /// The settings of a load balancer and one of its listeners.
    pub(super) fn of(balancer: &LoadBalancer, listener: &Listener) -> Self {
        let is = |key: &str| balancer.attribute(key) == "true";
        Self {
            port: listener.port,
            preserves_host: is("routing.http.preserve_host_header.enabled"),
            forwarded_for: match balancer.attribute("routing.http.xff_header_processing.mode") {
                "preserve" => ForwardedFor::Preserve,
                "remove" => ForwardedFor::Remove,
                _ => ForwardedFor::Append,
            },
            with_client_port: is("routing.http.xff_client_port.enabled"),
            drops_invalid: is("routing.http.drop_invalid_header_fields.enabled"),
        }
    }
}

/// The request as a target gets it.
pub(super) fn prepared(
    plane: &DataPlane,
    connection: &Connection,
    settings: &Settings,
    (request, host): (hyper::Request<Body>, &str),
) -> hyper::Request<Body> {
    let (mut head, body) = request.into_parts();
    // What a client says of its connection to the load balancer is of no concern to the target.
    strip(&mut head.headers);
    if settings.drops_invalid {
        drop_invalid(&mut head.headers);
    }
    let host = host_header(settings, host);
    put(&mut head.headers, HOST, &host);
    forwarded(&mut head.headers, connection, settings);
    trace(&mut head.headers, plane);
    head.version = hyper::Version::HTTP_11;
    let target = head.uri.path_and_query();
    head.uri = target.map_or_else(|| Uri::from_static("/"), |target| Uri::from(target.clone()));
    hyper::Request::from_parts(head, body)
}

/// Removes the headers that are a connection's own, those that `Connection` names among them.
pub(in crate::sandbox::data_plane) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(hyper::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

/// Removes headers whose names have other characters than letters, digits and hyphens.
fn drop_invalid(headers: &mut HeaderMap) {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let invalid: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !name.as_str().bytes().all(is_valid))
        .cloned()
        .collect();
    for name in invalid {
        headers.remove(name);
    }
}

/// The host as the target gets it: without the standard ports, with all others.
fn host_header(settings: &Settings, host: &str) -> String {
    if settings.preserves_host {
        return host.to_owned();
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (host, None),
    };
    match (settings.port, port) {
        (80 | 443, _) => name.to_owned(),
        (_, Some(_)) => host.to_owned(),
        (listens, None) => format!("{name}:{listens}"),
    }
}

/// Says who the client is, and by which protocol and port it came.
fn forwarded(headers: &mut HeaderMap, connection: &Connection, settings: &Settings) {
    const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    let address = match connection.client.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) if settings.with_client_port => format!("[{address}]"),
        IpAddr::V6(address) => address.to_string(),
    };
    let client = if settings.with_client_port {
        format!("{address}:{}", connection.client.port())
    } else {
        address
    };
    match settings.forwarded_for {
        ForwardedFor::Preserve => {}
        ForwardedFor::Remove => {
            headers.remove(FOR);
        }
        ForwardedFor::Append => {
            let before = headers.get_all(FOR).iter();
            let mut chain: Vec<String> = before
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            chain.push(client);
            put(headers, FOR, &chain.join(", "));
        }
    }
    let protocol = if connection.tls.is_some() {
        "https"
    } else {
        "http"
    };
    put(
        headers,
        HeaderName::from_static("x-forwarded-proto"),
        protocol,
    );
    let port = settings.port.to_string();
    put(headers, HeaderName::from_static("x-forwarded-port"), &port);
}

/// Gives the request an id to be traced by, unless it has one.
fn trace(headers: &mut HeaderMap, plane: &DataPlane) {
    const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");
    if headers.contains_key(TRACE) {
        return;
    }
    let seconds = plane.account().world.now / 1000;
    let value = format!("Root=1-{seconds:08x}-{}", plane.unique_hex(24));
    put(headers, TRACE, &value);
}

/// Sets a header, in place of all that have its name.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
        }
        Err(_) => {
            headers.remove(name);
        }
    }
}
