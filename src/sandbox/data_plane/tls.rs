//! TLS by a listener's security policy.

use crate::sandbox::elbv2::tls_policy::TlsPolicy;

/// What a policy allows and cannot be spoken here.
pub(super) fn gaps(_policy: &TlsPolicy) -> Vec<String> {
    Vec::new()
}
