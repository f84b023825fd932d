//! The stack files that systems P, C and S can have, each a choice of one fragment per row of a table.

use super::random::Random;
use super::rows::{
    BACKEND, DEFINITION, DIRECT, ELSEWHERE, ENDING_TLS, EXISTING_CERTIFICATE, EXISTING_ENDPOINT,
    EXISTING_GROUP, EXISTING_LOAD_BALANCER, FOUND_CERTIFICATE, FURTHER_CERTIFICATE, INSIDE,
    INSTANCES, LINKED, LINKED_ELSEWHERE, MAPPINGS, NO_SECTION, OUTSIDE, OWN_TLS, REGIONAL,
    RETENTION, ROWS, SERVERS, SHOWING, SKIPPING, SPARE, STACKS_TLS, SYSTEM, TOP,
};

/// A stack file: the number of the fragment for each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choices(Vec<usize>);

impl Default for Choices {
    fn default() -> Self {
        Self(vec![0; ROWS.len()])
    }
}

impl Choices {
    /// Whether something stays when the stack is destroyed.
    pub(super) fn retains(&self) -> bool {
        self.chosen("certificate")
            .any(|one| one.contains("retain:"))
    }

    /// Any choice; half of all rows stay at their default.
    pub(super) fn any(random: &mut Random) -> Self {
        Self::default().changed(2, random)
    }

    /// The same with one of so many rows chosen anew.
    pub(super) fn changed(&self, one_of: usize, random: &mut Random) -> Self {
        let rows = self.0.iter().zip(ROWS);
        let chosen = rows.map(|(old, (_, fragments))| match random.below(one_of) {
            0 => random.below(fragments.len()),
            _ => *old,
        });
        Self(chosen.collect())
    }

    /// Simpler pairs: a row taken back to its default in both, or to what it is in the first.
    pub(super) fn simpler(first: &Self, second: &Self) -> Vec<(Self, Self)> {
        let rows = 0..ROWS.len();
        let with = |choices: &Self, row: usize, fragment| {
            let mut choices = choices.clone();
            choices.0[row] = fragment;
            choices
        };
        let pairs = rows.flat_map(|row| {
            let default = (with(first, row, 0), with(second, row, 0));
            let same = (first.clone(), with(second, row, first.0[row]));
            [default, same]
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.retain(|(one, other)| (one, other) != (first, second));
        pairs
    }

    /// The stack file.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("name: petstore\nregion: ap-northeast-1\nvpc: default\n");
        for line in self.fragments(TOP) {
            text.push_str(line);
            text.push('\n');
        }
        for section in SECTIONS {
            match *section {
                "api" => text.push_str(&self.apis()),
                "domain" => text.push_str(&self.section(section, self.paths())),
                "record" => text.push_str(&self.section(section, &self.record_name())),
                _ => text.push_str(&self.section(section, "")),
            }
        }
        text
    }

    /// A section in one line, or with a second one in three; nothing if it is left out.
    fn section(&self, name: &str, further: &str) -> String {
        if self.lacks(name) {
            return String::new();
        }
        let mut fragments = self.fragments(name).join(", ");
        fragments += further;
        match self.spare(name) {
            None => format!("{name}: {{ {fragments} }}\n"),
            Some(spare) => {
                format!("{name}s:\n  main: {{ {fragments} }}\n  spare: {{ {spare} }}\n")
            }
        }
    }

    /// The second one of a section, where there is one.
    fn spare(&self, name: &str) -> Option<&'static str> {
        let spare = self.chosen(SPARE).next().unwrap_or_default();
        let leads_nowhere = spare == "record" && self.system() == BACKEND;
        if self.lacks(spare) || leads_nowhere {
            return None;
        }
        match (name, spare) {
            ("domain", "domain") => Some(match self.mapping() {
                "two" => "name: spare.example.com, mappings: { (none): orders }",
                "both" => "name: spare.example.com, mappings: { pets: main }",
                _ => "name: spare.example.com",
            }),
            ("target_group", "listener") => Some(
                "targets: [<address>], protocol: http, port: 8081, \
                     health_check: { protocol: https, port: \"443\", matcher: \"403\" }",
            ),
            ("listener", "listener") => {
                Some("port: 8444, mutual_authentication: off, target_group: spare")
            }
            ("record", "record") => Some("zone: example.com, name: spare.example.com"),
            _ => None,
        }
    }

    /// Whether a section is left out, or cannot be without another that is.
    fn lacks(&self, name: &str) -> bool {
        let others = match (self.system(), name) {
            // There it leads to the domain.
            (BACKEND, "record") => false,
            // A record without a listener would lead to nothing.
            (_, "record") => self.lacks("listener"),
            (
                BACKEND,
                "endpoint" | "target_group" | "load_balancer" | "trust_store" | "listener",
            )
            | (SERVERS, "endpoint" | "api" | "domain") => true,
            _ => false,
        };
        others || self.has(name, NO_SECTION)
    }

    /// The chosen fragments of a section, empty ones included.
    fn chosen(&self, name: &str) -> impl Iterator<Item = &'static str> {
        let rows = self.0.iter().zip(ROWS);
        let of_section = rows.filter(move |(_, (section, _))| *section == name);
        of_section.map(|(fragment, (_, fragments))| fragments[*fragment])
    }

    fn has(&self, section: &str, fragment: &str) -> bool {
        self.chosen(section).any(|chosen| chosen == fragment)
    }

    /// Whether the targets are not the endpoint.
    fn has_targets(&self) -> bool {
        self.system() == SERVERS || self.has_own("target_group", "targets:")
    }

    /// Whether a fragment that begins so is chosen.
    fn has_own(&self, section: &str, beginning: &str) -> bool {
        self.chosen(section)
            .any(|fragment| fragment.starts_with(beginning))
    }

    fn system(&self) -> &'static str {
        self.chosen(SYSTEM).next().unwrap_or_default()
    }

    fn is_regional(&self) -> bool {
        self.has("api", REGIONAL) || self.system() == BACKEND
    }

    /// Whether the API leads through a VPC link.
    fn is_linked(&self) -> bool {
        self.has("api", LINKED) && !self.lacks("network_load_balancer")
    }

    /// The listener of the network load balancer.
    fn network_listener(&self) -> &'static str {
        let mut all = self.chosen("network_load_balancer");
        let listener = all.find(|fragment| fragment.starts_with("listener:"));
        match listener.unwrap_or_default() {
            // API Gateway does not take one that is signed by itself and no CA.
            STACKS_TLS if self.is_linked() && self.imports("server.pem") => OWN_TLS,
            listener => listener,
        }
    }

    /// Whether API Gateway is shown a certificate of a private CA by the network load balancer.
    fn shows_private(&self) -> bool {
        let listener = self.network_listener();
        listener.contains("import:") || listener == STACKS_TLS && self.imports("other.pem")
    }

    fn imports(&self, certificate: &str) -> bool {
        self.chosen("certificate")
            .any(|one| one.contains(&format!("certificate: {certificate}")))
    }

    /// The chosen fragments of a section that are not empty, made to fit each other.
    fn fragments(&self, name: &str) -> Vec<&'static str> {
        let existing = self
            .chosen(name)
            .find(|fragment| [EXISTING_ENDPOINT, EXISTING_LOAD_BALANCER].contains(fragment));
        if let Some(existing) = existing {
            return vec![existing];
        }
        let fitting = self
            .chosen(name)
            .map(|fragment| self.fitted(name, fragment));
        let mut fragments: Vec<_> = fitting.filter(|fragment| !fragment.is_empty()).collect();
        fragments.extend(self.demanded(name));
        fragments
    }

    /// What has to be said although it was not chosen.
    fn demanded(&self, name: &str) -> Vec<&'static str> {
        let skips = self.has("api", SKIPPING) || self.has("api", SHOWING);
        let demands = match name {
            "api" => vec![
                (self.is_regional() && !self.has("api", REGIONAL), REGIONAL),
                (self.is_linked() && self.shows_private() && !skips, SKIPPING),
            ],
            "target_group" => {
                let has_none = self.has_targets() && !self.has_own(name, "targets:");
                vec![(has_none, INSTANCES)]
            }
            _ => Vec::new(),
        };
        let demanded = demands.into_iter().filter(|(is_so, _)| *is_so);
        demanded.map(|(_, fragment)| fragment).collect()
    }

    /// A fragment, or what stands for it where the others do not allow it.
    fn fitted(&self, section: &str, fragment: &'static str) -> &'static str {
        if section == "network_load_balancer" {
            return self.fitted_network(fragment);
        }
        let is_to_backend = self.system() == BACKEND;
        let fits = match fragment {
            LINKED if !self.is_linked() => return DEFINITION,
            LINKED if self.network_listener().contains("8443") => return LINKED_ELSEWHERE,
            SKIPPING | SHOWING => self.is_linked() || self.has("api", DIRECT),
            RETENTION => {
                let own = ["connection_logs: true", "access_logs: true"];
                own.iter().any(|one| self.has("load_balancer", one))
            }
            private if private.starts_with("associate_endpoint:") => !self.is_regional(),
            // Of that name there is no domain.
            record if is_to_backend && record.contains("name: pets") => {
                return "zone: example.com";
            }
            "scheme: internal" => self.lacks("record"),
            // A target in a zone without the load balancer never becomes healthy.
            OUTSIDE => section != "endpoint" || !self.has("load_balancer", INSIDE),
            ELSEWHERE => self.has_targets(),
            // It comes with the targets.
            check if check.starts_with("health_check:") => !self.has_targets(),
            FURTHER_CERTIFICATE => {
                let same = [EXISTING_CERTIFICATE, FOUND_CERTIFICATE];
                !self.chosen("certificate").any(|one| same.contains(&one))
            }
            // What the existing group lets in is not ours to say.
            allow if allow.starts_with("allow:") => !self.has("load_balancer", EXISTING_GROUP),
            // Only a private API has an endpoint to deny all others.
            policy if policy.starts_with("policy: source") => !self.is_regional(),
            verify if verify.contains("verify") && self.lacks("trust_store") => {
                return "mutual_authentication: off";
            }
            _ => true,
        };
        if fits { fragment } else { "" }
    }

    /// A fragment of the network load balancer, or what stands for it.
    fn fitted_network(&self, fragment: &'static str) -> &'static str {
        let listener = self.network_listener();
        let fits = match fragment {
            listens if listens.starts_with("listener:") => return listener,
            ENDING_TLS => listener.contains("protocol: tls"),
            allow if allow.starts_with("allow:") => {
                !self.has("network_load_balancer", EXISTING_GROUP)
            }
            // What stands for the addresses takes connections, and answers no request.
            check if check.contains("protocol: http") => {
                self.has_own("network_load_balancer", "targets: [i-")
            }
            _ => true,
        };
        if fits { fragment } else { "" }
    }

    /// One API, or several by name.
    fn apis(&self) -> String {
        if self.lacks("api") {
            return String::new();
        }
        let api = self.fragments("api").join(", ");
        match self.mapping() {
            "" | "base path" => format!("api: {{ {api} }}\n"),
            "one" => format!("apis:\n  main: {{ {api} }}\n"),
            "two" => format!("apis:\n  pets: {{ {api} }}\n  orders: {{ sample: petstore }}\n"),
            _ => format!("apis:\n  main: {{ {api} }}\n  orders: {{ sample: petstore }}\n"),
        }
    }

    /// The paths of the APIs in the domain.
    fn paths(&self) -> &'static str {
        match self.mapping() {
            "base path" => ", base_path: pets",
            "two" => ", mappings: { v1: pets, orders: orders }",
            "both" => ", mappings: { (none): main, orders: orders }",
            _ => "",
        }
    }

    /// The name of the record, where there is more than one domain to take it from.
    fn record_name(&self) -> String {
        let is_named = self.chosen("record").any(|one| one.contains("name:"));
        match self.chosen("domain").next() {
            Some(name) if !is_named && (self.spare("domain").is_some() || self.lacks("domain")) => {
                format!(", {name}")
            }
            _ => String::new(),
        }
    }

    fn mapping(&self) -> &'static str {
        self.chosen(MAPPINGS).next().unwrap_or_default()
    }
}

/// The sections in the order of the file.
const SECTIONS: &[&str] = &[
    "endpoint",
    "api",
    "domain",
    "certificate",
    "target_group",
    "load_balancer",
    "network_load_balancer",
    "trust_store",
    "listener",
    "record",
];

#[test]
fn every_key_of_a_stack_file_is_among_the_choices() {
    /// Why a key does not vary here.
    const EXCEPTIONS: &[(&str, &str)] = &[
        ("name", "another name or region is another stack"),
        ("region", "another name or region is another stack"),
        ("account", "there is one account"),
        ("vpc", "it cannot change"),
        ("protect", "forbids what these pairs are about: `ownership`"),
        ("deletion_protection", "the same: `ownership`"),
        (
            "ip_address_type",
            "the sandbox's subnets have no IPv6 addresses",
        ),
        (
            "allow_private_addresses",
            "no resource, and for URLs only: `crl`",
        ),
        ("timeouts", "no resource"),
        ("verify", "no resource"),
        ("adopt", "says what is there before a stack is: `export`"),
    ];
    let reference = include_str!("../../../docs/stack.md");
    let choices = ROWS.iter().enumerate().flat_map(|(row, (_, fragments))| {
        (0..fragments.len()).map(move |fragment| {
            let mut choices = Choices::default();
            choices.0[row] = fragment;
            choices
        })
    });
    let texts: Vec<String> = choices.map(|choices| choices.text()).collect();
    let texts = texts.iter().map(String::as_str);
    // Some fragments fit only where others are chosen, too.
    let fragments = ROWS.iter().flat_map(|(_, fragments)| *fragments).copied();
    let all: Vec<&str> = texts.chain(fragments).collect();
    let varies = |key: &str| all.iter().any(|text| text.contains(&format!("{key}:")));
    let mut missing = Vec::new();
    let mut section = "";
    for line in reference.lines() {
        if let Some(heading) = line.trim_start_matches('#').strip_prefix(" `") {
            section = heading.trim_end_matches('`');
        } else if let Some((key, _)) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once('`'))
        {
            let excepted = |(name, _): &(&str, &str)| *name == key || *name == section;
            if !varies(key) && !EXCEPTIONS.iter().any(excepted) {
                missing.push(format!("{section}: {key}"));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
}
