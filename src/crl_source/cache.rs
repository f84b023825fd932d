//! What URLs have served, on the disk: so that an unchanged CRL is not fetched again, and that it is
//! known which live CRL is that of a URL which does not answer.
//!
//! A file holds a line of JSON and the content as it came; one that is damaged counts as none. It is
//! in the user's cache directory and not beside the stack file, where it might be committed.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::stack::CrlUrl;
use crate::trust::Sha256Digest;

/// A directory of remembered answers.
#[derive(Debug, Clone)]
pub(super) struct Cache(PathBuf);

/// By what a server knows whether something has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Validators {
    /// The header `ETag`.
    pub(super) etag: Option<String>,
    /// The header `Last-Modified`.
    pub(super) last_modified: Option<String>,
}

/// What a URL served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// What to ask with the next time.
    pub(super) validators: Validators,
    /// The content, as it came.
    pub(super) content: Vec<u8>,
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// SHA-256 of the content, in hex.
    sha256: String,
    validators: Validators,
}

impl Cache {
    /// `mtlsgw/crls` in `$XDG_CACHE_HOME` or `~/.cache`; none where there is no home.
    pub(super) fn of_user() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let directory = variable("XDG_CACHE_HOME").map(PathBuf::from);
        let directory = directory.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")));
        Some(Self(directory?.join("mtlsgw").join("crls")))
    }

    /// What is remembered of a URL.
    pub(super) fn read(&self, url: &CrlUrl) -> Option<Entry> {
        let file = fs::read(self.file(url)).ok()?;
        let end = file.iter().position(|byte| *byte == b'\n')?;
        let (head, content) = (file.get(..end)?, file.get(end + 1..)?);
        let head: Head = serde_json::from_slice(head).ok()?;
        (head.sha256 == Sha256Digest::of(content).to_string()).then(|| Entry {
            validators: head.validators,
            content: content.to_vec(),
        })
    }

    /// Remembers what a URL serves, for its user only and in one step.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(super) fn write(&self, url: &CrlUrl, entry: &Entry) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let head = Head {
            sha256: Sha256Digest::of(&entry.content).to_string(),
            validators: entry.validators.clone(),
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        serde_json::to_writer(&mut file, &head)?;
        file.write_all(b"\n")?;
        file.write_all(&entry.content)?;
        file.persist(self.file(url))?;
        Ok(())
    }

    /// The URL may hold a password, so that its digest names the file.
    fn file(&self, url: &CrlUrl) -> PathBuf {
        self.0
            .join(Sha256Digest::of(url.secret().as_str()).to_string())
    }
}
