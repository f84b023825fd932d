//! CRLs from URLs: fetched, remembered on the disk, and chosen between what is served and what is live.
//!
//! A CA publishes a CRL when it likes, and what is live may be an older one. That is no change of
//! the stack: planning keeps what is live and says that a refresh is due, and `crl refresh` swaps.
//! What cannot be fetched or must not be used leaves the live CRL alone.

mod address;
mod cache;
mod choice;
mod download;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use time::OffsetDateTime;
use tokio::sync::{Mutex, OnceCell};

use crate::stack::{CrlSource, CrlUrl, Stack, TrustStore};
use crate::trust::Crl;

use cache::{Cache, Entry};
pub(crate) use choice::{Fate, Mode, Outcome, Question, decimal_number, name, number};
use download::{Answer, Client};

/// How long fetching a CRL may take as a whole, unless `--timeout` says less.
const LIMIT: Duration = Duration::from_mins(2);

/// What a URL is found to serve.
#[derive(Debug)]
pub(crate) struct Served {
    /// Where.
    pub(crate) url: CrlUrl,
    /// The CRLs, or why there are none.
    pub(crate) crls: Result<Vec<Arc<Crl>>, Failure>,
    /// What it served before, and was good then.
    remembered: Remembered,
    /// To be remembered, if it is good.
    entry: Option<Entry>,
}

/// What a URL served before; read only when it is asked for, because that is rare.
#[derive(Debug, Default)]
struct Remembered {
    content: Vec<u8>,
    crls: OnceLock<Vec<Arc<Crl>>>,
}

impl Served {
    /// What the URL served before, and was good then; empty where that is not known.
    pub(crate) fn remembered(&self) -> &[Arc<Crl>] {
        let Remembered { content, crls } = &self.remembered;
        crls.get_or_init(|| parse(content).unwrap_or_default())
    }
}

/// Why a URL gives no CRL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It could not be fetched.
    Unreachable(String),
    /// What was fetched must not be used.
    Unusable(String),
}

impl Failure {
    /// In words.
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Unreachable(words) | Self::Unusable(words) => words,
        }
    }

    /// Stable, for filters.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "crl_source_unreachable",
            Self::Unusable(_) => "crl_source_unusable",
        }
    }
}

/// What is known of CRLs from URLs when a stack is wired.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// What each URL serves.
    pub(crate) served: BySource,
    /// The live CRLs of each stack's trust store; `None` until they have been read.
    pub(crate) live: Option<BTreeMap<String, Vec<Arc<Crl>>>>,
}

/// A URL, and whether it may lead to private addresses.
pub(crate) type Source = (CrlUrl, bool);

/// What each URL serves.
pub(crate) type BySource = BTreeMap<Source, Arc<Served>>;

/// Fetches each URL once in the life of a command, so that what was shown is what is done.
#[derive(Debug)]
pub(crate) struct Fetcher {
    cache: Option<Cache>,
    limit: Duration,
    memory: Mutex<BTreeMap<Source, Arc<OnceCell<Arc<Served>>>>>,
}

impl Fetcher {
    /// A fetcher that has fetched nothing yet; `limit` is the user's own for waits.
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self {
            cache: Cache::of_user(),
            limit: limit.map_or(LIMIT, |limit| limit.min(LIMIT)),
            memory: Mutex::default(),
        }
    }

    /// What URLs serve.
    pub(crate) async fn served(&self, sources: impl IntoIterator<Item = Source>) -> BySource {
        let served = sources.into_iter().map(async |source| {
            let served = self.once(source.clone()).await;
            (source, served)
        });
        join_all(served).await.into_iter().collect()
    }

    async fn once(&self, source: Source) -> Arc<Served> {
        let cell = {
            let mut memory = self.memory.lock().await;
            Arc::clone(memory.entry(source.clone()).or_default())
        };
        let served = cell.get_or_init(async || Arc::new(self.fetch(source).await));
        Arc::clone(served.await)
    }

    async fn fetch(&self, (url, allow_private): Source) -> Served {
        let before = self.cache.as_ref().and_then(|cache| cache.read(&url));
        let answer = match Client::new(allow_private, self.limit) {
            Ok(client) => {
                let validators = before.as_ref().map(|entry| &entry.validators);
                client.get(url.secret(), validators).await
            }
            Err(reason) => Err(reason),
        };
        let remembered = Remembered {
            content: before.map(|entry| entry.content).unwrap_or_default(),
            crls: OnceLock::new(),
        };
        let (crls, entry) = match answer {
            Err(reason) => (Err(Failure::Unreachable(reason)), None),
            Ok(Answer::Unchanged) => (parse(&remembered.content), None),
            Ok(Answer::Content(entry)) => (parse(&entry.content), Some(entry)),
        };
        tracing::debug!(%url, fetched = entry.is_some(), failed = ?crls.as_ref().err(), "asked for a CRL");
        Served {
            url,
            crls,
            remembered,
            entry,
        }
    }

    /// Remembers what URLs serve, where it was found good.
    pub(crate) fn remember(&self, served: &[Arc<Served>], outcomes: &[Outcome]) {
        let good = outcomes.iter().filter(|outcome| {
            matches!(
                outcome.fate,
                Fate::Current(_) | Fate::Due { .. } | Fate::New { failure: None, .. }
            )
        });
        let of = |outcome: &Outcome| served.iter().find(|served| served.url == outcome.url);
        for served in good.filter_map(of) {
            if let (Some(cache), Some(entry)) = (&self.cache, &served.entry)
                && let Err(error) = cache.write(&served.url, entry)
            {
                tracing::debug!(%error, "a CRL cannot be remembered");
            }
        }
    }
}

fn parse(content: &[u8]) -> Result<Vec<Arc<Crl>>, Failure> {
    let unusable = |error: crate::trust::Error| Failure::Unusable(error.to_string());
    let crls = Crl::all_from_bytes(content).map_err(unusable)?;
    Ok(crls.into_iter().map(Arc::new).collect())
}

/// `next update 2026-12-01`.
pub(crate) fn next_update(crl: &Crl) -> String {
    crl.next_update.map_or_else(
        || "without a next update".to_owned(),
        |next| format!("next update {}", next.date()),
    )
}

/// One line about a CRL: `CRL of CN=Root, number 41, good until 2026-12-01`.
pub(crate) fn described(crl: &Crl, now: OffsetDateTime) -> String {
    format!(
        "CRL of {}, {}, {}",
        crl.issuer,
        name(crl),
        good_until(crl, now)
    )
}

/// Until when a CRL may be relied upon.
pub(crate) fn good_until(crl: &Crl, now: OffsetDateTime) -> String {
    match crl.next_update {
        None => "without a next update".to_owned(),
        Some(next) if next < now => format!("out of date since {}", next.date()),
        Some(next) => format!("good until {}", next.date()),
    }
}

/// Which of the stack's `crls` a URL is.
pub(crate) fn index(stack: &Stack, url: &CrlUrl) -> usize {
    let Some(TrustStore::Own { crls, .. }) = &stack.trust_store else {
        return 0;
    };
    let is_it = |source: &CrlSource| matches!(source, CrlSource::Url(one) if one == url);
    crls.iter().position(is_it).unwrap_or_default()
}

/// The URLs of a stack.
pub(crate) fn urls(stack: &Stack) -> Vec<&CrlUrl> {
    let Some(TrustStore::Own { crls, .. }) = &stack.trust_store else {
        return Vec::new();
    };
    let urls = crls.iter().filter_map(|source| match source {
        CrlSource::Url(url) => Some(url),
        CrlSource::File(_) => None,
    });
    urls.collect()
}

/// The URLs of a stack, to be fetched.
pub(crate) fn sources(stack: &Stack) -> impl Iterator<Item = Source> {
    let allow_private = match &stack.trust_store {
        Some(TrustStore::Own {
            allow_private_addresses,
            ..
        }) => *allow_private_addresses,
        _ => false,
    };
    let urls = urls(stack).into_iter();
    urls.map(move |url| (url.clone(), allow_private))
}

/// What the URLs of one stack serve.
pub(crate) fn served_to(stack: &Stack, served: &BySource) -> Vec<Arc<Served>> {
    let served = sources(stack).filter_map(|source| served.get(&source));
    served.map(Arc::clone).collect()
}
