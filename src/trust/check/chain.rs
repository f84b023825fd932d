//! The checks of one chain, in the order in which they are made.

use time::Duration;

use super::names;
use super::{Check, CheckOptions, CheckWarning, Purpose, Reason, Refusal, moment, named};
use crate::trust::algorithm::SignatureCheck;
use crate::trust::certificate::Certificate;
use crate::trust::lint::key_is_accepted;

/// The largest certificate, in bytes of DER; the quota is for CA certificates, and fixed.
const MAXIMUM_BYTES: usize = 16 * 1024;

/// The largest TLS message, which all certificates that the client sends have to fit in; the quota
/// is fixed.
pub(in crate::trust) const MAXIMUM_MESSAGE: usize = 64 * 1024;

/// The longest serial number of RFC 5280, section 4.1.2.2, in octets.
const MAXIMUM_SERIAL: usize = 20;

type Judged = Result<(), Refusal>;

impl Check<'_> {
    /// Judges a chain that ends in the trust store.
    pub(super) fn judge(&mut self, path: &[usize]) -> Judged {
        let chain = self.pool.certificates(path);
        self.judge_unanchored(path)?;
        not_yet_valid(&chain, &self.options)?;
        expired(&chain, &self.options)?;
        purposes(&chain, &self.options)?;
        self.revocations.check(&mut self.pool, path)?;
        chain
            .iter()
            .enumerate()
            .try_for_each(|(position, certificate)| well_formed(position, certificate))?;
        authorities(&chain)?;
        names::check(&chain, &mut self.comparisons)
    }

    /// Judges what is the same whether a chain ends in the trust store or not.
    pub(super) fn judge_unanchored(&mut self, path: &[usize]) -> Judged {
        let chain = self.pool.certificates(path);
        self.sizes(&chain)?;
        for (position, certificate) in chain.iter().enumerate() {
            kinds(position, certificate)?;
            let issuer = path.get(position + 1);
            let is_unsupported = issuer.is_some_and(|&issuer| {
                self.pool.signature(path[position], issuer) == SignatureCheck::Unsupported
            });
            if is_unsupported {
                return Err(refuse(
                    Reason::TypeUnsupported,
                    position,
                    format!(
                        "the signature of {} ({}) is of no kind that can be checked",
                        named(certificate),
                        certificate.signature_algorithm
                    ),
                ));
            }
        }
        Ok(())
    }

    fn sizes(&self, chain: &[&Certificate]) -> Judged {
        for (position, certificate) in chain.iter().enumerate() {
            let bytes = certificate.der.len();
            if bytes > MAXIMUM_BYTES {
                let name = named(certificate);
                let message = format!("{name} has {bytes} bytes, of at most {MAXIMUM_BYTES}");
                return Err(refuse(Reason::MaxSizeExceeded, position, message));
            }
        }
        if self.message_bytes > MAXIMUM_MESSAGE {
            let message = format!(
                "the certificates that the client sends have {} bytes together, of at most \
                 {MAXIMUM_MESSAGE} in a TLS message",
                self.message_bytes
            );
            return Err(refuse(Reason::MaxSizeExceeded, 0, message));
        }
        Ok(())
    }
}

/// Returns the bytes of the TLS 1.3 message with these certificates.
pub(in crate::trust) fn message_bytes(client: &Certificate, sent: &[Certificate]) -> usize {
    // RFC 8446, section 4.4.2: three octets of length before and two of extensions after each.
    const AROUND_EACH: usize = 5;
    const AROUND_ALL: usize = 4;
    let all = std::iter::once(client).chain(sent);
    AROUND_ALL + all.map(|one| one.der.len() + AROUND_EACH).sum::<usize>()
}

pub(super) fn refuse(reason: Reason, position: usize, message: impl Into<String>) -> Refusal {
    Refusal {
        reason,
        message: message.into(),
        position,
        crl: None,
    }
}

/// Refuses keys and signatures that a load balancer does not take, those of roots included.
fn kinds(position: usize, certificate: &Certificate) -> Judged {
    let (key, signature) = (&certificate.key_algorithm, &certificate.signature_algorithm);
    let message = if !key_is_accepted(key, 2048..=8192) {
        format!(
            "the key of {} is {key}; RSA of 2048 to 8192 bits and P-256, P-384 and P-521 are taken",
            named(certificate)
        )
    } else if !signature.is_accepted() {
        format!(
            "{} is signed with {signature}; SHA-256, SHA-384 and SHA-512 with RSA, RSASSA-PSS and \
             ECDSA are taken",
            named(certificate)
        )
    } else {
        return Ok(());
    };
    Err(refuse(Reason::TypeUnsupported, position, message))
}

fn not_yet_valid(chain: &[&Certificate], options: &CheckOptions) -> Judged {
    let at = options.at;
    match chain.iter().position(|one| one.not_before > at) {
        None => Ok(()),
        Some(position) => {
            let certificate = chain[position];
            let message = format!(
                "{} is valid from {} only, and it is {}",
                named(certificate),
                moment(certificate.not_before),
                moment(at)
            );
            Err(refuse(Reason::NotYetValid, position, message))
        }
    }
}

fn expired(chain: &[&Certificate], options: &CheckOptions) -> Judged {
    let at = options.at;
    let is_expired = |(position, one): (usize, &&Certificate)| {
        let is_excused = position == 0 && options.ignore_client_certificate_expiry;
        one.not_after < at && !is_excused
    };
    match chain.iter().enumerate().position(is_expired) {
        None => Ok(()),
        Some(position) => {
            let certificate = chain[position];
            let message = format!(
                "{} was valid until {}, and it is {}",
                named(certificate),
                moment(certificate.not_after),
                moment(at)
            );
            Err(refuse(Reason::Expired, position, message))
        }
    }
}

/// Checks that all members may serve TLS clients: what a CA is limited to limits all below it.
fn purposes(chain: &[&Certificate], options: &CheckOptions) -> Judged {
    if options.purpose == Purpose::Any {
        return Ok(());
    }
    for (position, certificate) in chain.iter().enumerate() {
        let purposes = certificate.extended_key_usage.as_deref();
        if !certificate.allows_purpose("clientAuth") {
            let message = format!(
                "the extendedKeyUsage of {} ({}) leaves out clientAuth",
                named(certificate),
                purposes.unwrap_or_default().join(", ")
            );
            return Err(refuse(Reason::PurposeInvalid, position, message));
        }
    }
    // The client proves that it has the key with a signature (RFC 8446, section 4.4.2.2).
    match chain.first() {
        Some(client) if !client.allows_key_usage("digitalSignature") => {
            let message = format!(
                "the keyUsage of {} leaves out digitalSignature, with which clients prove that \
                 they have the key",
                named(client)
            );
            Err(refuse(Reason::PurposeInvalid, 0, message))
        }
        _ => Ok(()),
    }
}

/// Checks what every certificate of a chain has to be.
fn well_formed(position: usize, certificate: &Certificate) -> Judged {
    let extensions = &certificate.extensions;
    let what = if certificate.version != 3 {
        let version = certificate.version;
        format!("is of X.509 version {version}; only version 3 is supported")
    } else if !certificate.signature_algorithms_agree {
        "names two different signature algorithms".to_owned()
    } else if let Some(first) = extensions.duplicates.first() {
        format!("has the extension {first} more than once")
    } else if let Some(first) = extensions.malformed.first() {
        format!("has a malformed extension {first}")
    } else if let Some(first) = extensions.unknown_critical.first() {
        format!("has the critical extension {first}, which is not understood")
    } else {
        return Ok(());
    };
    let message = format!("{} {what}", named(certificate));
    Err(refuse(Reason::Invalid, position, message))
}

/// Checks that those above the client are CAs, and that no CA has more CAs below it than it may.
fn authorities(chain: &[&Certificate]) -> Judged {
    let mut below: u32 = 0;
    for (position, certificate) in chain.iter().enumerate().skip(1) {
        let what = if certificate.is_ca != Some(true) {
            "issued a certificate and is no CA: its basicConstraints do not say CA:TRUE".to_owned()
        } else if !certificate.allows_key_usage("keyCertSign") {
            "issued a certificate, and its keyUsage leaves out keyCertSign".to_owned()
        } else if let Some(length) = certificate.path_len.filter(|length| below > *length) {
            format!("has pathlen:{length}, and {below} CAs stand below it")
        } else {
            // RFC 5280, section 4.2.1.9: self-issued ones do not count.
            below += u32::from(!certificate.is_self_issued());
            continue;
        };
        let message = format!("{} {what}", named(certificate));
        return Err(refuse(Reason::Invalid, position, message));
    }
    Ok(())
}

/// Tells what is unusual about the certificates of a chain.
pub(super) fn warnings(chain: &[&Certificate], options: &CheckOptions) -> Vec<CheckWarning> {
    let mut warnings = Vec::new();
    let mut warn = |code, message| warnings.push(CheckWarning { code, message });
    for (position, certificate) in chain.iter().enumerate() {
        let (name, serial) = (named(certificate), &certificate.serial);
        if serial.is_negative() {
            let message = format!("the serial of {name} is negative: no CRL can revoke it");
            warn("negative-serial", message);
        } else if serial.as_bytes() == [0] || serial.as_bytes().len() > MAXIMUM_SERIAL {
            let message = format!(
                "the serial of {name}, {serial}, is none that RFC 5280 allows; whether a load \
                 balancer minds is not documented"
            );
            warn("unusual-serial", message);
        }
        if certificate
            .extensions
            .critical
            .iter()
            .any(|one| one == "policyConstraints")
        {
            let message = format!("{name} demands certificate policies, which are not evaluated");
            warn("policies-not-evaluated", message);
        }
        if position == 0
            && certificate.not_after < options.at
            && options.ignore_client_certificate_expiry
        {
            let days = (options.at - certificate.not_after) / Duration::DAY;
            let message =
                format!("{name} expired {days:.0} days ago, which the listener is told to ignore");
            warn("expiry-ignored", message);
        }
    }
    warnings
}
