//! `RequestCertificate`, and how a request becomes a certificate: validation over DNS.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::authority;
use super::certificate::{Certificate, Origin};
use super::{Tags, check_quota, new_arn, put_tags};
use crate::sandbox::route53;
use crate::sandbox::world::{Call, Refusal, World, hex};

/// A request for a certificate and how far its validation is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    /// The domain name, then the others.
    pub(super) names: Vec<String>,
    /// `RSA_2048`, `EC_prime256v1`.
    pub(super) key_algorithm: String,
    /// `ENABLED` or `DISABLED`: whether the certificate is to be logged.
    pub(super) transparency: String,
    /// Why ACM will not issue the certificate.
    pub(super) failure: Option<String>,
    validations: Vec<Validation>,
    /// When the records to create are shown.
    records_at: i64,
    /// The input, which a repeated request has again.
    input: Value,
}

/// The validation of one name.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Validation {
    name: String,
    record_name: String,
    record_value: String,
    /// When ACM has noticed the record, once it exists.
    succeeds_at: Option<i64>,
}

/// How long ACM waits for the records, in milliseconds.
pub(super) const TIME_LIMIT: i64 = 72 * 60 * 60 * 1000;
/// How long an idempotency token is remembered, in milliseconds.
const TOKEN_LIFETIME: i64 = 60 * 60 * 1000;
/// After how long the records to create are shown.
const RECORDS_SHOWN: Duration = Duration::from_secs(5);
/// After how long ACM notices a record.
const RECORD_NOTICED: Duration = Duration::from_mins(1);

impl Request {
    /// The validation of each name as `DescribeCertificate` shows it.
    pub(super) fn validation_options(&self, now: i64) -> Value {
        self.validations
            .iter()
            .map(|validation| validation.describe(now >= self.records_at, now))
            .collect()
    }

    fn is_validated(&self, now: i64) -> bool {
        self.validations
            .iter()
            .all(|validation| validation.has_succeeded(now))
    }
}

impl Validation {
    /// The record is the same for a domain and its wildcard, in every region, at every request of
    /// the account.
    fn new(account: &str, name: &str) -> Self {
        let domain = name.strip_prefix("*.").unwrap_or(name);
        let digest = |what: &str| hex(&Sha256::digest(format!("{account}/{domain}/{what}")));
        let letters = Sha256::digest(format!("{account}/{domain}/zone"));
        let zone: String = letters
            .iter()
            .take(10)
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        Self {
            name: name.to_owned(),
            record_name: format!("_{}.{domain}.", &digest("name")[..32]),
            record_value: format!("_{}.{zone}.acm-validations.aws.", &digest("value")[..32]),
            succeeds_at: None,
        }
    }

    fn has_succeeded(&self, now: i64) -> bool {
        self.succeeds_at.is_some_and(|at| now >= at)
    }

    fn describe(&self, record_is_shown: bool, now: i64) -> Value {
        let record = json!({"Name": self.record_name, "Type": "CNAME", "Value": self.record_value});
        let has_succeeded = self.has_succeeded(now);
        json!({
            "DomainName": self.name,
            "ValidationDomain": self.name,
            "ValidationMethod": "DNS",
            "ValidationStatus": if has_succeeded { "SUCCESS" } else { "PENDING_VALIDATION" },
            "ResourceRecord": record_is_shown.then_some(record),
        })
    }
}

/// Answers `RequestCertificate`.
pub(super) fn request_certificate(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let (now, records_at) = (world.now, world.due(RECORDS_SHOWN));
    let names = read_names(world, call)?;
    let transparency = read_options(call)?;
    let mut tags = Tags::new();
    put_tags(&mut tags, call.list("Tags"))?;
    if let Some(arn) = repeated(world, call) {
        return Ok(json!({"CertificateArn": arn}));
    }
    check_quota(world, call, "L-F141DD1D")?;
    let validations = names
        .iter()
        .map(|name| Validation::new(&world.account, name))
        .collect();
    let request = Request {
        names,
        key_algorithm: call.text("KeyAlgorithm").unwrap_or("RSA_2048").to_owned(),
        transparency,
        failure: None,
        validations,
        records_at,
        input: call.input.clone(),
    };
    world.key_maker.order(&request.key_algorithm);
    let arn = new_arn(world, call.region);
    let origin = Origin::Requested(request);
    let certificate = Certificate {
        arn: arn.clone(),
        origin,
        content: None,
        created_at: now,
        issued_at: None,
        tags,
    };
    world
        .region(call.region)
        .acm
        .certificates
        .insert(arn.clone(), certificate);
    Ok(json!({"CertificateArn": arn}))
}

/// The certificate that the same request, with the same token, asked for within the last hour.
fn repeated(world: &mut World, call: &Call<'_>) -> Option<String> {
    call.text("IdempotencyToken")?;
    let now = world.now;
    let same = |certificate: &&Certificate| match &certificate.origin {
        Origin::Requested(request) => {
            request.input == *call.input && now < certificate.created_at + TOKEN_LIFETIME
        }
        Origin::Imported => false,
    };
    let certificates = world.region(call.region).acm.certificates.values();
    certificates
        .into_iter()
        .find(same)
        .map(|certificate| certificate.arn.clone())
}

fn read_names(world: &World, call: &Call<'_>) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = Vec::new();
    for name in [call.required("DomainName")]
        .into_iter()
        .chain(call.texts("SubjectAlternativeNames"))
    {
        let name = name.to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names[0].len() > 64 {
        let message = "The first domain name can be no longer than 64 characters.";
        return Err(Refusal::new("InvalidParameterException", message));
    }
    let quota = world.quota("L-FB94F0B0", 10);
    if names.len() as u64 > quota {
        let message = format!("The number of domain names must not exceed {quota}.");
        return Err(Refusal::new("LimitExceededException", message));
    }
    Ok(names)
}

fn read_options(call: &Call<'_>) -> Result<String, Refusal> {
    match call.text("ValidationMethod") {
        Some("DNS") => {}
        // Without a method ACM sends mail.
        method => {
            return Err(Refusal::not_modelled(
                call.operation,
                method.unwrap_or("EMAIL"),
            ));
        }
    }
    if let Some(algorithm @ ("RSA_1024" | "RSA_3072" | "RSA_4096")) = call.text("KeyAlgorithm") {
        let message = format!("The key algorithm {algorithm} cannot be requested.");
        return Err(Refusal::new("InvalidParameterException", message));
    }
    let options = &call.input["Options"];
    call.models(
        "Options",
        options,
        &["CertificateTransparencyLoggingPreference", "Export"],
    )?;
    if options["Export"] == "ENABLED" {
        return Err(Refusal::not_modelled(call.operation, "Options.Export"));
    }
    Ok(options["CertificateTransparencyLoggingPreference"]
        .as_str()
        .unwrap_or("ENABLED")
        .to_owned())
}

/// Brings the region's requests up to date: notices records, and issues what is validated.
pub(in crate::sandbox) fn settle(world: &mut World, region: &str) -> Result<(), Refusal> {
    notice_records(world, region);
    let now = world.now;
    let certificates = world.region(region).acm.certificates.values();
    let validated =
        certificates.filter(|certificate| certificate.status(now) == "PENDING_VALIDATION");
    let validated = validated.filter_map(|certificate| match &certificate.origin {
        Origin::Requested(request) if request.is_validated(now) => {
            Some((certificate.arn.clone(), request.clone()))
        }
        _ => None,
    });
    for (arn, request) in validated.collect::<Vec<_>>() {
        if is_forbidden(world, &request.names) {
            fail(world, region, &arn);
            continue;
        }
        let key = world.key_maker.key(&request.key_algorithm);
        let Some(key) = key.map_err(|error| authority::failure(&error))? else {
            continue;
        };
        let (content, key) = authority::issue(world, &request.names, &key)?;
        world.keys.0.insert(arn.clone(), key);
        if let Some(certificate) = world.region(region).acm.certificates.get_mut(&arn) {
            certificate.content = Some(content);
            certificate.issued_at = request
                .validations
                .iter()
                .filter_map(|validation| validation.succeeds_at)
                .max();
        }
    }
    Ok(())
}

fn notice_records(world: &mut World, region: &str) {
    let (now, noticed_at) = (world.now, world.due(RECORD_NOTICED));
    world.region(region);
    let World {
        regions, route53, ..
    } = world;
    let Some(region) = regions.get_mut(region) else {
        return;
    };
    let certificates = &mut region.acm.certificates;
    let is_pending = |certificate: &Certificate| certificate.status(now) == "PENDING_VALIDATION";
    // Who only looks has changed nothing that would have to be written down.
    if !certificates.values().any(is_pending) {
        return;
    }
    for certificate in certificates.values_mut() {
        if !is_pending(certificate) {
            continue;
        }
        let Origin::Requested(request) = &mut certificate.origin else {
            continue;
        };
        for validation in &mut request.validations {
            let wanted = validation.record_value.trim_end_matches('.');
            let values = record_values(route53, &validation.record_name, "CNAME");
            let mut values = values
                .into_iter()
                .flatten()
                .map(|value| value.trim_end_matches('.'));
            let exists = values.any(|value| value.eq_ignore_ascii_case(wanted));
            if !exists && !validation.has_succeeded(now) {
                validation.succeeds_at = None;
            } else if exists {
                validation.succeeds_at.get_or_insert(noticed_at);
            }
        }
    }
}

/// What public DNS answers, if anything.
fn record_values<'a>(
    zones: &'a route53::State,
    name: &str,
    record_type: &str,
) -> Option<&'a [String]> {
    zones
        .record(name, record_type)
        .map(|record| record.values.as_slice())
}

/// Says whether a CAA record forbids Amazon to issue certificates for one of the names.
fn is_forbidden(world: &World, names: &[String]) -> bool {
    let ours = [
        "amazon.com",
        "amazontrust.com",
        "awstrust.com",
        "amazonaws.com",
    ];
    let forbids = |name: &String| {
        let mut domain = name.strip_prefix("*.").unwrap_or(name);
        loop {
            if let Some(values) = record_values(&world.route53, domain, "CAA") {
                return !values
                    .iter()
                    .any(|value| ours.iter().any(|authority| value.contains(authority)));
            }
            match domain.split_once('.') {
                Some((_, parent)) => domain = parent,
                None => return false,
            }
        }
    };
    names.iter().any(forbids)
}

fn fail(world: &mut World, region: &str, arn: &str) {
    let certificate = world.region(region).acm.certificates.get_mut(arn);
    if let Some(Certificate {
        origin: Origin::Requested(request),
        ..
    }) = certificate
    {
        request.failure = Some("CAA_ERROR".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{REGION, answer, describe, patient, refusal, request};
    use super::*;

    /// Creates the public zone `example.com`.
    fn zone(world: &mut World) -> String {
        let input = json!({"Name": "example.com", "CallerReference": "test"});
        let created = route53::handle(world, &Call::of("CreateHostedZone", &input)).unwrap();
        created["HostedZone"]["Id"].as_str().unwrap().to_owned()
    }

    fn write(world: &mut World, zone: &str, name: &str, record_type: &str, value: &str) {
        let record = json!({
            "Name": name,
            "Type": record_type,
            "TTL": 300,
            "ResourceRecords": [{"Value": value}],
        });
        let changes = json!([{"Action": "UPSERT", "ResourceRecordSet": record}]);
        let input = json!({"HostedZoneId": zone, "ChangeBatch": {"Changes": changes}});
        route53::handle(world, &Call::of("ChangeResourceRecordSets", &input)).unwrap();
    }

    /// Writes the record that the certificate waits for.
    fn validate(world: &mut World, zone: &str, arn: &str) {
        let described = describe(world, arn);
        for option in described["DomainValidationOptions"].as_array().unwrap() {
            let record = &option["ResourceRecord"];
            let (name, value) = (
                record["Name"].as_str().unwrap(),
                record["Value"].as_str().unwrap(),
            );
            write(world, zone, name, "CNAME", value);
        }
    }

    #[test]
    fn a_request_shows_its_record_late_and_is_issued_once_the_record_was_noticed() {
        let mut world = patient();
        let zone = zone(&mut world);
        let arn = request(&mut world, "www.example.com", "EC_prime256v1");
        let described = describe(&mut world, &arn);
        assert_eq!(described["Status"], "PENDING_VALIDATION");
        assert_eq!(described["KeyAlgorithm"], "EC-prime256v1");
        assert_eq!(
            described["DomainValidationOptions"][0]["ResourceRecord"],
            Value::Null
        );
        world.now += 5_000;
        validate(&mut world, &zone, &arn);
        assert_eq!(describe(&mut world, &arn)["Status"], "PENDING_VALIDATION");
        let pending = json!({"CertificateArn": arn});
        assert_eq!(
            refusal(&mut world, "GetCertificate", &pending),
            "RequestInProgressException"
        );
        world.now += 60_000;
        let described = describe(&mut world, &arn);
        assert_eq!(described["Status"], "ISSUED");
        assert_eq!(
            described["DomainValidationOptions"][0]["ValidationStatus"],
            "SUCCESS"
        );
        let seconds =
            described["NotAfter"].as_i64().unwrap() - described["NotBefore"].as_i64().unwrap();
        assert_eq!(seconds, 198 * 86_400 - 1);
    }

    #[test]
    fn what_is_issued_is_signed_by_the_authority_and_its_key_is_in_the_key_store_only() {
        let mut world = World {
            instant: true,
            ..patient()
        };
        let zone = zone(&mut world);
        let arn = request(&mut world, "*.example.com", "RSA_2048");
        validate(&mut world, &zone, &arn);
        let issued = answer(
            &mut world,
            "GetCertificate",
            &json!({"CertificateArn": arn}),
        );
        let authority = authority::authority_certificate(&mut world).unwrap();
        assert_eq!(issued["CertificateChain"], authority.as_str());
        let leaf = pem::parse(issued["Certificate"].as_str().unwrap()).unwrap();
        let authority = pem::parse(authority).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf.contents()).unwrap();
        let (_, authority) = x509_parser::parse_x509_certificate(authority.contents()).unwrap();
        leaf.verify_signature(Some(authority.public_key())).unwrap();
        assert_eq!(leaf.subject().to_string(), "CN=*.example.com");
        let key = rcgen::KeyPair::from_pem(&world.keys.0[&arn]).unwrap();
        assert_eq!(
            key.public_key_raw(),
            leaf.public_key().subject_public_key.data.as_ref()
        );
        assert!(
            !serde_json::to_string(&world)
                .unwrap()
                .contains("PRIVATE KEY")
        );
    }

    #[test]
    fn a_domain_and_its_wildcard_share_one_record_in_every_region() {
        let mut world = World {
            instant: true,
            ..patient()
        };
        let input = json!({
            "DomainName": "example.com",
            "SubjectAlternativeNames": ["*.example.com", "example.com"],
            "ValidationMethod": "DNS",
        });
        let arn = answer(&mut world, "RequestCertificate", &input)["CertificateArn"]
            .as_str()
            .unwrap()
            .to_owned();
        let described = describe(&mut world, &arn);
        let options = described["DomainValidationOptions"].as_array().unwrap();
        assert_eq!(options.len(), 2);
        assert_eq!(options[0]["ResourceRecord"], options[1]["ResourceRecord"]);
        let elsewhere = Call {
            region: "eu-west-1",
            ..Call::of("RequestCertificate", &input)
        };
        let other = super::super::handle(&mut world, &elsewhere).unwrap();
        let call = Call {
            region: "eu-west-1",
            ..Call::of("DescribeCertificate", &other)
        };
        let other = super::super::handle(&mut world, &call).unwrap();
        let other = &other["Certificate"]["DomainValidationOptions"][0]["ResourceRecord"];
        assert_eq!(*other, options[0]["ResourceRecord"]);
    }

    #[test]
    fn a_record_with_another_value_validates_nothing() {
        let mut world = World {
            instant: true,
            ..patient()
        };
        let zone = zone(&mut world);
        let arn = request(&mut world, "example.com", "EC_prime256v1");
        let described = describe(&mut world, &arn);
        let name = described["DomainValidationOptions"][0]["ResourceRecord"]["Name"]
            .as_str()
            .unwrap();
        write(
            &mut world,
            &zone,
            name,
            "CNAME",
            "elsewhere.acm-validations.aws.",
        );
        assert_eq!(describe(&mut world, &arn)["Status"], "PENDING_VALIDATION");
    }

    #[test]
    fn a_caa_record_without_amazon_makes_the_request_fail() {
        let mut world = World {
            instant: true,
            ..patient()
        };
        let zone = zone(&mut world);
        write(
            &mut world,
            &zone,
            "example.com",
            "CAA",
            "0 issue \"letsencrypt.org\"",
        );
        let arn = request(&mut world, "www.example.com", "EC_prime256v1");
        validate(&mut world, &zone, &arn);
        let described = describe(&mut world, &arn);
        assert_eq!(
            (&described["Status"], &described["FailureReason"]),
            (&json!("FAILED"), &json!("CAA_ERROR"))
        );
    }

    #[test]
    fn validation_times_out_after_72_hours_even_where_states_pass_at_once() {
        let mut world = World {
            instant: true,
            ..patient()
        };
        let arn = request(&mut world, "example.com", "EC_prime256v1");
        world.now += TIME_LIMIT - 1;
        assert_eq!(describe(&mut world, &arn)["Status"], "PENDING_VALIDATION");
        world.now += 1;
        assert_eq!(describe(&mut world, &arn)["Status"], "VALIDATION_TIMED_OUT");
    }

    #[test]
    fn a_token_makes_a_request_repeatable_for_an_hour() {
        let mut world = patient();
        let mut input = json!({
            "DomainName": "example.com",
            "ValidationMethod": "DNS",
            "IdempotencyToken": "token",
        });
        let first = answer(&mut world, "RequestCertificate", &input);
        assert_eq!(answer(&mut world, "RequestCertificate", &input), first);
        input["DomainName"] = json!("www.example.com");
        assert_ne!(answer(&mut world, "RequestCertificate", &input), first);
        input["DomainName"] = json!("example.com");
        world.now += TOKEN_LIFETIME;
        assert_ne!(answer(&mut world, "RequestCertificate", &input), first);
    }

    #[test]
    fn what_cannot_be_requested_is_refused() {
        let mut world = patient();
        let long = format!("{}.example.com", "a".repeat(60));
        let many: Vec<String> = (0..10)
            .map(|index| format!("host{index}.example.com"))
            .collect();
        for (member, value, code) in [
            ("ValidationMethod", Value::Null, "SandboxNotModelled"),
            ("ValidationMethod", json!("EMAIL"), "SandboxNotModelled"),
            ("DomainName", json!(long), "InvalidParameterException"),
            (
                "KeyAlgorithm",
                json!("RSA_4096"),
                "InvalidParameterException",
            ),
            (
                "SubjectAlternativeNames",
                json!(many),
                "LimitExceededException",
            ),
        ] {
            let mut input = json!({"DomainName": "example.com", "ValidationMethod": "DNS"});
            input[member] = value;
            assert_eq!(
                refusal(&mut world, "RequestCertificate", &input),
                code,
                "{input}"
            );
        }
        assert!(world.region(REGION).acm.certificates.is_empty());
    }
}
