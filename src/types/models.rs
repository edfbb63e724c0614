//! Predictions, models, training and candles.

use super::trials::{Estimate, Trial};
use super::word;
use candles as market;
use domain::barrier::Direction;
use domain::error::Error;
use domain::time::format_iso;
use engine::{self, GeneratedSignal, Phase};
use learning::Abstention;
use learning::features::Missing;
use learning::model;
use napi_derive::napi;
use std::collections::BTreeMap;

pub fn action(direction: Option<Direction>) -> String {
    direction.map_or_else(|| "HOLD".to_owned(), word)
}

pub fn percent(probability: f64) -> f64 {
    100.0 * probability
}

/// Probabilities in percent; they add up to 100.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct ActionProbabilities {
    /// Percent, 0–100: probability that a SELL would succeed.
    #[napi(js_name = "SELL")]
    pub sell: f64,
    /// Percent, 0–100: probability that neither would succeed.
    #[napi(js_name = "HOLD")]
    pub hold: f64,
    /// Percent, 0–100: probability that a BUY would succeed.
    #[napi(js_name = "BUY")]
    pub buy: f64,
}

impl From<model::Probabilities> for ActionProbabilities {
    fn from(p: model::Probabilities) -> Self {
        Self { sell: percent(p.sell), hold: percent(p.hold), buy: percent(p.buy) }
    }
}

/// The prediction of a model for the time after the last closed candle.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prediction {
    /// The symbol, normalised: `BTCUSDT`.
    pub symbol: String,
    /// The timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// The bet, or HOLD.
    #[napi(ts_type = "SignalType")]
    pub signal: String,
    /// Percent, 0–100: the probability of what `signal` says.
    pub confidence: f64,
    /// Percent, 0–100, adding up to 100: the probability that a BUY, a SELL, or neither would succeed.
    pub probabilities: ActionProbabilities,
    /// The base rates: the same probabilities as counted in the training rows.
    pub base_rates: ActionProbabilities,
    /// Why it is a HOLD; missing for a bet.
    #[napi(ts_type = "Abstention")]
    pub reason: Option<String>,
    /// The reasons in words.
    pub rationale: String,
    /// Success probability in percent at which a bet breaks even after costs, calculated from what such bets won and lost in
    /// training: for the bet that `signal` names, or for a HOLD the bet closer to break-even. Missing without features, and if
    /// `levelsScale` is present.
    pub break_even: Option<f64>,
    /// In a signal of `riskTolerance` `low` or `high`: the distance of its stop and target, 2/3 or 4/3, relative to the
    /// configured levels, to which `confidence` and the probabilities apply. The success rate at other levels was not measured,
    /// and live results of such signals do not count for or against the model. Missing if the levels are the configured ones.
    pub levels_scale: Option<f64>,
    /// The last close.
    pub price: f64,
    /// Average true range over 14 bars in price units; missing without features.
    pub atr: Option<f64>,
    /// When the last candle closed, ISO 8601, UTC.
    pub candles_until: String,
    /// The candles are out of date: a newer candle should have closed since. Fetch before trading on this prediction. While the
    /// market is closed, as at night or on weekends, no newer candle is expected.
    pub stale: bool,
    /// When the model was trained, ISO 8601, UTC.
    pub model_trained_at: String,
    /// The version of the model; signals recorded with this prediction are counted for it.
    pub model_version: u32,
}

impl From<engine::Prediction> for Prediction {
    fn from(p: engine::Prediction) -> Self {
        let direction = p.decision.ok();
        let [buy, sell] = p.base_rates;
        let base = model::Probabilities::of(buy, sell);
        Self {
            symbol: p.market.symbol.to_string(),
            timeframe: p.market.timeframe.to_string(),
            signal: action(direction),
            confidence: percent(p.confidence()),
            probabilities: p.probabilities.into(),
            base_rates: base.into(),
            reason: p.decision.err().map(word::<Abstention>),
            rationale: p.rationale(),
            break_even: p.break_even().map(percent),
            levels_scale: (!p.is_measured()).then_some(p.levels_scale),
            price: p.price,
            atr: p.atr,
            candles_until: format_iso(p.candle_close_ms),
            stale: p.stale,
            model_trained_at: format_iso(p.model.record.trained_ms),
            model_version: p.model.version() as u32,
        }
    }
}

/// A signal made from a prediction, ready for `recordSignal`.
#[napi(object)]
pub struct Signal {
    /// A new unique id.
    pub id: String,
    /// The symbol, normalised.
    pub pair: String,
    /// The timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// The bet, or HOLD.
    #[napi(ts_type = "SignalType")]
    pub signal_type: String,
    /// Percent, 0–100: the probability of what `signalType` says, at the configured levels; see `mlPrediction.levelsScale`.
    pub confidence: f64,
    /// The last close.
    pub entry_price: f64,
    /// A price; missing for a HOLD.
    pub stop_loss: Option<f64>,
    /// A price; missing for a HOLD.
    pub take_profit: Option<f64>,
    /// When it was made, ISO 8601, UTC.
    pub timestamp: String,
    /// When it expires, ISO 8601, UTC: after `signal.expiry_bars` candles, counted while the market is open. Missing for a HOLD.
    pub expires_at: Option<String>,
    /// The reasons for the bet, or for the HOLD.
    pub ai_rationale: String,
    /// The prediction it is based on.
    pub ml_prediction: Prediction,
    /// The exchange's error if candles could not be updated.
    pub warning: Option<String>,
}

impl Signal {
    /// The signal under `id`.
    pub fn new(id: String, signal: GeneratedSignal) -> Self {
        let prediction: Prediction = signal.prediction.into();
        Self {
            id,
            pair: prediction.symbol.clone(),
            timeframe: prediction.timeframe.clone(),
            signal_type: prediction.signal.clone(),
            confidence: prediction.confidence,
            entry_price: prediction.price,
            stop_loss: signal.stop_loss,
            take_profit: signal.take_profit,
            timestamp: format_iso(signal.timestamp_ms),
            expires_at: signal.expires_ms.map(format_iso),
            ai_rationale: prediction.rationale.clone(),
            ml_prediction: prediction,
            warning: signal.warning,
        }
    }
}

/// Held-out figures of one side (BUY or SELL) of a model, each beside that of the constant base rate.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scores {
    /// Held-out rows.
    pub rows: u32,
    /// Percent of rows whose label came true.
    pub base_rate: f64,
    /// Log loss: the mean of −ln p of the outcome.
    pub log_loss: f64,
    /// The same for the constant base rate.
    pub constant_log_loss: f64,
    /// Mean squared error of the probability.
    pub brier: f64,
    /// The same for the constant base rate.
    pub constant_brier: f64,
    /// Probability that a success ranks above a failure, 0–1; the constant's is 0.5.
    pub auc: f64,
    /// Mean of sensitivity and specificity, 0–1; the constant's is 0.5.
    pub balanced_accuracy: f64,
    /// Mean |p − frequency| over ten bins, 0–1.
    pub calibration_error: f64,
    /// The same for the constant base rate.
    pub constant_calibration_error: f64,
}

impl From<model::Scores> for Scores {
    fn from(s: model::Scores) -> Self {
        Self {
            rows: s.rows as u32,
            base_rate: percent(s.base_rate),
            log_loss: s.log_loss,
            constant_log_loss: s.constant_log_loss,
            brier: s.brier,
            constant_brier: s.constant_brier,
            auc: s.auc,
            balanced_accuracy: s.balanced_accuracy,
            calibration_error: s.calibration_error,
            constant_calibration_error: s.constant_calibration_error,
        }
    }
}

/// How much a feature reduced the variance.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Importance {
    /// The feature's name; `docs/features.md` defines it.
    pub feature: String,
    /// Its share, 0–1; all add up to 1.
    pub share: f64,
}

/// How much better than the base rate the probabilities of a model were, on rows it had not seen.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skill {
    /// Mean log loss of both sides minus that of the base rate: below 0 the model has skill; if `high` is below 0, beyond chance.
    /// Missing if the rows fill fewer than eight stretches of time.
    pub excess: Option<Estimate>,
    /// Open time of the first of these rows, ISO 8601, UTC; missing if there are none.
    pub since: Option<String>,
    /// Open time of the last.
    pub until: Option<String>,
    /// Rows.
    pub rows: u32,
    /// Stretches of time (clusters) that the rows fill. Rows of one stretch depend on each other and count once: labels overlap,
    /// and markets move together.
    pub stretches: u32,
    /// Length of a stretch in hours: a week, or less if the history is short.
    pub stretch_hours: f64,
}

impl From<model::Skill> for Skill {
    fn from(skill: model::Skill) -> Self {
        let time = |time_ms: i64| (skill.rows > 0).then(|| format_iso(time_ms));
        Self {
            excess: skill.excess.map(Into::into),
            since: time(skill.since_ms),
            until: time(skill.until_ms),
            rows: skill.rows as u32,
            stretches: skill.clusters as u32,
            stretch_hours: skill.cluster_ms as f64 / 3_600_000.0,
        }
    }
}

/// A shape of bets (stop, target, expiry) that recorded signals have, besides the configured one, and what was learned of it from
/// candles.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelShape {
    /// Distance of the stop from the entry in average true ranges (14 bars).
    pub stop_atr: f64,
    /// Target distance in multiples of the stop distance.
    pub reward_risk: f64,
    /// Candles until expiry.
    pub expiry_bars: u32,
    /// Number of recorded signals with this shape, or close to it, at the time of training.
    pub signals: u32,
    /// Rows trained on, of all symbols.
    pub rows: u32,
    /// The model has skill on this shape, so its probabilities depart from the base rate.
    pub has_skill: bool,
    /// How much better it was than the base rate, on the rows of all symbols.
    pub skill: Skill,
}

impl From<model::ShapeRecord> for ModelShape {
    fn from(s: model::ShapeRecord) -> Self {
        Self {
            stop_atr: s.shape.stop_atr,
            reward_risk: s.shape.reward_risk,
            expiry_bars: s.shape.expiry_bars as u32,
            signals: s.signals as u32,
            rows: s.rows as u32,
            has_skill: s.beliefs.iter().any(|belief| *belief > 0.0),
            skill: s.skill.into(),
        }
    }
}

/// One family of learners in a model. The prediction of a model is the weighted sum of its families.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FamilyWeight {
    /// `forest`, `boosting`, `linear` or, for your own model, `own`.
    #[napi(ts_type = "'forest' | 'boosting' | 'linear' | 'own'")]
    pub family: String,
    /// Its weight for a BUY, 0–1. The weights of our families add up to 1, or to less where your own model says the same as they do.
    pub buy: f64,
    /// Its weight for a SELL.
    pub sell: f64,
}

/// What held-out rows say of your own model in one direction.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnModelSide {
    /// The weight of its departures from its usual level, 0–1: 0 if what it knows beyond our families may be chance.
    pub weight: f64,
    /// The held-out rows that it is judged by.
    pub rows: u32,
    /// By how much the success rate changes with its departures beyond those of our families: 1 if its probabilities are right, 0 if
    /// they say nothing new. Missing if it says nothing of its own, or on fewer than eight stretches of time.
    pub slope: Option<f64>,
    /// The standard error of `slope`.
    pub slope_error: Option<f64>,
}

/// Your own model in a model: its weight, and what it has earned it with.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnModelInfo {
    /// Its name.
    pub name: String,
    /// Whether it is fitted at each training.
    pub fitted: bool,
    /// For a fixed model, until when it had seen outcomes, ISO 8601, UTC; missing if it has seen none.
    pub trained_until: Option<String>,
    /// Of a BUY.
    pub buy: OwnModelSide,
    /// Of a SELL.
    pub sell: OwnModelSide,
}

impl From<model::OwnRecord> for OwnModelInfo {
    fn from(own: model::OwnRecord) -> Self {
        let [buy, sell] = own.sides.map(|side| OwnModelSide {
            weight: side.weight,
            rows: side.rows as u32,
            slope: side.slope.map(|(value, _)| value),
            slope_error: side.slope.map(|(_, error)| error),
        });
        Self { name: own.name, fitted: own.is_fitted, trained_until: own.trained_until_ms.map(format_iso), buy, sell }
    }
}

/// What a model was trained on, and its results on rows it had not seen.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// The symbol, normalised.
    pub symbol: String,
    /// The timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// When it was trained, ISO 8601, UTC.
    pub trained_at: String,
    /// It beat the base rate on unseen rows, so its probabilities depart from it.
    pub has_skill: bool,
    /// Its skill on the rows of this market.
    pub skill: Skill,
    /// Its skill on the rows of all symbols that share its pooled model. λ is calculated from these.
    pub pool_skill: Skill,
    /// The pooled model it uses: the SHA-256 of its file. Missing if the model did not go into service, and for models of earlier
    /// versions of signalloop.
    pub pool: Option<String>,
    /// The symbols that the pooled model was trained on.
    pub pool_symbols: Vec<String>,
    /// Rows that the pooled model was trained on.
    pub pool_rows: u32,
    /// The families of learners and their weights.
    pub families: Vec<FamilyWeight>,
    /// Your own model; missing if it was trained without one.
    pub own_model: Option<OwnModelInfo>,
    /// Success probability in percent at which a BUY breaks even after costs, at the median stop distance.
    pub break_even_buy: f64,
    /// The same for a SELL.
    pub break_even_sell: f64,
    /// Candles read.
    pub candles: u32,
    /// Labelled rows trained on.
    pub rows: u32,
    /// How many independent labels the rows are worth.
    pub effective_rows: f64,
    /// Open time of the first row's candle, ISO 8601, UTC.
    pub first_row: String,
    /// Close time of the last candle used by a label, ISO 8601, UTC.
    pub horizon: String,
    /// Bars without a feature row, by cause: `warm_up`, `gap`, `flat_prices`, `no_volume`.
    pub missing: BTreeMap<String, u32>,
    /// Rows whose label is not decided yet, or falls into a gap.
    pub unlabelled: u32,
    /// Mean held-out log loss of both sides.
    pub log_loss: f64,
    /// The same for the constant base rates.
    pub constant_log_loss: f64,
    /// The BUY side.
    pub buy: Scores,
    /// The SELL side.
    pub sell: Scores,
    /// Signals it would have given on the held-out rows; neighbouring signals overlap.
    pub held_out_signals: u32,
    /// Their mean profit in percent of the entry, after costs; missing if there were none.
    pub held_out_profit: Option<f64>,
    /// Features by importance, most important first.
    pub importances: Vec<Importance>,
    /// Features that were left out because the candles have no volume.
    pub left_out: Vec<String>,
}

/// The weights of all families.
fn families(r: &model::Record) -> Vec<FamilyWeight> {
    let [buy, sell] = r.own.as_ref().map_or(r.weights, |own| own.of_ours(r.weights));
    let weight = |(i, name): (usize, &&str)| FamilyWeight { family: (*name).to_owned(), buy: buy[i], sell: sell[i] };
    let own = r.own.as_ref().map(|own| FamilyWeight {
        family: "own".to_owned(),
        buy: own.sides[0].weight,
        sell: own.sides[1].weight,
    });
    model::Families::NAMES.iter().enumerate().map(weight).chain(own).collect()
}

impl From<model::Record> for ModelInfo {
    fn from(r: model::Record) -> Self {
        Self {
            left_out: r.left_out().into_iter().map(str::to_owned).collect(),
            symbol: r.market.symbol.to_string(),
            timeframe: r.market.timeframe.to_string(),
            trained_at: format_iso(r.trained_ms),
            has_skill: r.has_skill(),
            skill: r.skill.into(),
            pool_skill: r.pool_skill.into(),
            pool: r.pool.clone(),
            pool_symbols: r.symbols.iter().map(ToString::to_string).collect(),
            pool_rows: r.pool_rows as u32,
            families: families(&r),
            own_model: r.own.clone().map(Into::into),
            break_even_buy: percent(r.break_even[0]),
            break_even_sell: percent(r.break_even[1]),
            candles: r.candles as u32,
            rows: r.rows as u32,
            effective_rows: r.effective_rows,
            first_row: format_iso(r.first_ms),
            horizon: format_iso(r.horizon_ms),
            missing: r.missing.iter().map(|(cause, count)| (word::<Missing>(*cause), *count as u32)).collect(),
            unlabelled: r.unlabelled as u32,
            log_loss: r.log_loss(),
            constant_log_loss: r.constant_log_loss(),
            buy: r.buy.into(),
            sell: r.sell.into(),
            held_out_signals: r.held_out_signals as u32,
            held_out_profit: r.held_out_profit,
            importances: r.importances.into_iter().map(|(feature, share)| Importance { feature, share }).collect(),
        }
    }
}

/// An error as data, for calls that cover several markets and do not reject if one fails.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The stable code.
    #[napi(ts_type = "ErrorCode")]
    pub code: String,
    /// What happened, and what to do.
    pub message: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string() }
    }
}

/// The result of training one market.
#[napi(object)]
pub struct TrainResult {
    /// The symbol, normalised.
    pub symbol: String,
    /// The timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// It was trained, or there was nothing new to learn from.
    pub success: bool,
    /// The new model is in service. `false`: the current one stays; `reason` says why.
    pub promoted: bool,
    /// Why the new model is in service, or is not; missing if the training failed.
    pub reason: Option<String>,
    /// The new model, in service or not; the current model if there was nothing new. Missing if the training failed.
    pub model: Option<ModelInfo>,
    /// The decision about the new model; missing if the training failed or there was nothing new.
    pub trial: Option<Trial>,
    /// Why it failed; the old model, if there was one, stays in service.
    pub error: Option<Failure>,
    /// A warning about the training.
    pub warning: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
}

impl From<engine::TrainResult> for TrainResult {
    fn from(r: engine::TrainResult) -> Self {
        let (trained, error) = match r.trained {
            Ok(trained) => (Some(trained), None),
            Err(error) => (None, Some(error.into())),
        };
        Self {
            symbol: r.market.symbol.to_string(),
            timeframe: r.market.timeframe.to_string(),
            success: trained.is_some(),
            promoted: trained.as_ref().is_some_and(engine::Trained::promoted),
            reason: trained.as_ref().map(engine::Trained::reason),
            model: trained.as_ref().map(|trained| trained.model().record.clone().into()),
            trial: trained.as_ref().and_then(engine::Trained::trial).cloned().map(Into::into),
            error,
            warning: r.warning,
            duration_ms: r.duration_ms as f64,
        }
    }
}

/// The result of a training.
#[napi(object)]
pub struct TrainingResults {
    /// Models to train.
    pub total: u32,
    /// Models trained; `promoted` of each result says whether it is in service. `withSkill` counts those that learned something.
    pub successful: u32,
    /// Models trained that beat their base rate on rows they had not seen. The others predict the base rate and give no signals.
    pub with_skill: u32,
    /// Models that failed.
    pub failed: u32,
    /// Percent trained, 0–100; 100 if there was nothing to do.
    pub success_rate: f64,
    /// One result per market, in the requested order.
    pub results: Vec<TrainResult>,
    /// Markets skipped because their model is young enough (mode `retrain`): `BTCUSDT 1h`.
    pub skipped: Vec<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// Why this result is not in `models/training_results.json`, if that could not be written; or where a damaged file was moved,
    /// if a new one was started.
    pub warning: Option<String>,
}

impl From<engine::TrainingResults> for TrainingResults {
    fn from(r: engine::TrainingResults) -> Self {
        let (total, successful, with_skill) = (r.results.len() as u32, r.succeeded() as u32, r.skilled() as u32);
        Self {
            total,
            successful,
            with_skill,
            failed: total - successful,
            success_rate: r.success_rate(),
            skipped: r.skipped.iter().map(ToString::to_string).collect(),
            duration_ms: r.duration_ms as f64,
            warning: r.warning,
            results: r.results.into_iter().map(Into::into).collect(),
        }
    }
}

/// Progress of a running training. Some reports may be skipped while JavaScript is busy; the promise has everything.
#[napi(object)]
pub struct TrainProgress {
    /// The symbol, normalised.
    pub symbol: String,
    /// The timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// The current phase of this market.
    #[napi(ts_type = "'fetch' | 'train' | 'done' | 'failed'")]
    pub phase: String,
    /// Fits done for this market; in the phase `fetch`, candles fetched.
    pub done: u32,
    /// Fits needed for this market; in the phase `fetch`, candles fetched and still to come. 0 if that is unknown, and in the
    /// other phases.
    pub steps: u32,
    /// In the phase `fetch`: seconds until the candles of all markets are fetched, at the speed so far; missing if unknown.
    pub remaining_seconds: Option<f64>,
    /// Markets finished.
    pub finished: u32,
    /// Markets in all.
    pub total: u32,
}

impl From<engine::TrainProgress> for TrainProgress {
    fn from(p: engine::TrainProgress) -> Self {
        let phase = match p.phase {
            Phase::Fetch => "fetch",
            Phase::Train => "train",
            Phase::Done => "done",
            Phase::Failed => "failed",
        };
        Self {
            symbol: p.market.symbol.to_string(),
            timeframe: p.market.timeframe.to_string(),
            phase: phase.to_owned(),
            done: p.step.done as u32,
            steps: p.step.total as u32,
            remaining_seconds: p.remaining_s.map(f64::ceil),
            finished: p.finished as u32,
            total: p.total as u32,
        }
    }
}

/// Something found in candles while they were read.
#[napi(object)]
pub struct Finding {
    /// The cause; `docs/data.md` says what each means.
    pub cause: String,
    /// Something was repaired or left out, not only noticed.
    pub repaired: bool,
    /// The count: of candles, rows, holes or requests, depending on the cause.
    pub count: u32,
    /// The first occurrence: a time, a span or a name.
    pub example: String,
}

impl From<market::Finding> for Finding {
    fn from(f: market::Finding) -> Self {
        Self { cause: word::<market::Cause>(f.cause), repaired: f.repaired, count: f.count as u32, example: f.example }
    }
}

/// The result of fetching one market.
#[napi(object)]
pub struct FetchResult {
    /// The symbol, normalised.
    pub symbol: String,
    /// The timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// Its file is up to date.
    pub success: bool,
    /// Candles that were not stored before.
    pub added: Option<u32>,
    /// Candles stored now.
    pub total: Option<u32>,
    /// Open time of the first stored candle, ISO 8601, UTC.
    pub from: Option<String>,
    /// Open time of the last stored candle, ISO 8601, UTC.
    pub until: Option<String>,
    /// Repairs and other findings; missing if the fetch failed.
    pub findings: Option<Vec<Finding>>,
    /// Why it failed.
    pub error: Option<Failure>,
}

impl From<engine::FetchResult> for FetchResult {
    fn from(r: engine::FetchResult) -> Self {
        let (fetched, error) = match r.fetched {
            Ok(fetched) => (Some(fetched), None),
            Err(error) => (None, Some(error.into())),
        };
        Self {
            symbol: r.market.symbol.to_string(),
            timeframe: r.market.timeframe.to_string(),
            success: fetched.is_some(),
            added: fetched.as_ref().map(|f| f.added as u32),
            total: fetched.as_ref().map(|f| f.total as u32),
            from: fetched.as_ref().map(|f| format_iso(f.first_ms)),
            until: fetched.as_ref().map(|f| format_iso(f.last_ms)),
            findings: fetched.as_ref().map(|f| f.findings.list().into_iter().map(Into::into).collect()),
            error,
        }
    }
}
