//! What a step has at hand: the clients, the stack, what earlier steps learnt, and a way to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{Address, FromOutput, Late, Outputs};
use crate::apply::{Event, Events};
use crate::aws::{Aws, Identity};
use crate::error::{Error, Result};

/// What all steps of one apply share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The clients.
    pub(crate) aws: Arc<Aws>,
    /// Who we are.
    pub(crate) identity: Identity,
    /// The stack's name.
    pub(crate) stack: String,
    /// Limits of waits that the stack file sets, by kind: `load_balancer`, `certificate`, ….
    pub(crate) timeouts: BTreeMap<String, Duration>,
    /// Outputs of everything that exists, by address.
    pub(crate) known: Mutex<BTreeMap<Address, Outputs>>,
    /// Where progress is told.
    pub(crate) events: Events,
    /// True once the run is to end: waits end, calls under way are finished.
    pub(crate) interrupt: watch::Sender<bool>,
}

/// One step's view of [`Shared`].
#[derive(Debug, Clone)]
pub(crate) struct Cx {
    /// The resource the step is about.
    pub(crate) address: Address,
    shared: Arc<Shared>,
}

/// A wait: for what, how often to look, how long at most.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    /// What is awaited, after "waiting for": "the load balancer to become active".
    pub(crate) what: String,
    /// Between two looks, at most.
    pub(crate) poll: Duration,
    /// At most.
    pub(crate) limit: Duration,
}

impl Wait {
    /// A wait of `limit_seconds` at most, looking every `poll_seconds` at least.
    pub(crate) fn new(what: impl Into<String>, poll_seconds: u64, limit_seconds: u64) -> Self {
        Self {
            what: what.into(),
            poll: Duration::from_secs(poll_seconds),
            limit: Duration::from_secs(limit_seconds),
        }
    }

    /// The same wait with another limit.
    #[must_use]
    pub(crate) fn at_most(self, limit: Option<Duration>) -> Self {
        Self {
            limit: limit.unwrap_or(self.limit),
            ..self
        }
    }

    /// How long until the next look: a tenth of what was waited, so that what is ready is seen soon
    /// whatever it takes, and a chain of waits is not longer by more than that.
    fn pause(&self, waited: Duration) -> Duration {
        (waited / 10).max(SOONEST).min(self.poll)
    }
}

/// Between two looks, at least.
const SOONEST: Duration = Duration::from_secs(2);

impl Cx {
    /// The view of one step.
    pub(crate) fn new(address: Address, shared: Arc<Shared>) -> Self {
        Self { address, shared }
    }

    /// The clients.
    pub(crate) fn aws(&self) -> &Aws {
        &self.shared.aws
    }

    /// Who we are.
    pub(crate) fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// The stack's name.
    pub(crate) fn stack(&self) -> &str {
        &self.shared.stack
    }

    /// The limit that the stack file sets for waits of a kind.
    pub(crate) fn timeout(&self, kind: &str) -> Option<Duration> {
        self.shared.timeouts.get(kind).copied()
    }

    /// The value of `late`, which earlier steps have learnt by now.
    ///
    /// # Errors
    ///
    /// The other resource does not have that output: an edge of the graph is missing.
    pub(crate) fn value<T: FromOutput + Clone>(&self, late: &Late<T>) -> Result<T> {
        match late {
            Late::Known(value) => Ok(value.clone()),
            Late::From(address, output) => self
                .output(address, output)
                .and_then(|values| T::from_output(&values))
                .ok_or_else(|| {
                    Error::step(
                        &self.address,
                        format!("`{output}` of `{address}` is not known yet"),
                    )
                }),
        }
    }

    /// An output of another resource, if it is known.
    pub(crate) fn output(&self, address: &Address, output: &str) -> Option<Vec<String>> {
        let known = self
            .shared
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.get(address)?.get(output).cloned()
    }

    /// Remembers what AWS said of this step's resource.
    pub(crate) fn learn(&self, outputs: Outputs) {
        let mut known = self
            .shared
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known
            .entry(self.address.clone())
            .or_default()
            .extend(outputs);
    }

    /// A client token: the same for the same stack, address and inputs, so that a repeated call is known again.
    ///
    /// 32 hexadecimal digits, which every AWS token field takes.
    pub(crate) fn token(&self, inputs: &str) -> String {
        let digest = Sha256::digest(format!("{}\n{}\n{inputs}", self.shared.stack, self.address));
        hex(&digest)[..32].to_owned()
    }

    /// Looks until `look` gives something, telling what it waits for.
    ///
    /// # Errors
    ///
    /// What `look` failed with, or that the limit has passed.
    pub(crate) async fn wait_until<T, F>(
        &self,
        wait: Wait,
        mut look: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        let clock = &self.shared.aws.clock;
        let started = clock.now();
        let mut told = false;
        loop {
            if let Some(done) = look().await.map_err(|error| error.about(&self.address))? {
                return Ok(done);
            }
            let waited = clock.now().saturating_sub(started);
            if waited >= wait.limit {
                return Err(self.too_long(&wait));
            }
            if !told {
                self.tell_waiting(&wait.what);
                told = true;
            }
            self.pause(wait.pause(waited)).await?;
        }
    }

    /// Repeats a call while it fails with an error that passes.
    ///
    /// # Errors
    ///
    /// The first error that does not pass, or the last one when the limit has passed.
    pub(crate) async fn retry_while<T, F>(
        &self,
        wait: Wait,
        passes: impl Fn(&Error) -> bool,
        mut call: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let clock = &self.shared.aws.clock;
        let started = clock.now();
        let mut told = false;
        loop {
            match call().await {
                Err(error)
                    if passes(&error) && clock.now().saturating_sub(started) < wait.limit =>
                {
                    tracing::debug!(address = %self.address, %error, "will pass");
                    if !told {
                        self.tell_waiting(&wait.what);
                        told = true;
                    }
                    self.pause(wait.poll).await?;
                }
                other => return other.map_err(|error| error.about(&self.address)),
            }
        }
    }

    /// Resolves as soon as the run is to end.
    pub(crate) async fn interrupted(&self) {
        let mut interrupt = self.shared.interrupt.subscribe();
        // An error is the end of the sender, which the step itself keeps alive.
        interrupt.wait_for(|ends| *ends).await.ok();
    }

    /// Sleeps on the clock.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] as soon as the run is to end.
    pub(crate) async fn pause(&self, duration: Duration) -> Result<()> {
        crate::apply::lend_slot(async {
            tokio::select! {
                () = self.shared.aws.clock.sleep(duration) => Ok(()),
                () = self.interrupted() => Err(Error::Interrupted),
            }
        })
        .await
    }

    /// Tells that the step waits.
    pub(crate) fn tell_waiting(&self, what: &str) {
        self.shared.events.send(Event::Waiting {
            address: self.address.clone(),
            what: what.to_owned(),
        });
    }

    fn too_long(&self, wait: &Wait) -> Error {
        Error::Step {
            address: self.address.clone(),
            message: format!("waited {} s for {}", wait.limit.as_secs(), wait.what),
            hint: Some(
                "run the same command again; `timeouts:` in the stack file sets longer limits"
                    .to_owned(),
            ),
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_as_far_apart_as_the_wait_is_long() {
        let wait = Wait::new("something", 15, 600);
        let pause = |waited| wait.pause(Duration::from_secs(waited)).as_secs();
        assert_eq!([0, 20, 90, 150, 500].map(pause), [2, 2, 9, 15, 15]);
        assert_eq!(
            Wait::new("something", 1, 60)
                .pause(Duration::ZERO)
                .as_secs(),
            1
        );
    }
}
