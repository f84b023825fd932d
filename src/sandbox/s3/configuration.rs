//! A bucket's settings: each is put, got and deleted as a whole.

use serde_json::{Value, json};

use super::{Bucket, bucket_of, refusal, tag_set, tags_of};
use crate::sandbox::world::{Call, Refusal, World};

/// What every bucket has, and gets again when it is deleted.
pub(super) fn default_encryption() -> Value {
    let rule = json!({
        "ApplyServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" },
        "BucketKeyEnabled": false,
    });
    json!({ "Rules": [rule] })
}

/// What every new bucket has.
pub(super) fn blocked() -> Value {
    json!({
        "BlockPublicAcls": true,
        "IgnorePublicAcls": true,
        "BlockPublicPolicy": true,
        "RestrictPublicBuckets": true,
    })
}

/// Answers a call that is about one setting.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let bucket = bucket_of(world, call)?;
    match call.operation {
        "GetBucketTagging" => tagging(bucket),
        "PutBucketTagging" => {
            bucket.tags = tags_of(&call.input["Tagging"]["TagSet"])?;
            Ok(Value::Null)
        }
        "DeleteBucketTagging" => {
            bucket.tags.clear();
            Ok(Value::Null)
        }
        "GetBucketVersioning" => Ok(json!({ "Status": bucket.versioning })),
        "PutBucketVersioning" => put_versioning(bucket, call),
        "GetBucketEncryption" => {
            Ok(json!({ "ServerSideEncryptionConfiguration": bucket.encryption }))
        }
        "PutBucketEncryption" => put_encryption(bucket, call),
        "DeleteBucketEncryption" => {
            bucket.encryption = default_encryption();
            Ok(Value::Null)
        }
        "GetPublicAccessBlock" => public_access_block(bucket),
        "PutPublicAccessBlock" => {
            bucket.public_access_block =
                Some(completed(&call.input["PublicAccessBlockConfiguration"]));
            Ok(Value::Null)
        }
        "DeletePublicAccessBlock" => {
            bucket.public_access_block = None;
            Ok(Value::Null)
        }
        "GetBucketOwnershipControls" => ownership_controls(bucket),
        "PutBucketOwnershipControls" => {
            let rule = &call.input["OwnershipControls"]["Rules"][0];
            bucket.ownership = rule["ObjectOwnership"].as_str().map(str::to_owned);
            Ok(Value::Null)
        }
        "DeleteBucketOwnershipControls" => {
            bucket.ownership = None;
            Ok(Value::Null)
        }
        _ => unset(bucket, call),
    }
}

fn tagging(bucket: &Bucket) -> Result<Value, Refusal> {
    if bucket.tags.is_empty() {
        return Err(refusal(404, "NoSuchTagSet", "The TagSet does not exist"));
    }
    Ok(json!({ "TagSet": tag_set(&bucket.tags) }))
}

/// New writes are versions at once; on AWS the first switch-on takes up to 15 minutes to spread.
fn put_versioning(bucket: &mut Bucket, call: &Call<'_>) -> Result<Value, Refusal> {
    let configuration = &call.input["VersioningConfiguration"];
    call.models("VersioningConfiguration", configuration, &["Status"])?;
    let status = configuration["Status"].as_str().map(str::to_owned);
    let malformed = || {
        refusal(
            400,
            "IllegalVersioningConfigurationException",
            "The versioning element must be specified",
        )
    };
    bucket.versioning = Some(status.ok_or_else(malformed)?);
    Ok(Value::Null)
}

fn put_encryption(bucket: &mut Bucket, call: &Call<'_>) -> Result<Value, Refusal> {
    let configuration = &call.input["ServerSideEncryptionConfiguration"];
    let rules = configuration["Rules"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let [rule] = rules else {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(refusal(400, "MalformedXML", message));
    };
    call.models(
        "Rules.1",
        rule,
        &["ApplyServerSideEncryptionByDefault", "BucketKeyEnabled"],
    )?;
    let default = &rule["ApplyServerSideEncryptionByDefault"];
    if default["SSEAlgorithm"] == "AES256" && !default["KMSMasterKeyID"].is_null() {
        let message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
        return Err(refusal(400, "InvalidArgument", message));
    }
    let key = rule["BucketKeyEnabled"].as_bool().unwrap_or(false);
    let rule = json!({ "ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": key });
    bucket.encryption = json!({ "Rules": [rule] });
    Ok(Value::Null)
}

fn public_access_block(bucket: &Bucket) -> Result<Value, Refusal> {
    let message = "The public access block configuration was not found";
    let missing = || refusal(404, "NoSuchPublicAccessBlockConfiguration", message);
    let configuration = bucket.public_access_block.as_ref().ok_or_else(missing)?;
    Ok(json!({ "PublicAccessBlockConfiguration": configuration }))
}

/// What is not named is off.
fn completed(configuration: &Value) -> Value {
    let mut completed = blocked();
    for (name, value) in completed.as_object_mut().into_iter().flatten() {
        *value = configuration[name.as_str()]
            .as_bool()
            .unwrap_or(false)
            .into();
    }
    completed
}

fn ownership_controls(bucket: &Bucket) -> Result<Value, Refusal> {
    let message = "The bucket ownership controls were not found";
    let missing = || refusal(404, "OwnershipControlsNotFoundError", message);
    let ownership = bucket.ownership.as_ref().ok_or_else(missing)?;
    Ok(json!({ "OwnershipControls": { "Rules": [{ "ObjectOwnership": ownership }] } }))
}

/// Settings that can be asked for and are never there, because they cannot be put.
fn unset(bucket: &Bucket, call: &Call<'_>) -> Result<Value, Refusal> {
    let missing = |code: &str, message: &str| Err(refusal(404, code, message));
    match call.operation {
        "GetBucketCors" => missing(
            "NoSuchCORSConfiguration",
            "The CORS configuration does not exist",
        ),
        "GetBucketWebsite" => missing(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
        "GetBucketReplication" => missing(
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ),
        "GetObjectLockConfiguration" => missing(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        ),
        "GetBucketAccelerateConfiguration"
        | "GetBucketLogging"
        | "GetBucketNotificationConfiguration" => Ok(json!({})),
        "GetBucketRequestPayment" => Ok(json!({ "Payer": "BucketOwner" })),
        "GetBucketAbac" => Ok(json!({ "AbacStatus": { "Status": "Disabled" } })),
        "GetBucketAcl" => Ok(access_control_list(&bucket.owner)),
        other => Err(Refusal::not_modelled(other, "the operation")),
    }
}

fn access_control_list(owner: &str) -> Value {
    let grant = json!({ "Grantee": { "ID": owner, "Type": "CanonicalUser" }, "Permission": "FULL_CONTROL" });
    json!({ "Owner": { "ID": owner }, "Grants": [grant] })
}
