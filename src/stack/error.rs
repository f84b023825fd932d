//! What can be wrong with a stack file, and where.

use std::fmt;
use std::path::PathBuf;

/// A place in an input file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Line, from 1; 0 stands for the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 stands for the file as a whole.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line == 0 {
            return Ok(());
        }
        write!(f, ":{}:{}", self.line, self.column)
    }
}

/// One thing wrong with a stack file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct StackError {
    /// Where it is.
    pub location: Location,
    /// The offending key, as a path from the top: `load_balancer.subnets[1]`.
    pub key: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What would be right, where that can be listed.
    pub allowed: Option<String>,
    /// What to write instead.
    pub hint: Option<String>,
}

/// All that is wrong with a stack file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct StackErrors(pub(super) Vec<StackError>);

/// Something that works but is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Stable name for scripts, such as `unused_trust_store`.
    pub code: &'static str,
    /// The key it is about, as a path from the top.
    pub key: String,
    /// Where it is.
    pub location: Location,
    /// What is odd and what it means: lower case, no full stop.
    pub message: String,
}

impl StackError {
    /// Makes the error that `key` is wrong.
    pub fn at(
        location: Location,
        key: impl Into<String>,
        message: impl Into<String>,
        allowed: Option<String>,
        hint: Option<String>,
    ) -> Self {
        Self {
            location,
            key: key.into(),
            message: message.into(),
            allowed,
            hint,
        }
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)?;
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl StackErrors {
    /// Each error, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &StackError> {
        self.0.iter()
    }
}

impl From<Vec<StackError>> for StackErrors {
    fn from(errors: Vec<StackError>) -> Self {
        Self(errors)
    }
}

impl From<StackError> for StackErrors {
    fn from(error: StackError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for StackErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}
