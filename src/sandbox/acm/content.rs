//! What stands in an X.509 certificate.

use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

/// A certificate with its chain and what ACM shows of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Content {
    /// The certificate.
    pub(super) pem: String,
    /// The certificates above it; empty where it is self-signed.
    pub(super) chain: String,
    /// `RSA_2048`, `EC_prime256v1`; as in requests, with an underscore.
    pub(super) key_algorithm: String,
    /// The common name, or the first of the alternative names.
    pub(super) domain_name: String,
    /// The alternative names, and the common name if it is none of them.
    pub(super) names: Vec<String>,
    /// `0a:1b:2c`.
    pub(super) serial: String,
    /// `CN=example.com`.
    pub(super) subject: String,
    /// The issuer's organisation, or what else names it.
    pub(super) issuer: String,
    /// Seconds since the Unix epoch.
    pub(super) not_before: i64,
    /// Seconds since the Unix epoch.
    pub(super) not_after: i64,
    /// `SHA256WITHRSA`.
    pub(super) signature_algorithm: String,
    /// In ACM's words, `DIGITAL_SIGNATURE`.
    pub(super) key_usages: Vec<String>,
    /// In ACM's words with their object identifiers, `TLS_WEB_SERVER_AUTHENTICATION`.
    pub(super) extended_key_usages: Vec<(String, String)>,
}

impl Content {
    /// Reads a certificate; `None` where it is not one that ACM can hold.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut names = alternative_names(&certificate);
        let common_name = certificate.subject().iter_common_name().next();
        let common_name = common_name
            .and_then(|name| name.as_str().ok())
            .map(str::to_owned);
        let domain_name = common_name.or_else(|| names.first().cloned())?;
        if !names.contains(&domain_name) {
            names.insert(0, domain_name.clone());
        }
        Some(Self {
            pem: pem::encode(&pem::Pem::new("CERTIFICATE", der)),
            chain: String::new(),
            key_algorithm: key_algorithm(certificate.public_key())?,
            domain_name,
            names,
            serial: certificate.raw_serial_as_string(),
            subject: certificate.subject().to_string(),
            issuer: issuer(certificate.issuer()),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            signature_algorithm: signature_algorithm(&certificate.signature_algorithm.algorithm),
            key_usages: key_usages(&certificate),
            extended_key_usages: extended_key_usages(&certificate),
        })
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(name)
        .collect()
}

fn issuer(name: &X509Name<'_>) -> String {
    let mut organisation = name.iter_organization().chain(name.iter_common_name());
    let known = organisation.find_map(|attribute| attribute.as_str().ok());
    known.map_or_else(|| name.to_string(), str::to_owned)
}

/// ACM's name of the key's algorithm; `None` where ACM does not take such keys.
pub(super) fn key_algorithm(key: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    let name = match key.parsed().ok()? {
        PublicKey::RSA(rsa) => match rsa.key_size() {
            size @ (1024 | 2048 | 3072 | 4096) => format!("RSA_{size}"),
            _ => return None,
        },
        PublicKey::EC(_) => {
            let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
            let curves = [
                (oid!(1.2.840.10045.3.1.7), "EC_prime256v1"),
                (oid!(1.3.132.0.34), "EC_secp384r1"),
                (oid!(1.3.132.0.35), "EC_secp521r1"),
            ];
            curves
                .into_iter()
                .find(|(oid, _)| *oid == curve)?
                .1
                .to_owned()
        }
        _ => return None,
    };
    Some(name)
}

fn signature_algorithm(algorithm: &Oid<'_>) -> String {
    let known = [
        (oid!(1.2.840.113549.1.1.5), "SHA1WITHRSA"),
        (oid!(1.2.840.113549.1.1.11), "SHA256WITHRSA"),
        (oid!(1.2.840.113549.1.1.12), "SHA384WITHRSA"),
        (oid!(1.2.840.113549.1.1.13), "SHA512WITHRSA"),
        (oid!(1.2.840.10045.4.3.2), "SHA256WITHECDSA"),
        (oid!(1.2.840.10045.4.3.3), "SHA384WITHECDSA"),
        (oid!(1.2.840.10045.4.3.4), "SHA512WITHECDSA"),
    ];
    let name = known
        .iter()
        .find(|(oid, _)| oid == algorithm)
        .map(|(_, name)| *name);
    name.map_or_else(|| algorithm.to_id_string(), str::to_owned)
}

fn key_usages(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.key_usage() else {
        return Vec::new();
    };
    let usage = extension.value;
    let named = [
        (usage.digital_signature(), "DIGITAL_SIGNATURE"),
        (usage.non_repudiation(), "NON_REPUDIATION"),
        (usage.key_encipherment(), "KEY_ENCIPHERMENT"),
        (usage.data_encipherment(), "DATA_ENCIPHERMENT"),
        (usage.key_agreement(), "KEY_AGREEMENT"),
        (usage.key_cert_sign(), "CERTIFICATE_SIGNING"),
        (usage.crl_sign(), "CRL_SIGNING"),
        (usage.encipher_only(), "ENCIPHER_ONLY"),
        (usage.decipher_only(), "DECIPHER_ONLY"),
    ];
    named
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn extended_key_usages(certificate: &X509Certificate<'_>) -> Vec<(String, String)> {
    let extensions = certificate
        .extensions()
        .iter()
        .map(X509Extension::parsed_extension);
    let usage = extensions
        .into_iter()
        .find_map(|extension| match extension {
            ParsedExtension::ExtendedKeyUsage(usage) => Some(usage),
            _ => None,
        });
    let Some(usage) = usage else {
        return Vec::new();
    };
    let named = [
        (
            usage.server_auth,
            "TLS_WEB_SERVER_AUTHENTICATION",
            "1.3.6.1.5.5.7.3.1",
        ),
        (
            usage.client_auth,
            "TLS_WEB_CLIENT_AUTHENTICATION",
            "1.3.6.1.5.5.7.3.2",
        ),
        (usage.code_signing, "CODE_SIGNING", "1.3.6.1.5.5.7.3.3"),
        (
            usage.email_protection,
            "EMAIL_PROTECTION",
            "1.3.6.1.5.5.7.3.4",
        ),
        (usage.time_stamping, "TIME_STAMPING", "1.3.6.1.5.5.7.3.8"),
        (usage.ocsp_signing, "OCSP_SIGNING", "1.3.6.1.5.5.7.3.9"),
        (usage.any, "ANY", "2.5.29.37.0"),
    ];
    let set = named.into_iter().filter(|(is_set, ..)| *is_set);
    let custom = usage
        .other
        .iter()
        .map(|oid| ("CUSTOM".to_owned(), oid.to_id_string()));
    set.map(|(_, name, oid)| (name.to_owned(), oid.to_owned()))
        .chain(custom)
        .collect()
}
