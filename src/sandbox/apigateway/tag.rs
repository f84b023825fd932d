//! Tags of APIs, stages, domains and VPC links, by their ARNs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{State, bad_request, not_found, partition, state, text_map};
use crate::sandbox::world::{Call, Refusal, World};

/// Tags per resource.
const TAGS: usize = 50;

/// Answers the calls about tags; `GetTags` has no pages, though its model has their members.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "GetTags" => tags(world, call).map(|tags| json!({ "tags": tags })),
        "TagResource" => tag(world, call),
        "UntagResource" => untag(world, call),
        _ => return None,
    })
}

/// The ARN of an API Gateway resource; it has no account.
pub(super) fn arn(region: &str, path: &str) -> String {
    format!("arn:{}:apigateway:{region}::{path}", partition(region))
}

/// Every tagged resource with its ARN, for the resource groups tagging API.
pub(in crate::sandbox) fn tagged(
    world: &World,
    region: &str,
) -> Vec<(String, BTreeMap<String, String>)> {
    let Some(state) = world.regions.get(region).map(|region| &region.apigateway) else {
        return Vec::new();
    };
    let mut tagged = Vec::new();
    for api in state.apis.values() {
        let path = format!("/restapis/{}", api.id);
        for (name, stage) in &api.stages {
            tagged.push((
                arn(region, &format!("{path}/stages/{name}")),
                stage.tags.clone(),
            ));
        }
        tagged.push((arn(region, &path), api.tags.clone()));
    }
    for (name, domain) in &state.domains {
        tagged.push((
            arn(region, &format!("/domainnames/{name}")),
            domain.tags.clone(),
        ));
    }
    for (id, link) in &state.vpc_links {
        tagged.push((arn(region, &format!("/vpclinks/{id}")), link.tags.clone()));
    }
    tagged.retain(|(_, tags)| !tags.is_empty());
    tagged
}

/// Refuses tags that AWS does not take.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(bad_request(format!("Invalid tag: '{key}'")));
        }
        if key.starts_with("aws:") {
            return Err(bad_request("Tag keys cannot start with aws:"));
        }
    }
    if tags.len() > TAGS {
        return Err(bad_request(format!(
            "A resource can have at most {TAGS} tags"
        )));
    }
    Ok(())
}

/// The tags of the resource that the call names.
fn tags<'w>(
    world: &'w mut World,
    call: &Call<'_>,
) -> Result<&'w mut BTreeMap<String, String>, Refusal> {
    let text = call.required("resourceArn");
    let prefix = arn(call.region, "/");
    let Some(path) = text.strip_prefix(&prefix) else {
        return Err(bad_request(format!("Invalid ARN specified: {text}")));
    };
    let segments: Vec<&str> = path.split('/').collect();
    find(state(world, call), &segments)
        .ok_or_else(|| not_found(format!("Invalid resource identifier specified: {text}")))
}

/// The tags of the resource at a path.
fn find<'s>(state: &'s mut State, segments: &[&str]) -> Option<&'s mut BTreeMap<String, String>> {
    match segments {
        ["restapis", api] => Some(&mut state.apis.get_mut(*api)?.tags),
        ["restapis", api, "stages", stage] => {
            Some(&mut state.apis.get_mut(*api)?.stages.get_mut(*stage)?.tags)
        }
        ["vpclinks", link] => Some(&mut state.vpc_links.get_mut(*link)?.tags),
        ["domainnames", domain] => Some(&mut state.domains.get_mut(*domain)?.tags),
        _ => None,
    }
}

/// `TagResource`.
fn tag(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = tags(world, call)?;
    let mut wanted = tags.clone();
    wanted.extend(text_map(&call.input["tags"]));
    check(&wanted)?;
    *tags = wanted;
    Ok(json!({}))
}

/// `UntagResource`.
fn untag(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = tags(world, call)?;
    for key in call.texts("tagKeys") {
        tags.remove(key);
    }
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{petstore, refused, tell, world};
    use super::*;

    #[test]
    fn tags_are_found_by_an_arn_without_account() {
        let world = &mut world();
        let api = petstore(world);
        let arn = format!("arn:aws:apigateway:ap-northeast-1::/restapis/{api}");
        tell(
            world,
            "TagResource",
            json!({ "resourceArn": arn, "tags": { "a": "1", "b": "2" } }),
        );
        tell(
            world,
            "UntagResource",
            json!({ "resourceArn": arn, "tagKeys": ["a"] }),
        );
        assert_eq!(
            tell(world, "GetTags", json!({ "resourceArn": arn }))["tags"],
            json!({ "b": "2" })
        );
        let tagged = tagged(world, "ap-northeast-1");
        assert_eq!(
            tagged,
            [(arn, BTreeMap::from([("b".to_owned(), "2".to_owned())]))]
        );
    }

    #[test]
    fn tags_of_aws_are_refused() {
        let world = &mut world();
        let arn = format!(
            "arn:aws:apigateway:ap-northeast-1::/restapis/{}",
            petstore(world)
        );
        let input = json!({ "resourceArn": arn, "tags": { "aws:x": "1" } });
        assert_eq!(
            refused(world, "TagResource", input).0,
            "BadRequestException"
        );
    }
}
