//! By what the gateway of a stack lets clients in, now and after a plan.

use std::sync::Arc;

use crate::error::Result;
use crate::resource::listener::{Listener, Listens, MutualAuthentication};
use crate::resource::trust_store::TrustStore;
use crate::resource::trust_store_revocation::TrustStoreRevocation;
use crate::resource::{Found, Owner, Reader, Resources};
use crate::trust::{Crl, CrlLoad, CrlSwap, Gate, lint_succession};
use crate::wiring::Warning;

/// By what clients are let in as the file wants it; `None` where a trust store decides that is not
/// the stack's own.
pub(super) fn wanted_gate(resources: &Resources) -> Option<Gate> {
    let stores: Vec<&TrustStore> = resources.trust_stores.values().collect();
    let revocations = resources.trust_store_revocations.values().collect();
    gate(resources.listeners.values().collect(), &stores, revocations)
}

/// By what clients are let in now, as [`wanted_gate`].
///
/// # Errors
///
/// What could not be read.
pub(super) async fn live_gate(reader: &Reader, stack: &str) -> Result<Option<Gate>> {
    let (listeners, stores, revocations) = futures::try_join!(
        reader.found::<Listener>(),
        reader.found::<TrustStore>(),
        reader.found::<TrustStoreRevocation>(),
    )?;
    let stores = ours(&stores, stack);
    Ok(gate(
        ours(&listeners, stack),
        &stores,
        ours(&revocations, stack),
    ))
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

fn gate(
    listeners: Vec<&Listener>,
    stores: &[&TrustStore],
    revocations: Vec<&TrustStoreRevocation>,
) -> Option<Gate> {
    let modes: Vec<&MutualAuthentication> = listeners
        .into_iter()
        .filter_map(|listener| match &listener.listens {
            Listens::Https(https) => Some(&https.mutual_authentication),
            _ => None,
        })
        .collect();
    let verifying = modes.iter().find_map(|mode| match mode {
        MutualAuthentication::Verify {
            ignore_client_certificate_expiry,
            ..
        } => Some(*ignore_client_certificate_expiry),
        _ => None,
    });
    let Some(ignore_client_certificate_expiry) = verifying else {
        return Some(if modes.is_empty() {
            Gate::Absent
        } else {
            Gate::Open
        });
    };
    let crls = revocations.iter().filter_map(|one| one.crl.as_deref());
    let crls: Vec<Crl> = crls.cloned().collect();
    Some(Gate::Verifies {
        bundle: stores.first()?.bundle.clone(),
        crls,
        ignore_client_certificate_expiry,
    })
}
