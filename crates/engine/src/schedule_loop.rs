//! The loop of a started scheduler. It leads if no other process does, runs due tasks, and helps other instances with
//! their trainings.

use super::Event;
use super::alerts::Alerts;
use super::price_stream::{StreamPlan, stream_prices};
use super::schedule::{Running, Scheduler, TaskProblem};
use super::task_run::{RunRequest, TaskRun, TaskState};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use scheduler::coordination::Role;
use scheduler::{Task, TaskPlan, Timer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinSet};

/// How often the scheduler checks what to do. A dead leader is replaced, and a due task starts, within this time.
const TICK: Duration = Duration::from_millis(500);

/// A started scheduler, and the tasks that it is running.
pub(super) struct ScheduleLoop {
    scheduler: Arc<Scheduler>,
    running: Arc<Running>,
    states: BTreeMap<Task, TaskState>,
    runs: JoinSet<(Task, Result<TaskRun>)>,
    busy: BTreeSet<Task>,
    /// The jobs of trainings that another process started.
    helping: JoinSet<Result<()>>,
    /// When this process last looked for such jobs.
    offered: Option<Instant>,
    /// What is streamed now, and how to end that.
    streaming: Option<(StreamPlan, Cancel)>,
    /// Streams that run or are ending.
    streams: JoinSet<()>,
}

impl ScheduleLoop {
    /// Creates the loop. No task is running yet.
    pub fn new(scheduler: Arc<Scheduler>, running: Arc<Running>) -> Self {
        Self {
            scheduler,
            running,
            states: BTreeMap::new(),
            runs: JoinSet::new(),
            busy: BTreeSet::new(),
            helping: JoinSet::new(),
            offered: None,
            streaming: None,
            streams: JoinSet::new(),
        }
    }

    /// Leads if no other process does, and runs due tasks, until it is stopped.
    pub async fn keep_schedule(mut self, mut alerts: Alerts) {
        let (scheduler, running) = (self.scheduler.clone(), self.running.clone());
        loop {
            self.look();
            alerts.follow();
            self.stream();
            let wait = async {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    Some(ended) = self.runs.join_next() => self.after_run(ended),
                    Some(helped) = self.helping.join_next() => self.after_helping(helped),
                    Some(ended) = self.streams.join_next() => self.after_stream(ended),
                }
                Ok(())
            };
            if running.stop.unless(scheduler.lifetime.closing().unless(wait)).await.is_err() {
                break;
            }
        }
        running.stop.cancel();
        // The running tasks were cancelled and end within their grace period. Only then is the leader's lock released.
        while self.runs.join_next().await.is_some() {}
        while self.helping.join_next().await.is_some() {}
        if let Some((_, end)) = self.streaming.take() {
            end.cancel();
        }
        while self.streams.join_next().await.is_some() {}
        alerts.ended().await;
        *running.leader.lock() = None;
    }

    /// Streams prices while this process leads, as configured. A scheduler that is asked what is due, as in a replay, never does.
    fn stream(&mut self) {
        let runner = &self.scheduler.runner;
        let plan = match self.running.leads() {
            true => StreamPlan::of(&runner.settings, &runner.fetcher, &self.running.rules.lock().config),
            false => None,
        };
        if self.streaming.as_ref().map(|(plan, _)| plan) == plan.as_ref() {
            return;
        }
        if let Some((_, end)) = self.streaming.take() {
            end.cancel();
        }
        // One stream ends before the next begins, since both use what the watch remembers.
        if let Some(plan) = plan.filter(|_| self.streams.is_empty()) {
            let end = Cancel::default();
            self.streams.spawn(stream_prices(runner.watch.clone(), plan.clone(), end.clone()));
            self.streaming = Some((plan, end));
        }
    }

    fn after_stream(&self, ended: std::result::Result<(), JoinError>) {
        if let Err(panic) = ended {
            self.scheduler.runner.watch.stream_ended();
            self.warn(format!("the stream of prices hit a defect of signalloop, and prices are requested: {panic}"));
        }
    }

    /// Runs everything that is due now, one task after the other, and returns when nothing is due any more.
    pub async fn run_due(&mut self) {
        loop {
            self.look();
            let Some(ended) = self.runs.join_next().await else { return };
            self.after_run(ended);
        }
    }

    fn after_run(&mut self, ended: std::result::Result<(Task, Result<TaskRun>), JoinError>) {
        match ended {
            Ok((task, ended)) => {
                self.busy.remove(&task);
                if let Some(state) = self.settle(task, ended) {
                    self.states.insert(task, state);
                }
            }
            Err(panic) => {
                self.warn(format!("the scheduler hit a defect of signalloop and goes on: {panic}"));
                self.busy.clear();
            }
        }
    }

    /// Starts the due tasks, if this process leads. If there is nothing to do, it helps with trainings that another
    /// process started.
    fn look(&mut self) {
        self.scheduler.settings.reread();
        self.scheduler.reread_rules(&self.running);
        if self.lead() {
            self.begin_what_is_due();
        } else {
            self.states.clear();
        }
        if self.scheduler.coordination.job_queue().is_some() {
            // Refreshes the cache from which `status()` answers without waiting.
            self.scheduler.coordination.glance(Task::Watch);
            self.help();
        }
    }

    fn begin_what_is_due(&mut self) {
        for task in Task::ALL {
            // Checked for each task, because each may have to wait for a database.
            if self.running.stop.is_cancelled() {
                return;
            }
            let plan = self.running.rules.lock().config.plan(task);
            if !plan.enabled || self.busy.contains(&task) {
                continue;
            }
            let known = self.states.remove(&task);
            let Some(mut state) = self.state(task, &plan, known) else { continue };
            let due = state.timer.due(self.scheduler.runner.clocks()).is_some();
            let waits = due && task != Task::Watch && !self.helping.is_empty();
            if waits {
                // The task starts once the current shared training is done.
                self.running.wanted.store(true, Ordering::Relaxed);
            }
            // A due task that has to wait counts as late, not as missed.
            if !due || waits || !self.has_room_for(task) {
                self.states.insert(task, state);
                continue;
            }
            let (runner, stop) = (self.scheduler.runner.clone(), self.running.stop.clone());
            let request = RunRequest { task, plan, due: Some(state), stop };
            self.runs.spawn(async move { (task, runner.run(request).await) });
            self.busy.insert(task);
        }
    }

    /// Whether a task may start now. The watch must not wait for a training. The other tasks run one at a time, because
    /// they use the same candles and threads.
    fn has_room_for(&self, task: Task) -> bool {
        task == Task::Watch || only_watches(&self.busy)
    }

    /// Takes jobs of trainings that another process started, unless this process is running a task.
    fn help(&mut self) {
        let runner = &self.scheduler.runner;
        let free = self.helping.is_empty() && only_watches(&self.busy) && only_watches(&runner.active.lock());
        let soon = self.offered.is_some_and(|at| at.elapsed() < TICK);
        if !free || soon || !self.running.rules.lock().config.enabled {
            return;
        }
        self.offered = Some(Instant::now());
        self.running.wanted.store(false, Ordering::Relaxed);
        let (runner, running) = (runner.clone(), self.running.clone());
        self.helping.spawn(async move {
            let is_free = || !running.wanted.load(Ordering::Relaxed);
            runner.work_for_others(&running.stop, &is_free).await
        });
    }

    /// Reports what prevents this process from helping. The same reason is reported only once.
    fn after_helping(&self, helped: std::result::Result<Result<()>, JoinError>) {
        let problem = match helped {
            Ok(Ok(()) | Err(Error::Closed)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic.to_string()),
        };
        let before = std::mem::replace(&mut *self.running.cannot_help.lock(), problem.clone());
        if let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) {
            self.warn(format!("no training can be shared: {problem}"));
        }
    }

    /// Keeps the leader's lock or tries to take it. Returns whether this process leads.
    fn lead(&self) -> bool {
        let (running, coordination) = (&self.running, &self.scheduler.coordination);
        // Read before the `match`, so that `status()` does not wait while the lock is being taken.
        let enabled = running.rules.lock().config.enabled;
        let taken = match coordination.cannot_write() {
            _ if !enabled => Err("`enabled` is false: nothing runs by itself".to_owned()),
            Some(error) => Err(self.give_way(&error)),
            None if running.leads() => return true,
            None => coordination.take(Role::Leader, Duration::ZERO).map_err(|error| error.to_string()),
        };
        let (leader, reason) = match taken {
            Ok(leader) => (Some(leader), None),
            Err(reason) => (None, Some(reason)),
        };
        *running.standing_by.lock() = reason;
        let leads = leader.is_some();
        *running.leader.lock() = leader;
        leads
    }

    /// Why this process does not lead: it cannot save results. If it was leading, that is reported once.
    fn give_way(&self, error: &Error) -> String {
        let reason = format!("results of tasks cannot be stored here, so another instance may lead: {error}");
        let known = self.running.gave_way.lock().as_ref() == Some(&reason);
        if self.running.leads() && !known {
            self.warn(format!("this scheduler gives up the lead: {reason}"));
            *self.running.gave_way.lock() = Some(reason.clone());
        }
        reason
    }

    /// The state of a task. It is read from the task's record if this process has just become leader, or if the plan
    /// has changed. `None` if it cannot be read now.
    fn state(&self, task: Task, plan: &TaskPlan, known: Option<TaskState>) -> Option<TaskState> {
        let (coordination, runner) = (&*self.scheduler.coordination, &self.scheduler.runner);
        let read = || -> Result<TaskRun> {
            let nobody_else_writes = coordination.take(Role::Task(task), Duration::ZERO)?;
            let record = coordination.record(task)?;
            let timer = Timer::resume(plan.clone(), record.clone(), runner.clocks());
            let mut state = TaskState { timer, stored: record };
            let changed = *state.timer.record() != state.stored;
            let written = changed.then(|| state.save(coordination, &*nobody_else_writes, task, runner.clocks()));
            // The record was read and nothing has to be saved, so earlier problems are over.
            Ok(TaskRun { state, last: None, written: Some(written.unwrap_or(Ok(()))) })
        };
        known.filter(|state| state.timer.plan() == plan).or_else(|| self.settle(task, read()))
    }

    /// The state to continue with. A reason that prevents a task from being run or saved is reported only once while it
    /// stays the same.
    fn settle(&self, task: Task, run: Result<TaskRun>) -> Option<TaskState> {
        let running = &self.running;
        let (state, problem) = match run {
            Ok(TaskRun { state, written: None, .. }) => return Some(state),
            Ok(TaskRun { state, written: Some(Ok(())), .. }) => {
                if running.problems.lock().remove(&task).is_some() {
                    *running.gave_way.lock() = None;
                }
                return Some(state);
            }
            Ok(TaskRun { state, written: Some(Err(error)), .. }) => {
                (Some(state), TaskProblem::NotWritten(error.to_string()))
            }
            Err(Error::TaskBusy(_) | Error::LeaseLost(_) | Error::Closed) => return None,
            Err(error) => (None, TaskProblem::NotRun(error.to_string())),
        };
        let before = running.problems.lock().insert(task, problem.clone());
        if before.is_none_or(|before| !problem.is_told_by(&before)) {
            self.warn(match problem {
                TaskProblem::NotRun(why) => format!("{task} cannot be run: {why}"),
                problem @ TaskProblem::NotWritten(_) => format!("{task}: {problem}"),
            });
        }
        state
    }

    fn warn(&self, text: String) {
        self.scheduler.events.emit(&Event::Warning(text));
    }
}

fn only_watches(tasks: &BTreeSet<Task>) -> bool {
    tasks.iter().all(|task| *task == Task::Watch)
}
