//! Security groups.

mod change;
mod rule;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::rule::{Peer, Permission, Rule, ip_permissions, is_plain};
use super::query::{Listing, tag_list, tags_on_create};
use super::{State, Tags};
use crate::sandbox::world::{Call, Refusal, World};
pub(super) use change::{
    authorize, describe_security_group_rules, modify_security_group_rules, revoke,
    update_descriptions,
};

/// A security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct SecurityGroup {
    /// `sg-` and 17 digits.
    pub(in crate::sandbox) id: String,
    /// The name, unique in its VPC whatever the case.
    pub(in crate::sandbox) name: String,
    /// The VPC that it is part of.
    pub(in crate::sandbox) vpc_id: String,
    description: String,
    pub(super) rules: Vec<Rule>,
    pub(super) tags: Tags,
}

/// The way of the connections that a rule lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) enum Direction {
    /// To the members of the group.
    Ingress,
    /// From the members of the group.
    Egress,
}

/// The name of the group that every VPC is made with.
const DEFAULT: &str = "default";

const GROUPS: Listing = Listing {
    output: "SecurityGroups",
    ids: "GroupIds",
    id: "GroupId",
    prefix: "sg-",
    noun: "security group",
    not_found: "InvalidGroup.NotFound",
    malformed: "InvalidGroupId.Malformed",
    filters: &[
        ("description", "Description"),
        (
            "egress.ip-permission.cidr",
            "IpPermissionsEgress.IpRanges.CidrIp",
        ),
        (
            "egress.ip-permission.from-port",
            "IpPermissionsEgress.FromPort",
        ),
        (
            "egress.ip-permission.group-id",
            "IpPermissionsEgress.UserIdGroupPairs.GroupId",
        ),
        (
            "egress.ip-permission.ipv6-cidr",
            "IpPermissionsEgress.Ipv6Ranges.CidrIpv6",
        ),
        (
            "egress.ip-permission.protocol",
            "IpPermissionsEgress.IpProtocol",
        ),
        ("egress.ip-permission.to-port", "IpPermissionsEgress.ToPort"),
        ("group-id", "GroupId"),
        ("group-name", "GroupName"),
        ("ip-permission.cidr", "IpPermissions.IpRanges.CidrIp"),
        ("ip-permission.from-port", "IpPermissions.FromPort"),
        (
            "ip-permission.group-id",
            "IpPermissions.UserIdGroupPairs.GroupId",
        ),
        (
            "ip-permission.ipv6-cidr",
            "IpPermissions.Ipv6Ranges.CidrIpv6",
        ),
        ("ip-permission.protocol", "IpPermissions.IpProtocol"),
        ("ip-permission.to-port", "IpPermissions.ToPort"),
        ("owner-id", "OwnerId"),
        ("vpc-id", "VpcId"),
    ],
};

impl SecurityGroup {
    /// The group that every VPC has: its members reach each other, and everything else.
    pub(super) fn default_of(id: String, vpc_id: &str, rule_ids: [String; 2]) -> Self {
        let [ingress, egress] = rule_ids;
        let members = Permission::everything(Peer::Group(id.clone()));
        let rules = vec![
            Rule::new(ingress, Direction::Ingress, members),
            Rule::all_egress(egress),
        ];
        let (name, description) = (
            "default".to_owned(),
            "default VPC security group".to_owned(),
        );
        Self {
            id,
            name,
            vpc_id: vpc_id.to_owned(),
            description,
            rules,
            tags: Tags::new(),
        }
    }

    /// Says whether it is the group that its VPC was made with.
    pub(super) fn is_default(&self) -> bool {
        self.name == DEFAULT
    }

    fn rules_of(&self, direction: Direction) -> impl Iterator<Item = &Rule> {
        self.rules
            .iter()
            .filter(move |rule| rule.direction == direction)
    }

    fn permissions_of(&self, direction: Direction) -> impl Iterator<Item = &Permission> {
        self.rules_of(direction).map(|rule| &rule.permission)
    }

    fn describe(&self, state: &State) -> Value {
        json!({
            "GroupId": self.id,
            "SecurityGroupArn": state.arn("security-group", &self.id),
            "GroupName": self.name,
            "Description": self.description,
            "VpcId": self.vpc_id,
            "OwnerId": state.account,
            "IpPermissions": ip_permissions(state, self.permissions_of(Direction::Ingress)),
            "IpPermissionsEgress": ip_permissions(state, self.permissions_of(Direction::Egress)),
            "Tags": tag_list(&self.tags),
        })
    }
}

impl State {
    /// The security group of that id.
    pub(in crate::sandbox) fn security_group(&self, id: &str) -> Option<&SecurityGroup> {
        self.security_groups.get(id)
    }

    /// The security group that members of the VPC get when they name none.
    pub(in crate::sandbox) fn default_security_group(
        &self,
        vpc_id: &str,
    ) -> Option<&SecurityGroup> {
        self.security_groups_of(vpc_id)
            .find(|group| group.is_default())
    }

    /// Says whether a TCP connection between an interface of `groups` and a peer passes the groups'
    /// rules. The peer is told by its address and, where it is one of the VPC's interfaces, by its
    /// own groups.
    pub(in crate::sandbox) fn admits(
        &self,
        groups: &[String],
        direction: Direction,
        peer: (Ipv4Addr, &[String]),
        port: u16,
    ) -> bool {
        let (address, peer_groups) = peer;
        let rules = groups
            .iter()
            .filter_map(|id| self.security_group(id))
            .flat_map(|group| group.rules_of(direction));
        rules
            .filter(|rule| rule.permission.covers_tcp(port))
            .any(|rule| match &rule.permission.peer {
                Peer::Ipv4(network) => network.contains(address),
                Peer::Ipv6(_) => false,
                Peer::Group(group) => peer_groups.contains(group),
            })
    }

    /// The security groups of the VPC.
    pub(super) fn security_groups_of(&self, vpc_id: &str) -> impl Iterator<Item = &SecurityGroup> {
        self.security_groups
            .values()
            .filter(move |group| group.vpc_id == vpc_id)
    }

    /// Adds the group.
    pub(super) fn add_security_group(&mut self, group: SecurityGroup) {
        self.security_groups.insert(group.id.clone(), group);
    }

    /// Removes the groups of a VPC that is deleted.
    pub(super) fn remove_security_groups_of(&mut self, vpc_id: &str) {
        self.security_groups
            .retain(|_, group| group.vpc_id != vpc_id);
    }

    /// Id and name of the group, as other resources show it.
    pub(super) fn group_reference(&self, id: &str) -> Value {
        let name = self.security_group(id).map(|group| group.name.as_str());
        json!({"GroupId": id, "GroupName": name})
    }

    /// Refuses groups that do not exist in the VPC.
    pub(super) fn check_groups(&self, vpc_id: &str, ids: &[String]) -> Result<(), Refusal> {
        for id in ids {
            let group = self.security_group(id).ok_or_else(|| GROUPS.missing(id))?;
            if group.vpc_id != vpc_id {
                let message = format!("The security group '{id}' does not exist in VPC '{vpc_id}'");
                return Err(Refusal::new("InvalidGroup.NotFound", message));
            }
        }
        Ok(())
    }

    fn default_vpc(&self) -> Result<&super::Vpc, Refusal> {
        let message = "No default VPC for this user";
        self.vpcs
            .values()
            .find(|vpc| vpc.is_default)
            .ok_or_else(|| Refusal::new("VPCIdNotSpecified", message))
    }

    fn group_in_default_vpc(&self, name: &str) -> Result<&SecurityGroup, Refusal> {
        let vpc = self.default_vpc()?;
        self.security_groups_of(&vpc.id)
            .find(|group| group.name == name)
            .ok_or_else(|| {
                let message = format!(
                    "The security group '{name}' does not exist in default VPC '{}'",
                    vpc.id
                );
                Refusal::new("InvalidGroup.NotFound", message)
            })
    }

    /// The group that the call names by `GroupId` or, in the default VPC, by `GroupName`.
    fn group_of(&self, call: &Call<'_>) -> Result<&SecurityGroup, Refusal> {
        match (call.text("GroupId"), call.text("GroupName")) {
            (Some(id), _) => self.security_group(id).ok_or_else(|| GROUPS.missing(id)),
            (None, Some(name)) => self.group_in_default_vpc(name),
            (None, None) => {
                let message = "The request must contain the parameter GroupName or GroupId";
                Err(Refusal::new("MissingParameter", message))
            }
        }
    }
}

/// Answers `DescribeSecurityGroups`.
pub(super) fn describe_security_groups(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let state = &world.region(call.region).ec2;
    let mut named = Vec::new();
    for name in call.texts("GroupNames") {
        named.push(state.group_in_default_vpc(name)?.id.as_str());
    }
    let asked = |group: &&SecurityGroup| named.is_empty() || named.contains(&group.id.as_str());
    GROUPS.answer(
        call,
        state
            .security_groups
            .values()
            .filter(asked)
            .map(|group| group.describe(state))
            .collect(),
    )
}

/// Answers `CreateSecurityGroup`.
pub(super) fn create_security_group(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let (name, description) = (call.required("GroupName"), call.required("Description"));
    check_text("GroupName", name)?;
    check_text("GroupDescription", description)?;
    let tags = tags_on_create(call, "security-group")?;
    let quota = world.quota("L-E79EC296", 2500);
    let (id, rule) = (
        format!("sg-{}", world.unique_hex(17)),
        format!("sgr-{}", world.unique_hex(17)),
    );
    let state = &mut world.region(call.region).ec2;
    let vpc_id = match call.text("VpcId") {
        Some(vpc_id) => state.existing_vpc(vpc_id)?.id.clone(),
        None => state.default_vpc()?.id.clone(),
    };
    check_name(state, &vpc_id, name)?;
    if state.security_groups.len() as u64 >= quota {
        let message = "The maximum number of security groups has been reached.";
        return Err(Refusal::new("SecurityGroupLimitExceeded", message));
    }
    let answer = json!({
        "GroupId": id,
        "SecurityGroupArn": state.arn("security-group", &id),
        "Tags": tag_list(&tags),
    });
    let (name, description) = (name.to_owned(), description.to_owned());
    state.add_security_group(SecurityGroup {
        id,
        name,
        vpc_id,
        description,
        rules: vec![Rule::all_egress(rule)],
        tags,
    });
    Ok(answer)
}

fn check_name(state: &State, vpc_id: &str, name: &str) -> Result<(), Refusal> {
    if name.eq_ignore_ascii_case(DEFAULT) {
        let message = format!("Cannot use reserved security group name: {name}");
        return Err(Refusal::new("InvalidGroup.Reserved", message));
    }
    if name.starts_with("sg-") {
        let message = "Group names may not be in the format sg-*";
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    if state
        .security_groups_of(vpc_id)
        .any(|group| group.name.eq_ignore_ascii_case(name))
    {
        let message = format!("The security group '{name}' already exists for VPC '{vpc_id}'");
        return Err(Refusal::new("InvalidGroup.Duplicate", message));
    }
    Ok(())
}

/// Refuses names and descriptions that are empty, too long, or hold characters that AWS does not
/// take.
fn check_text(parameter: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        let message = format!("The request must contain the parameter {parameter}");
        return Err(Refusal::new("MissingParameter", message));
    }
    if is_plain(text) {
        return Ok(());
    }
    let message = format!(
        "Value ({text}) for parameter {parameter} is invalid. \
         Character sets beyond ASCII are not supported, and it \
         may have at most 255 characters."
    );
    Err(Refusal::new("InvalidParameterValue", message))
}

/// Answers `DeleteSecurityGroup`.
pub(super) fn delete_security_group(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let state = &mut world.region(call.region).ec2;
    let SecurityGroup { id, name, .. } = state.group_of(call)?.clone();
    if name == DEFAULT {
        let message =
            format!("the specified group: \"{id}\" name: \"{name}\" cannot be deleted by a user");
        return Err(Refusal::new("CannotDelete", message));
    }
    let mut others = state
        .security_groups
        .values()
        .filter(|group| group.id != id);
    let refers = |group: &SecurityGroup| {
        group
            .rules
            .iter()
            .any(|rule| rule.permission.names_group(&id))
    };
    let mut interfaces = state
        .network_interfaces
        .values()
        .filter(|interface| interface.exists(now));
    if others.any(refers) || interfaces.any(|interface| interface.groups.contains(&id)) {
        let message = format!("resource {id} has a dependent object");
        return Err(Refusal::new("DependencyViolation", message));
    }
    state.security_groups.remove(&id);
    Ok(json!({"Return": true, "GroupId": id}))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{answer, fresh, refusal};
    use super::*;

    pub(super) fn create(world: &mut World, name: &str) -> String {
        let group = answer(
            world,
            "CreateSecurityGroup",
            json!({"GroupName": name, "Description": "x"}),
        );
        group["GroupId"].as_str().unwrap().to_owned()
    }

    /// A group in a VPC of its own, which is not the default one.
    pub(super) fn create_elsewhere(world: &mut World) -> String {
        let vpc =
            answer(world, "CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}))["Vpc"]["VpcId"].clone();
        let group = json!({"GroupName": "web", "Description": "x", "VpcId": vpc});
        answer(world, "CreateSecurityGroup", group)["GroupId"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(super) fn https_from(group: &str, cidr: &str) -> Value {
        let range = json!({"CidrIp": cidr, "Description": "clients"});
        let permission =
            json!({"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [range]});
        json!({"GroupId": group, "IpPermissions": [permission]})
    }

    fn all_from_group(group: &str, other: &str) -> Value {
        let permission = json!({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]});
        json!({"GroupId": group, "IpPermissions": [permission]})
    }

    #[test]
    fn a_new_group_lets_everything_out_and_nothing_in() {
        let mut world = fresh();
        let id = create(&mut world, "web");
        let group = answer(
            &mut world,
            "DescribeSecurityGroups",
            json!({"GroupIds": [id]}),
        )["SecurityGroups"][0]
            .clone();
        assert_eq!(group["IpPermissions"], json!([]));
        assert_eq!(group["IpPermissionsEgress"][0]["IpProtocol"], "-1");
        assert_eq!(
            group["IpPermissionsEgress"][0]["IpRanges"][0]["CidrIp"],
            "0.0.0.0/0"
        );
    }

    #[test]
    fn names_are_unique_in_a_vpc_whatever_their_case() {
        let mut world = fresh();
        create(&mut world, "web");
        let mut refused = |name: &str| {
            refusal(
                &mut world,
                "CreateSecurityGroup",
                json!({"GroupName": name, "Description": "x"}),
            )
        };
        assert_eq!(refused("WEB"), "InvalidGroup.Duplicate");
        assert_eq!(refused("Default"), "InvalidGroup.Reserved");
        assert_eq!(refused("sg-web"), "InvalidParameterValue");
        assert_eq!(refused("wéb"), "InvalidParameterValue");
        create_elsewhere(&mut world);
    }

    #[test]
    fn a_group_that_another_refers_to_is_not_deleted() {
        let mut world = fresh();
        let (one, other) = (create(&mut world, "one"), create(&mut world, "other"));
        answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            all_from_group(&one, &one),
        );
        answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            all_from_group(&other, &one),
        );
        let input = json!({"GroupId": one});
        assert_eq!(
            refusal(&mut world, "DeleteSecurityGroup", input.clone()),
            "DependencyViolation"
        );
        answer(
            &mut world,
            "RevokeSecurityGroupIngress",
            all_from_group(&other, &one),
        );
        answer(&mut world, "DeleteSecurityGroup", input.clone());
        assert_eq!(
            refusal(&mut world, "DeleteSecurityGroup", input),
            "InvalidGroup.NotFound"
        );
    }

    #[test]
    fn the_default_group_stays() {
        let mut world = fresh();
        assert_eq!(
            refusal(
                &mut world,
                "DeleteSecurityGroup",
                json!({"GroupName": "default"})
            ),
            "CannotDelete"
        );
    }

    #[test]
    fn connections_pass_by_address_or_by_membership() {
        let mut world = fresh();
        let (front, back) = (create(&mut world, "front"), create(&mut world, "back"));
        answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            https_from(&front, "198.51.100.0/24"),
        );
        answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            all_from_group(&back, &front),
        );
        let state = &world.region("us-east-1").ec2;
        let (inside, outside) = (
            Ipv4Addr::new(198, 51, 100, 10),
            Ipv4Addr::new(203, 0, 113, 1),
        );
        let (front, back) = ([front], [back]);
        assert!(state.admits(&front, Direction::Ingress, (inside, &[]), 443));
        assert!(!state.admits(&front, Direction::Ingress, (inside, &[]), 80));
        assert!(!state.admits(&front, Direction::Ingress, (outside, &[]), 443));
        assert!(state.admits(&front, Direction::Egress, (outside, &[]), 443));
        assert!(state.admits(&back, Direction::Ingress, (outside, &front), 443));
        assert!(!state.admits(&back, Direction::Ingress, (inside, &[]), 443));
    }
}
