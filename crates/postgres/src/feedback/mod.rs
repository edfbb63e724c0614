//! The journal in a database: reading and writing the table `signals`.
//!
//! One connection writes, catches up and listens; another reads records. `docs/postgres.md` explains the rest.

mod rows;
mod session;

use crate::{Attempts, Database, Failure, Link, PATIENCE, StoreUrl};
use domain::error::{Error, Resource, Result};
use domain::signal::Record;
use domain::signal::SignalKey;
use domain::time::Tz;
use feedback::compact::{CompactedLog, Compaction};
use feedback::journal::{Asked, Journal, Source, StateRead, StateWrite, Turns};
use feedback::line;
use feedback::log::Recovery;
use feedback::prefetch::Prefetched;
use feedback::state::{Applied, Place, State};
use feedback::writer::WriteBatch;
use feedback::{FeedbackStore, StoreOptions};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rows::{Known, Rows};
use session::SignalSession;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;

/// Time limit for reading a whole table.
const READING: Duration = Duration::from_secs(600);
/// How often the table is checked without a notification, in case one was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Prices are answered from a state that is at most this old.
const FRESH: Duration = Duration::from_secs(3);
/// Records read at a time.
const PAGE: usize = 1_000;
/// For this long after a caller waited without success, further callers get an error at once.
const IN_VAIN: Duration = Duration::from_secs(1);
/// What is known after a failed read.
const UNCHANGED: &str = "nothing was changed";

/// Opens the store in a database: all that open the same one share their signals. Missing tables are created.
///
/// # Errors
/// [`Error::Storage`] if the database cannot be reached or used.
pub fn open_database(url: StoreUrl, options: StoreOptions) -> Result<FeedbackStore> {
    let table = SignalTable::open(url, options.timezone, options.patience)?;
    let turns = TableTurns::new(table.clone());
    FeedbackStore::open_journal(table, Box::new(turns), options)
}

/// The journal in a table.
struct SignalTable {
    database: Database,
    shared: Arc<SharedSignals>,
    session: Arc<tokio::sync::Mutex<SignalSession>>,
    reader: Arc<tokio::sync::Mutex<Option<Arc<Link>>>>,
}

/// The state that a table's tasks share.
struct SharedSignals {
    url: StoreUrl,
    zone: Tz,
    patience: Duration,
    view: RwLock<View>,
    /// The newest position that others have notified.
    told: AtomicI64,
    /// When the state was last known to be up to date.
    looked: Mutex<Option<Instant>>,
    wake: Notify,
    /// Whether the writer has ended.
    ended: AtomicBool,
    /// The current failure to read the table; `None` after a successful read.
    trouble: Mutex<Option<Error>>,
    /// When a caller last waited for the table without success; `None` after a successful read.
    gave_up: Mutex<Option<Instant>>,
    /// Whether the whole table must be read again, which may take longer than a call's time.
    forgot: AtomicBool,
}

/// The state, and the position that it stands for; both change together.
#[derive(Default)]
struct View {
    state: State,
    position: i64,
    contradictions: u64,
    damaged: u64,
}

impl SharedSignals {
    fn position(&self) -> i64 {
        self.view.read().position
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// The deadline of a call that was made at `asked`.
    fn deadline_of(&self, asked: Asked) -> Instant {
        Instant::from_std(asked) + self.patience
    }

    /// Applies rows to the state.
    fn take_in(&self, rows: Vec<Known>) {
        let mut view = self.view.write();
        view.state.reserve(rows.len());
        for row in rows {
            let place = row.place();
            match row.facts.and_then(|facts| view.state.apply(&facts, place)) {
                Ok(Applied::Changed | Applied::Known) => {}
                Ok(Applied::Contradiction(_)) => view.contradictions += 1,
                Err(_) => view.damaged += 1,
            }
        }
    }

    /// Marks the state as complete up to a position.
    fn reached(&self, position: i64) {
        let mut view = self.view.write();
        view.position = view.position.max(position);
    }

    fn looked(&self) {
        *self.looked.lock() = Some(Instant::now());
        *self.trouble.lock() = None;
        *self.gave_up.lock() = None;
        self.forgot.store(false, Ordering::Release);
    }

    fn trouble(&self, error: &Error) {
        *self.trouble.lock() = Some(error.clone());
    }

    fn notified(&self, position: i64) {
        self.told.fetch_max(position, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Forgets everything but the newest prices, since the table is not the one read before.
    fn start_over(&self) {
        let mut view = self.view.write();
        let mut fresh = View::default();
        fresh.state.inherit_clock(&view.state);
        *view = fresh;
        self.told.store(0, Ordering::Release);
        self.forgot.store(true, Ordering::Release);
    }

    /// Whether the state is up to date, as far as known here.
    fn is_current(&self, position: i64) -> bool {
        let fresh = self.looked.lock().is_some_and(|at| at.elapsed() < FRESH);
        fresh && self.trouble.lock().is_none() && self.told.load(Ordering::Acquire) <= position
    }

    /// The error for a caller that waited without success.
    fn in_vain(&self) -> Error {
        let trouble = self.trouble.lock().clone();
        let busy = || Error::storage(Resource::FeedbackStore, format!("{} is busy with earlier calls", self.url));
        trouble.unwrap_or_else(busy).noting(UNCHANGED)
    }
}

impl SignalTable {
    /// Connects, updates the tables, and reads what memory keeps of all signals.
    ///
    /// # Errors
    /// [`Error::Storage`] if the database cannot be reached or used; [`Error::InvalidArgument`] for a wrong URL.
    pub fn open(url: StoreUrl, zone: Tz, patience: Duration) -> Result<Arc<Self>> {
        let shared = Arc::new(SharedSignals {
            url,
            zone,
            patience: patience.min(PATIENCE),
            view: RwLock::default(),
            told: AtomicI64::new(0),
            looked: Mutex::default(),
            wake: Notify::new(),
            ended: AtomicBool::new(false),
            trouble: Mutex::default(),
            gave_up: Mutex::default(),
            forgot: AtomicBool::new(false),
        });
        let session = Arc::new(tokio::sync::Mutex::new(SignalSession::new(shared.clone())));
        let table = Self { database: Database::new()?, shared, session, reader: Arc::default() };
        table.in_session(table.shared.deadline(), |mut session, deadline| async move {
            session.read(deadline, Instant::now() + READING).await
        })?;
        table.shared.view.write().state.index.trim();
        table.database.spawn(follow(table.shared.clone(), table.session.clone()))?;
        Ok(Arc::new(table))
    }

    /// Runs `act` on the session, until a deadline.
    fn in_session<T, F>(
        &self,
        deadline: Instant,
        act: impl FnOnce(OwnedMutexGuard<SignalSession>, Instant) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let shared = self.shared.clone();
        self.database.wait_with(&self.session, deadline, act, move || shared.in_vain())
    }

    /// Updates the state, until a deadline.
    fn refresh_until(&self, deadline: Instant) -> Result<()> {
        self.in_session(deadline, |mut session, deadline| async move { session.refresh(deadline).await })
    }

    /// Reads the lines of rows, in no order, until a deadline.
    fn lines(&self, numbers: Vec<i64>, deadline: Instant) -> Result<Vec<(i64, Vec<u8>)>> {
        let (shared, reader) = (self.shared.clone(), self.reader.clone());
        self.database.wait(async move {
            let mut attempts = Attempts::until(deadline);
            loop {
                let failure = match attempts.one(&shared.url, read(&shared, &reader, &numbers)).await {
                    Ok(lines) => return Ok(lines),
                    Err(failure) => failure,
                };
                if matches!(failure, Failure::Lost(_)) {
                    *reader.lock().await = None;
                }
                attempts.again(failure, UNCHANGED).await?;
            }
        })
    }
}

/// Keeps the state up to date: after each notification, and at intervals.
async fn follow(shared: Arc<SharedSignals>, session: Arc<tokio::sync::Mutex<SignalSession>>) {
    loop {
        // After a wake-up or a time-out alike, the table is checked.
        let _ = tokio::time::timeout(LOOK_AGAIN, shared.wake.notified()).await;
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        let mut session = session.lock().await;
        let recent = shared.looked.lock().is_some_and(|at| at.elapsed() < LOOK_AGAIN);
        if !(recent && shared.is_current(shared.position())) {
            // Callers that arrive meanwhile have at least this much time left.
            let soon = Instant::now() + shared.patience / 2;
            let patient = if shared.forgot.load(Ordering::Acquire) { Instant::now() + READING } else { soon };
            // A failure is reported to the next caller that cannot wait, and retried.
            let _ = session.read(soon, patient).await;
        }
    }
}

async fn read(
    shared: &Arc<SharedSignals>,
    reader: &tokio::sync::Mutex<Option<Arc<Link>>>,
    numbers: &[i64],
) -> std::result::Result<Vec<(i64, Vec<u8>)>, Failure> {
    let link = {
        let mut reader = reader.lock().await;
        match reader.clone().filter(|link| !link.client.is_closed()) {
            Some(link) => link,
            None => reader.insert(Arc::new(Link::open(&shared.url, |_, _| {}).await?)).clone(),
        }
    };
    let sql = format!("SELECT {} FROM signals WHERE number = ANY($1)", rows::WHOLE);
    let rows = link.client.query(&sql, &[&numbers]).await?;
    let zone = shared.zone;
    rows.iter().map(|row| rows::line_of(row, zone)).collect::<Result<_>>().map_err(Failure::Refused)
}

impl Journal for SignalTable {
    fn state(&self) -> StateRead<'_> {
        RwLockReadGuard::map(self.shared.view.read(), |view| &view.state)
    }

    fn state_mut(&self) -> StateWrite<'_> {
        RwLockWriteGuard::map(self.shared.view.write(), |view| &mut view.state)
    }

    fn current_state(&self) -> Option<StateWrite<'_>> {
        let view = self.shared.view.try_write().filter(|view| self.shared.is_current(view.position))?;
        Some(RwLockWriteGuard::map(view, |view| &mut view.state))
    }

    fn look(&self, asked: Asked) -> (StateRead<'_>, Box<dyn Source + '_>) {
        (self.state(), Box::new(Reading { table: self, deadline: self.shared.deadline_of(asked) }))
    }

    /// Each caller blocks a thread while it waits, so callers are answered together: one that arrives just after another waited
    /// without success fails at once.
    fn refresh(&self) -> Result<()> {
        if self.shared.gave_up.lock().is_some_and(|at| at.elapsed() < IN_VAIN) {
            return Err(self.shared.in_vain());
        }
        let deadline = self.shared.deadline();
        let seen = self.refresh_until(deadline);
        if seen.is_err() && Instant::now() + IN_VAIN >= deadline {
            *self.shared.gave_up.lock() = Some(Instant::now());
        }
        seen
    }

    fn refresh_for_price(&self) -> Result<()> {
        if self.shared.is_current(self.shared.position()) { Ok(()) } else { Journal::refresh(self) }
    }

    fn recovery(&self) -> Recovery {
        let view = self.shared.view.read();
        Recovery { damaged: view.damaged, contradictions: view.contradictions, ..Recovery::default() }
    }

    /// The database's vacuum does this; the result only has the table's size.
    fn compact(&self, _swap: &dyn Fn(CompactedLog) -> Result<Option<Compaction>>) -> Result<Compaction> {
        let sized = |mut session: OwnedMutexGuard<SignalSession>, deadline| async move { session.size(deadline).await };
        let bytes = self.in_session(self.shared.deadline(), sized)?;
        Ok(Compaction { bytes_before: bytes, bytes_after: bytes })
    }
}

/// Reads rows until a deadline.
struct Reading<'a> {
    table: &'a SignalTable,
    deadline: Instant,
}

impl Reading<'_> {
    fn lines(&self, numbers: Vec<i64>) -> Result<Vec<(i64, Vec<u8>)>> {
        self.table.lines(numbers, self.deadline)
    }
}

impl Source for Reading<'_> {
    fn records(&self, places: &[Place], visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        for places in places.chunks(PAGE) {
            let numbers: Vec<i64> = places.iter().map(|place| place.offset as i64).collect();
            let lines: HashMap<i64, Vec<u8>> = self.lines(numbers.clone())?.into_iter().collect();
            for number in numbers {
                let line = lines.get(&number).ok_or_else(|| gone(number))?;
                let record = line::decode(line, self.table.shared.zone);
                visit(record.map_err(|reason| Error::storage(Resource::FeedbackStore, reason))?)?;
            }
        }
        Ok(())
    }

    fn line(&self, place: Place) -> Result<Vec<u8>> {
        let number = place.offset as i64;
        let found = self.lines(vec![number])?.into_iter().next();
        found.map(|(_, line)| line).ok_or_else(|| gone(number))
    }

    fn is_far(&self) -> bool {
        true
    }

    fn prefetch(&self, wanted: Vec<(Place, SignalKey)>) -> Result<Prefetched> {
        let mut prefetched = Prefetched::default();
        for wanted in wanted.chunks(PAGE) {
            let keys: HashMap<i64, SignalKey> = wanted.iter().map(|(place, key)| (place.offset as i64, *key)).collect();
            for (number, line) in self.lines(keys.keys().copied().collect())? {
                prefetched.add(keys[&number], &line);
            }
        }
        Ok(prefetched)
    }
}

fn gone(number: i64) -> Error {
    let problem = format!("row {number} is gone from the table signals: something other than signalloop deleted it");
    Error::storage(Resource::FeedbackStore, problem)
}

/// The writer's access to a table.
struct TableTurns {
    table: Arc<SignalTable>,
    /// When the turn ends.
    deadline: Instant,
    /// The position by which the turn's changes are decided.
    position: i64,
    /// Whether the session may hold the table's lock.
    holding: bool,
}

impl TableTurns {
    fn new(table: Arc<SignalTable>) -> Self {
        Self { table, deadline: Instant::now(), position: 0, holding: false }
    }

    /// Decides again, since a decision by an outdated state must not be written.
    fn decide_anew(&mut self) {
        self.position = self.table.shared.position();
    }
}

impl Turns for TableTurns {
    fn begin(&mut self, asked: Asked) -> Result<()> {
        let (shared, now) = (&self.table.shared, Instant::now());
        self.deadline = shared.deadline_of(asked);
        if shared.trouble.lock().is_none() {
            // The database answers, so no caller times out only because it waited behind others.
            self.deadline = self.deadline.max(now + shared.patience / 2);
        } else if now >= self.deadline {
            return Err(shared.in_vain());
        }
        self.decide_anew();
        Ok(())
    }

    fn append(&mut self, batch: &WriteBatch<'_>) -> Result<bool> {
        let shared = self.table.shared.clone();
        let rows = Rows::of(batch, &shared.view.read().state, self.position, shared.zone)?;
        let rows = Arc::new(rows);
        let sent = rows.clone();
        let write =
            |mut session: OwnedMutexGuard<SignalSession>, deadline| async move { session.write(&sent, deadline).await };
        let written = self.table.in_session(self.deadline, write);
        // A failed session has released the lock; if it was not available in time, nothing has changed.
        self.holding = matches!(written, Ok(false)) || (self.holding && written.is_err());
        if !written? {
            self.decide_anew();
            return Ok(false);
        }
        let mut view = shared.view.write();
        for (key, number) in rows.keys.iter().zip(rows.numbers()) {
            if let Some((facts, _)) = batch.newest(*key) {
                // It was decided by this very state. A rejection would be a defect; the table is right in any case.
                let _ = view.state.apply(facts, Place { offset: *number as u64, len: 0 });
            }
        }
        view.position = view.position.max(rows.to());
        Ok(true)
    }

    /// Everything in the state is committed, but others may have committed more.
    fn confirm(&mut self, _must_sync: bool) -> Result<bool> {
        self.table.refresh_until(self.deadline)?;
        let decided = self.position;
        self.decide_anew();
        Ok(self.position == decided)
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.holding) {
            let released = self.table.in_session(Instant::now() + session::RELEASING, |mut session, _| async move {
                session.release().await;
                Ok(())
            });
            // This waits without success only behind a session that has lost its connection, and with it the lock.
            drop(released);
        }
    }

    fn finish(self: Box<Self>) {
        let SignalTable { database, shared, session, reader } = &*self.table;
        shared.ended.store(true, Ordering::Release);
        shared.wake.notify_one();
        let (session, reader) = (session.clone(), reader.clone());
        let closed = database.wait(async move {
            session.lock().await.close();
            *reader.lock().await = None;
            Ok(())
        });
        // What is left ends with the thread of the database.
        drop(closed);
    }
}
