//! Certificates, the bucket, security groups: what AWS answers late, twice, or not at all.

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

use crate::acts::BUCKET;
use crate::support::Scenario;

/// Only a server certificate, which nothing uses.
const REQUESTED: &str = r#"name: petstore
region: ap-northeast-1
certificate: { request: "www.example.com" }
"#;

/// The same from files.
const IMPORTED: &str = r"name: petstore
region: ap-northeast-1
certificate: { import: { certificate: server.pem, private_key: server_key.pem } }
";

/// A self-signed server certificate with its key, PEM.
fn server(algorithm: &'static SignatureAlgorithm) -> (String, String) {
    let names = ["www.example.com".to_owned()];
    let mut params = CertificateParams::new(names).expect("is a name");
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(90);
    let key = KeyPair::generate_for(algorithm).expect("there is randomness");
    let certificate = params.self_signed(&key).expect("can be signed");
    (certificate.pem(), key.serialize_pem())
}

impl Scenario {
    fn write_server(&mut self, algorithm: &'static SignatureAlgorithm) {
        let (certificate, key) = server(algorithm);
        self.write("server.pem", certificate);
        self.write("server_key.pem", key);
    }
}

/// How often an operation was called.
fn count(calls: &[String], call: &str) -> usize {
    calls.iter().filter(|one| *one == call).count()
}

#[test]
fn a_certificate_is_requested_once_although_nobody_may_look_at_it() {
    let scenario =
        Scenario::stack(REQUESTED).env("MTLSGW_SANDBOX_FAULTS", "DescribeCertificatex*=deny");
    let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
    outcome.exits(1).says("allow `acm:DescribeCertificate`");
    assert_eq!(count(&calls, "acm:RequestCertificate"), 1);
}

#[test]
fn a_token_that_leads_to_a_failed_certificate_is_not_used_again() {
    let scenario = Scenario::stack(REQUESTED);
    let forbid = "0 issue &quot;elsewhere.example&quot;";
    scenario.meanwhile(|aws| aws.put_record(("CREATE", "www.example.com", "CAA"), forbid));
    scenario.run(["apply", "--yes"]).exits(3).says("CAA_ERROR");
    scenario.meanwhile(|aws| aws.put_record(("DELETE", "www.example.com", "CAA"), forbid));
    scenario.applies(&[]);
}

#[test]
fn validation_by_hand_ends_in_part_and_prints_the_record_that_acm_names_late() {
    let text = REQUESTED.replace("www.example.com", "www.elsewhere.example");
    let scenario = Scenario::stack(&text).env("MTLSGW_SANDBOX_TIMING", "x1000");
    let apply = scenario.run(["apply", "--yes"]).exits(3);
    apply
        .says("once this record exists")
        .says(".www.elsewhere.example. CNAME _");
}

#[test]
fn a_certificate_with_another_key_of_the_same_kind_is_imported_in_place() {
    let mut scenario = Scenario::stack(IMPORTED);
    scenario.write_server(&rcgen::PKCS_ECDSA_P256_SHA256);
    scenario.applies(&[]);
    let arn = scenario.id("certificate");
    scenario.write_server(&rcgen::PKCS_ECDSA_P256_SHA256);
    assert_eq!(scenario.applies(&[]), ["ImportCertificate"]);
    assert_eq!(scenario.id("certificate"), arn);
}

#[test]
fn a_certificate_with_another_kind_of_key_is_made_anew_first() {
    let mut scenario = Scenario::stack(IMPORTED);
    scenario.write_server(&rcgen::PKCS_ECDSA_P256_SHA256);
    scenario.applies(&[]);
    scenario.write_server(&rcgen::PKCS_ECDSA_P384_SHA384);
    let writes = scenario.applies(&[]);
    assert_eq!(writes, ["ImportCertificate", "DeleteCertificate"]);
}

#[test]
fn a_bucket_that_the_file_names_is_never_made() {
    let mut scenario = Scenario::petstore();
    scenario.edit("vpc: default", "vpc: default\nbucket: misspelt-bucket");
    for command in [&["plan"][..], &["apply", "--yes"], &["destroy", "--yes"]] {
        let refused = scenario.refuses(command.iter().copied());
        refused.says("the bucket `misspelt-bucket` does not exist");
    }
}

#[test]
fn the_bucket_is_made_although_its_predecessor_is_still_vanishing() {
    let fault = "CreateBucketx3=fail:OperationAborted:409";
    let scenario = Scenario::petstore().env("MTLSGW_SANDBOX_FAULTS", fault);
    let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
    outcome.ok();
    assert_eq!(count(&calls, "s3:CreateBucket"), 4);
}

#[test]
fn a_bucket_without_our_tag_is_marked_and_keeps_its_other_tags() {
    let scenario = Scenario::petstore().applied();
    let tagging = "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>\
                   <Tag><Key>Team</Key><Value>pki</Value></Tag></TagSet></Tagging>";
    let path = format!("/{BUCKET}?tagging");
    scenario.meanwhile(|aws| aws.rest(("s3", "PUT", &path), tagging).ok());
    assert_eq!(scenario.applies(&[]), ["PutBucketTagging"]);
    let tags = scenario.meanwhile(|aws| aws.rest(("s3", "GET", &path), "").ok().body);
    assert!(
        tags.contains("Team") && tags.contains("mtlsgw:shared"),
        "{tags}"
    );
}

#[test]
fn a_bucket_without_our_tag_stays_when_the_last_stack_goes() {
    let scenario = Scenario::petstore().applied();
    let path = format!("/{BUCKET}?tagging");
    scenario.meanwhile(|aws| aws.rest(("s3", "DELETE", &path), "").ok());
    let (outcome, calls) = scenario.calls_of(["destroy", "--yes"]);
    outcome.ok();
    assert_eq!(count(&calls, "s3:DeleteBucket"), 0);
}

#[test]
fn a_security_group_whose_creation_was_not_answered_is_taken_over() {
    let fault = "CreateSecurityGroup=lose-reply";
    let scenario = Scenario::petstore().env("MTLSGW_SANDBOX_FAULTS", fault);
    let (outcome, calls) = scenario.calls_of(["apply", "--yes"]);
    outcome.ok();
    assert_eq!(count(&calls, "ec2:CreateSecurityGroup"), 3);
    scenario.has_converged();
}

#[test]
fn rules_of_others_that_name_our_group_are_told_before_it_is_deleted() {
    let scenario = Scenario::petstore().applied();
    let ours = scenario.id("load_balancer.security_group");
    scenario.meanwhile(|aws| {
        let made = aws.query(
            "ec2",
            &[
                ("Action", "CreateSecurityGroup"),
                ("GroupName", "theirs"),
                ("GroupDescription", "theirs"),
            ],
        );
        let theirs = made.ok().element("groupId");
        let rule = [
            ("Action", "AuthorizeSecurityGroupIngress"),
            ("GroupId", &theirs),
            ("IpPermissions.1.IpProtocol", "-1"),
            ("IpPermissions.1.Groups.1.GroupId", &ours),
        ];
        aws.query("ec2", &rule).ok();
    });
    scenario
        .refuses(["destroy", "--yes"])
        .says("the rules of the security group sg-");
}
