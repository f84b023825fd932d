//! Every example, from its first plan to its destruction: applied, proved, broken in ten ways and more behind
//! the tool's back, mended, proved again, and taken away.

mod reencrypt;
mod self_signed_backend;

use std::fs;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::acts::{APPLY, tell};
use crate::data_plane_nlb::backend::{Material, expire};
use crate::doctor::{Fault, cause, faults, make_theirs, system_c};
use crate::drift::account::Account;
use crate::support::{Outcome, Scenario, root};
use crate::system_c::Backend;

/// The faults of a private API, of the fifty that the doctor knows, that are walked through.
const OF_PETSTORE: [&str; 14] = [
    "the alias leads past the load balancer",
    "the certificate's validation record is gone",
    "only an office is let in to the load balancer",
    "the redirect is gone",
    "client certificates pass unverified",
    "the trust store is swapped",
    "the CRL is gone",
    "the listener forwards to other targets",
    "the health check wants 200",
    "the endpoint does not let the load balancer in",
    "the endpoint is gone",
    "the resource policy denies everything, deployed",
    "the stage serves what somebody else deployed",
    "a method is gone from the API",
];

/// A fault, and what puts right what no stack file can.
struct Step {
    fault: Fault,
    mend: Option<fn(&Account)>,
}

impl From<Fault> for Step {
    fn from(fault: Fault) -> Self {
        Self { fault, mend: None }
    }
}

/// The same with something for the test itself to put right.
fn mended(fault: Fault, mend: fn(&Account)) -> Step {
    let mend = Some(mend);
    Step { fault, mend }
}

/// Those of these names, all of which there are.
fn chosen(all: Vec<Fault>, names: &[&str]) -> Vec<Step> {
    let chosen: Vec<Step> = all
        .into_iter()
        .filter(|fault| names.contains(&fault.name))
        .map(Step::from)
        .collect();
    assert_eq!(chosen.len(), names.len(), "one is not in the table");
    chosen
}

/// An example in a directory of its own, ready to be applied.
struct Example {
    scenario: Scenario,
    /// What `verify` and `doctor` are given.
    options: Vec<&'static str>,
    /// What `doctor` sees through a tunnel into the VPC, as `--connect-to` has it.
    tunnel: Option<fn() -> String>,
    steps: Vec<Step>,
}

/// Somebody's servers, at these places of the sandbox's network.
fn host(scenario: &Scenario, servers: &[(&str, &str)]) {
    for (place, server) in servers {
        scenario.run(["sandbox", "host", place, server]).ok();
    }
}

/// An example's files, and what its script makes; `None` without openssl.
fn copied(mut scenario: Scenario, example: &str, to: &str) -> Option<Scenario> {
    let directory = root().join("examples").join(example);
    for entry in fs::read_dir(directory).expect("is a directory") {
        let entry = entry.expect("is readable");
        // Whoever tried the example has made keys there, which are theirs.
        let name = entry.file_name().into_string().expect("is UTF-8");
        if entry.path().is_file() && !name.ends_with("_key.pem") {
            let content = fs::read(entry.path()).expect("is readable");
            scenario.write(&format!("{to}{name}"), content);
        }
    }
    let script = scenario.path(&format!("{to}make-certificates.sh"));
    if script.is_file() {
        let openssl = Command::new("openssl").arg("version").output();
        if openssl.is_err() {
            tell("skipped: there is no openssl");
            return None;
        }
        let made = Command::new("sh")
            .arg("make-certificates.sh")
            .current_dir(script.parent().expect("is in a directory"))
            .stdin(Stdio::null())
            .output()
            .expect("there is a shell");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{example}: {said}");
    }
    Some(scenario)
}

impl Example {
    fn run(&self, command: &[&str]) -> Outcome {
        self.scenario.run([command, &self.options].concat())
    }

    /// Nothing is to be done, and a good client gets what it asks for.
    #[track_caller]
    fn is_good(&self, after: &str) {
        let plan = self.scenario.run(["plan", "--detailed-exitcode"]);
        assert_eq!(plan.code, 0, "after {after}: {plan}");
        let verified = self.run(&["verify", "--json"]);
        assert_eq!(verified.code, 0, "after {after}: {verified}");
        let document = verified.json();
        let probes = document["probes"].as_array().expect("is a list");
        let mut good = probes
            .iter()
            .filter(|probe| probe["name"] == "good_certificate");
        let good = good.next().expect("is probed");
        assert_eq!(good["result"], "passed", "after {after}: {verified}");
    }

    /// From nothing to nothing.
    fn walk(mut self, name: &str) {
        self.scenario.run(APPLY).ok();
        self.is_good("apply");
        self.run(&["doctor"]).ok().says("No link is broken.");
        let only = std::env::var("MTLSGW_FAULT").unwrap_or_default();
        let mut steps = std::mem::take(&mut self.steps);
        assert!(steps.len() >= 10, "{name}: {} faults", steps.len());
        steps.retain(|step| step.fault.name.contains(&only));
        let mut failures = Vec::new();
        for step in &steps {
            if let Err(failure) = self.goes_through(name, step) {
                failures.push(failure);
            }
        }
        self.scenario
            .run(["destroy", "--yes", "--delete-logs"])
            .ok();
        nothing_is_left(&self.scenario);
        tell(&format!(
            "{name}: {} faults, {} failures",
            steps.len(),
            failures.len()
        ));
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    /// Broken, noticed, named, and mended.
    fn goes_through(&mut self, example: &str, step: &Step) -> Result<(), String> {
        let Fault { name, bring, code } = &step.fault;
        self.acts(*bring);
        let plan = self.scenario.run(["plan", "--detailed-exitcode"]).code;
        let verify = self.run(&["verify"]).code;
        let doctor = self.diagnosed();
        let (by_plan, by_verify) = (noticed(plan), noticed(verify));
        tell(&format!(
            "| {example} | {name} | {by_plan} | {by_verify} | {} |",
            cause(&doctor)
        ));
        if let Some(mend) = step.mend {
            self.acts(mend);
        }
        self.scenario.run(APPLY).ok();
        self.is_good(name);
        if plan == 0 && verify == 0 {
            return Err(format!("{name}: neither plan nor verify notices"));
        }
        if doctor.json()["cause"]["code"] != *code || doctor.code != 4 {
            return Err(format!("{name}: not {code}, but {}", cause(&doctor)));
        }
        Ok(())
    }

    fn diagnosed(&self) -> Outcome {
        let Some(tunnel) = self.tunnel else {
            return self.run(&["doctor", "--json"]);
        };
        self.run(&["doctor", "--json", "--connect-to", &tunnel()])
    }

    /// Acts behind the tool's back.
    fn acts(&mut self, act: impl FnOnce(&Account)) {
        let scenario = std::mem::replace(&mut self.scenario, Scenario::empty());
        let account = Account::new(scenario, Vec::new());
        act(&account);
        self.scenario = account.into_scenario();
    }
}

/// Nothing in the account is a stack's, but what can still be described for a while after it was deleted.
#[track_caller]
fn nothing_is_left(scenario: &Scenario) {
    let mut left = Vec::new();
    owned(&scenario.dump(), &mut left);
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The addresses of what has the tags of a stack.
fn owned(value: &Value, found: &mut Vec<String>) {
    let children: Vec<&Value> = match value {
        Value::Object(members) if members.get("deletion").is_some_and(|one| !one.is_null()) => {
            return;
        }
        Value::Object(members) => {
            let of_stack = members.get("mtlsgw:stack");
            found.extend(of_stack.map(|_| value.to_string()));
            members.values().collect()
        }
        Value::Array(items) => items.iter().collect(),
        _ => return,
    };
    for child in children {
        owned(child, found);
    }
}

fn noticed(code: i32) -> &'static str {
    match code {
        0 => "-",
        1 => "error",
        _ => "yes",
    }
}

#[test]
fn petstore_is_walked_through() {
    let Some(scenario) = copied(Scenario::empty(), "petstore", "") else {
        return;
    };
    make_theirs(&scenario);
    let example = Example {
        scenario,
        options: vec![
            "--cert",
            "client_cert.pem",
            "--key",
            "client_key.pem",
            "--path",
            "/pets",
        ],
        tunnel: None,
        steps: chosen(faults::all(), &OF_PETSTORE),
    };
    example.walk("petstore");
}

/// Where the server of the example `client-certificates` is.
static ADDRESS: OnceLock<String> = OnceLock::new();

#[test]
fn client_certificates_are_walked_through() {
    let Some(scenario) = copied(Scenario::empty(), "client-certificates", "") else {
        return;
    };
    // It ends with this test: who waits for the output of tests would wait for it, too.
    let server = Backend::start(&[]);
    let address = ADDRESS.get_or_init(|| server.address.clone());
    let servers = crate::system_c::PLACES.map(|place| (place, address.as_str()));
    host(&scenario, &servers);
    let mut steps: Vec<Step> = system_c::all().into_iter().map(Step::from).collect();
    for step in steps
        .iter_mut()
        .filter(|step| step.fault.name == "servers stopped")
    {
        step.mend = Some(|account| {
            for place in crate::system_c::PLACES {
                let address = ADDRESS.get().expect("is started");
                let running = format!("{place}={address}");
                account.aws.control("POST", "hosts", &running).ok();
            }
        });
    }
    let example = Example {
        scenario,
        options: Vec::new(),
        tunnel: None,
        steps,
    };
    example.walk("client-certificates");
}

#[test]
fn self_signed_backend_is_walked_through() {
    let Some(scenario) = copied(Scenario::empty(), "self-signed-backend", "") else {
        return;
    };
    let material = Material {
        chain: scenario.read("backend.pem"),
        key: scenario.read("keys/backend.key"),
    };
    self_signed_backend::starts(&material);
    host(&scenario, &[self_signed_backend::running()]);
    let example = Example {
        scenario,
        options: Vec::new(),
        tunnel: Some(self_signed_backend::tunnel),
        steps: self_signed_backend::steps(),
    };
    example.walk("self-signed-backend");
}

#[test]
fn the_private_variant_of_self_signed_backend_comes_and_goes() {
    let Some(mut scenario) = copied(Scenario::empty(), "self-signed-backend", "") else {
        return;
    };
    scenario.write("stack.yaml", scenario.read("private-stack.yaml"));
    let server = crate::system_s::backend();
    host(&scenario, &[(self_signed_backend::PLACE, server)]);
    scenario.run(APPLY).ok();
    scenario.has_converged();
    // An internal load balancer is out of reach from here, which is no fault.
    scenario.run(["verify"]).exits(4).says("unreachable");
    scenario.run(["destroy", "--yes"]).ok();
    nothing_is_left(&scenario);
}

#[test]
fn reencrypt_is_walked_through() {
    let Some(scenario) = copied(Scenario::empty(), "petstore", "petstore/") else {
        return;
    };
    let Some(mut scenario) = copied(scenario, "reencrypt", "") else {
        return;
    };
    scenario.edit("../petstore/", "petstore/");
    // The load balancer looks at nothing of what servers show: one is for another name, and has ended.
    let good = Material::self_signed(|_| {}).serve(rustls::ALL_VERSIONS);
    let bad = Material::self_signed(expire).serve(rustls::ALL_VERSIONS);
    let [first, second] = reencrypt::PLACES;
    host(&scenario, &[(first, &good), (second, &bad)]);
    make_theirs(&scenario);
    let example = Example {
        scenario,
        options: vec![
            "--cert",
            "petstore/client_cert.pem",
            "--key",
            "petstore/client_key.pem",
        ],
        tunnel: None,
        steps: reencrypt::steps(),
    };
    example.walk("reencrypt");
}
