//! APIs, custom domains, target groups and listeners.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::seen::{Api, Listening, Seen, Targeted, known};
use crate::resource::Late;
use crate::resource::listener::{Https, Listens, MutualAuthentication};
use crate::resource::rest_api::{Policy, definition_of};

/// What several things of a kind are called in the stack file.
#[derive(Debug)]
pub(super) struct Names {
    /// By the API's id.
    apis: BTreeMap<String, String>,
    /// By the group's ARN.
    target_groups: BTreeMap<String, String>,
}

impl Names {
    /// Chooses names that are unique within their kind.
    pub(super) fn of(seen: &Seen) -> Self {
        let apis = seen.apis.iter();
        let apis = apis.map(|(id, api)| (id.clone(), api.spec.name.clone()));
        let groups = seen.target_groups.iter();
        let groups = groups.map(|(arn, group)| (arn.clone(), group.spec.name.clone()));
        Self {
            apis: unique(apis.collect()),
            target_groups: unique(groups.collect()),
        }
    }
}

/// Section names of things by id; the only one is `main`.
fn unique(things: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if things.len() == 1 {
        let only = things.into_keys().map(|id| (id, "main".to_owned()));
        return only.collect();
    }
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for (id, name) in things {
        let stem = section_name(&name);
        let mut number = 1;
        let mut name = stem.clone();
        while !taken.insert(name.clone()) {
            number += 1;
            let stem: String = stem.chars().take(16).collect();
            name = format!("{}-{number}", stem.trim_end_matches('-'));
        }
        names.insert(id, name);
    }
    names
}

/// The nearest name that a stack or a section may have.
pub(crate) fn section_name(text: &str) -> String {
    let letters = text.to_ascii_lowercase();
    let parts = letters.split(|c: char| !c.is_ascii_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let joined = parts.join("-");
    let joined = joined.strip_prefix("internal-").unwrap_or(&joined);
    let joined = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let short: String = joined.chars().take(20).collect();
    match short.trim_end_matches('-') {
        "" | "internal" | "main" => "gateway".to_owned(),
        name => name.to_owned(),
    }
}

/// The address of one of several: the singular section is the one named `main`.
fn address(singular: &str, name: &str) -> String {
    if name == "main" {
        singular.to_owned()
    } else {
        format!("{singular}s.{name}")
    }
}

/// The sections `api` and `apis`.
pub(super) fn apis(seen: &Seen, names: &Names, stack: &str, draft: &mut Draft) {
    let mut sections = Vec::new();
    for (id, api) in &seen.apis {
        let name = names.apis.get(id).cloned().unwrap_or_default();
        let at = address("api", &name);
        if let Some(other) = api.spec.tags.stack() {
            draft.differs(
                &at,
                format!("`{id}` belongs to the stack `{other}`, and cannot be adopted"),
            );
        }
        draft.adopt(&at, id);
        sections.push((
            name.clone(),
            self::api(seen, api, (stack, &name, &at), draft),
        ));
    }
    draft.put_each("api", sections);
}

fn api(seen: &Seen, api: &Api, (stack, name, at): (&str, &str, &str), draft: &mut Draft) -> Value {
    let Api {
        spec,
        stage,
        exported,
        ..
    } = api;
    let mut section = Map::new();
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    let file = if name == "main" { "api" } else { name };
    let document = format!("{:#}\n", definition_of(exported));
    put("openapi", draft.file(&format!("{file}.json"), document));
    let derived = if name == "main" {
        stack.to_owned()
    } else {
        format!("{stack}-{name}")
    };
    if spec.name != derived {
        put("name", spec.name.as_str().into());
    }
    put("stage", stage.name.as_str().into());
    if let Some(policy) = policy(seen, api, file, draft) {
        put("policy", policy);
    } else {
        draft.differs(
            at,
            "it has no resource policy, and the stack would give it `source_vpc`",
        );
    }
    if !spec.description.is_empty() {
        put("description", spec.description.as_str().into());
    }
    if !stage.variables.is_empty() {
        put("stage_variables", json!(stage.variables));
    }
    if let Some(logs) = &stage.access_logs {
        put("access_logs", json!(logs));
    }
    if let Some(limits) = &stage.throttling {
        put("throttling", json!(limits));
    }
    tell_oddities(api, at, draft);
    let endpoint = seen
        .endpoint
        .as_ref()
        .map(|(id, _)| Late::Known(id.clone()));
    if spec.vpc_endpoints.is_empty() {
        put("associate_endpoint", false.into());
    } else if endpoint.as_slice() != spec.vpc_endpoints.as_slice() {
        draft.differs(
            at,
            "it is not associated with the endpoint alone, which the stack would change and deploy",
        );
    }
    section.into()
}

/// Says what of an API the stack file has no words for.
fn tell_oddities(api: &Api, at: &str, draft: &mut Draft) {
    if !api.is_deployed {
        draft.differs(
            at,
            "it has changes that are not deployed; the file says what the stage serves, and the stack would undo them",
        );
    }
    if !api.stage.description.is_empty() {
        draft.differs(
            at,
            "the description of the stage, which the stack would remove",
        );
    }
    for other in &api.other_stages {
        draft.leave_out(at, format!("the stage `{other}`"));
    }
}

/// The policy in the stack file's words, or as a file.
fn policy(seen: &Seen, api: &Api, file: &str, draft: &mut Draft) -> Option<Value> {
    let nothing = |_: &Late<String>| None;
    let live = api.spec.policy.as_ref()?.document(nothing)?;
    let vpc = seen.load_balancer.spec.vpc.clone();
    let by_vpc = Policy::SourceVpc { vpc: vpc.clone() };
    if by_vpc.canonical(nothing).as_ref() == Some(&live) {
        return Some("source_vpc".into());
    }
    if let Some((id, _)) = &seen.endpoint {
        let endpoint = Late::Known(id.clone());
        let known = |late: &Late<String>| known(late).map(str::to_owned);
        let by_endpoint = Policy::SourceVpce { vpc, endpoint };
        if by_endpoint.canonical(known).as_ref() == Some(&live) {
            return Some("source_vpce".into());
        }
    }
    Some(draft.file(&format!("{file}-policy.json"), format!("{live:#}\n")))
}

/// The sections `domain` and `domains`.
pub(super) fn domains(seen: &Seen, names: &Names, draft: &mut Draft) {
    let keys: BTreeMap<String, String> = seen
        .domains
        .iter()
        .map(|(domain, _)| (domain.name.clone(), domain.name.clone()))
        .collect();
    let keys = unique(keys);
    let mut sections = Vec::new();
    for (domain, mappings) in &seen.domains {
        let name = keys.get(&domain.name).cloned().unwrap_or_default();
        let at = address("domain", &name);
        let mut mapped = Map::new();
        for mapping in mappings {
            let path = mapping.base_path.as_deref().unwrap_or("(none)");
            let (api, stage) = (known(&mapping.api), known(&mapping.stage));
            let api = api.unwrap_or_default();
            let served = seen
                .apis
                .get(api)
                .filter(|one| Some(one.stage.name.as_str()) == stage);
            match names.apis.get(api).filter(|_| served.is_some()) {
                Some(name) => {
                    mapped.insert(path.to_owned(), name.as_str().into());
                }
                None => draft.leave_out(
                    &at,
                    format!(
                        "the mapping `{path}` to `{}` of the API `{api}`",
                        stage.unwrap_or_default()
                    ),
                ),
            }
        }
        let mut section = json!({ "name": domain.name });
        match mapped.keys().next().map(String::as_str) {
            Some("(none)") if mapped.len() == 1 && seen.apis.len() == 1 => {}
            Some(path) if mapped.len() == 1 && seen.apis.len() == 1 => {
                section["base_path"] = path.into();
            }
            _ => section["mappings"] = mapped.into(),
        }
        match domain.security_policy.as_str() {
            "TLS_1_2" => {}
            "TLS_1_0" => section["security_policy"] = "TLS_1_0".into(),
            other => draft.differs(&at, format!("its security policy `{other}`")),
        }
        if known(&domain.certificate) != seen.certificate() {
            draft.differs(&at, "its certificate is another one than the listener's");
        }
        if let Some(stack) = domain.tags.stack() {
            draft.differs(
                &at,
                format!("it belongs to the stack `{stack}`, and cannot be adopted"),
            );
        }
        sections.push((name, section));
    }
    draft.put_each("domain", sections);
}

/// The sections `target_group` and `target_groups`.
pub(super) fn target_groups(seen: &Seen, names: &Names, draft: &mut Draft) {
    let mut sections = Vec::new();
    for (arn, group) in &seen.target_groups {
        let name = names.target_groups.get(arn).cloned().unwrap_or_default();
        let at = address("target_group", &name);
        draft.adopt(&at, arn);
        sections.push((name, target_group(seen, group, &at, draft)));
    }
    draft.put_each("target_group", sections);
}

fn target_group(seen: &Seen, group: &Targeted, at: &str, draft: &mut Draft) -> Value {
    let spec = &group.spec;
    let is_endpoint = seen.is_endpoint(group);
    let mut section = Map::new();
    let mut put = |key: &str, value: Value| section.insert(key.to_owned(), value);
    if is_endpoint {
        put("targets", "endpoint".into());
    } else {
        let (here, elsewhere): (Vec<&String>, Vec<_>) = group
            .targets
            .iter()
            .partition(|target| !target.contains(' '));
        put("targets", json!(here));
        for target in elsewhere {
            draft.differs(at, format!("the target {target}, which is not the group's"));
        }
        if group.targets.is_empty() {
            draft.differs(at, "nothing is registered with it; list its targets");
        }
    }
    let default_port = if spec.protocol == "HTTPS" { 443 } else { 80 };
    if spec.protocol != "HTTPS" {
        put("protocol", spec.protocol.to_ascii_lowercase().into());
    }
    if spec.port != default_port {
        put("port", spec.port.into());
    }
    let check = health_check(group, is_endpoint);
    if !check.is_empty() {
        put("health_check", check.into());
    }
    let mut attributes = spec.unusual();
    let delay = attributes.remove("deregistration_delay.timeout_seconds");
    if let Some(delay) = delay.and_then(|delay| delay.parse::<u16>().ok()) {
        put("deregistration_delay_seconds", delay.into());
    }
    for (key, value) in attributes {
        draft.differs(
            at,
            format!("the attribute {key} = {value}, for which AWS's default would be set"),
        );
    }
    section.into()
}

/// The keys of the health check that differ from the stack file's defaults.
fn health_check(group: &Targeted, is_endpoint: bool) -> Map<String, Value> {
    let check = &group.spec.health_check;
    let matcher = if is_endpoint { "403" } else { "200" };
    let numbers = [
        ("interval_seconds", check.interval_seconds, 30),
        ("timeout_seconds", check.timeout_seconds, 5),
        ("healthy_threshold", check.healthy_threshold, 5),
        ("unhealthy_threshold", check.unhealthy_threshold, 2),
    ];
    let protocol = group.spec.protocol.to_ascii_lowercase();
    let texts = [
        ("path", check.path.clone(), "/"),
        ("matcher", check.matcher.clone(), matcher),
        (
            "protocol",
            check.protocol.to_ascii_lowercase(),
            protocol.as_str(),
        ),
        ("port", check.port.clone(), "traffic-port"),
    ];
    let mut section = Map::new();
    for (key, value, default) in texts {
        if value != default {
            section.insert(key.to_owned(), value.into());
        }
    }
    // A default that depends on another key is written where that key is.
    let is_plain = numbers.iter().all(|(_, value, default)| value == default);
    for (key, value, default) in numbers {
        if value != default || (key == "timeout_seconds" && !is_plain) {
            section.insert(key.to_owned(), value.into());
        }
    }
    section
}

/// The sections `listener` and `listeners`.
pub(super) fn listeners(seen: &Seen, names: &Names, draft: &mut Draft) {
    let https: Vec<(&u16, &Listening, &Https)> = seen
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
        let store = seen.trust_store.as_ref().map(|(arn, _)| arn.as_str());
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
        if redirects(seen, **port) {
            section.insert("redirect_http".to_owned(), true.into());
        }
        sections.push((format!("port-{port}"), section.into()));
    }
    tell_others(seen, draft);
    draft.put_each("listener", sections);
}

/// Names the listeners and rules that the stack file has no words for.
fn tell_others(seen: &Seen, draft: &mut Draft) {
    for (port, one) in &seen.listeners {
        match &one.spec.listens {
            Listens::Redirect(redirect)
                if *port == 80 && seen.listeners.contains_key(&redirect.port) => {}
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
fn redirects(seen: &Seen, port: u16) -> bool {
    seen.listeners.get(&80).is_some_and(
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
    let attributes = https.unusual();
    if !attributes.is_empty() {
        put("attributes", json!(attributes));
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_sections_may_have() {
        assert_eq!(section_name("My_API (v2)"), "my-api-v2");
        assert_eq!(section_name("internal-alb"), "alb");
        assert_eq!(section_name("123"), "gateway");
        assert_eq!(
            section_name("a-very-long-name-of-a-load-balancer"),
            "a-very-long-name-of"
        );
    }

    #[test]
    fn things_of_one_name_get_numbers_and_a_single_one_gets_none() {
        let things = |names: &[&str]| {
            let things = names.iter().enumerate();
            things
                .map(|(id, name)| (id.to_string(), (*name).to_owned()))
                .collect()
        };
        let names = unique(things(&["PetStore", "PetStore", "Orders"]));
        let names: Vec<String> = names.into_values().collect();
        assert_eq!(names, ["petstore", "petstore-2", "orders"]);
        assert_eq!(
            unique(things(&["PetStore"])).into_values().next().unwrap(),
            "main"
        );
    }
}
