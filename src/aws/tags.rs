//! Ownership tags: how we know again what is ours.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_sdk_resourcegroupstagging::types::{ResourceTagMapping, TagFilter};
use serde::Serialize;

use super::{Aws, pages};
use crate::error::Result;
use crate::resource::{Address, Guard};

/// The stack's name.
pub(crate) const STACK: &str = "mtlsgw:stack";
/// The resource's address in the stack.
pub(crate) const ADDRESS: &str = "mtlsgw:address";
/// The user's tags that we manage, their keys joined by ` / `; all others are left alone.
pub(crate) const MANAGED: &str = "mtlsgw:tags";
/// Present and `true` while destroy and replacement are refused.
pub(crate) const PROTECT: &str = "mtlsgw:protect";
/// On what several stacks share: the bucket.
pub(crate) const SHARED: &str = "mtlsgw:shared";

/// Before a slash and eight digits: on the trust store, a bucket that its bundle and CRLs lie in.
pub(crate) const BUCKET: &str = "mtlsgw:bucket";

/// In the tags of something that is to be adopted: the keys that it gets only then, a space between
/// them. No tag of AWS's can have this key.
const PRETENDED: &str = "\u{0}";

/// Between the keys in [`MANAGED`]; tag values allow few characters, and keys may contain spaces.
const SEPARATOR: &str = " / ";

/// The tags of a resource as we want them, or those live ones that we manage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tags(pub(crate) BTreeMap<String, String>);

impl Tags {
    /// Tags that say whose a resource is, with the user's own.
    pub(crate) fn owned(
        stack: &str,
        address: &Address,
        user: &BTreeMap<String, String>,
        protect: Protection,
    ) -> Self {
        let mut tags = user.clone();
        tags.insert(STACK.to_owned(), stack.to_owned());
        tags.insert(ADDRESS.to_owned(), address.to_string());
        if !user.is_empty() {
            let keys: Vec<&str> = user.keys().map(String::as_str).collect();
            tags.insert(MANAGED.to_owned(), keys.join(SEPARATOR));
        }
        if protect == Protection::On {
            tags.insert(PROTECT.to_owned(), "true".to_owned());
        }
        Self(tags)
    }

    /// All tags of a live resource.
    pub(crate) fn live<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// The tags as if those of ours that `want` has were there already, which [`Self::changes`]
    /// nevertheless sets: so what is to be adopted is found as if it had been.
    #[must_use]
    pub(crate) fn pretending(mut self, want: &Self) -> Self {
        let ours = want.0.iter().filter(|(key, _)| {
            key.starts_with("mtlsgw:") && ![MANAGED, PROTECT].contains(&key.as_str())
        });
        let mut pretended: Vec<&str> = Vec::new();
        for (key, value) in ours {
            if self.0.get(key) != Some(value) {
                self.0.insert(key.clone(), value.clone());
                pretended.push(key);
            }
        }
        self.0.insert(PRETENDED.to_owned(), pretended.join(" "));
        self
    }

    /// Whether something with these tags is only to be adopted.
    pub(crate) fn is_pretended(&self) -> bool {
        self.0.contains_key(PRETENDED)
    }

    /// The tags that are really there.
    pub(crate) fn real(&self) -> Cow<'_, Self> {
        let Some(pretended) = self.get(PRETENDED) else {
            return Cow::Borrowed(self);
        };
        let keys: Vec<&str> = pretended.split(' ').chain([PRETENDED]).collect();
        let real = self
            .0
            .iter()
            .filter(|(key, _)| !keys.contains(&key.as_str()));
        Cow::Owned(Self::live(
            real.map(|(key, value)| (key.as_str(), value.as_str())),
        ))
    }

    /// The stack these tags name.
    pub(crate) fn stack(&self) -> Option<&str> {
        self.get(STACK)
    }

    /// The address these tags name.
    pub(crate) fn address(&self) -> Option<Address> {
        self.get(ADDRESS).map(Address::parse)
    }

    /// The value of one tag.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The same tags with one more.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// The guard of something with these tags.
    pub(crate) fn protected(&self) -> Option<Guard> {
        (self.get(PROTECT) == Some("true")).then_some(Guard::Tag)
    }

    /// The live tags that are ours to manage: our own, those named in `mtlsgw:tags`, and those `want` sets.
    pub(crate) fn managed<'a>(&'a self, want: Option<&'a Self>) -> BTreeMap<&'a str, &'a str> {
        let listed: Vec<&str> = self
            .get(MANAGED)
            .unwrap_or_default()
            .split(SEPARATOR)
            .collect();
        self.0
            .iter()
            .filter(|(key, _)| {
                key.starts_with("mtlsgw:")
                    || listed.contains(&key.as_str())
                    || want.is_some_and(|want| want.0.contains_key(*key))
            })
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    /// What has to be set and which keys have to go so that `live` becomes `self`.
    pub(crate) fn changes(&self, live: &Self) -> (Vec<(String, String)>, Vec<String>) {
        let live = live.real();
        let managed = live.managed(Some(self));
        let set = self
            .0
            .iter()
            .filter(|(key, value)| managed.get(key.as_str()) != Some(&value.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let remove = managed
            .keys()
            .filter(|key| !self.0.contains_key(**key))
            .map(|key| (*key).to_owned())
            .collect();
        (set, remove)
    }
}

/// How many resources the tagging API tells of at most in one answer; unasked it is half as many, and
/// one more page is one more round trip that all reads by ARN wait for.
const PAGE: i32 = 100;

/// Everything in the region that carries the tag of a stack: of AWS's types `kinds`, or of any that
/// the tagging API knows where there are none; of `stacks`, at most 20, or of any.
pub(crate) async fn sweep(
    aws: &Aws,
    kinds: &[&str],
    stacks: Option<Vec<String>>,
) -> Result<Vec<ResourceTagMapping>> {
    let filter = TagFilter::builder().key(STACK).set_values(stacks).build();
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let kinds = Some(kinds).filter(|kinds| !kinds.is_empty());
    pages(async |next| {
        let send = aws
            .tagging
            .get_resources()
            .set_resource_type_filters(kinds.clone())
            .tag_filters(filter.clone())
            .resources_per_page(PAGE)
            .set_pagination_token(next)
            .send();
        let page = aws.call("tag:GetResources", send).await?;
        Ok((
            page.resource_tag_mapping_list.unwrap_or_default(),
            page.pagination_token,
        ))
    })
    .await
}

/// Whether destroy and replacement are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Protection {
    /// They are allowed.
    #[default]
    Off,
    /// They are refused.
    On,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_others_are_left_alone() {
        let want = Tags::owned(
            "shop",
            &Address::parse("listener"),
            &BTreeMap::new(),
            Protection::Off,
        );
        let live = want.clone().with("CostCenter", "42");
        assert_eq!(want.changes(&live), (vec![], vec![]));
    }

    #[test]
    fn what_is_to_be_adopted_says_whose_it_is_and_still_gets_its_tags() {
        let want = Tags::owned(
            "shop",
            &Address::parse("listener"),
            &BTreeMap::new(),
            Protection::Off,
        );
        let live = Tags::live([("Name", "by hand")]).pretending(&want);
        assert_eq!(live.stack(), Some("shop"));
        assert!(live.is_pretended() && !want.is_pretended());
        let set: Vec<(String, String)> = want.0.clone().into_iter().collect();
        assert_eq!(want.changes(&live), (set, vec![]));
    }

    #[test]
    fn a_user_tag_that_left_the_file_is_removed() {
        let user = BTreeMap::from([("Team".to_owned(), "pki".to_owned())]);
        let live = Tags::owned("shop", &Address::parse("listener"), &user, Protection::Off);
        let want = Tags::owned(
            "shop",
            &Address::parse("listener"),
            &BTreeMap::new(),
            Protection::Off,
        );
        let (set, removed) = want.changes(&live);
        assert_eq!(
            (set, removed),
            (vec![], vec!["Team".to_owned(), MANAGED.to_owned()])
        );
    }
}
