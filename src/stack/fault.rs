//! Something wrong with the value at a key path; [`super::error`] adds the place.

use super::path::KeyPath;

/// Something wrong with the value at a key path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The offending key or element.
    pub(super) path: KeyPath,
    /// What is wrong.
    pub(super) message: String,
    /// What would be right.
    pub(super) allowed: Option<String>,
    /// What to write instead.
    pub(super) hint: Option<String>,
}

impl Fault {
    /// Makes a fault.
    pub(super) fn new(path: &KeyPath, message: impl Into<String>) -> Self {
        Self {
            path: path.clone(),
            message: message.into(),
            allowed: None,
            hint: None,
        }
    }

    /// Adds what would be right.
    pub(super) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Adds what to write instead.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
