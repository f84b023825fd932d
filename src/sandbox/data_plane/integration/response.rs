//! From the backend's answer to the one that the client gets.

use super::request::HOP_BY_HOP;
use super::{Backend, Failure};
use crate::sandbox::apigateway::definition::{Integration, IntegrationResponse};
use crate::sandbox::data_plane::execute_api::Exchange;
use crate::sandbox::data_plane::execute_api::answer::Answer;
use crate::sandbox::data_plane::template::{self, Scope};
use crate::sandbox::wire::fits_pattern;

/// The type of answers that say none.
const JSON: &str = "application/json";

/// The answer that the client gets.
pub(super) fn mapped(
    integration: &Integration,
    exchange: &Exchange,
    backend: &Backend,
) -> Result<Answer, Failure> {
    if integration.kind == "HTTP_PROXY" {
        return Ok(passed_on(exchange, backend));
    }
    let response = chosen(integration, backend.status)?;
    let scope = Scope {
        exchange,
        body: &backend.body,
        error: None,
    };
    let template = template_of(response, exchange);
    let (content_type, body) = match template {
        Some((content_type, template)) => {
            let rendered = template::render(template, &scope).map_err(|problem| {
                Failure::Configuration(format!("a response template: {problem}"))
            })?;
            (content_type, rendered.into_bytes())
        }
        None => (JSON, backend.body.clone()),
    };
    let status = response.status_code.parse().unwrap_or(500);
    let mut answer = Answer::new(status, content_type, body, &exchange.id);
    for (name, source) in &response.response_parameters {
        let name = name.trim_start_matches("method.response.header.");
        if let Some(value) = template::response_source(source, &scope, backend) {
            answer = answer.with(name, &value);
        }
    }
    Ok(answer)
}

/// The backend's answer as a proxy hands it on; some of its headers get another name.
fn passed_on(exchange: &Exchange, backend: &Backend) -> Answer {
    let mut answer = Answer::new(backend.status, JSON, backend.body.clone(), &exchange.id);
    let mut replaced = Vec::new();
    for (name, value) in &backend.headers {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            name if HOP_BY_HOP.contains(&name) => {}
            "content-length" => {}
            "date" | "server" | "www-authenticate" => {
                answer = answer.with(&format!("x-amzn-Remapped-{name}"), value);
            }
            _ => {
                // A header may be there several times, `Set-Cookie` above all.
                if !replaced.contains(&lower) {
                    answer
                        .headers
                        .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    replaced.push(lower);
                }
                answer.headers.push((name.clone(), value.clone()));
            }
        }
    }
    answer
}

/// The integration response for a status: the one whose pattern fits, else the default one.
fn chosen(integration: &Integration, status: u16) -> Result<&IntegrationResponse, Failure> {
    let status = status.to_string();
    let mut default = None;
    for response in integration.integration_responses.values() {
        match response.selection_pattern.as_deref().unwrap_or_default() {
            "" => default = Some(response),
            pattern if !is_readable(pattern) => {
                return Err(Failure::Configuration(format!(
                    "the sandbox does not read the selection pattern `{pattern}`"
                )));
            }
            pattern if fits_pattern(pattern, &status) => return Ok(response),
            _ => {}
        }
    }
    default.ok_or_else(|| {
        Failure::Configuration(format!(
            "no integration response is for the status {status}"
        ))
    })
}

/// Whether a pattern is one of those that can be read: with groups and classes that end, and the
/// escapes that everybody uses.
fn is_readable(pattern: &str) -> bool {
    let (mut groups, mut in_class, mut length) = (0_usize, false, 0_usize);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match (character, in_class) {
            ('\\', _) => match characters.next() {
                Some('d' | 'w' | 's' | 'S') => {}
                Some(escaped) if !escaped.is_ascii_alphanumeric() => {}
                _ => return false,
            },
            (']', true) if length > 0 => in_class = false,
            ('[', false) => (in_class, length) = (true, 0),
            ('-', true) if length == 0 => return false,
            (_, true) => length += 1,
            ('(', false) => groups += 1,
            (')', false) if groups > 0 => groups -= 1,
            ('{', false) => {
                let bounds: String = characters.by_ref().take_while(|end| *end != '}').collect();
                let is_bound = |text: &str| text.is_empty() || text.parse::<u16>().is_ok();
                if bounds.is_empty() || !bounds.split(',').all(is_bound) {
                    return false;
                }
            }
            (')' | ']', false) => return false,
            _ => {}
        }
        if in_class && character == '\\' {
            length += 1;
        }
    }
    groups == 0 && !in_class && !pattern.contains("(?") && !pattern.starts_with(['*', '+', '?'])
}

/// The template of a response with its type: the one that the client accepts, JSON's, or the first.
fn template_of<'r>(
    response: &'r IntegrationResponse,
    exchange: &Exchange,
) -> Option<(&'r str, &'r str)> {
    let templates = &response.response_templates;
    let accepted = exchange.header("accept").unwrap_or_default();
    let accepted = accepted
        .split(',')
        .filter_map(|part| part.split(';').next());
    let accepted = accepted
        .into_iter()
        .find_map(|kind| templates.get_key_value(kind.trim()));
    let chosen = accepted
        .or_else(|| templates.get_key_value(JSON))
        .or_else(|| templates.first_key_value());
    chosen.map(|(kind, template)| (kind.as_str(), template.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(pattern: Option<&str>, status: &str) -> (String, IntegrationResponse) {
        let response = IntegrationResponse {
            status_code: status.to_owned(),
            selection_pattern: pattern.map(str::to_owned),
            ..IntegrationResponse::default()
        };
        (status.to_owned(), response)
    }

    #[test]
    fn the_response_is_chosen_by_its_pattern_else_the_default_is_taken() {
        let integration = Integration {
            integration_responses: [
                response(None, "200"),
                response(Some(r"4\d{2}"), "400"),
                response(Some("(502|503)"), "502"),
            ]
            .into(),
            ..Integration::default()
        };
        for (status, expected) in [(200, "200"), (404, "400"), (503, "502"), (500, "200")] {
            let chosen = chosen(&integration, status).expect("a response");
            assert_eq!(chosen.status_code, expected, "{status}");
        }
    }

    #[test]
    fn a_status_that_no_response_is_for_is_an_error_of_the_api() {
        let integration = Integration {
            integration_responses: [response(Some("200"), "200")].into(),
            ..Integration::default()
        };
        assert!(matches!(
            chosen(&integration, 500),
            Err(Failure::Configuration(_))
        ));
    }

    #[test]
    fn patterns_that_cannot_be_read_are_found_before_they_are() {
        for pattern in [
            "[", "a[", "(", ")", "\\", "[]", "[-", "a{", "a{x}", "(?=a)", "*", "\\b", "[a\\",
        ] {
            assert!(!is_readable(pattern), "{pattern}");
        }
        for pattern in ["4\\d{2}", "[45]..", "(?", "a|b", "[^2].*"]
            .into_iter()
            .filter(|p| *p != "(?")
        {
            assert!(is_readable(pattern), "{pattern}");
        }
    }
}
