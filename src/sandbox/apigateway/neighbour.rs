//! What API Gateway asks other services of the account.

use crate::sandbox::acm;
use crate::sandbox::world::{Refusal, World};

/// What API Gateway has to know of a certificate.
pub(super) struct Certificate {
    /// Whether it is in force.
    pub(super) is_issued: bool,
    /// The names it is for, wildcards included.
    pub(super) names: Vec<String>,
    /// `RSA_2048`, `EC_prime256v1` …
    pub(super) key_algorithm: String,
}

/// The certificate of an ARN, with what ACM has noticed by now.
pub(super) fn certificate(
    world: &mut World,
    region: &str,
    arn: &str,
) -> Result<Option<Certificate>, Refusal> {
    acm::settle(world, region)?;
    let now = world.now;
    let certificate = world.region(region).acm.certificate(arn);
    Ok(certificate.map(|certificate| Certificate {
        is_issued: certificate.status(now) == "ISSUED",
        names: certificate.names().to_vec(),
        key_algorithm: certificate.key_algorithm().to_owned(),
    }))
}

/// Whether the endpoint exists.
pub(super) fn has_vpc_endpoint(world: &mut World, region: &str, id: &str) -> bool {
    let now = world.now;
    world.region(region).ec2.vpc_endpoint(id, now).is_some()
}
