//! What can go wrong with a CA's files, and what to do about it.

use std::io;
use std::path::Path;

/// An error of this module; never holds anything of a key or passphrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something was refused before anything was changed.
    #[error("{message}")]
    Refused {
        /// What was refused and why.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The operating system refused a file.
    #[error("cannot {action} {path}: {reason}")]
    File {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// The cryptographic library failed, which it does for no reason that a user could mend.
    #[error("cannot {0}")]
    Crypto(&'static str),
}

impl Error {
    /// Refuses something.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: None,
        }
    }

    /// Refuses something and says what to do instead.
    pub(super) fn refused_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// Tells what the operating system refused.
    pub(super) fn file(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::File {
            action,
            path: path.display().to_string(),
            reason: error.to_string(),
        }
    }

    /// What to do next, if the reader can do something.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::File { .. } | Self::Crypto(_) => None,
        }
    }

    /// The same error, told of a file.
    #[must_use]
    pub(super) fn of(self, path: &Path) -> Self {
        match self {
            Self::Refused { message, hint } => Self::Refused {
                message: format!("{}: {message}", path.display()),
                hint,
            },
            other => other,
        }
    }
}

/// The structures written here are small and well-formed; only their size could be refused.
impl From<der::Error> for Error {
    fn from(_: der::Error) -> Self {
        Self::refused("it does not fit into DER")
    }
}

impl From<crate::trust::Error> for Error {
    fn from(error: crate::trust::Error) -> Self {
        Self::Refused {
            message: error.to_string(),
            hint: error.fix().map(str::to_owned),
        }
    }
}
