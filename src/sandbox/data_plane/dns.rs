//! What DNS answers: the records of the account's public zones, and the names that AWS's services
//! give; within a VPC its private zones first.

use std::net::Ipv4Addr;

use super::network::{front_addresses, node_addresses};
use crate::sandbox::apigateway;
use crate::sandbox::world::{Region, World};

/// How many names an answer is looked for under, one leading to the next.
const STEPS: usize = 8;

/// The addresses that a name leads to; those of an address are itself.
pub(in crate::sandbox) fn addresses(world: &World, name: &str) -> Vec<Ipv4Addr> {
    addresses_within(world, None, name)
}

/// The addresses that a name leads to as a VPC sees it: its region and its id.
pub(in crate::sandbox) fn addresses_within(
    world: &World,
    vpc: Option<(&str, &str)>,
    name: &str,
) -> Vec<Ipv4Addr> {
    if let Ok(address) = name.parse() {
        return vec![address];
    }
    let mut name = name.trim_end_matches('.').to_ascii_lowercase();
    for _ in 0..STEPS {
        if let Some(addresses) = of_service(world, &name) {
            return addresses;
        }
        match of_zones(world, vpc, &name) {
            Some(Record::Addresses(addresses)) => return addresses,
            Some(Record::Name(other)) => name = other,
            None => break,
        }
    }
    Vec::new()
}

/// What a record leads to.
enum Record {
    Addresses(Vec<Ipv4Addr>),
    Name(String),
}

/// What the account's zones have for a name, or for the wildcard above it.
fn of_zones(world: &World, vpc: Option<(&str, &str)>, name: &str) -> Option<Record> {
    let find = |name: &str, kind: &str| world.route53.record_within(vpc, name, kind);
    let wildcard = name.split_once('.').map(|(_, above)| format!("*.{above}"));
    for name in [Some(name.to_owned()), wildcard].into_iter().flatten() {
        if let Some(record) = find(&name, "A") {
            if let Some(alias) = &record.alias {
                return Some(Record::Name(plain(alias.dns_name.as_str())));
            }
            let addresses = record.values.iter().filter_map(|value| value.parse().ok());
            return Some(Record::Addresses(addresses.collect()));
        }
        if let Some(record) = find(&name, "CNAME") {
            return record
                .values
                .first()
                .map(|value| Record::Name(plain(value)));
        }
    }
    None
}

/// A name without its last dot.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// What AWS's own zones have for a name; `None` where it is in none of them.
fn of_service(world: &World, name: &str) -> Option<Vec<Ipv4Addr>> {
    let name = name.strip_prefix("dualstack.").unwrap_or(name);
    world.regions.iter().find_map(|(region, content)| {
        of_load_balancer(world, content, name)
            .or_else(|| of_api(world, (region, content), name))
            .or_else(|| of_endpoint(content, region, name))
    })
}

/// The addresses of a load balancer's nodes: public ones, or private ones where it is internal.
fn of_load_balancer(world: &World, region: &Region, name: &str) -> Option<Vec<Ipv4Addr>> {
    let mut all = region.elbv2.load_balancers.values();
    let balancer = all.find(|one| one.dns_name.eq_ignore_ascii_case(name))?;
    if !balancer.is_active(world.now) {
        return Some(Vec::new());
    }
    if balancer.scheme == "internet-facing" {
        return Some(node_addresses(world, balancer));
    }
    let description = balancer.interface_description();
    let nodes = region.ec2.network_interfaces(&description);
    Some(nodes.map(|node| node.address).collect())
}

/// The addresses of a custom domain's regional name, or of an API's own name.
fn of_api(world: &World, (region, content): (&str, &Region), name: &str) -> Option<Vec<Ipv4Addr>> {
    let label = name.strip_suffix(&format!(".execute-api.{region}.amazonaws.com"))?;
    if let Some((api, endpoint)) = label.split_once("-vpce-") {
        let endpoint = format!("vpce-{endpoint}");
        let api = content.apigateway.apis.get(api)?;
        let mut deployed = api.stages.values();
        let is_known = deployed.any(|stage| {
            let deployment = api.deployments.get(&stage.deployment_id);
            deployment.is_some_and(|one| one.properties.vpc_endpoint_ids.contains(&endpoint))
        });
        return Some(if is_known {
            interfaces(content, &endpoint)
        } else {
            Vec::new()
        });
    }
    let domains = apigateway::regional_names(world, region);
    let is_domain = domains.iter().any(|(known, _)| known == name);
    let is_known = is_domain || content.apigateway.apis.contains_key(label);
    Some(if is_known {
        front_addresses(world, region)
    } else {
        Vec::new()
    })
}

/// The addresses of an endpoint's public names, which are private.
fn of_endpoint(content: &Region, region: &str, name: &str) -> Option<Vec<Ipv4Addr>> {
    let label = name.strip_suffix(&format!(".execute-api.{region}.vpce.amazonaws.com"))?;
    let end = label.get("vpce-".len()..)?.find('-')? + "vpce-".len();
    Some(interfaces(content, &label[..end]))
}

/// The private addresses of an endpoint.
fn interfaces(content: &Region, endpoint: &str) -> Vec<Ipv4Addr> {
    let interfaces = content.ec2.endpoint_interfaces(endpoint);
    interfaces
        .iter()
        .map(|interface| interface.address)
        .collect()
}
