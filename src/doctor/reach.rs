//! Whether security groups let the load balancer through to the endpoint, or out to servers.

use std::net::IpAddr;

use aws_sdk_ec2::types::{IpPermission, SecurityGroup, VpcEndpoint};
use aws_sdk_elasticloadbalancingv2::types::LoadBalancer;
use ipnet::IpNet;

use super::{Finding, Link};
use crate::aws::{Aws, pages};
use crate::error::Result;
use crate::resource::ec2::filter;

/// The port of execute-api endpoints.
const PORT: i32 = 443;

/// The two sides, with the rules of their groups.
pub(super) struct Between<'a> {
    /// The groups of both, with their rules.
    pub(super) groups: &'a [SecurityGroup],
    pub(super) balancer: &'a LoadBalancer,
    pub(super) endpoint: &'a VpcEndpoint,
    /// The private addresses of the load balancer's nodes.
    pub(super) nodes: &'a [String],
    /// The addresses of the endpoint.
    pub(super) addresses: &'a [String],
}

impl Between<'_> {
    /// What keeps them apart, if anything does.
    pub(super) fn blocked(&self) -> Option<Finding> {
        let from = self.balancer.security_groups();
        let to: Vec<String> = self
            .endpoint
            .groups()
            .iter()
            .filter_map(|group| group.group_id().map(str::to_owned))
            .collect();
        let id = self.endpoint.vpc_endpoint_id().unwrap_or_default();
        if !self.admit(
            from,
            SecurityGroup::ip_permissions_egress,
            &to,
            self.addresses,
        ) {
            let arn = self.balancer.load_balancer_arn().unwrap_or_default();
            return Some(
                Finding::new(Link::SecurityGroups, "load-balancer-may-not-call", arn)
                    .what(format!(
                        "no egress rule of {} lets 443 out to the endpoint {id}",
                        from.join(", ")
                    ))
                    .fix(format!(
                        "allow TCP 443 from {} to {}",
                        from.join(", "),
                        to.join(", ")
                    )),
            );
        }
        if !self.admit(&to, SecurityGroup::ip_permissions, from, self.nodes) {
            return Some(
                Finding::new(Link::SecurityGroups, "endpoint-does-not-admit", id)
                    .what(format!(
                        "no ingress rule of {} lets 443 in from the load balancer",
                        to.join(", ")
                    ))
                    .fix(format!(
                        "allow TCP 443 into {} from {}",
                        to.join(", "),
                        from.join(", ")
                    )),
            );
        }
        None
    }

    /// Whether a rule of the groups `own` names one of the groups of the other side, or ranges that hold its addresses.
    fn admit(
        &self,
        own: &[String],
        rules: fn(&SecurityGroup) -> &[IpPermission],
        others: &[String],
        addresses: &[String],
    ) -> bool {
        let own = self.groups.iter().filter(|group| {
            group
                .group_id()
                .is_some_and(|id| own.iter().any(|one| one == id))
        });
        let rules: Vec<&IpPermission> = own
            .flat_map(rules)
            .filter(|rule| is_for_port(rule))
            .collect();
        let names = rules
            .iter()
            .flat_map(|rule| rule.user_id_group_pairs())
            .any(|pair| {
                pair.group_id()
                    .is_some_and(|id| others.iter().any(|one| one == id))
            });
        // A prefix list may hold them; nobody is accused by what has not been looked into.
        let may = rules.iter().any(|rule| !rule.prefix_list_ids().is_empty());
        let ranges = || {
            let v4 = rules
                .iter()
                .flat_map(|rule| rule.ip_ranges())
                .filter_map(|range| range.cidr_ip());
            let v6 = rules
                .iter()
                .flat_map(|rule| rule.ipv6_ranges())
                .filter_map(|range| range.cidr_ipv6());
            v4.chain(v6)
        };
        let held = |address: &String| ranges().any(|range| holds(range, address));
        names || may || (!addresses.is_empty() && addresses.iter().all(held))
    }
}

/// The servers that the load balancer's own groups do not let it call, as `ID:PORT`.
///
/// Which groups servers are in is theirs to say; what these refuse shows as a time-out of the health check.
pub(super) fn not_called(groups: &[SecurityGroup], targets: &[(String, i32)]) -> Vec<String> {
    let rules: Vec<&IpPermission> = groups
        .iter()
        .flat_map(SecurityGroup::ip_permissions_egress)
        .collect();
    let may_call = |(id, port): &&(String, i32)| {
        let mut fitting = rules.iter().filter(|rule| is_for(rule, *port));
        fitting.any(|rule| match id.parse::<IpAddr>() {
            // A group or a prefix list may hold it; nobody is accused by what has not been looked into.
            Ok(_) => {
                let v4 = rule.ip_ranges().iter().filter_map(|range| range.cidr_ip());
                let v6 = rule
                    .ipv6_ranges()
                    .iter()
                    .filter_map(|range| range.cidr_ipv6());
                v4.chain(v6).any(|range| holds(range, id))
                    || !rule.user_id_group_pairs().is_empty()
                    || !rule.prefix_list_ids().is_empty()
            }
            Err(_) => true,
        })
    };
    let blocked = targets.iter().filter(|target| !may_call(target));
    blocked.map(|(id, port)| format!("{id}:{port}")).collect()
}

fn is_for_port(rule: &IpPermission) -> bool {
    is_for(rule, PORT)
}

fn is_for(rule: &IpPermission, port: i32) -> bool {
    let protocol = rule.ip_protocol().unwrap_or_default();
    let ports = rule.from_port().unwrap_or(0)..=rule.to_port().unwrap_or(65_535);
    protocol == "-1" || (["tcp", "6"].contains(&protocol) && ports.contains(&port))
}

/// Whether a range holds an address; what is neither holds nothing.
fn holds(range: &str, address: &str) -> bool {
    let (range, address) = (range.parse::<IpNet>(), address.parse::<IpAddr>());
    range.is_ok_and(|range| address.is_ok_and(|address| range.contains(&address)))
}

/// The private addresses of a load balancer's nodes.
pub(super) async fn nodes(aws: &Aws, balancer: &LoadBalancer) -> Result<Vec<String>> {
    let arn = balancer.load_balancer_arn().unwrap_or_default();
    let name = arn
        .rsplit_once("loadbalancer/")
        .map_or(arn, |(_, name)| name);
    let interfaces = pages(async |next| {
        let send = aws
            .ec2
            .describe_network_interfaces()
            .filters(filter("description", vec![format!("ELB {name}")]))
            .set_next_token(next)
            .send();
        let page = aws.call("ec2:DescribeNetworkInterfaces", send).await?;
        Ok((page.network_interfaces.unwrap_or_default(), page.next_token))
    })
    .await?;
    let addresses = interfaces
        .iter()
        .filter_map(|interface| interface.private_ip_address().map(str::to_owned));
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{IpRange, SecurityGroupIdentifier, UserIdGroupPair};

    use super::*;

    fn group(
        id: &str,
        ingress: Option<IpPermission>,
        egress: Option<IpPermission>,
    ) -> SecurityGroup {
        SecurityGroup::builder()
            .group_id(id)
            .set_ip_permissions(ingress.map(|rule| vec![rule]))
            .set_ip_permissions_egress(egress.map(|rule| vec![rule]))
            .build()
    }

    fn https() -> aws_sdk_ec2::types::builders::IpPermissionBuilder {
        IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(443)
            .to_port(443)
    }

    fn from_group(id: &str) -> IpPermission {
        let pair = UserIdGroupPair::builder().group_id(id).build();
        https().user_id_group_pairs(pair).build()
    }

    fn from_range(range: &str) -> IpPermission {
        https()
            .ip_ranges(IpRange::builder().cidr_ip(range).build())
            .build()
    }

    /// What keeps a load balancer in `sg-lb` from an endpoint in `sg-vpce`.
    fn blocked(
        ingress: Option<IpPermission>,
        egress: Option<IpPermission>,
    ) -> Option<&'static str> {
        let groups = [
            group("sg-lb", None, egress),
            group("sg-vpce", ingress, None),
        ];
        let balancer = LoadBalancer::builder().security_groups("sg-lb").build();
        let endpoint = VpcEndpoint::builder()
            .groups(
                SecurityGroupIdentifier::builder()
                    .group_id("sg-vpce")
                    .build(),
            )
            .build();
        let between = Between {
            groups: &groups,
            balancer: &balancer,
            endpoint: &endpoint,
            nodes: &["10.0.1.10".to_owned(), "10.0.2.10".to_owned()],
            addresses: &["10.0.1.20".to_owned()],
        };
        between.blocked().map(|finding| finding.code)
    }

    #[test]
    fn a_rule_for_the_other_group_or_for_all_its_addresses_lets_through() {
        let out = || Some(from_group("sg-vpce"));
        assert_eq!(blocked(Some(from_group("sg-lb")), out()), None);
        assert_eq!(blocked(Some(from_range("10.0.0.0/16")), out()), None);
        assert_eq!(
            blocked(
                Some(from_range("10.0.0.0/16")),
                Some(from_range("10.0.1.0/24"))
            ),
            None
        );
    }

    #[test]
    fn a_rule_for_one_of_two_nodes_is_not_enough() {
        let one = Some(from_range("10.0.1.0/24"));
        let out = Some(from_group("sg-vpce"));
        assert_eq!(blocked(one, out), Some("endpoint-does-not-admit"));
    }

    #[test]
    fn what_may_not_leave_is_told_before_what_may_not_enter() {
        assert_eq!(blocked(None, None), Some("load-balancer-may-not-call"));
        let elsewhere = Some(from_range("192.0.2.0/24"));
        assert_eq!(
            blocked(Some(from_group("sg-lb")), elsewhere),
            Some("load-balancer-may-not-call")
        );
    }

    #[test]
    fn another_port_is_another_rule() {
        let ssh = IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(22)
            .to_port(80);
        let ssh = ssh
            .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
            .build();
        assert_eq!(
            blocked(Some(ssh), Some(from_group("sg-vpce"))),
            Some("endpoint-does-not-admit")
        );
        let all = IpPermission::builder().ip_protocol("-1");
        let all = all
            .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
            .build();
        assert_eq!(blocked(Some(all.clone()), Some(all)), None);
    }
}
