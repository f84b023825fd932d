//! Files that the stack file refers to.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::context::Context;
use super::fault::Fault;
use super::node::Document;
use super::path::KeyPath;

/// The content of a file of certificates or CRLs.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// The file, relative to the working directory.
    pub path: PathBuf,
    /// Its bytes as they are.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A file that was read, for saved plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// The file, relative to the working directory.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
}

impl InputFile {
    /// Remembers a file by what was read of it.
    pub(super) fn new(path: &Path, bytes: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            digest: hex_digest(bytes),
        }
    }
}

/// The kinds of files that the stack file refers to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Certificates, PEM or DER.
    Certificates,
    /// A CRL, PEM or DER.
    RevocationList,
    /// An OpenAPI definition.
    OpenApi,
    /// A policy document.
    Policy,
}

impl Kind {
    /// What AWS accepts at most: 25 CAs of 16 KB or a chain of 2 MB, 50 MB of CRL, 6 MB of OpenAPI.
    fn maximum_bytes(self) -> u64 {
        match self {
            Self::Certificates => 2 * 1024 * 1024,
            Self::RevocationList => 50 * 1024 * 1024,
            Self::OpenApi => 6 * 1024 * 1024,
            Self::Policy => 64 * 1024,
        }
    }
}

/// Reads a file of certificates or CRLs.
pub(super) fn material(text: &str, kind: Kind, at: &KeyPath, cx: &Context) -> Option<Material> {
    let (path, bytes) = read(text, kind, at, cx)?;
    if bytes.is_empty() {
        cx.fault(Fault::new(at, format!("`{}` is empty", path.display())));
        return None;
    }
    if contains(&bytes, b"PRIVATE KEY-----") {
        let fault = Fault::new(at, format!("`{}` contains a private key", path.display()));
        cx.fault(fault.hint("leave only the certificates in the file; keys stay where they are"));
        return None;
    }
    Some(Material { path, bytes })
}

/// Reads a JSON or YAML file.
pub(super) fn document(
    text: &str,
    kind: Kind,
    at: &KeyPath,
    cx: &Context,
) -> Option<(PathBuf, serde_json::Value)> {
    let (path, bytes) = read(text, kind, at, cx)?;
    match parse_document(&bytes) {
        Ok(value) => Some((path, value)),
        Err((position, message)) => {
            let place =
                position.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
            cx.fault(Fault::new(
                at,
                format!("`{}{place}`: {message}", path.display()),
            ));
            None
        }
    }
}

/// Reads JSON as JSON, because YAML forbids the tabs that it may be indented with.
pub(super) fn parse_document(
    bytes: &[u8],
) -> Result<serde_json::Value, (Option<(usize, usize)>, String)> {
    let text = std::str::from_utf8(bytes).map_err(|_| (None, "this is not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    let document = Document::parse(text).map_err(|error| (error.position, error.message))?;
    Ok(document.root.into_json())
}

/// The path of a file that the stack file names, relative to the working directory.
pub(super) fn resolve(text: &str, cx: &Context) -> PathBuf {
    cx.directory.join(text)
}

fn read(text: &str, kind: Kind, at: &KeyPath, cx: &Context) -> Option<(PathBuf, Vec<u8>)> {
    if text.is_empty() {
        cx.fault(Fault::new(at, format!("`{at}` names no file")));
        return None;
    }
    let path = resolve(text, cx);
    match read_at_most(&path, kind.maximum_bytes()) {
        Ok(bytes) => {
            cx.file(InputFile::new(&path, &bytes));
            Some((path, bytes))
        }
        Err(error) => {
            let mut fault = Fault::new(at, format!("cannot read `{}`: {error}", path.display()));
            if text.starts_with("~/") {
                fault = fault.hint("`~` is not expanded; write `${env:HOME}/…`");
            } else if error.kind() == io::ErrorKind::NotFound && Path::new(text).is_relative() {
                fault = fault.hint("relative paths start from the directory of the stack file");
            }
            cx.fault(fault);
            None
        }
    }
}

/// Reads a file that is no directory and not larger than it can sensibly be.
pub(super) fn read_at_most(path: &Path, maximum: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path).map_err(in_words)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "it is a directory",
        ));
    }
    let mut bytes = Vec::new();
    file.take(maximum + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > maximum {
        let message = format!("it is larger than {maximum} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Replaces the operating system's wording where it is the same everywhere.
fn in_words(error: io::Error) -> io::Error {
    let words = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file",
        io::ErrorKind::PermissionDenied => "permission denied",
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}

/// SHA-256 in lower-case hex.
pub(super) fn hex_digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_file_is_not_shown() {
        let material = Material {
            path: "ca.pem".into(),
            bytes: b"secret".to_vec(),
        };
        assert_eq!(
            format!("{material:?}"),
            r#"Material { path: "ca.pem", .. }"#
        );
    }

    #[test]
    fn json_may_be_indented_with_tabs() {
        let value = parse_document(b"{\n\t\"a\": [1,\t2]\n}").unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, 2]}));
    }

    #[test]
    fn status_codes_become_text_keys() {
        let value = parse_document(b"responses:\n  200: {description: ok}\n").unwrap();
        assert_eq!(
            value,
            serde_json::json!({"responses": {"200": {"description": "ok"}}})
        );
    }

    #[test]
    fn a_directory_is_no_file() {
        let error = read_at_most(Path::new("/"), 10).unwrap_err();
        assert_eq!(error.to_string(), "it is a directory");
    }
}
