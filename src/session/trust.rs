//! By what the gateway of a stack lets clients in, now and after a plan.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::resource::listener::MutualAuthentication;
use crate::resource::trust_store::{Content, Held, asked, ignores_expiry};
use crate::resource::trust_store_revocation::TrustStoreRevocation;
use crate::resource::{Found, Late, Owner, Reader, Resources};
use crate::trust::{Crl, CrlLoad, CrlSwap, Gate, lint_succession};
use crate::wiring::Warning;

/// By what clients are let in now, and as the file wants it.
///
/// # Errors
///
/// What could not be read, or a live trust store that nobody can be judged by.
pub(super) async fn gates(
    reader: &Reader,
    stack: &str,
    wanted: &Resources,
) -> Result<(Gate, Gate)> {
    let held = Held::read(reader, stack, None).await?;
    let wanted = wanted_gate(reader, &held, wanted).await?;
    Ok((held.gate(), wanted))
}

async fn wanted_gate(reader: &Reader, held: &Held, wanted: &Resources) -> Result<Gate> {
    let modes: Vec<&MutualAuthentication> = wanted.listeners.values().filter_map(asked).collect();
    let store = modes.iter().find_map(|mode| match mode {
        MutualAuthentication::Verify { trust_store, .. } => Some(trust_store),
        _ => None,
    });
    let verifying = store.zip(ignores_expiry(modes.iter().copied()));
    let Some((store, ignore_client_certificate_expiry)) = verifying else {
        return Ok(if modes.is_empty() {
            Gate::Absent
        } else {
            Gate::Open
        });
    };
    let address = match store {
        // The content of a trust store that is not the stack's own stays as it is.
        Late::Known(arn) => {
            let live = held.content.as_ref().filter(|content| content.arn == *arn);
            return Ok(match live {
                Some(content) => content.gate(ignore_client_certificate_expiry),
                None => Content::read(reader, arn)
                    .await?
                    .gate(ignore_client_certificate_expiry),
            });
        }
        Late::From(address, _) => address,
    };
    let store = wanted.trust_stores.get(address).ok_or_else(|| {
        Error::refused(format!(
            "nobody can be judged by `{address}`, which the stack does not have"
        ))
    })?;
    let revocations = wanted.trust_store_revocations.values();
    let crls = revocations.filter_map(|one| one.crl.as_deref());
    Ok(Gate::Verifies {
        bundle: store.bundle.clone(),
        crls: crls.cloned().collect(),
        ignore_client_certificate_expiry,
    })
}

/// How full a plan makes the trust store while CRLs are swapped.
///
/// # Errors
///
/// What could not be read.
pub(super) async fn swap(reader: &Reader, stack: &str, wanted: &Resources) -> Result<CrlSwap> {
    let live = reader.found::<TrustStoreRevocation>().await?;
    let wanted = wanted.trust_store_revocations.values();
    let wanted: Vec<Arc<Crl>> = wanted.filter_map(|one| one.crl.clone()).collect();
    Ok(swap_of(&ours(&live, stack), &wanted))
}

/// How full a trust store is with what it holds, whether that could be read or not, and what of the
/// wanted CRLs is new.
pub(super) fn swap_of(live: &[&TrustStoreRevocation], wanted: &[Arc<Crl>]) -> CrlSwap {
    let is_live = |crl: &Crl| {
        let mut live = live.iter().filter_map(|one| one.crl.as_ref());
        live.any(|one| one.digest == crl.digest)
    };
    let new = wanted.iter().filter(|crl| !is_live(crl));
    CrlSwap {
        live: CrlLoad::of(live.iter().map(|one| one.entries)),
        new: CrlLoad::of(new.map(|crl| crl.entries)),
    }
}

/// What is odd about the CRLs that a plan puts in the place of live ones, such as a number that falls.
///
/// Only told: where one takes revocations back, the plan widens access, and that has to be allowed.
///
/// # Errors
///
/// What could not be read.
pub(super) async fn succession(
    reader: &Reader,
    stack: &str,
    wanted: &Resources,
) -> Result<Vec<Warning>> {
    let Some(address) = wanted.trust_stores.keys().next() else {
        return Ok(Vec::new());
    };
    let live = reader.found::<TrustStoreRevocation>().await?;
    let crls = |revocations: Vec<&TrustStoreRevocation>| -> Vec<Arc<Crl>> {
        let crls = revocations.iter().filter_map(|one| one.crl.clone());
        crls.collect()
    };
    let live = crls(ours(&live, stack));
    let wanted = crls(wanted.trust_store_revocations.values().collect());
    let findings = lint_succession(&live, &wanted);
    Ok(findings
        .iter()
        .map(|one| Warning::of(address, one))
        .collect())
}

/// What is a stack's own.
fn ours<'a, R>(found: &'a [Found<R>], stack: &str) -> Vec<&'a R> {
    let is_ours = |one: &&Found<R>| one.owner == Owner::Ours && one.stack == stack;
    found.iter().filter(is_ours).map(|one| &one.spec).collect()
}
