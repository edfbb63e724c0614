//! `Scheduler`: the tasks of a loop that run by themselves.

use super::errors::{Code, sync};
use super::promises::{call, elsewhere, promise};
use super::shared::User;
use super::values;
use domain::error::{Error, Result};
use engine::run_to_json;
use napi::bindgen_prelude::{Env, PromiseRaw, Unknown};
use napi_derive::napi;
use scheduler::Task;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The scheduler of a loop; {@link SignalLoop.startScheduler} starts it. It does not keep the process alive.
///
/// @example
/// ```ts
/// import { startScheduler } from 'signalloop'
///
/// const scheduler = startScheduler({ retrain: { time: '02:00' } })
/// console.log(scheduler.status().leader)
/// await scheduler.stop()
/// ```
#[napi]
pub struct Scheduler {
    core: Arc<User>,
}

impl Scheduler {
    /// Starts the scheduler of a loop, unless it is running.
    pub fn start(core: Arc<User>, options: Map<String, Value>) -> Result<Self> {
        core.start_scheduler(options)?;
        Ok(Self { core })
    }
}

#[napi]
impl Scheduler {
    /// Stops the scheduler. Running tasks, those of `runOnce` too, are cancelled and end at their next step; the process that
    /// takes over runs them again. Resolves when it has stopped: at once if nothing runs, or if another thread of this process,
    /// which shares the default loop, has started the scheduler too; then it continues for that thread.
    ///
    /// @example
    /// ```ts
    /// import { startScheduler } from 'signalloop'
    ///
    /// const scheduler = startScheduler()
    /// // When the process is asked to end:
    /// await scheduler.stop()
    /// ```
    #[napi(ts_return_type = "Promise<void>")]
    pub fn stop<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        promise(env, || {
            let core = self.core.clone();
            Ok(elsewhere(async move {
                core.stop_scheduler().await;
                Ok(())
            }))
        })
    }

    /// The state of the scheduler: whether this loop is the leader, when each task is due, and the result of its last run, in any
    /// process. It never waits: with a database it returns what was read last, at most a second ago while the scheduler runs.
    ///
    /// @throws `ERR_INVALID_CONFIG`, `ERR_IO`
    ///
    /// @example
    /// ```ts
    /// import { startScheduler } from 'signalloop'
    ///
    /// const scheduler = startScheduler()
    /// for (const { task, nextRun } of scheduler.status().tasks) console.log(`${task} is due ${nextRun}`)
    /// await scheduler.stop()
    /// ```
    #[napi(ts_return_type = "SchedulerStatus")]
    pub fn status(&self) -> napi::Result<Value, Code> {
        sync(|| Ok(self.core.scheduler().glance()?.to_json()))
    }

    /// Runs a task now, also in a process that is not the leader. The result lists the markets that failed.
    ///
    /// Rejects with `ERR_TASK_BUSY` if the task is already running in any process of the home or of the database, and with
    /// `ERR_INVALID_ARGUMENT`, `ERR_INVALID_CONFIG`, `ERR_IO`, `ERR_STORE`, `ERR_CLOSED`.
    ///
    /// @example
    /// ```ts
    /// import { startScheduler } from 'signalloop'
    ///
    /// const scheduler = startScheduler()
    /// const { outcome, message } = await scheduler.runOnce('evaluate')
    /// console.log(outcome, message)
    /// await scheduler.stop()
    /// ```
    #[napi(ts_args_type = "task: TaskName", ts_return_type = "Promise<TaskRun>")]
    pub fn run_once<'env>(&self, env: &'env Env, task: Unknown<'_>) -> napi::Result<PromiseRaw<'env, Value>> {
        call(env, &self.core, || {
            let given = values::to_json(task)?;
            let task = given.as_str().and_then(Task::parse).ok_or_else(|| {
                let names = Task::ALL.map(Task::as_str).join(", ");
                Error::argument("task", format!("must be one of {names}"), &given)
            })?;
            let core = self.core.clone();
            Ok(async move { Ok(run_to_json(&core.scheduler().run_once(task).await?)) })
        })
    }
}
