//! What TLS policies accept, told from their names: which of two lets more clients in.
//!
//! AWS: ELB User Guide, "Security policies for your Application Load Balancer".

use Weakness::{Cbc, CbcSha1, Rsa, RsaSha1, Tls10, Tls11, Tls12};

/// What a policy can accept that the strongest ones do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weakness {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.1.
    Tls11,
    /// TLS 1.0.
    Tls10,
    /// AES-CBC with SHA-2.
    Cbc,
    /// AES-CBC with SHA-1.
    CbcSha1,
    /// RSA key exchange, without forward secrecy.
    Rsa,
    /// RSA key exchange with SHA-1.
    RsaSha1,
}

const FROM_12: &[Weakness] = &[Tls12, Cbc, CbcSha1, Rsa, RsaSha1];
const FROM_11: &[Weakness] = &[Tls12, Tls11, Cbc, CbcSha1, Rsa, RsaSha1];
const FROM_10: &[Weakness] = &[Tls12, Tls11, Tls10, Cbc, CbcSha1, Rsa, RsaSha1];

/// What policies accept, by their names without `FIPS`, `PQ` and most dates: those say nothing here.
const POLICIES: [(&str, &[Weakness]); 24] = [
    ("TLS13-1-3", &[]),
    ("TLS13-1-3-RFC9151", &[]),
    ("TLS13-1-2-Res", &[Tls12]),
    ("TLS13-1-2-RFC9151", &[Tls12]),
    ("TLS13-1-2-RFC9151-INTEROP1", &[Tls12]),
    ("FS-1-2-Res-2020", &[Tls12]),
    ("TLS13-1-2-Ext0-RFC9151", &[Tls12, Rsa]),
    ("TLS13-1-2", &[Tls12, Cbc]),
    ("TLS13-1-2-RFC9151-INTEROP2", &[Tls12, Cbc]),
    ("FS-1-2-Res-2019", &[Tls12, Cbc]),
    ("TLS13-1-2-Ext0", &[Tls12, Cbc, CbcSha1]),
    ("TLS13-1-2-RFC9151-INTEROP3", &[Tls12, Cbc, CbcSha1]),
    ("FS-1-2", &[Tls12, Cbc, CbcSha1]),
    ("TLS13-1-2-Ext1", &[Tls12, Cbc, Rsa]),
    ("TLS-1-2", &[Tls12, Cbc, Rsa]),
    ("TLS13-1-2-Ext2", FROM_12),
    ("TLS13-1-2-RFC9151-INTEROP4", FROM_12),
    ("TLS-1-2-Ext", FROM_12),
    ("FS-1-1", &[Tls12, Tls11, Cbc, CbcSha1]),
    ("TLS13-1-1", FROM_11),
    ("TLS-1-1", FROM_11),
    ("FS", &[Tls12, Tls11, Tls10, Cbc, CbcSha1]),
    ("TLS13-1-0", FROM_10),
    ("2016", FROM_10),
];

/// What clients can negotiate under a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a version of its own"
)]
pub(crate) struct Protocols {
    /// TLS 1.3.
    pub(crate) tls13: bool,
    /// TLS 1.2.
    pub(crate) tls12: bool,
    /// TLS 1.1.
    pub(crate) tls11: bool,
    /// Key exchange that a quantum computer does not break.
    pub(crate) post_quantum: bool,
}

/// What clients can negotiate under a policy; `None` for one that is newer than this list.
pub(crate) fn protocols(policy: &str) -> Option<Protocols> {
    let weaknesses = weaknesses(policy)?;
    Some(Protocols {
        tls13: policy.starts_with("ELBSecurityPolicy-TLS13-"),
        tls12: weaknesses.contains(&Tls12),
        tls11: weaknesses.contains(&Tls11),
        post_quantum: policy.contains("-PQ-"),
    })
}

/// Whether a policy accepts what another does not; one that nobody knows may accept anything.
pub(super) fn accepts_more(policy: &str, than: &str) -> bool {
    match (weaknesses(policy), weaknesses(than)) {
        (Some(one), Some(other)) => one.iter().any(|weakness| !other.contains(weakness)),
        (None, _) => policy != than,
        (Some(_), None) => false,
    }
}

/// What a policy accepts; `None` for one that is newer than this list.
fn weaknesses(policy: &str) -> Option<&'static [Weakness]> {
    let name = policy.strip_prefix("ELBSecurityPolicy-")?;
    let name = name.replace("-FIPS", "").replace("-PQ", "");
    let dated = |known: &str| is_dated(&name, known);
    let found = POLICIES.iter().find(|(known, _)| dated(known));
    found.map(|(_, weaknesses)| *weaknesses)
}

/// Whether a name is the known one with a year and a month, or what is missing of them.
fn is_dated(name: &str, known: &str) -> bool {
    let parts: Option<Vec<&str>> = name
        .strip_prefix(known)
        .and_then(|rest| rest.strip_prefix('-'))
        .map(|rest| rest.split('-').collect());
    match parts.as_deref() {
        Some([year, month]) => year.len() == 4 && month.len() == 2,
        Some([month]) => month.len() == 2 && known.contains("20"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widens(policy: &str, than: &str) -> bool {
        let name = |suffix: &str| format!("ELBSecurityPolicy-{suffix}");
        accepts_more(&name(policy), &name(than))
    }

    #[test]
    fn each_step_down_widens_and_no_step_up_does() {
        let falling = [
            "TLS13-1-3-2021-06",
            "TLS13-1-2-Res-PQ-2025-09",
            "TLS13-1-2-FIPS-2023-04",
            "TLS13-1-2-Ext1-2021-06",
            "TLS13-1-2-Ext2-2021-06",
            "TLS-1-1-2017-01",
            "2016-08",
        ];
        for (i, strict) in falling.iter().enumerate() {
            for lax in &falling[i + 1..] {
                assert!(
                    widens(lax, strict) && !widens(strict, lax),
                    "{strict} {lax}"
                );
            }
        }
    }

    #[test]
    fn dates_matter_only_where_the_ciphers_changed() {
        assert!(widens("FS-1-2-Res-2019-08", "FS-1-2-Res-2020-10"));
        assert!(!widens("TLS13-1-3-PQ-2025-09", "TLS13-1-3-2021-06"));
        assert!(!widens("2016-08", "TLS13-1-0-2021-06"));
        assert!(widens("FS-2018-06", "FS-1-1-2019-08"));
    }

    #[test]
    fn weaknesses_that_exclude_each_other_widen_either_way() {
        let (sha1, rsa) = ("TLS13-1-2-Ext0-FIPS-2023-04", "TLS13-1-2-Ext1-FIPS-2023-04");
        assert!(widens(sha1, rsa) && widens(rsa, sha1));
    }

    #[test]
    fn versions_are_told_from_the_name() {
        let versions = |suffix: &str| {
            let known = protocols(&format!("ELBSecurityPolicy-{suffix}"))?;
            Some([known.tls13, known.tls12, known.tls11, known.post_quantum])
        };
        let (yes, no) = (true, false);
        assert_eq!(versions("TLS13-1-3-2021-06"), Some([yes, no, no, no]));
        assert_eq!(versions("TLS13-1-3-PQ-2025-09"), Some([yes, no, no, yes]));
        assert_eq!(
            versions("TLS13-1-2-Res-PQ-2025-09"),
            Some([yes, yes, no, yes])
        );
        assert_eq!(versions("TLS13-1-0-2021-06"), Some([yes, yes, yes, no]));
        assert_eq!(versions("FS-1-2-Res-2020-10"), Some([no, yes, no, no]));
        assert_eq!(versions("2016-08"), Some([no, yes, yes, no]));
        assert_eq!(versions("TLS14-2030-01"), None);
    }

    #[test]
    fn what_nobody_knows_may_accept_anything() {
        assert!(widens("TLS14-2030-01", "TLS13-1-3-2021-06"));
        assert!(widens("TLS13-1-2-New-2030-01", "TLS13-1-2-2021-06"));
        assert!(!widens("TLS13-1-3-2021-06", "TLS14-2030-01"));
    }
}
