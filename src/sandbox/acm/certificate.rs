//! A certificate: how it came to be, its status, and how ACM shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::content::Content;
use super::request::{Request, TIME_LIMIT};

/// A certificate, perhaps not issued yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Certificate {
    /// The certificate's ARN; in the key store, its private key has the same name.
    pub(in crate::sandbox) arn: String,
    pub(super) origin: Origin,
    /// Absent until the certificate is issued.
    pub(super) content: Option<Content>,
    /// When it was requested or first imported.
    pub(super) created_at: i64,
    /// When it was issued or last imported.
    pub(super) issued_at: Option<i64>,
    pub(super) tags: BTreeMap<String, String>,
}

/// How a certificate came to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Origin {
    /// It is ACM's own.
    Requested(Request),
    /// It was brought along.
    Imported,
}

impl Certificate {
    /// `PENDING_VALIDATION`, `ISSUED`, `FAILED`, `VALIDATION_TIMED_OUT` or `EXPIRED`.
    pub(in crate::sandbox) fn status(&self, now: i64) -> &'static str {
        match (&self.content, &self.origin) {
            (Some(content), _) if content.not_after < now.div_euclid(1000) => "EXPIRED",
            (Some(_), _) | (None, Origin::Imported) => "ISSUED",
            (None, Origin::Requested(request)) if request.failure.is_some() => "FAILED",
            (None, _) if now >= self.created_at + TIME_LIMIT => "VALIDATION_TIMED_OUT",
            (None, _) => "PENDING_VALIDATION",
        }
    }

    /// `RSA_2048`, `EC_prime256v1`; with an underscore, as in requests.
    pub(in crate::sandbox) fn key_algorithm(&self) -> &str {
        match (&self.content, &self.origin) {
            (Some(content), _) => &content.key_algorithm,
            (None, Origin::Requested(request)) => &request.key_algorithm,
            (None, Origin::Imported) => "",
        }
    }

    /// The first name: of the request, or the subject's common name.
    pub(in crate::sandbox) fn domain_name(&self) -> &str {
        match (&self.origin, &self.content) {
            (Origin::Requested(request), _) => request.names.first().map_or("", String::as_str),
            (Origin::Imported, Some(content)) => &content.domain_name,
            (Origin::Imported, None) => "",
        }
    }

    /// All names that the certificate is for.
    pub(in crate::sandbox) fn names(&self) -> &[String] {
        match (&self.origin, &self.content) {
            (Origin::Requested(request), _) => &request.names,
            (Origin::Imported, Some(content)) => &content.names,
            (Origin::Imported, None) => &[],
        }
    }

    /// The certificate in PEM form, once it is issued.
    pub(in crate::sandbox) fn pem(&self) -> Option<&str> {
        self.content.as_ref().map(|content| content.pem.as_str())
    }

    /// The certificates above it in PEM form, nearest first; empty where it is self-signed.
    pub(in crate::sandbox) fn chain(&self) -> Option<&str> {
        self.content.as_ref().map(|content| content.chain.as_str())
    }

    fn kind(&self) -> &'static str {
        if matches!(self.origin, Origin::Imported) {
            "IMPORTED"
        } else {
            "AMAZON_ISSUED"
        }
    }

    /// The members that a summary and a description share.
    fn outline(&self, now: i64) -> Value {
        let requested = matches!(self.origin, Origin::Requested(_));
        let issued_at = self.issued_at.map(|at| at / 1000);
        json!({
            "CertificateArn": self.arn,
            "DomainName": self.domain_name(),
            "Status": self.status(now),
            "Type": self.kind(),
            // In answers the algorithm has a hyphen, in requests an underscore.
            "KeyAlgorithm": self.key_algorithm().replacen('_', "-", 1),
            "RenewalEligibility": "INELIGIBLE",
            "CreatedAt": self.created_at / 1000,
            "IssuedAt": issued_at.filter(|_| requested),
            "ImportedAt": issued_at.filter(|_| !requested),
            "NotBefore": self.content.as_ref().map(|content| content.not_before),
            "NotAfter": self.content.as_ref().map(|content| content.not_after),
        })
    }

    /// The certificate as `ListCertificates` shows it.
    pub(super) fn summarise(&self, users: &[String], now: i64) -> Value {
        let mut summary = self.outline(now);
        let content = self.content.as_ref();
        summary["SubjectAlternativeNameSummaries"] = json!(self.names());
        summary["HasAdditionalSubjectAlternativeNames"] = json!(false);
        summary["InUse"] = json!(!users.is_empty());
        summary["KeyUsages"] = json!(content.map(|content| &content.key_usages));
        let names = content.map(|content| {
            content
                .extended_key_usages
                .iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        });
        summary["ExtendedKeyUsages"] = json!(names);
        if matches!(self.origin, Origin::Requested(_)) && !users.is_empty() {
            summary["RenewalEligibility"] = json!("ELIGIBLE");
        }
        summary
    }

    /// The certificate as `DescribeCertificate` shows it.
    pub(super) fn describe(&self, users: &[String], now: i64) -> Value {
        let mut described = self.outline(now);
        described["SubjectAlternativeNames"] = json!(self.names());
        described["InUseBy"] = json!(users);
        described["Options"] = json!({"CertificateTransparencyLoggingPreference": "DISABLED"});
        if let Origin::Requested(request) = &self.origin {
            described["DomainValidationOptions"] = request.validation_options(now);
            described["FailureReason"] = json!(request.failure);
            described["Options"] = json!({
                "CertificateTransparencyLoggingPreference": request.transparency,
                "Export": "DISABLED",
            });
            if !users.is_empty() {
                described["RenewalEligibility"] = json!("ELIGIBLE");
            }
        }
        if let Some(content) = &self.content {
            described["Serial"] = json!(content.serial);
            described["Subject"] = json!(content.subject);
            described["Issuer"] = json!(content.issuer);
            described["SignatureAlgorithm"] = json!(content.signature_algorithm);
            described["KeyUsages"] = content
                .key_usages
                .iter()
                .map(|name| json!({"Name": name}))
                .collect();
            let extended = content.extended_key_usages.iter();
            described["ExtendedKeyUsages"] = extended
                .map(|(name, oid)| json!({"Name": name, "OID": oid}))
                .collect();
        }
        described
    }
}
