//! What the clients of an API would notice: that what is deployed leads through a VPC link to nothing
//! that serves them, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::Integration;
use crate::sandbox::elbv2::outage::at_port;
use crate::sandbox::world::{Region, World};

/// What does not work behind the stages of a region; nothing of integrations without a VPC link.
pub(in crate::sandbox) fn outages(world: &World, region: &str) -> BTreeSet<String> {
    let mut outages = BTreeSet::new();
    let Some(in_region) = world.regions.get(region) else {
        return outages;
    };
    for api in in_region.apigateway.apis.values() {
        for (name, stage) in &api.stages {
            let Some(deployment) = api.deployments.get(&stage.deployment_id) else {
                continue;
            };
            let methods = deployment.definition.methods();
            let integrations = methods.filter_map(|(_, method)| method.method_integration.as_ref());
            for integration in integrations {
                let Some(link) = integration.link(&stage.variables) else {
                    continue;
                };
                let port = port(integration, &stage.variables);
                for outage in of_way(world, (region, in_region), &link, port) {
                    outages.insert(format!(
                        "stage {name} of the API {} leads through the VPC link {link}, which {outage}",
                        api.id
                    ));
                }
            }
        }
    }
    outages
}

/// Why a VPC link and the load balancer behind it do not serve whoever wants this port.
fn of_way(
    world: &World,
    (region, in_region): (&str, &Region),
    link: &str,
    port: u16,
) -> Vec<String> {
    let Some(known) = in_region.apigateway.vpc_links.get(link) else {
        return vec!["is gone".to_owned()];
    };
    match known.status(world.now) {
        "AVAILABLE" => {
            let outages = at_port(world, region, &known.target, port).into_iter();
            outages
                .map(|outage| format!("leads to {}, which {outage}", known.target))
                .collect()
        }
        status => vec![format!("is {status}")],
    }
}

/// The port that an integration's address says, or that its scheme stands for.
fn port(integration: &Integration, variables: &BTreeMap<String, String>) -> u16 {
    let mut address = integration.uri.clone().unwrap_or_default();
    for (name, value) in variables {
        address = address.replace(&format!("${{stageVariables.{name}}}"), value);
    }
    let (scheme, rest) = address.split_once("://").unwrap_or(("", &address));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let given = authority.rsplit_once(':').map(|(_, port)| port);
    let default = if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        80
    };
    given.and_then(|port| port.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port_of(uri: &str) -> u16 {
        let integration = Integration {
            uri: Some(uri.to_owned()),
            ..Integration::new("HTTP_PROXY", "resource")
        };
        let variables = [("port".to_owned(), "9443".to_owned())];
        port(&integration, &variables.into())
    }

    #[test]
    fn a_port_is_given_or_goes_with_the_scheme() {
        assert_eq!(port_of("https://backend.internal/pets"), 443);
        assert_eq!(port_of("http://backend.internal?all"), 80);
        assert_eq!(port_of("https://backend.internal:8443/pets"), 8443);
        assert_eq!(port_of("https://b:${stageVariables.port}/a:b"), 9443);
    }
}
