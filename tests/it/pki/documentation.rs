//! What `docs/pki.md` shows is what happens.

use super::openssl::Openssl;
use super::{pki, scenario};

const DOCUMENTATION: &str = include_str!("../../../docs/pki.md");

/// The words of a line, with quoted ones whole.
fn shell_words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part);
        } else {
            words.extend(part.split_whitespace());
        }
    }
    words
}

/// Replaces what differs from run to run: serials and dates.
fn settled(text: &str) -> String {
    let settle = |word: &str| {
        let plain = word.trim_end_matches([',', '\n']);
        let is_serial = plain.len() == 32 && plain.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_date = plain.len() == 10 && plain.matches('-').count() == 2;
        let is_date = is_date
            && plain
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-');
        match (is_serial, is_date) {
            (true, _) => word.replace(plain, "SERIAL"),
            (_, true) => word.replace(plain, "DATE"),
            _ => word.to_owned(),
        }
    };
    text.split_inclusive([' ', '\n', ')'])
        .map(|word| {
            let bare = word.trim_end_matches([' ', ')', '\n']);
            word.replacen(bare, &settle(bare), 1)
        })
        .collect()
}

#[test]
fn the_commands_print_what_is_shown() {
    let scenario = scenario();
    let (_, shown) = DOCUMENTATION
        .split_once("<!-- output -->\n```text\n")
        .expect("it is marked");
    let (shown, _) = shown.split_once("```").expect("it ends");
    let mut count = 0;
    for block in shown.split("$ mtlsgw pki ").skip(1) {
        let (line, expected) = block.split_once('\n').expect("something is printed");
        let outcome = pki(&scenario, shell_words(line)).ok();
        assert_eq!(
            settled(&outcome.stdout).trim_end(),
            settled(expected).trim_end(),
            "{line}"
        );
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn the_manual_procedure_and_what_replaces_it_both_work() {
    let scenario = scenario();
    let Some(openssl) = Openssl::new(&scenario) else {
        return;
    };
    let rows = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| `openssl "));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 4);
    for row in &rows {
        for command in row[1].split("<br>") {
            let command = command.trim_matches('`').trim_start_matches("openssl ");
            // Nobody is there to be asked, and what is converted has to come from somewhere.
            let command = command.replace("-export", "-export -passout file:passphrase");
            if command.starts_with("crl ") {
                pki(&scenario, ["crl"]).ok();
                let (from, to) = ("pki/root/crl.der", "downloaded.crl");
                std::fs::copy(scenario.path(from), scenario.path(to)).expect("can be copied");
            }
            openssl.run(shell_words(&command));
        }
        let ours = row[2].trim_matches('`').trim_start_matches("mtlsgw pki ");
        let extra: &[&str] = match ours.split(' ').next() {
            Some("p12") => &["--passphrase-file", "passphrase"],
            Some("convert") => &["--force"],
            _ => &[],
        };
        pki(
            &scenario,
            shell_words(ours).into_iter().chain(extra.iter().copied()),
        )
        .ok();
    }
    for file in [
        "root_cert.pem",
        "client_cert.pem",
        "client.pfx",
        "root.crl",
        "alice_cert.pem",
        "alice.p12",
    ] {
        assert!(scenario.path(file).exists(), "{file}");
    }
}
