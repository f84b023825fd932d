//! What is in a log bucket.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use crate::aws::{Aws, Identity};
use crate::error::{Error, Result};

/// How the objects are called that ELB writes to see whether it can: `ELBConnectionLogTestFile`.
const TEST_OBJECT: (&str, &str) = ("/ELB", "LogTestFile");

/// How many keys are looked at: there are at most a few that are no logs.
const LOOKED_AT: i32 = 10;

/// Whether there is anything in a bucket but what ELB has written when logging was switched on.
pub(super) async fn has_logs(aws: &Aws, identity: &Identity, name: &str) -> Result<bool> {
    let send = aws
        .s3
        .list_object_versions()
        .bucket(name)
        .max_keys(LOOKED_AT)
        .expected_bucket_owner(&identity.account)
        .send();
    let listed = match aws.call("s3:ListObjectVersions", send).await {
        Err(error) if error.is("NoSuchBucket") => return Ok(false),
        other => other?,
    };
    let versions = listed.versions().iter().filter_map(|one| one.key());
    let any = versions.into_iter().any(|key| !is_test_object(key));
    Ok(any || listed.is_truncated() == Some(true))
}

fn is_test_object(key: &str) -> bool {
    let (before, after) = TEST_OBJECT;
    key.rsplit_once(before)
        .is_some_and(|(_, name)| name.ends_with(after) && !name.contains('/'))
}

/// Deletes every version and delete marker, a page at a time from the beginning: what is deleted is
/// listed no more.
pub(super) async fn clear(aws: &Aws, identity: &Identity, name: &str) -> Result<()> {
    loop {
        let send = aws
            .s3
            .list_object_versions()
            .bucket(name)
            .expected_bucket_owner(&identity.account)
            .send();
        let listed = match aws.call("s3:ListObjectVersions", send).await {
            Err(error) if error.is("NoSuchBucket") => return Ok(()),
            other => other?,
        };
        let versions = listed
            .versions()
            .iter()
            .map(|one| (one.key(), one.version_id()));
        let markers = listed
            .delete_markers()
            .iter()
            .map(|one| (one.key(), one.version_id()));
        let doomed = versions
            .chain(markers)
            .map(|(key, version)| {
                ObjectIdentifier::builder()
                    .key(key.unwrap_or_default())
                    .set_version_id(version.map(str::to_owned))
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::refused(error.to_string()))?;
        if doomed.is_empty() {
            return Ok(());
        }
        delete(aws, identity, name, doomed).await?;
    }
}

async fn delete(
    aws: &Aws,
    identity: &Identity,
    name: &str,
    doomed: Vec<ObjectIdentifier>,
) -> Result<()> {
    let doomed = Delete::builder()
        .set_objects(Some(doomed))
        .quiet(true)
        .build()
        .map_err(|error| Error::refused(error.to_string()))?;
    let send = aws
        .s3
        .delete_objects()
        .bucket(name)
        .expected_bucket_owner(&identity.account)
        .delete(doomed)
        .send();
    let answer = aws.call("s3:DeleteObjects", send).await?;
    match answer.errors().first() {
        None => Ok(()),
        // The answer is a success that tells of failures.
        Some(failed) => Err(Error::refused_with(
            format!(
                "s3:DeleteObjects left `{}` in the bucket `{name}`: {}: {}",
                failed.key().unwrap_or_default(),
                failed.code().unwrap_or_default(),
                failed.message().unwrap_or_default()
            ),
            "allow s3:DeleteObject and s3:DeleteObjectVersion on its objects to the caller",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_elb_writes_to_see_whether_it_can_is_no_log() {
        assert!(is_test_object(
            "AWSLogs/123456789012/ELBConnectionLogTestFile"
        ));
        assert!(is_test_object("AWSLogs/123456789012/ELBAccessLogTestFile"));
        assert!(!is_test_object(
            "AWSLogs/123456789012/elasticloadbalancing/eu-west-1/2026/11/28/conn_log_1.log.gz"
        ));
        assert!(!is_test_object("AWSLogs/ELB/2026/LogTestFile"));
    }
}
