//! AWS's documented control-plane rates, as token buckets on the sandbox's clock.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Whether calls are held to AWS's documented rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rates {
    /// They are not.
    #[default]
    Off,
    /// They are; where states pass at once, so do the buckets fill, and nothing is refused.
    Documented,
}

impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "documented" => Ok(Self::Documented),
            _ => Err(format!(
                "`{text}` is no kind of rates; write `off` or `documented`"
            )),
        }
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Off => "off",
            Self::Documented => "documented",
        })
    }
}

/// Service, operation (`*`: all together), burst, and calls a second.
const LIMITS: &[(&str, &str, f64, f64)] = &[
    ("apigateway", "*", 40.0, 10.0),
    ("apigateway", "CreateRestApi", 1.0, 1.0 / 3.0),
    ("apigateway", "ImportRestApi", 1.0, 1.0 / 3.0),
    ("apigateway", "PutRestApi", 1.0, 1.0),
    ("apigateway", "DeleteRestApi", 1.0, 1.0 / 30.0),
    ("apigateway", "CreateDeployment", 1.0, 1.0 / 5.0),
    ("apigateway", "CreateResource", 5.0, 5.0),
    ("apigateway", "DeleteResource", 5.0, 5.0),
    ("apigateway", "GetResources", 5.0, 2.5),
    ("apigateway", "CreateDomainName", 1.0, 1.0 / 30.0),
    ("apigateway", "UpdateDomainName", 1.0, 1.0 / 30.0),
    ("apigateway", "DeleteDomainName", 1.0, 1.0 / 30.0),
    ("apigateway", "CreateVpcLink", 1.0, 1.0 / 15.0),
    ("apigateway", "DeleteVpcLink", 1.0, 1.0 / 30.0),
    ("apigateway", "UpdateAccount", 1.0, 1.0 / 20.0),
    ("acm", "RequestCertificate", 5.0, 5.0),
    ("acm", "DescribeCertificate", 10.0, 10.0),
    ("acm", "ImportCertificate", 1.0, 1.0),
    ("acm", "DeleteCertificate", 10.0, 10.0),
    ("acm", "ListCertificates", 8.0, 8.0),
    ("acm", "AddTagsToCertificate", 5.0, 5.0),
    ("route53", "*", 50.0, 10.0),
    ("route53", "CreateHostedZone", 40.0, 2.0),
    ("route53", "DeleteHostedZone", 40.0, 5.0),
    ("route53", "AssociateVPCWithHostedZone", 20.0, 5.0),
    ("route53", "DisassociateVPCFromHostedZone", 10.0, 5.0),
];

/// One call, as far as rates go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw<'a> {
    /// The service's name.
    pub(super) service: &'a str,
    /// The operation's name.
    pub(super) operation: &'a str,
    /// The region, which has buckets of its own.
    pub(super) region: &'a str,
}

/// The buckets that have been drawn from: what is left in each, and when that was so.
#[derive(Debug, Default)]
pub(super) struct Buckets(BTreeMap<(String, &'static str, &'static str), (f64, i64)>);

impl Buckets {
    /// Draws a token for a call at `now` (in milliseconds), unless a bucket is empty.
    pub(super) fn draw(&mut self, call: Draw<'_>, now: i64) -> bool {
        let limits = LIMITS.iter().filter(|(service, operation, ..)| {
            *service == call.service && (*operation == "*" || *operation == call.operation)
        });
        let mut drawn = Vec::new();
        for &(service, operation, burst, rate) in limits {
            let key = (call.region.to_owned(), service, operation);
            let (left, at) = self.0.get(&key).copied().unwrap_or((burst, now));
            #[expect(
                clippy::cast_precision_loss,
                reason = "milliseconds between two calls are few"
            )]
            let filled = (left + (now - at) as f64 / 1000.0 * rate).min(burst);
            if filled < 1.0 {
                return false;
            }
            drawn.push((key, (filled - 1.0, now)));
        }
        self.0.extend(drawn);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Buckets, Draw};

    fn call(operation: &str) -> Draw<'_> {
        Draw {
            service: "apigateway",
            operation,
            region: "ap-northeast-1",
        }
    }

    #[test]
    fn a_slow_operation_is_refused_until_its_time_has_passed() {
        let mut buckets = Buckets::default();
        assert!(buckets.draw(call("DeleteRestApi"), 0));
        assert!(!buckets.draw(call("DeleteRestApi"), 29_000));
        assert!(buckets.draw(call("DeleteRestApi"), 30_000));
    }

    #[test]
    fn the_account_as_a_whole_has_a_burst_of_forty() {
        let mut buckets = Buckets::default();
        assert_eq!(
            (0..100)
                .filter(|_| buckets.draw(call("GetRestApi"), 0))
                .count(),
            40
        );
        assert_eq!(
            (0..100)
                .filter(|_| buckets.draw(call("GetRestApi"), 1000))
                .count(),
            10
        );
    }

    #[test]
    fn services_without_documented_rates_are_free() {
        let caller = Draw {
            service: "elbv2",
            operation: "DescribeTags",
            region: "ap-northeast-1",
        };
        let mut buckets = Buckets::default();
        assert!((0..1000).all(|_| buckets.draw(caller, 0)));
    }
}
