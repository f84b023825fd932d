//! The sections of listeners.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::names::Names;
use super::seen::{Front, Listening, Seen, known};
use crate::resource::listener::{Https, Listens, MutualAuthentication};
use crate::stack::header_of;

/// The sections `listener` and `listeners`.
pub(super) fn listeners((seen, front): (&Seen, &Front), names: &Names, draft: &mut Draft) {
    let https: Vec<(&u16, &Listening, &Https)> = front
        .listeners
        .iter()
        .filter_map(|(port, one)| Some((port, one, one.https()?)))
        .collect();
    let mut sections = Vec::new();
    for (port, one, https) in &https {
        let group = one
            .target_group()
            .and_then(|arn| names.target_groups.get(arn));
        let Some(group) = group else {
            draft.leave_out(
                "listener",
                format!(
                    "the listener on port {port}: it does not forward to one target group alone"
                ),
            );
            continue;
        };
        if known(&https.certificate) != seen.certificate() {
            draft.leave_out("listener", format!("the listener on port {port}: its certificate is another one than that of the first listener"));
            continue;
        }
        let store = front.trust_store.as_ref().map(|(arn, _)| arn.as_str());
        if let MutualAuthentication::Verify { trust_store, .. } = &https.mutual_authentication
            && known(trust_store) != store
        {
            draft.leave_out(
                "listener",
                format!(
                    "the listener on port {port}: it verifies by another trust store than the first"
                ),
            );
            continue;
        }
        let mut section = listener(**port, https);
        if group != "main" {
            section.insert("target_group".to_owned(), group.as_str().into());
        }
        for what in &one.unsaid {
            draft.leave_out("listener", format!("{what} (port {port})"));
        }
        draft.tell_owner("listener", &one.id, &one.spec.tags);
        if redirects(front, **port) {
            section.insert("redirect_http".to_owned(), true.into());
        }
        sections.push((format!("port-{port}"), section.into()));
    }
    tell_others(front, draft);
    draft.put_each("listener", sections);
}

/// Names the listeners and rules that the stack file has no words for.
fn tell_others(front: &Front, draft: &mut Draft) {
    for (port, one) in &front.listeners {
        match &one.spec.listens {
            Listens::Redirect(redirect)
                if *port == 80 && front.listeners.contains_key(&redirect.port) => {}
            Listens::Redirect(_) | Listens::Other(_) | Listens::Network(_) => {
                draft.leave_out(
                    "listener",
                    format!(
                        "the listener on port {port} ({})",
                        one.spec.listens.in_words()
                    ),
                );
            }
            Listens::Https(_) => {}
        }
        for rule in &one.rules {
            draft.leave_out("listener", rule.clone());
        }
    }
}

/// Whether port 80 leads to this port.
fn redirects(front: &Front, port: u16) -> bool {
    front.listeners.get(&80).is_some_and(
        |one| matches!(&one.spec.listens, Listens::Redirect(redirect) if redirect.port == port),
    )
}

fn listener(port: u16, https: &Https) -> Map<String, Value> {
    let mut section = Map::new();
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    if port != 443 {
        put("port", port.into());
    }
    put("ssl_policy", https.ssl_policy.as_str().into());
    let asked = match &https.mutual_authentication {
        MutualAuthentication::Off => "off".into(),
        MutualAuthentication::Passthrough => "passthrough".into(),
        MutualAuthentication::Verify {
            advertise_ca_names: true,
            ignore_client_certificate_expiry: false,
            ..
        } => "verify".into(),
        MutualAuthentication::Verify {
            advertise_ca_names,
            ignore_client_certificate_expiry,
            ..
        } => json!({
            "mode": "verify",
            "advertise_ca_names": advertise_ca_names,
            "ignore_client_certificate_expiry": ignore_client_certificate_expiry,
        }),
    };
    put("mutual_authentication", asked);
    if !https.additional_certificates.is_empty() {
        put(
            "additional_certificates",
            json!(https.additional_certificates),
        );
    }
    let (names, attributes): (BTreeMap<_, _>, BTreeMap<_, _>) = https
        .unusual()
        .into_iter()
        .partition(|(key, _)| header_of(key).is_some());
    if !names.is_empty() {
        let names = names
            .into_iter()
            .filter_map(|(key, value)| Some((header_of(&key)?, value)));
        put("header_names", json!(names.collect::<BTreeMap<_, _>>()));
    }
    if !attributes.is_empty() {
        put("attributes", json!(attributes));
    }
    section
}
