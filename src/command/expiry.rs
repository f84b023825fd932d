//! `--fail-if-expires-within`: certificates and CRLs that end soon fail a job.

use std::time::Duration;

use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::session::Planned;

/// Refuses what ends within the time, counted from now; nothing where no time is given.
///
/// # Errors
///
/// Everything that ends by then, or has ended already.
pub(super) fn refuse_if_near<'a>(
    planned: impl IntoIterator<Item = &'a Planned>,
    within: Option<Duration>,
) -> Result<()> {
    let Some(within) = within else {
        return Ok(());
    };
    let limit = limit(OffsetDateTime::now_utc(), within);
    let of_stack = |one: &Planned| {
        let near = one.expiries.iter().filter(|expiry| expiry.at < limit);
        let line = |expiry: &crate::resource::Expiry| {
            let crate::resource::Expiry { address, what, at } = expiry;
            format!("{}: `{address}`: {what} ends on {}", one.name, at.date())
        };
        near.map(line).collect::<Vec<_>>()
    };
    let near: Vec<String> = planned.into_iter().flat_map(of_stack).collect();
    if near.is_empty() {
        return Ok(());
    }
    Err(Error::refused_with(
        format!("this ends too soon:\n{}", near.join("\n")),
        "issue the certificate or CRL anew, put it in the place of the old one, and apply",
    ))
}

/// The moment after some time; beyond the last one that can be told everything ends before it.
fn limit(now: OffsetDateTime, within: Duration) -> OffsetDateTime {
    let within = time::Duration::try_from(within).unwrap_or(time::Duration::MAX);
    now.saturating_add(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_all_calendars_takes_in_everything() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let day = Duration::from_hours(24);
        assert_eq!(limit(now, day), now + time::Duration::DAY);
        let last = time::PrimitiveDateTime::MAX.assume_utc();
        assert_eq!(limit(now, Duration::from_hours(9_999_999 * 24)), last);
        assert_eq!(limit(now, Duration::MAX), last);
    }
}
