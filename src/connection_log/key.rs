//! The names of log files:
//! `[prefix/]AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/conn_log_ACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_END_ADDRESS_RANDOM.log.gz`.

use std::time::Duration;

use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use super::period::Period;

/// How long after a connection the file may end that tells of it: files end every five minutes, and
/// AWS promises no more than to do its best.
pub(super) const LATE: Duration = Duration::from_mins(15);

/// The files of one load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// `[prefix/]AWSLogs/ACCOUNT/elasticloadbalancing/REGION`.
    directory: String,
    /// `conn_log_ACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_`.
    stem: String,
}

impl Names {
    /// The names for a load balancer's ARN and the prefix in its bucket; `None` where the ARN is none.
    pub(super) fn of(arn: &str, prefix: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, "elasticloadbalancing", region, account, resource] = parts.as_slice() else {
            return None;
        };
        let id = resource.strip_prefix("loadbalancer/")?.replace('/', ".");
        let prefix = prefix.trim_matches('/');
        let separator = if prefix.is_empty() { "" } else { "/" };
        Some(Self {
            directory: format!(
                "{prefix}{separator}AWSLogs/{account}/elasticloadbalancing/{region}"
            ),
            stem: format!("conn_log_{account}_elasticloadbalancing_{region}_{id}_"),
        })
    }

    /// What the keys of all files have in common.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// What the keys of a day's files begin with.
    pub(super) fn of_day(&self, day: Date) -> String {
        let (year, month) = (day.year(), u8::from(day.month()));
        let Self { directory, stem } = self;
        format!("{directory}/{year:04}/{month:02}/{:02}/{stem}", day.day())
    }

    /// The first key that files ending at `end` or later can have.
    pub(super) fn from(&self, day: Date, end: OffsetDateTime) -> String {
        let (hour, minute) = (end.hour(), end.minute());
        let date = end.date();
        let (year, month) = (date.year(), u8::from(date.month()));
        format!(
            "{}{year:04}{month:02}{:02}T{hour:02}{minute:02}Z",
            self.of_day(day),
            date.day()
        )
    }
}

/// Whether a file whose key begins with `start` can tell of a period.
pub(super) fn may_tell_of(key: &str, start: &str, period: &Period) -> bool {
    let rest = key.strip_prefix(start);
    let rest = rest.filter(|_| has_ending(key, ".gz") || has_ending(key, ".log"));
    let end = rest
        .and_then(|rest| rest.split('_').next())
        .and_then(end_time);
    let late = time::Duration::try_from(LATE).unwrap_or_default();
    // A file's end is given to the minute: it may go on for the rest of it.
    end.is_some_and(|end| end + time::Duration::MINUTE > period.since && period.reaches(end - late))
}

fn has_ending(key: &str, ending: &str) -> bool {
    key.len() > ending.len() && key.ends_with(ending)
}

/// Reads `20220215T2340Z`.
fn end_time(text: &str) -> Option<OffsetDateTime> {
    let minutes = format_description!("[year][month][day]T[hour][minute]Z");
    Some(PrimitiveDateTime::parse(text, minutes).ok()?.assume_utc())
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    const ARN: &str = "arn:aws:elasticloadbalancing:us-east-2:123456789012:loadbalancer/app/my-alb/1234567890abcdef";

    #[test]
    fn names_are_those_of_the_user_guide() {
        let names = Names::of(ARN, "logs/").unwrap();
        assert_eq!(
            names.of_day(date!(2022 - 02 - 05)) + "20220205T2340Z_172.160.001.192_20sg8hgm.log.gz",
            "logs/AWSLogs/123456789012/elasticloadbalancing/us-east-2/2022/02/05/conn_log_123456789012_elasticloadbalancing_us-east-2_app.my-alb.1234567890abcdef_20220205T2340Z_172.160.001.192_20sg8hgm.log.gz"
        );
        let bare = Names::of(ARN, "").unwrap();
        assert!(bare.directory().starts_with("AWSLogs/123456789012/"));
        assert_eq!(Names::of("arn:aws:s3:::bucket", ""), None);
    }

    #[test]
    fn a_file_is_chosen_by_its_end() {
        let names = Names::of(ARN, "").unwrap();
        let day = date!(2022 - 02 - 15);
        let start = names.of_day(day);
        let period = Period {
            since: datetime!(2022-02-15 23:30:30 UTC),
            until: datetime!(2022-02-15 23:40 UTC),
            is_open: false,
        };
        let file = |end: &str| format!("{start}{end}_10.0.1.5_x.log.gz");
        for end in ["20220215T2330Z", "20220215T2340Z", "20220215T2355Z"] {
            assert!(may_tell_of(&file(end), &start, &period), "{end}");
            assert!(file(end) > names.from(day, period.since), "{end}");
        }
        for end in ["20220215T2329Z", "20220215T2356Z", "20229915T2340Z", "x"] {
            assert!(!may_tell_of(&file(end), &start, &period), "{end}");
        }
        let access = file("20220215T2340Z").replace("conn_log_", "");
        assert!(!may_tell_of(&access, &start, &period));
        assert!(!may_tell_of(
            &format!("{start}20220215T2340Z_x.txt"),
            &start,
            &period
        ));
    }
}
