//! Sections `listener` and `listeners`: HTTPS listeners.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::attributes;
use super::common::{check_arn, refuse_repetition};
use super::context::Context;
use super::fault::Fault;
use super::mismatch::listed;
use super::mutual_authentication::{
    MutualAuthentication, MutualAuthenticationForm, RawMutualAuthentication,
};
use super::path::KeyPath;
use super::record::namesake_or_only;
use super::shape::{Scalar, Shape};
use super::target_group::{TargetGroup, Targets};
use crate::hint;

/// An HTTPS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The port it listens on.
    pub port: u16,
    /// Name of the TLS security policy.
    pub ssl_policy: String,
    /// What it wants of client certificates.
    pub mutual_authentication: MutualAuthentication,
    /// ARNs of further server certificates, chosen by SNI.
    pub additional_certificates: Vec<String>,
    /// Attributes by AWS key; `header_names` are among them.
    pub attributes: BTreeMap<String, String>,
    /// Whether a listener on port 80 redirects to this one.
    pub redirect_http: bool,
    /// Name of the target group it forwards to, a key of `Stack::target_groups`.
    pub target_group: String,
}

/// An HTTPS listener and what it wants of client certificates.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListener {
    /// Port it listens on; 443 only, where the targets are the endpoint.
    #[serde(default = "https_port")]
    #[schemars(range(min = 1))]
    port: u16,
    /// TLS security policy by its AWS name; the default accepts TLS 1.3 only.
    #[serde(default = "tls13_only")]
    ssl_policy: String,
    /// What it wants of client certificates: `verify`, `passthrough`, `off`, or a mapping (default: `verify`).
    #[schemars(with = "Option<MutualAuthenticationForm>")]
    mutual_authentication: Option<Shape<RawMutualAuthentication>>,
    /// ARNs of further server certificates, chosen by the name that the client asks for.
    #[serde(default)]
    #[schemars(length(max = 25))]
    additional_certificates: Vec<String>,
    /// Names of the headers that tell the targets about the client, where they are not AWS's.
    #[serde(default)]
    #[schemars(with = "Option<HeaderNamesForm>")]
    header_names: BTreeMap<String, String>,
    /// Whether a listener on port 80 redirects to this one.
    #[serde(default)]
    redirect_http: bool,
    /// Attributes by AWS key.
    #[serde(default)]
    attributes: BTreeMap<String, Scalar>,
    /// Target group that it forwards to (default: the one of the listener's name, else the only one).
    target_group: Option<String>,
}

/// What `header_names` may rename.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the form in the schema")]
struct HeaderNamesForm {
    /// In place of X-Amzn-Mtls-Clientcert (passthrough).
    clientcert: Option<String>,
    /// In place of X-Amzn-Mtls-Clientcert-Serial-Number.
    serial_number: Option<String>,
    /// In place of X-Amzn-Mtls-Clientcert-Issuer.
    issuer: Option<String>,
    /// In place of X-Amzn-Mtls-Clientcert-Subject.
    subject: Option<String>,
    /// In place of X-Amzn-Mtls-Clientcert-Validity.
    validity: Option<String>,
    /// In place of X-Amzn-Mtls-Clientcert-Leaf.
    leaf: Option<String>,
    /// In place of X-Amzn-Tls-Version.
    tls_version: Option<String>,
    /// In place of X-Amzn-Tls-Cipher-Suite.
    tls_cipher_suite: Option<String>,
}

/// The keys of `header_names` and the attributes they stand for.
const HEADERS: &[(&str, &str)] = &[
    ("clientcert", "x_amzn_mtls_clientcert"),
    ("serial_number", "x_amzn_mtls_clientcert_serial_number"),
    ("issuer", "x_amzn_mtls_clientcert_issuer"),
    ("subject", "x_amzn_mtls_clientcert_subject"),
    ("validity", "x_amzn_mtls_clientcert_validity"),
    ("leaf", "x_amzn_mtls_clientcert_leaf"),
    ("tls_version", "x_amzn_tls_version"),
    ("tls_cipher_suite", "x_amzn_tls_cipher_suite"),
];

fn https_port() -> u16 {
    443
}

fn tls13_only() -> String {
    "ELBSecurityPolicy-TLS13-1-3-2021-06".to_owned()
}

impl RawListener {
    /// Fills in defaults and checks the section `name` at `path`.
    pub(super) fn build(
        self,
        (name, path): (&str, &KeyPath),
        target_groups: &BTreeMap<String, TargetGroup>,
        cx: &Context,
    ) -> Listener {
        if self.port == 0 {
            cx.fault(Fault::new(&path.key("port"), "there is no port 0").allowed("1 to 65535"));
        }
        if !self.ssl_policy.starts_with("ELBSecurityPolicy-") {
            let message = format!("`{}` is no TLS security policy", self.ssl_policy);
            let fault = Fault::new(&path.key("ssl_policy"), message);
            cx.fault(fault.hint(format!(
                "write `ELBSecurityPolicy-…`, such as `{}`",
                tls13_only()
            )));
        }
        let mode = path.key("mutual_authentication");
        let mutual_authentication =
            MutualAuthentication::read(self.mutual_authentication, &mode, cx);
        let certificates = path.key("additional_certificates");
        check_additional_certificates(&self.additional_certificates, &certificates, cx);
        let mut attributes = attributes::read(
            self.attributes,
            attributes::LISTENER,
            &path.key("attributes"),
            cx,
        );
        add_header_names(
            &mut attributes,
            self.header_names,
            &path.key("header_names"),
            cx,
        );
        let target_group = forwards_to(
            self.target_group,
            (name, path),
            target_groups,
            self.port,
            cx,
        );
        Listener {
            port: self.port,
            ssl_policy: self.ssl_policy,
            mutual_authentication,
            additional_certificates: self.additional_certificates,
            attributes,
            redirect_http: self.redirect_http,
            target_group: target_group.unwrap_or_default(),
        }
    }
}

fn check_additional_certificates(arns: &[String], path: &KeyPath, cx: &Context) {
    for (index, arn) in arns.iter().enumerate() {
        check_arn(arn, "acm", &path.index(index), cx);
    }
    refuse_repetition(arns, path, cx);
    if arns.len() > 25 {
        cx.fault(Fault::new(
            path,
            "a load balancer has at most 25 further certificates",
        ));
    }
}

/// The key of `header_names` that stands for an attribute.
pub(crate) fn header_of(attribute: &str) -> Option<&'static str> {
    let header = attribute.strip_prefix("routing.http.request.")?;
    let header = header.strip_suffix(".header_name")?;
    let known = HEADERS.iter().find(|(_, known)| *known == header);
    known.map(|(key, _)| *key)
}

fn add_header_names(
    attributes: &mut BTreeMap<String, String>,
    names: BTreeMap<String, String>,
    path: &KeyPath,
    cx: &Context,
) {
    for (key, name) in names {
        let at = path.key(&key);
        let Some((_, header)) = HEADERS.iter().find(|(known, _)| *known == key) else {
            let known: Vec<&str> = HEADERS.iter().map(|(known, _)| *known).collect();
            let mut fault =
                Fault::new(&at, format!("unknown header `{key}`")).allowed(listed(&known));
            fault.hint = hint::did_you_mean(&key, known);
            cx.fault(fault);
            continue;
        };
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        {
            let fault = Fault::new(&at, format!("`{name}` is no header name"));
            cx.fault(fault.allowed("letters, digits, `-` and `_`"));
        }
        let attribute = format!("routing.http.request.{header}.header_name");
        if attributes.insert(attribute, name).is_some() {
            cx.fault(
                Fault::new(&at, format!("`{key}` is given in `attributes`, too"))
                    .hint("keep one of the two"),
            );
        }
    }
}

fn forwards_to(
    written: Option<String>,
    (name, path): (&str, &KeyPath),
    target_groups: &BTreeMap<String, TargetGroup>,
    port: u16,
    cx: &Context,
) -> Option<String> {
    let at = path.key("target_group");
    let found = match &written {
        Some(key) => target_groups.get_key_value(key),
        None => namesake_or_only(target_groups, name),
    };
    let Some((key, target_group)) = found else {
        let fault = match (written, target_groups.is_empty()) {
            (Some(key), false) => {
                let mut fault = Fault::new(&at, format!("there is no target group `{key}`"));
                fault.hint = hint::did_you_mean(&key, target_groups.keys().map(String::as_str));
                fault
            }
            (None, false) => Fault::new(
                path,
                format!("`{path}` does not say which target group it forwards to"),
            )
            .hint("write `target_group: NAME`"),
            (_, true) => Fault::new(path, format!("`{path}` has no target group to forward to"))
                .hint("add `target_group: {}`"),
        };
        cx.fault(fault);
        return None;
    };
    if target_group.targets == Targets::Endpoint && port != 443 {
        let message = format!(
            "a listener on port {port} cannot lead to the endpoint: API Gateway knows no port in the Host header"
        );
        cx.fault(Fault::new(&path.key("port"), message).allowed("443"));
    }
    Some(key.clone())
}
