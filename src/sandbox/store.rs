//! Keeps the account in a directory.
//!
//! `state.json` holds everything but object contents (`objects/`, by their SHA-256) and private
//! keys (`keys/`, readable by the owner only). `calls.log` has a line for each call, with its round
//! (see `Request::round`) and the sandbox's time in milliseconds. `lock` is held by the process that serves the directory, which `server.json` says how to reach.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use super::world::{Keys, World};

/// The format of `state.json`.
const VERSION: u32 = 1;

const STATE: &str = "state.json";
const OBJECTS: &str = "objects";
const KEYS: &str = "keys";
const CALLS: &str = "calls.log";
/// See `witness`.
const NOTICED: &str = "noticed.log";
const LOCK: &str = "lock";
const SERVER: &str = "server.json";

/// How to reach the process that serves a directory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Address {
    /// `http://127.0.0.1:PORT`.
    pub(super) url: String,
    /// How fast time passes there.
    pub(super) timing: String,
}

#[derive(Serialize)]
struct Saving<'a> {
    version: u32,
    world: &'a World,
}

#[derive(Deserialize)]
struct Saved {
    world: World,
}

/// The directory of a sandbox, held by this process.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    /// The state as it was last written, which a refused call leaves in force.
    saved: Arc<[u8]>,
    /// The time that it has.
    saved_at: i64,
    objects: BTreeSet<String>,
    keys: BTreeMap<String, String>,
    calls: File,
    /// Holds the directory; none once it was let go of.
    lock: Option<File>,
}

/// Whether this process now holds a directory.
pub(super) enum Claim {
    /// It does.
    Held(File),
    /// Another one does.
    Taken,
}

/// Tries to become the one process that serves a directory, which is made if need be.
pub(super) fn claim(directory: &Path) -> Result<Claim, SandboxError> {
    fs::create_dir_all(directory).map_err(SandboxError::io("create", directory))?;
    refuse_other_folders(directory)?;
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let lock = options
        .open(&path)
        .map_err(SandboxError::io("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(Claim::Held(lock)),
        Err(TryLockError::WouldBlock) => Ok(Claim::Taken),
        Err(TryLockError::Error(error)) => Err(SandboxError::io("lock", &path)(error)),
    }
}

/// A sandbox is never laid over a folder that holds something else, which `reset` would remove.
fn refuse_other_folders(directory: &Path) -> Result<(), SandboxError> {
    let entries = fs::read_dir(directory).map_err(SandboxError::io("read", directory))?;
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let is_ours = names.is_empty() || names.iter().any(|name| name == STATE || name == LOCK);
    if is_ours {
        Ok(())
    } else {
        Err(SandboxError::NotASandbox(directory.to_owned()))
    }
}

impl Store {
    /// Reads the account out of a directory that this process holds; a new one is fresh.
    pub(super) fn open(
        directory: &Path,
        lock: File,
        account: &str,
    ) -> Result<(Self, World), SandboxError> {
        let ignore = directory.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(SandboxError::io("write", &ignore))?;
        }
        remove(&directory.join(SERVER))?;
        let mut world = read(directory)?.unwrap_or_else(|| World::fresh(account));
        world.keys = Keys(read_keys(&directory.join(KEYS))?);
        let objects = read_objects(directory, &mut world)?;
        let path = directory.join(CALLS);
        let calls = OpenOptions::new().create(true).append(true).open(&path);
        let calls = calls.map_err(SandboxError::io("open", &path))?;
        let keys = world.keys.0.clone();
        let saved = serialised(&world);
        Ok((
            Self {
                directory: directory.to_owned(),
                saved,
                saved_at: world.now,
                objects,
                keys,
                calls,
                lock: Some(lock),
            },
            world,
        ))
    }

    /// Tells other processes how to reach this one.
    pub(super) fn publish(&self, address: &Address) -> Result<(), SandboxError> {
        let text = serde_json::to_vec(address).expect("two texts are valid JSON");
        write(&self.directory.join(SERVER), &text)
    }

    /// Takes back what [`Store::publish`] told, and lets go of the directory: whatever of this
    /// process is still under way changes nothing there any more.
    pub(super) fn withdraw(&mut self) -> Result<(), SandboxError> {
        let removed = remove(&self.directory.join(SERVER));
        self.lock = None;
        removed
    }

    /// Makes the account durable: what the state refers to first, then the state.
    pub(super) fn save(&mut self, world: &World) -> Result<(), SandboxError> {
        if self.lock.is_none() {
            return Ok(());
        }
        self.save_objects(world)?;
        self.save_keys(world)?;
        let state = serialised(world);
        if state != self.saved {
            write(&self.directory.join(STATE), &state)?;
            self.saved = state;
            self.saved_at = world.now;
        }
        Ok(())
    }

    fn save_objects(&mut self, world: &World) -> Result<(), SandboxError> {
        let folder = self.directory.join(OBJECTS);
        for (digest, body) in world
            .s3
            .bodies()
            .filter(|(digest, _)| !self.objects.contains(*digest))
        {
            fs::create_dir_all(&folder).map_err(SandboxError::io("create", &folder))?;
            write(&folder.join(digest), body)?;
        }
        self.objects = world
            .s3
            .bodies()
            .map(|(digest, _)| digest.to_owned())
            .collect();
        Ok(())
    }

    fn save_keys(&mut self, world: &World) -> Result<(), SandboxError> {
        if world.keys.0 == self.keys {
            return Ok(());
        }
        let folder = self.directory.join(KEYS);
        create_private_folder(&folder)?;
        for (name, key) in world
            .keys
            .0
            .iter()
            .filter(|(name, key)| self.keys.get(*name) != Some(key))
        {
            write_private(&folder.join(file_name(name)), key.as_bytes())?;
        }
        for name in self
            .keys
            .keys()
            .filter(|name| !world.keys.0.contains_key(*name))
        {
            remove(&folder.join(file_name(name)))?;
        }
        self.keys.clone_from(&world.keys.0);
        Ok(())
    }

    /// The state as it was last written.
    pub(super) fn snapshot(&self) -> Arc<[u8]> {
        Arc::clone(&self.saved)
    }

    /// Whether the account differs from its saved state by more than the time.
    pub(super) fn differs(&self, world: &mut World) -> bool {
        let now = std::mem::replace(&mut world.now, self.saved_at);
        let differs = serialised(world) != self.saved;
        world.now = now;
        differs
    }

    /// Appends a call, its round and its time to the log.
    pub(super) fn log(&mut self, call: &str, round: u64, now: i64) -> Result<(), SandboxError> {
        let path = self.directory.join(CALLS);
        self.calls
            .write_all(format!("{call} {round} {now}\n").as_bytes())
            .map_err(SandboxError::io("write", &path))
    }

    /// Appends to the log what clients would notice of a call.
    pub(super) fn notice(&self, operation: &str, outage: &str) -> Result<(), SandboxError> {
        let path = self.directory.join(NOTICED);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| writeln!(file, "{operation}: {outage}"));
        written.map_err(SandboxError::io("write", &path))
    }

    /// All calls that were logged, in their order.
    pub(super) fn calls(&self) -> Vec<String> {
        calls(&self.directory).unwrap_or_default()
    }

    /// Forgets all calls.
    pub(super) fn forget_calls(&self) -> Result<(), SandboxError> {
        forget_calls(&self.directory)
    }
}

/// The account as a snapshot has it, with the contents and keys of the present one.
pub(super) fn revived(snapshot: &[u8], present: &World) -> World {
    let saved: Saved = serde_json::from_slice(snapshot).expect("the store wrote it");
    let mut world = saved.world;
    world.s3.share_bodies(&present.s3);
    world.keys = Keys(present.keys.0.clone());
    world
}

fn serialised(world: &World) -> Arc<[u8]> {
    let saving = Saving {
        version: VERSION,
        world,
    };
    serde_json::to_vec(&saving)
        .expect("the account has text keys only")
        .into()
}

/// Reads `state.json`, if there is one.
pub(super) fn read(directory: &Path) -> Result<Option<World>, SandboxError> {
    let path = directory.join(STATE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SandboxError::io("read", &path)(error)),
    };
    let damaged = |error: serde_json::Error| SandboxError::Damaged {
        path: path.clone(),
        reason: error.to_string(),
    };
    // Parsed twice only where something is wrong: for the version, of another format's state.
    match serde_json::from_slice::<Saved>(&text) {
        Ok(saved) if text.starts_with(format!("{{\"version\":{VERSION},").as_bytes()) => {
            Ok(Some(saved.world))
        }
        result => {
            let state: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
            let found = state
                .get("version")
                .map_or_else(|| "none".to_owned(), ToString::to_string);
            if found != VERSION.to_string() {
                return Err(SandboxError::Version {
                    path,
                    found,
                    expected: VERSION,
                });
            }
            result.map(|saved| Some(saved.world)).map_err(damaged)
        }
    }
}

/// Reads the contents that the account refers to, and removes those it does not.
fn read_objects(directory: &Path, world: &mut World) -> Result<BTreeSet<String>, SandboxError> {
    let folder = directory.join(OBJECTS);
    let mut digests = BTreeSet::new();
    for digest in world.s3.digests() {
        let path = folder.join(&digest);
        let body = fs::read(&path).map_err(SandboxError::io("read", &path))?;
        world.s3.restore_body(&digest, body);
        digests.insert(digest);
    }
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        if !digests.contains(&*entry.file_name().to_string_lossy()) {
            remove(&entry.path())?;
        }
    }
    Ok(digests)
}

fn read_keys(folder: &Path) -> Result<BTreeMap<String, String>, SandboxError> {
    let mut keys = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = percent_decode_str(&entry.file_name().to_string_lossy())
            .decode_utf8_lossy()
            .into_owned();
        keys.insert(
            name,
            fs::read_to_string(&path).map_err(SandboxError::io("read", &path))?,
        );
    }
    Ok(keys)
}

/// A name as a file's name.
fn file_name(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// How to reach the process that serves a directory, if one says so.
pub(super) fn address(directory: &Path) -> Option<Address> {
    let text = fs::read(directory.join(SERVER)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The log of calls, in their order and without their rounds.
pub(super) fn calls(directory: &Path) -> Result<Vec<String>, SandboxError> {
    let path = directory.join(CALLS);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let calls = text.lines().filter_map(|line| line.split(' ').next());
            Ok(calls.map(str::to_owned).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(SandboxError::io("read", &path)(error)),
    }
}

/// Forgets all calls; a process that serves the directory goes on with the emptied log.
pub(super) fn forget_calls(directory: &Path) -> Result<(), SandboxError> {
    let path = directory.join(CALLS);
    match OpenOptions::new().write(true).truncate(true).open(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SandboxError::io("write", &path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes what a sandbox keeps in its directory, but not the directory.
pub(super) fn clear(directory: &Path) -> Result<(), SandboxError> {
    for folder in [OBJECTS, KEYS] {
        let path = directory.join(folder);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(SandboxError::io("remove", &path))?;
        }
    }
    [STATE, CALLS, NOTICED, SERVER]
        .iter()
        .try_for_each(|file| remove(&directory.join(file)))
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<(), SandboxError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SandboxError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Replaces a file in one step, so that a reader or a killed process never sees half of it.
fn write(path: &Path, content: &[u8]) -> Result<(), SandboxError> {
    let new = path.with_extension("new");
    fs::write(&new, content).map_err(SandboxError::io("write", &new))?;
    fs::rename(&new, path).map_err(SandboxError::io("write", path))
}

fn create_private_folder(path: &Path) -> Result<(), SandboxError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(SandboxError::io("create", path))
}

/// Writes a file that nobody else may read, not even for a moment.
fn write_private(path: &Path, content: &[u8]) -> Result<(), SandboxError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options
        .open(path)
        .and_then(|mut file| file.write_all(content));
    file.map_err(SandboxError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::{Claim, SandboxError, Store, World, calls, claim, read};
    use std::fs;
    use std::path::Path;
    use tempfile::TempDir;

    fn opened(directory: &Path) -> (Store, World) {
        let Claim::Held(lock) = claim(directory).expect("can be locked") else {
            panic!("is not held by another")
        };
        Store::open(directory, lock, "123456789012").expect("can be read")
    }

    #[test]
    fn what_was_saved_is_read_again() {
        let directory = TempDir::new().expect("can be made");
        let (mut store, mut world) = opened(directory.path());
        world.quotas.insert("L-1".to_owned(), 7);
        world
            .keys
            .0
            .insert("arn:aws:acm:x/1".to_owned(), "SECRET".to_owned());
        let place = crate::sandbox::s3::Place {
            owner: "elb",
            region: "eu-west-1",
            bucket: "b",
            key: "k",
        };
        world.s3.put_internal(&place, 0, b"content");
        store.save(&world).expect("can be written");
        store
            .log("elbv2:CreateListener", 1, 0)
            .expect("can be written");
        drop(store);
        let (_store, world) = opened(directory.path());
        assert_eq!(world.quota("L-1", 1), 7);
        assert_eq!(world.keys.0["arn:aws:acm:x/1"], "SECRET");
        assert_eq!(world.s3.body("b", "k", None), Some(&b"content"[..]));
        assert_eq!(
            calls(directory.path()).expect("can be read"),
            ["elbv2:CreateListener"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn private_keys_are_the_owners_alone_and_not_in_the_state() {
        use std::os::unix::fs::PermissionsExt;
        let directory = TempDir::new().expect("can be made");
        let (mut store, mut world) = opened(directory.path());
        world.keys.0.insert("a".to_owned(), "SECRET".to_owned());
        store.save(&world).expect("can be written");
        let keys = directory.path().join("keys");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&keys.join("a"))), (0o700, 0o600));
        let state = fs::read_to_string(directory.path().join("state.json")).unwrap_or_default();
        assert!(!state.contains("SECRET") && !format!("{world:?}").contains("SECRET"));
        world.keys.0.clear();
        store.save(&world).expect("can be written");
        assert!(!keys.join("a").exists());
    }

    #[test]
    fn a_directory_has_one_server() {
        let directory = TempDir::new().expect("can be made");
        let (_store, _world) = opened(directory.path());
        assert!(matches!(claim(directory.path()), Ok(Claim::Taken)));
    }

    #[test]
    fn damaged_and_foreign_states_are_refused_clearly() {
        let directory = TempDir::new().expect("can be made");
        let refusal = |text: &str| {
            fs::write(directory.path().join("state.json"), text).expect("can be written");
            read(directory.path()).expect_err("is refused").to_string()
        };
        assert!(refusal("{\"version\":1,\"world\":{").contains("is damaged"));
        assert!(refusal("{\"version\":1,\"world\":{}}").contains("missing field"));
        assert!(refusal("{\"version\":99,\"world\":{}}").contains("has format 99"));
        assert!(refusal("[]").contains("has format none"));
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let directory = TempDir::new().expect("can be made");
        fs::write(directory.path().join("thesis.tex"), "x").expect("can be written");
        assert!(matches!(
            claim(directory.path()),
            Err(SandboxError::NotASandbox(_))
        ));
    }
}
