//! Objects: written whole, read whole, deleted by version or by marker.

use std::collections::BTreeMap;

use base64::Engine;
use serde_json::{Map, Value, json};

use super::{Bucket, Content, Version, bucket_of, refusal, tag_set, tags_of};
use crate::sandbox::wire;
use crate::sandbox::world::{Call, Refusal, World, seconds};

/// Members that come back as they were put.
const KEPT: [&str; 6] = [
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Metadata",
];

const CHECKSUMS: [&str; 4] = [
    "ChecksumCRC32",
    "ChecksumCRC32C",
    "ChecksumCRC64NVME",
    "ChecksumSHA256",
];

const NULL_VERSION: &str = "null";

fn no_such_key() -> Refusal {
    refusal(404, "NoSuchKey", "The specified key does not exist.")
}

fn precondition_failed() -> Refusal {
    refusal(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
    )
}

fn picked(call: &Call<'_>, names: &[&str]) -> BTreeMap<String, Value> {
    let given = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), call.input.get(*name)?.clone())));
    given.collect()
}

/// Writes an object.
pub(super) fn put(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let current = current(bucket_of(world, call)?, call.required("Key"))
        .map(|(_, content)| content.etag.clone());
    check_write_conditions(call, current.as_deref())?;
    check_supported(call)?;
    let mut content = world.s3.keep(call.body);
    content.headers = picked(call, &KEPT);
    content
        .headers
        .entry("ContentType".to_owned())
        .or_insert_with(|| "binary/octet-stream".into());
    content.checksums = picked(call, &CHECKSUMS);
    let tags: Vec<_> = call.text("Tagging").map(wire::pairs).unwrap_or_default();
    content.tags = tags.into_iter().collect();
    let etag = content.etag.clone();
    let id = world.unique_hex(32);
    let modified = world.now;
    let bucket = bucket_of(world, call)?;
    let version = Version {
        id,
        modified,
        content: Some(content.clone()),
    };
    let version = append(bucket, call.required("Key"), version);
    let mut answer =
        json!({ "ETag": etag, "ServerSideEncryption": "AES256", "VersionId": version });
    add_checksums(&mut answer, &content);
    Ok(answer)
}

/// Refuses values of modelled members that the sandbox has nothing for.
fn check_supported(call: &Call<'_>) -> Result<(), Refusal> {
    let allowed: [(&str, &[&str]); 3] = [
        ("ServerSideEncryption", &["AES256"]),
        ("StorageClass", &["STANDARD"]),
        ("ACL", &["private", "bucket-owner-full-control"]),
    ];
    for (member, values) in allowed {
        if let Some(value) = call.text(member).filter(|value| !values.contains(value)) {
            return Err(Refusal::not_modelled(
                call.operation,
                &format!("{member}: {value}"),
            ));
        }
    }
    Ok(())
}

fn check_write_conditions(call: &Call<'_>, current: Option<&str>) -> Result<(), Refusal> {
    match call.text("IfNoneMatch") {
        Some("*") if current.is_some() => return Err(precondition_failed()),
        None | Some("*") => {}
        Some(_) => {
            let message = "A header you provided implies functionality that is not implemented";
            return Err(refusal(501, "NotImplemented", message));
        }
    }
    match (call.text("IfMatch"), current) {
        (Some(_), None) => Err(no_such_key()),
        (Some(wanted), Some(found)) if !is_same(wanted, found) => Err(precondition_failed()),
        _ => Ok(()),
    }
}

fn is_same(wanted: &str, found: &str) -> bool {
    wanted == "*" || wanted.trim_matches('"') == found.trim_matches('"')
}

/// Adds a version, which replaces the `null` one where versioning is not on.
///
/// Returns its id where the answer is to tell it.
fn append(bucket: &mut Bucket, key: &str, mut version: Version) -> Option<String> {
    let versions = bucket.objects.entry(key.to_owned()).or_default();
    if bucket.versioning.as_deref() != Some("Enabled") {
        NULL_VERSION.clone_into(&mut version.id);
        versions.retain(|version| version.id != NULL_VERSION);
    }
    let id = version.id.clone();
    versions.push(version);
    bucket.versioning.is_some().then_some(id)
}

/// A key's current version, unless it is a delete marker.
fn current<'b>(bucket: &'b Bucket, key: &str) -> Option<(&'b Version, &'b Content)> {
    let version = bucket.objects.get(key)?.last()?;
    Some((version, version.content.as_ref()?))
}

/// The version that a call means.
fn found<'b>(bucket: &'b Bucket, call: &Call<'_>) -> Result<(&'b Version, &'b Content), Refusal> {
    let key = call.required("Key");
    let Some(id) = call.text("VersionId") else {
        return current(bucket, key).ok_or_else(no_such_key);
    };
    let versions = bucket.objects.get(key).ok_or_else(no_such_version)?;
    let version = versions
        .iter()
        .find(|version| version.id == id)
        .ok_or_else(no_such_version)?;
    let marker = || {
        let message = "The specified method is not allowed against this resource.";
        refusal(405, "MethodNotAllowed", message)
    };
    Ok((version, version.content.as_ref().ok_or_else(marker)?))
}

fn no_such_version() -> Refusal {
    refusal(
        404,
        "NoSuchVersion",
        "The specified version does not exist.",
    )
}

/// Describes an object.
pub(super) fn head(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let bucket = bucket_of(world, call)?;
    let (version, content) = found(bucket, call)?;
    if call
        .text("IfMatch")
        .is_some_and(|wanted| !is_same(wanted, &content.etag))
    {
        return Err(precondition_failed());
    }
    if call
        .text("IfNoneMatch")
        .is_some_and(|wanted| is_same(wanted, &content.etag))
    {
        return Err(refusal(304, "NotModified", "Not Modified"));
    }
    let mut answer = json!({
        "AcceptRanges": "bytes",
        "ContentLength": content.size,
        "ETag": content.etag,
        "LastModified": seconds(version.modified),
        "ServerSideEncryption": "AES256",
        "VersionId": bucket.versioning.as_ref().map(|_| &version.id),
    });
    if let Value::Object(members) = &mut answer {
        members.extend(content.headers.clone());
    }
    if call.text("ChecksumMode") == Some("ENABLED") {
        add_checksums(&mut answer, content);
    }
    Ok(answer)
}

fn add_checksums(answer: &mut Value, content: &Content) {
    if let Value::Object(members) = answer
        && !content.checksums.is_empty()
    {
        members.extend(content.checksums.clone());
        members.insert("ChecksumType".to_owned(), "FULL_OBJECT".into());
    }
}

/// Reads an object.
pub(super) fn get(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut answer = head(world, call)?;
    let body = world.s3.body(
        call.required("Bucket"),
        call.required("Key"),
        call.text("VersionId"),
    );
    let body = base64::engine::general_purpose::STANDARD.encode(body.unwrap_or_default());
    if let Value::Object(members) = &mut answer {
        members.insert("Body".to_owned(), body.into());
        // HTTP says it by itself, and a length beside a body could only contradict it.
        members.remove("ContentLength");
    }
    Ok(answer)
}

/// Deletes an object, or one version of it.
pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let (id, now) = (world.unique_hex(32), world.now);
    let bucket = bucket_of(world, call)?;
    if let Some(wanted) = call.text("IfMatch") {
        let (_, content) = found(bucket, call)?;
        if !is_same(wanted, &content.etag) {
            return Err(precondition_failed());
        }
    }
    let marker = Version {
        id,
        modified: now,
        content: None,
    };
    let deleted = remove(
        bucket,
        (call.required("Key"), call.text("VersionId")),
        marker,
    );
    Ok(json!({ "DeleteMarker": deleted.is_marker.then_some(true), "VersionId": deleted.version }))
}

/// What was deleted.
struct Deleted {
    /// The version that is gone, or the marker that is new.
    version: Option<String>,
    /// Whether that is a delete marker.
    is_marker: bool,
}

/// Deletes a version, or puts `marker` where versioning is or was on; what is not there is no error.
fn remove(bucket: &mut Bucket, (key, version): (&str, Option<&str>), marker: Version) -> Deleted {
    let Some(id) = version else {
        if bucket.versioning.is_none() {
            bucket.objects.remove(key);
            return Deleted {
                version: None,
                is_marker: false,
            };
        }
        return Deleted {
            version: append(bucket, key, marker),
            is_marker: true,
        };
    };
    let mut is_marker = false;
    if let Some(versions) = bucket.objects.get_mut(key) {
        is_marker = versions
            .iter()
            .any(|version| version.id == id && version.content.is_none());
        versions.retain(|version| version.id != id);
        if versions.is_empty() {
            bucket.objects.remove(key);
        }
    }
    Deleted {
        version: Some(id.to_owned()),
        is_marker,
    }
}

/// Deletes up to 1,000 objects; the answer is 200 however many could not be deleted.
pub(super) fn delete_many(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let objects = call.input["Delete"]["Objects"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if objects.is_empty() || objects.len() > 1000 {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(refusal(400, "MalformedXML", message));
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in objects {
        call.models("Delete.Objects", object, &["Key", "VersionId", "ETag"])?;
        let id = world.unique_hex(32);
        let marker = Version {
            id,
            modified: world.now,
            content: None,
        };
        match delete_one(bucket_of(world, call)?, object, marker) {
            Ok(entry) => deleted.push(entry),
            Err(error) => errors.push(error),
        }
    }
    let is_quiet = call.input["Delete"]["Quiet"] == true;
    Ok(json!({ "Deleted": if is_quiet { Vec::new() } else { deleted }, "Errors": errors }))
}

/// Deletes one of many; both ways it gives the entry of the answer.
fn delete_one(bucket: &mut Bucket, object: &Value, marker: Version) -> Result<Value, Value> {
    let key = object["Key"].as_str().unwrap_or_default();
    let version = object["VersionId"].as_str();
    if let Some(wanted) = object["ETag"].as_str()
        && !current(bucket, key).is_some_and(|(_, content)| is_same(wanted, &content.etag))
    {
        let Refusal { code, message, .. } = precondition_failed();
        return Err(json!({ "Key": key, "VersionId": version, "Code": code, "Message": message }));
    }
    let deleted = remove(bucket, (key, version), marker);
    let mut entry = Map::from_iter([("Key".to_owned(), key.into())]);
    if let Some(version) = version {
        entry.insert("VersionId".to_owned(), version.into());
    }
    if deleted.is_marker {
        entry.insert("DeleteMarker".to_owned(), true.into());
        entry.insert("DeleteMarkerVersionId".to_owned(), deleted.version.into());
    }
    Ok(Value::Object(entry))
}

/// Reads or replaces an object's tags.
pub(super) fn tagging(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let bucket = bucket_of(world, call)?;
    let (version, content) = found(bucket, call)?;
    let (id, digest) = (
        version.id.clone(),
        bucket.versioning.as_ref().map(|_| version.id.clone()),
    );
    let tags = match call.operation {
        "GetObjectTagging" => {
            return Ok(json!({ "TagSet": tag_set(&content.tags), "VersionId": digest }));
        }
        "PutObjectTagging" => tags_of(&call.input["Tagging"]["TagSet"])?,
        _ => BTreeMap::new(),
    };
    let versions = bucket
        .objects
        .get_mut(call.required("Key"))
        .into_iter()
        .flatten();
    for version in versions.filter(|version| version.id == id) {
        if let Some(content) = &mut version.content {
            content.tags.clone_from(&tags);
        }
    }
    Ok(json!({ "VersionId": digest }))
}

#[cfg(test)]
mod tests {
    use crate::sandbox::s3::test::{answer, bucket, refused, world};
    use serde_json::{Value, json};

    fn put(key: &str, condition: (&str, &str)) -> Value {
        json!({ "Bucket": "bbb", "Key": key, condition.0: condition.1 })
    }

    #[test]
    fn conditional_writes_lose_to_what_is_there() {
        let mut world = world();
        bucket(&mut world, "bbb");
        let first = answer(&mut world, "PutObject", &put("lock", ("IfNoneMatch", "*")));
        assert_eq!(
            refused(&mut world, "PutObject", &put("lock", ("IfNoneMatch", "*"))),
            "PreconditionFailed"
        );
        assert_eq!(
            refused(&mut world, "PutObject", &put("lock", ("IfMatch", "\"00\""))),
            "PreconditionFailed"
        );
        assert_eq!(
            refused(&mut world, "PutObject", &put("none", ("IfMatch", "\"00\""))),
            "NoSuchKey"
        );
        let etag = first["ETag"].as_str().expect("is a text");
        answer(&mut world, "PutObject", &put("lock", ("IfMatch", etag)));
        assert_eq!(
            refused(
                &mut world,
                "DeleteObject",
                &put("lock", ("IfMatch", "\"00\""))
            ),
            "PreconditionFailed"
        );
        answer(&mut world, "DeleteObject", &put("lock", ("IfMatch", etag)));
        assert_eq!(
            refused(
                &mut world,
                "HeadObject",
                &json!({ "Bucket": "bbb", "Key": "lock" })
            ),
            "NoSuchKey"
        );
    }

    #[test]
    fn versions_are_kept_under_markers_and_deleted_one_by_one() {
        let mut world = world();
        bucket(&mut world, "bbb");
        let object = json!({ "Bucket": "bbb", "Key": "k" });
        assert!(answer(&mut world, "PutObject", &object)["VersionId"].is_null());
        let versioning =
            json!({ "Bucket": "bbb", "VersioningConfiguration": { "Status": "Enabled" } });
        answer(&mut world, "PutBucketVersioning", &versioning);
        let second = answer(&mut world, "PutObject", &object)["VersionId"].clone();
        let marker = answer(&mut world, "DeleteObject", &object);
        assert_eq!(marker["DeleteMarker"], true);
        assert_eq!(refused(&mut world, "GetObject", &object), "NoSuchKey");
        let versions = answer(
            &mut world,
            "ListObjectVersions",
            &json!({ "Bucket": "bbb" }),
        );
        let count = |list: &str| versions[list].as_array().map_or(0, Vec::len);
        assert_eq!((count("Versions"), count("DeleteMarkers")), (2, 1));
        assert_eq!(
            refused(&mut world, "DeleteBucket", &json!({ "Bucket": "bbb" })),
            "BucketNotEmpty"
        );
        let all = json!([
            { "Key": "k", "VersionId": "null" },
            { "Key": "k", "VersionId": second },
            { "Key": "k", "VersionId": marker["VersionId"] },
        ]);
        let deleted = answer(
            &mut world,
            "DeleteObjects",
            &json!({ "Bucket": "bbb", "Delete": { "Objects": all } }),
        );
        assert_eq!(deleted["Deleted"].as_array().map_or(0, Vec::len), 3);
        answer(&mut world, "DeleteBucket", &json!({ "Bucket": "bbb" }));
    }

    #[test]
    fn what_was_put_comes_back() {
        let mut world = world();
        bucket(&mut world, "bbb");
        let input = json!({ "Bucket": "bbb", "Key": "k", "ContentType": "text/plain", "Metadata": { "a": "b" }, "Tagging": "x=y%20z" });
        answer(&mut world, "PutObject", &input);
        let object = json!({ "Bucket": "bbb", "Key": "k" });
        let found = answer(&mut world, "HeadObject", &object);
        assert_eq!(
            (&found["ContentType"], &found["Metadata"]),
            (&json!("text/plain"), &json!({ "a": "b" }))
        );
        let tags = answer(&mut world, "GetObjectTagging", &object);
        assert_eq!(tags["TagSet"], json!([{ "Key": "x", "Value": "y z" }]));
        assert_eq!(
            refused(
                &mut world,
                "PutObject",
                &put("k", ("StorageClass", "GLACIER"))
            ),
            "SandboxNotModelled"
        );
    }
}
