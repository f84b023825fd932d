//! From clients that were seen to the certificates that one knows.
//!
//! The log tells subject and serial but no issuer, so a client is recognised by both. Serials of 64
//! random bits and more are unique in practice: with one of these, another spelling of the subject
//! does not matter.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::tally::{Group, Tally};
use crate::error::Result;
use crate::pki::Store;
use crate::trust::{IssuerUnknown, KnownClient, Seen, Serial};

/// How long a serial is that no two CAs give by chance, in octets.
const UNIQUE_OCTETS: usize = 8;

/// A client that was let in, by what the log knows of its certificate.
#[derive(Debug, Clone)]
pub(crate) struct SeenClient {
    subject: String,
    serial: Serial,
    seen: Seen,
}

/// Lists the clients that were let in; nobody can be recognised by a serial that is none.
pub(crate) fn seen(tally: &Tally) -> Vec<SeenClient> {
    let client = |group: &&Group| {
        Some(SeenClient {
            subject: group.subject.clone().unwrap_or_default(),
            serial: Serial::from_hex(group.serial.as_deref()?)?,
            seen: Seen {
                connections: group.connections,
                last_seen: group.last_seen,
            },
        })
    };
    tally.groups().iter().filter_map(client).collect()
}

/// Finds the certificates of those who were seen among those that one knows and those that a PKI
/// store has issued; gives the known clients, the ones of the store only where they were seen, and
/// those whose issuer nobody knows.
///
/// # Errors
///
/// A store that cannot be read.
pub(crate) fn join(
    seen: &[SeenClient],
    known: &[KnownClient],
    store: Option<&Path>,
) -> Result<(Vec<KnownClient>, Vec<IssuerUnknown>)> {
    let mut clients = known.to_vec();
    if let Some(directory) = store {
        let serials: HashSet<Serial> = seen.iter().map(|one| one.serial).collect();
        clients.extend(issued(directory, &serials)?);
    }
    let mut by_serial: HashMap<Serial, Vec<usize>> = HashMap::new();
    for (index, client) in clients.iter().enumerate() {
        let serial = client.certificate.serial;
        by_serial.entry(serial).or_default().push(index);
    }
    let mut found: BTreeMap<usize, Seen> = BTreeMap::new();
    let mut unknown = Vec::new();
    for one in seen {
        let candidates = by_serial.get(&one.serial).map_or(&[][..], Vec::as_slice);
        let mut is_known = false;
        for index in candidates {
            if is_of(one, &clients[*index]) {
                is_known = true;
                let sum = found.entry(*index).or_insert(Seen {
                    connections: 0,
                    ..one.seen
                });
                sum.connections += one.seen.connections;
                sum.last_seen = sum.last_seen.max(one.seen.last_seen);
            }
        }
        if !is_known {
            unknown.push(IssuerUnknown {
                subject: one.subject.clone(),
                serial: one.serial.to_string(),
                seen: one.seen,
            });
        }
    }
    let clients = clients
        .into_iter()
        .enumerate()
        .filter_map(|(index, mut client)| {
            client.seen = found.get(&index).copied();
            (client.seen.is_some() || index < known.len()).then_some(client)
        });
    Ok((clients.collect(), unknown))
}

/// Reads the certificates of these serials from a store, each with what its client sends along.
fn issued(directory: &Path, serials: &HashSet<Serial>) -> Result<Vec<KnownClient>> {
    let store = Store::new(directory);
    let mut clients = Vec::new();
    for name in store.names()? {
        let authority = store.open(Some(&name))?;
        for entry in authority.entries()? {
            if !serials.contains(&entry.serial) {
                continue;
            }
            let certificate = authority.issued(entry.serial);
            let client = certificate.filter(|certificate| certificate.is_ca != Some(true));
            clients.extend(client.map(|certificate| KnownClient {
                file: authority.issued_file(entry.serial).display().to_string(),
                certificate,
                sent: authority.intermediates().cloned().collect(),
                seen: None,
            }));
        }
    }
    Ok(clients)
}

/// Whether a client that was seen has this certificate, whose serial is the same.
fn is_of(seen: &SeenClient, client: &KnownClient) -> bool {
    seen.serial.as_bytes().len() >= UNIQUE_OCTETS
        || parts(&seen.subject) == parts(client.certificate.subject.as_str())
}

/// The name with octets in place of their hexadecimal escapes: `\C3\BC` is `ü` to some writers.
fn without_hex_escapes(name: &str) -> String {
    let mut octets = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'\\');
        let octet = pair
            .and_then(|pair| str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            // ASCII is escaped for a reason: a comma would part the name.
            .filter(|octet| !octet.is_ascii());
        octets.push(octet.unwrap_or(*first));
        rest = if octet.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(octets).unwrap_or_else(|_| name.to_owned())
}

/// The parts of a name in an order of their own; writers disagree on order, case and spaces.
fn parts(name: &str) -> Vec<String> {
    let name = without_hex_escapes(name);
    let mut parts = vec![String::new()];
    let mut is_escaped = false;
    for character in name.chars() {
        match character {
            ',' | '/' if !is_escaped => parts.push(String::new()),
            other => {
                let part = parts.last_mut().expect("begins with one");
                part.extend(other.to_lowercase());
            }
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    let mut parts: Vec<String> = parts
        .iter()
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(|part| part.replace(" = ", "="))
        .filter(|part| !part.is_empty())
        .collect();
    parts.sort();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::{Authority, NOW};

    fn seen_client(subject: &str, serial: &str) -> SeenClient {
        SeenClient {
            subject: subject.to_owned(),
            serial: Serial::from_hex(serial).unwrap(),
            seen: Seen {
                connections: 2,
                last_seen: NOW,
            },
        }
    }

    fn known(authority: &Authority, serial: u8) -> KnownClient {
        KnownClient {
            file: format!("{serial}.pem"),
            certificate: authority.client(serial),
            sent: Vec::new(),
            seen: None,
        }
    }

    #[test]
    fn octets_escaped_in_hexadecimal_are_the_letters_that_they_stand_for() {
        assert_eq!(parts("CN=J\\C3\\BCrgen,O=B"), parts("O=b, CN=Jürgen"));
        assert_ne!(parts("CN=a\\2C O=b"), parts("CN=a, O=b"));
        assert_eq!(without_hex_escapes("CN=a\\FF\\"), "CN=a\\FF\\");
        assert_eq!(without_hex_escapes("CN=a\\+b"), "CN=a\\+b");
    }

    #[test]
    fn a_client_is_known_by_subject_and_serial() {
        let root = Authority::new("Root");
        let subject = root.client(7).subject.to_string();
        let clients = [known(&root, 7), known(&root, 8)];
        let lines = [
            seen_client(&subject.to_lowercase(), "07"),
            seen_client(&subject, "09"),
            seen_client("CN=somebody else", "08"),
        ];
        let (clients, unknown) = join(&lines, &clients, None).unwrap();
        let seen: Vec<bool> = clients.iter().map(|client| client.seen.is_some()).collect();
        assert_eq!(seen, [true, false]);
        let serials: Vec<&str> = unknown.iter().map(|one| one.serial.as_str()).collect();
        assert_eq!(serials, ["09", "08"]);
    }

    #[test]
    fn names_are_compared_as_readers_would() {
        assert_eq!(parts("CN=a,O=Ex  ample"), parts("o=Ex ample, cn = A"));
        assert_eq!(parts("/C=US/CN=a"), parts("CN=a,C=US"));
        assert_ne!(parts(r"CN=a\,O=b"), parts("CN=a,O=b"));
        assert_ne!(parts("CN=a"), parts("CN=b"));
    }
}
