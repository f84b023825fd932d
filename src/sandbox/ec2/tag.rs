//! Tags on everything of EC2 that can carry them.

use serde_json::{Value, json};

use super::query::{page, put_tags, select};
use super::{State, Tags};
use crate::sandbox::world::{Call, Refusal, World};

/// A resource's tags, with its type and id.
type Tagged<'a> = (&'static str, &'a str, &'a Tags);

impl State {
    /// Everything that exists and can be tagged.
    fn taggable(&self, now: i64) -> impl Iterator<Item = Tagged<'_>> {
        let vpcs = self.vpcs.iter().map(|(id, vpc)| ("vpc", id, &vpc.tags));
        let subnets = self
            .subnets
            .iter()
            .map(|(id, subnet)| ("subnet", id, &subnet.tags));
        let gateways = self
            .internet_gateways
            .iter()
            .map(|(id, gateway)| ("internet-gateway", id, &gateway.tags));
        let tables = self
            .route_tables
            .iter()
            .map(|(id, table)| ("route-table", id, &table.tags));
        let groups = self
            .security_groups
            .iter()
            .map(|(id, group)| ("security-group", id, &group.tags));
        let rules = self.security_groups.values().flat_map(|group| &group.rules);
        let rules = rules.map(|rule| ("security-group-rule", &rule.id, &rule.tags));
        let endpoints = self
            .vpc_endpoints
            .iter()
            .filter(move |(_, endpoint)| endpoint.exists(now));
        let endpoints = endpoints.map(|(id, endpoint)| ("vpc-endpoint", id, &endpoint.tags));
        let network = vpcs.chain(subnets).chain(gateways).chain(tables);
        network
            .chain(groups)
            .chain(rules)
            .chain(endpoints)
            .map(|(kind, id, tags)| (kind, id.as_str(), tags))
    }

    fn tags_mut(&mut self, id: &str, now: i64) -> Option<&mut Tags> {
        match id.split_once('-')?.0 {
            "vpc" => self.vpcs.get_mut(id).map(|vpc| &mut vpc.tags),
            "subnet" => self.subnets.get_mut(id).map(|subnet| &mut subnet.tags),
            "igw" => self
                .internet_gateways
                .get_mut(id)
                .map(|gateway| &mut gateway.tags),
            "rtb" => self.route_tables.get_mut(id).map(|table| &mut table.tags),
            "sg" => self
                .security_groups
                .get_mut(id)
                .map(|group| &mut group.tags),
            "sgr" => {
                let mut rules = self
                    .security_groups
                    .values_mut()
                    .flat_map(|group| &mut group.rules);
                rules.find(|rule| rule.id == id).map(|rule| &mut rule.tags)
            }
            "vpce" => {
                let endpoint = self
                    .vpc_endpoints
                    .get_mut(id)
                    .filter(|endpoint| endpoint.exists(now));
                endpoint.map(|endpoint| &mut endpoint.tags)
            }
            _ => None,
        }
    }
}

/// Every tagged resource of the region with its ARN, for the resource groups tagging API.
pub(in crate::sandbox) fn tagged(world: &World, region: &str) -> Vec<(String, Tags)> {
    let Some(region) = world.regions.get(region) else {
        return Vec::new();
    };
    let tagged = region
        .ec2
        .taggable(world.now)
        .filter(|(_, _, tags)| !tags.is_empty());
    tagged
        .map(|(kind, id, tags)| (region.ec2.arn(kind, id), tags.clone()))
        .collect()
}

/// Answers `CreateTags`: all of the resources or none.
pub(super) fn create_tags(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    change(world, call, |tags| put_tags(tags, call.list("Tags")))
}

/// Answers `DeleteTags`; a tag that is given with a value goes only if it has that value.
pub(super) fn delete_tags(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let given = call.list("Tags");
    let is_meant = |key: &str, value: &str| {
        let names = |tag: &Value| {
            tag["Key"] == key && tag.get("Value").is_none_or(|wanted| wanted == value)
        };
        given.is_empty() || given.iter().any(names)
    };
    change(world, call, |tags| {
        tags.retain(|key, value| !is_meant(key, value));
        Ok(())
    })
}

fn change(
    world: &mut World,
    call: &Call<'_>,
    alter: impl Fn(&mut Tags) -> Result<(), Refusal>,
) -> Result<Value, Refusal> {
    let now = world.now;
    let state = &mut world.region(call.region).ec2;
    let mut altered = Vec::new();
    for id in call.texts("Resources") {
        let Some(tags) = state.tags_mut(id, now) else {
            return Err(Refusal::new(
                "InvalidID",
                format!("The ID '{id}' is not valid"),
            ));
        };
        let mut tags = tags.clone();
        alter(&mut tags)?;
        altered.push((id, tags));
    }
    for (id, tags) in altered {
        if let Some(held) = state.tags_mut(id, now) {
            *held = tags;
        }
    }
    Ok(json!({}))
}

/// Answers `DescribeTags`.
pub(super) fn describe_tags(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let now = world.now;
    let state = &world.region(call.region).ec2;
    let mut found: Vec<Value> = state
        .taggable(now)
        .flat_map(|(kind, id, tags)| tags.iter().map(move |(key, value)| (kind, id, key, value)))
        .map(|(kind, id, key, value)| {
            json!({"ResourceType": kind, "ResourceId": id, "Key": key, "Value": value})
        })
        .collect();
    let place = |tag: &Value| format!("{}\n{}", tag["ResourceId"], tag["Key"]);
    found.sort_by_key(place);
    select(call, FILTERS, &mut found)?;
    page(call, "Tags", found, place)
}

const FILTERS: &[(&str, &str)] = &[
    ("key", "Key"),
    ("resource-id", "ResourceId"),
    ("resource-type", "ResourceType"),
    ("value", "Value"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{answer, each, fresh, refusal};
    use super::*;

    #[test]
    fn tags_are_put_to_all_resources_or_none() {
        let mut world = fresh();
        let vpc = answer(&mut world, "DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"].clone();
        let tags = json!([{"Key": "a", "Value": "1"}]);
        let one_missing = json!({"Resources": [vpc, "vpc-0123456789abcdef0"], "Tags": tags});
        assert_eq!(refusal(&mut world, "CreateTags", one_missing), "InvalidID");
        assert_eq!(
            answer(&mut world, "DescribeTags", json!({}))["Tags"],
            json!([])
        );
        answer(
            &mut world,
            "CreateTags",
            json!({"Resources": [vpc], "Tags": tags}),
        );
        let described = answer(&mut world, "DescribeTags", json!({}))["Tags"].clone();
        assert_eq!(each(&described, "/ResourceType"), ["vpc"]);
        let (arn, tags) = tagged(&world, "us-east-1").remove(0);
        assert_eq!(
            arn,
            format!(
                "arn:aws:ec2:us-east-1:123456789012:vpc/{}",
                vpc.as_str().unwrap()
            )
        );
        assert_eq!(tags["a"], "1");
    }

    #[test]
    fn a_tag_is_deleted_by_its_key_or_by_key_and_value() {
        let mut world = fresh();
        let vpc = answer(&mut world, "DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"].clone();
        let tags = json!([
            {"Key": "a", "Value": "1"},
            {"Key": "b", "Value": "2"},
            {"Key": "c", "Value": "3"},
        ]);
        answer(
            &mut world,
            "CreateTags",
            json!({"Resources": [vpc], "Tags": tags}),
        );
        let gone =
            json!([{"Key": "a"}, {"Key": "b", "Value": "other"}, {"Key": "c", "Value": "3"}]);
        answer(
            &mut world,
            "DeleteTags",
            json!({"Resources": [vpc], "Tags": gone}),
        );
        let left = answer(&mut world, "DescribeTags", json!({}))["Tags"].clone();
        assert_eq!(each(&left, "/Key"), ["b"]);
    }
}
