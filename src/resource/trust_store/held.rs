//! What a trust store holds in AWS now, for those who judge clients by it.

use aws_sdk_elasticloadbalancingv2::types::DescribeTrustStoreRevocation as Described;
use futures::future::try_join_all;

use super::{associations, describe_all, download_bundle};
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::resource::{Address, elbv2, listener, trust_store_revocation};
use crate::trust::{Bundle, Crl};

/// The content of a trust store and the listeners that verify by it.
#[derive(Debug)]
pub(crate) struct Held {
    /// Its ARN.
    pub(crate) arn: String,
    /// Its CAs.
    pub(crate) bundle: Bundle,
    /// Its CRLs.
    pub(crate) crls: Vec<Crl>,
    /// The ids of revocations that are not exactly one CRL.
    pub(crate) unread: Vec<i64>,
    /// The stack's listeners that verify by it, and whether they ignore that a client has expired.
    pub(crate) listeners: Vec<(Address, bool)>,
}

impl Held {
    /// Reads a trust store: the one with the ARN, else the stack's own, which its tags tell.
    ///
    /// # Errors
    ///
    /// There is none, or what could not be read.
    pub(crate) async fn read(aws: &Aws, stack: &str, arn: Option<&str>) -> Result<Self> {
        let arn = match arn {
            Some(arn) => arn.to_owned(),
            None => own(aws, stack).await?,
        };
        let (bytes, revocations, listeners) = futures::try_join!(
            download_bundle(aws, &arn),
            revocations(aws, &arn),
            listeners(aws, stack, &arn)
        )?;
        let bundle = Bundle::from_bytes(&[(&arn, bytes)])
            .map_err(|error| Error::refused(format!("the bundle of the trust store {error}")))?;
        let unread = revocations.iter().filter(|(_, crl)| crl.is_none());
        let unread = unread.map(|(id, _)| *id).collect();
        Ok(Self {
            arn,
            bundle,
            crls: revocations.into_iter().filter_map(|(_, crl)| crl).collect(),
            unread,
            listeners,
        })
    }
}

/// Finds the stack's own trust store.
async fn own(aws: &Aws, stack: &str) -> Result<String> {
    let named = |name: &str| {
        let rest = name.strip_prefix(stack);
        rest.is_some_and(|rest| rest.starts_with('-'))
    };
    let described = describe_all(aws).await?.into_iter();
    let candidates = described.filter(|one| one.name().is_some_and(named));
    let arns: Vec<String> = candidates.filter_map(|one| one.trust_store_arn).collect();
    let tags = elbv2::tags_of(aws, &arns).await?;
    let mut ours = tags.into_iter().filter(|(_, tags)| {
        let address = tags.address();
        tags.stack() == Some(stack) && address.is_some_and(|one| one.as_str() == "trust_store")
    });
    ours.next().map(|(arn, _)| arn).ok_or_else(|| {
        Error::refused_with(
            format!("the stack `{stack}` has no trust store in AWS"),
            "make it with `mtlsgw apply`, or leave out --live to judge by the files",
        )
    })
}

/// Reads all revocations, those that are not exactly one CRL as `None`.
async fn revocations(aws: &Aws, arn: &str) -> Result<Vec<(i64, Option<Crl>)>> {
    let described = trust_store_revocation::describe_all(aws, arn).await?;
    let ids = described.iter().filter_map(Described::revocation_id);
    let read = ids.map(async |id| -> Result<_> {
        Ok((id, trust_store_revocation::read_crl(aws, arn, id).await?))
    });
    try_join_all(read).await
}

/// Finds the listeners of the stack that verify by the trust store.
async fn listeners(aws: &Aws, stack: &str, arn: &str) -> Result<Vec<(Address, bool)>> {
    let users = associations(aws, arn).await?;
    let tags = elbv2::tags_of(aws, &users).await?;
    let ours = tags.iter().filter(|(_, tags)| tags.stack() == Some(stack));
    let ours = ours.filter_map(|(arn, tags)| Some((arn, tags.address()?)));
    let read = ours.map(async |(arn, address)| -> Result<_> {
        let ignores = listener::ignores_expiry(aws, arn).await?;
        Ok(ignores.map(|ignores| (address, ignores)))
    });
    let mut listeners: Vec<(Address, bool)> =
        try_join_all(read).await?.into_iter().flatten().collect();
    listeners.sort();
    Ok(listeners)
}
