//! Gateways as people make them in the console: by its procedures, with its defaults and with names of
//! their own.

pub(crate) mod backend;
mod servers;

use serde_json::{Value, json};

use crate::acts::{elb, vpc};
use crate::support::{Aws, authority};

/// What somebody has made.
pub(crate) struct Console<'a> {
    aws: &'a Aws,
    /// The two subnets that everything is in.
    pub(crate) subnets: [String; 2],
    /// The CA and the CRL of trust stores, PEM.
    pub(crate) trusted: [String; 2],
    vpc: String,
}

/// A definition with one method that needs no backend, and one that asks one.
fn openapi() -> Value {
    let mock = json!({
        "type": "mock",
        "requestTemplates": { "application/json": "{\"statusCode\": 200}" },
        "responses": { "default": { "statusCode": "200", "responseTemplates": { "text/html": "pets" } } },
    });
    let http = json!({
        "type": "http_proxy", "httpMethod": "GET",
        "uri": "http://petstore.execute-api.ap-northeast-1.amazonaws.com/petstore/pets",
    });
    let answer =
        json!({ "200": { "description": "pets", "schema": { "$ref": "#/definitions/Pets" } } });
    json!({
        "swagger": "2.0",
        "info": { "title": "PetStore", "version": "2026-01-02T03:04:05Z" },
        "definitions": { "Pets": { "type": "array", "items": { "type": "string" } } },
        "paths": {
            "/": { "get": { "responses": { "200": { "description": "page" } }, "x-amazon-apigateway-integration": mock } },
            "/pets": { "get": { "responses": answer, "x-amazon-apigateway-integration": http } },
        },
    })
}

impl<'a> Console<'a> {
    /// Signs in.
    pub(crate) fn new(aws: &'a Aws) -> Self {
        let body = aws.query("ec2", &[("Action", "DescribeSubnets")]).ok().body;
        let mut subnets = body.split("<subnetId>").skip(1).map(|rest| {
            let (id, _) = rest.split_once('<').expect("is closed");
            id.to_owned()
        });
        let mut next = || subnets.next().expect("the default VPC has several");
        Self {
            aws,
            subnets: [next(), next()],
            trusted: [authority().certificate.clone(), authority().crl.clone()],
            vpc: vpc(aws),
        }
    }

    #[track_caller]
    fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> crate::support::Answer {
        let parameters = [&[("Action", action)], parameters].concat();
        self.aws.query("ec2", &parameters).ok()
    }

    #[track_caller]
    fn elb(&self, action: &str, parameters: &[(&str, &str)]) -> crate::support::Answer {
        let parameters = [&[("Action", action)], parameters].concat();
        self.aws.query("elasticloadbalancing", &parameters).ok()
    }

    #[track_caller]
    fn api(&self, (method, path): (&str, &str), body: &Value) -> Value {
        let answer = self
            .aws
            .rest(("apigateway", method, path), body.to_string())
            .ok();
        answer.value()
    }

    /// A security group that lets 443 in from a range or another group.
    pub(crate) fn group(&self, name: &str, from: &str) -> String {
        let group = [
            ("GroupName", name),
            ("GroupDescription", "made in the console"),
            ("VpcId", self.vpc.as_str()),
        ];
        let id = self.ec2("CreateSecurityGroup", &group).element("groupId");
        let peer = if from.starts_with("sg-") {
            ("IpPermissions.1.Groups.1.GroupId", from)
        } else {
            ("IpPermissions.1.IpRanges.1.CidrIp", from)
        };
        let rule = [
            ("GroupId", id.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "443"),
            ("IpPermissions.1.ToPort", "443"),
            peer,
        ];
        self.ec2("AuthorizeSecurityGroupIngress", &rule);
        id
    }

    /// Takes out the rule that lets everything out.
    pub(crate) fn close_egress(&self, group: &str) {
        let rule = [
            ("GroupId", group),
            ("IpPermissions.1.IpProtocol", "-1"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ];
        self.ec2("RevokeSecurityGroupEgress", &rule);
    }

    /// An execute-api endpoint with this group; its id and addresses.
    fn endpoint(&self, group: &str) -> (String, Vec<String>) {
        let endpoint = [
            ("VpcEndpointType", "Interface"),
            ("VpcId", self.vpc.as_str()),
            ("ServiceName", "com.amazonaws.ap-northeast-1.execute-api"),
            ("SubnetId.1", self.subnets[0].as_str()),
            ("SubnetId.2", self.subnets[1].as_str()),
            ("SecurityGroupId.1", group),
            ("PrivateDnsEnabled", "false"),
        ];
        let id = self
            .ec2("CreateVpcEndpoint", &endpoint)
            .element("vpcEndpointId");
        let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
        let body = self.ec2("DescribeNetworkInterfaces", &filter).body;
        let address = |rest: &str| rest.split_once('<').map(|(text, _)| text.to_owned());
        let mut addresses: Vec<String> = body
            .split("<privateIpAddress>")
            .skip(1)
            .filter_map(address)
            .collect();
        addresses.sort();
        addresses.dedup();
        (id, addresses)
    }

    /// A private API that is reached from the VPC only, deployed as the stage `dev`; its id.
    ///
    /// Which endpoints it is associated with may be left open.
    fn private_api(&self, definition: &Value, endpoint: Option<&str>) -> String {
        let api = json!({
            "name": "PetStore",
            "endpointConfiguration": { "types": ["PRIVATE"] },
        });
        let made = self.api(("POST", "/restapis"), &api);
        let id = made["id"].as_str().expect("is text").to_owned();
        let path = format!("/restapis/{id}");
        self.api(("PUT", &format!("{path}?mode=overwrite")), definition);
        let outside = json!({ "StringNotEquals": { "aws:SourceVpc": self.vpc } });
        let statement = |effect: &str| {
            json!({
                "Effect": effect, "Principal": "*",
                "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
            })
        };
        let mut deny = statement("Deny");
        deny["Condition"] = outside;
        let policy = json!({ "Version": "2012-10-17", "Statement": [deny, statement("Allow")] });
        let mut patches =
            vec![json!({ "op": "replace", "path": "/policy", "value": policy.to_string() })];
        patches.extend(endpoint.map(|id| {
            json!({ "op": "add", "path": "/endpointConfiguration/vpcEndpointIds", "value": id })
        }));
        let patches = json!({ "patchOperations": patches });
        self.api(("PATCH", &path), &patches);
        let deployment = json!({ "stageName": "dev", "description": "first try" });
        self.api(("POST", &format!("{path}/deployments")), &deployment);
        id
    }

    /// A wildcard certificate that ACM has issued; its ARN.
    fn certificate(&self) -> String {
        let request = json!({ "DomainName": "*.example.com", "ValidationMethod": "DNS" });
        let made = self.aws.acm("RequestCertificate", &request).ok().value();
        let arn = made["CertificateArn"].as_str().expect("is text").to_owned();
        let describe = json!({ "CertificateArn": arn });
        let detail = self.aws.acm("DescribeCertificate", &describe).ok().value();
        let record = &detail["Certificate"]["DomainValidationOptions"][0]["ResourceRecord"];
        let text = |key: &str| record[key].as_str().expect("is text").to_owned();
        let (name, value) = (text("Name"), text("Value"));
        self.aws.put_record(("CREATE", &name, "CNAME"), &value);
        arn
    }

    /// A certificate from files; its ARN.
    pub(crate) fn imported_certificate(&self, names: &[&str]) -> String {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let server = crate::support::Authority::server(names);
        let import = json!({
            "Certificate": encode(&server.certificate),
            "PrivateKey": encode(&server.private_key()),
        });
        let made = self.aws.acm("ImportCertificate", &import).ok().value();
        made["CertificateArn"].as_str().expect("is text").to_owned()
    }

    /// A trust store with the harness's CA and its CRL; its ARN.
    pub(crate) fn trust_store(&self) -> String {
        self.aws.make_bucket("my-ca-files");
        for (key, content) in [
            ("root.pem", &self.trusted[0]),
            ("root.crl", &self.trusted[1]),
        ] {
            let path = format!("/my-ca-files/{key}");
            self.aws.rest(("s3", "PUT", &path), content).ok();
        }
        let store = [
            ("Name", "My-Trust-Store"),
            ("CaCertificatesBundleS3Bucket", "my-ca-files"),
            ("CaCertificatesBundleS3Key", "root.pem"),
        ];
        let arn = self
            .elb("CreateTrustStore", &store)
            .element("TrustStoreArn");
        let revocations = [
            ("TrustStoreArn", arn.as_str()),
            ("RevocationContents.member.1.S3Bucket", "my-ca-files"),
            ("RevocationContents.member.1.S3Key", "root.crl"),
            ("RevocationContents.member.1.RevocationType", "CRL"),
        ];
        self.elb("AddTrustStoreRevocations", &revocations);
        arn
    }

    /// A load balancer with this group: its ARN, DNS name and zone.
    pub(crate) fn load_balancer(&self, group: &str) -> [String; 3] {
        let balancer = [
            ("Name", "My-ALB"),
            ("Type", "application"),
            ("Scheme", "internet-facing"),
            ("IpAddressType", "ipv4"),
            ("Subnets.member.1", self.subnets[0].as_str()),
            ("Subnets.member.2", self.subnets[1].as_str()),
            ("SecurityGroups.member.1", group),
        ];
        let made = self.elb("CreateLoadBalancer", &balancer);
        ["LoadBalancerArn", "DNSName", "CanonicalHostedZoneId"].map(|name| made.element(name))
    }

    /// A target group without targets; its ARN.
    pub(crate) fn second_target_group(&self) -> String {
        let group = [
            ("Name", "My-Other-Targets"),
            ("Protocol", "HTTP"),
            ("Port", "80"),
            ("VpcId", self.vpc.as_str()),
            ("TargetType", "ip"),
        ];
        self.elb("CreateTargetGroup", &group)
            .element("TargetGroupArn")
    }

    /// A target group with these targets; its ARN.
    pub(crate) fn target_group(
        &self,
        (protocol, port): (&str, &str),
        matcher: &str,
        targets: &[String],
    ) -> String {
        let is_instance = targets.iter().any(|target| target.starts_with("i-"));
        let kind = if is_instance { "instance" } else { "ip" };
        let group = [
            ("Name", "My-Targets"),
            ("Protocol", protocol),
            ("Port", port),
            ("VpcId", self.vpc.as_str()),
            ("TargetType", kind),
            ("HealthCheckProtocol", protocol),
            ("HealthCheckPath", "/"),
            ("Matcher.HttpCode", matcher),
        ];
        let arn = self
            .elb("CreateTargetGroup", &group)
            .element("TargetGroupArn");
        for target in targets {
            let registration = [
                ("TargetGroupArn", arn.as_str()),
                ("Targets.member.1.Id", target.as_str()),
            ];
            self.elb("RegisterTargets", &registration);
        }
        arn
    }

    /// A listener on 443, which verifies by a trust store where there is one; its ARN.
    pub(crate) fn listener(&self, places: (&str, &str, &str), trust_store: Option<&str>) -> String {
        self.verifying_listener("443", places, trust_store)
    }

    /// One on another port that asks nobody; its ARN.
    pub(crate) fn listener_on(&self, port: &str, places: (&str, &str, &str)) -> String {
        self.verifying_listener(port, places, None)
    }

    fn verifying_listener(
        &self,
        port: &str,
        (balancer, certificate, group): (&str, &str, &str),
        trust_store: Option<&str>,
    ) -> String {
        let mut listener = vec![
            ("LoadBalancerArn", balancer),
            ("Protocol", "HTTPS"),
            ("Port", port),
            ("SslPolicy", "ELBSecurityPolicy-TLS13-1-3-2021-06"),
            ("Certificates.member.1.CertificateArn", certificate),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", group),
        ];
        if let Some(store) = trust_store {
            listener.extend([
                ("MutualAuthentication.Mode", "verify"),
                ("MutualAuthentication.TrustStoreArn", store),
            ]);
        }
        self.elb("CreateListener", &listener).element("ListenerArn")
    }

    /// A listener on 80 that sends clients to 443.
    pub(crate) fn redirect(&self, balancer: &str) {
        let config = |key: &'static str| key;
        let listener = [
            ("LoadBalancerArn", balancer),
            ("Protocol", "HTTP"),
            ("Port", "80"),
            ("DefaultActions.member.1.Type", "redirect"),
            (
                config("DefaultActions.member.1.RedirectConfig.Protocol"),
                "HTTPS",
            ),
            (config("DefaultActions.member.1.RedirectConfig.Port"), "443"),
            (
                config("DefaultActions.member.1.RedirectConfig.StatusCode"),
                "HTTP_301",
            ),
        ];
        elb(self.aws, "CreateListener", &listener);
    }

    /// The alias of a name to a load balancer, as the console writes it.
    pub(crate) fn alias(&self, name: &str, [_, dns_name, zone]: &[String; 3]) {
        let set = format!(
            "<Name>{name}</Name><Type>A</Type><AliasTarget><HostedZoneId>{zone}</HostedZoneId>\
             <DNSName>dualstack.{dns_name}</DNSName>\
             <EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget>"
        );
        self.aws.change_record("CREATE", &set);
    }

    /// System P as the console's procedures make it; `is_tidy` where the endpoint lets nothing out and
    /// the API is associated with it.
    pub(crate) fn private_apis(&self, is_tidy: bool) -> [String; 3] {
        self.private_apis_of(&openapi(), is_tidy)
    }

    /// The same with another definition.
    pub(crate) fn private_apis_of(&self, definition: &Value, is_tidy: bool) -> [String; 3] {
        let front = self.group("alb-sg", "0.0.0.0/0");
        let back = self.group("vpce-sg", &front);
        if is_tidy {
            self.close_egress(&back);
        }
        let (endpoint, addresses) = self.endpoint(&back);
        let api = self.private_api(definition, is_tidy.then_some(endpoint.as_str()));
        let certificate = self.certificate();
        let domain = json!({
            "domainName": "api.example.com",
            "regionalCertificateArn": certificate,
            "endpointConfiguration": { "types": ["REGIONAL"] },
            "securityPolicy": "TLS_1_2",
        });
        self.api(("POST", "/domainnames"), &domain);
        let mapping = json!({ "restApiId": api, "stage": "dev" });
        let path = "/domainnames/api.example.com/basepathmappings";
        self.api(("POST", path), &mapping);
        let group = self.target_group(("HTTPS", "443"), "403", &addresses);
        let store = self.trust_store();
        let balancer = self.load_balancer(&front);
        self.listener((&balancer[0], &certificate, &group), Some(&store));
        self.alias("api.example.com", &balancer);
        balancer
    }
}

impl Console<'_> {
    /// Another load balancer whose listener verifies by the same trust store.
    pub(crate) fn second_listener(&self) {
        let listed = |action: &str, element: &str| self.elb(action, &[]).element(element);
        let store = listed("DescribeTrustStores", "TrustStoreArn");
        let certificates = {
            let every_key = json!({ "Includes": { "keyTypes": ["RSA_2048", "EC_prime256v1"] } });
            self.aws.acm("ListCertificates", &every_key).ok().value()
        };
        let certificate = &certificates["CertificateSummaryList"][0]["CertificateArn"];
        let certificate = certificate.as_str().expect("is text");
        let balancer = [
            ("Name", "Other-ALB"),
            ("Type", "application"),
            ("Subnets.member.1", self.subnets[0].as_str()),
            ("Subnets.member.2", self.subnets[1].as_str()),
        ];
        let balancer = self
            .elb("CreateLoadBalancer", &balancer)
            .element("LoadBalancerArn");
        let listener = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "HTTPS"),
            ("Port", "443"),
            ("SslPolicy", "ELBSecurityPolicy-TLS13-1-3-2021-06"),
            ("Certificates.member.1.CertificateArn", certificate),
            ("DefaultActions.member.1.Type", "fixed-response"),
            (
                "DefaultActions.member.1.FixedResponseConfig.StatusCode",
                "200",
            ),
            ("MutualAuthentication.Mode", "verify"),
            ("MutualAuthentication.TrustStoreArn", store.as_str()),
        ];
        self.elb("CreateListener", &listener);
    }
}
