//! Clients that nobody here wrote: curl and OpenSSL come to the verdicts that `verify` comes to.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{STACK, Stage};
use crate::support::Aws;

/// What tells `openssl ca` to issue something that has ended.
const ENDED: [&str; 4] = [
    "-startdate",
    "20200101000000Z",
    "-enddate",
    "20200102000000Z",
];

/// The clients, by the probe that does the same, with the names of their files.
const CLIENTS: [(&str, Option<&str>); 7] = [
    ("no_certificate", None),
    ("unknown_ca", Some("stranger")),
    ("lookalike", Some("lookalike")),
    ("expired", Some("expired")),
    ("wrong_purpose", Some("server")),
    ("revoked", Some("revoked")),
    ("good_certificate", Some("client")),
];

/// The sandbox's listeners, and the commands.
struct Outside<'a> {
    stage: &'a Stage,
    /// The sockets by port.
    sockets: BTreeMap<u64, String>,
}

impl Outside<'_> {
    fn run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.stage.scenario.path(""))
            .stdin(Stdio::null())
            .output()
            .expect("it is there");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (output.status.success(), text)
    }

    /// What curl sees: status, version of HTTP, and where it is sent.
    fn curl(&self, url: &str, client: Option<&str>) -> String {
        let to = |port: u64| format!("api.example.com:{port}:{}", self.sockets[&port]);
        let (https, http) = (to(443), to(80));
        let mut arguments = vec![
            "--silent",
            "--output",
            "/dev/null",
            "--cacert",
            "sandbox.pem",
        ];
        arguments.extend(["--connect-to", &https, "--connect-to", &http]);
        let write = "%{http_code} %{http_version} %{redirect_url}";
        arguments.extend(["--write-out", write, url]);
        let files = client.map(|name| (format!("{name}_cert.pem"), format!("{name}_key.pem")));
        if let Some((certificate, key)) = &files {
            arguments.extend(["--cert", certificate, "--key", key]);
        }
        self.run("curl", &arguments).1
    }

    fn openssl(&self, options: &[&str]) -> String {
        let connect = ["s_client", "-connect", &self.sockets[&443]];
        let name = ["-servername", "api.example.com", "-CAfile", "sandbox.pem"];
        self.run("openssl", &[&connect[..], &name, options].concat())
            .1
    }
}

/// Issues what curl presents, beside what the stage has.
fn issue(stage: &Stage) {
    let pki = |arguments: &[&str]| {
        let arguments = std::iter::once("pki").chain(arguments.iter().copied());
        stage.scenario.run_bare(arguments).ok();
    };
    pki(&["--dir", "strangers", "ca", "strangers"]);
    pki(&["--dir", "strangers", "issue", "stranger"]);
    // The same name as that of the stack's CA.
    pki(&["--dir", "lookalikes", "ca", "root"]);
    pki(&["--dir", "lookalikes", "issue", "lookalike"]);
    pki(&[
        "issue",
        "server",
        "--server",
        "--san",
        "dns:server.example.com",
    ]);
    pki(&["csr", "expired"]);
    let ca = [
        "ca",
        "-batch",
        "-config",
        "openssl.cnf",
        "-in",
        "../../expired_csr.pem",
    ];
    let out = ["-notext", "-out", "../../expired_cert.pem"];
    let output = Command::new("openssl")
        .args([&ca[..], &out, &ENDED].concat())
        .current_dir(stage.scenario.path("pki/root"))
        .output()
        .expect("it is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn sockets(aws: &Aws) -> BTreeMap<u64, String> {
    let listed = aws.control("GET", "listeners", "").ok().value();
    let listeners = listed.as_array().expect("is a list").iter();
    let pair = |one: &Value| Some((one["port"].as_u64()?, one["address"].as_str()?.to_owned()));
    listeners.filter_map(pair).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "tells what was not tested")]
fn curl_and_openssl_see_what_verify_sees() {
    for (program, version) in [("curl", "--version"), ("openssl", "version")] {
        if Command::new(program).arg(version).output().is_err() {
            println!("skipped: there is no {program}");
            return;
        }
    }
    let mut stage = Stage::of(&STACK.replace("path: /pets", "path: /"));
    issue(&stage);
    let aws = stage.scenario.serve(&[]);
    let root = aws.control("GET", "ca", "").ok().body;
    stage.scenario.write("sandbox.pem", root);
    let document = stage.scenario.run(["verify", "--json"]).ok().json();
    let probes = document["probes"].as_array().expect("is a list");
    let passed = |name: &str| {
        let probe = probes.iter().find(|probe| probe["name"] == name);
        let probe = probe.expect("is there");
        assert_eq!(probe["result"], "passed", "{probe}");
        probe["observed"].as_str().expect("is a text").to_owned()
    };
    let outside = Outside {
        stage: &stage,
        sockets: sockets(&aws),
    };

    for (probe, client) in CLIENTS {
        let seen = outside.curl("https://api.example.com/", client);
        let is_let_in = seen.starts_with("200 ");
        assert!(is_let_in || seen.starts_with("000 "), "{probe}: {seen}");
        assert_eq!(
            is_let_in,
            passed(probe).starts_with("HTTP 200"),
            "{probe}: {seen}"
        );
    }
    let seen = outside.curl("https://api.example.com/", Some("client"));
    assert_eq!(
        (seen.trim(), passed("http_2").as_str()),
        ("200 2", "HTTP/2, HTTP 200")
    );
    let seen = outside.curl("http://api.example.com/", None);
    let (status, to) = seen.trim().split_once(" 1.1 ").expect("has a target");
    // curl leaves out the port that is the usual one.
    let redirected = passed("http_redirect").replace(":443/", "/");
    assert_eq!(
        format!("HTTP {status} to {}", to.replace(":443/", "/")),
        redirected
    );
    for (probe, option, name) in [
        ("tls_1_3", "-tls1_3", "TLSv1.3"),
        ("tls_1_2", "-tls1_2", "TLSv1.2"),
        ("tls_1_1", "-tls1_1", "TLSv1.1"),
    ] {
        let seen = outside.openssl(&[option, "-cipher", "DEFAULT@SECLEVEL=0"]);
        let is_taken = seen.contains(&format!("New, {name}, Cipher is"));
        assert_eq!(is_taken, passed(probe) == "accepted", "{probe}: {seen}");
    }
    let seen = outside.openssl(&[]);
    assert!(seen.contains("Verify return code: 0 (ok)"), "{seen}");
    passed("server_certificate");
    let names = "Acceptable client certificate CA names\nCN = root\nRequested";
    assert!(seen.contains(names), "{seen}");
    assert_eq!(passed("ca_names"), "CN=root");
}
