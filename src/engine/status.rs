//! How the scheduler stands, for people and for scripts.

use super::SignalLoop;
use super::tasks::hold;
use crate::error::{Error, Result};
use crate::scheduler::{LastRun, Ran, Record, SchedulerConfig, Task, TaskPlan, Timer, newest_history};
use crate::time::format_iso;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How the scheduler of a home stands.
#[derive(Debug, Clone)]
pub struct SchedulerStatus {
    /// It was started in this loop, and not stopped.
    pub running: bool,
    /// This loop runs the tasks of the home.
    pub leader: bool,
    /// Why it does not, such as the process that does; `None` when it does, or was not started.
    pub standing_by: Option<String>,
    /// The configuration in force.
    pub config: SchedulerConfig,
    /// Unknown keys of the configuration; a changed file that cannot be used.
    pub warnings: Vec<String>,
    /// Every task.
    pub tasks: Vec<TaskStatus>,
}

/// How a task stands.
#[derive(Debug, Clone)]
pub struct TaskStatus {
    /// Which.
    pub task: Task,
    /// When and how it is run.
    pub plan: TaskPlan,
    /// An attempt is under way, in this process or another.
    pub running: bool,
    /// When it is due, UTC epoch ms; `None` when it does not run by itself.
    pub next_ms: Option<i64>,
    /// What is remembered of it.
    pub record: Record,
    /// What keeps it from being run.
    pub problem: Option<String>,
}

impl SchedulerStatus {
    /// As JavaScript and `--json` have it; what there is not is missing.
    pub fn to_json(&self) -> Value {
        present(json!({
            "running": self.running,
            "leader": self.leader,
            "standingBy": self.standing_by,
            "enabled": self.config.enabled,
            "timezone": self.config.timezone.name(),
            "warnings": self.warnings,
            "tasks": self.tasks.iter().map(TaskStatus::to_json).collect::<Vec<_>>(),
        }))
    }
}

impl TaskStatus {
    fn to_json(&self) -> Value {
        present(json!({
            "task": self.task,
            "enabled": self.plan.enabled,
            "schedule": self.plan.schedule.to_string(),
            "running": self.running,
            "nextRun": self.next_ms.map(format_iso),
            "attempt": self.record.attempt,
            "lastRun": self.record.last.as_ref().map(run_to_json),
            "problem": self.problem,
        }))
    }
}

/// An attempt that ended, as JavaScript and `--json` have it.
pub fn run_to_json(run: &LastRun) -> Value {
    present(json!({
        "startedAt": format_iso(run.started_ms),
        "endedAt": format_iso(run.ended_ms),
        "outcome": run.outcome,
        "attempt": run.attempt,
        "done": run.done,
        "message": run.message,
        "failed": run.failed,
        "error": run.error,
    }))
}

fn present(mut object: Value) -> Value {
    if let Value::Object(map) = &mut object {
        map.retain(|_, value| !value.is_null());
    }
    object
}

impl SignalLoop {
    /// How the scheduler stands, also when another process runs it.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], [`Error::Io`].
    pub fn scheduler_status(&self) -> Result<SchedulerStatus> {
        let running = self.scheduling.running.lock().clone();
        let (config, warnings) = match &running {
            Some(running) => {
                let rules = running.rules.lock();
                (rules.config.clone(), rules.warnings.clone())
            }
            None => self.scheduler_config(Map::new())?,
        };
        let standing_by = running.as_ref().and_then(|running| running.standing_by.lock().clone());
        let problem = |task| running.as_ref().and_then(|running| running.problems.lock().get(&task).cloned());
        let tasks = Task::ALL.into_iter().map(|task| self.task_status(task, &config, problem(task)));
        Ok(SchedulerStatus {
            running: running.is_some(),
            leader: running.is_some() && standing_by.is_none(),
            standing_by,
            warnings,
            tasks: tasks.collect::<Result<_>>()?,
            config,
        })
    }

    /// The newest `most` runs of its tasks, the newest first, in whichever process they were.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn scheduler_history(&self, most: usize) -> Result<Vec<Ran>> {
        newest_history(&self.scheduler_folder(), most)
    }

    fn task_status(&self, task: Task, config: &SchedulerConfig, problem: Option<String>) -> Result<TaskStatus> {
        let (folder, plan, now) = (self.scheduler_folder(), config.plan(task), self.moment());
        let (record, problem) = match Record::load(&folder, task) {
            Ok(record) => (record, problem),
            Err(error) => (Record::default(), Some(error.to_string())),
        };
        // An attempt without an end is under way, or was interrupted: its lock tells.
        let running = self.scheduling.active.lock().contains(&task)
            || (record.attempt > 0
                && folder.is_dir()
                && matches!(hold(&folder, task.as_str(), Duration::ZERO), Err(Error::TaskBusy(_))));
        let by_itself = config.enabled && plan.enabled;
        let next_ms = Timer::resume(plan.clone(), record.clone(), now).next_ms(now).filter(|_| by_itself);
        Ok(TaskStatus { task, plan, running, next_ms, record, problem })
    }
}
