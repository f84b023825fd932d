//! System C: servers behind client certificates, as people make them, and servers that speak TLS themselves.

use super::console::Console;
use super::{adopts, exported, made, plans_as_tags_alone};
use crate::support::Scenario;

const INSTANCES: [&str; 2] = ["i-0a1b2c3d4e5f60001", "i-0a1b2c3d4e5f60002"];

/// Everything that a gateway in front of two servers may have.
fn servers(console: &Console<'_>, bucket: &str, rule: (&str, u16), prefix: Option<&str>) {
    let front = console.group("web", "0.0.0.0/0");
    let group = console.target_group(("HTTP", "8080"), "200", &INSTANCES.map(str::to_owned));
    let certificate = console.bought_certificate(&["login.example.com"]);
    let store = console.trust_store();
    let balancer = console.load_balancer(&front);
    let listener = console.listener((&balancer[0], &certificate.arn, &group), Some(&store));
    console.rename_header(
        &listener,
        "x_amzn_mtls_clientcert_subject",
        "X-Client-Subject",
    );
    console.redirect(&balancer[0]);
    console.log_bucket(bucket, rule);
    console.log_to(&balancer[0], bucket, prefix);
    console.set_balancer_attribute(&balancer[0], "idle_timeout.timeout_seconds", "120");
    console.alias("login.example.com", &balancer);
}

/// Whether a bucket is there.
fn has_bucket(scenario: &Scenario, name: &str) -> bool {
    let buckets = &scenario.dump()["s3"]["buckets"];
    buckets
        .as_object()
        .is_some_and(|all| all.contains_key(name))
}

#[test]
fn logs_headers_and_instances_are_exported_in_the_stack_files_words() {
    let scenario = exported(made(|console| {
        servers(console, "our-logs", ("ninety", 90), None);
    }));
    let text = scenario.read("stack.yaml");
    for part in [
        "targets: [i-0a1b2c3d4e5f60001, i-0a1b2c3d4e5f60002]",
        "connection_logs:\n    bucket: our-logs\n",
        "access_logs:\n    bucket: our-logs\n",
        "header_names:\n    subject: X-Client-Subject",
        "redirect_http: true",
        "idle_timeout.timeout_seconds: \"120\"",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    plans_as_tags_alone(&scenario);
    adopts(&scenario);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
    assert!(has_bucket(&scenario, "our-logs"), "it was only referred to");
}

#[test]
fn a_log_bucket_of_the_stacks_own_name_is_adopted_with_its_days() {
    let bucket = "mtlsgw-123456789012-ap-northeast-1-logs-my-alb";
    let mut scenario = exported(made(|console| {
        servers(console, bucket, ("mtlsgw-logs", 30), None);
    }));
    let text = scenario.read("stack.yaml");
    for part in [
        "connection_logs: true",
        "access_logs: true",
        "log_retention_days: 30",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let adopted = plans_as_tags_alone(&scenario);
    let address = "load_balancer.log_bucket".to_owned();
    assert!(adopted.contains(&address), "{adopted:?}");
    adopts(&scenario);
    let (without, _) = text.split_once("\nadopt:").expect("has the section");
    scenario.write("stack.yaml", without);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
    assert!(!has_bucket(&scenario, bucket), "it was the stack's");
}

#[test]
fn what_a_log_bucket_would_have_to_become_is_told_and_left() {
    let bucket = "mtlsgw-123456789012-ap-northeast-1-logs-my-alb";
    let scenario = exported(made(|console| {
        servers(console, bucket, ("theirs", 30), None);
    }));
    let text = scenario.read("stack.yaml");
    let told = "#   load_balancer.log_bucket: the policy, lifecycle, encryption or public access";
    assert!(text.contains(told), "{text}");
    let plan = scenario.run(["plan", "--adopt"]).ok();
    plan.says("warning: load_balancer.log_bucket: would be changed: lifecycle");
    adopts(&scenario);
    scenario.applies(&[]);
}

#[test]
fn certificates_that_are_handed_on_unseen_stay_so() {
    let scenario = exported(made(|console| {
        let front = console.group("web", "0.0.0.0/0");
        let group = console.target_group(("HTTP", "80"), "200", &["172.31.0.100".to_owned()]);
        let certificate = console.imported_certificate(&["www.example.com"]);
        let balancer = console.load_balancer(&front);
        let listener = console.listener((&balancer[0], &certificate, &group), None);
        console.pass_through(&listener);
        console.rename_header(&listener, "x_amzn_mtls_clientcert", "X-Client");
    }));
    let text = scenario.read("stack.yaml");
    for part in [
        "mutual_authentication: passthrough",
        "header_names:\n    clientcert: X-Client",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    plans_as_tags_alone(&scenario);
    adopts(&scenario);
    scenario.has_converged();
}

#[test]
fn servers_that_speak_tls_themselves_become_a_stack_by_tags_alone() {
    let mut scenario = exported(made(|console| {
        let front = console.group("web", "0.0.0.0/0");
        let targets = ["172.31.0.21", "172.31.16.21"].map(str::to_owned);
        let group = console.target_group(("HTTPS", "8443"), "200", &targets);
        let certificate = console.imported_certificate(&["servers.example.com"]);
        let store = console.trust_store();
        let balancer = console.load_balancer(&front);
        console.listener((&balancer[0], &certificate, &group), Some(&store));
        console.alias("servers.example.com", &balancer);
    }));
    let text = scenario.read("stack.yaml");
    assert!(text.contains("port: 8443"), "{text}");
    assert!(!text.contains("protocol: http"), "{text}");
    plans_as_tags_alone(&scenario);
    adopts(&scenario);
    let (without, _) = text.split_once("\nadopt:").expect("has the section");
    scenario.write("stack.yaml", without);
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
}

#[test]
fn a_certificate_whose_files_somebody_has_is_adopted_with_them() {
    let mut bought = None;
    let mut scenario = exported(made(|console| {
        let front = console.group("web", "0.0.0.0/0");
        let group = console.target_group(("HTTP", "80"), "200", &["172.31.0.100".to_owned()]);
        let certificate = console.bought_certificate(&["www.example.com"]);
        let balancer = console.load_balancer(&front);
        console.listener((&balancer[0], &certificate.arn, &group), None);
        bought = Some(certificate);
    }));
    let bought = bought.expect("was made");
    scenario.write("server.pem", &bought.certificate);
    scenario.write("chain.pem", &bought.chain);
    scenario.write("server.key", &bought.private_key);
    let files = "import: { certificate: server.pem, private_key: server.key, chain: chain.pem }";
    scenario.edit(&format!("arn: \"{}\"", bought.arn), files);
    scenario.edit(
        "\nadopt:\n",
        &format!("\nadopt:\n  certificate: \"{}\"\n", bought.arn),
    );
    let adopted = plans_as_tags_alone(&scenario);
    assert!(adopted.contains(&"certificate".to_owned()), "{adopted:?}");
    let writes = adopts(&scenario);
    assert!(!writes.contains(&"ImportCertificate".to_owned()));
    scenario.has_converged();
    scenario.run(["destroy", "--yes"]).ok();
    let dump = scenario.dump();
    let certificates = &dump["regions"]["ap-northeast-1"]["acm"]["certificates"];
    assert_eq!(certificates.as_object().map(serde_json::Map::len), Some(0));
}

#[test]
fn weighted_forwards_rules_and_unknown_attributes_are_told() {
    let scenario = made(|console| {
        let front = console.group("web", "0.0.0.0/0");
        let group = console.target_group(("HTTP", "80"), "200", &["172.31.0.100".to_owned()]);
        console.set_group_attribute(&group, "stickiness.enabled", "true");
        let certificate = console.imported_certificate(&["www.example.com"]);
        let balancer = console.load_balancer(&front);
        let listener = console.listener((&balancer[0], &certificate, &group), None);
        console.rule(&listener);
        let other = console.listener_on("8443", (&balancer[0], &certificate, &group));
        let second = console.second_target_group();
        console.weigh(&other, [&group, &second]);
    });
    let outcome = scenario.run(super::EXPORT).ok();
    let text = scenario.read("stack.yaml");
    for told in [
        "listener: the listener rule of priority 7 (arn:",
        "listener: the listener on port 8443: it does not forward to one target group alone",
        "target_group: the attribute stickiness.enabled = true, for which AWS's default would be set",
    ] {
        assert!(
            text.contains(&format!("#   {told}")),
            "`{told}` is not in\n{text}"
        );
        assert!(
            outcome.stderr.contains(&format!("warning: {told}")),
            "{outcome}"
        );
    }
    assert!(
        text.contains("# Not looked at, and never touched: web ACLs"),
        "{text}"
    );
}
