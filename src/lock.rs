//! One writer at a time: an object in the bucket, written only if it is not there.
//!
//! Renewed every 30 s and stale after five minutes, by S3's own clock. A run that was killed leaves
//! a lock that the next run takes over once it is stale.
//!
//! AWS: S3 User Guide, "Conditional writes".

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::aws::{Aws, Clock, Identity, Speed, tolerate};
use crate::error::{Error, Result};
use crate::resource::bucket::{self, Bucket};

/// Between two renewals.
const RENEWED_EVERY: Duration = Duration::from_secs(30);
/// Without a renewal for so long, the writer is taken for dead.
const STALE_AFTER: Duration = Duration::from_mins(5);

/// Renewals may fail for so long; then others will soon take the lock for stale.
const SILENT_AT_MOST: Duration = Duration::from_mins(4);

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
    /// Tells our own lock from that of the same process number on another machine of the same name.
    nonce: String,
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
    /// Whether somebody else holds it by now.
    lost: AtomicBool,
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
            nonce: nonce(),
        };
        let (bucket, key) = (bucket.to_owned(), key(stack));
        let lock = Self {
            aws,
            identity,
            bucket,
            key,
            holder,
            etag: Mutex::default(),
            lost: AtomicBool::new(false),
        };
        lock.acquire().await?;
        Ok(lock)
    }

    /// Whether the stack's lock is held, or was left by a run that was killed.
    ///
    /// # Errors
    ///
    /// It is not readable.
    pub(crate) async fn is_taken(
        aws: &Aws,
        identity: &Identity,
        bucket: &str,
        stack: &str,
    ) -> Result<bool> {
        let send = aws
            .s3
            .get_object()
            .bucket(bucket)
            .key(key(stack))
            .expected_bucket_owner(&identity.account)
            .send();
        match aws.call("s3:GetObject", send).await {
            Err(error) if error.is("NoSuchKey") || error.is("NoSuchBucket") => Ok(false),
            other => Ok(other.map(|_| true)?),
        }
    }

    async fn acquire(&self) -> Result<()> {
        match self.write(None).await {
            Err(error)
                if error.is_code("NoSuchBucket")
                    && self.bucket
                        == Bucket::own_name(&self.identity.account, &self.aws.region) =>
            {
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
        let holder: Option<Holder> = serde_json::from_slice(&body).ok();
        if holder
            .as_ref()
            .is_some_and(|holder| holder.nonce == self.holder.nonce)
        {
            // Our own first try took effect and its answer was lost.
            *self.etag.lock().unwrap_or_else(PoisonError::into_inner) = etag;
            return Ok(());
        }
        Err(held(holder))
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
        *self.etag.lock().unwrap_or_else(PoisonError::into_inner) =
            answer.e_tag.unwrap_or_default();
        Ok(())
    }

    /// Renews the lock for ever; ends only when it was lost.
    ///
    /// Keeps to the wall's clock: it is about other processes, not about AWS's state machines.
    pub(crate) async fn keep(&self) -> Error {
        let wall = Clock::new(Speed::Realistic);
        let mut renewed = wall.now();
        loop {
            wall.sleep(RENEWED_EVERY).await;
            match self.renew().await {
                Ok(()) => renewed = wall.now(),
                Err(error) if is_lost(&error) => break,
                Err(error) => tracing::warn!(%error, "the lock could not be renewed"),
            }
            if wall.now().saturating_sub(renewed) > SILENT_AT_MOST {
                break;
            }
        }
        self.lost.store(true, Ordering::Relaxed);
        lost()
    }

    /// Refuses to go on with a lock that was lost while it was kept.
    ///
    /// # Errors
    ///
    /// It was.
    pub(crate) fn refuse_lost(&self) -> Result<()> {
        if self.lost.load(Ordering::Relaxed) {
            Err(lost())
        } else {
            Ok(())
        }
    }

    async fn renew(&self) -> Result<()> {
        let etag = self
            .etag
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match self.write(Some(&etag)).await {
            // The answer to an earlier renewal may have been lost.
            Err(error) if error.is_code("PreconditionFailed") => self.take_over().await,
            other => other,
        }
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// It could not be deleted; it will be stale after five minutes.
    pub(crate) async fn release(self) -> Result<()> {
        if self.lost.load(Ordering::Relaxed) {
            return Ok(());
        }
        let send = self
            .aws
            .s3
            .delete_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .expected_bucket_owner(&self.identity.account)
            .send();
        tolerate(
            self.aws.call("s3:DeleteObject", send).await,
            &["NoSuchBucket"],
        )
    }
}

/// Whether the lock is no longer ours: another's, or deleted.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Refused { .. })
        || error.is_code("NoSuchKey")
        || error.is_code("NoSuchBucket")
        || error.is_code("HTTP 404")
}

fn lost() -> Error {
    Error::refused_with(
        "the stack's lock was lost, so nothing more is begun",
        "see who else works on the stack, then run the same command again",
    )
}

/// Where a stack's lock lies in its bucket.
fn key(stack: &str) -> String {
    format!("{stack}/lock.json")
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

/// Something that no other run has.
fn nonce() -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{random:016x}")
}

/// The machine's name, for whoever meets the lock.
fn host_name() -> String {
    let from_system = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    from_system
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "unknown host".to_owned(), |name| name.trim().to_owned())
}
