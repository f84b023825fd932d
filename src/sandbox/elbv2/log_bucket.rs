//! Where a load balancer writes its logs: the checks that AWS makes when logging is switched on.

use serde_json::Value;

use super::arn;
use super::load_balancer::LoadBalancer;
use crate::sandbox::s3;
use crate::sandbox::world::{Call, Refusal, World};

/// The logs, by the prefix of their attributes, with the name of the object that ELB writes to see
/// whether it can.
const LOGS: [(&str, &str); 3] = [
    ("access_logs", "ELBAccessLogTestFile"),
    ("connection_logs", "ELBConnectionLogTestFile"),
    ("health_check_logs", "ELBHealthCheckLogTestFile"),
];

/// The principal that delivers logs.
const DELIVERY: &str = "logdelivery.elasticloadbalancing.amazonaws.com";

/// Where one kind of logs goes.
pub(in crate::sandbox) struct Destination {
    /// The customer's bucket.
    pub(in crate::sandbox) bucket: String,
    /// What all keys begin with: `PREFIX/AWSLogs/ACCOUNT`.
    pub(in crate::sandbox) directory: String,
}

impl Destination {
    /// Where the load balancer writes these logs; none while they are off.
    pub(in crate::sandbox) fn of(
        load_balancer: &LoadBalancer,
        log: &str,
        account: &str,
    ) -> Option<Self> {
        let value = |name: &str| load_balancer.attribute(&format!("{log}.s3.{name}"));
        if value("enabled") != "true" {
            return None;
        }
        let prefix = value("prefix");
        let separator = if prefix.is_empty() { "" } else { "/" };
        Some(Self {
            bucket: value("bucket").to_owned(),
            directory: format!("{prefix}{separator}AWSLogs/{account}"),
        })
    }
}

/// Checks the buckets of logs that a change switches on or points elsewhere, and leaves the test
/// object there, as AWS does.
pub(super) fn check(
    world: &mut World,
    call: &Call<'_>,
    before: &LoadBalancer,
    after: &LoadBalancer,
) -> Result<(), Refusal> {
    let mut test_objects = Vec::new();
    for (log, test_object) in LOGS {
        let keys = ["enabled", "bucket", "prefix"].map(|name| format!("{log}.s3.{name}"));
        let changed = keys
            .iter()
            .any(|key| before.attribute(key) != after.attribute(key));
        let destination = Destination::of(after, log, &world.account);
        if let Some(destination) = destination.filter(|_| changed) {
            check_destination(world, call, &destination)?;
            let key = format!("{}/{test_object}", destination.directory);
            test_objects.push((destination.bucket, key));
        }
    }
    let now = world.now;
    for (bucket, key) in test_objects {
        let place = s3::Place {
            owner: "elasticloadbalancing",
            region: call.region,
            bucket: &bucket,
            key: &key,
        };
        world
            .s3
            .put_internal(&place, now, b"Enable AccessLog for ELB");
    }
    Ok(())
}

fn check_destination(
    world: &World,
    call: &Call<'_>,
    destination: &Destination,
) -> Result<(), Refusal> {
    let refused = |message: String| Err(Refusal::new("InvalidConfigurationRequest", message));
    let name = &destination.bucket;
    if name.is_empty() {
        return refused("A bucket must be specified to enable logs".to_owned());
    }
    let prefix = destination
        .directory
        .trim_end_matches(&format!("AWSLogs/{}", world.account));
    if prefix.contains("AWSLogs") {
        return refused("The log prefix must not contain 'AWSLogs'".to_owned());
    }
    let denied = format!("Access Denied for bucket: {name}. Please check S3bucket permission");
    let Some(bucket) = world.s3.bucket(name) else {
        return refused(denied);
    };
    if bucket.region != call.region {
        return refused(format!(
            "The bucket '{name}' is in region '{}', not in '{}'",
            bucket.region, call.region
        ));
    }
    if !bucket.encrypts_with_own_keys() {
        return refused(format!(
            "The bucket '{name}' must be encrypted with Amazon S3 managed keys (SSE-S3)"
        ));
    }
    let partition = arn::partition(call.region);
    let object = format!("arn:{partition}:s3:::{name}/{}/test", destination.directory);
    match bucket.known_policy(world.now) {
        Some(policy) if lets_deliver(policy, &object) => Ok(()),
        _ => refused(denied),
    }
}

/// Whether a bucket policy lets ELB's log delivery write the object. A statement with a condition
/// is taken to hold: the sandbox delivers from the account and the region that it names.
fn lets_deliver(policy: &str, object: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return false;
    };
    each(&policy["Statement"]).any(|statement| {
        statement["Effect"] == "Allow"
            && is_delivery(&statement["Principal"])
            && texts(&statement["Action"]).any(|action| fits(action, "s3:PutObject"))
            && texts(&statement["Resource"]).any(|resource| fits(resource, object))
    })
}

/// The service, or an account of ELB's as older policies have it.
fn is_delivery(principal: &Value) -> bool {
    principal == "*"
        || texts(&principal["Service"]).any(|service| service == DELIVERY)
        || texts(&principal["AWS"]).any(|aws| aws == "*" || aws.ends_with(":root"))
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let elements = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    elements.iter()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    each(value).filter_map(Value::as_str)
}

/// Whether the text fits a pattern with `*` and `?`, as policies have them.
fn fits(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => {
            text.char_indices()
                .any(|(index, _)| fits(rest, &text[index..]))
                || fits(rest, "")
        }
        _ => text.chars().next().is_some_and(|next| {
            (first == '?' || next == first) && fits(rest, &text[next.len_utf8()..])
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OBJECT: &str = "arn:aws:s3:::logs/edge/AWSLogs/123456789012/test";

    fn policy(principal: &Value, resource: &str) -> String {
        json!({"Statement": [{
            "Effect": "Allow",
            "Principal": principal,
            "Action": "s3:PutObject",
            "Resource": resource,
        }]})
        .to_string()
    }

    #[test]
    fn the_delivery_service_may_write_where_the_policy_says() {
        let service = json!({"Service": DELIVERY});
        let here = "arn:aws:s3:::logs/edge/AWSLogs/123456789012/*";
        assert!(lets_deliver(&policy(&service, here), OBJECT));
        let elsewhere = "arn:aws:s3:::logs/AWSLogs/123456789012/*";
        assert!(!lets_deliver(&policy(&service, elsewhere), OBJECT));
    }

    #[test]
    fn another_service_may_not_write() {
        let service = json!({"Service": "cloudfront.amazonaws.com"});
        assert!(!lets_deliver(&policy(&service, "*"), OBJECT));
    }
}
