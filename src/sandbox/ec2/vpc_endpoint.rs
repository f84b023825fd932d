//! Interface endpoints for API Gateway's `execute-api`, the only endpoint service that is modelled.

mod create;
mod modify;

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::create::Token;
use super::interface::detach;
use super::query::{Listing, tag_list};
use super::zone::zones;
use super::{NetworkInterface, State, Tags};
use crate::sandbox::world::{Call, Refusal, World};
pub(super) use create::create_vpc_endpoint;
pub(super) use modify::modify_vpc_endpoint;

/// An interface endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct VpcEndpoint {
    /// `vpce-` and 17 digits.
    pub(in crate::sandbox) id: String,
    /// The VPC that it lets into the service.
    pub(in crate::sandbox) vpc_id: String,
    /// Whether the VPC resolves the service's own names to the endpoint.
    pub(in crate::sandbox) private_dns: bool,
    /// The policy document as it was given.
    pub(in crate::sandbox) policy: String,
    service_name: String,
    subnet_ids: Vec<String>,
    groups: Vec<String>,
    /// What tells the endpoint's public DNS names from those of a later endpoint.
    dns_label: String,
    created_at: i64,
    /// When it first shows its interfaces and names.
    provisioned_at: i64,
    /// When it is `available`, which a change of subnets puts off again.
    available_at: i64,
    deletion: Option<Deletion>,
    token: Option<Token>,
    pub(super) tags: Tags,
}

/// When the parts of a deletion are over.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deletion {
    deleted_at: i64,
    forgotten_at: i64,
}

/// How long an endpoint is `deleting`.
const DELETING: Duration = Duration::from_mins(1);

/// How long a deleted endpoint is still shown.
const REMEMBERED: Duration = Duration::from_mins(1);

const ENDPOINTS: Listing = Listing {
    output: "VpcEndpoints",
    ids: "VpcEndpointIds",
    id: "VpcEndpointId",
    prefix: "vpce-",
    noun: "Vpc Endpoint Id",
    not_found: "InvalidVpcEndpointId.NotFound",
    malformed: "InvalidVpcEndpointId.Malformed",
    filters: &[
        ("ip-address-type", "IpAddressType"),
        ("service-name", "ServiceName"),
        ("service-region", "ServiceRegion"),
        ("vpc-endpoint-id", "VpcEndpointId"),
        ("vpc-endpoint-state", "State"),
        ("vpc-endpoint-type", "VpcEndpointType"),
        ("vpc-id", "VpcId"),
    ],
};

const SERVICES: Listing = Listing {
    output: "ServiceDetails",
    ids: "ServiceNames",
    id: "ServiceName",
    prefix: "",
    noun: "Vpc Endpoint Service",
    not_found: "InvalidServiceName",
    malformed: "InvalidServiceName",
    filters: &[
        ("owner", "Owner"),
        ("service-name", "ServiceName"),
        ("service-region", "ServiceRegion"),
        ("service-type", "ServiceType.ServiceType"),
        ("supported-ip-address-types", "SupportedIpAddressTypes"),
    ],
};

impl VpcEndpoint {
    /// `pending`, `available`, `deleting` or `deleted`: in lower case, as the wire has it, whatever
    /// the model says.
    pub(in crate::sandbox) fn state(&self, now: i64) -> &'static str {
        match &self.deletion {
            Some(deletion) if now < deletion.deleted_at => "deleting",
            Some(_) => "deleted",
            None if now < self.available_at => "pending",
            None => "available",
        }
    }

    /// Whether one of its interfaces answers: those that a change leaves alone do so all the time.
    pub(in crate::sandbox) fn answers(&self, interface: &NetworkInterface, now: i64) -> bool {
        self.deletion.is_none() && now >= interface.answers_at
    }

    /// Says whether the endpoint is there, if only in parts.
    pub(super) fn exists(&self, now: i64) -> bool {
        self.state(now) != "deleted"
    }

    fn is_shown(&self, now: i64) -> bool {
        self.deletion
            .as_ref()
            .is_none_or(|deletion| now < deletion.forgotten_at)
    }

    /// The description of the endpoint's interfaces.
    fn owner(&self) -> String {
        format!("VPC Endpoint Interface {}", self.id)
    }

    fn describe(&self, state: &State, now: i64) -> Value {
        let is_provisioned = now >= self.provisioned_at && self.exists(now);
        let interfaces = state
            .network_interfaces
            .values()
            .filter(|interface| interface.description == self.owner());
        let interfaces = interfaces.filter(|interface| is_provisioned && interface.exists(now));
        let interface_ids: Value = interfaces.map(|interface| interface.id.as_str()).collect();
        json!({
            "VpcEndpointId": self.id,
            "VpcEndpointType": "Interface",
            "VpcId": self.vpc_id,
            "ServiceName": self.service_name,
            "ServiceRegion": state.region,
            "State": self.state(now),
            "PolicyDocument": self.policy,
            "RouteTableIds": [],
            "SubnetIds": self.subnet_ids,
            "Groups": self.groups.iter().map(|id| state.group_reference(id)).collect::<Value>(),
            "IpAddressType": "ipv4",
            "DnsOptions": {"DnsRecordIpType": "ipv4"},
            "PrivateDnsEnabled": self.private_dns,
            "RequesterManaged": false,
            "NetworkInterfaceIds": interface_ids,
            "DnsEntries": if is_provisioned { self.dns_entries(state) } else { json!([]) },
            "CreationTimestamp": self.created_at / 1000,
            "Tags": tag_list(&self.tags),
            "OwnerId": state.account,
        })
    }

    fn dns_entries(&self, state: &State) -> Value {
        let (region, name) = (&state.region, format!("{}-{}", self.id, self.dns_label));
        let zone = |what| state.derived_id("Z", what).replace('-', "")[..14].to_uppercase();
        let zones = self.subnet_ids.iter().filter_map(|id| state.subnet(id));
        let zonal = zones.map(|subnet| format!("{name}-{}", subnet.availability_zone));
        let public = std::iter::once(name.clone()).chain(zonal);
        let public = public.map(|name| {
            (
                format!("{name}.execute-api.{region}.vpce.amazonaws.com"),
                zone("public"),
            )
        });
        let private = ["execute-api", "*.execute-api"]
            .into_iter()
            .filter(|_| self.private_dns);
        let private = private.map(|name| {
            (
                format!("{name}.{region}.amazonaws.com"),
                zone(self.id.as_str()),
            )
        });
        public
            .chain(private)
            .map(|(name, zone)| json!({"DnsName": name, "HostedZoneId": zone}))
            .collect()
    }
}

impl State {
    /// The endpoint of that id, unless it is deleted.
    pub(in crate::sandbox) fn vpc_endpoint(&self, id: &str, now: i64) -> Option<&VpcEndpoint> {
        self.vpc_endpoints
            .get(id)
            .filter(|endpoint| endpoint.exists(now))
    }

    /// The interfaces of an endpoint.
    pub(in crate::sandbox) fn endpoint_interfaces(&self, id: &str) -> Vec<&NetworkInterface> {
        let owner = self.vpc_endpoints.get(id).map(VpcEndpoint::owner);
        owner
            .iter()
            .flat_map(|owner| self.network_interfaces(owner))
            .collect()
    }

    /// The endpoint whose interface holds the address in the VPC.
    pub(in crate::sandbox) fn endpoint_at(
        &self,
        vpc_id: &str,
        address: Ipv4Addr,
    ) -> Option<&VpcEndpoint> {
        let interface = self.interface_at(vpc_id, address)?;
        self.vpc_endpoints
            .values()
            .find(|endpoint| endpoint.owner() == interface.description)
    }

    fn existing_endpoint(&self, id: &str, now: i64) -> Result<&VpcEndpoint, Refusal> {
        self.vpc_endpoint(id, now)
            .ok_or_else(|| ENDPOINTS.missing(id))
    }
}

/// Answers `DescribeVpcEndpoints`.
pub(super) fn describe_vpc_endpoints(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let state = &world.region(call.region).ec2;
    let shown = state
        .vpc_endpoints
        .values()
        .filter(|endpoint| endpoint.is_shown(now));
    ENDPOINTS.answer(
        call,
        shown
            .map(|endpoint| endpoint.describe(state, now))
            .collect(),
    )
}

/// Answers `DescribeVpcEndpointServices` with the one service that is modelled.
pub(super) fn describe_vpc_endpoint_services(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let name = service_name(call.region);
    if let Some(other) = call
        .texts("ServiceNames")
        .into_iter()
        .find(|other| *other != name)
    {
        return Err(unknown_service(call, other));
    }
    let state = &world.region(call.region).ec2;
    let private_name = format!("*.execute-api.{}.amazonaws.com", call.region);
    let service = json!({
        "ServiceName": name,
        "ServiceId": state.derived_id("vpce-svc", "execute-api"),
        "ServiceType": [{"ServiceType": "Interface"}],
        "ServiceRegion": call.region,
        "AvailabilityZones": zones(call.region),
        "Owner": "amazon",
        "BaseEndpointDnsNames": [format!("execute-api.{}.vpce.amazonaws.com", call.region)],
        "PrivateDnsName": private_name,
        "PrivateDnsNames": [{"PrivateDnsName": private_name}],
        "PrivateDnsNameVerificationState": "verified",
        "VpcEndpointPolicySupported": true,
        "AcceptanceRequired": false,
        "ManagesVpcEndpoints": false,
        "SupportedIpAddressTypes": ["ipv4"],
        "Tags": [],
    });
    let mut answer = SERVICES.answer(call, vec![service])?;
    let names = answer["ServiceDetails"].as_array().into_iter().flatten();
    answer["ServiceNames"] = names
        .map(|service| service["ServiceName"].clone())
        .collect();
    Ok(answer)
}

/// Answers `DeleteVpcEndpoints`: with success, whatever could not be deleted is listed.
pub(super) fn delete_vpc_endpoints(world: &mut World, call: &Call<'_>) -> Value {
    let now = world.now;
    let deleted_at = world.due(DELETING);
    let forgotten_at = world.due(DELETING + REMEMBERED);
    world
        .region(call.region)
        .ec2
        .vpc_endpoints
        .retain(|_, endpoint| endpoint.is_shown(now));
    let mut unsuccessful = Vec::new();
    for id in call.texts("VpcEndpointIds") {
        let endpoints = &mut world.region(call.region).ec2.vpc_endpoints;
        let Some(endpoint) = endpoints
            .get_mut(id)
            .filter(|endpoint| endpoint.exists(now))
        else {
            let Refusal { code, message, .. } = ENDPOINTS.missing(id);
            unsuccessful
                .push(json!({"ResourceId": id, "Error": {"Code": code, "Message": message}}));
            continue;
        };
        endpoint.deletion.get_or_insert(Deletion {
            deleted_at,
            forgotten_at,
        });
        let owner = endpoint.owner();
        detach(world, call.region, &owner, None, DELETING);
    }
    json!({"Unsuccessful": unsuccessful})
}

fn service_name(region: &str) -> String {
    let prefix = if region.starts_with("cn-") { "cn." } else { "" };
    format!("{prefix}com.amazonaws.{region}.execute-api")
}

/// AWS's words for a service that it does not have, the sandbox's for one that only the sandbox
/// does not.
fn unknown_service(call: &Call<'_>, service: &str) -> Refusal {
    let known = service_name(call.region);
    if service.starts_with(known.trim_end_matches("execute-api")) {
        return Refusal::not_modelled(call.operation, service);
    }
    let message = format!("The Vpc Endpoint Service '{service}' does not exist");
    Refusal::new("InvalidServiceName", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{answer, each, fresh, patient, refusal};
    use super::*;

    const SERVICE: &str = "com.amazonaws.us-east-1.execute-api";

    fn subnets(world: &mut World) -> Vec<String> {
        let found = answer(world, "DescribeSubnets", json!({}));
        each(&found["Subnets"], "/SubnetId")
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    fn wanted(world: &mut World) -> Value {
        let vpc = answer(world, "DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"].clone();
        json!({
            "VpcId": vpc,
            "VpcEndpointType": "Interface",
            "ServiceName": SERVICE,
            "SubnetIds": [subnets(world)[0]],
            "PrivateDnsEnabled": false,
        })
    }

    fn create(world: &mut World) -> String {
        let input = wanted(world);
        answer(world, "CreateVpcEndpoint", input)["VpcEndpoint"]["VpcEndpointId"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn describe(world: &mut World, id: &str) -> Value {
        answer(
            world,
            "DescribeVpcEndpoints",
            json!({"VpcEndpointIds": [id]}),
        )["VpcEndpoints"][0]
            .clone()
    }

    fn addresses(world: &mut World, id: &str) -> Vec<Ipv4Addr> {
        let interfaces = world.region("us-east-1").ec2.endpoint_interfaces(id);
        interfaces
            .iter()
            .map(|interface| interface.address)
            .collect()
    }

    #[test]
    fn an_endpoint_shows_its_interfaces_only_when_it_is_available() {
        let mut world = patient();
        let id = create(&mut world);
        let pending = describe(&mut world, &id);
        assert_eq!(
            (&pending["State"], &pending["NetworkInterfaceIds"]),
            (&json!("pending"), &json!([]))
        );
        assert_eq!(pending["DnsEntries"], json!([]));
        world.now += 90_000;
        let available = describe(&mut world, &id);
        assert_eq!(available["State"], "available");
        let interface = json!({"NetworkInterfaceIds": available["NetworkInterfaceIds"]});
        let interface =
            answer(&mut world, "DescribeNetworkInterfaces", interface)["NetworkInterfaces"][0]
                .clone();
        assert_eq!(interface["InterfaceType"], "vpc_endpoint");
        assert_eq!(
            interface["PrivateIpAddress"],
            addresses(&mut world, &id)[0].to_string()
        );
        let names = each(&available["DnsEntries"], "/DnsName");
        assert_eq!(names.len(), 2);
        assert!(
            names[0].starts_with(&id)
                && names[0].ends_with(".execute-api.us-east-1.vpce.amazonaws.com")
        );
    }

    #[test]
    fn the_type_defaults_to_gateway_which_execute_api_does_not_offer() {
        let mut world = fresh();
        let mut input = wanted(&mut world);
        input.as_object_mut().unwrap().remove("VpcEndpointType");
        assert_eq!(
            refusal(&mut world, "CreateVpcEndpoint", input),
            "InvalidParameter"
        );
    }

    #[test]
    fn other_services_are_not_modelled_or_do_not_exist() {
        let mut world = fresh();
        let mut refused = |service: &str| {
            let mut input = wanted(&mut world);
            input["ServiceName"] = json!(service);
            refusal(&mut world, "CreateVpcEndpoint", input)
        };
        assert_eq!(refused("com.amazonaws.us-east-1.s3"), "SandboxNotModelled");
        assert_eq!(
            refused("com.amazonaws.us-east-2.execute-api"),
            "InvalidServiceName"
        );
    }

    #[test]
    fn without_security_groups_the_default_one_is_taken() {
        let mut world = fresh();
        let id = create(&mut world);
        assert_eq!(
            each(&describe(&mut world, &id)["Groups"], "/GroupName"),
            ["default"]
        );
    }

    #[test]
    fn a_client_token_makes_a_request_repeatable() {
        let mut world = fresh();
        let mut input = wanted(&mut world);
        input["ClientToken"] = json!("token");
        let first =
            answer(&mut world, "CreateVpcEndpoint", input.clone())["VpcEndpoint"]["VpcEndpointId"]
                .clone();
        let again =
            answer(&mut world, "CreateVpcEndpoint", input.clone())["VpcEndpoint"]["VpcEndpointId"]
                .clone();
        assert_eq!(first, again);
        input["PrivateDnsEnabled"] = json!(true);
        assert_eq!(
            refusal(&mut world, "CreateVpcEndpoint", input),
            "IdempotentParameterMismatch"
        );
        assert_ne!(json!(create(&mut world)), first);
    }

    #[test]
    fn a_zone_takes_one_subnet() {
        let mut world = fresh();
        let mut input = wanted(&mut world);
        let vpc = input["VpcId"].clone();
        let zone =
            json!({"VpcId": vpc, "CidrBlock": "172.31.128.0/24", "AvailabilityZone": "us-east-1a"});
        let another = answer(&mut world, "CreateSubnet", zone)["Subnet"]["SubnetId"].clone();
        let filters = json!({"Filters": [{"Name": "availability-zone", "Values": ["us-east-1a"]}]});
        let found = answer(&mut world, "DescribeSubnets", filters)["Subnets"].clone();
        input["SubnetIds"] = json!(each(&found, "/SubnetId"));
        assert!(input["SubnetIds"].as_array().unwrap().contains(&another));
        assert_eq!(
            refusal(&mut world, "CreateVpcEndpoint", input),
            "DuplicateSubnetsInSameZone"
        );
    }

    #[test]
    fn private_names_are_given_once_in_a_vpc_that_resolves_names() {
        let mut world = fresh();
        let mut input = wanted(&mut world);
        input["PrivateDnsEnabled"] = json!(true);
        let first = answer(&mut world, "CreateVpcEndpoint", input.clone());
        assert_eq!(
            refusal(&mut world, "CreateVpcEndpoint", input.clone()),
            "InvalidParameter"
        );
        let second = create(&mut world);
        let enable = json!({"VpcEndpointId": second, "PrivateDnsEnabled": true});
        assert_eq!(
            refusal(&mut world, "ModifyVpcEndpoint", enable.clone()),
            "InvalidParameter"
        );
        let first = first["VpcEndpoint"]["VpcEndpointId"].clone();
        answer(
            &mut world,
            "DeleteVpcEndpoints",
            json!({"VpcEndpointIds": [first]}),
        );
        let off = json!({"VpcId": input["VpcId"], "EnableDnsSupport": {"Value": false}});
        answer(&mut world, "ModifyVpcAttribute", off);
        assert_eq!(
            refusal(&mut world, "ModifyVpcEndpoint", enable),
            "InvalidParameter"
        );
    }

    #[test]
    fn addresses_can_be_pinned_within_the_subnet() {
        let mut world = fresh();
        let mut input = wanted(&mut world);
        let subnet = subnets(&mut world)[0].clone();
        let cidr = world.region("us-east-1").ec2.subnet(&subnet).unwrap().cidr;
        let pin = |input: &mut Value, address: String| {
            input["SubnetConfigurations"] = json!([{"SubnetId": subnet, "Ipv4": address}]);
            input.clone()
        };
        for (address, code) in [
            ("192.0.2.1".to_owned(), "InvalidParameterValue"),
            (cidr.nth(3).to_string(), "InvalidParameterValue"),
            ("x".to_owned(), "InvalidParameter"),
        ] {
            let input = pin(&mut input, address);
            assert_eq!(refusal(&mut world, "CreateVpcEndpoint", input), code);
        }
        let input = pin(&mut input, cidr.nth(10).to_string());
        let created = answer(&mut world, "CreateVpcEndpoint", input.clone());
        let id = created["VpcEndpoint"]["VpcEndpointId"].as_str().unwrap();
        assert_eq!(addresses(&mut world, id), [cidr.nth(10)]);
        assert_eq!(
            refusal(&mut world, "CreateVpcEndpoint", input),
            "InvalidIPAddress.InUse"
        );
        let before = describe(&mut world, id)["NetworkInterfaceIds"].clone();
        let moved = json!([{"SubnetId": subnet, "Ipv4": cidr.nth(11).to_string()}]);
        let input = json!({"VpcEndpointId": id, "SubnetConfigurations": moved});
        answer(&mut world, "ModifyVpcEndpoint", input.clone());
        assert_eq!(addresses(&mut world, id), [cidr.nth(11)]);
        let after = describe(&mut world, id)["NetworkInterfaceIds"].clone();
        assert_ne!(before, after);
        answer(&mut world, "ModifyVpcEndpoint", input);
        assert_eq!(describe(&mut world, id)["NetworkInterfaceIds"], after);
    }

    #[test]
    fn a_subnet_that_is_left_and_joined_again_gives_another_address() {
        let mut world = fresh();
        let subnets = subnets(&mut world);
        let id = create(&mut world);
        let before = addresses(&mut world, &id);
        let joined = json!({"VpcEndpointId": id, "AddSubnetIds": [subnets[1]]});
        answer(&mut world, "ModifyVpcEndpoint", joined);
        assert_eq!(addresses(&mut world, &id).len(), 2);
        let left = json!({"VpcEndpointId": id, "RemoveSubnetIds": [subnets[0]]});
        answer(&mut world, "ModifyVpcEndpoint", left.clone());
        assert_eq!(
            refusal(&mut world, "ModifyVpcEndpoint", left),
            "InvalidParameter"
        );
        answer(
            &mut world,
            "ModifyVpcEndpoint",
            json!({"VpcEndpointId": id, "AddSubnetIds": [subnets[0]]}),
        );
        assert!(!addresses(&mut world, &id).contains(&before[0]));
    }

    #[test]
    fn a_deleted_endpoint_lingers_and_holds_its_security_groups() {
        let mut world = patient();
        let group = json!({"GroupName": "endpoint", "Description": "x"});
        let group = answer(&mut world, "CreateSecurityGroup", group)["GroupId"].clone();
        let mut input = wanted(&mut world);
        input["SecurityGroupIds"] = json!([group]);
        let created = answer(&mut world, "CreateVpcEndpoint", input);
        let id = created["VpcEndpoint"]["VpcEndpointId"].as_str().unwrap();
        let deleted = answer(
            &mut world,
            "DeleteVpcEndpoints",
            json!({"VpcEndpointIds": [id]}),
        );
        assert_eq!(deleted["Unsuccessful"], json!([]));
        assert_eq!(describe(&mut world, id)["State"], "deleting");
        let group = json!({"GroupId": group});
        assert_eq!(
            refusal(&mut world, "DeleteSecurityGroup", group.clone()),
            "DependencyViolation"
        );
        world.now += 60_000;
        assert_eq!(describe(&mut world, id)["State"], "deleted");
        answer(&mut world, "DeleteSecurityGroup", group);
        world.now += 60_000;
        let gone = json!({"VpcEndpointIds": [id]});
        assert_eq!(
            refusal(&mut world, "DescribeVpcEndpoints", gone.clone()),
            "InvalidVpcEndpointId.NotFound"
        );
        let deleted = answer(&mut world, "DeleteVpcEndpoints", gone);
        assert_eq!(
            each(&deleted["Unsuccessful"], "/Error/Code"),
            ["InvalidVpcEndpointId.NotFound"]
        );
    }

    #[test]
    fn the_one_modelled_service_is_listed() {
        let mut world = fresh();
        let input = json!({"ServiceNames": [SERVICE]});
        let services = answer(&mut world, "DescribeVpcEndpointServices", input);
        assert_eq!(services["ServiceNames"], json!([SERVICE]));
        assert_eq!(
            services["ServiceDetails"][0]["AvailabilityZones"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        let input = json!({"ServiceNames": ["com.example.service"]});
        assert_eq!(
            refusal(&mut world, "DescribeVpcEndpointServices", input),
            "InvalidServiceName"
        );
    }
}
