//! Internet gateways and route tables: what makes a subnet public.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cidr::Network;
use super::network::{Subnet, invalid_network, known};
use super::query::{Listing, tag_list, tags_on_create};
use super::{State, Tags};
use crate::sandbox::world::{Call, Refusal, World};

/// An internet gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InternetGateway {
    id: String,
    vpc_id: Option<String>,
    pub(super) tags: Tags,
}

/// A route table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RouteTable {
    id: String,
    vpc_id: String,
    associations: Vec<Association>,
    routes: Vec<Route>,
    /// What makes a repeated request recognisable.
    client_token: Option<String>,
    pub(super) tags: Tags,
}

/// What a route table is used by: a subnet, or, as the main one, every subnet that names no other.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Association {
    id: String,
    subnet_id: Option<String>,
}

/// A route out of the VPC.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Route {
    destination: Network,
    gateway_id: String,
}

const INTERNET_GATEWAYS: Listing = Listing {
    output: "InternetGateways",
    ids: "InternetGatewayIds",
    id: "InternetGatewayId",
    prefix: "igw-",
    noun: "internetGateway ID",
    not_found: "InvalidInternetGatewayID.NotFound",
    malformed: "InvalidInternetGatewayId.Malformed",
    filters: &[
        ("attachment.state", "Attachments.State"),
        ("attachment.vpc-id", "Attachments.VpcId"),
        ("internet-gateway-id", "InternetGatewayId"),
        ("owner-id", "OwnerId"),
    ],
};

const ROUTE_TABLES: Listing = Listing {
    output: "RouteTables",
    ids: "RouteTableIds",
    id: "RouteTableId",
    prefix: "rtb-",
    noun: "routeTable ID",
    not_found: "InvalidRouteTableID.NotFound",
    malformed: "InvalidRouteTableId.Malformed",
    filters: &[
        ("association.main", "Associations.Main"),
        (
            "association.route-table-association-id",
            "Associations.RouteTableAssociationId",
        ),
        ("association.route-table-id", "Associations.RouteTableId"),
        ("association.subnet-id", "Associations.SubnetId"),
        ("owner-id", "OwnerId"),
        ("route-table-id", "RouteTableId"),
        (
            "route.destination-cidr-block",
            "Routes.DestinationCidrBlock",
        ),
        ("route.gateway-id", "Routes.GatewayId"),
        ("route.origin", "Routes.Origin"),
        ("route.state", "Routes.State"),
        ("vpc-id", "VpcId"),
    ],
};

const PREFIX_LISTS: Listing = Listing {
    output: "PrefixLists",
    ids: "PrefixListIds",
    id: "PrefixListId",
    prefix: "pl-",
    noun: "prefix list ID",
    not_found: "InvalidPrefixListId.NotFound",
    malformed: "InvalidPrefixListId.Malformed",
    filters: &[
        ("prefix-list-id", "PrefixListId"),
        ("prefix-list-name", "PrefixListName"),
    ],
};

impl InternetGateway {
    fn describe(&self, state: &State) -> Value {
        let attachments: Value = self
            .vpc_id
            .iter()
            .map(|vpc_id| json!({"VpcId": vpc_id, "State": "available"}))
            .collect();
        json!({
            "InternetGatewayId": self.id,
            "Attachments": attachments,
            "OwnerId": state.account,
            "Tags": tag_list(&self.tags),
        })
    }
}

impl RouteTable {
    fn new(id: String, vpc_id: &str) -> Self {
        Self {
            id,
            vpc_id: vpc_id.to_owned(),
            associations: Vec::new(),
            routes: Vec::new(),
            client_token: None,
            tags: Tags::new(),
        }
    }

    fn serves(&self, subnet: Option<&str>) -> bool {
        let mut associations = self.associations.iter();
        associations.any(|association| association.subnet_id.as_deref() == subnet)
    }

    fn describe(&self, state: &State) -> Value {
        let associations = self.associations.iter().map(|association| {
            json!({
                "RouteTableAssociationId": association.id,
                "RouteTableId": self.id,
                "Main": association.subnet_id.is_none(),
                "SubnetId": association.subnet_id,
                "AssociationState": {"State": "associated"},
            })
        });
        let local = state
            .vpc(&self.vpc_id)
            .map(|vpc| route(vpc.cidr, "local", "CreateRouteTable"));
        let routes = self
            .routes
            .iter()
            .map(|other| route(other.destination, &other.gateway_id, "CreateRoute"));
        json!({
            "RouteTableId": self.id,
            "VpcId": self.vpc_id,
            "Associations": associations.collect::<Value>(),
            "Routes": local.into_iter().chain(routes).collect::<Value>(),
            "PropagatingVgws": [],
            "OwnerId": state.account,
            "Tags": tag_list(&self.tags),
        })
    }
}

fn route(destination: Network, gateway_id: &str, origin: &str) -> Value {
    json!({
        "DestinationCidrBlock": destination,
        "GatewayId": gateway_id,
        "Origin": origin,
        "State": "active",
    })
}

impl State {
    /// Says whether an internet gateway is attached to the VPC.
    pub(in crate::sandbox) fn has_internet_gateway(&self, vpc_id: &str) -> bool {
        let mut gateways = self.internet_gateways.values();
        gateways.any(|gateway| gateway.vpc_id.as_deref() == Some(vpc_id))
    }

    /// Says whether the subnet is public: whether its route table leads to an internet gateway.
    pub(in crate::sandbox) fn is_public(&self, subnet: &Subnet) -> bool {
        let tables = || self.route_tables_of(&subnet.vpc_id);
        let own = tables().find(|table| table.serves(Some(&subnet.id)));
        let table = own.or_else(|| tables().find(|table| table.serves(None)));
        let leads_out = |route: &Route| self.internet_gateways.contains_key(&route.gateway_id);
        table.is_some_and(|table| table.routes.iter().any(leads_out))
    }

    /// Gives the default VPC its internet gateway and its main route table.
    pub(super) fn furnish_routes(&mut self, vpc_id: &str) {
        let id = self.derived_id("igw", "default");
        let attached_to = Some(vpc_id.to_owned());
        let gateway = InternetGateway {
            id: id.clone(),
            vpc_id: attached_to,
            tags: Tags::new(),
        };
        self.internet_gateways.insert(id.clone(), gateway);
        self.add_main_route_table(self.derived_id("rtb", "default"), vpc_id);
        for table in self.route_tables.values_mut() {
            table.routes.push(Route {
                destination: known("0.0.0.0/0"),
                gateway_id: id.clone(),
            });
        }
    }

    /// Gives a new VPC its main route table.
    pub(super) fn add_main_route_table(&mut self, id: String, vpc_id: &str) {
        let main = Association {
            id: id.replace("rtb-", "rtbassoc-"),
            subnet_id: None,
        };
        let mut table = RouteTable::new(id.clone(), vpc_id);
        table.associations.push(main);
        self.route_tables.insert(id, table);
    }

    /// Says whether somebody has made route tables for the VPC.
    pub(super) fn has_route_tables_besides_main(&self, vpc_id: &str) -> bool {
        self.route_tables_of(vpc_id)
            .any(|table| !table.serves(None))
    }

    /// Removes the route tables of a VPC that is deleted.
    pub(super) fn remove_route_tables_of(&mut self, vpc_id: &str) {
        self.route_tables.retain(|_, table| table.vpc_id != vpc_id);
    }

    /// Removes the associations of a subnet that is deleted.
    pub(super) fn forget_subnet(&mut self, subnet_id: &str) {
        for table in self.route_tables.values_mut() {
            table
                .associations
                .retain(|association| association.subnet_id.as_deref() != Some(subnet_id));
        }
    }

    fn route_tables_of(&self, vpc_id: &str) -> impl Iterator<Item = &RouteTable> {
        self.route_tables
            .values()
            .filter(move |table| table.vpc_id == vpc_id)
    }
}

/// Answers `DescribeInternetGateways`.
pub(super) fn describe_internet_gateways(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let state = &world.region(call.region).ec2;
    let gateways = state
        .internet_gateways
        .values()
        .map(|gateway| gateway.describe(state));
    INTERNET_GATEWAYS.answer(call, gateways.collect())
}

/// Answers `DescribeRouteTables`.
pub(super) fn describe_route_tables(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let state = &world.region(call.region).ec2;
    ROUTE_TABLES.answer(
        call,
        state
            .route_tables
            .values()
            .map(|table| table.describe(state))
            .collect(),
    )
}

/// Answers `DescribePrefixLists`. A region has one for every service with gateway endpoints, and
/// the one service whose endpoints are modelled is none of them.
pub(super) fn describe_prefix_lists(call: &Call<'_>) -> Result<Value, Refusal> {
    PREFIX_LISTS.answer(call, Vec::new())
}

/// Answers `CreateInternetGateway`.
pub(super) fn create_internet_gateway(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let tags = tags_on_create(call, "internet-gateway")?;
    let id = format!("igw-{}", world.unique_hex(17));
    let state = &mut world.region(call.region).ec2;
    let gateway = InternetGateway {
        id: id.clone(),
        vpc_id: None,
        tags,
    };
    let described = gateway.describe(state);
    state.internet_gateways.insert(id, gateway);
    Ok(json!({"InternetGateway": described}))
}

/// Answers `AttachInternetGateway`.
pub(super) fn attach_internet_gateway(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let (id, vpc_id) = (call.required("InternetGatewayId"), call.required("VpcId"));
    let state = &mut world.region(call.region).ec2;
    state.existing_vpc(vpc_id)?;
    let has_another = state.has_internet_gateway(vpc_id);
    let gateway = state
        .internet_gateways
        .get_mut(id)
        .ok_or_else(|| INTERNET_GATEWAYS.missing(id))?;
    if gateway.vpc_id.is_some() || has_another {
        let message = format!("resource {id} is already attached to network {vpc_id}");
        return Err(Refusal::new("Resource.AlreadyAssociated", message));
    }
    gateway.vpc_id = Some(vpc_id.to_owned());
    Ok(json!({}))
}

/// Answers `DetachInternetGateway`.
pub(super) fn detach_internet_gateway(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let (id, vpc_id) = (call.required("InternetGatewayId"), call.required("VpcId"));
    let state = &mut world.region(call.region).ec2;
    let gateway = state
        .internet_gateways
        .get_mut(id)
        .ok_or_else(|| INTERNET_GATEWAYS.missing(id))?;
    if gateway.vpc_id.as_deref() != Some(vpc_id) {
        let message = format!("resource {id} is not attached to network {vpc_id}");
        return Err(Refusal::new("Gateway.NotAttached", message));
    }
    gateway.vpc_id = None;
    Ok(json!({}))
}

/// Answers `DeleteInternetGateway`.
pub(super) fn delete_internet_gateway(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let id = call.required("InternetGatewayId");
    let state = &mut world.region(call.region).ec2;
    let gateway = state
        .internet_gateways
        .get(id)
        .ok_or_else(|| INTERNET_GATEWAYS.missing(id))?;
    if gateway.vpc_id.is_some() {
        let message = format!("The internetGateway '{id}' has dependencies and cannot be deleted.");
        return Err(Refusal::new("DependencyViolation", message));
    }
    state.internet_gateways.remove(id);
    Ok(json!({}))
}

/// Answers `CreateRouteTable`.
pub(super) fn create_route_table(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = tags_on_create(call, "route-table")?;
    let id = format!("rtb-{}", world.unique_hex(17));
    let state = &mut world.region(call.region).ec2;
    let vpc_id = state.existing_vpc(call.required("VpcId"))?.id.clone();
    let token = call.text("ClientToken");
    let repeats = |table: &&RouteTable| token.is_some() && table.client_token.as_deref() == token;
    if let Some(table) = state.route_tables_of(&vpc_id).find(repeats) {
        return Ok(json!({"RouteTable": table.describe(state), "ClientToken": token}));
    }
    let table = RouteTable {
        client_token: token.map(str::to_owned),
        tags,
        ..RouteTable::new(id.clone(), &vpc_id)
    };
    let described = table.describe(state);
    state.route_tables.insert(id, table);
    Ok(json!({"RouteTable": described, "ClientToken": token}))
}

/// Answers `DeleteRouteTable`.
pub(super) fn delete_route_table(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let id = call.required("RouteTableId");
    let state = &mut world.region(call.region).ec2;
    if !table_of(state, id)?.associations.is_empty() {
        let message = format!("The routeTable '{id}' has dependencies and cannot be deleted.");
        return Err(Refusal::new("DependencyViolation", message));
    }
    state.route_tables.remove(id);
    Ok(json!({}))
}

/// Answers `AssociateRouteTable`.
pub(super) fn associate_route_table(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let association_id = format!("rtbassoc-{}", world.unique_hex(17));
    let state = &mut world.region(call.region).ec2;
    let subnet = state.existing_subnet(call.required("SubnetId"))?;
    let (subnet_id, vpc_id) = (subnet.id.clone(), subnet.vpc_id.clone());
    let table = table_of(state, call.required("RouteTableId"))?;
    if table.vpc_id != vpc_id {
        let message = format!("{} and {subnet_id} belong to different networks", table.id);
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    if state
        .route_tables_of(&vpc_id)
        .any(|table| table.serves(Some(&subnet_id)))
    {
        let message = format!(
            "the specified association for subnet {subnet_id} conflicts with \
             an existing association"
        );
        return Err(Refusal::new("Resource.AlreadyAssociated", message));
    }
    let association = Association {
        id: association_id.clone(),
        subnet_id: Some(subnet_id),
    };
    table_of(state, call.required("RouteTableId"))?
        .associations
        .push(association);
    Ok(json!({"AssociationId": association_id, "AssociationState": {"State": "associated"}}))
}

/// Answers `DisassociateRouteTable`.
pub(super) fn disassociate_route_table(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let id = call.required("AssociationId");
    for table in world.region(call.region).ec2.route_tables.values_mut() {
        let mut associations = table.associations.iter();
        match associations.position(|association| association.id == id) {
            Some(place) if table.associations[place].subnet_id.is_some() => {
                table.associations.remove(place);
                return Ok(json!({}));
            }
            Some(_) => {
                let message = format!("cannot disassociate the main route table association {id}");
                return Err(Refusal::new("InvalidParameterValue", message));
            }
            None => {}
        }
    }
    let message = format!("The association ID '{id}' does not exist");
    Err(Refusal::new("InvalidAssociationID.NotFound", message))
}

/// Answers `CreateRoute`, for routes to internet gateways.
pub(super) fn create_route(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let gateway_id = call.required("GatewayId");
    let destination = destination_of(call)?;
    let state = &mut world.region(call.region).ec2;
    let gateway = state.internet_gateways.get(gateway_id);
    let attached = gateway
        .ok_or_else(|| INTERNET_GATEWAYS.missing(gateway_id))?
        .vpc_id
        .clone();
    let table = table_of(state, call.required("RouteTableId"))?;
    if attached.as_ref() != Some(&table.vpc_id) {
        let message = format!(
            "route table {} and network gateway {gateway_id} belong to different networks",
            table.id
        );
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    if table
        .routes
        .iter()
        .any(|route| route.destination == destination)
    {
        let message = format!("The route identified by {destination} already exists.");
        return Err(Refusal::new("RouteAlreadyExists", message));
    }
    table.routes.push(Route {
        destination,
        gateway_id: gateway_id.to_owned(),
    });
    Ok(json!({"Return": true}))
}

/// Answers `DeleteRoute`.
pub(super) fn delete_route(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let destination = destination_of(call)?;
    let table = table_of(
        &mut world.region(call.region).ec2,
        call.required("RouteTableId"),
    )?;
    let Some(place) = table
        .routes
        .iter()
        .position(|route| route.destination == destination)
    else {
        let message = format!(
            "no route with destination-cidr-block {destination} in route table {}",
            table.id
        );
        return Err(Refusal::new("InvalidRoute.NotFound", message));
    };
    table.routes.remove(place);
    Ok(json!({}))
}

fn table_of<'a>(state: &'a mut State, id: &str) -> Result<&'a mut RouteTable, Refusal> {
    state
        .route_tables
        .get_mut(id)
        .ok_or_else(|| ROUTE_TABLES.missing(id))
}

fn destination_of(call: &Call<'_>) -> Result<Network, Refusal> {
    let text = call.required("DestinationCidrBlock");
    text.parse()
        .map_err(|_| invalid_network("destinationCidrBlock", text))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answer, fresh, refusal};
    use super::*;

    /// A VPC with one subnet and an attached gateway.
    fn vpc(world: &mut World) -> (Value, Value, Value) {
        let vpc =
            answer(world, "CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}))["Vpc"]["VpcId"].clone();
        let subnet = answer(
            world,
            "CreateSubnet",
            json!({"VpcId": vpc, "CidrBlock": "10.0.1.0/24"}),
        );
        let gateway = answer(world, "CreateInternetGateway", json!({}));
        let gateway = gateway["InternetGateway"]["InternetGatewayId"].clone();
        answer(
            world,
            "AttachInternetGateway",
            json!({"InternetGatewayId": gateway, "VpcId": vpc}),
        );
        (vpc, subnet["Subnet"]["SubnetId"].clone(), gateway)
    }

    fn is_public(world: &mut World, subnet: &Value) -> bool {
        let state = &world.region("us-east-1").ec2;
        state.is_public(state.subnet(subnet.as_str().unwrap()).unwrap())
    }

    #[test]
    fn a_subnet_is_public_once_the_main_table_leads_to_a_gateway() {
        let mut world = fresh();
        let (vpc, subnet, gateway) = vpc(&mut world);
        assert!(!is_public(&mut world, &subnet));
        let filters = json!([
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]);
        let tables = answer(
            &mut world,
            "DescribeRouteTables",
            json!({"Filters": filters}),
        );
        let mut route = json!({
            "RouteTableId": tables["RouteTables"][0]["RouteTableId"],
            "DestinationCidrBlock": "0.0.0.0/0",
            "GatewayId": gateway,
        });
        answer(&mut world, "CreateRoute", route.clone());
        assert!(is_public(&mut world, &subnet));
        assert_eq!(
            refusal(&mut world, "CreateRoute", route.clone()),
            "RouteAlreadyExists"
        );
        route.as_object_mut().unwrap().remove("GatewayId");
        answer(&mut world, "DeleteRoute", route.clone());
        assert!(!is_public(&mut world, &subnet));
        assert_eq!(
            refusal(&mut world, "DeleteRoute", route),
            "InvalidRoute.NotFound"
        );
    }

    #[test]
    fn a_subnets_own_route_table_outdoes_the_main_one() {
        let mut world = fresh();
        let filters = json!({"Filters": [{"Name": "default-for-az", "Values": ["true"]}]});
        let subnets = answer(&mut world, "DescribeSubnets", filters)["Subnets"].clone();
        let (subnet, vpc) = (subnets[0]["SubnetId"].clone(), subnets[0]["VpcId"].clone());
        assert!(is_public(&mut world, &subnet));
        let table = answer(&mut world, "CreateRouteTable", json!({"VpcId": vpc}));
        let table = table["RouteTable"]["RouteTableId"].clone();
        let association = json!({"RouteTableId": table, "SubnetId": subnet});
        let associated = answer(&mut world, "AssociateRouteTable", association.clone());
        assert!(!is_public(&mut world, &subnet));
        assert_eq!(
            refusal(&mut world, "AssociateRouteTable", association),
            "Resource.AlreadyAssociated"
        );
        let id = json!({"RouteTableId": table});
        assert_eq!(
            refusal(&mut world, "DeleteRouteTable", id.clone()),
            "DependencyViolation"
        );
        let associated = json!({"AssociationId": associated["AssociationId"]});
        answer(&mut world, "DisassociateRouteTable", associated);
        answer(&mut world, "DeleteRouteTable", id);
        assert!(is_public(&mut world, &subnet));
    }

    #[test]
    fn a_client_token_makes_a_route_table_once() {
        let mut world = fresh();
        let (vpc, ..) = vpc(&mut world);
        let mut create = |token: &str| {
            let input = json!({"VpcId": vpc, "ClientToken": token});
            answer(&mut world, "CreateRouteTable", input)["RouteTable"]["RouteTableId"].clone()
        };
        let first = create("one");
        assert_eq!(create("one"), first);
        assert_ne!(create("other"), first);
    }

    #[test]
    fn an_attached_gateway_is_neither_deleted_nor_attached_again() {
        let mut world = fresh();
        let (vpc, _, gateway) = vpc(&mut world);
        let id = json!({"InternetGatewayId": gateway});
        assert_eq!(
            refusal(&mut world, "DeleteInternetGateway", id.clone()),
            "DependencyViolation"
        );
        let attachment = json!({"InternetGatewayId": gateway, "VpcId": vpc});
        let refused = refusal(&mut world, "AttachInternetGateway", attachment.clone());
        assert_eq!(refused, "Resource.AlreadyAssociated");
        answer(&mut world, "DetachInternetGateway", attachment.clone());
        assert_eq!(
            refusal(&mut world, "DetachInternetGateway", attachment),
            "Gateway.NotAttached"
        );
        answer(&mut world, "DeleteInternetGateway", id);
    }
}
