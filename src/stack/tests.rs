//! Facts about stack files as a whole.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;

/// The text of system P, beside which the files of the example are found.
const PETSTORE: &str = r#"
name: petstore
region: ap-northeast-1
vpc: vpc-0abc

endpoint:      { subnets: [subnet-1] }
api:           { openapi: petstore.yaml, stage: dev }
domain:        { name: aaa.example.com }
certificate:   { request: "*.example.com" }
target_group:  {}
load_balancer: { subnets: [subnet-1, subnet-2] }
trust_store:   { ca_bundle: [root_cert.pem], crls: [root.crl] }
listener:      { mutual_authentication: verify }
record:        { zone: example.com }
"#;

const FILE: &str = "examples/petstore/stack.yaml";

fn lookup(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("443".to_owned()),
        "ACCOUNT" => Some("123456789012".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Stack, StackErrors> {
    parse_with(Path::new(FILE), text, &lookup)
}

/// System P with the line of a section replaced or, with an empty line, removed.
fn petstore_with(section: &str, line: &str) -> String {
    let lines = PETSTORE.lines().map(|old| {
        if old.starts_with(&format!("{section}:")) {
            line
        } else {
            old
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every error as `line:column message; allowed (hint)`, sorted by place.
fn errors_of(text: &str) -> Vec<String> {
    let Err(errors) = parse(text) else {
        return Vec::new();
    };
    let prefix = format!("{FILE}:");
    errors
        .to_string()
        .replace("\nhint: ", " | ")
        .replace(&prefix, "")
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The messages that come of replacing the line of a section.
fn errors_with(section: &str, line: &str) -> Vec<String> {
    let position = |line: &str| line.find(": ").map_or(0, |colon| colon + 2);
    errors_of(&petstore_with(section, line))
        .iter()
        .map(|line| line[position(line)..].to_owned())
        .collect()
}

fn petstore() -> Stack {
    parse(PETSTORE).unwrap()
}

#[test]
fn system_p_is_fully_defaulted() {
    let stack = petstore();
    let subnets = Subnets::Ids(vec!["subnet-1".into(), "subnet-2".into()]);
    let Some(LoadBalancer::Own(load_balancer)) = &stack.load_balancer else {
        panic!()
    };
    assert_eq!(load_balancer.subnets, subnets);
    assert_eq!(load_balancer.scheme, Scheme::InternetFacing);
    assert_eq!(load_balancer.allow, ["0.0.0.0/0"]);
    assert_eq!(stack.apis["main"].policy, ApiPolicy::SourceVpc);
    assert_eq!(stack.apis["main"].endpoint_type, EndpointType::Private);
    let mapping = Mapping {
        base_path: BasePath::Root,
        api: "main".into(),
    };
    assert_eq!(stack.domains["main"].mappings, [mapping]);
    let target_group = &stack.target_groups["main"];
    assert_eq!(
        (&target_group.targets, target_group.port),
        (&Targets::Endpoint, 443)
    );
    assert_eq!(target_group.health_check.matcher, "403");
    assert_eq!(target_group.health_check.protocol, Protocol::Https);
    let listener = &stack.listeners["main"];
    assert_eq!(listener.ssl_policy, "ELBSecurityPolicy-TLS13-1-3-2021-06");
    let verify = MutualAuthentication::Verify {
        advertise_ca_names: true,
        ignore_client_certificate_expiry: false,
    };
    assert_eq!(
        (listener.mutual_authentication, listener.port),
        (verify, 443)
    );
    assert_eq!(stack.records["main"].name, "aaa.example.com");
    assert_eq!(stack.records["main"].target, RecordTarget::LoadBalancer);
    assert_eq!(stack.timeouts.certificate, Duration::from_mins(75));
    assert_eq!(stack.warnings(), []);
}

#[test]
fn every_file_read_is_listed_with_its_digest() {
    let stack = petstore();
    let names: Vec<_> = stack
        .files()
        .iter()
        .map(|file| file.path.to_str().unwrap())
        .collect();
    let expected = [FILE, "petstore.yaml", "root_cert.pem", "root.crl"].map(|name| {
        if name == FILE {
            FILE.to_owned()
        } else {
            format!("examples/petstore/{name}")
        }
    });
    assert_eq!(names, expected);
    assert_eq!(
        stack.files()[0].digest,
        material::hex_digest(PETSTORE.as_bytes())
    );
}

#[test]
fn the_sample_is_the_file_of_the_example() {
    let stack = parse(&petstore_with("api", "api: {sample: petstore}")).unwrap();
    assert_eq!(
        stack.apis["main"].definition.digest,
        petstore().apis["main"].definition.digest
    );
    let sample = DefinitionSource::Sample(Sample::Petstore);
    assert_eq!(stack.apis["main"].definition.source, sample);
}

#[test]
fn the_endpoint_takes_over_the_subnets_of_the_load_balancer() {
    let stack = parse(&petstore_with("endpoint", "endpoint: {}")).unwrap();
    let Some(Endpoint::Own(endpoint)) = &stack.endpoint else {
        panic!()
    };
    assert_eq!(
        endpoint.subnets,
        Subnets::Ids(vec!["subnet-1".into(), "subnet-2".into()])
    );
}

#[test]
fn keys_are_located_in_either_form() {
    let stack = petstore();
    let place = |path| (stack.locate(path).line, stack.locate(path).column);
    assert_eq!(place("load_balancer.subnets[1]"), (11, 38));
    assert_eq!(place("listeners.main.mutual_authentication"), (13, 18));
    assert_eq!(place("record.name"), (14, 1));
    assert_eq!(place("nothing"), (1, 1));
}

#[test]
fn all_errors_are_found_at_once_and_in_order() {
    let text = "name: Petstore\nregion: ap-northeast-1a\nvpc: vpc-1\n\
        load_balancer:\n  subnets: [subnet-1, subnet-1]\n  allow: [10.1.0.0/8]\n";
    assert_eq!(
        errors_of(text),
        [
            "1:1: `Petstore` is no name for a stack; allowed: at most 20 lower-case letters, digits and \
             single hyphens, beginning with a letter | write `petstore`",
            "2:1: `ap-northeast-1a` is no region; allowed: such as `eu-central-1` | `ap-northeast-1a` is an \
             availability zone; write `ap-northeast-1`",
            "5:23: `subnet-1` is listed twice",
            "6:11: `10.1.0.0/8` is not how AWS writes this network | write `10.0.0.0/8`",
        ]
    );
}

#[test]
fn a_misspelt_key_is_answered_with_the_right_one() {
    let text = petstore_with("trust_store", "trust_stor: { ca_bundle: [root_cert.pem] }");
    let errors = parse(&text).unwrap_err();
    let error = errors.iter().next().unwrap();
    assert_eq!(
        error.location.to_string(),
        "examples/petstore/stack.yaml:12:1"
    );
    assert_eq!(error.message, "unknown key `trust_stor`");
    assert_eq!(error.hint.as_deref(), Some("did you mean `trust_store`?"));
}

#[test]
fn an_empty_section_is_an_error() {
    let expected = "`target_group` is empty | write `{}` for its defaults, or remove it";
    assert_eq!(errors_with("target_group", "target_group:"), [expected]);
}

#[test]
fn the_account_must_be_text() {
    let errors = errors_with("vpc", "vpc: vpc-1\naccount: 123456789012");
    assert_eq!(
        errors,
        ["`account` is the number 123456789012, not text | put the value in quotes"]
    );
    assert_eq!(
        errors_with("vpc", "vpc: vpc-1\naccount: \"123456789012\""),
        [""; 0]
    );
    assert_eq!(
        errors_with("vpc", "vpc: vpc-1\naccount: \"${env:ACCOUNT}\""),
        [""; 0]
    );
    assert_eq!(errors_with("vpc", "vpc: vpc-1\naccount: '1234'").len(), 1);
}

#[test]
fn off_may_be_written_in_three_ways() {
    for off in ["off", "false", "\"off\"", "{mode: off}", "{mode: false}"] {
        let text = petstore_with(
            "listener",
            &format!("listener: {{mutual_authentication: {off}}}"),
        );
        let stack = parse(&text).unwrap();
        assert_eq!(
            stack.listeners["main"].mutual_authentication,
            MutualAuthentication::Off
        );
        assert_eq!(stack.warnings()[0].code, "unused_trust_store");
    }
}

#[test]
fn settings_of_verify_have_no_meaning_in_other_modes() {
    let listener = "listener: {mutual_authentication: {mode: off, advertise_ca_names: true}}";
    assert_eq!(
        errors_with("listener", listener),
        [
            "`advertise_ca_names` has no meaning with mode `off` | remove `advertise_ca_names`, or write \
          `mode: verify`"
        ]
    );
    let listener = "listener: {mutual_authentication: {mode: off, trust_store: x}}";
    assert_eq!(errors_with("listener", listener).len(), 1);
}

#[test]
fn a_mode_that_does_not_exist_is_refused() {
    for mode in ["true", "on", "verfy", "[]", "1"] {
        let listener = format!("listener: {{mutual_authentication: {mode}}}");
        assert_eq!(errors_with("listener", &listener).len(), 1, "{mode}");
    }
}

#[test]
fn verify_needs_a_trust_store() {
    let expected = "`listener` verifies client certificates, but there is no section `trust_store` | add \
        `trust_store: {ca_bundle: […]}`, or write `mutual_authentication: off`";
    assert_eq!(errors_with("trust_store", ""), [expected]);
}

#[test]
fn what_a_listener_needs_is_named() {
    assert!(
        errors_with("certificate", "")[1].starts_with("`listener` needs a section `certificate`")
    );
    assert!(errors_with("target_group", "")[0].starts_with("`listener` has no target group"));
    let errors = errors_with("load_balancer", "");
    assert!(
        errors[0].starts_with("`listener` needs a section `load_balancer`"),
        "{errors:?}"
    );
}

#[test]
fn a_section_at_fault_causes_no_further_errors() {
    assert_eq!(
        errors_with("load_balancer", "load_balancer: {subnets: []}").len(),
        1
    );
    assert_eq!(errors_with("certificate", "certificate: {arn: x}").len(), 1);
    assert_eq!(
        errors_with("trust_store", "trust_store: {ca_bundle: [none.pem]}").len(),
        1
    );
    assert_eq!(errors_with("api", "api: {openapi: none.yaml}").len(), 1);
    assert_eq!(errors_with("vpc", "vpc: main").len(), 1);
    assert_eq!(
        errors_with("target_group", "target_group: {targets: [x]}").len(),
        1
    );
}

#[test]
fn a_third_verifying_listener_is_refused() {
    let listeners = "listeners: {a: {}, b: {port: 8443}, c: {port: 9443}}";
    let text = petstore_with("listener", listeners);
    let text = text.replace("target_group:  {}", "target_group: {targets: [10.0.0.1]}");
    assert_eq!(errors_of(&text).len(), 1);
    assert!(errors_of(&text)[0].contains("at most 2 listeners that verify"));
}

#[test]
fn ports_are_taken_once() {
    let listeners =
        "listeners: {a: {redirect_http: true}, b: {port: 80, mutual_authentication: off}}";
    let text = petstore_with("listener", listeners);
    let text = text.replace("target_group:  {}", "target_group: {targets: [10.0.0.1]}");
    assert_eq!(
        errors_of(&text),
        ["13:43: port 80 of `listeners.b` is taken by `listeners.a`"]
    );
}

#[test]
fn the_endpoint_is_reached_through_port_443_only() {
    assert!(
        errors_with("listener", "listener: {port: 8443}")[0]
            .contains("cannot lead to the endpoint")
    );
    assert_eq!(
        errors_with("target_group", "target_group: {port: 80}").len(),
        1
    );
    assert_eq!(
        errors_with("target_group", "target_group: {protocol: http}").len(),
        1
    );
}

#[test]
fn singular_and_plural_exclude_each_other() {
    let errors = errors_with(
        "api",
        "api: {sample: petstore}\napis: {a: {sample: petstore}}",
    );
    assert!(
        errors[0].starts_with("`api` and `apis` exclude each other"),
        "{errors:?}"
    );
}

#[test]
fn several_apis_need_mappings() {
    let apis = "apis: {orders: {sample: petstore}, users: {sample: petstore}}";
    assert!(errors_with("api", apis)[0].contains("does not say which API answers"));
    let text = petstore_with("api", apis).replace(
        "domain:        { name: aaa.example.com }",
        "domain: {name: aaa.example.com, mappings: {o: orders, (none): users}}",
    );
    let stack = parse(&text).unwrap();
    let mappings = [
        Mapping {
            base_path: BasePath::Root,
            api: "users".into(),
        },
        Mapping {
            base_path: BasePath::Segment("o".into()),
            api: "orders".into(),
        },
    ];
    assert_eq!(stack.domains["main"].mappings, mappings);
}

#[test]
fn a_mapping_names_an_existing_api_and_one_segment() {
    let domain = "domain: {name: aaa.example.com, mappings: {a/b: main}}";
    assert!(errors_with("domain", domain)[0].contains("contains a slash"));
    let domain = "domain: {name: aaa.example.com, mappings: {a: mian}}";
    assert_eq!(
        errors_with("domain", domain),
        ["there is no API `mian` | did you mean `main`?"]
    );
    let domain = "domain: {name: aaa.example.com, base_path: /v1}";
    assert_eq!(
        errors_with("domain", domain),
        ["the base path `/v1` contains a slash | write `v1`"]
    );
}

#[test]
fn a_certificate_has_exactly_one_source() {
    let certificate = "certificate: {request: a.example.com, find: b.example.com}";
    assert!(errors_with("certificate", certificate)[0].starts_with("`request` and `find` exclude"));
    assert!(errors_with("certificate", "certificate: {}")[0].contains("does not say where"));
}

#[test]
fn a_requested_certificate_covers_the_domain() {
    let errors = errors_with("certificate", "certificate: {request: example.com}");
    assert_eq!(
        errors,
        [
            "the requested certificate is not good for `aaa.example.com` | request `*.example.com`, or list \
          `aaa.example.com` in `subject_alternative_names`"
        ]
    );
    let certificate =
        "certificate: {request: example.com, subject_alternative_names: ['*.example.com']}";
    assert_eq!(errors_with("certificate", certificate), [""; 0]);
    assert_eq!(
        errors_with("certificate", "certificate: {find: example.com}"),
        [""; 0]
    );
}

#[test]
fn a_record_lies_within_its_zone() {
    let expected = "`aaa.example.com` is not within the zone `example.org`";
    assert_eq!(
        errors_with("record", "record: {zone: example.org}"),
        [expected]
    );
    assert_eq!(errors_with("record", "record: {zone: ample.com}").len(), 1);
    assert_eq!(
        errors_with("record", "record: {zone: Z0123456789ABC}"),
        [""; 0]
    );
}

#[test]
fn a_record_without_load_balancer_points_to_the_domain() {
    let text = "name: a\nregion: eu-west-1\napi: {sample: petstore, endpoint_type: regional}\n\
        domain: {name: a.example.com}\ncertificate: {find: a.example.com}\nrecord: {zone: example.com}\n";
    let stack = parse(text).unwrap();
    assert_eq!(
        stack.records["main"].target,
        RecordTarget::Domain("main".into())
    );
    assert_eq!(stack.apis["main"].policy, ApiPolicy::None);
}

#[test]
fn later_keys_are_recognised() {
    let line = "load_balancer: {subnets: [subnet-1, subnet-2], web_acl: x}";
    let errors = errors_with("load_balancer", line);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("not supported yet"), "{errors:?}");
}

#[test]
fn health_checks_have_their_limits() {
    let check = |check: &str| {
        errors_with(
            "target_group",
            &format!("target_group: {{health_check: {{{check}}}}}"),
        )
    };
    assert_eq!(check("interval_seconds: 5"), [""; 0]);
    assert_eq!(check("interval_seconds: 4").len(), 1);
    assert_eq!(check("interval_seconds: 10, timeout_seconds: 10").len(), 1);
    assert_eq!(check("matcher: 200-499"), [""; 0]);
    assert_eq!(check("matcher: '200, 403'"), [""; 0]);
    assert_eq!(check("matcher: 500").len(), 1);
    assert_eq!(check("matcher: 300-200").len(), 1);
    assert_eq!(check("port: traffic-port"), [""; 0]);
    assert_eq!(check("port: 8443"), [""; 0]);
    assert_eq!(check("port: 0").len(), 1);
    assert_eq!(
        check("healthy_threshold: 11, unhealthy_threshold: 1").len(),
        2
    );
}

#[test]
fn header_names_become_attributes() {
    let listener = "listener: {header_names: {subject: X-Client-Subject}}";
    let stack = parse(&petstore_with("listener", listener)).unwrap();
    let key = "routing.http.request.x_amzn_mtls_clientcert_subject.header_name";
    assert_eq!(stack.listeners["main"].attributes[key], "X-Client-Subject");
    assert_eq!(
        errors_with("listener", "listener: {header_names: {subjekt: X}}")[0]
            .rsplit(" | ")
            .next(),
        Some("did you mean `subject`?")
    );
}

#[test]
fn attributes_are_checked_by_their_keys() {
    let attributes = |attributes: &str| {
        let subnets = "subnets: [subnet-1, subnet-2]";
        petstore_with(
            "load_balancer",
            &format!("load_balancer: {{{subnets}, attributes: {{{attributes}}}}}"),
        )
    };
    assert_eq!(
        errors_of(&attributes("idle_timeout.timeout_seconds: 120")),
        [""; 0]
    );
    assert_eq!(
        errors_of(&attributes("idle_timeout.timeout_seconds: 5000")).len(),
        1
    );
    assert_eq!(
        errors_of(&attributes("idle_timeout.timeout_secs: 120")).len(),
        1
    );
    assert_eq!(
        errors_of(&attributes("routing.http2.enabled: yes")).len(),
        1
    );
    let stack = parse(&attributes("brand.new.thing: true")).unwrap();
    assert_eq!(stack.warnings()[0].code, "unknown_attribute");
}

#[test]
fn reserved_tags_are_refused() {
    for tag in ["aws:x: y", "mtlsgw:stack: y", "'': y", "a*: y"] {
        assert_eq!(
            errors_with("vpc", &format!("vpc: vpc-1\ntags: {{{tag}}}")).len(),
            1,
            "{tag}"
        );
    }
    let many: String = (0..41).fold(String::new(), |text, number| {
        text + &format!("k{number}: v, ")
    });
    assert_eq!(
        errors_with("vpc", &format!("vpc: vpc-1\ntags: {{{many}}}")).len(),
        1
    );
}

#[test]
fn addresses_are_fixed_in_every_subnet_or_none() {
    let endpoint = "endpoint: {subnets: [subnet-1], addresses: {subnet-1: 10.0.1.10}}";
    let stack = parse(&petstore_with("endpoint", endpoint)).unwrap();
    let Some(Endpoint::Own(endpoint)) = &stack.endpoint else {
        panic!()
    };
    assert_eq!(endpoint.addresses["subnet-1"], Ipv4Addr::new(10, 0, 1, 10));
    let endpoint = "endpoint: {subnets: [subnet-1, subnet-2], addresses: {subnet-1: 10.0.1.10}}";
    assert_eq!(errors_with("endpoint", endpoint).len(), 1);
    let endpoint = "endpoint: {subnets: [subnet-1], addresses: {subnet-1: x, subnet-3: 10.0.0.1}}";
    assert_eq!(errors_with("endpoint", endpoint).len(), 2);
}

#[test]
fn what_exists_takes_no_settings() {
    let errors = errors_with("endpoint", "endpoint: {id: vpce-1, private_dns: true}");
    assert!(
        errors[0].starts_with("`private_dns` has no effect beside `id`"),
        "{errors:?}"
    );
    let arn =
        "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:truststore/a/0123456789abcdef";
    assert_eq!(
        errors_with("trust_store", &format!("trust_store: {{arn: '{arn}'}}")),
        [""; 0]
    );
    let both = format!("trust_store: {{arn: '{arn}', crls: []}}");
    assert_eq!(errors_with("trust_store", &both).len(), 1);
}

#[test]
fn a_private_key_is_no_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    std::fs::write(&key, "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let line = format!("trust_store: {{ca_bundle: ['{}']}}", key.display());
    let errors = errors_with("trust_store", &line);
    assert!(errors[0].contains("contains a private key"), "{errors:?}");
}

#[test]
fn an_unset_variable_is_located() {
    let errors = errors_of(&petstore_with(
        "listener",
        "listener: {port: \"${env:NO_SUCH_THING}\"}",
    ));
    assert_eq!(
        errors,
        [
            "13:12: the environment variable `NO_SUCH_THING` is not set | set it, or write \
          `${env:NO_SUCH_THING:-default}`"
        ]
    );
    assert_eq!(
        errors_with("listener", "listener: {port: \"${env:PORT}\"}"),
        [""; 0]
    );
}

#[test]
fn the_identity_needs_nothing_else_of_the_file() {
    let text = "name: a\nregion: eu-west-1\nlistener:\nbroken: ${env:NONE}\n";
    let identity = identity_with(Path::new("a.yaml"), text, &lookup).unwrap();
    assert_eq!(
        identity,
        Identity {
            name: "a".into(),
            region: "eu-west-1".into(),
            account: None,
            bucket: Bucket::Own,
        }
    );
    let errors = identity_with(Path::new("a.yaml"), "name: a\n", &lookup).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "a.yaml:1:1: required key `region` is missing"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_without_a_line() {
    let errors = Stack::load(Path::new("none.yaml")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "none.yaml: cannot read the stack file: there is no such file"
    );
    let errors = Stack::load(Path::new("examples")).unwrap_err();
    assert!(
        errors
            .to_string()
            .contains("it is a directory\nhint: name the stack file in it")
    );
}

#[test]
fn what_exists_is_of_the_region_of_the_stack() {
    let arn = "arn:aws:acm:us-east-1:123456789012:certificate/a";
    let errors = errors_with("certificate", &format!("certificate: {{arn: '{arn}'}}"));
    assert!(errors[0].contains("is of region `us-east-1`"), "{errors:?}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        start in 0..PETSTORE.len(), length in 0..20_usize, new in "[ -~\\n\\t\u{feff}é&*!|>%@`]{0,8}",
    ) {
        let mut text = PETSTORE.to_owned();
        text.replace_range(start..(start + length).min(PETSTORE.len()), &new);
        let read = parse(&text);
        if let Err(errors) = read {
            let lines = text.lines().count() + 1;
            assert!(errors.iter().all(|error| error.location.line <= lines), "{errors}");
        }
        let _ = identity_with(Path::new(FILE), &text, &lookup);
    }
}
