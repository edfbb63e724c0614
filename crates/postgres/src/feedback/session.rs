//! The connection for the store's changes, and how it takes turns with other writers.
//!
//! All changes have one order, that of `signals_position`. A writer first locks that row, so that changes become visible in order
//! and reading newer changes leaves no gaps. A batch is first tried by the known state, in one statement that does nothing if
//! others wrote first. In that case a transaction takes the lock and catches up, and everything is decided again while nobody
//! else can write.

use super::rows::{self, KNOWN, Known, Rows};
use super::{SharedSignals, UNCHANGED};
use crate::{Attempts, Failure, Link};
use domain::error::{Error, Resource, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

/// Rows requested at a time.
const PAGE: i64 = 5_000;
/// Time to release the lock; after that the connection is closed.
pub(super) const RELEASING: Duration = Duration::from_secs(1);

/// The connection; there may be none at the moment.
pub(super) struct SignalSession {
    shared: Arc<SharedSignals>,
    open: Option<SignalLink>,
    /// The server's timeline that the state was read from.
    timeline: Option<String>,
}

struct SignalLink {
    link: Link,
    channel: String,
    /// Whether its transaction holds the lock.
    locked: bool,
    position: Statement,
    lock: Statement,
    first: Statement,
    since: Statement,
    record: Statement,
    write: Statement,
}

impl SignalSession {
    pub fn new(shared: Arc<SharedSignals>) -> Self {
        Self { shared, open: None, timeline: None }
    }

    /// Updates the state.
    ///
    /// # Errors
    /// [`Error::Storage`] if the database did not answer before the deadline, or refused.
    pub async fn refresh(&mut self, deadline: Instant) -> Result<()> {
        self.read(deadline, deadline).await
    }

    /// [`Self::refresh`] that begins no attempt after `deadline`; an attempt that goes well may take until `patient`.
    pub async fn read(&mut self, deadline: Instant, patient: Instant) -> Result<()> {
        let (mut attempts, url) = (Attempts::until(deadline), self.shared.url.clone());
        loop {
            match attempts.one_until(patient, &url, self.catch_up(None)).await {
                Ok(_) => return Ok(()),
                Err(failure) => self.again(&mut attempts, failure, UNCHANGED).await?,
            }
        }
    }

    /// Writes rows. `false` if others wrote first: then the state includes what they wrote, and nobody else can write until the
    /// next attempt, or until [`Self::release`].
    ///
    /// # Errors
    /// As [`Self::refresh`]; the message says whether the rows may have been written.
    pub async fn write(&mut self, rows: &Rows, deadline: Instant) -> Result<bool> {
        let (mut attempts, url) = (Attempts::until(deadline), self.shared.url.clone());
        let mut sent = false;
        loop {
            let failure = match attempts.one(&url, self.attempt(rows, &mut sent)).await {
                Ok(written) => return Ok(written),
                Err(failure) => failure,
            };
            let known = if sent { "part of it may turn out to be recorded" } else { "nothing of it was recorded" };
            if let Err(error) = self.again(&mut attempts, failure, known).await {
                self.release().await;
                return Err(error);
            }
        }
    }

    /// One attempt. `sent` says whether an earlier attempt may have succeeded without an answer, and is set if this one may.
    async fn attempt(&mut self, rows: &Rows, sent: &mut bool) -> std::result::Result<bool, Failure> {
        if *sent {
            // Under the lock, so that an earlier attempt that is still running ends first.
            if self.take_lock(Some(rows.batch)).await? {
                self.release().await;
                return Ok(true);
            }
            *sent = false;
        }
        let shared = self.shared.clone();
        self.connected().await?;
        if shared.position() != rows.from {
            self.take_lock(None).await?;
            return Ok(false);
        }
        let open = self.connected().await?;
        let (to, count) = (rows.to(), rows.count() as i64);
        let columns = rows.columns();
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&rows.from, &to, &rows.batch, &open.channel];
        parameters.extend(columns);
        *sent = true;
        let client = &open.link.client;
        let write = if rows.all_new() { &open.record } else { &open.write };
        let written = if open.locked {
            let commit = async { client.batch_execute("COMMIT").await };
            let (written, committed) = tokio::join!(client.query_opt(write, &parameters), commit);
            open.locked = false;
            written.and_then(|row| committed.map(|()| row))
        } else {
            client.query_opt(write, &parameters).await
        };
        match written {
            Ok(Some(row)) if row.get::<_, i64>(0) == count => {
                shared.looked();
                Ok(true)
            }
            Ok(Some(_)) => Err(Failure::Refused(Error::storage(
                Resource::FeedbackStore,
                "the table signals was changed by something other than signalloop: an open signal is closed there",
            ))),
            Ok(None) => {
                *sent = false;
                self.take_lock(None).await?;
                Ok(false)
            }
            Err(error) => {
                let failure = Failure::from(error);
                *sent = matches!(failure, Failure::Lost(_));
                Err(failure)
            }
        }
    }

    /// Begins a transaction that holds the lock, and catches up. Returns whether the batch is already written.
    async fn take_lock(&mut self, batch: Option<i64>) -> std::result::Result<bool, Failure> {
        let open = self.connected().await?;
        if !open.locked {
            open.link.client.batch_execute("BEGIN").await?;
            open.locked = true;
        }
        self.catch_up(batch).await
    }

    /// Ends a transaction that holds the lock and has not written.
    pub async fn release(&mut self) {
        if let Some(open) = &mut self.open
            && std::mem::take(&mut open.locked)
            && !matches!(timeout(RELEASING, open.link.client.batch_execute("ROLLBACK")).await, Ok(Ok(())))
        {
            // The server ends the transaction together with the connection.
            self.open = None;
        }
    }

    /// Size of the table in bytes, with its indexes.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub async fn size(&mut self, deadline: Instant) -> Result<u64> {
        let (mut attempts, url) = (Attempts::until(deadline), self.shared.url.clone());
        loop {
            let size = async {
                let open = self.connected().await?;
                Ok(open.link.client.query_one("SELECT pg_total_relation_size('signals')", &[]).await?.get::<_, i64>(0))
            };
            match attempts.one(&url, size).await {
                Ok(size) => return Ok(size.unsigned_abs()),
                Err(failure) => self.again(&mut attempts, failure, UNCHANGED).await?,
            }
        }
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Reads newer changes. Returns whether a batch is among them.
    async fn catch_up(&mut self, batch: Option<i64>) -> std::result::Result<bool, Failure> {
        let shared = self.shared.clone();
        let open = self.connected().await?;
        let client = &open.link.client;
        let known = shared.position();
        // In one round trip: the position is read first, so that the rows read after it include it.
        let position = client.query_one(if open.locked { &open.lock } else { &open.position }, &[]);
        let after: [&(dyn ToSql + Sync); 2] = [&known, &PAGE];
        let page = client.query(if known == 0 { &open.first } else { &open.since }, &after);
        let (position, page) = tokio::join!(position, page);
        let (position, mut page): (i64, Vec<Row>) = (position?.get(0), page?);
        if position < known {
            // A restored backup, or a standby that lacks the latest commits.
            shared.start_over();
            return Box::pin(self.catch_up(batch)).await;
        }
        let mut found = false;
        let mut reached = position;
        let mut came = Vec::new();
        loop {
            let full = page.len() as i64 == PAGE;
            let rows = page.iter().map(|row| Known::read(row, shared.zone)).collect::<Result<Vec<_>>>();
            let rows = rows.map_err(Failure::Refused)?;
            found |= rows.iter().any(|row| Some(row.batch) == batch);
            let (number, change) = rows.last().map_or((0, 0), |row| (row.number, row.change));
            if known == 0 {
                shared.take_in(rows);
            } else {
                reached = reached.max(change);
                came.extend(rows);
            }
            if !full {
                break;
            }
            page = match known {
                0 => client.query(&open.first, &[&number, &PAGE]).await?,
                _ => client.query(&open.since, &[&change, &PAGE]).await?,
            };
        }
        // In order of recording, as for a process that starts now.
        came.sort_by_key(|row| row.number);
        shared.take_in(came);
        shared.reached(reached);
        shared.looked();
        Ok(found)
    }

    /// The connection; connects if there is none.
    async fn connected(&mut self) -> std::result::Result<&mut SignalLink, Failure> {
        if self.open.as_ref().is_none_or(|open| open.link.client.is_closed()) {
            self.open = None;
            let open = connect(&self.shared).await?;
            let timeline = open.link.timeline().await?;
            if timeline.is_some() && self.timeline.is_some() && timeline != self.timeline {
                // A standby took over. It may lack known changes, whatever its position says.
                self.shared.start_over();
            }
            self.timeline = timeline.or(self.timeline.take());
            self.open = Some(open);
        }
        self.open.as_mut().ok_or_else(|| Failure::lost("there is no connection"))
    }

    /// Prepares for another attempt and waits a little, unless it is time to return to the caller.
    async fn again(&mut self, attempts: &mut Attempts, failure: Failure, known: &str) -> Result<()> {
        match &failure {
            Failure::Lost(_) => self.open = None,
            Failure::Busy(_) => self.release().await,
            Failure::Refused(_) => {}
        }
        if !matches!(failure, Failure::Refused(_)) {
            self.shared.trouble(failure.error());
        }
        attempts.again(failure, known).await
    }
}

/// Connects, updates the tables, and listens for others' writes.
async fn connect(shared: &Arc<SharedSignals>) -> std::result::Result<SignalLink, Failure> {
    let of = Arc::downgrade(shared);
    let heard = move |position: &str| {
        if let Some(shared) = of.upgrade() {
            shared.notified(position.parse().unwrap_or(i64::MAX));
        }
    };
    let (link, channel) = Link::listening(&shared.url, "signalloop", shared.patience, heard).await?;
    let client = &link.client;
    let first = format!("SELECT {KNOWN} FROM signals WHERE number > $1 ORDER BY number LIMIT $2");
    let since = format!("SELECT {KNOWN} FROM signals WHERE change > $1 ORDER BY change LIMIT $2");
    let (record, write) = (rows::write(true), rows::write(false));
    let (position, lock, first, since, record, write) = tokio::try_join!(
        client.prepare("SELECT position FROM signals_position"),
        client.prepare("SELECT position FROM signals_position FOR UPDATE"),
        client.prepare(&first),
        client.prepare(&since),
        client.prepare(&record),
        client.prepare(&write),
    )?;
    Ok(SignalLink { link, channel, locked: false, position, lock, first, since, record, write })
}
