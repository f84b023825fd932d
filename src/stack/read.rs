//! [`Node`] -> raw sections, going on after an error.
//!
//! A value that does not fit is noted and hidden, and the reading starts over without it, so that
//! one run finds all of them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::mismatch::{Mismatch, What};
use super::node::Node;
use super::path::KeyPath;
use super::reader::Reader;

/// More errors than this help nobody, and each costs another reading.
const MAXIMUM_FAULTS: usize = 20;

/// Reads a tree as `T`, or finds everything that does not fit.
pub(super) fn read<T: DeserializeOwned>(root: &Node) -> Result<T, Vec<Fault>> {
    let notes = Notes::default();
    loop {
        let reader = Reader {
            node: root,
            path: KeyPath::default(),
            notes: &notes,
        };
        match T::deserialize(reader) {
            Ok(value) if notes.faults.borrow().is_empty() => return Ok(value),
            Ok(_) => break,
            Err(mismatch) => {
                if !notes.take(mismatch) {
                    break;
                }
            }
        }
    }
    Err(notes.faults.into_inner())
}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Notes {
    faults: RefCell<Vec<Fault>>,
    hidden: RefCell<BTreeSet<KeyPath>>,
}

impl Notes {
    fn add(&self, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// Whether the reading goes on without the value at a path.
    pub(super) fn hides(&self, path: &KeyPath) -> bool {
        self.hidden.borrow().contains(path)
    }

    /// Notes a mismatch and hides its value; false when there is nothing left to read.
    fn take(&self, mismatch: Mismatch) -> bool {
        let path = mismatch.path.clone().unwrap_or_default();
        let is_consequence =
            matches!(*mismatch.what, What::Missing(key) if self.hides(&path.key(key)));
        if !is_consequence {
            self.add(mismatch.into_fault());
        }
        let is_last = path.is_root() || self.faults.borrow().len() >= MAXIMUM_FAULTS;
        let is_progress = self.hidden.borrow_mut().insert(path);
        is_progress && !is_last
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::stack::environment;
    use crate::stack::node::Document;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        port: Option<u16>,
        names: Vec<String>,
        mode: Option<Mode>,
        enabled: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Off,
        Verify,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Top {
        name: String,
        section: Section,
    }

    fn faults(text: &str) -> Vec<String> {
        let document = Document::parse(text).unwrap();
        read::<Top>(&document.root)
            .unwrap_err()
            .into_iter()
            .map(|fault| match fault.hint {
                Some(hint) => format!("{} ({hint})", fault.message),
                None => fault.message,
            })
            .collect()
    }

    #[test]
    fn every_mismatch_is_found_in_one_go() {
        let text =
            "name: 1\nsection: {prot: 1, port: x, names: [a, 2, []], mode: verfy, enabled: yes}\n";
        let expected = [
            "`name` is the number 1, not text (put the value in quotes)",
            "unknown key `prot` in `section` (did you mean `port`?)",
            "`section.port` is the text `x`, not a whole number from 0 to 65535",
            "`section.names[1]` is the number 2, not text (put the value in quotes)",
            "`section.names[2]` is a list, not text",
            "`section.mode` has the unknown value `verfy` (did you mean `verify`?)",
            "`section.enabled` is text, not `true` or `false` (write `true`)",
        ];
        assert_eq!(faults(text), expected);
    }

    #[test]
    fn a_missing_key_is_named_with_its_section() {
        assert_eq!(faults("section: {}\n"), ["required key `name` is missing"]);
    }

    #[test]
    fn an_empty_section_is_told_from_an_absent_one() {
        let expected = "`section` is empty (write `{}` for its defaults, or remove it)";
        assert_eq!(faults("name: a\nsection:\n"), [expected]);
        let expected =
            "`section.port` is empty (write a whole number from 0 to 65535, or remove the key)";
        assert_eq!(faults("name: a\nsection:\n  port:\n"), [expected]);
    }

    #[test]
    fn a_single_word_in_place_of_a_list_is_answered_with_the_list() {
        assert_eq!(
            faults("name: a\nsection: {names: x}\n"),
            ["`section.names` is text, not a list (write `[x]`)"]
        );
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        assert_eq!(
            faults("name: a\nsection: {port: 70000}\n"),
            ["`section.port` is the number 70000, not a whole number from 0 to 65535"]
        );
    }

    #[test]
    fn a_file_that_is_no_mapping_is_refused() {
        assert_eq!(faults("- a\n"), ["the stack file is a list, not a mapping"]);
    }

    #[test]
    fn a_quoted_number_is_answered_with_a_hint() {
        let expected =
            "`section.port` is text, not a whole number from 0 to 65535 (remove the quotes)";
        assert_eq!(faults("name: a\nsection: {port: \"443\"}\n"), [expected]);
    }

    #[test]
    fn what_came_from_the_environment_fits_whatever_is_read() {
        let mut document =
            Document::parse("name: '${env:X}'\nsection: {port: '${env:X}', names: ['${env:X}']}\n")
                .unwrap();
        let path = KeyPath::default();
        let lookup = |_: &str| Some("443".to_owned());
        assert!(environment::substitute(&mut document.root, &path, &lookup).is_empty());
        let top: Top = read(&document.root).unwrap();
        assert_eq!((top.name.as_str(), top.section.port), ("443", Some(443)));
        assert_eq!(top.section.names, ["443"]);
    }
}
