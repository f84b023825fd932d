//! A directory with a stack in it, a sandbox of its own, and the binary run on both.

mod authority;
mod aws;
pub(crate) mod chains;
mod dump;
mod gateway;
mod scenario;
pub(crate) mod stand_in;
mod web;

pub(crate) use authority::{Authority, authority};
pub(crate) use aws::{Answer, Aws};
pub(crate) use dump::{canonical, differences};
pub(crate) use gateway::{Attempt, Gateway, Identity};
pub(crate) use scenario::{OPENAPI, Outcome, PETSTORE, Scenario, filters};
pub(crate) use web::{Reply, Web};

use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a directory of the repository with this ending, in order; at least one.
pub(crate) fn files(directory: &str, ending: &str) -> Vec<PathBuf> {
    entries(directory, |path| {
        path.extension().is_some_and(|found| found == ending)
    })
}

/// The directories in a directory of the repository, in order; at least one.
pub(crate) fn directories(directory: &str) -> Vec<PathBuf> {
    entries(directory, Path::is_dir)
}

fn entries(directory: &str, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let directory = root().join(directory);
    let entries = std::fs::read_dir(&directory).expect("the directory is there");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("is readable").path())
        .filter(|path| wanted(path))
        .collect();
    found.sort();
    assert!(
        !found.is_empty(),
        "nothing of the kind in {}",
        directory.display()
    );
    found
}

/// Whether a call, `service:Operation`, only reads.
pub(crate) fn is_reading(call: &str) -> bool {
    let (_, operation) = call.split_once(':').expect("has a service");
    ["Describe", "Get", "List", "Head"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}
