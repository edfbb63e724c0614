//! Models as files in a home.
//!
//! `models/{market}/v000012.model` are the versions; `champion.json` says which one is in service, and why. Beside the markets,
//! `ledger.jsonl` has every trial and rollback, and `pools/` the pooled models that versions of several markets need. Changes
//! happen under the lock of `registry.lock`, in this order: the pooled model; the version's file; `champion.json`, which makes
//! the change effective and contains its ledger line; the ledger. After a crash between the last two, the next change writes the
//! line. Changes also delete pooled models that no version needs.

use super::pool_files::PoolFiles;
use super::store::{Change, Checksum, ModelStore, Next, Served, StampAnswer, Version, VersionStamp, superfluous};
use crate::state::State;
use domain::answer::Answer;
use domain::error::{Error, Resource, Result};
use domain::symbol::Market;
use learning::model::file;
use learning::model::ledger::{self, Ledger};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::disk::Lock;
use storage::lock::{FileLock, Guard};
use storage::{Stamp, UNFINISHED, create_folder, write_atomically};

/// How long to wait for another process that changes the registry: far longer than a change takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The model file of the former format without versions; it counts as version 0.
const UNVERSIONED: &str = "champion.model";
/// The file that says which version is in service.
const POINTER: &str = "champion.json";

/// The store of models in a folder.
pub(super) struct Folder {
    folder: PathBuf,
    pools: PoolFiles,
}

impl Folder {
    /// Two looks at the disk at most, without reading a file.
    fn stamp_of_files(&self, market: &Market) -> Result<Option<VersionStamp>> {
        let folder = self.of(market);
        let stamp = match Stamp::of(&folder.join(POINTER))? {
            Some(stamp) => Some(stamp),
            None => Stamp::of(&folder.join(UNVERSIONED))?,
        };
        Ok(stamp.map(VersionStamp::File))
    }

    pub fn new(folder: PathBuf) -> Self {
        Self { pools: PoolFiles::new(folder.clone()), folder }
    }

    fn of(&self, market: &Market) -> PathBuf {
        self.folder.join(market.file_stem())
    }

    fn ledger_path(&self) -> PathBuf {
        self.folder.join("ledger.jsonl")
    }
}

impl ModelStore for Folder {
    fn stamp<'a>(&'a self, market: &'a Market) -> StampAnswer<'a> {
        Answer::Ready(self.stamp_of_files(market))
    }

    /// Nothing to do: stamps are read from the files each time.
    fn refresh(&self) -> Result<()> {
        Ok(())
    }

    fn served(&self, market: &Market, _stamp: &VersionStamp) -> Result<Option<Served>> {
        let champion = self.state(market)?.and_then(|state| state.champion);
        Ok(champion.map(|version| Served { version, checksum: None, pool: None }))
    }

    fn path(&self, market: &Market, version: Option<u64>) -> PathBuf {
        self.of(market).join(version.map_or_else(|| POINTER.to_owned(), file_name))
    }

    fn bytes(&self, market: &Market, version: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path(market, Some(version));
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    fn pool(&self, checksum: &Checksum) -> Result<Option<Vec<u8>>> {
        self.pools.read(checksum)
    }

    fn has_pool(&self, checksum: &Checksum) -> Result<bool> {
        self.pools.has(checksum)
    }

    fn pool_path(&self, checksum: &Checksum) -> PathBuf {
        self.pools.path(checksum)
    }

    fn state(&self, market: &Market) -> Result<Option<State>> {
        let folder = self.of(market);
        let from_before =
            || State { champion: Some(0), reason: "from before there were versions".to_owned(), ..State::default() };
        Ok(State::read(&folder.join(POINTER))?.or_else(|| folder.join(UNVERSIONED).is_file().then(from_before)))
    }

    fn states(&self) -> Result<Vec<(Market, Result<State>)>> {
        let mut found = Vec::new();
        for folder in entries(&self.folder)?.into_iter().filter(|path| path.is_dir()) {
            let name = folder.file_name().and_then(|name| name.to_str());
            if let Some(market) = name.and_then(Market::from_file_stem)
                && let Some(state) = self.state(&market).transpose()
            {
                found.push((market, state));
            }
        }
        found.sort_by_key(|(market, _)| market.file_stem());
        Ok(found)
    }

    fn ledger(&self) -> Result<Ledger> {
        ledger::read(&self.ledger_path())
    }

    /// Takes the lock, and writes the ledger line that a crash left unwritten.
    fn change<'a>(&'a self, market: &Market) -> Result<Box<dyn Change + 'a>> {
        let folder = self.of(market);
        create_folder(&folder)?;
        let path = self.folder.join("registry.lock");
        let guard = FileLock::acquire(Resource::ModelRegistry, &path, Lock::Exclusive, PATIENCE)?;
        let mut state = self.state(market);
        if let Ok(Some(state)) = &mut state
            && let Some(entry) = state.unwritten.take()
            && !self.ledger()?.entries.contains(&entry)
        {
            ledger::append(&self.ledger_path(), &entry)?;
        }
        Ok(Box::new(Locked { store: self, folder, state, _guard: guard }))
    }

    fn revision(&self) -> u64 {
        // Unreadable folders count as empty here; reading them reports the error.
        let mut files: Vec<PathBuf> = entries(&self.folder).unwrap_or_default();
        files.iter_mut().for_each(|folder| folder.push(POINTER));
        files.push(self.ledger_path());
        files.sort();
        let mut hasher = DefaultHasher::new();
        for file in files {
            if let Ok(Some(stamp)) = Stamp::of(&file) {
                (file, stamp).hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

/// A market whose lock is held.
struct Locked<'a> {
    store: &'a Folder,
    folder: PathBuf,
    state: Result<Option<State>>,
    _guard: Guard,
}

impl Change for Locked<'_> {
    fn state(&self) -> Result<Option<State>> {
        self.state.clone()
    }

    fn versions(&self) -> Result<Vec<u64>> {
        versions(&self.folder)
    }

    fn commit(self: Box<Self>, next: Next) -> Result<Option<VersionStamp>> {
        let stamp = self.write(next);
        // Also after a failure, since the pooled model written for it would waste space.
        self.store.pools.purge();
        stamp
    }
}

impl Locked<'_> {
    fn write(&self, next: Next) -> Result<Option<VersionStamp>> {
        if next.fence.is_some() {
            return Err(Error::Internal("a folder of models has no leases, only locks".to_owned()));
        }
        for pool in &next.pools {
            self.store.pools.keep(pool)?;
        }
        for version in &next.versions {
            self.write_version(version, &next)?;
        }
        let Next { mut state, mut entries, .. } = next;
        let (pointer, ledger) = (self.folder.join(POINTER), self.store.ledger_path());
        state.unwritten = entries.pop();
        for earlier in entries {
            ledger::append(&ledger, &earlier)?;
        }
        state.write(&pointer)?;
        // The change is effective now. If the disk is full from here on, the line is still in `champion.json`, and the next
        // change writes it; so this is not an error.
        if let Some(entry) = &state.unwritten
            && ledger::append(&ledger, entry).is_ok()
        {
            state.unwritten = None;
            let _ = state.write(&pointer);
        }
        purge(&self.folder, &state);
        Ok(Stamp::of(&pointer)?.map(VersionStamp::File))
    }

    /// Writes a version, if the pooled model that it needs exists.
    fn write_version(&self, version: &Version, next: &Next) -> Result<()> {
        if let Some(pool) = &version.pool
            && !next.brings(pool)
            && !self.store.pools.has(pool)?
        {
            let problem = format!("it is missing, but version {} needs it", version.number);
            return file::refuse(&self.store.pools.path(pool), problem);
        }
        write_atomically(&self.folder.join(file_name(version.number)), &version.bytes)
    }
}

/// Names in the order of version numbers.
pub fn file_name(version: u64) -> String {
    if version == 0 { UNVERSIONED.to_owned() } else { format!("v{version:06}.model") }
}

pub(super) fn version_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let version = if name == UNVERSIONED { 0 } else { name.strip_prefix('v')?.strip_suffix(".model")?.parse().ok()? };
    (file_name(version) == name).then_some(version)
}

/// The entries of a folder, which need not exist.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("read", folder, e);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(failed(e)),
    }
}

/// The versions that have a file, oldest first.
fn versions(folder: &Path) -> Result<Vec<u64>> {
    let mut found: Vec<u64> = entries(folder)?.iter().filter_map(|path| version_of(path)).collect();
    found.sort();
    Ok(found)
}

/// Deletes files that are no longer needed. A file that cannot be deleted now, as on Windows while it is read, is deleted by the
/// next purge.
fn purge(folder: &Path, state: &State) {
    let (Ok(all), Ok(paths)) = (versions(folder), entries(folder)) else { return };
    let unwanted = superfluous(state, &all);
    for path in paths {
        // All writers hold the lock, so an unfinished file was left by a crash.
        let unfinished =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()));
        if unfinished || version_of(&path).is_some_and(|version| unwanted.contains(&version)) {
            let _ = std::fs::remove_file(path);
        }
    }
}
