//! The port for coordination: it grants the scheduler's roles and keeps task records. Its adapters use the home's folder, for the
//! processes of one machine, or a database, for those of many. The rules above it are the same, in the engine.

mod folder;
mod memory;

pub use folder::FolderCoordination;
pub use memory::MemoryCoordination;

use crate::{Clocks, Ran, Record, Task};
use domain::error::{Error, Result};
use domain::symbol::{Market, Timeframe};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use storage::fence::Fence;

/// A role that one process holds at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The role of running whatever is due.
    Leader,
    /// The role of running this task, on schedule or on request.
    Task(Task),
}

/// A held role; dropping it releases it.
pub trait Claim: Send + Sync {
    /// Whether the role is certainly still held.
    fn is_in_place(&self) -> bool;
    /// Returns when the role was lost, or may have been: work that requires it must stop.
    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// The lease with which a database rejects writes of a former holder. `None` in a folder, where a role is lost only when its
    /// process ends.
    fn fence(&self) -> Option<&Fence>;
}

/// The state of a task as it was last seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The stored record.
    pub record: Result<Record>,
    /// Whether an attempt is running somewhere.
    pub running: bool,
}

/// The process that runs whatever is due.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Leader {
    /// Its process id on its machine.
    pub process: u32,
    /// Its machine's name.
    pub host: String,
    /// Since when it leads, ISO 8601 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What the processes of a scheduler share. Calls block the caller's thread, except for [`Self::glance`].
pub trait Coordination: Send + Sync {
    /// Takes a role, waiting up to `patience` for its holder.
    ///
    /// # Errors
    /// [`domain::error::Error::TaskBusy`] naming the holder; any error that prevents taking it.
    fn take(&self, place: Role, patience: Duration) -> Result<Arc<dyn Claim>>;

    /// The stored record of a task; empty if it was never run.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    fn record(&self, task: Task) -> Result<Record>;

    /// Stores the record. Requires the task's role. `next_ms` is when the task is due next.
    ///
    /// # Errors
    /// [`domain::error::Error::LeaseLost`] if the role was lost, and then nothing was written; any error of writing.
    fn save(&self, claim: &dyn Claim, task: Task, record: &Record, next_ms: Option<i64>) -> Result<()>;

    /// Appends a finished attempt to the history. Requires the task's role.
    ///
    /// # Errors
    /// As [`Self::save`].
    fn append(&self, claim: &dyn Claim, ran: &Ran) -> Result<()>;

    /// The newest `most` attempts, newest first.
    ///
    /// # Errors
    /// If they cannot be read.
    fn newest(&self, most: usize) -> Result<Vec<Ran>>;

    /// The state of a task.
    fn look(&self, task: Task) -> Seen;

    /// [`Self::look`] without waiting for another machine; may return an earlier state.
    fn glance(&self, task: Task) -> Seen;

    /// The current leader, if there is one; with a database, as of the last look.
    fn leader(&self) -> Option<Leader>;

    /// The current time by the clock that all processes share; `own_ms` is this machine's.
    fn clocks(&self, own_ms: i64) -> Clocks;

    /// The error that recently kept this process from writing in its role, if another process may have more success. `None` in a
    /// folder, whose processes share one disk.
    fn cannot_write(&self) -> Option<Error> {
        None
    }

    /// The queue through which trainings are shared; `None` if trainings are not shared.
    fn job_queue(&self) -> Option<&dyn JobQueue>;

    /// The shared state of live results; `None` if it is in the home's own file.
    fn versioned_cell(&self) -> Option<&dyn VersionedCell>;

    /// Waits, a few seconds at most, until everything that was held is free for others.
    fn close(&self);
}

/// Markets of one timeframe to train together, taken from the queue; they share a pooled model.
pub struct Job {
    /// The task that requested it.
    pub task: Task,
    /// The number of the run.
    pub run: i64,
    /// The timeframe of all its markets.
    pub timeframe: Timeframe,
    /// In order of name. The timeframe's other markets have results already, or are not in the run.
    pub markets: Vec<Market>,
    /// The job's lease.
    pub claim: Arc<dyn Claim>,
    /// Time limit.
    pub time: Duration,
}

/// Trainings that instances share: one job for each timeframe, done once. Calls block the caller's thread.
pub trait JobQueue: Send + Sync {
    /// Starts a run and returns its number. Requires the task's role. The first attempt starts a new run, and ends what is left
    /// of the previous one. A later attempt continues its run: results stay, and failed markets are done again.
    ///
    /// # Errors
    /// As [`Coordination::save`].
    fn post(&self, claim: &dyn Claim, task: Task, attempt: u32, markets: &[Market], time: Duration) -> Result<i64>;

    /// Takes a free job, if there is one: the markets of a timeframe without results.
    ///
    /// # Errors
    /// If the queue cannot be reached.
    fn claim(&self) -> Result<Option<Job>>;

    /// Stores the result of one market of a job. Requires the job's lease.
    ///
    /// # Errors
    /// As [`Coordination::save`].
    fn finish(&self, job: &Job, market: &Market, done: bool, result: &Value) -> Result<()>;

    /// Returns markets without results to the queue.
    ///
    /// # Errors
    /// As [`Coordination::save`].
    fn give_back(&self, job: &Job, markets: &[Market]) -> Result<()>;

    /// The markets of a run that have a result, success or failure. Requires the task's role. A job whose workers all died is
    /// given up.
    ///
    /// # Errors
    /// As [`Coordination::save`].
    fn ended(&self, claim: &dyn Claim, task: Task, run: i64) -> Result<Vec<Market>>;

    /// The results of a run's jobs.
    ///
    /// # Errors
    /// If they cannot be read.
    fn results(&self, task: Task, run: i64) -> Result<Vec<(Market, Value)>>;
}

/// Receives a version and its text.
pub type OnRead = Box<dyn FnOnce(i64, &str) + Send>;

/// One versioned text that instances share. Every change increases the version.
pub trait VersionedCell: Send + Sync {
    /// Version and text; no text before the first change. Blocks the caller's thread.
    ///
    /// # Errors
    /// If the database does not answer.
    fn read(&self) -> Result<(i64, Option<String>)>;

    /// Replaces the text if its version is still `version`; `false` if not. Blocks the caller's thread.
    ///
    /// # Errors
    /// If the database does not answer; the text may have been replaced even so.
    fn replace(&self, version: i64, text: &str) -> Result<bool>;

    /// Reads without blocking; calls `then` on another thread if there is a text.
    fn read_later(&self, then: OnRead);
}
