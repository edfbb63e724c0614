//! The scheduler of a loop: runs tasks when they are due, in one process of the home at a time.
//!
//! The rules of due times are pure, in [`crate::scheduler`]. Here they meet locks, files and the tasks themselves. Two locks
//! keep order between processes, and both die with their process: `leader.lock` says who runs what is due, and
//! `<task>.lock` is held by whoever runs the task, also by hand. So no task ever runs twice at once, even while a leader
//! changes; and since its record is read anew under its lock, nobody runs again what another has just done.

use super::tasks::{Done, Held, Hold, hold};
use super::{Event, SignalLoop};
use crate::cancel::Cancel;
use crate::error::{Error, Result, panicked};
use crate::scheduler::{
    Cause, LastRun, Moment, Outcome, Ran, Record, SchedulerConfig, Task, TaskPlan, Timer, Unfinished, append_history,
};
use crate::symbol::Market;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the scheduler looks: a dead leader is replaced, and what is due begins, within this time.
const TICK: Duration = Duration::from_millis(500);
/// How long cancelled work may take to end before it is left alone; it then keeps its task's lock until it does.
const GRACE: Duration = Duration::from_secs(30);
/// The watch, which runs every few seconds, is written down this often unless it ends otherwise than before.
const WATCH_WRITTEN_MS: i64 = 60_000;

/// The scheduling of a loop.
#[derive(Default)]
pub(super) struct Scheduling {
    pub(super) running: Mutex<Option<Arc<Running>>>,
    /// The tasks under way in this loop, by hand too.
    pub(super) active: Mutex<BTreeSet<Task>>,
    /// Up to where the prices of each open signal are known, by its id.
    pub(super) watched: Mutex<HashMap<String, i64>>,
}

/// A scheduler that was started and not stopped.
pub(super) struct Running {
    pub(super) config: SchedulerConfig,
    pub(super) warnings: Vec<String>,
    stop: Cancel,
    ended: watch::Receiver<bool>,
    /// Why this process does not lead; `None` when it does.
    pub(super) standing_by: Mutex<Option<String>>,
    /// What keeps a task from being run at all, such as a damaged record.
    pub(super) problems: Mutex<BTreeMap<Task, String>>,
}

/// A task's timer, and its record as the disk has it.
struct Slot {
    timer: Timer,
    stored: Record,
}

/// Who runs a task, and for what.
struct Order {
    task: Task,
    plan: TaskPlan,
    /// The timer that said it was due; `None` when it is run by hand.
    due: Option<Slot>,
    stop: Cancel,
}

impl SignalLoop {
    /// Starts the scheduler, inside a tokio runtime; returns at once. `changes` go before `scheduler_config.json`. Nothing
    /// happens when it is running already.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]; [`Error::InvalidArgument`] when it is running with another configuration;
    /// [`Error::Closed`].
    pub fn start_scheduler(self: &Arc<Self>, changes: Map<String, Value>) -> Result<()> {
        let call = self.begin()?;
        let (config, warnings) = self.scheduler_config(changes)?;
        let mut running = self.scheduling.running.lock();
        if let Some(running) = running.as_ref().filter(|running| !running.stop.is_cancelled()) {
            return match running.config == config {
                true => Ok(()),
                false => Err(Error::argument(
                    "options",
                    "must be those that the scheduler was started with: stop it first to change them",
                    "others",
                )),
            };
        }
        if let Some(rules) = &config.poor_performance {
            self.change_config(
                Map::from_iter([("poor_performance".to_owned(), rules.clone())]),
                "scheduler_config.json",
            )?;
        }
        let (end, ended) = watch::channel(false);
        let why =
            if config.enabled { "it has just been started" } else { "`enabled` is false: nothing runs by itself" };
        let started = Arc::new(Running {
            config,
            warnings,
            stop: Cancel::default(),
            ended,
            standing_by: Mutex::new(Some(why.to_owned())),
            problems: Mutex::default(),
        });
        *running = Some(started.clone());
        let this = self.clone();
        tokio::spawn(async move {
            drop(call);
            this.keep_schedule(&started).await;
            // Nobody may be waiting.
            let _ = end.send(true);
        });
        Ok(())
    }

    /// Stops the scheduler: what is under way is cancelled and ends at its next step. Returns when it has.
    pub async fn stop_scheduler(&self) {
        let running = self.scheduling.running.lock().clone();
        if let Some(running) = running {
            running.stop.cancel();
            // An error means that the runtime it ran in has ended.
            let _ = running.ended.clone().wait_for(|ended| *ended).await;
            let mut current = self.scheduling.running.lock();
            if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &running)) {
                *current = None;
            }
        }
    }

    /// Runs a task now, whoever leads, and returns what it came to; failed markets are in there.
    ///
    /// # Errors
    /// [`Error::TaskBusy`] while it runs already, in any process of the home; [`Error::InvalidConfig`]; [`Error::Io`];
    /// [`Error::Closed`].
    pub async fn run_once(self: &Arc<Self>, task: Task) -> Result<LastRun> {
        let running = self.scheduling.running.lock().clone();
        let (plan, stop) = match running {
            Some(running) => (running.config.plan(task), running.stop.clone()),
            None => (self.scheduler_config(Map::new())?.0.plan(task), Cancel::default()),
        };
        let (_, last) = self.attempt(Order { task, plan, due: None, stop }).await?;
        last.ok_or_else(|| Error::Internal(format!("{task} did not run")))
    }

    /// The configuration of the scheduler, with `changes` before the file's.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], [`Error::Io`].
    pub fn scheduler_config(&self, changes: Map<String, Value>) -> Result<(SchedulerConfig, Vec<String>)> {
        let (config, mut warnings) = SchedulerConfig::load(&self.home.join("scheduler_config.json"))?;
        let (config, more) = config.merge(changes, "startScheduler()")?;
        warnings.extend(more);
        Ok((config, warnings))
    }

    pub(super) fn scheduler_folder(&self) -> PathBuf {
        self.home.join("scheduler")
    }

    pub(super) fn moment(&self) -> Moment {
        Moment::now(self.now_ms())
    }

    /// Until it is stopped: leads if nobody else does, and runs what is due.
    async fn keep_schedule(self: Arc<Self>, running: &Running) {
        if !running.config.enabled {
            return;
        }
        let mut leader: Option<Hold> = None;
        let mut slots = BTreeMap::<Task, Slot>::new();
        let mut jobs = JoinSet::<(Task, Result<Slot>)>::new();
        let mut busy = BTreeSet::new();
        loop {
            let now = self.moment();
            leader = self.lead(leader, running);
            if leader.is_none() {
                slots.clear();
            }
            for task in Task::ALL.into_iter().filter(|_| leader.is_some()) {
                let plan = running.config.plan(task);
                // The watch must not wait for a training; the others take turns, for they want the same candles and threads.
                let lane_is_free =
                    !busy.contains(&task) && (task == Task::Watch || busy.iter().all(|other| *other == Task::Watch));
                if !plan.enabled || !lane_is_free {
                    continue;
                }
                let Some(mut slot) = self.slot(task, &plan, slots.remove(&task), running) else { continue };
                if !slot.timer.is_due(now) {
                    slots.insert(task, slot);
                    continue;
                }
                let (this, stop) = (self.clone(), running.stop.clone());
                jobs.spawn(async move {
                    let ended = this.attempt(Order { task, plan, due: Some(slot), stop }).await;
                    (task, ended.map(|(slot, _)| slot))
                });
                busy.insert(task);
            }
            let wait = async {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    Some(ended) = jobs.join_next() => match ended {
                        Ok((task, ended)) => {
                            busy.remove(&task);
                            if let Some(slot) = self.settle(task, ended, running) {
                                slots.insert(task, slot);
                            }
                        }
                        Err(panic) => {
                            self.emit(&Event::Warning(format!("the scheduler met a defect, and goes on: {panic}")));
                            busy.clear();
                        }
                    },
                }
                Ok(())
            };
            if running.stop.unless(self.closing.unless(wait)).await.is_err() {
                break;
            }
        }
        running.stop.cancel();
        // They were cancelled, and end within their grace. The leader's lock goes only then.
        while jobs.join_next().await.is_some() {}
        drop(leader);
    }

    /// Keeps the leader's lock, or tries to take it.
    fn lead(&self, leader: Option<Hold>, running: &Running) -> Option<Hold> {
        let held = leader.filter(Hold::is_in_place).map_or_else(|| hold(&self.scheduler_folder(), "leader"), Ok);
        let (leader, reason) = match held {
            Ok(leader) => (Some(leader), None),
            Err(error) => (None, Some(error.to_string())),
        };
        *running.standing_by.lock() = reason;
        leader
    }

    /// The timer of a task, from its record if this process has just begun to lead. `None` while that cannot be had.
    fn slot(&self, task: Task, plan: &TaskPlan, slot: Option<Slot>, running: &Running) -> Option<Slot> {
        let read = || -> Result<Slot> {
            let folder = self.scheduler_folder();
            let _nobody_else_writes = hold(&folder, task.as_str())?;
            let record = Record::load(&folder, task)?;
            let timer = Timer::resume(plan.clone(), record.clone(), self.moment());
            if *timer.record() != record {
                timer.record().save(&folder, task)?;
            }
            Ok(Slot { stored: timer.record().clone(), timer })
        };
        slot.or_else(|| self.settle(task, read(), running))
    }

    /// A slot to go on with; what keeps a task from being run is told once.
    fn settle(&self, task: Task, slot: Result<Slot>, running: &Running) -> Option<Slot> {
        let mut problems = running.problems.lock();
        match slot {
            Ok(slot) => {
                problems.remove(&task);
                Some(slot)
            }
            Err(Error::TaskBusy(_) | Error::Closed) => None,
            Err(error) => {
                let problem = error.to_string();
                if problems.insert(task, problem.clone()).is_none_or(|before| before != problem) {
                    self.emit(&Event::Warning(format!("{task} cannot be run: {problem}")));
                }
                None
            }
        }
    }

    /// One attempt, from taking the task's lock to writing down what it came to. Nothing is run, and there is no run to
    /// return, when its record shows that another process has done what was due.
    async fn attempt(self: &Arc<Self>, order: Order) -> Result<(Slot, Option<LastRun>)> {
        let Order { task, plan, due, stop } = order;
        let call = self.begin()?;
        let folder = self.scheduler_folder();
        let held = Arc::new((call, hold(&folder, task.as_str())?));
        let (record, now, by_hand) = (Record::load(&folder, task)?, self.moment(), due.is_none());
        let mut slot = match due {
            Some(slot) if slot.stored == record => slot,
            _ => Slot { timer: Timer::resume(plan.clone(), record.clone(), now), stored: record },
        };
        if !by_hand && !slot.timer.is_due(now) {
            return Ok((slot, None));
        }
        let scope = if by_hand { Vec::new() } else { slot.timer.record().remaining.clone() };
        slot.timer.begin(now);
        if task != Task::Watch {
            slot.save(&folder, task)?;
        }
        let attempt = slot.timer.record().attempt;
        let active = Active::new(self, task);
        if task != Task::Watch {
            self.emit(&Event::TaskStarted { task, attempt });
        }
        let (ended, stopped) = self.bounded(task, scope, plan.deadline, &stop, held.clone()).await;
        let now_after = self.moment();
        let (last, remaining) = summed_up(ended, stopped, attempt, now.wall_ms, now_after.wall_ms);
        let before = slot.stored.last.clone();
        slot.timer.end(
            last.clone(),
            remaining,
            now_after,
            f64::from(now_after.elapsed.subsec_micros() % 1000) / 1000.0,
        );
        let changed = before.as_ref().is_none_or(|before| {
            before.outcome != last.outcome || (last.ended_ms - before.ended_ms).abs() >= WATCH_WRITTEN_MS
        });
        if task != Task::Watch || changed {
            slot.save(&folder, task)?;
        }
        // Written down: now others may run it.
        drop((active, held));
        self.tell_end(task, &last, before.as_ref(), &slot, now_after);
        Ok((slot, Some(last)))
    }

    /// Tells, and writes down, the end of an attempt; of the watch, only when it ends otherwise than before.
    fn tell_end(&self, task: Task, last: &LastRun, before: Option<&LastRun>, slot: &Slot, now: Moment) {
        let news = before.map_or(Outcome::Finished, |before| before.outcome) != last.outcome;
        if task == Task::Watch && !news {
            return;
        }
        if let Err(error) = append_history(&self.scheduler_folder(), &Ran { task, run: last.clone() }) {
            self.emit(&Event::Warning(format!("what {task} came to is missing in the scheduler's history: {error}")));
        }
        self.emit(&match last.outcome {
            Outcome::Finished => Event::TaskFinished { task, run: last.clone() },
            Outcome::Failed | Outcome::Cancelled => {
                let again = last.outcome == Outcome::Failed && slot.timer.record().attempt > 0;
                Event::TaskFailed { task, run: last.clone(), retry_ms: slot.timer.next_ms(now).filter(|_| again) }
            }
        });
    }

    /// Does the work, but no longer than until its deadline, or until it is stopped; `true` says that it was.
    async fn bounded(
        self: &Arc<Self>,
        task: Task,
        scope: Vec<Market>,
        deadline: Duration,
        stop: &Cancel,
        held: Held,
    ) -> (Result<Done>, bool) {
        let cancel = Cancel::default();
        let mut work = tokio::spawn(self.clone().perform(task, scope, cancel.clone(), held));
        let asked = stop.unless(self.closing.unless(std::future::pending::<Result<()>>()));
        let stopped = tokio::select! {
            ended = &mut work => return (joined(ended), false),
            _ = asked => true,
            () = tokio::time::sleep(deadline) => false,
        };
        cancel.cancel();
        let ended = tokio::time::timeout(GRACE, &mut work).await;
        work.abort();
        match ended.map(joined) {
            Ok(Ok(done)) => (Ok(done), false),
            _ if stopped => (Err(Error::Cancelled("the scheduler was stopped".to_owned())), true),
            _ => {
                let minutes = deadline.as_secs_f64() / 60.0;
                (Err(Error::Cancelled(format!("it was cancelled at its deadline of {minutes} minutes"))), false)
            }
        }
    }
}

impl Slot {
    fn save(&mut self, folder: &std::path::Path, task: Task) -> Result<()> {
        self.timer.record().save(folder, task)?;
        self.stored = self.timer.record().clone();
        Ok(())
    }
}

/// Marks a task as under way until dropped.
struct Active<'a>(&'a SignalLoop, Task);

impl<'a> Active<'a> {
    fn new(core: &'a SignalLoop, task: Task) -> Self {
        core.scheduling.active.lock().insert(task);
        Self(core, task)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.scheduling.active.lock().remove(&self.1);
    }
}

fn joined(ended: std::result::Result<Result<Done>, tokio::task::JoinError>) -> Result<Done> {
    ended.unwrap_or_else(|ended| match ended.try_into_panic() {
        Ok(panic) => Err(panicked(&*panic)),
        Err(_) => Err(Error::Internal("the work was dropped".to_owned())),
    })
}

/// What is written down of an attempt, and what the next one has to do.
fn summed_up(
    ended: Result<Done>,
    stopped: bool,
    attempt: u32,
    started_ms: i64,
    ended_ms: i64,
) -> (LastRun, Vec<Market>) {
    let empty = LastRun {
        started_ms,
        ended_ms,
        outcome: Outcome::Failed,
        attempt,
        done: 0,
        message: String::new(),
        failed: Vec::new(),
        error: None,
    };
    match ended {
        Ok(Done { count, message, failed }) => {
            let outcome = if failed.is_empty() { Outcome::Finished } else { Outcome::Failed };
            let unfinished =
                failed.iter().map(|(market, error)| Unfinished { market: market.clone(), cause: error.into() });
            let last = LastRun { outcome, done: count, message, failed: unfinished.collect(), ..empty };
            (last, failed.into_iter().map(|(market, _)| market).collect())
        }
        Err(error) => {
            let outcome = if stopped { Outcome::Cancelled } else { Outcome::Failed };
            (LastRun { outcome, message: error.to_string(), error: Some(Cause::from(&error)), ..empty }, Vec::new())
        }
    }
}
