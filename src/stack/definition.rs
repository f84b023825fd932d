//! Keys `openapi` and `sample` of an API: what it consists of.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::fault::Fault;
use super::material::{Kind, document, hex_digest, parse_document};
use super::path::KeyPath;

/// The OpenAPI definition of an API, read and parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Where it comes from.
    pub source: DefinitionSource,
    /// The OpenAPI document.
    pub document: serde_json::Value,
    /// SHA-256 of the document's compact JSON, in hex: spelling as YAML or JSON makes no difference.
    pub digest: String,
}

/// Where an API definition comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefinitionSource {
    /// A file of the user.
    OpenApi(PathBuf),
    /// A sample that mtlsgw brings along.
    Sample(Sample),
}

/// The samples that mtlsgw brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sample {
    /// The pet store of the API Gateway console.
    Petstore,
}

/// The definition behind `sample: petstore`.
const PETSTORE: &str = include_str!("../../examples/petstore/petstore.yaml");

impl Definition {
    /// Stands in for a definition that is at fault, so that the rest can be checked.
    pub(super) const MISSING: Self = Self {
        source: DefinitionSource::Sample(Sample::Petstore),
        document: serde_json::Value::Null,
        digest: String::new(),
    };
}

/// Reads the definition that `openapi` or `sample` names.
pub(super) fn read_definition(
    openapi: Option<&str>,
    sample: Option<Sample>,
    path: &KeyPath,
    cx: &Context,
) -> Option<Definition> {
    let (source, document) = match (openapi, sample) {
        (Some(file), None) => {
            let (file, document) = document(file, Kind::OpenApi, &path.key("openapi"), cx)?;
            check_openapi(&document, &path.key("openapi"), cx);
            (DefinitionSource::OpenApi(file), document)
        }
        (None, Some(Sample::Petstore)) => {
            let document = parse_document(PETSTORE.as_bytes()).expect("the sample is tested");
            (DefinitionSource::Sample(Sample::Petstore), document)
        }
        (Some(_), Some(_)) => {
            cx.fault(Fault::new(
                &path.key("sample"),
                "`openapi` and `sample` exclude each other",
            ));
            return None;
        }
        (None, None) => {
            let fault = Fault::new(path, format!("`{path}` has no definition"));
            cx.fault(fault.hint("write `openapi: FILE`, or `sample: petstore` to begin with"));
            return None;
        }
    };
    let digest = hex_digest(document.to_string().as_bytes());
    Some(Definition {
        source,
        document,
        digest,
    })
}

/// The keys of a path item that are methods.
const METHODS: [&str; 8] = [
    "get",
    "put",
    "post",
    "delete",
    "options",
    "head",
    "patch",
    "x-amazon-apigateway-any-method",
];

/// What a definition may say about things that the section decides.
const OVERRULED: [(&str, &str); 2] = [
    ("x-amazon-apigateway-policy", "policy"),
    ("x-amazon-apigateway-endpoint-configuration", "endpoint"),
];

/// Checks what API Gateway would refuse only at the deployment, after everything else is built.
fn check_openapi(document: &serde_json::Value, path: &KeyPath, cx: &Context) {
    for (extension, key) in OVERRULED {
        if document.get(extension).is_some() {
            let message = format!("`{extension}` of the definition is overruled by `{key}`");
            cx.warn("overruled_extension", path, message);
        }
    }
    let version = ["swagger", "openapi"]
        .iter()
        .find_map(|key| document.get(key));
    let version = version
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    if version != "2.0" && !version.starts_with("3.0") {
        let fault = match version {
            "" => Fault::new(
                path,
                "this is no OpenAPI definition: it has no `openapi: 3.0.…` or `swagger: \"2.0\"`",
            ),
            other => Fault::new(path, format!("API Gateway does not import OpenAPI {other}")),
        };
        cx.fault(fault.allowed("OpenAPI 2.0 and 3.0"));
        return;
    }
    let methods = operations(document);
    if methods.is_empty() {
        cx.fault(Fault::new(
            path,
            "the OpenAPI definition has no method; API Gateway deploys none without",
        ));
    }
    for (name, method, operation) in methods {
        if operation.get("x-amazon-apigateway-integration").is_none() {
            let message = format!(
                "`{} {name}` of the OpenAPI definition has no integration",
                method.to_uppercase()
            );
            let fault = Fault::new(path, message);
            cx.fault(fault.hint("add `x-amazon-apigateway-integration` to the method"));
        }
    }
}

/// The methods of a definition, each with its path and its name.
pub(super) fn operations(
    document: &serde_json::Value,
) -> Vec<(&String, &String, &serde_json::Value)> {
    let items = document.get("paths").and_then(serde_json::Value::as_object);
    let items = items
        .into_iter()
        .flatten()
        .filter_map(|(name, item)| Some((name, item.as_object()?)));
    items
        .flat_map(|(name, item)| {
            item.iter()
                .map(move |(method, operation)| (name, method, operation))
        })
        .filter(|(_, method, _)| METHODS.contains(&method.as_str()))
        .collect()
}
