//! Values as YAML that people read: blocks for mappings, one line for lists.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The entries of a mapping, a block each; `indent` is how far in they stand.
pub(super) fn block(entries: &Map<String, Value>, indent: usize) -> String {
    let mut text = String::new();
    for (key, value) in entries {
        let pad = " ".repeat(indent);
        let key = scalar(key);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                write!(text, "{pad}{key}:\n{}", block(inner, indent + 2))
            }
            other => writeln!(text, "{pad}{key}: {}", flow(other)),
        }
        .expect("writing to a String cannot fail");
    }
    text
}

/// A value in one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{}: {}", scalar(key), flow(value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            if entries.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {} }}", entries.join(", "))
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text as it stands where that cannot be taken for anything else, otherwise in quotes.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_reserved = reserved.contains(&text.to_ascii_lowercase().as_str());
    if is_word && text.chars().all(plain) && !is_reserved {
        return text.to_owned();
    }
    // JSON's strings are YAML's.
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mappings_are_blocks_and_lists_are_lines() {
        let value = json!({
            "region": "eu-west-1",
            "listener": { "port": 443, "mutual_authentication": { "mode": "verify" } },
            "load_balancer": { "subnets": ["subnet-1", "subnet-2"] },
            "target_group": {},
        });
        let text = block(value.as_object().unwrap(), 0);
        let expected = "region: eu-west-1\nlistener:\n  port: 443\n  mutual_authentication:\n    \
                        mode: verify\nload_balancer:\n  subnets: [subnet-1, subnet-2]\ntarget_group: {}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_could_be_something_else_is_quoted() {
        for text in [
            "off",
            "123456789012",
            "*.example.com",
            "a: b",
            "#x",
            "",
            "(none)",
            "1e3",
        ] {
            assert_eq!(scalar(text), format!("\"{text}\""));
        }
        assert_eq!(scalar("0.0.0.0/0"), "\"0.0.0.0/0\"");
        assert_eq!(scalar("api.example.com"), "api.example.com");
    }
}
