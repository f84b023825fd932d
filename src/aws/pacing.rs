//! Client-side token buckets for the rates AWS documents.
//!
//! API Gateway's control plane allows single calls per half minute (Developer Guide, "Quotas for
//! creating, deploying and managing an API"); three quick retries lose against that, waiting wins.
//! ELB and EC2 document what they allow in "Request throttling for the … API", Route 53 in "Quotas".
//!
//! AWS counts a call when it arrives, which is some time after it was sent. Where single calls are
//! allowed, the next one therefore leaves only once the answer to the one before is long enough ago;
//! of buckets with more tokens than one, some are left alone. Where a process comes too late to calls
//! whose turn it was, because its machine was busy or asleep, they do not all leave at once either.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::clock::Clock;

/// What AWS allows: so many calls at once, then one more every `every`.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    ("apigateway:CreateVpcLink", rate(1, 15_000)),
    ("apigateway:DeleteVpcLink", rate(1, 30_000)),
    ("acm:ImportCertificate", rate(1, 1_000)),
    ("acm:RequestCertificate", rate(5, 200)),
    ("acm:AddTagsToCertificate", rate(5, 200)),
    ("acm:DescribeCertificate", rate(10, 100)),
    ("acm:DeleteCertificate", rate(10, 100)),
    ("acm:ListCertificates", rate(8, 125)),
    ("ec2:CreateVpcEndpoint", rate(4, 3_334)),
    ("ec2:ModifyVpcEndpoint", rate(4, 3_334)),
    ("ec2:DeleteVpcEndpoints", rate(4, 3_334)),
    ("elbv2:RegisterTargets", rate(20, 250)),
    ("elbv2:DeregisterTargets", rate(20, 250)),
];

/// Rates of all calls of a service together, or of those that read and those that write.
const SERVICES: &[(&str, Rate)] = &[
    ("apigateway", rate(40, 100)),
    ("route53", rate(50, 100)),
    ("elbv2:reads", rate(40, 100)),
    ("elbv2:writes", rate(20, 334)),
    ("ec2:reads", rate(50, 100)),
    ("ec2:writes", rate(50, 200)),
];

/// The buckets of one account and region.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    /// When each bucket will be full again, by the name of its row.
    full_at: Mutex<HashMap<&'static str, Duration>>,
    /// The same by the calls that have left.
    left: Mutex<HashMap<&'static str, Duration>>,
    /// Where only single calls are allowed: from when on the next one is.
    gates: Mutex<HashMap<&'static str, Arc<tokio::sync::Mutex<Duration>>>>,
}

/// The turn of one call: how long it has to wait, and why.
#[derive(Debug)]
pub(crate) struct Turn {
    /// For the tokens that others have taken before.
    pub(crate) wait: Duration,
    /// The rate that is waited for, for people: "API Gateway allows one `DeleteRestApi` every 30 s".
    pub(crate) rule: Rule,
    gate: Option<(Arc<tokio::sync::Mutex<Duration>>, Duration)>,
}

/// Holds back the next call of an operation of which single calls are allowed.
#[derive(Debug)]
pub(crate) struct Gate {
    next: OwnedMutexGuard<Duration>,
    every: Duration,
}

/// A rate in words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    row: &'static str,
    rate: Rate,
}

impl Pacing {
    /// The turn of the next call of `operation` of `service` on `clock`; takes the tokens.
    pub(crate) fn turn(&self, service: &str, operation: &str, clock: &Clock) -> Turn {
        let now = clock.now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turn = Turn::default();
        for (row, rate) in rows(service, operation) {
            let wait = take(full_at.entry(row).or_default(), rate.safe(), now);
            if wait > turn.wait {
                turn.wait = wait;
                turn.rule = Rule { row, rate };
            }
            if rate.burst == 1 {
                let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
                let gate = Arc::clone(gates.entry(row).or_default());
                turn.gate = Some((gate, rate.safe().every));
            }
        }
        turn
    }

    /// How long a call has to wait whose turn it is, for those that leave late with it.
    pub(crate) fn leave(&self, service: &str, operation: &str, clock: &Clock) -> Duration {
        let now = clock.now();
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let many = rows(service, operation).filter(|(_, rate)| rate.burst > 1);
        many.map(|(row, rate)| take(left.entry(row).or_default(), rate.safe(), now))
            .max()
            .unwrap_or_default()
    }
}

impl Turn {
    /// Whether the call has to wait, or may have to for the answer to the one before.
    pub(crate) fn may_wait(&self) -> bool {
        !self.wait.is_zero() || self.gate.is_some()
    }

    /// Passes the gate once the answer to the call before is long enough ago, if there is one.
    ///
    /// After the wait that was foretold only the time is left that the call before has taken.
    pub(crate) async fn pass(self, clock: &Clock) -> Option<Gate> {
        let (gate, every) = self.gate?;
        let next = gate.lock_owned().await;
        let left = next.saturating_sub(clock.now());
        if !left.is_zero() {
            clock.sleep(left).await;
        }
        Some(Gate { next, every })
    }
}

impl Gate {
    /// Lets the next one go when it is time, now that the answer is there.
    pub(crate) fn answered(mut self, clock: &Clock) {
        *self.next = clock.now() + self.every;
    }
}

impl Default for Turn {
    fn default() -> Self {
        let (row, rate) = SERVICES[0];
        Self {
            wait: Duration::ZERO,
            rule: Rule { row, rate },
            gate: None,
        }
    }
}

impl Rate {
    /// The same with a little to spare for calls that arrive closer to each other than they left.
    fn safe(self) -> Self {
        Self {
            burst: match self.burst {
                0 | 1 => self.burst,
                burst => burst - (burst / 10).max(1),
            },
            every: self.every + self.every / 50,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, operation) = self.row.split_once(':').unwrap_or((self.row, "calls"));
        let service = match service {
            "apigateway" => "API Gateway",
            "acm" => "Certificate Manager",
            "ec2" => "EC2",
            "elbv2" => "Elastic Load Balancing",
            _ => "Route 53",
        };
        let every = self.rate.every.as_millis();
        if every >= 1000 {
            let seconds = every.div_ceil(1000);
            write!(
                formatter,
                "{service} allows one {operation} every {seconds} s"
            )
        } else {
            let calls = 1000 / every;
            write!(formatter, "{service} allows {calls} {operation} a second")
        }
    }
}

/// The rows that bind an operation: its own and its service's.
fn rows(service: &str, operation: &str) -> impl Iterator<Item = (&'static str, Rate)> {
    let name = format!("{service}:{operation}");
    let reads = ["Describe", "Get", "Head", "List"];
    let is_read = reads.iter().any(|verb| operation.starts_with(verb));
    let kind = format!("{service}:{}", if is_read { "reads" } else { "writes" });
    let own = OPERATIONS.iter().find(|(row, _)| *row == name);
    let all = SERVICES
        .iter()
        .find(|(row, _)| *row == service || *row == kind);
    own.into_iter().chain(all).map(|(row, rate)| (*row, *rate))
}

/// How long AWS makes calls of `verb` (`Create`, `Delete`) wait for each other that are about a type, which
/// is named as CloudFormation does; zero where there is no such rate.
pub(crate) fn interval(type_name: &str, verb: &str) -> Duration {
    let mut parts = type_name.split("::").skip(1);
    let service = match parts.next() {
        Some("CertificateManager") => "acm",
        Some(service) => service,
        None => return Duration::ZERO,
    };
    let kind = parts.next().unwrap_or_default();
    let operation = format!("{service}:{verb}{kind}");
    let mut rows = OPERATIONS.iter();
    rows.find(|(row, _)| row.eq_ignore_ascii_case(&operation))
        .map_or(Duration::ZERO, |(_, rate)| rate.every)
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

    fn realistic() -> (Pacing, Clock) {
        (Pacing::default(), Clock::new(Speed::Realistic))
    }

    #[test]
    fn every_further_delete_of_an_api_waits_half_a_minute_and_at_most_a_tenth_more() {
        let (pacing, clock) = realistic();
        for calls_before in 0..4 {
            let turn = pacing.turn("apigateway", "DeleteRestApi", &clock);
            let imposed = Duration::from_secs(30) * calls_before;
            let most = imposed.mul_f64(1.1);
            assert!(turn.wait <= most, "{:?}", turn.wait);
            assert!(
                turn.wait + Duration::from_secs(1) > imposed,
                "{:?}",
                turn.wait
            );
        }
    }

    #[test]
    fn a_burst_of_reads_does_not_wait() {
        let (pacing, clock) = realistic();
        let mut waits = (0..37).map(|_| pacing.turn("apigateway", "GetRestApis", &clock).wait);
        assert!(waits.by_ref().take(36).all(|wait| wait.is_zero()));
        assert!(waits.next().is_some_and(|wait| !wait.is_zero()));
    }

    #[tokio::test]
    async fn calls_whose_turn_came_while_the_machine_slept_leave_one_after_the_other() {
        let (pacing, clock) = (Pacing::default(), Clock::new(Speed::Instant));
        let waits: Vec<Duration> = (0..30)
            .map(|_| pacing.turn("acm", "DescribeCertificate", &clock).wait)
            .collect();
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(3)));
        clock.sleep(Duration::from_mins(1)).await;
        let late: Vec<Duration> = (0..30)
            .map(|_| pacing.leave("acm", "DescribeCertificate", &clock))
            .collect();
        assert!(late[..9].iter().all(Duration::is_zero), "{late:?}");
        assert!(late[29] > Duration::from_secs(2), "{late:?}");
    }

    #[test]
    fn writes_and_reads_of_load_balancing_do_not_wait_for_each_other() {
        let (pacing, clock) = realistic();
        for _ in 0..36 {
            pacing.turn("elbv2", "DescribeTags", &clock);
        }
        assert!(!pacing.turn("elbv2", "DescribeTags", &clock).wait.is_zero());
        assert!(
            pacing
                .turn("elbv2", "CreateListener", &clock)
                .wait
                .is_zero()
        );
    }

    #[test]
    fn a_wait_says_which_rate_it_is_for() {
        let (pacing, clock) = realistic();
        let rule = |service, operation, before| {
            for _ in 0..before {
                pacing.turn(service, operation, &clock);
            }
            pacing.turn(service, operation, &clock).rule.to_string()
        };
        assert_eq!(
            rule("apigateway", "DeleteRestApi", 1),
            "API Gateway allows one DeleteRestApi every 30 s"
        );
        assert_eq!(
            rule("ec2", "CreateVpcEndpoint", 4),
            "EC2 allows one CreateVpcEndpoint every 4 s"
        );
        assert_eq!(
            rule("elbv2", "DescribeTags", 40),
            "Elastic Load Balancing allows 10 reads a second"
        );
        assert_eq!(
            rule("route53", "GetChange", 50),
            "Route 53 allows 10 calls a second"
        );
    }

    #[test]
    fn the_types_of_which_aws_allows_few_calls_are_known_by_name() {
        let seconds = |type_name, verb| interval(type_name, verb).as_secs();
        assert_eq!(seconds("AWS::ApiGateway::DomainName", "Create"), 30);
        assert_eq!(seconds("AWS::ApiGateway::RestApi", "Delete"), 30);
        assert_eq!(seconds("AWS::EC2::VPCEndpoint", "Create"), 3);
        assert_eq!(interval("AWS::S3::Object", "Create"), Duration::ZERO);
    }

    #[tokio::test]
    async fn the_next_single_call_leaves_after_the_answer_to_the_one_before() {
        let (pacing, clock) = (Pacing::default(), Clock::new(Speed::Instant));
        let first = pacing.turn("apigateway", "DeleteRestApi", &clock);
        let gate = first.pass(&clock).await.expect("has a gate");
        // The call takes ten seconds.
        clock.sleep(Duration::from_secs(10)).await;
        gate.answered(&clock);
        let answered = clock.now();
        let second = pacing.turn("apigateway", "DeleteRestApi", &clock);
        clock.sleep(second.wait).await;
        second.pass(&clock).await.expect("has a gate");
        assert!(clock.now() >= answered + Duration::from_secs(30));
    }
}
