//! Holds a request to its model, and says what is wrong in the service's manner.

use serde_json::Value;

use super::model::{Kind, Location, Member, Model, Shape};
use super::pattern;
use super::query::join;
use crate::sandbox::world::{NOT_MODELLED, Refusal};

/// One thing that is wrong with a request.
#[derive(Debug)]
pub(super) struct Violation {
    /// The member, by its names in the model.
    path: String,
    fault: Fault,
}

/// What is wrong with a member.
#[derive(Debug)]
pub(super) enum Fault {
    /// The model has no such member.
    Unknown,
    /// It is required.
    Missing,
    /// Its text is not of its type.
    IllTyped {
        /// What was sent.
        given: String,
        /// What it should have been.
        kind: Kind,
    },
    /// Its value is not allowed.
    Constraint {
        /// What was sent.
        given: String,
        /// What it does not satisfy, in AWS's words.
        constraint: String,
        /// The type's name.
        shape: String,
    },
}

impl Violation {
    /// A fault of the member at `path`.
    pub(super) fn new(path: &str, fault: Fault) -> Self {
        Self {
            path: path.to_owned(),
            fault,
        }
    }

    /// A value that is not of its type.
    pub(super) fn ill_typed(path: &str, given: &str, kind: Kind) -> Self {
        Self::new(
            path,
            Fault::IllTyped {
                given: given.to_owned(),
                kind,
            },
        )
    }
}

/// The manners in which services refuse what their model does not allow.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// One sentence over all violations, under one code; another code for what cannot be read.
    Sentence {
        /// The code of a value that is missing or not allowed.
        invalid: &'static str,
        /// The code of a value that cannot be read.
        malformed: &'static str,
    },
    /// EC2's codes, one violation at a time.
    Ec2,
    /// S3's codes, one violation at a time.
    S3,
}

/// Holds an input structure to its model.
///
/// `bare_body` names the member that came as the bare body and so is not in `input`.
pub(super) fn check(
    model: &Model,
    shape: &Shape,
    (input, bare_body): (&Value, Option<&str>),
    violations: &mut Vec<Violation>,
) {
    let is_missing =
        |name: &&String| input.get(name.as_str()).is_none() && bare_body != Some(name.as_str());
    violations.extend(
        shape
            .required
            .iter()
            .filter(is_missing)
            .map(|name| Violation::new(name, Fault::Missing)),
    );
    check_members(model, shape, (input, ""), violations);
}

fn check_members(
    model: &Model,
    shape: &Shape,
    (given, path): (&Value, &str),
    violations: &mut Vec<Violation>,
) {
    for (name, member) in &shape.members {
        if let Some(value) = given.get(name).filter(|value| !value.is_null()) {
            check_value(model, member, (value, &join(path, name)), violations);
        }
    }
}

fn check_value(
    model: &Model,
    member: &Member,
    (given, path): (&Value, &str),
    violations: &mut Vec<Violation>,
) {
    let shape = model.shape_of(member);
    if let Some(constraint) = unsatisfied(shape, given) {
        let given = given
            .as_str()
            .map_or_else(|| given.to_string(), str::to_owned);
        let fault = Fault::Constraint {
            given,
            constraint,
            shape: member.shape.clone(),
        };
        violations.push(Violation::new(path, fault));
    }
    match given {
        Value::Object(entries) if shape.kind == Kind::Map => {
            for (key, value) in entries {
                check_value(
                    model,
                    &shape.key,
                    (&Value::from(key.as_str()), &join(path, key)),
                    violations,
                );
                check_value(model, &shape.value, (value, &join(path, key)), violations);
            }
        }
        Value::Object(entries) => {
            let missing = shape
                .required
                .iter()
                .filter(|name| !entries.contains_key(name.as_str()));
            violations
                .extend(missing.map(|name| Violation::new(&join(path, name), Fault::Missing)));
            check_members(model, shape, (given, path), violations);
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let path = join(path, &(index + 1).to_string());
                check_value(model, &shape.member, (element, &path), violations);
            }
        }
        _ => {}
    }
}

/// The first constraint that a value does not satisfy.
fn unsatisfied(shape: &Shape, given: &Value) -> Option<String> {
    let text = given.as_str().unwrap_or_default();
    let listed = |value: &String| value == text;
    if given.is_string() && !shape.values.is_empty() && !shape.values.iter().any(listed) {
        return Some(format!(
            "Member must satisfy enum value set: [{}]",
            shape.values.join(", ")
        ));
    }
    let (measure, size) = size(shape.kind, given)?;
    if let Some(min) = shape.min.filter(|&min| size < min) {
        return Some(format!(
            "Member must have {measure} greater than or equal to {min}"
        ));
    }
    if let Some(max) = shape.max.filter(|&max| size > max) {
        return Some(format!(
            "Member must have {measure} less than or equal to {max}"
        ));
    }
    let pattern = shape
        .pattern
        .as_deref()
        .filter(|pattern| given.is_string() && !pattern::matches(pattern, text));
    pattern.map(|pattern| format!("Member must satisfy regular expression pattern: {pattern}"))
}

/// What `min` and `max` bound.
#[expect(
    clippy::cast_precision_loss,
    reason = "no bound of a model is near 2^52"
)]
fn size(kind: Kind, given: &Value) -> Option<(&'static str, f64)> {
    let count = match given {
        // A blob comes as base64, four characters for three bytes.
        Value::String(text) if kind == Kind::Blob => text.trim_end_matches('=').len() * 3 / 4,
        Value::String(text) => text.chars().count(),
        Value::Array(elements) => elements.len(),
        Value::Object(entries) if kind == Kind::Map => entries.len(),
        Value::Number(number) => return number.as_f64().map(|value| ("value", value)),
        _ => return None,
    };
    Some(("length", count as f64))
}

/// The members of an input that the service's handler does not look at.
pub(super) fn unmodelled<'a>(input: &'a Value, modelled: &[&str]) -> Option<&'a str> {
    let mut names = input.as_object()?.keys().map(String::as_str);
    names.find(|name| !modelled.contains(name))
}

/// Puts violations into a service's words; there is at least one.
pub(super) fn refusal(manner: Manner, operation: &str, violations: &[Violation]) -> Refusal {
    let unknown = violations
        .iter()
        .find(|violation| matches!(violation.fault, Fault::Unknown));
    match (manner, unknown) {
        (Manner::Ec2, _) => ec2(unknown.unwrap_or(&violations[0])),
        (_, Some(Violation { path, .. })) => {
            let message = format!("the sandbox's model of `{operation}` has no member `{path}`");
            Refusal::new(NOT_MODELLED, message)
        }
        (Manner::S3, None) => s3(&violations[0]),
        (Manner::Sentence { invalid, malformed }, None) => {
            sentence((invalid, malformed), violations)
        }
    }
}

fn sentence((invalid, malformed): (&str, &str), violations: &[Violation]) -> Refusal {
    for Violation { path, fault } in violations {
        if let Fault::IllTyped { given, kind } = fault {
            let message = format!(
                "Value '{given}' at '{}' can not be converted to {kind:?}",
                lower_camel(path)
            );
            return Refusal::new(malformed, message);
        }
    }
    let parts: Vec<String> = violations.iter().map(clause).collect();
    let plural = if parts.len() == 1 { "error" } else { "errors" };
    let message = format!(
        "{} validation {plural} detected: {}",
        parts.len(),
        parts.join("; ")
    );
    Refusal::new(invalid, message)
}

fn clause(Violation { path, fault }: &Violation) -> String {
    let (value, constraint) = match fault {
        Fault::Constraint {
            given, constraint, ..
        } => (format!("'{given}'"), constraint.as_str()),
        _ => ("null".to_owned(), "Member must not be null"),
    };
    format!(
        "Value {value} at '{}' failed to satisfy constraint: {constraint}",
        lower_camel(path)
    )
}

/// `Tags.1.Key` as these messages have it: `tags.1.member.key`.
fn lower_camel(path: &str) -> String {
    let part = |name: &str| {
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return format!("{name}.member");
        }
        let mut letters = name.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_lowercase().chain(letters).collect()
        })
    };
    path.split('.').map(part).collect::<Vec<_>>().join(".")
}

fn ec2(Violation { path, fault }: &Violation) -> Refusal {
    match fault {
        Fault::Unknown => Refusal::new(
            "UnknownParameter",
            format!("The parameter {path} is not recognized"),
        ),
        Fault::Missing => Refusal::new(
            "MissingParameter",
            format!("The request must contain the parameter {path}"),
        ),
        Fault::IllTyped { given, kind } => Refusal::new(
            "InvalidParameterValue",
            format!("Invalid value '{given}' for {path}. It should be of type {kind:?}"),
        ),
        Fault::Constraint {
            given, constraint, ..
        } => Refusal::new(
            "InvalidParameterValue",
            format!("Value ({given}) for parameter {path} is invalid. {constraint}"),
        ),
    }
}

fn s3(Violation { path, fault }: &Violation) -> Refusal {
    match fault {
        Fault::Constraint { shape, .. } if shape == "BucketLocationConstraint" => Refusal::new(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
        ),
        Fault::Constraint { constraint, .. } => {
            Refusal::new("InvalidArgument", format!("{path}: {constraint}"))
        }
        Fault::Missing => Refusal::new("InvalidRequest", format!("Missing required member {path}")),
        Fault::Unknown | Fault::IllTyped { .. } => Refusal::new(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        ),
    }
}

/// The members that a REST request may have nowhere but in the body.
pub(super) fn has_body_members(shape: &Shape) -> bool {
    shape
        .members
        .values()
        .any(|member| member.location == Location::Body)
}
