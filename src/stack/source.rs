//! The text of a stack file, kept so that everything in it can be located.

use std::path::{Path, PathBuf};

use super::context::Oddity;
use super::error::{Location, StackError, StackErrors, Warning};
use super::fault::Fault;
use super::material::read_at_most;
use super::node::{Document, Node};
use super::path::{KeyPath, Segment};

/// The name of what a singular section describes.
pub(super) const MAIN: &str = "main";

/// A stack file is written by hand; what is larger than this is something else.
const MAXIMUM_BYTES: u64 = 1024 * 1024;

/// Each place costs another reading of the file, and nobody reads more errors than this.
const MAXIMUM_ERRORS: usize = 100;

/// The sections that may be given in the plural.
const PLURALS: [(&str, &str); 5] = [
    ("api", "apis"),
    ("domain", "domains"),
    ("target_group", "target_groups"),
    ("listener", "listeners"),
    ("record", "records"),
];

/// A stack file: its path, text and tree.
#[derive(Clone, Debug)]
pub(super) struct Source {
    file: PathBuf,
    document: Document,
}

/// Reads the text of a stack file.
pub(super) fn read_text(file: &Path) -> Result<String, StackErrors> {
    let whole = |message: String, hint: Option<&str>| {
        let location = Location {
            file: file.to_owned(),
            line: 0,
            column: 0,
        };
        StackErrors::from(StackError::at(
            location,
            "",
            message,
            None,
            hint.map(str::to_owned),
        ))
    };
    let bytes = read_at_most(file, MAXIMUM_BYTES).map_err(|error| {
        let hint = (error.kind() == std::io::ErrorKind::IsADirectory)
            .then_some("name the stack file in it");
        whole(format!("cannot read the stack file: {error}"), hint)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let line = before.split('\n').count();
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |rest| rest.chars().count())
            + 1;
        let location = Location {
            file: file.to_owned(),
            line,
            column,
        };
        let hint = Some("save the file as UTF-8".to_owned());
        StackError::at(location, "", "the file is not UTF-8", None, hint).into()
    })
}

impl Source {
    /// Reads the text as YAML.
    pub(super) fn parse(file: &Path, text: &str) -> Result<Self, StackErrors> {
        let document = Document::parse(text).map_err(|error| {
            let (line, column) = error.position.unwrap_or((0, 0));
            let location = Location {
                file: file.to_owned(),
                line,
                column,
            };
            StackError::at(location, "", error.message, None, error.hint)
        })?;
        Ok(Self {
            file: file.to_owned(),
            document,
        })
    }

    /// The tree.
    pub(super) fn root(&self) -> &Node {
        &self.document.root
    }

    /// The path of the section of a kind and name, in the form in which the file has it.
    pub(super) fn section(&self, plural: &str, name: &str) -> KeyPath {
        let singular = PLURALS
            .iter()
            .find(|(_, many)| *many == plural)
            .map(|(one, _)| *one);
        match singular {
            Some(singular) if name == MAIN && self.root().value(singular).is_some() => {
                KeyPath::top(singular)
            }
            _ => KeyPath::top(plural).key(name),
        }
    }

    /// Finds the place of a key, or of the nearest one above it; the top where there is none.
    pub(super) fn locate(&self, path: &KeyPath) -> Location {
        let path = self.as_written(path);
        let (line, column) = self.document.locate(&path).unwrap_or((1, 1));
        Location {
            file: self.file.clone(),
            line,
            column,
        }
    }

    /// Adds the places to faults and sorts them by place.
    pub(super) fn errors(&self, faults: Vec<Fault>) -> StackErrors {
        let mut errors: Vec<StackError> = (faults.into_iter().take(MAXIMUM_ERRORS))
            .map(|fault| {
                let location = self.locate(&fault.path);
                let key = fault.path.to_string();
                StackError::at(location, key, fault.message, fault.allowed, fault.hint)
            })
            .collect();
        errors.sort_by(|one, other| one.location.cmp(&other.location));
        errors.dedup();
        errors.into()
    }

    /// Adds the places to oddities and sorts them by place.
    pub(super) fn warnings(&self, oddities: Vec<Oddity>) -> Vec<Warning> {
        let mut warnings: Vec<Warning> = (oddities.into_iter())
            .map(|oddity| Warning {
                code: oddity.code,
                location: self.locate(&oddity.path),
                key: oddity.path.to_string(),
                message: oddity.message,
            })
            .collect();
        warnings.sort_by(|one, other| one.location.cmp(&other.location));
        warnings
    }

    /// `listeners.main` may have been written as `listener`, and the other way round.
    fn as_written(&self, path: &KeyPath) -> KeyPath {
        let [Segment::Key(section), rest @ ..] = path.segments() else {
            return path.clone();
        };
        if self.root().value(section).is_some() {
            return path.clone();
        }
        for (singular, plural) in PLURALS {
            match rest {
                [Segment::Key(name), rest @ ..] if section == plural && name == MAIN => {
                    return KeyPath::top(singular).join(rest);
                }
                _ if section == singular => return KeyPath::top(plural).key(MAIN).join(rest),
                _ => {}
            }
        }
        path.clone()
    }
}
