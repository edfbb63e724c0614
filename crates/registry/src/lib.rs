//! The models of a home: which version of each market is in service, and the loaded models that all callers share.
//!
//! It imports `domain`, `storage` and `learning`, and opens no connection. The rules are here. The port for models is
//! [`store::ModelStore`]: it keeps versions, what is in service, and the ledger. Its adapter for files is [`folder`]; the one for
//! a database is in `postgres`.
//!
//! # Example
//! ```
//! use domain::symbol::Market;
//! use registry::Registry;
//!
//! let home = tempfile::tempdir().unwrap();
//! let registry = Registry::new(home.path().join("models"));
//! let market = Market::parse("BTC/USDT", "1h").unwrap();
//! assert_eq!(registry.get(&market).wait().err().map(|error| error.code()), Some("ERR_NO_MODEL"));
//! assert!(registry.list().unwrap().is_empty());
//! ```

mod copy;
pub mod folder;
pub mod pool;
pub mod pool_files;
mod pools;
pub mod state;
pub mod store;

pub use copy::{CopiedModels, RefusedModels};

use domain::answer::Answer;
use domain::error::{Error, Result};
use domain::symbol::Market;
use folder::Folder;
use learning::model::file;
use learning::model::ledger::{Entry, Ledger, Rollback, Trial};
use learning::model::pool::ShapeRecord;
use learning::model::served::{Champion, Model, Record};
use parking_lot::RwLock;
use pool::Pool;
use pools::Pools;
use state::State;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use storage::fence::Fence;
use store::{Change, Checksum, ModelStore, Next, Served, Version, VersionStamp};

/// A loaded pooled model.
type Pooled = learning::model::pool::Pool;

struct Loaded {
    stamp: VersionStamp,
    /// Which model it is, if it is readable.
    served: Option<Served>,
    model: Result<Arc<Model>>,
}

/// One market of [`Registry::list`].
#[derive(Debug, Clone)]
pub struct Listed {
    /// Name of its folder, `btcusdt_1h`.
    pub stem: String,
    /// File of the model in service, or its place in a database.
    pub path: PathBuf,
    /// Its version.
    pub version: u64,
    /// Its record, or the error if it cannot be used.
    pub record: Result<Record>,
    /// Signal shapes that it knows besides the configured one, most frequent first.
    pub shapes: Vec<ShapeRecord>,
    /// Since when it has been in service, UTC epoch ms; `None` if the former format without versions did not record it.
    pub since_ms: Option<i64>,
    /// Why it is in service.
    pub reason: String,
    /// Versions that it can be rolled back to, oldest first.
    pub predecessors: Vec<u64>,
}

/// The models under `home/models`, or in a database.
///
/// It has more than 25 methods because promotion, rollback and reading follow one set of rules about what serves.
pub struct Registry {
    store: Box<dyn ModelStore>,
    loaded: RwLock<HashMap<Market, Loaded>>,
    pools: Pools<Pooled>,
}

impl Registry {
    /// The registry of a folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self::on(Box::new(Folder::new(folder)))
    }

    /// The store of the models.
    pub fn store(&self) -> &dyn ModelStore {
        &*self.store
    }

    /// The registry of the models in `store`.
    pub fn on(store: Box<dyn ModelStore>) -> Self {
        Self { store, loaded: RwLock::default(), pools: Pools::default() }
    }

    /// The model in service. If another process promoted a model, the next call reads it; while that is unreadable, the loaded
    /// one stays in service. With a database, this happens when its notification arrives, within a second.
    ///
    /// # Errors
    /// [`Error::NoModel`] if there is none; [`Error::ModelFile`] if the file is damaged and no model is loaded; [`Error::Storage`]
    /// if a database is unreachable and nothing is known of the market.
    pub fn get<'a>(
        &'a self,
        market: &'a Market,
    ) -> Answer<Result<Arc<Model>>, impl FnOnce() -> Result<Arc<Model>> + 'a> {
        let stamp = self.store.stamp(market).ready().and_then(Result::ok).flatten();
        match stamp.and_then(|stamp| self.loaded_at(market, stamp)) {
            Some(model) => Answer::Ready(model),
            None => Answer::Pending(move || self.read_served(market)),
        }
    }

    /// Whether [`Self::get`] knows the model in service at once, or no model is known.
    pub fn has_read(&self, market: &Market) -> bool {
        match self.store.stamp(market).ready() {
            Some(Ok(Some(stamp))) => self.loaded_at(market, stamp).is_some(),
            _ => true,
        }
    }

    /// The model in service, to compare a challenger with. Never an older one that [`Self::get`] serves while this one is
    /// unreadable.
    pub fn champion(&self, market: &Market) -> Result<Champion> {
        let version = match self.champion_version(market) {
            Ok(version) => version,
            Err(Error::NoModel { .. }) => return Ok(Champion::None),
            Err(error @ Error::ModelFile { .. }) => return Ok(Champion::Unusable { version: None, error }),
            Err(other) => return Err(other),
        };
        let model = match self.get(market).wait() {
            Ok(other) if other.version() != version => match self.read(market, version) {
                Ok(Some(model)) => Ok(Arc::new(model)),
                Ok(None) => self.missing(market, version),
                Err(error) => Err(error),
            },
            model => model,
        };
        match model {
            Ok(model) => Ok(Champion::Model(model)),
            Err(Error::NoModel { .. }) => Ok(Champion::None),
            Err(error @ Error::ModelFile { .. }) => Ok(Champion::Unusable { version: Some(version), error }),
            Err(other) => Err(other),
        }
    }

    /// The version in service, whoever promoted it.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::ModelFile`] if `champion.json` is damaged; [`Error::Storage`] if a database does not answer.
    pub fn champion_version(&self, market: &Market) -> Result<u64> {
        self.store.refresh()?;
        let served = match self.store.stamp(market).wait()? {
            Some(stamp) => self.store.served(market, &stamp)?,
            None => None,
        };
        served.map(|served| served.version).ok_or_else(|| no_model(market))
    }

    /// Records a trial and, if it was decided so, promotes its model for all callers and processes. Returns both with their
    /// number. `None`, without any change, if another model than `against` is in service by now: then the decision must be made
    /// again. With a `fence`, only its holder may do this.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Storage`], [`Error::LeaseLost`]. Then the model in service is unchanged, unless the message of
    /// [`Error::Storage`] says that it may have changed.
    pub fn submit(
        &self,
        mut model: Model,
        mut trial: Trial,
        against: &Champion,
        fence: Option<&Fence>,
    ) -> Result<Option<(Arc<Model>, Trial)>> {
        let market = model.record.market.clone();
        let change = self.store.change(&market)?;
        let mut state = self.state_to_change(&market, &*change)?;
        let expected = match against {
            Champion::None => None,
            Champion::Unusable { version, .. } => *version,
            Champion::Model(model) => Some(model.version()),
        };
        // A damaged state file never blocks a submission; otherwise the market could not recover.
        if state.champion != expected && change.state().is_ok() {
            return Ok(None);
        }
        (trial.version, trial.champion) = (state.next, state.champion);
        model.lineage.version = state.next;
        state.next += 1;
        state.trials += 1;
        trial.trial = state.trials;
        let (mut versions, mut pools) = (Vec::new(), Vec::new());
        if trial.promoted {
            let pool = Pool::of(model.pool.encode()?);
            model.record.pool = Some(pool::hex(pool.checksum()));
            model.pool = self.pools.keep(pool.checksum(), model.pool);
            pools.push(pool);
            versions.push(Version::of(trial.version, file::encode(&model)?)?);
            state.promote(trial.version, trial.at_ms, &trial.reason, trial.decision.compares());
        }
        let entries = vec![Entry::Training(Box::new(trial.clone()))];
        let Some(stamp) = change.commit(Next { state, versions, pools, entries, fence: fence.cloned() })? else {
            return Ok(None);
        };
        let model = Arc::new(model);
        if trial.promoted {
            self.serve(&market, stamp, model.clone());
        }
        Ok(Some((model, trial)))
    }

    /// Replaces version `from` by the newest of its predecessors that is readable. `None`, without any change, if another version
    /// is in service by now, or something else changed meanwhile. With a `fence`, only its holder may do this.
    ///
    /// # Errors
    /// [`Error::NoPredecessor`] if there is none; [`Error::ModelFile`] if the predecessors are unknown; otherwise as
    /// [`Self::submit`].
    pub fn rollback(
        &self,
        market: &Market,
        from: u64,
        reason: &str,
        automatic: bool,
        at_ms: i64,
        fence: Option<&Fence>,
    ) -> Result<Option<Rollback>> {
        let rollback = Rollback { at_ms, market: market.clone(), from, to: 0, automatic, reason: reason.to_owned() };
        self.take_back(rollback, |_| true, fence)
    }

    /// [`Self::rollback`] because of live results, to a version that was in service before version `run`, since when results were
    /// worse than predicted.
    ///
    /// # Errors
    /// As [`Self::rollback`].
    pub fn rollback_before(
        &self,
        market: &Market,
        from: u64,
        run: u64,
        reason: &str,
        at_ms: i64,
    ) -> Result<Option<Rollback>> {
        let rollback =
            Rollback { at_ms, market: market.clone(), from, to: 0, automatic: true, reason: reason.to_owned() };
        self.take_back(rollback, |version| version < run, None)
    }

    /// The version in service, and the time from which live results count for it and its predecessors, UTC epoch ms.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::ModelFile`] if the version in service is unknown; [`Error::Storage`].
    pub fn weighed_since(&self, market: &Market) -> Result<(u64, i64)> {
        let state = self.store.state(market)?.unwrap_or_default();
        state.champion.map(|version| (version, state.weighed_since_ms())).ok_or_else(|| no_model(market))
    }

    /// Restarts the evaluation of live results at `at_ms`, if version `champion` is still in service: the earlier results have
    /// had their full effect.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Storage`].
    pub fn weigh_anew(&self, market: &Market, champion: u64, at_ms: i64) -> Result<()> {
        let change = self.store.change(market)?;
        let mut state = self.state_to_change(market, &*change)?;
        if state.champion == Some(champion) {
            state.weighed_since_ms = Some(at_ms);
            change.commit(Next::of(state, Vec::new()))?;
        }
        Ok(())
    }

    /// Rolls back to the newest predecessor that `may_serve`, and returns it.
    fn take_back(
        &self,
        mut rollback: Rollback,
        may_serve: impl Fn(u64) -> bool,
        fence: Option<&Fence>,
    ) -> Result<Option<Rollback>> {
        let market = rollback.market.clone();
        let change = self.store.change(&market)?;
        // If the state is damaged, predecessors are unknown.
        change.state()?;
        let mut state = self.state_to_change(&market, &*change)?;
        if state.champion != Some(rollback.from) {
            return Ok(None);
        }
        let model = loop {
            let Some(to) = state.predecessors.pop() else {
                return Err(Error::NoPredecessor { market: market.to_string(), version: rollback.from });
            };
            if !may_serve(to) {
                continue;
            }
            rollback.to = to;
            match self.read(&market, to) {
                Ok(Some(model)) => break model,
                // It exists, but is unreachable now.
                Err(error) if is_passing(&error) => return Err(error),
                Ok(None) | Err(_) => {}
            }
        };
        state.champion = Some(rollback.to);
        state.since_ms = rollback.at_ms;
        state.reason = format!("rolled back from version {}: {}", rollback.from, rollback.reason);
        state.weighed_since_ms = Some(rollback.at_ms);
        let entries = vec![Entry::Rollback(rollback.clone())];
        let next = Next { fence: fence.cloned(), ..Next::of(state, entries) };
        let Some(stamp) = change.commit(next)? else { return Ok(None) };
        self.serve(&market, stamp, Arc::new(model));
        Ok(Some(rollback))
    }

    /// Every market that has a model in service, with an error for damaged files.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let states = self.store.states()?;
        // Keeps each pooled model loaded while its markets are read, so that it is read only once.
        let mut pools = Vec::new();
        Ok(states.into_iter().filter_map(|(market, state)| self.list_one(&market, state, &mut pools)).collect())
    }

    /// Every trial and rollback.
    pub fn ledger(&self) -> Result<Ledger> {
        self.store.ledger()
    }

    /// A number that changes with what is in service and with the ledger, as far as known without asking a database.
    pub fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// Why models may be outdated: their database is unreachable. `None` for a folder.
    pub fn trouble(&self) -> Option<String> {
        self.store.trouble()
    }

    /// Ends background work. Loaded models stay; a database is not asked any more.
    pub fn close(&self) {
        self.store.close();
    }

    /// Reads the model in service; if it was replaced and purged meanwhile, reads its successor.
    fn loaded_at(&self, market: &Market, stamp: VersionStamp) -> Option<Result<Arc<Model>>> {
        let loaded = self.loaded.try_read()?;
        loaded.get(market).filter(|loaded| loaded.stamp == stamp).map(|loaded| loaded.model.clone())
    }

    fn read_served(&self, market: &Market) -> Result<Arc<Model>> {
        let Some(stamp) = self.store.stamp(market).wait()? else {
            self.loaded.write().remove(market);
            return Err(no_model(market));
        };
        if let Some(loaded) = self.loaded.read().get(market).filter(|loaded| loaded.stamp == stamp) {
            return loaded.model.clone();
        }
        let fresh = self.read_champion(market, stamp);
        let mut all = self.loaded.write();
        let loaded = match (fresh, all.get(market)) {
            (Ok((served, model)), _) => Loaded { stamp, served: Some(served), model: Ok(model) },
            (Err(Error::NoModel { .. }), _) => Loaded { stamp, served: None, model: Err(no_model(market)) },
            // It may be within reach again at any moment.
            (Err(error), Some(Loaded { model: Ok(old), .. })) if is_passing(&error) => return Ok(old.clone()),
            (Err(error), _) if is_passing(&error) => return Err(error),
            (Err(_), Some(Loaded { model: Ok(old), served, .. })) => {
                Loaded { stamp, served: *served, model: Ok(old.clone()) }
            }
            (Err(error), _) => Loaded { stamp, served: None, model: Err(error) },
        };
        let model = loaded.model.clone();
        all.insert(market.clone(), loaded);
        model
    }

    /// Reads the model in service; one that was replaced and purged meanwhile sends us to its successor.
    fn read_champion(&self, market: &Market, stamp: VersionStamp) -> Result<(Served, Arc<Model>)> {
        let mut served = self.store.served(market, &stamp)?.ok_or_else(|| no_model(market))?;
        loop {
            // A rejected trial changes the stamp, but not the model in service. A file without a version may have been replaced.
            if let Some(Loaded { model: Ok(model), served: Some(loaded), .. }) = self.loaded.read().get(market)
                && served.version > 0
                && *loaded == served
            {
                return Ok((served, model.clone()));
            }
            if let Some(model) = self.read(market, served.version)? {
                return Ok((served, Arc::new(model)));
            }
            self.store.refresh()?;
            let stamp = self.store.stamp(market).wait()?.ok_or_else(|| no_model(market))?;
            let now = self.store.served(market, &stamp)?.ok_or_else(|| no_model(market))?;
            if now == served {
                return self.missing(market, served.version);
            }
            served = now;
        }
    }

    /// A version; `None` if it does not exist.
    fn read(&self, market: &Market, version: u64) -> Result<Option<Model>> {
        let Some(bytes) = self.store.bytes(market, version)? else { return Ok(None) };
        let path = self.store.path(market, Some(version));
        let rests_on = pool::of_version(&bytes[..]).or_else(|e| file::refuse(&path, e.to_string()))?;
        let pooled = match rests_on {
            None => None,
            Some(pool) => match self.pooled(market, version, &pool)? {
                None => return Ok(None),
                pooled => pooled,
            },
        };
        file::decode(&bytes, &path, market, version, pooled).map(Some)
    }

    /// The pooled model that a version needs; `None` if the version no longer exists.
    pub fn pooled(&self, market: &Market, version: u64, pool: &Checksum) -> Result<Option<Arc<Pooled>>> {
        let read =
            || self.store.pool(pool)?.map(|bytes| Pooled::decode(&bytes, &self.store.pool_path(pool))).transpose();
        let pooled = self.pools.get(pool, read)?;
        // Both were purged meanwhile, the version first.
        if pooled.is_some() || self.store.bytes(market, version)?.is_none() {
            return Ok(pooled);
        }
        let problem = format!("it is missing, though version {version} of {market} needs it");
        file::refuse(&self.store.pool_path(pool), problem)
    }

    /// The error for a version in service that does not exist.
    fn missing<T>(&self, market: &Market, version: u64) -> Result<T> {
        let problem = "it is missing, though it is in service".to_owned();
        file::refuse(&self.store.path(market, Some(version)), problem)
    }

    /// The state of a market to change, with its counters above all numbers ever used.
    pub fn state_to_change(&self, market: &Market, change: &dyn Change) -> Result<State> {
        let mut state = match change.state() {
            Ok(state) => state.unwrap_or_default(),
            // The state is lost: the versions still exist, but none is known to be good.
            Err(Error::ModelFile { .. }) => State::default(),
            Err(other) => return Err(other),
        };
        if state.next == 0 {
            let ledger = self.store.ledger()?;
            let of_market = ledger.entries.iter().filter_map(|entry| match entry {
                Entry::Training(trial) if trial.market == *market => Some(trial.version),
                _ => None,
            });
            let (trials, newest) = of_market.fold((0, 0), |(count, newest), version| (count + 1, version.max(newest)));
            (state.trials, state.next) = (trials, newest + 1);
        }
        // A crash may have left a version that never went into service; its number is not used again.
        let newest = change.versions()?.last().copied().unwrap_or(0);
        state.next = state.next.max(newest + 1);
        Ok(state)
    }

    /// Passes a newly promoted model to the callers of this process.
    fn serve(&self, market: &Market, stamp: VersionStamp, model: Arc<Model>) {
        let served = self.store.served(market, &stamp).ok().flatten().filter(|now| now.version == model.version());
        if served.is_some() {
            self.loaded.write().insert(market.clone(), Loaded { stamp, served, model: Ok(model) });
        }
    }

    /// The model in service of a market; `None` if it has none.
    fn list_one(&self, market: &Market, state: Result<State>, pools: &mut Vec<Arc<Pooled>>) -> Option<Listed> {
        let stem = market.file_stem();
        let state = match state {
            Ok(state) => state,
            Err(error) => {
                return Some(Listed {
                    stem,
                    path: self.store.path(market, None),
                    version: 0,
                    record: Err(error),
                    shapes: Vec::new(),
                    since_ms: None,
                    reason: String::new(),
                    predecessors: Vec::new(),
                });
            }
        };
        let version = state.champion?;
        let path = self.store.path(market, Some(version));
        let mut shapes = Vec::new();
        let record = match self.read(market, version) {
            Ok(Some(model)) => {
                shapes.extend(model.pool.shapes.iter().map(|shaped| shaped.record));
                pools.push(model.pool);
                Ok(model.record)
            }
            Ok(None) => self.missing(market, version),
            Err(error) => Err(error),
        };
        Some(Listed {
            stem,
            record,
            shapes,
            path,
            version,
            since_ms: (state.since_ms > 0).then_some(state.since_ms),
            reason: state.reason,
            predecessors: state.predecessors,
        })
    }
}

/// Whether the error says nothing about the model, only that a database did not answer.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Storage { .. } | Error::Busy { .. } | Error::Closed)
}

fn no_model(market: &Market) -> Error {
    Error::NoModel { symbol: market.symbol.to_string(), timeframe: market.timeframe.to_string() }
}
