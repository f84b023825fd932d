//! Saved plans: what was planned and from what, so that apply can refuse when either has moved.
//!
//! A saved plan holds addresses, fields and digests; no key, credential or URL is in it. Applying
//! it plans again and goes on only if the two are the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::resource::bucket::Bucket;
use crate::resource::context::hex;
use crate::session::Planned;
use crate::stack::Stack;

/// The version of the file's form.
const FORMAT_VERSION: &str = "1";

/// A plan as it is saved.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    mtlsgw_plan: String,
    /// The stack file.
    pub(super) stack_file: PathBuf,
    name: String,
    account: String,
    region: String,
    /// SHA-256 of every file that was read.
    files: BTreeMap<PathBuf, String>,
    /// SHA-256 of what is to be done.
    fingerprint: String,
    /// What is to be done, for readers.
    changes: serde_json::Value,
}

/// The digests of the files that a stack was made from.
pub(super) fn digests(stack: &Stack) -> BTreeMap<PathBuf, String> {
    stack
        .files()
        .iter()
        .map(|file| (file.path.clone(), file.digest.clone()))
        .collect()
}

/// What a plan does, in 64 hexadecimal digits.
///
/// The bucket is left out: it is made before the lock that is in it, between two plans.
pub(super) fn fingerprint(plan: &Plan) -> String {
    let bucket = Bucket::address();
    let rest: Vec<_> = plan
        .summaries
        .iter()
        .filter(|summary| summary.address != bucket)
        .collect();
    let ids: Vec<_> = rest.iter().map(|summary| &summary.ids).collect();
    // Whether an object's bucket is known already depends on that same bucket.
    let effects: Vec<_> = rest
        .iter()
        .map(|summary| {
            let fields: Vec<_> = summary
                .fields
                .iter()
                .filter(|change| change.path != "bucket")
                .collect();
            (&summary.address, summary.effect, fields)
        })
        .collect();
    let text = serde_json::to_string(&(effects, ids)).unwrap_or_default();
    hex(&Sha256::digest(text))
}

/// Saves a plan, readable for its owner only.
///
/// # Errors
///
/// The file cannot be written.
pub(super) fn save(
    out: &Path,
    stack_file: &Path,
    files: BTreeMap<PathBuf, String>,
    planned: &Planned,
) -> Result<()> {
    let stack_file = std::path::absolute(stack_file).unwrap_or_else(|_| stack_file.to_path_buf());
    let saved = Saved {
        mtlsgw_plan: FORMAT_VERSION.to_owned(),
        stack_file,
        name: planned.name.clone(),
        account: planned.identity.account.clone(),
        region: planned.aws.region.clone(),
        files,
        fingerprint: fingerprint(&planned.plan),
        changes: serde_json::to_value(&planned.plan.summaries).unwrap_or_default(),
    };
    let text = serde_json::to_string_pretty(&saved).unwrap_or_default();
    write_private(out, text.as_bytes()).map_err(|error| {
        Error::refused(format!(
            "the plan cannot be saved as {}: {error}",
            out.display()
        ))
    })
}

/// Reads a saved plan; `None` when the file is something else.
pub(super) fn read(path: &Path) -> Option<Saved> {
    let text = std::fs::read_to_string(path).ok()?;
    let saved: Saved = serde_json::from_str(&text).ok()?;
    (saved.mtlsgw_plan == FORMAT_VERSION).then_some(saved)
}

impl Saved {
    /// Refuses when a file has changed since the plan was saved.
    ///
    /// # Errors
    ///
    /// The files that have changed.
    pub(super) fn refuse_moved_files(&self, stack: &Stack) -> Result<()> {
        let now = digests(stack);
        let name = |path: &PathBuf| path.file_name().map(std::ffi::OsStr::to_os_string);
        let by_name = |files: &BTreeMap<PathBuf, String>| {
            let mut pairs: Vec<_> = files
                .iter()
                .map(|(path, digest)| (name(path), digest.clone()))
                .collect();
            pairs.sort();
            pairs
        };
        if by_name(&now) == by_name(&self.files) {
            return Ok(());
        }
        let moved: Vec<String> = now
            .iter()
            .filter(|(path, digest)| {
                !self
                    .files
                    .iter()
                    .any(|(old, was)| name(old) == name(path) && was == *digest)
            })
            .map(|(path, _)| path.display().to_string())
            .collect();
        Err(stale(&format!(
            "changed since it was saved: {}",
            moved.join(", ")
        )))
    }

    /// Refuses when AWS has changed since the plan was saved.
    ///
    /// # Errors
    ///
    /// Another plan results now, or another account or region.
    pub(super) fn refuse_moved(&self, planned: &Planned) -> Result<()> {
        if self.account != planned.identity.account || self.region != planned.aws.region {
            let Self {
                account, region, ..
            } = self;
            return Err(stale(&format!("it is for {account}/{region}")));
        }
        if self.name != planned.name || self.fingerprint != fingerprint(&planned.plan) {
            return Err(stale("what is live has changed since it was saved"));
        }
        Ok(())
    }
}

fn stale(why: &str) -> Error {
    Error::refused_with(
        format!("the saved plan is stale: {why}"),
        "plan again and look at the difference",
    )
}

/// Writes a file that only its owner can read, in one step.
pub(super) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}
