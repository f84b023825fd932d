//! Keys `connection_logs` and `access_logs` of the load balancer: where it writes its logs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;
use super::shape::Shape;

/// Where a load balancer writes one kind of its logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LogDestination {
    /// The stack's own log bucket.
    Own,
    /// A bucket that is used and never changed.
    Existing {
        /// Its name.
        bucket: String,
        /// What the keys begin with; empty: nothing.
        prefix: String,
    },
}

/// An existing bucket for logs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogDestination {
    /// Name of a bucket in the stack's region that lets log delivery write; it is never changed.
    bucket: String,
    /// What the keys of the logs begin with (default: nothing).
    prefix: Option<String>,
}

/// How `connection_logs` and `access_logs` may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the form in the schema")]
pub(super) enum LogDestinationForm {
    /// `true` for the stack's own log bucket, `false` for no logs.
    Switch(bool),
    /// An existing bucket.
    Existing(RawLogDestination),
}

impl LogDestination {
    /// Reads one of the keys; `None` where there are to be no logs.
    pub(super) fn read(
        written: Option<Shape<RawLogDestination>>,
        path: &KeyPath,
        cx: &Context,
    ) -> Option<Self> {
        match written? {
            Shape::Bool(true) => Some(Self::Own),
            Shape::Bool(false) => None,
            Shape::Mapping(raw) => Some(raw.build(path, cx)),
            Shape::Text(word) => {
                let fault = Fault::new(path, format!("`{path}` cannot be `{word}`"));
                cx.fault(fault.hint(format!(
                    "write `{{bucket: {word}}}` for a bucket that exists"
                )));
                None
            }
            Shape::Number | Shape::List(_) => {
                let fault = Fault::new(path, format!("`{path}` names no bucket"));
                cx.fault(
                    fault.allowed("`true` for a bucket of the stack's own, `{bucket, prefix}`"),
                );
                None
            }
        }
    }

    /// The attributes of an existing bucket by AWS's keys, as `logs` are called there.
    pub(super) fn attributes(&self, logs: &str) -> BTreeMap<String, String> {
        let Self::Existing { bucket, prefix } = self else {
            return BTreeMap::new();
        };
        let pairs = [("enabled", "true"), ("bucket", bucket), ("prefix", prefix)];
        let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| (format!("{logs}.s3.{name}"), value.to_owned()))
            .collect()
    }
}

impl RawLogDestination {
    fn build(self, path: &KeyPath, cx: &Context) -> LogDestination {
        check_bucket(&self.bucket, &path.key("bucket"), cx);
        let prefix = self.prefix.unwrap_or_default();
        check_prefix(&prefix, &path.key("prefix"), cx);
        LogDestination::Existing {
            bucket: self.bucket,
            prefix,
        }
    }
}

/// Refuses what no bucket is called.
fn check_bucket(name: &str, path: &KeyPath, cx: &Context) {
    let is_part = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-'
    };
    if !(3..=63).contains(&name.len()) || !name.bytes().all(is_part) {
        let fault = Fault::new(path, format!("`{name}` is no name of a bucket"));
        cx.fault(fault.allowed("3 to 63 lower-case letters, digits, `.` and `-`"));
    }
}

/// Refuses prefixes that ELB refuses.
fn check_prefix(prefix: &str, path: &KeyPath, cx: &Context) {
    if prefix.contains("AWSLogs") {
        let fault = Fault::new(path, "the prefix must not contain `AWSLogs`");
        cx.fault(fault.hint("leave that part out: ELB adds `AWSLogs/ACCOUNT` by itself"));
    } else if prefix.starts_with('/') || prefix.ends_with('/') {
        let fault = Fault::new(path, format!("`{prefix}` begins or ends with `/`"));
        cx.fault(fault.hint(format!("write `{}`", prefix.trim_matches('/'))));
    }
}
