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
    /// The client's certificate with its chain, PEM.
    pub client_certificate: PathBuf,
    /// The client's private key, PEM.
    pub client_key: PathBuf,
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
    /// File with the client's certificate and its chain, PEM.
    client_certificate: String,
    /// File with the client's private key, PEM; read by `mtlsgw verify` alone.
    client_key: String,
    /// Path of the request.
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
        Verify {
            client_certificate: resolve(&self.client_certificate, cx),
            client_key: resolve(&self.client_key, cx),
            path: self.path,
            expect: self.expect,
            echo_path: self.echo_path,
        }
    }
}

fn check_path(text: &str, path: &KeyPath, cx: &Context) {
    if !text.starts_with('/') {
        let fault = Fault::new(path, format!("`{text}` does not begin with `/`"));
        cx.fault(fault.hint(format!("write `/{text}`")));
    }
}
