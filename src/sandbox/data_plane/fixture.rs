//! What the tests of the data plane share: an account with a whole gateway in it.

#![expect(
    clippy::needless_pass_by_value,
    reason = "inputs are written where they are passed"
)]

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::listener::Place;
use super::route::{RequestRecord, respond};
use super::settings::Settings;
use super::{Connection, DataPlane, header, whole};
use crate::sandbox::account::Account;
use crate::sandbox::apigateway::domain::tests::create as create_domain;
use crate::sandbox::apigateway::fixture::{document, id, import, tell};
use crate::sandbox::clock::Timing;
use crate::sandbox::server::Server;
use crate::sandbox::store::{self, Claim};
use crate::sandbox::world::Call;
use crate::sandbox::{ACCOUNT, ec2, elbv2};

pub(super) const REGION: &str = "ap-northeast-1";

/// A private API behind an endpoint behind a load balancer whose listener on port 80 forwards.
pub(super) struct Gateway {
    pub(super) plane: Arc<DataPlane>,
    pub(super) vpc: String,
    pub(super) subnets: Vec<String>,
    pub(super) balancer_group: String,
    pub(super) endpoint_group: String,
    pub(super) endpoint: String,
    pub(super) api: String,
    pub(super) balancer: String,
    pub(super) dns_name: String,
    pub(super) target_group: String,
    pub(super) listener: String,
    _directory: TempDir,
}

/// An answer that came back by the listener.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: hyper::HeaderMap,
    pub(super) body: String,
    pub(super) record: RequestRecord,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// A data plane of an account that nothing has been done in.
fn plane() -> (Arc<DataPlane>, TempDir) {
    let directory = TempDir::new().expect("can be made");
    let Ok(Claim::Held(lock)) = store::claim(directory.path()) else {
        panic!("is not held by another")
    };
    let opened = store::Store::open(directory.path(), lock, ACCOUNT).expect("opens");
    let account = Account::new(opened, Timing::Instant, "http://127.0.0.1:1".to_owned());
    let server = Arc::new(Server::new(account, std::time::Duration::ZERO));
    let client = [198, 51, 100, 10].into();
    let plane = DataPlane::new(server, client, mpsc::unbounded_channel().0);
    (plane, directory)
}

impl Gateway {
    pub(super) fn new() -> Self {
        let (plane, directory) = plane();
        let mut gateway = Self {
            plane,
            vpc: String::new(),
            subnets: Vec::new(),
            balancer_group: String::new(),
            endpoint_group: String::new(),
            endpoint: String::new(),
            api: String::new(),
            balancer: String::new(),
            dns_name: String::new(),
            target_group: String::new(),
            listener: String::new(),
            _directory: directory,
        };
        gateway.build_network();
        gateway.build_api();
        gateway.build_balancer();
        gateway
    }

    fn build_network(&mut self) {
        self.vpc = text(&self.ec2("DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"]);
        let subnets = self.ec2("DescribeSubnets", json!({}));
        let subnets = subnets["Subnets"].as_array().expect("a list");
        self.subnets = subnets
            .iter()
            .map(|subnet| text(&subnet["SubnetId"]))
            .collect();
        self.balancer_group = self.security_group("balancer", 80, "0.0.0.0/0");
        self.endpoint_group = self.security_group("endpoint", 443, "172.31.0.0/16");
        let endpoint = self.ec2(
            "CreateVpcEndpoint",
            json!({
                "VpcId": self.vpc, "VpcEndpointType": "Interface", "PrivateDnsEnabled": false,
                "ServiceName": format!("com.amazonaws.{REGION}.execute-api"),
                "SubnetIds": [self.subnets[0], self.subnets[1]],
                "SecurityGroupIds": [self.endpoint_group],
            }),
        );
        self.endpoint = text(&endpoint["VpcEndpoint"]["VpcEndpointId"]);
    }

    fn security_group(&self, name: &str, port: u16, range: &str) -> String {
        let input = json!({ "GroupName": name, "Description": name, "VpcId": self.vpc });
        let group = text(&self.ec2("CreateSecurityGroup", input)["GroupId"]);
        self.ec2("AuthorizeSecurityGroupIngress", rule(&group, port, range));
        group
    }

    fn build_api(&mut self) {
        let input = json!({ "name": "petstore", "endpointConfiguration": {
            "types": ["PRIVATE"], "vpcEndpointIds": [self.endpoint],
        } });
        self.api = id(&self.gateway("CreateRestApi", input));
        self.import(&document());
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke",
            "Resource": "execute-api:/*",
            "Condition": { "StringEquals": { "aws:SourceVpc": self.vpc } },
        }] });
        self.set_policy(&policy);
        self.deploy();
        create_domain(&mut self.plane.account().world, "aaa.example.com");
        let input = json!({
            "domainName": "aaa.example.com", "restApiId": self.api, "stage": "dev",
        });
        self.gateway("CreateBasePathMapping", input);
    }

    fn build_balancer(&mut self) {
        let input = json!({
            "Name": "edge", "Subnets": [self.subnets[0], self.subnets[1]],
            "SecurityGroups": [self.balancer_group],
        });
        let balancer = self.elb("CreateLoadBalancer", input)["LoadBalancers"][0].clone();
        self.balancer = text(&balancer["LoadBalancerArn"]);
        self.dns_name = text(&balancer["DNSName"]);
        self.target_group = self.new_group("endpoint", "HTTPS", 443);
        for address in self.endpoint_addresses() {
            self.register(&self.target_group, &address, 443);
        }
        self.listener = self.listen(80, &forward(&self.target_group));
    }

    /// A listener on a port; its ARN.
    pub(super) fn listen(&self, port: u16, action: &Value) -> String {
        let input = json!({
            "LoadBalancerArn": self.balancer, "Protocol": "HTTP", "Port": port,
            "DefaultActions": [action],
        });
        text(&self.elb("CreateListener", input)["Listeners"][0]["ListenerArn"])
    }

    /// A target group of addresses; its ARN.
    pub(super) fn new_group(&self, name: &str, protocol: &str, port: u16) -> String {
        let input = json!({
            "Name": name, "TargetType": "ip", "Protocol": protocol, "Port": port,
            "VpcId": self.vpc, "HealthCheckProtocol": protocol,
            "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2,
            "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2,
            "Matcher": { "HttpCode": "200,403" },
        });
        let output = self.elb("CreateTargetGroup", input);
        text(&output["TargetGroups"][0]["TargetGroupArn"])
    }

    pub(super) fn register(&self, group: &str, address: &str, port: u16) {
        let targets = json!([{ "Id": address, "Port": port }]);
        let input = json!({ "TargetGroupArn": group, "Targets": targets });
        self.elb("RegisterTargets", input);
    }

    pub(super) fn deregister_all(&self) {
        let addresses = self.endpoint_addresses().into_iter();
        let targets: Vec<Value> = addresses
            .map(|id| json!({ "Id": id, "Port": 443 }))
            .collect();
        let input = json!({ "TargetGroupArn": self.target_group, "Targets": targets });
        self.elb("DeregisterTargets", input);
    }

    /// The addresses of the endpoint's interfaces.
    pub(super) fn endpoint_addresses(&self) -> Vec<String> {
        let account = self.plane.account();
        let interfaces = account.world.regions[REGION]
            .ec2
            .endpoint_interfaces(&self.endpoint);
        interfaces
            .iter()
            .map(|one| one.address.to_string())
            .collect()
    }

    /// State and reason of a group's only target, or of its first.
    pub(super) fn health(&self, group: &str) -> (String, String) {
        let output = self.elb("DescribeTargetHealth", json!({ "TargetGroupArn": group }));
        let health = &output["TargetHealthDescriptions"][0]["TargetHealth"];
        let part = |name: &str| health[name].as_str().unwrap_or_default().to_owned();
        (part("State"), part("Reason"))
    }

    pub(super) fn import(&self, document: &Value) {
        let input = json!({ "restApiId": self.api, "mode": "merge" });
        import(
            &mut self.plane.account().world,
            "PutRestApi",
            input,
            document,
        )
        .expect("an import");
    }

    pub(super) fn set_policy(&self, policy: &Value) {
        let operation = json!({ "op": "replace", "path": "/policy", "value": policy.to_string() });
        let input = json!({ "restApiId": self.api, "patchOperations": [operation] });
        self.gateway("UpdateRestApi", input);
    }

    pub(super) fn deploy(&self) {
        let input = json!({ "restApiId": self.api, "stageName": "dev" });
        self.gateway("CreateDeployment", input);
    }

    pub(super) fn elb(&self, operation: &str, input: Value) -> Value {
        let answer = elbv2::handle(
            &mut self.plane.account().world,
            &Call::of(operation, &input),
        );
        answer.unwrap_or_else(|refusal| panic!("{operation}: {refusal:?}"))
    }

    pub(super) fn ec2(&self, operation: &str, input: Value) -> Value {
        let answer = ec2::handle(
            &mut self.plane.account().world,
            &Call::of(operation, &input),
        );
        answer.unwrap_or_else(|refusal| panic!("{operation}: {refusal:?}"))
    }

    pub(super) fn gateway(&self, operation: &str, input: Value) -> Value {
        tell(&mut self.plane.account().world, operation, input)
    }

    /// Lets a server stand for a host.
    pub(super) fn host(&self, place: &str, server: SocketAddr) {
        let text = format!("{place}={server}");
        super::register_host(&mut self.plane.account().world, &text).expect("a place");
    }

    /// The connection of a client to a listener.
    pub(super) fn connection(&self, listener: &str) -> Connection {
        let account = self.plane.account();
        let region = &account.world.regions[REGION];
        let balancer = &region.elbv2.load_balancers[&self.balancer];
        let description = balancer.interface_description();
        let node = region.ec2.network_interfaces(&description).next();
        Connection {
            region: REGION.to_owned(),
            listener: listener.to_owned(),
            load_balancer: self.balancer.clone(),
            node: node.expect("a node").address,
            client: "198.51.100.10:50000".parse().expect("an address"),
            tls: None,
            certificates: Vec::new(),
            trace: "TID_1".to_owned(),
        }
    }

    /// Gets a path of the custom domain.
    pub(super) async fn get(&self, path: &str) -> Reply {
        let request = Request::builder()
            .uri(path)
            .header("Host", "aaa.example.com");
        self.ask(
            &self.listener,
            request.body(String::new()).expect("a request"),
        )
        .await
    }

    /// Sends a request to a listener.
    pub(super) async fn ask(&self, listener: &str, request: Request<String>) -> Reply {
        let connection = self.connection(listener);
        let place = Place {
            region: connection.region.clone(),
            listener: connection.listener.clone(),
            load_balancer: connection.load_balancer.clone(),
        };
        let settings = Settings::of(&self.plane, &place).expect("a listener");
        let mut request = request.map(whole);
        header::apply(request.headers_mut(), &connection, &settings, &self.plane);
        let answered = respond(&self.plane, &connection, request).await;
        let (mut head, body) = answered.response.into_parts();
        header::apply_to_response(&mut head.headers, &settings);
        let body = body.collect().await.expect("a whole body").to_bytes();
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).expect("text"),
            record: answered.record,
        }
    }
}

/// The input that lets a range in on a port, or takes that back.
pub(super) fn rule(group: &str, port: u16, range: &str) -> Value {
    let permission = json!({
        "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{ "CidrIp": range }],
    });
    json!({ "GroupId": group, "IpPermissions": [permission] })
}

/// An action that forwards to one group.
pub(super) fn forward(group: &str) -> Value {
    json!({ "Type": "forward", "TargetGroupArn": group })
}

/// A loopback server that answers every request with what it was asked, as JSON.
pub(super) async fn echo() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(echoed);
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(served);
        }
    });
    address
}

async fn echoed(
    request: Request<Incoming>,
) -> Result<hyper::Response<super::Body>, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let headers: serde_json::Map<String, Value> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                json!(String::from_utf8_lossy(value.as_bytes())),
            )
        })
        .collect();
    let echoed = json!({
        "method": head.method.as_str(), "target": head.uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    let status = head
        .uri
        .path()
        .trim_start_matches("/status/")
        .parse::<u16>()
        .unwrap_or(200);
    let response = hyper::Response::builder()
        .status(status)
        .header("X-Backend", "echo")
        .header("Server", "echo/1")
        .header("Content-Type", "application/json")
        .body(whole(echoed.to_string()));
    Ok(response.expect("a response"))
}
