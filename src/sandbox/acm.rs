//! ACM: server certificates, requested and validated over DNS, or imported.

mod authority;
mod certificate;
mod content;
mod import;
mod key;
mod request;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::tracked::Tracked;
use super::world::{Call, Refusal, World};
pub(super) use authority::{authority_certificate, known_certificate, of_service};
pub(super) use certificate::Certificate;
pub(super) use key::KeyMaker;
pub(super) use request::settle;

/// What ACM holds in one region.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    certificates: Tracked<BTreeMap<String, Certificate>>,
}

/// Tags of a certificate.
type Tags = BTreeMap<String, String>;

impl State {
    /// The certificate of that ARN, as it was when [`settle`] was last called.
    pub(super) fn certificate(&self, arn: &str) -> Option<&Certificate> {
        self.certificates.get(arn)
    }
}

/// Operation and the top-level input members it models; any other member is refused by the wire
/// layer.
pub(super) const OPERATIONS: &[(&str, &[&str])] = &[
    ("AddTagsToCertificate", &["CertificateArn", "Tags"]),
    ("DeleteCertificate", &["CertificateArn"]),
    ("DescribeCertificate", &["CertificateArn"]),
    ("GetCertificate", &["CertificateArn"]),
    (
        "ImportCertificate",
        &[
            "Certificate",
            "CertificateArn",
            "CertificateChain",
            "PrivateKey",
            "Tags",
        ],
    ),
    (
        "ListCertificates",
        &[
            "CertificateStatuses",
            "Includes",
            "MaxItems",
            "NextToken",
            "SortBy",
            "SortOrder",
        ],
    ),
    ("ListTagsForCertificate", &["CertificateArn"]),
    ("RemoveTagsFromCertificate", &["CertificateArn", "Tags"]),
    (
        "RequestCertificate",
        &[
            "DomainName",
            "IdempotencyToken",
            "KeyAlgorithm",
            "Options",
            "SubjectAlternativeNames",
            "Tags",
            "ValidationMethod",
        ],
    ),
];

/// Answers one call.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    settle(world, call.region)?;
    match call.operation {
        "AddTagsToCertificate" => add_tags(world, call),
        "DeleteCertificate" => delete_certificate(world, call),
        "DescribeCertificate" => describe_certificate(world, call),
        "GetCertificate" => get_certificate(world, call),
        "ImportCertificate" => import::import_certificate(world, call),
        "ListCertificates" => list_certificates(world, call),
        "ListTagsForCertificate" => list_tags(world, call),
        "RemoveTagsFromCertificate" => remove_tags(world, call),
        "RequestCertificate" => request::request_certificate(world, call),
        operation => Err(Refusal::not_modelled(operation, "the operation")),
    }
}

/// Every tagged certificate of the region with its ARN, for the resource groups tagging API.
pub(super) fn tagged(world: &World, region: &str) -> Vec<(String, Tags)> {
    let certificates = world
        .regions
        .get(region)
        .map(|region| region.acm.certificates.values());
    let tagged = certificates
        .into_iter()
        .flatten()
        .filter(|certificate| !certificate.tags.is_empty());
    tagged
        .map(|certificate| (certificate.arn.clone(), certificate.tags.clone()))
        .collect()
}

/// What uses the certificate, in ACM's eyes, which see late that something has let go of it.
fn users(world: &World, region: &str, arn: &str) -> Vec<String> {
    let Some(region) = world.regions.get(region) else {
        return Vec::new();
    };
    let balancers = region.elbv2.users_of_certificate(arn, world.now);
    let domains = region.apigateway.users_of_certificate(arn, world.now);
    balancers.into_iter().chain(domains).collect()
}

/// The certificate that the call names.
fn existing<'a>(
    world: &'a mut World,
    region: &str,
    arn: &str,
) -> Result<&'a mut Certificate, Refusal> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_certificate =
        parts.len() == 6 && parts[2] == "acm" && parts[5].starts_with("certificate/");
    if !is_certificate {
        return Err(Refusal::new(
            "InvalidArnException",
            format!("'{arn}' is not a certificate ARN."),
        ));
    }
    let account = world.account.clone();
    let certificate = world.region(region).acm.certificates.get_mut(arn);
    certificate.ok_or_else(|| {
        let message = format!("Could not find certificate {arn}.");
        let message = if parts[4] == account {
            message
        } else {
            format!("{message} It is not of account {account}.")
        };
        Refusal::new("ResourceNotFoundException", message)
    })
}

fn new_arn(world: &mut World, region: &str) -> String {
    let partition = match region.split_once('-') {
        Some(("cn", _)) => "aws-cn",
        Some(("us", rest)) if rest.starts_with("gov-") => "aws-us-gov",
        _ => "aws",
    };
    let hex = world.unique_hex(32);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    format!(
        "arn:{partition}:acm:{region}:{}:certificate/{}",
        world.account,
        parts.join("-")
    )
}

fn check_quota(world: &mut World, call: &Call<'_>, code: &str) -> Result<(), Refusal> {
    let quota = world.quota(code, 2500);
    if world.region(call.region).acm.certificates.len() as u64 >= quota {
        let message = format!("Error: you have reached your limit of {quota} certificates.");
        return Err(Refusal::new("LimitExceededException", message));
    }
    Ok(())
}

fn describe_certificate(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let (now, arn) = (world.now, call.required("CertificateArn"));
    let users = users(world, call.region, arn);
    Ok(json!({"Certificate": existing(world, call.region, arn)?.describe(&users, now)}))
}

fn get_certificate(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arn = call.required("CertificateArn");
    let certificate = existing(world, call.region, arn)?;
    let (Some(pem), Some(chain)) = (certificate.pem(), certificate.chain()) else {
        let message = format!("The certificate {arn} is not issued yet.");
        return Err(Refusal::new("RequestInProgressException", message));
    };
    let chain = Some(chain).filter(|chain| !chain.is_empty());
    Ok(json!({"Certificate": pem, "CertificateChain": chain}))
}

fn delete_certificate(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arn = call.required("CertificateArn");
    existing(world, call.region, arn)?;
    if !users(world, call.region, arn).is_empty() {
        let message = format!("Certificate {arn} in account {} is in use.", world.account);
        return Err(Refusal::new("ResourceInUseException", message));
    }
    world.region(call.region).acm.certificates.remove(arn);
    world.keys.0.remove(arn);
    Ok(json!({}))
}

fn list_certificates(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let sorted = match (call.text("SortBy"), call.text("SortOrder")) {
        (None, None) => false,
        (Some(_), Some(_)) => true,
        _ => {
            let message = "SortBy and SortOrder must be specified together.";
            return Err(Refusal::new("ValidationException", message));
        }
    };
    let includes = &call.input["Includes"];
    call.models(
        "Includes",
        includes,
        &["extendedKeyUsage", "keyTypes", "keyUsage"],
    )?;
    let all: Vec<Certificate> = world
        .region(call.region)
        .acm
        .certificates
        .values()
        .cloned()
        .collect();
    let mut found: Vec<Value> = all
        .iter()
        .filter(|certificate| is_included(certificate, includes))
        .map(|certificate| certificate.summarise(&users(world, call.region, &certificate.arn), now))
        .filter(|summary| allows(&call.input["CertificateStatuses"], &summary["Status"]))
        .collect();
    if sorted {
        found.sort_by_key(|summary| summary["CreatedAt"].as_i64());
    }
    if call.text("SortOrder") == Some("DESCENDING") {
        found.reverse();
    }
    page(call, found)
}

/// Says whether the list shows certificates with such a key, which by default are only the smaller
/// RSA ones.
fn is_included(certificate: &Certificate, includes: &Value) -> bool {
    let shown_by_default = json!(["RSA_1024", "RSA_2048"]);
    let key_types = includes.get("keyTypes").unwrap_or(&shown_by_default);
    let content = certificate.content.as_ref();
    let key_usages = content
        .map_or(&[][..], |content| &content.key_usages)
        .iter();
    let extended = content
        .map_or(&[][..], |content| &content.extended_key_usages)
        .iter();
    let mut key_usages = key_usages.map(|usage| json!(usage));
    let mut extended = extended.map(|(usage, _)| json!(usage));
    let (usage, extended_usage) = (&includes["keyUsage"], &includes["extendedKeyUsage"]);
    allows(key_types, &json!(certificate.key_algorithm()))
        && (usage.is_null() || key_usages.any(|held| allows(usage, &held)))
        && (extended_usage.is_null() || extended.any(|held| allows(extended_usage, &held)))
}

/// Says whether the value is in the list, where there is one.
fn allows(list: &Value, value: &Value) -> bool {
    list.as_array().is_none_or(|list| list.contains(value))
}

/// Cuts out the page that the call asks for; its token says how many summaries came before.
fn page(call: &Call<'_>, found: Vec<Value>) -> Result<Value, Refusal> {
    let start = call.text("NextToken").map_or(Some(0), |token| {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        std::str::from_utf8(&bytes).ok()?.parse::<usize>().ok()
    });
    let Some(start) = start else {
        return Err(Refusal::new(
            "ValidationException",
            "The NextToken is not valid.",
        ));
    };
    let size = call
        .integer("MaxItems")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(1000);
    let next = Some(start + size).filter(|next| *next < found.len());
    let page: Vec<Value> = found.into_iter().skip(start).take(size).collect();
    Ok(json!({
        "CertificateSummaryList": page,
        "NextToken": next.map(|next| URL_SAFE_NO_PAD.encode(next.to_string())),
    }))
}

fn list_tags(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = &existing(world, call.region, call.required("CertificateArn"))?.tags;
    let tags: Value = tags
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
    Ok(json!({"Tags": tags}))
}

fn add_tags(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let certificate = existing(world, call.region, call.required("CertificateArn"))?;
    let mut tags = certificate.tags.clone();
    put_tags(&mut tags, call.list("Tags"))?;
    certificate.tags = tags;
    Ok(json!({}))
}

/// Puts the given tags to those there are, within ACM's limits.
fn put_tags(tags: &mut Tags, given: &[Value]) -> Result<(), Refusal> {
    for tag in given {
        let (key, value) = (
            tag["Key"].as_str().unwrap_or_default(),
            tag["Value"].as_str().unwrap_or_default(),
        );
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = format!("The tag key '{key}' begins with 'aws:', which is reserved.");
            return Err(Refusal::new("InvalidTagException", message));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    if tags.len() > 50 {
        return Err(Refusal::new(
            "TooManyTagsException",
            "A certificate can have at most 50 tags.",
        ));
    }
    Ok(())
}

/// A tag that is given with a value goes only if it has that value.
fn remove_tags(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let certificate = existing(world, call.region, call.required("CertificateArn"))?;
    for tag in call.list("Tags") {
        certificate.tags.retain(|key, value| {
            let is_meant = tag["Key"] == key.as_str()
                && tag
                    .get("Value")
                    .is_none_or(|wanted| wanted == value.as_str());
            !is_meant
        });
    }
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const REGION: &str = "us-east-1";

    /// What ACM answers.
    pub(super) fn ask(world: &mut World, operation: &str, input: &Value) -> Result<Value, Refusal> {
        handle(
            world,
            &Call {
                region: REGION,
                ..Call::of(operation, input)
            },
        )
    }

    /// What ACM answers, where it must not refuse.
    pub(super) fn answer(world: &mut World, operation: &str, input: &Value) -> Value {
        ask(world, operation, input).unwrap()
    }

    /// The code that ACM refuses with.
    pub(super) fn refusal(world: &mut World, operation: &str, input: &Value) -> String {
        ask(world, operation, input).unwrap_err().code
    }

    pub(super) fn describe(world: &mut World, arn: &str) -> Value {
        answer(
            world,
            "DescribeCertificate",
            &json!({"CertificateArn": arn}),
        )["Certificate"]
            .clone()
    }

    /// An account in which things take their time.
    pub(super) fn patient() -> World {
        World {
            instant: false,
            now: 1_700_000_000_000,
            ..World::fresh("123456789012")
        }
    }

    pub(super) fn request(world: &mut World, name: &str, key_algorithm: &str) -> String {
        let input =
            json!({"DomainName": name, "ValidationMethod": "DNS", "KeyAlgorithm": key_algorithm});
        answer(world, "RequestCertificate", &input)["CertificateArn"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn every_operation_of_the_table_is_answered() {
        for (operation, _) in OPERATIONS {
            let refused = ask(&mut patient(), operation, &json!({})).err();
            assert!(
                refused.is_none_or(|refusal| !refusal.message.contains("`the operation`")),
                "{operation}"
            );
        }
    }

    #[test]
    fn lists_hide_keys_other_than_the_smaller_rsa_ones_by_default() {
        let mut world = patient();
        let rsa = request(&mut world, "rsa.example.com", "RSA_2048");
        let ec = request(&mut world, "ec.example.com", "EC_prime256v1");
        let mut listed = |input: Value| -> Vec<String> {
            let list =
                answer(&mut world, "ListCertificates", &input)["CertificateSummaryList"].clone();
            list.as_array()
                .unwrap()
                .iter()
                .map(|one| one["CertificateArn"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(listed(json!({})), [rsa.as_str()]);
        assert_eq!(
            listed(json!({"Includes": {"keyTypes": ["EC_prime256v1"]}})),
            [ec.as_str()]
        );
        let both = json!({"keyTypes": ["EC_prime256v1", "RSA_2048"]});
        assert_eq!(listed(json!({"Includes": both.clone()})).len(), 2);
        assert_eq!(
            listed(json!({"Includes": both, "CertificateStatuses": ["ISSUED"]})).len(),
            0
        );
    }

    #[test]
    fn lists_come_in_pages() {
        let mut world = patient();
        for index in 0..5 {
            request(&mut world, &format!("host{index}.example.com"), "RSA_2048");
        }
        let (mut count, mut input) = (0, json!({"MaxItems": 2}));
        loop {
            let page = answer(&mut world, "ListCertificates", &input);
            count += page["CertificateSummaryList"].as_array().unwrap().len();
            let Some(token) = page["NextToken"].as_str() else {
                break;
            };
            input["NextToken"] = json!(token);
        }
        assert_eq!(count, 5);
        assert_eq!(
            refusal(&mut world, "ListCertificates", &json!({"NextToken": "?"})),
            "ValidationException"
        );
        assert_eq!(
            refusal(
                &mut world,
                "ListCertificates",
                &json!({"SortBy": "CREATED_AT"})
            ),
            "ValidationException"
        );
    }

    #[test]
    fn tags_are_added_listed_and_removed() {
        let mut world = patient();
        let arn = request(&mut world, "example.com", "RSA_2048");
        let tags = json!([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]);
        answer(
            &mut world,
            "AddTagsToCertificate",
            &json!({"CertificateArn": arn, "Tags": tags}),
        );
        let gone = json!([{"Key": "a"}, {"Key": "b", "Value": "other"}]);
        answer(
            &mut world,
            "RemoveTagsFromCertificate",
            &json!({"CertificateArn": arn, "Tags": gone}),
        );
        let left = answer(
            &mut world,
            "ListTagsForCertificate",
            &json!({"CertificateArn": arn}),
        );
        assert_eq!(left["Tags"], json!([{"Key": "b", "Value": "2"}]));
        assert_eq!(
            tagged(&world, REGION),
            [(arn.clone(), Tags::from([("b".to_owned(), "2".to_owned())]))]
        );
        let reserved = json!({"CertificateArn": arn, "Tags": [{"Key": "aws:a"}]});
        assert_eq!(
            refusal(&mut world, "AddTagsToCertificate", &reserved),
            "InvalidTagException"
        );
    }

    #[test]
    fn a_deleted_certificate_is_not_found() {
        let mut world = patient();
        let input = json!({"CertificateArn": request(&mut world, "example.com", "RSA_2048")});
        answer(&mut world, "DeleteCertificate", &input);
        assert_eq!(
            refusal(&mut world, "DescribeCertificate", &input),
            "ResourceNotFoundException"
        );
        let bucket = json!({"CertificateArn": "arn:aws:s3:::bucket/key/and/more"});
        assert_eq!(
            refusal(&mut world, "DeleteCertificate", &bucket),
            "InvalidArnException"
        );
    }
}
