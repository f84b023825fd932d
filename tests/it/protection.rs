//! `protect: true` and AWS's deletion protection keep what leads to backends, and logs.

use crate::support::{Aws, Scenario};
use crate::{leave, system_s};

const TAG: &str = "the live tag `mtlsgw:protect` forbids it";
const AWS: &str = "AWS's deletion protection forbids it";

/// System S with everything that it can have, protected as the file can say.
fn protected() -> Scenario {
    let mut scenario = system_s::ending_tls(system_s::scenario());
    scenario.edit("vpc: default", "vpc: default\nprotect: true");
    scenario.applied()
}

/// Refuses, naming these addresses, and changes nothing.
#[track_caller]
fn refused(scenario: &Scenario, command: &[&str], addresses: &[&str], why: &str) {
    let outcome = scenario.refuses(command.iter().copied());
    let mut lines = outcome.stderr.lines();
    let line = lines.find(|line| line.contains(why));
    let line = line.unwrap_or_else(|| panic!("does not say `{why}`: {outcome}"));
    for address in addresses {
        assert!(line.contains(&format!("`{address}`")), "{address}: {line}");
    }
    outcome.says("hint: set `");
}

/// A copy, which knows that the backend's key is a key.
fn fork(scenario: &Scenario) -> Scenario {
    let mut copy = scenario.fork();
    if copy.path("backend.key").exists() {
        copy.write("backend.key", scenario.read("backend.key"));
    }
    copy
}

const APPLY: [&str; 5] = [
    "apply",
    "--yes",
    "--allow-downtime",
    "--allow-widening",
    "--with-foreign",
];

#[test]
fn nothing_of_a_protected_stack_is_destroyed() {
    let mut scenario = protected();
    let all = [
        "api",
        "vpc_link",
        "network_load_balancer",
        "network_load_balancer.listener",
        "network_load_balancer.target_group",
        "network_load_balancer.certificate",
        "network_load_balancer.zone",
    ];
    refused(&scenario, &["destroy", "--yes"], &all, TAG);
    let by_name = [
        "destroy",
        "--yes",
        "--stack",
        "pets",
        "--region",
        "ap-northeast-1",
    ];
    refused(&scenario, &by_name, &all, TAG);
    scenario.edit("protect: true", "protect: false");
    refused(&scenario, &["destroy", "--yes"], &all, TAG);
    scenario.applies(&[]);
    scenario.run(["destroy", "--yes"]).ok();
}

#[test]
fn what_leaves_a_protected_stacks_file_stays() {
    let scenario = protected();
    let without = |removed: &[(&str, &str)], addresses: &[&str]| {
        let mut changed = fork(&scenario);
        for (from, to) in removed {
            changed.edit(from, to);
        }
        refused(&changed, &APPLY, addresses, TAG);
    };
    without(
        &[
            ("  private_zone: backend.internal\n", ""),
            ("  name: pets.backend.internal\n", ""),
        ],
        &["network_load_balancer.zone"],
    );
    let certificate = ", protocol: tls, certificate: { import: { certificate: backend.pem, private_key: backend.key } }";
    without(&[(certificate, "")], &["network_load_balancer.certificate"]);
    let mut changed = fork(&scenario);
    let text = changed.read("stack.yaml");
    let (before, _) = text.split_once("api:").expect("is there");
    let (_, after) = text
        .split_once("network_load_balancer:\n")
        .expect("is there");
    changed.write(
        "stack.yaml",
        format!("{before}network_load_balancer:\n{after}"),
    );
    refused(&changed, &APPLY, &["api", "vpc_link"], TAG);
}

#[test]
fn nothing_of_a_protected_stack_is_replaced() {
    let scenario = protected();
    let with = |from: &str, to: &str, addresses: &[&str]| {
        let mut changed = fork(&scenario);
        changed.edit(from, to);
        refused(&changed, &APPLY, addresses, TAG);
    };
    // Another load balancer means another link, and another target group.
    let all = [
        "network_load_balancer",
        "vpc_link",
        "network_load_balancer.target_group",
    ];
    with("  targets:", "  scheme: internet-facing\n  targets:", &all);
    with("  targets:", "  allow: [10.0.0.0/8]\n  targets:", &all);
    with(
        "private_zone: backend.internal",
        "private_zone: pets.backend.internal",
        &["network_load_balancer.zone"],
    );
    let mut other_key = fork(&scenario);
    let (certificate, key) = of_another_kind("pets.backend.internal");
    other_key.write("backend.pem", certificate);
    other_key.write("backend.key", key);
    refused(
        &other_key,
        &APPLY,
        &["network_load_balancer.certificate"],
        TAG,
    );
}

/// A self-signed certificate whose key ACM does not import in place of the other one.
fn of_another_kind(host: &str) -> (String, String) {
    let mut params = rcgen::CertificateParams::new([host.to_owned()]).expect("is a name");
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(90);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![
        rcgen::KeyUsagePurpose::KeyCertSign,
        rcgen::KeyUsagePurpose::DigitalSignature,
    ];
    let kind = &rcgen::PKCS_ECDSA_P384_SHA384;
    let key = rcgen::KeyPair::generate_for(kind).expect("there is randomness");
    let certificate = params.self_signed(&key).expect("can be signed");
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn a_protected_log_bucket_stays_even_when_it_is_empty() {
    let mut scenario = leave::logging();
    scenario.edit("vpc: default", "vpc: default\nprotect: true");
    let mut scenario = scenario.applied();
    let delete = ["destroy", "--yes", "--delete-logs"];
    let bucket = "load_balancer.log_bucket";
    refused(&scenario, &delete, &[bucket, "certificate"], TAG);
    scenario.edit("{ connection_logs: true }", "{}");
    refused(&scenario, &APPLY, &[bucket], TAG);
}

#[test]
fn deletion_protection_keeps_a_network_load_balancer() {
    let mut scenario = system_s::scenario();
    scenario.edit("  targets:", "  deletion_protection: true\n  targets:");
    let scenario = scenario.applied();
    let balancer = ["network_load_balancer"];
    refused(&scenario, &["destroy", "--yes"], &balancer, AWS);
    let mut replaced = fork(&scenario);
    replaced.edit("  targets:", "  scheme: internet-facing\n  targets:");
    refused(&replaced, &APPLY, &balancer, AWS);
    // What the file says by now does not count before it has been applied.
    replaced.edit("deletion_protection: true", "deletion_protection: false");
    refused(&replaced, &APPLY, &balancer, AWS);
    let mut lifted = fork(&scenario);
    lifted.edit("deletion_protection: true", "deletion_protection: false");
    refused(&lifted, &["destroy", "--yes"], &balancer, AWS);
    lifted.applies(&[]);
    lifted.run(["destroy", "--yes"]).ok();
}

#[test]
fn deletion_protection_that_somebody_switched_on_is_honoured_too() {
    let scenario = system_s::scenario().applied();
    let arn = scenario.id("network_load_balancer");
    scenario.meanwhile(|aws| protect_in_aws(aws, &arn));
    let balancer = ["network_load_balancer"];
    refused(&scenario, &["destroy", "--yes"], &balancer, AWS);
    let mut removed = fork(&scenario);
    let text = removed.read("stack.yaml");
    let without = text
        .split_once("network_load_balancer:\n")
        .expect("is there")
        .0
        .replace("  vpc_link: network_load_balancer\n", "")
        .replace("  insecure_skip_verification: true\n", "");
    removed.write("stack.yaml", without);
    removed.write(
        "openapi.yaml",
        system_s::OPENAPI
            .replace("        connectionType: VPC_LINK\n", "")
            .replace("        connectionId: ${vpc_link}\n", ""),
    );
    refused(&removed, &APPLY, &balancer, AWS);
    // The file as it was lifts it, as the hint says.
    let plan = scenario.run(["plan"]).ok();
    plan.says("attributes.deletion_protection.enabled: true -> false");
    scenario.applies(&[]);
    scenario.run(["destroy", "--yes"]).ok();
}

#[test]
fn both_protections_are_told_at_once() {
    let mut scenario = system_s::scenario();
    scenario.edit("vpc: default", "vpc: default\nprotect: true");
    scenario.edit("  targets:", "  deletion_protection: true\n  targets:");
    let scenario = scenario.applied();
    let destroy = ["destroy", "--yes"];
    refused(&scenario, &destroy, &["vpc_link"], TAG);
    let both = "the live tag `mtlsgw:protect` and AWS's deletion protection forbid it";
    refused(&scenario, &destroy, &["network_load_balancer"], both);
    let outcome = scenario.refuses(destroy);
    outcome
        .says("set `protect: false` in the stack file")
        .says("set `deletion_protection: false` in the stack file");
}

/// Switches deletion protection of a load balancer on, behind the stack's back.
pub(crate) fn protect_in_aws(aws: &Aws, arn: &str) {
    let modify = [
        ("Action", "ModifyLoadBalancerAttributes"),
        ("LoadBalancerArn", arn),
        ("Attributes.member.1.Key", "deletion_protection.enabled"),
        ("Attributes.member.1.Value", "true"),
    ];
    aws.query("elasticloadbalancing", &modify).ok();
}
