//! What the load balancer says of the client arrives at the backend as it is, under the names that the
//! stack file gives it.

use super::{Context, Outcome, accepted};
use crate::error::Result;
use crate::stack::MutualAuthentication;
use crate::trust::{Certificate, Header, passthrough_header, verify_headers};
use crate::verify::Presented;
use crate::verify::observe::probe;

/// How much of a value is shown.
const SHOWN: usize = 60;

/// Asks with the good certificate and compares what the backend prints with what the certificate says.
pub(super) async fn headers(cx: Context<'_>) -> Result<Outcome> {
    let expected = match cx.gateway.headers.as_slice() {
        [name] => format!("{name} as in the certificate"),
        several => format!("{} headers as in the certificate", several.len()),
    };
    let skipped = |needs: &str| Ok(Outcome::skipped(expected.as_str(), needs));
    if cx.gateway.mode == MutualAuthentication::Off {
        return skipped("mode verify or passthrough");
    }
    let Some(path) = &cx.request.echo_path else {
        return skipped("a backend that prints its request headers: --echo-path");
    };
    let credential = match &cx.material.good {
        Presented::Has(credential) => credential,
        Presented::Needs(needs) => return skipped(needs),
    };
    let attempt = cx.asking(Some(credential), path);
    let observation = probe(cx.gateway, cx.network, &attempt).await?;
    let Some(answer) = observation.answer() else {
        return Ok(accepted(&expected, &observation));
    };
    let sent = credential.certificates();
    let values = if cx.gateway.verifies() {
        sent.first().map(verify_headers).unwrap_or_default()
    } else {
        vec![passthrough_header(sent)]
    };
    let each = cx.gateway.headers.iter().zip(&values);
    let wrong: Vec<String> = each
        .filter_map(|(name, value)| complaint(&answer.body, name, value))
        .collect();
    if wrong.is_empty() {
        let observed = format!("{} as in the certificate", values.len());
        return Ok(Outcome::judged(expected, observed, true));
    }
    let observed = format!("{} of {} are not so", wrong.len(), values.len());
    let reason = format!("{} ({path}): {}", answer.text(), wrong.join("; "));
    Ok(Outcome::judged(expected, observed, false).because(reason))
}

/// What is wrong with one header in what the backend prints.
fn complaint(body: &str, name: &str, expected: &Header) -> Option<String> {
    let printed = printed(body, name);
    if printed.iter().any(|value| is_same(value, expected)) {
        return None;
    }
    let shown = |text: &str| text.chars().take(SHOWN).collect::<String>();
    Some(match printed.first() {
        None => format!("{name} is not printed"),
        Some(other) => format!(
            "{name} is `{}` instead of `{}`",
            shown(other),
            shown(&expected.value)
        ),
    })
}

/// Every value that a page gives for a header: in JSON by keys, otherwise in lines `NAME: VALUE`.
fn printed(body: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(document) = serde_json::from_str(body) {
        in_json(&document, name, &mut found);
    } else {
        let lines = body.lines().filter_map(|line| line.split_once(':'));
        let named = lines.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found.extend(named.map(|(_, value)| value.trim().to_owned()));
    }
    found
}

fn in_json(value: &serde_json::Value, name: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                if key.eq_ignore_ascii_case(name) {
                    let values = member
                        .as_array()
                        .map_or(std::slice::from_ref(member), Vec::as_slice);
                    found.extend(
                        values
                            .iter()
                            .filter_map(|one| one.as_str().map(str::to_owned)),
                    );
                }
                in_json(member, name, found);
            }
        }
        serde_json::Value::Array(members) => {
            for member in members {
                in_json(member, name, found);
            }
        }
        _ => {}
    }
}

/// Whether a value is the expected one; AWS's own examples differ in which characters of a PEM they encode.
fn is_same(value: &str, expected: &Header) -> bool {
    value == expected.value
        || matches!((certificates(value), certificates(&expected.value)), (Some(one), Some(other)) if one == other)
}

/// The certificates of a percent-encoded PEM.
fn certificates(value: &str) -> Option<Vec<Certificate>> {
    let text = decoded(value)?;
    text.contains("BEGIN CERTIFICATE")
        .then(|| Certificate::all_from_bytes(text.as_bytes()).ok())?
}

/// Decodes as paths are decoded: a form's rules would make a space of each `+`.
fn decoded(value: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            octets.push(*first);
            rest = after;
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(value: &str) -> Header {
        Header {
            name: "X-Amzn-Mtls-Clientcert-Subject",
            value: value.to_owned(),
        }
    }

    #[test]
    fn values_are_found_in_lines_and_in_json() {
        let name = "x-client-subject";
        let wanted = subject("CN=alice,O=Example\\, Corp");
        let lines = "Host: a\nX-Client-Subject: CN=alice,O=Example\\, Corp\n";
        assert_eq!(complaint(lines, name, &wanted), None);
        let json =
            serde_json::json!({"headers": {"X-Client-Subject": ["CN=alice,O=Example\\, Corp"]}});
        assert_eq!(complaint(&json.to_string(), name, &wanted), None);
    }

    #[test]
    fn another_value_another_name_and_a_part_of_the_value_are_found_out() {
        let wanted = subject("CN=alice");
        let name = "X-Client-Subject";
        let about = |body: &str| complaint(body, name, &wanted).unwrap_or_default();
        assert_eq!(
            about("X-Client-Subject: CN=mallory"),
            "X-Client-Subject is `CN=mallory` instead of `CN=alice`"
        );
        assert_eq!(
            about("X-Other: CN=alice"),
            "X-Client-Subject is not printed"
        );
        assert!(about("X-Client-Subject: CN=alice,O=More").contains("instead"));
    }

    #[test]
    fn what_is_encoded_of_a_pem_makes_no_difference() {
        assert_eq!(decoded("a%3D+%2f%0A"), Some("a=+/\n".to_owned()));
        assert_eq!(decoded("a%3"), None);
        assert_eq!(decoded("%zz"), None);
    }
}
