//! What must not be sent twice, and the counting of what was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    InterceptorContext,
};
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Overrules the SDK's standard classifier, which takes `LimitExceededException` for throttling.
///
/// For API Gateway and ACM it is a quota that no waiting mends.
#[derive(Debug, Clone)]
pub(super) struct Cautious;

impl ClassifyRetry for Cautious {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let code = error.as_operation_error().and_then(error_code);
        if code.as_deref() == Some("LimitExceededException") {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "a quota is no throttling"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// Forbids to send a call again that may have taken effect: time-outs, broken connections, 5xx.
///
/// For operations that make a second thing when they are sent a second time, having no client
/// token. It goes with the call, because a classifier is not told which operation it judges.
#[derive(Debug, Clone)]
pub(crate) struct Once;

impl ClassifyRetry for Once {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let status = context
            .response()
            .map_or(0, |response| response.status().as_u16());
        let failed = matches!(context.output_or_error(), Some(Err(_)));
        if failed && !(400..500).contains(&status) {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "never twice without a token"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// The code of the only two services whose `LimitExceededException` matters.
fn error_code(
    error: &aws_smithy_runtime_api::client::interceptors::context::Error,
) -> Option<String> {
    macro_rules! code_of {
        ($($kind:ty),* $(,)?) => {
            $(if let Some(error) = error.downcast_ref::<$kind>() { return error.code().map(str::to_owned); })*
        };
    }
    code_of!(
        aws_sdk_acm::operation::request_certificate::RequestCertificateError,
        aws_sdk_acm::operation::import_certificate::ImportCertificateError,
        aws_sdk_apigateway::operation::create_rest_api::CreateRestApiError,
        aws_sdk_apigateway::operation::put_rest_api::PutRestApiError,
        aws_sdk_apigateway::operation::create_deployment::CreateDeploymentError,
        aws_sdk_apigateway::operation::create_stage::CreateStageError,
        aws_sdk_apigateway::operation::create_domain_name::CreateDomainNameError,
        aws_sdk_apigateway::operation::create_base_path_mapping::CreateBasePathMappingError,
    );
    None
}

/// The status with which API Gateway refuses what comes too fast.
const TOO_MANY_REQUESTS: u16 = 429;

/// Counts every request that goes out, retries included, tells of throttling, and notes AWS's time.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) calls: Arc<AtomicU64>,
    pub(super) server_ahead: Arc<AtomicI64>,
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "count calls and note AWS's time"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if let Some(date) = date {
            let ahead = date.secs() - time::OffsetDateTime::now_utc().unix_timestamp();
            self.server_ahead.store(ahead, Ordering::Relaxed);
        }
        // Paced as we are, it was somebody else who was there before us.
        if context.response().status().as_u16() == TOO_MANY_REQUESTS {
            crate::apply::tell_waiting("its turn: something else in this account does the same");
        }
        Ok(())
    }
}
