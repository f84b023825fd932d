//! X.509 certificates as the facts that load balancers and people judge them by.

use std::net::IpAddr;

use time::{Date, OffsetDateTime};
use x509_parser::asn1_rs::{FromDer, Oid};
use x509_parser::certificate::{TbsCertificate, X509Certificate};
use x509_parser::extensions::{ExtendedKeyUsage, KeyUsage};

use super::algorithm::{self, KeyAlgorithm, SignatureAlgorithm, SignatureCheck};
use super::digest::Sha256Digest;
use super::error::{Error, Origin, Wanted};
use super::extension::Extensions;
use super::general_name::GeneralName;
use super::name::DistinguishedName;
use super::pem::{self, Block};
use super::serial::Serial;
use super::server;

/// A parsed certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is about.
    pub subject: DistinguishedName,
    /// Who signed it.
    pub issuer: DistinguishedName,
    /// The number its issuer gave it.
    pub serial: Serial,
    /// The X.509 version, 1 to 3.
    pub version: u32,
    /// The first second of its validity.
    pub not_before: OffsetDateTime,
    /// The last second of its validity.
    pub not_after: OffsetDateTime,
    /// Whether it may issue certificates; `None` without basicConstraints.
    pub is_ca: Option<bool>,
    /// How many further CAs may stand below it.
    pub path_len: Option<u32>,
    /// The kind and size of its key.
    pub key_algorithm: KeyAlgorithm,
    /// What it is signed with.
    pub signature_algorithm: SignatureAlgorithm,
    /// Whether the signed part names the same algorithm, as RFC 5280, section 4.1.1.2, demands.
    pub signature_algorithms_agree: bool,
    /// The DNS names among its subject alternative names.
    pub dns_names: Vec<String>,
    /// The IP addresses among its subject alternative names.
    pub ip_addresses: Vec<IpAddr>,
    /// The key usages by their RFC 5280 names; `None` without the extension, which permits all.
    pub key_usage: Option<Vec<&'static str>>,
    /// The extended key usages, as names or object identifiers; `None` without the extension.
    pub extended_key_usage: Option<Vec<String>>,
    /// What else its extensions say, and what is wrong with them.
    pub extensions: Extensions,
    /// The SHA-256 of the DER.
    pub fingerprint: Sha256Digest,
    /// The DER of the public key, a `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
    /// The certificate itself.
    pub der: Vec<u8>,
}

impl Certificate {
    /// The PEM label of a certificate.
    pub(super) const LABEL: &'static str = "CERTIFICATE";

    /// Reads every certificate of a PEM or DER file, in its order; never returns an empty list.
    ///
    /// # Errors
    ///
    /// Says what the content holds instead, or what is damaged in it.
    pub fn all_from_bytes(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let blocks = pem::blocks(bytes, Wanted::Certificate)?;
        blocks.into_iter().map(Self::from_block).collect()
    }

    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    ///
    /// Says what the text holds instead, or what is damaged in it.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let first = Self::all_from_bytes(text.as_bytes())?.into_iter().next();
        first.ok_or(Error::Empty {
            wanted: Wanted::Certificate,
        })
    }

    /// Reads exactly one certificate in DER form.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::parse(der.to_vec(), Origin::Byte(0))
    }

    /// Reads one structure of a file.
    pub(super) fn from_block(block: Block) -> Result<Self, Error> {
        pem::refuse_key(&block.label, block.origin, Wanted::Certificate)?;
        if !matches!(block.label.as_str(), Self::LABEL | "X509 CERTIFICATE") {
            return Err(Error::Unexpected {
                origin: block.origin,
                label: block.label,
                wanted: Wanted::Certificate,
            });
        }
        Self::parse(block.der, block.origin)
    }

    /// Parses the DER and takes the facts out of it.
    fn parse(der: Vec<u8>, origin: Origin) -> Result<Self, Error> {
        let failed = |reason: String| Error::Der {
            origin,
            wanted: Wanted::Certificate,
            reason,
        };
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|error| {
            failed(format!(
                "it is not the DER of an X.509 certificate ({error})"
            ))
        })?;
        if !rest.is_empty() {
            return Err(failed("bytes follow its end".to_owned()));
        }
        let serial = Serial::from_der_content(parsed.raw_serial())
            .ok_or_else(|| failed("its serial number is too long".to_owned()))?;
        let basic_constraints = parsed
            .basic_constraints()
            .map_err(|error| failed(format!("its basicConstraints are invalid ({error})")))?
            .map(|extension| extension.value.clone());
        let extensions = Extensions::of(&parsed);
        let (dns_names, ip_addresses) = host_names(&extensions.alternative_names);
        Ok(Self {
            subject: DistinguishedName::from_name(parsed.subject()),
            issuer: DistinguishedName::from_name(parsed.issuer()),
            serial,
            version: parsed.version().0 + 1,
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            is_ca: basic_constraints.as_ref().map(|constraints| constraints.ca),
            path_len: basic_constraints.and_then(|constraints| constraints.path_len_constraint),
            key_algorithm: KeyAlgorithm::of(parsed.public_key()),
            signature_algorithm: SignatureAlgorithm::of(&parsed.signature_algorithm),
            signature_algorithms_agree: parsed.signature_algorithm
                == parsed.tbs_certificate.signature,
            dns_names,
            ip_addresses,
            key_usage: usages(&parsed),
            extended_key_usage: extended_usages(&parsed),
            extensions,
            fingerprint: Sha256Digest::of(&der),
            public_key: parsed.public_key().raw.to_vec(),
            der,
        })
    }

    /// Returns the canonical PEM block: 64 columns, LF, a final newline and nothing else.
    pub fn pem(&self) -> String {
        pem::encode(Self::LABEL, &self.der)
    }

    /// Says whether subject and issuer are the same, as in every root.
    pub fn is_self_issued(&self) -> bool {
        self.subject.matches(&self.issuer)
    }

    /// Checks its signature with the public key of another certificate (or its own).
    pub fn signature_by(&self, issuer: &Self) -> SignatureCheck {
        algorithm::check_signature(&self.der, &issuer.public_key)
    }

    /// Says whether the other certificate issued this one: name and signature fit.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        self.issuer.matches(&issuer.subject) && self.signature_by(issuer) == SignatureCheck::Valid
    }

    /// Says whether the key may be used so (`keyCertSign`, `cRLSign`, …); without a keyUsage it may.
    pub fn allows_key_usage(&self, usage: &str) -> bool {
        let usages = self.key_usage.as_ref();
        usages.is_none_or(|usages| usages.contains(&usage))
    }

    /// Says whether it may serve the purpose (`clientAuth`, `serverAuth`); without the extension it may.
    pub fn allows_purpose(&self, purpose: &str) -> bool {
        self.extended_key_usage.as_ref().is_none_or(|purposes| {
            let fits = |listed: &String| listed == purpose || listed == "anyExtendedKeyUsage";
            purposes.iter().any(fits)
        })
    }

    /// Says whether it is valid for the host, a DNS name or an IP address.
    ///
    /// Only subject alternative names count; no client has looked at common names for years.
    pub fn covers(&self, host: &str) -> bool {
        match host.parse::<IpAddr>() {
            Ok(address) => self.ip_addresses.contains(&address),
            Err(_) => self.dns_names.iter().any(|name| server::covers(name, host)),
        }
    }

    /// Returns one line for plans: subject, short fingerprint and last day.
    pub fn summary(&self) -> String {
        format!(
            "{} ({}, until {})",
            self.subject,
            self.fingerprint.short(),
            day(self.not_after)
        )
    }
}

/// Returns the calendar day, in UTC as certificates count.
pub(super) fn day(time: OffsetDateTime) -> Date {
    time.date()
}

/// Returns the DNS names and IP addresses; other kinds name no host.
fn host_names(names: &[GeneralName]) -> (Vec<String>, Vec<IpAddr>) {
    let (mut dns_names, mut ip_addresses) = (Vec::new(), Vec::new());
    for name in names {
        match name {
            GeneralName::Dns(name) => dns_names.push(name.clone()),
            GeneralName::Ip(address) => ip_addresses.push(*address),
            _ => {}
        }
    }
    (dns_names, ip_addresses)
}

/// Returns the key usages by name, in the order of RFC 5280.
fn usages(certificate: &TbsCertificate<'_>) -> Option<Vec<&'static str>> {
    let usage: &KeyUsage = certificate.key_usage().ok()??.value;
    let names = [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ];
    let set = names.into_iter().filter(|(is_set, _)| *is_set);
    Some(set.map(|(_, name)| name).collect())
}

/// Returns the extended key usages by name, unknown ones by object identifier.
fn extended_usages(certificate: &TbsCertificate<'_>) -> Option<Vec<String>> {
    let usage: &ExtendedKeyUsage<'_> = certificate.extended_key_usage().ok()??.value;
    let names = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let known = names.into_iter().filter(|(is_set, _)| *is_set);
    let other = usage.other.iter().map(Oid::to_id_string);
    Some(
        known
            .map(|(_, name)| name.to_owned())
            .chain(other)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::{Authority, EXPIRY, NOW};

    #[test]
    fn the_facts_are_read() {
        let root = Authority::new("Petstore Root CA");
        let certificate = root.certificate();
        assert_eq!(certificate.subject.as_str(), "CN=Petstore Root CA");
        assert!(certificate.is_self_issued());
        assert_eq!(certificate.version, 3);
        assert_eq!(certificate.is_ca, Some(true));
        assert_eq!(certificate.path_len, None);
        assert_eq!(certificate.key_algorithm, KeyAlgorithm::P256);
        assert_eq!(certificate.signature_algorithm.name, "ECDSA with SHA-256");
        assert_eq!(
            certificate.key_usage.as_deref(),
            Some(&["keyCertSign", "cRLSign"][..])
        );
        assert_eq!(certificate.extended_key_usage, None);
        assert_eq!(certificate.not_after, EXPIRY);
        assert!(certificate.not_before < NOW);
        assert!(certificate.summary().ends_with(", until 2035-01-01)"));

        let server = root.server(&["*.example.com", "192.0.2.7"]);
        assert_eq!(server.dns_names, ["*.example.com"]);
        assert_eq!(server.is_ca, None);
        assert!(server.is_issued_by(&certificate));
        assert!(!certificate.is_issued_by(&server));
        assert!(server.covers("a.example.com"));
        assert!(server.covers("192.0.2.7"));
        assert!(!server.covers("192.0.2.8"));
        assert!(server.allows_purpose("serverAuth"));
        assert!(!server.allows_purpose("clientAuth"));
    }

    #[test]
    fn every_form_gives_the_same_certificate() {
        let root = Authority::new("Root").certificate();
        let pem = root.pem();
        let forms = [
            pem.clone().into_bytes(),
            pem.replace('\n', "\r\n").into_bytes(),
            format!("Certificate:\n    Data:\n        Version: 3\n{pem}\n\n").into_bytes(),
            format!("# a comment - with a hyphen\n\n{pem}").into_bytes(),
            format!("\u{feff}{pem}").into_bytes(),
            pem.replace(Certificate::LABEL, "X509 CERTIFICATE")
                .into_bytes(),
            root.der.clone(),
        ];
        for form in forms {
            assert_eq!(
                Certificate::all_from_bytes(&form).unwrap(),
                std::slice::from_ref(&root)
            );
        }
        assert_eq!(Certificate::from_pem(&pem).unwrap(), root);
        assert_eq!(Certificate::from_der(&root.der).unwrap(), root);
    }

    #[test]
    fn several_certificates_keep_their_order() {
        let (one, two) = (
            Authority::new("1").certificate(),
            Authority::new("2").certificate(),
        );
        let pem = one.pem() + &two.pem();
        let both = [one.clone(), two.clone()];
        assert_eq!(Certificate::all_from_bytes(pem.as_bytes()).unwrap(), both);
        let der = [one.der, two.der].concat();
        assert_eq!(Certificate::all_from_bytes(&der).unwrap(), both);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let root = Authority::new("Root");
        let crl = String::from_utf8(root.crl(&[1]).pem().into_bytes()).unwrap();
        let error = Certificate::all_from_bytes(crl.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1: holds X509 CRL, where a certificate was expected"
        );
        assert!(error.fix().unwrap().contains("`crls`"));

        let key = root.key_pem();
        let both = root.certificate().pem() + &key;
        let error = Certificate::all_from_bytes(both.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::PrivateKey { .. }));
        assert!(!format!("{error:?}").contains(key.lines().nth(1).unwrap()));
        let error = Certificate::all_from_bytes(&root.key_der()).unwrap_err();
        assert!(matches!(error, Error::PrivateKey { .. }));
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let root = Authority::new("Root").certificate();
        let der = &root.der;
        for end in 0..der.len() {
            assert!(Certificate::from_der(&der[..end]).is_err());
        }
        for index in 0..der.len() {
            let mut damaged = der.clone();
            damaged[index] ^= 0x81;
            // What still parses is another certificate, and no longer validly signed.
            if let Ok(other) = Certificate::from_der(&damaged) {
                assert!(!other.is_issued_by(&root));
            }
        }
        let trailing = [&der[..], &[0]].concat();
        assert!(Certificate::from_der(&trailing).is_err());
    }
}
