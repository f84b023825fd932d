//! `ImportCertificate`: certificates that were made elsewhere, with their keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use super::certificate::{Certificate, Origin};
use super::content::{Content, key_algorithm};
use super::{Tags, check_quota, existing, new_arn, put_tags};
use crate::sandbox::world::{Call, Refusal, World};

/// Answers `ImportCertificate`, with an ARN as a re-import to it.
pub(super) fn import_certificate(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let (content, key) = read_certificate(call, now)?;
    let mut tags = Tags::new();
    put_tags(&mut tags, call.list("Tags"))?;
    let arn = if let Some(arn) = call.text("CertificateArn") {
        if !tags.is_empty() {
            let message = "You cannot apply tags when reimporting a certificate.";
            return Err(Refusal::new("InvalidParameterException", message));
        }
        check_successor(existing(world, call.region, arn)?, &content)?;
        arn.to_owned()
    } else {
        check_quota(world, call, "L-3BF5A1BB")?;
        new_arn(world, call.region)
    };
    world.keys.0.insert(arn.clone(), key);
    let certificates = &mut world.region(call.region).acm.certificates;
    let certificate = certificates
        .entry(arn.clone())
        .or_insert_with(|| Certificate {
            arn: arn.clone(),
            origin: Origin::Imported,
            content: None,
            created_at: now,
            issued_at: None,
            tags,
        });
    certificate.content = Some(content);
    certificate.issued_at = Some(now);
    Ok(json!({"CertificateArn": arn}))
}

/// The certificate of the call with its chain, and its private key, after all of ACM's checks.
fn read_certificate(call: &Call<'_>, now: i64) -> Result<(Content, String), Refusal> {
    let mut blocks = certificates(&blob(call, "Certificate")?, "certificate")?;
    let Some(der) = blocks.pop().filter(|_| blocks.is_empty()) else {
        let message = "The certificate field contains more than one certificate. \
                       You can specify only one certificate \
                       in this field.";
        return Err(invalid(message));
    };
    let chain = match call.text("CertificateChain") {
        Some(_) => certificates(&blob(call, "CertificateChain")?, "certificate chain")?,
        None => Vec::new(),
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return Err(invalid("The certificate is not a valid X.509 certificate."));
    };
    check_certificate(&certificate, now)?;
    match key_algorithm(certificate.public_key()).as_deref() {
        None => {
            return Err(invalid(
                "The key algorithm of the certificate is not supported.",
            ));
        }
        Some("RSA_1024") => return Err(Refusal::not_modelled(call.operation, "RSA_1024")),
        Some(_) => {}
    }
    check_chain(&certificate, &der, &chain)?;
    let key = read_key(&blob(call, "PrivateKey")?)?;
    if key.public_key_raw() != certificate.public_key().subject_public_key.data.as_ref() {
        return Err(invalid(
            "The private key does not match the public key of the certificate.",
        ));
    }
    let Some(content) = Content::read(&der) else {
        return Err(invalid(
            "The certificate names neither a domain nor an IP address.",
        ));
    };
    let chain = chain
        .iter()
        .map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.as_slice())))
        .collect();
    Ok((Content { chain, ..content }, key.serialize_pem()))
}

/// Imports are refused with this code, which the model does not declare for them.
fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationException", message)
}

fn blob(call: &Call<'_>, member: &str) -> Result<String, Refusal> {
    let bytes = STANDARD
        .decode(call.required(member))
        .map_err(|_| invalid("The blob is not valid base64."))?;
    let limit = match member {
        "Certificate" => 32_768,
        "PrivateKey" => 5_120,
        _ => 2_097_152,
    };
    if bytes.len() > limit {
        let member = member[..1].to_ascii_lowercase() + &member[1..];
        let message = format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: \
             Member must have length \
             less than or equal to {limit}"
        );
        return Err(invalid(message));
    }
    String::from_utf8(bytes).map_err(|_| invalid("The field is not PEM-encoded."))
}

fn certificates(text: &str, what: &str) -> Result<Vec<Vec<u8>>, Refusal> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    if blocks.is_empty() || blocks.iter().any(|block| block.tag() != "CERTIFICATE") {
        return Err(invalid(format!(
            "The {what} body is not in a valid PEM format."
        )));
    }
    Ok(blocks.into_iter().map(pem::Pem::into_contents).collect())
}

fn check_certificate(certificate: &X509Certificate<'_>, now: i64) -> Result<(), Refusal> {
    let (now, validity) = (now.div_euclid(1000), certificate.validity());
    if certificate.version() != X509Version::V3 {
        return Err(invalid(
            "The certificate must be an X.509 version 3 certificate.",
        ));
    }
    if certificate.issuer().iter().next().is_none() {
        return Err(invalid(
            "The issuer field of the certificate must not be empty.",
        ));
    }
    if now < validity.not_before.timestamp() {
        return Err(invalid("The certificate is not valid yet."));
    }
    if now > validity.not_after.timestamp() {
        return Err(invalid("The certificate has expired."));
    }
    Ok(())
}

/// Refuses a chain unless each certificate certifies the one before it, the first one's subject
/// included.
fn check_chain(
    certificate: &X509Certificate<'_>,
    der: &[u8],
    chain: &[Vec<u8>],
) -> Result<(), Refusal> {
    if chain.is_empty() {
        return if certifies(certificate, certificate) {
            Ok(())
        } else {
            Err(invalid(
                "Provided certificate is not a valid self signed. Please provide either a valid \
             self-signed certificate \
                 or certificate chain.",
            ))
        };
    }
    let mismatch = || invalid("Could not validate the certificate with the certificate chain.");
    if chain.iter().any(|other| other == der) {
        return Err(mismatch());
    }
    let mut parsed = vec![certificate.clone()];
    for other in chain {
        parsed.push(X509Certificate::from_der(other).map_err(|_| mismatch())?.1);
    }
    if parsed.windows(2).all(|pair| certifies(&pair[1], &pair[0])) {
        Ok(())
    } else {
        Err(mismatch())
    }
}

fn certifies(issuer: &X509Certificate<'_>, subject: &X509Certificate<'_>) -> bool {
    // Signatures that the library cannot verify, those of P-521, are judged by the names alone.
    let is_signed = matches!(
        subject.verify_signature(Some(issuer.public_key())),
        Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm)
    );
    is_signed && subject.issuer() == issuer.subject()
}

fn read_key(text: &str) -> Result<KeyPair, Refusal> {
    if text.contains("ENCRYPTED") {
        return Err(invalid(
            "The private key is encrypted. Only an unencrypted private key can be imported.",
        ));
    }
    let blocks = pem::parse_many(text).unwrap_or_default();
    let mut keys = blocks
        .iter()
        .filter(|block| block.tag().ends_with("PRIVATE KEY"));
    match (keys.next(), keys.next()) {
        (Some(key), None) => KeyPair::try_from(key.contents())
            .map_err(|_| invalid("The private key is not supported.")),
        _ => Err(invalid(
            "The private key body is not in a valid PEM format.",
        )),
    }
}

/// Refuses a certificate that may not take the place of the one there is.
fn check_successor(certificate: &Certificate, content: &Content) -> Result<(), Refusal> {
    let Certificate {
        origin: Origin::Imported,
        content: Some(before),
        ..
    } = certificate
    else {
        return Err(invalid(
            "You can only reimport a certificate that was imported.",
        ));
    };
    if before.key_algorithm != content.key_algorithm {
        return Err(invalid(
            "The key algorithm and size must be those of the certificate to be replaced.",
        ));
    }
    // Two exceptions are documented: key encipherment with ECDSA, and client authentication.
    let lost_usage = before.key_usages.iter().any(|usage| {
        let may_go = usage == "KEY_ENCIPHERMENT" && content.key_algorithm.starts_with("EC_");
        !may_go && !content.key_usages.contains(usage)
    });
    let lost_extended = before.extended_key_usages.iter().any(|usage| {
        usage.0 != "TLS_WEB_CLIENT_AUTHENTICATION" && !content.extended_key_usages.contains(usage)
    });
    if lost_usage || lost_extended {
        return Err(invalid(
            "Key usages of the certificate to be replaced must not be removed.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyUsagePurpose};

    use super::super::tests::{answer, ask, describe, patient, refusal};
    use super::*;

    /// A certificate authority or a server, with its key.
    struct Made {
        params: CertificateParams,
        key: KeyPair,
        pem: String,
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn root(name: &str) -> Made {
        let (mut params, key) = (params(name), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Made { params, key, pem }
    }

    fn signed(issuer: &Made, params: CertificateParams) -> Made {
        let key = KeyPair::generate().unwrap();
        let pem = params
            .signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key))
            .unwrap()
            .pem();
        Made { params, key, pem }
    }

    fn input(certificate: &str, key: &str, chain: Option<&str>) -> Value {
        json!({
            "Certificate": STANDARD.encode(certificate),
            "PrivateKey": STANDARD.encode(key),
            "CertificateChain": chain.map(|chain| STANDARD.encode(chain)),
        })
    }

    #[test]
    fn a_self_signed_certificate_is_imported_without_a_chain() {
        let mut world = patient();
        let server = root("www.example.com");
        let imported = answer(
            &mut world,
            "ImportCertificate",
            &input(&server.pem, &server.key.serialize_pem(), None),
        );
        let arn = imported["CertificateArn"].as_str().unwrap();
        let described = describe(&mut world, arn);
        assert_eq!(
            (&described["Status"], &described["Type"]),
            (&json!("ISSUED"), &json!("IMPORTED"))
        );
        assert_eq!(described["DomainName"], "www.example.com");
        assert_eq!(described["KeyAlgorithm"], "EC-prime256v1");
        assert_eq!(described["ImportedAt"], 1_700_000_000);
        let got = answer(&mut world, "GetCertificate", &imported);
        assert_eq!(
            pem::parse(got["Certificate"].as_str().unwrap()).unwrap(),
            pem::parse(&server.pem).unwrap()
        );
        assert_eq!(got["CertificateChain"], Value::Null);
        assert!(world.keys.0.contains_key(arn));
    }

    #[test]
    fn a_chain_leads_up_from_the_certificate() {
        let mut world = patient();
        let root = root("Root");
        let mut authority = params("Intermediate");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let intermediate = signed(&root, authority);
        let server = signed(&intermediate, params("www.example.com"));
        let key = server.key.serialize_pem();
        let mut result = |chain: Option<String>| {
            let input = input(&server.pem, &key, chain.as_deref());
            ask(&mut world, "ImportCertificate", &input).map_err(|refusal| refusal.message)
        };
        let whole = format!("{}{}", intermediate.pem, root.pem);
        assert!(result(Some(whole.clone())).is_ok());
        assert!(result(Some(intermediate.pem.clone())).is_ok());
        let mismatch = "Could not validate the certificate with the certificate chain.";
        assert_eq!(
            result(Some(format!("{}{}", root.pem, intermediate.pem))).unwrap_err(),
            mismatch
        );
        assert_eq!(
            result(Some(format!("{}{whole}", server.pem))).unwrap_err(),
            mismatch
        );
        assert!(
            result(None)
                .unwrap_err()
                .starts_with("Provided certificate is not a valid self signed.")
        );
    }

    #[test]
    fn certificate_and_key_are_checked() {
        let mut world = patient();
        let (server, other) = (root("www.example.com"), root("www.example.org"));
        let key = server.key.serialize_pem();
        let expired = {
            let mut params = params("www.example.com");
            params.not_after = time::OffsetDateTime::from_unix_timestamp(1_600_000_000).unwrap();
            params.self_signed(&server.key).unwrap().pem()
        };
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        for (certificate, key) in [
            ("nothing", key.as_str()),
            (&server.pem, "nothing"),
            (&server.pem, &encrypted),
            (&server.pem, &other.key.serialize_pem()),
            (&format!("{}{}", server.pem, other.pem), &key),
            (&expired, &key),
            (&server.pem, &" ".repeat(5_121)),
        ] {
            let input = input(certificate, key, None);
            assert_eq!(
                refusal(&mut world, "ImportCertificate", &input),
                "ValidationException",
                "{certificate}"
            );
        }
    }

    #[test]
    fn a_reimport_keeps_arn_and_tags() {
        let mut world = patient();
        let (first, second) = (root("www.example.com"), root("www.example.com"));
        let mut import = input(&first.pem, &first.key.serialize_pem(), None);
        import["Tags"] = json!([{"Key": "a", "Value": "1"}]);
        let arn = answer(&mut world, "ImportCertificate", &import)["CertificateArn"].clone();
        world.now += 1_000_000;
        let mut again = input(&second.pem, &second.key.serialize_pem(), None);
        again["CertificateArn"] = arn.clone();
        assert_eq!(
            answer(&mut world, "ImportCertificate", &again)["CertificateArn"],
            arn
        );
        let described = describe(&mut world, arn.as_str().unwrap());
        assert_eq!(
            (&described["CreatedAt"], &described["ImportedAt"]),
            (&json!(1_700_000_000), &json!(1_700_001_000))
        );
        let tags = answer(
            &mut world,
            "ListTagsForCertificate",
            &json!({"CertificateArn": arn}),
        );
        assert_eq!(tags["Tags"][0]["Key"], "a");
        again["Tags"] = json!([{"Key": "b"}]);
        assert_eq!(
            refusal(&mut world, "ImportCertificate", &again),
            "InvalidParameterException"
        );
    }

    #[test]
    fn a_reimport_keeps_the_kind_of_key_and_the_key_usages() {
        let mut world = patient();
        let mut with_usages = params("www.example.com");
        with_usages.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        let key = KeyPair::generate().unwrap();
        let mut import = |params: &CertificateParams, key: &KeyPair, arn: Option<&Value>| {
            let mut input = input(
                &params.self_signed(key).unwrap().pem(),
                &key.serialize_pem(),
                None,
            );
            input["CertificateArn"] = json!(arn);
            ask(&mut world, "ImportCertificate", &input)
                .map(|answer| answer["CertificateArn"].clone())
        };
        let arn = import(&with_usages, &key, None).unwrap();
        let larger = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(
            import(&with_usages, &larger, Some(&arn)).unwrap_err().code,
            "ValidationException"
        );
        let mut fewer = with_usages.clone();
        fewer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        assert!(
            import(&fewer, &key, Some(&arn)).is_ok(),
            "with ECDSA, key encipherment may go"
        );
        fewer.key_usages = vec![KeyUsagePurpose::KeyAgreement];
        assert_eq!(
            import(&fewer, &key, Some(&arn)).unwrap_err().code,
            "ValidationException"
        );
    }
}
