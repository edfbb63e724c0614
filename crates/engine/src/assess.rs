//! Estimates a signal's chances from the signals that have closed.

use super::bet::{BetRules, BetValue};
use super::compute::ComputeThreads;
use super::learn::{LearnerState, open};
use super::prepare::Preparing;
use super::prior::{AskedLevels, Lack};
use super::{CandleStore, Events, Lifetime, LivePerformance, Models, Settings, SignalStore};
use domain::answer::Answer;
use domain::error::{Error, Result};
use domain::signal::{Position, Said, Signal};
use domain::symbol::{Symbol, Timeframe};
use learning::Management;
use learning::harm::Served;
use learning::outcomes::{self, Case, Contribution, Evidence, Lesson, OutcomeModel, Pattern, SOURCE_NAMES};
use std::sync::Arc;

/// The estimated chances of a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The probability that the signal succeeds, 0–1.
    pub success_probability: f64,
    /// The 95 % interval of that probability.
    pub probability_interval: (f64, f64),
    /// The probability estimated without the signal's candles and indicators, 0–1.
    pub base_rate: f64,
    /// The probability estimated from candles alone, 0–1; `None` if no model of candles can judge the signal.
    pub prior: Option<f64>,
    /// Expected profit after costs, in multiples of the distance to the stop; `None` without a stop.
    pub expected_r: Option<f64>,
    /// The 95 % interval of the expected profit.
    pub expected_r_interval: Option<(f64, f64)>,
    /// The success probability at which the signal earns nothing after costs (see [`super::bet::break_even`]), plus a
    /// margin in conservative mode. One half if the signal has no stop.
    pub threshold: f64,
    /// Whether to take the signal: it is expected to earn more than it costs, with the certainty that the configuration
    /// asks for.
    pub take: bool,
    /// The share of the capital to risk, 0–1; see [`super::bet::suggested_risk`].
    pub suggested_risk: f64,
    /// What the estimate is based on: all evidence, or the base rate alone if that predicted better.
    pub served: Served,
    /// The reasons, in words.
    pub reasons: Vec<String>,
    /// What each source of evidence says.
    pub evidence: Vec<SourceOfEvidence>,
    /// How the probability comes about, step by step from even odds: the last step has it.
    pub contributions: Vec<Contribution>,
    /// The number of closed signals learned from.
    pub closed: usize,
    /// How many independent outcomes those signals are worth.
    pub effective_sample_size: f64,
    /// Indicators of the signal that were ignored because the model does not know them.
    pub unused_indicators: Vec<String>,
}

/// What one source of evidence says about a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceOfEvidence {
    /// Its name.
    pub source: &'static str,
    /// By how much it would change the log odds of success.
    pub says: f64,
    /// Its weight, learned from how often its earlier forecasts came true: 0 ignores it, 1 uses it in full.
    pub weight: f64,
}

/// The one source that counts where the full predictions did harm.
const BASE_RATES: &str = "baseRates";

/// Learns from the outcomes of closed signals, and estimates the chances of new ones.
pub struct OutcomeLearner {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) compute: Arc<ComputeThreads>,
    pub(super) candles: Arc<CandleStore>,
    pub(super) store: Arc<SignalStore>,
    pub(super) models: Arc<Models>,
    pub(super) performance: Arc<LivePerformance>,
    pub(super) learning: LearnerState,
    pub(super) preparing: Preparing,
}

impl OutcomeLearner {
    /// Estimates the chances of a signal from all signals that have closed. The id, timestamp and confidence may be
    /// missing. The answer is nearly always ready at once; after new outcomes it may have to wait for a model.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] for a HOLD, which cannot succeed; [`Error::Storage`].
    pub fn assess(self: &Arc<Self>, mut signal: Signal) -> Answer<Result<Assessment>> {
        match self.assess_at_once(&mut signal).transpose() {
            Some(assessment) => Answer::Ready(assessment),
            None => Answer::pending(self.clone().assess_waiting(signal)),
        }
    }

    /// `None` if the answer has to wait for another thread, a file, or outcomes that were not learned yet.
    fn assess_at_once(&self, signal: &mut Signal) -> Result<Option<Assessment>> {
        let market = signal.market();
        let incoming = self.learning.incoming.try_lock();
        let up_to_date = !self.settings.learns_outcomes()
            || self.store.if_open().zip(incoming).is_some_and(|(store, incoming)| {
                incoming.backlog.is_empty() && store.has_no_new_closings(&incoming.given)
            });
        let ready = up_to_date && self.models.has_read_candle_model(&market);
        let learner = self.learning.learner.try_read().filter(|learner| ready && self.learning.is_ready(learner));
        let (Some(learner), Some(recent)) = (learner, self.candles.recent_in_memory(&market)) else { return Ok(None) };
        signal.features = recent.and_then(|recent| recent.entry_features(signal));
        if learner.model().until_ms() > signal.timestamp_ms + market.timeframe.millis() {
            return Ok(None);
        }
        let known = learner.lessons().len();
        match self.case(signal, false)? {
            (_, Some(Lack::NotAsked)) => Ok(None),
            (case, lack) => self.assessment(learner.model(), &signal.position, &case, known, lack).map(Some),
        }
    }

    async fn assess_waiting(self: Arc<Self>, mut signal: Signal) -> Result<Assessment> {
        let market = signal.market();
        // Features are optional: a signal is assessed even if its candles cannot be read.
        let recent = self.candles.recent(&market).ok().flatten();
        signal.features = recent.and_then(|recent| recent.entry_features(&signal));
        if !self.models.has_read_candle_model(&market) {
            let (this, market) = (self.clone(), market.clone());
            self.compute
                .run(move || {
                    this.models.read_candle_model(&market);
                    Ok(())
                })
                .await?;
        }
        let (this, asked) = (self.clone(), signal.clone());
        let (case, lack) = self.compute.run(move || this.case(&asked, true)).await?;
        self.learn_closings().await?;
        if let Some(evidence) = self.evidence_before(&signal) {
            let closed = evidence.lessons().len();
            let model = self.model_of_the_past(evidence).await?;
            return self.assessment(&model, &signal.position, &case, closed, lack);
        }
        let learner = self.learning.learner.read();
        self.assessment(learner.model(), &signal.position, &case, learner.lessons().len(), lack)
    }

    /// What was known when a past signal was given; `None` for a current one. Outcomes within the signal's own candle
    /// count as known, because prices arrive before the candle closes.
    fn evidence_before(&self, signal: &Signal) -> Option<Evidence> {
        let learner = self.learning.learner.read();
        let until_ms = signal.timestamp_ms + signal.market().timeframe.millis();
        (learner.model().until_ms() > until_ms).then(|| learner.evidence().before(until_ms))
    }

    /// A model trained on what was known at a past time. Reuses the last one if it fits.
    async fn model_of_the_past(&self, evidence: Evidence) -> Result<Arc<OutcomeModel>> {
        if let Some(model) = self.learning.past.lock().clone().filter(|model| model.serves(&evidence)) {
            return Ok(model);
        }
        let evidence = evidence.with_open(std::iter::empty(), &open(&self.store.open()?)?);
        let seed = self.settings.config().seed;
        let model = self.compute.run(move || Ok(Arc::new(OutcomeModel::grow(&evidence, seed)))).await?;
        *self.learning.past.lock() = Some(model.clone());
        Ok(model)
    }

    /// The forecast to store with a signal that is being recorded. It also notes whether `assess` would use the full
    /// forecast or only the base rate. `None` if nothing is known, and for past signals, whose outcome may already have
    /// been learned. Never waits; whatever is not in memory yet is prepared for the next recording.
    pub(super) fn say(&self, signal: &Signal) -> Option<Said> {
        self.preparing.ask(&signal.market());
        let learner = self.learning.learner.try_read()?;
        let model = learner.model();
        let (case, _) = self.case(signal, false).ok()?;
        let knows = model.effective() > 0.0 || case.prior.is_some();
        if !knows || model.until_ms() > signal.timestamp_ms + case.timeframe().millis() {
            return None;
        }
        let margin = self.performance.conservative_margin(&case.market).wait().ok()?;
        let config = self.settings.config();
        let fee_bps = config.costs().of(&signal.position).fee_bps;
        let rules = BetRules { config: &config, fee_bps, margin, open: 0 };
        let BetValue { chances, expected, take, .. } = BetValue::of(model.chances(&case), &case, &rules);
        Some(Said {
            probability: chances.probability,
            interval: chances.interval,
            base_rate: chances.base_rate,
            prior: case.prior.unwrap_or(case.implied),
            shaped: case.prior.is_some(),
            departures: chances.departures,
            contributions: Some(chances.contributions),
            expected_r: expected.map(|(expected, _)| expected),
            expected_r_interval: expected.map(|(_, interval)| interval),
            take,
            outcomes: model.learned() as u64,
        })
    }

    /// Converts a signal to a case for the learner, with the estimate of the model of candles or the reason why it is left
    /// out. A user's own model is asked only if this may `wait`.
    fn case(&self, signal: &Signal, wait: bool) -> Result<(Case, Option<Lack>)> {
        let (mut case, mut lack) = (question(signal)?, None);
        if let (Some(features), Some(stop), Some(ratio)) = (&case.features, case.stop_percent, case.reward_risk) {
            let candle_ms = case.timeframe().millis() as f64;
            let bars = signal.expires_ms.map(|expires_ms| (expires_ms - signal.timestamp_ms) as f64 / candle_ms);
            let management = Management::of(signal);
            let management = management.as_ref();
            let asked = AskedLevels {
                stop_percent: stop,
                reward_risk: management.and_then(Management::mean_target).unwrap_or(ratio),
                expiry_bars: bars,
                management,
            };
            let at = (case.timeframe().last_closed_before(signal.timestamp_ms), &features[..]);
            match self.models.candle_prior(&case.market, case.direction, at, asked, wait) {
                Ok(prior) => case.prior = prior.map(|prior| prior.probability),
                Err(why) => lack = Some(why),
            }
        }
        Ok((case, lack))
    }

    /// The rules found in the closed signals of a symbol, of a timeframe, or of all signals.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn patterns(
        self: &Arc<Self>,
        symbol: Option<Symbol>,
        timeframe: Option<Timeframe>,
    ) -> Result<Vec<Pattern>> {
        self.learn_closings().await?;
        let asked_for = |lesson: &&Arc<Lesson>| {
            symbol.as_ref().is_none_or(|symbol| lesson.case.symbol() == symbol)
                && timeframe.is_none_or(|timeframe| lesson.case.timeframe() == timeframe)
        };
        let lessons: Vec<Arc<Lesson>> =
            self.learning.learner.read().lessons().iter().filter(asked_for).cloned().collect();
        self.compute
            .run(move || Ok(outcomes::find_patterns(&lessons.iter().map(|lesson| &**lesson).collect::<Vec<_>>())))
            .await
    }

    fn assessment(
        &self,
        model: &OutcomeModel,
        position: &Position,
        case: &Case,
        closed: usize,
        lack: Option<Lack>,
    ) -> Result<Assessment> {
        let margin = self.performance.conservative_margin(&case.market).wait()?;
        let open = self.store.if_open().map_or(0, |store| store.open_taken(case.direction));
        let config = self.settings.config();
        let rules = BetRules { config: &config, fee_bps: config.costs().of(position).fee_bps, margin, open };
        let full = model.chances(case);
        let harm = *self.learning.harm.read();
        let chances = if harm.is_some() { model.chances_of_base_rate(case) } else { full };
        let verdict = BetValue::of(chances, case, &rules);
        let names = case.indicators.iter().map(|(name, _)| name).chain(case.texts.iter().map(|(name, _)| name));
        let is_known = model.effective() >= 1.0 || case.prior.is_some();
        let [levels, process, boosting, forest] = full.departures;
        let says = [case.candles(), levels, process, boosting, forest];
        let weight = |(source, weight)| if harm.is_none() || source == BASE_RATES { weight } else { 0.0 };
        let weights = SOURCE_NAMES.into_iter().zip(model.weights()).map(weight);
        let evidence = SOURCE_NAMES.into_iter().zip(says).zip(weights);
        let mut reasons = verdict.reasons(model, case, margin);
        reasons.splice(1..1, harm.map(|harm| harm.words()));
        if let Some(Lack::Failed(error)) = lack {
            reasons.push(format!("what candles say is left out: {error}"));
        }
        Ok(Assessment {
            success_probability: verdict.chances.probability,
            probability_interval: verdict.chances.interval,
            base_rate: verdict.chances.base_rate,
            prior: case.prior,
            expected_r: verdict.expected.map(|(expected, _)| expected),
            expected_r_interval: verdict.expected.map(|(_, interval)| interval),
            threshold: verdict.break_even + margin,
            take: verdict.take,
            suggested_risk: verdict.suggested_risk(is_known, &rules),
            served: if harm.is_some() { Served::BaseRate } else { Served::All },
            reasons,
            evidence: evidence.map(|((source, says), weight)| SourceOfEvidence { source, says, weight }).collect(),
            contributions: outcomes::contributions(&verdict.chances.contributions),
            closed,
            effective_sample_size: model.effective(),
            unused_indicators: names.filter(|name| !model.looks_at(name)).cloned().collect(),
        })
    }
}

fn question(signal: &Signal) -> Result<Case> {
    let problem = "must be BUY or SELL: a HOLD has no outcome to assess";
    Case::of(signal).ok_or_else(|| Error::InvalidSignal { field: "signalType", problem, value: "HOLD".to_owned() })
}
