//! What a request's signature says about itself: the service and region it is meant for.
//!
//! Its value is not verified: the sandbox has no secrets, and any credentials will do. That it is
//! there is: a client that forgets to sign would not get past AWS.

use super::wire::Request;
use super::world::Refusal;

/// The scope that a request is signed for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// The signing name, `elasticloadbalancing`.
    pub(super) service: String,
    /// The region.
    pub(super) region: String,
}

/// Reads the scope from the `Authorization` header or the query parameters.
pub(super) fn scope(request: &Request) -> Result<Scope, Refusal> {
    let (credential, signature) = match request.header("authorization") {
        Some(header) => (field(header, "Credential="), field(header, "Signature=")),
        None => (
            request.parameter("X-Amz-Credential"),
            request.parameter("X-Amz-Signature"),
        ),
    };
    let is_unsigned = credential.is_none() && request.header("authorization").is_none();
    if is_unsigned {
        let message = "Request is missing Authentication Token";
        return Err(Refusal::new("MissingAuthenticationToken", message).with_status(403));
    }
    let incomplete = |what: &str| {
        Refusal::new(
            "IncompleteSignature",
            format!("The request's signature has no {what}"),
        )
    };
    if signature.is_none_or(str::is_empty) {
        return Err(incomplete("value"));
    }
    let parts: Vec<&str> = credential.unwrap_or_default().split('/').collect();
    match parts.as_slice() {
        // A key id may contain slashes, the scope does not.
        [key, .., _, region, service, "aws4_request"] if !key.is_empty() => Ok(Scope {
            service: (*service).to_owned(),
            region: (*region).to_owned(),
        }),
        _ => Err(incomplete("credential scope")),
    }
}

fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let rest = &header[header.find(name)? + name.len()..];
    rest.split([',', ' ']).next()
}

#[cfg(test)]
mod tests {
    use super::{Request, Scope, scope};

    fn signed(authorization: &str) -> Request {
        let headers = [("authorization".to_owned(), authorization.to_owned())].into();
        Request {
            headers,
            ..Request::default()
        }
    }

    #[test]
    fn the_scope_names_service_and_region() {
        let request = signed(
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=ab",
        );
        let expected = Scope {
            service: "ec2".to_owned(),
            region: "eu-west-1".to_owned(),
        };
        assert_eq!(scope(&request), Ok(expected));
    }

    #[test]
    fn a_request_without_signature_is_refused() {
        let refused = scope(&Request::default()).expect_err("is unsigned");
        assert_eq!(
            (refused.code.as_str(), refused.status),
            ("MissingAuthenticationToken", 403)
        );
        let without_value =
            signed("AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/ec2/aws4_request");
        assert_eq!(
            scope(&without_value).expect_err("has no value").code,
            "IncompleteSignature"
        );
        assert_eq!(
            scope(&signed("Basic abc"))
                .expect_err("is no signature")
                .code,
            "IncompleteSignature"
        );
    }
}
