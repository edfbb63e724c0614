//! The models of a home: which version of each market is in service, and the copies in memory that all callers share.
//!
//! `models/{market}/v000012.model` are the versions, `champion.json` says which is in service and why, `ledger.jsonl` beside
//! the markets has every trial and rollback. Changes happen under the lock of `registry.lock`, in this order: the version's
//! file, then `champion.json`, which makes the change happen and holds its line of the ledger, then the ledger. A crash
//! between the last two is made good by the next change.

use super::file;
use super::ledger::{self, Entry, Ledger, Rollback, Trial};
use super::served::{Model, Record};
use super::state::State;
use crate::error::{Error, Result};
use crate::files::lock::{Guard, acquire};
use crate::files::storage::{Disk, Lock, Storage};
use crate::files::{Stamp, UNFINISHED, create_folder, write_atomically};
use crate::symbol::Market;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for another process that changes the registry: far longer than any change takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The model file of the format that had no versions; version 0.
const UNVERSIONED: &str = "champion.model";
/// Which version is in service.
const POINTER: &str = "champion.json";
/// The newest files are kept whatever they are; others go unless they are the champion or one of its predecessors.
const NEWEST_KEPT: usize = 3;

struct Loaded {
    stamp: Stamp,
    model: Result<Arc<Model>>,
}

/// What was in service when a training began to compare.
#[derive(Debug, Clone)]
pub enum Champion {
    /// Nothing yet.
    None,
    /// Something that cannot be read.
    Unusable(Error),
    /// This model.
    Model(Arc<Model>),
}

/// One market of [`Registry::list`].
#[derive(Debug, Clone)]
pub struct Listed {
    /// Name of its folder, `btcusdt_1h`.
    pub stem: String,
    /// File of the model in service.
    pub path: PathBuf,
    /// Its version.
    pub version: u64,
    /// Its record, or why it cannot be used.
    pub record: Result<Record>,
    /// Since when it is in service, UTC epoch ms; `None` where the format without versions did not say.
    pub since_ms: Option<i64>,
    /// Why it is in service.
    pub reason: String,
    /// Versions that it can be rolled back to, oldest first.
    pub predecessors: Vec<u64>,
}

/// The models under `home/models`.
pub struct Registry {
    folder: PathBuf,
    loaded: RwLock<HashMap<Market, Loaded>>,
}

/// One market's state, with the lock held.
struct Locked {
    folder: PathBuf,
    state: State,
    _guard: Guard,
}

impl Registry {
    /// The registry of a folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, loaded: RwLock::default() }
    }

    /// The model in service. What another process put into service is read at the next call; while it cannot be read, the
    /// one in memory stays in service.
    ///
    /// # Errors
    /// [`Error::NoModel`] when there is none, [`Error::ModelFile`] when the file is damaged and nothing is in memory.
    pub fn get(&self, market: &Market) -> Result<Arc<Model>> {
        let folder = self.folder_of(market);
        let pointer = Stamp::of(&folder.join(POINTER))?;
        let stamp = match pointer {
            Some(stamp) => Some(stamp),
            None => Stamp::of(&folder.join(UNVERSIONED))?,
        };
        let Some(stamp) = stamp else {
            self.loaded.write().remove(market);
            return Err(no_model(market));
        };
        if let Some(loaded) = self.loaded.read().get(market).filter(|loaded| loaded.stamp == stamp) {
            return loaded.model.clone();
        }
        let fresh = self.read_champion(market, pointer.is_some());
        let mut all = self.loaded.write();
        let model = match (fresh, all.get(market)) {
            (Err(Error::NoModel { .. }), _) => Err(no_model(market)),
            (Err(_), Some(Loaded { model: Ok(old), .. })) => Ok(old.clone()),
            (fresh, _) => fresh,
        };
        all.insert(market.clone(), Loaded { stamp, model: model.clone() });
        model
    }

    /// The model in service if it is in memory, and nothing need be read or waited for to know so.
    pub fn in_memory(&self, market: &Market) -> Option<Arc<Model>> {
        let folder = self.folder_of(market);
        let stamp = match Stamp::of(&folder.join(POINTER)).ok()? {
            Some(stamp) => stamp,
            None => Stamp::of(&folder.join(UNVERSIONED)).ok()??,
        };
        let loaded = self.loaded.try_read()?;
        loaded.get(market).filter(|loaded| loaded.stamp == stamp)?.model.clone().ok()
    }

    /// What is in service, to compare a challenger with.
    pub fn champion(&self, market: &Market) -> Result<Champion> {
        match self.champion_version(market).and_then(|_| self.get(market)) {
            Ok(model) => Ok(Champion::Model(model)),
            Err(Error::NoModel { .. }) => Ok(Champion::None),
            Err(damaged @ Error::ModelFile { .. }) => Ok(Champion::Unusable(damaged)),
            Err(other) => Err(other),
        }
    }

    /// The version in service.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::ModelFile`] when `champion.json` is damaged.
    pub fn champion_version(&self, market: &Market) -> Result<u64> {
        let folder = self.folder_of(market);
        let version = match State::read(&folder.join(POINTER))? {
            Some(state) => state.champion,
            None => folder.join(UNVERSIONED).is_file().then_some(0),
        };
        version.ok_or_else(|| no_model(market))
    }

    /// Writes a trial down and, if it was decided so, puts its model into service for all callers and processes. Both come
    /// back with their number. `None`, and nothing happens, when another model than `against` is in service by now: the
    /// decision has to be made anew.
    ///
    /// # Errors
    /// [`Error::Io`]; the model in service is the same as before then.
    pub fn submit(
        &self,
        mut model: Model,
        mut trial: Trial,
        against: &Champion,
    ) -> Result<Option<(Arc<Model>, Trial)>> {
        let market = model.record.market.clone();
        let mut locked = self.lock(&market)?;
        let expected = match against {
            Champion::None => None,
            Champion::Unusable(_) => locked.state.champion,
            Champion::Model(model) => Some(model.version()),
        };
        if locked.state.champion != expected {
            return Ok(None);
        }
        let state = &mut locked.state;
        (trial.version, trial.champion) = (state.next, state.champion);
        model.lineage.version = state.next;
        state.next += 1;
        state.trials += 1;
        trial.trial = state.trials;
        if trial.promoted {
            write_atomically(&locked.folder.join(file_name(trial.version)), &file::encode(&model)?)?;
            locked.state.promote(trial.version, trial.at_ms, &trial.reason);
        }
        self.commit(&mut locked, Entry::Training(Box::new(trial.clone())))?;
        let model = Arc::new(model);
        if trial.promoted {
            self.serve(&market, &locked, model.clone())?;
        }
        Ok(Some((model, trial)))
    }

    /// Takes version `from` out of service, in favour of the newest of its predecessors that can be read. `None`, and
    /// nothing happens, when another version is in service by now.
    ///
    /// # Errors
    /// [`Error::NoPredecessor`] when there is none; [`Error::Io`].
    pub fn rollback(
        &self,
        market: &Market,
        from: u64,
        reason: &str,
        automatic: bool,
        at_ms: i64,
    ) -> Result<Option<Rollback>> {
        let mut locked = self.lock(market)?;
        if locked.state.champion != Some(from) {
            return Ok(None);
        }
        let (to, model) = loop {
            let Some(to) = locked.state.predecessors.pop() else {
                return Err(Error::NoPredecessor { market: market.to_string(), version: from });
            };
            if let Ok(model) = file::read(&locked.folder.join(file_name(to)), market, to) {
                break (to, model);
            }
        };
        let rollback = Rollback { at_ms, market: market.clone(), from, to, automatic, reason: reason.to_owned() };
        let state = &mut locked.state;
        state.champion = Some(to);
        (state.since_ms, state.reason) = (at_ms, format!("rolled back from version {from}: {reason}"));
        self.commit(&mut locked, Entry::Rollback(rollback.clone()))?;
        self.serve(market, &locked, Arc::new(model))?;
        Ok(Some(rollback))
    }

    /// Every market that has a model in service; damaged files come as errors.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        for folder in entries(&self.folder)?.into_iter().filter(|path| path.is_dir()) {
            found.extend(list_one(&folder));
        }
        found.sort_by(|a, b| a.stem.cmp(&b.stem));
        Ok(found)
    }

    /// Every trial and rollback of this home.
    pub fn ledger(&self) -> Result<Ledger> {
        ledger::read(&self.ledger_path())
    }

    fn folder_of(&self, market: &Market) -> PathBuf {
        self.folder.join(market.file_stem())
    }

    fn ledger_path(&self) -> PathBuf {
        self.folder.join("ledger.jsonl")
    }

    /// Reads the model in service; one that was replaced and purged meanwhile sends us to its successor.
    fn read_champion(&self, market: &Market, has_versions: bool) -> Result<Arc<Model>> {
        loop {
            let version = self.champion_version(market)?;
            // A refusal changes `champion.json` too, but not what is in service.
            if let Some(Loaded { model: Ok(model), .. }) = self.loaded.read().get(market)
                && has_versions
                && model.version() == version
            {
                return Ok(model.clone());
            }
            let path = self.folder_of(market).join(file_name(version));
            let model = file::read(&path, market, version);
            if model.is_ok() || path.exists() {
                return model.map(Arc::new);
            }
            if self.champion_version(market)? == version {
                return file::refuse(&path, format!("it is missing, though {POINTER} says it is in service"));
            }
        }
    }

    /// Takes the lock, reads the market's state, and writes the line of the ledger that a crash left unwritten.
    fn lock(&self, market: &Market) -> Result<Locked> {
        let folder = self.folder_of(market);
        create_folder(&folder)?;
        let path = self.folder.join("registry.lock");
        let mut handle = Disk.open(&path).map_err(|e| Error::io("open", &path, e))?;
        let guard = acquire(&Disk, &path, &mut handle, Lock::Exclusive, PATIENCE)?;
        let mut state = match State::read(&folder.join(POINTER)) {
            Ok(Some(state)) => state,
            Ok(None) => {
                let champion = folder.join(UNVERSIONED).is_file().then_some(0);
                State { champion, ..self.recovered(market)? }
            }
            // What it said is lost: the versions are still there, but none is known to be good.
            Err(Error::ModelFile { .. }) => self.recovered(market)?,
            Err(other) => return Err(other),
        };
        // A crash may have left the file of a version that was never put into service: its number is not used again.
        let newest = versions(&folder)?.last().copied().unwrap_or(0);
        state.next = state.next.max(newest + 1);
        if let Some(entry) = state.unwritten.take()
            && !self.ledger()?.entries.contains(&entry)
        {
            ledger::append(&self.ledger_path(), &entry)?;
        }
        Ok(Locked { folder, state, _guard: guard })
    }

    /// A state without a champion, counting on from what the ledger knows.
    fn recovered(&self, market: &Market) -> Result<State> {
        let ledger = self.ledger()?;
        let of_market = ledger.entries.iter().filter_map(|entry| match entry {
            Entry::Training(trial) if trial.market == *market => Some(trial.version),
            _ => None,
        });
        let (trials, newest) = of_market.fold((0, 0), |(count, newest), version| (count + 1, version.max(newest)));
        Ok(State { next: newest + 1, trials, ..State::default() })
    }

    /// Makes a change happen and writes it down.
    fn commit(&self, locked: &mut Locked, entry: Entry) -> Result<()> {
        let pointer = locked.folder.join(POINTER);
        locked.state.unwritten = Some(entry.clone());
        locked.state.write(&pointer)?;
        // It has happened. Should the disk be full from here on, the line is safe in `champion.json` and the next change
        // writes it; so that is no failure of this one.
        if ledger::append(&self.ledger_path(), &entry).is_ok() {
            locked.state.unwritten = None;
            let _ = locked.state.write(&pointer);
        }
        purge(locked);
        Ok(())
    }

    /// Hands a model that was just put into service to the callers of this process; the caller holds the lock.
    fn serve(&self, market: &Market, locked: &Locked, model: Arc<Model>) -> Result<()> {
        if let Some(stamp) = Stamp::of(&locked.folder.join(POINTER))? {
            self.loaded.write().insert(market.clone(), Loaded { stamp, model: Ok(model) });
        }
        Ok(())
    }
}

fn no_model(market: &Market) -> Error {
    Error::NoModel { symbol: market.symbol.to_string(), timeframe: market.timeframe.to_string() }
}

/// Sorts by time, as the numbers do.
fn file_name(version: u64) -> String {
    if version == 0 { UNVERSIONED.to_owned() } else { format!("v{version:06}.model") }
}

fn version_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let version = if name == UNVERSIONED { 0 } else { name.strip_prefix('v')?.strip_suffix(".model")?.parse().ok()? };
    (file_name(version) == name).then_some(version)
}

/// What is in a folder, which need not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("read", folder, e);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(failed(e)),
    }
}

/// The versions whose files are there, oldest first.
fn versions(folder: &Path) -> Result<Vec<u64>> {
    let mut found: Vec<u64> = entries(folder)?.iter().filter_map(|path| version_of(path)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Deletes files that nobody will ask for. What cannot be deleted now, as on Windows while it is read, the next purge
/// deletes.
fn purge(locked: &Locked) {
    let (Ok(all), Ok(paths)) = (versions(&locked.folder), entries(&locked.folder)) else { return };
    let newest = &all[all.len().saturating_sub(NEWEST_KEPT)..];
    let state = &locked.state;
    let wanted =
        |version| newest.contains(&version) || state.champion == Some(version) || state.predecessors.contains(&version);
    for path in paths {
        // All who write here hold the lock, so a file half written is a crash's.
        let unfinished =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()));
        if unfinished || version_of(&path).is_some_and(|version| !wanted(version)) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The model in service of the market of this folder; `None` when it has none.
fn list_one(folder: &Path) -> Option<Listed> {
    let stem = folder.file_name()?.to_string_lossy().into_owned();
    let (symbol, timeframe) = stem.rsplit_once('_')?;
    let market = Market::parse(symbol, timeframe).ok()?;
    let state = match State::read(&folder.join(POINTER)) {
        Ok(Some(state)) => state,
        Ok(None) => {
            let champion = folder.join(UNVERSIONED).is_file().then_some(0);
            State { champion, reason: "from before there were versions".to_owned(), ..State::default() }
        }
        Err(error) => {
            let (path, reason) = (folder.join(POINTER), String::new());
            return Some(Listed {
                stem,
                path,
                version: 0,
                record: Err(error),
                since_ms: None,
                reason,
                predecessors: Vec::new(),
            });
        }
    };
    let version = state.champion?;
    let path = folder.join(file_name(version));
    Some(Listed {
        stem,
        record: file::read(&path, &market, version).map(|model| model.record),
        path,
        version,
        since_ms: (state.since_ms > 0).then_some(state.since_ms),
        reason: state.reason,
        predecessors: state.predecessors,
    })
}
