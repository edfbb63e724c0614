//! Coordination through a database: leases, and one row per task. Each write is one statement that checks the writer's lease.

mod job_queue;
mod versioned;

use crate::{Lease, Leases, PATIENCE, Parameter, StoreUrl};
use domain::error::{Described, Error, Resource, Result};
use domain::time::format_iso;
use parking_lot::Mutex;
use scheduler::coordination::{Claim, Coordination, JobQueue, Leader, Role, Seen, VersionedCell};
use scheduler::{Clocks, Ran, Record, Task};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use storage::fence::Fence;
use tokio_postgres::Row;

/// [`Coordination::glance`] asks the database again if the last look is older than this.
const FRESH: Duration = Duration::from_secs(1);
/// Attempts kept in the history: some weeks.
const HISTORY: i64 = 2_000;

/// Coordination of processes on many machines.
///
/// It has more than 25 methods because it implements three ports: coordination, the job queue and the versioned cell.
pub struct PostgresCoordination {
    url: StoreUrl,
    lease: Duration,
    leases: OnceLock<Leases>,
    /// Held while taking a job, so that it is known which jobs are held here.
    pub(super) claiming: Mutex<()>,
    /// The last rejected write, if none succeeded since, and when it was.
    refused: Mutex<Option<(Instant, Error)>>,
    seen: Arc<Mutex<Sight>>,
}

/// The last look at all tasks.
#[derive(Default)]
struct Sight {
    asked: Option<Instant>,
    /// `None` before the first look.
    tasks: Option<Result<BTreeMap<String, Seen>>>,
    leader: Option<Leader>,
}

impl PostgresCoordination {
    /// Uses this database; a lease lasts this long without renewal. Connects on first use.
    pub fn new(url: StoreUrl, lease: Duration) -> Self {
        Self {
            url,
            lease,
            leases: OnceLock::new(),
            claiming: Mutex::default(),
            refused: Mutex::default(),
            seen: Arc::default(),
        }
    }

    pub(super) fn leases(&self) -> Result<&Leases> {
        if let Some(leases) = self.leases.get() {
            return Ok(leases);
        }
        let made = Leases::new(self.url.clone(), self.lease)?;
        Ok(self.leases.get_or_init(|| made))
    }

    /// Runs a statement whose first two parameters are the required lease, and which returns a row if it wrote.
    pub(super) fn write(&self, sql: &'static str, claim: &dyn Claim, rest: Vec<Parameter>) -> Result<Vec<Row>> {
        let no_lease = || Error::Internal("the lock of a folder was used for a database".to_owned());
        let fence = claim.fence().ok_or_else(no_lease)?;
        let mut parameters: Vec<Parameter> = vec![Box::new(fence.name.clone()), Box::new(fence.token)];
        parameters.extend(rest);
        let written = self.leases()?.ask(sql, parameters, PATIENCE);
        match &written {
            Ok(_) => *self.refused.lock() = None,
            Err(error @ Error::Storage { .. }) => *self.refused.lock() = Some((Instant::now(), error.clone())),
            Err(_) => {}
        }
        let written = written?;
        if written.is_empty() {
            return Err(Error::LeaseLost(fence.name.clone()));
        }
        Ok(written)
    }

    fn remember(&self, task: Task, record: &Record) {
        if let Some(Ok(tasks)) = &mut self.seen.lock().tasks {
            // A record is read or written alone only by the holder of the task's role, so nobody else runs the task.
            tasks.insert(task.as_str().to_owned(), Seen { record: Ok(record.clone()), running: false });
        }
    }
}

/// A lease that grants a role.
pub(super) struct Leased(pub Lease);

impl Claim for Leased {
    fn is_in_place(&self) -> bool {
        self.0.is_held()
    }

    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.lost())
    }

    fn fence(&self) -> Option<&Fence> {
        Some(self.0.fence())
    }
}

const RECORD: &str = "SELECT record FROM signalloop_tasks WHERE task = $1";

const SAVE: &str = "WITH held AS (SELECT FROM signalloop_leases WHERE name = $1 AND token = $2 FOR SHARE) \
    INSERT INTO signalloop_tasks (task, record, attempt, next_due, last_run_at, last_ended_at, outcome, message, written_by) \
    SELECT $3, $4, $5, to_timestamp($6::float8 / 1000), to_timestamp($7::float8 / 1000), to_timestamp($8::float8 / 1000), \
      $9, $10, $11 FROM held \
    ON CONFLICT (task) DO UPDATE SET record = excluded.record, attempt = excluded.attempt, next_due = excluded.next_due, \
      last_run_at = excluded.last_run_at, last_ended_at = excluded.last_ended_at, outcome = excluded.outcome, \
      message = excluded.message, written_by = excluded.written_by \
    RETURNING task";

/// Each attempt has its own token, so it is added only once.
const APPEND: &str = "WITH held AS (SELECT FROM signalloop_leases WHERE name = $1 AND token = $2 FOR SHARE), \
    old AS (DELETE FROM signalloop_history WHERE number <= (SELECT max(number) - $9 FROM signalloop_history)) \
    INSERT INTO signalloop_history (task, token, started_at, ended_at, outcome, message, run, written_by) \
    SELECT $3, $2, to_timestamp($4::float8 / 1000), to_timestamp($5::float8 / 1000), $6, $7, $8, $10 FROM held \
    ON CONFLICT (task, token) DO UPDATE SET run = excluded.run \
    RETURNING number";

const NEWEST: &str = "SELECT run FROM signalloop_history ORDER BY number DESC LIMIT $1";

const LOOK: &str = "SELECT task, record, EXISTS (SELECT FROM signalloop_leases \
      WHERE name = 'task/' || task AND until > clock_timestamp()), \
      NULL::text, NULL::bigint \
    FROM signalloop_tasks \
    UNION ALL SELECT 'leader', '', true, holder, (extract(epoch FROM since) * 1000)::bigint \
      FROM signalloop_leases WHERE name = 'leader' AND until > clock_timestamp()";

impl Coordination for PostgresCoordination {
    fn take(&self, place: Role, patience: Duration) -> Result<Arc<dyn Claim>> {
        let name = match place {
            Role::Leader => "leader".to_owned(),
            Role::Task(task) => format!("task/{task}"),
        };
        Ok(Arc::new(Leased(self.leases()?.take(&name, patience)?)))
    }

    fn record(&self, task: Task) -> Result<Record> {
        let leases = self.leases()?;
        let found = leases.ask(RECORD, vec![Box::new(task.as_str())], leases.patience())?;
        let record = found.first().map_or_else(|| Ok(Record::default()), |row| decode(task.as_str(), row.get(0)))?;
        self.remember(task, &record);
        Ok(record)
    }

    fn save(&self, claim: &dyn Claim, task: Task, record: &Record, next_ms: Option<i64>) -> Result<()> {
        let last = record.last.as_ref();
        let parameters: Vec<Parameter> = vec![
            Box::new(task.as_str()),
            Box::new(encode(record)?),
            Box::new(record.attempt as i32),
            Box::new(next_ms.map(|ms| ms as f64)),
            Box::new(record.since_ms.map(|ms| ms as f64)),
            Box::new(last.map(|last| last.ended_ms as f64)),
            Box::new(last.map(|last| word(&last.outcome))),
            Box::new(last.map(|last| last.message.replace('\0', ""))),
            Box::new(self.leases()?.holder().to_owned()),
        ];
        self.write(SAVE, claim, parameters)?;
        self.remember(task, record);
        Ok(())
    }

    fn append(&self, claim: &dyn Claim, ran: &Ran) -> Result<()> {
        let parameters: Vec<Parameter> = vec![
            Box::new(ran.task.as_str()),
            Box::new(ran.run.started_ms as f64),
            Box::new(ran.run.ended_ms as f64),
            Box::new(word(&ran.run.outcome)),
            Box::new(ran.run.message.replace('\0', "")),
            Box::new(encode(ran)?),
            Box::new(HISTORY),
            Box::new(self.leases()?.holder().to_owned()),
        ];
        self.write(APPEND, claim, parameters).map(drop)
    }

    fn newest(&self, most: usize) -> Result<Vec<Ran>> {
        let rows = self.leases()?.ask(NEWEST, vec![Box::new(most as i64)], PATIENCE)?;
        rows.iter().map(|row| decode("signalloop_history", row.get(0))).collect()
    }

    fn look(&self, task: Task) -> Seen {
        let fresh = self.seen.lock().asked.is_some_and(|at| at.elapsed() < FRESH / 10);
        if !fresh {
            let found = self.leases().and_then(|leases| leases.ask(LOOK, Vec::new(), leases.patience()));
            self.seen.lock().take_in(found);
        }
        self.seen.lock().of(task)
    }

    fn glance(&self, task: Task) -> Seen {
        let mut sight = self.seen.lock();
        if sight.asked.is_none_or(|at| at.elapsed() >= FRESH) {
            sight.asked = Some(Instant::now());
            let seen = self.seen.clone();
            let then = move |found| seen.lock().take_in(found);
            let asked = self.leases().and_then(|leases| leases.ask_later(LOOK, leases.patience(), then));
            if let Err(error) = asked {
                sight.take_in(Err(error));
            }
        }
        sight.of(task)
    }

    fn leader(&self) -> Option<Leader> {
        self.seen.lock().leader.clone()
    }

    fn clocks(&self, own_ms: i64) -> Clocks {
        Clocks::now(self.leases.get().and_then(Leases::now_ms).unwrap_or(own_ms))
    }

    /// As long as a lease lasts; other processes look more often than that.
    fn cannot_write(&self) -> Option<Error> {
        let refused = self.refused.lock();
        refused.as_ref().filter(|(at, _)| at.elapsed() < self.lease).map(|(_, error)| error.clone())
    }

    fn job_queue(&self) -> Option<&dyn JobQueue> {
        Some(self)
    }

    fn versioned_cell(&self) -> Option<&dyn VersionedCell> {
        Some(self)
    }

    fn close(&self) {
        if let Some(leases) = self.leases.get() {
            leases.close();
        }
    }
}

impl Sight {
    fn take_in(&mut self, found: Result<Vec<Row>>) {
        self.asked = Some(Instant::now());
        self.leader = found.as_ref().ok().and_then(|rows| rows.iter().find_map(leader));
        let tasks = found.map(|rows| {
            let one = |row: &Row| {
                let task: String = row.get(0);
                let record = decode::<Record>(&task, row.get(1));
                let running = row.get::<_, bool>(2) && record.as_ref().is_ok_and(|record| record.attempt > 0);
                (task, Seen { record, running })
            };
            rows.iter().filter(|row| row.get::<_, Option<&str>>(3).is_none()).map(one).collect()
        });
        self.tasks = Some(tasks);
    }

    fn of(&self, task: Task) -> Seen {
        match &self.tasks {
            Some(Ok(tasks)) => {
                let never_run = || Seen { record: Ok(Record::default()), running: false };
                tasks.get(task.as_str()).cloned().unwrap_or_else(never_run)
            }
            Some(Err(error)) => Seen { record: Err(error.clone()), running: false },
            None => {
                let error = Error::storage(Resource::Scheduler, "the database has not answered yet");
                Seen { record: Err(error), running: false }
            }
        }
    }
}

/// The leader, if the row has one.
fn leader(row: &Row) -> Option<Leader> {
    // [`Leases`] formats a holder as machine, process, loop.
    let (host, process) = row.get::<_, Option<&str>>(3)?.rsplit_once(" process ")?;
    let process = process.split(' ').next()?.parse().ok()?;
    Some(Leader { process, host: host.to_owned(), since: row.get::<_, Option<i64>>(4).map(format_iso) })
}

pub(super) fn encode(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Internal(format!("cannot encode what is to be remembered: {e}")))
}

fn decode<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        let text = format!("the row of {what} is damaged ({e}); delete it to begin anew");
        Error::storage(Resource::Scheduler, Described { text, source: Arc::new(e) })
    })
}

/// A value whose JSON is a single word.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::json!(value).as_str().unwrap_or_default().to_owned()
}
