//! Which resource of a deployed API a path belongs to.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::sandbox::apigateway::definition::{Definition, Resource};

/// A resource that a path belongs to.
pub(super) struct Found<'d> {
    /// The resource.
    pub(super) resource: &'d Resource,
    /// The values of its path's variables, decoded.
    pub(super) parameters: BTreeMap<String, String>,
}

/// Finds the resource of a path: literal parts before variables, variables before greedy ones.
pub(super) fn find<'d>(definition: &'d Definition, path: &str) -> Option<Found<'d>> {
    let root = definition.resource_at("/")?;
    let inner = path.trim_matches('/');
    let parts: Vec<&str> = inner.split('/').filter(|_| !inner.is_empty()).collect();
    let mut parameters = BTreeMap::new();
    let resource = below(definition, root, &parts, &mut parameters)?;
    Some(Found {
        resource,
        parameters,
    })
}

/// The resource of the parts below one.
fn below<'d>(
    definition: &'d Definition,
    resource: &'d Resource,
    parts: &[&str],
    parameters: &mut BTreeMap<String, String>,
) -> Option<&'d Resource> {
    let Some((first, rest)) = parts.split_first() else {
        return (!resource.resource_methods.is_empty()).then_some(resource);
    };
    let children = || {
        let all = definition.resources.values();
        all.filter(|child| child.parent_id.as_deref() == Some(&resource.id))
    };
    let part = |child: &'d Resource| child.path_part.as_deref().unwrap_or_default();
    let literal = children().find(|child| part(child) == *first);
    if let Some(found) = literal.and_then(|child| below(definition, child, rest, parameters)) {
        return Some(found);
    }
    for child in children() {
        let Some(name) = variable(part(child)) else {
            continue;
        };
        let (name, value, rest) = match name.strip_suffix('+') {
            Some(name) => (name, parts.join("/"), &[][..]),
            None => (name, (*first).to_owned(), rest),
        };
        if let Some(found) = below(definition, child, rest, parameters) {
            let value = percent_decode_str(&value).decode_utf8_lossy().into_owned();
            parameters.insert(name.to_owned(), value);
            return Some(found);
        }
    }
    None
}

/// The name in the braces of a part that stands for any text.
fn variable(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}
