//! Policy documents, in a file or inline.

use schemars::JsonSchema;

use super::context::Context;
use super::fault::Fault;
use super::material::{Kind, document};
use super::path::KeyPath;
use super::shape::Shape;

/// A policy as it is written: the name of a file, or the document.
pub(super) type RawPolicy = Shape<serde_json::Map<String, serde_json::Value>>;

/// How a policy may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the form in the schema")]
pub(super) enum PolicyForm {
    /// A file with the policy document, JSON or YAML.
    File(String),
    /// The policy document itself.
    Document(serde_json::Map<String, serde_json::Value>),
}

/// Reads a policy document.
pub(super) fn policy_document(
    policy: RawPolicy,
    path: &KeyPath,
    cx: &Context,
) -> Option<serde_json::Value> {
    let document = match policy {
        Shape::Text(file) => document(&file, Kind::Policy, path, cx)?.1,
        Shape::Mapping(document) => document.into(),
        _ => {
            let fault = Fault::new(path, format!("`{path}` is no policy"));
            cx.fault(fault.allowed("a file name, a policy document"));
            return None;
        }
    };
    if document.get("Statement").is_none() {
        let fault = Fault::new(
            path,
            format!("`{path}` is no policy document: it has no `Statement`"),
        );
        cx.fault(fault.hint("keys of a policy document begin with a capital letter"));
        return None;
    }
    Some(document)
}
