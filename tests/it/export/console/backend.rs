//! System S as people make it: network load balancer, VPC link, private zone, and the API before them.

use serde_json::{Value, json};

use super::Console;
use crate::acts::elb;

/// How the network load balancer speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// TLS goes through to the backend.
    Tcp,
    /// It ends with an imported certificate, and begins anew.
    Tls,
}

/// What somebody has made of system S.
pub(crate) struct Made {
    /// The network load balancer: ARN, DNS name, zone of its name.
    pub(crate) balancer: [String; 3],
    /// The backend's target group.
    pub(crate) group: String,
    /// The API's id.
    pub(crate) api: String,
    /// The private zone's id.
    pub(crate) zone: String,
}

/// A definition whose only method leads through a VPC link to a backend with a private CA.
pub(crate) fn definition(connection: &str) -> Value {
    let integration = json!({
        "type": "http_proxy",
        "httpMethod": "GET",
        "uri": "https://backend.internal.example/pets",
        "connectionType": "VPC_LINK",
        "connectionId": connection,
        "tlsConfig": { "insecureSkipVerification": true },
    });
    json!({
        "openapi": "3.0.1",
        "info": { "title": "backend", "version": "1" },
        "paths": { "/pets": { "get": {
            "responses": { "200": { "description": "pets" } },
            "x-amazon-apigateway-integration": integration,
        } } },
    })
}

impl Console<'_> {
    /// The backend's target group; its ARN.
    pub(crate) fn network_target_group(&self, speaks: Speaks) -> String {
        let protocol = if speaks == Speaks::Tls { "TLS" } else { "TCP" };
        let group = [
            ("Name", "My-Backend"),
            ("Protocol", protocol),
            ("Port", "443"),
            ("VpcId", self.vpc.as_str()),
            ("TargetType", "ip"),
            ("HealthCheckProtocol", "TCP"),
        ];
        let arn = self
            .elb("CreateTargetGroup", &group)
            .element("TargetGroupArn");
        let registration = [
            ("TargetGroupArn", arn.as_str()),
            ("Targets.member.1.Id", "172.31.0.10"),
        ];
        self.elb("RegisterTargets", &registration);
        arn
    }

    /// An internal network load balancer: its ARN, DNS name and zone.
    pub(crate) fn network_load_balancer(&self) -> [String; 3] {
        let balancer = [
            ("Name", "My-NLB"),
            ("Type", "network"),
            ("Scheme", "internal"),
            ("IpAddressType", "ipv4"),
            ("Subnets.member.1", self.subnets[0].as_str()),
            ("Subnets.member.2", self.subnets[1].as_str()),
        ];
        let made = self.elb("CreateLoadBalancer", &balancer);
        ["LoadBalancerArn", "DNSName", "CanonicalHostedZoneId"].map(|name| made.element(name))
    }

    /// Its listener on 443; with TLS one that shows a certificate from files.
    pub(crate) fn network_listener(&self, balancer: &str, group: &str, speaks: Speaks) {
        let mut listener = vec![
            ("LoadBalancerArn", balancer),
            ("Port", "443"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", group),
        ];
        let certificate = (speaks == Speaks::Tls)
            .then(|| self.imported_certificate(&["backend.internal.example"]));
        match &certificate {
            None => listener.push(("Protocol", "TCP")),
            Some(arn) => listener.extend([
                ("Protocol", "TLS"),
                ("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
                ("Certificates.member.1.CertificateArn", arn),
            ]),
        }
        elb(self.aws, "CreateListener", &listener);
    }

    /// Another listener, on 8443, to the same group.
    pub(crate) fn second_network_listener(&self, made: &Made) {
        let listener = [
            ("LoadBalancerArn", made.balancer[0].as_str()),
            ("Protocol", "TCP"),
            ("Port", "8443"),
            ("DefaultActions.member.1.Type", "forward"),
            (
                "DefaultActions.member.1.TargetGroupArn",
                made.group.as_str(),
            ),
        ];
        elb(self.aws, "CreateListener", &listener);
    }

    /// A private zone for the VPC; its id.
    pub(crate) fn private_zone(&self, name: &str) -> String {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <Name>{name}</Name><VPC><VPCRegion>ap-northeast-1</VPCRegion><VPCId>{}</VPCId></VPC>\
             <CallerReference>console-{name}</CallerReference>\
             <HostedZoneConfig><PrivateZone>true</PrivateZone></HostedZoneConfig></CreateHostedZoneRequest>",
            self.vpc
        );
        let path = "/2013-04-01/hostedzone";
        let made = self.aws.rest(("route53", "POST", path), body).ok();
        made.element("Id")
            .trim_start_matches("/hostedzone/")
            .to_owned()
    }

    /// An alias to a load balancer in a zone, with the console's default.
    pub(crate) fn alias_in(&self, zone: &str, name: &str, [_, dns_name, of_name]: &[String; 3]) {
        let body = format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <ChangeBatch><Changes><Change><Action>CREATE</Action><ResourceRecordSet><Name>{name}</Name>\
             <Type>A</Type><AliasTarget><HostedZoneId>{of_name}</HostedZoneId><DNSName>{dns_name}</DNSName>\
             <EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget></ResourceRecordSet></Change>\
             </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        let path = format!("/2013-04-01/hostedzone/{zone}/rrset");
        self.aws.rest(("route53", "POST", &path), body).ok();
    }

    /// A VPC link to a load balancer; its id.
    pub(crate) fn vpc_link(&self, balancer: &str) -> String {
        let link = json!({ "name": "my-vpc-link", "targetArns": [balancer] });
        let made = self.api(("POST", "/vpclinks"), &link);
        made["id"].as_str().expect("is text").to_owned()
    }

    /// An API that leads through a VPC link, deployed as the stage `prod`; its id.
    pub(crate) fn linked_api(&self, definition: &Value, variables: &Value) -> String {
        let api = json!({
            "name": "backend",
            "endpointConfiguration": { "types": ["REGIONAL"] },
        });
        let made = self.api(("POST", "/restapis"), &api);
        let id = made["id"].as_str().expect("is text").to_owned();
        let path = format!("/restapis/{id}");
        self.api(("PUT", &format!("{path}?mode=overwrite")), definition);
        let deployment = json!({ "stageName": "prod", "variables": variables });
        self.api(("POST", &format!("{path}/deployments")), &deployment);
        id
    }

    /// A custom domain of a regional API with its mapping, and the alias to it.
    pub(crate) fn regional_domain(&self, api: &str) {
        let certificate = self.certificate();
        let domain = json!({
            "domainName": "backend.example.com",
            "regionalCertificateArn": certificate,
            "endpointConfiguration": { "types": ["REGIONAL"] },
            "securityPolicy": "TLS_1_2",
        });
        let made = self.api(("POST", "/domainnames"), &domain);
        let text = |key: &str| made[key].as_str().expect("is text").to_owned();
        let mapping = json!({ "restApiId": api, "stage": "prod" });
        let path = "/domainnames/backend.example.com/basepathmappings";
        self.api(("POST", path), &mapping);
        let set = format!(
            "<Name>backend.example.com</Name><Type>A</Type><AliasTarget><HostedZoneId>{}</HostedZoneId>\
             <DNSName>{}</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>",
            text("regionalHostedZoneId"),
            text("regionalDomainName")
        );
        self.aws.change_record("CREATE", &set);
    }

    /// System S as the console's procedures make it, without a custom domain.
    pub(crate) fn backend(&self, speaks: Speaks) -> Made {
        let group = self.network_target_group(speaks);
        let balancer = self.network_load_balancer();
        self.network_listener(&balancer[0], &group, speaks);
        let zone = self.private_zone("internal.example");
        self.alias_in(&zone, "backend.internal.example", &balancer);
        let link = self.vpc_link(&balancer[0]);
        let api = self.linked_api(&definition(&link), &json!({}));
        Made {
            balancer,
            group,
            api,
            zone,
        }
    }
}
