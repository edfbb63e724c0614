//! When tasks are due: schedules, what is remembered of runs, retries. Pure, but for the two files' reading and writing;
//! [`crate::engine`] runs the tasks.

mod config;
mod due;
mod moment;
mod record;
#[cfg(test)]
mod simulation;
mod task;
mod timer;

pub use config::{CatchUp, Retry, SchedulerConfig, TaskPlan};
pub use due::Schedule;
pub use moment::Moment;
pub use record::{Cause, LastRun, Outcome, Record, Unfinished};
pub use task::Task;
pub use timer::{Due, Timer};
