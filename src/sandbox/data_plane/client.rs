//! Whether a listener in mode `verify` lets a client in.
//!
//! Built on webpki: signatures are checked by it, and no chain is accepted that it refuses. What it
//! leaves out is done here: all chains are looked at and the reason is found that ELB's connection
//! log names; the trust store's own certificates are judged like the client's; a serial number is
//! looked up in the trust store's revocation lists, of which there can be 500,000.
//!
//! AWS documents the reasons but not their order; it is the one of this module, `Reason`. Where the
//! trust store holds a CA and its issuer, a chain goes on to the issuer.

mod certificate;
mod list;
mod path;

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};

use self::certificate::Member;
use self::list::List;
use self::path::{Chain, Pool, Searched};

/// The longest chain, the client's certificate and the root included; AWS does not raise it.
pub(super) const DEEPEST: usize = 4;

/// The largest certificate in bytes; AWS does not raise it.
const LARGEST_CERTIFICATE: usize = 16 * 1024;

/// The largest TLS message, which all of a client's certificates have to fit in.
const LARGEST_MESSAGE: usize = 64 * 1024;

/// Why a client is refused, in the words of the connection log and in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    MaxChainDepthExceeded,
    MaxSizeExceeded,
    TypeUnsupported,
    Untrusted,
    NotYetValid,
    Expired,
    PurposeInvalid,
    CrlHit,
    CrlProcessingError,
    Invalid,
}

impl Reason {
    /// What follows `Failed:` in the connection log.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::MaxChainDepthExceeded => "ClientCertMaxChainDepthExceeded",
            Self::MaxSizeExceeded => "ClientCertMaxSizeExceeded",
            Self::TypeUnsupported => "ClientCertTypeUnsupported",
            Self::Untrusted => "ClientCertUntrusted",
            Self::NotYetValid => "ClientCertNotYetValid",
            Self::Expired => "ClientCertExpired",
            Self::PurposeInvalid => "ClientCertPurposeInvalid",
            Self::CrlHit => "ClientCertCrlHit",
            Self::CrlProcessingError => "ClientCertCrlProcessingError",
            Self::Invalid => "ClientCertInvalid",
        }
    }
}

/// What a listener verifies clients by: the content of its trust store, read once.
#[derive(Debug, Default)]
pub(super) struct Trust {
    bundle: Vec<Arc<Member>>,
    lists: Vec<List>,
    rules: Rules,
}

/// By which rules a trust store is applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// How many certificates a chain may have.
    pub(super) deepest: usize,
    /// Whether the client's own certificate may have expired; its CAs may not.
    pub(super) ignore_expiry: bool,
    /// Whether the purpose of certificates does not count; it does on every listener.
    pub(super) any_purpose: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            deepest: DEEPEST,
            ignore_expiry: false,
            any_purpose: false,
        }
    }
}

impl Trust {
    /// Reads CAs and revocation lists, both in DER. What cannot be read vouches for nobody; ELB
    /// does not take it in the first place.
    pub(super) fn new(bundle: &[Vec<u8>], lists: Vec<Vec<u8>>, rules: Rules) -> Self {
        let bundle = bundle.iter().filter_map(|der| Member::read(der));
        let bundle: Vec<Arc<Member>> = bundle.map(Arc::new).collect();
        let lists = lists.into_iter().filter_map(|der| List::read(der, &bundle));
        Self {
            lists: lists.collect(),
            bundle,
            rules,
        }
    }

    /// The subjects of the CAs in DER, for the request for a certificate.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.bundle.iter().map(|member| member.subject.as_slice())
    }
}

/// Judges what a client sends, its own certificate first, at a time in milliseconds.
pub(super) fn judge(sent: &[CertificateDer<'_>], trust: &Trust, now: i64) -> Result<(), Reason> {
    let Some((client, others)) = sent.split_first() else {
        return Err(Reason::Invalid);
    };
    let client = Member::read(client).ok_or(Reason::Invalid)?;
    let others = others.iter().map(|der| Member::read(der));
    let others: Option<Vec<Member>> = others.collect();
    let others = others.ok_or(Reason::Invalid)?;
    let judgement = Judgement {
        trust,
        now: now.div_euclid(1000),
        message: message_size(sent),
    };
    judgement.of(&mut Pool::new(client, others, &trust.bundle))
}

/// The size of the TLS 1.3 message with these certificates.
fn message_size(sent: &[CertificateDer<'_>]) -> usize {
    // A length before each and extensions behind it; a length and a context before all.
    4 + sent.iter().map(|der| der.len() + 5).sum::<usize>()
}

/// What one client is judged by.
struct Judgement<'t> {
    trust: &'t Trust,
    /// In seconds.
    now: i64,
    message: usize,
}

impl Judgement<'_> {
    /// One good chain is enough; without any the reason is that of the chain which gets furthest.
    fn of(&self, pool: &mut Pool) -> Result<(), Reason> {
        let mut furthest = None;
        for length in 1..=self.trust.rules.deepest {
            let mut search = path::Search::new(length);
            while let Searched::Found(chain) = search.next(pool) {
                match self.chain(&chain) {
                    Ok(()) => return Ok(()),
                    Err(reason) => furthest = furthest.max(Some(reason)),
                }
            }
        }
        Err(furthest.unwrap_or_else(|| self.without_chain(pool)))
    }

    /// Why there is no chain of the right length to a CA of the trust store.
    fn without_chain(&self, pool: &mut Pool) -> Reason {
        let mut deepest = path::Search::new(1);
        for length in 1..=path::LONGEST {
            let mut search = path::Search::new(length);
            if let Searched::Found(chain) = search.next(pool)
                && chain.members.len() > self.trust.rules.deepest
            {
                return Reason::MaxChainDepthExceeded;
            }
            if search.depth() > deepest.depth() {
                deepest = search;
            }
        }
        if deepest.depth() > self.trust.rules.deepest {
            return Reason::MaxChainDepthExceeded;
        }
        let dead_ends = deepest.longest(pool);
        let reasons = dead_ends.iter().map(|chain| self.kinds(chain).err());
        reasons
            .map(|reason| reason.unwrap_or(Reason::Untrusted))
            .max()
            .unwrap_or(Reason::Untrusted)
    }

    /// Judges a chain that ends in the trust store.
    fn chain(&self, chain: &Chain) -> Result<(), Reason> {
        self.kinds(chain)?;
        let chain = chain.members.as_slice();
        if chain.iter().any(|member| member.not_before > self.now) {
            return Err(Reason::NotYetValid);
        }
        let may_be_expired = usize::from(self.trust.rules.ignore_expiry);
        if chain
            .iter()
            .skip(may_be_expired)
            .any(|member| member.not_after < self.now)
        {
            return Err(Reason::Expired);
        }
        self.purpose(chain)?;
        list::check(&self.trust.lists, chain)?;
        self.form(chain)
    }

    /// What a CA is limited to limits those below it; a client proves with a signature who it is.
    fn purpose(&self, chain: &[Arc<Member>]) -> Result<(), Reason> {
        let serves = chain.iter().all(|member| member.serves_clients);
        if self.trust.rules.any_purpose || serves && chain[0].may_sign {
            Ok(())
        } else {
            Err(Reason::PurposeInvalid)
        }
    }

    /// What is refused whether a chain leads anywhere or not: sizes, kinds of keys and signatures.
    fn kinds(&self, chain: &Chain) -> Result<(), Reason> {
        let mut members = chain.members.iter();
        let is_large = members
            .clone()
            .any(|member| member.der.len() > LARGEST_CERTIFICATE);
        if is_large || self.message > LARGEST_MESSAGE {
            return Err(Reason::MaxSizeExceeded);
        }
        let is_supported = members.all(|member| member.is_of_supported_kind);
        (is_supported && chain.is_checked)
            .then_some(())
            .ok_or(Reason::TypeUnsupported)
    }

    /// The rules of X.509: here for all certificates, and webpki's for those below the trust store.
    fn form(&self, chain: &[Arc<Member>]) -> Result<(), Reason> {
        if chain.iter().any(|member| member.is_malformed) {
            return Err(Reason::Invalid);
        }
        let (mut below, mut miscounted) = (0, false);
        for (index, authority) in (0..).zip(&chain[1..]) {
            let exceeds = |count: u32| authority.path_length.is_some_and(|most| count > most);
            if !authority.is_authority || exceeds(below) {
                return Err(Reason::Invalid);
            }
            miscounted |= exceeds(index);
            below += u32::from(!authority.is_self_issued());
        }
        match self.moment(chain) {
            Some(moment) if !miscounted => webpki(chain, moment),
            // Webpki counts self-issued CAs, which RFC 5280 spares, and knows no expiry that is
            // ignored: it would refuse the chain. Of what it checks, only the constraints of names
            // are not checked here as well.
            _ if chain.iter().any(|member| member.constrains_names) => Err(Reason::Invalid),
            _ => Ok(()),
        }
    }

    /// The time that webpki is told, dates having been checked: one at which the chain was valid, if
    /// the client's certificate has expired and that is ignored; none if it never was.
    fn moment(&self, chain: &[Arc<Member>]) -> Option<UnixTime> {
        let (client, above) = chain.split_first()?;
        let seconds = self.now.min(client.not_after);
        let was_valid = above.iter().all(|member| member.not_before <= seconds);
        let moment = Duration::from_secs(u64::try_from(seconds).ok()?);
        was_valid.then(|| UnixTime::since_unix_epoch(moment))
    }
}

/// Asks webpki about one chain, which has no choice but to take this one.
fn webpki(chain: &[Arc<Member>], moment: UnixTime) -> Result<(), Reason> {
    let [client, between @ .., anchor] = chain else {
        // The client's certificate is itself in the trust store.
        return Ok(());
    };
    let client = CertificateDer::from(client.der.as_slice());
    let anchor = CertificateDer::from(anchor.der.as_slice());
    let between: Vec<CertificateDer<'_>> = between
        .iter()
        .map(|member| CertificateDer::from(member.der.as_slice()))
        .collect();
    let invalid = |_| Reason::Invalid;
    let anchors = [webpki::anchor_from_trusted_cert(&anchor).map_err(invalid)?];
    let client = webpki::EndEntityCert::try_from(&client).map_err(invalid)?;
    let result = client.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &between,
        moment,
        AnyPurpose,
        None,
        None,
    );
    match result {
        // No rule of AWS's says that a CA may not be a client; webpki says no more about one.
        Ok(_) | Err(webpki::Error::CaUsedAsEndEntity) => Ok(()),
        Err(_) => Err(Reason::Invalid),
    }
}

/// Purposes are checked before, for the whole chain.
struct AnyPurpose;

impl webpki::ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: webpki::KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}
