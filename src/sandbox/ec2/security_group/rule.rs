//! Security-group rules: what a call's permissions say, one rule for each peer that they name.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::cidr::{Network, canonical_ipv6};
use super::super::query::tag_list;
use super::super::{State, Tags};
use super::{Direction, SecurityGroup};
use crate::sandbox::world::{Call, Refusal};

/// A rule of a security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Rule {
    pub(in super::super) id: String,
    pub(super) direction: Direction,
    pub(super) permission: Permission,
    pub(in super::super) tags: Tags,
}

/// What a rule lets pass.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Permission {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `-1` for all, or a protocol's number.
    protocol: String,
    /// First and last port, or ICMP type and code; absent where the protocol has neither.
    ports: Ports,
    pub(super) peer: Peer,
    description: Option<String>,
}

/// The other side of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) enum Peer {
    /// Addresses of an IPv4 network.
    Ipv4(Network),
    /// Addresses of an IPv6 network.
    Ipv6(String),
    /// Interfaces that are members of a security group.
    Group(String),
}

impl Permission {
    /// All protocols, with the peer.
    pub(super) fn everything(peer: Peer) -> Self {
        Self {
            protocol: "-1".to_owned(),
            ports: None,
            peer,
            description: None,
        }
    }

    /// The permission as an element of `IpPermissions` that names no peer yet.
    fn without_peer(&self) -> Value {
        json!({
            "IpProtocol": self.protocol,
            "FromPort": self.ports.map(|(from, _)| from),
            "ToPort": self.ports.map(|(_, to)| to),
            "IpRanges": [],
            "Ipv6Ranges": [],
            "PrefixListIds": [],
            "UserIdGroupPairs": [],
        })
    }

    /// The list of an `IpPermissions` element that the peer belongs to, and how it stands there.
    fn peer_entry(&self, account: &str) -> (&'static str, Value) {
        let description = &self.description;
        match &self.peer {
            Peer::Ipv4(network) => (
                "IpRanges",
                json!({"CidrIp": network, "Description": description}),
            ),
            Peer::Ipv6(network) => (
                "Ipv6Ranges",
                json!({"CidrIpv6": network, "Description": description}),
            ),
            Peer::Group(group) => {
                let pair = json!({"GroupId": group, "UserId": account, "Description": description});
                ("UserIdGroupPairs", pair)
            }
        }
    }

    /// Says whether both let the same pass; a description makes no difference.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.protocol, self.ports, &self.peer) == (&other.protocol, other.ports, &other.peer)
    }

    /// Says whether the permission's peer is that security group.
    pub(super) fn names_group(&self, id: &str) -> bool {
        matches!(&self.peer, Peer::Group(group) if group == id)
    }

    /// Says whether TCP connections to the port are meant.
    pub(super) fn covers_tcp(&self, port: u16) -> bool {
        let covers = |(from, to)| (from..=to).contains(&i64::from(port));
        self.protocol == "-1" || self.protocol == "tcp" && self.ports.is_none_or(covers)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Peer::Ipv4(network) => write!(formatter, "peer: {network}, ")?,
            Peer::Ipv6(network) => write!(formatter, "peer: {network}, ")?,
            Peer::Group(group) => write!(formatter, "peer: {group}, ")?,
        }
        match self.ports {
            _ if self.protocol == "-1" => formatter.write_str("ALL, ALLOW"),
            Some((from, to)) => {
                let protocol = self.protocol.to_uppercase();
                write!(
                    formatter,
                    "{protocol}, from port: {from}, to port: {to}, ALLOW"
                )
            }
            None => write!(formatter, "{}, ALLOW", self.protocol.to_uppercase()),
        }
    }
}

impl Rule {
    /// A rule without tags.
    pub(super) fn new(id: String, direction: Direction, permission: Permission) -> Self {
        Self {
            id,
            direction,
            permission,
            tags: Tags::new(),
        }
    }

    /// The rule that every group starts with.
    pub(super) fn all_egress(id: String) -> Self {
        let anywhere = Peer::Ipv4("0.0.0.0/0".parse().expect("a network"));
        Self::new(id, Direction::Egress, Permission::everything(anywhere))
    }

    /// The rule as `DescribeSecurityGroupRules` shows it.
    pub(super) fn describe(&self, state: &State, group: &SecurityGroup) -> Value {
        let mut described = self.outline(group);
        described["SecurityGroupRuleArn"] = state.arn("security-group-rule", &self.id).into();
        described["GroupOwnerId"] = state.account.as_str().into();
        described["Tags"] = tag_list(&self.tags);
        if let Peer::Group(other) = &self.permission.peer {
            described["ReferencedGroupInfo"] = json!({"GroupId": other, "UserId": state.account});
        }
        described
    }

    /// The rule as the revoking operations show it.
    pub(super) fn describe_revoked(&self, group: &SecurityGroup) -> Value {
        let mut described = self.outline(group);
        if let Peer::Group(other) = &self.permission.peer {
            described["ReferencedGroupId"] = other.as_str().into();
        }
        described
    }

    /// The members that both have.
    fn outline(&self, group: &SecurityGroup) -> Value {
        let (from, to) = self.permission.ports.unwrap_or((-1, -1));
        let mut outline = json!({
            "SecurityGroupRuleId": self.id,
            "GroupId": group.id,
            "IsEgress": self.direction == Direction::Egress,
            "IpProtocol": self.permission.protocol,
            "FromPort": from,
            "ToPort": to,
            "Description": self.permission.description,
        });
        match &self.permission.peer {
            Peer::Ipv4(network) => outline["CidrIpv4"] = network.to_string().into(),
            Peer::Ipv6(network) => outline["CidrIpv6"] = network.as_str().into(),
            Peer::Group(_) => {}
        }
        outline
    }
}

/// The permissions as `IpPermissions`: one for each protocol and range of ports.
pub(super) fn ip_permissions<'a>(
    state: &State,
    permissions: impl Iterator<Item = &'a Permission>,
) -> Value {
    let mut grouped: Vec<Value> = Vec::new();
    for permission in permissions {
        let empty = permission.without_peer();
        let same = |other: &Value| {
            ["IpProtocol", "FromPort", "ToPort"]
                .iter()
                .all(|member| other[member] == empty[member])
        };
        let place = grouped.iter().position(same).unwrap_or_else(|| {
            grouped.push(empty.clone());
            grouped.len() - 1
        });
        let (list, entry) = permission.peer_entry(&state.account);
        if let Some(entries) = grouped[place][list].as_array_mut() {
            entries.push(entry);
        }
    }
    grouped.into()
}

/// The permissions that the call names, one for each peer.
pub(super) fn read_permissions(call: &Call<'_>) -> Result<Vec<Permission>, Refusal> {
    let mut read = Vec::new();
    for (index, given) in call.list("IpPermissions").iter().enumerate() {
        read_permission(call, &format!("IpPermissions[{index}]"), given, &mut read)?;
    }
    if call.text("IpProtocol").is_some() || call.text("CidrIp").is_some() {
        let given = json!({
            "IpProtocol": call.required("IpProtocol"),
            "FromPort": call.integer("FromPort"),
            "ToPort": call.integer("ToPort"),
            "IpRanges": [{"CidrIp": call.required("CidrIp")}],
        });
        read_permission(call, "IpPermissions", &given, &mut read)?;
    }
    if read.is_empty() {
        let message = "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.";
        return Err(Refusal::new("MissingParameter", message));
    }
    Ok(read)
}

fn read_permission(
    call: &Call<'_>,
    path: &str,
    given: &Value,
    read: &mut Vec<Permission>,
) -> Result<(), Refusal> {
    let lists = [
        ("IpRanges", "CidrIp"),
        ("Ipv6Ranges", "CidrIpv6"),
        ("UserIdGroupPairs", "GroupId"),
    ];
    let modelled = [
        "IpProtocol",
        "FromPort",
        "ToPort",
        "IpRanges",
        "Ipv6Ranges",
        "UserIdGroupPairs",
    ];
    call.models(path, given, &modelled)?;
    let (protocol, ports) = read_traffic(given)?;
    let before = read.len();
    for (list, member) in lists {
        for entry in given[list].as_array().into_iter().flatten() {
            // The owner of a referenced group is ours: other accounts' groups are not modelled.
            call.models(
                &format!("{path}.{list}"),
                entry,
                &[member, "Description", "UserId"],
            )?;
            let peer = read_peer(member, entry[member].as_str().unwrap_or_default())?;
            let description = read_description(entry)?;
            let protocol = protocol.clone();
            read.push(Permission {
                protocol,
                ports,
                peer,
                description,
            });
        }
    }
    if read.len() == before {
        let message =
            "Missing source specification: include source security group or CIDR information";
        return Err(Refusal::new("InvalidPermission.Malformed", message));
    }
    Ok(())
}

/// The permission that `ModifySecurityGroupRules` gives a rule.
pub(super) fn read_changed(call: &Call<'_>, given: &Value) -> Result<Permission, Refusal> {
    let peers = ["CidrIpv4", "CidrIpv6", "ReferencedGroupId"];
    let modelled = ["IpProtocol", "FromPort", "ToPort", "Description"];
    call.models(
        "SecurityGroupRule",
        given,
        &[modelled.as_slice(), &peers].concat(),
    )?;
    let (protocol, ports) = read_traffic(given)?;
    let mut named = peers
        .into_iter()
        .filter_map(|member| Some((member, given[member].as_str()?)));
    let (Some((member, text)), None) = (named.next(), named.next()) else {
        let message = "Exactly one source or destination must be specified.";
        return Err(Refusal::new("InvalidParameterCombination", message));
    };
    let peer = read_peer(member, text)?;
    Ok(Permission {
        protocol,
        ports,
        peer,
        description: read_description(given)?,
    })
}

/// First and last port, or ICMP type and code.
type Ports = Option<(i64, i64)>;

fn read_traffic(given: &Value) -> Result<(String, Ports), Refusal> {
    let protocol = read_protocol(given["IpProtocol"].as_str().unwrap_or_default())?;
    let ports = read_ports(
        &protocol,
        given["FromPort"].as_i64(),
        given["ToPort"].as_i64(),
    )?;
    Ok((protocol, ports))
}

fn read_description(given: &Value) -> Result<Option<String>, Refusal> {
    let Some(text) = given["Description"].as_str() else {
        return Ok(None);
    };
    if is_plain(text) {
        return Ok(Some(text.to_owned()).filter(|text| !text.is_empty()));
    }
    let message = "Invalid rule description. Valid descriptions are strings less than 256 \
                   characters from the \
                   following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*";
    Err(Refusal::new("InvalidParameterValue", message))
}

fn read_protocol(text: &str) -> Result<String, Refusal> {
    let name = match text.to_ascii_lowercase().as_str() {
        "-1" | "all" => "-1",
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        number if number.parse::<u8>().is_ok() => text,
        _ => {
            let message = format!("Invalid value '{text}' for IP protocol. Unknown protocol.");
            return Err(Refusal::new("InvalidParameterValue", message));
        }
    };
    Ok(name.to_owned())
}

fn read_ports(protocol: &str, from: Option<i64>, to: Option<i64>) -> Result<Ports, Refusal> {
    let message = match (protocol, from, to) {
        ("tcp" | "udp", Some(from), Some(to)) => {
            let outside = [from, to]
                .into_iter()
                .find(|port| !(0..=65_535).contains(port));
            match outside {
                Some(port) => format!("TCP/UDP port ({port}) out of range"),
                None if from > to => format!("Invalid TCP/UDP port range ({from}:{to})"),
                None => return Ok(Some((from, to))),
            }
        }
        ("tcp" | "udp", ..) => {
            "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
                .to_owned()
        }
        ("icmp" | "icmpv6", from, to) => return Ok(Some((from.unwrap_or(-1), to.unwrap_or(-1)))),
        _ => return Ok(None),
    };
    Err(Refusal::new("InvalidParameterValue", message))
}

fn read_peer(member: &str, text: &str) -> Result<Peer, Refusal> {
    let malformed = |_| {
        Refusal::new(
            "InvalidParameterValue",
            format!("CIDR block {text} is malformed"),
        )
    };
    match member {
        "CidrIp" | "CidrIpv4" => text.parse().map(Peer::Ipv4).map_err(malformed),
        "CidrIpv6" => canonical_ipv6(text).map(Peer::Ipv6).map_err(malformed),
        _ => Ok(Peer::Group(text.to_owned())),
    }
}

/// Says whether names and descriptions of groups and rules may be that text.
pub(super) fn is_plain(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b" ._-:/()#,@[]+=&;{}!$*".contains(&byte);
    text.len() <= 255 && text.bytes().all(allowed)
}
