//! Connections counted by what became of them and by client, in bounded memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use time::OffsetDateTime;

use super::line::{Line, Verdict};

/// How much memory clients may take until further ones are only counted: a quarter of a million of
/// the usual names. Anybody can knock at the door under many and long names and from many addresses.
const ROOM: usize = 64 * 1024 * 1024;

/// The same for the clients of one file, of which several are read at a time.
const ROOM_OF_FILE: usize = 8 * 1024 * 1024;

/// What a group takes beside its names, about.
const GROUP_BYTES: usize = 200;

/// How many kinds of TLS connections are told apart; there are a few dozen.
const MOST_KINDS: usize = 1_000;

/// How many listeners of a group are told: a load balancer has at most 50.
const MOST_PORTS: usize = 50;

/// Which connections are counted by client, and how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All, by address, too.
    All,
    /// Those that failed, by address, too.
    Failed,
    /// Those that got in with a certificate, by certificate.
    Admitted,
}

/// The connections of a period.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    detail: Detail,
    /// Connections within the period.
    pub(crate) connections: u64,
    /// Those whose client was verified.
    pub(crate) ok: u64,
    /// Those that failed.
    pub(crate) refused: u64,
    /// TLS connections without a verdict on the client.
    pub(crate) not_verified: u64,
    /// Connections without TLS.
    pub(crate) plain_http: u64,
    /// Lines that could not be read.
    pub(crate) broken: u64,
    /// Connections by kind of TLS.
    pub(crate) tls: BTreeMap<Tls, u64>,
    /// Connections by outcome of those groups that are too many, by code.
    pub(crate) beyond: BTreeMap<String, u64>,
    groups: HashMap<String, Group>,
    /// How many bytes further groups may take.
    room: usize,
    /// Kept, so that a line that repeats another allocates nothing.
    name: String,
}

/// A kind of TLS connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tls {
    /// `TLSv1.3`.
    pub(crate) protocol: String,
    /// The cipher suite.
    pub(crate) cipher: Option<String>,
    /// The group of the key exchange.
    pub(crate) key_exchange: Option<String>,
}

/// The connections of one client with one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Why they failed; the others have names of their own, see [`code`].
    pub(crate) code: String,
    /// The subject of the client's certificate.
    pub(crate) subject: Option<String>,
    /// Its serial, hexadecimal.
    pub(crate) serial: Option<String>,
    /// Where it came from; `None` where that does not count.
    pub(crate) address: Option<String>,
    /// The end of its validity, as the log writes it.
    pub(crate) not_after: Option<String>,
    /// The ports of the listeners.
    pub(crate) ports: BTreeSet<u16>,
    /// How many connections.
    pub(crate) connections: u64,
    /// The first of them.
    pub(crate) first_seen: OffsetDateTime,
    /// The last of them.
    pub(crate) last_seen: OffsetDateTime,
}

/// The name of an outcome.
pub(crate) fn code<'a>(verdict: &Verdict<'a>) -> &'a str {
    match verdict {
        Verdict::Ok => "Success",
        Verdict::Refused(code) => code,
        Verdict::NotVerified => "NotVerified",
        Verdict::PlainHttp => "PlainHttp",
    }
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new(detail: Detail) -> Self {
        Self::with_room(detail, ROOM)
    }

    /// Nothing yet, for one file.
    pub(super) fn of_file(detail: Detail) -> Self {
        Self::with_room(detail, ROOM_OF_FILE)
    }

    fn with_room(detail: Detail, room: usize) -> Self {
        Self {
            detail,
            room,
            connections: 0,
            ok: 0,
            refused: 0,
            not_verified: 0,
            plain_http: 0,
            broken: 0,
            tls: BTreeMap::new(),
            beyond: BTreeMap::new(),
            groups: HashMap::new(),
            name: String::new(),
        }
    }

    /// Counts a connection.
    pub(super) fn add(&mut self, line: &Line<'_>) {
        self.connections += 1;
        match line.verdict {
            Verdict::Ok => self.ok += 1,
            Verdict::Refused(_) => self.refused += 1,
            Verdict::NotVerified => self.not_verified += 1,
            Verdict::PlainHttp => self.plain_http += 1,
        }
        if let Some(protocol) = line.protocol {
            self.add_tls(protocol, line);
        }
        let is_wanted = match self.detail {
            Detail::All => true,
            Detail::Failed => matches!(line.verdict, Verdict::Refused(_)),
            // In passthrough mode nobody is verified and all that show a certificate get in.
            Detail::Admitted => {
                matches!(line.verdict, Verdict::Ok | Verdict::NotVerified) && line.serial.is_some()
            }
        };
        if is_wanted {
            self.add_group(line);
        }
    }

    fn add_tls(&mut self, protocol: &str, line: &Line<'_>) {
        let known = self.tls.iter_mut().find(|(kind, _)| {
            kind.protocol == protocol
                && kind.cipher.as_deref() == line.cipher
                && kind.key_exchange.as_deref() == line.key_exchange
        });
        if let Some((_, connections)) = known {
            *connections += 1;
        } else if self.tls.len() < MOST_KINDS {
            let kind = Tls {
                protocol: protocol.to_owned(),
                cipher: line.cipher.map(str::to_owned),
                key_exchange: line.key_exchange.map(str::to_owned),
            };
            self.tls.insert(kind, 1);
        }
    }

    fn add_group(&mut self, line: &Line<'_>) {
        let code = match (self.detail, line.verdict) {
            (Detail::Admitted, _) => self::code(&Verdict::Ok),
            (_, verdict) => self::code(&verdict),
        };
        let (subject, serial) = (line.subject.unwrap_or("-"), line.serial.unwrap_or("-"));
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        // No field holds a line break.
        write!(name, "{code}\n{subject}\n{serial}\n").expect("writing to a String cannot fail");
        if self.detail != Detail::Admitted {
            write!(name, "{}", line.client_ip).expect("writing to a String cannot fail");
        }
        if let Some(group) = self.groups.get_mut(&name) {
            group.add(line);
        } else if self.takes(&name) {
            let mut group = Group::of(line, code);
            if self.detail != Detail::Admitted {
                group.address = Some(line.client_ip.to_string());
            }
            self.groups.insert(name.clone(), group);
        } else {
            *self.beyond.entry(code.to_owned()).or_default() += 1;
        }
        self.name = name;
    }

    /// Whether there is room for a group of this name, which is stored twice; takes it.
    fn takes(&mut self, name: &str) -> bool {
        let left = self.room.checked_sub(GROUP_BYTES + 2 * name.len());
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// Counts a line that could not be read.
    pub(super) fn add_broken(&mut self) {
        self.broken += 1;
    }

    /// Adds what another one has counted.
    pub(super) fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        self.ok += other.ok;
        self.refused += other.refused;
        self.not_verified += other.not_verified;
        self.plain_http += other.plain_http;
        self.broken += other.broken;
        for (kind, connections) in other.tls {
            if self.tls.len() < MOST_KINDS || self.tls.contains_key(&kind) {
                *self.tls.entry(kind).or_default() += connections;
            }
        }
        for (code, connections) in other.beyond {
            *self.beyond.entry(code).or_default() += connections;
        }
        for (name, group) in other.groups {
            if let Some(known) = self.groups.get_mut(&name) {
                known.merge(group);
            } else if self.takes(&name) {
                self.groups.insert(name, group);
            } else {
                *self.beyond.entry(group.code).or_default() += group.connections;
            }
        }
    }

    /// The groups, the most frequent outcomes and clients first.
    pub(crate) fn groups(&self) -> Vec<&Group> {
        let mut by_code: HashMap<&str, u64> = HashMap::new();
        for group in self.groups.values() {
            *by_code.entry(&group.code).or_default() += group.connections;
        }
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by(|one, other| {
            let totals = by_code[other.code.as_str()].cmp(&by_code[one.code.as_str()]);
            totals
                .then_with(|| one.code.cmp(&other.code))
                .then_with(|| other.connections.cmp(&one.connections))
                .then_with(|| other.last_seen.cmp(&one.last_seen))
                .then_with(|| one.subject.cmp(&other.subject))
                .then_with(|| one.serial.cmp(&other.serial))
                .then_with(|| one.address.cmp(&other.address))
        });
        groups
    }
}

impl Group {
    fn of(line: &Line<'_>, code: &str) -> Self {
        Self {
            code: code.to_owned(),
            subject: line.subject.map(str::to_owned),
            serial: line.serial.map(str::to_owned),
            address: None,
            not_after: line.not_after().map(str::to_owned),
            ports: line.listener_port.into_iter().collect(),
            connections: 1,
            first_seen: line.time,
            last_seen: line.time,
        }
    }

    fn add(&mut self, line: &Line<'_>) {
        self.connections += 1;
        self.first_seen = self.first_seen.min(line.time);
        self.last_seen = self.last_seen.max(line.time);
        if self.ports.len() < MOST_PORTS {
            self.ports.extend(line.listener_port);
        }
    }

    fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.ports.extend(other.ports);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(minute: u8, serial: &str, status: &str, address: &str) -> String {
        format!(
            "2026-11-28T09:{minute:02}:00.000000Z {address} 1 443 TLSv1.3 TLS_AES_128_GCM_SHA256 - \"CN=a b\" - {serial} {status} TID"
        )
    }

    fn tally(detail: Detail, lines: &[String]) -> Tally {
        let mut tally = Tally::new(detail);
        for line in lines {
            tally.add(&Line::parse(line).unwrap());
        }
        tally
    }

    fn lines() -> Vec<String> {
        vec![
            line(5, "01", "Success", "192.0.2.1"),
            line(7, "01", "Failed:ClientCertExpired", "192.0.2.1"),
            line(3, "01", "Failed:ClientCertExpired", "192.0.2.1"),
            line(4, "01", "Success", "192.0.2.2"),
            line(6, "02", "Failed:ClientCertUntrusted", "192.0.2.3"),
        ]
    }

    #[test]
    fn connections_are_grouped_by_outcome_and_client() {
        let tally = tally(Detail::All, &lines());
        assert_eq!((tally.connections, tally.ok, tally.refused), (5, 2, 3));
        let groups = tally.groups();
        let codes: Vec<(&str, u64)> = groups
            .iter()
            .map(|group| (group.code.as_str(), group.connections))
            .collect();
        assert_eq!(
            codes,
            [
                ("ClientCertExpired", 2),
                ("Success", 1),
                ("Success", 1),
                ("ClientCertUntrusted", 1)
            ]
        );
        assert_eq!(groups[0].first_seen.minute(), 3);
        assert_eq!(groups[0].last_seen.minute(), 7);
        assert_eq!(tally.tls.values().sum::<u64>(), 5);
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let all = lines();
        let whole = tally(Detail::All, &all);
        for at in 0..all.len() {
            let mut first = tally(Detail::All, &all[..at]);
            first.merge(tally(Detail::All, &all[at..]));
            assert_eq!(first.groups(), whole.groups());
            assert_eq!(first.tls, whole.tls);
            assert_eq!(first.connections, whole.connections);
        }
    }

    #[test]
    fn only_failures_are_grouped_on_request_and_all_are_counted() {
        let tally = tally(Detail::Failed, &lines());
        assert_eq!((tally.connections, tally.groups().len()), (5, 2));
    }

    #[test]
    fn who_was_let_in_is_one_group_wherever_it_came_from() {
        let tally = tally(Detail::Admitted, &lines());
        let [only] = tally.groups()[..] else {
            panic!("{tally:?}")
        };
        assert_eq!((only.connections, only.address.as_deref()), (2, None));
        assert_eq!(only.last_seen.minute(), 5);
    }

    #[test]
    fn clients_beyond_the_limit_are_only_counted() {
        let mut tally = Tally::of_file(Detail::All);
        let long = "F".repeat(ROOM_OF_FILE / 40);
        for number in 0..30 {
            let text = line(1, &format!("{number:02}{long}"), "Success", "192.0.2.1");
            tally.add(&Line::parse(&text).unwrap());
        }
        assert_eq!(tally.groups().len(), 19);
        assert_eq!(tally.beyond["Success"], 11);
        // One that is known needs no room.
        let known = line(1, &format!("00{long}"), "Success", "192.0.2.1");
        tally.add(&Line::parse(&known).unwrap());
        assert_eq!((tally.connections, tally.beyond["Success"]), (31, 11));
        let mut whole = Tally::new(Detail::All);
        whole.merge(tally);
        assert_eq!((whole.groups().len(), whole.beyond["Success"]), (19, 11));
    }
}
