//! From one stack file to the next: in place where AWS allows it, and traffic only to what is ready.

use serde_json::{Value, json};

use crate::acts::assert_order;
use crate::support::{Authority, Aws, Outcome, PETSTORE, Scenario, authority};

const WIDEN: &[&str] = &["--allow-widening"];

/// System P, applied.
fn petstore() -> Scenario {
    Scenario::petstore().applied()
}

/// The plan says that access widens there, and apply refuses without the flag.
#[track_caller]
fn widens(scenario: &Scenario, address: &str) {
    let plan = scenario.run(["plan"]).ok();
    plan.says(&format!("access widens: {address}\n"));
    let outcome = scenario.refuses(["apply", "--yes"]);
    outcome.says("the plan widens access, and --yes alone does not allow that");
}

/// Applies what widens access there; gives the writes.
#[track_caller]
fn applies_wider(scenario: &Scenario, address: &str) -> Vec<String> {
    widens(scenario, address);
    scenario.applies(WIDEN)
}

/// Applies what takes no more than these writes, in this order.
#[track_caller]
fn takes(scenario: &Scenario, writes: &[&str]) {
    assert_eq!(scenario.applies(&[]), writes);
}

/// What the plan prints.
#[track_caller]
fn plan(scenario: &Scenario) -> Outcome {
    scenario.run(["plan", "--detailed-exitcode"]).exits(2)
}

/// The only resource of a kind in the sandbox.
#[track_caller]
fn only(scenario: &Scenario, kind: &str) -> Value {
    let dump = scenario.dump();
    let pointer = format!("/regions/ap-northeast-1/{kind}");
    let all = dump.pointer(&pointer).and_then(Value::as_object);
    let all = all.unwrap_or_else(|| panic!("no {kind} in {dump:#}"));
    assert_eq!(all.len(), 1, "{kind}: {all:#?}");
    all.values().next().expect("there is one").clone()
}

#[test]
fn one_more_ca_widens_access_and_one_less_does_not() {
    let mut scenario = petstore();
    let second = Authority::new("Second Root CA");
    let both = format!("{}{}", authority().certificate, second.certificate);
    scenario.write("root_cert.pem", both);
    plan(&scenario).says("+ CN=Second Root CA (sha256:");
    let writes = applies_wider(&scenario, "trust_store");
    assert_order(&writes, &["PutObject", "ModifyTrustStore"]);
    scenario.write("root_cert.pem", &authority().certificate);
    plan(&scenario).says("- CN=Second Root CA (sha256:");
    assert_order(&scenario.applies(&[]), &["PutObject", "ModifyTrustStore"]);
}

#[test]
fn a_crl_is_swapped_without_a_gap() {
    let mut scenario = petstore();
    scenario.write("root.crl", authority().crl_of(2, &[2, 3, 4]));
    let writes = scenario.applies(&[]);
    assert_order(
        &writes,
        &["AddTrustStoreRevocations", "RemoveTrustStoreRevocations"],
    );
    let revocations = &only(&scenario, "elbv2/trust_stores")["revocations"];
    println!("{revocations:#}");
}

#[test]
fn a_serial_or_a_crl_dropped_widens_access() {
    let mut scenario = petstore();
    scenario.write("root.crl", authority().crl_of(2, &[2]));
    let plan = scenario.run(["plan"]).ok();
    plan.says("access widens: trust_store.crl[");
    scenario
        .refuses(["apply", "--yes"])
        .says("--allow-widening");
    let writes = scenario.applies(WIDEN);
    assert_order(
        &writes,
        &["AddTrustStoreRevocations", "RemoveTrustStoreRevocations"],
    );
    scenario.edit(", crls: [root.crl]", "");
    scenario
        .refuses(["apply", "--yes"])
        .says("--allow-widening");
    let writes = scenario.applies(WIDEN);
    assert_eq!(
        writes
            .iter()
            .filter(|call| *call == "RemoveTrustStoreRevocations")
            .count(),
        1
    );
}

#[test]
fn the_crl_of_a_new_ca_is_there_before_the_ca() {
    let mut scenario = petstore();
    let second = Authority::new("Second Root CA");
    let both = format!("{}{}", authority().certificate, second.certificate);
    scenario.write("root_cert.pem", both);
    scenario.write("root.crl", format!("{}{}", authority().crl, second.crl));
    let writes = applies_wider(&scenario, "trust_store");
    assert_order(&writes, &["AddTrustStoreRevocations", "ModifyTrustStore"]);
}

#[test]
fn a_weaker_mode_is_sent_in_so_many_words_and_widens_access() {
    let mut scenario = petstore();
    let mode =
        |scenario: &Scenario| only(scenario, "elbv2/listeners")["mutual_authentication"].clone();
    println!("{:#}", mode(&scenario));
    for (old, new) in [("verify", "passthrough"), ("passthrough", "off")] {
        let key = "mutual_authentication: ";
        scenario.edit(&format!("{key}{old}"), &format!("{key}{new}"));
        plan(&scenario).says(&format!(
            "mutual_authentication.mode: {old} -> {new}  (widens access)"
        ));
        assert_eq!(applies_wider(&scenario, "listener"), ["ModifyListener"]);
        println!("{:#}", mode(&scenario));
    }
    scenario.edit(
        "mutual_authentication: off",
        "mutual_authentication: verify",
    );
    takes(&scenario, &["ModifyListener"]);
}

#[test]
fn a_trust_store_that_no_listener_uses_is_built_with_a_warning() {
    let staged = PETSTORE.replace(
        "mutual_authentication: verify",
        "mutual_authentication: off",
    );
    let mut scenario = Scenario::stack(&staged);
    let warning =
        "no listener verifies client certificates: the trust store is built, but not used";
    scenario.run(["apply", "--yes"]).ok().says(warning);
    only(&scenario, "elbv2/trust_stores");
    scenario.edit(
        "mutual_authentication: off",
        "mutual_authentication: verify",
    );
    takes(&scenario, &["ModifyListener"]);
}

#[test]
fn options_of_verification_are_changed_in_place() {
    let mut scenario = petstore();
    let with = |options: &str| format!("mutual_authentication: {{ mode: verify{options} }}");
    scenario.edit(
        "mutual_authentication: verify",
        &with(", advertise_ca_names: false"),
    );
    plan(&scenario).says("mutual_authentication.advertise_ca_names: true -> false");
    takes(&scenario, &["ModifyListener"]);
    let expiry = ", ignore_client_certificate_expiry: true";
    scenario.edit(", advertise_ca_names: false", expiry);
    assert_eq!(applies_wider(&scenario, "listener"), ["ModifyListener"]);
    scenario.edit(expiry, "");
    takes(&scenario, &["ModifyListener"]);
}

#[test]
fn a_weaker_tls_policy_widens_access_and_a_stronger_one_does_not() {
    let mut scenario = petstore();
    let weaker = "listener: { ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06, ";
    scenario.edit("listener: { ", weaker);
    assert_eq!(applies_wider(&scenario, "listener"), ["ModifyListener"]);
    scenario.edit(weaker, "listener: { ");
    takes(&scenario, &["ModifyListener"]);
}

#[test]
fn a_changed_definition_is_deployed_before_the_stage_moves_to_it() {
    let mut scenario = petstore();
    let text = scenario.read("petstore.yaml");
    scenario.write(
        "petstore.yaml",
        text.replace("/pets/{petId}", "/animals/{petId}"),
    );
    plan(&scenario).says("(the document has changed)");
    let order = [
        "PutRestApi",
        "CreateDeployment",
        "UpdateStage",
        "DeleteDeployment",
    ];
    assert_order(&scenario.applies(&[]), &order);
}

#[test]
fn an_api_that_somebody_edited_is_shown_and_repaired() {
    let scenario = petstore();
    let api = scenario.id("api");
    scenario.meanwhile(|aws| {
        let resources = aws.rest(
            ("apigateway", "GET", &format!("/restapis/{api}/resources")),
            "",
        );
        let resources = resources.ok().value();
        let all = resources["item"]
            .as_array()
            .or(resources["_embedded"]["item"].as_array());
        let pets = all
            .expect("is a list")
            .iter()
            .find(|one| one["path"] == "/pets");
        let pets = pets.expect("is there")["id"]
            .as_str()
            .expect("is text")
            .to_owned();
        let method = format!("/restapis/{api}/resources/{pets}/methods/POST");
        aws.rest(("apigateway", "DELETE", &method), "").ok();
    });
    println!("{}", plan(&scenario));
    let order = [
        "PutRestApi",
        "CreateDeployment",
        "UpdateStage",
        "DeleteDeployment",
    ];
    println!("{:?}", scenario.applies(&[]));
}

#[test]
fn a_policy_that_lets_more_in_widens_access() {
    let mut scenario = petstore();
    scenario.edit("stage: dev }", "stage: dev, policy: source_vpce }");
    let order = [
        "UpdateRestApi",
        "CreateDeployment",
        "UpdateStage",
        "DeleteDeployment",
    ];
    takes(&scenario, &order);
    scenario.edit("policy: source_vpce", "policy: source_vpc");
    assert_eq!(applies_wider(&scenario, "api"), order);
    let everybody = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"
    }]});
    scenario.write("policy.json", everybody.to_string());
    scenario.edit("policy: source_vpc", "policy: policy.json");
    assert_eq!(applies_wider(&scenario, "api"), order);
}

#[test]
fn settings_of_a_stage_are_changed_and_reset_in_place() {
    let mut scenario = petstore();
    let settings =
        ", stage_variables: { colour: blue }, throttling: { rate_limit: 5, burst_limit: 10 }";
    scenario.edit("stage: dev", &format!("stage: dev{settings}"));
    takes(&scenario, &["UpdateStage"]);
    scenario.edit(settings, "");
    takes(&scenario, &["UpdateStage"]);
}

#[test]
fn another_stage_is_mapped_before_the_old_one_goes() {
    let mut scenario = petstore();
    scenario.edit("stage: dev", "stage: prod");
    takes(
        &scenario,
        &["CreateStage", "UpdateBasePathMapping", "DeleteStage"],
    );
}

#[test]
fn one_api_becomes_two_under_one_domain() {
    let mut scenario = petstore();
    let text = scenario.read("stack.yaml");
    let text = text.replace(
        "api: { openapi: petstore.yaml, stage: dev }",
        "apis:\n  main: { openapi: petstore.yaml, stage: dev }\n  orders: { sample: petstore }",
    );
    let mappings = "domain: { name: api.example.com, mappings: { pets: main, orders: orders } }";
    scenario.write(
        "stack.yaml",
        text.replace("domain: { name: api.example.com }", mappings),
    );
    let writes = scenario.applies(&[]);
    assert_order(
        &writes,
        &["CreateDeployment", "CreateStage", "CreateBasePathMapping"],
    );
    assert_order(&writes, &["CreateBasePathMapping", "DeleteBasePathMapping"]);
    assert_eq!(
        writes
            .iter()
            .filter(|call| call.contains("RestApi"))
            .count(),
        3,
        "{writes:?}"
    );
}

#[test]
fn a_domain_is_renamed_without_a_moment_in_which_neither_name_works() {
    let mut scenario = petstore();
    scenario.edit("api.example.com", "www.example.com");
    let writes = scenario.applies(&[]);
    println!("{writes:?}");
    assert_order(
        &writes,
        &[
            "CreateDomainName",
            "CreateBasePathMapping",
            "ChangeResourceRecordSets",
        ],
    );
    assert_order(
        &writes,
        &[
            "ChangeResourceRecordSets",
            "ChangeResourceRecordSets",
            "DeleteDomainName",
        ],
    );
}

#[test]
fn tags_are_set_and_removed_everywhere_and_those_of_others_stay() {
    let mut scenario = petstore();
    let balancer = scenario.id("load_balancer");
    scenario.meanwhile(|aws| tag(aws, &balancer, "Theirs"));
    scenario.edit(
        "vpc: default",
        "vpc: default\ntags: { Team: pki, CostCentre: \"7\" }",
    );
    let writes = scenario.applies(&[]);
    assert!(writes.iter().all(|call| call.contains("Tag")), "{writes:?}");
    assert_eq!(writes.len(), 11);
    scenario.edit(", CostCentre: \"7\"", "");
    let writes = scenario.applies(&[]);
    assert!(writes.iter().all(|call| call.contains("Tag")), "{writes:?}");
    let tags = &scenario.dump()["regions"]["ap-northeast-1"]["elbv2"]["tags"][balancer];
    println!("{tags:#}");
    assert_eq!(tags["Theirs"], "kept");
    assert_eq!(tags["Team"], "pki");
    assert_eq!(tags.get("CostCentre"), None);
}

fn tag(aws: &Aws, arn: &str, key: &str) {
    let parameters = [
        ("Action", "AddTags"),
        ("ResourceArns.member.1", arn),
        ("Tags.member.1.Key", key),
        ("Tags.member.1.Value", "kept"),
    ];
    aws.query("elasticloadbalancing", &parameters).ok();
}

#[test]
fn attributes_are_set_reset_and_left_alone() {
    let mut scenario = petstore();
    let attributes = "load_balancer: { attributes: { idle_timeout.timeout_seconds: 120 } }";
    scenario.edit("load_balancer: {}", attributes);
    takes(&scenario, &["ModifyLoadBalancerAttributes"]);
    scenario.edit(
        attributes,
        "load_balancer: { unmanaged: [idle_timeout.timeout_seconds] }",
    );
    println!("{}", scenario.run(["plan"]));
    scenario.has_converged();
    scenario.edit("{ unmanaged: [idle_timeout.timeout_seconds] }", "{}");
    plan(&scenario).says("attributes.idle_timeout.timeout_seconds: 120 -> 60");
    takes(&scenario, &["ModifyLoadBalancerAttributes"]);
}

#[test]
fn the_allowed_ranges_are_opened_before_others_are_closed() {
    let mut scenario = petstore();
    scenario.edit(
        "load_balancer: {}",
        "load_balancer: { allow: [203.0.113.0/24, 198.51.100.0/24] }",
    );
    let order = [
        "AuthorizeSecurityGroupIngress",
        "RevokeSecurityGroupIngress",
    ];
    takes(&scenario, &order);
    scenario.edit("198.51.100.0/24", "192.0.2.0/24");
    assert_eq!(
        applies_wider(&scenario, "load_balancer.security_group"),
        order
    );
    scenario.edit(", 192.0.2.0/24", "");
    takes(&scenario, &["RevokeSecurityGroupIngress"]);
}

#[test]
fn http_is_redirected_and_no_longer() {
    let mut scenario = petstore();
    scenario.edit("listener: { ", "listener: { redirect_http: true, ");
    let writes = applies_wider(&scenario, "load_balancer.security_group");
    assert_order(&writes, &["AuthorizeSecurityGroupIngress"]);
    assert_order(&writes, &["CreateListener"]);
    scenario.edit("redirect_http: true, ", "");
    let writes = scenario.applies(&[]);
    assert_order(&writes, &["RevokeSecurityGroupIngress"]);
    assert_order(&writes, &["DeleteListener"]);
}

#[test]
fn headers_of_the_listener_are_set_and_reset() {
    let mut scenario = petstore();
    let header = "attributes: { routing.http.response.server.enabled: false }, ";
    scenario.edit("listener: { ", &format!("listener: {{ {header}"));
    takes(&scenario, &["ModifyListenerAttributes"]);
    scenario.edit(header, "");
    takes(&scenario, &["ModifyListenerAttributes"]);
}

#[test]
fn the_check_of_a_target_group_is_changed_in_place() {
    let mut scenario = petstore();
    let check =
        "target_group: { health_check: { interval_seconds: 10 }, deregistration_delay_seconds: 5 }";
    scenario.edit("target_group: {}", check);
    takes(
        &scenario,
        &["ModifyTargetGroup", "ModifyTargetGroupAttributes"],
    );
    scenario.edit(check, "target_group: {}");
    takes(
        &scenario,
        &["ModifyTargetGroup", "ModifyTargetGroupAttributes"],
    );
}

/// System P with the endpoint's addresses pinned and named as targets, which may have another port.
fn pinned(subnet: &str, target_group: &str) -> String {
    let pinned = format!("{{ subnets: [{subnet}], addresses: {{ {subnet}: 172.31.0.77 }} }}");
    PETSTORE
        .replace("endpoint: {}", &format!("endpoint: {pinned}"))
        .replace("target_group: {}", target_group)
}

const SUBNET: &str = "subnet-7c301d43bf26cc3c5";

#[test]
fn a_target_group_that_has_to_be_another_one_is_filled_before_the_listener_turns_to_it() {
    let check = "health_check: { protocol: https, port: 443, matcher: 403 }";
    let group =
        |port: u16| format!("target_group: {{ targets: [172.31.0.77], port: {port}, {check} }}");
    let mut scenario = Scenario::stack(&pinned(SUBNET, &group(443))).applied();
    scenario.edit("port: 443, health", "port: 8443, health");
    let order = [
        "CreateTargetGroup",
        "RegisterTargets",
        "ModifyListener",
        "DeleteTargetGroup",
    ];
    takes(&scenario, &order);
}

#[test]
fn a_target_group_goes_only_when_the_targets_of_the_new_one_are_healthy() {
    let group = "target_group: { targets: [172.31.0.77], health_check: { matcher: 403 } }";
    let mut scenario = Scenario::stack(&pinned(SUBNET, group)).applied();
    scenario.edit(
        "targets: [172.31.0.77]",
        "targets: [172.31.0.78], port: 8443",
    );
    let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
    let outcome = outcome.exits(3).says("172.31.0.78: Target.Timeout");
    assert!(
        !calls.contains(&"elbv2:DeleteTargetGroup".to_owned()),
        "{outcome}"
    );
    scenario.edit(
        "targets: [172.31.0.78], port: 8443",
        "targets: [172.31.0.77]",
    );
    scenario.applies(&[]);
}

#[test]
fn another_port_is_served_before_the_old_one_is_closed() {
    let group = "target_group: { targets: [172.31.0.77], health_check: { matcher: 403 } }";
    let mut scenario = Scenario::stack(&pinned(SUBNET, group)).applied();
    scenario.edit("listener: { ", "listener: { port: 8443, ");
    let writes = applies_wider(&scenario, "load_balancer.security_group");
    println!("{writes:?}");
    assert_order(
        &writes,
        &[
            "AuthorizeSecurityGroupIngress",
            "CreateListener",
            "DeleteListener",
        ],
    );
}

#[test]
fn targets_follow_the_endpoint_from_subnet_to_subnet() {
    let mut scenario = petstore();
    let subnets = subnets(&scenario);
    let two =
        |a: usize, b: usize| format!("endpoint: {{ subnets: [{}, {}] }}", subnets[a], subnets[b]);
    scenario.edit("endpoint: {}", &two(0, 1));
    println!("{:?}", scenario.applies(&[]));
    scenario.edit(&two(0, 1), &two(1, 2));
    println!("{:?}", scenario.applies(&[]));
    scenario.edit(&two(1, 2), "endpoint: {}");
    println!("{:?}", scenario.applies(&[]));
}

/// The subnets of the default VPC.
fn subnets(scenario: &Scenario) -> Vec<String> {
    let dump = scenario.dump();
    let subnets = dump["regions"]["ap-northeast-1"]["ec2"]["subnets"].as_object();
    subnets.expect("is an object").keys().cloned().collect()
}

#[test]
fn the_load_balancer_gets_a_subnet_more_in_place() {
    let mut scenario = petstore();
    let subnets = subnets(&scenario);
    let two = format!(
        "load_balancer: {{ subnets: [{}, {}] }}",
        subnets[0], subnets[1]
    );
    scenario.edit("load_balancer: {}", &two);
    scenario.applies(&[]);
    scenario.edit(&two, "load_balancer: {}");
    let writes = scenario.applies(&[]);
    println!("{writes:?}");
    assert!(writes.contains(&"SetSubnets".to_owned()));
}

#[test]
fn another_scheme_means_another_load_balancer_and_clients_are_led_there_first() {
    let mut scenario = petstore();
    scenario.meanwhile(|aws| {
        let vpc = aws.query("ec2", &[("Action", "DescribeVpcs")]).ok().element("vpcId");
        let zone = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <Name>example.com</Name><VPC><VPCRegion>ap-northeast-1</VPCRegion><VPCId>{vpc}</VPCId></VPC>\
             <CallerReference>1</CallerReference></CreateHostedZoneRequest>"
        );
        aws.rest(("route53", "POST", "/2013-04-01/hostedzone"), zone).ok();
    });
    scenario.edit("load_balancer: {}", "load_balancer: { scheme: internal }");
    println!("{}", scenario.run(["plan"]));
    let writes = scenario.applies(&[]);
    println!("{writes:?}");
    let order = [
        "CreateLoadBalancer",
        "CreateTargetGroup",
        "RegisterTargets",
        "CreateListener",
        "ChangeResourceRecordSets",
        "DeleteLoadBalancer",
        "DeleteTargetGroup",
    ];
    assert_order(&writes, &order);
    scenario.edit("load_balancer: { scheme: internal }", "load_balancer: {}");
    assert_order(&applies_wider(&scenario, "load_balancer"), &order);
}

#[test]
fn a_load_balancer_that_clients_know_by_its_own_name_is_not_replaced() {
    let text = PETSTORE.replace("record: { zone: example.com }\n", "");
    let mut scenario = Scenario::stack(&text).applied();
    scenario.edit("load_balancer: {}", "load_balancer: { scheme: internal }");
    let outcome = scenario.refuses(["apply", "--yes"]);
    outcome.says(
        "`load_balancer`: `scheme` cannot be changed in place; its clients know it by its DNS name",
    );
}

#[test]
fn another_certificate_is_issued_before_anybody_is_shown_it() {
    let mut scenario = petstore();
    scenario.edit("request: \"*.example.com\"", "request: api.example.com");
    println!("{}", scenario.run(["plan"]));
    println!("{:?}", scenario.applies(&[]));
}

#[test]
fn explore_more() {
    let mut scenario = petstore();
    let show = |s: &Scenario| {
        println!(
            "{}{:?}",
            s.run(["plan"]).stdout,
            s.run(["apply", "--yes", "--allow-widening", "--allow-downtime"])
                .stderr
        )
    };
    scenario.edit("endpoint: {}", "endpoint: { private_dns: true }");
    show(&scenario);
    scenario.has_converged();
    scenario.edit(
        "{ private_dns: true }",
        &format!(
            "{{ private_dns: true, subnets: [{SUBNET}], addresses: {{ {SUBNET}: 172.31.0.77 }} }}"
        ),
    );
    show(&scenario);
    scenario.has_converged();
    scenario.edit("172.31.0.77", "172.31.0.78");
    show(&scenario);
    scenario.has_converged();
    scenario.edit("stage: dev }", "stage: dev, endpoint_type: regional }");
    show(&scenario);
    scenario.has_converged();
}
