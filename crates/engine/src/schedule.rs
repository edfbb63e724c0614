//! The scheduler of a loop. It runs tasks when they are due, in one process of the home or database at a time.
//!
//! [`scheduler`] computes when a task is due, without any input or output. This module combines that with the locks or
//! leases of [`scheduler::coordination`] and with the tasks themselves.
//!
//! Two kinds of locks coordinate the processes. One process holds the leader's lock; it starts the tasks that are due.
//! Whoever runs a task, even by hand, holds the lock of that task. So no task runs twice at once, even while the leader
//! changes. The record of a task is read again under its lock, so nobody repeats what another process has just done. In
//! a folder these are file locks, which end with their process. In a database they are leases, and writes of a former
//! holder are rejected.

use super::alerts::{Alerts, Targets, destinations};
use super::schedule_loop::ScheduleLoop;
use super::settings::WatchedFile;
use super::task_run::RunRequest;
use super::tasks::TaskRunner;
use super::{Event, Events, Lifetime, Settings};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use parking_lot::Mutex;
use scheduler::coordination::{Claim, Coordination};
use scheduler::{LastRun, SchedulerConfig, Task};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{RwLock, watch};

/// Runs tasks when they are due, in one process of the home or database at a time.
pub struct Scheduler {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) coordination: Arc<dyn Coordination>,
    pub(super) runner: Arc<TaskRunner>,
    pub(super) running: Mutex<Option<Arc<Running>>>,
    pub(super) by_hand: Mutex<ManualRuns>,
}

/// The manual runs since the last stop.
#[derive(Default)]
pub(super) struct ManualRuns {
    stop: Cancel,
    /// Each manual run holds a read lock on it.
    under_way: Arc<RwLock<()>>,
}

/// A scheduler that was started and not yet stopped.
pub(super) struct Running {
    /// The options it was started with. They override the configuration file.
    options: Map<String, Value>,
    pub(super) rules: Mutex<SchedulerRules>,
    pub(super) stop: Cancel,
    ended: watch::Receiver<bool>,
    /// The leader's lock, while this process leads.
    pub(super) leader: Mutex<Option<Arc<dyn Claim>>>,
    /// Why this process does not lead; `None` when it does.
    pub(super) standing_by: Mutex<Option<String>>,
    /// The current problem of each task that has one.
    pub(super) problems: Mutex<BTreeMap<Task, TaskProblem>>,
    /// The reason that was reported when this process gave up leading; cleared once a task can be run again.
    pub(super) gave_way: Mutex<Option<String>>,
    /// Why this process cannot help with trainings that another process started.
    pub(super) cannot_help: Mutex<Option<String>>,
    /// Whether a task of this process is due and waits for the current shared training to end.
    pub(super) wanted: AtomicBool,
}

/// What is wrong with a task, in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TaskProblem {
    /// It cannot be run at all, for example because its record is damaged.
    NotRun(String),
    /// Its result cannot be saved, for example because the disk is full.
    NotWritten(String),
}

impl TaskProblem {
    /// Whether this problem needs no new report after `before` was reported. Every new reason that prevents a task from
    /// running is reported. That records cannot be written is reported only once, because its reason may differ each
    /// time.
    pub(super) fn is_told_by(&self, before: &Self) -> bool {
        self == before || matches!((self, before), (Self::NotWritten(_), Self::NotWritten(_)))
    }
}

impl fmt::Display for TaskProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun(why) => f.write_str(why),
            Self::NotWritten(why) => write!(f, "it goes on, but its result cannot be stored: {why}"),
        }
    }
}

/// The configuration that a scheduler follows.
pub(super) struct SchedulerRules {
    pub(super) config: SchedulerConfig,
    /// Warnings about the configuration: unknown keys, or a changed file that cannot be used.
    pub(super) warnings: Vec<String>,
    /// Who gets alerts.
    pub(super) alerts: Targets,
    file: WatchedFile,
}

impl Running {
    fn new(options: Map<String, Value>, rules: SchedulerRules, ended: watch::Receiver<bool>) -> Self {
        Self {
            options,
            rules: Mutex::new(rules),
            stop: Cancel::default(),
            ended,
            leader: Mutex::default(),
            standing_by: Mutex::new(Some("it has just been started".to_owned())),
            problems: Mutex::default(),
            gave_way: Mutex::default(),
            cannot_help: Mutex::default(),
            wanted: AtomicBool::new(false),
        }
    }

    /// Whether this process is certain to be the leader.
    pub(super) fn leads(&self) -> bool {
        self.leader.lock().as_ref().is_some_and(|leader| leader.is_in_place())
    }

    /// Why this process does not lead; `None` if it does.
    pub(super) fn standing_by(&self) -> Option<String> {
        let ended = || "the leader's role was lost; this process will claim it again".to_owned();
        let reason = || self.standing_by.lock().clone().unwrap_or_else(ended);
        (!self.leads()).then(reason)
    }
}

/// A scheduler that runs what is due when it is asked, instead of by itself. A replay asks it whenever it has moved the
/// clock.
pub struct SteppedScheduler(ScheduleLoop);

impl SteppedScheduler {
    /// Runs everything that is due now, one task after the other, and returns when nothing is due any more.
    pub async fn run_due(&mut self) {
        self.0.run_due().await;
    }
}

impl Scheduler {
    /// A scheduler that runs what is due when it is asked. `changes` override `scheduler_config.json`.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], [`Error::Io`].
    pub fn stepped(self: &Arc<Self>, changes: Map<String, Value>) -> Result<SteppedScheduler> {
        let file = WatchedFile::now(self.scheduler_file())?;
        let (config, warnings) = self.config(changes.clone())?;
        self.take_thresholds(changes.clone())?;
        let (_, ended) = watch::channel(true);
        let rules = SchedulerRules { config, warnings, alerts: Targets::default(), file };
        let running = Arc::new(Running::new(changes, rules, ended));
        *self.running.lock() = Some(running.clone());
        Ok(SteppedScheduler(ScheduleLoop::new(self.clone(), running)))
    }

    /// Starts the scheduler and returns at once. Must be called inside a tokio runtime. `changes` override
    /// `scheduler_config.json`. Does nothing if the scheduler is already running.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]; [`Error::InvalidArgument`] if it is running with another configuration;
    /// [`Error::Closed`].
    pub fn start(self: &Arc<Self>, changes: Map<String, Value>) -> Result<()> {
        let call = self.lifetime.begin()?;
        let file = WatchedFile::now(self.scheduler_file())?;
        let (config, warnings) = self.config(changes.clone())?;
        let alerts = self.alert_targets(&config)?;
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
        let rules = SchedulerRules { config, warnings, alerts, file };
        let started = Arc::new(Running::new(changes, rules, ended));
        *running = Some(started.clone());
        self.settings.scheduler_runs(true);
        let alerts = Alerts::of(self.clone(), started.clone());
        let this = self.clone();
        tokio::spawn(async move {
            drop(call);
            ScheduleLoop::new(this.clone(), started.clone()).keep_schedule(alerts).await;
            {
                let mut running = this.running.lock();
                running.take_if(|current| Arc::ptr_eq(current, &started));
                this.settings.scheduler_runs(running.is_some());
            }
            // There may be no receiver.
            let _ = end.send(true);
        });
        Ok(())
    }

    /// Stops the scheduler and cancels all running tasks, including manual runs; they end at their next step. This
    /// takes effect at once, so another scheduler may be started immediately. The future resolves when everything has
    /// ended.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        let by_hand = std::mem::take(&mut *self.by_hand.lock());
        by_hand.stop.cancel();
        let running = self.running.lock().clone();
        if let Some(running) = &running {
            running.stop.cancel();
        }
        async move {
            if let Some(running) = running {
                // An error means that the runtime of the scheduler has ended.
                let _ = running.ended.clone().wait_for(|ended| *ended).await;
            }
            let _all_ended = by_hand.under_way.write().await;
        }
    }

    /// Runs a task now, whether this process leads or not, and returns the result. Markets that failed are listed in
    /// the result.
    ///
    /// # Errors
    /// [`Error::TaskBusy`] if it is already running, in any process of the home; [`Error::InvalidConfig`];
    /// [`Error::Io`]; [`Error::Closed`].
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

    /// The configuration of the scheduler: the file's settings, overridden by `changes`.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], [`Error::Io`].
    pub fn config(&self, changes: Map<String, Value>) -> Result<(SchedulerConfig, Vec<String>)> {
        let (config, mut warnings) = SchedulerConfig::load(&self.scheduler_file())?;
        let (config, more) = config.merge(changes, "startScheduler()")?;
        warnings.extend(more);
        let (_, more) = destinations(&config)?;
        warnings.extend(more);
        Ok((config, warnings))
    }

    fn scheduler_file(&self) -> PathBuf {
        self.settings.home().join("scheduler_config.json")
    }

    /// Applies the thresholds that the scheduler is started with. They override those of the files.
    fn take_thresholds(&self, options: Map<String, Value>) -> Result<()> {
        let (config, _) = SchedulerConfig::default().merge(options, "startScheduler()")?;
        if config.poor_performance.is_empty() {
            return Ok(());
        }
        let changes = Map::from_iter([("poor_performance".to_owned(), config.poor_performance.clone().into())]);
        self.settings.change(changes, "startScheduler()")
    }

    /// Reads `scheduler_config.json` again if it changed. A file that cannot be used is reported once, and the
    /// previous configuration stays in force.
    pub(super) fn reread_rules(&self, running: &Running) {
        let problem = {
            let rules = &mut *running.rules.lock();
            let read = || {
                let (config, warnings) = self.config(running.options.clone())?;
                let alerts = self.alert_targets(&config)?;
                Ok((config, warnings, alerts))
            };
            match rules.file.read_if_changed(read) {
                None => return,
                Some(Ok(news)) => {
                    (rules.config, rules.warnings, rules.alerts) = news;
                    return;
                }
                Some(Err(problem)) => {
                    rules.warnings.push(problem.clone());
                    problem
                }
            }
        };
        // Emitted without the lock, because a listener may ask for the status.
        self.events.emit(&Event::Warning(problem));
    }

    /// Releases all locks and leases; waits a few seconds at most.
    pub(super) async fn close(&self) {
        let coordination = self.coordination.clone();
        // If this panics, the leases remain and expire by themselves.
        let _ = tokio::task::spawn_blocking(move || coordination.close()).await;
    }
}
