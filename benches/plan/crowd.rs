//! An account that is full of what others have made.

use std::path::Path;
use std::time::Duration;

use aws_sdk_acm::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_acm::types::ValidationMethod;
use aws_sdk_apigateway::types::{EndpointConfiguration, EndpointType};
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, Tag, TargetTypeEnum};
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector};
use futures::stream::{self, StreamExt};

use crate::program::{Program, Served};

/// What the account is full of.
pub(crate) const SIZE: &str = "300 target groups, 100 load balancers, 50 trust stores, 150 certificates, 100 APIs, \
                               100 security groups and 100 records of others";

const TARGET_GROUPS: usize = 300;
const LOAD_BALANCERS: usize = 100;
const TRUST_STORES: usize = 50;
const CERTIFICATES: usize = 150;
const APIS: usize = 100;
const SECURITY_GROUPS: usize = 100;
const RECORDS: usize = 100;

/// Quotas that are lower than that.
const QUOTAS: [(&str, &str); 2] = [("L-53DA6B97", "200"), ("L-A8F7060B", "100")];
const BUCKET: &str = "bundles-of-others";
const BUNDLE: &str = "bundle.pem";
/// How many calls are under way at a time.
const AT_ONCE: usize = 8;

/// Fills the account of the stack's sandbox.
pub(crate) fn fill(program: &Program, stack: &Path) {
    for (code, value) in QUOTAS {
        program.run(&["sandbox", "quota", code, value]);
    }
    let served = Served::start(stack, Duration::ZERO);
    let bundle = std::fs::read(stack.join("root_cert.pem")).expect("quickstart has made a CA");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(Clients::new(&served.url).fill(bundle));
}

/// Clients of the sandbox, in the region of the stack.
struct Clients {
    acm: aws_sdk_acm::Client,
    apigateway: aws_sdk_apigateway::Client,
    ec2: aws_sdk_ec2::Client,
    elbv2: aws_sdk_elasticloadbalancingv2::Client,
    route53: aws_sdk_route53::Client,
    s3: aws_sdk_s3::Client,
}

impl Clients {
    fn new(url: &str) -> Self {
        let http = Builder::new().build_with_connector_fn(|_, _| {
            Connector::builder()
                .proxy_config(ProxyConfig::disabled())
                .build_http()
        });
        let credentials = Credentials::new("others", "others", None, None, "bench");
        let config = aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("ap-northeast-1"))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .build();
        Self {
            acm: aws_sdk_acm::Client::new(&config),
            apigateway: aws_sdk_apigateway::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            route53: aws_sdk_route53::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
        }
    }

    async fn fill(&self, bundle: Vec<u8>) {
        let (vpc, subnets) = self.network().await;
        self.bundle(bundle).await;
        self.records().await;
        many(TARGET_GROUPS, |n| self.target_group(n, &vpc)).await;
        many(LOAD_BALANCERS, |n| self.load_balancer(n, &subnets)).await;
        many(TRUST_STORES, |n| self.trust_store(n)).await;
        many(CERTIFICATES, |n| self.certificate(n)).await;
        many(APIS, |n| self.api(n)).await;
        many(SECURITY_GROUPS, |n| self.security_group(n, &vpc)).await;
    }

    async fn network(&self) -> (String, Vec<String>) {
        let subnets = self.ec2.describe_subnets().send().await;
        let subnets = subnets.expect("answers").subnets.unwrap_or_default();
        let ids = subnets
            .iter()
            .filter_map(|subnet| subnet.subnet_id.clone())
            .collect();
        let vpc = subnets.first().and_then(|subnet| subnet.vpc_id.clone());
        (vpc.expect("a default VPC"), ids)
    }

    async fn bundle(&self, bundle: Vec<u8>) {
        use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
        let here = CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::ApNortheast1)
            .build();
        let create = self.s3.create_bucket().bucket(BUCKET);
        create
            .create_bucket_configuration(here)
            .send()
            .await
            .expect("a bucket");
        let put = self.s3.put_object().bucket(BUCKET).key(BUNDLE);
        put.body(bundle.into()).send().await.expect("an object");
    }

    async fn records(&self) {
        let zones = self.route53.list_hosted_zones().send().await;
        let zone = zones.expect("answers").hosted_zones.remove(0);
        let change = |n| {
            let value = ResourceRecord::builder().value("198.51.100.7").build();
            let record = ResourceRecordSet::builder()
                .name(format!("{}.{}", name(n), zone.name))
                .r#type(RrType::A)
                .ttl(60)
                .resource_records(value.expect("is complete"))
                .build();
            Change::builder()
                .action(ChangeAction::Create)
                .resource_record_set(record.expect("is complete"))
                .build()
                .expect("is complete")
        };
        let batch = ChangeBatch::builder()
            .set_changes(Some((0..RECORDS).map(change).collect()))
            .build();
        let call = self
            .route53
            .change_resource_record_sets()
            .hosted_zone_id(&zone.id);
        call.change_batch(batch.expect("is complete"))
            .send()
            .await
            .expect("records");
    }

    async fn target_group(&self, n: usize, vpc: &str) {
        let call = self
            .elbv2
            .create_target_group()
            .name(name(n))
            .vpc_id(vpc)
            .port(443)
            .protocol(ProtocolEnum::Https)
            .target_type(TargetTypeEnum::Ip);
        call.tags(tag()).send().await.expect("a target group");
    }

    async fn load_balancer(&self, n: usize, subnets: &[String]) {
        let call = self.elbv2.create_load_balancer().name(name(n));
        let call = call.set_subnets(Some(subnets.to_vec())).tags(tag());
        call.send().await.expect("a load balancer");
    }

    async fn trust_store(&self, n: usize) {
        let call = self.elbv2.create_trust_store().name(name(n)).tags(tag());
        let call = call
            .ca_certificates_bundle_s3_bucket(BUCKET)
            .ca_certificates_bundle_s3_key(BUNDLE);
        call.send().await.expect("a trust store");
    }

    async fn certificate(&self, n: usize) {
        let call = self.acm.request_certificate();
        let call = call
            .domain_name(format!("{}.example.com", name(n)))
            .validation_method(ValidationMethod::Dns);
        call.send().await.expect("a certificate");
    }

    async fn api(&self, n: usize) {
        let regional = EndpointConfiguration::builder()
            .types(EndpointType::Regional)
            .build();
        let call = self.apigateway.create_rest_api().name(name(n));
        let call = call.endpoint_configuration(regional).tags("Team", "others");
        call.send().await.expect("an API");
    }

    async fn security_group(&self, n: usize, vpc: &str) {
        let call = self.ec2.create_security_group().group_name(name(n));
        let call = call.description("of others").vpc_id(vpc);
        call.send().await.expect("a security group");
    }
}

/// Every tenth is called as one of the stack might be, so that its tags have to be looked at.
fn name(n: usize) -> String {
    match n % 10 {
        0 => format!("quickstart-{n:08x}"),
        _ => format!("others-{n}"),
    }
}

fn tag() -> Tag {
    Tag::builder().key("Team").value("others").build()
}

/// Makes so many, some at a time.
async fn many<F: Future<Output = ()>>(count: usize, make: impl Fn(usize) -> F) {
    stream::iter(0..count)
        .map(make)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}
