//! Rows of the stack's own log bucket.

use serde_json::{Value, json};

use super::account::{Account, LOG_BUCKET};
use super::{Row, changed, gone};

const AT: &str = "load_balancer.log_bucket";

/// All rows of the log bucket.
pub(super) fn rows() -> Vec<Row> {
    vec![
        changed(AT, "public_access_blocked", false, |account| {
            settings(account, "DELETE", "publicAccessBlock", "");
        }),
        changed(AT, "encryption", "aws:kms", |account| {
            let body = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                <SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
                </ServerSideEncryptionConfiguration>";
            settings(account, "PUT", "encryption", body);
        }),
        changed(AT, "policy", Value::Null, |account| {
            settings(account, "DELETE", "policy", "");
        }),
        changed(AT, "lifecycle", Value::Null, |account| {
            settings(account, "DELETE", "lifecycle", "");
        }),
        changed(
            AT,
            "lifecycle",
            json!([{"id": "mtlsgw-logs", "enabled": true, "prefix": "", "days": 1}]),
            |account| {
                let body = "<LifecycleConfiguration><Rule><ID>mtlsgw-logs</ID><Status>Enabled</Status>\
                    <Filter><Prefix></Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule>\
                    </LifecycleConfiguration>";
                settings(account, "PUT", "lifecycle", body);
            },
        ),
        changed(AT, "tags.Team", "theirs", |account| {
            tag(account, |tags| {
                tags.replace("<Value>pki</Value>", "<Value>theirs</Value>")
            });
        }),
        changed(AT, "tags.Team", Value::Null, |account| {
            tag(account, |tags| {
                without(&without(tags, "Team"), "mtlsgw:tags")
            });
        })
        .and("tags.mtlsgw:tags", Value::Null),
        gone(AT, |account| {
            let test_object = "AWSLogs/123456789012/ELBConnectionLogTestFile";
            account.s3("DELETE", &format!("/{LOG_BUCKET}/{test_object}"), "");
            account.s3("DELETE", &format!("/{LOG_BUCKET}"), "");
        }),
    ]
}

fn settings(account: &Account, method: &str, setting: &str, body: &str) {
    account.s3(method, &format!("/{LOG_BUCKET}?{setting}"), body);
}

fn tag(account: &Account, change: impl Fn(&str) -> String) {
    let path = format!("/{LOG_BUCKET}?tagging");
    let tags = account.aws.rest(("s3", "GET", &path), "").ok().body;
    account.s3("PUT", &path, change(&tags));
}

/// A set of tags without the one of this key.
fn without(tags: &str, key: &str) -> String {
    let named = format!("<Key>{key}</Key>");
    let tag = tags
        .split("<Tag>")
        .find(|tag| tag.contains(&named))
        .expect("is there");
    let tag = tag.split("</Tag>").next().expect("ends");
    tags.replace(&format!("<Tag>{tag}</Tag>"), "")
}
