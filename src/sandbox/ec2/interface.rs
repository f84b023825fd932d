//! Network interfaces: the addresses that load balancers and VPC endpoints take from their subnets.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::State;
use super::network::{SUBNETS, Subnet};
use super::query::Listing;
use crate::sandbox::world::{Call, Refusal, World};

/// A network interface that another service holds in a subnet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct NetworkInterface {
    /// `eni-` and 17 digits.
    pub(in crate::sandbox) id: String,
    /// The subnet that the address is one of.
    pub(in crate::sandbox) subnet_id: String,
    /// The subnet's VPC.
    pub(in crate::sandbox) vpc_id: String,
    /// The subnet's zone.
    pub(in crate::sandbox) availability_zone: String,
    /// The private address.
    pub(in crate::sandbox) address: Ipv4Addr,
    /// The security groups that decide what passes.
    pub(in crate::sandbox) groups: Vec<String>,
    /// Names the owner, `ELB app/petstore/0123456789abcdef`; the only link back to it.
    pub(in crate::sandbox) description: String,
    /// `vpc_endpoint`, `interface`, `network_load_balancer`.
    pub(in crate::sandbox) interface_type: String,
    /// From when on its owner answers there, in milliseconds.
    pub(in crate::sandbox) answers_at: i64,
    /// When the interface goes, once its owner has let go of it.
    gone_at: Option<i64>,
}

/// What a service says of an interface that it wants to have.
pub(in crate::sandbox) struct Attachment<'a> {
    /// Names the owner; see [`NetworkInterface::description`].
    pub(in crate::sandbox) description: &'a str,
    /// The subnet to take an address from.
    pub(in crate::sandbox) subnet_id: &'a str,
    /// The security groups of the interface.
    pub(in crate::sandbox) groups: &'a [String],
    /// `vpc_endpoint`, `interface`, `network_load_balancer`.
    pub(in crate::sandbox) interface_type: &'a str,
    /// The very address to take; any free one where it is absent.
    pub(in crate::sandbox) address: Option<Ipv4Addr>,
}

/// AWS keeps the first four addresses of a subnet and its last for itself.
const RESERVED_FIRST: u64 = 4;
const RESERVED: u64 = RESERVED_FIRST + 1;

const LISTING: Listing = Listing {
    output: "NetworkInterfaces",
    ids: "NetworkInterfaceIds",
    id: "NetworkInterfaceId",
    prefix: "eni-",
    noun: "networkInterface ID",
    not_found: "InvalidNetworkInterfaceID.NotFound",
    malformed: "InvalidNetworkInterfaceId.Malformed",
    filters: &[
        ("addresses.primary", "PrivateIpAddresses.Primary"),
        (
            "addresses.private-ip-address",
            "PrivateIpAddresses.PrivateIpAddress",
        ),
        ("attachment.status", "Attachment.Status"),
        ("availability-zone", "AvailabilityZone"),
        ("description", "Description"),
        ("group-id", "Groups.GroupId"),
        ("group-name", "Groups.GroupName"),
        ("interface-type", "InterfaceType"),
        ("network-interface-id", "NetworkInterfaceId"),
        ("owner-id", "OwnerId"),
        ("private-ip-address", "PrivateIpAddress"),
        ("requester-managed", "RequesterManaged"),
        ("status", "Status"),
        ("subnet-id", "SubnetId"),
        ("vpc-id", "VpcId"),
    ],
};

impl NetworkInterface {
    /// Says whether the interface still holds its address and its security groups.
    pub(super) fn exists(&self, now: i64) -> bool {
        self.gone_at.is_none_or(|gone_at| now < gone_at)
    }

    fn describe(&self, state: &State) -> Value {
        let groups: Value = self
            .groups
            .iter()
            .map(|id| state.group_reference(id))
            .collect();
        json!({
            "NetworkInterfaceId": self.id,
            "SubnetId": self.subnet_id,
            "VpcId": self.vpc_id,
            "AvailabilityZone": self.availability_zone,
            "PrivateIpAddress": self.address.to_string(),
            "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": self.address.to_string()}],
            "Groups": groups,
            "Description": self.description,
            "InterfaceType": self.interface_type,
            "Attachment": {"Status": "attached", "DeviceIndex": 1, "DeleteOnTermination": false},
            "OwnerId": state.account,
            "RequesterManaged": true,
            "SourceDestCheck": true,
            "Status": "in-use",
            "TagSet": [],
        })
    }
}

impl State {
    /// The interfaces that carry the description, in the order of their ids, without those let go
    /// of.
    pub(in crate::sandbox) fn network_interfaces(
        &self,
        description: &str,
    ) -> impl Iterator<Item = &NetworkInterface> {
        let attached = |interface: &&NetworkInterface| interface.gone_at.is_none();
        self.network_interfaces
            .values()
            .filter(attached)
            .filter(move |interface| interface.description == description)
    }

    /// The interface that holds the address in the VPC.
    pub(in crate::sandbox) fn interface_at(
        &self,
        vpc_id: &str,
        address: Ipv4Addr,
    ) -> Option<&NetworkInterface> {
        let attached = |interface: &&NetworkInterface| interface.gone_at.is_none();
        let here = |interface: &&NetworkInterface| {
            interface.vpc_id == vpc_id && interface.address == address
        };
        self.network_interfaces.values().filter(attached).find(here)
    }

    /// How many addresses of the subnet are free.
    pub(in crate::sandbox) fn free_addresses(&self, subnet: &Subnet, now: i64) -> u64 {
        let usable = subnet.cidr.size().saturating_sub(RESERVED);
        let held = self.interfaces_in(subnet, now).count();
        usable.saturating_sub(u64::try_from(held).unwrap_or(u64::MAX))
    }

    /// Gives the owner's interfaces other security groups.
    pub(in crate::sandbox) fn set_groups(&mut self, description: &str, groups: &[String]) {
        for interface in self.network_interfaces.values_mut() {
            if interface.description == description && interface.gone_at.is_none() {
                groups.clone_into(&mut interface.groups);
            }
        }
    }

    /// The interfaces that hold an address of the subnet.
    pub(super) fn interfaces_in(
        &self,
        subnet: &Subnet,
        now: i64,
    ) -> impl Iterator<Item = &NetworkInterface> {
        let existing = move |interface: &&NetworkInterface| interface.exists(now);
        self.network_interfaces
            .values()
            .filter(existing)
            .filter(|interface| interface.subnet_id == subnet.id)
    }

    /// Refuses an address that an interface of the subnet cannot take.
    pub(super) fn check_address(
        &self,
        subnet: &Subnet,
        address: Ipv4Addr,
        now: i64,
    ) -> Result<(), Refusal> {
        if !subnet.cidr.contains(address) {
            let message =
                format!("Address {address} does not fall within the subnet's address range");
            return Err(Refusal::new("InvalidParameterValue", message));
        }
        if is_reserved(subnet, address) {
            let message = format!("Address {address} is in subnet's reserved address range");
            return Err(Refusal::new("InvalidParameterValue", message));
        }
        if self
            .interfaces_in(subnet, now)
            .any(|interface| interface.address == address)
        {
            return Err(Refusal::new(
                "InvalidIPAddress.InUse",
                format!("Address {address} is in use."),
            ));
        }
        Ok(())
    }

    /// A free address of the subnet. Where the search begins depends on `seed`, so that what is
    /// deleted and made again does not by chance get the address that it had.
    fn free_address(&self, subnet: &Subnet, seed: &str, now: i64) -> Result<Ipv4Addr, Refusal> {
        let digest = Sha256::digest(seed);
        let start = u64::from(u32::from_be_bytes([
            digest[0], digest[1], digest[2], digest[3],
        ]));
        let addresses = (0..subnet.cidr.size()).map(|step| subnet.cidr.nth(start + step));
        let mut free =
            addresses.filter(|address| self.check_address(subnet, *address, now).is_ok());
        free.next().ok_or_else(|| {
            let message = format!(
                "The subnet '{}' does not have enough free addresses",
                subnet.id
            );
            Refusal::new("InsufficientFreeAddressesInSubnet", message)
        })
    }
}

fn is_reserved(subnet: &Subnet, address: Ipv4Addr) -> bool {
    let first = (0..RESERVED_FIRST).map(|offset| subnet.cidr.nth(offset));
    first
        .chain([subnet.cidr.nth(subnet.cidr.size() - 1)])
        .any(|reserved| reserved == address)
}

/// Puts an interface of a service into a subnet; refused when the address or every address is
/// taken.
pub(in crate::sandbox) fn attach(
    world: &mut World,
    region: &str,
    attachment: &Attachment<'_>,
) -> Result<NetworkInterface, Refusal> {
    let (now, id) = (world.now, format!("eni-{}", world.unique_hex(17)));
    let state = &mut world.region(region).ec2;
    let Some(subnet) = state.subnet(attachment.subnet_id) else {
        return Err(SUBNETS.missing(attachment.subnet_id));
    };
    let address = match attachment.address {
        Some(address) => state
            .check_address(subnet, address, now)
            .map(|()| address)?,
        None => state.free_address(subnet, &id, now)?,
    };
    let interface = NetworkInterface {
        id: id.clone(),
        subnet_id: subnet.id.clone(),
        vpc_id: subnet.vpc_id.clone(),
        availability_zone: subnet.availability_zone.clone(),
        address,
        groups: attachment.groups.to_vec(),
        description: attachment.description.to_owned(),
        interface_type: attachment.interface_type.to_owned(),
        answers_at: now,
        gone_at: None,
    };
    state.network_interfaces.insert(id, interface.clone());
    Ok(interface)
}

/// Lets go of the owner's interfaces, in one subnet or in all. They keep their addresses and hold
/// on to their security groups until `lag` has passed.
pub(in crate::sandbox) fn detach(
    world: &mut World,
    region: &str,
    description: &str,
    subnet_id: Option<&str>,
    lag: Duration,
) {
    let (now, gone_at) = (world.now, world.due(lag));
    let interfaces = &mut world.region(region).ec2.network_interfaces;
    interfaces.retain(|_, interface| interface.exists(now));
    for interface in interfaces.values_mut() {
        let wanted = subnet_id.is_none_or(|subnet_id| interface.subnet_id == subnet_id);
        if interface.description == description && wanted && interface.gone_at.is_none() {
            interface.gone_at = Some(gone_at);
        }
    }
}

/// Answers `DescribeNetworkInterfaces`.
pub(super) fn describe_network_interfaces(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let now = world.now;
    let state = &world.region(call.region).ec2;
    let existing = state
        .network_interfaces
        .values()
        .filter(|interface| interface.exists(now));
    LISTING.answer(
        call,
        existing
            .map(|interface| interface.describe(state))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{answer, fresh, patient, refusal};
    use super::*;

    const OWNER: &str = "ELB app/petstore/0123456789abcdef";

    fn attach_to(
        world: &mut World,
        subnet_id: &str,
        address: Option<Ipv4Addr>,
    ) -> Result<NetworkInterface, Refusal> {
        let interface_type = "interface";
        let attachment = Attachment {
            description: OWNER,
            subnet_id,
            groups: &[],
            interface_type,
            address,
        };
        attach(world, "us-east-1", &attachment)
    }

    fn small_subnet(world: &mut World) -> String {
        let vpc = answer(world, "DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"].clone();
        let subnet = answer(
            world,
            "CreateSubnet",
            json!({"VpcId": vpc, "CidrBlock": "172.31.200.0/28"}),
        );
        subnet["Subnet"]["SubnetId"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_subnet_gives_all_its_addresses_but_five() {
        let mut world = fresh();
        let subnet = small_subnet(&mut world);
        let mut taken = Vec::new();
        for _ in 0..11 {
            taken.push(attach_to(&mut world, &subnet, None).unwrap().address);
        }
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(
            (taken.len(), taken[0]),
            (11, Ipv4Addr::new(172, 31, 200, 4))
        );
        let refused = attach_to(&mut world, &subnet, None).unwrap_err();
        assert_eq!(refused.code, "InsufficientFreeAddressesInSubnet");
        assert_eq!(
            refusal(&mut world, "DeleteSubnet", json!({"SubnetId": subnet})),
            "DependencyViolation"
        );
    }

    #[test]
    fn an_interface_that_was_let_go_of_holds_its_address_for_a_while() {
        let mut world = patient();
        let subnet = small_subnet(&mut world);
        let address = attach_to(&mut world, &subnet, None).unwrap().address;
        detach(&mut world, "us-east-1", OWNER, None, Duration::from_mins(5));
        assert_eq!(
            world
                .region("us-east-1")
                .ec2
                .network_interfaces(OWNER)
                .count(),
            0
        );
        let filters =
            json!({"Filters": [{"Name": "description", "Values": ["ELB app/petstore/*"]}]});
        let shown = answer(&mut world, "DescribeNetworkInterfaces", filters.clone());
        assert_eq!(
            shown["NetworkInterfaces"][0]["PrivateIpAddress"],
            address.to_string()
        );
        assert_eq!(
            attach_to(&mut world, &subnet, Some(address))
                .unwrap_err()
                .code,
            "InvalidIPAddress.InUse"
        );
        world.now += 300_000;
        assert_eq!(
            answer(&mut world, "DescribeNetworkInterfaces", filters)["NetworkInterfaces"],
            json!([])
        );
        assert_eq!(
            attach_to(&mut world, &subnet, Some(address))
                .unwrap()
                .address,
            address
        );
    }
}
