//! The codes of quotas, by which Service Quotas raises them.
//!
//! AWS's refusals name no code. Where one operation can exhaust several quotas, all are named.

/// The quotas that a refusal may be about.
///
/// AWS: Service Quotas, and "Quotas for your Application Load Balancers" for those of ELB.
pub(super) fn codes(operation: &str, code: &str) -> &'static [&'static str] {
    match (operation, code) {
        (_, "TooManyTrustStores") => &["L-A8F7060B"],
        (_, "TooManyTrustStoreRevocationEntries") => &["L-37E1617B"],
        (_, "TooManyLoadBalancers") => &["L-53DA6B97"],
        (_, "TooManyTargetGroups") => &["L-B22855CB"],
        (_, "TooManyListeners") => &["L-B6DF7632"],
        (_, "VpcEndpointLimitExceeded") => &["L-29B6F2EB"],
        (_, "SecurityGroupLimitExceeded") => &["L-E79EC296"],
        (_, "RulesPerSecurityGroupLimitExceeded") => &["L-0EA8095F"],
        (_, "TooManyHostedZones") => &["L-4EA4796A"],
        ("apigateway:CreateRestApi", "LimitExceededException") => &["L-A966AB5C", "L-AA0FF27B"],
        ("apigateway:CreateDomainName", "LimitExceededException") => &["L-A93447B8"],
        ("apigateway:CreateStage", "LimitExceededException") => &["L-379E48B0"],
        _ => &[],
    }
}
