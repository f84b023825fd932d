//! Section `certificate`: the server certificate of listeners and domains, in ACM.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::common::{Zone, check_arn, covers, domain_name, refuse_repetition};
use super::context::Context;
use super::fault::Fault;
use super::material::{Kind, Material, material, resolve};
use super::mismatch::listed;
use super::path::KeyPath;

/// The server certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Where it comes from.
    pub source: CertificateSource,
    /// Whether destroy leaves it behind.
    pub retain: bool,
}

/// Where the server certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// Requested from ACM and validated by DNS.
    Request {
        /// The domain name, often a wildcard.
        name: String,
        /// Further names.
        subject_alternative_names: Vec<String>,
        /// The zone of the validation records; None: the longest public zone that is a suffix.
        zone: Option<Zone>,
        /// The kind of key.
        key_algorithm: KeyAlgorithm,
    },
    /// An issued one of this name: in use first, else the latest to expire.
    Find {
        /// The domain name of the certificate.
        name: String,
    },
    /// An existing one, used and never changed.
    Existing {
        /// Its ARN.
        arn: String,
    },
    /// Imported from files.
    Import {
        /// The certificate, PEM.
        certificate: Material,
        /// Its private key, PEM; read when it is sent only.
        private_key: PathBuf,
        /// The chain from the issuer upwards, PEM; None: self-signed.
        chain: Option<Material>,
    },
}

/// The kind of key of a requested certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// RSA, 2048 bits.
    #[serde(rename = "RSA_2048")]
    Rsa2048,
    /// ECDSA on P-256.
    #[serde(rename = "EC_prime256v1")]
    EcPrime256v1,
    /// ECDSA on P-384.
    #[serde(rename = "EC_secp384r1")]
    EcSecp384r1,
}

impl KeyAlgorithm {
    /// The value as AWS spells it in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA_2048",
            Self::EcPrime256v1 => "EC_prime256v1",
            Self::EcSecp384r1 => "EC_secp384r1",
        }
    }
}

/// The server certificate of listeners and domains: exactly one of `request`, `find`, `arn` and `import`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCertificate {
    /// Domain name to request a certificate for; validated by DNS.
    #[schemars(example = &"*.example.com")]
    request: Option<String>,
    /// Domain name of an issued certificate: one that is in use, else the latest to expire.
    find: Option<String>,
    /// ARN of an existing certificate.
    arn: Option<String>,
    /// Files to import.
    import: Option<RawImport>,
    /// Hosted zone of the validation records, by name or id (default: the longest public zone that is a suffix).
    zone: Option<String>,
    /// Further names of a requested certificate.
    subject_alternative_names: Option<Vec<String>>,
    /// Kind of key of a requested certificate (default: `RSA_2048`).
    key_algorithm: Option<KeyAlgorithm>,
    /// Whether destroy leaves the certificate behind (default: `false`).
    retain: Option<bool>,
}

/// Files of a certificate to import.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawImport {
    /// File with the certificate, PEM.
    certificate: String,
    /// File with its private key, PEM without a password; read by apply alone.
    private_key: String,
    /// File with the chain from the issuer upwards, PEM (default: none, for a self-signed certificate).
    chain: Option<String>,
}

/// The keys that say where a certificate comes from.
const SOURCES: [&str; 4] = ["request", "find", "arn", "import"];

impl CertificateSource {
    /// Stands in for a source that is at fault, so that the rest can be checked.
    const UNKNOWN: Self = Self::Existing { arn: String::new() };
}

impl Certificate {
    /// Whether the certificate is good for `name`; None where the file does not tell.
    pub(super) fn covers(&self, name: &str) -> Option<bool> {
        let CertificateSource::Request {
            name: first,
            subject_alternative_names,
            ..
        } = &self.source
        else {
            return None;
        };
        let mut names = std::iter::once(first).chain(subject_alternative_names);
        Some(names.any(|pattern| covers(pattern, name)))
    }
}

impl RawCertificate {
    /// Fills in defaults, reads the files and checks the section.
    pub(super) fn build(self, path: &KeyPath, cx: &Context) -> Certificate {
        let given = [
            self.request.is_some(),
            self.find.is_some(),
            self.arn.is_some(),
            self.import.is_some(),
        ];
        let given: Vec<&str> = SOURCES
            .into_iter()
            .zip(given)
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
        if given.len() != 1 {
            refuse_sources(&given, path, cx);
            return Certificate {
                source: CertificateSource::UNKNOWN,
                retain: false,
            };
        }
        if self.request.is_none() {
            self.refuse_request_keys(given[0], path, cx);
        }
        if let (Some(_), "find" | "arn") = (self.retain, given[0]) {
            let message = format!(
                "`retain` has no effect beside `{}`: what exists is never deleted",
                given[0]
            );
            cx.fault(Fault::new(&path.key("retain"), message));
        }
        let retain = self.retain.unwrap_or(false);
        let source = self.source(path, cx).unwrap_or(CertificateSource::UNKNOWN);
        Certificate { source, retain }
    }

    fn source(self, path: &KeyPath, cx: &Context) -> Option<CertificateSource> {
        if let Some(name) = &self.find {
            let name = domain_name(name, &path.key("find"), cx);
            return Some(CertificateSource::Find { name });
        }
        if let Some(arn) = self.arn {
            check_arn(&arn, "acm", &path.key("arn"), cx);
            return Some(CertificateSource::Existing { arn });
        }
        if let Some(import) = self.import {
            return import.build(&path.key("import"), cx);
        }
        let name = domain_name(&self.request?, &path.key("request"), cx);
        let at = path.key("subject_alternative_names");
        let further = self.subject_alternative_names.unwrap_or_default();
        refuse_repetition(&further, &at, cx);
        let read = |(index, text): (usize, &String)| domain_name(text, &at.index(index), cx);
        let zone = self
            .zone
            .map(|zone| Zone::from_text(&zone, &path.key("zone"), cx));
        let subject_alternative_names: Vec<String> = further.iter().enumerate().map(read).collect();
        check_request(&name, &subject_alternative_names, zone.as_ref(), path, cx);
        let key_algorithm = self.key_algorithm.unwrap_or(KeyAlgorithm::Rsa2048);
        Some(CertificateSource::Request {
            name,
            subject_alternative_names,
            zone,
            key_algorithm,
        })
    }

    fn refuse_request_keys(&self, source: &str, path: &KeyPath, cx: &Context) {
        let keys = [
            self.zone.as_ref().map(|_| "zone"),
            self.subject_alternative_names
                .as_ref()
                .map(|_| "subject_alternative_names"),
            self.key_algorithm.map(|_| "key_algorithm"),
        ];
        for key in keys.into_iter().flatten() {
            let message =
                format!("`{key}` belongs to `request` and has no effect beside `{source}`");
            cx.fault(Fault::new(&path.key(key), message));
        }
    }
}

impl RawImport {
    fn build(self, path: &KeyPath, cx: &Context) -> Option<CertificateSource> {
        let read = |file: &str, key: &str| material(file, Kind::Certificates, &path.key(key), cx);
        let certificate = read(&self.certificate, "certificate");
        let chain = self.chain.map(|file| read(&file, "chain"));
        if self.private_key.is_empty() {
            cx.fault(Fault::new(
                &path.key("private_key"),
                "`private_key` names no file",
            ));
        }
        let private_key = resolve(&self.private_key, cx);
        Some(CertificateSource::Import {
            certificate: certificate?,
            private_key,
            chain: chain.flatten(),
        })
    }
}

fn refuse_sources(given: &[&str], path: &KeyPath, cx: &Context) {
    let fault = match given {
        [] => Fault::new(
            path,
            format!("`{path}` does not say where the certificate comes from"),
        ),
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` exclude each other");
            Fault::new(&path.key(second), message)
        }
        [_] => return,
    };
    cx.fault(fault.allowed(format!("exactly one of {}", listed(&SOURCES))));
}

/// Checks what ACM would refuse: a first name that does not fit the common name, names outside the zone.
fn check_request(
    name: &str,
    further: &[String],
    zone: Option<&Zone>,
    path: &KeyPath,
    cx: &Context,
) {
    if name.len() > 64 {
        let fault = Fault::new(
            &path.key("request"),
            "the first name of a certificate has at most 64 characters",
        );
        cx.fault(
            fault.hint("request a shorter one and list this one in `subject_alternative_names`"),
        );
    }
    if further.len() > 99 {
        let at = path.key("subject_alternative_names");
        cx.fault(Fault::new(&at, "a certificate has at most 100 names"));
    }
    let Some(Zone::Name(zone)) = zone else { return };
    for name in std::iter::once(name).chain(further.iter().map(String::as_str)) {
        let host = name.strip_prefix("*.").unwrap_or(name);
        if host != zone && !host.ends_with(&format!(".{zone}")) {
            let message = format!("`{name}` is not within the zone `{zone}`");
            cx.fault(Fault::new(&path.key("zone"), message));
        }
    }
}
