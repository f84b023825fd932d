//! One writer at a time: an object in the bucket, written only if it is not there.
//!
//! Renewed every 30 s and stale after five minutes, by S3's own clock. A run that was killed leaves
//! a lock that the next run takes over once it is stale.
//!
//! AWS: S3 User Guide, "Conditional writes".

use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::aws::{Aws, Clock, Identity, Speed};
use crate::error::{Error, Result};
use crate::resource::bucket;

/// Between two renewals.
const RENEWED_EVERY: Duration = Duration::from_secs(30);
/// Without a renewal for so long, the writer is taken for dead.
const STALE_AFTER: Duration = Duration::from_mins(5);

/// Who holds a lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holder {
    /// The caller's ARN.
    caller: String,
    /// The machine and process.
    process: String,
    /// What it does: `apply`.
    command: String,
    /// Since when, in RFC 3339.
    since: String,
}

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    aws: &'a Aws,
    identity: &'a Identity,
    bucket: String,
    key: String,
    holder: Holder,
    /// What S3 calls the object as we last wrote it.
    etag: Mutex<String>,
}

impl<'a> Lock<'a> {
    /// Takes the stack's lock; makes the bucket if it is ours and missing.
    ///
    /// # Errors
    ///
    /// Somebody else holds it: who and since when.
    pub(crate) async fn take(
        aws: &'a Aws,
        identity: &'a Identity,
        bucket: &str,
        stack: &str,
        command: &str,
    ) -> Result<Self> {
        let holder = Holder {
            caller: identity.arn.clone(),
            process: format!("{}, process {}", host_name(), std::process::id()),
            command: command.to_owned(),
            since: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
        };
        let (bucket, key) = (bucket.to_owned(), format!("{stack}/lock.json"));
        let lock = Self {
            aws,
            identity,
            bucket,
            key,
            holder,
            etag: Mutex::default(),
        };
        lock.acquire().await?;
        Ok(lock)
    }

    async fn acquire(&self) -> Result<()> {
        match self.write(None).await {
            Err(error) if error.is_code("NoSuchBucket") => {
                bucket::make(self.aws, self.identity, &self.bucket).await?;
                self.write(None).await
            }
            Err(error)
                if error.is_code("PreconditionFailed")
                    || error.is_code("ConditionalRequestConflict") =>
            {
                self.take_over().await
            }
            other => other,
        }
    }

    /// Takes a stale lock, provided that nobody else was faster; refuses one that is alive.
    async fn take_over(&self) -> Result<()> {
        let send = self
            .aws
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .expected_bucket_owner(&self.identity.account)
            .send();
        let object = match self.aws.call("s3:GetObject", send).await {
            // Released between the two calls.
            Err(error) if error.is("NoSuchKey") => return self.write(None).await,
            other => other?,
        };
        let etag = object.e_tag.clone().unwrap_or_default();
        let written = object.last_modified.map_or(i64::MAX, |time| time.secs());
        let age = self.aws.server_time().saturating_sub(written);
        if age >= i64::try_from(STALE_AFTER.as_secs()).unwrap_or(i64::MAX) {
            tracing::warn!(
                age_seconds = age,
                "taking over a lock whose holder is silent"
            );
            return self.write(Some(&etag)).await;
        }
        let body = object
            .body
            .collect()
            .await
            .map(aws_sdk_s3::primitives::AggregatedBytes::to_vec)
            .unwrap_or_default();
        Err(held(serde_json::from_slice(&body).ok()))
    }

    /// Writes the object: only if it is not there, or only if it is still `expected`.
    async fn write(&self, expected: Option<&str>) -> Result<()> {
        let body = serde_json::to_vec(&self.holder).unwrap_or_default();
        let send = self
            .aws
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .expected_bucket_owner(&self.identity.account)
            .content_type("application/json")
            .body(ByteStream::from(body));
        let send = match expected {
            Some(etag) => send.if_match(etag),
            None => send.if_none_match("*"),
        };
        let answer = self.aws.call("s3:PutObject", send.send()).await?;
        *self
            .etag
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = answer.e_tag.unwrap_or_default();
        Ok(())
    }

    /// Renews the lock for ever; ends only when it was lost.
    ///
    /// Keeps to the wall's clock: it is about other processes, not about AWS's state machines.
    pub(crate) async fn keep(&self) -> Error {
        let wall = Clock::new(Speed::Realistic);
        loop {
            wall.sleep(RENEWED_EVERY).await;
            let etag = self
                .etag
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone();
            match self.write(Some(&etag)).await {
                Err(error) if error.is_code("PreconditionFailed") => {
                    return Error::refused(
                        "another run has taken over the stack's lock; nothing more is begun",
                    );
                }
                Err(error) => tracing::warn!(%error, "the lock could not be renewed"),
                Ok(()) => {}
            }
        }
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// It could not be deleted; it will be stale after five minutes.
    pub(crate) async fn release(self) -> Result<()> {
        let send = self
            .aws
            .s3
            .delete_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .expected_bucket_owner(&self.identity.account)
            .send();
        match self.aws.call("s3:DeleteObject", send).await {
            Err(error) if error.is("NoSuchBucket") => Ok(()),
            other => other.map(drop).map_err(Error::from),
        }
    }
}

fn held(holder: Option<Holder>) -> Error {
    let who = holder.map_or_else(
        || "somebody".to_owned(),
        |holder| {
            format!(
                "`mtlsgw {}` of {} ({}) since {}",
                holder.command, holder.caller, holder.process, holder.since
            )
        },
    );
    Error::refused_with(
        format!("the stack is locked by {who}"),
        "wait until that run has ended; if it was killed, its lock is stale five minutes after its last sign of life",
    )
}

/// The machine's name, for whoever meets the lock.
fn host_name() -> String {
    let from_system = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    from_system
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "unknown host".to_owned(), |name| name.trim().to_owned())
}
