//! Which of a listener's certificates a client is shown.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate as ACM holds it.
#[derive(Debug)]
pub(in crate::sandbox::data_plane) struct Held {
    /// Its ARN.
    pub(in crate::sandbox::data_plane) arn: String,
    /// The names that it is for.
    pub(in crate::sandbox::data_plane) names: Vec<String>,
    /// Itself and what is above it, in PEM.
    pub(in crate::sandbox::data_plane) chain: String,
    /// Its private key in PEM.
    pub(in crate::sandbox::data_plane) key: String,
}

#[derive(Debug)]
struct Loaded {
    arn: String,
    names: Vec<String>,
    certified: Arc<CertifiedKey>,
}

/// All certificates of a listener, the default one first.
#[derive(Debug, Default)]
pub(in crate::sandbox::data_plane) struct Certificates(Vec<Loaded>);

impl Certificates {
    /// Loads what ACM holds; what cannot be used is left out, and nobody is shown it.
    pub(in crate::sandbox::data_plane) fn load(held: Vec<Held>) -> Self {
        let load = |held: Held| {
            let loaded = Loaded::new(held);
            if let Err(reason) = &loaded {
                tracing::warn!(reason, "a listener's certificate cannot be used");
            }
            loaded.ok()
        };
        Self(held.into_iter().filter_map(load).collect())
    }

    /// Those for the name, exact ones before wildcards; the default one where there are none.
    fn candidates(&self, name: Option<&str>) -> Vec<&Loaded> {
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let exact = |one: &&Loaded| one.names.contains(&name);
        let wildcard = |one: &&Loaded| {
            let mut bases = one.names.iter().filter_map(|name| name.strip_prefix("*."));
            bases.any(|base| Some(base) == parent)
        };
        let found: Vec<&Loaded> = self.0.iter().filter(exact).collect();
        if !found.is_empty() {
            return found;
        }
        let found: Vec<&Loaded> = self.0.iter().filter(wildcard).collect();
        if found.is_empty() {
            self.0.iter().take(1).collect()
        } else {
            found
        }
    }

    /// Of those for the name, the best that the client can verify: ECDSA before RSA.
    fn choose(&self, name: Option<&str>, hello: &ClientHello<'_>) -> Option<&Loaded> {
        let candidates = self.candidates(name);
        let supported: Vec<&Loaded> = candidates
            .iter()
            .filter(|one| {
                let key = &one.certified.key;
                key.choose_scheme(hello.signature_schemes()).is_some()
            })
            .copied()
            .collect();
        let mut ecdsa = supported
            .iter()
            .filter(|one| one.certified.key.algorithm() == SignatureAlgorithm::ECDSA);
        let best = ecdsa.next().or(supported.first()).or(candidates.first());
        best.copied()
    }
}

impl Loaded {
    fn new(held: Held) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(held.chain.as_bytes());
        let chain: Vec<CertificateDer<'static>> = chain
            .collect::<Result<_, _>>()
            .map_err(|error| format!("{}: {error}", held.arn))?;
        let key = PrivateKeyDer::from_pem_slice(held.key.as_bytes())
            .map_err(|error| format!("{}: {error}", held.arn))?;
        let key = any_supported_type(&key).map_err(|error| format!("{}: {error}", held.arn))?;
        let names = held.names.iter().map(|name| name.to_ascii_lowercase());
        Ok(Self {
            names: names.collect(),
            arn: held.arn,
            certified: Arc::new(CertifiedKey::new(chain, key)),
        })
    }
}

/// Chooses for one connection, and remembers what.
#[derive(Debug)]
pub(super) struct Chooser {
    certificates: Arc<Certificates>,
    chosen: Mutex<(Option<String>, Option<String>)>,
}

impl Chooser {
    pub(super) fn new(certificates: Arc<Certificates>) -> Self {
        Self {
            certificates,
            chosen: Mutex::default(),
        }
    }

    /// The ARN of the certificate that was shown, and the name that was asked for.
    pub(super) fn chosen(&self) -> (Option<String>, Option<String>) {
        let chosen = self.chosen.lock();
        chosen.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        let found = self.certificates.choose(name, &hello)?;
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        *chosen = (Some(found.arn.clone()), name.map(str::to_owned));
        Some(Arc::clone(&found.certified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(arn: &str, names: &[&str]) -> Held {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let issued = rcgen::generate_simple_self_signed(names.clone()).expect("a certificate");
        Held {
            arn: arn.to_owned(),
            names,
            chain: issued.cert.pem(),
            key: issued.signing_key.serialize_pem(),
        }
    }

    #[test]
    fn exact_beats_wildcard_and_the_default_one_is_shown_to_others() {
        let certificates = Certificates::load(vec![
            held("default", &["shop.example.com"]),
            held("wildcard", &["*.example.com"]),
            held("exact", &["API.example.com", "other.example.org"]),
        ]);
        for (name, expected) in [
            (Some("api.example.com"), "exact"),
            (Some("API.EXAMPLE.COM"), "exact"),
            (Some("other.example.org"), "exact"),
            (Some("new.example.com"), "wildcard"),
            (Some("a.b.example.com"), "default"),
            (Some("example.com"), "default"),
            (Some("shop.example.com"), "default"),
            (None, "default"),
        ] {
            assert_eq!(certificates.candidates(name)[0].arn, expected, "{name:?}");
        }
    }

    #[test]
    fn a_certificate_without_a_key_is_left_out() {
        let broken = Held {
            key: "nothing".to_owned(),
            ..held("broken", &["a.example.com"])
        };
        let certificates = Certificates::load(vec![broken, held("good", &["b.example.com"])]);
        assert_eq!(certificates.0.len(), 1);
        assert_eq!(
            certificates.candidates(Some("a.example.com"))[0].arn,
            "good"
        );
        assert!(Certificates::default().candidates(None).is_empty());
    }
}
