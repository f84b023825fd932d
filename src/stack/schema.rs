//! The JSON Schema of the stack file, and its reference made from the schema.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::file::RawStack;

/// What stands for an environment variable in the patterns of text.
const SUBSTITUTION: &str = r"\$\{env:";

/// Makes the JSON Schema of the stack file.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(RawStack).to_value();
    simplify(&mut schema);
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        let renamed = std::mem::take(definitions).into_iter();
        definitions
            .extend(renamed.map(|(name, definition)| (public_name(&name).to_owned(), definition)));
    }
    schema
}

/// The structs that are read are named `Raw…`, which is nobody's business outside.
fn public_name(name: &str) -> &str {
    name.strip_prefix("Raw").unwrap_or(name)
}

/// Says what the reader does: no `null` for an absent key, and `${env:NAME}` in place of any scalar.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Object(object) => {
            object.values_mut().for_each(simplify);
            take_out_null(object);
            admit_substitution(object);
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                *reference = reference.replace("/Raw", "/");
            }
            if let Some(Value::String(description)) = object.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            object.retain(|key, value| key != "default" || !(is_empty(value) || value.is_null()));
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    [json!({}), json!([]), json!("")].contains(value)
}

fn take_out_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(forms)) = object.get_mut("anyOf") else {
        return;
    };
    forms.retain(|form| form.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = forms.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

/// Patterns apply to text only, ranges to numbers only, so that both forms keep their rules.
fn admit_substitution(object: &mut Map<String, Value>) {
    if let Some(Value::Array(words)) = object.remove("enum") {
        let words = words.into_iter().map(|word| json!({"const": word}));
        object.insert("oneOf".to_owned(), words.collect());
    }
    if let Some(Value::Array(words)) = object.get_mut("oneOf") {
        let description = "A value from the environment.";
        words.push(json!({"type": "string", "pattern": SUBSTITUTION, "description": description}));
        return;
    }
    match object.get("type").and_then(Value::as_str) {
        Some(name @ ("integer" | "number" | "boolean")) => {
            let types = json!([name, "string"]);
            object.insert("type".to_owned(), types);
            object.insert("pattern".to_owned(), SUBSTITUTION.into());
        }
        Some("string") if !object.contains_key("const") => {
            if let Some(Value::String(pattern)) = object.get_mut("pattern")
                && pattern != SUBSTITUTION
            {
                *pattern = format!("{SUBSTITUTION}|{pattern}");
            }
        }
        _ => {}
    }
}

/// Makes the reference of the stack file, in Markdown.
pub fn reference() -> String {
    let schema = schema();
    let book = Book { schema: &schema };
    let mut text = format!("# The stack file\n\n{}\n", described(&schema));
    text += INTRODUCTION;
    text += &book.table(&schema);
    text += &book.sections("", &schema);
    text
}

/// What holds for the file as a whole.
const INTRODUCTION: &str = "
Relative paths start from the directory of the stack file. `${env:NAME}` and `${env:NAME:-default}` stand for
environment variables in every value; inside `{ }` and `[ ]` they must be quoted. An empty section is an error:
write `{}` to take its defaults. This page is made from the program (`mtlsgw schema` prints the same as JSON
Schema); `# yaml-language-server: $schema=FILE` in the first line of a stack file makes editors use it.

";

/// The schema while it is being told.
struct Book<'a> {
    schema: &'a Value,
}

impl<'a> Book<'a> {
    /// Tells every mapping below, each under the path of its key.
    fn sections(&self, parent: &str, mapping: &'a Value) -> String {
        let mut text = String::new();
        for (key, property) in properties(mapping) {
            let Some(section) = self.mapping(property) else {
                continue;
            };
            if properties(mapping).any(|(plural, _)| *key == format!("{plural}s")) {
                continue;
            }
            let path = if parent.is_empty() {
                key.clone()
            } else {
                format!("{parent}.{key}")
            };
            let level = if parent.is_empty() { "##" } else { "###" };
            let description = described(section);
            let _ = write!(
                text,
                "\n{level} `{path}`\n\n{description}\n\n{}",
                self.table(section)
            );
            text += &self.sections(&path, section);
        }
        text
    }

    fn table(&self, mapping: &'a Value) -> String {
        let required = mapping.get("required").and_then(Value::as_array);
        let mut text = "| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
        for (key, property) in properties(mapping) {
            let (meaning, default) = split_default(described(property));
            let default = match property.get("default") {
                _ if required.is_some_and(|keys| keys.contains(&json!(key))) => {
                    "**required**".to_owned()
                }
                Some(Value::Object(_)) | None => default.to_owned(),
                Some(Value::String(word)) => format!("`{word}`"),
                Some(value) => format!("`{value}`"),
            };
            let value = self.form(property);
            let _ = writeln!(text, "| `{key}` | {value} | {default} | {meaning} |");
        }
        text
    }

    /// Puts the form of a value into words.
    fn form(&self, property: &'a Value) -> String {
        let property = self.resolve(property);
        if properties(property).next().is_some() {
            let is_tags = properties(property).all(|(key, _)| key == "tags");
            return if is_tags {
                "`{tags: …}`".to_owned()
            } else {
                "mapping".to_owned()
            };
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(forms) = property.get(key).and_then(Value::as_array) {
                let written = forms.iter().filter(|form| form.get("pattern").is_none());
                let words: Vec<String> = written.map(|form| self.form(form)).collect();
                return words.join(if key == "oneOf" { ", " } else { " or " });
            }
        }
        if let Some(value) = property.get("const") {
            return word(value);
        }
        self.simple_form(property)
    }

    fn simple_form(&self, property: &'a Value) -> String {
        let name = match property.get("type") {
            Some(Value::Array(names)) => names.first().and_then(Value::as_str),
            Some(name) => name.as_str(),
            None => None,
        };
        match (
            name,
            property.get("items"),
            property.get("additionalProperties"),
        ) {
            (Some("array"), Some(items), _) => format!("list of {}", self.form(items)),
            (Some("object"), _, Some(values)) if values.is_object() => {
                match self.form(values).as_str() {
                    "mapping" => "mapping by name".to_owned(),
                    form => format!("mapping to {form}"),
                }
            }
            (Some("object"), ..) => "mapping".to_owned(),
            (Some("boolean"), ..) => "`true`, `false`".to_owned(),
            (Some("integer"), ..) => format!("whole number{}", range(property)),
            (Some("number"), ..) => "number".to_owned(),
            _ => "text".to_owned(),
        }
    }

    /// The mapping with keys of its own that a value is, may be or maps to.
    fn mapping(&self, property: &'a Value) -> Option<&'a Value> {
        let property = self.resolve(property);
        if properties(property).any(|(key, _)| key != "tags") {
            return Some(property);
        }
        let forms = property.get("anyOf").and_then(Value::as_array);
        forms
            .into_iter()
            .flatten()
            .find_map(|form| self.mapping(form))
    }

    fn resolve(&self, property: &'a Value) -> &'a Value {
        let name = property.get("$ref").and_then(Value::as_str);
        let pointer = name.and_then(|name| name.strip_prefix('#'));
        pointer
            .and_then(|pointer| self.schema.pointer(pointer))
            .unwrap_or(property)
    }
}

fn properties(mapping: &Value) -> impl Iterator<Item = (&String, &Value)> {
    mapping
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn described(schema: &Value) -> &str {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| format!("`{value}`"), |word| format!("`{word}`"))
}

fn range(property: &Value) -> String {
    let bound = |key| property.get(key).and_then(Value::as_u64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        _ => String::new(),
    }
}

/// Takes `(default: …)` out of a description.
fn split_default(description: &str) -> (String, &str) {
    let Some((before, rest)) = description.split_once("(default: ") else {
        return (description.to_owned(), "");
    };
    let Some((default, after)) = rest.split_once(')') else {
        return (description.to_owned(), "");
    };
    (format!("{}{after}", before.trim_end()), default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_name_and_region_are_required_at_the_top() {
        assert_eq!(schema()["required"], json!(["name", "region"]));
    }

    #[test]
    fn nothing_may_be_null() {
        let text = schema().to_string();
        assert!(!text.contains("null"), "{text}");
        assert!(!text.contains("Raw"), "{text}");
    }

    #[test]
    fn every_choice_of_words_may_come_from_the_environment() {
        fn check(value: &Value) {
            match value {
                Value::Object(object) => {
                    assert!(!object.contains_key("enum"), "{value}");
                    if let Some(Value::Array(words)) = object.get("oneOf") {
                        assert!(
                            words.iter().any(|word| word["pattern"] == SUBSTITUTION),
                            "{value}"
                        );
                    }
                    object.values().for_each(check);
                }
                Value::Array(items) => items.iter().for_each(check),
                _ => {}
            }
        }
        check(&schema());
    }

    #[test]
    fn every_key_has_a_meaning() {
        let schema = schema();
        let definitions = schema["$defs"].as_object().unwrap().values();
        for mapping in definitions.chain([&schema]) {
            for (key, property) in properties(mapping) {
                assert!(!described(property).is_empty(), "{key}");
            }
        }
    }

    #[test]
    fn the_reference_tells_defaults_and_nested_sections() {
        let text = reference();
        assert!(text.contains("## `target_group`\n"));
        assert!(text.contains("### `target_group.health_check`\n"));
        assert!(text.contains("| `port` | whole number, 1 to 65535 | `443` |"));
        assert!(text.contains("| `scheme` | `internet-facing`, `internal` | `internet-facing` |"));
    }
}
