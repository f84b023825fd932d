//! Buckets as such.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{Bucket, bucket_of, no_such_bucket, refusal, tags_of};
use crate::sandbox::world::{Call, Refusal, World, seconds};

const HOME: &str = "us-east-1";

/// Makes a bucket.
pub(super) fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.required("Bucket");
    let configuration = &call.input["CreateBucketConfiguration"];
    call.models(
        "CreateBucketConfiguration",
        configuration,
        &["LocationConstraint", "Tags"],
    )?;
    if call.boolean("ObjectLockEnabledForBucket") == Some(true) {
        return Err(Refusal::not_modelled(
            call.operation,
            "ObjectLockEnabledForBucket",
        ));
    }
    check_name(name)?;
    let region = region(call.region, configuration["LocationConstraint"].as_str())?;
    let ownership = call
        .text("ObjectOwnership")
        .unwrap_or("BucketOwnerEnforced");
    if call.text("ACL").is_some_and(|acl| acl != "private") {
        let message =
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
        return Err(refusal(400, "InvalidBucketAclWithObjectOwnership", message));
    }
    let tags = tags_of(&configuration["Tags"])?;
    if let Some(existing) = world.s3.buckets.get(name) {
        let answer = json!({ "Location": format!("/{name}") });
        return existing_bucket(existing, &world.account, &region).map(|()| answer);
    }
    let mut bucket = Bucket::new(&region, &world.account, world.now);
    bucket.ownership = Some(ownership.to_owned());
    bucket.tags = tags;
    world.s3.buckets.insert(name.to_owned(), bucket);
    let location = if region == HOME {
        format!("/{name}")
    } else {
        format!("http://{name}.s3.amazonaws.com/")
    };
    Ok(json!({ "Location": location, "BucketArn": format!("arn:aws:s3:::{name}") }))
}

/// What `CreateBucket` says of a bucket that is there; in `us-east-1` one's own is no error.
fn existing_bucket(existing: &Bucket, account: &str, region: &str) -> Result<(), Refusal> {
    if existing.owner != account {
        let message = "The requested bucket name is not available. The bucket namespace is shared by all users of \
                       the system. Please select a different name and try again.";
        return Err(refusal(409, "BucketAlreadyExists", message));
    }
    if existing.region == HOME && region == HOME {
        return Ok(());
    }
    let message =
        "Your previous request to create the named bucket succeeded and you already own it.";
    Err(refusal(409, "BucketAlreadyOwnedByYou", message))
}

/// Where a bucket is to lie: only the endpoint in `us-east-1` makes buckets elsewhere.
fn region(endpoint: &str, constraint: Option<&str>) -> Result<String, Refusal> {
    let constraint = if constraint == Some("EU") {
        Some("eu-west-1")
    } else {
        constraint
    };
    let illegal = |named: &str| {
        let message = format!(
            "The {named} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        refusal(400, "IllegalLocationConstraintException", &message)
    };
    match constraint {
        None if endpoint == HOME => Ok(HOME.to_owned()),
        None => Err(illegal("unspecified")),
        Some(constraint) if endpoint == HOME || endpoint == constraint => Ok(constraint.to_owned()),
        Some(constraint) => Err(illegal(constraint)),
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    const PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const SUFFIXES: [&str; 6] = [
        "-s3alias",
        "--ol-s3",
        ".mrap",
        "--x-s3",
        "--table-s3",
        "-an",
    ];
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let valid = (3..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|&byte| is_alphanumeric(byte) || byte == b'.' || byte == b'-')
        && bytes.first().is_some_and(|&byte| is_alphanumeric(byte))
        && bytes.last().is_some_and(|&byte| is_alphanumeric(byte))
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err()
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    if valid {
        Ok(())
    } else {
        Err(refusal(
            400,
            "InvalidBucketName",
            "The specified bucket is not valid.",
        ))
    }
}

/// Deletes a bucket that holds nothing, not even a delete marker.
pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    if !bucket_of(world, call)?.objects.is_empty() {
        return Err(refusal(
            409,
            "BucketNotEmpty",
            "The bucket you tried to delete is not empty",
        ));
    }
    world.s3.buckets.remove(call.required("Bucket"));
    Ok(Value::Null)
}

/// Says that a bucket is there and may be used.
pub(super) fn head(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    // The one answer that carries the region in any case, a refusal too.
    let region = world
        .s3
        .bucket(call.required("Bucket"))
        .map(|bucket| bucket.region.clone());
    let name = call.required("Bucket");
    match (bucket_of(world, call), region) {
        (Ok(_), Some(region)) => Ok(
            json!({ "BucketRegion": region, "AccessPointAlias": false, "BucketArn": format!("arn:aws:s3:::{name}") }),
        ),
        (Err(refusal), Some(region)) if refusal.headers.is_empty() => {
            Err(refusal.with_header(("x-amz-bucket-region".to_owned(), region)))
        }
        (Err(refusal), _) => Err(refusal),
        (Ok(_), None) => Err(no_such_bucket()),
    }
}

/// Says where a bucket lies; `us-east-1` is said by saying nothing.
pub(super) fn location(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let region = bucket_of(world, call)?.region.clone();
    Ok(json!({ "LocationConstraint": Some(region).filter(|region| region != HOME) }))
}

/// Lists the account's buckets in all regions.
pub(super) fn list(world: &World, call: &Call<'_>) -> Value {
    let most = call
        .integer("MaxBuckets")
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX);
    let prefix = call.text("Prefix").unwrap_or_default();
    let after = call.text("ContinuationToken").unwrap_or_default();
    let mut found = world.s3.buckets().filter(|(name, bucket)| {
        bucket.owner == world.account
            && name.starts_with(prefix)
            && *name > after
            && call
                .text("BucketRegion")
                .is_none_or(|region| bucket.region == region)
    });
    let entry = |(name, bucket): (&str, &Bucket)| json!({ "Name": name, "CreationDate": seconds(bucket.created), "BucketRegion": bucket.region });
    let buckets: Vec<Value> = found.by_ref().take(most).map(entry).collect();
    let last = buckets.last().map(|bucket| bucket["Name"].clone());
    let token = found.next().and(last);
    json!({ "Buckets": buckets, "Owner": { "ID": world.account }, "Prefix": call.text("Prefix"), "ContinuationToken": token })
}

#[cfg(test)]
mod tests {
    use super::check_name;
    use crate::sandbox::s3::handle;
    use crate::sandbox::s3::test::{HERE, bucket, refused, world};
    use crate::sandbox::world::Call;
    use serde_json::{Value, json};

    /// What creating a bucket is refused with in the named region, if it is.
    fn created(region: &str, input: &Value) -> Result<(), String> {
        let mut world = world();
        let call = Call {
            region,
            ..Call::of("CreateBucket", input)
        };
        handle(&mut world, &call)
            .map(drop)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn only_the_home_region_needs_no_constraint_and_allows_any() {
        let with = |constraint: &str| json!({ "Bucket": "new", "CreateBucketConfiguration": { "LocationConstraint": constraint } });
        let without = json!({ "Bucket": "new" });
        let illegal = Err("IllegalLocationConstraintException".to_owned());
        assert_eq!(created("us-east-1", &without), Ok(()));
        assert_eq!(created("us-east-1", &with("eu-west-1")), Ok(()));
        assert_eq!(created("eu-west-1", &without), illegal);
        assert_eq!(created("eu-west-1", &with("eu-west-2")), illegal);
        assert_eq!(created("eu-west-1", &with("EU")), Ok(()));
    }

    #[test]
    fn names_follow_the_rules() {
        for name in ["abc", "a.b-c.1", "mtlsgw-123456789012-ap-northeast-1"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "ab",
            "Abc",
            "-abc",
            "abc.",
            "a..b",
            "192.0.2.1",
            "xn--abc",
            "abc-s3alias",
            &"a".repeat(64),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_bucket_that_is_there_is_not_made_again() {
        let mut world = world();
        bucket(&mut world, "mine");
        let input = json!({ "Bucket": "mine", "CreateBucketConfiguration": { "LocationConstraint": HERE } });
        assert_eq!(
            refused(&mut world, "CreateBucket", &input),
            "BucketAlreadyOwnedByYou"
        );
        if let Some(bucket) = world.s3.buckets.get_mut("mine") {
            "someone".clone_into(&mut bucket.owner);
        }
        assert_eq!(
            refused(&mut world, "CreateBucket", &input),
            "BucketAlreadyExists"
        );
        assert_eq!(
            refused(&mut world, "HeadBucket", &json!({ "Bucket": "mine" })),
            "AccessDenied"
        );
    }

    #[test]
    fn an_expected_owner_guards_every_call_and_a_wrong_region_is_told_the_right_one() {
        let mut world = world();
        bucket(&mut world, "mine");
        let input = json!({ "Bucket": "mine", "ExpectedBucketOwner": "111111111111" });
        assert_eq!(refused(&mut world, "ListObjectsV2", &input), "AccessDenied");
        let input = json!({ "Bucket": "mine" });
        let elsewhere = Call {
            region: "eu-west-1",
            ..Call::of("HeadBucket", &input)
        };
        let refusal = handle(&mut world, &elsewhere).expect_err("is elsewhere");
        assert_eq!(
            (refusal.code.as_str(), refusal.status),
            ("PermanentRedirect", 301)
        );
        assert_eq!(
            refusal.headers,
            [("x-amz-bucket-region".to_owned(), HERE.to_owned())]
        );
    }

    #[test]
    fn a_bucket_with_anything_in_it_stays() {
        let mut world = world();
        bucket(&mut world, "mine");
        handle(
            &mut world,
            &Call::of("PutObject", &json!({ "Bucket": "mine", "Key": "k" })),
        )
        .expect("is allowed");
        assert_eq!(
            refused(&mut world, "DeleteBucket", &json!({ "Bucket": "mine" })),
            "BucketNotEmpty"
        );
        handle(
            &mut world,
            &Call::of("DeleteObject", &json!({ "Bucket": "mine", "Key": "k" })),
        )
        .expect("is allowed");
        handle(
            &mut world,
            &Call::of("DeleteBucket", &json!({ "Bucket": "mine" })),
        )
        .expect("is empty");
        assert_eq!(
            refused(&mut world, "HeadBucket", &json!({ "Bucket": "mine" })),
            "NoSuchBucket"
        );
    }
}
