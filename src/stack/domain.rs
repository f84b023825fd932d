//! Sections `domain` and `domains`: regional custom domains of API Gateway and their mappings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::common::domain_name;
use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;
use crate::hint;

/// A regional custom domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its name, lower case; a wildcard is possible.
    pub name: String,
    /// Which API answers under which base path; never empty.
    pub mappings: Vec<Mapping>,
    /// The TLS versions that its regional endpoint accepts.
    pub security_policy: DomainSecurityPolicy,
}

/// One base path of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The first segment of the request's path.
    pub base_path: BasePath,
    /// Name of the API, a key of `Stack::apis`.
    pub api: String,
}

/// The base path of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BasePath {
    /// No base path; AWS writes `(none)`.
    Root,
    /// This path segment, without slashes.
    Segment(String),
}

/// The TLS versions that a custom domain accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DomainSecurityPolicy {
    /// TLS 1.0 and later.
    #[serde(rename = "TLS_1_0")]
    Tls10,
    /// TLS 1.2 and later.
    #[default]
    #[serde(rename = "TLS_1_2")]
    Tls12,
}

impl DomainSecurityPolicy {
    /// The value as AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS_1_0",
            Self::Tls12 => "TLS_1_2",
        }
    }
}

/// A regional custom domain: without it API Gateway answers every request with `Forbidden`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDomain {
    /// Name that clients call; the certificate must cover it.
    #[schemars(example = &"aaa.example.com")]
    name: String,
    /// First path segment of the only API (default: none).
    base_path: Option<String>,
    /// API names by base path, for several APIs; `(none)` is the API without a base path.
    mappings: Option<BTreeMap<String, String>>,
    /// TLS versions that its regional endpoint accepts.
    #[serde(default)]
    security_policy: DomainSecurityPolicy,
}

impl RawDomain {
    /// Fills in defaults and checks the section.
    pub(super) fn build(
        self,
        path: &KeyPath,
        apis: &BTreeMap<String, Api>,
        cx: &Context,
    ) -> Domain {
        let name = domain_name(&self.name, &path.key("name"), cx);
        let mappings = match (self.base_path, self.mappings) {
            (Some(_), Some(_)) => {
                let message = "`base_path` and `mappings` exclude each other";
                cx.fault(Fault::new(&path.key("base_path"), message));
                Vec::new()
            }
            (base_path, None) => only_mapping(base_path, path, apis, cx),
            (None, Some(mappings)) => read_mappings(&mappings, &path.key("mappings"), apis, cx),
        };
        Domain {
            name,
            mappings,
            security_policy: self.security_policy,
        }
    }
}

fn only_mapping(
    base_path: Option<String>,
    path: &KeyPath,
    apis: &BTreeMap<String, Api>,
    cx: &Context,
) -> Vec<Mapping> {
    let mut names = apis.keys();
    match (names.next(), names.next()) {
        (Some(api), None) => {
            let base_path = base_path.map_or(BasePath::Root, |text| {
                read_base_path(&text, &path.key("base_path"), cx)
            });
            vec![Mapping {
                base_path,
                api: api.clone(),
            }]
        }
        (None, _) => {
            let fault = Fault::new(path, format!("`{path}` has no API to map to"));
            cx.fault(fault.hint("add a section `api`"));
            Vec::new()
        }
        (Some(first), Some(second)) => {
            let fault = Fault::new(path, format!("`{path}` does not say which API answers"));
            cx.fault(fault.hint(format!(
                "write `mappings: {{{first}: {first}, {second}: {second}}}`"
            )));
            Vec::new()
        }
    }
}

fn read_mappings(
    mappings: &BTreeMap<String, String>,
    path: &KeyPath,
    apis: &BTreeMap<String, Api>,
    cx: &Context,
) -> Vec<Mapping> {
    if mappings.is_empty() {
        cx.fault(Fault::new(path, format!("`{path}` maps nothing")));
    }
    let mut read: Vec<Mapping> = Vec::new();
    for (base_path, api) in mappings {
        let at = path.key(base_path);
        if !apis.contains_key(api) {
            let mut fault = Fault::new(&at, format!("there is no API `{api}`"));
            fault.hint = hint::did_you_mean(api, apis.keys().map(String::as_str));
            cx.fault(fault);
        }
        let base_path = read_base_path(base_path, &at, cx);
        if read.iter().any(|mapping| mapping.base_path == base_path) {
            cx.fault(Fault::new(
                &at,
                "the API without a base path is given twice",
            ));
        }
        read.push(Mapping {
            base_path,
            api: api.clone(),
        });
    }
    read
}

/// Reads a base path; API Gateway V1 has them with one segment only.
fn read_base_path(text: &str, path: &KeyPath, cx: &Context) -> BasePath {
    if matches!(text, "" | "(none)") {
        return BasePath::Root;
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "$-_.+!*'()".contains(c);
    if text.contains('/') {
        let fault = Fault::new(path, format!("the base path `{text}` contains a slash"));
        let segment = text.trim_matches('/');
        cx.fault(match segment.contains('/') {
            true => fault.hint("mappings of REST APIs take the first path segment only"),
            false if segment.is_empty() => fault.hint("write `(none)`"),
            false => fault.hint(format!("write `{segment}`")),
        });
    } else if text.len() > 300 || !text.chars().all(allowed) {
        let fault = Fault::new(path, format!("`{text}` is no base path"));
        cx.fault(fault.allowed("at most 300 letters, digits and `$-_.+!*'()`"));
    }
    BasePath::Segment(text.to_owned())
}
