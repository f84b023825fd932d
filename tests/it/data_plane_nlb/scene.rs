//! A network load balancer with a VPC link to it, and what is put before and behind them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::backend::Material;
use crate::data_plane_http::client::{self, Client};
use crate::support::{Answer, Aws, Scenario};

const REGION: &str = "ap-northeast-1";

/// The address that all backends are at, in the first of the default subnets.
const ADDRESS: &str = "172.31.1.77";

/// See the module.
pub(super) struct Scene {
    aws: Aws,
    client: Client,
    /// The default VPC.
    pub(super) vpc: String,
    balancer: String,
    /// The link's id.
    pub(super) link: String,
    _scenario: Scenario,
}

/// All contents of an element.
fn elements(body: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = body.split(open.as_str()).skip(1);
    let inner = parts.filter_map(|part| Some(part.split_once(close.as_str())?.0.to_owned()));
    inner.collect()
}

/// A path with one method, which asks a backend behind a link.
pub(super) fn integration(uri: &str, link: &str, skips: bool) -> Value {
    json!({ "get": {
        "responses": { "200": { "description": "ok" } },
        "x-amazon-apigateway-integration": {
            "type": "http_proxy", "httpMethod": "GET", "uri": uri,
            "connectionType": "VPC_LINK", "connectionId": link,
            "tlsConfig": { "insecureSkipVerification": skips },
        },
    } })
}

impl Scene {
    /// In an account with nothing else.
    pub(super) fn new() -> Self {
        Self::of(Scenario::empty(), None)
    }

    /// The same, with a security group that lets the VPC in and nobody else.
    pub(super) fn guarded() -> Self {
        Self::of(Scenario::empty(), Some("172.31.0.0/16"))
    }

    /// In the account of a scenario.
    pub(super) fn of(scenario: Scenario, admits: Option<&str>) -> Self {
        let aws = scenario.serve(&[]);
        let client = Client::new(&aws);
        let vpcs = aws.query("ec2", &[("Action", "DescribeVpcs")]).ok();
        let mut scene = Self {
            vpc: vpcs.element("vpcId"),
            aws,
            client,
            balancer: String::new(),
            link: String::new(),
            _scenario: scenario,
        };
        scene.balancer = scene.new_balancer(admits);
        let input = json!({ "name": "inner", "targetArns": [scene.balancer] });
        scene.link = text(&scene.gateway("POST", "/vpclinks", &input)["id"]);
        scene
    }

    fn ec2(&self, parameters: &[(&str, &str)]) -> Answer {
        self.aws.query("ec2", parameters).ok()
    }

    /// A call of ELB.
    pub(super) fn elb(&self, parameters: &[(&str, &str)]) -> Answer {
        self.aws.query("elasticloadbalancing", parameters).ok()
    }

    /// One that faces the internet, without a link, with a listener of TCP; its name.
    pub(super) fn public(&self, port: u16, server: &str) -> String {
        self.target(port, "TCP", server);
        let made = self.balancer_named("outer", "internet-facing", None);
        let (group, number) = (self.group(port), port.to_string());
        self.elb(&[
            ("Action", "CreateListener"),
            ("LoadBalancerArn", &made.element("LoadBalancerArn")),
            ("Protocol", "TCP"),
            ("Port", &number),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &group),
        ]);
        made.element("DNSName")
    }

    fn new_balancer(&self, admits: Option<&str>) -> String {
        let made = self.balancer_named("inner", "internal", admits);
        made.element("LoadBalancerArn")
    }

    fn balancer_named(&self, name: &str, scheme: &str, admits: Option<&str>) -> Answer {
        let subnets = self.ec2(&[("Action", "DescribeSubnets")]).body;
        let mut subnets = elements(&subnets, "subnetId");
        subnets.dedup();
        let names: Vec<String> = (1..=subnets.len())
            .map(|place| format!("Subnets.member.{place}"))
            .collect();
        let mut parameters = vec![
            ("Action", "CreateLoadBalancer"),
            ("Name", name),
            ("Type", "network"),
            ("Scheme", scheme),
        ];
        let pairs = names.iter().zip(&subnets);
        parameters.extend(pairs.map(|(name, subnet)| (name.as_str(), subnet.as_str())));
        let group = admits.map(|range| self.security_group(range));
        if let Some(group) = &group {
            parameters.push(("SecurityGroups.member.1", group));
        }
        self.elb(&parameters)
    }

    fn security_group(&self, range: &str) -> String {
        let group = self.ec2(&[
            ("Action", "CreateSecurityGroup"),
            ("GroupName", "inner"),
            ("GroupDescription", "inner"),
            ("VpcId", &self.vpc),
        ]);
        let group = group.element("groupId");
        self.ec2(&[
            ("Action", "AuthorizeSecurityGroupIngress"),
            ("GroupId", &group),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "443"),
            ("IpPermissions.1.ToPort", "443"),
            ("IpPermissions.1.IpRanges.1.CidrIp", range),
        ]);
        group
    }

    /// Lets what comes by links pass the security group.
    pub(super) fn lift_enforcement(&self) {
        let described = self.elb(&[
            ("Action", "DescribeLoadBalancers"),
            ("Names.member.1", "inner"),
        ]);
        let group = elements(&described.body, "SecurityGroups").remove(0);
        self.elb(&[
            ("Action", "SetSecurityGroups"),
            ("LoadBalancerArn", &self.balancer),
            ("SecurityGroups.member.1", &elements(&group, "member")[0]),
            (
                "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
                "off",
            ),
        ]);
    }

    /// A listener of TCP on a port, in front of a server.
    pub(super) fn backend(&self, port: u16, protocol: &str, server: &str) {
        self.target(port, protocol, server);
        self.listen(port, &[("Protocol", "TCP")]);
    }

    /// A listener of TLS on a port, in front of a server.
    pub(super) fn secure_backend(
        &self,
        (port, protocol): (u16, &str),
        certificate: &str,
        server: &str,
    ) {
        self.target(port, protocol, server);
        self.listen(
            port,
            &[
                ("Protocol", "TLS"),
                ("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
                ("Certificates.member.1.CertificateArn", certificate),
            ],
        );
    }

    fn target(&self, port: u16, protocol: &str, server: &str) {
        let (name, port) = (format!("port-{port}"), port.to_string());
        let group = self.elb(&[
            ("Action", "CreateTargetGroup"),
            ("Name", &name),
            ("TargetType", "ip"),
            ("Protocol", protocol),
            ("Port", &port),
            ("VpcId", &self.vpc),
            ("HealthyThresholdCount", "2"),
        ]);
        self.elb(&[
            ("Action", "RegisterTargets"),
            ("TargetGroupArn", &group.element("TargetGroupArn")),
            ("Targets.member.1.Id", ADDRESS),
        ]);
        self.host(&format!("{ADDRESS}:{port}"), server);
    }

    fn listen(&self, port: u16, more: &[(&str, &str)]) {
        let (group, port) = (self.group(port), port.to_string());
        let own = [
            ("Action", "CreateListener"),
            ("LoadBalancerArn", &self.balancer),
            ("Port", &port),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &group),
        ];
        self.elb(&[&own, more].concat());
    }

    /// The target group that a port's listener forwards to.
    pub(super) fn group(&self, port: u16) -> String {
        let name = format!("port-{port}");
        let found = self.elb(&[
            ("Action", "DescribeTargetGroups"),
            ("Names.member.1", &name),
        ]);
        found.element("TargetGroupArn")
    }

    /// Waits until the target of a port is in this state.
    pub(super) fn becomes(&self, port: u16, wanted: &str) {
        let group = self.group(port);
        let began = Instant::now();
        loop {
            let health = self.elb(&[
                ("Action", "DescribeTargetHealth"),
                ("TargetGroupArn", &group),
            ]);
            let state = health.element("State");
            if state == wanted {
                return;
            }
            assert!(began.elapsed().as_secs() < 30, "is {state}, not {wanted}");
        }
    }

    /// Lets a server stand for a host.
    pub(super) fn host(&self, place: &str, server: &str) {
        self.aws
            .control("POST", "hosts", &format!("{place}={server}"))
            .ok();
    }

    /// A certificate that ACM has issued for a name below `example.com`.
    pub(super) fn certificate(&self, name: &str) -> String {
        let input = json!({ "DomainName": name, "ValidationMethod": "DNS" });
        let arn = text(&self.aws.acm("RequestCertificate", &input).ok().value()["CertificateArn"]);
        let named = json!({ "CertificateArn": arn });
        let described = self.aws.acm("DescribeCertificate", &named).ok().value();
        let record = &described["Certificate"]["DomainValidationOptions"][0]["ResourceRecord"];
        let zones = self
            .aws
            .rest(("route53", "GET", "/2013-04-01/hostedzone"), "");
        let zone = zones.ok().element("Id");
        let set = format!(
            "<Name>{}</Name><Type>CNAME</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>{}\
             </Value></ResourceRecord></ResourceRecords>",
            text(&record["Name"]),
            text(&record["Value"])
        );
        self.change_records(&zone, &set);
        arn
    }

    fn change_records(&self, zone: &str, set: &str) {
        let body = format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <ChangeBatch><Changes><Change><Action>UPSERT</Action><ResourceRecordSet>{set}\
             </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        let path = format!("/2013-04-01{zone}/rrset/");
        self.aws.rest(("route53", "POST", &path), body).ok();
    }

    /// A private zone of the VPC, with an alias to the load balancer.
    pub(super) fn private_zone(&self, name: &str) {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <Name>{name}</Name><VPC><VPCRegion>{REGION}</VPCRegion><VPCId>{}</VPCId></VPC>\
             <CallerReference>inner</CallerReference></CreateHostedZoneRequest>",
            self.vpc
        );
        let made = self
            .aws
            .rest(("route53", "POST", "/2013-04-01/hostedzone"), body);
        let id = made.ok().element("Id");
        let balancer = self.elb(&[
            ("Action", "DescribeLoadBalancers"),
            ("Names.member.1", "inner"),
        ]);
        let set = format!(
            "<Name>{name}</Name><Type>A</Type><AliasTarget><HostedZoneId>{}</HostedZoneId><DNSName>{}\
             </DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>",
            balancer.element("CanonicalHostedZoneId"),
            balancer.element("DNSName")
        );
        let id = id
            .split("/hostedzone/")
            .last()
            .unwrap_or_default()
            .to_owned();
        self.change_records(&format!("/hostedzone/{id}"), &set);
    }

    /// How many addresses a name has, from outside or as a VPC sees it.
    pub(super) fn resolved(&self, name: &str, vpc: Option<&str>) -> usize {
        let within = vpc.map(|vpc| format!("&vpc={vpc}")).unwrap_or_default();
        let answer = self
            .aws
            .control("GET", &format!("resolve?name={name}{within}"), "")
            .ok();
        answer.value()["addresses"].as_array().map_or(0, Vec::len)
    }

    /// A call of API Gateway, whatever comes of it.
    pub(super) fn gateway_answer(&self, method: &str, path: &str) -> Answer {
        self.aws.rest(("apigateway", method, path), "")
    }

    fn gateway(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self
            .aws
            .rest(("apigateway", method, path), body.to_string())
            .ok();
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// A regional API with these paths, deployed; its id.
    pub(super) fn api(&self, paths: &Value) -> String {
        self.api_with(paths, &Value::Null)
    }

    /// The same, with variables of its stage.
    pub(super) fn api_with(&self, paths: &Value, variables: &Value) -> String {
        let input = json!({ "name": "inner", "endpointConfiguration": { "types": ["REGIONAL"] } });
        let api = text(&self.gateway("POST", "/restapis", &input)["id"]);
        self.import(&api, "overwrite", paths);
        self.deploy(&api, variables);
        api
    }

    /// The one API that there is.
    pub(super) fn only_api(&self) -> String {
        let apis = self.gateway_answer("GET", "/restapis").ok().value();
        let item = &apis["item"];
        text(if item.is_array() {
            &item[0]["id"]
        } else {
            &item["id"]
        })
    }

    pub(super) fn import(&self, api: &str, mode: &str, paths: &Value) {
        let document = json!({
            "openapi": "3.0.1", "info": { "title": "inner", "version": "1" }, "paths": paths,
        });
        self.gateway("PUT", &format!("/restapis/{api}?mode={mode}"), &document);
    }

    pub(super) fn deploy(&self, api: &str, variables: &Value) {
        let mut input = json!({ "stageName": "dev" });
        if !variables.is_null() {
            input["variables"] = variables.clone();
        }
        self.gateway("POST", &format!("/restapis/{api}/deployments"), &input);
    }

    /// Gets a path of an API by its own name.
    pub(super) fn get(&self, api: &str, path: &str) -> client::Answer {
        let host = format!("{api}.execute-api.{REGION}.amazonaws.com");
        self.client_get(&host, &format!("/dev/{path}"))
    }

    /// Gets a path of a host, from outside.
    pub(super) fn client_get(&self, host: &str, path: &str) -> client::Answer {
        let answer = self
            .aws
            .control("GET", &format!("connect?host={host}&port=443"), "")
            .ok();
        let socket = text(&answer.value()["address"]);
        self.client.get(&socket, host, path)
    }

    /// Gets a path of a host, whoever answers for it.
    pub(super) fn get_from_anybody(&self, (host, port): (&str, u16), name: &str) -> client::Answer {
        let answer = self
            .aws
            .control("GET", &format!("connect?host={host}&port={port}"), "")
            .ok();
        let socket = text(&answer.value()["address"]);
        self.client.trusting_all().get(&socket, name, "/")
    }

    /// What the execution log of an API says.
    pub(super) fn execution_log(&self, api: &str) -> Vec<String> {
        let entries = self.aws.control("GET", "execution-log", "").ok().value();
        let entries = entries.as_array().expect("a list").iter();
        let group = format!("API-Gateway-Execution-Logs_{api}/dev");
        entries
            .filter(|entry| entry["logGroup"] == group)
            .map(|entry| text(&entry["message"]))
            .collect()
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// A real nginx; it ends when this is dropped.
pub(super) struct Nginx {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub(super) address: String,
    _directory: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Nginx {
    /// Starts one with a certificate, if it is installed.
    pub(super) fn start(material: &Material) -> Option<Self> {
        let paths = std::env::var_os("PATH")?;
        let mut places: Vec<PathBuf> = std::env::split_paths(&paths).collect();
        places.push("/usr/sbin".into());
        let program = places
            .into_iter()
            .map(|place| place.join("nginx"))
            .find(|program| program.is_file())?;
        let directory = tempfile::TempDir::with_prefix("mtlsgw-nginx-").expect("there is room");
        let root = directory.path();
        std::fs::write(root.join("chain.pem"), &material.chain).expect("can be written");
        std::fs::write(root.join("key.pem"), &material.key).expect("can be written");
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.expect("a port").to_string();
        let at = root.display();
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path {at}/a; proxy_temp_path {at}/b;\n\
             fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
             server {{ listen {address} ssl; ssl_certificate {at}/chain.pem;\n\
             ssl_certificate_key {at}/key.pem;\n\
             location / {{ return 200 \"nginx at $host\"; }} }} }}\n"
        );
        std::fs::write(root.join("nginx.conf"), configuration).expect("can be written");
        let child = Command::new(program)
            .arg("-c")
            .arg(root.join("nginx.conf"))
            .arg("-e")
            .arg(root.join("error.log"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let began = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(began.elapsed().as_secs() < 10, "nginx does not listen");
            std::thread::yield_now();
        }
        Some(Self {
            child,
            address,
            _directory: directory,
        })
    }
}
