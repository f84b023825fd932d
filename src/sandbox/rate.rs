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

/// Which operations of a service share a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// All of them.
    All,
    /// Those that only read.
    Reads,
    /// Those that change something and have no row of their own.
    OtherWrites,
    /// This one.
    One(&'static str),
    /// Each that only reads has one of its own.
    EachRead,
    /// Each that changes something and has no row of its own has one of its own.
    EachOtherWrite,
}

/// Service, operations, burst, and calls a second.
///
/// API Gateway, ACM and Route 53 list theirs in their quotas, EC2 (each operation on its own) and ELB
/// (by category) on a page about throttling. ELB's of writes are those that its Kubernetes controller
/// keeps to.
const LIMITS: &[(&str, Of, f64, f64)] = &[
    ("apigateway", Of::All, 40.0, 10.0),
    ("apigateway", Of::One("CreateRestApi"), 1.0, 1.0 / 3.0),
    ("apigateway", Of::One("ImportRestApi"), 1.0, 1.0 / 3.0),
    ("apigateway", Of::One("PutRestApi"), 1.0, 1.0),
    ("apigateway", Of::One("DeleteRestApi"), 1.0, 1.0 / 30.0),
    ("apigateway", Of::One("CreateDeployment"), 1.0, 1.0 / 5.0),
    ("apigateway", Of::One("CreateResource"), 5.0, 5.0),
    ("apigateway", Of::One("DeleteResource"), 5.0, 5.0),
    ("apigateway", Of::One("GetResources"), 5.0, 2.5),
    ("apigateway", Of::One("CreateDomainName"), 1.0, 1.0 / 30.0),
    ("apigateway", Of::One("UpdateDomainName"), 1.0, 1.0 / 30.0),
    ("apigateway", Of::One("DeleteDomainName"), 1.0, 1.0 / 30.0),
    ("apigateway", Of::One("CreateVpcLink"), 1.0, 1.0 / 15.0),
    ("apigateway", Of::One("DeleteVpcLink"), 1.0, 1.0 / 30.0),
    ("apigateway", Of::One("UpdateAccount"), 1.0, 1.0 / 20.0),
    ("acm", Of::One("RequestCertificate"), 5.0, 5.0),
    ("acm", Of::One("DescribeCertificate"), 10.0, 10.0),
    ("acm", Of::One("ImportCertificate"), 1.0, 1.0),
    ("acm", Of::One("DeleteCertificate"), 10.0, 10.0),
    ("acm", Of::One("ListCertificates"), 8.0, 8.0),
    ("acm", Of::One("AddTagsToCertificate"), 5.0, 5.0),
    ("route53", Of::All, 50.0, 10.0),
    ("route53", Of::One("CreateHostedZone"), 40.0, 2.0),
    ("route53", Of::One("DeleteHostedZone"), 40.0, 5.0),
    ("route53", Of::One("AssociateVPCWithHostedZone"), 20.0, 5.0),
    (
        "route53",
        Of::One("DisassociateVPCFromHostedZone"),
        10.0,
        5.0,
    ),
    ("elbv2", Of::Reads, 40.0, 10.0),
    ("elbv2", Of::One("RegisterTargets"), 20.0, 4.0),
    ("elbv2", Of::One("DeregisterTargets"), 20.0, 4.0),
    ("elbv2", Of::OtherWrites, 20.0, 3.0),
    ("ec2", Of::EachRead, 100.0, 20.0),
    ("ec2", Of::One("CreateVpcEndpoint"), 4.0, 0.3),
    ("ec2", Of::One("ModifyVpcEndpoint"), 4.0, 0.3),
    ("ec2", Of::One("DeleteVpcEndpoints"), 4.0, 0.3),
    ("ec2", Of::EachOtherWrite, 50.0, 5.0),
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

/// A bucket: of a region, a service, and the operation or the group of them that it is for.
type Name = (String, &'static str, String);

/// The buckets that have been drawn from: what is left in each, and when that was so.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    left: BTreeMap<Name, (f64, i64)>,
    /// How often each operation found one empty.
    refused: BTreeMap<String, u64>,
}

impl Buckets {
    /// Draws a token for a call at `now` (in milliseconds), unless a bucket is empty.
    pub(super) fn draw(&mut self, call: Draw<'_>, now: i64) -> bool {
        let mut drawn = Vec::new();
        for &(service, of, burst, rate) in LIMITS {
            let Some(bucket) = bucket(service, of, call) else {
                continue;
            };
            let name = (call.region.to_owned(), service, bucket);
            let (left, at) = self.left.get(&name).copied().unwrap_or((burst, now));
            #[expect(
                clippy::cast_precision_loss,
                reason = "milliseconds between two calls are few"
            )]
            let filled = (left + (now - at) as f64 / 1000.0 * rate).min(burst);
            if filled < 1.0 {
                let operation = format!("{service}:{}", call.operation);
                *self.refused.entry(operation).or_default() += 1;
                return false;
            }
            drawn.push((name, (filled - 1.0, now)));
        }
        self.left.extend(drawn);
        true
    }

    /// How often each operation was refused, by `service:Operation`.
    pub(super) fn refused(&self) -> &BTreeMap<String, u64> {
        &self.refused
    }
}

/// The bucket of a row that a call draws from, if it does.
fn bucket(service: &str, of: Of, call: Draw<'_>) -> Option<String> {
    if service != call.service {
        return None;
    }
    let is_read = ["Describe", "Get", "Head", "List"]
        .iter()
        .any(|verb| call.operation.starts_with(verb));
    let has_own = LIMITS.iter().any(|(other, of, ..)| {
        *other == service && matches!(of, Of::One(operation) if *operation == call.operation)
    });
    let own = || call.operation.to_owned();
    match of {
        Of::All => Some("all".to_owned()),
        Of::Reads => is_read.then(|| "reads".to_owned()),
        Of::EachRead => is_read.then(own),
        Of::OtherWrites => (!is_read && !has_own).then(|| "other writes".to_owned()),
        Of::EachOtherWrite => (!is_read && !has_own).then(own),
        Of::One(operation) => (operation == call.operation).then(own),
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

    fn allowed_at_once(service: &str, operation: &str) -> usize {
        let mut buckets = Buckets::default();
        let call = Draw {
            service,
            operation,
            region: "ap-northeast-1",
        };
        (0..1000).filter(|_| buckets.draw(call, 0)).count()
    }

    #[test]
    fn each_kind_of_call_has_the_burst_of_its_service() {
        assert_eq!(allowed_at_once("elbv2", "DescribeTags"), 40);
        assert_eq!(allowed_at_once("elbv2", "ModifyListener"), 20);
        assert_eq!(allowed_at_once("ec2", "DescribeVpcs"), 100);
        assert_eq!(allowed_at_once("ec2", "CreateVpcEndpoint"), 4);
        assert_eq!(allowed_at_once("ec2", "CreateSecurityGroup"), 50);
        assert_eq!(allowed_at_once("s3", "PutObject"), 1000);
    }

    #[test]
    fn ec2_counts_each_operation_and_elb_all_reads_together() {
        let mut buckets = Buckets::default();
        let mut draws = |service, operation| {
            let call = Draw {
                service,
                operation,
                region: "ap-northeast-1",
            };
            (0..200).filter(|_| buckets.draw(call, 0)).count()
        };
        assert_eq!(draws("ec2", "DescribeVpcs"), 100);
        assert_eq!(draws("ec2", "DescribeSubnets"), 100);
        assert_eq!(draws("elbv2", "DescribeTags"), 40);
        assert_eq!(draws("elbv2", "DescribeListeners"), 0);
        let refused = buckets.refused();
        assert_eq!(refused.get("elbv2:DescribeListeners"), Some(&200));
    }
}
