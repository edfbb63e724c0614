//! When tasks are due: schedules, what is remembered of runs, retries. Pure, but for the files' reading and writing;
//! [`engine`] runs the tasks.

mod config;
pub mod coordination;
mod due;
mod history;
mod moment;
mod record;
#[cfg(test)]
mod simulation;
mod task;
mod timer;

pub use config::{CatchUp, Retry, SchedulerConfig, TaskPlan};
pub use due::Schedule;
pub use history::{Ran, append as append_history, newest as newest_history};
pub use moment::Moment;
pub use record::{Cause, LastRun, Outcome, Record, Unfinished};
pub use task::Task;
pub use timer::{Due, Timer};
