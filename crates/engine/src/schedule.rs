//! The scheduler of a loop: runs tasks when they are due, in one process of the home, or of the database, at a time.
//!
//! The rules of due times are pure, in [`scheduler`]. Here they meet the [`scheduler::coordination`] and the tasks themselves. Two
//! places keep order between processes: the leader's is of whoever runs what is due, and a task's of whoever runs it, also by
//! hand. So no task ever runs twice at once, even while a leader changes; and since its record is read anew in its place,
//! nobody runs again what another has just done. In a folder a place is a lock, which dies with its process; in a database it
//! is a lease, and what a former holder writes is refused.

use super::attempt::{Attempted, Order, Slot};
use super::settings::Noticed;
use super::watch::Known;
use super::{Event, SignalLoop};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use parking_lot::Mutex;
use scheduler::coordination::{Hold, Place};
use scheduler::{LastRun, Moment, SchedulerConfig, Task, TaskPlan, Timer};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{RwLock, watch};
use tokio::task::{JoinError, JoinSet};

/// How often the scheduler looks: a dead leader is replaced, and what is due begins, within this time.
const TICK: Duration = Duration::from_millis(500);

/// The scheduling of a loop.
#[derive(Default)]
pub(super) struct Scheduling {
    pub(super) running: Mutex<Option<Arc<Running>>>,
    /// The tasks under way in this loop, by hand too.
    pub(super) active: Mutex<BTreeSet<Task>>,
    by_hand: Mutex<ByHand>,
    /// What the watch knows.
    pub(super) watched: Mutex<Known>,
}

/// The runs by hand since the last stop.
#[derive(Default)]
struct ByHand {
    stop: Cancel,
    /// Held for reading by each of them.
    under_way: Arc<RwLock<()>>,
}

/// A scheduler that was started and not stopped.
pub(super) struct Running {
    /// What it was started with; goes before the file's.
    options: Map<String, Value>,
    pub(super) rules: Mutex<Rules>,
    stop: Cancel,
    ended: watch::Receiver<bool>,
    /// The leader's place, while this process has it.
    leader: Mutex<Option<Arc<dyn Hold>>>,
    /// Why this process does not lead; `None` when it does.
    standing_by: Mutex<Option<String>>,
    /// What is wrong with a task.
    pub(super) problems: Mutex<BTreeMap<Task, Problem>>,
    /// What was told when the leader's place was given up, until a task can be run again.
    gave_way: Mutex<Option<String>>,
    /// What keeps this process from working on trainings that were begun elsewhere.
    cannot_help: Mutex<Option<String>>,
    /// A task of its own waits until it has done so.
    wanted: AtomicBool,
}

/// A scheduler that was told to stop, with the runs by hand.
pub struct Ending {
    running: Option<Arc<Running>>,
    by_hand: ByHand,
}

impl Ending {
    /// Returns when it has ended.
    pub async fn over(self) {
        if let Some(running) = self.running {
            // An error means that the runtime it ran in has ended.
            let _ = running.ended.clone().wait_for(|ended| *ended).await;
        }
        let _all_ended = self.by_hand.under_way.write().await;
    }
}

/// What is wrong with a task, in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Problem {
    /// It cannot be run at all, such as with a damaged record.
    NotRun(String),
    /// What it comes to cannot be written down, such as on a full disk.
    NotWritten(String),
}

impl Problem {
    /// Whether it was told of, by what was told before: each reason that keeps a task from being run, and once that records
    /// cannot be written, for the reasons may change with every attempt.
    fn is_told_by(&self, before: &Self) -> bool {
        self == before || matches!((self, before), (Self::NotWritten(_), Self::NotWritten(_)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun(why) => f.write_str(why),
            Self::NotWritten(why) => write!(f, "it goes on, but what it comes to cannot be written down: {why}"),
        }
    }
}

/// The configuration that a scheduler goes by.
pub(super) struct Rules {
    pub(super) config: SchedulerConfig,
    /// What is odd about it: unknown keys, or a changed file that cannot be used.
    pub(super) warnings: Vec<String>,
    file: Noticed,
}

impl Running {
    /// Whether this process leads, for certain.
    pub(super) fn leads(&self) -> bool {
        self.leader.lock().as_ref().is_some_and(|leader| leader.is_in_place())
    }

    /// Why it does not; `None` when it does.
    pub(super) fn standing_by(&self) -> Option<String> {
        let ended = || "the leader's place was lost; it is about to be asked for again".to_owned();
        let reason = || self.standing_by.lock().clone().unwrap_or_else(ended);
        (!self.leads()).then(reason)
    }
}

/// What the process that looks for what is due has at hand.
#[derive(Default)]
struct Desk {
    slots: BTreeMap<Task, Slot>,
    jobs: JoinSet<(Task, Result<Attempted>)>,
    busy: BTreeSet<Task>,
    /// The work on trainings that were begun elsewhere.
    helping: JoinSet<Result<()>>,
    /// When it was last looked for such work.
    offered: Option<Instant>,
}

impl Desk {
    /// The watch must not wait for a training; the others take turns, for they want the same candles and threads.
    fn has_room_for(&self, task: Task) -> bool {
        task == Task::Watch || self.busy.iter().all(|other| *other == Task::Watch)
    }
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
        let file = Noticed::now(self.scheduler_file())?;
        let (config, warnings) = self.scheduler_config(changes.clone())?;
        if let Some(running) = self.scheduling.running.lock().clone() {
            self.reread_rules(&running);
        }
        let mut running = self.scheduling.running.lock();
        if let Some(running) = running.as_ref().filter(|running| !running.stop.is_cancelled()) {
            return match running.rules.lock().config == config {
                true => Ok(()),
                false => Err(Error::argument(
                    "options",
                    "must be those that the scheduler was started with: stop it first to change them",
                    "others",
                )),
            };
        }
        self.take_thresholds(changes.clone())?;
        let (end, ended) = watch::channel(false);
        let started = Arc::new(Running {
            options: changes,
            rules: Mutex::new(Rules { config, warnings, file }),
            stop: Cancel::default(),
            ended,
            leader: Mutex::default(),
            standing_by: Mutex::new(Some("it has just been started".to_owned())),
            problems: Mutex::default(),
            gave_way: Mutex::default(),
            cannot_help: Mutex::default(),
            wanted: AtomicBool::new(false),
        });
        *running = Some(started.clone());
        let this = self.clone();
        tokio::spawn(async move {
            drop(call);
            this.clone().keep_schedule(&started).await;
            this.scheduling.running.lock().take_if(|current| Arc::ptr_eq(current, &started));
            // Nobody may be waiting.
            let _ = end.send(true);
        });
        Ok(())
    }

    /// Stops the scheduler: what is under way, by hand too, is cancelled and ends at its next step. Returns when it has.
    pub async fn stop_scheduler(&self) {
        self.end_scheduler().over().await;
    }

    /// Tells the scheduler to stop, without waiting; another may be started at once.
    pub fn end_scheduler(&self) -> Ending {
        let by_hand = std::mem::take(&mut *self.scheduling.by_hand.lock());
        by_hand.stop.cancel();
        let running = self.scheduling.running.lock().clone();
        if let Some(running) = &running {
            running.stop.cancel();
        }
        Ending { running, by_hand }
    }

    /// Runs a task now, whoever leads, and returns what it came to; failed markets are in there.
    ///
    /// # Errors
    /// [`Error::TaskBusy`] while it runs already, in any process of the home; [`Error::InvalidConfig`]; [`Error::Io`];
    /// [`Error::Closed`].
    pub async fn run_once(self: &Arc<Self>, task: Task) -> Result<LastRun> {
        let running = self.scheduling.running.lock().clone();
        let plan = match running {
            Some(running) => {
                self.reread_rules(&running);
                running.rules.lock().config.plan(task)
            }
            None => self.scheduler_config(Map::new())?.0.plan(task),
        };
        let (stop, under_way) = {
            let by_hand = self.scheduling.by_hand.lock();
            (by_hand.stop.clone(), by_hand.under_way.clone())
        };
        let _until_it_ends = under_way.read().await;
        let attempted = self.attempt(Order { task, plan, due: None, stop }).await?;
        attempted.last.ok_or_else(|| Error::Internal(format!("{task} did not run")))
    }

    /// The configuration of the scheduler, with `changes` before the file's.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], [`Error::Io`].
    pub fn scheduler_config(&self, changes: Map<String, Value>) -> Result<(SchedulerConfig, Vec<String>)> {
        let (config, mut warnings) = SchedulerConfig::load(&self.scheduler_file())?;
        let (config, more) = config.merge(changes, "startScheduler()")?;
        warnings.extend(more);
        Ok((config, warnings))
    }

    fn scheduler_file(&self) -> PathBuf {
        self.home.join("scheduler_config.json")
    }

    pub(super) fn moment(&self) -> Moment {
        self.office.moment(self.now_ms())
    }

    /// Puts the thresholds that the scheduler is started with before those of the files.
    fn take_thresholds(&self, options: Map<String, Value>) -> Result<()> {
        let (config, _) = SchedulerConfig::default().merge(options, "startScheduler()")?;
        if config.poor_performance.is_empty() {
            return Ok(());
        }
        let changes = Map::from_iter([("poor_performance".to_owned(), config.poor_performance.clone().into())]);
        self.change_config(changes, "startScheduler()")
    }

    /// Reads `scheduler_config.json` again if it changed. One that cannot be used is told once, and what was in force stays
    /// so.
    fn reread_rules(&self, running: &Running) {
        let problem = {
            let rules = &mut *running.rules.lock();
            match rules.file.read_if_changed(|| self.scheduler_config(running.options.clone())) {
                None => return,
                Some(Ok((config, warnings))) => {
                    (rules.config, rules.warnings) = (config, warnings);
                    return;
                }
                Some(Err(problem)) => {
                    rules.warnings.push(problem.clone());
                    problem
                }
            }
        };
        // Told without the lock: a listener may ask how it stands.
        self.emit(&Event::Warning(problem));
    }

    /// Until it is stopped: leads if nobody else does, and runs what is due.
    async fn keep_schedule(self: Arc<Self>, running: &Arc<Running>) {
        let mut desk = Desk::default();
        loop {
            self.look(running, &mut desk);
            let wait = async {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    Some(ended) = desk.jobs.join_next() => match ended {
                        Ok((task, ended)) => {
                            desk.busy.remove(&task);
                            if let Some(slot) = self.settle(task, ended, running) {
                                desk.slots.insert(task, slot);
                            }
                        }
                        Err(panic) => {
                            self.emit(&Event::Warning(format!("the scheduler met a defect, and goes on: {panic}")));
                            desk.busy.clear();
                        }
                    },
                    Some(helped) = desk.helping.join_next() => self.after_helping(helped, running),
                }
                Ok(())
            };
            if running.stop.unless(self.closing.unless(wait)).await.is_err() {
                break;
            }
        }
        running.stop.cancel();
        // They were cancelled, and end within their grace. The leader's lock goes only then.
        while desk.jobs.join_next().await.is_some() {}
        while desk.helping.join_next().await.is_some() {}
        *running.leader.lock() = None;
    }

    /// Begins what is due, if this process leads; helps with trainings that were begun elsewhere, if it has nothing to do.
    fn look(self: &Arc<Self>, running: &Arc<Running>, desk: &mut Desk) {
        self.reread_config();
        self.reread_rules(running);
        if self.lead(running) {
            self.begin_what_is_due(running, desk);
        } else {
            desk.slots.clear();
        }
        if self.office.board().is_some() {
            // So that `status()` has what it tells without waiting.
            self.office.glance(Task::Watch);
            self.help(running, desk);
        }
    }

    fn begin_what_is_due(self: &Arc<Self>, running: &Arc<Running>, desk: &mut Desk) {
        for task in Task::ALL {
            // Each may have to wait for a database.
            if running.stop.is_cancelled() {
                return;
            }
            let plan = running.rules.lock().config.plan(task);
            if !plan.enabled || desk.busy.contains(&task) {
                continue;
            }
            let Some(mut slot) = self.slot(task, &plan, desk.slots.remove(&task), running) else { continue };
            let due = slot.timer.due(self.moment()).is_some();
            let waits = due && task != Task::Watch && !desk.helping.is_empty();
            if waits {
                // It begins once the jobs in hand are done.
                running.wanted.store(true, Ordering::Relaxed);
            }
            // What is due and has no room yet was seen in time: it is late, and not missed.
            if !due || waits || !desk.has_room_for(task) {
                desk.slots.insert(task, slot);
                continue;
            }
            let (this, stop) = (self.clone(), running.stop.clone());
            desk.jobs.spawn(async move { (task, this.attempt(Order { task, plan, due: Some(slot), stop }).await) });
            desk.busy.insert(task);
        }
    }

    /// Takes jobs of trainings that were begun elsewhere, unless there is something to do here: tasks take turns with that, too.
    fn help(self: &Arc<Self>, running: &Arc<Running>, desk: &mut Desk) {
        let only_watches = |tasks: &BTreeSet<Task>| tasks.iter().all(|task| *task == Task::Watch);
        let free = desk.helping.is_empty() && only_watches(&desk.busy) && only_watches(&self.scheduling.active.lock());
        let soon = desk.offered.is_some_and(|at| at.elapsed() < TICK);
        if !free || soon || !running.rules.lock().config.enabled {
            return;
        }
        desk.offered = Some(Instant::now());
        running.wanted.store(false, Ordering::Relaxed);
        let (this, running) = (self.clone(), running.clone());
        desk.helping.spawn(async move {
            let is_free = || !running.wanted.load(Ordering::Relaxed);
            this.work_for_others(&running.stop, &is_free).await
        });
    }

    /// What keeps this process from helping is told once, as long as it stays the same.
    fn after_helping(&self, helped: std::result::Result<Result<()>, JoinError>, running: &Running) {
        let problem = match helped {
            Ok(Ok(()) | Err(Error::Closed)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic.to_string()),
        };
        let before = std::mem::replace(&mut *running.cannot_help.lock(), problem.clone());
        if let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) {
            self.emit(&Event::Warning(format!("no training can be shared: {problem}")));
        }
    }

    /// Keeps the leader's place, or tries to take it; whether this process has it.
    fn lead(&self, running: &Running) -> bool {
        // Not within the `match`, for `status()` must not wait while the place is asked for.
        let enabled = running.rules.lock().config.enabled;
        let taken = match self.office.cannot_write() {
            _ if !enabled => Err("`enabled` is false: nothing runs by itself".to_owned()),
            Some(error) => Err(self.give_way(running, &error)),
            None if running.leads() => return true,
            None => self.office.take(Place::Leader, Duration::ZERO).map_err(|error| error.to_string()),
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

    /// Why a process that cannot write what tasks come to does not lead; told once, if it did.
    fn give_way(&self, running: &Running, error: &Error) -> String {
        let reason =
            format!("what tasks come to cannot be written down here, so that another instance may lead: {error}");
        let known = running.gave_way.lock().as_ref() == Some(&reason);
        if running.leads() && !known {
            self.emit(&Event::Warning(format!("the scheduler's lead is given up: {reason}")));
            *running.gave_way.lock() = Some(reason.clone());
        }
        reason
    }

    /// The timer of a task, from its record if this process has just begun to lead, or if its plan was changed. `None` while
    /// that cannot be had.
    fn slot(&self, task: Task, plan: &TaskPlan, slot: Option<Slot>, running: &Running) -> Option<Slot> {
        let read = || -> Result<Attempted> {
            let nobody_else_writes = self.office.take(Place::Task(task), Duration::ZERO)?;
            let record = self.office.record(task)?;
            let timer = Timer::resume(plan.clone(), record.clone(), self.moment());
            let mut slot = Slot { timer, stored: record };
            let changed = *slot.timer.record() != slot.stored;
            let written = changed.then(|| slot.save(&*self.office, &*nobody_else_writes, task, self.moment()));
            // Read, and nothing to be written: what kept it from either is over.
            Ok(Attempted { slot, last: None, written: Some(written.unwrap_or(Ok(()))) })
        };
        slot.filter(|slot| slot.timer.plan() == plan).or_else(|| self.settle(task, read(), running))
    }

    /// A slot to go on with. What keeps a task from being run, or written down, is told once, as long as it stays the same.
    fn settle(&self, task: Task, attempted: Result<Attempted>, running: &Running) -> Option<Slot> {
        let (slot, problem) = match attempted {
            Ok(Attempted { slot, written: None, .. }) => return Some(slot),
            Ok(Attempted { slot, written: Some(Ok(())), .. }) => {
                if running.problems.lock().remove(&task).is_some() {
                    *running.gave_way.lock() = None;
                }
                return Some(slot);
            }
            Ok(Attempted { slot, written: Some(Err(error)), .. }) => {
                (Some(slot), Problem::NotWritten(error.to_string()))
            }
            Err(Error::TaskBusy(_) | Error::LeaseLost(_) | Error::Closed) => return None,
            Err(error) => (None, Problem::NotRun(error.to_string())),
        };
        let before = running.problems.lock().insert(task, problem.clone());
        if before.is_none_or(|before| !problem.is_told_by(&before)) {
            self.emit(&Event::Warning(match problem {
                Problem::NotRun(why) => format!("{task} cannot be run: {why}"),
                problem @ Problem::NotWritten(_) => format!("{task}: {problem}"),
            }));
        }
        slot
    }
}
