//! An interface endpoint: network interfaces in our subnets that lead to private APIs.
//!
//! Natural key: its tags. Its addresses are the targets of the load balancer; they stay the same
//! for its whole life unless a subnet, or the address that is pinned in one, changes.
//!
//! IAM: `ec2:DescribeVpcEndpoints`, `DescribeNetworkInterfaces`, `CreateVpcEndpoint`,
//! `ModifyVpcEndpoint`, `DeleteVpcEndpoints`, `CreateTags`, `DeleteTags`; with private DNS
//! `route53:AssociateVPCWithHostedZone`.
//! AWS: EC2 API Reference, `CreateVpcEndpoint`; AWS `PrivateLink` Guide.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::{
    Filter, NetworkInterface, ResourceType, State, SubnetConfiguration, UnsuccessfulItem,
    VpcEndpointType,
};
use serde_json::Value;

use super::context::Wait;
use super::ec2::{self, GroupSwap, filter, leaves_groups, put_tags, specification};
use super::rest_api::{canonical_policy, policy_widens};
use super::{Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Replacement, Resource};
use crate::aws::tags::{STACK, Tags};
use crate::aws::{Aws, AwsError, pages};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// An interface endpoint of ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VpcEndpoint {
    /// The VPC's id; fixed.
    pub(crate) vpc: String,
    /// The service, `com.amazonaws.<region>.execute-api`; fixed.
    pub(crate) service: String,
    /// The subnets of its network interfaces, at most one per availability zone.
    pub(crate) subnets: BTreeSet<String>,
    /// The IPv4 addresses that are pinned, by subnet; of a live one all that it has.
    pub(crate) addresses: BTreeMap<String, String>,
    /// Whether the service's own names lead to it in the whole VPC.
    pub(crate) private_dns: bool,
    /// Who may call what through it.
    pub(crate) policy: Value,
    /// The security groups of its network interfaces.
    pub(crate) security_groups: Vec<Late<String>>,
    /// The availability zones of subnets: it cannot have two in one, not even for a moment.
    pub(crate) zones: BTreeMap<String, String>,
    /// EC2's state in lower case; wanted: `available`. Those in [`LOST`] never get there.
    pub(crate) state: String,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// The states of an endpoint that never becomes available.
const LOST: &[&str] = &["failed", "rejected", "expired"];

/// How many values a filter takes.
const FILTER_VALUES: usize = 200;

/// How often a client token is salted anew before something else must be wrong.
const SALTS: u32 = 8;

/// How often, every two seconds, a new endpoint is looked for.
const LOOKS: u32 = 15;

impl Resource for VpcEndpoint {
    const TYPE: &'static str = "AWS::EC2::VPCEndpoint";

    fn needs(&self) -> Vec<Need> {
        // Its network interfaces keep the groups busy until they have vanished.
        self.security_groups
            .iter()
            .map(|group| Need::exists(group).holds_until_gone())
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            vpc,
            service,
            subnets,
            addresses,
            private_dns,
            policy,
            security_groups,
            zones: _,
            state,
            tags,
        } = self;
        diff.field("vpc", vpc, live.map(|live| &live.vpc))
            .replaces();
        diff.field("service", service, live.map(|live| &live.service))
            .replaces();
        diff.field("subnets", subnets, live.map(|live| &live.subnets));
        if live.is_some() || !addresses.is_empty() {
            // Where nothing is pinned, whatever address AWS has chosen is right.
            let live_addresses = live.map(|live| live.addresses_in(addresses));
            diff.field("addresses", addresses, live_addresses.as_ref());
        }
        diff.field(
            "private_dns",
            private_dns,
            live.map(|live| &live.private_dns),
        );
        let (policy, live_policy) = (
            canonical_policy(policy),
            live.map(|live| canonical_policy(&live.policy)),
        );
        let widens = live_policy
            .as_ref()
            .is_some_and(|live| policy_widens(&policy, live));
        diff.field("policy", &policy, live_policy.as_ref())
            .widens_if(|| widens);
        diff.late_set(
            "security_groups",
            security_groups,
            live.map(|live| live.security_groups.as_slice()),
        );
        if let Some(live) = live.filter(|live| LOST.contains(&live.state.as_str())) {
            diff.field("state", state, Some(&live.state)).replaces();
        }
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn replacement(&self, live: &Self) -> Replacement {
        let same_addresses = live
            .addresses_in(&self.addresses)
            .iter()
            .any(|(subnet, ip)| self.addresses[subnet] == *ip);
        if self.vpc == live.vpc && (self.private_dns && live.private_dns || same_addresses) {
            return Replacement::DeleteFirst(
                "no private API can be reached through the endpoint until the new one is available, about three \
                 minutes"
                    .to_owned(),
            );
        }
        Replacement::CreateFirst
    }

    fn moving_outputs(changes: &[Change]) -> &'static [&'static str] {
        if touches(changes, "subnets") || touches(changes, "addresses") {
            &["addresses"]
        } else {
            &[]
        }
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        put_tags(cx.aws(), &live.id, &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let stacks = reader.stack_names();
        let by_tag = describe(&reader.aws, filter(&format!("tag:{STACK}"), stacks));
        let named = reader.named::<Self>();
        let by_id = async {
            if named.is_empty() {
                Ok(Vec::new())
            } else {
                describe(&reader.aws, filter("vpc-endpoint-id", named.clone())).await
            }
        };
        let (mut live, by_id) = futures::try_join!(by_tag, by_id)?;
        live.retain(|one| {
            !one.vpc_endpoint_id()
                .is_some_and(|id| named.iter().any(|other| other == id))
        });
        live.extend(by_id);
        live.retain(|endpoint| !is_going(endpoint));
        let interfaces = interfaces_of(&reader.aws, &live).await?;
        Ok(live
            .iter()
            .filter_map(|endpoint| found(reader, endpoint, &interfaces))
            .collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        for salt in 0..SALTS {
            let id = self.create_with(cx, salt).await?;
            // A token that was used before may answer with what has been deleted or has failed since.
            if stands(cx, &id).await? {
                return Ok(Created::id(id));
            }
        }
        let message =
            "AWS answers every client token with an endpoint that has been deleted or has failed";
        Err(Error::step(&cx.address, message))
    }

    async fn ready(&self, cx: &Cx, id: &str) -> Result<Outputs> {
        let wait =
            Wait::new("the endpoint to become available", 5, 600).at_most(cx.timeout("endpoint"));
        cx.wait_until(wait, || async {
            let Some(endpoint) = describe_one(cx.aws(), id).await? else {
                return Ok(None);
            };
            if let Some(message) = failure(&endpoint) {
                let hint = "correct the cause and run the same command again, which replaces it";
                return Err(Error::Step {
                    address: cx.address.clone(),
                    message,
                    hint: Some(hint.to_owned()),
                });
            }
            let interfaces = interfaces_of(cx.aws(), std::slice::from_ref(&endpoint)).await?;
            let mut live = live_spec(&endpoint, &interfaces);
            // Those that are still to be taken away are nobody's targets any more.
            live.addresses
                .retain(|subnet, _| self.subnets.contains(subnet));
            let settled = is_available(&endpoint)
                && live.addresses.keys().eq(self.subnets.iter())
                && live.addresses_in(&self.addresses) == self.addresses;
            Ok(settled.then(|| outputs(&endpoint, &live)))
        })
        .await
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        let touched = |path| touches(changes, path);
        let modified = [
            "subnets",
            "addresses",
            "private_dns",
            "policy",
            "security_groups",
        ];
        if modified.into_iter().any(touched) {
            self.modify(cx, live, changes).await?;
        }
        if touched("tags") {
            put_tags(cx.aws(), &live.id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    fn retires(&self, live: &Self, changes: &[Change]) -> bool {
        !self.surplus(live).is_empty() || changes.iter().any(leaves_groups)
    }

    async fn retire(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        let subnets = self.surplus(&live.spec).into_iter().cloned().collect();
        let groups = self.group_swap(cx, live)?.left_last();
        if subnets == Vec::<String>::new() && groups.is_empty() {
            return Ok(());
        }
        let send = cx
            .aws()
            .ec2
            .modify_vpc_endpoint()
            .vpc_endpoint_id(&live.id)
            .set_remove_subnet_ids(listed(subnets))
            .set_remove_security_group_ids(listed(groups))
            .send();
        cx.aws().call("ec2:ModifyVpcEndpoint", send).await?;
        let wait =
            Wait::new("the endpoint to leave subnets", 5, 600).at_most(cx.timeout("endpoint"));
        cx.wait_until(wait, || async {
            let Some(endpoint) = describe_one(cx.aws(), &live.id).await? else {
                return Ok(Some(()));
            };
            let subnets: BTreeSet<String> = endpoint.subnet_ids().iter().cloned().collect();
            Ok((is_available(&endpoint) && subnets == self.subnets).then_some(()))
        })
        .await
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let send = cx
            .aws()
            .ec2
            .delete_vpc_endpoints()
            .vpc_endpoint_ids(&live.id)
            .send();
        let done = match cx.aws().call("ec2:DeleteVpcEndpoints", send).await {
            Ok(answer) => answer
                .unsuccessful
                .unwrap_or_default()
                .iter()
                .try_for_each(refusal),
            Err(error) => Err(error),
        };
        match done {
            Err(error) if is_missing(&error) => Ok(()),
            other => other.map_err(Error::from),
        }
    }

    async fn gone(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let wait = Wait::new("the endpoint to vanish", 5, 600).at_most(cx.timeout("endpoint"));
        cx.wait_until(wait, || async {
            let left = describe_one(cx.aws(), &live.id).await?;
            Ok(left
                .is_none_or(|endpoint| is_in(&endpoint, &["deleted"]))
                .then_some(()))
        })
        .await
    }
}

impl VpcEndpoint {
    /// The live addresses in the subnets of `pinned`.
    fn addresses_in(&self, pinned: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let here = self
            .addresses
            .iter()
            .filter(|(subnet, _)| pinned.contains_key(*subnet));
        here.map(|(subnet, address)| (subnet.clone(), address.clone()))
            .collect()
    }

    /// Live subnets that it leaves last, when nobody uses its addresses there any more.
    ///
    /// Not those in whose zone it gets another subnet: AWS swaps the two by itself.
    fn surplus<'a>(&'a self, live: &'a Self) -> Vec<&'a String> {
        let added = self.subnets.difference(&live.subnets);
        let taken: BTreeSet<_> = added.filter_map(|one| self.zones.get(one)).collect();
        let left = live.subnets.difference(&self.subnets);
        left.filter(|one| {
            self.zones
                .get(*one)
                .is_none_or(|zone| !taken.contains(zone))
        })
        .collect()
    }

    fn groups(&self, cx: &Cx) -> Result<BTreeSet<String>> {
        ec2::groups(cx, &self.security_groups)
    }

    fn group_swap(&self, cx: &Cx, live: &Found<Self>) -> Result<GroupSwap> {
        GroupSwap::new(cx, &self.security_groups, &live.spec.security_groups)
    }

    async fn create_with(&self, cx: &Cx, salt: u32) -> Result<String> {
        let groups = self.groups(cx)?;
        // A subnet more in the region makes no other endpoint of it.
        let input = Self {
            zones: BTreeMap::new(),
            ..self.clone()
        };
        let inputs = format!("{input:?}\n{groups:?}\n{salt}");
        // Without groups AWS takes the VPC's default one, which lets nothing in from the load balancer.
        let wait = Wait::new("the security group to be known", 2, 60);
        let unknown = |error: &Error| error.is_code("InvalidGroup.NotFound");
        cx.retry_while(wait, unknown, || async {
            let send = cx
                .aws()
                .ec2
                .create_vpc_endpoint()
                .vpc_endpoint_type(VpcEndpointType::Interface)
                .vpc_id(&self.vpc)
                .service_name(&self.service)
                .set_subnet_ids(Some(self.subnets.iter().cloned().collect()))
                .set_subnet_configurations(configurations(&self.addresses))
                .set_security_group_ids(Some(groups.iter().cloned().collect()))
                .private_dns_enabled(self.private_dns)
                .policy_document(self.policy.to_string())
                .client_token(cx.token(&inputs))
                .tag_specifications(specification(ResourceType::VpcEndpoint, &self.tags))
                .send();
            let created = cx.aws().call("ec2:CreateVpcEndpoint", send).await?;
            Ok(created
                .vpc_endpoint
                .and_then(|endpoint| endpoint.vpc_endpoint_id)
                .unwrap_or_default())
        })
        .await
    }

    /// Changes everything at once but for the subnets and security groups that it leaves last.
    async fn modify(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<()> {
        let touched = |path| touches(changes, path);
        let surplus = self.surplus(&live.spec);
        let added: Vec<String> = self
            .subnets
            .difference(&live.spec.subnets)
            .cloned()
            .collect();
        let left = live.spec.subnets.difference(&self.subnets);
        let left = left.filter(|one| !surplus.contains(one));
        let left: Vec<String> = left.cloned().collect();
        let groups = self.group_swap(cx, live)?;
        let (joined, quitted) = (groups.joined(), groups.left_at_once());
        let only_leaves = changes
            .iter()
            .all(|change| ["subnets", "security_groups"].contains(&change.path.as_str()));
        let stays = [&added, &left, &joined, &quitted]
            .into_iter()
            .all(Vec::is_empty);
        if only_leaves && stays {
            return Ok(());
        }
        let present = live.spec.addresses_in(&self.addresses);
        let moved = self
            .addresses
            .iter()
            .filter(|(subnet, ip)| present.get(*subnet) != Some(ip));
        let moved: BTreeMap<String, String> = moved
            .map(|(subnet, ip)| (subnet.clone(), ip.clone()))
            .collect();
        let send = cx
            .aws()
            .ec2
            .modify_vpc_endpoint()
            .vpc_endpoint_id(&live.id)
            .set_add_subnet_ids(listed(added))
            .set_remove_subnet_ids(listed(left))
            .set_subnet_configurations(configurations(&moved))
            .set_add_security_group_ids(listed(joined))
            .set_remove_security_group_ids(listed(quitted))
            .set_private_dns_enabled(touched("private_dns").then_some(self.private_dns))
            // `ResetPolicy` is for gateway endpoints only: full access is sent like any other policy.
            .set_policy_document(touched("policy").then(|| self.policy.to_string()))
            .send();
        cx.aws().call("ec2:ModifyVpcEndpoint", send).await?;
        Ok(())
    }
}

/// A list as the SDK takes it: none where it is empty.
fn listed(values: Vec<String>) -> Option<Vec<String>> {
    Some(values).filter(|values| !values.is_empty())
}

/// The subnets whose address is pinned.
fn configurations(addresses: &BTreeMap<String, String>) -> Option<Vec<SubnetConfiguration>> {
    let pinned = |(subnet, ip): (&String, &String)| {
        SubnetConfiguration::builder()
            .subnet_id(subnet)
            .ipv4(ip)
            .build()
    };
    Some(addresses.iter().map(pinned).collect()).filter(|list: &Vec<_>| !list.is_empty())
}

/// The endpoints that pass a filter.
pub(crate) async fn describe(
    aws: &Aws,
    filter: Filter,
) -> Result<Vec<aws_sdk_ec2::types::VpcEndpoint>> {
    pages(async |next| {
        let send = aws
            .ec2
            .describe_vpc_endpoints()
            .filters(filter.clone())
            .set_next_token(next)
            .send();
        let page = aws.call("ec2:DescribeVpcEndpoints", send).await?;
        Ok((page.vpc_endpoints.unwrap_or_default(), page.next_token))
    })
    .await
}

/// By filter, because an id that is not known yet, or no longer, would be an error.
async fn describe_one(aws: &Aws, id: &str) -> Result<Option<aws_sdk_ec2::types::VpcEndpoint>> {
    Ok(
        describe(aws, filter("vpc-endpoint-id", vec![id.to_owned()]))
            .await?
            .pop(),
    )
}

/// Whether an endpoint that AWS has named as the one it made is there; AWS may need a while to know it everywhere.
async fn stands(cx: &Cx, id: &str) -> Result<bool> {
    for _ in 0..LOOKS {
        if let Some(endpoint) = describe_one(cx.aws(), id).await? {
            return Ok(failure(&endpoint).is_none());
        }
        cx.aws().clock.sleep(Duration::from_secs(2)).await;
    }
    Ok(false)
}

/// The network interfaces of several endpoints in one call, up to [`FILTER_VALUES`].
pub(crate) async fn interfaces_of(
    aws: &Aws,
    endpoints: &[aws_sdk_ec2::types::VpcEndpoint],
) -> Result<Vec<NetworkInterface>> {
    let ids: Vec<String> = endpoints
        .iter()
        .flat_map(aws_sdk_ec2::types::VpcEndpoint::network_interface_ids)
        .cloned()
        .collect();
    let chunks = ids.chunks(FILTER_VALUES).map(|ids| {
        pages(async |next| {
            let send = aws
                .ec2
                .describe_network_interfaces()
                .filters(filter("network-interface-id", ids.to_vec()))
                .set_next_token(next)
                .send();
            let page = aws.call("ec2:DescribeNetworkInterfaces", send).await?;
            Ok((page.network_interfaces.unwrap_or_default(), page.next_token))
        })
    });
    Ok(futures::future::try_join_all(chunks).await?.concat())
}

fn found(
    reader: &Reader,
    endpoint: &aws_sdk_ec2::types::VpcEndpoint,
    interfaces: &[NetworkInterface],
) -> Option<Found<VpcEndpoint>> {
    let mut spec = live_spec(endpoint, interfaces);
    let tags = std::mem::take(&mut spec.tags);
    spec.tags = reader.claimed::<VpcEndpoint>(endpoint.vpc_endpoint_id()?, tags, |_, _| false);
    if !reader.has_stack(spec.tags.stack()?) {
        return None;
    }
    Some(Found {
        stack: spec.tags.stack()?.to_owned(),
        address: spec.tags.address()?,
        id: endpoint.vpc_endpoint_id()?.to_owned(),
        owner: Owner::Ours,
        protected: spec.tags.protected(),
        retained: None,
        outputs: outputs(endpoint, &spec),
        spec,
    })
}

fn live_spec(
    endpoint: &aws_sdk_ec2::types::VpcEndpoint,
    interfaces: &[NetworkInterface],
) -> VpcEndpoint {
    let own: BTreeSet<&str> = endpoint
        .network_interface_ids()
        .iter()
        .map(String::as_str)
        .collect();
    let own = interfaces.iter().filter(|one| {
        one.network_interface_id()
            .is_some_and(|id| own.contains(id))
    });
    let address = |one: &NetworkInterface| {
        Some((
            one.subnet_id()?.to_owned(),
            one.private_ip_address()?.to_owned(),
        ))
    };
    let policy = endpoint
        .policy_document()
        .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)));
    let groups = endpoint
        .groups()
        .iter()
        .filter_map(|group| group.group_id());
    let tags = endpoint.tags().iter().map(|tag| {
        (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        )
    });
    VpcEndpoint {
        vpc: endpoint.vpc_id().unwrap_or_default().to_owned(),
        service: endpoint.service_name().unwrap_or_default().to_owned(),
        subnets: endpoint.subnet_ids().iter().cloned().collect(),
        addresses: own.filter_map(address).collect(),
        private_dns: endpoint.private_dns_enabled().unwrap_or_default(),
        policy: policy.unwrap_or_default(),
        security_groups: groups.map(|id| Late::Known(id.to_owned())).collect(),
        zones: BTreeMap::new(),
        state: endpoint.state().map_or("", State::as_str).to_lowercase(),
        tags: Tags::live(tags),
    }
}

/// The addresses, but only of an endpoint that is available: before that some are missing.
fn outputs(endpoint: &aws_sdk_ec2::types::VpcEndpoint, live: &VpcEndpoint) -> Outputs {
    if !is_available(endpoint) {
        return Outputs::new();
    }
    let sorted: BTreeSet<String> = live.addresses.values().cloned().collect();
    Outputs::from([("addresses", sorted.into_iter().collect())])
}

/// Whether an endpoint is in one of the states; AWS writes `available`, its model `Available`.
fn is_in(endpoint: &aws_sdk_ec2::types::VpcEndpoint, states: &[&str]) -> bool {
    let live = endpoint.state().map_or("", State::as_str);
    states.iter().any(|state| state.eq_ignore_ascii_case(live))
}

fn is_available(endpoint: &aws_sdk_ec2::types::VpcEndpoint) -> bool {
    is_in(endpoint, &["available"])
}

fn is_going(endpoint: &aws_sdk_ec2::types::VpcEndpoint) -> bool {
    is_in(endpoint, &["deleting", "deleted"])
}

/// Why an endpoint will never become available, if it will not.
fn failure(endpoint: &aws_sdk_ec2::types::VpcEndpoint) -> Option<String> {
    if !is_going(endpoint) && !is_in(endpoint, LOST) {
        return None;
    }
    let state = endpoint.state().map_or("", State::as_str);
    let why = endpoint
        .last_error()
        .and_then(|error| error.message())
        .or(endpoint.failure_reason());
    Some(format!(
        "the endpoint is {}: {}",
        state.to_lowercase(),
        why.unwrap_or("AWS does not say why")
    ))
}

/// A refusal in an answer that is a success on the wire.
fn refusal(item: &UnsuccessfulItem) -> Result<(), AwsError> {
    let error = item.error();
    let code = error
        .and_then(|error| error.code())
        .unwrap_or("Unsuccessful");
    let message = error
        .and_then(|error| error.message())
        .unwrap_or("no message");
    Err(AwsError::inside_answer(
        "ec2:DeleteVpcEndpoints",
        code,
        message,
    ))
}

fn is_missing(error: &AwsError) -> bool {
    matches!(
        error.code.as_str(),
        "InvalidVpcEndpointId.NotFound" | "InvalidVpcEndpoint.NotFound"
    )
}

/// The execute-api endpoints of a VPC, of whomever they are.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws, vpc: &str) -> Result<Vec<(String, VpcEndpoint)>> {
    let mut all = describe(aws, filter("vpc-id", vec![vpc.to_owned()])).await?;
    all.retain(|one| {
        let service = one.service_name().unwrap_or_default();
        service.ends_with(".execute-api") && !is_going(one)
    });
    let interfaces = interfaces_of(aws, &all).await?;
    let look = |one: &aws_sdk_ec2::types::VpcEndpoint| {
        let id = one.vpc_endpoint_id()?.to_owned();
        Some((id, live_spec(one, &interfaces)))
    };
    Ok(all.iter().filter_map(look).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;
    use aws_sdk_ec2::types::UnsuccessfulItemError;
    use serde_json::json;

    fn live(state: &str) -> aws_sdk_ec2::types::VpcEndpoint {
        aws_sdk_ec2::types::VpcEndpoint::builder()
            .vpc_endpoint_id("vpce-1")
            .vpc_id("vpc-1")
            .state(State::from(state))
            .subnet_ids("subnet-1")
            .network_interface_ids("eni-1")
            .policy_document(
                r#"{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}"#,
            )
            .build()
    }

    fn endpoint() -> VpcEndpoint {
        let interface = NetworkInterface::builder()
            .network_interface_id("eni-1")
            .subnet_id("subnet-1");
        live_spec(
            &live("available"),
            &[interface.private_ip_address("10.0.1.7").build()],
        )
    }

    fn changes(want: &VpcEndpoint) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(&endpoint()), &mut diff);
        diff.into_changes()
    }

    fn pinned(address: &str) -> VpcEndpoint {
        VpcEndpoint {
            addresses: BTreeMap::from([("subnet-1".to_owned(), address.to_owned())]),
            ..endpoint()
        }
    }

    #[test]
    fn only_pinned_addresses_are_compared() {
        assert_eq!(
            changes(&VpcEndpoint {
                addresses: BTreeMap::new(),
                ..endpoint()
            }),
            vec![]
        );
        assert_eq!(changes(&pinned("10.0.1.7")), vec![]);
        assert_eq!(changes(&pinned("10.0.1.8"))[0].path, "addresses");
    }

    #[test]
    fn the_policy_that_aws_gives_is_full_access() {
        let everything =
            json!({ "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*" });
        let want = VpcEndpoint {
            policy: json!({ "Version": "2012-10-17", "Statement": [everything] }),
            ..endpoint()
        };
        assert_eq!(changes(&want), vec![]);
    }

    #[test]
    fn addresses_move_with_the_subnets() {
        let want = VpcEndpoint {
            subnets: BTreeSet::from(["subnet-2".to_owned()]),
            ..endpoint()
        };
        assert_eq!(VpcEndpoint::moving_outputs(&changes(&want)), ["addresses"]);
        assert!(VpcEndpoint::moving_outputs(&[]).is_empty());
    }

    #[test]
    fn two_endpoints_cannot_share_private_dns_or_an_address() {
        let first =
            |one: &VpcEndpoint| matches!(one.replacement(&endpoint()), Replacement::DeleteFirst(_));
        assert!(first(&pinned("10.0.1.7")));
        assert!(!first(&pinned("10.0.1.8")));
        assert!(!first(&VpcEndpoint {
            vpc: "vpc-2".to_owned(),
            ..pinned("10.0.1.7")
        }));
    }

    #[test]
    fn an_endpoint_that_has_failed_is_replaced_and_one_on_its_way_is_not() {
        let judged = |state: &str| {
            let mut diff = Diff::new(&|_: &Address, _: &str| None);
            let live = VpcEndpoint {
                state: state.to_owned(),
                ..endpoint()
            };
            endpoint().diff(Some(&live), &mut diff);
            diff.into_changes().iter().any(|change| change.replaces)
        };
        assert!(judged("failed") && judged("rejected"));
        assert!(!judged("pending"));
    }

    #[test]
    fn states_are_compared_whatever_their_case() {
        assert!(is_available(&live("available")) && is_available(&live("Available")));
        assert!(is_going(&live("deleting")));
        assert_eq!(
            failure(&live("failed")).as_deref(),
            Some("the endpoint is failed: AWS does not say why")
        );
        assert!(outputs(&live("pending"), &endpoint()).is_empty());
    }

    #[test]
    fn a_refusal_inside_a_success_is_an_error() {
        let error = |code: &str| {
            let error = UnsuccessfulItemError::builder().code(code).build();
            refusal(&UnsuccessfulItem::builder().error(error).build()).expect_err("it is refused")
        };
        assert!(is_missing(&error("InvalidVpcEndpointId.NotFound")));
        assert!(!is_missing(&error("UnauthorizedOperation")));
    }
}
