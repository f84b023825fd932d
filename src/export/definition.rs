//! What an exported definition says of where methods lead, and how a stack file says it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::stack::PLACEHOLDER;

/// The key of a method that says where it leads.
const INTEGRATION: &str = "x-amazon-apigateway-integration";

/// A definition in the words of a stack file.
#[derive(Debug)]
pub(super) struct Worded {
    /// The definition with [`PLACEHOLDER`] in place of the VPC link's id.
    pub(super) document: Value,
    /// Whether the placeholder is in it.
    pub(super) is_linked: bool,
    /// The URIs that lead through the link to a port that the stack has no listener on.
    pub(super) elsewhere: BTreeSet<String>,
}

/// Puts the placeholder in place of the id of a link to a listener on this port.
pub(super) fn worded(document: &Value, link: Option<&str>, port: Option<u16>) -> Worded {
    let mut worded = Worded {
        document: document.clone(),
        is_linked: false,
        elsewhere: BTreeSet::new(),
    };
    let Worded {
        document,
        is_linked,
        elsewhere,
    } = &mut worded;
    for integration in integrations_of(document) {
        if link.is_none() || text(integration, "connectionId") != link {
            continue;
        }
        let uri = text(integration, "uri").unwrap_or_default().to_owned();
        if port_of(&uri).is_some_and(|its| Some(its) != port) {
            elsewhere.insert(uri);
            continue;
        }
        integration.insert("connectionId".to_owned(), PLACEHOLDER.into());
        *is_linked = true;
    }
    worded
}

/// The ids of VPC links that integrations name, or the stage variables in their place.
pub(super) fn connections(document: &Value) -> BTreeSet<String> {
    let mut document = document.clone();
    let integrations = integrations_of(&mut document);
    let named = integrations.filter_map(|one| text(one, "connectionId").map(str::to_owned));
    named.collect()
}

/// The port that the first URI through a link leads to.
pub(super) fn linked_port(document: &Value, link: &str) -> Option<u16> {
    let mut document = document.clone();
    let mut linked = integrations_of(&mut document)
        .filter(|one| text(one, "connectionId") == Some(link))
        .filter_map(|one| text(one, "uri").and_then(port_of));
    linked.next()
}

/// Whether every HTTP integration accepts certificates of private CAs, and one of them is asked for any.
pub(super) fn skips_verification(document: &Value) -> bool {
    let mut document = document.clone();
    let mut speaks_tls = false;
    for integration in integrations_of(&mut document) {
        let kind = text(integration, "type").unwrap_or_default();
        if !["http", "http_proxy"].contains(&kind.to_ascii_lowercase().as_str()) {
            continue;
        }
        let tls = integration.get("tlsConfig");
        let skips = tls.and_then(|tls| tls.get("insecureSkipVerification"));
        if skips.and_then(Value::as_bool) != Some(true) {
            return false;
        }
        speaks_tls |= text(integration, "uri").is_some_and(|uri| uri.starts_with("https://"));
    }
    speaks_tls
}

fn integrations_of(document: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(|paths| paths.values_mut());
    let methods = items
        .filter_map(Value::as_object_mut)
        .flat_map(|item| item.values_mut());
    let integrations = methods.filter_map(|method| method.get_mut(INTEGRATION));
    integrations.filter_map(Value::as_object_mut)
}

fn text<'a>(integration: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    integration.get(key).and_then(Value::as_str)
}

/// The port of a URI, where no variable stands for it.
fn port_of(uri: &str) -> Option<u16> {
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains(['$', '{']) {
        return None;
    }
    match authority.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(if scheme.eq_ignore_ascii_case("https") {
            443
        } else {
            80
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(uri: &str, connection: &str, skips: bool) -> Value {
        json!({ "openapi": "3.0.1", "paths": { "/pets": { "get": { INTEGRATION: {
            "type": "http_proxy",
            "uri": uri,
            "connectionType": "VPC_LINK",
            "connectionId": connection,
            "tlsConfig": { "insecureSkipVerification": skips },
        } } } } })
    }

    #[test]
    fn the_links_id_becomes_a_placeholder_and_nothing_else_does() {
        let worded = worded(
            &document("https://pets/", "abc123", true),
            Some("abc123"),
            Some(443),
        );
        assert!(worded.is_linked);
        assert_eq!(
            worded.document,
            document("https://pets/", PLACEHOLDER, true)
        );
        let other = super::worded(
            &document("https://pets/", "other", true),
            Some("abc123"),
            Some(443),
        );
        assert!(!other.is_linked);
        assert_eq!(other.document, document("https://pets/", "other", true));
    }

    #[test]
    fn a_uri_to_another_port_keeps_the_links_id_and_is_told() {
        let there = document("https://pets:8443/", "abc123", true);
        let worded = worded(&there, Some("abc123"), Some(443));
        assert_eq!((worded.document, worded.is_linked), (there.clone(), false));
        assert!(worded.elsewhere.contains("https://pets:8443/"));
        assert_eq!(linked_port(&there, "abc123"), Some(8443));
    }

    #[test]
    fn verification_is_skipped_only_where_every_integration_says_so() {
        assert!(skips_verification(&document(
            "https://pets/",
            "abc123",
            true
        )));
        assert!(!skips_verification(&document(
            "https://pets/",
            "abc123",
            false
        )));
        assert!(!skips_verification(&document(
            "http://pets/",
            "abc123",
            true
        )));
    }

    #[test]
    fn links_and_variables_are_connections() {
        let named = connections(&document("https://pets/", "${stageVariables.link}", true));
        assert_eq!(
            named.into_iter().collect::<Vec<_>>(),
            ["${stageVariables.link}"]
        );
    }
}
