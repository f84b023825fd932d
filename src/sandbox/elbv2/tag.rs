//! Tags of all the service's resources.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::arn::Kind;
use super::{State, invalid, page, state};
use crate::sandbox::world::{Call, Refusal, World};

/// Tags by key.
pub(in crate::sandbox) type Tags = BTreeMap<String, String>;

/// How many tags a resource can carry.
const MOST: usize = 50;

/// The tags that a call gives along: checked, not yet put on anything.
pub(super) fn given(call: &Call<'_>) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for (index, tag) in call.list("Tags").iter().enumerate() {
        call.models(&format!("Tags[{index}]"), tag, &["Key", "Value"])?;
        let text = |member| tag[member].as_str().unwrap_or_default().to_owned();
        let key = text("Key");
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!(
                "Tag key '{key}' is reserved: keys must not start with 'aws:'"
            )));
        }
        if tags.insert(key.clone(), text("Value")).is_some() {
            return Err(Refusal::new(
                "DuplicateTagKeys",
                format!("A tag key was specified more than once: '{key}'"),
            ));
        }
    }
    few_enough(tags)
}

fn few_enough(tags: Tags) -> Result<Tags, Refusal> {
    if tags.len() > MOST {
        return Err(Refusal::new(
            "TooManyTags",
            format!("The maximum number of tags per resource is {MOST}"),
        ));
    }
    Ok(tags)
}

/// `AddTags`.
pub(super) fn add(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let added = given(call)?;
    let state = state(world, call);
    let mut changed = Vec::new();
    for arn in existing(state, call)? {
        let mut tags = state.tags.get(arn).cloned().unwrap_or_default();
        tags.extend(added.clone());
        changed.push((arn.to_owned(), few_enough(tags)?));
    }
    state.tags.extend(changed);
    Ok(json!({}))
}

/// `RemoveTags`.
pub(super) fn remove(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let keys: BTreeSet<&str> = call.texts("TagKeys").into_iter().collect();
    let state = state(world, call);
    for arn in existing(state, call)? {
        if let Some(tags) = state.tags.get_mut(arn) {
            tags.retain(|key, _| !keys.contains(key.as_str()));
        }
    }
    Ok(json!({}))
}

/// `DescribeTags`.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let state = state(world, call);
    let descriptions: Vec<Value> = existing(state, call)?
        .into_iter()
        .map(|arn| json!({"ResourceArn": arn, "Tags": listed(state.tags.get(arn))}))
        .collect();
    Ok(json!({"TagDescriptions": descriptions}))
}

fn listed(tags: Option<&Tags>) -> Vec<Value> {
    tags.into_iter()
        .flatten()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// The ARNs of the call, each of which names something that exists.
fn existing<'a>(state: &State, call: &Call<'a>) -> Result<Vec<&'a str>, Refusal> {
    let arns = page::arns(call, "ResourceArns")?;
    for arn in &arns {
        let kind =
            Kind::of(arn).ok_or_else(|| invalid(format!("'{arn}' is not a valid resource ARN")))?;
        if !state.has(kind, arn) {
            return Err(kind.missing(arn));
        }
    }
    Ok(arns)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    #[test]
    fn trust_stores_are_tagged_but_unknown_to_the_tagging_api() {
        let mut account = Account::fresh();
        let load_balancer = account.load_balancer();
        let trust_store = account.trust_store("partners");
        let arns = json!([load_balancer, trust_store]);
        let tags = json!([{"Key": "mtlsgw:stack", "Value": "edge"}]);
        account.call("AddTags", json!({"ResourceArns": arns, "Tags": tags}));
        let output = account.call("DescribeTags", json!({"ResourceArns": arns}));
        assert_eq!(
            output["TagDescriptions"][0]["ResourceArn"],
            json!(load_balancer)
        );
        assert_eq!(output["TagDescriptions"][1]["Tags"], tags);
        let tagged = super::super::tagged(&account.world, "ap-northeast-1");
        let arns: Vec<&String> = tagged.iter().map(|(arn, _)| arn).collect();
        assert_eq!(arns, [&load_balancer]);
    }

    #[test]
    fn a_key_is_given_once_and_not_by_aws() {
        let mut account = Account::fresh();
        let load_balancer = account.load_balancer();
        let add = |tags: Value| json!({"ResourceArns": [load_balancer], "Tags": tags});
        let twice = add(json!([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]));
        assert_eq!(account.refused("AddTags", twice), "DuplicateTagKeys");
        let reserved = add(json!([{"Key": "aws:a", "Value": "1"}]));
        assert_eq!(account.refused("AddTags", reserved), "ValidationError");
        let many: Vec<Value> = (0..51)
            .map(|n| json!({"Key": n.to_string(), "Value": ""}))
            .collect();
        assert_eq!(account.refused("AddTags", add(json!(many))), "TooManyTags");
    }

    #[test]
    fn what_does_not_exist_has_no_tags() {
        let mut account = Account::fresh();
        let arn = format!("{}0", account.load_balancer());
        let input = json!({"ResourceArns": [arn]});
        assert_eq!(
            account.refused("DescribeTags", input),
            "LoadBalancerNotFound"
        );
    }
}
