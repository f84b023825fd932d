//! A bucket's lifecycle rules: kept as they were put, checked for what S3 checks. Nothing expires here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{bucket_of, refusal};
use crate::sandbox::world::{Call, Refusal, World};

/// The size from which objects are moved to another class; nothing is moved here.
const SMALLEST: &str = "TransitionDefaultMinimumObjectSize";

/// Answers a call that is about the lifecycle rules.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let bucket = bucket_of(world, call)?;
    match call.operation {
        "PutBucketLifecycleConfiguration" => {
            let rules = &call.input["LifecycleConfiguration"]["Rules"];
            check(rules)?;
            let size = call.text(SMALLEST).unwrap_or("all_storage_classes_128K");
            bucket.lifecycle = Some(json!({ "Rules": rules, SMALLEST: size }));
            Ok(json!({ SMALLEST: size }))
        }
        "DeleteBucketLifecycle" => {
            bucket.lifecycle = None;
            Ok(Value::Null)
        }
        _ => match &bucket.lifecycle {
            Some(configuration) => Ok(configuration.clone()),
            None => Err(refusal(
                404,
                "NoSuchLifecycleConfiguration",
                "The lifecycle configuration does not exist",
            )),
        },
    }
}

/// Refuses rules without an action, with a nonsensical one, or of the same name.
fn check(rules: &Value) -> Result<(), Refusal> {
    let malformed = || {
        refusal(
            400,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let invalid = |message: &str| Err(refusal(400, "InvalidArgument", message));
    let rules = rules.as_array().filter(|rules| !rules.is_empty());
    let mut ids = BTreeSet::new();
    for rule in rules.ok_or_else(malformed)? {
        if rule["ID"].as_str().is_some_and(|id| !ids.insert(id)) {
            return invalid("Rule ID must be unique. Found same ID for more than one rule");
        }
        if rule["Filter"].is_null() && rule["Prefix"].is_null() {
            return Err(malformed());
        }
        let actions = [
            "Expiration",
            "Transitions",
            "NoncurrentVersionExpiration",
            "NoncurrentVersionTransitions",
            "AbortIncompleteMultipartUpload",
        ];
        if actions.iter().all(|action| rule[*action].is_null()) {
            return invalid("At least one action needs to be specified in a rule");
        }
        let days = &rule["Expiration"]["Days"];
        if days.as_i64().is_some_and(|days| days < 1) {
            return invalid("'Days' for Expiration action must be a positive integer");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::sandbox::s3::handle;
    use crate::sandbox::s3::test::{bucket, refused, world};
    use crate::sandbox::world::Call;

    #[test]
    fn rules_are_given_back_and_forgotten() {
        let mut world = world();
        bucket(&mut world, "logs");
        let named = json!({ "Bucket": "logs" });
        let get = "GetBucketLifecycleConfiguration";
        assert_eq!(
            refused(&mut world, get, &named),
            "NoSuchLifecycleConfiguration"
        );
        let rule = json!({ "ID": "old", "Status": "Enabled", "Filter": { "Prefix": "" }, "Expiration": { "Days": 90 } });
        let input = json!({ "Bucket": "logs", "LifecycleConfiguration": { "Rules": [rule] } });
        handle(
            &mut world,
            &Call::of("PutBucketLifecycleConfiguration", &input),
        )
        .expect("is sound");
        let answer = handle(&mut world, &Call::of(get, &named)).expect("is there");
        assert_eq!(answer["Rules"][0]["Expiration"]["Days"], 90);
        handle(&mut world, &Call::of("DeleteBucketLifecycle", &named)).expect("is there");
        assert_eq!(
            refused(&mut world, get, &named),
            "NoSuchLifecycleConfiguration"
        );
    }

    #[test]
    fn a_rule_that_does_nothing_is_refused() {
        let mut world = world();
        bucket(&mut world, "logs");
        let rule = json!({ "ID": "idle", "Status": "Enabled", "Filter": { "Prefix": "" } });
        let input = json!({ "Bucket": "logs", "LifecycleConfiguration": { "Rules": [rule] } });
        let refusal = refused(&mut world, "PutBucketLifecycleConfiguration", &input);
        assert_eq!(refusal, "InvalidArgument");
    }
}
