//! The stack files that system P can have, each a choice of one fragment per row of a table.
//!
//! What stands in `<…>` is somebody else's; the id is filled in when it is known.

use super::random::Random;

/// A fragment that leaves its section out.
const NO_SECTION: &str = "-";

/// The section of a fragment that stands at the top of the file.
const TOP: &str = "";

/// Subnets of the endpoint of which one is not of [`INSIDE`].
const OUTSIDE: &str = "subnets: [subnet-7c301d43bf26cc3c5, subnet-ccbea33e9cd3b81d0]";

/// Subnets of the load balancer, not in all zones.
const INSIDE: &str = "subnets: [subnet-7c301d43bf26cc3c5, subnet-15b83436007d0d6f7]";

/// An endpoint with a fixed address.
const PINNED: &str = "subnets: [subnet-7c301d43bf26cc3c5], \
                      addresses: { subnet-7c301d43bf26cc3c5: 172.31.0.200 }";

/// Things that somebody else has made; a section with one of them has no other keys.
const EXISTING_ENDPOINT: &str = "id: <endpoint>";
const EXISTING_LOAD_BALANCER: &str = "arn: \"<load_balancer>\"";
const EXISTING_TRUST_STORE: &str = "arn: \"<trust_store>\"";
const EXISTING_CERTIFICATE: &str = "arn: \"<certificate>\"";
const FOUND_CERTIFICATE: &str = "find: \"*.example.com\"";
const EXISTING_GROUP: &str = "security_groups: [<security group>]";

/// What may vary: a section, and the fragments of which it has one. The first is the default.
const ROWS: &[(&str, &[&str])] = &[
    (
        TOP,
        &[
            "",
            "tags: { team: blue }",
            "tags: { team: red, cost-center: \"4711\" }",
        ],
    ),
    (TOP, &["", "bucket: somebody-elses"]),
    ("endpoint", &["", INSIDE, OUTSIDE, PINNED]),
    ("endpoint", &["", "", EXISTING_ENDPOINT]),
    ("endpoint", &["", "private_dns: true"]),
    ("endpoint", &["", "policy: everybody.json"]),
    ("endpoint", &["", EXISTING_GROUP]),
    (
        "api",
        &[
            "openapi: petstore.yaml",
            "sample: petstore",
            "openapi: animals.yaml",
        ],
    ),
    ("api", &["stage: dev", "", "stage: prod"]),
    (
        "api",
        &[
            "",
            "policy: source_vpc",
            "policy: source_vpce",
            "policy: everybody.json",
        ],
    ),
    (
        "api",
        &["", "description: Pets", "description: Pets and more"],
    ),
    (
        "api",
        &[
            "",
            "throttling: { rate_limit: 5, burst_limit: 10 }",
            "throttling: { rate_limit: 0.5, burst_limit: 10 }",
        ],
    ),
    (
        "api",
        &[
            "",
            "stage_variables: { colour: blue }",
            "stage_variables: { colour: red, size: large }",
        ],
    ),
    ("api", &["", "", REGIONAL]),
    ("api", &["", "name: Pets of the shop"]),
    ("api", &["", "associate_endpoint: false"]),
    (
        "api",
        &[
            "",
            "access_logs: { destination_arn: \"arn:aws:logs:ap-northeast-1:123456789012:log-group:pets\", \
             format: \"$context.requestId $context.status\" }",
        ],
    ),
    (
        "domain",
        &["name: api.example.com", "name: www.example.com"],
    ),
    ("domain", &["", "security_policy: TLS_1_0"]),
    (MAPPINGS, &["", "base path", "one", "two", "both"]),
    (
        "certificate",
        &[
            "request: \"*.example.com\"",
            "request: \"*.example.com\", key_algorithm: EC_prime256v1",
            "request: example.com, subject_alternative_names: [\"*.example.com\"]",
            "request: \"*.example.com\", zone: example.com",
            "request: \"*.example.com\", retain: true",
            EXISTING_CERTIFICATE,
            FOUND_CERTIFICATE,
            "import: { certificate: server.pem, private_key: server_key.pem }",
            "import: { certificate: other.pem, private_key: other_key.pem, chain: chain.pem }",
        ],
    ),
    (
        "target_group",
        &[
            "",
            "",
            "targets: [<address>], health_check: { matcher: \"403\" }",
            "targets: [<address>], port: 443, health_check: { matcher: \"200,403\" }",
            "targets: [<address>], protocol: http, \
             health_check: { protocol: https, port: \"443\", matcher: \"403\" }",
            "targets: [<address>], protocol: http, port: 8080, \
             health_check: { protocol: https, port: \"443\", matcher: \"403\" }",
        ],
    ),
    (
        "target_group",
        &[
            "",
            "deregistration_delay_seconds: 0",
            "deregistration_delay_seconds: 20",
        ],
    ),
    (
        "target_group",
        &[
            "",
            "health_check: { interval_seconds: 10, timeout_seconds: 3 }",
            "health_check: { path: /ping, matcher: \"200,403\" }",
            "health_check: { port: \"443\", healthy_threshold: 2, unhealthy_threshold: 3 }",
        ],
    ),
    (
        "load_balancer",
        &[
            "",
            "allow: [203.0.113.0/24]",
            "allow: [203.0.113.0/24, 198.51.100.0/24]",
            "allow: [198.51.100.0/24]",
        ],
    ),
    (
        "load_balancer",
        &[
            "",
            "attributes: { idle_timeout.timeout_seconds: \"120\" }",
            "attributes: { routing.http.drop_invalid_header_fields.enabled: \"true\" }",
        ],
    ),
    ("load_balancer", &["", "unmanaged: [routing.http2.enabled]"]),
    ("load_balancer", &["", EXISTING_GROUP]),
    ("load_balancer", &["", "", EXISTING_LOAD_BALANCER]),
    ("load_balancer", &["", INSIDE]),
    ("load_balancer", &["", "scheme: internal"]),
    (
        "trust_store",
        &[
            "ca_bundle: [one.pem], crls: [one.crl]",
            NO_SECTION,
            "ca_bundle: [one.pem]",
            "ca_bundle: [one.pem], crls: [one_later.crl]",
            "ca_bundle: [two.pem], crls: [two.crl]",
            "ca_bundle: [one.pem, two.pem]",
            "ca_bundle: [one.pem, two.pem], crls: [one.crl]",
            "ca_bundle: [one.pem, two.pem], crls: [two.crl, one_later.crl]",
            EXISTING_TRUST_STORE,
        ],
    ),
    (
        "listener",
        &[
            "mutual_authentication: verify",
            "mutual_authentication: passthrough",
            "mutual_authentication: off",
            "mutual_authentication: { mode: verify, advertise_ca_names: false }",
            "mutual_authentication: { mode: verify, ignore_client_certificate_expiry: true }",
            NO_SECTION,
        ],
    ),
    ("listener", &["", "redirect_http: true"]),
    ("listener", &["", ELSEWHERE]),
    ("listener", &["", FURTHER_CERTIFICATE]),
    (
        "listener",
        &[
            "",
            "header_names: { serial_number: X-Serial, issuer: X-Issuer, subject: X-Subject, \
             validity: X-Validity, leaf: X-Leaf }",
            "header_names: { tls_version: X-Tls, tls_cipher_suite: X-Cipher, clientcert: X-Client }",
        ],
    ),
    (
        "listener",
        &["", "ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06"],
    ),
    (
        "listener",
        &[
            "",
            "attributes: { routing.http.response.server.enabled: \"false\" }",
        ],
    ),
    (
        "record",
        &[
            "zone: example.com",
            "zone: example.com, evaluate_target_health: true",
            NO_SECTION,
            "zone: Z0EXAMPLE0COM0PUBLIC, name: pets.example.com",
            "zone: example.com, overwrite: true",
        ],
    ),
    (SPARE, &["", "", "domain", "listener", "record"]),
];

/// An API that is reached without the endpoint.
const REGIONAL: &str = "endpoint_type: regional";

/// A port that only listeners in front of other targets than the endpoint may have.
const ELSEWHERE: &str = "port: 8443";

const FURTHER_CERTIFICATE: &str = "additional_certificates: [\"<certificate>\"]";

/// The row that says of what there are two.
const SPARE: &str = "spare";

/// The row that says how many APIs there are, and at which paths.
const MAPPINGS: &str = "mappings";

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
        let required = match name {
            // A record without a listener would lead to nothing.
            "record" => self.lacks("listener"),
            _ => false,
        };
        required || self.has(name, NO_SECTION)
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
        self.chosen("target_group")
            .any(|fragment| fragment.starts_with("targets:"))
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
        fitting.filter(|fragment| !fragment.is_empty()).collect()
    }

    /// A fragment, or what stands for it where the others do not allow it.
    fn fitted(&self, section: &str, fragment: &'static str) -> &'static str {
        let fits = match fragment {
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
            policy if policy.starts_with("policy: source") => !self.has("api", REGIONAL),
            verify if verify.contains("verify") && self.lacks("trust_store") => {
                return "mutual_authentication: off";
            }
            _ => true,
        };
        if fits { fragment } else { "" }
    }

    /// One API, or several by name.
    fn apis(&self) -> String {
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
            Some(name) if self.spare("domain").is_some() && !is_named => format!(", {name}"),
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
    "trust_store",
    "listener",
    "record",
];

#[test]
fn every_key_of_a_stack_file_is_among_the_choices() {
    const BACKEND: &str = "its changes are gone through in `system_s`";
    const LOGS: &str = "its changes are gone through in `system_c`";
    /// Why a key does not vary here.
    const ELSEWHERE: &[(&str, &str)] = &[
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
        ("adopt", "it is about what is no stack's yet: `export`"),
        ("verify", "no resource"),
        ("network_load_balancer", BACKEND),
        ("network_load_balancer.listener", BACKEND),
        ("network_load_balancer.health_check", BACKEND),
        ("vpc_link", BACKEND),
        ("insecure_skip_verification", BACKEND),
        ("backend_certificate", BACKEND),
        ("connection_logs", LOGS),
        ("log_retention_days", LOGS),
        ("load_balancer.connection_logs", LOGS),
        ("load_balancer.access_logs", LOGS),
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
            if !varies(key) && !ELSEWHERE.iter().any(excepted) {
                missing.push(format!("{section}: {key}"));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
}
