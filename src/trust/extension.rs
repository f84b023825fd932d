//! The extensions of a certificate as far as whoever verifies a chain has to know them.

use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};

use super::der::{Malformed, Reader, tag};
use super::general_name::{GeneralName, NameConstraints};

/// The extensions with a name, by object identifier, and whether a critical one is understood:
/// evaluated here, or without meaning for the question whether a chain is valid.
///
/// RFC 5280 demands that the key identifiers and the access descriptions are never critical.
const KNOWN: [(&str, &str, bool); 15] = [
    ("2.5.29.35", "authorityKeyIdentifier", false),
    ("2.5.29.14", "subjectKeyIdentifier", false),
    ("2.5.29.15", "keyUsage", true),
    ("2.5.29.32", "certificatePolicies", true),
    ("2.5.29.33", "policyMappings", true),
    ("2.5.29.17", "subjectAltName", true),
    ("2.5.29.18", "issuerAltName", false),
    ("2.5.29.19", "basicConstraints", true),
    ("2.5.29.30", "nameConstraints", true),
    ("2.5.29.36", "policyConstraints", true),
    ("2.5.29.37", "extKeyUsage", true),
    ("2.5.29.31", "cRLDistributionPoints", true),
    ("2.5.29.54", "inhibitAnyPolicy", true),
    ("1.3.6.1.5.5.7.1.1", "authorityInfoAccess", false),
    ("1.3.6.1.5.5.7.1.11", "subjectInfoAccess", false),
];

/// What the extensions say beside constraints and usages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// All subject alternative names, in their order.
    pub alternative_names: Vec<GeneralName>,
    /// The names that certificates below it may have; `None` without the extension.
    pub name_constraints: Option<NameConstraints>,
    /// The identifier of its own key.
    pub subject_key_identifier: Option<Vec<u8>>,
    /// The identifier of its issuer's key.
    pub authority_key_identifier: Option<Vec<u8>>,
    /// The extensions marked critical, by name or object identifier.
    pub critical: Vec<String>,
    /// The critical extensions that are not understood, for which it must be refused.
    pub unknown_critical: Vec<String>,
    /// The extensions that occur more than once, which RFC 5280, section 4.2, forbids.
    pub duplicates: Vec<String>,
    /// The extensions that are not encoded as they should be.
    pub malformed: Vec<String>,
}

impl Extensions {
    /// Reads the extensions of a certificate that is parsed already.
    pub(super) fn of(certificate: &TbsCertificate<'_>) -> Self {
        let mut extensions = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for extension in certificate.extensions() {
            let oid = extension.oid.to_id_string();
            let known = KNOWN.iter().find(|(known, ..)| *known == oid);
            let name = known.map_or_else(|| oid.clone(), |(_, name, _)| (*name).to_owned());
            if extension.critical {
                extensions.critical.push(name.clone());
                if !known.is_some_and(|(_, _, is_understood)| *is_understood) {
                    extensions.unknown_critical.push(name.clone());
                }
            }
            if seen.contains(&name) && !extensions.duplicates.contains(&name) {
                extensions.duplicates.push(name.clone());
            }
            if extensions.read(&name, extension).is_err() {
                extensions.malformed.push(name.clone());
            }
            seen.push(name);
        }
        extensions
    }

    /// Reads the value of one extension.
    fn read(&mut self, name: &str, extension: &X509Extension<'_>) -> Result<(), Malformed> {
        let value = extension.value;
        match name {
            "subjectAltName" => self
                .alternative_names
                .extend(GeneralName::all_from_der(value)?),
            "nameConstraints" => {
                self.name_constraints = Some(NameConstraints::from_der(value, extension.critical)?);
            }
            "subjectKeyIdentifier" => {
                let octets = Reader::new(value).expect(tag::OCTET_STRING)?;
                self.subject_key_identifier = Some(octets.content.to_vec());
            }
            "authorityKeyIdentifier" => {
                const KEY_IDENTIFIER: u8 = 0x80;
                let mut fields = Reader::new(value).expect(tag::SEQUENCE)?.reader();
                let octets = fields.optional(KEY_IDENTIFIER)?;
                self.authority_key_identifier = octets.map(|octets| octets.content.to_vec());
            }
            "extKeyUsage" => {
                // RFC 5280, section 4.2.1.12: at least one.
                let purposes = Reader::new(value).expect(tag::SEQUENCE)?;
                purposes.reader().expect(tag::OBJECT_IDENTIFIER)?;
            }
            _ => {}
        }
        match extension.parsed_extension() {
            // Its own reading of names is laxer here and stricter there; ours counts.
            ParsedExtension::ParseError { .. }
                if !matches!(name, "subjectAltName" | "nameConstraints") =>
            {
                Err(Malformed::Content("extension"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, GeneralSubtree, SanType};

    use super::*;
    use crate::trust::certificate::Certificate;
    use crate::trust::fixtures::{Authority, tlv};
    use crate::trust::general_name::{NameKind, Subtree};

    fn root(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        Authority::with("Root", change).certificate()
    }

    /// An extension with an object identifier and a value of choice.
    fn custom(oid: &[u64], critical: bool, value: Vec<u8>) -> CustomExtension {
        let mut extension = CustomExtension::from_oid_content(oid, value);
        extension.set_criticality(critical);
        extension
    }

    #[test]
    fn names_and_constraints_are_read() {
        let certificate = root(|params| {
            params.subject_alt_names = vec![
                SanType::Rfc822Name("one@example.com".try_into().unwrap()),
                SanType::DnsName("example.com".try_into().unwrap()),
                SanType::URI("spiffe://example.com/one".try_into().unwrap()),
            ];
            params.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
                excluded_subtrees: vec![GeneralSubtree::Rfc822Name("example.org".to_owned())],
            });
            params.use_authority_key_identifier_extension = true;
        });
        let extensions = certificate.extensions;
        let kinds = extensions.alternative_names.iter().map(GeneralName::kind);
        assert!(kinds.eq([NameKind::Email, NameKind::Dns, NameKind::Uri]));
        let constraints = extensions.name_constraints.unwrap();
        assert!(constraints.critical);
        assert_eq!(
            constraints.permitted,
            [Subtree::Dns("example.com".to_owned())]
        );
        assert_eq!(
            constraints.excluded,
            [Subtree::Email("example.org".to_owned())]
        );
        assert!(extensions.subject_key_identifier.is_some());
        assert_eq!(
            extensions.subject_key_identifier,
            extensions.authority_key_identifier
        );
        assert_eq!(extensions.unknown_critical, [""; 0]);
        assert!(extensions.critical.contains(&"basicConstraints".to_owned()));
        assert_eq!(extensions.malformed, [""; 0]);
    }

    #[test]
    fn what_a_verifier_must_refuse_is_told() {
        let certificate = root(|params| {
            params.custom_extensions = vec![
                custom(&[1, 2, 3], true, tlv(0x05, &[])),
                custom(&[1, 2, 4], false, tlv(0x05, &[])),
                custom(&[1, 2, 4], false, tlv(0x05, &[])),
                custom(&[2, 5, 29, 17], false, b"example.com".to_vec()),
                custom(&[2, 5, 29, 37], false, tlv(0x30, &[])),
            ];
        });
        let extensions = certificate.extensions;
        assert_eq!(extensions.unknown_critical, ["1.2.3"]);
        assert_eq!(extensions.duplicates, ["1.2.4"]);
        assert_eq!(extensions.malformed, ["subjectAltName", "extKeyUsage"]);
    }
}
