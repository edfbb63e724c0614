//! The feedback store with what the loop knows of the market.

use super::{SignalLoop, StoreState};
use crate::barrier::Outcome;
use crate::error::{Error, Result};
use crate::features;
use crate::feedback::FeedbackStore;
use crate::market::Candle;
use crate::signal::{EntryFeatures, Signal};
use crate::symbol::Market;
use rayon::prelude::*;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;

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
        // Bulk recordings come from few markets; each one's candles are looked up once.
        let mut tails: HashMap<Market, Option<Arc<Vec<Candle>>>> = HashMap::new();
        for signal in &mut signals {
            let market = Market { symbol: signal.symbol.clone(), timeframe: signal.timeframe };
            // Features are a gain: no signal is refused because candles cannot be read.
            let tail = tails.entry(market).or_insert_with_key(|market| self.stored_tail(market).ok().flatten());
            signal.features = tail.as_ref().and_then(|candles| entry_features(signal, candles));
        }
        let results = self.store()?.record_all(signals).await?;
        results.into_iter().try_for_each(|result| result.map(|_| ()))
    }

    /// Reads and checks a JSON array of signals on the loop's threads.
    pub async fn parse_signals(&self, text: String) -> Result<Vec<Signal>> {
        let zone = self.config().timezone;
        self.on_pool(move || {
            let unreadable = |e: serde_json::Error| Error::argument("signals", "must be an array of signals", e);
            let items: Vec<&RawValue> = serde_json::from_str(&text).map_err(unreadable)?;
            let read =
                |item: &&RawValue| Signal::from_value(serde_json::from_str(item.get()).map_err(unreadable)?, zone);
            items.par_iter().map(read).collect()
        })
        .await
    }

    /// The store if it is open already, without opening it or waiting.
    pub(super) fn open_store(&self) -> Option<FeedbackStore> {
        self.store.try_lock().and_then(|state| match &*state {
            StoreState::Open(store) => Some(store.clone()),
            _ => None,
        })
    }
}

/// The features of the last candle closed before the signal; `None` when it is not among these, or has none.
pub(super) fn entry_features(signal: &Signal, candles: &[Candle]) -> Option<EntryFeatures> {
    let candle_ms = signal.timeframe.millis();
    let closed = candles.partition_point(|candle| candle.open_ms + candle_ms <= signal.timestamp_ms);
    let last = candles[..closed].last()?;
    if signal.timestamp_ms >= last.open_ms + 2 * candle_ms {
        return None;
    }
    let (row, _) = features::latest(&candles[..closed], candle_ms).ok()?;
    Some(EntryFeatures { version: features::VERSION, values: row.to_vec() })
}
