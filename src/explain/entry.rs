//! What is known of one code.

use serde::Serialize;

/// What is known of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The code as it is written where it is met.
    pub code: &'static str,
    /// Where it is met.
    pub kind: Kind,
    /// What it means and where it comes from.
    pub cause: &'static str,
    /// What to do about it.
    pub fix: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// The key of the stack file that decides about it.
    pub stack_key: Option<&'static str>,
    /// Parts of messages, in lower case, that tell it where there is no code; of those that ` … `
    /// separates all have to be there.
    pub messages: &'static [&'static str],
}

/// Where a code is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// In connection logs, and as the verdict of `trust check`.
    ConnectionLog,
    /// By clients: as the body of an answer of API Gateway, or as a failure of TLS.
    Answer,
    /// As an HTTP status that the load balancer makes itself.
    Status,
    /// As the reason of a target's health.
    TargetHealth,
    /// As the status of a certificate or a custom domain.
    Certificate,
    /// As an error of ELB.
    Elb,
    /// As an error of API Gateway.
    ApiGateway,
    /// As an error of EC2.
    Ec2,
    /// As an error of ACM.
    Acm,
    /// As an error of Route 53.
    Route53,
    /// As an error of S3.
    S3,
    /// As an error of any AWS service.
    Aws,
    /// As a warning of this tool.
    Own,
    /// As a finding of `doctor`.
    Doctor,
    /// As a finding of `trust lint`.
    Lint,
}

impl Kind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 15] = [
        Self::ConnectionLog,
        Self::Answer,
        Self::Status,
        Self::TargetHealth,
        Self::Certificate,
        Self::Elb,
        Self::ApiGateway,
        Self::Ec2,
        Self::Acm,
        Self::Route53,
        Self::S3,
        Self::Aws,
        Self::Own,
        Self::Doctor,
        Self::Lint,
    ];

    /// What stands above a list of this kind.
    pub fn title(self) -> &'static str {
        match self {
            Self::ConnectionLog => "Connection logs and `trust check`",
            Self::Answer => "What clients see",
            Self::Status => "Statuses that the load balancer makes itself",
            Self::TargetHealth => "Health of targets",
            Self::Certificate => "Certificates and custom domains",
            Self::Elb => "Errors of Elastic Load Balancing",
            Self::ApiGateway => "Errors of API Gateway",
            Self::Ec2 => "Errors of EC2",
            Self::Acm => "Errors of ACM",
            Self::Route53 => "Errors of Route 53",
            Self::S3 => "Errors of S3",
            Self::Aws => "Errors of any AWS service",
            Self::Own => "Warnings of mtlsgw",
            Self::Doctor => "Findings of `doctor`",
            Self::Lint => "Findings of `trust lint`",
        }
    }
}

impl Entry {
    /// An entry without a key of the stack file.
    pub(super) const fn new(
        kind: Kind,
        code: &'static str,
        cause: &'static str,
        fix: &'static str,
        source: &'static str,
    ) -> Self {
        Self {
            code,
            kind,
            cause,
            fix,
            source,
            stack_key: None,
            messages: &[],
        }
    }

    /// The same, decided by a key of the stack file.
    pub(super) const fn at(self, key: &'static str) -> Self {
        Self {
            stack_key: Some(key),
            ..self
        }
    }

    /// The same, told by parts of messages as well.
    pub(super) const fn says(self, messages: &'static [&'static str]) -> Self {
        Self { messages, ..self }
    }
}
