//! Custom domain names, of which the regional ones are modelled.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::mapping::Mapping;
use super::patch::{Op, Patch};
use super::rest_api::check_access_mode;
use super::{
    State, bad_request, filled, limit_exceeded, neighbour, not_found, page, partition, state, tag,
    text_map,
};
use crate::sandbox::world::{Call, Refusal, World};

/// One regional custom domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct DomainName {
    /// Unique in the region.
    pub(in crate::sandbox) name: String,
    /// The part of the regional name before `.execute-api`.
    prefix: String,
    /// The ARN that ACM shows as the certificate's user: a load balancer of AWS's own.
    holder: String,
    /// The ARN of the certificate that it is served with.
    pub(in crate::sandbox) certificate: String,
    settings: Settings,
    /// When the last change is in force.
    updated_by: i64,
    /// User and owner tags.
    pub(super) tags: BTreeMap<String, String>,
    /// By base path.
    pub(in crate::sandbox) mappings: BTreeMap<String, Mapping>,
}

/// How a domain speaks TLS and routes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    security_policy: String,
    endpoint_access_mode: Option<String>,
    ip_address_type: String,
    routing_mode: String,
}

/// A certificate that a domain gave back but whose hidden load balancer still holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Release {
    certificate: String,
    holder: String,
    due: i64,
}

/// How long a new domain takes.
const CREATION: Duration = Duration::from_secs(30);

/// How long another certificate takes.
const CERTIFICATE_UPDATE: Duration = Duration::from_mins(1);

/// How long a change of the TLS settings takes.
const SECURITY_POLICY_UPDATE: Duration = Duration::from_mins(15);

/// How long a certificate counts as used after a domain gave it back.
const RELEASE: Duration = Duration::from_mins(3);

/// Public custom domains per region: quota code and default.
const QUOTA: (&str, u64) = ("L-A93447B8", 120);

/// The key algorithms that regional domains take.
const KEY_ALGORITHMS: &[&str] = &[
    "RSA_1024",
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "EC_prime256v1",
    "EC_secp384r1",
    "EC_secp521r1",
];

/// The paths of `UpdateDomainName` that regional domains have.
const PATCHES: &[&str] = &[
    "/regionalCertificateArn",
    "/securityPolicy",
    "/endpointAccessMode",
    "/routingMode",
    "/endpointConfiguration/ipAddressType",
];

/// The hosted zones of the regional names.
const ZONES: &[(&str, &str)] = &[
    ("af-south-1", "Z2DHW2332DAMTN"),
    ("ap-east-1", "Z3FD1VL90ND7K5"),
    ("ap-east-2", "Z02909591O7FG9Q56HWB1"),
    ("ap-northeast-1", "Z1YSHQZHG15GKL"),
    ("ap-northeast-2", "Z20JF4UZKIW1U8"),
    ("ap-northeast-3", "Z22ILHG95FLSZ2"),
    ("ap-south-1", "Z3VO1THU9YC4UR"),
    ("ap-south-2", "Z0853509Q1135NJ66RUH"),
    ("ap-southeast-1", "ZL327KTPIQFUL"),
    ("ap-southeast-2", "Z2RPCDW04V8134"),
    ("ap-southeast-3", "Z10132843TYUYSLUG4HA3"),
    ("ap-southeast-4", "Z092189423Y7RJK61311D"),
    ("ap-southeast-5", "Z0314042F0KBUTZ3X5HF"),
    ("ap-southeast-7", "Z048508712PZLK5NKG8R0"),
    ("ca-central-1", "Z19DQILCV0OWEC"),
    ("ca-west-1", "Z04745493436AWVTG1OQY"),
    ("eu-central-1", "Z1U9ULNL0V5AJ3"),
    ("eu-central-2", "Z09222482MK253X48U76H"),
    ("eu-north-1", "Z3UWIKFBOOGXPP"),
    ("eu-south-1", "Z3BT4WSQ9TDYZV"),
    ("eu-south-2", "Z02499852UI5HEQ5JVWX3"),
    ("eu-west-1", "ZLY8HYME6SFDD"),
    ("eu-west-2", "ZJ5UAJN8Y3Z2Q"),
    ("eu-west-3", "Z3KY65QIEKYHQQ"),
    ("il-central-1", "Z07264553HBI44N5X2CKP"),
    ("me-central-1", "Z08780021BKYYY8U0YHTV"),
    ("me-south-1", "Z20ZBPC0SS8806"),
    ("mx-central-1", "Z00020171WIGL5M88SHRM"),
    ("sa-east-1", "ZCMLWB8V5SYIT"),
    ("us-east-1", "Z1UJRXOUMOOFQ8"),
    ("us-east-2", "ZOJJZC49E0EPZ"),
    ("us-gov-east-1", "Z3SE9ATJYCRCZJ"),
    ("us-gov-west-1", "Z1K6XKP9SAGWDV"),
    ("us-west-1", "Z2MUQ32089INYE"),
    ("us-west-2", "Z2OJLYMUO9EFXC"),
];

/// Answers the calls about custom domains.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "CreateDomainName" => create(world, call),
        "DeleteDomainName" => delete(world, call),
        "GetDomainName" => get(world, call),
        "GetDomainNames" => list(world, call),
        "UpdateDomainName" => update(world, call),
        _ => return None,
    })
}

impl State {
    /// What holds a certificate: the hidden load balancers of domains, for some time also of
    /// domains that gave it back.
    pub(in crate::sandbox) fn users_of_certificate(&self, arn: &str, now: i64) -> Vec<String> {
        let domains = self
            .domains
            .values()
            .filter(|domain| domain.certificate == arn);
        let releases = self
            .releases
            .iter()
            .filter(|release| release.certificate == arn && release.due > now);
        let mut users: Vec<String> = domains
            .map(|domain| domain.holder.clone())
            .chain(releases.map(|release| release.holder.clone()))
            .collect();
        users.sort();
        users.dedup();
        users
    }

    /// Keeps a certificate in use for the time that AWS takes to let go of it.
    fn release(&mut self, domain: &DomainName, now: i64, due: i64) {
        self.releases.retain(|release| release.due > now);
        self.releases.push(Release {
            certificate: domain.certificate.clone(),
            holder: domain.holder.clone(),
            due,
        });
    }
}

impl DomainName {
    /// Whether it takes requests only over TLS for its very name, at its own kind of endpoint.
    pub(in crate::sandbox) fn is_strict(&self) -> bool {
        self.settings.endpoint_access_mode.as_deref() == Some("STRICT")
    }

    /// The name that clients of the domain are to be led to.
    pub(in crate::sandbox) fn regional_name(&self, region: &str) -> String {
        format!("{}.execute-api.{region}.amazonaws.com", self.prefix)
    }

    /// The domain as AWS answers it.
    fn view(&self, region: &str, now: i64) -> Value {
        json!({
            "domainName": self.name,
            "domainNameArn": tag::arn(region, &format!("/domainnames/{}", self.name)),
            "regionalDomainName": self.regional_name(region),
            "regionalHostedZoneId": hosted_zone(region),
            "regionalCertificateArn": self.certificate,
            "endpointConfiguration": {
                "types": ["REGIONAL"],
                "ipAddressType": self.settings.ip_address_type,
            },
            "domainNameStatus": if self.updated_by <= now { "AVAILABLE" } else { "UPDATING" },
            "securityPolicy": self.settings.security_policy,
            "endpointAccessMode": self.settings.endpoint_access_mode,
            "routingMode": self.settings.routing_mode,
            "tags": filled(&self.tags),
        })
    }
}

impl Settings {
    /// The settings that a creation asks for.
    fn read(call: &Call<'_>) -> Result<Self, Refusal> {
        let endpoints = &call.input["endpointConfiguration"];
        call.models(
            "endpointConfiguration",
            endpoints,
            &["types", "ipAddressType"],
        )?;
        let types = endpoints["types"].as_array().map_or(&[][..], Vec::as_slice);
        if types != ["REGIONAL"] {
            let what = format!("endpointConfiguration.types={}", Value::from(types));
            return Err(Refusal::not_modelled(call.operation, &what));
        }
        let or = |value: Option<&str>, default: &str| value.unwrap_or(default).to_owned();
        let settings = Self {
            security_policy: or(call.text("securityPolicy"), "TLS_1_2"),
            endpoint_access_mode: call.text("endpointAccessMode").map(str::to_owned),
            ip_address_type: or(endpoints["ipAddressType"].as_str(), "ipv4"),
            routing_mode: or(call.text("routingMode"), "BASE_PATH_MAPPING_ONLY"),
        };
        settings.check(call.operation)?;
        Ok(settings)
    }

    /// Refuses settings that do not go together, and routing rules.
    fn check(&self, operation: &str) -> Result<(), Refusal> {
        if self.security_policy.ends_with("_EDGE") {
            return Err(bad_request(format!(
                "The security policy {} is not supported for REGIONAL domain names",
                self.security_policy
            )));
        }
        if self.routing_mode != "BASE_PATH_MAPPING_ONLY" {
            let what = format!("routingMode={}", self.routing_mode);
            return Err(Refusal::not_modelled(operation, &what));
        }
        check_access_mode(&self.security_policy, self.endpoint_access_mode.as_deref())
    }
}

/// The domain of a name.
pub(super) fn find<'s>(state: &'s mut State, name: &str) -> Result<&'s mut DomainName, Refusal> {
    let unknown = || not_found("Invalid domain name identifier specified");
    state.domains.get_mut(name).ok_or_else(unknown)
}

/// The hosted zone of the region's regional names.
fn hosted_zone(region: &str) -> Option<&'static str> {
    ZONES
        .iter()
        .find(|(name, _)| *name == region)
        .map(|(_, zone)| *zone)
}

/// The regional names of the region's domains with their hosted zone.
pub(in crate::sandbox) fn regional_names(world: &World, region: &str) -> Vec<(String, String)> {
    let (Some(known), Some(zone)) = (world.regions.get(region), hosted_zone(region)) else {
        return Vec::new();
    };
    let domains = known.apigateway.domains.values();
    domains
        .map(|domain| (domain.regional_name(region), zone.to_owned()))
        .collect()
}

/// Refuses what is no lower-case domain name, or wildcard of one.
fn check_name(name: &str) -> Result<(), Refusal> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !plain.contains('.') || !plain.split('.').all(label) {
        return Err(bad_request(format!("Invalid domain name: {name}")));
    }
    Ok(())
}

/// Refuses a certificate that the domain cannot be served with.
fn check_certificate(
    world: &mut World,
    region: &str,
    arn: &str,
    name: &str,
) -> Result<(), Refusal> {
    if !arn.contains(&format!(":acm:{region}:")) {
        return Err(bad_request(format!(
            "Invalid certificate ARN: {arn}. Certificate must be in '{region}'."
        )));
    }
    let Some(certificate) = neighbour::certificate(world, region, arn)? else {
        return Err(bad_request(format!(
            "The certificate {arn} does not exist."
        )));
    };
    if !certificate.is_issued {
        return Err(bad_request(format!(
            "The certificate {arn} is not in ISSUED state."
        )));
    }
    if !KEY_ALGORITHMS.contains(&certificate.key_algorithm.as_str()) {
        return Err(bad_request(format!(
            "The key algorithm {} of the certificate is not supported.",
            certificate.key_algorithm
        )));
    }
    if !certificate
        .names
        .iter()
        .any(|covering| covers(covering, name))
    {
        return Err(bad_request(
            "The domain name to be created is not covered by the provided certificate.",
        ));
    }
    Ok(())
}

/// Whether a certificate's name covers a domain: a wildcard stands for one label.
fn covers(covering: &str, name: &str) -> bool {
    let below = |suffix: &str| {
        let label = name
            .strip_suffix(suffix)
            .and_then(|rest| rest.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty() && !label.contains('.'))
    };
    covering.eq_ignore_ascii_case(name)
        || covering
            .strip_prefix("*.")
            .is_some_and(|suffix| below(&suffix.to_ascii_lowercase()))
}

/// `CreateDomainName`.
fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.required("domainName").to_owned();
    let settings = Settings::read(call)?;
    let tags = text_map(&call.input["tags"]);
    tag::check(&tags)?;
    check_name(&name)?;
    if state(world, call).domains.contains_key(&name) {
        return Err(bad_request("The domain name you provided already exists."));
    }
    let quota = world.quota(QUOTA.0, QUOTA.1);
    if state(world, call).domains.len() as u64 >= quota {
        return Err(limit_exceeded(format!(
            "Maximum number of custom domain names for this account has been reached: {quota}"
        )));
    }
    let Some(certificate) = call.text("regionalCertificateArn").map(str::to_owned) else {
        return Err(bad_request(
            "A regional certificate must be specified for a REGIONAL domain name.",
        ));
    };
    check_certificate(world, call.region, &certificate, &name)?;
    let holder = holder(call.region, &world.unique_hex(16));
    let domain = DomainName {
        prefix: format!("d-{}", world.unique_hex(10)),
        holder,
        certificate,
        settings,
        updated_by: world.due(CREATION),
        tags,
        mappings: BTreeMap::new(),
        name,
    };
    let view = domain.view(call.region, world.now);
    state(world, call)
        .domains
        .insert(domain.name.clone(), domain);
    Ok(view)
}

/// The ARN of the load balancer, in an account of AWS's own, that a domain's certificate is on.
fn holder(region: &str, id: &str) -> String {
    format!(
        "arn:{}:elasticloadbalancing:{region}:111122223333:loadbalancer/net/prod-{region}-1-api/{id}",
        partition(region)
    )
}

/// `GetDomainName`.
fn get(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let domain = find(state(world, call), call.required("domainName"))?;
    Ok(domain.view(call.region, now))
}

/// `GetDomainNames`.
fn list(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    if call.text("resourceOwner") == Some("OTHER_ACCOUNTS") {
        return page(call, Vec::new());
    }
    let domains = state(world, call).domains.iter();
    page(
        call,
        domains
            .map(|(name, domain)| (name.clone(), domain.view(call.region, now)))
            .collect(),
    )
}

/// `UpdateDomainName`.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let before = find(state(world, call), call.required("domainName"))?.clone();
    let mut after = before.clone();
    for patch in Patch::read_all(call)? {
        let settings = &mut after.settings;
        match (patch.op, &patch.segments()[..]) {
            (Op::Replace, ["regionalCertificateArn"]) => after.certificate = patch.text()?,
            (Op::Replace, ["securityPolicy"]) => settings.security_policy = patch.text()?,
            (Op::Replace, ["endpointAccessMode"]) => {
                settings.endpoint_access_mode = patch.optional_text();
            }
            (Op::Replace, ["routingMode"]) => settings.routing_mode = patch.text()?,
            (Op::Replace, ["endpointConfiguration", "ipAddressType"]) => {
                settings.ip_address_type = patch.one_of(&["ipv4", "dualstack"])?;
            }
            _ => return Err(patch.unsupported(PATCHES)),
        }
    }
    after.settings.check(call.operation)?;
    if after.certificate != before.certificate {
        check_certificate(world, call.region, &after.certificate, &after.name)?;
        after.updated_by = world.due(CERTIFICATE_UPDATE);
        let (now, due) = (world.now, world.due(RELEASE));
        state(world, call).release(&before, now, due);
    }
    if after.settings != before.settings {
        after.updated_by = world.due(SECURITY_POLICY_UPDATE);
    }
    let view = after.view(call.region, world.now);
    state(world, call).domains.insert(after.name.clone(), after);
    Ok(view)
}

/// `DeleteDomainName`: its mappings go with it.
fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let (now, due) = (world.now, world.due(RELEASE));
    let state = state(world, call);
    let domain = find(state, call.required("domainName"))?.clone();
    state.release(&domain, now, due);
    state.domains.remove(&domain.name);
    Ok(json!({}))
}

#[cfg(test)]
pub(in crate::sandbox) mod tests {
    use super::super::fixture::{certificate, refused, tell, world};
    use super::*;

    fn input(name: &str, certificate: &str) -> Value {
        json!({
            "domainName": name, "regionalCertificateArn": certificate,
            "endpointConfiguration": { "types": ["REGIONAL"] },
        })
    }

    /// Makes a regional domain.
    pub(in crate::sandbox) fn create(world: &mut World, name: &str) -> Value {
        let certificate = certificate(world, "*.example.com");
        tell(world, "CreateDomainName", input(name, &certificate))
    }

    #[test]
    fn a_regional_domain_leads_to_a_name_in_the_regions_zone() {
        let domain = create(&mut world(), "aaa.example.com");
        let name = domain["regionalDomainName"].as_str().expect("a name");
        assert!(
            name.starts_with("d-") && name.ends_with(".execute-api.ap-northeast-1.amazonaws.com")
        );
        assert_eq!(domain["regionalHostedZoneId"], "Z1YSHQZHG15GKL");
        assert_eq!(domain["securityPolicy"], "TLS_1_2");
        assert_eq!(domain["domainNameStatus"], "AVAILABLE");
    }

    #[test]
    fn a_domain_takes_time_where_states_do() {
        let world = &mut world();
        world.instant = false;
        assert_eq!(
            create(world, "aaa.example.com")["domainNameStatus"],
            "UPDATING"
        );
        world.now += 30_000;
        let input = json!({ "domainName": "aaa.example.com" });
        assert_eq!(
            tell(world, "GetDomainName", input)["domainNameStatus"],
            "AVAILABLE"
        );
    }

    #[test]
    fn a_name_is_taken_once() {
        let world = &mut world();
        create(world, "aaa.example.com");
        let certificate = certificate(world, "*.example.com");
        let refusal = refused(
            world,
            "CreateDomainName",
            input("aaa.example.com", &certificate),
        );
        let message = "The domain name you provided already exists.";
        assert_eq!(
            refusal,
            ("BadRequestException".to_owned(), message.to_owned())
        );
    }

    #[test]
    fn the_certificate_has_to_cover_the_name() {
        let world = &mut world();
        let certificate = certificate(world, "*.example.com");
        let refusal = refused(
            world,
            "CreateDomainName",
            input("a.b.example.com", &certificate),
        );
        let message = "The domain name to be created is not covered by the provided certificate.";
        assert_eq!(refusal.1, message);
        assert!(
            covers("*.example.com", "a.example.com") && covers("a.example.com", "a.example.com")
        );
        assert!(
            !covers("*.example.com", "example.com") && !covers("*.example.com", "a.b.example.com")
        );
    }

    #[test]
    fn the_certificate_has_to_be_issued() {
        let world = &mut world();
        let request = json!({ "DomainName": "aaa.example.com", "ValidationMethod": "DNS" });
        let call = Call::of("RequestCertificate", &request);
        let answer = crate::sandbox::acm::handle(world, &call).expect("a request");
        let arn = answer["CertificateArn"].as_str().expect("an ARN");
        let refusal = refused(world, "CreateDomainName", input("aaa.example.com", arn));
        assert!(
            refusal.1.ends_with("is not in ISSUED state."),
            "{}",
            refusal.1
        );
    }

    #[test]
    fn upper_case_names_are_refused() {
        let world = &mut world();
        let certificate = certificate(world, "*.example.com");
        let refusal = refused(
            world,
            "CreateDomainName",
            input("AAA.example.com", &certificate),
        );
        assert_eq!(refusal.0, "BadRequestException");
    }

    #[test]
    fn a_certificate_counts_as_used_for_some_time_after_the_domain_is_gone() {
        let world = &mut world();
        world.instant = false;
        let domain = create(world, "aaa.example.com");
        let arn = domain["regionalCertificateArn"].as_str().expect("an ARN");
        tell(
            world,
            "DeleteDomainName",
            json!({ "domainName": "aaa.example.com" }),
        );
        let state = &world.regions["ap-northeast-1"].apigateway;
        assert_eq!(state.users_of_certificate(arn, world.now).len(), 1);
        assert_eq!(
            state.users_of_certificate(arn, world.now + 180_000).len(),
            0
        );
    }

    #[test]
    fn a_strict_policy_needs_an_access_mode() {
        let world = &mut world();
        let mut strict = input("aaa.example.com", &certificate(world, "*.example.com"));
        strict["securityPolicy"] = json!("SecurityPolicy_TLS13_1_3_2025_09");
        assert_eq!(
            refused(world, "CreateDomainName", strict.clone()).0,
            "BadRequestException"
        );
        strict["endpointAccessMode"] = json!("BASIC");
        tell(world, "CreateDomainName", strict);
    }

    #[test]
    fn domains_other_than_regional_are_refused_as_not_modelled() {
        let input = json!({ "domainName": "aaa.example.com", "endpointConfiguration": { "types": ["PRIVATE"] } });
        assert!(
            refused(&mut world(), "CreateDomainName", input)
                .1
                .contains("does not model")
        );
    }
}
