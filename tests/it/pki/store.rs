//! The files of the store: modes, order of writing, concurrent writers, listing.

use std::fs;

use super::{PASSPHRASE, pki, scenario, serial};

#[cfg(unix)]
#[test]
fn only_their_owner_can_read_keys_and_archives() {
    use std::os::unix::fs::PermissionsExt;
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    pki(&scenario, ["issue", "alice", "--out", "clients"]).ok();
    pki(&scenario, ["csr", "bob"]).ok();
    pki(&scenario, ["csr", "carol", "--out", "requests/new"]).ok();
    let files = ["clients/alice_cert.pem", "clients/alice_key.pem"];
    pki(
        &scenario,
        ["p12", files[0], files[1], "--passphrase-file", "passphrase"],
    )
    .ok();
    let mode = |file: &str| {
        let metadata = scenario.path(file).metadata().expect("is there");
        metadata.permissions().mode() & 0o777
    };
    for key in [
        "pki/root/key.pem",
        "clients/alice_key.pem",
        "bob_key.pem",
        "clients/alice.p12",
    ] {
        assert_eq!(mode(key), 0o600, "{key}");
    }
    for directory in [
        "pki",
        "pki/root",
        "pki/root/issued",
        "clients",
        "requests",
        "requests/new",
    ] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
    for public in ["pki/root/cert.pem", "clients/alice_cert.pem", "bob_csr.pem"] {
        assert_eq!(mode(public), 0o644, "{public}");
    }
}

#[test]
fn keys_are_kept_out_of_repositories() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    assert!(scenario.read("pki/.gitignore").contains("key.pem\n"));
}

#[test]
fn what_was_cut_short_can_be_revoked() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    // The copy cannot be written: as if the process had ended between record and certificate.
    fs::remove_dir(scenario.path("pki/root/issued")).expect("is empty");
    fs::write(scenario.path("pki/root/issued"), "").expect("can be written");
    pki(&scenario, ["issue", "alice"])
        .exits(1)
        .says("pki/root/issued");
    assert!(!scenario.path("alice_cert.pem").exists());
    let index = scenario.read("pki/root/index.txt");
    let serial = index.split('\t').nth(3).expect("it is recorded").to_owned();
    pki(&scenario, ["revoke", "--serial", &serial, "--crl"])
        .ok()
        .says("1 revoked");
    pki(&scenario, ["list"]).ok().says(&serial).says("revoked");
}

#[test]
fn what_could_not_be_written_says_how_to_take_it_back() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    // A directory where the key is to go is not replaced by it, with or without --force.
    fs::create_dir_all(scenario.path("alice_key.pem/x")).expect("can be made");
    let outcome = pki(&scenario, ["issue", "alice", "--force"]).exits(1);
    let outcome = outcome
        .says("issued all the same")
        .says("pki revoke --serial ");
    let serial = outcome.stderr.split("--serial ").nth(1).expect("is named");
    let serial = serial.split('`').next().expect("is named");
    pki(&scenario, ["revoke", "--serial", serial]).ok();
}

#[test]
fn writers_wait_for_each_other() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    let names: Vec<String> = (0..8).map(|number| format!("client{number}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| pki(&scenario, ["issue", name, "--out", "clients"]).ok());
        }
    });
    let list = pki(&scenario, ["list", "--json"]).ok().json();
    let issued = list["cas"][0]["issued"]
        .as_array()
        .expect("is a list")
        .clone();
    let serials: std::collections::BTreeSet<&str> = issued
        .iter()
        .filter_map(|one| one["serial"].as_str())
        .collect();
    assert_eq!(serials.len(), names.len());
    for serial in serials {
        assert!(
            scenario
                .path(&format!("pki/root/issued/{serial}.pem"))
                .exists()
        );
        assert_eq!(serial.len(), 32);
        assert!(serial.as_bytes()[0] < b'8', "{serial} would be negative");
    }
}

#[test]
fn crl_numbers_grow_and_are_never_used_twice() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    let number = || {
        pki(&scenario, ["crl", "--json"]).ok().json()["crl"]["number"]
            .as_str()
            .expect("is there")
            .to_owned()
    };
    assert_eq!([number(), number()], ["1", "2"]);
    // Whoever loses one of counter and latest list still has the other.
    fs::remove_file(scenario.path("pki/root/crl.pem")).expect("is there");
    assert_eq!(number(), "3");
    fs::remove_file(scenario.path("pki/root/crlnumber")).expect("is there");
    assert_eq!(number(), "4");
    fs::write(scenario.path("pki/root/crlnumber"), "FF\n").expect("can be written");
    assert_eq!([number(), number()], ["255", "256"]);
}

#[test]
fn pem_and_der_are_the_same_crl_which_begins_earlier_if_asked_to() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    let crl = pki(
        &scenario,
        ["crl", "--days", "7", "--backdate", "1h", "--json"],
    )
    .ok()
    .json();
    let crl = &crl["crl"];
    let time = |name: &str| {
        let format = &time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::parse(crl[name].as_str().expect("is there"), format)
            .expect("is a time")
    };
    assert_eq!(
        time("next_update") - time("this_update"),
        time::Duration::days(7)
    );
    assert!(time::OffsetDateTime::now_utc() - time("this_update") >= time::Duration::hours(1));
    let digest = |file: &str| {
        let inspected = pki(&scenario, ["inspect", file, "--json"]).ok().json();
        inspected["files"][0]["items"][0]["digest_sha256"].clone()
    };
    assert_eq!(digest("pki/root/crl.pem"), digest("pki/root/crl.der"));
    assert_eq!(digest("pki/root/crl.pem"), crl["digest_sha256"]);
}

#[test]
fn revoking_twice_is_told_and_who_is_on_hold_can_be_revoked_for_good() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    pki(&scenario, ["issue", "alice"]).ok();
    let revoke = |reason| pki(&scenario, ["revoke", "alice_cert.pem", "--reason", reason]).ok();
    revoke("hold").says("certificateHold");
    revoke("keyCompromise")
        .says("revoked ")
        .says("keyCompromise");
    let index = scenario.read("pki/root/index.txt");
    revoke("superseded")
        .says("was revoked before")
        .says("keyCompromise");
    assert_eq!(scenario.read("pki/root/index.txt"), index);
}

#[test]
fn the_list_tells_what_is_valid_revoked_and_soon_to_end() {
    let scenario = scenario();
    pki(&scenario, ["list"]).ok().says("no CAs in pki");
    pki(
        &scenario,
        ["ca", "root", "--subject", "CN=Root CA,O=Example"],
    )
    .ok();
    pki(&scenario, ["list"]).ok().says("no CRL yet");
    let alice = serial(&pki(&scenario, ["issue", "alice", "--days", "10", "--json"]).ok());
    let bob = serial(&pki(&scenario, ["issue", "bob", "--json"]).ok());
    pki(&scenario, ["crl"]).ok();
    pki(&scenario, ["revoke", "--serial", &bob]).ok();
    let list = pki(&scenario, ["list"]).ok().says("CN=Root CA,O=Example");
    list.says("1 revoked and not in the CRL")
        .says("CN=alice")
        .says("unspecified");
    let expiring = pki(&scenario, ["list", "--expiring", "30", "--json"])
        .ok()
        .json();
    let expiring = &expiring["cas"][0];
    assert_eq!(expiring["issued"].as_array().map(Vec::len), Some(1));
    assert_eq!(expiring["issued"][0]["serial"], alice.as_str());
    assert_eq!(expiring["issued"][0]["state"], "valid");
    assert_eq!(expiring["revoked_but_not_in_crl"], 1);
}

#[test]
fn passphrases_come_from_files_and_the_environment() {
    let mut scenario = scenario();
    scenario.set("SECRET", PASSPHRASE);
    pki(&scenario, ["ca", "root", "--passphrase-env", "SECRET"]).ok();
    let key = scenario.read("pki/root/key.pem");
    assert!(
        key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        "it is encrypted"
    );
    pki(
        &scenario,
        [
            "issue",
            "alice",
            "--ca-passphrase-env",
            "SECRET",
            "--passphrase-file",
            "passphrase",
        ],
    )
    .ok();
    let key = scenario.read("alice_key.pem");
    assert!(
        key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        "it is encrypted"
    );
    pki(&scenario, ["crl", "--ca-passphrase-env", "UNSET"])
        .exits(1)
        .says("UNSET is not set");
    pki(&scenario, ["crl", "--ca-passphrase-file", "passphrase"]).ok();
    scenario.write("empty", "\nsecond line");
    pki(&scenario, ["crl", "--ca-passphrase-file", "empty"])
        .exits(1)
        .says("is empty");
    // Nothing takes a passphrase as it is: whoever lists processes would read it.
    pki(&scenario, ["crl", "--passphrase", "word"]).exits(64);
}

#[test]
fn a_ca_below_and_its_clients_come_with_their_chain() {
    let scenario = scenario();
    pki(&scenario, ["ca", "root"]).ok();
    pki(&scenario, ["ca", "issuing", "--under", "root"]).ok();
    pki(&scenario, ["issue", "alice", "--ca", "issuing"]).ok();
    let chain = scenario.read("alice_cert.pem");
    assert!(chain.ends_with(&scenario.read("pki/issuing/cert.pem")));
    assert_eq!(chain.matches("BEGIN").count(), 2);
    assert_eq!(
        scenario.read("pki/issuing/chain.pem"),
        scenario.read("pki/root/cert.pem")
    );
    // What has issued the certificate is found without being named.
    pki(&scenario, ["revoke", "alice_cert.pem"]).ok();
    assert!(scenario.read("pki/issuing/index.txt").starts_with("R\t"));
}

#[test]
fn a_chain_too_long_for_load_balancers_is_told() {
    let scenario = scenario();
    let below = |name, above| {
        let arguments = ["ca", name, "--under", above, "--path-length", "5"];
        pki(&scenario, arguments).ok()
    };
    let issue = |above| pki(&scenario, ["issue", above, "--ca", above]).ok();
    pki(&scenario, ["ca", "root"]).ok();
    let silent = [below("one", "root"), below("two", "one"), issue("two")];
    for outcome in silent {
        assert!(!outcome.stderr.contains("at most 4"), "{outcome}");
    }
    let told = "a client of CA `three` has 5 certificates, and load balancers accept at most 4";
    below("three", "two").says(told);
    issue("three").says(told);
    pki(&scenario, ["csr", "dave"]).ok();
    pki(&scenario, ["sign", "dave_csr.pem", "--ca", "three"])
        .ok()
        .says(told);
    let server = "issue web --server --san a.example.com --ca three";
    let server = pki(&scenario, server.split(' ')).ok();
    assert!(!server.stderr.contains("at most 4"), "{server}");
}

#[test]
fn another_directory_comes_from_the_option_or_the_environment() {
    let mut scenario = scenario();
    pki(&scenario, ["--dir", "a", "ca", "root"]).ok();
    scenario.set("MTLSGW_PKI", "b");
    pki(&scenario, ["ca", "root"]).ok();
    assert!(scenario.path("a/root/cert.pem").exists() && scenario.path("b/root/cert.pem").exists());
    assert!(!scenario.path("pki").exists());
}
