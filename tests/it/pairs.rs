//! From any stack file to any other one, and from a stack file to one that is broken.
//!
//! `MTLSGW_PAIRS` and `MTLSGW_MUTATIONS` say how many are tried, `MTLSGW_SEED` where they begin: with
//! a failure comes the seed that shows it again. `MTLSGW_SHRINK=0` does not look for a smaller pair.

mod anonymous;
mod choices;
mod mutations;
mod random;
mod rows;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::acts::{APPLY, in_parallel, tell, vpc};
use crate::support::{Authority, Aws, OPENAPI, Outcome, Scenario, canonical, differences};
use crate::system_s::{self, backend, self_signed};
pub(crate) use anonymous::Anonymous;
use choices::Choices;
use random::Random;

/// The only reason for which one stack may not become another.
const REFUSAL: &str = "cannot be changed in place";

/// What has to be said when clients notice it.
const DOWNTIME: &str = "--allow-downtime";

/// The reasons when its clients are not to notice.
const REFUSALS: [&str; 2] = [REFUSAL, DOWNTIME];

/// How a pair ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Converged,
    Refused,
}

#[test]
fn any_stack_becomes_any_other_one() {
    let refused = AtomicUsize::new(0);
    let shrunk = AtomicBool::new(false);
    let pairs = number("MTLSGW_PAIRS", 6);
    let failures = with_seeds(pairs, |seed| {
        let (first, second) = pair(seed);
        match check(&first, &second) {
            Ok(End::Converged) => None,
            Ok(End::Refused) => {
                refused.fetch_add(1, Ordering::Relaxed);
                None
            }
            // To look for a smaller one takes minutes: once is enough.
            Err(failure)
                if number("MTLSGW_SHRINK", 1) == 0 || shrunk.swap(true, Ordering::Relaxed) =>
            {
                Some(told(&first, &second, &failure))
            }
            Err(failure) => Some(report(&first, &second, &failure)),
        }
    });
    tell(&format!("{pairs} pairs, {} refused", refused.into_inner()));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The pair of a seed: sometimes close to each other, sometimes far apart.
fn pair(seed: u64) -> (Choices, Choices) {
    let mut random = Random::new(seed);
    let first = Choices::any(&mut random);
    let one_of = *random.of(&[1, 3, 8]);
    let second = first.changed(one_of, &mut random);
    (first, second)
}

/// Applies one and then the other, which has to come out as if it had been applied alone.
fn check(first: &Choices, second: &Choices) -> Result<End, String> {
    let mut scenario = scenario(first);
    succeeds("the first", &scenario.run(APPLY))?;
    write(&mut scenario, second);
    let before = canonical(&scenario.dump());
    let patient = APPLY.into_iter().filter(|one| *one != DOWNTIME);
    let mut outcome = scenario.run(patient);
    // Whoever allows it is told of it before.
    let is_noticed = outcome.code == 1 && outcome.stderr.contains(DOWNTIME);
    if is_noticed {
        outcome = scenario.run(APPLY);
    }
    let end = if outcome.code == 1 && outcome.stderr.contains(REFUSAL) {
        same("a refusal changes", &before, &canonical(&scenario.dump()))?;
        End::Refused
    } else {
        succeeds("the second", &outcome)?;
        if !is_noticed {
            unnoticed(&scenario)?;
        }
        succeeds(
            "planned again",
            &scenario.run(["plan", "--detailed-exitcode"]),
        )?;
        let alone = self::scenario(second);
        succeeds("the second alone", &alone.run(APPLY))?;
        same(
            "from nothing, and after the first",
            &held(&alone),
            &held(&scenario),
        )?;
        End::Converged
    };
    if second.retains() {
        write(&mut scenario, &Choices::default());
        succeeds("the default", &scenario.run(APPLY))?;
    }
    succeeds("destroy", &scenario.run(["destroy", "--yes"]))?;
    let nothing = Anonymous::dump(&account().dump, &account().dump);
    same("destroy leaves", &nothing, &held(&scenario))?;
    Ok(end)
}

/// No client has noticed anything.
fn unnoticed(scenario: &Scenario) -> Result<(), String> {
    let noticed = scenario.noticed();
    if noticed.is_empty() {
        return Ok(());
    }
    Err(format!("clients notice:\n{}", noticed.join("\n")))
}

/// Where things take their time, clients are led to nothing before it serves them.
#[test]
fn no_client_notices_that_one_stack_becomes_another() {
    let (changed, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let count = number("MTLSGW_PATIENT_PAIRS", 3);
    let failures = with_seeds(count, |seed| {
        let (first, second) = pair(seed);
        let mut scenario = scenario(&first);
        scenario.set("MTLSGW_SANDBOX_TIMING", "x120");
        let mut change = || {
            succeeds("the first", &scenario.run(APPLY))?;
            write(&mut scenario, &second);
            // Who allows downtime is told of it.
            let allowed = APPLY.into_iter().filter(|one| *one != DOWNTIME);
            let outcome = scenario.run(allowed);
            if outcome.code == 1 && REFUSALS.iter().any(|one| outcome.stderr.contains(one)) {
                refused.fetch_add(1, Ordering::Relaxed);
            } else {
                succeeds("the second", &outcome)?;
                changed.fetch_add(1, Ordering::Relaxed);
            }
            unnoticed(&scenario)
        };
        let failure = change().err()?;
        Some(told(&first, &second, &failure))
    });
    tell(&format!(
        "{} of {count} stacks changed, {} refused to",
        changed.into_inner(),
        refused.into_inner()
    ));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// A failure with the smallest pair that shows one.
fn report(first: &Choices, second: &Choices, failure: &str) -> String {
    let (mut first, mut second, mut failure) = (first.clone(), second.clone(), failure.to_owned());
    let simpler = |(first, second): (&Choices, &Choices)| {
        let pairs = Choices::simpler(first, second);
        let mut failing = pairs.into_iter().filter_map(|(first, second)| {
            let failure = check(&first, &second).err()?;
            Some((first, second, failure))
        });
        failing.next()
    };
    while let Some(found) = simpler((&first, &second)) {
        (first, second, failure) = found;
    }
    told(&first, &second, &failure)
}

/// A failure with its pair.
fn told(first: &Choices, second: &Choices, failure: &str) -> String {
    format!("from\n{}\nto\n{}\n{failure}", first.text(), second.text())
}

/// An account in which somebody else is at work, and what they call what stacks may use.
struct Account {
    scenario: Scenario,
    /// From what a stack file says in `<…>` to the id.
    names: Vec<(&'static str, String)>,
    /// What the account holds.
    dump: Value,
}

/// Where something takes connections for the network load balancer.
const TARGETS: [&str; 2] = ["172.31.0.10", "172.31.0.11"];
/// See [`TARGETS`].
const PORTS: [u16; 3] = [443, 8443, 9443];

/// What everybody in the account has files of.
const THEIRS: &str = r#"name: theirs
region: ap-northeast-1
vpc: default
endpoint: { subnets: [subnet-7c301d43bf26cc3c5], security_groups: [<security group>] }
load_balancer: { allow: [10.0.0.0/8] }
certificate: { request: "*.example.com" }
trust_store: { ca_bundle: [one.pem] }
"#;

/// Makes what no stack makes: buckets, a role for logs, and a security group and a private zone,
/// whose ids it gives.
fn furnish(aws: &Aws) -> [String; 2] {
    aws.make_bucket("somebody-elses");
    aws.make_log_bucket("their-logs");
    let role = json!({"patchOperations": [{
        "op": "replace", "path": "/cloudwatchRoleArn", "value": "arn:aws:iam::123456789012:role/logs"
    }]});
    aws.rest(("apigateway", "PATCH", "/account"), role.to_string())
        .ok();
    let create = [
        ("Action", "CreateSecurityGroup"),
        ("GroupName", "somebody-elses"),
        ("GroupDescription", "not ours"),
        ("VpcId", &vpc(aws)),
    ];
    let group = aws.query("ec2", &create).ok().element("groupId");
    let allow = [
        ("Action", "AuthorizeSecurityGroupIngress"),
        ("GroupId", &group),
        ("IpProtocol", "tcp"),
        ("FromPort", "443"),
        ("ToPort", "443"),
        ("CidrIp", "0.0.0.0/0"),
    ];
    aws.query("ec2", &allow).ok();
    let zone = format!(
        "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <Name>theirs.internal</Name>\
         <VPC><VPCRegion>ap-northeast-1</VPCRegion><VPCId>{}</VPCId></VPC>\
         <CallerReference>theirs</CallerReference></CreateHostedZoneRequest>",
        vpc(aws)
    );
    let zone = aws.rest(("route53", "POST", "/2013-04-01/hostedzone"), zone);
    let zone = zone.ok().element("Id").replace("/hostedzone/", "");
    [group, zone]
}

fn account() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let mut scenario = files(Scenario::empty());
        let [group, zone] = scenario.meanwhile(furnish);
        for (host, port) in TARGETS
            .iter()
            .flat_map(|host| PORTS.map(|port| (host, port)))
        {
            let place = format!("{host}:{port}");
            scenario.run(["sandbox", "host", &place, backend()]).ok();
        }
        scenario.write("stack.yaml", THEIRS.replace("<security group>", &group));
        scenario.run(APPLY).ok();
        let id = |address| (address, scenario.id(address));
        let mut names = ["endpoint", "load_balancer", "certificate", "trust_store"]
            .map(id)
            .to_vec();
        names.push(("security group", group));
        names.push(("private zone", zone));
        names.push(("address", scenario.id("endpoint.addresses")));
        let dump = scenario.dump();
        Account {
            scenario,
            names,
            dump,
        }
    })
}

/// The names that backends have: in definitions, and within the VPC.
const BACKENDS: [&str; 5] = [
    "backend.example.com",
    "backend.internal",
    "pets.backend.internal",
    "pets.servers.internal",
    "pets.theirs.internal",
];

/// The files that stacks refer to.
fn files(scenario: Scenario) -> Scenario {
    let one = Authority::new("One Root CA");
    let two = Authority::new("Two Root CA");
    let server = Authority::server(&["*.example.com"]);
    let issuer = Authority::new("Issuing CA");
    let (other, other_key) = issuer.issue(&["*.example.com"]);
    let everybody = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"
    }]});
    let backend = self_signed(&BACKENDS);
    let renewed = self_signed(&BACKENDS);
    let linked = system_s::OPENAPI.replace("pets.backend.internal", BACKENDS[0]);
    let direct = linked.replace("        connectionType: VPC_LINK\n", "");
    scenario
        .file(
            "linked_elsewhere.yaml",
            linked.replace(".com/pets", ".com:8443/pets"),
        )
        .file("linked.yaml", linked)
        .file(
            "direct.yaml",
            direct.replace("        connectionId: ${vpc_link}\n", ""),
        )
        .file("backend.pem", &backend.certificate)
        .file("backend_key.pem", backend.private_key())
        .file("renewed.pem", &renewed.certificate)
        .file("renewed_key.pem", renewed.private_key())
        .file("petstore.yaml", OPENAPI)
        .file(
            "animals.yaml",
            OPENAPI.replace("/pets/{petId}", "/animals/{petId}"),
        )
        .file("everybody.json", everybody.to_string())
        .file("one.pem", &one.certificate)
        .file("one.crl", &one.crl)
        .file("one_later.crl", one.crl_of(2, &[3, 4, 5]))
        .file("two.pem", &two.certificate)
        .file("two.crl", &two.crl)
        .file("server.pem", &server.certificate)
        .file("server_key.pem", server.private_key())
        .file("other.pem", other)
        .file("other_key.pem", other_key)
        .file("chain.pem", &issuer.certificate)
}

/// A directory with a stack of that choice.
fn scenario(choices: &Choices) -> Scenario {
    let mut scenario = account().scenario.fork();
    write(&mut scenario, choices);
    scenario
}

/// Writes the stack file.
fn write(scenario: &mut Scenario, choices: &Choices) {
    let mut text = choices.text();
    for (name, id) in &account().names {
        text = text.replace(&format!("<{name}>"), id);
    }
    scenario.write("stack.yaml", text);
}

fn held(scenario: &Scenario) -> Value {
    Anonymous::dump(&scenario.dump(), &account().dump)
}

/// What a sandbox holds that only somebody else has used.
pub(crate) fn fresh() -> &'static Value {
    static FRESH: OnceLock<Value> = OnceLock::new();
    FRESH.get_or_init(|| {
        let scenario = Scenario::empty();
        let aws = scenario.aws();
        let group = ("GroupName", "somebody-elses");
        let create = ("Action", "CreateSecurityGroup");
        aws.query("ec2", &[create, group, ("GroupDescription", "not ours")])
            .ok();
        aws.query("ec2", &[("Action", "DeleteSecurityGroup"), group])
            .ok();
        drop(aws);
        scenario.dump()
    })
}

fn succeeds(what: &str, outcome: &Outcome) -> Result<(), String> {
    match outcome.code {
        0 => Ok(()),
        _ => Err(format!("{what}: {outcome}")),
    }
}

fn same(what: &str, one: &Value, other: &Value) -> Result<(), String> {
    let differences = differences(one, other);
    if differences.is_empty() {
        Ok(())
    } else {
        Err(format!("{what}:\n{}", differences.join("\n")))
    }
}

#[test]
fn a_broken_stack_file_is_refused_with_its_place() {
    let failures = with_seeds(number("MTLSGW_MUTATIONS", 40), |seed| {
        let mut random = Random::new(seed);
        let choices = Choices::any(&mut random);
        let mut scenario = scenario(&choices);
        let bytes = mutations::mutated(&choices.text(), &mut random);
        scenario.write("stack.yaml", &bytes);
        let outcome = scenario.run_bare(["validate"]);
        let reason = objection(&outcome)?;
        Some(format!(
            "{reason}: {outcome}\n--- stack.yaml\n{}",
            String::from_utf8_lossy(&bytes)
        ))
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What is wrong with the answer to a file that may be broken.
fn objection(outcome: &Outcome) -> Option<&'static str> {
    let errors = &outcome.stderr;
    let first = errors.strip_prefix("error: ").unwrap_or_default();
    let place = first.strip_prefix("stack.yaml:").unwrap_or_default();
    let has_line = place.starts_with(|letter: char| letter.is_ascii_digit());
    match outcome.code {
        _ if errors.contains("panicked") => Some("panics"),
        0 => None,
        1 if has_line || first == "stack.yaml: the file is empty\n" => None,
        1 => Some("names no place"),
        _ => Some("ends in another way"),
    }
}

/// A number from the environment, else the default.
fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable);
    text.map_or(default, |text| text.parse().expect("is a number"))
}

/// Tries as many seeds; gives what failed, in the order of the seeds, each with its seed.
fn with_seeds(count: u64, test: impl Fn(u64) -> Option<String> + Sync) -> Vec<String> {
    let begin = number("MTLSGW_SEED", 1);
    let seeds: Vec<u64> = (begin..begin + count).collect();
    in_parallel(&seeds, |seed| match test(*seed) {
        Some(failure) => Err(format!("MTLSGW_SEED={seed}: {failure}")),
        None => Ok(()),
    })
}
