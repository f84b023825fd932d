//! The headers that a load balancer adds: for targets about the client, for clients by the
//! listener's attributes.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, SERVER};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use super::settings::{Certificates, ForwardedFor, Settings};
use super::{Connection, DataPlane, name};
use crate::sandbox::world::hex;

/// Whether headers about client certificates that a client sends itself are taken out where mutual
/// TLS is off. AWS does not say; its users are told not to rely on it.
const STRIPS_WHERE_OFF: bool = false;

/// What is encoded of a PEM: everything but `+`, `=`, `/` and what never is.
const PEM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'+')
    .remove(b'=')
    .remove(b'/');

/// What the logs and the targets are told of a client's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Hexadecimal digits, two for each octet.
    pub(super) serial: String,
    /// The issuer by RFC 2253.
    pub(super) issuer: String,
    /// The subject by RFC 2253.
    pub(super) subject: String,
    /// `NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z`.
    pub(super) validity: String,
}

impl Leaf {
    /// Reads a certificate; none where it is not one.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let serial = match certificate.raw_serial() {
            // The octet that makes the number positive is no part of it.
            [0, rest @ ..] if !rest.is_empty() => rest,
            all => all,
        };
        let validity = certificate.validity();
        Some(Self {
            serial: hex(serial).to_uppercase(),
            issuer: name::text(certificate.issuer()),
            subject: name::text(certificate.subject()),
            validity: format!(
                "NotBefore={};NotAfter={}",
                timestamp(&validity.not_before),
                timestamp(&validity.not_after)
            ),
        })
    }
}

/// A time as the validity header has it.
fn timestamp(time: &ASN1Time) -> String {
    let time = time.to_datetime();
    let (date, clock) = (time.date(), time.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// Certificates as PEM, percent-encoded as ALB does it.
fn encoded(certificates: &[CertificateDer<'_>]) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut text = String::new();
    for der in certificates {
        let base64 = STANDARD.encode(der);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in base64.as_bytes().chunks(64) {
            text.extend(line.iter().copied().map(char::from));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    utf8_percent_encode(&text, PEM).to_string()
}

/// Makes a client's headers those that targets get.
pub(super) fn apply(
    headers: &mut HeaderMap,
    connection: &Connection,
    settings: &Settings,
    plane: &DataPlane,
) {
    if settings.drops_invalid_headers {
        drop_invalid(headers);
    }
    certificates(headers, connection, settings);
    tls(headers, connection, settings);
    forwarded(headers, connection, settings);
    trace(headers, settings.now, &plane.unique_hex(24));
}

/// Takes out header fields whose names have an underscore or worse.
fn drop_invalid(headers: &mut HeaderMap) {
    let is_valid = |name: &HeaderName| {
        let mut bytes = name.as_str().bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let invalid: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !is_valid(name))
        .cloned()
        .collect();
    for name in invalid {
        headers.remove(name);
    }
}

/// Sets a header, replacing what the client sent under its name.
fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

/// The headers about the client's certificate, and none that the client made up.
fn certificates(headers: &mut HeaderMap, connection: &Connection, settings: &Settings) {
    if settings.certificates != Certificates::Off || STRIPS_WHERE_OFF {
        for name in settings.certificate_headers() {
            headers.remove(name);
        }
    }
    let sent = connection.certificates.as_slice();
    let Some(own) = sent.first() else { return };
    let mut put = |name: &str, value: &str| set(headers, settings.request_header(name), value);
    match settings.certificates {
        Certificates::Off => {}
        Certificates::Passthrough => put("x_amzn_mtls_clientcert", &encoded(sent)),
        Certificates::Verify => {
            if let Some(leaf) = Leaf::of(own) {
                put("x_amzn_mtls_clientcert_serial_number", &leaf.serial);
                put("x_amzn_mtls_clientcert_issuer", &leaf.issuer);
                put("x_amzn_mtls_clientcert_subject", &leaf.subject);
                put("x_amzn_mtls_clientcert_validity", &leaf.validity);
            }
            put("x_amzn_mtls_clientcert_leaf", &encoded(&sent[..1]));
        }
    }
}

/// Protocol and cipher, where the load balancer is told to.
fn tls(headers: &mut HeaderMap, connection: &Connection, settings: &Settings) {
    let (true, Some(tls)) = (settings.tells_tls, &connection.tls) else {
        return;
    };
    set(
        headers,
        settings.request_header("x_amzn_tls_version"),
        &tls.protocol,
    );
    set(
        headers,
        settings.request_header("x_amzn_tls_cipher_suite"),
        &tls.cipher,
    );
}

/// `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Port`.
fn forwarded(headers: &mut HeaderMap, connection: &Connection, settings: &Settings) {
    const FOR: &str = "x-forwarded-for";
    let client = if settings.forwards_port {
        connection.client.to_string()
    } else {
        connection.client.ip().to_string()
    };
    match settings.forwarded_for {
        ForwardedFor::Preserve => {}
        ForwardedFor::Remove => _ = headers.remove(FOR),
        ForwardedFor::Append => {
            let known = headers.get_all(FOR).iter();
            let known: Vec<String> = known
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .chain([client])
                .collect();
            set(headers, FOR, &known.join(", "));
        }
    }
    let scheme = if settings.is_https { "https" } else { "http" };
    set(headers, "x-forwarded-proto", scheme);
    set(headers, "x-forwarded-port", &settings.port.to_string());
}

/// The header that traces a request; a root that the client brings stays.
fn trace(headers: &mut HeaderMap, now: i64, digits: &str) {
    const TRACE: &str = "x-amzn-trace-id";
    let id = format!("1-{:08x}-{digits}", now.div_euclid(1000));
    let known = headers.get(TRACE).and_then(|value| value.to_str().ok());
    let value = match known {
        Some(known) if known.contains("Root=") => {
            let rest = known.split(';').filter(|part| !part.starts_with("Self="));
            format!("Self={id};{}", rest.collect::<Vec<_>>().join(";"))
        }
        _ => format!("Root={id}"),
    };
    set(headers, TRACE, &value);
}

/// Makes the headers of an answer those that clients get.
pub(super) fn apply_to_response(headers: &mut HeaderMap, settings: &Settings) {
    if !settings.says_server {
        headers.remove(SERVER);
    }
    for (name, value) in &settings.response_headers {
        set(headers, name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber, date_time_ymd};

    use super::super::TlsDetails;
    use super::*;

    fn certificate() -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "JP");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Petstore, Inc.");
        params.distinguished_name.push(DnType::CommonName, "one");
        params.serial_number = Some(SerialNumber::from(vec![0xf3, 0xa5, 0xb1]));
        params.not_before = date_time_ymd(2026, 1, 2);
        params.not_after = date_time_ymd(2027, 1, 2);
        let key = KeyPair::generate().expect("a key");
        params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .clone()
    }

    fn connection(certificates: Vec<CertificateDer<'static>>) -> Connection {
        Connection {
            region: "eu-west-1".to_owned(),
            listener: "arn:l".to_owned(),
            load_balancer: "arn:lb".to_owned(),
            node: Ipv4Addr::new(10, 0, 0, 5),
            client: SocketAddr::from(([198, 51, 100, 10], 40_000)),
            tls: Some(TlsDetails {
                protocol: "TLSv1.3".to_owned(),
                cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
                ..TlsDetails::default()
            }),
            certificates,
            trace: "TID_0".to_owned(),
        }
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn targets_are_told_the_verified_certificate() {
        let connection = connection(vec![certificate(), certificate()]);
        let settings = Settings::of_defaults(Certificates::Verify);
        let mut told = HeaderMap::new();
        certificates(&mut told, &connection, &settings);
        let text = |name: &str| told[name].to_str().expect("is ASCII").to_owned();
        let name = "CN=one,O=Petstore\\, Inc.,C=JP";
        assert_eq!(text("x-amzn-mtls-clientcert-serial-number"), "F3A5B1");
        assert_eq!(text("x-amzn-mtls-clientcert-subject"), name);
        assert_eq!(text("x-amzn-mtls-clientcert-issuer"), name);
        assert_eq!(
            text("x-amzn-mtls-clientcert-validity"),
            "NotBefore=2026-01-02T00:00:00Z;NotAfter=2027-01-02T00:00:00Z"
        );
        let leaf = text("x-amzn-mtls-clientcert-leaf");
        assert!(leaf.starts_with("-----BEGIN%20CERTIFICATE-----%0AMII"));
        assert!(leaf.ends_with("%0A-----END%20CERTIFICATE-----%0A"));
        assert_eq!(leaf.matches("BEGIN").count(), 1);
        assert!(!leaf.contains("%2B") && !leaf.contains("%2F") && !leaf.contains("%3D"));
        assert!(!told.contains_key("x-amzn-mtls-clientcert"));
    }

    #[test]
    fn passthrough_hands_the_whole_chain_on() {
        let connection = connection(vec![certificate(), certificate()]);
        let settings = Settings::of_defaults(Certificates::Passthrough);
        let mut told = HeaderMap::new();
        certificates(&mut told, &connection, &settings);
        let chain = told["x-amzn-mtls-clientcert"].to_str().expect("is ASCII");
        assert_eq!(chain.matches("BEGIN").count(), 2);
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn what_a_client_makes_up_is_taken_out_unless_mutual_tls_is_off() {
        let forged = [
            ("x-amzn-mtls-clientcert-subject", "CN=admin"),
            ("x-amzn-mtls-clientcert", "forged"),
        ];
        for (mode, left) in [
            (Certificates::Off, 2),
            (Certificates::Passthrough, 0),
            (Certificates::Verify, 0),
        ] {
            let mut told = headers(&forged);
            let settings = Settings::of_defaults(mode);
            certificates(&mut told, &connection(Vec::new()), &settings);
            assert_eq!(told.len(), left, "{mode:?}");
        }
    }

    #[test]
    fn headers_have_the_names_that_the_listener_gives_them() {
        let settings = Settings::of_defaults(Certificates::Verify)
            .renamed("x_amzn_mtls_clientcert_subject", "X-Client");
        let mut told = headers(&[("x-client", "forged")]);
        certificates(&mut told, &connection(vec![certificate()]), &settings);
        assert!(
            told["x-client"]
                .to_str()
                .expect("is ASCII")
                .starts_with("CN=one")
        );
        assert!(!told.contains_key("x-amzn-mtls-clientcert-subject"));
    }

    #[test]
    fn the_client_is_appended_to_those_before_it() {
        let mut settings = Settings::of_defaults(Certificates::Off);
        let connection = connection(Vec::new());
        let mut told = headers(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "b")]);
        forwarded(&mut told, &connection, &settings);
        assert_eq!(told["x-forwarded-for"], "192.0.2.1, b, 198.51.100.10");
        assert_eq!(told["x-forwarded-proto"], "https");
        assert_eq!(told["x-forwarded-port"], "443");
        settings.forwards_port = true;
        let mut told = HeaderMap::new();
        forwarded(&mut told, &connection, &settings);
        assert_eq!(told["x-forwarded-for"], "198.51.100.10:40000");
        settings.forwarded_for = ForwardedFor::Preserve;
        let mut told = headers(&[("x-forwarded-for", "192.0.2.1")]);
        forwarded(&mut told, &connection, &settings);
        assert_eq!(told["x-forwarded-for"], "192.0.2.1");
        settings.forwarded_for = ForwardedFor::Remove;
        forwarded(&mut told, &connection, &settings);
        assert!(!told.contains_key("x-forwarded-for"));
    }

    #[test]
    fn a_root_that_the_client_brings_stays() {
        let mut told = HeaderMap::new();
        trace(&mut told, 1_768_435_200_000, "abc");
        assert_eq!(told["x-amzn-trace-id"], "Root=1-69682e00-abc");
        let mut told = headers(&[("x-amzn-trace-id", "Self=1-1-1;Root=1-2-3;Sampled=1")]);
        trace(&mut told, 1_768_435_200_000, "abc");
        assert_eq!(
            told["x-amzn-trace-id"],
            "Self=1-69682e00-abc;Root=1-2-3;Sampled=1"
        );
    }

    #[test]
    fn tls_is_told_and_invalid_names_are_dropped_where_asked_for() {
        let mut settings = Settings::of_defaults(Certificates::Off);
        let mut told = HeaderMap::new();
        tls(&mut told, &connection(Vec::new()), &settings);
        assert!(told.is_empty());
        settings.tells_tls = true;
        tls(&mut told, &connection(Vec::new()), &settings);
        assert_eq!(told["x-amzn-tls-version"], "TLSv1.3");
        assert_eq!(told["x-amzn-tls-cipher-suite"], "TLS_AES_128_GCM_SHA256");
        let mut told = headers(&[("a_b", "1"), ("a-b", "2")]);
        drop_invalid(&mut told);
        assert_eq!(
            told.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["a-b"]
        );
    }

    #[test]
    fn answers_get_what_the_listener_says() {
        let mut settings = Settings::of_defaults(Certificates::Off);
        settings.says_server = false;
        settings.response_headers = vec![("strict-transport-security", "max-age=60".to_owned())];
        let mut told = headers(&[("server", "awselb/2.0"), ("strict-transport-security", "x")]);
        apply_to_response(&mut told, &settings);
        assert!(!told.contains_key("server"));
        assert_eq!(told["strict-transport-security"], "max-age=60");
    }
}
