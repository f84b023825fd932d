//! The resource groups tagging API: what is tagged, over all services.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::world::{Call, Refusal, World};
use super::{acm, apigateway, ec2, elbv2, s3};

/// Operation and the top-level input members it models; any other member is refused by the wire layer.
pub(super) const OPERATIONS: &[(&str, &[&str])] = &[
    (
        "GetResources",
        &[
            "PaginationToken",
            "ResourceARNList",
            "ResourceTypeFilters",
            "ResourcesPerPage",
            "TagFilters",
        ],
    ),
    ("GetTagKeys", &["PaginationToken"]),
    ("GetTagValues", &["Key", "PaginationToken"]),
];

/// Answers one call.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tagged = tagged(world, call.region);
    match call.operation {
        "GetResources" => get_resources(tagged, call),
        "GetTagKeys" => Ok(json!({ "PaginationToken": "", "TagKeys": keys(&tagged) })),
        "GetTagValues" => {
            Ok(json!({ "PaginationToken": "", "TagValues": values(&tagged, call.required("Key")) }))
        }
        other => Err(Refusal::not_modelled(other, "the operation")),
    }
}

/// Every tagged resource of a region with its tags, by ARN.
fn tagged(world: &World, region: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let all = [
        acm::tagged(world, region),
        apigateway::tagged(world, region),
        ec2::tagged(world, region),
        elbv2::tagged(world, region),
        s3::tagged(world, region),
    ];
    all.into_iter()
        .flatten()
        .filter(|(_, tags)| !tags.is_empty())
        .collect()
}

fn keys(tagged: &BTreeMap<String, BTreeMap<String, String>>) -> BTreeSet<&str> {
    tagged
        .values()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .collect()
}

fn values<'t>(
    tagged: &'t BTreeMap<String, BTreeMap<String, String>>,
    key: &str,
) -> BTreeSet<&'t str> {
    tagged
        .values()
        .filter_map(|tags| tags.get(key))
        .map(String::as_str)
        .collect()
}

/// Lists what fits all filters, a page at a time.
fn get_resources(
    tagged: BTreeMap<String, BTreeMap<String, String>>,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let invalid = |message: &str| Err(Refusal::new("InvalidParameterException", message));
    let arns = call.texts("ResourceARNList");
    let others = [
        "ResourceTypeFilters",
        "TagFilters",
        "ResourcesPerPage",
        "PaginationToken",
    ];
    if !arns.is_empty()
        && others
            .iter()
            .any(|member| call.input.get(*member).is_some())
    {
        return invalid("ResourceARNList cannot be combined with any other parameter");
    }
    let most = call.integer("ResourcesPerPage").unwrap_or(50);
    let Some(most) = usize::try_from(most)
        .ok()
        .filter(|most| (1..=100).contains(most))
    else {
        return invalid("ResourcesPerPage must be between 1 and 100");
    };
    // ARNs are listed whole, else in pages.
    let most = if arns.is_empty() { most } else { usize::MAX };
    let after = call.text("PaginationToken").unwrap_or_default();
    let mut found = tagged.into_iter().filter(|(arn, tags)| {
        arn.as_str() > after
            && (arns.is_empty() || arns.contains(&arn.as_str()))
            && is_of_type(arn, &call.texts("ResourceTypeFilters"))
            && call
                .list("TagFilters")
                .iter()
                .all(|filter| fits(tags, filter))
    });
    let page: Vec<_> = found.by_ref().take(most).collect();
    let token = found.next().and(page.last()).map_or("", |(arn, _)| arn);
    let mapping = |(arn, tags): &(String, BTreeMap<String, String>)| {
        let tags: Vec<Value> = tags
            .iter()
            .map(|(key, value)| json!({ "Key": key, "Value": value }))
            .collect();
        json!({ "ResourceARN": arn, "Tags": tags })
    };
    Ok(
        json!({ "PaginationToken": token, "ResourceTagMappingList": page.iter().map(mapping).collect::<Vec<_>>() }),
    )
}

/// Whether tags have the filter's key with one of its values, or with any where it names none.
fn fits(tags: &BTreeMap<String, String>, filter: &Value) -> bool {
    let value = tags.get(filter["Key"].as_str().unwrap_or_default());
    let wanted = filter["Values"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    value.is_some_and(|value| wanted.is_empty() || wanted.iter().any(|wanted| wanted == value))
}

/// Whether an ARN is of one of the types `service[:type]`, or no types are asked for.
fn is_of_type(arn: &str, types: &[&str]) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, _, _, resource] = parts.as_slice() else {
        return false;
    };
    let resource = resource.trim_start_matches('/');
    let fits = |wanted: &str| match wanted.split_once(':') {
        None => wanted == *service,
        Some((named, kind)) => {
            let behind = resource.strip_prefix(kind);
            named == *service
                && behind.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
        }
    };
    types.is_empty() || types.iter().any(|wanted| fits(wanted))
}

#[cfg(test)]
mod tests {
    use super::{Call, fits, get_resources, is_of_type};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn types_are_matched_by_service_and_by_whole_words() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/1";
        assert!(is_of_type(arn, &[]));
        assert!(is_of_type(arn, &["ec2", "elasticloadbalancing"]));
        assert!(is_of_type(arn, &["elasticloadbalancing:loadbalancer"]));
        assert!(!is_of_type(arn, &["elasticloadbalancing:load"]));
        assert!(is_of_type(
            "arn:aws:apigateway:eu-west-1::/restapis/a",
            &["apigateway:restapis"]
        ));
    }

    #[test]
    fn filters_are_all_of_keys_and_any_of_values() {
        let found = tags(&[("mtlsgw:stack", "a"), ("env", "dev")]);
        assert!(fits(&found, &json!({ "Key": "mtlsgw:stack" })));
        assert!(fits(
            &found,
            &json!({ "Key": "env", "Values": ["prod", "dev"] })
        ));
        assert!(!fits(&found, &json!({ "Key": "env", "Values": ["prod"] })));
    }

    #[test]
    fn pages_join_to_the_whole() {
        let all: BTreeMap<_, _> = (0..7)
            .map(|n| {
                (
                    format!("arn:aws:acm:r:1:certificate/{n}"),
                    tags(&[("a", "b")]),
                )
            })
            .collect();
        let mut input = json!({ "ResourcesPerPage": 3 });
        let mut sizes = Vec::new();
        loop {
            let answer =
                get_resources(all.clone(), &Call::of("GetResources", &input)).expect("is allowed");
            sizes.push(
                answer["ResourceTagMappingList"]
                    .as_array()
                    .map_or(0, Vec::len),
            );
            if answer["PaginationToken"] == "" {
                break;
            }
            input["PaginationToken"] = answer["PaginationToken"].clone();
        }
        assert_eq!(sizes, [3, 3, 1]);
    }

    #[test]
    fn arns_stand_alone() {
        let input = json!({ "ResourceARNList": ["arn:aws:s3:::b"], "TagFilters": [] });
        let refused = get_resources(BTreeMap::new(), &Call::of("GetResources", &input))
            .expect_err("is refused");
        assert_eq!(refused.code, "InvalidParameterException");
    }
}
