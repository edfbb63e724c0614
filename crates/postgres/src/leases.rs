//! Leases: who may do what only one at a time may, among machines, as rows of a table.
//!
//! A lease lasts until a time of the database's own clock, and is renewed long before. Its holder counts from before it asked,
//! by a clock that nobody sets, and so stops first. Whoever takes it over gets the next number, its token; what a holder writes,
//! it writes in a statement that checks its token ([`Lease::fence`]), so that a former one, however late, writes nothing.
//!
//! Each statement is a transaction of its own, and each may be sent twice: a connection that is cut between commit and answer
//! does no harm.

use super::statements::{Parameter, Statements};
use super::{Database, PATIENCE, StoreUrl};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::time::elapsed;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use storage::fence::Fence;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Row;

/// The pause between two attempts to take what another holds.
const PAUSE: Duration = Duration::from_millis(20);

/// The leases of one loop.
pub struct Leases {
    database: Database,
    shared: Arc<Shared>,
}

struct Shared {
    statements: Statements,
    /// How long a lease lasts without being renewed.
    length: Duration,
    /// Machine, process and loop.
    holder: String,
    /// What is held here, or just being taken.
    held: Mutex<HashMap<String, Option<Arc<Term>>>>,
    /// The database's clock and ours, read together, UTC epoch ms.
    clocks: Mutex<Option<(i64, Duration)>>,
    /// Leases that were given up, and of which the database does not know yet.
    parting: Mutex<usize>,
    parted: Notify,
}

/// How long a lease is held for certain.
struct Term {
    token: i64,
    /// By [`elapsed`].
    until: Mutex<Duration>,
    lost: Cancel,
}

impl Term {
    fn is_over(&self) -> bool {
        self.lost.is_cancelled() || elapsed() >= *self.until.lock()
    }
}

/// A lease, renewed by itself and given up when dropped.
pub struct Lease {
    fence: Fence,
    term: Arc<Term>,
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
}

impl Leases {
    /// Leases in the database at `url`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`Error::Storage`] when there is no thread to be had.
    pub fn new(url: StoreUrl, length: Duration) -> Result<Self> {
        let holder = format!("{} process {} ({:08x})", storage::machine(), std::process::id(), rand::random::<u32>());
        let shared = Arc::new(Shared {
            statements: Statements::new(url, patience(length)),
            length,
            holder,
            held: Mutex::default(),
            clocks: Mutex::default(),
            parting: Mutex::default(),
            parted: Notify::new(),
        });
        let database = Database::new()?;
        database.spawn(renew(shared.clone()))?;
        Ok(Self { database, shared })
    }

    /// Who holds what is held here.
    pub fn holder(&self) -> &str {
        &self.shared.holder
    }

    /// How long a lease lasts without being renewed.
    pub fn length(&self) -> Duration {
        self.shared.length
    }

    /// How long one question may take of which a lease, or somebody who looks, waits.
    pub fn patience(&self) -> Duration {
        self.shared.patience()
    }

    /// The database's clock, as far as it was heard of, UTC epoch ms.
    pub fn now_ms(&self) -> Option<i64> {
        let (there_ms, here) = (*self.shared.clocks.lock())?;
        Some(there_ms + elapsed().saturating_sub(here).as_millis() as i64)
    }

    /// Takes a lease, waiting no longer than `patience` for whoever holds it.
    ///
    /// # Errors
    /// [`Error::TaskBusy`], naming the holder; [`Error::Storage`] when the database does not answer in half the time that a
    /// lease lasts.
    pub fn take(&self, name: &str, patience: Duration) -> Result<Lease> {
        let (shared, name, begun) = (self.shared.clone(), name.to_owned(), Instant::now());
        self.database.wait(async move {
            loop {
                match take(&shared, &name).await {
                    Err(Error::TaskBusy(_)) if begun.elapsed() < patience => sleep(PAUSE).await,
                    taken => return taken,
                }
            }
        })
    }

    /// A lease that a statement took in the name of [`Self::holder`], sent at `sent` by [`elapsed`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn adopt(&self, name: String, token: i64, sent: Duration) -> Result<Lease> {
        Ok(Lease::begin(&self.shared, Fence { name, token }, sent, self.database.handle()?.clone()))
    }

    /// The names of all leases that are held here.
    pub fn held(&self) -> Vec<String> {
        self.shared.held.lock().keys().cloned().collect()
    }

    /// Runs one statement, which may be sent twice. Waits, on the caller's thread.
    ///
    /// # Errors
    /// [`Error::Storage`] when the database does not answer in `patience`, or refuses; [`Error::Busy`].
    pub fn ask(&self, sql: &'static str, parameters: Vec<Parameter>, patience: Duration) -> Result<Vec<Row>> {
        let shared = self.shared.clone();
        self.database.wait(async move { shared.statements.rows(sql, &parameters, Instant::now() + patience).await })
    }

    /// [`Self::ask`] that does not wait: `then` is told the answer, on the database's thread.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn ask_later(
        &self,
        sql: &'static str,
        patience: Duration,
        then: impl FnOnce(Result<Vec<Row>>) + Send + 'static,
    ) -> Result<()> {
        let shared = self.shared.clone();
        self.database.spawn(async move { then(shared.statements.rows(sql, &[], Instant::now() + patience).await) })
    }

    /// Waits until the database knows of what was given up, a few seconds at most.
    pub fn close(&self) {
        let shared = self.shared.clone();
        let waited = self.database.wait(async move {
            let deadline = Instant::now() + shared.patience();
            loop {
                let parted = shared.parted.notified();
                if *shared.parting.lock() == 0 || timeout_at(deadline, parted).await.is_err() {
                    return Ok(());
                }
            }
        });
        // Without the database's thread there is nothing to wait for: those leases end by themselves.
        drop(waited);
    }
}

impl Lease {
    /// One that was asked for at `sent`, by [`elapsed`].
    fn begin(shared: &Arc<Shared>, fence: Fence, sent: Duration, runtime: tokio::runtime::Handle) -> Self {
        let until = Mutex::new(sent + shared.length);
        let term = Arc::new(Term { token: fence.token, until, lost: Cancel::default() });
        shared.held.lock().insert(fence.name.clone(), Some(term.clone()));
        Self { fence, term, shared: shared.clone(), runtime }
    }

    /// What a statement checks before it writes anything in the name of the holder.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Whether it is held for certain.
    pub fn is_held(&self) -> bool {
        !self.term.is_over()
    }

    /// Returns once it is not held for certain any more.
    pub async fn lost(&self) {
        loop {
            let until = *self.term.until.lock();
            if self.term.is_over() {
                return;
            }
            let ends = async {
                sleep(until.saturating_sub(elapsed())).await;
                Ok(())
            };
            // Which of the two it was says the next look.
            let _ = self.term.lost.unless(ends).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let known = {
            let mut held = self.shared.held.lock();
            let own = held
                .get(&self.fence.name)
                .is_some_and(|term| term.as_ref().is_some_and(|term| Arc::ptr_eq(term, &self.term)));
            if own {
                held.remove(&self.fence.name);
            }
            own
        };
        if !known || self.term.is_over() {
            return;
        }
        let (shared, Fence { name, token }) = (self.shared.clone(), self.fence.clone());
        *shared.parting.lock() += 1;
        self.runtime.spawn(async move {
            // Unheard of, it ends by itself a little later.
            let _ = shared
                .statements
                .rows(RELEASE, &[Box::new(name), Box::new(token)], Instant::now() + shared.patience())
                .await;
            *shared.parting.lock() -= 1;
            shared.parted.notify_waiters();
        });
    }
}

const RELEASE: &str = "UPDATE signalloop_leases SET until = clock_timestamp() \
    WHERE name = $1 AND token = $2 AND until > clock_timestamp()";

/// What this loop took without hearing of it, it takes again.
const TAKE: &str = "WITH taken AS ( \
      INSERT INTO signalloop_leases AS lease (name, holder, token, until, since) \
      VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 millisecond', clock_timestamp()) \
      ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = lease.token + 1, since = excluded.since, \
        until = clock_timestamp() + $3 * interval '1 millisecond' \
      WHERE lease.until <= clock_timestamp() OR lease.holder = excluded.holder \
      RETURNING token) \
    SELECT token, NULL::text, (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM taken \
    UNION ALL SELECT NULL, holder, (extract(epoch FROM clock_timestamp()) * 1000)::bigint \
      FROM signalloop_leases WHERE name = $1 AND NOT EXISTS (SELECT FROM taken)";

const RENEW: &str = "UPDATE signalloop_leases AS lease SET until = clock_timestamp() + $3 * interval '1 millisecond' \
    FROM unnest($1::text[], $2::bigint[]) AS mine (name, token) \
    WHERE lease.name = mine.name AND lease.token = mine.token AND lease.until > clock_timestamp() \
    RETURNING lease.name, (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// How long one question about leases may take: a holder must be able to ask twice before its lease ends.
fn patience(length: Duration) -> Duration {
    (length / 2).min(PATIENCE)
}

impl Shared {
    fn patience(&self) -> Duration {
        patience(self.length)
    }

    fn length_ms(&self) -> Parameter {
        Box::new(self.length.as_secs_f64() * 1000.0)
    }

    fn heard_clock(&self, there_ms: i64) {
        *self.clocks.lock() = Some((there_ms, elapsed()));
    }

    fn busy(&self, name: &str, holder: &str) -> Error {
        Error::TaskBusy(format!("`{name}` of {} is held by {holder}; nothing was begun", self.statements.url()))
    }
}

/// A name that is being taken here; free again when dropped, unless it was taken.
struct Reserved<'a>(&'a Shared, &'a str);

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held.lock();
        if held.get(self.1).is_some_and(Option::is_none) {
            held.remove(self.1);
        }
    }
}

async fn take(shared: &Arc<Shared>, name: &str) -> Result<Lease> {
    {
        let mut held = shared.held.lock();
        if held.get(name).is_some_and(|term| term.as_ref().is_none_or(|term| !term.is_over())) {
            return Err(shared.busy(name, &shared.holder));
        }
        held.insert(name.to_owned(), None);
    }
    let _reserved = Reserved(shared, name);
    let deadline = Instant::now() + shared.patience();
    let parameters: [Parameter; 3] = [Box::new(name.to_owned()), Box::new(shared.holder.clone()), shared.length_ms()];
    let mut sent = Duration::ZERO;
    let found = shared.statements.timed(TAKE, &parameters, deadline, &mut sent).await?;
    let Some(row) = found.first() else { return Err(shared.busy(name, "another instance")) };
    shared.heard_clock(row.get(2));
    let Some(token) = row.get::<_, Option<i64>>(0) else { return Err(shared.busy(name, row.get(1))) };
    let fence = Fence { name: name.to_owned(), token };
    Ok(Lease::begin(shared, fence, sent, tokio::runtime::Handle::current()))
}

/// Renews what is held, three times before it would end.
async fn renew(shared: Arc<Shared>) {
    loop {
        sleep(shared.length / 3).await;
        let terms: Vec<(String, Arc<Term>)> = {
            let held = shared.held.lock();
            let known = held.iter().filter_map(|(name, term)| Some((name.clone(), term.clone()?)));
            known.filter(|(_, term)| !term.is_over()).collect()
        };
        if terms.is_empty() {
            continue;
        }
        let names: Vec<String> = terms.iter().map(|(name, _)| name.clone()).collect();
        let tokens: Vec<i64> = terms.iter().map(|(_, term)| term.token).collect();
        let parameters: [Parameter; 3] = [Box::new(names), Box::new(tokens), shared.length_ms()];
        let mut sent = Duration::ZERO;
        let renewed = shared.statements.timed(RENEW, &parameters, Instant::now() + shared.length / 3, &mut sent).await;
        // Without an answer, what is held goes on until it ends by our own clock; it is asked again before that.
        let Ok(renewed) = renewed else { continue };
        renewed.iter().for_each(|row| shared.heard_clock(row.get(1)));
        for (name, term) in terms {
            if renewed.iter().any(|row| row.get::<_, &str>(0) == name) {
                let mut until = term.until.lock();
                // What was over here stays so, for others may have been told.
                if elapsed() < *until {
                    *until = sent + shared.length;
                }
            } else {
                term.lost.cancel();
            }
        }
    }
}
