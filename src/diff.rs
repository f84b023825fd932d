//! Comparing what is wanted with what is live, field by field.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::aws::tags::Tags;
use crate::resource::{Address, FromOutput, Late};

/// One field that differs, or, for something new, one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about a field, two of them keys of the JSON plan"
)]
pub struct Change {
    /// Where: `mutual_authentication.mode`.
    pub path: String,
    /// What is live; null when nothing is.
    pub before: Value,
    /// What is wanted; null when it is to be removed or not known yet.
    pub after: Value,
    /// Whether AWS will say only during apply.
    pub after_unknown: bool,
    /// Whether the values must not be shown; they are null here.
    pub sensitive: bool,
    /// Whether this field cannot be changed in place.
    #[serde(skip)]
    pub replaces: bool,
    /// Whether more can reach the gateway, or with less proof, than before.
    #[serde(skip)]
    pub widens: bool,
    /// In words, where the values alone do not say it: "known after `endpoint` changes".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Says what an output of another resource is now; `None` when this plan changes it.
pub(crate) type Resolver<'a> = &'a dyn Fn(&Address, &str) -> Option<Vec<String>>;

/// Collects the differences of one resource.
pub(crate) struct Diff<'a> {
    changes: Vec<Change>,
    compared: BTreeSet<String>,
    resolve: Resolver<'a>,
}

/// The field just compared: what follows from its difference, if there is one.
pub(crate) struct Mark<'d>(Option<&'d mut Change>);

impl Mark<'_> {
    /// A difference here cannot be changed in place.
    pub(crate) fn replaces(self) -> Self {
        self.when(|change| change.replaces = true)
    }

    /// A difference here widens access if `wider` says so.
    pub(crate) fn widens_if(self, wider: impl FnOnce() -> bool) -> Self {
        self.when(|change| change.widens = wider())
    }

    /// The values of a difference here must not be shown; they go at once, so that no view can.
    pub(crate) fn sensitive(self) -> Self {
        self.when(|change| {
            change.before = Value::Null;
            change.after = Value::Null;
            change.sensitive = true;
        })
    }

    /// A difference here in words.
    pub(crate) fn note(self, note: impl FnOnce() -> String) -> Self {
        self.when(|change| change.note = Some(note()))
    }

    fn when(mut self, then: impl FnOnce(&mut Change)) -> Self {
        if let Some(change) = &mut self.0 {
            then(change);
        }
        self
    }
}

impl<'a> Diff<'a> {
    /// A diff that has found nothing yet.
    pub(crate) fn new(resolve: Resolver<'a>) -> Self {
        Self {
            changes: Vec::new(),
            compared: BTreeSet::new(),
            resolve,
        }
    }

    /// Compares a plain field.
    pub(crate) fn field<T: Serialize + PartialEq>(
        &mut self,
        path: &str,
        want: &T,
        live: Option<&T>,
    ) -> Mark<'_> {
        self.compares(path);
        if live == Some(want) {
            return Mark(None);
        }
        self.differs(path, live.map_or(Value::Null, to_value), to_value(want))
    }

    /// Compares by a key (a digest, a canonical form) and shows something better to read.
    pub(crate) fn content<K: PartialEq>(
        &mut self,
        path: &str,
        want: (&K, Value),
        live: Option<(&K, Value)>,
    ) -> Mark<'_> {
        self.compares(path);
        match live {
            Some((key, _)) if key == want.0 => Mark(None),
            Some((_, shown)) => self.differs(path, shown, want.1),
            None => self.differs(path, Value::Null, want.1),
        }
    }

    /// Compares a value that may come from another resource.
    pub(crate) fn late<T>(&mut self, path: &str, want: &Late<T>, live: Option<&Late<T>>) -> Mark<'_>
    where
        T: FromOutput + Serialize + Clone,
    {
        self.compares(path);
        let before = match live {
            Some(Late::Known(value)) => Some(value.clone()),
            Some(late @ Late::From(..)) => self.resolve(late),
            None => None,
        };
        match self.resolve(want) {
            Some(after) if before.as_ref() == Some(&after) => Mark(None),
            Some(after) => self.differs(
                path,
                before.as_ref().map_or(Value::Null, to_value),
                to_value(&after),
            ),
            None => self.unknown(path, before.as_ref().map_or(Value::Null, to_value), want),
        }
    }

    /// Compares a list of values that may come from other resources, in any order.
    pub(crate) fn late_set(
        &mut self,
        path: &str,
        want: &[Late<String>],
        live: Option<&[Late<String>]>,
    ) -> Mark<'_> {
        self.compares(path);
        let known = |diff: &Self, lates: &[Late<String>]| -> Option<Vec<String>> {
            let mut values: Vec<String> = lates
                .iter()
                .map(|late| diff.resolve(late))
                .collect::<Option<_>>()?;
            values.sort();
            values.dedup();
            Some(values)
        };
        let before = live.and_then(|live| known(self, live));
        match known(self, want) {
            Some(after) if before.as_ref() == Some(&after) => Mark(None),
            Some(after) => self.differs(
                path,
                before.as_ref().map_or(Value::Null, to_value),
                to_value(&after),
            ),
            None => {
                let moving = want
                    .iter()
                    .find(|late| self.resolve(late).is_none())
                    .expect("one is not known");
                let moving = moving.clone();
                self.unknown(path, before.as_ref().map_or(Value::Null, to_value), &moving)
            }
        }
    }

    /// Compares the tags that we manage, one by one.
    pub(crate) fn tags(&mut self, want: &Tags, live: Option<&Tags>) {
        let Some(live) = live else {
            let own = want.0.iter().filter(|(key, _)| !key.starts_with("mtlsgw:"));
            for (key, value) in own {
                self.differs(
                    &format!("tags.{key}"),
                    Value::Null,
                    Value::from(value.as_str()),
                );
            }
            return;
        };
        let live = &*live.real();
        for key in live.managed(Some(want)).keys() {
            self.compares(&format!("tags.{key}"));
        }
        let (set, removed) = want.changes(live);
        for (key, value) in set {
            let before = live.get(&key).map_or(Value::Null, Value::from);
            self.differs(&format!("tags.{key}"), before, Value::from(value));
        }
        for key in removed {
            let before = live.get(&key).map_or(Value::Null, Value::from);
            self.differs(&format!("tags.{key}"), before, Value::Null);
        }
    }

    /// Notes that a field was looked at, whether it differs or not.
    pub(crate) fn compares(&mut self, path: &str) {
        self.compared.insert(path.to_owned());
    }

    /// Records a difference that the kind found itself.
    pub(crate) fn differs(&mut self, path: &str, before: Value, after: Value) -> Mark<'_> {
        self.compares(path);
        self.changes.push(Change {
            path: path.to_owned(),
            before,
            after,
            after_unknown: false,
            sensitive: false,
            replaces: false,
            widens: false,
            note: None,
        });
        Mark(self.changes.last_mut())
    }

    /// What a late value is, unless this plan changes it.
    pub(crate) fn resolve<T: FromOutput + Clone>(&self, late: &Late<T>) -> Option<T> {
        match late {
            Late::Known(value) => Some(value.clone()),
            Late::From(address, output) => T::from_output(&(self.resolve)(address, output)?),
        }
    }

    /// Records a value that is known only during apply.
    pub(crate) fn unknown<T>(&mut self, path: &str, before: Value, late: &Late<T>) -> Mark<'_> {
        let note = late
            .address()
            .map(|address| format!("known after `{address}`"));
        let mark = self.differs(path, before, Value::Null);
        mark.when(|change| {
            change.after_unknown = true;
            change.note = note;
        })
    }

    /// The fields that were looked at.
    pub(crate) fn compared(&self) -> impl Iterator<Item = &str> {
        self.compared.iter().map(String::as_str)
    }

    /// The differences.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

/// Whether one of the changes is at `path` or below it.
pub(crate) fn touches(changes: &[Change], path: &str) -> bool {
    changes.iter().any(|change| {
        change
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// A value as JSON.
fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
