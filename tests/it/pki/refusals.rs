//! What is refused, and that nothing has changed afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{pki, scenario};
use crate::support::Scenario;

/// Every file below the directory with its content.
fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).expect("is readable") {
        let path = entry.expect("is readable").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_none_or(|name| name != "lock") {
            found.insert(
                path.display().to_string(),
                fs::read(&path).expect("is readable"),
            );
        }
    }
    found
}

/// Runs what must be refused for a reason, with all files as they were.
#[track_caller]
fn refuses(scenario: &Scenario, line: &str, reason: &str) {
    let before = files(&scenario.path(""));
    let arguments = line.split(' ').map(|word| word.trim_matches('\''));
    let outcome = pki(scenario, arguments);
    assert!(matches!(outcome.code, 1 | 64), "{outcome}");
    outcome.says(reason);
    assert_eq!(files(&scenario.path("")), before, "{line}");
}

#[test]
fn nothing_is_overwritten_without_force() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    pki(&scenario, ["issue", "alice"]).ok();
    pki(&scenario, ["csr", "bob"]).ok();
    pki(&scenario, ["sign", "bob_csr.pem"]).ok();
    let p12 = "p12 alice_cert.pem alice_key.pem --passphrase-file passphrase";
    pki(&scenario, p12.split(' ')).ok();
    for line in [
        "issue alice",
        "csr bob",
        "sign bob_csr.pem",
        p12,
        "convert alice_cert.pem --out alice_cert.pem",
    ] {
        refuses(&scenario, line, "is there already");
    }
    refuses(&scenario, "ca root", "is there already");
    let before = scenario.read("alice_key.pem");
    pki(&scenario, ["issue", "alice", "--force"]).ok();
    assert_ne!(scenario.read("alice_key.pem"), before);
}

#[test]
fn nothing_outlives_its_ca() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root", "--days", "30"]).ok();
    refuses(
        &scenario,
        "issue alice --days 31",
        "would outlive CA `root`",
    );
    refuses(&scenario, "issue alice --days 0", "0 days");
    refuses(
        &scenario,
        "issue alice --days 4000000000",
        "beyond the year 9999",
    );
    let end = |file: &str| {
        let json = pki(&scenario, ["inspect", file, "--json"]).ok().json();
        json["files"][0]["items"][0]["not_after"].clone()
    };
    pki(&scenario, ["issue", "alice"])
        .ok()
        .says("ends with its CA");
    assert_eq!(end("alice_cert.pem"), end("pki/root/cert.pem"));
}

#[test]
fn path_lengths_are_kept_to() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root", "--path-length", "1"]).ok();
    pki(&scenario, ["ca", "second", "--under", "root"]).ok();
    refuses(
        &scenario,
        "ca third --under second",
        "CN=second allows 0 CAs below it",
    );
    pki(
        &scenario,
        ["ca", "wide", "--under", "root", "--path-length", "3"],
    )
    .ok();
    pki(&scenario, ["ca", "narrow", "--under", "wide"])
        .exits(1)
        .says("CN=root allows 1 CAs");
}

#[test]
fn only_the_ca_that_issued_can_revoke() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    pki(&scenario, ["ca", "other"]).ok();
    pki(&scenario, ["issue", "alice", "--ca", "root"]).ok();
    refuses(
        &scenario,
        "revoke alice_cert.pem --ca other",
        "was not issued by CA `other`",
    );
    refuses(
        &scenario,
        "revoke --serial 1234 --ca root",
        "nothing with the serial 1234",
    );
    refuses(&scenario, "revoke --serial xyz --ca root", "not a serial");
    refuses(
        &scenario,
        "revoke alice_cert.pem --reason removeFromCRL",
        "delta CRLs",
    );
    refuses(
        &scenario,
        "revoke alice_cert.pem --reason whim",
        "keyCompromise",
    );
    refuses(&scenario, "revoke passphrase", "neither PEM nor DER");
    refuses(&scenario, "revoke", "CERT");
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_made() {
    let scenario = scenario();
    refuses(&scenario, "issue alice", "there is no CA in pki");
    refuses(&scenario, "ca ../root", "cannot be the name of a CA");
    refuses(&scenario, "ca root --key rsa1024", "rsa2048");
    refuses(&scenario, "ca root --subject alice", "has no `=`");
    refuses(&scenario, "ca root --under nobody", "there is no CA in pki");
    pki(&scenario, ["ca", "root"]).ok();
    refuses(
        &scenario,
        "ca below --under nobody",
        "there is no CA `nobody`",
    );
    refuses(&scenario, "issue a/b", "cannot be part of a file's name");
    refuses(
        &scenario,
        "issue web --server",
        "needs the names of the server",
    );
    refuses(&scenario, "issue alice --san dns:a_b_.-", "no DNS name");
    refuses(
        &scenario,
        "sign pki/root/cert.pem",
        "no certificate request",
    );
    refuses(&scenario, "inspect passphrase", "neither PEM nor");
    refuses(&scenario, "inspect nowhere", "cannot read nowhere");
    pki(&scenario, ["ca", "other"]).ok();
    refuses(&scenario, "issue alice", "several CAs");
}

#[test]
fn a_key_and_a_certificate_must_belong_together() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    pki(&scenario, ["issue", "alice"]).ok();
    pki(&scenario, ["issue", "bob"]).ok();
    let p12 = "p12 alice_cert.pem bob_key.pem --passphrase-file passphrase";
    refuses(
        &scenario,
        p12,
        "none of the certificates belongs to the key",
    );
    refuses(
        &scenario,
        "p12 alice_cert.pem alice_key.pem",
        "nobody is there",
    );
    fs::copy(
        scenario.path("bob_key.pem"),
        scenario.path("pki/root/key.pem"),
    )
    .expect("can be copied");
    refuses(
        &scenario,
        "issue carol",
        "does not belong to its certificate",
    );
}

#[test]
fn a_damaged_database_stops_everything() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    fs::write(scenario.path("pki/root/index.txt"), "nonsense\n").expect("can be written");
    for line in ["issue alice", "crl", "list", "revoke --serial 01 --ca root"] {
        refuses(&scenario, line, "line 1 is not one of the database");
    }
    fs::write(scenario.path("pki/root/index.txt"), "").expect("can be written");
    fs::write(scenario.path("pki/root/crlnumber"), "many\n").expect("can be written");
    refuses(&scenario, "crl", "does not hold a number in hex");
}
