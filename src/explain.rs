//! What the codes mean that this job can meet: AWS's, those of connection logs, and our own.
//!
//! One table, from which `mtlsgw explain`, `mtlsgw logs` and `docs/explain.md` are written. The rules
//! of `trust lint` stand in it as they stand in their own table.

mod answer;
mod aws;
mod certificate;
mod connection;
mod doctor;
mod entry;
mod find;
mod own;
mod reference;
mod target;

pub use entry::{Entry, Kind};
pub(crate) use find::of_error;
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
        doctor::ENTRIES,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::trust::Reason;

    #[test]
    fn every_reason_of_the_verifier_has_an_entry_with_a_key_of_the_stack_file() {
        let reasons = [
            Reason::MaxChainDepthExceeded,
            Reason::MaxSizeExceeded,
            Reason::TypeUnsupported,
            Reason::Untrusted,
            Reason::NotYetValid,
            Reason::Expired,
            Reason::PurposeInvalid,
            Reason::CrlHit,
            Reason::CrlProcessingError,
            Reason::Invalid,
        ];
        let others = [
            "ClientCertRejected",
            "ClientCertIncompatible",
            "UnmappedConnectionError",
        ];
        let codes = reasons.map(Reason::code).into_iter().chain(others);
        for code in codes {
            let entry = find(&format!("Failed:{code}")).unwrap_or_else(|| panic!("{code}"));
            assert_eq!((entry.code, entry.kind), (code, Kind::ConnectionLog));
            assert!(entry.stack_key.is_some(), "{code}");
        }
    }

    #[test]
    fn every_entry_says_cause_fix_and_source() {
        for entry in entries() {
            let Entry {
                code,
                cause,
                fix,
                source,
                messages,
                ..
            } = entry;
            assert!(!code.is_empty() && !source.is_empty(), "{entry:?}");
            for text in [cause, fix] {
                assert!(text.len() > 5, "{entry:?}");
            }
            // Those of the rules are parts of sentences.
            if entry.kind != Kind::Lint {
                assert!(
                    cause.ends_with(['.', ')']) && fix.ends_with(['.', ')']),
                    "{entry:?}"
                );
            }
            for message in messages {
                assert_eq!(*message, message.to_lowercase(), "{code}");
            }
        }
    }

    #[test]
    fn a_code_of_one_kind_stands_once() {
        let mut seen = BTreeSet::new();
        for entry in entries() {
            assert!(
                seen.insert((entry.kind, entry.code.to_lowercase())),
                "{}",
                entry.code
            );
        }
    }

    #[test]
    fn every_kind_is_listed() {
        let listed: BTreeSet<Kind> = Kind::ALL.into();
        let used: BTreeSet<Kind> = entries().iter().map(|entry| entry.kind).collect();
        assert_eq!(listed, used);
    }

    #[test]
    fn every_key_of_the_stack_file_is_one() {
        let schema = crate::stack::schema().to_string();
        for entry in entries() {
            for part in entry.stack_key.into_iter().flat_map(|key| key.split('.')) {
                let is_key = schema.contains(&format!("\"{part}\":"));
                assert!(is_key, "{}: {:?}", entry.code, entry.stack_key);
            }
        }
    }

    #[test]
    fn every_entry_is_found_by_its_code() {
        for entry in entries() {
            let Found::Entries(found) = look_up(entry.code) else {
                panic!("{}", entry.code)
            };
            assert!(found.contains(&entry), "{}", entry.code);
        }
    }
}
