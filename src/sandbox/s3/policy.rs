//! Bucket policies: kept as sent, checked for what S3 checks.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bucket, bucket_of, refusal};
use crate::sandbox::world::{Call, Refusal, World};

/// How long it takes until other services know of a new policy.
const PROPAGATION: Duration = Duration::from_secs(45);

/// Answers a call that is about the bucket's policy.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let known = world.due(PROPAGATION);
    let bucket = bucket_of(world, call)?;
    match call.operation {
        "PutBucketPolicy" => {
            let answer = put(bucket, call)?;
            bucket.policy_known = known;
            Ok(answer)
        }
        "DeleteBucketPolicy" => {
            bucket.policy = None;
            Ok(Value::Null)
        }
        "GetBucketPolicyStatus" => {
            let policy: Value = serde_json::from_str(present(bucket)?).unwrap_or_default();
            Ok(json!({ "PolicyStatus": { "IsPublic": is_public(&policy) } }))
        }
        _ => Ok(json!({ "Policy": present(bucket)? })),
    }
}

fn present(bucket: &Bucket) -> Result<&str, Refusal> {
    let missing = || {
        refusal(
            404,
            "NoSuchBucketPolicy",
            "The bucket policy does not exist",
        )
    };
    bucket.policy.as_deref().ok_or_else(missing)
}

fn put(bucket: &mut Bucket, call: &Call<'_>) -> Result<Value, Refusal> {
    let text = call.required("Policy");
    let malformed = |message: &str| refusal(400, "MalformedPolicy", message);
    let policy: Value =
        serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
    let statements = statements(&policy);
    if statements.is_empty() {
        return Err(malformed("Missing required field Statement"));
    }
    for statement in statements {
        check(statement, call.required("Bucket")).map_err(malformed)?;
    }
    let blocks_public = bucket
        .public_access_block
        .as_ref()
        .is_some_and(|block| block["BlockPublicPolicy"] == true);
    if blocks_public && is_public(&policy) {
        let message = "User is not authorized to perform: s3:PutBucketPolicy because public policies are prevented by \
                       the BlockPublicPolicy setting in S3 Block Public Access.";
        return Err(refusal(403, "AccessDenied", message));
    }
    bucket.policy = Some(text.to_owned());
    Ok(Value::Null)
}

/// A policy's statements, of which a single one need not stand in a list.
fn statements(policy: &Value) -> Vec<&Value> {
    listed(&policy["Statement"])
}

fn listed(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(elements) => elements.iter().collect(),
        single => vec![single],
    }
}

fn check(statement: &Value, bucket: &str) -> Result<(), &'static str> {
    if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
        return Err("Invalid effect");
    }
    let principal = [&statement["Principal"], &statement["NotPrincipal"]]
        .into_iter()
        .find(|value| !value.is_null());
    if !principal.is_some_and(is_principal) {
        return Err("Invalid principal in policy");
    }
    if statement["Action"].is_null() && statement["NotAction"].is_null() {
        return Err("Missing required field Action");
    }
    let arn = format!("arn:aws:s3:::{bucket}");
    let is_own = |resource: &&Value| {
        let rest = resource.as_str().and_then(|text| text.strip_prefix(&arn));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('*'))
    };
    let resources = [
        listed(&statement["Resource"]),
        listed(&statement["NotResource"]),
    ]
    .concat();
    if resources.is_empty() {
        return Err("Missing required field Resource");
    }
    if resources.iter().all(is_own) {
        Ok(())
    } else {
        Err("Policy has invalid resource")
    }
}

fn is_principal(principal: &Value) -> bool {
    let is_account =
        |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_aws = |text: &str| text == "*" || is_account(text) || text.starts_with("arn:aws:iam::");
    let fits = |(kind, value): (&String, &Value)| {
        let names = listed(value);
        !names.is_empty()
            && names
                .iter()
                .all(|name| match (kind.as_str(), name.as_str()) {
                    ("AWS", Some(text)) => is_aws(text),
                    ("Service", Some(text)) => text.ends_with(".amazonaws.com"),
                    ("Federated" | "CanonicalUser", Some(_)) => true,
                    _ => false,
                })
    };
    match principal {
        Value::String(text) => text == "*",
        Value::Object(kinds) => !kinds.is_empty() && kinds.iter().all(fits),
        _ => false,
    }
}

/// Whether a statement allows anyone something without a condition.
fn is_public(policy: &Value) -> bool {
    let anyone = |principal: &Value| {
        principal == "*" || listed(&principal["AWS"]).iter().any(|name| *name == "*")
    };
    statements(policy).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && anyone(&statement["Principal"])
            && statement["Condition"].is_null()
    })
}

#[cfg(test)]
mod tests {
    use crate::sandbox::s3::test::{answer, bucket, refused, world};
    use serde_json::{Value, json};

    fn policy(principal: &Value, resource: &str) -> Value {
        let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": resource });
        json!({ "Bucket": "bbb", "Policy": json!({ "Version": "2012-10-17", "Statement": statement }).to_string() })
    }

    #[test]
    fn a_service_may_be_let_in_the_public_not_while_that_is_blocked() {
        let mut world = world();
        bucket(&mut world, "bbb");
        let service = json!({ "Service": "logdelivery.elasticloadbalancing.amazonaws.com" });
        answer(
            &mut world,
            "PutBucketPolicy",
            &policy(&service, "arn:aws:s3:::bbb/*"),
        );
        let public = policy(&json!("*"), "arn:aws:s3:::bbb/*");
        assert_eq!(
            refused(&mut world, "PutBucketPolicy", &public),
            "AccessDenied"
        );
        answer(
            &mut world,
            "DeletePublicAccessBlock",
            &json!({ "Bucket": "bbb" }),
        );
        answer(&mut world, "PutBucketPolicy", &public);
        let status = answer(
            &mut world,
            "GetBucketPolicyStatus",
            &json!({ "Bucket": "bbb" }),
        );
        assert_eq!(status["PolicyStatus"]["IsPublic"], true);
    }

    #[test]
    fn principals_and_resources_must_be_possible() {
        let mut world = world();
        bucket(&mut world, "bbb");
        let account = json!({ "AWS": "123456789012" });
        for input in [
            policy(&json!({ "AWS": "bob" }), "arn:aws:s3:::bbb/*"),
            policy(&json!({}), "arn:aws:s3:::bbb/*"),
            policy(&account, "arn:aws:s3:::other/*"),
            json!({ "Bucket": "bbb", "Policy": "{" }),
            json!({ "Bucket": "bbb", "Policy": "{}" }),
        ] {
            assert_eq!(
                refused(&mut world, "PutBucketPolicy", &input),
                "MalformedPolicy",
                "{input}"
            );
        }
        answer(
            &mut world,
            "PutBucketPolicy",
            &policy(&account, "arn:aws:s3:::bbb"),
        );
    }
}
