//! Key `health_check` of a target group: how the load balancer finds out whether a target is alive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::check_range;
use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;
use super::shape::Scalar;
use super::target_group::{Protocol, Targets};

/// How the load balancer finds out whether a target is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path of the request.
    pub path: String,
    /// Status codes of a healthy target: `200,403` or `200-299`, normalised without spaces.
    pub matcher: String,
    /// Protocol of the request; the target group's unless written otherwise.
    pub protocol: Protocol,
    /// Port of the request.
    pub port: HealthCheckPort,
    /// Seconds between two checks, 5–300.
    pub interval_seconds: u16,
    /// Seconds until a check has failed, 2–120 and below the interval.
    pub timeout_seconds: u16,
    /// Successes until an unhealthy target is healthy, 2–10.
    pub healthy_threshold: u8,
    /// Failures until a healthy target is unhealthy, 2–10.
    pub unhealthy_threshold: u8,
}

/// The port of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheckPort {
    /// The port of the target; AWS writes `traffic-port`.
    TrafficPort,
    /// This port.
    Number(u16),
}

/// How the load balancer finds out whether a target is alive.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHealthCheck {
    /// Path of the request.
    path: String,
    /// Status codes of a healthy target: `200`, `200,403` or `200-299`
    /// (default: 403 for the endpoint, because API Gateway refuses the load balancer's own requests; else 200).
    #[serde(skip_serializing)]
    matcher: Option<Scalar>,
    /// Protocol of the request (default: the target group's).
    #[serde(skip_serializing)]
    protocol: Option<Protocol>,
    /// Port of the request (default: `traffic-port`, the target's).
    #[serde(skip_serializing)]
    port: Option<Scalar>,
    /// Seconds between two checks.
    #[schemars(range(min = 5, max = 300))]
    interval_seconds: u16,
    /// Seconds until a check has failed, less than the interval (default: 5, or what a shorter interval leaves).
    #[schemars(range(min = 2, max = 120))]
    #[serde(skip_serializing)]
    timeout_seconds: Option<u16>,
    /// Successes until an unhealthy target is healthy.
    #[schemars(range(min = 2, max = 10))]
    healthy_threshold: u8,
    /// Failures until a healthy target is unhealthy.
    #[schemars(range(min = 2, max = 10))]
    unhealthy_threshold: u8,
}

impl Default for RawHealthCheck {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            matcher: None,
            protocol: None,
            port: None,
            interval_seconds: 30,
            timeout_seconds: None,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
        }
    }
}

impl RawHealthCheck {
    /// Fills in defaults and checks the mapping.
    pub(super) fn build(
        self,
        path: &KeyPath,
        targets: &Targets,
        protocol: Protocol,
        cx: &Context,
    ) -> HealthCheck {
        if !self.path.starts_with('/') || self.path.len() > 1024 {
            let fault = Fault::new(&path.key("path"), format!("`{}` is no path", self.path));
            cx.fault(fault.allowed("at most 1024 characters that begin with `/`"));
        }
        let default_matcher = if *targets == Targets::Endpoint {
            "403"
        } else {
            "200"
        };
        let matcher = self
            .matcher
            .map_or_else(|| default_matcher.to_owned(), |Scalar(text)| text);
        let matcher = read_matcher(&matcher, &path.key("matcher"), cx);
        let interval = self.interval_seconds;
        let timeout = self
            .timeout_seconds
            .unwrap_or_else(|| interval.saturating_sub(1).clamp(2, 5));
        check_range(interval, (5, 300), &path.key("interval_seconds"), cx);
        check_range(timeout, (2, 120), &path.key("timeout_seconds"), cx);
        if timeout >= interval {
            let message =
                format!("the timeout of {timeout} s is not below the interval of {interval} s");
            cx.fault(Fault::new(&path.key("timeout_seconds"), message));
        }
        check_range(
            self.healthy_threshold,
            (2, 10),
            &path.key("healthy_threshold"),
            cx,
        );
        check_range(
            self.unhealthy_threshold,
            (2, 10),
            &path.key("unhealthy_threshold"),
            cx,
        );
        HealthCheck {
            path: self.path,
            matcher,
            protocol: self.protocol.unwrap_or(protocol),
            port: read_port(self.port.as_ref(), &path.key("port"), cx),
            interval_seconds: interval,
            timeout_seconds: timeout,
            healthy_threshold: self.healthy_threshold,
            unhealthy_threshold: self.unhealthy_threshold,
        }
    }
}

/// Reads status codes: a list or a range, 200 to 499.
pub(super) fn read_matcher(text: &str, path: &KeyPath, cx: &Context) -> String {
    let matcher: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let is_code = |text: &str| {
        text.len() == 3
            && text
                .parse()
                .is_ok_and(|code: u16| (200..=499).contains(&code))
    };
    let is_part = |part: &str| match part.split_once('-') {
        Some((first, last)) => is_code(first) && is_code(last) && first <= last,
        None => is_code(part),
    };
    if !matcher.split(',').all(is_part) {
        let fault = Fault::new(path, format!("`{text}` is no matcher"));
        cx.fault(fault.allowed("status codes from 200 to 499: `200`, `200,403`, `200-299`"));
    }
    matcher
}

/// Reads a port: a number, or `traffic-port`.
pub(super) fn read_port(port: Option<&Scalar>, path: &KeyPath, cx: &Context) -> HealthCheckPort {
    let Some(Scalar(text)) = port else {
        return HealthCheckPort::TrafficPort;
    };
    if text == "traffic-port" {
        return HealthCheckPort::TrafficPort;
    }
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map_or_else(
        || {
            let fault = Fault::new(path, format!("`{text}` is no port"));
            cx.fault(fault.allowed("1 to 65535, `traffic-port`"));
            HealthCheckPort::TrafficPort
        },
        HealthCheckPort::Number,
    )
}
