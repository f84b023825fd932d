//! From one stack file to the next: in place where AWS allows it, and traffic only to what is ready.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::acts::{BUCKET, assert_order, elb, vpc};
use crate::support::{Authority, Aws, Outcome, PETSTORE, Scenario, authority};

/// What lets apply widen access.
const WIDEN: &[&str] = &["--allow-widening"];

/// One of the default subnets that every sandbox has.
const SUBNET: &str = "subnet-7c301d43bf26cc3c5";

/// System P, applied.
fn petstore() -> Scenario {
    Scenario::petstore().applied()
}

/// What is planned, which is not nothing.
#[track_caller]
fn plan(scenario: &Scenario) -> Outcome {
    scenario.run(["plan", "--detailed-exitcode"]).exits(2)
}

/// Applies what takes just these writes, in this order.
#[track_caller]
fn takes(scenario: &Scenario, writes: &[&str]) {
    assert_eq!(scenario.applies(&[]), writes);
}

/// Applies what widens access at an address, which is refused without the flag; gives the writes.
#[track_caller]
fn widens(scenario: &Scenario, address: &str) -> Vec<String> {
    plan(scenario).says(&format!("access widens: {address}"));
    let refusal = "the plan widens access, and --yes alone does not allow that";
    scenario.refuses(["apply", "--yes"]).says(refusal);
    scenario.applies(WIDEN)
}

/// The only one of a kind in the sandbox.
#[track_caller]
fn only(scenario: &Scenario, kind: &str) -> Value {
    let dump = scenario.dump();
    let all = dump.pointer(&format!("/regions/ap-northeast-1/{kind}"));
    let all = all.and_then(Value::as_object).expect("is an object");
    assert_eq!(all.len(), 1, "{kind}: {all:#?}");
    all.values().next().expect("there is one").clone()
}

/// The subnets of the default VPC.
fn subnets(scenario: &Scenario) -> Vec<String> {
    let dump = scenario.dump();
    let subnets = dump["regions"]["ap-northeast-1"]["ec2"]["subnets"].as_object();
    subnets.expect("is an object").keys().cloned().collect()
}

#[test]
fn one_more_ca_widens_access_and_one_less_does_not() {
    let mut scenario = petstore();
    let second = Authority::new("Second Root CA");
    let both = format!("{}{}", authority().certificate, second.certificate);
    scenario.write("root_cert.pem", both);
    plan(&scenario).says("+ CN=Second Root CA (sha256:");
    let writes = widens(&scenario, "trust_store");
    assert_order(&writes, &["PutObject", "ModifyTrustStore"]);
    scenario.write("root_cert.pem", &authority().certificate);
    plan(&scenario).says("- CN=Second Root CA (sha256:");
    assert_order(&scenario.applies(&[]), &["PutObject", "ModifyTrustStore"]);
}

#[test]
fn a_crl_is_swapped_without_a_gap() {
    let mut scenario = petstore();
    scenario.write("root.crl", authority().crl_of(2, &[2, 3, 4]));
    let shown = plan(&scenario);
    let change = "superseded: number 1 -> 2, 1 serial added (04), next update ";
    shown.says(change).says("number 2, 3 serials revoked");
    let order = ["AddTrustStoreRevocations", "RemoveTrustStoreRevocations"];
    assert_order(&scenario.applies(&[]), &order);
    let revocations = &only(&scenario, "elbv2/trust_stores")["revocations"];
    let revocations = revocations.as_object().expect("is an object");
    let entries: Vec<&Value> = revocations.values().map(|one| &one["entries"]).collect();
    assert_eq!(entries, [3]);
}

#[test]
fn a_crl_of_an_older_number_is_told_and_what_it_takes_back_has_to_be_allowed() {
    let mut scenario = petstore();
    let now = OffsetDateTime::now_utc();
    let issued = |number, serials, hours_ago| {
        let validity = (now - Duration::hours(hours_ago), now + Duration::days(90));
        authority().crl_between(number, serials, validity)
    };
    scenario.write("root.crl", issued(7, &[2, 3, 4], 3));
    scenario.applies(&[]);
    scenario.write("root.crl", issued(6, &[2, 3], 2));
    let shown = plan(&scenario);
    let shown = shown.says("its number is 6").says("crl-number-back");
    shown.says("number 7 -> 6, 1 serial dropped (04)");
    widens(&scenario, "trust_store.crl[");
}

#[test]
fn a_swap_of_crls_that_exceeds_a_quota_is_refused_before_it_begins() {
    let mut scenario = Scenario::petstore();
    let all: Vec<Authority> = (0..16)
        .map(|n| Authority::new(&format!("CA {n}")))
        .collect();
    let bundle: String = all.iter().map(|one| one.certificate.as_str()).collect();
    scenario.write("root_cert.pem", bundle);
    let crls = |number| -> String { all.iter().map(|one| one.crl_of(number, &[7])).collect() };
    scenario.write("root.crl", crls(1));
    let mut scenario = scenario.applied();
    scenario.write("root.crl", crls(2));
    plan(&scenario).says("crl-swap-exceeds-quota");
    scenario
        .refuses(["apply", "--yes"])
        .says("32 revoked serials in 32 CRLs (16 in 16 are live, 16 in 16 are new)")
        .says("--quota-raised");
    let quota = ["sandbox", "quota", "L-332EE142", "40"];
    scenario.run(quota).ok();
    scenario.applies(&["--quota-raised"]);
    scenario.has_converged();
}

#[test]
fn order_comments_and_line_endings_of_trust_are_no_change() {
    let mut scenario = petstore();
    let second = Authority::new("Second Root CA");
    let both = |one: &str, other: &str| format!("{one}{other}");
    let bundle = both(&authority().certificate, &second.certificate);
    scenario.write("root_cert.pem", &bundle);
    scenario.write("root.crl", both(&authority().crl, &second.crl));
    scenario.applies(WIDEN);
    let written_otherwise = [
        both(&second.certificate, &authority().certificate),
        format!("# our CAs\n\n{}", bundle.replace('\n', "\r\n")),
        both(&bundle, &second.certificate),
    ];
    for bundle in written_otherwise {
        scenario.write("root_cert.pem", bundle);
        scenario.write("root.crl", both(&second.crl, &authority().crl));
        scenario.run(["plan", "--detailed-exitcode"]).ok();
    }
}

#[test]
fn a_serial_or_a_crl_less_widens_access() {
    let mut scenario = petstore();
    scenario.write("root.crl", authority().crl_of(2, &[2]));
    let writes = widens(&scenario, "trust_store.crl[");
    let order = ["AddTrustStoreRevocations", "RemoveTrustStoreRevocations"];
    assert_order(&writes, &order);
    scenario.edit(", crls: [root.crl]", "");
    let writes = widens(&scenario, "trust_store.crl[");
    assert_order(&writes, &["RemoveTrustStoreRevocations"]);
}

#[test]
fn the_crl_of_a_new_ca_is_there_before_the_ca() {
    let mut scenario = petstore();
    let second = Authority::new("Second Root CA");
    let both = |one: &str, other: &str| format!("{one}{other}");
    scenario.write(
        "root_cert.pem",
        both(&authority().certificate, &second.certificate),
    );
    scenario.write("root.crl", both(&authority().crl, &second.crl));
    let writes = widens(&scenario, "trust_store");
    assert_order(&writes, &["AddTrustStoreRevocations", "ModifyTrustStore"]);
}

#[test]
fn a_weaker_mode_is_sent_in_so_many_words_and_widens_access() {
    let mut scenario = petstore();
    let live =
        |scenario: &Scenario| only(scenario, "elbv2/listeners")["mutual_authentication"].clone();
    assert_eq!(live(&scenario)["Verify"]["ignore_expiry"], false);
    let key = "mutual_authentication: ";
    for (old, new, is) in [
        ("verify", "passthrough", "Passthrough"),
        ("passthrough", "off", "Off"),
    ] {
        scenario.edit(&format!("{key}{old}"), &format!("{key}{new}"));
        plan(&scenario).says(&format!(
            "mutual_authentication.mode: {old} -> {new}  (widens access)"
        ));
        assert_eq!(widens(&scenario, "listener"), ["ModifyListener"]);
        assert_eq!(live(&scenario), is);
    }
    scenario.edit(
        "mutual_authentication: off",
        "mutual_authentication: verify",
    );
    takes(&scenario, &["ModifyListener"]);
}

#[test]
fn a_trust_store_that_no_listener_uses_is_built_with_a_warning() {
    let (off, verify) = (
        "mutual_authentication: off",
        "mutual_authentication: verify",
    );
    let mut scenario = Scenario::stack(&PETSTORE.replace(verify, off));
    let warning =
        "no listener verifies client certificates: the trust store is built, but not used";
    scenario.run(["apply", "--yes"]).ok().says(warning);
    only(&scenario, "elbv2/trust_stores");
    scenario.edit(off, verify);
    takes(&scenario, &["ModifyListener"]);
}

#[test]
fn options_of_verification_are_changed_in_place() {
    let mut scenario = petstore();
    let names = "mutual_authentication: { mode: verify, advertise_ca_names: false }";
    scenario.edit("mutual_authentication: verify", names);
    plan(&scenario).says("mutual_authentication.advertise_ca_names: true -> false");
    takes(&scenario, &["ModifyListener"]);
    let expiry = ", ignore_client_certificate_expiry: true";
    scenario.edit(", advertise_ca_names: false", expiry);
    assert_eq!(widens(&scenario, "listener"), ["ModifyListener"]);
    scenario.edit(expiry, "");
    takes(&scenario, &["ModifyListener"]);
}

#[test]
fn a_weaker_tls_policy_widens_access_and_a_stronger_one_does_not() {
    let mut scenario = petstore();
    let weaker = "listener: { ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06, ";
    scenario.edit("listener: { ", weaker);
    assert_eq!(widens(&scenario, "listener"), ["ModifyListener"]);
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
        let path = format!("/restapis/{api}/resources");
        let resources = aws.rest(("apigateway", "GET", &path), "").ok().value();
        let embedded = resources
            .pointer("/_embedded/item")
            .or(resources.get("item"));
        let all = embedded.and_then(Value::as_array).expect("is a list");
        let pets = all
            .iter()
            .find(|one| one["path"] == "/pets")
            .expect("is there");
        let id = pets["id"].as_str().expect("is text");
        aws.rest(
            ("apigateway", "DELETE", &format!("{path}/{id}/methods/POST")),
            "",
        )
        .ok();
    });
    plan(&scenario).says("the live API is no longer what was made of the document");
    // The stage goes on serving its deployment, which nobody has edited.
    let writes = scenario.applies(&[]);
    assert_order(&writes, &["PutRestApi", "TagResource"]);
    assert!(
        !writes.contains(&"CreateDeployment".to_owned()),
        "{writes:?}"
    );
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
    assert_eq!(widens(&scenario, "api"), order);
    let everybody = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"
    }]});
    scenario.write("policy.json", everybody.to_string());
    scenario.edit("policy: source_vpc", "policy: policy.json");
    assert_eq!(widens(&scenario, "api"), order);
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
fn an_api_of_another_endpoint_type_is_mapped_before_the_old_one_goes() {
    let mut scenario = petstore();
    scenario.edit("stage: dev", "stage: dev, endpoint_type: regional");
    let order = [
        "CreateRestApi",
        "CreateDeployment",
        "CreateStage",
        "UpdateBasePathMapping",
        "DeleteRestApi",
    ];
    assert_order(&widens(&scenario, "api"), &order);
}

#[test]
fn one_api_becomes_two_under_one_domain() {
    let mut scenario = petstore();
    scenario.edit(
        "api: { openapi: petstore.yaml, stage: dev }",
        "apis: { main: { openapi: petstore.yaml, stage: dev }, orders: { sample: petstore } }",
    );
    scenario.edit(
        "name: api.example.com",
        "name: api.example.com, mappings: { pets: main, orders: orders }",
    );
    let writes = scenario.applies(&[]);
    let order = [
        "CreateRestApi",
        "PutRestApi",
        "CreateDeployment",
        "CreateStage",
        "CreateBasePathMapping",
    ];
    assert_order(&writes, &order);
    assert_order(&writes, &["CreateBasePathMapping", "DeleteBasePathMapping"]);
    let mappings = writes
        .iter()
        .filter(|call| *call == "CreateBasePathMapping");
    assert_eq!(mappings.count(), 2);
}

#[test]
fn a_domain_is_renamed_without_a_moment_in_which_neither_name_works() {
    let mut scenario = petstore();
    scenario.edit("api.example.com", "www.example.com");
    let writes = scenario.applies(&[]);
    let order = [
        "CreateDomainName",
        "CreateBasePathMapping",
        "ChangeResourceRecordSets",
        "ChangeResourceRecordSets",
        "DeleteDomainName",
    ];
    assert_order(&writes, &order);
    // The new name is remembered before its record is made.
    assert_order(&writes, &["AddTags", "ChangeResourceRecordSets"]);
}

#[test]
fn tags_are_set_and_removed_everywhere_and_those_of_others_stay() {
    let mut scenario = petstore();
    let balancer = scenario.id("load_balancer");
    let theirs = [
        ("ResourceArns.member.1", balancer.as_str()),
        ("Tags.member.1.Key", "Theirs"),
        ("Tags.member.1.Value", "kept"),
    ];
    scenario.meanwhile(|aws| elb(aws, "AddTags", &theirs));
    let only_tags = |writes: &[String]| {
        writes
            .iter()
            .all(|call| call.to_lowercase().contains("tag"))
    };
    scenario.edit(
        "vpc: default",
        "vpc: default\ntags: { Team: pki, CostCentre: \"7\" }",
    );
    let writes = scenario.applies(&[]);
    assert!(only_tags(&writes) && writes.len() == 11, "{writes:?}");
    scenario.edit(", CostCentre: \"7\"", "");
    let writes = scenario.applies(&[]);
    assert!(only_tags(&writes) && writes.len() == 22, "{writes:?}");
    let tags = &scenario.dump()["regions"]["ap-northeast-1"]["elbv2"]["tags"][balancer];
    assert_eq!(
        (&tags["Theirs"], &tags["Team"]),
        (&json!("kept"), &json!("pki"))
    );
    assert_eq!(tags.get("CostCentre"), None);
}

#[test]
fn attributes_are_set_reset_and_left_alone() {
    let mut scenario = petstore();
    let attributes = "load_balancer: { attributes: { idle_timeout.timeout_seconds: 120 } }";
    scenario.edit("load_balancer: {}", attributes);
    takes(&scenario, &["ModifyLoadBalancerAttributes"]);
    let unmanaged = "load_balancer: { unmanaged: [idle_timeout.timeout_seconds] }";
    scenario.edit(attributes, unmanaged);
    scenario.has_converged();
    scenario.edit(unmanaged, "load_balancer: {}");
    plan(&scenario).says("attributes.idle_timeout.timeout_seconds: 120 -> 60");
    takes(&scenario, &["ModifyLoadBalancerAttributes"]);
}

#[test]
fn attributes_of_the_listener_are_set_and_reset() {
    let mut scenario = petstore();
    let attribute = "attributes: { routing.http.response.server.enabled: false }, ";
    scenario.edit("listener: { ", &format!("listener: {{ {attribute}"));
    takes(&scenario, &["ModifyListenerAttributes"]);
    scenario.edit(attribute, "");
    takes(&scenario, &["ModifyListenerAttributes"]);
}

#[test]
fn allowed_ranges_are_opened_before_others_are_closed() {
    let mut scenario = petstore();
    let order = [
        "AuthorizeSecurityGroupIngress",
        "RevokeSecurityGroupIngress",
    ];
    // Both lie in what was open to everybody.
    scenario.edit(
        "load_balancer: {}",
        "load_balancer: { allow: [203.0.113.0/24, 198.51.100.0/24] }",
    );
    takes(&scenario, &order);
    scenario.edit("198.51.100.0/24", "192.0.2.0/24");
    assert_eq!(widens(&scenario, "load_balancer.security_group"), order);
    scenario.edit(", 192.0.2.0/24", "");
    takes(&scenario, &["RevokeSecurityGroupIngress"]);
}

#[test]
fn http_is_redirected_and_no_longer() {
    let mut scenario = petstore();
    scenario.edit("listener: { ", "listener: { redirect_http: true, ");
    let mut writes = widens(&scenario, "load_balancer.security_group");
    writes.sort();
    assert_eq!(writes, ["AuthorizeSecurityGroupIngress", "CreateListener"]);
    scenario.edit("redirect_http: true, ", "");
    let mut writes = scenario.applies(&[]);
    writes.sort();
    assert_eq!(writes, ["DeleteListener", "RevokeSecurityGroupIngress"]);
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

/// System P with one endpoint address, pinned and named as the target, so that ports may differ.
fn with_target(target_group: &str) -> Scenario {
    let endpoint =
        format!("endpoint: {{ subnets: [{SUBNET}], addresses: {{ {SUBNET}: 172.31.0.77 }} }}");
    let text = PETSTORE.replace("endpoint: {}", &endpoint);
    let group = format!("target_group: {{ targets: [172.31.0.77], {target_group} }}");
    Scenario::stack(&text.replace("target_group: {}", &group)).applied()
}

#[test]
fn another_target_group_is_filled_before_the_listener_turns_to_it() {
    let mut scenario = with_target("port: 443, health_check: { port: 443, matcher: 403 }");
    scenario.edit("port: 443, health_check", "port: 8443, health_check");
    let order = [
        "CreateTargetGroup",
        "RegisterTargets",
        "ModifyListener",
        "DeleteTargetGroup",
    ];
    assert_order(&scenario.applies(&[]), &order);
}

#[test]
fn a_target_group_stays_until_the_targets_of_its_successor_are_healthy() {
    let mut scenario = with_target("health_check: { matcher: 403 }");
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
    assert_eq!(only(&scenario, "elbv2/target_groups")["port"], 443);
}

#[test]
fn another_port_is_served_before_the_old_one_is_closed() {
    let mut scenario = with_target("health_check: { matcher: 403 }");
    scenario.edit("listener: { ", "listener: { port: 8443, ");
    let writes = widens(&scenario, "load_balancer.security_group");
    assert_order(&writes, &["CreateListener", "DeleteListener"]);
    assert_order(
        &writes,
        &[
            "AuthorizeSecurityGroupIngress",
            "RevokeSecurityGroupIngress",
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
    takes(&scenario, &["DeregisterTargets", "ModifyVpcEndpoint"]);
    scenario.edit(&two(0, 1), &two(1, 2));
    takes(
        &scenario,
        &[
            "ModifyVpcEndpoint",
            "RegisterTargets",
            "DeregisterTargets",
            "ModifyVpcEndpoint",
        ],
    );
    assert_eq!(targets(&scenario).len(), 2);
}

/// The addresses in the only target group.
fn targets(scenario: &Scenario) -> Vec<String> {
    let group = only(scenario, "elbv2/target_groups");
    let targets = group["targets"].as_object().expect("is an object").values();
    targets
        .map(|target| target["id"].as_str().expect("is text").to_owned())
        .collect()
}

#[test]
fn settings_of_the_endpoint_are_changed_in_place() {
    let mut scenario = petstore();
    let private = "endpoint: { private_dns: true }";
    scenario.edit("endpoint: {}", private);
    takes(&scenario, &["ModifyVpcEndpoint"]);
    let ours = json!({"Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "*",
        "Resource": "arn:aws:execute-api:ap-northeast-1:123456789012:*"
    }]});
    scenario.write("endpoint.json", ours.to_string());
    scenario.edit(private, "endpoint: { policy: endpoint.json }");
    takes(&scenario, &["ModifyVpcEndpoint"]);
    scenario.edit("endpoint: { policy: endpoint.json }", "endpoint: {}");
    assert_eq!(widens(&scenario, "endpoint"), ["ModifyVpcEndpoint"]);
}

/// Another VPC with a way to the internet and two subnets, whose ids are given as well.
fn another_vpc(aws: &Aws) -> (String, String) {
    let make = |action: &str, parameters: &[(&str, &str)], id: &str| {
        let action = [("Action", action)];
        aws.query("ec2", &[&action[..], parameters].concat())
            .ok()
            .element(id)
    };
    let vpc = make("CreateVpc", &[("CidrBlock", "10.0.0.0/16")], "vpcId");
    let subnet = |zone: &str, cidr: &str| {
        let place = [
            ("VpcId", vpc.as_str()),
            ("AvailabilityZone", zone),
            ("CidrBlock", cidr),
        ];
        make("CreateSubnet", &place, "subnetId")
    };
    let subnets = [
        ("ap-northeast-1a", "10.0.1.0/24"),
        ("ap-northeast-1c", "10.0.2.0/24"),
    ];
    let subnets = subnets.map(|(zone, cidr)| subnet(zone, cidr));
    let gateway = make("CreateInternetGateway", &[], "internetGatewayId");
    let attached = [("InternetGatewayId", gateway.as_str()), ("VpcId", &vpc)];
    make("AttachInternetGateway", &attached, "return");
    let filter = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", vpc.as_str()),
    ];
    let table = make("DescribeRouteTables", &filter, "routeTableId");
    let route = [
        ("RouteTableId", table.as_str()),
        ("DestinationCidrBlock", "0.0.0.0/0"),
        ("GatewayId", &gateway),
    ];
    make("CreateRoute", &route, "return");
    (vpc, subnets.join(", "))
}

#[test]
fn another_vpc_means_another_gateway_to_which_clients_are_led_before_the_old_one_goes() {
    let mut scenario = petstore();
    let (vpc, subnets) = scenario.meanwhile(another_vpc);
    scenario.edit("vpc: default", &format!("vpc: {vpc}"));
    scenario.edit(
        "load_balancer: {}",
        &format!("load_balancer: {{ subnets: [{subnets}] }}"),
    );
    let writes = widens(&scenario, "api");
    for gone in [
        "DeleteLoadBalancer",
        "DeleteTargetGroup",
        "DeleteVpcEndpoints",
        "DeleteSecurityGroup",
    ] {
        let order = [
            "CreateVpcEndpoint",
            "RegisterTargets",
            "CreateListener",
            "ChangeResourceRecordSets",
            gone,
        ];
        assert_order(&writes, &order);
    }
}

#[test]
fn a_load_balancer_gets_a_subnet_more_in_place() {
    let mut scenario = petstore();
    let subnets = subnets(&scenario);
    let two = format!(
        "load_balancer: {{ subnets: [{}, {}] }}",
        subnets[0], subnets[1]
    );
    scenario.edit(
        "endpoint: {}",
        &format!("endpoint: {{ subnets: [{}] }}", subnets[0]),
    );
    scenario.edit("load_balancer: {}", &two);
    assert_order(&scenario.applies(&[]), &["SetSubnets"]);
    scenario.edit(&two, "load_balancer: {}");
    takes(&scenario, &["SetSubnets"]);
}

#[test]
fn another_scheme_means_another_load_balancer_to_which_clients_are_led_first() {
    let mut scenario = petstore();
    scenario.meanwhile(|aws| {
        let vpc = vpc(aws);
        let zone = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <Name>example.com</Name><VPC><VPCRegion>ap-northeast-1</VPCRegion><VPCId>{vpc}</VPCId></VPC>\
             <CallerReference>1</CallerReference></CreateHostedZoneRequest>"
        );
        aws.rest(("route53", "POST", "/2013-04-01/hostedzone"), zone).ok();
    });
    let order = [
        "CreateLoadBalancer",
        "CreateTargetGroup",
        "RegisterTargets",
        "CreateListener",
        "ChangeResourceRecordSets",
        "DeleteLoadBalancer",
        "DeleteTargetGroup",
    ];
    scenario.edit("load_balancer: {}", "load_balancer: { scheme: internal }");
    assert_order(&scenario.applies(&[]), &order);
    scenario.edit("load_balancer: { scheme: internal }", "load_balancer: {}");
    assert_order(&widens(&scenario, "load_balancer"), &order);
}

#[test]
fn a_load_balancer_that_clients_know_by_its_own_name_is_not_replaced() {
    let text = PETSTORE.replace("record: { zone: example.com }\n", "");
    let mut scenario = Scenario::stack(&text).applied();
    scenario.edit("load_balancer: {}", "load_balancer: { scheme: internal }");
    let refusal =
        "`load_balancer`: `scheme` cannot be changed in place; its clients know it by its DNS name";
    scenario.refuses(["apply", "--yes"]).says(refusal);
}

#[test]
fn another_certificate_is_issued_before_anybody_is_shown_it() {
    let mut scenario = petstore();
    scenario.edit("request: \"*.example.com\"", "request: api.example.com");
    let writes = scenario.applies(&[]);
    for user in ["ModifyListener", "UpdateDomainName"] {
        let order = [
            "RequestCertificate",
            "ChangeResourceRecordSets",
            user,
            "DeleteCertificate",
        ];
        assert_order(&writes, &order);
    }
}

#[test]
fn an_imported_certificate_is_renewed_in_place() {
    let import =
        "certificate: { import: { certificate: server.pem, private_key: server_key.pem } }";
    let text = PETSTORE.replace("certificate: { request: \"*.example.com\" }", import);
    let (first, second) = (
        Authority::server(&["api.example.com"]),
        Authority::server(&["api.example.com"]),
    );
    let mut scenario = Scenario::stack(&text)
        .file("server.pem", &first.certificate)
        .file("server_key.pem", first.private_key())
        .applied();
    let certificate = scenario.id("certificate");
    scenario.write("server.pem", &second.certificate);
    let outcome = scenario.run(["apply", "--yes"]).exits(1);
    outcome.says("is not that of the certificate of");
    scenario.write("server_key.pem", second.private_key());
    takes(&scenario, &["ImportCertificate"]);
    assert_eq!(scenario.id("certificate"), certificate);
}

/// What somebody changed by hand is in the plan in these words, and these writes change it back.
#[track_caller]
fn is_repaired(scenario: &Scenario, act: impl FnOnce(&Aws), words: &str, writes: &[&str]) {
    scenario.meanwhile(act);
    plan(scenario).says(words);
    assert_eq!(scenario.applies(WIDEN), writes);
}

#[test]
fn a_listener_and_its_targets_changed_by_hand_are_changed_back() {
    let scenario = petstore();
    let (listener, group) = (scenario.id("listener"), scenario.id("target_group"));
    let off = [
        ("ListenerArn", listener.as_str()),
        ("MutualAuthentication.Mode", "off"),
    ];
    let act = |aws: &Aws| elb(aws, "ModifyListener", &off);
    is_repaired(
        &scenario,
        act,
        "mutual_authentication.mode: off -> verify",
        &["ModifyListener"],
    );
    let answer = [
        ("ListenerArn", listener.as_str()),
        ("DefaultActions.member.1.Type", "fixed-response"),
        (
            "DefaultActions.member.1.FixedResponseConfig.StatusCode",
            "503",
        ),
    ];
    let act = |aws: &Aws| elb(aws, "ModifyListener", &answer);
    is_repaired(&scenario, act, "target_group: ", &["ModifyListener"]);
    let targets = targets(&scenario);
    let target = [
        ("TargetGroupArn", group.as_str()),
        ("Targets.member.1.Id", &targets[0]),
    ];
    let act = |aws: &Aws| elb(aws, "DeregisterTargets", &target);
    is_repaired(
        &scenario,
        act,
        "~ target_group.targets",
        &["RegisterTargets"],
    );
}

#[test]
fn a_trust_store_changed_by_hand_is_changed_back() {
    let scenario = petstore();
    let store = scenario.id("trust_store");
    let crl = [
        ("TrustStoreArn", store.as_str()),
        ("RevocationIds.member.1", "1"),
    ];
    let act = |aws: &Aws| elb(aws, "RemoveTrustStoreRevocations", &crl);
    is_repaired(
        &scenario,
        act,
        "+ trust_store.crl[",
        &["AddTrustStoreRevocations"],
    );
    let stranger = Authority::new("Stranger CA");
    let act = |aws: &Aws| {
        aws.make_bucket("theirs");
        aws.rest(("s3", "PUT", "/theirs/ca.pem"), &stranger.certificate)
            .ok();
        let source = [
            ("TrustStoreArn", store.as_str()),
            ("CaCertificatesBundleS3Bucket", "theirs"),
            ("CaCertificatesBundleS3Key", "ca.pem"),
        ];
        elb(aws, "ModifyTrustStore", &source);
    };
    is_repaired(
        &scenario,
        act,
        "- CN=Stranger CA (sha256:",
        &["ModifyTrustStore"],
    );
}

#[test]
fn a_door_that_somebody_opened_is_closed() {
    let scenario = petstore();
    let group = scenario.id("load_balancer.security_group");
    let rule = [
        ("Action", "AuthorizeSecurityGroupIngress"),
        ("GroupId", &group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    let act = |aws: &Aws| drop(aws.query("ec2", &rule).ok());
    is_repaired(
        &scenario,
        act,
        "- tcp 22 0.0.0.0/0",
        &["RevokeSecurityGroupIngress"],
    );
}

#[test]
fn a_stage_and_a_mapping_moved_by_hand_are_moved_back() {
    let scenario = petstore();
    let (api, deployment) = (scenario.id("api"), scenario.id("api.deployment"));
    let act = |aws: &Aws| {
        let path = format!("/restapis/{api}/deployments");
        let theirs = json!({"description": "theirs"}).to_string();
        let theirs = aws.rest(("apigateway", "POST", &path), theirs).ok().value();
        let patch = json!({"patchOperations": [{"op": "replace", "path": "/deploymentId", "value": theirs["id"]}]});
        let stage = format!("/restapis/{api}/stages/dev");
        aws.rest(("apigateway", "PATCH", &stage), patch.to_string())
            .ok();
    };
    let words = format!("-> {deployment}");
    is_repaired(&scenario, act, &words, &["UpdateStage"]);
}

#[test]
fn nothing_stays_in_a_bucket_that_the_file_no_longer_names() {
    let mut scenario = Scenario::petstore();
    scenario.meanwhile(|aws| {
        ["first", "second"].map(|name| aws.make_bucket(&format!("shared-by-many-{name}")))
    });
    let objects = |scenario: &Scenario| {
        let dump = scenario.dump();
        let buckets = dump["s3"]["buckets"].as_object().expect("is an object");
        let holds = |(name, bucket): (&String, &Value)| {
            let objects = bucket["objects"].as_object().expect("is an object");
            let count = objects.keys().filter(|key| key.starts_with("petstore/"));
            Some((name.clone(), count.count())).filter(|(_, count)| *count > 0)
        };
        buckets.iter().filter_map(holds).collect::<Vec<_>>()
    };
    scenario.applies(&[]);
    assert_eq!(objects(&scenario), [(BUCKET.to_owned(), 2)]);
    for (from, to) in [
        (
            "vpc: default\n",
            "vpc: default\nbucket: shared-by-many-first\n",
        ),
        ("first", "second"),
    ] {
        scenario.edit(from, to);
        scenario.applies(&[]);
    }
    let second = [("shared-by-many-second".to_owned(), 2)];
    assert_eq!(objects(&scenario), second);
    scenario.edit("bucket: shared-by-many-second\n", "");
    scenario.applies(&[]);
    assert_eq!(objects(&scenario), [(BUCKET.to_owned(), 2)]);
    scenario.run(["destroy", "--yes"]).ok();
    assert_eq!(objects(&scenario), []);
}

#[test]
fn a_certificate_that_is_looked_for_is_never_the_one_that_the_stack_is_about_to_delete() {
    let mut scenario = Scenario::petstore();
    let text =
        "name: theirs\nregion: ap-northeast-1\ncertificate: { request: \"*.example.com\" }\n";
    scenario.write("theirs.yaml", text);
    scenario.run(["apply", "--yes", "theirs.yaml"]).ok();
    scenario.applies(&[]);
    let own = scenario.id("certificate");
    // Both are issued, and only the stack's own is in use.
    scenario.edit("request:", "find:");
    scenario.applies(&[]);
    let found = scenario.dump()["regions"]["ap-northeast-1"]["acm"]["certificates"].clone();
    let found = found.as_object().expect("is an object");
    assert_eq!(found.len(), 1);
    assert!(!found.contains_key(&own), "{own}");
}
