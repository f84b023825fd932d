//! What a destroy leaves, and the list that it ends with.

use serde_json::{Value, json};

use crate::acts::{BUCKET, assert_order, writes};
use crate::support::{Outcome, PETSTORE, Scenario};
use crate::system_s;

/// A load balancer with everything that a stack can leave behind.
const LOGGING: &str = "name: login
region: ap-northeast-1
vpc: default
endpoint: {}
api: { openapi: petstore.yaml, stage: dev }
domain: { name: login.example.com }
certificate: { import: { certificate: server.pem, private_key: server_key.pem, chain: root_cert.pem } }
target_group: {}
load_balancer: { connection_logs: true }
trust_store: { ca_bundle: [root_cert.pem] }
listener: { mutual_authentication: verify }
";

/// Its bucket of logs.
const LOG_BUCKET: &str = "mtlsgw-123456789012-ap-northeast-1-logs-login";

/// A stack that logs, with an imported certificate.
pub(crate) fn logging() -> Scenario {
    let (certificate, key) = crate::support::authority().issue(&["login.example.com"]);
    Scenario::stack(LOGGING)
        .file("server.pem", certificate)
        .file("server_key.pem", key)
}

/// Puts an object into the bucket of logs, as log delivery does.
fn deliver(scenario: &Scenario) {
    scenario.meanwhile(|aws| {
        let path = format!("/{LOG_BUCKET}/AWSLogs/123456789012/one.log.gz");
        aws.rest(("s3", "PUT", &path), "a log").ok();
    });
}

/// Destroys; gives the list that it ends with.
#[track_caller]
fn left(scenario: &Scenario, code: i32) -> Vec<Value> {
    let outcome = scenario.run(["destroy", "--yes", "--json"]).exits(code);
    let lines = outcome.json_lines();
    let summary = lines.last().expect("is not empty");
    assert_eq!(summary["type"], "summary", "{outcome}");
    let left = summary["left"].as_array();
    left.unwrap_or_else(|| panic!("no list: {outcome}")).clone()
}

/// What is left at an address.
#[track_caller]
fn at<'a>(left: &'a [Value], address: &str) -> &'a Value {
    let found = left.iter().find(|one| one["address"] == address);
    found.unwrap_or_else(|| panic!("no `{address}` in {left:#?}"))
}

#[track_caller]
fn last_line(outcome: &Outcome) -> &str {
    outcome.stderr.trim_end().lines().last().unwrap_or_default()
}

#[test]
fn a_destroy_normally_ends_with_an_empty_list() {
    let scenario = system_s::scenario().applied();
    let destroyed = scenario.run(["destroy", "--yes"]).ok();
    assert_eq!(last_line(&destroyed), "Nothing is left.", "{destroyed}");
    let again = scenario.run(["destroy", "--yes"]).ok();
    assert_eq!(last_line(&again), "Nothing is left.", "{again}");
    assert_eq!(left(&scenario, 0), Vec::<Value>::new());
}

#[test]
fn what_the_file_retains_is_listed_with_its_arn() {
    let mut scenario = logging();
    scenario.edit(
        "chain: root_cert.pem }",
        "chain: root_cert.pem }, retain: true",
    );
    let scenario = scenario.applied();
    let arn = scenario.id("certificate");
    let left = left(&scenario, 0);
    let kept = at(&left, "certificate");
    assert_eq!(kept["id"], arn.as_str());
    assert_eq!(kept["cause"], "retained");
    assert_eq!(kept["type"], "AWS::CertificateManager::Certificate");
    assert_eq!(kept["reason"], "the stack file says `retain: true`");
    let again = scenario.run(["destroy", "--yes"]).ok();
    let line = format!("left behind: certificate ({arn}): the stack file says `retain: true`");
    assert_eq!(last_line(&again), line, "{again}");
}

#[test]
fn a_bucket_with_logs_is_listed_with_what_deletes_it() {
    let scenario = logging().applied();
    deliver(&scenario);
    let kept = left(&scenario, 0);
    let bucket = at(&kept, "load_balancer.log_bucket");
    assert_eq!(
        (&bucket["id"], &bucket["cause"]),
        (&json!(LOG_BUCKET), &json!("retained"))
    );
    let reason = bucket["reason"].as_str().expect("is text");
    assert!(
        reason.contains("`mtlsgw destroy --delete-logs`"),
        "{reason}"
    );
    let all = scenario.run(["destroy", "--yes", "--delete-logs"]).ok();
    assert_eq!(last_line(&all), "Nothing is left.", "{all}");
    assert!(scenario.dump()["s3"]["buckets"][LOG_BUCKET].is_null());
}

#[test]
fn what_fails_is_listed_with_what_waits_for_it() {
    let scenario = system_s::scenario().applied();
    let (link, balancer) = (
        scenario.id("vpc_link"),
        scenario.id("network_load_balancer"),
    );
    let aws = scenario.serve(&["--fault", "DeleteVpcLink#1x*=fail:ConflictException:409"]);
    let failed = left(&scenario, 3);
    drop(aws);
    let failed_link = at(&failed, "vpc_link");
    assert_eq!(
        (&failed_link["id"], &failed_link["cause"]),
        (&json!(link), &json!("failed"))
    );
    let reason = failed_link["reason"].as_str().expect("is text");
    assert!(reason.contains("apigateway:DeleteVpcLink"), "{reason}");
    let blocked = at(&failed, "network_load_balancer");
    assert_eq!(
        (&blocked["id"], &blocked["cause"]),
        (&json!(balancer), &json!("blocked"))
    );
    let reason = blocked["reason"].as_str().expect("is text");
    assert_eq!(reason, "it was not tried, because `vpc_link` failed");
    let bucket = at(&failed, "bucket");
    assert_eq!(
        (&bucket["id"], &bucket["cause"]),
        (&json!(BUCKET), &json!("blocked"))
    );
    let addresses: Vec<&Value> = failed.iter().map(|one| &one["address"]).collect();
    assert!(
        !addresses.contains(&&json!("api")),
        "the API is gone: {addresses:?}"
    );
    assert_eq!(left(&scenario, 0), Vec::<Value>::new());
}

#[test]
fn what_is_protected_after_the_plan_is_listed_as_that() {
    let scenario = system_s::scenario().applied();
    let balancer = scenario.id("network_load_balancer");
    let aws = scenario.aws();
    crate::protection::protect_in_aws(&aws, &balancer);
    // Neither the plan that is shown nor the one under the lock has seen it.
    aws.control("POST", "faults", "DescribeLoadBalancerAttributes#1x2=stale")
        .ok();
    let left = left(&scenario, 3);
    drop(aws);
    let protected = at(&left, "network_load_balancer");
    assert_eq!(protected["cause"], "protected", "{left:#?}");
    assert_eq!(protected["id"], balancer.as_str());
    let hint = protected["hint"].as_str().expect("says what to do");
    assert!(hint.contains("`deletion_protection: false`"), "{hint}");
}

#[test]
fn what_aws_has_not_finished_deleting_is_listed_as_vanishing() {
    let scenario = system_s::scenario().applied();
    let aws = scenario.serve(&["--timing", "x600"]);
    let hasty = scenario
        .run(["destroy", "--yes", "--json", "--timeout", "1s"])
        .exits(3);
    drop(aws);
    let lines = hasty.json_lines();
    let left = lines.last().expect("is not empty")["left"].clone();
    let left = left.as_array().expect("is a list");
    let link = at(left, "vpc_link");
    assert_eq!(link["cause"], "vanishing", "{hasty}");
    let reason = link["reason"].as_str().expect("is text");
    assert!(
        reason.starts_with("AWS has taken its deletion and has not finished it: "),
        "{reason}"
    );
    assert_eq!(at(left, "network_load_balancer")["cause"], "blocked");
}

#[test]
fn the_bucket_is_listed_with_the_stacks_that_share_it() {
    let mut scenario = system_s::scenario().applied();
    let pets = scenario.read("stack.yaml");
    scenario.write("stack.yaml", PETSTORE);
    scenario.applies(&[]);
    scenario.write("stack.yaml", pets);
    let kept = left(&scenario, 0);
    assert_eq!(kept.len(), 1, "{kept:#?}");
    assert_eq!(
        (&kept[0]["address"], &kept[0]["id"]),
        (&json!("bucket"), &json!(BUCKET))
    );
    assert_eq!(kept[0]["cause"], "shared");
    assert_eq!(
        kept[0]["reason"],
        "`petstore` is still in it: all stacks share it"
    );
}

#[test]
fn a_bucket_that_does_not_say_that_it_is_ours_is_listed_as_somebody_elses() {
    let scenario = system_s::scenario().applied();
    scenario.meanwhile(|aws| {
        let tags = "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet/></Tagging>";
        aws.rest(("s3", "PUT", &format!("/{BUCKET}?tagging")), tags)
            .ok();
    });
    let kept = left(&scenario, 0);
    assert_eq!(kept.len(), 1, "{kept:#?}");
    assert_eq!(kept[0]["cause"], "foreign");
    let reason = kept[0]["reason"].as_str().expect("is text");
    assert!(reason.contains("`mtlsgw:shared`"), "{reason}");
    assert!(!scenario.dump()["s3"]["buckets"][BUCKET].is_null());
}

#[test]
fn no_plan_lists_the_accounts_buckets() {
    let mut scenario = logging();
    let aws = scenario.serve(&["--fault", "ListBuckets#1x*=deny"]);
    scenario.applies(&[]);
    deliver_through(&aws);
    scenario.edit(
        "load_balancer: { connection_logs: true }",
        "load_balancer: {}",
    );
    // What no file names any more is found by its tags, and kept for what is in it.
    let (plan, calls) = scenario.calls_of(["plan"]);
    plan.ok()
        .says("load_balancer.log_bucket stays: the bucket `mtlsgw-");
    assert!(!calls.contains(&"s3:ListBuckets".to_owned()), "{calls:?}");
    scenario.run(["destroy", "--yes", "--delete-logs"]).ok();
    drop(aws);
    assert!(scenario.dump()["s3"]["buckets"][LOG_BUCKET].is_null());
}

fn deliver_through(aws: &crate::support::Aws) {
    let path = format!("/{LOG_BUCKET}/AWSLogs/123456789012/one.log.gz");
    aws.rest(("s3", "PUT", &path), "a log").ok();
}

#[test]
fn a_log_bucket_that_the_tagging_api_does_not_know_yet_is_destroyed_all_the_same() {
    let scenario = logging();
    let aws = scenario.aws();
    aws.make_bucket(LOG_BUCKET);
    let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    let tags = format!(
        "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>{}{}</TagSet></Tagging>",
        tag("mtlsgw:stack", "login"),
        tag("mtlsgw:address", "load_balancer.log_bucket"),
    );
    aws.rest(("s3", "PUT", &format!("/{LOG_BUCKET}?tagging")), tags)
        .ok();
    aws.control("POST", "faults", "GetResources#1x2=stale").ok();
    scenario.run(["destroy", "--yes"]).ok();
    drop(aws);
    assert!(scenario.dump()["s3"]["buckets"][LOG_BUCKET].is_null());
}

#[test]
fn a_log_bucket_that_vanishes_while_it_is_read_is_none() {
    let mut scenario = logging().applied();
    scenario.edit(
        "load_balancer: { connection_logs: true }",
        "load_balancer: {}",
    );
    for read in [
        "GetBucketEncryption",
        "GetPublicAccessBlock",
        "GetBucketPolicy",
        "GetBucketLifecycleConfiguration",
    ] {
        let fault = format!("{read}#1x*=fail:NoSuchBucket:404");
        let aws = scenario.serve(&["--fault", &fault]);
        let plan = scenario.run(["plan"]);
        drop(aws);
        // The account's own bucket answers the same, which tells nothing of the logs'.
        let plan = plan.to_string();
        assert!(!plan.contains("log_bucket"), "{read}: {plan}");
    }
}

#[test]
fn links_go_before_their_load_balancer_and_interfaces_are_waited_for() {
    let scenario = system_s::scenario().applied();
    let aws = scenario.serve(&["--rates", "--timing", "x300"]);
    let (destroyed, calls) = scenario.calls_of(["destroy", "--yes"]);
    drop(aws);
    let destroyed = destroyed.ok();
    assert_order(
        &writes(&calls),
        &["DeleteRestApi", "DeleteVpcLink", "DeleteLoadBalancer"],
    );
    let destroyed = destroyed
        .says("vpc_link: waiting for the VPC link to vanish")
        .says("network_load_balancer: waiting for the network interfaces of the load balancer to vanish");
    assert_eq!(last_line(&destroyed), "Nothing is left.", "{destroyed}");
}

#[test]
fn listeners_go_before_their_trust_store_and_groups_after_the_interfaces() {
    let scenario = logging().applied();
    let aws = scenario.serve(&["--rates", "--timing", "x300"]);
    let (destroyed, calls) = scenario.calls_of(["destroy", "--yes", "--delete-logs"]);
    drop(aws);
    let destroyed = destroyed.ok();
    let writes = writes(&calls);
    for later in [
        "DeleteTrustStore",
        "DeleteSecurityGroup",
        "DeleteCertificate",
        "DeleteBucket",
    ] {
        assert_order(&writes, &["DeleteLoadBalancer", later]);
    }
    let destroyed = destroyed
        .says("load_balancer: waiting for the network interfaces of the load balancer to vanish");
    assert_eq!(last_line(&destroyed), "Nothing is left.", "{destroyed}");
}
