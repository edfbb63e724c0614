//! The scheduler of a loop: runs tasks when they are due, in one process of the home, or of the database, at a time.
//!
//! The rules of due times are pure, in [`scheduler`]. Here they meet the [`scheduler::coordination`] and the tasks themselves. Two
//! places keep order between processes: the leader's is of whoever runs what is due, and a task's of whoever runs it, also by
//! hand. So no task ever runs twice at once, even while a leader changes; and since its record is read anew in its place,
//! nobody runs again what another has just done. In a folder a place is a lock, which dies with its process; in a database it
//! is a lease, and what a former holder writes is refused.

use super::attempt::RunRequest;
use super::schedule_loop::ScheduleLoop;
use super::settings::Noticed;
use super::tasks::TaskRunner;
use super::{Event, Events, Lifetime, Settings};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use parking_lot::Mutex;
use scheduler::coordination::{Hold, Office};
use scheduler::{LastRun, SchedulerConfig, Task};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{RwLock, watch};

/// Runs tasks when they are due, in one process of the home, or of the database, at a time.
pub struct Scheduler {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) office: Arc<dyn Office>,
    pub(super) runner: Arc<TaskRunner>,
    pub(super) running: Mutex<Option<Arc<Running>>>,
    pub(super) by_hand: Mutex<ByHand>,
}

/// The runs by hand since the last stop.
#[derive(Default)]
pub(super) struct ByHand {
    stop: Cancel,
    /// Held for reading by each of them.
    under_way: Arc<RwLock<()>>,
}

/// A scheduler that was started and not stopped.
pub(super) struct Running {
    /// What it was started with; goes before the file's.
    options: Map<String, Value>,
    pub(super) rules: Mutex<Rules>,
    pub(super) stop: Cancel,
    ended: watch::Receiver<bool>,
    /// The leader's place, while this process has it.
    pub(super) leader: Mutex<Option<Arc<dyn Hold>>>,
    /// Why this process does not lead; `None` when it does.
    pub(super) standing_by: Mutex<Option<String>>,
    /// What is wrong with a task.
    pub(super) problems: Mutex<BTreeMap<Task, Problem>>,
    /// What was told when the leader's place was given up, until a task can be run again.
    pub(super) gave_way: Mutex<Option<String>>,
    /// What keeps this process from working on trainings that were begun elsewhere.
    pub(super) cannot_help: Mutex<Option<String>>,
    /// A task of its own waits until it has done so.
    pub(super) wanted: AtomicBool,
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
    pub(super) fn is_told_by(&self, before: &Self) -> bool {
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

impl Scheduler {
    /// Starts the scheduler, inside a tokio runtime; returns at once. `changes` go before `scheduler_config.json`. Nothing
    /// happens when it is running already.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]; [`Error::InvalidArgument`] when it is running with another configuration;
    /// [`Error::Closed`].
    pub fn start(self: &Arc<Self>, changes: Map<String, Value>) -> Result<()> {
        let call = self.lifetime.begin()?;
        let file = Noticed::now(self.scheduler_file())?;
        let (config, warnings) = self.config(changes.clone())?;
        if let Some(running) = self.running.lock().clone() {
            self.reread_rules(&running);
        }
        let mut running = self.running.lock();
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
        self.settings.scheduler_runs(true);
        let this = self.clone();
        tokio::spawn(async move {
            drop(call);
            ScheduleLoop::new(this.clone(), started.clone()).keep_schedule().await;
            {
                let mut running = this.running.lock();
                running.take_if(|current| Arc::ptr_eq(current, &started));
                this.settings.scheduler_runs(running.is_some());
            }
            // Nobody may be waiting.
            let _ = end.send(true);
        });
        Ok(())
    }

    /// Stops the scheduler: what is under way, by hand too, is cancelled and ends at its next step. It is told so at once, and
    /// another may be started; the future resolves when all has ended.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        let by_hand = std::mem::take(&mut *self.by_hand.lock());
        by_hand.stop.cancel();
        let running = self.running.lock().clone();
        if let Some(running) = &running {
            running.stop.cancel();
        }
        async move {
            if let Some(running) = running {
                // An error means that the runtime it ran in has ended.
                let _ = running.ended.clone().wait_for(|ended| *ended).await;
            }
            let _all_ended = by_hand.under_way.write().await;
        }
    }

    /// Runs a task now, whoever leads, and returns what it came to; failed markets are in there.
    ///
    /// # Errors
    /// [`Error::TaskBusy`] while it runs already, in any process of the home; [`Error::InvalidConfig`]; [`Error::Io`];
    /// [`Error::Closed`].
    pub async fn run_once(self: &Arc<Self>, task: Task) -> Result<LastRun> {
        let running = self.running.lock().clone();
        let plan = match running {
            Some(running) => {
                self.reread_rules(&running);
                running.rules.lock().config.plan(task)
            }
            None => self.config(Map::new())?.0.plan(task),
        };
        let (stop, under_way) = {
            let by_hand = self.by_hand.lock();
            (by_hand.stop.clone(), by_hand.under_way.clone())
        };
        let _until_it_ends = under_way.read().await;
        let run = self.runner.run(RunRequest { task, plan, due: None, stop }).await?;
        run.last.ok_or_else(|| Error::Internal(format!("{task} did not run")))
    }

    /// The configuration of the scheduler, with `changes` before the file's.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], [`Error::Io`].
    pub fn config(&self, changes: Map<String, Value>) -> Result<(SchedulerConfig, Vec<String>)> {
        let (config, mut warnings) = SchedulerConfig::load(&self.scheduler_file())?;
        let (config, more) = config.merge(changes, "startScheduler()")?;
        warnings.extend(more);
        Ok((config, warnings))
    }

    fn scheduler_file(&self) -> PathBuf {
        self.settings.home().join("scheduler_config.json")
    }

    /// Puts the thresholds that the scheduler is started with before those of the files.
    fn take_thresholds(&self, options: Map<String, Value>) -> Result<()> {
        let (config, _) = SchedulerConfig::default().merge(options, "startScheduler()")?;
        if config.poor_performance.is_empty() {
            return Ok(());
        }
        let changes = Map::from_iter([("poor_performance".to_owned(), config.poor_performance.clone().into())]);
        self.settings.change(changes, "startScheduler()")
    }

    /// Reads `scheduler_config.json` again if it changed. One that cannot be used is told once, and what was in force stays
    /// so.
    pub(super) fn reread_rules(&self, running: &Running) {
        let problem = {
            let rules = &mut *running.rules.lock();
            match rules.file.read_if_changed(|| self.config(running.options.clone())) {
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
        self.events.emit(&Event::Warning(problem));
    }

    /// Waits, a few seconds at most, until all that was held is free for others.
    pub(super) async fn close(&self) {
        let office = self.office.clone();
        // A panic in it would leave leases that end by themselves.
        let _ = tokio::task::spawn_blocking(move || office.close()).await;
    }
}
