//! What aliases may point to: names of other AWS services, each in a hosted zone of that service.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sandbox::world::{Call, Refusal, World};
use crate::sandbox::{apigateway, ec2, elbv2};

/// The hosted zones of all names that an alias may point to, by name without the last dot.
pub(super) type Targets = BTreeMap<String, String>;

/// Asks every service, in every region of the account, for the names it has.
pub(super) fn all(world: &mut World) -> Result<Targets, Refusal> {
    let mut targets = Targets::new();
    let regions: Vec<String> = world.regions.keys().cloned().collect();
    for region in &regions {
        load_balancers(world, region, &mut targets)?;
        vpc_endpoints(world, region, &mut targets)?;
        targets.extend(apigateway::regional_names(world, region));
    }
    Ok(targets)
}

/// Finds the zone of a name; `dualstack.` before a load balancer's name changes nothing.
pub(super) fn zone_of<'t>(targets: &'t Targets, name: &str) -> Option<&'t String> {
    let name = name.trim_end_matches('.');
    targets.get(name.strip_prefix("dualstack.").unwrap_or(name))
}

/// Adds the names of load balancers.
fn load_balancers(world: &mut World, region: &str, targets: &mut Targets) -> Result<(), Refusal> {
    let mut marker = Value::Null;
    loop {
        let input = if marker.is_null() {
            json!({})
        } else {
            json!({ "Marker": marker })
        };
        let call = call("DescribeLoadBalancers", region, &input);
        let answer = elbv2::handle(world, &call)?;
        for load_balancer in answer["LoadBalancers"].as_array().into_iter().flatten() {
            add(
                targets,
                &load_balancer["DNSName"],
                &load_balancer["CanonicalHostedZoneId"],
            );
        }
        marker = answer["NextMarker"].clone();
        if marker.is_null() {
            return Ok(());
        }
    }
}

/// Adds the names of VPC endpoints.
fn vpc_endpoints(world: &mut World, region: &str, targets: &mut Targets) -> Result<(), Refusal> {
    let answer = ec2::handle(world, &call("DescribeVpcEndpoints", region, &json!({})))?;
    let endpoints = answer["VpcEndpoints"].as_array().into_iter().flatten();
    for entry in endpoints
        .filter_map(|endpoint| endpoint["DnsEntries"].as_array())
        .flatten()
    {
        add(targets, &entry["DnsName"], &entry["HostedZoneId"]);
    }
    Ok(())
}

/// Adds a name and its zone, if both are there.
fn add(targets: &mut Targets, name: &Value, zone: &Value) {
    if let (Some(name), Some(zone)) = (name.as_str(), zone.as_str()) {
        targets.insert(name.to_ascii_lowercase(), zone.to_owned());
    }
}

/// A call of the account's own services.
fn call<'a>(operation: &'a str, region: &'a str, input: &'a Value) -> Call<'a> {
    Call {
        operation,
        region,
        input,
        body: &[],
        endpoint: "",
    }
}
