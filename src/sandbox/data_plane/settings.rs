//! What a load balancer and its listener are told to do with requests.

use std::time::Duration;

use super::DataPlane;
use super::listener::Place;
use crate::sandbox::elbv2::listener::Listener;
use crate::sandbox::elbv2::load_balancer::LoadBalancer;
use crate::sandbox::elbv2::mutual_authentication::MutualAuthentication;

/// What a listener does about client certificates, as far as headers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificates {
    /// Asks for none.
    Off,
    /// Hands on what the client sends.
    Passthrough,
    /// Hands on what the client has proven.
    Verify,
}

/// What becomes of `X-Forwarded-For`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForwardedFor {
    /// The client's address is appended.
    Append,
    /// It is left as it is.
    Preserve,
    /// It is taken out.
    Remove,
}

/// The settings in force for one request, copied out of the account.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute that is on or off"
)]
pub(super) struct Settings {
    /// The sandbox's time in milliseconds.
    pub(super) now: i64,
    /// The listener's port.
    pub(super) port: i64,
    /// Whether it speaks TLS.
    pub(super) is_https: bool,
    /// After how long without a byte a connection ends.
    pub(super) idle_timeout: Duration,
    /// For how long a connection can be used.
    pub(super) keep_alive: Duration,
    /// What it does about client certificates.
    pub(super) certificates: Certificates,
    /// What becomes of `X-Forwarded-For`.
    pub(super) forwarded_for: ForwardedFor,
    /// Whether `X-Forwarded-For` has the client's port, too.
    pub(super) forwards_port: bool,
    /// Whether targets are told protocol and cipher of TLS.
    pub(super) tells_tls: bool,
    /// Whether header fields go whose names have other characters than letters, digits and hyphens.
    pub(super) drops_invalid_headers: bool,
    /// Whether answers say which server gives them.
    pub(super) says_server: bool,
    /// The names of the headers that tell targets about TLS and the client, by the middle part of
    /// their attributes.
    request_headers: Vec<(&'static str, String)>,
    /// Headers that answers get.
    pub(super) response_headers: Vec<(&'static str, String)>,
}

/// The attributes `routing.http.request.NAME.header_name`.
const REQUEST_HEADERS: [&str; 8] = [
    "x_amzn_mtls_clientcert",
    "x_amzn_mtls_clientcert_serial_number",
    "x_amzn_mtls_clientcert_issuer",
    "x_amzn_mtls_clientcert_subject",
    "x_amzn_mtls_clientcert_validity",
    "x_amzn_mtls_clientcert_leaf",
    "x_amzn_tls_version",
    "x_amzn_tls_cipher_suite",
];

/// The attributes `routing.http.response.NAME.header_value`, with the header that each is for.
const RESPONSE_HEADERS: [(&str, &str); 10] = [
    (
        "access_control_allow_credentials",
        "access-control-allow-credentials",
    ),
    (
        "access_control_allow_headers",
        "access-control-allow-headers",
    ),
    (
        "access_control_allow_methods",
        "access-control-allow-methods",
    ),
    ("access_control_allow_origin", "access-control-allow-origin"),
    (
        "access_control_expose_headers",
        "access-control-expose-headers",
    ),
    ("access_control_max_age", "access-control-max-age"),
    ("content_security_policy", "content-security-policy"),
    ("strict_transport_security", "strict-transport-security"),
    ("x_content_type_options", "x-content-type-options"),
    ("x_frame_options", "x-frame-options"),
];

impl Settings {
    /// The settings of a listener now; none where it is gone.
    pub(super) fn of(plane: &DataPlane, place: &Place) -> Option<Self> {
        let account = plane.account();
        let region = account.world.regions.get(&place.region)?;
        let listener = region.elbv2.listeners.get(&place.listener)?;
        let balancer = region.elbv2.load_balancers.get(&place.load_balancer)?;
        Some(Self::read(balancer, listener, account.world.now))
    }

    fn read(balancer: &LoadBalancer, listener: &Listener, now: i64) -> Self {
        let is_https = listener.protocol == "HTTPS";
        let flag = |key: &str| balancer.attribute(key) == "true";
        let seconds = |key: &str| {
            let seconds = balancer.attribute(key).parse();
            Duration::from_secs(seconds.unwrap_or(60))
        };
        let header = |name: &'static str| {
            let key = format!("routing.http.request.{name}.header_name");
            (name, listener.attribute(&key).to_owned())
        };
        let response = RESPONSE_HEADERS.iter().map(|(name, header)| {
            let key = format!("routing.http.response.{name}.header_value");
            (*header, listener.attribute(&key).to_owned())
        });
        Self {
            now,
            port: listener.port,
            is_https,
            idle_timeout: seconds("idle_timeout.timeout_seconds"),
            keep_alive: seconds("client_keep_alive.seconds"),
            certificates: match listener.mutual_authentication {
                MutualAuthentication::Off => Certificates::Off,
                MutualAuthentication::Passthrough => Certificates::Passthrough,
                MutualAuthentication::Verify { .. } => Certificates::Verify,
            },
            forwarded_for: match balancer.attribute("routing.http.xff_header_processing.mode") {
                "preserve" => ForwardedFor::Preserve,
                "remove" => ForwardedFor::Remove,
                _ => ForwardedFor::Append,
            },
            forwards_port: flag("routing.http.xff_client_port.enabled"),
            tells_tls: flag("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
            drops_invalid_headers: flag("routing.http.drop_invalid_header_fields.enabled"),
            says_server: listener.attribute("routing.http.response.server.enabled") == "true",
            request_headers: REQUEST_HEADERS.map(header).to_vec(),
            response_headers: response.filter(|(_, value)| !value.is_empty()).collect(),
        }
    }

    /// The name of a header that tells targets something, by the middle part of its attribute.
    pub(super) fn request_header(&self, name: &str) -> &str {
        let found = self
            .request_headers
            .iter()
            .find(|(known, _)| *known == name);
        found.map_or("", |(_, header)| header.as_str())
    }

    /// All names of headers about client certificates.
    pub(super) fn certificate_headers(&self) -> impl Iterator<Item = &str> {
        let names = self.request_headers.iter();
        names
            .filter(|(name, _)| name.starts_with("x_amzn_mtls_"))
            .map(|(_, header)| header.as_str())
    }
}

#[cfg(test)]
impl Settings {
    /// The defaults of a listener on port 443.
    pub(super) fn of_defaults(certificates: Certificates) -> Self {
        let default = |name: &'static str| {
            let words = name.split('_').map(|word| {
                let (first, rest) = word.split_at(1);
                first.to_uppercase() + rest
            });
            (name, words.collect::<Vec<_>>().join("-"))
        };
        Self {
            now: 1_768_435_200_000,
            port: 443,
            is_https: true,
            idle_timeout: Duration::from_mins(1),
            keep_alive: Duration::from_hours(1),
            certificates,
            forwarded_for: ForwardedFor::Append,
            forwards_port: false,
            tells_tls: false,
            drops_invalid_headers: false,
            says_server: true,
            request_headers: REQUEST_HEADERS.map(default).to_vec(),
            response_headers: Vec::new(),
        }
    }

    /// With another name of a header.
    pub(super) fn renamed(mut self, name: &str, header: &str) -> Self {
        for known in &mut self.request_headers {
            if known.0 == name {
                header.clone_into(&mut known.1);
            }
        }
        self
    }
}
