//! Files that are either there as a whole or not at all, and keys that only their owner can read.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::Result;
use super::error::Error;

/// What to do with a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail.
    Keep,
    /// Replace it at once, so that no reader sees half of it.
    Replace,
}

/// Writes a file that anybody may read, mode 0644.
///
/// # Errors
///
/// The file is there and is to be kept, or cannot be written.
pub fn write_public(path: &Path, content: &[u8], existing: Existing) -> Result<()> {
    write(path, content, existing, Access::Everybody)
}

/// Writes a file that only its owner may read, mode 0600.
///
/// # Errors
///
/// The file is there and is to be kept, or cannot be written.
pub fn write_secret(path: &Path, content: &[u8], existing: Existing) -> Result<()> {
    write(path, content, existing, Access::Owner)
}

/// Refuses to go on when a file is there that is to be kept.
///
/// # Errors
///
/// It is there.
pub fn refuse_existing(path: &Path, existing: Existing) -> Result<()> {
    if existing == Existing::Keep && path.symlink_metadata().is_ok() {
        return Err(is_there(path));
    }
    Ok(())
}

/// Makes a directory for its owner only, mode 0700, and those above it; one that is there stays as
/// it is.
///
/// # Errors
///
/// It cannot be made.
pub fn make_directory(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|error| Error::file("make the directory", path, &error))
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::file("read", path, &error))
}

/// Reads a file that need not be there.
pub(super) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path, &error)),
    }
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Anybody, mode 0644.
    Everybody,
    /// Its owner, mode 0600.
    Owner,
}

/// Writes a file so that a crash leaves either the old one or the new one.
fn write(path: &Path, content: &[u8], existing: Existing, access: Access) -> Result<()> {
    let failed = |error: &std::io::Error| Error::file("write", path, error);
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // The temporary file is made with mode 0600: a key is never readable, not even for a moment.
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-");
    if access == Access::Owner {
        // What a crash leaves of a key has a name that is kept out of repositories.
        builder.suffix("_key.pem");
    }
    let mut file = builder
        .tempfile_in(directory)
        .map_err(|error| failed(&error))?;
    file.write_all(content)
        .and_then(|()| set_mode(&file, access))
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    let kept = match existing {
        Existing::Keep => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    };
    match kept {
        Ok(_) => {
            settle(directory);
            Ok(())
        }
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(is_there(path)),
        Err(error) => Err(failed(&error.error)),
    }
}

/// Gives a file its mode.
#[cfg(unix)]
fn set_mode(file: &NamedTempFile, access: Access) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match access {
        Access::Everybody => 0o644,
        Access::Owner => 0o600,
    };
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))
}

/// Leaves a file the access rights of its directory.
#[cfg(not(unix))]
fn set_mode(_: &NamedTempFile, _: Access) -> std::io::Result<()> {
    Ok(())
}

/// Makes a rename survive the loss of power, so that the order of writing is that on the disk.
#[cfg(unix)]
fn settle(directory: &Path) {
    // Some file systems have no such call, and do without it.
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .ok();
}

/// Windows has no such call.
#[cfg(not(unix))]
fn settle(_: &Path) {}

/// The error of a file that is to be kept.
fn is_there(path: &Path) -> Error {
    Error::refused_with(
        format!("{} is there already", path.display()),
        "take another name, or replace it with --force",
    )
}
