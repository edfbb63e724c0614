//! Models in a database that several machines share: the tables `signalloop_markets`, `signalloop_models`, `signalloop_pools` and
//! `signalloop_ledger`. `docs/postgres.md` explains their use.
//!
//! Which model is in service is known without asking: every change sends a notification, and the tables are checked twice a
//! second besides. A requested model is fetched before it is reported as being in service, so no prediction waits for the
//! database.

mod cache;
mod pools;
mod session;
mod shared;

use crate::{Database, PATIENCE, StoreUrl};
use cache::Cache;
use domain::answer::Answer;
use domain::error::{Error, Result};
use domain::symbol::Market;
use learning::model::file;
use learning::model::ledger::Ledger;
use parking_lot::{Mutex, RwLock};
use registry::Registry;
use registry::folder::file_name;
use registry::pool::{Pool, checksum, hex};
use registry::pool_files::damaged;
use registry::state::State;
use registry::store::{Change, Checksum, Head, ModelStore, Next, Served, StampAnswer, VersionStamp};
use session::{Attempt, Fetched, Found, ModelLink, ModelSession, Prepared};
use shared::{SharedModels, Slot};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedMutexGuard, watch};
use tokio::time::{Instant, timeout};

/// How often the tables are checked without a notification, in case one was lost.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Time limit of a check.
const LOOKING: Duration = Duration::from_secs(5);
/// Time limit for transferring pooled models: 25 MB over a slow line.
const CARRYING: Duration = Duration::from_secs(60);
/// How long a start waits for the database if the models last in service are cached.
const HURRY: Duration = Duration::from_secs(1);

/// Receives warnings from background work.
type Warn = Box<dyn Fn(String) + Send + Sync>;

/// The registry of a database; connects on first use. The models in service are cached as files below `cache`, so that they need
/// not be fetched again. While the database is unreachable, the cached models serve, and `warn` is called.
pub fn open(url: StoreUrl, cache: PathBuf, warn: impl Fn(String) + Send + Sync + 'static) -> Registry {
    Registry::on(Box::new(ModelTables::new(url, cache, Box::new(warn))))
}

/// The store of models in tables.
pub(super) struct ModelTables {
    shared: Arc<SharedModels>,
    running: Mutex<Running>,
}

enum Running {
    NotYet,
    Yes(Arc<Connection>),
    Closed,
}

struct Connection {
    database: Database,
    session: Arc<tokio::sync::Mutex<ModelSession>>,
}

impl ModelSession {
    /// Updates what is known. Fetching models has its own time limit.
    async fn refresh(&mut self, shared: &Arc<SharedModels>, mut deadline: Instant, known: &'static str) -> Result<()> {
        let mut tried = Arc::new(HashSet::new());
        loop {
            let (of, before) = (shared.clone(), tried.clone());
            let look = self.ask(
                deadline,
                || known,
                move |open| {
                    let (shared, tried) = (of.clone(), before.clone());
                    Box::pin(async move { shared.look(open, &tried).await })
                },
            );
            let lacking = look.await?;
            if lacking.is_empty() {
                return Ok(());
            }
            for pool in &lacking {
                // A missing or damaged one is reported to the caller that requests it.
                if let Some(Fetched::Sound(bytes)) = self.fetch(*pool, known).await? {
                    shared.keep_pool(&Pool::of(bytes));
                }
            }
            Arc::make_mut(&mut tried).extend(lacking);
            deadline = Instant::now() + LOOKING;
        }
    }

    /// Fetches a pooled model.
    async fn fetch(&mut self, pool: Checksum, known: &'static str) -> Result<Option<Fetched>> {
        self.ask(Instant::now() + CARRYING, || known, move |open| Box::pin(async move { open.pool(&pool).await })).await
    }
}

impl ModelTables {
    /// Connects on first use.
    pub fn new(url: StoreUrl, cache: PathBuf, warn: Warn) -> Self {
        let shared = Arc::new(SharedModels {
            url,
            patience: PATIENCE,
            cache: Cache::new(cache),
            kept: AtomicBool::new(false),
            warn,
            heads: RwLock::default(),
            looked: watch::Sender::new(false),
            wake: Notify::new(),
            ended: AtomicBool::new(false),
            gave_up: AtomicBool::new(false),
            trouble: Mutex::default(),
            warned: AtomicBool::new(false),
        });
        Self { shared, running: Mutex::new(Running::NotYet) }
    }

    /// The connection and the task that follows the tables; started at the first call.
    fn connection(&self) -> Result<Arc<Connection>> {
        let mut running = self.running.lock();
        match &*running {
            Running::Yes(connection) => Ok(connection.clone()),
            Running::Closed => Err(Error::Closed),
            Running::NotYet => {
                let session = Arc::new(tokio::sync::Mutex::new(ModelSession::new(self.shared.clone())));
                let connection = Arc::new(Connection { database: Database::new()?, session });
                connection.database.spawn(follow(self.shared.clone(), connection.session.clone()))?;
                *running = Running::Yes(connection.clone());
                Ok(connection)
            }
        }
    }

    /// Runs `act` on the session, within a call's time.
    fn in_session<T, F>(
        &self,
        act: impl FnOnce(OwnedMutexGuard<ModelSession>, Instant) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let (connection, shared) = (self.connection()?, self.shared.clone());
        let deadline = Instant::now() + shared.patience;
        connection.database.wait_with(&connection.session, deadline, act, move || shared.in_vain())
    }

    /// Runs a request that changes nothing.
    fn ask<T: Send + 'static>(
        &self,
        act: impl for<'a> Fn(&'a mut ModelLink) -> Attempt<'a, T> + Send + Sync + 'static,
    ) -> Result<T> {
        self.in_session(|mut session, deadline| async move { session.ask(deadline, unchanged, act).await })
    }

    /// Waits for the first check of the tables.
    fn first_look(&self, patience: Duration) -> Result<()> {
        let (connection, shared) = (self.connection()?, self.shared.clone());
        if shared.has_looked() {
            return Ok(());
        }
        if shared.gave_up.load(Ordering::Relaxed) {
            return Err(shared.in_vain());
        }
        connection.database.wait(async move {
            let mut looked = shared.looked.subscribe();
            match timeout(patience, looked.wait_for(|looked| *looked)).await {
                Ok(_) => Ok(()),
                Err(_) => {
                    shared.gave_up.store(true, Ordering::Relaxed);
                    Err(shared.in_vain())
                }
            }
        })
    }
}

/// Keeps what is known up to date: after each notification, and at intervals.
async fn follow(shared: Arc<SharedModels>, session: Arc<tokio::sync::Mutex<ModelSession>>) {
    loop {
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        let looked = session.lock().await.refresh(&shared, Instant::now() + LOOKING, "").await;
        match looked {
            Ok(()) => shared.warned.store(false, Ordering::Relaxed),
            Err(error) => {
                shared.trouble(&error);
                if !shared.warned.swap(true, Ordering::Relaxed) {
                    (shared.warn)(format!("models stay as they were last known, until the database answers: {error}"));
                }
            }
        }
        // After a wake-up or a time-out alike, the tables are checked.
        let _ = timeout(LOOK_AGAIN, shared.wake.notified()).await;
    }
}

impl ModelStore for ModelTables {
    fn stamp<'a>(&'a self, market: &'a Market) -> StampAnswer<'a> {
        let stamp = |head: Option<Head>| Ok(head.filter(|head| head.served.is_some()).map(VersionStamp::Row));
        let head = self.shared.wanted(market);
        if head.is_some() || self.shared.has_looked() {
            return Answer::Ready(stamp(head));
        }
        Answer::Pending(Box::new(move || {
            let cached = self.shared.cache.head(market);
            let looked = self.first_look(if cached.is_some() { HURRY } else { self.shared.patience });
            match (looked, cached) {
                (Ok(()), _) => {}
                (Err(_), Some(cached)) if !self.shared.has_looked() => self.shared.publish(market, cached),
                (Err(error), None) => return Err(error),
                (Err(_), Some(_)) => {}
            }
            stamp(self.shared.wanted(market))
        }))
    }

    fn refresh(&self) -> Result<()> {
        let shared = self.shared.clone();
        self.in_session(|mut session, deadline| async move { session.refresh(&shared, deadline, unchanged()).await })
    }

    fn served(&self, _market: &Market, stamp: &VersionStamp) -> Result<Option<Served>> {
        match stamp {
            VersionStamp::Row(head) => Ok(head.served),
            VersionStamp::File(_) => Ok(None),
        }
    }

    fn path(&self, market: &Market, version: Option<u64>) -> PathBuf {
        let (url, stem) = (&self.shared.url, market.file_stem());
        PathBuf::from(match version {
            Some(version) => format!("{url}/signalloop_models/{stem}/{}", file_name(version)),
            None => format!("{url}/signalloop_markets/{stem}"),
        })
    }

    fn bytes(&self, market: &Market, version: u64) -> Result<Option<Vec<u8>>> {
        let served = self.shared.head(market).and_then(|head| head.served);
        let expected = served.filter(|served| served.version == version).and_then(|served| served.checksum);
        if let Some(bytes) = expected.and_then(|expected| self.shared.cache.bytes(market, version, expected)) {
            return Ok(Some(bytes));
        }
        let of = market.clone();
        let fetched = self.ask(move |open| {
            let of = of.clone();
            Box::pin(async move { open.bytes(&of, version).await })
        });
        match fetched? {
            None => Ok(None),
            Some(Fetched::Damaged) => {
                file::refuse(&self.path(market, Some(version)), "it is damaged (checksum mismatch)".to_owned())
            }
            Some(Fetched::Sound(bytes)) => {
                if expected == Some(checksum(&bytes)) {
                    let pool = served.and_then(|served| served.pool);
                    self.shared.keep(market, version, &bytes, pool);
                }
                Ok(Some(bytes))
            }
        }
    }

    fn pool(&self, checksum: &Checksum) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.shared.cache.pool(checksum) {
            return Ok(Some(bytes));
        }
        let of = *checksum;
        let fetched = self.in_session(move |mut session, _| async move { session.fetch(of, unchanged()).await });
        match fetched? {
            None => Ok(None),
            Some(Fetched::Damaged) => damaged(&self.pool_path(checksum)),
            Some(Fetched::Sound(bytes)) => {
                let pool = Pool::of(bytes);
                if self.shared.serves(checksum) {
                    self.shared.keep_pool(&pool);
                }
                Ok(Some(pool.into_bytes()))
            }
        }
    }

    fn has_pool(&self, checksum: &Checksum) -> Result<bool> {
        let of = *checksum;
        self.ask(move |open| Box::pin(async move { open.has_pool(&of).await }))
    }

    fn pool_path(&self, checksum: &Checksum) -> PathBuf {
        PathBuf::from(format!("{}/signalloop_pools/{}", self.shared.url, hex(checksum)))
    }

    fn state(&self, market: &Market) -> Result<Option<State>> {
        let found = self.find(market)?;
        found.state.map(|text| self.decoded(market, &text)).transpose()
    }

    fn states(&self) -> Result<Vec<(Market, Result<State>)>> {
        let rows = self.ask(|open| Box::pin(async move { open.states().await }))?;
        let mut states: Vec<_> = rows
            .into_iter()
            .map(|(market, text)| {
                let state = self.decoded(&market, &text);
                (market, state)
            })
            .collect();
        states.sort_by_key(|(market, _)| market.file_stem());
        Ok(states)
    }

    fn ledger(&self) -> Result<Ledger> {
        let mut ledger = Ledger::default();
        for line in self.ask(|open| Box::pin(async move { open.ledger().await }))? {
            match serde_json::from_str(&line) {
                Ok(entry) => ledger.entries.push(entry),
                Err(_) => ledger.damaged += 1,
            }
        }
        Ok(ledger)
    }

    fn change<'a>(&'a self, market: &Market) -> Result<Box<dyn Change + 'a>> {
        Ok(Box::new(Changing { table: self, market: market.clone(), found: self.find(market)? }))
    }

    fn revision(&self) -> u64 {
        let heads = self.shared.heads.read();
        let of = |(market, slot): (&Market, &Slot)| {
            let mut hasher = DefaultHasher::new();
            (market, slot.head.batch).hash(&mut hasher);
            hasher.finish()
        };
        heads.iter().map(of).fold(0, u64::wrapping_add)
    }

    fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().as_ref().map(Error::to_string)
    }

    fn close(&self) {
        self.shared.ended.store(true, Ordering::Release);
        *self.running.lock() = Running::Closed;
    }
}

impl ModelTables {
    fn find(&self, market: &Market) -> Result<Found> {
        let of = market.clone();
        self.ask(move |open| {
            let of = of.clone();
            Box::pin(async move { open.find(&of).await })
        })
    }

    fn decoded(&self, market: &Market, text: &str) -> Result<State> {
        serde_json::from_str(text).or_else(|e| file::refuse(&self.path(market, None), format!("it is damaged ({e})")))
    }
}

/// A change, decided by what was found. It is written only if that has not changed.
struct Changing<'a> {
    table: &'a ModelTables,
    market: Market,
    found: Found,
}

impl Change for Changing<'_> {
    fn state(&self) -> Result<Option<State>> {
        self.found.state.as_ref().map(|text| self.table.decoded(&self.market, text)).transpose()
    }

    fn versions(&self) -> Result<Vec<u64>> {
        Ok(self.found.versions.clone())
    }

    fn commit(self: Box<Self>, next: Next) -> Result<Option<VersionStamp>> {
        let Self { table, market, found } = *self;
        let change = Arc::new(Prepared {
            market,
            next,
            upon: found.batch,
            batch: rand::random::<i64>(),
            sent: AtomicBool::new(false),
        });
        let shared = table.shared.clone();
        let head = table.in_session(|mut session, mut deadline| async move {
            for pool in &change.next.pools {
                let of = *pool.checksum();
                let is_there =
                    session.ask(deadline, unchanged, move |open| Box::pin(async move { open.has_pool(&of).await }));
                if !is_there.await? {
                    deadline = Instant::now() + CARRYING;
                }
            }
            let known = || {
                let sent = change.sent.load(Ordering::Relaxed);
                if sent { "it may have happened all the same" } else { "nothing was changed" }
            };
            let written = session.ask(deadline, known, |open| {
                let change = change.clone();
                Box::pin(async move { open.write(&change).await })
            });
            let head = written.await?;
            if let Some(head) = head {
                let champion = change.next.state.champion;
                if let Some(new) = change.next.versions.iter().find(|new| Some(new.number) == champion) {
                    let its = |pool: &&Pool| Some(pool.checksum()) == new.pool.as_ref();
                    change.next.pools.iter().filter(its).for_each(|pool| shared.keep_pool(pool));
                    shared.keep(&change.market, new.number, &new.bytes, new.pool);
                }
                shared.publish(&change.market, head);
            }
            Ok(head)
        })?;
        Ok(head.map(VersionStamp::Row))
    }
}

fn unchanged() -> &'static str {
    "nothing was changed"
}
