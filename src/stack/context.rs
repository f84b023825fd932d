//! What the sections need while they turn raw values into typed ones.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::material::InputFile;
use super::path::KeyPath;

/// Collects what is wrong, what is odd and what was read.
pub(super) struct Context {
    /// The directory that relative paths start from.
    pub(super) directory: PathBuf,
    /// The stack's region, which ARNs must be of.
    pub(super) region: String,
    faults: RefCell<Vec<Fault>>,
    oddities: RefCell<Vec<Oddity>>,
    files: RefCell<Vec<InputFile>>,
}

/// A warning without a place.
pub(super) struct Oddity {
    /// Stable name for scripts.
    pub(super) code: &'static str,
    /// The key it is about.
    pub(super) path: KeyPath,
    /// What is odd and what it means.
    pub(super) message: String,
}

/// Everything that was collected.
pub(super) struct Findings {
    /// What is wrong.
    pub(super) faults: Vec<Fault>,
    /// What is odd.
    pub(super) oddities: Vec<Oddity>,
    /// What was read.
    pub(super) files: Vec<InputFile>,
}

impl Context {
    /// Makes a context for a stack file in `directory`.
    pub(super) fn new(directory: &Path, region: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            region: region.to_owned(),
            faults: RefCell::default(),
            oddities: RefCell::default(),
            files: RefCell::default(),
        }
    }

    /// Notes something wrong.
    pub(super) fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// Notes something odd.
    pub(super) fn warn(&self, code: &'static str, path: &KeyPath, message: impl Into<String>) {
        let oddity = Oddity {
            code,
            path: path.clone(),
            message: message.into(),
        };
        self.oddities.borrow_mut().push(oddity);
    }

    /// Notes a file that was read.
    pub(super) fn file(&self, file: InputFile) {
        let mut files = self.files.borrow_mut();
        if !files.contains(&file) {
            files.push(file);
        }
    }

    /// Gives up what was collected.
    pub(super) fn into_findings(self) -> Findings {
        Findings {
            faults: self.faults.into_inner(),
            oddities: self.oddities.into_inner(),
            files: self.files.into_inner(),
        }
    }
}
