//! Trainings that several instances share. The leader posts one job for each timeframe, every instance takes jobs, and
//! the leader sums up the results.

use super::results;
use super::task_run::RunContext;
use super::tasks::{TaskResult, TaskRunner, trained};
use super::{Event, TrainProgress, TrainResult};
use domain::cancel::Cancel;
use domain::error::{Error, Resource, Result};
use domain::symbol::Market;
use scheduler::coordination::{Job, JobQueue};
use scheduler::{Cause, Unfinished};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often to check whether other instances have finished or abandoned a job.
const LOOK: Duration = Duration::from_millis(500);

impl TaskRunner {
    /// Trains the markets of an attempt together with all running instances. Sums up once every market has a result.
    pub(super) async fn train_together(self: &Arc<Self>, context: RunContext, cancel: Cancel) -> Result<TaskResult> {
        let (started_ms, clock) = (self.clocks().wall_ms, Instant::now());
        let markets = self.scope(&context);
        if markets.is_empty() {
            return Ok(trained(0, 0, 0, Vec::new()));
        }
        let run = self.job_queue()?.post(&*context.claim, context.task, context.attempt, &markets, context.time)?;
        let mut workers = Workers::new(self, &cancel);
        let ended = self.until_all_ended(&context, run, &markets, &mut workers, &cancel).await;
        workers.rest().await;
        ended?;
        let mut found: BTreeMap<Market, Value> = self.job_queue()?.results(context.task, run)?.into_iter().collect();
        let lost = |market: &Market| {
            Error::storage(Resource::Scheduler, format!("the result of {market} is gone from signalloop_jobs"))
        };
        let entries = markets.iter().map(|market| found.remove(market).ok_or_else(|| lost(market)));
        let entries = entries.collect::<Result<Vec<Value>>>()?;
        let failed = markets.iter().zip(&entries).filter_map(|(market, entry)| {
            let error = entry.get("error")?;
            let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
            let cause = Cause { code: text("code"), message: text("message") };
            Some(Unfinished { market: market.clone(), cause, not_traded: error["not_traded"] == true })
        });
        let count = |key: &str| entries.iter().filter(|entry| entry[key] == true).count();
        let done = trained(markets.len(), count("promoted"), count("has_skill"), failed.collect());
        self.trainer.write_training_results(results::to_json(
            entries,
            &[],
            started_ms,
            clock.elapsed().as_millis() as u64,
        ));
        Ok(done)
    }

    /// Works on jobs, and watches the jobs of other instances, until all markets have a result.
    async fn until_all_ended(
        self: &Arc<Self>,
        context: &RunContext,
        run: i64,
        markets: &[Market],
        workers: &mut Workers,
        cancel: &Cancel,
    ) -> Result<()> {
        let (total, mut told) = (markets.len(), Vec::new());
        loop {
            match workers.take().and_then(|()| self.job_queue()?.ended(&*context.claim, context.task, run)) {
                Ok(ended) => {
                    for market in ended.into_iter().filter(|market| markets.contains(market)) {
                        if !told.contains(&market) {
                            told.push(market.clone());
                            self.events.emit(&Event::TaskProgress {
                                task: context.task,
                                market,
                                done: told.len(),
                                total,
                            });
                        }
                    }
                }
                // The database is unreachable. Running jobs go on; their leases decide for how long.
                Err(Error::Storage { .. } | Error::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
            if told.len() == total {
                return Ok(());
            }
            cancel.unless(workers.one_done()).await?;
        }
    }

    /// Takes jobs of trainings that another instance started, as long as there are jobs and this process is free.
    pub(super) async fn work_for_others(
        self: &Arc<Self>,
        stop: &Cancel,
        is_free: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        let _call = self.lifetime.begin()?;
        let mut workers = Workers::new(self, stop);
        let taken = loop {
            let taken = if is_free() && !stop.is_cancelled() { workers.take() } else { Ok(()) };
            if workers.at_work.is_empty() {
                break taken;
            }
            // A running job also ends when it is stopped.
            let _ = workers.one_done().await;
        };
        workers.rest().await;
        taken
    }

    fn job_queue(&self) -> Result<&dyn JobQueue> {
        self.coordination
            .job_queue()
            .ok_or_else(|| Error::Internal("these trainings are not shared between instances".to_owned()))
    }

    /// Trains the markets of a job, and saves the result of each as it ends.
    async fn do_job(self: Arc<Self>, job: Arc<Job>, stop: Cancel) {
        let cancel = Cancel::default();
        let (this, of) = (self.clone(), job.clone());
        let ended = move |news: TrainProgress| {
            if let Some(result) = news.result.filter(|result| !was_cancelled(result)) {
                this.write_result(&of, &result);
            }
        };
        let training = self.trainer.clone().train_by_right(&job, cancel.clone(), ended);
        let mut training = std::pin::pin!(training);
        let mut late = false;
        let results = tokio::select! {
            results = &mut training => results,
            () = job.claim.lost() => { cancel.cancel(); training.await }
            _ = stop.unless(std::future::pending::<Result<()>>()) => { cancel.cancel(); training.await }
            () = tokio::time::sleep(job.time) => { late = true; cancel.cancel(); training.await }
        };
        let results = results.unwrap_or_else(|error| {
            let failed = |market: &Market| {
                let (market, trained) = (market.clone(), Err(error.clone()));
                let result = TrainResult { market, trained, warning: None, duration_ms: 0 };
                self.write_result(&job, &result);
                result
            };
            job.markets.iter().map(failed).collect()
        });
        let left: Vec<TrainResult> = results.into_iter().filter(was_cancelled).collect();
        if late {
            for result in left {
                let trained = Err(Error::Cancelled("the deadline of its run came".to_owned()));
                self.write_result(&job, &TrainResult { trained, ..result });
            }
        } else if !left.is_empty() {
            let left: Vec<Market> = left.into_iter().map(|result| result.market).collect();
            if let Err(error) = self.job_queue().and_then(|board| board.give_back(&job, &left)) {
                self.events.emit(&Event::Warning(format!(
                    "a training of {} could not be returned to the job queue: {error}",
                    job.timeframe
                )));
            }
        }
    }

    fn write_result(&self, job: &Job, result: &TrainResult) {
        let (market, done) = (&result.market, result.trained.is_ok());
        let written = self.job_queue().and_then(|board| board.finish(job, market, done, &result.to_json()));
        if let Err(error) = written {
            self.events.emit(&Event::Warning(format!("the result of training {market} could not be stored: {error}")));
        }
    }
}

fn was_cancelled(result: &TrainResult) -> bool {
    matches!(result.trained, Err(Error::Cancelled(_)))
}

/// The job that this instance works on. It takes one at a time, because each uses all threads; other instances may take
/// the next.
struct Workers {
    core: Arc<TaskRunner>,
    stop: Cancel,
    at_work: JoinSet<()>,
}

impl Workers {
    /// Starts without a job. Raising `stop` ends the running job.
    fn new(core: &Arc<TaskRunner>, stop: &Cancel) -> Self {
        Self { core: core.clone(), stop: Cancel::default().within(stop), at_work: JoinSet::new() }
    }

    /// Takes a job, if none is running and one is available.
    fn take(&mut self) -> Result<()> {
        if self.at_work.is_empty()
            && let Some(job) = self.core.job_queue()?.claim()?
        {
            self.at_work.spawn(self.core.clone().do_job(Arc::new(job), self.stop.clone()));
        }
        Ok(())
    }

    /// Waits until a job is done, or until it is time to check again.
    async fn one_done(&mut self) -> Result<()> {
        if self.at_work.is_empty() {
            tokio::time::sleep(LOOK).await;
        } else if let Ok(Some(Err(panic))) = tokio::time::timeout(LOOK, self.at_work.join_next()).await {
            self.core.events.emit(&Event::Warning(format!("a training failed on a defect of signalloop: {panic}")));
        }
        Ok(())
    }

    /// Stops the running job, and waits for its end.
    async fn rest(&mut self) {
        self.stop.cancel();
        while self.at_work.join_next().await.is_some() {}
    }
}
