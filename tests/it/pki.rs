//! A CA in files, judged by the `openssl` command: what either makes, the other reads.

mod documentation;
mod foreign;
mod openssl;
mod refusals;
mod store;

use crate::support::{Outcome, Scenario};
use openssl::Openssl;

/// The passphrase of all tests; never to be seen in anything that is printed.
const PASSPHRASE: &str = "correct horse 猫";

/// A directory with the passphrase in a file.
fn scenario() -> Scenario {
    Scenario::empty().file("passphrase", format!("{PASSPHRASE}\n"))
}

/// The words of a command line.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ')
}

/// Runs a verb of `pki`; the passphrase shows nowhere.
#[track_caller]
fn pki<'a>(scenario: &Scenario, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
    let outcome = scenario.run_bare(std::iter::once("pki").chain(arguments));
    assert!(!outcome.stdout.contains(PASSPHRASE), "{outcome}");
    assert!(!outcome.stderr.contains(PASSPHRASE), "{outcome}");
    outcome
}

/// The serial in an answer of `issue` or `sign --json`.
fn serial(outcome: &Outcome) -> String {
    let json = outcome.json();
    let serial = json["certificate"]["serial"].as_str();
    serial
        .unwrap_or_else(|| panic!("no serial: {outcome}"))
        .to_owned()
}

/// Every kind of key but the largest, which takes too long to make.
const KINDS: [&str; 5] = ["p256", "p384", "p521", "rsa2048", "rsa3072"];

#[test]
fn every_kind_of_key_verifies_below_an_intermediate() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(
        &scenario,
        [
            "ca",
            "root",
            "--key",
            "p384",
            "--subject",
            "CN=Root,OU=A,OU=B,O=Example\\, Inc.,DC=example,DC=com",
        ],
    )
    .ok();
    pki(
        &scenario,
        ["ca", "issuing", "--under", "root", "--key", "rsa2048"],
    )
    .ok();
    for kind in KINDS {
        pki(
            &scenario,
            [
                "issue",
                kind,
                "--key",
                kind,
                "--ca",
                "issuing",
                "--san",
                "email:a@example.com",
            ],
        )
        .ok();
        let file = format!("{kind}_cert.pem");
        let path = ["-CAfile", "pki/root/cert.pem", "-untrusted", &file];
        let strict = ["verify", "-x509_strict", "-purpose", "sslclient"];
        openssl
            .run(strict.iter().copied().chain(path).chain([&*file]))
            .says("OK");
        let public = openssl.run(["x509", "-in", &file, "-noout", "-pubkey"]);
        let own = openssl.run(["pkey", "-in", &format!("{kind}_key.pem"), "-pubout"]);
        assert_eq!(public.stdout, own.stdout, "{kind}");
    }
    let subject = openssl.run([
        "x509",
        "-in",
        "pki/issuing/cert.pem",
        "-noout",
        "-issuer",
        "-nameopt",
        "RFC2253",
    ]);
    assert_eq!(
        subject.stdout,
        "issuer=CN=Root,OU=A,OU=B,O=Example\\, Inc.,DC=example,DC=com\n"
    );
}

#[test]
fn hashes_of_rsa_can_be_chosen_and_are_kept() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(
        &scenario,
        ["ca", "root", "--key", "rsa2048", "--hash", "sha512"],
    )
    .ok();
    pki(&scenario, ["issue", "alice"]).ok();
    pki(&scenario, ["crl"]).ok();
    for [kind, file] in [
        ["x509", "pki/root/cert.pem"],
        ["x509", "alice_cert.pem"],
        ["crl", "pki/root/crl.pem"],
    ] {
        openssl
            .run([kind, "-in", file, "-noout", "-text"])
            .says("sha512WithRSAEncryption");
    }
    pki(&scenario, ["ca", "other", "--hash", "sha512"])
        .exits(1)
        .says("hash of its curve");
}

#[test]
fn extensions_are_those_of_rfc_5280() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root", "--path-length", "1"]).ok();
    pki(
        &scenario,
        [
            "issue",
            "alice",
            "--key",
            "rsa2048",
            "--san",
            "uri:spiffe://example.com/alice",
        ],
    )
    .ok();
    pki(
        &scenario,
        [
            "issue",
            "web",
            "--server",
            "--san",
            "api.example.com",
            "--san",
            "127.0.0.1",
        ],
    )
    .ok();
    let text = |file| openssl.run(["x509", "-in", file, "-noout", "-text"]);
    let root = text("pki/root/cert.pem").says("Basic Constraints: critical");
    let root = root.says("CA:TRUE, pathlen:1").says("Key Usage: critical");
    root.says("Certificate Sign, CRL Sign")
        .says("Subject Key Identifier");
    let alice = text("alice_cert.pem")
        .says("CA:FALSE")
        .says("TLS Web Client Authentication");
    let alice = alice
        .says("Digital Signature, Key Encipherment")
        .says("Authority Key Identifier");
    alice.says("URI:spiffe://example.com/alice");
    let web = text("web_cert.pem").says("TLS Web Server Authentication");
    let web = web.says("DNS:api.example.com, IP Address:127.0.0.1");
    assert!(!web.stdout.contains("Key Encipherment"), "{}", web.stdout);
}

#[test]
fn a_revoked_certificate_is_refused_and_the_others_are_not() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root"]).ok();
    pki(&scenario, ["ca", "issuing", "--under", "root"]).ok();
    for name in ["alice", "bob", "carol"] {
        pki(&scenario, ["issue", name, "--ca", "issuing"]).ok();
    }
    let carol = openssl.run(words("x509 -in carol_cert.pem -noout -serial"));
    let carol = carol.stdout.trim().trim_start_matches("serial=");
    let carol = carol.to_lowercase();
    pki(&scenario, ["crl", "--ca", "root"]).ok();
    let bob = "revoke bob_cert.pem --reason keyCompromise";
    pki(&scenario, words(bob)).ok().says("pki crl");
    let carol = format!("revoke --serial {carol} --reason hold --crl");
    pki(&scenario, words(&carol)).ok().says("2 revoked");
    let verify = |file| {
        let lists = "-CRLfile pki/root/crl.pem -CRLfile pki/issuing/crl.pem";
        let path = "-CAfile pki/root/cert.pem -untrusted pki/issuing/cert.pem";
        openssl.run(words(&format!(
            "verify -crl_check_all {path} {lists} {file}"
        )))
    };
    verify("alice_cert.pem").says("OK");
    for file in ["bob_cert.pem", "carol_cert.pem"] {
        verify(file).says("certificate revoked");
    }
    let crl = "crl -in pki/issuing/crl.pem -CAfile pki/issuing/cert.pem -noout -text";
    let crl = openssl.run(words(crl)).says("verify OK");
    crl.says("Key Compromise").says("Certificate Hold");
    let revoke = "revoke pki/issuing/cert.pem --reason CACompromise --crl";
    pki(&scenario, words(revoke)).ok();
    verify("alice_cert.pem").says("certificate revoked");
}

#[test]
fn pkcs12_opens_in_both_modes() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root"]).ok();
    let issue = "issue alice --key rsa2048 --passphrase-file passphrase";
    pki(&scenario, words(issue)).ok();
    let make = "p12 alice_cert.pem alice_key.pem --chain pki/root/cert.pem --force \
                --passphrase-file passphrase --key-passphrase-file passphrase";
    let open = "pkcs12 -in alice.p12 -passin file:passphrase -noenc -info";
    let public = openssl.run(words("x509 -in alice_cert.pem -noout -pubkey"));
    for (ours, theirs, said) in [
        ("", "", "PBES2, PBKDF2, AES-256-CBC"),
        (" --legacy", " -legacy", "pbeWithSHA1And3-KeyTripleDES-CBC"),
    ] {
        pki(&scenario, words(&format!("{make}{ours}"))).ok();
        let opened = openssl.run(words(&format!("{open}{theirs}"))).says(said);
        assert_eq!(opened.stdout.matches("BEGIN CERTIFICATE").count(), 2);
        let own = openssl.pipe(["pkey", "-pubout"], &opened.stdout);
        assert_eq!(own, public.stdout);
        let inspect = "inspect alice.p12 --passphrase-file passphrase";
        let inspected = pki(&scenario, words(inspect)).ok();
        inspected.says("private key, RSA 2048").says("CN=root");
    }
    pki(&scenario, ["inspect", "alice.p12"])
        .ok()
        .says("encrypted");
}

#[test]
fn requests_are_read_by_openssl_and_signed_with_what_they_ask_for() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root"]).ok();
    pki(
        &scenario,
        [
            "csr",
            "dave",
            "--subject",
            "CN=dave,O=例",
            "--san",
            "dave.example.com",
        ],
    )
    .ok();
    openssl
        .run(["req", "-in", "dave_csr.pem", "-verify", "-noout", "-text"])
        .says("verify OK")
        .says("DNS:dave.example.com");
    pki(&scenario, ["sign", "dave_csr.pem"])
        .ok()
        .says("CN=dave,O=例")
        .says("dns:dave.example.com");
    openssl
        .run(["verify", "-CAfile", "pki/root/cert.pem", "dave_cert.pem"])
        .says("OK");
    let sign = [
        "sign",
        "dave_csr.pem",
        "--subject",
        "CN=david",
        "--san",
        "email:d@example.com",
        "--out",
        "david_cert.pem",
    ];
    pki(&scenario, sign)
        .ok()
        .says("CN=david")
        .says("names: email:d@example.com");
}

#[test]
fn client_and_server_of_one_ca_shake_hands() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root"]).ok();
    pki(
        &scenario,
        ["ca", "issuing", "--under", "root", "--key", "p384"],
    )
    .ok();
    pki(&scenario, ["ca", "stranger"]).ok();
    pki(
        &scenario,
        [
            "issue",
            "web",
            "--server",
            "--san",
            "127.0.0.1",
            "--ca",
            "root",
        ],
    )
    .ok();
    pki(
        &scenario,
        ["issue", "alice", "--ca", "issuing", "--key", "rsa2048"],
    )
    .ok();
    pki(&scenario, ["issue", "mallory", "--ca", "stranger"]).ok();
    let server = openssl.serve("web_cert.pem", "web_key.pem", "pki/root/cert.pem");
    let alice = server.ask("alice_cert.pem", "alice_key.pem", "pki/root/cert.pem");
    assert!(alice.contains("HTTP/1.0 200"), "{alice}");
    let mallory = server.ask("mallory_cert.pem", "mallory_key.pem", "pki/root/cert.pem");
    assert!(!mallory.contains("HTTP/1.0 200"), "{mallory}");
}

#[test]
fn openssl_goes_on_where_mtlsgw_stopped_and_the_other_way_round() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root"]).ok();
    let alice = serial(&pki(&scenario, ["issue", "alice", "--json"]).ok());
    let bob = serial(&pki(&scenario, ["issue", "bob", "--json"]).ok());
    pki(
        &scenario,
        ["revoke", "bob_cert.pem", "--reason", "superseded", "--crl"],
    )
    .ok()
    .says("CRL 1 ");
    let ca = openssl.within("pki/root");
    let config = ["ca", "-config", "openssl.cnf", "-batch"];
    let run = |arguments: &[&str]| ca.run(config.iter().chain(arguments).copied());
    run(&["-status", &alice]).says("Valid (V)");
    run(&["-status", &bob]).says("Revoked (R)");
    let issued = format!("issued/{alice}.pem");
    run(&["-revoke", &issued, "-crl_reason", "keyCompromise"]).says("Revoking");
    run(&["-gencrl", "-out", "crl.pem"]);
    pki(&scenario, ["inspect", "pki/root/crl.pem"])
        .ok()
        .says(&alice)
        .says(&bob)
        .says("number       2");
    pki(&scenario, ["csr", "carol"]).ok();
    run(&[
        "-in",
        "../../carol_csr.pem",
        "-out",
        "../../carol_cert.pem",
        "-notext",
    ])
    .says("Database updated");
    pki(&scenario, ["revoke", "carol_cert.pem", "--crl"])
        .ok()
        .says("CRL 3 ")
        .says("3 revoked");
    let list = pki(&scenario, ["list"])
        .ok()
        .says("keyCompromise")
        .says("superseded");
    assert_eq!(list.stdout.matches(" revoked ").count(), 3, "{list}");
    openssl
        .run([
            "crl",
            "-in",
            "pki/root/crl.pem",
            "-CAfile",
            "pki/root/cert.pem",
            "-noout",
        ])
        .says("verify OK");
}
