//! How API Gateway judges the certificate of a backend.
//!
//! What is refused is told in the words that its execution logs have for it: those of the Java
//! library that it is built on.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use x509_parser::certificate::X509Certificate;

/// Whether a chain has to be sent up to its root where any issuer will do: AWS says that "presence
/// of a root certificate authority" is checked, and has no other place to look for it.
const ROOT_HAS_TO_BE_SENT: bool = true;

/// Nobody vouches for the certificate.
const NO_PATH: &str = "PKIX path building failed: \
    sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification \
    path to requested target";

/// A certificate has expired, or is not in force yet.
const NOT_IN_FORCE: &str = "PKIX path validation failed: \
    java.security.cert.CertPathValidatorException: validity check failed";

/// The root is no authority.
const NO_AUTHORITY: &str = "PKIX path validation failed: \
    java.security.cert.CertPathValidatorException: basic constraints check failed: this is not a CA \
    certificate";

/// The root may not sign certificates.
const MAY_NOT_SIGN: &str = "PKIX path validation failed: \
    java.security.cert.CertPathValidatorException: CA key usage check failed: keyCertSign bit is not \
    set";

/// What a backend's certificate has to be.
#[derive(Debug, Clone)]
pub(super) struct Demands {
    /// The name that it has to be for.
    pub(super) host: String,
    /// The authorities that it has to come from; none with `insecureSkipVerification`.
    pub(super) authorities: Option<Vec<CertificateDer<'static>>>,
    /// The sandbox's time in milliseconds.
    pub(super) now: i64,
}

impl Demands {
    /// Judges a certificate with those that were sent along.
    fn judge(
        &self,
        provider: &CryptoProvider,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<(), String> {
        match &self.authorities {
            Some(authorities) => self.path(provider, own, (others, authorities))?,
            None => self.root(provider, own, others)?,
        }
        self.name(own)
    }

    /// Looks for a path to one of the authorities.
    fn path(
        &self,
        provider: &CryptoProvider,
        own: &CertificateDer<'_>,
        (others, authorities): (&[CertificateDer<'_>], &[CertificateDer<'_>]),
    ) -> Result<(), String> {
        let unknown = |_| NO_PATH.to_owned();
        let parsed = webpki::EndEntityCert::try_from(own).map_err(unknown)?;
        let anchors = authorities.iter().map(webpki::anchor_from_trusted_cert);
        let anchors: Vec<_> = anchors.collect::<Result<_, _>>().map_err(unknown)?;
        let seconds = u64::try_from(self.now.div_euclid(1000)).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let algorithms = provider.signature_verification_algorithms.all;
        let usage = webpki::KeyUsage::server_auth();
        let found = parsed.verify_for_usage(algorithms, &anchors, others, now, usage, None, None);
        match found {
            Ok(_) => Ok(()),
            Err(webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }) => {
                Err(NOT_IN_FORCE.to_owned())
            }
            Err(_) => Err(NO_PATH.to_owned()),
        }
    }

    /// Looks for a root of its own, which anybody may be; the rules for it hold nevertheless.
    fn root(
        &self,
        provider: &CryptoProvider,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<(), String> {
        let parsed = |der| read(der).ok_or_else(|| NO_PATH.to_owned());
        let leaf = parsed(own)?;
        self.in_force(&leaf)?;
        let mut root = (own, leaf);
        // Each step takes a certificate that was sent; there are no more steps than those.
        for _ in 0..=others.len() {
            if root.1.subject().as_raw() == root.1.issuer().as_raw() {
                break;
            }
            let mut above = others.iter().filter_map(|der| Some((der, read(der)?)));
            let above = above.find(|(_, one)| one.subject().as_raw() == root.1.issuer().as_raw());
            match above {
                Some(above) => root = above,
                None if ROOT_HAS_TO_BE_SENT => return Err(NO_PATH.to_owned()),
                None => return Ok(()),
            }
        }
        let (der, root) = root;
        check_authority(&root)?;
        self.in_force(&root)?;
        if root.verify_signature(None).is_err() {
            return Err(NO_PATH.to_owned());
        }
        if der == own {
            return Ok(());
        }
        self.path(provider, own, (others, &[der.clone().into_owned()]))
    }

    fn in_force(&self, certificate: &X509Certificate<'_>) -> Result<(), String> {
        let validity = certificate.validity();
        let (from, to) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        if (from..=to).contains(&self.now.div_euclid(1000)) {
            Ok(())
        } else {
            Err(NOT_IN_FORCE.to_owned())
        }
    }

    /// Compares the name.
    fn name(&self, own: &CertificateDer<'_>) -> Result<(), String> {
        let wrong = |subject: &str| {
            format!(
                "Host name '{}' does not match the certificate subject provided by the peer \
                 ({subject})",
                self.host
            )
        };
        let subject = read(own).map(|one| one.subject().to_string());
        let wrong = || wrong(subject.as_deref().unwrap_or_default());
        let parsed = webpki::EndEntityCert::try_from(own).map_err(|_| wrong())?;
        let host = ServerName::try_from(self.host.as_str()).map_err(|_| wrong())?;
        parsed
            .verify_is_valid_for_subject_name(&host)
            .map_err(|_| wrong())
    }
}

/// The rules for a private root: `basicConstraints` with `CA:TRUE`, `keyUsage` with `keyCertSign`.
fn check_authority(root: &X509Certificate<'_>) -> Result<(), String> {
    let constraints = root.basic_constraints().ok().flatten();
    if !constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(NO_AUTHORITY.to_owned());
    }
    let usage = root.key_usage().ok().flatten();
    if !usage.is_some_and(|usage| usage.value.key_cert_sign()) {
        return Err(MAY_NOT_SIGN.to_owned());
    }
    Ok(())
}

fn read<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(parsed)
}

/// Judges one backend, and remembers why it was refused.
#[derive(Debug)]
pub(super) struct Judge {
    provider: Arc<CryptoProvider>,
    demands: Demands,
    refusal: Mutex<Option<String>>,
}

impl Judge {
    pub(super) fn new(provider: Arc<CryptoProvider>, demands: Demands) -> Self {
        Self {
            provider,
            demands,
            refusal: Mutex::default(),
        }
    }

    /// Why the backend was refused, if it was.
    pub(super) fn refusal(&self) -> Option<String> {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.clone()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self
            .demands
            .judge(&self.provider, end_entity, intermediates);
        let Err(refusal) = judged else {
            return Ok(ServerCertVerified::assertion());
        };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        let error = CertificateError::ApplicationVerificationFailure;
        Err(rustls::Error::InvalidCertificate(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
