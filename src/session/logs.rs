//! The connection logs of a stack, for `logs` and for plans that ask who comes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use super::{Session, Subject};
use crate::aws::Aws;
use crate::cli::{ClientsArgs, LogsArgs};
use crate::connection_log::{self, Detail, Origin, Period, Reading};
use crate::error::{Error, Result};
use crate::resource::Reader;
use crate::stack::{LoadBalancer, Stack};
use crate::trust::{IssuerUnknown, KnownClient};

/// Which logs tell of clients, and where their certificates may be.
pub(super) struct ClientsFromLogs {
    last: Duration,
    pki: Option<PathBuf>,
}

/// The connection logs of a stack.
pub(crate) struct Logs {
    /// The account that it is in.
    pub(crate) account: String,
    /// The time that was read.
    pub(crate) period: Period,
    /// Where they are.
    pub(crate) origins: Vec<Origin>,
    /// What they say.
    pub(crate) reading: Reading,
}

impl Session {
    /// Reads the connection logs of a stack; `told` hears how many files there are.
    ///
    /// # Errors
    ///
    /// There are none, or what could not be read.
    pub(crate) async fn logs(
        &self,
        subject: &Subject,
        args: &LogsArgs,
        told: impl FnOnce(usize),
    ) -> Result<Logs> {
        let reader = self.reader(subject).await?;
        let origins = connection_log::origins(&reader, &subject.name, arn(subject)).await?;
        if origins.is_empty() {
            let (name, region) = (&subject.name, &subject.region);
            return Err(Error::refused_with(
                format!("the stack `{name}` has no load balancer in {region}"),
                "`mtlsgw apply` makes it; `mtlsgw list` shows what there is",
            ));
        }
        let period = Period::new(args.since, args.until, now(&reader.aws))?;
        let detail = if args.failed {
            Detail::Failed
        } else {
            Detail::All
        };
        let reading = connection_log::read(&reader.aws, &origins, period, detail, told).await?;
        Ok(Logs {
            account: reader.identity.account,
            period,
            origins,
            reading,
        })
    }
}

impl ClientsFromLogs {
    /// What the command line asks for.
    pub(super) fn of(args: &ClientsArgs) -> Option<Self> {
        args.clients_from_logs.map(|last| Self {
            last,
            pki: args.clients_pki.clone(),
        })
    }

    /// Joins the clients that the logs of a stack tell of with those that are known, and with those
    /// of the PKI; the rest is known to nobody.
    ///
    /// # Errors
    ///
    /// What could not be read.
    pub(super) async fn join(
        &self,
        reader: &Reader,
        subject: &Subject,
        known: &[KnownClient],
    ) -> Result<(Vec<KnownClient>, Vec<IssuerUnknown>)> {
        // Where nothing has been applied yet nobody came.
        let origins = connection_log::origins(reader, &subject.name, arn(subject)).await?;
        let period = Period::last(self.last, now(&reader.aws))?;
        let aws = &reader.aws;
        let reading = connection_log::read(aws, &origins, period, Detail::Admitted, |_| ()).await?;
        if reading.damaged > 0 {
            let (damaged, files) = (reading.damaged, reading.files);
            tracing::warn!(
                damaged,
                files,
                "connection logs could not be read to their end"
            );
        }
        let beyond: u64 = reading.tally.beyond.values().sum();
        if beyond > 0 {
            tracing::warn!(
                connections = beyond,
                "more clients came than can be told apart: ask for a shorter time"
            );
        }
        let seen = connection_log::seen(&reading.tally);
        connection_log::join(&seen, known, self.store(subject).as_deref())
    }

    /// The directory of the CAs: the one that was named, or the one beside the stack file.
    fn store(&self, subject: &Subject) -> Option<PathBuf> {
        if let Some(named) = &self.pki {
            return Some(named.clone());
        }
        let stack: &Stack = subject.stack.as_ref()?;
        let file = stack.files().first()?;
        let beside = file.path.parent().unwrap_or(Path::new("")).join("pki");
        beside.is_dir().then_some(beside)
    }
}

/// The load balancer of a stack that only uses it.
fn arn(subject: &Subject) -> Option<&str> {
    match subject.stack.as_ref()?.load_balancer.as_ref()? {
        LoadBalancer::Existing { arn } => Some(arn),
        LoadBalancer::Own(_) => None,
    }
}

/// Now, by AWS's clock, by which the logs are written.
fn now(aws: &Aws) -> OffsetDateTime {
    let now = OffsetDateTime::from_unix_timestamp(aws.server_time());
    now.unwrap_or_else(|_| OffsetDateTime::now_utc())
}
