//! The query protocol and EC2's dialect of it: a flat form of dotted names in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::model::{Kind, Member, Model, Shape};
use super::scalar;
use super::validation::{Fault, Violation};

/// The two ways of naming parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `Subnets.member.1`.
    Plain,
    /// `SubnetId.1`: names of their own, lists without a word between.
    Ec2,
}

/// A form's parameters as the tree that their dotted names describe.
#[derive(Debug, Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Self>,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.text.as_deref().is_none_or(str::is_empty)
    }
}

/// Reads a form as the given input structure.
pub(super) fn decode(
    (model, dialect): (&Model, Dialect),
    input: &Shape,
    form: &[(String, String)],
    violations: &mut Vec<Violation>,
) -> Value {
    let mut root = Node::default();
    for (name, text) in form
        .iter()
        .filter(|(name, _)| name != "Action" && name != "Version")
    {
        let node = name.split('.').fold(&mut root, |node, part| {
            node.children.entry(part.to_owned()).or_default()
        });
        node.text = Some(text.clone());
    }
    FormReader {
        model,
        dialect,
        violations,
    }
    .structure(input, &root, "")
}

struct FormReader<'a> {
    model: &'a Model,
    dialect: Dialect,
    violations: &'a mut Vec<Violation>,
}

impl FormReader<'_> {
    fn structure(&mut self, shape: &Shape, node: &Node, path: &str) -> Value {
        let mut result = Map::new();
        let mut known = Vec::new();
        for (name, member) in &shape.members {
            let wire = self.wire_name(name, member);
            let child = node.children.get(&wire);
            // Go's SDK, and so Terraform, writes an empty text for what is not given.
            let is_left_out = |child: &&Node| path.is_empty() && child.is_empty();
            if let Some(child) = child.filter(|child| !is_left_out(child))
                && let Some(value) = self.value(member, child, &join(path, name))
            {
                result.insert(name.clone(), value);
            }
            known.push(wire);
        }
        for name in node.children.keys().filter(|name| !known.contains(name)) {
            self.violations
                .push(Violation::new(&join(path, name), Fault::Unknown));
        }
        Value::Object(result)
    }

    fn wire_name(&self, name: &str, member: &Member) -> String {
        match (self.dialect, &member.query, &member.wire) {
            (Dialect::Ec2, Some(query), _) => query.clone(),
            (Dialect::Ec2, None, Some(wire)) => capitalised(wire),
            _ => member.wire_name(name).to_owned(),
        }
    }

    fn value(&mut self, member: &Member, node: &Node, path: &str) -> Option<Value> {
        let shape = self.model.shape_of(member);
        match shape.kind {
            Kind::Structure => Some(self.structure(shape, node, path)),
            Kind::List => self.list(shape, node, path),
            Kind::Map => self.map(shape, node, path),
            kind => self.scalar(kind, node, path),
        }
    }

    fn scalar(&mut self, kind: Kind, node: &Node, path: &str) -> Option<Value> {
        for name in node.children.keys() {
            self.violations
                .push(Violation::new(&join(path, name), Fault::Unknown));
        }
        let text = node.text.as_deref().unwrap_or_default();
        let value = scalar::read(kind, text);
        if value.is_none() {
            self.violations.push(Violation::ill_typed(path, text, kind));
        }
        value
    }

    fn list(&mut self, shape: &Shape, node: &Node, path: &str) -> Option<Value> {
        if node.text.as_deref().is_some_and(str::is_empty) && node.children.is_empty() {
            return Some(Value::Array(Vec::new()));
        }
        let between = shape.member.wire_name("member");
        let elements = match self.dialect {
            Dialect::Ec2 => node,
            Dialect::Plain => {
                for name in node.children.keys().filter(|name| *name != between) {
                    self.violations
                        .push(Violation::new(&join(path, name), Fault::Unknown));
                }
                node.children.get(between)?
            }
        };
        let numbered = self.numbered(elements, path);
        let values = numbered.into_iter().filter_map(|(number, element)| {
            self.value(&shape.member, element, &join(path, &number.to_string()))
        });
        Some(Value::Array(values.collect()))
    }

    /// A list's elements in the order of their numbers.
    fn numbered<'n>(&mut self, node: &'n Node, path: &str) -> Vec<(u32, &'n Node)> {
        let mut elements = Vec::new();
        for (name, element) in &node.children {
            match name.parse() {
                Ok(number) => elements.push((number, element)),
                Err(_) => self
                    .violations
                    .push(Violation::new(&join(path, name), Fault::Unknown)),
            }
        }
        elements.sort_by_key(|(number, _)| *number);
        elements
    }

    fn map(&mut self, shape: &Shape, node: &Node, path: &str) -> Option<Value> {
        let mut result = Map::new();
        for (_, entry) in self.numbered(node.children.get("entry")?, path) {
            let key = entry.children.get("key")?.text.clone()?;
            let value = self.value(
                &shape.value,
                entry.children.get("value")?,
                &join(path, &key),
            )?;
            result.insert(key, value);
        }
        Some(Value::Object(result))
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// A member's path behind its structure's.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
