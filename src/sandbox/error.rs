//! What can go wrong with a sandbox as such, as against what its services refuse.

use std::io;
use std::path::{Path, PathBuf};

/// Why a sandbox cannot be opened, or its state not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A file or folder cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The state cannot be read.
    #[error("the sandbox's state {} is damaged: {reason}; `mtlsgw sandbox reset` begins a new one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state is another version's.
    #[error(
        "the sandbox's state {} has format {found}, this mtlsgw reads {expected}; `mtlsgw sandbox reset` begins a new one",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The format it has.
        found: String,
        /// The format that can be read.
        expected: u32,
    },
    /// The folder holds something else.
    #[error("{} is no sandbox: it has no state.json but other files", .0.display())]
    NotASandbox(PathBuf),
    /// Another process serves the folder.
    #[error("the sandbox in {} is being served at {url} already", path.display())]
    Served {
        /// The folder.
        path: PathBuf,
        /// Where it is served.
        url: String,
    },
    /// Another process holds the folder but does not answer.
    #[error("the sandbox in {} is in use by a process that does not answer", .0.display())]
    Silent(PathBuf),
    /// No connection to the sandbox that another process serves.
    #[error("the sandbox at {url} does not answer: {source}")]
    Connection {
        /// Where it is served.
        url: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The process that serves the sandbox refused.
    #[error("the sandbox at {url} refused: {reason}")]
    Refused {
        /// Where it is served.
        url: String,
        /// Why.
        reason: String,
    },
    /// A server cannot stand for a host of the simulated network.
    #[error("{0}")]
    Host(String),
    /// A setting in the environment cannot be read.
    #[error("{variable}: {reason}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl SandboxError {
    /// Names the file and what was tried, for use with `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
