//! The feedback store: every signal and its result, in an append-only log that several processes write at once.
//!
//! It imports `domain` and `storage`, and opens no connection. The port [`journal`] is where records are kept; the adapter for a
//! folder is here, the one for a database in `postgres`. `docs/store.md` explains durability, the file format, and repairs.
//!
//! # Example
//! ```
//! use domain::signal::{Signal, Source};
//! use domain::time::Tz;
//! use feedback::{FeedbackStore, StatsFilter, StoreOptions};
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! let folder = tempfile::tempdir().unwrap();
//! runtime.block_on(async {
//!     let store = FeedbackStore::open(folder.path(), StoreOptions::default()).unwrap();
//!     let signal = r#"{ "id": "s1", "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 80,
//!         "entryPrice": 100, "stopLoss": 95, "takeProfit": 110, "timestamp": 1735689600000 }"#;
//!     let signal = Signal::from_text(signal, Source::Caller, Tz::UTC).unwrap();
//!     assert!(store.record(signal.clone()).await.unwrap());
//!     let closed = store.on_price(&signal.symbol, 111.0, 1_735_689_660_000).await.unwrap();
//!     assert_eq!(closed[0].outcome.as_str(), "TOOK_PROFIT");
//!     assert_eq!(store.stats(&StatsFilter::default()).unwrap().figures.successes, 1);
//!     store.close().await;
//! });
//! ```

pub mod canonical;
mod closed_feed;
pub mod compact;
mod details;
mod errors;
#[cfg(test)]
mod faults;
mod folder;
mod ignored;
mod import;
mod index;
pub mod journal;
pub mod line;
pub mod log;
mod maintenance;
mod manual_close;
mod open;
mod paths;
pub mod prefetch;
mod prices;
mod quarantine;
mod scan;
mod snapshot;
pub mod state;
mod stats;
mod view;
pub mod writer;

pub use closed_feed::{ClosingCursor, FeedCursor, NewClosings};
pub use compact::Compaction;
pub use ignored::{IgnoredPrices, News as IgnoredNews};
pub use import::{ImportReport, RefusedLine};
pub use index::{Cause, Extremes, Reach};
pub use log::Recovery;
pub use manual_close::CloseRequest;
pub use open::OpenSignal;
pub use paths::files_in;
pub use prices::Tick;
pub use stats::{
    CALMAR_DAYS, CLOSING_DAYS, ClosedPart, Daily, Exposure, Figures, Holding, HoldingTime, HoldingTimes, LOSING_DAYS,
    ProfitByPart, RunningSum, SHARPE_DAYS, SQN_SIGNALS, Stats, StatsFilter, TARGET_SIGNALS, TargetPart, Totals,
};
pub use writer::Lines;

use canonical::CanonicalLine;
use domain::barrier::{Direction, Event, Levels, Outcome, Status};
use domain::config::{Config, Durability};
use domain::error::{Error, Resource, Result, because, guard};
use domain::signal::{Change, Closing, Costs, Earned, Ended, Position, Record, Signal, SignalKey, Update};
use domain::symbol::{Symbol, Timeframe};
use domain::time::Tz;
use domain::time::{MAX_MILLIS, MIN_MILLIS};
use folder::FolderTurns;
use journal::{Asked, Journal, Source, StateRead, Turns};
use log::Log;
use maintenance::Maintenance;
use parking_lot::{Mutex, RwLock};
use state::Place;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use storage::disk::{Disk, Storage};
use tokio::sync::{oneshot, watch};
use writer::{Changes, Job, Verdict, Writer};

/// Options of a store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoreOptions {
    /// When a write counts as done. Default `Fsync`.
    pub durability: Durability,
    /// The zone of times in old lines that have none. Default UTC.
    pub timezone: Tz,
    /// Costs of signals that state none, for [`Figures::expectancy`] and [`ClosedSignal::earned`]. Default: 10 basis points a
    /// round trip.
    pub costs: Costs,
    /// How long to wait for another process that holds the log's lock, before [`Error::Busy`]. Default 30 s: longer than any
    /// write, and than opening an ordinary log.
    pub patience: Duration,
}

impl From<&Config> for StoreOptions {
    fn from(config: &Config) -> Self {
        let Config { durability, timezone, .. } = *config;
        Self { durability, timezone, costs: config.costs(), patience: Duration::from_secs(30) }
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::from(&Config::default())
    }
}

/// A signal that was just closed.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedSignal {
    /// The signal's id.
    pub id: String,
    /// Its pair.
    pub symbol: Symbol,
    /// Its timeframe.
    pub timeframe: Timeframe,
    /// The direction; a HOLD never closes.
    pub direction: Direction,
    /// The strategy that gave it.
    pub strategy: Option<String>,
    /// Whether it was traded.
    pub taken: bool,
    /// Stated confidence in percent, 0–100.
    pub confidence: Option<f64>,
    /// The outcome.
    pub outcome: Outcome,
    /// Its entry price.
    pub entry_price: f64,
    /// The exit price, if known.
    pub exit_price: Option<f64>,
    /// Profit in percent of the entry price, before costs.
    pub profit_percent: f64,
    /// When it was given, UTC epoch ms.
    pub timestamp_ms: i64,
    /// When it closed, UTC epoch ms.
    pub closed_ms: i64,
    /// Its fills, and what it earned after costs.
    pub earned: Earned,
}

/// An event in the life of a managed signal, other than its closing.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedSignal {
    /// The signal's id.
    pub id: String,
    /// Its pair.
    pub symbol: Symbol,
    /// Its timeframe.
    pub timeframe: Timeframe,
    /// Which way it bets.
    pub direction: Direction,
    /// The strategy that gave it.
    pub strategy: Option<String>,
    /// Whether it was traded.
    pub taken: bool,
    /// Whether it waits, is open, or was cancelled.
    pub status: Status,
    /// What happened, oldest first.
    pub events: Vec<Event>,
}

/// Receives events in the lives of managed signals once they are stored, on the writer's thread.
pub type ChangeListener = Box<dyn Fn(ChangedSignal) + Send + Sync>;

impl ClosedSignal {
    fn of_canonical(line: &CanonicalLine<'_>, levels: &Levels, closing: &Closing, costs: &Costs) -> Result<Self> {
        Ok(Self {
            id: line.id.to_owned(),
            symbol: Symbol::parse(line.symbol)?,
            timeframe: line.timeframe,
            direction: levels.direction,
            strategy: line.strategy.map(str::to_owned),
            taken: line.taken,
            confidence: line.confidence,
            outcome: closing.outcome,
            entry_price: levels.entry,
            exit_price: closing.exit_price,
            profit_percent: closing.profit_percent,
            timestamp_ms: line.timestamp_ms,
            closed_ms: closing.closed_ms,
            // Such a line states no costs of its own.
            earned: Earned::of_plain(levels, closing, &Position::default(), costs),
        })
    }

    /// The closed signal of a record; `None` while it is open. `costs` count where it states none.
    pub fn of(record: &Record, costs: &Costs) -> Option<Self> {
        let (signal, closing, earned) = (&record.signal, record.closing?, record.earned(costs)?);
        Some(Self {
            id: signal.id.clone(),
            symbol: signal.symbol.clone(),
            timeframe: signal.timeframe,
            // Only signals with a direction and an entry price are ever open.
            direction: signal.direction.unwrap_or(Direction::Buy),
            strategy: signal.strategy.clone(),
            taken: signal.taken,
            confidence: signal.confidence,
            outcome: closing.outcome,
            entry_price: signal.entry_price.unwrap_or(f64::NAN),
            exit_price: closing.exit_price,
            profit_percent: closing.profit_percent,
            timestamp_ms: signal.timestamp_ms,
            closed_ms: closing.closed_ms,
            earned,
        })
    }
}

/// An open feedback store. A clone is another handle of the same store.
///
/// Methods that read, or take a price, first check the log's size, so that they see what other processes wrote. This takes about
/// a microsecond, plus reading new lines if there are any. They may wait for another process's write to finish. The async methods
/// need no particular runtime; dropping their future does not undo a write that has begun.
///
/// It has more than 25 methods because it is the only handle of the store: each is one question or one change, in the file of its
/// subject, and they share nothing but the journal and the writer's queue.
#[derive(Clone)]
pub struct FeedbackStore {
    inner: Arc<Inner>,
}

struct Inner {
    journal: Arc<dyn Journal>,
    options: StoreOptions,
    jobs: Arc<Jobs>,
    listener: Arc<Listener>,
    /// Becomes true, or loses its sender, when the writer has ended.
    ended: watch::Receiver<bool>,
}

/// Who receives the events of managed signals.
type Listener = RwLock<Option<ChangeListener>>;

/// The writer's queue. `None` after closing: the writer ends when the sender is gone and the queue is empty.
type Jobs = Mutex<Option<mpsc::Sender<Job>>>;

impl FeedbackStore {
    /// Opens the store in `folder` (created if missing), reads its log and repairs its end.
    ///
    /// # Errors
    /// [`Error::Storage`] if the files cannot be read or written; [`Error::Busy`] if another process holds the lock.
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self> {
        Self::open_on(Arc::new(Disk), folder, options)
    }

    fn open_on(storage: Arc<dyn Storage>, folder: &Path, options: StoreOptions) -> Result<Self> {
        let (log, lock) = Log::open(folder, options.timezone, options.patience, storage)?;
        let (jobs, queue) = mpsc::channel();
        let jobs = Arc::new(Mutex::new(Some(jobs)));
        // Weak, so that the writer ends with the last handle of the store.
        let of = Arc::downgrade(&jobs);
        let maintenance = Maintenance::start(&log, move |copy| swap(&*of.upgrade().ok_or(Error::Closed)?, copy))
            .map_err(no_thread)?;
        let turns = FolderTurns::new(log.clone(), lock, options.durability, maintenance);
        Self::start(log, Box::new(turns), jobs, queue, options)
    }

    /// Opens a store over any journal.
    ///
    /// # Errors
    /// [`Error::Storage`] if no thread can be started.
    pub fn open_journal(journal: Arc<dyn Journal>, turns: Box<dyn Turns>, options: StoreOptions) -> Result<Self> {
        let (jobs, queue) = mpsc::channel();
        Self::start(journal, turns, Arc::new(Mutex::new(Some(jobs))), queue, options)
    }

    fn start(
        journal: Arc<dyn Journal>,
        turns: Box<dyn Turns>,
        jobs: Arc<Jobs>,
        queue: mpsc::Receiver<Job>,
        options: StoreOptions,
    ) -> Result<Self> {
        let (end, ended) = watch::channel(false);
        let listener = Arc::new(Listener::default());
        let writer = Writer::new(journal.clone(), turns, &options, listener.clone());
        std::thread::Builder::new()
            .name("signalloop-store".to_owned())
            .spawn(move || {
                writer.run(&queue);
                // An error means that nobody waits.
                let _ = end.send(true);
            })
            .map_err(no_thread)?;
        Ok(Self { inner: Arc::new(Inner { journal, options, jobs, listener, ended }) })
    }

    /// The costs of signals that state none.
    pub fn costs(&self) -> Costs {
        self.inner.options.costs
    }

    fn costs_percent(&self) -> f64 {
        self.costs().fee_bps / 100.0
    }

    /// What was found damaged in the log since it was opened, and how it was repaired.
    pub fn recovery(&self) -> Recovery {
        self.inner.journal.recovery()
    }

    /// Records a signal, open or with its result. `true` once it is stored at the configured durability, also if the same signal
    /// was recorded before. A signal that was recorded open and arrives again with its result is closed.
    ///
    /// # Errors
    /// [`Error::SignalConflict`] if its id was recorded with other content; [`Error::Storage`] if it could not be written (the
    /// message says what is known); [`Error::Closed`].
    pub async fn record(&self, signal: impl Into<Record>) -> Result<bool> {
        let results = self.record_lines(vec![Lines::of(vec![signal])?]).await?;
        results.into_iter().next().unwrap_or_else(|| Err(lost()))
    }

    /// Records many signals in one write. Returns one result each, in order, as of [`FeedbackStore::record`].
    ///
    /// # Errors
    /// As a whole only if nothing was stored: the write failed, or a signal is too long.
    pub async fn record_all(&self, signals: Vec<impl Into<Record>>) -> Result<Vec<Result<bool>>> {
        let lines = written(signals.into_iter().map(Into::into).collect())?;
        self.record_lines(lines).await
    }

    /// [`FeedbackStore::record_all`] for signals that were encoded before, in order. Writing begins at once, even if the future
    /// is not polled.
    ///
    /// # Errors
    /// As [`FeedbackStore::record_all`].
    pub fn record_lines(&self, lines: Vec<Lines>) -> impl Future<Output = Result<Vec<Result<bool>>>> + Send + use<> {
        let sent = self.send(lines.into_iter().flat_map(Lines::into_changes).collect());
        async move { Ok(sent?.verdicts().await?.into_iter().map(recorded).collect()) }
    }

    /// Closes a signal on request. `false` if it is unknown or closed already; the first closing stands.
    ///
    /// Without a profit, it is computed from the exit price; without both, from the barrier that the outcome names. Writing
    /// begins at once, even if the future is not polled.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an outcome of `ACTIVE`, an impossible number, a time before the signal or in the future, or
    /// contradicting values ([`domain::signal::Claim::closing`], [`Closing::check`]); [`Error::Storage`]; [`Error::Closed`].
    pub fn close_by_hand(&self, request: CloseRequest) -> impl Future<Output = Result<bool>> + Send + use<> {
        let sent = request.check().and_then(|()| self.send(vec![writer::Change::Close(request)]));
        async move { sent?.verdicts().await?.pop().map_or(Ok(false), recorded) }
    }

    /// [`Self::close_by_hand`] with an end at `now_ms`.
    ///
    /// # Errors
    /// As [`Self::close_by_hand`].
    pub fn close_signal(
        &self,
        id: &str,
        outcome: Outcome,
        exit_price: Option<f64>,
        profit_percent: Option<f64>,
        now_ms: i64,
    ) -> impl Future<Output = Result<bool>> + Send + use<> {
        self.close_by_hand(CloseRequest::new(Update::now(id, outcome, exit_price, profit_percent), now_ms))
    }

    /// Changes an open signal: other levels, a part closed, or the end of one that waits for its entry. `false` if it is unknown
    /// or has ended. Writing begins at once, even if the future is not polled.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a change that contradicts the signal; [`Error::Storage`]; [`Error::Closed`].
    pub fn change(&self, id: String, change: Change, now_ms: i64) -> impl Future<Output = Result<bool>> + Send + use<> {
        let sent = self.send(vec![writer::Change::Alter(writer::Alteration { id, change, now_ms })]);
        async move { sent?.verdicts().await?.pop().map_or(Ok(false), recorded) }
    }

    /// Sets who receives the events of managed signals.
    pub fn on_change(&self, listener: ChangeListener) {
        *self.inner.listener.write() = Some(listener);
    }

    /// A signal and its result, if it has one; `None` if the id is unknown.
    ///
    /// # Errors
    /// [`Error::Storage`] if the log cannot be read; [`Error::Closed`].
    pub fn get(&self, id: &str) -> Result<Option<Record>> {
        let mut found = None;
        self.visit(
            |state| state.place(SignalKey::of(id)).into_iter().collect(),
            |record| {
                found = Some(record).filter(|record| record.signal.id == id);
                Ok(())
            },
        )?;
        Ok(found)
    }

    /// The open signals of a symbol, or of all, in order of recording.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn open_signals(&self, symbol: Option<&Symbol>) -> Result<Vec<Signal>> {
        let mut signals = Vec::new();
        self.visit(
            |state| state.open_places(symbol),
            |record| {
                signals.push(record.signal);
                Ok(())
            },
        )?;
        Ok(signals)
    }

    /// The open signals by symbol, from memory, in no order.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn open_by_symbol(&self) -> Result<BTreeMap<Symbol, Vec<OpenSignal>>> {
        self.refresh()?;
        Ok(self.inner.journal.state().open_by_symbol())
    }

    /// The id of a signal, read from the log.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn id_of(&self, key: SignalKey) -> Result<Option<String>> {
        let mut id = None;
        self.visit(
            |state| state.place(key).into_iter().collect(),
            |record| {
                id = Some(record.signal.id);
                Ok(())
            },
        )?;
        Ok(id)
    }

    /// The number of open, taken signals of a direction, as far as known without checking for other processes' writes.
    pub fn open_taken(&self, direction: Direction) -> usize {
        self.inner.journal.state().open_taken(direction)
    }

    /// The number of signals, and of closed ones, as far as known without checking for other processes' writes.
    pub fn extent(&self) -> (usize, usize) {
        self.inner.journal.state().extent()
    }

    /// [`Self::extent`], after checking for other processes' writes.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn current_extent(&self) -> Result<(usize, usize)> {
        self.refresh()?;
        Ok(self.extent())
    }

    /// The statistics of the signals that match a filter.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn stats(&self, filter: &StatsFilter) -> Result<Stats> {
        self.refresh()?;
        Ok(self.ordered().0.stats(filter, &self.costs()))
    }

    /// The results of closed signals that match a filter, in order of closing, from memory. `costs` count for signals that state
    /// none.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn ended(&self, filter: &StatsFilter, costs: &Costs) -> Result<Vec<Ended>> {
        self.refresh()?;
        Ok(self.ordered().0.ended(filter, costs))
    }

    /// Visits the closed records that match a filter, in order of closing, reading them from the log one by one.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn closed_records(&self, filter: &StatsFilter, visit: impl FnMut(Record) -> Result<()>) -> Result<()> {
        self.visit(|state| state.closed_places(filter), visit)
    }

    /// The newest closed records that match a filter, newest first.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn newest_closed(&self, filter: &StatsFilter, most: usize) -> Result<Vec<Record>> {
        self.listed(|state| state.newest_closed(filter, most))
    }

    /// The newest open records that match a filter, newest first, and how many there are. A period is that in which they were given;
    /// signals that wait for their entry are among them.
    ///
    /// # Errors
    /// As [`FeedbackStore::get`].
    pub fn newest_open(&self, filter: &StatsFilter, most: usize) -> Result<(Vec<Record>, usize)> {
        let mut count = 0;
        let records = self.listed(|state| {
            let (places, all) = state.newest_open(filter, most);
            count = all;
            places
        })?;
        Ok((records, count))
    }

    fn listed(&self, places: impl FnOnce(&state::State) -> Vec<Place>) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        self.visit(places, |record| {
            records.push(record);
            Ok(())
        })?;
        Ok(records)
    }

    /// Rewrites the log with one line per signal, while this and other processes continue reading and writing.
    ///
    /// # Errors
    /// [`Error::Storage`], and the log is unchanged; [`Error::Closed`].
    pub async fn compact(&self) -> Result<Compaction> {
        self.refresh()?;
        let store = self.clone();
        self.in_background("signalloop-compact", move || {
            store.inner.journal.compact(&|copy| swap(&store.inner.jobs, copy))
        })
        .await
    }

    /// Runs long work on a separate thread, so that async callers are not blocked.
    async fn in_background<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, result) = oneshot::channel();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // An error means that nobody waits any more.
                let _ = reply.send(guard(work));
            })
            .map_err(no_thread)?;
        result.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Waits for all writes under way and ends the writer. Later calls return [`Error::Closed`].
    pub async fn close(&self) {
        drop(self.inner.jobs.lock().take());
        // An error means that the writer is gone.
        let _ = self.inner.ended.clone().wait_for(|ended| *ended).await;
    }

    fn check_open(&self) -> Result<()> {
        if self.inner.jobs.lock().is_none() { Err(Error::Closed) } else { Ok(()) }
    }

    fn refresh(&self) -> Result<()> {
        self.check_open()?;
        self.inner.journal.refresh()
    }

    /// The state with closed signals in order of closing; the order stays while the state is held. It needs sorting only after
    /// old signals were closed late.
    fn ordered(&self) -> (StateRead<'_>, Box<dyn Source + '_>) {
        loop {
            let (state, source) = self.inner.journal.look(Asked::now());
            if !state.is_disordered() {
                return (state, source);
            }
            drop(state);
            self.inner.journal.state_mut().put_in_order();
        }
    }

    fn visit(
        &self,
        places: impl FnOnce(&state::State) -> Vec<Place>,
        mut visit: impl FnMut(Record) -> Result<()>,
    ) -> Result<()> {
        self.refresh()?;
        let (places, source) = {
            let (state, source) = self.ordered();
            (places(&state), source)
        };
        source.records(&places, &mut visit)
    }

    fn send(&self, changes: Vec<writer::Change>) -> Result<Pending> {
        self.send_since(Asked::now(), changes)
    }

    /// [`Self::send`] for a call that was made earlier.
    fn send_since(&self, asked: Asked, changes: Vec<writer::Change>) -> Result<Pending> {
        let (reply, verdicts) = oneshot::channel();
        enqueue(&self.inner.jobs, Job::Changes(Changes { changes, asked, reply }))?;
        Ok(Pending(Some(verdicts)))
    }
}

fn enqueue(jobs: &Jobs, job: Job) -> Result<()> {
    match jobs.lock().as_ref().map(|jobs| jobs.send(job)) {
        Some(Ok(())) => Ok(()),
        _ => Err(Error::Closed),
    }
}

/// Has the writer replace the log by its compacted copy, and waits for it.
fn swap(jobs: &Jobs, copy: compact::CompactedLog) -> Result<Option<Compaction>> {
    let (reply, result) = mpsc::channel();
    enqueue(jobs, Job::Swap(copy, reply))?;
    result.recv().unwrap_or_else(|_| Err(lost()))
}

/// A job under way; `None` if there was nothing to do.
struct Pending(Option<oneshot::Receiver<Result<Vec<Verdict>>>>);

impl Pending {
    async fn verdicts(self) -> Result<Vec<Verdict>> {
        match self.0 {
            None => Ok(Vec::new()),
            Some(reply) => reply.await.unwrap_or_else(|_| Err(lost())),
        }
    }

    /// The signals that the job closed, without those that another process closed first.
    async fn closed(self) -> Result<Vec<ClosedSignal>> {
        let mut closed = Vec::new();
        let mut refused = None;
        for verdict in self.verdicts().await? {
            match verdict {
                Verdict::Closed(signal) => closed.push(*signal),
                Verdict::Refused(error) => refused = Some(error),
                Verdict::Recorded | Verdict::Known | Verdict::Changed(_) | Verdict::NotOpen => {}
            }
        }
        // Closed signals must be reported; an error is returned only if none closed.
        match refused {
            Some(error) if closed.is_empty() => Err(error),
            _ => Ok(closed),
        }
    }
}

fn no_thread(cause: std::io::Error) -> Error {
    Error::storage(Resource::FeedbackStore, because("cannot start a thread", cause))
}

fn lost() -> Error {
    Error::Internal("the store's writer ended without an answer".to_owned())
}

/// Encodes signals, on all cores if there are many.
fn written(mut signals: Vec<Record>) -> Result<Vec<Lines>> {
    let threads = scan::cores().min(signals.len() / WORTH_A_THREAD + 1);
    if threads == 1 {
        return Ok(vec![Lines::of(signals)?]);
    }
    let each = signals.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let mut parts = Vec::new();
        while !signals.is_empty() {
            let rest = signals.split_off(each.min(signals.len()));
            let part = std::mem::replace(&mut signals, rest);
            parts.push(scope.spawn(|| Lines::of(part)));
        }
        parts.into_iter().map(|part| part.join().unwrap_or_else(|_| Err(lost()))).collect()
    })
}

/// Encoding this many signals takes longer than starting a thread.
const WORTH_A_THREAD: usize = 500;

fn recorded(verdict: Verdict) -> Result<bool> {
    match verdict {
        Verdict::Recorded | Verdict::Known | Verdict::Changed(_) | Verdict::Closed(_) => Ok(true),
        Verdict::NotOpen => Ok(false),
        Verdict::Refused(error) => Err(error),
    }
}

fn check_price(argument: &'static str, price: f64) -> Result<()> {
    if price.is_finite() && price > 0.0 {
        return Ok(());
    }
    Err(Error::argument(argument, "must be a finite price above 0", price))
}

fn check_time(time_ms: i64) -> Result<()> {
    if (MIN_MILLIS..=MAX_MILLIS).contains(&time_ms) {
        return Ok(());
    }
    Err(Error::argument("time", "must be epoch milliseconds between the years 1973 and 9999", time_ms))
}
