//! Certificate authorities made for the tests.

use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// A CA with its key.
pub(crate) struct Authority {
    /// Its certificate, PEM.
    pub(crate) certificate: String,
    /// A CRL with the serials 2 and 3, PEM.
    pub(crate) crl: String,
    params: CertificateParams,
    key: KeyPair,
}

/// The CA of [`super::Scenario::stack`]: one for the whole run.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("Harness Root CA"))
}

impl Authority {
    /// A fresh CA of this name.
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// A fresh CA of this name, with its certificate changed before it is signed.
    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = now - Duration::hours(1);
        params.not_after = now + Duration::days(3650);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        change(&mut params);
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.self_signed(&key).expect("can be signed").pem();
        let mut authority = Self {
            certificate,
            crl: String::new(),
            params,
            key,
        };
        authority.crl = authority.crl_of(1, &[2, 3]);
        authority
    }

    /// A CRL with this number and these serials, PEM.
    pub(crate) fn crl_of(&self, number: u64, serials: &[u64]) -> String {
        let now = OffsetDateTime::now_utc();
        let validity = (now - Duration::hours(1), now + Duration::days(365));
        self.crl_between(number, serials, validity)
    }

    /// A CRL with this number and these serials, PEM, issued at the one and due at the other time.
    pub(crate) fn crl_between(
        &self,
        number: u64,
        serials: &[u64],
        (this_update, next_update): (OffsetDateTime, OffsetDateTime),
    ) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = Issuer::from_params(&self.params, &self.key);
        let crl = params.signed_by(&issuer).expect("can be signed");
        crl.pem().expect("is PEM")
    }

    /// A server certificate of its own, for these names.
    pub(crate) fn server(names: &[&str]) -> Self {
        Self::with("Server", |params| be_server(params, names))
    }

    /// A server certificate for these names that it has signed, and its key; PEM.
    pub(crate) fn issue(&self, names: &[&str]) -> (String, String) {
        let mut params = self.params.clone();
        params.distinguished_name = DistinguishedName::new();
        be_server(&mut params, names);
        let key = KeyPair::generate().expect("there is randomness");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("can be signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// The certificate of a client with this name and serial, PEM.
    pub(crate) fn client(&self, name: &str, serial: u64) -> String {
        self.client_until(name, serial, OffsetDateTime::now_utc() + Duration::days(45))
    }

    /// The same that ends at this time.
    pub(crate) fn client_until(&self, name: &str, serial: u64, end: OffsetDateTime) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = end - Duration::days(60);
        params.not_after = end;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("there is randomness");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("can be signed");
        certificate.pem()
    }

    /// The certificate of a client with this name and serial, changed before it is signed, and its
    /// key; PEM.
    pub(crate) fn client_with(
        &self,
        name: &str,
        serial: u64,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = now - Duration::days(30);
        params.not_after = now + Duration::days(30);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().expect("there is randomness");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("can be signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// A CA of this name below it, with a key of this kind.
    pub(crate) fn below_with(&self, name: &str, kind: &'static rcgen::SignatureAlgorithm) -> Self {
        let mut below = Self::with(name, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        });
        below.key = KeyPair::generate_for(kind).expect("there is randomness");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = below.params.signed_by(&below.key, &issuer);
        below.certificate = certificate.expect("can be signed").pem();
        below
    }

    /// A CA of this name below it.
    pub(crate) fn below(&self, name: &str) -> Self {
        let mut below = Self::new(name);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = below.params.signed_by(&below.key, &issuer);
        below.certificate = certificate.expect("can be signed").pem();
        below
    }

    /// A certificate with these parameters for a key, DER.
    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let signed = params.signed_by(key, &issuer).expect("can be signed");
        signed.der().to_vec()
    }

    /// The CA's own key, PEM: what must never get anywhere.
    pub(crate) fn private_key(&self) -> String {
        self.key.serialize_pem()
    }
}

/// Makes a server's certificate of it.
fn be_server(params: &mut CertificateParams, names: &[&str]) {
    let name = |name: &&str| SanType::DnsName((*name).try_into().expect("is ASCII"));
    params.subject_alt_names = names.iter().map(name).collect();
    params.is_ca = IsCa::NoCa;
    params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}
