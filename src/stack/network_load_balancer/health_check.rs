//! Key `health_check` of the network load balancer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stack::common::check_range;
use crate::stack::context::Context;
use crate::stack::fault::Fault;
use crate::stack::health_check::{HealthCheckPort, read_matcher, read_port};
use crate::stack::path::KeyPath;
use crate::stack::shape::Scalar;

/// How a network load balancer finds out whether a target is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkHealthCheck {
    /// What it tries.
    pub probe: NetworkProbe,
    /// The path of a request; empty with `tcp`.
    pub path: String,
    /// The statuses of a healthy target; empty with `tcp`.
    pub matcher: String,
    /// The port it tries.
    pub port: HealthCheckPort,
    /// Seconds between two checks, 5–300.
    pub interval_seconds: u16,
    /// Seconds until a check has failed, 2–120.
    pub timeout_seconds: u16,
    /// Successes until an unhealthy target is healthy, 2–10.
    pub healthy_threshold: u8,
    /// Failures until a healthy target is unhealthy, 2–10.
    pub unhealthy_threshold: u8,
}

/// What a health check tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkProbe {
    /// To connect.
    #[default]
    Tcp,
    /// To get an answer in the clear.
    Http,
    /// To get an answer over TLS; the certificate is not verified.
    Https,
}

impl NetworkProbe {
    /// The value as AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }
}

/// How a network load balancer finds out whether a target is alive.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawNetworkHealthCheck {
    /// `tcp` connects; `http` and `https` ask for `path`.
    protocol: NetworkProbe,
    /// Path of the request, with `http` and `https` (default: `/`).
    #[serde(skip_serializing)]
    path: Option<String>,
    /// Status codes of a healthy target, with `http` and `https` (default: `200-399`).
    #[serde(skip_serializing)]
    matcher: Option<Scalar>,
    /// Port of the check (default: `traffic-port`, the target's).
    #[serde(skip_serializing)]
    port: Option<Scalar>,
    /// Seconds between two checks.
    #[schemars(range(min = 5, max = 300))]
    interval_seconds: u16,
    /// Seconds until a check has failed, less than the interval (default: 10, or what a shorter interval leaves).
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

impl Default for RawNetworkHealthCheck {
    fn default() -> Self {
        Self {
            protocol: NetworkProbe::Tcp,
            path: None,
            matcher: None,
            port: None,
            interval_seconds: 30,
            timeout_seconds: None,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
        }
    }
}

impl RawNetworkHealthCheck {
    /// Fills in defaults and checks the mapping.
    pub(super) fn build(self, path: &KeyPath, cx: &Context) -> NetworkHealthCheck {
        let (asked, matcher) = self.request(path, cx);
        let interval = self.interval_seconds;
        let timeout = self
            .timeout_seconds
            .unwrap_or_else(|| interval.saturating_sub(1).clamp(2, 10));
        check_range(interval, (5, 300), &path.key("interval_seconds"), cx);
        check_range(timeout, (2, 120), &path.key("timeout_seconds"), cx);
        if timeout >= interval {
            let message =
                format!("the timeout of {timeout} s is not below the interval of {interval} s");
            cx.fault(Fault::new(&path.key("timeout_seconds"), message));
        }
        for (value, key) in [
            (self.healthy_threshold, "healthy_threshold"),
            (self.unhealthy_threshold, "unhealthy_threshold"),
        ] {
            check_range(value, (2, 10), &path.key(key), cx);
        }
        NetworkHealthCheck {
            probe: self.protocol,
            path: asked,
            matcher,
            port: read_port(self.port.as_ref(), &path.key("port"), cx),
            interval_seconds: interval,
            timeout_seconds: timeout,
            healthy_threshold: self.healthy_threshold,
            unhealthy_threshold: self.unhealthy_threshold,
        }
    }

    /// Path and statuses, which a check that only connects has not.
    fn request(&self, path: &KeyPath, cx: &Context) -> (String, String) {
        if self.protocol == NetworkProbe::Tcp {
            let given = [
                self.path.as_ref().map(|_| "path"),
                self.matcher.as_ref().map(|_| "matcher"),
            ];
            for key in given.into_iter().flatten() {
                let message =
                    format!("`{key}` has no effect with `protocol: tcp`, which only connects");
                let fault = Fault::new(&path.key(key), message);
                cx.fault(fault.hint("write `protocol: https`"));
            }
            return (String::new(), String::new());
        }
        let asked = self.path.clone().unwrap_or_else(|| "/".to_owned());
        if !asked.starts_with('/') || asked.len() > 1024 {
            let fault = Fault::new(&path.key("path"), format!("`{asked}` is no path"));
            cx.fault(fault.allowed("at most 1024 characters that begin with `/`"));
        }
        let matcher = self.matcher.clone().map(|Scalar(text)| text);
        let matcher = matcher.unwrap_or_else(|| "200-399".to_owned());
        (asked, read_matcher(&matcher, &path.key("matcher"), cx))
    }
}
