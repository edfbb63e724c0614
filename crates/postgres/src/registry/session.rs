//! The connection for models, and its statements.

use super::pools::{is_whole, purge_pools, write_pools};
use crate::{Attempts, Failure, Link};
use domain::error::{Error, Resource, Result, because};
use domain::symbol::Market;
use learning::model::ledger::Entry;
use registry::pool::checksum;
use registry::store::{Checksum, Head, Next, Served, superfluous};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tokio_postgres::{GenericClient, IsolationLevel, Row};

/// The models in service, by position in [`head`].
const HEADS: &str = "SELECT m.symbol, m.timeframe, m.batch, m.champion, v.checksum, v.pool FROM signalloop_markets m \
    LEFT JOIN signalloop_models v \
    ON v.symbol = m.symbol AND v.timeframe = m.timeframe AND v.version = m.champion";

/// The future of an attempt.
pub(super) type Attempt<'a, T> = Pin<Box<dyn Future<Output = std::result::Result<T, Failure>> + Send + 'a>>;

/// The connection; there may be none at the moment.
pub(super) struct ModelSession {
    shared: Arc<super::SharedModels>,
    open: Option<ModelLink>,
}

/// A connection.
pub(super) struct ModelLink {
    link: Link,
    channel: String,
}

/// What a database stores for a market, as the basis of a change.
pub(super) struct Found {
    pub state: Option<String>,
    /// Identifies the last change; `None` if the market has no row.
    pub batch: Option<i64>,
    pub versions: Vec<u64>,
}

/// A change, ready to be written.
pub(super) struct Prepared {
    pub market: Market,
    pub next: Next,
    /// The last change when this one was decided.
    pub upon: Option<i64>,
    /// Identifies this change.
    pub batch: i64,
    /// Whether an attempt may have succeeded without an answer.
    pub sent: AtomicBool,
}

impl ModelSession {
    pub fn new(shared: Arc<super::SharedModels>) -> Self {
        Self { shared, open: None }
    }

    /// Retries until it succeeds, is refused, or time runs out; then the error says what is `known`.
    ///
    /// # Errors
    /// [`Error::Storage`] if the database did not answer before the deadline; the reason of a refusal.
    pub async fn ask<T>(
        &mut self,
        deadline: Instant,
        known: impl Fn() -> &'static str,
        act: impl for<'a> Fn(&'a mut ModelLink) -> Attempt<'a, T>,
    ) -> Result<T> {
        let (mut attempts, url) = (Attempts::until(deadline), self.shared.url.clone());
        loop {
            let attempt = async { act(self.connected().await?).await };
            let failure = match attempts.one(&url, attempt).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if matches!(failure, Failure::Lost(_)) {
                self.open = None;
            }
            if !matches!(failure, Failure::Refused(_)) {
                self.shared.trouble(failure.error());
            }
            attempts.again(failure, known()).await?;
        }
    }

    /// The connection; connects if there is none.
    async fn connected(&mut self) -> std::result::Result<&mut ModelLink, Failure> {
        if self.open.as_ref().is_none_or(|open| open.link.client.is_closed()) {
            self.open = None;
            let of = Arc::downgrade(&self.shared);
            let heard = move |_: &str| {
                if let Some(shared) = of.upgrade() {
                    shared.wake.notify_one();
                }
            };
            let listening = Link::listening(&self.shared.url, "signalloop_models", self.shared.patience, heard);
            let (link, channel) = listening.await?;
            self.open = Some(ModelLink { link, channel });
        }
        self.open.as_mut().ok_or_else(|| Failure::lost("there is no connection"))
    }
}

impl ModelLink {
    /// The models in service of all markets.
    pub async fn heads(&self) -> std::result::Result<HashMap<Market, Head>, Failure> {
        let rows = self.link.client.query(HEADS, &[]).await?;
        rows.iter().map(|row| Ok((market(row)?, head(row)?))).collect()
    }

    /// A version's bytes with their checksum verified; `None` if it does not exist.
    pub async fn bytes(&self, market: &Market, version: u64) -> std::result::Result<Option<Fetched>, Failure> {
        let sql = "SELECT checksum, bytes FROM signalloop_models WHERE symbol = $1 AND timeframe = $2 AND version = $3";
        let row = self.link.client.query_opt(sql, &[&symbol(market), &timeframe(market), &(version as i64)]).await?;
        row.map(|row| Fetched::of(column(&row, 0)?, column(&row, 1)?)).transpose()
    }

    /// A pooled model, likewise.
    pub async fn pool(&self, checksum: &Checksum) -> std::result::Result<Option<Fetched>, Failure> {
        let sql = "SELECT checksum, bytes FROM signalloop_pools WHERE checksum = $1";
        let row = self.link.client.query_opt(sql, &[&checksum.as_slice()]).await?;
        row.map(|row| Fetched::of(column(&row, 0)?, column(&row, 1)?)).transpose()
    }

    /// Whether an undamaged pooled model exists; the server checks it.
    pub async fn has_pool(&self, checksum: &Checksum) -> std::result::Result<bool, Failure> {
        is_whole(&self.link.client, checksum, "").await.map(|found| found == Some(true))
    }

    /// The states of all markets.
    pub async fn states(&self) -> std::result::Result<Vec<(Market, String)>, Failure> {
        let sql = "SELECT symbol, timeframe, state::text FROM signalloop_markets";
        let rows = self.link.client.query(sql, &[]).await?;
        rows.iter().map(|row| Ok((market(row)?, column(row, 2)?))).collect()
    }

    /// The lines of the ledger.
    pub async fn ledger(&self) -> std::result::Result<Vec<String>, Failure> {
        let rows = self.link.client.query("SELECT entry::text FROM signalloop_ledger ORDER BY number", &[]).await?;
        rows.iter().map(|row| column(row, 0)).collect()
    }

    /// What is stored for a market.
    pub async fn find(&self, market: &Market) -> std::result::Result<Found, Failure> {
        let of = "WHERE symbol = $1 AND timeframe = $2";
        // In one statement, so that versions and state are consistent.
        let sql = format!(
            "SELECT (SELECT array_agg(version ORDER BY version) FROM signalloop_models {of}), state, batch \
             FROM (VALUES (1)) AS one LEFT JOIN \
             (SELECT state::text, batch FROM signalloop_markets {of}) AS market ON true"
        );
        let row = self.link.client.query_one(&sql, &[&symbol(market), &timeframe(market)]).await?;
        let versions: Option<Vec<i64>> = column(&row, 0)?;
        let versions = versions.unwrap_or_default().into_iter().map(i64::unsigned_abs).collect();
        Ok(Found { versions, state: column(&row, 1)?, batch: column(&row, 2)? })
    }

    /// Writes a change in one transaction. `None` if another change was faster.
    pub async fn write(&mut self, change: &Prepared) -> std::result::Result<Option<Head>, Failure> {
        let channel = self.channel.clone();
        // Each statement must see earlier commits, whatever the role's default is; the check of pooled models relies on it.
        let begun = self.link.client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start();
        let transaction = begun.await?;
        // Before locking the market's row, since this may take long.
        let rests = write_pools(&transaction, change).await?;
        if !take_turn(&transaction, change).await? {
            // Or an earlier attempt wrote this very change, but its answer was lost.
            if !change.sent.load(Ordering::Relaxed) || !is_written(&transaction, change.batch).await? {
                change.sent.store(false, Ordering::Relaxed);
                return Ok(None);
            }
            return current(&transaction, &change.market).await.map(Some);
        }
        change.sent.store(false, Ordering::Relaxed);
        if let Some(fence) = &change.next.fence {
            crate::fencing::check(fence, &transaction).await?;
        }
        if !rests {
            return Ok(None);
        }
        write_versions(&transaction, change).await?;
        purge_pools(&transaction).await?;
        write_ledger(&transaction, change).await?;
        let head = current(&transaction, &change.market).await?;
        transaction.execute("SELECT pg_notify($1, $2)", &[&channel, &change.market.file_stem()]).await?;
        change.sent.store(true, Ordering::Relaxed);
        transaction.commit().await.map_err(|error| {
            let failure = Failure::from(error);
            change.sent.store(matches!(failure, Failure::Lost(_)), Ordering::Relaxed);
            failure
        })?;
        Ok(Some(head))
    }
}

/// Fetched bytes.
pub(super) enum Fetched {
    Sound(Vec<u8>),
    /// The checksum does not match.
    Damaged,
}

impl Fetched {
    fn of(expected: &[u8], bytes: Vec<u8>) -> std::result::Result<Self, Failure> {
        Ok(if checksum(&bytes) == expected { Self::Sound(bytes) } else { Self::Damaged })
    }
}

/// Locks the market's row and writes which model is in service, if the row has not changed since the decision.
async fn take_turn(client: &impl GenericClient, change: &Prepared) -> std::result::Result<bool, Failure> {
    let state = &change.next.state;
    let text = serde_json::to_string(state)
        .map_err(|e| Failure::Refused(Error::Internal(format!("cannot encode which model is in service: {e}"))))?;
    let champion = state.champion.map(|version| version as i64);
    let predecessors: Vec<i64> = state.predecessors.iter().map(|version| *version as i64).collect();
    let (trials, since, reason) = (state.trials as i64, time(state.since_ms), readable(&state.reason));
    let (symbol, timeframe) = (symbol(&change.market), timeframe(&change.market));
    let taken = match change.upon {
        None => {
            let sql = "INSERT INTO signalloop_markets \
                (symbol, timeframe, champion, since, reason, predecessors, trials, state, batch) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::json, $9) ON CONFLICT DO NOTHING";
            client
                .execute(
                    sql,
                    &[&symbol, &timeframe, &champion, &since, &reason, &predecessors, &trials, &text, &change.batch],
                )
                .await?
        }
        Some(upon) => {
            let sql = "UPDATE signalloop_markets SET champion = $3, since = $4, reason = $5, predecessors = $6, \
                trials = $7, state = $8::text::json, batch = $9 \
                WHERE symbol = $1 AND timeframe = $2 AND batch = $10";
            client
                .execute(
                    sql,
                    &[
                        &symbol,
                        &timeframe,
                        &champion,
                        &since,
                        &reason,
                        &predecessors,
                        &trials,
                        &text,
                        &change.batch,
                        &upon,
                    ],
                )
                .await?
        }
    };
    Ok(taken == 1)
}

/// Whether a change is in the ledger.
async fn is_written(client: &impl GenericClient, batch: i64) -> std::result::Result<bool, Failure> {
    let sql = "SELECT 1 FROM signalloop_ledger WHERE batch = $1 LIMIT 1";
    Ok(client.query_opt(sql, &[&batch]).await?.is_some())
}

/// Writes new versions, and deletes those that are no longer needed.
async fn write_versions(client: &impl GenericClient, change: &Prepared) -> std::result::Result<(), Failure> {
    let (symbol, timeframe) = (symbol(&change.market), timeframe(&change.market));
    let delete = "DELETE FROM signalloop_models WHERE symbol = $1 AND timeframe = $2 AND version = ANY($3)";
    let new: Vec<i64> = change.next.versions.iter().map(|version| version.number as i64).collect();
    client.execute(delete, &[&symbol, &timeframe, &new]).await?;
    for version in &change.next.versions {
        let sql = "INSERT INTO signalloop_models (symbol, timeframe, version, checksum, bytes, pool) \
            VALUES ($1, $2, $3, $4, $5, $6)";
        let (sum, pool) = (checksum(&version.bytes), version.pool.as_ref().map(|pool| pool.as_slice()));
        let number = version.number as i64;
        client.execute(sql, &[&symbol, &timeframe, &number, &sum.as_slice(), &version.bytes, &pool]).await?;
    }
    let sql = "SELECT version FROM signalloop_models WHERE symbol = $1 AND timeframe = $2 ORDER BY version";
    let rows = client.query(sql, &[&symbol, &timeframe]).await?;
    let all = rows.iter().map(|row| column::<i64>(row, 0).map(i64::unsigned_abs));
    let all = all.collect::<std::result::Result<Vec<u64>, Failure>>()?;
    let old: Vec<i64> = superfluous(&change.next.state, &all).into_iter().map(|version| version as i64).collect();
    if !old.is_empty() {
        client.execute(delete, &[&symbol, &timeframe, &old]).await?;
    }
    Ok(())
}

/// Writes the lines of the ledger.
async fn write_ledger(client: &impl GenericClient, change: &Prepared) -> std::result::Result<(), Failure> {
    let (symbol, timeframe) = (symbol(&change.market), timeframe(&change.market));
    let sql = "INSERT INTO signalloop_ledger (symbol, timeframe, at, kind, version, promoted, reason, entry, batch) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::json, $9)";
    for entry in &change.next.entries {
        let text = serde_json::to_string(entry)
            .map_err(|e| Failure::Refused(Error::Internal(format!("cannot encode a trial: {e}"))))?;
        let (at_ms, kind, version, promoted, reason) = match entry {
            Entry::Training(trial) => (trial.at_ms, "training", trial.version, trial.promoted, &trial.reason),
            Entry::Rollback(rollback) => (rollback.at_ms, "rollback", rollback.to, true, &rollback.reason),
        };
        client
            .execute(
                sql,
                &[
                    &symbol,
                    &timeframe,
                    &time(at_ms),
                    &kind,
                    &(version as i64),
                    &promoted,
                    &readable(reason),
                    &text,
                    &change.batch,
                ],
            )
            .await?;
    }
    Ok(())
}

/// The model in service of one market.
async fn current(client: &impl GenericClient, market: &Market) -> std::result::Result<Head, Failure> {
    let sql = format!("{HEADS} WHERE m.symbol = $1 AND m.timeframe = $2");
    head(&client.query_one(&sql, &[&symbol(market), &timeframe(market)]).await?)
}

fn head(row: &Row) -> std::result::Result<Head, Failure> {
    let sum = |at| Ok::<_, Failure>(column::<Option<&[u8]>>(row, at)?.and_then(|sum| sum.try_into().ok()));
    let (champion, checksum, pool) = (column::<Option<i64>>(row, 3)?, sum(4)?, sum(5)?);
    let served = champion.map(|version| Served { version: version.unsigned_abs(), checksum, pool });
    Ok(Head { batch: column(row, 2)?, served })
}

fn market(row: &Row) -> std::result::Result<Market, Failure> {
    Market::parse(column(row, 0)?, column(row, 1)?).map_err(Failure::Refused)
}

fn symbol(market: &Market) -> &str {
    market.symbol.as_str()
}

fn timeframe(market: &Market) -> &'static str {
    market.timeframe.as_str()
}

/// A time as a column value.
fn time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms.max(0).unsigned_abs())
}

/// A text that a column can hold.
fn readable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A value of a row, by position of its column.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    at: usize,
) -> std::result::Result<T, Failure> {
    row.try_get(at).map_err(|e| {
        let name = row.columns().get(at).map_or("?", |column| column.name());
        let what = format!("column {name} of the tables of models cannot be read");
        Failure::Refused(Error::storage(Resource::ModelRegistry, because(what, e)))
    })
}
