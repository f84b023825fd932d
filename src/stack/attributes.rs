//! Attributes of load balancers and listeners by their AWS keys.

use std::collections::BTreeMap;

use super::context::Context;
use super::fault::Fault;
use super::mismatch::listed;
use super::path::KeyPath;
use super::shape::Scalar;
use crate::hint;

/// One attribute and what it may be.
pub(super) struct Attribute {
    key: &'static str,
    values: Values,
}

/// What an attribute may be.
enum Values {
    Flag,
    Number(u32, u32),
    OneOf(&'static [&'static str]),
    Text,
}

impl Attribute {
    const fn flag(key: &'static str) -> Self {
        Self {
            key,
            values: Values::Flag,
        }
    }

    const fn number(key: &'static str, least: u32, most: u32) -> Self {
        Self {
            key,
            values: Values::Number(least, most),
        }
    }

    const fn one_of(key: &'static str, words: &'static [&'static str]) -> Self {
        Self {
            key,
            values: Values::OneOf(words),
        }
    }

    const fn text(key: &'static str) -> Self {
        Self {
            key,
            values: Values::Text,
        }
    }
}

/// The attributes of an application load balancer.
pub(super) const LOAD_BALANCER: &[Attribute] = &[
    Attribute::flag("access_logs.s3.enabled"),
    Attribute::text("access_logs.s3.bucket"),
    Attribute::text("access_logs.s3.prefix"),
    Attribute::number("client_keep_alive.seconds", 60, 604_800),
    Attribute::flag("connection_logs.s3.enabled"),
    Attribute::text("connection_logs.s3.bucket"),
    Attribute::text("connection_logs.s3.prefix"),
    Attribute::flag("deletion_protection.enabled"),
    Attribute::flag("health_check_logs.s3.enabled"),
    Attribute::text("health_check_logs.s3.bucket"),
    Attribute::text("health_check_logs.s3.prefix"),
    Attribute::number("idle_timeout.timeout_seconds", 1, 4000),
    Attribute::flag("ipv6.deny_all_igw_traffic"),
    Attribute::one_of("load_balancing.cross_zone.enabled", &["true"]),
    Attribute::one_of(
        "routing.http.desync_mitigation_mode",
        &["monitor", "defensive", "strictest"],
    ),
    Attribute::flag("routing.http.drop_invalid_header_fields.enabled"),
    Attribute::flag("routing.http.preserve_host_header.enabled"),
    Attribute::flag("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
    Attribute::flag("routing.http.xff_client_port.enabled"),
    Attribute::one_of(
        "routing.http.xff_header_processing.mode",
        &["append", "preserve", "remove"],
    ),
    Attribute::flag("routing.http2.enabled"),
    Attribute::flag("waf.fail_open.enabled"),
    Attribute::flag("zonal_shift.config.enabled"),
];

/// The attributes of an HTTPS listener.
pub(super) const LISTENER: &[Attribute] = &[
    Attribute::text("routing.http.request.x_amzn_mtls_clientcert.header_name"),
    Attribute::text("routing.http.request.x_amzn_mtls_clientcert_issuer.header_name"),
    Attribute::text("routing.http.request.x_amzn_mtls_clientcert_leaf.header_name"),
    Attribute::text("routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name"),
    Attribute::text("routing.http.request.x_amzn_mtls_clientcert_subject.header_name"),
    Attribute::text("routing.http.request.x_amzn_mtls_clientcert_validity.header_name"),
    Attribute::text("routing.http.request.x_amzn_tls_cipher_suite.header_name"),
    Attribute::text("routing.http.request.x_amzn_tls_version.header_name"),
    Attribute::text("routing.http.response.access_control_allow_credentials.header_value"),
    Attribute::text("routing.http.response.access_control_allow_headers.header_value"),
    Attribute::text("routing.http.response.access_control_allow_methods.header_value"),
    Attribute::text("routing.http.response.access_control_allow_origin.header_value"),
    Attribute::text("routing.http.response.access_control_expose_headers.header_value"),
    Attribute::text("routing.http.response.access_control_max_age.header_value"),
    Attribute::text("routing.http.response.content_security_policy.header_value"),
    Attribute::flag("routing.http.response.server.enabled"),
    Attribute::text("routing.http.response.strict_transport_security.header_value"),
    Attribute::text("routing.http.response.x_content_type_options.header_value"),
    Attribute::text("routing.http.response.x_frame_options.header_value"),
];

/// Checks attributes against the table and turns them into what AWS takes.
///
/// A key that is not in the table may be newer than this version, so it passes with a warning;
/// one that looks like a misspelling does not.
pub(super) fn read(
    attributes: BTreeMap<String, Scalar>,
    table: &[Attribute],
    path: &KeyPath,
    cx: &Context,
) -> BTreeMap<String, String> {
    for (key, Scalar(value)) in &attributes {
        let at = path.key(key);
        match table.iter().find(|attribute| attribute.key == key) {
            Some(attribute) => check_value(attribute, value, &at, cx),
            None => check_unknown_key(key, table, &at, cx),
        }
    }
    attributes
        .into_iter()
        .map(|(key, Scalar(value))| (key, value))
        .collect()
}

/// Checks a key that is not in the table.
pub(super) fn check_key(key: &str, table: &[Attribute], path: &KeyPath, cx: &Context) {
    if !table.iter().any(|attribute| attribute.key == key) {
        check_unknown_key(key, table, path, cx);
    }
}

fn check_unknown_key(key: &str, table: &[Attribute], path: &KeyPath, cx: &Context) {
    let known = || table.iter().map(|attribute| attribute.key);
    if let Some(hint) = hint::did_you_mean(key, known()) {
        cx.fault(Fault::new(path, format!("unknown attribute `{key}`")).hint(hint));
    } else if !key.contains('.') {
        let allowed = known().collect::<Vec<_>>();
        cx.fault(Fault::new(path, format!("unknown attribute `{key}`")).allowed(listed(&allowed)));
    } else {
        cx.warn(
            "unknown_attribute",
            path,
            format!("`{key}` is not known here and passed on as it is"),
        );
    }
}

fn check_value(attribute: &Attribute, value: &str, path: &KeyPath, cx: &Context) {
    let allowed = match attribute.values {
        Values::Flag if matches!(value, "true" | "false") => return,
        Values::Flag => listed(&["true", "false"]),
        Values::Number(least, most) => match value.parse::<u32>() {
            Ok(number) if (least..=most).contains(&number) => return,
            _ => format!("{least} to {most}"),
        },
        Values::OneOf(words) if words.contains(&value) => return,
        Values::OneOf(words) => listed(words),
        Values::Text if value.len() <= 1024 => return,
        Values::Text => "at most 1024 characters".to_owned(),
    };
    let message = format!("`{}` cannot be `{value}`", attribute.key);
    cx.fault(Fault::new(path, message).allowed(allowed));
}
