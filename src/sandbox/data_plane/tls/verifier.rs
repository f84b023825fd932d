//! Asks a client for its certificate during the handshake, and has it judged.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::Mode;
use crate::sandbox::data_plane::client::{Reason, judge};

/// What one client was asked for and sent.
#[derive(Debug)]
pub(in crate::sandbox::data_plane) struct Asker {
    mode: Mode,
    names: Arc<[DistinguishedName]>,
    algorithms: WebPkiSupportedAlgorithms,
    /// The sandbox's time in milliseconds.
    now: i64,
    seen: Mutex<Seen>,
}

/// What a client sent and what came of it.
#[derive(Debug, Clone, Default)]
pub(in crate::sandbox::data_plane) struct Seen {
    /// Its certificates, its own first.
    pub(in crate::sandbox::data_plane) certificates: Vec<CertificateDer<'static>>,
    /// Why it is refused.
    pub(in crate::sandbox::data_plane) refused: Option<Reason>,
}

impl Asker {
    pub(super) fn new(
        mode: Mode,
        names: Arc<[DistinguishedName]>,
        algorithms: WebPkiSupportedAlgorithms,
        now: i64,
    ) -> Self {
        Self {
            mode,
            names,
            algorithms,
            now,
            seen: Mutex::default(),
        }
    }

    /// What the client sent so far.
    pub(in crate::sandbox::data_plane) fn seen(&self) -> Seen {
        let seen = self.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientCertVerifier for Asker {
    fn client_auth_mandatory(&self) -> bool {
        matches!(self.mode, Mode::Verify { .. })
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let sent = std::iter::once(end_entity).chain(intermediates);
        let sent: Vec<CertificateDer<'static>> = sent.map(|one| one.clone().into_owned()).collect();
        let verdict = match &self.mode {
            Mode::Verify { trust, .. } => judge(&sent, trust, self.now),
            Mode::Off | Mode::Passthrough => Ok(()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen {
            certificates: sent,
            refused: verdict.err(),
        };
        verdict
            .map(|()| ClientCertVerified::assertion())
            .map_err(alert)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // ELB takes no Edwards curves.
        let schemes = self.algorithms.supported_schemes().into_iter();
        schemes
            .filter(|scheme| *scheme != SignatureScheme::ED25519)
            .collect()
    }
}

/// The error whose alert fits the reason; AWS documents none.
fn alert(reason: Reason) -> Error {
    Error::InvalidCertificate(match reason {
        Reason::Untrusted => CertificateError::UnknownIssuer,
        Reason::NotYetValid => CertificateError::NotValidYet,
        Reason::Expired => CertificateError::Expired,
        Reason::CrlHit => CertificateError::Revoked,
        Reason::CrlProcessingError => CertificateError::UnknownRevocationStatus,
        Reason::PurposeInvalid | Reason::TypeUnsupported => CertificateError::InvalidPurpose,
        Reason::Invalid | Reason::MaxSizeExceeded => CertificateError::BadEncoding,
        Reason::MaxChainDepthExceeded => {
            CertificateError::Other(OtherError(Arc::new(std::fmt::Error)))
        }
    })
}
