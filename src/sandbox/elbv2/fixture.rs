//! What the tests of this service start from.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{bundle, crl, handle};
use crate::sandbox::world::{Call, Refusal, World};
use crate::sandbox::{acm, ec2, s3};

/// In January 2026, when the certificates that are made here are valid.
const NOW: i64 = 1_768_435_200_000;

/// An account with what a listener needs.
pub(super) struct Account {
    /// The account.
    pub(super) world: World,
}

impl Account {
    /// A fresh account in which states pass at once.
    pub(super) fn fresh() -> Self {
        let mut world = World::fresh("123456789012");
        world.now = NOW;
        Self { world }
    }

    /// A fresh account in which states take as long as on AWS.
    pub(super) fn realistic() -> Self {
        let mut account = Self::fresh();
        account.world.instant = false;
        account
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, seconds: i64) {
        self.world.now += seconds * 1000;
    }

    /// Makes a call that may be refused.
    #[expect(clippy::needless_pass_by_value, reason = "tests write json! in place")]
    pub(super) fn attempt(&mut self, operation: &str, input: Value) -> Result<Value, Refusal> {
        handle(&mut self.world, &Call::of(operation, &input))
    }

    /// Makes a call that succeeds.
    pub(super) fn call(&mut self, operation: &str, input: Value) -> Value {
        self.attempt(operation, input).expect("the call succeeds")
    }

    /// Makes a call that is refused, and returns the code of the refusal.
    pub(super) fn refused(&mut self, operation: &str, input: Value) -> String {
        let refusal = self
            .attempt(operation, input)
            .expect_err("the call is refused");
        refusal.code
    }

    /// Makes a call to EC2.
    #[expect(clippy::needless_pass_by_value, reason = "tests write json! in place")]
    pub(super) fn ec2(&mut self, operation: &str, input: Value) -> Value {
        let call = Call::of(operation, &input);
        ec2::handle(&mut self.world, &call).expect("the call succeeds")
    }

    /// The default VPC's id.
    pub(super) fn vpc(&mut self) -> String {
        let vpcs = self.ec2("DescribeVpcs", json!({}));
        vpcs["Vpcs"][0]["VpcId"].as_str().expect("an id").to_owned()
    }

    /// The default subnets, one in each zone, in the order of the zones.
    pub(super) fn subnets(&mut self) -> Vec<String> {
        let subnets = self.ec2("DescribeSubnets", json!({}));
        let mut subnets = subnets["Subnets"].as_array().expect("a list").clone();
        subnets.sort_by_key(|subnet| subnet["AvailabilityZone"].to_string());
        let id = |subnet: &Value| subnet["SubnetId"].as_str().expect("an id").to_owned();
        subnets.iter().map(id).collect()
    }

    /// A load balancer named `edge` in two subnets; its ARN.
    pub(super) fn load_balancer(&mut self) -> String {
        let subnets = self.subnets();
        let input = json!({"Name": "edge", "Subnets": [subnets[0], subnets[1]]});
        let output = self.call("CreateLoadBalancer", input);
        output["LoadBalancers"][0]["LoadBalancerArn"]
            .as_str()
            .expect("an ARN")
            .to_owned()
    }

    /// A target group of addresses; its ARN.
    pub(super) fn target_group(&mut self, name: &str) -> String {
        let input = json!({
            "Name": name,
            "TargetType": "ip",
            "Protocol": "HTTPS",
            "Port": 443,
            "VpcId": self.vpc(),
            "HealthCheckProtocol": "HTTPS",
            "Matcher": {"HttpCode": "403"},
        });
        let output = self.call("CreateTargetGroup", input);
        output["TargetGroups"][0]["TargetGroupArn"]
            .as_str()
            .expect("an ARN")
            .to_owned()
    }

    /// An imported certificate; its ARN.
    pub(super) fn certificate(&mut self) -> String {
        let issued = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]);
        let issued = issued.expect("a certificate");
        let input = json!({
            "Certificate": STANDARD.encode(issued.cert.pem()),
            "PrivateKey": STANDARD.encode(issued.signing_key.serialize_pem()),
        });
        let call = Call::of("ImportCertificate", &input);
        let output = acm::handle(&mut self.world, &call).expect("imported");
        output["CertificateArn"]
            .as_str()
            .expect("an ARN")
            .to_owned()
    }

    /// A requested certificate that waits for its validation; its ARN.
    pub(super) fn pending_certificate(&mut self) -> String {
        let input = json!({"DomainName": "api.example.com", "ValidationMethod": "DNS"});
        let call = Call::of("RequestCertificate", &input);
        let output = acm::handle(&mut self.world, &call).expect("requested");
        output["CertificateArn"]
            .as_str()
            .expect("an ARN")
            .to_owned()
    }

    /// Puts an object into the bucket `trust`.
    pub(super) fn object(&mut self, key: &str, content: &str) {
        let place = s3::Place {
            owner: "123456789012",
            region: "ap-northeast-1",
            bucket: "trust",
            key,
        };
        self.world.s3.put_internal(&place, 0, content.as_bytes());
    }

    /// A trust store of one CA; its ARN.
    pub(super) fn trust_store(&mut self, name: &str) -> String {
        self.object("ca.pem", &bundle::tests::certificate(|_| {}));
        let input = json!({
            "Name": name,
            "CaCertificatesBundleS3Bucket": "trust",
            "CaCertificatesBundleS3Key": "ca.pem",
        });
        let output = self.call("CreateTrustStore", input);
        output["TrustStores"][0]["TrustStoreArn"]
            .as_str()
            .expect("an ARN")
            .to_owned()
    }

    /// Puts a revocation list of so many entries into the bucket `trust`.
    pub(super) fn revocation_list(&mut self, key: &str, entries: u16) {
        let serials: Vec<[u8; 2]> = (1..=entries).map(u16::to_be_bytes).collect();
        let serials: Vec<&[u8]> = serials.iter().map(<[u8; 2]>::as_slice).collect();
        self.object(key, &crl::tests::list(&serials));
    }

    /// The input that creates an HTTPS listener forwarding to the group.
    pub(super) fn listener_input(&mut self, load_balancer: &str, target_group: &str) -> Value {
        json!({
            "LoadBalancerArn": load_balancer,
            "Protocol": "HTTPS",
            "Port": 443,
            "SslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06",
            "Certificates": [{"CertificateArn": self.certificate()}],
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": target_group}],
        })
    }

    /// Creates a listener; its ARN.
    pub(super) fn listener(&mut self, input: Value) -> String {
        let output = self.call("CreateListener", input);
        output["Listeners"][0]["ListenerArn"]
            .as_str()
            .expect("an ARN")
            .to_owned()
    }
}
