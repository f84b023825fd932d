//! Patch operations, which API Gateway's updates consist of.

use std::str::FromStr;

use super::bad_request;
use crate::sandbox::world::{Call, Refusal};

/// What a patch operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Adds a member, or sets a property.
    Add,
    /// Takes a member away, or resets a property.
    Remove,
    /// Sets a property.
    Replace,
}

/// One patch operation.
#[derive(Debug)]
pub(super) struct Patch {
    /// What it does.
    pub(super) op: Op,
    /// Where, as it was written.
    pub(super) path: String,
    segments: Vec<String>,
    value: Option<String>,
}

impl Patch {
    /// The patch operations of a call, in their order.
    pub(super) fn read_all(call: &Call<'_>) -> Result<Vec<Self>, Refusal> {
        call.list("patchOperations")
            .iter()
            .map(|given| {
                call.models("patchOperations", given, &["op", "path", "value"])?;
                let text = |member: &str| given[member].as_str().map(str::to_owned);
                let op = match given["op"].as_str().unwrap_or_default() {
                    "add" => Op::Add,
                    "remove" => Op::Remove,
                    "replace" => Op::Replace,
                    "" => return Err(bad_request("Invalid patch operation: op must be specified")),
                    other => {
                        return Err(Refusal::not_modelled(
                            call.operation,
                            &format!("op={other}"),
                        ));
                    }
                };
                let path = text("path").unwrap_or_default();
                let Some(inner) = path.strip_prefix('/') else {
                    return Err(bad_request(format!("Invalid patch path '{path}'")));
                };
                let segments = inner.split('/').map(unescape).collect();
                Ok(Self {
                    op,
                    segments,
                    value: text("value"),
                    path,
                })
            })
            .collect()
    }

    /// The unescaped segments of the path.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The value, which has to be there.
    pub(super) fn text(&self) -> Result<String, Refusal> {
        self.value.clone().ok_or_else(|| {
            bad_request(format!(
                "Invalid patch operation on '{}': value must be specified",
                self.path
            ))
        })
    }

    /// The value of a property that an empty value resets.
    pub(super) fn optional_text(&self) -> Option<String> {
        match self.op {
            Op::Remove => None,
            Op::Add | Op::Replace => self.value.clone().filter(|value| !value.is_empty()),
        }
    }

    /// The value as a number or truth value.
    pub(super) fn parsed<T: FromStr>(&self) -> Result<T, Refusal> {
        let text = self.text()?;
        text.parse().map_err(|_| {
            bad_request(format!(
                "Invalid patch value '{text}' specified for '{}'",
                self.path
            ))
        })
    }

    /// The value if it is one of `allowed`.
    pub(super) fn one_of(&self, allowed: &[&str]) -> Result<String, Refusal> {
        let text = self.text()?;
        if allowed.contains(&text.as_str()) {
            return Ok(text);
        }
        let message = format!(
            "Invalid patch value '{text}' specified for '{}'. Must be one of: [{}]",
            self.path,
            allowed.join(", ")
        );
        Err(bad_request(message))
    }

    /// The refusal of a path, or of an operation on it, that the resource does not have.
    pub(super) fn unsupported(&self, paths: &[&str]) -> Refusal {
        let op = match self.op {
            Op::Add => "add",
            Op::Remove => "remove",
            Op::Replace => "replace",
        };
        bad_request(format!(
            "Invalid patch path '{}' specified for op '{op}'. Must be one of: [{}]",
            self.path,
            paths.join(", ")
        ))
    }
}

/// Undoes JSON Pointer's escapes.
fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
