//! What the Describe operations have in common: ids, filters, pages; and the tags of an input.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Tags;
use crate::sandbox::world::{Call, Refusal};

/// How one Describe operation finds its resources among all of their kind.
///
/// Filters compare members of the answer itself, so that a filter cannot disagree with what is
/// shown.
pub(super) struct Listing {
    /// The output member that carries what was found, `Vpcs`.
    pub(super) output: &'static str,
    /// The input member that carries the ids asked for, `VpcIds`.
    pub(super) ids: &'static str,
    /// The member of a resource that is its id, `VpcId`.
    pub(super) id: &'static str,
    /// What an id begins with, `vpc-`.
    pub(super) prefix: &'static str,
    /// What AWS calls the id in messages, `vpc ID`.
    pub(super) noun: &'static str,
    /// The code for an id that does not exist, `InvalidVpcID.NotFound`.
    pub(super) not_found: &'static str,
    /// The code for an id that cannot be one, `InvalidVpcId.Malformed`.
    pub(super) malformed: &'static str,
    /// The filters besides those for tags, each with the path of the members it compares.
    pub(super) filters: &'static [(&'static str, &'static str)],
}

impl Listing {
    /// Answers the call with those of the resources (in the order of their ids) that it asks for.
    pub(super) fn answer(&self, call: &Call<'_>, resources: Vec<Value>) -> Result<Value, Refusal> {
        let asked = call.texts(self.ids);
        if !asked.is_empty() && call.integer("MaxResults").is_some() {
            let message = format!(
                "The parameter {} cannot be used with the parameter maxResults",
                self.ids
            );
            return Err(Refusal::new("InvalidParameterCombination", message));
        }
        for id in &asked {
            self.exists(
                id,
                resources.iter().any(|resource| resource[self.id] == **id),
            )?;
        }
        let mut found = resources;
        found.retain(|resource| {
            asked.is_empty() || asked.iter().any(|id| resource[self.id] == **id)
        });
        select(call, self.filters, &mut found)?;
        page(call, self.output, found, |resource| {
            resource[self.id].as_str().unwrap_or_default().to_owned()
        })
    }

    /// Refuses an id in AWS's words unless it exists.
    pub(super) fn exists(&self, id: &str, exists: bool) -> Result<(), Refusal> {
        if exists {
            Ok(())
        } else {
            Err(self.missing(id))
        }
    }

    /// AWS's words for an id that is malformed or names nothing.
    pub(super) fn missing(&self, id: &str) -> Refusal {
        let digits = id.strip_prefix(self.prefix);
        if digits.is_some_and(|rest| {
            rest.len() >= 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        }) {
            return Refusal::new(
                self.not_found,
                format!("The {} '{id}' does not exist", self.noun),
            );
        }
        Refusal::new(
            self.malformed,
            format!("Invalid id: \"{id}\" (expecting \"{}...\")", self.prefix),
        )
    }
}

/// Keeps the resources that every filter of the call admits.
pub(super) fn select(
    call: &Call<'_>,
    known: &[(&str, &'static str)],
    resources: &mut Vec<Value>,
) -> Result<(), Refusal> {
    let filters = Filter::read(call, known)?;
    resources.retain(|resource| filters.iter().all(|filter| filter.admits(resource)));
    Ok(())
}

/// One filter of a call.
struct Filter<'a> {
    compared: Compared<'a>,
    values: Vec<&'a str>,
}

/// What a filter compares with its values.
enum Compared<'a> {
    Members(&'static str),
    TagValue(&'a str),
    TagKeys,
}

impl<'a> Filter<'a> {
    fn read(call: &Call<'a>, known: &[(&str, &'static str)]) -> Result<Vec<Self>, Refusal> {
        let mut filters = Vec::new();
        for given in call.list("Filters") {
            let name = given["Name"].as_str().unwrap_or_default();
            let values = given["Values"].as_array().map_or(&[][..], Vec::as_slice);
            let path = known
                .iter()
                .find(|(filter, _)| *filter == name)
                .map(|(_, path)| *path);
            let compared = match (path, name.strip_prefix("tag:")) {
                (Some(path), _) => Compared::Members(path),
                (None, Some(key)) => Compared::TagValue(key),
                (None, None) if name == "tag-key" => Compared::TagKeys,
                (None, None) => {
                    return Err(Refusal::new(
                        "InvalidParameterValue",
                        format!("The filter '{name}' is invalid"),
                    ));
                }
            };
            filters.push(Self {
                compared,
                values: values.iter().filter_map(Value::as_str).collect(),
            });
        }
        Ok(filters)
    }

    fn admits(&self, resource: &Value) -> bool {
        let mut found = Vec::new();
        let tags = resource["Tags"]
            .as_array()
            .or_else(|| resource["TagSet"].as_array());
        let tags = tags.map_or(&[][..], Vec::as_slice);
        match self.compared {
            Compared::Members(path) => collect(resource, path, &mut found),
            Compared::TagKeys => tags.iter().for_each(|tag| collect(tag, "Key", &mut found)),
            Compared::TagValue(key) => {
                tags.iter()
                    .filter(|tag| tag["Key"] == key)
                    .for_each(|tag| collect(tag, "Value", &mut found));
            }
        }
        found.iter().any(|value| {
            self.values
                .iter()
                .any(|pattern| matches(pattern.as_bytes(), value.as_bytes()))
        })
    }
}

/// Adds the texts at the path, in every element where the path leads through lists.
fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    match (value, path.split_once('.')) {
        (Value::Array(elements), _) => elements
            .iter()
            .for_each(|element| collect(element, path, found)),
        (Value::Object(members), Some((first, rest))) => {
            members
                .get(first)
                .into_iter()
                .for_each(|member| collect(member, rest, found));
        }
        (Value::Object(members), None) if !path.is_empty() => {
            members
                .get(path)
                .into_iter()
                .for_each(|member| collect(member, "", found));
        }
        (Value::String(text), _) => found.push(text.clone()),
        (Value::Null | Value::Object(_), _) => {}
        (Value::Bool(_) | Value::Number(_), _) => found.push(value.to_string()),
    }
}

/// Says whether the text matches a filter's pattern, in which `*` stands for any text and `?` for
/// any character.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if matches(rest, text) => true,
        (Some((b'*', _)), Some((_, text))) => matches(pattern, text),
        (Some((b'?', pattern)), Some((_, text))) => matches(pattern, text),
        (Some((wanted, pattern)), Some((byte, text))) if wanted == byte => matches(pattern, text),
        _ => false,
    }
}

/// Cuts a page out of what was found, which is in the order of its keys; the token is the last key
/// of the page before.
pub(super) fn page(
    call: &Call<'_>,
    output: &str,
    found: Vec<Value>,
    key: impl Fn(&Value) -> String,
) -> Result<Value, Refusal> {
    let after = call.text("NextToken").map(read_token).transpose()?;
    let is_before = |resource: &Value| after.as_ref().is_some_and(|last| key(resource) <= *last);
    let mut rest = found.into_iter().skip_while(is_before).peekable();
    let size = call.integer("MaxResults").map_or(1000, |size| {
        usize::try_from(size).unwrap_or(1).clamp(1, 1000)
    });
    let page: Vec<Value> = rest.by_ref().take(size).collect();
    let token = rest
        .peek()
        .and(page.last())
        .map(|last| URL_SAFE_NO_PAD.encode(key(last)));
    let mut answer = Map::new();
    answer.insert(output.to_owned(), page.into());
    answer.insert("NextToken".to_owned(), token.into());
    Ok(answer.into())
}

fn read_token(token: &str) -> Result<String, Refusal> {
    let refusal = || Refusal::new("InvalidNextToken", "The specified NextToken is not valid");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refusal())?;
    String::from_utf8(bytes).map_err(|_| refusal())
}

/// Refuses every value but one of a member that the sandbox does not model further.
pub(super) fn only(call: &Call<'_>, member: &str, modelled: &str) -> Result<(), Refusal> {
    match call.input.get(member) {
        Some(Value::String(text)) if text != modelled => {
            Err(Refusal::not_modelled(call.operation, text))
        }
        Some(Value::Bool(value)) if value.to_string() != modelled => {
            Err(Refusal::not_modelled(call.operation, member))
        }
        _ => Ok(()),
    }
}

/// The tags that the call gives to what it creates.
pub(super) fn tags_on_create(call: &Call<'_>, resource_type: &str) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for specification in call.list("TagSpecifications") {
        let given = specification["ResourceType"].as_str().unwrap_or_default();
        if given != resource_type {
            let message =
                format!("'{given}' is not a valid taggable resource type for this operation.");
            return Err(Refusal::new("InvalidParameterValue", message));
        }
        let listed = specification["Tags"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        put_tags(&mut tags, listed)?;
    }
    Ok(tags)
}

/// Puts a call's tags to those that a resource has, within EC2's limits.
pub(super) fn put_tags(tags: &mut Tags, given: &[Value]) -> Result<(), Refusal> {
    let mut seen = Vec::new();
    for tag in given {
        let (key, value) = (
            tag["Key"].as_str().unwrap_or_default(),
            tag["Value"].as_str().unwrap_or_default(),
        );
        check_tag(key, value)?;
        if seen.contains(&key) {
            return Err(Refusal::new(
                "InvalidParameterValue",
                format!("Duplicate tag key '{key}' specified."),
            ));
        }
        seen.push(key);
        tags.insert(key.to_owned(), value.to_owned());
    }
    if tags.len() > 50 {
        return Err(Refusal::new(
            "TagLimitExceeded",
            "The maximum number of Tags for a resource has been reached.",
        ));
    }
    Ok(())
}

fn check_tag(key: &str, value: &str) -> Result<(), Refusal> {
    let message = match key {
        "" => "Tag key must have a minimum length of 1 character",
        _ if key.chars().count() > 127 => "Tag key exceeds the maximum length of 127 characters",
        _ if key.starts_with("aws:") => {
            "Tag keys starting with 'aws:' are reserved for internal use"
        }
        _ if value.chars().count() > 256 => {
            "Tag value exceeds the maximum length of 256 characters"
        }
        _ => return Ok(()),
    };
    Err(Refusal::new("InvalidParameterValue", message))
}

/// The tags as an answer carries them.
pub(super) fn tag_list(tags: &Tags) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{answer, each, fresh, refusal};
    use super::*;

    #[test]
    fn patterns_match_as_ec2_filters_do() {
        for (pattern, text, expected) in [
            ("web", "web", true),
            ("web", "Web", false),
            ("w*b", "web", true),
            ("w?b", "wb", false),
            ("*", "", true),
            ("*.local", "db.local", true),
            ("", "x", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn unknown_filters_are_refused() {
        let filters = json!({"Filters": [{"Name": "colour", "Values": ["red"]}]});
        assert_eq!(
            refusal(&mut fresh(), "DescribeVpcs", filters),
            "InvalidParameterValue"
        );
    }

    #[test]
    fn filters_for_tags_compare_keys_and_values() {
        let mut world = fresh();
        let tags = json!([{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "main"}]}]);
        let vpc = json!({"CidrBlock": "10.0.0.0/16", "TagSpecifications": tags});
        let id = answer(&mut world, "CreateVpc", vpc)["Vpc"]["VpcId"].clone();
        for (name, value, found) in [
            ("tag:Name", "main", 1),
            ("tag:Name", "other", 0),
            ("tag:name", "main", 0),
            ("tag-key", "Name", 1),
        ] {
            let filters = json!({"Filters": [{"Name": name, "Values": [value]}]});
            let vpcs = answer(&mut world, "DescribeVpcs", filters)["Vpcs"].clone();
            assert_eq!(vpcs.as_array().unwrap().len(), found, "{name}={value}");
            assert!(found == 0 || vpcs[0]["VpcId"] == id);
        }
    }

    #[test]
    fn ids_that_name_nothing_are_told_from_those_that_cannot_be_ids() {
        let mut world = fresh();
        let mut refused =
            |id: &str| refusal(&mut world, "DescribeSubnets", json!({"SubnetIds": [id]}));
        assert_eq!(
            refused("subnet-0123456789abcdef0"),
            "InvalidSubnetID.NotFound"
        );
        assert_eq!(refused("subnet-x"), "InvalidSubnetId.Malformed");
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let mut world = fresh();
        for index in 0..7 {
            let group = json!({"GroupName": format!("group {index}"), "Description": "x"});
            answer(&mut world, "CreateSecurityGroup", group);
        }
        let mut found = Vec::new();
        let mut input = json!({"MaxResults": 5});
        loop {
            let page = answer(&mut world, "DescribeSecurityGroups", input);
            found.extend(
                each(&page["SecurityGroups"], "/GroupId")
                    .into_iter()
                    .map(str::to_owned),
            );
            let Some(token) = page["NextToken"].as_str() else {
                break;
            };
            input = json!({"MaxResults": 5, "NextToken": token});
        }
        found.dedup();
        assert_eq!(found.len(), 8);
        let token = json!({"NextToken": "?"});
        assert_eq!(
            refusal(&mut world, "DescribeSecurityGroups", token),
            "InvalidNextToken"
        );
    }

    #[test]
    fn pages_and_ids_do_not_go_together() {
        let mut world = fresh();
        let vpc = answer(&mut world, "DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"].clone();
        let both = json!({"VpcIds": [vpc], "MaxResults": 5});
        assert_eq!(
            refusal(&mut world, "DescribeVpcs", both),
            "InvalidParameterCombination"
        );
    }

    #[test]
    fn tags_given_at_creation_are_for_what_is_created() {
        let mut world = fresh();
        let mut create = |resource_type: &str, key: &str| {
            let tags =
                json!([{"ResourceType": resource_type, "Tags": [{"Key": key, "Value": "1"}]}]);
            refusal(
                &mut world,
                "CreateVpc",
                json!({"CidrBlock": "10.0.0.0/16", "TagSpecifications": tags}),
            )
        };
        assert_eq!(create("subnet", "a"), "InvalidParameterValue");
        assert_eq!(create("vpc", "aws:a"), "InvalidParameterValue");
    }
}
