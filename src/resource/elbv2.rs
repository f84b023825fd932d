//! What the kinds of Elastic Load Balancing share: tags, attributes, whose something is.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::Tag;
use futures::future::try_join_all;
use serde_json::Value;

use super::{Address, Cx, Found, Outputs, Owner, Reader, Wanted, swept};
use crate::aws::tags::Tags;
use crate::aws::{Aws, AwsError};
use crate::diff::{Change, Diff};
use crate::error::{Error, Result};

/// How many ARNs `DescribeTags` takes.
const TAGGED_AT_ONCE: usize = 20;

/// The most that a page of a listing may hold; AWS does not say how many it holds by itself, and pages
/// are read one after another.
pub(super) const PAGE: i32 = 400;

/// How many attributes one call may set.
pub(super) const ATTRIBUTES_AT_ONCE: usize = 20;

/// Attributes by AWS's keys; all values are text on the wire.
pub(crate) type Attributes = BTreeMap<String, String>;

/// Takes AWS's "there is no such thing" for a value.
pub(super) fn absent_is<T>(answer: Result<T>, code: &str, value: T) -> Result<T> {
    match answer {
        Err(error) if error.is_code(code) => Ok(value),
        other => other,
    }
}

/// Reads the tags of everything in `arns`, by ARN.
pub(crate) async fn tags_of(aws: &Aws, arns: &[String]) -> Result<BTreeMap<String, Tags>> {
    let chunks = arns.chunks(TAGGED_AT_ONCE).map(async |chunk| -> Result<_> {
        let send = aws
            .elbv2
            .describe_tags()
            .set_resource_arns(Some(chunk.to_vec()))
            .send();
        let answer = aws.call("elbv2:DescribeTags", send).await?;
        Ok(answer.tag_descriptions.unwrap_or_default())
    });
    let described = try_join_all(chunks).await?.into_iter().flatten();
    let by_arn = described.map(|one| {
        let pairs = one.tags().iter();
        let pairs = pairs.map(|tag| {
            (
                tag.key().unwrap_or_default(),
                tag.value().unwrap_or_default(),
            )
        });
        (
            one.resource_arn().unwrap_or_default().to_owned(),
            Tags::live(pairs),
        )
    });
    Ok(by_arn.collect())
}

/// The tags as a creation sends them.
pub(super) fn sdk_tags(tags: &Tags) -> Vec<Tag> {
    tags.0
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// Sets and removes tags so that they become `want`.
pub(super) async fn put_tags(cx: &Cx, arn: &str, want: &Tags, live: &Tags) -> Result<()> {
    let (aws, (set, removed)) = (cx.aws(), want.changes(live));
    // `mtlsgw:tags` goes on naming what leaves until it has left.
    if !removed.is_empty() {
        let send = aws
            .elbv2
            .remove_tags()
            .resource_arns(arn)
            .set_tag_keys(Some(removed))
            .send();
        aws.call("elbv2:RemoveTags", send).await?;
    }
    if !set.is_empty() {
        let tags = sdk_tags(&Tags(set.into_iter().collect()));
        let send = aws
            .elbv2
            .add_tags()
            .resource_arns(arn)
            .set_tags(Some(tags))
            .send();
        aws.call("elbv2:AddTags", send).await?;
    }
    Ok(())
}

/// The ARNs of what is not called as ours, but carries the tags of a stack of the run, or is named in
/// its file.
pub(super) async fn known<R: Wanted>(reader: &Reader) -> Result<BTreeSet<String>> {
    let swept = swept::arns(reader).await?;
    Ok(swept.iter().cloned().chain(reader.named::<R>()).collect())
}

/// A place in a stack of the run, and who stands in it.
#[derive(Debug)]
pub(super) struct Claim {
    /// The stack's name.
    pub(super) stack: String,
    /// The address in the stack.
    pub(super) address: Address,
    /// Who stands there.
    pub(super) owner: Owner,
}

/// Says where something live belongs by its tags, or whose place it takes without being ours.
///
/// `what` names it for people; `takes_place_of` says whether it stands where
/// a stack wants one. Where two of a stack cannot stand, what stands there already is what is
/// wanted there, whatever its tags call it: a section that got another name keeps its resource.
pub(super) fn claims<R: Wanted>(
    reader: &Reader,
    tags: &Tags,
    what: &str,
    takes_place_of: impl Fn(&str, &R) -> bool,
) -> Vec<Claim> {
    let mut places = reader
        .wanted::<R>()
        .filter(|(scope, _, want)| takes_place_of(&scope.name, want));
    if let Some((stack, tagged)) = place(reader, tags) {
        let wanted = places.find(|(scope, _, _)| scope.name == stack);
        return vec![Claim {
            address: wanted.map_or(tagged, |(_, address, _)| address.clone()),
            stack,
            owner: Owner::Ours,
        }];
    }
    let claim = |stack: &str, address: &Address| Claim {
        stack: stack.to_owned(),
        address: address.clone(),
        owner: Owner::Foreign(match tags.stack() {
            None => format!("{what} exists and is not this stack's"),
            Some(other) => {
                format!("{what} exists and is not this stack's, but of the stack `{other}`")
            }
        }),
    };
    places
        .map(|(scope, address, _)| claim(&scope.name, address))
        .collect()
}

/// What something live is to each of the stacks that claim it.
pub(super) fn found<R: Wanted>(
    claims: Vec<Claim>,
    id: &str,
    tags: &Tags,
    spec: &R,
    outputs: &Outputs,
) -> Vec<Found<R>> {
    let found = claims.into_iter().map(|claim| Found {
        stack: claim.stack,
        address: claim.address,
        id: id.to_owned(),
        owner: claim.owner,
        protected: tags.protected(),
        retained: None,
        spec: spec.clone(),
        outputs: outputs.clone(),
    });
    found.collect()
}

/// Where something live of ours belongs in a stack of the run.
pub(super) fn place(reader: &Reader, tags: &Tags) -> Option<(String, Address)> {
    let (stack, address) = (tags.stack()?, tags.address()?);
    reader.has_stack(stack).then(|| (stack.to_owned(), address))
}

/// Goes on with what exists already if its tags say that it is ours, as after a lost reply.
///
/// # Errors
///
/// AWS's refusal, when the existing one is somebody else's.
pub(super) async fn adopt(cx: &Cx, refusal: AwsError, existing: Option<String>) -> Result<String> {
    let Some(arn) = existing else {
        return Err(refusal.into());
    };
    let tags = tags_of(cx.aws(), std::slice::from_ref(&arn)).await?;
    let ours = |tags: &Tags| {
        tags.stack() == Some(cx.stack()) && tags.address().as_ref() == Some(&cx.address)
    };
    if tags.get(&arn).is_some_and(ours) {
        Ok(arn)
    } else {
        Err(refusal.into())
    }
}

/// The attributes as they should be: as wanted, and otherwise as AWS's default has them.
pub(super) fn held<'a>(
    want: &Attributes,
    defaults: impl IntoIterator<Item = (&'a str, &'a str)>,
    unmanaged: &BTreeSet<String>,
) -> Attributes {
    let defaults = defaults
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut held: Attributes = defaults.collect();
    held.extend(want.iter().map(|(key, value)| (key.clone(), normal(value))));
    held.retain(|key, _| !unmanaged.contains(key));
    held
}

/// The live attributes in the form in which they are compared.
pub(super) fn live<K, V>(pairs: impl IntoIterator<Item = (Option<K>, Option<V>)>) -> Attributes
where
    K: Into<String>,
    V: AsRef<str>,
{
    let known = pairs.into_iter().filter_map(|(key, value)| key.zip(value));
    known
        .map(|(key, value)| (key.into(), normal(value.as_ref())))
        .collect()
}

/// AWS compares booleans without regard to case and answers in lower case.
fn normal(value: &str) -> String {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
        return value.to_ascii_lowercase();
    }
    value.to_owned()
}

/// Compares attributes one by one; a live one that AWS does not report has its default.
pub(super) fn diff_attributes(
    held: &Attributes,
    want: &Attributes,
    live: Option<&Attributes>,
    diff: &mut Diff<'_>,
) {
    for (key, value) in held {
        let path = format!("attributes.{key}");
        diff.compares(&path);
        let before = live.and_then(|live| live.get(key));
        if before == Some(value) || (before.is_none() && !want.contains_key(key)) {
            continue;
        }
        let before = before.map_or(Value::Null, |before| Value::from(before.as_str()));
        diff.differs(&path, before, Value::from(value.as_str()));
    }
}

/// The wanted attributes that a new resource does not have by itself.
pub(super) fn beyond(defaults: &[(&str, &str)], want: &Attributes) -> Vec<(String, String)> {
    let by_itself = |key: &str, value: &str| defaults.contains(&(key, normal(value).as_str()));
    let wanted = want.iter().filter(|(key, value)| !by_itself(key, value));
    wanted
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The attributes that the changes set.
pub(super) fn changed_attributes(changes: &[Change]) -> Vec<(String, String)> {
    let attribute = |change: &Change| {
        let key = change.path.strip_prefix("attributes.")?;
        Some((key.to_owned(), change.after.as_str()?.to_owned()))
    };
    changes.iter().filter_map(attribute).collect()
}

/// Adds to a wait that took too long what AWS says of the reason.
pub(super) async fn with_reason<T>(
    waited: Result<T>,
    reason: impl AsyncFnOnce() -> Result<String>,
) -> Result<T> {
    match waited {
        Err(Error::Step {
            address,
            message,
            hint,
        }) => {
            let message = match reason().await {
                Ok(reason) if !reason.is_empty() => format!("{message}: {reason}"),
                _ => message,
            };
            Err(Error::Step {
                address,
                message,
                hint,
            })
        }
        other => other,
    }
}

/// Replaces an error by one that adds what to do about it.
pub(super) fn with_hint(cx: &Cx, error: &Error, hint: impl Into<String>) -> Error {
    Error::Step {
        address: cx.address.clone(),
        message: error.without_address(),
        hint: Some(hint.into()),
    }
}

/// The live attributes that are not as they are held without being named.
pub(super) fn unusual(held: &Attributes, live: &Attributes) -> Attributes {
    let differs =
        |(key, value): &(&String, &String)| live.get(*key).is_some_and(|one| one != *value);
    let keys = held.iter().filter(differs).map(|(key, _)| key);
    keys.filter_map(|key| Some((key.clone(), live.get(key)?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: [(&str, &str); 2] = [("http2", "true"), ("idle", "60")];

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn changed(
        want: &Attributes,
        unmanaged: &BTreeSet<String>,
        live: &Attributes,
    ) -> Vec<(String, String)> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        diff_attributes(
            &held(want, DEFAULTS, unmanaged),
            want,
            Some(live),
            &mut diff,
        );
        changed_attributes(&diff.into_changes())
    }

    #[test]
    fn unlisted_attributes_are_held_at_the_default() {
        let live = attributes(&[("http2", "false"), ("new_in_aws", "1")]);
        let back = vec![("http2".to_owned(), "true".to_owned())];
        assert_eq!(changed(&Attributes::new(), &BTreeSet::new(), &live), back);
        assert_eq!(
            changed(
                &Attributes::new(),
                &BTreeSet::from(["http2".to_owned()]),
                &live
            ),
            vec![]
        );
    }

    #[test]
    fn listed_attributes_are_compared_as_aws_writes_them() {
        let live = attributes(&[("http2", "false")]);
        assert_eq!(
            changed(&attributes(&[("http2", "False")]), &BTreeSet::new(), &live),
            vec![]
        );
        let unknown = attributes(&[("http2", "false"), ("new_in_aws", "1")]);
        let set = vec![("new_in_aws".to_owned(), "1".to_owned())];
        assert_eq!(changed(&unknown, &BTreeSet::new(), &live), set);
    }
}
