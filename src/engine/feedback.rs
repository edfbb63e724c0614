//! The feedback store with what the loop knows of the market.

use super::SignalLoop;
use crate::barrier::Outcome;
use crate::error::Result;
use crate::features;
use crate::signal::{EntryFeatures, Signal};
use crate::symbol::Market;

/// Whether a price closes a signal, and what it is worth there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvaluatedPrice {
    /// It closes.
    pub should_close: bool,
    /// As what; `ACTIVE` while it does not.
    pub outcome: Outcome,
    /// Profit at this price in percent of the entry, before costs; 0 for a HOLD.
    pub profit_percent: f64,
}

/// Does `price` at `time_ms` close the signal of these levels? Without levels (a HOLD) nothing does.
pub fn should_close(levels: Option<&crate::barrier::Levels>, price: f64, time_ms: i64) -> EvaluatedPrice {
    let exit = levels.and_then(|levels| levels.on_tick(price, time_ms));
    EvaluatedPrice {
        should_close: exit.is_some(),
        outcome: exit.map_or(Outcome::Active, |exit| exit.outcome),
        profit_percent: levels.map_or(0.0, |levels| levels.profit_percent(price)),
    }
}

impl SignalLoop {
    /// Records signals, each with the features of the last candle closed before it, when that candle is stored.
    ///
    /// # Errors
    /// [`crate::error::Error::SignalConflict`] of the first that contradicts an earlier signal; the others are recorded.
    pub async fn record(&self, mut signals: Vec<Signal>) -> Result<()> {
        for signal in &mut signals {
            signal.features = self.entry_features(signal);
        }
        self.store()?.record_all(signals).await?.into_iter().try_for_each(|result| result.map(|_| ()))
    }

    /// The features at a signal's entry. `None` when the candles that show them are not stored, or give none: features
    /// are a gain, and no signal is refused for want of them.
    fn entry_features(&self, signal: &Signal) -> Option<EntryFeatures> {
        let market = Market { symbol: signal.symbol.clone(), timeframe: signal.timeframe };
        let candle_ms = market.timeframe.millis();
        let candles = self.tail(&market).ok()?;
        let closed = candles.partition_point(|candle| candle.open_ms + candle_ms <= signal.timestamp_ms);
        let last = candles[..closed].last()?;
        if signal.timestamp_ms >= last.open_ms + 2 * candle_ms {
            return None;
        }
        let (row, _) = features::latest(&candles[..closed], candle_ms).ok()?;
        Some(EntryFeatures { version: features::VERSION, values: row.to_vec() })
    }
}
