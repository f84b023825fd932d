//! From one CA to the next: who of the clients that one knows gets in.

use crate::support::{Authority, Scenario, authority, root};

/// System P applied, with two CAs in its bundle and a client of each known.
fn two_cas() -> Scenario {
    let next = Authority::new("Next Root CA");
    let mut scenario = Scenario::petstore();
    let both = |one: &str, other: &str| format!("{one}{other}");
    scenario.write(
        "root_cert.pem",
        both(&authority().certificate, &next.certificate),
    );
    scenario.write("next_cert.pem", &next.certificate);
    scenario.write("next.crl", &next.crl);
    scenario.edit("crls: [root.crl]", "crls: [root.crl, next.crl]");
    std::fs::create_dir(scenario.path("clients")).expect("can be made");
    scenario.write("clients/old.pem", authority().client("old client", 20));
    scenario.write("clients/new.crt", next.client("new client", 20));
    scenario.write("clients/README.txt", "not a certificate");
    scenario.applied()
}

#[test]
fn a_plan_says_who_is_locked_out_by_a_ca_that_goes() {
    let mut scenario = two_cas();
    let plan = ["plan", "--clients", "clients"];
    scenario
        .run(plan)
        .ok()
        .says("2 clients known: 2 get in after this.");
    scenario.edit("[root_cert.pem]", "[next_cert.pem]");
    scenario.edit("crls: [root.crl, next.crl]", "crls: [next.crl]");
    let shown = scenario.run(plan).ok();
    let shown =
        shown.says("locked out: CN=old client, serial 14 (clients/old.pem): ClientCertUntrusted");
    shown.says("2 clients known: 1 get in after this.");
    let document = scenario
        .run(["plan", "--json", "--clients", "clients/old.pem"])
        .ok()
        .json();
    let clients = &document["stacks"][0]["clients"];
    assert_eq!(clients["known"], 1);
    assert_eq!(clients["locked_out"][0]["subject"], "CN=old client");
    assert_eq!(clients["locked_out"][0]["reason"], "ClientCertUntrusted");
}

#[test]
fn locking_out_clients_that_one_knows_has_to_be_allowed() {
    let mut scenario = two_cas();
    scenario.edit("[root_cert.pem]", "[next_cert.pem]");
    scenario.edit("crls: [root.crl, next.crl]", "crls: [next.crl]");
    let apply = ["apply", "--yes", "--clients", "clients"];
    let refusal = "the plan locks out `CN=old client`";
    scenario
        .refuses(apply)
        .says(refusal)
        .says("--allow-lockout");
    // What was known when a plan was saved counts when it is applied.
    scenario
        .run(["plan", "--clients", "clients", "--out", "change.plan"])
        .ok();
    scenario.refuses(["apply", "change.plan"]).says(refusal);
    scenario
        .run(["apply", "change.plan", "--allow-lockout"])
        .ok();
    scenario.run(["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn revoking_a_client_is_no_lockout() {
    let mut scenario = two_cas();
    scenario.write("root.crl", authority().crl_of(2, &[2, 3, 20]));
    let shown = scenario.run(["plan", "--clients", "clients"]).ok();
    shown.says("revoked: CN=old client, serial 14 (clients/old.pem): ClientCertCrlHit");
    scenario
        .run(["apply", "--yes", "--clients", "clients"])
        .ok();
    // Readmitting it widens access, and says who comes back.
    scenario.write("root.crl", authority().crl_of(3, &[2, 3]));
    let shown = scenario.run(["plan", "--clients", "clients"]).ok();
    shown.says("let in: CN=old client").says("access widens");
}

#[test]
fn clients_are_judged_by_a_trust_store_that_the_stack_only_uses() {
    let mut scenario = two_cas();
    scenario.write("clients/revoked.pem", authority().client("revoked", 3));
    let text = format!(
        "name: other
region: ap-northeast-1
vpc: default
certificate: {{ request: \"*.example.com\" }}
target_group: {{ targets: [172.31.0.77], port: 443 }}
load_balancer: {{}}
trust_store: {{ arn: \"{}\" }}
listener: {{ mutual_authentication: verify }}
",
        scenario.id("trust_store")
    );
    scenario.write("other.yaml", text);
    let shown = scenario.run(["plan", "other.yaml", "--clients", "clients"]);
    shown.ok().says("3 clients known: 2 get in after this.");
}

#[test]
fn clients_that_cannot_be_read_are_refused() {
    let scenario = two_cas();
    let refused = scenario
        .run(["plan", "--clients", "clients/README.txt"])
        .exits(1);
    refused.says("clients/README.txt");
    scenario
        .run(["plan", "--clients", "nowhere"])
        .exits(1)
        .says("nowhere");
}

/// What a page shows in its code blocks of a language, each with the language.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut parts = page.split("\n```");
    parts.next();
    while let (Some(block), Some(_)) = (parts.next(), parts.next()) {
        let (language, content) = block.split_once('\n').expect("has lines");
        blocks.push((language.to_owned(), content.to_owned()));
    }
    blocks
}

/// Runs a line of a shell block, which says in a comment when it is refused.
fn follow(scenario: &Scenario, line: &str) {
    let (command, comment) = line.split_once('#').unwrap_or((line, ""));
    let words = shell_words(command);
    let mut arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    if arguments[0] == "apply" {
        arguments.push("--yes");
    }
    let outcome = if arguments[0] == "pki" {
        scenario.run_bare(arguments)
    } else {
        scenario.run(arguments)
    };
    let expected = i32::from(comment.trim().starts_with("refused"));
    assert_eq!(outcome.code, expected, "{line}: {outcome}");
}

/// Splits a command at spaces outside of double quotes.
fn shell_words(command: &str) -> Vec<String> {
    let quoted = command.split('"').enumerate();
    let words = quoted.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

#[test]
fn the_page_about_rotation_can_be_followed() {
    let page = std::fs::read_to_string(root().join("docs/rotation.md")).expect("is there");
    let mut scenario = Scenario::petstore();
    std::fs::create_dir(scenario.path("clients")).expect("can be made");
    let others: Vec<String> = (scenario.read("stack.yaml").lines())
        .filter(|line| !line.starts_with("trust_store"))
        .map(str::to_owned)
        .collect();
    let mut lines = 0;
    for (language, block) in blocks(&page) {
        match language.as_str() {
            "yaml" => scenario.write("stack.yaml", format!("{}\n{block}\n", others.join("\n"))),
            "sh" => {
                lines += block.lines().count();
                block.lines().for_each(|line| follow(&scenario, line));
            }
            _ => {}
        }
    }
    assert!(lines > 12, "{lines} lines were found");
    let status = scenario.run(["plan", "--detailed-exitcode"]).ok();
    status
        .says("CA CN=Example Root CA 2026")
        .says("No changes.");
}
