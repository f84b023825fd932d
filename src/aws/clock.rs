//! The one clock of waits, back-off and pacing; the sandbox can scale it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};

/// How fast time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As on the wall.
    Realistic,
    /// So many times faster than on the wall.
    Scaled(f64),
    /// A sleep is over at once, and the clock is moved on by it.
    Instant,
}

/// A clock that can be shared and that tests can speed up without skipping the code that waits.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    speed: Speed,
    /// Microseconds that sleeps skipped under [`Speed::Instant`].
    skipped: AtomicU64,
}

impl Clock {
    /// Starts a clock at zero.
    pub fn new(speed: Speed) -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            speed,
            skipped: AtomicU64::new(0),
        }))
    }

    /// The time since the clock was started, on the clock.
    pub fn now(&self) -> Duration {
        let elapsed = self.0.started.elapsed();
        match self.0.speed {
            Speed::Realistic => elapsed,
            Speed::Scaled(factor) => elapsed.mul_f64(factor),
            Speed::Instant => {
                elapsed + Duration::from_micros(self.0.skipped.load(Ordering::Relaxed))
            }
        }
    }

    /// Sleeps for `duration` on the clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that sleeps"
    )]
    pub async fn sleep(&self, duration: Duration) {
        match self.0.speed {
            Speed::Realistic => tokio::time::sleep(duration).await,
            Speed::Scaled(factor) => tokio::time::sleep(duration.div_f64(factor)).await,
            Speed::Instant => {
                self.skip_to(self.now() + duration);
                tokio::task::yield_now().await;
            }
        }
    }

    /// Moves an instant clock on to `then`; several sleeps to one moment move it once.
    fn skip_to(&self, then: Duration) {
        let missing = then.saturating_sub(self.now());
        let missing = u64::try_from(missing.as_micros()).unwrap_or(u64::MAX);
        self.0.skipped.fetch_add(missing, Ordering::Relaxed);
    }
}

impl AsyncSleep for Clock {
    fn sleep(&self, duration: Duration) -> Sleep {
        let clock = self.clone();
        Sleep::new(async move { Self::sleep(&clock, duration).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_instant_clock_moves_on_by_what_was_slept() {
        let clock = Clock::new(Speed::Instant);
        let wall = Instant::now();
        clock.sleep(Duration::from_hours(1)).await;
        assert!(clock.now() >= Duration::from_hours(1));
        assert!(wall.elapsed() < Duration::from_mins(1));
    }
}
