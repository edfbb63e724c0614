//! The performance state: what the loop knows about its own live results. It is stored in `performance.json` in the
//! home. With a database, the state is a row that one instance changes at a time. The file is then a copy of the row,
//! so that readers never wait for another machine.

use super::{Event, Events, Settings};
use domain::answer::Answer;
use domain::error::{Error, Resource, Result};
use domain::symbol::Market;
use learning::performance::Performance;
use parking_lot::Mutex;
use scheduler::coordination::{Coordination, VersionedCell};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::disk::Lock;
use storage::lock::{FileLock, Guard};
use storage::{Stamp, create_folder, write_atomically};

/// The copy is refreshed from the database when it is older than this.
const FRESH: Duration = Duration::from_secs(1);

/// How long to wait for the lock. Other processes read signals while they hold it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The content of `performance.json`: what the loop knows about its own live results.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct PerformanceState {
    /// The version of the database row that this is a copy of; missing without a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    pub performance: Performance,
    /// How far each market was checked for drift, and what was reported.
    pub drift: Vec<DriftState>,
}

/// How far a market was checked for drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DriftState {
    #[serde(flatten)]
    pub market: Market,
    /// The outcome test has seen closings before this time.
    pub outcomes_ms: i64,
    /// The closing time of the outcome that raised the last reported alarm. Other outcomes of the same millisecond may
    /// become known later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_ms: Option<i64>,
    /// Closings after this time are new to the entry test.
    pub entries_ms: i64,
}

/// The content of the file, and the stamp of the file it was read from.
type CachedState = Option<(Stamp, Arc<PerformanceState>)>;

/// The performance state in memory.
#[derive(Default)]
pub(super) struct PerformanceCache {
    known: Mutex<CachedState>,
    /// When the database was last asked for a newer state.
    asked: Mutex<Option<Instant>>,
    /// Why the file cannot be refreshed from the database; reported once.
    problem: Arc<Mutex<Option<String>>>,
}

/// What the loop knows about its own live results: conservative mode, and which drift was reported.
pub struct LivePerformance {
    pub(super) settings: Arc<Settings>,
    events: Arc<Events>,
    coordination: Arc<dyn Coordination>,
    cache: PerformanceCache,
}

impl LivePerformance {
    pub(super) fn new(settings: Arc<Settings>, events: Arc<Events>, coordination: Arc<dyn Coordination>) -> Self {
        Self { settings, events, coordination, cache: PerformanceCache::default() }
    }

    /// The current state. Ready at once unless its file has changed. A damaged file is reported and counts as empty,
    /// because everything in it can be derived from the signals again.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read.
    pub(super) fn state(
        &self,
    ) -> Answer<Result<Arc<PerformanceState>>, impl FnOnce() -> Result<Arc<PerformanceState>>> {
        self.copy_soon();
        match Stamp::of(&self.path()) {
            Ok(None) => return Answer::Ready(Ok(Arc::default())),
            Ok(Some(stamp)) => {
                if let Some(state) = self.cache.known.try_lock().and_then(|known| of_stamp(&known, &stamp)) {
                    return Answer::Ready(Ok(state));
                }
            }
            Err(_) => {}
        }
        Answer::Pending(|| self.state_of_file())
    }

    fn state_of_file(&self) -> Result<Arc<PerformanceState>> {
        let path = self.path();
        let Some(stamp) = Stamp::of(&path)? else { return Ok(Arc::default()) };
        let mut known = self.cache.known.lock();
        if let Some(state) = of_stamp(&known, &stamp) {
            return Ok(state);
        }
        let text = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let state = Arc::new(self.decoded(&text, &path.display().to_string()));
        *known = Some((stamp, state.clone()));
        Ok(state)
    }

    /// Changes the state. If another instance changes it first, `next` is called again on the new state. Waits for
    /// other processes and for the database.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Storage`] if it cannot be read or written; [`Error::Busy`] if another process keeps the
    /// lock; the errors of `next`. After an error, nothing was changed.
    pub(super) fn change<T>(&self, mut next: impl FnMut(&mut PerformanceState) -> Result<T>) -> Result<T> {
        let _between_processes = self.lock()?;
        let memo = self.coordination.versioned_cell();
        loop {
            let copy = self.state_of_file()?;
            let before = match memo {
                None => copy.clone(),
                Some(memo) => Arc::new(self.of_database(memo)?),
            };
            let mut state = PerformanceState::clone(&before);
            let told = next(&mut state)?;
            if state != *before
                && let Some(memo) = memo
            {
                let version = before.version.unwrap_or_default();
                state.version = Some(version + 1);
                if !memo.replace(version, &encode(&state)?)? {
                    continue;
                }
            }
            if state != *copy {
                write_atomically(&self.path(), encode(&state)?.as_bytes())?;
            }
            return Ok(told);
        }
    }

    fn of_database(&self, memo: &dyn VersionedCell) -> Result<PerformanceState> {
        let (version, text) = memo.read()?;
        let state = text.map(|text| self.decoded(text.as_bytes(), "the row of signalloop_performance"));
        Ok(PerformanceState { version: Some(version), ..state.unwrap_or_default() })
    }

    fn decoded(&self, text: &[u8], what: &str) -> PerformanceState {
        serde_json::from_slice(text).unwrap_or_else(|error| {
            self.events.emit(&Event::Warning(format!("{what} is damaged; it starts empty: {error}")));
            PerformanceState::default()
        })
    }

    /// Refreshes the file from the database, in the background.
    fn copy_soon(&self) {
        let Some(memo) = self.coordination.versioned_cell() else { return };
        {
            let mut asked = self.cache.asked.lock();
            if asked.is_some_and(|at| at.elapsed() < FRESH) {
                return;
            }
            *asked = Some(Instant::now());
        }
        let (path, events) = (self.path(), self.events.clone());
        let known = self.cache.problem.clone();
        // If the database does not answer, the copy stays as it is. Changes need the database and will fail.
        memo.read_later(Box::new(move |version, text| {
            let problem = copy(&path, version, text).err().map(|error| error.to_string());
            if let Some(error) = is_new(&known, problem) {
                let text = format!("the live results of other instances cannot be stored here: {error}");
                events.emit(&Event::Warning(text));
            }
        }));
    }

    fn path(&self) -> PathBuf {
        self.settings.home().join("performance.json")
    }

    /// Locks the state against changes by other processes. The lock is released when the guard is dropped.
    fn lock(&self) -> Result<Guard> {
        create_folder(self.settings.home())?;
        let path = self.settings.home().join("performance.lock");
        FileLock::acquire(Resource::PerformanceState, &path, Lock::Exclusive, PATIENCE)
    }
}

/// Remembers the current problem, or that there is none. Returns the problem if it is new.
pub(super) fn is_new(known: &Mutex<Option<String>>, problem: Option<String>) -> Option<String> {
    let before = std::mem::replace(&mut *known.lock(), problem.clone());
    problem.filter(|problem| before.as_ref() != Some(problem))
}

/// The cached state, if it was read from this file.
fn of_stamp(known: &CachedState, stamp: &Stamp) -> Option<Arc<PerformanceState>> {
    known.as_ref().filter(|(of, _)| of == stamp).map(|(_, state)| state.clone())
}

fn encode(state: &PerformanceState) -> Result<String> {
    serde_json::to_string_pretty(state)
        .map_err(|e| Error::Internal(format!("cannot encode the state of performance: {e}")))
}

/// Copies the row to the file. If this process changed the file in the meantime, it is copied again a second later.
fn copy(path: &Path, version: i64, text: &str) -> Result<()> {
    let there: Option<PerformanceState> = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if there.is_some_and(|there| there.version == Some(version)) {
        return Ok(());
    }
    write_atomically(path, text.as_bytes())
}
