//! What `apply` and `destroy` do, in which order, and how they end.

use serde_json::{Value, json};

use crate::support::{Outcome, PETSTORE, Scenario, is_reading};

/// System P, applied.
fn applied() -> Scenario {
    let scenario = Scenario::petstore();
    scenario.run(["apply", "--yes"]).ok();
    scenario
}

/// Where the first, or the last, call of an operation stands.
struct Order(Vec<String>);

impl Order {
    #[track_caller]
    fn first(&self, call: &str) -> usize {
        let found = self.0.iter().position(|made| made == call);
        found.unwrap_or_else(|| panic!("no {call} in {:#?}", self.0))
    }

    #[track_caller]
    fn last(&self, call: &str) -> usize {
        let found = self.0.iter().rposition(|made| made == call);
        found.unwrap_or_else(|| panic!("no {call} in {:#?}", self.0))
    }

    /// Asserts that the last of the one came before the first of the other.
    #[track_caller]
    fn all_before(&self, earlier: &str, later: &str) {
        let order = (self.last(earlier), self.first(later));
        assert!(
            order.0 < order.1,
            "{later} before {earlier} in {:#?}",
            self.0
        );
    }
}

#[test]
fn everything_is_made_before_what_relies_on_it() {
    for parallelism in ["1", "2", "10"] {
        let scenario = Scenario::petstore();
        let arguments = ["apply", "--yes", "--parallelism", parallelism];
        let (outcome, calls) = scenario.calls_of(arguments);
        outcome.ok();
        let order = Order(calls);
        // Without a policy a private API cannot be deployed, and with a later one it stays shut.
        order.all_before("apigateway:PutRestApi", "apigateway:CreateDeployment");
        order.all_before("apigateway:UpdateRestApi", "apigateway:CreateDeployment");
        order.all_before("apigateway:CreateDeployment", "apigateway:CreateStage");
        order.all_before("apigateway:CreateStage", "apigateway:CreateBasePathMapping");
        order.all_before(
            "apigateway:CreateDomainName",
            "apigateway:CreateBasePathMapping",
        );
        order.all_before("ec2:CreateVpcEndpoint", "apigateway:CreateRestApi");
        order.all_before("ec2:CreateVpcEndpoint", "elbv2:RegisterTargets");
        order.all_before("elbv2:CreateTargetGroup", "elbv2:RegisterTargets");
        // A listener without its CRL would let in whom the CRL revokes.
        order.all_before("elbv2:CreateTrustStore", "elbv2:AddTrustStoreRevocations");
        order.all_before("elbv2:AddTrustStoreRevocations", "elbv2:CreateListener");
        order.all_before("acm:RequestCertificate", "elbv2:CreateListener");
        order.all_before("s3:CreateBucket", "elbv2:CreateTrustStore");
        // The first record change validates the certificate; the last one brings the clients.
        let validated = order.first("route53:ChangeResourceRecordSets");
        assert!(
            validated < order.first("elbv2:CreateListener"),
            "{:#?}",
            order.0
        );
        let last = order.last("route53:ChangeResourceRecordSets");
        let later: Vec<_> = order.0[last + 1..]
            .iter()
            .filter(|call| !is_reading(call))
            .collect();
        assert_eq!(
            later,
            ["s3:DeleteObject"],
            "only the lock is given back after the record"
        );
    }
}

#[test]
fn clients_are_sent_away_before_anything_they_need_is_deleted() {
    let (outcome, calls) = applied().calls_of(["destroy", "--yes"]);
    outcome.ok();
    let order = Order(calls);
    order.all_before(
        "route53:ChangeResourceRecordSets",
        "elbv2:DeleteLoadBalancer",
    );
    order.all_before("elbv2:DeleteLoadBalancer", "elbv2:DeleteTargetGroup");
    order.all_before("elbv2:DeleteLoadBalancer", "elbv2:DeleteTrustStore");
    order.all_before("elbv2:DeleteLoadBalancer", "acm:DeleteCertificate");
    order.all_before("apigateway:DeleteDomainName", "acm:DeleteCertificate");
    order.all_before("ec2:DeleteVpcEndpoints", "ec2:DeleteSecurityGroup");
    let removed = order.first("s3:DeleteBucket");
    assert_eq!(
        removed,
        order.0.len() - 1,
        "the bucket holds the lock, so it goes last"
    );
}

#[test]
fn events_are_one_json_object_a_line() {
    let scenario = Scenario::petstore();
    let lines = scenario.run(["apply", "--yes", "--json"]).ok().json_lines();
    check_stream(&lines);
    let summary = lines.last().expect("is not empty");
    assert_eq!(summary["command"], "apply");
    assert_eq!(summary["stack"], "petstore");
    assert_eq!(summary["failed"], json!([]));
    assert_eq!(summary["skipped"], json!([]));
    assert_eq!(summary["interrupted"], false);
    let addresses = |kind: &str, action: &str| -> Vec<&str> {
        let of_kind = lines
            .iter()
            .filter(|line| line["type"] == kind && line["action"] == action);
        let mut found: Vec<_> = of_kind
            .filter_map(|line| line["address"].as_str())
            .collect();
        found.sort_unstable();
        found
    };
    let created = addresses("finished", "create");
    assert_eq!(addresses("started", "create"), created);
    let mut planned = addresses("planned", "create");
    // The bucket is made before the lock that is kept in it.
    planned.retain(|address| *address != "bucket");
    assert_eq!(planned, created);
}

#[test]
fn the_destruction_is_told_in_the_same_form() {
    let lines = applied()
        .run(["destroy", "--yes", "--json"])
        .ok()
        .json_lines();
    check_stream(&lines);
    let summary = lines.last().expect("is not empty");
    assert_eq!(summary["command"], "destroy");
    let retained = summary["retained"].as_array().expect("is a list");
    let addresses: Vec<_> = retained.iter().map(|one| &one["address"]).collect();
    assert_eq!(addresses, ["certificate.validation"]);
}

/// Checks what every line, the first and the last one have in common.
fn check_stream(lines: &[Value]) {
    let kind = |line: &Value| line["type"].as_str().expect("is text").to_owned();
    let kinds: Vec<String> = lines.iter().map(kind).collect();
    assert_eq!(lines[0]["type"], "version");
    assert_eq!(lines[0]["format_version"], "1");
    assert_eq!(lines[0]["mtlsgw"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        kinds.last().map(String::as_str),
        Some("summary"),
        "{lines:#?}"
    );
    let known = [
        "planned", "started", "waiting", "finished", "failed", "skipped",
    ];
    for line in &lines[1..lines.len() - 1] {
        assert!(known.contains(&kind(line).as_str()), "{line:#}");
        assert!(
            line["address"].is_string() && line["elapsed_ms"].is_u64(),
            "{line:#}"
        );
    }
    assert!(lines[lines.len() - 1]["elapsed_ms"].is_u64());
    for (first, then) in [("planned", "started"), ("started", "finished")] {
        let (first, then) = (position(&kinds, first), position(&kinds, then));
        assert!(first < then, "{kinds:?}");
    }
}

fn position(kinds: &[String], wanted: &str) -> usize {
    let found = kinds.iter().position(|kind| kind == wanted);
    found.unwrap_or_else(|| panic!("no {wanted} in {kinds:?}"))
}

#[test]
fn a_failure_among_other_changes_ends_with_3_and_the_next_run_goes_on() {
    let scenario = Scenario::petstore().env("MTLSGW_SANDBOX_FAULTS", "CreateListener=deny");
    let outcome = scenario.run(["apply", "--yes"]).exits(3);
    let outcome = outcome
        .says("apply of petstore incomplete")
        .says("run the same command again");
    for part in ["`listener`", "CreateListener", "AccessDenied", "hint:"] {
        assert!(outcome.stderr.contains(part), "no `{part}`: {outcome}");
    }
    // What does not need the listener is made, what needs it is not.
    let outcome = outcome.says("not done: ").says("api.stage: created");
    assert!(!outcome.stderr.contains("record.a: created"), "{outcome}");

    let scenario = scenario.env("MTLSGW_SANDBOX_FAULTS", "");
    scenario
        .run(["apply", "--yes"])
        .ok()
        .says("listener: created");
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn a_failure_is_an_event_and_part_of_the_summary() {
    let scenario = Scenario::petstore().env("MTLSGW_SANDBOX_FAULTS", "CreateListener=deny");
    let lines = scenario
        .run(["apply", "--yes", "--json"])
        .exits(3)
        .json_lines();
    check_stream(&lines);
    let failed = lines
        .iter()
        .find(|line| line["type"] == "failed")
        .expect("one failed");
    assert_eq!(failed["address"], "listener");
    assert_eq!(failed["error"]["operation"], "elbv2:CreateListener");
    assert_eq!(failed["error"]["code"], "AccessDenied");
    assert!(failed["error"]["request_id"].is_string(), "{failed:#}");
    let skipped = lines
        .iter()
        .find(|line| line["type"] == "skipped")
        .expect("one is skipped");
    assert_eq!(skipped["because"], "listener");
    let summary = lines.last().expect("is not empty");
    assert_eq!(summary["failed"][0]["code"], "AccessDenied");
    assert!(
        summary["skipped"]
            .as_array()
            .is_some_and(|all| all.contains(&json!("record.a")))
    );
}

#[test]
fn a_failure_of_the_only_change_ends_with_1() {
    let mut scenario = applied();
    scenario.edit(
        "target_group: {}",
        "target_group: { deregistration_delay_seconds: 60 }",
    );
    let scenario = scenario.env("MTLSGW_SANDBOX_FAULTS", "ModifyTargetGroupAttributes=deny");
    scenario
        .run(["apply", "--yes"])
        .exits(1)
        .says("ModifyTargetGroupAttributes");
}

#[test]
fn a_failed_read_ends_with_1_before_anything_is_changed() {
    let scenario =
        Scenario::petstore().env("MTLSGW_SANDBOX_FAULTS", "DescribeLoadBalancersx*=deny");
    for arguments in [&["plan"][..], &["apply", "--yes"], &["destroy", "--yes"]] {
        let (outcome, calls) = scenario.calls_of(arguments.iter().copied());
        let outcome = outcome
            .exits(1)
            .says("DescribeLoadBalancers")
            .says("AccessDenied");
        assert_eq!(writes(&calls), [""; 0], "{outcome}");
    }
}

fn writes(calls: &[String]) -> Vec<&str> {
    calls
        .iter()
        .map(String::as_str)
        .filter(|call| !is_reading(call))
        .collect()
}

#[test]
fn an_error_before_the_first_event_is_json_as_well() {
    let scenario = Scenario::petstore();
    scenario.remove("root.crl");
    let lines = scenario
        .run(["apply", "--yes", "--json"])
        .exits(1)
        .json_lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["type"], "error");
    let message = lines[0]["error"]["message"].as_str().expect("is text");
    assert!(message.contains("root.crl"), "{message}");
}

#[test]
fn without_a_terminal_nothing_is_applied_unless_told_so() {
    let scenario = Scenario::petstore();
    let (outcome, calls) = scenario.calls_of(["apply"]);
    refused_unconfirmed(outcome, &calls);
    scenario.run(["apply", "--yes"]).ok();
    let (outcome, calls) = scenario.calls_of(["destroy"]);
    refused_unconfirmed(outcome, &calls);
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

#[track_caller]
fn refused_unconfirmed(outcome: Outcome, calls: &[String]) {
    let outcome = outcome
        .exits(1)
        .says("nobody is there to confirm")
        .says("--yes");
    // The plan is shown all the same: it is what `--yes` would agree to.
    assert!(outcome.stdout.contains("Plan: "), "{outcome}");
    assert_eq!(writes(calls), [""; 0], "{outcome}");
}

#[test]
fn there_are_three_spellings_of_yes() {
    for yes in ["-y", "--yes", "--auto-approve"] {
        let scenario = Scenario::petstore();
        scenario.run(["apply", yes]).ok();
        scenario.run(["destroy", yes]).ok();
    }
}

#[test]
fn yes_alone_does_not_widen_access() {
    let mut scenario = applied();
    scenario.edit(
        "mutual_authentication: verify",
        "mutual_authentication: passthrough",
    );
    let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
    let outcome = outcome
        .exits(1)
        .says("widens access")
        .says("--allow-widening");
    assert_eq!(writes(&calls), [""; 0], "{outcome}");
    scenario.run(["apply", "--yes", "--allow-widening"]).ok();
    scenario.edit(
        "mutual_authentication: passthrough",
        "mutual_authentication: verify",
    );
    scenario.run(["apply", "--yes"]).ok();
}

#[test]
fn a_certificate_that_others_validate_ends_with_3_and_prints_its_record() {
    let mut scenario = Scenario::petstore();
    scenario.edit("\"*.example.com\"", "\"*.example.org\"");
    scenario.edit("api.example.com", "api.example.org");
    scenario.edit("record: { zone: example.com }\n", "");
    let outcome = scenario.run(["apply", "--yes"]).exits(3).says("CNAME");
    outcome.says("acm-validations.aws");
}

#[test]
fn a_misspelt_command_line_ends_with_64() {
    let scenario = Scenario::petstore();
    for arguments in [
        &[][..],
        &["aply"],
        &["plan", "--detailed"],
        &["plan", "--out"],
        &["plan", "--parallelism", "0"],
        &["plan", "--timeout", "10"],
        &["plan", "--output", "xml"],
        &["destroy", "--stack", "petstore"],
        &[
            "destroy",
            "stack.yaml",
            "--stack",
            "petstore",
            "--region",
            "ap-northeast-1",
        ],
        &["completion", "tcsh"],
    ] {
        let outcome = scenario.run_bare(arguments.iter().copied()).exits(64);
        assert!(outcome.stderr.contains("--help"), "{outcome}");
        assert_eq!(outcome.stdout, "");
    }
    assert_eq!(scenario.calls(), [""; 0]);
}

#[test]
fn a_long_flag_with_one_dash_is_recognised() {
    let scenario = Scenario::petstore();
    let plan = scenario.run(["plan", "-out", "first.plan"]).exits(64);
    plan.says("hint: did you mean `--out`?");
    scenario
        .run(["apply", "-auto-approve"])
        .exits(64)
        .says("`--auto-approve`?");
}

#[test]
fn destroy_reads_no_file_but_the_stacks_own() {
    let scenario = applied();
    for name in ["root_cert.pem", "root.crl", "petstore.yaml"] {
        scenario.remove(name);
    }
    let outcome = scenario.run(["destroy", "stack.yaml", "--yes"]).ok();
    outcome.says("destroy of petstore complete");
    assert_eq!(stacks(&scenario), json!([]));
}

#[test]
fn destroy_looks_at_no_more_than_the_stacks_identity() {
    let mut scenario = applied();
    scenario.edit(
        "{ ca_bundle: [root_cert.pem], crls: [root.crl] }",
        "{ no_such_key: 1 }",
    );
    scenario.run(["plan"]).exits(1);
    scenario.run(["destroy", "--yes"]).ok();
    assert_eq!(stacks(&scenario), json!([]));
}

#[test]
fn a_stack_without_any_file_is_destroyed_by_its_name() {
    let scenario = applied();
    scenario.remove("stack.yaml");
    let arguments = [
        "destroy",
        "--stack",
        "petstore",
        "--region",
        "ap-northeast-1",
        "--yes",
    ];
    scenario.run(arguments).ok();
    assert_eq!(stacks(&scenario), json!([]));
}

#[test]
fn a_stack_of_another_name_or_region_is_not_touched() {
    let scenario = applied();
    for arguments in [
        ["--stack", "petstor", "--region", "ap-northeast-1"],
        ["--stack", "petstore", "--region", "eu-central-1"],
    ] {
        let arguments = ["destroy", "--yes"].into_iter().chain(arguments);
        let (outcome, calls) = scenario.calls_of(arguments);
        outcome.ok().says("No changes.");
        assert_eq!(writes(&calls), [""; 0]);
    }
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn the_second_destroy_has_nothing_to_do() {
    let scenario = applied();
    scenario.run(["destroy", "--yes"]).ok();
    let (outcome, calls) = scenario.calls_of(["destroy", "--yes"]);
    outcome.ok().says("No changes.");
    assert_eq!(writes(&calls), [""; 0]);
}

#[test]
fn what_was_destroyed_can_be_applied_again() {
    let scenario = applied();
    scenario.run(["destroy", "--yes"]).ok();
    scenario.run(["apply", "--yes"]).ok();
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn the_bucket_goes_with_the_last_stack_that_uses_it() {
    let other = PETSTORE
        .replace("name: petstore\n", "name: other\n")
        .replace("api.example.com", "other.example.com");
    let scenario = applied().file("other.yaml", other);
    scenario.run(["apply", "other.yaml", "--yes"]).ok();
    let bucket = "/s3/buckets/mtlsgw-123456789012-ap-northeast-1";
    scenario.run(["destroy", "--yes"]).ok();
    assert!(scenario.dump().pointer(bucket).is_some());
    scenario
        .run(["plan", "other.yaml", "--detailed-exitcode"])
        .ok();
    scenario.run(["destroy", "other.yaml", "--yes"]).ok();
    assert!(scenario.dump().pointer(bucket).is_none());
}

/// The stacks that `list` finds.
fn stacks(scenario: &Scenario) -> Value {
    let list = scenario
        .run(["list", "--region", "ap-northeast-1", "--json"])
        .ok();
    list.json()["stacks"].clone()
}
