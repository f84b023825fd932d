//! References that several sections share: VPC, subnets, security groups, hosted zones; and the
//! rules for their spelling.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;
use super::shape::Shape;

/// The VPC everything is built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vpc {
    /// The VPC with this id.
    Id(String),
    /// The region's default VPC.
    Default,
    /// The one VPC that carries all these tags.
    Tags(BTreeMap<String, String>),
}

/// The subnets of a load balancer or endpoint, one per availability zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subnets {
    /// Exactly these, in the order of the file.
    Ids(Vec<String>),
    /// All of the VPC that carry these tags.
    Tags(BTreeMap<String, String>),
    /// The default subnets of the default VPC.
    DefaultVpc,
}

/// The security groups of a load balancer or endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecurityGroups {
    /// One of our own, with exactly the rules that are needed.
    Own,
    /// Existing ones, used and never changed.
    Existing(Vec<String>),
}

/// A Route 53 hosted zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The zone with this id.
    Id(String),
    /// The zone of this name, without the trailing dot.
    Name(String),
}

/// The bucket of locks, bundles and CRLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Our own: `mtlsgw-<account>-<region>`.
    Own,
    /// An existing one, by name.
    Existing(String),
}

/// Tags that something existing is found by.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTags {
    /// Tags that it must carry, all of them.
    tags: BTreeMap<String, String>,
}

/// How `vpc` may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the form in the schema")]
pub(super) enum VpcForm {
    /// An id `vpc-…`, or `default` for the region's default VPC.
    Text(String),
    /// The one VPC that carries these tags.
    Tags(RawTags),
}

/// How `subnets` may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the form in the schema")]
pub(super) enum SubnetsForm {
    /// Ids `subnet-…`, one per availability zone.
    Ids(Vec<String>),
    /// All subnets of the VPC that carry these tags.
    Tags(RawTags),
}

impl Vpc {
    /// Reads the key `vpc`.
    pub(super) fn from_shape(shape: Shape<RawTags>, cx: &Context) -> Self {
        let path = KeyPath::top("vpc");
        match shape {
            Shape::Text(text) if text == "default" => Self::Default,
            Shape::Text(text) if is_id(&text, "vpc-") => Self::Id(text),
            Shape::Mapping(RawTags { tags }) => {
                refuse_empty_tags(&tags, &path, cx);
                Self::Tags(tags)
            }
            _ => {
                let fault = Fault::new(&path, "`vpc` names no VPC");
                cx.fault(fault.allowed("an id `vpc-…`, `default`, `{tags: {Name: main}}`"));
                Self::Default
            }
        }
    }
}

impl Subnets {
    /// Stands in for subnets that are at fault, so that the rest can be checked.
    pub(super) const NONE: Self = Self::Ids(Vec::new());

    /// Reads a key `subnets`.
    pub(super) fn from_shape(shape: Shape<RawTags>, path: &KeyPath, cx: &Context) -> Self {
        match shape {
            Shape::List(ids) if ids.is_empty() => {
                cx.fault(Fault::new(path, format!("`{path}` lists no subnet")));
                Self::NONE
            }
            Shape::List(ids) => {
                check_ids(&ids, "subnet-", path, cx);
                Self::Ids(ids)
            }
            Shape::Mapping(RawTags { tags }) => {
                refuse_empty_tags(&tags, path, cx);
                Self::Tags(tags)
            }
            other => {
                let allowed = "a list of ids `[subnet-…, subnet-…]`, `{tags: {Tier: public}}`";
                let mut fault = Fault::new(path, format!("`{path}` is no list")).allowed(allowed);
                if let Shape::Text(text) = other {
                    fault = fault.hint(format!("write `[{text}]`"));
                }
                cx.fault(fault);
                Self::NONE
            }
        }
    }
}

impl SecurityGroups {
    /// Reads a key `security_groups`.
    pub(super) fn from_list(ids: Option<Vec<String>>, path: &KeyPath, cx: &Context) -> Self {
        let Some(ids) = ids else { return Self::Own };
        if ids.is_empty() {
            let fault = Fault::new(path, format!("`{path}` lists no security group"));
            cx.fault(fault.hint("remove the key to get a security group of its own"));
        }
        check_ids(&ids, "sg-", path, cx);
        Self::Existing(ids)
    }
}

impl Zone {
    /// Reads a key `zone`: hosted zone ids are upper case, names are not.
    pub(super) fn from_text(text: &str, path: &KeyPath, cx: &Context) -> Self {
        let id = text.strip_prefix("/hostedzone/").unwrap_or(text);
        if id.starts_with('Z')
            && id
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        {
            return Self::Id(id.to_owned());
        }
        Self::Name(domain_name(text, path, cx))
    }
}

/// Reads a domain name; a trailing dot is dropped.
pub(super) fn domain_name(text: &str, path: &KeyPath, cx: &Context) -> String {
    let name = text.strip_suffix('.').unwrap_or(text);
    let lower = name.to_ascii_lowercase();
    if !is_domain_name(&lower) {
        let fault = Fault::new(path, format!("`{text}` is no domain name"));
        cx.fault(fault.allowed("labels of letters, digits and hyphens, such as `api.example.com`"));
    } else if lower != name {
        let fault = Fault::new(path, format!("`{text}` has upper-case letters"));
        cx.fault(fault.hint(format!("write `{lower}`")));
    }
    lower
}

/// Whether this is a name of at least two labels, the first of which may be `*`.
fn is_domain_name(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= 253 && host.contains('.') && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&label.len())
        && label.chars().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether a certificate for `pattern` is good for `name`: a wildcard stands for one label.
pub(crate) fn covers(pattern: &str, name: &str) -> bool {
    if pattern == name {
        return true;
    }
    let (Some(suffix), Some((_, rest))) = (pattern.strip_prefix("*."), name.split_once('.')) else {
        return false;
    };
    suffix == rest && !name.starts_with("*.")
}

/// Checks ids such as `subnet-0abc` and that none is listed twice.
fn check_ids(ids: &[String], prefix: &str, path: &KeyPath, cx: &Context) {
    for (index, id) in ids.iter().enumerate() {
        if !is_id(id, prefix) {
            let fault = Fault::new(&path.index(index), format!("`{id}` is no id `{prefix}…`"));
            cx.fault(fault);
        }
    }
    refuse_repetition(ids, path, cx);
}

/// Whether this is a resource id with the prefix.
pub(super) fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    })
}

/// Refuses a list that names something twice.
pub(super) fn refuse_repetition<T: Ord + ToString>(items: &[T], path: &KeyPath, cx: &Context) {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if !seen.insert(item) {
            let message = format!("`{}` is listed twice", item.to_string());
            cx.fault(Fault::new(&path.index(index), message));
        }
    }
}

/// Refuses text that is no ARN of the service in the stack's region.
pub(super) fn check_arn(arn: &str, service: &str, path: &KeyPath, cx: &Context) {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, found, region, _, resource]
            if partition.starts_with("aws") && *found == service && !resource.is_empty() =>
        {
            if *region != cx.region {
                let message = format!(
                    "`{arn}` is of region `{region}`, the stack of `{}`",
                    cx.region
                );
                cx.fault(Fault::new(path, message));
            }
        }
        _ => {
            let message = format!("`{arn}` is no ARN of {service}");
            cx.fault(Fault::new(path, message).allowed(format!("`arn:aws:{service}:…`")));
        }
    }
}

/// Refuses a number outside its range.
pub(super) fn check_range(
    value: impl Into<u64>,
    (least, most): (u64, u64),
    path: &KeyPath,
    cx: &Context,
) {
    let value = value.into();
    if !(least..=most).contains(&value) {
        let message = format!("`{path}` cannot be {value}");
        cx.fault(Fault::new(path, message).allowed(format!("{least} to {most}")));
    }
}

/// Refuses keys that make no sense beside one that names an existing thing.
pub(super) fn refuse_beside(named_by: &str, given: &[&str], path: &KeyPath, cx: &Context) {
    for key in given {
        let message =
            format!("`{key}` has no effect beside `{named_by}`, which names an existing thing");
        let fault = Fault::new(&path.key(key), message);
        cx.fault(fault.hint(format!(
            "remove `{key}`; what exists is used and never changed"
        )));
    }
}

fn refuse_empty_tags(tags: &BTreeMap<String, String>, path: &KeyPath, cx: &Context) {
    if tags.is_empty() {
        cx.fault(Fault::new(
            &path.key("tags"),
            format!("`{path}.tags` names no tag"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label_only() {
        assert!(covers("*.example.com", "a.example.com"));
        assert!(!covers("*.example.com", "a.b.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(covers("*.example.com", "*.example.com"));
        assert!(!covers("*.b.example.com", "*.example.com"));
        assert!(!covers("example.com", "a.example.com"));
    }

    #[test]
    fn domain_names_follow_the_rules_of_dns() {
        for good in ["example.com", "*.example.com", "a-b.1.example.com"] {
            assert!(is_domain_name(good), "{good}");
        }
        for bad in [
            "", "com", "*", "*.com", "a..b", "-a.com", "a.*.com", "a_b.com", "a.com/x",
        ] {
            assert!(!is_domain_name(bad), "{bad}");
        }
    }
}
