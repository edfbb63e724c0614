//! Reads the candles of a replay from files.

use candles::{PastCandles, Reading, candle_file, read_candles, stored_markets};
use domain::error::{Error, Result};
use domain::symbol::Market;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads the candles of `markets` from a folder of candle files, and those of finer timeframes of the same symbols, which
/// decide what happened inside a candle.
///
/// # Errors
/// [`Error::NoData`] if a market has no file there; otherwise as [`read_candles`].
pub fn candles_in(folder: &Path, markets: &BTreeSet<Market>) -> Result<PastCandles> {
    let (stored, _) = stored_markets(folder)?;
    let is_finer =
        |stored: &&Market| markets.iter().any(|of| of.symbol == stored.symbol && stored.timeframe < of.timeframe);
    let wanted: BTreeSet<&Market> = markets.iter().chain(stored.iter().filter(is_finer)).collect();
    let mut all = BTreeMap::new();
    for market in wanted {
        let path = candle_file(folder, market);
        if !path.exists() {
            let Market { symbol, timeframe } = market;
            return Err(Error::NoData(format!(
                "no candles of {market}: {} does not exist; get them with `signalloop fetch --symbol {symbol} --timeframe \
                 {timeframe}` or `signalloop data import FILE --symbol {symbol} --timeframe {timeframe}`",
                path.display()
            )));
        }
        let (candles, _) = read_candles(&path, market.timeframe, &Reading::stored())?;
        all.insert(market.clone(), candles);
    }
    PastCandles::new(all)
}
