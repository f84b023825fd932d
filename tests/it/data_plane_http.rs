//! What clients of a gateway get: a stack is applied, and somebody with a certificate comes through
//! its load balancer, or past it.

pub(crate) mod client;

use serde_json::{Value, json};

use self::client::{Client, Server};
use crate::support::{Aws, Scenario};

/// The petstore, applied and served.
struct Gateway {
    scenario: Scenario,
    aws: Aws,
    client: Client,
}

impl Gateway {
    fn new() -> Self {
        Self::of(Scenario::petstore(), &[])
    }

    fn of(scenario: Scenario, options: &[&str]) -> Self {
        scenario.run(["apply", "--yes"]).ok();
        let aws = scenario.serve(options);
        let client = Client::new(&aws);
        Self {
            scenario,
            aws,
            client,
        }
    }

    /// Where a client outside gets to.
    fn reached(&self, host: &str, port: u16) -> (u16, Value) {
        let answer = self
            .aws
            .control("GET", &format!("connect?host={host}&port={port}"), "");
        (answer.status, answer.value())
    }

    fn socket(&self, host: &str, port: u16) -> String {
        let (status, answer) = self.reached(host, port);
        let address = answer["address"].as_str();
        address
            .unwrap_or_else(|| panic!("{status} {answer}"))
            .to_owned()
    }

    /// Gets a path of the domain through the load balancer.
    fn get(&self, path: &str) -> client::Answer {
        let socket = self.socket("api.example.com", 443);
        self.client.get(&socket, "api.example.com", path)
    }

    fn query(&self, service: &str, parameters: &[(&str, &str)]) -> crate::support::Answer {
        self.aws.query(service, parameters).ok()
    }

    /// A call of API Gateway.
    fn gateway(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.aws.rest(("apigateway", method, path), body).ok();
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    fn api(&self) -> String {
        let apis = self.gateway("GET", "/restapis", &Value::Null);
        let api = &apis["item"];
        let api = if api.is_array() { &api[0] } else { api };
        api["id"].as_str().expect("an API").to_owned()
    }

    fn target_group(&self) -> String {
        let groups = self.query(
            "elasticloadbalancing",
            &[("Action", "DescribeTargetGroups")],
        );
        groups.element("TargetGroupArn")
    }

    fn endpoint(&self) -> String {
        self.query("ec2", &[("Action", "DescribeVpcEndpoints")])
            .element("vpcEndpointId")
    }

    /// The addresses of the endpoint's interfaces.
    fn addresses(&self) -> Vec<String> {
        let interfaces = [
            ("Action", "DescribeNetworkInterfaces"),
            ("Filter.1.Name", "interface-type"),
            ("Filter.1.Value.1", "vpc_endpoint"),
        ];
        let answer = self.query("ec2", &interfaces).body;
        let mut addresses: Vec<String> = answer
            .split("<privateIpAddress>")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()))
            .collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }
}

#[test]
fn pets_and_the_welcome_page_come_through_the_load_balancer() {
    let gateway = Gateway::new();
    let pets = gateway.get("/pets");
    assert_eq!(
        (pets.status, pets.json().as_array().map(Vec::len)),
        (200, Some(3))
    );
    assert_eq!(
        pets.json()[0],
        json!({"id": 1, "type": "dog", "price": 249.99})
    );
    let page = gateway.get("/");
    assert!(page.status == 200 && page.body.contains("Welcome to your Pet Store API"));
    assert_eq!(page.header("content-type"), "text/html");
    assert_eq!(gateway.get("/pets/2").json()["type"], "cat");
}

#[test]
fn the_name_leads_to_the_load_balancer_and_others_nowhere() {
    let gateway = Gateway::new();
    let resolved = |name: &str| {
        let answer = gateway
            .aws
            .control("GET", &format!("resolve?name={name}"), "")
            .ok();
        answer.value()["addresses"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(resolved("api.example.com"), 3);
    assert_eq!(resolved("nope.example.com"), 0);
    assert_eq!(gateway.reached("nope.example.com", 443).0, 404);
    let private = &gateway.addresses()[0];
    let dropped = json!({"address": null, "timeout": true});
    assert_eq!(gateway.reached(private, 443), (200, dropped.clone()));
    assert_eq!(gateway.reached("api.example.com", 8443), (200, dropped));
}

#[test]
fn a_client_whom_the_security_group_does_not_know_gets_nowhere() {
    let mut scenario = Scenario::petstore();
    scenario.edit(
        "load_balancer: {}",
        "load_balancer: { allow: [203.0.113.0/24] }",
    );
    let gateway = Gateway::of(scenario, &[]);
    let dropped = json!({"address": null, "timeout": true});
    assert_eq!(gateway.reached("api.example.com", 443), (200, dropped));
    let Gateway { scenario, aws, .. } = gateway;
    drop(aws);
    let aws = scenario.serve(&["--client-address", "203.0.113.7"]);
    let answer = aws
        .control("GET", "connect?host=api.example.com&port=443", "")
        .ok();
    assert!(answer.value()["address"].is_string(), "{answer:?}");
}

#[test]
fn an_endpoint_that_lets_nobody_in_makes_a_504() {
    let gateway = Gateway::new();
    let endpoint = gateway.endpoint();
    let default = gateway.query(
        "ec2",
        &[
            ("Action", "DescribeSecurityGroups"),
            ("Filter.1.Name", "group-name"),
            ("Filter.1.Value.1", "default"),
        ],
    );
    let groups = gateway.query(
        "ec2",
        &[
            ("Action", "DescribeVpcEndpoints"),
            ("VpcEndpointId.1", &endpoint),
        ],
    );
    gateway.query(
        "ec2",
        &[
            ("Action", "ModifyVpcEndpoint"),
            ("VpcEndpointId", &endpoint),
            ("AddSecurityGroupId.1", &default.element("groupId")),
            ("RemoveSecurityGroupId.1", &groups.element("groupId")),
        ],
    );
    let answer = gateway.get("/pets");
    assert_eq!(
        (answer.status, answer.header("server")),
        (504, "awselb/2.0")
    );
}

#[test]
fn a_deregistered_target_makes_a_503() {
    let gateway = Gateway::new();
    let group = gateway.target_group();
    for address in gateway.addresses() {
        gateway.query(
            "elasticloadbalancing",
            &[
                ("Action", "DeregisterTargets"),
                ("TargetGroupArn", &group),
                ("Targets.member.1.Id", &address),
            ],
        );
    }
    let answer = gateway.get("/pets");
    assert_eq!(
        (answer.status, answer.header("server")),
        (503, "awselb/2.0")
    );
    assert!(
        answer
            .body
            .contains("<h1>503 Service Temporarily Unavailable</h1>")
    );
}

#[test]
fn a_deleted_mapping_is_forbidden() {
    let gateway = Gateway::new();
    let mapping = "/domainnames/api.example.com/basepathmappings/(none)";
    gateway.gateway("DELETE", mapping, &Value::Null);
    let answer = gateway.get("/pets");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (403, r#"{"message":"Forbidden"}"#)
    );
    assert_eq!(answer.header("x-amzn-errortype"), "ForbiddenException");
}

#[test]
fn a_policy_counts_once_it_is_deployed() {
    let gateway = Gateway::new();
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
        "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}},
    }]});
    let api = gateway.api();
    let patch = json!({"patchOperations": [
        {"op": "replace", "path": "/policy", "value": policy.to_string()},
    ]});
    gateway.gateway("PATCH", &format!("/restapis/{api}"), &patch);
    assert_eq!(gateway.get("/pets").status, 200);
    let deployment = json!({"stageName": "dev"});
    gateway.gateway("POST", &format!("/restapis/{api}/deployments"), &deployment);
    let answer = gateway.get("/pets");
    assert_eq!(answer.status, 403);
    let message = format!(
        "User: anonymous is not authorized to perform: execute-api:Invoke on resource: \
         arn:aws:execute-api:ap-northeast-1:********9012:{api}/dev/GET/pets"
    );
    assert_eq!(answer.json()["Message"], message);
}

#[test]
fn plain_http_is_redirected() {
    let mut scenario = Scenario::petstore();
    scenario.edit(
        "listener: { mutual_authentication: verify }",
        "listener: { mutual_authentication: verify, redirect_http: true }",
    );
    let gateway = Gateway::of(scenario, &[]);
    let socket = gateway.socket("api.example.com", 80);
    let answer = client::plain(&socket, "api.example.com", "/pets?page=2");
    let location = "https://api.example.com:443/pets?page=2";
    assert_eq!((answer.status, answer.header("location")), (301, location));
}

#[test]
fn a_direct_call_past_the_load_balancer_is_refused() {
    let gateway = Gateway::new();
    let domain = gateway.gateway("GET", "/domainnames/api.example.com", &Value::Null);
    let regional = domain["regionalDomainName"]
        .as_str()
        .expect("a name")
        .to_owned();
    let socket = gateway.socket(&regional, 443);
    let answer = gateway.client.get(&socket, "api.example.com", "/pets");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (403, r#"{"message":"Forbidden"}"#)
    );
    let own = format!("{}.execute-api.ap-northeast-1.amazonaws.com", gateway.api());
    let socket = gateway.socket(&own, 443);
    let answer = gateway
        .client
        .trusting_all()
        .get(&socket, &own, "/dev/pets");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (403, r#"{"message":"Forbidden"}"#)
    );
}

#[test]
fn a_regional_api_answers_at_its_domains_public_addresses() {
    let stack = r#"name: regional
region: ap-northeast-1
apis: { pets: { sample: petstore, endpoint_type: regional } }
domain: { name: api.example.com, mappings: { v1: pets } }
certificate: { request: "*.example.com" }
record: { zone: example.com }
"#;
    let gateway = Gateway::of(Scenario::stack(stack), &[]);
    let pets = gateway.get("/v1/pets");
    assert_eq!(
        (pets.status, pets.json()[2]["type"].as_str()),
        (200, Some("fish"))
    );
    assert_eq!(gateway.get("/pets").status, 403);
}

#[test]
fn an_integration_reaches_a_server_that_was_registered_by_name() {
    let server = Server::new();
    let mut scenario = Scenario::petstore();
    let openapi = scenario.read("petstore.yaml");
    let backend = "http://backend.example.com/petstore/pets/{petId}";
    let host = "http://petstore-demo-endpoint.execute-api.com/petstore/pets/{petId}";
    assert!(openapi.contains(host));
    scenario.write("petstore.yaml", openapi.replace(host, backend));
    let place = "backend.example.com:80";
    scenario
        .run(["sandbox", "host", place, &server.address])
        .ok();
    let gateway = Gateway::of(scenario, &[]);
    let asked = gateway.get("/pets/9").json();
    assert_eq!(asked["line"], "GET /petstore/pets/9 HTTP/1.1");
    assert_eq!(asked["headers"]["host"], "backend.example.com");
    gateway
        .scenario
        .run(["sandbox", "host", place, "--remove"])
        .ok();
    let answer = gateway.get("/pets/9");
    assert_eq!(
        (answer.status, answer.json()["message"].as_str()),
        (500, Some("Internal server error"))
    );
    let again = gateway.scenario.run(["sandbox", "host", place, "--remove"]);
    again
        .exits(1)
        .says("no server is registered at backend.example.com:80");
}

#[test]
fn a_server_of_the_users_own_is_a_target_and_sees_the_clients_certificate() {
    let server = Server::new();
    let gateway = Gateway::new();
    let group = gateway.target_group();
    let vpc = gateway
        .query("ec2", &[("Action", "DescribeVpcs")])
        .element("vpcId");
    let created = gateway.query(
        "elasticloadbalancing",
        &[
            ("Action", "CreateTargetGroup"),
            ("Name", "own"),
            ("TargetType", "ip"),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("VpcId", &vpc),
        ],
    );
    let own = created.element("TargetGroupArn");
    assert_ne!(own, group);
    gateway.query(
        "elasticloadbalancing",
        &[
            ("Action", "RegisterTargets"),
            ("TargetGroupArn", &own),
            ("Targets.member.1.Id", "10.1.2.3"),
            ("Targets.member.1.AvailabilityZone", "all"),
        ],
    );
    let listeners = gateway.aws.control("GET", "listeners", "").ok().value();
    let listeners = listeners.as_array().expect("a list").iter();
    let https = listeners
        .into_iter()
        .find(|one| one["protocol"] == "HTTPS")
        .expect("is there");
    gateway.query(
        "elasticloadbalancing",
        &[
            ("Action", "ModifyListener"),
            ("ListenerArn", https["listener"].as_str().expect("an ARN")),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &own),
        ],
    );
    let place = format!("10.1.2.3:8080={}", server.address);
    gateway.aws.control("POST", "hosts", &place).ok();
    let asked = gateway.get("/any?thing=1").json();
    assert_eq!(asked["line"], "GET /any?thing=1 HTTP/1.1");
    let headers = &asked["headers"];
    assert_eq!(headers["x-amzn-mtls-clientcert-subject"], "CN=client");
    assert_eq!(headers["x-forwarded-for"], "198.51.100.10");
    assert_eq!(headers["host"], "api.example.com");
}

#[test]
fn what_is_no_host_is_refused_with_what_it_should_be() {
    let scenario = Scenario::petstore();
    let outcome = scenario.run(["sandbox", "host", "10.0.1.5", "127.0.0.1:8443"]);
    outcome
        .exits(1)
        .says("`10.0.1.5` is no place of a server: it has no port");
    let outcome = scenario.run(["sandbox", "host", "10.0.1.5:443", "192.0.2.1:8443"]);
    outcome.exits(1).says("not on the loopback interface");
}
