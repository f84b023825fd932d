//! The place of a node in a YAML text.
//!
//! The errors of `serde_yaml` carry a location but its values do not, so the text is read once more,
//! up to the node, and the reading fails there on purpose.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Reads until the node at these positions among siblings and reports where that was.
pub(super) fn fail_at(
    document: serde_yaml::Deserializer<'_>,
    ordinals: &[usize],
) -> Option<(usize, usize)> {
    let error = Walk { ordinals }.deserialize(document).err()?;
    error.location().map(|at| (at.line(), at.column()))
}

/// Walks to a node and fails there: at its key in a mapping, at itself in a sequence.
struct Walk<'a> {
    ordinals: &'a [usize],
}

/// Fails at whatever it meets.
struct Stop;

impl<'de> DeserializeSeed<'de> for Stop {
    type Value = IgnoredAny;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<IgnoredAny, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Stop {
    type Value = IgnoredAny;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = IgnoredAny;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<IgnoredAny, D::Error> {
        if self.ordinals.is_empty() {
            return deserializer.deserialize_any(Stop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = IgnoredAny;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a sequence")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<IgnoredAny, A::Error> {
        let (ordinal, rest) = self.step::<A::Error>()?;
        for _ in 0..ordinal {
            mapping.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if rest.is_empty() {
            mapping.next_key_seed(Stop)?;
        } else {
            mapping.next_key::<IgnoredAny>()?;
            mapping.next_value_seed(Walk { ordinals: rest })?;
        }
        Ok(IgnoredAny)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<IgnoredAny, A::Error> {
        let (ordinal, rest) = self.step::<A::Error>()?;
        for _ in 0..ordinal {
            sequence.next_element::<IgnoredAny>()?;
        }
        sequence.next_element_seed(Walk { ordinals: rest })?;
        Ok(IgnoredAny)
    }
}

impl<'a> Walk<'a> {
    fn step<E: serde::de::Error>(&self) -> Result<(usize, &'a [usize]), E> {
        let (ordinal, rest) = self
            .ordinals
            .split_first()
            .ok_or_else(|| E::custom("here"))?;
        Ok((*ordinal, rest))
    }
}
