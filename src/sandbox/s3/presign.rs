//! URLs that carry their own permission.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use super::refusal;
use crate::sandbox::wire::Request;
use crate::sandbox::world::{Call, Caller, Refusal, World, hex};

const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');
const DATE: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// The key that AWS services sign with; no caller has its secret.
const SERVICE_KEY: &str = "ASIASANDBOXSERVICE00";

/// A URL that lets anyone read an object until `valid` has passed on the sandbox's clock.
pub(in crate::sandbox) fn presigned_url(
    world: &World,
    call: &Call<'_>,
    (bucket, key): (&str, &str),
    valid: Duration,
) -> String {
    let path = format!("/{bucket}/{}", utf8_percent_encode(key, PATH));
    let date = date(world.now);
    let expires = valid.as_secs().to_string();
    let region = world
        .s3
        .bucket(bucket)
        .map_or(call.region, |bucket| &bucket.region);
    let scope = format!("{SERVICE_KEY}/{}/{region}/s3/aws4_request", &date[..8]);
    let signature = signature(&["GET", &path, &scope, &date, &expires]);
    let credential = utf8_percent_encode(&scope, NON_ALPHANUMERIC);
    format!(
        "{}{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}\
         &X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}",
        call.endpoint
    )
}

fn date(milliseconds: i64) -> String {
    let instant = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000));
    instant
        .ok()
        .and_then(|instant| instant.format(DATE).ok())
        .unwrap_or_else(|| "19700101T000000Z".to_owned())
}

/// The signature that a service gives; any caller's own key is taken on trust, this one is not.
fn signature(parts: &[&str]) -> String {
    hex(&Sha256::digest(format!(
        "a secret of the sandbox\n{}",
        parts.join("\n")
    )))
}

/// Who a request comes from, which for one that is signed in its URL that says, until it expires.
pub(in crate::sandbox) fn check(request: &Request, now: i64) -> Result<Caller, Refusal> {
    let parameter = |name| request.parameter(name).unwrap_or_default();
    if request.header("authorization").is_some() || parameter("X-Amz-Signature").is_empty() {
        return Ok(Caller::Account);
    }
    let (date, expires, scope) = (
        parameter("X-Amz-Date"),
        parameter("X-Amz-Expires"),
        parameter("X-Amz-Credential"),
    );
    let signed =
        time::PrimitiveDateTime::parse(date, DATE).map(|date| date.assume_utc().unix_timestamp());
    let (Ok(signed), Ok(seconds)) = (signed, expires.parse::<i64>()) else {
        let message =
            "Query-string authentication requires the X-Amz-Date and X-Amz-Expires parameters";
        return Err(refusal(400, "AuthorizationQueryParametersError", message));
    };
    if now / 1000 > signed.saturating_add(seconds) {
        return Err(refusal(403, "AccessDenied", "Request has expired"));
    }
    if !scope.starts_with(SERVICE_KEY) {
        return Ok(Caller::Account);
    }
    if signature(&[&request.method, &request.path, scope, date, expires])
        == parameter("X-Amz-Signature")
    {
        return Ok(Caller::Bearer);
    }
    let message = "The request signature we calculated does not match the signature you provided.";
    Err(refusal(403, "SignatureDoesNotMatch", message))
}

#[cfg(test)]
mod tests {
    use super::{check, presigned_url};
    use crate::sandbox::s3::Place;
    use crate::sandbox::s3::test::world;
    use crate::sandbox::wire::{Request, pairs};
    use crate::sandbox::world::{Call, Caller};
    use serde_json::Value;
    use std::time::Duration;

    /// The request that a client makes of a URL.
    fn request(method: &str, url: &str) -> Request {
        let (path, query) = url
            .trim_start_matches("http://127.0.0.1:4566")
            .split_once('?')
            .expect("is signed");
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: pairs(query),
            ..Request::default()
        }
    }

    #[test]
    fn a_services_url_is_good_for_one_object_one_method_and_its_time() {
        let mut world = world();
        let place = Place {
            owner: "elb",
            region: "eu-west-1",
            bucket: "kept",
            key: "a/b c",
        };
        world.s3.put_internal(&place, 0, b"content");
        let call = Call::of("GetTrustStoreCaCertificatesBundle", &Value::Null);
        let url = presigned_url(&world, &call, ("kept", "a/b c"), Duration::from_mins(10));
        let judged = |method: &str, url: &str, now: i64| {
            check(&request(method, url), now).map_err(|refusal| refusal.code)
        };
        let mismatch = Err("SignatureDoesNotMatch".to_owned());
        assert_eq!(judged("GET", &url, world.now), Ok(Caller::Bearer));
        assert_eq!(judged("DELETE", &url, world.now), mismatch);
        assert_eq!(
            judged("GET", &url.replace("b%20c", "other"), world.now),
            mismatch
        );
        assert_eq!(
            judged(
                "GET",
                &url.replace("Expires=600", "Expires=6000"),
                world.now
            ),
            mismatch
        );
        assert_eq!(
            judged("GET", &url, world.now + 601_000),
            Err("AccessDenied".to_owned())
        );
    }
}
