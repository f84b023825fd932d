//! What the codes mean that this job can meet: AWS's, those of connection logs, and our own.
//!
//! One table, from which `mtlsgw explain`, `mtlsgw logs` and `docs/explain.md` are written. The rules
//! of `trust lint` stand in it as they stand in their own table.

mod answer;
mod aws;
mod certificate;
mod connection;
mod entry;
mod find;
mod own;
mod reference;
mod target;

pub use entry::{Entry, Kind};
pub use find::{Found, find, look_up};
pub use reference::reference;

use crate::trust;

/// Every entry, grouped by kind.
pub fn entries() -> Vec<Entry> {
    let tables = [
        connection::ENTRIES,
        answer::ENTRIES,
        target::ENTRIES,
        certificate::ENTRIES,
        aws::ELBV2,
        aws::APIGATEWAY,
        aws::EC2,
        aws::ACM,
        aws::ROUTE53,
        aws::S3,
        aws::ANY,
        own::ENTRIES,
    ];
    let mut entries: Vec<Entry> = tables.into_iter().flatten().copied().collect();
    let rules = trust::rules();
    entries.extend(rules.iter().map(|rule| {
        Entry::new(
            Kind::Lint,
            rule.code,
            rule.why,
            rule.fix,
            "`mtlsgw trust lint --rules`",
        )
    }));
    entries
}
