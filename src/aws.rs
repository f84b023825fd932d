//! The way to AWS: clients, who we are there, pacing, retries, and errors with everything the reader needs.
//!
//! Calls are made straight on the SDK's clients and go through `Aws::call`, which waits for the
//! documented rates, counts, and turns AWS's refusals into [`AwsError`]s.

mod clock;
mod error;
mod pacing;
mod pages;
mod quota;
mod retry;
pub(crate) mod tags;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_acm::config::retry::RetryConfig;
use aws_sdk_acm::config::timeout::TimeoutConfig;
use aws_sdk_acm::config::{Credentials, SharedCredentialsProvider, StalledStreamProtectionConfig};
use aws_sdk_acm::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

pub use clock::{Clock, Speed};
pub use error::AwsError;
pub(crate) use error::tolerate;
pub(crate) use pacing::interval;
pub(crate) use pages::pages;
pub(crate) use retry::Once;

use crate::error::{Error, Result};

/// Where AWS is.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Another endpoint for all services, `--endpoint-url`.
    pub endpoint_url: Option<String>,
    /// The named profile, `--profile`.
    pub profile: Option<String>,
    /// The embedded AWS: static credentials, no proxy, its clock.
    pub sandbox: Option<Speed>,
}

/// Who AWS says we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// The caller's ARN.
    pub arn: String,
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
}

/// The clients of one account and region.
#[derive(Debug)]
pub struct Aws {
    pub(crate) acm: aws_sdk_acm::Client,
    pub(crate) apigateway: aws_sdk_apigateway::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) elbv2: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) route53: aws_sdk_route53::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) tagging: aws_sdk_resourcegroupstagging::Client,
    /// Fetches what presigned URLs point to.
    pub(crate) http: reqwest::Client,
    /// The region of the regional services.
    pub region: String,
    /// The clock of waits, back-off and pacing.
    pub clock: Clock,
    pacing: pacing::Pacing,
    exhausted: quota::Exhausted,
    calls: Arc<AtomicU64>,
    /// AWS's time less ours, in seconds, by the last answer's `Date`.
    server_ahead: Arc<AtomicI64>,
}

impl Aws {
    /// Makes the clients; calls nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the HTTP client cannot be set up.
    pub async fn connect(target: &Target, region: &str) -> Result<Self> {
        let clock = Clock::new(target.sandbox.unwrap_or(Speed::Realistic));
        let config = load_config(target, region, &clock).await;
        let calls = Arc::new(AtomicU64::new(0));
        let server_ahead = Arc::new(AtomicI64::new(0));
        let watch = retry::Watch {
            calls: Arc::clone(&calls),
            server_ahead: Arc::clone(&server_ahead),
        };
        // Each service crate has config types of its own, with the same methods.
        macro_rules! client {
            ($sdk:ident) => {
                client!($sdk, ATTEMPTS)
            };
            ($sdk:ident, $attempts:expr) => {
                $sdk::Client::from_conf(
                    $sdk::config::Builder::from(&config)
                        .interceptor(watch.clone())
                        .retry_config(RetryConfig::adaptive().with_max_attempts($attempts))
                        .retry_classifier(retry::Cautious)
                        .build(),
                )
            };
        }
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .interceptor(watch.clone())
            .retry_classifier(retry::Cautious)
            // Virtual-hosted buckets need DNS that a custom endpoint rarely has.
            .force_path_style(config.endpoint_url().is_some())
            .build();
        // The first call of all: where nobody answers, it need not take a minute to say so.
        let sts = aws_sdk_sts::config::Builder::from(&config)
            .interceptor(watch.clone())
            .retry_config(RetryConfig::standard())
            .build();
        Ok(Self {
            acm: client!(aws_sdk_acm),
            apigateway: client!(aws_sdk_apigateway, PATIENT_ATTEMPTS),
            ec2: client!(aws_sdk_ec2),
            elbv2: client!(aws_sdk_elasticloadbalancingv2),
            route53: client!(aws_sdk_route53),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sts: aws_sdk_sts::Client::from_conf(sts),
            tagging: client!(aws_sdk_resourcegroupstagging),
            http: http_client(target)?,
            region: region.to_owned(),
            clock,
            pacing: pacing::Pacing::default(),
            exhausted: quota::Exhausted::default(),
            calls,
            server_ahead,
        })
    }

    /// Sends one call: paced, counted, with AWS's refusal as an [`AwsError`].
    ///
    /// `operation` is `service:Operation`, as IAM writes actions.
    ///
    /// # Errors
    ///
    /// What AWS answered, or that it could not be reached.
    pub(crate) async fn call<T, E>(
        &self,
        operation: &'static str,
        send: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (service, name) = operation.split_once(':').unwrap_or(("", operation));
        if let Some(refusal) = self.exhausted.refusal(operation) {
            return Err(refusal);
        }
        let gate = self.await_turn(service, name).await;
        let result = send
            .await
            .map_err(|error| AwsError::from_sdk(operation, &error));
        if let Some(gate) = gate {
            gate.answered(&self.clock);
        }
        self.exhausted.note(operation, result.as_ref().err());
        self.log(operation, result.as_ref().err());
        result
    }

    /// Waits until the documented rates allow a call, and says so where it takes long.
    async fn await_turn(&self, service: &str, operation: &str) -> Option<pacing::Gate> {
        let turn = self.pacing.turn(service, operation, &self.clock);
        if !turn.wait.is_zero() {
            let (rule, seconds) = (turn.rule, turn.wait.as_secs_f32());
            tracing::info!(%rule, operation, seconds, "waiting for its turn");
            if turn.wait >= LONG_WAIT {
                let seconds = turn.wait.as_secs();
                crate::apply::tell_waiting(&format!("its turn in {seconds}s: {rule}"));
            }
        }
        let leave = || self.pacing.leave(service, operation, &self.clock);
        let late = if turn.wait.is_zero() {
            leave()
        } else {
            turn.wait
        };
        if late.is_zero() && !turn.may_wait() {
            return None;
        }
        crate::apply::until_interrupted(async {
            self.clock.sleep(late).await;
            if !turn.wait.is_zero() {
                self.clock.sleep(leave()).await;
            }
            turn.pass(&self.clock).await
        })
        .await
    }

    /// `-v` tells of calls that change something, `-vv` of all.
    fn log(&self, operation: &str, refused: Option<&AwsError>) {
        let region = &self.region;
        let outcome = refused.map_or("done", |error| error.code.as_str());
        let reads = ["Describe", "Get", "Head", "List"];
        let name = operation
            .split_once(':')
            .map_or(operation, |(_, name)| name);
        if reads.iter().any(|verb| name.starts_with(verb)) {
            tracing::debug!(operation, region, outcome, "called");
        } else {
            tracing::info!(operation, region, outcome, "called");
        }
    }

    /// How many requests went out so far, retries included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The time by AWS's clock, in seconds since the Unix epoch.
    pub(crate) fn server_time(&self) -> i64 {
        time::OffsetDateTime::now_utc().unix_timestamp() + self.server_ahead.load(Ordering::Relaxed)
    }

    /// Asks AWS who we are.
    ///
    /// # Errors
    ///
    /// No or refused credentials, or an endpoint that cannot be reached.
    pub async fn identity(&self) -> Result<Identity> {
        let answer = self
            .call(
                "sts:GetCallerIdentity",
                self.sts.get_caller_identity().send(),
            )
            .await?;
        let arn = answer.arn.unwrap_or_default();
        let partition = arn.split(':').nth(1).unwrap_or("aws").to_owned();
        Ok(Identity {
            account: answer.account.unwrap_or_default(),
            arn,
            partition,
        })
    }

    /// Fetches a presigned URL; the URL stays out of every message.
    ///
    /// # Errors
    ///
    /// The content could not be fetched.
    pub(crate) async fn fetch_presigned(
        &self,
        operation: &'static str,
        url: &str,
    ) -> Result<Vec<u8>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let failed = |error: reqwest::Error| AwsError::transport(operation, &error.without_url());
        let answer = self.http.get(url).send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_redirection() {
            let message = format!("the content has moved elsewhere ({status})");
            return Err(AwsError::inside_answer(operation, "", &message).into());
        }
        let answer = answer.error_for_status().map_err(failed)?;
        Ok(answer.bytes().await.map_err(failed)?.to_vec())
    }
}

/// A wait for a rate that people are told of.
const LONG_WAIT: Duration = Duration::from_secs(2);
/// How often a request is sent at most.
const ATTEMPTS: u32 = 8;
/// The same for API Gateway: another command may have taken the only call of half a minute, and the
/// one after that, too. With the SDK's back-off this is about two minutes.
const PATIENT_ATTEMPTS: u32 = 18;
/// A request that is silent for so long is given up; the SDK's own default waits for ever.
const ATTEMPT_LIMIT: Duration = Duration::from_mins(1);

/// The AWS environment as every AWS tool reads it; the sandbox reads none of it.
async fn load_config(target: &Target, region: &str, clock: &Clock) -> SdkConfig {
    // Adaptive: API Gateway and ELB answer bursts with throttling for longer than three quick tries.
    let retries = RetryConfig::adaptive().with_max_attempts(ATTEMPTS);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .retry_config(retries)
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT_LIMIT)
                .build(),
        );
    if let Some(url) = &target.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = &target.profile {
        loader = loader.profile_name(profile);
    }
    if target.sandbox.is_none() {
        return loader.load().await;
    }
    sandbox_config(target, region, clock)
}

/// Static credentials, no profile, no IMDS, no proxy, and no time-outs, which a scaled clock would cut short.
fn sandbox_config(target: &Target, region: &str, clock: &Clock) -> SdkConfig {
    use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig};
    let http = Builder::new().build_with_connector_fn(|_, _| {
        Connector::builder()
            .proxy_config(ProxyConfig::disabled())
            .build_http()
    });
    let credentials = Credentials::new("sandbox", "sandbox", None, None, "sandbox");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(target.endpoint_url.clone().unwrap_or_default())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::adaptive().with_max_attempts(ATTEMPTS))
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .sleep_impl(clock.clone())
        .time_source(aws_smithy_async::time::SystemTimeSource::new())
        .http_client(http)
        .build()
}

/// The client for presigned URLs.
fn http_client(target: &Target) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(ATTEMPT_LIMIT);
    let builder = if target.sandbox.is_some() {
        builder.no_proxy()
    } else {
        builder
    };
    builder
        .build()
        .map_err(|error| Error::refused(format!("the HTTP client cannot be set up: {error}")))
}
