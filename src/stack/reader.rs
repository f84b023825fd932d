//! A serde deserializer over a [`Node`] that knows key paths and skips what is hidden.

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::mismatch::{Mismatch, listed};
use super::node::Node;
use super::path::KeyPath;
use super::read::Notes;

/// Deserializes the node at a path.
pub(super) struct Reader<'a> {
    /// The node.
    pub(super) node: &'a Node,
    /// Its path.
    pub(super) path: KeyPath,
    /// What has been found so far.
    pub(super) notes: &'a Notes,
}

impl<'a> Reader<'a> {
    fn elements(&self, items: &'a [Node]) -> Elements<'a> {
        let path = self.path.clone();
        Elements {
            items: items.iter().enumerate(),
            path,
            notes: self.notes,
        }
    }

    fn entries(&self, entries: &'a [(String, Node)]) -> Entries<'a> {
        let shown = entries
            .iter()
            .filter(|(key, _)| !self.notes.hides(&self.path.key(key)));
        Entries {
            rest: shown.collect::<Vec<_>>().into_iter(),
            value: None,
            path: self.path.clone(),
            notes: self.notes,
        }
    }

    /// Reads a number or a boolean; what came from the environment as if it had been written plainly.
    fn scalar<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let Node::Substituted(text) = self.node else {
            return self.any(visitor);
        };
        if let Ok(value) = text.parse::<u64>() {
            return visitor
                .visit_u64(value)
                .map_err(|e: Mismatch| e.or_at(&self.path));
        }
        if let Ok(value) = text.parse::<i64>() {
            return visitor
                .visit_i64(value)
                .map_err(|e: Mismatch| e.or_at(&self.path));
        }
        if let Ok(value) = text.parse::<f64>() {
            return visitor
                .visit_f64(value)
                .map_err(|e: Mismatch| e.or_at(&self.path));
        }
        match text.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            text => visitor.visit_str(text),
        }
        .map_err(|e: Mismatch| e.or_at(&self.path))
    }

    fn any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(number) => visit_number(number, visitor),
            Node::Text(text) | Node::Substituted(text) => visitor.visit_borrowed_str(text),
            Node::Sequence(items) => visitor.visit_seq(self.elements(items)),
            Node::Mapping(entries) => visitor.visit_map(self.entries(entries)),
        }
        .map_err(|mismatch: Mismatch| mismatch.or_at(&self.path))
    }
}

fn visit_number<'de, V: Visitor<'de>>(
    number: &serde_json::Number,
    visitor: V,
) -> Result<V::Value, Mismatch> {
    if let Some(value) = number.as_u64() {
        return visitor.visit_u64(value);
    }
    if let Some(value) = number.as_i64() {
        return visitor.visit_i64(value);
    }
    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
}

macro_rules! read_as_scalar {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            self.scalar(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.any(visitor)
    }

    read_as_scalar! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }

    /// An empty value is no absent one, so it goes on to whoever says what is missing.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let wrong = match self.node {
            Node::Null => Mismatch::hinted("is empty", "write `{}` for its defaults, or remove it"),
            Node::Sequence(_) => Mismatch::new("is a list, not a mapping"),
            _ => return self.any(visitor),
        };
        Err(wrong.or_at(&self.path))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.node {
            Node::Text(text) | Node::Substituted(text) => visitor.visit_enum(Variant(text)),
            other => {
                let found = match other {
                    Node::Null => "is empty".to_owned(),
                    Node::Bool(value) => format!("is `{value}`"),
                    Node::Number(number) => format!("is the number {number}"),
                    Node::Sequence(_) => "is a list".to_owned(),
                    _ => "is a mapping".to_owned(),
                };
                Err(Mismatch::unfit(found, Some(listed(variants)), None))
            }
        }
        .map_err(|mismatch: Mismatch| mismatch.or_at(&self.path))
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier
        ignored_any
    }
}

/// The elements of a sequence that are not hidden.
struct Elements<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    path: KeyPath,
    notes: &'a Notes,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mismatch> {
        for (index, node) in self.items.by_ref() {
            let path = self.path.index(index);
            if !self.notes.hides(&path) {
                let reader = Reader {
                    node,
                    path,
                    notes: self.notes,
                };
                return seed.deserialize(reader).map(Some);
            }
        }
        Ok(None)
    }
}

/// The entries of a mapping that are not hidden.
struct Entries<'a> {
    rest: std::vec::IntoIter<&'a (String, Node)>,
    value: Option<&'a (String, Node)>,
    path: KeyPath,
    notes: &'a Notes,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mismatch> {
        self.value = self.rest.next();
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        let key_reader: StringDeserializer<Mismatch> = key.clone().into_deserializer();
        seed.deserialize(key_reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        let (key, node) = self
            .value
            .take()
            .ok_or_else(|| Mismatch::new("has no value"))?;
        let path = self.path.key(key);
        let at = path.clone();
        let reader = Reader {
            node,
            path,
            notes: self.notes,
        };
        seed.deserialize(reader)
            .map_err(|mismatch| mismatch.or_at(&at))
    }
}

/// One word of an enumeration.
struct Variant<'a>(&'a str);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Mismatch;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mismatch> {
        let word: StrDeserializer<'_, Mismatch> = self.0.into_deserializer();
        seed.deserialize(word).map(|value| (value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Mismatch;

    fn unit_variant(self) -> Result<(), Mismatch> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Mismatch> {
        Err(Mismatch::new("is a word, not a mapping"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Mismatch> {
        Err(Mismatch::new("is a word, not a list"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Mismatch> {
        Err(Mismatch::new("is a word, not a mapping"))
    }
}
