//! Saved plans: what was planned and from what, so that apply can refuse when either has moved.
//!
//! A saved plan holds addresses, fields and digests; no key, credential or URL is in it. Applying
//! it plans again and goes on only if the two are the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diff::Change;
use crate::error::{Error, Result};
use crate::plan::{Plan, Summary};
use crate::resource::bucket::Bucket;
use crate::session::Planned;
use crate::stack::Stack;
use crate::trust::Lockout;

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
    /// What is to be done.
    changes: Outline,
    /// The subjects of the clients that were said to be locked out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    locked_out: Vec<String>,
}

/// The plans of several stacks as they are saved.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTogether {
    mtlsgw_plan: String,
    stacks: Vec<Saved>,
}

/// A stack whose plan is to be saved: its file, the digests of what it was made from, its plan.
pub(super) struct ToSave<'a> {
    /// The stack file.
    pub(super) file: &'a Path,
    /// SHA-256 of every file that was read.
    pub(super) digests: BTreeMap<PathBuf, String>,
    /// The plan.
    pub(super) planned: &'a Planned,
}

/// What a plan does: enough to tell whether another plan does the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Outline(Vec<Entry>);

/// One address of an [`Outline`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    address: String,
    action: String,
    /// AWS's ids of what is changed or deleted.
    ids: Vec<String>,
    fields: Vec<Field>,
}

/// One field of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    path: String,
    before: Value,
    after: Value,
    after_unknown: bool,
}

impl Outline {
    /// What a plan does.
    ///
    /// The bucket is left out: it is made before the lock that is in it, between two plans.
    pub(super) fn of(plan: &Plan) -> Self {
        let bucket = Bucket::address();
        let rest = plan
            .summaries
            .iter()
            .filter(|summary| summary.address != bucket);
        Self(rest.map(Entry::of).collect())
    }

    /// Whether another plan does the same, where what has become known since counts as the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.is_same(b))
    }
}

impl Entry {
    fn of(summary: &Summary) -> Self {
        let field = |change: &Change| Field {
            path: change.path.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            after_unknown: change.after_unknown,
        };
        Self {
            address: summary.address.to_string(),
            action: format!("{:?}", summary.effect).to_lowercase(),
            ids: summary.ids.clone(),
            fields: summary.fields.iter().map(field).collect(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let covered = |a: &Self, b: &Self| {
            a.fields.iter().all(|field| {
                let there = b.fields.iter().find(|one| one.path == field.path);
                there.map_or(field.after_unknown, |one| field.is_same(one))
            })
        };
        self.address == other.address
            && self.action == other.action
            && self.ids == other.ids
            && covered(self, other)
            && covered(other, self)
    }
}

impl Field {
    fn is_same(&self, other: &Self) -> bool {
        let known = !self.after_unknown && !other.after_unknown;
        self.before == other.before && (!known || self.after == other.after)
    }
}

/// The digests of the files that a stack was made from.
pub(super) fn digests(stack: &Stack) -> BTreeMap<PathBuf, String> {
    stack
        .files()
        .iter()
        .map(|file| (file.path.clone(), file.digest.clone()))
        .collect()
}

/// Saves plans, readable for their owner only.
///
/// # Errors
///
/// The file cannot be written.
pub(super) fn save(out: &Path, plans: Vec<ToSave<'_>>) -> Result<()> {
    let mut stacks: Vec<Saved> = plans.into_iter().map(Saved::of).collect();
    let text = if stacks.len() == 1 {
        serde_json::to_string_pretty(&stacks.remove(0))
    } else {
        serde_json::to_string_pretty(&SavedTogether {
            mtlsgw_plan: FORMAT_VERSION.to_owned(),
            stacks,
        })
    };
    write_private(out, text.unwrap_or_default().as_bytes()).map_err(|error| {
        Error::refused(format!(
            "the plan cannot be saved as {}: {error}",
            out.display()
        ))
    })
}

/// The clients that are locked out.
fn subjects(lockout: Option<&Lockout>) -> Vec<String> {
    let clients = lockout.iter().flat_map(|lockout| &lockout.locked_out);
    clients.map(|client| client.subject.clone()).collect()
}

/// Reads saved plans, of one stack or of several; none when the file is something else.
pub(super) fn read(path: &Path) -> Vec<Saved> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let version: Option<String> = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|value| Some(value.get("mtlsgw_plan")?.as_str()?.to_owned()));
    if version.as_deref() != Some(FORMAT_VERSION) {
        return Vec::new();
    }
    match serde_json::from_str::<Saved>(&text) {
        Ok(saved) => vec![saved],
        Err(_) => serde_json::from_str::<SavedTogether>(&text)
            .map(|together| together.stacks)
            .unwrap_or_default(),
    }
}

impl Saved {
    fn of(plan: ToSave<'_>) -> Self {
        let ToSave {
            file,
            digests,
            planned,
        } = plan;
        Self {
            mtlsgw_plan: FORMAT_VERSION.to_owned(),
            stack_file: std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()),
            name: planned.name.clone(),
            account: planned.identity.account.clone(),
            region: planned.aws.region.clone(),
            files: digests,
            changes: Outline::of(&planned.plan),
            locked_out: subjects(planned.lockout.as_ref()),
        }
    }

    /// The clients that were said to be locked out.
    pub(super) fn locked_out(&self) -> &[String] {
        &self.locked_out
    }

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
        if self.name != planned.name || !self.changes.is_same(&Outline::of(&planned.plan)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(after: &str, after_unknown: bool) -> Outline {
        let field = Field {
            path: "targets".to_owned(),
            before: Value::Null,
            after: Value::from(after),
            after_unknown,
        };
        Outline(vec![Entry {
            address: "target_group.targets".to_owned(),
            action: "create".to_owned(),
            ids: vec![],
            fields: vec![field],
        }])
    }

    #[test]
    fn what_has_become_known_since_is_no_other_plan() {
        assert!(outline("", true).is_same(&outline("10.0.0.1", false)));
        assert!(outline("10.0.0.1", false).is_same(&outline("10.0.0.1", false)));
        assert!(!outline("10.0.0.2", false).is_same(&outline("10.0.0.1", false)));
    }
}
