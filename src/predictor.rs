//! `Predictor`, and behind it `MLPredictor`: the backend's old predictor service, drop-in.

use super::errors::{Code, sync};
use super::promises::{done, elsewhere, promise};
use super::types::{ActionProbabilities, action, percent, word};
use super::values;
use candles::given::Times;
use domain::candle::Candle;
use domain::error::{Result, guard};
use domain::symbol::Market;
use engine::{self, SignalLoop};
use learning::Abstention;
use napi::bindgen_prelude::{Env, PromiseRaw, Unknown};
use napi_derive::napi;
use std::sync::Arc;

/// The model's part of a prediction.
#[napi(object)]
pub struct MlPrediction {
    /// The bet, or HOLD.
    #[napi(ts_type = "SignalType")]
    pub signal: String,
    /// The same as `confidence` of the whole result.
    pub confidence: f64,
    /// Percent, 0–100, adding up to 100: the probability that a BUY, a SELL, or neither would succeed; all 0 without an opinion.
    pub probabilities: ActionProbabilities,
}

/// A prediction in the shape of the old backend's service. All fields are present even if the model has no opinion.
#[napi(object)]
pub struct PredictionResult {
    /// The model has an opinion. `false`: it has none, `confidence` is 0, and `error` says why.
    pub success: bool,
    /// The bet, or HOLD if no bet is worth it or there is no opinion.
    #[napi(ts_type = "SignalType")]
    pub signal_type: String,
    /// Percent, 0–100: how much `signalType` is preferred to the strongest alternative: for a bet the opposite bet, for a HOLD
    /// the better bet. 50 is undecided; 0 is no opinion. It is not the probability of success.
    pub confidence: f64,
    /// Calibrated probability, 0–1, that the bet succeeds; missing for a HOLD.
    pub success_probability: Option<f64>,
    /// The model's part.
    pub ml_prediction: MlPrediction,
    /// The reasons for the bet, or for the HOLD.
    pub ai_rationale: String,
    /// Why it is a HOLD; missing for a bet, and if there is no model or not enough data to predict.
    #[napi(ts_type = "Abstention")]
    pub reason: Option<String>,
    /// Why there is no opinion.
    pub error: Option<String>,
}

impl From<engine::Prediction> for PredictionResult {
    fn from(prediction: engine::Prediction) -> Self {
        let reason = prediction.decision.err().map(word);
        let rationale = prediction.rationale();
        let Some(certainty) = prediction.certainty() else {
            let problem = rationale.strip_prefix("HOLD: ").unwrap_or(&rationale);
            // A model that has skill, and is of no opinion for want of an edge, knows nothing of one of the bets.
            let one_sided = match prediction.decision {
                Err(Abstention::NoEdge) => "; of one of them it knows nothing",
                _ => "",
            };
            let error = format!("no opinion: {problem}{one_sided}");
            return Self { reason, ai_rationale: error.clone(), ..Self::without(error) };
        };
        let (signal, confidence) = (action(prediction.decision.ok()), percent(certainty));
        Self {
            success: true,
            signal_type: signal.clone(),
            confidence,
            success_probability: prediction.decision.ok().map(|_| prediction.confidence()),
            ml_prediction: MlPrediction { signal, confidence, probabilities: prediction.probabilities.into() },
            ai_rationale: rationale,
            reason,
            error: None,
        }
    }
}

impl PredictionResult {
    /// No opinion, and why.
    fn without(error: String) -> Self {
        let probabilities = ActionProbabilities { sell: 0.0, hold: 0.0, buy: 0.0 };
        Self {
            success: false,
            signal_type: action(None),
            confidence: 0.0,
            success_probability: None,
            ml_prediction: MlPrediction { signal: action(None), confidence: 0.0, probabilities },
            ai_rationale: format!("no prediction: {error}"),
            reason: None,
            error: Some(error),
        }
    }
}

impl From<Result<engine::Prediction>> for PredictionResult {
    fn from(result: Result<engine::Prediction>) -> Self {
        result.map_or_else(|error| Self::without(error.to_string()), Self::from)
    }
}

/// Predicts one market from candles you pass in. Missing data or a missing model never makes it reject.
///
/// @example
/// ```ts
/// import { SignalLoop } from 'signalloop'
///
/// const loop = new SignalLoop()
/// const predictor = loop.predictor('BTC/USDT', '1h')
/// console.log(predictor.isModelAvailable())
/// await loop.close()
/// ```
#[napi]
pub struct Predictor {
    core: Arc<SignalLoop>,
    market: Market,
}

impl Predictor {
    pub fn of(core: Arc<SignalLoop>, symbol: Unknown<'_>, timeframe: Unknown<'_>) -> Result<Self> {
        Ok(Self { core, market: market(symbol, timeframe)? })
    }
}

/// Throws if symbol or timeframe is invalid.
#[napi(skip_typescript)]
pub fn check_market(symbol: Unknown<'_>, timeframe: Unknown<'_>) -> napi::Result<(), Code> {
    sync(|| market(symbol, timeframe).map(|_| ()))
}

fn market(symbol: Unknown<'_>, timeframe: Unknown<'_>) -> Result<Market> {
    let symbol = values::optional_text("symbol", symbol)?;
    let timeframe = values::optional_text("timeframe", timeframe)?;
    Market::parse(symbol.as_deref().unwrap_or("BTCUSDT"), timeframe.as_deref().unwrap_or("1h"))
}

#[napi]
impl Predictor {
    /// Predicts from closed candles, oldest first, at least 100. Candles without times are taken as consecutive, the last one
    /// closing now. If the model has no opinion (it has no skill, or the candles give no features), if there is no model, or if
    /// candles are too few or invalid, it resolves with the complete shape, `success: false` and `confidence: 0`.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop, type CandleInput } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// const candles: CandleInput[] = Array.from({ length: 200 }, (_, i) => {
    ///   const [open, close] = [60_000 + 300 * Math.sin(i / 5), 60_000 + 300 * Math.sin((i + 1) / 5)]
    ///   return { open, high: Math.max(open, close) + 50, low: Math.min(open, close) - 50, close, volume: 100 + i }
    /// })
    /// const { success, signalType, successProbability, error } = await loop.predictor('BTC/USDT', '1h').predict(candles)
    /// console.log(success ? `${signalType}: ${successProbability ?? '-'}` : error)
    /// await loop.close()
    /// ```
    #[napi(ts_args_type = "candles: readonly CandleInput[]", ts_return_type = "Promise<PredictionResult>")]
    pub fn predict<'env>(
        &self,
        env: &'env Env,
        candles: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, PredictionResult>> {
        let candle_ms = self.market.timeframe.millis();
        let read = || {
            values::to_json(candles)
                .and_then(|value| values::candles("candles", &value, Times::OrConsecutive(candle_ms)))
        };
        self.predict_from(env, read)
    }

    /// [`Self::predict`] with candles that `index.js` has packed into a `Float64Array`, six numbers each. Reading the objects one
    /// by one from native code would take longer than everything else.
    #[napi(skip_typescript)]
    pub fn predict_packed<'env>(
        &self,
        env: &'env Env,
        rows: Unknown<'_>,
    ) -> napi::Result<PromiseRaw<'env, PredictionResult>> {
        self.predict_from(env, || values::packed_candles("candles", rows, self.market.timeframe.millis()))
    }

    fn predict_from<'env>(
        &self,
        env: &'env Env,
        candles: impl FnOnce() -> Result<Vec<Candle>>,
    ) -> napi::Result<PromiseRaw<'env, PredictionResult>> {
        promise(env, || {
            let candles = match candles() {
                Ok(candles) => candles,
                Err(error) => return Ok(done(Err(error).into())),
            };
            match self.core.models().predict(&self.market, Some(&candles)).ready() {
                Some(prediction) => Ok(done(prediction.into())),
                None => {
                    let (core, market) = (self.core.clone(), self.market.clone());
                    Ok(elsewhere(async move { Ok(core.models().predict(&market, Some(&candles)).wait().into()) }))
                }
            }
        })
    }

    /// Whether a usable model is in service now, including one trained after this predictor was created. Never throws: if a model
    /// is damaged, the event `warning` reports it. If models are stored in a database, it returns `false` until the first answer
    /// of the database; the call starts that query and does not wait for it.
    ///
    /// @example
    /// ```ts
    /// import { SignalLoop } from 'signalloop'
    ///
    /// const loop = new SignalLoop()
    /// if (!loop.predictor('BTC/USDT', '4h').isModelAvailable()) console.log('train it first')
    /// await loop.close()
    /// ```
    #[napi]
    pub fn is_model_available(&self) -> bool {
        guard(|| Ok(self.core.models().has_model(&self.market))).unwrap_or(false)
    }
}
