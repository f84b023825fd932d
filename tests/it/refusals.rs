//! Bad input gets a clear error and changes nothing.

use std::collections::BTreeSet;

use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::support::{Authority, Aws, PETSTORE, Scenario, authority};

/// A CA of RSA 1024, made with the `openssl` command line: rcgen makes none.
const RSA_1024: &str = "-----BEGIN CERTIFICATE-----
MIIB+zCCAWSgAwIBAgIUVYuWRmm9/lR/eXuq4pbf5iwjVtMwDQYJKoZIhvcNAQEL
BQAwFzEVMBMGA1UEAwwMU2hvcnQgS2V5IENBMCAXDTIwMDEwMTAwMDAwMFoYDzIw
NjkxMjMxMjM1OTU5WjAXMRUwEwYDVQQDDAxTaG9ydCBLZXkgQ0EwgZ8wDQYJKoZI
hvcNAQEBBQADgY0AMIGJAoGBAL7Q6OOhG//ywJH0P5OIvZGWP7IlJrvdeOcSpYSJ
x7tvLDy6k6ZaKTNkQfcfQdhnXXJCqF0etRjqwlkunsnwE/+RofVhrs3aPB01RUaV
g9xaK8dKNFLCavdaghaRiA7JWI09+SMft9UXjKbxbl4vEHOl9Lxu1wc2yQEVhj3+
1hWXAgMBAAGjQjBAMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0G
A1UdDgQWBBTIAvq/L79iLhFN6op75Yz7Q4UaVzANBgkqhkiG9w0BAQsFAAOBgQBG
T6PndRDICHIMk4oq4vpzW0/ZlRR0Kq5OWY45Ofae2h9RB+eeJRoHgksihMTKHlMk
Xl00Vjfn3KB6ZbYR1qW+DkC47vUsO0ne27ydlxzaeXiW/ptrxDnucQM825FxWcd5
hm5nADG/25FawnfA+oT3kJCKwSP6BwYtS1HjQ6PhCw==
-----END CERTIFICATE-----
";

/// A CA signed with ECDSA and SHA-1, made with the `openssl` command line.
const SHA_1: &str = "-----BEGIN CERTIFICATE-----
MIIBejCCASGgAwIBAgIUKIGMJwo84Mt50dz0OsiYSBf/PYwwCQYHKoZIzj0EATAb
MRkwFwYDVQQDDBBPbGQgU2lnbmF0dXJlIENBMCAXDTIwMDEwMTAwMDAwMFoYDzIw
NjkxMjMxMjM1OTU5WjAbMRkwFwYDVQQDDBBPbGQgU2lnbmF0dXJlIENBMFkwEwYH
KoZIzj0CAQYIKoZIzj0DAQcDQgAEFMtKneTb7fXlLUCL/cSWd6LuI2QhMkX6Qfg5
FuL1EtoRiUxkbO6UEohTBQ87SDDHql6vKMSeD4ZUilviQ2uxY6NCMEAwDwYDVR0T
AQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFAGHLp7iG+aPaP/l
iM4na+bh46/gMAkGByqGSM49BAEDSAAwRQIgQR9oEI22uGKS0pPLz8rGjLT1fGzE
C3VfjpUQVVCqDFoCIQChEDRN5Ca3y2ErlS36u7F4+yGGN8N0pHmRORtb1j3/3w==
-----END CERTIFICATE-----
";

/// A CA of X.509 version 1, made with the `openssl` command line.
const VERSION_1: &str = "-----BEGIN CERTIFICATE-----
MIIBLTCB1QIUIL5lZisU87twKuwvRnsoqKK72DIwCgYIKoZIzj0EAwIwGTEXMBUG
A1UEAwwOVmVyc2lvbiBPbmUgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjA2OTEyMzEy
MzU5NTlaMBkxFzAVBgNVBAMMDlZlcnNpb24gT25lIENBMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEFMtKneTb7fXlLUCL/cSWd6LuI2QhMkX6Qfg5FuL1EtoRiUxk
bO6UEohTBQ87SDDHql6vKMSeD4ZUilviQ2uxYzAKBggqhkjOPQQDAgNHADBEAiAn
IoClrkD5W4aXZN14PGuicPeEbUzsN38E3VHzF5MeugIgL/PiawAVz8IFXJ2RIWYR
N8VP+IiMaVSvFiXc6xkUR2k=
-----END CERTIFICATE-----
";

/// System P with one of its lines replaced, or another line added.
fn petstore_with(line: &str) -> Scenario {
    let (section, _) = line.split_once(':').expect("is a section");
    let is_replaced = |old: &&str| old.starts_with(&format!("{section}:"));
    let text = match PETSTORE.lines().find(is_replaced) {
        Some(old) => PETSTORE.replace(old, line),
        None => format!("{PETSTORE}{line}\n"),
    };
    Scenario::stack(&text)
}

/// What a plan is refused with before AWS is asked anything.
#[track_caller]
fn refused_offline(scenario: &Scenario) -> String {
    let (outcome, calls) = scenario.calls_of(["plan"]);
    let outcome = outcome.exits(1);
    assert_eq!(calls, [""; 0], "{outcome}");
    assert_eq!(outcome.stdout, "");
    outcome.stderr
}

/// What an apply is refused with after AWS was asked, and before anything is changed.
#[track_caller]
fn refused(scenario: &Scenario) -> String {
    scenario.refuses(["apply", "--yes"]).stderr
}

#[test]
fn a_line_that_cannot_be_understood_is_named_with_its_place() {
    let cases = [
        (
            "api: { openapi: petstore.yaml, stage: dev",
            "error: stack.yaml:6:7: this is not YAML: did not find expected ',' or '}', while parsing a \
             flow mapping at line 5 column 6\n",
        ),
        (
            "api: { openapi: petstore.yaml, stag: dev }",
            "error: stack.yaml:5:32: unknown key `stag` in `api`; allowed: `openapi`, `sample`, `name`, `stage`, \
             `endpoint_type`, `associate_endpoint`, `policy`, `description`, `stage_variables`, `access_logs`, `throttling`, `vpc_link`, `insecure_skip_verification`, `backend_certificate`\n\
             hint: did you mean `stage`?\n",
        ),
        (
            "listener: { port: abc }",
            "error: stack.yaml:11:13: `listener.port` is the text `abc`, not a whole number from 0 to 65535\n",
        ),
        (
            "listener: { mutual_authentication: verfy }",
            "error: stack.yaml:11:13: there is no mode `verfy`; allowed: `verify`, `passthrough`, `off`\n\
             hint: did you mean `verify`?\n",
        ),
        (
            "load_balancer: { deletion_protection: 3 }",
            "error: stack.yaml:9:18: `load_balancer.deletion_protection` is the number 3, not `true` or \
             `false`\n",
        ),
        (
            "api:",
            "error: stack.yaml:5:1: `api` is empty\nhint: write `{}` for its defaults, or remove it\n",
        ),
        (
            "name: Pet_Store",
            "error: stack.yaml:1:1: `Pet_Store` is no name for a stack; allowed: at most 20 lower-case \
             letters, digits and single hyphens, beginning with a letter\nhint: write `pet-store`\n",
        ),
    ];
    for (line, error) in cases {
        assert_eq!(refused_offline(&petstore_with(line)), error, "{line}");
    }
}

#[test]
fn an_unknown_section_is_answered_with_the_nearest_one() {
    let scenario = petstore_with("trust_stor: { ca_bundle: [root_cert.pem] }");
    let error = refused_offline(&scenario);
    assert!(error.starts_with("error: stack.yaml:13:1: unknown key `trust_stor`; allowed: `name`"));
    assert!(error.ends_with("\nhint: did you mean `trust_store`?\n"));
}

#[test]
fn a_file_that_is_missing_is_named_with_the_place_that_names_it() {
    let hint = "hint: relative paths start from the directory of the stack file\n";
    for (line, place, file) in [
        ("api: { openapi: missing.yaml }", "5:8", "missing.yaml"),
        (
            "trust_store: { ca_bundle: [nope.pem] }",
            "10:28",
            "nope.pem",
        ),
        (
            "trust_store: { ca_bundle: [root_cert.pem], crls: [no.crl] }",
            "10:51",
            "no.crl",
        ),
    ] {
        let error = format!(
            "error: stack.yaml:{place}: cannot read `{file}`: there is no such file\n{hint}"
        );
        assert_eq!(refused_offline(&petstore_with(line)), error);
    }
    let outcome = Scenario::empty().run(["apply", "--yes"]).exits(1);
    assert_eq!(
        outcome.stderr,
        "error: stack.yaml: cannot read the stack file: there is no such file\n"
    );
}

#[test]
fn what_is_not_supported_yet_is_refused_as_such() {
    for (line, error) in [
        (
            "load_balancer: { log_retention_days: 5 }",
            "9:18: `log_retention_days` has no effect without a log bucket of the stack's own\n\
             hint: write `connection_logs: true`, or remove it",
        ),
        (
            "load_balancer: { connection_logs: true, attributes: { connection_logs.s3.enabled: true } }",
            "9:55: `connection_logs.s3.enabled` is given as `connection_logs`, too\n\
             hint: keep one of the two",
        ),
        (
            "load_balancer: { access_logs: their-logs }",
            "9:18: `load_balancer.access_logs` cannot be `their-logs`\n\
             hint: write `{bucket: their-logs}` for a bucket that exists",
        ),
        (
            "load_balancer: { access_logs: { bucket: their-logs, prefix: edge/AWSLogs } }",
            "9:53: the prefix must not contain `AWSLogs`\n\
             hint: leave that part out: ELB adds `AWSLogs/ACCOUNT` by itself",
        ),
        (
            "load_balancer: { web_acl: x }",
            "9:18: `load_balancer.web_acl` is not supported yet",
        ),
        (
            "target_group: { targets: [i-0123456789abcdef0, 10.0.1.5] }",
            "8:48: a target group has instances or IP addresses, not both\n\
             hint: make two target groups",
        ),
        (
            "target_group: { targets: [i-0123456789ABCDEF0] }",
            "8:27: `i-0123456789ABCDEF0` is no instance id; allowed: `i-` and 8 or 17 hexadecimal digits: \
             `i-0123456789abcdef0`",
        ),
        (
            "trust_store: { ca_bundle: [\"http://user:word@ca.example.com/root.pem?sig=1\"] }",
            "10:28: `http://ca.example.com/root.pem`: CAs are not fetched from URLs\n\
             hint: download the file, see that it is what you trust, and name it here",
        ),
        (
            "trust_store: { ca_bundle: [root_cert.pem], crls: [\"http://u:word@c/a\", \"http://u:word@c/a\"] }",
            "10:72: `http://c/a` is listed twice",
        ),
        (
            "trust_store: { ca_bundle: [root_cert.pem], crls: [\"http://u:word@/a\"] }",
            "10:51: `trust_store.crls[0]` is no URL; allowed: `http://host/path` or `https://host/path`",
        ),
    ] {
        let scenario = petstore_with(line);
        assert_eq!(
            refused_offline(&scenario),
            format!("error: stack.yaml:{error}\n")
        );
    }
}

#[test]
fn sections_that_contradict_each_other_are_refused() {
    for (line, error) in [
        (
            "certificate: { request: www.example.com }",
            "6:11: the requested certificate is not good for `api.example.com`\n\
             hint: request `*.example.com`, or list `api.example.com` in `subject_alternative_names`",
        ),
        (
            "load_balancer: { subnets: [subnet-15b83436007d0d6f7] }",
            "9:18: a load balancer needs at least two subnets\n\
             hint: add a subnet in another availability zone",
        ),
        (
            "record: { zone: example.org }",
            "12:11: `api.example.com` is not within the zone `example.org`",
        ),
    ] {
        let scenario = petstore_with(line);
        assert_eq!(
            refused_offline(&scenario),
            format!("error: stack.yaml:{error}\n")
        );
    }
}

#[test]
fn a_private_key_in_the_bundle_is_refused_and_goes_nowhere() {
    let bundle = format!("{}{}", authority().certificate, authority().private_key());
    for name in ["root_cert.pem", "root.crl"] {
        let scenario = Scenario::petstore().file(name, &bundle);
        let error = refused_offline(&scenario);
        assert!(
            error.contains(&format!("`{name}` contains a private key\n")),
            "{error}"
        );
        assert!(
            error.contains("hint: leave only the certificates in the file"),
            "{error}"
        );
        // The harness scans the sandbox for keys after every command.
        scenario.run(["apply", "--yes"]).exits(1);
    }
}

#[test]
fn a_certificate_that_aws_would_refuse_is_refused_with_the_reason() {
    let leaf = Authority::with("Some Client", |params| params.is_ca = IsCa::NoCa);
    for (certificate, messages) in [
        (
            leaf.certificate.as_str(),
            &[
                "CN=Some Client: it has no basicConstraints extension, which is what makes a certificate a CA's",
                "hint: make the certificate with `basicConstraints = critical, CA:TRUE`",
            ][..],
        ),
        (
            RSA_1024,
            &["CN=Short Key CA: its key is RSA 1024 (ca-key-unsupported)"],
        ),
        (
            SHA_1,
            &["CN=Old Signature CA: it is signed with ECDSA with SHA-1 (ca-signature-weak)"],
        ),
        (
            VERSION_1,
            &["CN=Version One CA: it is an X.509 version 1 certificate (ca-version)"],
        ),
    ] {
        let bundle = format!("{}{certificate}", authority().certificate);
        let scenario = Scenario::petstore().applied().file("root_cert.pem", bundle);
        let error = refused(&scenario);
        assert!(error.starts_with("error: stack.yaml:10:16: "), "{error}");
        for message in messages {
            assert!(error.contains(message), "{error}");
        }
    }
}

#[test]
fn an_imported_certificate_that_does_not_cover_the_domain_is_refused() {
    let server = Authority::with("Server", |params| {
        let other = "other.example.org".try_into().expect("is ASCII");
        params.subject_alt_names = vec![SanType::DnsName(other)];
        params.is_ca = IsCa::NoCa;
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let import =
        "certificate: { import: { certificate: server.pem, private_key: server_key.pem } }";
    let scenario = petstore_with(import)
        .file("server.pem", &server.certificate)
        .file("server_key.pem", server.private_key());
    let error = refused(&scenario);
    assert!(error.starts_with("error: stack.yaml:7:"), "{error}");
    let reason = "it is for other.example.org, which does not cover api.example.com";
    assert!(error.contains(reason), "{error}");
}

#[test]
fn a_bundle_with_blank_lines_and_openssls_text_is_the_same_bundle() {
    let preamble =
        "Certificate:\n    Data:\n        Version: 3 (0x2)\n        Issuer: CN = Harness Root CA\n";
    let bundle = format!("\n\n{preamble}{}\n\n\n", authority().certificate);
    let scenario = Scenario::petstore().applied().file("root_cert.pem", bundle);
    scenario.has_converged();
}

#[test]
fn a_crl_that_revokes_nothing_is_refused() {
    let stranger = Authority::new("Some Other CA");
    let now = OffsetDateTime::now_utc();
    let past = (now - Duration::days(40), now - Duration::days(10));
    let expired = authority().crl_between(7, &[2], past);
    for (crl, message) in [
        (
            &stranger.crl,
            "CRL of CN=Some Other CA: no certificate of the bundle has the name of its issuer (crl-issuer-unknown)",
        ),
        (&expired, "CRL of CN=Harness Root CA"),
        (
            &authority().certificate,
            "holds CERTIFICATE, where a CRL was expected",
        ),
    ] {
        let scenario = Scenario::petstore().applied().file("root.crl", crl);
        let error = refused(&scenario);
        assert!(error.starts_with("error: stack.yaml:10:"), "{error}");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn two_crls_in_one_file_become_two_revocations() {
    let second = Authority::new("Second Root CA");
    let scenario = Scenario::petstore()
        .file(
            "root_cert.pem",
            format!("{}{}", authority().certificate, second.certificate),
        )
        .file("root.crl", format!("{}{}", authority().crl, second.crl));
    let writes = scenario.applies(&[]);
    let added = writes
        .iter()
        .filter(|call| *call == "AddTrustStoreRevocations");
    assert_eq!(added.count(), 2);
}

/// The subnets of the default VPC.
fn subnets(aws: &Aws) -> Vec<String> {
    let answer = aws.query("ec2", &[("Action", "DescribeSubnets")]).ok();
    let elements = answer.body.split("<subnetId>").skip(1);
    elements
        .filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()))
        .collect()
}

#[test]
fn what_the_account_does_not_hold_is_named_with_what_it_does() {
    let both = |scenario: &Scenario| {
        let ids = scenario.meanwhile(subnets);
        format!("load_balancer: {{ subnets: [{}, {}] }}", ids[0], ids[1])
    };
    let line = both(&Scenario::petstore());
    let mut scenario = petstore_with(&line);
    scenario.edit("vpc: default", "vpc: vpc-0123456789abcdef0");
    let error = refused(&scenario);
    let there = "the VPC `vpc-0123456789abcdef0` does not exist in ap-northeast-1; allowed: vpc-";
    assert!(
        error.starts_with(&format!("error: stack.yaml:3:1: {there}")),
        "{error}"
    );

    let scenario = petstore_with(&line.replace("subnets: [", "subnets: [subnet-0, "));
    let error = refused(&scenario);
    let there = "9:28: the subnet `subnet-0` does not exist in ap-northeast-1; allowed: subnet-";
    assert!(error.contains(there), "{error}");

    let error = refused(&Scenario::stack(
        &PETSTORE.replace("example.com", "example.org"),
    ));
    let there =
        "12:11: there is no hosted zone `example.org` in the account; allowed: example.com\n";
    assert_eq!(error, format!("error: stack.yaml:{there}"));

    let error = refused(&petstore_with("certificate: { find: api.example.com }"));
    assert!(
        error.contains("7:16: no issued certificate of the name `api.example.com`"),
        "{error}"
    );
}

#[test]
fn two_subnets_in_one_availability_zone_are_refused_with_both_names() {
    let scenario = Scenario::petstore();
    let (there, added) = scenario.meanwhile(|aws| {
        let vpc = aws
            .query("ec2", &[("Action", "DescribeVpcs")])
            .ok()
            .element("vpcId");
        let here = ("AvailabilityZone", "ap-northeast-1a");
        let first = aws.query(
            "ec2",
            &[
                ("Action", "DescribeSubnets"),
                ("Filter.1.Name", "availability-zone"),
                ("Filter.1.Value.1", here.1),
            ],
        );
        let parameters = [
            ("Action", "CreateSubnet"),
            ("VpcId", &vpc),
            ("CidrBlock", "172.31.48.0/20"),
            here,
        ];
        (
            first.ok().element("subnetId"),
            aws.query("ec2", &parameters).ok().element("subnetId"),
        )
    });
    let line = format!("load_balancer: {{ subnets: [{there}, {added}] }}");
    let scenario = scenario.file("stack.yaml", PETSTORE.replace("load_balancer: {}", &line));
    let error = refused(&scenario);
    assert!(error.contains("stack.yaml:9:18: the subnets "), "{error}");
    assert!(error.contains("are both in ap-northeast-1a; AWS takes one in an availability zone"));
    assert!(error.contains(&there) && error.contains(&added), "{error}");
}

#[test]
fn an_endpoint_in_a_zone_without_the_load_balancer_is_refused() {
    let scenario = Scenario::petstore();
    let subnet = |zone| {
        let filter = [
            ("Action", "DescribeSubnets"),
            ("Filter.1.Name", "availability-zone"),
            ("Filter.1.Value.1", zone),
        ];
        scenario.meanwhile(|aws| aws.query("ec2", &filter).ok().element("subnetId"))
    };
    let [a, c, d] = ["ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"].map(subnet);
    let text = PETSTORE
        .replace(
            "endpoint: {}",
            &format!("endpoint: {{ subnets: [{a}, {d}] }}"),
        )
        .replace(
            "load_balancer: {}",
            &format!("load_balancer: {{ subnets: [{a}, {c}] }}"),
        );
    let error = refused(&scenario.file("stack.yaml", text));
    let message = format!(
        "stack.yaml:4:13: the subnet `{d}` is in ap-northeast-1d, where the load balancer is not"
    );
    assert!(error.contains(&message), "{error}");
}

#[test]
fn another_account_is_never_touched() {
    let scenario = petstore_with("account: \"999999999999\"");
    for command in ["plan", "apply", "destroy"] {
        let error = scenario.refuses([command]).stderr;
        assert_eq!(
            error,
            "error: the stack `petstore` belongs to account 999999999999, but \
             arn:aws:iam::123456789012:user/sandbox is in account 123456789012\n\
             hint: use the credentials of that account: set AWS_PROFILE or --profile\n"
        );
    }
}

/// Takes the names of a security group, a load balancer, a target group and a trust store.
fn take_names(aws: &Aws, name: impl Fn(&str) -> String) {
    let elb = "elasticloadbalancing";
    let vpc = aws
        .query("ec2", &[("Action", "DescribeVpcs")])
        .ok()
        .element("vpcId");
    let group = [
        ("Action", "CreateSecurityGroup"),
        ("GroupName", "mtlsgw-petstore-endpoint"),
        ("GroupDescription", "theirs"),
        ("VpcId", &vpc),
    ];
    aws.query("ec2", &group).ok();
    let subnets = subnets(aws);
    let balancer = [
        ("Action", "CreateLoadBalancer"),
        ("Name", &name("load_balancer")),
        ("Subnets.member.1", &subnets[0]),
        ("Subnets.member.2", &subnets[1]),
    ];
    aws.query(elb, &balancer).ok();
    let group = [
        ("Action", "CreateTargetGroup"),
        ("Name", &name("target_group")),
        ("Protocol", "HTTPS"),
        ("Port", "443"),
        ("VpcId", &vpc),
        ("TargetType", "ip"),
    ];
    aws.query(elb, &group).ok();
    aws.make_bucket("theirs");
    aws.rest(("s3", "PUT", "/theirs/ca.pem"), &authority().certificate)
        .ok();
    let store = [
        ("Action", "CreateTrustStore"),
        ("Name", &name("trust_store")),
        ("CaCertificatesBundleS3Bucket", "theirs"),
        ("CaCertificatesBundleS3Key", "ca.pem"),
    ];
    aws.query(elb, &store).ok();
}

#[test]
fn what_stands_under_a_name_of_ours_is_left_alone() {
    let scenario = Scenario::petstore();
    let plan = scenario.run(["plan", "--json"]).json();
    scenario.meanwhile(|aws| take_names(aws, |address| planned(&plan, address, "name")));
    let error = refused(&scenario);
    for (address, what) in [
        (
            "endpoint.security_group",
            "the security group `mtlsgw-petstore-endpoint` (sg-",
        ),
        ("load_balancer", "the load balancer `petstore-"),
        ("target_group", "the target group `petstore-"),
        ("trust_store", "the trust store `petstore-"),
    ] {
        assert!(error.contains(&format!("`{address}`: {what}")), "{error}");
    }
    assert_eq!(
        error.matches(" exists and is not this stack's\n").count(),
        4,
        "{error}"
    );
    assert!(
        error.contains("hint: nothing that is not this stack's is changed"),
        "{error}"
    );
}

/// A field of a planned creation.
#[track_caller]
fn planned(plan: &Value, address: &str, field: &str) -> String {
    let find = |list: &Value, key: &str, wanted: &str| {
        let found = list
            .as_array()
            .expect("is a list")
            .iter()
            .find(|one| one[key] == wanted);
        found
            .unwrap_or_else(|| panic!("no {wanted} in {list:#}"))
            .clone()
    };
    let change = find(&plan["stacks"][0]["changes"], "address", address);
    let value = find(&change["fields"], "path", field)["after"].clone();
    value.as_str().expect("is text").to_owned()
}

#[test]
fn a_domain_and_a_record_of_another_stack_stay_theirs() {
    let scenario = Scenario::stack(&PETSTORE.replace("name: petstore", "name: other-team"));
    let scenario = scenario.applied().file("stack.yaml", PETSTORE);
    let error = refused(&scenario);
    for (address, what) in [
        ("domain", "the custom domain `api.example.com` exists"),
        (
            "record.a",
            "the record api.example.com A exists and is not this stack's",
        ),
    ] {
        assert!(error.contains(&format!("`{address}`: {what}")), "{error}");
    }
}

#[test]
fn a_record_that_leads_elsewhere_is_not_taken_over() {
    for (record_type, value) in [("A", "192.0.2.1"), ("CNAME", "www.example.net")] {
        let scenario = Scenario::petstore();
        scenario.meanwhile(|aws| aws.put_record(("CREATE", "api.example.com", record_type), value));
        let error = refused(&scenario);
        let what =
            format!("the record api.example.com {record_type} exists and is not this stack's");
        assert!(error.contains(&format!("`record.a`: {what}")), "{error}");
    }
}

#[test]
fn a_mapping_of_somebody_elses_on_our_domain_is_not_taken_over() {
    let theirs = "name: theirs\nregion: ap-northeast-1\napi: { sample: petstore, endpoint_type: regional }\n";
    let scenario = Scenario::petstore().applied().file("theirs.yaml", theirs);
    scenario.run(["apply", "--yes", "theirs.yaml"]).ok();
    let api = scenario
        .run(["output", "theirs.yaml", "--name", "api"])
        .ok();
    let patch = json!({"patchOperations": [{"op": "replace", "path": "/restapiId", "value": api.stdout.trim()}]});
    let path = "/domainnames/api.example.com/basepathmappings/(none)";
    scenario.meanwhile(|aws| {
        aws.rest(("apigateway", "PATCH", path), patch.to_string())
            .ok();
    });
    let error = refused(&scenario);
    assert!(error.contains("`domain.mapping`: "), "{error}");
}

#[test]
fn a_read_that_is_denied_is_an_error_and_never_absence() {
    let mut scenario = Scenario::petstore().applied();
    let (_, calls) = scenario.calls_of(["plan"]);
    let reads: BTreeSet<String> = calls.into_iter().collect();
    assert!(reads.len() > 30, "{reads:?}");
    for read in reads {
        scenario = scenario.env("MTLSGW_SANDBOX_FAULTS", &format!("{read}x*=deny"));
        let error = refused(&scenario);
        // What S3 is asked for by a presigned URL belongs to the operation that gave the URL.
        let operation = match read.as_str() {
            "s3:GetObject" => "GetTrustStore",
            other => other.split_once(':').expect("has a service").1,
        };
        assert!(error.contains(operation), "{read}: {error}");
        assert!(error.contains("failed: "), "{read}: {error}");
        assert!(error.contains("hint: allow "), "{read}: {error}");
    }
}

#[test]
fn without_credentials_there_is_no_call_but_a_hint() {
    // Nothing but loopback is asked: the metadata service of EC2 is elsewhere.
    let scenario = Scenario::petstore().env("AWS_EC2_METADATA_DISABLED", "true");
    let aws = scenario.aws();
    let outcome = scenario
        .run_bare(["apply", "--yes", "--endpoint-url", &aws.url])
        .exits(1);
    assert!(
        outcome
            .stderr
            .starts_with("error: sts:GetCallerIdentity failed: "),
        "{outcome}"
    );
    outcome.says("hint: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    assert_eq!(scenario.calls(), [""; 0]);
}

#[test]
fn an_endpoint_that_nobody_serves_is_said_to_be_out_of_reach() {
    let scenario = Scenario::petstore()
        .env("AWS_ACCESS_KEY_ID", Scenario::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", Scenario::SECRET_KEY);
    let outcome = scenario
        .run_bare(["plan", "--endpoint-url", "http://127.0.0.1:1"])
        .exits(1);
    assert!(
        outcome
            .stderr
            .starts_with("error: sts:GetCallerIdentity failed: "),
        "{outcome}"
    );
    outcome
        .says("Connection refused")
        .says("hint: check the network, the region and --endpoint-url");
}
