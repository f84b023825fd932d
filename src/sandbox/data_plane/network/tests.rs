//! Who finds what where.

use serde_json::json;

use super::super::fixture::{Gateway, REGION, rule};
use super::*;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));

fn outside(gateway: &Gateway, address: Ipv4Addr, port: u16) -> Found {
    from_outside(&gateway.plane.account().world, CLIENT, (address, port))
}

/// What the load balancer's first node finds.
fn inside(gateway: &Gateway, target: &str, port: u16) -> Found {
    let node = gateway.connection(&gateway.listener).node;
    let account = gateway.plane.account();
    let balancer = &account.world.regions[REGION].elbv2.load_balancers[&gateway.balancer];
    from_node(&account.world, REGION, (balancer, node), (target, port))
}

fn nodes(gateway: &Gateway) -> Vec<Ipv4Addr> {
    dns::addresses(&gateway.plane.account().world, &gateway.dns_name)
}

#[tokio::test]
async fn an_internet_facing_load_balancer_has_public_addresses_that_stay() {
    let gateway = Gateway::new();
    let before = nodes(&gateway);
    assert_eq!(before.len(), 2);
    assert!(
        before
            .iter()
            .all(|address| address.octets()[..3] == NODES_AT)
    );
    let input = json!({ "Name": "other", "Subnets": [gateway.subnets[0], gateway.subnets[1]] });
    gateway.elb("CreateLoadBalancer", input);
    assert_eq!(nodes(&gateway), before);
}

#[tokio::test]
async fn a_listener_is_found_where_its_security_groups_let_clients_in() {
    let gateway = Gateway::new();
    let node = nodes(&gateway)[0];
    let found = Found::At(Place::Listener(gateway.listener.clone()));
    assert_eq!(outside(&gateway, node, 80), found);
    assert_eq!(outside(&gateway, node, 443), Found::Dropped);
    gateway.ec2(
        "AuthorizeSecurityGroupIngress",
        rule(&gateway.balancer_group, 443, "0.0.0.0/0"),
    );
    assert!(matches!(outside(&gateway, node, 443), Found::Refused(_)));
    gateway.ec2(
        "RevokeSecurityGroupIngress",
        rule(&gateway.balancer_group, 80, "0.0.0.0/0"),
    );
    gateway.ec2(
        "AuthorizeSecurityGroupIngress",
        rule(&gateway.balancer_group, 80, "192.0.2.0/24"),
    );
    assert_eq!(outside(&gateway, node, 80), Found::Dropped);
}

#[tokio::test]
async fn private_addresses_are_out_of_reach_from_outside() {
    let gateway = Gateway::new();
    for address in gateway.endpoint_addresses() {
        let address = address.parse().expect("an address");
        assert_eq!(outside(&gateway, address, 443), Found::Dropped);
    }
}

#[tokio::test]
async fn api_gateways_public_addresses_take_tls_alone() {
    let gateway = Gateway::new();
    let fronts = front_addresses(&gateway.plane.account().world, REGION);
    assert_eq!(fronts.len(), 2);
    assert_eq!(
        outside(&gateway, fronts[0], 443),
        Found::At(Place::Front(REGION.to_owned()))
    );
    assert_eq!(outside(&gateway, fronts[0], 80), Found::Dropped);
}

#[tokio::test]
async fn an_endpoint_is_found_where_both_security_groups_agree() {
    let gateway = Gateway::new();
    let address = gateway.endpoint_addresses()[0].clone();
    let found = Found::At(Place::Endpoint(REGION.to_owned(), gateway.endpoint.clone()));
    assert_eq!(inside(&gateway, &address, 443), found);
    assert_eq!(inside(&gateway, &address, 80), Found::Dropped);
    gateway.ec2(
        "RevokeSecurityGroupIngress",
        rule(&gateway.endpoint_group, 443, "172.31.0.0/16"),
    );
    assert_eq!(inside(&gateway, &address, 443), Found::Dropped);
    let from_group = json!({ "GroupId": gateway.endpoint_group, "IpPermissions": [{
        "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
        "UserIdGroupPairs": [{ "GroupId": gateway.balancer_group }],
    }] });
    gateway.ec2("AuthorizeSecurityGroupIngress", from_group);
    assert_eq!(inside(&gateway, &address, 443), found);
    let everything = json!({ "GroupId": gateway.balancer_group, "IpPermissions": [{
        "IpProtocol": "-1", "IpRanges": [{ "CidrIp": "0.0.0.0/0" }],
    }] });
    gateway.ec2("RevokeSecurityGroupEgress", everything);
    assert_eq!(inside(&gateway, &address, 443), Found::Dropped);
}

#[tokio::test]
async fn registered_servers_stand_for_addresses_and_instances() {
    let gateway = Gateway::new();
    let server: SocketAddr = "127.0.0.1:8443".parse().expect("an address");
    assert_eq!(inside(&gateway, "10.0.1.5", 443), Found::Dropped);
    assert!(matches!(
        inside(&gateway, "i-0123456789abcdef0", 80),
        Found::Refused(_)
    ));
    gateway.host("10.0.1.5:443", server);
    gateway.host("i-0123456789abcdef0:80", server);
    let found = Found::At(Place::Host(server));
    assert_eq!(inside(&gateway, "10.0.1.5", 443), found);
    assert_eq!(inside(&gateway, "i-0123456789abcdef0", 80), found);
    assert_eq!(inside(&gateway, "10.0.1.5", 80), Found::Dropped);
}

#[tokio::test]
async fn integrations_find_registered_names_and_the_pet_store() {
    let gateway = Gateway::new();
    let server: SocketAddr = "127.0.0.1:8080".parse().expect("an address");
    let found = |host: &str, port| from_gateway(&gateway.plane.account().world, REGION, host, port);
    assert_eq!(found("backend.example.com", 80), None);
    gateway.host("backend.example.com:80", server);
    assert_eq!(
        found("backend.example.com", 80),
        Some(Found::At(Place::Host(server)))
    );
    let pet_store = "petstore-demo-endpoint.execute-api.com";
    assert_eq!(found(pet_store, 80), Some(Found::At(Place::PetStore)));
    assert_eq!(found(pet_store, 8080), Some(Found::Dropped));
    let listener = Found::At(Place::Listener(gateway.listener.clone()));
    assert_eq!(found(&gateway.dns_name, 80), Some(listener));
}

#[tokio::test]
async fn public_dns_follows_aliases_and_names() {
    let gateway = Gateway::new();
    let resolved = |name: &str| dns::addresses(&gateway.plane.account().world, name);
    let alias = json!({
        "Name": "aaa.example.com", "Type": "A",
        "AliasTarget": {
            "HostedZoneId": "Z14GRHDCWA56QT", "DNSName": format!("dualstack.{}", gateway.dns_name),
            "EvaluateTargetHealth": false,
        },
    });
    let plain = |name: &str, kind: &str, value: &str| json!({ "Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{ "Value": value }] });
    let records = [
        alias,
        plain("www.example.com", "CNAME", "aaa.example.com"),
        plain("*.wild.example.com", "A", "203.0.113.250"),
        plain("loop.example.com", "CNAME", "loop.example.com"),
    ];
    let changes: Vec<_> = records
        .iter()
        .map(|record| json!({ "Action": "CREATE", "ResourceRecordSet": record }))
        .collect();
    let input =
        json!({ "HostedZoneId": "Z0EXAMPLE0COM0PUBLIC", "ChangeBatch": { "Changes": changes } });
    let call = crate::sandbox::world::Call::of("ChangeResourceRecordSets", &input);
    let changed = crate::sandbox::route53::handle(&mut gateway.plane.account().world, &call);
    changed.expect("a change");
    assert_eq!(resolved("AAA.example.com."), nodes(&gateway));
    assert_eq!(resolved("www.example.com"), nodes(&gateway));
    assert_eq!(
        resolved("a.wild.example.com"),
        [Ipv4Addr::new(203, 0, 113, 250)]
    );
    assert_eq!(resolved("203.0.113.9"), [Ipv4Addr::new(203, 0, 113, 9)]);
    for nothing in ["loop.example.com", "nope.example.com", "example.org", ""] {
        assert_eq!(resolved(nothing), [] as [Ipv4Addr; 0], "{nothing}");
    }
}

#[tokio::test]
async fn public_dns_has_the_names_of_api_gateway() {
    let gateway = Gateway::new();
    let resolved = |name: &str| dns::addresses(&gateway.plane.account().world, name);
    let fronts = front_addresses(&gateway.plane.account().world, REGION);
    let suffix = format!("execute-api.{REGION}.amazonaws.com");
    let domain = gateway.gateway("GetDomainName", json!({ "domainName": "aaa.example.com" }));
    assert_eq!(
        resolved(domain["regionalDomainName"].as_str().expect("a name")),
        fronts
    );
    assert_eq!(resolved(&format!("{}.{suffix}", gateway.api)), fronts);
    let private: Vec<String> = resolved(&format!("{}-{}.{suffix}", gateway.api, gateway.endpoint))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(private, gateway.endpoint_addresses());
    let described = gateway.ec2("DescribeVpcEndpoints", json!({}));
    let entry = &described["VpcEndpoints"][0]["DnsEntries"][0]["DnsName"];
    assert_eq!(resolved(entry.as_str().expect("a name")).len(), 2);
    assert_eq!(resolved(&format!("nope.{suffix}")), [] as [Ipv4Addr; 0]);
}
