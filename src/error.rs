//! What can go wrong, what it means for the exit code, and what the reader can do about it.

use std::fmt;

use crate::aws::AwsError;
use crate::resource::Address;
use crate::stack::StackErrors;

/// The exit codes; relied upon by scripts, so they never change.
///
/// A usage error is 64 (`EX_USAGE`), because clap's own 2 means "changes" here as it does in Terraform.
pub mod exit {
    /// Everything that was asked for is done.
    pub const DONE: u8 = 0;
    /// Nothing, or not all, was done because something failed.
    pub const FAILED: u8 = 1;
    /// `--detailed-exitcode`: the plan has changes.
    pub const CHANGES: u8 = 2;
    /// Apply or destroy did a part; running it again goes on from there.
    pub const PARTIAL: u8 = 3;
    /// What was to be judged is refused: a client by `trust check`, a file by `trust lint`.
    pub const REFUSED: u8 = 4;
    /// The command line could not be understood.
    pub const USAGE: u8 = 64;
    /// Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

/// An error of any part, with its hint.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The stack file or a file it names is wrong.
    #[error("{0}")]
    Stack(Box<StackErrors>),
    /// AWS refused a call, or could not be reached.
    #[error("{0}")]
    Aws(Box<AwsError>),
    /// Something was refused before anything was changed.
    #[error("{message}")]
    Refused {
        /// What was refused and why.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// A step of apply could not be done.
    #[error("`{address}`: {message}")]
    Step {
        /// Whose step it was.
        address: Address,
        /// What was attempted and what happened.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// A step waits for somebody outside; apply ends in part.
    #[error("`{address}`: {message}")]
    Pending {
        /// Whose step it was.
        address: Address,
        /// What is awaited.
        message: String,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// The result of most functions here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Refuses something before anything was changed.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: None,
        }
    }

    /// Refuses something and says what to do instead.
    pub fn refused_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// A step of `address` that failed for a reason of ours.
    pub fn step(address: &Address, message: impl Into<String>) -> Self {
        Self::Step {
            address: address.clone(),
            message: message.into(),
            hint: None,
        }
    }

    /// What to do next, if the reader can do something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Aws(error) => error.hint(),
            Self::Refused { hint, .. } | Self::Step { hint, .. } => hint.clone(),
            Self::Pending { .. } => Some("then run the same command again".to_owned()),
            Self::Stack(_) | Self::Interrupted => None,
        }
    }

    /// What went wrong, for whoever names the address anyway.
    pub(crate) fn without_address(&self) -> String {
        match self {
            Self::Aws(error) => error.without_address(),
            Self::Step { message, .. } | Self::Pending { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    /// The AWS error inside, if it is one.
    pub fn aws(&self) -> Option<&AwsError> {
        match self {
            Self::Aws(error) => Some(error),
            _ => None,
        }
    }

    /// Whether AWS answered with this code.
    pub fn is_code(&self, code: &str) -> bool {
        self.aws().is_some_and(|error| error.is(code))
    }

    /// The process's exit code when this error ends it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => exit::INTERRUPTED,
            Self::Pending { .. } => exit::PARTIAL,
            _ => exit::FAILED,
        }
    }

    /// The same error, told of `address` where AWS's answer does not know it.
    #[must_use]
    pub fn about(self, address: &Address) -> Self {
        match self {
            Self::Aws(mut error) => {
                error.address.get_or_insert_with(|| address.clone());
                Self::Aws(error)
            }
            other => other,
        }
    }
}

impl From<AwsError> for Error {
    fn from(error: AwsError) -> Self {
        Self::Aws(Box::new(error))
    }
}

impl From<StackErrors> for Error {
    fn from(errors: StackErrors) -> Self {
        Self::Stack(Box::new(errors))
    }
}

impl From<crate::pki::Error> for Error {
    fn from(error: crate::pki::Error) -> Self {
        Self::Refused {
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

#[cfg(feature = "sandbox")]
impl From<crate::sandbox::SandboxError> for Error {
    fn from(error: crate::sandbox::SandboxError) -> Self {
        Self::refused(format!("the sandbox: {error}"))
    }
}

/// Names of things in a sentence: "`a`, `b` and `c`".
pub(crate) fn listed(names: &[impl fmt::Display]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}
