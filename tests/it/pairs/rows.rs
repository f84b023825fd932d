//! What may stand in the stack files: the fragments of each section, and what they are called.
//!
//! What stands in `<…>` is somebody else's; the id is filled in when it is known.

/// A fragment that leaves its section out.
pub(super) const NO_SECTION: &str = "-";

/// The section of a fragment that stands at the top of the file.
pub(super) const TOP: &str = "";

/// Subnets of the endpoint of which one is not of [`INSIDE`].
pub(super) const OUTSIDE: &str = "subnets: [subnet-7c301d43bf26cc3c5, subnet-ccbea33e9cd3b81d0]";

/// Subnets of the load balancer, not in all zones.
pub(super) const INSIDE: &str = "subnets: [subnet-7c301d43bf26cc3c5, subnet-15b83436007d0d6f7]";

/// An endpoint with a fixed address.
pub(super) const PINNED: &str = "subnets: [subnet-7c301d43bf26cc3c5], \
                      addresses: { subnet-7c301d43bf26cc3c5: 172.31.0.200 }";

/// Things that somebody else has made; a section with one of them has no other keys.
pub(super) const EXISTING_ENDPOINT: &str = "id: <endpoint>";
pub(super) const EXISTING_LOAD_BALANCER: &str = "arn: \"<load_balancer>\"";
pub(super) const EXISTING_TRUST_STORE: &str = "arn: \"<trust_store>\"";
pub(super) const EXISTING_CERTIFICATE: &str = "arn: \"<certificate>\"";
pub(super) const FOUND_CERTIFICATE: &str = "find: \"*.example.com\"";
pub(super) const EXISTING_GROUP: &str = "security_groups: [<security group>]";

/// What may vary: a section, and the fragments of which it has one. The first is the default.
pub(super) const ROWS: &[(&str, &[&str])] = &[
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
            DEFINITION,
            "sample: petstore",
            "openapi: animals.yaml",
            LINKED,
            LINKED,
            DIRECT,
        ],
    ),
    ("api", &["", SKIPPING, SHOWING]),
    ("api", &["", "name: Pets of the shop"]),
    ("api", &["", "associate_endpoint: false"]),
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
            INSTANCES,
            "targets: [i-0a1b2c3d4e5f60002, i-0a1b2c3d4e5f60003], protocol: http, port: 8080, \
             health_check: { path: /health }",
            "targets: [i-0a1b2c3d4e5f60002], health_check: { matcher: \"200-299\" }",
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
        "load_balancer",
        &[
            "",
            "connection_logs: true",
            "connection_logs: { bucket: their-logs, prefix: gateway }",
        ],
    ),
    (
        "load_balancer",
        &[
            "",
            "access_logs: true",
            "access_logs: { bucket: their-logs }",
        ],
    ),
    ("load_balancer", &["", RETENTION]),
    (
        "network_load_balancer",
        &[
            NO_SECTION,
            "targets: [172.31.0.10]",
            "targets: [172.31.0.10, 172.31.0.11]",
            "targets: [172.31.0.11]",
            "targets: [i-0a1b2c3d4e5f60001]",
            "targets: [i-0a1b2c3d4e5f60002, i-0a1b2c3d4e5f60003]",
        ],
    ),
    (
        "network_load_balancer",
        &[
            "",
            "listener: { port: 8443 }",
            OWN_TLS,
            "listener: { port: 8443, protocol: tls, ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06, \
             certificate: { import: { certificate: renewed.pem, private_key: renewed_key.pem } } }",
            STACKS_TLS,
            "listener: { port: 8443, protocol: tls, certificate: { arn: \"<certificate>\" } }",
        ],
    ),
    ("network_load_balancer", &["", "target_port: 9443"]),
    ("network_load_balancer", &["", ENDING_TLS]),
    ("network_load_balancer", &["", "cross_zone: true"]),
    (
        "network_load_balancer",
        &[
            "",
            "deregistration_delay_seconds: 0",
            "deregistration_delay_seconds: 20",
        ],
    ),
    (
        "network_load_balancer",
        &[
            "",
            "health_check: { interval_seconds: 10, timeout_seconds: 3, healthy_threshold: 3, \
             unhealthy_threshold: 3 }",
            "health_check: { protocol: http, path: /health, matcher: \"200\" }",
            "health_check: { protocol: https, port: \"8080\" }",
        ],
    ),
    (
        "network_load_balancer",
        &["", "", INSIDE, "subnets: [subnet-7c301d43bf26cc3c5]"],
    ),
    (
        "network_load_balancer",
        &["", "", "scheme: internet-facing"],
    ),
    ("network_load_balancer", &["", "", EXISTING_GROUP]),
    (
        "network_load_balancer",
        &["", "allow: []", "allow: [203.0.113.0/24]"],
    ),
    (
        "network_load_balancer",
        &["", "vpc_link_name: to the servers"],
    ),
    (
        "network_load_balancer",
        &[
            "",
            "private_zone: backend.internal",
            "private_zone: backend.internal, evaluate_target_health: true",
            "private_zone: backend.internal, name: pets.backend.internal",
            "private_zone: servers.internal, name: pets.servers.internal",
            "private_zone: <private zone>, name: pets.theirs.internal",
        ],
    ),
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
    (SYSTEM, &["", "", "", BACKEND, SERVERS]),
];

/// The definition of APIs without a backend of the stack's own.
pub(super) const DEFINITION: &str = "openapi: petstore.yaml";

/// Definitions that lead through the VPC link, to either port that the network load balancer has.
pub(super) const LINKED: &str = "openapi: linked.yaml, vpc_link: network_load_balancer";
pub(super) const LINKED_ELSEWHERE: &str =
    "openapi: linked_elsewhere.yaml, vpc_link: network_load_balancer";

/// A definition that leads to a backend over HTTPS without a VPC link.
pub(super) const DIRECT: &str = "openapi: direct.yaml";

/// Backends with certificates of private CAs are accepted, and one is judged before.
pub(super) const SKIPPING: &str = "insecure_skip_verification: true";
pub(super) const SHOWING: &str =
    "insecure_skip_verification: true, backend_certificate: backend.pem";

/// Instances as targets.
pub(super) const INSTANCES: &str = "targets: [i-0a1b2c3d4e5f60001], protocol: http, port: 8080";

/// For how long logs in a bucket of the stack's own are kept.
pub(super) const RETENTION: &str = "log_retention_days: 30";

/// The network load balancer ends TLS, with a certificate of its own or with the stack's.
pub(super) const OWN_TLS: &str = "listener: { protocol: tls, \
    certificate: { import: { certificate: backend.pem, private_key: backend_key.pem } } }";
pub(super) const STACKS_TLS: &str = "listener: { protocol: tls }";

/// Behind a listener that ends TLS there is none.
pub(super) const ENDING_TLS: &str = "target_protocol: tcp";

/// The row that says which system it is: with both load balancers, or one of them.
pub(super) const SYSTEM: &str = "system";

/// System S: an API in front of a backend, for which no application load balancer is needed.
pub(super) const BACKEND: &str = "backend";

/// System C: servers behind the application load balancer, and no API.
pub(super) const SERVERS: &str = "servers";

/// An API that is reached without the endpoint.
pub(super) const REGIONAL: &str = "endpoint_type: regional";

/// A port that only listeners in front of other targets than the endpoint may have.
pub(super) const ELSEWHERE: &str = "port: 8443";

pub(super) const FURTHER_CERTIFICATE: &str = "additional_certificates: [\"<certificate>\"]";

/// The row that says of what there are two.
pub(super) const SPARE: &str = "spare";

/// The row that says how many APIs there are, and at which paths.
pub(super) const MAPPINGS: &str = "mappings";
