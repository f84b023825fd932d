//! By what a stack's gateway lets clients in now, for those who judge clients by it.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancingv2::types::DescribeTrustStoreRevocation as Described;
use futures::future::try_join_all;

use super::{TrustStore, download_bundle};
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::resource::listener::{Listener, Listens, MutualAuthentication};
use crate::resource::trust_store_revocation::{self, TrustStoreRevocation};
use crate::resource::{Address, Late, Owner, Reader};
use crate::trust::{Bundle, Crl, Gate};

/// The live listeners of a stack and the trust store that decides who gets in.
#[derive(Debug)]
pub(crate) struct Held {
    /// Those that speak HTTPS, and what each asks of clients; by address.
    pub(crate) listeners: Vec<(Address, MutualAuthentication)>,
    /// The trust store; `None` where there is none.
    pub(crate) content: Option<Content>,
}

/// What a trust store holds.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// Its ARN.
    pub(crate) arn: String,
    /// Its CAs; never empty.
    pub(crate) bundle: Bundle,
    /// Its CRLs.
    pub(crate) crls: Vec<Crl>,
    /// The ids of revocations that are not exactly one CRL.
    pub(crate) unread: Vec<String>,
}

impl Held {
    /// Reads the listeners of a stack and the trust store that they verify by; where none verifies,
    /// the one with the ARN, else the stack's own, which its tags tell.
    ///
    /// # Errors
    ///
    /// What could not be read, or listeners that verify by several trust stores.
    pub(crate) async fn read(reader: &Reader, stack: &str, arn: Option<&str>) -> Result<Self> {
        let found = reader.found::<Listener>().await?;
        let ours = found
            .iter()
            .filter(|one| one.owner == Owner::Ours && one.stack == stack);
        let mut listeners: Vec<(Address, MutualAuthentication)> = ours
            .filter_map(|one| Some((one.address.clone(), asked(&one.spec)?.clone())))
            .collect();
        listeners.sort_by(|one, other| one.0.cmp(&other.0));
        let arn = match (verified_by(stack, &listeners)?, arn) {
            (Some(arn), _) => Some(arn),
            (None, Some(arn)) => Some(arn.to_owned()),
            (None, None) => own(reader, stack).await?,
        };
        let content = match arn {
            Some(arn) => Some(Content::read(reader, &arn).await?),
            None => None,
        };
        Ok(Self { listeners, content })
    }

    /// By what the listeners let clients in.
    pub(crate) fn gate(&self) -> Gate {
        let modes = self.listeners.iter().map(|(_, asked)| asked);
        match (&self.content, ignores_expiry(modes)) {
            (Some(content), Some(ignores_expiry)) => content.gate(ignores_expiry),
            _ if self.listeners.is_empty() => Gate::Absent,
            _ => Gate::Open,
        }
    }
}

impl Content {
    /// Reads a trust store, of whomever it is.
    ///
    /// # Errors
    ///
    /// What could not be read, or CAs that cannot be used: nobody could be judged by them.
    pub(crate) async fn read(reader: &Reader, arn: &str) -> Result<Self> {
        match Self::known(reader, arn).await? {
            Some(content) => Ok(content),
            None => Self::download(&reader.aws, arn).await,
        }
    }

    /// What the run reads anyway, where one of its stacks wants the trust store.
    async fn known(reader: &Reader, arn: &str) -> Result<Option<Self>> {
        let listed = super::listing(reader).await?;
        let is_wanted = |one: &super::Listed| one.id == arn && one.wanted_at(reader).is_some();
        if !listed.iter().any(is_wanted) {
            return Ok(None);
        }
        let (stores, revocations) = futures::try_join!(
            reader.found::<TrustStore>(),
            reader.found::<TrustStoreRevocation>()
        )?;
        // An empty bundle stands for one that could not be parsed: why is told by reading it here.
        let is_it = |bundle: &Bundle| !bundle.certificates().is_empty();
        let store = stores
            .iter()
            .find(|store| store.id == arn && is_it(&store.spec.bundle));
        Ok(store.map(|store| {
            let ours = revocations.iter().filter_map(|one| {
                let (of, id) = one.id.rsplit_once('#')?;
                (of == arn).then_some((id.to_owned(), one.spec.crl.as_deref().cloned()))
            });
            Self::new(arn, store.spec.bundle.clone(), ours.collect())
        }))
    }

    pub(super) async fn download(aws: &Aws, arn: &str) -> Result<Self> {
        let (bytes, revocations) =
            futures::try_join!(download_bundle(aws, arn), revocations(aws, arn))?;
        let bundle = Bundle::from_bytes(&[(arn, bytes)]).map_err(|error| {
            Error::refused_with(
                format!("nobody can be judged by the live CAs of the trust store {error}"),
                "have a bundle put in their place that can be read, as `mtlsgw apply` does",
            )
        })?;
        Ok(Self::new(arn, bundle, revocations))
    }

    fn new(arn: &str, bundle: Bundle, revocations: Vec<(String, Option<Crl>)>) -> Self {
        let unread = revocations.iter().filter(|(_, crl)| crl.is_none());
        Self {
            arn: arn.to_owned(),
            bundle,
            unread: unread.map(|(id, _)| id.clone()).collect(),
            crls: revocations.into_iter().filter_map(|(_, crl)| crl).collect(),
        }
    }

    /// By what a listener with this trust store lets clients in.
    pub(crate) fn gate(&self, ignore_client_certificate_expiry: bool) -> Gate {
        Gate::Verifies {
            bundle: self.bundle.clone(),
            crls: self.crls.clone(),
            ignore_client_certificate_expiry,
        }
    }
}

/// What a listener asks of clients; `None` where it does not speak HTTPS.
pub(crate) fn asked(listener: &Listener) -> Option<&MutualAuthentication> {
    match &listener.listens {
        Listens::Https(https) => Some(&https.mutual_authentication),
        _ => None,
    }
}

/// Whether listeners let expired clients in, which all that verify have to; `None` where none does.
pub(crate) fn ignores_expiry<'a>(
    modes: impl Iterator<Item = &'a MutualAuthentication>,
) -> Option<bool> {
    let ignore = modes.filter_map(|mode| match mode {
        MutualAuthentication::Verify {
            ignore_client_certificate_expiry,
            ..
        } => Some(*ignore_client_certificate_expiry),
        _ => None,
    });
    ignore.reduce(|one, other| one && other)
}

/// The trust store that live listeners verify by.
fn verified_by(
    stack: &str,
    listeners: &[(Address, MutualAuthentication)],
) -> Result<Option<String>> {
    let arns = listeners.iter().filter_map(|(_, asked)| match asked {
        MutualAuthentication::Verify {
            trust_store: Late::Known(arn),
            ..
        } => Some(arn.clone()),
        _ => None,
    });
    let mut arns: BTreeSet<String> = arns.collect();
    if arns.len() > 1 {
        let arns: Vec<String> = arns.into_iter().collect();
        return Err(Error::refused_with(
            format!(
                "the listeners of the stack `{stack}` verify by several trust stores: {}",
                arns.join(", ")
            ),
            "`mtlsgw apply` has all of them verify by the one of the stack file",
        ));
    }
    Ok(arns.pop_first())
}

/// Finds the stack's own trust store.
async fn own(reader: &Reader, stack: &str) -> Result<Option<String>> {
    let listed = super::listing(reader).await?;
    let is_own = |one: &&super::Listed| {
        let address = one.tags.address();
        one.tags.stack() == Some(stack) && address.is_some_and(|at| at.as_str() == "trust_store")
    };
    Ok(listed.iter().find(is_own).map(|one| one.id.clone()))
}

/// Reads all revocations, those that are not exactly one CRL as `None`.
async fn revocations(aws: &Aws, arn: &str) -> Result<Vec<(String, Option<Crl>)>> {
    let described = trust_store_revocation::describe_all(aws, arn).await?;
    let ids = described.iter().filter_map(Described::revocation_id);
    let read = ids.map(async |id| -> Result<_> {
        let crl = trust_store_revocation::read_crl(aws, arn, id).await?;
        Ok((id.to_string(), crl))
    });
    try_join_all(read).await
}
