//! CA bundles: the text that ELB accepts and the certificates that it accepts in it.
//!
//! A bundle is taken or refused as a whole. AWS tells little about the reason; the messages here
//! say more than AWS's do, the code is the same.

use base64::{Engine, engine::general_purpose::STANDARD};
use x509_parser::asn1_rs::Oid;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

use crate::sandbox::world::{Refusal, World};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The largest certificate; AWS does not raise it.
const LARGEST: usize = 16 * 1024;

/// Checks a bundle and counts its certificates.
pub(super) fn check(world: &World, content: &[u8]) -> Result<usize, Refusal> {
    let certificates = blocks(content).map_err(invalid)?;
    let mut subjects = 0;
    for (index, der) in certificates.iter().enumerate() {
        let place = |complaint: String| invalid(format!("Certificate {}: {complaint}", index + 1));
        subjects += check_certificate(der).map_err(place)?;
    }
    if certificates.len() as u64 > world.quota("L-43FE5A42", 25) {
        return Err(invalid(
            "The CA certificates bundle has too many certificates",
        ));
    }
    if subjects as u64 > world.quota("L-F31E307C", 10_000) {
        return Err(invalid(
            "The subjects of the CA certificates bundle are too large",
        ));
    }
    Ok(certificates.len())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidCaCertificatesBundle", message)
}

/// The certificates of a bundle in DER.
///
/// Stricter than PEM: outside of the blocks only comments that begin with `#` and hold no hyphen,
/// no blank line anywhere.
pub(in crate::sandbox) fn blocks(content: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let text = std::str::from_utf8(content).map_err(|_| "The bundle is not in PEM format")?;
    let mut certificates = Vec::new();
    let mut block: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let at = |complaint: &str| Err(format!("Line {}: {complaint}", index + 1));
        match (&mut block, line) {
            (_, blank) if blank.trim().is_empty() => return at("blank lines are not allowed"),
            (None, BEGIN) => block = Some(String::new()),
            (None, comment) if comment.starts_with('#') => {
                if comment.contains('-') {
                    return at("comments must not contain '-'");
                }
            }
            (None, _) => return at("only certificates and comments are allowed"),
            (Some(base64), END) => {
                let der = STANDARD.decode(base64.as_bytes());
                certificates.push(der.map_err(|_| "The bundle is not in PEM format")?);
                block = None;
            }
            (Some(base64), line) => base64.push_str(line),
        }
    }
    if block.is_some() {
        return Err("A certificate does not end".to_owned());
    }
    if certificates.is_empty() {
        return Err("The bundle has no certificates".to_owned());
    }
    Ok(certificates)
}

/// Checks one certificate and measures its subject in bytes of DER.
fn check_certificate(der: &[u8]) -> Result<usize, String> {
    if der.len() > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let Ok((&[], certificate)) = X509Certificate::from_der(der) else {
        return Err("it cannot be parsed".to_owned());
    };
    if certificate.version() != X509Version::V3 {
        return Err("it is not an X.509 version 3 certificate".to_owned());
    }
    let constraints = certificate.basic_constraints();
    if !matches!(constraints, Ok(Some(extension)) if extension.value.ca) {
        return Err("it is not a CA certificate".to_owned());
    }
    check_key(&certificate)?;
    check_signature(&certificate.signature_algorithm)?;
    Ok(certificate.subject().as_raw().len())
}

/// Refuses keys other than those that ELB takes.
pub(in crate::sandbox) fn check_key(certificate: &X509Certificate<'_>) -> Result<(), String> {
    let info = certificate.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) if (2048..=8192).contains(&key.key_size()) => Ok(()),
        Ok(PublicKey::RSA(key)) => Err(format!("its RSA key has {} bits", key.key_size())),
        Ok(PublicKey::EC(_)) => {
            let parameters = info.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|curve| curve.as_oid().ok());
            let supported = curve.is_some_and(|curve| CURVES.contains(&id(&curve).as_str()));
            supported
                .then_some(())
                .ok_or_else(|| "its curve is not supported".to_owned())
        }
        _ => Err("its public key is of an unsupported type".to_owned()),
    }
}

/// secp256r1, secp384r1, secp521r1.
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];

/// SHA-256, SHA-384 and SHA-512, first with RSA and then with ECDSA.
const SIGNATURES: [&str; 6] = [
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
];

const RSASSA_PSS: &str = "1.2.840.113549.1.1.10";
const MGF1: &str = "1.2.840.113549.1.1.8";

/// SHA-256, SHA-384, SHA-512.
const HASHES: [&str; 3] = [
    "2.16.840.1.101.3.4.2.1",
    "2.16.840.1.101.3.4.2.2",
    "2.16.840.1.101.3.4.2.3",
];

fn id(oid: &Oid<'_>) -> String {
    oid.to_id_string()
}

/// Refuses signatures other than those that ELB takes, in certificates and in revocation lists.
pub(in crate::sandbox) fn check_signature(
    algorithm: &AlgorithmIdentifier<'_>,
) -> Result<(), String> {
    let signature = id(&algorithm.algorithm);
    let supported = if signature == RSASSA_PSS {
        is_supported_pss(algorithm)
    } else {
        SIGNATURES.contains(&signature.as_str())
    };
    supported
        .then_some(())
        .ok_or_else(|| format!("its signature algorithm {signature} is not supported"))
}

/// RSASSA-PSS has to use MGF1 with the hash that the message is hashed with.
fn is_supported_pss(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm)
    else {
        return false;
    };
    let hash = id(parameters.hash_algorithm_oid());
    let mask = parameters.mask_gen_algorithm();
    HASHES.contains(&hash.as_str())
        && mask.is_ok_and(|mask| id(&mask.mgf) == MGF1 && id(&mask.hash) == hash)
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::*;

    /// A self-signed certificate, changed before it is signed.
    pub(crate) fn certificate(change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
            .distinguished_name
            .push(DnType::CommonName, "Petstore CA");
        change(&mut parameters);
        let key = KeyPair::generate().expect("a key");
        parameters
            .self_signed(&key)
            .expect("a certificate")
            .pem()
            .replace("\r\n", "\n")
    }

    /// A certificate of X.509 version 1.
    const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFTCBvQIUb4kRm5FBGysd1A841bwIVVFhj60wCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwIBcNMjYxMTIxMjE0MzEzWhgPMjEyNjEwMjgyMTQzMTNaMA0xCzAJ
BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEt26zFlzH+BPvjiQK
aoYemYFtMpdaiODaJhhz+fHK0J8Y8uqdo6zN+08UO2bN7IHplVhiah9BzP97frdF
IJMd3jAKBggqhkjOPQQDAgNHADBEAiAyKmJPKqDlQToLYaWclmK1vi4BSdrLulq+
mpy8agWifgIgRrz7kGyOFrsm87tMmckZj4oegeT2GQo9UKNBWabMLQU=
-----END CERTIFICATE-----
";

    /// A CA that is signed with SHA-1.
    const SHA_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdDCCARqgAwIBAgIUWhLI+3MncSMHcwxHRGyjAlYG7GMwCQYHKoZIzj0EATAP
MQ0wCwYDVQQDDARzaGExMCAXDTI2MTEyMTIxNDMxM1oYDzIxMjYxMDI4MjE0MzEz
WjAPMQ0wCwYDVQQDDARzaGExMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEt26z
FlzH+BPvjiQKaoYemYFtMpdaiODaJhhz+fHK0J8Y8uqdo6zN+08UO2bN7IHplVhi
ah9BzP97frdFIJMd3qNTMFEwHQYDVR0OBBYEFNqKWXWn6ejvCK51y1iLm3TSsxJH
MB8GA1UdIwQYMBaAFNqKWXWn6ejvCK51y1iLm3TSsxJHMA8GA1UdEwEB/wQFMAMB
Af8wCQYHKoZIzj0EAQNJADBGAiEAkzljIZ0um7dc5XakXLppWBzRwhXH2ktEH3Gg
oQFTqWQCIQDxIiWcBtNimK5ZD5M5SZxvIOvmomwz0S9HAArglT9wcw==
-----END CERTIFICATE-----
";

    /// A CA with an RSA key of 1,024 bits.
    const SHORT: &str = "\
-----BEGIN CERTIFICATE-----
MIIB/jCCAWegAwIBAgIUW6Jj5X3/lWxqY/pszXgI+1qLa4AwDQYJKoZIhvcNAQEL
BQAwEDEOMAwGA1UEAwwFc2hvcnQwIBcNMjYxMTIxMjE0MzEzWhgPMjEyNjEwMjgy
MTQzMTNaMBAxDjAMBgNVBAMMBXNob3J0MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB
iQKBgQDGLpweObnysUvgRxI8AUJvXex92XsQDpZV6KB4wyKGZogUXi4I2ZUargFt
bzFSwSIpWkOMg53d2mlT6ukMJ9p+Q54BuAHiad+708KhMXpyNQBGJGLVQkBYQ+Kx
Du8nYjm+1b4ngJWjWxbamVQIgSADDEmCs1qGjYcgrafheNSijQIDAQABo1MwUTAd
BgNVHQ4EFgQUhQOnwkL8Zet/9GICD3xbrJc90G4wHwYDVR0jBBgwFoAUhQOnwkL8
Zet/9GICD3xbrJc90G4wDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOB
gQCH81VtUWmVqdm/SqckbdEZtlYR7x/X0DSrVCHciOmxbN5sQkZJIeZ1uj77wcYA
tRYdFFZgI2EyYFGuNrJh/XltEXWQOf8s0NwhXy5+p/RgterqNWlQ58UwD7QoyWru
cUBd5QKhde0tyBedEMHzofX1zdp4qmFze1lsekEJXqSD9w==
-----END CERTIFICATE-----
";

    fn refused(content: &str) -> String {
        let refusal =
            check(&World::fresh("123456789012"), content.as_bytes()).expect_err("refused");
        assert_eq!(refusal.code, "InvalidCaCertificatesBundle");
        refusal.message
    }

    #[test]
    fn certificates_and_comments_make_a_bundle() {
        let ca = certificate(|_| {});
        let bundle = format!("# the root\n{ca}# the same again\n{ca}");
        let world = World::fresh("123456789012");
        assert_eq!(check(&world, bundle.as_bytes()), Ok(2));
    }

    #[test]
    fn a_blank_line_spoils_the_bundle() {
        let ca = certificate(|_| {});
        assert!(refused(&format!("{ca}\n{ca}")).contains("blank lines"));
    }

    #[test]
    fn a_hyphen_in_a_comment_spoils_the_bundle() {
        let ca = certificate(|_| {});
        assert!(refused(&format!("# sub-ca\n{ca}")).contains("must not contain '-'"));
    }

    #[test]
    fn what_openssl_prints_before_the_certificate_spoils_the_bundle() {
        let ca = certificate(|_| {});
        assert!(refused(&format!("Certificate:\n    Data:\n{ca}")).contains("Line 1"));
    }

    #[test]
    fn a_leaf_spoils_the_bundle() {
        let leaf = certificate(|parameters| parameters.is_ca = IsCa::ExplicitNoCa);
        assert_eq!(refused(&leaf), "Certificate 1: it is not a CA certificate");
        let plain = certificate(|parameters| parameters.is_ca = IsCa::NoCa);
        assert_eq!(refused(&plain), "Certificate 1: it is not a CA certificate");
    }

    #[test]
    fn old_and_weak_certificates_spoil_the_bundle() {
        assert!(refused(VERSION_1).ends_with("not an X.509 version 3 certificate"));
        assert!(refused(SHA_1).ends_with("1.2.840.10045.4.1 is not supported"));
        assert!(refused(SHORT).ends_with("its RSA key has 1024 bits"));
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let edwards = parameters.self_signed(&key).expect("a certificate").pem();
        assert!(refused(&edwards).ends_with("its public key is of an unsupported type"));
    }

    #[test]
    fn twenty_six_certificates_are_too_many_until_the_quota_is_raised() {
        let bundle = certificate(|_| {}).repeat(26);
        assert!(refused(&bundle).contains("too many certificates"));
        let mut world = World::fresh("123456789012");
        world.quotas.insert("L-43FE5A42".to_owned(), 30);
        assert_eq!(check(&world, bundle.as_bytes()), Ok(26));
    }

    #[test]
    fn subjects_of_more_than_ten_thousand_bytes_are_too_large() {
        let large = certificate(|parameters| {
            let name = &mut parameters.distinguished_name;
            name.push(DnType::OrganizationName, "x".repeat(600));
        });
        assert!(refused(&large.repeat(20)).contains("too large"));
    }

    #[test]
    fn nothing_and_der_are_no_bundle() {
        assert!(refused("").contains("no certificates"));
        let der = pem::parse(certificate(|_| {})).expect("PEM");
        let refusal = check(&World::fresh("123456789012"), der.contents()).expect_err("refused");
        assert_eq!(refusal.code, "InvalidCaCertificatesBundle");
    }
}
