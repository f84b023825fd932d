//! Rows of the listeners.

use serde_json::Value;

use super::account::Account;
use super::load_balancer::{Attributes, attributes};
use super::{Row, changed, gone};

/// What a listener does when ELB answers by itself.
pub(super) const FIXED: [(&str, &str); 2] = [
    ("DefaultActions.member.1.Type", "fixed-response"),
    (
        "DefaultActions.member.1.FixedResponseConfig.StatusCode",
        "200",
    ),
];

const CERTIFICATE: &str = "Certificates.member.1.CertificateArn";

/// All rows of the listeners.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = mutual_authentication();
    rows.extend(listener());
    rows.extend(certificates());
    rows.extend(redirect());
    rows.push(attributes("listener", "Listener", ATTRIBUTES));
    rows.extend(["listener", "listener.redirect"].map(|at| {
        gone(at, move |account| {
            account.elb_at("DeleteListener", ("ListenerArn", at), &[]);
        })
    }));
    rows
}

/// What somebody sets all attributes of the listener to.
const ATTRIBUTES: Attributes = &[
    (
        "routing.http.request.x_amzn_mtls_clientcert.header_name",
        "X-A",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
        "X-B",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
        "X-C",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        "X-D",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        "X-E",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        "X-F",
    ),
    (
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        "X-G",
    ),
    ("routing.http.request.x_amzn_tls_version.header_name", "X-H"),
    (
        "routing.http.response.access_control_allow_credentials.header_value",
        "true",
    ),
    (
        "routing.http.response.access_control_allow_headers.header_value",
        "X-Theirs",
    ),
    (
        "routing.http.response.access_control_allow_methods.header_value",
        "GET",
    ),
    (
        "routing.http.response.access_control_allow_origin.header_value",
        "https://example.com",
    ),
    (
        "routing.http.response.access_control_expose_headers.header_value",
        "X-Theirs",
    ),
    (
        "routing.http.response.access_control_max_age.header_value",
        "60",
    ),
    (
        "routing.http.response.content_security_policy.header_value",
        "default-src 'self'",
    ),
    ("routing.http.response.server.enabled", "false"),
    (
        "routing.http.response.strict_transport_security.header_value",
        "max-age=60",
    ),
    (
        "routing.http.response.x_content_type_options.header_value",
        "nosniff",
    ),
    ("routing.http.response.x_frame_options.header_value", "DENY"),
];

/// Changes a listener.
pub(super) fn modify(account: &Account, at: &str, parameters: &[(&str, &str)]) {
    account.elb_at("ModifyListener", ("ListenerArn", at), parameters);
}

fn verify(account: &Account, store: &str, (names, expiry): (&str, &str)) {
    let parameters = [
        ("MutualAuthentication.Mode", "verify"),
        ("MutualAuthentication.TrustStoreArn", store),
        ("MutualAuthentication.AdvertiseTrustStoreCaNames", names),
        ("MutualAuthentication.IgnoreClientCertificateExpiry", expiry),
    ];
    modify(account, "listener", &parameters);
}

fn mutual_authentication() -> Vec<Row> {
    const STORE: &str = "mutual_authentication.trust_store";
    const NAMES: &str = "mutual_authentication.advertise_ca_names";
    const EXPIRY: &str = "mutual_authentication.ignore_client_certificate_expiry";
    let at = "listener";
    let weaker = |mode: &'static str| {
        let row = changed(at, "mutual_authentication.mode", mode, move |account| {
            modify(account, at, &[("MutualAuthentication.Mode", mode)]);
        });
        [STORE, NAMES, EXPIRY]
            .iter()
            .fold(row, |row, field| row.and(field, Value::Null))
    };
    vec![
        weaker("off"),
        weaker("passthrough"),
        changed(at, STORE, Value::Null, |account| {
            verify(account, &account.their_trust_store(), ("on", "false"));
        }),
        changed(at, NAMES, false, |account| {
            verify(account, &account.id("trust_store"), ("off", "false"));
        }),
        changed(at, EXPIRY, true, |account| {
            verify(account, &account.id("trust_store"), ("on", "true"));
        }),
    ]
}

fn listener() -> Vec<Row> {
    const WEAK: &str = "ELBSecurityPolicy-2016-08";
    let at = "listener";
    vec![
        changed(at, "ssl_policy", WEAK, move |account| {
            modify(account, at, &[("SslPolicy", WEAK)]);
        }),
        changed(at, "target_group", Value::Null, move |account| {
            modify(account, at, &FIXED);
        }),
        changed(at, "port", 8443, move |account| {
            modify(account, at, &[("Port", "8443")]);
        })
        .by("replace"),
    ]
}

fn certificates() -> Vec<Row> {
    let at = "listener";
    let arn = ("ListenerArn", at);
    vec![
        changed(at, "certificate", Value::Null, move |account| {
            let theirs = account.their_certificate();
            modify(account, at, &[(CERTIFICATE, &theirs)]);
        }),
        changed(at, "additional_certificates", Value::Null, move |account| {
            let theirs = [(CERTIFICATE, &*account.their_certificate())];
            account.elb_at("AddListenerCertificates", arn, &theirs);
        }),
        changed(
            at,
            "additional_certificates",
            Value::from(Vec::<Value>::new()),
            move |account| {
                let ours = [(CERTIFICATE, &*account.additional_certificate())];
                account.elb_at("RemoveListenerCertificates", arn, &ours);
            },
        ),
    ]
}

fn redirect() -> Vec<Row> {
    let at = "listener.redirect";
    vec![
        changed(at, "default_action", Value::Null, move |account| {
            modify(account, at, &FIXED);
        }),
        changed(at, "default_action", Value::Null, move |account| {
            let group = account.id("target_group");
            let parameters = [
                ("DefaultActions.member.1.Type", "forward"),
                ("DefaultActions.member.1.TargetGroupArn", &group),
            ];
            modify(account, at, &parameters);
        }),
        changed(at, "protocol", "HTTPS", move |account| {
            let certificate = account.id("certificate");
            let parameters = [("Protocol", "HTTPS"), (CERTIFICATE, certificate.as_str())];
            modify(account, at, &parameters);
        })
        .and("default_action", Value::Null)
        .by("replace"),
    ]
}
