//! Certificate authorities made for the tests.

use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
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

    /// The CA's own key, PEM: what must never get anywhere.
    pub(crate) fn private_key(&self) -> String {
        self.key.serialize_pem()
    }
}
