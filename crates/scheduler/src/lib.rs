//! When tasks are due: schedules, records of runs, retries; and the port for coordination ([`coordination`]), with its adapter
//! for files.
//!
//! It imports `domain` and `storage`, and opens no connection. The rules of [`Timer`] are pure. It does not run tasks; `engine`
//! does.
//!
//! # Example
//! ```
//! use scheduler::{Due, Clocks, Record, SchedulerConfig, Task, Timer};
//! use std::time::Duration;
//!
//! let plan = SchedulerConfig::default().plan(Task::Fetch);
//! let at = |minutes: u64| Clocks {
//!     wall_ms: 1_735_689_600_000 + minutes as i64 * 60_000,
//!     elapsed: Duration::from_secs(minutes * 60),
//! };
//! let mut timer = Timer::resume(plan, Record::default(), at(0));
//! // A task that has never run is due at once.
//! assert_eq!(timer.due(at(0)), Some(Due::Run));
//! timer.begin(Due::Run, at(0));
//! assert_eq!(timer.due(at(1)), None);
//! ```

mod clocks;
mod config;
pub mod coordination;
mod due;
mod history;
mod record;
#[cfg(test)]
mod simulation;
mod task;
mod timer;

pub use clocks::Clocks;
pub use config::{AlertsGiven, CatchUp, Retry, SchedulerConfig, TaskPlan, WatchPrices};
pub use due::Schedule;
pub use history::{Ran, append as append_history, newest as newest_history};
pub use record::{Cause, LastRun, Outcome, Record, Unfinished};
pub use task::Task;
pub use timer::{Due, Timer};
