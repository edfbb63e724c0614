//! The jobs of shared trainings. All markets of a timeframe share a pooled model, so they are one job: one row per market, and
//! one lease, taken with `FOR UPDATE SKIP LOCKED` on the first row.
//!
//! Rows are `open`, `taken`, `done` or `failed`. Earlier versions took one market at a time; their rows are `waiting` and
//! `claimed`. Each version takes only its own rows, so that both can work on one database while instances are upgraded.

use crate::coordination::{Leased, PostgresCoordination, encode};
use crate::{PATIENCE, Parameter};
use domain::error::{Error, Resource, Result, because};
use domain::symbol::Market;
use domain::time::elapsed;
use scheduler::Task;
use scheduler::coordination::{Claim, Job, JobQueue};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;

/// A job whose workers died this often is no longer taken, since it may be the cause.
const MOST_CLAIMS: i32 = 3;

/// The name of a job's lease, from one of its rows.
macro_rules! name {
    ($row:literal) => {
        concat!("'job/' || ", $row, ".task || '/' || ", $row, ".run || '/' || ", $row, ".timeframe")
    };
}

/// Whether a row `job` still has to be done; $4 is [`MOST_CLAIMS`].
macro_rules! to_be_done {
    () => {
        "job.status IN ('open', 'taken') AND job.claims < $4 AND job.deadline > clock_timestamp()"
    };
}

/// Whether a row `job` must be done from the start: it failed in an earlier attempt, or an earlier version left it.
macro_rules! again {
    () => {
        "(job.status = 'failed' AND job.attempt < excluded.attempt OR job.status IN ('waiting', 'claimed'))"
    };
}

const POST: &str = concat!(
    "WITH held AS (SELECT FROM signalloop_leases WHERE name = $1 AND token = $2 FOR SHARE), \
     run AS (SELECT CASE WHEN $4 = 1 THEN $2 ELSE \
         coalesce((SELECT max(job.run) FROM signalloop_jobs AS job WHERE job.task = $3), $2) END AS number FROM held), \
     old AS (DELETE FROM signalloop_jobs AS job USING run WHERE job.task = $3 AND job.run <> run.number), \
     ended AS (DELETE FROM signalloop_leases AS lease USING run WHERE starts_with(lease.name, 'job/' || $3 || '/') \
       AND NOT starts_with(lease.name, 'job/' || $3 || '/' || run.number || '/')), \
     posted AS (INSERT INTO signalloop_jobs AS job (task, run, symbol, timeframe, status, attempt, deadline) \
       SELECT $3, run.number, market.symbol, market.timeframe, 'open', $4, \
         clock_timestamp() + $7 * interval '1 second' \
       FROM run, unnest($5::text[], $6::text[]) AS market (symbol, timeframe) \
       ON CONFLICT (task, run, symbol, timeframe) DO UPDATE SET attempt = excluded.attempt, deadline = excluded.deadline, \
         claims = CASE WHEN ",
    again!(),
    " THEN 0 ELSE job.claims END, status = CASE WHEN ",
    again!(),
    " THEN 'open' ELSE job.status END) \
     SELECT number FROM run"
);

/// The first row of a job is locked; the holder of that lock may take the job. If an earlier answer was lost on its way to this
/// instance ($3 lists those that arrived), the job is taken again, and this does not count as a failure.
const CLAIM: &str = concat!(
    "WITH free AS (SELECT first.task, first.run, first.timeframe, ",
    name!("first"),
    " AS name FROM signalloop_jobs AS first LEFT JOIN signalloop_leases AS lease ON lease.name = ",
    name!("first"),
    " WHERE first.symbol = (SELECT min(job.symbol) FROM signalloop_jobs AS job \
         WHERE job.task = first.task AND job.run = first.run AND job.timeframe = first.timeframe) \
       AND EXISTS (SELECT FROM signalloop_jobs AS job \
         WHERE job.task = first.task AND job.run = first.run AND job.timeframe = first.timeframe AND ",
    to_be_done!(),
    ") AND (lease.name IS NULL OR lease.until <= clock_timestamp() OR (lease.holder = $1 AND lease.name <> ALL ($3))) \
       ORDER BY first.task, first.run, first.timeframe LIMIT 1 FOR UPDATE OF first SKIP LOCKED), \
     taken AS (INSERT INTO signalloop_leases AS lease (name, holder, token, until) \
       SELECT name, $1, 1, clock_timestamp() + $2 * interval '1 second' FROM free \
       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = lease.token + 1, until = excluded.until \
       WHERE lease.until <= clock_timestamp() OR (lease.holder = excluded.holder AND lease.name <> ALL ($3)) \
       RETURNING name, token) \
     UPDATE signalloop_jobs AS job SET status = 'taken', holder = $1, token = taken.token, \
       claims = job.claims + (job.status = 'open' OR job.holder <> $1)::integer, \
       claimed_at = clock_timestamp() \
     FROM free JOIN taken USING (name) \
     WHERE job.task = free.task AND job.run = free.run AND job.timeframe = free.timeframe AND ",
    to_be_done!(),
    " RETURNING job.symbol, job.timeframe, job.task, job.run, name, job.token, \
       extract(epoch FROM job.deadline - clock_timestamp())::float8"
);

const FINISH: &str = "WITH held AS (SELECT FROM signalloop_leases WHERE name = $1 AND token = $2 FOR SHARE) \
    UPDATE signalloop_jobs AS job SET status = $7, result = $8, ended_at = clock_timestamp() FROM held \
    WHERE job.task = $3 AND job.run = $4 AND job.symbol = $5 AND job.timeframe = $6 AND job.token = $2 \
    RETURNING job.run";

/// Safe to repeat.
const GIVE_BACK: &str = "WITH held AS (SELECT FROM signalloop_leases WHERE name = $1 AND token = $2 FOR SHARE) \
    UPDATE signalloop_jobs AS job SET status = 'open', claims = job.claims - (job.status = 'taken')::integer FROM held \
    WHERE job.task = $3 AND job.run = $4 AND job.symbol = ANY ($5) AND job.timeframe = $6 AND job.token = $2 \
      AND job.status IN ('open', 'taken') \
    RETURNING job.run";

/// Gives up a job that killed its workers; the next look shows it as failed.
const ENDED: &str = concat!(
    "WITH held AS (SELECT FROM signalloop_leases WHERE name = $1 AND token = $2 FOR SHARE), \
     dead AS (UPDATE signalloop_jobs AS job SET status = 'failed', ended_at = clock_timestamp(), \
       result = json_build_object('symbol', job.symbol, 'timeframe', job.timeframe, 'success', false, \
         'duration_seconds', 0, 'error', json_build_object('code', 'ERR_INTERNAL', 'message', \
         'whoever trained it ended in the midst of it, ' || job.claims || ' times'))::text \
       FROM held WHERE job.task = $3 AND job.run = $4 AND job.status = 'taken' AND job.claims >= $5 \
         AND NOT EXISTS (SELECT FROM signalloop_leases AS lease WHERE lease.until > clock_timestamp() AND lease.name = ",
    name!("job"),
    ")) \
     SELECT job.symbol, job.timeframe, job.status IN ('done', 'failed') FROM held, signalloop_jobs AS job \
     WHERE job.task = $3 AND job.run = $4"
);

const RESULTS: &str =
    "SELECT symbol, timeframe, result FROM signalloop_jobs WHERE task = $1 AND run = $2 AND result IS NOT NULL";

impl PostgresCoordination {
    /// Writes the state of some markets of a job, if this instance still holds its lease.
    fn write_of(&self, sql: &'static str, job: &Job, symbols: Parameter, rest: Vec<Parameter>) -> Result<()> {
        let timeframe = Box::new(job.timeframe.to_string());
        let mut parameters: Vec<Parameter> = vec![Box::new(job.task.as_str()), Box::new(job.run), symbols, timeframe];
        parameters.extend(rest);
        self.write(sql, &*job.claim, parameters).map(drop)
    }
}

impl JobQueue for PostgresCoordination {
    fn post(&self, claim: &dyn Claim, task: Task, attempt: u32, markets: &[Market], time: Duration) -> Result<i64> {
        let symbols: Vec<String> = markets.iter().map(|market| market.symbol.to_string()).collect();
        let timeframes: Vec<String> = markets.iter().map(|market| market.timeframe.to_string()).collect();
        let parameters: Vec<Parameter> = vec![
            Box::new(task.as_str()),
            Box::new(attempt as i32),
            Box::new(symbols),
            Box::new(timeframes),
            Box::new(time.as_secs_f64()),
        ];
        Ok(self.write(POST, claim, parameters)?[0].get(0))
    }

    fn claim(&self) -> Result<Option<Job>> {
        let _one_at_a_time = self.claiming.lock();
        let leases = self.leases()?;
        let parameters: Vec<Parameter> = vec![
            Box::new(leases.holder().to_owned()),
            Box::new(leases.length().as_secs_f64()),
            Box::new(leases.held()),
            Box::new(MOST_CLAIMS),
        ];
        let sent = elapsed();
        let found = leases.ask(CLAIM, parameters, leases.patience())?;
        let Some(row) = found.first() else { return Ok(None) };
        let mut markets = found.iter().map(market).collect::<Result<Vec<Market>>>()?;
        markets.sort();
        let task: &str = row.get(2);
        let unknown = || {
            let problem = format!("the table signalloop_jobs has an unknown task `{task}`");
            Error::storage(Resource::Scheduler, problem)
        };
        Ok(Some(Job {
            task: Task::parse(task).ok_or_else(unknown)?,
            run: row.get(3),
            timeframe: markets[0].timeframe,
            markets,
            claim: Arc::new(Leased(leases.adopt(row.get(4), row.get(5), sent)?)),
            time: Duration::try_from_secs_f64(row.get(6)).unwrap_or_default(),
        }))
    }

    fn finish(&self, job: &Job, market: &Market, done: bool, result: &Value) -> Result<()> {
        let (symbol, status) = (Box::new(market.symbol.to_string()), if done { "done" } else { "failed" });
        self.write_of(FINISH, job, symbol, vec![Box::new(status), Box::new(encode(result)?)])
    }

    fn give_back(&self, job: &Job, markets: &[Market]) -> Result<()> {
        let symbols: Vec<String> = markets.iter().map(|market| market.symbol.to_string()).collect();
        self.write_of(GIVE_BACK, job, Box::new(symbols), Vec::new())
    }

    fn ended(&self, claim: &dyn Claim, task: Task, run: i64) -> Result<Vec<Market>> {
        let parameters: Vec<Parameter> = vec![Box::new(task.as_str()), Box::new(run), Box::new(MOST_CLAIMS)];
        let rows = self.write(ENDED, claim, parameters)?;
        rows.iter().filter(|row| row.get(2)).map(market).collect()
    }

    fn results(&self, task: Task, run: i64) -> Result<Vec<(Market, Value)>> {
        let rows = self.leases()?.ask(RESULTS, vec![Box::new(task.as_str()), Box::new(run)], PATIENCE)?;
        let result = |row: &Row| {
            let market = market(row)?;
            let value = serde_json::from_str(row.get(2)).map_err(|e| {
                let what = format!("the result of {market} in signalloop_jobs is damaged");
                Error::storage(Resource::Scheduler, because(what, e))
            })?;
            Ok((market, value))
        };
        rows.iter().map(result).collect()
    }
}

fn market(row: &Row) -> Result<Market> {
    Market::parse(row.get(0), row.get(1))
}
