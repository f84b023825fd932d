//! The service's ARNs: made, told apart, and refused where they name nothing.

use super::invalid;
use crate::sandbox::world::{Call, Refusal, World};

/// What an ARN of the service can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `loadbalancer/app/NAME/ID`.
    LoadBalancer,
    /// `listener/app/NAME/ID/ID`.
    Listener,
    /// `listener-rule/app/NAME/ID/ID/ID`.
    Rule,
    /// `targetgroup/NAME/ID`.
    TargetGroup,
    /// `truststore/NAME/ID`.
    TrustStore,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::LoadBalancer,
        Self::Listener,
        Self::Rule,
        Self::TargetGroup,
        Self::TrustStore,
    ];

    /// The kind of resource that the ARN names, whether it exists or not.
    pub(super) fn of(arn: &str) -> Option<Self> {
        let mut fields = arn.splitn(6, ':');
        if fields.next()? != "arn" || fields.nth(1)? != "elasticloadbalancing" {
            return None;
        }
        let kind = fields.nth(2)?.split('/').next()?;
        Self::ALL.into_iter().find(|known| known.path() == kind)
    }

    fn path(self) -> &'static str {
        match self {
            Self::LoadBalancer => "loadbalancer",
            Self::Listener => "listener",
            Self::Rule => "listener-rule",
            Self::TargetGroup => "targetgroup",
            Self::TrustStore => "truststore",
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::LoadBalancer => ("LoadBalancerNotFound", "load balancer"),
            Self::Listener => ("ListenerNotFound", "listener"),
            Self::Rule => ("RuleNotFound", "rule"),
            Self::TargetGroup => ("TargetGroupNotFound", "target group"),
            Self::TrustStore => ("TrustStoreNotFound", "trust store"),
        }
    }

    /// The refusal of an ARN under which nothing of this kind was found: malformed, or not there.
    pub(super) fn missing(self, arn: &str) -> Refusal {
        let (code, noun) = self.words();
        if Self::of(arn) == Some(self) {
            Refusal::new(code, format!("One or more {noun}s not found"))
        } else {
            invalid(format!("'{arn}' is not a valid {noun} ARN"))
        }
    }

    /// The refusal of a name under which nothing of this kind was found.
    pub(super) fn missing_name(self, name: &str) -> Refusal {
        let (code, noun) = self.words();
        let (first, rest) = noun.split_at(1);
        let first = first.to_ascii_uppercase();
        Refusal::new(code, format!("{first}{rest}s '[{name}]' not found"))
    }
}

/// The ARN of a resource of the account in the call's region.
pub(super) fn make(world: &World, call: &Call<'_>, resource: &str) -> String {
    format!(
        "arn:{}:elasticloadbalancing:{}:{}:{resource}",
        partition(call.region),
        call.region,
        world.account
    )
}

/// The partition that a region belongs to.
pub(super) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// What follows the kind in an ARN's resource: `app/NAME/ID` of a load balancer.
pub(super) fn path(arn: &str) -> &str {
    arn.split_once('/').map_or("", |(_, path)| path)
}
