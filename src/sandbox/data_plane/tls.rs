//! TLS by a listener's security policy: protocols, cipher suites, groups, certificates.
//!
//! A policy is spoken exactly where rustls can; what it cannot speak is told (`gaps`), not faked.

mod certificate;
mod verifier;

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, StoresServerSessions};
use rustls::version::{TLS12, TLS13};
use rustls::{DistinguishedName, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use self::certificate::Chooser;
pub(super) use self::certificate::{Certificates, Held};
pub(super) use self::verifier::Asker;
use super::client::Trust;
use super::tap::Hello;
use crate::sandbox::elbv2::tls_policy::{Protocol, TlsPolicy};

/// How many sessions a listener without mutual TLS remembers.
const SESSIONS: usize = 1_024;

/// The suites that rustls speaks, by OpenSSL's name, with their numbers in TLS.
const SUITES: [(&str, u16, SupportedCipherSuite); 7] = [
    (
        "TLS_AES_128_GCM_SHA256",
        0x1301,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_AES_256_GCM_SHA384",
        0x1302,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        0x1303,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        0xc02b,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        0xc02c,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        0xc02f,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        0xc030,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
];

/// The groups of key exchange by their numbers in TLS.
const GROUPS: [(u16, &str); 8] = [
    (23, "secp256r1"),
    (24, "secp384r1"),
    (25, "secp521r1"),
    (29, "x25519"),
    (30, "x448"),
    (0x11eb, "SecP256r1MLKEM768"),
    (0x11ec, "X25519MLKEM768"),
    (0x11ed, "SecP384r1MLKEM1024"),
];

/// The names that ELB's logs have for what a hello agrees to: protocol, cipher, group.
pub(super) fn names_of(hello: Hello) -> (String, String, Option<String>) {
    let protocol = match hello.version {
        0x0301 => "TLSv1".to_owned(),
        0x0302 => "TLSv1.1".to_owned(),
        0x0303 => "TLSv1.2".to_owned(),
        0x0304 => "TLSv1.3".to_owned(),
        other => format!("{other:#06x}"),
    };
    let cipher = SUITES.iter().find(|(_, number, _)| *number == hello.cipher);
    let cipher = cipher.map_or_else(
        || format!("{:#06x}", hello.cipher),
        |(name, ..)| (*name).to_owned(),
    );
    (protocol, cipher, hello.group.map(group_name))
}

/// The name of a group of key exchange.
pub(super) fn group_name(number: u16) -> String {
    let known = GROUPS.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("{number:#06x}"), |(_, name)| (*name).to_owned())
}

/// What a policy allows and cannot be spoken here.
pub(super) fn gaps(policy: &TlsPolicy) -> Vec<String> {
    let mut gaps = Vec::new();
    let old = [(Protocol::Tls10, "TLS 1.0"), (Protocol::Tls11, "TLS 1.1")];
    let old: Vec<&str> = old
        .iter()
        .filter(|(protocol, _)| policy.allows(*protocol))
        .map(|(_, name)| *name)
        .collect();
    if !old.is_empty() {
        gaps.push(old.join(" and "));
    }
    let is_spoken = |name: &&str| SUITES.iter().any(|(known, ..)| known == name);
    let ciphers = policy.ciphers();
    let unspoken: Vec<&str> = ciphers
        .into_iter()
        .filter(|name| !is_spoken(name))
        .collect();
    if !unspoken.is_empty() {
        gaps.push(format!("the ciphers {}", unspoken.join(", ")));
    }
    if policy.is_post_quantum() {
        gaps.push("the group SecP384r1MLKEM1024".to_owned());
    }
    gaps
}

/// The suites of a policy that can be spoken, the preferred first.
fn suites(policy: &TlsPolicy) -> Vec<SupportedCipherSuite> {
    let ciphers = policy.ciphers().into_iter();
    let known = ciphers.filter_map(|name| SUITES.iter().find(|(known, ..)| *known == name));
    known.map(|(_, _, suite)| *suite).collect()
}

/// The groups of a policy: post-quantum ones first, `X25519` only outside of FIPS, and for RFC 9151
/// nothing below P-384.
fn groups(policy: &TlsPolicy) -> Vec<&'static dyn SupportedKxGroup> {
    let mut groups: Vec<&'static dyn SupportedKxGroup> = Vec::new();
    if policy.is_post_quantum() {
        groups.extend([kx_group::X25519MLKEM768, kx_group::SECP256R1MLKEM768]);
    }
    if policy.is_cnsa() {
        groups.push(kx_group::SECP384R1);
    } else if policy.is_fips() {
        groups.extend([kx_group::SECP256R1, kx_group::SECP384R1]);
    } else {
        groups.extend([kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1]);
    }
    groups
}

fn versions(policy: &TlsPolicy) -> Vec<&'static SupportedProtocolVersion> {
    let spoken = [(Protocol::Tls13, &TLS13), (Protocol::Tls12, &TLS12)];
    let allowed = spoken.into_iter().filter(|(one, _)| policy.allows(*one));
    allowed.map(|(_, version)| version).collect()
}

/// What a listener does about client certificates, its trust store read.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    /// Does not ask.
    Off,
    /// Asks, and takes any or none.
    Passthrough,
    /// Asks, and lets those in that the trust store vouches for.
    Verify {
        /// The content of the trust store.
        trust: Arc<Trust>,
        /// Whether the names of its CAs go with the request.
        advertises: bool,
    },
}

/// A listener's side of TLS, made once for all connections until something about it changes.
pub(super) struct Gate {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    certificates: Arc<Certificates>,
    protocols: Vec<Vec<u8>>,
    mode: Mode,
    names: Arc<[DistinguishedName]>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Gate")
    }
}

impl Gate {
    /// The gate of a policy, with certificates and what is asked of clients.
    pub(super) fn new(
        policy: &TlsPolicy,
        certificates: Certificates,
        mode: Mode,
        protocols: Vec<Vec<u8>>,
    ) -> Self {
        let names = match &mode {
            Mode::Verify {
                trust,
                advertises: true,
            } => trust
                .subjects()
                .map(|subject| DistinguishedName::from(subject.to_vec()))
                .collect(),
            _ => Vec::new(),
        };
        // With mutual TLS every connection is a full handshake.
        let sessions: Arc<dyn StoresServerSessions> = match mode {
            Mode::Off => ServerSessionMemoryCache::new(SESSIONS),
            _ => Arc::new(NoServerSessionStorage {}),
        };
        Self {
            provider: Arc::new(CryptoProvider {
                cipher_suites: suites(policy),
                kx_groups: groups(policy),
                ..aws_lc_rs::default_provider()
            }),
            versions: versions(policy),
            certificates: Arc::new(certificates),
            protocols,
            mode,
            names: names.into(),
            sessions,
        }
    }

    /// The configuration of one connection, and what tells about it afterwards.
    pub(super) fn open(&self, now: i64) -> Result<(Arc<ServerConfig>, Watch), rustls::Error> {
        let asker = Arc::new(Asker::new(
            self.mode.clone(),
            Arc::clone(&self.names),
            self.provider.signature_verification_algorithms,
            now,
        ));
        let chooser = Arc::new(Chooser::new(Arc::clone(&self.certificates)));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)?;
        let builder = match self.mode {
            Mode::Off => builder.with_no_client_auth(),
            _ => builder.with_client_cert_verifier(Arc::clone(&asker) as _),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&chooser) as _);
        config.ignore_client_order = true;
        config.alpn_protocols.clone_from(&self.protocols);
        config.session_storage = Arc::clone(&self.sessions);
        if !matches!(self.mode, Mode::Off) {
            config.send_tls13_tickets = 0;
        }
        Ok((Arc::new(config), Watch { asker, chooser }))
    }
}

/// What is known of a connection's handshake, whether it came to its end or not.
#[derive(Debug)]
pub(super) struct Watch {
    /// Asked for the client's certificate.
    pub(super) asker: Arc<Asker>,
    chooser: Arc<Chooser>,
}

impl Watch {
    /// The ARN of the certificate that was shown, and the name that was asked for.
    pub(super) fn chosen(&self) -> (Option<String>, Option<String>) {
        self.chooser.chosen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(suffix: &str) -> &'static TlsPolicy {
        TlsPolicy::named(&format!("ELBSecurityPolicy-{suffix}")).expect("is a policy")
    }

    fn group_names(suffix: &str) -> Vec<String> {
        let groups = groups(policy(suffix));
        groups
            .iter()
            .map(|group| group_name(group.name().into()))
            .collect()
    }

    #[test]
    fn a_tls_1_3_only_policy_has_no_gap() {
        let policy = policy("TLS13-1-3-2021-06");
        assert_eq!(gaps(policy), [""; 0]);
        assert_eq!(versions(policy).len(), 1);
        assert_eq!(suites(policy).len(), 3);
    }

    #[test]
    fn what_rustls_does_not_speak_is_told() {
        let told = gaps(policy("2016-08"));
        assert_eq!(told[0], "TLS 1.0 and TLS 1.1");
        assert!(told[1].contains("ECDHE-RSA-AES128-SHA256, ") && told[1].ends_with("AES256-SHA"));
        assert!(!told[1].contains("GCM-SHA256, ECDHE-RSA"));
        assert_eq!(
            gaps(policy("TLS13-1-3-PQ-2025-09")),
            ["the group SecP384r1MLKEM1024"]
        );
    }

    #[test]
    fn only_post_quantum_policies_have_post_quantum_groups() {
        let hybrid = ["X25519MLKEM768", "SecP256r1MLKEM768"];
        let names = group_names("TLS13-1-3-PQ-2025-09");
        assert_eq!(names[..2], hybrid);
        assert_eq!(names[2..], group_names("TLS13-1-3-2021-06"));
        let fips = group_names("TLS13-1-3-FIPS-PQ-2025-09");
        assert_eq!(fips[2..], ["secp256r1", "secp384r1"]);
        assert_eq!(group_names("TLS13-1-3-RFC9151-FIPS-2023-07"), ["secp384r1"]);
    }

    #[test]
    fn fips_policies_are_without_chacha() {
        let ciphers = suites(policy("TLS13-1-2-FIPS-2023-04"));
        let chacha = cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
        assert!(!ciphers.contains(&chacha) && !ciphers.is_empty());
    }

    #[test]
    fn every_policy_can_be_spoken() {
        for (suffix, ..) in [
            ("2016-08", 0),
            ("TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", 0),
        ] {
            assert!(!versions(policy(suffix)).is_empty() && !suites(policy(suffix)).is_empty());
        }
    }
}
