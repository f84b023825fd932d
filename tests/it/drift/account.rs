//! The account: what is somebody else's in it, and how somebody else changes what is ours.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::THEIRS;
use crate::pairs::{Anonymous, fresh};
use crate::support::{Authority, Aws, Scenario, authority};

/// Two of the default subnets, which the stack is in, and the third.
pub(crate) const SUBNETS: [&str; 2] = ["subnet-7c301d43bf26cc3c5", "subnet-15b83436007d0d6f7"];
/// See [`SUBNETS`].
pub(crate) const THIRD_SUBNET: &str = "subnet-ccbea33e9cd3b81d0";

/// Somebody else's bucket, in which they have a bundle and a CRL.
pub(crate) const THEIR_BUCKET: &str = "theirs";

/// The stack's own log bucket.
pub(crate) const LOG_BUCKET: &str = "mtlsgw-123456789012-ap-northeast-1-logs-drift";

/// What has attributes: its address, and what ELB calls the kind.
const ATTRIBUTED: [(&str, &str); 5] = [
    ("network_load_balancer", "LoadBalancer"),
    ("network_load_balancer.target_group", "TargetGroup"),
    ("load_balancer", "LoadBalancer"),
    ("target_group", "TargetGroup"),
    ("listener", "Listener"),
];

/// Every section with every key that becomes a field.
const STACK: &str = r#"name: drift
region: ap-northeast-1
vpc: default
tags: { Team: pki }
endpoint:
  subnets: [subnet-7c301d43bf26cc3c5, subnet-15b83436007d0d6f7]
  addresses: { subnet-7c301d43bf26cc3c5: 172.31.0.77, subnet-15b83436007d0d6f7: 172.31.16.77 }
  policy: { Version: "2012-10-17", Statement: [{ Effect: Allow, Principal: "*", Action: execute-api:Invoke, Resource: "*" }] }
api:
  openapi: petstore.yaml
  stage: dev
  policy: source_vpce
  description: Pets
  stage_variables: { colour: blue }
  access_logs: { destination_arn: "arn:aws:logs:ap-northeast-1:123456789012:log-group:pets", format: $context.requestId }
  throttling: { rate_limit: 5, burst_limit: 10 }
domain: { name: api.example.com, base_path: v1, security_policy: TLS_1_2 }
certificate: { request: example.com, subject_alternative_names: ["*.example.com", www.api.example.com], key_algorithm: RSA_2048 }
target_group:
  deregistration_delay_seconds: 20
  health_check: { path: /health, matcher: "403", protocol: https, port: "443", interval_seconds: 20, timeout_seconds: 4, healthy_threshold: 3, unhealthy_threshold: 4 }
load_balancer:
  subnets: [subnet-7c301d43bf26cc3c5, subnet-15b83436007d0d6f7]
  allow: [203.0.113.0/24]
  connection_logs: true
  log_retention_days: 30
  attributes:
    access_logs.s3.enabled: true
    access_logs.s3.bucket: their-logs
    access_logs.s3.prefix: gateway
    health_check_logs.s3.enabled: true
    health_check_logs.s3.bucket: their-logs
trust_store: { ca_bundle: [root_cert.pem], crls: [root.crl] }
listener:
  redirect_http: true
  additional_certificates: ["ADDITIONAL"]
  header_names: { subject: X-Client-Subject }
record: { zone: example.com }
"#;

/// Regional APIs behind an imported certificate.
const IMPORTED: &str = r"name: drift
region: ap-northeast-1
tags: { Team: pki }
apis:
  pets: { sample: petstore, endpoint_type: regional }
  orders: { openapi: petstore.yaml, endpoint_type: regional }
domain: { name: api.example.com, mappings: { (none): pets, orders: orders } }
certificate: { import: { certificate: server.pem, private_key: server_key.pem } }
record: { zone: example.com }
";

/// The stack with everything.
pub(crate) fn scenario() -> Scenario {
    Scenario::stack(STACK)
}

/// The stack with an imported certificate.
pub(crate) fn imported() -> Scenario {
    let (certificate, key) = server();
    Scenario::stack(IMPORTED)
        .file("server.pem", certificate)
        .file("server_key.pem", key)
}

/// A self-signed certificate for the domain, and its key.
pub(crate) fn server() -> (String, String) {
    let names = ["example.com".to_owned(), "*.example.com".to_owned()];
    let mut params = CertificateParams::new(names).expect("are names");
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(90);
    let key = KeyPair::generate().expect("there is randomness");
    let certificate = params.self_signed(&key).expect("can be signed");
    (certificate.pem(), key.serialize_pem())
}

/// Puts there what the stack refers to and what somebody else will put in place of it.
pub(crate) fn prepare(scenario: &mut Scenario) {
    let additional = scenario.meanwhile(|aws| {
        let role = "arn:aws:iam::123456789012:role/logs";
        patch_at(aws, "/account", &[("replace", "/cloudwatchRoleArn", role)]);
        aws.make_bucket(THEIR_BUCKET);
        aws.make_log_bucket("their-logs");
        aws.make_log_bucket("their-other-logs");
        let other = Authority::new("Their Root CA");
        put(aws, "bundle.pem", &other.certificate);
        put(aws, "root.crl", &authority().crl_of(9, &[9]));
        make_trust_store(aws);
        make_api(aws);
        import(aws, None);
        import(aws, None)
    });
    scenario.edit("ADDITIONAL", &additional);
}

pub(crate) fn put(aws: &Aws, key: &str, content: &str) {
    let path = format!("/{THEIR_BUCKET}/{key}");
    aws.rest(("s3", "PUT", &path), content).ok();
}

pub(crate) fn make_trust_store(aws: &Aws) {
    let call = [
        ("Action", "CreateTrustStore"),
        ("Name", "theirs"),
        ("CaCertificatesBundleS3Bucket", THEIR_BUCKET),
        ("CaCertificatesBundleS3Key", "bundle.pem"),
    ];
    aws.query("elasticloadbalancing", &call).ok();
}

/// An API with a stage `dev`.
pub(crate) fn make_api(aws: &Aws) {
    let integration = json!({"x-amazon-apigateway-integration": {"type": "mock"}});
    let document = json!({
        "openapi": "3.0.1",
        "info": {"title": "theirs", "version": "1"},
        "paths": {"/": {"get": integration}},
    });
    let path = "/restapis?mode=import&endpointConfigurationTypes=REGIONAL";
    let made = aws.rest(("apigateway", "POST", path), document.to_string());
    let id = made.ok().value()["id"]
        .as_str()
        .expect("has an id")
        .to_owned();
    let path = format!("/restapis/{id}/deployments");
    let stage = json!({"stageName": "dev"}).to_string();
    aws.rest(("apigateway", "POST", &path), stage).ok();
}

/// Imports a certificate for the domain, into an existing one if its ARN is given.
pub(crate) fn import(aws: &Aws, arn: Option<&str>) -> String {
    let (certificate, key) = server();
    let mut call = json!({
        "Certificate": STANDARD.encode(certificate),
        "PrivateKey": STANDARD.encode(key),
    });
    if let Some(arn) = arn {
        call["CertificateArn"] = arn.into();
    }
    let made = aws.acm("ImportCertificate", &call).ok().value();
    made["CertificateArn"].as_str().expect("is text").to_owned()
}

pub(crate) fn patch_at(aws: &Aws, path: &str, operations: &[(&str, &str, &str)]) {
    let operation = |(op, path, value): &(&str, &str, &str)| match *op {
        "remove" if value.is_empty() => json!({"op": op, "path": path}),
        _ => json!({"op": op, "path": path, "value": value}),
    };
    let operations: Vec<Value> = operations.iter().map(operation).collect();
    let body = json!({ "patchOperations": operations }).to_string();
    aws.rest(("apigateway", "PATCH", path), body).ok();
}

/// The account, served for as long as somebody acts in it.
pub(crate) struct Account {
    pub(crate) aws: Aws,
    pub(crate) scenario: Scenario,
    addresses: Vec<String>,
    /// The names of what is somebody else's.
    theirs: Vec<String>,
    ids: RefCell<Option<Value>>,
}

impl Account {
    /// An account with a stack that has these addresses.
    pub(crate) fn new(scenario: Scenario, addresses: Vec<String>) -> Self {
        let mut account = Self {
            aws: scenario.aws(),
            addresses,
            theirs: Vec::new(),
            scenario,
            ids: RefCell::default(),
        };
        if account
            .addresses
            .iter()
            .any(|address| address == "load_balancer")
        {
            account.theirs = vec![
                account.their_trust_store(),
                account.their_certificate(),
                account.their_api(),
            ];
        }
        account
    }

    /// The scenario again, without anybody who serves it.
    pub(crate) fn into_scenario(self) -> Scenario {
        self.scenario
    }

    /// Sets every attribute to what it is, which to AWS is the same as never having set it.
    pub(crate) fn settle(&self) {
        for (address, kind) in ATTRIBUTED {
            if self.addresses.iter().any(|other| other == address) {
                self.set_attributes(address, kind, &self.attributes(address, kind));
            }
        }
    }

    /// What the sandbox holds, whatever AWS calls it; somebody else's things keep their names.
    pub(crate) fn held(&self) -> Value {
        self.settle();
        let mut dump = self.scenario.dump();
        // A load balancer that was to log there has tried whether it can.
        let buckets = dump["s3"]["buckets"].as_object_mut();
        let buckets = buckets.expect("is an object");
        buckets.remove("their-other-logs");
        if let Some(bucket) = buckets.get_mut(LOG_BUCKET) {
            bucket["objects"] = json!({});
        }
        Anonymous::dump(&dump, &json!([fresh(), self.theirs]))
    }

    /// The attributes of what stands at an address.
    pub(crate) fn attributes(&self, address: &str, kind: &str) -> Vec<(String, String)> {
        let describe = format!("Describe{kind}Attributes");
        let arn = format!("{kind}Arn");
        let answer = self.elb(&describe, &[(&arn, &self.id(address))]);
        let (keys, values) = (
            Self::elements(&answer, "Key"),
            answer.split("<Key>").skip(1).map(|rest| {
                let value = rest.split("</member>").next().unwrap_or_default();
                Self::elements(value, "Value").pop().unwrap_or_default()
            }),
        );
        keys.into_iter().zip(values).collect()
    }

    /// Sets attributes, twenty at once.
    pub(crate) fn set_attributes(&self, address: &str, kind: &str, all: &[(String, String)]) {
        let modify = format!("Modify{kind}Attributes");
        let arn = self.id(address);
        for some in all.chunks(20) {
            let numbered = some.iter().zip(1..).flat_map(|((key, value), number)| {
                [
                    (format!("Attributes.member.{number}.Key"), key.as_str()),
                    (format!("Attributes.member.{number}.Value"), value.as_str()),
                ]
            });
            let numbered: Vec<(String, &str)> = numbered.collect();
            let name = format!("{kind}Arn");
            let mut call = vec![(name.as_str(), arn.as_str())];
            call.extend(numbered.iter().map(|(name, value)| (name.as_str(), *value)));
            self.elb(&modify, &call);
        }
    }

    /// What AWS calls the resource at an address, or another output of it.
    pub(crate) fn id(&self, address: &str) -> String {
        let mut ids = self.ids.borrow_mut();
        let ids = ids.get_or_insert_with(|| {
            let outputs = self.scenario.run(["output", "--json"]).ok();
            outputs.json()["outputs"].clone()
        });
        let id = ids[address].as_str();
        id.unwrap_or_else(|| panic!("no {address}: {ids:#}"))
            .to_owned()
    }

    /// An address of the plan; the one of a CRL that somebody else added depends on its content.
    pub(crate) fn named(&self, address: String) -> String {
        let revocation = "trust_store.crl[";
        if address.starts_with(revocation) && !self.addresses(revocation).contains(&address) {
            return THEIRS.to_owned();
        }
        address
    }

    /// The addresses that begin like this.
    pub(crate) fn addresses(&self, beginning: &str) -> Vec<String> {
        let all = self.addresses.iter();
        all.filter(|address| address.starts_with(beginning))
            .cloned()
            .collect()
    }

    /// What is made anew has other ids.
    pub(crate) fn forget_ids(&self) {
        self.ids.replace(None);
    }

    /// A call of Elastic Load Balancing; gives the answer.
    pub(crate) fn elb(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        self.query("elasticloadbalancing", action, parameters)
    }

    /// The same about what stands at an address: the parameter that takes its id, and the address.
    pub(crate) fn elb_at(
        &self,
        action: &str,
        (name, address): (&str, &str),
        parameters: &[(&str, &str)],
    ) -> String {
        let id = self.id(address);
        self.elb(action, &[&[(name, id.as_str())], parameters].concat())
    }

    /// A call of EC2 about what stands at an address; see [`Self::elb_at`].
    pub(crate) fn ec2_at(
        &self,
        action: &str,
        (name, address): (&str, &str),
        parameters: &[(&str, &str)],
    ) {
        let id = self.id(address);
        self.query(
            "ec2",
            action,
            &[&[(name, id.as_str())], parameters].concat(),
        );
    }

    pub(crate) fn query(&self, service: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        let parameters = [&[("Action", action)], parameters].concat();
        self.aws.query(service, &parameters).ok().body
    }

    /// A call of API Gateway; gives the answer.
    pub(crate) fn gateway(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.aws.rest(("apigateway", method, path), body).ok();
        if answer.body.is_empty() {
            Value::Null
        } else {
            answer.value()
        }
    }

    /// An update of API Gateway: `replace`, the property, and its value.
    pub(crate) fn patch(&self, path: &str, operations: &[(&str, &str, &str)]) {
        patch_at(&self.aws, path, operations);
    }

    /// A call of S3 that sends this.
    pub(crate) fn s3(&self, method: &str, path: &str, body: impl AsRef<[u8]>) {
        self.aws.rest(("s3", method, path), body).ok();
    }

    /// The parts of an answer in XML that lie in elements of this name.
    pub(crate) fn elements(answer: &str, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let rest = answer.split(&open).skip(1);
        let texts = rest.filter_map(|rest| rest.split(&close).next());
        texts.map(str::to_owned).collect()
    }

    /// The ARN of somebody else's trust store.
    pub(crate) fn their_trust_store(&self) -> String {
        let answer = self.elb("DescribeTrustStores", &[("Names.member.1", "theirs")]);
        Self::elements(&answer, "TrustStoreArn").remove(0)
    }

    /// The ARN of the listener's other certificate.
    pub(crate) fn additional_certificate(&self) -> String {
        let stack = self.scenario.read("stack.yaml");
        let (_, arn) = stack
            .split_once("additional_certificates: [\"")
            .expect("is there");
        arn.split('"').next().expect("ends").to_owned()
    }

    /// The ARN of somebody else's certificate, which nothing uses.
    pub(crate) fn their_certificate(&self) -> String {
        // Only RSA keys of 2048 bits are listed unasked.
        let call = json!({"Includes": {"keyTypes": ["EC_prime256v1"]}});
        let all = self.aws.acm("ListCertificates", &call).ok().value();
        let all = all["CertificateSummaryList"].as_array().expect("is a list");
        let used = self.scenario.read("stack.yaml");
        let arns = all.iter().filter_map(|one| one["CertificateArn"].as_str());
        let mut theirs = arns.filter(|arn| !used.contains(arn) && *arn != self.id("certificate"));
        theirs.next().expect("is there").to_owned()
    }

    /// The id of somebody else's API, which has a stage `dev`.
    pub(crate) fn their_api(&self) -> String {
        let all = self.gateway("GET", "/restapis", &Value::Null);
        let all = all.pointer("/_embedded/item").or(all.get("item"));
        let mut all = all.and_then(Value::as_array).expect("is a list").iter();
        let theirs = all
            .find(|one| one["id"] != self.id("api"))
            .expect("is there");
        theirs["id"].as_str().expect("is text").to_owned()
    }

    /// The id of the default VPC's default security group.
    pub(crate) fn their_group(&self) -> String {
        let vpc = crate::acts::vpc(&self.aws);
        let filter = [
            ("Filter.1.Name", "group-name"),
            ("Filter.1.Value.1", "default"),
            ("Filter.2.Name", "vpc-id"),
            ("Filter.2.Value.1", &vpc),
        ];
        let answer = self.query("ec2", "DescribeSecurityGroups", &filter);
        Self::elements(&answer, "groupId").remove(0)
    }
}
