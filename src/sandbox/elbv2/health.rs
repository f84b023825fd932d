//! Target health: how it is checked and what comes of it.

mod observed;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(in crate::sandbox) use self::observed::{Observed, Outcome};
use super::load_balancer::LoadBalancer;
use super::target::{self, Target};
use super::target_group::TargetGroup;
use super::{State, invalid, state};
use crate::sandbox::data_plane;
use crate::sandbox::ec2::{self, Direction};
use crate::sandbox::world::{Call, Refusal, World};

/// How the targets of a group are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct HealthCheck {
    /// `HTTP` or `HTTPS`, HTTP by default even where the group's protocol is HTTPS; for Network Load
    /// Balancers also `TCP`, which is their default.
    pub(in crate::sandbox) protocol: String,
    /// A number or `traffic-port`.
    pub(in crate::sandbox) port: String,
    /// What is asked for; nothing over TCP.
    pub(in crate::sandbox) path: String,
    /// Seconds between two checks.
    pub(in crate::sandbox) interval: i64,
    /// Seconds until a check has failed.
    pub(in crate::sandbox) timeout: i64,
    /// How many successes make an unhealthy target healthy.
    pub(in crate::sandbox) healthy_threshold: i64,
    /// How many failures make a healthy target unhealthy.
    pub(in crate::sandbox) unhealthy_threshold: i64,
    /// The statuses that are a success: `200`, `200,403`, `200-299`; none over TCP.
    pub(in crate::sandbox) matcher: String,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            protocol: "HTTP".to_owned(),
            port: "traffic-port".to_owned(),
            path: "/".to_owned(),
            interval: 30,
            timeout: 5,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: "200".to_owned(),
        }
    }
}

/// A target's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Health {
    /// `initial`, `healthy`, `unhealthy`, `unused` or `draining`.
    pub(in crate::sandbox) state: &'static str,
    reason: Option<&'static str>,
    description: Option<String>,
}

impl Health {
    const HEALTHY: Self = Self {
        state: "healthy",
        reason: None,
        description: None,
    };

    fn new(state: &'static str, reason: &'static str, description: &str) -> Self {
        Self {
            state,
            reason: Some(reason),
            description: Some(description.to_owned()),
        }
    }

    fn timed_out() -> Self {
        Self::new("unhealthy", "Target.Timeout", "Request timed out")
    }

    fn initial() -> Self {
        let description = "Initial health checks in progress";
        Self::new("initial", "Elb.InitialHealthChecking", description)
    }

    fn describe(&self) -> Value {
        json!({"State": self.state, "Reason": self.reason, "Description": self.description})
    }
}

impl HealthCheck {
    /// The check of a new group, for a load balancer of either type.
    pub(super) fn created(call: &Call<'_>, is_network: bool) -> Result<Self, Refusal> {
        let protocol = call.text("HealthCheckProtocol");
        let defaults = match (is_network, protocol) {
            (false, _) => Self::default(),
            (true, protocol) => Self {
                protocol: "TCP".to_owned(),
                path: String::new(),
                matcher: String::new(),
                timeout: if protocol == Some("HTTP") { 6 } else { 10 },
                ..Self::default()
            },
        };
        defaults.changed(call, is_network)
    }

    /// The check with what the call gives laid over it.
    pub(super) fn changed(&self, call: &Call<'_>, is_network: bool) -> Result<Self, Refusal> {
        let text = |member: &str, kept: &str| call.text(member).unwrap_or(kept).to_owned();
        let number = |member: &str, kept: i64| call.integer(member).unwrap_or(kept);
        let matcher = &call.input["Matcher"];
        call.models("Matcher", matcher, &["HttpCode"])?;
        let mut changed = Self {
            protocol: text("HealthCheckProtocol", &self.protocol),
            port: text("HealthCheckPort", &self.port),
            path: text("HealthCheckPath", &self.path),
            interval: number("HealthCheckIntervalSeconds", self.interval),
            timeout: number("HealthCheckTimeoutSeconds", self.timeout),
            healthy_threshold: number("HealthyThresholdCount", self.healthy_threshold),
            unhealthy_threshold: number("UnhealthyThresholdCount", self.unhealthy_threshold),
            matcher: matcher["HttpCode"]
                .as_str()
                .unwrap_or(&self.matcher)
                .to_owned(),
        };
        if call.boolean("HealthCheckEnabled") == Some(false) {
            return Err(invalid(
                "Health check enabled must be true for target groups with this type",
            ));
        }
        if is_network {
            changed.settle(call)?;
        }
        changed.check(is_network)?;
        Ok(changed)
    }

    /// Fills in or takes out what goes with the protocol of a check by a Network Load Balancer.
    fn settle(&mut self, call: &Call<'_>) -> Result<(), Refusal> {
        if self.protocol != "TCP" {
            if self.path.is_empty() {
                "/".clone_into(&mut self.path);
            }
            if self.matcher.is_empty() {
                "200-399".clone_into(&mut self.matcher);
            }
            return Ok(());
        }
        if call.text("HealthCheckPath").is_some() || !call.input["Matcher"].is_null() {
            return Err(invalid(
                "Health check path and matcher are not supported for health checks with the \
                 protocol 'TCP'",
            ));
        }
        self.path.clear();
        self.matcher.clear();
        Ok(())
    }

    fn check(&self, is_network: bool) -> Result<(), Refusal> {
        let is_port = self.port.parse::<u16>().is_ok_and(|port| port > 0);
        let is_tcp = is_network && self.protocol == "TCP";
        if !is_tcp && !["HTTP", "HTTPS"].contains(&self.protocol.as_str()) {
            return Err(invalid(format!(
                "Health check protocol '{}' is not supported",
                self.protocol
            )));
        }
        if self.port != "traffic-port" && !is_port {
            return Err(invalid(format!(
                "Health check port '{}' is not valid",
                self.port
            )));
        }
        if !is_tcp && !self.path.starts_with('/') {
            return Err(invalid(format!(
                "Health check path '{}' must begin with a '/' character",
                self.path
            )));
        }
        if self.timeout >= self.interval {
            return Err(invalid(format!(
                "Health check timeout '{}' must be smaller than the interval '{}'",
                self.timeout, self.interval
            )));
        }
        let most = if is_network { 599 } else { 499 };
        let fits = |ranges: Vec<(u16, u16)>| ranges.iter().all(|(_, high)| *high <= most);
        if !is_tcp && !ranges(&self.matcher).is_some_and(fits) {
            return Err(invalid(format!(
                "Health check matcher HTTP code '{}' must be within '200-{most}' inclusive",
                self.matcher
            )));
        }
        Ok(())
    }

    /// Whether the status is a success; over TCP a connection is.
    pub(in crate::sandbox) fn accepts(&self, status: u16) -> bool {
        if self.is_tcp() {
            return true;
        }
        let ranges = ranges(&self.matcher).unwrap_or_default();
        ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&status))
    }

    /// Whether a connection is all that is wanted.
    pub(in crate::sandbox) fn is_tcp(&self) -> bool {
        self.protocol == "TCP"
    }

    /// The port that a target is checked on.
    pub(in crate::sandbox) fn port_of(&self, target: &Target) -> i64 {
        self.port.parse().unwrap_or(target.port)
    }

    /// Adds its members to a `TargetGroup` structure.
    pub(super) fn describe_into(&self, structure: &mut Value) {
        structure["HealthCheckProtocol"] = json!(self.protocol);
        structure["HealthCheckPort"] = json!(self.port);
        structure["HealthCheckEnabled"] = json!(true);
        structure["HealthCheckIntervalSeconds"] = json!(self.interval);
        structure["HealthCheckTimeoutSeconds"] = json!(self.timeout);
        structure["HealthyThresholdCount"] = json!(self.healthy_threshold);
        structure["UnhealthyThresholdCount"] = json!(self.unhealthy_threshold);
        if !self.is_tcp() {
            structure["HealthCheckPath"] = json!(self.path);
            structure["Matcher"] = json!({"HttpCode": self.matcher});
        }
    }
}

/// The ranges of statuses that a matcher stands for; none where it is malformed or too wide.
fn ranges(matcher: &str) -> Option<Vec<(u16, u16)>> {
    let allowed = 200..=599;
    matcher
        .split(',')
        .map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
            (allowed.contains(&low) && allowed.contains(&high) && low <= high)
                .then_some((low, high))
        })
        .collect()
}

/// `DescribeTargetHealth`.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let group = state(world, call).named_target_group(call)?.clone();
    if !call.list("Include").is_empty() {
        return Err(Refusal::not_modelled(call.operation, "Include"));
    }
    let now = world.now;
    let present = |target: &&Target| target.is_present(now);
    let descriptions: Vec<Value> = if call.list("Targets").is_empty() {
        let targets = group.targets.values().filter(present);
        targets
            .map(|target| description(world, call.region, &group, target))
            .collect()
    } else {
        let named = target::named(call, &group)?;
        let named = named.iter().map(|named| {
            let known = group.targets.get(&target::key(named.id, named.port));
            known.filter(present).map_or_else(
                || not_registered(&group, named),
                |target| description(world, call.region, &group, target),
            )
        });
        named.collect()
    };
    Ok(json!({"TargetHealthDescriptions": descriptions}))
}

fn description(world: &World, region: &str, group: &TargetGroup, target: &Target) -> Value {
    json!({
        "Target": target.describe(),
        "HealthCheckPort": group.health_check.port_of(target).to_string(),
        "TargetHealth": health(world, region, group, target).describe(),
    })
}

fn not_registered(group: &TargetGroup, named: &target::Named<'_>) -> Value {
    let health = Health::new(
        "unused",
        "Target.NotRegistered",
        "Target is not registered to the target group",
    );
    let port = group.health_check.port.parse().unwrap_or(named.port);
    json!({
        "Target": {"Id": named.id, "Port": named.port},
        "HealthCheckPort": port.to_string(),
        "TargetHealth": health.describe(),
    })
}

/// The health of a registered target.
pub(in crate::sandbox) fn health(
    world: &World,
    region: &str,
    group: &TargetGroup,
    target: &Target,
) -> Health {
    let Some(in_region) = world.regions.get(region) else {
        return Health::new("unused", "Target.NotInUse", NOT_IN_USE);
    };
    let elb = &in_region.elbv2;
    if target.is_draining() {
        let description = "Target deregistration is in progress";
        return Health::new("draining", "Target.DeregistrationInProgress", description);
    }
    let users = elb.users_of_target_group(&group.arn);
    let Some(load_balancer) = users.first().and_then(|arn| elb.load_balancers.get(arn)) else {
        return Health::new("unused", "Target.NotInUse", NOT_IN_USE);
    };
    let zone = target.zone.as_deref().filter(|zone| *zone != "all");
    if zone.is_some_and(|zone| !load_balancer.serves_zone(zone)) {
        let description =
            "Target is in an Availability Zone that is not enabled for the load balancer";
        return Health::new("unused", "Target.NotInUse", description);
    }
    if world.now < first_result(world, elb, group, target) {
        return Health::initial();
    }
    let probe = Probe {
        region,
        group,
        target,
        load_balancer,
    };
    probe.result(world, &in_region.ec2)
}

const NOT_IN_USE: &str = "Target group is not configured to receive traffic from the load balancer";

/// When the first check of the target has a result: an interval after the load balancer could
/// begin with it. The first success makes a new target healthy.
fn first_result(world: &World, elb: &State, group: &TargetGroup, target: &Target) -> i64 {
    let users = elb.users_of_target_group(&group.arn);
    let active = users.first().and_then(|arn| elb.load_balancers.get(arn));
    let active = active.map_or(world.now, |load_balancer| load_balancer.active_at);
    let used_since = group.used_since.unwrap_or(world.now);
    let begin = target.registered.max(used_since).max(active);
    let interval = Duration::from_secs(u64::try_from(group.health_check.interval).unwrap_or(0));
    begin + (world.due(interval) - world.now)
}

/// One check of one target.
struct Probe<'a> {
    region: &'a str,
    group: &'a TargetGroup,
    target: &'a Target,
    load_balancer: &'a LoadBalancer,
}

impl Probe<'_> {
    fn result(&self, world: &World, ec2: &ec2::State) -> Health {
        let server = format!(
            "{}:{}",
            self.target.id,
            self.group.health_check.port_of(self.target)
        );
        if world.hosts.contains_key(&server) {
            return world.observed.health(self.group, self.target);
        }
        if self.group.target_type == "instance" {
            // EC2 has no instances here: an id of the right form stands for one that runs and
            // answers on the port that its group says, in the protocol that its group says.
            return self.answered(200);
        }
        let Some((endpoint, interface)) = self.endpoint_interface(ec2, world.now) else {
            return Health::timed_out();
        };
        // The endpoint listens on 443 alone, and what security groups refuse is dropped.
        if self.group.health_check.port_of(self.target) != 443 || !self.reaches(ec2, interface) {
            return Health::timed_out();
        }
        if self.group.health_check.is_tcp() {
            return Health::HEALTHY;
        }
        if self.group.health_check.protocol != "HTTPS" {
            return Health::new(
                "unhealthy",
                "Target.FailedHealthChecks",
                "Health checks failed",
            );
        }
        // The probe's Host is the address, so that API Gateway knows no API for it.
        let at = (endpoint.id.as_str(), interface.address);
        let path = &self.group.health_check.path;
        self.answered(data_plane::status_of_check(world, self.region, at, path))
    }

    /// The API Gateway endpoint whose address the target is, and its interface there.
    fn endpoint_interface<'e>(
        &self,
        ec2: &'e ec2::State,
        now: i64,
    ) -> Option<(&'e ec2::VpcEndpoint, &'e ec2::NetworkInterface)> {
        let address = self.target.id.parse().ok()?;
        let endpoint = ec2.endpoint_at(&self.group.vpc, address)?;
        let interface = ec2.interface_at(&self.group.vpc, address)?;
        endpoint
            .answers(interface, now)
            .then_some((endpoint, interface))
    }

    /// Whether the security groups of both sides let every node of the load balancer through.
    fn reaches(&self, ec2: &ec2::State, endpoint: &ec2::NetworkInterface) -> bool {
        let from = self.load_balancer.security_groups.as_slice();
        let to = endpoint.groups.as_slice();
        let peer = (endpoint.address, to);
        let leaves = self.load_balancer.admits(ec2, Direction::Egress, peer, 443);
        let description = self.load_balancer.interface_description();
        let mut nodes = ec2.network_interfaces(&description);
        leaves && nodes.all(|node| ec2.admits(to, Direction::Ingress, (node.address, from), 443))
    }

    fn answered(&self, status: u16) -> Health {
        if self.group.health_check.accepts(status) {
            return Health::HEALTHY;
        }
        mismatched(status)
    }
}

fn mismatched(status: u16) -> Health {
    let description = format!("Health checks failed with these codes: [{status}]");
    Health::new("unhealthy", "Target.ResponseCodeMismatch", &description)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    /// An account with an endpoint of API Gateway whose security group lets 443 in from anywhere,
    /// and the address of its first interface.
    fn with_endpoint(mut account: Account) -> (Account, String) {
        let vpc = account.vpc();
        let subnets = account.subnets();
        let group = json!({"GroupName": "endpoint", "Description": "endpoint", "VpcId": vpc});
        let group = account.ec2("CreateSecurityGroup", group)["GroupId"].clone();
        let permission = json!({
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "IpRanges": [{"CidrIp": "172.31.0.0/16"}],
        });
        let ingress = json!({"GroupId": group, "IpPermissions": [permission]});
        account.ec2("AuthorizeSecurityGroupIngress", ingress);
        let endpoint = json!({
            "VpcId": vpc,
            "VpcEndpointType": "Interface",
            "ServiceName": "com.amazonaws.ap-northeast-1.execute-api",
            "SubnetIds": [subnets[0], subnets[1]],
            "SecurityGroupIds": [group],
            "PrivateDnsEnabled": false,
        });
        account.ec2("CreateVpcEndpoint", endpoint);
        account.wait(600);
        let filter = json!([{"Name": "interface-type", "Values": ["vpc_endpoint"]}]);
        let interfaces = account.ec2("DescribeNetworkInterfaces", json!({"Filters": filter}));
        let address = &interfaces["NetworkInterfaces"][0]["PrivateIpAddress"];
        let address = address.as_str().expect("an address").to_owned();
        (account, address)
    }

    fn register(account: &mut Account, group: &str, address: &str) {
        let targets = json!([{"Id": address}]);
        account.call(
            "RegisterTargets",
            json!({"TargetGroupArn": group, "Targets": targets}),
        );
    }

    fn health(account: &mut Account, group: &str) -> (String, String) {
        let output = account.call("DescribeTargetHealth", json!({"TargetGroupArn": group}));
        let health = &output["TargetHealthDescriptions"][0]["TargetHealth"];
        let text = |member: &str| health[member].as_str().unwrap_or_default().to_owned();
        (text("State"), text("Reason"))
    }

    fn pair(state: &str, reason: &str) -> (String, String) {
        (state.to_owned(), reason.to_owned())
    }

    #[test]
    fn a_target_is_unused_until_a_listener_uses_its_group() {
        let (mut account, address) = with_endpoint(Account::realistic());
        let group = account.target_group("endpoint");
        register(&mut account, &group, &address);
        account.wait(3600);
        assert_eq!(
            health(&mut account, &group),
            pair("unused", "Target.NotInUse")
        );
        let load_balancer = account.load_balancer();
        let input = account.listener_input(&load_balancer, &group);
        account.listener(input);
        let initial = pair("initial", "Elb.InitialHealthChecking");
        assert_eq!(health(&mut account, &group), initial);
        account.wait(150);
        assert_eq!(health(&mut account, &group), initial);
        account.wait(30);
        assert_eq!(health(&mut account, &group), pair("healthy", ""));
    }

    #[test]
    fn an_endpoint_answers_403_over_https() {
        let (mut account, address) = with_endpoint(Account::fresh());
        let group = account.target_group("endpoint");
        register(&mut account, &group, &address);
        let load_balancer = account.load_balancer();
        let input = account.listener_input(&load_balancer, &group);
        account.listener(input);
        assert_eq!(health(&mut account, &group), pair("healthy", ""));
        let change = |account: &mut Account, member: &str, value: Value| {
            account.call(
                "ModifyTargetGroup",
                json!({"TargetGroupArn": group, member: value}),
            );
        };
        change(&mut account, "Matcher", json!({"HttpCode": "200"}));
        let mismatch = pair("unhealthy", "Target.ResponseCodeMismatch");
        assert_eq!(health(&mut account, &group), mismatch);
        change(&mut account, "HealthCheckProtocol", json!("HTTP"));
        assert_eq!(
            health(&mut account, &group),
            pair("unhealthy", "Target.FailedHealthChecks")
        );
        change(&mut account, "HealthCheckPort", json!("80"));
        assert_eq!(
            health(&mut account, &group),
            pair("unhealthy", "Target.Timeout")
        );
    }

    #[test]
    fn a_security_group_that_lets_nothing_in_makes_the_check_time_out() {
        let (mut account, address) = with_endpoint(Account::fresh());
        let group = account.target_group("endpoint");
        register(&mut account, &group, &address);
        let load_balancer = account.load_balancer();
        let input = account.listener_input(&load_balancer, &group);
        account.listener(input);
        let filter = json!([{"Name": "group-name", "Values": ["endpoint"]}]);
        let groups = account.ec2("DescribeSecurityGroups", json!({"Filters": filter}));
        let found = &groups["SecurityGroups"][0];
        let revoke = json!({"GroupId": found["GroupId"], "IpPermissions": [{
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "IpRanges": [{"CidrIp": "172.31.0.0/16"}],
        }]});
        account.ec2("RevokeSecurityGroupIngress", revoke);
        assert_eq!(
            health(&mut account, &group),
            pair("unhealthy", "Target.Timeout")
        );
    }

    #[test]
    fn a_deregistered_target_drains() {
        let (mut account, address) = with_endpoint(Account::realistic());
        let group = account.target_group("endpoint");
        register(&mut account, &group, &address);
        let load_balancer = account.load_balancer();
        let input = account.listener_input(&load_balancer, &group);
        account.listener(input);
        let targets = json!({"TargetGroupArn": group, "Targets": [{"Id": address}]});
        account.call("DeregisterTargets", targets.clone());
        let draining = pair("draining", "Target.DeregistrationInProgress");
        assert_eq!(health(&mut account, &group), draining);
        assert_eq!(
            account.refused("RegisterTargets", targets.clone()),
            "InvalidTarget"
        );
        account.wait(300);
        let output = account.call("DescribeTargetHealth", targets.clone());
        let health = &output["TargetHealthDescriptions"][0]["TargetHealth"];
        assert_eq!(health["Reason"], "Target.NotRegistered");
        account.call("RegisterTargets", targets);
    }

    #[test]
    fn a_public_address_is_no_target() {
        let mut account = Account::fresh();
        let group = account.target_group("endpoint");
        let public = json!({"TargetGroupArn": group, "Targets": [{"Id": "198.51.100.10"}]});
        assert_eq!(
            account.refused("RegisterTargets", public),
            "ValidationError"
        );
        let elsewhere = |zone: Value| {
            let target = json!({"Id": "10.9.8.7", "AvailabilityZone": zone});
            json!({"TargetGroupArn": group, "Targets": [target]})
        };
        assert_eq!(
            account.refused("RegisterTargets", elsewhere(Value::Null)),
            "ValidationError"
        );
        account.call("RegisterTargets", elsewhere(json!("all")));
    }
}
