//! What a signal's chances are, from the signals that have closed.

use super::compute::ComputeThreads;
use super::prepare::Preparing;
use super::{CandleStore, Event, Events, Lifetime, LivePerformance, Models, Settings, SignalStore};
use domain::answer::Answer;
use domain::config::Config;
use domain::error::{Error, Result};
use domain::proportions::Z_95;
use domain::signal::{Record, Said, Signal};
use domain::symbol::{Symbol, Timeframe};
use feedback::{FeedbackStore, Given};
use learning::harm::{Harm, Judge, Served};
use learning::outcomes::{
    self, Case, Chances, Checkpoint, Evidence, Learner, Lesson, MAX_LESSONS, Open, OutcomeModel, Pattern,
};
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use storage::write_atomically;

/// Up to this many closed signals, a model that is due is waited for: it takes a tenth of a second, off the event loop. Beyond, the one
/// in service answers while the next one grows in the background, until it is late.
const WORTH_WAITING: usize = 300;
/// From this many on, what was learned of them is kept for the next start: below, it is learned again in a moment.
const WORTH_KEEPING: usize = 1_000;
/// The steps in which the oldest closings are left behind by a process that starts.
const STEP: usize = 1_000;

/// What is known of a signal's chances.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// That it succeeds, 0–1.
    pub success_probability: f64,
    /// Its 95 % interval.
    pub probability_interval: (f64, f64),
    /// The same without a look at its candles and indicators, 0–1.
    pub base_rate: f64,
    /// What candles alone say, 0–1; `None` where no model of candles knows anything of it.
    pub prior: Option<f64>,
    /// Expected profit after costs, in distances of its stop; `None` without a stop.
    pub expected_r: Option<f64>,
    /// Its 95 % interval.
    pub expected_r_interval: Option<(f64, f64)>,
    /// The success probability at which it earns nothing after costs, see [`break_even`], and more than that in conservative mode;
    /// one half where it lacks a stop.
    pub threshold: f64,
    /// Whether it is expected to earn more than it costs, as surely as the configuration asks.
    pub take: bool,
    /// The part of the capital to risk, 0–1: see [`suggested_risk`].
    pub suggested_risk: f64,
    /// What it rests on: all that is known, or the base rate alone where that foretold more.
    pub served: Served,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// What each source of evidence says.
    pub evidence: Vec<SourceOfEvidence>,
    /// Closed signals that are known.
    pub closed: usize,
    /// For how many independent outcomes they stand.
    pub effective_sample_size: f64,
    /// Indicators of the signal that it was not judged by: those that the model does not know.
    pub unused_indicators: Vec<String>,
}

/// What a source of evidence says of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceOfEvidence {
    /// Its name.
    pub source: &'static str,
    /// By how much it would move the log odds of success.
    pub says: f64,
    /// Its weight, learned from which of its earlier forecasts came true: 0 ignores it, 1 takes all that it says.
    pub weight: f64,
}

/// The names of the sources.
const SOURCES: [&str; outcomes::SOURCES] = ["candles", BASE_RATES, "process", "boosting", "forest"];
const BASE_RATES: &str = "baseRates";

/// How much two open signals of one direction share, as markets move together: the correlation of large coins' outcomes, measured
/// at 0.5 to 0.8.
const TOGETHER: f64 = 0.7;

/// The success probability at which a bet earns nothing that wins and loses so much, see [`outcomes::Chances::payoffs`], with costs of
/// `fee`, in distances of its stop: 0 where even a failure earns, as with a stop that was trailed; 1 or more where nothing earns.
fn break_even((win, lose): (f64, f64), fee: f64) -> f64 {
    if lose > fee {
        0.0
    } else if win > lose {
        (fee - lose) / (win - lose)
    } else {
        1.0
    }
}

/// What part of the capital to risk on a bet that wins `win` and loses `loss` times what is risked, after costs, when the least
/// probability of success that is plausible is `least`, and `open` bets of the same direction are under way, all of them taken: `fraction` of
/// Kelly's (p · win − (1 − p) · loss) / (win · loss), divided by 1 + 0.7 · open; 0 where that is negative. However little failures have
/// lost on the mean, the next one may lose all that is risked: the divisor takes the loss for 1 at least.
///
/// Source: J. L. Kelly, *A New Interpretation of Information Rate*, 1956.
pub fn suggested_risk(least: f64, win: f64, loss: f64, fraction: f64, open: usize) -> f64 {
    if win <= 0.0 {
        return 0.0;
    }
    let kelly = (least * win - (1.0 - least) * loss) / (win * loss.max(1.0));
    (fraction * kelly.clamp(0.0, 1.0)) / (1.0 + TOGETHER * open as f64)
}

/// Learns from the outcomes of closed signals, and answers what a signal's chances are.
pub struct OutcomeLearner {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) compute: Arc<ComputeThreads>,
    pub(super) candles: Arc<CandleStore>,
    pub(super) store: Arc<SignalStore>,
    pub(super) models: Arc<Models>,
    pub(super) performance: Arc<LivePerformance>,
    pub(super) learning: Learning,
    pub(super) preparing: Preparing,
}

/// What was learned, and what is being learned.
#[derive(Debug, Default)]
pub(super) struct Learning {
    learner: RwLock<Learner>,
    /// Locked while the learner is brought up to date.
    incoming: Mutex<Incoming>,
    /// Held while a model grows: one at a time.
    growing: tokio::sync::Mutex<()>,
    /// Held while all is learned once more for the process that starts next.
    relearning: tokio::sync::Mutex<()>,
    /// By how much what was said does worse than base rates, if it does.
    harm: RwLock<Option<Harm>>,
    /// The model that was last grown for signals of the past.
    past: Mutex<Option<Arc<OutcomeModel>>>,
    /// What a process that starts next finds learned already.
    saved: Mutex<Option<Saved>>,
    /// It is for the process that starts next only.
    aside: bool,
}

/// What is in the file of what was learned.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Saved {
    /// The oldest closing that it was learned from, counted from the first of all.
    first: usize,
    /// How many lessons.
    lessons: usize,
}

/// What has closed and was not learned yet.
#[derive(Debug, Default)]
struct Incoming {
    /// What the store has given.
    given: Given,
    /// Of that, what waits until the model in service may judge it.
    backlog: VecDeque<Lesson>,
    /// The oldest of it, counted from the first closing of all.
    first: usize,
    /// What was said of it, and came.
    judge: Judge,
}

impl Learning {
    /// Whether an answer waits for a model that is due.
    fn waits(learner: &Learner) -> bool {
        learner.is_overdue() && (learner.lessons().len() <= WORTH_WAITING || learner.is_late())
    }

    /// Whether the model in service may answer, and nothing need be begun.
    fn is_ready(&self, learner: &Learner) -> bool {
        !learner.is_overdue() || !Self::waits(learner) && self.growing.try_lock().is_err()
    }
}

impl OutcomeLearner {
    /// The chances of a signal, from all signals that have closed. Id, timestamp and confidence may be missing. Known at once for nearly
    /// every call between two outcomes.
    ///
    /// # Errors
    /// [`Error::InvalidSignal`] for a HOLD, which cannot succeed; [`Error::Store`].
    pub fn assess(self: &Arc<Self>, mut signal: Signal) -> Answer<Result<Assessment>> {
        match self.assess_at_once(&mut signal).transpose() {
            Some(assessment) => Answer::Ready(assessment),
            None => Answer::pending(self.clone().assess_waiting(signal)),
        }
    }

    /// `None` where something must be waited for: another thread, a file, an outcome that was not learned yet.
    fn assess_at_once(&self, signal: &mut Signal) -> Result<Option<Assessment>> {
        let market = signal.market();
        let incoming = self.learning.incoming.try_lock();
        let up_to_date =
            self.store.if_open().zip(incoming).is_some_and(|(store, incoming)| {
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
        self.assessment(learner.model(), &self.case(signal)?, known).map(Some)
    }

    async fn assess_waiting(self: Arc<Self>, mut signal: Signal) -> Result<Assessment> {
        let market = signal.market();
        // Features are a gain: no signal is refused because candles cannot be read.
        let tail = self.candles.recent(&market).ok().flatten();
        signal.features = tail.and_then(|tail| tail.entry_features(&signal));
        if !self.models.has_read_candle_model(&market) {
            let (this, market) = (self.clone(), market.clone());
            self.compute
                .run(move || {
                    this.models.read_candle_model(&market);
                    Ok(())
                })
                .await?;
        }
        let case = self.case(&signal)?;
        self.learn_closings().await?;
        if let Some(evidence) = self.evidence_before(&signal) {
            let closed = evidence.lessons().len();
            let model = self.model_of_the_past(evidence).await?;
            return self.assessment(&model, &case, closed);
        }
        let learner = self.learning.learner.read();
        self.assessment(learner.model(), &case, learner.lessons().len())
    }

    /// What was known when a signal of the past was given; `None` for one of now. Outcomes of the candle that it was given in count
    /// as known, since prices come before candles close.
    fn evidence_before(&self, signal: &Signal) -> Option<Evidence> {
        let learner = self.learning.learner.read();
        let until_ms = signal.timestamp_ms + signal.market().timeframe.millis();
        (learner.model().until_ms() > until_ms).then(|| learner.evidence().before(until_ms))
    }

    /// A model of what was known at a time; the one that was last grown for that, if it would not be due for another yet.
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

    /// What is to be kept with a signal that is being recorded: what is known of its chances at this moment, whether that is served
    /// or the base rate alone. `None` where nothing is known, and for a signal of the past, whose outcome may have been learned
    /// from. Waits for nothing; what it could not look at, the next recording may.
    pub(super) fn say(&self, signal: &Signal) -> Option<Said> {
        self.preparing.ask(&signal.market());
        let learner = self.learning.learner.try_read()?;
        let model = learner.model();
        let case = self.case(signal).ok()?;
        let knows = model.effective() > 0.0 || case.prior.is_some();
        if !knows || model.until_ms() > signal.timestamp_ms + case.timeframe().millis() {
            return None;
        }
        let margin = self.performance.conservative_margin(&case.market).wait().ok()?;
        let rules = Rules { config: &self.settings.config(), margin, open: 0 };
        let Verdict { chances, expected, take, .. } = Verdict::of(model.chances(&case), &case, &rules);
        Some(Said {
            probability: chances.probability,
            interval: chances.interval,
            base_rate: chances.base_rate,
            prior: case.prior.unwrap_or(case.implied),
            shaped: case.prior.is_some(),
            departures: chances.departures,
            expected_r: expected.map(|(expected, _)| expected),
            expected_r_interval: expected.map(|(_, interval)| interval),
            take,
            outcomes: model.learned() as u64,
        })
    }

    /// A signal as a question, with what candles say of it.
    fn case(&self, signal: &Signal) -> Result<Case> {
        let mut case = question(signal)?;
        if let (Some(features), Some(stop), Some(ratio)) = (&case.features, case.stop_percent, case.reward_risk) {
            let candle_ms = case.timeframe().millis() as f64;
            let bars = signal.expires_ms.map(|expires_ms| (expires_ms - signal.timestamp_ms) as f64 / candle_ms);
            let prior = self.models.candle_prior(&case.market, case.direction, features, stop, ratio, bars);
            case.prior = prior.map(|prior| prior.probability);
        }
        Ok(case)
    }

    /// The rules found in the closed signals of a symbol, of a timeframe, or of all.
    ///
    /// # Errors
    /// [`Error::Store`].
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

    fn assessment(&self, model: &OutcomeModel, case: &Case, closed: usize) -> Result<Assessment> {
        let margin = self.performance.conservative_margin(&case.market).wait()?;
        let open = self.store.if_open().map_or(0, |store| store.open_taken(case.direction));
        let rules = Rules { config: &self.settings.config(), margin, open };
        let full = model.chances(case);
        let harm = *self.learning.harm.read();
        let chances = if harm.is_some() { model.chances_of_base_rate(case) } else { full };
        let verdict = Verdict::of(chances, case, &rules);
        let names = case.indicators.iter().map(|(name, _)| name).chain(case.texts.iter().map(|(name, _)| name));
        let is_known = model.effective() >= 1.0 || case.prior.is_some();
        let [levels, process, boosting, forest] = full.departures;
        let says = [case.candles(), levels, process, boosting, forest];
        let weight = |(source, weight)| if harm.is_none() || source == BASE_RATES { weight } else { 0.0 };
        let weights = SOURCES.into_iter().zip(model.weights()).map(weight);
        let evidence = SOURCES.into_iter().zip(says).zip(weights);
        let mut reasons = verdict.reasons(model, case, margin);
        reasons.splice(1..1, harm.map(|harm| harm.words()));
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
            closed,
            effective_sample_size: model.effective(),
            unused_indicators: names.filter(|name| !model.looks_at(name)).cloned().collect(),
        })
    }

    /// Brings the learner up to date with the store: outcomes of this and of other processes.
    pub(super) async fn learn_closings(self: &Arc<Self>) -> Result<()> {
        self.learn_backlog(&self.learning).await?;
        // One that grows already may be all that is waited for.
        self.grow(&self.learning, Learning::waits).await?;
        if !self.learning.is_ready(&self.learning.learner.read()) {
            let this = self.clone();
            tokio::spawn(async move {
                // The model in service stays, and the next call tries again; only a loop that closes need not tell.
                let grown = async {
                    this.grow(&this.learning, Learner::is_overdue).await?;
                    this.learn_for_the_next_start().await
                };
                match grown.await {
                    Ok(()) | Err(Error::Closed | Error::Cancelled(_)) => {}
                    Err(error) => {
                        this.events.emit(&Event::Warning(format!("outcomes could not be learned from: {error}")))
                    }
                }
            });
        }
        Ok(())
    }

    /// Learns what has closed. A long backlog, as after a restart, in stages, each judged by a model of the ones before; where
    /// an earlier process has learned the beginning of it, from there on.
    async fn learn_backlog(&self, learning: &Learning) -> Result<()> {
        let (mut reached, mut total) = (None, None);
        while let Some(waiting) = self.count_closings(learning)? {
            let seed = self.settings.config().seed;
            self.grow(learning, Learner::is_overdue).await?;
            if learning.aside {
                self.lifetime.closing().check()?;
            }
            let learner = learning.learner.read();
            // More that has closed meanwhile was not waiting from the beginning.
            let all = learner.lessons().len() + waiting;
            let as_begun = *total.get_or_insert(all) == all;
            reached = learner.checkpoint(waiting, seed).filter(|_| as_begun && all >= WORTH_KEEPING);
        }
        if let Some(checkpoint) = reached {
            let first = learning.incoming.lock().first;
            *learning.saved.lock() = Some(Saved { first, lessons: checkpoint.lessons() });
            if let Err(error) = write_atomically(&self.learned_path(), &checkpoint.encode()?) {
                // Nothing is lost but time.
                self.events.emit(&Event::Warning(format!(
                    "what was learned of outcomes is not kept for the next start: {error}"
                )));
            }
        }
        Ok(())
    }

    /// Counts what has closed, as far as the model in service may judge it; how much of it waits for the next one, if some does.
    fn count_closings(&self, learning: &Learning) -> Result<Option<usize>> {
        let mut incoming = learning.incoming.lock();
        let Incoming { given, backlog, first, judge } = &mut *incoming;
        let store = self.store.open()?;
        let begins = learning.learner.read().lessons().is_empty() && backlog.is_empty();
        if begins {
            *first = first_of(store.extent().1);
        }
        let most = if begins { store.extent().1 - *first } else { MAX_LESSONS };
        // Who prepares the next start learns what there was when it began: all of it, so that it can be kept.
        let records = if learning.aside && !begins { Vec::new() } else { store.new_closings(given, most)? };
        backlog.extend(records.iter().filter_map(lesson));
        if !records.is_empty() {
            records.iter().for_each(|record| judge.take(record));
            *learning.harm.write() = judge.harm();
        }
        if begins && backlog.len() >= WORTH_KEEPING {
            self.resume(learning, backlog, &open(&store)?, *first);
        }
        if !backlog.is_empty() {
            learning.learner.write().learn_some(backlog);
        }
        Ok(Some(backlog.len()).filter(|waiting| *waiting > 0))
    }

    /// Takes from a backlog what an earlier process has learned of it.
    fn resume(&self, learning: &Learning, backlog: &mut VecDeque<Lesson>, open: &[Open], first: usize) {
        // None is there yet, or one that cannot be read: all is learned anew.
        let Ok(bytes) = std::fs::read(self.learned_path()) else { return };
        let Some(checkpoint) = Checkpoint::decode(&bytes) else { return };
        let lessons = checkpoint.lessons();
        if let Some(learner) = Learner::resume(checkpoint, backlog, open, self.settings.config().seed) {
            *learning.learner.write() = learner;
            *learning.saved.lock() = Some(Saved { first, lessons });
        }
    }

    /// Learns once more, as a process will that starts with what has closed by now, if that would take it long.
    async fn learn_for_the_next_start(&self) -> Result<()> {
        let Ok(_one_at_a_time) = self.learning.relearning.try_lock() else { return Ok(()) };
        // Once more for what closed meanwhile, whose model found this under way.
        for _ in 0..2 {
            let closed = self.store.open()?.extent().1;
            let soon = self.learning.saved.lock().is_some_and(|saved| {
                // Up to twice the lessons of a model, the next one is not waited for.
                saved.first == first_of(closed) && closed - saved.first < 2 * saved.lessons
            });
            if soon {
                break;
            }
            let aside = Learning { aside: true, ..Learning::default() };
            self.learn_backlog(&aside).await?;
            // Where nothing could be kept, not again and again either.
            let lessons = aside.learner.read().lessons().len();
            let kept = aside.saved.lock().unwrap_or(Saved { first: first_of(closed), lessons });
            *self.learning.saved.lock() = Some(kept);
        }
        Ok(())
    }

    fn learned_path(&self) -> PathBuf {
        self.settings.home().join("cache").join("outcomes.learned")
    }

    /// Grows a model, one at a time, where it is due once its turn has come.
    async fn grow(&self, learning: &Learning, is_due: fn(&Learner) -> bool) -> Result<()> {
        if !is_due(&learning.learner.read()) {
            return Ok(());
        }
        let _one_at_a_time = learning.growing.lock().await;
        let evidence = {
            // In this order, as where the backlog is learned.
            let incoming = learning.incoming.lock();
            let learner = learning.learner.read();
            if !is_due(&learner) {
                return Ok(());
            }
            learner.evidence().with_open(incoming.backlog.iter(), &open(&self.store.open()?)?)
        };
        let seed = self.settings.config().seed;
        let model = self.compute.run(move || Ok(OutcomeModel::grow(&evidence, seed))).await?;
        learning.learner.write().adopt(model);
        Ok(())
    }
}

/// The oldest closing that a process learns from that starts when so many have closed. It moves on in steps, not with every
/// closing: what was learned from the same beginning can be kept.
fn first_of(closed: usize) -> usize {
    closed.saturating_sub(MAX_LESSONS).div_ceil(STEP) * STEP
}

/// The open signals of a store.
fn open(store: &FeedbackStore) -> Result<Vec<Open>> {
    Ok(store.open_by_symbol()?.values().flatten().map(|signal| Open::of(&signal.levels)).collect())
}

fn lesson(record: &Record) -> Option<Lesson> {
    let closing = record.closing.as_ref()?;
    let case = Case::of(&record.signal)?;
    let said = record.said.as_ref();
    Some(Lesson {
        success: closing.outcome.succeeded()?,
        r: case.stop_percent.filter(|stop| *stop > 0.0).map(|stop| closing.profit_percent / stop),
        said: said.map(|said| said.departures),
        case: Case { prior: said.filter(|said| said.shaped).map(|said| said.prior), ..case },
        given_ms: record.signal.timestamp_ms,
        closed_ms: closing.closed_ms,
    })
}

fn question(signal: &Signal) -> Result<Case> {
    let problem = "must be BUY or SELL: a HOLD bets on nothing";
    Case::of(signal).ok_or_else(|| Error::InvalidSignal { field: "signalType", problem, value: "HOLD".to_owned() })
}

/// By what a signal is judged.
struct Rules<'a> {
    config: &'a Config,
    /// More than break-even that conservative mode asks for, as a probability.
    margin: f64,
    /// Open signals of the same direction that were taken.
    open: usize,
}

/// What a signal's chances come to in money.
struct Verdict {
    chances: Chances,
    /// Costs in distances of the stop; `None` without one: then nothing is known of what it earns.
    fee: Option<f64>,
    /// The success probability at which it earns nothing.
    break_even: f64,
    /// Expected profit after costs, in distances of the stop, with its 95 % interval.
    expected: Option<(f64, (f64, f64))>,
    /// The target is so far that less than the least probability that is ever told would do: that one proves nothing.
    is_beyond: bool,
    take: bool,
}

impl Verdict {
    fn of(chances: Chances, case: &Case, rules: &Rules<'_>) -> Self {
        let fee = case.stop_percent.filter(|stop| *stop > 0.0).map(|stop| rules.config.fee_bps / 100.0 / stop);
        let break_even = fee.map_or(0.5, |fee| break_even(chances.payoffs, fee));
        let threshold = break_even + rules.margin;
        let error = chances.expected_r_error();
        let expected = fee.map(|fee| chances.expected_r() - fee);
        let sure = outcomes::normal_quantile(rules.config.take_confidence) * error;
        let untold = outcomes::PROBABILITY_RANGE.0;
        let is_far = case.reward_risk.is_some_and(|ratio| 1.0 / (1.0 + ratio) < untold);
        let is_beyond = is_far && break_even > 0.0 && threshold < untold;
        let earns = expected.is_none_or(|expected| expected - sure > 0.0);
        let interval = |expected: f64| (expected, (expected - Z_95 * error, expected + Z_95 * error));
        Self {
            fee,
            break_even,
            expected: expected.map(interval),
            is_beyond,
            take: chances.probability >= threshold && earns && !is_beyond,
            chances,
        }
    }

    /// Why, in words.
    fn reasons(&self, model: &OutcomeModel, case: &Case, margin: f64) -> Vec<String> {
        let percent = |p: f64| format!("{:.1} %", 100.0 * p);
        let Chances { probability, interval, base_rate, .. } = self.chances;
        let odds = format!(
            "succeeds with {} [{}, {}] (base rate {})",
            percent(probability),
            percent(interval.0),
            percent(interval.1),
            percent(base_rate)
        );
        let mut reasons = vec![match self.expected {
            Some((expected, _)) if self.break_even == 0.0 => {
                format!("{odds}; expected to earn {expected:+.2} R after costs: by what has closed, failures earn too")
            }
            Some((expected, _)) => format!(
                "{odds}; expected to earn {expected:+.2} R after costs; to earn nothing it needs {}",
                percent(self.break_even)
            ),
            None => format!("{odds}; without a stop loss, half is asked for"),
        }];
        if case.prior.is_none() && model.learned() == 0 {
            reasons.push(
                "no signal has closed yet: the base rate is that of a price without drift at these levels".to_owned(),
            );
        }
        if let Some(prior) = case.prior {
            reasons.push(format!("candles alone say {}", percent(prior)));
        }
        if margin > 0.0 {
            reasons.push(format!("recent signals did poorly, so {} more than that is asked for", percent(margin)));
        }
        if self.is_beyond {
            reasons.push(format!(
                "so far a target is beyond what is told: nothing below {}",
                percent(outcomes::PROBABILITY_RANGE.0)
            ));
        }
        reasons.extend(model.reasons(case));
        reasons
    }

    fn suggested_risk(&self, is_known: bool, rules: &Rules<'_>) -> f64 {
        let (win, lose) = self.chances.payoffs;
        self.fee.filter(|_| self.take && is_known).map_or(0.0, |fee| {
            suggested_risk(self.chances.interval.0, win - fee, fee - lose, rules.config.kelly_fraction, rules.open)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bet_breaks_even_where_its_wins_pay_for_its_losses_and_costs() {
        assert!((break_even((2.0, -1.0), 0.05) - 0.35).abs() < 1e-12);
        assert_eq!(break_even((2.0, 1.0), 0.05), 0.0, "even a failure earns");
        assert_eq!(break_even((1.0, 1.5), 0.05), 0.0, "a failure earns more than a success");
        assert_eq!(break_even((-0.5, -0.5), 0.05), 1.0, "nothing earns");
        assert!(break_even((0.01, -1.0), 0.05) > 1.0, "it wins less than it costs");
    }

    #[test]
    fn risk_follows_kelly_and_never_takes_a_loss_for_less_than_the_stop() {
        let kelly = (0.5 * 2.0 - 0.5) / 2.0;
        assert!((suggested_risk(0.5, 2.0, 1.0, 0.25, 0) - kelly / 4.0).abs() < 1e-12);
        assert!((suggested_risk(0.5, 2.0, 1.0, 0.25, 2) - kelly / 4.0 / 2.4).abs() < 1e-12);
        assert_eq!(suggested_risk(0.3, 2.0, 1.0, 0.25, 0), 0.0);
        assert_eq!(suggested_risk(0.5, -0.1, 1.0, 0.25, 0), 0.0);
        // Failures have earned half a stop each on the mean: (0.1 · 2 + 0.9 · 0.5) / 2.
        assert!((suggested_risk(0.1, 2.0, -0.5, 1.0, 0) - 0.325).abs() < 1e-12);
    }
}
