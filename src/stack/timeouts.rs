//! Section `timeouts`: how long each kind of wait may last.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;

/// Makes the typed and the raw form of the section from one list.
macro_rules! timeouts {
    ($($(#[doc = $doc:literal])* $name:ident = $default:literal,)*) => {
        /// How long each kind of wait may last.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Timeouts {
            $($(#[doc = $doc])* pub $name: Duration,)*
        }

        /// How long each kind of wait may last, such as `90s`, `10m` or `1h30m`.
        #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct RawTimeouts {
            $($(#[doc = $doc])* $name: String,)*
        }

        impl Default for RawTimeouts {
            fn default() -> Self {
                Self { $($name: $default.to_owned(),)* }
            }
        }

        impl RawTimeouts {
            /// Reads the section.
            pub(super) fn build(self, path: &KeyPath, cx: &Context) -> Timeouts {
                Timeouts { $($name: duration(&self.$name, &path.key(stringify!($name)), cx),)* }
            }
        }
    };
}

timeouts! {
    /// Load balancer active, and gone.
    load_balancer = "10m",
    /// Network interfaces of a deleted load balancer or endpoint gone.
    network_interfaces = "35m",
    /// Endpoint available, and deleted.
    endpoint = "10m",
    /// Security group no longer in use.
    security_group = "15m",
    /// Targets healthy.
    targets = "10m",
    /// Target group no longer in use.
    target_group = "2m",
    /// Trust store active, revocation visible, associations gone.
    trust_store = "2m",
    /// New certificate known to the load balancer.
    listener = "5m",
    /// Certificate issued.
    certificate = "75m",
    /// Validation record named by ACM.
    certificate_validation = "5m",
    /// Certificate no longer in use.
    certificate_release = "15m",
    /// Custom domain available.
    domain = "15m",
    /// API and stage known to the mapping.
    mapping = "30s",
    /// VPC link available, and gone.
    vpc_link = "20m",
    /// Record in sync on all name servers.
    record = "30m",
    /// Bucket exists.
    bucket = "100s",
}

/// Nothing that AWS does takes longer; more is a slip of the unit.
const LONGEST: Duration = Duration::from_hours(24);

fn duration(text: &str, path: &KeyPath, cx: &Context) -> Duration {
    let Some(duration) = parse_duration(text) else {
        let mut fault = Fault::new(path, format!("`{text}` is no duration"));
        if text.parse::<u64>().is_ok() {
            fault = fault.hint(format!("write its unit: `{text}s`"));
        }
        cx.fault(fault.allowed("`90s`, `10m`, `1h30m`"));
        return Duration::ZERO;
    };
    if duration.is_zero() || duration > LONGEST {
        cx.fault(Fault::new(path, format!("`{text}` is out of range")).allowed("`1s` to `24h`"));
    }
    duration
}

/// Reads numbers with the units `h`, `m` and `s`, each at most once and in this order.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    for (unit, factor) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, tail)) = rest.split_once(unit) {
            let number: u64 = number.parse().ok()?;
            seconds = seconds.checked_add(number.checked_mul(factor)?)?;
            rest = tail;
        }
    }
    (rest.is_empty() && !text.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("1h0m5s"), Some(3605));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "5m1h",
            "1.5h",
            "-1s",
            "10 m",
            "99999999999999999999h",
            "1d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
