//! What tests do again and again: apply, plan again, look ids up, stand in for somebody else.

use crate::support::{Aws, Outcome, Scenario, canonical, differences, is_reading};

/// The hosted zone that every sandbox begins with.
pub(crate) const ZONE: &str = "Z0EXAMPLE0COM0PUBLIC";

/// The bucket of every stack in a sandbox.
pub(crate) const BUCKET: &str = "mtlsgw-123456789012-ap-northeast-1";

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
