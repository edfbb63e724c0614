//! The status of the scheduler, for people and for scripts.

use super::schedule::TaskProblem;
use super::{AlertStatus, Scheduler, SignalLoop};
use domain::error::Result;
use domain::time::format_iso;
use exchange::stream::StreamStatus;
use scheduler::coordination::{Leader, Seen};
use scheduler::{LastRun, Ran, Record, SchedulerConfig, Task, TaskPlan, Timer};
use serde_json::{Map, Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The status of the scheduler of a home.
#[derive(Debug, Clone)]
pub struct SchedulerStatus {
    /// Whether the scheduler was started in this loop and not stopped.
    pub running: bool,
    /// Whether this loop runs the tasks of the home.
    pub leader: bool,
    /// Why this loop does not run them, for example because another process does. `None` if it does, or if the
    /// scheduler was not started.
    pub standing_by: Option<String>,
    /// The process that runs the tasks, this one or another. `None` if there is none; then no task runs by itself.
    pub led_by: Option<Leader>,
    /// The configuration in force.
    pub config: SchedulerConfig,
    /// Unknown keys of the configuration, and changed files that cannot be used.
    pub warnings: Vec<String>,
    /// The stream of prices, if this process has one.
    pub stream: Option<StreamStatus>,
    /// The status of each task.
    pub tasks: Vec<TaskStatus>,
    /// The status of the alerts to each destination.
    pub alerts: Vec<AlertStatus>,
}

/// Fingerprints of state that no file shows: the content of a database, and which process leads. They differ when the
/// state differs; 0 means that there is no such state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Elsewhere {
    /// Fingerprint of the signals.
    pub signals: u64,
    /// Fingerprint of the records of the scheduler's tasks, except the watch, and of who leads.
    pub scheduler: u64,
}

/// The status of a task.
#[derive(Debug, Clone)]
pub struct TaskStatus {
    /// The task.
    pub task: Task,
    /// When and how it runs.
    pub plan: TaskPlan,
    /// Whether it is running, in this process or another.
    pub running: bool,
    /// When it is due next, UTC epoch ms; `None` if it does not run by itself.
    pub next_ms: Option<i64>,
    /// Its record.
    pub record: Record,
    /// What prevents it from running, or its result from being saved.
    pub problem: Option<String>,
}

impl SchedulerStatus {
    /// The status as JSON for JavaScript and `--json`. Fields without a value are left out.
    pub fn to_json(&self) -> Value {
        present(json!({
            "running": self.running,
            "leader": self.leader,
            "standingBy": self.standing_by,
            "ledBy": self.led_by,
            "enabled": self.config.enabled,
            "timezone": self.config.timezone.name(),
            "warnings": self.warnings,
            "stream": self.stream.as_ref().map(stream_to_json),
            "tasks": self.tasks.iter().map(TaskStatus::to_json).collect::<Vec<_>>(),
            "alerts": Some(&self.alerts).filter(|alerts| !alerts.is_empty()),
        }))
    }
}

impl TaskStatus {
    fn to_json(&self) -> Value {
        present(json!({
            "task": self.task,
            "enabled": self.plan.enabled,
            "schedule": self.plan.schedule.to_string(),
            "symbols": self.plan.symbols,
            "running": self.running,
            "nextRun": self.next_ms.map(format_iso),
            "attempt": self.record.attempt,
            "lastRun": self.record.last.as_ref().map(run_to_json),
            "problem": self.problem,
        }))
    }
}

fn stream_to_json(stream: &StreamStatus) -> Value {
    let gap = stream.last_gap.as_ref().map(|gap| {
        present(json!({
            "from": format_iso(gap.from_ms), "until": gap.until_ms.map(format_iso), "reason": gap.reason,
        }))
    });
    let missing = stream.missing.iter().map(|(symbol, reason)| json!({ "symbol": symbol, "reason": reason }));
    present(json!({
        "connectedSince": stream.connected_since_ms.map(format_iso),
        "symbols": stream.symbols,
        "notStreamed": missing.collect::<Vec<_>>(),
        "prices": stream.prices,
        "latePrices": stream.late,
        "unreadableMessages": stream.unreadable,
        "connections": stream.connections,
        "lastGap": gap,
        "problem": stream.problem,
    }))
}

/// A finished run as JSON for JavaScript and `--json`.
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

/// Without members that are null.
pub(super) fn present(mut object: Value) -> Value {
    if let Value::Object(map) = &mut object {
        map.retain(|_, value| !value.is_null());
    }
    object
}

impl Scheduler {
    /// The status of the scheduler, even if another process runs it. May wait for a database.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidConfig`], [`domain::error::Error::Io`].
    pub fn status(&self) -> Result<SchedulerStatus> {
        self.status_by(&|task| self.coordination.look(task))
    }

    /// [`Self::status`] without ever waiting for a database. It uses the database's last answer, and asks again in the
    /// background.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn glance(&self) -> Result<SchedulerStatus> {
        self.status_by(&|task| self.coordination.glance(task))
    }

    fn status_by(&self, see: &dyn Fn(Task) -> Seen) -> Result<SchedulerStatus> {
        let running = self.running.lock().clone();
        let (config, warnings) = match &running {
            Some(running) => {
                let rules = running.rules.lock();
                (rules.config.clone(), rules.warnings.clone())
            }
            None => self.config(Map::new())?,
        };
        let standing_by = running.as_ref().and_then(|running| running.standing_by());
        let problem =
            |task| running.as_ref().and_then(|running| running.problems.lock().get(&task).map(TaskProblem::to_string));
        let tasks = Task::ALL.into_iter().map(|task| self.task_status(task, see(task), &config, problem(task)));
        let tasks = tasks.collect();
        Ok(SchedulerStatus {
            running: running.is_some(),
            leader: running.is_some() && standing_by.is_none(),
            standing_by,
            // Read after the tasks, because reading them refreshes it.
            led_by: self.coordination.leader(),
            warnings,
            stream: self.runner.watch.stream_status(),
            tasks,
            alerts: self.alert_status(&config)?,
            config,
        })
    }

    /// The newest `most` runs of its tasks, newest first, from all processes.
    ///
    /// # Errors
    /// [`domain::error::Error::Io`]; [`domain::error::Error::Storage`] if a database keeps the history.
    pub fn history(&self, most: usize) -> Result<Vec<Ran>> {
        self.coordination.newest(most)
    }

    fn task_status(&self, task: Task, seen: Seen, config: &SchedulerConfig, problem: Option<String>) -> TaskStatus {
        let (plan, now) = (config.plan(task), self.runner.clocks());
        let (record, problem) = match seen.record {
            Ok(record) => (record, problem),
            Err(error) => (Record::default(), Some(error.to_string())),
        };
        let running = self.runner.is_active(task) || seen.running;
        let by_itself = config.enabled && plan.enabled;
        let next_ms = Timer::resume(plan.clone(), record.clone(), now).next_ms(now).filter(|_| by_itself);
        TaskStatus { task, plan, running, next_ms, record, problem }
    }
}

impl SignalLoop {
    /// Fingerprints of what is known about a database, without asking it.
    pub fn elsewhere(&self) -> Elsewhere {
        let (coordination, mut records) = (&self.scheduler.coordination, DefaultHasher::new());
        // A killed leader changes no file.
        format!("{:?}", coordination.leader()).hash(&mut records);
        if coordination.job_queue().is_none() {
            return Elsewhere { signals: 0, scheduler: records.finish() };
        }
        for task in Task::ALL.into_iter().filter(|task| *task != Task::Watch) {
            format!("{:?}", coordination.glance(task).record).hash(&mut records);
        }
        let mut signals = DefaultHasher::new();
        self.store().if_open().map(|store| store.extent()).hash(&mut signals);
        Elsewhere { signals: signals.finish(), scheduler: records.finish() }
    }
}
