//! Judges live results: conservative mode, emergency training, drift. The rules are in [`learning::performance`] and
//! [`learning::drift`]; this module applies them to the store and reports the result.
//!
//! Callers never wait for a check. A closing requests one, which runs in the background half a second later and covers
//! all closings up to then.

use super::drift::ResultsSeen;
use super::evaluate::Evaluated;
use super::performance_state::{LivePerformance, PerformanceState, is_new};
use super::{Event, Events, Lifetime, Models, Settings, SignalStore, TrainMode, TrainRequest, Trainer};
use domain::answer::Answer;
use domain::barrier::Outcome;
use domain::cancel::Cancel;
use domain::config::PoorRule;
use domain::error::{Error, Result};
use domain::symbol::{Market, Timeframe};
use domain::threads;
use domain::time::DAY_MS;
use feedback::{ClosedSignal, FeedbackStore, StatsFilter};
use learning::performance::{Change, LiveEvidence, Performance, Turn};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Closings within this time share one check.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// Judges live results in the background: conservative mode, emergency training, drift.
pub struct PerformanceChecks {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) store: Arc<SignalStore>,
    pub(super) models: Arc<Models>,
    pub(super) trainer: Arc<Trainer>,
    pub(super) performance: Arc<LivePerformance>,
    pub(super) state: CheckState,
}

/// The checks that are running or requested.
#[derive(Default)]
pub(super) struct CheckState {
    /// A check was requested and has not started yet.
    asked: AtomicBool,
    /// Held by the check that runs.
    running: Mutex<()>,
    /// Held by the emergency training that runs.
    training: Arc<tokio::sync::Mutex<()>>,
    /// Why the last check in the background failed.
    problem: Mutex<Option<String>>,
    /// What the tests for drift have seen.
    pub(super) seen: ResultsSeen,
    /// The closed signals that were compared.
    pub(super) evaluated: Evaluated,
}

/// Conservative mode, as the statistics report it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConservativeMode {
    /// Whether it is on for at least one of the requested scopes.
    pub active: bool,
    /// When it began in the first of these scopes, UTC epoch ms.
    pub since_ms: Option<i64>,
    /// The results that caused it in the first of these scopes, in words.
    pub reason: Option<String>,
    /// The scopes where it is on: `home`, or a market such as `BTCUSDT 1h`.
    pub scopes: Vec<String>,
}

/// Describes evidence in words.
pub fn in_words(evidence: &LiveEvidence, rule: PoorRule) -> String {
    let LiveEvidence { closed, effective, successes, mean_profit, .. } = evidence;
    let results = match rule {
        PoorRule::Success => {
            format!("{successes} of {closed} closed signals succeeded ({:.1} %)", evidence.success_rate())
        }
        PoorRule::Expectancy => format!("{closed} closed signals earned {mean_profit:+.3} % on average after costs"),
    };
    // Files of an earlier version lack the effective number.
    if *effective > 0.0 && *effective < *closed as f64 {
        format!("{results}; they overlap, and are worth {effective:.0} independent ones")
    } else {
        results
    }
}

impl LivePerformance {
    /// By how much the probability of a bet on `market` must exceed break-even: 0, except in conservative mode.
    pub(super) fn conservative_margin<'a>(
        &'a self,
        market: &'a Market,
    ) -> Answer<Result<f64>, impl FnOnce() -> Result<f64> + 'a> {
        match self.state() {
            Answer::Ready(state) => Answer::Ready(state.map(|state| self.margin(market, &state))),
            Answer::Pending(read) => Answer::Pending(move || Ok(self.margin(market, &*read()?))),
        }
    }

    fn margin(&self, market: &Market, state: &PerformanceState) -> f64 {
        match state.performance.conservative(market) {
            Some(_) => self.settings.config().poor_performance.conservative_margin / 100.0,
            None => 0.0,
        }
    }

    /// How strongly live feedback weighs in a training of `market`: 0.3, or 0.5 in conservative mode.
    ///
    /// # Errors
    /// [`Error::Io`] when `performance.json` cannot be read.
    pub fn feedback_strength(&self, market: &Market) -> Result<f64> {
        Ok(self.state().wait()?.performance.feedback_strength(market))
    }

    /// The conservative mode of the scopes that a filter selects.
    ///
    /// # Errors
    /// [`Error::Io`] when `performance.json` cannot be read.
    pub fn conservative_mode(&self, filter: &StatsFilter) -> Result<ConservativeMode> {
        let state = self.state().wait()?;
        let rule = self.settings.config().poor_performance.rule;
        let performance = &state.performance;
        let modes: Vec<_> = match (&filter.symbol, filter.timeframe) {
            (Some(symbol), Some(timeframe)) => {
                let market = Market { symbol: symbol.clone(), timeframe };
                performance.conservative(&market).map(|mode| (market.to_string(), mode)).into_iter().collect()
            }
            (symbol, timeframe) => {
                let asked = |market: &Market| {
                    symbol.as_ref().is_none_or(|symbol| *symbol == market.symbol)
                        && timeframe.is_none_or(|timeframe| timeframe == market.timeframe)
                };
                let own = performance.markets.iter().filter(|known| asked(&known.market));
                let own = own.filter_map(|known| Some((known.market.to_string(), known.standing.conservative?)));
                let home = performance.home.conservative.map(|mode| ("home".to_owned(), mode));
                home.into_iter().chain(own).collect()
            }
        };
        let first = modes.iter().map(|(_, mode)| mode).min_by_key(|mode| mode.since_ms);
        Ok(ConservativeMode {
            active: first.is_some(),
            since_ms: first.map(|mode| mode.since_ms),
            reason: first.map(|mode| in_words(&mode.evidence, rule)),
            scopes: modes.into_iter().map(|(scope, _)| scope).collect(),
        })
    }
}

impl PerformanceChecks {
    /// The state of live results.
    pub fn live(&self) -> &Arc<LivePerformance> {
        &self.performance
    }

    /// Emits that a signal was closed by hand, and requests a check.
    pub(super) fn after_closing_by_hand(self: &Arc<Self>, store: &FeedbackStore, id: &str) -> Result<()> {
        // The record is read again only if there are listeners. The store itself tells of a cancelled signal, and of one of which a
        // part was closed.
        if !self.events.is_empty()
            && let Some(signal) = store.get(id)?.and_then(|record| ClosedSignal::of(&record, &store.costs()))
            && signal.outcome != Outcome::Cancelled
        {
            self.events.emit(&Event::SignalClosed(signal));
        }
        self.ask_for_check();
        Ok(())
    }

    /// Emits that prices closed signals, and requests a check.
    pub(super) fn after_closing(self: &Arc<Self>, closed: &[ClosedSignal]) {
        if closed.is_empty() {
            return;
        }
        if !self.events.is_empty() {
            closed.iter().for_each(|signal| self.events.emit(&Event::SignalClosed(signal.clone())));
        }
        self.ask_for_check();
    }

    pub(super) fn ask_for_check(self: &Arc<Self>) {
        if self.state.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        // A replay checks when it settles.
        if self.settings.is_replay() {
            return;
        }
        let this = self.clone();
        self.lifetime.in_background(async move {
            // No check is needed once the loop is closing.
            if this.lifetime.wait(DEBOUNCE).await.is_ok() {
                this.check_now().await;
            }
        });
    }

    /// Makes the check that was requested. Returns whether one was.
    pub(super) async fn check_if_asked(self: &Arc<Self>) -> bool {
        let asked = self.state.asked.load(Ordering::Acquire);
        if asked {
            self.check_now().await;
        }
        asked
    }

    async fn check_now(self: &Arc<Self>) {
        let Ok(_call) = self.lifetime.begin() else { return };
        let (core, now_ms) = (self.clone(), self.settings.now_ms());
        let checked = tokio::task::spawn_blocking(move || domain::error::guard(|| core.check(now_ms)));
        let problem = match checked.await {
            Ok(Ok(())) | Ok(Err(Error::Closed)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic.to_string()),
        };
        if let Some(problem) = is_new(&self.state.problem, problem) {
            self.events.emit(&Event::Warning(format!("live results could not be checked: {problem}")));
        }
    }

    /// Judges the live results up to `now_ms`: turns conservative mode on and off, starts emergency trainings in the
    /// background, and reports drift. When it returns, `performance.json` contains the changes. It reads the store and
    /// may take a while, so call it on a thread that may block, inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Io`] when files cannot be read or written, [`Error::Closed`].
    pub fn check(self: &Arc<Self>, now_ms: i64) -> Result<()> {
        let _one_at_a_time = self.state.running.lock();
        // Reset only after the lock is taken: a check that waits for the lock covers all closings until then.
        self.state.asked.store(false, Ordering::Release);
        let config = self.settings.config();
        let rule = &config.poor_performance;
        let since_ms = now_ms - i64::from(rule.window_days) * DAY_MS;
        let in_window = StatsFilter { since_ms: Some(since_ms), ..StatsFilter::default() };
        let outcomes = self.store.open()?.ended(&in_window, &config.costs())?;
        let (due, news) = self.performance.change(|state| {
            let (performance, changes) = state.performance.next(&outcomes, rule, now_ms);
            state.performance = performance;
            let mut news: Vec<Event> = changes.into_iter().map(|change| conservative(change, rule.rule)).collect();
            news.extend(self.look_for_drift(&mut state.drift, &outcomes)?);
            Ok((self.begin_emergency(&mut state.performance, now_ms), news))
        })?;
        news.iter().for_each(|event| self.events.emit(event));
        let markets: BTreeSet<&Market> = outcomes.iter().map(|outcome| &outcome.market).collect();
        for market in markets {
            match self.models.check_live(market) {
                // Signals that no model generated have no model to check.
                Ok(_) | Err(Error::NoModel { .. }) => {}
                Err(error) => {
                    self.events.emit(&Event::Warning(format!("the model of {market} could not be checked: {error}")))
                }
            }
        }
        if let Some((markets, running)) = due {
            let this = self.clone();
            self.lifetime.in_background(async move {
                this.emergency_training(markets).await;
                drop(running);
            });
        } else {
            self.update_what_drifts(&news);
        }
        Ok(())
    }

    /// Continues the models of markets with drift, in the background. Not needed during an emergency training, which
    /// does more.
    fn update_what_drifts(self: &Arc<Self>, news: &[Event]) {
        let drifting = news.iter().filter_map(|event| match event {
            Event::OutcomeDrift(market, _) | Event::EntryDrift { market, .. } => Some(market),
            _ => None,
        });
        let markets: BTreeSet<Market> =
            drifting.filter(|market| self.models.registry().champion_version(market).is_ok()).cloned().collect();
        if markets.is_empty() {
            return;
        }
        let this = self.clone();
        self.lifetime.in_background(async move {
            let Ok(_call) = this.lifetime.begin() else { return };
            let _one_at_a_time = this.state.training.lock().await;
            this.train_in_background(&markets.into_iter().collect::<Vec<_>>(), TrainMode::Incremental).await;
        });
    }

    /// Returns the markets to retrain now, and notes that their training has started. `None` if there are none, or if
    /// such a training is running.
    fn begin_emergency(
        &self,
        performance: &mut Performance,
        now_ms: i64,
    ) -> Option<(Vec<Market>, tokio::sync::OwnedMutexGuard<()>)> {
        let config = self.settings.config();
        if !config.poor_performance.emergency_training {
            return None;
        }
        let mut markets = performance.due(&config.poor_performance, now_ms);
        // Only markets with a model are retrained. Signals from other sources have none.
        markets.retain(|market| self.models.registry().champion_version(market).is_ok());
        if markets.is_empty() {
            return None;
        }
        let running = self.state.training.clone().try_lock_owned().ok()?;
        performance.begin_training(&markets, now_ms);
        Some((markets, running))
    }

    async fn emergency_training(self: &Arc<Self>, markets: Vec<Market>) {
        // Closing the loop cancels this training and waits for its end, as for any other call.
        let Ok(_call) = self.lifetime.begin() else { return };
        self.events.emit(&Event::EmergencyTrainingStarted(markets.clone()));
        let trained = self.train_in_background(&markets, TrainMode::Symbol).await;
        let (this, ended) = (self.clone(), trained.clone());
        let noted = threads::blocking(move || {
            this.performance.change(|state| {
                state.performance.end_training(&ended);
                Ok(())
            })
        });
        if let Err(error) = noted.await {
            let text =
                format!("the training of {} markets after poor results could not be recorded: {error}", trained.len());
            self.events.emit(&Event::Warning(text));
        }
        self.events.emit(&Event::EmergencyTrainingFinished { markets, trained });
    }

    /// Trains these markets and reports failures. Returns the markets that were trained.
    async fn train_in_background(self: &Arc<Self>, markets: &[Market], mode: TrainMode) -> Vec<Market> {
        let mut trained = Vec::new();
        for (timeframe, symbols) in by_timeframe(markets) {
            let request = TrainRequest {
                mode,
                symbols: Some(symbols),
                timeframes: Some(vec![timeframe]),
                ..TrainRequest::default()
            };
            match self.trainer.train(request, Cancel::default(), |_| {}).await {
                Ok(results) => {
                    for result in results.results {
                        match result.trained {
                            Ok(_) => trained.push(result.market),
                            Err(error) => self.events.emit(&Event::Warning(format!(
                                "training {} after poor or drifting results failed: {error} [{}]",
                                result.market,
                                error.code()
                            ))),
                        }
                    }
                }
                Err(error) => {
                    self.events.emit(&Event::Warning(format!("a training in the background failed: {error}")))
                }
            }
        }
        trained
    }
}

fn conservative(change: Change, rule: PoorRule) -> Event {
    let Change { scope, turn, evidence } = change;
    let results = in_words(&evidence, rule);
    let reason = match turn {
        Turn::Entered => results,
        Turn::Recovered => format!("since then {results}"),
        Turn::Lapsed => format!("too few signals closed since then to tell ({})", evidence.closed),
    };
    Event::ConservativeMode { scope, turn, evidence, reason }
}

pub(super) fn by_timeframe(markets: &[Market]) -> BTreeMap<Timeframe, Vec<domain::symbol::Symbol>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for market in markets {
        groups.entry(market.timeframe).or_default().push(market.symbol.clone());
    }
    groups
}
