//! What tests do again and again: apply, plan again, look ids up, stand in for somebody else.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Aws, Outcome, Scenario, canonical, differences, is_reading};

/// The hosted zone that every sandbox begins with.
pub(crate) const ZONE: &str = "Z0EXAMPLE0COM0PUBLIC";

/// The bucket of every stack in a sandbox.
pub(crate) const BUCKET: &str = "mtlsgw-123456789012-ap-northeast-1";

/// What lets apply do anything that it can do.
pub(crate) const APPLY: [&str; 5] = [
    "apply",
    "--yes",
    "--allow-widening",
    "--allow-downtime",
    "--with-foreign",
];

impl Scenario {
    /// The same with its stack applied.
    pub(crate) fn applied(self) -> Self {
        self.applies(&[]);
        self
    }

    /// Applies what `stack.yaml` says now and finds nothing to change afterwards.
    ///
    /// Gives the operations that changed something, in order and without those of the lock.
    #[track_caller]
    pub(crate) fn applies(&self, allowances: &[&str]) -> Vec<String> {
        let arguments = ["apply", "--yes"].iter().chain(allowances).copied();
        let (outcome, calls) = self.calls_of(arguments);
        outcome.ok();
        self.has_converged();
        let mut writes = writes(&calls);
        // The lock is taken first and given back last.
        assert_eq!(writes.first().map(String::as_str), Some("PutObject"));
        assert_eq!(writes.pop().as_deref(), Some("DeleteObject"));
        writes.remove(0);
        writes
    }

    /// Finds nothing to change.
    #[track_caller]
    pub(crate) fn has_converged(&self) {
        let plan = self.run(["plan", "--detailed-exitcode"]);
        plan.ok().says("No changes.");
    }

    /// Runs a command that is refused: it fails, and nothing is changed.
    #[track_caller]
    pub(crate) fn refuses<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        let before = canonical(&self.dump());
        let (outcome, calls) = self.calls_of(arguments);
        let outcome = outcome.exits(1);
        assert_eq!(writes(&calls), [""; 0], "{outcome}");
        // The first read of all furnishes a region.
        if before.pointer("/regions/ap-northeast-1").is_some() {
            let changed = differences(&before, &canonical(&self.dump()));
            assert_eq!(changed, [""; 0], "{outcome}");
        }
        outcome
    }

    /// What AWS calls the resource at an address.
    #[track_caller]
    pub(crate) fn id(&self, address: &str) -> String {
        let outcome = self.run(["output", "--name", address]).ok();
        outcome.stdout.trim().to_owned()
    }

    /// A copy of the directory and of the sandbox in it.
    pub(crate) fn fork(&self) -> Self {
        let copy = Self::empty();
        copy_all(&self.path(""), &copy.path(""));
        copy
    }

    /// Acts as somebody else in the same account.
    pub(crate) fn meanwhile<T>(&self, act: impl FnOnce(&Aws) -> T) -> T {
        act(&self.aws())
    }
}

impl Aws {
    /// Makes a bucket.
    #[track_caller]
    pub(crate) fn make_bucket(&self, name: &str) {
        let body = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                    <LocationConstraint>ap-northeast-1</LocationConstraint></CreateBucketConfiguration>";
        self.rest(("s3", "PUT", &format!("/{name}")), body).ok();
    }

    /// Makes a bucket that load balancers may write their logs to.
    #[track_caller]
    pub(crate) fn make_log_bucket(&self, name: &str) {
        self.make_bucket(name);
        let delivery = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{name}/*"),
        }]});
        let path = format!("/{name}?policy");
        self.rest(("s3", "PUT", &path), delivery.to_string()).ok();
    }

    /// Changes a plain record of the zone: action, name and type; its value.
    #[track_caller]
    pub(crate) fn put_record(&self, (action, name, record_type): (&str, &str, &str), value: &str) {
        let set = format!(
            "<Name>{name}</Name><Type>{record_type}</Type><TTL>60</TTL>\
             <ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords>"
        );
        self.change_record(action, &set);
    }

    /// Changes a record set, given as XML, of the zone.
    #[track_caller]
    pub(crate) fn change_record(&self, action: &str, set: &str) {
        let body = format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <ChangeBatch><Changes><Change><Action>{action}</Action>\
             <ResourceRecordSet>{set}</ResourceRecordSet></Change></Changes></ChangeBatch>\
             </ChangeResourceRecordSetsRequest>"
        );
        let path = format!("/2013-04-01/hostedzone/{ZONE}/rrset");
        self.rest(("route53", "POST", &path), body).ok();
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("can be made");
    for entry in fs::read_dir(from).expect("is a directory") {
        let entry = entry.expect("is readable");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_all(&from, &to);
        } else {
            fs::copy(&from, &to).expect("can be copied");
        }
    }
}

/// The operations that change something.
pub(crate) fn writes(calls: &[String]) -> Vec<String> {
    let writes = calls.iter().filter(|call| !is_reading(call));
    let names = writes.filter_map(|call| call.split_once(':'));
    names.map(|(_, operation)| operation.to_owned()).collect()
}

/// Operations come in this order; others may lie between them.
#[track_caller]
pub(crate) fn assert_order(writes: &[String], order: &[&str]) {
    let mut left = order.iter().peekable();
    for operation in writes {
        left.next_if(|next| *next == operation);
    }
    let missing = left.next();
    assert_eq!(missing, None, "{writes:#?}\nis not in the order {order:#?}");
}

/// A call of Elastic Load Balancing that succeeds.
#[track_caller]
pub(crate) fn elb(aws: &Aws, action: &str, parameters: &[(&str, &str)]) {
    let action = [("Action", action)];
    let parameters = [&action[..], parameters].concat();
    aws.query("elasticloadbalancing", &parameters).ok();
}

/// The id of the default VPC.
pub(crate) fn vpc(aws: &Aws) -> String {
    aws.query("ec2", &[("Action", "DescribeVpcs")])
        .ok()
        .element("vpcId")
}

/// What tells how an account came to be as it is.
const HISTORY: [&str; 6] = [
    "now",
    "sequence",
    "released",
    "released_certificates",
    "releases",
    "changes",
];

/// What an account holds, whatever its ids, times, addresses, and orders.
///
/// The lock of a run that was killed is nobody's concern once it is stale, and what is deleted can
/// still be described for a while.
/// Two sandboxes in which the same was done have one shape; a duplicate of anything changes it.
pub(crate) fn shape(dump: &Value) -> Value {
    match dump {
        Value::Object(members) => {
            let named = |(name, value): (&String, &Value)| json!([key(name), shape(value)]);
            let is_kept = |(name, value): &(&String, &Value)| {
                let is_gone = value.get("deletion").is_some_and(|one| !one.is_null());
                // AWS's own copies, of which a call that is sent twice leaves one more.
                let is_aws = value
                    .get("owner")
                    .is_some_and(|one| one == "elasticloadbalancing");
                !is_gone
                    && !is_aws
                    && !HISTORY.contains(&name.as_str())
                    && !name.ends_with("/lock.json")
            };
            in_order_of_text(members.iter().filter(is_kept).map(named))
        }
        Value::Array(items) => in_order_of_text(items.iter().map(shape)),
        Value::String(text) => Value::from(anonymous(text)),
        Value::Number(number) if number.as_i64() > Some(1_000_000_000) => Value::from("time"),
        other => other.clone(),
    }
}

fn in_order_of_text(values: impl Iterator<Item = Value>) -> Value {
    let mut values: Vec<Value> = values.collect();
    values.sort_by_key(Value::to_string);
    Value::from(values)
}

/// A name of a member; numbers, which revocations have, are given out in the order of calls.
fn key(name: &str) -> String {
    let is_number = !name.is_empty() && name.chars().all(|one| one.is_ascii_digit());
    if is_number {
        "#".to_owned()
    } else {
        anonymous(name)
    }
}

/// A text without what is drawn by lot: hexadecimal ids, addresses, keys.
fn anonymous(text: &str) -> String {
    if text.starts_with("-----BEGIN") {
        return "PEM".to_owned();
    }
    if text.starts_with("172.31.") {
        return "address".to_owned();
    }
    if is_serial(text) {
        return "serial".to_owned();
    }
    let is_word = |character: char| character.is_ascii_alphanumeric();
    let mut anonymous = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let word = rest.find(|other| !is_word(other)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word.max(character.len_utf8()));
        let is_hex = word.chars().all(|one| one.is_ascii_hexdigit());
        let has_digit = word.chars().any(|one| one.is_ascii_digit());
        let is_id = word.len() >= 4 && is_hex || word.len() >= 5 && has_digit;
        anonymous += if is_id { "#" } else { word };
        rest = after;
    }
    anonymous
}

/// Whether a text is a serial number, `0a:1b:…`, whose leading zeros are not written.
fn is_serial(text: &str) -> bool {
    let is_byte = |byte: &str| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok();
    text.matches(':').count() >= 8 && text.split(':').all(is_byte)
}

/// Tries all cases, on all processors at once; gives what failed, in the order of the cases.
pub(crate) fn in_parallel<T: Sync>(
    cases: &[T],
    test: impl Fn(&T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(index) else {
                return;
            };
            if let Err(failure) = test(case) {
                let mut failures = failures.lock().expect("nobody panics with it");
                failures.push((index, failure));
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let mut failures = failures.into_inner().expect("nobody panics with it");
    failures.sort();
    failures.into_iter().map(|(_, failure)| failure).collect()
}

/// Prints a figure of a test, for `cargo test -- --nocapture`.
#[expect(clippy::print_stdout, reason = "a test has no other way to tell")]
pub(crate) fn tell(figure: &str) {
    println!("{figure}");
}
