//! What openssl makes in all its forms, and the manual procedure that `pki` replaces.

use super::openssl::Openssl;
use super::{pki, scenario, words};

#[test]
fn keys_are_read_in_every_form() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    for line in [
        "genrsa -traditional -out pkcs1_key.pem 2048",
        "pkcs8 -topk8 -nocrypt -in pkcs1_key.pem -out pkcs8_key.pem",
        "pkcs8 -topk8 -nocrypt -in pkcs1_key.pem -outform DER -out pkcs8.der",
        "rsa -traditional -in pkcs1_key.pem -outform DER -out pkcs1.der",
        "ecparam -name secp384r1 -genkey -out sec1_key.pem",
        "ec -in sec1_key.pem -outform DER -out sec1.der",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521_key.pem",
    ] {
        openssl.run(words(line));
    }
    let sec1 = scenario.read("sec1_key.pem");
    assert!(
        sec1.starts_with("-----BEGIN EC PARAMETERS"),
        "the parameters come first"
    );
    for (file, kind) in [
        ("pkcs1_key.pem", "RSA 2048"),
        ("pkcs8_key.pem", "RSA 2048"),
        ("pkcs8.der", "RSA 2048"),
        ("pkcs1.der", "RSA 2048"),
        ("sec1_key.pem", "ECDSA P-384"),
        ("sec1.der", "ECDSA P-384"),
        ("p521_key.pem", "ECDSA P-521"),
    ] {
        let said = format!("{file}: private key, {kind}, not encrypted");
        pki(&scenario, ["inspect", file]).ok().says(&said);
    }
}

#[test]
fn encrypted_keys_are_opened_with_their_passphrase_only() {
    let scenario = scenario().file("other", "another one");
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    openssl.run(words("req -x509 -newkey rsa:2048 -noenc -subj /CN=alice -keyout plain_key.pem -out alice_cert.pem"));
    for (how, file) in [
        ("-v2 aes-256-cbc", "aes_key.pem"),
        ("-v2 des3", "des_key.pem"),
        ("-v2 aes-128-cbc -v2prf hmacWithSHA1", "sha1_key.pem"),
        ("-scrypt", "scrypt_key.pem"),
    ] {
        let line =
            format!("pkcs8 -topk8 -in plain_key.pem -passout file:passphrase {how} -out {file}");
        openssl.run(words(&line));
        pki(&scenario, ["inspect", file])
            .ok()
            .says("private key, encrypted");
        let p12 = |passphrase| {
            pki(
                &scenario,
                [
                    "p12",
                    "alice_cert.pem",
                    file,
                    "--key-passphrase-file",
                    passphrase,
                    "--passphrase-file",
                    "passphrase",
                    "--force",
                ],
            )
        };
        p12("other").exits(1).says("passphrase of the key is wrong");
        p12("passphrase").ok();
    }
    let without = [
        "p12",
        "alice_cert.pem",
        "aes_key.pem",
        "--passphrase-file",
        "passphrase",
        "--force",
    ];
    pki(&scenario, without)
        .exits(1)
        .says("nobody is there")
        .says("--key-passphrase-file");
}

#[test]
fn keys_encrypted_in_old_forms_are_refused_with_the_way_out() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    openssl.run(words("genrsa -out plain_key.pem 2048"));
    openssl.run(words(
        "rsa -traditional -aes128 -in plain_key.pem -passout file:passphrase -out old_key.pem",
    ));
    pki(&scenario, ["inspect", "old_key.pem"])
        .exits(1)
        .says("DEK-Info")
        .says("openssl pkcs8 -topk8");
    openssl.run(words(
        "pkcs8 -topk8 -v1 PBE-SHA1-3DES -in plain_key.pem -passout file:passphrase -out pbes1_key.pem",
    ));
    pki(&scenario, ["inspect", "pbes1_key.pem"])
        .exits(1)
        .says("PBES2 is")
        .says("openssl pkcs8 -topk8");
}

#[test]
fn requests_of_openssl_are_signed_as_they_are() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root"]).ok();
    let subject = "-subj /DC=com/DC=example/OU=A+CN=alice/OU=B -multivalue-rdn";
    let names = "subjectAltName=DNS:a.example.com,IP:10.0.0.1,email:a@example.com,URI:spiffe://a";
    let files = "-keyout alice_key.pem -outform DER -out alice.csr";
    let request = format!("req -new -newkey rsa:3072 -noenc {subject} -addext {names} {files}");
    openssl.run(words(&request));
    let names = "names: dns:a.example.com, ip:10.0.0.1, email:a@example.com, uri:spiffe://a";
    pki(&scenario, ["sign", "alice.csr"]).ok().says(names);
    let subject = "-noout -subject -nameopt RFC2253";
    let request = openssl.run(words(&format!("req -inform DER -in alice.csr {subject}")));
    let certificate = openssl.run(words(&format!("x509 -in alice_cert.pem {subject}")));
    assert_eq!(request.stdout, certificate.stdout);
    assert!(request.stdout.contains('+'), "{}", request.stdout);
    let verify = "verify -x509_strict -CAfile pki/root/cert.pem alice_cert.pem";
    openssl.run(words(verify)).says("OK");
}

#[test]
fn requests_that_no_load_balancer_would_like_are_not_signed() {
    let mut scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root"]).ok();
    let new = "req -new -noenc -subj /CN=a -keyout a_key.pem";
    openssl.run(words(&format!(
        "{new} -newkey rsa:2048 -outform DER -out good.csr"
    )));
    let mut forged = std::fs::read(scenario.path("good.csr")).expect("is there");
    let last = forged.len() - 1;
    forged[last] ^= 1;
    scenario.write("forged.csr", &forged);
    let other = "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@example.com";
    for line in [
        "-newkey rsa:1024 -out short.csr",
        "-newkey ed25519 -out ed.csr",
        "-newkey rsa:2048 -sha1 -out old.csr",
        &format!("-newkey rsa:2048 -addext {other} -out other.csr"),
    ] {
        openssl.run(words(&format!("{new} {line}")));
    }
    for (file, reason) in [
        ("forged.csr", "signature of the request is wrong"),
        ("short.csr", "RSA 1024"),
        ("ed.csr", "Ed25519"),
        ("old.csr", "cannot be verified"),
        ("other.csr", "not issued here"),
    ] {
        pki(&scenario, ["sign", file]).exits(1).says(reason);
    }
    assert_eq!(scenario.read("pki/root/index.txt"), "");
}

#[test]
fn archives_of_openssl_are_read() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    openssl.run(words("req -x509 -newkey rsa:2048 -noenc -subj /CN=alice -keyout alice_key.pem -out alice_cert.pem"));
    let export = "pkcs12 -export -in alice_cert.pem -inkey alice_key.pem -name alice -passout file:passphrase -out";
    for (mode, file) in [
        ("", "modern.p12"),
        (" -legacy", "legacy.p12"),
        (" -nomac", "unsigned.p12"),
    ] {
        openssl.run(words(&format!("{export} {file}{mode}")));
        let inspect = ["inspect", file, "--passphrase-file", "passphrase"];
        pki(&scenario, inspect)
            .ok()
            .says("private key, RSA 2048")
            .says("CN=alice");
    }
    let scenario = scenario.file("other", "another one");
    pki(
        &scenario,
        ["inspect", "modern.p12", "--passphrase-file", "other"],
    )
    .exits(1)
    .says("is wrong");
}

/// The manual procedure: a root, a client certificate, a CRL; then the tool takes over.
#[test]
fn a_ca_made_by_hand_is_taken_in_and_revokes_what_it_issued_before() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    for line in [
        "req -x509 -newkey rsa:2048 -noenc -days 3650 -subj /DC=com/O=Example/CN=Root -keyout root_key.pem -out root_cert.pem",
        "req -new -newkey rsa:2048 -noenc -subj /CN=alice -keyout alice_key.pem -out alice.csr",
        "x509 -req -in alice.csr -CA root_cert.pem -CAkey root_key.pem -CAcreateserial -days 365 -out alice_cert.pem",
    ] {
        openssl.run(words(line));
    }
    pki(
        &scenario,
        ["ca", "root", "--import", "root_cert.pem", "alice_key.pem"],
    )
    .exits(1)
    .says("does not belong");
    pki(
        &scenario,
        ["ca", "alice", "--import", "alice_cert.pem", "alice_key.pem"],
    )
    .exits(1)
    .says("no CA certificate");
    pki(
        &scenario,
        ["ca", "root", "--import", "root_cert.pem", "root_key.pem"],
    )
    .ok();
    pki(&scenario, ["revoke", "alice_cert.pem", "--crl"])
        .ok()
        .says("1 revoked");
    pki(&scenario, ["issue", "bob"]).ok();
    let verify = "verify -crl_check -CAfile root_cert.pem -CRLfile pki/root/crl.pem";
    openssl
        .run(words(&format!("{verify} alice_cert.pem")))
        .says("certificate revoked");
    openssl
        .run(words(&format!("{verify} bob_cert.pem")))
        .says("bob_cert.pem: OK");
}

#[test]
fn a_ca_under_a_passphrase_is_taken_in_as_it_is() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    openssl.run(words("req -x509 -newkey rsa:2048 -passout file:passphrase -subj /CN=Root -keyout root_key.pem -out root_cert.pem"));
    pki(
        &scenario,
        ["ca", "root", "--import", "root_cert.pem", "root_key.pem"],
    )
    .ok();
    pki(&scenario, ["issue", "alice"])
        .exits(1)
        .says("passphrase of CA `root`")
        .says("--ca-passphrase-file");
    pki(
        &scenario,
        ["issue", "alice", "--ca-passphrase-file", "passphrase"],
    )
    .ok();
    assert!(
        scenario
            .read("pki/root/key.pem")
            .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    );
}

#[test]
fn der_becomes_the_pem_that_load_balancers_take_in_one_command() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    pki(&scenario, ["ca", "root"]).ok();
    pki(&scenario, ["crl"]).ok();
    openssl.run(words(
        "crl -in pki/root/crl.pem -outform DER -out downloaded.crl",
    ));
    pki(
        &scenario,
        ["convert", "downloaded.crl", "--out", "root.crl"],
    )
    .ok();
    let by_hand = openssl.run(words("crl -inform DER -in downloaded.crl -outform PEM"));
    assert_eq!(scenario.read("root.crl"), by_hand.stdout);
    assert_eq!(
        pki(&scenario, ["convert", "root.crl"]).ok().stdout,
        by_hand.stdout
    );
    openssl.run(words("x509 -in pki/root/cert.pem -text -out wordy.pem"));
    let plain = pki(&scenario, ["convert", "wordy.pem"]).ok().stdout;
    assert_eq!(plain, scenario.read("pki/root/cert.pem"));
    pki(&scenario, ["convert", "pki/root/key.pem"])
        .exits(1)
        .says("only certificates and CRLs");
}
