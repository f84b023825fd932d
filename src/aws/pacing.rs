//! Client-side token buckets for the rates AWS documents.
//!
//! API Gateway's control plane allows single calls per half minute (Developer Guide, "Quotas for
//! creating, deploying and managing an API"); three quick retries lose against that, waiting wins.
//! Route 53's five requests per second are its older documented limit and still the safe one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::clock::Clock;

/// So many tokens at most, one more every `every`.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u32,
    every: Duration,
}

const fn rate(burst: u32, every_milliseconds: u64) -> Rate {
    Rate {
        burst,
        every: Duration::from_millis(every_milliseconds),
    }
}

/// Rates of single operations, by `service:operation`.
const OPERATIONS: &[(&str, Rate)] = &[
    ("apigateway:CreateRestApi", rate(1, 3_000)),
    ("apigateway:PutRestApi", rate(1, 1_000)),
    ("apigateway:DeleteRestApi", rate(1, 30_000)),
    ("apigateway:CreateDeployment", rate(1, 5_000)),
    ("apigateway:GetResources", rate(5, 400)),
    ("apigateway:CreateDomainName", rate(1, 30_000)),
    ("apigateway:UpdateDomainName", rate(1, 30_000)),
    ("apigateway:DeleteDomainName", rate(1, 30_000)),
    ("acm:ImportCertificate", rate(1, 1_000)),
];

/// Rates of a service's calls together.
const SERVICES: &[(&str, Rate)] = &[
    ("apigateway", rate(40, 100)),
    ("route53", rate(5, 200)),
    ("acm", rate(8, 125)),
    ("elbv2", rate(200, 20)),
];

/// The buckets of one account and region.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    /// When each bucket will be full again, by the name of its row.
    full_at: Mutex<HashMap<&'static str, Duration>>,
}

impl Pacing {
    /// How long `operation` of `service` has to wait on `clock`; takes the tokens.
    pub(crate) fn reserve(&self, service: &str, operation: &str, clock: &Clock) -> Duration {
        let name = format!("{service}:{operation}");
        let mut full_at = self
            .full_at
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = clock.now();
        rows(&name, service)
            .map(|(row, rate)| take(full_at.entry(row).or_default(), rate, now))
            .max()
            .unwrap_or_default()
    }
}

/// The rows that bind an operation: its own and its service's.
fn rows(name: &str, service: &str) -> impl Iterator<Item = (&'static str, Rate)> {
    let own = OPERATIONS.iter().find(|(row, _)| *row == name);
    let all = SERVICES.iter().find(|(row, _)| *row == service);
    own.into_iter().chain(all).map(|(row, rate)| (*row, *rate))
}

/// Takes one token from a bucket and says how long until it is really there.
fn take(full_at: &mut Duration, rate: Rate, now: Duration) -> Duration {
    let full = (*full_at).max(now) + rate.every;
    *full_at = full;
    full.saturating_sub(now)
        .saturating_sub(rate.every * rate.burst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Speed;

    #[test]
    fn second_delete_of_an_api_waits_half_a_minute() {
        let (pacing, clock) = (Pacing::default(), Clock::new(Speed::Realistic));
        assert_eq!(
            pacing.reserve("apigateway", "DeleteRestApi", &clock),
            Duration::ZERO
        );
        let wait = pacing.reserve("apigateway", "DeleteRestApi", &clock);
        assert!(
            wait > Duration::from_secs(29) && wait <= Duration::from_secs(30),
            "{wait:?}"
        );
    }

    #[test]
    fn a_burst_of_reads_does_not_wait() {
        let (pacing, clock) = (Pacing::default(), Clock::new(Speed::Realistic));
        let longest = (0..40)
            .map(|_| pacing.reserve("apigateway", "GetRestApis", &clock))
            .max();
        assert_eq!(longest, Some(Duration::ZERO));
        assert!(pacing.reserve("apigateway", "GetRestApis", &clock) > Duration::ZERO);
    }
}
