//! Rules between sections.

use std::collections::{BTreeMap, BTreeSet};

use super::backend;
use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;
use super::{
    Certificate, Endpoint, Listener, LoadBalancer, MutualAuthentication, Record, Stack, Zone,
};

/// The quota of listeners in mode `verify` of one load balancer; AWS does not raise it.
const MAXIMUM_VERIFY_LISTENERS: usize = 2;

/// The port of the listener that `redirect_http` makes.
const HTTP_PORT: u16 = 80;

/// Checks everything that no section knows by itself.
///
/// `at` finds the path of a section from its kind and name, be it written in the singular or the plural.
pub(super) fn check(stack: &Stack, at: &dyn Fn(&str, &str) -> KeyPath, cx: &Context) {
    check_vpc(stack, cx);
    for (name, listener) in &stack.listeners {
        check_listener(stack, listener, &at("listeners", name), cx);
    }
    check_verify_listeners(&stack.listeners, at, cx);
    check_ports(&stack.listeners, at, cx);
    check_trust_store_use(stack, cx);
    check_domains(stack, at, cx);
    check_records(stack, at, cx);
    backend::check_network(stack, at, cx);
}

fn check_vpc(stack: &Stack, cx: &Context) {
    if stack.vpc.is_some() {
        return;
    }
    let needing = [
        matches!(stack.load_balancer, Some(LoadBalancer::Own(_))).then_some("load_balancer"),
        matches!(stack.endpoint, Some(Endpoint::Own(_))).then_some("endpoint"),
        stack
            .network_load_balancer
            .as_ref()
            .map(|_| "network_load_balancer"),
        (!stack.target_groups.is_empty()).then_some("target_group"),
    ];
    if let Some(section) = needing.into_iter().flatten().next() {
        let fault = Fault::new(&KeyPath::top("vpc"), format!("`{section}` needs a `vpc`"));
        cx.fault(fault.hint("write `vpc: vpc-…` or `vpc: default` at the top"));
    }
}

fn check_listener(stack: &Stack, listener: &Listener, path: &KeyPath, cx: &Context) {
    if stack.load_balancer.is_none() {
        let fault = Fault::new(path, format!("`{path}` needs a section `load_balancer`"));
        cx.fault(fault.hint("add `load_balancer: {subnets: […]}`"));
    }
    if stack.certificate.is_none() {
        let fault = Fault::new(path, format!("`{path}` needs a section `certificate`"));
        cx.fault(
            fault.hint(
                "add `certificate: {request: \"*.example.com\"}`, or `find`, `arn` or `import`",
            ),
        );
    }
    let is_verify = matches!(
        listener.mutual_authentication,
        MutualAuthentication::Verify { .. }
    );
    if is_verify && stack.trust_store.is_none() {
        let message =
            format!("`{path}` verifies client certificates, but there is no section `trust_store`");
        let hint = "add `trust_store: {ca_bundle: […]}`, or write `mutual_authentication: off`";
        cx.fault(Fault::new(path, message).hint(hint));
    }
}

fn check_verify_listeners(
    listeners: &BTreeMap<String, Listener>,
    at: &dyn Fn(&str, &str) -> KeyPath,
    cx: &Context,
) {
    let is_verify = |(_, listener): &(&String, &Listener)| {
        matches!(
            listener.mutual_authentication,
            MutualAuthentication::Verify { .. }
        )
    };
    if let Some((name, _)) = listeners
        .iter()
        .filter(is_verify)
        .nth(MAXIMUM_VERIFY_LISTENERS)
    {
        let message =
            format!("a load balancer has at most {MAXIMUM_VERIFY_LISTENERS} listeners that verify");
        let fault = Fault::new(&at("listeners", name), message);
        cx.fault(fault.hint("AWS does not raise this quota: use another stack, or another mode"));
    }
}

fn check_ports(
    listeners: &BTreeMap<String, Listener>,
    at: &dyn Fn(&str, &str) -> KeyPath,
    cx: &Context,
) {
    let mut ports = BTreeMap::new();
    for (name, listener) in listeners {
        let redirect = listener
            .redirect_http
            .then_some((HTTP_PORT, "redirect_http"));
        for (port, key) in [(listener.port, "port")].into_iter().chain(redirect) {
            if let Some(other) = ports.insert(port, name) {
                let path = at("listeners", name);
                let message = format!(
                    "port {port} of `{path}` is taken by `{}`",
                    at("listeners", other)
                );
                cx.fault(Fault::new(&path.key(key), message));
            }
        }
    }
}

fn check_trust_store_use(stack: &Stack, cx: &Context) {
    let is_used = |listener: &Listener| {
        matches!(
            listener.mutual_authentication,
            MutualAuthentication::Verify { .. }
        )
    };
    if stack.trust_store.is_some() && !stack.listeners.values().any(is_used) {
        let message =
            "no listener verifies client certificates: the trust store is built, but not used";
        cx.warn("unused_trust_store", &KeyPath::top("trust_store"), message);
    }
}

fn check_domains(stack: &Stack, at: &dyn Fn(&str, &str) -> KeyPath, cx: &Context) {
    let mut names = BTreeSet::new();
    for (key, domain) in &stack.domains {
        let path = at("domains", key);
        if !names.insert(&domain.name) {
            let message = format!("the domain `{}` is given twice", domain.name);
            cx.fault(Fault::new(&path.key("name"), message));
        }
        let Some(certificate) = &stack.certificate else {
            let fault = Fault::new(&path, format!("`{path}` needs a section `certificate`"));
            cx.fault(fault.hint(format!(
                "add `certificate: {{request: \"{}\"}}`",
                wildcard(&domain.name)
            )));
            continue;
        };
        check_coverage(certificate, &domain.name, &path.key("name"), cx);
    }
}

fn check_records(stack: &Stack, at: &dyn Fn(&str, &str) -> KeyPath, cx: &Context) {
    let mut seen: BTreeSet<(String, &str)> = BTreeSet::new();
    for (key, record) in &stack.records {
        let path = at("records", key);
        if record.name.is_empty() {
            continue;
        }
        if !seen.insert((zone_key(record), &record.name)) {
            cx.fault(Fault::new(
                &path,
                format!("the record `{}` is given twice", record.name),
            ));
        }
        let is_domain = stack
            .domains
            .values()
            .any(|domain| domain.name == record.name);
        if let Some(certificate) = stack.certificate.as_ref().filter(|_| !is_domain) {
            check_coverage(certificate, &record.name, &path.key("name"), cx);
        }
    }
}

fn zone_key(record: &Record) -> String {
    match &record.zone {
        Zone::Id(id) => id.clone(),
        Zone::Name(name) => name.clone(),
    }
}

fn check_coverage(certificate: &Certificate, name: &str, path: &KeyPath, cx: &Context) {
    if certificate.covers(name) == Some(false) {
        let fault = Fault::new(
            path,
            format!("the requested certificate is not good for `{name}`"),
        );
        let hint = format!(
            "request `{}`, or list `{name}` in `subject_alternative_names`",
            wildcard(name)
        );
        cx.fault(fault.hint(hint));
    }
}

fn wildcard(name: &str) -> String {
    match name.split_once('.') {
        Some((_, rest)) if rest.contains('.') => format!("*.{rest}"),
        _ => name.to_owned(),
    }
}
