//! What becomes of old logs.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter,
};
use serde_json::{Value, json};

use crate::aws::{Aws, Identity};
use crate::error::{Error, Result};

/// The name of our rule.
const RULE: &str = "mtlsgw-logs";

/// One rule, by which every object goes after some days.
pub(super) fn wanted(days: u16) -> Value {
    json!([{"id": RULE, "enabled": true, "prefix": "", "days": days}])
}

/// Sets the rule, in place of all that were there.
pub(super) async fn put(aws: &Aws, identity: &Identity, name: &str, wanted: &Value) -> Result<()> {
    let days = wanted[0]["days"].as_i64().unwrap_or_default();
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    let rule = LifecycleRule::builder()
        .id(RULE)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .expiration(LifecycleExpiration::builder().days(days).build())
        .build()
        .map_err(|error| Error::refused(error.to_string()))?;
    let all = BucketLifecycleConfiguration::builder()
        .rules(rule)
        .build()
        .map_err(|error| Error::refused(error.to_string()))?;
    let send = aws
        .s3
        .put_bucket_lifecycle_configuration()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .lifecycle_configuration(all)
        .send();
    aws.call("s3:PutBucketLifecycleConfiguration", send).await?;
    Ok(())
}

/// The rules as they are compared; null where there are none.
pub(super) async fn read(aws: &Aws, identity: &Identity, name: &str) -> Result<Value> {
    let send = aws
        .s3
        .get_bucket_lifecycle_configuration()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .send();
    let answer = aws.call("s3:GetBucketLifecycleConfiguration", send).await;
    match answer {
        Err(error) if error.is("NoSuchLifecycleConfiguration") => Ok(Value::Null),
        other => {
            let rules = other?.rules.unwrap_or_default();
            Ok(rules.iter().map(rule).collect())
        }
    }
}

/// A rule in the form in which it is compared; what ours never has is told in words.
fn rule(rule: &LifecycleRule) -> Value {
    let filter = rule.filter();
    let prefix = filter.and_then(LifecycleRuleFilter::prefix);
    let mut told = json!({
        "id": rule.id(),
        "enabled": rule.status() == &ExpirationStatus::Enabled,
        // S3 may leave out a filter that lets everything through.
        "prefix": prefix.unwrap_or_default(),
        "days": rule.expiration().and_then(LifecycleExpiration::days),
    });
    let narrower = filter.is_some_and(|filter| {
        filter.tag().is_some()
            || filter.and().is_some()
            || filter.object_size_less_than().is_some()
            || filter.object_size_greater_than().is_some()
    });
    let more = !rule.transitions().is_empty()
        || rule.noncurrent_version_expiration().is_some()
        || !rule.noncurrent_version_transitions().is_empty()
        || rule.abort_incomplete_multipart_upload().is_some();
    if narrower || more {
        told["also"] = Value::from("what mtlsgw does not set");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_that_is_set_compares_equal_to_what_is_wanted() {
        let live = LifecycleRule::builder()
            .id(RULE)
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().build())
            .expiration(LifecycleExpiration::builder().days(90).build())
            .build()
            .expect("is complete");
        assert_eq!(Value::from(vec![rule(&live)]), wanted(90));
        assert_ne!(Value::from(vec![rule(&live)]), wanted(30));
    }
}
