//! Leases: rows of a table that grant a role to one machine at a time.
//!
//! A lease lasts until a time by the database's clock, and is renewed long before that. Its holder measures from before its
//! request, by a clock that cannot be set, and so stops first. Each new holder gets a higher number, the token. Every statement
//! by right of a lease checks the token ([`Lease::fence`]), so a former holder, however late, writes nothing.
//!
//! Each statement is its own transaction and safe to send twice, so a connection that is cut between commit and answer does no
//! harm.

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

/// Pause between two attempts to take a lease that another instance holds.
const PAUSE: Duration = Duration::from_millis(20);

/// The leases of one loop.
pub struct Leases {
    database: Database,
    shared: Arc<SharedLeases>,
}

struct SharedLeases {
    statements: Statements,
    /// How long a lease lasts without renewal.
    length: Duration,
    /// Machine, process and loop.
    holder: String,
    /// Leases that are held here, or being taken.
    held: Mutex<HashMap<String, Option<Arc<Term>>>>,
    /// The database's clock (UTC epoch ms) and ours, read at the same time.
    clocks: Mutex<Option<(i64, Duration)>>,
    /// The number of released leases that the database does not know about yet.
    parting: Mutex<usize>,
    parted: Notify,
}

/// How long a lease is certainly held.
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

/// A lease, renewed automatically and released when dropped.
pub struct Lease {
    fence: Fence,
    term: Arc<Term>,
    shared: Arc<SharedLeases>,
    runtime: tokio::runtime::Handle,
}

impl Leases {
    /// Leases in the database at `url`. Connects on first use.
    ///
    /// # Errors
    /// [`Error::Storage`] if no thread can be started.
    pub fn new(url: StoreUrl, length: Duration) -> Result<Self> {
        let holder = format!("{} process {} ({:08x})", storage::machine(), std::process::id(), rand::random::<u32>());
        let shared = Arc::new(SharedLeases {
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

    /// The name of this holder.
    pub fn holder(&self) -> &str {
        &self.shared.holder
    }

    /// How long a lease lasts without renewal.
    pub fn length(&self) -> Duration {
        self.shared.length
    }

    /// Time limit of a request on which a lease, or a person who looks, depends.
    pub fn patience(&self) -> Duration {
        self.shared.patience()
    }

    /// The database's clock, as far as known, UTC epoch ms.
    pub fn now_ms(&self) -> Option<i64> {
        let (there_ms, here) = (*self.shared.clocks.lock())?;
        Some(there_ms + elapsed().saturating_sub(here).as_millis() as i64)
    }

    /// Takes a lease, waiting up to `patience` for its holder.
    ///
    /// # Errors
    /// [`Error::TaskBusy`] naming the holder; [`Error::Storage`] if the database does not answer within half a lease.
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

    /// The lease that a statement took for [`Self::holder`]; the statement was sent at `sent`, by [`elapsed`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn adopt(&self, name: String, token: i64, sent: Duration) -> Result<Lease> {
        Ok(Lease::begin(&self.shared, Fence { name, token }, sent, self.database.handle()?.clone()))
    }

    /// The names of all leases held here.
    pub fn held(&self) -> Vec<String> {
        self.shared.held.lock().keys().cloned().collect()
    }

    /// Runs one statement, which must be safe to send twice. Blocks the caller's thread.
    ///
    /// # Errors
    /// [`Error::Storage`] if the database does not answer within `patience`, or refuses; [`Error::Busy`].
    pub fn ask(&self, sql: &'static str, parameters: Vec<Parameter>, patience: Duration) -> Result<Vec<Row>> {
        let shared = self.shared.clone();
        self.database.wait(async move { shared.statements.rows(sql, &parameters, Instant::now() + patience).await })
    }

    /// [`Self::ask`] without blocking: `then` receives the answer on the database's thread.
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

    /// Waits until the database knows about released leases, a few seconds at most.
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
        // Without the database's thread there is nothing to wait for; the leases expire.
        drop(waited);
    }
}

impl Lease {
    /// Begins a lease that was requested at `sent`, by [`elapsed`].
    fn begin(shared: &Arc<SharedLeases>, fence: Fence, sent: Duration, runtime: tokio::runtime::Handle) -> Self {
        let until = Mutex::new(sent + shared.length);
        let term = Arc::new(Term { token: fence.token, until, lost: Cancel::default() });
        shared.held.lock().insert(fence.name.clone(), Some(term.clone()));
        Self { fence, term, shared: shared.clone(), runtime }
    }

    /// The lease's name and token, which a statement checks before it writes.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Whether the lease is certainly held.
    pub fn is_held(&self) -> bool {
        !self.term.is_over()
    }

    /// Returns when the lease is no longer certainly held.
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
            // The next check tells which of both happened.
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
            // If this fails, the lease expires a little later.
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

/// A lease that this loop took without receiving the answer is taken again.
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

/// Time limit of a request about leases: a holder must be able to ask twice before its lease ends.
fn patience(length: Duration) -> Duration {
    (length / 2).min(PATIENCE)
}

impl SharedLeases {
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

/// A name that is being taken here. Dropping it frees the name, unless it was taken.
struct Reserved<'a>(&'a SharedLeases, &'a str);

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held.lock();
        if held.get(self.1).is_some_and(Option::is_none) {
            held.remove(self.1);
        }
    }
}

async fn take(shared: &Arc<SharedLeases>, name: &str) -> Result<Lease> {
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

/// Renews held leases three times before they would end.
async fn renew(shared: Arc<SharedLeases>) {
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
        // Without an answer, leases end by our own clock; the next request comes before that.
        let Ok(renewed) = renewed else { continue };
        renewed.iter().for_each(|row| shared.heard_clock(row.get(1)));
        for (name, term) in terms {
            if renewed.iter().any(|row| row.get::<_, &str>(0) == name) {
                let mut until = term.until.lock();
                // A lease that has ended here stays ended, since others may have been told.
                if elapsed() < *until {
                    *until = sent + shared.length;
                }
            } else {
                term.lost.cancel();
            }
        }
    }
}
