//! The certificate authority that signs what ACM issues; nobody outside the sandbox trusts it.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::content::Content;
use super::key::new_key;
use crate::sandbox::world::{Refusal, World};

/// Under what name the key store has the authority: its key and its certificate, one after the
/// other.
const AUTHORITY: &str = "certificate-authority";

/// How long the certificates that ACM issues are valid.
const VALIDITY: Duration = Duration::days(198);

/// The authority's certificate in PEM form, which a client has to trust to accept the sandbox's
/// servers.
pub(in crate::sandbox) fn authority_certificate(world: &mut World) -> Result<String, Refusal> {
    let authority = authority(world).map_err(|error| failure(&error))?;
    let certificate = authority.iter().find(|block| block.tag() == "CERTIFICATE");
    Ok(certificate.map(pem::encode).unwrap_or_default())
}

/// The authority's certificate in PEM form, if anything was issued yet.
pub(in crate::sandbox) fn known_certificate(world: &World) -> Option<String> {
    let authority = pem::parse_many(world.keys.0.get(AUTHORITY)?).ok()?;
    Some(block(&authority, "CERTIFICATE"))
}

/// A certificate with its chain for a name of an AWS service, and its private key; ACM does not
/// list it.
pub(in crate::sandbox) fn of_service(
    world: &mut World,
    name: &str,
) -> Result<(String, String), Refusal> {
    let key = new_key("EC_prime256v1").map_err(|error| failure(&error))?;
    let (content, key) = issue(world, &[name.to_owned()], &key)?;
    Ok((format!("{}\n{}", content.pem, content.chain), key))
}

/// A new certificate for the names and a key, and that key in PEM form.
pub(super) fn issue(
    world: &mut World,
    names: &[String],
    key: &KeyPair,
) -> Result<(Content, String), Refusal> {
    let der = sign(world, names, key).map_err(|error| failure(&error))?;
    let chain = authority_certificate(world)?;
    let content =
        Content::read(&der).ok_or_else(|| failure(&rcgen::Error::CouldNotParseCertificate))?;
    Ok((
        Content {
            chain,
            issuer: "Amazon".to_owned(),
            ..content
        },
        key.serialize_pem(),
    ))
}

fn sign(world: &mut World, names: &[String], key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let authority = authority(world)?;
    let authority_key = KeyPair::from_pem(&block(&authority, "PRIVATE KEY"))?;
    let issuer = Issuer::from_ca_cert_pem(&block(&authority, "CERTIFICATE"), authority_key)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, names.first().map_or("", String::as_str));
    for name in names {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    if key.algorithm() == &rcgen::PKCS_RSA_SHA256 {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial_number(world));
    params.not_before = midnight(world.now);
    params.not_after = params.not_before + VALIDITY - Duration::SECOND;
    Ok(params.signed_by(key, &issuer)?.der().to_vec())
}

fn authority(world: &mut World) -> Result<Vec<pem::Pem>, rcgen::Error> {
    let unreadable = |_| rcgen::Error::CouldNotParseCertificate;
    if let Some(held) = world.keys.0.get(AUTHORITY) {
        return pem::parse_many(held).map_err(unreadable);
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "mtlsgw sandbox");
    params
        .distinguished_name
        .push(DnType::CommonName, "mtlsgw sandbox certificate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial_number(world));
    params.not_before = midnight(world.now) - Duration::DAY;
    params.not_after = params.not_before + Duration::days(20 * 365);
    let made = key.serialize_pem() + &params.self_signed(&key)?.pem();
    let authority = pem::parse_many(&made).map_err(unreadable)?;
    world.keys.0.insert(AUTHORITY.to_owned(), made);
    Ok(authority)
}

fn block(authority: &[pem::Pem], tag: &str) -> String {
    authority
        .iter()
        .find(|block| block.tag() == tag)
        .map(pem::encode)
        .unwrap_or_default()
}

/// A number that no other certificate of the account has; positive, as its first digit is below
/// eight.
fn serial_number(world: &mut World) -> SerialNumber {
    let digits = format!("0{}", world.unique_hex(31));
    let bytes: Vec<u8> = (0..16)
        .filter_map(|place| u8::from_str_radix(&digits[2 * place..][..2], 16).ok())
        .collect();
    SerialNumber::from(bytes)
}

fn midnight(now: i64) -> OffsetDateTime {
    let day = now.div_euclid(86_400_000) * 86_400;
    OffsetDateTime::from_unix_timestamp(day).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

pub(super) fn failure(error: &rcgen::Error) -> Refusal {
    Refusal::new(
        "InternalFailure",
        format!("the sandbox could not issue a certificate: {error}"),
    )
    .with_status(500)
}
