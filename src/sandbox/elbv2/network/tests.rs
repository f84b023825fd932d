//! What a Network Load Balancer has and takes.

use serde_json::{Value, json};

use super::super::fixture::Account;
use crate::sandbox::apigateway::fixture::ask;

/// A load balancer named `inner` in two subnets, with more members; its description.
fn create(account: &mut Account, more: &Value) -> Value {
    let subnets = account.subnets();
    let mut input = json!({
        "Name": "inner", "Type": "network", "Scheme": "internal", "Subnets": [subnets[0], subnets[1]],
    });
    for (name, value) in more.as_object().expect("an object") {
        input[name.as_str()] = value.clone();
    }
    account.call("CreateLoadBalancer", input)["LoadBalancers"][0].clone()
}

fn arn(balancer: &Value) -> Value {
    balancer["LoadBalancerArn"].clone()
}

/// A target group of addresses; its description.
fn group(account: &mut Account, name: &str, protocol: &str, more: &Value) -> Value {
    let mut input = json!({
        "Name": name, "TargetType": "ip", "Protocol": protocol, "Port": 443, "VpcId": account.vpc(),
    });
    for (name, value) in more.as_object().expect("an object") {
        input[name.as_str()] = value.clone();
    }
    account.call("CreateTargetGroup", input)["TargetGroups"][0].clone()
}

/// The input that makes a listener on port 443 forwarding to a group.
fn listener(balancer: &Value, protocol: &str, group: &Value) -> Value {
    json!({
        "LoadBalancerArn": arn(balancer), "Protocol": protocol, "Port": 443,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    })
}

fn attributes(output: &Value) -> Vec<(String, String)> {
    let attributes = output["Attributes"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    attributes
        .map(|one| (text(&one["Key"]), text(&one["Value"])))
        .collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn it_is_named_by_its_id_and_has_no_security_group_unless_told() {
    let mut account = Account::fresh();
    let inner = create(&mut account, &json!({}));
    assert_eq!(
        (&inner["Type"], &inner["Scheme"]),
        (&json!("network"), &json!("internal"))
    );
    let arn = inner["LoadBalancerArn"].as_str().expect("an ARN");
    let id = arn.rsplit('/').next().expect("an id");
    assert!(arn.contains(":loadbalancer/net/inner/"));
    assert_eq!(
        inner["DNSName"],
        format!("inner-{id}.elb.ap-northeast-1.amazonaws.com")
    );
    assert_eq!(inner["CanonicalHostedZoneId"], "Z31USIVHYNEOWT");
    assert_eq!(inner["SecurityGroups"], Value::Null);
    let filter = json!([{"Name": "interface-type", "Values": ["network_load_balancer"]}]);
    let interfaces = account.ec2("DescribeNetworkInterfaces", json!({"Filters": filter}));
    let interfaces = interfaces["NetworkInterfaces"].as_array().expect("a list");
    assert_eq!(interfaces.len(), 2);
    assert_eq!(interfaces[0]["Description"], format!("ELB net/inner/{id}"));
}

#[test]
fn one_subnet_is_enough_and_its_address_can_be_chosen() {
    let mut account = Account::fresh();
    let subnets = account.subnets();
    let cidr = account.ec2("DescribeSubnets", json!({"SubnetIds": [subnets[0]]}));
    let cidr = cidr["Subnets"][0]["CidrBlock"].as_str().expect("a network");
    let address = cidr.replace(".0/20", ".77");
    let mapping = json!({"SubnetId": subnets[0], "PrivateIPv4Address": address});
    let input = json!({
        "Name": "inner", "Type": "network", "Scheme": "internal", "SubnetMappings": [mapping],
    });
    let output = account.call("CreateLoadBalancer", input.clone());
    let zones = output["LoadBalancers"][0]["AvailabilityZones"].as_array();
    let zones = zones.expect("a list");
    assert_eq!(zones.len(), 1);
    assert_eq!(
        zones[0]["LoadBalancerAddresses"],
        json!([{"PrivateIPv4Address": address}])
    );
    let interfaces = account.ec2("DescribeNetworkInterfaces", json!({}));
    assert_eq!(
        interfaces["NetworkInterfaces"][0]["PrivateIpAddress"],
        address
    );
    let mut public = input;
    public["Name"] = json!("outer");
    public["Scheme"] = json!("internet-facing");
    assert_eq!(
        account.refused("CreateLoadBalancer", public),
        "ValidationError"
    );
}

#[test]
fn security_groups_can_be_changed_only_where_there_were_some() {
    let mut account = Account::fresh();
    let vpc = account.vpc();
    let new = json!({"GroupName": "inner", "Description": "inner", "VpcId": vpc});
    let security_group = account.ec2("CreateSecurityGroup", new)["GroupId"].clone();
    let open = create(&mut account, &json!({}));
    let set = |balancer: &Value| {
        json!({
            "LoadBalancerArn": arn(balancer), "SecurityGroups": [security_group],
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "off",
        })
    };
    assert_eq!(
        account.refused("SetSecurityGroups", set(&open)),
        "InvalidConfigurationRequest"
    );
    let guarded = create(
        &mut account,
        &json!({"Name": "guarded", "SecurityGroups": [security_group]}),
    );
    let enforced = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic";
    assert_eq!(guarded[enforced], "on");
    let output = account.call("SetSecurityGroups", set(&guarded));
    assert_eq!(output[enforced], "off");
    let edge = account.load_balancer();
    let of_application = json!({
        "LoadBalancerArn": edge, "SecurityGroups": [security_group], enforced: "off",
    });
    assert_eq!(
        account.refused("SetSecurityGroups", of_application),
        "ValidationError"
    );
}

#[test]
fn its_attributes_are_its_own() {
    let mut account = Account::fresh();
    let inner = arn(&create(&mut account, &json!({})));
    let named = json!({"LoadBalancerArn": inner});
    let told = attributes(&account.call("DescribeLoadBalancerAttributes", named));
    assert!(told.contains(&pair("load_balancing.cross_zone.enabled", "false")));
    assert!(told.contains(&pair("ipv6.deny_all_igw_traffic", "true")));
    assert!(told.contains(&pair(
        "dns_record.client_routing_policy",
        "any_availability_zone"
    )));
    assert!(!told.iter().any(|(key, _)| key.starts_with("routing.")));
    let change = |key: &str, value: &str| json!({"LoadBalancerArn": inner, "Attributes": [{"Key": key, "Value": value}]});
    account.call(
        "ModifyLoadBalancerAttributes",
        change("load_balancing.cross_zone.enabled", "true"),
    );
    for (key, value, code) in [
        ("idle_timeout.timeout_seconds", "60", "ValidationError"),
        ("access_logs.s3.enabled", "true", "SandboxNotModelled"),
    ] {
        let refused = account.refused("ModifyLoadBalancerAttributes", change(key, value));
        assert_eq!(refused, code, "{key}");
    }
}

#[test]
fn listeners_speak_tcp_or_tls_and_groups_have_to_fit() {
    let mut account = Account::fresh();
    let inner = create(&mut account, &json!({}));
    let (tcp, tls) = (
        group(&mut account, "tcp", "TCP", &json!({})),
        group(&mut account, "tls", "TLS", &json!({})),
    );
    let web = json!({"TargetGroupArn": account.target_group("web")});
    for (protocol, group, code) in [
        ("TCP", &tls, "IncompatibleProtocols"),
        ("TCP", &web, "IncompatibleProtocols"),
        ("HTTPS", &tcp, "UnsupportedProtocol"),
        ("UDP", &tcp, "SandboxNotModelled"),
        ("TLS", &tls, "ValidationError"),
    ] {
        let input = listener(&inner, protocol, group);
        assert_eq!(account.refused("CreateListener", input), code, "{protocol}");
    }
    let redirect =
        json!({"Type": "redirect", "RedirectConfig": {"Port": "1", "StatusCode": "HTTP_301"}});
    let mut other = listener(&inner, "TCP", &tcp);
    other["DefaultActions"] = json!([redirect]);
    assert_eq!(
        account.refused("CreateListener", other),
        "InvalidLoadBalancerAction"
    );
    let plain = account.call("CreateListener", listener(&inner, "TCP", &tcp));
    let plain = &plain["Listeners"][0];
    assert_eq!(plain.get("SslPolicy"), None);
    assert_eq!(plain.get("MutualAuthentication"), None);
    let rule = json!({
        "ListenerArn": plain["ListenerArn"], "Priority": 1,
        "Conditions": [{"Field": "path-pattern", "Values": ["/*"]}],
        "Actions": [{"Type": "forward", "TargetGroupArn": tcp["TargetGroupArn"]}],
    });
    assert_eq!(account.refused("CreateRule", rule), "ValidationError");
    let named = json!({"ListenerArn": plain["ListenerArn"]});
    let told = attributes(&account.call("DescribeListenerAttributes", named));
    assert_eq!(told, [pair("tcp.idle_timeout.seconds", "350")]);
}

#[test]
fn a_tls_listener_has_a_certificate_and_a_policy() {
    let mut account = Account::fresh();
    let inner = create(&mut account, &json!({}));
    let group = group(&mut account, "tls", "TLS", &json!({}));
    let mut input = listener(&inner, "TLS", &group);
    let certificate = account.certificate();
    input["Certificates"] = json!([{"CertificateArn": certificate}]);
    for policy in ["HTTP2Only", "HTTP3"] {
        input["AlpnPolicy"] = json!([policy]);
        let code = account.refused("CreateListener", input.clone());
        assert!(["SandboxNotModelled", "ALPNPolicyNotFound"].contains(&code.as_str()));
    }
    input["AlpnPolicy"] = json!(["None"]);
    let output = account.call("CreateListener", input);
    let secure = &output["Listeners"][0];
    assert_eq!(secure["SslPolicy"], "ELBSecurityPolicy-2016-08");
    assert_eq!(secure["AlpnPolicy"], json!(["None"]));
    assert_eq!(secure["Certificates"][0]["CertificateArn"], certificate);
    assert_eq!(secure.get("MutualAuthentication"), None);
    let mutual =
        json!({"ListenerArn": secure["ListenerArn"], "MutualAuthentication": {"Mode": "off"}});
    assert_eq!(account.refused("ModifyListener", mutual), "ValidationError");
}

#[test]
fn health_is_checked_by_connecting_unless_told_otherwise() {
    let mut account = Account::fresh();
    let tcp = group(&mut account, "tcp", "TCP", &json!({}));
    assert_eq!(tcp["HealthCheckProtocol"], "TCP");
    assert_eq!(tcp["HealthCheckTimeoutSeconds"], 10);
    assert_eq!(tcp["HealthyThresholdCount"], 5);
    assert_eq!(tcp.get("Matcher"), None);
    assert_eq!(tcp.get("HealthCheckPath"), None);
    assert_eq!(tcp["ProtocolVersion"], Value::Null);
    let http = group(
        &mut account,
        "http",
        "TCP",
        &json!({"HealthCheckProtocol": "HTTP"}),
    );
    assert_eq!(http["HealthCheckTimeoutSeconds"], 6);
    assert_eq!(http["Matcher"]["HttpCode"], "200-399");
    assert_eq!(http["HealthCheckPath"], "/");
    let change =
        json!({"TargetGroupArn": http["TargetGroupArn"], "Matcher": {"HttpCode": "200-599"}});
    account.call("ModifyTargetGroup", change);
    let path = json!({"TargetGroupArn": tcp["TargetGroupArn"], "HealthCheckPath": "/"});
    assert_eq!(
        account.refused("ModifyTargetGroup", path),
        "ValidationError"
    );
    let protocol = json!({"TargetGroupArn": tcp["TargetGroupArn"], "HealthCheckProtocol": "HTTPS"});
    let changed = account.call("ModifyTargetGroup", protocol);
    assert_eq!(changed["TargetGroups"][0]["HealthCheckPath"], "/");
}

#[test]
fn groups_of_instances_hand_on_the_clients_address_and_those_of_addresses_do_not() {
    let mut account = Account::fresh();
    let by_address = group(&mut account, "ip", "TCP", &json!({}));
    let by_instance = group(
        &mut account,
        "ec2",
        "TLS",
        &json!({"TargetType": "instance"}),
    );
    for (group, expected) in [(by_address, "false"), (by_instance, "true")] {
        let named = json!({"TargetGroupArn": group["TargetGroupArn"]});
        let told = attributes(&account.call("DescribeTargetGroupAttributes", named));
        assert!(told.contains(&pair("preserve_client_ip.enabled", expected)));
        assert!(told.contains(&pair("stickiness.type", "source_ip")));
        let sticky = json!({
            "TargetGroupArn": group["TargetGroupArn"],
            "Attributes": [{"Key": "stickiness.enabled", "Value": "true"}],
        });
        assert_eq!(
            account.refused("ModifyTargetGroupAttributes", sticky),
            "SandboxNotModelled"
        );
    }
}

#[test]
fn an_application_load_balancer_takes_no_group_of_tcp() {
    let mut account = Account::fresh();
    let edge = account.load_balancer();
    let tcp = group(&mut account, "tcp", "TCP", &json!({}));
    let arn = tcp["TargetGroupArn"].as_str().expect("an ARN").to_owned();
    let input = account.listener_input(&edge, &arn);
    assert_eq!(
        account.refused("CreateListener", input),
        "IncompatibleProtocols"
    );
}

#[test]
fn a_vpc_link_keeps_it_and_its_interfaces_linger() {
    let mut account = Account::realistic();
    let inner = create(&mut account, &json!({}));
    account.wait(150);
    let link = json!({"name": "inner", "targetArns": [arn(&inner)]});
    let link = ask(&mut account.world, "CreateVpcLink", link).expect("a link");
    let delete = json!({"LoadBalancerArn": arn(&inner)});
    assert_eq!(
        account.refused("DeleteLoadBalancer", delete.clone()),
        "ResourceInUse"
    );
    let named = json!({"vpcLinkId": link["id"]});
    ask(&mut account.world, "DeleteVpcLink", named).expect("deleted");
    assert_eq!(
        account.refused("DeleteLoadBalancer", delete.clone()),
        "ResourceInUse"
    );
    account.wait(120);
    account.call("DeleteLoadBalancer", delete);
    let interfaces = |account: &mut Account| {
        let output = account.ec2("DescribeNetworkInterfaces", json!({}));
        output["NetworkInterfaces"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(interfaces(&mut account), 2);
    account.wait(180);
    assert_eq!(interfaces(&mut account), 0);
}
