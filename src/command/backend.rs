//! `--probe-backend`: what a backend shows is judged before anything is planned.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::cli::BackendArgs;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::resource::Address;
use crate::session::Subject;
use crate::stack::{Stack, StackError, StackErrors};
use crate::trust::{Finding, Severity, backend_without_tls12};
use crate::verify::{Network, backend};
use crate::wiring::{self, Warning};

/// Connects to the backend as the APIs of the stacks would, and judges what it shows as API Gateway does.
///
/// # Errors
///
/// What API Gateway would refuse, or that nothing was shown.
pub(super) async fn judge(
    args: &BackendArgs,
    subjects: &[Subject],
    network: &Network<'_>,
) -> Result<Vec<Warning>> {
    let Some(place) = &args.probe_backend else {
        return Ok(Vec::new());
    };
    let (mut warnings, mut errors) = (Vec::new(), Vec::new());
    for stack in subjects.iter().filter_map(|one| one.stack.as_ref()) {
        for (address, finding) in findings(stack, (&place.host, place.port), network).await? {
            match finding.severity {
                Severity::Error => errors.push(located(stack, &address, &finding)),
                Severity::Warning => warnings.push(Warning::of(&address, &finding)),
                Severity::Note => {}
            }
        }
    }
    if errors.is_empty() {
        Ok(warnings)
    } else {
        Err(StackErrors::from(errors).into())
    }
}

async fn findings(
    stack: &Stack,
    (host, port): (&str, u16),
    network: &Network<'_>,
) -> Result<Vec<(Address, Finding)>> {
    let facts = Facts::stand_ins(stack);
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, api) in &stack.apis {
        let address = wiring::api_address(name);
        let backends = api.definition.backends().into_iter();
        for one in backends.filter(|one| one.is_https) {
            if !seen.insert((name, one.host.clone(), one.skips_verification)) {
                continue;
            }
            // API Gateway asks for the host of the URI, wherever the connection goes.
            let asked = one.host.as_deref().unwrap_or(host);
            let shown = backend::look(network, (host, port), asked).await;
            let shown = shown.map_err(|reason| {
                Error::refused_with(
                    format!("the backend at {host}:{port} shows no certificate for {asked}: {reason}"),
                    "look whether it is reached from here, or give its certificate as `backend_certificate`",
                )
            })?;
            let judged =
                wiring::backend_findings(&one, &shown.chain, &facts, OffsetDateTime::now_utc());
            let old =
                (!shown.speaks_tls12).then(|| backend_without_tls12(&format!("{host}:{port}")));
            findings.extend(
                judged
                    .into_iter()
                    .chain(old)
                    .map(|finding| (address.clone(), finding)),
            );
        }
    }
    Ok(findings)
}

fn located(stack: &Stack, address: &Address, finding: &Finding) -> StackError {
    let key = address.as_str();
    StackError::at(
        stack.locate(key),
        key,
        finding.in_words(),
        None,
        Some(finding.fix.to_owned()),
    )
}
