//! What a load balancer makes of a request before a target gets it, beside what it adds.

use hyper::Uri;
use hyper::header::{COOKIE, HOST, HeaderMap, HeaderValue};

use super::super::Body;
use super::super::integration::HOP_BY_HOP;

/// The request as a target gets it from a listener on a port.
pub(super) fn prepared(
    (port, preserves_host): (i64, bool),
    (request, host): (hyper::Request<Body>, &str),
) -> hyper::Request<Body> {
    let (mut head, body) = request.into_parts();
    strip(&mut head.headers);
    join_cookies(&mut head.headers);
    let host = if preserves_host {
        host.to_owned()
    } else {
        normalised(host, port)
    };
    match HeaderValue::from_str(&host) {
        Ok(host) => _ = head.headers.insert(HOST, host),
        Err(_) => _ = head.headers.remove(HOST),
    }
    head.version = hyper::Version::HTTP_11;
    let target = head.uri.path_and_query();
    head.uri = target.map_or_else(|| Uri::from_static("/"), |target| Uri::from(target.clone()));
    hyper::Request::from_parts(head, body)
}

/// Removes the headers that are a connection's own.
///
/// Others that `Connection` names stay: by now those about the client's certificate are among them,
/// and a client is not to take them away.
pub(in crate::sandbox::data_plane) fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

/// Makes one header of those that HTTP/2 divides cookies into.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() < 2 {
        return;
    }
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, cookie);
    }
}

/// The host without the standard ports, with all others.
fn normalised(host: &str, listens: i64) -> String {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (host, None),
    };
    match (listens, port) {
        (80 | 443, _) => name.to_owned(),
        (_, Some(_)) => host.to_owned(),
        (_, None) => format!("{name}:{listens}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_loses_standard_ports_and_gains_others() {
        for (host, port, expected) in [
            ("aaa.example.com", 443, "aaa.example.com"),
            ("aaa.example.com:443", 443, "aaa.example.com"),
            ("aaa.example.com:8443", 443, "aaa.example.com"),
            ("aaa.example.com", 8443, "aaa.example.com:8443"),
            ("aaa.example.com:1", 8443, "aaa.example.com:1"),
        ] {
            assert_eq!(normalised(host, port), expected, "{host} on {port}");
        }
    }

    #[test]
    fn cookies_come_in_one_header() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        join_cookies(&mut headers);
        let cookies: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
    }

    #[test]
    fn a_client_cannot_take_away_what_targets_are_told_of_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-amzn-mtls-clientcert-subject, keep-alive"),
            ("keep-alive", "timeout=5"),
            ("x-amzn-mtls-clientcert-subject", "CN=one"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-amzn-mtls-clientcert-subject"));
    }
}
