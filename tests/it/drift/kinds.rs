//! What the kinds compare: as a plan logs it, and as their files say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::support::{Scenario, files};

/// The methods of a diff that compare a field, whose name is their first argument.
const COMPARISONS: [&str; 7] = [
    "diff.field(",
    "diff.content(",
    "diff.late(",
    "diff.late_set(",
    "diff.differs(",
    "diff.unknown(",
    "diff.compares(",
];

/// The kind of each address, and all fields that an unchanged plan compares, as kind and field.
pub(super) fn compared(
    scenario: Scenario,
) -> (BTreeMap<String, String>, BTreeSet<(String, String)>) {
    let mut kinds = BTreeMap::new();
    let mut compared = BTreeSet::new();
    let scenario = scenario.env("RUST_LOG", "mtlsgw::resource=trace");
    let log = scenario.run(["plan"]).ok().stderr;
    for line in log.lines().filter(|line| line.contains(": compared ")) {
        let (_, rest) = line.split_once(" address=").expect("names the address");
        let (address, rest) = rest.split_once(" kind=\"").expect("names the kind");
        let (kind, rest) = rest.split_once("\" fields=\"").expect("names the fields");
        let fields = rest.trim_end_matches('"').split(' ');
        compared.extend(fields.map(|name| (kind.to_owned(), field(name))));
        kinds.insert(address.to_owned(), kind.to_owned());
    }
    assert!(kinds.len() > 3, "{log}");
    (kinds, compared)
}

/// The fields that a plan lists, as kind and field.
pub(super) fn listed(plan: &BTreeMap<String, Value>) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().expect("is text").to_owned();
    let fields = plan.values().flat_map(|summary| {
        let fields = summary["fields"].as_array().expect("is a list").iter();
        fields.map(|one| (text(&summary["type"]), field(&text(&one["path"]))))
    });
    fields.collect()
}

/// A field without what belongs to one stack only: `mtlsgw:record/1e155e7c` is one tag of many.
pub(super) fn field(path: &str) -> String {
    path.split('/').next().unwrap_or_default().to_owned()
}

/// A kind's file: its path, its text, and CloudFormation's name of the kind.
fn sources() -> Vec<(String, String, String)> {
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("is readable");
        let (_, kind) = text.split_once("const TYPE: &'static str = \"")?;
        let kind = kind.split('"').next()?.to_owned();
        let name = path.file_stem()?.to_str()?.to_owned();
        // Tests have fields of their own.
        let code = text.split("\nmod tests {").next()?.to_owned();
        Some((name, code, kind))
    };
    files("src/resource", "rs")
        .into_iter()
        .filter_map(read)
        .collect()
}

/// How many kinds there are; two of them are of one type.
pub(super) fn count() -> usize {
    sources().len()
}

/// The types of all kinds.
pub(super) fn all() -> BTreeSet<String> {
    sources().into_iter().map(|(_, _, kind)| kind).collect()
}

/// What the kinds' files say that they compare, whether or not there was an occasion to.
pub(super) fn named_in_code() -> BTreeSet<(String, String)> {
    let mut named = BTreeSet::new();
    for (_, code, kind) in sources() {
        for comparison in COMPARISONS {
            for rest in code.split(comparison).skip(1) {
                if let Some(name) = rest.trim_start().strip_prefix('"') {
                    let name = name.split('"').next().expect("ends");
                    named.insert((kind.clone(), name.to_owned()));
                }
            }
        }
    }
    assert!(named.len() > 50, "{named:?}");
    named
}

/// The fields of the kinds' structs that their diffs take apart and leave alone, by file.
pub(super) fn ignored_in_code() -> BTreeSet<(String, String)> {
    let mut ignored = BTreeSet::new();
    for (name, code, _) in sources() {
        for diff in code.split("    fn diff(").skip(1) {
            let Some((_, taken)) = diff.split_once("let Self {") else {
                continue;
            };
            let taken = taken.split('}').next().expect("ends").split(',');
            let left = taken.filter_map(|field| field.trim().strip_suffix(": _"));
            ignored.extend(left.map(|field| (name.clone(), field.to_owned())));
        }
    }
    assert!(!ignored.is_empty(), "the diffs are written in another way");
    ignored
}
