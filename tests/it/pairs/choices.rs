//! The stack files that system P can have, each a choice of one fragment per row of a table.

use super::random::Random;

/// A fragment that leaves its section out.
const NO_SECTION: &str = "-";

/// The section of a fragment that stands at the top of the file.
const TOP: &str = "";

/// Subnets of the endpoint of which one is not of [`INSIDE`].
const OUTSIDE: &str = "subnets: [subnet-7c301d43bf26cc3c5, subnet-ccbea33e9cd3b81d0]";

/// Subnets of the load balancer, not in all zones.
const INSIDE: &str = "subnets: [subnet-7c301d43bf26cc3c5, subnet-15b83436007d0d6f7]";

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
    ("endpoint", &["", INSIDE, OUTSIDE]),
    ("endpoint", &["", "private_dns: true"]),
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
        ],
    ),
];

/// The row that says how many APIs there are, and at which paths.
const MAPPINGS: &str = "mappings";

/// A stack file: the number of the fragment for each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choices(Vec<usize>);

impl Choices {
    /// Any choice; half of all rows stay at their default.
    pub(super) fn any(random: &mut Random) -> Self {
        let default = Self(vec![0; ROWS.len()]);
        default.changed(2, random)
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
                "domain" => text.push_str(&self.domain()),
                _ => text.push_str(&self.section(section)),
            }
        }
        text
    }

    /// A section in one line; nothing if it is left out.
    fn section(&self, name: &str) -> String {
        let fragments = self.fragments(name);
        if self.lacks(name) {
            return String::new();
        }
        match fragments.as_slice() {
            [] => format!("{name}: {{}}\n"),
            some => format!("{name}: {{ {} }}\n", some.join(", ")),
        }
    }

    /// Whether a section is left out, or cannot be without another that is.
    fn lacks(&self, name: &str) -> bool {
        let required = match name {
            // A record without a listener would lead to nothing.
            "record" => self.lacks("listener"),
            _ => false,
        };
        required || self.fragments(name).contains(&NO_SECTION)
    }

    /// The chosen fragments of a section that are not empty, made to fit the other sections.
    fn fragments(&self, name: &str) -> Vec<&'static str> {
        let rows = self.0.iter().zip(ROWS);
        let of_section = rows.filter(|(_, (section, _))| *section == name);
        let chosen = of_section.map(|(fragment, (_, fragments))| fragments[*fragment]);
        let fitting = chosen.map(|fragment| match fragment {
            "scheme: internal" if !self.lacks("record") => "",
            // A target in a zone without the load balancer never becomes healthy.
            OUTSIDE if name == "endpoint" && self.fragments("load_balancer").contains(&INSIDE) => {
                ""
            }
            verify if verify.contains("verify") && self.lacks("trust_store") => {
                "mutual_authentication: off"
            }
            other => other,
        });
        fitting.filter(|fragment| !fragment.is_empty()).collect()
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

    /// The domain with the paths of its APIs.
    fn domain(&self) -> String {
        let paths = match self.mapping() {
            "base path" => ", base_path: pets",
            "two" => ", mappings: { v1: pets, orders: orders }",
            "both" => ", mappings: { (none): main, orders: orders }",
            _ => "",
        };
        format!(
            "domain: {{ {}{paths} }}\n",
            self.fragments("domain").join(", ")
        )
    }

    fn mapping(&self) -> &'static str {
        self.fragments(MAPPINGS)
            .first()
            .copied()
            .unwrap_or_default()
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
