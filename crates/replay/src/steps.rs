//! The steps of a simulated clock.

use candles::PastCandles;
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::HOUR_MS;
use std::collections::BTreeMap;

/// The markets whose candles close signals: of each symbol the finest timeframe.
pub(crate) fn finest(candles: &PastCandles) -> Vec<Market> {
    let mut finest: BTreeMap<Symbol, Timeframe> = BTreeMap::new();
    for market in candles.markets() {
        let timeframe = finest.entry(market.symbol.clone()).or_insert(market.timeframe);
        *timeframe = (*timeframe).min(market.timeframe);
    }
    finest.into_iter().map(|(symbol, timeframe)| Market { symbol, timeframe }).collect()
}

/// The times at which the clock stops in `[from_ms, until_ms]`: the close of each candle, and each full hour, when tasks
/// may be due.
pub(crate) fn times(candles: &PastCandles, from_ms: i64, until_ms: i64) -> Vec<i64> {
    let hours = (from_ms.div_euclid(HOUR_MS)..=until_ms.div_euclid(HOUR_MS)).map(|hour| hour * HOUR_MS);
    let closes = candles.markets().flat_map(|market| {
        let candle_ms = market.timeframe.millis();
        candles.closed(market, until_ms).iter().map(move |candle| candle.open_ms + candle_ms)
    });
    let mut times: Vec<i64> = hours.chain(closes).filter(|time| (from_ms..=until_ms).contains(time)).collect();
    times.sort_unstable();
    times.dedup();
    times
}
