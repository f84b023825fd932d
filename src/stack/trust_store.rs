//! Section `trust_store`: the CAs and CRLs that client certificates are verified against.

use std::fmt;

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use super::common::{check_arn, refuse_beside, refuse_repetition};
use super::context::Context;
use super::fault::Fault;
use super::material::{Kind, Material, material};
use super::path::KeyPath;

/// The trust store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustStore {
    /// One of our own.
    Own {
        /// Files with CA certificates, PEM or DER, in the order of the file; never empty.
        ca_bundle: Vec<Material>,
        /// Where the CRLs are; each CRL becomes one revocation.
        crls: Vec<CrlSource>,
        /// Whether URLs may lead to private, loopback and link-local addresses.
        allow_private_addresses: bool,
    },
    /// An existing or shared one, used and never changed.
    Existing {
        /// Its ARN.
        arn: String,
    },
}

/// Where CRLs are, PEM or DER, one or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrlSource {
    /// In a file.
    File(Material),
    /// Where a CA publishes them.
    Url(CrlUrl),
}

/// An http or https URL of CRLs; shown without what may be secret in it: user, password, query.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrlUrl(Url);

impl CrlUrl {
    /// Reads a URL; `None` when it is none, or has no host.
    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        url.has_host().then_some(Self(url))
    }

    /// The whole URL, to be fetched and shown to nobody.
    pub fn secret(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for CrlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.0.scheme(), self.0.host_str().unwrap_or_default());
        let port = self.0.port().map(|port| format!(":{port}"));
        let port = port.unwrap_or_default();
        write!(f, "{scheme}://{host}{port}{}", self.0.path())
    }
}

impl fmt::Debug for CrlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CrlUrl({self})")
    }
}

/// The CAs that client certificates are verified against, and their CRLs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrustStore {
    /// Files with the CA certificates that are trusted, PEM or DER; roots and intermediates.
    #[schemars(length(min = 1), extend("examples" = [["root_cert.pem"]]))]
    ca_bundle: Option<Vec<String>>,
    /// Files or http(s) URLs of CRLs, PEM or DER; each CRL becomes one revocation of the trust store,
    /// and those of URLs are kept up to date by `mtlsgw crl refresh`.
    #[schemars(extend("examples" = [["root.crl", "http://crl.example.com/issuing.crl"]]))]
    crls: Option<Vec<String>>,
    /// Let the URLs of `crls` lead to private, loopback and link-local addresses, and through the
    /// environment's proxies.
    #[serde(default)]
    allow_private_addresses: bool,
    /// ARN of an existing or shared trust store, in place of the other keys.
    arn: Option<String>,
}

impl RawTrustStore {
    /// Fills in defaults, reads the files and checks the section.
    pub(super) fn build(self, path: &KeyPath, cx: &Context) -> TrustStore {
        if let Some(arn) = self.arn {
            let given = [
                self.ca_bundle.map(|_| "ca_bundle"),
                self.crls.map(|_| "crls"),
                self.allow_private_addresses
                    .then_some("allow_private_addresses"),
            ];
            let given: Vec<&str> = given.into_iter().flatten().collect();
            refuse_beside("arn", &given, path, cx);
            check_arn(&arn, "elasticloadbalancing", &path.key("arn"), cx);
            return TrustStore::Existing { arn };
        }
        let files = self.ca_bundle.unwrap_or_default();
        if files.is_empty() {
            let fault = Fault::new(path, format!("`{path}` names no CA"));
            cx.fault(fault.hint("list the CA certificates: `ca_bundle: [root_cert.pem]`"));
        }
        let crls = self.crls.unwrap_or_default();
        let (bundle_key, crls_key) = (path.key("ca_bundle"), path.key("crls"));
        refuse_repetition(&files, &bundle_key, cx);
        refuse_repeated_sources(&crls, &crls_key, cx);
        TrustStore::Own {
            ca_bundle: each(&files, &bundle_key, |file, at| certificates(file, at, cx)),
            crls: each(&crls, &crls_key, |text, at| crl_source(text, at, cx)),
            allow_private_addresses: self.allow_private_addresses,
        }
    }
}

/// Reads the items of a list, each with its place.
fn each<T>(items: &[String], path: &KeyPath, read: impl Fn(&str, &KeyPath) -> Option<T>) -> Vec<T> {
    let items = items.iter().enumerate();
    items
        .filter_map(|(index, item)| read(item, &path.index(index)))
        .collect()
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn certificates(file: &str, at: &KeyPath, cx: &Context) -> Option<Material> {
    if let Some(url) = CrlUrl::parse(file).filter(|_| is_url(file)) {
        let fault = Fault::new(at, format!("`{url}`: CAs are not fetched from URLs"));
        cx.fault(fault.hint("download the file, see that it is what you trust, and name it here"));
        return None;
    }
    material(file, Kind::Certificates, at, cx)
}

fn crl_source(text: &str, at: &KeyPath, cx: &Context) -> Option<CrlSource> {
    if !is_url(text) {
        return material(text, Kind::RevocationList, at, cx).map(CrlSource::File);
    }
    let url = CrlUrl::parse(text);
    if url.is_none() {
        // What cannot be read cannot be shown without what may be secret in it.
        let fault = Fault::new(at, format!("`{at}` is no URL"));
        cx.fault(fault.allowed("`http://host/path` or `https://host/path`"));
    }
    url.map(CrlSource::Url)
}

/// Refuses a CRL that is named twice.
fn refuse_repeated_sources(texts: &[String], path: &KeyPath, cx: &Context) {
    let shown = |text: &String| match CrlUrl::parse(text).filter(|_| is_url(text)) {
        Some(url) => Shown(text.clone(), url.to_string()),
        None => Shown(text.clone(), text.clone()),
    };
    let shown: Vec<Shown> = texts.iter().map(shown).collect();
    refuse_repetition(&shown, path, cx);
}

/// What is compared, and what is shown of it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shown(String, String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_user_password_and_query() {
        let url = CrlUrl::parse("https://user:word@crl.example.com:8443/a/b.crl?sig=1#x");
        let url = url.expect("is a URL");
        assert_eq!(url.to_string(), "https://crl.example.com:8443/a/b.crl");
        assert_eq!(
            format!("{url:?}"),
            "CrlUrl(https://crl.example.com:8443/a/b.crl)"
        );
        assert!(url.secret().as_str().contains("user:word"));
        assert_eq!(CrlUrl::parse("http://"), None);
    }
}
