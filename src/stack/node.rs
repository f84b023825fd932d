//! YAML text -> a tree without types, and the place of each of its nodes.
//!
//! With `locate` the only module that names `serde_yaml`.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};

use super::locate::fail_at;
use super::path::{KeyPath, Segment};

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Nothing, or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text, as a plain or quoted scalar.
    Text(String),
    /// Text from the environment: whoever reads it decides whether it is a number.
    Substituted(String),
    /// A sequence.
    Sequence(Vec<Self>),
    /// A mapping in the order of the file, without duplicates.
    Mapping(Vec<(String, Self)>),
}

/// A YAML text and its tree.
#[derive(Clone)]
pub(super) struct Document {
    text: String,
    /// The tree.
    pub(super) root: Node,
}

/// Why a text is no YAML document that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Line and column, from 1, where known.
    pub(super) position: Option<(usize, usize)>,
    /// What is wrong.
    pub(super) message: String,
    /// What to write instead.
    pub(super) hint: Option<String>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// Reads a text that holds exactly one YAML document.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let own_words = RefCell::new(None);
        let mut documents = serde_yaml::Deserializer::from_str(text);
        let Some(first) = documents.next() else {
            return Err(SyntaxError::without_position("the file is empty"));
        };
        let root = Tree {
            own_words: &own_words,
        }
        .deserialize(first)
        .map_err(|error| SyntaxError::new(&error, own_words.take(), text))?;
        if root == Node::Null {
            return Err(SyntaxError::without_position("the file is empty"));
        }
        if let Some(second) = documents.next() {
            let position = fail_at(second, &[]);
            let message = "the file holds more than one YAML document".to_owned();
            let hint = Some("write one file for each stack; remove the `---`".to_owned());
            return Err(SyntaxError {
                position,
                message,
                hint,
            });
        }
        Ok(Self {
            text: text.to_owned(),
            root,
        })
    }

    /// Finds line and column of the key or element at `path`, or of the nearest one above it.
    ///
    /// None where the file has none of it.
    pub(super) fn locate(&self, path: &KeyPath) -> Option<(usize, usize)> {
        let ordinals = self.root.ordinals(path.segments());
        if ordinals.is_empty() {
            return None;
        }
        let document = serde_yaml::Deserializer::from_str(&self.text).next()?;
        fail_at(document, &ordinals)
    }
}

impl Node {
    /// Finds the value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&Self> {
        let Self::Mapping(entries) = self else {
            return None;
        };
        entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Turns the tree into JSON.
    pub(super) fn into_json(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => value.into(),
            Self::Number(value) => value.into(),
            Self::Text(value) | Self::Substituted(value) => value.into(),
            Self::Sequence(items) => items.into_iter().map(Self::into_json).collect(),
            Self::Mapping(entries) => entries
                .into_iter()
                .map(|(key, value)| (key, value.into_json()))
                .collect(),
        }
    }

    /// Turns a path into positions among siblings, as far as the tree has it.
    fn ordinals(&self, segments: &[Segment]) -> Vec<usize> {
        let Some((segment, rest)) = segments.split_first() else {
            return Vec::new();
        };
        let child = match (self, segment) {
            (Self::Mapping(entries), Segment::Key(key)) => entries
                .iter()
                .position(|(name, _)| name == key)
                .map(|position| (position, &entries[position].1)),
            (Self::Sequence(items), Segment::Index(index)) => {
                items.get(*index).map(|item| (*index, item))
            }
            _ => None,
        };
        let Some((ordinal, child)) = child else {
            return Vec::new();
        };
        let mut ordinals = vec![ordinal];
        ordinals.extend(child.ordinals(rest));
        ordinals
    }
}

impl SyntaxError {
    fn without_position(message: &str) -> Self {
        Self {
            position: None,
            message: message.to_owned(),
            hint: None,
        }
    }

    fn new(error: &serde_yaml::Error, own_words: Option<OwnWords>, text: &str) -> Self {
        let position = error.location().map(|at| (at.line(), at.column()));
        if let Some(OwnWords { message, hint }) = own_words {
            return Self {
                position,
                message,
                hint: Some(hint),
            };
        }
        let mut message = error.to_string();
        if let Some((line, column)) = position {
            message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
        }
        let hint = hint_for_syntax(&message, position, text);
        Self {
            position,
            message: format!("this is not YAML: {message}"),
            hint,
        }
    }
}

fn hint_for_syntax(message: &str, position: Option<(usize, usize)>, text: &str) -> Option<String> {
    let line = text.lines().nth(position?.0.saturating_sub(1))?;
    if line.contains("${env:") {
        return Some(
            "inside `{ }` and `[ ]`, `${env:NAME}` must be quoted: \"${env:NAME}\"".into(),
        );
    }
    if line.contains('\t') && message.contains("cannot start any token") {
        return Some("indent with spaces; YAML forbids tabs".into());
    }
    None
}

/// What our own visitors have to say; the error that serde carries along only has the place.
struct OwnWords {
    message: String,
    hint: String,
}

/// Builds a [`Node`].
#[derive(Clone, Copy)]
struct Tree<'a> {
    own_words: &'a RefCell<Option<OwnWords>>,
}

impl Tree<'_> {
    fn refuse<E: serde::de::Error>(self, message: String, hint: &str) -> E {
        *self.own_words.borrow_mut() = Some(OwnWords {
            message,
            hint: hint.to_owned(),
        });
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Node, E> {
        Err(self.refuse("this number is too large".into(), "write it in quotes"))
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Node, E> {
        Err(self.refuse("this number is too large".into(), "write it in quotes"))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        serde_json::Number::from_f64(value)
            .map(Node::Number)
            .ok_or_else(|| self.refuse("this is no finite number".into(), "write it in quotes"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some(key) = mapping.next_key_seed(Key {
            tree: self,
            before: &entries,
        })? {
            let value = mapping.next_value_seed(self)?;
            entries.push((key, value));
        }
        Ok(Node::Mapping(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self.refuse(
            "YAML tags have no meaning here".into(),
            "remove the word with the `!`",
        ))
    }
}

/// Reads the next key of a mapping; whatever scalar it is, as text.
struct Key<'a> {
    tree: Tree<'a>,
    before: &'a [(String, Node)],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        if key == "<<" {
            let hint = "write the keys out, or refer to a whole value with `*name`";
            return Err(self
                .tree
                .refuse("merge keys are not supported".into(), hint));
        }
        if self.before.iter().any(|(name, _)| name == key) {
            let message = format!("`{key}` is given twice");
            return Err(self.tree.refuse(message, "keep one of the two"));
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, path: &str) -> Option<(usize, usize)> {
        Document::parse(text).unwrap().locate(&KeyPath::from(path))
    }

    fn refusal(text: &str) -> SyntaxError {
        Document::parse(text).unwrap_err()
    }

    #[test]
    fn keys_and_elements_are_located() {
        let text = "a:\n  b: [x, y]\n  c:\n    - 1\n    - {d: 2}\n";
        assert_eq!(position(text, "a"), Some((1, 1)));
        assert_eq!(position(text, "a.b[1]"), Some((2, 10)));
        assert_eq!(position(text, "a.c[0]"), Some((4, 7)));
        assert_eq!(position(text, "a.c[1].d"), Some((5, 8)));
    }

    #[test]
    fn an_absent_key_is_located_at_the_nearest_above() {
        assert_eq!(position("a:\n  b: 1\n", "a.x.y"), Some((1, 1)));
        assert_eq!(position("a: 1\n", "x"), None);
    }

    #[test]
    fn a_byte_order_mark_and_crlf_shift_nothing() {
        assert_eq!(
            position("\u{feff}a: 1\r\nb:\r\n  c: 2\r\n", "b.c"),
            Some((3, 3))
        );
    }

    #[test]
    fn a_second_key_of_the_same_name_is_refused_where_it_is() {
        let error = refusal("a: 1\nb:\n  c: 1\n  c: 2\n");
        assert_eq!(
            (error.position, error.message.as_str()),
            (Some((4, 3)), "`c` is given twice")
        );
    }

    #[test]
    fn a_tab_is_answered_with_a_hint() {
        let error = refusal("a:\n\tb: 1\n");
        assert_eq!(error.position, Some((2, 1)));
        assert_eq!(
            error.hint.as_deref(),
            Some("indent with spaces; YAML forbids tabs")
        );
    }

    #[test]
    fn an_unquoted_substitution_in_a_flow_mapping_is_answered_with_a_hint() {
        assert!(
            refusal("a: {b: ${env:X}}\n")
                .hint
                .unwrap()
                .contains("must be quoted")
        );
        assert!(
            refusal("a: {b: ${env:X}, c: 1}\n")
                .hint
                .unwrap()
                .contains("must be quoted")
        );
    }

    #[test]
    fn two_documents_are_refused_at_the_second() {
        assert_eq!(refusal("a: 1\n---\nb: 2\n").position, Some((3, 1)));
    }

    #[test]
    fn tags_merge_keys_and_empty_files_are_refused() {
        assert_eq!(
            refusal("a: !b c\n").message,
            "YAML tags have no meaning here"
        );
        assert_eq!(
            refusal("a: &x {b: 1}\nc:\n  <<: *x\n").position,
            Some((3, 3))
        );
        assert_eq!(refusal("").message, "the file is empty");
    }

    #[test]
    fn aliases_are_followed() {
        let document = Document::parse("a: &x [1]\nb: *x\n").unwrap();
        assert_eq!(document.root.value("a"), document.root.value("b"));
        assert_eq!(document.locate(&KeyPath::from("b")), Some((2, 1)));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let level = |level: usize| {
            let below = level
                .checked_sub(1)
                .map_or("x".to_owned(), |below| format!("*a{below}"));
            format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "))
        };
        let text: Vec<String> = (0..12).map(level).collect();
        let text = text.concat();
        assert!(refusal(&text).message.contains("repetition limit"));
    }
}
