//! What AWS answered, kept whole: operation, code, message, request id.

use std::fmt;

use aws_sdk_acm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_acm::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::quota;
use crate::explain;
use crate::resource::Address;

/// A call that AWS refused or that did not get through.
#[derive(Debug, Clone)]
pub struct AwsError {
    /// What the call was for, where a resource asked.
    pub address: Option<Address>,
    /// `service:Operation`.
    pub operation: &'static str,
    /// AWS's code; empty when no answer came.
    pub code: String,
    /// AWS's words, or what the transport said.
    pub message: String,
    /// For AWS support.
    pub request_id: Option<String>,
    /// Whether the call may have taken effect although it failed: no answer, or a 5xx.
    pub uncertain: bool,
}

/// Takes the refusals that say "it is so already" for success.
///
/// # Errors
///
/// Every other refusal.
pub(crate) fn tolerate<T>(answer: Result<T, AwsError>, codes: &[&str]) -> crate::error::Result<()> {
    match answer {
        Err(error) if codes.iter().any(|code| error.is(code)) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

impl AwsError {
    pub(super) fn from_sdk<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = error
            .raw_response()
            .map_or(0, |response| response.status().as_u16());
        let code = error.code().map(str::to_owned).unwrap_or_default();
        let message = match error.as_service_error() {
            Some(service) => service.message().unwrap_or("no message").to_owned(),
            None => chain(error),
        };
        Self {
            address: None,
            operation,
            // A HEAD request has no body, so S3 can only answer with a status.
            code: if code.is_empty() && status >= 400 {
                format!("HTTP {status}")
            } else {
                code
            },
            message,
            request_id: error.request_id().map(str::to_owned),
            // A success whose body broke off has taken effect as well.
            uncertain: !(400..500).contains(&status),
        }
    }

    pub(super) fn transport(operation: &'static str, error: &reqwest::Error) -> Self {
        let status = error.status().map_or(0, |status| status.as_u16());
        Self {
            address: None,
            operation,
            code: if status == 0 {
                String::new()
            } else {
                format!("HTTP {status}")
            },
            message: chain(error),
            request_id: None,
            uncertain: true,
        }
    }

    /// An answer whose content did not come through to its end.
    pub(crate) fn broken_off(operation: &'static str, error: &dyn std::error::Error) -> Self {
        Self {
            address: None,
            operation,
            code: String::new(),
            message: chain(error),
            request_id: None,
            uncertain: true,
        }
    }

    /// A refusal that AWS reports inside an answer that is a success on the wire.
    pub(crate) fn inside_answer(operation: &'static str, code: &str, message: &str) -> Self {
        Self {
            address: None,
            operation,
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: None,
            uncertain: false,
        }
    }

    /// Whether AWS answered with this code, with or without the `Exception` some services append.
    pub fn is(&self, code: &str) -> bool {
        let bare = |code: &str| code.strip_suffix("Exception").unwrap_or(code).to_owned();
        bare(&self.code) == bare(code)
    }

    /// Whether AWS says that the caller may not do this.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.code.as_str(),
            "AccessDenied"
                | "AccessDeniedException"
                | "UnauthorizedOperation"
                | "UnauthorizedException"
                | "HTTP 403"
        )
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self.code.as_str() {
            _ if self.is_denied() => format!(
                "allow `{}` to the caller, or use another --profile",
                iam_action(self.operation)
            ),
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
                "the credentials have expired: log in again".to_owned()
            }
            "InvalidClientTokenId" | "UnrecognizedClientException" | "AuthFailure" | "SignatureDoesNotMatch" => {
                "the credentials are not valid here: check AWS_PROFILE, AWS_ACCESS_KEY_ID and the region".to_owned()
            }
            "" if self.message.contains("credentials") => {
                "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws sso login`, or try `--sandbox`"
                    .to_owned()
            }
            "" => "check the network, the region and --endpoint-url, then run the same command again".to_owned(),
            code if code.starts_with("TooMany") && !code.contains("Requests") || code.contains("LimitExceeded") => {
                let quotas = quota::quotas(self.operation, code);
                let quotas: Vec<String> = quotas.iter().map(ToString::to_string).collect();
                let named = if quotas.is_empty() { String::new() } else { format!(" ({})", quotas.join("; or ")) };
                format!("a quota is used up{named}: remove what is not needed, or ask for more in Service Quotas")
            }
            "TrustStoreNotReady" => "the trust store is still being created: run `mtlsgw apply` again".to_owned(),
            "UnsupportedCertificate" => {
                "the certificate is probably not issued yet: `mtlsgw plan` shows its state".to_owned()
            }
            _ => self.entry_to_read().unwrap_or_else(|| format!(
                "look up `{}` in AWS's reference of {}; running the same command again is safe",
                self.code,
                iam_action(self.operation)
            )),
        })
    }
}

impl AwsError {
    /// Where more is said about it, if anything is known.
    fn entry_to_read(&self) -> Option<String> {
        let code = explain::of_error(&self.code, &self.message)?.code;
        let quote = if code.contains(' ') { "'" } else { "" };
        Some(format!(
            "`mtlsgw explain {quote}{code}{quote}` says what it means and what to do; running the same command \
             again is safe"
        ))
    }

    /// What went wrong, for whoever names the address anyway.
    pub(crate) fn without_address(&self) -> String {
        let failed = format!("{} failed", self.operation);
        let parts = [failed.as_str(), &self.code, &self.message];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let text = parts.join(": ");
        match &self.request_id {
            Some(id) => format!("{text} (request {id})"),
            None => text,
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = &self.address {
            write!(f, "`{address}`: ")?;
        }
        f.write_str(&self.without_address())
    }
}

impl std::error::Error for AwsError {}

/// The IAM action that an operation, `service:Operation`, asks for; some are not named alike.
fn iam_action(operation: &str) -> String {
    let (service, name) = operation.split_once(':').unwrap_or(("", operation));
    match (service, name) {
        ("elbv2", _) => format!("elasticloadbalancing:{name}"),
        ("apigateway", _) => format!("apigateway:{}", http_method(name)),
        ("s3", "HeadBucket" | "ListObjectsV2") => "s3:ListBucket".to_owned(),
        ("s3", "GetPublicAccessBlock") => "s3:GetBucketPublicAccessBlock".to_owned(),
        ("s3", "PutPublicAccessBlock") => "s3:PutBucketPublicAccessBlock".to_owned(),
        _ => operation.to_owned(),
    }
}

/// The HTTP method of an operation of API Gateway, which is its IAM action.
fn http_method(operation: &str) -> &'static str {
    const METHODS: [(&str, &str); 7] = [
        ("Create", "POST"),
        ("Delete", "DELETE"),
        ("Get", "GET"),
        ("Put", "PUT"),
        ("Tag", "PUT"),
        ("Untag", "DELETE"),
        ("Update", "PATCH"),
    ];
    let mut methods = METHODS.iter();
    let found = methods.find(|(verb, _)| operation.starts_with(verb));
    found.map_or("*", |(_, method)| method)
}

/// An error with its causes in one line; the SDK's own text is only "dispatch failure".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_leads_to_the_entry_of_the_code_where_there_is_one() {
        let hint = |code, message| {
            let error = AwsError::inside_answer("elbv2:CreateListener", code, message);
            error.hint().unwrap()
        };
        assert!(
            hint("TargetGroupNotFound", "").starts_with("`mtlsgw explain TargetGroupNotFound`")
        );
        assert!(hint("NewCode", "").starts_with("look up `NewCode`"));
        let message = "Private REST API doesn't have a resource policy attached to it";
        let told = hint("BadRequestException", message);
        assert!(
            told.starts_with("`mtlsgw explain 'BadRequestException (no policy)'`"),
            "{told}"
        );
    }

    #[test]
    fn the_action_to_allow_is_the_one_that_iam_knows() {
        for (operation, action) in [
            ("ec2:DescribeVpcs", "ec2:DescribeVpcs"),
            (
                "elbv2:CreateListener",
                "elasticloadbalancing:CreateListener",
            ),
            ("apigateway:UpdateStage", "apigateway:PATCH"),
            ("apigateway:UntagResource", "apigateway:DELETE"),
            ("s3:HeadBucket", "s3:ListBucket"),
        ] {
            assert_eq!(iam_action(operation), action);
        }
    }
}
