//! `${env:NAME}` and `${env:NAME:-default}` in scalar values.
//!
//! Substituted in the tree, never in the text: a value can neither add keys nor close a quote.

use super::fault::Fault;
use super::node::Node;
use super::path::KeyPath;

/// Where variables come from; None: unset.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills in every scalar value of the tree and returns what could not be filled in.
pub(super) fn substitute(node: &mut Node, path: &KeyPath, lookup: Lookup<'_>) -> Vec<Fault> {
    match node {
        Node::Text(text) if text.contains("${env:") => match fill_in(text, lookup) {
            Ok(filled) => {
                *node = Node::Substituted(filled);
                Vec::new()
            }
            Err((message, hint)) => vec![Fault::new(path, message).hint(hint)],
        },
        Node::Sequence(items) => (items.iter_mut().enumerate())
            .flat_map(|(index, item)| substitute(item, &path.index(index), lookup))
            .collect(),
        Node::Mapping(entries) => (entries.iter_mut())
            .flat_map(|(key, value)| substitute(value, &path.key(key), lookup))
            .collect(),
        _ => Vec::new(),
    }
}

fn fill_in(text: &str, lookup: Lookup<'_>) -> Result<String, (String, String)> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${env:") {
        let Some((expression, tail)) = after.split_once('}') else {
            let hint = "write `${env:NAME}` or `${env:NAME:-default}`".to_owned();
            return Err(("`${env:` has no closing `}`".to_owned(), hint));
        };
        filled += before;
        filled += &value_of(expression, lookup)?;
        rest = tail;
    }
    Ok(filled + rest)
}

/// As in a shell, the default also stands in for a variable that is set to nothing.
fn value_of(expression: &str, lookup: Lookup<'_>) -> Result<String, (String, String)> {
    let (name, default) = match expression.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (expression, None),
    };
    if !is_name(name) {
        let hint = "write `${env:NAME}` or `${env:NAME:-default}`".to_owned();
        return Err((
            format!("`{name}` is no name of an environment variable"),
            hint,
        ));
    }
    match (lookup(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err((
            format!("the environment variable `{name}` is not set"),
            format!("set it, or write `${{env:{name}:-default}}`"),
        )),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, (String, String)> {
        fill_in(text, &|name| match name {
            "PORT" => Some("443".to_owned()),
            "EMPTY" => Some(String::new()),
            "SELF" => Some("${env:PORT}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables_and_defaults_are_filled_in() {
        assert_eq!(filled("a${env:PORT}b${env:PORT}").unwrap(), "a443b443");
        assert_eq!(filled("${env:NONE:-x:-y}").unwrap(), "x:-y");
        assert_eq!(filled("${env:EMPTY:-x}").unwrap(), "x");
        assert_eq!(filled("${env:EMPTY}").unwrap(), "");
    }

    #[test]
    fn a_value_is_not_substituted_again() {
        assert_eq!(filled("${env:SELF}").unwrap(), "${env:PORT}");
    }

    #[test]
    fn an_unset_variable_without_default_is_an_error() {
        assert!(
            filled("${env:NONE}")
                .unwrap_err()
                .0
                .contains("`NONE` is not set")
        );
    }

    #[test]
    fn what_is_no_variable_is_an_error() {
        assert!(filled("${env:}").is_err());
        assert!(filled("${env:1A}").is_err());
        assert!(filled("${env:PORT").is_err());
    }

    #[test]
    fn nothing_else_is_templated() {
        let mut node = Node::Text("${aws:SourceVpc} $PORT ${PORT}".to_owned());
        let before = node.clone();
        assert!(substitute(&mut node, &KeyPath::default(), &|_| None).is_empty());
        assert_eq!(node, before);
    }

    #[test]
    fn a_value_cannot_add_structure() {
        let mut node = Node::Mapping(vec![("a".into(), Node::Text("${env:X}".into()))]);
        substitute(&mut node, &KeyPath::default(), &|_| {
            Some("1\nb: 2".to_owned())
        });
        assert_eq!(node.value("a"), Some(&Node::Substituted("1\nb: 2".into())));
        assert_eq!(node.value("b"), None);
    }
}
