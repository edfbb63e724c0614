//! Training many markets: fetch candles, train, compare with the model in service, promote. Each market is independent.

use super::account::{FetchProgress, ProgressMeter};
use super::compute::ComputeThreads;
use super::fetch::PARALLEL;
use super::pools::Pools;
use super::results;
use super::training_data::{LoadedMarket, TrainingData};
use super::{CandleFetcher, Event, Events, Lifetime, Models, Settings};
use candles::{Cause, candle_file};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::format_iso;
use exchange::CandleSource;
use learning::model::{Champion, GateVerdict, Model, Trial};
use learning::{Candidate, Continued, MIN_NEW_ROWS, Step, cannot_continue};
use parking_lot::Mutex;
use scheduler::Task;
use scheduler::coordination::{Claim, Job};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use storage::write_atomically;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

/// Which models to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainMode {
    /// All requested markets. The default.
    #[default]
    All,
    /// Only the named symbols; the request must name some.
    Symbol,
    /// Only the markets whose model is missing, damaged, or older than `max_age_hours`.
    Retrain,
    /// All requested markets. Each continues the model in service with the candles since its training, which is much
    /// faster. Where that is impossible, the model is trained in full, and the result says why.
    Incremental,
}

impl TrainMode {
    /// How a task of the scheduler trains; `None` for tasks that do not train.
    pub(super) fn of(task: Task) -> Option<Self> {
        match task {
            Task::Retrain => Some(Self::All),
            Task::Update => Some(Self::Incremental),
            Task::Watch | Task::Fetch | Task::Evaluate => None,
        }
    }
}

/// What to train.
#[derive(Debug, Clone, Default)]
pub struct TrainRequest {
    /// How the markets to train are chosen.
    pub mode: TrainMode,
    /// Default: the configured symbols.
    pub symbols: Option<Vec<Symbol>>,
    /// Default: the configured timeframes.
    pub timeframes: Option<Vec<Timeframe>>,
    /// For [`TrainMode::Retrain`]; default `retrain_interval_hours` of the configuration.
    pub max_age_hours: Option<f64>,
    /// Use the stored candles as they are, without bringing them up to date first.
    pub skip_fetch: bool,
}

/// The phase of a market's training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Candles are being fetched.
    Fetch,
    /// A model is being fitted and scored.
    Train,
    /// The training succeeded. The result says whether the model is in service.
    Done,
    /// The training failed. The result says why.
    Failed,
}

/// A progress report of a running training.
#[derive(Debug, Clone)]
pub struct TrainProgress {
    /// The market that the report is about.
    pub market: Market,
    /// The phase that the market is in.
    pub phase: Phase,
    /// Fits done and needed for the market. In [`Phase::Fetch`]: candles fetched and wanted, 0 if not known.
    pub step: Step,
    /// In [`Phase::Fetch`]: estimated seconds until the candles of all markets are fetched; `None` if that is not
    /// known.
    pub remaining_s: Option<f64>,
    /// The number of markets that are finished.
    pub finished: usize,
    /// The total number of markets.
    pub total: usize,
    /// The result of the market, in [`Phase::Done`] and [`Phase::Failed`].
    pub result: Option<TrainResult>,
}

/// The outcome of training one market.
#[derive(Debug, Clone)]
pub enum Trained {
    /// A new model was trained. It may be in service or not.
    Decided {
        /// The new model.
        model: Arc<Model>,
        /// The decision about it, as recorded in the ledger.
        trial: Box<Trial>,
    },
    /// There was too little new data to continue the model ([`TrainMode::Incremental`]).
    NothingNew {
        /// The model in service.
        champion: Arc<Model>,
        /// The number of new rows with a decided label since it was trained.
        rows: usize,
    },
}

impl Trained {
    /// The new model, or the one in service if there was nothing new.
    pub fn model(&self) -> &Arc<Model> {
        match self {
            Self::Decided { model, .. } => model,
            Self::NothingNew { champion, .. } => champion,
        }
    }

    /// The decision about the new model; `None` if there was nothing new.
    pub fn trial(&self) -> Option<&Trial> {
        match self {
            Self::Decided { trial, .. } => Some(trial),
            Self::NothingNew { .. } => None,
        }
    }

    /// Whether the model beat its base rate on rows that it was not trained on.
    pub fn has_skill(&self) -> bool {
        self.model().record.has_skill()
    }

    /// Whether a new model went into service.
    pub fn promoted(&self) -> bool {
        self.trial().is_some_and(|trial| trial.promoted)
    }

    /// Why the new model went into service, or why not.
    pub fn reason(&self) -> String {
        match self {
            Self::Decided { trial, .. } => trial.reason.clone(),
            Self::NothingNew { champion, rows } => format!(
                "nothing new: only {rows} rows with a known label came after {}, new trees need {MIN_NEW_ROWS}",
                format_iso(champion.record.horizon_ms)
            ),
        }
    }
}

/// The result of training one market.
#[derive(Debug, Clone)]
pub struct TrainResult {
    /// The market.
    pub market: Market,
    /// The new model and whether it is in service, or why there is none.
    pub trained: Result<Trained>,
    /// A warning, for example that the exchange did not answer and older candles were used.
    pub warning: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}

/// The results of a whole training.
#[derive(Debug, Clone)]
pub struct TrainingResults {
    /// The result of each market, in the requested order.
    pub results: Vec<TrainResult>,
    /// Markets that were skipped because their model is recent enough ([`TrainMode::Retrain`]).
    pub skipped: Vec<Market>,
    /// When it started, UTC epoch ms.
    pub started_ms: i64,
    /// How long it took.
    pub duration_ms: u64,
    /// Why these results are missing from `models/training_results.json`, or why that file was started anew.
    pub warning: Option<String>,
}

impl TrainingResults {
    /// The number of models trained.
    pub fn succeeded(&self) -> usize {
        self.results.iter().filter(|result| result.trained.is_ok()).count()
    }

    /// The number of trained models that beat their base rate on rows that they were not trained on.
    pub fn skilled(&self) -> usize {
        self.results.iter().filter(|result| result.trained.as_ref().is_ok_and(Trained::has_skill)).count()
    }

    /// A sentence that says how many of the trained models have skill; `None` if none was trained.
    pub fn found(&self) -> Option<String> {
        results::found_something(self.skilled(), self.succeeded())
    }

    /// The percentage of markets whose training succeeded; 100 if there were none to train.
    pub fn success_rate(&self) -> f64 {
        results::success_rate(self.succeeded(), self.results.len())
    }

    /// The results as JSON: the fields of the earlier system, and the figures of each model.
    pub fn to_json(&self) -> Value {
        let entries = self.results.iter().map(TrainResult::to_json).collect();
        let mut json = results::to_json(entries, &self.skipped, self.started_ms, self.duration_ms);
        if let Some(warning) = &self.warning {
            json["warning"] = json!(warning);
        }
        json
    }
}

impl TrainResult {
    /// The market's entry in `models/training_results.json`.
    pub(super) fn to_json(&self) -> Value {
        let mut entry = json!({
            "symbol": self.market.symbol,
            "timeframe": self.market.timeframe,
            "success": self.trained.is_ok(),
            "duration_seconds": self.duration_ms as f64 / 1000.0,
        });
        match &self.trained {
            Ok(trained) => {
                let record = &trained.model().record;
                entry["promoted"] = json!(trained.promoted());
                entry["reason"] = json!(trained.reason());
                entry["rows"] = json!(record.rows);
                entry["log_loss"] = json!(record.log_loss());
                entry["constant_log_loss"] = json!(record.constant_log_loss());
                entry["has_skill"] = json!(record.has_skill());
                entry["record"] = json!(record);
                entry["trial"] = json!(trained.trial());
            }
            Err(error) => {
                entry["error"] = json!({ "code": error.code(), "message": error.to_string() });
                if error.is_not_traded() {
                    entry["error"]["not_traded"] = json!(true);
                }
            }
        }
        if let Some(warning) = &self.warning {
            entry["warning"] = json!(warning);
        }
        entry
    }
}

/// The state that the tasks of one training share.
pub(super) struct TrainingRun {
    pub source: Option<Arc<dyn CandleSource>>,
    /// The markets to train.
    pub markets: Vec<Market>,
    /// Markets that are only fetched, because they belong to the same pools as the markets to train.
    others: Vec<Market>,
    /// The pooled models, one for each timeframe.
    pub pools: Pools,
    /// Limits simultaneous trainings to the number of threads, so that memory use stays bounded.
    permits: Semaphore,
    fetches: Semaphore,
    pub cancel: Cancel,
    mode: TrainMode,
    finished: AtomicUsize,
    total: usize,
    pub meter: ProgressMeter,
    /// The lease required to promote a model; `None` unless the training is shared between instances.
    claim: Option<Arc<dyn Claim>>,
    progress: Box<dyn Fn(TrainProgress) + Send + Sync>,
}

impl TrainingRun {
    fn tell(&self, market: &Market, phase: Phase, step: Step, result: Option<TrainResult>) {
        let finished = self.finished.load(Ordering::Relaxed);
        let (market, total, remaining_s) = (market.clone(), self.total, None);
        (self.progress)(TrainProgress { market, phase, step, remaining_s, finished, total, result });
    }

    pub fn tell_of_page(&self, page: FetchProgress) {
        let FetchProgress { market, fetched, missing, remaining_s } = page;
        let step = Step { done: fetched, total: missing.map_or(0, |missing| fetched + missing) };
        let (finished, total) = (self.finished.load(Ordering::Relaxed), self.total);
        let phase = Phase::Fetch;
        (self.progress)(TrainProgress { market, phase, step, remaining_s, finished, total, result: None });
    }

    /// Reports progress for all markets of a timeframe.
    pub fn tell_all(&self, timeframe: Timeframe, phase: Phase, step: Step) {
        self.markets
            .iter()
            .filter(|market| market.timeframe == timeframe)
            .for_each(|market| self.tell(market, phase, step, None));
    }

    /// Waits until one more training may begin.
    pub async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        permit(&self.permits).await
    }

    /// Waits until one more fetch may begin.
    pub async fn fetch_permit(&self) -> Result<SemaphorePermit<'_>> {
        permit(&self.fetches).await
    }
}

/// A market with its fetched candles, or the error of the fetch.
struct FetchedMarket {
    market: Market,
    fetched: Result<()>,
    warning: Option<String>,
    clock: Instant,
}

async fn permit(semaphore: &Semaphore) -> Result<SemaphorePermit<'_>> {
    semaphore.acquire().await.map_err(|_| Error::Internal("a training's semaphore was closed".to_owned()))
}

const NOT_BEGUN: Step = Step { done: 0, total: 0 };

/// Trains models, and puts those that are good enough into service.
pub struct Trainer {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) compute: Arc<ComputeThreads>,
    pub(super) fetcher: Arc<CandleFetcher>,
    pub(super) models: Arc<Models>,
    pub(super) data: Arc<TrainingData>,
    /// How often this process has fitted a pooled model of each timeframe.
    pub(super) fits: Mutex<BTreeMap<Timeframe, u64>>,
}

impl Trainer {
    /// How often this process has fitted a pooled model of each timeframe.
    pub(super) fn fits(&self) -> BTreeMap<Timeframe, u64> {
        self.fits.lock().clone()
    }

    /// Stops the training threads, and forgets what was kept for the next training.
    pub(super) fn close(&self) {
        self.compute.close();
        self.data.forget();
    }

    /// Trains the requested models, each independently: if one market fails, the others continue and its old model
    /// stays in service. Writes `models/training_results.json`.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if `cancel` was raised (models that were finished before stay in service); an error for an
    /// invalid request. The failure of a single market is in its result instead.
    pub async fn train(
        self: &Arc<Self>,
        request: TrainRequest,
        cancel: Cancel,
        progress: impl Fn(TrainProgress) + Send + Sync + 'static,
    ) -> Result<TrainingResults> {
        let cancel = cancel.within(self.lifetime.closing());
        let (started_ms, clock) = (self.settings.now_ms(), Instant::now());
        let (markets, skipped) = self.markets_to_train(&request, started_ms)?;
        if !request.skip_fetch {
            self.fetcher.tell_of_longer_history(&markets);
        }
        self.fetcher.tell_of_cost();
        self.tell_of_unread_model();
        let run = Arc::new(TrainingRun {
            source: if request.skip_fetch { None } else { Some(self.fetcher.source()?) },
            permits: Semaphore::new(self.compute.trainings_at_once()),
            fetches: Semaphore::new(PARALLEL),
            cancel: cancel.clone(),
            mode: request.mode,
            finished: AtomicUsize::new(0),
            total: markets.len(),
            meter: ProgressMeter::of(markets.len()),
            claim: None,
            progress: Box::new(progress),
            markets,
            others: Vec::new(),
            pools: Pools::default(),
        });
        let results = self.train_each(&run).await;
        cancel.check()?;
        let mut results = TrainingResults {
            results,
            skipped,
            started_ms,
            duration_ms: clock.elapsed().as_millis() as u64,
            warning: None,
        };
        results.warning = self.write_training_results(results.to_json());
        Ok(results)
    }

    /// Reports that the configuration names an own model which this process has not loaded.
    fn tell_of_unread_model(&self) {
        if let (Some(file), None) = (&self.settings.config().model, self.settings.own()) {
            self.events.emit(&Event::Warning(format!(
                "`model` in training_config.json names {file}, which only the command line loads: give it as `new SignalLoop({{ \
                 model }})`; without it, nothing is weighed beside our families"
            )));
        }
    }

    /// Writes the rows that models are trained on as a CSV file: features and outcomes of the stored candles. Returns
    /// their number by market.
    ///
    /// # Errors
    /// [`Error::Io`]. The failure of a single market is in its entry instead.
    pub fn write_rows(&self, markets: &[Market], path: &Path) -> Result<Vec<(Market, Result<usize>)>> {
        let mut text = learning::rows_header();
        let mut rows = |market: &Market| -> Result<usize> {
            let loaded = self.data.load(market)?.ok_or_else(|| self.fetcher.candles().none_stored(market))?;
            loaded.data.write_rows(&mut text);
            Ok(loaded.data.len())
        };
        let entries: Vec<(Market, Result<usize>)> =
            markets.iter().map(|market| (market.clone(), rows(market))).collect();
        write_atomically(path, text.as_bytes())?;
        Ok(entries)
    }

    /// Trains each market. The results are in the order of the markets.
    async fn train_each(self: &Arc<Self>, run: &Arc<TrainingRun>) -> Vec<TrainResult> {
        // A pool contains all markets of its timeframe, so all candles are fetched before the first training.
        let mut tasks = JoinSet::new();
        for (place, market) in run.markets.iter().chain(&run.others).cloned().enumerate() {
            let (this, run) = (self.clone(), run.clone());
            tasks.spawn(async move { (place, this.begin_one(market, &run).await) });
        }
        let begun = tasks.join_all().await;
        let mut tasks = JoinSet::new();
        for (place, begun) in begun {
            if place >= run.markets.len() {
                self.tell_of_other(begun);
                continue;
            }
            let (this, run) = (self.clone(), run.clone());
            tasks.spawn(async move { (place, this.train_one(begun, &run).await) });
        }
        let mut results = tasks.join_all().await;
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Reports why a market that is only fetched could not be fetched. It has no result of its own to carry the error.
    fn tell_of_other(&self, FetchedMarket { market, fetched, warning, .. }: FetchedMarket) {
        let problem = match fetched {
            Ok(()) => warning,
            Err(Error::Cancelled(_)) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            self.events
                .emit(&Event::Warning(format!("{market}, whose candles other markets are trained on: {problem}")));
        }
    }

    /// Trains the markets of a shared job, under the job's lease, in a pool with all configured markets of the
    /// timeframe. The results are in the order of the markets. `progress` is called as each market ends.
    ///
    /// # Errors
    /// If there is no source of candles. The failure of a single market is in its result instead.
    pub(super) async fn train_by_right(
        self: Arc<Self>,
        job: &Job,
        cancel: Cancel,
        progress: impl Fn(TrainProgress) + Send + Sync + 'static,
    ) -> Result<Vec<TrainResult>> {
        let mut others = self.settings.markets(None, Some(vec![job.timeframe]));
        others.retain(|market| !job.markets.contains(market));
        let run = Arc::new(TrainingRun {
            source: Some(self.fetcher.source()?),
            permits: Semaphore::new(self.compute.trainings_at_once()),
            fetches: Semaphore::new(PARALLEL),
            cancel: cancel.within(self.lifetime.closing()),
            mode: TrainMode::of(job.task).unwrap_or_default(),
            finished: AtomicUsize::new(0),
            total: job.markets.len(),
            meter: ProgressMeter::of(job.markets.len() + others.len()),
            claim: Some(job.claim.clone()),
            progress: Box::new(progress),
            markets: job.markets.clone(),
            others,
            pools: Pools::default(),
        });
        Ok(self.train_each(&run).await)
    }

    fn markets_to_train(&self, request: &TrainRequest, now_ms: i64) -> Result<(Vec<Market>, Vec<Market>)> {
        if request.mode == TrainMode::Symbol && request.symbols.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::argument("symbols", "must name at least one symbol in mode `symbol`", "nothing"));
        }
        let markets = self.settings.markets(request.symbols.clone(), request.timeframes.clone());
        let by_default = || self.settings.config().retrain_interval.as_secs_f64() / 3600.0;
        let max_age_hours = request.max_age_hours.unwrap_or_else(by_default);
        if !(max_age_hours.is_finite() && max_age_hours >= 0.0) {
            return Err(Error::argument("maxAgeHours", "must be a number of hours, 0 or more", max_age_hours));
        }
        let young =
            |market: &Market| {
                request.mode == TrainMode::Retrain
                    && self.models.registry.get(market).wait().is_ok_and(|model| {
                        (now_ms - model.record.trained_ms).abs() as f64 <= max_age_hours * 3_600_000.0
                    })
            };
        let (skipped, wanted) = markets.into_iter().partition(young);
        Ok((wanted, skipped))
    }

    /// Brings the candles of a market up to date.
    async fn begin_one(self: Arc<Self>, market: Market, run: &Arc<TrainingRun>) -> FetchedMarket {
        let (clock, mut warning) = (Instant::now(), None);
        let fetched = self.fetch_to_train(&market, run, &mut warning).await;
        FetchedMarket { market, fetched, warning, clock }
    }

    async fn train_one(self: Arc<Self>, begun: FetchedMarket, run: &Arc<TrainingRun>) -> TrainResult {
        let FetchedMarket { market, fetched, mut warning, clock } = begun;
        let trained = match fetched {
            Ok(()) => self.train_on(&market, run, &mut warning).await,
            Err(error) => Err(error),
        };
        let phase = if trained.is_ok() { Phase::Done } else { Phase::Failed };
        let result = TrainResult { market, trained, warning, duration_ms: clock.elapsed().as_millis() as u64 };
        run.finished.fetch_add(1, Ordering::Relaxed);
        run.tell(&result.market, phase, NOT_BEGUN, Some(result.clone()));
        result
    }

    async fn fetch_to_train(
        self: &Arc<Self>,
        market: &Market,
        run: &Arc<TrainingRun>,
        warning: &mut Option<String>,
    ) -> Result<()> {
        let Some(source) = &run.source else { return Ok(()) };
        let _permit = run.cancel.unless(run.fetch_permit()).await?;
        run.tell(market, Phase::Fetch, NOT_BEGUN, None);
        let fetched = async {
            let (begin, tell) = (self.fetcher.history(market.timeframe), |page| run.tell_of_page(page));
            let fetched = self.fetcher.update(source.as_ref(), market, begin, &run.meter, &tell).await?;
            // A model of a market that is no longer traded is useless.
            self.fetcher.is_alive(source.as_ref(), &fetched).await.map(|()| fetched)
        };
        match run.cancel.unless(fetched).await {
            Ok(fetched) if fetched.findings.count(Cause::Unfinished) > 0 => {
                let (candles, since) = (fetched.total, format_iso(fetched.first_ms));
                *warning = Some(format!("trained on the {candles} candles since {since}: {}", fetched.findings));
            }
            Ok(fetched) if fetched.findings.repaired() => *warning = Some(fetched.findings.to_string()),
            Ok(_) => {}
            Err(error) => {
                run.cancel.check()?;
                if error.is_not_traded() || !self.fetcher.candles().has(market) {
                    return Err(error);
                }
                *warning = Some(format!("stored candles only: new ones could not be fetched: {error}"));
            }
        }
        Ok(())
    }

    /// Trains one market on its stored candles and its pool, and decides whether the new model goes into service.
    async fn train_on(
        self: &Arc<Self>,
        market: &Market,
        run: &Arc<TrainingRun>,
        warning: &mut Option<String>,
    ) -> Result<Trained> {
        let loaded = self.loaded(market, run).await?;
        if loaded.findings.repaired() {
            // A fetch would have repaired the file, but none was made, or it failed.
            let path = candle_file(&self.settings.data_folder(), market);
            warning.get_or_insert_with(|| format!("{}: {}", path.display(), loaded.findings));
        }
        let fallback = match run.mode {
            TrainMode::Incremental => match self.continue_one(&loaded, run).await? {
                Continued::Trained(trained) => return Ok(trained),
                Continued::NothingNew(_) => return Err(Error::Internal("nothing was decided".to_owned())),
                Continued::Worse(reason) => Some(reason),
            },
            _ => None,
        };
        let built = self.built(&loaded, None, run).await?;
        let Continued::Trained(training) = built.training else {
            return Err(Error::Internal("a training in full continued something".to_owned()));
        };
        let (this, run, market) = (self.clone(), run.clone(), market.clone());
        let trained = self
            .compute
            .run(move || {
                let candidate = training.candidate(&market, &this.settings.config(), this.settings.now_ms());
                let candidate = candidate.ok_or_else(|| Error::Internal(format!("{market} was lost")))?;
                this.decide(&candidate, fallback, built.duration_ms, &run)
            })
            .await?;
        if let Trained::Decided { model, .. } = &trained
            && !model.record.uses_volume()
        {
            let without = format!("the candles have no volume: trained without {}", model.record.left_out().join(", "));
            *warning = Some(warning.take().map_or_else(|| without.clone(), |before| format!("{before}; {without}")));
        }
        Ok(trained)
    }

    /// Continues the model of a market, or says why it has to be trained in full.
    async fn continue_one(
        self: &Arc<Self>,
        loaded: &LoadedMarket,
        run: &Arc<TrainingRun>,
    ) -> Result<Continued<Trained>> {
        let market = loaded.data.market().clone();
        let (this, asked) = (self.clone(), market.clone());
        let champion = match self.compute.run(move || this.models.registry().champion(&asked)).await? {
            Champion::None => return Ok(Continued::Worse("there is no model to continue".to_owned())),
            Champion::Unusable { error, .. } => {
                return Ok(Continued::Worse(format!("the model so far cannot be used: {error}")));
            }
            Champion::Model(champion) => champion,
        };
        if let Some(reason) = cannot_continue(&champion, &self.settings.config()) {
            return Ok(Continued::Worse(reason.to_owned()));
        }
        let built = self.built(loaded, Some(&champion), run).await?;
        let training = match built.training {
            Continued::Trained(training) => training,
            Continued::NothingNew(rows) => return Ok(Continued::Trained(Trained::NothingNew { champion, rows })),
            Continued::Worse(reason) => return Ok(Continued::Worse(reason)),
        };
        let (this, run) = (self.clone(), run.clone());
        self.compute
            .run(move || {
                let continued =
                    training.continued(&market, &champion, &this.settings.config(), this.settings.now_ms())?;
                match continued.ok_or_else(|| Error::Internal(format!("{market} was lost")))? {
                    Continued::Trained(candidate) => {
                        this.decide(&candidate, None, built.duration_ms, &run).map(Continued::Trained)
                    }
                    Continued::NothingNew(rows) => Ok(Continued::NothingNew(rows)),
                    Continued::Worse(reason) => Ok(Continued::Worse(reason)),
                }
            })
            .await
    }

    /// Compares a candidate with the model in service and submits the decision. Repeats this if the model in service
    /// changed in the meantime.
    fn decide(
        &self,
        candidate: &Candidate,
        fallback: Option<String>,
        duration_ms: u64,
        run: &TrainingRun,
    ) -> Result<Trained> {
        let record = &candidate.model.record;
        let fence = run.claim.as_ref().and_then(|claim| claim.fence());
        loop {
            run.cancel.check()?;
            let champion = self.models.registry().champion(&record.market)?;
            let verdict = match self.settings.has_gate() {
                true => candidate.judge(&champion, &self.settings.config())?,
                false => GateVerdict::without_gate(),
            };
            let mut model = candidate.model.clone();
            model.lineage.conceded = verdict.conceded;
            let mut trial = Trial::new(record, candidate.mode, verdict, self.settings.now_ms(), duration_ms);
            trial.fallback = fallback.clone();
            if let Some((model, trial)) = self.models.registry.submit(model, trial, &champion, fence)? {
                self.models.tell_of(&trial);
                return Ok(Trained::Decided { model, trial: Box::new(trial) });
            }
        }
    }
}
