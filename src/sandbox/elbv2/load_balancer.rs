//! Load balancers of both types.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::arn::Kind;
use super::attribute::{Allowed, Attribute, Attributes, Tables, attribute};
use super::network::{self, Type};
use super::placement::{self, Placement};
use super::{State, arn, invalid, listener, log_bucket, page, state, tag};
use crate::sandbox::apigateway;
use crate::sandbox::ec2::{self, Direction};
use crate::sandbox::world::{Call, Refusal, World};

/// A load balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct LoadBalancer {
    /// Its ARN.
    pub(in crate::sandbox) arn: String,
    /// The name, unique in the region.
    pub(in crate::sandbox) name: String,
    /// The name that clients resolve.
    pub(in crate::sandbox) dns_name: String,
    /// `internet-facing` or `internal`.
    pub(in crate::sandbox) scheme: String,
    /// The VPC of its subnets.
    pub(in crate::sandbox) vpc: String,
    /// Where its nodes are, by subnet.
    pub(in crate::sandbox) placements: Vec<Placement>,
    /// The security groups of its nodes.
    pub(in crate::sandbox) security_groups: Vec<String>,
    /// `ipv4`, `dualstack` or `dualstack-without-public-ipv4`.
    pub(in crate::sandbox) ip_address_type: String,
    /// When its creation was asked for, in milliseconds.
    pub(in crate::sandbox) created: i64,
    /// When it begins to route.
    pub(in crate::sandbox) active_at: i64,
    /// The attributes that were set.
    pub(in crate::sandbox) attributes: Attributes,
    /// Whether it takes requests or connections.
    #[serde(default)]
    pub(in crate::sandbox) kind: Type,
    /// Whether the inbound rules of a Network Load Balancer's security groups hold for what comes
    /// by `PrivateLink`.
    #[serde(default)]
    pub(in crate::sandbox) enforces_on_private_link: bool,
}

/// How long a load balancer takes from `provisioning` to `active`.
const PROVISIONING: Duration = Duration::from_secs(150);

/// How long the network interfaces of a deleted load balancer hold on to its subnets and groups.
const RELEASE: Duration = Duration::from_mins(3);

const ATTRIBUTES: &[Attribute] = &[
    attribute("access_logs.s3.bucket", "", Allowed::Text(63)),
    attribute("access_logs.s3.enabled", "false", Allowed::Flag),
    attribute("access_logs.s3.prefix", "", Allowed::Text(900)),
    attribute(
        "client_keep_alive.seconds",
        "3600",
        Allowed::Range(60, 604_800),
    ),
    attribute("connection_logs.s3.bucket", "", Allowed::Text(63)),
    attribute("connection_logs.s3.enabled", "false", Allowed::Flag),
    attribute("connection_logs.s3.prefix", "", Allowed::Text(900)),
    attribute("deletion_protection.enabled", "false", Allowed::Flag),
    attribute("health_check_logs.s3.bucket", "", Allowed::Text(63)),
    attribute("health_check_logs.s3.enabled", "false", Allowed::Flag),
    attribute("health_check_logs.s3.prefix", "", Allowed::Text(900)),
    attribute(
        "idle_timeout.timeout_seconds",
        "60",
        Allowed::Range(1, 4000),
    ),
    attribute("ipv6.deny_all_igw_traffic", "false", Allowed::Flag),
    attribute(
        "load_balancing.cross_zone.enabled",
        "true",
        Allowed::OneOf(&["true"]),
    ),
    attribute(
        "routing.http.desync_mitigation_mode",
        "defensive",
        Allowed::OneOf(&["monitor", "defensive", "strictest"]),
    ),
    attribute(
        "routing.http.drop_invalid_header_fields.enabled",
        "false",
        Allowed::Flag,
    ),
    attribute(
        "routing.http.preserve_host_header.enabled",
        "false",
        Allowed::Flag,
    ),
    attribute(
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "false",
        Allowed::Flag,
    ),
    attribute(
        "routing.http.xff_client_port.enabled",
        "false",
        Allowed::Flag,
    ),
    attribute(
        "routing.http.xff_header_processing.mode",
        "append",
        Allowed::OneOf(&["append", "preserve", "remove"]),
    ),
    attribute("routing.http2.enabled", "true", Allowed::Flag),
    attribute("waf.fail_open.enabled", "false", Allowed::Flag),
    attribute("zonal_shift.config.enabled", "false", Allowed::Flag),
];

impl LoadBalancer {
    /// Whether it routes yet.
    pub(in crate::sandbox) fn is_active(&self, now: i64) -> bool {
        now >= self.active_at
    }

    /// The value of an attribute, set or default.
    pub(in crate::sandbox) fn attribute(&self, key: &str) -> &str {
        super::attribute::value(self.tables(), &self.attributes, key)
    }

    /// Whether it takes connections, not requests.
    pub(in crate::sandbox) fn is_network(&self) -> bool {
        self.kind == Type::Network
    }

    fn tables(&self) -> &'static Tables {
        match self.kind {
            Type::Application => &[ATTRIBUTES],
            Type::Network => &[network::ATTRIBUTES],
        }
    }

    /// Whether its own security groups let a connection through; a Network Load Balancer may have
    /// none, and then asks nobody.
    pub(in crate::sandbox) fn admits(
        &self,
        ec2: &ec2::State,
        direction: Direction,
        peer: (Ipv4Addr, &[String]),
        port: u16,
    ) -> bool {
        let groups = self.security_groups.as_slice();
        self.is_network() && groups.is_empty() || ec2.admits(groups, direction, peer, port)
    }

    /// The description that its network interfaces carry.
    pub(in crate::sandbox) fn interface_description(&self) -> String {
        format!("ELB {}", arn::path(&self.arn))
    }

    /// Whether a node of it is in the availability zone.
    pub(super) fn serves_zone(&self, zone: &str) -> bool {
        self.placements
            .iter()
            .any(|placement| placement.zone == zone)
    }

    /// Whether it was made with the settings of `other`, so that creating it again changes nothing.
    ///
    /// Tags do not count: whoever asks for the same settings is given a load balancer that may
    /// belong to somebody else.
    fn is_like(&self, other: &Self) -> bool {
        let sorted = |load_balancer: &Self| {
            let mut subnets = placement::subnets(&load_balancer.placements);
            let mut groups = load_balancer.security_groups.clone();
            subnets.sort();
            groups.sort();
            (subnets, groups)
        };
        self.kind == other.kind
            && self.scheme == other.scheme
            && self.ip_address_type == other.ip_address_type
            && sorted(self) == sorted(other)
    }

    fn describe(&self, region: &str, now: i64) -> Value {
        let code = if self.is_active(now) {
            "active"
        } else {
            "provisioning"
        };
        let is_guarded = self.is_network() && !self.security_groups.is_empty();
        let enforcement =
            is_guarded.then(|| network::enforcement_word(self.enforces_on_private_link));
        let has_groups = !self.is_network() || is_guarded;
        json!({
            "LoadBalancerArn": self.arn,
            "DNSName": self.dns_name,
            "CanonicalHostedZoneId": hosted_zone(self.kind, region),
            "CreatedTime": self.created / 1000,
            "LoadBalancerName": self.name,
            "Scheme": self.scheme,
            "VpcId": self.vpc,
            "State": {"Code": code},
            "Type": self.kind.name(),
            "AvailabilityZones": placement::describe(&self.placements),
            "SecurityGroups": has_groups.then_some(&self.security_groups),
            "IpAddressType": self.ip_address_type,
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": enforcement,
        })
    }
}

impl State {
    /// The load balancer that the call names.
    fn named_load_balancer(&mut self, call: &Call<'_>) -> Result<&mut LoadBalancer, Refusal> {
        let arn = call.required("LoadBalancerArn");
        self.load_balancers
            .get_mut(arn)
            .ok_or_else(|| Kind::LoadBalancer.missing(arn))
    }
}

/// `CreateLoadBalancer`.
pub(super) fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = tag::given(call)?;
    let wanted = wanted(world, call)?;
    let (region, now) = (call.region, world.now);
    let existing = state(world, call).load_balancers.values();
    if let Some(existing) = existing.into_iter().find(|known| known.name == wanted.name) {
        if !existing.is_like(&wanted) {
            return Err(Refusal::new(
                "DuplicateLoadBalancerName",
                format!(
                    "A load balancer with the same name '{}' exists, but with different settings",
                    wanted.name
                ),
            ));
        }
        return Ok(json!({"LoadBalancers": [existing.describe(region, now)]}));
    }
    within_quota(world, call, wanted.kind)?;
    attach(world, call, &wanted, &wanted.placements)?;
    let output = json!({"LoadBalancers": [wanted.describe(region, now)]});
    let state = state(world, call);
    state.tags.insert(wanted.arn.clone(), tags);
    state.load_balancers.insert(wanted.arn.clone(), wanted);
    Ok(output)
}

/// The load balancer that the call describes, nothing of it in existence yet.
fn wanted(world: &mut World, call: &Call<'_>) -> Result<LoadBalancer, Refusal> {
    let name = call.required("Name");
    check_name(name)?;
    let kind = Type::given(call)?;
    let scheme = call.text("Scheme").unwrap_or("internet-facing");
    let placements = placement::wanted(world, call, (kind, scheme))?;
    let vpc = placement::vpc(world, call, &placements)?;
    let security_groups = if kind == Type::Network && call.list("SecurityGroups").is_empty() {
        Vec::new()
    } else {
        placement::security_groups(world, call, &vpc)?
    };
    let ip_address_type = call.text("IpAddressType").unwrap_or("ipv4");
    if kind == Type::Network && ip_address_type != "ipv4" {
        let what = format!("IpAddressType={ip_address_type} of a network load balancer");
        return Err(Refusal::not_modelled(call.operation, &what));
    }
    let id = world.unique_hex(16);
    let number = u64::from_str_radix(&world.unique_hex(8), 16).unwrap_or_default();
    let mut attributes = Attributes::new();
    let internal = scheme == "internal";
    if internal {
        attributes.insert("ipv6.deny_all_igw_traffic".to_owned(), "true".to_owned());
    }
    let prefix = if internal { "internal-" } else { "" };
    let dns_name = match kind {
        Type::Application => format!(
            "{prefix}{name}-{number}.{}.elb.{}",
            call.region,
            dns_suffix(call.region)
        ),
        // Internal ones are named like the others.
        Type::Network => format!(
            "{name}-{id}.elb.{}.{}",
            call.region,
            dns_suffix(call.region)
        ),
    };
    let path = format!("loadbalancer/{}/{name}/{id}", kind.path());
    Ok(LoadBalancer {
        arn: arn::make(world, call, &path),
        name: name.to_owned(),
        dns_name,
        scheme: scheme.to_owned(),
        vpc,
        placements,
        security_groups,
        ip_address_type: ip_address_type.to_owned(),
        created: world.now,
        active_at: world.due(PROVISIONING),
        attributes,
        kind,
        enforces_on_private_link: true,
    })
}

fn dns_suffix(region: &str) -> &'static str {
    if arn::partition(region) == "aws-cn" {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

/// The rules for names, which the model does not state.
fn check_name(name: &str) -> Result<(), Refusal> {
    let complaint = if name.is_empty() {
        "cannot be empty"
    } else if name.len() > 32 {
        "cannot be longer than '32' characters"
    } else if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        "can only contain characters that are alphanumeric characters and hyphens(-)"
    } else if name.starts_with('-') || name.ends_with('-') {
        "cannot begin or end with '-'"
    } else if name.starts_with("internal-") {
        "cannot begin with 'internal-'"
    } else {
        return Ok(());
    };
    Err(invalid(format!("Load balancer name '{name}' {complaint}")))
}

fn within_quota(world: &mut World, call: &Call<'_>, kind: Type) -> Result<(), Refusal> {
    let (code, default) = kind.quota();
    let most = world.quota(code, default);
    let known = state(world, call).load_balancers.values();
    if known.filter(|known| known.kind == kind).count() as u64 >= most {
        return Err(Refusal::new(
            "TooManyLoadBalancers",
            "The maximum number of load balancers has been reached",
        ));
    }
    Ok(())
}

/// Takes an address in each of the subnets; all or none.
fn attach(
    world: &mut World,
    call: &Call<'_>,
    load_balancer: &LoadBalancer,
    placements: &[Placement],
) -> Result<(), Refusal> {
    let description = load_balancer.interface_description();
    for (index, placement) in placements.iter().enumerate() {
        let attachment = ec2::Attachment {
            description: &description,
            subnet_id: &placement.subnet,
            groups: &load_balancer.security_groups,
            interface_type: load_balancer.kind.interface(),
            address: placement.address,
        };
        if let Err(refusal) = ec2::attach(world, call.region, &attachment) {
            for attached in &placements[..index] {
                let (at_once, attached) = (Duration::ZERO, attached.subnet.as_str());
                ec2::detach(world, call.region, &description, Some(attached), at_once);
            }
            return Err(Refusal::new("InvalidSubnet", refusal.message));
        }
    }
    Ok(())
}

/// `DescribeLoadBalancers`.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    page::one_selection(call, &["LoadBalancerArns", "Names"])?;
    let (arns, names) = (page::arns(call, "LoadBalancerArns")?, call.texts("Names"));
    let now = world.now;
    let known = &state(world, call).load_balancers;
    if let Some(missing) = arns.iter().find(|arn| !known.contains_key(**arn)) {
        return Err(Kind::LoadBalancer.missing(missing));
    }
    let has_name = |name: &&str| known.values().any(|known| known.name == **name);
    if let Some(missing) = names.iter().find(|name| !has_name(name)) {
        return Err(Kind::LoadBalancer.missing_name(missing));
    }
    let all = arns.is_empty() && names.is_empty();
    let wanted = |known: &LoadBalancer| {
        all || arns.contains(&known.arn.as_str()) || names.contains(&known.name.as_str())
    };
    let found = known
        .values()
        .filter(|known| wanted(known))
        .map(|known| (known.arn.clone(), known.describe(call.region, now)))
        .collect();
    page::answer(call, "LoadBalancers", found)
}

/// `DeleteLoadBalancer`: its listeners and rules go with it, its target groups stay, its network
/// interfaces linger.
pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arn = call.required("LoadBalancerArn");
    if Kind::of(arn) != Some(Kind::LoadBalancer) {
        return Err(Kind::LoadBalancer.missing(arn));
    }
    let Some(load_balancer) = state(world, call).load_balancers.get(arn).cloned() else {
        return Ok(json!({}));
    };
    if load_balancer.attribute("deletion_protection.enabled") == "true" {
        return Err(Refusal::new(
            "OperationNotPermitted",
            format!(
                "Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            ),
        ));
    }
    if apigateway::holds_load_balancer(world, call.region, arn) {
        return Err(Refusal::new(
            "ResourceInUse",
            format!(
                "Load balancer '{arn}' cannot be deleted because it is currently associated with \
                 another service"
            ),
        ));
    }
    let listeners = state(world, call).listeners_of(arn);
    for listener in listeners {
        listener::remove(world, call, &listener);
    }
    let state = state(world, call);
    state.load_balancers.remove(arn);
    state.tags.remove(arn);
    let description = load_balancer.interface_description();
    ec2::detach(world, call.region, &description, None, RELEASE);
    Ok(json!({}))
}

/// `ModifyLoadBalancerAttributes`: all of them or none.
pub(super) fn modify_attributes(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tables = state(world, call).named_load_balancer(call)?.tables();
    let given = super::attribute::given(call, "Load balancer", tables)?;
    if given.len() > 20 {
        return Err(invalid("Up to 20 attributes can be modified in one call"));
    }
    let mut changed = state(world, call).named_load_balancer(call)?.clone();
    let before = changed.clone();
    changed.attributes.extend(given);
    if changed.is_network() {
        network::check_attributes(call, &changed)?;
    } else {
        log_bucket::check(world, call, &before, &changed)?;
    }
    let output = super::attribute::describe(tables, &changed.attributes);
    *state(world, call).named_load_balancer(call)? = changed;
    Ok(output)
}

/// `DescribeLoadBalancerAttributes`.
pub(super) fn describe_attributes(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let load_balancer = state(world, call).named_load_balancer(call)?;
    Ok(super::attribute::describe(
        load_balancer.tables(),
        &load_balancer.attributes,
    ))
}

/// `SetSubnets`, which replaces the whole list.
pub(super) fn set_subnets(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut changed = state(world, call).named_load_balancer(call)?.clone();
    let before = placement::subnets(&changed.placements);
    changed.placements = placement::changed(world, call, &changed)?;
    if let Some(ip_address_type) = call.text("IpAddressType") {
        ip_address_type.clone_into(&mut changed.ip_address_type);
    }
    let after = placement::subnets(&changed.placements);
    let added: Vec<Placement> = changed
        .placements
        .iter()
        .filter(|placement| !before.contains(&placement.subnet))
        .cloned()
        .collect();
    attach(world, call, &changed, &added)?;
    let description = changed.interface_description();
    for removed in before.iter().filter(|id| !after.contains(id)) {
        ec2::detach(world, call.region, &description, Some(removed), RELEASE);
    }
    let mut output = Map::new();
    output.insert(
        "AvailabilityZones".to_owned(),
        placement::describe(&changed.placements),
    );
    output.insert(
        "IpAddressType".to_owned(),
        changed.ip_address_type.clone().into(),
    );
    *state(world, call).named_load_balancer(call)? = changed;
    Ok(Value::Object(output))
}

/// `SetSecurityGroups`, which replaces the whole list.
pub(super) fn set_security_groups(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let before = state(world, call).named_load_balancer(call)?;
    let (vpc, is_network) = (before.vpc.clone(), before.is_network());
    let enforcement = network::enforcement(call);
    if is_network && before.security_groups.is_empty() {
        return Err(Refusal::new(
            "InvalidConfigurationRequest",
            "You cannot set security groups on a Network Load Balancer that was created without \
             security groups",
        ));
    }
    if !is_network && enforcement.is_some() {
        return Err(invalid(
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic is only supported for Network \
             Load Balancers",
        ));
    }
    if call.list("SecurityGroups").is_empty() {
        return Err(invalid("At least one security group must be specified"));
    }
    let groups = placement::security_groups(world, call, &vpc)?;
    let load_balancer = state(world, call).named_load_balancer(call)?;
    load_balancer.security_groups.clone_from(&groups);
    if let Some(enforces) = enforcement {
        load_balancer.enforces_on_private_link = enforces;
    }
    let enforces =
        is_network.then(|| network::enforcement_word(load_balancer.enforces_on_private_link));
    let description = load_balancer.interface_description();
    world
        .region(call.region)
        .ec2
        .set_groups(&description, &groups);
    Ok(json!({
        "SecurityGroupIds": groups,
        "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": enforces,
    }))
}

/// `SetIpAddressType`. EC2 has no IPv6 networks here: subnets are taken to have one where a load
/// balancer asks for it.
pub(super) fn set_ip_address_type(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let load_balancer = state(world, call).named_load_balancer(call)?;
    let wanted = call.required("IpAddressType");
    if load_balancer.is_network() && wanted != "ipv4" {
        let what = format!("IpAddressType={wanted} of a network load balancer");
        return Err(Refusal::not_modelled(call.operation, &what));
    }
    if wanted == "dualstack-without-public-ipv4" && load_balancer.scheme == "internal" {
        return Err(Refusal::new(
            "InvalidConfigurationRequest",
            "The IP address type 'dualstack-without-public-ipv4' requires an internet-facing load balancer",
        ));
    }
    wanted.clone_into(&mut load_balancer.ip_address_type);
    Ok(json!({"IpAddressType": wanted}))
}

/// `DescribeCapacityReservation`: clients ask for it beside the attributes; nothing is ever reserved.
pub(super) fn describe_capacity(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    state(world, call).named_load_balancer(call)?;
    Ok(json!({"CapacityReservationState": []}))
}

/// The Route 53 hosted zone of the region's load balancers of the type, for alias records.
fn hosted_zone(kind: Type, region: &str) -> &'static str {
    let zones = match kind {
        Type::Application => HOSTED_ZONES,
        Type::Network => network::HOSTED_ZONES,
    };
    let of = |region: &str| zones.iter().find(|(known, _)| *known == region);
    of(region)
        .or_else(|| of("us-east-1"))
        .map_or("", |(_, zone)| zone)
}

const HOSTED_ZONES: &[(&str, &str)] = &[
    ("af-south-1", "Z268VQBMOI5EKX"),
    ("ap-east-1", "Z3DQVH9N71FHZ0"),
    ("ap-northeast-1", "Z14GRHDCWA56QT"),
    ("ap-northeast-2", "ZWKZPGTI48KDX"),
    ("ap-northeast-3", "Z5LXEXXYW11ES"),
    ("ap-south-1", "ZP97RAFLXTNZK"),
    ("ap-south-2", "Z0173938T07WNTVAEPZN"),
    ("ap-southeast-1", "Z1LMS91P8CMLE5"),
    ("ap-southeast-2", "Z1GM3OXH4ZPM65"),
    ("ap-southeast-3", "Z08888821HLRG5A9ZRTER"),
    ("ca-central-1", "ZQSVJUPU6J1EY"),
    ("cn-north-1", "Z1GDH35T77C1KE"),
    ("cn-northwest-1", "ZM7IZAIOVVDZF"),
    ("eu-central-1", "Z215JYRZR1TBD5"),
    ("eu-central-2", "Z06391101F2ZOEP8P5EB3"),
    ("eu-north-1", "Z23TAZ6LKFMNIO"),
    ("eu-south-1", "Z3ULH7SSC9OV64"),
    ("eu-south-2", "Z0956581394HF5D5LXGAP"),
    ("eu-west-1", "Z32O12XQLNTSW2"),
    ("eu-west-2", "ZHURV8PSTC4K8"),
    ("eu-west-3", "Z3Q77PNBQS71R4"),
    ("me-central-1", "Z08230872XQRWHG2XF6I"),
    ("me-south-1", "ZS929ML54UICD"),
    ("sa-east-1", "Z2P70J7HTTTPLU"),
    ("us-east-1", "Z35SXDOTRQ7X7K"),
    ("us-east-2", "Z3AADJGX6KTTL2"),
    ("us-gov-east-1", "Z166TLBEWOO7G0"),
    ("us-gov-west-1", "Z33AYJ8TM3BH4J"),
    ("us-west-1", "Z368ELLRRE2KJ0"),
    ("us-west-2", "Z1H1FL5HABSF5"),
];

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    #[test]
    fn it_is_provisioning_before_it_is_active() {
        let mut account = Account::realistic();
        account.load_balancer();
        let state = |account: &mut Account| {
            let output = account.call("DescribeLoadBalancers", json!({"Names": ["edge"]}));
            output["LoadBalancers"][0]["State"]["Code"].clone()
        };
        assert_eq!(state(&mut account), "provisioning");
        account.wait(149);
        assert_eq!(state(&mut account), "provisioning");
        account.wait(1);
        assert_eq!(state(&mut account), "active");
    }

    #[test]
    fn creating_it_again_with_the_same_settings_returns_it() {
        let mut account = Account::fresh();
        assert_eq!(account.load_balancer(), account.load_balancer());
        let subnets = account.subnets();
        let other = json!({"Name": "edge", "Subnets": subnets, "Scheme": "internal"});
        assert_eq!(
            account.refused("CreateLoadBalancer", other),
            "DuplicateLoadBalancerName"
        );
    }

    #[test]
    fn it_needs_two_zones() {
        let mut account = Account::fresh();
        let subnets = account.subnets();
        let one = json!({"Name": "edge", "Subnets": [subnets[0]]});
        assert_eq!(
            account.refused("CreateLoadBalancer", one),
            "ValidationError"
        );
        let unknown = json!({"Name": "edge", "Subnets": [subnets[0], "subnet-0"]});
        assert_eq!(
            account.refused("CreateLoadBalancer", unknown),
            "SubnetNotFound"
        );
    }

    #[test]
    fn names_follow_the_rules() {
        let mut account = Account::fresh();
        let subnets = account.subnets();
        let long = "x".repeat(33);
        for name in ["-edge", "edge-", "internal-edge", "edge_1", long.as_str()] {
            let input = json!({"Name": name, "Subnets": subnets});
            assert_eq!(
                account.refused("CreateLoadBalancer", input),
                "ValidationError"
            );
        }
    }

    #[test]
    fn its_names_are_those_that_aws_gives() {
        let mut account = Account::fresh();
        account.load_balancer();
        let subnets = account.subnets();
        let internal = json!({"Name": "inside", "Subnets": subnets, "Scheme": "internal"});
        account.call("CreateLoadBalancer", internal);
        let output = account.call("DescribeLoadBalancers", json!({}));
        let named = |index: usize| output["LoadBalancers"][index]["DNSName"].as_str();
        let edge = named(0).expect("a name");
        let inside = named(1).expect("a name");
        assert!(edge.starts_with("edge-") && edge.ends_with(".ap-northeast-1.elb.amazonaws.com"));
        assert!(inside.starts_with("internal-inside-"));
        let zone = &output["LoadBalancers"][0]["CanonicalHostedZoneId"];
        assert_eq!(zone, "Z14GRHDCWA56QT");
    }

    #[test]
    fn deletion_protection_keeps_it() {
        let mut account = Account::fresh();
        let arn = account.load_balancer();
        let protect = |value: &str| {
            let attribute = json!({"Key": "deletion_protection.enabled", "Value": value});
            json!({"LoadBalancerArn": arn, "Attributes": [attribute]})
        };
        account.call("ModifyLoadBalancerAttributes", protect("true"));
        let delete = json!({"LoadBalancerArn": arn});
        assert_eq!(
            account.refused("DeleteLoadBalancer", delete.clone()),
            "OperationNotPermitted"
        );
        account.call("ModifyLoadBalancerAttributes", protect("false"));
        account.call("DeleteLoadBalancer", delete.clone());
        account.call("DeleteLoadBalancer", delete);
        let named = json!({"Names": ["edge"]});
        assert_eq!(
            account.refused("DescribeLoadBalancers", named),
            "LoadBalancerNotFound"
        );
    }

    #[test]
    fn its_interfaces_linger() {
        let mut account = Account::realistic();
        let arn = account.load_balancer();
        let interfaces = |account: &mut Account| {
            let output = account.ec2("DescribeNetworkInterfaces", json!({}));
            output["NetworkInterfaces"].as_array().map(Vec::len)
        };
        assert_eq!(interfaces(&mut account), Some(2));
        account.call("DeleteLoadBalancer", json!({"LoadBalancerArn": arn}));
        assert_eq!(interfaces(&mut account), Some(2));
        account.wait(180);
        assert_eq!(interfaces(&mut account), Some(0));
    }

    #[test]
    fn attributes_are_changed_all_or_none() {
        let mut account = Account::fresh();
        let arn = account.load_balancer();
        let change = |attributes: Value| json!({"LoadBalancerArn": arn, "Attributes": attributes});
        let half_wrong = change(json!([
            {"Key": "idle_timeout.timeout_seconds", "Value": "120"},
            {"Key": "client_keep_alive.seconds", "Value": "59"},
        ]));
        assert_eq!(
            account.refused("ModifyLoadBalancerAttributes", half_wrong),
            "ValidationError"
        );
        let unknown = change(json!([{"Key": "idle.timeout", "Value": "1"}]));
        let refusal = account
            .attempt("ModifyLoadBalancerAttributes", unknown)
            .expect_err("unknown");
        assert!(
            refusal
                .message
                .contains("attribute key 'idle.timeout' is not recognized")
        );
        let output = account.call(
            "DescribeLoadBalancerAttributes",
            json!({"LoadBalancerArn": arn}),
        );
        let timeout = json!({"Key": "idle_timeout.timeout_seconds", "Value": "60"});
        assert!(
            output["Attributes"]
                .as_array()
                .expect("a list")
                .contains(&timeout)
        );
    }

    #[test]
    fn logs_need_a_bucket_that_lets_them_in() {
        let mut account = Account::fresh();
        let arn = account.load_balancer();
        account.object("anything", "");
        let attributes = json!([
            {"Key": "connection_logs.s3.enabled", "Value": "true"},
            {"Key": "connection_logs.s3.bucket", "Value": "trust"},
        ]);
        let enable = json!({"LoadBalancerArn": arn, "Attributes": attributes});
        let refusal = account
            .attempt("ModifyLoadBalancerAttributes", enable)
            .expect_err("denied");
        assert_eq!(refusal.code, "InvalidConfigurationRequest");
        assert!(refusal.message.contains("Access Denied for bucket: trust"));
    }

    #[test]
    fn its_subnets_are_replaced_as_a_whole() {
        let mut account = Account::fresh();
        let arn = account.load_balancer();
        let subnets = account.subnets();
        let wanted = json!({"LoadBalancerArn": arn, "Subnets": [subnets[1], subnets[2]]});
        let output = account.call("SetSubnets", wanted);
        let zones = output["AvailabilityZones"].as_array().expect("a list");
        let zones: Vec<&Value> = zones.iter().map(|zone| &zone["ZoneName"]).collect();
        assert_eq!(zones, ["ap-northeast-1c", "ap-northeast-1d"]);
        let interfaces = account.ec2("DescribeNetworkInterfaces", json!({}));
        assert_eq!(
            interfaces["NetworkInterfaces"].as_array().map(Vec::len),
            Some(2)
        );
    }
}
