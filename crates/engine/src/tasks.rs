//! The work of the scheduler's tasks.

use super::performance::by_timeframe;
use super::results::found_something;
use super::task_run::RunContext;
use super::watch::SignalWatch;
use super::{
    CandleFetcher, Event, Events, FetchNews, Lifetime, PerformanceChecks, Settings, TrainMode, TrainProgress,
    TrainRequest, Trainer,
};
use domain::cancel::Cancel;
use domain::error::{Error, Result, guard};
use domain::symbol::Market;
use domain::threads;
use learning::improvement::Verdict;
use parking_lot::Mutex;
use scheduler::coordination::Coordination;
use scheduler::{Clocks, Task, Unfinished};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The result of a task.
pub(super) struct TaskResult {
    /// The number of markets processed or, for the watch, of signals closed.
    pub count: usize,
    /// The result in words.
    pub message: String,
    /// The markets that failed. The others were processed.
    pub failed: Vec<Unfinished>,
}

impl TaskResult {
    /// The markets to try again: all that failed, except symbols that are no longer traded.
    pub fn remaining(&self) -> impl Iterator<Item = &Unfinished> {
        self.failed.iter().filter(|one| !one.not_traded)
    }

    /// Whether the task succeeded. Symbols that are no longer traded do not count as failures, unless all configured
    /// symbols are. The watch never fails for them, because it takes its symbols from open signals.
    pub fn worked(&self, task: Task) -> bool {
        self.remaining().next().is_none() && (self.count > 0 || self.failed.is_empty() || task == Task::Watch)
    }
}

/// The result of training `total` markets: how many models went into service, how many have skill, and which markets
/// failed.
pub(super) fn trained(total: usize, promoted: usize, skilled: usize, failed: Vec<Unfinished>) -> TaskResult {
    let count = total - failed.len();
    let found = found_something(skilled, count).map_or_else(String::new, |found| format!("; {found}"));
    TaskResult {
        count,
        message: format!("{count} of {total} models trained, {promoted} put into service{found}"),
        failed,
    }
}

/// A market that failed.
pub(super) fn unfinished(market: Market, error: &Error) -> Unfinished {
    Unfinished { market, cause: error.into(), not_traded: error.is_not_traded() }
}

/// Runs the scheduler's tasks, each in one process at a time.
pub(super) struct TaskRunner {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) coordination: Arc<dyn Coordination>,
    pub(super) fetcher: Arc<CandleFetcher>,
    pub(super) trainer: Arc<Trainer>,
    pub(super) checks: Arc<PerformanceChecks>,
    pub(super) watch: Arc<SignalWatch>,
    /// The tasks that this process is running, including manual runs.
    pub(super) active: Mutex<BTreeSet<Task>>,
}

impl TaskRunner {
    /// The current time, by the clock that all processes of the scheduler share.
    pub fn clocks(&self) -> Clocks {
        self.coordination.clocks(self.settings.now_ms())
    }

    /// Whether this process is running a task.
    pub fn is_active(&self, task: Task) -> bool {
        self.active.lock().contains(&task)
    }

    /// Does the work of a run.
    pub(super) async fn perform(self: Arc<Self>, context: RunContext, cancel: Cancel) -> Result<TaskResult> {
        if self.coordination.job_queue().is_some() && TrainMode::of(context.task).is_some() {
            return self.train_together(context, cancel).await;
        }
        let task = context.task;
        match task {
            Task::Watch => cancel.unless(self.watch.look(context.symbols.as_deref())).await,
            Task::Fetch => cancel.unless(self.fetch_all(self.scope(&context))).await,
            Task::Retrain | Task::Update => self.train_all(task, self.scope(&context), cancel).await,
            Task::Evaluate => {
                let markets = self.scope(&context);
                threads::blocking(move || guard(|| self.evaluate_all(markets, &cancel))).await
            }
        }
    }

    /// The markets that a run works on.
    pub(super) fn scope(&self, context: &RunContext) -> Vec<Market> {
        if context.scope.is_empty() {
            self.settings.markets(context.symbols.clone(), None)
        } else {
            context.scope.clone()
        }
    }

    async fn fetch_all(self: &Arc<Self>, markets: Vec<Market>) -> Result<TaskResult> {
        let (this, done, total) = (self.clone(), AtomicUsize::new(0), markets.len());
        let results = self.fetcher.fetch(markets, None, move |news| {
            if let FetchNews::Ended(result) = news {
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                this.events.emit(&Event::TaskProgress {
                    task: Task::Fetch,
                    market: result.market.clone(),
                    done,
                    total,
                });
            }
        });
        let (mut added, mut failed) = (0, Vec::new());
        for result in results.await? {
            match result.fetched {
                Ok(fetched) => added += fetched.added,
                Err(error) => failed.push(unfinished(result.market, &error)),
            }
        }
        let count = total - failed.len();
        Ok(TaskResult { count, message: format!("{added} candles of {count} of {total} markets"), failed })
    }

    async fn train_all(self: &Arc<Self>, task: Task, markets: Vec<Market>, cancel: Cancel) -> Result<TaskResult> {
        let mode = TrainMode::of(task).unwrap_or_default();
        let (mut promoted, mut skilled, mut failed) = (0, 0, Vec::new());
        let finished = Arc::new(AtomicUsize::new(0));
        let total = markets.len();
        for (timeframe, symbols) in by_timeframe(&markets) {
            let request = TrainRequest {
                mode,
                symbols: Some(symbols),
                timeframes: Some(vec![timeframe]),
                ..TrainRequest::default()
            };
            let (this, finished) = (self.clone(), finished.clone());
            let progress = move |news: TrainProgress| {
                if news.result.is_some() {
                    let done = finished.fetch_add(1, Ordering::Relaxed) + 1;
                    this.events.emit(&Event::TaskProgress { task, market: news.market, done, total });
                }
            };
            for result in self.trainer.train(request, cancel.clone(), progress).await?.results {
                match result.trained {
                    Ok(trained) => {
                        promoted += usize::from(trained.promoted());
                        skilled += usize::from(trained.has_skill());
                    }
                    Err(error) => failed.push(unfinished(result.market, &error)),
                }
            }
        }
        Ok(trained(total, promoted, skilled, failed))
    }

    /// Judges live results, overall and for each market. Reads the store, so call it on a thread that may block.
    fn evaluate_all(self: &Arc<Self>, markets: Vec<Market>, cancel: &Cancel) -> Result<TaskResult> {
        self.checks.check(self.settings.now_ms())?;
        let (mut better, mut worse, mut failed) = (0, 0, Vec::new());
        let total = markets.len();
        for (done, market) in markets.into_iter().enumerate() {
            match self.checks.evaluate(&market, cancel) {
                Err(error @ Error::Cancelled(_)) => return Err(error),
                Ok(found) => {
                    better += usize::from(found.verdict == Verdict::Improved);
                    worse += usize::from(found.verdict == Verdict::Worse);
                }
                Err(error) => failed.push(unfinished(market.clone(), &error)),
            }
            self.events.emit(&Event::TaskProgress { task: Task::Evaluate, market, done: done + 1, total });
        }
        let count = total - failed.len();
        let message = format!("{count} of {total} markets compared: {better} got better, {worse} worse");
        Ok(TaskResult { count, message, failed })
    }
}
