//! Where the scheduler's places are given out, and what it remembers is kept: in the home's folder, for the processes of one
//! machine, or in a database, for those of many. What is done with it is the same, in the engine.

mod folder;

pub use folder::FolderOffice;

use crate::{Moment, Ran, Record, Task};
use domain::error::{Error, Result};
use domain::symbol::{Market, Timeframe};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use storage::fence::Fence;

/// A place that one holds at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Of whoever runs what is due.
    Leader,
    /// Of whoever runs this task, also by hand.
    Task(Task),
}

/// A place that is held, until dropped.
pub trait Hold: Send + Sync {
    /// Whether it still is, for certain.
    fn is_in_place(&self) -> bool;
    /// Returns when it was lost to others, or cannot be told from lost: what is done by right of it has to end.
    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// By which a database refuses what a former holder writes; `None` where the system itself takes a place away only with
    /// its process.
    fn fence(&self) -> Option<&Fence>;
}

/// How a task was last seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What is remembered of it.
    pub record: Result<Record>,
    /// An attempt is under way somewhere.
    pub running: bool,
}

/// The process that runs what is due.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Leader {
    /// Its process id, on its machine.
    pub process: u32,
    /// The name of that.
    pub host: String,
    /// Since when it leads, ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What the processes of a scheduler share. Calls wait, on the caller's thread, but for [`Self::glance`].
pub trait Office: Send + Sync {
    /// Takes a place, waiting no longer than `patience` for whoever holds it.
    ///
    /// # Errors
    /// [`domain::error::Error::TaskBusy`], which names the holder; whatever keeps it from being taken.
    fn take(&self, place: Place, patience: Duration) -> Result<Arc<dyn Hold>>;

    /// What is remembered of a task; one that was never run has an empty record.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    fn record(&self, task: Task) -> Result<Record>;

    /// Writes it down, by right of the task's place. `next_ms` is when the task is due next.
    ///
    /// # Errors
    /// [`domain::error::Error::LeaseLost`] when the place was lost: nothing was written. When it cannot be written.
    fn save(&self, hold: &dyn Hold, task: Task, record: &Record, next_ms: Option<i64>) -> Result<()>;

    /// Adds an attempt that ended to the history, by right of the task's place.
    ///
    /// # Errors
    /// As [`Self::save`].
    fn append(&self, hold: &dyn Hold, ran: &Ran) -> Result<()>;

    /// The newest `most` attempts, the newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    fn newest(&self, most: usize) -> Result<Vec<Ran>>;

    /// How a task stands.
    fn look(&self, task: Task) -> Seen;

    /// [`Self::look`] without waiting for another machine: it may be what was seen last.
    fn glance(&self, task: Task) -> Seen;

    /// Who leads, if somebody does; of a database, as it was looked at last.
    fn leader(&self) -> Option<Leader>;

    /// Now, by the clock that all of its processes go by; `own_ms` is what this one's shows.
    fn moment(&self, own_ms: i64) -> Moment;

    /// What kept this process a moment ago from writing by right of a place, where another one may do better. `None` in a
    /// folder: whoever shares it shares its disk.
    fn cannot_write(&self) -> Option<Error> {
        None
    }

    /// Where a training is shared out; `None` where whoever runs it does all of it.
    fn board(&self) -> Option<&dyn Board>;

    /// What is known together of live results; `None` where the home's own file is all there is.
    fn memo(&self) -> Option<&dyn Memo>;

    /// Waits, a few seconds at most, until all that was held is free for others.
    fn close(&self);
}

/// Markets of one timeframe to be trained, taken from the board: they share a pooled model.
pub struct Job {
    /// The task that asked for it.
    pub task: Task,
    /// The number of its run.
    pub run: i64,
    /// Of all of its markets.
    pub timeframe: Timeframe,
    /// In order of their names; what others of the timeframe came to is known, or they are not in the run.
    pub markets: Vec<Market>,
    /// Of this job.
    pub hold: Arc<dyn Hold>,
    /// How long it may take.
    pub time: Duration,
}

/// Trainings that instances share: a job a timeframe, each done once. Calls wait, on the caller's thread.
pub trait Board: Send + Sync {
    /// Puts up a run, by right of the task's place; its number. The first attempt begins a new run, and ends what was left of
    /// the one before. A later one goes on with it: what was done stays so, what failed is to be done again.
    ///
    /// # Errors
    /// As [`Office::save`].
    fn post(&self, hold: &dyn Hold, task: Task, attempt: u32, markets: &[Market], time: Duration) -> Result<i64>;

    /// Takes a free job, if there is one: the markets of a timeframe that have no result yet.
    ///
    /// # Errors
    /// When the board cannot be reached.
    fn claim(&self) -> Result<Option<Job>>;

    /// Writes down what a market of a job came to, by right of the job.
    ///
    /// # Errors
    /// As [`Office::save`].
    fn finish(&self, job: &Job, market: &Market, done: bool, result: &Value) -> Result<()>;

    /// Leaves markets of a job that have no result to others.
    ///
    /// # Errors
    /// As [`Office::save`].
    fn give_back(&self, job: &Job, markets: &[Market]) -> Result<()>;

    /// The markets of a run that have a result, of success or failure. By right of the task's place, a job that killed all who
    /// worked on it is given up.
    ///
    /// # Errors
    /// As [`Office::save`].
    fn ended(&self, hold: &dyn Hold, task: Task, run: i64) -> Result<Vec<Market>>;

    /// What the jobs of a run came to.
    ///
    /// # Errors
    /// When it cannot be read.
    fn results(&self, task: Task, run: i64) -> Result<Vec<(Market, Value)>>;
}

/// Is told a version and its text.
pub type Heard = Box<dyn FnOnce(i64, &str) + Send>;

/// One text that instances share, and its version, which everyone raises who changes it.
pub trait Memo: Send + Sync {
    /// Version and text; there is no text before the first change. Waits, on the caller's thread.
    ///
    /// # Errors
    /// When the database does not answer.
    fn read(&self) -> Result<(i64, Option<String>)>;

    /// Puts another text in the place of that of this version; `false` when it is of another version by now. Waits.
    ///
    /// # Errors
    /// When the database does not answer: it may be replaced all the same.
    fn replace(&self, version: i64, text: &str) -> Result<bool>;

    /// Reads without waiting; `then` is told on another thread, if there is a text to be had.
    fn read_later(&self, then: Heard);
}
