//! The models of a home: which version of each market is in service, and the copies in memory that all callers share.
//!
//! The rules are here; [`shelf`] is the seam to where versions, what is in service and the ledger are kept: [`folder`] in the
//! files of a home, `table` in a database that several machines share.

mod copy;
pub mod folder;
pub mod pool;
pub mod pool_files;
mod pools;
pub mod shelf;
pub mod state;

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
use shelf::{Change, Checksum, Mark, Next, Served, Shelf, Version};
use state::State;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use storage::fence::Fence;

/// A pooled model in memory.
type Pooled = learning::model::pool::Pool;

struct Loaded {
    mark: Mark,
    /// Which model it is, where it is one that can be read.
    served: Option<Served>,
    model: Result<Arc<Model>>,
}

/// One market of [`Registry::list`].
#[derive(Debug, Clone)]
pub struct Listed {
    /// Name of its folder, `btcusdt_1h`.
    pub stem: String,
    /// File of the model in service, or where in a database it is.
    pub path: PathBuf,
    /// Its version.
    pub version: u64,
    /// Its record, or why it cannot be used.
    pub record: Result<Record>,
    /// The shapes beside the configured one that it knows, most frequent first.
    pub shapes: Vec<ShapeRecord>,
    /// Since when it is in service, UTC epoch ms; `None` where the format without versions did not say.
    pub since_ms: Option<i64>,
    /// Why it is in service.
    pub reason: String,
    /// Versions that it can be rolled back to, oldest first.
    pub predecessors: Vec<u64>,
}

/// The models under `home/models`, or in a database.
pub struct Registry {
    shelf: Box<dyn Shelf>,
    loaded: RwLock<HashMap<Market, Loaded>>,
    pools: Pools<Pooled>,
}

impl Registry {
    /// The registry of a folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self::on(Box::new(Folder::new(folder)))
    }

    /// Where the models are kept.
    pub fn shelf(&self) -> &dyn Shelf {
        &*self.shelf
    }

    /// The registry of models that are kept on `shelf`.
    pub fn on(shelf: Box<dyn Shelf>) -> Self {
        Self { shelf, loaded: RwLock::default(), pools: Pools::default() }
    }

    /// The model in service. What another process put into service is read at the next call; while it cannot be read, the
    /// one in memory stays in service. In a database, the next call after news of it have come: within a second. Known at once
    /// while it is in memory and nothing tells of another.
    ///
    /// # Errors
    /// [`Error::NoModel`] when there is none, [`Error::ModelFile`] when the file is damaged and nothing is in memory;
    /// [`Error::Storage`] when a database is out of reach and nothing is known of it.
    pub fn get<'a>(
        &'a self,
        market: &'a Market,
    ) -> Answer<Result<Arc<Model>>, impl FnOnce() -> Result<Arc<Model>> + 'a> {
        let mark = self.shelf.mark(market).ready().and_then(Result::ok).flatten();
        match mark.and_then(|mark| self.loaded_at(market, mark)) {
            Some(model) => Answer::Ready(model),
            None => Answer::Pending(move || self.read_served(market)),
        }
    }

    /// Whether [`Self::get`] knows the model in service at once, or no model is known.
    pub fn has_read(&self, market: &Market) -> bool {
        match self.shelf.mark(market).ready() {
            Some(Ok(Some(mark))) => self.loaded_at(market, mark).is_some(),
            _ => true,
        }
    }

    /// What is in service, to compare a challenger with: never what [`Self::get`] serves in its place while it cannot be read.
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

    /// The version in service, whoever put it there.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::ModelFile`] when `champion.json` is damaged; [`Error::Storage`] when a database does not
    /// answer.
    pub fn champion_version(&self, market: &Market) -> Result<u64> {
        self.shelf.refresh()?;
        let served = match self.shelf.mark(market).wait()? {
            Some(mark) => self.shelf.served(market, &mark)?,
            None => None,
        };
        served.map(|served| served.version).ok_or_else(|| no_model(market))
    }

    /// Writes a trial down and, if it was decided so, puts its model into service for all callers and processes. Both come
    /// back with their number. `None`, and nothing happens, when another model than `against` is in service by now: the
    /// decision has to be made anew. With a `fence`, only its holder may do so.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Storage`], [`Error::LeaseLost`]; the model in service is the same as before then, unless an
    /// [`Error::Storage`] says that it may be another.
    pub fn submit(
        &self,
        mut model: Model,
        mut trial: Trial,
        against: &Champion,
        fence: Option<&Fence>,
    ) -> Result<Option<(Arc<Model>, Trial)>> {
        let market = model.record.market.clone();
        let change = self.shelf.change(&market)?;
        let mut state = self.state_to_change(&market, &*change)?;
        let expected = match against {
            Champion::None => None,
            Champion::Unusable { version, .. } => *version,
            Champion::Model(model) => Some(model.version()),
        };
        // What is lost stands against nothing, or nobody could ever put it right.
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
        let Some(mark) = change.commit(Next { state, versions, pools, entries, fence: fence.cloned() })? else {
            return Ok(None);
        };
        let model = Arc::new(model);
        if trial.promoted {
            self.serve(&market, mark, model.clone());
        }
        Ok(Some((model, trial)))
    }

    /// Takes version `from` out of service, in favour of the newest of its predecessors that can be read. `None`, and
    /// nothing happens, when another version is in service by now, or somebody else changed something meanwhile. With a
    /// `fence`, only its holder may do so.
    ///
    /// # Errors
    /// [`Error::NoPredecessor`] when there is none; [`Error::ModelFile`] when it cannot be told which there are; as
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

    /// [`Self::rollback`] by live results, to a version that was in service before version `run` was: from that one on
    /// promises were broken.
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

    /// The version in service, and from when on live outcomes say something of it and of those that led to it, UTC epoch ms.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::ModelFile`] when it cannot be told which is in service; [`Error::Storage`].
    pub fn weighed_since(&self, market: &Market) -> Result<(u64, i64)> {
        let state = self.shelf.state(market)?.unwrap_or_default();
        state.champion.map(|version| (version, state.weighed_since_ms())).ok_or_else(|| no_model(market))
    }

    /// Begins to weigh live outcomes anew, at `at_ms`, while version `champion` is in service: what they said led to all that
    /// it can lead to.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Storage`].
    pub fn weigh_anew(&self, market: &Market, champion: u64, at_ms: i64) -> Result<()> {
        let change = self.shelf.change(market)?;
        let mut state = self.state_to_change(market, &*change)?;
        if state.champion == Some(champion) {
            state.weighed_since_ms = Some(at_ms);
            change.commit(Next::of(state, Vec::new()))?;
        }
        Ok(())
    }

    /// Carries out a rollback to the newest predecessor that `may_serve`, and says which that is.
    fn take_back(
        &self,
        mut rollback: Rollback,
        may_serve: impl Fn(u64) -> bool,
        fence: Option<&Fence>,
    ) -> Result<Option<Rollback>> {
        let market = rollback.market.clone();
        let change = self.shelf.change(&market)?;
        // Where what it said is lost, nothing is known that could be gone back to.
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
                // It is there, only out of reach.
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
        let Some(mark) = change.commit(next)? else { return Ok(None) };
        self.serve(&market, mark, Arc::new(model));
        Ok(Some(rollback))
    }

    /// Every market that has a model in service; damaged files come as errors.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let states = self.shelf.states()?;
        // A pooled model stays in memory while the markets that rest on it are read: it is read once.
        let mut pools = Vec::new();
        Ok(states.into_iter().filter_map(|(market, state)| self.list_one(&market, state, &mut pools)).collect())
    }

    /// Every trial and rollback.
    pub fn ledger(&self) -> Result<Ledger> {
        self.shelf.ledger()
    }

    /// A number that changes with what is in service and with the ledger, as far as is known without asking a database.
    pub fn revision(&self) -> u64 {
        self.shelf.revision()
    }

    /// Why models may be out of date: the database that they are in is out of reach. `None` for a folder.
    pub fn trouble(&self) -> Option<String> {
        self.shelf.trouble()
    }

    /// Ends what goes on in the background. What is in memory stays there; a database is asked no more.
    pub fn close(&self) {
        self.shelf.close();
    }

    /// What is in memory of a market if it has this mark, and if that can be told without waiting.
    fn loaded_at(&self, market: &Market, mark: Mark) -> Option<Result<Arc<Model>>> {
        let loaded = self.loaded.try_read()?;
        loaded.get(market).filter(|loaded| loaded.mark == mark).map(|loaded| loaded.model.clone())
    }

    fn read_served(&self, market: &Market) -> Result<Arc<Model>> {
        let Some(mark) = self.shelf.mark(market).wait()? else {
            self.loaded.write().remove(market);
            return Err(no_model(market));
        };
        if let Some(loaded) = self.loaded.read().get(market).filter(|loaded| loaded.mark == mark) {
            return loaded.model.clone();
        }
        let fresh = self.read_champion(market, mark);
        let mut all = self.loaded.write();
        let loaded = match (fresh, all.get(market)) {
            (Ok((served, model)), _) => Loaded { mark, served: Some(served), model: Ok(model) },
            (Err(Error::NoModel { .. }), _) => Loaded { mark, served: None, model: Err(no_model(market)) },
            // It may be within reach again at any moment.
            (Err(error), Some(Loaded { model: Ok(old), .. })) if is_passing(&error) => return Ok(old.clone()),
            (Err(error), _) if is_passing(&error) => return Err(error),
            (Err(_), Some(Loaded { model: Ok(old), served, .. })) => {
                Loaded { mark, served: *served, model: Ok(old.clone()) }
            }
            (Err(error), _) => Loaded { mark, served: None, model: Err(error) },
        };
        let model = loaded.model.clone();
        all.insert(market.clone(), loaded);
        model
    }

    /// Reads the model in service; one that was replaced and purged meanwhile sends us to its successor.
    fn read_champion(&self, market: &Market, mark: Mark) -> Result<(Served, Arc<Model>)> {
        let mut served = self.shelf.served(market, &mark)?.ok_or_else(|| no_model(market))?;
        loop {
            // A refusal changes the mark too, but not what is in service. What has no version may have been replaced.
            if let Some(Loaded { model: Ok(model), served: Some(loaded), .. }) = self.loaded.read().get(market)
                && served.version > 0
                && *loaded == served
            {
                return Ok((served, model.clone()));
            }
            if let Some(model) = self.read(market, served.version)? {
                return Ok((served, Arc::new(model)));
            }
            self.shelf.refresh()?;
            let mark = self.shelf.mark(market).wait()?.ok_or_else(|| no_model(market))?;
            let now = self.shelf.served(market, &mark)?.ok_or_else(|| no_model(market))?;
            if now == served {
                return self.missing(market, served.version);
            }
            served = now;
        }
    }

    /// A version; `None` when it is not there.
    fn read(&self, market: &Market, version: u64) -> Result<Option<Model>> {
        let Some(bytes) = self.shelf.bytes(market, version)? else { return Ok(None) };
        let path = self.shelf.path(market, Some(version));
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

    /// The pooled model that a version rests on; `None` when the version is no longer there.
    pub fn pooled(&self, market: &Market, version: u64, pool: &Checksum) -> Result<Option<Arc<Pooled>>> {
        let read =
            || self.shelf.pool(pool)?.map(|bytes| Pooled::decode(&bytes, &self.shelf.pool_path(pool))).transpose();
        let pooled = self.pools.get(pool, read)?;
        // Both were purged meanwhile, the version first.
        if pooled.is_some() || self.shelf.bytes(market, version)?.is_none() {
            return Ok(pooled);
        }
        let problem = format!("it is missing, though version {version} of {market} rests on it");
        file::refuse(&self.shelf.pool_path(pool), problem)
    }

    /// That a version in service is not there.
    fn missing<T>(&self, market: &Market, version: u64) -> Result<T> {
        let problem = "it is missing, though it is said to be in service".to_owned();
        file::refuse(&self.shelf.path(market, Some(version)), problem)
    }

    /// A market's state, counting on from all numbers that were ever given.
    pub fn state_to_change(&self, market: &Market, change: &dyn Change) -> Result<State> {
        let mut state = match change.state() {
            Ok(state) => state.unwrap_or_default(),
            // What it said is lost: the versions are still there, but none is known to be good.
            Err(Error::ModelFile { .. }) => State::default(),
            Err(other) => return Err(other),
        };
        if state.next == 0 {
            let ledger = self.shelf.ledger()?;
            let of_market = ledger.entries.iter().filter_map(|entry| match entry {
                Entry::Training(trial) if trial.market == *market => Some(trial.version),
                _ => None,
            });
            let (trials, newest) = of_market.fold((0, 0), |(count, newest), version| (count + 1, version.max(newest)));
            (state.trials, state.next) = (trials, newest + 1);
        }
        // A crash may have left the file of a version that was never put into service: its number is not used again.
        let newest = change.versions()?.last().copied().unwrap_or(0);
        state.next = state.next.max(newest + 1);
        Ok(state)
    }

    /// Hands a model that was just put into service to the callers of this process.
    fn serve(&self, market: &Market, mark: Mark, model: Arc<Model>) {
        let served = self.shelf.served(market, &mark).ok().flatten().filter(|now| now.version == model.version());
        if served.is_some() {
            self.loaded.write().insert(market.clone(), Loaded { mark, served, model: Ok(model) });
        }
    }

    /// The model in service of a market; `None` when it has none.
    fn list_one(&self, market: &Market, state: Result<State>, pools: &mut Vec<Arc<Pooled>>) -> Option<Listed> {
        let stem = market.file_stem();
        let state = match state {
            Ok(state) => state,
            Err(error) => {
                return Some(Listed {
                    stem,
                    path: self.shelf.path(market, None),
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
        let path = self.shelf.path(market, Some(version));
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

/// It says nothing of the model: only that a database could not be asked.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Storage { .. } | Error::Busy { .. } | Error::Closed)
}

fn no_model(market: &Market) -> Error {
    Error::NoModel { symbol: market.symbol.to_string(), timeframe: market.timeframe.to_string() }
}
