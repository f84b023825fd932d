//! The codes of quotas, by which Service Quotas raises them, and which of them a run has used up.
//!
//! AWS's refusals name no code. Where one operation can exhaust several quotas, all are named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::AwsError;

/// A quota as Service Quotas knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    code: &'static str,
    /// What an account has that never asked for more.
    default: u32,
}

const fn quota(code: &'static str, default: u32) -> Quota {
    Quota { code, default }
}

impl fmt::Display for Quota {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, default } = self;
        write!(formatter, "{code}, {default} unless it was raised")
    }
}

/// The quotas that a refusal may be about.
///
/// AWS: Service Quotas, and "Quotas for your Application Load Balancers" for those of ELB.
pub(super) fn quotas(operation: &str, code: &str) -> Vec<Quota> {
    let quotas: &[Quota] = match (operation, code) {
        (_, "TooManyTrustStores") => &[quota("L-A8F7060B", 20)],
        (_, "TooManyTrustStoreRevocationEntries") => &[quota("L-37E1617B", 500_000)],
        (_, "TooManyLoadBalancers") => &[quota("L-53DA6B97", 50)],
        (_, "TooManyTargetGroups") => &[quota("L-B22855CB", 3000)],
        (_, "TooManyListeners") => &[quota("L-B6DF7632", 50)],
        (_, "VpcEndpointLimitExceeded") => &[quota("L-29B6F2EB", 50)],
        (_, "SecurityGroupLimitExceeded") => &[quota("L-E79EC296", 2500)],
        (_, "RulesPerSecurityGroupLimitExceeded") => &[quota("L-0EA8095F", 60)],
        (_, "TooManyHostedZones") => &[quota("L-4EA4796A", 500)],
        ("acm:RequestCertificate", "LimitExceededException") => &[quota("L-F141DD1D", 2500)],
        ("apigateway:CreateRestApi", "LimitExceededException") => {
            &[quota("L-A966AB5C", 600), quota("L-AA0FF27B", 600)]
        }
        ("apigateway:CreateDomainName", "LimitExceededException") => &[quota("L-A93447B8", 120)],
        ("apigateway:CreateStage", "LimitExceededException") => &[quota("L-379E48B0", 10)],
        _ => &[],
    };
    quotas.to_vec()
}

/// The refusals of which one says that every further call of the operation is refused as well: the
/// quota is the region's as a whole, and the only one that the operation can exhaust with this code.
const OF_THE_REGION: [&str; 3] = [
    "TooManyTrustStores",
    "TooManyTargetGroups",
    "SecurityGroupLimitExceeded",
];

/// What AWS refused during this run because a quota of the region is used up.
///
/// The others of a run of many stacks are told the same without asking AWS for each of them.
#[derive(Debug, Default)]
pub(super) struct Exhausted(Mutex<BTreeMap<&'static str, AwsError>>);

impl Exhausted {
    /// The refusal that a call would meet again.
    pub(super) fn refusal(&self, operation: &str) -> Option<AwsError> {
        self.refusals().get(operation).cloned()
    }

    /// Remembers how a call ended. Whatever is deleted may have made room.
    pub(super) fn note(&self, operation: &'static str, refused: Option<&AwsError>) {
        let is_deletion = || operation.contains(":Delete");
        match refused {
            Some(error) if OF_THE_REGION.iter().any(|code| error.is(code)) => {
                self.refusals().insert(operation, error.clone());
            }
            None if is_deletion() => self.refusals().clear(),
            _ => {}
        }
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeMap<&'static str, AwsError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(operation: &'static str, code: &str) -> AwsError {
        AwsError::inside_answer(operation, code, "no more")
    }

    #[test]
    fn what_a_quota_of_the_region_refuses_is_not_asked_again_until_something_is_deleted() {
        let (exhausted, create) = (Exhausted::default(), "elbv2:CreateTrustStore");
        assert!(exhausted.refusal(create).is_none());
        exhausted.note(create, Some(&refused(create, "TooManyTrustStores")));
        let again = exhausted.refusal(create).expect("is remembered");
        assert_eq!(again.code, "TooManyTrustStores");
        assert!(exhausted.refusal("elbv2:CreateTargetGroup").is_none());
        exhausted.note("elbv2:DeleteTrustStore", None);
        assert!(exhausted.refusal(create).is_none());
    }

    #[test]
    fn a_quota_of_one_parent_says_nothing_of_the_others() {
        let (exhausted, create) = (Exhausted::default(), "elbv2:CreateListener");
        exhausted.note(create, Some(&refused(create, "TooManyListeners")));
        assert!(exhausted.refusal(create).is_none());
    }

    #[test]
    fn a_quota_is_named_with_its_code_and_its_value() {
        let quotas = quotas("elbv2:CreateTrustStore", "TooManyTrustStores");
        assert_eq!(quotas[0].to_string(), "L-A8F7060B, 20 unless it was raised");
    }
}
