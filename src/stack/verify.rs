//! Section `verify`: what `mtlsgw verify` presents and wants to see.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::fault::Fault;
use super::material::resolve;
use super::path::KeyPath;

/// What `mtlsgw verify` presents and wants to see; the files are read by it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// The client's certificate with its chain, and its private key, PEM; None: clients present nothing.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Path of the request.
    pub path: String,
    /// The status code that proves success.
    pub expect: u16,
    /// Path of a backend that prints the headers of its requests.
    pub echo_path: Option<String>,
}

/// What `mtlsgw verify` presents and wants to see.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVerify {
    /// File with the client's certificate and its chain, PEM (default: none, where clients need none).
    client_certificate: Option<String>,
    /// File with the client's private key, PEM; read by `mtlsgw verify` alone (default: none).
    client_key: Option<String>,
    /// Path of the request, as clients ask for it.
    #[serde(default = "root_path")]
    path: String,
    /// Status code that proves success.
    #[serde(default = "ok")]
    #[schemars(range(min = 100, max = 599))]
    expect: u16,
    /// Path of a backend that prints the headers of its requests (default: none, and they are not checked).
    echo_path: Option<String>,
}

fn root_path() -> String {
    "/".to_owned()
}

fn ok() -> u16 {
    200
}

impl RawVerify {
    /// Fills in defaults and checks the section.
    pub(super) fn build(self, path: &KeyPath, cx: &Context) -> Verify {
        check_path(&self.path, &path.key("path"), cx);
        if let Some(echo) = &self.echo_path {
            check_path(echo, &path.key("echo_path"), cx);
        }
        if !(100..=599).contains(&self.expect) {
            let fault = Fault::new(
                &path.key("expect"),
                format!("`{}` is no status code", self.expect),
            );
            cx.fault(fault.allowed("100 to 599"));
        }
        let client = match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => Some((resolve(certificate, cx), resolve(key, cx))),
            (None, None) => None,
            (Some(_), None) => alone("client_certificate", "client_key", path, cx),
            (None, Some(_)) => alone("client_key", "client_certificate", path, cx),
        };
        Verify {
            client,
            path: self.path,
            expect: self.expect,
            echo_path: self.echo_path,
        }
    }
}

/// One of the client's two files without the other.
fn alone<T>(given: &str, missing: &str, path: &KeyPath, cx: &Context) -> Option<T> {
    let fault = Fault::new(&path.key(given), format!("there is no `{missing}` to it"));
    cx.fault(fault.hint(format!("name the client's other file as `{missing}`")));
    None
}

fn check_path(text: &str, path: &KeyPath, cx: &Context) {
    if !text.starts_with('/') {
        let fault = Fault::new(path, format!("`{text}` does not begin with `/`"));
        cx.fault(fault.hint(format!("write `/{text}`")));
    }
}
