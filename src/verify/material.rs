//! What clients of the probes present: the user's certificates, and what is made for the moment.

use time::{Duration, OffsetDateTime};

use crate::error::Result;
use crate::pki::{Authority, Credential, Kind, SigningKey};
use crate::trust::Certificate;

/// A certificate with its key, or what it would take to have one.
#[derive(Debug)]
pub(crate) enum Presented {
    /// It is there.
    Has(Credential),
    /// It is not; says what is needed.
    Needs(String),
}

/// All that clients present.
#[derive(Debug)]
pub(crate) struct Material {
    /// One that is let in.
    pub(crate) good: Presented,
    /// One that a CRL lists.
    pub(crate) revoked: Presented,
    /// One that has ended.
    pub(crate) expired: Presented,
    /// One for servers only.
    pub(crate) wrong_purpose: Presented,
    /// A good one of a CA that nobody knows.
    pub(crate) unknown: Presented,
    /// A good one of a CA that has the name of one of the trust store's.
    pub(crate) lookalike: Presented,
}

/// A CA of the store that the gateway trusts, with its key; or what it would take to have one.
pub(crate) type Issuer = std::result::Result<(Authority, SigningKey), String>;

impl Material {
    /// Makes what can be made, beside what the user has.
    ///
    /// # Errors
    ///
    /// The machine has no randomness to give.
    pub(crate) fn make(
        (good, revoked): (Presented, Presented),
        issuer: &Issuer,
        authorities: &[Certificate],
        now: OffsetDateTime,
    ) -> Result<Self> {
        let (hour, day) = (Duration::hours(1), Duration::days(1));
        let lookalike = match authorities.first() {
            Some(authority) => Presented::Has(Credential::of_unknown(Some(authority), now)?),
            None => Presented::Needs("a trust store".to_owned()),
        };
        Ok(Self {
            good,
            revoked,
            expired: issued(issuer, Kind::Client, (now - day * 2, now - day))?,
            wrong_purpose: issued(issuer, Kind::Server, (now - hour, now + hour))?,
            unknown: Presented::Has(Credential::of_unknown(None, now)?),
            lookalike,
        })
    }
}

fn issued(
    issuer: &Issuer,
    kind: Kind,
    validity: (OffsetDateTime, OffsetDateTime),
) -> Result<Presented> {
    Ok(match issuer {
        Ok((authority, key)) => Presented::Has(Credential::below(authority, key, kind, validity)?),
        Err(needs) => Presented::Needs(needs.clone()),
    })
}
