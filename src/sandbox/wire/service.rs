//! The services that the sandbox has, and what each has of its own on the wire.

use std::sync::OnceLock;

use serde_json::Value;

use super::model::Model;
use super::validation::Manner;
use crate::sandbox::world::{Call, Refusal, World};
use crate::sandbox::{acm, apigateway, ec2, elbv2, route53, s3, sts, tagging};

/// One service.
pub(in crate::sandbox) struct Service {
    /// As calls and faults name it.
    pub(in crate::sandbox) name: &'static str,
    /// As a signature's scope names it.
    signing_name: &'static str,
    /// The operations that are modelled, with their members.
    pub(in crate::sandbox) operations: &'static [(&'static str, &'static [&'static str])],
    /// Answers a call.
    pub(in crate::sandbox) handle: fn(&mut World, &Call<'_>) -> Result<Value, Refusal>,
    /// How it refuses what its model does not allow.
    pub(super) manner: Manner,
    /// How it refuses a caller that is too fast.
    pub(in crate::sandbox) throttled: Code,
    /// How it refuses a caller that has no permission.
    pub(in crate::sandbox) denied: Code,
    /// How it says that it failed itself.
    pub(in crate::sandbox) failed: Code,
    facts: &'static str,
    model: OnceLock<Model>,
}

/// A code with its HTTP status.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Code(
    pub(in crate::sandbox) &'static str,
    pub(in crate::sandbox) u16,
);

impl Code {
    /// A refusal with this code.
    pub(in crate::sandbox) fn refusal(self, message: &str) -> Refusal {
        Refusal::new(self.0, message).with_status(self.1)
    }
}

impl Service {
    /// The API facts, read when the service is first called.
    pub(super) fn model(&self) -> &Model {
        self.model.get_or_init(|| {
            serde_json::from_str(self.facts).expect("the extraction writes valid facts")
        })
    }

    /// What the service's IAM actions begin with.
    pub(in crate::sandbox) fn iam_prefix(&self) -> &'static str {
        if self.name == "tagging" {
            "tag"
        } else {
            self.signing_name
        }
    }

    /// A refusal of a body that cannot be read.
    pub(super) fn malformed(&self, reason: &str) -> Refusal {
        match self.manner {
            Manner::Sentence { malformed, .. } => Refusal::new(malformed, reason),
            Manner::Ec2 => Refusal::new("MalformedQueryString", reason),
            Manner::S3 => Refusal::new("MalformedXML", reason),
        }
    }
}

/// The service that a signature's scope names.
pub(in crate::sandbox) fn service(signing_name: &str) -> Option<&'static Service> {
    SERVICES
        .iter()
        .find(|service| service.signing_name == signing_name)
}

const INTERNAL_FAILURE: Code = Code("InternalFailure", 500);
const INTERNAL_ERROR: Code = Code("InternalError", 500);

/// All of them.
pub(in crate::sandbox) static SERVICES: [Service; 8] = [
    Service {
        name: "elbv2",
        signing_name: "elasticloadbalancing",
        operations: elbv2::OPERATIONS,
        handle: elbv2::handle,
        manner: Manner::Sentence {
            invalid: "ValidationError",
            malformed: "MalformedInput",
        },
        throttled: Code("Throttling", 400),
        denied: Code("AccessDenied", 403),
        failed: INTERNAL_FAILURE,
        facts: include_str!("../api/elbv2.json"),
        model: OnceLock::new(),
    },
    Service {
        name: "ec2",
        signing_name: "ec2",
        operations: ec2::OPERATIONS,
        handle: ec2::handle,
        manner: Manner::Ec2,
        throttled: Code("RequestLimitExceeded", 503),
        denied: Code("UnauthorizedOperation", 403),
        failed: INTERNAL_ERROR,
        facts: include_str!("../api/ec2.json"),
        model: OnceLock::new(),
    },
    Service {
        name: "apigateway",
        signing_name: "apigateway",
        operations: apigateway::OPERATIONS,
        handle: apigateway::handle,
        manner: Manner::Sentence {
            invalid: "BadRequestException",
            malformed: "SerializationException",
        },
        throttled: Code("TooManyRequestsException", 429),
        denied: Code("AccessDeniedException", 403),
        failed: INTERNAL_FAILURE,
        facts: include_str!("../api/apigateway.json"),
        model: OnceLock::new(),
    },
    Service {
        name: "acm",
        signing_name: "acm",
        operations: acm::OPERATIONS,
        handle: acm::handle,
        manner: Manner::Sentence {
            invalid: "ValidationException",
            malformed: "SerializationException",
        },
        throttled: Code("ThrottlingException", 400),
        denied: Code("AccessDeniedException", 400),
        failed: INTERNAL_FAILURE,
        facts: include_str!("../api/acm.json"),
        model: OnceLock::new(),
    },
    Service {
        name: "route53",
        signing_name: "route53",
        operations: route53::OPERATIONS,
        handle: route53::handle,
        manner: Manner::Sentence {
            invalid: "InvalidInput",
            malformed: "MalformedInput",
        },
        throttled: Code("Throttling", 400),
        denied: Code("AccessDenied", 403),
        failed: INTERNAL_FAILURE,
        facts: include_str!("../api/route53.json"),
        model: OnceLock::new(),
    },
    Service {
        name: "s3",
        signing_name: "s3",
        operations: s3::OPERATIONS,
        handle: s3::handle,
        manner: Manner::S3,
        throttled: Code("SlowDown", 503),
        denied: Code("AccessDenied", 403),
        failed: INTERNAL_ERROR,
        facts: include_str!("../api/s3.json"),
        model: OnceLock::new(),
    },
    Service {
        name: "sts",
        signing_name: "sts",
        operations: sts::OPERATIONS,
        handle: sts::handle,
        manner: Manner::Sentence {
            invalid: "ValidationError",
            malformed: "MalformedInput",
        },
        throttled: Code("Throttling", 400),
        denied: Code("AccessDenied", 403),
        failed: INTERNAL_FAILURE,
        facts: include_str!("../api/sts.json"),
        model: OnceLock::new(),
    },
    Service {
        name: "tagging",
        signing_name: "tagging",
        operations: tagging::OPERATIONS,
        handle: tagging::handle,
        manner: Manner::Sentence {
            invalid: "InvalidParameterException",
            malformed: "SerializationException",
        },
        throttled: Code("ThrottledException", 400),
        denied: Code("AccessDeniedException", 400),
        failed: INTERNAL_FAILURE,
        facts: include_str!("../api/resourcegroupstaggingapi.json"),
        model: OnceLock::new(),
    },
];
