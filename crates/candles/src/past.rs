//! Candles of the past, seen as they were seen then: at any time only those that had closed.

use domain::candle::{Candle, check_series};
use domain::error::Result;
use domain::symbol::Market;
use std::collections::BTreeMap;

/// The candles of several markets, all in memory. A reader names a time and gets those that had closed by then.
#[derive(Debug, Default)]
pub struct PastCandles {
    markets: BTreeMap<Market, Vec<Candle>>,
}

impl PastCandles {
    /// Keeps these candles: of each market oldest first, each time once.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidCandle`] for the first candle that is invalid or out of order.
    pub fn new(markets: BTreeMap<Market, Vec<Candle>>) -> Result<Self> {
        markets.values().try_for_each(|candles| check_series(candles))?;
        Ok(Self { markets })
    }

    /// The markets that have candles, in order.
    pub fn markets(&self) -> impl Iterator<Item = &Market> {
        self.markets.keys()
    }

    /// All candles of a market, also those that close later. Only the driver of a replay may ask for them; the loop asks for
    /// [`Self::closed`].
    pub fn all(&self, market: &Market) -> &[Candle] {
        self.markets.get(market).map_or(&[], Vec::as_slice)
    }

    /// The candles of a market that had closed by `now_ms`, oldest first.
    pub fn closed(&self, market: &Market, now_ms: i64) -> &[Candle] {
        let (all, candle_ms) = (self.all(market), market.timeframe.millis());
        &all[..all.partition_point(|candle| candle.open_ms + candle_ms <= now_ms)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candle_is_seen_from_its_close_on() {
        let market = Market::parse("BTCUSDT", "1h").unwrap();
        let candle =
            |hour: i64| Candle { open_ms: hour * 3_600_000, open: 1.0, high: 2.0, low: 0.5, close: 1.5, volume: 1.0 };
        let past = PastCandles::new(BTreeMap::from([(market.clone(), vec![candle(0), candle(1), candle(3)])])).unwrap();
        let seen = |ms: i64| past.closed(&market, ms).len();
        assert_eq!([0, 3_599_999, 3_600_000, 7_200_000, 14_399_999, 14_400_000].map(seen), [0, 0, 1, 2, 2, 3]);
        assert!(past.closed(&Market::parse("ETHUSDT", "1h").unwrap(), i64::MAX).is_empty());
        let twice = BTreeMap::from([(market, vec![candle(1), candle(1)])]);
        assert_eq!(PastCandles::new(twice).unwrap_err().code(), "ERR_INVALID_CANDLE");
    }
}
