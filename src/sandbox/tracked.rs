//! A part of the account that knows whether it may have changed since it was last written down.
//!
//! Every call that changes something writes the account down before it is answered. In a full
//! account nearly all of it is as it was, and what has not been lent out for changing keeps the JSON
//! that it was written as.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// A value with the JSON that it was last written as, as long as that still holds.
#[derive(Default)]
pub(super) struct Tracked<T> {
    value: T,
    written: OnceLock<Box<RawValue>>,
}

impl<T> From<T> for Tracked<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            written: OnceLock::new(),
        }
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Whoever may change the value is taken to change it.
impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.written.take();
        &mut self.value
    }
}

impl<'a, K, V> IntoIterator for &'a Tracked<BTreeMap<K, V>> {
    type Item = (&'a K, &'a V);
    type IntoIter = btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.value.iter()
    }
}

impl<T: Serialize> Serialize for Tracked<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(written) = self.written.get() {
            return written.serialize(serializer);
        }
        let written = to_raw_value(&self.value).map_err(S::Error::custom)?;
        self.written.get_or_init(|| written).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tracked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

impl<T: fmt::Debug> fmt::Debug for Tracked<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Counts how often it is written.
    #[derive(Default)]
    struct Counting(u32, Cell<u32>);

    impl Serialize for Counting {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.1.set(self.1.get() + 1);
            serializer.serialize_u32(self.0)
        }
    }

    fn written(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn what_was_not_lent_out_for_changing_is_written_once() {
        let tracked = Tracked::from(Counting(7, Cell::new(0)));
        assert_eq!(
            (written(&tracked), written(&tracked)),
            ("7".into(), "7".into())
        );
        assert_eq!(tracked.1.get(), 1);
    }

    #[test]
    fn a_change_is_written_wherever_it_was_made() {
        let mut tracked = Tracked::from(BTreeMap::from([("a", Tracked::from(1))]));
        assert_eq!(written(&tracked), r#"{"a":1}"#);
        **tracked.get_mut("a").unwrap() = 2;
        assert_eq!(written(&tracked), r#"{"a":2}"#);
        tracked.insert("b", 3.into());
        assert_eq!(written(&tracked), r#"{"a":2,"b":3}"#);
        let read: Tracked<BTreeMap<String, Tracked<u32>>> =
            serde_json::from_str(r#"{"a":2,"b":3}"#).unwrap();
        assert_eq!(written(&read), written(&tracked));
    }
}
