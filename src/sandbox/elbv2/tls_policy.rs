//! TLS security policies: names, protocols and ciphers as AWS publishes them.

use serde_json::{Value, json};

use super::page;
use crate::sandbox::world::{Call, Refusal};

/// What a listener gets that names no policy. The console preselects another one.
pub(super) const DEFAULT: &str = "ELBSecurityPolicy-2016-08";

/// A predefined security policy; ELB knows no others.
#[derive(Debug)]
pub(in crate::sandbox) struct TlsPolicy {
    /// The name without the prefix `ELBSecurityPolicy-` that all of them have.
    suffix: &'static str,
    /// The oldest and the newest protocol that is spoken.
    protocols: (Protocol, Protocol),
    /// Which ciphers are offered.
    ciphers: Ciphers,
}

/// The protocol versions that a policy can allow, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sandbox) enum Protocol {
    /// TLS 1.0.
    Tls10,
    /// TLS 1.1.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Protocol {
    const ALL: [Self; 4] = [Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// The name in `SslProtocols`.
    fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLSv1",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// How a policy's ciphers are told.
#[derive(Debug)]
enum Ciphers {
    /// Those of these groups, in the order of [`PREFERENCE`].
    Groups(&'static [Group]),
    /// A list with an order of its own: the RFC 9151 policies prefer 256 bits.
    Listed(&'static [&'static str]),
}

/// Ciphers that come and go together between policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// AES-GCM of TLS 1.3.
    Tls13,
    /// `ChaCha20`, which the FIPS policies leave out.
    ChaCha,
    /// ECDHE with AES-GCM.
    Gcm,
    /// ECDHE with AES-CBC and SHA-2.
    Cbc,
    /// ECDHE with AES-CBC and SHA-1.
    CbcSha1,
    /// RSA key exchange with AES-GCM or SHA-2.
    Rsa,
    /// RSA key exchange with SHA-1.
    RsaSha1,
}

/// The order in which the load balancer prefers ciphers.
const PREFERENCE: &[(&str, Group)] = &[
    ("TLS_AES_128_GCM_SHA256", Group::Tls13),
    ("TLS_AES_256_GCM_SHA384", Group::Tls13),
    ("TLS_CHACHA20_POLY1305_SHA256", Group::ChaCha),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", Group::Gcm),
    ("ECDHE-RSA-AES128-GCM-SHA256", Group::Gcm),
    ("ECDHE-ECDSA-AES128-SHA256", Group::Cbc),
    ("ECDHE-RSA-AES128-SHA256", Group::Cbc),
    ("ECDHE-ECDSA-AES128-SHA", Group::CbcSha1),
    ("ECDHE-RSA-AES128-SHA", Group::CbcSha1),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", Group::Gcm),
    ("ECDHE-RSA-AES256-GCM-SHA384", Group::Gcm),
    ("ECDHE-ECDSA-AES256-SHA384", Group::Cbc),
    ("ECDHE-RSA-AES256-SHA384", Group::Cbc),
    ("ECDHE-RSA-AES256-SHA", Group::CbcSha1),
    ("ECDHE-ECDSA-AES256-SHA", Group::CbcSha1),
    ("AES128-GCM-SHA256", Group::Rsa),
    ("AES128-SHA256", Group::Rsa),
    ("AES128-SHA", Group::RsaSha1),
    ("AES256-GCM-SHA384", Group::Rsa),
    ("AES256-SHA256", Group::Rsa),
    ("AES256-SHA", Group::RsaSha1),
];

const FS: &[Group] = &[Group::Gcm, Group::Cbc, Group::CbcSha1];
const FS_RES_2019: &[Group] = &[Group::Gcm, Group::Cbc];
const FS_RES_2020: &[Group] = &[Group::Gcm];
const OLD: &[Group] = &[
    Group::Gcm,
    Group::Cbc,
    Group::CbcSha1,
    Group::Rsa,
    Group::RsaSha1,
];
const OLD_SHA2: &[Group] = &[Group::Gcm, Group::Cbc, Group::Rsa];

const T13: &[Group] = &[Group::Tls13, Group::ChaCha];
const T13_RES: &[Group] = &[Group::Tls13, Group::ChaCha, Group::Gcm];
const T13_CBC: &[Group] = &[Group::Tls13, Group::ChaCha, Group::Gcm, Group::Cbc];
const T13_EXT1: &[Group] = &[
    Group::Tls13,
    Group::ChaCha,
    Group::Gcm,
    Group::Cbc,
    Group::Rsa,
];
const T13_ALL: &[Group] = &[
    Group::Tls13,
    Group::ChaCha,
    Group::Gcm,
    Group::Cbc,
    Group::CbcSha1,
    Group::Rsa,
    Group::RsaSha1,
];

const FIPS: &[Group] = &[Group::Tls13];
const FIPS_RES: &[Group] = &[Group::Tls13, Group::Gcm];
const FIPS_CBC: &[Group] = &[Group::Tls13, Group::Gcm, Group::Cbc];
const FIPS_EXT0: &[Group] = &[Group::Tls13, Group::Gcm, Group::Cbc, Group::CbcSha1];
const FIPS_EXT1: &[Group] = &[Group::Tls13, Group::Gcm, Group::Cbc, Group::Rsa];
const FIPS_ALL: &[Group] = &[
    Group::Tls13,
    Group::Gcm,
    Group::Cbc,
    Group::CbcSha1,
    Group::Rsa,
    Group::RsaSha1,
];

const CNSA: &[&str] = &[
    "TLS_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];
const CNSA_EXT0: &[&str] = &[
    "TLS_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES256-GCM-SHA384",
];
const INTEROP1: &[&str] = &[
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
];
const INTEROP2: &[&str] = &[
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
];
const INTEROP3: &[&str] = &[
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
];
const INTEROP4: &[&str] = &[
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
    "AES256-SHA",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES128-SHA",
];

const ONLY_13: (Protocol, Protocol) = (Protocol::Tls13, Protocol::Tls13);
const FROM_12: (Protocol, Protocol) = (Protocol::Tls12, Protocol::Tls13);
const FROM_11: (Protocol, Protocol) = (Protocol::Tls11, Protocol::Tls13);
const FROM_10: (Protocol, Protocol) = (Protocol::Tls10, Protocol::Tls13);
const OLD_FROM_12: (Protocol, Protocol) = (Protocol::Tls12, Protocol::Tls12);
const OLD_FROM_11: (Protocol, Protocol) = (Protocol::Tls11, Protocol::Tls12);
const OLD_FROM_10: (Protocol, Protocol) = (Protocol::Tls10, Protocol::Tls12);

/// A policy whose ciphers are whole groups.
const fn grouped(
    suffix: &'static str,
    protocols: (Protocol, Protocol),
    groups: &'static [Group],
) -> TlsPolicy {
    TlsPolicy {
        suffix,
        protocols,
        ciphers: Ciphers::Groups(groups),
    }
}

/// A policy with an order of its own.
const fn listed(
    suffix: &'static str,
    protocols: (Protocol, Protocol),
    ciphers: &'static [&'static str],
) -> TlsPolicy {
    TlsPolicy {
        suffix,
        protocols,
        ciphers: Ciphers::Listed(ciphers),
    }
}

/// Every policy, sorted by name, as paging needs it.
const POLICIES: &[TlsPolicy] = &[
    grouped("2016-08", OLD_FROM_10, OLD),
    grouped("FS-1-1-2019-08", OLD_FROM_11, FS),
    grouped("FS-1-2-2019-08", OLD_FROM_12, FS),
    grouped("FS-1-2-Res-2019-08", OLD_FROM_12, FS_RES_2019),
    grouped("FS-1-2-Res-2020-10", OLD_FROM_12, FS_RES_2020),
    grouped("FS-2018-06", OLD_FROM_10, FS),
    grouped("TLS-1-1-2017-01", OLD_FROM_11, OLD),
    grouped("TLS-1-2-2017-01", OLD_FROM_12, OLD_SHA2),
    grouped("TLS-1-2-Ext-2018-06", OLD_FROM_12, OLD),
    grouped("TLS13-1-0-2021-06", FROM_10, T13_ALL),
    grouped("TLS13-1-0-FIPS-2023-04", FROM_10, FIPS_ALL),
    grouped("TLS13-1-0-FIPS-PQ-2025-09", FROM_10, FIPS_ALL),
    grouped("TLS13-1-0-PQ-2025-09", FROM_10, T13_ALL),
    grouped("TLS13-1-1-2021-06", FROM_11, T13_ALL),
    grouped("TLS13-1-1-FIPS-2023-04", FROM_11, FIPS_ALL),
    grouped("TLS13-1-2-2021-06", FROM_12, T13_CBC),
    grouped("TLS13-1-2-Ext0-FIPS-2023-04", FROM_12, FIPS_EXT0),
    grouped("TLS13-1-2-Ext0-FIPS-PQ-2025-09", FROM_12, FIPS_EXT0),
    listed("TLS13-1-2-Ext0-RFC9151-FIPS-2023-07", FROM_12, CNSA_EXT0),
    grouped("TLS13-1-2-Ext1-2021-06", FROM_12, T13_EXT1),
    grouped("TLS13-1-2-Ext1-FIPS-2023-04", FROM_12, FIPS_EXT1),
    grouped("TLS13-1-2-Ext1-FIPS-PQ-2025-09", FROM_12, FIPS_EXT1),
    grouped("TLS13-1-2-Ext1-PQ-2025-09", FROM_12, T13_EXT1),
    grouped("TLS13-1-2-Ext2-2021-06", FROM_12, T13_ALL),
    grouped("TLS13-1-2-Ext2-FIPS-2023-04", FROM_12, FIPS_ALL),
    grouped("TLS13-1-2-Ext2-FIPS-PQ-2025-09", FROM_12, FIPS_ALL),
    grouped("TLS13-1-2-Ext2-PQ-2025-09", FROM_12, T13_ALL),
    grouped("TLS13-1-2-FIPS-2023-04", FROM_12, FIPS_CBC),
    grouped("TLS13-1-2-FIPS-PQ-2025-09", FROM_12, FIPS_CBC),
    grouped("TLS13-1-2-PQ-2025-09", FROM_12, T13_CBC),
    listed("TLS13-1-2-RFC9151-FIPS-2023-07", FROM_12, CNSA),
    listed("TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07", FROM_12, INTEROP1),
    listed("TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07", FROM_12, INTEROP2),
    listed("TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07", FROM_12, INTEROP3),
    listed("TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", FROM_12, INTEROP4),
    grouped("TLS13-1-2-Res-2021-06", FROM_12, T13_RES),
    grouped("TLS13-1-2-Res-FIPS-2023-04", FROM_12, FIPS_RES),
    grouped("TLS13-1-2-Res-FIPS-PQ-2025-09", FROM_12, FIPS_RES),
    grouped("TLS13-1-2-Res-PQ-2025-09", FROM_12, T13_RES),
    grouped("TLS13-1-3-2021-06", ONLY_13, T13),
    grouped("TLS13-1-3-FIPS-2023-04", ONLY_13, FIPS),
    grouped("TLS13-1-3-FIPS-PQ-2025-09", ONLY_13, FIPS),
    grouped("TLS13-1-3-PQ-2025-09", ONLY_13, T13),
    listed(
        "TLS13-1-3-RFC9151-FIPS-2023-07",
        ONLY_13,
        &["TLS_AES_256_GCM_SHA384"],
    ),
];

impl TlsPolicy {
    /// The policy of this full name.
    pub(in crate::sandbox) fn named(name: &str) -> Option<&'static Self> {
        let suffix = name.strip_prefix("ELBSecurityPolicy-")?;
        POLICIES.iter().find(|policy| policy.suffix == suffix)
    }

    /// Whether the policy lets this protocol be spoken.
    pub(in crate::sandbox) fn allows(&self, protocol: Protocol) -> bool {
        (self.protocols.0..=self.protocols.1).contains(&protocol)
    }

    /// The ciphers by OpenSSL name, the preferred first.
    pub(in crate::sandbox) fn ciphers(&self) -> Vec<&'static str> {
        match self.ciphers {
            Ciphers::Listed(names) => names.to_vec(),
            Ciphers::Groups(groups) => PREFERENCE
                .iter()
                .filter(|(_, group)| groups.contains(group))
                .map(|(name, _)| *name)
                .collect(),
        }
    }

    /// Whether it has the hybrid groups with ML-KEM.
    pub(in crate::sandbox) fn is_post_quantum(&self) -> bool {
        self.suffix.contains("-PQ-")
    }

    /// Whether it keeps to FIPS 140-3.
    pub(in crate::sandbox) fn is_fips(&self) -> bool {
        self.suffix.contains("-FIPS-")
    }

    /// Whether it keeps to RFC 9151, the profile of CNSA, without allowances for others.
    pub(in crate::sandbox) fn is_cnsa(&self) -> bool {
        self.suffix.contains("RFC9151") && !self.suffix.contains("INTEROP")
    }

    fn name(&self) -> String {
        format!("ELBSecurityPolicy-{}", self.suffix)
    }

    /// The `SslPolicy` structure.
    fn describe(&self) -> Value {
        let protocols: Vec<&str> = Protocol::ALL
            .iter()
            .filter(|protocol| self.allows(**protocol))
            .map(|protocol| protocol.name())
            .collect();
        let ciphers: Vec<Value> = (1..)
            .zip(self.ciphers())
            .map(|(priority, name): (u32, _)| json!({"Name": name, "Priority": priority}))
            .collect();
        json!({
            "Name": self.name(),
            "SslProtocols": protocols,
            "Ciphers": ciphers,
            "SupportedLoadBalancerTypes": ["application", "network"],
        })
    }
}

/// The refusal of a policy name that does not exist.
pub(super) fn not_found(name: &str) -> Refusal {
    Refusal::new(
        "SSLPolicyNotFound",
        format!("SSL policy '{name}' not found"),
    )
}

/// `DescribeSSLPolicies`.
pub(super) fn describe(call: &Call<'_>) -> Result<Value, Refusal> {
    // All of them serve application and network load balancers; a gateway load balancer has none.
    let supported = call.text("LoadBalancerType") != Some("gateway");
    let names = call.texts("Names");
    if let Some(unknown) = names.iter().find(|name| TlsPolicy::named(name).is_none()) {
        return Err(not_found(unknown));
    }
    let found = POLICIES
        .iter()
        .map(|policy| (policy.name(), policy))
        .filter(|(name, _)| supported && (names.is_empty() || names.contains(&name.as_str())))
        .map(|(name, policy)| (name, policy.describe()))
        .collect();
    page::answer(call, "SslPolicies", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str) -> Value {
        TlsPolicy::named(name).expect("known").describe()
    }

    #[test]
    fn the_tls_1_3_only_policy_speaks_tls_1_3_only() {
        let policy = described("ELBSecurityPolicy-TLS13-1-3-2021-06");
        assert_eq!(policy["SslProtocols"], json!(["TLSv1.3"]));
        assert_eq!(policy["Ciphers"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn the_default_policy_has_no_tls_1_3_and_eighteen_ciphers() {
        let policy = described(DEFAULT);
        assert_eq!(
            policy["SslProtocols"],
            json!(["TLSv1", "TLSv1.1", "TLSv1.2"])
        );
        assert_eq!(policy["Ciphers"].as_array().map(Vec::len), Some(18));
    }

    #[test]
    fn the_rfc_9151_policies_prefer_256_bits() {
        let policy = described("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07");
        assert_eq!(policy["Ciphers"][0]["Name"], "TLS_AES_256_GCM_SHA384");
        assert_eq!(policy["Ciphers"][0]["Priority"], 1);
        assert_eq!(policy["Ciphers"].as_array().map(Vec::len), Some(20));
    }

    #[test]
    fn policies_are_sorted_for_paging() {
        assert!(POLICIES.is_sorted_by_key(|policy| policy.suffix));
    }

    #[test]
    fn an_unknown_policy_is_not_found() {
        let input = json!({"Names": ["ELBSecurityPolicy-TLS13-1-4"]});
        let refusal = describe(&Call::of("DescribeSSLPolicies", &input)).expect_err("unknown");
        assert_eq!(refusal.code, "SSLPolicyNotFound");
    }
}
