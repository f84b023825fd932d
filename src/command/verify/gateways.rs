//! What is probed: the names and ports of a stack, and what it expects of each.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::cli::ProbeArgs;
use crate::command::trust::unusable;
use crate::error::{Error, Result};
use crate::resource::listener::protocols;
use crate::session::{Live, Session};
use crate::stack::{
    CertificateSource, CrlSource, EndpointType, Listener, LoadBalancer, MutualAuthentication,
    RecordTarget, Stack, TrustStore,
};
use crate::trust::{Bundle, Certificate, Crl, covers};
use crate::verify::{Gateway, ServerTrust};
use crate::wiring;

/// The attribute that switches HTTP/2.
const HTTP2: &str = "routing.http2.enabled";

/// The headers that tell of the client: the attribute's part, the usual name, and whether mode
/// `verify` sets it (`passthrough` sets the other).
const HEADERS: [(&str, &str, bool); 6] = [
    ("", "X-Amzn-Mtls-Clientcert", false),
    (
        "_serial_number",
        "X-Amzn-Mtls-Clientcert-Serial-Number",
        true,
    ),
    ("_issuer", "X-Amzn-Mtls-Clientcert-Issuer", true),
    ("_subject", "X-Amzn-Mtls-Clientcert-Subject", true),
    ("_validity", "X-Amzn-Mtls-Clientcert-Validity", true),
    ("_leaf", "X-Amzn-Mtls-Clientcert-Leaf", true),
];

/// There is nothing to probe.
pub(super) fn none() -> Error {
    Error::refused_with(
        "the stack has neither a listener nor a regional API, so there is nothing to verify",
        "name a stack file with a `load_balancer` and a `listener`, or with `api.endpoint_type: regional`",
    )
}

/// What API Gateway's own names are shown to speak; AWS does not say which versions of TLS it takes there.
const API_GATEWAY: &str = "API Gateway's own TLS";

/// Each name with each listener; without a listener, the regional APIs themselves.
///
/// # Errors
///
/// There is none, or nobody knows a name for it.
pub(super) fn of(
    stack: &Stack,
    live: &Live,
    args: &ProbeArgs,
    trust: ServerTrust,
) -> Result<Vec<Gateway>> {
    if stack.listeners.is_empty() {
        return apis(stack, live, args, &Arc::new(trust));
    }
    let (names, is_named) = names(stack, live, args)?;
    let trust = Arc::new(trust);
    let authorities = authorities(stack, live)?;
    let mut gateways = Vec::new();
    for listener in stack.listeners.values() {
        for name in &names {
            gateways.push(Gateway {
                name: name.clone(),
                is_named,
                port: listener.port,
                mode: listener.mutual_authentication,
                policy: listener.ssl_policy.clone(),
                protocols: protocols(&listener.ssl_policy),
                authorities: authorities.clone(),
                http2: Some(has_http2(stack)),
                redirects: listener.redirect_http,
                load_balancer: live.load_balancer.clone(),
                regional_name: regional_name(live, name),
                endpoint: live.endpoint.clone(),
                headers: headers(listener),
                server_trust: Arc::clone(&trust),
            });
        }
    }
    Ok(gateways)
}

/// Whether clients call an API of the stack without a load balancer in between.
pub(in crate::command) fn has_regional_api(stack: &Stack) -> bool {
    let mut apis = stack.apis.values();
    stack.listeners.is_empty() && apis.any(|api| api.endpoint_type == EndpointType::Regional)
}

/// The names by which clients call regional APIs: those of the domains, else API Gateway's own.
fn apis(
    stack: &Stack,
    live: &Live,
    args: &ProbeArgs,
    trust: &Arc<ServerTrust>,
) -> Result<Vec<Gateway>> {
    if !has_regional_api(stack) {
        return Err(none());
    }
    let domains = stack.domains.values().map(|domain| domain.name.clone());
    let named = match &args.name {
        Some(name) => BTreeSet::from([name.to_ascii_lowercase()]),
        None => domains.filter(|name| !name.starts_with('*')).collect(),
    };
    let names = if named.is_empty() {
        own_names(stack, live)?
    } else {
        named
    };
    let of_name = |name: String| Gateway {
        regional_name: None,
        name,
        is_named: true,
        port: 443,
        mode: MutualAuthentication::Off,
        policy: API_GATEWAY.to_owned(),
        protocols: None,
        authorities: Vec::new(),
        http2: None,
        redirects: false,
        load_balancer: None,
        endpoint: Vec::new(),
        headers: Vec::new(),
        server_trust: Arc::clone(trust),
    };
    Ok(names.into_iter().map(of_name).collect())
}

/// The names that API Gateway gives to the regional APIs.
fn own_names(stack: &Stack, live: &Live) -> Result<BTreeSet<String>> {
    let regional = stack.apis.iter();
    let regional = regional.filter(|(_, api)| api.endpoint_type == EndpointType::Regional);
    let ids = regional.filter_map(|(name, _)| live.apis.get(&wiring::api_address(name)));
    let suffix = if stack.region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    let names = ids.map(|id| format!("{id}.execute-api.{}.{suffix}", stack.region));
    let names: BTreeSet<String> = names.collect();
    if names.is_empty() {
        return Err(Error::refused_with(
            format!("the stack `{}` has no API in AWS", stack.name),
            "make it with `mtlsgw apply`",
        ));
    }
    Ok(names)
}

/// The names that clients use, and whether they are the user's own.
fn names(stack: &Stack, live: &Live, args: &ProbeArgs) -> Result<(BTreeSet<String>, bool)> {
    if let Some(name) = &args.name {
        return Ok((BTreeSet::from([name.to_ascii_lowercase()]), true));
    }
    let records = stack.records.values();
    let records = records.filter(|record| record.target == RecordTarget::LoadBalancer);
    let records = records.map(|record| record.name.clone());
    let domains = stack.domains.values().map(|domain| domain.name.clone());
    let names: BTreeSet<String> = records
        .chain(domains)
        // A wildcard is no name to connect to.
        .filter(|name| !name.starts_with('*'))
        .collect();
    if !names.is_empty() {
        return Ok((names, true));
    }
    let name = live.load_balancer.clone().ok_or_else(|| {
        Error::refused_with(
            format!("the stack `{}` has no load balancer in AWS", stack.name),
            "make it with `mtlsgw apply`",
        )
    })?;
    Ok((BTreeSet::from([name]), false))
}

/// The regional name of the domain that answers to a name; a wildcard answers to many.
fn regional_name(live: &Live, name: &str) -> Option<String> {
    let answers = |(domain, _): &(&String, &String)| covers(domain, name);
    let covering = || live.regional_names.iter().find(answers);
    let exact = live.regional_names.get(name);
    exact
        .or_else(|| covering().map(|(_, regional)| regional))
        .cloned()
}

fn has_http2(stack: &Stack) -> bool {
    match &stack.load_balancer {
        Some(LoadBalancer::Own(own)) => own.attributes.get(HTTP2).is_none_or(|on| on != "false"),
        _ => true,
    }
}

/// The headers that the listener's mode sets, by the names that they have there.
fn headers(listener: &Listener) -> Vec<String> {
    let is_set = |by_verify: bool| match listener.mutual_authentication {
        MutualAuthentication::Verify { .. } => by_verify,
        MutualAuthentication::Passthrough => !by_verify,
        MutualAuthentication::Off => true,
    };
    let headers = HEADERS
        .iter()
        .filter(|(_, _, by_verify)| is_set(*by_verify));
    let named = headers.map(|(part, usual, _)| {
        let attribute = format!("routing.http.request.x_amzn_mtls_clientcert{part}.header_name");
        let renamed = listener.attributes.get(&attribute);
        renamed.map_or_else(|| (*usual).to_owned(), Clone::clone)
    });
    named.collect()
}

/// The CAs that clients are to be verified by: those of the file, else those of the trust store that it
/// names.
///
/// # Errors
///
/// Files that cannot be read.
pub(super) fn authorities(stack: &Stack, live: &Live) -> Result<Vec<Certificate>> {
    match &stack.trust_store {
        None => Ok(Vec::new()),
        Some(TrustStore::Existing { .. }) => {
            let content = live.held.content.as_ref();
            Ok(content
                .map(|content| content.bundle.certificates().to_vec())
                .unwrap_or_default())
        }
        Some(TrustStore::Own { ca_bundle, .. }) => {
            let parts = ca_bundle
                .iter()
                .map(|file| (file.path.display().to_string(), &file.bytes));
            let parts: Vec<(String, &Vec<u8>)> = parts.collect();
            let bundle = Bundle::from_bytes(&parts).map_err(|error| unusable(&error))?;
            Ok(bundle.certificates().to_vec())
        }
    }
}

/// The CRLs of the stack's files, and those that are live.
///
/// # Errors
///
/// Files that cannot be read.
pub(super) fn crls(stack: &Stack, live: &Live) -> Result<Vec<Crl>> {
    let content = live.held.content.as_ref();
    let mut crls = content
        .map(|content| content.crls.clone())
        .unwrap_or_default();
    let Some(TrustStore::Own { crls: sources, .. }) = &stack.trust_store else {
        return Ok(crls);
    };
    for source in sources {
        if let CrlSource::File(file) = source {
            let found = Crl::all_from_bytes(&file.bytes);
            let name = file.path.display().to_string();
            crls.extend(found.map_err(|error| unusable(&error.named(name)))?);
        }
    }
    Ok(crls)
}

/// By what the server's certificate is judged: the files of `--ca`, else the system's roots and what
/// the stack imports; in the sandbox its root, too.
///
/// # Errors
///
/// Files that cannot be read, or a sandbox that does not answer.
pub(super) async fn server_trust(
    session: &Session,
    stack: &Stack,
    args: &ProbeArgs,
) -> Result<ServerTrust> {
    let mut trust = ServerTrust::default();
    for file in &args.ca {
        let roots = crate::command::pki::certificates(file)?;
        trust.add(&file.display().to_string(), roots.iter());
    }
    if !args.ca.is_empty() {
        return Ok(trust);
    }
    add_sandbox(session, &mut trust).await?;
    if let Some(certificate) = &stack.certificate {
        add_imported(&mut trust, &certificate.source)?;
    }
    trust.add_system();
    Ok(trust)
}

#[cfg(feature = "sandbox")]
async fn add_sandbox(session: &Session, trust: &mut ServerTrust) -> Result<()> {
    if let Some(pem) = session.sandbox_root().await? {
        let roots =
            Certificate::all_from_bytes(pem.as_bytes()).map_err(|error| unusable(&error))?;
        trust.add("the sandbox", roots.iter());
    }
    Ok(())
}

#[cfg(not(feature = "sandbox"))]
#[expect(clippy::unused_async, reason = "with the sandbox it waits")]
async fn add_sandbox(_session: &Session, _trust: &mut ServerTrust) -> Result<()> {
    Ok(())
}

/// What the stack imports is trusted as far as its own chain goes; without one, itself.
fn add_imported(trust: &mut ServerTrust, source: &CertificateSource) -> Result<()> {
    let CertificateSource::Import {
        certificate, chain, ..
    } = source
    else {
        return Ok(());
    };
    let read = |bytes: &[u8], path: &Path| {
        let read = Certificate::all_from_bytes(bytes);
        read.map_err(|error| unusable(&error.named(path.display().to_string())))
    };
    let Some(chain) = chain else {
        let own = read(&certificate.bytes, &certificate.path)?;
        own.into_iter().take(1).for_each(|own| trust.pin(own));
        return Ok(());
    };
    let above = read(&chain.bytes, &chain.path)?;
    let roots: Vec<&Certificate> = above.iter().filter(|one| one.is_self_issued()).collect();
    // Without its root, the chain ends at the last that it has.
    let roots = if roots.is_empty() {
        above.last().into_iter().collect()
    } else {
        roots
    };
    trust.add("the stack's chain", roots.into_iter());
    Ok(())
}
