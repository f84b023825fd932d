//! A stretch of time that logs are read of.

use std::time::Duration;

use time::{Date, OffsetDateTime};

use crate::cli::Moment;
use crate::error::{Error, Result};

/// No longer stretch is read: it would list thousands of folders.
const MOST_DAYS: i64 = 366;

/// From one moment to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// The first moment.
    pub(crate) since: OffsetDateTime,
    /// The last one.
    pub(crate) until: OffsetDateTime,
    /// Whether what came after it counts as well: it is now, and nobody asked for an end. AWS's clocks
    /// are not one, and whole seconds are all that its answers tell.
    pub(super) is_open: bool,
}

impl Period {
    /// The period between two moments as they are written on the command line; `now` by AWS's clock.
    ///
    /// # Errors
    ///
    /// It ends before it begins, or is longer than a year.
    pub(crate) fn new(since: Moment, until: Option<Moment>, now: OffsetDateTime) -> Result<Self> {
        let at = |moment: Moment| match moment {
            Moment::At(at) => Ok(at.to_offset(time::UtcOffset::UTC)),
            Moment::Ago(duration) => before(now, duration),
        };
        let is_open = until.is_none();
        let (since, until) = (at(since)?, until.map_or(Ok(now), at)?);
        if since >= until {
            return Err(Error::refused_with(
                format!("there is no time between {since} and {until}"),
                "--since has to be before --until, which is now if it is not given",
            ));
        }
        if (until - since).whole_days() > MOST_DAYS {
            return Err(Error::refused_with(
                format!(
                    "from {} to {} is more than a year",
                    since.date(),
                    until.date()
                ),
                format!("ask for at most {MOST_DAYS} days at a time"),
            ));
        }
        Ok(Self {
            since,
            until,
            is_open,
        })
    }

    /// The time up to now.
    ///
    /// # Errors
    ///
    /// It is longer than a year.
    pub(crate) fn last(duration: Duration, now: OffsetDateTime) -> Result<Self> {
        Self::new(Moment::Ago(duration), None, now)
    }

    /// Whether a moment is part of it.
    pub(crate) fn contains(&self, moment: OffsetDateTime) -> bool {
        self.since <= moment && self.reaches(moment)
    }

    /// Whether a moment is not after its end.
    pub(super) fn reaches(&self, moment: OffsetDateTime) -> bool {
        self.is_open || moment <= self.until
    }

    /// The days that it touches when it ends later by `late`.
    pub(super) fn days(&self, late: Duration) -> Vec<Date> {
        let until = self
            .until
            .checked_add(time::Duration::try_from(late).unwrap_or_default());
        let last = until.unwrap_or(self.until).date();
        let days = std::iter::successors(Some(self.since.date()), |day| day.next_day());
        days.take_while(|day| *day <= last).collect()
    }
}

fn before(now: OffsetDateTime, duration: Duration) -> Result<OffsetDateTime> {
    let duration = time::Duration::try_from(duration).ok();
    let then = duration.and_then(|duration| now.checked_sub(duration));
    then.ok_or_else(|| {
        Error::refused_with(
            "the period is longer than there have been logs",
            format!("ask for at most {MOST_DAYS} days at a time"),
        )
    })
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-28 0:30 UTC);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_period_is_counted_back_from_now_or_given() {
        let last = Period::last(HOUR, NOW).unwrap();
        assert_eq!(last.since, datetime!(2026-11-27 23:30 UTC));
        assert_eq!(last.until, NOW);
        assert!(last.contains(last.since) && !last.contains(last.since - HOUR));
        // What came since AWS told the time.
        assert!(last.contains(NOW + Duration::from_millis(900)));
        let since = Moment::At(datetime!(2026-11-01 2:00 +02:00));
        let given = Period::new(since, Some(Moment::Ago(HOUR)), NOW).unwrap();
        assert_eq!(given.since, datetime!(2026-11-01 0:00 UTC));
        assert_eq!(given.until, NOW - HOUR);
        assert!(given.contains(given.until) && !given.contains(NOW));
    }

    #[test]
    fn a_period_touches_the_days_at_its_ends() {
        let last = Period::last(HOUR, NOW).unwrap();
        assert_eq!(
            last.days(HOUR),
            [date!(2026 - 11 - 27), date!(2026 - 11 - 28)]
        );
        assert_eq!(last.days(HOUR * 24).len(), 3);
    }

    #[test]
    fn impossible_periods_are_refused() {
        let later = Moment::At(NOW + HOUR);
        assert!(Period::new(later, None, NOW).is_err());
        assert!(Period::last(HOUR * 24 * 400, NOW).is_err());
        assert!(Period::last(Duration::from_secs(u64::MAX), NOW).is_err());
    }
}
