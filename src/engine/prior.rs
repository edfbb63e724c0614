//! What a model of candles says of a signal before any outcome is known.

use super::SignalLoop;
use crate::barrier::Direction;
use crate::symbol::Market;

/// What candles alone say of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CandlePrior {
    /// That it succeeds, 0–1.
    pub probability: f64,
    /// The same without a look at the moment's features, 0–1.
    pub base_rate: f64,
}

impl SignalLoop {
    /// What the market's model in service says of a signal with such features at entry: of the nearest shape that it knows, moved
    /// to the signal's own levels. `None` where no model in memory knows anything of it. Waits for nothing and reads no file.
    #[allow(dead_code, clippy::too_many_arguments, unused_variables, reason = "filled in next")]
    pub(super) fn candle_prior(
        &self,
        market: &Market,
        direction: Direction,
        features: &[f64],
        stop_percent: f64,
        reward_risk: f64,
        expiry_bars: Option<f64>,
    ) -> Option<CandlePrior> {
        None
    }
}
