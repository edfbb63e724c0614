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

/// The scheduler of a loop; {@link SignalLoop.startScheduler} starts it. It keeps no process alive.
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
    /// Stops it: what is under way, by `runOnce` too, is cancelled and ends at its next step; whoever goes on does it again.
    /// Resolves when it has ended; at once when nothing runs, or when another thread of this process, which shares the default
    /// loop, has started it too: then it goes on for that one.
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

    /// How it stands: whether it leads, when each task is due, what the last run came to, in whichever process that was.
    /// It never waits: of a database it tells what was heard last, a second ago at most while it runs.
    ///
    /// @throws `ERR_INVALID_CONFIG`, `ERR_IO`
    #[napi(ts_return_type = "SchedulerStatus")]
    pub fn status(&self) -> napi::Result<Value, Code> {
        sync(|| Ok(self.core.scheduler().glance()?.to_json()))
    }

    /// Runs a task now, also in a process that does not lead. Markets that failed are in what it resolves to.
    ///
    /// Rejects with `ERR_TASK_BUSY` while the task runs already, in any process of the home, or of the database; with
    /// `ERR_INVALID_ARGUMENT`, `ERR_INVALID_CONFIG`, `ERR_IO`, `ERR_STORE`, `ERR_CLOSED`.
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
