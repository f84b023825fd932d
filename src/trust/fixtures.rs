//! Certificates and CRLs made on the spot for the tests of this module.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::certificate::Certificate;
use super::crl::Crl;
use super::der::Reader;

/// The present of all tests.
pub(crate) const NOW: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

/// When certificates end, unless a test wants otherwise.
pub(crate) const EXPIRY: OffsetDateTime = datetime!(2035-01-01 0:00 UTC);

/// A certificate with its key, to issue others.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl Authority {
    /// Makes an ordinary root.
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// Makes a root with a key of the algorithm.
    pub(crate) fn with_algorithm(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        Self::self_signed(authority_params(name), key)
    }

    /// Makes a root that differs from an ordinary one.
    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        Self::self_signed(params, KeyPair::generate().unwrap())
    }

    /// Makes a self-signed certificate without basicConstraints.
    pub(crate) fn leaf(name: &str) -> Self {
        Self::with(name, |params| params.is_ca = IsCa::NoCa)
    }

    /// Makes a CA below this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(name, |_| {})
    }

    /// Makes a CA below this one that differs from an ordinary one.
    pub(crate) fn intermediate_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority_params(name);
        change(&mut params);
        let certificate = self.issue(&params, &key);
        Self {
            params,
            key,
            certificate,
        }
    }

    /// Issues a server certificate.
    pub(crate) fn server(&self, names: &[&str]) -> Certificate {
        self.server_with(names, |_| {})
    }

    /// Issues a server certificate that differs from an ordinary one.
    pub(crate) fn server_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let common_name = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = NOW - Duration::days(1);
        params.not_after = EXPIRY;
        change(&mut params);
        self.issue(&params, &KeyPair::generate().unwrap())
    }

    /// Issues a client certificate with the serial.
    pub(crate) fn client(&self, serial: u8) -> Certificate {
        self.client_with(serial, |_| {})
    }

    /// Issues a client certificate that differs from an ordinary one.
    pub(crate) fn client_with(
        &self,
        serial: u8,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = NOW - Duration::days(1);
        params.not_after = EXPIRY;
        change(&mut params);
        self.issue(&params, &KeyPair::generate().unwrap())
    }

    /// Certifies the name and key of another authority.
    pub(crate) fn cross_sign(&self, other: &Self) -> Certificate {
        self.issue(&other.params, &other.key)
    }

    /// Signs a CRL with the serials, number 1, due for the next in 60 days.
    pub(crate) fn crl(&self, serials: &[u8]) -> Crl {
        self.crl_of(&CrlParts {
            serials: serials.iter().map(|serial| vec![0, *serial]).collect(),
            extensions: vec![extension(&[0x55, 0x1d, 20], false, &tlv(0x02, &[1]))],
            ..CrlParts::default()
        })
    }

    /// Signs a CRL of any shape, rcgen's being always well-formed.
    pub(crate) fn crl_of(&self, parts: &CrlParts) -> Crl {
        let algorithm = [0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        let algorithm = tlv(0x30, &algorithm);
        let issuer = self.certificate.subject.as_der().to_vec();
        let list = tlv(
            0x30,
            &[vec![2, 1, 1], algorithm.clone(), issuer, parts.tail()].concat(),
        );
        let mut signature = vec![0];
        signature.extend(self.key.sign(&list).unwrap());
        let crl = tlv(0x30, &[list, algorithm, tlv(0x03, &signature)].concat());
        Crl::from_der(&crl).unwrap()
    }

    /// Returns the certificate.
    pub(crate) fn certificate(&self) -> Certificate {
        self.certificate.clone()
    }

    /// Returns the key as PKCS#8 PEM with LF.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem().replace('\r', "")
    }

    /// Returns the key as PKCS#8 DER.
    pub(crate) fn key_der(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    /// Issues a certificate for a key.
    pub(crate) fn issue(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Certificate {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let issued = params.signed_by(key, &issuer).unwrap();
        Certificate::from_der(issued.der()).unwrap()
    }

    /// Replaces bytes of a certificate by as many others wherever they are, and signs it anew.
    pub(crate) fn reissue(&self, certificate: &Certificate, from: &[u8], to: &[u8]) -> Certificate {
        assert_eq!(from.len(), to.len());
        let mut whole = Reader::new(&certificate.der).next().unwrap().reader();
        let mut list = whole.next().unwrap().raw.to_vec();
        let algorithm = whole.next().unwrap().raw.to_vec();
        let starts = 0..list.len() - from.len();
        let found: Vec<usize> = starts.filter(|&at| list[at..].starts_with(from)).collect();
        assert!(!found.is_empty());
        for at in found {
            list[at..at + from.len()].copy_from_slice(to);
        }
        let mut signature = vec![0];
        signature.extend(self.key.sign(&list).unwrap());
        let der = tlv(0x30, &[list, algorithm, tlv(0x03, &signature)].concat());
        Certificate::from_der(&der).unwrap()
    }

    /// Signs a certificate with its own key.
    fn self_signed(params: CertificateParams, key: KeyPair) -> Self {
        let issued = params.self_signed(&key).unwrap();
        Self {
            certificate: Certificate::from_der(issued.der()).unwrap(),
            params,
            key,
        }
    }
}

/// What an ordinary CA certificate says.
fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = NOW - Duration::days(1);
    params.not_after = EXPIRY;
    params
}

/// The parts of a CRL that tests vary.
pub(crate) struct CrlParts {
    /// The content octets of the serials.
    pub(crate) serials: Vec<Vec<u8>>,
    /// The extensions, each as DER.
    pub(crate) extensions: Vec<Vec<u8>>,
    /// When it was issued.
    pub(crate) this_update: OffsetDateTime,
    /// When the next list is due.
    pub(crate) next_update: Option<OffsetDateTime>,
}

impl Default for CrlParts {
    fn default() -> Self {
        Self {
            serials: Vec::new(),
            extensions: Vec::new(),
            this_update: NOW,
            next_update: Some(NOW + Duration::days(60)),
        }
    }
}

impl CrlParts {
    /// Writes the fields from thisUpdate on.
    fn tail(&self) -> Vec<u8> {
        let mut tail = utc_time(self.this_update);
        tail.extend(self.next_update.map(utc_time).unwrap_or_default());
        if !self.serials.is_empty() {
            let entry = |serial: &Vec<u8>| tlv(0x30, &[tlv(0x02, serial), utc_time(NOW)].concat());
            tail.extend(tlv(
                0x30,
                &self.serials.iter().flat_map(entry).collect::<Vec<u8>>(),
            ));
        }
        if !self.extensions.is_empty() {
            tail.extend(tlv(0xa0, &tlv(0x30, &self.extensions.concat())));
        }
        tail
    }
}

/// Writes an extension.
pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical {
        tlv(0x01, &[0xff])
    } else {
        Vec::new()
    };
    tlv(0x30, &[tlv(0x06, oid), critical, tlv(0x04, value)].concat())
}

/// Writes a time of the type that CRLs use until 2049.
fn utc_time(time: OffsetDateTime) -> Vec<u8> {
    let (date, clock) = (time.date(), time.time());
    let text = format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}Z",
        date.year() % 100,
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    tlv(0x17, text.as_bytes())
}

/// Writes one DER element.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    if let Ok(short @ 0..0x80) = u8::try_from(content.len()) {
        der.push(short);
    } else {
        let length = u32::try_from(content.len()).unwrap();
        der.push(0x84);
        der.extend(length.to_be_bytes());
    }
    der.extend(content);
    der
}
