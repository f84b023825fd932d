//! Whether a body fits its model: what of JSON Schema API Gateway's models are commonly made of.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sandbox::apigateway::definition::{Definition, Method};

/// The schemas that a method's bodies are held to.
#[derive(Debug, Clone)]
pub(in crate::sandbox::data_plane) struct Schemas {
    /// The name of the model by the body's type.
    by_type: BTreeMap<String, String>,
    /// The API's models by name.
    models: BTreeMap<String, Value>,
}

/// How deep a body may be nested before it counts as fitting.
const DEPTH: usize = 64;

impl Schemas {
    /// The schemas of a method; none where its validator does not look at bodies.
    pub(super) fn of(definition: &Definition, method: &Method) -> Option<Self> {
        let id = method.request_validator_id.as_ref()?;
        definition
            .validators
            .get(id)
            .filter(|validator| validator.validate_request_body)?;
        let models = definition.models.iter().filter_map(|(name, model)| {
            Some((name.clone(), serde_json::from_str(&model.schema).ok()?))
        });
        Some(Self {
            by_type: method.request_models.clone(),
            models: models.collect(),
        })
    }

    /// Whether a body of a type fits; one of a type that no model is for does.
    pub(super) fn fits(&self, content_type: &str, body: &[u8]) -> bool {
        let Some(model) = self.by_type.get(content_type) else {
            return true;
        };
        let Some(schema) = self.models.get(model) else {
            return true;
        };
        serde_json::from_slice(body).is_ok_and(|body| self.holds(schema, &body, DEPTH))
    }

    /// Whether a value is what a schema wants.
    fn holds(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return true;
        };
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let model = self.models.get(name);
            return model.is_none_or(|model| self.holds(model, value, depth));
        }
        let all = |name: &str, mut each: &mut dyn FnMut(&Value) -> bool| {
            let list = schema[name].as_array();
            list.is_none_or(|list| list.iter().all(&mut each))
        };
        has_type(&schema["type"], value)
            && schema["enum"]
                .as_array()
                .is_none_or(|list| list.contains(value))
            && is_within(schema, value)
            && self.has_members(schema, value, depth)
            && self.has_elements(schema, value, depth)
            && all("allOf", &mut |one| self.holds(one, value, depth))
            && schema["anyOf"]
                .as_array()
                .is_none_or(|list| list.iter().any(|one| self.holds(one, value, depth)))
            && schema["oneOf"].as_array().is_none_or(|list| {
                let fitting = list.iter().filter(|one| self.holds(one, value, depth));
                fitting.count() == 1
            })
    }

    /// Whether an object has the members that are required, and each is what it has to be.
    fn has_members(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let Some(members) = value.as_object() else {
            return true;
        };
        let mut required = schema["required"].as_array().into_iter().flatten();
        let has_required = required.all(|name| {
            let name = name.as_str().unwrap_or_default();
            members.contains_key(name)
        });
        has_required
            && members.iter().all(|(name, member)| {
                match (
                    schema["properties"].get(name),
                    &schema["additionalProperties"],
                ) {
                    (Some(known), _) => self.holds(known, member, depth),
                    (None, Value::Bool(allowed)) => *allowed,
                    (None, others @ Value::Object(_)) => self.holds(others, member, depth),
                    (None, _) => true,
                }
            })
    }

    /// Whether a list has as many elements as it may, and each is what it has to be.
    fn has_elements(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let Some(elements) = value.as_array() else {
            return true;
        };
        let count = elements.len() as u64;
        let items = &schema["items"];
        schema["minItems"]
            .as_u64()
            .is_none_or(|least| count >= least)
            && schema["maxItems"].as_u64().is_none_or(|most| count <= most)
            && (!items.is_object()
                || elements
                    .iter()
                    .all(|element| self.holds(items, element, depth)))
    }
}

/// Whether a value is of the type, or of one of the types.
fn has_type(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Array(several) => several.iter().any(|one| has_type(one, value)),
        Value::String(name) => match name.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            _ => true,
        },
        _ => true,
    }
}

/// Whether a number or a text is within its bounds.
fn is_within(schema: &Value, value: &Value) -> bool {
    if let Some(number) = value.as_f64() {
        let least = schema["minimum"].as_f64();
        let most = schema["maximum"].as_f64();
        return least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most);
    }
    let Some(text) = value.as_str() else {
        return true;
    };
    let length = text.chars().count() as u64;
    let least = schema["minLength"].as_u64();
    let most = schema["maxLength"].as_u64();
    least.is_none_or(|least| length >= least) && most.is_none_or(|most| length <= most)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schemas() -> Schemas {
        let pet = json!({
            "type": "object", "required": ["type"], "additionalProperties": false,
            "properties": {
                "type": { "$ref": "https://apigateway.amazonaws.com/restapis/a/models/Kind" },
                "price": { "type": "number", "minimum": 0 },
                "toys": { "type": "array", "maxItems": 1, "items": { "type": "string", "minLength": 1 } },
            },
        });
        let kind = json!({ "type": "string", "enum": ["dog", "cat"] });
        let text = |text: &str| text.to_owned();
        Schemas {
            by_type: [(text("application/json"), text("Pet"))].into(),
            models: [(text("Pet"), pet), (text("Kind"), kind)].into(),
        }
    }

    #[test]
    fn a_body_fits_its_model_or_does_not() {
        let fits = |body: &str| schemas().fits("application/json", body.as_bytes());
        for body in [
            r#"{"type": "dog"}"#,
            r#"{"type": "cat", "price": 1.5, "toys": ["ball"]}"#,
        ] {
            assert!(fits(body), "{body}");
        }
        for body in [
            "",
            "[]",
            "{}",
            r#"{"type": "fish"}"#,
            r#"{"type": "dog", "price": -1}"#,
            r#"{"type": "dog", "price": "1"}"#,
            r#"{"type": "dog", "toys": [""]}"#,
            r#"{"type": "dog", "toys": ["a", "b"]}"#,
            r#"{"type": "dog", "name": "Rex"}"#,
        ] {
            assert!(!fits(body), "{body}");
        }
    }

    #[test]
    fn a_type_that_no_model_is_for_is_not_looked_at() {
        assert!(schemas().fits("text/plain", b"anything"));
    }
}
