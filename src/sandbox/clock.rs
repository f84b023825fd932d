//! The sandbox's clock: how fast its time passes, and that it never goes back.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How fast the sandbox's time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timing {
    /// State machines pass through their states at once.
    Instant,
    /// So many sandbox seconds pass in one second.
    Scaled(f64),
    /// As long as on AWS.
    Realistic,
}

impl Timing {
    /// How many sandbox seconds pass in one second; waits are as much shorter. `None`: at once.
    pub fn factor(self) -> Option<f64> {
        match self {
            Self::Instant => None,
            Self::Scaled(factor) => Some(factor),
            Self::Realistic => Some(1.0),
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant => formatter.write_str("instant"),
            Self::Scaled(factor) => write!(formatter, "x{factor}"),
            Self::Realistic => formatter.write_str("realistic"),
        }
    }
}

impl FromStr for Timing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let factor = || {
            text.strip_prefix('x')?
                .parse::<f64>()
                .ok()
                .filter(|factor| factor.is_finite() && *factor > 0.0)
        };
        match text {
            "instant" => Ok(Self::Instant),
            "realistic" => Ok(Self::Realistic),
            _ => factor().map(Self::Scaled).ok_or_else(|| {
                format!(
                    "`{text}` is no timing; write `instant`, `realistic` or a factor such as `x60`"
                )
            }),
        }
    }
}

/// Tells the sandbox's time.
#[derive(Debug)]
pub(super) struct Clock {
    timing: Timing,
    /// The sandbox's time when it was started, in milliseconds.
    start: i64,
    started: Instant,
}

impl Clock {
    /// A clock that goes on from `last`, the latest time that anything was done at.
    pub(super) fn new(timing: Timing, last: i64) -> Self {
        Self {
            timing,
            start: last.max(wall_clock()),
            started: Instant::now(),
        }
    }

    /// The time in milliseconds since the Unix epoch.
    pub(super) fn now(&self) -> i64 {
        let passed = self
            .started
            .elapsed()
            .mul_f64(self.timing.factor().unwrap_or(1.0));
        self.start.saturating_add(milliseconds(passed))
    }

    /// Lets time pass at once.
    pub(super) fn advance(&mut self, duration: Duration) {
        self.start = self.start.saturating_add(milliseconds(duration));
    }

    /// How fast time passes.
    pub(super) fn timing(&self) -> Timing {
        self.timing
    }
}

/// The host's time in milliseconds since the Unix epoch.
fn wall_clock() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, milliseconds)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Clock, Timing, wall_clock};
    use std::time::Duration;

    #[test]
    fn timings_are_written_as_they_are_read() {
        for text in ["instant", "realistic", "x60", "x0.5"] {
            assert_eq!(
                text.parse::<Timing>().expect("is a timing").to_string(),
                text
            );
        }
        for text in ["", "60", "x", "x0", "x-1", "xinf"] {
            assert!(text.parse::<Timing>().is_err(), "{text}");
        }
    }

    #[test]
    fn time_never_goes_back() {
        let ahead = wall_clock() + 3_600_000;
        let mut clock = Clock::new(Timing::Scaled(1000.0), ahead);
        assert!(clock.now() >= ahead);
        clock.advance(Duration::from_hours(72));
        assert!(clock.now() >= ahead + 72 * 3_600_000);
        assert!(Clock::new(Timing::Instant, 0).now() >= wall_clock() - 1000);
    }
}
