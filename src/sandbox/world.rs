//! Everything the simulated account holds, and what a service's handler gets and gives.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::elbv2::health::Observed;
use super::{acm, apigateway, ec2, elbv2, route53, s3};

/// The whole account: what `state.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct World {
    /// Twelve digits.
    pub(super) account: String,
    /// Milliseconds since the Unix epoch on the sandbox's clock, set before every call.
    pub(super) now: i64,
    /// Whether state machines pass through their states at once (`--timing instant`).
    pub(super) instant: bool,
    /// Who calls, set before every call.
    #[serde(skip)]
    pub(super) caller: Caller,
    /// Quotas that were raised, by quota code.
    pub(super) quotas: BTreeMap<String, u64>,
    /// Counts the ids that were given out; the source of all of them.
    pub(super) sequence: u64,
    /// Regional services, by region; a region is furnished when it is first used.
    pub(super) regions: BTreeMap<String, Region>,
    /// Global.
    pub(super) route53: route53::State,
    /// Global names, regional buckets.
    pub(super) s3: s3::State,
    /// The loopback servers that stand for hosts of the simulated network and the internet:
    /// `10.0.1.5:443`, `i-0123456789abcdef0:80` or `backend.example.com:443`.
    #[serde(default)]
    pub(super) hosts: BTreeMap<String, SocketAddr>,
    /// What the checks of targets at such servers have seen.
    #[serde(skip)]
    pub(super) observed: Observed,
    /// Private keys, kept apart from the state so that no dump shows them.
    #[serde(skip)]
    pub(super) keys: Keys,
    /// Makes more of them.
    #[serde(skip)]
    pub(super) key_maker: acm::KeyMaker,
}

/// Private keys by name (an ARN); the store writes them to files of their own.
#[derive(Default)]
pub(super) struct Keys(pub(super) BTreeMap<String, String>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} private keys", self.0.len())
    }
}

/// What one region of the account holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Region {
    /// Certificates.
    pub(super) acm: acm::State,
    /// REST APIs and custom domains.
    pub(super) apigateway: apigateway::State,
    /// VPCs, subnets, security groups, endpoints, network interfaces.
    pub(super) ec2: ec2::State,
    /// Load balancers, listeners, target groups, trust stores.
    pub(super) elbv2: elbv2::State,
}

/// One request, decoded by its model: member names and types as botocore has them.
pub(super) struct Call<'a> {
    /// The operation, `CreateLoadBalancer`.
    pub(super) operation: &'a str,
    /// The region of the request's signature, `us-east-1` for global services.
    pub(super) region: &'a str,
    /// The input structure: members by model name; integers, booleans, lists and maps as such;
    /// timestamps as epoch seconds, blobs as base64.
    pub(super) input: &'a Value,
    /// The raw body of operations whose input streams (`PutObject`) or whose payload is a blob (`PutRestApi`).
    pub(super) body: &'a [u8],
    /// `http://127.0.0.1:PORT`, for answers that carry a URL back to the sandbox.
    pub(super) endpoint: &'a str,
}

/// Who calls: the sandbox knows no users beside these.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// The account, whatever the credentials.
    #[default]
    Account,
    /// Whoever holds a URL that an AWS service has signed.
    Bearer,
}

/// A refusal in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// AWS's code as it stands on the wire, `TrustStoreInUse`.
    pub(super) code: String,
    /// AWS's message, as near as the sources know it.
    pub(super) message: String,
    /// The HTTP status.
    pub(super) status: u16,
    /// Further headers of the answer, such as S3's `x-amz-bucket-region`.
    pub(super) headers: Vec<(String, String)>,
    /// The single messages of Route 53's `InvalidChangeBatch`; empty for all others.
    pub(super) messages: Vec<String>,
}

impl Refusal {
    /// A refusal with status 400, which most of AWS's are.
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            status: 400,
            headers: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// What the sandbox does not model it refuses, in words that cannot be taken for AWS's.
    pub(super) fn not_modelled(operation: &str, what: &str) -> Self {
        Self::new(
            NOT_MODELLED,
            format!("the sandbox does not model `{what}` of `{operation}`"),
        )
    }

    /// The same refusal with another HTTP status.
    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same refusal with one more header.
    pub(super) fn with_header(mut self, header: (String, String)) -> Self {
        self.headers.push(header);
        self
    }

    /// The same refusal with the list of messages that `InvalidChangeBatch` carries.
    pub(super) fn with_messages(self, messages: Vec<String>) -> Self {
        Self { messages, ..self }
    }
}

/// The code of refusals that are the sandbox's own and not AWS's.
pub(super) const NOT_MODELLED: &str = "SandboxNotModelled";

impl<'a> Call<'a> {
    /// A call as the wire layer would make it, in Tokyo.
    #[cfg(test)]
    pub(super) fn of(operation: &'a str, input: &'a Value) -> Self {
        Self {
            operation,
            region: "ap-northeast-1",
            input,
            body: &[],
            endpoint: "http://127.0.0.1:4566",
        }
    }

    /// The member's text, where it was given.
    pub(super) fn text(&self, member: &str) -> Option<&'a str> {
        self.input.get(member).and_then(Value::as_str)
    }

    /// The text of a member that the model requires, so that the wire layer has seen it.
    pub(super) fn required(&self, member: &str) -> &'a str {
        self.text(member).unwrap_or_default()
    }

    /// The member's number, where it was given.
    pub(super) fn integer(&self, member: &str) -> Option<i64> {
        self.input.get(member).and_then(Value::as_i64)
    }

    /// The member's truth value, where it was given.
    pub(super) fn boolean(&self, member: &str) -> Option<bool> {
        self.input.get(member).and_then(Value::as_bool)
    }

    /// The member's elements, none where it was not given.
    pub(super) fn list(&self, member: &str) -> &'a [Value] {
        self.input
            .get(member)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The elements of a list of texts, none where it was not given.
    pub(super) fn texts(&self, member: &str) -> Vec<&'a str> {
        self.list(member).iter().filter_map(Value::as_str).collect()
    }

    /// Refuses members of a nested structure that the sandbox does not model.
    ///
    /// `path` names the structure in the refusal: `MutualAuthentication`, `Actions[0]`. Absent or
    /// other than a structure, there is nothing to refuse.
    pub(super) fn models(
        &self,
        path: &str,
        structure: &Value,
        members: &[&str],
    ) -> Result<(), Refusal> {
        let given = structure.as_object().into_iter().flatten();
        match given
            .map(|(name, _)| name.as_str())
            .find(|name| !members.contains(name))
        {
            Some(name) => Err(Refusal::not_modelled(
                self.operation,
                &format!("{path}.{name}"),
            )),
            None => Ok(()),
        }
    }
}

impl World {
    /// An account that nothing has been done in.
    pub(super) fn fresh(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            now: 0,
            instant: true,
            caller: Caller::Account,
            quotas: BTreeMap::new(),
            sequence: 0,
            regions: BTreeMap::new(),
            route53: route53::State::default(),
            s3: s3::State::default(),
            hosts: BTreeMap::new(),
            observed: Observed::default(),
            keys: Keys::default(),
            key_maker: acm::KeyMaker::default(),
        }
    }

    /// The named region, furnished as a fresh account's is if it has not been used yet.
    pub(super) fn region(&mut self, name: &str) -> &mut Region {
        if !self.regions.contains_key(name) {
            let ec2 = ec2::State::fresh(name, &self.account, &mut self.sequence);
            self.regions.insert(
                name.to_owned(),
                Region {
                    ec2,
                    ..Region::default()
                },
            );
        }
        self.regions.get_mut(name).expect("inserted above")
    }

    /// When something that takes `duration` on AWS is over: now, where states pass at once.
    pub(super) fn due(&self, duration: Duration) -> i64 {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        if self.instant {
            self.now
        } else {
            self.now.saturating_add(milliseconds)
        }
    }

    /// The quota in force: the raised one, or AWS's default.
    pub(super) fn quota(&self, code: &str, default: u64) -> u64 {
        self.quotas.get(code).copied().unwrap_or(default)
    }

    /// `length` lower-case hexadecimal digits that no other id of this account has.
    pub(super) fn unique_hex(&mut self, length: usize) -> String {
        unique_hex(&mut self.sequence, length)
    }
}

/// `length` lower-case hexadecimal digits made from the next number of `sequence`.
///
/// Deterministic, so that a repeated run of the same commands gives the same ids.
pub(super) fn unique_hex(sequence: &mut u64, length: usize) -> String {
    *sequence += 1;
    let mut digits = hex(&Sha256::digest(format!("mtlsgw-sandbox-{sequence}")));
    digits.truncate(length);
    digits
}

/// A time in milliseconds as outputs have it: in seconds since the epoch.
pub(super) fn seconds(milliseconds: i64) -> Value {
    if milliseconds % 1000 == 0 {
        return Value::from(milliseconds / 1000);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact for another 200,000 years"
    )]
    let exact = milliseconds as f64 / 1000.0;
    Value::from(exact)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
            text
        })
}
