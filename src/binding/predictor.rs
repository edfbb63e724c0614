//! `Predictor`, and behind it `MLPredictor`: the backend's old predictor service, drop-in.

use super::errors::{Code, sync};
use super::promises::{done, elsewhere, promise};
use super::types::{ActionProbabilities, Prediction};
use super::values;
use crate::engine::SignalLoop;
use crate::error::{Result, guard};
use crate::market::Candle;
use crate::market::given::Times;
use crate::symbol::Market;
use napi::bindgen_prelude::{Env, PromiseRaw, Unknown};
use napi_derive::napi;
use std::sync::Arc;

/// The model's part of a prediction.
#[napi(object)]
pub struct MlPrediction {
    /// The bet, or HOLD.
    #[napi(ts_type = "SignalType")]
    pub signal: String,
    /// Percent, 0–100.
    pub confidence: f64,
    /// Percent, 0–100, adding up to 100; all 0 when there is no prediction.
    pub probabilities: ActionProbabilities,
}

/// A prediction in the shape of the backend's old service. It always has this shape, also when there is none.
#[napi(object)]
pub struct PredictionResult {
    /// There is a prediction. `false`: see `error`.
    pub success: bool,
    /// The bet, or HOLD.
    #[napi(ts_type = "SignalType")]
    pub signal_type: String,
    /// Percent, 0–100.
    pub confidence: f64,
    /// The model's part.
    pub ml_prediction: MlPrediction,
    /// What speaks for it, or why it is a HOLD.
    pub ai_rationale: String,
    /// Why there is no prediction.
    pub error: Option<String>,
}

impl From<Result<Prediction>> for PredictionResult {
    fn from(result: Result<Prediction>) -> Self {
        let nothing = || ActionProbabilities { sell: 0.0, hold: 0.0, buy: 0.0 };
        let (signal, confidence, probabilities, rationale, error) = match result {
            Ok(p) => (p.signal, p.confidence, p.probabilities, p.rationale, None),
            Err(error) => {
                ("HOLD".to_owned(), 0.0, nothing(), format!("no prediction: {error}"), Some(error.to_string()))
            }
        };
        Self {
            success: error.is_none(),
            signal_type: signal.clone(),
            confidence,
            ml_prediction: MlPrediction { signal, confidence, probabilities },
            ai_rationale: rationale,
            error,
        }
    }
}

/// Predicts one market from candles that the caller has, and never rejects for want of data or of a model.
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

/// Throws when there can be no predictor of this market.
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
    /// Predicts from closed candles, oldest first, at least 100. Without times they are consecutive and end now.
    /// Resolves with `success: false` and the whole shape when there is no model, too few candles or a wrong one.
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

    /// [`Self::predict`] from candles as `index.js` packs them where they are nothing but numbers: six for each, in a
    /// `Float64Array`. Reading them one by one from here would take longer than all the rest.
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
            match self.core.try_predict(&self.market, Some(&candles)).transpose() {
                Some(prediction) => Ok(done(prediction.map(Prediction::from).into())),
                None => {
                    let (core, market) = (self.core.clone(), self.market.clone());
                    Ok(elsewhere(async move { Ok(core.predict(&market, Some(&candles)).map(Prediction::from).into()) }))
                }
            }
        })
    }

    /// Whether a usable model is in service now, also one trained after this predictor was made. Where models are in a database,
    /// `false` until that was asked: this begins it, and waits for nothing.
    #[napi]
    pub fn is_model_available(&self) -> bool {
        guard(|| Ok(self.core.has_model(&self.market))).unwrap_or(false)
    }
}
