//! The alias record is found again, moved and removed whatever happens in between, and no other.

use serde_json::Value;

use crate::acts::ZONE;
use crate::support::{Aws, PETSTORE, Scenario};

/// The record sets at a name of the zone, as the sandbox keeps them.
fn records(scenario: &Scenario, name: &str) -> Vec<Value> {
    let dump = scenario.dump();
    let zone = format!("/route53/zones/{ZONE}/records");
    let records = dump.pointer(&zone).and_then(Value::as_array);
    let records = records.expect("the zone is there").iter();
    records
        .filter(|record| record["name"] == format!("{name}."))
        .cloned()
        .collect()
}

/// Writes a record as somebody else.
fn write(aws: &Aws, action: &str, record: &str) {
    let body = format!(
        r#"<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
        <ChangeBatch><Changes><Change><Action>{action}</Action><ResourceRecordSet>{record}
        </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"#
    );
    let path = format!("/2013-04-01/hostedzone/{ZONE}/rrset/");
    aws.rest(("route53", "POST", &path), body).ok();
}

/// A plain record at the petstore's name.
fn plain(record_type: &str, value: &str) -> String {
    format!(
        "<Name>api.example.com</Name><Type>{record_type}</Type><TTL>300</TTL>\
         <ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords>"
    )
}

#[track_caller]
fn lists(scenario: &Scenario, name: &str, types: &[&str]) {
    let found = records(scenario, name);
    let found: Vec<_> = found.iter().map(|one| one["record_type"].clone()).collect();
    assert_eq!(found, types, "{name}");
}

#[test]
fn renaming_its_section_leaves_the_record_alone() {
    let mut scenario = Scenario::petstore().applied();
    let before = records(&scenario, "api.example.com");
    scenario.edit(
        "record: { zone: example.com }",
        "records: { users: { zone: example.com } }",
    );
    let calls = scenario.applies(&[]);
    assert!(
        !calls.contains(&"ChangeResourceRecordSets".to_owned()),
        "{calls:?}"
    );
    assert_eq!(records(&scenario, "api.example.com"), before);
    scenario.run(["destroy", "--yes"]).ok();
    lists(&scenario, "api.example.com", &[]);
}

#[test]
fn a_record_that_moves_is_forgotten_only_after_it_is_gone() {
    let mut scenario = Scenario::petstore().applied();
    scenario.edit("record: {", "record: { name: b.example.com,");
    let aws = scenario.serve(&["--fault", "ChangeResourceRecordSets#2x*=deny"]);
    scenario.run(["apply", "--yes"]).exits(3);
    drop(aws);
    lists(&scenario, "api.example.com", &["A"]);
    scenario.edit("name: b.example.com", "name: c.example.com");
    scenario.applies(&[]);
    for (name, types) in [("api", &[][..]), ("b", &[]), ("c", &["A"])] {
        lists(&scenario, &format!("{name}.example.com"), types);
    }
    let tags = scenario.dump().to_string();
    assert!(!tags.contains(&format!("{ZONE}/api.example.com")), "{tags}");
}

#[test]
fn a_tag_whose_record_is_gone_is_removed() {
    let mut scenario = Scenario::petstore().applied();
    scenario.edit("record: {", "record: { name: b.example.com,");
    // The record is gone, and what remembers it still does.
    let denied = ["RemoveTagsx*=deny", "UntagResourcex*=deny"];
    let aws = scenario.serve(&["--fault", denied[0], "--fault", denied[1]]);
    scenario.run(["apply", "--yes"]).exits(3);
    drop(aws);
    lists(&scenario, "api.example.com", &[]);
    scenario.run(["plan"]).ok().says("tags.mtlsgw:record/");
    scenario.applies(&[]);
}

#[test]
fn a_wildcard_is_remembered_as_well() {
    let text = PETSTORE.replace("record: {", "record: { name: '*.example.com',");
    let mut scenario = Scenario::stack(&text).applied();
    lists(&scenario, "\\052.example.com", &["A"]);
    scenario.edit("record: { name: '*.example.com', zone: example.com }\n", "");
    scenario.applies(&[]);
    lists(&scenario, "\\052.example.com", &[]);
}

#[test]
fn the_record_goes_although_its_load_balancer_was_deleted_by_hand() {
    let scenario = Scenario::petstore().applied();
    let arn = scenario.id("load_balancer");
    scenario.meanwhile(|aws| {
        let call = [("Action", "DeleteLoadBalancer"), ("LoadBalancerArn", &arn)];
        aws.query("elasticloadbalancing", &call).ok();
    });
    scenario.run(["destroy", "--yes"]).ok();
    lists(&scenario, "api.example.com", &[]);
}

/// A stack, applied, whose record leads to a load balancer of somebody else's, and its ARN.
fn behind_an_existing_one(text: &str) -> (Scenario, String) {
    let scenario = Scenario::empty();
    let arn = scenario.meanwhile(|aws| {
        let subnets = aws.query("ec2", &[("Action", "DescribeSubnets")]).ok();
        let subnets: Vec<&str> = subnets.body.split("<subnetId>").skip(1).collect();
        let subnets: Vec<&str> = subnets
            .iter()
            .filter_map(|rest| rest.split('<').next())
            .collect();
        let call = [
            ("Action", "CreateLoadBalancer"),
            ("Name", "front"),
            ("Subnets.member.1", subnets[0]),
            ("Subnets.member.2", subnets[1]),
            ("Subnets.member.3", subnets[2]),
        ];
        let made = aws.query("elasticloadbalancing", &call).ok();
        made.element("LoadBalancerArn")
    });
    let own = "load_balancer: {}";
    let text = text.replace(own, &format!("load_balancer: {{ arn: '{arn}' }}"));
    let authority = crate::support::authority();
    let scenario = scenario
        .file("stack.yaml", &text)
        .file("petstore.yaml", crate::support::OPENAPI)
        .file("root_cert.pem", &authority.certificate)
        .file("root.crl", &authority.crl);
    let scenario = scenario.applied();
    lists(&scenario, "api.example.com", &["A"]);
    (scenario, arn)
}

#[test]
fn an_alias_to_an_existing_load_balancer_is_known_by_the_domain() {
    let (scenario, _) = behind_an_existing_one(PETSTORE);
    scenario.run(["destroy", "--yes", "--with-foreign"]).ok();
    lists(&scenario, "api.example.com", &[]);
}

#[test]
fn an_alias_to_an_existing_load_balancer_is_known_by_the_listener() {
    let text = PETSTORE
        .replace("domain: { name: api.example.com }\n", "")
        .replace("record: {", "record: { name: api.example.com,");
    let (scenario, _) = behind_an_existing_one(&text);
    scenario.run(["destroy", "--yes", "--with-foreign"]).ok();
    lists(&scenario, "api.example.com", &[]);
}

#[test]
fn a_network_load_balancer_remembers_no_alias_to_an_existing_load_balancer() {
    let text = PETSTORE
        .replace("domain: { name: api.example.com }\n", "")
        .replace("record: {", "record: { name: api.example.com,");
    let network = "network_load_balancer: { targets: [i-0a1b2c3d4e5f60001] }\n";
    let (scenario, _) = behind_an_existing_one(&format!("{text}{network}"));
    scenario.run(["destroy", "--yes", "--with-foreign"]).ok();
    lists(&scenario, "api.example.com", &[]);
}

#[test]
fn what_clients_were_sent_to_stays_until_they_have_forgotten() {
    let (mut scenario, arn) = behind_an_existing_one(PETSTORE);
    scenario.edit(&format!("{{ arn: '{arn}' }}"), "{}");
    scenario
        .run(["apply", "--yes"])
        .ok()
        .says("record.a: waiting for clients to forget the old answer");
    scenario.has_converged();
    assert!(!scenario.dump().to_string().contains("/record/front-"));
}

#[test]
fn a_record_of_somebody_elses_is_taken_over_only_when_the_file_says_so() {
    for record in [plain("A", "192.0.2.1"), plain("CNAME", "www.example.org")] {
        let text = PETSTORE.replace("balancer: {}", "balancer: { ip_address_type: dualstack }");
        let mut scenario = Scenario::stack(&text);
        scenario.meanwhile(|aws| write(aws, "CREATE", &record));
        scenario
            .refuses(["apply", "--yes"])
            .says("exists and is not this stack's");
        scenario.edit("record: {", "record: { overwrite: true,");
        scenario.applies(&[]);
        lists(&scenario, "api.example.com", &["A", "AAAA"]);
        scenario.run(["destroy", "--yes"]).ok();
        lists(&scenario, "api.example.com", &[]);
    }
}

#[test]
fn the_lost_reply_of_its_creation_is_no_conflict() {
    let scenario = Scenario::petstore();
    let aws = scenario.serve(&["--fault", "ChangeResourceRecordSetsx*=fail-after"]);
    scenario.run(["apply", "--yes"]);
    drop(aws);
    scenario.run(["apply", "--yes"]).ok();
    scenario.has_converged();
    lists(&scenario, "api.example.com", &["A"]);
}

#[test]
fn what_appeared_since_the_plan_is_not_overwritten() {
    let mut scenario = Scenario::petstore().applied();
    scenario.edit("record: {", "record: { name: b.example.com,");
    let theirs = plain("A", "192.0.2.1").replace("api.", "b.");
    let aws = scenario.serve(&[]);
    write(&aws, "CREATE", &theirs);
    aws.control("POST", "faults", "ListResourceRecordSetsx*=stale")
        .ok();
    scenario
        .run(["apply", "--yes"])
        .exits(3)
        .says("already exists");
    drop(aws);
    assert_eq!(
        records(&scenario, "b.example.com")[0]["values"][0],
        "192.0.2.1"
    );
    lists(&scenario, "api.example.com", &["A"]);
}
