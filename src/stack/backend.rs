//! What an API's definition says of backends: its HTTP integrations, and how they are reached.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::context::Context;
use super::definition::{Definition, operations};
use super::fault::Fault;
use super::material::hex_digest;
use super::path::KeyPath;
use super::{Api, NetworkLoadBalancer, NetworkProtocol, Stack};

/// What stands for the id of the VPC link in a definition.
pub(crate) const PLACEHOLDER: &str = "${vpc_link}";

/// The key of a method that says where it leads.
const INTEGRATION: &str = "x-amazon-apigateway-integration";

/// What `api.vpc_link` leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawVpcLink {
    /// The stack's network load balancer; the link's id is `${vpc_link}` in the OpenAPI file.
    NetworkLoadBalancer,
}

/// An HTTP integration of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The method, as `GET /pets`.
    pub operation: String,
    /// The URI, as the definition has it.
    pub uri: String,
    /// Whether it speaks TLS.
    pub is_https: bool,
    /// The host, which API Gateway sends as SNI and looks for in the certificate; None: a variable.
    pub host: Option<String>,
    /// The port; None: a variable.
    pub port: Option<u16>,
    /// Whether it is reached through the stack's VPC link.
    pub is_linked: bool,
    /// Whether API Gateway accepts certificates of private CAs.
    pub skips_verification: bool,
}

impl Definition {
    /// The HTTP integrations, in the order of the definition.
    pub fn backends(&self) -> Vec<Backend> {
        let operations = operations(&self.document).into_iter();
        let backends = operations.filter_map(|(path, method, operation)| {
            let integration = operation.get(INTEGRATION)?.as_object()?;
            let operation = format!("{} {path}", method.to_uppercase());
            is_http(integration).then(|| backend(operation, integration))
        });
        backends.collect()
    }

    /// Whether the link's id stands somewhere in it.
    pub fn names_vpc_link(&self) -> bool {
        holds(&self.document)
    }

    /// Has API Gateway accept certificates of private CAs in every HTTP integration.
    pub(super) fn skip_verification(&mut self) {
        let Some(items) = self
            .document
            .get_mut("paths")
            .and_then(Value::as_object_mut)
        else {
            return;
        };
        let operations = items
            .values_mut()
            .filter_map(Value::as_object_mut)
            .flat_map(|item| item.values_mut());
        for integration in operations
            .filter_map(|operation| operation.get_mut(INTEGRATION))
            .filter_map(Value::as_object_mut)
            .filter(|integration| is_http(integration))
        {
            let tls = integration.entry("tlsConfig").or_insert_with(|| json!({}));
            if let Some(tls) = tls.as_object_mut() {
                tls.insert("insecureSkipVerification".to_owned(), Value::Bool(true));
            }
        }
        self.digest = hex_digest(self.document.to_string().as_bytes());
    }
}

fn is_http(integration: &Map<String, Value>) -> bool {
    let kind = text(integration, "type");
    kind.eq_ignore_ascii_case("http") || kind.eq_ignore_ascii_case("http_proxy")
}

fn text<'a>(integration: &'a Map<String, Value>, key: &str) -> &'a str {
    integration
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn backend(operation: String, integration: &Map<String, Value>) -> Backend {
    let uri = text(integration, "uri");
    let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
    let is_https = scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (authority, Some(if is_https { 443 } else { 80 })),
    };
    let is_plain = !host.is_empty() && !authority.contains(['$', '{']);
    let skips = integration
        .get("tlsConfig")
        .and_then(|tls| tls.get("insecureSkipVerification"));
    Backend {
        operation,
        uri: uri.to_owned(),
        is_https,
        host: is_plain.then(|| host.to_ascii_lowercase()),
        port: port.filter(|_| is_plain),
        is_linked: text(integration, "connectionId") == PLACEHOLDER,
        skips_verification: skips.and_then(Value::as_bool) == Some(true),
    }
}

fn holds(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(PLACEHOLDER),
        Value::Array(items) => items.iter().any(holds),
        Value::Object(members) => members.values().any(holds),
        _ => false,
    }
}

/// Checks the keys of an API that are about its backends.
pub(super) fn check_api(api: &Api, path: &KeyPath, cx: &Context) {
    let names_link = api.definition.names_vpc_link();
    if api.vpc_link && !names_link {
        let message = format!("no integration of the definition uses `{PLACEHOLDER}`");
        let fault = Fault::new(&path.key("vpc_link"), message);
        cx.fault(fault.hint(format!(
            "write `connectionType: VPC_LINK` and `connectionId: {PLACEHOLDER}` in `{INTEGRATION}`"
        )));
    }
    if names_link && !api.vpc_link {
        let message =
            format!("the definition uses `{PLACEHOLDER}`, and `{path}` has no `vpc_link`");
        let fault = Fault::new(&path.key("openapi"), message);
        cx.fault(fault.hint("write `vpc_link: network_load_balancer`"));
    }
    let speaks_tls = api.definition.backends().iter().any(|one| one.is_https);
    let keys = [
        api.insecure_skip_verification
            .then_some("insecure_skip_verification"),
        api.backend_certificate
            .as_ref()
            .map(|_| "backend_certificate"),
    ];
    for key in keys.into_iter().flatten().filter(|_| !speaks_tls) {
        let message = format!("`{key}` has no effect: the definition has no HTTPS integration");
        let fault = Fault::new(&path.key(key), message);
        cx.fault(fault.hint("write `type: http_proxy` and `uri: https://…` in the integration"));
    }
}

/// Checks what API and network load balancer demand of each other.
pub(super) fn check_network(stack: &Stack, at: &dyn Fn(&str, &str) -> KeyPath, cx: &Context) {
    let mut is_linked = false;
    for (name, api) in stack.apis.iter().filter(|(_, api)| api.vpc_link) {
        is_linked = true;
        let path = at("apis", name);
        let Some(balancer) = &stack.network_load_balancer else {
            let message = "`vpc_link` without a section `network_load_balancer`";
            let fault = Fault::new(&path.key("vpc_link"), message);
            cx.fault(fault.hint("add `network_load_balancer: {subnets: […], targets: […]}`"));
            continue;
        };
        for backend in api.definition.backends().iter().filter(|one| one.is_linked) {
            check_linked(backend, balancer, &path.key("openapi"), cx);
        }
    }
    let Some(balancer) = &stack.network_load_balancer else {
        return;
    };
    let path = KeyPath::top("network_load_balancer");
    check_listener(stack, balancer, is_linked, &path.key("listener"), cx);
    check_shadow(stack, balancer, &path, cx);
    if !is_linked && balancer.record.is_none() {
        let message = "no API has a `vpc_link` to it, and it has no `private_zone`: clients know it by its DNS name alone";
        cx.warn("unused_network_load_balancer", &path, message);
    }
}

/// What a request through the link says has to fit what the load balancer listens to.
fn check_linked(backend: &Backend, balancer: &NetworkLoadBalancer, path: &KeyPath, cx: &Context) {
    let Backend {
        operation,
        uri,
        port,
        is_https,
        ..
    } = backend;
    let listener = &balancer.listener;
    if port.is_some_and(|port| port != listener.port) {
        let message = format!(
            "the URI of `{operation}`, `{uri}`, leads to a port on which the network load balancer does not listen"
        );
        let fault = Fault::new(path, message);
        cx.fault(fault.hint(format!(
            "write port {} in the URI, or change `network_load_balancer.listener.port`",
            listener.port
        )));
    }
    if listener.protocol == NetworkProtocol::Tls && !is_https {
        let message = format!(
            "the URI of `{operation}`, `{uri}`, is not HTTPS, and the network load balancer listens with TLS"
        );
        cx.fault(Fault::new(path, message).hint("write `https://…`"));
    }
}

fn check_listener(
    stack: &Stack,
    balancer: &NetworkLoadBalancer,
    is_linked: bool,
    path: &KeyPath,
    cx: &Context,
) {
    let listener = &balancer.listener;
    if listener.protocol == NetworkProtocol::Tcp {
        return;
    }
    if listener.certificate.is_none() && stack.certificate.is_none() {
        let fault = Fault::new(path, "a listener with `protocol: tls` needs a certificate");
        cx.fault(fault.hint(
            "add `certificate: {import: {certificate: …, private_key: …}}` to it, or a section `certificate`",
        ));
    }
    if is_linked && listener.ssl_policy.contains("TLS13-1-3") {
        let message = format!(
            "API Gateway speaks TLS 1.2 at most to backends, and `{}` takes TLS 1.3 only",
            listener.ssl_policy
        );
        let fault = Fault::new(&path.key("ssl_policy"), message);
        cx.fault(fault.hint("leave it out, or write a policy with `1-2`"));
    }
}

/// Within the VPC a private zone hides the public one of the same name.
fn check_shadow(stack: &Stack, balancer: &NetworkLoadBalancer, path: &KeyPath, cx: &Context) {
    let Some(super::PrivateZone::Own(zone)) = balancer.record.as_ref().map(|one| &one.zone) else {
        return;
    };
    let hidden = |name: &str| name == zone || name.ends_with(&format!(".{zone}"));
    let domains = stack.domains.values().map(|domain| domain.name.as_str());
    let records = stack.records.values().map(|record| record.name.as_str());
    if let Some(name) = domains.chain(records).find(|name| hidden(name)) {
        let message = format!(
            "within the VPC the zone `{zone}` hides the one that `{name}` is in: the name is not found there"
        );
        cx.warn("hidden_zone", &path.key("private_zone"), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::DefinitionSource;

    fn definition(integrations: &[Value]) -> Definition {
        let paths = integrations.iter().enumerate().map(|(index, integration)| {
            let item = json!({"get": {INTEGRATION: integration}});
            (format!("/{index}"), item)
        });
        let paths: Map<String, Value> = paths.collect();
        Definition {
            source: DefinitionSource::OpenApi("a.yaml".into()),
            document: json!({"openapi": "3.0.1", "paths": paths}),
            digest: "before".to_owned(),
        }
    }

    #[test]
    fn integrations_are_read_with_host_and_port() {
        let definition = definition(&[
            json!({"type": "http_proxy", "uri": "https://B.internal:8443/a", "connectionId": PLACEHOLDER}),
            json!({"type": "HTTP", "uri": "http://b.internal/{proxy}"}),
            json!({"type": "http", "uri": "https://${stageVariables.host}/a"}),
            json!({"type": "mock"}),
        ]);
        let found = definition.backends();
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.host.as_deref(), one.port, one.is_https, one.is_linked))
            .collect();
        assert_eq!(
            told,
            [
                (Some("b.internal"), Some(8443), true, true),
                (Some("b.internal"), Some(80), false, false),
                (None, None, true, false),
            ]
        );
        assert!(definition.names_vpc_link());
    }

    #[test]
    fn skipping_verification_touches_http_integrations_only_and_the_digest_with_them() {
        let mut definition = definition(&[
            json!({"type": "http_proxy", "uri": "https://b.internal"}),
            json!({"type": "mock"}),
        ]);
        definition.skip_verification();
        assert!(definition.backends()[0].skips_verification);
        let mock = &definition.document["paths"]["/1"]["get"][INTEGRATION];
        assert_eq!(mock.get("tlsConfig"), None);
        assert_ne!(definition.digest, "before");
    }
}
