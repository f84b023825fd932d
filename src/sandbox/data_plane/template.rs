//! Mapping templates and mapping expressions, as far as they are read here.
//!
//! Of the Velocity language that is references to `$input`, `$context`, `$stageVariables`, `$util`
//! and variables, `#set`, and comments. Anything else is an error that names it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::execute_api::Exchange;
use super::integration::Backend;

/// The directives of Velocity; `#` before anything else is plain text.
const DIRECTIVES: &[&str] = &[
    "break", "define", "else", "elseif", "end", "evaluate", "foreach", "if", "include", "macro",
    "parse", "stop",
];

/// What a template can refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The request.
    pub(super) exchange: &'a Exchange,
    /// The body that is mapped: the client's on the way in, the backend's on the way out.
    pub(super) body: &'a [u8],
    /// The message and the type of a gateway response.
    pub(super) error: Option<(&'a str, &'a str)>,
}

/// Renders a template; the error says what of it is not understood.
pub(super) fn render(template: &str, scope: &Scope<'_>) -> Result<String, String> {
    let mut reader = Reader {
        rest: template,
        scope,
        variables: Map::new(),
    };
    reader.render()
}

/// The value of a mapping expression that a request has: a quoted text, `context.…`,
/// `stageVariables.…` or `method.request.…`.
pub(super) fn source(expression: &str, scope: &Scope<'_>) -> Option<String> {
    let exchange = scope.exchange;
    if let Some(text) = quoted(expression) {
        return Some(text.to_owned());
    }
    if let Some(name) = expression.strip_prefix("context.") {
        return Some(text(&context(scope, &parts(name)))).filter(|text| !text.is_empty());
    }
    if let Some(name) = expression.strip_prefix("stageVariables.") {
        return exchange.variables.get(name).cloned();
    }
    let (place, name) = expression
        .strip_prefix("method.request.")?
        .split_once('.')
        .or_else(|| (expression == "method.request.body").then_some(("body", "")))?;
    match place {
        "path" => exchange.path_parameters.get(name).cloned(),
        "header" | "multivalueheader" => exchange
            .header(&name.to_ascii_lowercase())
            .map(str::to_owned),
        "querystring" | "multivaluequerystring" => exchange.parameter(name).map(str::to_owned),
        "body" => of_body(scope.body, name),
        _ => None,
    }
}

/// The value of a mapping expression that may also be of the backend's answer.
pub(super) fn response_source(
    expression: &str,
    scope: &Scope<'_>,
    backend: &Backend,
) -> Option<String> {
    let Some(of_response) = expression.strip_prefix("integration.response.") else {
        return source(expression, scope);
    };
    match of_response.split_once('.').unwrap_or((of_response, "")) {
        ("header" | "multivalueheader", name) => {
            let mut headers = backend.headers.iter();
            let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        }
        ("body", path) => of_body(&backend.body, path),
        _ => None,
    }
}

/// The text in single quotes.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.strip_suffix('\'')
}

/// What a body has at a path of names; the whole body without one.
fn of_body(body: &[u8], path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(String::from_utf8_lossy(body).into_owned());
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let found = parts(path).iter().fold(&body, |value, name| &value[*name]);
    (!found.is_null()).then(|| text(found))
}

/// The parts of a name with dots.
fn parts(name: &str) -> Vec<&str> {
    name.split('.').collect()
}

/// A value as templates write it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What `$context` has under a name; nothing under one that it does not have.
fn context(scope: &Scope<'_>, name: &[&str]) -> Value {
    let exchange = scope.exchange;
    let header = |name: &str| exchange.header(name).unwrap_or_default();
    let (endpoint, vpc) = exchange.endpoint.clone().unwrap_or_default();
    match name {
        ["accountId"] => json!(exchange.account),
        ["apiId"] => json!(exchange.api),
        ["domainName"] => json!(header("host")),
        ["domainPrefix"] => json!(header("host").split('.').next()),
        ["error", "message"] => json!(scope.error.map(|(message, _)| message)),
        ["error", "messageString"] => {
            json!(scope.error.map(|(message, _)| json!(message).to_string()))
        }
        ["error", "responseType"] => json!(scope.error.map(|(_, kind)| kind)),
        ["extendedRequestId" | "requestId"] => json!(exchange.id),
        ["httpMethod"] => json!(exchange.method),
        ["identity", "sourceIp"] => json!(exchange.source),
        ["identity", "userAgent"] => json!(header("user-agent")),
        ["identity", "vpceId"] => json!(endpoint),
        ["identity", "vpcId"] => json!(vpc),
        ["path"] => json!(exchange.whole_path),
        ["protocol"] => json!("HTTP/1.1"),
        ["requestTimeEpoch"] => json!(exchange.time),
        ["resourceId"] => json!(exchange.resource_id),
        ["resourcePath"] => json!(exchange.resource),
        ["stage"] => json!(exchange.stage),
        _ => Value::Null,
    }
}

/// A template on its way.
struct Reader<'t, 's> {
    rest: &'t str,
    scope: &'s Scope<'s>,
    /// What `#set` has set.
    variables: Map<String, Value>,
}

/// What a reference has come to.
enum At {
    /// `$input`.
    Input,
    /// `$util`.
    Util,
    /// `$context`, and the names that follow.
    Context(Vec<String>),
    /// A value.
    Is(Value),
}

impl Reader<'_, '_> {
    /// Renders what is left.
    fn render(&mut self) -> Result<String, String> {
        let mut rendered = String::new();
        while let Some(at) = self.rest.find(['$', '#']) {
            let (before, from) = self.rest.split_at(at);
            rendered.push_str(before);
            self.rest = from;
            if from.starts_with('$') {
                self.reference_in_text(&mut rendered)?;
            } else {
                self.directive(&mut rendered)?;
            }
        }
        rendered.push_str(self.rest);
        Ok(rendered)
    }

    /// Renders the reference that the rest begins with, if it is one.
    fn reference_in_text(&mut self, rendered: &mut String) -> Result<(), String> {
        let after = self.rest[1..].trim_start_matches(['!', '{']);
        if after.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let value = self.reference()?;
            rendered.push_str(&text(&value));
        } else {
            rendered.push('$');
            self.rest = &self.rest[1..];
        }
        Ok(())
    }

    /// Follows the directive that the rest begins with, if it is one.
    fn directive(&mut self, rendered: &mut String) -> Result<(), String> {
        if self.rest.starts_with("##") {
            let end = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
            self.rest = &self.rest[end..];
            return Ok(());
        }
        let word: String = self.rest[1..]
            .trim_start_matches('{')
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect();
        if word == "set" {
            return self.set();
        }
        if DIRECTIVES.contains(&word.as_str()) {
            return Err(format!("the sandbox does not read the directive #{word}"));
        }
        rendered.push('#');
        self.rest = &self.rest[1..];
        Ok(())
    }

    /// Follows `#set($name = value)`.
    fn set(&mut self) -> Result<(), String> {
        self.rest = &self.rest["#set".len()..];
        self.expect('(')?;
        self.expect('$')?;
        let name = self.name();
        self.expect('=')?;
        let value = self.value()?;
        self.expect(')')?;
        // A directive that is alone on its line leaves no line behind.
        self.rest = self.rest.strip_prefix('\n').unwrap_or(self.rest);
        self.variables.insert(name, value);
        Ok(())
    }

    /// Reads a quoted text, a number, a truth value or a reference.
    fn value(&mut self) -> Result<Value, String> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next() {
            Some('$') => self.reference(),
            Some(quote @ ('\'' | '"')) => {
                let inner = &self.rest[1..];
                let end = inner.find(quote).ok_or("a text does not end")?;
                let text = &inner[..end];
                self.rest = &inner[end + 1..];
                // Only texts in double quotes are rendered themselves.
                let rendered = if quote == '"' {
                    let mut inner = Reader {
                        rest: text,
                        scope: self.scope,
                        variables: self.variables.clone(),
                    };
                    inner.render()?
                } else {
                    text.to_owned()
                };
                Ok(Value::String(rendered))
            }
            _ => {
                let end = self.rest.find([')', ',']).unwrap_or(self.rest.len());
                let literal = self.rest[..end].trim();
                let value = serde_json::from_str(literal);
                self.rest = &self.rest[end..];
                value.map_err(|_| format!("the sandbox does not read the expression `{literal}`"))
            }
        }
    }

    /// Reads a reference: `$name`, `$!name`, `${name}`, and what follows it after dots.
    fn reference(&mut self) -> Result<Value, String> {
        self.expect('$')?;
        self.rest = self.rest.strip_prefix('!').unwrap_or(self.rest);
        let braced = self.rest.strip_prefix('{');
        self.rest = braced.unwrap_or(self.rest);
        let name = self.name();
        let mut at = match name.as_str() {
            "input" => At::Input,
            "util" => At::Util,
            "context" => At::Context(Vec::new()),
            "stageVariables" => At::Is(json!(self.scope.exchange.variables)),
            _ => match self.variables.get(&name) {
                Some(value) => At::Is(value.clone()),
                None => return Err(format!("the sandbox does not know the variable ${name}")),
            },
        };
        while let Some(rest) = self.rest.strip_prefix('.') {
            if !rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
                break;
            }
            self.rest = rest;
            let member = self.name();
            at = if self.rest.starts_with('(') {
                let arguments = self.arguments()?;
                self.call(&at, &member, &arguments)?
            } else {
                self.member(at, member)?
            };
        }
        if braced.is_some() {
            self.expect('}')?;
        }
        match at {
            At::Is(value) => Ok(value),
            At::Context(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Ok(context(self.scope, &names))
            }
            At::Input | At::Util => Err(format!("${name} is no value")),
        }
    }

    /// What a member of it is.
    fn member(&self, at: At, name: String) -> Result<At, String> {
        Ok(match at {
            At::Input if name == "body" => At::Is(json!(String::from_utf8_lossy(self.scope.body))),
            At::Context(mut names) => {
                names.push(name);
                At::Context(names)
            }
            At::Is(value) => At::Is(value[name.as_str()].clone()),
            At::Input => return Err(format!("$input has no {name}")),
            At::Util => return Err(format!("$util has no {name}")),
        })
    }

    /// What a method of it gives.
    fn call(&self, at: &At, method: &str, arguments: &[Value]) -> Result<At, String> {
        let first = arguments.first().map(text).unwrap_or_default();
        let exchange = self.scope.exchange;
        Ok(At::Is(match (at, method) {
            (At::Input, "json") => json!(self.body_at(&first)?.to_string()),
            (At::Input, "path") => self.body_at(&first)?,
            (At::Input, "params") if arguments.is_empty() => json!({
                "path": exchange.path_parameters,
                "querystring": exchange.query.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                "header": exchange.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            }),
            (At::Input, "params") => {
                let path = exchange.path_parameters.get(&first).map(String::as_str);
                let found = path.or_else(|| exchange.parameter(&first));
                json!(found.or_else(|| exchange.header(&first.to_ascii_lowercase())))
            }
            (At::Util, "escapeJavaScript") => {
                let escaped = json!(first).to_string();
                json!(escaped[1..escaped.len() - 1].replace('\'', "\\'"))
            }
            (At::Util, "base64Encode") => json!(STANDARD.encode(first)),
            (At::Util, "base64Decode") => {
                let bytes = STANDARD.decode(first).map_err(|error| error.to_string())?;
                json!(String::from_utf8_lossy(&bytes))
            }
            (At::Util, "urlEncode") => {
                json!(utf8_percent_encode(&first, NON_ALPHANUMERIC).to_string())
            }
            (At::Util, "urlDecode") => {
                json!(percent_encoding::percent_decode_str(&first).decode_utf8_lossy())
            }
            (At::Util, "parseJson") => {
                serde_json::from_str(&first).map_err(|error| error.to_string())?
            }
            (At::Is(value), "get") => match arguments.first().and_then(Value::as_u64) {
                Some(place) => value[usize::try_from(place).unwrap_or(usize::MAX)].clone(),
                None => value[first.as_str()].clone(),
            },
            (At::Is(value), "size") => json!(value.as_array().map_or(0, Vec::len)),
            (At::Is(Value::String(text)), "toString") => json!(text),
            _ => return Err(format!("the sandbox does not read the method {method}()")),
        }))
    }

    /// What the body has at a JSON path of names and places.
    fn body_at(&self, path: &str) -> Result<Value, String> {
        let body: Value = if self.scope.body.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(self.scope.body)
                .map_err(|error| format!("the body is no JSON: {error}"))?
        };
        let steps = path
            .strip_prefix('$')
            .ok_or_else(|| format!("the path `{path}` does not begin with $"))?;
        let mut value = &body;
        for step in steps.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let plain = step.trim_matches(['\'', '"']);
            value = match plain.parse::<usize>() {
                Ok(place) if value.is_array() => &value[place],
                _ if plain.contains(['*', '?', '@', ':', ',']) => {
                    return Err(format!("the sandbox does not read the path `{path}`"));
                }
                _ => &value[plain],
            };
        }
        Ok(value.clone())
    }

    /// Reads the arguments of a call, parentheses included.
    fn arguments(&mut self) -> Result<Vec<Value>, String> {
        self.expect('(')?;
        let mut arguments = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok(arguments);
            }
            if !arguments.is_empty() {
                self.expect(',')?;
            }
            arguments.push(self.value()?);
        }
    }

    /// Reads a name.
    fn name(&mut self) -> String {
        let fits = |character: char| {
            character.is_ascii_alphanumeric() || character == '_' || character == '-'
        };
        let end = self
            .rest
            .find(|character| !fits(character))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.to_owned()
    }

    /// Reads one character, after any spaces.
    fn expect(&mut self, character: char) -> Result<(), String> {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix(character) {
            self.rest = rest;
            return Ok(());
        }
        let found: String = self.rest.chars().take(12).collect();
        Err(format!("`{character}` was expected before `{found}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str) -> Result<String, String> {
        let exchange = Exchange {
            stage: "dev".to_owned(),
            id: "id-1".to_owned(),
            path_parameters: [("petId".to_owned(), "7".to_owned())].into(),
            query: vec![("page".to_owned(), "2".to_owned())],
            variables: [("backend".to_owned(), "b.example.com".to_owned())].into(),
            ..Exchange::default()
        };
        let scope = Scope {
            exchange: &exchange,
            body: br#"{"pet": {"type": "cat", "tags": ["a", "b"]}}"#,
            error: None,
        };
        render(template, &scope)
    }

    #[test]
    fn references_are_replaced_by_what_they_stand_for() {
        for (template, expected) in [
            ("{\"statusCode\": 200}", "{\"statusCode\": 200}"),
            ("$input.json('$.pet.tags')", "[\"a\",\"b\"]"),
            ("$input.path('$.pet.tags[1]')", "b"),
            ("$input.params('petId')/$input.params(\"page\")", "7/2"),
            ("$input.params().querystring.page", "2"),
            ("${context.stage}-$context.requestId.", "dev-id-1."),
            ("$stageVariables.backend", "b.example.com"),
            (
                "#set($pet = $input.path('$.pet'))\n$pet.type ## a comment\n!",
                "cat !",
            ),
            ("$util.escapeJavaScript('\"')", "\\\""),
            ("a { color: #fff } $5", "a { color: #fff } $5"),
        ] {
            assert_eq!(rendered(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (template, named) in [
            ("#if($x)1#end", "#if"),
            ("$unheard", "$unheard"),
            ("$input.xml('$')", "xml()"),
            ("$input.path('$..x[?(@.y)]')", "$..x"),
        ] {
            let problem = rendered(template).expect_err(template);
            assert!(problem.contains(named), "{problem}");
        }
    }
}
