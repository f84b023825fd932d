//! `CreateVpcEndpoint`.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::State;
use super::super::interface::{Attachment, attach};
use super::super::query::{only, tags_on_create};
use super::{VpcEndpoint, service_name, unknown_service};
use crate::sandbox::world::{Call, Refusal, World};

/// What makes a repeated request recognisable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    text: String,
    request: Value,
}

/// How long a new endpoint is `pending`.
const PROVISIONING: Duration = Duration::from_secs(90);

/// Where an interface of an endpoint is to be, and, if it matters, at which address.
pub(super) struct Placement {
    /// The subnet.
    pub(super) subnet_id: String,
    /// The address, where it matters.
    pub(super) address: Option<Ipv4Addr>,
}

impl State {
    /// Refuses private DNS names in a VPC that resolves no names, or that has them already.
    pub(super) fn check_private_dns(&self, vpc_id: &str, now: i64) -> Result<(), Refusal> {
        let vpc = self.existing_vpc(vpc_id)?;
        if !(vpc.has("EnableDnsSupport") && vpc.has("EnableDnsHostnames")) {
            let message = format!(
                "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC \
                 attributes set to true \
                 for {vpc_id}"
            );
            return Err(Refusal::new("InvalidParameter", message));
        }
        let mut others = self
            .vpc_endpoints
            .values()
            .filter(|other| other.vpc_id == vpc_id && other.exists(now));
        if others.any(|other| other.private_dns) {
            let message = format!(
                "private-dns-enabled cannot be set because there is already a conflicting DNS \
                 domain for \
                 execute-api.{}.amazonaws.com in the VPC {vpc_id}",
                self.region
            );
            return Err(Refusal::new("InvalidParameter", message));
        }
        Ok(())
    }

    /// Refuses subnets that an endpoint of the VPC cannot have together.
    fn check_subnets(&self, vpc_id: &str, ids: &[String]) -> Result<(), Refusal> {
        let mut zones = Vec::new();
        for id in ids {
            let subnet = self.existing_subnet(id)?;
            if subnet.vpc_id != vpc_id {
                let message = format!("The subnet '{id}' does not belong to VPC '{vpc_id}'");
                return Err(Refusal::new("InvalidParameter", message));
            }
            if zones.contains(&&subnet.availability_zone) {
                let message =
                    format!("Found another VPC endpoint subnet in the availability zone of {id}.");
                return Err(Refusal::new("DuplicateSubnetsInSameZone", message));
            }
            zones.push(&subnet.availability_zone);
        }
        Ok(())
    }

    /// Refuses an endpoint network interface that the subnet has no address for.
    pub(super) fn check_placement(&self, placement: &Placement, now: i64) -> Result<(), Refusal> {
        let subnet = self.existing_subnet(&placement.subnet_id)?;
        match placement.address {
            Some(address) => self.check_address(subnet, address, now),
            None if self.free_addresses(subnet, now) > 0 => Ok(()),
            None => {
                let message = format!(
                    "The subnet '{}' does not have enough free addresses",
                    subnet.id
                );
                Err(Refusal::new("InsufficientFreeAddressesInSubnet", message))
            }
        }
    }
}

/// Answers `CreateVpcEndpoint`.
pub(in super::super) fn create_vpc_endpoint(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let now = world.now;
    if let Some(repeated) = repeated(&world.region(call.region).ec2, call, now)? {
        return Ok(repeated);
    }
    check_service(call)?;
    let endpoint = requested(world, call)?;
    let placements = placements(call, &endpoint.subnet_ids, &endpoint.subnet_ids)?;
    let quota = world.quota("L-29B6F2EB", 50);
    let state = &mut world.region(call.region).ec2;
    check_request(state, &endpoint)?;
    if endpoint.private_dns {
        state.check_private_dns(&endpoint.vpc_id, now)?;
    }
    for placement in &placements {
        state.check_placement(placement, now)?;
    }
    let here = |other: &&VpcEndpoint| other.vpc_id == endpoint.vpc_id && other.exists(now);
    if state.vpc_endpoints.values().filter(here).count() as u64 >= quota {
        let message = "The maximum number of VPC endpoints has been reached.";
        return Err(Refusal::new("VpcEndpointLimitExceeded", message));
    }
    state
        .vpc_endpoints
        .insert(endpoint.id.clone(), endpoint.clone());
    for placement in &placements {
        place(world, call.region, &endpoint, placement)?;
    }
    let state = &world.region(call.region).ec2;
    let described = endpoint.describe(state, now);
    Ok(json!({"VpcEndpoint": described, "ClientToken": call.text("ClientToken")}))
}

/// The first answer again, where the call repeats an earlier one.
fn repeated(state: &State, call: &Call<'_>, now: i64) -> Result<Option<Value>, Refusal> {
    let Some(token) = call.text("ClientToken") else {
        return Ok(None);
    };
    let mut shown = state
        .vpc_endpoints
        .values()
        .filter(|endpoint| endpoint.is_shown(now));
    let same = |endpoint: &&VpcEndpoint| {
        endpoint
            .token
            .as_ref()
            .is_some_and(|other| other.text == token)
    };
    let Some(endpoint) = shown.find(same) else {
        return Ok(None);
    };
    if endpoint
        .token
        .as_ref()
        .is_some_and(|other| other.request == *call.input)
    {
        return Ok(Some(
            json!({"VpcEndpoint": endpoint.describe(state, now), "ClientToken": token}),
        ));
    }
    let message = "The client token has already been used with different parameters.";
    Err(Refusal::new("IdempotentParameterMismatch", message))
}

fn check_service(call: &Call<'_>) -> Result<(), Refusal> {
    let Some(service) = call.text("ServiceName") else {
        let message = "The request must contain the parameter ServiceName";
        return Err(Refusal::new("MissingParameter", message));
    };
    if service != service_name(call.region) {
        return Err(unknown_service(call, service));
    }
    match call.text("VpcEndpointType").unwrap_or("Gateway") {
        "Interface" => {}
        other => {
            let message = format!(
                "Endpoint type ({other}) does not match available service types ([Interface])."
            );
            return Err(Refusal::new("InvalidParameter", message));
        }
    }
    check_addressing(call)?;
    if call
        .text("ServiceRegion")
        .is_some_and(|region| region != call.region)
    {
        return Err(Refusal::not_modelled(call.operation, "ServiceRegion"));
    }
    Ok(())
}

/// Refuses address types other than IPv4, the only one that is modelled.
pub(super) fn check_addressing(call: &Call<'_>) -> Result<(), Refusal> {
    only(call, "IpAddressType", "ipv4")?;
    let options = &call.input["DnsOptions"];
    let for_resolvers = "PrivateDnsOnlyForInboundResolverEndpoint";
    call.models("DnsOptions", options, &["DnsRecordIpType", for_resolvers])?;
    if options["DnsRecordIpType"]
        .as_str()
        .is_some_and(|given| given != "ipv4")
    {
        return Err(Refusal::not_modelled(
            call.operation,
            "DnsOptions.DnsRecordIpType",
        ));
    }
    if options[for_resolvers] == true {
        return Err(Refusal::not_modelled(call.operation, for_resolvers));
    }
    Ok(())
}

/// The endpoint that the call asks for, before it is known whether it can be.
fn requested(world: &mut World, call: &Call<'_>) -> Result<VpcEndpoint, Refusal> {
    let tags = tags_on_create(call, "vpc-endpoint")?;
    let id = format!("vpce-{}", world.unique_hex(17));
    let dns_label = world.unique_hex(8);
    let (created_at, available_at) = (world.now, world.due(PROVISIONING));
    let vpc_id = call.required("VpcId");
    let state = &world.region(call.region).ec2;
    let texts = |member| call.texts(member).into_iter().map(str::to_owned).collect();
    let mut groups: Vec<String> = texts("SecurityGroupIds");
    if groups.is_empty() {
        let default = state.default_security_group(vpc_id);
        groups.extend(default.map(|group| group.id.clone()));
    }
    Ok(VpcEndpoint {
        id,
        vpc_id: vpc_id.to_owned(),
        // The default is not documented any more; it was documented as true.
        private_dns: call.boolean("PrivateDnsEnabled").unwrap_or(true),
        policy: read_policy(call)?.unwrap_or_else(|| FULL_ACCESS.to_owned()),
        service_name: service_name(call.region),
        subnet_ids: texts("SubnetIds"),
        groups,
        dns_label,
        created_at,
        provisioned_at: available_at,
        available_at,
        deletion: None,
        token: call.text("ClientToken").map(|text| Token {
            text: text.to_owned(),
            request: call.input.clone(),
        }),
        tags,
    })
}

/// Refuses a VPC, subnets and security groups that do not go together.
pub(super) fn check_request(state: &State, endpoint: &VpcEndpoint) -> Result<(), Refusal> {
    state.existing_vpc(&endpoint.vpc_id)?;
    state.check_subnets(&endpoint.vpc_id, &endpoint.subnet_ids)?;
    state.check_groups(&endpoint.vpc_id, &endpoint.groups)
}

/// The policy that an endpoint has when none is given.
const FULL_ACCESS: &str = r#"{
  "Statement": [
    {
      "Action": "*", 
      "Effect": "Allow", 
      "Principal": "*", 
      "Resource": "*"
    }
  ]
}"#;

/// The policy that the call gives, if it is one.
pub(super) fn read_policy(call: &Call<'_>) -> Result<Option<String>, Refusal> {
    let Some(policy) = call.text("PolicyDocument") else {
        return Ok(None);
    };
    match serde_json::from_str::<Value>(policy) {
        Ok(Value::Object(document)) if document.contains_key("Statement") => {
            Ok(Some(policy.to_owned()))
        }
        _ => {
            let message = "The specified policy document is not a valid JSON policy document";
            Err(Refusal::new("InvalidPolicyDocument", message))
        }
    }
}

/// Where interfaces are to be: in the subnets of `new`, and wherever a subnet configuration says
/// more than that.
pub(super) fn placements(
    call: &Call<'_>,
    new: &[String],
    all: &[String],
) -> Result<Vec<Placement>, Refusal> {
    let unpinned = |id: &String| Placement {
        subnet_id: id.clone(),
        address: None,
    };
    let mut placements: Vec<Placement> = new.iter().map(unpinned).collect();
    for configuration in call.list("SubnetConfigurations") {
        call.models("SubnetConfigurations", configuration, &["SubnetId", "Ipv4"])?;
        let subnet_id = configuration["SubnetId"].as_str().unwrap_or_default();
        let text = configuration["Ipv4"].as_str().unwrap_or_default();
        let refusal = |message: String| Refusal::new("InvalidParameter", message);
        let address = text
            .parse()
            .map_err(|_| refusal(format!("'{text}' is not a valid IPv4 address")))?;
        if !all.iter().any(|id| id == subnet_id) {
            return Err(refusal(format!(
                "The subnet '{subnet_id}' is not one of the endpoint's subnets"
            )));
        }
        match placements
            .iter_mut()
            .find(|placement| placement.subnet_id == subnet_id)
        {
            Some(Placement {
                address: Some(_), ..
            }) => {
                return Err(refusal(format!(
                    "The subnet '{subnet_id}' is configured more than once"
                )));
            }
            Some(placement) => placement.address = Some(address),
            None => placements.push(Placement {
                subnet_id: subnet_id.to_owned(),
                address: Some(address),
            }),
        }
    }
    Ok(placements)
}

/// Puts an interface of the endpoint where it is to be.
pub(super) fn place(
    world: &mut World,
    region: &str,
    endpoint: &VpcEndpoint,
    placement: &Placement,
) -> Result<(), Refusal> {
    let attachment = Attachment {
        description: &endpoint.owner(),
        subnet_id: &placement.subnet_id,
        groups: &endpoint.groups,
        interface_type: "vpc_endpoint",
        address: placement.address,
    };
    let interface = attach(world, region, &attachment)?;
    let interfaces = &mut world.region(region).ec2.network_interfaces;
    if let Some(interface) = interfaces.get_mut(&interface.id) {
        interface.answers_at = endpoint.available_at;
    }
    Ok(())
}
