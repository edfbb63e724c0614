//! What the loop knows of its own live results, and where it keeps that: in `performance.json` of the home. With a database,
//! what counts is a row there, changed by one instance at a time, and the file is a copy of it, so that no reader ever waits
//! for another machine.

use super::{Event, Events, Settings};
use domain::answer::Answer;
use domain::error::{Error, Resource, Result};
use domain::symbol::Market;
use learning::performance::Performance;
use parking_lot::Mutex;
use scheduler::coordination::{Memo, Office};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::disk::Lock;
use storage::lock::{FileLock, Guard};
use storage::{Stamp, create_folder, write_atomically};

/// So old may a copy be before the database is asked for a newer one.
const FRESH: Duration = Duration::from_secs(1);

/// How long other processes are waited for, which read the signals meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// `performance.json`: what the loop knows of its own live results.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct PerformanceState {
    /// Of the row that this is a copy of; missing without a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    pub performance: Performance,
    /// What was told of drift, by market.
    pub drift: Vec<DriftState>,
}

/// How far a market was looked at for drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DriftState {
    #[serde(flatten)]
    pub market: Market,
    /// Closings of earlier times are known to the outcome test.
    pub outcomes_ms: i64,
    /// When the outcome closed that raised the last alarm told: others of the same millisecond may not have been there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_ms: Option<i64>,
    /// Closings of later times are new to the entry test.
    pub entries_ms: i64,
}

/// What a file said, and which file that was.
type KnownState = Option<(Stamp, Arc<PerformanceState>)>;

/// What of it is in memory.
#[derive(Default)]
pub(super) struct PerformanceCache {
    known: Mutex<KnownState>,
    /// When the database was last asked whether it has another one.
    asked: Mutex<Option<Instant>>,
    /// What keeps the file from following the database; told once.
    problem: Arc<Mutex<Option<String>>>,
}

/// What is known of the loop's own live results: conservative mode, and which drift was told.
pub struct LivePerformance {
    pub(super) settings: Arc<Settings>,
    events: Arc<Events>,
    office: Arc<dyn Office>,
    cache: PerformanceCache,
}

impl LivePerformance {
    pub(super) fn new(settings: Arc<Settings>, events: Arc<Events>, office: Arc<dyn Office>) -> Self {
        Self { settings, events, office, cache: PerformanceCache::default() }
    }

    /// What is known now. Known at once while its file stays the same. A damaged file is told of, and then counts as none: it holds
    /// nothing that the signals could not tell again.
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
        if let Some(standing) = of_stamp(&known, &stamp) {
            return Ok(standing);
        }
        let text = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let standing = Arc::new(self.decoded(&text, &path.display().to_string()));
        *known = Some((stamp, standing.clone()));
        Ok(standing)
    }

    /// Changes what is known; `next` is asked again where another instance was first. Waits for other processes, and for the
    /// database.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Store`] when it cannot be read or written, [`Error::StoreBusy`] when another process does not let
    /// it go: nothing was changed then. Those of `next`.
    pub(super) fn change<T>(&self, mut next: impl FnMut(&mut PerformanceState) -> Result<T>) -> Result<T> {
        let _between_processes = self.lock()?;
        let memo = self.office.memo();
        loop {
            let copy = self.state_of_file()?;
            let before = match memo {
                None => copy.clone(),
                Some(memo) => Arc::new(self.of_database(memo)?),
            };
            let mut standing = PerformanceState::clone(&before);
            let told = next(&mut standing)?;
            if standing != *before
                && let Some(memo) = memo
            {
                let version = before.version.unwrap_or_default();
                standing.version = Some(version + 1);
                if !memo.replace(version, &encode(&standing)?)? {
                    continue;
                }
            }
            if standing != *copy {
                write_atomically(&self.path(), encode(&standing)?.as_bytes())?;
            }
            return Ok(told);
        }
    }

    fn of_database(&self, memo: &dyn Memo) -> Result<PerformanceState> {
        let (version, text) = memo.read()?;
        let standing = text.map(|text| self.decoded(text.as_bytes(), "the row of signalloop_performance"));
        Ok(PerformanceState { version: Some(version), ..standing.unwrap_or_default() })
    }

    fn decoded(&self, text: &[u8], what: &str) -> PerformanceState {
        serde_json::from_slice(text).unwrap_or_else(|error| {
            self.events.emit(&Event::Warning(format!("{what} is damaged and begun anew: {error}")));
            PerformanceState::default()
        })
    }

    /// Has the file follow the database, in the background.
    fn copy_soon(&self) {
        let Some(memo) = self.office.memo() else { return };
        {
            let mut asked = self.cache.asked.lock();
            if asked.is_some_and(|at| at.elapsed() < FRESH) {
                return;
            }
            *asked = Some(Instant::now());
        }
        let (path, events) = (self.path(), self.events.clone());
        let known = self.cache.problem.clone();
        // A database that does not answer leaves the copy as it is; changes, which need it, say so.
        memo.read_later(Box::new(move |version, text| {
            let problem = copy(&path, version, text).err().map(|error| error.to_string());
            if let Some(error) = is_new(&known, problem) {
                let text = format!("what other instances know of live results cannot be kept: {error}");
                events.emit(&Event::Warning(text));
            }
        }));
    }

    fn path(&self) -> PathBuf {
        self.settings.home().join("performance.json")
    }

    /// Excludes other processes from changing it; over when dropped.
    fn lock(&self) -> Result<Guard> {
        create_folder(self.settings.home())?;
        let path = self.settings.home().join("performance.lock");
        FileLock::acquire(Resource::PerformanceState, &path, Lock::Exclusive, PATIENCE)
    }
}

/// Takes down what is wrong now, or that nothing is; what is to be told of it, which is nothing where it is known already.
pub(super) fn is_new(known: &Mutex<Option<String>>, problem: Option<String>) -> Option<String> {
    let before = std::mem::replace(&mut *known.lock(), problem.clone());
    problem.filter(|problem| before.as_ref() != Some(problem))
}

/// What is known, if it is of this file.
fn of_stamp(known: &KnownState, stamp: &Stamp) -> Option<Arc<PerformanceState>> {
    known.as_ref().filter(|(of, _)| of == stamp).map(|(_, standing)| standing.clone())
}

fn encode(standing: &PerformanceState) -> Result<String> {
    serde_json::to_string_pretty(standing)
        .map_err(|e| Error::Internal(format!("cannot encode the state of performance: {e}")))
}

/// Makes the file a copy of the row. One that was changed here meanwhile is copied again a second later.
fn copy(path: &Path, version: i64, text: &str) -> Result<()> {
    let there: Option<PerformanceState> = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if there.is_some_and(|there| there.version == Some(version)) {
        return Ok(());
    }
    write_atomically(path, text.as_bytes())
}
